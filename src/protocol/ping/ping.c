#include "protocol/ping/ping.h"

#include "base/check.h"
#include "base/ring.h"

/* Streams with one peer at once, each way: what the specification lets a listener take. */
enum { PING_STREAMS_MAX = 2 };

enum ping_state {
    PING_FREE,
    PING_WAITING, /* for the end of another ping's stream to the peer */
    PING_RUNNING,
    PING_ENDING, /* it has been told how it went; its stream has not ended at both sides */
};

/* One ping. Its stream carries the index + 1 as user value. */
struct ping_run {
    enum ping_state state;
    struct tern_stream stream;
    tern_peer peer;
    tern_token token;
    tern_time sent_at;
    tern_time deadline;
    size_t received;
    uint8_t payload[TERN_PING_SIZE];
};

struct tern_ping {
    struct tern_mem *mem;
    struct tern_random *random;
    struct tern_swarm *swarm;
    uint32_t number; /* in the swarm */
    struct ping_run runs[TERN_PING_RUNNING_MAX];
    struct tern_ring events;
};

static const struct tern_view ping_name = {.data = (const uint8_t *)TERN_PING_PROTOCOL,
                                           .size = sizeof TERN_PING_PROTOCOL - 1};

/* --- serving --- */

/* Sends back what came. What the stream does not take now waits unread, and so does the remote. */
static void ping_echo(struct tern_ping *ping, struct tern_stream stream)
{
    struct tern_slice bytes;
    size_t accepted;
    tern_err err = tern_swarm_read(ping->swarm, stream, &bytes);
    for (; err == TERN_OK; err = tern_swarm_read(ping->swarm, stream, &bytes)) {
        if (tern_swarm_write(ping->swarm, stream, bytes.view, &accepted) != TERN_OK)
            return;
        tern_swarm_consume(ping->swarm, stream, accepted);
        if (accepted < bytes.view.size)
            return;
    }
    if (err == TERN_ERR_END)
        TERN_IGNORE(tern_swarm_close_write(ping->swarm, stream)); /* it may have ended already */
}

/* --- asking --- */

/* ping_tell says how it went; the caller says what becomes of the run. */
static void ping_tell(struct tern_ping *ping, const struct ping_run *run, tern_err err,
                      tern_time rtt)
{
    struct tern_ping_event event = {
        .token = run->token, .peer = run->peer, .err = err, .rtt_ns = rtt};
    tern_err pushed = tern_ring_push(&ping->events, &event);
    TERN_CHECK(pushed == TERN_OK || pushed == TERN_ERR_MEMORY || pushed == TERN_ERR_FULL);
}

/* Opens the stream and says the bytes. */
static tern_err ping_open(struct tern_ping *ping, tern_time now, struct ping_run *run)
{
    size_t accepted;
    const struct tern_stream_request open = {
        .service = ping->number,
        .peer = run->peer,
        .offer = {.names = &ping_name, .names_count = 1, .class = TERN_STREAM_CONTROL},
        .user = (uint64_t)(run - ping->runs) + 1};
    TERN_TRY(tern_swarm_open_stream(ping->swarm, now, &open, &run->stream));
    tern_err err = tern_swarm_write(ping->swarm, run->stream,
                                    tern_view_of(run->payload, sizeof run->payload), &accepted);
    if (err == TERN_OK && accepted == sizeof run->payload) {
        run->sent_at = now;
        run->state = PING_RUNNING;
        return TERN_OK;
    }
    tern_swarm_reset(ping->swarm, run->stream, TERN_STREAM_CODE_RESOURCE_LIMIT);
    return err == TERN_OK ? TERN_ERR_MEMORY : err;
}

static bool ping_has_room(const struct tern_ping *ping, tern_peer peer)
{
    size_t streams = 0;
    for (size_t i = 0; i < TERN_PING_RUNNING_MAX; i++) {
        const struct ping_run *run = &ping->runs[i];
        streams += run->peer == peer && (run->state == PING_RUNNING || run->state == PING_ENDING);
    }
    return streams < PING_STREAMS_MAX;
}

