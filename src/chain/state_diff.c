#include "base/check.h"
#include "base/reader.h"
#include "chain/merkle.h"
#include "chain/sort.h"
#include "chain/state.h"
#include "chain/state_journal.h"
#include "crypto/sha256.h"

struct diff_ref {
    const struct tern_state_change *change;
};

/* By key, then by place in the journal: the first of a key knows the old value. */
static int diff_compare(const void *a, const void *b)
{
    const struct tern_state_change *x = ((const struct diff_ref *)a)->change;
    const struct tern_state_change *y = ((const struct diff_ref *)b)->change;
    int order = x->row == y->row
                    ? 0
                    : tern_view_compare(tern_state_row_key(x->row), tern_state_row_key(y->row));
    if (order != 0)
        return order;
    return (x > y) - (x < y);
}

static bool diff_same_key(const struct diff_ref *a, const struct diff_ref *b)
{
    return a->change->row == b->change->row ||
           tern_view_equal(tern_state_row_key(a->change->row), tern_state_row_key(b->change->row));
}

static void diff_old(const struct tern_state_change *first, struct tern_state_delta *delta)
{
    delta->old_size = 0;
    if (first->kind == TERN_STATE_CHANGE_UPDATE) {
        delta->old_size = first->old_size;
        memcpy(delta->old_value, first->old_value, first->old_size);
    } else if (first->kind == TERN_STATE_CHANGE_DELETE) {
        delta->old_size = first->row->value_size;
        memcpy(delta->old_value, first->row->value, first->row->value_size);
    }
}

static void diff_new(const struct tern_state_change *last, struct tern_state_delta *delta)
{
    delta->new_size = 0;
    if (last->kind == TERN_STATE_CHANGE_DELETE)
        return;
    TERN_DCHECK(last->row->live);
    delta->new_size = last->row->value_size;
    memcpy(delta->new_value, last->row->value, last->row->value_size);
}

static bool diff_changed(const struct tern_state_delta *delta)
{
    return !tern_view_equal(tern_view_of(delta->old_value, delta->old_size),
                            tern_view_of(delta->new_value, delta->new_size));
}

static void diff_fill(const struct diff_ref *refs, size_t count, struct tern_state_diff *diff)
{
    size_t i = 0;
    while (i < count) {
        size_t last = i;
        while (last + 1 < count && diff_same_key(&refs[i], &refs[last + 1]))
            last++;
        struct tern_state_delta *delta = &diff->deltas[diff->count];
        const struct tern_state_row *row = refs[i].change->row;
        delta->key_size = row->key_size;
        memcpy(delta->key, row->key, row->key_size);
        diff_old(refs[i].change, delta);
        diff_new(refs[last].change, delta);
        diff->count += diff_changed(delta);
        i = last + 1;
    }
}

tern_err tern_state_diff(const struct tern_state *state, size_t mark, struct tern_state_diff *diff)
{
    TERN_CHECK(mark <= state->journal_count);
    *diff = (struct tern_state_diff){.mem = state->mem};
    size_t count = state->journal_count - mark;
    if (count == 0)
        return TERN_OK;
    struct diff_ref *refs = tern_mem_alloc(state->mem, count * sizeof *refs);
    if (refs == NULL)
        return TERN_ERR_MEMORY;
    for (size_t i = 0; i < count; i++)
        refs[i].change = &state->journal[mark + i];
    tern_sort(refs, count, sizeof *refs, diff_compare);
    size_t keys = 1;
    for (size_t i = 1; i < count; i++)
        keys += !diff_same_key(&refs[i - 1], &refs[i]);
    diff->deltas = tern_mem_alloc(state->mem, keys * sizeof *diff->deltas);
    if (diff->deltas != NULL) {
        diff->capacity = keys;
        diff_fill(refs, count, diff);
    }
    tern_mem_free(state->mem, refs, count * sizeof *refs);
    return diff->deltas == NULL ? TERN_ERR_MEMORY : TERN_OK;
}

void tern_state_diff_fini(struct tern_state_diff *diff)
{
    tern_mem_free(diff->mem, diff->deltas, diff->capacity * sizeof *diff->deltas);
    *diff = (struct tern_state_diff){.mem = diff->mem};
}

static struct tern_view diff_key(const struct tern_state_delta *delta)
{
    return tern_view_of(delta->key, delta->key_size);
}

void tern_state_diff_root(const struct tern_state_diff *diff, struct tern_hash *root)
{
    struct tern_merkle merkle;
    tern_merkle_init(&merkle);
    for (size_t i = 0; i < diff->count; i++) {
        const struct tern_state_delta *delta = &diff->deltas[i];
        uint8_t bytes[2 + TERN_STATE_KEY_MAX + TERN_STATE_VALUE_MAX];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        tern_writer_u8(&w, delta->key_size);
        tern_writer_bytes(&w, diff_key(delta));
        tern_writer_u8(&w, delta->new_size);
        tern_writer_bytes(&w, tern_view_of(delta->new_value, delta->new_size));
        struct tern_hash leaf;
        tern_merkle_leaf(tern_writer_view(&w), &leaf);
        tern_merkle_add(&merkle, &leaf);
    }
    tern_merkle_root(&merkle, root);
}

