#include "runtime/sim/store.h"

#include "base/check.h"
#include "runtime/sim/rng.h"

enum { STORE_ROW_HEAD = 8, STORE_BRANCHING = 4 };

struct sim_store_row {
    size_t size; /* of this block */
    uint8_t *value;
    uint32_t value_size;
    uint16_t key_size;
    uint8_t space;
    uint8_t levels;
    struct sim_store_row *next[]; /* levels of them; the key stands behind them */
};

static uint8_t *row_key_bytes(struct sim_store_row *row)
{
    return (uint8_t *)&row->next[row->levels];
}

static struct tern_view row_key(const struct sim_store_row *row)
{
    return tern_view_of(&row->next[row->levels], row->key_size);
}

static struct tern_view row_value(const struct sim_store_row *row)
{
    return tern_view_of(row->value, row->value_size);
}

static bool row_before(const struct sim_store_row *row, uint8_t space, struct tern_view key)
{
    if (row->space != space)
        return row->space < space;
    return tern_view_compare(row_key(row), key) < 0;
}

static bool row_is(const struct sim_store_row *row, uint8_t space, struct tern_view key)
{
    return row != NULL && row->space == space && tern_view_equal(row_key(row), key);
}

void sim_store_init(struct sim_store *store, struct tern_mem *mem, uint64_t seed)
{
    *store = (struct sim_store){.mem = mem, .rng = seed};
}

static void row_free(struct sim_store *store, struct sim_store_row *row)
{
    store->bytes -= (size_t)row->key_size + row->value_size;
    store->rows_count--;
    tern_mem_free(store->mem, row->value, row->value_size);
    tern_mem_free(store->mem, row, row->size);
}

void sim_store_fini(struct sim_store *store)
{
    struct sim_store_row *row = store->heads[0];
    while (row != NULL) {
        struct sim_store_row *next = row->next[0];
        row_free(store, row);
        row = next;
    }
    TERN_CHECK(store->rows_count == 0 && store->bytes == 0);
    memset(store->heads, 0, sizeof(store->heads));
}

/* The links that lead to the first row at or after (space, key), one a level. */
struct store_path {
    struct sim_store_row **links[SIM_STORE_LEVELS];
};

static struct sim_store_row *store_seek(struct sim_store *store, uint8_t space,
                                        struct tern_view key, struct store_path *path)
{
    struct sim_store_row **links = store->heads;
    for (size_t level = SIM_STORE_LEVELS; level-- > 0;) {
        while (links[level] != NULL && row_before(links[level], space, key))
            links = links[level]->next;
        path->links[level] = &links[level];
    }
    return links[0];
}

static const struct sim_store_row *store_find(const struct sim_store *store, uint8_t space,
                                              struct tern_view key)
{
    struct sim_store_row *const *links = store->heads;
    for (size_t level = SIM_STORE_LEVELS; level-- > 0;) {
        while (links[level] != NULL && row_before(links[level], space, key))
            links = links[level]->next;
    }
    return links[0];
}

static uint8_t store_draw_levels(struct sim_store *store)
{
    uint8_t levels = 1;
    while (levels < SIM_STORE_LEVELS && sim_rng_below(&store->rng, STORE_BRANCHING) == 0)
        levels++;
    return levels;
}

static struct sim_store_row *row_new(struct sim_store *store, const struct tern_store_op *op)
{
    uint8_t levels = store_draw_levels(store);
    struct sim_store_row *row = NULL;
    size_t size = sizeof(*row) + levels * sizeof(row) + op->key.size;
    row = tern_mem_alloc(store->mem, size);
    if (row == NULL)
        return NULL;
    *row = (struct sim_store_row){
        .size = size, .key_size = (uint16_t)op->key.size, .space = op->space, .levels = levels};
    tern_copy(row_key_bytes(row), op->key.data, op->key.size);
    if (op->value.size > 0) {
        row->value = tern_mem_dup(store->mem, op->value);
        row->value_size = (uint32_t)op->value.size;
        if (row->value == NULL) {
            tern_mem_free(store->mem, row, size);
            return NULL;
        }
    }
    return row;
}

static void store_remove(struct sim_store *store, struct sim_store_row *row,
                         const struct store_path *path)
{
    for (size_t level = 0; level < row->levels; level++) {
        TERN_CHECK(*path->links[level] == row);
        *path->links[level] = row->next[level];
    }
    row_free(store, row);
}

/* store_apply carries out one change; row is the prepared one of a PUT. It cannot fail. */
static void store_apply(struct sim_store *store, const struct tern_store_op *op,
                        struct sim_store_row *row)
{
    struct store_path path;
    struct sim_store_row *there = store_seek(store, op->space, op->key, &path);
    if (row_is(there, op->space, op->key))
        store_remove(store, there, &path);
    if (row == NULL)
        return;
    for (size_t level = 0; level < row->levels; level++) {
        row->next[level] = *path.links[level];
        *path.links[level] = row;
    }
    store->rows_count++;
    store->bytes += (size_t)row->key_size + row->value_size;
}

