/*
 * Whole chain nodes (node/node.h) in the simulated world, for scenarios: the first four are the
 * authorities of the tests' small chain (chain/test_world.h), the rest follow. Each listens, knows
 * node 0's address, stores what it accepts, and remembers what it was told. Everything comes from
 * one seed.
 *
 *     sim_nodes_init(&nodes, &(struct sim_nodes_options){.seed = 7, .count = 6});
 *     sim_nodes_start_all(&nodes);
 *     sim_nodes_run_until(&nodes, sim_nodes_agree_at, &(uint64_t){10}, TERN_MINUTE)
 *     sim_nodes_fini(&nodes);
 */
#ifndef TERN_SIM_NODES_H
#define TERN_SIM_NODES_H

#include "chain/test_world.h"
#include "node/node.h"
#include "runtime/sim/world.h"

enum { SIM_CHAIN_NODES_MAX = 32, SIM_TAGS_MAX = 4096, SIM_NODES_PORT = 4001 };

struct sim_nodes_options {
    uint64_t seed;
    uint32_t count;       /* at least WORLD_AUTHORITIES */
    uint32_t extra;       /* nodes that are no chain nodes, added behind them by the caller */
    struct sim_path path; /* all zero: 25 ms one way and 1 ms of jitter */
    bool noise;           /* else plaintext */
};

struct sim_answer {
    bool here;
    tern_err err;
    tern_fault fault;
};

struct sim_node {
    struct sim_nodes *nodes;
    uint32_t number;
    struct tern_private_key key;
    struct tern_peer_id id;
    struct tern_node *core; /* NULL while down */
    struct tern_machine inner;
    uint64_t heads;
    uint64_t undone;
    uint64_t proposed;
    uint64_t trades;
    bool ready;
    bool failed;
    bool validated;
    tern_err validated_err;
    struct tern_node_validation validation;
    struct sim_answer answers[SIM_TAGS_MAX]; /* by tag */
};

struct sim_nodes {
    struct sim_nodes_options options;
    struct world chain;
    struct sim_world *world;
    struct sim_node nodes[SIM_CHAIN_NODES_MAX];
    uint64_t tags; /* given so far */
    uint64_t nonces[WORLD_ACCOUNTS];
    uint64_t device_nonces[WORLD_DEVICES];
};

void sim_nodes_init(struct sim_nodes *nodes, const struct sim_nodes_options *options);
void sim_nodes_fini(struct sim_nodes *nodes);
void sim_nodes_start(struct sim_nodes *nodes, uint32_t i);
void sim_nodes_start_all(struct sim_nodes *nodes);
void sim_nodes_crash(struct sim_nodes *nodes, uint32_t i, enum sim_crash how);
void sim_nodes_run_for(struct sim_nodes *nodes, tern_time span);

/* sim_nodes_run_until asks every 50 ms; false: it is not so within span. */
bool sim_nodes_run_until(struct sim_nodes *nodes,
                         bool (*done)(const struct sim_nodes *nodes, const void *argument),
                         const void *argument, tern_time span);

/* sim_nodes_submit gives a node a signed transaction; the answer comes under the tag it returns. */
uint64_t sim_nodes_submit(struct sim_nodes *nodes, uint32_t i, const struct world_tx *tx);
/* sim_nodes_pay submits a transfer of 1 from an account, with the account's next nonce. */
uint64_t sim_nodes_pay(struct sim_nodes *nodes, uint32_t i, size_t account);
tern_err sim_nodes_validate(struct sim_nodes *nodes, uint32_t i);
tern_err sim_nodes_validate_peer(struct sim_nodes *nodes, uint32_t i, uint32_t peer);
/* sim_nodes_address is where a node listens, with its id. */
void sim_nodes_address(const struct sim_nodes *nodes, uint32_t i, struct tern_multiaddr *address);

/* --- what is so --- */

uint64_t sim_nodes_height(const struct sim_nodes *nodes, uint32_t i);
const struct sim_answer *sim_nodes_answer(const struct sim_nodes *nodes, uint32_t i, uint64_t tag);
uint64_t sim_nodes_fault(const struct sim_nodes *nodes, uint32_t i, tern_fault fault);

/* Do all nodes that are up stand at one head, at least this high (const uint64_t *)? */
bool sim_nodes_agree_at(const struct sim_nodes *nodes, const void *height);
/* Have all accounts' nonces (as far as was paid by sim_nodes_pay) been reached on all nodes? */
bool sim_nodes_all_paid(const struct sim_nodes *nodes, const void *unused);

/* sim_nodes_check audits every node's state, and ends the process when something is not so that
 * must always be. */
void sim_nodes_check(const struct sim_nodes *nodes);

#endif
