/* What a dishonest peer or wire may try, at every stage; each attempt ends in the fault that names
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto/x25519.h"
#include "noise_world.h"
#include "secure/noise_payload.h"
#include "wire/protobuf.h"

enum { FLIGHT_MAX = 16384 };

struct flight {
    uint8_t bytes[FLIGHT_MAX];
    size_t size;
};

static struct flight flight_of(struct pump_end *end)
{
    struct flight f;
    struct tern_writer w = tern_writer_of(f.bytes, sizeof f.bytes);
    end->secure.ops->control(end->secure.self, 0, &w);
    f.size = w.size;
    return f;
}

/* Gives an end bytes and runs the job that may come of them. */
static void give(struct pump_end *end, const uint8_t *bytes, size_t size)
{
    pump_feed(end, tern_view_of(bytes, size), true);
    if (end->job != NULL)
        pump_run_job(end);
}

static void expect_fault(const struct world *w, int i, tern_fault fault)
{
    if (fault_of(w, i) != fault || w->pump.ends[i].err == TERN_OK)
        fail_msg("fault %s in place of %s", tern_fault_name(fault_of(w, i)),
                 tern_fault_name(fault));
    assert_false(w->pump.ends[i].done);
}

/* ---- the wire ---- */

/* What is done to one of the three messages. */
struct tamper {
    size_t message;
    size_t place;
    uint8_t xor ;
    size_t size; /* cut to this; SIZE_MAX: whole */
};

/* Passes the messages on, until one end has noticed or waits. Returns that end. */
static struct pump_end *pass_messages(struct world *w, const struct tamper *t)
{
    struct pump_end *to = NULL;
    for (size_t m = 0; m < TERN_NOISE_XX_MESSAGES; m++) {
        struct flight f = flight_of(&w->pump.ends[m % 2]);
        if (f.size == 0)
            return to; /* the victim has nothing to answer */
        to = &w->pump.ends[1 - m % 2];
        if (m == t->message) {
            if (t->place < f.size)
                f.bytes[t->place] ^= t->xor ;
            f.size = tern_min_size(f.size, t->size);
        }
        give(to, f.bytes, f.size);
        /* A changed message 1 is for the initiator to notice, in the answer to it. */
        if (to->err != TERN_OK || (m == t->message && m > 0))
            return to;
    }
    return to;
}

static size_t message_size(size_t m)
{
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    assert_true(world_open(w));
    size_t size = 0;
    for (size_t i = 0; i <= m; i++) {
        struct flight f = flight_of(&w->pump.ends[i % 2]);
        size = f.size;
        give(&w->pump.ends[1 - i % 2], f.bytes, f.size);
    }
    world_free(w);
    return size;
}

static void any_flipped_bit_ends_the_handshake(void **state)
{
    (void)state;
    for (size_t m = 0; m < TERN_NOISE_XX_MESSAGES; m++) {
        size_t size = message_size(m);
        for (size_t place = 0; place < size; place++) {
            struct world *w = world_new(TERN_KEY_ED25519, 11);
            assert_true(world_open(w));
            struct tamper t = {m, place, (uint8_t)(1U << ((place * 5) % 8)), SIZE_MAX};
            const struct pump_end *end = pass_messages(w, &t);
            assert_false(w->pump.ends[RESP].done);
            if (m < 2)
                assert_false(w->pump.ends[INIT].done);
            /* A length that became larger may leave the victim waiting, no more. */
            bool waits = end->err == TERN_OK && place < 2;
            if (!waits)
                assert_int_not_equal(fault_of(w, end == &w->pump.ends[RESP]), TERN_FAULT_NONE);
            world_free(w);
        }
    }
}

