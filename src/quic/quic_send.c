/*
 * Packets out, pulled when the socket has room. The sessions of a socket take turns of one batch:
 * packets of one size on one path, as far as pacing and the room go. What goes into a packet is
 * decided when it is filled: ngtcp2's own frames and what was lost, then the streams by
 * mux/schedule.h.
 *
 * A packet that does not fit the batch (a probe of another path) waits in the outbox of its socket.
 */
#include "quic/quic_internal.h"

enum {
    SEND_STEPS_MAX = 1 << 16,       /* streams that are looked at for one packet */
    SEND_PACKET_MIN = 64,           /* less room is of no use */
    SEND_KEY_RETRY_BYTES = 1 << 24, /* a change of keys that is too soon is tried again */
    SEND_PROBE_AFTER = 4 << 10,  /* bytes of streams, before larger datagrams are looked for, … */
    SEND_LARGE_AFTER = 64 << 10, /* … and those of more than … */
    SEND_SMALL_MAX = 1472,       /* … this */
};

/* One packet that is being filled. */
struct send_packet {
    uint8_t *at;
    size_t room;
    ngtcp2_path_storage path;
    ngtcp2_pkt_info info;
};

/* --- streams --- */

/* send_number opens a stream of ours on the wire; false: the remote allows no more now. */
static bool send_number(struct tern_quic_conn *conn, struct quic_stream *stream)
{
    int code = stream->base.flags & QUIC_ONE_WAY
                   ? ngtcp2_conn_open_uni_stream(conn->ng, &stream->wire, stream)
                   : ngtcp2_conn_open_bidi_stream(conn->ng, &stream->wire, stream);
    if (code != 0) {
        stream->wire = -1;
        return false;
    }
    stream->base.wire_id = (uint64_t)stream->wire + 1;
    stream->base.flags |= QUIC_ON_WIRE;
    stream->window.tuned_at = conn->quic->now;
    conn->unnumbered--;
    return true;
}

/* send_cursor is the segment in which the unsent bytes begin, and where in its chunk. */
static struct tern_mux_segment *send_cursor(const struct quic_stream *stream, uint32_t *at)
{
    struct tern_mux_segment *segment = stream->cursor;
    if (segment == NULL) {
        segment = stream->base.out.first;
        *at = segment == NULL ? 0 : segment->offset;
        return segment;
    }
    *at = stream->cursor_at;
    if (*at < segment->offset + segment->size || segment->next == NULL)
        return segment;
    *at = segment->next->offset;
    return segment->next;
}

/* send_gather views at most size unsent bytes of the stream in pieces; returns how many. */
static size_t send_gather(const struct quic_stream *stream, size_t size,
                          ngtcp2_vec pieces[QUIC_VECTORS_MAX], size_t *count)
{
    uint32_t at;
    size_t gathered = 0;
    struct tern_mux_segment *segment = send_cursor(stream, &at);
    size = tern_min_size(size, tern_mux_stream_unsent(&stream->base));
    *count = 0;
    while (gathered < size && *count < QUIC_VECTORS_MAX) {
        TERN_CHECK(segment != NULL);
        size_t left = segment->offset + segment->size - at;
        size_t part = tern_min_size(left, size - gathered);
        pieces[(*count)++] = (ngtcp2_vec){.base = segment->chunk->data + at, .len = part};
        gathered += part;
        segment = segment->next;
        at = segment == NULL ? 0 : segment->offset;
    }
    return gathered;
}

/* send_advance moves the cursor over bytes that were sent. */
static void send_advance(struct quic_stream *stream, size_t size)
{
    uint32_t at;
    struct tern_mux_segment *segment = send_cursor(stream, &at);
    stream->base.sent += size;
    while (size > 0) {
        TERN_CHECK(segment != NULL);
        size_t left = segment->offset + segment->size - at;
        size_t part = tern_min_size(left, size);
        at += (uint32_t)part;
        size -= part;
        stream->cursor = segment;
        stream->cursor_at = at;
        segment = segment->next;
        at = segment == NULL ? 0 : segment->offset;
    }
}

/* send_taken: so many bytes of the stream, and perhaps its end, are in the packet. */
static void send_taken(struct tern_quic_conn *conn, struct quic_stream *stream, size_t size,
                       bool fin)
{
    struct tern_mux_stream *base = &stream->base;
    tern_schedule_sent(&conn->streams.schedule, &base->turn, size);
    if (size > 0)
        send_advance(stream, size);
    conn->unacked += size;
    conn->stream_bytes_out += size;
    if (base->flags & MUX_ANNOUNCE) {
        base->flags &= ~(uint32_t)MUX_ANNOUNCE;
        tern_list_remove(&base->control);
    }
    if (fin)
        base->flags |= MUX_FIN_SENT;
    tern_mux_stream_say_writable(&conn->streams, base);
    quic_stream_update(conn, stream);
    if (fin)
        quic_stream_close_if_done(conn, stream);
}

/* --- packets --- */

