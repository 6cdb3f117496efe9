/* Streams against a remote that says exactly what it is told to, and tells what it hears. */
#include "tern_test.h"
#include "webrtc/webrtc_puppet.h"

/* One host, and a puppet that has joined it. */
struct meeting {
    struct webrtc_world world;
    struct webrtc_puppet puppet;
    struct webrtc_host *host;
    struct webrtc_seen *seen;
};

static struct meeting *meet_with(struct tern_webrtc_options options)
{
    struct meeting *m = test_calloc(1, sizeof *m);
    webrtc_world_init(&m->world, 1);
    webrtc_world_pair(&m->world, NULL);
    m->host = webrtc_world_add(&m->world, options, NULL);
    webrtc_puppet_dialer(&m->puppet, &m->world, m->host);
    webrtc_puppet_join(&m->puppet);
    m->seen = m->host->last;
    return m;
}

static struct meeting *meet(void)
{
    return meet_with((struct tern_webrtc_options){.mem = NULL});
}

/* meet_listening is a host that has dialled the puppet. */
static struct meeting *meet_listening(void)
{
    struct meeting *m = test_calloc(1, sizeof *m);
    webrtc_world_init(&m->world, 1);
    m->host = webrtc_world_add(&m->world, (struct tern_webrtc_options){.mem = NULL}, NULL);
    webrtc_puppet_listener(&m->puppet, &m->world);
    assert_ok(webrtc_world_try_dial(m->host, &m->puppet.at, 1, true, &m->seen));
    webrtc_puppet_join(&m->puppet);
    return m;
}

static void part(struct meeting *m)
{
    webrtc_world_fini(&m->world);
    webrtc_puppet_fini(&m->puppet);
    test_free(m);
}

static void run(struct meeting *m)
{
    webrtc_world_run(&m->world, TERN_SECOND);
}

static size_t faults(const struct meeting *m, tern_fault fault)
{
    return m->host->metrics.faults[fault];
}

/* opened is the stream that the remote has opened last. */
static tern_stream_id opened(struct meeting *m)
{
    return webrtc_seen_event(m->seen, TERN_MUX_STREAM_OPENED).stream;
}

static tern_stream_id open_by_puppet(struct meeting *m, uint16_t channel)
{
    webrtc_puppet_open(&m->puppet, channel);
    run(m);
    return opened(m);
}

/* ---- lives ---- */

static void a_stream_of_theirs_lives_and_ends(void **state)
{
    (void)state;
    struct meeting *m = meet();
    tern_stream_id id = open_by_puppet(m, 2);
    webrtc_puppet_expect(&m->puppet, "2 ack\n");
    webrtc_puppet_text(&m->puppet, 2, "hello");
    run(m);
    webrtc_seen_expect(m->seen, id, "hello");
    webrtc_seen_write(m->seen, id, "good day");
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_FIN, 0);
    run(m);
    webrtc_puppet_expect(&m->puppet, "2 bytes good day\n2 fin ack\n");
    assert_int_equal(webrtc_seen_read(m->seen, id), TERN_ERR_END);
    webrtc_seen_close(m->seen, id);
    run(m);
    webrtc_puppet_expect(&m->puppet, "2 fin\n");
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_CLOSED), 1);
    /* The channel stays until our end is acknowledged. */
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_FIN_ACK, 0);
    run(m);
    webrtc_puppet_expect(&m->puppet, "2 closed\n");
    webrtc_puppet_close(&m->puppet, 2);
    run(m);
    webrtc_puppet_expect(&m->puppet, "2 gone\n");
    assert_int_equal(m->host->scope.used[TERN_RESOURCE_STREAMS_IN], 0);
    part(m);
}

static void a_stream_of_ours_lives_and_ends(void **state)
{
    (void)state;
    struct meeting *m = meet();
    tern_stream_id id = webrtc_seen_open(m->seen);
    run(m);
    webrtc_puppet_expect(&m->puppet, "");
    webrtc_seen_write(m->seen, id, "first");
    webrtc_seen_close(m->seen, id);
    run(m);
    webrtc_puppet_expect(&m->puppet, "1 open\n1 bytes first\n1 fin\n");
    webrtc_puppet_flag(&m->puppet, 1, TERN_MESSAGE_FIN_ACK, 0);
    webrtc_puppet_text(&m->puppet, 1, "answer");
    webrtc_puppet_flag(&m->puppet, 1, TERN_MESSAGE_FIN, 0);
    run(m);
    webrtc_puppet_expect(&m->puppet, "1 fin ack\n1 closed\n");
    /* The channel is closed; what came on it can be read all the same. */
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_CLOSED), 0);
    webrtc_puppet_close(&m->puppet, 1);
    run(m);
    webrtc_puppet_expect(&m->puppet, "1 gone\n");
    webrtc_seen_expect(m->seen, id, "answer");
    assert_int_equal(webrtc_seen_read(m->seen, id), TERN_ERR_END);
    run(m);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_CLOSED), 1);
    assert_int_equal(webrtc_seen_read(m->seen, id), TERN_ERR_STALE);
    tern_stream_id next = webrtc_seen_open(m->seen);
    webrtc_seen_write(m->seen, next, "second");
    run(m);
    webrtc_puppet_expect(&m->puppet, "3 open\n3 bytes second\n");
    part(m);
}

