/*
 * The transports of sessions that are built in: each is made when it is first listened at or
 * dialled, so that a host that never uses one does not pay for it.
 */
#include "swarm/private.h"

#include "quic/quic.h"
#include "secure/web_tls.h"
#include "webrtc/webrtc.h"
#include "webrtc/webrtc_certificate.h"
#include "webtransport/webtransport.h"

/* Transports that can be made; those of links need none. */
enum {
    TRANSPORTS_OF_QUIC =
        TERN_TRANSPORT_BIT(TERN_TRANSPORT_QUIC) | TERN_TRANSPORT_BIT(TERN_TRANSPORT_WEBTRANSPORT),
    TRANSPORTS_BUILT_IN = TRANSPORTS_OF_QUIC | TERN_TRANSPORT_BIT(TERN_TRANSPORT_WEBRTC),
};

bool tern_transports_supports(const struct tern_swarm *s, enum tern_transport transport)
{
    uint32_t bit = TERN_TRANSPORT_BIT(transport);
    if (!(s->config.transports & bit) || tern_transports_outside_network(s, transport))
        return false;
    if (tern_transport_on_udp(transport))
        return (TRANSPORTS_BUILT_IN & bit) != 0;
    return transport != TERN_TRANSPORT_WSS || s->config.web != NULL;
}

bool tern_transports_outside_network(const struct tern_swarm *s, enum tern_transport transport)
{
    return s->config.psk != NULL && tern_transport_on_udp(transport);
}

bool tern_transports_serves(const struct tern_swarm *s, enum tern_transport transport)
{
    return tern_transports_supports(s, transport) &&
           (transport != TERN_TRANSPORT_WSS || tern_web_tls_serves(s->config.web));
}

static void transports_add(struct tern_swarm *s, const struct tern_session_transport *transport,
                           uint32_t transports)
{
    struct swarm_sessions *sessions = &s->sessions;
    TERN_CHECK(sessions->hubs_count < SWARM_HUBS_MAX);
    sessions->hubs[sessions->hubs_count++] =
        (struct swarm_hub){.transport = *transport, .transports = transports};
    for (enum tern_transport i = 0; i < TERN_TRANSPORT_COUNT; i++)
        if (transports & TERN_TRANSPORT_BIT(i))
            sessions->dialers[i] = *transport;
}

static bool transports_web(const struct tern_swarm *s)
{
    return (s->config.transports & TERN_TRANSPORT_BIT(TERN_TRANSPORT_WEBTRANSPORT)) != 0;
}

static tern_err transports_new_quic(struct tern_swarm *s, tern_time now,
                                    struct tern_session_transport *transport)
{
    const struct tern_quic_options options = {
        .mem = s->mem,
        .random = s->config.random,
        .identity = s->sessions.quic_identity,
        .windows = &s->windows,
        .metrics = s->config.metrics,
        .wall = tern_swarm_wall(s, now),
        .handshake_timeout_ns = s->config.upgrade_timeout_ns,
        .keep_alive_ns = s->config.keepalive_ns,
    };
    return tern_quic_new(&options, now, transport);
}

/* transports_add_web puts WebTransport around a transport of QUIC. */
static tern_err transports_add_web(struct tern_swarm *s, tern_time now,
                                   struct tern_session_transport *transport)
{
    const struct tern_webtransport_options options = {
        .mem = s->mem,
        .random = s->config.random,
        .aead = &s->aead,
        .identity = &s->noise,
        .host_key = s->config.identity,
        .metrics = s->config.metrics,
        .wall = tern_swarm_wall(s, now),
        .handshake_timeout_ns = s->config.upgrade_timeout_ns,
    };
    const struct tern_session_transport quic = *transport;
    return tern_webtransport_new(&options, &quic, now, transport);
}

/* transports_make_quic makes the hub of QUIC, which is WebTransport's as well where that is
 * allowed: they share sockets, and a connection says which it is. */
static tern_err transports_make_quic(struct tern_swarm *s, tern_time now)
{
    struct tern_session_transport transport = {.ops = NULL};
    struct tern_session_transport quic = {.ops = NULL};
    TERN_TRY(tern_quic_identity_new(s->mem, s->config.random, s->config.identity,
                                    &s->sessions.quic_identity));
    tern_err err = transports_new_quic(s, now, &quic);
    transport = quic;
    if (err == TERN_OK && transports_web(s))
        err = transports_add_web(s, now, &transport);
    if (err != TERN_OK) {
        if (quic.ops != NULL)
            quic.ops->fini(quic.self);
        tern_quic_identity_free(s->sessions.quic_identity);
        s->sessions.quic_identity = NULL;
        return err;
    }
    transports_add(s, &transport, TRANSPORTS_OF_QUIC & s->config.transports);
    return TERN_OK;
}

