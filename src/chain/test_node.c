#include "chain/test_node.h"

#include <stdlib.h>

#include "base/check.h"

void node_init(struct node *node, const struct world *world, size_t authority, uint64_t seed)
{
    memset(node, 0, sizeof *node);
    node->world = world;
    node->persistent = true;
    node->clock = (struct tern_clock){TERN_SECOND, WORLD_TIME_MS * TERN_MILLISECOND};
    tern_mem_init(&node->mem, 0);
    tern_random_init_u64(&node->random, seed);
    tern_authority_init(&node->engine, &world->genesis,
                        authority == SIZE_MAX ? NULL : &world->authority_keys[authority]);
}

tern_err node_start(struct node *node)
{
    struct tern_chain_config config;
    tern_chain_config_default(&config);
    config.mem = &node->mem;
    config.random = &node->random;
    config.genesis = &node->world->genesis;
    config.engine = tern_authority_engine(&node->engine);
    config.persistent = node->persistent;
    config.tree.depth_max = 16;
    TERN_TRY(tern_chain_new(&config, &node->chain));
    node_drain(node);
    return TERN_OK;
}

void node_stop(struct node *node)
{
    node_run_jobs(node);
    node_run_stores(node);
    tern_chain_free(node->chain);
    node->chain = NULL;
    TERN_CHECK(node->mem.used == 0);
}

void node_fini(struct node *node)
{
    if (node->chain != NULL)
        node_stop(node);
    for (size_t i = 0; i < node->store.count; i++)
        free(node->store.rows[i].bytes);
    free(node->store.rows);
    free(node->proposed);
}

static int store_compare(const struct node_row *row, struct tern_view key)
{
    return tern_view_compare(tern_view_of(row->bytes, row->key_size), key);
}

