/*
 * Connections on sessions: QUIC carries them in virtual time. Established, streams lazily agreed,
 * what may come early and what waits, ends and their codes; and never a job.
 */
#include "conn/conn.h"
#include "quic/quic.h"
#include "quic/quic_testing.h"
#include "session_world.h"
#include "tern_test.h"

#define RTT  (100 * TERN_MILLISECOND)
#define ASK  "/test/ask/1"  /* may be asked again by who recorded it */
#define TELL "/test/tell/1" /* may not */

enum { CONNS_MAX = 8, LOG_MAX = 256, ANSWER_MAX = 64 };

static const struct datagram_link slow = {.latency_ns = RTT / 2};

/* A connection as its owner sees it. */
struct seen {
    struct tern_conn *conn; /* NULL: freed */
    struct tern_conn_event log[LOG_MAX];
    tern_time at[LOG_MAX];
    size_t log_count;
    tern_stream_id own; /* opened here */
    uint8_t answer[ANSWER_MAX];
    size_t answer_size;
    tern_time answer_at;
};

struct host {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_scope scope;
    struct tern_scope windows;
    struct tern_metrics metrics;
    struct tern_conn_config config;
    struct tern_session_transport transport;
    size_t node;
    tern_link_id socket;
    struct tern_endpoint at;
    struct seen seen[CONNS_MAX];
    size_t seen_count;
    bool mute; /* does not echo */
};

struct fixture {
    struct session_world world;
    struct host hosts[2]; /* the first dials */
};

static const struct tern_protocol protocols[] = {
    {.name = {(const uint8_t *)ASK, sizeof ASK - 1}, .replay_harmless = true},
    {.name = {(const uint8_t *)TELL, sizeof TELL - 1}},
};
static const struct tern_protocol_table table = {protocols, TERN_COUNT_OF(protocols)};

/* --- owners --- */

static size_t count_of(const struct seen *seen, enum tern_conn_event_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < seen->log_count; i++)
        count += seen->log[i].kind == kind;
    return count;
}

static size_t find(const struct seen *seen, enum tern_conn_event_kind kind)
{
    for (size_t i = seen->log_count; i-- > 0;)
        if (seen->log[i].kind == kind)
            return i;
    fail_msg("no event of kind %d", (int)kind);
    return 0;
}

static struct tern_conn_event event_of(const struct seen *seen, enum tern_conn_event_kind kind)
{
    return seen->log[find(seen, kind)];
}

/* seen_read: the opener keeps what comes, the other side sends it back. */
static void seen_read(const struct fixture *f, struct seen *seen, tern_stream_id stream, bool echo)
{
    struct tern_slice bytes;
    tern_err err;
    while ((err = tern_conn_read(seen->conn, stream, &bytes)) == TERN_OK) {
        size_t size = bytes.view.size;
        if (stream == seen->own) {
            if (seen->answer_size == 0)
                seen->answer_at = f->world.now;
            size = tern_min_size(size, ANSWER_MAX - seen->answer_size);
            memcpy(seen->answer + seen->answer_size, bytes.view.data, size);
            seen->answer_size += size;
        } else if (!echo) {
            return;
        } else if (tern_conn_write(seen->conn, stream, bytes.view, &size) != TERN_OK) {
            tern_conn_reset(seen->conn, stream, 9);
            return;
        }
        tern_conn_consume(seen->conn, stream, size);
        if (size == 0)
            return;
    }
    if (err == TERN_ERR_END)
        TERN_IGNORE(tern_conn_close_write(seen->conn, stream));
}

static void seen_drain(const struct fixture *f, struct host *host, struct seen *seen)
{
    struct tern_conn_event event;
    while (seen->conn != NULL && tern_conn_next(seen->conn, f->world.now, &event)) {
        assert_true(seen->log_count < LOG_MAX);
        assert_int_equal(count_of(seen, TERN_CONN_CLOSED), 0); /* it is the last */
        assert_int_not_equal(event.kind, TERN_CONN_JOB);
        seen->at[seen->log_count] = f->world.now;
        seen->log[seen->log_count++] = event;
        if (event.kind == TERN_CONN_STREAM_READABLE || event.kind == TERN_CONN_STREAM_WRITABLE)
            seen_read(f, seen, event.stream, !host->mute);
    }
}

