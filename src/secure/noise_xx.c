#include "secure/noise_xx.h"

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"
#include "crypto/x25519.h"

/* The name is exactly as long as a hash, so it is the first hash itself. */
static const char noise_protocol_name[] = "Noise_XX_25519_ChaChaPoly_SHA256";
_Static_assert(sizeof noise_protocol_name - 1 == TERN_NOISE_HASH_SIZE, "name fills the hash");

/* This one is longer, so it is hashed. */
static const char noise_hybrid_name[] = "Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256";

enum noise_token {
    NOISE_END,
    NOISE_E,
    NOISE_S,
    NOISE_EE,
    NOISE_ES,
    NOISE_SE,
    NOISE_E1,
    NOISE_EKEM1,
};
enum { NOISE_TOKENS_MAX = 6 };

/* By whether it is the hybrid. */
static const enum noise_token noise_pattern[2][TERN_NOISE_XX_MESSAGES][NOISE_TOKENS_MAX] = {
    {
        {NOISE_E, NOISE_END},
        {NOISE_E, NOISE_EE, NOISE_S, NOISE_ES, NOISE_END},
        {NOISE_S, NOISE_SE, NOISE_END},
    },
    {
        {NOISE_E, NOISE_E1, NOISE_END},
        {NOISE_E, NOISE_EE, NOISE_EKEM1, NOISE_S, NOISE_ES, NOISE_END},
        {NOISE_S, NOISE_SE, NOISE_END},
    },
};

enum { NOISE_EKEM1_SIZE = TERN_MLKEM_CIPHER_SIZE + TERN_AEAD_TAG_SIZE };

static const size_t noise_size_min[2][TERN_NOISE_XX_MESSAGES] = {
    {32, 32 + 48 + 16, 48 + 16},
    {32 + TERN_MLKEM_PUBLIC_SIZE, 32 + NOISE_EKEM1_SIZE + 48 + 16, 48 + 16},
};

/* ---- SymmetricState ---- */

static void noise_mix_hash(struct tern_noise_symmetric *s, struct tern_view data)
{
    const struct tern_view parts[2] = {tern_view_of(s->hash, sizeof s->hash), data};
    tern_sha256_parts(parts, 2, s->hash);
}

/* HKDF with two outputs. */
static void noise_hkdf(const uint8_t chaining_key[TERN_NOISE_HASH_SIZE], struct tern_view input,
                       uint8_t out[2 * TERN_NOISE_HASH_SIZE])
{
    uint8_t temp[TERN_SHA256_SIZE];
    tern_hkdf_extract(tern_view_of(chaining_key, TERN_NOISE_HASH_SIZE), input, temp);
    tern_hkdf_expand(temp, tern_view_of(NULL, 0),
                     (struct tern_span){.data = out, .size = 2 * TERN_NOISE_HASH_SIZE});
    tern_secret_wipe(temp, sizeof temp);
}

static void noise_mix_key(struct tern_noise_symmetric *s, const uint8_t input[TERN_X25519_SIZE])
{
    uint8_t out[2 * TERN_NOISE_HASH_SIZE];
    noise_hkdf(s->chaining_key, tern_view_of(input, TERN_X25519_SIZE), out);
    memcpy(s->chaining_key, out, sizeof s->chaining_key);
    memcpy(s->key, out + TERN_NOISE_HASH_SIZE, sizeof s->key);
    s->nonce = 0;
    s->has_key = true;
    tern_secret_wipe(out, sizeof out);
}

static struct tern_aead_params noise_params(struct tern_noise_symmetric *s)
{
    struct tern_aead_params params = {
        .key = s->key,
        .associated = tern_view_of(s->hash, sizeof s->hash),
    };
    tern_aead_counter_nonce(s->nonce++, params.nonce);
    return params;
}

