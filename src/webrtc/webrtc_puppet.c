#include "webrtc/webrtc_puppet.h"

#include "crypto/test_hex.h"
#include "tern_test.h"
#include "webrtc/crc32c.h"
#include "webrtc/sctp_internal.h"
#include "webrtc/webrtc_internal.h"

enum { PUPPET_PACKET = TERN_DTLS_PLAINTEXT_MAX & ~3 };

static tern_time puppet_now(const struct webrtc_puppet *p)
{
    return p->world->world.now;
}

/* ---- Noise ---- */

static void puppet_noise_begin(struct webrtc_puppet *p)
{
    const struct webrtc_testing_host *host = webrtc_testing_host(p->listener ? 1 : 0);
    const uint8_t *ours = tern_dtls_context_fingerprint(p->context);
    const uint8_t *theirs = p->dtls.fingerprint;
    uint8_t bytes[128];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    webrtc_noise_prologue(p->listener ? theirs : ours, p->listener ? ours : theirs, &w);
    bytes[w.size - 1] ^= p->wrong_prologue;
    const struct tern_noise_options options = {
        .role = p->listener ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
        .mem = &p->mem,
        .random = &p->random,
        .aead = webrtc_testing_aead(),
        .identity = &host->noise,
        .prologue = tern_writer_view(&w),
    };
    assert_ok(tern_noise_new(&options, &p->noise));
}

/* puppet_noise_run does what Noise wants to be done, jobs at once. */
static void puppet_noise_run(struct webrtc_puppet *p)
{
    const struct tern_channel *noise = &p->noise;
    struct tern_channel_event event;
    while (noise->ops->next(noise->self, &event)) {
        if (event.kind == TERN_CHANNEL_HANDSHAKE_DONE)
            p->known = true;
        if (event.kind != TERN_CHANNEL_JOB)
            continue;
        event.job->run(event.job);
        if (noise->ops->job_done(noise->self, puppet_now(p), event.job) != TERN_OK)
            p->gone = true;
    }
    uint8_t bytes[2048];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    noise->ops->control(noise->self, puppet_now(p), &w);
    if (w.size > 0)
        webrtc_puppet_bytes(p, TERN_CHANNEL_HANDSHAKE, tern_writer_view(&w));
}

static void puppet_noise_data(struct webrtc_puppet *p, struct tern_view in)
{
    struct tern_view part;
    if (p->noise_at == 0)
        p->noise_at = puppet_now(p);
    while (!p->gone && tern_message_decode(&p->noise_decoder, &in, &part) == TERN_MESSAGE_DATA) {
        uint8_t bytes[2048];
        assert_true(part.size <= sizeof bytes);
        memcpy(bytes, part.data, part.size);
        for (size_t at = 0; at < part.size && !p->gone;) {
            size_t used = 0;
            const struct tern_slice slice = {.view = tern_view_of(bytes + at, part.size - at)};
            if (p->noise.ops->recv(p->noise.self, puppet_now(p), slice, &used) != TERN_OK)
                p->gone = true;
            at += used;
            if (!p->no_noise)
                puppet_noise_run(p);
        }
    }
}

/* ---- what comes ---- */

static void puppet_log_message(struct webrtc_puppet *p, unsigned channel, struct tern_view in)
{
    static const char *flags[] = {"fin", "stop", "reset", "fin ack"};
    struct tern_message_decoder *d = &p->decoders[channel];
    for (;;) {
        struct tern_view part;
        switch (tern_message_decode(d, &in, &part)) {
        case TERN_MESSAGE_MORE:
            return;
        case TERN_MESSAGE_DATA:
            p->bytes += part.size;
            if (!p->no_logging)
                golden_line(&p->log, "%u bytes %.*s", channel, (int)part.size,
                            (const char *)part.data);
            break;
        case TERN_MESSAGE_FLAGGED:
            if (d->code != 0)
                golden_line(&p->log, "%u %s %u", channel, flags[d->flag], d->code);
            else
                golden_line(&p->log, "%u %s", channel, flags[d->flag]);
            break;
        case TERN_MESSAGE_MALFORMED:
            fail_msg("a message cannot be read");
        }
    }
}

static void puppet_log_data(struct webrtc_puppet *p, const struct tern_sctp_event *event)
{
    if (event->ppid == TERN_CHANNEL_DCEP)
        golden_line(&p->log, "%u %s", event->stream,
                    event->data.view.data[0] == TERN_DCEP_OPEN ? "open" : "ack");
    else if (event->stream == TERN_CHANNEL_HANDSHAKE && !p->known)
        puppet_noise_data(p, event->data.view);
    else
        puppet_log_message(p, event->stream, event->data.view);
}

