/* The owner's calls, packets in, and time. */
#include "webrtc/sctp_internal.h"

#include "webrtc/crc32c.h"

tern_err tern_sctp_new(const struct tern_sctp_options *options, tern_time now,
                       struct tern_sctp **sctp)
{
    size_t window = options->window_bytes == 0 ? TERN_SCTP_WINDOW_DEFAULT : options->window_bytes;
    TERN_CHECK(window >= TERN_SCTP_WINDOW_MIN && window <= UINT32_MAX);
    struct tern_sctp *s = tern_mem_zalloc(options->mem, sizeof *s);
    *sctp = s;
    if (s == NULL)
        return TERN_ERR_MEMORY;
    s->mem = options->mem;
    s->checksums = options->checksums;
    s->stats.checksums = true;
    while (s->tag == 0)
        s->tag = (uint32_t)tern_random_u64(options->random);
    s->init_tsn = (uint32_t)tern_random_u64(options->random);
    s->cookie_key[0] = tern_random_u64(options->random);
    s->cookie_key[1] = tern_random_u64(options->random);
    s->heartbeat_nonce = tern_random_u64(options->random);
    s->due = SCTP_DUE_INIT;
    s->setup_at = TERN_TIME_NEVER;
    s->sack_at = TERN_TIME_NEVER;
    s->idle_at = now + SCTP_IDLE;
    sctp_in_init(s, window, tern_random_u64(options->random));
    sctp_out_init(s, options, s->init_tsn);
    /* Numbers of requests begin with the first data chunk's (RFC 6525, section 4.1). */
    sctp_resets_init(s, s->init_tsn);
    return TERN_OK;
}

void tern_sctp_free(struct tern_sctp *s)
{
    if (s == NULL)
        return;
    sctp_in_fini(s);
    sctp_out_fini(s);
    sctp_resets_fini(s);
    sctp_streams_fini(s);
    tern_chunk_unref(s->cookie);
    tern_chunk_unref(s->heartbeat);
    tern_mem_free(s->mem, s, sizeof *s);
}

/* ---- the end ---- */

void sctp_close(struct tern_sctp *s, tern_err err, tern_fault fault)
{
    if (s->state == SCTP_CLOSED)
        return;
    s->state = SCTP_CLOSED;
    s->error = err;
    s->fault = fault;
    s->due = 0;
}

void sctp_violation(struct tern_sctp *s, tern_fault fault, enum sctp_cause cause)
{
    if (s->state == SCTP_CLOSED)
        return;
    sctp_close(s, TERN_ERR_PROTOCOL, fault);
    s->due = SCTP_DUE_ABORT;
    s->abort_cause = (uint16_t)cause;
}

void tern_sctp_abort(struct tern_sctp *s)
{
    if (s->state == SCTP_CLOSED)
        return;
    bool known = s->peer.tag != 0;
    sctp_close(s, TERN_ERR_CLOSED, TERN_FAULT_NONE);
    if (!known)
        return;
    s->due = SCTP_DUE_ABORT;
    s->abort_cause = SCTP_CAUSE_USER_ABORT;
}

tern_err tern_sctp_error(const struct tern_sctp *s)
{
    return s->error;
}

tern_fault tern_sctp_fault(const struct tern_sctp *s)
{
    return s->fault;
}

tern_fault tern_sctp_dropped(struct tern_sctp *s)
{
    tern_fault dropped = s->dropped;
    s->dropped = TERN_FAULT_NONE;
    return dropped;
}

/* ---- packets in ---- */

static void recv_heartbeat(struct tern_sctp *s, struct tern_view value)
{
    if (value.size == 0 || value.size > SCTP_HEARTBEAT_MAX)
        return;
    tern_chunk_unref(s->heartbeat);
    s->heartbeat = tern_chunk_copy(s->mem, value);
    if (s->heartbeat != NULL)
        s->due |= SCTP_DUE_HEARTBEAT_ACK;
}

