/* What a dishonest peer or wire may try, at every stage; each attempt ends in the fault that names
 * it. */
#include "tls_world.h"

#include <openssl/param_build.h>

#include "secure/tls_test_peer.h"

enum { FLIGHT_MAX = 16384, FLIGHTS = 3 };

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

/* Gives an end bytes, as its owner would: again what it did not take, when its job is back. */
static void give(struct pump_end *end, const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    for (int round = 0; round < 100 && at < size && end->err == TERN_OK; round++) {
        at += pump_feed(end, tern_view_of(bytes + at, size - at), true);
        if (end->job != NULL)
            pump_run_job(end);
    }
}

static void expect_fault(const struct world *w, int i, tern_fault fault)
{
    if (fault_of(w, i) != fault || w->pump.ends[i].err == TERN_OK)
        fail_msg("%s %s in place of %s", tern_err_name(w->pump.ends[i].err),
                 tern_fault_name(fault_of(w, i)), tern_fault_name(fault));
}

/* ---- the wire ---- */

/* What is done to one of the three flights. */
struct tamper {
    size_t flight;
    size_t place;
    uint8_t xor ;
    size_t size; /* cut to this; SIZE_MAX: whole */
};

/* Passes the flights on, until one end has noticed or waits. Returns that end. */
static struct pump_end *pass_flights(struct world *w, const struct tamper *t)
{
    struct pump_end *to = NULL;
    for (size_t n = 0; n < FLIGHTS; n++) {
        struct flight f = flight_of(&w->pump.ends[n % 2]);
        if (f.size == 0)
            return to; /* the victim has nothing to answer */
        to = &w->pump.ends[1 - n % 2];
        if (n == t->flight) {
            if (t->place < f.size)
                f.bytes[t->place] ^= t->xor ;
            f.size = tern_min_size(f.size, t->size);
        }
        give(to, f.bytes, f.size);
        /* A changed first flight may be for the initiator to notice, in the answer to it. */
        if (to->err != TERN_OK || (n == t->flight && n > 0))
            return to;
    }
    return to;
}

static struct flight honest_flight(size_t n)
{
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    struct flight f = {.size = 0};
    assert_true(world_open(w));
    for (size_t i = 0; i <= n; i++) {
        f = flight_of(&w->pump.ends[i % 2]);
        give(&w->pump.ends[1 - i % 2], f.bytes, f.size);
    }
    world_free(w);
    return f;
}

/* The version in the header of the first record either end sends is nobody's business (RFC 8446
 * section 5.1). Every other byte is. Sizes of flights differ by some bytes from one run to the
 * next, because ECDSA's do. */
static void any_flipped_byte_ends_the_handshake(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    for (size_t n = 0; n < FLIGHTS; n++) {
        size_t size = honest_flight(n).size;
        for (size_t place = 0; place < size; place++) {
            assert_true(world_open(w));
            struct tamper t = {n, place, (uint8_t)(1U << ((place * 5) % 8)), SIZE_MAX};
            const struct pump_end *end = pass_flights(w, &t);
            bool waits = end->err == TERN_OK && !w->pump.ends[RESP].done;
            if (w->pump.ends[RESP].done && !(n < 2 && place == 2) && place + 8 < size)
                fail_msg("flight %zu, byte %zu", n, place);
            if (!waits && !w->pump.ends[RESP].done)
                assert_int_not_equal(fault_of(w, end == &w->pump.ends[RESP]), TERN_FAULT_NONE);
            world_close(w);
        }
    }
    world_free(w);
}

static void truncated_flights_wait_and_hold_little(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    size_t before = w->mem.used;
    for (size_t n = 0; n < FLIGHTS; n++) {
        size_t size = honest_flight(n).size - 8;
        for (size_t cut = 0; cut < size; cut++) {
            assert_true(world_open(w));
            struct tamper t = {n, SIZE_MAX, 0, cut};
            const struct pump_end *end = pass_flights(w, &t);
            assert_int_equal(end->err, TERN_OK);
            assert_false(end->done);
            assert_true(w->mem.used - before < 16384);
            world_close(w);
        }
    }
    world_free(w);
}

static void a_recorded_flight_does_not_open_another_session(void **state)
{
    (void)state;
    struct flight recorded[FLIGHTS];
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    for (int session = 0; session < 2; session++) {
        assert_true(world_open(w));
        for (size_t n = 0; n < FLIGHTS; n++) {
            struct flight f = flight_of(&w->pump.ends[n % 2]);
            if (session == 0)
                recorded[n] = f;
            if (session == 1 && n == 2)
                f = recorded[n];
            give(&w->pump.ends[1 - n % 2], f.bytes, f.size);
        }
        if (session == 1) {
            expect_fault(w, RESP, TERN_FAULT_TLS_HANDSHAKE);
            assert_false(w->pump.ends[RESP].done);
        }
        world_close(w);
    }
    assert_true(world_open(w));
    flight_of(&w->pump.ends[INIT]);
    give(&w->pump.ends[INIT], recorded[1].bytes, recorded[1].size);
    expect_fault(w, INIT, TERN_FAULT_TLS_HANDSHAKE);
    world_free(w);
}

