/*
 * Making a session, dialled or accepted, and freeing it.
 */
#include "quic/quic_internal.h"
#include "wire/multihash.h"

enum {
    CONN_DCID_SIZE = 16, /* of a dialler's first packets */
    CONN_CIDS_MAX = 4,   /* that the remote may give us */
};

/* Sizes to look for, in this order: what passes most paths of 1,500 bytes, then all of it, then
 * what networks of larger frames and this machine pass. */
static const uint16_t conn_probes[] = {1452, 1472, 4052, 8952, 16384, 32768};

/* Everything that a session is made with. */
struct conn_plan {
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_path_storage path;
    ngtcp2_cid scid;
    ngtcp2_cid dcid;
    uint16_t probes[TERN_COUNT_OF(conn_probes)];
};

size_t quic_conn_memory_max(const struct tern_quic_conn *conn)
{
    return QUIC_MEMORY_BASE + conn->window.size + conn->window.size / 4 + conn->unacked / 2;
}

tern_time quic_conn_rtt(const struct tern_quic_conn *conn)
{
    ngtcp2_conn_info info;
    if (conn->ng == NULL)
        return 0;
    ngtcp2_conn_get_conn_info(conn->ng, &info);
    return info.smoothed_rtt;
}

/* --- plans --- */

static void plan_settings(struct quic *quic, struct conn_plan *plan)
{
    const struct tern_quic_options *options = &quic->options;
    ngtcp2_settings *settings = &plan->settings;
    ngtcp2_settings_default(settings);
    settings->cc_algo =
        options->congestion == TERN_QUIC_CUBIC ? NGTCP2_CC_ALGO_CUBIC : NGTCP2_CC_ALGO_BBR;
    settings->initial_ts = quic->now;
    settings->rand_ctx.native_handle = options->random;
    settings->handshake_timeout = options->handshake_timeout_ns;
    settings->max_window = 0; /* windows are ours to size */
    settings->max_stream_window = 0;
    settings->max_tx_udp_payload_size = options->datagram_max;
    size_t count = 0;
    for (size_t i = 0; i < TERN_COUNT_OF(conn_probes); i++)
        if (conn_probes[i] <= options->datagram_max)
            plan->probes[count++] = conn_probes[i];
    settings->pmtud_probes = plan->probes;
    settings->pmtud_probeslen = count;
    settings->no_pmtud = count == 0;
}

static void plan_params(struct quic *quic, struct conn_plan *plan)
{
    const struct tern_quic_options *options = &quic->options;
    ngtcp2_transport_params *params = &plan->params;
    ngtcp2_transport_params_default(params);
    params->initial_max_stream_data_bidi_local = TERN_QUIC_STREAM_WINDOW_INITIAL;
    params->initial_max_stream_data_bidi_remote = TERN_QUIC_STREAM_WINDOW_INITIAL;
    params->initial_max_stream_data_uni = TERN_QUIC_STREAM_WINDOW_INITIAL;
    params->initial_max_data = TERN_QUIC_WINDOW_INITIAL;
    params->initial_max_streams_bidi = options->streams_in_max;
    params->initial_max_streams_uni = 0;
    params->max_idle_timeout = options->idle_timeout_ns;
    params->active_connection_id_limit = CONN_CIDS_MAX;
}

/* --- objects --- */

/* conn_alloc makes the object, without a connection in it. */
static struct tern_quic_conn *conn_alloc(struct quic *quic, struct tern_scope *scope, uint64_t tag)
{
    struct tern_quic_conn *conn = tern_mem_zalloc(quic->mem, sizeof *conn);
    if (conn == NULL)
        return NULL;
    conn->quic = quic;
    conn->scope = scope;
    conn->tag = tag;
    conn->tls_until = TERN_TIME_NEVER;
    conn->tls_owner = quic_tls_owner_of(conn);
    conn->remote = (struct tern_secure_remote){.peer_id = &conn->peer, .public_key = &conn->key};
    conn->front = tern_quic_conn_session(conn);
    quic_route_init(&conn->route, QUIC_ROUTE_CONN);
    tern_list_init(&conn->link);
    tern_list_init(&conn->ready);
    tern_list_init(&conn->active);
    tern_timer_init(&conn->timer);
    const struct tern_mux_streams_options streams = {
        .mem = quic->mem,
        .scope = scope,
        .hash_seed = tern_random_u64(quic->options.random),
        .stream_size = sizeof(struct quic_stream),
        .send_buffer_max = quic->options.send_buffer_max,
    };
    tern_mux_streams_init(&conn->streams, &streams);
    conn->window.size = TERN_QUIC_WINDOW_INITIAL;
    conn->window.tuned_at = quic->now;
    conn->granted = TERN_QUIC_WINDOW_INITIAL;
    quic_mem_init(&conn->ng_mem, quic->mem, quic_conn_memory_max(conn));
    return conn;
}

