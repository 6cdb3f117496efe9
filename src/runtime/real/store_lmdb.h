/*
 * The real store: LMDB behind the store seam of runtime/real/loop.h. Spaces are key prefixes of one
 * table. A batch of WRITE requests is one transaction, synced to disk before any of them comes
 * back, so what was acknowledged survives a crash of the process and of the machine.
 *
 * Opened before the loop, used on its storage thread only.
 */
#ifndef TERN_RUNTIME_REAL_STORE_LMDB_H
#define TERN_RUNTIME_REAL_STORE_LMDB_H

#include "runtime/real/loop.h"

struct tern_store_lmdb;

extern const struct tern_store_ops tern_store_lmdb_ops;

struct tern_store_lmdb_options {
    const char *path;      /* a directory; made when it does not exist (mode 0700) */
    size_t map_size_bytes; /* the most the store may grow to; 0: 64 GiB (sparse) */
};

/* tern_store_lmdb_open: TERN_ERR_STORAGE, TERN_ERR_CORRUPT, TERN_ERR_EXISTS (another process holds
 * it); message, if not NULL, receives a sentence of at most message_size bytes that says what and
 * why. */
TERN_NODISCARD tern_err tern_store_lmdb_open(const struct tern_store_lmdb_options *options,
                                             struct tern_store_lmdb **store, char *message,
                                             size_t message_size);

#endif