static void puppet_sctp(struct webrtc_puppet *p)
{
    struct tern_sctp_event event;
    while (tern_sctp_next(p->sctp, &event)) {
        switch (event.kind) {
        case TERN_SCTP_UP:
            p->up_at = puppet_now(p);
            if (!p->no_noise)
                puppet_noise_run(p);
            break;
        case TERN_SCTP_DATA:
            puppet_log_data(p, &event);
            if (!p->keeps_credit)
                tern_sctp_consume(p->sctp, event.data.view.size);
            break;
        case TERN_SCTP_RESET_IN:
            golden_line(&p->log, "%u closed", event.stream);
            p->decoders[event.stream] = (struct tern_message_decoder){.left = 0};
            break;
        case TERN_SCTP_RESET_OUT:
            golden_line(&p->log, "%u gone", event.stream);
            break;
        case TERN_SCTP_STREAM_GAP:
            break;
        }
    }
    if (tern_sctp_error(p->sctp) != TERN_OK)
        p->gone = true;
}

static void puppet_records(struct webrtc_puppet *p, struct tern_view datagram)
{
    static uint8_t room[TERN_DTLS_RECORD_MAX];
    const struct tern_span span = {room, sizeof room};
    struct tern_view text;
    while (datagram.size > 0 && tern_dtls_recv(&p->dtls, &datagram, span, &text)) {
        if (p->sctp == NULL)
            continue;
        tern_sctp_recv(p->sctp, puppet_now(p), (struct tern_slice){.view = text});
        puppet_sctp(p);
    }
}

static void puppet_dtls_begin(struct webrtc_puppet *p)
{
    const struct tern_dtls_options options = {
        .mem = &p->mem,
        .context = p->context,
        .listener = p->listener,
        .certhashes = &p->certhash,
        .certhashes_count = p->listener ? 0 : 1,
    };
    assert_ok(tern_dtls_init(&p->dtls, &options));
    p->has_dtls = true;
}

/* puppet_opened: DTLS is done. */
static void puppet_opened(struct webrtc_puppet *p)
{
    const struct tern_sctp_options options = {
        .mem = &p->mem, .random = &p->random, .pool = &p->pool, .checksums = p->old};
    assert_ok(tern_sctp_new(&options, puppet_now(p), &p->sctp));
    puppet_noise_begin(p);
    struct tern_view held;
    while (tern_dtls_held(&p->dtls, &held))
        puppet_records(p, held);
}

static void puppet_jobs(struct webrtc_puppet *p)
{
    struct tern_job *job;
    while (p->has_dtls && (job = tern_dtls_job(&p->dtls)) != NULL) {
        job->run(job);
        tern_dtls_job_done(&p->dtls, job);
    }
    if (p->has_dtls && p->dtls.state == TERN_DTLS_OPEN && p->sctp == NULL)
        puppet_opened(p);
    if (p->has_dtls && p->dtls.state > TERN_DTLS_OPEN)
        p->gone = true;
}

static void puppet_stun(struct webrtc_puppet *p, struct tern_view datagram,
                        const struct tern_path *path)
{
    struct tern_stun stun;
    struct tern_ice_name name;
    tern_fault fault;
    assert_ok(tern_stun_decode(datagram, &stun, &fault));
    if (!p->has_ice) {
        assert_true(tern_ice_name_parse(stun.username, &name));
        assert_ok(tern_ice_init_listener(&p->ice, &p->mem, &name));
        p->has_ice = true;
        p->path = *path;
    }
    const struct tern_ice_message message = {.stun = &stun, .datagram = datagram, .path = path};
    tern_ice_recv(&p->ice, puppet_now(p), &message, &fault);
    if (!p->has_dtls && (p->listener || p->ice.connected))
        puppet_dtls_begin(p);
}

/* ---- as a transport ---- */

static void puppet_op_recv(void *self, tern_time now, tern_link_id socket,
                           const struct tern_datagrams *in)
{
    struct webrtc_puppet *p = self;
    (void)now;
    (void)socket;
    for (size_t at = 0; at < in->data.size; at += in->segment_size) {
        size_t size = tern_min_size(in->segment_size, in->data.size - at);
        struct tern_view datagram = tern_view_part(in->data, at, size);
        if (tern_stun_is(datagram))
            puppet_stun(p, datagram, &in->path);
        else if (p->has_dtls)
            puppet_records(p, datagram);
        puppet_jobs(p);
    }
}

static bool puppet_op_next(void *self, struct tern_session_event *event)
{
    (void)event;
    puppet_jobs(self);
    return false;
}