static void recv_heartbeat_ack(struct tern_sctp *s, tern_time now, struct tern_view value)
{
    struct tern_reader r = tern_reader_of(value);
    uint32_t header;
    uint64_t nonce;
    tern_reader_u32be(&r, &header);
    if (!tern_reader_u64be(&r, &nonce) || !s->heartbeat_out || nonce != s->heartbeat_nonce)
        return;
    s->heartbeat_out = false;
    s->heartbeat_nonce++;
    s->out.errors = 0;
    sctp_measured(s, tern_time_since(now, s->heartbeat_sent_at));
}

/* recv_unknown notes a type to be reported; false: the rest of the packet is not looked at. */
static bool recv_unknown(struct tern_sctp *s, const struct sctp_chunk *chunk)
{
    if (sctp_unknown_is_reported(chunk->type, 8) && s->state == SCTP_ESTABLISHED) {
        size_t length = SCTP_CHUNK_HEADER_SIZE + chunk->value.size;
        s->unknown_chunk[0] = chunk->type;
        s->unknown_chunk[1] = chunk->flags;
        s->unknown_chunk[2] = (uint8_t)(length >> 8);
        s->unknown_chunk[3] = (uint8_t)length;
        s->due |= SCTP_DUE_ERROR;
    }
    return !sctp_unknown_stops(chunk->type, 8);
}

/* recv_begin takes what makes an association, and the end of it. False: it is none of these. */
static bool recv_begin(struct tern_sctp *s, tern_time now, const struct sctp_chunk *chunk)
{
    switch (chunk->type) {
    case SCTP_INIT_ACK:
        sctp_recv_init_ack(s, now, chunk->value);
        return true;
    case SCTP_COOKIE_ECHO:
        sctp_recv_cookie_echo(s, chunk->value);
        return true;
    case SCTP_COOKIE_ACK:
        if (s->state == SCTP_COOKIE_ECHOED)
            sctp_establish(s);
        return true;
    case SCTP_ABORT:
        sctp_close(s, TERN_ERR_DISCONNECTED, TERN_FAULT_NONE);
        return true;
    case SCTP_SHUTDOWN_COMPLETE:
        if (s->state == SCTP_SHUTDOWN_ACK_SENT)
            sctp_close(s, TERN_ERR_CLOSED, TERN_FAULT_NONE);
        return true;
    default: /* a peer's number, not an enum of ours */
        return false;
    }
}

/* recv_chunk takes a chunk of an association that is up; false: the rest of the packet is not
 * looked at. */
static bool recv_chunk(struct tern_sctp *s, tern_time now, const struct sctp_chunk *chunk,
                       struct tern_chunk *packet)
{
    /* Only who has taken our COOKIE ECHO sends anything else: its answer is late. */
    if (s->state == SCTP_COOKIE_ECHOED && chunk->type != SCTP_ERROR)
        sctp_establish(s);
    if (s->state < SCTP_ESTABLISHED)
        return false;
    switch (chunk->type) {
    case SCTP_DATA:
        if (sctp_takes_data(s))
            sctp_recv_data(s, chunk, packet);
        return true;
    case SCTP_SACK:
        sctp_recv_sack(s, now, chunk->value);
        return true;
    case SCTP_HEARTBEAT:
        recv_heartbeat(s, chunk->value);
        return true;
    case SCTP_HEARTBEAT_ACK:
        recv_heartbeat_ack(s, now, chunk->value);
        return true;
    case SCTP_SHUTDOWN:
        sctp_recv_shutdown(s, now, chunk->value);
        return true;
    case SCTP_SHUTDOWN_ACK:
        sctp_recv_shutdown_ack(s);
        return true;
    case SCTP_RECONFIG:
        sctp_recv_reconfig(s, chunk->value);
        return true;
    case SCTP_FORWARD_TSN:
        if (sctp_takes_data(s))
            sctp_recv_forward_tsn(s, chunk->value);
        return true;
    case SCTP_ERROR:
        return true; /* what the remote did not like is not to be helped */
    default:         /* a peer's number, not an enum of ours */
        return recv_unknown(s, chunk);
    }
}

