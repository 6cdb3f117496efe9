#include "tern_test.h"

#include "crypto/envelope.h"
#include "protocol/exchange/exchange.h"
#include "protocol/puppet_test_support.h"
#include "swarm/manager.h"

static struct puppet_world pw;
static struct tern_exchange *exchange;
static uint8_t bytes[64 * 1024];
static struct tern_writer said;

static int setup(void **state)
{
    (void)state;
    puppet_world_init(&pw);
    assert_ok(tern_exchange_new(&pw.node->mem, &pw.node->random, pw.node->swarm, &exchange));
    puppet_serves(&pw, TERN_EXCHANGE_PROTOCOL);
    said = tern_writer_of(bytes, sizeof bytes);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tern_exchange_free(exchange);
    puppet_world_fini(&pw);
    return 0;
}

/* Appends the record of a peer, length in front; spoilt: its signature does not hold. */
static void say_record(unsigned number, uint64_t seq, bool spoilt)
{
    static const uint8_t address[] = {4, 10, 1, 1, 1, 6, 0x0f, 0xa1};
    uint8_t envelope[1024];
    uint8_t seed[32] = {(uint8_t)number, (uint8_t)(number >> 8), 0x55};
    struct tern_private_key key;
    struct tern_writer w = tern_writer_of(envelope, sizeof envelope);
    struct tern_peer_record record = {.seq = seq, .addresses_count = 1};
    tern_private_key_of_ed25519_seed(seed, &key);
    tern_public_key_peer_id(&key.public_key, &record.peer_id);
    record.addresses[0] = tern_view_of(address, sizeof address);
    assert_ok(tern_peer_record_seal(&key, &record, &w));
    if (spoilt)
        envelope[w.size - 1] ^= 1;
    tern_writer_uvarint(&said, w.size);
    tern_writer_bytes(&said, tern_writer_view(&w));
    tern_private_key_fini(&key);
    assert_true(tern_writer_ok(&said));
}

/* Connects, and lets the node ask: the puppet says what was put together. */
static void asked(void)
{
    struct tern_view name = tern_view_str(TERN_EXCHANGE_PROTOCOL);
    tern_peer peer = puppet_connect(&pw);
    pw.answer.bytes = tern_writer_view(&said);
    tern_swarm_set_peer_protocols(pw.node->swarm, peer, &name, 1);
    puppet_run(&pw, TERN_SECOND);
    assert_int_equal(pw.asked_count, 1);
}

static void records_are_learned(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        say_record(i, 1, false);
    say_record(0, 2, false); /* a newer one */
    say_record(0, 1, false); /* an older one */
    size_t before = tern_swarm_book_count(pw.node->swarm);
    asked();
    assert_int_equal(tern_exchange_count(exchange), 5);
    assert_true(tern_swarm_book_count(pw.node->swarm) >= before + 5);
    assert_int_equal(puppet_faults_all(&pw), 0);
    assert_int_equal(tern_swarm_peer_value(pw.node->swarm, tern_swarm_peer_first(pw.node->swarm)),
                     1);
}

static void a_record_that_does_not_hold_is_a_fault(void **state)
{
    (void)state;
    say_record(1, 1, false);
    say_record(2, 1, true);
    say_record(3, 1, false);
    asked();
    assert_int_equal(puppet_faults(&pw, TERN_FAULT_EXCHANGE_RECORD), 1);
    assert_int_equal(puppet_faults_all(&pw), 1);
    assert_int_equal(tern_exchange_count(exchange), 2);
}

static void an_answer_that_makes_no_sense_is_a_fault(void **state)
{
    static const struct tern_view rows[] = {{(const uint8_t *)"\x81\x00x", 3},
                                            {(const uint8_t *)"\xff\xff\x03", 3},
                                            {(const uint8_t *)"\x20rest", 5}};
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        (void)teardown(NULL);
        (void)setup(NULL);
        say_record(1, 1, false);
        tern_writer_bytes(&said, rows[i]);
        asked();
        assert_int_equal(puppet_faults(&pw, TERN_FAULT_EXCHANGE_MALFORMED), 1);
        assert_int_equal(puppet_faults_all(&pw), 1);
        assert_int_equal(tern_exchange_count(exchange), 1); /* what came before counts */
    }
}

static void an_answer_of_too_many_records_is_cut_off(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 60; i++)
        say_record(i, 1, false);
    asked();
    assert_int_equal(puppet_faults(&pw, TERN_FAULT_EXCHANGE_MALFORMED), 1);
    assert_true(tern_exchange_count(exchange) <= TERN_EXCHANGE_RECORDS_MAX + 1);
}

static void our_record_is_given_first_then_others(void **state)
{
    (void)state;
    (void)puppet_connect(&pw);
    (void)puppet_open(&pw, TERN_EXCHANGE_PROTOCOL, tern_view_str(""), true);
    size_t alone = pw.puppet->received;
    assert_true(alone > 100);
    assert_int_equal(test_find(pw.puppet, TERN_SWARM_STREAM_ENDED, 0)->event.err, TERN_OK);
}

static void asking_too_often_is_a_fault(void **state)
{
    (void)state;
    (void)puppet_connect(&pw);
    (void)puppet_open(&pw, TERN_EXCHANGE_PROTOCOL, tern_view_str(""), true);
    size_t once = pw.puppet->received;
    (void)puppet_open(&pw, TERN_EXCHANGE_PROTOCOL, tern_view_str(""), true);
    assert_int_equal(puppet_faults(&pw, TERN_FAULT_EXCHANGE_FLOOD), 1);
    assert_int_equal(pw.puppet->received, once);
    puppet_run(&pw, TERN_EXCHANGE_PAUSE_NS);
    (void)puppet_open(&pw, TERN_EXCHANGE_PROTOCOL, tern_view_str(""), true);
    assert_int_equal(puppet_faults(&pw, TERN_FAULT_EXCHANGE_FLOOD), 1);
    assert_int_equal(pw.puppet->received, 2 * once);
}

static void what_was_learned_is_passed_on(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++)
        say_record(i, 1, false);
    size_t size = said.size;
    asked();
    assert_int_equal(tern_exchange_count(exchange), 20);
    (void)puppet_open(&pw, TERN_EXCHANGE_PROTOCOL, tern_view_str(""), true);
    assert_true(pw.puppet->received > size); /* all of them, and ours */
}

static void no_answer_is_given_up(void **state)
{
    (void)state;
    pw.answer.hold = true;
    asked();
    puppet_run(&pw, 15 * TERN_SECOND);
    assert_true(test_count(pw.puppet, TERN_SWARM_STREAM_ENDED) >= 1);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void a_peer_that_goes_meanwhile_is_no_matter(void **state)
{
    (void)state;
    say_record(1, 1, false);
    said.size -= 5;
    pw.answer.leave = true;
    asked();
    puppet_goes(&pw);
    assert_int_equal(puppet_faults_all(&pw), 0);
    assert_int_equal(tern_exchange_count(exchange), 0);
}

int main(void)
{
#define EXCHANGE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        EXCHANGE(records_are_learned),
        EXCHANGE(a_record_that_does_not_hold_is_a_fault),
        EXCHANGE(an_answer_that_makes_no_sense_is_a_fault),
        EXCHANGE(an_answer_of_too_many_records_is_cut_off),
        EXCHANGE(our_record_is_given_first_then_others),
        EXCHANGE(asking_too_often_is_a_fault),
        EXCHANGE(what_was_learned_is_passed_on),
        EXCHANGE(no_answer_is_given_up),
        EXCHANGE(a_peer_that_goes_meanwhile_is_no_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