static void a_dialer_opens_even_numbers(void **state)
{
    (void)state;
    struct meeting *m = meet_listening();
    for (int i = 0; i < 2; i++) {
        tern_stream_id id = webrtc_seen_open(m->seen);
        webrtc_seen_write(m->seen, id, "x");
    }
    run(m);
    webrtc_puppet_expect(&m->puppet, "2 open\n2 bytes x\n4 open\n4 bytes x\n");
    webrtc_seen_expect(m->seen, open_by_puppet(m, 1), "");
    webrtc_puppet_open(&m->puppet, 2);
    run(m);
    assert_int_equal(webrtc_seen_fault(m->seen), TERN_FAULT_WEBRTC_CHANNEL_NUMBER);
    part(m);
}

static void an_end_that_is_not_acknowledged_is_waited_for(void **state)
{
    (void)state;
    struct meeting *m = meet();
    tern_stream_id id = open_by_puppet(m, 2);
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_FIN, 0);
    run(m);
    webrtc_seen_close(m->seen, id);
    webrtc_world_run(&m->world, 9 * TERN_SECOND);
    webrtc_puppet_expect(&m->puppet, "2 ack\n2 fin ack\n2 fin\n");
    webrtc_world_run(&m->world, 2 * TERN_SECOND);
    webrtc_puppet_expect(&m->puppet, "2 closed\n");
    /* And a remote that does not close its end is waited for as long. */
    assert_int_equal(m->host->scope.used[TERN_RESOURCE_STREAMS_IN], 1);
    webrtc_world_run(&m->world, 11 * TERN_SECOND);
    assert_int_equal(m->host->scope.used[TERN_RESOURCE_STREAMS_IN], 0);
    part(m);
}

static void an_end_may_be_said_twice(void **state)
{
    (void)state;
    struct meeting *m = meet();
    tern_stream_id id = open_by_puppet(m, 2);
    for (int i = 0; i < 2; i++) {
        webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_FIN, 0);
        webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_FIN_ACK, 0); /* of nothing */
        run(m);
    }
    webrtc_puppet_expect(&m->puppet, "2 ack\n2 fin ack\n2 fin ack\n");
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_READABLE), 1);
    webrtc_seen_close(m->seen, id);
    run(m);
    webrtc_puppet_expect(&m->puppet, "2 fin\n");
    part(m);
}

/* ---- resets ---- */

static void a_reset_of_ours_closes_the_channel(void **state)
{
    (void)state;
    struct meeting *m = meet();
    tern_stream_id id = open_by_puppet(m, 2);
    webrtc_puppet_text(&m->puppet, 2, "never read");
    run(m);
    m->seen->session.mux.ops->reset(m->seen->session.mux.self, id, 77);
    run(m);
    webrtc_puppet_expect(&m->puppet, "2 ack\n2 reset 77\n2 closed\n");
    /* What comes until the remote knows is nobody's. */
    webrtc_puppet_text(&m->puppet, 2, "on its way");
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_FIN, 0);
    run(m);
    webrtc_puppet_close(&m->puppet, 2);
    run(m);
    webrtc_puppet_expect(&m->puppet, "2 gone\n");
    assert_int_equal(m->host->scope.used[TERN_RESOURCE_MEMORY], 0);
    assert_int_equal(faults(m, TERN_FAULT_WEBRTC_CHANNEL_UNKNOWN), 0);
    part(m);
}

static void a_reset_of_theirs_is_told_with_its_code(void **state)
{
    (void)state;
    static const struct {
        enum tern_message_flag flag;
        uint32_t code;
    } rows[] = {{TERN_MESSAGE_RESET, 0},
                {TERN_MESSAGE_RESET, 0x1004},
                {TERN_MESSAGE_STOP_SENDING, 0x1005}}; /* go-libp2p's, with a code */
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct meeting *m = meet();
        tern_stream_id id = open_by_puppet(m, 2);
        webrtc_puppet_flag(&m->puppet, 2, rows[i].flag, rows[i].code);
        run(m);
        assert_int_equal(webrtc_seen_event(m->seen, TERN_MUX_RESET).code, rows[i].code);
        assert_int_equal(webrtc_seen_read(m->seen, id), TERN_ERR_STALE);
        webrtc_puppet_expect(&m->puppet, "2 ack\n2 closed\n");
        part(m);
    }
}

