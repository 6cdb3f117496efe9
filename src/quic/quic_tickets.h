/*
 * What a dialer keeps of earlier sessions, by peer: a ticket, the remote's limits at that time, a
 * token for its address, and who it was. Bounded in bytes; what was used least lately goes first. A
 * ticket is used once.
 */
#ifndef TERN_QUIC_QUIC_TICKETS_H
#define TERN_QUIC_QUIC_TICKETS_H

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "crypto/key.h"

enum {
    QUIC_TICKET_SIZE_MAX = 16 * 1024,
    QUIC_TICKET_PARAMS_MAX = 256,
    QUIC_TICKET_TOKEN_MAX = 256,
};

struct quic_ticket {
    struct tern_map_entry entry;
    struct tern_list link; /* the least lately used first */
    struct tern_peer_id peer;
    struct tern_public_key key;
    tern_time expires_at; /* of the ticket */
    bool early;           /* early data may go with it */
    uint8_t *data;        /* owned: the TLS library's; NULL: none (any more) */
    size_t data_size;
    uint8_t params[QUIC_TICKET_PARAMS_MAX]; /* the remote's transport parameters */
    size_t params_size;
    uint8_t token[QUIC_TICKET_TOKEN_MAX];
    size_t token_size; /* 0: none */
};

struct quic_tickets {
    struct tern_mem *mem;
    struct tern_map map;
    struct tern_list order;
    size_t bytes;
    size_t bytes_max;
};

void quic_tickets_init(struct quic_tickets *tickets, struct tern_mem *mem,
                       struct tern_random *random, size_t bytes_max);
void quic_tickets_fini(struct quic_tickets *tickets);

/* quic_tickets_find is what is kept of the peer, NULL: nothing. It counts as used. An expired
 * ticket is dropped. */
struct quic_ticket *quic_tickets_find(struct quic_tickets *tickets, tern_time now,
                                      const struct tern_peer_id *peer);

/* What is to be kept. */
struct quic_ticket_news {
    const struct tern_peer_id *peer;
    const struct tern_public_key *key;
    struct tern_view data; /* empty: a token alone */
    struct tern_view params;
    bool early;
    tern_time expires_at;
    struct tern_view token; /* empty: a ticket alone */
};

/* quic_tickets_put keeps it beside what is kept of the peer already; without memory or room it does
 * not. */
void quic_tickets_put(struct quic_tickets *tickets, const struct quic_ticket_news *news);

/* quic_tickets_spend drops the ticket of an entry, which has been used. */
void quic_tickets_spend(struct quic_tickets *tickets, struct quic_ticket *ticket);

#endif
