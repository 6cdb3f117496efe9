/* What two honest ends of a Noise channel do. What dishonest ones try is in noise_hostile_test.c.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto/aead.h"
#include "noise_world.h"
#include "secure/noise.h"
#include "secure/noise_internal.h"

/* ---- the handshake ---- */

static void each_end_learns_the_other(void **state)
{
    (void)state;
    const enum tern_key_type types[] = {TERN_KEY_ED25519, TERN_KEY_SECP256K1, TERN_KEY_ECDSA};
    for (size_t t = 0; t < TERN_COUNT_OF(types); t++) {
        struct world *w = world_new(types[t], 1);
        w->options[INIT].expected_peer = &w->ids[RESP];
        world_shake(w);
        for (int i = 0; i < 2; i++) {
            assert_true(tern_peer_id_equal(remote(w, i)->peer_id, &w->ids[1 - i]));
            assert_true(
                tern_public_key_equal(remote(w, i)->public_key, &w->keys[1 - i].public_key));
        }
        assert_int_equal(w->pump.ends[INIT].jobs_count, 1);
        assert_int_equal(w->pump.ends[RESP].jobs_count, 2);
        world_free(w);
    }
}

static void rsa_identities_work(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    tern_noise_identity_fini(&w->identities[RESP]);
    assert_int_equal(tern_private_key_generate_rsa(2048, &w->keys[RESP]), TERN_OK);
    assert_int_equal(
        tern_noise_identity_init(&w->identities[RESP], &w->mem, &w->random, &w->keys[RESP]),
        TERN_OK);
    tern_public_key_peer_id(&w->keys[RESP].public_key, &w->ids[RESP]);
    w->options[INIT].expected_peer = &w->ids[RESP];
    world_shake(w);
    assert_true(tern_peer_id_equal(remote(w, INIT)->peer_id, &w->ids[RESP]));
    world_free(w);
}

static void muxer_is_the_initiators_first_that_both_have(void **state)
{
    (void)state;
    static const struct tern_view lists[][3] = {
        {TEXT("/a"), TEXT("/b"), TEXT("/c")},
        {TEXT("/c"), TEXT("/b"), TEXT("/a")},
        {TEXT("/x"), TEXT("/b"), TEXT("/y")},
        {TEXT("/x"), TEXT("/y"), TEXT("/z")},
    };
    static const struct {
        size_t list[2];
        size_t count[2];
        const char *muxer;
    } cases[] = {
        {{0, 1}, {3, 3}, "/a"}, {{1, 0}, {3, 3}, "/c"}, {{0, 2}, {3, 3}, "/b"},
        {{2, 0}, {3, 3}, "/b"}, {{0, 3}, {3, 3}, ""},   {{0, 0}, {0, 3}, ""},
        {{0, 0}, {3, 0}, ""},   {{0, 0}, {0, 0}, ""},   {{0, 1}, {2, 2}, "/b"},
        {{0, 1}, {1, 2}, ""},
    };
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    for (size_t c = 0; c < TERN_COUNT_OF(cases); c++) {
        for (int i = 0; i < 2; i++) {
            w->options[i].muxers = lists[cases[c].list[i]];
            w->options[i].muxers_count = cases[c].count[i];
        }
        world_shake(w);
        for (int i = 0; i < 2; i++)
            assert_true(tern_view_equal(remote(w, i)->muxer, tern_view_str(cases[c].muxer)));
        world_close(w);
    }
    world_free(w);
}

static void lists_need_not_outlive_the_call(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    struct tern_view list[2] = {TEXT("/a"), TEXT("/b")};
    struct tern_view hashes[1] = {TEXT("hash")};
    for (int i = 0; i < 2; i++) {
        w->options[i].muxers = list;
        w->options[i].muxers_count = 2;
        w->options[i].certhashes = hashes;
        w->options[i].certhashes_count = 1;
    }
    assert_true(world_open(w));
    memset(list, 0xff, sizeof list);
    memset(hashes, 0xff, sizeof hashes);
    pump_run(&w->pump);
    for (int i = 0; i < 2; i++)
        assert_true(tern_view_equal(remote(w, i)->muxer, tern_view_str("/a")));
    world_free(w);
}

