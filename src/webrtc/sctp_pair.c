#include "webrtc/sctp_pair.h"

#include <stdlib.h>

#include "base/check.h"
#include "webrtc/sctp_wire.h"

enum { PAIR_HEAD_SIZE = 5, PAIR_EVENTS_MAX = 100000 };

static void pair_wrong(struct sctp_pair *pair, const char *what)
{
    if (pair->wrong == NULL)
        pair->wrong = what;
}

static uint8_t pair_pattern(uint16_t stream, uint64_t offset)
{
    return (uint8_t)(offset * 7 + (offset >> 8) * 31 + (offset >> 16) * 3 + stream * 101U);
}

static bool pair_end_init(struct sctp_pair *pair, int i, const struct sctp_pair_options *options)
{
    struct sctp_end *end = &pair->ends[i];
    struct tern_random random;
    tern_random_init_u64(&random, options->seed * 2 + (uint64_t)i);
    tern_mem_init(&end->mem, 0);
    end->pool.mem = &end->mem;
    end->at = datagram_endpoint((uint8_t)(1 + i), 5000);
    end->socket = datagram_net_bind(&pair->net, &end->at, &options->link);
    const struct tern_sctp_options sctp = {
        .mem = &end->mem,
        .random = &random,
        .pool = &end->pool,
        .window_bytes = options->window_bytes,
        .rtt_ns = options->rtt_ns,
        .checksums = options->checksums,
    };
    return tern_sctp_new(&sctp, pair->now, &end->sctp) == TERN_OK;
}

bool sctp_pair_init(struct sctp_pair *pair, const struct sctp_pair_options *options)
{
    *pair = (struct sctp_pair){.now = TERN_SECOND};
    datagram_net_init(&pair->net, options->seed);
    bool good = pair_end_init(pair, 0, options);
    return pair_end_init(pair, 1, options) && good;
}

void sctp_pair_fini(struct sctp_pair *pair)
{
    for (int i = 0; i < 2; i++) {
        tern_sctp_free(pair->ends[i].sctp);
        tern_mux_pool_trim(&pair->ends[i].pool);
        tern_mem_fini(&pair->ends[i].mem);
    }
    datagram_net_fini(&pair->net);
}

/* ---- the log ---- */

static const char *pair_chunk_name(uint8_t type)
{
    switch (type) {
    case SCTP_DATA:
        return "DATA";
    case SCTP_INIT:
        return "INIT";
    case SCTP_INIT_ACK:
        return "INIT ACK";
    case SCTP_SACK:
        return "SACK";
    case SCTP_HEARTBEAT:
        return "HEARTBEAT";
    case SCTP_HEARTBEAT_ACK:
        return "HEARTBEAT ACK";
    case SCTP_ABORT:
        return "ABORT";
    case SCTP_SHUTDOWN:
        return "SHUTDOWN";
    case SCTP_SHUTDOWN_ACK:
        return "SHUTDOWN ACK";
    case SCTP_ERROR:
        return "ERROR";
    case SCTP_COOKIE_ECHO:
        return "COOKIE ECHO";
    case SCTP_COOKIE_ACK:
        return "COOKIE ACK";
    case SCTP_SHUTDOWN_COMPLETE:
        return "SHUTDOWN COMPLETE";
    case SCTP_RECONFIG:
        return "RE-CONFIG";
    case SCTP_FORWARD_TSN:
        return "FORWARD TSN";
    default: /* any number */
        return "?";
    }
}

static uint32_t pair_u32(struct tern_view view, size_t at)
{
    struct tern_reader r = tern_reader_of(view);
    uint32_t value;
    tern_reader_skip(&r, at);
    tern_reader_u32be(&r, &value);
    return value;
}

static void pair_log_chunk(const struct sctp_chunk *chunk, struct tern_writer *w)
{
    tern_writer_str(w, "  ");
    tern_writer_str(w, pair_chunk_name(chunk->type));
    if (chunk->type == SCTP_DATA) {
        tern_writer_str(w, " ");
        tern_writer_decimal(w, pair_u32(chunk->value, 4) >> 16);
        tern_writer_str(w, chunk->flags & SCTP_BEGIN ? " [" : " ");
        tern_writer_decimal(w, chunk->value.size - 12);
        tern_writer_str(w, chunk->flags & SCTP_END ? "]" : "");
        tern_writer_str(w, chunk->flags & SCTP_IMMEDIATE ? "!" : "");
    } else if (chunk->type == SCTP_SACK) {
        for (size_t at = 12; at + 4 <= chunk->value.size; at += 4) {
            uint32_t block = pair_u32(chunk->value, at);
            tern_writer_str(w, " +");
            tern_writer_decimal(w, block >> 16);
            tern_writer_str(w, "..");
            tern_writer_decimal(w, block & UINT16_MAX);
        }
    }
}

