/*
 * For cmocka tests of connections: a pair with an account of its own, which is empty at the end;
 * and what pairs of any options must stand.
 */
#ifndef TERN_CONN_CONN_TEST_FIXTURE_H
#define TERN_CONN_CONN_TEST_FIXTURE_H

#include "conn/conn_pair.h"

#include "sim_fail.h"
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

static const enum tern_secure_kind each_secure[] = {TERN_SECURE_NOISE, TERN_SECURE_TLS,
                                                    TERN_SECURE_PLAINTEXT};

/* An echo comes back whole however the link cuts and delays the bytes. The seeds also choose the
 * secure channel, late muxers, how long jobs take, and, if the options have several forms, whether
 * b takes them. */
static inline void expect_echo_in_any_segmentation(const struct conn_pair_options *base,
                                                   uint64_t seeds)
{
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct fixture f;
        struct conn_pair_options options = *base;
        options.link.seed = seed;
        options.link.jitter_ns = 5 * TERN_MILLISECOND;
        options.link.segment_max = seed % 3 == 0 ? 1 : 400;
        options.secure = each_secure[seed / 3 % TERN_COUNT_OF(each_secure)];
        options.forms = seed % 2 == 0 ? base->forms : 0;
        options.late_muxer[seed % 2] = seed % 5 == 0;
        options.job_ns = seed % 7 * TERN_MILLISECOND;
        options.open_size = 1 + (size_t)seed * 500;
        options.ends_early = true;
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, 9 * TERN_SECOND);
        if (!conn_pair_echoed(&pair->ends[0], options.open_size) || !pair->ends[0].read_end)
            fail_msg("seed %lu", (unsigned long)seed);
        close_pair(&f);
    }
}

/* How many bytes a side sends in a life that nobody disturbs. */
static inline size_t life_size(const struct conn_pair_options *options, unsigned side)
{
    struct fixture f;
    struct conn_pair *pair = open_pair(&f, options);
    conn_pair_run(pair, 5 * TERN_SECOND);
    size_t size = (size_t)pair->link.sides[side].bytes_sent;
    close_pair(&f);
    return size;
}

/* The link ends behind each byte (with TLS, which takes long: each seventh or 23rd) that either
 * side sends, which are at least so many; each time both connections end, once, and keep no memory.
 */
static inline void expect_ends_at_every_byte(const struct conn_pair_options *base, size_t total_min)
{
    struct conn_pair_options options = *base;
    size_t step = options.form == TERN_LINK_WEBSOCKET_TLS ? 23
                  : options.secure == TERN_SECURE_TLS     ? 7
                                                          : 1;
    options.open_size = 3;
    options.link.segment_max = 1;
    for (unsigned side = 0; side < 2; side++) {
        size_t total = life_size(&options, side);
        assert_true(total >= total_min);
        for (size_t n = 0; n < total; n += n == 0 ? 1 : step) {
            struct fixture f;
            options.forms = n % 2 == 0 ? base->forms : 0;
            struct conn_pair *pair = open_pair(&f, &options);
            bool moved = true;
            while (moved && pair->link.sides[1 - side].bytes_received < n)
                moved = sim_pair_step(&pair->link, 5 * TERN_SECOND);
            struct conn_end *end = &pair->ends[1 - side];
            tern_conn_link_end(end->conn, pair->link.now);
            conn_pair_serve(end, pair->link.now);
            assert_int_equal(end->counts[TERN_CONN_CLOSED], 1);
            assert_int_equal(end->err, TERN_ERR_DISCONNECTED);
            conn_pair_run(pair, 30 * TERN_SECOND);
            assert_int_equal(pair->ends[side].counts[TERN_CONN_CLOSED], 1);
            close_pair(&f);
        }
    }
}

/* Each allocation and each reservation of a whole life fails in turn. */
static inline void expect_allocations_may_fail(struct conn_pair_options options, size_t open_size)
{
    options.open_size = open_size;
    options.ends_early = true;
    assert_true(sim_fail_each(conn_pair_life, &options) > 10);
    assert_true(sim_fail_each_reservation(conn_pair_life, &options) > 0);
}

#endif