/* puppet_write_raw makes a packet of the chunks that wait. */
static size_t puppet_write_raw(struct webrtc_puppet *p, struct tern_span room)
{
    struct tern_writer w = tern_writer_of(room.data, room.size);
    tern_writer_u16be(&w, TERN_SCTP_PORT);
    tern_writer_u16be(&w, TERN_SCTP_PORT);
    tern_writer_u32be(&w, p->raw[0] == SCTP_INIT ? 0 : p->sctp->peer.tag);
    tern_writer_u32be(&w, 0);
    tern_writer_bytes(&w, tern_view_of(p->raw, p->raw_size));
    assert_true(tern_writer_ok(&w));
    const struct tern_view all = tern_writer_view(&w);
    uint32_t sum = tern_crc32c(&all, 1);
    for (int i = 0; i < 4; i++)
        room.data[SCTP_CHECKSUM_OFFSET + i] = (uint8_t)(sum >> 8 * i);
    p->raw_size = 0;
    return w.size;
}

static bool puppet_op_send(void *self, tern_time now, tern_link_id socket,
                           struct tern_datagrams_out *out)
{
    struct webrtc_puppet *p = self;
    struct tern_writer *w = &out->writer;
    (void)socket;
    out->path = p->path;
    if (tern_writer_left(w) < TERN_DTLS_DATAGRAM_MAX)
        return false;
    bool sent = p->has_ice && tern_ice_send(&p->ice, now, &out->path, w);
    sent = sent || (p->has_dtls && tern_dtls_send(&p->dtls, now, w));
    if (!sent && p->sctp != NULL && p->dtls.state == TERN_DTLS_OPEN) {
        const struct tern_span room = tern_dtls_seal_begin(&p->dtls, w);
        const struct tern_span packet = {room.data, PUPPET_PACKET};
        size_t size =
            p->raw_size > 0 ? puppet_write_raw(p, packet) : tern_sctp_write(p->sctp, now, packet);
        assert_ok(tern_dtls_seal_end(&p->dtls, w, size));
    }
    out->segment_size = (uint16_t)w->size;
    return w->size > 0;
}

static bool puppet_op_want_send(const void *self, tern_link_id socket)
{
    (void)self;
    (void)socket;
    return false; /* it is asked all the same */
}

static tern_time puppet_op_deadline(const void *self)
{
    const struct webrtc_puppet *p = self;
    tern_time deadline = p->has_ice ? tern_ice_deadline(&p->ice) : TERN_TIME_NEVER;
    if (p->has_dtls)
        deadline = tern_time_min(deadline, tern_dtls_deadline(&p->dtls));
    if (p->sctp != NULL)
        deadline = tern_time_min(deadline, tern_sctp_deadline(p->sctp));
    return deadline;
}

static void puppet_op_tick(void *self, tern_time now)
{
    struct webrtc_puppet *p = self;
    if (p->has_ice)
        tern_ice_tick(&p->ice, now);
    if (p->has_dtls)
        tern_dtls_tick(&p->dtls, now);
    if (p->sctp != NULL) {
        tern_sctp_tick(p->sctp, now);
        puppet_sctp(p);
    }
}

static void puppet_op_socket_closed(void *self, tern_time now, tern_link_id socket)
{
    (void)self;
    (void)now;
    (void)socket;
}

static void puppet_op_fini(void *self)
{
    (void)self; /* webrtc_puppet_fini */
}

static const struct tern_session_transport_ops puppet_ops = {
    .name = "puppet",
    .recv = puppet_op_recv,
    .next = puppet_op_next,
    .send = puppet_op_send,
    .want_send = puppet_op_want_send,
    .deadline = puppet_op_deadline,
    .tick = puppet_op_tick,
    .socket_closed = puppet_op_socket_closed,
    .fini = puppet_op_fini,
};

static void puppet_init(struct webrtc_puppet *p, struct webrtc_world *w, bool listener)
{
    memset(p, 0, sizeof *p);
    p->world = w;
    p->listener = listener;
    tern_mem_init(&p->mem, 0);
    tern_random_init_u64(&p->random, 4711);
    p->pool.mem = &p->mem;
    golden_init(&p->log);
    const struct webrtc_testing_host *host = webrtc_testing_host(listener ? 1 : 0);
    assert_ok(tern_dtls_context_new(&p->mem, host->certificate, &p->context));
    const struct tern_session_transport transport = {.ops = &puppet_ops, .self = p};
    p->node = session_world_add(&w->world, transport);
    p->at = datagram_endpoint((uint8_t)(50 + p->node), 5000);
    p->socket = session_world_bind(&w->world, p->node, &p->at, NULL);
}

