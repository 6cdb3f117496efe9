/*
 * Validation of one's own chain, on request: every stored block from the genesis to the head is
 * read back and judged anew, as if it came from a stranger: form, hash against the index, header,
 * seal, every signature, every transaction, state and diff roots. The answer is the height up to
 * which all is well, or the first bad one and why.
 *
 *     start ──► READ a block ─► its signatures: JOB ─► carried out on a state of its own ─► next …
 * ─► DONE
 *
 * One block is under way at a time, and one step carries out at most one block, so a running node
 * is held up by no more than a block's time. It costs a second state's memory while it runs. The
 * chain may grow or reorganise meanwhile: the target is the head as of the start, and a block that
 * is no longer on the best chain ends the run there, without a verdict of bad.
 *
 * Not thread safe. Drain next after every step.
 */
#ifndef TERN_CHAIN_VALIDATE_H
#define TERN_CHAIN_VALIDATE_H

#include "chain/ledger.h"
#include "chain/messages.h"
#include "runtime/io.h"

enum tern_validate_out_kind {
    TERN_VALIDATE_READ, /* height, hash: read this block, answer by tern_validate_block */
    TERN_VALIDATE_JOB,  /* job; answer by tern_validate_job_done */
    TERN_VALIDATE_DONE, /* the result is in tern_validate_result */
};

struct tern_validate_out {
    enum tern_validate_out_kind kind;
    uint64_t height;
    struct tern_hash hash;
    struct tern_job *job;
};

struct tern_validate;

struct tern_validate_config {
    struct tern_mem *mem;
    const struct tern_ledger *ledger; /* read; outlives validation */
    uint64_t hash_key[2];
};

/* tern_validate_new allocates little; the second state comes with start. TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_validate_new(const struct tern_validate_config *config,
                                          struct tern_validate **validate);
/* tern_validate_free: its job may not be running; if it is out it must not come back. */
void tern_validate_free(struct tern_validate *validate);

/* tern_validate_start begins a run. TERN_ERR_EXISTS: one is running; TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_validate_start(struct tern_validate *validate);

/* tern_validate_block gives the block that READ asked for, or err when it cannot be read. */
void tern_validate_block(struct tern_validate *validate, struct tern_view bytes, tern_err err);
void tern_validate_job_done(struct tern_validate *validate, struct tern_job *job);
bool tern_validate_next(struct tern_validate *validate, struct tern_validate_out *out);
bool tern_validate_busy(const struct tern_validate *validate); /* is its job out? */

/* tern_validate_result tells the newest run's outcome, or how far the one that runs is. */
void tern_validate_result(const struct tern_validate *validate,
                          struct tern_sync_validation *result);

#endif
