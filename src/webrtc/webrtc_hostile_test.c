/* Strangers, and remotes that shake hands wrongly: what they cost, and that they get nowhere. */
#include <stdio.h>

#include "crypto/test_hex.h"
#include "tern_test.h"
#include "webrtc/sctp_internal.h"
#include "webrtc/stun.h"
#include "webrtc/webrtc_puppet.h"

enum { NAME_SIZE = 64, CHECK_SIZE = 512 };

static struct webrtc_world *world_new(size_t hosts, struct tern_webrtc_options options)
{
    struct webrtc_world *w = test_calloc(1, sizeof *w);
    webrtc_world_init(w, 1);
    for (size_t i = 0; i < hosts; i++)
        webrtc_world_add(w, options, NULL);
    return w;
}

static struct webrtc_world *world_of(size_t hosts)
{
    return world_new(hosts, (struct tern_webrtc_options){.mem = NULL});
}

static void world_free(struct webrtc_world *w)
{
    webrtc_world_fini(w);
    test_free(w);
}

static size_t faults(const struct webrtc_host *host, tern_fault fault)
{
    return host->metrics.faults[fault];
}

/* --- checks that are made up --- */

struct check {
    unsigned name;
    enum tern_stun_role role;
    bool forged;       /* signed with another password */
    uint16_t unknown;  /* an attribute that is to be understood; 0: none */
    bool other_prefix; /* of a version that there is not */
};

/* check_make writes a check; all are of the same size. */
static struct tern_view check_make(const struct check *check, uint8_t room[CHECK_SIZE])
{
    char name[NAME_SIZE];
    char both[2 * NAME_SIZE];
    snprintf(name, sizeof name, "libp2p+webrtc+v%c/%032u", check->other_prefix ? '9' : '1',
             check->name);
    snprintf(both, sizeof both, "%s:%s", name, name);
    struct tern_stun m = {.class = TERN_STUN_REQUEST,
                          .username = tern_view_str(both),
                          .priority = 1,
                          .role = check->role,
                          .tie_breaker = UINT64_MAX,
                          .use_candidate = true};
    memcpy(m.transaction, &check->name, sizeof check->name);
    struct tern_writer w = tern_writer_of(room, CHECK_SIZE);
    tern_stun_encode(&m, tern_view_str(check->forged ? "somebody else's" : name), &w);
    assert_true(tern_writer_ok(&w));
    return tern_writer_view(&w);
}

/* check_arrive lets one arrive from 10.0.0.host. */
static void check_arrive(struct webrtc_world *w, const struct webrtc_host *to, uint8_t host,
                         const struct check *check)
{
    uint8_t room[CHECK_SIZE];
    const struct tern_path path = {.local = datagram_endpoint(host, 77), .remote = to->at};
    datagram_net_inject(&w->world.net, w->world.now, &path, check_make(check, room));
}

static void strangers_are_not_answered(void **state)
{
    (void)state;
    struct webrtc_world *w = world_of(1);
    static const char *const rows[] = {
        "00",
        "16",
        "ff",
        "4041424344", /* nothing, nothing, RTP, QUIC */
        "16fefd00000000000000000003010203",
        "15fefd00000000000000000002022a",
        "17fefd00010000000000000003010203",
        "16feff0000000000000000ffff01",
    };
    const struct tern_path path = {.local = datagram_endpoint(77, 77), .remote = w->hosts[0].at};
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++)
        datagram_net_inject(&w->world.net, w->world.now, &path, TEST_HEX(rows[i], 64));
    webrtc_world_run(w, TERN_MINUTE);
    assert_int_equal(faults(&w->hosts[0], TERN_FAULT_WEBRTC_STRAY), TERN_COUNT_OF(rows));
    assert_int_equal(w->hosts[0].offers_count, 0);
    assert_int_equal(datagram_net_socket(&w->world.net, w->hosts[0].socket)->sent_count, 0);
    world_free(w);
}