static tern_err store_check(const struct tern_store_request *request)
{
    for (size_t i = 0; i < request->ops_count; i++) {
        const struct tern_store_op *op = &request->ops[i];
        if (op->key.size > SIM_STORE_KEY_MAX || op->value.size > UINT32_MAX)
            return TERN_ERR_INVALID;
    }
    return TERN_OK;
}

static void rows_discard(struct sim_store *store, struct sim_store_row **rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i] == NULL)
            continue;
        tern_mem_free(store->mem, rows[i]->value, rows[i]->value_size);
        tern_mem_free(store->mem, rows[i], rows[i]->size);
    }
}

/* store_write prepares all rows before it changes anything, so that it is all or nothing. */
static tern_err store_write(struct sim_store *store, const struct tern_store_request *request)
{
    TERN_TRY(store_check(request));
    if (request->ops_count == 0)
        return TERN_OK;
    size_t rows_size = request->ops_count * sizeof(struct sim_store_row *);
    struct sim_store_row **rows = tern_mem_zalloc(store->mem, rows_size);
    bool ok = rows != NULL;
    for (size_t i = 0; ok && i < request->ops_count; i++) {
        if (request->ops[i].kind == TERN_STORE_PUT)
            ok = (rows[i] = row_new(store, &request->ops[i])) != NULL;
    }
    if (ok) {
        for (size_t i = 0; i < request->ops_count; i++)
            store_apply(store, &request->ops[i], rows[i]);
    } else if (rows != NULL) {
        rows_discard(store, rows, request->ops_count);
    }
    tern_mem_free(store->mem, rows, rows_size);
    return ok ? TERN_OK : TERN_ERR_STORAGE;
}

static bool store_emit(struct tern_store_request *request, const struct sim_store_row *row)
{
    size_t need = (size_t)STORE_ROW_HEAD + row->key_size + row->value_size;
    if (need > request->result.size - request->result_size)
        return false;
    struct tern_writer w = tern_writer_of(request->result.data + request->result_size, need);
    tern_writer_u32le(&w, row->key_size);
    tern_writer_u32le(&w, row->value_size);
    tern_writer_bytes(&w, row_key(row));
    tern_writer_bytes(&w, row_value(row));
    TERN_CHECK(tern_writer_ok(&w) && w.size == need);
    request->result_size += need;
    request->rows_count++;
    return true;
}

static tern_err store_scan(const struct sim_store *store, struct tern_store_request *request)
{
    const struct sim_store_row *row = store_find(store, request->space, request->key);
    for (; row != NULL && row->space == request->space; row = row->next[0]) {
        if (request->rows_count == request->rows_max || !store_emit(request, row)) {
            request->more = true;
            return request->rows_count == 0 ? TERN_ERR_TOO_LARGE : TERN_OK;
        }
    }
    return TERN_OK;
}

static tern_err store_read(const struct sim_store *store, struct tern_store_request *request)
{
    if (request->key.size > SIM_STORE_KEY_MAX)
        return TERN_ERR_INVALID;
    if (request->kind == TERN_STORE_SCAN)
        return store_scan(store, request);
    const struct sim_store_row *row = store_find(store, request->space, request->key);
    if (!row_is(row, request->space, request->key))
        return TERN_ERR_NOT_FOUND;
    return store_emit(request, row) ? TERN_OK : TERN_ERR_TOO_LARGE;
}

void sim_store_serve(struct sim_store *store, struct tern_store_request *request)
{
    request->result_size = 0;
    request->rows_count = 0;
    request->more = false;
    if (request->kind == TERN_STORE_WRITE) {
        store->writes++;
        request->err = store_write(store, request);
    } else {
        store->reads++;
        request->err = store_read(store, request);
    }
}

bool sim_store_get(const struct sim_store *store, uint8_t space, struct tern_view key,
                   struct tern_view *value)
{
    const struct sim_store_row *row = store_find(store, space, key);
    bool found = row_is(row, space, key);
    *value = found ? row_value(row) : tern_view_of(NULL, 0);
    return found;
}

void sim_store_put(struct sim_store *store, uint8_t space, struct tern_view key,
                   struct tern_view value)
{
    struct tern_store_op op = {.kind = TERN_STORE_PUT, .space = space, .key = key, .value = value};
    struct tern_store_request request = {.kind = TERN_STORE_WRITE, .ops = &op, .ops_count = 1};
    sim_store_serve(store, &request);
    TERN_CHECK(request.err == TERN_OK);
}

bool sim_store_corrupt(struct sim_store *store, uint8_t space, struct tern_view key, uint64_t bit)
{
    struct store_path path;
    struct sim_store_row *row = store_seek(store, space, key, &path);
    if (!row_is(row, space, key) || row->value_size == 0)
        return false;
    bit %= (uint64_t)row->value_size * 8;
    row->value[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    return true;
}
