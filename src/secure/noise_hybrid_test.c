/*
 * The hybrid handshake: words of another implementation, two honest ends, and what dishonest ones
 * try. Where the library has no ML-KEM, that it is said.
 */
#include "noise_world.h"

#include "crypto/mlkem.h"
#include "crypto/sha256.h"
#include "crypto/test_hex.h"
#include "crypto/x25519.h"
#include "secure/noise_xx.h"
#include "sim_fail.h"

#define SKIP_WITHOUT_MLKEM()                                                                       \
    do {                                                                                           \
        if (!tern_mlkem_available())                                                               \
            skip();                                                                                \
    } while (0)

static struct world *hybrid_world(uint64_t seed)
{
    struct world *w = world_new(TERN_KEY_ED25519, seed);
    for (int i = 0; i < 2; i++)
        w->options[i].hybrid = true;
    return w;
}

/* ---- vectors ---- */

/* Computed by another implementation of Noise, X25519, ChaCha20-Poly1305 and ML-KEM, which gives
 * the same bytes as public vectors of this handshake under its earlier name. Key i of a vector has
 * the bytes base + i, + 7, + 14 … */
static const struct vector {
    uint8_t base;
    const char *prologue;
    const char *payloads[TERN_NOISE_XX_MESSAGES];
    size_t sizes[TERN_NOISE_XX_MESSAGES];
    const char *digests[TERN_NOISE_XX_MESSAGES]; /* SHA-256 of each message */
    const char *hash;
    const char *keys[2];
} vectors[] = {
    {0x10,
     "",
     {"", "payload of message 2", "payload of message 3"},
     {1216, 1220, 84},
     {"b4bd0abe67068b5601bed3dfe412b887e46417974ff0eb84c205485ae52f11eb",
      "b4e3a81c940ee0da0d5df1deb25dfc6e4925582bda482f483fcf4ab2bf8e7544",
      "998d91a6ba144adbe3b8268c35e3cc6e2eb8e1400cd3ac54f9f11bbbb6d2c7e6"},
     "72da457a4e8a5ef9c7161c7833363d1773bbfa65f6e34a668319df7d43311011",
     {"290e434dd26db493b4b5c6c5993c3fe056ae4fa7c5b6412b6fe31ebadf81e53a",
      "64753c9a8a4f9847492f0e79777824a2c52237538a365bf2e7f88c4fc8cddca8"}},
    {0x91,
     "a prologue",
     {"one", "", ""},
     {1219, 1200, 64},
     {"63e0e755419538baf67d29a9456e0bd161c2c7020b31bdd038d408f4d6f9a2c1",
      "8ae480fd2e6781d829f694db4818c4e734f131dedc64ac249f3ff42b26afd511",
      "e408d8e59f0dd6dde04f1103f9170f54b62eded6a4006bd3c629b5ac8e9ea7c7"},
     "30f6e25626c9f257b68af05e576a173bf1b24f053dd01d9b118cbbf28a959d07",
     {"ac0da9a844e6f6e03ff4f9ad3da3c0aaf18d5b33cd039ef99bd90887fc42536d",
      "59bd21a442000f45f02467c2706c94d15edd973fad084448c4f754db947d5ddd"}},
};

static void vector_key(uint8_t base, unsigned i, uint8_t *key, size_t size)
{
    for (size_t j = 0; j < size; j++)
        key[j] = (uint8_t)(base + i + j * 7);
}

static void vector_begin(const struct vector *v, enum tern_role role, struct tern_noise_xx *xx)
{
    uint8_t own[32];
    uint8_t public_key[32];
    uint8_t ephemeral[32];
    uint8_t kem[TERN_MLKEM_SEED_SIZE] = {0};
    bool initiator = role == TERN_ROLE_INITIATOR;
    vector_key(v->base, initiator ? 1 : 2, own, sizeof own);
    vector_key(v->base, initiator ? 3 : 4, ephemeral, sizeof ephemeral);
    vector_key(v->base, initiator ? 5 : 6, kem,
               initiator ? TERN_MLKEM_SEED_SIZE : TERN_MLKEM_ENTROPY_SIZE);
    tern_x25519_public(own, public_key);
    tern_noise_xx_init(xx, &(struct tern_noise_xx_options){.role = role,
                                                           .static_secret = own,
                                                           .static_public = public_key,
                                                           .ephemeral_secret = ephemeral,
                                                           .kem_secret = kem,
                                                           .prologue = tern_view_str(v->prologue)});
}

