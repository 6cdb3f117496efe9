/*
 * Offers: first packets of nobody's, with what comes behind them, until the owner has decided. A
 * ClientHello may need two packets, and early data follows at once.
 */
#include "quic/quic_internal.h"

static void offer_free(struct quic *quic, struct quic_offer *offer)
{
    for (size_t i = 0; i < offer->datagrams_count; i++)
        tern_slice_release(&offer->datagrams[i]);
    tern_mem_free(quic->mem, offer, sizeof *offer);
}

static void offer_unlink(struct quic *quic, struct quic_offer *offer)
{
    tern_list_remove(&offer->link);
    quic->offers_count--;
}

static bool offer_endpoint_equal(const struct tern_endpoint *a, const struct tern_endpoint *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

/* offer_find is the offer that a packet belongs to. */
static struct quic_offer *offer_find(struct quic *quic, const struct tern_datagrams *in,
                                     struct tern_view dcid)
{
    TERN_LIST_FOREACH (node, &quic->offers) {
        struct quic_offer *offer = TERN_LIST_ENTRY(node, struct quic_offer, link);
        if (tern_view_equal(quic_cid_view(&offer->dcid), dcid) &&
            offer_endpoint_equal(&offer->path.remote, &in->path.remote))
            return offer;
    }
    return NULL;
}

/* offer_keep keeps a datagram by a reference; one that has no room is as if it were lost. */
static void offer_keep(struct quic *quic, struct quic_offer *offer, const struct tern_datagrams *in,
                       struct tern_view bytes)
{
    struct tern_slice slice = {.chunk = in->chunk, .view = bytes};
    if (offer->datagrams_count >= TERN_QUIC_OFFER_DATAGRAMS_MAX)
        return;
    if (slice.chunk != NULL) {
        tern_chunk_ref(slice.chunk);
    } else {
        slice.chunk = tern_chunk_copy(quic->mem, bytes);
        if (slice.chunk == NULL)
            return;
        slice.view = tern_chunk_view(slice.chunk);
    }
    offer->ecns[offer->datagrams_count] = in->ecn;
    offer->datagrams[offer->datagrams_count++] = slice;
}

/* offer_screen: may the owner be asked? Answers by itself when it may not. */
static bool offer_screen(struct quic *quic, struct quic_offer *offer, struct tern_view token)
{
    if (!quic_check_token(quic, offer, token)) {
        quic_note(quic, TERN_FAULT_QUIC_RETRY_TOKEN);
        quic_answer_close(quic, offer, NGTCP2_INVALID_TOKEN);
        return false;
    }
    if (quic->half_open_count + quic->offers_count < quic->options.half_open_max)
        return true;
    if (!offer->validated)
        quic_answer_retry(quic, offer);
    return false;
}

void quic_offer_packet(struct quic *quic, uint16_t socket, const struct tern_datagrams *in,
                       struct tern_view bytes)
{
    ngtcp2_version_cid ids;
    ngtcp2_pkt_hd header;
    if (ngtcp2_pkt_decode_version_cid(&ids, bytes.data, bytes.size, QUIC_CID_SIZE) != 0)
        return;
    struct quic_offer *offer = offer_find(quic, in, tern_view_of(ids.dcid, ids.dcidlen));
    if (offer != NULL) {
        offer_keep(quic, offer, in, bytes);
        return;
    }
    if (quic->offers_count >= TERN_QUIC_OFFERS_MAX ||
        ngtcp2_accept(&header, bytes.data, bytes.size) != 0 ||
        header.dcid.datalen < NGTCP2_MIN_INITIAL_DCIDLEN)
        return;
    offer = tern_mem_zalloc(quic->mem, sizeof *offer);
    if (offer == NULL)
        return;
    offer->socket = socket;
    offer->path = in->path;
    offer->dcid = header.dcid;
    offer->scid = header.scid;
    offer_keep(quic, offer, in, bytes);
    if (offer->datagrams_count == 0 ||
        !offer_screen(quic, offer, tern_view_of(header.token, header.tokenlen))) {
        offer_free(quic, offer);
        return;
    }
    tern_list_push_back(&quic->offers, &offer->link);
    quic->offers_count++;
}

bool quic_offer_next(struct quic *quic, struct tern_session_offer *offer)
{
    if (quic->offer != NULL)
        quic_offer_refuse(quic, TERN_SESSION_IGNORE); /* it was not answered */
    struct tern_list *node = tern_list_front(&quic->offers);
    if (node == NULL)
        return false;
    quic->offer = TERN_LIST_ENTRY(node, struct quic_offer, link);
    offer_unlink(quic, quic->offer);
    *offer = (struct tern_session_offer){.socket = quic->sockets[quic->offer->socket].id,
                                         .path = quic->offer->path,
                                         .validated = quic->offer->validated};
    return true;
}

tern_err quic_offer_accept(struct quic *quic, struct tern_scope *scope, uint64_t tag,
                           struct tern_quic_conn **conn)
{
    struct quic_offer *offer = quic->offer;
    TERN_CHECK(offer != NULL);
    quic->offer = NULL;
    tern_err err = quic_conn_accept(quic, offer, scope, tag, conn);
    if (err == TERN_OK) {
        ngtcp2_path_storage path;
        tern_quic_path_set(&path, offer->socket, &offer->path.local, &offer->path.remote);
        for (size_t i = 0; i < offer->datagrams_count; i++)
            quic_conn_packet(*conn, &path.path, offer->ecns[i], offer->datagrams[i].view);
        quic_conn_settle(*conn);
        /* What is out of order is kept for those alone who have shown where they are. */
        if ((*conn)->unordered && !offer->validated)
            quic_answer_retry(quic, offer);
    }
    offer_free(quic, offer);
    return err;
}

void quic_offer_refuse(struct quic *quic, enum tern_session_refusal how)
{
    struct quic_offer *offer = quic->offer;
    if (offer == NULL)
        return;
    quic->offer = NULL;
    switch (how) {
    case TERN_SESSION_IGNORE:
        break;
    case TERN_SESSION_RETRY:
        if (!offer->validated)
            quic_answer_retry(quic, offer);
        break;
    case TERN_SESSION_REFUSE:
        quic_answer_close(quic, offer, NGTCP2_CONNECTION_REFUSED);
        break;
    }
    offer_free(quic, offer);
}

void quic_offers_drop(struct quic *quic, uint16_t socket)
{
    TERN_LIST_FOREACH_SAFE (node, next, &quic->offers) {
        struct quic_offer *offer = TERN_LIST_ENTRY(node, struct quic_offer, link);
        if (socket != QUIC_SOCKETS_MAX && offer->socket != socket)
            continue;
        offer_unlink(quic, offer);
        offer_free(quic, offer);
    }
    if (quic->offer != NULL && (socket == QUIC_SOCKETS_MAX || quic->offer->socket == socket))
        quic_offer_refuse(quic, TERN_SESSION_IGNORE);
}