static void what_is_no_tls_is_told_by_its_first_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        tern_fault fault;
    } cases[] = {
        {"GET / HTTP/1.1\r\n", 16, TERN_FAULT_TLS_NOT_TLS},
        {"\x13/multistream/1.0.0\n", 20, TERN_FAULT_TLS_NOT_TLS},
        {"\x80\x2e\x01\x03\x01", 5, TERN_FAULT_TLS_NOT_TLS}, /* SSL 2.0's */
        {"\x16\x02\x00\x00\x05", 5, TERN_FAULT_TLS_NOT_TLS},
        {"\x16\x03\x01\x00\x00", 5, TERN_FAULT_TLS_NOT_TLS},
        {"\x17\x03\x03\x00\x20", 5, TERN_FAULT_TLS_NOT_TLS}, /* data first */
        {"\x14\x03\x03\x00\x01", 5, TERN_FAULT_TLS_NOT_TLS},
        {"\x16\x03\x01\x41\x01", 5, TERN_FAULT_TLS_RECORD_TOO_LARGE},
        {"\x16\x03\x01\xff\xff", 5, TERN_FAULT_TLS_RECORD_TOO_LARGE},
    };
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        for (int victim = 0; victim < 2; victim++) {
            for (size_t segment = 1; segment <= cases[i].size; segment += cases[i].size - 1) {
                assert_true(world_open(w));
                size_t used = w->mem.used;
                struct pump_end *end = &w->pump.ends[victim];
                for (size_t at = 0; at < cases[i].size && end->err == TERN_OK; at += segment)
                    give(end, (const uint8_t *)cases[i].bytes + at,
                         tern_min_size(segment, cases[i].size - at));
                expect_fault(w, victim, cases[i].fault);
                assert_int_equal(w->mem.used, used);
                assert_int_equal(flight_of(end).size, 0); /* there is nobody to answer */
                world_close(w);
            }
        }
    }
    world_free(w);
}

static void two_initiators_find_out(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    w->options[RESP].role = TERN_ROLE_INITIATOR;
    assert_true(world_open(w));
    pump_run(&w->pump);
    for (int i = 0; i < 2; i++)
        if (w->pump.ends[i].err != TERN_OK)
            expect_fault(w, i, TERN_FAULT_TLS_BOTH_INITIATE);
    assert_true(w->pump.ends[INIT].err != TERN_OK || w->pump.ends[RESP].err != TERN_OK);
    assert_int_equal(tern_fault_weight(TERN_FAULT_TLS_BOTH_INITIATE), 0);
    world_free(w);
}

static void random_bytes_at_every_stage(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    for (uint64_t seed = 0; seed < 400; seed++) {
        size_t before = w->mem.used;
        assert_true(world_open(w));
        size_t stage = seed % 4; /* flights passed before the junk begins */
        for (size_t n = 0; n < stage; n++) {
            struct flight f = flight_of(&w->pump.ends[n % 2]);
            give(&w->pump.ends[1 - n % 2], f.bytes, f.size);
        }
        int victim = stage == 1 || (stage == 3 && seed % 8 > 3) ? INIT : RESP;
        struct pump_end *end = &w->pump.ends[victim];
        flight_of(end); /* what it has to say goes nowhere */
        bool was_done = end->done;
        struct flight junk = {.size = 1 + tern_random_below(&w->random, FLIGHT_MAX)};
        tern_random_bytes(&w->random, junk.bytes, junk.size);
        if (tern_random_chance(&w->random, 3, 4)) { /* a believable header */
            static const uint8_t types[] = {20, 21, 22, 23};
            junk.bytes[0] = types[tern_random_below(&w->random, 4)];
            junk.bytes[1] = junk.bytes[2] = 3;
            junk.bytes[3] &= 0x1f;
        }
        give(end, junk.bytes, junk.size);
        assert_int_equal(end->done, was_done);
        assert_int_equal(end->got_size, 0);
        if (end->err != TERN_OK)
            assert_int_not_equal(fault_of(w, victim), TERN_FAULT_NONE);
        assert_true(w->mem.used - before < 65536);
        world_close(w);
    }
    world_free(w);
}

/* Records of data where the handshake is not over: early data that was not offered (RFC 8446
 * section 4.2.10), and what is no data at all. */
static void data_before_its_time_is_refused(void **state)
{
    (void)state;
    static const uint8_t data[] = {23, 3, 3, 0, 32, 1, 2, 3, [36] = 4};
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    assert_true(world_open(w));
    struct flight f = flight_of(&w->pump.ends[INIT]);
    memcpy(f.bytes + f.size, data, sizeof data);
    give(&w->pump.ends[RESP], f.bytes, f.size + sizeof data);
    expect_fault(w, RESP, TERN_FAULT_TLS_HANDSHAKE);
    world_free(w);
}