static void truncated_messages_wait_and_hold_little(void **state)
{
    (void)state;
    for (size_t m = 0; m < TERN_NOISE_XX_MESSAGES; m++) {
        size_t size = message_size(m);
        for (size_t cut = 0; cut < size; cut += cut < 4 || cut + 4 > size ? 1 : 7) {
            struct world *w = world_new(TERN_KEY_ED25519, 11);
            assert_true(world_open(w));
            struct tamper t = {m, SIZE_MAX, 0, cut};
            const struct pump_end *end = pass_messages(w, &t);
            assert_int_equal(end->err, TERN_OK);
            assert_false(end->done);
            assert_true(w->mem.used < 8192);
            world_free(w);
        }
    }
}

static void replayed_and_reflected_messages_are_refused(void **state)
{
    (void)state;
    /* Message "what" where the responder awaits message 3. */
    static const tern_fault faults[] = {
        TERN_FAULT_NOISE_MESSAGE_SHORT,
        TERN_FAULT_NOISE_HANDSHAKE_MAC,
    };
    for (size_t what = 0; what < TERN_COUNT_OF(faults); what++) {
        struct world *w = world_new(TERN_KEY_ED25519, 11);
        assert_true(world_open(w));
        struct flight sent[2];
        sent[0] = flight_of(&w->pump.ends[INIT]);
        give(&w->pump.ends[RESP], sent[0].bytes, sent[0].size);
        sent[1] = flight_of(&w->pump.ends[RESP]);
        give(&w->pump.ends[RESP], sent[what].bytes, sent[what].size);
        expect_fault(w, RESP, faults[what]);
        world_free(w);
    }
}

static void recorded_message_3_does_not_open_another_session(void **state)
{
    (void)state;
    struct flight recorded = {.size = 0};
    for (int session = 0; session < 2; session++) {
        struct world *w = world_new(TERN_KEY_ED25519, 11);
        if (session == 1)
            tern_random_init_u64(&w->random, 99); /* other ephemeral keys, same hosts */
        assert_true(world_open(w));
        struct flight f = flight_of(&w->pump.ends[INIT]);
        give(&w->pump.ends[RESP], f.bytes, f.size);
        f = flight_of(&w->pump.ends[RESP]);
        give(&w->pump.ends[INIT], f.bytes, f.size);
        if (session == 0) {
            recorded = flight_of(&w->pump.ends[INIT]);
        } else {
            give(&w->pump.ends[RESP], recorded.bytes, recorded.size);
            expect_fault(w, RESP, TERN_FAULT_NOISE_HANDSHAKE_MAC);
        }
        world_free(w);
    }
}

static void sizes_are_judged_before_memory_is_taken(void **state)
{
    (void)state;
    static const struct {
        int end;
        uint16_t size;
        tern_err err;
        tern_fault fault;
    } cases[] = {
        {RESP, 8193, TERN_ERR_TOO_LARGE, TERN_FAULT_NOISE_MESSAGE_TOO_LARGE},
        {RESP, 65535, TERN_ERR_TOO_LARGE, TERN_FAULT_NOISE_MESSAGE_TOO_LARGE},
        {INIT, 8193, TERN_ERR_TOO_LARGE, TERN_FAULT_NOISE_MESSAGE_TOO_LARGE},
        {RESP, 0, TERN_ERR_PROTOCOL, TERN_FAULT_NOISE_MESSAGE_SHORT},
        {RESP, 31, TERN_ERR_PROTOCOL, TERN_FAULT_NOISE_MESSAGE_SHORT},
        {INIT, 95, TERN_ERR_PROTOCOL, TERN_FAULT_NOISE_MESSAGE_SHORT},
        {INIT, 32, TERN_ERR_PROTOCOL, TERN_FAULT_NOISE_BOTH_INITIATE},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct world *w = world_new(TERN_KEY_ED25519, 11);
        assert_true(world_open(w));
        size_t used = w->mem.used;
        struct tern_channel *s = &w->pump.ends[cases[i].end].secure;
        const uint8_t length[2] = {(uint8_t)(cases[i].size >> 8), (uint8_t)cases[i].size};
        size_t taken;
        tern_err err = s->ops->recv(s->self, 0, (struct tern_slice){.view = {length, 2}}, &taken);
        assert_int_equal(err, cases[i].err);
        assert_int_equal(fault_of(w, cases[i].end), cases[i].fault);
        assert_int_equal(w->mem.used, used);
        world_free(w);
    }
}

