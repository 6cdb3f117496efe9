#include "base/check.h"
#include "chain/chain_private.h"

static struct chain_write *write_linked(struct tern_list *link)
{
    return TERN_LIST_ENTRY(link, struct chain_write, link);
}

static struct chain_check *write_check(struct tern_list *link)
{
    return TERN_LIST_ENTRY(link, struct chain_check, link);
}

static void write_free(struct tern_chain *chain, struct chain_write *write)
{
    struct tern_list *link;
    while ((link = tern_list_front(&write->answers)) != NULL)
        chain_check_free(chain, write_check(link));
    tern_store_batch_fini(&write->batch);
    tern_mem_free(chain->mem, write->blocks, write->blocks_count * sizeof *write->blocks);
    tern_mem_free(chain->mem, write->trades, write->trades_count * sizeof *write->trades);
    tern_mem_free(chain->mem, write->proposed, write->proposed_size);
    tern_mem_free(chain->mem, write, sizeof *write);
}

/* Copies the hashes and trades of the blocks that join. */
static tern_err write_fill(struct tern_chain *chain, const struct tern_ledger_change *change,
                           struct chain_write *write)
{
    size_t trades = 0;
    for (size_t i = 0; i < change->applied_count; i++)
        trades += change->results[i].trades_count;
    write->blocks = tern_mem_alloc(chain->mem, change->applied_count * sizeof *write->blocks);
    if (write->blocks == NULL)
        return TERN_ERR_MEMORY;
    write->blocks_count = change->applied_count;
    if (trades > 0) {
        write->trades = tern_mem_alloc(chain->mem, trades * sizeof *write->trades);
        if (write->trades == NULL)
            return TERN_ERR_MEMORY;
        write->trades_count = trades;
    }
    size_t at = 0;
    for (size_t i = 0; i < change->applied_count; i++) {
        const struct tern_apply_result *result = &change->results[i];
        write->blocks[i] = change->applied[i]->hash;
        if (result->trades_count > 0)
            memcpy(write->trades + at, result->trades,
                   result->trades_count * sizeof *write->trades);
        at += result->trades_count;
    }
    return TERN_OK;
}

static tern_err write_build(struct tern_chain *chain, const struct tern_ledger_change *change,
                            const struct tern_view *proposed, struct chain_write *write)
{
    TERN_TRY(write_fill(chain, change, write));
    if (chain->config.persistent)
        TERN_TRY(tern_store_batch_of_change(&chain->ledger, change, &write->batch));
    if (proposed != NULL) {
        write->proposed = tern_mem_dup(chain->mem, *proposed);
        if (write->proposed == NULL)
            return TERN_ERR_MEMORY;
        write->proposed_size = proposed->size;
    }
    return TERN_OK;
}

static struct chain_write *write_new(struct tern_chain *chain,
                                     const struct tern_ledger_change *change,
                                     const struct tern_view *proposed)
{
    struct chain_write *write = tern_mem_zalloc(chain->mem, sizeof *write);
    if (write == NULL)
        return NULL;
    tern_list_init(&write->link);
    tern_list_init(&write->answers);
    write->batch.mem = chain->mem;
    write->height = change->head_new->header.height;
    write->hash = change->head_new->hash;
    write->undone_count = change->undone_count;
    write->stored = !chain->config.persistent;
    if (write_build(chain, change, proposed, write) == TERN_OK)
        return write;
    write_free(chain, write);
    return NULL;
}

/* The transactions of a block that is no longer on the best chain go back to the pool, as far as
 * they still fit. */
static void head_readmit(struct tern_chain *chain, const struct tern_clock *clock,
                         const struct tern_tree_node *node)
{
    struct tern_block block;
    tern_fault fault;
    tern_err err = tern_block_decode(tern_view_of(node->bytes, node->bytes_size), &block, &fault);
    TERN_CHECK(err == TERN_OK);
    struct tern_block_txs it = tern_block_txs_of(&block);
    struct tern_pool_offer offer = {.source = 0};
    while (tern_block_txs_next(&it, &offer.tx, &offer.bytes)) {
        tern_tx_id(offer.bytes, &offer.id);
        err = tern_pool_add(&chain->pool, &chain->ledger.state, clock->now, &offer, &fault);
        TERN_CHECK(err == TERN_OK || err == TERN_ERR_PROTOCOL || err == TERN_ERR_MEMORY);
    }
}

static void head_update_pool(struct tern_chain *chain, const struct tern_clock *clock,
                             const struct tern_ledger_change *change)
{
    tern_pool_update(&chain->pool, &chain->ledger.state, &change->head_new->header, clock->now);
    /* From the fork up, so that nonces come in order. */
    for (uint64_t i = change->undone_count; i > 0; i--) {
        const struct tern_tree_node *node = change->head_old;
        for (uint64_t down = 1; down < i; down++)
            node = node->parent;
        head_readmit(chain, clock, node);
    }
}

static bool head_is_joined(const struct tern_chain *chain, const struct tern_hash *hash)
{
    TERN_LIST_FOREACH (link, &chain->joined) {
        if (tern_hash_equal(&write_check(link)->block.hash, hash))
            return true;
    }
    return false;
}

/* A block that turned out invalid on the way is somebody's fault; those that have just joined are
 * answered. */
