#include "chain/ledger.h"

#include "base/check.h"

void tern_ledger_genesis_header(const struct tern_genesis *genesis, struct tern_header *header)
{
    *header = (struct tern_header){.height = 0, .time_ms = genesis->time_ms};
    tern_genesis_hash(genesis, &header->chain);
}

static tern_err ledger_index_reserve(struct tern_ledger *ledger, uint64_t height)
{
    size_t chunk = (size_t)(height / TERN_LEDGER_INDEX_CHUNK);
    if (chunk >= ledger->index_capacity) {
        size_t capacity = tern_max_size(16, ledger->index_capacity * 2);
        TERN_CHECK(chunk < capacity);
        void *index =
            tern_mem_realloc(ledger->mem, ledger->index, ledger->index_capacity * sizeof(void *),
                             capacity * sizeof(void *));
        if (index == NULL)
            return TERN_ERR_MEMORY;
        ledger->index = index;
        ledger->index_capacity = capacity;
    }
    while (ledger->index_chunks <= chunk) {
        struct tern_hash *hashes =
            tern_mem_alloc(ledger->mem, TERN_LEDGER_INDEX_CHUNK * sizeof *hashes);
        if (hashes == NULL)
            return TERN_ERR_MEMORY;
        ledger->index[ledger->index_chunks++] = hashes;
    }
    return TERN_OK;
}

static struct tern_hash *ledger_index_at(const struct tern_ledger *ledger, uint64_t height)
{
    size_t chunk = (size_t)(height / TERN_LEDGER_INDEX_CHUNK);
    TERN_CHECK(chunk < ledger->index_chunks);
    return &ledger->index[chunk][height % TERN_LEDGER_INDEX_CHUNK];
}

tern_err tern_ledger_index_set(struct tern_ledger *ledger, uint64_t height,
                               const struct tern_hash *hash)
{
    TERN_TRY(ledger_index_reserve(ledger, height));
    *ledger_index_at(ledger, height) = *hash;
    return TERN_OK;
}

const struct tern_hash *tern_ledger_index_hash(const struct tern_ledger *ledger, uint64_t height)
{
    return ledger_index_at(ledger, height);
}

static void ledger_index_fini(struct tern_ledger *ledger)
{
    for (size_t i = 0; i < ledger->index_chunks; i++)
        tern_mem_free(ledger->mem, ledger->index[i],
                      TERN_LEDGER_INDEX_CHUNK * sizeof(struct tern_hash));
    tern_mem_free(ledger->mem, ledger->index, ledger->index_capacity * sizeof(void *));
    ledger->index = NULL;
    ledger->index_chunks = 0;
    ledger->index_capacity = 0;
}

tern_err tern_ledger_init(struct tern_ledger *ledger, const struct tern_ledger_config *config)
{
    *ledger = (struct tern_ledger){
        .mem = config->mem,
        .genesis = config->genesis,
        .engine = config->engine,
    };
    struct tern_header root;
    tern_ledger_genesis_header(config->genesis, &root);
    ledger->genesis_hash = root.chain;
    struct tern_tree_config tree = {
        .mem = config->mem,
        .engine = config->engine,
        .limits = config->limits,
        .hash_key = {config->hash_key[0], config->hash_key[1]},
    };
    TERN_TRY(tern_tree_init(&ledger->tree, &tree, &root, &ledger->genesis_hash));
    tern_state_init(&ledger->state, config->mem, config->hash_key);
    tern_err err = tern_apply_genesis(&ledger->state, config->genesis);
    if (err == TERN_OK)
        err = tern_ledger_index_set(ledger, 0, &ledger->genesis_hash);
    if (err != TERN_OK)
        tern_ledger_fini(ledger);
    return err;
}

void tern_ledger_fini(struct tern_ledger *ledger)
{
    tern_state_fini(&ledger->state);
    tern_tree_fini(&ledger->tree);
    ledger_index_fini(ledger);
}

