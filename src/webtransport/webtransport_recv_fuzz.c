/*
 * A session against a remote that says anything, on streams of HTTP/3 under a QUIC that is good:
 *
 *     first byte   bit 0: the remote serves; bit 1: it begins with good SETTINGS
 *     then steps   0 a one-way stream   1 a two-way one   2 bytes: which, size, bytes
 *                  3 the end: which     4 a reset: which, code   5 time: so many milliseconds
 *                  6 a good beginning of a stream: which, of what kind
 */
#include "base/check.h"
#include "base/reader.h"
#include "mux/session_pair.h"
#include "quic/quic_conn.h"
#include "webtransport/certificates.h"
#include "webtransport/http3.h"
#include "webtransport/request.h"
#include "webtransport/webtransport_testing.h"

enum { STREAMS_MAX = 24, STEPS_MAX = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
    bool serves; /* the puppet does */
    struct tern_quic_conn *conn;
    struct tern_session raw;
    struct web_certificates certificates;
    tern_stream_id streams[STREAMS_MAX];
    size_t streams_count;
    struct session_pair pair;
};

static struct fuzz *fuzz_state(void)
{
    static struct fuzz state;
    return &state;
}

static void puppet_fini(void *self)
{
    (void)self;
}

static tern_err puppet_attach(void *self, tern_time now, struct tern_quic_conn *conn,
                              struct tern_session *session)
{
    static struct tern_mux_ops ops;
    struct fuzz *f = self;
    (void)now;
    f->conn = conn;
    f->raw = tern_quic_conn_session(conn);
    ops = *f->raw.mux.ops;
    ops.fini = puppet_fini;
    *session = f->raw;
    session->mux.ops = &ops;
    return TERN_OK;
}

static tern_err fuzz_make(bool dialer, const struct session_pair_end *end,
                          struct tern_session_transport *transport)
{
    struct fuzz *f = fuzz_state();
    const struct web_testing testing = {
        .host = dialer ? 1 : 2,
        .now = TERN_SECOND,
        .quic = {.mem = end->mem, .random = quic_testing_random(dialer), .windows = end->windows},
        .options = {.host_key = dialer ? NULL : quic_testing_key(2)},
    };
    if (f->serves == dialer) {
        TERN_TRY(web_testing_new(&testing, transport));
    } else {
        struct tern_quic_options options = testing.quic;
        const struct tern_quic_upper upper = {.self = f, .attach = puppet_attach};
        options.identity = quic_testing_identity(testing.host);
        options.wall = WEB_TESTING_WALL;
        TERN_TRY(tern_quic_new(&options, testing.now, transport));
        TERN_TRY(tern_quic_set_upper(transport, &upper, &f->certificates.current));
    }
    if (dialer)
        web_testing_dials(transport);
    return TERN_OK;
}

/* --- what the puppet says --- */

static void fuzz_say(struct fuzz *f, tern_stream_id stream, struct tern_view bytes)
{
    size_t accepted;
    TERN_IGNORE(f->raw.mux.ops->write(f->raw.mux.self, stream, bytes, &accepted));
}

static void fuzz_open(struct fuzz *f, bool one_way)
{
    tern_stream_id stream;
    tern_err err = one_way ? tern_quic_conn_open_one_way(f->conn, TERN_STREAM_CONTROL, &stream)
                           : f->raw.mux.ops->open(f->raw.mux.self, TERN_STREAM_CONTROL, &stream);
    if (err == TERN_OK && f->streams_count < STREAMS_MAX)
        f->streams[f->streams_count++] = stream;
}