/* One flight each, and the initiator's data rides behind message 3. */
static void round_trips_are_few(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    assert_true(world_open(w));
    struct pump_end *init = &w->pump.ends[INIT];
    struct pump_end *resp = &w->pump.ends[RESP];
    const struct tern_channel_ops *ops = init->secure.ops;
    uint8_t flight[4096];

    assert_true(ops->control_pending(init->secure.self));
    assert_false(ops->control_pending(resp->secure.self));
    struct tern_writer out = tern_writer_of(flight, sizeof flight);
    ops->control(init->secure.self, 0, &out);
    assert_int_equal(out.size, 2 + 32);
    assert_int_equal(pump_feed(resp, tern_writer_view(&out), true), out.size);
    pump_run_job(resp);
    assert_true(ops->control_pending(resp->secure.self));

    out = tern_writer_of(flight, sizeof flight);
    ops->control(resp->secure.self, 0, &out);
    assert_int_equal(pump_feed(init, tern_writer_view(&out), true), out.size);
    assert_false(init->done);
    pump_run_job(init);
    assert_true(init->done);

    /* Data may not overtake message 3. */
    out = tern_writer_of(flight, sizeof flight);
    assert_int_equal(ops->seal_begin(init->secure.self, &out).size, 0);
    ops->control(init->secure.self, 0, &out);
    struct tern_span room = ops->seal_begin(init->secure.self, &out);
    assert_true(room.size > 5);
    for (size_t i = 0; i < 5; i++)
        room.data[i] = pump_byte(i);
    ops->seal_end(init->secure.self, &out, 5);

    size_t used = pump_feed(resp, tern_writer_view(&out), true);
    assert_int_equal(used, out.size - (2 + 5 + 16)); /* back-pressure while the job runs */
    pump_run_job(resp);
    assert_true(resp->done);
    pump_feed(resp, tern_view_of(flight + used, out.size - used), true);
    assert_int_equal(resp->got_size, 5);
    world_free(w);
}

static void data_arrives_whatever_the_segmentation(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world *w = world_new(TERN_KEY_ED25519, seed);
        assert_true(world_open(w));
        for (int i = 0; i < 2; i++)
            w->pump.ends[i].message_size = 1 + tern_random_below(&w->random, 400000);
        pump_run(&w->pump);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(w->pump.ends[i].err, TERN_OK);
            assert_int_equal(w->pump.ends[i].got_size, w->pump.ends[1 - i].message_size);
        }
        world_free(w);
    }
}

static void same_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    uint8_t wires[2][512];
    size_t sizes[2];
    for (int run = 0; run < 2; run++) {
        struct world *w = world_new(TERN_KEY_ED25519, 42);
        assert_true(world_open(w));
        struct pump_end *init = &w->pump.ends[INIT];
        struct pump_end *resp = &w->pump.ends[RESP];
        struct tern_writer out = tern_writer_of(wires[run], sizeof wires[run]);
        init->secure.ops->control(init->secure.self, 0, &out);
        pump_feed(resp, tern_writer_view(&out), false);
        pump_run_job(resp);
        resp->secure.ops->control(resp->secure.self, 0, &out);
        sizes[run] = out.size;
        world_free(w);
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(wires[0], wires[1], sizes[0]);
}

static void *run_job(void *job)
{
    ((struct tern_job *)job)->run(job);
    return NULL;
}

static void jobs_run_on_another_thread(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 3);
    assert_true(world_open(w));
    w->pump.whole_segments = true;
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < 2; i++) {
            struct pump_end *end = &w->pump.ends[i];
            pump_write(&w->pump, end);
            pump_read(&w->pump, end, &w->pump.ends[1 - i].out);
            if (end->job == NULL)
                continue;
            pthread_t thread;
            assert_int_equal(pthread_create(&thread, NULL, run_job, end->job), 0);
            assert_int_equal(pthread_join(thread, NULL), 0);
            struct tern_job *job = end->job;
            end->job = NULL;
            assert_int_equal(end->secure.ops->job_done(end->secure.self, 0, job), TERN_OK);
            pump_drain(end);
        }
    }
    assert_true(w->pump.ends[INIT].done && w->pump.ends[RESP].done);
    world_free(w);
}

