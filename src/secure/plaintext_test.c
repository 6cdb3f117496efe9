#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "secure/plaintext.h"
#include "secure_pump.h"
#include "wire/protobuf.h"

struct world {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_private_key keys[2];
    struct tern_peer_id ids[2];
    struct tern_plaintext_options options[2];
    struct pump pump;
};

static struct world *world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    tern_mem_init(&w->mem, 0);
    tern_random_init_u64(&w->random, seed);
    tern_random_fork(&w->random, &w->pump.random);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tern_private_key_generate(TERN_KEY_ED25519, &w->random, &w->keys[i]),
                         TERN_OK);
        tern_public_key_peer_id(&w->keys[i].public_key, &w->ids[i]);
        w->options[i] = (struct tern_plaintext_options){.mem = &w->mem, .host_key = &w->keys[i]};
        w->pump.ends[i].mem = &w->mem;
    }
    return w;
}

static bool world_open(struct world *w)
{
    for (int i = 0; i < 2; i++)
        if (tern_plaintext_new(&w->options[i], &w->pump.ends[i].secure) != TERN_OK)
            return false;
    return true;
}

static void world_close(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        pump_end_fini(&w->pump.ends[i]);
        w->pump.ends[i] = (struct pump_end){.mem = &w->mem};
    }
}

static void world_free(struct world *w)
{
    world_close(w);
    for (int i = 0; i < 2; i++)
        tern_private_key_fini(&w->keys[i]);
    assert_int_equal(w->mem.used, 0);
    tern_mem_fini(&w->mem);
    free(w);
}

static tern_fault fault_of(const struct world *w, int i)
{
    const struct tern_channel *s = &w->pump.ends[i].secure;
    return s->ops->fault(s->self);
}

static void data_arrives_whatever_the_segmentation(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world *w = world_new(seed);
        w->options[0].expected_peer = &w->ids[1];
        assert_true(world_open(w));
        for (int i = 0; i < 2; i++)
            w->pump.ends[i].message_size = 1 + tern_random_below(&w->random, 300000);
        pump_run(&w->pump);
        for (int i = 0; i < 2; i++) {
            const struct tern_channel *s = &w->pump.ends[i].secure;
            assert_int_equal(w->pump.ends[i].err, TERN_OK);
            assert_int_equal(w->pump.ends[i].got_size, w->pump.ends[1 - i].message_size);
            const struct tern_secure_remote *remote = s->ops->remote(s->self);
            assert_true(tern_peer_id_equal(remote->peer_id, &w->ids[1 - i]));
            assert_true(tern_public_key_equal(remote->public_key, &w->keys[1 - i].public_key));
            assert_int_equal(remote->muxer.size, 0);
        }
        world_free(w);
    }
}

static void wrong_peer_is_refused(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    w->options[0].expected_peer = &w->ids[0];
    assert_true(world_open(w));
    pump_run(&w->pump);
    assert_int_equal(w->pump.ends[0].err, TERN_ERR_PEER_MISMATCH);
    assert_int_equal(fault_of(w, 0), TERN_FAULT_PLAINTEXT_WRONG_PEER);
    assert_false(w->pump.ends[0].done);
    world_free(w);
}

static void data_is_passed_on_without_a_copy(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    assert_true(world_open(w));
    pump_run(&w->pump);
    uint64_t allocs = w->mem.allocs;
    struct tern_channel *s = &w->pump.ends[0].secure;
    struct tern_slice in = {.view = tern_view_str("some data")};
    size_t used;
    assert_int_equal(s->ops->recv(s->self, 0, in, &used), TERN_OK);
    assert_int_equal(used, 9);
    struct tern_channel_event event;
    assert_true(s->ops->next(s->self, &event));
    assert_int_equal(event.kind, TERN_CHANNEL_DATA);
    assert_ptr_equal(event.data.view.data, in.view.data);
    assert_int_equal(w->mem.allocs, allocs);
    world_free(w);
}

/* ---- bad exchanges ---- */

enum forgery {
    HONEST,
    EMPTY,
    MALFORMED,
    NO_ID,
    NO_KEY,
    ANOTHERS_ID,
    JUNK_KEY,
    LENGTH_ZERO,
    LENGTH_NOT_MINIMAL,
    LENGTH_OVER_LIMIT,
    LENGTH_ENDLESS,
    FORGERY_COUNT
};

