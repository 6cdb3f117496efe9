/* What two honest ends of a TLS channel do. What dishonest ones try is in tls_hostile_test.c. */
#include "tls_world.h"

#include <pthread.h>

/* ---- the handshake ---- */

static void each_end_learns_the_other(void **state)
{
    (void)state;
    static const enum tern_key_type types[] = {TERN_KEY_ED25519, TERN_KEY_SECP256K1, TERN_KEY_ECDSA,
                                               TERN_KEY_RSA};
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
    for (int i = 0; i < 2; i++) {
        w->options[i].muxers = list;
        w->options[i].muxers_count = 2;
    }
    assert_true(world_open(w));
    memset(list, 0xff, sizeof list);
    pump_run(&w->pump);
    for (int i = 0; i < 2; i++)
        assert_true(tern_view_equal(remote(w, i)->muxer, tern_view_str("/a")));
    world_free(w);
}

static void names_may_be_as_long_as_alpn_allows(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    static uint8_t names[TERN_TLS_MUXERS_MAX][TERN_TLS_MUXER_NAME_SIZE_MAX];
    struct tern_view list[TERN_TLS_MUXERS_MAX];
    for (size_t i = 0; i < TERN_TLS_MUXERS_MAX; i++) {
        memset(names[i], 'a' + (int)i, sizeof names[i]);
        list[i] = tern_view_of(names[i], sizeof names[i]);
    }
    w->options[INIT].muxers = list;
    w->options[INIT].muxers_count = TERN_TLS_MUXERS_MAX;
    w->options[RESP].muxers = &list[TERN_TLS_MUXERS_MAX - 1];
    world_shake(w);
    for (int i = 0; i < 2; i++)
        assert_true(tern_view_equal(remote(w, i)->muxer, list[TERN_TLS_MUXERS_MAX - 1]));
    world_free(w);
}

static void the_responder_chooses_the_cipher(void **state)
{
    (void)state;
    for (int slow_init = 0; slow_init < 2; slow_init++) {
        for (int slow_resp = 0; slow_resp < 2; slow_resp++) {
            struct world *w = world_new(TERN_KEY_ED25519, 1);
            for (int i = 0; i < 2; i++) {
                tern_tls_identity_fini(&w->identities[i]);
                world_identity(w, i, (i == INIT ? slow_init : slow_resp) != 0);
            }
            world_shake(w);
            for (int i = 0; i < 2; i++)
                assert_int_equal(tls_of(w, i)->suite->cipher,
                                 slow_resp ? TERN_AEAD_CHACHA20_POLY1305 : TERN_AEAD_AES_128_GCM);
            world_free(w);
        }
    }
}

/* One flight each, and the initiator's data rides behind its last. */
static void round_trips_are_few(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    assert_true(world_open(w));
    struct pump_end *init = &w->pump.ends[INIT];
    struct pump_end *resp = &w->pump.ends[RESP];
    const struct tern_channel_ops *ops = init->secure.ops;
    uint8_t flight[8192];

    assert_true(ops->control_pending(init->secure.self));
    assert_false(ops->control_pending(resp->secure.self));
    struct tern_writer out = tern_writer_of(flight, sizeof flight);
    ops->control(init->secure.self, 0, &out);
    assert_false(ops->control_pending(init->secure.self));
    /* A flight is not taken before it is known to be the handshake's alone. */
    assert_int_equal(pump_feed(resp, tern_writer_view(&out), true), 0);
    pump_run_job(resp);
    assert_int_equal(pump_feed(resp, tern_writer_view(&out), true), out.size);
    assert_true(ops->control_pending(resp->secure.self));

    out = tern_writer_of(flight, sizeof flight);
    ops->control(resp->secure.self, 0, &out);
    assert_int_equal(pump_feed(init, tern_writer_view(&out), true), 0);
    assert_false(init->done);
    pump_run_job(init);
    assert_true(init->done);
    assert_int_equal(pump_feed(init, tern_writer_view(&out), true), out.size);

    /* Data may not overtake the flight. */
    out = tern_writer_of(flight, sizeof flight);
    assert_int_equal(ops->seal_begin(init->secure.self, &out).size, 0);
    ops->control(init->secure.self, 0, &out);
    struct tern_span room = ops->seal_begin(init->secure.self, &out);
    assert_true(room.size > 5);
    for (size_t i = 0; i < 5; i++)
        room.data[i] = pump_byte(i);
    ops->seal_end(init->secure.self, &out, 5);

    assert_int_equal(pump_feed(resp, tern_writer_view(&out), true), 0);
    pump_run_job(resp);
    assert_true(resp->done);
    assert_int_equal(pump_feed(resp, tern_writer_view(&out), true), out.size);
    assert_int_equal(resp->got_size, 5);
    world_free(w);
}