/* ping_free ends a run, whose stream is over; who waits for that begins. */
static void ping_free(struct tern_ping *ping, tern_time now, struct ping_run *run)
{
    tern_peer peer = run->peer;
    run->state = PING_FREE;
    for (size_t i = 0; i < TERN_PING_RUNNING_MAX && ping_has_room(ping, peer); i++) {
        struct ping_run *next = &ping->runs[i];
        if (next->state != PING_WAITING || next->peer != peer || next->deadline <= now)
            continue;
        tern_err err = ping_open(ping, now, next);
        if (err == TERN_OK)
            continue;
        ping_tell(ping, next, err, 0);
        next->state = PING_FREE;
    }
}

static void ping_reset(struct tern_ping *ping, tern_time now, struct ping_run *run, uint32_t code)
{
    tern_swarm_reset(ping->swarm, run->stream, code);
    ping_free(ping, now, run);
}

static void ping_received(struct tern_ping *ping, tern_time now, struct ping_run *run)
{
    struct tern_slice bytes;
    while (run->state == PING_RUNNING &&
           tern_swarm_read(ping->swarm, run->stream, &bytes) == TERN_OK) {
        size_t size = tern_min_size(bytes.view.size, TERN_PING_SIZE - run->received);
        bool same = size == bytes.view.size &&
                    memcmp(run->payload + run->received, bytes.view.data, size) == 0;
        tern_swarm_consume(ping->swarm, run->stream, bytes.view.size);
        run->received += size;
        if (same && run->received < TERN_PING_SIZE)
            continue;
        if (same) {
            tern_time rtt = tern_time_since(now, run->sent_at);
            tern_swarm_ping_result(ping->swarm, run->stream.connection, rtt);
            ping_tell(ping, run, TERN_OK, rtt);
            run->state = PING_ENDING;
            TERN_IGNORE(
                tern_swarm_close_write(ping->swarm, run->stream)); /* it may have ended already */
        } else {
            tern_swarm_report(ping->swarm, now, run->peer, TERN_FAULT_PING_MISMATCH);
            ping_tell(ping, run, TERN_ERR_PROTOCOL, 0);
            ping_reset(ping, now, run, TERN_STREAM_CODE_VIOLATION);
        }
    }
}

tern_err tern_ping_send(struct tern_ping *ping, tern_time now,
                        const struct tern_ping_request *request)
{
    size_t i = 0;
    while (i < TERN_PING_RUNNING_MAX && ping->runs[i].state != PING_FREE)
        i++;
    if (i == TERN_PING_RUNNING_MAX)
        return TERN_ERR_FULL;
    struct ping_run *run = &ping->runs[i];
    *run = (struct ping_run){.peer = request->peer,
                             .token = request->token,
                             .deadline = tern_time_add(now, request->timeout_ns)};
    tern_random_bytes(ping->random, run->payload, sizeof run->payload);
    if (ping_has_room(ping, request->peer))
        return ping_open(ping, now, run);
    run->state = PING_WAITING;
    return TERN_OK;
}

bool tern_ping_next(struct tern_ping *ping, struct tern_ping_event *event)
{
    return tern_ring_pop(&ping->events, event);
}

/* --- the service --- */

static struct ping_run *ping_run_of(struct tern_ping *ping, const struct tern_swarm_event *event)
{
    TERN_CHECK(event->user <= TERN_PING_RUNNING_MAX);
    if (event->user == 0)
        return NULL; /* a stream that we serve */
    struct ping_run *run = &ping->runs[event->user - 1];
    return (run->state == PING_RUNNING || run->state == PING_ENDING) &&
                   run->stream.id == event->stream.id &&
                   run->stream.connection == event->stream.connection
               ? run
               : NULL;
}