static void noise_encrypt_and_hash(struct tern_noise_symmetric *s, struct tern_view plain,
                                   struct tern_writer *out)
{
    size_t size = plain.size + (s->has_key ? TERN_AEAD_TAG_SIZE : 0);
    uint8_t *at = tern_writer_reserve(out, size);
    TERN_CHECK(at != NULL);
    if (s->has_key) {
        struct tern_aead_params params = noise_params(s);
        tern_aead_seal_small(&params, plain, at);
    } else if (plain.size > 0) {
        memcpy(at, plain.data, plain.size);
    }
    noise_mix_hash(s, tern_view_of(at, size));
}

/* Decrypts in place. The hash takes the ciphertext, so it is computed before the plaintext
 * overwrites it, and stored after the old hash has served as associated data. */
static tern_err noise_decrypt_and_hash(struct tern_noise_symmetric *s, struct tern_span cipher,
                                       struct tern_view *plain)
{
    struct tern_view in = tern_view_of(cipher.data, cipher.size);
    const struct tern_view parts[2] = {tern_view_of(s->hash, sizeof s->hash), in};
    uint8_t hash[TERN_NOISE_HASH_SIZE];
    tern_sha256_parts(parts, 2, hash);
    *plain = in;
    if (s->has_key) {
        struct tern_aead_params params = noise_params(s);
        TERN_TRY(tern_aead_open_small(&params, in, cipher.data));
        plain->size -= TERN_AEAD_TAG_SIZE;
    }
    memcpy(s->hash, hash, sizeof hash);
    return TERN_OK;
}

/* ---- HandshakeState ---- */

void tern_noise_xx_init(struct tern_noise_xx *xx, const struct tern_noise_xx_options *options)
{
    *xx = (struct tern_noise_xx){.role = options->role};
    xx->hybrid = options->kem_secret != NULL;
    memcpy(xx->symmetric.hash, noise_protocol_name, TERN_NOISE_HASH_SIZE);
    if (xx->hybrid) {
        const struct tern_view name = tern_view_str(noise_hybrid_name);
        tern_sha256_parts(&name, 1, xx->symmetric.hash);
        memcpy(xx->kem_secret, options->kem_secret, sizeof xx->kem_secret);
    }
    memcpy(xx->symmetric.chaining_key, xx->symmetric.hash, TERN_NOISE_HASH_SIZE);
    noise_mix_hash(&xx->symmetric, options->prologue);
    memcpy(xx->static_secret, options->static_secret, TERN_NOISE_KEY_SIZE);
    memcpy(xx->static_public, options->static_public, TERN_NOISE_KEY_SIZE);
    memcpy(xx->ephemeral_secret, options->ephemeral_secret, TERN_NOISE_KEY_SIZE);
}

bool tern_noise_xx_is_writer(const struct tern_noise_xx *xx)
{
    bool initiators_turn = xx->messages_done % 2 == 0;
    return xx->messages_done < TERN_NOISE_XX_MESSAGES &&
           initiators_turn == (xx->role == TERN_ROLE_INITIATOR);
}

size_t tern_noise_xx_size_min(const struct tern_noise_xx *xx)
{
    TERN_CHECK(xx->messages_done < TERN_NOISE_XX_MESSAGES);
    return noise_size_min[xx->hybrid][xx->messages_done];
}

/* The letters of a token name the initiator's key first. */
static tern_err noise_mix_agreement(struct tern_noise_xx *xx, enum noise_token token,
                                    tern_fault *fault)
{
    bool initiator = xx->role == TERN_ROLE_INITIATOR;
    bool own_static = token == (initiator ? NOISE_SE : NOISE_ES);
    bool remote_static = token == (initiator ? NOISE_ES : NOISE_SE);
    uint8_t shared[TERN_X25519_SIZE];
    tern_err err =
        tern_x25519_agree(own_static ? xx->static_secret : xx->ephemeral_secret,
                          remote_static ? xx->remote_static : xx->remote_ephemeral, shared);
    if (err == TERN_OK)
        noise_mix_key(&xx->symmetric, shared);
    else
        *fault = TERN_FAULT_NOISE_BAD_POINT;
    tern_secret_wipe(shared, sizeof shared);
    return err;
}

