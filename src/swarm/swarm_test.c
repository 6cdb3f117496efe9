/* Connections and streams between swarms: the ordinary life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "swarm/world_test_support.h"

static struct test_world *pair(struct test_node **a, struct test_node **b)
{
    struct test_world *w = test_world_new();
    *a = test_node_add(w);
    *b = test_node_add(w);
    assert_true(test_node_start(*a));
    assert_true(test_node_start(*b));
    test_listen(*b);
    return w;
}

static void send_text(struct test_node *node, struct tern_stream stream, const char *text)
{
    size_t accepted = 0;
    assert_int_equal(tern_swarm_write(node->swarm, stream, tern_view_str(text), &accepted),
                     TERN_OK);
    assert_int_equal(accepted, strlen(text));
    test_kick(node);
}

static void listening_is_told_with_the_bound_port(void **state)
{
    (void)state;
    struct test_node *a;
    struct test_node *b;
    struct test_world *w = pair(&a, &b);
    assert_int_equal(test_count(b, TERN_SWARM_LISTENING), 1);
    assert_int_equal(test_count(b, TERN_SWARM_ADDRESSES), 1);
    struct tern_multiaddr own[4];
    struct tern_multiaddr addr;
    test_address(b, &addr);
    assert_int_equal(tern_swarm_own_addresses(b->swarm, own, 4), 1);
    assert_memory_equal(own[0].bytes, addr.bytes, addr.size);
    test_world_free(w);
}

static void a_dial_connects_both_ends(void **state)
{
    (void)state;
    struct test_node *a;
    struct test_node *b;
    struct test_world *w = pair(&a, &b);
    tern_peer peer = test_connect(a, b);
    assert_int_not_equal(peer, 0);
    assert_true(tern_peer_id_equal(tern_swarm_peer_id(a->swarm, peer), &b->id));
    assert_int_equal(test_count(a, TERN_SWARM_PEER_UP), 1);
    assert_int_equal(test_count(b, TERN_SWARM_PEER_UP), 1);
    assert_int_equal(test_count(a, TERN_SWARM_CONNECTION_UP), 1);
    assert_int_equal(test_count(a, TERN_SWARM_DIAL_DONE), 1);
    assert_int_equal(test_find(a, TERN_SWARM_DIAL_DONE, 0)->event.err, TERN_OK);
    assert_int_equal(test_find(a, TERN_SWARM_DIAL_DONE, 0)->event.peer, peer);
    struct tern_connection_info info;
    tern_connection c = tern_swarm_connection_first(a->swarm, peer);
    assert_true(tern_swarm_connection_info(a->swarm, c, &info));
    assert_true(info.outbound);
    assert_true(info.bytes_in > 0 && info.bytes_out > 0);
    assert_int_equal(tern_swarm_connection_next(a->swarm, c), 0);
    test_world_free(w);
}

static void a_stream_echoes_and_ends_in_good_order(void **state)
{
    (void)state;
    struct test_node *a;
    struct test_node *b;
    struct test_world *w = pair(&a, &b);
    tern_peer peer = test_connect(a, b);
    struct tern_stream stream = test_open(a, peer);
    send_text(a, stream, "hello");
    test_run(w, TERN_SECOND);
    assert_int_equal(test_count(a, TERN_SWARM_STREAM_READY), 1);
    assert_int_equal(test_count(b, TERN_SWARM_STREAM_OPENED), 1);
    assert_int_equal(a->received, 5);
    assert_memory_equal(a->received_last, "hello", 5);
    assert_int_equal(tern_swarm_stream_peer(a->swarm, stream), peer);
    assert_int_equal(tern_swarm_close_write(a->swarm, stream), TERN_OK);
    test_kick(a);
    test_run(w, TERN_SECOND);
    for (int i = 0; i < 2; i++) {
        const struct test_node *node = i == 0 ? a : b;
        assert_int_equal(test_count(node, TERN_SWARM_STREAM_ENDED), 1);
        assert_int_equal(test_find(node, TERN_SWARM_STREAM_ENDED, 0)->event.err, TERN_OK);
    }
    assert_int_equal(test_find(a, TERN_SWARM_STREAM_ENDED, 0)->event.user, 7);
    size_t accepted;
    assert_int_equal(tern_swarm_write(a->swarm, stream, tern_view_str("late"), &accepted),
                     TERN_ERR_STALE);
    test_world_free(w);
}

/* The channels of the real world. */
static const enum tern_secure_kind real_kinds[] = {TERN_SECURE_NOISE, TERN_SECURE_TLS};

