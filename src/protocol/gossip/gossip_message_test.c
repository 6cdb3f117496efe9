/* Messages: policies and signatures, verdicts, duplicates, the cache, bounds; and that nothing
 * leaks whatever allocation fails. */
#include "tern_test.h"

#include "crypto/sha256.h"
#include "protocol/gossip/gossip_test_support.h"
#include "sim_fail.h"

static struct lone lone;
static struct tern_private_key author;
static uint8_t buffer[2 * TEST_BYTES_MAX];
static uint8_t message_buffer[TEST_BYTES_MAX];

static int setup(void **state)
{
    (void)state;
    lone_init(&lone, 1, NULL);
    test_key(5, &author);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lone_fini(&lone);
    tern_private_key_fini(&author);
    return 0;
}

static uint32_t start(enum tern_gossip_policy policy, unsigned flags)
{
    lone.options.policy = policy;
    assert_true(lone_start(&lone));
    lone_subscribe(&lone, "a", flags);
    return lone_up(&lone, TERN_GOSSIP_V11, true, 1);
}

static struct tern_writer begin(void)
{
    return tern_writer_of(message_buffer, sizeof message_buffer);
}

static void give(uint32_t peer, const struct tern_writer *message)
{
    struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
    assert_true(tern_writer_ok(message));
    rpc_message(&w, tern_writer_view(message));
    lone_send(&lone, peer, &w);
}

static void give_signed(uint32_t peer, uint64_t seqno, const char *data)
{
    struct tern_writer w = begin();
    test_message(&w, &author, seqno, "a", data);
    give(peer, &w);
}

static void give_unsigned(uint32_t peer, const char *topic, const char *data)
{
    struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
    rpc_unsigned(&w, topic, data);
    lone_send(&lone, peer, &w);
}

/* Parts of a message, for those of an unusual make. */
static void put_from(struct tern_writer *w, const struct tern_private_key *key)
{
    struct tern_peer_id id;
    tern_public_key_peer_id(&key->public_key, &id);
    tern_pb_write_bytes(w, 1, tern_peer_id_view(&id));
}

static void put_seqno(struct tern_writer *w)
{
    tern_pb_write_bytes(w, 3, tern_view_of((const uint8_t *)"\0\0\0\0\0\0\0\7", 8));
}

static void put_key(struct tern_writer *w, const struct tern_private_key *key)
{
    uint8_t bytes[TERN_PUBLIC_KEY_SIZE_MAX];
    struct tern_writer k = tern_writer_of(bytes, sizeof bytes);
    tern_public_key_encode(&key->public_key, &k);
    tern_pb_write_bytes(w, 6, tern_writer_view(&k));
}

static void put_all(struct tern_writer *w, const struct tern_private_key *key, const char *data)
{
    put_from(w, key);
    tern_pb_write_bytes(w, 2, tern_view_str(data));
    put_seqno(w);
    tern_pb_write_bytes(w, 4, tern_view_str("a"));
}

static void expect(uint32_t peer, tern_fault fault)
{
    assert_int_equal(lone_faults(&lone, peer, fault), 1);
    assert_int_equal(lone_faults_all(&lone), 1);
    assert_int_equal(lone_delivered(&lone, NULL), 0);
    lone_clear(&lone);
}

/* --- signatures --- */

static void a_signed_message_is_delivered_and_forwarded(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    uint32_t other = lone_up(&lone, TERN_GOSSIP_V11, true, 2);
    lone_subscribed(&lone, other, "a");
    give_signed(peer, 1, "x");
    assert_int_equal(lone_delivered(&lone, "x"), 1);
    const struct lone_out *out = lone_find(&lone, TERN_GOSSIP_DELIVER, 0);
    struct tern_peer_id id = test_id(5);
    assert_true(tern_view_equal(out->from, tern_peer_id_view(&id)));
    assert_true(test_view_is(out->topic, "a"));
    assert_int_equal(out->peer, peer);
    assert_int_equal(lone_sent(&lone, other, PART_MESSAGE, "x"), 1);
    assert_int_equal(lone_sent(&lone, peer, PART_MESSAGE, "x"), 0);
    assert_int_equal(lone_faults_all(&lone), 0);
}

