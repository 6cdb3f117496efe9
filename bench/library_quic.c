/*
 * A client and a server of ngtcp2 with a session of GnuTLS each, tied together by ngtcp2's own glue
 * and callbacks. What one has to say is handed to the other datagram by datagram:
 *
 *     client                                        server
 *     Initial: ClientHello                  ─────►  made by the first packet
 *                                           ◄─────  Initial, Handshake: ServerHello … Finished
 *     Handshake: Certificate … Finished     ─────►  handshake completed, and so confirmed
 *                                           ◄─────  HANDSHAKE_DONE
 *     confirmed
 */
#include <gnutls/crypto.h>
#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include "base/check.h"
#include "library.h"
#include "quic/quic.h"
#include "quic/quic_route.h"

enum {
    QUIC_TURNS_MAX = 16,
    QUIC_CIDS_MAX = 4, /* that the other end may give, as in quic/quic_conn.c */
    QUIC_CLIENT_PORT = 1,
    QUIC_SERVER_PORT = 2,
};

/* That of quic/tls_gnutls.c. */
static const char quic_priority[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:" TERN_GNUTLS_SIGNATURES
    "%SERVER_PRECEDENCE:%DISABLE_TLS13_COMPAT_MODE";

struct quic_end {
    struct library *library;
    ngtcp2_conn *ng; /* a server's: NULL before the first packet */
    gnutls_session_t session;
    ngtcp2_crypto_conn_ref ref;
    struct sockaddr_in local;
    struct sockaddr_in remote;
    ngtcp2_path path;
    bool server;
    bool confirmed;
    bool token; /* a client's: it has come */
};

static bool end_resumable(const struct quic_end *end)
{
    return end->library->of == LIBRARY_QUIC_RESUMABLE;
}

/* --- what ngtcp2 asks for and tells --- */

static ngtcp2_conn *end_conn(ngtcp2_crypto_conn_ref *ref)
{
    const struct quic_end *end = ref->user_data;
    return end->ng;
}

static void quic_draw(void *to, size_t size)
{
    TERN_CHECK(gnutls_rnd(GNUTLS_RND_RANDOM, to, size) == 0);
}

static void quic_random(uint8_t *to, size_t size, const ngtcp2_rand_ctx *context)
{
    (void)context;
    quic_draw(to, size);
}

static int end_new_cid(ngtcp2_conn *ng, ngtcp2_cid *cid, uint8_t *token, size_t size, void *self)
{
    (void)ng;
    (void)self;
    cid->datalen = size;
    quic_draw(cid->data, size);
    quic_draw(token, NGTCP2_STATELESS_RESET_TOKENLEN);
    return 0;
}

/* end_give gives the client a ticket and a token. */
static void end_give(struct quic_end *end)
{
    uint8_t token[NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN];
    struct library *l = end->library;
    TERN_CHECK(gnutls_session_ticket_send(end->session, 1, 0) == 0);
    ngtcp2_ssize size = ngtcp2_crypto_generate_regular_token(
        token, l->token_secret, sizeof l->token_secret, end->path.remote.addr,
        end->path.remote.addrlen, l->now);
    TERN_CHECK(size > 0 && ngtcp2_conn_submit_new_token(end->ng, token, (size_t)size) == 0);
}

static int end_completed(ngtcp2_conn *ng, void *self)
{
    struct quic_end *end = self;
    gnutls_datum_t alpn;
    (void)ng;
    TERN_CHECK(gnutls_alpn_get_selected_protocol(end->session, &alpn) == 0);
    library_check(end->session);
    end->confirmed = end->server;
    if (end->server && end_resumable(end))
        end_give(end);
    return 0;
}

static int end_confirmed(ngtcp2_conn *ng, void *self)
{
    struct quic_end *end = self;
    (void)ng;
    end->confirmed = true;
    return 0;
}

static int end_new_token(ngtcp2_conn *ng, const uint8_t *token, size_t size, void *self)
{
    struct quic_end *end = self;
    (void)ng;
    (void)token;
    (void)size;
    end->token = true;
    return 0;
}

static const ngtcp2_callbacks quic_callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .handshake_completed = end_completed,
    .handshake_confirmed = end_confirmed,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .rand = quic_random,
    .get_new_connection_id = end_new_cid,
    .update_key = ngtcp2_crypto_update_key_cb,
    .recv_new_token = end_new_token,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};

