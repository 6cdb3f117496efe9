/*
 * Datagrams in: whose they are.
 *
 *   an id of ours ─► its session, or the ending of one
 *   a long header ─► another version: Version Negotiation · a first packet: an offer · else nothing
 *   a short one   ─► a stateless reset of a session's, by its token · else we send one
 *
 * Datagrams of a batch mostly belong to one session, which is settled once, behind the last.
 */
#include "quic/quic_internal.h"

struct quic_reception {
    struct quic *quic;
    uint16_t socket;
    const struct tern_datagrams *in;
    struct tern_quic_conn *conn; /* that got the last datagram; NULL: none */
    ngtcp2_path_storage path;    /* as conn sees it */
};

/* receive_turn_to makes conn the one that gets datagrams; NULL: nobody. */
static void receive_turn_to(struct quic_reception *r, struct tern_quic_conn *conn)
{
    if (r->conn == conn)
        return;
    if (r->conn != NULL)
        quic_conn_settle(r->conn);
    r->conn = conn;
    if (conn == NULL)
        return;
    const struct tern_path *path = &r->in->path;
    tern_quic_path_set(&r->path, r->socket, conn->floating ? NULL : &path->local, &path->remote);
}

static void receive_for(struct quic_reception *r, struct quic_route *route, struct tern_view bytes)
{
    if (route->kind == QUIC_ROUTE_ENDING) {
        quic_ending_packet(TERN_CONTAINER_OF(route, struct quic_ending, route), bytes);
        return;
    }
    struct tern_quic_conn *conn = TERN_CONTAINER_OF(route, struct tern_quic_conn, route);
    receive_turn_to(r, conn);
    quic_conn_packet(conn, &r->path.path, r->in->ecn, bytes);
    if (conn->ng == NULL)
        receive_turn_to(r, NULL);
}

/* receive_unknown: the connection id is not one of ours. */
static void receive_unknown(struct quic_reception *r, const ngtcp2_version_cid *ids,
                            struct tern_view bytes)
{
    struct quic *quic = r->quic;
    if (bytes.data[0] & 0x80) {
        if (ids->version != 0)
            quic_offer_packet(quic, r->socket, r->in, bytes);
        return;
    }
    if (bytes.size < QUIC_RESET_TOKEN_SIZE)
        return;
    struct tern_view token =
        tern_view_part(bytes, bytes.size - QUIC_RESET_TOKEN_SIZE, QUIC_RESET_TOKEN_SIZE);
    struct quic_route *route = quic_routes_find_token(&quic->routes, token);
    if (route != NULL) {
        receive_for(r, route, bytes);
        return;
    }
    const struct quic_stranger from = {
        .socket = r->socket, .path = &r->in->path, .datagram = bytes};
    quic_answer_reset(quic, &from, tern_view_of(ids->dcid, ids->dcidlen));
}

static void receive_datagram(struct quic_reception *r, struct tern_view bytes)
{
    struct quic *quic = r->quic;
    ngtcp2_version_cid ids;
    int code = ngtcp2_pkt_decode_version_cid(&ids, bytes.data, bytes.size, QUIC_CID_SIZE);
    if (code != 0 && code != NGTCP2_ERR_VERSION_NEGOTIATION)
        return;
    /* The library knows more versions than we speak. */
    if (code == 0 && ids.version != 0 && ids.version != NGTCP2_PROTO_VER_V1)
        code = NGTCP2_ERR_VERSION_NEGOTIATION;
    struct quic_route *route = NULL;
    if (ids.dcidlen > 0 && ids.dcidlen <= QUIC_CID_SIZE_MAX)
        route = quic_routes_find_cid(&quic->routes, tern_view_of(ids.dcid, ids.dcidlen));
    if (route != NULL) {
        receive_for(r, route, bytes);
    } else if (code == NGTCP2_ERR_VERSION_NEGOTIATION) {
        const struct quic_stranger from = {
            .socket = r->socket, .path = &r->in->path, .datagram = bytes};
        quic_answer_version(quic, &from, &ids);
    } else {
        receive_unknown(r, &ids, bytes);
    }
}

void quic_receive(struct quic *quic, uint16_t socket, const struct tern_datagrams *in)
{
    struct quic_reception r = {.quic = quic, .socket = socket, .in = in};
    for (size_t at = 0; at < in->data.size; at += in->segment_size) {
        size_t size = tern_min_size(in->segment_size, in->data.size - at);
        receive_datagram(&r, tern_view_part(in->data, at, size));
    }
    receive_turn_to(&r, NULL);
}
