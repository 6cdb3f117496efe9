/*
 * What peers ask of us: our status, headers after a point of ours, blocks by hash, and a validation
 * of our own chain. Headers and blocks come from the store, one row at a time, so a request holds
 * one row and its answer in memory, and never the storage thread for long.
 */
#include "node/node_private.h"

enum { SERVE_ROW_SIZE = TERN_BLOCK_SIZE_MAX + TERN_HEADER_SIZE_MAX + 256 };

void node_serve_answer(struct tern_node *node, tern_request_handle handle, uint32_t code,
                       struct tern_view body)
{
    node->messages_out++;
    tern_request_answer(tern_host_core_requests(node->host), handle,
                        &(struct tern_answer){.code = code, .body = body});
}

static void serve_refuse(struct tern_node *node, tern_request_handle handle, uint32_t code,
                         const char *reason)
{
    tern_request_answer(tern_host_core_requests(node->host), handle,
                        &(struct tern_answer){.code = code, .reason = tern_view_str(reason)});
}

void node_serve_malformed(struct tern_node *node, const struct tern_request_event *event)
{
    tern_swarm_report(tern_host_core_swarm(node->host), node->now, event->peer,
                      TERN_FAULT_CHAIN_SYNC_MALFORMED);
    serve_refuse(node, event->handle, TERN_REQUEST_BAD, "the request does not decode");
}

/* --- status --- */