/* Where records are encrypted, one that says to hold a handshake's message in the clear is refused
 * (RFC 8446 section 5.2), and an alert in the clear is a peer's that found no keys. */
static void a_handshake_does_not_go_back_into_the_clear(void **state)
{
    (void)state;
    static const uint8_t alert[] = {21, 3, 3, 0, 2, 2, 40};
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    struct pump_end *init = &w->pump.ends[INIT];
    struct pump_end *resp = &w->pump.ends[RESP];
    for (int how = 0; how < 3; how++) {
        assert_true(world_open(w));
        struct flight f = flight_of(init);
        give(resp, f.bytes, f.size);
        f = flight_of(resp);
        size_t second = TERN_TLS_HEADER_SIZE + (((size_t)f.bytes[3] << 8) | f.bytes[4]);
        assert_int_equal(f.bytes[second], TERN_TLS_APPLICATION_DATA);
        if (how == 0)
            f.bytes[second] = TERN_TLS_HANDSHAKE;
        give(init, f.bytes, f.size);
        f = flight_of(init);
        if (how == 0) {
            expect_fault(w, INIT, TERN_FAULT_TLS_RECORD_TYPE);
        } else if (how == 1) {
            assert_int_equal(f.bytes[0], TERN_TLS_APPLICATION_DATA);
            f.bytes[0] = TERN_TLS_HANDSHAKE;
            give(resp, f.bytes, f.size);
            expect_fault(w, RESP, TERN_FAULT_TLS_RECORD_TYPE);
        } else {
            give(resp, alert, sizeof alert);
            expect_fault(w, RESP, TERN_FAULT_TLS_REFUSED);
        }
        world_close(w);
    }
    world_free(w);
}

static void compression_is_refused(void **state)
{
    (void)state;
    enum { SUITES = 9 + 2 + 32 + 1 }; /* ClientHello: headers, version, random, no session */
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    assert_true(world_open(w));
    struct flight f = flight_of(&w->pump.ends[INIT]);
    size_t methods = SUITES + 2 + f.bytes[SUITES + 1];
    assert_int_equal(f.bytes[SUITES - 1], 0);
    assert_int_equal(f.bytes[methods], 1);
    assert_int_equal(f.bytes[methods + 1], 0);
    f.bytes[methods + 1] = 1; /* DEFLATE */
    give(&w->pump.ends[RESP], f.bytes, f.size);
    expect_fault(w, RESP, TERN_FAULT_TLS_HANDSHAKE);
    world_free(w);
}

/* ---- records ---- */

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
    world_shake(w);
    struct tern_tls saved[2] = {*tls_of(w, INIT), *tls_of(w, RESP)};
    for (size_t bit = 0; bit < (40 + TERN_TLS_OVERHEAD) * 8; bit++) {
        for (int i = 0; i < 2; i++) {
            tern_chunk_unref(tls_of(w, i)->record);
            *tls_of(w, i) = saved[i];
            w->pump.ends[i].err = TERN_OK;
            w->pump.ends[i].sent_size = 0;
        }
        uint8_t record[1024];
        size_t size = seal_one(&w->pump.ends[INIT], record, 40);
        record[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        struct pump_end *resp = &w->pump.ends[RESP];
        give(resp, record, size);
        assert_int_equal(resp->got_size, 0);
        size_t length = ((size_t)record[3] << 8) | record[4];
        tern_fault fault = TERN_FAULT_TLS_RECORD_MAC;
        if (bit < 8)
            fault = TERN_FAULT_TLS_RECORD_TYPE;
        else if (length > TERN_TLS_CIPHERTEXT_MAX)
            fault = TERN_FAULT_TLS_RECORD_TOO_LARGE;
        else if (length > size - TERN_TLS_HEADER_SIZE)
            fault = TERN_FAULT_NONE; /* waits for the rest */
        else if (length < TERN_TLS_CIPHERTEXT_MIN)
            fault = TERN_FAULT_TLS_RECORD_SHORT;
        assert_int_equal(fault_of(w, RESP), fault);
        assert_int_equal(resp->err == TERN_OK, fault == TERN_FAULT_NONE);
    }
    world_free(w);
}