/* The initiator's key of ML-KEM. Nothing is encrypted yet. */
static tern_err noise_write_e1(struct tern_noise_xx *xx, struct tern_writer *out)
{
    uint8_t *at = tern_writer_reserve(out, TERN_MLKEM_PUBLIC_SIZE);
    TERN_CHECK(at != NULL && !xx->symmetric.has_key);
    TERN_TRY(tern_mlkem_public(xx->kem_secret, at));
    noise_mix_hash(&xx->symmetric, tern_view_of(at, TERN_MLKEM_PUBLIC_SIZE));
    return TERN_OK;
}

static tern_err noise_write_ekem1(struct tern_noise_xx *xx, struct tern_writer *out,
                                  tern_fault *fault)
{
    struct tern_mlkem_encapsulated kem;
    TERN_CHECK(xx->remote_kem != NULL);
    tern_err err = tern_mlkem_encapsulate(xx->remote_kem, xx->kem_secret, &kem);
    xx->remote_kem = NULL;
    if (err == TERN_ERR_BAD_KEY)
        *fault = TERN_FAULT_NOISE_BAD_KEM_KEY;
    if (err != TERN_OK)
        return err;
    noise_encrypt_and_hash(&xx->symmetric, tern_view_of(kem.cipher, sizeof kem.cipher), out);
    noise_mix_key(&xx->symmetric, kem.shared);
    tern_secret_wipe(&kem, sizeof kem);
    return TERN_OK;
}

/* What decrypts is the responder's; of what is no encapsulation a secret comes that it does not
 * know, and its next field does not authenticate. */
static tern_err noise_read_ekem1(struct tern_noise_xx *xx, struct tern_span field,
                                 tern_fault *fault)
{
    struct tern_view cipher;
    uint8_t shared[TERN_MLKEM_SHARED_SIZE];
    tern_err err = noise_decrypt_and_hash(&xx->symmetric, field, &cipher);
    if (err != TERN_OK) {
        *fault = TERN_FAULT_NOISE_HANDSHAKE_MAC;
        return err;
    }
    TERN_TRY(tern_mlkem_decapsulate(xx->kem_secret, cipher.data, shared));
    noise_mix_key(&xx->symmetric, shared);
    tern_secret_wipe(shared, sizeof shared);
    return TERN_OK;
}

static tern_err noise_write_token(struct tern_noise_xx *xx, enum noise_token token,
                                  struct tern_writer *out, tern_fault *fault)
{
    switch (token) {
    case NOISE_E: {
        uint8_t *at = tern_writer_reserve(out, TERN_X25519_SIZE);
        TERN_CHECK(at != NULL);
        tern_x25519_public(xx->ephemeral_secret, at);
        noise_mix_hash(&xx->symmetric, tern_view_of(at, TERN_X25519_SIZE));
        return TERN_OK;
    }
    case NOISE_S:
        noise_encrypt_and_hash(&xx->symmetric,
                               tern_view_of(xx->static_public, sizeof xx->static_public), out);
        return TERN_OK;
    case NOISE_EE:
    case NOISE_ES:
    case NOISE_SE:
        return noise_mix_agreement(xx, token, fault);
    case NOISE_E1:
        return noise_write_e1(xx, out);
    case NOISE_EKEM1:
        return noise_write_ekem1(xx, out, fault);
    case NOISE_END:
        break;
    }
    TERN_UNREACHABLE();
}

tern_err tern_noise_xx_write(struct tern_noise_xx *xx, struct tern_view payload,
                             struct tern_writer *out, tern_fault *fault)
{
    TERN_CHECK(tern_noise_xx_is_writer(xx));
    TERN_CHECK(tern_writer_left(out) >= payload.size + tern_noise_xx_size_min(xx));
    const enum noise_token *tokens = noise_pattern[xx->hybrid][xx->messages_done];
    for (size_t i = 0; i < NOISE_TOKENS_MAX && tokens[i] != NOISE_END; i++)
        TERN_TRY(noise_write_token(xx, tokens[i], out, fault));
    noise_encrypt_and_hash(&xx->symmetric, payload, out);
    xx->messages_done++;
    return TERN_OK;
}