static void vector_run(const struct vector *v)
{
    static uint8_t messages[TERN_NOISE_XX_MESSAGES][2000];
    struct tern_noise_xx ends[2];
    struct tern_noise_keys keys;
    tern_fault fault = TERN_FAULT_NONE;
    vector_begin(v, TERN_ROLE_INITIATOR, &ends[0]);
    vector_begin(v, TERN_ROLE_RESPONDER, &ends[1]);
    for (size_t i = 0; i < TERN_NOISE_XX_MESSAGES; i++) {
        uint8_t digest[TERN_SHA256_SIZE];
        struct tern_view payload;
        struct tern_view sent = tern_view_str(v->payloads[i]);
        struct tern_writer w = tern_writer_of(messages[i], sizeof messages[i]);
        assert_int_equal(tern_noise_xx_size_min(&ends[i % 2]), v->sizes[i] - sent.size);
        assert_int_equal(tern_noise_xx_write(&ends[i % 2], sent, &w, &fault), TERN_OK);
        assert_int_equal(w.size, v->sizes[i]);
        const struct tern_view message = tern_writer_view(&w);
        tern_sha256_parts(&message, 1, digest);
        assert_memory_equal(digest, TEST_HEX(v->digests[i], 32).data, 32);
        assert_int_equal(tern_noise_xx_read(&ends[1 - i % 2],
                                            (struct tern_span){messages[i], w.size}, &payload,
                                            &fault),
                         TERN_OK);
        assert_true(tern_view_equal(payload, sent));
    }
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(ends[i].symmetric.hash, TEST_HEX(v->hash, 32).data, 32);
        tern_noise_xx_split(&ends[i], &keys);
        assert_memory_equal(keys.send, TEST_HEX(v->keys[i], 32).data, 32);
        assert_memory_equal(keys.receive, TEST_HEX(v->keys[1 - i], 32).data, 32);
    }
}

static void foreign_words_are_ours(void **state)
{
    (void)state;
    SKIP_WITHOUT_MLKEM();
    for (size_t i = 0; i < TERN_COUNT_OF(vectors); i++)
        vector_run(&vectors[i]);
}

/* ---- two honest ends ---- */

static void what_the_library_lacks_is_said(void **state)
{
    (void)state;
    struct world *w = hybrid_world(1);
    struct tern_channel channel;
    if (tern_mlkem_available()) {
        world_shake(w);
        assert_string_equal(w->pump.ends[INIT].secure.ops->protocol_id,
                            "/noise-mlkem768-hfs/0.1.0");
    } else {
        for (int i = 0; i < 2; i++)
            assert_int_equal(tern_noise_new(&w->options[i], &channel), TERN_ERR_UNSUPPORTED);
    }
    world_free(w);
}

static void each_end_learns_the_other(void **state)
{
    (void)state;
    SKIP_WITHOUT_MLKEM();
    struct world *w = hybrid_world(1);
    w->options[INIT].expected_peer = &w->ids[RESP];
    world_shake(w);
    for (int i = 0; i < 2; i++) {
        assert_true(tern_peer_id_equal(remote(w, i)->peer_id, &w->ids[1 - i]));
        assert_true(tern_view_equal(remote(w, i)->muxer, world_muxers[0]));
        assert_null(noise_of(w, i)->handshake); /* nothing of it is kept */
    }
    world_free(w);
}

static void data_goes_through_in_any_segmentation(void **state)
{
    (void)state;
    SKIP_WITHOUT_MLKEM();
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct world *w = hybrid_world(seed);
        for (int i = 0; i < 2; i++)
            w->pump.ends[i].message_size = seed * 9000 + (size_t)i;
        assert_true(world_open(w));
        pump_run(&w->pump);
        for (int i = 0; i < 2; i++)
            assert_int_equal(w->pump.ends[i].got_size, w->pump.ends[1 - i].message_size);
        world_free(w);
    }
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    static uint8_t first[4096];
    SKIP_WITHOUT_MLKEM();
    for (int run = 0; run < 2; run++) {
        struct world *w = hybrid_world(5);
        world_shake(w);
        if (run == 0)
            memcpy(first, w->pump.ends[RESP].out.bytes, sizeof first);
        assert_memory_equal(first, w->pump.ends[RESP].out.bytes, sizeof first);
        world_free(w);
    }
}

/* ---- dishonest ones ---- */

/* One byte of a message is changed: nobody is taken for somebody, and both ends do not end up with
 * keys that differ. Returns the fault of who reads it. */
static tern_fault tampered(struct world *w, int side, size_t at, uint8_t mask)
{
    w->pump.whole_segments = true;
    assert_true(world_open(w));
    size_t passed = 0;
    for (int step = 0; step < 6; step++) {
        struct pump_end *end = &w->pump.ends[step % 2];
        struct pump_end *other = &w->pump.ends[1 - step % 2];
        struct pump_wire *wire = &end->out;
        wire->head = wire->tail = 0;
        if (end->err == TERN_OK)
            pump_write(&w->pump, end);
        if (step % 2 == side && at >= passed && at < passed + wire->tail)
            wire->bytes[at - passed] ^= mask;
        passed += step % 2 == side ? wire->tail : 0;
        while (other->err == TERN_OK && (wire->head < wire->tail || other->job != NULL)) {
            if (other->job != NULL)
                pump_run_job(other);
            else
                pump_read(&w->pump, other, wire);
            if (other->job == NULL && wire->head == 0 && wire->tail > 0 && other->err == TERN_OK)
                break; /* it waits for more */
        }
    }
    bool both = w->pump.ends[INIT].done && w->pump.ends[RESP].done;
    tern_fault fault = fault_of(w, 1 - side);
    if (fault == TERN_FAULT_NONE)
        fault = fault_of(w, side);
    world_close(w);
    assert_false(both);
    return fault;
}