static void two_initiators_find_out(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    w->options[RESP].role = TERN_ROLE_INITIATOR;
    assert_true(world_open(w));
    pump_run(&w->pump);
    expect_fault(w, INIT, TERN_FAULT_NOISE_BOTH_INITIATE);
    world_free(w);
}

static void answer_before_the_question_is_refused(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    assert_true(world_open(w));
    const uint8_t message[2 + 200] = {0, 200};
    give(&w->pump.ends[INIT], message, sizeof message);
    expect_fault(w, INIT, TERN_FAULT_NOISE_EARLY_MESSAGE);
    world_free(w);
}

static void random_bytes_at_every_stage(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct world *w = world_new(TERN_KEY_ED25519, seed);
        assert_true(world_open(w));
        size_t stage = seed % 4; /* messages passed before the junk begins */
        for (size_t m = 0; m < stage; m++) {
            struct flight f = flight_of(&w->pump.ends[m % 2]);
            give(&w->pump.ends[1 - m % 2], f.bytes, f.size);
        }
        int victim = stage == 1 || (stage == 3 && seed % 8 > 3) ? INIT : RESP;
        flight_of(&w->pump.ends[victim]); /* what it has to say goes nowhere */
        bool was_done = w->pump.ends[victim].done;
        struct flight junk = {.size = 1 + tern_random_below(&w->random, FLIGHT_MAX)};
        tern_random_bytes(&w->random, junk.bytes, junk.size);
        if (tern_random_chance(&w->random, 3, 4))
            junk.bytes[0] &= 0x07; /* a believable length */
        give(&w->pump.ends[victim], junk.bytes, junk.size);
        struct pump_end *end = &w->pump.ends[victim];
        assert_int_equal(end->done, was_done);
        assert_int_equal(end->got_size, 0);
        if (end->err != TERN_OK)
            assert_int_not_equal(fault_of(w, victim), TERN_FAULT_NONE);
        assert_true(w->mem.used < (stage == 3 ? 80000 : 16384));
        world_free(w);
    }
}

/* ---- frames ---- */

static size_t seal_one(struct pump_end *end, uint8_t *out, size_t size)
{
    struct tern_writer w = tern_writer_of(out, 1024);
    struct tern_span room = end->secure.ops->seal_begin(end->secure.self, &w);
    assert_true(room.size >= size);
    for (size_t i = 0; i < size; i++)
        room.data[i] = pump_byte(end->sent_size + i);
    end->secure.ops->seal_end(end->secure.self, &w, size);
    end->sent_size += size;
    return w.size;
}

