#include "chain/store_schema.h"

#include "base/check.h"
#include "crypto/sha256.h"

void tern_store_height_key(uint64_t height, uint8_t key[TERN_STORE_HEIGHT_KEY_SIZE])
{
    struct tern_writer w = tern_writer_of(key, TERN_STORE_HEIGHT_KEY_SIZE);
    tern_writer_u64be(&w, height);
}

tern_err tern_store_header_of(struct tern_view value, struct tern_view *header)
{
    if (value.size < TERN_STORE_DIGEST_SIZE)
        return TERN_ERR_CORRUPT;
    uint8_t digest[TERN_SHA256_SIZE];
    *header = tern_view_of(value.data, value.size - TERN_STORE_DIGEST_SIZE);
    tern_sha256(*header, digest);
    bool same = memcmp(digest, value.data + header->size, TERN_STORE_DIGEST_SIZE) == 0;
    return same ? TERN_OK : TERN_ERR_CORRUPT;
}

tern_err tern_store_head_decode(struct tern_view value, struct tern_store_head *head)
{
    struct tern_reader r = tern_reader_of(value);
    uint8_t version = 0;
    tern_reader_u8(&r, &version);
    tern_reader_copy(&r, head->genesis.bytes, TERN_HASH_SIZE);
    tern_reader_u64le(&r, &head->height);
    tern_reader_copy(&r, head->hash.bytes, TERN_HASH_SIZE);
    return tern_reader_end(&r) == TERN_OK && version == 1 ? TERN_OK : TERN_ERR_CORRUPT;
}

/* What a batch will hold, counted before it takes memory. */
struct batch_size {
    size_t ops;
    size_t bytes;
};

static void batch_count(struct batch_size *size, size_t key, size_t value)
{
    size->ops++;
    size->bytes += key + value;
}

static tern_err batch_init(struct tern_store_batch *batch, struct tern_mem *mem,
                           const struct batch_size *size)
{
    *batch = (struct tern_store_batch){.mem = mem};
    batch->ops = tern_mem_zalloc(mem, size->ops * sizeof *batch->ops);
    batch->bytes = tern_mem_alloc(mem, size->bytes);
    batch->ops_capacity = size->ops;
    batch->bytes_capacity = size->bytes;
    if (batch->ops != NULL && batch->bytes != NULL)
        return TERN_OK;
    tern_store_batch_fini(batch);
    return TERN_ERR_MEMORY;
}

void tern_store_batch_fini(struct tern_store_batch *batch)
{
    tern_mem_free(batch->mem, batch->ops, batch->ops_capacity * sizeof *batch->ops);
    tern_mem_free(batch->mem, batch->bytes, batch->bytes_capacity);
    *batch = (struct tern_store_batch){.mem = batch->mem};
}

static struct tern_view batch_copy(struct tern_store_batch *batch, struct tern_view bytes)
{
    TERN_CHECK(bytes.size <= batch->bytes_capacity - batch->bytes_used);
    uint8_t *to = batch->bytes + batch->bytes_used;
    if (bytes.size > 0)
        memcpy(to, bytes.data, bytes.size);
    batch->bytes_used += bytes.size;
    return tern_view_of(to, bytes.size);
}

static void batch_put(struct tern_store_batch *batch, enum tern_chain_space space,
                      struct tern_view key, struct tern_view value)
{
    TERN_CHECK(batch->ops_count < batch->ops_capacity);
    struct tern_store_op *op = &batch->ops[batch->ops_count++];
    op->kind = TERN_STORE_PUT;
    op->space = (uint8_t)space;
    op->key = batch_copy(batch, key);
    op->value = batch_copy(batch, value);
}

static void batch_delete(struct tern_store_batch *batch, enum tern_chain_space space,
                         struct tern_view key)
{
    TERN_CHECK(batch->ops_count < batch->ops_capacity);
    struct tern_store_op *op = &batch->ops[batch->ops_count++];
    op->kind = TERN_STORE_DELETE;
    op->space = (uint8_t)space;
    op->key = batch_copy(batch, key);
}

static void batch_put_at(struct tern_store_batch *batch, enum tern_chain_space space,
                         uint64_t height, struct tern_view value)
{
    uint8_t key[TERN_STORE_HEIGHT_KEY_SIZE];
    tern_store_height_key(height, key);
    batch_put(batch, space, tern_view_of(key, sizeof key), value);
}