static const tern_fault forgery_faults[FORGERY_COUNT] = {
    [HONEST] = TERN_FAULT_NONE,
    [EMPTY] = TERN_FAULT_PLAINTEXT_BAD_KEY,
    [MALFORMED] = TERN_FAULT_PLAINTEXT_BAD_EXCHANGE,
    [NO_ID] = TERN_FAULT_PLAINTEXT_BAD_KEY,
    [NO_KEY] = TERN_FAULT_PLAINTEXT_BAD_KEY,
    [ANOTHERS_ID] = TERN_FAULT_PLAINTEXT_BAD_KEY,
    [JUNK_KEY] = TERN_FAULT_PLAINTEXT_BAD_KEY,
    [LENGTH_ZERO] = TERN_FAULT_PLAINTEXT_BAD_EXCHANGE,
    [LENGTH_NOT_MINIMAL] = TERN_FAULT_PLAINTEXT_BAD_EXCHANGE,
    [LENGTH_OVER_LIMIT] = TERN_FAULT_PLAINTEXT_BAD_EXCHANGE,
    [LENGTH_ENDLESS] = TERN_FAULT_PLAINTEXT_BAD_EXCHANGE,
};

static const struct tern_view bad_lengths[FORGERY_COUNT] = {
    [LENGTH_ZERO] = {(const uint8_t *)"\x00", 1},
    [LENGTH_NOT_MINIMAL] = {(const uint8_t *)"\x85\x00", 2},
    [LENGTH_OVER_LIMIT] = {(const uint8_t *)"\x81\x20", 2}, /* 4097 */
    [LENGTH_ENDLESS] = {(const uint8_t *)"\xff\xff\x01", 3},
};

static void forge(const struct world *w, enum forgery how, struct tern_writer *out)
{
    if (bad_lengths[how].size > 0) {
        tern_writer_bytes(out, bad_lengths[how]);
        return;
    }
    uint8_t bytes[256];
    struct tern_writer m = tern_writer_of(bytes, sizeof bytes);
    uint8_t key_bytes[128];
    struct tern_writer key = tern_writer_of(key_bytes, sizeof key_bytes);
    tern_public_key_encode(&w->keys[1].public_key, &key);
    if (how == JUNK_KEY)
        key.data[0] ^= 0xff;
    if (how != NO_ID && how != EMPTY)
        tern_pb_write_bytes(&m, 1, tern_peer_id_view(&w->ids[how != ANOTHERS_ID]));
    if (how != NO_KEY && how != EMPTY)
        tern_pb_write_bytes(&m, 2, tern_writer_view(&key));
    if (how == EMPTY)
        tern_pb_write_varint(&m, 9, 1); /* an unknown field alone */
    if (how == MALFORMED)
        m.size--;
    tern_writer_uvarint(out, m.size);
    tern_writer_bytes(out, tern_writer_view(&m));
}

static void bad_exchanges_are_refused(void **state)
{
    (void)state;
    for (int how = 0; how < FORGERY_COUNT; how++) {
        for (size_t segment = 1; segment < 200; segment += segment < 4 ? 1 : 190) {
            struct world *w = world_new(1);
            assert_true(world_open(w));
            uint8_t bytes[512];
            struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
            forge(w, (enum forgery)how, &out);
            struct pump_end *end = &w->pump.ends[0];
            for (size_t at = 0; at < out.size && end->err == TERN_OK; at += segment)
                pump_feed(end, tern_view_of(bytes + at, tern_min_size(segment, out.size - at)),
                          false);
            if (fault_of(w, 0) != forgery_faults[how])
                fail_msg("forgery %d: %s", how, tern_fault_name(fault_of(w, 0)));
            assert_int_equal(end->done, how == HONEST);
            world_free(w);
        }
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct world *w = world_new(2);
    bool reached = true;
    int failures = 0;
    for (uint64_t n = 1; n < 1000 && reached; n++) {
        tern_random_init_u64(&w->pump.random, 5);
        uint64_t allocs = w->mem.allocs;
        tern_mem_fail_at(&w->mem, n, false);
        if (world_open(w)) {
            w->pump.ends[0].message_size = w->pump.ends[1].message_size = 2000;
            pump_run(&w->pump);
        } else {
            failures++;
        }
        reached = w->mem.allocs - allocs >= n;
        for (int i = 0; i < 2; i++) {
            failures += w->pump.ends[i].err == TERN_ERR_MEMORY;
            if (w->pump.ends[i].secure.ops != NULL)
                assert_int_equal(fault_of(w, i), TERN_FAULT_NONE);
        }
        assert_true(reached || w->pump.ends[0].got_size == 2000);
        tern_mem_fail_at(&w->mem, 0, false);
        world_close(w);
        assert_int_equal(w->mem.used, 0);
    }
    assert_false(reached);
    assert_true(failures >= 4 + 2); /* to open both; a chunk for each exchange */
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_arrives_whatever_the_segmentation),
        cmocka_unit_test(wrong_peer_is_refused),
        cmocka_unit_test(data_is_passed_on_without_a_copy),
        cmocka_unit_test(bad_exchanges_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