static void records_out_of_order_are_refused(void **state)
{
    (void)state;
    enum { REPLAY, SWAP, REFLECT, HOW_COUNT };
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    for (int how = 0; how < HOW_COUNT; how++) {
        world_shake(w);
        struct pump_end *init = &w->pump.ends[INIT];
        uint8_t records[2][1024];
        size_t sizes[2];
        for (int i = 0; i < 2; i++)
            sizes[i] = seal_one(init, records[i], 40);
        int victim = how == REFLECT ? INIT : RESP;
        struct pump_end *end = &w->pump.ends[victim];
        if (how == REPLAY)
            give(end, records[0], sizes[0]);
        bool first = how != SWAP;
        give(end, first ? records[0] : records[1], first ? sizes[0] : sizes[1]);
        assert_int_equal(end->err, TERN_ERR_BAD_MAC);
        assert_int_equal(fault_of(w, victim), TERN_FAULT_TLS_RECORD_MAC);
        assert_int_equal(end->got_size, how == REPLAY ? 40 : 0);
        uint8_t out[1024];
        struct tern_writer writer = tern_writer_of(out, sizeof out);
        assert_int_equal(end->secure.ops->seal_begin(end->secure.self, &writer).size, 0);
        world_close(w);
    }
    world_free(w);
}

/* ---- what a peer that holds the keys may say after the handshake ---- */

struct saying {
    const char *what;
    int victim;
    struct {
        enum tern_tls_type type;
        struct tern_view content;
    } records[3]; /* until content and type are 0 */
    tern_fault fault;
    enum tern_tls_alert_code alert; /* that the victim answers */
};

#define SAY(type, text) {type, TEXT(text)}
#define NO_ALERT        ((enum tern_tls_alert_code)1)

static const struct saying sayings[] = {
    {"an alert of one byte",
     RESP,
     {SAY(TERN_TLS_ALERT, "\x01")},
     TERN_FAULT_TLS_BAD_MESSAGE,
     TERN_TLS_DECODE_ERROR},
    {"an empty alert",
     RESP,
     {SAY(TERN_TLS_ALERT, "")},
     TERN_FAULT_TLS_BAD_MESSAGE,
     TERN_TLS_DECODE_ERROR},
    {"two alerts in a record",
     RESP,
     {SAY(TERN_TLS_ALERT, "\x01\x5a\x01\x00")},
     TERN_FAULT_TLS_BAD_MESSAGE,
     TERN_TLS_DECODE_ERROR},
    {"a fatal alert", RESP, {SAY(TERN_TLS_ALERT, "\x02\x14")}, TERN_FAULT_TLS_ALERT, NO_ALERT},
    {"a fatal alert with the level of a warning",
     RESP,
     {SAY(TERN_TLS_ALERT, "\x01\x14")},
     TERN_FAULT_TLS_ALERT,
     NO_ALERT},
    {"a refusal", INIT, {SAY(TERN_TLS_ALERT, "\x02\x2a")}, TERN_FAULT_TLS_REFUSED, NO_ALERT},
    {"a fatal alert behind data",
     INIT,
     {SAY(TERN_TLS_APPLICATION_DATA, "\x00"), SAY(TERN_TLS_ALERT, "\x02\x2a")},
     TERN_FAULT_TLS_ALERT,
     NO_ALERT},
    {"a handshake's message in part, then data",
     INIT,
     {SAY(TERN_TLS_HANDSHAKE, "\x04\x00\x00\x09xx"), SAY(TERN_TLS_APPLICATION_DATA, "d")},
     TERN_FAULT_TLS_INTERLEAVED,
     TERN_TLS_UNEXPECTED_MESSAGE},
    {"a handshake's message in part, then an alert",
     INIT,
     {SAY(TERN_TLS_HANDSHAKE, "\x04"), SAY(TERN_TLS_ALERT, "\x01\x00")},
     TERN_FAULT_TLS_INTERLEAVED,
     TERN_TLS_UNEXPECTED_MESSAGE},
    {"an empty handshake's record",
     INIT,
     {SAY(TERN_TLS_HANDSHAKE, "")},
     TERN_FAULT_TLS_BAD_MESSAGE,
     TERN_TLS_UNEXPECTED_MESSAGE},
    {"renegotiation by the client",
     RESP,
     {SAY(TERN_TLS_HANDSHAKE, "\x01\x00\x00\x02\x03\x03")},
     TERN_FAULT_TLS_RECORD_TYPE,
     TERN_TLS_UNEXPECTED_MESSAGE},
    {"renegotiation by the server",
     INIT,
     {SAY(TERN_TLS_HANDSHAKE, "\x00\x00\x00\x00")},
     TERN_FAULT_TLS_RECORD_TYPE,
     TERN_TLS_UNEXPECTED_MESSAGE},
    {"a ticket for the server",
     RESP,
     {SAY(TERN_TLS_HANDSHAKE, "\x04\x00\x00\x01x")},
     TERN_FAULT_TLS_RECORD_TYPE,
     TERN_TLS_UNEXPECTED_MESSAGE},
    {"a second request for our certificate",
     INIT,
     {SAY(TERN_TLS_HANDSHAKE, "\x0d\x00\x00\x01x")},
     TERN_FAULT_TLS_RECORD_TYPE,
     TERN_TLS_UNEXPECTED_MESSAGE},
    {"an update of keys of no known kind",
     RESP,
     {SAY(TERN_TLS_HANDSHAKE, "\x18\x00\x00\x01\x02")},
     TERN_FAULT_TLS_BAD_MESSAGE,
     TERN_TLS_ILLEGAL_PARAMETER},
    {"an update of keys and more in a record",
     RESP,
     {SAY(TERN_TLS_HANDSHAKE, "\x18\x00\x00\x01\x00\x18")},
     TERN_FAULT_TLS_INTERLEAVED,
     TERN_TLS_UNEXPECTED_MESSAGE},
    {"a change of ciphers",
     RESP,
     {SAY(TERN_TLS_CHANGE_CIPHER_SPEC, "\x01")},
     TERN_FAULT_TLS_RECORD_TYPE,
     TERN_TLS_UNEXPECTED_MESSAGE},
    {"a record of an unknown type",
     RESP,
     {{(enum tern_tls_type)99, TEXT("x")}},
     TERN_FAULT_TLS_RECORD_TYPE,
     TERN_TLS_UNEXPECTED_MESSAGE},
};

