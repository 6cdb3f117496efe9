/*
 * Noise on channel 0, which tells who the remote is. The listener begins. Its prologue ties it to
 * this DTLS session: whoever stands in between has other certificates.
 *
 *     "libp2p-webrtc-noise:" ‖ multihash of the dialer's certificate ‖ of the listener's
 *
 * Nothing comes on the channel afterwards. It is left open, as others leave it, until the remote
 * closes it.
 *
 * A dialer of webrtc-rs that hears on the channel before it has opened it for itself, which it does
 * a moment after the association is up, never opens it. It does not offer to go without checksums,
 * as others do: who does not is spoken to NOISE_PAUSE after it has shown that it is up.
 */
#include "webrtc/webrtc_internal.h"

#include "secure/noise.h"

#define NOISE_PAUSE (5 * TERN_MILLISECOND)

enum { NOISE_CONTROL_MAX = 1024, NOISE_PROLOGUE_MAX = 128 };

static void noise_put_multihash(struct tern_writer *w, const uint8_t fingerprint[TERN_SHA256_SIZE])
{
    enum { SHA256 = 0x12 };
    tern_writer_u8(w, SHA256);
    tern_writer_u8(w, TERN_SHA256_SIZE);
    tern_writer_bytes(w, tern_view_of(fingerprint, TERN_SHA256_SIZE));
}

void webrtc_noise_prologue(const uint8_t dialer[TERN_SHA256_SIZE],
                           const uint8_t listener[TERN_SHA256_SIZE], struct tern_writer *w)
{
    tern_writer_str(w, "libp2p-webrtc-noise:");
    noise_put_multihash(w, dialer);
    noise_put_multihash(w, listener);
}

static bool noise_over(const struct webrtc_session *s)
{
    return s->state != WEBRTC_JOINING;
}

/* noise_fail: what Noise says is final. */
static void noise_fail(struct webrtc_session *s, tern_err err)
{
    const struct tern_channel *channel = &s->noise.channel;
    webrtc_session_fail(s, err, channel->ops->fault(channel->self));
}

/* noise_control takes what Noise has to say. */
static void noise_control(struct webrtc_session *s)
{
    const struct tern_channel *channel = &s->noise.channel;
    uint8_t bytes[NOISE_CONTROL_MAX];
    while (channel->ops->control_pending(channel->self)) {
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        channel->ops->control(channel->self, s->webrtc->now, &w);
        TERN_CHECK(w.size > 0);
        if (!tern_mux_queue_put(&s->streams.pool, &s->noise.out, tern_writer_view(&w))) {
            webrtc_session_fail(s, TERN_ERR_MEMORY, TERN_FAULT_NONE);
            return;
        }
    }
}

/* noise_event takes what Noise tells; false: a job is to be done first. */
static bool noise_event(struct webrtc_session *s, const struct tern_channel_event *event)
{
    switch (event->kind) {
    case TERN_CHANNEL_JOB:
        s->noise.job = event->job;
        return false;
    case TERN_CHANNEL_HANDSHAKE_DONE:
        webrtc_session_established(s);
        return true;
    case TERN_CHANNEL_DATA:
    case TERN_CHANNEL_END:
        return true;
    }
    TERN_UNREACHABLE();
}

/* noise_run gives Noise what has come, as far as it takes it. */
static void noise_run(struct webrtc_session *s)
{
    struct webrtc_noise *noise = &s->noise;
    const struct tern_channel *channel = &noise->channel;
    struct tern_channel_event event;
    while (!noise_over(s) && noise->job == NULL && !noise->job_out) {
        if (channel->ops->next(channel->self, &event)) {
            if (!noise_event(s, &event))
                break;
            continue;
        }
        if (noise->in.size == 0)
            break;
        size_t used = 0;
        tern_err err = channel->ops->recv(channel->self, s->webrtc->now,
                                          tern_mux_queue_front(&noise->in), &used);
        tern_mux_queue_drop(&s->streams.pool, &noise->in, used);
        if (err != TERN_OK) {
            noise_fail(s, err);
            return;
        }
        TERN_CHECK(used > 0);
    }
    if (s->state != WEBRTC_ENDED)
        noise_control(s);
    if (noise_over(s))
        tern_mux_queue_clear(&s->streams.pool, &noise->in);
    else if (noise->ended && noise->job == NULL && !noise->job_out)
        webrtc_session_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBRTC_NOISE_CLOSED);
}

void webrtc_noise_up(struct webrtc_session *s)
{
    if (s->listener && !tern_sctp_takes_zero_checksum(s->sctp))
        s->noise.speaks_at = s->webrtc->now + NOISE_PAUSE;
}