static void a_channel_that_is_closed_without_an_end_is_a_reset(void **state)
{
    (void)state;
    struct meeting *m = meet();
    open_by_puppet(m, 2);
    webrtc_puppet_close(&m->puppet, 2);
    run(m);
    assert_int_equal(webrtc_seen_event(m->seen, TERN_MUX_RESET).code, 0);
    webrtc_puppet_expect(&m->puppet, "2 ack\n2 closed\n2 gone\n");
    /* Also when only one direction has ended. */
    open_by_puppet(m, 4);
    webrtc_puppet_flag(&m->puppet, 4, TERN_MESSAGE_FIN, 0);
    webrtc_puppet_close(&m->puppet, 4);
    run(m);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_RESET), 2);
    assert_int_equal(m->host->scope.used[TERN_RESOURCE_STREAMS_IN], 0);
    part(m);
}

static void a_remote_may_stop_reading(void **state)
{
    (void)state;
    struct meeting *m = meet();
    const struct tern_mux *mux = &m->seen->session.mux;
    tern_stream_id id = open_by_puppet(m, 2);
    webrtc_puppet_text(&m->puppet, 2, "take this");
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_STOP_SENDING, 0);
    run(m);
    size_t accepted;
    assert_int_equal(mux->ops->write(mux->self, id, tern_view_str("x"), &accepted),
                     TERN_ERR_CLOSED);
    const struct tern_slice slice = {.view = tern_view_str("x")};
    assert_int_equal(mux->ops->write_slice(mux->self, id, slice), TERN_ERR_CLOSED);
    webrtc_seen_expect(m->seen, id, "take this");
    webrtc_seen_close(m->seen, id);
    run(m);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_CLOSED), 0);
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_FIN, 0);
    run(m);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_CLOSED), 1);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_RESET), 0);
    webrtc_puppet_expect(&m->puppet, "2 ack\n2 fin ack\n2 closed\n");
    part(m);
}

/* Who waits to write hears that nobody reads. */
static void a_writer_is_told_that_nobody_reads(void **state)
{
    (void)state;
    struct meeting *m = meet();
    m->puppet.keeps_credit = true;
    m->puppet.no_logging = true;
    tern_stream_id id = open_by_puppet(m, 2);
    assert_true(webrtc_seen_fill(m->seen, id, 16 << 20) < 16 << 20);
    run(m);
    for (int i = 0; i < 10; i++) {
        webrtc_seen_fill(m->seen, id, 16 << 20);
        run(m);
    }
    assert_true(m->seen->session.mux.ops->queued(m->seen->session.mux.self, id) > 500000);
    size_t before = webrtc_seen_count(m->seen, TERN_MUX_WRITABLE);
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_STOP_SENDING, 0);
    run(m);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_WRITABLE), before + 1);
    assert_int_equal(m->seen->session.mux.ops->queued(m->seen->session.mux.self, id), 0);
    part(m);
}

static void a_reset_behind_both_ends_changes_nothing(void **state)
{
    (void)state;
    struct meeting *m = meet();
    tern_stream_id id = open_by_puppet(m, 2);
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_FIN, 0);
    run(m);
    webrtc_seen_close(m->seen, id);
    run(m);
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_RESET, 5);
    run(m);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_CLOSED), 1);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_RESET), 0);
    webrtc_puppet_expect(&m->puppet, "2 ack\n2 fin ack\n2 fin\n2 closed\n");
    part(m);
}

static void a_stream_that_was_read_late_may_be_reset(void **state)
{
    (void)state;
    struct meeting *m = meet();
    tern_stream_id id = open_by_puppet(m, 2);
    webrtc_puppet_text(&m->puppet, 2, "unread");
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_FIN, 0);
    run(m);
    webrtc_seen_close(m->seen, id);
    run(m);
    m->seen->session.mux.ops->reset(m->seen->session.mux.self, id, 9);
    run(m);
    /* The remote has all it needs; our end is only to be acknowledged. */
    webrtc_puppet_expect(&m->puppet, "2 ack\n2 fin ack\n2 fin\n");
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_FIN_ACK, 0);
    webrtc_puppet_close(&m->puppet, 2);
    run(m);
    webrtc_puppet_expect(&m->puppet, "2 closed\n2 gone\n");
    assert_int_equal(m->host->scope.used[TERN_RESOURCE_STREAMS_IN], 0);
    part(m);
}

/* ---- numbers ---- */

static void a_number_is_used_again(void **state)
{
    (void)state;
    struct meeting *m = meet();
    for (int i = 0; i < 5; i++) {
        tern_stream_id id = open_by_puppet(m, 2);
        webrtc_puppet_text(&m->puppet, 2, "again");
        webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_RESET, 1);
        webrtc_puppet_close(&m->puppet, 2);
        run(m);
        assert_int_equal(webrtc_seen_read(m->seen, id), TERN_ERR_STALE);
        webrtc_puppet_expect(&m->puppet, "2 ack\n2 closed\n2 gone\n");
    }
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_STREAM_OPENED), 5);
    part(m);
}

