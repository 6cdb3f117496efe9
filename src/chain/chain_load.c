#include "base/check.h"
#include "chain/chain_private.h"

/*
 * Reading the chain back, one request at a time:
 *
 *   META head ─┬─ none ──► WRITE genesis ──► ready
 *              └─ HEIGHT rows ─► STATE rows ─► (BLOCK, UNDO) from the root to the head ─► compare
 * ─► ready
 */

enum { LOAD_HEIGHT_ROWS = 65536, LOAD_STATE_ROWS = 32768 };

static void load_ask(struct tern_chain *chain, enum tern_store_request_kind kind,
                     enum tern_chain_space space, struct tern_view key)
{
    struct chain_load *load = &chain->load;
    TERN_CHECK(!load->out && key.size <= sizeof load->key);
    if (key.size > 0)
        memcpy(load->key, key.data, key.size);
    load->request = (struct tern_store_request){
        .kind = kind,
        .space = (uint8_t)space,
        .key = tern_view_of(load->key, key.size),
        .rows_max = kind == TERN_STORE_SCAN
                        ? (space == TERN_CHAIN_SPACE_STATE ? LOAD_STATE_ROWS : LOAD_HEIGHT_ROWS)
                        : 1,
        .result = {load->buffer, TERN_CHAIN_SCAN_SIZE},
    };
    tern_list_init(&load->request.link);
    load->out = true;
    load->emitted = false;
}

static void load_ask_at(struct tern_chain *chain, enum tern_store_request_kind kind,
                        enum tern_chain_space space, uint64_t height)
{
    uint8_t key[TERN_STORE_HEIGHT_KEY_SIZE];
    tern_store_height_key(height, key);
    load_ask(chain, kind, space, tern_view_of(key, sizeof key));
}

void chain_load_start(struct tern_chain *chain)
{
    chain->phase = CHAIN_LOAD_HEAD;
    load_ask(chain, TERN_STORE_GET, TERN_CHAIN_SPACE_META, tern_view_str(TERN_STORE_HEAD_KEY));
}

bool chain_load_next(struct tern_chain *chain, struct tern_chain_out *out)
{
    struct chain_load *load = &chain->load;
    if (!load->out || load->emitted)
        return false;
    load->emitted = true;
    out->kind = TERN_CHAIN_OUT_STORE;
    out->request = &load->request;
    return true;
}

static void load_ready(struct tern_chain *chain)
{
    const struct tern_tree_node *head = chain->ledger.tree.head;
    chain->phase = CHAIN_READY;
    chain->stored.height = head->header.height;
    chain->stored.hash = head->hash;
    chain->head_moved = true;
    tern_mem_free(chain->mem, chain->load.buffer, TERN_CHAIN_SCAN_SIZE);
    chain->load.buffer = NULL;
    chain_emit(chain, &(struct tern_chain_out){
                          .kind = TERN_CHAIN_OUT_READY,
                          .height = head->header.height,
                          .hash = head->hash,
                      });
}

/* A store without a chain: the genesis is its first content. */
static void load_write_genesis(struct tern_chain *chain)
{
    struct chain_write *write = tern_mem_zalloc(chain->mem, sizeof *write);
    if (write == NULL || tern_store_batch_of_genesis(&chain->ledger, &write->batch) != TERN_OK) {
        tern_mem_free(chain->mem, write, sizeof *write);
        chain_fail(chain, TERN_ERR_MEMORY, "there is no memory to store the genesis");
        return;
    }
    tern_list_init(&write->link);
    tern_list_init(&write->answers);
    write->hash = chain->ledger.genesis_hash;
    tern_list_push_back(&chain->writes, &write->link);
    chain->writes_count++;
    chain->phase = CHAIN_LOAD_GENESIS;
}

void chain_load_genesis_stored(struct tern_chain *chain)
{
    struct tern_list *first = tern_list_front(&chain->writes);
    TERN_CHECK(first != NULL);
    struct chain_write *write = TERN_LIST_ENTRY(first, struct chain_write, link);
    tern_err err = write->batch.request.err;
    write->told = true;
    write->stored = true;
    if (err == TERN_OK)
        load_ready(chain);
    else
        chain_fail(chain, err, "the store could not take the genesis");
}

