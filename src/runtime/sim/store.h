/*
 * A store in memory that serves the requests of runtime/io.h: rows in key order, several name
 * spaces. It belongs to a simulated node and outlives its crashes. What a crash does to writes that
 * are under way is the world's business (world.h); here a request is served at once.
 *
 * Limits: a key has at most SIM_STORE_KEY_MAX bytes, as in the LMDB store. Not thread safe.
 */
#ifndef TERN_RUNTIME_SIM_STORE_H
#define TERN_RUNTIME_SIM_STORE_H

#include "base/mem.h"
#include "runtime/io.h"

enum { SIM_STORE_KEY_MAX = 510, SIM_STORE_LEVELS = 16 };

struct sim_store_row;

struct sim_store {
    struct tern_mem *mem;
    struct sim_store_row *heads[SIM_STORE_LEVELS]; /* a skip list: the first row of each level */
    uint64_t rng;                                  /* draws the rows' levels */
    size_t rows_count;
    size_t bytes; /* of keys and values */
    uint64_t writes;
    uint64_t reads;
};

/* sim_store_init makes an empty store; the seed shapes the skip list and nothing else. */
void sim_store_init(struct sim_store *store, struct tern_mem *mem, uint64_t seed);
void sim_store_fini(struct sim_store *store);

/* sim_store_serve carries a request out and fills in its results and err: TERN_OK; NOT_FOUND (GET);
 * TOO_LARGE; INVALID (a key that is too long); STORAGE (no memory: nothing was written). A WRITE is
 * all or nothing. */
void sim_store_serve(struct sim_store *store, struct tern_store_request *request);

/* sim_store_get views a value until the next write; false: there is none. For scenarios and tests.
 */
bool sim_store_get(const struct sim_store *store, uint8_t space, struct tern_view key,
                   struct tern_view *value);

/* sim_store_put writes one row; ends the process without memory. For scenarios and tests. */
void sim_store_put(struct sim_store *store, uint8_t space, struct tern_view key,
                   struct tern_view value);

/* sim_store_corrupt flips one bit of a value that is there; false: there is no such row or its
 * value is empty. */
bool sim_store_corrupt(struct sim_store *store, uint8_t space, struct tern_view key, uint64_t bit);

#endif