static void batch_delete_at(struct tern_store_batch *batch, enum tern_chain_space space,
                            uint64_t height)
{
    uint8_t key[TERN_STORE_HEIGHT_KEY_SIZE];
    tern_store_height_key(height, key);
    batch_delete(batch, space, tern_view_of(key, sizeof key));
}

static void batch_put_head(struct tern_store_batch *batch, const struct tern_ledger *ledger,
                           uint64_t height, const struct tern_hash *hash)
{
    uint8_t value[TERN_STORE_HEAD_SIZE];
    struct tern_writer w = tern_writer_of(value, sizeof value);
    tern_writer_u8(&w, 1);
    tern_writer_bytes(&w, tern_hash_view(&ledger->genesis_hash));
    tern_writer_u64le(&w, height);
    tern_writer_bytes(&w, tern_hash_view(hash));
    batch_put(batch, TERN_CHAIN_SPACE_META, tern_view_str(TERN_STORE_HEAD_KEY),
              tern_writer_view(&w));
}

static void batch_finish(struct tern_store_batch *batch)
{
    TERN_CHECK(batch->ops_count == batch->ops_capacity);
    batch->request = (struct tern_store_request){
        .kind = TERN_STORE_WRITE,
        .ops = batch->ops,
        .ops_count = batch->ops_count,
    };
    tern_list_init(&batch->request.link);
}

/* The lowest height whose undo data are still kept with this head. */
static uint64_t batch_undo_from(const struct tern_ledger *ledger, uint64_t head)
{
    uint64_t depth = ledger->tree.limits.depth_max;
    return head > depth ? head - depth + 1 : 1;
}

static size_t batch_header_size(const struct tern_header *header)
{
    return TERN_HEADER_CORE_SIZE + 1U + header->seal_size + TERN_STORE_DIGEST_SIZE;
}

static void batch_put_header(struct tern_store_batch *batch, const struct tern_header *header)
{
    uint8_t bytes[TERN_HEADER_SIZE_MAX + TERN_STORE_DIGEST_SIZE];
    uint8_t digest[TERN_SHA256_SIZE];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_header_encode(header, &w);
    tern_sha256(tern_writer_view(&w), digest);
    tern_writer_bytes(&w, tern_view_of(digest, TERN_STORE_DIGEST_SIZE));
    TERN_CHECK(tern_writer_ok(&w));
    batch_put_at(batch, TERN_CHAIN_SPACE_HEIGHT, header->height, tern_writer_view(&w));
}

static struct batch_size batch_change_size(const struct tern_ledger *ledger,
                                           const struct tern_ledger_change *change)
{
    struct batch_size size = {.ops = 0};
    uint64_t old_height = change->head_old->header.height;
    uint64_t new_height = change->head_new->header.height;
    for (size_t i = 0; i < change->diff.count; i++)
        batch_count(&size, change->diff.deltas[i].key_size, change->diff.deltas[i].new_size);
    for (size_t i = 0; i < change->applied_count; i++) {
        const struct tern_tree_node *node = change->applied[i];
        batch_count(&size, TERN_HASH_SIZE, node->bytes_size);
        batch_count(&size, TERN_STORE_HEIGHT_KEY_SIZE, batch_header_size(&node->header));
        batch_count(&size, TERN_STORE_HEIGHT_KEY_SIZE, node->undo_size);
    }
    for (size_t i = 0; i < change->undone_count; i++)
        batch_count(&size, TERN_HASH_SIZE, 0);
    for (uint64_t h = new_height + 1; h <= old_height; h++) {
        batch_count(&size, TERN_STORE_HEIGHT_KEY_SIZE, 0);
        batch_count(&size, TERN_STORE_HEIGHT_KEY_SIZE, 0);
    }
    for (uint64_t h = batch_undo_from(ledger, old_height); h < batch_undo_from(ledger, new_height);
         h++)
        batch_count(&size, TERN_STORE_HEIGHT_KEY_SIZE, 0);
    batch_count(&size, sizeof TERN_STORE_HEAD_KEY - 1, TERN_STORE_HEAD_SIZE);
    return size;
}