static bool load_row(struct tern_chain *chain, struct tern_view *value)
{
    struct tern_store_rows rows = tern_store_rows_of(&chain->load.request);
    struct tern_view key;
    return tern_store_rows_next(&rows, &key, value);
}

static void load_head(struct tern_chain *chain)
{
    struct chain_load *load = &chain->load;
    struct tern_view value;
    if (load->request.err == TERN_ERR_NOT_FOUND) {
        load_write_genesis(chain);
        return;
    }
    if (load->request.err != TERN_OK || !load_row(chain, &value) ||
        tern_store_head_decode(value, &load->head) != TERN_OK) {
        chain_fail(chain, TERN_ERR_CORRUPT, "the stored head cannot be read");
        return;
    }
    if (!tern_hash_equal(&load->head.genesis, &chain->ledger.genesis_hash)) {
        chain_fail(chain, TERN_ERR_INVALID, "the store holds another chain");
        return;
    }
    chain->phase = CHAIN_LOAD_HEIGHTS;
    load_ask_at(chain, TERN_STORE_SCAN, TERN_CHAIN_SPACE_HEIGHT, 0);
}

/* Starts the state afresh: what the genesis put there is in the store as well. */
static void load_state_start(struct tern_chain *chain)
{
    struct chain_load *load = &chain->load;
    if (load->heights_count != load->head.height + 1 ||
        !tern_hash_equal(tern_ledger_index_hash(&chain->ledger, 0), &load->head.genesis) ||
        !tern_hash_equal(tern_ledger_index_hash(&chain->ledger, load->head.height),
                         &load->head.hash)) {
        chain_fail(chain, TERN_ERR_CORRUPT, "the stored heights do not lead to the head");
        return;
    }
    tern_state_fini(&chain->ledger.state);
    tern_state_init(&chain->ledger.state, chain->mem, chain->hash_key);
    chain->phase = CHAIN_LOAD_STATE;
    load_ask(chain, TERN_STORE_SCAN, TERN_CHAIN_SPACE_STATE, tern_view_of(NULL, 0));
}

/* The hash of the block whose row this is; headers must follow one from the other. */
static tern_err load_height_hash(struct tern_chain *chain, struct tern_view value,
                                 struct tern_hash *hash)
{
    uint64_t height = chain->load.heights_count;
    struct tern_header header;
    if (height == 0) {
        if (value.size != TERN_HASH_SIZE)
            return TERN_ERR_CORRUPT;
        memcpy(hash->bytes, value.data, TERN_HASH_SIZE);
        return TERN_OK;
    }
    struct tern_view bytes;
    if (tern_store_header_of(value, &bytes) != TERN_OK ||
        tern_header_decode(bytes, &header) != TERN_OK || header.height != height ||
        !tern_hash_equal(&header.parent, tern_ledger_index_hash(&chain->ledger, height - 1)))
        return TERN_ERR_CORRUPT;
    tern_header_hash(&header, hash);
    return TERN_OK;
}

static tern_err load_height_row(struct tern_chain *chain, struct tern_view key,
                                struct tern_view value)
{
    uint8_t expected[TERN_STORE_HEIGHT_KEY_SIZE];
    struct chain_load *load = &chain->load;
    struct tern_hash hash;
    tern_store_height_key(load->heights_count, expected);
    if (!tern_view_equal(key, tern_view_of(expected, sizeof expected)) ||
        load->heights_count > load->head.height)
        return TERN_ERR_CORRUPT;
    TERN_TRY(load_height_hash(chain, value, &hash));
    TERN_TRY(tern_ledger_index_set(&chain->ledger, load->heights_count, &hash));
    load->heights_count++;
    return TERN_OK;
}

static tern_err load_state_row(struct tern_chain *chain, struct tern_view key,
                               struct tern_view value)
{
    if (key.size > TERN_STATE_KEY_MAX || value.size == 0 || value.size > TERN_STATE_VALUE_MAX)
        return TERN_ERR_CORRUPT;
    TERN_TRY(tern_row_check(key, value));
    TERN_TRY(tern_state_put(&chain->ledger.state, key, value));
    tern_state_commit(&chain->ledger.state);
    return TERN_OK;
}