/* Seals anything as the end would. */
static size_t seal_any(struct world *w, int i, enum tern_tls_type type, struct tern_view content,
                       uint8_t *record)
{
    const struct tern_tls_sealing sealing = {&w->aead, tls_of(w, i)->suite, &tls_of(w, i)->send};
    memcpy(record + TERN_TLS_HEADER_SIZE, content.data, content.size);
    assert_int_equal(tern_tls_seal(&sealing, record, type, content.size), TERN_OK);
    return content.size + TERN_TLS_OVERHEAD;
}

/* The alert with which an end answered; NO_ALERT: none. */
static enum tern_tls_alert_code alert_of(struct world *w, int i)
{
    struct flight f = flight_of(&w->pump.ends[i]);
    struct tern_tls_content content;
    struct tern_tls_refusal refusal;
    const struct tern_tls_sealing sealing = {&w->aead, tls_of(w, 1 - i)->suite,
                                             &tls_of(w, 1 - i)->receive};
    if (f.size == 0)
        return NO_ALERT;
    assert_int_equal(f.size, 2 + TERN_TLS_OVERHEAD);
    struct tern_span body = {f.bytes + TERN_TLS_HEADER_SIZE, f.size - TERN_TLS_HEADER_SIZE};
    assert_int_equal(tern_tls_open(&sealing, f.bytes, body, &content, &refusal), TERN_OK);
    assert_int_equal(content.type, TERN_TLS_ALERT);
    assert_int_equal(content.bytes.data[0], 2);
    return (enum tern_tls_alert_code)content.bytes.data[1];
}

static void what_may_not_be_said_is_answered_by_an_alert(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    for (size_t s = 0; s < TERN_COUNT_OF(sayings); s++) {
        const struct saying *saying = &sayings[s];
        world_shake(w);
        uint8_t bytes[1024];
        size_t size = 0;
        for (size_t r = 0; r < 3 && saying->records[r].type != 0; r++)
            size += seal_any(w, 1 - saying->victim, saying->records[r].type,
                             saying->records[r].content, bytes + size);
        give(&w->pump.ends[saying->victim], bytes, size);
        if (fault_of(w, saying->victim) != saying->fault)
            fail_msg("%s: %s", saying->what, tern_fault_name(fault_of(w, saying->victim)));
        assert_int_not_equal(w->pump.ends[saying->victim].err, TERN_OK);
        assert_int_equal(alert_of(w, saying->victim), saying->alert);
        world_close(w);
    }
    world_free(w);
}

static void records_in_the_clear_are_refused(void **state)
{
    (void)state;
    static const struct tern_view records[] = {
        TEXT("\x15\x03\x03\x00\x02\x02\x28"),         /* an alert */
        TEXT("\x14\x03\x03\x00\x01\x01"),             /* a change of ciphers */
        TEXT("\x16\x03\x03\x00\x04\x00\x00\x00\x00"), /* a handshake's message */
    };
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    for (size_t r = 0; r < TERN_COUNT_OF(records); r++) {
        for (int victim = 0; victim < 2; victim++) {
            world_shake(w);
            give(&w->pump.ends[victim], records[r].data, records[r].size);
            expect_fault(w, victim, TERN_FAULT_TLS_RECORD_TYPE);
            world_close(w);
        }
    }
    world_free(w);
}

