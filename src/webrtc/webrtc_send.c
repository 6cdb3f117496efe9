/*
 * Datagrams out, of one session: checks and answers first, then flights of DTLS, then packets of
 * SCTP, as many at once as are due. All packets but the last of a batch are of full size, so that
 * they can be cut apart again.
 */
#include "webrtc/webrtc_internal.h"

enum {
    SEND_PACKET_SIZE = TERN_DTLS_PLAINTEXT_MAX & ~3, /* of SCTP: a multiple of 4 */
    SEND_SIZE_FULL = SEND_PACKET_SIZE + TERN_DTLS_OVERHEAD,
};

/* send_flight_allowed: is there a flight, and does it keep to what an address may get that has not
 * shown that it receives? */
static bool send_flight_allowed(const struct webrtc_session *s)
{
    if (!s->has_dtls)
        return false;
    size_t size = tern_dtls_send_size(&s->dtls);
    return size > 0 && (s->validated || s->bytes_out + size <= s->bytes_in * WEBRTC_AMPLIFICATION);
}

/* send_packet_due: is there a packet, as far as is known before it is made? */
static bool send_packet_due(const struct webrtc_session *s)
{
    if (s->sctp == NULL || s->dtls.state != TERN_DTLS_OPEN || s->starved_until > s->webrtc->now)
        return false;
    return tern_sctp_want_write(s->sctp) || (tern_sctp_hungry(s->sctp) && webrtc_fill_wants(s));
}

bool webrtc_session_wants_send(const struct webrtc_session *s)
{
    return s->state != WEBRTC_ENDED &&
           (tern_ice_want_send(&s->ice) || send_flight_allowed(s) || send_packet_due(s));
}

/* send_packet makes one packet and returns the size of its datagram; 0: there is none. */
static size_t send_packet(struct webrtc_session *s, struct tern_writer *out)
{
    size_t start = out->size;
    webrtc_fill(s);
    const struct tern_span room = tern_dtls_seal_begin(&s->dtls, out);
    if (room.data == NULL)
        return 0;
    const struct tern_span packet = {room.data, SEND_PACKET_SIZE};
    size_t size = tern_sctp_write(s->sctp, s->webrtc->now, packet);
    tern_err err = tern_dtls_seal_end(&s->dtls, out, size);
    if (err != TERN_OK) {
        webrtc_session_fail(s, err, TERN_FAULT_NONE);
        out->size = start;
    }
    return out->size - start;
}

/* send_packets fills a batch. */
static void send_packets(struct webrtc_session *s, struct tern_datagrams_out *out)
{
    struct tern_writer *w = &out->writer;
    for (unsigned count = 0; count < TERN_DATAGRAMS_SEGMENTS_MAX; count++) {
        if (tern_writer_left(w) < TERN_DTLS_DATAGRAM_MAX || !send_packet_due(s))
            return;
        size_t size = send_packet(s, w);
        if (count == 0)
            out->segment_size = (uint16_t)size;
        if (size == 0)
            /* There was no memory for what is due. */
            s->starved_until = s->webrtc->now + WEBRTC_STARVED_PAUSE;
        if (size < SEND_SIZE_FULL || s->state == WEBRTC_ENDED)
            return;
    }
}

bool webrtc_session_send(struct webrtc_session *s, struct tern_datagrams_out *out)
{
    struct tern_writer *w = &out->writer;
    tern_time now = s->webrtc->now;
    TERN_CHECK(w->size == 0 && tern_writer_left(w) >= TERN_DTLS_DATAGRAM_MAX);
    if (s->state == WEBRTC_ENDED)
        return false;
    out->path = s->path;
    if (tern_ice_send(&s->ice, now, &out->path, w))
        out->segment_size = (uint16_t)w->size;
    else if (send_flight_allowed(s) && tern_dtls_send(&s->dtls, now, w))
        out->segment_size = (uint16_t)w->size;
    else
        send_packets(s, out);
    s->bytes_out += w->size;
    return w->size > 0;
}

/* ---- the end ---- */

/* words_sctp tells SCTP's end: a browser shows it to the page as it is. */
static void words_sctp(struct webrtc_session *s, struct tern_writer *w)
{
    tern_sctp_abort(s->sctp);
    const struct tern_span room = tern_dtls_seal_begin(&s->dtls, w);
    if (room.data == NULL)
        return;
    const struct tern_span packet = {room.data, SEND_PACKET_SIZE};
    size_t size = tern_sctp_write(s->sctp, s->webrtc->now, packet);
    if (tern_dtls_seal_end(&s->dtls, w, size) != TERN_OK)
        w->size = 0;
}

void webrtc_session_last_words(struct webrtc_session *s)
{
    uint8_t bytes[3 * TERN_DTLS_DATAGRAM_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    if (!s->has_dtls || s->socket == NULL || s->dtls.state == TERN_DTLS_HANDSHAKE)
        return;
    if (s->dtls.state == TERN_DTLS_OPEN && s->sctp != NULL)
        words_sctp(s, &w);
    tern_dtls_close(&s->dtls);
    /* A last flight that is due, and an alert. */
    for (int i = 0; i < 2 && tern_writer_left(&w) >= TERN_DTLS_DATAGRAM_MAX; i++) {
        if (!tern_dtls_send(&s->dtls, s->webrtc->now, &w))
            break;
    }
    if (w.size > 0 && w.size <= WEBRTC_FAREWELL_MAX)
        webrtc_farewell(s->webrtc, s->socket, &s->path, tern_writer_view(&w));
}