static void our_own_message_verifies_elsewhere(void **state)
{
    (void)state;
    (void)start(TERN_GOSSIP_STRICT_SIGN, 0);
    lone_subscribed(&lone, 0, "a");
    assert_int_equal(lone_publish(&lone, "a", "x"), TERN_OK);
    struct lone other;
    lone_init(&other, 2, NULL);
    other.options.policy = TERN_GOSSIP_STRICT_SIGN;
    assert_true(lone_start(&other));
    lone_subscribe(&other, "a", 0);
    uint32_t peer = lone_up(&other, TERN_GOSSIP_V11, true, 1);
    for (size_t i = 0; i < lone.log_count; i++)
        if (lone.log[i].kind == TERN_GOSSIP_SEND)
            lone_rpc(&other, peer, lone.log[i].bytes);
    assert_int_equal(lone_delivered(&other, "x"), 1);
    assert_int_equal(lone_faults_all(&other), 0);
    lone_fini(&other);
}

static void a_message_goes_neither_to_its_author_nor_back(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    uint32_t wrote_it = lone_up(&lone, TERN_GOSSIP_V11, true, 5);
    lone_subscribed(&lone, wrote_it, "a");
    lone_subscribed(&lone, peer, "a");
    give_signed(peer, 1, "x");
    assert_int_equal(lone_delivered(&lone, "x"), 1);
    assert_int_equal(lone_sent(&lone, wrote_it, PART_MESSAGE, NULL), 0);
    assert_int_equal(lone_sent(&lone, peer, PART_MESSAGE, NULL), 0);
}

static void our_own_message_coming_back_is_no_news(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    struct tern_writer w = begin();
    test_message(&w, &lone.key, 1, "a", "an old one of ours");
    give(peer, &w); /* not in the seen cache any more, and yet known */
    assert_int_equal(lone_delivered(&lone, NULL), 0);
    assert_int_equal(lone_faults_all(&lone), 0);
}

static void a_bad_signature_is_a_fault(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    struct tern_writer w = begin();
    test_message(&w, &author, 1, "a", "x");
    message_buffer[w.size - 1] ^= 1;
    give(peer, &w);
    expect(peer, TERN_FAULT_GOSSIP_BAD_SIGNATURE);
    w = begin(); /* another's signature */
    put_all(&w, &author, "x");
    test_signature(&w, &lone.key);
    give(peer, &w);
    expect(peer, TERN_FAULT_GOSSIP_BAD_SIGNATURE);
}

static void whatever_is_missing_is_a_fault(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    for (uint32_t without = 1; without <= 5; without++) {
        struct tern_writer w = begin();
        if (without != 1)
            put_from(&w, &author);
        tern_pb_write_bytes(&w, 2, tern_view_str("x"));
        if (without != 3)
            put_seqno(&w);
        if (without != 4)
            tern_pb_write_bytes(&w, 4, tern_view_str("a"));
        if (without != 5)
            test_signature(&w, &author);
        if (without == 2)
            continue; /* without data it is a message all the same: below */
        give(peer, &w);
        expect(peer,
               without == 4 ? TERN_FAULT_GOSSIP_MESSAGE_MALFORMED : TERN_FAULT_GOSSIP_UNSIGNED);
    }
    struct tern_writer w = begin();
    put_from(&w, &author);
    put_seqno(&w);
    tern_pb_write_bytes(&w, 4, tern_view_str("a"));
    test_signature(&w, &author);
    give(peer, &w);
    assert_int_equal(lone_delivered(&lone, ""), 1);
}

static void a_message_that_makes_no_sense_is_a_fault(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    struct tern_writer w = begin(); /* cut off */
    test_message(&w, &author, 1, "a", "x");
    w.size -= 3;
    give(peer, &w);
    expect(peer, TERN_FAULT_GOSSIP_MESSAGE_MALFORMED);
    w = begin(); /* a number where bytes belong */
    put_all(&w, &author, "x");
    tern_pb_write_varint(&w, 5, 1);
    give(peer, &w);
    expect(peer, TERN_FAULT_GOSSIP_MESSAGE_MALFORMED);
    w = begin(); /* a sequence number of seven bytes */
    put_from(&w, &author);
    tern_pb_write_bytes(&w, 3, tern_view_str("1234567"));
    tern_pb_write_bytes(&w, 4, tern_view_str("a"));
    test_signature(&w, &author);
    give(peer, &w);
    expect(peer, TERN_FAULT_GOSSIP_MESSAGE_MALFORMED);
    w = begin(); /* an author that is no peer id */
    tern_pb_write_bytes(&w, 1, tern_view_str("nobody"));
    put_seqno(&w);
    tern_pb_write_bytes(&w, 4, tern_view_str("a"));
    test_signature(&w, &author);
    give(peer, &w);
    expect(peer, TERN_FAULT_GOSSIP_MESSAGE_MALFORMED);
}