static struct test_world *real_world(struct test_node **nodes, size_t count,
                                     enum tern_secure_kind kind)
{
    struct test_world *w = test_world_new();
    for (size_t i = 0; i < count; i++) {
        nodes[i] = test_node_add(w);
        nodes[i]->config.secure[0] = kind;
        assert_true(test_node_start(nodes[i]));
    }
    return w;
}

static void connects_in_three_round_trips(enum tern_secure_kind kind)
{
    struct test_node *nodes[2];
    struct test_world *w = real_world(nodes, 2, kind);
    test_listen(nodes[1]);
    w->latency = 50 * TERN_MILLISECOND;
    tern_time start = w->now;
    assert_int_equal(test_dial(nodes[0], nodes[1], 1), TERN_OK);
    test_run(w,
             220 * TERN_MILLISECOND); /* TCP, then message 1 and 2; the jobs take a millisecond */
    tern_peer peer = tern_swarm_find_peer(nodes[0]->swarm, &nodes[1]->id);
    assert_int_not_equal(peer, 0);
    struct tern_stream stream = test_open(nodes[0], peer);
    send_text(nodes[0], stream, "hello");
    test_run(w, 2 * TERN_SECOND);
    assert_int_equal(nodes[0]->received, 5);
    assert_true(test_dial_done(nodes[0], 1)->at - start < 4 * w->latency + 5 * TERN_MILLISECOND);
    test_world_free(w);
}

static void noise_and_tls_connect_in_three_round_trips(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(real_kinds); i++)
        connects_in_three_round_trips(real_kinds[i]);
}

static void freed_while_jobs_are_out(enum tern_secure_kind kind)
{
    struct test_node *nodes[2];
    struct test_world *w = real_world(nodes, 2, kind);
    test_listen(nodes[1]);
    /* Stop at each moment of the handshake; the check is that nothing leaks and nothing is touched.
     */
    for (tern_time step = 0; step < 60; step++) {
        assert_int_equal(test_dial(nodes[0], nodes[1], 1), TERN_OK);
        test_run(w, step * TERN_MILLISECOND);
        test_node_stop(nodes[0]);
        test_run(w, 15 * TERN_SECOND);
        assert_int_equal(tern_swarm_peers_count(nodes[1]->swarm), 0);
        assert_true(test_node_start(nodes[0]));
    }
    test_world_free(w);
}

static void a_swarm_is_freed_while_its_jobs_are_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(real_kinds); i++)
        freed_while_jobs_are_out(real_kinds[i]);
}

static void a_link_that_breaks_while_its_job_is_out_is_freed_later(void **state)
{
    (void)state;
    struct test_node *nodes[2];
    struct test_world *w = real_world(nodes, 2, TERN_SECURE_TLS);
    w->job_time = 5 * TERN_SECOND;
    test_listen(nodes[1]);
    assert_int_equal(test_dial(nodes[0], nodes[1], 1), TERN_OK);
    test_run(w, 2 * TERN_SECOND);
    test_node_stop(nodes[1]);
    test_run(w, TERN_SECOND);
    assert_int_equal(test_dial_done(nodes[0], 1)->event.err, TERN_ERR_DISCONNECTED);
    test_run(w, 10 * TERN_SECOND);
    test_world_free(w);
}

/* ask_for_more: a service that dials from each answer to a dial, without end. */
static void ask_for_more(struct test_node *node, const struct tern_swarm_event *event)
{
    if (event->kind != TERN_SWARM_DIAL_DONE)
        return;
    node->log_count = 0;
    node->balance[0]++;
    tern_err err =
        tern_swarm_dial(node->swarm, node->world->now,
                        &(struct tern_dial_options){.id = event->peer_id, .token = event->token});
    assert_int_equal(err, TERN_OK);
}

