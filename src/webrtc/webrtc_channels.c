/*
 * What comes on channels: they are opened, bring messages, and are closed.
 *
 * What a remote may not do with the numbers of channels ends the session; a message that cannot be
 * read ends its stream.
 */
#include "webrtc/webrtc_internal.h"

#define RESETS_INTERVAL (10 * TERN_MILLISECOND)

enum { RESETS_BURST = 1024 };

/* ---- opening ---- */

/* channel_begin makes the stream of a channel that was opened. */
static tern_err channel_begin(struct webrtc_session *s, uint16_t number)
{
    struct webrtc_stream *stream;
    uint32_t max = s->state == WEBRTC_ESTABLISHED ? s->webrtc->options.streams_in_max
                                                  : TERN_WEBRTC_EARLY_STREAMS_MAX;
    if (s->goaway)
        return TERN_ERR_CLOSED;
    if (s->streams.in_count >= max)
        return TERN_ERR_FULL;
    TERN_TRY(webrtc_stream_new(s, MUX_INBOUND, &stream));
    stream->base.flags |= WEBRTC_OPENED | WEBRTC_ACK_DUE;
    tern_mux_stream_number(&s->streams, &stream->base, number);
    tern_mux_stream_say(&s->streams, &stream->base, MUX_NEWS_OPENED);
    webrtc_stream_update(s, stream);
    return TERN_OK;
}

/* channel_reopened: the remote uses a number again. Our end of the channel that had it is closed,
 * though the remote's word of that may come late. False: it is not. */
static bool channel_reopened(struct webrtc_session *s, uint16_t number)
{
    struct webrtc_stream *stream = webrtc_stream_find(s, number);
    struct webrtc_refusal *refusal = webrtc_refusal_find(s, number);
    if (stream != NULL) {
        if (!(stream->base.flags & WEBRTC_IN_DONE) || !(stream->base.flags & WEBRTC_OUT_ASKED))
            return false;
        webrtc_stream_over(s, stream);
    } else if (refusal != NULL) {
        if (!refusal->in_done || !refusal->out_asked)
            return false;
        refusal->out_done = true;
        webrtc_refusal_over(s, refusal);
    }
    return true;
}

static void channel_open(struct webrtc_session *s, uint16_t number, bool reliable)
{
    if (!tern_channel_is_theirs(number, s->listener)) {
        webrtc_session_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBRTC_CHANNEL_NUMBER);
        return;
    }
    if (!channel_reopened(s, number)) {
        webrtc_session_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBRTC_CHANNEL_OPEN_TWICE);
        return;
    }
    if (!reliable) {
        webrtc_note(s->webrtc, TERN_FAULT_WEBRTC_CHANNEL_UNRELIABLE);
        webrtc_refuse(s, number, 0);
        return;
    }
    tern_err err = channel_begin(s, number);
    if (err == TERN_OK)
        return;
    webrtc_note(s->webrtc, TERN_FAULT_WEBRTC_STREAM_REFUSED);
    webrtc_refuse(s, number,
                  err == TERN_ERR_CLOSED ? TERN_MUX_CODE_SHUTDOWN : TERN_MUX_CODE_RESOURCE_LIMIT);
}

/* channel_dcep takes a message of DCEP, which is never so large that it would be cut. */
static void channel_dcep(struct webrtc_session *s, const struct tern_sctp_event *event)
{
    struct tern_dcep dcep;
    if (!event->begin || !event->end || tern_dcep_decode(event->data.view, &dcep) != TERN_OK)
        webrtc_session_fail(s, TERN_ERR_MALFORMED, TERN_FAULT_WEBRTC_CHANNEL_DCEP);
    else if (dcep.type == TERN_DCEP_OPEN)
        channel_open(s, event->stream, dcep.reliable);
}

/* ---- messages ---- */

static void channel_starved(struct webrtc_session *s, struct webrtc_stream *stream)
{
    webrtc_note(s->webrtc, TERN_FAULT_WEBRTC_STREAM_STARVED);
    webrtc_stream_abort(s, stream, TERN_MUX_CODE_RESOURCE_LIMIT);
}

static void channel_malformed(struct webrtc_session *s, struct webrtc_stream *stream,
                              tern_fault fault)
{
    webrtc_note(s->webrtc, fault);
    webrtc_stream_abort(s, stream, 0);
}

