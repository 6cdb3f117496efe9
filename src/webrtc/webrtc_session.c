/*
 * A session's life: ICE finds that the remote is there, DTLS makes keys, SCTP and Noise run at the
 * same time over these. It ends once, with an error; what is left of it is the owner's to free.
 */
#include "webrtc/webrtc_internal.h"

/* ---- making ---- */

static void session_init(struct webrtc_session *s, const struct webrtc_birth *birth)
{
    struct webrtc *w = s->webrtc;
    s->listener = birth->listener;
    s->validated = !birth->listener; /* it was the owner's wish to send there */
    s->socket = birth->socket;
    s->path = birth->path;
    s->local = birth->path.local;
    s->tag = birth->tag;
    s->give_up_at = w->now + w->options.handshake_timeout_ns;
    s->heard_at = w->now;
    s->stall_at = TERN_TIME_NEVER;
    s->number_next = tern_channel_first(s->listener);
    s->context = tern_dtls_context_ref(w->dtls);
    tern_list_init(&s->ready);
    tern_list_init(&s->active);
    tern_list_init(&s->bindings);
    tern_list_init(&s->lingering);
    tern_list_init(&s->waiting);
    tern_list_init(&s->closing);
    const struct tern_mux_streams_options streams = {
        .mem = w->mem,
        .scope = birth->scope,
        .hash_seed = tern_random_u64(&w->random),
        .stream_size = sizeof(struct webrtc_stream),
        .send_buffer_max = w->options.send_buffer_max,
    };
    tern_mux_streams_init(&s->streams, &streams);
}

struct webrtc_session *webrtc_session_new(struct webrtc *w, const struct webrtc_birth *birth)
{
    struct webrtc_session *s = tern_mem_zalloc(w->mem, sizeof *s);
    if (s == NULL)
        return NULL;
    s->webrtc = w;
    tern_timer_init(&s->timer);
    /* From here on it can be set without fail. */
    if (tern_timer_set(&w->timers, &s->timer, w->now + w->options.handshake_timeout_ns) !=
        TERN_OK) {
        tern_mem_free(w->mem, s, sizeof *s);
        return NULL;
    }
    session_init(s, birth);
    tern_list_push_back(&w->sessions, &s->link);
    s->half_open = s->listener;
    w->half_open_count += s->half_open;
    return s;
}

/* ---- the end ---- */

static void session_not_half_open(struct webrtc_session *s)
{
    s->webrtc->half_open_count -= s->half_open;
    s->half_open = false;
}

/* session_end: nothing comes or goes any more. */
static void session_end(struct webrtc_session *s, tern_err error, tern_fault fault)
{
    struct webrtc *w = s->webrtc;
    s->state = WEBRTC_ENDED;
    s->error = error;
    s->fault = fault;
    session_not_half_open(s);
    webrtc_unbind_all(s);
    if (s->named) {
        webrtc_bury(w, s->ice.name.listener);
        tern_map_remove(&w->names, &s->name);
        s->named = false;
    }
    tern_timer_cancel(&w->timers, &s->timer);
    tern_list_remove(&s->ready);
    webrtc_streams_end(s);
    if (!tern_list_linked(&s->active))
        tern_list_push_back(&w->active, &s->active);
}

void webrtc_session_fail(struct webrtc_session *s, tern_err error, tern_fault fault)
{
    if (s->state == WEBRTC_ENDED)
        return;
    webrtc_session_last_words(s);
    session_end(s, error, fault);
}

/* session_closed: the remote has ended it. */
static void session_closed(struct webrtc_session *s)
{
    if (s->state == WEBRTC_ENDED)
        return;
    if (s->state == WEBRTC_ESTABLISHED)
        s->news |= WEBRTC_NEWS_GOAWAY;
    session_end(s, TERN_ERR_CLOSED, TERN_FAULT_NONE);
}

void webrtc_session_free(struct webrtc_session *s)
{
    struct webrtc *w = s->webrtc;
    webrtc_session_fail(s, TERN_ERR_CLOSED, TERN_FAULT_NONE);
    TERN_CHECK(!s->noise.job_out && !(s->has_dtls && s->dtls.job_out));
    webrtc_noise_fini(s);
    tern_sctp_free(s->sctp);
    s->sctp = NULL;
    webrtc_streams_fini(s);
    webrtc_refusals_fini(s);
    if (s->has_dtls)
        tern_dtls_fini(&s->dtls);
    tern_dtls_context_unref(s->context);
    if (s->ice.username != NULL)
        tern_ice_fini(&s->ice);
    tern_list_remove(&s->active);
    tern_list_remove(&s->link);
    tern_mem_free(w->mem, s, sizeof *s);
}