static void batch_add_state(struct tern_store_batch *batch, const struct tern_state_diff *diff)
{
    for (size_t i = 0; i < diff->count; i++) {
        const struct tern_state_delta *delta = &diff->deltas[i];
        struct tern_view key = tern_view_of(delta->key, delta->key_size);
        if (delta->new_size == 0)
            batch_delete(batch, TERN_CHAIN_SPACE_STATE, key);
        else
            batch_put(batch, TERN_CHAIN_SPACE_STATE, key,
                      tern_view_of(delta->new_value, delta->new_size));
    }
}

tern_err tern_store_batch_of_change(const struct tern_ledger *ledger,
                                    const struct tern_ledger_change *change,
                                    struct tern_store_batch *batch)
{
    uint64_t old_height = change->head_old->header.height;
    uint64_t new_height = change->head_new->header.height;
    struct batch_size size = batch_change_size(ledger, change);
    TERN_TRY(batch_init(batch, ledger->mem, &size));
    batch_add_state(batch, &change->diff);
    const struct tern_tree_node *undone = change->head_old;
    for (size_t i = 0; i < change->undone_count; i++, undone = undone->parent)
        batch_delete(batch, TERN_CHAIN_SPACE_BLOCK, tern_hash_view(&undone->hash));
    for (uint64_t h = new_height + 1; h <= old_height; h++) {
        batch_delete_at(batch, TERN_CHAIN_SPACE_HEIGHT, h);
        batch_delete_at(batch, TERN_CHAIN_SPACE_UNDO, h);
    }
    for (size_t i = 0; i < change->applied_count; i++) {
        const struct tern_tree_node *node = change->applied[i];
        batch_put(batch, TERN_CHAIN_SPACE_BLOCK, tern_hash_view(&node->hash),
                  tern_view_of(node->bytes, node->bytes_size));
        batch_put_header(batch, &node->header);
        batch_put_at(batch, TERN_CHAIN_SPACE_UNDO, node->header.height,
                     tern_view_of(node->undo, node->undo_size));
    }
    for (uint64_t h = batch_undo_from(ledger, old_height); h < batch_undo_from(ledger, new_height);
         h++)
        batch_delete_at(batch, TERN_CHAIN_SPACE_UNDO, h);
    batch_put_head(batch, ledger, new_height, &change->head_new->hash);
    batch_finish(batch);
    return TERN_OK;
}

tern_err tern_store_batch_of_genesis(const struct tern_ledger *ledger,
                                     struct tern_store_batch *batch)
{
    struct batch_size size = {.ops = 0};
    const struct tern_state_row *row = tern_state_row_first(&ledger->state);
    for (; row != NULL; row = tern_state_row_after(&ledger->state, row))
        batch_count(&size, row->key_size, row->value_size);
    batch_count(&size, TERN_STORE_HEIGHT_KEY_SIZE, TERN_HASH_SIZE);
    batch_count(&size, sizeof TERN_STORE_HEAD_KEY - 1, TERN_STORE_HEAD_SIZE);
    TERN_TRY(batch_init(batch, ledger->mem, &size));
    for (row = tern_state_row_first(&ledger->state); row != NULL;
         row = tern_state_row_after(&ledger->state, row))
        batch_put(batch, TERN_CHAIN_SPACE_STATE, tern_state_row_key(row),
                  tern_state_row_value(row));
    batch_put_at(batch, TERN_CHAIN_SPACE_HEIGHT, 0, tern_hash_view(&ledger->genesis_hash));
    batch_put_head(batch, ledger, 0, &ledger->genesis_hash);
    batch_finish(batch);
    return TERN_OK;
}

struct tern_store_rows tern_store_rows_of(const struct tern_store_request *request)
{
    TERN_CHECK(request->result_size <= request->result.size);
    return (struct tern_store_rows){
        .reader = tern_reader_of(tern_view_of(request->result.data, request->result_size))};
}

bool tern_store_rows_next(struct tern_store_rows *rows, struct tern_view *key,
                          struct tern_view *value)
{
    uint32_t key_size = 0;
    uint32_t value_size = 0;
    if (tern_reader_left(&rows->reader) == 0)
        return false;
    tern_reader_u32le(&rows->reader, &key_size);
    tern_reader_u32le(&rows->reader, &value_size);
    if (tern_reader_bytes(&rows->reader, key_size, key) &&
        tern_reader_bytes(&rows->reader, value_size, value))
        return true;
    rows->corrupt = true;
    return false;
}