/* send_next is the stream that goes next into a packet, numbered; NULL: none. */
static struct quic_stream *send_next(struct tern_quic_conn *conn, size_t *size_max)
{
    struct tern_schedule *schedule = &conn->streams.schedule;
    if (conn->unacked >= conn->quic->options.unacked_max)
        return NULL;
    for (unsigned i = 0; i < SEND_STEPS_MAX; i++) {
        struct tern_schedule_turn *turn = tern_schedule_next(schedule, size_max);
        if (turn == NULL)
            return NULL;
        struct quic_stream *stream = TERN_CONTAINER_OF(turn, struct quic_stream, base.turn);
        if (stream->wire >= 0 || send_number(conn, stream))
            return stream;
        tern_schedule_remove(schedule, turn);
    }
    TERN_UNREACHABLE();
}

/* send_write lets ngtcp2 go on with the packet, with what a stream gives. */
static ngtcp2_ssize send_write(struct tern_quic_conn *conn, struct send_packet *packet,
                               struct quic_stream *stream, size_t size_max)
{
    ngtcp2_vec pieces[QUIC_VECTORS_MAX];
    size_t count = 0;
    ngtcp2_ssize taken = -1;
    if (stream == NULL)
        return ngtcp2_conn_writev_stream(conn->ng, &packet->path.path, &packet->info, packet->at,
                                         packet->room, &taken, NGTCP2_WRITE_STREAM_FLAG_NONE, -1,
                                         NULL, 0, conn->quic->now);
    size_t size = send_gather(stream, tern_min_size(size_max, packet->room), pieces, &count);
    bool last =
        size == tern_mux_stream_unsent(&stream->base) && (stream->base.flags & MUX_FIN_ASKED) != 0;
    uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE | (last ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0);
    ngtcp2_ssize written = ngtcp2_conn_writev_stream(conn->ng, &packet->path.path, &packet->info,
                                                     packet->at, packet->room, &taken, flags,
                                                     stream->wire, pieces, count, conn->quic->now);
    if (taken >= 0)
        send_taken(conn, stream, (size_t)taken, last && (size_t)taken == size);
    return written;
}

/* send_fill fills one packet: its size, 0 when there is nothing to send now, or an error. */
static ngtcp2_ssize send_fill(struct tern_quic_conn *conn, struct send_packet *packet)
{
    for (unsigned i = 0; i < SEND_STEPS_MAX; i++) {
        size_t size_max = 0;
        struct quic_stream *stream = send_next(conn, &size_max);
        ngtcp2_ssize written = send_write(conn, packet, stream, size_max);
        switch (written) { /* a library's numbers, not an enum of ours */
        case NGTCP2_ERR_WRITE_MORE:
            break;
        case NGTCP2_ERR_STREAM_DATA_BLOCKED:
            tern_schedule_remove(&conn->streams.schedule, &stream->base.turn);
            break;
        case NGTCP2_ERR_STREAM_SHUT_WR:
        case NGTCP2_ERR_STREAM_NOT_FOUND:
            quic_stream_stop(conn, stream);
            break;
        default:
            return written;
        }
    }
    TERN_UNREACHABLE();
}

/* --- batches --- */

/* A batch that is being filled: out's writer holds packets of one size. */
struct send_batch {
    struct tern_quic_conn *conn;
    struct tern_datagrams_out *out;
    ngtcp2_path_storage path; /* of the first packet */
    size_t start;             /* of it in the writer */
    size_t budget;            /* bytes that pacing allows */
    size_t count;
};

/* send_begin makes the packet the first of the batch. */
static void send_begin(struct send_batch *batch, const struct send_packet *packet, size_t size)
{
    struct tern_datagrams_out *out = batch->out;
    ngtcp2_path_copy(&batch->path.path, &packet->path.path);
    tern_quic_path_get(&packet->path.path, &out->path);
    out->path.local.port = batch->conn->quic->sockets[batch->conn->socket].port;
    out->ecn = packet->info.ecn;
    out->segment_size = (uint16_t)size;
}

/* send_apart queues a packet that does not fit the batch. */
static void send_apart(const struct send_batch *batch, const struct send_packet *packet,
                       size_t size)
{
    struct tern_path path;
    tern_quic_path_get(&packet->path.path, &path);
    quic_outbox(batch->conn->quic, tern_quic_path_socket(&packet->path.path), &path,
                packet->info.ecn, tern_view_of(packet->at, size));
}

/* send_add takes a packet that lies behind the batch into it; false: the batch ends. */
static bool send_add(struct send_batch *batch, const struct send_packet *packet, size_t size)
{
    struct tern_datagrams_out *out = batch->out;
    batch->conn->bytes_out += size;
    batch->conn->key_bytes += size;
    if (batch->count == 0) {
        if (tern_quic_path_socket(&packet->path.path) != batch->conn->socket) {
            send_apart(batch, packet, size);
            return true;
        }
        send_begin(batch, packet, size);
    } else if (size > out->segment_size || packet->info.ecn != out->ecn ||
               !ngtcp2_path_eq(&batch->path.path, &packet->path.path)) {
        send_apart(batch, packet, size);
        return false;
    }
    (void)tern_writer_reserve(&out->writer, size);
    batch->count++;
    return size == out->segment_size && batch->count < TERN_DATAGRAMS_SEGMENTS_MAX &&
           out->writer.size - batch->start < batch->budget;
}