static size_t noise_field_size(enum noise_token token)
{
    if (token == NOISE_S)
        return TERN_X25519_SIZE + TERN_AEAD_TAG_SIZE;
    if (token == NOISE_E1)
        return TERN_MLKEM_PUBLIC_SIZE;
    return token == NOISE_EKEM1 ? NOISE_EKEM1_SIZE : TERN_X25519_SIZE;
}

/* Takes a token's field off the front of the message. */
static tern_err noise_read_token(struct tern_noise_xx *xx, enum noise_token token,
                                 struct tern_span *message, tern_fault *fault)
{
    size_t size = noise_field_size(token);
    struct tern_span field = {.data = message->data, .size = size};
    switch (token) {
    case NOISE_E:
        memcpy(xx->remote_ephemeral, field.data, TERN_X25519_SIZE);
        noise_mix_hash(&xx->symmetric, tern_view_of(field.data, field.size));
        break;
    case NOISE_S: {
        struct tern_view key;
        tern_err err = noise_decrypt_and_hash(&xx->symmetric, field, &key);
        if (err != TERN_OK) {
            *fault = TERN_FAULT_NOISE_HANDSHAKE_MAC;
            return err;
        }
        memcpy(xx->remote_static, key.data, TERN_X25519_SIZE);
        break;
    }
    case NOISE_EE:
    case NOISE_ES:
    case NOISE_SE:
        return noise_mix_agreement(xx, token, fault);
    case NOISE_E1:
        xx->remote_kem = field.data;
        noise_mix_hash(&xx->symmetric, tern_view_of(field.data, field.size));
        break;
    case NOISE_EKEM1:
        TERN_TRY(noise_read_ekem1(xx, field, fault));
        break;
    case NOISE_END:
        TERN_UNREACHABLE();
    }
    message->data += size;
    message->size -= size;
    return TERN_OK;
}

tern_err tern_noise_xx_read(struct tern_noise_xx *xx, struct tern_span message,
                            struct tern_view *payload, tern_fault *fault)
{
    TERN_CHECK(xx->messages_done < TERN_NOISE_XX_MESSAGES && !tern_noise_xx_is_writer(xx));
    if (message.size < tern_noise_xx_size_min(xx)) {
        *fault = TERN_FAULT_NOISE_MESSAGE_SHORT;
        return TERN_ERR_MALFORMED;
    }
    const enum noise_token *tokens = noise_pattern[xx->hybrid][xx->messages_done];
    for (size_t i = 0; i < NOISE_TOKENS_MAX && tokens[i] != NOISE_END; i++)
        TERN_TRY(noise_read_token(xx, tokens[i], &message, fault));
    tern_err err = noise_decrypt_and_hash(&xx->symmetric, message, payload);
    if (err != TERN_OK) {
        *fault = TERN_FAULT_NOISE_HANDSHAKE_MAC;
        return err;
    }
    xx->messages_done++;
    return TERN_OK;
}

void tern_noise_xx_split(const struct tern_noise_xx *xx, struct tern_noise_keys *keys)
{
    TERN_CHECK(xx->messages_done == TERN_NOISE_XX_MESSAGES);
    uint8_t out[2 * TERN_NOISE_HASH_SIZE];
    noise_hkdf(xx->symmetric.chaining_key, tern_view_of(NULL, 0), out);
    bool initiator = xx->role == TERN_ROLE_INITIATOR;
    memcpy(initiator ? keys->send : keys->receive, out, TERN_NOISE_KEY_SIZE);
    memcpy(initiator ? keys->receive : keys->send, out + TERN_NOISE_HASH_SIZE, TERN_NOISE_KEY_SIZE);
    tern_secret_wipe(out, sizeof out);
}
