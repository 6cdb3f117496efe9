/*
 * What ngtcp2 and TLS tell of a session. These are called from inside of them, so nothing here ends
 * the session: an error is returned, and whoever called in acts on it.
 */
#include <ngtcp2/ngtcp2_crypto.h>

#include "quic/quic_internal.h"
#include "quic/quic_partial_reset.h"

/* TLS alert unexpected_message. */
enum { ALERT_UNEXPECTED_MESSAGE = 10 };

/* --- TLS --- */

/* events_identify takes the key that the remote has proven to have. */
static tern_err events_identify(struct tern_quic_conn *conn, struct tern_public_key *key)
{
    struct tern_peer_id peer;
    tern_public_key_peer_id(key, &peer);
    if (conn->expected != NULL && !tern_peer_id_equal(conn->expected, &peer)) {
        tern_public_key_fini(key);
        conn->tls_fault = TERN_FAULT_QUIC_WRONG_PEER;
        return TERN_ERR_PEER_MISMATCH;
    }
    if (conn->key_set)
        tern_public_key_fini(&conn->key);
    conn->key = *key;
    conn->key_set = true;
    conn->peer = peer;
    return TERN_OK;
}

/* events_certificate_web holds a certificate to the hashes that the dialler has. */
static tern_err events_certificate_web(struct tern_quic_conn *conn, struct tern_view der)
{
    struct tern_view views[QUIC_HASHES_MAX];
    size_t count = tern_quic_conn_certhashes(conn, views, TERN_COUNT_OF(views));
    const struct tern_certificate_hashes hashes = {.multihashes = views, .count = count};
    return tern_certificate_check_web(der, quic_wall(conn->quic), &hashes, &conn->tls_fault);
}

static tern_err events_certificate(void *self, struct tern_view der)
{
    struct tern_quic_conn *conn = self;
    struct tern_public_key key;
    if (conn->alpn == QUIC_ALPN_H3) {
        conn->tls_error = events_certificate_web(conn, der);
        return conn->tls_error;
    }
    conn->tls_error = tern_certificate_check(der, quic_wall(conn->quic), &key, &conn->tls_fault);
    if (conn->tls_error == TERN_OK)
        conn->tls_error = events_identify(conn, &key);
    return conn->tls_error;
}

static void events_refused(void *self, tern_fault fault)
{
    struct tern_quic_conn *conn = self;
    conn->tls_error = TERN_ERR_PROTOCOL;
    conn->tls_fault = fault;
}

static int events_chosen(void *self, enum quic_alpn alpn)
{
    struct tern_quic_conn *conn = self;
    conn->alpn = alpn;
    return quic_conn_chosen(conn);
}

static void events_ticket(void *self)
{
    struct tern_quic_conn *conn = self;
    conn->ticket_came = true;
}

struct quic_tls_owner quic_tls_owner_of(struct tern_quic_conn *conn)
{
    return (struct quic_tls_owner){.self = conn,
                                   .certificate = events_certificate,
                                   .refused = events_refused,
                                   .chosen = events_chosen,
                                   .ticket = events_ticket};
}

/* --- handshake --- */

static void events_established(struct tern_quic_conn *conn)
{
    if (conn->established)
        return;
    conn->established = true;
    conn->news |= QUIC_NEWS_ESTABLISHED;
}

/* events_judge holds the remote's certificate to libp2p's rules, where they are asked for. An error
 * of ngtcp2's. */
