#include "base/check.h"
#include "chain/chain_private.h"

enum { BLOCK_SEAL_BYTES = 256 };

static struct chain_check *check_linked(struct tern_list *link)
{
    return TERN_LIST_ENTRY(link, struct chain_check, link);
}

static struct tern_chain_out block_out(const struct tern_chain_in *in, const struct tern_hash *hash)
{
    return (struct tern_chain_out){
        .kind = TERN_CHAIN_OUT_BLOCK,
        .tag = in->tag,
        .source = in->source,
        .hash = *hash,
    };
}

void chain_check_answer(struct tern_chain *chain, struct chain_check *check, tern_err err,
                        tern_fault fault)
{
    if (check->answered) {
        if (fault != TERN_FAULT_NONE && check->source != 0)
            chain_emit(chain, &(struct tern_chain_out){
                                  .kind = TERN_CHAIN_OUT_BLAME,
                                  .source = check->source,
                                  .fault = fault,
                                  .hash = check->block.hash,
                              });
        return;
    }
    check->answered = true;
    chain_emit(chain, &(struct tern_chain_out){
                          .kind = TERN_CHAIN_OUT_BLOCK,
                          .err = err,
                          .fault = fault,
                          .side = check->side,
                          .tag = check->tag,
                          .source = check->source,
                          .hash = check->block.hash,
                          .parent = check->block.header.parent,
                          .height = check->block.header.height,
                      });
}

static void check_drop_bytes(struct tern_chain *chain, struct chain_check *check)
{
    tern_verify_job_fini(&check->verify);
    tern_mem_free(chain->mem, check->bytes, check->bytes_size);
    check->verify = (struct tern_verify_job){.mem = chain->mem};
    check->bytes = NULL;
    check->bytes_size = 0;
}

void chain_check_free(struct tern_chain *chain, struct chain_check *check)
{
    tern_list_remove(&check->link);
    chain->checks_count--;
    check_drop_bytes(chain, check);
    tern_mem_free(chain->mem, check, sizeof *check);
}

static struct chain_check *check_find(const struct tern_chain *chain, const struct tern_hash *hash)
{
    TERN_LIST_FOREACH (link, &chain->checks) {
        if (tern_hash_equal(&check_linked(link)->block.hash, hash))
            return check_linked(link);
    }
    return NULL;
}

struct chain_check *chain_block_of_job(struct tern_chain *chain, const struct tern_job *job)
{
    TERN_LIST_FOREACH (link, &chain->checks) {
        if (&check_linked(link)->verify.job == job)
            return check_linked(link);
    }
    return NULL;
}

/* The parent's header, be it in the tree or being checked itself; NULL: not known. */
static const struct tern_header *block_parent(const struct tern_chain *chain,
                                              const struct tern_hash *hash)
{
    const struct tern_tree_node *node = tern_tree_find(&chain->ledger.tree, hash);
    if (node != NULL)
        return &node->header;
    const struct chain_check *check = check_find(chain, hash);
    return check == NULL ? NULL : &check->block.header;
}

/* What is known of a block before any signature is looked at. TERN_ERR_AGAIN: its parent is not
 * known. */
static tern_err block_admit(struct tern_chain *chain, const struct tern_clock *clock,
                            const struct tern_block *block, tern_fault *fault)
{
    const struct tern_tree *tree = &chain->ledger.tree;
    *fault = TERN_FAULT_NONE;
    if (tern_tree_find(tree, &block->hash) != NULL || check_find(chain, &block->hash) != NULL ||
        tern_ledger_has(&chain->ledger, block->header.height, &block->hash))
        return TERN_ERR_EXISTS;
    *fault = TERN_FAULT_CHAIN_BLOCK_INVALID;
    if (tern_tree_invalid(tree, &block->hash) != TERN_FAULT_NONE)
        return TERN_ERR_PROTOCOL;
    *fault = TERN_FAULT_CHAIN_BLOCK_PARENT;
    if (tern_tree_invalid(tree, &block->header.parent) != TERN_FAULT_NONE)
        return TERN_ERR_PROTOCOL;
    *fault = TERN_FAULT_CHAIN_BLOCK_CHAIN;
    if (!tern_hash_equal(&block->header.chain, &chain->ledger.genesis_hash))
        return TERN_ERR_PROTOCOL;
    *fault = TERN_FAULT_CHAIN_BLOCK_OLD;
    if (block->header.height <= tree->root->header.height)
        return TERN_ERR_PROTOCOL;
    const struct tern_header *parent = block_parent(chain, &block->header.parent);
    *fault = TERN_FAULT_NONE;
    if (parent == NULL)
        return TERN_ERR_AGAIN;
    *fault =
        tern_ledger_check_header(&chain->ledger, parent, &block->header, tern_wall_ms(clock->wall));
    if (*fault == TERN_FAULT_NONE)
        *fault = tern_block_check_body(block);
    return *fault == TERN_FAULT_NONE ? TERN_OK : TERN_ERR_PROTOCOL;
}

