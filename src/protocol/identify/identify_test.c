#include "tern_test.h"

#include "crypto/envelope.h"
#include "protocol/identify/identify.h"
#include "protocol/puppet_test_support.h"
#include "wire/protobuf.h"

static struct puppet_world pw;
static struct tern_identify *identify;
static uint8_t message_bytes[16384];
static uint8_t said_bytes[128 * 1024];
static struct tern_writer message;
static struct tern_writer said;

static int setup(void **state)
{
    (void)state;
    puppet_world_init(&pw);
    struct tern_identify_options options = {
        .mem = &pw.node->mem,
        .agent = tern_view_str("tern-test"),
        .version = tern_view_str("ipfs/0.1.0"),
    };
    assert_ok(tern_identify_new(&options, pw.node->swarm, &identify));
    message = tern_writer_of(message_bytes, sizeof message_bytes);
    said = tern_writer_of(said_bytes, sizeof said_bytes);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tern_identify_free(identify);
    puppet_world_fini(&pw);
    return 0;
}

/* --- what the puppet says --- */

static const uint8_t address_one[] = {4, 10, 1, 1, 1, 6, 0x0f, 0xa1};
static const uint8_t address_two[] = {4, 10, 1, 1, 2, 6, 0x0f, 0xa1};

static void put_text(uint32_t number, const char *text)
{
    tern_pb_write_bytes(&message, number, tern_view_str(text));
}

