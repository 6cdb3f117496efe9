/*
 * For cmocka tests of connections: a pair with an account of its own, which is empty at the end.
 */
#ifndef TERN_CONN_CONN_TEST_FIXTURE_H
#define TERN_CONN_CONN_TEST_FIXTURE_H

#include "conn/conn_pair.h"

#include "tern_test.h"

struct fixture {
    struct tern_mem mem;
    struct conn_pair pair;
};

static inline struct conn_pair *open_pair(struct fixture *f,
                                          const struct conn_pair_options *options)
{
    tern_mem_init(&f->mem, 0);
    assert_true(conn_pair_init(&f->pair, options, &f->mem));
    return &f->pair;
}

static inline void close_pair(struct fixture *f)
{
    conn_pair_fini(&f->pair);
    assert_int_equal(f->mem.used, 0);
    tern_mem_fini(&f->mem);
}

#endif
