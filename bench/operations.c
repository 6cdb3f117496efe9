#include "operations.h"

#include "base/check.h"

struct operations_count {
    const char *text;
    unsigned generate, agree, verify_ed25519, sign_p256, verify_p256;
};

static const struct operations_count counts[OPERATIONS_KINDS] = {
    [OPERATIONS_NOISE] = {.text = "2 key generations, 6 X25519 agreements, 2 Ed25519 verifications",
                          .generate = 2,
                          .agree = 6,
                          .verify_ed25519 = 2},
    [OPERATIONS_TLS] = {.text = "2 key generations, 2 X25519 agreements, 2 signatures and 4 "
                                "verifications on P-256, 2 Ed25519 verifications",
                        .generate = 2,
                        .agree = 2,
                        .verify_ed25519 = 2,
                        .sign_p256 = 2,
                        .verify_p256 = 4},
};

/* About as long as what a handshake signs. */
static const char message[] = "noise-libp2p-static-key: and thirty-two bytes behind it";

static void operations_sign(struct operations_key *k)
{
    struct tern_writer w = tern_writer_of(k->bytes, sizeof k->bytes);
    TERN_CHECK(tern_private_key_sign(&k->key, tern_view_str(message), &w) == TERN_OK);
    k->signature = tern_writer_view(&w);
}

static void operations_verify(const struct operations_key *k)
{
    TERN_CHECK(tern_public_key_verify(&k->key.public_key, tern_view_str(message), k->signature) ==
               TERN_OK);
}

static void operations_key_init(struct operations *o, struct operations_key *k,
                                enum tern_key_type type)
{
    TERN_CHECK(tern_private_key_generate(type, &o->random, &k->key) == TERN_OK);
    operations_sign(k);
}

void operations_init(struct operations *o)
{
    tern_random_init_u64(&o->random, 1);
    operations_key_init(o, &o->ed25519, TERN_KEY_ED25519);
    operations_key_init(o, &o->p256, TERN_KEY_ECDSA);
    tern_x25519_generate(&o->random, o->secret, o->public_key);
}

void operations_fini(struct operations *o)
{
    tern_private_key_fini(&o->ed25519.key);
    tern_private_key_fini(&o->p256.key);
}

static void operations_once(struct operations *o, const struct operations_count *c)
{
    uint8_t shared[TERN_X25519_SIZE];
    for (unsigned i = 0; i < c->generate; i++)
        tern_x25519_generate(&o->random, o->secret, o->public_key);
    for (unsigned i = 0; i < c->agree; i++)
        TERN_CHECK(tern_x25519_agree(o->secret, o->public_key, shared) == TERN_OK);
    for (unsigned i = 0; i < c->verify_ed25519; i++)
        operations_verify(&o->ed25519);
    for (unsigned i = 0; i < c->sign_p256; i++)
        operations_sign(&o->p256);
    for (unsigned i = 0; i < c->verify_p256; i++)
        operations_verify(&o->p256);
}

void operations_run(struct operations *o, enum operations_of of, unsigned handshakes)
{
    for (unsigned i = 0; i < handshakes; i++)
        operations_once(o, &counts[of]);
}

const char *operations_text(enum operations_of of)
{
    return counts[of].text;
}