static int events_judge(struct tern_quic_conn *conn)
{
    if (conn->server && conn->alpn != QUIC_ALPN_LIBP2P)
        return 0; /* it was not asked for one */
    tern_err err = quic_tls_judge(conn->tls);
    if (err == TERN_ERR_NOT_FOUND)
        events_refused(conn, TERN_FAULT_QUIC_NO_CERTIFICATE);
    return err == TERN_OK ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int events_crypto(ngtcp2_conn *ng, ngtcp2_encryption_level level, uint64_t offset,
                         const uint8_t *data, size_t size, void *user_data)
{
    struct tern_quic_conn *conn = user_data;
    (void)offset;
    if (conn->tls == NULL && !conn->server)
        return 0; /* a ticket too many */
    conn->crypto_bytes += size;
    if (conn->crypto_bytes > QUIC_CRYPTO_MAX) {
        events_refused(conn, TERN_FAULT_QUIC_CRYPTO_BUFFER);
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    if (conn->tls == NULL) {
        ngtcp2_conn_set_tls_alert(ng, ALERT_UNEXPECTED_MESSAGE);
        return NGTCP2_ERR_CRYPTO;
    }
    int code = quic_tls_read(conn->tls, level, tern_view_of(data, size));
    if (code != 0)
        return code;
    /* With early data the remote is who the ticket says; that it is there now shows later. */
    if (conn->server && conn->early && !conn->established) {
        code = events_judge(conn);
        if (code == 0)
            events_established(conn);
    }
    return code;
}

/* events_client_initial: a dial begins. TLS must have given its first message: without it ngtcp2
 * would begin again. */
static int events_client_initial(ngtcp2_conn *ng, void *user_data)
{
    int code = ngtcp2_crypto_client_initial_cb(ng, user_data);
    return code == 0 && ngtcp2_conn_get_tls_error(ng) == 0 ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int events_rx_key(ngtcp2_conn *ng, ngtcp2_encryption_level level, void *user_data)
{
    struct tern_quic_conn *conn = user_data;
    (void)ng;
    if (level == NGTCP2_ENCRYPTION_LEVEL_0RTT)
        conn->early = true;
    return 0;
}

static void events_confirmed(struct tern_quic_conn *conn)
{
    events_established(conn);
    conn->confirmed = true;
    conn->news |= QUIC_NEWS_CONFIRMED;
    if (conn->half_open)
        conn->quic->half_open_count--;
    conn->half_open = false;
    quic_streams_update(conn);
}

/* events_give_token gives a remote a token for its address. */
static int events_give_token(struct tern_quic_conn *conn, const ngtcp2_path *path)
{
    uint8_t token[QUIC_TICKET_TOKEN_MAX];
    struct tern_writer out = tern_writer_of(token, sizeof token);
    if (!quic_new_token(conn->quic, path, &out))
        return 0;
    int code = ngtcp2_conn_submit_new_token(conn->ng, token, out.size);
    return code == 0 ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int events_completed_server(struct tern_quic_conn *conn)
{
    int code = events_judge(conn);
    if (code != 0)
        return code;
    if (conn->alpn == QUIC_ALPN_LIBP2P)
        quic_tls_send_ticket(conn->tls);
    code = events_give_token(conn, ngtcp2_conn_get_path(conn->ng));
    if (code == 0)
        events_confirmed(conn);
    return code;
}

static int events_completed_client(struct tern_quic_conn *conn)
{
    if (!quic_tls_spoken(conn->tls, conn->alpn)) {
        conn->tls_error = TERN_ERR_NO_PROTOCOL;
        conn->tls_fault = TERN_FAULT_QUIC_NO_ALPN;
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    if (conn->early && !quic_tls_early(conn->tls)) {
        conn->early = false;
        int code = ngtcp2_conn_tls_early_data_rejected(conn->ng);
        if (code != 0)
            return code;
    }
    int code = quic_tls_resumed(conn->tls) ? 0 : events_judge(conn);
    if (code == 0)
        events_confirmed(conn);
    return code;
}

static int events_completed(ngtcp2_conn *ng, void *user_data)
{
    struct tern_quic_conn *conn = user_data;
    (void)ng;
    return conn->server ? events_completed_server(conn) : events_completed_client(conn);
}

static int events_early_rejected(ngtcp2_conn *ng, void *user_data)
{
    (void)ng;
    quic_streams_again(user_data);
    return 0;
}

static int events_new_token(ngtcp2_conn *ng, const uint8_t *token, size_t size, void *user_data)
{
    struct tern_quic_conn *conn = user_data;
    (void)ng;
    if (!conn->key_set)
        return 0;
    const struct quic_ticket_news news = {
        .peer = &conn->peer, .key = &conn->key, .token = tern_view_of(token, size)};
    quic_tickets_put(&conn->quic->tickets, &news);
    return 0;
}

/* --- ids, paths, keys --- */

static void events_random(uint8_t *to, size_t size, const ngtcp2_rand_ctx *context)
{
    tern_random_bytes(context->native_handle, to, size);
}

static int events_challenge(ngtcp2_conn *ng, uint8_t *data, void *user_data)
{
    struct tern_quic_conn *conn = user_data;
    (void)ng;
    tern_random_bytes(conn->quic->options.random, data, NGTCP2_PATH_CHALLENGE_DATALEN);
    return 0;
}

static int events_new_cid(ngtcp2_conn *ng, ngtcp2_cid *cid, uint8_t *token, size_t size,
                          void *user_data)
{
    struct tern_quic_conn *conn = user_data;
    struct quic *quic = conn->quic;
    (void)ng;
    (void)size;
    quic_draw_cid(quic, cid);
    quic_reset_token(quic, quic_cid_view(cid), token);
    tern_err err = quic_route_add_cid(&quic->routes, &conn->route, quic_cid_view(cid));
    return err == TERN_OK ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int events_old_cid(ngtcp2_conn *ng, const ngtcp2_cid *cid, void *user_data)
{
    struct tern_quic_conn *conn = user_data;
    (void)ng;
    quic_route_remove_cid(&conn->quic->routes, &conn->route, quic_cid_view(cid));
    return 0;
}

/* events_remote_cid: an id of the remote's is used, or no more; its token tells a stateless reset.
 */
static int events_remote_cid(ngtcp2_conn *ng, ngtcp2_connection_id_status_type type, uint64_t seq,
                             const ngtcp2_cid *cid, const uint8_t *token, void *user_data)
{
    struct tern_quic_conn *conn = user_data;
    struct quic_routes *routes = &conn->quic->routes;
    struct tern_view view = tern_view_of(token, QUIC_RESET_TOKEN_SIZE);
    (void)ng;
    (void)seq;
    (void)cid;
    if (token == NULL)
        return 0;
    if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_DEACTIVATE) {
        quic_route_remove_token(routes, &conn->route, view);
        return 0;
    }
    /* Without it a remote that has lost the session is found out by its silence. */
    TERN_IGNORE(quic_route_add_token(routes, &conn->route, view));
    return 0;
}

static int events_path(ngtcp2_conn *ng, uint32_t flags, const ngtcp2_path *path,
                       const ngtcp2_path *old_path, ngtcp2_path_validation_result result,
                       void *user_data)
{
    (void)ng;
    (void)old_path;
    if (result != NGTCP2_PATH_VALIDATION_RESULT_SUCCESS ||
        !(flags & NGTCP2_PATH_VALIDATION_FLAG_NEW_TOKEN))
        return 0;
    return events_give_token(user_data, path);
}

static int events_was_reset(ngtcp2_conn *ng, const ngtcp2_pkt_stateless_reset *reset,
                            void *user_data)
{
    struct tern_quic_conn *conn = user_data;
    (void)ng;
    (void)reset;
    conn->was_reset = true;
    return 0;
}

static int events_version(ngtcp2_conn *ng, const ngtcp2_pkt_hd *header, const uint32_t *versions,
                          size_t count, void *user_data)
{
    (void)ng;
    (void)header;
    (void)versions;
    (void)count;
    (void)user_data;
    return 0; /* the call that received it fails */
}

static int events_new_keys(ngtcp2_conn *ng, uint8_t *rx_secret, uint8_t *tx_secret,
                           ngtcp2_crypto_aead_ctx *rx_aead, uint8_t *rx_iv,
                           ngtcp2_crypto_aead_ctx *tx_aead, uint8_t *tx_iv, const uint8_t *rx_now,
                           const uint8_t *tx_now, size_t size, void *user_data)
{
    struct tern_quic_conn *conn = user_data;
    conn->key_changes++;
    return ngtcp2_crypto_update_key_cb(ng, rx_secret, tx_secret, rx_aead, rx_iv, tx_aead, tx_iv,
                                       rx_now, tx_now, size, user_data);
}

/* events_decrypt opens a packet, and makes its frames such as ngtcp2 knows. */
static int events_decrypt(uint8_t *to, const ngtcp2_crypto_aead *aead,
                          const ngtcp2_crypto_aead_ctx *context, const uint8_t *from, size_t size,
                          const uint8_t *nonce, size_t nonce_size, const uint8_t *header,
                          size_t header_size)
{
    int code = ngtcp2_crypto_decrypt_cb(to, aead, context, from, size, nonce, nonce_size, header,
                                        header_size);
    bool is_long = header_size > 0 && (header[0] & 0x80) != 0;
    if (code == 0 && !is_long)
        quic_partial_reset_rewrite(to, size - aead->max_overhead);
    return code;
}

/* --- streams --- */

static int events_opened(ngtcp2_conn *ng, int64_t wire, void *user_data)
{
    (void)ng;
    return quic_stream_accept(user_data, wire);
}

static int events_data(ngtcp2_conn *ng, uint32_t flags, int64_t wire, uint64_t offset,
                       const uint8_t *data, size_t size, void *user_data, void *stream)
{
    (void)ng;
    (void)wire;
    (void)offset;
    return quic_stream_data(user_data, stream, tern_view_of(data, size), flags);
}

static int events_acked(ngtcp2_conn *ng, int64_t wire, uint64_t offset, uint64_t size,
                        void *user_data, void *stream)
{
    (void)ng;
    (void)wire;
    (void)offset;
    if (stream != NULL)
        quic_stream_acked(user_data, stream, (size_t)size);
    return 0;
}

static int events_remote_reset(ngtcp2_conn *ng, int64_t wire, uint64_t final_size, uint64_t code,
                               void *user_data, void *stream)
{
    (void)ng;
    (void)wire;
    (void)final_size;
    return stream == NULL ? 0 : quic_stream_remote_reset(user_data, stream, code);
}

static int events_closed(ngtcp2_conn *ng, uint32_t flags, int64_t wire, uint64_t code,
                         void *user_data, void *stream)
{
    bool has_code = (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0;
    (void)ng;
    return quic_stream_closed(user_data, stream, wire, has_code ? code : QUIC_CODE_NONE);
}

static int events_unblocked(ngtcp2_conn *ng, int64_t wire, uint64_t limit, void *user_data,
                            void *stream)
{
    (void)ng;
    (void)wire;
    (void)limit;
    if (stream != NULL)
        quic_stream_update(user_data, stream);
    return 0;
}

static int events_more_streams(ngtcp2_conn *ng, uint64_t limit, void *user_data)
{
    (void)ng;
    (void)limit;
    quic_streams_update(user_data);
    return 0;
}

#define EVENTS_OF_BOTH                                                                             \
    .recv_crypto_data = events_crypto, .handshake_completed = events_completed,                    \
    .recv_version_negotiation = events_version, .encrypt = ngtcp2_crypto_encrypt_cb,               \
    .decrypt = events_decrypt, .hp_mask = ngtcp2_crypto_hp_mask_cb,                                \
    .recv_stream_data = events_data, .acked_stream_data_offset = events_acked,                     \
    .stream_open = events_opened, .stream_close = events_closed,                                   \
    .recv_stateless_reset = events_was_reset,                                                      \
    .extend_max_local_streams_bidi = events_more_streams,                                          \
    .extend_max_local_streams_uni = events_more_streams, .rand = events_random,                    \
    .get_new_connection_id = events_new_cid, .remove_connection_id = events_old_cid,               \
    .update_key = events_new_keys, .path_validation = events_path,                                 \
    .stream_reset = events_remote_reset, .extend_max_stream_data = events_unblocked,               \
    .dcid_status = events_remote_cid, .recv_new_token = events_new_token,                          \
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,                             \
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,                         \
    .get_path_challenge_data = events_challenge,                                                   \
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb, .recv_rx_key = events_rx_key,     \
    .tls_early_data_rejected = events_early_rejected

const ngtcp2_callbacks quic_client_callbacks = {
    EVENTS_OF_BOTH,
    .client_initial = events_client_initial,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
};

const ngtcp2_callbacks quic_server_callbacks = {
    EVENTS_OF_BOTH,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
};
