/*
 * Two ends of a DTLS session and a script: flights are carried, lost, harmed or mixed with any
 * datagram; time passes; data is sealed. Whatever happens, nobody crashes, and whoever is open has
 * seen the other's certificate.
 */
#include "base/check.h"
#include "webrtc/dtls.h"
#include "webrtc/test_certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_STEPS_MAX = 200 };

struct fuzz_world {
    struct tern_mem mem;
    struct tern_dtls_context *contexts[2];
    struct tern_dtls ends[2]; /* 0 dials */
    tern_time now;
    const uint8_t *script;
    size_t left;
};

static uint8_t fuzz_byte(struct fuzz_world *w)
{
    if (w->left == 0)
        return 0;
    w->left--;
    return *w->script++;
}

static void fuzz_begin(struct fuzz_world *w)
{
    static const struct tern_dtls_certificate *const certificates[2] = {&test_certificate_a,
                                                                        &test_certificate_b};
    tern_mem_init(&w->mem, 0);
    w->now = TERN_SECOND;
    for (int i = 0; i < 2; i++) {
        tern_err err = tern_dtls_context_new(&w->mem, certificates[i], &w->contexts[i]);
        TERN_CHECK(err == TERN_OK);
    }
    uint8_t hashes[1][TERN_SHA256_SIZE];
    memcpy(hashes[0], tern_dtls_context_fingerprint(w->contexts[1]), sizeof hashes[0]);
    for (int i = 0; i < 2; i++) {
        const struct tern_dtls_options options = {.mem = &w->mem,
                                                  .context = w->contexts[i],
                                                  .listener = i == 1,
                                                  .certhashes = i == 0 ? hashes : NULL,
                                                  .certhashes_count = i == 0};
        tern_err err = tern_dtls_init(&w->ends[i], &options);
        TERN_CHECK(err == TERN_OK);
    }
}

static void fuzz_recv(struct fuzz_world *w, int end, struct tern_view datagram)
{
    uint8_t room[TERN_DTLS_RECORD_MAX];
    struct tern_view text;
    while (tern_dtls_recv(&w->ends[end], &datagram, (struct tern_span){room, sizeof room}, &text))
        TERN_CHECK(text.size > 0 && text.data > room && text.size < sizeof room);
}

static void fuzz_job(struct fuzz_world *w, int end)
{
    struct tern_dtls *d = &w->ends[end];
    struct tern_job *job = tern_dtls_job(d);
    struct tern_view held;
    if (job != NULL) {
        job->run(job);
        tern_dtls_job_done(d, job);
    }
    while (tern_dtls_held(d, &held))
        fuzz_recv(w, end, held);
    if (d->state == TERN_DTLS_OPEN)
        TERN_CHECK(memcmp(d->fingerprint, tern_dtls_context_fingerprint(w->contexts[1 - end]),
                          sizeof d->fingerprint) == 0);
}

/* fuzz_carry moves what an end has to say; step says what becomes of it. */
static void fuzz_carry(struct fuzz_world *w, int from, uint8_t step)
{
    uint8_t datagram[TERN_DTLS_DATAGRAM_MAX];
    for (int i = 0; i < 16 && tern_dtls_want_send(&w->ends[from]); i++) {
        struct tern_writer out = tern_writer_of(datagram, sizeof datagram);
        if (!tern_dtls_send(&w->ends[from], w->now, &out))
            return;
        if (step & 1 && out.size > 0)
            datagram[((size_t)fuzz_byte(w) << 3 | fuzz_byte(w)) % out.size] ^=
                (uint8_t)(fuzz_byte(w) | 1);
        if (!(step & 2))
            fuzz_recv(w, 1 - from, tern_writer_view(&out));
        if (step & 4)
            fuzz_recv(w, 1 - from, tern_writer_view(&out));
    }
}

static void fuzz_raw(struct fuzz_world *w, int end)
{
    size_t size = tern_min_size(fuzz_byte(w), w->left);
    fuzz_recv(w, end, tern_view_of(w->script, size));
    w->script += size;
    w->left -= size;
}

static void fuzz_seal(struct fuzz_world *w, int from, uint8_t step)
{
    uint8_t datagram[TERN_DTLS_DATAGRAM_MAX];
    struct tern_writer out = tern_writer_of(datagram, sizeof datagram);
    struct tern_span room = tern_dtls_seal_begin(&w->ends[from], &out);
    if (room.size == 0)
        return;
    memset(room.data, step, step);
    tern_err err = tern_dtls_seal_end(&w->ends[from], &out, step);
    TERN_CHECK(err == TERN_OK);
    fuzz_recv(w, 1 - from, tern_writer_view(&out));
}

static void fuzz_step(struct fuzz_world *w)
{
    uint8_t step = fuzz_byte(w);
    int end = step & 1;
    switch (step >> 1 & 7) {
    case 0:
    case 1:
    case 2:
        fuzz_carry(w, end, step >> 4 & 7);
        break;
    case 3:
        fuzz_raw(w, end);
        break;
    case 4:
        fuzz_seal(w, end, step);
        break;
    case 5:
        w->now = tern_time_add(w->now, TERN_MILLISECOND << (step >> 4));
        tern_dtls_tick(&w->ends[end], w->now);
        break;
    case 6:
        fuzz_job(w, end);
        break;
    default:
        if (step >> 4 == 15)
            tern_dtls_close(&w->ends[end]);
        fuzz_job(w, 0);
        fuzz_job(w, 1);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_world w = {.script = data, .left = size};
    fuzz_begin(&w);
    for (int i = 0; i < FUZZ_STEPS_MAX && w.left > 0; i++)
        fuzz_step(&w);
    for (int i = 0; i < 2; i++) {
        tern_dtls_fini(&w.ends[i]);
        tern_dtls_context_unref(w.contexts[i]);
    }
    tern_mem_fini(&w.mem);
    return 0;
}
