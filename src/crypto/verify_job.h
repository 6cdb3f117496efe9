/*
 * A batch of signatures to be checked on a worker: a job (base/job.h) with room for a fixed number
 * of items. The emitter adds items (their bytes are copied in, so nothing need outlive the call),
 * emits &batch->job, and reads the verdicts when it comes back.
 *
 *     tern_verify_job_init(&batch, mem, items_max, bytes_max)
 *     tern_verify_job_add(&batch, &item, &index)   … until TERN_ERR_FULL
 *     command JOB: batch.job                        (run on any thread)
 *     tern_verify_job_verdict(&batch, index)
 *     tern_verify_job_reset(&batch) or tern_verify_job_fini(&batch)
 *
 * run is thread safe and pure: it touches this batch only and allocates nothing of ours.
 */
#ifndef TERN_CRYPTO_VERIFY_JOB_H
#define TERN_CRYPTO_VERIFY_JOB_H

#include "base/error.h"
#include "base/job.h"
#include "base/mem.h"
#include "crypto/key.h"

enum { TERN_VERIFY_PARTS_MAX = 4 };

/* What is to be checked. The message is the concatenation of its parts. Borrowed for the call of
 * add. */
struct tern_verify_item {
    struct tern_view public_key; /* the protobuf PublicKey message */
    struct tern_view signature;
    struct tern_view parts[TERN_VERIFY_PARTS_MAX];
    size_t parts_count;
};

struct tern_verify_slot {
    uint32_t key_offset; /* into bytes: key, message, signature one after the other */
    uint32_t key_size;
    uint32_t message_size;
    uint32_t signature_size;
    tern_err verdict;
};

struct tern_verify_job {
    struct tern_job job;
    struct tern_mem *mem;
    struct tern_verify_slot *slots;
    size_t slots_max;
    size_t slots_count;
    uint8_t *bytes;
    size_t bytes_max;
    size_t bytes_count;
};

/* tern_verify_job_init takes memory for items_max (1 to 65,536) items with bytes_max (1 to 2^31)
 * bytes of keys, messages and signatures in all. TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_verify_job_init(struct tern_verify_job *batch, struct tern_mem *mem,
                                             size_t items_max, size_t bytes_max);

/* tern_verify_job_fini gives the memory back. Not while the job is away. */
void tern_verify_job_fini(struct tern_verify_job *batch);

/* tern_verify_job_reset empties it for the next batch. Not while the job is away. */
void tern_verify_job_reset(struct tern_verify_job *batch);

/* tern_verify_job_add copies an item in and tells its index. TERN_ERR_FULL: no slot or no room for
 * its bytes; TERN_ERR_TOO_LARGE: it would not fit an empty batch. */
TERN_NODISCARD tern_err tern_verify_job_add(struct tern_verify_job *batch,
                                            const struct tern_verify_item *item, size_t *index);

/* tern_verify_job_verdict is TERN_OK, or an error of tern_verify_encoded; TERN_ERR_AGAIN before the
 * job has run. */
tern_err tern_verify_job_verdict(const struct tern_verify_job *batch, size_t index);

#endif
