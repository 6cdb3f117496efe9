/* The insides of synchronisation, shared by sync*.c. */
#ifndef TERN_CHAIN_SYNC_PRIVATE_H
#define TERN_CHAIN_SYNC_PRIVATE_H

#include "chain/sync.h"

enum { SYNC_SEAL_BYTES = 256 };

struct sync_peer {
    uint64_t id; /* 0: the place is free */
    uint64_t claim_height;
    tern_time status_at; /* when it is asked next */
    uint32_t requests;   /* of blocks */
    uint32_t strikes;
    tern_time excluded_until;
};

enum sync_item_state {
    SYNC_WANTED,
    SYNC_REQUESTED, /* token says by which request */
    SYNC_HAVE,      /* bytes are here */
    SYNC_DELIVERED, /* the chain has it and has not answered */
    SYNC_DONE,
};

/* A block whose header has been checked, seal included. In order of height. */
struct sync_item {
    struct tern_hash hash;
    uint64_t height;
    uint64_t source;  /* who gave the header */
    uint64_t from;    /* who gave the body */
    uint64_t lacking; /* one bit a peer's place: it said that it has not this block */
    enum sync_item_state state;
    tern_token token;
    uint8_t *bytes;
    size_t size;
};

struct sync_request {
    tern_token token; /* 0: the place is free */
    uint64_t peer;
    tern_time started_at;
    uint8_t body[TERN_SYNC_GET_BLOCKS_SIZE_MAX];
};

/* The one header request, and what it brought while seals are checked. */
struct sync_headers {
    uint64_t leader;  /* 0: none */
    tern_token token; /* 0: nothing asked */
    tern_time started_at;
    bool more; /* the leader's newest answer was full */
    bool checking;
    bool emitted; /* the job is out */
    struct tern_verify_job job;
    struct tern_sync_point fresh[TERN_SYNC_HEADERS_MAX];
    size_t fresh_count;
    struct tern_header fresh_last;
    uint8_t body[TERN_SYNC_GET_HEADERS_SIZE_MAX];
};

struct tern_sync {
    struct tern_mem *mem;
    const struct tern_ledger *ledger;
    tern_token token_next;
    struct sync_peer peers[TERN_SYNC_PEERS_MAX];
    struct sync_request requests[TERN_SYNC_REQUESTS_MAX];
    struct sync_headers headers;
    struct sync_item items[TERN_SYNC_ITEMS_MAX]; /* a ring */
    size_t items_first;
    size_t items_count;
    struct tern_header items_last; /* header of the last item */
    size_t delivered_count;
    size_t bytes_kept;
    tern_time stall_ns;
    tern_time front_since; /* when the first item became that */
    tern_time stall_at; /* when the first item's owner has held it up for too long; NEVER: it may */
    tern_time retry_at; /* NEVER: nothing to offer again */
    struct tern_ring outs;
    uint8_t status[TERN_SYNC_STATUS_SIZE_MAX];
};

static inline struct sync_item *sync_item_at(struct tern_sync *sync, size_t i)
{
    return &sync->items[(sync->items_first + i) % TERN_SYNC_ITEMS_MAX];
}

/* sync.c */
struct sync_peer *sync_find_peer(struct tern_sync *sync, uint64_t id);
bool sync_peer_usable(const struct sync_peer *peer, tern_time now);
void sync_emit(struct tern_sync *sync, const struct tern_sync_out *out);
bool sync_has_room(const struct tern_sync *sync);
void sync_blame(struct tern_sync *sync, tern_time now, uint64_t peer, tern_fault fault);
void sync_exclude(struct tern_sync *sync, tern_time now, uint64_t peer);

/* sync_headers.c */
void sync_headers_plan(struct tern_sync *sync, tern_time now);
void sync_headers_in(struct tern_sync *sync, const struct tern_clock *clock,
                     const struct tern_sync_in *in);
void sync_headers_job_done(struct tern_sync *sync, tern_time now);
void sync_headers_stop(struct tern_sync *sync);

/* sync_bodies.c */
void sync_bodies_plan(struct tern_sync *sync, tern_time now);
void sync_bodies_in(struct tern_sync *sync, tern_time now, const struct tern_sync_in *in);
void sync_bodies_result(struct tern_sync *sync, tern_time now, const struct tern_sync_in *in);
void sync_bodies_give_up(struct tern_sync *sync, struct sync_request *request);
struct sync_request *sync_find_request(struct tern_sync *sync, tern_token token);
void sync_bodies_drop_peer(struct tern_sync *sync, uint64_t peer);
void sync_items_clear(struct tern_sync *sync);
/* Fills in a DELIVER that is given out now; false: the item has gone since. */
bool sync_bodies_fill(struct tern_sync *sync, struct tern_sync_out *out);

#endif