/* The id of the stream before may still be in use. */
static void a_number_is_used_again_while_its_stream_is_read(void **state)
{
    (void)state;
    struct meeting *m = meet();
    tern_stream_id first = open_by_puppet(m, 2);
    webrtc_puppet_text(&m->puppet, 2, "old");
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_FIN, 0);
    run(m);
    webrtc_seen_close(m->seen, first);
    run(m);
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_FIN_ACK, 0);
    webrtc_puppet_close(&m->puppet, 2);
    run(m);
    webrtc_puppet_expect(&m->puppet, "2 ack\n2 fin ack\n2 fin\n2 closed\n2 gone\n");
    tern_stream_id second = open_by_puppet(m, 2);
    webrtc_puppet_text(&m->puppet, 2, "new");
    run(m);
    webrtc_seen_expect(m->seen, second, "new");
    webrtc_seen_expect(m->seen, first, "old");
    run(m);
    assert_int_equal(webrtc_seen_read(m->seen, first), TERN_ERR_STALE);
    assert_int_equal(webrtc_seen_read(m->seen, second), TERN_ERR_AGAIN);
    part(m);
}

/* Nothing of the puppet's gets through once the host has answered. */
struct deaf_host {
    bool armed;
    bool deaf;
};

static bool drop_answers(void *context, const struct datagram_seen *seen)
{
    struct deaf_host *host = context;
    bool from_puppet = seen->from.port == 5000;
    if (host->armed && !from_puppet)
        host->deaf = true;
    return !(host->deaf && from_puppet);
}

/* The remote's word that our end is closed may come later than what it says by the number next. */
static void a_number_is_used_again_before_we_know_that_it_may(void **state)
{
    (void)state;
    struct meeting *m = meet();
    struct deaf_host host = {.armed = false};
    m->world.world.net.tap = drop_answers;
    m->world.world.net.tap_context = &host;
    open_by_puppet(m, 2);
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_RESET, 1);
    webrtc_puppet_close(&m->puppet, 2);
    host.armed = true;
    webrtc_world_run(&m->world, 10 * TERN_MILLISECOND);
    assert_true(host.deaf);
    webrtc_puppet_expect(&m->puppet, "2 ack\n2 closed\n2 gone\n");
    host = (struct deaf_host){.armed = false};
    webrtc_puppet_open(&m->puppet, 2);
    webrtc_puppet_text(&m->puppet, 2, "anew");
    webrtc_world_run(&m->world, 10 * TERN_MILLISECOND);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_STREAM_OPENED), 2);
    webrtc_seen_expect(m->seen, opened(m), "anew");
    webrtc_seen_write(m->seen, opened(m), "later");
    webrtc_world_run(&m->world, 10 * TERN_MILLISECOND);
    webrtc_puppet_expect(&m->puppet, "");
    run(m);
    webrtc_puppet_expect(&m->puppet, "2 ack\n2 bytes later\n");
    part(m);
}

/* Numbers of ours come anew when all were used, none of them twice at a time. */
static void numbers_of_ours_come_anew(void **state)
{
    (void)state;
    enum { COUNT = 33000 };
    struct webrtc_world *w = test_calloc(1, sizeof *w);
    webrtc_world_init(w, 1);
    webrtc_world_pair(w, NULL);
    w->hosts[1].echo = true;
    struct webrtc_seen *a = webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
    struct webrtc_seen *b = w->hosts[1].last;
    tern_stream_id kept = webrtc_seen_open(a);
    webrtc_seen_write(a, kept, "kept");
    for (int i = 0; i < COUNT; i += 200) {
        tern_stream_id ids[200];
        for (int j = 0; j < 200; j++) {
            ids[j] = webrtc_seen_open(a);
            webrtc_seen_write(a, ids[j], "x");
            webrtc_seen_close(a, ids[j]);
        }
        webrtc_world_run(w, TERN_SECOND);
        for (int j = 0; j < 200; j++) {
            webrtc_seen_expect(a, ids[j], "x");
            assert_int_equal(webrtc_seen_read(a, ids[j]), TERN_ERR_END);
        }
        webrtc_world_run(w, TERN_SECOND);
        a->log_count = b->log_count = 0;
    }
    webrtc_seen_expect(a, kept, "kept");
    assert_int_equal(webrtc_seen_error(a), TERN_OK);
    assert_int_equal(w->hosts[0].scope.used[TERN_RESOURCE_STREAMS_OUT], 1);
    assert_int_equal(w->hosts[1].scope.used[TERN_RESOURCE_STREAMS_IN], 1);
    webrtc_world_fini(w);
    test_free(w);
}

/* open_and_reset opens some streams, each with a channel, and resets them. How many it could. */
static size_t open_and_reset(struct meeting *m, tern_err *err)
{
    enum { COUNT = 1000 };
    const struct tern_mux *mux = &m->seen->session.mux;
    static tern_stream_id ids[COUNT];
    size_t count = 0;
    while (count < COUNT) {
        size_t accepted;
        *err = mux->ops->open(mux->self, TERN_STREAM_BULK, &ids[count]);
        if (*err != TERN_OK)
            break;
        assert_ok(mux->ops->write(mux->self, ids[count++], tern_view_of(NULL, 0), &accepted));
    }
    run(m);
    for (size_t i = 0; i < count; i++)
        mux->ops->reset(mux->self, ids[i], 0);
    return count;
}

