#include "webtransport/certificates.h"

#include "base/check.h"
#include "crypto/secret.h"
#include "wire/multihash.h"

#define CERTIFICATES_VALIDITY TERN_CERTIFICATE_WEB_VALIDITY_MAX_NS
#define CERTIFICATES_SKEW     TERN_HOUR
#define CERTIFICATES_PERIOD   (CERTIFICATES_VALIDITY - 2 * CERTIFICATES_SKEW)

void web_certificates_init(struct web_certificates *certificates, struct tern_mem *mem,
                           const struct tern_private_key *host_key)
{
    uint8_t bytes[TERN_PRIVATE_KEY_SIZE_MAX];
    struct tern_peer_id peer;
    uint8_t digest[TERN_SHA256_SIZE];
    *certificates = (struct web_certificates){.mem = mem};
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_private_key_encode(host_key, &w);
    tern_hkdf_extract(tern_view_str("tern webtransport certificates"), tern_writer_view(&w),
                      certificates->secret);
    tern_secret_wipe(bytes, sizeof bytes);
    tern_public_key_peer_id(&host_key->public_key, &peer);
    tern_sha256(tern_peer_id_view(&peer), digest);
    uint64_t minutes = (uint64_t)digest[0] << 8 | digest[1];
    certificates->offset = minutes * TERN_MINUTE % CERTIFICATES_PERIOD;
}

void web_certificates_fini(struct web_certificates *certificates)
{
    if (certificates->made)
        tern_certificate_fini(&certificates->current);
    tern_secret_wipe(certificates->secret, sizeof certificates->secret);
    certificates->made = false;
}

static tern_wall_time period_start(const struct web_certificates *certificates, uint64_t period)
{
    return certificates->offset + period * CERTIFICATES_PERIOD;
}

static tern_err certificates_make(const struct web_certificates *certificates, uint64_t period,
                                  struct tern_certificate *certificate)
{
    uint8_t seed[TERN_RANDOM_SEED_SIZE];
    uint8_t number[8];
    struct tern_random random;
    struct tern_writer w = tern_writer_of(number, sizeof number);
    tern_writer_u64be(&w, period);
    tern_hkdf_expand(certificates->secret, tern_writer_view(&w),
                     (struct tern_span){.data = seed, .size = sizeof seed});
    tern_random_init(&random, seed);
    const struct tern_certificate_options options = {
        .kind = TERN_CERTIFICATE_WEB,
        .mem = certificates->mem,
        .random = &random,
        .not_before = period_start(certificates, period),
        .not_after = period_start(certificates, period) + CERTIFICATES_VALIDITY,
    };
    tern_err err = tern_certificate_make(&options, certificate);
    tern_secret_wipe(seed, sizeof seed);
    tern_secret_wipe(&random, sizeof random);
    return err;
}

static void multihash_of(const struct tern_certificate *certificate,
                         uint8_t multihash[WEB_MULTIHASH_SIZE])
{
    multihash[0] = TERN_MULTIHASH_SHA2_256;
    multihash[1] = TERN_SHA256_SIZE;
    memcpy(multihash + 2, certificate->sha256, TERN_SHA256_SIZE);
}

tern_err web_certificates_roll(struct web_certificates *certificates, tern_wall_time wall,
                               bool *rolled)
{
    *rolled = false;
    tern_wall_time first = certificates->offset + CERTIFICATES_SKEW + CERTIFICATES_PERIOD;
    if (wall < first || wall > TERN_TIME_NEVER / 2)
        return TERN_ERR_INVALID;
    uint64_t period = 1 + (wall - first) / CERTIFICATES_PERIOD;
    if (certificates->made && certificates->period == period)
        return TERN_OK;
    struct tern_certificate made[WEB_HASHES];
    size_t count = 0;
    tern_err err = TERN_OK;
    while (count < WEB_HASHES && err == TERN_OK) {
        err = certificates_make(certificates, period - 1 + count, &made[count]);
        count += err == TERN_OK;
    }
    if (err == TERN_OK) {
        if (certificates->made)
            tern_certificate_fini(&certificates->current);
        for (size_t i = 0; i < WEB_HASHES; i++)
            multihash_of(&made[i], certificates->multihashes[i]);
        certificates->current = made[1];
        certificates->made = true;
        certificates->period = period;
        *rolled = true;
    }
    for (size_t i = 0; i < count; i++)
        if (err != TERN_OK || i != 1)
            tern_certificate_fini(&made[i]);
    return err;
}

tern_wall_time web_certificates_until(const struct web_certificates *certificates)
{
    TERN_CHECK(certificates->made);
    return period_start(certificates, certificates->period + 1) + CERTIFICATES_SKEW;
}
