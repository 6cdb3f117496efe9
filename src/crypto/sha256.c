/*
 * OpenSSL's SHA256_* functions rather than its EVP ones: they work on a plain struct, so a hash
 * needs no allocation, no context to hand around and no error path, and a short hash takes two
 * thirds of the time (32 bytes: 47 ns, against 69 ns with a fetched EVP_MD and a reused
 * EVP_MD_CTX). OpenSSL 3 marks them deprecated; should they go, this file is where the EVP ones go
 * in.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/sha256.h"

#include <openssl/sha.h>

#include "base/check.h"
#include "crypto/secret.h"

_Static_assert(sizeof(SHA256_CTX) <= sizeof(((struct tern_sha256 *)0)->state), "state fits");
_Static_assert(_Alignof(SHA256_CTX) <= _Alignof(struct tern_sha256), "state is aligned");

static SHA256_CTX *sha256_state(struct tern_sha256 *sha)
{
    return (SHA256_CTX *)(void *)sha->state.opaque;
}

void tern_sha256_init(struct tern_sha256 *sha)
{
    int done = SHA256_Init(sha256_state(sha));
    TERN_CHECK(done == 1);
}

void tern_sha256_update(struct tern_sha256 *sha, struct tern_view bytes)
{
    if (bytes.size == 0)
        return;
    int done = SHA256_Update(sha256_state(sha), bytes.data, bytes.size);
    TERN_CHECK(done == 1);
}

void tern_sha256_final(struct tern_sha256 *sha, uint8_t digest[TERN_SHA256_SIZE])
{
    int done = SHA256_Final(digest, sha256_state(sha));
    TERN_CHECK(done == 1);
}

void tern_sha256(struct tern_view bytes, uint8_t digest[TERN_SHA256_SIZE])
{
    tern_sha256_parts(&bytes, 1, digest);
}

void tern_sha256_parts(const struct tern_view *parts, size_t parts_count,
                       uint8_t digest[TERN_SHA256_SIZE])
{
    struct tern_sha256 sha;
    tern_sha256_init(&sha);
    for (size_t i = 0; i < parts_count; i++)
        tern_sha256_update(&sha, parts[i]);
    tern_sha256_final(&sha, digest);
}

/* An HMAC in progress: the inner hash, and the outer one with its key already in. */
struct hmac {
    struct tern_sha256 inner;
    struct tern_sha256 outer;
};

static void hmac_init(struct hmac *hmac, struct tern_view key)
{
    enum { INNER_PAD = 0x36, OUTER_PAD = 0x5c };
    uint8_t block[TERN_SHA256_BLOCK_SIZE] = {0};
    if (key.size > sizeof block)
        tern_sha256(key, block);
    else if (key.size > 0)
        memcpy(block, key.data, key.size);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] ^= INNER_PAD;
    tern_sha256_init(&hmac->inner);
    tern_sha256_update(&hmac->inner, tern_view_of(block, sizeof block));
    for (size_t i = 0; i < sizeof block; i++)
        block[i] ^= INNER_PAD ^ OUTER_PAD;
    tern_sha256_init(&hmac->outer);
    tern_sha256_update(&hmac->outer, tern_view_of(block, sizeof block));
    tern_secret_wipe(block, sizeof block);
}

static void hmac_final(struct hmac *hmac, uint8_t mac[TERN_SHA256_SIZE])
{
    uint8_t digest[TERN_SHA256_SIZE];
    tern_sha256_final(&hmac->inner, digest);
    tern_sha256_update(&hmac->outer, tern_view_of(digest, sizeof digest));
    tern_sha256_final(&hmac->outer, mac);
    tern_secret_wipe(digest, sizeof digest);
    tern_secret_wipe(hmac, sizeof *hmac);
}

void tern_hmac_sha256(struct tern_view key, struct tern_view message, uint8_t mac[TERN_SHA256_SIZE])
{
    struct hmac hmac;
    hmac_init(&hmac, key);
    tern_sha256_update(&hmac.inner, message);
    hmac_final(&hmac, mac);
}

void tern_hkdf_extract(struct tern_view salt, struct tern_view input, uint8_t key[TERN_SHA256_SIZE])
{
    /* An HMAC key is filled up with zeros, so no salt and 32 zero bytes of it are the same. */
    tern_hmac_sha256(salt, input, key);
}

void tern_hkdf_expand(const uint8_t key[TERN_SHA256_SIZE], struct tern_view info,
                      struct tern_span out)
{
    TERN_CHECK(out.size <= TERN_HKDF_SIZE_MAX);
    uint8_t block[TERN_SHA256_SIZE];
    uint8_t counter = 0;
    for (size_t done = 0; done < out.size;) {
        struct hmac hmac;
        hmac_init(&hmac, tern_view_of(key, TERN_SHA256_SIZE));
        if (counter > 0)
            tern_sha256_update(&hmac.inner, tern_view_of(block, sizeof block));
        counter++;
        tern_sha256_update(&hmac.inner, info);
        tern_sha256_update(&hmac.inner, tern_view_of(&counter, 1));
        hmac_final(&hmac, block);
        size_t size = tern_min_size(sizeof block, out.size - done);
        memcpy(out.data + done, block, size);
        done += size;
    }
    tern_secret_wipe(block, sizeof block);
}