static void checks_that_are_wrong_begin_nothing(void **state)
{
    (void)state;
    static const struct {
        struct check check;
        tern_fault fault;
    } rows[] = {
        {{.role = TERN_STUN_ROLE_CONTROLLING, .forged = true}, TERN_FAULT_WEBRTC_STUN_INTEGRITY},
        {{.role = TERN_STUN_ROLE_CONTROLLED}, TERN_FAULT_WEBRTC_STUN_ROLE},
        {{.role = TERN_STUN_ROLE_CONTROLLING, .other_prefix = true},
         TERN_FAULT_WEBRTC_STUN_USERNAME},
    };
    struct webrtc_world *w = world_of(1);
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        check_arrive(w, &w->hosts[0], 77, &rows[i].check);
        webrtc_world_run(w, TERN_SECOND);
        assert_int_equal(faults(&w->hosts[0], rows[i].fault), 1);
    }
    assert_int_equal(w->hosts[0].offers_count, 0);
    assert_int_equal(datagram_net_socket(&w->world.net, w->hosts[0].socket)->sent_count, 0);
    world_free(w);
}

/* A batch of checks, each of another name: so many wait for the owner as there is place for. */
static void checks_are_offered_in_bounded_number(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    struct webrtc_world *w = world_of(1);
    struct webrtc_host *host = &w->hosts[0];
    host->refuses = true;
    uint8_t *batch = test_malloc(COUNT * CHECK_SIZE);
    size_t size = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        const struct check check = {.name = i, .role = TERN_STUN_ROLE_CONTROLLING};
        uint8_t room[CHECK_SIZE];
        struct tern_view bytes = check_make(&check, room);
        assert_true(size == 0 || bytes.size * i == size);
        memcpy(batch + size, bytes.data, bytes.size);
        size += bytes.size;
    }
    const struct tern_datagrams in = {
        .path = {.local = host->at, .remote = datagram_endpoint(77, 77)},
        .segment_size = (uint16_t)(size / COUNT),
        .data = tern_view_of(batch, size)};
    host->transport.ops->recv(host->transport.self, w->world.now, host->socket, &in);
    assert_int_equal(faults(host, TERN_FAULT_WEBRTC_OFFER_FLOOD), COUNT - TERN_WEBRTC_OFFERS_MAX);
    webrtc_world_run(w, TERN_SECOND);
    assert_int_equal(host->offers_count, TERN_WEBRTC_OFFERS_MAX);
    test_free(batch);
    world_free(w);
}

/* Checks that go on: their rate is bounded, too, and who comes afterwards is served. */
static void checks_are_offered_at_a_bounded_rate(void **state)
{
    (void)state;
    struct webrtc_world *w = world_of(2);
    struct webrtc_host *host = &w->hosts[1];
    host->refuses = true;
    for (unsigned i = 0; i < 10000; i++) {
        const struct check check = {.name = i, .role = TERN_STUN_ROLE_CONTROLLING};
        check_arrive(w, host, (uint8_t)(50 + i % 200), &check);
        webrtc_world_run(w, 100 * TERN_MICROSECOND); /* ten thousand a second */
    }
    assert_true(host->offers_count < 800);
    assert_int_equal(host->offers_count + faults(host, TERN_FAULT_WEBRTC_OFFER_FLOOD), 10000);
    assert_int_equal(datagram_net_socket(&w->world.net, host->socket)->sent_count, 0);
    webrtc_world_run(w, TERN_SECOND);
    host->refuses = false;
    host->offers_count = 0;
    webrtc_world_connect(w, &w->hosts[0], host);
    world_free(w);
}

/* Sessions that are begun and left: their number and their time are bounded. */
static void half_open_sessions_are_bounded(void **state)
{
    (void)state;
    struct webrtc_world *w = world_new(2, (struct tern_webrtc_options){.half_open_max = 4});
    struct webrtc_host *host = &w->hosts[1];
    for (unsigned i = 0; i < 20; i++) {
        const struct check check = {.name = i, .role = TERN_STUN_ROLE_CONTROLLING};
        check_arrive(w, host, (uint8_t)(50 + i), &check);
        webrtc_world_run(w, TERN_MILLISECOND);
    }
    assert_int_equal(host->offers_count, 4);
    assert_int_equal(faults(host, TERN_FAULT_WEBRTC_OFFER_FLOOD), 16);
    webrtc_world_run(w, 20 * TERN_SECOND);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(webrtc_seen_error(&host->seen[i]), TERN_ERR_TIMEOUT);
        webrtc_seen_end(&host->seen[i]);
    }
    webrtc_world_connect(w, &w->hosts[0], host);
    world_free(w);
}

