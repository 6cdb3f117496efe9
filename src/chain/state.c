#include "chain/state.h"

#include "base/check.h"
#include "chain/rows.h"
#include "chain/state_journal.h"

enum { STATE_JOURNAL_MIN = 64 };

static struct tern_state_row *state_row_of(struct tern_map_entry *entry)
{
    return TERN_CONTAINER_OF(entry, struct tern_state_row, entry);
}

static struct tern_state_row *state_find(const struct tern_state *state, struct tern_view key)
{
    struct tern_map_entry *entry = tern_map_find(&state->rows, key);
    return entry == NULL ? NULL : state_row_of(entry);
}

void tern_state_init(struct tern_state *state, struct tern_mem *mem, const uint64_t hash_key[2])
{
    *state = (struct tern_state){.mem = mem};
    tern_map_init(&state->rows, mem, hash_key);
    tern_ordered_init(&state->ordered, hash_key);
    tern_smt_init(&state->smt);
}

void tern_state_fini(struct tern_state *state)
{
    tern_state_commit(state);
    struct tern_map_entry *entry = tern_map_first(&state->rows);
    while (entry != NULL) {
        struct tern_map_entry *next = tern_map_next(&state->rows, entry);
        tern_mem_free(state->mem, state_row_of(entry), sizeof(struct tern_state_row));
        entry = next;
    }
    tern_map_fini(&state->rows);
    tern_mem_free(state->mem, state->journal,
                  state->journal_capacity * sizeof(struct tern_state_change));
    state->journal = NULL;
    state->journal_capacity = 0;
}

bool tern_state_get(const struct tern_state *state, struct tern_view key, struct tern_view *value)
{
    struct tern_state_row *row = state_find(state, key);
    if (row == NULL)
        return false;
    *value = tern_state_row_value(row);
    return true;
}

static tern_err state_journal_reserve(struct tern_state *state)
{
    if (state->journal_count < state->journal_capacity)
        return TERN_OK;
    size_t old_size = state->journal_capacity * sizeof(struct tern_state_change);
    size_t capacity = tern_max_size(STATE_JOURNAL_MIN, state->journal_capacity * 2);
    void *journal = tern_mem_realloc(state->mem, state->journal, old_size,
                                     capacity * sizeof(struct tern_state_change));
    if (journal == NULL)
        return TERN_ERR_MEMORY;
    state->journal = journal;
    state->journal_capacity = capacity;
    return TERN_OK;
}

static struct tern_state_change *state_journal_add(struct tern_state *state,
                                                   enum tern_state_change_kind kind,
                                                   struct tern_state_row *row)
{
    TERN_CHECK(state->journal_count < state->journal_capacity);
    struct tern_state_change *change = &state->journal[state->journal_count++];
    change->kind = (uint8_t)kind;
    change->row = row;
    change->old_size = 0;
    return change;
}

/* Brings a row into the map, the tree and, where it belongs, the ordered set. */
static tern_err state_link(struct tern_state *state, struct tern_state_row *row)
{
    TERN_TRY(tern_map_insert(&state->rows, &row->entry, tern_state_row_key(row)));
    if (tern_row_is_ordered(tern_state_row_key(row)))
        tern_ordered_insert(&state->ordered, &row->ordered, tern_state_row_key(row));
    tern_smt_insert(&state->smt, &row->smt, tern_state_row_key(row), tern_state_row_value(row));
    row->live = true;
    return TERN_OK;
}

static void state_unlink(struct tern_state *state, struct tern_state_row *row)
{
    TERN_DCHECK(row->live);
    tern_map_remove(&state->rows, &row->entry);
    if (tern_row_is_ordered(tern_state_row_key(row)))
        tern_ordered_remove(&state->ordered, &row->ordered);
    tern_smt_remove(&state->smt, &row->smt);
    row->live = false;
}

static void state_set_value(struct tern_state_row *row, const uint8_t *value, uint8_t size)
{
    memcpy(row->value, value, size);
    row->value_size = size;
    tern_smt_update(&row->smt, tern_state_row_value(row));
}

