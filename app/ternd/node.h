/*
 * The running node: the chain node's machine, driven by the event loop on a thread of its own, with
 * its store and key. What the API asks is answered here: each function may be called from any
 * thread but the network one, waits at most NODE_WAIT_MS (validation: NODE_VALIDATE_MS), and copies
 * plain data out.
 *
 * Errors of all: TERN_ERR_CLOSED (the node is ending), TERN_ERR_TIMEOUT (the network thread is too
 * busy), TERN_ERR_AGAIN (the chain is still being loaded), TERN_ERR_MEMORY.
 */
#ifndef TERN_APP_TERND_NODE_H
#define TERN_APP_TERND_NODE_H

#include "app/common/json.h"
#include "app/ternd/config.h"
#include "app/ternd/log.h"
#include "base/metrics.h"
#include "chain/apply.h"
#include "chain/audit.h"
#include "chain/messages.h"

enum {
    NODE_WAIT_MS = 10000,
    NODE_VALIDATE_MS = 600000,
    NODE_PEERS_MAX = 1024,
    NODE_ADDRESSES_MAX = 16,
    NODE_ADDRESS_SIZE = 256,
    NODE_PEER_SIZE = 128,
    NODE_AGENT_SIZE = 136,
};

struct node;

/* node_new loads genesis and key, opens the store and makes the machine. False with a message, and
 * *exit_code what the process should end with. */
bool node_new(const struct config *config, struct log *log, struct node **node,
              struct app_message *message, int *exit_code);

/* node_start begins to run it. node_stop ends it in good order: connections are closed, what is to
 * be stored is. node_free afterwards. */
bool node_start(struct node *node, struct app_message *message);
void node_stop(struct node *node);
void node_free(struct node *node);

/* node_failed waits for nothing: has the node stopped by itself (its store failed)? NULL: no; else
 * why. */
const char *node_failed(const struct node *node);

struct node_status {
    char peer_id[NODE_PEER_SIZE];
    char chain_name[TERN_GENESIS_NAME_MAX + 1];
    struct tern_hash genesis_hash;
    tern_money fee_min;
    uint32_t period_ms;
    char addresses[NODE_ADDRESSES_MAX][NODE_ADDRESS_SIZE];
    size_t addresses_count;
    bool ready;     /* loaded */
    bool syncing;   /* a peer is known to be ahead */
    bool authority; /* makes blocks */
    uint64_t height;
    struct tern_hash head;
    tern_time_ms head_time_ms;
    uint64_t confirmed_height;
    uint64_t best_height; /* of any peer, as they told */
    size_t peers_count;
    size_t pool_count;
    tern_price last_price; /* of the newest clearing; 0: none yet */
    tern_hour last_price_hour;
    tern_energy traded_wh; /* on the best chain since the process began to look, see node_market */
    tern_money traded_money;
    uint64_t messages_in; /* of the chain: blocks, transactions, requests */
    uint64_t messages_out;
    uint64_t reorganisations;
    tern_time uptime_ns;
};

tern_err node_status(struct node *node, struct node_status *status);

struct node_peer {
    char peer_id[NODE_PEER_SIZE];
    char address[NODE_ADDRESS_SIZE];
    char agent[NODE_AGENT_SIZE];
    const char *transport; /* names of how it is connected; NULL: it has just gone */
    const char *secure;
    const char *muxer;
    bool outbound;
    tern_time rtt_ns; /* 0: not measured */
    tern_time age_ns;
    uint64_t bytes_in;
    uint64_t bytes_out;
    size_t streams_count;
    uint64_t height;
    uint32_t faults_weight;
};

/* node_peers copies at most max connected peers. */
tern_err node_peers(struct node *node, struct node_peer *peers, size_t max, size_t *count);

/* A block by height or hash. */
struct node_block_ref {
    bool by_hash;
    uint64_t height;
    struct tern_hash hash;
};

/* node_block fetches a block's bytes, to be freed by free(). TERN_ERR_NOT_FOUND. Height 0 has none.
 */
tern_err node_block(struct node *node, const struct node_block_ref *ref, uint8_t **bytes,
                    size_t *size);

struct node_account {
    bool exists;
    bool is_device;
    struct tern_row_account account;
    struct tern_row_device device;
    uint64_t next_nonce;        /* with what waits in the pool */
    uint64_t next_device_nonce; /* likewise, of the device of this key */
};

tern_err node_account(struct node *node, const struct tern_account *key,
                      struct node_account *account);

/* node_energy tells the hour of an account. */
tern_err node_energy(struct node *node, const struct tern_account *key, tern_hour hour,
                     struct tern_row_energy *energy);

/* The delivery hours, from those that can still be traded down to the same number before, that have
 * any energy or trade; newest first. */
enum { NODE_HOURS_MAX = 2 * TERN_APPLY_HOURS_MAX };
struct node_hour {
    tern_hour hour;
    struct tern_row_hour row;
};
tern_err node_market(struct node *node, struct node_hour *hours, size_t max, size_t *count);

/* The whole state, audited. */
struct node_audit {
    uint64_t height;
    struct tern_hash head;
    struct tern_audit audit; /* finding: static text or NULL */
    tern_money supply;
    struct tern_row_energy energy; /* summed over all hours */
    tern_money traded;
};
tern_err node_audit(struct node *node, struct node_audit *audit);

/* What became of something that was submitted. */
struct node_verdict {
    tern_err err; /* TERN_OK: taken; EXISTS: known; FULL: try later; PROTOCOL: fault; … */
    tern_fault fault;
    struct tern_hash hash; /* of the block, id of the transaction */
};

tern_err node_submit_tx(struct node *node, struct tern_view bytes, struct node_verdict *verdict);
tern_err node_submit_block(struct node *node, struct tern_view bytes, struct node_verdict *verdict);

/* node_validate carries the whole chain out again from the genesis, from the store or from a peer
 * (NULL: the store). */
struct node_validation {
    bool valid;
    uint64_t height;                          /* all up to here is well */
    uint64_t head_height;                     /* how far there was to check */
    uint64_t bad_height;                      /* the first that is not well */
    char fault[TERN_SYNC_FAULT_TEXT_MAX + 1]; /* its fault's name */
};
tern_err node_validate(struct node *node, const char *peer, struct node_validation *validation);

/* node_metrics copies all numbers. */
tern_err node_metrics(struct node *node, struct tern_metrics *metrics);

#endif