static void serve_status(struct tern_node *node, const struct tern_request_event *event)
{
    uint8_t bytes[TERN_SYNC_STATUS_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct tern_chain_head head;
    struct tern_sync_status theirs;
    if (tern_sync_status_decode(event->body, &theirs) != TERN_OK) {
        node_serve_malformed(node, event);
        return;
    }
    tern_chain_stored_head(node->chain, &head);
    tern_sync_status_encode(&(struct tern_sync_status){.genesis = node->genesis_hash,
                                                       .height = head.height,
                                                       .head = head.hash},
                            &w);
    TERN_CHECK(tern_writer_ok(&w));
    node_serve_answer(node, event->handle, TERN_REQUEST_OK, tern_writer_view(&w));
    struct node_peer *peer = node_find_peer(node, event->peer);
    if (peer == NULL)
        return;
    peer->height = theirs.height;
    node_sync_step(node, &(struct tern_sync_in){
                             .kind = TERN_SYNC_STATUS, .peer = event->peer, .bytes = event->body});
}

/* --- from the store --- */

static struct node_serving *serving_new(struct tern_node *node,
                                        const struct tern_request_event *event,
                                        enum node_protocol protocol, size_t answer_size)
{
    struct node_serving *serving = NULL;
    if (node->serving_count < TERN_NODE_SERVING_MAX && node->persistent)
        serving = tern_mem_zalloc(node->mem, sizeof *serving);
    if (serving == NULL)
        return NULL;
    serving->row = tern_mem_alloc(node->mem, SERVE_ROW_SIZE);
    serving->answer = tern_mem_alloc(node->mem, answer_size);
    if (serving->row == NULL || serving->answer == NULL) {
        tern_mem_free(node->mem, serving->row, SERVE_ROW_SIZE);
        tern_mem_free(node->mem, serving->answer, answer_size);
        tern_mem_free(node->mem, serving, sizeof *serving);
        return NULL;
    }
    serving->node = node;
    serving->handle = event->handle;
    serving->protocol = protocol;
    serving->out = tern_writer_of(serving->answer, answer_size);
    tern_list_push_back(&node->serving, &serving->link);
    node->serving_count++;
    return serving;
}

static void serving_free(struct tern_node *node, struct node_serving *serving)
{
    tern_list_remove(&serving->link);
    node->serving_count--;
    tern_mem_free(node->mem, serving->row, SERVE_ROW_SIZE);
    tern_mem_free(node->mem, serving->answer, serving->out.capacity);
    tern_mem_free(node->mem, serving, sizeof *serving);
}

static void serving_finish(struct tern_node *node, struct node_serving *serving)
{
    node_serve_answer(node, serving->handle, TERN_REQUEST_OK, tern_writer_view(&serving->out));
    serving_free(node, serving);
}

static void serving_get(struct tern_node *node, struct node_serving *serving,
                        enum tern_chain_space space, size_t key_size)
{
    serving->request =
        (struct tern_store_request){.kind = TERN_STORE_GET,
                                    .space = (uint8_t)space,
                                    .key = tern_view_of(serving->key, key_size),
                                    .result = {.data = serving->row, .size = SERVE_ROW_SIZE}};
    node_emit_store(node, &serving->request, NODE_OWNER_SERVE);
}

/* Asks the store for the next row; without one the answer goes out. */
static void serving_next(struct tern_node *node, struct node_serving *serving)
{
    struct tern_chain_head head;
    tern_chain_stored_head(node->chain, &head);
    if (serving->protocol == NODE_BLOCKS) {
        if (serving->blocks_next == serving->blocks.count) {
            serving_finish(node, serving);
            return;
        }
        memcpy(serving->key, serving->blocks.hashes[serving->blocks_next++].bytes, TERN_HASH_SIZE);
        serving_get(node, serving, TERN_CHAIN_SPACE_BLOCK, TERN_HASH_SIZE);
        return;
    }
    if (serving->left == 0 || serving->height > head.height) {
        serving_finish(node, serving);
        return;
    }
    tern_store_height_key(serving->height++, serving->key);
    serving->left--;
    serving_get(node, serving, TERN_CHAIN_SPACE_HEIGHT, TERN_STORE_HEIGHT_KEY_SIZE);
}

/* A row is there: it is added to the answer. False: the answer ends here. */
static bool serving_take(struct node_serving *serving)
{
    struct tern_store_rows rows = tern_store_rows_of(&serving->request);
    struct tern_view key;
    struct tern_view value;
    if (serving->request.err != TERN_OK || !tern_store_rows_next(&rows, &key, &value))
        return false; /* not ours, or gone in a reorganisation: the answer is shorter */
    if (serving->protocol == NODE_HEADERS && tern_store_header_of(value, &value) != TERN_OK)
        return false;
    /* Blocks: as many as fit the answer, and always the first. */
    if (serving->out.size > 0 && serving->protocol == NODE_BLOCKS &&
        serving->out.size + value.size > TERN_SYNC_BLOCKS_BYTES_MAX)
        return false;
    tern_sync_item_encode(value, &serving->out);
    TERN_CHECK(tern_writer_ok(&serving->out));
    return true;
}

void node_served(struct tern_node *node, struct tern_store_request *request)
{
    struct node_serving *serving = TERN_CONTAINER_OF(request, struct node_serving, request);
    if (serving_take(serving))
        serving_next(node, serving);
    else
        serving_finish(node, serving);
}

static void serve_headers(struct tern_node *node, const struct tern_request_event *event)
{
    struct tern_sync_get_headers get;
    uint64_t height;
    if (tern_sync_get_headers_decode(event->body, &get) != TERN_OK) {
        node_serve_malformed(node, event);
        return;
    }
    if (!tern_sync_locate(tern_chain_ledger(node->chain), &get, &height)) {
        serve_refuse(node, event->handle, TERN_REQUEST_NOT_FOUND,
                     "none of the locator's blocks is on our chain");
        return;
    }
    struct node_serving *serving =
        serving_new(node, event, NODE_HEADERS, TERN_SYNC_HEADERS_SIZE_MAX);
    if (serving == NULL) {
        serve_refuse(node, event->handle, TERN_REQUEST_BUSY, "too many requests at a time");
        return;
    }
    serving->height = height + 1;
    serving->left = get.max;
    serving_next(node, serving);
}

static void serve_blocks(struct tern_node *node, const struct tern_request_event *event)
{
    struct tern_sync_get_blocks get;
    if (tern_sync_get_blocks_decode(event->body, &get) != TERN_OK) {
        node_serve_malformed(node, event);
        return;
    }
    struct node_serving *serving =
        serving_new(node, event, NODE_BLOCKS, TERN_SYNC_BLOCKS_SIZE_MAX + TERN_BLOCK_SIZE_MAX);
    if (serving == NULL) {
        serve_refuse(node, event->handle, TERN_REQUEST_BUSY, "too many requests at a time");
        return;
    }
    serving->blocks = get;
    serving_next(node, serving);
}

/* --- validation --- */

static void serve_validation(struct tern_node *node, const struct tern_request_event *event)
{
    uint8_t bytes[TERN_SYNC_VALIDATION_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct tern_sync_validation told;
    bool restart;
    if (tern_sync_get_validation_decode(event->body, &restart) != TERN_OK) {
        node_serve_malformed(node, event);
        return;
    }
    tern_validate_result(node->validation.core, &told);
    if (restart || told.state == TERN_VALIDATION_NEVER) {
        tern_err err = node_validate_start(node);
        if (err != TERN_OK && err != TERN_ERR_EXISTS) {
            serve_refuse(node, event->handle, TERN_REQUEST_BUSY, tern_err_text(err));
            return;
        }
        tern_validate_result(node->validation.core, &told);
    }
    tern_sync_validation_encode(&told, &w);
    TERN_CHECK(tern_writer_ok(&w));
    node_serve_answer(node, event->handle, TERN_REQUEST_OK, tern_writer_view(&w));
}

void node_request(struct tern_node *node, const struct tern_request_event *event)
{
    static void (*const serve[NODE_PROTOCOLS_COUNT])(struct tern_node *,
                                                     const struct tern_request_event *) = {
        serve_status, serve_headers, serve_blocks, serve_validation, node_pool_serve};
    node->messages_in++;
    if (!node->ready || event->protocol == NULL) {
        serve_refuse(node, event->handle, TERN_REQUEST_BUSY, "the chain is being loaded");
        return;
    }
    for (size_t i = 0; i < NODE_PROTOCOLS_COUNT; i++) {
        if (!tern_view_equal(event->protocol->name, tern_view_str(node->names[i])))
            continue;
        serve[i](node, event);
        return;
    }
    serve_refuse(node, event->handle, TERN_REQUEST_UNSUPPORTED, "no such protocol here");
}

void node_serve_fini(struct tern_node *node)
{
    while (!tern_list_empty(&node->serving))
        serving_free(node, TERN_LIST_ENTRY(node->serving.next, struct node_serving, link));
}
