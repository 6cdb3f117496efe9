#include "library.h"

#include "base/check.h"
#include "crypto/aead.h"

struct library_kind {
    const char *text;
    void (*init)(struct library *l);
    void (*fini)(struct library *l);
    void (*handshake)(struct library *l);
};

#define LIBRARY_CERTIFICATES "libsodium's signatures, the check of certificates"

static const struct library_kind kinds[LIBRARY_KINDS] = {
    [LIBRARY_TLS] = {.text = "GnuTLS, " LIBRARY_CERTIFICATES, .handshake = library_tls_handshake},
    [LIBRARY_QUIC] = {.text = "ngtcp2, GnuTLS, " LIBRARY_CERTIFICATES,
                      .init = library_quic_init,
                      .fini = library_quic_fini,
                      .handshake = library_quic_handshake},
    [LIBRARY_QUIC_RESUMABLE] = {.text = "ngtcp2, GnuTLS, " LIBRARY_CERTIFICATES
                                        ", a ticket and a token",
                                .init = library_quic_init,
                                .fini = library_quic_fini,
                                .handshake = library_quic_handshake},
};

static void library_host_init(struct library *l, struct library_host *host)
{
    TERN_CHECK(tern_private_key_generate(TERN_KEY_ED25519, &l->random, &host->key) == TERN_OK);
    const struct tern_tls_identity_options options = {.mem = &l->mem,
                                                      .random = &l->random,
                                                      .host_key = &host->key,
                                                      .slow_aes = !tern_aead_has_fast_aes()};
    TERN_CHECK(tern_tls_identity_init(&host->identity, &options) == TERN_OK);
}

void library_init(struct library *l, enum library_of of)
{
    *l = (struct library){.of = of};
    tern_mem_init(&l->mem, 0);
    tern_random_init_u64(&l->random, 1);
    for (int i = 0; i < 2; i++)
        library_host_init(l, &l->hosts[i]);
    if (kinds[of].init != NULL)
        kinds[of].init(l);
}

void library_fini(struct library *l)
{
    if (kinds[l->of].fini != NULL)
        kinds[l->of].fini(l);
    for (int i = 0; i < 2; i++) {
        tern_tls_identity_fini(&l->hosts[i].identity);
        tern_private_key_fini(&l->hosts[i].key);
    }
    tern_mem_fini(&l->mem);
}

void library_run(struct library *l, unsigned handshakes)
{
    for (unsigned i = 0; i < handshakes; i++)
        kinds[l->of].handshake(l);
}

const char *library_text(enum library_of of)
{
    return kinds[of].text;
}

void library_check(gnutls_session_t session)
{
    unsigned count = 0;
    const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &count);
    struct tern_public_key key;
    tern_fault fault;
    TERN_CHECK(shown != NULL && count == 1);
    TERN_CHECK(tern_certificate_check(tern_gnutls_view(shown), 0, &key, &fault) == TERN_OK);
    tern_public_key_fini(&key);
}

void library_set_up(struct library *l, gnutls_session_t session, bool server)
{
    const gnutls_datum_t alpn = tern_gnutls_datum(tern_view_str("libp2p"));
    const struct tern_tls_identity *identity = &l->hosts[server ? 1 : 0].identity;
    if (server) {
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
        gnutls_certificate_send_x509_rdn_sequence(session, 1); /* names nobody */
    }
    TERN_CHECK(tern_gnutls_credentials_set(session, identity->credentials) == 0 &&
               gnutls_alpn_set_protocols(session, &alpn, 1, GNUTLS_ALPN_MANDATORY) == 0);
}