/* send_most is how large a datagram may be; ngtcp2 looks for larger ones where it has room for
 * them. Whoever says little has no use for them, and would end later, as it waits until all is
 * acknowledged. Each end keeps room for the largest that ever came, so that a session pays for
 * large ones when it sends much, and not at rest. */
static size_t send_most(const struct tern_quic_conn *conn)
{
    size_t most = ngtcp2_conn_get_max_tx_udp_payload_size(conn->ng);
    if (conn->quic->now < conn->small_until)
        return TERN_QUIC_DATAGRAM_MIN;
    if (conn->stream_bytes_out >= SEND_LARGE_AFTER)
        return most;
    size_t known = ngtcp2_conn_get_path_max_tx_udp_payload_size(conn->ng);
    bool probe = conn->stream_bytes_out >= SEND_PROBE_AFTER && known < SEND_SMALL_MAX;
    return tern_min_size(most, probe ? SEND_SMALL_MAX : known);
}

/* send_room is how large the next packet may be. */
static size_t send_room(const struct send_batch *batch)
{
    size_t left = tern_writer_left(&batch->out->writer);
    if (batch->count > 0)
        return left < batch->out->segment_size ? 0 : batch->out->segment_size;
    return tern_min_size(left, send_most(batch->conn));
}

/* send_keys changes the keys when much was sent under them. */
static void send_keys(struct tern_quic_conn *conn)
{
    if (!conn->confirmed || conn->key_bytes < conn->quic->options.key_update_bytes)
        return;
    int code = ngtcp2_conn_initiate_key_update(conn->ng, conn->quic->now);
    conn->key_bytes = 0;
    if (code == NGTCP2_ERR_INVALID_STATE &&
        conn->quic->options.key_update_bytes > SEND_KEY_RETRY_BYTES)
        conn->key_bytes = conn->quic->options.key_update_bytes - SEND_KEY_RETRY_BYTES;
    else if (code != 0 && code != NGTCP2_ERR_INVALID_STATE)
        quic_conn_fail(conn, code);
}

/* send_note: silence counts from when there is something that the remote has to acknowledge. */
static void send_note(struct tern_quic_conn *conn)
{
    ngtcp2_conn_info info;
    if (conn->heard_at == conn->quic->now)
        return;
    ngtcp2_conn_get_conn_info(conn->ng, &info);
    if (info.bytes_in_flight == 0)
        conn->waiting_since = conn->quic->now;
}

/* send_session fills a batch from one session; whether it may have more to send now. */
static bool send_session(struct send_batch *batch)
{
    struct tern_quic_conn *conn = batch->conn;
    bool more = true;
    batch->budget = ngtcp2_conn_get_send_quantum(conn->ng);
    send_note(conn);
    ngtcp2_path_storage_zero(&batch->path);
    for (;;) {
        struct send_packet packet = {.room = send_room(batch)};
        if (packet.room < SEND_PACKET_MIN)
            break;
        ngtcp2_path_storage_zero(&packet.path);
        packet.at = batch->out->writer.data + batch->out->writer.size;
        ngtcp2_ssize size = send_fill(conn, &packet);
        if (size < 0) {
            quic_conn_fail(conn, (int)size);
            return false;
        }
        if (size == 0) {
            more = false;
            break;
        }
        if (!send_add(batch, &packet, (size_t)size))
            break;
    }
    ngtcp2_conn_update_pkt_tx_time(conn->ng, conn->quic->now);
    send_keys(conn);
    return more;
}

bool quic_send(struct quic *quic, uint16_t socket, struct tern_datagrams_out *out)
{
    struct tern_list *line = &quic->sockets[socket].ready;
    struct tern_list *node;
    while ((node = tern_list_pop_front(line)) != NULL) {
        struct tern_quic_conn *conn = TERN_LIST_ENTRY(node, struct tern_quic_conn, ready);
        struct send_batch batch = {.conn = conn, .out = out, .start = out->writer.size};
        bool more = send_session(&batch);
        if (more && batch.count > 0)
            quic_conn_wake(conn);
        quic_conn_settle(conn);
        if (batch.count > 0)
            return true;
    }
    return false;
}

size_t quic_conn_farewell(struct tern_quic_conn *conn, const ngtcp2_ccerr *reason,
                          uint8_t out[QUIC_FAREWELL_MAX], struct tern_path *path)
{
    struct send_packet packet = {.at = out, .room = QUIC_FAREWELL_MAX};
    ngtcp2_path_storage_zero(&packet.path);
    ngtcp2_ssize size = ngtcp2_conn_write_connection_close(
        conn->ng, &packet.path.path, &packet.info, packet.at, packet.room, reason, conn->quic->now);
    if (size <= 0)
        return 0;
    tern_quic_path_get(&packet.path.path, path);
    return (size_t)size;
}