static void the_key_beside_the_id_must_be_the_ids(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    struct tern_writer w = begin();
    put_all(&w, &author, "x");
    test_signature(&w, &author);
    put_key(&w, &lone.key);
    give(peer, &w);
    expect(peer, TERN_FAULT_GOSSIP_KEY_MISMATCH);
    w = begin(); /* the right one, though it need not be there */
    put_all(&w, &author, "x");
    test_signature(&w, &author);
    put_key(&w, &author);
    give(peer, &w);
    assert_int_equal(lone_delivered(&lone, "x"), 1);
    assert_int_equal(lone_faults_all(&lone), 0);
}

static void an_id_that_is_a_hash_needs_the_key(void **state)
{
    struct tern_private_key key;
    (void)state;
    assert_ok(tern_private_key_generate(TERN_KEY_ECDSA, &lone.random, &key));
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    struct tern_writer w = begin();
    put_all(&w, &key, "hashed");
    test_signature(&w, &key);
    give(peer, &w);
    expect(peer, TERN_FAULT_GOSSIP_KEY_MISMATCH); /* none */
    put_key(&w, &author);
    give(peer, &w);
    expect(peer, TERN_FAULT_GOSSIP_KEY_MISMATCH); /* another's */
    w = begin();
    put_all(&w, &key, "hashed");
    test_signature(&w, &key);
    put_key(&w, &key);
    give(peer, &w);
    assert_int_equal(lone_delivered(&lone, "hashed"), 1);
    tern_private_key_fini(&key);
}

static void we_publish_with_a_hashed_id(void **state)
{
    struct tern_private_key key;
    (void)state;
    assert_ok(tern_private_key_generate(TERN_KEY_ECDSA, &lone.random, &key));
    lone.options.identity = &key;
    tern_public_key_peer_id(&key.public_key, &lone.options.own_id);
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    lone_subscribed(&lone, peer, "a");
    assert_int_equal(lone_publish(&lone, "a", "x"), TERN_OK);
    struct lone other;
    lone_init(&other, 2, NULL);
    other.options.policy = TERN_GOSSIP_STRICT_SIGN;
    assert_true(lone_start(&other));
    lone_subscribe(&other, "a", 0);
    (void)lone_up(&other, TERN_GOSSIP_V11, true, 1);
    for (size_t i = 0; i < lone.log_count; i++)
        if (lone.log[i].kind == TERN_GOSSIP_SEND)
            lone_rpc(&other, 0, lone.log[i].bytes);
    assert_int_equal(lone_delivered(&other, "x"), 1);
    lone_fini(&other);
    tern_private_key_fini(&key);
}

/* What is signed is the canonical encoding, whatever form came: as go-libp2p-pubsub has it. */
static void fields_in_another_order_verify_all_the_same(void **state)
{
    uint8_t plain[512];
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    struct tern_writer usual = tern_writer_of(plain, sizeof plain);
    put_all(&usual, &author, "x");
    size_t signed_size = usual.size;
    test_signature(&usual, &author);
    struct tern_writer w = begin(); /* the signature first */
    tern_writer_bytes(&w, tern_view_of(plain + signed_size, usual.size - signed_size));
    tern_pb_write_bytes(&w, 4, tern_view_str("a"));
    put_seqno(&w);
    tern_pb_write_bytes(&w, 2, tern_view_str("early")); /* the last one counts */
    tern_pb_write_bytes(&w, 2, tern_view_str("x"));
    put_from(&w, &author);
    give(peer, &w);
    assert_int_equal(lone_delivered(&lone, "x"), 1);
    assert_int_equal(lone_faults_all(&lone), 0);
}

static void a_length_that_is_not_minimal_is_verified_as_others_do(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    struct tern_writer w = begin();
    put_from(&w, &author);
    tern_writer_bytes(&w, tern_view_of((const uint8_t *)"\x12\x81\x00x", 4)); /* length 1 */
    put_seqno(&w);
    tern_pb_write_bytes(&w, 4, tern_view_str("a"));
    test_signature(&w, &author); /* over these very bytes: nobody else would accept that */
    give(peer, &w);
    expect(peer, TERN_FAULT_GOSSIP_BAD_SIGNATURE);
}

