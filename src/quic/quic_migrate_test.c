/* Paths that change while bytes flow: NATs that forget, moves of our own, forgeries. */
#include "quic/quic_puppet.h"
#include "quic/quic_world.h"
#include "tern_test.h"

enum { MEGABYTE = 1 << 20, IDS_MAX = 64, ID_SIZE = 8 };

static const struct datagram_link plain_link = {.bits_per_second = 50 * 1000 * 1000,
                                                .latency_ns = 20 * TERN_MILLISECOND,
                                                .queue_bytes_max = 256 * 1024,
                                                .datagram_bytes_max = 1472};

/* Ids that packets from one address were sent to. */
struct ids {
    uint8_t ids[IDS_MAX][ID_SIZE];
    size_t count;
};

struct fixture {
    struct quic_world w;
    struct quic_host *a; /* dialled */
    struct quic_host *b;
    struct quic_seen *seen; /* a's */
    tern_stream_id stream;
    uint64_t written;
    uint64_t bytes; /* to write in all */
    bool down;      /* b writes */
    /* The forger: sends what a sends again, from this address, and first. */
    bool forging;
    struct tern_endpoint forged;
    uint64_t forged_bytes;
    uint64_t to_forged_bytes;
    struct ids from_first;
    struct ids from_second;
    tern_link_id second;
};

static void ids_note(struct ids *ids, struct tern_span datagram)
{
    if (datagram.size < 1 + ID_SIZE || (datagram.data[0] & 0x80))
        return;
    for (size_t i = 0; i < ids->count; i++)
        if (memcmp(ids->ids[i], datagram.data + 1, ID_SIZE) == 0)
            return;
    assert_true(ids->count < IDS_MAX);
    memcpy(ids->ids[ids->count++], datagram.data + 1, ID_SIZE);
}

static bool ids_meet(const struct ids *a, const struct ids *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            if (memcmp(a->ids[i], b->ids[j], ID_SIZE) == 0)
                return true;
    return false;
}

static bool tap(void *context, const struct datagram_seen *seen)
{
    struct fixture *f = context;
    if (seen->socket == f->a->socket)
        ids_note(&f->from_first, seen->bytes);
    else if (seen->socket == f->second && f->second != TERN_LINK_NONE)
        ids_note(&f->from_second, seen->bytes);
    if (seen->to.port == f->forged.port && seen->to.ip[3] == f->forged.ip[3])
        f->to_forged_bytes += seen->bytes.size;
    if (f->forging && seen->socket == f->a->socket) {
        const struct tern_path path = {.local = f->forged, .remote = f->b->at};
        datagram_net_inject(&f->w.world.net, seen->now, &path,
                            tern_view_of(seen->bytes.data, seen->bytes.size));
        f->forged_bytes += seen->bytes.size;
    }
    return true;
}

static struct fixture *start(bool down)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    const struct tern_quic_options options = {.keep_alive_ns = 0};
    quic_world_init(&f.w, 1);
    f.a = quic_world_add(&f.w, options, &plain_link);
    f.b = quic_world_add(&f.w, options, &plain_link);
    f.forged = datagram_endpoint(66, 6666);
    f.w.world.net.tap = tap;
    f.w.world.net.tap_context = &f;
    f.b->sink = true;
    f.seen = quic_world_connect(&f.w, f.a, f.b);
    f.seen->sink = true;
    f.down = down;
    f.bytes = 4 * MEGABYTE;
    f.stream = quic_seen_open(down ? quic_host_last(f.b) : f.seen);
    quic_world_run(&f.w, TERN_SECOND);
    return &f;
}

static void end(struct fixture *f)
{
    quic_world_fini(&f->w);
}

static struct quic_seen *writer(const struct fixture *f)
{
    return f->down ? quic_host_last(f->b) : f->seen;
}

static struct quic_seen *reader(const struct fixture *f)
{
    return f->down ? f->seen : quic_host_last(f->b);
}

/* flow writes as much as goes, until so many bytes have been read. */
struct flow {
    struct fixture *f;
    uint64_t until;
};