bool webrtc_noise_waits(const struct webrtc_session *s)
{
    if (s->noise.out.size == 0 || !s->listener || tern_sctp_takes_zero_checksum(s->sctp))
        return false;
    return s->webrtc->now < s->noise.speaks_at;
}

tern_err webrtc_noise_begin(struct webrtc_session *s)
{
    const struct webrtc *w = s->webrtc;
    const uint8_t *ours = tern_dtls_context_fingerprint(s->context);
    const uint8_t *theirs = s->dtls.fingerprint;
    uint8_t bytes[NOISE_PROLOGUE_MAX];
    struct tern_writer prologue = tern_writer_of(bytes, sizeof bytes);
    webrtc_noise_prologue(s->listener ? theirs : ours, s->listener ? ours : theirs, &prologue);
    TERN_CHECK(tern_writer_ok(&prologue));
    const struct tern_noise_options options = {
        .role = s->listener ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
        .mem = w->mem,
        .random = &s->webrtc->random,
        .aead = w->options.aead,
        .identity = w->options.noise,
        .expected_peer = s->expected.size == 0 ? NULL : &s->expected,
        .prologue = tern_writer_view(&prologue),
    };
    s->noise.speaks_at = TERN_TIME_NEVER;
    TERN_TRY(tern_noise_new(&options, &s->noise.channel));
    noise_run(s);
    return TERN_OK;
}

/* noise_end: nothing comes behind this. What has come before may be all that the handshake needs,
 * and rust-libp2p ends it with its last message. */
static void noise_end(struct webrtc_session *s)
{
    s->noise.ended = true;
    noise_run(s);
}

static void noise_flag(struct webrtc_session *s)
{
    enum tern_message_flag flag = s->noise.decoder.flag;
    if (flag == TERN_MESSAGE_FIN)
        s->noise.fin_ack_due = !s->noise.close_asked;
    if (flag == TERN_MESSAGE_FIN || flag == TERN_MESSAGE_RESET)
        noise_end(s);
}

/* noise_bytes keeps bytes until Noise takes them. */
static void noise_bytes(struct webrtc_session *s, struct tern_view bytes)
{
    if (noise_over(s) || s->noise.ended)
        return;
    if (s->noise.in.size + bytes.size > WEBRTC_NOISE_MAX)
        webrtc_session_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBRTC_NOISE_FLOOD);
    else if (!tern_mux_queue_put(&s->streams.pool, &s->noise.in, bytes))
        webrtc_session_fail(s, TERN_ERR_MEMORY, TERN_FAULT_NONE);
}

void webrtc_noise_data(struct webrtc_session *s, struct tern_view bytes)
{
    while (s->state != WEBRTC_ENDED) {
        struct tern_view part;
        switch (tern_message_decode(&s->noise.decoder, &bytes, &part)) {
        case TERN_MESSAGE_MORE:
            noise_run(s);
            return;
        case TERN_MESSAGE_DATA:
            noise_bytes(s, part);
            break;
        case TERN_MESSAGE_FLAGGED:
            noise_flag(s);
            break;
        case TERN_MESSAGE_MALFORMED:
            webrtc_session_fail(s, TERN_ERR_MALFORMED, TERN_FAULT_WEBRTC_MESSAGE);
            return;
        }
    }
}

void webrtc_noise_job_done(struct webrtc_session *s, struct tern_job *job)
{
    const struct tern_channel *channel = &s->noise.channel;
    s->noise.job_out = false;
    tern_err err = channel->ops->job_done(channel->self, s->webrtc->now, job);
    if (err != TERN_OK)
        noise_fail(s, err);
    else
        noise_run(s);
}

void webrtc_noise_closed(struct webrtc_session *s)
{
    noise_end(s);
    if (s->state == WEBRTC_ENDED)
        return;
    s->noise.fin_ack_due = false;
    if (!s->noise.close_asked && tern_sctp_reset(s->sctp, TERN_CHANNEL_HANDSHAKE) == TERN_OK)
        s->noise.close_asked = true;
}

/* noise_take_back gives Noise the job back that the owner has not asked for. It has to be done. */
static void noise_take_back(struct webrtc_session *s)
{
    struct tern_job *job = s->noise.job;
    const struct tern_channel *channel = &s->noise.channel;
    if (job == NULL)
        return;
    s->noise.job = NULL;
    job->run(job);
    (void)!channel->ops->job_done(channel->self, s->webrtc->now, job);
}

void webrtc_noise_fini(struct webrtc_session *s)
{
    struct webrtc_noise *noise = &s->noise;
    noise_take_back(s);
    tern_mux_queue_clear(&s->streams.pool, &noise->in);
    tern_mux_queue_clear(&s->streams.pool, &noise->out);
    if (noise->channel.ops != NULL)
        noise->channel.ops->fini(noise->channel.self);
    noise->channel.ops = NULL;
}