static void a_flight_leaves_in_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 300; piece += 1 + piece / 3) {
        struct world *w = world_new(TERN_KEY_ED25519, 1);
        assert_true(world_open(w));
        for (int round = 0; round < 100000 && !w->pump.ends[RESP].done; round++) {
            for (int i = 0; i < 2; i++) {
                struct pump_end *from = &w->pump.ends[i];
                struct pump_end *to = &w->pump.ends[1 - i];
                struct pump_wire *wire = &from->out;
                struct tern_writer out = tern_writer_of(wire->bytes + wire->tail, piece);
                from->secure.ops->control(from->secure.self, 0, &out);
                wire->tail += out.size;
                size_t there = wire->tail - wire->head;
                if (there > 0)
                    wire->head +=
                        pump_feed(to, tern_view_of(wire->bytes + wire->head, there), true);
                if (to->job != NULL)
                    pump_run_job(to);
            }
        }
        assert_true(w->pump.ends[INIT].done && w->pump.ends[RESP].done);
        world_free(w);
    }
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

/* Two jobs of two channels of one identity at the same time. */
static void jobs_of_one_host_run_side_by_side(void **state)
{
    (void)state;
    struct world *worlds[2] = {world_new(TERN_KEY_ED25519, 3), world_new(TERN_KEY_ED25519, 4)};
    for (int k = 0; k < 2; k++) {
        worlds[k]->options[RESP].identity = &worlds[0]->identities[RESP];
        assert_true(world_open(worlds[k]));
        worlds[k]->pump.whole_segments = true;
    }
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < 2; i++) {
            pthread_t threads[2];
            struct tern_job *jobs[2];
            for (int k = 0; k < 2; k++) {
                struct pump_end *end = &worlds[k]->pump.ends[i];
                pump_write(&worlds[k]->pump, end);
                pump_read(&worlds[k]->pump, end, &worlds[k]->pump.ends[1 - i].out);
                jobs[k] = end->job;
                end->job = NULL;
                if (jobs[k] != NULL)
                    assert_int_equal(pthread_create(&threads[k], NULL, run_job, jobs[k]), 0);
            }
            for (int k = 0; k < 2; k++) {
                struct pump_end *end = &worlds[k]->pump.ends[i];
                if (jobs[k] == NULL)
                    continue;
                assert_int_equal(pthread_join(threads[k], NULL), 0);
                assert_int_equal(end->secure.ops->job_done(end->secure.self, 0, jobs[k]), TERN_OK);
                pump_drain(end);
            }
        }
    }
    for (int k = 1; k >= 0; k--) {
        assert_true(worlds[k]->pump.ends[INIT].done && worlds[k]->pump.ends[RESP].done);
        world_free(worlds[k]);
    }
}

static void wrong_peer_is_told_nothing(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    w->options[INIT].expected_peer = &w->ids[INIT]; /* anybody but the responder */
    w->pump.whole_segments = true;
    assert_true(world_open(w));
    pump_run(&w->pump);
    struct pump_end *init = &w->pump.ends[INIT];
    assert_int_equal(init->err, TERN_ERR_PEER_MISMATCH);
    assert_int_equal(fault_of(w, INIT), TERN_FAULT_TLS_WRONG_PEER);
    assert_false(init->done || w->pump.ends[RESP].done);
    assert_null(remote(w, INIT));
    assert_int_equal(pump_feed(init, tern_view_str("more"), false), 0);
    uint8_t bytes[4096];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    assert_int_equal(init->secure.ops->seal_begin(init->secure.self, &out).size, 0);
    /* All that still leaves is the alert, and the other end understands it. */
    assert_true(init->secure.ops->control_pending(init->secure.self));
    init->secure.ops->control(init->secure.self, 0, &out);
    assert_true(out.size > 0 && out.size < 64);
    assert_false(init->secure.ops->control_pending(init->secure.self));
    struct pump_end *resp = &w->pump.ends[RESP];
    pump_feed(resp, tern_writer_view(&out), true);
    pump_run_job(resp);
    assert_int_equal(resp->err, TERN_ERR_REFUSED);
    assert_int_equal(fault_of(w, RESP), TERN_FAULT_TLS_REFUSED);
    world_free(w);
}