/* recv_checksum: is it right? None is needed where both have agreed to do without. */
static bool recv_checksum(const struct tern_sctp *s, struct tern_view packet)
{
    static const uint8_t zero[4];
    const uint8_t *sum = packet.data + SCTP_CHECKSUM_OFFSET;
    if (!s->checksums && memcmp(sum, zero, sizeof zero) == 0)
        return true;
    const struct tern_view parts[] = {
        tern_view_part(packet, 0, SCTP_CHECKSUM_OFFSET),
        tern_view_of(zero, sizeof zero),
        tern_view_part(packet, SCTP_HEADER_SIZE, packet.size - SCTP_HEADER_SIZE),
    };
    uint32_t crc = tern_crc32c(parts, TERN_COUNT_OF(parts));
    return sum[0] == (uint8_t)crc && sum[1] == (uint8_t)(crc >> 8) &&
           sum[2] == (uint8_t)(crc >> 16) && sum[3] == (uint8_t)(crc >> 24);
}

/* recv_header checks the common header; *tag is the packet's. */
static bool recv_header(struct tern_sctp *s, struct tern_reader *r, uint32_t *tag)
{
    uint16_t source;
    uint16_t destination;
    uint32_t sum;
    tern_reader_u16be(r, &source);
    tern_reader_u16be(r, &destination);
    tern_reader_u32be(r, tag);
    if (!tern_reader_u32be(r, &sum) || tern_reader_left(r) < SCTP_CHUNK_HEADER_SIZE ||
        source != TERN_SCTP_PORT || destination != TERN_SCTP_PORT) {
        sctp_drop(s, TERN_FAULT_WEBRTC_SCTP_PACKET);
        return false;
    }
    if (recv_checksum(s, tern_view_of(r->data, r->size)))
        return true;
    sctp_drop(s, TERN_FAULT_WEBRTC_SCTP_CHECKSUM);
    return false;
}

/* recv_tag: is the packet meant for this association? INIT has no tag and comes alone; the last
 * words of a remote that has forgotten it bear the remote's. */
static bool recv_tag(struct tern_sctp *s, uint32_t tag, const struct sctp_chunk *first)
{
    bool last_words = first->type == SCTP_ABORT || first->type == SCTP_SHUTDOWN_COMPLETE;
    if (first->type == SCTP_INIT)
        return tag == 0;
    if (last_words && (first->flags & SCTP_TAG_REFLECTED) != 0)
        return tag == s->peer.tag && tag != 0;
    return tag == s->tag;
}

static void recv_chunks(struct tern_sctp *s, tern_time now, struct tern_reader *r,
                        struct tern_chunk *packet)
{
    struct sctp_chunk chunk;
    while (s->state != SCTP_CLOSED && sctp_next_chunk(r, &chunk)) {
        if (chunk.type == SCTP_INIT) {
            sctp_drop(s, TERN_FAULT_WEBRTC_SCTP_PACKET);
            return;
        }
        if (!recv_begin(s, now, &chunk) && !recv_chunk(s, now, &chunk, packet))
            return;
    }
    if (r->err != TERN_OK)
        sctp_drop(s, TERN_FAULT_WEBRTC_SCTP_PACKET);
}

void tern_sctp_recv(struct tern_sctp *s, tern_time now, struct tern_slice packet)
{
    struct tern_reader r = tern_reader_of(packet.view);
    struct sctp_chunk first;
    uint32_t tag;
    if (s->state == SCTP_CLOSED || !recv_header(s, &r, &tag))
        return;
    struct tern_reader peek = r;
    if (packet.view.size > TERN_SCTP_RECEIVED_MAX || !sctp_next_chunk(&peek, &first)) {
        sctp_drop(s, TERN_FAULT_WEBRTC_SCTP_PACKET);
        return;
    }
    if (!recv_tag(s, tag, &first)) {
        sctp_drop(s, TERN_FAULT_WEBRTC_SCTP_TAG);
        return;
    }
    s->stats.packets_received++;
    if (first.type == SCTP_INIT) {
        if (tern_reader_left(&peek) > 0)
            sctp_drop(s, TERN_FAULT_WEBRTC_SCTP_PACKET);
        else
            sctp_recv_init(s, first.value);
        return;
    }
    sctp_in_packet(s);
    recv_chunks(s, now, &r, packet.chunk);
    if (s->state == SCTP_CLOSED)
        return;
    sctp_in_acknowledge(s, now);
    sctp_resets_progress(s);
    s->idle_at = now + SCTP_IDLE;
}