/* Takes the rows of a scan; *after is the key from which the scan goes on: the last one and a zero
 * byte. */
static tern_err load_rows(struct tern_chain *chain,
                          tern_err (*take)(struct tern_chain *, struct tern_view, struct tern_view),
                          struct tern_writer *after)
{
    struct tern_store_rows rows = tern_store_rows_of(&chain->load.request);
    struct tern_view key;
    struct tern_view value;
    while (tern_store_rows_next(&rows, &key, &value)) {
        TERN_TRY(take(chain, key, value));
        after->size = 0;
        tern_writer_bytes(after, key);
        tern_writer_u8(after, 0);
    }
    if (rows.corrupt || !tern_writer_ok(after) || (chain->load.request.more && after->size == 0))
        return TERN_ERR_CORRUPT;
    return TERN_OK;
}

static void load_ask_block(struct tern_chain *chain)
{
    struct tern_hash hash;
    chain->phase = CHAIN_LOAD_BLOCKS;
    TERN_CHECK(chain->load.at <= chain->load.head.height);
    /* The head is not set yet, so the index is read past the ledger's own bound. */
    hash = *tern_ledger_index_hash(&chain->ledger, chain->load.at);
    load_ask(chain, TERN_STORE_GET, TERN_CHAIN_SPACE_BLOCK, tern_hash_view(&hash));
}

static void load_finish(struct tern_chain *chain)
{
    const struct tern_tree_node *head = chain->ledger.tree.head;
    struct tern_hash root;
    tern_state_root(&chain->ledger.state, &root);
    struct tern_hash expected = head->header.state_root;
    if (head->header.height == 0) {
        struct tern_state genesis;
        tern_state_init(&genesis, chain->mem, chain->hash_key);
        tern_err err = tern_apply_genesis(&genesis, chain->config.genesis);
        tern_state_root(&genesis, &expected);
        tern_state_fini(&genesis);
        if (err != TERN_OK) {
            chain_fail(chain, err, "there is no memory to check the state");
            return;
        }
    }
    if (!tern_hash_equal(&root, &expected)) {
        chain_fail(chain, TERN_ERR_CORRUPT, "the stored state does not have the head's root");
        return;
    }
    load_ready(chain);
}

/* All state is here: go on with the blocks that can still change, from the root up. */
static void load_blocks_start(struct tern_chain *chain)
{
    struct chain_load *load = &chain->load;
    uint64_t depth = chain->config.tree.depth_max;
    load->root_height = load->head.height > depth ? load->head.height - depth : 0;
    load->at = load->root_height;
    if (load->root_height == 0) { /* block 0 is the genesis, which the tree has */
        load->tree_ready = true;
        load->at = 1;
    }
    if (load->at > load->head.height)
        load_finish(chain);
    else
        load_ask_block(chain);
}

static void load_scanned(struct tern_chain *chain)
{
    uint8_t bytes[TERN_STATE_KEY_MAX + 8];
    struct tern_writer after = tern_writer_of(bytes, sizeof bytes);
    bool heights = chain->phase == CHAIN_LOAD_HEIGHTS;
    tern_err err = chain->load.request.err;
    if (err == TERN_OK)
        err = load_rows(chain, heights ? load_height_row : load_state_row, &after);
    if (err != TERN_OK)
        chain_fail(chain, err,
                   heights ? "the stored heights are damaged" : "the stored state is damaged");
    else if (chain->load.request.more)
        load_ask(chain, TERN_STORE_SCAN, heights ? TERN_CHAIN_SPACE_HEIGHT : TERN_CHAIN_SPACE_STATE,
                 tern_writer_view(&after));
    else if (heights)
        load_state_start(chain);
    else
        load_blocks_start(chain);
}

