/* The chain's insides, shared by chain*.c. */
#ifndef TERN_CHAIN_CHAIN_PRIVATE_H
#define TERN_CHAIN_CHAIN_PRIVATE_H

#include "base/ring.h"
#include "chain/chain.h"
#include "chain/store_schema.h"

enum { CHAIN_JOINED_MAX = 32, CHAIN_WRITES_GATHER = 2 };

enum chain_phase {
    CHAIN_LOAD_HEAD,    /* GET META head */
    CHAIN_LOAD_HEIGHTS, /* SCAN HEIGHT */
    CHAIN_LOAD_STATE,   /* SCAN STATE */
    CHAIN_LOAD_BLOCKS,  /* GET BLOCK, from the root up */
    CHAIN_LOAD_UNDO,    /* GET UNDO of the block just read */
    CHAIN_LOAD_GENESIS, /* WRITE the genesis */
    CHAIN_READY,
    CHAIN_FAILED,
};

/* A block whose signatures are being checked (in order of arrival); then one that has joined the
 * tree, without its bytes, until it can be answered. */
struct chain_check {
    struct tern_list link;
    struct tern_verify_job verify;
    uint8_t *bytes;
    size_t bytes_size;
    struct tern_block block; /* views into bytes */
    size_t seal_index;       /* in verify; SIZE_MAX: nothing to check */
    uint64_t tag;
    uint64_t source;
    bool solicited;
    bool answered; /* an orphan's answer was given when it came */
    bool emitted;
    bool side; /* it is not on the best chain */
    bool done; /* the job is back */
};

/* A change of heads on its way to the store, then told: answers, our own block, HEAD. In order. */
struct chain_write {
    struct tern_list link;
    struct tern_store_batch batch;
    bool emitted;
    bool stored;
    bool proposed_told;
    bool told; /* HEAD was given out: its arrays are borrowed until the next call */
    uint64_t height;
    struct tern_hash hash;
    uint64_t undone_count;
    struct tern_hash *blocks; /* owned */
    size_t blocks_count;
    struct tern_trade *trades; /* owned */
    size_t trades_count;
    struct tern_list
        answers; /* of chain_check: blocks of this change, to be answered now that it is stored */
    uint8_t *proposed; /* a block of ours, owned */
    size_t proposed_size;
};

/* A transaction waiting for its signature's check. */
struct chain_tx {
    struct tern_map_entry entry; /* by id */
    struct tern_list link;
    struct tern_pool_offer offer; /* bytes point to bytes below */
    uint8_t bytes[TERN_TX_SIZE_MAX];
    uint64_t tag;
};

struct chain_load {
    struct tern_store_request request;
    bool out;
    bool emitted;
    uint8_t *buffer;
    uint8_t key[64];
    uint64_t heights_count;
    uint64_t at; /* height of the block that is read next */
    uint64_t root_height;
    struct tern_store_head head;
    bool tree_ready; /* the ledger's tree stands on the loaded root */
};

struct tern_chain {
    struct tern_mem *mem;
    struct tern_chain_config config;
    uint64_t hash_key[2];
    enum chain_phase phase;
    struct tern_ledger ledger;
    bool ledger_ready;
    struct tern_pool pool;
    struct tern_ring outs;
    struct chain_load load;

    struct tern_list checks;
    struct tern_list joined; /* in the tree; the move to the best chain is to come */
    size_t checks_count;     /* both, and those that wait for a write */

    struct tern_list txs_waiting;
    struct tern_list txs_checking;
    struct tern_map txs_known; /* both */
    size_t txs_waiting_count;
    struct tern_verify_job tx_verify;
    bool tx_verify_out; /* the batch is away */
    bool tx_verify_emitted;

    struct tern_list writes;
    size_t writes_count;

    bool head_moved;                         /* the engine does not know yet */
    struct tern_hash news[CHAIN_JOINED_MAX]; /* blocks that it does not know yet */
    size_t news_count;

    struct tern_chain_head stored;
};

/* chain.c */
void chain_emit(struct tern_chain *chain, const struct tern_chain_out *out);
void chain_fail(struct tern_chain *chain, tern_err err, const char *text);

/* chain_load.c */
void chain_load_start(struct tern_chain *chain);
void chain_load_stored(struct tern_chain *chain);
void chain_load_genesis_stored(struct tern_chain *chain);
void chain_load_fini(struct tern_chain *chain);
bool chain_load_next(struct tern_chain *chain, struct tern_chain_out *out);

/* chain_block.c */
void chain_block_in(struct tern_chain *chain, const struct tern_clock *clock,
                    const struct tern_chain_in *in);
void chain_block_job_done(struct tern_chain *chain, const struct tern_clock *clock,
                          struct chain_check *check);
bool chain_block_next(struct tern_chain *chain, struct tern_chain_out *out);
void chain_block_settle(struct tern_chain *chain, const struct tern_clock *clock);
void chain_block_fini(struct tern_chain *chain);
struct chain_check *chain_block_of_job(struct tern_chain *chain, const struct tern_job *job);
void chain_check_answer(struct tern_chain *chain, struct chain_check *check, tern_err err,
                        tern_fault fault);
void chain_check_free(struct tern_chain *chain, struct chain_check *check);

/* chain_tx.c */
void chain_tx_in(struct tern_chain *chain, const struct tern_clock *clock,
                 const struct tern_chain_in *in);
void chain_tx_job_done(struct tern_chain *chain, const struct tern_clock *clock);
bool chain_tx_next(struct tern_chain *chain, struct tern_chain_out *out);
void chain_tx_fini(struct tern_chain *chain);

/* chain_head.c */

/* Moves to the best chain and queues the write; blocks that have joined are answered, at once or
 * when it is stored. proposed: our own block, published when stored; NULL: none. TERN_ERR_MEMORY:
 * nothing moved, nothing is answered. */
tern_err chain_head_move(struct tern_chain *chain, const struct tern_clock *clock,
                         const struct tern_view *proposed);
/* May there be a move now? While several writes are under way, blocks gather for one move together.
 */
bool chain_head_may_move(const struct tern_chain *chain);
void chain_head_stored(struct tern_chain *chain, struct chain_write *write);
bool chain_head_next(struct tern_chain *chain, struct tern_chain_out *out);
void chain_head_fini(struct tern_chain *chain);
void chain_head_release_told(struct tern_chain *chain);
struct chain_write *chain_head_of_request(struct tern_chain *chain,
                                          const struct tern_store_request *request);

/* chain_engine.c */

/* Gives the engine an input, then all that it has missed; carries out what it wants. */
void chain_engine_step(struct tern_chain *chain, const struct tern_clock *clock,
                       const struct tern_engine_in *in);
/* Only what it has missed. */
void chain_engine_settle(struct tern_chain *chain, const struct tern_clock *clock);
void chain_engine_joined(struct tern_chain *chain, const struct tern_hash *hash);

/* chain_propose.c */
void chain_propose(struct tern_chain *chain, const struct tern_clock *clock, tern_time_ms time_ms);

#endif