/* channel_bytes keeps bytes for the owner, and returns how many. */
static size_t channel_bytes(struct webrtc_session *s, struct webrtc_stream *stream,
                            struct tern_view bytes)
{
    struct tern_mux_stream *base = &stream->base;
    if (base->flags & MUX_FIN_RECEIVED) {
        channel_malformed(s, stream, TERN_FAULT_WEBRTC_MESSAGE_LATE);
        return 0;
    }
    if (tern_mux_stream_charge(&s->streams, base, base->in.size + bytes.size) != TERN_OK) {
        channel_starved(s, stream);
        return 0;
    }
    size_t kept = tern_mux_queue_copy(&s->streams.pool, &base->in, bytes);
    if (kept < bytes.size)
        channel_starved(s, stream);
    else
        tern_mux_stream_say(&s->streams, base, MUX_NEWS_READABLE);
    return kept;
}

static void channel_fin(struct webrtc_session *s, struct webrtc_stream *stream)
{
    struct tern_mux_stream *base = &stream->base;
    base->flags |= WEBRTC_FIN_ACK_DUE;
    if (base->flags & MUX_FIN_RECEIVED)
        return; /* it has asked once more */
    base->flags |= MUX_FIN_RECEIVED;
    if (base->slot != TERN_MUX_NO_SLOT)
        tern_mux_stream_say(&s->streams, base, MUX_NEWS_READABLE);
    webrtc_stream_close_if_done(s, stream);
}

/* channel_reset: the remote has reset the stream. Streams that are opened and reset as fast as that
 * goes are work for nothing. */
static void channel_reset(struct webrtc_session *s, struct webrtc_stream *stream, uint32_t code)
{
    if ((stream->base.flags & MUX_INBOUND) &&
        !tern_mux_bucket_take(&s->resets_received, s->webrtc->now, RESETS_BURST, RESETS_INTERVAL))
        webrtc_session_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBRTC_RESET_FLOOD);
    else
        webrtc_stream_die(s, stream, code);
}

static void channel_flag(struct webrtc_session *s, struct webrtc_stream *stream)
{
    uint32_t code = stream->decoder.code;
    switch (stream->decoder.flag) {
    case TERN_MESSAGE_FIN:
        channel_fin(s, stream);
        break;
    case TERN_MESSAGE_STOP_SENDING:
        if (code != 0)
            channel_reset(s, stream, code);
        else
            webrtc_stream_stop(s, stream);
        break;
    case TERN_MESSAGE_RESET:
        channel_reset(s, stream, code);
        break;
    case TERN_MESSAGE_FIN_ACK:
        if (stream->base.flags & MUX_FIN_SENT)
            stream->base.flags |= WEBRTC_FIN_ACKED;
        break;
    case TERN_MESSAGE_NO_FLAG:
        break;
    }
}

/* channel_messages reads a part of a stream's messages, and returns how many bytes of it were kept,
 * whose credit is returned when they are read or dropped.
 */
static size_t channel_messages(struct webrtc_session *s, struct webrtc_stream *stream,
                               struct tern_view in)
{
    size_t kept = 0;
    while (s->state != WEBRTC_ENDED && !webrtc_stream_dead(stream)) {
        struct tern_view bytes;
        switch (tern_message_decode(&stream->decoder, &in, &bytes)) {
        case TERN_MESSAGE_MORE:
            return kept;
        case TERN_MESSAGE_DATA:
            kept += channel_bytes(s, stream, bytes);
            break;
        case TERN_MESSAGE_FLAGGED:
            channel_flag(s, stream);
            break;
        case TERN_MESSAGE_MALFORMED:
            channel_malformed(s, stream, TERN_FAULT_WEBRTC_MESSAGE);
            break;
        }
    }
    return kept;
}