static void prologue_must_be_the_same(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    w->options[INIT].prologue = w->options[RESP].prologue = tern_view_str("libp2p-webrtc-noise:");
    world_shake(w);
    world_close(w);
    w->options[RESP].prologue = tern_view_str("libp2p-webrtc-noise;");
    assert_true(world_open(w));
    pump_run(&w->pump);
    assert_int_equal(fault_of(w, INIT), TERN_FAULT_NOISE_HANDSHAKE_MAC);
    assert_false(w->pump.ends[RESP].done);
    world_free(w);
}

static void certificate_that_was_dialled_must_be_vouched_for(void **state)
{
    (void)state;
    static const struct tern_view hashes[] = {TEXT("\x12\x20one"), TEXT("\x12\x20two"),
                                              TEXT("\x12\x20six")};
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    w->options[RESP].certhashes = hashes;
    w->options[RESP].certhashes_count = 2;
    w->options[INIT].certhashes = &hashes[1];
    w->options[INIT].certhashes_count = 1;
    world_shake(w);
    world_close(w);
    w->options[INIT].certhashes_count = 2; /* "six" too */
    assert_true(world_open(w));
    pump_run(&w->pump);
    assert_int_equal(fault_of(w, INIT), TERN_FAULT_NOISE_CERTHASH_MISSING);
    world_free(w);
}

static void wrong_peer_is_told_nothing(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    w->options[INIT].expected_peer = &w->ids[INIT]; /* anybody but the responder */
    assert_true(world_open(w));
    pump_run(&w->pump);
    struct pump_end *init = &w->pump.ends[INIT];
    assert_int_equal(init->err, TERN_ERR_PEER_MISMATCH);
    assert_int_equal(fault_of(w, INIT), TERN_FAULT_NOISE_WRONG_PEER);
    /* Message 3, which carries our identity, never left; and nothing more is taken. */
    assert_false(init->secure.ops->control_pending(init->secure.self));
    assert_false(init->done || w->pump.ends[RESP].done);
    assert_null(remote(w, INIT));
    assert_int_equal(pump_feed(init, tern_view_str("more"), false), 0);
    world_free(w);
}

static void responder_may_expect_somebody_too(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    w->options[RESP].expected_peer = &w->ids[RESP];
    assert_true(world_open(w));
    pump_run(&w->pump);
    assert_int_equal(fault_of(w, RESP), TERN_FAULT_NOISE_WRONG_PEER);
    world_free(w);
}

/* ---- transport ---- */

static void frames_fill_up_to_the_limit(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    world_shake(w);
    struct pump_end *init = &w->pump.ends[INIT];
    const struct tern_channel_ops *ops = init->secure.ops;
    uint8_t *bytes = malloc(100000);
    assert_non_null(bytes);
    static const struct {
        size_t left;
        size_t room;
    } cases[] = {
        {0, 0},
        {TERN_NOISE_OVERHEAD + TERN_NOISE_ROOM_MIN - 1, 0},
        {TERN_NOISE_OVERHEAD + TERN_NOISE_ROOM_MIN, TERN_NOISE_ROOM_MIN},
        {1500, 1500 - TERN_NOISE_OVERHEAD},
        {2 + 65535, TERN_NOISE_PLAINTEXT_MAX},
        {100000, TERN_NOISE_PLAINTEXT_MAX},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_writer out = tern_writer_of(bytes, cases[i].left);
        struct tern_span room = ops->seal_begin(init->secure.self, &out);
        assert_int_equal(room.size, cases[i].room);
        ops->seal_end(init->secure.self, &out, 0); /* takes it back */
        assert_int_equal(out.size, 0);
    }
    struct tern_writer out = tern_writer_of(bytes, 100000);
    struct tern_span room = ops->seal_begin(init->secure.self, &out);
    for (size_t i = 0; i < room.size; i++)
        room.data[i] = pump_byte(i);
    ops->seal_end(init->secure.self, &out, room.size);
    assert_int_equal(out.size, 2 + 65535);
    pump_feed(&w->pump.ends[RESP], tern_writer_view(&out), true);
    assert_int_equal(w->pump.ends[RESP].got_size, TERN_NOISE_PLAINTEXT_MAX);
    free(bytes);
    world_free(w);
}