static void a_field_put_in_by_another_breaks_the_signature(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    struct tern_writer w = begin();
    test_message(&w, &author, 1, "a", "x");
    tern_pb_write_bytes(&w, 7, tern_view_str("stowaway"));
    give(peer, &w);
    expect(peer, TERN_FAULT_GOSSIP_BAD_SIGNATURE);
    w = begin(); /* one that the author put there is covered */
    put_all(&w, &author, "x");
    tern_pb_write_bytes(&w, 7, tern_view_str("new"));
    test_signature(&w, &author);
    give(peer, &w);
    assert_int_equal(lone_delivered(&lone, "x"), 1);
}

/* --- without signatures --- */

static void without_signatures_nothing_of_an_author_is_allowed(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_NO_SIGN, 0);
    for (uint32_t number = 1; number <= 6; number++) {
        if (number == 2 || number == 4)
            continue;
        struct tern_writer w = begin();
        tern_pb_write_bytes(&w, 2, tern_view_str("x"));
        tern_pb_write_bytes(&w, 4, tern_view_str("a"));
        tern_pb_write_bytes(&w, number, tern_view_str(""));
        give(peer, &w);
        expect(peer, TERN_FAULT_GOSSIP_SIGNED_UNWANTED);
    }
    give_unsigned(peer, "a", "x");
    assert_int_equal(lone_delivered(&lone, "x"), 1);
    assert_int_equal(lone_find(&lone, TERN_GOSSIP_DELIVER, 0)->from.size, 0);
}

static void the_same_data_on_another_topic_hides_nothing(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_NO_SIGN, 0);
    lone_subscribe(&lone, "b", 0);
    give_unsigned(peer, "b", "x");
    give_unsigned(peer, "a", "x");
    give_unsigned(peer, "a", "x");
    assert_int_equal(lone_delivered(&lone, "x"), 2);
}

static void publishing_what_was_seen_is_refused(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_NO_SIGN, 0);
    give_unsigned(peer, "a", "x");
    assert_int_equal(lone_publish(&lone, "a", "x"), TERN_ERR_EXISTS);
    assert_int_equal(lone_publish(&lone, "elsewhere", "y"), TERN_OK);
    lone_run(&lone, 20 * TERN_SECOND); /* out of the cache, its topic forgotten, and still seen */
    assert_int_equal(lone_publish(&lone, "elsewhere", "y"), TERN_ERR_EXISTS);
    lone_run(&lone, 2 * TERN_MINUTE);
    assert_int_equal(lone_publish(&lone, "elsewhere", "y"), TERN_OK);
}

/* --- duplicates and forgeries --- */

static void a_message_from_several_peers_is_verified_once(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    uint32_t other = lone_up(&lone, TERN_GOSSIP_V11, true, 2);
    lone.hold_jobs = true;
    give_signed(peer, 1, "x");
    give_signed(other, 1, "x");
    assert_int_equal(lone.metrics.values[TERN_METRIC_GOSSIP_DUPLICATES], 1);
    assert_int_equal(lone.jobs_count, 1);
    lone_jobs(&lone);
    give_signed(other, 1, "x");
    assert_int_equal(lone.metrics.values[TERN_METRIC_GOSSIP_DUPLICATES], 2);
    assert_int_equal(lone_delivered(&lone, "x"), 1);
}

/* Whoever forges the id of a message must not have the message dropped for it. */
static void a_forgery_that_comes_first_does_not_hide_the_message(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    uint32_t forger = lone_up(&lone, TERN_GOSSIP_V11, true, 2);
    for (int held = 0; held < 2; held++) {
        lone_clear(&lone);
        lone.hold_jobs = held == 1;
        struct tern_writer w = begin();
        test_message(&w, &author, (uint64_t)held, "a", "x");
        message_buffer[w.size - 1] ^= 1;
        give(forger, &w);
        give_signed(peer, (uint64_t)held, "x");
        lone_jobs(&lone);
        assert_int_equal(lone_faults(&lone, forger, TERN_FAULT_GOSSIP_BAD_SIGNATURE), 1);
        assert_int_equal(lone_faults_all(&lone), 1);
        assert_int_equal(lone_delivered(&lone, "x"), 1);
    }
}