/* Records that cost us work and bring nothing: empty ones, tickets, updates of keys, warnings. */
static void idle_talk_has_an_end(void **state)
{
    (void)state;
    static const struct {
        enum tern_tls_type type;
        struct tern_view content;
    } kinds[] = {
        {TERN_TLS_APPLICATION_DATA, TEXT("")},
        {TERN_TLS_HANDSHAKE, TEXT("\x04\x00\x00\x01x")},
        {TERN_TLS_HANDSHAKE, TEXT("\x18\x00\x00\x01\x01")},
        {TERN_TLS_ALERT, TEXT("\x01\x5a")},
    };
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    for (size_t k = 0; k < TERN_COUNT_OF(kinds); k++) {
        world_shake(w);
        struct pump_end *init = &w->pump.ends[INIT];
        struct tern_tls *tls = tls_of(w, RESP);
        uint8_t bytes[1024];
        for (int i = 0; i <= TERN_TLS_IDLE_RECORDS_MAX; i++) {
            /* data in between starts the count anew */
            if (i == TERN_TLS_IDLE_RECORDS_MAX - 1 && init->got_size == 0) {
                give(init, bytes, seal_one(&w->pump.ends[RESP], bytes, 1));
                i = 0;
            }
            assert_int_equal(init->err, TERN_OK);
            size_t size = seal_any(w, RESP, kinds[k].type, kinds[k].content, bytes);
            if (k == 2)
                tern_tls_keys_update(&tls->send, tls->suite);
            give(init, bytes, size);
        }
        expect_fault(w, INIT, TERN_FAULT_TLS_USELESS_RECORDS);
        world_close(w);
    }
    world_free(w);
}

/* ---- a peer of another kind: OpenSSL, doing as it is told ---- */

static struct tls_end other;

struct deceit {
    const char *what;
    tern_fault faults[2];                                  /* of our initiator, of our responder */
    void (*forge)(const struct world *w, struct forge *f); /* its certificate */
    void (*bend)(SSL_CTX *context);                        /* or what it does with it */
};

static void forge_no_identity(const struct world *w, struct forge *f)
{
    (void)w;
    f->no_identity = true;
}

static void forge_expired(const struct world *w, struct forge *f)
{
    (void)w;
    f->not_after = "20250101000000Z";
}

static void forge_early(const struct world *w, struct forge *f)
{
    (void)w;
    f->not_before = "20260601000000Z";
}

static void forge_critical(const struct world *w, struct forge *f)
{
    (void)w;
    f->extensions[0] = (struct forge_extension){"1.2.3.4", true, {(const uint8_t *)"x", 1}};
}

static void forge_signed_by_another(const struct world *w, struct forge *f)
{
    (void)w;
    f->signer = forge_key("EC", "P-256");
}

static void forge_stolen_proof(const struct world *w, struct forge *f)
{
    (void)w;
    f->host_signs_other = true;
}

/* The certificate of an honest peer, and the secret of another key: an EC key is not asked whether
 * its halves belong together. */
static void forge_without_its_key(const struct world *w, struct forge *f)
{
    (void)w;
    EVP_PKEY *another = forge_key("EC", "P-256");
    BIGNUM *secret = NULL;
    uint8_t point[65];
    size_t size = 0;
    assert_int_equal(EVP_PKEY_get_bn_param(another, "priv", &secret), 1);
    assert_int_equal(
        EVP_PKEY_get_octet_string_param(f->key, "encoded-pub-key", point, sizeof point, &size), 1);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    assert_int_equal(OSSL_PARAM_BLD_push_utf8_string(build, "group", "prime256v1", 0), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_octet_string(build, "pub", point, size), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, "priv", secret), 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *mixed = NULL;
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &mixed, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_clear_free(secret);
    EVP_PKEY_free(another);
    f->signer = f->key;
    f->key = mixed;
}

/* An RSA key of any size, with numbers that are no key: it is to be refused before it is used. */
static void forge_rsa_of(struct forge *f, int bits)
{
    BIGNUM *n = BN_new();
    BIGNUM *e = BN_new();
    assert_int_equal(BN_set_bit(n, bits - 1), 1);
    assert_int_equal(BN_set_bit(n, 0), 1);
    assert_int_equal(BN_set_word(e, 65537), 1);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, "n", n), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, "e", e), 1);
    assert_int_equal(OSSL_PARAM_BLD_push_BN(build, "d", e), 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    f->signer = forge_rsa(2048);
    f->key = key;
}

static void forge_huge_rsa(const struct world *w, struct forge *f)
{
    (void)w;
    forge_rsa_of(f, 8200);
}

static void forge_small_rsa(const struct world *w, struct forge *f)
{
    (void)w;
    forge_rsa_of(f, 1024);
}

static void forge_large(const struct world *w, struct forge *f)
{
    static const uint8_t filling[9000];
    (void)w;
    f->extensions[0] = (struct forge_extension){"1.2.3.4", false, {filling, sizeof filling}};
}

static void bend_two_certificates(SSL_CTX *context)
{
    X509 *own = SSL_CTX_get0_certificate(context);
    assert_int_equal(SSL_CTX_add1_chain_cert(context, own), 1);
}

static void bend_no_certificate(SSL_CTX *context)
{
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_clear_chain_certs(context);
}

static void bend_old_version(SSL_CTX *context)
{
    assert_int_equal(SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION), 1);
}

