/*
 * Lives of streams. The owner's id and the channel end apart: CLOSED and RESET end the id, the
 * channel is there until both directions of it have been reset, and the object lives as long as
 * either.
 *
 *   our end of the channel is closed when
 *     the stream was reset by either side, and the remote knows,
 *     both ends of it have come and gone and ours is acknowledged, or was not for FIN_ACK_TIMEOUT,
 *     or the remote has closed its end
 */
#include "webrtc/webrtc_internal.h"

static const uint32_t STREAM_ENDS = MUX_FIN_SENT | MUX_FIN_RECEIVED;
static const uint32_t STREAM_CHANNEL_OVER = WEBRTC_OUT_DONE | WEBRTC_IN_DONE;

struct webrtc_stream *webrtc_stream_find(struct webrtc_session *s, uint16_t number)
{
    return webrtc_stream_of(tern_mux_stream_find_wire(&s->streams, number));
}

/* ---- making and freeing ---- */

tern_err webrtc_stream_new(struct webrtc_session *s, uint32_t flags, struct webrtc_stream **stream)
{
    struct tern_mux_stream *base;
    *stream = NULL;
    TERN_TRY(tern_mux_stream_new(&s->streams, flags, &base));
    *stream = webrtc_stream_of(base);
    tern_list_init(&(*stream)->linger);
    tern_list_init(&(*stream)->waiting);
    tern_list_init(&(*stream)->closing);
    return TERN_OK;
}

static void stream_free(struct webrtc_session *s, struct webrtc_stream *stream)
{
    tern_list_remove(&stream->linger);
    tern_list_remove(&stream->waiting);
    tern_list_remove(&stream->closing);
    tern_mux_stream_free(&s->streams, &stream->base);
}

/* stream_has_channel: is there something of it on the wire? */
static bool stream_has_channel(const struct webrtc_stream *stream)
{
    uint32_t flags = stream->base.flags;
    return (flags & WEBRTC_OPENED) != 0 && (flags & STREAM_CHANNEL_OVER) != STREAM_CHANNEL_OVER;
}

void webrtc_stream_drop_id(struct webrtc_session *s, struct webrtc_stream *stream)
{
    tern_mux_stream_drop_id(&s->streams, &stream->base);
    if (stream_has_channel(stream))
        tern_list_push_back(&s->lingering, &stream->linger);
    else
        stream_free(s, stream);
}

void webrtc_stream_over(struct webrtc_session *s, struct webrtc_stream *stream)
{
    struct tern_mux_stream *base = &stream->base;
    base->flags |= STREAM_CHANNEL_OVER | WEBRTC_OUT_ASKED;
    base->flags &= ~WEBRTC_MESSAGES_DUE;
    tern_list_remove(&stream->waiting);
    tern_list_remove(&stream->closing);
    tern_list_remove(&base->control);
    tern_schedule_remove(&s->streams.schedule, &base->turn);
    tern_mux_stream_unnumber(&s->streams, base);
    if (base->slot == TERN_MUX_NO_SLOT)
        stream_free(s, stream);
}

/* ---- lines ---- */

/* stream_wait waits for the remote. */
static void stream_wait(struct webrtc_session *s, struct webrtc_stream *stream, bool waits)
{
    if (!waits) {
        tern_list_remove(&stream->waiting);
    } else if (!tern_list_linked(&stream->waiting)) {
        stream->close_at = s->webrtc->now + WEBRTC_FIN_ACK_TIMEOUT;
        tern_list_push_back(&s->waiting, &stream->waiting);
    }
}

/* stream_close closes our end of the channel, or waits for a place. */
static void stream_close(struct webrtc_session *s, struct webrtc_stream *stream)
{
    if (tern_sctp_reset(s->sctp, (uint16_t)stream->base.wire_id) != TERN_OK) {
        if (!tern_list_linked(&stream->closing))
            tern_list_push_back(&s->closing, &stream->closing);
        return;
    }
    stream->base.flags |= WEBRTC_OUT_ASKED;
    tern_list_remove(&stream->closing);
}

/* stream_may_close: is our end of the channel of no more use? */
static bool stream_may_close(const struct webrtc_stream *stream)
{
    uint32_t flags = stream->base.flags;
    return (flags & ((uint32_t)MUX_DEAD | WEBRTC_IN_DONE)) != 0 ||
           ((flags & STREAM_ENDS) == STREAM_ENDS && (flags & WEBRTC_FIN_ACKED) != 0);
}

/* stream_sendable: is there something of it that may go now? */
static bool stream_sendable(const struct webrtc_stream *stream)
{
    const struct tern_mux_stream *base = &stream->base;
    return !(base->flags & (MUX_DEAD | MUX_FIN_SENT | WEBRTC_STOPPED | WEBRTC_IN_DONE)) &&
           (base->out.size > 0 || tern_mux_stream_fin_due(base));
}