/* Seals as the initiator would, any plaintext, with the channel's own key and counter. */
static size_t seal_by_hand(struct world *w, struct tern_view plain, uint8_t *out)
{
    struct tern_noise *noise = noise_of(w, INIT);
    struct tern_aead_params params = {.key = noise->keys.send};
    tern_aead_counter_nonce(noise->send_nonce++, params.nonce);
    tern_aead_seal_small(&params, plain, out + 2);
    size_t size = plain.size + TERN_AEAD_TAG_SIZE;
    out[0] = (uint8_t)(size >> 8);
    out[1] = (uint8_t)size;
    return size + 2;
}

static void empty_frames_are_swallowed(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    world_shake(w);
    uint8_t bytes[256];
    const uint8_t plain[3] = {pump_byte(0), pump_byte(1), pump_byte(2)};
    size_t size = 0;
    for (int i = 0; i < 5; i++)
        size += seal_by_hand(w, tern_view_of(plain, 0), bytes + size);
    size += seal_by_hand(w, tern_view_of(plain, 3), bytes + size);
    size += seal_by_hand(w, tern_view_of(plain, 0), bytes + size);
    for (size_t at = 0; at < size; at += 7) /* whole and split */
        pump_feed(&w->pump.ends[RESP], tern_view_of(bytes + at, tern_min_size(7, size - at)), true);
    assert_int_equal(w->pump.ends[RESP].err, TERN_OK);
    assert_int_equal(w->pump.ends[RESP].got_size, 3);
    world_free(w);
}

static void whole_frames_are_opened_where_they_lie(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    world_shake(w);
    struct tern_chunk *chunk = tern_chunk_new(&w->mem, 4096);
    assert_non_null(chunk);
    const uint8_t plain[100] = {1};
    size_t first = seal_by_hand(w, tern_view_of(plain, 100), chunk->data);
    size_t second = seal_by_hand(w, tern_view_of(plain, 100), chunk->data + first);
    chunk->size = (uint32_t)(first + second);
    uint64_t allocs = w->mem.allocs;
    struct tern_channel *s = &w->pump.ends[RESP].secure;
    struct tern_slice in = {.chunk = chunk, .view = tern_chunk_view(chunk)};
    size_t used;
    assert_int_equal(s->ops->recv(s->self, 0, in, &used), TERN_OK);
    assert_int_equal(used, first); /* one frame at a time */
    struct tern_channel_event event;
    assert_true(s->ops->next(s->self, &event));
    assert_int_equal(event.kind, TERN_CHANNEL_DATA);
    assert_ptr_equal(event.data.chunk, chunk);
    assert_ptr_equal(event.data.view.data, chunk->data + 2);
    assert_int_equal(event.data.view.size, 100);
    assert_memory_equal(event.data.view.data, plain, 100);
    assert_false(s->ops->next(s->self, &event));
    assert_int_equal(w->mem.allocs, allocs);
    tern_chunk_unref(chunk);
    world_free(w);
}

static void channel_at_rest_holds_little_memory(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    size_t before = w->mem.used;
    w->mem.peak = before;
    world_shake(w);
    assert_int_equal(w->mem.used - before, 2 * sizeof(struct tern_noise));
    assert_true(sizeof(struct tern_noise) <= 384);
    assert_true(w->mem.peak - before <= 2 * 2048 + 2048);

    /* A frame in part holds its size, and gives it back when it has been read. */
    uint8_t *bytes = malloc(2 * 70000);
    assert_non_null(bytes);
    for (size_t i = 0; i < 60000; i++)
        bytes[70000 + i] = pump_byte(i);
    size_t size = seal_by_hand(w, tern_view_of(bytes + 70000, 60000), bytes);
    struct pump_end *resp = &w->pump.ends[RESP];
    size_t at_rest = w->mem.used;
    assert_int_equal(pump_feed(resp, tern_view_of(bytes, 1000), false), 1000);
    assert_true(w->mem.used >= at_rest + 60000 && w->mem.used < at_rest + 70000);
    pump_feed(resp, tern_view_of(bytes + 1000, size - 1000), false);
    assert_int_equal(resp->got_size, 60000);
    assert_int_equal(w->mem.used, at_rest);
    free(bytes);
    world_free(w);
}