/* Puts the seal, and the transactions that the pool has not verified, into the check's batch. */
static tern_err check_fill(struct tern_chain *chain, struct chain_check *check)
{
    size_t fresh = 0;
    struct tern_tx tx;
    struct tern_view bytes;
    struct tern_hash id;
    struct tern_block_txs it = tern_block_txs_of(&check->block);
    while (tern_block_txs_next(&it, &tx, &bytes)) {
        tern_tx_id(bytes, &id);
        fresh += tern_pool_find(&chain->pool, &id) == NULL;
    }
    TERN_TRY(tern_verify_job_init(&check->verify, chain->mem, fresh + 1,
                                  fresh * TERN_TX_VERIFY_BYTES + BLOCK_SEAL_BYTES));
    const struct tern_engine *engine = &chain->config.engine;
    TERN_TRY(engine->ops->add_seal(engine->self, &check->block.header, &check->verify,
                                   &check->seal_index));
    it = tern_block_txs_of(&check->block);
    while (tern_block_txs_next(&it, &tx, &bytes)) {
        size_t index;
        tern_tx_id(bytes, &id);
        if (tern_pool_find(&chain->pool, &id) == NULL)
            TERN_TRY(
                tern_tx_verify_add(bytes, &chain->ledger.genesis_hash, &check->verify, &index));
    }
    return TERN_OK;
}

static struct chain_check *check_new(struct tern_chain *chain, const struct tern_block *block)
{
    struct chain_check *check = tern_mem_zalloc(chain->mem, sizeof *check);
    if (check == NULL)
        return NULL;
    tern_list_init(&check->link);
    check->verify.mem = chain->mem;
    check->bytes = tern_mem_dup(chain->mem, block->bytes);
    check->bytes_size = block->bytes.size;
    tern_fault fault;
    if (check->bytes != NULL) {
        tern_err err =
            tern_block_decode(tern_view_of(check->bytes, check->bytes_size), &check->block, &fault);
        TERN_CHECK(err == TERN_OK);
        if (check_fill(chain, check) == TERN_OK) {
            tern_list_push_back(&chain->checks, &check->link);
            chain->checks_count++;
            return check;
        }
    }
    tern_verify_job_fini(&check->verify);
    tern_mem_free(chain->mem, check->bytes, check->bytes_size);
    tern_mem_free(chain->mem, check, sizeof *check);
    return NULL;
}

static tern_err block_orphan(struct tern_chain *chain, const struct tern_block *block,
                             uint64_t source, tern_fault *fault)
{
    tern_err err = tern_tree_orphan_add(&chain->ledger.tree, block, source, fault);
    return err == TERN_OK ? TERN_ERR_AGAIN : err;
}

void chain_block_in(struct tern_chain *chain, const struct tern_clock *clock,
                    const struct tern_chain_in *in)
{
    struct tern_block block = {.bytes = in->bytes};
    struct tern_chain_out out = block_out(in, &block.hash);
    out.err = tern_block_decode(in->bytes, &block, &out.fault);
    if (out.err == TERN_OK)
        out.err = block_admit(chain, clock, &block, &out.fault);
    else
        out.err = TERN_ERR_PROTOCOL;
    out.hash = block.hash;
    out.parent = block.header.parent;
    out.height = block.header.height;
    if (out.err == TERN_ERR_AGAIN)
        out.err = block_orphan(chain, &block, in->source, &out.fault);
    else if (out.err == TERN_OK && chain->checks_count >= TERN_CHAIN_CHECKS_MAX)
        out.err = TERN_ERR_FULL;
    if (out.err != TERN_OK) {
        chain_emit(chain, &out);
        return;
    }
    struct chain_check *check = check_new(chain, &block);
    if (check == NULL) {
        out.err = TERN_ERR_MEMORY;
        chain_emit(chain, &out);
        return;
    }
    check->tag = in->tag;
    check->source = in->source;
    check->solicited = in->solicited;
}

bool chain_block_next(struct tern_chain *chain, struct tern_chain_out *out)
{
    TERN_LIST_FOREACH (link, &chain->checks) {
        struct chain_check *check = check_linked(link);
        if (check->emitted)
            continue;
        check->emitted = true;
        out->kind = TERN_CHAIN_OUT_JOB;
        out->job = &check->verify.job;
        return true;
    }
    return false;
}

/* Did all signatures verify? A wrong seal is not held against the hash: it is not part of it. */
static tern_fault check_verdict(struct tern_chain *chain, const struct chain_check *check)
{
    const struct tern_verify_job *verify = &check->verify;
    if (check->seal_index != SIZE_MAX &&
        tern_verify_job_verdict(verify, check->seal_index) != TERN_OK)
        return TERN_FAULT_CHAIN_BLOCK_SEAL;
    for (size_t i = 0; i < verify->slots_count; i++) {
        if (i == check->seal_index || tern_verify_job_verdict(verify, i) == TERN_OK)
            continue;
        tern_tree_remember(&chain->ledger.tree, &check->block.hash,
                           TERN_FAULT_CHAIN_BLOCK_TX_INVALID);
        return TERN_FAULT_CHAIN_BLOCK_TX_INVALID;
    }
    return TERN_FAULT_NONE;
}