bool tern_sctp_next(struct tern_sctp *s, struct tern_sctp_event *event)
{
    if (s->up_news) {
        s->up_news = false;
        *event = (struct tern_sctp_event){.kind = TERN_SCTP_UP};
        return true;
    }
    if (sctp_in_next(s, event))
        return true;
    if (sctp_resets_next(s, event))
        return true;
    if (s->state != SCTP_CLOSED && sctp_in_disordered(s))
        sctp_violation(s, TERN_FAULT_WEBRTC_SCTP_SEQUENCE, SCTP_CAUSE_VIOLATION);
    return false;
}

bool tern_sctp_idle(const struct tern_sctp *s)
{
    return sctp_out_idle(s);
}

bool tern_sctp_takes_zero_checksum(const struct tern_sctp *s)
{
    return s->peer.tag != 0 && s->peer.zero_checksum;
}

size_t tern_sctp_window_left(const struct tern_sctp *s)
{
    return sctp_in_window_left(s);
}

void tern_sctp_consume(struct tern_sctp *s, size_t size)
{
    struct sctp_inbound *in = &s->in;
    TERN_CHECK(size <= in->used);
    in->used -= size;
    /* The remote is told when it had little, and has much more now. */
    size_t left = sctp_in_window_left(s);
    if (s->state == SCTP_ESTABLISHED && in->advertised < in->window / 2 &&
        left - in->advertised >= in->window / 4)
        s->due |= SCTP_DUE_SACK;
}

/* ---- time ---- */

tern_time tern_sctp_deadline(const struct tern_sctp *s)
{
    if (s->state == SCTP_CLOSED)
        return TERN_TIME_NEVER;
    tern_time deadline = tern_time_min(s->setup_at, s->sack_at);
    deadline = tern_time_min(deadline, s->resets.retry_at);
    if (s->state != SCTP_COOKIE_ECHOED)
        deadline = tern_time_min(deadline, s->out.timeout_at);
    if (s->state == SCTP_ESTABLISHED)
        deadline = tern_time_min(deadline, s->idle_at);
    return deadline;
}

/* sctp_idle: nothing has come for long. */
static void sctp_idle(struct tern_sctp *s, tern_time now)
{
    if (s->heartbeat_out)
        sctp_back_off(s);
    if (s->state != SCTP_ESTABLISHED)
        return;
    sctp_in_packet(s);
    sctp_in_trim(s);
    sctp_out_trim(s);
    s->due |= SCTP_DUE_HEARTBEAT;
    s->idle_at = now + s->out.rto_ns;
}

void tern_sctp_tick(struct tern_sctp *s, tern_time now)
{
    if (s->state == SCTP_CLOSED)
        return;
    if (now >= s->sack_at) {
        s->sack_at = TERN_TIME_NEVER;
        s->due |= SCTP_DUE_SACK;
    }
    sctp_setup_tick(s, now);
    if (s->state != SCTP_CLOSED && s->state != SCTP_COOKIE_ECHOED && now >= s->out.timeout_at)
        sctp_timeout(s);
    if (s->state != SCTP_CLOSED)
        sctp_resets_tick(s, now);
    if (s->state == SCTP_ESTABLISHED && now >= s->idle_at)
        sctp_idle(s, now);
}

struct tern_sctp_stats tern_sctp_stats(const struct tern_sctp *s)
{
    struct tern_sctp_stats stats = s->stats;
    stats.rtt_ns = s->out.srtt_ns;
    stats.rto_ns = s->out.rto_ns;
    stats.cwnd_bytes = s->out.cwnd;
    stats.flight_bytes = s->out.flight;
    stats.peer_window_bytes = s->out.peer_window;
    stats.window_left_bytes = sctp_in_window_left(s);
    return stats;
}