static int select_unoffered(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                            const unsigned char *in, unsigned in_size, void *context)
{
    (void)ssl;
    (void)in;
    (void)in_size;
    (void)context;
    *out = (const unsigned char *)"h2";
    *out_size = 2;
    return SSL_TLSEXT_ERR_OK;
}

static void bend_alpn(SSL_CTX *context)
{
    SSL_CTX_set_alpn_select_cb(context, select_unoffered, NULL);
    assert_int_equal(SSL_CTX_set_alpn_protos(context, (const uint8_t *)"\x02h2\x08http/1.1", 12),
                     0);
}

static void bend_ciphers(SSL_CTX *context)
{
    assert_int_equal(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_CCM_SHA256"), 1);
}

static void bend_signatures(SSL_CTX *context)
{
    assert_int_equal(SSL_CTX_set1_sigalgs_list(context, "ECDSA+SHA512"), 1);
}

/* Both of ours, one after the other: {as seen by our initiator, by our responder}. */
static const struct deceit deceits[] = {
    {"none", {TERN_FAULT_NONE, TERN_FAULT_NONE}, NULL, NULL},
    {"no identity",
     {TERN_FAULT_CERTIFICATE_NO_IDENTITY, TERN_FAULT_CERTIFICATE_NO_IDENTITY},
     forge_no_identity,
     NULL},
    {"expired",
     {TERN_FAULT_CERTIFICATE_EXPIRED, TERN_FAULT_CERTIFICATE_EXPIRED},
     forge_expired,
     NULL},
    {"not valid yet",
     {TERN_FAULT_CERTIFICATE_NOT_YET_VALID, TERN_FAULT_CERTIFICATE_NOT_YET_VALID},
     forge_early,
     NULL},
    {"critical extension",
     {TERN_FAULT_CERTIFICATE_CRITICAL_EXTENSION, TERN_FAULT_CERTIFICATE_CRITICAL_EXTENSION},
     forge_critical,
     NULL},
    {"not self-signed",
     {TERN_FAULT_CERTIFICATE_SELF_SIGNATURE, TERN_FAULT_CERTIFICATE_SELF_SIGNATURE},
     forge_signed_by_another,
     NULL},
    {"another key's proof",
     {TERN_FAULT_CERTIFICATE_HOST_SIGNATURE, TERN_FAULT_CERTIFICATE_HOST_SIGNATURE},
     forge_stolen_proof,
     NULL},
    {"another's certificate",
     {TERN_FAULT_TLS_BAD_PROOF, TERN_FAULT_TLS_BAD_PROOF},
     forge_without_its_key,
     NULL},
    {"RSA of 8,200 bits",
     {TERN_FAULT_CERTIFICATE_KEY, TERN_FAULT_CERTIFICATE_KEY},
     forge_huge_rsa,
     NULL},
    {"RSA of 1,024 bits",
     {TERN_FAULT_CERTIFICATE_KEY, TERN_FAULT_CERTIFICATE_KEY},
     forge_small_rsa,
     NULL},
    {"a large certificate",
     {TERN_FAULT_CERTIFICATE_TOO_LARGE, TERN_FAULT_CERTIFICATE_TOO_LARGE},
     forge_large,
     NULL},
    {"two certificates",
     {TERN_FAULT_TLS_CERTIFICATES, TERN_FAULT_TLS_CERTIFICATES},
     NULL,
     bend_two_certificates},
    {"TLS 1.2", {TERN_FAULT_TLS_REFUSED, TERN_FAULT_TLS_VERSION}, NULL, bend_old_version},
    {"an ALPN of its own", {TERN_FAULT_TLS_ALPN, TERN_FAULT_TLS_ALPN}, NULL, bend_alpn},
    {"no cipher in common",
     {TERN_FAULT_TLS_REFUSED, TERN_FAULT_TLS_NOTHING_IN_COMMON},
     NULL,
     bend_ciphers},
    {"no signature in common",
     {TERN_FAULT_TLS_REFUSED, TERN_FAULT_TLS_NOTHING_IN_COMMON},
     NULL,
     bend_signatures},
};

/* With which alert a fault is told. */
static int alert_of_fault(tern_fault fault)
{
    if (fault == TERN_FAULT_CERTIFICATE_EXPIRED)
        return SSL_AD_CERTIFICATE_EXPIRED;
    if (fault == TERN_FAULT_CERTIFICATE_KEY)
        return SSL_AD_UNSUPPORTED_CERTIFICATE;
    if (fault == TERN_FAULT_TLS_BAD_PROOF)
        return SSL_AD_DECRYPT_ERROR;
    if (fault == TERN_FAULT_TLS_VERSION)
        return SSL_AD_PROTOCOL_VERSION;
    if (fault == TERN_FAULT_TLS_ALPN)
        return SSL_AD_NO_APPLICATION_PROTOCOL;
    if (fault == TERN_FAULT_TLS_NOTHING_IN_COMMON)
        return SSL_AD_HANDSHAKE_FAILURE;
    if (fault == TERN_FAULT_TLS_NO_CERTIFICATE)
        return SSL_AD_CERTIFICATE_REQUIRED;
    return SSL_AD_BAD_CERTIFICATE;
}

/* The other end has heard why. */
static void expect_told(const struct deceit *d, tern_fault fault)
{
    int reason = ERR_GET_REASON(other.error) - SSL_AD_REASON_OFFSET;
    if (!other.failed || reason != alert_of_fault(fault))
        fail_msg("%s: alert %d in place of %d", d->what, reason, alert_of_fault(fault));
}

static void try_deceit(const struct deceit *d, int victim, bool certificate)
{
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    EVP_PKEY *key = forge_key("EC", "P-256");
    struct forge f = {.key = key, .md = "SHA256", .host = &w->keys[1 - victim]};
    if (d->forge != NULL)
        d->forge(w, &f);
    tls_end_init(&other, victim == INIT ? TERN_ROLE_RESPONDER : TERN_ROLE_INITIATOR, NULL);
    SSL_CTX_set_security_level(other.context, 0);
    if (certificate) {
        static uint8_t room[FORGE_SIZE_MAX];
        struct tern_view der = forge_make(&f, (struct tern_span){room, sizeof room});
        assert_int_equal(SSL_CTX_use_certificate_ASN1(other.context, (int)der.size, der.data), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(other.context, f.key), 1);
    }
    if (d->bend != NULL)
        d->bend(other.context);
    tls_end_start(&other);
    struct pump_end *end = world_open_one(w, victim);
    tls_end_exchange(&other, end, SIZE_MAX);
    if (fault_of(w, victim) != d->faults[victim])
        fail_msg("%s, %s: %s %s", d->what, victim == INIT ? "initiator" : "responder",
                 tern_err_name(end->err), tern_fault_name(fault_of(w, victim)));
    assert_int_equal(end->done, d->faults[victim] == TERN_FAULT_NONE);
    /* The other end hears of it, unless it was the one that refused. */
    if (!end->done && d->faults[victim] != TERN_FAULT_TLS_REFUSED)
        expect_told(d, d->faults[victim]);
    tls_end_fini(&other);
    if (f.signer != NULL && f.signer != key)
        EVP_PKEY_free(f.signer);
    if (f.key != key)
        EVP_PKEY_free(f.key);
    EVP_PKEY_free(key);
    world_free(w);
}

static void deceits_have_their_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(deceits); i++)
        for (int victim = 0; victim < 2; victim++)
            try_deceit(&deceits[i], victim, true);
}