/* A block from the store: it must be the one the index names, and follow its parent. */
static tern_err load_block_check(struct tern_chain *chain, struct tern_view value,
                                 struct tern_block *block)
{
    const struct chain_load *load = &chain->load;
    tern_fault fault;
    tern_err err = tern_block_decode(value, block, &fault);
    if (err != TERN_OK || block->header.height != load->at ||
        !tern_hash_equal(&block->hash, tern_ledger_index_hash(&chain->ledger, load->at)) ||
        tern_block_check_body(block) != TERN_FAULT_NONE)
        return TERN_ERR_CORRUPT;
    const struct tern_tree_node *head = chain->ledger.tree.head;
    const struct tern_engine *engine = &chain->config.engine;
    if (load->tree_ready && !tern_hash_equal(&block->header.parent, &head->hash))
        return TERN_ERR_CORRUPT;
    return engine->ops->check_seal(engine->self, &block->header) == TERN_FAULT_NONE
               ? TERN_OK
               : TERN_ERR_CORRUPT;
}

static tern_err load_block(struct tern_chain *chain)
{
    struct chain_load *load = &chain->load;
    struct tern_view value;
    struct tern_block block;
    if (load->request.err != TERN_OK || !load_row(chain, &value))
        return TERN_ERR_CORRUPT;
    TERN_TRY(load_block_check(chain, value, &block));
    if (!load->tree_ready) {
        tern_tree_reroot(&chain->ledger.tree, &block.header, &block.hash);
        load->tree_ready = true;
        load->at++;
        if (load->at > load->head.height)
            load_finish(chain);
        else
            load_ask_block(chain);
        return TERN_OK;
    }
    struct tern_tree_added added;
    tern_fault fault;
    TERN_TRY(tern_tree_add(&chain->ledger.tree,
                           &(struct tern_tree_offer){.block = &block, .solicited = true}, &added,
                           &fault));
    tern_tree_set_head(&chain->ledger.tree, added.node);
    chain->phase = CHAIN_LOAD_UNDO;
    load_ask_at(chain, TERN_STORE_GET, TERN_CHAIN_SPACE_UNDO, load->at);
    return TERN_OK;
}

static tern_err load_undo(struct tern_chain *chain)
{
    struct chain_load *load = &chain->load;
    struct tern_view value;
    if (load->request.err != TERN_OK || !load_row(chain, &value))
        return TERN_ERR_CORRUPT;
    struct tern_state_diff diff;
    TERN_TRY(tern_state_diff_decode(value, chain->mem, &diff));
    struct tern_hash root;
    tern_state_diff_root(&diff, &root);
    tern_state_diff_fini(&diff);
    struct tern_tree_node *head = chain->ledger.tree.head;
    if (!tern_hash_equal(&root, &head->header.diff_root))
        return TERN_ERR_CORRUPT;
    head->undo = tern_mem_dup(chain->mem, value);
    if (head->undo == NULL)
        return TERN_ERR_MEMORY;
    head->undo_size = value.size;
    load->at++;
    if (load->at > load->head.height)
        load_finish(chain);
    else
        load_ask_block(chain);
    return TERN_OK;
}

void chain_load_stored(struct tern_chain *chain)
{
    struct chain_load *load = &chain->load;
    TERN_CHECK(load->out && load->emitted);
    load->out = false;
    tern_err err = TERN_OK;
    switch (chain->phase) {
    case CHAIN_LOAD_HEAD:
        load_head(chain);
        break;
    case CHAIN_LOAD_HEIGHTS:
    case CHAIN_LOAD_STATE:
        load_scanned(chain);
        break;
    case CHAIN_LOAD_BLOCKS:
        err = load_block(chain);
        break;
    case CHAIN_LOAD_UNDO:
        err = load_undo(chain);
        break;
    case CHAIN_LOAD_GENESIS:
    case CHAIN_READY:
    case CHAIN_FAILED:
        break;
    }
    if (err != TERN_OK)
        chain_fail(chain, err, "a stored block is damaged");
}

void chain_load_fini(struct tern_chain *chain)
{
    tern_mem_free(chain->mem, chain->load.buffer, TERN_CHAIN_SCAN_SIZE);
    chain->load.buffer = NULL;
}