tern_fault tern_ledger_check_header(const struct tern_ledger *ledger,
                                    const struct tern_header *parent,
                                    const struct tern_header *header, tern_time_ms now_ms)
{
    if (!tern_hash_equal(&header->chain, &ledger->genesis_hash))
        return TERN_FAULT_CHAIN_BLOCK_CHAIN;
    if (header->height != parent->height + 1)
        return TERN_FAULT_CHAIN_BLOCK_HEIGHT;
    if (header->time_ms > TERN_TIME_MS_MAX || header->time_ms <= parent->time_ms)
        return TERN_FAULT_CHAIN_BLOCK_TIME;
    if (now_ms != 0 && header->time_ms > now_ms + ledger->genesis->drift_ms)
        return TERN_FAULT_CHAIN_BLOCK_FUTURE;
    return ledger->engine.ops->check_header(ledger->engine.self, parent, header);
}

/* Undoes the blocks from the head down to the fork. */
static tern_err ledger_unwind(struct tern_ledger *ledger, struct tern_ledger_change *change)
{
    for (struct tern_tree_node *n = change->head_old; n != change->fork; n = n->parent) {
        struct tern_state_diff diff;
        TERN_CHECK(n->main && n->undo != NULL);
        tern_err err =
            tern_state_diff_decode(tern_view_of(n->undo, n->undo_size), ledger->mem, &diff);
        TERN_CHECK(err == TERN_OK || err == TERN_ERR_MEMORY);
        if (err == TERN_OK)
            err = tern_state_undo(&ledger->state, &diff);
        tern_state_diff_fini(&diff);
        TERN_TRY(err);
        change->undone_count++;
    }
    return TERN_OK;
}

static tern_err ledger_encode_undo(struct tern_ledger *ledger, struct tern_tree_node *node,
                                   const struct tern_state_diff *diff)
{
    size_t size = tern_state_diff_size(diff);
    uint8_t *undo = tern_mem_alloc(ledger->mem, size);
    if (undo == NULL)
        return TERN_ERR_MEMORY;
    struct tern_writer w = tern_writer_of(undo, size);
    tern_state_diff_encode(diff, &w);
    TERN_CHECK(tern_writer_ok(&w) && w.size == size);
    tern_mem_free(ledger->mem, node->undo, node->undo_size);
    node->undo = undo;
    node->undo_size = size;
    return TERN_OK;
}

static tern_err ledger_apply_one(struct tern_ledger *ledger, struct tern_ledger_change *change,
                                 size_t i)
{
    struct tern_tree_node *node = change->applied[i];
    struct tern_apply_result *result = &change->results[i];
    struct tern_block block;
    tern_fault fault;
    tern_err err = tern_block_decode(tern_view_of(node->bytes, node->bytes_size), &block, &fault);
    TERN_CHECK(err == TERN_OK);
    err = tern_apply_block(&ledger->state, ledger->genesis, &block, result, &fault);
    if (err == TERN_OK)
        err = ledger_encode_undo(ledger, node, &result->diff);
    if (err == TERN_ERR_PROTOCOL) {
        change->fault = fault;
        change->fault_hash = node->hash;
        change->fault_source = node->source;
        change->fault_tx = result->tx_fault;
        tern_tree_invalidate(&ledger->tree, node, fault);
    }
    return err;
}

static void ledger_change_fini(struct tern_ledger *ledger, struct tern_ledger_change *change)
{
    for (size_t i = 0; i < change->applied_count; i++)
        tern_apply_result_fini(&change->results[i]);
    tern_mem_free(ledger->mem, change->results, change->applied_count * sizeof *change->results);
    tern_mem_free(ledger->mem, change->applied, change->applied_count * sizeof(void *));
    change->applied = NULL;
    change->results = NULL;
    change->applied_count = 0;
    if (change->diff.mem != NULL)
        tern_state_diff_fini(&change->diff);
}

