/* The functions on a plain struct, for the reasons that sha256.c gives. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/sha1.h"

#include <openssl/sha.h>

#include "base/check.h"

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