static void two_messages_of_one_id_are_delivered_once(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    lone.hold_jobs = true;
    give_signed(peer, 1, "one"); /* the author signs two under one number: the first counts */
    give_signed(peer, 1, "two");
    lone_jobs(&lone);
    assert_int_equal(lone_delivered(&lone, NULL), 1);
    assert_int_equal(lone_delivered(&lone, "one"), 1);
    assert_int_equal(lone_faults_all(&lone), 0);
}

/* --- verdicts --- */

static tern_gossip_handle one_waits(uint32_t *peer, uint32_t *other)
{
    *peer = start(TERN_GOSSIP_STRICT_NO_SIGN, TERN_GOSSIP_SUBSCRIBE_VALIDATE);
    *other = lone_up(&lone, TERN_GOSSIP_V11, true, 2);
    lone_subscribed(&lone, *other, "a");
    give_unsigned(*peer, "a", "x");
    assert_int_equal(lone_delivered(&lone, "x"), 1);
    assert_int_equal(lone_sent(&lone, *other, PART_MESSAGE, NULL), 0);
    tern_gossip_handle handle = lone_find(&lone, TERN_GOSSIP_DELIVER, 0)->handle;
    assert_true(handle != 0);
    return handle;
}

static void what_is_accepted_is_forwarded_once(void **state)
{
    uint32_t peer, other;
    (void)state;
    tern_gossip_handle handle = one_waits(&peer, &other);
    tern_gossip_verdict(lone.core, lone.now, handle, TERN_GOSSIP_ACCEPT);
    tern_gossip_verdict(lone.core, lone.now, handle, TERN_GOSSIP_ACCEPT); /* before it is drained */
    tern_gossip_verdict(lone.core, lone.now, handle, TERN_GOSSIP_REJECT);
    lone_drain(&lone);
    lone_verdict(&lone, handle, TERN_GOSSIP_REJECT);
    assert_int_equal(lone_sent(&lone, other, PART_MESSAGE, "x"), 1);
    assert_int_equal(lone_faults_all(&lone), 0);
}

static void what_is_ignored_is_dropped_without_blame(void **state)
{
    uint32_t peer, other;
    (void)state;
    lone_verdict(&lone, one_waits(&peer, &other), TERN_GOSSIP_IGNORE);
    assert_int_equal(lone_sent(&lone, other, PART_MESSAGE, NULL), 0);
    assert_int_equal(lone_faults_all(&lone), 0);
    give_unsigned(peer, "a", "x"); /* and is not asked about again */
    assert_int_equal(lone_delivered(&lone, "x"), 1);
}

static void what_is_rejected_counts_against_who_sent_it(void **state)
{
    uint32_t peer, other;
    (void)state;
    lone_verdict(&lone, one_waits(&peer, &other), TERN_GOSSIP_REJECT);
    assert_int_equal(lone_sent(&lone, other, PART_MESSAGE, NULL), 0);
    assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_REJECTED), 1);
}

static void a_verdict_of_nothing_is_ignored(void **state)
{
    uint32_t peer, other;
    (void)state;
    tern_gossip_handle handle = one_waits(&peer, &other);
    size_t before = lone.log_count;
    lone_verdict(&lone, 0, TERN_GOSSIP_ACCEPT);
    lone_verdict(&lone, UINT64_MAX, TERN_GOSSIP_ACCEPT);
    lone_verdict(&lone, handle + 1, TERN_GOSSIP_ACCEPT);
    lone_verdict(&lone, handle + (UINT64_C(1) << 32), TERN_GOSSIP_REJECT);
    assert_int_equal(lone.log_count, before);
}

static void a_topic_left_while_a_message_waits_drops_it(void **state)
{
    uint32_t peer, other;
    (void)state;
    tern_gossip_handle handle = one_waits(&peer, &other);
    uint32_t old = lone_up(&lone, TERN_GOSSIP_FLOODSUB, true, 3); /* is in no mesh to be left */
    lone_subscribed(&lone, old, "a");
    tern_gossip_unsubscribe(lone.core, lone.now, tern_view_str("a"));
    lone_drain(&lone);
    lone_verdict(&lone, handle, TERN_GOSSIP_ACCEPT);
    assert_int_equal(lone_sent(&lone, other, PART_MESSAGE, NULL), 0);
    assert_int_equal(lone_sent(&lone, old, PART_MESSAGE, NULL), 0);
    lone_verdict(&lone, handle, TERN_GOSSIP_ACCEPT);
}