/* channel_data returns how many bytes of a fragment are kept. */
static size_t channel_data(struct webrtc_session *s, const struct tern_sctp_event *event)
{
    if (event->ppid == TERN_CHANNEL_STRING_EMPTY || event->ppid == TERN_CHANNEL_BINARY_EMPTY)
        return 0;
    if (event->ppid != TERN_CHANNEL_BINARY && event->ppid != TERN_CHANNEL_STRING) {
        webrtc_note(s->webrtc, TERN_FAULT_WEBRTC_CHANNEL_PPID);
        return 0;
    }
    struct webrtc_stream *stream = webrtc_stream_find(s, event->stream);
    if (stream == NULL) {
        if (webrtc_refusal_find(s, event->stream) == NULL)
            webrtc_note(s->webrtc, TERN_FAULT_WEBRTC_CHANNEL_UNKNOWN);
        return 0;
    }
    if (event->unordered && !webrtc_stream_dead(stream)) {
        channel_malformed(s, stream, TERN_FAULT_WEBRTC_CHANNEL_UNRELIABLE);
        webrtc_stream_update(s, stream);
        return 0;
    }
    size_t kept = channel_messages(s, stream, event->data.view);
    webrtc_stream_update(s, stream);
    return kept;
}

/* ---- closing ---- */

static void channel_reset_in(struct webrtc_session *s, uint16_t number)
{
    struct webrtc_stream *stream = webrtc_stream_find(s, number);
    struct webrtc_refusal *refusal = webrtc_refusal_find(s, number);
    if (refusal != NULL) {
        refusal->in_done = true;
        webrtc_refusal_over(s, refusal);
    }
    if (stream == NULL)
        return;
    struct tern_mux_stream *base = &stream->base;
    const uint32_t ends = MUX_FIN_SENT | MUX_FIN_RECEIVED;
    if (!webrtc_stream_dead(stream) && (base->flags & ends) != ends)
        channel_reset(s, stream, 0);
    if (s->state == WEBRTC_ENDED)
        return;
    base->flags |= WEBRTC_IN_DONE;
    base->flags &= ~WEBRTC_MESSAGES_DUE;
    if (base->flags & WEBRTC_OUT_DONE)
        webrtc_stream_over(s, stream);
    else
        webrtc_stream_update(s, stream);
}

/* channel_reset_out: our direction is closed. Of a number that the remote was faster to use again
 * it is the channel before that is meant. */
static void channel_reset_out(struct webrtc_session *s, uint16_t number, tern_err err)
{
    struct webrtc_stream *stream = webrtc_stream_find(s, number);
    struct webrtc_refusal *refusal = webrtc_refusal_find(s, number);
    s->numbers_spent = s->numbers_spent || err != TERN_OK;
    if (refusal != NULL && refusal->out_asked) {
        refusal->out_done = true;
        webrtc_refusal_over(s, refusal);
    }
    if (stream != NULL && (stream->base.flags & WEBRTC_OUT_ASKED) != 0)
        stream->base.flags |= WEBRTC_OUT_DONE;
    const uint32_t both = WEBRTC_OUT_DONE | WEBRTC_IN_DONE;
    if (stream != NULL && (stream->base.flags & both) == both)
        webrtc_stream_over(s, stream);
    else if (stream != NULL)
        webrtc_stream_update(s, stream);
    webrtc_streams_closing(s);
}

/* channel_gap: what is missing in the stream will never come. */
static void channel_gap(struct webrtc_session *s, uint16_t number)
{
    struct webrtc_stream *stream = webrtc_stream_find(s, number);
    webrtc_note(s->webrtc, TERN_FAULT_WEBRTC_CHANNEL_GAP);
    if (stream == NULL || webrtc_stream_dead(stream))
        return;
    webrtc_stream_abort(s, stream, 0);
}

void webrtc_channel_event(struct webrtc_session *s, const struct tern_sctp_event *event)
{
    size_t kept = 0;
    switch (event->kind) {
    case TERN_SCTP_UP:
        return;
    case TERN_SCTP_DATA:
        if (event->ppid == TERN_CHANNEL_DCEP)
            channel_dcep(s, event);
        else
            kept = channel_data(s, event);
        tern_sctp_consume(s->sctp, event->data.view.size - kept);
        return;
    case TERN_SCTP_RESET_IN:
        channel_reset_in(s, event->stream);
        return;
    case TERN_SCTP_RESET_OUT:
        channel_reset_out(s, event->stream, event->err);
        return;
    case TERN_SCTP_STREAM_GAP:
        channel_gap(s, event->stream);
        return;
    }
    TERN_UNREACHABLE();
}