static struct seen *seen_new(struct fixture *f, struct host *host, enum tern_role role,
                             const struct tern_session *session)
{
    assert_true(host->seen_count > 0 && host->seen_count <= CONNS_MAX);
    struct seen *seen = &host->seen[host->seen_count - 1];
    const struct tern_conn_options options = {.role = role, .scope = &host->scope};
    seen->conn = tern_conn_new_session(&host->config, &options, session, f->world.now);
    return seen;
}

static void on_event(void *context, size_t node, const struct tern_session_event *event)
{
    struct fixture *f = context;
    struct host *host = &f->hosts[node];
    if (event->kind == TERN_SESSION_ACTIVE) {
        seen_drain(f, host, &host->seen[event->tag]);
        return;
    }
    struct tern_session session;
    memset(&host->seen[host->seen_count], 0, sizeof host->seen[0]);
    tern_err err = host->transport.ops->accept(host->transport.self, f->world.now, &host->scope,
                                               host->seen_count, &session);
    if (err != TERN_OK)
        return;
    host->seen_count++;
    (void)seen_new(f, host, TERN_ROLE_RESPONDER, &session);
}

/* --- the world --- */

static void host_init(struct fixture *f, unsigned n)
{
    struct host *host = &f->hosts[n];
    tern_mem_init(&host->mem, 0);
    tern_random_init_u64(&host->random, 50 + n);
    tern_scope_init(&host->scope, "connection", NULL, NULL);
    tern_scope_init(&host->windows, "windows", NULL, NULL);
    host->config = (struct tern_conn_config){.mem = &host->mem,
                                             .random = &host->random,
                                             .metrics = &host->metrics,
                                             .protocols = &table,
                                             .windows = &host->windows,
                                             .upgrade_timeout_ns = 10 * TERN_SECOND,
                                             .negotiate_timeout_ns = 5 * TERN_SECOND};
    const struct tern_quic_options options = {.mem = &host->mem,
                                              .random = &host->random,
                                              .identity = quic_testing_identity(n),
                                              .windows = &host->windows,
                                              .metrics = &host->metrics,
                                              .idle_timeout_ns = 8 * TERN_SECOND};
    assert_ok(tern_quic_new(&options, f->world.now, &host->transport));
    host->node = session_world_add(&f->world, host->transport);
    host->at = datagram_endpoint((uint8_t)(n + 1), 4001);
    host->socket = session_world_bind(&f->world, host->node, &host->at, &slow);
}

static struct fixture *start(void)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    session_world_init(&f.world, 1, on_event, &f);
    host_init(&f, 0);
    host_init(&f, 1);
    return &f;
}

static void end(struct fixture *f)
{
    for (unsigned n = 0; n < 2; n++) {
        for (size_t i = 0; i < f->hosts[n].seen_count; i++)
            tern_conn_free(f->hosts[n].seen[i].conn);
        tern_scope_fini(&f->hosts[n].scope);
        tern_scope_fini(&f->hosts[n].windows);
    }
    session_world_fini(&f->world);
    for (unsigned n = 0; n < 2; n++)
        tern_mem_fini(&f->hosts[n].mem);
}

/* next_tick is when a connection wants to be called. */
static tern_time next_tick(const struct fixture *f, tern_time limit)
{
    for (unsigned n = 0; n < 2; n++)
        for (size_t i = 0; i < f->hosts[n].seen_count; i++)
            if (f->hosts[n].seen[i].conn != NULL)
                limit = tern_time_min(limit, tern_conn_deadline(f->hosts[n].seen[i].conn));
    return limit;
}

static void tick(struct fixture *f)
{
    for (unsigned n = 0; n < 2; n++) {
        for (size_t i = 0; i < f->hosts[n].seen_count; i++) {
            struct seen *seen = &f->hosts[n].seen[i];
            if (seen->conn != NULL && tern_conn_deadline(seen->conn) <= f->world.now)
                tern_conn_tick(seen->conn, f->world.now);
            seen_drain(f, &f->hosts[n], seen);
        }
    }
}

static void run(struct fixture *f, tern_time duration)
{
    tern_time until = f->world.now + duration;
    do {
        while (session_world_step(&f->world, next_tick(f, until)))
            continue;
        tick(f);
    } while (f->world.now < until);
    (void)session_world_flush(&f->world);
}

