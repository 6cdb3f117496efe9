#include "runtime/real/store_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

enum { STORE_KEY_MAX = 511 - 1, STORE_ROW_HEAD = 8 };
static const size_t STORE_MAP_SIZE_DEFAULT = (size_t)64 << 30;

struct tern_store_lmdb {
    MDB_env *env;
    MDB_dbi dbi;
    int lock_fd;
};

/* A row's key in the table: one byte of space, then the key. */
struct store_key {
    uint8_t bytes[1 + STORE_KEY_MAX];
    size_t size;
};

static bool store_key_make(struct store_key *out, uint8_t space, struct tern_view key)
{
    if (key.size > STORE_KEY_MAX)
        return false;
    out->bytes[0] = space;
    if (key.size > 0)
        memcpy(out->bytes + 1, key.data, key.size);
    out->size = 1 + key.size;
    return true;
}

static tern_err store_err(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return TERN_OK;
    case MDB_NOTFOUND:
        return TERN_ERR_NOT_FOUND;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return TERN_ERR_CORRUPT;
    default:
        return TERN_ERR_STORAGE;
    }
}

/* --- writing --- */

static int store_apply_op(struct tern_store_lmdb *store, MDB_txn *txn,
                          const struct tern_store_op *op)
{
    struct store_key key;
    if (!store_key_make(&key, op->space, op->key))
        return MDB_BAD_VALSIZE;
    MDB_val k = {.mv_size = key.size, .mv_data = key.bytes};
    if (op->kind == TERN_STORE_DELETE) {
        int rc = mdb_del(txn, store->dbi, &k, NULL);
        return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
    }
    MDB_val v = {.mv_size = op->value.size};
    int rc = mdb_put(txn, store->dbi, &k, &v, MDB_RESERVE);
    if (rc == MDB_SUCCESS && op->value.size > 0)
        memcpy(v.mv_data, op->value.data, op->value.size);
    return rc;
}

static int store_apply(struct tern_store_lmdb *store, MDB_txn *txn,
                       const struct tern_store_request *request)
{
    int rc = MDB_SUCCESS;
    for (size_t i = 0; i < request->ops_count && rc == MDB_SUCCESS; i++)
        rc = store_apply_op(store, txn, &request->ops[i]);
    return rc;
}

/* Applies requests in one synced transaction: all or none. */
static int store_commit(struct tern_store_lmdb *store, struct tern_store_request **requests,
                        size_t count)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc != MDB_SUCCESS)
        return rc;
    for (size_t i = 0; i < count && rc == MDB_SUCCESS; i++)
        rc = store_apply(store, txn, requests[i]);
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

/* A run of writes shares one commit; if that fails each is tried alone, so that one bad request
 * does not take others with it. */
static void store_write(struct tern_store_lmdb *store, struct tern_store_request **requests,
                        size_t count)
{
    int rc = store_commit(store, requests, count);
    for (size_t i = 0; i < count; i++) {
        if (rc != MDB_SUCCESS && count > 1)
            requests[i]->err = store_err(store_commit(store, &requests[i], 1));
        else
            requests[i]->err = store_err(rc);
    }
}

/* --- reading --- */

/* Appends a row to the request's result; false when it does not fit. */
static bool store_row(struct tern_store_request *request, MDB_val key, MDB_val value)
{
    size_t need = STORE_ROW_HEAD + key.mv_size + value.mv_size;
    if (value.mv_size > UINT32_MAX || need > request->result.size - request->result_size)
        return false;
    uint8_t *p = request->result.data + request->result_size;
    for (unsigned i = 0; i < 4; i++) {
        p[i] = (uint8_t)(key.mv_size >> (8 * i));
        p[4 + i] = (uint8_t)(value.mv_size >> (8 * i));
    }
    if (key.mv_size > 0)
        memcpy(p + STORE_ROW_HEAD, key.mv_data, key.mv_size);
    if (value.mv_size > 0)
        memcpy(p + STORE_ROW_HEAD + key.mv_size, value.mv_data, value.mv_size);
    request->result_size += need;
    request->rows_count++;
    return true;
}

static tern_err store_get(struct tern_store_lmdb *store, MDB_txn *txn,
                          struct tern_store_request *request)
{
    struct store_key key;
    MDB_val v;
    if (!store_key_make(&key, request->space, request->key))
        return TERN_ERR_INVALID;
    MDB_val k = {.mv_size = key.size, .mv_data = key.bytes};
    int rc = mdb_get(txn, store->dbi, &k, &v);
    if (rc != MDB_SUCCESS)
        return store_err(rc);
    MDB_val bare = {.mv_size = key.size - 1, .mv_data = key.bytes + 1};
    return store_row(request, bare, v) ? TERN_OK : TERN_ERR_TOO_LARGE;
}