/* ---- SCTP ---- */

/* session_sctp_error: how the association has ended is how the session ends. */
static void session_sctp_error(struct webrtc_session *s)
{
    tern_err err = tern_sctp_error(s->sctp);
    if (err == TERN_ERR_CLOSED || err == TERN_ERR_DISCONNECTED)
        session_closed(s);
    else if (err != TERN_OK)
        webrtc_session_fail(s, err, tern_sctp_fault(s->sctp));
}

static void session_sctp_event(struct webrtc_session *s, const struct tern_sctp_event *event)
{
    if (event->kind == TERN_SCTP_UP) {
        webrtc_noise_up(s);
        return;
    }
    if (event->stream != TERN_CHANNEL_HANDSHAKE) {
        webrtc_channel_event(s, event);
        return;
    }
    if (event->kind == TERN_SCTP_DATA) {
        if (event->ppid == TERN_CHANNEL_BINARY)
            webrtc_noise_data(s, event->data.view);
        else
            webrtc_note(s->webrtc, TERN_FAULT_WEBRTC_CHANNEL_PPID);
        tern_sctp_consume(s->sctp, event->data.view.size);
    } else if (event->kind != TERN_SCTP_RESET_OUT) {
        webrtc_noise_closed(s);
    }
}

static void session_sctp(struct webrtc_session *s)
{
    struct tern_sctp_event event;
    while (s->state != WEBRTC_ENDED && tern_sctp_next(s->sctp, &event))
        session_sctp_event(s, &event);
    webrtc_note(s->webrtc, tern_sctp_dropped(s->sctp));
    if (s->state != WEBRTC_ENDED)
        session_sctp_error(s);
}

/* ---- DTLS ---- */

/* session_room is a chunk that records can be opened into; NULL: no memory. */
static struct tern_chunk *session_room(struct webrtc *w)
{
    if (w->room != NULL && w->room->refs > 1) {
        tern_chunk_unref(w->room);
        w->room = NULL;
    }
    if (w->room == NULL)
        w->room = tern_chunk_new(w->mem, TERN_DTLS_RECORD_MAX);
    return w->room;
}

/* session_records takes the records of a datagram. */
static void session_records(struct webrtc_session *s, struct tern_view datagram)
{
    struct tern_chunk *room;
    struct tern_view text;
    while (s->state != WEBRTC_ENDED && datagram.size > 0 &&
           (room = session_room(s->webrtc)) != NULL) {
        const struct tern_span span = {room->data, TERN_DTLS_RECORD_MAX};
        if (!tern_dtls_recv(&s->dtls, &datagram, span, &text) || s->sctp == NULL)
            return;
        const struct tern_slice packet = {.chunk = room, .view = text};
        tern_sctp_recv(s->sctp, s->webrtc->now, packet);
        session_sctp(s);
    }
}

/* session_join begins SCTP and Noise, and takes what came too early. */
static void session_join(struct webrtc_session *s)
{
    struct webrtc *w = s->webrtc;
    const struct tern_sctp_options options = {
        .mem = w->mem,
        .random = &w->random,
        .pool = &s->streams.pool,
        .window_bytes = w->options.window_bytes,
        .rtt_ns = s->ice.rtt_ns,
    };
    s->validated = true;
    s->state = WEBRTC_JOINING;
    s->heard_at = w->now;
    tern_err err = tern_sctp_new(&options, w->now, &s->sctp);
    if (err == TERN_OK)
        err = webrtc_noise_begin(s);
    if (err != TERN_OK) {
        webrtc_session_fail(s, err, TERN_FAULT_NONE);
        return;
    }
    struct tern_view held;
    while (s->state != WEBRTC_ENDED && tern_dtls_held(&s->dtls, &held))
        session_records(s, held);
}