/* A remote that never closes its end spends our numbers. */
static void numbers_may_be_spent(void **state)
{
    (void)state;
    struct meeting *m = meet();
    m->puppet.no_logging = true;
    tern_err err = TERN_OK;
    size_t count = 0;
    while (err == TERN_OK && count < UINT16_MAX) {
        count += open_and_reset(m, &err);
        /* Until all are given up. */
        webrtc_world_run(&m->world, 11 * TERN_SECOND);
        m->seen->log_count = 0;
    }
    assert_int_equal(err, TERN_ERR_CLOSED);
    assert_true(count >= 32767 && count <= 32767 + 1000);
    assert_int_equal(webrtc_seen_error(m->seen), TERN_OK);
    part(m);
}

/* ---- what does not fit ---- */

static void what_is_no_message_ends_its_stream(void **state)
{
    (void)state;
    struct meeting *m = meet();
    open_by_puppet(m, 2);
    tern_stream_id other = open_by_puppet(m, 4);
    webrtc_puppet_say(&m->puppet, 2, TERN_CHANNEL_BINARY, "050807ffffff");
    run(m);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_RESET), 1);
    webrtc_puppet_expect(&m->puppet, "2 ack\n4 ack\n2 reset\n2 closed\n");
    assert_int_equal(faults(m, TERN_FAULT_WEBRTC_MESSAGE), 1);
    webrtc_puppet_text(&m->puppet, 4, "fine");
    run(m);
    webrtc_seen_expect(m->seen, other, "fine");
    part(m);
}

static void bytes_behind_the_end_end_the_stream(void **state)
{
    (void)state;
    struct meeting *m = meet();
    open_by_puppet(m, 2);
    webrtc_puppet_text(&m->puppet, 2, "all");
    webrtc_puppet_flag(&m->puppet, 2, TERN_MESSAGE_FIN, 0);
    webrtc_puppet_text(&m->puppet, 2, "more");
    run(m);
    assert_int_equal(faults(m, TERN_FAULT_WEBRTC_MESSAGE_LATE), 1);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_RESET), 1);
    part(m);
}

static void kinds_of_messages_that_are_not_known_are_passed_over(void **state)
{
    (void)state;
    struct meeting *m = meet();
    tern_stream_id id = open_by_puppet(m, 2);
    webrtc_puppet_say(&m->puppet, 2, 52, "03120161");
    webrtc_puppet_say(&m->puppet, 2, 0, "03120162");
    webrtc_puppet_say(&m->puppet, 0, 99, "03120162");
    webrtc_puppet_say(&m->puppet, 2, TERN_CHANNEL_STRING, "03120163");
    webrtc_puppet_say(&m->puppet, 2, TERN_CHANNEL_STRING_EMPTY, "00");
    webrtc_puppet_say(&m->puppet, 2, TERN_CHANNEL_BINARY_EMPTY, "00");
    run(m);
    webrtc_seen_expect(m->seen, id, "c");
    assert_int_equal(webrtc_seen_read(m->seen, id), TERN_ERR_AGAIN);
    assert_int_equal(faults(m, TERN_FAULT_WEBRTC_CHANNEL_PPID), 3);
    part(m);
}

static void messages_of_no_channel_are_dropped(void **state)
{
    (void)state;
    struct meeting *m = meet();
    webrtc_puppet_text(&m->puppet, 8, "hello?");
    webrtc_puppet_say(&m->puppet, 9, TERN_CHANNEL_DCEP, "02");
    webrtc_puppet_close(&m->puppet, 8);
    run(m);
    webrtc_puppet_expect(&m->puppet, "8 gone\n");
    assert_int_equal(faults(m, TERN_FAULT_WEBRTC_CHANNEL_UNKNOWN), 1);
    assert_int_equal(webrtc_seen_error(m->seen), TERN_OK);
    part(m);
}

static void channels_that_lose_data_are_not_taken(void **state)
{
    (void)state;
    struct meeting *m = meet();
    webrtc_puppet_say(&m->puppet, 2, TERN_CHANNEL_DCEP, "038001000000000000000000");
    webrtc_puppet_text(&m->puppet, 2, "x");
    run(m);
    webrtc_puppet_expect(&m->puppet, "2 reset\n2 closed\n");
    assert_int_equal(faults(m, TERN_FAULT_WEBRTC_CHANNEL_UNRELIABLE), 1);
    assert_int_equal(faults(m, TERN_FAULT_WEBRTC_CHANNEL_UNKNOWN), 0);
    webrtc_puppet_close(&m->puppet, 2);
    run(m);
    /* A message that is not ordered after all. */
    open_by_puppet(m, 2);
    const struct tern_sctp_message message = {.stream = 2,
                                              .unordered = true,
                                              .ppid = TERN_CHANNEL_BINARY,
                                              .head = tern_view_str("\x03\x12\x01x")};
    assert_ok(tern_sctp_send(m->puppet.sctp, &message));
    run(m);
    webrtc_puppet_expect(&m->puppet, "2 gone\n2 ack\n2 reset\n2 closed\n");
    assert_int_equal(faults(m, TERN_FAULT_WEBRTC_CHANNEL_UNRELIABLE), 2);
    part(m);
}