/* --- two ends --- */

static void end_set_address(struct sockaddr_in *address, uint16_t port)
{
    *address = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

static void end_init(struct quic_end *end, struct library *l, bool server)
{
    *end = (struct quic_end){.library = l, .server = server};
    end_set_address(&end->local, server ? QUIC_SERVER_PORT : QUIC_CLIENT_PORT);
    end_set_address(&end->remote, server ? QUIC_CLIENT_PORT : QUIC_SERVER_PORT);
    end->path = (ngtcp2_path){
        .local = {.addr = (ngtcp2_sockaddr *)&end->local, .addrlen = sizeof end->local},
        .remote = {.addr = (ngtcp2_sockaddr *)&end->remote, .addrlen = sizeof end->remote}};
    end->ref = (ngtcp2_crypto_conn_ref){.get_conn = end_conn, .user_data = end};
}

static void quic_plan(const struct library *l, ngtcp2_settings *settings,
                      ngtcp2_transport_params *params)
{
    ngtcp2_settings_default(settings);
    settings->initial_ts = l->now;
    settings->no_pmtud = 1;
    ngtcp2_transport_params_default(params);
    params->initial_max_stream_data_bidi_local = TERN_QUIC_STREAM_WINDOW_INITIAL;
    params->initial_max_stream_data_bidi_remote = TERN_QUIC_STREAM_WINDOW_INITIAL;
    params->initial_max_stream_data_uni = TERN_QUIC_STREAM_WINDOW_INITIAL;
    params->initial_max_data = TERN_QUIC_WINDOW_INITIAL;
    params->initial_max_streams_bidi = TERN_QUIC_STREAMS_DEFAULT;
    params->max_idle_timeout = 30 * TERN_SECOND;
    params->active_connection_id_limit = QUIC_CIDS_MAX;
}

/* The flags are those of quic/tls_gnutls.c, with tickets or without. */
static unsigned end_flags(const struct quic_end *end)
{
    unsigned flags = end->server ? GNUTLS_SERVER : GNUTLS_CLIENT;
    flags |= GNUTLS_NO_END_OF_EARLY_DATA | GNUTLS_NO_AUTO_SEND_TICKET | GNUTLS_KEY_SHARE_TOP |
             GNUTLS_FORCE_CLIENT_CERT;
    return flags | (end_resumable(end) ? GNUTLS_ENABLE_EARLY_DATA
                                       : GNUTLS_NO_TICKETS | GNUTLS_NO_EXTENSIONS);
}

static void end_permit_tickets(const struct quic_end *end)
{
    TERN_CHECK(gnutls_session_ticket_enable_server(end->session, &end->library->ticket_key) == 0 &&
               gnutls_record_set_max_early_data_size(end->session, UINT32_MAX) == 0);
}

static void end_open_tls(struct quic_end *end)
{
    struct library *l = end->library;
    TERN_CHECK(gnutls_init(&end->session, end_flags(end)) == 0);
    gnutls_session_set_ptr(end->session, &end->ref);
    TERN_CHECK(gnutls_priority_set(end->session, l->priority) == 0);
    library_set_up(l, end->session, end->server);
    int code = end->server ? ngtcp2_crypto_gnutls_configure_server_session(end->session)
                           : ngtcp2_crypto_gnutls_configure_client_session(end->session);
    TERN_CHECK(code == 0);
    if (end->server && end_resumable(end))
        end_permit_tickets(end);
    ngtcp2_conn_set_tls_native_handle(end->ng, end->session);
}

static void quic_choose_cid(ngtcp2_cid *cid)
{
    cid->datalen = QUIC_CID_SIZE;
    quic_draw(cid->data, cid->datalen);
}

static void end_dial(struct quic_end *end)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid scid;
    ngtcp2_cid dcid;
    quic_plan(end->library, &settings, &params);
    quic_choose_cid(&scid);
    quic_choose_cid(&dcid);
    TERN_CHECK(ngtcp2_conn_client_new(&end->ng, &dcid, &scid, &end->path, NGTCP2_PROTO_VER_V1,
                                      &quic_callbacks, &settings, &params, NULL, end) == 0);
    end_open_tls(end);
}