static void pair_log(struct sctp_pair *pair, int from, struct tern_view packet)
{
    char line[512];
    struct tern_writer w = tern_writer_of(line, sizeof line);
    struct tern_reader r = tern_reader_of(packet);
    struct sctp_chunk chunk;
    tern_reader_skip(&r, SCTP_HEADER_SIZE);
    while (sctp_next_chunk(&r, &chunk))
        pair_log_chunk(&chunk, &w);
    tern_writer_terminate(&w);
    golden_line(pair->log, "%6u ms  %s%s", (unsigned)(pair->now / TERN_MILLISECOND - 1000),
                from == 0 ? "a" : "b", line);
}

/* ---- events ---- */

/* pair_data holds a fragment against the model. */
static void pair_data(struct sctp_pair *pair, int to, const struct tern_sctp_event *event)
{
    struct sctp_pair_flow *flow = &pair->ends[1 - to].flows[event->stream % SCTP_PAIR_STREAMS];
    struct tern_view data = event->data.view;
    if (event->stream >= SCTP_PAIR_STREAMS || flow->count == 0) {
        pair_wrong(pair, "data that nobody has sent");
        return;
    }
    uint32_t size = flow->sizes[flow->first];
    if (event->begin != (flow->part == 0) || data.size > size - flow->part ||
        event->end != (flow->part + data.size == size))
        pair_wrong(pair, "a message does not begin or end where it did");
    for (size_t i = 0; i < data.size; i++) {
        if (data.data[i] != pair_pattern(event->stream, flow->received + i))
            pair_wrong(pair, "other bytes than were sent");
    }
    flow->received += data.size;
    flow->part += (uint32_t)data.size;
    if (flow->part < size)
        return;
    flow->part = 0;
    flow->first = (flow->first + 1) % SCTP_PAIR_MESSAGES;
    flow->count--;
}

static void pair_event(struct sctp_pair *pair, int to, const struct tern_sctp_event *event)
{
    struct sctp_end *end = &pair->ends[to];
    switch (event->kind) {
    case TERN_SCTP_UP:
        if (end->up)
            pair_wrong(pair, "up twice");
        end->up = true;
        return;
    case TERN_SCTP_DATA:
        pair_data(pair, to, event);
        if (end->hold)
            end->unread += event->data.view.size;
        else
            tern_sctp_consume(end->sctp, event->data.view.size);
        return;
    case TERN_SCTP_RESET_IN:
        end->resets_in++;
        if (pair->ends[1 - to].flows[event->stream % SCTP_PAIR_STREAMS].count > 0)
            pair_wrong(pair, "a stream is reset before its last message has come");
        return;
    case TERN_SCTP_RESET_OUT:
        end->resets_out++;
        end->flows[event->stream % SCTP_PAIR_STREAMS].resetting = false;
        return;
    case TERN_SCTP_STREAM_GAP:
        end->gaps++;
        return;
    }
}

static void pair_drain(struct sctp_pair *pair, int to)
{
    struct tern_sctp_event event;
    for (int i = 0; tern_sctp_next(pair->ends[to].sctp, &event); i++) {
        TERN_CHECK(i < PAIR_EVENTS_MAX);
        pair_event(pair, to, &event);
    }
}

void sctp_pair_give(struct sctp_pair *pair, int to, struct tern_view packet)
{
    struct sctp_end *end = &pair->ends[to];
    /* As a DTLS session does: each packet in a chunk of two KiB. */
    struct tern_chunk *chunk = tern_chunk_new(&end->mem, 2048);
    if (chunk == NULL || packet.size > chunk->capacity) {
        tern_chunk_unref(chunk);
        return;
    }
    tern_copy(chunk->data, packet.data, packet.size);
    chunk->size = (uint32_t)packet.size;
    tern_sctp_recv(end->sctp, pair->now,
                   (struct tern_slice){.chunk = chunk, .view = tern_chunk_view(chunk)});
    tern_chunk_unref(chunk);
    pair_drain(pair, to);
}