/* What ends the session: each row is said on its channel. */
static void what_breaks_the_rules_of_channels_ends_the_session(void **state)
{
    (void)state;
    static const struct {
        uint16_t channel;
        const char *hex;
        tern_fault fault;
        tern_err err;
    } rows[] = {
        {3, "030001000000000000000000", TERN_FAULT_WEBRTC_CHANNEL_NUMBER, TERN_ERR_PROTOCOL},
        {0, "030001000000000000000000", TERN_FAULT_NONE, TERN_OK}, /* nothing is opened there */
        {65535, "030001000000000000000000", TERN_FAULT_WEBRTC_CHANNEL_NUMBER, TERN_ERR_PROTOCOL},
        {2, "030001000000000000000000", TERN_FAULT_WEBRTC_CHANNEL_OPEN_TWICE, TERN_ERR_PROTOCOL},
        {4, "0300010000000000000000", TERN_FAULT_WEBRTC_CHANNEL_DCEP, TERN_ERR_MALFORMED},
        {4, "ff", TERN_FAULT_WEBRTC_CHANNEL_DCEP, TERN_ERR_MALFORMED},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct meeting *m = meet();
        open_by_puppet(m, 2);
        webrtc_puppet_say(&m->puppet, rows[i].channel, TERN_CHANNEL_DCEP, rows[i].hex);
        run(m);
        assert_int_equal(webrtc_seen_error(m->seen), rows[i].err);
        assert_int_equal(webrtc_seen_fault(m->seen), rows[i].fault);
        assert_int_equal(m->puppet.gone, rows[i].err != TERN_OK);
        part(m);
    }
}

/* A message about a channel is one fragment, for a longer one there is no use. */
static void a_cut_message_about_a_channel_is_refused(void **state)
{
    (void)state;
    struct meeting *m = meet();
    struct tern_mux_queue queue = {.first = NULL};
    static const uint8_t open[2000] = {3, 0, 1, 0, 0, 0, 0, 0, 0x07, 0xc4};
    assert_true(tern_mux_queue_put(&m->puppet.pool, &queue, tern_view_of(open, sizeof open)));
    const struct tern_sctp_message message = {
        .stream = 2, .ppid = TERN_CHANNEL_DCEP, .queue = &queue, .size = sizeof open};
    assert_ok(tern_sctp_send(m->puppet.sctp, &message));
    run(m);
    assert_int_equal(webrtc_seen_fault(m->seen), TERN_FAULT_WEBRTC_CHANNEL_DCEP);
    part(m);
}

/* ---- channel 0 ---- */

static void the_channel_of_the_handshake_may_be_closed(void **state)
{
    (void)state;
    struct meeting *m = meet();
    webrtc_puppet_text(&m->puppet, 0, "nothing comes here any more");
    webrtc_puppet_flag(&m->puppet, 0, TERN_MESSAGE_FIN, 0);
    run(m);
    webrtc_puppet_close(&m->puppet, 0);
    run(m);
    webrtc_puppet_expect(&m->puppet, "0 fin ack\n0 closed\n0 gone\n");
    webrtc_seen_expect(m->seen, open_by_puppet(m, 2), "");
    assert_int_equal(webrtc_seen_error(m->seen), TERN_OK);
    part(m);
}

/* ---- limits ---- */

static void streams_beyond_the_limit_are_refused(void **state)
{
    (void)state;
    struct meeting *m =
        meet_with((struct tern_webrtc_options){.streams_in_max = 2, .streams_out_max = 1});
    for (uint16_t channel = 2; channel <= 6; channel += 2)
        webrtc_puppet_open(&m->puppet, channel);
    webrtc_puppet_text(&m->puppet, 6, "too much");
    run(m);
    webrtc_puppet_expect(&m->puppet, "6 reset 4098\n2 ack\n4 ack\n6 closed\n");
    assert_int_equal(faults(m, TERN_FAULT_WEBRTC_STREAM_REFUSED), 1);
    assert_int_equal(faults(m, TERN_FAULT_WEBRTC_CHANNEL_UNKNOWN), 0);
    webrtc_puppet_close(&m->puppet, 6);
    webrtc_puppet_close(&m->puppet, 2);
    run(m);
    webrtc_puppet_open(&m->puppet, 6);
    run(m);
    webrtc_puppet_expect(&m->puppet, "6 gone\n2 closed\n2 gone\n6 ack\n");
    webrtc_seen_open(m->seen);
    tern_stream_id id;
    assert_int_equal(
        m->seen->session.mux.ops->open(m->seen->session.mux.self, TERN_STREAM_BULK, &id),
        TERN_ERR_FULL);
    part(m);
}

