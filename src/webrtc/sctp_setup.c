/* How an association begins, and ends. */
#include "webrtc/sctp_internal.h"

enum { SETUP_ZERO_CHECKSUM_DTLS = 1, SETUP_STREAMS = UINT16_MAX };

/* ---- INIT and its answer ---- */

/* setup_extensions looks for what is used of the remote's list. */
static void setup_extensions(struct tern_view list, struct sctp_peer *peer)
{
    for (size_t i = 0; i < list.size; i++)
        peer->resets = peer->resets || list.data[i] == SCTP_RECONFIG;
}

/* setup_unknown keeps a parameter to be reported, if it wants that and there is room. */
static void setup_unknown(struct tern_sctp *s, const struct sctp_parameter *parameter)
{
    size_t size = (parameter->whole.size + 3) & ~(size_t)3;
    if (!sctp_unknown_is_reported(parameter->type, 16) ||
        size + 4 > sizeof s->unknown - s->unknown_size)
        return;
    struct tern_writer w =
        tern_writer_of(s->unknown + s->unknown_size, sizeof s->unknown - s->unknown_size);
    size_t start = sctp_begin_parameter(&w, SCTP_PARAM_UNRECOGNIZED);
    tern_writer_bytes(&w, parameter->whole);
    sctp_end_chunk(&w, start);
    s->unknown_size += w.size;
}

/* setup_parameter takes one; false: the rest is not to be looked at. */
static bool setup_parameter(struct tern_sctp *s, const struct sctp_parameter *parameter,
                            struct sctp_peer *peer, struct tern_view *cookie)
{
    switch (parameter->type) {
    case SCTP_PARAM_STATE_COOKIE:
        *cookie = parameter->value;
        return true;
    case SCTP_PARAM_EXTENSIONS:
        setup_extensions(parameter->value, peer);
        return true;
    case SCTP_PARAM_ZERO_CHECKSUM:
        peer->zero_checksum =
            parameter->value.size == 4 && parameter->value.data[3] == SETUP_ZERO_CHECKSUM_DTLS &&
            (parameter->value.data[0] | parameter->value.data[1] | parameter->value.data[2]) == 0;
        return true;
    case SCTP_PARAM_FORWARD_TSN:
        return true;
    default: /* a peer's number, not an enum of ours */
        setup_unknown(s, parameter);
        return !sctp_unknown_stops(parameter->type, 16);
    }
}

/* setup_read reads the value of INIT or INIT ACK. False: it cannot be agreed to. */
static bool setup_read(struct tern_sctp *s, struct tern_view value, struct sctp_peer *peer,
                       struct tern_view *cookie)
{
    struct tern_reader r = tern_reader_of(value);
    struct sctp_parameter parameter;
    *peer = (struct sctp_peer){.tag = 0};
    *cookie = tern_view_of(NULL, 0);
    s->unknown_size = 0;
    tern_reader_u32be(&r, &peer->tag);
    tern_reader_u32be(&r, &peer->window);
    tern_reader_u16be(&r, &peer->streams_out);
    tern_reader_u16be(&r, &peer->streams_in);
    if (!tern_reader_u32be(&r, &peer->tsn))
        return false;
    while (sctp_next_parameter(&r, &parameter)) {
        if (parameter.type == SCTP_PARAM_HOST_NAME)
            return false;
        if (!setup_parameter(s, &parameter, peer, cookie))
            break;
    }
    return r.err == TERN_OK && peer->tag != 0 && peer->streams_out > 0 && peer->streams_in > 0 &&
           peer->window >= SCTP_WINDOW_INITIAL_MIN;
}