static void a_changed_byte_ends_the_handshake(void **state)
{
    (void)state;
    SKIP_WITHOUT_MLKEM();
    struct world *w = hybrid_world(1);
    for (size_t at = 2; at < 1218; at += 5)
        assert_int_not_equal(tampered(w, INIT, at, 0x40), TERN_FAULT_NONE);
    for (size_t at = 2; at < 1300; at += 5)
        assert_int_equal(tampered(w, RESP, at, 0x01), TERN_FAULT_NOISE_HANDSHAKE_MAC);
    world_free(w);
}

static void feed(struct pump_end *end, const uint8_t *bytes, size_t size)
{
    pump_feed(end, tern_view_of(bytes, size), true);
    if (end->job != NULL)
        pump_run_job(end);
}

static void a_key_that_is_none_is_told_by_name(void **state)
{
    (void)state;
    uint8_t message[2 + 32 + TERN_MLKEM_PUBLIC_SIZE];
    SKIP_WITHOUT_MLKEM();
    struct world *w = hybrid_world(1);
    assert_true(world_open(w));
    memset(message, 0xff, sizeof message);
    message[0] = 0x04; /* 1216 */
    message[1] = 0xc0;
    memset(message + 2, 9, 32);
    feed(&w->pump.ends[RESP], message, sizeof message);
    assert_int_equal(w->pump.ends[RESP].err, TERN_ERR_BAD_KEY);
    assert_int_equal(fault_of(w, RESP), TERN_FAULT_NOISE_BAD_KEM_KEY);
    world_free(w);
}

static void messages_of_other_sizes_are_refused(void **state)
{
    (void)state;
    static const struct {
        int side;
        size_t size;
        tern_fault fault;
    } cases[] = {
        {RESP, 32, TERN_FAULT_NOISE_MESSAGE_SHORT}, /* plain Noise's */
        {RESP, 1215, TERN_FAULT_NOISE_MESSAGE_SHORT},
        {RESP, 8193, TERN_FAULT_NOISE_MESSAGE_TOO_LARGE},
        {INIT, 1199, TERN_FAULT_NOISE_MESSAGE_SHORT},
        {INIT, 1216, TERN_FAULT_NOISE_BOTH_INITIATE},
    };
    SKIP_WITHOUT_MLKEM();
    struct world *w = hybrid_world(1);
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        const uint8_t length[] = {(uint8_t)(cases[i].size >> 8), (uint8_t)cases[i].size};
        assert_true(world_open(w));
        feed(&w->pump.ends[cases[i].side], length, sizeof length);
        assert_int_equal(fault_of(w, cases[i].side), cases[i].fault);
        world_close(w);
    }
    world_free(w);
}

/* Who speaks plain Noise where the hybrid was agreed, or the other way round. */
static void the_two_handshakes_do_not_meet(void **state)
{
    (void)state;
    SKIP_WITHOUT_MLKEM();
    for (int side = 0; side < 2; side++) {
        struct world *w = hybrid_world(1);
        w->options[side].hybrid = false;
        w->pump.whole_segments = true;
        assert_true(world_open(w));
        pump_run(&w->pump);
        assert_false(w->pump.ends[INIT].done || w->pump.ends[RESP].done);
        world_free(w);
    }
}

static tern_err whole_life(void *context, struct tern_mem *mem, struct tern_scope *root)
{
    struct world *w = context;
    struct pump pump = {.whole_segments = true};
    tern_err err = TERN_OK;
    (void)root;
    tern_random_init_u64(&pump.random, 3);
    for (int i = 0; i < 2; i++) {
        struct tern_noise_options options = w->options[i];
        options.mem = mem;
        pump.ends[i].mem = mem;
        if (err == TERN_OK)
            err = tern_noise_new(&options, &pump.ends[i].secure);
    }
    if (err == TERN_OK)
        pump_run(&pump);
    for (int i = 0; i < 2; i++) {
        if (err == TERN_OK && pump.ends[i].err == TERN_ERR_MEMORY)
            err = TERN_ERR_MEMORY;
        pump_end_fini(&pump.ends[i]);
    }
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    SKIP_WITHOUT_MLKEM();
    struct world *w = hybrid_world(1);
    assert_true(sim_fail_each(whole_life, w) >= 6);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_words_are_ours),
        cmocka_unit_test(what_the_library_lacks_is_said),
        cmocka_unit_test(each_end_learns_the_other),
        cmocka_unit_test(data_goes_through_in_any_segmentation),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(a_changed_byte_ends_the_handshake),
        cmocka_unit_test(a_key_that_is_none_is_told_by_name),
        cmocka_unit_test(messages_of_other_sizes_are_refused),
        cmocka_unit_test(the_two_handshakes_do_not_meet),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("noise_hybrid", tests, NULL, NULL);
}