static tern_err try_dial(struct fixture *f, unsigned peer, struct seen **seen)
{
    struct host *host = &f->hosts[0];
    struct tern_session session;
    const struct tern_session_dial dial = {.expected_peer = quic_testing_peer(peer),
                                           .socket = host->socket,
                                           .remote = f->hosts[1].at,
                                           .scope = &host->scope,
                                           .tag = host->seen_count};
    assert_true(host->seen_count < CONNS_MAX);
    memset(&host->seen[host->seen_count], 0, sizeof host->seen[0]);
    tern_err err = host->transport.ops->dial(host->transport.self, f->world.now, &dial, &session);
    if (err != TERN_OK)
        return err;
    host->seen_count++;
    *seen = seen_new(f, host, TERN_ROLE_INITIATOR, &session);
    return (*seen)->conn == NULL ? TERN_ERR_MEMORY : TERN_OK;
}

static struct seen *dial(struct fixture *f, unsigned peer)
{
    struct seen *seen = NULL;
    assert_ok(try_dial(f, peer, &seen));
    (void)session_world_flush(&f->world);
    return seen;
}

static struct seen *last_of(struct host *host)
{
    assert_true(host->seen_count > 0);
    return &host->seen[host->seen_count - 1];
}

/* open_stream opens one and writes a question. */
static tern_err open_stream(const struct fixture *f, struct seen *seen, const char *name,
                            bool harmless)
{
    size_t accepted;
    const struct tern_view names[] = {tern_view_str(name)};
    const struct tern_stream_offer offer = {
        .names = names, .names_count = 1, .class = TERN_STREAM_BULK, .replay_harmless = harmless};
    TERN_TRY(tern_conn_open_stream(seen->conn, f->world.now, &offer, &seen->own));
    return tern_conn_write(seen->conn, seen->own, tern_view_str("how are you?"), &accepted);
}

static void expect_answer(const struct seen *seen)
{
    assert_int_equal(seen->answer_size, 12);
    assert_memory_equal(seen->answer, "how are you?", 12);
}

/* --- tests --- */

static void a_session_is_a_connection(void **state)
{
    (void)state;
    struct fixture *f = start();
    struct seen *a = dial(f, 1);
    const tern_time since = f->world.now;
    run(f, RTT + TERN_MILLISECOND);
    assert_int_equal(a->log[0].kind, TERN_CONN_ESTABLISHED);
    assert_in_range(a->at[0] - since, RTT, RTT + TERN_MILLISECOND);
    const struct tern_secure_remote *remote = tern_conn_remote(a->conn);
    assert_true(tern_peer_id_equal(remote->peer_id, quic_testing_peer(1)));
    assert_non_null(tern_conn_session(a->conn));
    assert_ok(open_stream(f, a, TELL, false));
    run(f, 10 * TERN_SECOND / 2);
    expect_answer(a);
    /* Two round trips from nothing to the first byte of an answer. */
    assert_in_range(a->answer_at - since, 2 * RTT, 2 * RTT + 2 * TERN_MILLISECOND);
    assert_int_equal(count_of(a, TERN_CONN_STREAM_READY), 1);
    assert_true(count_of(a, TERN_CONN_RTT) >= 1);
    struct seen *b = last_of(&f->hosts[1]);
    assert_int_equal(b->log[0].kind, TERN_CONN_ESTABLISHED);
    assert_true(
        tern_view_equal(event_of(b, TERN_CONN_STREAM_OPENED).protocol->name, tern_view_str(TELL)));
    assert_false(tern_conn_want_send(a->conn));
    end(f);
}

/* meet lets a connection come and go, after which the dialler has a ticket. */
static void meet(struct fixture *f)
{
    struct seen *a = dial(f, 1);
    run(f, TERN_SECOND);
    tern_conn_close(a->conn, f->world.now, 0);
    run(f, 5 * TERN_SECOND);
    assert_int_equal(event_of(a, TERN_CONN_CLOSED).err, TERN_OK);
}