static void streams_after_our_goaway_are_refused(void **state)
{
    (void)state;
    struct meeting *m = meet();
    m->puppet.keeps_credit = true;
    m->puppet.no_logging = true;
    tern_stream_id id = webrtc_seen_open(m->seen);
    /* More than the remote takes, so that the end has to wait. */
    for (int i = 0; i < 20; i++) {
        webrtc_seen_fill(m->seen, id, 1 << 20);
        run(m);
    }
    webrtc_seen_goaway(m->seen);
    run(m);
    golden_fini(&m->puppet.log);
    golden_init(&m->puppet.log);
    webrtc_puppet_open(&m->puppet, 2);
    webrtc_puppet_flag(&m->puppet, 1, TERN_MESSAGE_STOP_SENDING, 0);
    assert_true(m->puppet.bytes > 1 << 20);
    tern_sctp_consume(m->puppet.sctp, 1 << 20);
    run(m);
    assert_non_null(strstr(m->puppet.log.text, "2 reset 4103\n"));
    assert_int_equal(webrtc_world_ended(&m->world, m->seen, 10 * TERN_SECOND), TERN_ERR_CLOSED);
    part(m);
}

static void refusals_have_a_limit(void **state)
{
    (void)state;
    struct meeting *m = meet_with((struct tern_webrtc_options){.streams_in_max = 1});
    m->puppet.no_logging = true;
    for (uint16_t i = 1; i <= TERN_WEBRTC_REFUSALS_MAX + 10; i++) {
        if (webrtc_seen_error(m->seen) == TERN_OK && tern_sctp_error(m->puppet.sctp) == TERN_OK)
            webrtc_puppet_open(&m->puppet, (uint16_t)(2 * i));
        if (i % 50 == 0)
            webrtc_world_run(&m->world, 50 * TERN_MILLISECOND);
    }
    run(m);
    assert_int_equal(webrtc_seen_fault(m->seen), TERN_FAULT_WEBRTC_OPEN_FLOOD);
    part(m);
}

static void streams_that_are_opened_to_be_reset_are_a_flood(void **state)
{
    (void)state;
    struct meeting *m = meet();
    m->puppet.no_logging = true;
    for (int i = 0; i < 5000 && webrtc_seen_error(m->seen) == TERN_OK; i++) {
        uint16_t channel = (uint16_t)(2 + i % 20 * 2);
        webrtc_puppet_open(&m->puppet, channel);
        webrtc_puppet_flag(&m->puppet, channel, TERN_MESSAGE_RESET, 0);
        webrtc_puppet_close(&m->puppet, channel);
        if (i % 20 == 19)
            webrtc_world_run(&m->world, 2 * TERN_MILLISECOND);
        m->seen->log_count = 0;
    }
    assert_int_equal(webrtc_seen_fault(m->seen), TERN_FAULT_WEBRTC_RESET_FLOOD);
    part(m);
}

static void a_scope_that_is_full_resets_what_it_cannot_hold(void **state)
{
    (void)state;
    struct meeting *m = meet();
    open_by_puppet(m, 2);
    m->host->scope.limits.max[TERN_RESOURCE_MEMORY] =
        m->host->scope.used[TERN_RESOURCE_MEMORY] + 10;
    webrtc_puppet_text(&m->puppet, 2, "0123456789");
    run(m);
    assert_int_equal(faults(m, TERN_FAULT_WEBRTC_STREAM_STARVED), 0);
    webrtc_puppet_text(&m->puppet, 2, "!");
    run(m);
    assert_int_equal(faults(m, TERN_FAULT_WEBRTC_STREAM_STARVED), 1);
    webrtc_puppet_expect(&m->puppet, "2 ack\n2 reset 4098\n2 closed\n");
    part(m);
}

/* ---- the window ---- */