static void diff_check_now(const struct tern_state *state, const struct tern_state_delta *delta)
{
    struct tern_view now = tern_view_of(NULL, 0);
    bool is_there = tern_state_get(state, diff_key(delta), &now);
    TERN_CHECK(is_there == (delta->new_size > 0));
    TERN_CHECK(tern_view_equal(now, tern_view_of(delta->new_value, delta->new_size)));
}

tern_err tern_state_undo(struct tern_state *state, const struct tern_state_diff *diff)
{
    for (size_t i = diff->count; i > 0; i--) {
        const struct tern_state_delta *delta = &diff->deltas[i - 1];
        diff_check_now(state, delta);
        struct tern_view old = tern_view_of(delta->old_value, delta->old_size);
        if (old.size == 0)
            TERN_TRY(tern_state_delete(state, diff_key(delta)));
        else
            TERN_TRY(tern_state_put(state, diff_key(delta), old));
    }
    return TERN_OK;
}

size_t tern_state_diff_size(const struct tern_state_diff *diff)
{
    size_t size = 4 + TERN_SHA256_SIZE;
    for (size_t i = 0; i < diff->count; i++)
        size += 3U + diff->deltas[i].key_size + diff->deltas[i].old_size + diff->deltas[i].new_size;
    return size;
}

void tern_state_diff_encode(const struct tern_state_diff *diff, struct tern_writer *w)
{
    size_t start = w->size;
    uint8_t digest[TERN_SHA256_SIZE];
    TERN_CHECK(diff->count <= UINT32_MAX);
    tern_writer_u32le(w, (uint32_t)diff->count);
    for (size_t i = 0; i < diff->count; i++) {
        const struct tern_state_delta *delta = &diff->deltas[i];
        tern_writer_u8(w, delta->key_size);
        tern_writer_bytes(w, diff_key(delta));
        tern_writer_u8(w, delta->old_size);
        tern_writer_bytes(w, tern_view_of(delta->old_value, delta->old_size));
        tern_writer_u8(w, delta->new_size);
        tern_writer_bytes(w, tern_view_of(delta->new_value, delta->new_size));
    }
    tern_sha256(tern_view_of(w->data + start, w->size - start), digest);
    tern_writer_bytes(w, tern_view_of(digest, sizeof digest));
}

/* The diff without its digest; false when the digest is not its own. */
static bool diff_check_digest(struct tern_view *bytes)
{
    uint8_t digest[TERN_SHA256_SIZE];
    if (bytes->size < sizeof digest)
        return false;
    bytes->size -= sizeof digest;
    tern_sha256(*bytes, digest);
    return memcmp(bytes->data + bytes->size, digest, sizeof digest) == 0;
}

static bool diff_decode_bytes(struct tern_reader *r, size_t max, uint8_t *size, uint8_t *out)
{
    if (!tern_reader_u8(r, size))
        return false;
    if (*size > max)
        return tern_reader_fail(r, TERN_ERR_CORRUPT);
    return tern_reader_copy(r, out, *size);
}

static bool diff_decode_one(struct tern_reader *r, struct tern_state_delta *delta)
{
    return diff_decode_bytes(r, TERN_STATE_KEY_MAX, &delta->key_size, delta->key) &&
           diff_decode_bytes(r, TERN_STATE_VALUE_MAX, &delta->old_size, delta->old_value) &&
           diff_decode_bytes(r, TERN_STATE_VALUE_MAX, &delta->new_size, delta->new_value) &&
           delta->key_size > 0 && diff_changed(delta);
}

tern_err tern_state_diff_decode(struct tern_view bytes, struct tern_mem *mem,
                                struct tern_state_diff *diff)
{
    *diff = (struct tern_state_diff){.mem = mem};
    if (!diff_check_digest(&bytes))
        return TERN_ERR_CORRUPT;
    struct tern_reader r = tern_reader_of(bytes);
    uint32_t count = 0;
    tern_reader_u32le(&r, &count);
    if (r.err != TERN_OK || count > tern_reader_left(&r) / 5) /* a delta has at least 5 bytes */
        return TERN_ERR_CORRUPT;
    if (count > 0) {
        diff->deltas = tern_mem_alloc(mem, count * sizeof *diff->deltas);
        if (diff->deltas == NULL)
            return TERN_ERR_MEMORY;
        diff->capacity = count;
    }
    bool ok = true;
    while (ok && diff->count < count) {
        ok = diff_decode_one(&r, &diff->deltas[diff->count]);
        if (ok && diff->count > 0)
            ok = tern_view_compare(diff_key(&diff->deltas[diff->count - 1]),
                                   diff_key(&diff->deltas[diff->count])) < 0;
        diff->count++;
    }
    if (ok && tern_reader_end(&r) == TERN_OK)
        return TERN_OK;
    tern_state_diff_fini(diff);
    return TERN_ERR_CORRUPT;
}
