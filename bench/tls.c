/*
 * How fast is a TLS channel, and how near to the bare cost of its cryptography? One core, no
 * network.
 *
 *     ninja -C build bench/bench_tls && build/bench/bench_tls
 *
 * 64 KiB at a time, four records, are sealed into a buffer and opened there in place, by the
 * channel and by the AEAD engine alone, in turns. A handshake is both ends of it: 2 key
 * generations and 2 agreements on X25519 each, 2 signatures and 4 verifications on P-256, 2
 * verifications of the host's Ed25519. Beside it stands what GnuTLS takes for the same handshake by
 * itself. The best of several rounds counts, because others use the
 * machine too. Time is this process's alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/start.h"
#include "operations.h"
#include "secure/gnutls.h"
#include "secure/tls_internal.h"

enum {
    BURST = 4, /* records at a time */
    BURSTS = 64,
    ROUNDS = 60,
    HANDSHAKES = 50,
    HANDSHAKE_ROUNDS = 12,
};

struct host {
    struct tern_private_key key;
    struct tern_tls_identity identity;
};

struct bench {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_aead_engine aead;
    struct host hosts[2];
    struct tern_channel ends[2];
    uint8_t *buffer;
    size_t buffer_size;
    double jobs[3]; /* the best time of each flight's job */
};

static const struct tern_view bench_muxers[] = {{(const uint8_t *)"/yamux/1.0.0", 12}};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(tern_err err)
{
    if (err == TERN_OK)
        return;
    fprintf(stderr, "%s\n", tern_err_text(err));
    exit(1);
}

static void make_hosts(struct bench *b, bool slow_aes)
{
    for (int i = 0; i < 2; i++) {
        struct host *host = &b->hosts[i];
        must(tern_private_key_generate(TERN_KEY_ED25519, &b->random, &host->key));
        must(tern_tls_identity_init(&host->identity,
                                    &(struct tern_tls_identity_options){.mem = &b->mem,
                                                                        .random = &b->random,
                                                                        .host_key = &host->key,
                                                                        .slow_aes = slow_aes}));
    }
}

static void end_hosts(struct bench *b)
{
    for (int i = 0; i < 2; i++) {
        tern_tls_identity_fini(&b->hosts[i].identity);
        tern_private_key_fini(&b->hosts[i].key);
    }
}

/* ---- handshakes ---- */

static void drain_handshake(struct tern_channel *end, double *best)
{
    struct tern_channel_event event;
    while (end->ops->next(end->self, &event)) {
        if (event.kind != TERN_CHANNEL_JOB)
            continue;
        double start = seconds();
        event.job->run(event.job);
        double took = seconds() - start;
        *best = took < *best ? took : *best;
        must(end->ops->job_done(end->self, 0, event.job));
    }
}

static void open_channel(struct bench *b)
{
    for (int i = 0; i < 2; i++) {
        const struct tern_tls_options options = {
            .role = i == 0 ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
            .mem = &b->mem,
            .aead = &b->aead,
            .identity = &b->hosts[i].identity,
            .muxers = bench_muxers,
            .muxers_count = 1,
        };
        must(tern_tls_new(&options, &b->ends[i]));
    }
    for (int flight = 0; flight < 3; flight++) {
        uint8_t bytes[8192];
        struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
        struct tern_channel *from = &b->ends[flight % 2];
        struct tern_channel *to = &b->ends[1 - flight % 2];
        from->ops->control(from->self, 0, &out);
        struct tern_slice in = {.view = tern_writer_view(&out)};
        while (in.view.size > 0) {
            size_t used;
            must(to->ops->recv(to->self, 0, in, &used));
            in.view = tern_view_part(in.view, used, in.view.size - used);
            drain_handshake(to, &b->jobs[flight]);
        }
    }
    TERN_CHECK(b->ends[1].ops->remote(b->ends[1].self) != NULL);
}

static void close_channel(struct bench *b)
{
    for (int i = 0; i < 2; i++)
        b->ends[i].ops->fini(b->ends[i].self);
}

/* ---- handshakes of the library by itself ---- */

/* What one end has said and the other has not read. */
struct library_pipe {
    uint8_t bytes[16384];
    size_t size;
    size_t read;
};

struct library_end {
    gnutls_session_t session;
    struct library_pipe *in;
    struct library_pipe *out;
};

static ssize_t library_pull(gnutls_transport_ptr_t self, void *data, size_t size)
{
    struct library_end *end = self;
    size_t take = tern_min_size(size, end->in->size - end->in->read);
    if (take == 0) {
        gnutls_transport_set_errno(end->session, EAGAIN);
        return -1;
    }
    memcpy(data, end->in->bytes + end->in->read, take);
    end->in->read += take;
    return (ssize_t)take;
}