/* setup_write_common is what INIT and INIT ACK have alike. */
static void setup_write_common(struct tern_sctp *s, struct tern_writer *w)
{
    static const uint8_t extensions[] = {SCTP_RECONFIG};
    tern_writer_u32be(w, s->tag);
    tern_writer_u32be(w, (uint32_t)s->in.window);
    tern_writer_u16be(w, SETUP_STREAMS);
    tern_writer_u16be(w, SETUP_STREAMS);
    tern_writer_u32be(w, s->init_tsn);
    size_t start = sctp_begin_parameter(w, SCTP_PARAM_EXTENSIONS);
    tern_writer_bytes(w, tern_view_of(extensions, sizeof extensions));
    sctp_end_parameter(w, start);
    if (s->checksums)
        return;
    start = sctp_begin_parameter(w, SCTP_PARAM_ZERO_CHECKSUM);
    tern_writer_u32be(w, SETUP_ZERO_CHECKSUM_DTLS);
    sctp_end_parameter(w, start);
}

void sctp_write_init(struct tern_sctp *s, struct tern_writer *w)
{
    size_t start = sctp_begin_chunk(w, SCTP_INIT, 0);
    setup_write_common(s, w);
    sctp_end_chunk(w, start);
}

/* ---- the cookie: all that is known of the remote, sealed by a keyed hash. The association is
 * there all the time, so it keeps nobody out; it makes sure that what comes back is what was sent.
 * ---- */

static uint64_t setup_cookie_hash(const struct tern_sctp *s, const uint8_t *cookie)
{
    return tern_siphash(s->cookie_key, tern_view_of(cookie, SCTP_COOKIE_SIZE - 8));
}

static void setup_write_cookie(const struct tern_sctp *s, struct tern_writer *w)
{
    const struct sctp_peer *peer = &s->init_peer;
    uint8_t cookie[SCTP_COOKIE_SIZE];
    struct tern_writer c = tern_writer_of(cookie, sizeof cookie);
    tern_writer_u32be(&c, s->tag);
    tern_writer_u32be(&c, peer->tag);
    tern_writer_u32be(&c, peer->window);
    tern_writer_u32be(&c, peer->tsn);
    tern_writer_u16be(&c, peer->streams_out);
    tern_writer_u16be(&c, peer->streams_in);
    tern_writer_u32be(&c, (peer->zero_checksum ? 1U : 0U) | (peer->resets ? 2U : 0U));
    tern_writer_u64be(&c, setup_cookie_hash(s, cookie));
    TERN_CHECK(tern_writer_ok(&c) && c.size == sizeof cookie);
    tern_writer_bytes(w, tern_writer_view(&c));
}

/* setup_read_cookie: false: it is none of ours. */
static bool setup_read_cookie(const struct tern_sctp *s, struct tern_view cookie,
                              struct sctp_peer *peer)
{
    struct tern_reader r = tern_reader_of(cookie);
    uint32_t tag;
    uint32_t flags;
    uint64_t hash;
    *peer = (struct sctp_peer){.tag = 0};
    tern_reader_u32be(&r, &tag);
    tern_reader_u32be(&r, &peer->tag);
    tern_reader_u32be(&r, &peer->window);
    tern_reader_u32be(&r, &peer->tsn);
    tern_reader_u16be(&r, &peer->streams_out);
    tern_reader_u16be(&r, &peer->streams_in);
    tern_reader_u32be(&r, &flags);
    tern_reader_u64be(&r, &hash);
    peer->zero_checksum = (flags & 1) != 0;
    peer->resets = (flags & 2) != 0;
    return tern_reader_end(&r) == TERN_OK && tag == s->tag &&
           hash == setup_cookie_hash(s, cookie.data);
}

void sctp_write_init_ack(struct tern_sctp *s, struct tern_writer *w)
{
    size_t start = sctp_begin_chunk(w, SCTP_INIT_ACK, 0);
    setup_write_common(s, w);
    size_t cookie = sctp_begin_parameter(w, SCTP_PARAM_STATE_COOKIE);
    setup_write_cookie(s, w);
    sctp_end_parameter(w, cookie);
    tern_writer_bytes(w, tern_view_of(s->unknown, s->unknown_size));
    sctp_end_chunk(w, start);
}

/* ---- the handshake ---- */