static bool flow_step(void *context)
{
    struct flow *flow = context;
    struct fixture *f = flow->f;
    static const uint8_t bytes[16384];
    const struct tern_mux *mux = &writer(f)->session.mux;
    size_t accepted = 1;
    while (f->written < f->bytes && accepted > 0) {
        size_t size = tern_min_size(sizeof bytes, (size_t)(f->bytes - f->written));
        assert_ok(mux->ops->write(mux->self, f->stream, tern_view_of(bytes, size), &accepted));
        f->written += accepted;
    }
    return reader(f)->read_bytes >= flow->until;
}

static void flow_until(struct fixture *f, uint64_t bytes)
{
    struct flow flow = {.f = f, .until = bytes};
    assert_true(quic_world_until(&f->w, flow_step, &flow, TERN_MINUTE));
}

static struct tern_session_info info_of(const struct quic_seen *seen)
{
    struct tern_session_info info;
    seen->session.ops->info(seen->session.mux.self, &info);
    return info;
}

static void a_nat_that_forgets(void **state)
{
    (void)state;
    for (unsigned down = 0; down < 2; down++) {
        struct fixture *f = start(down);
        flow_until(f, MEGABYTE);
        tern_time since = f->w.world.now;
        struct tern_endpoint now_at = datagram_endpoint(200, 7);
        datagram_net_remap(&f->w.world.net, f->a->socket, &now_at);
        flow_until(f, 4 * MEGABYTE);
        /* Three megabytes take half a second at least; the change must not cost much more. */
        assert_in_range(f->w.world.now - since, TERN_SECOND / 2, 2 * TERN_SECOND);
        assert_int_equal(info_of(quic_host_last(f->b)).path.remote.ip[3], 200);
        assert_int_equal(info_of(quic_host_last(f->b)).path.remote.port, 7);
        assert_int_equal(info_of(f->seen).path.remote.ip[3], 2);
        end(f);
    }
}

static void a_port_that_changes_all_the_time(void **state)
{
    (void)state;
    struct fixture *f = start(false);
    for (uint16_t i = 1; i <= 30; i++) {
        struct tern_endpoint now_at = datagram_endpoint(1, (uint16_t)(5000 + i));
        flow_until(f, i * (uint64_t)MEGABYTE / 10);
        datagram_net_remap(&f->w.world.net, f->a->socket, &now_at);
    }
    flow_until(f, 4 * MEGABYTE);
    assert_int_equal(info_of(quic_host_last(f->b)).path.remote.port, 5030);
    end(f);
}

static void we_move_to_another_socket(void **state)
{
    (void)state;
    for (unsigned down = 0; down < 2; down++) {
        struct fixture *f = start(down);
        struct tern_endpoint at = datagram_endpoint(100, 4001);
        f->second = session_world_bind(&f->w.world, f->a->node, &at, &plain_link);
        flow_until(f, MEGABYTE);
        const struct tern_session *session = &f->seen->session;
        assert_int_equal(info_of(f->seen).socket, f->a->socket);
        assert_ok(session->ops->migrate(session->mux.self, f->w.world.now, f->second));
        flow_until(f, 2 * MEGABYTE);
        assert_int_equal(info_of(f->seen).socket, f->second);
        assert_int_equal(info_of(quic_host_last(f->b)).path.remote.ip[3], 100);
        assert_false(ids_meet(&f->from_first, &f->from_second));
        /* Nothing of the session holds on to the first one. */
        session_world_unbind(&f->w.world, f->a->node, f->a->socket);
        flow_until(f, 4 * MEGABYTE);
        assert_int_equal(quic_seen_error(f->seen), TERN_OK);
        end(f);
    }
}

