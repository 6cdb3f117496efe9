#include "secure/pnet.h"

#include <stdlib.h>

#include "crypto/test_hex.h"
#include "secure_pump.h"
#include "sim_fail.h"
#include "tern_test.h"

/* ---- the key ---- */

#define HEX_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define B64_KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define HEADER  "/key/swarm/psk/1.0.0/\n"
#define BIN_KEY                                                                                    \
    "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"                             \
    "\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"

#define TEXT(s) {(const uint8_t *)(s), sizeof(s) - 1}

static void key_files(void **state)
{
    (void)state;
    static const struct {
        struct tern_view text;
        tern_err err;
    } cases[] = {
        {TEXT(HEADER "/base16/\n" HEX_KEY), TERN_OK},
        {TEXT(HEADER "/base16/\n" HEX_KEY "\n"), TERN_OK},
        {TEXT("/key/swarm/psk/1.0.0/\r\n/base16/\r\n" HEX_KEY "\r\n"), TERN_OK},
        {TEXT(HEADER "/base16/\n" HEX_KEY " \n\n\t"), TERN_OK},
        {TEXT(HEADER "/base16/\n000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"),
         TERN_OK},
        {TEXT(HEADER "/base64/\n" B64_KEY), TERN_OK},
        {TEXT(HEADER "/base64/\n" B64_KEY "\n"), TERN_OK},
        {TEXT(HEADER "/bin/\n" BIN_KEY), TERN_OK},
        {TEXT(HEADER "/bin/\n" BIN_KEY "\n"), TERN_OK},
        {TEXT(HEADER "/bin/\n" BIN_KEY "\r\n"), TERN_OK},
        {TEXT(""), TERN_ERR_MALFORMED},
        {TEXT("/key/swarm/psk/1.0.0/"), TERN_ERR_MALFORMED},
        {TEXT("/key/swarm/psk/1.0.0"), TERN_ERR_MALFORMED},
        {TEXT(HEADER), TERN_ERR_MALFORMED},
        {TEXT(HEADER "/base16/"), TERN_ERR_MALFORMED},
        {TEXT(HEADER "/base16/\n"), TERN_ERR_MALFORMED},
        {TEXT("/key/swarm/psk/2.0.0/\n/base16/\n" HEX_KEY), TERN_ERR_UNSUPPORTED},
        {TEXT("/key/swarm/pki/1.0.0/\n/base16/\n" HEX_KEY), TERN_ERR_UNSUPPORTED},
        {TEXT(" /key/swarm/psk/1.0.0/\n/base16/\n" HEX_KEY), TERN_ERR_MALFORMED},
        {TEXT("\n/base16/\n" HEX_KEY), TERN_ERR_MALFORMED},
        {TEXT(HEADER "/base32/\n" HEX_KEY), TERN_ERR_MALFORMED},
        {TEXT(HEADER "base16\n" HEX_KEY), TERN_ERR_MALFORMED},
        {TEXT(HEADER "/base16/\n" HEX_KEY "00"), TERN_ERR_MALFORMED},
        {TEXT(HEADER "/base16/\n" HEX_KEY "0"), TERN_ERR_MALFORMED},
        {TEXT(HEADER "/base16/\n00" HEX_KEY "zz"), TERN_ERR_MALFORMED},
        {TEXT(HEADER "/base16/\n0001\n" HEX_KEY), TERN_ERR_MALFORMED},
        {TEXT(HEADER "/base16/\n0x" HEX_KEY), TERN_ERR_MALFORMED},
        {TEXT(HEADER "/base16/\n0001"), TERN_ERR_MALFORMED},
        {TEXT(HEADER "/base64/\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"), TERN_ERR_MALFORMED},
        {TEXT(HEADER "/base64/\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg=="), TERN_ERR_MALFORMED},
        {TEXT(HEADER "/bin/\n" BIN_KEY " "), TERN_ERR_MALFORMED},
        {TEXT(HEADER "/bin/\n\x01"), TERN_ERR_MALFORMED},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_pnet_key key;
        tern_err err = tern_pnet_key_parse(cases[i].text, &key);
        if (err != cases[i].err)
            fail_msg("case %zu: %s", i, tern_err_name(err));
        const uint8_t *expected = (const uint8_t *)BIN_KEY;
        static const uint8_t none[TERN_PNET_KEY_SIZE];
        assert_memory_equal(key.bytes, err == TERN_OK ? expected : none, sizeof key.bytes);
    }
    static uint8_t large[TERN_PNET_FILE_SIZE_MAX + 1];
    struct tern_pnet_key key;
    assert_int_equal(tern_pnet_key_parse(tern_view_of(large, sizeof large), &key),
                     TERN_ERR_TOO_LARGE);
}

