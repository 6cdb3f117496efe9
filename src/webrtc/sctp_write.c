/* Packets out: control chunks by what is due, then data as far as there is room. */
#include "webrtc/crc32c.h"
#include "webrtc/sctp_internal.h"

enum { WRITE_HEARTBEAT_SIZE = 16, WRITE_SACK_MIN = 16, WRITE_RESET_MAX = 20 };

bool tern_sctp_want_write(const struct tern_sctp *s)
{
    return s->due != 0 || sctp_out_wants(s);
}

/* write_takes: is this due, and is there room for it? */
static bool write_takes(struct tern_sctp *s, const struct tern_writer *w, enum sctp_due due,
                        size_t size)
{
    if ((s->due & due) == 0 || tern_writer_left(w) < SCTP_CHUNK_HEADER_SIZE + size + 3)
        return false;
    s->due &= ~(uint32_t)due;
    return true;
}

static void write_bare(struct tern_writer *w, enum sctp_chunk_type type)
{
    sctp_end_chunk(w, sctp_begin_chunk(w, type, 0));
}

static void write_copy(struct tern_writer *w, enum sctp_chunk_type type,
                       const struct tern_chunk *chunk)
{
    size_t start = sctp_begin_chunk(w, type, 0);
    tern_writer_bytes(w, tern_chunk_view(chunk));
    sctp_end_chunk(w, start);
}

static void write_heartbeat(struct tern_sctp *s, tern_time now, struct tern_writer *w)
{
    size_t start = sctp_begin_chunk(w, SCTP_HEARTBEAT, 0);
    size_t parameter = sctp_begin_parameter(w, SCTP_PARAM_HEARTBEAT_INFO);
    tern_writer_u64be(w, s->heartbeat_nonce);
    sctp_end_parameter(w, parameter);
    sctp_end_chunk(w, start);
    s->heartbeat_out = true;
    s->heartbeat_sent_at = now;
}

static void write_causes(struct tern_writer *w, enum sctp_chunk_type type, uint16_t cause,
                         struct tern_view info)
{
    size_t start = sctp_begin_chunk(w, type, 0);
    tern_writer_u16be(w, cause);
    tern_writer_u16be(w, (uint16_t)(4 + info.size));
    tern_writer_bytes(w, info);
    sctp_end_chunk(w, start);
}

/* write_setup writes what makes and ends an association. */
static void write_setup(struct tern_sctp *s, tern_time now, struct tern_writer *w)
{
    if (write_takes(s, w, SCTP_DUE_COOKIE_ECHO, s->cookie == NULL ? 0 : s->cookie->size)) {
        write_copy(w, SCTP_COOKIE_ECHO, s->cookie);
        s->setup_at = now + s->out.rto_ns;
        s->due |= SCTP_DUE_COOKIE_ECHO; /* until data have been put behind it */
    }
    if (write_takes(s, w, SCTP_DUE_COOKIE_ACK, 0))
        write_bare(w, SCTP_COOKIE_ACK);
    if (write_takes(s, w, SCTP_DUE_SHUTDOWN, 4)) {
        size_t start = sctp_begin_chunk(w, SCTP_SHUTDOWN, 0);
        tern_writer_u32be(w, s->in.cumulative);
        sctp_end_chunk(w, start);
        s->setup_at = now + s->out.rto_ns;
    }
    if (write_takes(s, w, SCTP_DUE_SHUTDOWN_ACK, 0)) {
        write_bare(w, SCTP_SHUTDOWN_ACK);
        s->setup_at = now + s->out.rto_ns;
    }
}