/* The block joins the tree, and waits among those that have for the move to the best chain. */
static tern_err check_join(struct tern_chain *chain, struct chain_check *check, tern_fault *fault)
{
    struct tern_tree_added added;
    struct tern_tree_offer offer = {
        .block = &check->block,
        .source = check->source,
        .solicited = check->solicited,
    };
    TERN_TRY(tern_tree_add(&chain->ledger.tree, &offer, &added, fault));
    if (added.twin != NULL)
        chain_emit(chain, &(struct tern_chain_out){
                              .kind = TERN_CHAIN_OUT_EQUIVOCATION,
                              .hash = check->block.hash,
                              .parent = added.twin->hash,
                              .height = check->block.header.height,
                          });
    chain_engine_joined(chain, &check->block.hash);
    check_drop_bytes(chain, check);
    tern_list_remove(&check->link);
    tern_list_push_back(&chain->joined, &check->link);
    return TERN_OK;
}

/* Orphans that waited for this block are looked at again, as if they came now. */
static void block_adopt(struct tern_chain *chain, const struct tern_clock *clock,
                        const struct tern_hash *parent)
{
    struct tern_tree *tree = &chain->ledger.tree;
    struct tern_tree_orphan *orphan;
    while (chain->checks_count < TERN_CHAIN_CHECKS_MAX &&
           (orphan = tern_tree_orphan_of(tree, parent)) != NULL) {
        struct tern_block block;
        tern_fault fault;
        tern_err err =
            tern_block_decode(tern_view_of(orphan->bytes, orphan->bytes_size), &block, &fault);
        TERN_CHECK(err == TERN_OK);
        err = block_admit(chain, clock, &block, &fault);
        struct chain_check *check = err == TERN_OK ? check_new(chain, &block) : NULL;
        if (check != NULL) {
            check->source = orphan->source;
            check->answered = true;
        } else if (err == TERN_ERR_PROTOCOL && orphan->source != 0) {
            chain_emit(chain, &(struct tern_chain_out){
                                  .kind = TERN_CHAIN_OUT_BLAME,
                                  .source = orphan->source,
                                  .fault = fault,
                                  .hash = block.hash,
                              });
        }
        tern_tree_orphan_free(tree, orphan);
    }
}

/* One check that is done and whose parent's fate is known; true: it has gone. */
static bool check_settle(struct tern_chain *chain, const struct tern_clock *clock,
                         struct chain_check *check)
{
    const struct tern_hash *parent = &check->block.header.parent;
    if (!check->done || check_find(chain, parent) != NULL)
        return false;
    tern_fault fault = check_verdict(chain, check);
    tern_err err = fault == TERN_FAULT_NONE ? TERN_OK : TERN_ERR_PROTOCOL;
    if (err == TERN_OK && tern_tree_find(&chain->ledger.tree, parent) == NULL) {
        bool invalid = tern_tree_invalid(&chain->ledger.tree, parent) != TERN_FAULT_NONE;
        fault = invalid ? TERN_FAULT_CHAIN_BLOCK_PARENT : TERN_FAULT_CHAIN_BLOCK_OLD;
        err = TERN_ERR_PROTOCOL;
    }
    if (err == TERN_OK)
        err = check_join(chain, check, &fault);
    if (err != TERN_OK) {
        chain_check_answer(chain, check, err, err == TERN_ERR_PROTOCOL ? fault : TERN_FAULT_NONE);
        chain_check_free(chain, check);
        return true;
    }
    struct tern_hash hash = check->block.hash;
    block_adopt(chain, clock, &hash);
    return true;
}

/* All checks that can be settled, one by one: the fate of one may decide another's. */
static void block_join_all(struct tern_chain *chain, const struct tern_clock *clock)
{
    bool progress = true;
    while (progress) {
        progress = false;
        TERN_LIST_FOREACH (link, &chain->checks) {
            progress = check_settle(chain, clock, check_linked(link));
            if (progress)
                break;
        }
    }
}

void chain_block_settle(struct tern_chain *chain, const struct tern_clock *clock)
{
    if (chain->phase != CHAIN_READY)
        return;
    block_join_all(chain, clock);
    if (tern_list_empty(&chain->joined) || !chain_head_may_move(chain) ||
        chain_head_move(chain, clock, NULL) == TERN_OK)
        return;
    /* No memory for the move: the blocks are in the tree, the move is tried again later. */
    struct tern_list *link;
    while ((link = tern_list_front(&chain->joined)) != NULL) {
        chain_check_answer(chain, check_linked(link), TERN_ERR_MEMORY, TERN_FAULT_NONE);
        chain_check_free(chain, check_linked(link));
    }
}

void chain_block_job_done(struct tern_chain *chain, const struct tern_clock *clock,
                          struct chain_check *check)
{
    TERN_CHECK(check->emitted && !check->done);
    check->done = true;
    chain_block_settle(chain, clock);
}

void chain_block_fini(struct tern_chain *chain)
{
    struct tern_list *link;
    while ((link = tern_list_front(&chain->checks)) != NULL ||
           (link = tern_list_front(&chain->joined)) != NULL)
        chain_check_free(chain, check_linked(link));
}