/* One address begins one session at a time. */
static void an_address_begins_one_session_at_a_time(void **state)
{
    (void)state;
    struct webrtc_world *w = world_of(1);
    struct webrtc_host *host = &w->hosts[0];
    for (unsigned i = 0; i < 10; i++) {
        const struct check check = {.name = i, .role = TERN_STUN_ROLE_CONTROLLING};
        check_arrive(w, host, 77, &check);
    }
    webrtc_world_run(w, TERN_SECOND);
    assert_int_equal(host->offers_count, 1);
    assert_int_equal(faults(host, TERN_FAULT_WEBRTC_COLLISION), 9);
    world_free(w);
}

/* Checks of one session come again and again: answers are fewer, and memory does not grow. */
static void a_flood_of_checks_is_not_answered_for_ever(void **state)
{
    (void)state;
    struct webrtc_world *w = world_of(1);
    struct webrtc_host *host = &w->hosts[0];
    const struct check check = {.name = 1, .role = TERN_STUN_ROLE_CONTROLLING};
    for (unsigned i = 0; i < 5000; i++) {
        check_arrive(w, host, (uint8_t)(10 + i % 200), &check);
        webrtc_world_run(w, 200 * TERN_MICROSECOND);
    }
    assert_true(faults(host, TERN_FAULT_WEBRTC_STUN_FLOOD) > 4500);
    assert_int_equal(host->offers_count, 1);
    const struct datagram_socket *socket = datagram_net_socket(&w->world.net, host->socket);
    assert_true(socket->sent_count < 200 && socket->sent_bytes < socket->received_bytes / 10);
    world_free(w);
}

/* --- amplification --- */

struct first_flight {
    struct webrtc_world *world;
    uint64_t received_bytes;
    uint64_t sent_bytes;
};

/* The answer to the hello vanishes, as the one does that goes to a forged address; the hello comes
 * once. */
static bool flight_tap(void *context, const struct datagram_seen *seen)
{
    struct first_flight *flight = context;
    bool listener = seen->from.ip[3] == 2;
    bool dtls = seen->bytes.data[0] >= 20;
    if (listener) {
        flight->sent_bytes += seen->bytes.size;
        return !dtls;
    }
    flight->received_bytes += seen->bytes.size;
    if (dtls) {
        tern_link_id socket = flight->world->hosts[0].socket;
        datagram_net_socket(&flight->world->world.net, socket)->link.down = true;
    }
    return true;
}

static void an_address_that_is_not_proven_gets_little(void **state)
{
    (void)state;
    struct webrtc_world *w = world_of(2);
    struct first_flight flight = {.world = w};
    w->world.net.tap = flight_tap;
    w->world.net.tap_context = &flight;
    webrtc_world_dial(w, &w->hosts[0], &w->hosts[1]);
    webrtc_world_run(w, 100 * TERN_MILLISECOND);
    assert_true(flight.sent_bytes > 0);
    uint64_t received = flight.received_bytes;
    webrtc_world_run(w, 25 * TERN_SECOND);
    assert_int_equal(webrtc_seen_error(w->hosts[1].last), TERN_ERR_TIMEOUT);
    assert_true(flight.sent_bytes <= 3 * received);
    w->world.net.tap = NULL;
    world_free(w);
}

/* --- addresses --- */

struct kept_check {
    uint8_t bytes[1024];
    size_t size;
};

static bool keep_check(void *context, const struct datagram_seen *seen)
{
    struct kept_check *kept = context;
    if (seen->from.ip[3] == 3 && seen->bytes.data[0] == 0 && seen->bytes.size < 1024) {
        memcpy(kept->bytes, seen->bytes.data, seen->bytes.size);
        kept->size = seen->bytes.size;
    }
    return true;
}