/* The first row whose key is not below key. */
static size_t store_seek(const struct node_store *store, struct tern_view key)
{
    size_t low = 0;
    size_t high = store->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (store_compare(&store->rows[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t store_key(uint8_t space, struct tern_view key, uint8_t out[128])
{
    TERN_CHECK(key.size < 127);
    out[0] = space;
    if (key.size > 0)
        memcpy(out + 1, key.data, key.size);
    return key.size + 1;
}

static void store_apply(struct node_store *store, const struct tern_store_op *op)
{
    uint8_t bytes[128];
    struct tern_view key = {.data = bytes, .size = store_key(op->space, op->key, bytes)};
    size_t i = store_seek(store, key);
    if (i < store->count && store_compare(&store->rows[i], key) == 0) {
        free(store->rows[i].bytes);
        store->count--;
        memmove(&store->rows[i], &store->rows[i + 1], (store->count - i) * sizeof store->rows[0]);
    }
    if (op->kind == TERN_STORE_DELETE)
        return;
    if (store->count == store->capacity) {
        store->capacity = store->capacity * 2 + 64;
        store->rows = realloc(store->rows, store->capacity * sizeof store->rows[0]);
        TERN_CHECK(store->rows != NULL);
    }
    memmove(&store->rows[i + 1], &store->rows[i], (store->count - i) * sizeof store->rows[0]);
    store->count++;
    struct node_row *row = &store->rows[i];
    row->key_size = key.size;
    row->size = key.size + op->value.size;
    row->bytes = malloc(row->size);
    TERN_CHECK(row->bytes != NULL);
    memcpy(row->bytes, key.data, key.size);
    if (op->value.size > 0)
        memcpy(row->bytes + key.size, op->value.data, op->value.size);
}

static void store_read(const struct node_store *store, struct tern_store_request *request)
{
    uint8_t bytes[128];
    struct tern_view key = {.data = bytes, .size = store_key(request->space, request->key, bytes)};
    struct tern_writer w = tern_writer_of(request->result.data, request->result.size);
    bool get = request->kind == TERN_STORE_GET;
    request->rows_count = 0;
    request->more = false;
    request->err = get ? TERN_ERR_NOT_FOUND : TERN_OK;
    for (size_t i = store_seek(store, key); i < store->count; i++) {
        const struct node_row *row = &store->rows[i];
        if (row->bytes[0] != request->space || (get && store_compare(row, key) != 0))
            break;
        if (request->rows_count == request->rows_max || tern_writer_left(&w) < row->size + 8) {
            request->more = true;
            break;
        }
        tern_writer_u32le(&w, (uint32_t)(row->key_size - 1));
        tern_writer_u32le(&w, (uint32_t)(row->size - row->key_size));
        tern_writer_bytes(&w, tern_view_of(row->bytes + 1, row->size - 1));
        request->rows_count++;
        request->err = TERN_OK;
        if (get)
            break;
    }
    request->result_size = w.size;
}

static void store_serve(struct node_store *store, struct tern_store_request *request)
{
    if (request->kind != TERN_STORE_WRITE) {
        store_read(store, request);
        return;
    }
    store->writes++;
    request->err = store->writes == store->fail_write ? TERN_ERR_STORAGE : TERN_OK;
    for (size_t i = 0; request->err == TERN_OK && i < request->ops_count; i++)
        store_apply(store, &request->ops[i]);
}

static void node_record(struct node *node, const struct tern_chain_out *out)
{
    TERN_CHECK(node->record_count < NODE_RECORD_MAX);
    node->record[node->record_count++] = *out;
    if (out->kind == TERN_CHAIN_OUT_HEAD) {
        node->trades_count += out->change.trades_count;
        node->undone_count += out->change.undone_count;
    }
    if (out->kind != TERN_CHAIN_OUT_PROPOSED)
        return;
    free(node->proposed);
    node->proposed = malloc(out->bytes.size);
    TERN_CHECK(node->proposed != NULL);
    memcpy(node->proposed, out->bytes.data, out->bytes.size);
    node->proposed_size = out->bytes.size;
}

static void node_step(struct node *node, const struct tern_chain_in *in)
{
    tern_chain_step(node->chain, &node->clock, in);
    node_drain(node);
}

static void node_drain_once(struct node *node)
{
    struct tern_chain_out out;
    while (tern_chain_next(node->chain, &out)) {
        if (out.kind == TERN_CHAIN_OUT_JOB) {
            TERN_CHECK(node->jobs_count < TERN_COUNT_OF(node->jobs));
            node->jobs[node->jobs_count++] = out.job;
        } else if (out.kind == TERN_CHAIN_OUT_STORE) {
            TERN_CHECK(node->requests_count < TERN_COUNT_OF(node->requests));
            node->requests[node->requests_count++] = out.request;
        } else {
            node_record(node, &out);
        }
    }
}

static bool node_one_job(struct node *node)
{
    if (node->jobs_count == 0)
        return false;
    struct tern_job *job = node->jobs[0];
    memmove(node->jobs, node->jobs + 1, --node->jobs_count * sizeof node->jobs[0]);
    job->run(job);
    tern_chain_step(node->chain, &node->clock,
                    &(struct tern_chain_in){.kind = TERN_CHAIN_JOB_DONE, .job = job});
    node_drain_once(node);
    return true;
}

static bool node_one_store(struct node *node)
{
    if (node->requests_count == 0)
        return false;
    struct tern_store_request *request = node->requests[0];
    memmove(node->requests, node->requests + 1, --node->requests_count * sizeof node->requests[0]);
    store_serve(&node->store, request);
    tern_chain_step(node->chain, &node->clock,
                    &(struct tern_chain_in){.kind = TERN_CHAIN_STORED, .request = request});
    node_drain_once(node);
    return true;
}

void node_drain(struct node *node)
{
    node_drain_once(node);
    bool progress = true;
    while (progress) {
        progress = !node->hold_jobs && node_one_job(node);
        progress = (!node->hold_stores && node_one_store(node)) || progress;
    }
}

void node_run_jobs(struct node *node)
{
    while (node_one_job(node)) {
    }
    node_drain(node);
}

void node_run_stores(struct node *node)
{
    while (node_one_store(node)) {
    }
    node_drain(node);
}

void node_tick(struct node *node, tern_time_ms wall_ms)
{
    tern_wall_time wall = wall_ms * TERN_MILLISECOND;
    if (wall > node->clock.wall)
        node->clock.now += wall - node->clock.wall;
    node->clock.wall = wall;
    node_step(node, &(struct tern_chain_in){.kind = TERN_CHAIN_TICK});
}

void node_block(struct node *node, const void *bytes, size_t size, uint64_t tag)
{
    node_step(node, &(struct tern_chain_in){
                        .kind = TERN_CHAIN_BLOCK,
                        .bytes = tern_view_of(bytes, size),
                        .tag = tag,
                        .source = tag,
                    });
}

void node_tx(struct node *node, const struct world_tx *tx, uint64_t tag)
{
    node_step(node, &(struct tern_chain_in){
                        .kind = TERN_CHAIN_TX,
                        .bytes = tern_view_of(tx->bytes, tx->size),
                        .tag = tag,
                        .source = tag,
                    });
}

const struct tern_chain_out *node_last(const struct node *node, enum tern_chain_out_kind kind,
                                       uint64_t tag)
{
    for (size_t i = node->record_count; i > 0; i--) {
        const struct tern_chain_out *out = &node->record[i - 1];
        bool tagged = kind == TERN_CHAIN_OUT_BLOCK || kind == TERN_CHAIN_OUT_TX;
        if (out->kind == kind && (!tagged || out->tag == tag))
            return out;
    }
    return NULL;
}

void node_forget(struct node *node)
{
    node->record_count = 0;
}
