#include "quic/quic_replay.h"

#include "tern_test.h"

static struct tern_mem mem;
static struct tern_random random_source;
static struct quic_replay replay;

static void start(void)
{
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random_source, 1);
    quic_replay_init(&replay, &mem, &random_source);
}

static void end(void)
{
    quic_replay_fini(&replay);
    tern_mem_fini(&mem);
}

static struct tern_view ticket_named(uint8_t name, uint8_t bytes[32])
{
    memset(bytes, name, 32);
    return tern_view_of(bytes, 32);
}

static void keys_change_and_are_known_for_an_epoch_more(void **state)
{
    (void)state;
    uint8_t bytes[32];
    uint8_t key[QUIC_REPLAY_KEY_SIZE];
    start();
    struct quic_replay_epoch *first = quic_replay_current(&replay, 0);
    memcpy(key, first->key, sizeof key);
    quic_replay_name(first, ticket_named(1, bytes));
    assert_ptr_equal(quic_replay_current(&replay, QUIC_REPLAY_EPOCH_NS - 1), first);
    struct quic_replay_epoch *second = quic_replay_current(&replay, QUIC_REPLAY_EPOCH_NS);
    assert_memory_not_equal(second->key, key, sizeof key);
    quic_replay_name(second, ticket_named(2, bytes));
    struct quic_replay_epoch *of_first =
        quic_replay_of(&replay, QUIC_REPLAY_EPOCH_NS, ticket_named(1, bytes));
    assert_non_null(of_first);
    assert_memory_equal(of_first->key, key, sizeof key);
    assert_ptr_equal(quic_replay_of(&replay, QUIC_REPLAY_EPOCH_NS, ticket_named(2, bytes)),
                     quic_replay_current(&replay, QUIC_REPLAY_EPOCH_NS));
    assert_null(quic_replay_of(&replay, QUIC_REPLAY_EPOCH_NS, ticket_named(3, bytes)));
    assert_null(quic_replay_of(&replay, QUIC_REPLAY_EPOCH_NS, tern_view_of(bytes, 15)));
    assert_null(quic_replay_of(&replay, 2 * QUIC_REPLAY_EPOCH_NS, ticket_named(1, bytes)));
    assert_non_null(quic_replay_of(&replay, 2 * QUIC_REPLAY_EPOCH_NS, ticket_named(2, bytes)));
    /* After a long sleep nothing of before is good. */
    assert_null(quic_replay_of(&replay, 9 * QUIC_REPLAY_EPOCH_NS, ticket_named(2, bytes)));
    end();
}

static void a_flight_is_taken_once(void **state)
{
    (void)state;
    start();
    struct quic_replay_epoch *epoch = quic_replay_current(&replay, 0);
    for (uint32_t i = 0; i < 1000; i++)
        assert_true(quic_replay_take(&replay, epoch, tern_view_of(&i, sizeof i)));
    for (uint32_t i = 0; i < 1000; i++)
        assert_false(quic_replay_take(&replay, epoch, tern_view_of(&i, sizeof i)));
    /* Still, when its key is the one before. */
    (void)quic_replay_current(&replay, QUIC_REPLAY_EPOCH_NS);
    uint32_t old = 7;
    assert_false(quic_replay_take(&replay, &replay.epochs[1], tern_view_of(&old, sizeof old)));
    end();
}

static void what_is_remembered_is_bounded(void **state)
{
    (void)state;
    start();
    struct quic_replay_epoch *epoch = quic_replay_current(&replay, 0);
    uint32_t taken = 0;
    for (uint32_t i = 0; i < QUIC_REPLAY_SEEN_MAX + 10; i++)
        taken += quic_replay_take(&replay, epoch, tern_view_of(&i, sizeof i));
    assert_int_equal(taken, QUIC_REPLAY_SEEN_MAX);
    assert_in_range(mem.used, 1, 3 << 20);
    for (uint8_t name = 0; name < 20; name++) {
        uint8_t bytes[32];
        quic_replay_name(epoch, ticket_named(name, bytes));
    }
    assert_int_equal(epoch->names_count, QUIC_REPLAY_NAMES);
    end();
}

static void without_memory_nothing_is_taken(void **state)
{
    (void)state;
    start();
    struct quic_replay_epoch *epoch = quic_replay_current(&replay, 0);
    tern_mem_fail_at(&mem, 1, false);
    assert_false(quic_replay_take(&replay, epoch, tern_view_str("flight")));
    assert_true(quic_replay_take(&replay, epoch, tern_view_str("flight")));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_change_and_are_known_for_an_epoch_more),
        cmocka_unit_test(a_flight_is_taken_once),
        cmocka_unit_test(what_is_remembered_is_bounded),
        cmocka_unit_test(without_memory_nothing_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