static void a_service_that_never_stops_calling_does_not_stop_the_world(void **state)
{
    (void)state;
    struct test_node *a;
    struct test_node *b;
    struct test_world *w = pair(&a, &b);
    tern_peer peer = test_connect(a, b);
    assert_int_not_equal(peer, 0);
    a->hook = ask_for_more;
    assert_int_equal(test_dial(a, b, 1), TERN_OK); /* comes back */
    assert_true(a->balance[0] > 1000);
    assert_true(tern_swarm_deadline(a->swarm) <= w->now); /* there is more to do */
    a->hook = NULL;
    test_run(w, TERN_SECOND);
    test_world_free(w);
}

/* --- jobs and storage of services --- */

struct work_job {
    struct tern_job job;
    int answer;
};

struct worker {
    struct work_job job;
    struct tern_store_request request;
    struct tern_store_op op;
    int jobs_done;
    int stored;
    tern_time ticked_at;
    tern_time deadline;
};

static void work_run(struct tern_job *job)
{
    TERN_CONTAINER_OF(job, struct work_job, job)->answer = 42;
}

static void worker_event(void *self, tern_time now, const struct tern_swarm_event *event)
{
    (void)self;
    (void)now;
    (void)event;
}

static tern_time worker_deadline(const void *self)
{
    return ((const struct worker *)self)->deadline;
}

static void worker_tick(void *self, tern_time now)
{
    struct worker *worker = self;
    worker->ticked_at = now;
    worker->deadline = TERN_TIME_NEVER;
}

static void worker_job_done(void *self, tern_time now, struct tern_job *job)
{
    struct worker *worker = self;
    (void)now;
    worker->jobs_done += job == &worker->job.job;
}

static void worker_stored(void *self, tern_time now, struct tern_store_request *request)
{
    struct worker *worker = self;
    (void)now;
    worker->stored += request == &worker->request && request->err == TERN_OK;
}

static void jobs_and_requests_come_back_to_their_service(void **state)
{
    (void)state;
    static const struct tern_service_ops ops = {.name = "worker",
                                                .event = worker_event,
                                                .deadline = worker_deadline,
                                                .tick = worker_tick,
                                                .job_done = worker_job_done,
                                                .stored = worker_stored};
    struct test_node *a;
    struct test_node *b;
    struct test_world *w = pair(&a, &b);
    struct worker worker = {.deadline = w->now + 3 * TERN_SECOND};
    tern_time due = worker.deadline;
    uint32_t service;
    assert_int_equal(tern_swarm_add_service(a->swarm, &ops, &worker, &service), TERN_OK);
    worker.job.job.run = work_run;
    tern_swarm_submit_job(a->swarm, service, &worker.job.job);
    worker.op = (struct tern_store_op){
        .kind = TERN_STORE_PUT, .key = tern_view_str("k"), .value = tern_view_str("v")};
    worker.request =
        (struct tern_store_request){.kind = TERN_STORE_WRITE, .ops = &worker.op, .ops_count = 1};
    tern_swarm_submit_store(a->swarm, service, &worker.request);
    test_kick(a);
    test_run(w, 10 * TERN_SECOND);
    assert_int_equal(worker.jobs_done, 1);
    assert_int_equal(worker.job.answer, 42);
    assert_int_equal(worker.stored, 1);
    assert_int_equal(worker.ticked_at, due);
    test_world_free(w);
}

static void services_and_protocols_are_bounded(void **state)
{
    (void)state;
    struct test_node *a;
    struct test_node *b;
    struct test_world *w = pair(&a, &b);
    static char names[TERN_SWARM_PROTOCOLS_MAX + 1][8];
    uint32_t service;
    static const struct tern_service_ops ops = {
        .name = "idle", .event = worker_event, .deadline = worker_deadline, .tick = worker_tick};
    struct worker worker = {.deadline = TERN_TIME_NEVER};
    for (int i = 1; i < TERN_SWARM_SERVICES_MAX; i++)
        assert_int_equal(tern_swarm_add_service(a->swarm, &ops, &worker, &service), TERN_OK);
    assert_int_equal(tern_swarm_add_service(a->swarm, &ops, &worker, &service), TERN_ERR_FULL);
    for (int i = 1; i <= TERN_SWARM_PROTOCOLS_MAX; i++) {
        names[i][0] = '/';
        names[i][1] = (char)('0' + i);
        const struct tern_protocol protocol = {.name = tern_view_of(names[i], 2), .handler = 1};
        assert_int_equal(tern_swarm_handle(a->swarm, &protocol),
                         i < TERN_SWARM_PROTOCOLS_MAX ? TERN_OK : TERN_ERR_FULL);
    }
    test_world_free(w);
}

