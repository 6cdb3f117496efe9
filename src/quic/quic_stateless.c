/*
 * Answers without a session. All of them are bounded in rate and no larger than what they answer.
 */
#include <ngtcp2/ngtcp2_crypto.h>

#include "quic/quic_internal.h"

#define STATELESS_INTERVAL TERN_MILLISECOND
#define SECRET_AGE         TERN_HOUR
#define RETRY_AGE          (10 * TERN_SECOND)

enum {
    STATELESS_BURST = 256,
    STATELESS_SIZE_MAX = 256,
    RESET_SIZE_MIN = 21, /* below that it would not pass for a packet */
    RESET_SIZE_MAX = 43,
    /* A version that no one has: those who ask are to pass over it (RFC 9000, section 15). */
    VERSION_GREASE = 0x1a2a3a4a,
};

static bool stateless_allowed(struct quic *quic)
{
    return tern_mux_bucket_take(&quic->stateless, quic->now, STATELESS_BURST, STATELESS_INTERVAL);
}

/* --- secrets --- */

void quic_secret_init(struct quic *quic, struct quic_secret *secret)
{
    secret->born_at = quic->now;
    tern_random_bytes(quic->options.random, secret->now, sizeof secret->now);
    tern_random_bytes(quic->options.random, secret->before, sizeof secret->before);
}

static void secret_age(struct quic *quic, struct quic_secret *secret)
{
    if (tern_time_since(quic->now, secret->born_at) < SECRET_AGE)
        return;
    memcpy(secret->before, secret->now, sizeof secret->before);
    tern_random_bytes(quic->options.random, secret->now, sizeof secret->now);
    secret->born_at = quic->now;
}

void quic_reset_token(const struct quic *quic, struct tern_view cid,
                      uint8_t token[QUIC_RESET_TOKEN_SIZE])
{
    uint8_t mac[TERN_SHA256_SIZE];
    tern_hmac_sha256(tern_view_of(quic->reset_secret, sizeof quic->reset_secret), cid, mac);
    memcpy(token, mac, QUIC_RESET_TOKEN_SIZE);
}

/* --- answers --- */

void quic_answer_version(struct quic *quic, const struct quic_stranger *from,
                         const ngtcp2_version_cid *ids)
{
    static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1, VERSION_GREASE};
    uint8_t packet[STATELESS_SIZE_MAX * 3];
    if (from->datagram.size < TERN_QUIC_DATAGRAM_MIN || !stateless_allowed(quic))
        return;
    uint8_t unused = (uint8_t)tern_random_u64(quic->options.random);
    ngtcp2_ssize size = ngtcp2_pkt_write_version_negotiation(
        packet, sizeof packet, unused, ids->scid, ids->scidlen, ids->dcid, ids->dcidlen, versions,
        TERN_COUNT_OF(versions));
    if (size > 0)
        quic_outbox(quic, from->socket, from->path, 0, tern_view_of(packet, (size_t)size));
}

void quic_answer_reset(struct quic *quic, const struct quic_stranger *from, struct tern_view cid)
{
    uint8_t packet[RESET_SIZE_MAX];
    uint8_t noise[RESET_SIZE_MAX];
    uint8_t token[QUIC_RESET_TOKEN_SIZE];
    size_t size = tern_min_size(from->datagram.size - 1, RESET_SIZE_MAX);
    if (from->datagram.size == 0 || size < RESET_SIZE_MIN || cid.size == 0 ||
        !stateless_allowed(quic))
        return;
    quic_reset_token(quic, cid, token);
    tern_random_bytes(quic->options.random, noise, sizeof noise);
    ngtcp2_ssize written =
        ngtcp2_pkt_write_stateless_reset(packet, size, token, noise, size - QUIC_RESET_TOKEN_SIZE);
    if (written > 0)
        quic_outbox(quic, from->socket, from->path, 0, tern_view_of(packet, (size_t)written));
}

void quic_answer_close(struct quic *quic, const struct quic_offer *offer, uint64_t code)
{
    uint8_t packet[STATELESS_SIZE_MAX];
    if (!stateless_allowed(quic))
        return;
    ngtcp2_ssize size = ngtcp2_crypto_write_connection_close(
        packet, sizeof packet, NGTCP2_PROTO_VER_V1, &offer->scid, &offer->dcid, code, NULL, 0);
    if (size > 0)
        quic_outbox(quic, offer->socket, &offer->path, 0, tern_view_of(packet, (size_t)size));
}

