#include "base/check.h"
#include "chain/chain_private.h"
#include "chain/merkle.h"

enum { PROPOSE_REMOVE_MAX = 256 };

/* A block under construction. */
struct proposal {
    struct tern_header header;
    struct tern_apply apply;
    struct tern_merkle merkle;
    struct tern_writer body;
    struct tern_hash
        refused[PROPOSE_REMOVE_MAX]; /* never valid again: out of the pool afterwards */
    size_t refused_count;
};

/* Will the transaction never be valid in any later block? */
static bool propose_is_hopeless(tern_fault fault)
{
    return fault != TERN_FAULT_CHAIN_TX_NONCE_GAP && fault != TERN_FAULT_CHAIN_TX_BALANCE &&
           fault != TERN_FAULT_CHAIN_TX_ENERGY && fault != TERN_FAULT_CHAIN_TX_ORDERS_FULL &&
           fault != TERN_FAULT_CHAIN_TX_HOUR;
}

static tern_err propose_fill(struct tern_chain *chain, struct proposal *p)
{
    struct tern_pool_pick pick;
    tern_pool_pick_start(&pick, &chain->pool, &chain->ledger.state);
    const struct tern_pool_entry *entry;
    while (p->header.txs_count < TERN_BLOCK_TXS_MAX &&
           tern_writer_left(&p->body) >= TERN_TX_SIZE_MAX &&
           (entry = tern_pool_pick_next(&pick)) != NULL) {
        tern_fault fault;
        tern_err err = tern_apply_tx(&p->apply, &entry->tx, &entry->id, &fault);
        if (err == TERN_OK) {
            tern_merkle_add(&p->merkle, &entry->id);
            tern_writer_bytes(&p->body, tern_view_of(entry->bytes, entry->bytes_size));
            p->header.txs_count++;
            tern_pool_pick_taken(&pick);
            continue;
        }
        if (err != TERN_ERR_PROTOCOL)
            return err;
        if (propose_is_hopeless(fault) && p->refused_count < PROPOSE_REMOVE_MAX)
            p->refused[p->refused_count++] = entry->id;
        tern_pool_pick_refused(&pick);
    }
    return TERN_OK;
}

/* Carries the block out to learn its roots; the caller rolls back. */
static tern_err propose_run(struct tern_chain *chain, struct proposal *p)
{
    struct tern_state *state = &chain->ledger.state;
    size_t mark = tern_state_mark(state);
    struct tern_apply_params params = {
        .state = state,
        .fee_min = chain->config.genesis->fee_min,
        .height = p->header.height,
        .time_ms = p->header.time_ms,
        .proposer = p->header.proposer,
    };
    TERN_TRY(tern_apply_begin(&p->apply, &params));
    TERN_TRY(propose_fill(chain, p));
    TERN_TRY(tern_apply_finish(&p->apply));
    struct tern_state_diff diff;
    TERN_TRY(tern_state_diff(state, mark, &diff));
    tern_state_diff_root(&diff, &p->header.diff_root);
    tern_state_diff_fini(&diff);
    tern_state_root(state, &p->header.state_root);
    tern_merkle_root(&p->merkle, &p->header.tx_root);
    return TERN_OK;
}

/* Puts the sealed block into the tree and moves to it. */
static tern_err propose_join(struct tern_chain *chain, const struct tern_clock *clock,
                             struct proposal *p, uint8_t *bytes)
{
    const struct tern_engine *engine = &chain->config.engine;
    TERN_TRY(engine->ops->seal(engine->self, &p->header));
    struct tern_writer w = tern_writer_of(bytes, TERN_BLOCK_SIZE_MAX);
    tern_header_encode(&p->header, &w);
    tern_writer_bytes(&w, tern_writer_view(&p->body));
    TERN_CHECK(tern_writer_ok(&w));
    struct tern_view view = tern_writer_view(&w);
    struct tern_block block;
    tern_fault fault;
    TERN_TRY(tern_block_decode(view, &block, &fault));
    struct tern_tree_added added;
    struct tern_tree_offer offer = {.block = &block, .solicited = true};
    TERN_TRY(tern_tree_add(&chain->ledger.tree, &offer, &added, &fault));
    chain_engine_joined(chain, &block.hash);
    return chain_head_move(chain, clock, &view);
}

static tern_err propose_with(struct tern_chain *chain, const struct tern_clock *clock,
                             struct proposal *p, uint8_t *bytes)
{
    /* Two halves: the body grows in the second, the block is put together in the first. */
    p->body =
        tern_writer_of(bytes + TERN_BLOCK_SIZE_MAX, TERN_BLOCK_SIZE_MAX - TERN_HEADER_SIZE_MAX);
    size_t mark = tern_state_mark(&chain->ledger.state);
    tern_err err = propose_run(chain, p);
    tern_state_rollback(&chain->ledger.state, mark);
    tern_apply_fini(&p->apply);
    if (err == TERN_OK)
        err = propose_join(chain, clock, p, bytes);
    for (size_t i = 0; i < p->refused_count; i++)
        tern_pool_remove(&chain->pool, &p->refused[i]);
    return err;
}

void chain_propose(struct tern_chain *chain, const struct tern_clock *clock, tern_time_ms time_ms)
{
    if (chain->phase != CHAIN_READY || chain->writes_count >= TERN_CHAIN_WRITES_MAX)
        return;
    const struct tern_tree_node *head = chain->ledger.tree.head;
    struct proposal *p = tern_mem_zalloc(chain->mem, sizeof *p);
    uint8_t *bytes = tern_mem_alloc(chain->mem, 2 * TERN_BLOCK_SIZE_MAX);
    const struct tern_engine *engine = &chain->config.engine;
    if (p != NULL && bytes != NULL && time_ms > head->header.time_ms) {
        p->header = (struct tern_header){
            .chain = chain->ledger.genesis_hash,
            .height = head->header.height + 1,
            .parent = head->hash,
            .time_ms = time_ms,
        };
        tern_merkle_init(&p->merkle);
        /* A turn that is missed, be it for want of memory, costs a turn. */
        if (engine->ops->prepare(engine->self, &p->header) == TERN_OK)
            (void)propose_with(chain, clock, p, bytes);
    }
    tern_mem_free(chain->mem, p, sizeof *p);
    tern_mem_free(chain->mem, bytes, 2 * TERN_BLOCK_SIZE_MAX);
}