/* ---- two ends ---- */

struct world {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_pnet_key keys[2];
    struct pump pump;
};

static const struct tern_view greeting = TEXT("\x13/multistream/1.0.0\n");

static struct world *world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    tern_mem_init(&w->mem, 0);
    tern_random_init_u64(&w->random, seed);
    tern_random_init_u64(&w->pump.random, seed);
    for (int i = 0; i < 2; i++) {
        memcpy(w->keys[i].bytes, BIN_KEY, sizeof w->keys[i].bytes);
        w->pump.ends[i].mem = &w->mem;
    }
    return w;
}

static struct pump_end *world_open(struct world *w, int i, struct tern_view expects)
{
    const struct tern_pnet_options options = {
        .mem = &w->mem, .random = &w->random, .key = &w->keys[i], .greeting = expects};
    assert_ok(tern_pnet_new(&options, &w->pump.ends[i].secure));
    return &w->pump.ends[i];
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
    assert_int_equal(w->mem.used, 0);
    tern_mem_fini(&w->mem);
    free(w);
}

static tern_fault fault_of(const struct pump_end *end)
{
    return end->secure.ops->fault(end->secure.self);
}

static void data_goes_through_in_any_segmentation(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world *w = world_new(seed);
        for (int i = 0; i < 2; i++) {
            world_open(w, i, tern_view_of(NULL, 0))->message_size = seed * 9000 + (size_t)i;
            pump_drain(&w->pump.ends[i]);
            assert_true(w->pump.ends[i].done); /* from the start */
        }
        pump_run(&w->pump);
        for (int i = 0; i < 2; i++)
            assert_int_equal(w->pump.ends[i].got_size, w->pump.ends[1 - i].message_size);
        world_free(w);
    }
}

static void say(struct pump_end *end, const char *text, struct tern_writer *out)
{
    end->secure.ops->control(end->secure.self, 0, out);
    struct tern_span room = end->secure.ops->seal_begin(end->secure.self, out);
    assert_true(room.size >= strlen(text));
    memcpy(room.data, text, strlen(text));
    end->secure.ops->seal_end(end->secure.self, out, strlen(text));
}

#define WORDS "\x13/multistream/1.0.0\n\x07/noise\n"

/* What an implementation of the specification that is none of ours says: the key counts from 0, the
 * nonces from 0x40 and 0x80. */
static const char *const spoken[] = {
    "404142434445464748494a4b4c4d4e4f5051525354555657"
    "ea506157f3ad3a9c74f28d52d0b3c82315834f4e8ef2b859180c7f61",
    "808182838485868788898a8b8c8d8e8f9091929394959697"
    "fd27bd2e4f8d2ac1f10e1bac7d5aaad1a4fcce1ebb626012571d53df",
};

static void foreign_words_are_understood(void **state)
{
    (void)state;
    uint8_t expected[200];
    for (size_t c = 0; c < TERN_COUNT_OF(spoken); c++) {
        for (size_t segment = 1; segment <= 60; segment++) {
            struct tern_view wire = test_hex(spoken[c], (struct tern_span){expected, 200});
            struct world *w = world_new(1);
            struct pump_end *end = world_open(w, 0, greeting);
            char got[64] = "";
            size_t got_size = 0;
            while (wire.size > 0) {
                uint8_t part[200];
                size_t size = tern_min_size(segment, wire.size);
                size_t used = 0;
                struct tern_channel_event event;
                memcpy(part, wire.data, size);
                struct tern_slice in = {.view = tern_view_of(part, size)};
                assert_ok(end->secure.ops->recv(end->secure.self, 0, in, &used));
                while (end->secure.ops->next(end->secure.self, &event)) {
                    if (event.kind != TERN_CHANNEL_DATA)
                        continue;
                    memcpy(got + got_size, event.data.view.data, event.data.view.size);
                    got_size += event.data.view.size;
                }
                wire = tern_view_part(wire, used, wire.size - used);
            }
            assert_int_equal(got_size, sizeof WORDS - 1);
            assert_memory_equal(got, WORDS, sizeof WORDS - 1);
            world_free(w);
        }
    }
}