static void put_key(const struct tern_private_key *key)
{
    uint8_t bytes[TERN_PUBLIC_KEY_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_public_key_encode(&key->public_key, &w);
    tern_pb_write_bytes(&message, 1, tern_writer_view(&w));
}

static void put_record(const struct tern_private_key *key, bool spoilt)
{
    uint8_t bytes[1024];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct tern_peer_record record = {.seq = 1, .addresses_count = 1};
    tern_public_key_peer_id(&key->public_key, &record.peer_id);
    record.addresses[0] = tern_view_of(address_two, sizeof address_two);
    assert_ok(tern_peer_record_seal(key, &record, &w));
    if (spoilt)
        bytes[w.size - 1] ^= 1;
    tern_pb_write_bytes(&message, 8, tern_writer_view(&w));
}

static void put_usual(void)
{
    put_key(&pw.puppet->key);
    tern_pb_write_bytes(&message, 2, tern_view_of(address_one, sizeof address_one));
    put_text(3, "/test/one");
    put_text(3, "/test/two");
    put_text(5, "ipfs/0.1.0");
    put_text(6, "puppet");
}

/* The message is whole: its length goes in front, and the next one begins. */
static void done(void)
{
    assert_true(tern_writer_ok(&message));
    tern_writer_uvarint(&said, message.size);
    tern_writer_bytes(&said, tern_writer_view(&message));
    assert_true(tern_writer_ok(&said));
    message.size = 0;
}

static tern_peer connect_and_hear(void)
{
    puppet_serves(&pw, TERN_IDENTIFY_PROTOCOL);
    pw.answer.bytes = tern_writer_view(&said);
    tern_peer peer = puppet_connect(&pw);
    puppet_run(&pw, TERN_SECOND);
    return peer;
}

static void expect_event(tern_err err, bool pushed)
{
    struct tern_identify_event event;
    assert_true(tern_identify_next(identify, &event));
    assert_int_equal(event.err, err);
    assert_int_equal(event.pushed, pushed);
    assert_false(tern_identify_next(identify, &event));
}

static const struct tern_identity_info *expect_info(tern_peer peer)
{
    expect_event(TERN_OK, false);
    const struct tern_identity_info *info = tern_identify_info(identify, peer);
    assert_non_null(info);
    assert_true(tern_peer_id_equal(&info->id, &pw.puppet->id));
    return info;
}

static bool agent_is(const struct tern_identity_info *info, const char *text)
{
    return info->agent_size == strlen(text) && memcmp(info->agent, text, info->agent_size) == 0;
}

static void expect_fault(tern_fault fault, tern_err err)
{
    expect_event(err, false);
    assert_int_equal(puppet_faults(&pw, fault), 1);
    assert_int_equal(puppet_faults_all(&pw), 1);
}

/* --- asking --- */

static void what_a_peer_says_is_learned(void **state)
{
    struct tern_view name;
    (void)state;
    put_usual();
    done();
    tern_peer peer = connect_and_hear();
    const struct tern_identity_info *info = expect_info(peer);
    assert_true(agent_is(info, "puppet"));
    assert_int_equal(info->addresses_count, 1);
    assert_false(info->signed_record);
    assert_int_equal(info->protocols_count, 2);
    assert_true(tern_identify_protocol(identify, peer, 1, &name));
    assert_true(test_view_is(name, "/test/two"));
    assert_false(tern_identify_protocol(identify, peer, 2, &name));
    assert_true(tern_swarm_peer_supports(pw.node->swarm, peer, tern_view_str("/test/one")));
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void several_messages_make_one_answer(void **state)
{
    (void)state;
    put_usual();
    done();
    put_record(&pw.puppet->key, false); /* as go does: the record alone, in a second message */
    done();
    tern_peer peer = connect_and_hear();
    const struct tern_identity_info *info = expect_info(peer);
    assert_true(agent_is(info, "puppet"));
    assert_true(info->signed_record);
    assert_int_equal(info->addresses_count, 1);
    assert_memory_equal(info->addresses[0].bytes, address_two, sizeof address_two);
    assert_true(tern_identify_record(identify, peer).size > 100);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void a_record_that_does_not_hold_spoils_nothing_else(void **state)
{
    struct tern_private_key other;
    static const uint8_t seed[32] = {99};
    (void)state;
    tern_private_key_of_ed25519_seed(seed, &other);
    for (int i = 0; i < 3; i++) {
        (void)teardown(NULL);
        (void)setup(NULL);
        put_usual();
        if (i == 0)
            put_record(&pw.puppet->key, true); /* a bad signature */
        else if (i == 1)
            put_record(&other, false); /* a good one, of somebody else */
        else
            put_text(8, "rubbish");
        done();
        tern_peer peer = connect_and_hear();
        const struct tern_identity_info *info = expect_info(peer);
        assert_int_equal(puppet_faults(&pw, TERN_FAULT_IDENTIFY_RECORD), 1);
        assert_int_equal(puppet_faults_all(&pw), 1);
        assert_false(info->signed_record);
        assert_true(agent_is(info, "puppet"));
        assert_int_equal(info->addresses_count, 1);
        assert_memory_equal(info->addresses[0].bytes, address_one, sizeof address_one);
        assert_int_equal(info->protocols_count, 2);
    }
    tern_private_key_fini(&other);
}

static void anothers_key_is_a_fault(void **state)
{
    (void)state;
    put_usual();
    put_key(&pw.node->key);
    done();
    tern_peer peer = connect_and_hear();
    expect_fault(TERN_FAULT_IDENTIFY_KEY, TERN_ERR_PEER_MISMATCH);
    assert_null(tern_identify_info(identify, peer));
}

static void a_key_that_is_none_is_a_fault(void **state)
{
    (void)state;
    put_text(1, "no key");
    done();
    (void)connect_and_hear();
    expect_fault(TERN_FAULT_IDENTIFY_KEY, TERN_ERR_PEER_MISMATCH);
}

static void what_does_not_decode_is_a_fault(void **state)
{
    static const struct {
        struct tern_view bytes;
        tern_err err;
    } rows[] = {
        {{(const uint8_t *)"\x02\x0a\x09", 3}, TERN_ERR_MALFORMED},
        {{(const uint8_t *)"\x81\x00x", 3}, TERN_ERR_NOT_MINIMAL},
        {{(const uint8_t *)"\x09\x0a", 2}, TERN_ERR_TRUNCATED},
        {{NULL, 0}, TERN_ERR_TRUNCATED},
    };
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        (void)teardown(NULL);
        (void)setup(NULL);
        tern_writer_bytes(&said, rows[i].bytes);
        (void)connect_and_hear();
        expect_fault(TERN_FAULT_IDENTIFY_MALFORMED, rows[i].err);
    }
}

static void too_many_messages_are_a_fault(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_IDENTIFY_MESSAGES_MAX + 1; i++) {
        put_text(6, "again");
        done();
    }
    (void)connect_and_hear();
    expect_fault(TERN_FAULT_IDENTIFY_TOO_LARGE, TERN_ERR_TOO_LARGE);
}

static void ten_messages_are_not_too_many(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_IDENTIFY_MESSAGES_MAX; i++) {
        put_text(6, "again");
        done();
    }
    assert_true(agent_is(expect_info(connect_and_hear()), "again"));
}