static void what_a_peer_supports_is_told_and_bounded(void **state)
{
    (void)state;
    struct test_node *a;
    struct test_node *b;
    struct test_world *w = pair(&a, &b);
    tern_peer peer = test_connect(a, b);
    struct tern_view names[200];
    static char text[200][300];
    for (int i = 0; i < 200; i++) {
        memset(text[i], 'x', sizeof text[i]);
        text[i][0] = (char)i;
        names[i] = tern_view_of(text[i], (size_t)(i == 3 ? 300 : i + 1));
    }
    tern_swarm_set_peer_protocols(a->swarm, peer, names, 200);
    test_kick(a);
    assert_int_equal(test_count(a, TERN_SWARM_PROTOCOLS), 1);
    assert_true(tern_swarm_peer_supports(a->swarm, peer, names[2]));
    assert_false(tern_swarm_peer_supports(a->swarm, peer, names[3])); /* too long a name */
    assert_true(tern_swarm_peer_supports(a->swarm, peer, names[63]));
    assert_false(tern_swarm_peer_supports(a->swarm, peer, names[64])); /* too many */
    tern_swarm_set_peer_protocols(a->swarm, peer, names, 200);
    test_kick(a);
    assert_int_equal(test_count(a, TERN_SWARM_PROTOCOLS), 1); /* nothing new */
    tern_swarm_set_peer_protocols(a->swarm, peer, names, 1);
    test_kick(a);
    assert_int_equal(test_count(a, TERN_SWARM_PROTOCOLS), 2);
    assert_false(tern_swarm_peer_supports(a->swarm, peer, names[2]));
    test_world_free(w);
}

static void listeners_come_and_go(void **state)
{
    (void)state;
    struct test_node *a;
    struct test_node *b;
    struct test_world *w = pair(&a, &b);
    struct tern_multiaddr addr;
    struct tern_multiaddr own[20];
    test_address(b, &addr);
    assert_int_equal(tern_swarm_listen(a->swarm, &addr), TERN_OK); /* b's address is taken */
    test_kick(a);
    test_run(w, TERN_SECOND);
    assert_int_equal(test_find(a, TERN_SWARM_LISTEN_FAILED, 0)->event.err, TERN_ERR_EXISTS);
    assert_int_equal(tern_multiaddr_parse(tern_view_str("/ip4/0.0.0.0/tcp/0"), &addr, NULL),
                     TERN_OK);
    for (int i = 0; i <= TERN_SWARM_LISTENERS_MAX; i++)
        assert_int_equal(tern_swarm_listen(a->swarm, &addr),
                         i < TERN_SWARM_LISTENERS_MAX ? TERN_OK : TERN_ERR_FULL);
    test_kick(a);
    test_run(w, TERN_SECOND);
    assert_int_equal(test_count(a, TERN_SWARM_LISTENING), TERN_SWARM_LISTENERS_MAX);
    assert_int_equal(tern_swarm_own_addresses(a->swarm, own, 20), TERN_SWARM_LISTENERS_MAX);
    struct tern_multiaddr_socket socket;
    assert_true(tern_multiaddr_socket(tern_multiaddr_view(&own[0]), &socket));
    assert_int_equal(tern_ip_range(&socket.ip), TERN_IP_LOOPBACK);
    assert_int_not_equal(socket.port, 0);
    tern_swarm_unlisten(a->swarm, &addr);
    test_kick(a);
    assert_int_equal(tern_swarm_own_addresses(a->swarm, own, 20), 0);
    assert_int_equal(tern_swarm_listen(a->swarm, &addr), TERN_OK);
    tern_swarm_unlisten(a->swarm, &addr); /* before the world has heard of it */
    assert_int_equal(tern_swarm_listen(a->swarm, &addr), TERN_OK);
    test_kick(a);
    tern_swarm_unlisten(a->swarm, &addr); /* before it has answered */
    test_kick(a);
    test_run(w, TERN_SECOND);
    assert_int_equal(tern_swarm_own_addresses(a->swarm, own, 20), 0);
    assert_int_equal(test_count(a, TERN_SWARM_LISTENING), TERN_SWARM_LISTENERS_MAX);
    assert_int_equal(tern_multiaddr_parse(tern_view_str("/ip4/1.2.3.4/udp/1"), &addr, NULL),
                     TERN_OK);
    assert_int_equal(tern_swarm_listen(a->swarm, &addr), TERN_ERR_UNSUPPORTED);
    test_world_free(w);
}