static void counters_never_wrap(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    world_shake(w);
    struct pump_end *init = &w->pump.ends[INIT];
    struct pump_end *resp = &w->pump.ends[RESP];
    noise_of(w, INIT)->send_nonce = UINT64_MAX - 1;
    noise_of(w, RESP)->receive_nonce = UINT64_MAX - 1;
    init->message_size = 1;
    pump_run(&w->pump);
    assert_int_equal(resp->got_size, 1); /* the last one */

    uint8_t bytes[200];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    assert_int_equal(init->secure.ops->seal_begin(init->secure.self, &out).size, 0);
    size_t used;
    struct tern_slice in = {.view = tern_view_of(bytes, 1)};
    assert_int_equal(init->secure.ops->recv(init->secure.self, 0, in, &used), TERN_ERR_CLOSED);

    memset(bytes, 0, sizeof bytes);
    bytes[1] = 16;
    pump_feed(resp, tern_view_of(bytes, 18), false);
    assert_int_equal(resp->err, TERN_ERR_CLOSED);
    assert_int_equal(fault_of(w, RESP), TERN_FAULT_NONE);
    world_free(w);
}

/* ---- memory ---- */

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 9);
    size_t before = w->mem.used;
    bool reached = true;
    int failures = 0;
    for (uint64_t n = 1; n < 1000 && reached; n++) {
        tern_random_init_u64(&w->pump.random, 5);
        uint64_t allocs = w->mem.allocs;
        tern_mem_fail_at(&w->mem, n, false);
        if (world_open(w)) {
            w->pump.ends[INIT].message_size = w->pump.ends[RESP].message_size = 20000;
            pump_run(&w->pump);
        } else {
            failures++;
        }
        reached = w->mem.allocs - allocs >= n;
        for (int i = 0; i < 2 && w->pump.ends[i].secure.ops != NULL; i++) {
            tern_err err = w->pump.ends[i].err;
            assert_true(err == TERN_OK || err == TERN_ERR_MEMORY);
            failures += err == TERN_ERR_MEMORY;
            assert_int_equal(fault_of(w, i), TERN_FAULT_NONE);
        }
        assert_true(reached || w->pump.ends[INIT].got_size == 20000);
        tern_mem_fail_at(&w->mem, 0, false);
        world_close(w);
        assert_int_equal(w->mem.used, before);
    }
    assert_false(reached);
    assert_true(failures >= 6 + 3); /* to open both; a chunk for each message; frames */
    world_free(w);
}

static void identity_may_find_no_memory(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    size_t before = w->mem.used;
    struct tern_noise_identity identity;
    tern_mem_fail_at(&w->mem, 1, false);
    assert_int_equal(tern_noise_identity_init(&identity, &w->mem, &w->random, &w->keys[0]),
                     TERN_ERR_MEMORY);
    tern_mem_fail_at(&w->mem, 0, false);
    assert_int_equal(w->mem.used, before);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_end_learns_the_other),
        cmocka_unit_test(rsa_identities_work),
        cmocka_unit_test(muxer_is_the_initiators_first_that_both_have),
        cmocka_unit_test(lists_need_not_outlive_the_call),
        cmocka_unit_test(round_trips_are_few),
        cmocka_unit_test(data_arrives_whatever_the_segmentation),
        cmocka_unit_test(same_seed_gives_the_same_bytes),
        cmocka_unit_test(jobs_run_on_another_thread),
        cmocka_unit_test(prologue_must_be_the_same),
        cmocka_unit_test(certificate_that_was_dialled_must_be_vouched_for),
        cmocka_unit_test(wrong_peer_is_told_nothing),
        cmocka_unit_test(responder_may_expect_somebody_too),
        cmocka_unit_test(frames_fill_up_to_the_limit),
        cmocka_unit_test(empty_frames_are_swallowed),
        cmocka_unit_test(whole_frames_are_opened_where_they_lie),
        cmocka_unit_test(channel_at_rest_holds_little_memory),
        cmocka_unit_test(counters_never_wrap),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(identity_may_find_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
