/*
 * The bare cost of the cryptography: operations and bytes a second of each primitive as we call it,
 * on one core. What a handshake or a stream reaches stands beside these figures.
 *
 * Usage: bench_crypto [SECONDS-PER-ROW]   (default 0.5)
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/key.h"
#include "crypto/sha256.h"
#include "crypto/start.h"
#include "crypto/verify_job.h"
#include "crypto/x25519.h"

enum { FRAME_MAX = 65536, BATCH_ITEMS = 64 };

struct bench {
    double seconds;
    struct tern_random random;
    struct tern_aead_engine engine;
    struct tern_aead_params params;
    uint8_t aead_key[TERN_AEAD_KEY_SIZE];
    uint8_t x_private[TERN_X25519_SIZE];
    uint8_t x_public[TERN_X25519_SIZE];
    struct tern_private_key key;
    uint8_t encoded[TERN_PUBLIC_KEY_SIZE_MAX];
    struct tern_view encoded_key;
    uint8_t signature_bytes[TERN_SIGNATURE_SIZE_MAX];
    struct tern_view signature;
    struct tern_verify_job batch;
    size_t size; /* of the message or frame */
    uint8_t *in;
    uint8_t *out;
};

/* Processor time, not the wall clock: the figures are of this work alone, whatever else the machine
 * does. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(tern_err err)
{
    if (err == TERN_OK)
        return;
    fprintf(stderr, "%s\n", tern_err_name(err));
    exit(1);
}

/* Runs op for the time set, in growing rounds, and prints the rate. each: operations in one call.
 */
static void measure(struct bench *b, const char *name, void (*op)(struct bench *), unsigned each)
{
    uint64_t count = 0;
    uint64_t round = 1;
    double start = now();
    double spent = 0;
    while (spent < b->seconds) {
        for (uint64_t i = 0; i < round; i++)
            op(b);
        count += round;
        spent = now() - start;
        round = spent < b->seconds / 8 ? round * 2 : round;
    }
    double rate = (double)count * each / spent;
    printf("%-40s %12.0f ops/s %10.0f ns", name, rate, 1e9 / rate);
    if (b->size >= 64)
        printf(" %8.2f GB/s", rate * (double)b->size / 1e9);
    printf("\n");
}

static void op_sha256(struct bench *b)
{
    tern_sha256(tern_view_of(b->in, b->size), b->out);
}

static void op_hkdf(struct bench *b)
{
    uint8_t key[TERN_SHA256_SIZE];
    tern_hkdf_extract(tern_view_of(b->in, 32), tern_view_of(b->in + 32, 32), key);
    tern_hkdf_expand(key, tern_view_of(NULL, 0), (struct tern_span){b->out, 64});
}

static void op_x25519_public(struct bench *b)
{
    tern_x25519_public(b->x_private, b->out);
}

static void op_x25519_agree(struct bench *b)
{
    must(tern_x25519_agree(b->x_private, b->x_public, b->out));
}

static void op_seal(struct bench *b)
{
    b->params.nonce[4]++;
    must(tern_aead_seal(&b->engine, &b->params, tern_view_of(b->out, b->size), b->out));
}

/* Sealing and opening: what is opened must have been sealed under the same nonce. */
static void op_seal_open(struct bench *b)
{
    op_seal(b);
    must(tern_aead_open(&b->engine, &b->params, tern_view_of(b->out, b->size + TERN_AEAD_TAG_SIZE),
                        b->out));
}

/* Another key with each call, as when many connections send little each. */
static void op_seal_turns(struct bench *b)
{
    b->aead_key[0]++;
    op_seal(b);
}

static void op_seal_small(struct bench *b)
{
    tern_aead_seal_small(&b->params, tern_view_of(b->out, b->size), b->out);
}

static void op_sign(struct bench *b)
{
    struct tern_writer w = tern_writer_of(b->out, FRAME_MAX);
    must(tern_private_key_sign(&b->key, tern_view_of(b->in, b->size), &w));
}

static void op_verify(struct bench *b)
{
    must(tern_public_key_verify(&b->key.public_key, tern_view_of(b->in, b->size), b->signature));
}

static void op_decode(struct bench *b)
{
    struct tern_public_key key;
    must(tern_public_key_decode(b->encoded_key, &key));
    tern_public_key_fini(&key);
}

static void op_peer_id(struct bench *b)
{
    struct tern_peer_id id;
    tern_public_key_peer_id(&b->key.public_key, &id);
}

static void op_generate(struct bench *b)
{
    struct tern_private_key key;
    must(tern_private_key_generate(b->key.public_key.type, &b->random, &key));
    tern_private_key_fini(&key);
}

static void op_batch(struct bench *b)
{
    b->batch.job.run(&b->batch.job);
    must(tern_verify_job_verdict(&b->batch, BATCH_ITEMS - 1));
}