void sctp_recv_init(struct tern_sctp *s, struct tern_view value)
{
    struct sctp_peer peer;
    struct tern_view cookie;
    bool good = setup_read(s, value, &peer, &cookie);
    if (s->state > SCTP_COOKIE_ECHOED) {
        /* A late copy, or an association that would begin anew: neither is answered. */
        if (!good || peer.tag != s->peer.tag)
            sctp_drop(s, TERN_FAULT_WEBRTC_SCTP_RESTART);
        return;
    }
    if (!good) {
        s->peer.tag = peer.tag;
        sctp_violation(s, TERN_FAULT_WEBRTC_SCTP_INIT, SCTP_CAUSE_VIOLATION);
        return;
    }
    s->init_peer = peer;
    s->due |= SCTP_DUE_INIT_ACK;
}

static void setup_adopt(struct tern_sctp *s, const struct sctp_peer *peer)
{
    s->peer = *peer;
    s->out.peer_window = peer->window;
    sctp_in_start(s, peer->tsn);
    s->resets.expected = peer->tsn;
}

void sctp_recv_init_ack(struct tern_sctp *s, tern_time now, struct tern_view value)
{
    struct sctp_peer peer;
    struct tern_view cookie;
    if (s->state != SCTP_COOKIE_WAIT)
        return; /* a late copy */
    if (!setup_read(s, value, &peer, &cookie) || cookie.size == 0 ||
        cookie.size > TERN_SCTP_PACKET_MIN - SCTP_HEADER_SIZE - SCTP_CHUNK_HEADER_SIZE) {
        s->peer.tag = peer.tag;
        sctp_violation(s, TERN_FAULT_WEBRTC_SCTP_INIT, SCTP_CAUSE_VIOLATION);
        return;
    }
    s->cookie = tern_chunk_copy(s->mem, cookie);
    if (s->cookie == NULL)
        return; /* as if it had been lost; it comes again */
    setup_adopt(s, &peer);
    if (s->out.errors == 0)
        sctp_measured(s, tern_time_since(now, s->init_sent_at));
    s->state = SCTP_COOKIE_ECHOED;
    s->out.errors = 0;
    s->due = (s->due & ~(uint32_t)SCTP_DUE_INIT) | SCTP_DUE_COOKIE_ECHO;
    s->setup_at = TERN_TIME_NEVER;
}

void sctp_establish(struct tern_sctp *s)
{
    TERN_CHECK(s->state == SCTP_COOKIE_WAIT || s->state == SCTP_COOKIE_ECHOED);
    s->state = SCTP_ESTABLISHED;
    s->up_news = true;
    s->out.errors = 0;
    s->setup_at = TERN_TIME_NEVER;
    s->due &= ~(uint32_t)(SCTP_DUE_INIT | SCTP_DUE_COOKIE_ECHO);
    tern_chunk_unref(s->cookie);
    s->cookie = NULL;
    s->stats.checksums = s->checksums || !s->peer.zero_checksum;
}

void sctp_recv_cookie_echo(struct tern_sctp *s, struct tern_view value)
{
    struct sctp_peer peer;
    if (!setup_read_cookie(s, value, &peer)) {
        sctp_drop(s, TERN_FAULT_WEBRTC_SCTP_COOKIE);
        return;
    }
    if (s->state > SCTP_COOKIE_ECHOED) {
        if (peer.tag != s->peer.tag) {
            sctp_drop(s, TERN_FAULT_WEBRTC_SCTP_RESTART);
            return;
        }
        s->due |= SCTP_DUE_COOKIE_ACK; /* ours was lost */
        return;
    }
    /* With our own COOKIE ECHO out data of ours may be, too: numbers of the remote stay as they
     * are. */
    if (s->state == SCTP_COOKIE_WAIT || peer.tag != s->peer.tag)
        setup_adopt(s, &peer);
    sctp_establish(s);
    s->due |= SCTP_DUE_COOKIE_ACK;
}

