/*
 * Frames out, pulled when the link has room:
 *
 *   1. the farewell, alone, after a fatal error
 *   2. GO_AWAY, answers to pings, a ping, resets of refused streams
 *   3. of each stream that asked: RST, or a window update, or SYN or ACK when no data will carry it
 *   4. data: class CONTROL first; then the other classes by deficit round robin in proportion to
 * their weights; the streams of a class in turn
 *
 * A turn is SEND_TURN bytes when there is competition and the whole room when there is none, so one
 * busy stream gets frames as large as the room and several get short waits.
 */
#include "mux/yamux_internal.h"

enum {
    SEND_TURN = 16 * 1024,
    /* A frame that is cut short by the room carries at least this much, or waits for more room. */
    SEND_SLIVER = 1024,
};

/* Shares of the classes, in turns a round. */
static const uint8_t send_weights[TERN_STREAM_CLASS_COUNT] = {
    [TERN_STREAM_CONTROL] = 0, /* not in the round: always first */
    [TERN_STREAM_CONSENSUS] = 8, [TERN_STREAM_BLOCKS] = 4, [TERN_STREAM_TRANSACTIONS] = 2,
    [TERN_STREAM_MARKET] = 2,    [TERN_STREAM_BULK] = 1,
};

static bool send_fits(const struct tern_writer *out)
{
    return tern_writer_left(out) >= TERN_YAMUX_HEADER_SIZE;
}

/* send_opening numbers a stream of ours with its first frame, and returns the flag that this frame
 * has to carry: SYN, ACK or none. */
static uint16_t send_opening(struct tern_yamux *y, struct tern_yamux_stream *stream, tern_time now)
{
    if (stream->wire_id == 0) {
        TERN_CHECK(y->wire_id_next <= UINT32_MAX - 2);
        tern_yamux_number(y, stream, y->wire_id_next);
        y->wire_id_next += 2;
        stream->tuned_at = now;
        stream->flags &= ~(uint32_t)YAMUX_ANNOUNCE;
        return TERN_YAMUX_SYN;
    }
    if (stream->flags & YAMUX_ACK_DUE) {
        stream->flags &= ~(uint32_t)YAMUX_ACK_DUE;
        return TERN_YAMUX_ACK;
    }
    return 0;
}

static void send_goaway(struct tern_yamux *y, struct tern_writer *out)
{
    if (!y->goaway_due || !send_fits(out))
        return;
    y->goaway_due = false;
    tern_yamux_header_write(
        out, &(struct tern_yamux_header){.type = TERN_YAMUX_GO_AWAY, .length = y->goaway_code});
}

static void send_rst(struct tern_writer *out, uint32_t wire_id, uint32_t code)
{
    tern_yamux_header_write(out, &(struct tern_yamux_header){.type = TERN_YAMUX_WINDOW_UPDATE,
                                                             .flags = TERN_YAMUX_RST,
                                                             .stream_id = wire_id,
                                                             .length = code});
}

static void send_refusals(struct tern_yamux *y, struct tern_writer *out)
{
    struct tern_yamux_refusal refusal;
    while (send_fits(out) && tern_ring_pop(&y->refusals, &refusal))
        send_rst(out, refusal.wire_id, refusal.code);
    if (tern_ring_count(&y->refusals) == 0)
        tern_ring_fini(&y->refusals);
}

/* send_update writes a window update; or an empty one for SYN or ACK, unless data is about to go
 * and will carry the flag. */
static void send_update(struct tern_yamux *y, struct tern_yamux_stream *stream, tern_time now,
                        struct tern_writer *out)
{
    uint32_t delta = stream->wire_id == 0 ? 0 : tern_yamux_window_update(y, stream, now);
    bool flag = (stream->flags & (YAMUX_ACK_DUE | YAMUX_ANNOUNCE)) != 0;
    if (delta == 0 && (!flag || tern_list_linked(&stream->ready)))
        return;
    uint16_t flags = send_opening(y, stream, now);
    tern_yamux_header_write(out, &(struct tern_yamux_header){.type = TERN_YAMUX_WINDOW_UPDATE,
                                                             .flags = flags,
                                                             .stream_id = stream->wire_id,
                                                             .length = delta});
}

static void send_stream_control(struct tern_yamux *y, tern_time now, struct tern_writer *out)
{
    while (send_fits(out)) {
        struct tern_list *node = tern_list_pop_front(&y->control);
        if (node == NULL)
            return;
        struct tern_yamux_stream *stream = TERN_LIST_ENTRY(node, struct tern_yamux_stream, control);
        if (stream->flags & YAMUX_RST_DUE) {
            send_rst(out, stream->wire_id, stream->code);
            stream->flags &= ~(uint32_t)YAMUX_RST_DUE;
            tern_yamux_settle(y, stream);
        } else {
            send_update(y, stream, now, out);
        }
    }
}

/* send_next_class is the class whose turn it is. Something other than CONTROL is ready. */
static uint8_t send_next_class(struct tern_yamux *y)
{
    /* A deficit is at least -SEND_TURN, so a class in debt has its turn within two rounds. */
    for (unsigned i = 0; i < 3 * TERN_STREAM_CLASS_COUNT; i++) {
        uint8_t class = y->class_now;
        bool ready = !tern_list_empty(&y->ready[class]);
        if (ready && y->deficit[class] > 0)
            return class;
        if (!ready)
            y->deficit[class] = 0;
        y->class_now = (uint8_t)((class + 1) % TERN_STREAM_CLASS_COUNT);
        if (!tern_list_empty(&y->ready[y->class_now]))
            y->deficit[y->class_now] += send_weights[y->class_now] * SEND_TURN;
    }
    TERN_UNREACHABLE();
}

