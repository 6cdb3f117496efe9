/*
 * A host that serves QUIC, against a script of what strangers and a remote do to it:
 *
 *     first byte   bit 0: a remote has shaken hands; bit 1: with early data refused
 *     then steps   0 datagram: size (2 bytes), bytes, from a stranger
 *                  1 frames: size, bytes, in a packet under the remote's keys
 *                  2 first packet: size, frames, protected as they should be
 *                  3 recording: which, where (2), xor: one of the handshake's datagrams, changed
 *                  4 time: so many milliseconds, squared
 *                  5 the owner: which stream, what
 *                  6 acknowledgement of what has come
 */
#include "base/check.h"
#include "base/reader.h"
#include "crypto/start.h"
#include "quic/quic_puppet.h"
#include "quic/quic_testing.h"
#include "session_world.h"

enum { RECORDED_MAX = 16, SESSIONS_MAX = 64, STREAMS_MAX = 16, STEPS_MAX = 200 };

struct recorded {
    size_t size;
    uint8_t bytes[TERN_QUIC_DATAGRAM_DEFAULT];
};

struct served {
    struct tern_session session;
    bool live;
};

struct fuzz {
    struct session_world world;
    struct tern_mem mem;
    struct tern_random random;
    struct tern_scope scope;
    struct tern_scope windows;
    struct tern_session_transport transport;
    struct tern_endpoint at;
    struct tern_endpoint puppet_at;
    struct quic_puppet *puppet;
    struct served served[SESSIONS_MAX];
    size_t served_count;
    tern_stream_id streams[STREAMS_MAX]; /* of the first session */
    size_t streams_count;
    struct recorded recorded[RECORDED_MAX]; /* that the puppet sent */
    size_t recorded_count;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_note(struct fuzz *f, tern_stream_id stream)
{
    for (size_t i = 0; i < f->streams_count; i++)
        if (f->streams[i] == stream)
            return;
    if (stream != TERN_STREAM_NONE && f->streams_count < STREAMS_MAX)
        f->streams[f->streams_count++] = stream;
}

static void fuzz_drain(struct fuzz *f, struct served *served)
{
    const struct tern_mux *mux = &served->session.mux;
    struct tern_mux_event event;
    while (mux->ops->next(mux->self, &event)) {
        if (served == &f->served[0])
            fuzz_note(f, event.stream);
        struct tern_slice bytes;
        if (event.kind == TERN_MUX_READABLE &&
            mux->ops->read(mux->self, event.stream, &bytes) == TERN_OK)
            mux->ops->consume(mux->self, event.stream, bytes.view.size);
    }
}

static void fuzz_event(void *context, size_t node, const struct tern_session_event *event)
{
    struct fuzz *f = context;
    (void)node;
    if (event->kind == TERN_SESSION_ACTIVE) {
        fuzz_drain(f, &f->served[event->tag]);
        return;
    }
    struct served *served = &f->served[f->served_count];
    if (f->served_count == SESSIONS_MAX || f->served_count % 5 == 4) {
        f->transport.ops->refuse(f->transport.self, f->world.now,
                                 (enum tern_session_refusal)(f->served_count % 3));
        f->served_count += f->served_count < SESSIONS_MAX;
        return;
    }
    if (f->transport.ops->accept(f->transport.self, f->world.now, &f->scope, f->served_count,
                                 &served->session) == TERN_OK) {
        served->live = true;
        f->served_count++;
    }
}

static bool fuzz_tap(void *context, const struct datagram_seen *seen)
{
    struct fuzz *f = context;
    if (seen->from.port != f->puppet_at.port || f->recorded_count == RECORDED_MAX)
        return true;
    struct recorded *to = &f->recorded[f->recorded_count++];
    to->size = seen->bytes.size;
    memcpy(to->bytes, seen->bytes.data, seen->bytes.size);
    return true;
}

static void fuzz_init(struct fuzz *f, uint8_t how)
{
    session_world_init(&f->world, 1, fuzz_event, f);
    tern_mem_init(&f->mem, 0);
    tern_random_init_u64(&f->random, 7);
    tern_scope_init(&f->scope, "sessions", NULL, NULL);
    tern_scope_init(&f->windows, "windows", NULL, NULL);
    const struct tern_quic_options options = {.mem = &f->mem,
                                              .random = &f->random,
                                              .identity = quic_testing_identity(0),
                                              .windows = &f->windows,
                                              .refuse_early = (how & 2) != 0};
    TERN_CHECK(tern_quic_new(&options, f->world.now, &f->transport) == TERN_OK);
    size_t node = session_world_add(&f->world, f->transport);
    f->at = datagram_endpoint(1, 1);
    f->puppet_at = datagram_endpoint(2, 2);
    (void)session_world_bind(&f->world, node, &f->at, NULL);
    f->world.net.tap = fuzz_tap;
    f->world.net.tap_context = f;
    if (!(how & 1))
        return;
    const struct quic_puppet_options puppet = {.now = f->world.now,
                                               .certificates = quic_testing_certificate(1),
                                               .certificates_count = 1,
                                               .remote = f->at};
    f->puppet = quic_puppet_new(&puppet);
    node = session_world_add(&f->world, quic_puppet_transport(f->puppet));
    (void)session_world_bind(&f->world, node, &f->puppet_at, NULL);
    session_world_run(&f->world, 100 * TERN_MILLISECOND);
    TERN_CHECK(quic_puppet_confirmed(f->puppet) && f->served_count == 1);
}

static void fuzz_fini(struct fuzz *f)
{
    for (size_t i = 0; i < f->served_count; i++)
        if (f->served[i].live)
            f->served[i].session.mux.ops->fini(f->served[i].session.mux.self);
    session_world_fini(&f->world);
    for (size_t r = 0; r < TERN_RESOURCE_COUNT; r++)
        TERN_CHECK(f->scope.used[r] == 0 && f->windows.used[r] == 0);
    tern_mem_fini(&f->mem);
}

/* --- steps --- */

static void fuzz_inject(struct fuzz *f, struct tern_view bytes)
{
    const struct tern_path path = {.local = datagram_endpoint(3, 3), .remote = f->at};
    if (bytes.size > 0)
        datagram_net_inject(&f->world.net, f->world.now, &path, bytes);
}

static void fuzz_first_packet(struct fuzz *f, struct tern_view frames)
{
    static const uint8_t id[] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t bytes[PUPPET_DATAGRAM_MAX];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    const struct puppet_initial initial = {
        .dcid = tern_view_of(id, sizeof id), .scid = tern_view_of(id, 4), .size = 1200};
    quic_puppet_initial(&initial, tern_view_part(frames, 0, tern_min_size(frames.size, 1100)),
                        &out);
    fuzz_inject(f, tern_writer_view(&out));
}

static void fuzz_recording(struct fuzz *f, struct tern_reader *r)
{
    uint8_t which = 0;
    uint16_t where = 0;
    uint8_t change = 0;
    (void)tern_reader_u8(r, &which);
    (void)tern_reader_u16be(r, &where);
    (void)tern_reader_u8(r, &change);
    if (f->recorded_count == 0)
        return;
    struct recorded *from = &f->recorded[which % f->recorded_count];
    from->bytes[where % from->size] ^= change;
    fuzz_inject(f, tern_view_of(from->bytes, from->size));
}

static void fuzz_owner(struct fuzz *f, struct tern_reader *r)
{
    uint8_t which = 0;
    uint8_t what = 0;
    size_t accepted;
    (void)tern_reader_u8(r, &which);
    (void)tern_reader_u8(r, &what);
    if (f->served_count == 0 || !f->served[0].live)
        return;
    const struct tern_mux *mux = &f->served[0].session.mux;
    tern_stream_id stream =
        f->streams_count == 0 ? TERN_STREAM_NONE : f->streams[which % f->streams_count];
    switch (what % 6) {
    case 0:
        if (mux->ops->open(mux->self, (enum tern_stream_class)(which % TERN_STREAM_CLASS_COUNT),
                           &stream) == TERN_OK)
            fuzz_note(f, stream);
        break;
    case 1:
        TERN_IGNORE(
            mux->ops->write(mux->self, stream, tern_view_str("something to be sent"), &accepted));
        break;
    case 2:
        TERN_IGNORE(mux->ops->close_write(mux->self, stream));
        break;
    case 3:
        mux->ops->reset(mux->self, stream, which);
        break;
    case 4:
        mux->ops->goaway(mux->self, which);
        break;
    default:
        mux->ops->fini(mux->self);
        f->served[0].live = false;
        break;
    }
}

static void fuzz_say(struct fuzz *f, struct tern_view frames)
{
    if (f->puppet != NULL)
        quic_puppet_say(f->puppet, tern_view_part(frames, 0, tern_min_size(frames.size, 1300)));
}

static void fuzz_acknowledge(struct fuzz *f)
{
    uint8_t bytes[256];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    if (f->puppet != NULL)
        quic_puppet_put_ack(f->puppet, &w);
    if (w.size > 0)
        fuzz_say(f, tern_writer_view(&w));
}

static void fuzz_step(struct fuzz *f, struct tern_reader *r)
{
    uint8_t step = 0;
    uint8_t value = 0;
    uint16_t size = 0;
    struct tern_view bytes = {.size = 0};
    (void)tern_reader_u8(r, &step);
    step %= 7;
    if (step < 3) {
        (void)tern_reader_u16be(r, &size);
        (void)tern_reader_bytes(r, tern_min_size(size, tern_reader_left(r)), &bytes);
    }
    if (step == 0)
        fuzz_inject(f, tern_view_part(bytes, 0, tern_min_size(bytes.size, 1452)));
    else if (step == 1)
        fuzz_say(f, bytes);
    else if (step == 2)
        fuzz_first_packet(f, bytes);
    else if (step == 3)
        fuzz_recording(f, r);
    else if (step == 4 && tern_reader_u8(r, &value))
        session_world_run(&f->world, (tern_time)value * value * TERN_MILLISECOND);
    else if (step == 5)
        fuzz_owner(f, r);
    else
        fuzz_acknowledge(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz f;
    if (size == 0)
        return 0;
    memset(&f, 0, sizeof f);
    fuzz_init(&f, data[0]);
    struct tern_reader r = tern_reader_of(tern_view_of(data + 1, size - 1));
    for (unsigned step = 0; step < STEPS_MAX && tern_reader_left(&r) > 0; step++) {
        fuzz_step(&f, &r);
        session_world_run(&f.world, TERN_MILLISECOND);
    }
    session_world_run(&f.world, 10 * TERN_MILLISECOND);
    fuzz_fini(&f);
    return 0;
}
