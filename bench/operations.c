#include "operations.h"

#include <nettle/curve25519.h>
#include <nettle/eddsa.h>
#include <nettle/hkdf.h>
#include <nettle/hmac.h>

#include "base/check.h"

/* A library's, which is libsodium as Tern calls it, or nettle as GnuTLS calls it. */
struct operations_library {
    void (*generate)(struct operations *o);
    void (*agree)(struct operations *o);
    void (*sign)(struct operations *o);
    void (*verify)(struct operations *o);
    void (*schedule)(struct operations *o);
};

/* So many of each. */
struct operations_count {
    const struct operations_library *library;
    unsigned generate, agree, sign, verify, schedule;
};

struct operations_handshake {
    const char *text;
    struct operations_count counts[2];
};

/* About as long as what a handshake signs. */
static const char message[] = "noise-libp2p-static-key: and thirty-two bytes behind it";

/* ---- libsodium ---- */

static void sodium_generate(struct operations *o)
{
    tern_x25519_generate(&o->random, o->secret, o->public_key);
}

static void sodium_agree(struct operations *o)
{
    uint8_t shared[TERN_X25519_SIZE];
    TERN_CHECK(tern_x25519_agree(o->secret, o->public_key, shared) == TERN_OK);
}

static void sodium_sign(struct operations *o)
{
    struct tern_writer w = tern_writer_of(o->signature_bytes, sizeof o->signature_bytes);
    TERN_CHECK(tern_private_key_sign(&o->key, tern_view_str(message), &w) == TERN_OK);
    o->signature = tern_writer_view(&w);
}

static void sodium_verify(struct operations *o)
{
    TERN_CHECK(tern_public_key_verify(&o->key.public_key, tern_view_str(message), o->signature) ==
               TERN_OK);
}

static const struct operations_library sodium = {
    .generate = sodium_generate,
    .agree = sodium_agree,
    .sign = sodium_sign,
    .verify = sodium_verify,
};

/* ---- nettle ---- */

static void nettle_generate(struct operations *o)
{
    tern_random_bytes(&o->random, o->secret, sizeof o->secret);
    curve25519_mul_g(o->public_key, o->secret);
}

static void nettle_agree(struct operations *o)
{
    uint8_t shared[TERN_X25519_SIZE];
    curve25519_mul(shared, o->secret, o->public_key);
}

static void nettle_verify(struct operations *o)
{
    const struct tern_view text = tern_view_str(message);
    TERN_CHECK(ed25519_sha512_verify(o->key.public_key.as.ed25519, text.size, text.data,
                                     o->signature.data) == 1);
}

static void nettle_extract(uint8_t secret[SHA256_DIGEST_SIZE])
{
    struct hmac_sha256_ctx context;
    hmac_sha256_set_key(&context, SHA256_DIGEST_SIZE, secret);
    hkdf_extract(&context, (nettle_hash_update_func *)hmac_sha256_update,
                 (nettle_hash_digest_func *)hmac_sha256_digest, SHA256_DIGEST_SIZE,
                 SHA256_DIGEST_SIZE, secret, secret);
}

/* A label of TLS and a hash of what was said: HKDF-Expand-Label. */
static void nettle_expand(uint8_t secret[SHA256_DIGEST_SIZE])
{
    static const uint8_t label[2 + 1 + 18 + 1 + SHA256_DIGEST_SIZE];
    struct hmac_sha256_ctx context;
    hmac_sha256_set_key(&context, SHA256_DIGEST_SIZE, secret);
    hkdf_expand(&context, (nettle_hash_update_func *)hmac_sha256_update,
                (nettle_hash_digest_func *)hmac_sha256_digest, SHA256_DIGEST_SIZE, sizeof label,
                label, SHA256_DIGEST_SIZE, secret);
}

/* One end's secrets and keys (RFC 8446, section 7.1), over about what is said in a handshake. The
 * secrets: two derived, two traffic secrets each of handshake and data. Of each traffic secret come
 * a key and an IV, of two a key for Finished, which is one HMAC more, like the expansions. */
static void nettle_schedule(struct operations *o)
{
    enum { EXTRACTIONS = 3, SECRETS = 6, KEYS = 8, FINISHED = 4 };
    static const uint8_t said[1500];
    uint8_t secret[SHA256_DIGEST_SIZE];
    struct sha256_ctx transcript;
    (void)o;
    sha256_init(&transcript);
    sha256_update(&transcript, sizeof said, said);
    sha256_digest(&transcript, sizeof secret, secret);
    for (int i = 0; i < EXTRACTIONS; i++)
        nettle_extract(secret);
    for (int i = 0; i < SECRETS + KEYS + FINISHED; i++)
        nettle_expand(secret);
}

/* GnuTLS signs by Tern's hand. */
static const struct operations_library nettle = {
    .generate = nettle_generate,
    .agree = nettle_agree,
    .verify = nettle_verify,
    .schedule = nettle_schedule,
};

/* ---- handshakes ---- */

static const struct operations_handshake handshakes[OPERATIONS_KINDS] = {
    [OPERATIONS_NOISE] = {.text = "2 key generations, 6 X25519 agreements, 2 Ed25519 verifications",
                          .counts = {{&sodium, .generate = 2, .agree = 6, .verify = 2}}},
    [OPERATIONS_TLS] =
        {.text = "2 key generations, 2 X25519 agreements, 2 Ed25519 verifications and 2 key "
                 "schedules by GnuTLS's nettle, 2 signatures and 4 verifications by libsodium",
         .counts = {{&nettle, .generate = 2, .agree = 2, .verify = 2, .schedule = 2},
                    {&sodium, .sign = 2, .verify = 4}}},
    [OPERATIONS_TLS_FASTEST] = {.text = "all but the key schedules by libsodium",
                                .counts = {{&sodium, .generate = 2, .agree = 2, .sign = 2,
                                            .verify = 6},
                                           {&nettle, .schedule = 2}}},
};

static void operations_repeat(struct operations *o, void (*operation)(struct operations *),
                              unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        operation(o);
}

static void operations_once(struct operations *o, const struct operations_count *count)
{
    operations_repeat(o, count->library->generate, count->generate);
    operations_repeat(o, count->library->agree, count->agree);
    operations_repeat(o, count->library->sign, count->sign);
    operations_repeat(o, count->library->verify, count->verify);
    operations_repeat(o, count->library->schedule, count->schedule);
}

void operations_init(struct operations *o)
{
    tern_random_init_u64(&o->random, 1);
    TERN_CHECK(tern_private_key_generate(TERN_KEY_ED25519, &o->random, &o->key) == TERN_OK);
    sodium_sign(o);
    sodium_generate(o);
}

void operations_fini(struct operations *o)
{
    tern_private_key_fini(&o->key);
}

void operations_run(struct operations *o, enum operations_of of, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        for (size_t j = 0; j < TERN_COUNT_OF(handshakes[of].counts); j++)
            if (handshakes[of].counts[j].library != NULL)
                operations_once(o, &handshakes[of].counts[j]);
}

const char *operations_text(enum operations_of of)
{
    return handshakes[of].text;
}