void webrtc_puppet_dialer(struct webrtc_puppet *p, struct webrtc_world *w,
                          const struct webrtc_host *to)
{
    puppet_init(p, w, false);
    p->path.remote = to->at;
    memcpy(p->certhash, webrtc_testing_host((unsigned)to->node)->certhash + 2, sizeof p->certhash);
    assert_ok(tern_ice_init_dialer(&p->ice, &p->mem, &p->random, TERN_ICE_V1, &p->path));
    p->has_ice = true;
}

void webrtc_puppet_listener(struct webrtc_puppet *p, struct webrtc_world *w)
{
    puppet_init(p, w, true);
}

void webrtc_puppet_fini(struct webrtc_puppet *p)
{
    if (p->noise.ops != NULL)
        p->noise.ops->fini(p->noise.self);
    tern_sctp_free(p->sctp);
    tern_mux_pool_trim(&p->pool);
    if (p->has_dtls)
        tern_dtls_fini(&p->dtls);
    if (p->has_ice)
        tern_ice_fini(&p->ice);
    tern_dtls_context_unref(p->context);
    golden_fini(&p->log);
    tern_mem_fini(&p->mem);
}

static bool puppet_known(void *context)
{
    const struct webrtc_puppet *p = context;
    return p->known || p->gone;
}

void webrtc_puppet_join(struct webrtc_puppet *p)
{
    assert_true(session_world_run_until(&p->world->world, puppet_known, p, 10 * TERN_SECOND));
    webrtc_world_run(p->world, TERN_SECOND / 2);
    assert_true(p->known && !p->gone);
}

static bool puppet_hungry(void *context)
{
    const struct webrtc_puppet *p = context;
    return p->sctp != NULL && tern_sctp_hungry(p->sctp);
}

void webrtc_puppet_up(struct webrtc_puppet *p)
{
    assert_true(session_world_run_until(&p->world->world, puppet_hungry, p, 10 * TERN_SECOND));
}

/* ---- what it says ---- */

void webrtc_puppet_raw(struct webrtc_puppet *p, struct tern_view chunks)
{
    assert_true(chunks.size <= sizeof p->raw);
    memcpy(p->raw, chunks.data, chunks.size);
    p->raw_size = chunks.size;
}

static void puppet_send(struct webrtc_puppet *p, uint16_t channel, uint32_t ppid,
                        struct tern_view bytes)
{
    struct tern_mux_queue queue = {.first = NULL};
    struct tern_sctp_message message = {.stream = channel, .ppid = ppid};
    if (bytes.size <= TERN_SCTP_HEAD_MAX) {
        message.head = bytes;
    } else {
        assert_true(tern_mux_queue_put(&p->pool, &queue, bytes));
        message.queue = &queue;
        message.size = bytes.size;
    }
    assert_ok(tern_sctp_send(p->sctp, &message));
}

void webrtc_puppet_say(struct webrtc_puppet *p, uint16_t channel, uint32_t ppid, const char *hex)
{
    puppet_send(p, channel, ppid, TEST_HEX(hex, 4096));
}

void webrtc_puppet_bytes(struct webrtc_puppet *p, uint16_t channel, struct tern_view bytes)
{
    uint8_t message[4096 + TERN_MESSAGE_HEAD_MAX];
    struct tern_writer w = tern_writer_of(message, sizeof message);
    tern_message_encode_bytes(bytes.size, &w);
    tern_writer_bytes(&w, bytes);
    assert_true(tern_writer_ok(&w));
    puppet_send(p, channel, TERN_CHANNEL_BINARY, tern_writer_view(&w));
}

void webrtc_puppet_open(struct webrtc_puppet *p, uint16_t channel)
{
    webrtc_puppet_say(p, channel, TERN_CHANNEL_DCEP, "030001000000000000000000");
}

void webrtc_puppet_text(struct webrtc_puppet *p, uint16_t channel, const char *text)
{
    webrtc_puppet_bytes(p, channel, tern_view_str(text));
}

void webrtc_puppet_flag(struct webrtc_puppet *p, uint16_t channel, enum tern_message_flag flag,
                        uint32_t code)
{
    uint8_t message[TERN_MESSAGE_HEAD_MAX];
    struct tern_writer w = tern_writer_of(message, sizeof message);
    tern_message_encode_flag(flag, code, &w);
    puppet_send(p, channel, TERN_CHANNEL_BINARY, tern_writer_view(&w));
}

void webrtc_puppet_close(struct webrtc_puppet *p, uint16_t channel)
{
    assert_ok(tern_sctp_reset(p->sctp, channel));
}

bool webrtc_puppet_same(struct webrtc_puppet *p, const char *text)
{
    bool same = golden_same(&p->log, text);
    golden_fini(&p->log);
    golden_init(&p->log);
    return same;
}