/* fuzz_good says what a stream should begin with. */
static void fuzz_good(struct fuzz *f, tern_stream_id stream, uint8_t kind)
{
    uint8_t bytes[WEB_MESSAGE_SIZE_MAX + WEB_HEAD_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    switch (kind % 4) {
    case 0:
        tern_quic_number_write(&w, WEB_STREAM_CONTROL);
        web_settings_write(&w);
        break;
    case 1:
        TERN_CHECK(web_request_write(&mem, tern_view_str("a"), &w) == TERN_OK);
        break;
    case 2:
        TERN_CHECK(web_response_write(&mem, WEB_STATUS_OK, &w) == TERN_OK);
        break;
    default:
        tern_quic_number_write(&w, WEB_FRAME_STREAM);
        tern_quic_number_write(&w, 0);
        break;
    }
    tern_mem_fini(&mem);
    fuzz_say(f, stream, tern_writer_view(&w));
}

/* fuzz_drain draws the events of both; the puppet notes streams that were opened to it. */
static void fuzz_drain(struct fuzz *f)
{
    struct session_pair *pair = &f->pair;
    struct tern_mux_event event;
    for (size_t i = 0; i < 2; i++) {
        const struct tern_session *session = &pair->sessions[i];
        while (session->mux.ops != NULL && session->mux.ops->next(session->mux.self, &event)) {
            bool puppet = (i == 1) == f->serves;
            if (event.kind == TERN_MUX_JOB) {
                event.job->run(event.job);
                session->ops->job_done(session->mux.self, pair->world.now, event.job);
            }
            if (puppet && event.kind == TERN_MUX_STREAM_OPENED && f->streams_count < STREAMS_MAX)
                f->streams[f->streams_count++] = event.stream;
        }
    }
}

static void fuzz_time(struct fuzz *f, tern_time duration)
{
    tern_time limit = tern_time_add(f->pair.world.now, duration);
    for (int i = 0; i < 10000 && f->pair.world.now < limit; i++) {
        bool more = session_pair_step(&f->pair, limit);
        fuzz_drain(f);
        if (!more)
            return;
    }
}

static void fuzz_step(struct fuzz *f, struct tern_reader *r)
{
    uint8_t what = 0;
    uint8_t which = 0;
    uint8_t value = 0;
    struct tern_view bytes;
    (void)tern_reader_u8(r, &what);
    what %= 7;
    if (what < 2) {
        fuzz_open(f, what == 0);
        return;
    }
    (void)tern_reader_u8(r, &which);
    if (what == 5) {
        fuzz_time(f, (tern_time)which * TERN_MILLISECOND);
        return;
    }
    if (f->streams_count == 0)
        return;
    tern_stream_id stream = f->streams[which % f->streams_count];
    if (what == 3) {
        TERN_IGNORE(f->raw.mux.ops->close_write(f->raw.mux.self, stream));
        return;
    }
    (void)tern_reader_u8(r, &value);
    if (what == 2 && tern_reader_bytes(r, value, &bytes))
        fuzz_say(f, stream, bytes);
    else if (what == 4)
        tern_quic_conn_reset(f->conn, stream, value);
    else if (what == 6)
        fuzz_good(f, stream, value);
}

/* fuzz_script runs the script when QUIC is established. */
static void fuzz_script(struct fuzz *f, struct tern_reader *r, bool settings)
{
    fuzz_time(f, 200 * TERN_MILLISECOND);
    TERN_CHECK(f->conn != NULL);
    if (settings) {
        fuzz_open(f, true);
        fuzz_good(f, f->streams[f->streams_count - 1], 0);
    }
    for (int i = 0; i < STEPS_MAX && tern_reader_left(r) > 0; i++) {
        fuzz_step(f, r);
        if (f->raw.mux.ops->error(f->raw.mux.self) != TERN_OK)
            break;
    }
    fuzz_time(f, 12 * TERN_SECOND);
    /* Nobody has proven who it is. */
    const struct tern_session *real = &f->pair.sessions[f->serves ? 0 : 1];
    TERN_CHECK(real->mux.ops->error(real->mux.self) != TERN_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz *f = fuzz_state();
    struct tern_reader r = tern_reader_of(tern_view_of(data, size));
    struct tern_mem mems[2];
    struct tern_scope scopes[2];
    struct tern_scope windows[2];
    struct session_pair_end ends[2];
    struct tern_mem mem;
    uint8_t first = 0;
    bool rolled;
    (void)tern_reader_u8(&r, &first);
    quic_testing_random_again();
    memset(f, 0, sizeof *f);
    f->serves = first & 1;
    tern_mem_init(&mem, 0);
    web_certificates_init(&f->certificates, &mem, quic_testing_key(2));
    TERN_CHECK(web_certificates_roll(&f->certificates, WEB_TESTING_WALL, &rolled) == TERN_OK);
    for (size_t i = 0; i < 2; i++) {
        tern_mem_init(&mems[i], 0);
        tern_scope_init(&scopes[i], "session", NULL, NULL);
        tern_scope_init(&windows[i], "windows", NULL, NULL);
        ends[i] =
            (struct session_pair_end){.mem = &mems[i], .scope = &scopes[i], .windows = &windows[i]};
    }
    TERN_CHECK(session_pair_init(&f->pair, 1, fuzz_make, ends, NULL));
    fuzz_script(f, &r, (first & 2) != 0);
    session_pair_fini(&f->pair);
    web_certificates_fini(&f->certificates);
    for (size_t i = 0; i < 2; i++) {
        tern_scope_fini(&scopes[i]);
        tern_scope_fini(&windows[i]);
        tern_mem_fini(&mems[i]);
    }
    tern_mem_fini(&mem);
    return 0;
}