static void an_address_is_shared_by_few_sessions(void **state)
{
    (void)state;
    struct webrtc_world *w = world_of(3);
    struct webrtc_host *host = &w->hosts[1];
    struct kept_check kept = {.size = 0};
    w->world.net.tap = keep_check;
    w->world.net.tap_context = &kept;
    struct webrtc_seen *other = webrtc_world_connect(w, &w->hosts[2], host);
    for (int i = 0; i < TERN_WEBRTC_SHARING_MAX; i++)
        webrtc_world_connect(w, &w->hosts[0], host);
    /* Both ends know it: the dialer by itself, … */
    struct webrtc_seen *one_more;
    assert_int_equal(webrtc_world_try_dial(&w->hosts[0], &host->at, 1, true, &one_more),
                     TERN_ERR_FULL);
    /* … and the listener, when one begins there, or when another session's checks come from it. */
    const struct check check = {.name = 1, .role = TERN_STUN_ROLE_CONTROLLING};
    uint8_t room[CHECK_SIZE];
    const struct tern_path path = {.local = w->hosts[0].at, .remote = host->at};
    datagram_net_inject(&w->world.net, w->world.now, &path, check_make(&check, room));
    webrtc_world_run(w, TERN_MILLISECOND);
    assert_int_equal(host->accept_err, TERN_ERR_FULL);
    datagram_net_inject(&w->world.net, w->world.now, &path, tern_view_of(kept.bytes, kept.size));
    webrtc_world_run(w, TERN_MILLISECOND);
    assert_int_equal(faults(host, TERN_FAULT_WEBRTC_ADDRESS_SHARED), 1);
    webrtc_world_run(w, TERN_MINUTE);
    assert_int_equal(webrtc_seen_error(other), TERN_OK);
    w->world.net.tap = NULL;
    world_free(w);
}

/* --- remotes that are not who they should be --- */

/* One host, and a puppet that dials it. */
struct meeting {
    struct webrtc_world world;
    struct webrtc_puppet puppet;
    struct webrtc_host *host;
    struct webrtc_seen *seen;
};

static struct meeting *meet(void)
{
    struct meeting *m = test_calloc(1, sizeof *m);
    webrtc_world_init(&m->world, 1);
    for (int i = 0; i < 3; i++)
        m->host = webrtc_world_add(&m->world, (struct tern_webrtc_options){.mem = NULL}, NULL);
    webrtc_puppet_dialer(&m->puppet, &m->world, m->host);
    return m;
}

/* meet_mute: SCTP is up, and the puppet says nothing by itself. */
static struct meeting *meet_mute(void)
{
    struct meeting *m = meet();
    m->puppet.no_noise = true;
    webrtc_puppet_up(&m->puppet);
    m->seen = m->host->last;
    return m;
}

static void part(struct meeting *m)
{
    webrtc_world_fini(&m->world);
    webrtc_puppet_fini(&m->puppet);
    test_free(m);
}

static void assert_ends(struct meeting *m, tern_err err, tern_fault fault)
{
    assert_int_equal(webrtc_world_ended(&m->world, m->seen, TERN_SECOND), err);
    assert_int_equal(webrtc_seen_fault(m->seen), fault);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_ESTABLISHED), 0);
    webrtc_world_run(&m->world, TERN_SECOND);
    assert_true(m->puppet.gone);
    part(m);
}

/* Somebody in between has a certificate of its own: the prologues differ. */
static void whoever_stands_in_between_is_found(void **state)
{
    (void)state;
    struct meeting *m = meet();
    m->puppet.wrong_prologue = true;
    webrtc_puppet_up(&m->puppet);
    m->seen = m->host->last;
    assert_ends(m, TERN_ERR_BAD_MAC, TERN_FAULT_NOISE_HANDSHAKE_MAC);
    /* As a listener it is found by its own certificate's hash first; here it has the right one. */
    m = test_calloc(1, sizeof *m);
    webrtc_world_init(&m->world, 1);
    m->host = webrtc_world_add(&m->world, (struct tern_webrtc_options){.mem = NULL}, NULL);
    webrtc_puppet_listener(&m->puppet, &m->world);
    m->puppet.wrong_prologue = true;
    assert_ok(webrtc_world_try_dial(m->host, &m->puppet.at, 1, true, &m->seen));
    webrtc_world_run(&m->world, 21 * TERN_SECOND);
    assert_true(webrtc_seen_error(m->seen) != TERN_OK && m->puppet.gone);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_ESTABLISHED), 0);
    part(m);
}