static void a_topic_left_under_verification_drops_its_messages(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    lone.hold_jobs = true;
    give_signed(peer, 1, "x");
    lone_down(&lone, peer);
    tern_gossip_unsubscribe(lone.core, lone.now, tern_view_str("a"));
    lone_jobs(&lone);
    assert_int_equal(lone_delivered(&lone, NULL), 0);
}

static void who_goes_while_its_messages_are_verified_is_not_blamed(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    lone.hold_jobs = true;
    give_signed(peer, 1, "good");
    struct tern_writer w = begin();
    test_message(&w, &author, 2, "a", "bad");
    message_buffer[w.size - 1] ^= 1;
    give(peer, &w);
    lone_down(&lone, peer);
    assert_int_equal(lone_up(&lone, TERN_GOSSIP_V11, true, 9), peer); /* in its slot */
    lone_subscribed(&lone, peer, "a");
    lone_jobs(&lone);
    assert_int_equal(lone_faults_all(&lone), 0);
    assert_int_equal(lone_delivered(&lone, "good"), 1);
    assert_int_equal(lone_find(&lone, TERN_GOSSIP_DELIVER, 0)->peer, UINT32_MAX);
    assert_int_equal(lone_sent(&lone, peer, PART_MESSAGE, "good"), 1); /* to it, it is news */
}

static void the_verdict_on_one_who_went_blames_nobody(void **state)
{
    uint32_t peer, other;
    (void)state;
    tern_gossip_handle handle = one_waits(&peer, &other);
    lone_down(&lone, peer);
    assert_int_equal(lone_up(&lone, TERN_GOSSIP_V11, true, 9), peer);
    lone_verdict(&lone, handle, TERN_GOSSIP_REJECT);
    assert_int_equal(lone_faults_all(&lone), 0);
}

/* --- bounds --- */

static void so_many_messages_wait_and_no_more(void **state)
{
    char data[8];
    (void)state;
    lone.options.params.pending_max = 10;
    uint32_t peer = start(TERN_GOSSIP_STRICT_NO_SIGN, TERN_GOSSIP_SUBSCRIBE_VALIDATE);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 20; i++) {
            struct tern_writer w = tern_writer_of(data, sizeof data);
            tern_writer_decimal(&w, 100 * round + i);
            assert_true(tern_writer_terminate(&w));
            give_unsigned(peer, "a", data);
        }
        assert_int_equal(lone_delivered(&lone, NULL), 10);
        assert_int_equal(lone.metrics.values[TERN_METRIC_GOSSIP_BACKLOG_DROPPED], 10 * (round + 1));
        assert_int_equal(lone_faults_all(&lone), 0);
        for (size_t i = 0; i < 10; i++)
            tern_gossip_verdict(lone.core, lone.now,
                                lone_find(&lone, TERN_GOSSIP_DELIVER, i)->handle,
                                TERN_GOSSIP_IGNORE);
        lone_clear(&lone);
    }
}

static void so_many_bytes_wait_and_no_more(void **state)
{
    static char data[1001];
    (void)state;
    lone.options.params.pending_bytes_max = 5000;
    uint32_t peer = start(TERN_GOSSIP_STRICT_NO_SIGN, TERN_GOSSIP_SUBSCRIBE_VALIDATE);
    memset(data, 'x', 1000);
    for (unsigned i = 0; i < 10; i++) {
        data[0] = (char)('0' + i);
        give_unsigned(peer, "a", data);
    }
    assert_int_equal(lone_delivered(&lone, NULL), 4);
    assert_int_equal(lone.metrics.values[TERN_METRIC_GOSSIP_BACKLOG_DROPPED], 6);
}