static void what_is_harmless_is_asked_in_one_round_trip(void **state)
{
    (void)state;
    struct fixture *f = start();
    meet(f);
    tern_time since = f->world.now;
    struct seen *a = dial(f, 1);
    assert_int_equal(a->log_count, 1); /* established at once */
    assert_ok(open_stream(f, a, ASK, true));
    (void)session_world_flush(&f->world);
    run(f, TERN_SECOND);
    expect_answer(a);
    assert_in_range(a->answer_at - since, RTT, RTT + TERN_MILLISECOND);
    end(f);
}

static void what_is_not_waits_until_the_remote_is_there(void **state)
{
    (void)state;
    /* Held by the dialler; and by the other side, if the dialler does not. */
    for (unsigned marked = 0; marked < 2; marked++) {
        struct fixture *f = start();
        meet(f);
        tern_time since = f->world.now;
        struct seen *a = dial(f, 1);
        assert_ok(open_stream(f, a, TELL, marked));
        (void)session_world_flush(&f->world);
        run(f, TERN_SECOND);
        expect_answer(a);
        assert_in_range(a->answer_at - since, 2 * RTT, 2 * RTT + TERN_MILLISECOND);
        const struct seen *b = last_of(&f->hosts[1]);
        assert_in_range(b->at[0] - since, RTT / 2, RTT / 2 + TERN_MILLISECOND);
        tern_time opened = b->at[find(b, TERN_CONN_STREAM_OPENED)] - since;
        assert_in_range(opened, RTT + RTT / 2, RTT + RTT / 2 + TERN_MILLISECOND);
        end(f);
    }
}

static void streams_are_refused_and_reset_with_codes(void **state)
{
    (void)state;
    struct fixture *f = start();
    struct seen *a = dial(f, 1);
    run(f, TERN_SECOND);
    assert_ok(open_stream(f, a, "/test/unknown/1", false));
    run(f, TERN_SECOND);
    assert_int_equal(count_of(a, TERN_CONN_STREAM_REFUSED), 1);
    f->hosts[1].mute = true;
    assert_ok(open_stream(f, a, TELL, false));
    run(f, TERN_SECOND);
    tern_conn_reset(a->conn, a->own, 0x1234);
    run(f, TERN_SECOND);
    const struct seen *b = last_of(&f->hosts[1]);
    assert_int_equal(event_of(b, TERN_CONN_STREAM_RESET).code, 0x1234);
    assert_int_equal(tern_conn_streams_count(a->conn), 0);
    end(f);
}

/* say lets the session of a connection write on a stream that the connection does not know. */
static void say(struct fixture *f, const struct seen *seen, tern_stream_id stream, const char *text)
{
    const struct tern_mux *mux = &tern_conn_session(seen->conn)->mux;
    size_t accepted;
    assert_ok(mux->ops->write(mux->self, stream, tern_view_str(text), &accepted));
    assert_int_equal(accepted, strlen(text));
    (void)session_world_flush(&f->world);
}

/* However long a connection was silent, a stream that the remote opens has the whole time for its
 * negotiation, and no more. */
static void a_stream_after_a_silence_has_its_time_to_negotiate(void **state)
{
    (void)state;
    struct fixture *f = start();
    const struct seen *a = dial(f, 1);
    run(f, 7 * TERN_SECOND);
    const struct seen *b = last_of(&f->hosts[1]);
    const struct tern_mux *mux = &tern_conn_session(a->conn)->mux;
    tern_stream_id streams[2];
    for (size_t i = 0; i < 2; i++) {
        assert_ok(mux->ops->open(mux->self, TERN_STREAM_BULK, &streams[i]));
        say(f, a, streams[i], "\x13/multistream/1.0.0\n");
    }
    run(f, 4 * TERN_SECOND);
    assert_int_equal(count_of(b, TERN_CONN_STREAM_FAULT), 0);
    say(f, a, streams[0], "\x0d" TELL "\n");
    run(f, 4 * TERN_SECOND);
    assert_int_equal(count_of(b, TERN_CONN_STREAM_OPENED), 1);
    assert_int_equal(count_of(b, TERN_CONN_STREAM_FAULT), 1);
    assert_int_equal(event_of(b, TERN_CONN_STREAM_FAULT).fault, TERN_FAULT_CONN_NEGOTIATE_TIMEOUT);
    end(f);
}