static void any_flipped_bit_ends_the_channel(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    for (size_t bit = 0; bit < (2 + 40 + 16) * 8; bit++) {
        world_shake(w);
        uint8_t frame[1024];
        size_t size = seal_one(&w->pump.ends[INIT], frame, 40);
        assert_int_equal(size, 2 + 40 + 16);
        frame[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        struct pump_end *resp = &w->pump.ends[RESP];
        give(resp, frame, size);
        assert_int_equal(resp->got_size, 0);
        size_t length = ((size_t)frame[0] << 8) | frame[1];
        tern_fault fault = TERN_FAULT_NOISE_FRAME_MAC;
        if (length > 56)
            fault = TERN_FAULT_NONE; /* waits for the rest */
        else if (length < 16)
            fault = TERN_FAULT_NOISE_FRAME_SHORT;
        assert_int_equal(fault_of(w, RESP), fault);
        assert_int_equal(resp->err == TERN_OK, fault == TERN_FAULT_NONE);
        world_close(w);
    }
    world_free(w);
}

static void frames_out_of_order_are_refused(void **state)
{
    (void)state;
    enum { REPLAY, SWAP, REFLECT, DROP, HOW_COUNT };
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    for (int how = 0; how < HOW_COUNT; how++) {
        world_shake(w);
        struct pump_end *init = &w->pump.ends[INIT];
        uint8_t frames[2][1024];
        size_t sizes[2];
        for (int i = 0; i < 2; i++)
            sizes[i] = seal_one(init, frames[i], 40);
        int victim = how == REFLECT ? INIT : RESP;
        struct pump_end *end = &w->pump.ends[victim];
        uint8_t copy[1024];
        memcpy(copy, frames[0], sizes[0]);
        if (how == REPLAY)
            give(end, copy, sizes[0]);
        bool first = how == REPLAY || how == REFLECT;
        give(end, first ? frames[0] : frames[1], first ? sizes[0] : sizes[1]);
        assert_int_equal(end->err, TERN_ERR_BAD_MAC);
        assert_int_equal(fault_of(w, victim), TERN_FAULT_NOISE_FRAME_MAC);
        assert_int_equal(end->got_size, how == REPLAY ? 40 : 0);
        uint8_t out[1024];
        struct tern_writer writer = tern_writer_of(out, sizeof out);
        assert_int_equal(end->secure.ops->seal_begin(end->secure.self, &writer).size, 0);
        world_close(w);
    }
    world_free(w);
}

/* ---- a peer that makes its own messages ---- */

struct forger {
    struct tern_noise_xx xx;
    uint8_t secret[32];
    uint8_t public_key[32];
};

static void forger_init(struct forger *f, struct world *w, enum tern_role role)
{
    uint8_t ephemeral[32];
    tern_x25519_generate(&w->random, f->secret, f->public_key);
    tern_random_bytes(&w->random, ephemeral, sizeof ephemeral);
    tern_noise_xx_init(&f->xx, &(struct tern_noise_xx_options){
                                   .role = role,
                                   .static_secret = f->secret,
                                   .static_public = f->public_key,
                                   .ephemeral_secret = ephemeral,
                               });
}

static void forger_say(struct forger *f, struct tern_view payload, struct pump_end *to)
{
    struct flight out;
    struct tern_writer w = tern_writer_of(out.bytes, sizeof out.bytes);
    tern_fault fault = TERN_FAULT_NONE;
    tern_writer_u16be(&w, (uint16_t)(tern_noise_xx_size_min(&f->xx) + payload.size));
    assert_int_equal(tern_noise_xx_write(&f->xx, payload, &w, &fault), TERN_OK);
    give(to, out.bytes, w.size);
}

static void forger_hear(struct forger *f, struct pump_end *from)
{
    struct flight in = flight_of(from);
    struct tern_view payload;
    tern_fault fault = TERN_FAULT_NONE;
    struct tern_span message = {.data = in.bytes + 2, .size = in.size - 2};
    assert_int_equal(tern_noise_xx_read(&f->xx, message, &payload, &fault), TERN_OK);
}

enum forgery {
    HONEST,
    NO_FIELDS,
    NO_KEY,
    NO_SIGNATURE,
    MALFORMED,
    TRUNCATED_EXTENSION,
    KEY_IS_JUNK,
    KEY_OF_UNKNOWN_TYPE,
    SIGNATURE_FLIPPED,
    SIGNATURE_SHORT,
    SIGNED_BY_ANOTHER,
    SIGNATURE_OF_ANOTHER_SESSION, /* a payload that was heard from an honest host */
    TOO_MANY_MUXERS,
    FORGERY_COUNT
};

static const tern_fault forgery_faults[FORGERY_COUNT] = {
    [HONEST] = TERN_FAULT_NONE,
    [NO_FIELDS] = TERN_FAULT_NOISE_NO_IDENTITY,
    [NO_KEY] = TERN_FAULT_NOISE_NO_IDENTITY,
    [NO_SIGNATURE] = TERN_FAULT_NOISE_NO_IDENTITY,
    [MALFORMED] = TERN_FAULT_NOISE_BAD_PAYLOAD,
    [TRUNCATED_EXTENSION] = TERN_FAULT_NOISE_BAD_PAYLOAD,
    [KEY_IS_JUNK] = TERN_FAULT_NOISE_BAD_IDENTITY_KEY,
    [KEY_OF_UNKNOWN_TYPE] = TERN_FAULT_NOISE_BAD_IDENTITY_KEY,
    [SIGNATURE_FLIPPED] = TERN_FAULT_NOISE_BAD_SIGNATURE,
    [SIGNATURE_SHORT] = TERN_FAULT_NOISE_BAD_SIGNATURE,
    [SIGNED_BY_ANOTHER] = TERN_FAULT_NOISE_BAD_SIGNATURE,
    [SIGNATURE_OF_ANOTHER_SESSION] = TERN_FAULT_NOISE_BAD_SIGNATURE,
    [TOO_MANY_MUXERS] = TERN_FAULT_NOISE_TOO_MANY_ENTRIES,
};

static void forge_fields(const struct world *w, const struct forger *f, enum forgery how,
                         struct tern_writer *out)
{
    uint8_t key_bytes[128];
    struct tern_writer key = tern_writer_of(key_bytes, sizeof key_bytes);
    tern_public_key_encode(&w->keys[0].public_key, &key);
    uint8_t to_sign[TERN_NOISE_SIGNED_SIZE];
    tern_noise_signed_bytes(f->public_key, to_sign);
    uint8_t signature_bytes[128];
    struct tern_writer signature = tern_writer_of(signature_bytes, sizeof signature_bytes);
    const struct tern_private_key *signer = &w->keys[how == SIGNED_BY_ANOTHER];
    assert_int_equal(
        tern_private_key_sign(signer, tern_view_of(to_sign, sizeof to_sign), &signature), TERN_OK);
    if (how == KEY_IS_JUNK)
        key.data[1] ^= 0x40;
    if (how == KEY_OF_UNKNOWN_TYPE)
        key.data[1] = 9;
    if (how == SIGNATURE_FLIPPED)
        signature.data[17] ^= 0x10;
    if (how == SIGNATURE_SHORT)
        signature.size--;
    if (how != NO_KEY)
        tern_pb_write_bytes(out, 1, tern_writer_view(&key));
    if (how != NO_SIGNATURE)
        tern_pb_write_bytes(out, 2, tern_writer_view(&signature));
}

static void forge(const struct world *w, const struct forger *f, enum forgery how,
                  struct tern_writer *out)
{
    if (how == NO_FIELDS)
        return;
    if (how == SIGNATURE_OF_ANOTHER_SESSION) {
        tern_writer_bytes(out,
                          tern_view_of(w->identities[0].payload, w->identities[0].payload_size));
        return;
    }
    forge_fields(w, f, how, out);
    if (how == MALFORMED)
        out->size--;
    if (how == TRUNCATED_EXTENSION)
        tern_writer_bytes(out, tern_view_of("\x22\x02\x12\x09", 4));
    if (how == TOO_MANY_MUXERS)
        for (int i = 0; i < 2; i++) { /* the limit holds across fields too */
            tern_pb_write_header(out, 4, 33 * 3);
            for (int m = 0; m < 33; m++)
                tern_pb_write_bytes(out, 2, tern_view_of("m", 1));
        }
}

static void forged_payloads_are_refused(void **state)
{
    (void)state;
    for (int how = 0; how < FORGERY_COUNT; how++) {
        for (int victim = 0; victim < 2; victim++) {
            struct world *w = world_new(TERN_KEY_ED25519, 21);
            assert_true(world_open(w));
            struct pump_end *end = &w->pump.ends[victim];
            struct forger f;
            forger_init(&f, w, victim == INIT ? TERN_ROLE_RESPONDER : TERN_ROLE_INITIATOR);
            uint8_t bytes[1024];
            struct tern_writer payload = tern_writer_of(bytes, sizeof bytes);
            forge(w, &f, (enum forgery)how, &payload);
            assert_true(tern_writer_ok(&payload));
            if (victim == RESP)
                forger_say(&f, tern_view_of(NULL, 0), end);
            forger_hear(&f, end);
            forger_say(&f, tern_writer_view(&payload), end);
            if (how == HONEST)
                assert_true(end->done);
            else
                expect_fault(w, victim, forgery_faults[how]);
            world_free(w);
        }
    }
}

/* Message 1 cannot vouch for its payload, so it is not even looked at. */
static void payload_of_message_1_is_ignored(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 21);
    assert_true(world_open(w));
    struct pump_end *end = &w->pump.ends[RESP];
    struct forger f;
    forger_init(&f, w, TERN_ROLE_INITIATOR);
    uint8_t bytes[1024];
    struct tern_writer payload = tern_writer_of(bytes, sizeof bytes);
    forge(w, &f, HONEST, &payload);
    forger_say(&f, tern_view_str("\xff\xff not a payload"), end);
    forger_hear(&f, end);
    forger_say(&f, tern_writer_view(&payload), end);
    assert_true(end->done);
    world_free(w);
}

