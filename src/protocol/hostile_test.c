/*
 * Peers that break the protocols of ping, identify, requests and the peer exchange: each breach has
 * its named fault, and the connection's other uses go on.
 */
#include "tern_test.h"

#include "crypto/envelope.h"
#include "protocol/exchange/exchange.h"
#include "protocol/frame.h"
#include "protocol/identify/identify.h"
#include "protocol/ping/ping.h"
#include "protocol/puppet_test_support.h"
#include "protocol/request/request.h"
#include "wire/protobuf.h"

#define ASK_PROTOCOL "/test/ask/1"

static struct puppet_world pw;
static struct tern_ping *ping;
static struct tern_identify *identify;
static struct tern_requests *requests;
static struct tern_exchange *exchange;
static uint8_t bytes[70000];

static int setup(void **state)
{
    (void)state;
    puppet_world_init(&pw);
    struct tern_mem *mem = &pw.node->mem;
    struct tern_swarm *swarm = pw.node->swarm;
    assert_ok(tern_ping_new(mem, &pw.node->random, swarm, &ping));
    assert_ok(tern_identify_new(&(struct tern_identify_options){.mem = mem,
                                                                .agent = tern_view_str("test"),
                                                                .version = tern_view_str("1")},
                                swarm, &identify));
    assert_ok(tern_requests_new(&(struct tern_requests_options){.mem = mem,
                                                                .size_max = 1000,
                                                                .serve_timeout_ns = TERN_SECOND,
                                                                .inbound_per_peer_max = 8},
                                swarm, &requests));
    assert_ok(tern_requests_serve(requests, tern_view_str(ASK_PROTOCOL), TERN_STREAM_MARKET));
    assert_ok(tern_exchange_new(mem, &pw.node->random, swarm, &exchange));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tern_exchange_free(exchange);
    tern_requests_free(requests);
    tern_identify_free(identify);
    tern_ping_free(ping);
    puppet_world_fini(&pw);
    return 0;
}

/* A length-delimited message in bytes. */
static struct tern_view framed(struct tern_view message)
{
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_writer_uvarint(&w, message.size);
    tern_writer_bytes(&w, message);
    assert_true(tern_writer_ok(&w));
    return tern_writer_view(&w);
}

/* The length of a message that is never sent. */
static struct tern_view announced(uint64_t size)
{
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_writer_uvarint(&w, size);
    return tern_writer_view(&w);
}

static void expect_fault(tern_fault fault)
{
    if (puppet_faults(&pw, fault) == 0)
        fail_msg("%s was not found", tern_fault_name(fault));
    assert_true(puppet_faults_all(&pw) == puppet_faults(&pw, fault));
}

static void other_bytes_in_a_ping_are_a_fault(void **state)
{
    static const uint8_t wrong[TERN_PING_SIZE] = {1, 2, 3};
    (void)state;
    puppet_serves(&pw, TERN_PING_PROTOCOL);
    tern_peer peer = puppet_connect(&pw);
    pw.answer = (struct puppet_answer){.bytes = tern_view_of(wrong, sizeof wrong), .leave = true};
    struct tern_ping_request request = {.peer = peer, .token = 1, .timeout_ns = TERN_SECOND};
    assert_ok(tern_ping_send(ping, pw.world->now, &request));
    puppet_run(&pw, TERN_SECOND / 2);
    expect_fault(TERN_FAULT_PING_MISMATCH);
}

/* --- identify: the puppet pushes --- */

static void push(struct tern_view message)
{
    puppet_open(&pw, TERN_IDENTIFY_PUSH_PROTOCOL, message, true);
    puppet_run(&pw, TERN_SECOND);
}

static void an_identify_bomb_is_a_fault(void **state)
{
    (void)state;
    (void)puppet_connect(&pw);
    push(announced(TERN_IDENTIFY_SIZE_MAX + 1));
    expect_fault(TERN_FAULT_IDENTIFY_TOO_LARGE);
}