/* ---- the end ---- */

void sctp_setup_progress(struct tern_sctp *s)
{
    if (!sctp_out_idle(s))
        return;
    if (s->state == SCTP_SHUTDOWN_PENDING) {
        s->state = SCTP_SHUTDOWN_SENT;
        s->due |= SCTP_DUE_SHUTDOWN;
    } else if (s->state == SCTP_SHUTDOWN_RECEIVED) {
        s->state = SCTP_SHUTDOWN_ACK_SENT;
        s->due |= SCTP_DUE_SHUTDOWN_ACK;
    }
}

void tern_sctp_shutdown(struct tern_sctp *s)
{
    if (s->state < SCTP_ESTABLISHED) {
        tern_sctp_abort(s);
        return;
    }
    if (s->state > SCTP_ESTABLISHED)
        return;
    s->state = SCTP_SHUTDOWN_PENDING;
    sctp_setup_progress(s);
}

void sctp_recv_shutdown(struct tern_sctp *s, tern_time now, struct tern_view value)
{
    struct tern_reader r = tern_reader_of(value);
    uint32_t cumulative;
    if (!tern_reader_u32be(&r, &cumulative)) {
        sctp_violation(s, TERN_FAULT_WEBRTC_SCTP_CHUNK, SCTP_CAUSE_VIOLATION);
        return;
    }
    if (s->state < SCTP_ESTABLISHED || s->state == SCTP_CLOSED)
        return;
    sctp_acknowledge(s, now, cumulative);
    if (s->state == SCTP_CLOSED)
        return;
    if (s->state == SCTP_SHUTDOWN_SENT) {
        s->state = SCTP_SHUTDOWN_ACK_SENT; /* both at once */
        s->due = (s->due & ~(uint32_t)SCTP_DUE_SHUTDOWN) | SCTP_DUE_SHUTDOWN_ACK;
        return;
    }
    if (s->state == SCTP_ESTABLISHED || s->state == SCTP_SHUTDOWN_PENDING)
        s->state = SCTP_SHUTDOWN_RECEIVED;
    sctp_setup_progress(s);
}

void sctp_recv_shutdown_ack(struct tern_sctp *s)
{
    if (s->state != SCTP_SHUTDOWN_SENT && s->state != SCTP_SHUTDOWN_ACK_SENT)
        return;
    sctp_close(s, TERN_ERR_CLOSED, TERN_FAULT_NONE);
    s->due = SCTP_DUE_SHUTDOWN_COMPLETE;
}

/* ---- T1 and T2 ---- */

void sctp_setup_tick(struct tern_sctp *s, tern_time now)
{
    if (now < s->setup_at)
        return;
    s->setup_at = TERN_TIME_NEVER;
    bool beginning = s->state == SCTP_COOKIE_WAIT || s->state == SCTP_COOKIE_ECHOED;
    sctp_back_off(s);
    if (beginning && s->out.errors > SCTP_INIT_ERRORS_MAX)
        sctp_close(s, TERN_ERR_TIMEOUT, TERN_FAULT_NONE);
    switch (s->state) {
    case SCTP_COOKIE_WAIT:
        s->due |= SCTP_DUE_INIT;
        return;
    case SCTP_COOKIE_ECHOED:
        s->due |= SCTP_DUE_COOKIE_ECHO;
        sctp_out_lose_all(s); /* they go with it again */
        s->out.timeout_at = TERN_TIME_NEVER;
        return;
    case SCTP_SHUTDOWN_SENT:
        s->due |= SCTP_DUE_SHUTDOWN;
        return;
    case SCTP_SHUTDOWN_ACK_SENT:
        s->due |= SCTP_DUE_SHUTDOWN_ACK;
        return;
    case SCTP_ESTABLISHED:
    case SCTP_SHUTDOWN_PENDING:
    case SCTP_SHUTDOWN_RECEIVED:
    case SCTP_CLOSED:
        return;
    }
    TERN_UNREACHABLE();
}