static void a_stream_that_nobody_reads_holds_up_all_for_a_while(void **state)
{
    (void)state;
    struct webrtc_world *w = test_calloc(1, sizeof *w);
    webrtc_world_init(w, 1);
    const struct tern_webrtc_options options = {.window_bytes = 1 << 20,
                                                .stall_timeout_ns = 10 * TERN_SECOND};
    webrtc_world_add(w, options, NULL);
    webrtc_world_add(w, options, NULL);
    struct webrtc_seen *a = webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
    struct webrtc_seen *b = w->hosts[1].last;
    const struct tern_mux *reader = &b->session.mux;
    tern_stream_id ids[2];
    tern_stream_id theirs[2];
    for (int i = 0; i < 2; i++) {
        ids[i] = webrtc_seen_open(a);
        webrtc_seen_write(a, ids[i], "x");
        webrtc_world_run(w, TERN_SECOND);
        theirs[i] = webrtc_seen_event(b, TERN_MUX_STREAM_OPENED).stream;
        webrtc_seen_expect(b, theirs[i], "x");
    }
    /* While something of the window is read now and then, nothing is reset. */
    for (int i = 0; i < 30; i++) {
        webrtc_seen_fill(a, ids[0], 1 << 20);
        webrtc_world_run(w, 5 * TERN_SECOND);
        reader->ops->consume(reader->self, theirs[0], 1000);
    }
    assert_int_equal(webrtc_seen_count(b, TERN_MUX_RESET), 0);
    webrtc_seen_write(a, ids[1], "let me through");
    webrtc_world_run(w, 9 * TERN_SECOND);
    assert_int_equal(webrtc_seen_read(b, theirs[1]), TERN_ERR_AGAIN);
    webrtc_world_run(w, 15 * TERN_SECOND);
    webrtc_seen_expect(b, theirs[1], "let me through");
    assert_int_equal(webrtc_seen_event(b, TERN_MUX_RESET).stream, theirs[0]);
    assert_int_equal(webrtc_seen_event(a, TERN_MUX_RESET).code, TERN_MUX_CODE_RESOURCE_LIMIT);
    assert_int_equal(w->hosts[1].metrics.faults[TERN_FAULT_WEBRTC_STREAM_STALLED], 1);
    webrtc_world_fini(w);
    test_free(w);
}

/* ---- early ---- */

/* A remote may open streams before it is known: they are told of when it is. */
static void early_streams_wait(void **state)
{
    (void)state;
    struct meeting *m = test_calloc(1, sizeof *m);
    webrtc_world_init(&m->world, 1);
    webrtc_world_pair(&m->world, NULL);
    m->host = webrtc_world_add(&m->world, (struct tern_webrtc_options){.mem = NULL}, NULL);
    webrtc_puppet_dialer(&m->puppet, &m->world, m->host);
    m->puppet.no_noise = true;
    webrtc_puppet_up(&m->puppet);
    m->seen = m->host->last;
    for (uint16_t i = 1; i <= TERN_WEBRTC_EARLY_STREAMS_MAX + 1; i++)
        webrtc_puppet_open(&m->puppet, (uint16_t)(2 * i));
    webrtc_puppet_text(&m->puppet, 2, "early");
    webrtc_puppet_open(&m->puppet, 40);
    webrtc_puppet_flag(&m->puppet, 40, TERN_MESSAGE_RESET, 0);
    run(m);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_STREAM_OPENED), 0);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_ESTABLISHED), 0);
    assert_int_equal(faults(m, TERN_FAULT_WEBRTC_STREAM_REFUSED), 2);
    part(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_of_theirs_lives_and_ends),
        cmocka_unit_test(a_stream_of_ours_lives_and_ends),
        cmocka_unit_test(a_dialer_opens_even_numbers),
        cmocka_unit_test(an_end_that_is_not_acknowledged_is_waited_for),
        cmocka_unit_test(an_end_may_be_said_twice),
        cmocka_unit_test(a_reset_of_ours_closes_the_channel),
        cmocka_unit_test(a_reset_of_theirs_is_told_with_its_code),
        cmocka_unit_test(a_channel_that_is_closed_without_an_end_is_a_reset),
        cmocka_unit_test(a_remote_may_stop_reading),
        cmocka_unit_test(a_writer_is_told_that_nobody_reads),
        cmocka_unit_test(a_reset_behind_both_ends_changes_nothing),
        cmocka_unit_test(a_stream_that_was_read_late_may_be_reset),
        cmocka_unit_test(a_number_is_used_again),
        cmocka_unit_test(a_number_is_used_again_while_its_stream_is_read),
        cmocka_unit_test(a_number_is_used_again_before_we_know_that_it_may),
        cmocka_unit_test(numbers_of_ours_come_anew),
        cmocka_unit_test(numbers_may_be_spent),
        cmocka_unit_test(what_is_no_message_ends_its_stream),
        cmocka_unit_test(bytes_behind_the_end_end_the_stream),
        cmocka_unit_test(kinds_of_messages_that_are_not_known_are_passed_over),
        cmocka_unit_test(messages_of_no_channel_are_dropped),
        cmocka_unit_test(channels_that_lose_data_are_not_taken),
        cmocka_unit_test(what_breaks_the_rules_of_channels_ends_the_session),
        cmocka_unit_test(a_cut_message_about_a_channel_is_refused),
        cmocka_unit_test(the_channel_of_the_handshake_may_be_closed),
        cmocka_unit_test(streams_beyond_the_limit_are_refused),
        cmocka_unit_test(streams_after_our_goaway_are_refused),
        cmocka_unit_test(refusals_have_a_limit),
        cmocka_unit_test(streams_that_are_opened_to_be_reset_are_a_flood),
        cmocka_unit_test(a_scope_that_is_full_resets_what_it_cannot_hold),
        cmocka_unit_test(a_stream_that_nobody_reads_holds_up_all_for_a_while),
        cmocka_unit_test(early_streams_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