static void eleven_identify_messages_are_a_fault(void **state)
{
    (void)state;
    (void)puppet_connect(&pw);
    memset(bytes, 0, 11); /* eleven empty ones */
    push(tern_view_of(bytes, 11));
    expect_fault(TERN_FAULT_IDENTIFY_TOO_LARGE);
}

static void an_identify_that_does_not_decode_is_a_fault(void **state)
{
    (void)state;
    (void)puppet_connect(&pw);
    push(framed(tern_view_str("\x0a\x7f"))); /* a field that is longer than the message */
    expect_fault(TERN_FAULT_IDENTIFY_MALFORMED);
}

static void another_peers_key_in_identify_is_a_fault(void **state)
{
    uint8_t key[TERN_PUBLIC_KEY_SIZE_MAX];
    uint8_t message[TERN_PUBLIC_KEY_SIZE_MAX + 16];
    struct tern_writer k = tern_writer_of(key, sizeof key);
    struct tern_writer m = tern_writer_of(message, sizeof message);
    (void)state;
    (void)puppet_connect(&pw);
    tern_public_key_encode(&tern_swarm_identity(pw.node->swarm)->public_key, &k);
    tern_pb_write_bytes(&m, 1, tern_writer_view(&k));
    push(framed(tern_writer_view(&m)));
    expect_fault(TERN_FAULT_IDENTIFY_KEY);
}

/* An envelope that the puppet sealed, in a message's field 8 or as it is. */
static size_t seal_record(const struct tern_private_key *key, bool spoil, uint8_t *out, size_t size)
{
    struct tern_peer_record record = {.seq = 1};
    struct tern_writer w = tern_writer_of(out, size);
    tern_public_key_peer_id(&key->public_key, &record.peer_id);
    assert_ok(tern_peer_record_seal(key, &record, &w));
    if (spoil)
        out[w.size - 1] ^= 1; /* the signature's last byte */
    return w.size;
}

static void a_spoiled_record_is_a_fault_and_spoils_nothing_else(void **state)
{
    uint8_t record[1024];
    uint8_t message[2048];
    struct tern_writer m = tern_writer_of(message, sizeof message);
    (void)state;
    tern_peer peer = puppet_connect(&pw);
    size_t size = seal_record(tern_swarm_identity(pw.puppet->swarm), true, record, sizeof record);
    tern_pb_write_bytes(&m, 6, tern_view_str("puppet"));
    tern_pb_write_bytes(&m, 8, tern_view_of(record, size));
    push(framed(tern_writer_view(&m)));
    expect_fault(TERN_FAULT_IDENTIFY_RECORD);
    const struct tern_identity_info *info = tern_identify_info(identify, peer);
    assert_non_null(info);
    assert_int_equal(info->agent_size, 6);
    assert_memory_equal(info->agent, "puppet", 6);
    assert_false(info->signed_record);
}

static void a_flood_of_pushes_is_a_fault(void **state)
{
    uint8_t message[16];
    struct tern_writer m = tern_writer_of(message, sizeof message);
    (void)state;
    (void)puppet_connect(&pw);
    tern_pb_write_bytes(&m, 6, tern_view_str("again"));
    for (int i = 0; i <= TERN_IDENTIFY_PUSHES_PER_MINUTE; i++)
        push(framed(tern_writer_view(&m)));
    expect_fault(TERN_FAULT_IDENTIFY_PUSH_FLOOD);
}

/* --- requests --- */

static void a_request_over_the_limit_is_a_fault(void **state)
{
    (void)state;
    (void)puppet_connect(&pw);
    puppet_open(&pw, ASK_PROTOCOL, announced(1 << 20), false);
    puppet_run(&pw, TERN_SECOND / 2);
    expect_fault(TERN_FAULT_REQUEST_TOO_LARGE);
}