void quic_answer_retry(struct quic *quic, const struct quic_offer *offer)
{
    uint8_t packet[STATELESS_SIZE_MAX];
    uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2];
    ngtcp2_path_storage path;
    ngtcp2_cid scid;
    if (!stateless_allowed(quic))
        return;
    secret_age(quic, &quic->retry);
    tern_quic_path_set(&path, offer->socket, &offer->path.local, &offer->path.remote);
    quic_draw_cid(quic, &scid);
    ngtcp2_ssize token_size = ngtcp2_crypto_generate_retry_token2(
        token, quic->retry.now, sizeof quic->retry.now, NGTCP2_PROTO_VER_V1, path.path.remote.addr,
        path.path.remote.addrlen, &scid, &offer->dcid, quic->now);
    if (token_size <= 0)
        return;
    ngtcp2_ssize size =
        ngtcp2_crypto_write_retry(packet, sizeof packet, NGTCP2_PROTO_VER_V1, &offer->scid, &scid,
                                  &offer->dcid, token, (size_t)token_size);
    if (size > 0)
        quic_outbox(quic, offer->socket, &offer->path, 0, tern_view_of(packet, (size_t)size));
}

/* --- tokens --- */

static bool token_of_retry(struct quic *quic, struct quic_offer *offer, const ngtcp2_path *path,
                           struct tern_view token)
{
    secret_age(quic, &quic->retry);
    const uint8_t *const secrets[] = {quic->retry.now, quic->retry.before};
    for (size_t i = 0; i < TERN_COUNT_OF(secrets); i++) {
        if (ngtcp2_crypto_verify_retry_token2(&offer->original_dcid, token.data, token.size,
                                              secrets[i], QUIC_SECRET_SIZE, NGTCP2_PROTO_VER_V1,
                                              path->remote.addr, path->remote.addrlen, &offer->dcid,
                                              RETRY_AGE, quic->now) == 0)
            return true;
    }
    offer->original_dcid.datalen = 0;
    return false;
}

static bool token_of_session(struct quic *quic, const ngtcp2_path *path, struct tern_view token)
{
    secret_age(quic, &quic->token);
    const uint8_t *const secrets[] = {quic->token.now, quic->token.before};
    for (size_t i = 0; i < TERN_COUNT_OF(secrets); i++) {
        if (ngtcp2_crypto_verify_regular_token(token.data, token.size, secrets[i], QUIC_SECRET_SIZE,
                                               path->remote.addr, path->remote.addrlen,
                                               2 * SECRET_AGE, quic->now) == 0)
            return true;
    }
    return false;
}

bool quic_check_token(struct quic *quic, struct quic_offer *offer, struct tern_view token)
{
    ngtcp2_path_storage path;
    offer->token_type = NGTCP2_TOKEN_TYPE_UNKNOWN;
    if (token.size == 0 || token.size > sizeof offer->token)
        return true; /* there is none, or it is not ours */
    tern_quic_path_set(&path, offer->socket, &offer->path.local, &offer->path.remote);
    bool retry = token.data[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2;
    if (retry) {
        if (!token_of_retry(quic, offer, &path.path, token))
            return false;
        offer->token_type = NGTCP2_TOKEN_TYPE_RETRY;
    } else if (token.data[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR &&
               token_of_session(quic, &path.path, token)) {
        offer->token_type = NGTCP2_TOKEN_TYPE_NEW_TOKEN;
    } else {
        return true;
    }
    offer->validated = true;
    memcpy(offer->token, token.data, token.size);
    offer->token_size = token.size;
    return true;
}

bool quic_new_token(struct quic *quic, const ngtcp2_path *path, struct tern_writer *out)
{
    uint8_t token[NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN];
    secret_age(quic, &quic->token);
    ngtcp2_ssize size =
        ngtcp2_crypto_generate_regular_token(token, quic->token.now, sizeof quic->token.now,
                                             path->remote.addr, path->remote.addrlen, quic->now);
    if (size <= 0)
        return false;
    tern_writer_bytes(out, tern_view_of(token, (size_t)size));
    return tern_writer_ok(out);
}