static void a_client_without_a_certificate_is_refused(void **state)
{
    (void)state;
    const struct deceit d = {"no certificate",
                             {TERN_FAULT_NONE, TERN_FAULT_TLS_NO_CERTIFICATE},
                             NULL,
                             bend_no_certificate};
    try_deceit(&d, RESP, false);
}

/* GHSA-5hq8-qhww-jm7q (rust-libp2p): a certificate that runs out between the handshake and a later
 * look at it ended the process. It is looked at once. */
static void a_certificate_may_run_out_later(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 11);
    for (int i = 0; i < 2; i++)
        w->options[i].wall = UINT64_C(4733510400) * TERN_SECOND; /* our own's last second */
    w->pump.ends[INIT].message_size = 1000;
    world_shake(w);
    assert_int_equal(w->pump.ends[RESP].got_size, 1000);
    world_close(w);
    for (int i = 0; i < 2; i++)
        w->options[i].wall += TERN_CERTIFICATE_SKEW_NS + TERN_SECOND;
    assert_true(world_open(w));
    pump_run(&w->pump);
    expect_fault(w, INIT, TERN_FAULT_CERTIFICATE_EXPIRED);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_flipped_byte_ends_the_handshake),
        cmocka_unit_test(truncated_flights_wait_and_hold_little),
        cmocka_unit_test(a_recorded_flight_does_not_open_another_session),
        cmocka_unit_test(what_is_no_tls_is_told_by_its_first_bytes),
        cmocka_unit_test(two_initiators_find_out),
        cmocka_unit_test(random_bytes_at_every_stage),
        cmocka_unit_test(data_before_its_time_is_refused),
        cmocka_unit_test(a_handshake_does_not_go_back_into_the_clear),
        cmocka_unit_test(compression_is_refused),
        cmocka_unit_test(any_flipped_bit_ends_the_channel),
        cmocka_unit_test(records_out_of_order_are_refused),
        cmocka_unit_test(what_may_not_be_said_is_answered_by_an_alert),
        cmocka_unit_test(records_in_the_clear_are_refused),
        cmocka_unit_test(idle_talk_has_an_end),
        cmocka_unit_test(deceits_have_their_names),
        cmocka_unit_test(a_client_without_a_certificate_is_refused),
        cmocka_unit_test(a_certificate_may_run_out_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
