#include "crypto/verify_job.h"

#include "base/check.h"

enum { ITEMS_MAX = 65535 };

static const size_t BYTES_MAX = (size_t)1 << 31;

/* What one check takes, for the simulator's clock: measured on one core of a server, rounded. */
static tern_time verify_cost(struct tern_view public_key)
{
    static const tern_time costs[] = {
        [TERN_KEY_RSA] = 60 * TERN_MICROSECOND,
        [TERN_KEY_ED25519] = 50 * TERN_MICROSECOND,
        [TERN_KEY_SECP256K1] = 40 * TERN_MICROSECOND,
        [TERN_KEY_ECDSA] = 130 * TERN_MICROSECOND,
    };
    /* The type is the second byte of an encoded key; of rubbish, any cost will do. */
    uint8_t type = public_key.size < 2 ? TERN_KEY_ED25519 : public_key.data[1];
    return type < TERN_COUNT_OF(costs) ? costs[type] : costs[TERN_KEY_ED25519];
}

static void verify_run(struct tern_job *job)
{
    struct tern_verify_job *batch = TERN_CONTAINER_OF(job, struct tern_verify_job, job);
    for (size_t i = 0; i < batch->slots_count; i++) {
        struct tern_verify_slot *slot = &batch->slots[i];
        const uint8_t *key = batch->bytes + slot->key_offset;
        const uint8_t *message = key + slot->key_size;
        const uint8_t *signature = message + slot->message_size;
        slot->verdict = tern_verify_encoded(tern_view_of(key, slot->key_size),
                                            tern_view_of(message, slot->message_size),
                                            tern_view_of(signature, slot->signature_size));
    }
}

tern_err tern_verify_job_init(struct tern_verify_job *batch, struct tern_mem *mem, size_t items_max,
                              size_t bytes_max)
{
    TERN_CHECK(items_max >= 1 && items_max <= ITEMS_MAX);
    TERN_CHECK(bytes_max >= 1 && bytes_max <= BYTES_MAX);
    *batch = (struct tern_verify_job){.mem = mem, .slots_max = items_max, .bytes_max = bytes_max};
    batch->slots = tern_mem_alloc(mem, items_max * sizeof *batch->slots);
    batch->bytes = tern_mem_alloc(mem, bytes_max);
    if (batch->slots == NULL || batch->bytes == NULL) {
        tern_verify_job_fini(batch);
        return TERN_ERR_MEMORY;
    }
    batch->job.run = verify_run;
    return TERN_OK;
}

void tern_verify_job_fini(struct tern_verify_job *batch)
{
    tern_mem_free(batch->mem, batch->slots, batch->slots_max * sizeof *batch->slots);
    tern_mem_free(batch->mem, batch->bytes, batch->bytes_max);
    batch->slots = NULL;
    batch->bytes = NULL;
}

void tern_verify_job_reset(struct tern_verify_job *batch)
{
    batch->slots_count = 0;
    batch->bytes_count = 0;
    batch->job.cost_ns = 0;
}

/* The item's bytes in all, or SIZE_MAX when they are more than any batch holds. */
static size_t verify_item_size(const struct tern_verify_item *item)
{
    TERN_CHECK(item->parts_count <= TERN_VERIFY_PARTS_MAX);
    size_t sizes[2 + TERN_VERIFY_PARTS_MAX] = {item->public_key.size, item->signature.size};
    for (size_t i = 0; i < item->parts_count; i++)
        sizes[2 + i] = item->parts[i].size;
    size_t sum = 0;
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
        if (sizes[i] > BYTES_MAX || sum > BYTES_MAX)
            return SIZE_MAX;
        sum += sizes[i];
    }
    return sum;
}

tern_err tern_verify_job_add(struct tern_verify_job *batch, const struct tern_verify_item *item,
                             size_t *index)
{
    size_t size = verify_item_size(item);
    if (size > batch->bytes_max)
        return TERN_ERR_TOO_LARGE;
    if (batch->slots_count == batch->slots_max || size > batch->bytes_max - batch->bytes_count)
        return TERN_ERR_FULL;
    struct tern_writer w = tern_writer_of(batch->bytes, batch->bytes_max);
    w.size = batch->bytes_count;
    struct tern_verify_slot slot = {.key_offset = (uint32_t)w.size,
                                    .key_size = (uint32_t)item->public_key.size,
                                    .signature_size = (uint32_t)item->signature.size,
                                    .verdict = TERN_ERR_AGAIN};
    tern_writer_bytes(&w, item->public_key);
    for (size_t i = 0; i < item->parts_count; i++)
        tern_writer_bytes(&w, item->parts[i]);
    slot.message_size = (uint32_t)(w.size - slot.key_offset) - slot.key_size;
    tern_writer_bytes(&w, item->signature);
    TERN_CHECK(tern_writer_ok(&w));
    batch->bytes_count = w.size;
    batch->job.cost_ns += verify_cost(item->public_key);
    *index = batch->slots_count;
    batch->slots[batch->slots_count++] = slot;
    return TERN_OK;
}

tern_err tern_verify_job_verdict(const struct tern_verify_job *batch, size_t index)
{
    TERN_CHECK(index < batch->slots_count);
    return batch->slots[index].verdict;
}
