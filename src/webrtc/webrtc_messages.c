/*
 * Messages out. SCTP takes a message only when its first bytes could go now, so who is next is
 * decided here, at the last moment:
 *
 *   Noise, refusals, what a stream has to say besides its bytes, bytes in the order of the schedule
 *
 * A message that has begun is sent to its end before another one. So bytes go in messages that fill
 * the rest of a packet, and in larger ones, which cost browsers less, when a stream has the
 * connection to itself.
 */
#include "webrtc/webrtc_internal.h"

enum {
    MESSAGE_HEAD = 5,   /* of a message of a packet's size */
    MESSAGE_PART = 128, /* less than this of a packet is not worth a message */
};

/* ---- handing over ---- */

/* message_flat hands a message over that has no bytes of a stream. */
static tern_err message_flat(struct webrtc_session *s, uint16_t number, uint32_t ppid,
                             const struct tern_writer *w)
{
    const struct tern_sctp_message message = {
        .stream = number, .ppid = ppid, .head = tern_writer_view(w)};
    TERN_CHECK(tern_writer_ok(w));
    return tern_sctp_send(s->sctp, &message);
}

tern_err webrtc_message_flag(struct webrtc_session *s, uint16_t number, enum tern_message_flag flag,
                             uint32_t code)
{
    uint8_t bytes[TERN_SCTP_HEAD_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_message_encode_flag(flag, code, &w);
    return message_flat(s, number, TERN_CHANNEL_BINARY, &w);
}

static tern_err message_dcep(struct webrtc_session *s, uint16_t number, enum tern_dcep_type type)
{
    uint8_t bytes[TERN_SCTP_HEAD_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_dcep_encode(type, &w);
    return message_flat(s, number, TERN_CHANNEL_DCEP, &w);
}

/* message_bytes hands over the oldest size bytes of a queue. */
static tern_err message_bytes(struct webrtc_session *s, uint16_t number,
                              struct tern_mux_queue *queue, size_t size)
{
    uint8_t bytes[TERN_MESSAGE_HEAD_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_message_encode_bytes(size, &w);
    const struct tern_sctp_message message = {
        .stream = number,
        .ppid = TERN_CHANNEL_BINARY,
        .head = tern_writer_view(&w),
        .queue = queue,
        .size = size,
    };
    return tern_sctp_send(s->sctp, &message);
}

/* ---- opening ---- */

/* message_number finds a number for a channel of ours; 0: there is none. */
static uint16_t message_number(struct webrtc_session *s)
{
    for (uint32_t i = 0; i <= TERN_CHANNEL_LAST / 2; i++) {
        if (s->number_next > TERN_CHANNEL_LAST) {
            s->number_next = tern_channel_first(s->listener);
            s->numbers_wrapped = true;
        }
        if (s->numbers_wrapped && s->numbers_spent)
            return 0;
        uint16_t number = (uint16_t)s->number_next;
        s->number_next += 2;
        if (webrtc_stream_find(s, number) == NULL && !tern_sctp_resetting(s->sctp, number))
            return number;
    }
    return 0;
}

/* message_open opens the channel of a stream of ours, if that has not been done. *dead: it cannot
 * be, and the stream has been reset. */
static tern_err message_open(struct webrtc_session *s, struct webrtc_stream *stream, bool *dead)
{
    struct tern_mux_stream *base = &stream->base;
    *dead = false;
    if (base->flags & WEBRTC_OPENED)
        return TERN_OK;
    if (base->wire_id == 0) {
        uint16_t number = message_number(s);
        if (number == 0) {
            *dead = true;
            webrtc_stream_die(s, stream, TERN_MUX_CODE_RESOURCE_LIMIT);
            return TERN_OK;
        }
        tern_mux_stream_number(&s->streams, base, number);
    }
    TERN_TRY(message_dcep(s, (uint16_t)base->wire_id, TERN_DCEP_OPEN));
    base->flags |= WEBRTC_OPENED;
    base->flags &= ~(uint32_t)MUX_ANNOUNCE;
    return TERN_OK;
}

/* ---- what is due ---- */

/* message_control says the first of what a stream has to say. */
static tern_err message_control(struct webrtc_session *s)
{
    struct webrtc_stream *stream =
        webrtc_stream_of(TERN_LIST_ENTRY(s->streams.control.next, struct tern_mux_stream, control));
    struct tern_mux_stream *base = &stream->base;
    uint16_t number = (uint16_t)base->wire_id;
    if (base->flags & MUX_ANNOUNCE) {
        bool dead;
        TERN_TRY(message_open(s, stream, &dead));
        if (dead)
            return TERN_OK;
    } else if (base->flags & WEBRTC_ACK_DUE) {
        TERN_TRY(message_dcep(s, number, TERN_DCEP_ACK));
        base->flags &= ~(uint32_t)WEBRTC_ACK_DUE;
    } else if (base->flags & MUX_RST_DUE) {
        TERN_TRY(webrtc_message_flag(s, number, TERN_MESSAGE_RESET, base->code));
        base->flags &= ~((uint32_t)MUX_RST_DUE | WEBRTC_FIN_ACK_DUE);
    } else {
        TERN_CHECK(base->flags & WEBRTC_FIN_ACK_DUE);
        TERN_TRY(webrtc_message_flag(s, number, TERN_MESSAGE_FIN_ACK, 0));
        base->flags &= ~(uint32_t)WEBRTC_FIN_ACK_DUE;
    }
    webrtc_stream_update(s, stream);
    return TERN_OK;
}

static tern_err message_fin(struct webrtc_session *s, struct webrtc_stream *stream)
{
    struct tern_mux_stream *base = &stream->base;
    TERN_CHECK(tern_mux_stream_fin_due(base));
    TERN_TRY(webrtc_message_flag(s, (uint16_t)base->wire_id, TERN_MESSAGE_FIN, 0));
    base->flags |= MUX_FIN_SENT;
    tern_schedule_sent(&s->streams.schedule, &base->turn, 0);
    webrtc_stream_close_if_done(s, stream);
    return TERN_OK;
}

/* message_data says the next bytes of the stream whose turn it is. */
static tern_err message_data(struct webrtc_session *s, size_t room)
{
    size_t turn_max;
    bool dead;
    struct tern_schedule_turn *turn = tern_schedule_next(&s->streams.schedule, &turn_max);
    TERN_CHECK(turn != NULL);
    struct webrtc_stream *stream =
        webrtc_stream_of(TERN_CONTAINER_OF(turn, struct tern_mux_stream, turn));
    struct tern_mux_stream *base = &stream->base;
    TERN_TRY(message_open(s, stream, &dead));
    if (dead)
        return TERN_OK;
    bool alone = s->streams.schedule.waiting_count == 1;
    size_t size_max = alone ? TERN_MESSAGE_BYTES_MAX : room - MESSAGE_HEAD;
    size_t size = tern_min_size(tern_min_size(turn_max, size_max), base->out.size);
    if (size == 0) {
        TERN_TRY(message_fin(s, stream));
    } else {
        TERN_TRY(message_bytes(s, (uint16_t)base->wire_id, &base->out, size));
        s->charged_held += size;
        tern_schedule_sent(&s->streams.schedule, turn, size);
        tern_mux_stream_say_writable(&s->streams, base);
    }
    webrtc_stream_update(s, stream);
    return TERN_OK;
}

static tern_err message_noise(struct webrtc_session *s)
{
    struct webrtc_noise *noise = &s->noise;
    if (noise->out.size > 0)
        return message_bytes(s, TERN_CHANNEL_HANDSHAKE, &noise->out,
                             tern_min_size(noise->out.size, TERN_MESSAGE_BYTES_MAX));
    TERN_TRY(webrtc_message_flag(s, TERN_CHANNEL_HANDSHAKE, TERN_MESSAGE_FIN_ACK, 0));
    noise->fin_ack_due = false;
    return TERN_OK;
}

static bool message_noise_due(const struct webrtc_session *s)
{
    return (s->noise.out.size > 0 && !webrtc_noise_waits(s)) || s->noise.fin_ack_due;
}

bool webrtc_fill_wants(const struct webrtc_session *s)
{
    return message_noise_due(s) || s->refusals.due > 0 || !tern_list_empty(&s->streams.control) ||
           !tern_schedule_empty(&s->streams.schedule);
}

/* fill_one hands over what goes next. TERN_ERR_AGAIN: there is too little room for it. */
static tern_err fill_one(struct webrtc_session *s, size_t room)
{
    if (message_noise_due(s))
        return message_noise(s);
    if (s->refusals.due > 0)
        return webrtc_refusals_fill(s);
    if (!tern_list_empty(&s->streams.control))
        return message_control(s);
    return room < MESSAGE_PART ? TERN_ERR_AGAIN : message_data(s, room);
}

void webrtc_fill(struct webrtc_session *s)
{
    size_t room;
    while (webrtc_fill_wants(s) && (room = tern_sctp_room(s->sctp)) > 0) {
        if (fill_one(s, room) != TERN_OK)
            return; /* for want of memory it is tried again after a pause */
    }
}

void webrtc_settle_charges(struct webrtc_session *s)
{
    size_t held = tern_sctp_held(s->sctp);
    if (held >= s->charged_held)
        return;
    tern_scope_release(s->streams.scope, TERN_RESOURCE_MEMORY, s->charged_held - held);
    s->charged_held = held;
}
