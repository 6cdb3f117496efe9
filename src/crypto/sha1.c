/* The functions on a plain struct, for the reasons that sha256.c gives. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/sha1.h"

#include <openssl/sha.h>

#include "base/check.h"
#include "crypto/secret.h"

void tern_sha1_parts(const struct tern_view *parts, size_t parts_count,
                     uint8_t digest[TERN_SHA1_SIZE])
{
    SHA_CTX state;
    int done = SHA1_Init(&state);
    for (size_t i = 0; i < parts_count; i++)
        if (parts[i].size > 0)
            done &= SHA1_Update(&state, parts[i].data, parts[i].size);
    done &= SHA1_Final(digest, &state);
    TERN_CHECK(done == 1);
}

/* ---- HMAC ---- */

static void sha1_update(SHA_CTX *sha, struct tern_view bytes)
{
    if (bytes.size == 0)
        return;
    int done = SHA1_Update(sha, bytes.data, bytes.size);
    TERN_CHECK(done == 1);
}

/* sha1_begin starts a hash with the key's block, each byte of it changed by pad. */
static void sha1_begin(SHA_CTX *sha, const uint8_t block[TERN_SHA1_BLOCK_SIZE], uint8_t pad)
{
    uint8_t padded[TERN_SHA1_BLOCK_SIZE];
    for (size_t i = 0; i < sizeof padded; i++)
        padded[i] = block[i] ^ pad;
    int done = SHA1_Init(sha);
    TERN_CHECK(done == 1);
    sha1_update(sha, tern_view_of(padded, sizeof padded));
    tern_secret_wipe(padded, sizeof padded);
}

static void sha1_final(SHA_CTX *sha, uint8_t digest[TERN_SHA1_SIZE])
{
    int done = SHA1_Final(digest, sha);
    TERN_CHECK(done == 1);
    tern_secret_wipe(sha, sizeof *sha);
}

void tern_hmac_sha1_parts(struct tern_view key, const struct tern_view *parts, size_t parts_count,
                          uint8_t mac[TERN_SHA1_SIZE])
{
    enum { INNER_PAD = 0x36, OUTER_PAD = 0x5c };
    uint8_t block[TERN_SHA1_BLOCK_SIZE] = {0};
    SHA_CTX sha;
    if (key.size > sizeof block) {
        int done = SHA1_Init(&sha);
        TERN_CHECK(done == 1);
        sha1_update(&sha, key);
        sha1_final(&sha, block);
    } else {
        tern_copy(block, key.data, key.size);
    }
    uint8_t digest[TERN_SHA1_SIZE];
    sha1_begin(&sha, block, INNER_PAD);
    for (size_t i = 0; i < parts_count; i++)
        sha1_update(&sha, parts[i]);
    sha1_final(&sha, digest);
    sha1_begin(&sha, block, OUTER_PAD);
    sha1_update(&sha, tern_view_of(digest, sizeof digest));
    sha1_final(&sha, mac);
    tern_secret_wipe(block, sizeof block);
    tern_secret_wipe(digest, sizeof digest);
}
