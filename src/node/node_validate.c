/*
 * Validation of our own chain (chain/validate.h), fed from the store: one block in memory at a
 * time, signatures on workers as ever.
 */
#include "node/node_private.h"

enum { VALIDATE_ROW_SIZE = TERN_BLOCK_SIZE_MAX + 256 };

static void validate_read(struct tern_node *node, const struct tern_hash *hash)
{
    struct node_validation *v = &node->validation;
    memcpy(v->key, hash->bytes, sizeof v->key);
    v->request = (struct tern_store_request){.kind = TERN_STORE_GET,
                                             .space = TERN_CHAIN_SPACE_BLOCK,
                                             .key = tern_view_of(v->key, sizeof v->key),
                                             .result = {.data = v->row, .size = VALIDATE_ROW_SIZE}};
    node_emit_store(node, &v->request, NODE_OWNER_VALIDATE);
}

void node_validate_stored(struct tern_node *node)
{
    struct node_validation *v = &node->validation;
    struct tern_store_rows rows = tern_store_rows_of(&v->request);
    struct tern_view key;
    struct tern_view value = {0};
    tern_err err = v->request.err;
    if (err == TERN_OK && !tern_store_rows_next(&rows, &key, &value))
        err = TERN_ERR_CORRUPT;
    tern_validate_block(v->core, value, err);
}

void node_validate_job(struct tern_node *node, struct tern_job *job)
{
    tern_validate_job_done(node->validation.core, job);
}

static void validate_done(struct tern_node *node)
{
    struct node_validation *v = &node->validation;
    struct tern_node_event event = {.kind = TERN_NODE_VALIDATED, .tag = v->tag};
    tern_mem_free(node->mem, v->row, VALIDATE_ROW_SIZE);
    v->row = NULL;
    if (!v->tag_wanted)
        return;
    v->tag_wanted = false;
    tern_node_validation(node, &event.validation);
    node_push(node, &event);
}

bool node_validate_pump(struct tern_node *node)
{
    struct node_validation *v = &node->validation;
    struct tern_validate_out out;
    bool any = false;
    while (tern_validate_next(v->core, &out)) {
        any = true;
        switch (out.kind) {
        case TERN_VALIDATE_READ:
            validate_read(node, &out.hash);
            break;
        case TERN_VALIDATE_JOB:
            node_emit_job(node, out.job, NODE_OWNER_VALIDATE);
            break;
        case TERN_VALIDATE_DONE:
            validate_done(node);
            break;
        }
    }
    return any;
}

tern_err node_validate_start(struct tern_node *node)
{
    struct node_validation *v = &node->validation;
    if (!node->persistent)
        return TERN_ERR_UNSUPPORTED;
    if (!node->ready)
        return TERN_ERR_AGAIN;
    if (v->row != NULL)
        return TERN_ERR_EXISTS;
    v->row = tern_mem_alloc(node->mem, VALIDATE_ROW_SIZE);
    if (v->row == NULL)
        return TERN_ERR_MEMORY;
    tern_err err = tern_validate_start(v->core);
    if (err != TERN_OK) {
        tern_mem_free(node->mem, v->row, VALIDATE_ROW_SIZE);
        v->row = NULL;
    }
    return err;
}

tern_err tern_node_validate(struct tern_node *node, tern_time now, uint64_t tag)
{
    node->now = now;
    TERN_TRY(node_validate_start(node));
    node->validation.tag = tag;
    node->validation.tag_wanted = true;
    return TERN_OK;
}

void tern_node_validation(const struct tern_node *node, struct tern_node_validation *out)
{
    struct tern_sync_validation told;
    tern_validate_result(node->validation.core, &told);
    node_copy_validation(&told, out);
}

void node_copy_validation(const struct tern_sync_validation *told, struct tern_node_validation *out)
{
    *out = (struct tern_node_validation){.state = told->state,
                                         .checked_height = told->checked_height,
                                         .bad_height = told->bad_height,
                                         .head_height = told->head_height};
    struct tern_writer w = tern_writer_of(out->fault, sizeof out->fault);
    tern_writer_bytes(&w, told->fault);
    (void)tern_writer_terminate(&w); /* a longer name is cut */
}

void node_validate_fini(struct tern_node *node)
{
    struct node_validation *v = &node->validation;
    if (v->core != NULL)
        tern_validate_free(v->core);
    tern_mem_free(node->mem, v->row, VALIDATE_ROW_SIZE);
}