static ssize_t library_push(gnutls_transport_ptr_t self, const void *data, size_t size)
{
    struct library_end *end = self;
    TERN_CHECK(size <= sizeof end->out->bytes - end->out->size);
    memcpy(end->out->bytes + end->out->size, data, size);
    end->out->size += size;
    return (ssize_t)size;
}

static void library_open(struct library_end *end, const struct host *host, bool server)
{
    const gnutls_datum_t alpn = tern_gnutls_datum(tern_view_str("libp2p"));
    TERN_CHECK(gnutls_init(&end->session, GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS |
                                              GNUTLS_NO_AUTO_SEND_TICKET | GNUTLS_NO_EXTENSIONS |
                                              GNUTLS_KEY_SHARE_TOP | GNUTLS_FORCE_CLIENT_CERT |
                                              (server ? GNUTLS_SERVER : GNUTLS_CLIENT)) == 0);
    gnutls_transport_set_ptr(end->session, end);
    gnutls_transport_set_pull_function(end->session, library_pull);
    gnutls_transport_set_push_function(end->session, library_push);
    gnutls_handshake_set_timeout(end->session, 0);
    if (server)
        gnutls_certificate_server_set_request(end->session, GNUTLS_CERT_REQUIRE);
    TERN_CHECK(gnutls_priority_set(end->session, host->identity.priority) == 0 &&
               gnutls_credentials_set(end->session, GNUTLS_CRD_CERTIFICATE,
                                      host->identity.credentials) == 0 &&
               gnutls_alpn_set_protocols(end->session, &alpn, 1, 0) == 0);
}

/* Both ends of a handshake as libp2p has it, with nothing of Tern's but the check of the
 * certificates, which GnuTLS cannot do, and their signatures, which are OpenSSL's. */
static void library_handshake(const struct bench *b)
{
    struct library_pipe pipes[2] = {{.size = 0}, {.size = 0}};
    struct library_end ends[2];
    int codes[2] = {GNUTLS_E_AGAIN, GNUTLS_E_AGAIN};
    for (int i = 0; i < 2; i++) {
        ends[i] = (struct library_end){.in = &pipes[1 - i], .out = &pipes[i]};
        library_open(&ends[i], &b->hosts[i], i == 1);
    }
    while (codes[0] != 0 || codes[1] != 0) {
        for (int i = 0; i < 2; i++) {
            codes[i] = codes[i] == 0 ? 0 : gnutls_handshake(ends[i].session);
            TERN_CHECK(codes[i] == 0 || codes[i] == GNUTLS_E_AGAIN);
        }
    }
    for (int i = 0; i < 2; i++) {
        unsigned count = 0;
        const gnutls_datum_t *shown = gnutls_certificate_get_peers(ends[i].session, &count);
        struct tern_public_key key;
        tern_fault fault;
        TERN_CHECK(shown != NULL && count == 1);
        must(tern_certificate_check(tern_gnutls_view(shown), 0, &key, &fault));
        tern_public_key_fini(&key);
        gnutls_deinit(ends[i].session);
    }
}

static void bench_handshakes(struct bench *b)
{
    struct operations operations;
    double best[3] = {1e9, 1e9, 1e9};
    operations_init(&operations);
    for (int round = 0; round < HANDSHAKE_ROUNDS; round++) {
        double t[4];
        t[0] = seconds();
        for (int i = 0; i < HANDSHAKES; i++) {
            open_channel(b);
            close_channel(b);
        }
        t[1] = seconds();
        operations_run(&operations, OPERATIONS_TLS, HANDSHAKES);
        t[2] = seconds();
        for (int i = 0; i < HANDSHAKES; i++)
            library_handshake(b);
        t[3] = seconds();
        for (int i = 0; i < 3; i++)
            best[i] = t[i + 1] - t[i] < best[i] ? t[i + 1] - t[i] : best[i];
    }
    operations_fini(&operations);
    printf("handshake, both ends: %.0f/s (%.0f us); its public-key operations alone: %.0f/s "
           "(%.0f us): %.1f %%\n",
           HANDSHAKES / best[0], best[0] * 1e6 / HANDSHAKES, HANDSHAKES / best[1],
           best[1] * 1e6 / HANDSHAKES, 100 * best[1] / best[0]);
    printf("GnuTLS and the check of the certificates by themselves: %.0f/s (%.0f us): %.1f %%\n",
           HANDSHAKES / best[2], best[2] * 1e6 / HANDSHAKES, 100 * best[2] / best[0]);
    printf("jobs: responder %.0f us, initiator %.0f us, responder %.0f us\n", b->jobs[0] * 1e6,
           b->jobs[1] * 1e6, b->jobs[2] * 1e6);
    size_t before = b->mem.used;
    open_channel(b);
    printf("memory of an end at rest: %zu bytes\n", (b->mem.used - before) / 2);
    close_channel(b);
}

