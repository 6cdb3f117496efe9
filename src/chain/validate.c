#include "chain/validate.h"

#include "base/check.h"

enum { VALIDATE_SEAL_BYTES = 256 };

enum validate_phase {
    VALIDATE_IDLE,
    VALIDATE_READ,     /* to be asked for */
    VALIDATE_READING,  /* asked */
    VALIDATE_JOB,      /* to be given out */
    VALIDATE_CHECKING, /* out */
    VALIDATE_ENDED,    /* to be told */
};

struct tern_validate {
    struct tern_mem *mem;
    const struct tern_ledger *ledger;
    uint64_t hash_key[2];
    enum validate_phase phase;
    struct tern_state state;
    bool state_ready;
    struct tern_header parent;
    struct tern_hash parent_hash;
    struct tern_hash asked; /* the block that is being read */
    struct tern_verify_job job;
    bool job_ready;
    uint8_t *bytes; /* the block under way, owned */
    size_t bytes_size;
    struct tern_block block;
    struct tern_sync_validation result;
};

tern_err tern_validate_new(const struct tern_validate_config *config, struct tern_validate **out)
{
    *out = tern_mem_zalloc(config->mem, sizeof **out);
    if (*out == NULL)
        return TERN_ERR_MEMORY;
    (*out)->mem = config->mem;
    (*out)->ledger = config->ledger;
    (*out)->hash_key[0] = config->hash_key[0];
    (*out)->hash_key[1] = config->hash_key[1];
    return TERN_OK;
}

static void validate_drop_block(struct tern_validate *v)
{
    if (v->job_ready)
        tern_verify_job_fini(&v->job);
    v->job_ready = false;
    tern_mem_free(v->mem, v->bytes, v->bytes_size);
    v->bytes = NULL;
    v->bytes_size = 0;
}

static void validate_drop(struct tern_validate *v)
{
    validate_drop_block(v);
    if (v->state_ready)
        tern_state_fini(&v->state);
    v->state_ready = false;
}

void tern_validate_free(struct tern_validate *validate)
{
    if (validate == NULL)
        return;
    validate_drop(validate);
    tern_mem_free(validate->mem, validate, sizeof *validate);
}

bool tern_validate_busy(const struct tern_validate *validate)
{
    return validate->phase == VALIDATE_CHECKING;
}

static void validate_end(struct tern_validate *v, enum tern_validation_state state)
{
    v->result.state = state;
    v->phase = VALIDATE_ENDED;
    validate_drop(v);
}

static void validate_bad(struct tern_validate *v, const char *why)
{
    v->result.bad_height = v->result.checked_height + 1;
    v->result.fault = tern_view_str(why);
    validate_end(v, TERN_VALIDATION_BAD);
}

tern_err tern_validate_start(struct tern_validate *v)
{
    if (v->phase != VALIDATE_IDLE)
        return TERN_ERR_EXISTS;
    tern_state_init(&v->state, v->mem, v->hash_key);
    v->state_ready = true;
    tern_err err = tern_apply_genesis(&v->state, v->ledger->genesis);
    if (err != TERN_OK) {
        validate_drop(v);
        return err;
    }
    tern_ledger_genesis_header(v->ledger->genesis, &v->parent);
    v->parent_hash = v->ledger->genesis_hash;
    v->result = (struct tern_sync_validation){
        .state = TERN_VALIDATION_RUNNING,
        .head_height = tern_ledger_head(v->ledger)->header.height,
    };
    v->phase = VALIDATE_READ;
    return TERN_OK;
}

/* Puts the seal and all signatures into a batch. */
static tern_err validate_fill(struct tern_validate *v)
{
    size_t count = v->block.header.txs_count;
    TERN_TRY(tern_verify_job_init(&v->job, v->mem, count + 1,
                                  count * TERN_TX_VERIFY_BYTES + VALIDATE_SEAL_BYTES));
    v->job_ready = true;
    const struct tern_engine *engine = &v->ledger->engine;
    size_t index;
    TERN_TRY(engine->ops->add_seal(engine->self, &v->block.header, &v->job, &index));
    struct tern_block_txs it = tern_block_txs_of(&v->block);
    struct tern_tx tx;
    struct tern_view bytes;
    while (tern_block_txs_next(&it, &tx, &bytes))
        TERN_TRY(tern_tx_verify_add(bytes, &v->ledger->genesis_hash, &v->job, &index));
    return TERN_OK;
}

