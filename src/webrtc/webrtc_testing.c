#include "webrtc/webrtc_testing.h"

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/start.h"
#include "mux/session_pair.h"
#include "webrtc/test_certificate.h"

struct tern_aead_engine *webrtc_testing_aead(void)
{
    static struct tern_aead_engine engine;
    static bool ready;
    if (!ready)
        TERN_CHECK(tern_aead_engine_init(&engine) == TERN_OK);
    ready = true;
    return &engine;
}

const struct webrtc_testing_host *webrtc_testing_host(unsigned n)
{
    static struct webrtc_testing_host hosts[WEBRTC_TESTING_HOSTS_MAX];
    static struct tern_mem mem;
    TERN_CHECK(n < WEBRTC_TESTING_HOSTS_MAX);
    struct webrtc_testing_host *host = &hosts[n];
    if (host->certificate != NULL)
        return host;
    TERN_CHECK(tern_crypto_start() == TERN_OK);
    struct tern_random random;
    tern_random_init_u64(&random, 1000 + n);
    TERN_CHECK(tern_private_key_generate(TERN_KEY_ED25519, &random, &host->key) == TERN_OK);
    tern_public_key_peer_id(&host->key.public_key, &host->peer);
    TERN_CHECK(tern_noise_identity_init(&host->noise, &mem, &random, &host->key) == TERN_OK);
    host->certificate = n % 2 == 0 ? &test_certificate_a : &test_certificate_b;
    host->certhash[0] = 0x12;
    host->certhash[1] = TERN_SHA256_SIZE;
    tern_sha256(host->certificate->certificate, host->certhash + 2);
    return host;
}

/* ---- pairs ---- */

static struct tern_session_transport_ops pair_ops;
static tern_err (*pair_dial)(void *self, tern_time now, const struct tern_session_dial *dial,
                             struct tern_session *session);

/* pair_dial_host adds what is dialled. */
static tern_err pair_dial_host(void *self, tern_time now, const struct tern_session_dial *dial,
                               struct tern_session *session)
{
    const struct webrtc_testing_host *host = webrtc_testing_host(1);
    const struct tern_view hash = tern_view_of(host->certhash, sizeof host->certhash);
    struct tern_session_dial more = *dial;
    more.expected_peer = &host->peer;
    more.certhashes = &hash;
    more.certhashes_count = 1;
    return pair_dial(self, now, &more, session);
}

static struct tern_random *pair_random(bool dialer)
{
    static struct tern_random sources[2];
    static bool ready;
    if (!ready) {
        for (unsigned i = 0; i < 2; i++)
            tern_random_init_u64(&sources[i], 77 + i);
        ready = true;
    }
    return &sources[dialer];
}

tern_err webrtc_testing_make(bool dialer, const struct session_pair_end *end,
                             struct tern_session_transport *transport)
{
    const struct webrtc_testing_host *host = webrtc_testing_host(dialer ? 0 : 1);
    const struct tern_webrtc_options options = {
        .mem = end->mem,
        .random = pair_random(dialer),
        .aead = webrtc_testing_aead(),
        .noise = &host->noise,
        .certificate = host->certificate,
        .window_bytes = 3 << 19,
    };
    TERN_TRY(tern_webrtc_new(&options, TERN_SECOND, transport));
    pair_ops = *transport->ops;
    pair_dial = pair_ops.dial;
    pair_ops.dial = pair_dial_host;
    transport->ops = &pair_ops;
    return TERN_OK;
}
