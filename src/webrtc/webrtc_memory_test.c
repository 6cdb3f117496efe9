/*
 * Every allocation of a host fails in turn, alone and with all that follow: a session is
 * established or is told as failed, and nothing is left behind. What OpenSSL takes by itself is
 * dtls_memory_test's.
 */
#include "tern_test.h"
#include "webrtc/webrtc_world.h"

enum { FAILURES_MAX = 2000 };

static struct webrtc_world *world_pair(void)
{
    struct webrtc_world *w = test_calloc(1, sizeof *w);
    webrtc_world_init(w, 1);
    webrtc_world_pair(w, NULL);
    return w;
}

/* The dialer's side of a stream, as far as it goes: what is said comes back. */
static void talk(struct webrtc_world *w, struct webrtc_seen *seen)
{
    const struct tern_mux *mux = &seen->session.mux;
    tern_stream_id ids[3];
    seen->sink = true;
    for (size_t i = 0; i < TERN_COUNT_OF(ids); i++) {
        if (mux->ops->open(mux->self, TERN_STREAM_BULK, &ids[i]) != TERN_OK)
            continue;
        webrtc_seen_fill(seen, ids[i], 20000);
        webrtc_world_run(w, 100 * TERN_MILLISECOND);
        if (i == 1)
            mux->ops->reset(mux->self, ids[i], TERN_MUX_CODE_RESOURCE_LIMIT);
        else
            (void)!mux->ops->close_write(mux->self, ids[i]);
    }
    webrtc_world_run(w, 2 * TERN_SECOND);
}

/* scenario runs a whole session in which host `which` lacks memory at n; whether it was asked for
 * so much at all. */
static bool scenario(unsigned which, uint64_t n, bool onwards)
{
    struct webrtc_world *w = world_pair();
    struct tern_mem *mem = &w->hosts[which].mem;
    struct webrtc_seen *seen;
    w->hosts[1].echo = true;
    uint64_t before = mem->allocs;
    tern_mem_fail_at(mem, n, onwards);
    tern_err err = webrtc_world_try_dial(&w->hosts[0], &w->hosts[1].at, 1, true, &seen);
    if (err == TERN_OK) {
        webrtc_world_run(w, 2 * TERN_SECOND);
        err = webrtc_seen_error(seen);
        if (err == TERN_OK && webrtc_seen_count(seen, TERN_MUX_CONFIRMED) > 0)
            talk(w, seen);
    }
    bool reached = mem->allocs - before >= n;
    tern_mem_fail_at(mem, 0, false);
    if (!reached) {
        assert_int_equal(err, TERN_OK);
        assert_int_equal(webrtc_seen_error(seen), TERN_OK);
        assert_int_equal(seen->read_bytes, 3 * 20000);
    }
    /* When there is memory again it is used. */
    if (seen->live)
        webrtc_seen_end(seen);
    webrtc_world_run(w, TERN_SECOND);
    for (size_t i = 0; i < w->hosts[1].seen_count; i++)
        webrtc_seen_end(&w->hosts[1].seen[i]);
    webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
    webrtc_world_fini(w);
    test_free(w);
    return reached;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 2; which++) {
        uint64_t n = 1;
        while (scenario(which, n, false))
            assert_true(n++ < FAILURES_MAX);
        print_message("host %u: %llu allocations\n", which, (unsigned long long)n - 1);
    }
}

static void memory_may_end_for_good(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 2; which++) {
        for (uint64_t n = 1; scenario(which, n, true); n += 3)
            assert_true(n < FAILURES_MAX);
    }
}

static void a_transport_needs_memory(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_random random;
    const struct webrtc_testing_host *host = webrtc_testing_host(0);
    struct tern_session_transport transport;
    tern_random_init_u64(&random, 1);
    for (uint64_t n = 1;; n++) {
        tern_mem_init(&mem, 0);
        const struct tern_webrtc_options options = {.mem = &mem,
                                                    .random = &random,
                                                    .noise = &host->noise,
                                                    .certificate = host->certificate};
        tern_mem_fail_at(&mem, n, false);
        tern_err err = tern_webrtc_new(&options, 0, &transport);
        if (err == TERN_OK)
            transport.ops->fini(transport.self);
        else
            assert_int_equal(err, TERN_ERR_MEMORY);
        tern_mem_fini(&mem);
        if (err == TERN_OK)
            return;
        assert_true(n < 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(memory_may_end_for_good),
        cmocka_unit_test(a_transport_needs_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