/* end_accept makes the server by the client's first packet. */
static void end_accept(struct quic_end *end, struct tern_view packet)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_pkt_hd header;
    ngtcp2_cid scid;
    TERN_CHECK(ngtcp2_accept(&header, packet.data, packet.size) == 0);
    quic_plan(end->library, &settings, &params);
    params.original_dcid = header.dcid;
    params.original_dcid_present = 1;
    quic_choose_cid(&scid);
    TERN_CHECK(ngtcp2_conn_server_new(&end->ng, &header.scid, &scid, &end->path, header.version,
                                      &quic_callbacks, &settings, &params, NULL, end) == 0);
    end_open_tls(end);
}

/* end_speak hands all that an end has to say to the other. */
static void end_speak(struct quic_end *from, struct quic_end *to)
{
    uint8_t packet[NGTCP2_MAX_UDP_PAYLOAD_SIZE];
    uint64_t now = from->library->now;
    for (;;) {
        ngtcp2_pkt_info info;
        ngtcp2_ssize size =
            ngtcp2_conn_write_pkt(from->ng, NULL, &info, packet, sizeof packet, now);
        TERN_CHECK(size >= 0);
        if (size == 0)
            return;
        if (to->ng == NULL)
            end_accept(to, tern_view_of(packet, (size_t)size));
        TERN_CHECK(ngtcp2_conn_read_pkt(to->ng, &to->path, &info, packet, (size_t)size, now) == 0);
    }
}

/* client_done: has the client all that it waits for? The server has it earlier. */
static bool client_done(const struct quic_end *client)
{
    if (!client->confirmed || !end_resumable(client))
        return client->confirmed;
    return client->token &&
           (gnutls_session_get_flags(client->session) & GNUTLS_SFLAGS_SESSION_TICKET) != 0;
}

static void client_keep_ticket(const struct quic_end *client)
{
    gnutls_datum_t data;
    TERN_CHECK(gnutls_session_get_data2(client->session, &data) == 0);
    gnutls_free(data.data);
}

void library_quic_handshake(struct library *l)
{
    struct quic_end ends[2];
    for (int i = 0; i < 2; i++)
        end_init(&ends[i], l, i == 1);
    end_dial(&ends[0]);
    for (int turn = 0; !client_done(&ends[0]); turn++) {
        TERN_CHECK(turn < QUIC_TURNS_MAX);
        l->now += TERN_MILLISECOND;
        end_speak(&ends[turn % 2], &ends[1 - turn % 2]);
    }
    TERN_CHECK(ends[1].confirmed);
    if (l->of == LIBRARY_QUIC_RESUMABLE)
        client_keep_ticket(&ends[0]);
    for (int i = 0; i < 2; i++) {
        ngtcp2_conn_del(ends[i].ng);
        gnutls_deinit(ends[i].session);
    }
}

/* --- what is made once --- */

void library_quic_init(struct library *l)
{
    TERN_CHECK(gnutls_priority_init(&l->priority, quic_priority, NULL) == 0 &&
               gnutls_session_ticket_key_generate(&l->ticket_key) == 0);
    quic_draw(l->token_secret, sizeof l->token_secret);
    l->now = TERN_SECOND;
}

void library_quic_fini(struct library *l)
{
    gnutls_free(l->ticket_key.data);
    gnutls_priority_deinit(l->priority);
}
