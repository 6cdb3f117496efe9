#include "crypto/certificate_key.h"

#include "base/check.h"
#include "crypto/key_types.h"
#include "crypto/secret.h"

/* ---- PKCS #8 ---- */

/* PrivateKeyInfo { 0, { ecPublicKey, prime256v1 }, OCTET STRING { ECPrivateKey { 1, secret,
 * [1] point } } } */
static const uint8_t p256_head[] = {0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06,
                                    0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
                                    0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20};
static const uint8_t p256_middle[] = {0xa1, 0x44, 0x03, 0x42, 0x00};
_Static_assert(sizeof p256_head + TERN_CERTIFICATE_SECRET_SIZE + sizeof p256_middle +
                       TERN_CERTIFICATE_POINT_SIZE ==
                   TERN_CERTIFICATE_KEY_SIZE_MAX,
               "the sizes add up");

/* PrivateKeyInfo { 0, { Ed25519 }, OCTET STRING { OCTET STRING seed } } (RFC 8410) */
static const uint8_t ed25519_head[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                       0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};

void tern_certificate_write_key(struct tern_certificate *certificate,
                                const uint8_t secret[TERN_CERTIFICATE_SECRET_SIZE],
                                struct tern_view point)
{
    struct tern_writer w = tern_writer_of(certificate->key, sizeof certificate->key);
    bool p256 = certificate->key_type == TERN_CERTIFICATE_P256;
    tern_writer_bytes(&w, p256 ? tern_view_of(p256_head, sizeof p256_head)
                               : tern_view_of(ed25519_head, sizeof ed25519_head));
    tern_writer_bytes(&w, tern_view_of(secret, TERN_CERTIFICATE_SECRET_SIZE));
    if (p256) {
        tern_writer_bytes(&w, tern_view_of(p256_middle, sizeof p256_middle));
        tern_writer_bytes(&w, point);
    }
    TERN_CHECK(tern_writer_ok(&w));
    certificate->key_size = w.size;
}

/* Where the secret stands in it. */
static const uint8_t *key_secret(const struct tern_certificate *certificate)
{
    bool p256 = certificate->key_type == TERN_CERTIFICATE_P256;
    return certificate->key + (p256 ? sizeof p256_head : sizeof ed25519_head);
}

/* ---- signing ---- */

struct tern_certificate_signer {
    struct tern_mem *mem;
    enum tern_certificate_key type;
    struct tern_openssl_key *p256; /* NULL: not that type */
    uint8_t ed25519[64];
};

tern_err tern_certificate_signer_open(struct tern_mem *mem,
                                      const struct tern_certificate *certificate,
                                      struct tern_certificate_signer **signer)
{
    struct tern_certificate_signer *s = tern_mem_zalloc(mem, sizeof *s);
    *signer = s;
    if (s == NULL)
        return TERN_ERR_MEMORY;
    s->mem = mem;
    s->type = certificate->key_type;
    if (s->type == TERN_CERTIFICATE_ED25519) {
        tern_ed25519_of_seed(key_secret(certificate), s->ed25519);
        return TERN_OK;
    }
    tern_err err = tern_ecdsa_of_secret(key_secret(certificate), &s->p256);
    if (err != TERN_OK) {
        tern_mem_free(s->mem, s, sizeof *s);
        *signer = NULL;
    }
    return err;
}

enum tern_certificate_key tern_certificate_signer_type(const struct tern_certificate_signer *signer)
{
    return signer->type;
}

tern_err tern_certificate_signer_sign(const struct tern_certificate_signer *signer,
                                      struct tern_view bytes, struct tern_writer *signature)
{
    if (signer->type == TERN_CERTIFICATE_ED25519) {
        uint8_t made[TERN_ED25519_SIGNATURE_SIZE];
        tern_ed25519_sign(signer->ed25519, bytes, made);
        tern_writer_bytes(signature, tern_view_of(made, sizeof made));
        return TERN_OK;
    }
    TERN_CHECK(bytes.size == TERN_SHA256_SIZE);
    return tern_openssl_sign(tern_openssl_key_pkey(signer->p256), false, bytes.data, signature);
}

void tern_certificate_signer_close(struct tern_certificate_signer *signer)
{
    struct tern_mem *mem = signer->mem;
    tern_openssl_key_unref(signer->p256);
    tern_secret_wipe(signer, sizeof *signer);
    tern_mem_free(mem, signer, sizeof *signer);
}