struct tern_view sctp_pair_take(struct sctp_pair *pair, int from, uint8_t room[SCTP_PAIR_PACKET])
{
    size_t size = tern_sctp_write(pair->ends[from].sctp, pair->now,
                                  (struct tern_span){room, SCTP_PAIR_PACKET});
    pair_drain(pair, from);
    return tern_view_of(room, size);
}

/* ---- time ---- */

static bool pair_flush(struct sctp_pair *pair, int from)
{
    struct sctp_end *end = &pair->ends[from];
    uint8_t room[SCTP_PAIR_PACKET];
    bool any = false;
    struct tern_view packet;
    while ((packet = sctp_pair_take(pair, from, room)).size > 0) {
        if (pair->log != NULL)
            pair_log(pair, from, packet);
        struct tern_datagrams_out out = {
            .path = {.local = end->at, .remote = pair->ends[1 - from].at},
            .segment_size = (uint16_t)packet.size,
            .writer = tern_writer_of(room, packet.size),
        };
        out.writer.size = packet.size;
        datagram_net_send(&pair->net, pair->now, end->socket, &out);
        any = true;
    }
    if (tern_sctp_want_write(end->sctp))
        pair_wrong(pair, "an end wants to write and does not");
    return any;
}

static bool pair_deliver(struct sctp_pair *pair)
{
    tern_link_id socket;
    struct tern_datagrams in;
    if (!datagram_net_recv(&pair->net, pair->now, &socket, &in))
        return false;
    for (size_t at = 0; at < in.data.size; at += in.segment_size)
        sctp_pair_give(
            pair, socket == pair->ends[0].socket ? 0 : 1,
            tern_view_part(in.data, at, tern_min_size(in.segment_size, in.data.size - at)));
    return true;
}

bool sctp_pair_step(struct sctp_pair *pair, tern_time limit)
{
    bool any = pair_flush(pair, 0);
    if (pair_flush(pair, 1) || any || pair_deliver(pair))
        return true;
    tern_time next = datagram_net_next(&pair->net);
    for (int i = 0; i < 2; i++)
        next = tern_time_min(next, tern_sctp_deadline(pair->ends[i].sctp));
    if (next > limit) {
        pair->now = limit > pair->now ? limit : pair->now;
        return false;
    }
    pair->now = next > pair->now ? next : pair->now;
    for (int i = 0; i < 2; i++) {
        tern_sctp_tick(pair->ends[i].sctp, pair->now);
        pair_drain(pair, i);
    }
    return true;
}

void sctp_pair_run(struct sctp_pair *pair, tern_time duration)
{
    tern_time limit = pair->now + duration;
    while (sctp_pair_step(pair, limit))
        continue;
}

static bool pair_settled(const struct sctp_pair *pair)
{
    for (int i = 0; i < 2; i++) {
        const struct sctp_end *end = &pair->ends[i];
        if (!end->up || tern_sctp_held(end->sctp) > 0)
            return false;
        for (int j = 0; j < SCTP_PAIR_STREAMS; j++) {
            if (end->flows[j].count > 0 || end->flows[j].resetting)
                return false;
        }
    }
    return true;
}

bool sctp_pair_settle(struct sctp_pair *pair, tern_time duration)
{
    tern_time limit = pair->now + duration;
    while (!pair_settled(pair)) {
        if (!sctp_pair_step(pair, limit))
            return pair_settled(pair);
    }
    return true;
}

/* ---- the owner's calls ---- */