/* session_dtls looks what DTLS has come to. */
static void session_dtls(struct webrtc_session *s)
{
    if (s->state == WEBRTC_ENDED)
        return;
    webrtc_note(s->webrtc, s->dtls.dropped);
    s->dtls.dropped = TERN_FAULT_NONE;
    switch (s->dtls.state) {
    case TERN_DTLS_HANDSHAKE:
        return;
    case TERN_DTLS_OPEN:
        if (s->state == WEBRTC_SECURING)
            session_join(s);
        return;
    case TERN_DTLS_CLOSED:
        session_closed(s);
        return;
    case TERN_DTLS_FAILED:
        if (s->dtls.error == TERN_ERR_DISCONNECTED && s->state == WEBRTC_ESTABLISHED)
            session_closed(s);
        else
            webrtc_session_fail(s, s->dtls.error, s->dtls.fault);
        return;
    }
    TERN_UNREACHABLE();
}

/* session_secure begins DTLS. */
static void session_secure(struct webrtc_session *s)
{
    struct webrtc *w = s->webrtc;
    const struct tern_dtls_options options = {
        .mem = w->mem,
        .context = s->context,
        .listener = s->listener,
        .rtt_ns = s->ice.rtt_ns,
        .certhashes = s->certhashes,
        .certhashes_count = s->certhashes_count,
    };
    tern_err err = tern_dtls_init(&s->dtls, &options);
    if (err != TERN_OK) {
        webrtc_session_fail(s, err, TERN_FAULT_NONE);
        return;
    }
    s->has_dtls = true;
    s->state = WEBRTC_SECURING;
}

/* session_moved: where is the remote now? Before there are keys it is where the handshake comes
 * from, afterwards where the newest record came from. */
static void session_moved(struct webrtc_session *s, const struct tern_path *path)
{
    s->local = path->local;
    if (s->listener)
        s->path = *path;
}

bool webrtc_session_datagram(struct webrtc_session *s, struct tern_view datagram,
                             const struct tern_path *path)
{
    s->bytes_in += datagram.size;
    if (!s->has_dtls)
        session_secure(s);
    if (s->state == WEBRTC_ENDED)
        return false;
    bool handshake = s->dtls.state == TERN_DTLS_HANDSHAKE;
    uint64_t taken_before = s->dtls.taken_count;
    uint64_t newest_before = s->dtls.window_next;
    session_records(s, datagram);
    bool taken = s->dtls.taken_count > taken_before;
    if (taken)
        s->heard_at = s->webrtc->now;
    if (handshake || s->dtls.window_next > newest_before)
        session_moved(s, path);
    session_dtls(s);
    return taken;
}

void webrtc_session_job_done(struct webrtc_session *s, struct tern_job *job)
{
    if (s->noise.job_out) {
        webrtc_noise_job_done(s, job);
    } else {
        tern_dtls_job_done(&s->dtls, job);
        session_dtls(s);
    }
    webrtc_session_update(s);
}

/* ---- ICE ---- */

/* session_consented: the remote is there, and was told that we use this path. */
static void session_consented(struct webrtc_session *s)
{
    if (s->state == WEBRTC_CHECKING)
        session_secure(s);
}

/* session_heard: DTLS may come from there. */
static void session_heard(struct webrtc_session *s, const struct tern_path *path, bool nominated)
{
    if (webrtc_bind(s, &path->remote) == TERN_OK && nominated && !s->has_dtls)
        session_moved(s, path);
}

bool webrtc_session_stun(struct webrtc_session *s, const struct tern_ice_message *message)
{
    tern_fault fault;
    if (s->listener && !webrtc_bindable(s, &message->path->remote)) {
        webrtc_note(s->webrtc, TERN_FAULT_WEBRTC_ADDRESS_SHARED);
        return true;
    }
    enum tern_ice_news news = tern_ice_recv(&s->ice, s->webrtc->now, message, &fault);
    if (fault == TERN_FAULT_WEBRTC_STUN_USERNAME || fault == TERN_FAULT_WEBRTC_STUN_UNASKED)
        return false;
    webrtc_note(s->webrtc, fault);
    s->bytes_in += message->datagram.size;
    switch (news) {
    case TERN_ICE_NOTHING:
        break;
    case TERN_ICE_HEARD:
    case TERN_ICE_NOMINATED:
        session_heard(s, message->path, news == TERN_ICE_NOMINATED);
        break;
    case TERN_ICE_CONSENT:
        session_consented(s);
        break;
    }
    return true;
}