static tern_err transports_make_webrtc(struct tern_swarm *s, tern_time now)
{
    struct tern_session_transport transport;
    struct tern_certificate certificate;
    TERN_TRY(tern_webrtc_certificate_make(s->mem, s->config.identity, &certificate));
    const struct tern_dtls_certificate view = tern_webrtc_certificate_view(&certificate);
    const struct tern_webrtc_options options = {
        .mem = s->mem,
        .random = s->config.random,
        .aead = &s->aead,
        .noise = &s->noise,
        .certificate = &view,
        .metrics = s->config.metrics,
        .handshake_timeout_ns = s->config.upgrade_timeout_ns,
    };
    tern_err err = tern_webrtc_new(&options, now, &transport);
    tern_certificate_fini(&certificate);
    if (err == TERN_OK)
        transports_add(s, &transport, TERN_TRANSPORT_BIT(TERN_TRANSPORT_WEBRTC));
    return err;
}

tern_err tern_transports_need(struct tern_swarm *s, tern_time now, enum tern_transport transport)
{
    if (!tern_transport_on_udp(transport) || s->sessions.dialers[transport].ops != NULL)
        return TERN_OK;
    if (transport == TERN_TRANSPORT_WEBRTC)
        return transports_make_webrtc(s, now);
    TERN_CHECK(TRANSPORTS_OF_QUIC & TERN_TRANSPORT_BIT(transport));
    return transports_make_quic(s, now);
}

void tern_transports_wall(struct tern_swarm *s, tern_time now, tern_wall_time wall)
{
    const struct tern_session_transport *web = &s->sessions.dialers[TERN_TRANSPORT_WEBTRANSPORT];
    const struct tern_session_transport *quic = &s->sessions.dialers[TERN_TRANSPORT_QUIC];
    if (web->ops != NULL)
        tern_webtransport_set_wall(web, now, wall);
    else if (quic->ops != NULL)
        tern_quic_set_wall(quic, now, wall);
    tern_transports_look(s);
}

void tern_transports_look(struct tern_swarm *s)
{
    struct tern_webtransport_certhashes certhashes;
    const struct tern_session_transport *web = &s->sessions.dialers[TERN_TRANSPORT_WEBTRANSPORT];
    if (web->ops == NULL)
        return;
    tern_webtransport_certhashes(web, &certhashes);
    if (certhashes.version == s->sessions.certhashes_version)
        return;
    s->sessions.certhashes_version = certhashes.version;
    s->addresses_changed = true;
}

static void transports_append_hash(struct tern_multiaddr *address, struct tern_view hash)
{
    tern_err err = tern_multiaddr_append(address, TERN_MULTIADDR_CERTHASH, hash);
    TERN_CHECK(err == TERN_OK); /* behind an IP, port and names there is room */
}

void tern_transports_certhashes(const struct tern_swarm *s, enum tern_transport transport,
                                struct tern_multiaddr *address)
{
    struct tern_webtransport_certhashes web;
    uint8_t hash[TERN_WEBRTC_CERTHASH_SIZE];
    const struct tern_session_transport *hub = &s->sessions.dialers[transport];
    if (hub->ops == NULL)
        return;
    if (transport == TERN_TRANSPORT_WEBRTC) {
        tern_webrtc_certhash(hub, hash);
        transports_append_hash(address, tern_view_of(hash, sizeof hash));
    }
    if (transport != TERN_TRANSPORT_WEBTRANSPORT)
        return;
    tern_webtransport_certhashes(hub, &web);
    for (size_t i = 0; web.version > 0 && i < TERN_WEBTRANSPORT_CERTHASHES; i++)
        transports_append_hash(address,
                               tern_view_of(web.multihashes[i], TERN_WEBTRANSPORT_CERTHASH_SIZE));
}

void tern_transports_fini(struct tern_swarm *s)
{
    for (uint32_t i = 0; i < s->sessions.hubs_count; i++)
        s->sessions.hubs[i].transport.ops->fini(s->sessions.hubs[i].transport.self);
    s->sessions.hubs_count = 0;
    if (s->sessions.quic_identity != NULL)
        tern_quic_identity_free(s->sessions.quic_identity);
}
