#include "protocol/ping/ping.h"

#include "base/check.h"
#include "base/ring.h"

/* Streams of a peer that are served at once. The specification says two; some more, because the end
 * of one may come behind the beginning of the next. */
enum { PING_INBOUND_MAX = 4 };

/* One ping that is running. Its stream carries the index + 1 as user value. */
struct ping_run {
    bool used;
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

static void ping_finish(struct tern_ping *ping, struct ping_run *run, tern_err err, tern_time rtt)
{
    struct tern_ping_event event = {
        .token = run->token, .peer = run->peer, .err = err, .rtt_ns = rtt};
    run->used = false;
    tern_err pushed = tern_ring_push(&ping->events, &event);
    TERN_CHECK(pushed == TERN_OK || pushed == TERN_ERR_MEMORY || pushed == TERN_ERR_FULL);
}

static void ping_received(struct tern_ping *ping, tern_time now, struct ping_run *run)
{
    struct tern_slice bytes;
    while (run->used && tern_swarm_read(ping->swarm, run->stream, &bytes) == TERN_OK) {
        size_t size = tern_min_size(bytes.view.size, TERN_PING_SIZE - run->received);
        bool same = size == bytes.view.size &&
                    memcmp(run->payload + run->received, bytes.view.data, size) == 0;
        tern_swarm_consume(ping->swarm, run->stream, bytes.view.size);
        run->received += size;
        if (same && run->received < TERN_PING_SIZE)
            continue;
        struct tern_stream stream = run->stream;
        if (same) {
            tern_swarm_ping_result(ping->swarm, stream.connection,
                                   tern_time_since(now, run->sent_at));
            ping_finish(ping, run, TERN_OK, tern_time_since(now, run->sent_at));
            TERN_IGNORE(
                tern_swarm_close_write(ping->swarm, stream)); /* it may have ended already */
        } else {
            tern_swarm_report(ping->swarm, now, run->peer, TERN_FAULT_PING_MISMATCH);
            ping_finish(ping, run, TERN_ERR_PROTOCOL, 0);
            tern_swarm_reset(ping->swarm, stream, TERN_STREAM_CODE_VIOLATION);
        }
    }
}

tern_err tern_ping_send(struct tern_ping *ping, tern_time now,
                        const struct tern_ping_request *request)
{
    size_t i = 0;
    size_t accepted;
    while (i < TERN_PING_RUNNING_MAX && ping->runs[i].used)
        i++;
    if (i == TERN_PING_RUNNING_MAX)
        return TERN_ERR_FULL;
    struct ping_run *run = &ping->runs[i];
    struct tern_stream_request open = {
        .service = ping->number,
        .peer = request->peer,
        .offer = {.names = &ping_name, .names_count = 1, .class = TERN_STREAM_CONTROL},
        .user = i + 1};
    *run = (struct ping_run){.peer = request->peer,
                             .token = request->token,
                             .sent_at = now,
                             .deadline = tern_time_add(now, request->timeout_ns)};
    tern_random_bytes(ping->random, run->payload, sizeof run->payload);
    TERN_TRY(tern_swarm_open_stream(ping->swarm, now, &open, &run->stream));
    tern_err err = tern_swarm_write(ping->swarm, run->stream,
                                    tern_view_of(run->payload, sizeof run->payload), &accepted);
    if (err == TERN_OK && accepted == sizeof run->payload) {
        run->used = true;
        return TERN_OK;
    }
    tern_swarm_reset(ping->swarm, run->stream, TERN_STREAM_CODE_RESOURCE_LIMIT);
    return err == TERN_OK ? TERN_ERR_MEMORY : err;
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
    return run->used && run->stream.id == event->stream.id &&
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
        if (run != NULL)
            ping_finish(ping, run, event->err == TERN_OK ? TERN_ERR_CLOSED : event->err, 0);
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
        if (ping->runs[i].used)
            deadline = tern_time_min(deadline, ping->runs[i].deadline);
    return deadline;
}

static void ping_tick(void *self, tern_time now)
{
    struct tern_ping *ping = self;
    for (size_t i = 0; i < TERN_PING_RUNNING_MAX; i++) {
        struct ping_run *run = &ping->runs[i];
        if (!run->used || now < run->deadline)
            continue;
        struct tern_stream stream = run->stream;
        tern_swarm_ping_result(ping->swarm, stream.connection, 0);
        ping_finish(ping, run, TERN_ERR_TIMEOUT, 0);
        tern_swarm_reset(ping->swarm, stream, TERN_STREAM_CODE_IDLE);
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
                                                        .inbound_per_peer_max = PING_INBOUND_MAX,
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