static void write_control(struct tern_sctp *s, tern_time now, struct tern_writer *w)
{
    /* An acknowledgement that waits for its time goes with data. */
    if (s->sack_at != TERN_TIME_NEVER && sctp_out_wants(s))
        s->due |= SCTP_DUE_SACK;
    if (write_takes(s, w, SCTP_DUE_SACK, WRITE_SACK_MIN))
        sctp_write_sack(s, w);
    if (write_takes(s, w, SCTP_DUE_HEARTBEAT_ACK, s->heartbeat == NULL ? 0 : s->heartbeat->size)) {
        write_copy(w, SCTP_HEARTBEAT_ACK, s->heartbeat);
        tern_chunk_unref(s->heartbeat);
        s->heartbeat = NULL;
    }
    if (write_takes(s, w, SCTP_DUE_HEARTBEAT, WRITE_HEARTBEAT_SIZE))
        write_heartbeat(s, now, w);
    if (write_takes(s, w, SCTP_DUE_RESET_RESPONSE, WRITE_RESET_MAX))
        sctp_write_reset_response(s, w);
    if (write_takes(s, w, SCTP_DUE_RESET_REQUEST,
                    WRITE_RESET_MAX + s->resets.asked_count * sizeof(uint16_t)))
        sctp_write_reset_request(s, now, w);
    if (write_takes(s, w, SCTP_DUE_ERROR, 4 + sizeof s->unknown_chunk))
        write_causes(w, SCTP_ERROR, SCTP_CAUSE_UNKNOWN_CHUNK,
                     tern_view_of(s->unknown_chunk, sizeof s->unknown_chunk));
}

/* write_last writes the last words of an association that is closed. */
static void write_last(struct tern_sctp *s, struct tern_writer *w)
{
    if (s->due & SCTP_DUE_ABORT)
        write_causes(w, SCTP_ABORT, s->abort_cause, tern_view_of(NULL, 0));
    else if (s->due & SCTP_DUE_SHUTDOWN_COMPLETE)
        write_bare(w, SCTP_SHUTDOWN_COMPLETE);
    s->due = 0;
}

/* write_chunks fills the packet and returns its tag. INIT and its answer go alone. */
static uint32_t write_chunks(struct tern_sctp *s, tern_time now, struct tern_writer *w)
{
    if (s->state == SCTP_CLOSED) {
        write_last(s, w);
        return s->peer.tag;
    }
    if (s->due & SCTP_DUE_INIT_ACK) {
        sctp_write_init_ack(s, w);
        s->due &= ~(uint32_t)SCTP_DUE_INIT_ACK;
        return s->init_peer.tag;
    }
    if (s->due & SCTP_DUE_INIT) {
        sctp_write_init(s, w);
        s->due &= ~(uint32_t)SCTP_DUE_INIT;
        s->setup_at = now + s->out.rto_ns;
        s->init_sent_at = now;
        return 0;
    }
    write_setup(s, now, w);
    write_control(s, now, w);
    sctp_write_data(s, now, w);
    s->due &= ~(uint32_t)SCTP_DUE_COOKIE_ECHO;
    sctp_resets_progress(s);
    return s->peer.tag;
}

static void write_header(const struct tern_sctp *s, struct tern_writer *w, uint32_t tag)
{
    struct tern_writer head = tern_writer_of(w->data, SCTP_HEADER_SIZE);
    tern_writer_u16be(&head, TERN_SCTP_PORT);
    tern_writer_u16be(&head, TERN_SCTP_PORT);
    tern_writer_u32be(&head, tag);
    tern_writer_u32be(&head, 0);
    if (!s->stats.checksums && tag != 0)
        return;
    const struct tern_view all = tern_writer_view(w);
    uint32_t crc = tern_crc32c(&all, 1);
    for (size_t i = 0; i < 4; i++)
        w->data[SCTP_CHECKSUM_OFFSET + i] = (uint8_t)(crc >> 8 * i);
}

size_t tern_sctp_write(struct tern_sctp *s, tern_time now, struct tern_span room)
{
    TERN_CHECK(room.size >= TERN_SCTP_PACKET_MIN && room.size <= TERN_SCTP_PACKET_MAX);
    s->out.packet_size = room.size & ~(size_t)3;
    if (!tern_sctp_want_write(s))
        return 0;
    struct tern_writer w = tern_writer_of(room.data, room.size);
    tern_writer_reserve(&w, SCTP_HEADER_SIZE);
    uint32_t tag = write_chunks(s, now, &w);
    TERN_CHECK(tern_writer_ok(&w));
    if (w.size == SCTP_HEADER_SIZE)
        return 0;
    write_header(s, &w, tag);
    s->stats.packets_sent++;
    return w.size;
}
