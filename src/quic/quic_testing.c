#include "quic/quic_testing.h"

#include "base/check.h"
#include "crypto/start.h"

enum { TESTING_HOSTS_MAX = 8 };

struct testing_host {
    struct tern_private_key key;
    struct tern_peer_id peer;
    struct tern_quic_identity *identity;
    struct tern_certificate certificate;
};

static struct testing_host *testing_host(unsigned n)
{
    static struct testing_host hosts[TESTING_HOSTS_MAX];
    static struct tern_mem mem;
    TERN_CHECK(n < TESTING_HOSTS_MAX);
    struct testing_host *host = &hosts[n];
    if (host->identity != NULL)
        return host;
    TERN_CHECK(tern_crypto_start() == TERN_OK);
    struct tern_random random;
    tern_random_init_u64(&random, 1000 + n);
    TERN_CHECK(tern_private_key_generate(TERN_KEY_ED25519, &random, &host->key) == TERN_OK);
    tern_public_key_peer_id(&host->key.public_key, &host->peer);
    const struct tern_certificate_options options = {
        .kind = TERN_CERTIFICATE_LIBP2P, .mem = &mem, .random = &random, .host_key = &host->key};
    TERN_CHECK(tern_certificate_make(&options, &host->certificate) == TERN_OK);
    TERN_CHECK(tern_quic_identity_new(&mem, &random, &host->key, &host->identity) == TERN_OK);
    return host;
}

struct tern_quic_identity *quic_testing_identity(unsigned n)
{
    return testing_host(n)->identity;
}

const struct tern_peer_id *quic_testing_peer(unsigned n)
{
    return &testing_host(n)->peer;
}

const struct tern_private_key *quic_testing_key(unsigned n)
{
    return &testing_host(n)->key;
}

const struct tern_certificate *quic_testing_certificate(unsigned n)
{
    return &testing_host(n)->certificate;
}

static struct tern_random testing_random[2];
static bool testing_random_ready;

void quic_testing_random_again(void)
{
    for (unsigned i = 0; i < TERN_COUNT_OF(testing_random); i++)
        tern_random_init_u64(&testing_random[i], 77 + i);
    testing_random_ready = true;
}

struct tern_random *quic_testing_random(bool dialer)
{
    if (!testing_random_ready)
        quic_testing_random_again();
    return &testing_random[dialer];
}