static void ping_event(void *self, tern_time now, const struct tern_swarm_event *event)
{
    struct tern_ping *ping = self;
    struct ping_run *run = NULL;
    switch (event->kind) {
    case TERN_SWARM_STREAM_OPENED:
        break;
    case TERN_SWARM_STREAM_READABLE:
    case TERN_SWARM_STREAM_WRITABLE:
        run = ping_run_of(ping, event);
        if (run != NULL)
            ping_received(ping, now, run);
        else if (event->user == 0)
            ping_echo(ping, event->stream);
        break;
    case TERN_SWARM_STREAM_ENDED:
        run = ping_run_of(ping, event);
        if (run == NULL)
            break;
        if (run->state == PING_RUNNING)
            ping_tell(ping, run, event->err == TERN_OK ? TERN_ERR_CLOSED : event->err, 0);
        ping_free(ping, now, run);
        break;
    case TERN_SWARM_STREAM_READY:
    case TERN_SWARM_PEER_UP:
    case TERN_SWARM_PEER_DOWN:
    case TERN_SWARM_CONNECTION_UP:
    case TERN_SWARM_CONNECTION_DOWN:
    case TERN_SWARM_LISTENING:
    case TERN_SWARM_LISTEN_FAILED:
    case TERN_SWARM_DIAL_DONE:
    case TERN_SWARM_ADDRESSES:
    case TERN_SWARM_PROTOCOLS:
        break;
    }
}

static tern_time ping_deadline(const void *self)
{
    const struct tern_ping *ping = self;
    tern_time deadline = TERN_TIME_NEVER;
    for (size_t i = 0; i < TERN_PING_RUNNING_MAX; i++)
        if (ping->runs[i].state != PING_FREE)
            deadline = tern_time_min(deadline, ping->runs[i].deadline);
    return deadline;
}

static void ping_tick(void *self, tern_time now)
{
    struct tern_ping *ping = self;
    for (size_t i = 0; i < TERN_PING_RUNNING_MAX; i++) {
        struct ping_run *run = &ping->runs[i];
        if (run->state == PING_FREE || now < run->deadline)
            continue;
        if (run->state == PING_RUNNING)
            tern_swarm_ping_result(ping->swarm, run->stream.connection, 0);
        if (run->state != PING_ENDING)
            ping_tell(ping, run, TERN_ERR_TIMEOUT, 0);
        if (run->state == PING_WAITING)
            run->state = PING_FREE;
        else
            ping_reset(ping, now, run, TERN_STREAM_CODE_IDLE);
    }
}

static const struct tern_service_ops ping_ops = {
    .name = "ping", .event = ping_event, .deadline = ping_deadline, .tick = ping_tick};

tern_err tern_ping_new(struct tern_mem *mem, struct tern_random *random, struct tern_swarm *swarm,
                       struct tern_ping **out)
{
    struct tern_ping *ping = tern_mem_zalloc(mem, sizeof *ping);
    if (ping == NULL)
        return TERN_ERR_MEMORY;
    ping->mem = mem;
    ping->random = random;
    ping->swarm = swarm;
    tern_ring_init(&ping->events, mem, sizeof(struct tern_ping_event), TERN_PING_RUNNING_MAX);
    tern_err err = tern_swarm_add_service(swarm, &ping_ops, ping, &ping->number);
    if (err == TERN_OK)
        err = tern_swarm_handle(swarm,
                                &(struct tern_protocol){.name = ping_name,
                                                        .handler = ping->number,
                                                        .class = TERN_STREAM_CONTROL,
                                                        .inbound_per_peer_max = PING_STREAMS_MAX,
                                                        .replay_harmless = true});
    if (err != TERN_OK) {
        tern_ping_free(ping);
        return err;
    }
    *out = ping;
    return TERN_OK;
}

void tern_ping_free(struct tern_ping *ping)
{
    if (ping == NULL)
        return;
    tern_ring_fini(&ping->events);
    tern_mem_free(ping->mem, ping, sizeof *ping);
}