/* An initiator is done before the responder has judged it. */
static void a_refusal_comes_in_place_of_data(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    w->options[RESP].expected_peer = &w->ids[RESP];
    w->pump.whole_segments = true;
    w->pump.ends[INIT].message_size = 1000;
    assert_true(world_open(w));
    pump_run(&w->pump);
    struct pump_end *resp = &w->pump.ends[RESP];
    assert_true(w->pump.ends[INIT].done);
    assert_int_equal(w->pump.ends[INIT].err, TERN_OK);
    assert_int_equal(resp->err, TERN_ERR_PEER_MISMATCH);
    assert_int_equal(fault_of(w, RESP), TERN_FAULT_TLS_WRONG_PEER);
    assert_false(resp->done);
    uint8_t bytes[4096];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    resp->secure.ops->control(resp->secure.self, 0, &out);
    pump_feed(&w->pump.ends[INIT], tern_writer_view(&out), true);
    assert_int_equal(w->pump.ends[INIT].err, TERN_ERR_REFUSED);
    assert_int_equal(fault_of(w, INIT), TERN_FAULT_TLS_REFUSED);
    assert_false(w->pump.ends[INIT].secure.ops->control_pending(w->pump.ends[INIT].secure.self));
    world_free(w);
}

/* ---- transport ---- */

static size_t seal_one(struct pump_end *end, uint8_t *out, size_t size)
{
    struct tern_writer w = tern_writer_of(out, TERN_TLS_PLAINTEXT_MAX + TERN_TLS_OVERHEAD);
    struct tern_span room = end->secure.ops->seal_begin(end->secure.self, &w);
    assert_true(room.size >= size);
    for (size_t i = 0; i < size; i++)
        room.data[i] = pump_byte(end->sent_size + i);
    end->secure.ops->seal_end(end->secure.self, &w, size);
    end->sent_size += size;
    return w.size;
}

static size_t control_of(struct pump_end *end, uint8_t *out, size_t size)
{
    struct tern_writer w = tern_writer_of(out, size);
    end->secure.ops->control(end->secure.self, 0, &w);
    return w.size;
}

static void records_fill_up_to_the_limit(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    world_shake(w);
    struct pump_end *init = &w->pump.ends[INIT];
    const struct tern_channel_ops *ops = init->secure.ops;
    static uint8_t bytes[100000];
    static const struct {
        size_t left;
        size_t room;
    } cases[] = {
        {0, 0},
        {TERN_TLS_OVERHEAD + TERN_TLS_ROOM_MIN - 1, 0},
        {TERN_TLS_OVERHEAD + TERN_TLS_ROOM_MIN, TERN_TLS_ROOM_MIN},
        {1500, 1500 - TERN_TLS_OVERHEAD},
        {16384 + TERN_TLS_OVERHEAD, 16384},
        {100000, 16384},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_writer out = tern_writer_of(bytes, cases[i].left);
        struct tern_span room = ops->seal_begin(init->secure.self, &out);
        assert_int_equal(room.size, cases[i].room);
        ops->seal_end(init->secure.self, &out, 0); /* takes it back */
        assert_int_equal(out.size, 0);
    }
    size_t size = seal_one(init, bytes, 16384);
    assert_int_equal(size, 16384 + TERN_TLS_OVERHEAD);
    pump_feed(&w->pump.ends[RESP], tern_view_of(bytes, size), true);
    assert_int_equal(w->pump.ends[RESP].got_size, 16384);
    world_free(w);
}

static void whole_records_are_opened_where_they_lie(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    world_shake(w);
    struct tern_chunk *chunk = tern_chunk_new(&w->mem, 65536);
    assert_non_null(chunk);
    size_t first = seal_one(&w->pump.ends[INIT], chunk->data, 100);
    size_t second = seal_one(&w->pump.ends[INIT], chunk->data + first, 100);
    chunk->size = (uint32_t)(first + second);
    uint64_t allocs = w->mem.allocs;
    struct tern_channel *s = &w->pump.ends[RESP].secure;
    struct tern_slice in = {.chunk = chunk, .view = tern_chunk_view(chunk)};
    size_t used;
    assert_int_equal(s->ops->recv(s->self, 0, in, &used), TERN_OK);
    assert_int_equal(used, first); /* one record at a time */
    struct tern_channel_event event;
    assert_true(s->ops->next(s->self, &event));
    assert_int_equal(event.kind, TERN_CHANNEL_DATA);
    assert_ptr_equal(event.data.chunk, chunk);
    assert_ptr_equal(event.data.view.data, chunk->data + TERN_TLS_HEADER_SIZE);
    assert_int_equal(event.data.view.size, 100);
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
    assert_int_equal(w->mem.used - before, 2 * sizeof(struct tern_tls));
    assert_true(sizeof(struct tern_tls) <= 768);
    assert_true(w->mem.peak - before <= 2 * 8192);

    /* A record in part holds its size, and gives it back when it has been read. */
    static uint8_t bytes[20000];
    size_t size = seal_one(&w->pump.ends[INIT], bytes, 16000);
    struct pump_end *resp = &w->pump.ends[RESP];
    size_t at_rest = w->mem.used;
    assert_int_equal(pump_feed(resp, tern_view_of(bytes, 1000), false), 1000);
    assert_true(w->mem.used >= at_rest + 16000 && w->mem.used < at_rest + 17500);
    pump_feed(resp, tern_view_of(bytes + 1000, size - 1000), false);
    assert_int_equal(resp->got_size, 16000);
    assert_int_equal(w->mem.used, at_rest);
    world_free(w);
}