static void the_cache_is_bounded_and_the_oldest_goes(void **state)
{
    static char data[2001];
    uint8_t id[32];
    struct tern_view view = {id, sizeof id};
    (void)state;
    lone.options.params.cache_bytes_max = 10000;
    uint32_t peer = start(TERN_GOSSIP_STRICT_NO_SIGN, 0);
    memset(data, 'x', 2000);
    for (char i = 'a'; i <= 'j'; i++) {
        data[0] = i;
        assert_int_equal(lone_publish(&lone, "a", data), TERN_OK);
    }
    for (char i = 'a'; i <= 'j'; i++) {
        struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
        data[0] = i;
        test_id_of_data(data, id);
        rpc_ids(&w, NULL, &view, 1);
        lone_clear(&lone);
        lone_send(&lone, peer, &w);
        assert_int_equal(lone_sent(&lone, peer, PART_MESSAGE, data), i >= 'g' ? 1 : 0);
    }
    lone_run(&lone, 6 * TERN_SECOND); /* and after five heartbeats all are gone */
    lone_clear(&lone);
    struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
    rpc_ids(&w, NULL, &view, 1);
    lone_send(&lone, peer, &w);
    assert_int_equal(lone.log_count, 0);
}

static void more_messages_than_batches_hold_are_all_verified(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    lone.hold_jobs = true;
    for (uint64_t i = 0; i < 500; i++)
        give_signed(peer, i, "x");
    assert_int_equal(lone.jobs_count, 4);
    assert_int_equal(lone_delivered(&lone, NULL), 0);
    lone_jobs(&lone);
    assert_int_equal(lone_delivered(&lone, "x"), 500);
    assert_int_equal(lone_faults_all(&lone), 0);
}

static void a_large_message_fits_and_a_larger_is_refused(void **state)
{
    static char data[TEST_BYTES_MAX];
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_SIGN, 0);
    lone_subscribed(&lone, peer, "a");
    memset(data, 'x', sizeof data - 1);
    assert_int_equal(lone_publish(&lone, "a", data), TERN_ERR_TOO_LARGE);
    data[TEST_BYTES_MAX - 2400] = 0;
    assert_int_equal(lone_publish(&lone, "a", data), TERN_OK);
    assert_int_equal(lone_sent(&lone, peer, PART_MESSAGE, data), 1);
}

static void messages_of_other_topics_are_not_relayed(void **state)
{
    (void)state;
    uint32_t peer = start(TERN_GOSSIP_STRICT_NO_SIGN, 0);
    give_unsigned(peer, "b", "x");
    assert_int_equal(lone.log_count - lone_sent(&lone, peer, PART_SUBSCRIBE, NULL), 0);
}

/* --- outs that are not drained, and memory --- */

static void a_full_queue_refuses_to_publish(void **state)
{
    uint32_t refused = 0;
    (void)state;
    (void)start(TERN_GOSSIP_STRICT_NO_SIGN, 0);
    for (uint32_t i = 0; i < 2000; i++) {
        struct tern_view data = tern_view_of((const uint8_t *)&i, sizeof i);
        tern_err err =
            tern_gossip_publish(lone.core, lone.now, LONE_WALL, tern_view_str("a"), data);
        assert_true(err == TERN_OK || err == TERN_ERR_FULL);
        refused += err == TERN_ERR_FULL;
    }
    assert_true(refused >= 900 && refused < 1100);
    lone_drain(&lone);
    assert_int_equal(lone_publish(&lone, "a", "again"), TERN_OK);
}

/* A life of a core in which everything happens once. */
static tern_err scenario_run(struct lone *l)
{
    uint32_t a, b;
    uint8_t id[32];
    struct tern_view view = {id, sizeof id};
    struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
    memset(id, 0xcc, sizeof id);
    if (!lone_try_up(l, TERN_GOSSIP_V11, 1, &a))
        return TERN_ERR_MEMORY;
    if (!lone_try_up(l, TERN_GOSSIP_FLOODSUB, 2, &b))
        return TERN_ERR_MEMORY;
    for (int i = 0; i < 2; i++) {
        tern_err err = tern_gossip_subscribe(l->core, l->now, tern_view_str(i == 0 ? "a" : "v"),
                                             i == 0 ? 0 : TERN_GOSSIP_SUBSCRIBE_VALIDATE);
        lone_drain(l);
        if (err != TERN_OK)
            return err;
    }
    rpc_subscription(&w, true, "a");
    rpc_subscription(&w, true, "v");
    rpc_subscription(&w, true, "c");
    rpc_topic_entry(&w, TERN_GOSSIP_CONTROL_GRAFT, "a");
    rpc_ids(&w, "a", &view, 1);
    lone_send(l, a, &w);
    lone_send(l, b, &w);
    for (uint64_t i = 0; i < 6; i++) {
        struct tern_writer m = begin();
        test_message(&m, &author, i, i % 2 == 0 ? "a" : "v", "data");
        if (i == 4)
            message_buffer[m.size - 1] ^= 1;
        if (i == 2)
            tern_pb_write_bytes(&m, 2, tern_view_str("data")); /* an unusual order */
        w = tern_writer_of(buffer, sizeof buffer);
        rpc_message(&w, tern_writer_view(&m));
        lone_send(l, a, &w);
    }
    tern_err err = lone_publish(l, "a", "own");
    lone_run(l, 2 * TERN_SECOND);
    struct tern_peer_id own = test_id(5);
    memcpy(buffer, own.bytes, own.size);
    memset(buffer + own.size, 0, 8);
    view = tern_view_of(buffer, own.size + 8U);
    w = tern_writer_of(message_buffer, sizeof message_buffer);
    rpc_ids(&w, NULL, &view, 1);
    rpc_prune(&w, "a", 60);
    lone_send(l, a, &w);
    lone_down(l, a);
    lone_run(l, 10 * TERN_SECOND);
    return err;
}