static void a_handshake_may_not_be_closed(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct meeting *m = meet_mute();
        if (how < 2)
            webrtc_puppet_flag(&m->puppet, 0, how == 0 ? TERN_MESSAGE_FIN : TERN_MESSAGE_RESET, 0);
        else
            webrtc_puppet_close(&m->puppet, 0);
        assert_ends(m, TERN_ERR_PROTOCOL, TERN_FAULT_WEBRTC_NOISE_CLOSED);
    }
}

/* A dialer that may not hear yet is given time, and others are not. */
static void a_dialer_may_be_slow_to_hear(void **state)
{
    (void)state;
    for (int old = 0; old < 2; old++) {
        struct meeting *m = meet();
        m->puppet.old = old == 1;
        webrtc_puppet_join(&m->puppet);
        assert_true(m->puppet.up_at > 0);
        if (old == 1)
            assert_int_equal(m->puppet.noise_at - m->puppet.up_at, 5 * TERN_MILLISECOND);
        else
            assert_true(m->puppet.noise_at <= m->puppet.up_at);
        part(m);
    }
}

/* Its end may come with its last message, before the owner has done the work for that. */
static void a_handshake_may_end_with_its_last_message(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct meeting *m = test_calloc(1, sizeof *m);
        webrtc_world_init(&m->world, 1);
        m->host = webrtc_world_add(&m->world, (struct tern_webrtc_options){.mem = NULL}, NULL);
        webrtc_puppet_listener(&m->puppet, &m->world);
        assert_ok(webrtc_world_try_dial(m->host, &m->puppet.at, 1, true, &m->seen));
        m->seen->holds_jobs = true;
        for (int i = 0; i < 20 && !m->puppet.known; i++) {
            webrtc_world_run(&m->world, 10 * TERN_MILLISECOND);
            if (!m->puppet.known)
                webrtc_seen_job(m->seen, m->world.world.now);
        }
        assert_true(m->puppet.known); /* it has all it needs; here the last message waits */
        if (how < 2)
            webrtc_puppet_flag(&m->puppet, 0, how == 0 ? TERN_MESSAGE_FIN : TERN_MESSAGE_RESET, 0);
        else
            webrtc_puppet_close(&m->puppet, 0);
        webrtc_world_run(&m->world, 10 * TERN_MILLISECOND);
        assert_int_equal(webrtc_seen_error(m->seen), TERN_OK);
        assert_true(webrtc_seen_job(m->seen, m->world.world.now));
        webrtc_world_run(&m->world, TERN_SECOND);
        assert_int_equal(webrtc_seen_error(m->seen), TERN_OK);
        assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_CONFIRMED), 1);
        part(m);
    }
}

static void what_is_no_message_ends_the_handshake(void **state)
{
    (void)state;
    struct meeting *m = meet_mute();
    webrtc_puppet_say(&m->puppet, 0, TERN_CHANNEL_BINARY, "050807ffffff");
    assert_ends(m, TERN_ERR_MALFORMED, TERN_FAULT_WEBRTC_MESSAGE);
}

static void bytes_that_no_handshake_needs_end_it(void **state)
{
    (void)state;
    static const uint8_t zeros[4000];
    struct meeting *m = meet();
    m->host->holds_jobs = true;
    for (int i = 0; i < 10 && m->puppet.sctp == NULL; i++) {
        webrtc_world_run(&m->world, 10 * TERN_MILLISECOND);
        m->seen = m->host->last;
        if (m->puppet.sctp == NULL)
            webrtc_seen_job(m->seen, m->world.world.now); /* DTLS's */
    }
    webrtc_world_run(&m->world, TERN_SECOND);
    assert_non_null(m->seen->job); /* Noise's: bytes wait */
    for (int i = 0; i < 5; i++) {
        webrtc_puppet_bytes(&m->puppet, 0, tern_view_of(zeros, sizeof zeros));
        webrtc_world_run(&m->world, TERN_SECOND);
    }
    assert_ends(m, TERN_ERR_PROTOCOL, TERN_FAULT_WEBRTC_NOISE_FLOOD);
}

/* A remote that never says who it is has so long to do so. */
static void who_does_not_say_who_it_is_is_given_up(void **state)
{
    (void)state;
    struct meeting *m = meet_mute();
    assert_int_equal(webrtc_world_ended(&m->world, m->seen, 19 * TERN_SECOND), TERN_OK);
    assert_int_equal(webrtc_world_ended(&m->world, m->seen, 2 * TERN_SECOND), TERN_ERR_TIMEOUT);
    part(m);
}