static void use_key(struct bench *b)
{
    struct tern_writer w = tern_writer_of(b->encoded, sizeof b->encoded);
    tern_public_key_encode(&b->key.public_key, &w);
    b->encoded_key = tern_writer_view(&w);
    w = tern_writer_of(b->signature_bytes, sizeof b->signature_bytes);
    must(tern_private_key_sign(&b->key, tern_view_of(b->in, b->size), &w));
    b->signature = tern_writer_view(&w);
}

static void bench_key(struct bench *b, enum tern_key_type type)
{
    char name[64];
    b->size = 60; /* about what a handshake signs */
    if (type == TERN_KEY_RSA)
        must(tern_private_key_generate_rsa(TERN_RSA_BITS_MIN, &b->key));
    else
        must(tern_private_key_generate(type, &b->random, &b->key));
    use_key(b);
    static const struct {
        const char *what;
        void (*op)(struct bench *);
    } rows[] = {{"sign", op_sign},
                {"verify", op_verify},
                {"public key decode", op_decode},
                {"peer id", op_peer_id},
                {"generate", op_generate}};
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        if (type == TERN_KEY_RSA && rows[i].op == op_generate)
            continue;
        snprintf(name, sizeof name, "%s%s %s", tern_key_type_name(type),
                 type == TERN_KEY_RSA ? " 2048" : "", rows[i].what);
        measure(b, name, rows[i].op, 1);
    }
    if (type == TERN_KEY_ED25519) {
        struct tern_mem mem;
        tern_mem_init(&mem, 0);
        must(tern_verify_job_init(&b->batch, &mem, BATCH_ITEMS, 64 * 1024));
        struct tern_verify_item item = {.public_key = b->encoded_key,
                                        .signature = b->signature,
                                        .parts = {{b->in, b->size}},
                                        .parts_count = 1};
        size_t index;
        for (int i = 0; i < BATCH_ITEMS; i++)
            must(tern_verify_job_add(&b->batch, &item, &index));
        measure(b, "Ed25519 verify, in a job of 64", op_batch, BATCH_ITEMS);
        tern_verify_job_fini(&b->batch);
    }
    tern_private_key_fini(&b->key);
}

static void bench_sizes(struct bench *b, const char *what, void (*op)(struct bench *))
{
    static const size_t sizes[] = {32, 64, 256, 1024, 4096, 16384, 65519};
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
        char name[64];
        b->size = sizes[i];
        snprintf(name, sizeof name, "%s, %zu bytes", what, sizes[i]);
        measure(b, name, op, 1);
    }
}

static void bench_aead(struct bench *b)
{
    static const char *const names[TERN_AEAD_CIPHERS] = {"ChaCha20-Poly1305", "AES-128-GCM",
                                                         "AES-256-GCM"};
    for (int i = 0; i < TERN_AEAD_CIPHERS; i++) {
        char name[64];
        b->params.cipher = (enum tern_aead_cipher)i;
        snprintf(name, sizeof name, "%s seal", names[i]);
        bench_sizes(b, name, op_seal);
        snprintf(name, sizeof name, "%s seal, new key", names[i]);
        bench_sizes(b, name, op_seal_turns);
        snprintf(name, sizeof name, "%s seal and open", names[i]);
        bench_sizes(b, name, op_seal_open);
    }
    b->params.cipher = TERN_AEAD_CHACHA20_POLY1305;
    bench_sizes(b, "ChaCha20-Poly1305 without engine", op_seal_small);
}

int main(int argc, char **argv)
{
    static struct bench b;
    b.seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5;
    must(tern_crypto_start());
    tern_random_init_u64(&b.random, 1);
    b.in = calloc(1, FRAME_MAX + TERN_AEAD_TAG_SIZE);
    b.out = calloc(1, FRAME_MAX + TERN_AEAD_TAG_SIZE);
    if (b.in == NULL || b.out == NULL)
        return 1;
    tern_random_bytes(&b.random, b.aead_key, sizeof b.aead_key);
    tern_x25519_generate(&b.random, b.x_private, b.x_public);
    must(tern_aead_engine_init(&b.engine));
    b.params.key = b.aead_key;

    bench_sizes(&b, "SHA-256", op_sha256);
    bench_aead(&b);
    b.size = 0;
    measure(&b, "HKDF, two keys", op_hkdf, 1);
    measure(&b, "X25519 public key", op_x25519_public, 1);
    measure(&b, "X25519 agree", op_x25519_agree, 1);
    bench_key(&b, TERN_KEY_ED25519);
    bench_key(&b, TERN_KEY_SECP256K1);
    bench_key(&b, TERN_KEY_ECDSA);
    bench_key(&b, TERN_KEY_RSA);
    tern_aead_engine_fini(&b.engine);
    free(b.in);
    free(b.out);
    return 0;
}