static void conn_dealloc(struct tern_quic_conn *conn)
{
    struct quic *quic = conn->quic;
    tern_timer_cancel(&quic->timers, &conn->timer);
    tern_list_remove(&conn->ready);
    tern_list_remove(&conn->active);
    tern_list_remove(&conn->link);
    quic_route_clear(&quic->routes, &conn->route);
    quic_tls_free(conn->tls);
    if (conn->ng != NULL)
        ngtcp2_conn_del(conn->ng);
    if (conn->half_open)
        quic->half_open_count--;
    if (conn->key_set)
        tern_public_key_fini(&conn->key);
    tern_mem_free(quic->mem, conn->expected, sizeof *conn->expected);
    tern_mem_free(quic->mem, conn->web, sizeof *conn->web);
    tern_mem_free(quic->mem, conn, sizeof *conn);
}

static tern_err conn_error(int code)
{
    return code == NGTCP2_ERR_NOMEM ? TERN_ERR_MEMORY : TERN_ERR_INTERNAL;
}

/* conn_join makes the session known to the transport: its id, its timer. */
static tern_err conn_join(struct tern_quic_conn *conn, const struct conn_plan *plan)
{
    struct quic *quic = conn->quic;
    conn->socket = tern_quic_path_socket(&plan->path.path);
    TERN_TRY(quic_route_add_cid(&quic->routes, &conn->route, quic_cid_view(&plan->scid)));
    TERN_TRY(tern_timer_set(&quic->timers, &conn->timer, TERN_TIME_NEVER - 1));
    if (quic->options.keep_alive_ns > 0)
        ngtcp2_conn_set_keep_alive_timeout(
            conn->ng, tern_mux_keep_alive(quic->options.keep_alive_ns, !conn->server));
    tern_list_push_back(&quic->conns, &conn->link);
    return TERN_OK;
}

/* --- dialling --- */

/* conn_offer_h3 lets the remote open what HTTP/3 needs beside two-way streams. */
static void conn_offer_h3(ngtcp2_transport_params *params)
{
    params->initial_max_streams_uni = QUIC_ONE_WAY_MAX;
    params->max_datagram_frame_size = UINT16_MAX;
}

int quic_conn_chosen(struct tern_quic_conn *conn)
{
    if (conn->alpn != QUIC_ALPN_H3)
        return 0;
    ngtcp2_transport_params params = *ngtcp2_conn_get_local_transport_params(conn->ng);
    conn_offer_h3(&params);
    return ngtcp2_conn_set_local_transport_params(conn->ng, &params);
}

static tern_err conn_client_tls(struct tern_quic_conn *conn, struct tern_view server_name,
                                const struct quic_ticket *ticket)
{
    struct tern_view data = {.size = 0};
    if (ticket != NULL)
        data = tern_view_of(ticket->data, ticket->data_size);
    const struct quic_tls_options options = {
        .mem = conn->quic->mem,
        .identity = conn->quic->options.identity,
        .ng = conn->ng,
        .owner = &conn->tls_owner,
        .now = &conn->quic->now,
        .alpn = conn->alpn,
        .server_name = server_name,
        .ticket = data,
        .early = true,
    };
    return quic_tls_new(&options, &conn->tls);
}

/* conn_resume uses what is kept of the peer. The session has the identity that the ticket was given
 * for, and is established if early data may go. */