/* … and it would understand ours: the same nonce gives the same bytes. */
static void our_words_are_those_of_the_specification(void **state)
{
    (void)state;
    uint8_t bytes[100];
    uint8_t back[100];
    struct world *w = world_new(1);
    struct pump_end *end = world_open(w, 0, greeting);
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    pump_drain(end);
    say(end, WORDS, &out);
    assert_int_equal(out.size, TERN_PNET_NONCE_SIZE + sizeof WORDS - 1);
    /* What is sealed twice under one nonce is itself again: the other end is given both. */
    memcpy(back, bytes, out.size);
    struct pump_end *other = world_open(w, 1, greeting);
    struct tern_slice in = {.view = tern_view_of(back, out.size)};
    size_t used;
    assert_ok(other->secure.ops->recv(other->secure.self, 0, in, &used));
    assert_int_equal(used, out.size);
    assert_memory_equal(back + TERN_PNET_NONCE_SIZE, WORDS, sizeof WORDS - 1);
    assert_memory_not_equal(bytes + TERN_PNET_NONCE_SIZE, WORDS, 4);
    world_free(w);
}

static void nonces_are_never_the_same(void **state)
{
    (void)state;
    uint8_t nonces[50][TERN_PNET_NONCE_SIZE];
    struct world *w = world_new(1);
    for (size_t i = 0; i < TERN_COUNT_OF(nonces); i++) {
        struct pump_end *end = world_open(w, 0, greeting);
        struct tern_writer out = tern_writer_of(nonces[i], TERN_PNET_NONCE_SIZE);
        pump_drain(end);
        assert_int_equal(end->secure.ops->seal_begin(end->secure.self, &out).size, 0);
        end->secure.ops->control(end->secure.self, 0, &out);
        assert_false(end->secure.ops->control_pending(end->secure.self));
        assert_int_equal(out.size, TERN_PNET_NONCE_SIZE);
        for (size_t n = 0; n < i; n++)
            assert_memory_not_equal(nonces[n], nonces[i], TERN_PNET_NONCE_SIZE);
        world_close(w);
    }
    world_free(w);
}

/* ---- who is not of the network ---- */

static void expect_other_key(struct world *w, struct tern_view wire)
{
    struct pump_end *end = world_open(w, 1, greeting);
    pump_drain(end);
    for (size_t i = 0; i < wire.size && end->err == TERN_OK; i++)
        pump_feed(end, tern_view_part(wire, i, 1), i % 2 == 0);
    assert_int_equal(end->err, TERN_ERR_PROTOCOL);
    assert_int_equal(fault_of(end), TERN_FAULT_PNET_OTHER_KEY);
    uint8_t bytes[100];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    end->secure.ops->control(end->secure.self, 0, &out);
    assert_int_equal(out.size, 0);
    assert_int_equal(end->secure.ops->seal_begin(end->secure.self, &out).size, 0);
    size_t used;
    assert_int_equal(
        end->secure.ops->recv(end->secure.self, 0, (struct tern_slice){.view = wire}, &used),
        TERN_ERR_PROTOCOL);
    assert_int_equal(used, 0);
    world_close(w);
}

static void another_key_is_seen_at_once(void **state)
{
    (void)state;
    for (int bit = 0; bit < 8 * TERN_PNET_KEY_SIZE; bit++) {
        uint8_t bytes[100];
        struct world *w = world_new((uint64_t)bit + 1);
        struct pump_end *end = world_open(w, 0, greeting);
        struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
        pump_drain(end);
        say(end, WORDS, &out);
        w->keys[1].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        world_close(w);
        expect_other_key(w, tern_writer_view(&out));
        world_free(w);
    }
}

static void no_key_at_all_is_seen_too(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    expect_other_key(w, tern_view_str(WORDS WORDS));
    expect_other_key(w, tern_view_str("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"));
    world_free(w);
}

/* ---- memory ---- */

static tern_err whole_life(void *context, struct tern_mem *mem, struct tern_scope *root)
{
    struct world *w = context;
    struct tern_channel channel;
    const struct tern_pnet_options options = {
        .mem = mem, .random = &w->random, .key = &w->keys[0], .greeting = greeting};
    (void)root;
    TERN_TRY(tern_pnet_new(&options, &channel));
    channel.ops->fini(channel.self);
    return TERN_OK;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    assert_int_equal(sim_fail_each(whole_life, w), 1);
    world_open(w, 0, greeting);
    assert_true(w->mem.used < 400);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_files),
        cmocka_unit_test(data_goes_through_in_any_segmentation),
        cmocka_unit_test(foreign_words_are_understood),
        cmocka_unit_test(our_words_are_those_of_the_specification),
        cmocka_unit_test(nonces_are_never_the_same),
        cmocka_unit_test(another_key_is_seen_at_once),
        cmocka_unit_test(no_key_at_all_is_seen_too),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("pnet", tests, NULL, NULL);
}