static tern_err scenario(void *context, struct tern_mem *mem, struct tern_scope *root)
{
    struct lone l;
    (void)context;
    (void)root;
    lone_init(&l, 1, mem);
    l.options.policy = TERN_GOSSIP_STRICT_SIGN;
    l.auto_verdict = true;
    l.options.params.seen_max = 64;
    tern_err err = lone_start(&l) ? scenario_run(&l) : TERN_ERR_MEMORY;
    for (size_t i = 0; i < l.log_count; i++) /* whatever failed, an honest peer is not blamed */
        TERN_CHECK(l.log[i].kind != TERN_GOSSIP_FAULT ||
                   l.log[i].fault == TERN_FAULT_GOSSIP_BAD_SIGNATURE ||
                   l.log[i].fault == TERN_FAULT_GOSSIP_PROMISE_BROKEN);
    TERN_CHECK(err != TERN_OK || mem->fail_at != 0 || mem->allocs == 0 || l.log_count > 10);
    lone_fini(&l);
    return err;
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(sim_fail_each(scenario, NULL) > 40);
}

int main(void)
{
#define LONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        LONE(a_signed_message_is_delivered_and_forwarded),
        LONE(our_own_message_verifies_elsewhere),
        LONE(a_message_goes_neither_to_its_author_nor_back),
        LONE(our_own_message_coming_back_is_no_news),
        LONE(a_bad_signature_is_a_fault),
        LONE(whatever_is_missing_is_a_fault),
        LONE(a_message_that_makes_no_sense_is_a_fault),
        LONE(the_key_beside_the_id_must_be_the_ids),
        LONE(an_id_that_is_a_hash_needs_the_key),
        LONE(we_publish_with_a_hashed_id),
        LONE(fields_in_another_order_verify_all_the_same),
        LONE(a_length_that_is_not_minimal_is_verified_as_others_do),
        LONE(a_field_put_in_by_another_breaks_the_signature),
        LONE(without_signatures_nothing_of_an_author_is_allowed),
        LONE(the_same_data_on_another_topic_hides_nothing),
        LONE(publishing_what_was_seen_is_refused),
        LONE(a_message_from_several_peers_is_verified_once),
        LONE(a_forgery_that_comes_first_does_not_hide_the_message),
        LONE(two_messages_of_one_id_are_delivered_once),
        LONE(what_is_accepted_is_forwarded_once),
        LONE(what_is_ignored_is_dropped_without_blame),
        LONE(what_is_rejected_counts_against_who_sent_it),
        LONE(a_verdict_of_nothing_is_ignored),
        LONE(a_topic_left_while_a_message_waits_drops_it),
        LONE(a_topic_left_under_verification_drops_its_messages),
        LONE(who_goes_while_its_messages_are_verified_is_not_blamed),
        LONE(the_verdict_on_one_who_went_blames_nobody),
        LONE(so_many_messages_wait_and_no_more),
        LONE(so_many_bytes_wait_and_no_more),
        LONE(the_cache_is_bounded_and_the_oldest_goes),
        LONE(more_messages_than_batches_hold_are_all_verified),
        LONE(a_large_message_fits_and_a_larger_is_refused),
        LONE(messages_of_other_topics_are_not_relayed),
        LONE(a_full_queue_refuses_to_publish),
        LONE(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