/* ---- changes of keys ---- */

static void keys_change_before_they_wear_out(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    world_shake(w);
    struct pump_end *init = &w->pump.ends[INIT];
    struct pump_end *resp = &w->pump.ends[RESP];
    static uint8_t bytes[20000];
    uint8_t secret[TERN_TLS_SECRET_SIZE_MAX];
    memcpy(secret, tls_of(w, INIT)->send.secret, sizeof secret);
    tls_of(w, INIT)->send.sequence = TERN_TLS_KEY_RECORDS_MAX - 1;
    tls_of(w, RESP)->receive.sequence = TERN_TLS_KEY_RECORDS_MAX - 1;
    size_t size = seal_one(init, bytes, 100); /* the key's last one but for the update */
    pump_feed(resp, tern_view_of(bytes, size), true);

    /* The initiator goes on to its next key, and nothing may be sealed before it has said so; the
     * responder has seen enough records of this key, too, and asks for what is under way. */
    struct tern_writer none = tern_writer_of(bytes, sizeof bytes);
    assert_int_equal(init->secure.ops->seal_begin(init->secure.self, &none).size, 0);
    assert_true(init->secure.ops->control_pending(init->secure.self));
    assert_true(resp->secure.ops->control_pending(resp->secure.self));
    size = control_of(init, bytes, TERN_TLS_UPDATE_SIZE + TERN_TLS_OVERHEAD - 1);
    assert_int_equal(size, 0);
    size = control_of(init, bytes, sizeof bytes);
    assert_int_equal(size, TERN_TLS_UPDATE_SIZE + TERN_TLS_OVERHEAD);
    assert_memory_not_equal(tls_of(w, INIT)->send.secret, secret, sizeof secret);
    pump_feed(resp, tern_view_of(bytes, size), true);
    assert_false(init->secure.ops->control_pending(init->secure.self));

    /* The responder's, which asks, is answered by another of the initiator's. */
    size = control_of(resp, bytes, sizeof bytes);
    pump_feed(init, tern_view_of(bytes, size), true);
    size = control_of(init, bytes, sizeof bytes);
    assert_int_equal(size, TERN_TLS_UPDATE_SIZE + TERN_TLS_OVERHEAD);
    pump_feed(resp, tern_view_of(bytes, size), true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(w->pump.ends[i].err, TERN_OK);
        assert_false(w->pump.ends[i].secure.ops->control_pending(w->pump.ends[i].secure.self));
        w->pump.ends[i].message_size = w->pump.ends[i].sent_size + 50000;
    }
    pump_run(&w->pump);
    assert_int_equal(resp->got_size, 50100);
    assert_int_equal(init->got_size, 50000);
    assert_memory_equal(tls_of(w, INIT)->send.secret, tls_of(w, RESP)->receive.secret, 32);
    world_free(w);
}

static void sequence_numbers_never_wrap(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    world_shake(w);
    uint8_t bytes[1000];
    struct pump_end *resp = &w->pump.ends[RESP];
    size_t size = seal_one(&w->pump.ends[INIT], bytes, 100);
    tls_of(w, RESP)->receive.sequence = UINT64_MAX;
    pump_feed(resp, tern_view_of(bytes, size), true);
    assert_int_equal(resp->err, TERN_ERR_CLOSED);
    assert_int_equal(fault_of(w, RESP), TERN_FAULT_NONE);
    assert_int_equal(resp->got_size, 0);
    world_free(w);
}

/* ---- the end ---- */