tern_err sctp_pair_send(struct sctp_pair *pair, int from, uint16_t stream, uint32_t size)
{
    struct sctp_end *end = &pair->ends[from];
    struct sctp_pair_flow *flow = &end->flows[stream];
    if (flow->count == SCTP_PAIR_MESSAGES || flow->resetting)
        return TERN_ERR_FULL;
    uint8_t bytes[1024];
    struct tern_mux_queue queue = {.size = 0};
    uint8_t head[PAIR_HEAD_SIZE];
    size_t head_size = tern_min_size(size, sizeof head);
    for (size_t i = 0; i < head_size; i++)
        head[i] = pair_pattern(stream, flow->sent + i);
    tern_err err = TERN_OK;
    for (size_t done = head_size; done < size && err == TERN_OK;) {
        size_t part = tern_min_size(sizeof bytes, size - done);
        for (size_t i = 0; i < part; i++)
            bytes[i] = pair_pattern(stream, flow->sent + done + i);
        if (!tern_mux_queue_put(&end->pool, &queue, tern_view_of(bytes, part)))
            err = TERN_ERR_MEMORY;
        done += part;
    }
    if (err == TERN_OK) {
        const struct tern_sctp_message message = {.stream = stream,
                                                  .ppid = 53,
                                                  .head = tern_view_of(head, head_size),
                                                  .queue = &queue,
                                                  .size = size - head_size};
        err = tern_sctp_send(end->sctp, &message);
    }
    tern_mux_queue_clear(&end->pool, &queue);
    if (err != TERN_OK)
        return err;
    flow->sizes[(flow->first + flow->count++) % SCTP_PAIR_MESSAGES] = size;
    flow->sent += size;
    return TERN_OK;
}

tern_err sctp_pair_reset(struct sctp_pair *pair, int from, uint16_t stream)
{
    struct sctp_pair_flow *flow = &pair->ends[from].flows[stream];
    if (flow->resetting)
        return TERN_ERR_EXISTS;
    tern_err err = tern_sctp_reset(pair->ends[from].sctp, stream);
    flow->resetting = err == TERN_OK;
    pair_drain(pair, from);
    return err;
}

void sctp_pair_release(struct sctp_pair *pair, int to, size_t size)
{
    struct sctp_end *end = &pair->ends[to];
    size = tern_min_size(size, end->unread);
    end->unread -= size;
    tern_sctp_consume(end->sctp, size);
}

/* ---- the model ---- */

static uint32_t pair_size(struct tern_random *random)
{
    static const uint32_t bounds[] = {20, 200, 1200, 5000, 20000, 100000};
    return 1 + (uint32_t)tern_random_below(
                   random, bounds[tern_random_below(random, TERN_COUNT_OF(bounds))]);
}

static void pair_choice(struct sctp_pair *pair, struct tern_random *random)
{
    int end = (int)tern_random_below(random, 2);
    uint16_t stream = (uint16_t)tern_random_below(random, 6);
    switch (tern_random_below(random, 16)) {
    case 0:
        if (tern_random_chance(random, 1, 4))
            (void)!sctp_pair_reset(pair, end, stream);
        return;
    case 1:
        pair->ends[end].hold = tern_random_chance(random, 1, 2);
        return;
    case 2:
        sctp_pair_release(pair, end, tern_random_below(random, 200000));
        return;
    case 3:
    case 4:
    case 5:
    case 6:
        for (int i = 0; i < 5 && tern_sctp_hungry(pair->ends[end].sctp); i++)
            (void)!sctp_pair_send(pair, end, stream, pair_size(random));
        return;
    case 7:
        sctp_pair_run(pair, tern_random_below(random, 400) * TERN_MILLISECOND);
        return;
    default:
        sctp_pair_step(pair, pair->now + 20 * TERN_MILLISECOND);
        return;
    }
}

const char *sctp_pair_random(const struct sctp_pair_options *options, unsigned steps)
{
    struct sctp_pair *pair = calloc(1, sizeof *pair);
    TERN_CHECK(pair != NULL);
    struct tern_random random;
    tern_random_init_u64(&random, options->seed ^ 0x5ca1ab1e);
    bool good = sctp_pair_init(pair, options);
    TERN_CHECK(good);
    for (unsigned i = 0; i < steps && pair->wrong == NULL; i++)
        pair_choice(pair, &random);
    for (int i = 0; i < 2; i++) {
        datagram_net_socket(&pair->net, pair->ends[i].socket)->link =
            (struct datagram_link){.latency_ns = 5 * TERN_MILLISECOND};
        pair->ends[i].hold = false;
        sctp_pair_release(pair, i, SIZE_MAX);
    }
    if (pair->wrong == NULL && !sctp_pair_settle(pair, 2 * TERN_MINUTE))
        pair_wrong(pair, "it does not settle when the link has healed");
    for (int i = 0; i < 2; i++) {
        if (tern_sctp_error(pair->ends[i].sctp) != TERN_OK)
            pair_wrong(pair, "the association has ended");
    }
    const char *wrong = pair->wrong;
    sctp_pair_fini(pair);
    free(pair);
    return wrong;
}