/* ---- records ---- */

enum { WIRE_RECORD = TERN_TLS_PLAINTEXT_MAX + TERN_TLS_OVERHEAD };

static void seal_by_channel(struct bench *b)
{
    struct tern_channel *end = &b->ends[0];
    struct tern_writer out = tern_writer_of(b->buffer, b->buffer_size);
    for (int i = 0; i < BURST * BURSTS; i++) {
        struct tern_span room = end->ops->seal_begin(end->self, &out);
        TERN_CHECK(room.size == TERN_TLS_PLAINTEXT_MAX);
        end->ops->seal_end(end->self, &out, room.size);
    }
}

static void open_by_channel(struct bench *b)
{
    struct tern_channel *end = &b->ends[1];
    size_t opened = 0;
    for (size_t burst = 0; burst < BURSTS; burst++) {
        struct tern_slice in = {
            .view = {b->buffer + burst * BURST * WIRE_RECORD, (size_t)BURST * WIRE_RECORD}};
        while (in.view.size > 0) {
            size_t used;
            must(end->ops->recv(end->self, 0, in, &used));
            in.view = tern_view_of(in.view.data + used, in.view.size - used);
            struct tern_channel_event event;
            while (end->ops->next(end->self, &event))
                opened += event.data.view.size;
        }
    }
    TERN_CHECK(opened == (size_t)BURST * BURSTS * TERN_TLS_PLAINTEXT_MAX);
}

static void bare_records(struct bench *b, enum tern_aead_cipher cipher, bool seal, uint64_t nonce)
{
    uint8_t key[TERN_AEAD_KEY_SIZE] = {7};
    uint8_t header[TERN_TLS_HEADER_SIZE] = {1};
    size_t size = TERN_TLS_PLAINTEXT_MAX + 1;
    for (size_t i = 0; i < (size_t)BURST * BURSTS; i++) {
        uint8_t *at = b->buffer + i * WIRE_RECORD + TERN_TLS_HEADER_SIZE;
        struct tern_aead_params params = {
            .cipher = cipher, .key = key, .associated = {header, sizeof header}};
        tern_aead_counter_nonce(nonce + i, params.nonce);
        if (seal)
            must(tern_aead_seal(&b->aead, &params, tern_view_of(at, size), at));
        else
            must(
                tern_aead_open(&b->aead, &params, tern_view_of(at, size + TERN_AEAD_TAG_SIZE), at));
    }
}

static void bench_records(struct bench *b, const char *name)
{
    double best[4] = {1e9, 1e9, 1e9, 1e9};
    open_channel(b);
    enum tern_aead_cipher cipher = ((struct tern_tls *)b->ends[0].self)->suite->cipher;
    for (int round = 0; round < ROUNDS; round++) {
        double t[5];
        t[0] = seconds();
        seal_by_channel(b);
        t[1] = seconds();
        open_by_channel(b);
        t[2] = seconds();
        bare_records(b, cipher, true, (uint64_t)round * BURST * BURSTS);
        t[3] = seconds();
        bare_records(b, cipher, false, (uint64_t)round * BURST * BURSTS);
        t[4] = seconds();
        for (int i = 0; i < 4; i++)
            best[i] = t[i + 1] - t[i] < best[i] ? t[i + 1] - t[i] : best[i];
    }
    close_channel(b);
    double bytes = (double)((size_t)BURST * BURSTS * TERN_TLS_PLAINTEXT_MAX) * 1e-9;
    printf("%s, 64 KiB: seal %.2f GB/s, %.1f %% of the AEAD's %.2f; open %.2f GB/s, %.1f %% of "
           "%.2f; both %.2f GB/s\n",
           name, bytes / best[0], 100 * best[2] / best[0], bytes / best[2], bytes / best[1],
           100 * best[3] / best[1], bytes / best[3], bytes / (best[0] + best[1]));
}

int main(void)
{
    struct bench b = {.jobs = {1e9, 1e9, 1e9}};
    must(tern_crypto_start());
    tern_mem_init(&b.mem, 0);
    tern_random_init_u64(&b.random, 1);
    must(tern_aead_engine_init(&b.aead));
    b.buffer_size = (size_t)BURST * BURSTS * WIRE_RECORD;
    b.buffer = calloc(1, b.buffer_size);
    TERN_CHECK(b.buffer != NULL);
    make_hosts(&b, true);
    bench_records(&b, "ChaCha20-Poly1305");
    end_hosts(&b);
    make_hosts(&b, false);
    bench_records(&b, "AES-128-GCM");
    bench_handshakes(&b);
    end_hosts(&b);
    tern_aead_engine_fini(&b.aead);
    free(b.buffer);
    tern_mem_fini(&b.mem);
    return 0;
}