static tern_err state_insert(struct tern_state *state, struct tern_view key, struct tern_view value)
{
    struct tern_state_row *row = tern_mem_alloc(state->mem, sizeof *row);
    if (row == NULL)
        return TERN_ERR_MEMORY;
    row->key_size = (uint8_t)key.size;
    memcpy(row->key, key.data, key.size);
    row->value_size = (uint8_t)value.size;
    memcpy(row->value, value.data, value.size);
    tern_err err = state_link(state, row);
    if (err != TERN_OK) {
        tern_mem_free(state->mem, row, sizeof *row);
        return err;
    }
    state_journal_add(state, TERN_STATE_CHANGE_INSERT, row);
    return TERN_OK;
}

tern_err tern_state_put(struct tern_state *state, struct tern_view key, struct tern_view value)
{
    TERN_CHECK(key.size > 0 && key.size <= TERN_STATE_KEY_MAX);
    TERN_CHECK(value.size > 0 && value.size <= TERN_STATE_VALUE_MAX);
    TERN_TRY(state_journal_reserve(state));
    struct tern_state_row *row = state_find(state, key);
    if (row == NULL)
        return state_insert(state, key, value);
    struct tern_state_change *change = state_journal_add(state, TERN_STATE_CHANGE_UPDATE, row);
    change->old_size = row->value_size;
    memcpy(change->old_value, row->value, row->value_size);
    state_set_value(row, value.data, (uint8_t)value.size);
    return TERN_OK;
}

tern_err tern_state_delete(struct tern_state *state, struct tern_view key)
{
    TERN_TRY(state_journal_reserve(state));
    struct tern_state_row *row = state_find(state, key);
    TERN_CHECK(row != NULL);
    state_unlink(state, row);
    state_journal_add(state, TERN_STATE_CHANGE_DELETE, row);
    return TERN_OK;
}

const struct tern_state_row *tern_state_seek(const struct tern_state *state, struct tern_view key)
{
    TERN_DCHECK(tern_row_is_ordered(key));
    struct tern_ordered_node *node = tern_ordered_seek(&state->ordered, key);
    return node == NULL ? NULL : TERN_CONTAINER_OF(node, struct tern_state_row, ordered);
}

const struct tern_state_row *tern_state_next(const struct tern_state_row *row)
{
    struct tern_ordered_node *node = tern_ordered_next(&row->ordered);
    return node == NULL ? NULL : TERN_CONTAINER_OF(node, struct tern_state_row, ordered);
}

const struct tern_state_row *tern_state_row_first(const struct tern_state *state)
{
    struct tern_map_entry *entry = tern_map_first(&state->rows);
    return entry == NULL ? NULL : state_row_of(entry);
}

const struct tern_state_row *tern_state_row_after(const struct tern_state *state,
                                                  const struct tern_state_row *row)
{
    struct tern_map_entry *entry = tern_map_next(&state->rows, &row->entry);
    return entry == NULL ? NULL : state_row_of(entry);
}

static void state_rollback_one(struct tern_state *state, const struct tern_state_change *change)
{
    struct tern_state_row *row = change->row;
    switch ((enum tern_state_change_kind)change->kind) {
    case TERN_STATE_CHANGE_INSERT:
        state_unlink(state, row);
        tern_mem_free(state->mem, row, sizeof *row);
        return;
    case TERN_STATE_CHANGE_UPDATE:
        state_set_value(row, change->old_value, change->old_size);
        return;
    case TERN_STATE_CHANGE_DELETE: {
        /* The map has held this many rows before, so it need not grow. */
        tern_err err = state_link(state, row);
        TERN_CHECK(err == TERN_OK);
        return;
    }
    }
    TERN_UNREACHABLE();
}

void tern_state_rollback(struct tern_state *state, size_t mark)
{
    TERN_CHECK(mark <= state->journal_count);
    while (state->journal_count > mark)
        state_rollback_one(state, &state->journal[--state->journal_count]);
}

void tern_state_commit(struct tern_state *state)
{
    for (size_t i = 0; i < state->journal_count; i++)
        if (state->journal[i].kind == TERN_STATE_CHANGE_DELETE)
            tern_mem_free(state->mem, state->journal[i].row, sizeof(struct tern_state_row));
    state->journal_count = 0;
}

void tern_state_root(struct tern_state *state, struct tern_hash *root)
{
    tern_smt_root(&state->smt, root);
}