static struct tern_yamux_stream *send_front(const struct tern_yamux *y, uint8_t class)
{
    struct tern_list *node = tern_list_front(&y->ready[class]);
    TERN_CHECK(node != NULL);
    return TERN_LIST_ENTRY(node, struct tern_yamux_stream, ready);
}

static bool send_alone(const struct tern_yamux *y, uint8_t class)
{
    return y->ready[class].next->next == &y->ready[class];
}

/* send_pick chooses the stream that goes next and how much it may send. Something is ready. */
static struct tern_yamux_stream *send_pick(struct tern_yamux *y, size_t *turn)
{
    if (y->ready_count == 1)
        *turn = SIZE_MAX;
    else
        *turn = SEND_TURN;
    if (!tern_list_empty(&y->ready[TERN_STREAM_CONTROL])) {
        if (send_alone(y, TERN_STREAM_CONTROL))
            *turn = SIZE_MAX;
        return send_front(y, TERN_STREAM_CONTROL);
    }
    uint8_t class = send_next_class(y);
    if (y->ready_count > 1 && send_alone(y, class))
        *turn = tern_max_size(SEND_TURN, (size_t)y->deficit[class]);
    return send_front(y, class);
}

/* send_spend takes what was sent from the class's share. A class that has the link to itself owes
 * nothing to the others. */
static void send_spend(struct tern_yamux *y, uint8_t class, size_t size)
{
    if (class == TERN_STREAM_CONTROL)
        return;
    y->deficit[class] -= (int32_t)size;
    if (y->deficit[class] < -SEND_TURN)
        y->deficit[class] = -SEND_TURN;
}

/* send_fin: FIN goes alone, behind the data (see yamux.h). */
static void send_fin(struct tern_yamux *y, struct tern_yamux_stream *stream, tern_time now,
                     struct tern_writer *out)
{
    uint16_t flags = (uint16_t)(TERN_YAMUX_FIN | send_opening(y, stream, now));
    tern_yamux_header_write(out, &(struct tern_yamux_header){.type = TERN_YAMUX_DATA,
                                                             .flags = flags,
                                                             .stream_id = stream->wire_id});
    stream->flags |= YAMUX_FIN_SENT;
    tern_yamux_update_ready(y, stream);
    tern_yamux_close_if_done(y, stream);
}

static void send_data_frame(struct tern_yamux *y, struct tern_yamux_stream *stream, tern_time now,
                            size_t size, struct tern_writer *out)
{
    uint16_t flags = send_opening(y, stream, now);
    tern_yamux_header_write(out, &(struct tern_yamux_header){.type = TERN_YAMUX_DATA,
                                                             .flags = flags,
                                                             .stream_id = stream->wire_id,
                                                             .length = (uint32_t)size});
    tern_yamux_queue_take(&y->pool, &stream->out, size, out);
    tern_scope_release(y->scope, TERN_RESOURCE_MEMORY, size);
    stream->send_credit -= (uint32_t)size;
    if ((stream->flags & YAMUX_WRITE_SHORT) && stream->out.size <= y->send_buffer_max / 2) {
        stream->flags &= ~(uint32_t)YAMUX_WRITE_SHORT;
        tern_yamux_say(y, stream, YAMUX_NEWS_WRITABLE);
    }
}

/* send_turn lets one stream send once; false: there is no useful room left. */
static bool send_turn(struct tern_yamux *y, tern_time now, struct tern_writer *out, bool empty)
{
    if (!send_fits(out))
        return false;
    size_t turn;
    struct tern_yamux_stream *stream = send_pick(y, &turn);
    size_t room = tern_writer_left(out) - TERN_YAMUX_HEADER_SIZE;
    if (stream->out.size == 0) {
        send_fin(y, stream, now, out);
        return true;
    }
    size_t wanted = tern_min_size(tern_min_size(stream->out.size, stream->send_credit), turn);
    if (room == 0 || (room < wanted && room < SEND_SLIVER && !empty))
        return false;
    size_t size = tern_min_size(wanted, room);
    send_data_frame(y, stream, now, size, out);
    send_spend(y, stream->class, size);
    /* To the end of the line, if it stays in line. */
    tern_list_remove(&stream->ready);
    tern_list_push_back(&y->ready[stream->class], &stream->ready);
    tern_yamux_update_ready(y, stream);
    return true;
}

void tern_yamux_send(struct tern_yamux *y, tern_time now, struct tern_writer *out)
{
    size_t start = out->size;
    send_goaway(y, out);
    if (y->error != TERN_OK)
        return;
    tern_yamux_ping_send(y, now, out);
    send_refusals(y, out);
    send_stream_control(y, now, out);
    while (y->ready_count > 0 && send_turn(y, now, out, out->size == start))
        continue;
}

bool tern_yamux_want_send(const struct tern_yamux *y)
{
    if (y->goaway_due)
        return true;
    if (y->error != TERN_OK)
        return false;
    return y->pongs_count > 0 || y->ping.due || tern_ring_count(&y->refusals) > 0 ||
           !tern_list_empty(&y->control) || y->ready_count > 0;
}