void webrtc_stream_update(struct webrtc_session *s, struct webrtc_stream *stream)
{
    struct tern_mux_stream *base = &stream->base;
    uint32_t flags = base->flags;
    if (s->state == WEBRTC_ENDED)
        return;
    bool opened = (flags & WEBRTC_OPENED) != 0;
    /* A number that the remote was fast to use again waits until our end of it is closed. */
    bool can = !opened || (!(flags & WEBRTC_OUT_ASKED) &&
                           !tern_sctp_resetting(s->sctp, (uint16_t)base->wire_id));
    bool says = can && (flags & WEBRTC_MESSAGES_DUE) != 0;
    if (says)
        tern_mux_stream_want_control(&s->streams, base);
    else
        tern_list_remove(&base->control);
    if (can && stream_sendable(stream))
        tern_schedule_add(&s->streams.schedule, &base->turn);
    else
        tern_schedule_remove(&s->streams.schedule, &base->turn);
    if (!opened)
        return;
    if (can && !says && stream_may_close(stream))
        stream_close(s, stream);
    flags = base->flags;
    bool unanswered = (flags & STREAM_ENDS) == STREAM_ENDS && !stream_may_close(stream);
    bool half_closed = (flags & STREAM_CHANNEL_OVER) == WEBRTC_OUT_DONE;
    stream_wait(s, stream, unanswered || half_closed);
}

void webrtc_streams_closing(struct webrtc_session *s)
{
    TERN_LIST_FOREACH_SAFE (node, next, &s->closing) {
        struct webrtc_stream *stream = TERN_LIST_ENTRY(node, struct webrtc_stream, closing);
        webrtc_stream_update(s, stream);
        if (tern_list_linked(&stream->closing))
            return;
    }
}

/* ---- ends ---- */

/* stream_mute drops all bytes of it. */
static void stream_mute(struct webrtc_session *s, struct webrtc_stream *stream)
{
    struct tern_mux_stream *base = &stream->base;
    size_t unread = base->in.size;
    tern_mux_queue_clear(&s->streams.pool, &base->in);
    TERN_CHECK(tern_mux_stream_charge(&s->streams, base, 0) == TERN_OK);
    if (unread > 0) {
        tern_sctp_consume(s->sctp, unread);
        s->stall_read = true;
    }
    if (base->out.size > 0)
        tern_scope_release(s->streams.scope, TERN_RESOURCE_MEMORY, base->out.size);
    tern_mux_queue_clear(&s->streams.pool, &base->out);
    base->flags &= ~(uint32_t)(MUX_WRITE_SHORT | MUX_ANNOUNCE);
}

/* stream_owe_reset: the remote is to hear of it, if it does not know already that it is over. */
static void stream_owe_reset(struct webrtc_stream *stream, uint32_t code)
{
    struct tern_mux_stream *base = &stream->base;
    base->code = code;
    if (!(base->flags & WEBRTC_OPENED) || (base->flags & STREAM_ENDS) == STREAM_ENDS ||
        (base->flags & ((uint32_t)MUX_DEAD | WEBRTC_IN_DONE | WEBRTC_OUT_ASKED)) != 0)
        return;
    base->flags &= ~(uint32_t)(WEBRTC_ACK_DUE | WEBRTC_FIN_ACK_DUE);
    base->flags |= MUX_RST_DUE;
}

void webrtc_stream_die(struct webrtc_session *s, struct webrtc_stream *stream, uint32_t code)
{
    struct tern_mux_stream *base = &stream->base;
    if (webrtc_stream_dead(stream))
        return;
    if (tern_mux_stream_ended(base)) {
        base->flags |= WEBRTC_FIN_ACKED; /* nothing of it is left to be reset */
        webrtc_stream_update(s, stream);
        return;
    }
    stream_mute(s, stream);
    base->code = code;
    base->flags |= MUX_DEAD;
    webrtc_stream_update(s, stream);
    if (base->slot == TERN_MUX_NO_SLOT)
        return;
    bool unsaid = (base->flags & MUX_NEWS_OPENED) != 0;
    base->flags &=
        ~(uint32_t)(MUX_NEWS_OPENED | MUX_NEWS_READABLE | MUX_NEWS_WRITABLE | MUX_NEWS_CLOSED);
    if (unsaid)
        webrtc_stream_drop_id(s, stream); /* the owner has never heard of it */
    else
        tern_mux_stream_say(&s->streams, base, MUX_NEWS_RESET);
}

void webrtc_stream_abort(struct webrtc_session *s, struct webrtc_stream *stream, uint32_t code)
{
    stream_owe_reset(stream, code);
    webrtc_stream_die(s, stream, code);
}

void webrtc_stream_reset(struct webrtc_session *s, struct webrtc_stream *stream, uint32_t code)
{
    struct tern_mux_stream *base = &stream->base;
    if (!webrtc_stream_dead(stream)) {
        bool over = (base->flags & STREAM_ENDS) == STREAM_ENDS;
        stream_owe_reset(stream, code);
        stream_mute(s, stream);
        if (!over)
            base->flags |= MUX_DEAD;
    }
    webrtc_stream_update(s, stream);
    webrtc_stream_drop_id(s, stream);
}

