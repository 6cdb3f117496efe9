#include "quic/quic_tickets.h"

#include "base/check.h"
#include "crypto/secret.h"

void quic_tickets_init(struct quic_tickets *tickets, struct tern_mem *mem,
                       struct tern_random *random, size_t bytes_max)
{
    uint64_t key[2];
    tern_random_bytes(random, key, sizeof key);
    *tickets = (struct quic_tickets){.mem = mem, .bytes_max = bytes_max};
    tern_map_init(&tickets->map, mem, key);
    tern_list_init(&tickets->order);
}

void quic_tickets_spend(struct quic_tickets *tickets, struct quic_ticket *ticket)
{
    if (ticket->data == NULL)
        return;
    tern_secret_wipe(ticket->data, ticket->data_size);
    tern_mem_free(tickets->mem, ticket->data, ticket->data_size);
    tickets->bytes -= ticket->data_size;
    ticket->data = NULL;
    ticket->data_size = 0;
}

static void tickets_drop(struct quic_tickets *tickets, struct quic_ticket *ticket)
{
    quic_tickets_spend(tickets, ticket);
    tern_public_key_fini(&ticket->key);
    tern_map_remove(&tickets->map, &ticket->entry);
    tern_list_remove(&ticket->link);
    tern_mem_free(tickets->mem, ticket, sizeof *ticket);
    tickets->bytes -= sizeof *ticket;
}

static struct quic_ticket *tickets_oldest(const struct quic_tickets *tickets)
{
    return TERN_LIST_ENTRY(tickets->order.next, struct quic_ticket, link);
}

void quic_tickets_fini(struct quic_tickets *tickets)
{
    while (!tern_list_empty(&tickets->order))
        tickets_drop(tickets, tickets_oldest(tickets));
    TERN_CHECK(tickets->bytes == 0);
    tern_map_fini(&tickets->map);
}

static void tickets_use(struct quic_tickets *tickets, struct quic_ticket *ticket)
{
    tern_list_remove(&ticket->link);
    tern_list_push_back(&tickets->order, &ticket->link);
}

static struct quic_ticket *tickets_find(struct quic_tickets *tickets,
                                        const struct tern_peer_id *peer)
{
    struct tern_map_entry *entry = tern_map_find(&tickets->map, tern_peer_id_view(peer));
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct quic_ticket, entry);
}

struct quic_ticket *quic_tickets_find(struct quic_tickets *tickets, tern_time now,
                                      const struct tern_peer_id *peer)
{
    struct quic_ticket *ticket = tickets_find(tickets, peer);
    if (ticket == NULL)
        return NULL;
    if (ticket->expires_at <= now)
        quic_tickets_spend(tickets, ticket);
    tickets_use(tickets, ticket);
    return ticket;
}

/* tickets_entry is the peer's entry, made if need be; NULL: no memory. */
static struct quic_ticket *tickets_entry(struct quic_tickets *tickets,
                                         const struct quic_ticket_news *news)
{
    struct quic_ticket *ticket = tickets_find(tickets, news->peer);
    if (ticket != NULL)
        return ticket;
    ticket = tern_mem_zalloc(tickets->mem, sizeof *ticket);
    if (ticket == NULL)
        return NULL;
    ticket->peer = *news->peer;
    if (tern_map_insert(&tickets->map, &ticket->entry, tern_peer_id_view(&ticket->peer)) !=
        TERN_OK) {
        tern_mem_free(tickets->mem, ticket, sizeof *ticket);
        return NULL;
    }
    tern_public_key_copy(news->key, &ticket->key);
    tern_list_push_back(&tickets->order, &ticket->link);
    tickets->bytes += sizeof *ticket;
    return ticket;
}

static void tickets_keep_data(struct quic_tickets *tickets, struct quic_ticket *ticket,
                              const struct quic_ticket_news *news)
{
    if (news->data.size > QUIC_TICKET_SIZE_MAX || news->params.size > QUIC_TICKET_PARAMS_MAX)
        return;
    uint8_t *data = tern_mem_dup(tickets->mem, news->data);
    if (data == NULL)
        return;
    quic_tickets_spend(tickets, ticket);
    ticket->data = data;
    ticket->data_size = news->data.size;
    tickets->bytes += news->data.size;
    ticket->expires_at = news->expires_at;
    ticket->early = news->early;
    tern_copy(ticket->params, news->params.data, news->params.size);
    ticket->params_size = news->params.size;
}

void quic_tickets_put(struct quic_tickets *tickets, const struct quic_ticket_news *news)
{
    struct quic_ticket *ticket = tickets_entry(tickets, news);
    if (ticket == NULL)
        return;
    tickets_use(tickets, ticket);
    if (news->data.size > 0)
        tickets_keep_data(tickets, ticket, news);
    if (news->token.size > 0 && news->token.size <= QUIC_TICKET_TOKEN_MAX) {
        memcpy(ticket->token, news->token.data, news->token.size);
        ticket->token_size = news->token.size;
    }
    while (tickets->bytes > tickets->bytes_max)
        tickets_drop(tickets, tickets_oldest(tickets));
}