static tern_err conn_resume(struct tern_quic_conn *conn, struct quic_ticket *ticket)
{
    struct quic *quic = conn->quic;
    tern_err err = conn_client_tls(conn, tern_view_of(NULL, 0), ticket);
    if (err == TERN_OK) {
        tern_public_key_copy(&ticket->key, &conn->key);
        conn->key_set = true;
        conn->peer = ticket->peer;
    }
    if (err == TERN_OK && ticket->early &&
        ngtcp2_conn_decode_and_set_0rtt_transport_params(conn->ng, ticket->params,
                                                         ticket->params_size) == 0) {
        conn->early = true;
        conn->established = true;
        conn->news |= QUIC_NEWS_ESTABLISHED;
    }
    quic_tickets_spend(&quic->tickets, ticket);
    return err;
}

static tern_err conn_dial_with(struct tern_quic_conn *conn, const struct tern_session_dial *dial,
                               struct conn_plan *plan)
{
    struct quic *quic = conn->quic;
    struct quic_ticket *ticket = NULL;
    if (conn->expected != NULL && conn->alpn == QUIC_ALPN_LIBP2P)
        ticket = quic_tickets_find(&quic->tickets, quic->now, conn->expected);
    if (ticket != NULL && ticket->token_size > 0) {
        plan->settings.token = ticket->token;
        plan->settings.tokenlen = ticket->token_size;
        plan->settings.token_type = NGTCP2_TOKEN_TYPE_NEW_TOKEN;
    }
    int code = ngtcp2_conn_client_new(&conn->ng, &plan->dcid, &plan->scid, &plan->path.path,
                                      NGTCP2_PROTO_VER_V1, &quic_client_callbacks, &plan->settings,
                                      &plan->params, &conn->ng_mem.allocator, conn);
    if (code != 0) {
        conn->ng = NULL;
        return conn_error(code);
    }
    TERN_TRY(conn_join(conn, plan));
    if (ticket == NULL || ticket->data == NULL)
        return conn_client_tls(conn, dial->server_name, NULL);
    tern_err err = conn_resume(conn, ticket);
    return err == TERN_ERR_CORRUPT ? conn_client_tls(conn, dial->server_name, NULL) : err;
}

/* conn_keep_web keeps the server's name, and of the hashes those of SHA-256, the first few. */
static tern_err conn_keep_web(struct tern_quic_conn *conn, const struct tern_session_dial *dial)
{
    conn->web = tern_mem_zalloc(conn->quic->mem, sizeof *conn->web);
    if (conn->web == NULL)
        return TERN_ERR_MEMORY;
    struct quic_web *web = conn->web;
    if (dial->server_name.size > sizeof web->server_name)
        return TERN_ERR_INVALID;
    tern_copy(web->server_name, dial->server_name.data, dial->server_name.size);
    web->server_name_size = dial->server_name.size;
    for (size_t i = 0; i < dial->certhashes_count && web->hashes_count < QUIC_HASHES_MAX; i++) {
        uint8_t *to = web->multihashes[web->hashes_count];
        const struct tern_view *hash = &dial->certhashes[i];
        if (hash->size != QUIC_HASH_SIZE || hash->data[0] != TERN_MULTIHASH_SHA2_256)
            continue;
        memcpy(to, hash->data, QUIC_HASH_SIZE);
        web->hashes_count++;
    }
    return web->hashes_count == 0 ? TERN_ERR_UNSUPPORTED : TERN_OK;
}

/* conn_keep copies what is needed of a dial behind the call. */
static tern_err conn_keep(struct tern_quic_conn *conn, const struct tern_session_dial *dial)
{
    if (dial->expected_peer != NULL) {
        conn->expected = tern_mem_alloc(conn->quic->mem, sizeof *conn->expected);
        if (conn->expected == NULL)
            return TERN_ERR_MEMORY;
        *conn->expected = *dial->expected_peer;
    }
    if (dial->certhashes_count == 0)
        return TERN_OK;
    conn->alpn = QUIC_ALPN_H3;
    return conn_keep_web(conn, dial);
}

