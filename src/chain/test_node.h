/*
 * A chain with its world, for tests: jobs run at once or when told, a store in memory that keeps
 * what was written when the chain is taken down, and a record of what came out.
 */
#ifndef TERN_CHAIN_TEST_NODE_H
#define TERN_CHAIN_TEST_NODE_H

#include "chain/chain.h"
#include "chain/test_world.h"

enum { NODE_RECORD_MAX = 4096 };

struct node_row {
    uint8_t *bytes;  /* space, key, value */
    size_t key_size; /* with the space */
    size_t size;
};

struct node_store {
    struct node_row *rows; /* in key order */
    size_t count;
    size_t capacity;
    uint64_t writes;
    uint64_t fail_write; /* this one (from 1) fails; 0: none */
};

struct node {
    const struct world *world;
    struct tern_mem mem;
    struct tern_random random;
    struct tern_authority engine;
    struct tern_chain *chain;
    struct node_store store;
    struct tern_clock clock;
    bool persistent;
    bool hold_jobs;   /* jobs wait for node_run_jobs */
    bool hold_stores; /* and requests for node_run_stores */
    struct tern_job *jobs[64];
    size_t jobs_count;
    struct tern_store_request *requests[64];
    size_t requests_count;
    struct tern_chain_out
        record[NODE_RECORD_MAX]; /* all but JOB and STORE; borrowed bytes are not kept */
    size_t record_count;
    uint8_t *proposed; /* the newest PROPOSED, owned */
    size_t proposed_size;
    size_t trades_count;
    size_t undone_count;
};

/* node_init makes a node; authority SIZE_MAX watches. The chain is started by node_start. */
void node_init(struct node *node, const struct world *world, size_t authority, uint64_t seed);
tern_err node_start(struct node *node);
void node_stop(struct node *node); /* the store stays */
void node_fini(struct node *node);

/* node_drain carries out what the chain wants, as far as it is not held. */
void node_drain(struct node *node);
void node_run_jobs(struct node *node);
void node_run_stores(struct node *node);

void node_tick(struct node *node, tern_time_ms wall_ms); /* moves the clock there, then TICK */
void node_block(struct node *node, const void *bytes, size_t size, uint64_t tag);
void node_tx(struct node *node, const struct world_tx *tx, uint64_t tag);

/* The newest recorded output of a kind, with this tag for BLOCK and TX; NULL: none. */
const struct tern_chain_out *node_last(const struct node *node, enum tern_chain_out_kind kind,
                                       uint64_t tag);
void node_forget(struct node *node);

#endif