static void half_a_request_is_a_fault(void **state)
{
    (void)state;
    (void)puppet_connect(&pw);
    puppet_open(&pw, ASK_PROTOCOL, announced(100), true);
    puppet_run(&pw, TERN_SECOND / 2);
    expect_fault(TERN_FAULT_REQUEST_MALFORMED);
}

static void an_answer_that_ends_early_is_a_fault(void **state)
{
    struct tern_request_event event;
    (void)state;
    puppet_serves(&pw, "/test/other/1");
    tern_peer peer = puppet_connect(&pw);
    pw.answer.bytes = tern_view_str("\x0a");
    struct tern_request request = {.peer = peer,
                                   .protocol = tern_view_str("/test/other/1"),
                                   .token = 9,
                                   .timeout_ns = TERN_SECOND};
    assert_ok(tern_request_send(requests, pw.world->now, &request));
    puppet_run(&pw, TERN_SECOND / 2);
    expect_fault(TERN_FAULT_REQUEST_MALFORMED);
    assert_true(tern_requests_next(requests, &event));
    assert_int_equal(event.kind, TERN_REQUEST_EVENT_RESPONSE);
    assert_int_equal(event.token, 9);
    assert_int_equal(event.err, TERN_ERR_PROTOCOL);
    assert_false(tern_requests_next(requests, &event));
}

/* --- peer exchange: the puppet answers --- */

static void exchange_with(struct tern_view answer)
{
    struct tern_view name = tern_view_str(TERN_EXCHANGE_PROTOCOL);
    puppet_serves(&pw, TERN_EXCHANGE_PROTOCOL);
    tern_peer peer = puppet_connect(&pw);
    pw.answer.bytes = answer;
    tern_swarm_set_peer_protocols(pw.node->swarm, peer, &name, 1);
    puppet_run(&pw, TERN_SECOND);
}

static void a_record_that_was_tampered_with_is_a_fault(void **state)
{
    uint8_t record[1024];
    (void)state;
    size_t size = seal_record(tern_swarm_identity(pw.puppet->swarm), true, record, sizeof record);
    exchange_with(framed(tern_view_of(record, size)));
    expect_fault(TERN_FAULT_EXCHANGE_RECORD);
    assert_int_equal(tern_exchange_count(exchange), 0);
}

static void a_good_record_is_kept(void **state)
{
    uint8_t record[1024];
    (void)state;
    size_t size = seal_record(tern_swarm_identity(pw.puppet->swarm), false, record, sizeof record);
    exchange_with(framed(tern_view_of(record, size)));
    assert_int_equal(puppet_faults_all(&pw), 0);
    assert_int_equal(tern_exchange_count(exchange), 1);
}

static void a_record_over_the_limit_is_a_fault(void **state)
{
    (void)state;
    exchange_with(announced(TERN_EXCHANGE_RECORD_SIZE_MAX + 1));
    expect_fault(TERN_FAULT_EXCHANGE_MALFORMED);
}

static void asking_for_peers_too_often_is_a_fault(void **state)
{
    (void)state;
    (void)puppet_connect(&pw);
    puppet_open(&pw, TERN_EXCHANGE_PROTOCOL, (struct tern_view){0}, true);
    assert_int_equal(puppet_faults_all(&pw), 0);
    puppet_open(&pw, TERN_EXCHANGE_PROTOCOL, (struct tern_view){0}, true);
    expect_fault(TERN_FAULT_EXCHANGE_FLOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(other_bytes_in_a_ping_are_a_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(an_identify_bomb_is_a_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(eleven_identify_messages_are_a_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(an_identify_that_does_not_decode_is_a_fault, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(another_peers_key_in_identify_is_a_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(a_spoiled_record_is_a_fault_and_spoils_nothing_else, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_flood_of_pushes_is_a_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_over_the_limit_is_a_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(half_a_request_is_a_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_that_ends_early_is_a_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_that_was_tampered_with_is_a_fault, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_good_record_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_over_the_limit_is_a_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(asking_for_peers_too_often_is_a_fault, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