static void head_blame(struct tern_chain *chain, const struct tern_ledger_change *change)
{
    if (change->fault == TERN_FAULT_NONE || change->fault_source == 0 ||
        head_is_joined(chain, &change->fault_hash))
        return;
    chain_emit(chain, &(struct tern_chain_out){
                          .kind = TERN_CHAIN_OUT_BLAME,
                          .source = change->fault_source,
                          .fault = change->fault,
                          .hash = change->fault_hash,
                      });
}

/* Answers the blocks that have joined: what is part of this change when it is stored, the rest at
 * once. */
static void head_answer(struct tern_chain *chain, const struct tern_ledger_change *change,
                        struct chain_write *write)
{
    struct tern_list *link;
    while ((link = tern_list_front(&chain->joined)) != NULL) {
        struct chain_check *check = write_check(link);
        const struct tern_hash *hash = &check->block.hash;
        tern_fault fault = tern_tree_invalid(&chain->ledger.tree, hash);
        bool applied = false;
        for (size_t i = 0; i < change->applied_count; i++)
            applied = applied || tern_hash_equal(&change->applied[i]->hash, hash);
        if (applied && write != NULL) {
            tern_list_remove(link);
            tern_list_push_back(&write->answers, link);
            continue;
        }
        check->side = fault == TERN_FAULT_NONE;
        chain_check_answer(chain, check, check->side ? TERN_OK : TERN_ERR_PROTOCOL, fault);
        chain_check_free(chain, check);
    }
}

bool chain_head_may_move(const struct tern_chain *chain)
{
    size_t waiting = 0;
    TERN_LIST_FOREACH (link, &chain->writes) {
        waiting += !write_linked(link)->stored;
    }
    return waiting < CHAIN_WRITES_GATHER;
}

tern_err chain_head_move(struct tern_chain *chain, const struct tern_clock *clock,
                         const struct tern_view *proposed)
{
    struct tern_ledger_change change;
    TERN_TRY(tern_ledger_prepare(&chain->ledger, &change));
    head_blame(chain, &change);
    if (change.head_new == change.head_old) {
        head_answer(chain, &change, NULL);
        tern_ledger_abort(&chain->ledger, &change);
        return TERN_OK;
    }
    struct chain_write *write = write_new(chain, &change, proposed);
    if (write == NULL) {
        tern_ledger_abort(&chain->ledger, &change);
        return TERN_ERR_MEMORY;
    }
    head_update_pool(chain, clock, &change);
    head_answer(chain, &change, write);
    tern_ledger_commit(&chain->ledger, &change);
    tern_list_push_back(&chain->writes, &write->link);
    chain->writes_count++;
    chain->head_moved = true;
    return TERN_OK;
}

struct chain_write *chain_head_of_request(struct tern_chain *chain,
                                          const struct tern_store_request *request)
{
    TERN_LIST_FOREACH (link, &chain->writes) {
        if (&write_linked(link)->batch.request == request)
            return write_linked(link);
    }
    return NULL;
}

void chain_head_stored(struct tern_chain *chain, struct chain_write *write)
{
    TERN_CHECK(write->emitted && !write->stored);
    write->stored = true;
    if (write->batch.request.err != TERN_OK)
        chain_fail(chain, write->batch.request.err, "the store could not take a block");
}

void chain_head_release_told(struct tern_chain *chain)
{
    struct tern_list *link = tern_list_front(&chain->writes);
    if (link == NULL || !write_linked(link)->told)
        return;
    tern_list_remove(link);
    chain->writes_count--;
    write_free(chain, write_linked(link));
}

static void head_tell(struct tern_chain *chain, struct chain_write *write,
                      struct tern_chain_out *out)
{
    out->height = write->height;
    out->hash = write->hash;
    if (write->proposed != NULL && !write->proposed_told) {
        write->proposed_told = true;
        out->kind = TERN_CHAIN_OUT_PROPOSED;
        out->bytes = tern_view_of(write->proposed, write->proposed_size);
        return;
    }
    write->told = true;
    chain->stored.height = write->height;
    chain->stored.hash = write->hash;
    out->kind = TERN_CHAIN_OUT_HEAD;
    out->change = (struct tern_chain_change){
        .undone_count = write->undone_count,
        .blocks = write->blocks,
        .blocks_count = write->blocks_count,
        .trades = write->trades,
        .trades_count = write->trades_count,
    };
}

bool chain_head_next(struct tern_chain *chain, struct tern_chain_out *out)
{
    TERN_LIST_FOREACH (link, &chain->writes) {
        struct chain_write *write = write_linked(link);
        if (write->emitted || write->stored)
            continue;
        write->emitted = true;
        out->kind = TERN_CHAIN_OUT_STORE;
        out->request = &write->batch.request;
        return true;
    }
    struct tern_list *first = tern_list_front(&chain->writes);
    if (first == NULL || !write_linked(first)->stored || chain->phase == CHAIN_FAILED)
        return false;
    struct tern_list *answer;
    while ((answer = tern_list_front(&write_linked(first)->answers)) != NULL) {
        bool asked = !write_check(answer)->answered;
        chain_check_answer(chain, write_check(answer), TERN_OK, TERN_FAULT_NONE);
        chain_check_free(chain, write_check(answer));
        if (asked)
            return tern_ring_pop(&chain->outs, out);
    }
    head_tell(chain, write_linked(first), out);
    return true;
}

void chain_head_fini(struct tern_chain *chain)
{
    struct tern_list *link;
    while ((link = tern_list_pop_front(&chain->writes)) != NULL)
        write_free(chain, write_linked(link));
}