/* --- what it costs --- */

static void messages_allocate_nothing_in_the_swarm(void **state)
{
    (void)state;
    struct test_node *a;
    struct test_node *b;
    struct test_world *w = pair(&a, &b);
    tern_peer peer = test_connect(a, b);
    struct tern_stream stream = test_open(a, peer);
    for (int i = 0; i < 10; i++) {
        send_text(a, stream, "warm up");
        test_run(w, 100 * TERN_MILLISECOND);
    }
    size_t before = b->mem.used;
    uint64_t allocs = b->mem.allocs;
    uint64_t chunks = b->chunks;
    for (int i = 0; i < 200; i++) {
        send_text(a, stream, "message");
        test_run(w, 100 * TERN_MILLISECOND);
    }
    /* What the connection keeps of a chunk is its own affair: at most one copy a message each way.
     */
    allocs = b->mem.allocs - allocs - (b->chunks - chunks);
    print_message("swarm: %llu allocations for 200 echoed messages\n", (unsigned long long)allocs);
    assert_true(allocs <= 400);
    assert_int_equal(b->mem.used, before);
    assert_int_equal(a->received, 10 * 7 + 200 * 7);
    test_world_free(w);
}

static void idle_connection_holds_little_memory(enum tern_secure_kind kind, const char *name)
{
    struct test_node *nodes[6];
    struct test_world *w = real_world(nodes, 6, kind);
    test_listen(nodes[0]);
    assert_int_not_equal(test_connect(nodes[1], nodes[0]), 0); /* tables have grown */
    test_run(w, 10 * TERN_SECOND);
    size_t before = nodes[0]->mem.used;
    for (int i = 2; i < 6; i++)
        assert_int_not_equal(test_connect(nodes[i], nodes[0]), 0);
    test_run(w, 10 * TERN_SECOND);
    size_t each = (nodes[0]->mem.used - before) / 4;
    print_message("swarm: %zu bytes held for an idle connection, %s and yamux included\n", each,
                  name);
    assert_int_equal(tern_swarm_peers_count(nodes[0]->swarm), 5);
    assert_true(each < 8192);
    test_world_free(w);
}

static void an_idle_connection_holds_little_memory(void **state)
{
    (void)state;
    idle_connection_holds_little_memory(TERN_SECURE_NOISE, "Noise");
    idle_connection_holds_little_memory(TERN_SECURE_TLS, "TLS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listening_is_told_with_the_bound_port),
        cmocka_unit_test(a_dial_connects_both_ends),
        cmocka_unit_test(a_stream_echoes_and_ends_in_good_order),
        cmocka_unit_test(noise_and_tls_connect_in_three_round_trips),
        cmocka_unit_test(a_swarm_is_freed_while_its_jobs_are_out),
        cmocka_unit_test(a_link_that_breaks_while_its_job_is_out_is_freed_later),
        cmocka_unit_test(jobs_and_requests_come_back_to_their_service),
        cmocka_unit_test(services_and_protocols_are_bounded),
        cmocka_unit_test(what_a_peer_supports_is_told_and_bounded),
        cmocka_unit_test(listeners_come_and_go),
        cmocka_unit_test(messages_allocate_nothing_in_the_swarm),
        cmocka_unit_test(an_idle_connection_holds_little_memory),
        cmocka_unit_test(a_service_that_never_stops_calling_does_not_stop_the_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