void webrtc_stream_stop(struct webrtc_session *s, struct webrtc_stream *stream)
{
    struct tern_mux_stream *base = &stream->base;
    base->flags |= WEBRTC_STOPPED | WEBRTC_FIN_ACKED;
    if (base->out.size > 0)
        tern_scope_release(s->streams.scope, TERN_RESOURCE_MEMORY, base->out.size);
    tern_mux_queue_clear(&s->streams.pool, &base->out);
    if (base->flags & MUX_FIN_ASKED)
        base->flags |= MUX_FIN_SENT;
    if (base->slot == TERN_MUX_NO_SLOT)
        return;
    /* Whoever waits to write is to hear that it is over. */
    tern_mux_stream_say_writable(&s->streams, base);
    webrtc_stream_close_if_done(s, stream);
}

void webrtc_stream_close_if_done(struct webrtc_session *s, struct webrtc_stream *stream)
{
    if (stream->base.slot != TERN_MUX_NO_SLOT && !webrtc_stream_dead(stream) &&
        tern_mux_stream_ended(&stream->base))
        tern_mux_stream_say(&s->streams, &stream->base, MUX_NEWS_CLOSED);
}

/* ---- time ---- */

static tern_time stream_first_close(const struct webrtc_session *s)
{
    struct tern_list *node = tern_list_front(&s->waiting);
    return node == NULL ? TERN_TIME_NEVER
                        : TERN_LIST_ENTRY(node, struct webrtc_stream, waiting)->close_at;
}

tern_time webrtc_streams_deadline(const struct webrtc_session *s)
{
    return tern_time_min(stream_first_close(s), s->stall_at);
}

/* stream_give_up does without the remote's answer. */
static void stream_give_up(struct webrtc_session *s, struct webrtc_stream *stream)
{
    struct tern_mux_stream *base = &stream->base;
    tern_list_remove(&stream->waiting);
    if (base->flags & WEBRTC_OUT_DONE) {
        /* It does not close its end. A number of ours must not be used again. */
        if (!(base->flags & MUX_INBOUND))
            s->numbers_spent = true;
        webrtc_stream_over(s, stream);
    } else {
        base->flags |= WEBRTC_FIN_ACKED;
        webrtc_stream_update(s, stream);
    }
}

/* stream_fullest is the stream that most bytes wait in. */
static struct webrtc_stream *stream_fullest(const struct webrtc_session *s)
{
    struct tern_mux_stream *fullest = NULL;
    for (uint32_t i = 0; i < s->streams.slots_count; i++) {
        struct tern_mux_stream *base = s->streams.slots[i].stream;
        if (base != NULL && (fullest == NULL || base->in.size > fullest->in.size))
            fullest = base;
    }
    return webrtc_stream_of(fullest);
}

void webrtc_streams_tick(struct webrtc_session *s)
{
    while (stream_first_close(s) <= s->webrtc->now)
        stream_give_up(s, TERN_LIST_ENTRY(s->waiting.next, struct webrtc_stream, waiting));
    if (s->webrtc->now < s->stall_at)
        return;
    bool progress = s->stall_read;
    s->stall_read = false;
    s->stall_at = progress ? s->webrtc->now + s->webrtc->options.stall_timeout_ns : TERN_TIME_NEVER;
    struct webrtc_stream *stream = stream_fullest(s);
    if (progress || stream == NULL || stream->base.in.size == 0)
        return;
    webrtc_note(s->webrtc, TERN_FAULT_WEBRTC_STREAM_STALLED);
    webrtc_stream_abort(s, stream, TERN_MUX_CODE_RESOURCE_LIMIT);
}

void webrtc_streams_stall(struct webrtc_session *s)
{
    if (tern_sctp_window_left(s->sctp) >= WEBRTC_WINDOW_LOW) {
        s->stall_at = TERN_TIME_NEVER;
    } else if (s->stall_at == TERN_TIME_NEVER) {
        s->stall_at = s->webrtc->now + s->webrtc->options.stall_timeout_ns;
        s->stall_read = false;
    }
}

/* ---- the session's end ---- */

void webrtc_streams_end(struct webrtc_session *s)
{
    s->streams.over = true;
}

static void streams_release(struct tern_mux_streams *streams, struct tern_mux_stream *base)
{
    struct webrtc_session *s = TERN_CONTAINER_OF(streams, struct webrtc_session, streams);
    stream_free(s, webrtc_stream_of(base));
}

void webrtc_streams_fini(struct webrtc_session *s)
{
    struct tern_list *node;
    while ((node = tern_list_front(&s->lingering)) != NULL)
        stream_free(s, TERN_LIST_ENTRY(node, struct webrtc_stream, linger));
    tern_mux_streams_fini(&s->streams, streams_release);
    if (s->charged_held > 0)
        tern_scope_release(s->streams.scope, TERN_RESOURCE_MEMORY, s->charged_held);
    s->charged_held = 0;
}
