/* By OpenSSL's SHA384_*, as sha256.c has it, and for its reasons. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/sha384.h"

#include <openssl/sha.h>

#include "base/check.h"
#include "crypto/secret.h"

void tern_sha384_parts(const struct tern_view *parts, size_t parts_count,
                       uint8_t digest[TERN_SHA384_SIZE])
{
    SHA512_CTX sha;
    bool done = SHA384_Init(&sha) == 1;
    for (size_t i = 0; i < parts_count; i++)
        done =
            done && (parts[i].size == 0 || SHA384_Update(&sha, parts[i].data, parts[i].size) == 1);
    done = done && SHA384_Final(digest, &sha) == 1;
    TERN_CHECK(done);
    tern_secret_wipe(&sha, sizeof sha);
}

/* HMAC of the concatenation of two views. */
static void sha384_hmac(struct tern_view key, struct tern_view first, struct tern_view second,
                        uint8_t mac[TERN_SHA384_SIZE])
{
    enum { INNER_PAD = 0x36, OUTER_PAD = 0x5c };
    uint8_t block[TERN_SHA384_BLOCK_SIZE] = {0};
    uint8_t digest[TERN_SHA384_SIZE];
    if (key.size > sizeof block)
        tern_sha384_parts(&key, 1, block);
    else
        tern_copy(block, key.data, key.size);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] ^= INNER_PAD;
    const struct tern_view inner[] = {tern_view_of(block, sizeof block), first, second};
    tern_sha384_parts(inner, TERN_COUNT_OF(inner), digest);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] ^= INNER_PAD ^ OUTER_PAD;
    const struct tern_view outer[] = {tern_view_of(block, sizeof block),
                                      tern_view_of(digest, sizeof digest)};
    tern_sha384_parts(outer, TERN_COUNT_OF(outer), mac);
    tern_secret_wipe(block, sizeof block);
    tern_secret_wipe(digest, sizeof digest);
}

void tern_hmac_sha384(struct tern_view key, struct tern_view message, uint8_t mac[TERN_SHA384_SIZE])
{
    sha384_hmac(key, message, tern_view_of(NULL, 0), mac);
}

void tern_hkdf_expand_sha384(const uint8_t key[TERN_SHA384_SIZE], struct tern_view info,
                             struct tern_span out)
{
    TERN_CHECK(out.size <= TERN_HKDF_SHA384_SIZE_MAX && info.size <= TERN_HKDF_SHA384_INFO_MAX);
    uint8_t tail[TERN_HKDF_SHA384_INFO_MAX + 1]; /* info and the counter */
    uint8_t block[TERN_SHA384_SIZE];
    tern_copy(tail, info.data, info.size);
    tail[info.size] = 0;
    for (size_t done = 0; done < out.size;) {
        struct tern_view before = tern_view_of(block, tail[info.size] == 0 ? 0 : sizeof block);
        tail[info.size]++;
        sha384_hmac(tern_view_of(key, TERN_SHA384_SIZE), before, tern_view_of(tail, info.size + 1),
                    block);
        size_t size = tern_min_size(sizeof block, out.size - done);
        memcpy(out.data + done, block, size);
        done += size;
    }
    tern_secret_wipe(block, sizeof block);
}