static void close_notify_is_the_end(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct world *w = world_new(TERN_KEY_ED25519, 1);
        world_shake(w);
        struct pump_end *from = &w->pump.ends[first];
        struct pump_end *to = &w->pump.ends[1 - first];
        const struct tern_channel_ops *ops = from->secure.ops;
        uint8_t bytes[1000];
        size_t size = seal_one(from, bytes, 100);
        ops->shut(from->secure.self);
        ops->shut(from->secure.self); /* says it once */
        struct tern_writer none = tern_writer_of(bytes + size, sizeof bytes - size);
        assert_int_equal(ops->seal_begin(from->secure.self, &none).size, 0);
        size += control_of(from, bytes + size, sizeof bytes - size);
        assert_int_equal(size, 100 + TERN_TLS_OVERHEAD + 2 + TERN_TLS_OVERHEAD);
        assert_false(ops->control_pending(from->secure.self));
        assert_int_equal(control_of(from, bytes + size, sizeof bytes - size), 0);
        pump_feed(to, tern_view_of(bytes, size - 1), true);
        assert_false(to->ended); /* cut: not the end */
        pump_feed(to, tern_view_of(bytes + size - 1, 1), true);
        assert_true(to->ended);
        assert_int_equal(to->err, TERN_OK);
        assert_int_equal(to->got_size, 100);
        /* What follows is nobody's; and the other end says goodbye, too. */
        assert_int_equal(pump_feed(to, tern_view_str("anything"), true), 8);
        assert_int_equal(to->err, TERN_OK);
        assert_int_equal(to->secure.ops->seal_begin(to->secure.self, &none).size, 0);
        size = control_of(to, bytes, sizeof bytes);
        assert_int_equal(size, 2 + TERN_TLS_OVERHEAD);
        pump_feed(from, tern_view_of(bytes, size), true);
        assert_true(from->ended);
        assert_false(ops->control_pending(from->secure.self));
        world_free(w);
    }
}

static void a_handshake_under_way_has_no_farewell(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    assert_true(world_open(w));
    struct pump_end *resp = &w->pump.ends[RESP];
    resp->secure.ops->shut(resp->secure.self);
    assert_false(resp->secure.ops->control_pending(resp->secure.self));
    w->pump.whole_segments = true;
    pump_run(&w->pump);
    assert_true(resp->done);
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
            assert_true(err == TERN_OK || err == TERN_ERR_MEMORY || err == TERN_ERR_REFUSED);
            failures += err == TERN_ERR_MEMORY;
            if (err != TERN_ERR_REFUSED)
                assert_int_equal(fault_of(w, i), TERN_FAULT_NONE);
        }
        assert_true(reached || w->pump.ends[INIT].got_size == 20000);
        tern_mem_fail_at(&w->mem, 0, false);
        world_close(w);
        assert_int_equal(w->mem.used, before);
    }
    assert_false(reached);
    assert_true(failures >= 6 + 3); /* to open both; records for the jobs; records in part */
    world_free(w);
}

static void identity_may_find_no_memory(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    size_t before = w->mem.used;
    struct tern_tls_identity identity;
    const struct tern_tls_identity_options options = {
        .mem = &w->mem, .random = &w->random, .host_key = &w->keys[0]};
    tern_mem_fail_at(&w->mem, 1, false);
    assert_int_equal(tern_tls_identity_init(&identity, &options), TERN_ERR_MEMORY);
    tern_mem_fail_at(&w->mem, 0, false);
    assert_int_equal(w->mem.used, before);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_end_learns_the_other),
        cmocka_unit_test(muxer_is_the_initiators_first_that_both_have),
        cmocka_unit_test(lists_need_not_outlive_the_call),
        cmocka_unit_test(names_may_be_as_long_as_alpn_allows),
        cmocka_unit_test(the_responder_chooses_the_cipher),
        cmocka_unit_test(round_trips_are_few),
        cmocka_unit_test(a_flight_leaves_in_pieces_of_any_size),
        cmocka_unit_test(data_arrives_whatever_the_segmentation),
        cmocka_unit_test(jobs_run_on_another_thread),
        cmocka_unit_test(jobs_of_one_host_run_side_by_side),
        cmocka_unit_test(wrong_peer_is_told_nothing),
        cmocka_unit_test(a_refusal_comes_in_place_of_data),
        cmocka_unit_test(records_fill_up_to_the_limit),
        cmocka_unit_test(whole_records_are_opened_where_they_lie),
        cmocka_unit_test(channel_at_rest_holds_little_memory),
        cmocka_unit_test(keys_change_before_they_wear_out),
        cmocka_unit_test(sequence_numbers_never_wrap),
        cmocka_unit_test(close_notify_is_the_end),
        cmocka_unit_test(a_handshake_under_way_has_no_farewell),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(identity_may_find_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