tern_err quic_conn_dial(struct quic *quic, const struct tern_session_dial *dial, uint16_t socket,
                        struct tern_quic_conn **out)
{
    struct conn_plan plan;
    struct tern_quic_conn *conn = conn_alloc(quic, dial->scope, dial->tag);
    if (conn == NULL)
        return TERN_ERR_MEMORY;
    conn->floating = true;
    plan_settings(quic, &plan);
    plan_params(quic, &plan);
    tern_quic_path_set(&plan.path, socket, NULL, &dial->remote);
    quic_draw_cid(quic, &plan.scid);
    uint8_t dcid[CONN_DCID_SIZE];
    tern_random_bytes(quic->options.random, dcid, sizeof dcid);
    ngtcp2_cid_init(&plan.dcid, dcid, sizeof dcid);
    tern_err err = conn_keep(conn, dial);
    if (conn->alpn == QUIC_ALPN_H3)
        conn_offer_h3(&plan.params);
    if (err == TERN_OK)
        err = conn_dial_with(conn, dial, &plan);
    if (err != TERN_OK) {
        conn_dealloc(conn);
        return err;
    }
    quic_conn_wake(conn);
    quic_conn_settle(conn);
    *out = conn;
    return TERN_OK;
}

/* --- accepting --- */

static tern_err conn_server_tls(struct tern_quic_conn *conn)
{
    const struct quic_tls_options options = {
        .mem = conn->quic->mem,
        .identity = conn->quic->options.identity,
        .ng = conn->ng,
        .owner = &conn->tls_owner,
        .server = conn->quic->tls_server,
        .now = &conn->quic->now,
        .early = !conn->quic->options.refuse_early,
    };
    return quic_tls_new(&options, &conn->tls);
}

static void plan_accept(struct quic *quic, struct conn_plan *plan, const struct quic_offer *offer)
{
    plan_settings(quic, plan);
    plan_params(quic, plan);
    tern_quic_path_set(&plan->path, offer->socket, &offer->path.local, &offer->path.remote);
    quic_draw_cid(quic, &plan->scid);
    plan->dcid = offer->scid;
    plan->params.original_dcid = offer->dcid;
    plan->params.original_dcid_present = 1;
    if (offer->token_type == NGTCP2_TOKEN_TYPE_RETRY) {
        plan->params.original_dcid = offer->original_dcid;
        plan->params.retry_scid = offer->dcid;
        plan->params.retry_scid_present = 1;
    }
    plan->params.stateless_reset_token_present = 1;
    quic_reset_token(quic, quic_cid_view(&plan->scid), plan->params.stateless_reset_token);
    if (offer->validated) {
        plan->settings.token = offer->token;
        plan->settings.tokenlen = offer->token_size;
        plan->settings.token_type = offer->token_type;
    }
}

static tern_err conn_accept_with(struct tern_quic_conn *conn, struct conn_plan *plan,
                                 const struct quic_offer *offer)
{
    struct quic *quic = conn->quic;
    int code = ngtcp2_conn_server_new(&conn->ng, &plan->dcid, &plan->scid, &plan->path.path,
                                      NGTCP2_PROTO_VER_V1, &quic_server_callbacks, &plan->settings,
                                      &plan->params, &conn->ng_mem.allocator, conn);
    if (code != 0) {
        conn->ng = NULL;
        return conn_error(code);
    }
    TERN_TRY(conn_join(conn, plan));
    TERN_TRY(quic_route_add_cid(&quic->routes, &conn->route, quic_cid_view(&offer->dcid)));
    return conn_server_tls(conn);
}

tern_err quic_conn_accept(struct quic *quic, const struct quic_offer *offer,
                          struct tern_scope *scope, uint64_t tag, struct tern_quic_conn **out)
{
    struct conn_plan plan;
    struct tern_quic_conn *conn = conn_alloc(quic, scope, tag);
    if (conn == NULL)
        return TERN_ERR_MEMORY;
    conn->server = true;
    conn->half_open = true;
    quic->half_open_count++;
    plan_accept(quic, &plan, offer);
    tern_err err = conn_accept_with(conn, &plan, offer);
    if (err != TERN_OK) {
        conn_dealloc(conn);
        return err;
    }
    *out = conn;
    return TERN_OK;
}

/* --- the end --- */

void quic_conn_free(struct tern_quic_conn *conn)
{
    if (conn->attached)
        conn->front.mux.ops->fini(conn->front.mux.self);
    if (conn->ng != NULL)
        quic_conn_end(conn, TERN_ERR_CLOSED, TERN_FAULT_NONE, conn->close_code);
    quic_streams_fini(conn);
    quic_window_fini(conn);
    conn_dealloc(conn);
}