static tern_err store_scan_rows(MDB_cursor *cursor, struct tern_store_request *request, MDB_val k)
{
    MDB_val v;
    int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    for (; rc == MDB_SUCCESS; rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
        const uint8_t *bytes = k.mv_data;
        if (k.mv_size == 0 || bytes[0] != request->space)
            return TERN_OK;
        MDB_val bare = {.mv_size = k.mv_size - 1, .mv_data = (uint8_t *)k.mv_data + 1};
        if (request->rows_count == request->rows_max || !store_row(request, bare, v)) {
            request->more = true;
            return request->rows_count == 0 ? TERN_ERR_TOO_LARGE : TERN_OK;
        }
    }
    return rc == MDB_NOTFOUND ? TERN_OK : store_err(rc);
}

static tern_err store_scan(struct tern_store_lmdb *store, MDB_txn *txn,
                           struct tern_store_request *request)
{
    struct store_key key;
    MDB_cursor *cursor;
    if (!store_key_make(&key, request->space, request->key))
        return TERN_ERR_INVALID;
    int rc = mdb_cursor_open(txn, store->dbi, &cursor);
    if (rc != MDB_SUCCESS)
        return store_err(rc);
    MDB_val k = {.mv_size = key.size, .mv_data = key.bytes};
    tern_err err = store_scan_rows(cursor, request, k);
    mdb_cursor_close(cursor);
    return err;
}

static void store_read(struct tern_store_lmdb *store, struct tern_store_request *request)
{
    MDB_txn *txn;
    request->result_size = 0;
    request->rows_count = 0;
    request->more = false;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc != MDB_SUCCESS) {
        request->err = store_err(rc);
        return;
    }
    request->err = request->kind == TERN_STORE_GET ? store_get(store, txn, request)
                                                   : store_scan(store, txn, request);
    mdb_txn_abort(txn);
}

static void store_serve(void *self, struct tern_store_request **requests, size_t count)
{
    struct tern_store_lmdb *store = self;
    size_t i = 0;
    while (i < count) {
        size_t run = 0;
        while (i + run < count && requests[i + run]->kind == TERN_STORE_WRITE)
            run++;
        if (run > 0) {
            store_write(store, requests + i, run);
            i += run;
        } else {
            store_read(store, requests[i]);
            i++;
        }
    }
}

static void store_close(void *self)
{
    struct tern_store_lmdb *store = self;
    mdb_env_close(store->env);
    close(store->lock_fd);
    free(store);
}

const struct tern_store_ops tern_store_lmdb_ops = {.serve = store_serve, .close = store_close};

/* --- opening --- */

static int store_open_env(struct tern_store_lmdb *store,
                          const struct tern_store_lmdb_options *options)
{
    MDB_txn *txn;
    int rc = mdb_env_create(&store->env);
    if (rc != MDB_SUCCESS)
        return rc;
    size_t size = options->map_size_bytes == 0 ? STORE_MAP_SIZE_DEFAULT : options->map_size_bytes;
    rc = mdb_env_set_mapsize(store->env, size);
    if (rc == MDB_SUCCESS)
        rc = mdb_env_open(store->env, options->path, MDB_NOTLS, 0600);
    if (rc == MDB_SUCCESS)
        rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc == MDB_SUCCESS) {
        rc = mdb_dbi_open(txn, NULL, 0, &store->dbi);
        if (rc == MDB_SUCCESS)
            rc = mdb_txn_commit(txn);
        else
            mdb_txn_abort(txn);
    }
    if (rc != MDB_SUCCESS)
        mdb_env_close(store->env);
    return rc;
}

/* One process a store: LMDB itself would let two in, but their machines would not know of each
 * other. */
static tern_err store_lock(struct tern_store_lmdb *store, const char *path)
{
    char name[4096];
    if (snprintf(name, sizeof name, "%s/owner.lock", path) >= (int)sizeof name)
        return TERN_ERR_INVALID;
    store->lock_fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (store->lock_fd < 0)
        return TERN_ERR_STORAGE;
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        close(store->lock_fd);
        return TERN_ERR_EXISTS;
    }
    return TERN_OK;
}

tern_err tern_store_lmdb_open(const struct tern_store_lmdb_options *options,
                              struct tern_store_lmdb **out, char *message, size_t message_size)
{
    struct tern_store_lmdb *store = calloc(1, sizeof *store);
    const char *why = "";
    if (store == NULL)
        return TERN_ERR_MEMORY;
    tern_err err = TERN_OK;
    if (mkdir(options->path, 0700) != 0 && errno != EEXIST) {
        why = strerror(errno);
        err = TERN_ERR_STORAGE;
    }
    if (err == TERN_OK) {
        err = store_lock(store, options->path);
        why = err == TERN_ERR_EXISTS ? "another process uses it; stop that one first"
                                     : strerror(errno);
    }
    if (err == TERN_OK) {
        int rc = store_open_env(store, options);
        err = store_err(rc);
        why = mdb_strerror(rc);
        if (err != TERN_OK)
            close(store->lock_fd);
    }
    if (err != TERN_OK) {
        if (message != NULL)
            snprintf(message, message_size, "the store %s cannot be opened: %s", options->path,
                     why);
        free(store);
        return err;
    }
    *out = store;
    return TERN_OK;
}
