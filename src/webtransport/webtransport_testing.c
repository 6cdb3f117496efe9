#include "webtransport/webtransport_testing.h"

#include "base/check.h"
#include "crypto/aead.h"
#include "webtransport/certificates.h"

enum { TESTING_HOSTS_MAX = 8 };

struct testing_host {
    bool made;
    struct tern_noise_identity noise;
    struct tern_webtransport_certhashes certhashes;
};

static struct testing_host *testing_host(unsigned n)
{
    static struct testing_host hosts[TESTING_HOSTS_MAX];
    static struct tern_mem mem;
    TERN_CHECK(n < TESTING_HOSTS_MAX);
    struct testing_host *host = &hosts[n];
    if (host->made)
        return host;
    host->made = true;
    struct tern_random random;
    struct web_certificates certificates;
    bool rolled;
    const struct tern_private_key *key = quic_testing_key(n);
    tern_random_init_u64(&random, 2000 + n);
    TERN_CHECK(tern_noise_identity_init(&host->noise, &mem, &random, key) == TERN_OK);
    web_certificates_init(&certificates, &mem, key);
    TERN_CHECK(web_certificates_roll(&certificates, WEB_TESTING_WALL, &rolled) == TERN_OK);
    host->certhashes.version = 1;
    for (size_t i = 0; i < TERN_WEBTRANSPORT_CERTHASHES; i++)
        memcpy(host->certhashes.multihashes[i], certificates.multihashes[1 + i],
               WEB_MULTIHASH_SIZE);
    web_certificates_fini(&certificates);
    return host;
}

const struct tern_noise_identity *web_testing_noise(unsigned n)
{
    return &testing_host(n)->noise;
}

const struct tern_webtransport_certhashes *web_testing_certhashes(unsigned n)
{
    return &testing_host(n)->certhashes;
}

struct tern_aead_engine *web_testing_aead(void)
{
    static struct tern_aead_engine engine;
    static bool made;
    if (!made)
        TERN_CHECK(tern_aead_engine_init(&engine) == TERN_OK);
    made = true;
    return &engine;
}

tern_err web_testing_new(const struct web_testing *testing,
                         struct tern_session_transport *transport)
{
    struct tern_session_transport quic;
    struct tern_quic_options of_quic = testing->quic;
    struct tern_webtransport_options options = testing->options;
    if (of_quic.identity == NULL)
        of_quic.identity = quic_testing_identity(testing->host);
    of_quic.wall = WEB_TESTING_WALL;
    options.mem = of_quic.mem;
    options.random = of_quic.random;
    options.metrics = of_quic.metrics;
    options.aead = web_testing_aead();
    if (options.identity == NULL)
        options.identity = web_testing_noise(testing->host);
    options.wall = WEB_TESTING_WALL;
    *transport = (struct tern_session_transport){.ops = NULL};
    TERN_TRY(tern_quic_new(&of_quic, testing->now, &quic));
    tern_err err = tern_webtransport_new(&options, &quic, testing->now, transport);
    if (err != TERN_OK)
        quic.ops->fini(quic.self);
    return err;
}

static const struct tern_session_transport_ops **testing_real(void)
{
    static const struct tern_session_transport_ops *real;
    return &real;
}

static tern_err testing_dial(void *self, tern_time now, const struct tern_session_dial *dial,
                             struct tern_session *session)
{
    const struct tern_webtransport_certhashes *certhashes = web_testing_certhashes(2);
    struct tern_view hashes[TERN_WEBTRANSPORT_CERTHASHES];
    struct tern_session_dial web = *dial;
    for (size_t i = 0; i < TERN_COUNT_OF(hashes); i++)
        hashes[i] = tern_view_of(certhashes->multihashes[i], WEB_MULTIHASH_SIZE);
    web.certhashes = hashes;
    web.certhashes_count = TERN_COUNT_OF(hashes);
    return (*testing_real())->dial(self, now, dial->certhashes_count > 0 ? dial : &web, session);
}

void web_testing_dials(struct tern_session_transport *transport)
{
    static struct tern_session_transport_ops ops;
    *testing_real() = transport->ops;
    ops = *transport->ops;
    ops.dial = testing_dial;
    transport->ops = &ops;
}