/* Lists the blocks from the fork up to the new head. */
static tern_err ledger_list(struct tern_ledger *ledger, struct tern_ledger_change *change)
{
    size_t count = (size_t)(change->head_new->header.height - change->fork->header.height);
    if (count == 0)
        return TERN_OK;
    struct tern_tree_node **applied = tern_mem_zalloc(ledger->mem, count * sizeof *applied);
    struct tern_apply_result *results = tern_mem_zalloc(ledger->mem, count * sizeof *results);
    if (applied == NULL || results == NULL) {
        tern_mem_free(ledger->mem, applied, count * sizeof *applied);
        tern_mem_free(ledger->mem, results, count * sizeof *results);
        return TERN_ERR_MEMORY;
    }
    change->applied = applied;
    change->results = results;
    change->applied_count = count;
    struct tern_tree_node *node = change->head_new;
    for (size_t i = count; i > 0; i--) {
        applied[i - 1] = node;
        results[i - 1].mem = ledger->mem;
        results[i - 1].diff.mem = ledger->mem;
        node = node->parent;
    }
    return TERN_OK;
}

static tern_err ledger_wind(struct tern_ledger *ledger, struct tern_ledger_change *change)
{
    TERN_TRY(ledger_list(ledger, change));
    for (size_t i = 0; i < change->applied_count; i++)
        TERN_TRY(ledger_apply_one(ledger, change, i));
    for (size_t i = 0; i < change->applied_count; i++)
        TERN_TRY(ledger_index_reserve(ledger, change->applied[i]->header.height));
    return tern_state_diff(&ledger->state, change->mark, &change->diff);
}

static tern_err ledger_try(struct tern_ledger *ledger, struct tern_ledger_change *change)
{
    struct tern_tree *tree = &ledger->tree;
    change->head_old = tree->head;
    change->head_new = tern_tree_best(tree);
    change->fork = tern_tree_fork(change->head_old, change->head_new);
    change->undone_count = 0;
    change->mark = tern_state_mark(&ledger->state);
    change->diff = (struct tern_state_diff){.mem = ledger->mem};
    tern_err err = TERN_OK;
    if (change->head_new != change->head_old) {
        err = ledger_unwind(ledger, change);
        if (err == TERN_OK)
            err = ledger_wind(ledger, change);
    }
    if (err != TERN_OK) {
        tern_state_rollback(&ledger->state, change->mark);
        ledger_change_fini(ledger, change);
    }
    return err;
}

tern_err tern_ledger_prepare(struct tern_ledger *ledger, struct tern_ledger_change *change)
{
    *change = (struct tern_ledger_change){.fault = TERN_FAULT_NONE};
    /* Each round that does not end it removes a block from the tree. */
    size_t rounds_max = tern_map_count(&ledger->tree.nodes) + 1;
    for (size_t i = 0; i < rounds_max; i++) {
        tern_err err = ledger_try(ledger, change);
        if (err != TERN_ERR_PROTOCOL)
            return err;
    }
    TERN_UNREACHABLE();
}

void tern_ledger_commit(struct tern_ledger *ledger, struct tern_ledger_change *change)
{
    for (size_t i = 0; i < change->applied_count; i++)
        *ledger_index_at(ledger, change->applied[i]->header.height) = change->applied[i]->hash;
    if (change->head_new != change->head_old)
        tern_tree_set_head(&ledger->tree, change->head_new);
    tern_state_commit(&ledger->state);
    ledger_change_fini(ledger, change);
    tern_tree_prune(&ledger->tree);
}

void tern_ledger_abort(struct tern_ledger *ledger, struct tern_ledger_change *change)
{
    tern_state_rollback(&ledger->state, change->mark);
    ledger_change_fini(ledger, change);
}

bool tern_ledger_hash_at(const struct tern_ledger *ledger, uint64_t height, struct tern_hash *hash)
{
    if (height > ledger->tree.head->header.height)
        return false;
    *hash = *ledger_index_at(ledger, height);
    return true;
}

const struct tern_tree_node *tern_ledger_node_at(const struct tern_ledger *ledger, uint64_t height)
{
    struct tern_hash hash;
    if (height < ledger->tree.root->header.height || !tern_ledger_hash_at(ledger, height, &hash))
        return NULL;
    return tern_tree_find(&ledger->tree, &hash);
}

bool tern_ledger_has(const struct tern_ledger *ledger, uint64_t height,
                     const struct tern_hash *hash)
{
    struct tern_hash at;
    return tern_ledger_hash_at(ledger, height, &at) && tern_hash_equal(&at, hash);
}