/* --- below streams --- */

static void chunk_forward(struct tern_writer *w, struct webrtc_puppet *p, uint32_t channel)
{
    size_t start = sctp_begin_chunk(w, SCTP_FORWARD_TSN, 0);
    tern_writer_u32be(w, p->sctp->out.next);
    tern_writer_u32be(w, channel << 16);
    sctp_end_chunk(w, start);
}

static void what_a_remote_gives_up_ends_its_stream(void **state)
{
    (void)state;
    struct meeting *m = meet();
    webrtc_puppet_join(&m->puppet);
    m->seen = m->host->last;
    webrtc_puppet_open(&m->puppet, 2);
    webrtc_world_run(&m->world, TERN_SECOND);
    tern_stream_id id = webrtc_seen_event(m->seen, TERN_MUX_STREAM_OPENED).stream;
    webrtc_puppet_open(&m->puppet, 4);
    webrtc_world_run(&m->world, TERN_SECOND);
    uint8_t bytes[64];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    chunk_forward(&w, &m->puppet, 2);
    webrtc_puppet_raw(&m->puppet, tern_writer_view(&w));
    webrtc_world_run(&m->world, TERN_MILLISECOND);
    assert_int_equal(faults(m->host, TERN_FAULT_WEBRTC_CHANNEL_GAP), 1);
    assert_int_equal(webrtc_seen_count(m->seen, TERN_MUX_RESET), 1);
    assert_true(webrtc_seen_event(m->seen, TERN_MUX_RESET).stream == id);
    part(m);
}

/* Beginnings of associations and cookies by the thousand, over a session that is up. */
static void a_storm_below_streams_costs_little(void **state)
{
    (void)state;
    struct meeting *m = meet();
    webrtc_puppet_join(&m->puppet);
    m->seen = m->host->last;
    size_t used = m->host->mem.used;
    uint64_t sent = datagram_net_socket(&m->world.world.net, m->host->socket)->sent_bytes;
    static const char *const rows[] = {
        "01000014"
        "11223344"
        "00100000"
        "00ff00ff"
        "00000001", /* INIT */
        "0a000008"
        "00000000", /* COOKIE ECHO */
        "04000008"
        "00010004", /* HEARTBEAT */
    };
    for (int i = 0; i < 3000 && webrtc_seen_error(m->seen) == TERN_OK; i++) {
        webrtc_puppet_raw(&m->puppet, TEST_HEX(rows[i % 3], 64));
        webrtc_world_run(&m->world, 100 * TERN_MICROSECOND);
    }
    assert_true(m->host->mem.used <= used + 8192);
    uint64_t answered =
        datagram_net_socket(&m->world.world.net, m->host->socket)->sent_bytes - sent;
    uint64_t asked = datagram_net_socket(&m->world.world.net, m->puppet.socket)->sent_bytes;
    assert_true(answered <= 3 * asked);
    part(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_are_not_answered),
        cmocka_unit_test(checks_that_are_wrong_begin_nothing),
        cmocka_unit_test(checks_are_offered_in_bounded_number),
        cmocka_unit_test(checks_are_offered_at_a_bounded_rate),
        cmocka_unit_test(half_open_sessions_are_bounded),
        cmocka_unit_test(an_address_begins_one_session_at_a_time),
        cmocka_unit_test(a_flood_of_checks_is_not_answered_for_ever),
        cmocka_unit_test(an_address_that_is_not_proven_gets_little),
        cmocka_unit_test(an_address_is_shared_by_few_sessions),
        cmocka_unit_test(whoever_stands_in_between_is_found),
        cmocka_unit_test(a_handshake_may_not_be_closed),
        cmocka_unit_test(a_dialer_may_be_slow_to_hear),
        cmocka_unit_test(a_handshake_may_end_with_its_last_message),
        cmocka_unit_test(what_is_no_message_ends_the_handshake),
        cmocka_unit_test(bytes_that_no_handshake_needs_end_it),
        cmocka_unit_test(who_does_not_say_who_it_is_is_given_up),
        cmocka_unit_test(what_a_remote_gives_up_ends_its_stream),
        cmocka_unit_test(a_storm_below_streams_costs_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
