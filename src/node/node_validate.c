/*
 * Validation: the stored chain is carried out again from the genesis by a second chain that stores
 * nothing: form, links, seals, signatures, every transaction and root, block by block. One block is
 * in memory at a time; the work is spread over inputs, and signatures go to workers as ever.
 */
#include "node/node_private.h"

enum { CHECKER_ROW_SIZE = TERN_BLOCK_SIZE_MAX + TERN_HEADER_SIZE_MAX + 256 };

static void checker_stop(struct tern_node *node)
{
    struct node_checker *checker = &node->checker;
    TERN_CHECK(!checker->fetching && !tern_chain_busy(checker->chain));
    tern_chain_free(checker->chain);
    checker->chain = NULL;
    tern_mem_free(node->mem, checker->row, CHECKER_ROW_SIZE);
    checker->row = NULL;
}

static void checker_end(struct tern_node *node, enum tern_validation_state state)
{
    struct node_checker *checker = &node->checker;
    checker->state.state = state;
    checker_stop(node);
    if (!checker->tag_wanted)
        return;
    checker->tag_wanted = false;
    node_push(node, &(struct tern_node_event){.kind = TERN_NODE_VALIDATED,
                                              .tag = checker->tag,
                                              .validation = checker->state});
}

static void checker_bad(struct tern_node *node, uint64_t height, const char *fault)
{
    struct tern_node_validation *state = &node->checker.state;
    struct tern_writer w = tern_writer_of(state->fault, sizeof state->fault);
    tern_writer_str(&w, fault);
    (void)tern_writer_terminate(&w); /* a longer name is cut */
    state->bad_height = height;
    checker_end(node, TERN_VALIDATION_BAD);
}

/* Fetches the next block, or ends: everything up to the head is well. */
static void checker_fetch(struct tern_node *node)
{
    struct node_checker *checker = &node->checker;
    struct tern_hash hash;
    uint64_t height = checker->state.checked_height + 1;
    if (height > checker->state.head_height ||
        !tern_ledger_hash_at(tern_chain_ledger(node->chain), height, &hash)) {
        checker_end(node, TERN_VALIDATION_GOOD);
        return;
    }
    memcpy(checker->key, hash.bytes, sizeof checker->key);
    checker->request =
        (struct tern_store_request){.kind = TERN_STORE_GET,
                                    .space = TERN_CHAIN_SPACE_BLOCK,
                                    .key = tern_view_of(checker->key, sizeof checker->key),
                                    .result = {.data = checker->row, .size = CHECKER_ROW_SIZE}};
    checker->fetching = true;
    node_emit_store(node, &checker->request, NODE_OWNER_CHECKER_FETCH);
}

void node_checker_fetched(struct tern_node *node)
{
    struct node_checker *checker = &node->checker;
    struct tern_clock clock = node_clock(node);
    struct tern_store_rows rows = tern_store_rows_of(&checker->request);
    struct tern_view key;
    struct tern_view value;
    struct tern_hash now_there;
    uint64_t height = checker->state.checked_height + 1;
    checker->fetching = false;
    if (checker->request.err == TERN_OK && tern_store_rows_next(&rows, &key, &value)) {
        tern_chain_step(
            checker->chain, &clock,
            &(struct tern_chain_in){.kind = TERN_CHAIN_BLOCK, .bytes = value, .solicited = true});
        return;
    }
    /* A reorganisation may have taken the block away meanwhile: then look again. */
    if (checker->request.err == TERN_ERR_NOT_FOUND &&
        tern_ledger_hash_at(tern_chain_ledger(node->chain), height, &now_there) &&
        memcmp(now_there.bytes, checker->key, sizeof checker->key) != 0)
        checker_fetch(node);
    else
        checker_bad(node, height, tern_err_name(checker->request.err));
}

void node_checker_job(struct tern_node *node, struct tern_job *job)
{
    struct tern_clock clock = node_clock(node);
    tern_chain_step(node->checker.chain, &clock,
                    &(struct tern_chain_in){.kind = TERN_CHAIN_JOB_DONE, .job = job});
}

/* The checking chain has judged a block: it must be the one that stands at this height. */
static void checker_judged(struct tern_node *node, const struct tern_chain_out *out)
{
    struct node_checker *checker = &node->checker;
    uint64_t height = checker->state.checked_height + 1;
    struct tern_chain_head head;
    if (out->err != TERN_OK) {
        checker_bad(node, height,
                    out->fault != TERN_FAULT_NONE ? tern_fault_name(out->fault)
                                                  : tern_err_name(out->err));
        return;
    }
    tern_chain_stored_head(checker->chain, &head);
    if (head.height != height || memcmp(head.hash.bytes, checker->key, sizeof checker->key) != 0) {
        checker_bad(node, height, "CHAIN_BLOCK_PARENT");
        return;
    }
    checker->state.checked_height = height;
    checker_fetch(node);
}

bool node_checker_pump(struct tern_node *node)
{
    struct node_checker *checker = &node->checker;
    struct tern_chain_out out;
    bool any = false;
    while (checker->chain != NULL && tern_chain_next(checker->chain, &out)) {
        any = true;
        if (out.kind == TERN_CHAIN_OUT_JOB)
            node_emit_job(node, out.job, NODE_OWNER_CHECKER);
        else if (out.kind == TERN_CHAIN_OUT_READY)
            checker_fetch(node);
        else if (out.kind == TERN_CHAIN_OUT_BLOCK)
            checker_judged(node, &out);
    }
    return any;
}

tern_err node_checker_start(struct tern_node *node)
{
    struct node_checker *checker = &node->checker;
    struct tern_chain_config config;
    struct tern_chain_head head;
    if (!node->persistent)
        return TERN_ERR_UNSUPPORTED;
    if (!node->ready)
        return TERN_ERR_AGAIN;
    if (checker->chain != NULL)
        return TERN_ERR_EXISTS;
    checker->row = tern_mem_alloc(node->mem, CHECKER_ROW_SIZE);
    if (checker->row == NULL)
        return TERN_ERR_MEMORY;
    tern_authority_init(&checker->engine, node->genesis, NULL);
    tern_chain_config_default(&config);
    config.mem = node->mem;
    config.random = &node->random;
    config.genesis = node->genesis;
    config.engine = tern_authority_engine(&checker->engine);
    config.persistent = false;
    tern_err err = tern_chain_new(&config, &checker->chain);
    if (err != TERN_OK) {
        tern_mem_free(node->mem, checker->row, CHECKER_ROW_SIZE);
        checker->row = NULL;
        return err;
    }
    tern_chain_stored_head(node->chain, &head);
    checker->state =
        (struct tern_node_validation){.state = TERN_VALIDATION_RUNNING, .head_height = head.height};
    return TERN_OK;
}

tern_err tern_node_validate(struct tern_node *node, tern_time now, uint64_t tag)
{
    node->now = now;
    TERN_TRY(node_checker_start(node));
    node->checker.tag = tag;
    node->checker.tag_wanted = true;
    return TERN_OK;
}

void tern_node_validation(const struct tern_node *node, struct tern_node_validation *validation)
{
    *validation = node->checker.state;
}

void node_checker_fini(struct tern_node *node)
{
    struct node_checker *checker = &node->checker;
    if (checker->chain == NULL)
        return;
    tern_chain_free(checker->chain);
    checker->chain = NULL;
    tern_mem_free(node->mem, checker->row, CHECKER_ROW_SIZE);
}