static void an_end_has_a_code(void **state)
{
    (void)state;
    struct fixture *f = start();
    struct seen *a = dial(f, 1);
    run(f, TERN_SECOND);
    assert_ok(open_stream(f, a, TELL, false));
    tern_conn_close(a->conn, f->world.now, 0x1004);
    run(f, TERN_SECOND);
    assert_int_equal(event_of(a, TERN_CONN_CLOSED).err, TERN_OK);
    const struct seen *b = last_of(&f->hosts[1]);
    assert_int_equal(event_of(b, TERN_CONN_GOAWAY).code, 0x1004);
    assert_int_equal(event_of(b, TERN_CONN_CLOSED).err, TERN_ERR_DISCONNECTED);
    /* What was written before has arrived. */
    assert_int_equal(count_of(b, TERN_CONN_STREAM_OPENED), 1);
    end(f);
}

static void a_remote_that_is_gone_is_a_time_out(void **state)
{
    (void)state;
    struct fixture *f = start();
    struct seen *a = dial(f, 1);
    run(f, TERN_SECOND);
    datagram_net_socket(&f->world.net, f->hosts[1].socket)->link.down = true;
    assert_ok(open_stream(f, a, TELL, false));
    run(f, 20 * TERN_SECOND);
    assert_int_equal(event_of(a, TERN_CONN_CLOSED).err, TERN_ERR_TIMEOUT);
    assert_int_equal(event_of(a, TERN_CONN_CLOSED).fault, TERN_FAULT_NONE);
    end(f);
}

static void a_wrong_peer_is_never_established(void **state)
{
    (void)state;
    struct fixture *f = start();
    struct seen *a = dial(f, 3);
    run(f, TERN_SECOND);
    assert_int_equal(count_of(a, TERN_CONN_ESTABLISHED), 0);
    assert_int_equal(event_of(a, TERN_CONN_CLOSED).err, TERN_ERR_PEER_MISMATCH);
    assert_int_equal(event_of(a, TERN_CONN_CLOSED).fault, TERN_FAULT_QUIC_WRONG_PEER);
    assert_int_equal(count_of(last_of(&f->hosts[1]), TERN_CONN_ESTABLISHED), 0);
    end(f);
}

static void freed_in_the_middle(void **state)
{
    (void)state;
    /* At every moment of a dial with a stream. */
    for (tern_time at = 0; at < 3 * RTT; at += RTT / 7) {
        struct fixture *f = start();
        struct seen *a = dial(f, 1);
        run(f, tern_time_min(at, RTT + 1));
        if (count_of(a, TERN_CONN_ESTABLISHED) > 0)
            assert_ok(open_stream(f, a, TELL, false));
        run(f, at > RTT ? at - RTT : 0);
        tern_conn_free(a->conn);
        a->conn = NULL;
        run(f, 20 * TERN_SECOND);
        const struct seen *b = last_of(&f->hosts[1]);
        assert_int_equal(count_of(b, TERN_CONN_CLOSED), 1);
        end(f);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        bool failed = true;
        for (uint64_t n = 1; failed; n += n < 80 ? 1 : 5) {
            struct fixture *f = start();
            struct tern_mem *mem = &f->hosts[side].mem;
            uint64_t before = mem->allocs;
            tern_mem_fail_at(mem, n, false);
            struct seen *a = NULL;
            tern_err err = try_dial(f, 1, &a);
            assert_true(err == TERN_OK || err == TERN_ERR_MEMORY);
            run(f, TERN_SECOND);
            if (err == TERN_OK && count_of(a, TERN_CONN_ESTABLISHED) > 0)
                TERN_IGNORE(open_stream(f, a, TELL, false));
            run(f, TERN_SECOND);
            failed = mem->allocs - before >= n;
            tern_mem_fail_at(mem, 0, false);
            end(f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_a_connection),
        cmocka_unit_test(what_is_harmless_is_asked_in_one_round_trip),
        cmocka_unit_test(what_is_not_waits_until_the_remote_is_there),
        cmocka_unit_test(streams_are_refused_and_reset_with_codes),
        cmocka_unit_test(a_stream_after_a_silence_has_its_time_to_negotiate),
        cmocka_unit_test(an_end_has_a_code),
        cmocka_unit_test(a_remote_that_is_gone_is_a_time_out),
        cmocka_unit_test(a_wrong_peer_is_never_established),
        cmocka_unit_test(freed_in_the_middle),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