static void a_move_to_nowhere_stays_where_it_was(void **state)
{
    (void)state;
    struct fixture *f = start(false);
    struct tern_endpoint at = datagram_endpoint(100, 4001);
    const struct datagram_link dead = {.down = true};
    f->second = session_world_bind(&f->w.world, f->a->node, &at, &dead);
    flow_until(f, MEGABYTE);
    const struct tern_session *session = &f->seen->session;
    assert_ok(session->ops->migrate(session->mux.self, f->w.world.now, f->second));
    flow_until(f, 4 * MEGABYTE);
    assert_int_equal(info_of(f->seen).socket, f->a->socket);
    end(f);
}

static void who_may_move(void **state)
{
    (void)state;
    struct fixture *f = start(false);
    struct tern_endpoint at = datagram_endpoint(100, 4001);
    f->second = session_world_bind(&f->w.world, f->a->node, &at, &plain_link);
    const struct tern_session *accepted = &quic_host_last(f->b)->session;
    assert_int_equal(accepted->ops->migrate(accepted->mux.self, f->w.world.now, f->b->socket),
                     TERN_ERR_UNSUPPORTED);
    const struct tern_session *session = &f->seen->session;
    assert_ok(session->ops->migrate(session->mux.self, f->w.world.now, f->a->socket));
    const struct tern_session *fresh = &quic_world_dial(&f->w, f->a, f->b, NULL)->session;
    assert_int_equal(fresh->ops->migrate(fresh->mux.self, f->w.world.now, f->second),
                     TERN_ERR_AGAIN);
    session->mux.ops->goaway(session->mux.self, 0);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(session->ops->migrate(session->mux.self, f->w.world.now, f->second),
                     TERN_ERR_CLOSED);
    end(f);
}

/* A remote that forbids it. */
static void who_may_not_move(void **state)
{
    (void)state;
    static struct quic_world w;
    quic_world_init(&w, 1);
    struct quic_host *a =
        quic_world_add(&w, (struct tern_quic_options){.keep_alive_ns = 0}, &plain_link);
    struct quic_puppet_options options = {.server = true, .now = w.world.now, .no_migration = true};
    options.certificates = quic_testing_certificate(2);
    options.certificates_count = 1;
    struct quic_puppet *puppet = quic_puppet_new(&options);
    size_t node = session_world_add(&w.world, quic_puppet_transport(puppet));
    struct tern_endpoint at = datagram_endpoint(9, 9);
    (void)session_world_bind(&w.world, node, &at, &plain_link);
    struct quic_host there = {.at = at};
    struct quic_seen *seen = quic_world_dial(&w, a, &there, NULL);
    quic_world_run(&w, TERN_SECOND);
    assert_int_equal(quic_seen_count(seen, TERN_MUX_CONFIRMED), 1);
    at = datagram_endpoint(100, 4001);
    tern_link_id second = session_world_bind(&w.world, a->node, &at, &plain_link);
    const struct tern_session *session = &seen->session;
    assert_int_equal(session->ops->migrate(session->mux.self, w.world.now, second),
                     TERN_ERR_UNSUPPORTED);
    quic_world_fini(&w);
}

/* An attacker who sees all that a sends races it from an address that does not answer. */
static void a_forged_path_gets_little_and_moves_nothing(void **state)
{
    (void)state;
    for (unsigned down = 0; down < 2; down++) {
        struct fixture *f = start(down);
        flow_until(f, MEGABYTE);
        f->forging = true;
        quic_world_run(&f->w, TERN_SECOND / 4);
        f->forging = false;
        assert_true(f->forged_bytes > 0);
        flow_until(f, 4 * MEGABYTE);
        assert_in_range(f->to_forged_bytes, 1, 3 * f->forged_bytes);
        assert_int_equal(info_of(quic_host_last(f->b)).path.remote.ip[3], 1);
        end(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nat_that_forgets),
        cmocka_unit_test(a_port_that_changes_all_the_time),
        cmocka_unit_test(we_move_to_another_socket),
        cmocka_unit_test(a_move_to_nowhere_stays_where_it_was),
        cmocka_unit_test(who_may_move),
        cmocka_unit_test(who_may_not_move),
        cmocka_unit_test(a_forged_path_gets_little_and_moves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
