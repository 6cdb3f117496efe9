#include "webrtc/webrtc_certificate.h"

#include "base/check.h"
#include "crypto/secret.h"

#define CERTIFICATE_NOT_AFTER ((tern_wall_time)(150 * UINT64_C(365) * 24 * TERN_HOUR))

_Static_assert((int)TERN_RANDOM_SEED_SIZE == (int)TERN_SHA256_SIZE, "a sum is a seed");

/* certificate_random is a source that is the host key's own, for this use alone. */
static void certificate_random(const struct tern_private_key *host_key, struct tern_random *random)
{
    uint8_t bytes[TERN_PRIVATE_KEY_SIZE_MAX];
    uint8_t seed[TERN_SHA256_SIZE];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_private_key_encode(host_key, &w);
    TERN_CHECK(tern_writer_ok(&w));
    tern_hmac_sha256(tern_writer_view(&w), tern_view_str("tern webrtc-direct certificate"), seed);
    tern_random_init(random, seed);
    tern_secret_wipe(seed, sizeof seed);
    tern_secret_wipe(bytes, sizeof bytes);
}

tern_err tern_webrtc_certificate_make(struct tern_mem *mem, const struct tern_private_key *host_key,
                                      struct tern_certificate *certificate)
{
    struct tern_random random;
    certificate_random(host_key, &random);
    const struct tern_certificate_options options = {.kind = TERN_CERTIFICATE_WEB,
                                                     .mem = mem,
                                                     .random = &random,
                                                     .not_before = 0,
                                                     .not_after = CERTIFICATE_NOT_AFTER};
    tern_err err = tern_certificate_make(&options, certificate);
    tern_secret_wipe(&random, sizeof random);
    return err;
}