static void too_many_bytes_are_a_fault(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        (void)teardown(NULL);
        (void)setup(NULL);
        for (int i = 0; i < 9; i++) { /* 9 KiB: in one message, or each far below the limit */
            static char text[1024];
            memset(text, 'x', sizeof text - 1);
            put_text(6, text);
            if (way == 1)
                done();
        }
        if (way == 0)
            done();
        (void)connect_and_hear();
        expect_fault(TERN_FAULT_IDENTIFY_TOO_LARGE, TERN_ERR_TOO_LARGE);
    }
}

static void more_than_is_kept_is_left_out(void **state)
{
    char text[300];
    (void)state;
    for (int i = 0; i < 100; i++) {
        tern_pb_write_bytes(&message, 2, tern_view_of(address_one, sizeof address_one));
        put_text(3, "/p");
    }
    memset(text, 'x', sizeof text);
    tern_pb_write_bytes(&message, 6, tern_view_of((const uint8_t *)text, sizeof text));
    tern_pb_write_bytes(&message, 2, tern_view_str("no address"));
    done();
    const struct tern_identity_info *info = expect_info(connect_and_hear());
    assert_int_equal(info->addresses_count, TERN_PEER_ADDRS_MAX);
    assert_int_equal(info->protocols_count, TERN_SWARM_PROTOCOLS_MAX);
    assert_int_equal(info->agent_size, TERN_IDENTIFY_TEXT_MAX);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void no_answer_is_a_time_out(void **state)
{
    struct tern_identify_event event;
    (void)state;
    pw.answer.hold = true;
    (void)connect_and_hear();
    assert_false(tern_identify_next(identify, &event));
    puppet_run(&pw, 10 * TERN_SECOND);
    expect_event(TERN_ERR_TIMEOUT, false);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void a_peer_that_goes_meanwhile_is_no_matter(void **state)
{
    (void)state;
    put_usual();
    done();
    said.size -= 4;
    pw.answer.leave = true;
    tern_peer peer = connect_and_hear();
    puppet_goes(&pw);
    assert_null(tern_identify_info(identify, peer));
    assert_int_equal(puppet_faults_all(&pw), 0);
}

/* --- being asked --- */

static void we_tell_who_we_are(void **state)
{
    struct tern_identify *other;
    struct tern_identify_options options = {.mem = &pw.puppet->mem,
                                            .agent = tern_view_str("other"),
                                            .version = tern_view_str("ipfs/0.1.0")};
    (void)state;
    assert_ok(tern_identify_new(&options, pw.puppet->swarm, &other));
    tern_peer peer = puppet_connect(&pw);
    puppet_run(&pw, TERN_SECOND);
    const struct tern_identity_info *info = expect_info(peer);
    assert_true(agent_is(info, "other"));
    assert_true(info->signed_record);
    assert_int_equal(info->addresses_count, 1);
    assert_true(info->observed.size > 0);
    assert_true(info->protocols_count >= 3);
    tern_peer back = tern_swarm_find_peer(pw.puppet->swarm, &pw.node->id);
    assert_true(agent_is(tern_identify_info(other, back), "tern-test"));
    tern_identify_free(other);
}

/* --- pushes --- */

static void a_push_changes_what_it_says_and_nothing_else(void **state)
{
    (void)state;
    put_usual();
    done();
    tern_peer peer = connect_and_hear();
    (void)expect_info(peer);
    said.size = 0;
    put_text(6, "renamed");
    done();
    (void)puppet_open(&pw, TERN_IDENTIFY_PUSH_PROTOCOL, tern_writer_view(&said), true);
    expect_event(TERN_OK, true);
    const struct tern_identity_info *info = tern_identify_info(identify, peer);
    assert_true(agent_is(info, "renamed"));
    assert_int_equal(info->protocols_count, 2);
    assert_int_equal(info->addresses_count, 1);
    assert_int_equal(info->version_size, strlen("ipfs/0.1.0"));
    said.size = 0;
    put_text(3, "/test/three");
    done();
    (void)puppet_open(&pw, TERN_IDENTIFY_PUSH_PROTOCOL, tern_writer_view(&said), true);
    assert_int_equal(info->protocols_count, 1);
    assert_true(agent_is(info, "renamed"));
    assert_true(tern_swarm_peer_supports(pw.node->swarm, peer, tern_view_str("/test/three")));
    assert_false(tern_swarm_peer_supports(pw.node->swarm, peer, tern_view_str("/test/one")));
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void a_flood_of_pushes_is_a_fault(void **state)
{
    struct tern_identify_event event;
    size_t heard = 0;
    (void)state;
    put_usual();
    done();
    (void)expect_info(connect_and_hear());
    for (int i = 0; i < TERN_IDENTIFY_PUSHES_PER_MINUTE + 3; i++)
        (void)puppet_open(&pw, TERN_IDENTIFY_PUSH_PROTOCOL, tern_writer_view(&said), true);
    while (tern_identify_next(identify, &event))
        heard += event.pushed;
    assert_int_equal(heard, TERN_IDENTIFY_PUSHES_PER_MINUTE);
    assert_int_equal(puppet_faults(&pw, TERN_FAULT_IDENTIFY_PUSH_FLOOD), 3);
    puppet_run(&pw, TERN_MINUTE);
    (void)puppet_open(&pw, TERN_IDENTIFY_PUSH_PROTOCOL, tern_writer_view(&said), true);
    expect_event(TERN_OK, true);
}

static void a_change_of_ours_is_pushed_once_it_is_quiet(void **state)
{
    (void)state;
    put_usual();
    put_text(3, TERN_IDENTIFY_PUSH_PROTOCOL);
    done();
    puppet_serves(&pw, TERN_IDENTIFY_PUSH_PROTOCOL);
    (void)connect_and_hear();
    size_t asked = pw.asked_count;
    for (int i = 0; i < 5; i++)
        tern_identify_changed(identify, pw.world->now);
    puppet_run(&pw, TERN_SECOND / 2);
    assert_int_equal(pw.asked_count, asked);
    puppet_run(&pw, TERN_SECOND);
    assert_int_equal(pw.asked_count, asked + 1);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    put_usual();
    put_record(&pw.puppet->key, false);
    done();
    puppet_serves(&pw, TERN_IDENTIFY_PROTOCOL);
    pw.answer.bytes = tern_writer_view(&said);
    tern_peer peer = puppet_connect(&pw);
    size_t fine = 0;
    for (uint64_t n = 1; n < 60; n++) {
        struct tern_identify_event event;
        tern_swarm_disconnect(pw.node->swarm, pw.world->now, peer, TERN_CONNECTION_CODE_NONE);
        puppet_run(&pw, 20 * TERN_SECOND);
        tern_mem_fail_at(&pw.node->mem, n, false);
        (void)test_connect(pw.node, pw.puppet);
        puppet_run(&pw, 15 * TERN_SECOND);
        tern_mem_fail_at(&pw.node->mem, 0, false);
        while (tern_identify_next(identify, &event))
            fine += event.err == TERN_OK;
        peer = tern_swarm_find_peer(pw.node->swarm, &pw.puppet->id);
        if (peer == 0)
            peer = puppet_connect(&pw);
        puppet_run(&pw, TERN_SECOND);
    }
    assert_true(fine > 10);
    /* An honest peer is not blamed for want of memory here. */
    assert_int_equal(tern_swarm_faults_weight(pw.node->swarm, pw.world->now, &pw.puppet->id), 0);
}

int main(void)
{
#define IDENTIFY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        IDENTIFY(what_a_peer_says_is_learned),
        IDENTIFY(several_messages_make_one_answer),
        IDENTIFY(a_record_that_does_not_hold_spoils_nothing_else),
        IDENTIFY(anothers_key_is_a_fault),
        IDENTIFY(a_key_that_is_none_is_a_fault),
        IDENTIFY(what_does_not_decode_is_a_fault),
        IDENTIFY(too_many_messages_are_a_fault),
        IDENTIFY(ten_messages_are_not_too_many),
        IDENTIFY(too_many_bytes_are_a_fault),
        IDENTIFY(more_than_is_kept_is_left_out),
        IDENTIFY(no_answer_is_a_time_out),
        IDENTIFY(a_peer_that_goes_meanwhile_is_no_matter),
        IDENTIFY(we_tell_who_we_are),
        IDENTIFY(a_push_changes_what_it_says_and_nothing_else),
        IDENTIFY(a_flood_of_pushes_is_a_fault),
        IDENTIFY(a_change_of_ours_is_pushed_once_it_is_quiet),
        IDENTIFY(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
