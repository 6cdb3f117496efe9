/*
 * Synchronisation: a node that is behind catches up. Headers first, from one peer at a time; bodies
 * in parallel from all; a message core that never mistakes what a peer claims for what it has
 * shown.
 *
 *     idle ──a peer claims more──► headers ──checked, seals too: JOB──► items ──► bodies, many
 * peers ──► DELIVER ▲                            │  the peer has no more, or fails │
 *       └────────────────────────────┴──────────── nothing left ◄── RESULT of each block
 * ◄────────────────┘
 *
 * It runs beside everything else, always: there is no mode. Gossip may bring the same blocks; the
 * chain answers that it knows them, and sync goes on.
 *
 * What protects it:
 *   - a claimed height only decides whom to ask first. A peer that claims and does not show is out
 * for a while, its claim forgotten; no maximum is kept over peers (CVE-2025-24371)
 *   - headers must follow from our own chain and from each other, by the engine's rules and with
 * valid seals, before a single body is asked for
 *   - a body must be the one that was asked for: hash and transactions root
 *   - progress is counted in blocks. Whoever holds the block that all wait for longer than the
 * stall time, or does not answer in time, is left out, longer each time; the stall time doubles up
 * to a bound and shrinks with progress, so that a slow network is not mistaken for bad peers
 *   - everything is bounded: peers, requests, headers ahead, bodies kept
 *
 * Not thread safe. Drain next after every step.
 */
#ifndef TERN_CHAIN_SYNC_H
#define TERN_CHAIN_SYNC_H

#include "base/ring.h"
#include "chain/ledger.h"
#include "chain/messages.h"
#include "runtime/io.h"

enum {
    TERN_SYNC_PEERS_MAX = 64,
    TERN_SYNC_REQUESTS_MAX = 32, /* of blocks, under way */
    TERN_SYNC_REQUESTS_PER_PEER = 2,
    TERN_SYNC_ITEMS_MAX = 2048,  /* headers ahead of what is delivered */
    TERN_SYNC_WINDOW = 256,      /* of these, how far bodies are asked for */
    TERN_SYNC_DELIVERED_MAX = 8, /* given to the chain and not answered */
    TERN_SYNC_BYTES_MAX =
        64 << 20, /* of bodies kept: when more, only the first item is asked for */
    TERN_SYNC_OUTS_MAX = 512,
};

#define TERN_SYNC_TIMEOUT_NS     (15 * TERN_SECOND)
#define TERN_SYNC_STALL_NS       (2 * TERN_SECOND)
#define TERN_SYNC_STALL_MAX_NS   (64 * TERN_SECOND)
#define TERN_SYNC_EXCLUDE_NS     (30 * TERN_SECOND) /* doubles with each strike */
#define TERN_SYNC_EXCLUDE_MAX_NS (32 * TERN_MINUTE)
#define TERN_SYNC_STATUS_NS      (20 * TERN_SECOND) /* between askings of a peer for its status */
/* Until the chain is offered again what it had no room for. */
#define TERN_SYNC_RETRY_NS (50 * TERN_MILLISECOND)

enum tern_sync_in_kind {
    TERN_SYNC_TICK,
    TERN_SYNC_PEER_UP,   /* peer */
    TERN_SYNC_PEER_DOWN, /* peer; its requests are given up */
    TERN_SYNC_STATUS,    /* peer, bytes: an answer, or what it told us by asking */
    TERN_SYNC_HEADERS,   /* peer, token, bytes: the answer */
    TERN_SYNC_BLOCKS,    /* peer, token, bytes: the answer */
    TERN_SYNC_FAILED,    /* peer, token: there will be no answer */
    TERN_SYNC_JOB_DONE,  /* job */
    TERN_SYNC_RESULT,    /* hash, err, fault: the chain's word on a delivered block */
    TERN_SYNC_HINT,      /* peer, height: it sent a block whose parent we do not know */
};

struct tern_sync_in {
    enum tern_sync_in_kind kind;
    uint64_t peer; /* as the node numbers it; not 0 */
    tern_token token;
    struct tern_view bytes; /* borrowed for the call */
    uint64_t height;
    struct tern_hash hash;
    tern_err err;
    tern_fault fault;
    struct tern_job *job;
};

enum tern_sync_out_kind {
    TERN_SYNC_ASK_STATUS,  /* peer, token, bytes */
    TERN_SYNC_ASK_HEADERS, /* peer, token, bytes */
    TERN_SYNC_ASK_BLOCKS,  /* peer, token, bytes */
    TERN_SYNC_DELIVER,     /* peer, bytes, hash: for the chain, as solicited; RESULT follows */
    TERN_SYNC_OUT_JOB,     /* job: seals; JOB_DONE follows */
    TERN_SYNC_BLAME,       /* peer, fault */
};

struct tern_sync_out {
    enum tern_sync_out_kind kind;
    uint64_t peer;
    tern_token token;
    struct tern_view bytes; /* borrowed until the next step */
    struct tern_hash hash;
    tern_fault fault;
    struct tern_job *job;
};

struct tern_sync;

struct tern_sync_config {
    struct tern_mem *mem;
    const struct tern_ledger *ledger; /* read; the chain's, outlives sync */
};

/* tern_sync_new takes all the memory that it needs but for bodies: about 1 MiB. TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_sync_new(const struct tern_sync_config *config,
                                      struct tern_sync **sync);
/* tern_sync_free: its job may not be running; if it is out it must not come back. */
void tern_sync_free(struct tern_sync *sync);

void tern_sync_step(struct tern_sync *sync, const struct tern_clock *clock,
                    const struct tern_sync_in *in);
bool tern_sync_next(struct tern_sync *sync, struct tern_sync_out *out);
tern_time tern_sync_deadline(const struct tern_sync *sync);

/* What it is doing, for showing. */
struct tern_sync_info {
    bool behind;            /* there are blocks that are known of and not here */
    uint64_t target_height; /* of the newest header; 0: none */
    size_t items_count;
    size_t requests_count;
    size_t peers_count;
    size_t excluded_count;
    size_t bytes_kept;
};
void tern_sync_info(const struct tern_sync *sync, tern_time now, struct tern_sync_info *info);

/* tern_sync_busy: is its job out? */
bool tern_sync_busy(const struct tern_sync *sync);

/* tern_sync_locator fills in a locator of a ledger's best chain. */
void tern_sync_locator(const struct tern_ledger *ledger, struct tern_sync_get_headers *get);

/* tern_sync_locate finds the first block of a locator that is on the ledger's best chain; *height
 * is its height. The genesis is always one for an honest asker; false: none is. */
bool tern_sync_locate(const struct tern_ledger *ledger, const struct tern_sync_get_headers *get,
                      uint64_t *height);

#endif