/* ---- what the owner is told, time ---- */

void webrtc_session_established(struct webrtc_session *s)
{
    TERN_CHECK(s->state == WEBRTC_JOINING);
    s->state = WEBRTC_ESTABLISHED;
    session_not_half_open(s);
    s->news |= WEBRTC_NEWS_ESTABLISHED | WEBRTC_NEWS_CONFIRMED;
}

/* session_rtt: a round trip is told when it is known, and now and then. */
static void session_rtt(struct webrtc_session *s)
{
    tern_time now = s->webrtc->now;
    if (s->state != WEBRTC_ESTABLISHED ||
        (s->rtt_at != 0 && tern_time_since(now, s->rtt_at) < WEBRTC_RTT_INTERVAL) ||
        tern_sctp_stats(s->sctp).rtt_ns == 0)
        return;
    s->rtt_at = now;
    s->news |= WEBRTC_NEWS_RTT;
}

static tern_time session_deadline(const struct webrtc_session *s)
{
    tern_time deadline = tern_ice_deadline(&s->ice);
    if (s->has_dtls)
        deadline = tern_time_min(deadline, tern_dtls_deadline(&s->dtls));
    if (s->sctp != NULL)
        deadline = tern_time_min(deadline, tern_sctp_deadline(s->sctp));
    if (s->starved_until > s->webrtc->now)
        deadline = tern_time_min(deadline, s->starved_until);
    if (s->sctp != NULL && webrtc_noise_waits(s))
        deadline = tern_time_min(deadline, s->noise.speaks_at);
    if (s->state != WEBRTC_ESTABLISHED)
        return tern_time_min(deadline, s->give_up_at);
    deadline = tern_time_min(deadline, webrtc_streams_deadline(s));
    return tern_time_min(deadline, s->heard_at + s->webrtc->options.idle_timeout_ns);
}

/* session_goes: the owner wants it to end; it does when all has been acknowledged. */
static void session_goes(struct webrtc_session *s)
{
    if (s->state != WEBRTC_ESTABLISHED || (!webrtc_fill_wants(s) && tern_sctp_idle(s->sctp)))
        webrtc_session_fail(s, TERN_ERR_CLOSED, TERN_FAULT_NONE);
}

void webrtc_session_wake(struct webrtc_session *s)
{
    struct webrtc *w = s->webrtc;
    if (!tern_list_linked(&s->active) && webrtc_has_news(s))
        tern_list_push_back(&w->active, &s->active);
    if (s->state != WEBRTC_ENDED && !tern_list_linked(&s->ready) && webrtc_session_wants_send(s))
        tern_list_push_back(&s->socket->ready, &s->ready);
}

void webrtc_session_update(struct webrtc_session *s)
{
    struct webrtc *w = s->webrtc;
    if (s->sctp != NULL && s->state != WEBRTC_ENDED) {
        webrtc_settle_charges(s);
        webrtc_streams_closing(s);
        webrtc_streams_stall(s);
        session_rtt(s);
    }
    if (s->goaway && s->state != WEBRTC_ENDED)
        session_goes(s);
    webrtc_session_wake(s);
    if (s->state == WEBRTC_ENDED)
        return;
    tern_err err = tern_timer_set(&w->timers, &s->timer, session_deadline(s));
    TERN_CHECK(err == TERN_OK); /* it has had its place all the time */
}

void webrtc_session_tick(struct webrtc_session *s)
{
    tern_time now = s->webrtc->now;
    tern_ice_tick(&s->ice, now);
    if (s->has_dtls)
        tern_dtls_tick(&s->dtls, now);
    if (s->sctp != NULL) {
        tern_sctp_tick(s->sctp, now);
        session_sctp(s);
    }
    bool silent = s->state == WEBRTC_ESTABLISHED
                      ? tern_time_since(now, s->heard_at) >= s->webrtc->options.idle_timeout_ns
                      : now >= s->give_up_at;
    if (s->ice.failed || silent)
        webrtc_session_fail(s, TERN_ERR_TIMEOUT, TERN_FAULT_NONE);
    if (s->state != WEBRTC_ENDED)
        webrtc_streams_tick(s);
    webrtc_session_update(s);
}