/* The points of small order on the curve and its twist, in all their encodings (RFC 7748, section
 * 6). */
static const char *const low_order_points[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static void low_order_point(size_t i, uint8_t out[32])
{
    for (size_t b = 0; b < 32; b++) {
        const char pair[3] = {low_order_points[i][2 * b], low_order_points[i][2 * b + 1], 0};
        out[b] = (uint8_t)strtoul(pair, NULL, 16);
    }
}

static void low_order_ephemeral_keys_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(low_order_points); i++) {
        for (int victim = 0; victim < 2; victim++) {
            struct world *w = world_new(TERN_KEY_ED25519, 31);
            assert_true(world_open(w));
            flight_of(&w->pump.ends[victim]);
            uint8_t size = victim == RESP ? 32 : 200;
            uint8_t message[2 + 200] = {0, size};
            low_order_point(i, message + 2);
            give(&w->pump.ends[victim], message, 2 + (size_t)size);
            expect_fault(w, victim, TERN_FAULT_NOISE_BAD_POINT);
            assert_int_equal(w->pump.ends[victim].err, TERN_ERR_BAD_KEY);
            world_free(w);
        }
    }
}

static void low_order_static_keys_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(low_order_points); i++) {
        struct world *w = world_new(TERN_KEY_ED25519, 31);
        assert_true(world_open(w));
        struct pump_end *end = &w->pump.ends[INIT];
        struct forger f;
        forger_init(&f, w, TERN_ROLE_RESPONDER);
        low_order_point(i, f.xx.static_public);
        forger_hear(&f, end);
        forger_say(&f, tern_view_str("anything"), end);
        expect_fault(w, INIT, TERN_FAULT_NOISE_BAD_POINT);
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_flipped_bit_ends_the_handshake),
        cmocka_unit_test(truncated_messages_wait_and_hold_little),
        cmocka_unit_test(replayed_and_reflected_messages_are_refused),
        cmocka_unit_test(recorded_message_3_does_not_open_another_session),
        cmocka_unit_test(sizes_are_judged_before_memory_is_taken),
        cmocka_unit_test(two_initiators_find_out),
        cmocka_unit_test(answer_before_the_question_is_refused),
        cmocka_unit_test(random_bytes_at_every_stage),
        cmocka_unit_test(any_flipped_bit_ends_the_channel),
        cmocka_unit_test(frames_out_of_order_are_refused),
        cmocka_unit_test(forged_payloads_are_refused),
        cmocka_unit_test(payload_of_message_1_is_ignored),
        cmocka_unit_test(low_order_ephemeral_keys_are_refused),
        cmocka_unit_test(low_order_static_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