static tern_fault validate_header(const struct tern_validate *v, const struct tern_hash *expected)
{
    if (!tern_hash_equal(&v->block.hash, expected))
        return TERN_FAULT_CHAIN_BLOCK_INVALID;
    if (!tern_hash_equal(&v->block.header.parent, &v->parent_hash))
        return TERN_FAULT_CHAIN_BLOCK_PARENT;
    tern_fault fault = tern_ledger_check_header(v->ledger, &v->parent, &v->block.header, 0);
    return fault == TERN_FAULT_NONE ? tern_block_check_body(&v->block) : fault;
}

void tern_validate_block(struct tern_validate *v, struct tern_view bytes, tern_err err)
{
    TERN_CHECK(v->phase == VALIDATE_READING);
    tern_fault fault;
    uint64_t height = v->result.checked_height + 1;
    if (!tern_ledger_has(v->ledger, height - 1, &v->parent_hash)) {
        validate_end(v, TERN_VALIDATION_GOOD); /* the chain has changed below */
        return;
    }
    if (!tern_ledger_has(v->ledger, height, &v->asked)) {
        v->phase = VALIDATE_READ; /* another block stands there now, or none */
        return;
    }
    if (err != TERN_OK || bytes.size == 0) {
        validate_bad(v, "STORE_ROW_MISSING");
        return;
    }
    v->bytes = tern_mem_dup(v->mem, bytes);
    if (v->bytes == NULL) {
        validate_end(v, TERN_VALIDATION_NEVER);
        return;
    }
    v->bytes_size = bytes.size;
    err = tern_block_decode(tern_view_of(v->bytes, v->bytes_size), &v->block, &fault);
    if (err == TERN_OK)
        fault = validate_header(v, &v->asked);
    if (fault != TERN_FAULT_NONE) {
        validate_bad(v, tern_fault_name(fault));
        return;
    }
    if (validate_fill(v) != TERN_OK) {
        validate_end(v, TERN_VALIDATION_NEVER);
        return;
    }
    v->phase = VALIDATE_JOB;
}

void tern_validate_job_done(struct tern_validate *v, struct tern_job *job)
{
    TERN_CHECK(v->phase == VALIDATE_CHECKING && job == &v->job.job);
    v->phase = VALIDATE_READ;
    for (size_t i = 0; i < v->job.slots_count; i++) {
        if (tern_verify_job_verdict(&v->job, i) == TERN_OK)
            continue;
        validate_bad(v, tern_fault_name(i == 0 ? TERN_FAULT_CHAIN_BLOCK_SEAL
                                               : TERN_FAULT_CHAIN_TX_SIGNATURE));
        return;
    }
    struct tern_apply_result result;
    tern_fault fault;
    tern_err err = tern_apply_block(&v->state, v->ledger->genesis, &v->block, &result, &fault);
    if (err == TERN_ERR_PROTOCOL) {
        validate_bad(v, tern_fault_name(fault));
        return;
    }
    if (err != TERN_OK) {
        validate_end(v, TERN_VALIDATION_NEVER);
        return;
    }
    tern_state_commit(&v->state);
    tern_apply_result_fini(&result);
    v->parent = v->block.header;
    v->parent_hash = v->block.hash;
    v->result.checked_height++;
    validate_drop_block(v);
}

bool tern_validate_next(struct tern_validate *v, struct tern_validate_out *out)
{
    if (v->phase == VALIDATE_READ && v->result.checked_height >= v->result.head_height)
        validate_end(v, TERN_VALIDATION_GOOD);
    *out = (struct tern_validate_out){.kind = TERN_VALIDATE_DONE};
    switch (v->phase) {
    case VALIDATE_READ:
        out->height = v->result.checked_height + 1;
        if (!tern_ledger_hash_at(v->ledger, out->height, &out->hash)) {
            validate_end(v, TERN_VALIDATION_GOOD);
            v->phase = VALIDATE_IDLE;
            return true;
        }
        out->kind = TERN_VALIDATE_READ;
        v->asked = out->hash;
        v->phase = VALIDATE_READING;
        return true;
    case VALIDATE_JOB:
        out->kind = TERN_VALIDATE_JOB;
        out->job = &v->job.job;
        v->phase = VALIDATE_CHECKING;
        return true;
    case VALIDATE_ENDED:
        v->phase = VALIDATE_IDLE;
        return true;
    case VALIDATE_IDLE:
    case VALIDATE_READING:
    case VALIDATE_CHECKING:
        return false;
    }
    TERN_UNREACHABLE();
}

void tern_validate_result(const struct tern_validate *validate, struct tern_sync_validation *result)
{
    *result = validate->result;
}
