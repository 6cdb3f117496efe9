#include "webrtc/ice.h"

#include "tern_test.h"

#include "golden.h"

#define V1_A    "libp2p+webrtc+v1/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define V2_HEAD "libp2p+webrtc+v2/"

static const struct tern_path dialer_path = {
    .local = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001},
    .remote = {.family = 4, .ip = {192, 0, 2, 2}, .port = 4002},
};
static const struct tern_path listener_path = {
    .local = {.family = 4, .ip = {192, 0, 2, 2}, .port = 4002},
    .remote = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001},
};

/* A dialer, and the listener that its first check made. */
struct world {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_ice dialer;
    struct tern_ice listener;
    bool listening;
    tern_time now;
    uint8_t buffer[TERN_STUN_ENCODED_MAX];
    tern_fault fault;
};

static void world_init(struct world *w, enum tern_ice_version version)
{
    *w = (struct world){.now = TERN_SECOND};
    tern_mem_init(&w->mem, 0);
    tern_random_init_u64(&w->random, 7);
    assert_ok(tern_ice_init_dialer(&w->dialer, &w->mem, &w->random, version, &dialer_path));
}

static void world_fini(struct world *w)
{
    tern_ice_fini(&w->dialer);
    if (w->listening)
        tern_ice_fini(&w->listener);
    tern_mem_fini(&w->mem);
}

/* The next datagram of an agent; size 0: none. */
static struct tern_view sent(struct world *w, struct tern_ice *ice, struct tern_path *path)
{
    struct tern_writer out = tern_writer_of(w->buffer, sizeof w->buffer);
    bool want = tern_ice_want_send(ice);
    bool any = tern_ice_send(ice, w->now, path, &out);
    assert_int_equal(any, want);
    return any ? tern_writer_view(&out) : tern_view_of(NULL, 0);
}

static enum tern_ice_news given(struct world *w, struct tern_ice *ice, struct tern_view datagram,
                                const struct tern_path *path)
{
    struct tern_stun m;
    assert_ok(tern_stun_decode(datagram, &m, &w->fault));
    const struct tern_ice_message message = {.stun = &m, .datagram = datagram, .path = path};
    return tern_ice_recv(ice, w->now, &message, &w->fault);
}

/* The check reaches the listener, which the first one makes. */
static enum tern_ice_news check_arrives(struct world *w, struct tern_view check)
{
    struct tern_stun m;
    assert_ok(tern_stun_decode(check, &m, &w->fault));
    struct tern_ice_name name;
    assert_true(tern_ice_name_parse(m.username, &name));
    if (!w->listening)
        assert_ok(tern_ice_init_listener(&w->listener, &w->mem, &name));
    w->listening = true;
    return given(w, &w->listener, check, &listener_path);
}

static void connect_both(struct world *w)
{
    struct tern_path path;
    struct tern_view check = sent(w, &w->dialer, &path);
    assert_int_equal(check_arrives(w, check), TERN_ICE_NOMINATED);
    struct tern_view answer = sent(w, &w->listener, &path);
    assert_int_equal(given(w, &w->dialer, answer, &dialer_path), TERN_ICE_CONSENT);
    assert_true(w->dialer.connected);
}

static void user_names_are_cut_and_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum tern_ice_version version;
    } rows[] = {
        {V1_A ":" V1_A, TERN_ICE_V1},
        {V1_A ":abcd", TERN_ICE_V1},
        {V2_HEAD "0123456789+/abcdefghij:b1Z+", TERN_ICE_V2},
        {"libp2p+webrtc+v1/12345:abcd", TERN_ICE_V1},
        {"", 0},
        {":", 0},
        {V1_A, 0},
        {V1_A ":", 0},
        {V1_A ":abc", 0},       /* a ufrag has four characters at least */
        {V1_A ":abcd:abcd", 0}, /* the colon is none of them */
        {V1_A "_:abcd", 0},     /* nor is this */
        {V1_A ":ab\xc3\xa4"
              "d",
         0},
        {"libp2p+webrtc+v1/1234:abcd", 0},         /* a password has 22 */
        {V2_HEAD "0123456789+/abcdefghi:b1Z+", 0}, /* here what is behind the prefix is one */
        {"libp2p+webrtc+v3/0123456789+/abcdefghij:abcd", 0},
        {"libp2p+webrtc+v10123456789+/abcdefghij:abcd", 0},
        {"0123456789+/abcdefghij:abcd", 0},
        {"Libp2p+webrtc+v1/0123456789+/abcdefghij:abcd", 0},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct tern_ice_name name;
        bool good = tern_ice_name_parse(tern_view_str(rows[i].text), &name);
        assert_int_equal(good, rows[i].version != 0);
        if (good)
            assert_int_equal(name.version, rows[i].version);
    }
    char longest[2 * TERN_ICE_CREDENTIAL_MAX + 3];
    memset(longest, 'x', sizeof longest);
    memcpy(longest, V2_HEAD, sizeof V2_HEAD - 1);
    longest[TERN_ICE_CREDENTIAL_MAX] = ':';
    struct tern_ice_name name;
    struct tern_view text = tern_view_of(longest, 2 * TERN_ICE_CREDENTIAL_MAX + 1);
    assert_true(tern_ice_name_parse(text, &name));
    text.size++;
    assert_false(tern_ice_name_parse(text, &name));
    longest[TERN_ICE_CREDENTIAL_MAX] = 'x';
    longest[TERN_ICE_CREDENTIAL_MAX + 1] = ':';
    assert_false(tern_ice_name_parse(text, &name));
}

static void a_dialer_and_a_listener_find_each_other(void **state)
{
    (void)state;
    for (enum tern_ice_version version = TERN_ICE_V1; version <= TERN_ICE_V2; version++) {
        struct world w;
        world_init(&w, version);
        struct tern_path path;
        struct tern_view check = sent(&w, &w.dialer, &path);
        assert_memory_equal(&path, &dialer_path, sizeof path);
        struct tern_stun m;
        assert_ok(tern_stun_decode(check, &m, &w.fault));
        assert_int_equal(m.class, TERN_STUN_REQUEST);
        assert_int_equal(m.role, TERN_STUN_ROLE_CONTROLLING);
        assert_true(m.use_candidate);
        assert_int_equal(m.priority, 0x6effffff);
        assert_int_equal(check_arrives(&w, check), TERN_ICE_NOMINATED);
        assert_true(w.listener.nominated);
        assert_int_equal(w.listener.name.version, version);
        w.now += 30 * TERN_MILLISECOND;
        struct tern_view answer = sent(&w, &w.listener, &path);
        assert_memory_equal(&path, &listener_path, sizeof path);
        assert_ok(tern_stun_decode(answer, &m, &w.fault));
        assert_int_equal(m.class, TERN_STUN_SUCCESS);
        assert_memory_equal(&m.mapped, &listener_path.remote, sizeof m.mapped);
        assert_int_equal(given(&w, &w.dialer, answer, &dialer_path), TERN_ICE_CONSENT);
        assert_int_equal(w.dialer.rtt_ns, 30 * TERN_MILLISECOND);
        assert_false(tern_ice_want_send(&w.dialer));
        assert_false(tern_ice_want_send(&w.listener));
        assert_int_equal(tern_ice_deadline(&w.listener), TERN_TIME_NEVER);
        world_fini(&w);
    }
}

static void credentials_are_those_of_the_version(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_ICE_V1);
    assert_true(tern_view_equal(w.dialer.name.listener, w.dialer.name.dialer));
    assert_true(tern_view_equal(w.dialer.name.listener, w.dialer.dialer_password));
    assert_int_equal(w.dialer.name.listener.size, 17 + 32);
    world_fini(&w);
    world_init(&w, TERN_ICE_V2);
    assert_int_equal(w.dialer.name.listener.size, 17 + 32);
    assert_int_equal(w.dialer.name.dialer.size, 32);
    assert_int_equal(w.dialer.dialer_password.size, 32);
    assert_false(tern_view_equal(w.dialer.name.dialer, w.dialer.dialer_password));
    assert_memory_equal(w.dialer.name.listener.data + 17, w.dialer.dialer_password.data, 32);
    world_fini(&w);
}

/* A listener that is no lite one checks its side, too. */
static void a_dialer_answers_checks_with_its_own_password(void **state)
{
    (void)state;
    for (enum tern_ice_version version = TERN_ICE_V1; version <= TERN_ICE_V2; version++) {
        struct world w;
        world_init(&w, version);
        uint8_t text[TERN_STUN_USERNAME_MAX];
        struct tern_writer name = tern_writer_of(text, sizeof text);
        tern_writer_bytes(&name, w.dialer.name.dialer);
        tern_writer_u8(&name, ':');
        tern_writer_bytes(&name, w.dialer.name.listener);
        const struct tern_stun check = {.class = TERN_STUN_REQUEST,
                                        .transaction = {9, 9, 9},
                                        .username = tern_writer_view(&name),
                                        .role = TERN_STUN_ROLE_CONTROLLED};
        uint8_t buffer[TERN_STUN_ENCODED_MAX];
        struct tern_writer out = tern_writer_of(buffer, sizeof buffer);
        tern_stun_encode(&check, w.dialer.dialer_password, &out);
        enum tern_ice_news news = given(&w, &w.dialer, tern_writer_view(&out), &dialer_path);
        assert_int_equal(news, TERN_ICE_HEARD);
        struct tern_path path;
        struct tern_view answer = sent(&w, &w.dialer, &path);
        struct tern_stun m;
        assert_ok(tern_stun_decode(answer, &m, &w.fault));
        assert_int_equal(m.class, TERN_STUN_SUCCESS);
        assert_true(tern_stun_authentic(&m, answer, w.dialer.dialer_password));
        world_fini(&w);
    }
}

static void checks_are_repeated_until_one_is_answered(void **state)
{
    (void)state;
    struct world w;
    struct golden golden;
    world_init(&w, TERN_ICE_V2);
    golden_init(&golden);
    tern_time start = w.now;
    struct tern_path path;
    for (int i = 0; i < 6; i++) {
        struct tern_view check = sent(&w, &w.dialer, &path);
        unsigned at_ms = (unsigned)((w.now - start) / TERN_MILLISECOND);
        golden_line(&golden, "%5u ms  %zu bytes", at_ms, check.size);
        assert_false(tern_ice_want_send(&w.dialer));
        tern_ice_tick(&w.dialer, tern_ice_deadline(&w.dialer) - 1);
        assert_false(tern_ice_want_send(&w.dialer));
        w.now = tern_ice_deadline(&w.dialer);
        tern_ice_tick(&w.dialer, w.now);
    }
    golden_expect(&golden, "    0 ms  164 bytes\n"
                           "  500 ms  164 bytes\n"
                           " 1500 ms  164 bytes\n"
                           " 3500 ms  164 bytes\n"
                           " 5500 ms  164 bytes\n"
                           " 7500 ms  164 bytes\n");
    golden_fini(&golden);
    connect_both(&w);
    world_fini(&w);
}

static void an_answer_to_any_of_the_last_checks_counts(void **state)
{
    (void)state;
    for (int late = 0; late < TERN_ICE_CHECKS_MAX + 1; late++) {
        struct world w;
        world_init(&w, TERN_ICE_V2);
        uint8_t first[TERN_STUN_ENCODED_MAX];
        struct tern_path path;
        struct tern_view check = sent(&w, &w.dialer, &path);
        memcpy(first, check.data, check.size);
        check.data = first;
        tern_time sent_at = w.now;
        for (int i = 0; i < late; i++) {
            w.now = tern_ice_deadline(&w.dialer);
            tern_ice_tick(&w.dialer, w.now);
            (void)sent(&w, &w.dialer, &path);
        }
        assert_int_equal(check_arrives(&w, check), TERN_ICE_NOMINATED);
        struct tern_view answer = sent(&w, &w.listener, &path);
        enum tern_ice_news news = given(&w, &w.dialer, answer, &dialer_path);
        if (late < TERN_ICE_CHECKS_MAX) {
            assert_int_equal(news, TERN_ICE_CONSENT);
            assert_int_equal(w.dialer.rtt_ns, w.now - sent_at);
        } else {
            assert_int_equal(news, TERN_ICE_NOTHING);
            assert_int_equal(w.fault, TERN_FAULT_WEBRTC_STUN_UNASKED);
        }
        world_fini(&w);
    }
}

static void consent_is_asked_for_and_ends_when_it_is_not_given(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_ICE_V1);
    connect_both(&w);
    struct tern_path path;
    tern_time last = w.now;
    for (int i = 0; i < 20; i++) {
        w.now = tern_ice_deadline(&w.dialer);
        assert_in_range(w.now - last, 4 * TERN_SECOND, 6 * TERN_SECOND);
        last = w.now;
        tern_ice_tick(&w.dialer, w.now);
        connect_both(&w);
    }
    /* From now on nothing is answered. */
    size_t checks = 0;
    while (!w.dialer.failed) {
        w.now = tern_ice_deadline(&w.dialer);
        tern_ice_tick(&w.dialer, w.now);
        checks += sent(&w, &w.dialer, &path).size > 0;
    }
    assert_int_equal(w.now, last + TERN_ICE_CONSENT_TIMEOUT);
    assert_in_range(checks, 5, 7);
    assert_int_equal(tern_ice_deadline(&w.dialer), TERN_TIME_NEVER);
    tern_ice_tick(&w.dialer, w.now + TERN_MINUTE);
    assert_false(tern_ice_want_send(&w.dialer));
    world_fini(&w);
}

/* A check like the dialer's, but for what the case changes. */
static struct tern_view forged(struct world *w, const struct tern_stun *change,
                               struct tern_view password, uint8_t buffer[TERN_STUN_ENCODED_MAX])
{
    struct tern_stun m = *change;
    if (m.username.size == 0)
        m.username = tern_view_of(w->dialer.username, w->dialer.username_size);
    struct tern_writer out = tern_writer_of(buffer, TERN_STUN_ENCODED_MAX);
    tern_stun_encode(&m, password, &out);
    return tern_writer_view(&out);
}

static void requests_that_are_not_believed_are_not_answered(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_ICE_V2);
    connect_both(&w);
    uint8_t buffer[TERN_STUN_ENCODED_MAX];
    struct tern_view right = w.listener.name.listener;
    const struct tern_stun plain = {.class = TERN_STUN_REQUEST};
    struct tern_view datagram = forged(&w, &plain, tern_view_str("another password"), buffer);
    assert_int_equal(given(&w, &w.listener, datagram, &listener_path), TERN_ICE_NOTHING);
    assert_int_equal(w.fault, TERN_FAULT_WEBRTC_STUN_INTEGRITY);
    datagram = forged(&w, &plain, tern_view_str(""), buffer);
    assert_int_equal(given(&w, &w.listener, datagram, &listener_path), TERN_ICE_NOTHING);
    assert_int_equal(w.fault, TERN_FAULT_WEBRTC_STUN_INTEGRITY);
    const struct tern_stun stranger = {.class = TERN_STUN_REQUEST,
                                       .username = tern_view_str(V1_A ":" V1_A)};
    datagram = forged(&w, &stranger, right, buffer);
    assert_int_equal(given(&w, &w.listener, datagram, &listener_path), TERN_ICE_NOTHING);
    assert_int_equal(w.fault, TERN_FAULT_WEBRTC_STUN_USERNAME);
    assert_false(tern_ice_want_send(&w.listener));
    /* An indication is heard in silence. */
    const struct tern_stun indication = {.class = TERN_STUN_INDICATION};
    datagram = forged(&w, &indication, right, buffer);
    assert_int_equal(given(&w, &w.listener, datagram, &listener_path), TERN_ICE_NOTHING);
    assert_int_equal(w.fault, TERN_FAULT_NONE);
    assert_false(tern_ice_want_send(&w.listener));
    world_fini(&w);
}

static void what_must_be_understood_is_answered_by_an_error(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_ICE_V2);
    connect_both(&w);
    uint8_t buffer[TERN_STUN_ENCODED_MAX];
    struct tern_view right = w.listener.name.listener;
    /* UNKNOWN-ATTRIBUTES behind an error is how the encoder writes kinds; here the kind itself. */
    struct tern_stun m = {.class = TERN_STUN_REQUEST};
    struct tern_view datagram = forged(&w, &m, right, buffer);
    assert_ok(tern_stun_decode(datagram, &m, &w.fault));
    m.unknown[0] = 0x7ffe;
    m.unknown_count = 1;
    const struct tern_ice_message message = {
        .stun = &m, .datagram = datagram, .path = &listener_path};
    assert_int_equal(tern_ice_recv(&w.listener, w.now, &message, &w.fault), TERN_ICE_NOTHING);
    assert_int_equal(w.fault, TERN_FAULT_WEBRTC_STUN_UNKNOWN_ATTRIBUTE);
    struct tern_path path;
    struct tern_view answer = sent(&w, &w.listener, &path);
    struct tern_stun out;
    assert_ok(tern_stun_decode(answer, &out, &w.fault));
    assert_int_equal(out.class, TERN_STUN_ERROR);
    assert_int_equal(out.error, TERN_STUN_UNKNOWN_ATTRIBUTE);
    assert_true(tern_stun_authentic(&out, answer, right));
    world_fini(&w);
}

/* Who claims which role, whose tie-breaker is larger: the answer, and the role afterwards. */
static void a_conflict_of_roles_is_settled_by_the_tie_breaker(void **state)
{
    (void)state;
    static const struct {
        bool listener; /* asked; else the dialer */
        enum tern_stun_role claim;
        uint64_t tie_breaker;
        bool conflict;
        enum tern_stun_role after;
    } rows[] = {
        {true, TERN_STUN_ROLE_CONTROLLING, 1, false, TERN_STUN_ROLE_CONTROLLED},
        {true, TERN_STUN_ROLE_NONE, 0, false, TERN_STUN_ROLE_CONTROLLED},
        {true, TERN_STUN_ROLE_CONTROLLED, 0, true, TERN_STUN_ROLE_CONTROLLED},
        {true, TERN_STUN_ROLE_CONTROLLED, UINT64_MAX, true, TERN_STUN_ROLE_CONTROLLED},
        {false, TERN_STUN_ROLE_CONTROLLED, 0, false, TERN_STUN_ROLE_CONTROLLING},
        {false, TERN_STUN_ROLE_CONTROLLING, 0, true, TERN_STUN_ROLE_CONTROLLING},
        {false, TERN_STUN_ROLE_CONTROLLING, UINT64_MAX, false, TERN_STUN_ROLE_CONTROLLED},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct world w;
        world_init(&w, TERN_ICE_V1);
        connect_both(&w);
        uint8_t buffer[TERN_STUN_ENCODED_MAX];
        struct tern_ice *asked = rows[i].listener ? &w.listener : &w.dialer;
        const struct tern_stun m = {
            .class = TERN_STUN_REQUEST, .role = rows[i].claim, .tie_breaker = rows[i].tie_breaker};
        struct tern_view datagram = forged(&w, &m, w.listener.name.listener, buffer);
        (void)given(&w, asked, datagram, rows[i].listener ? &listener_path : &dialer_path);
        assert_int_equal(w.fault, rows[i].conflict ? TERN_FAULT_WEBRTC_STUN_ROLE : TERN_FAULT_NONE);
        assert_int_equal(asked->role, rows[i].after);
        struct tern_path path;
        struct tern_stun answer;
        assert_ok(tern_stun_decode(sent(&w, asked, &path), &answer, &w.fault));
        assert_int_equal(answer.error, rows[i].conflict ? TERN_STUN_ROLE_CONFLICT : 0);
        world_fini(&w);
    }
}

static void a_dialer_that_is_told_of_a_conflict_takes_the_other_role(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_ICE_V1);
    struct tern_path path;
    struct tern_stun m;
    assert_ok(tern_stun_decode(sent(&w, &w.dialer, &path), &m, &w.fault));
    uint8_t buffer[TERN_STUN_ENCODED_MAX];
    struct tern_stun answer = {.class = TERN_STUN_ERROR, .error = TERN_STUN_ROLE_CONFLICT};
    memcpy(answer.transaction, m.transaction, sizeof m.transaction);
    struct tern_writer out = tern_writer_of(buffer, sizeof buffer);
    tern_stun_encode(&answer, w.dialer.name.listener, &out);
    (void)given(&w, &w.dialer, tern_writer_view(&out), &dialer_path);
    assert_ok(tern_stun_decode(sent(&w, &w.dialer, &path), &m, &w.fault));
    assert_int_equal(m.role, TERN_STUN_ROLE_CONTROLLED);
    assert_false(m.use_candidate);
    /* Now the remote nominates. */
    const struct tern_stun check = {
        .class = TERN_STUN_REQUEST, .role = TERN_STUN_ROLE_CONTROLLING, .use_candidate = true};
    uint8_t other[TERN_STUN_ENCODED_MAX];
    struct tern_view datagram = forged(&w, &check, w.dialer.dialer_password, other);
    assert_int_equal(given(&w, &w.dialer, datagram, &dialer_path), TERN_ICE_NOMINATED);
    /* Another error changes nothing. */
    answer.error = TERN_STUN_BAD_REQUEST;
    memcpy(answer.transaction, m.transaction, sizeof m.transaction);
    out = tern_writer_of(buffer, sizeof buffer);
    tern_stun_encode(&answer, w.dialer.name.listener, &out);
    assert_int_equal(given(&w, &w.dialer, tern_writer_view(&out), &dialer_path), TERN_ICE_NOTHING);
    assert_false(w.dialer.connected);
    world_fini(&w);
}

static void answers_that_were_not_asked_for_are_not_believed(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_ICE_V2);
    struct tern_path path;
    struct tern_stun m;
    assert_ok(tern_stun_decode(sent(&w, &w.dialer, &path), &m, &w.fault));
    struct tern_stun answer = {.class = TERN_STUN_SUCCESS};
    uint8_t buffer[TERN_STUN_ENCODED_MAX];
    struct tern_writer out = tern_writer_of(buffer, sizeof buffer);
    tern_stun_encode(&answer, w.dialer.name.listener, &out);
    assert_int_equal(given(&w, &w.dialer, tern_writer_view(&out), &dialer_path), TERN_ICE_NOTHING);
    assert_int_equal(w.fault, TERN_FAULT_WEBRTC_STUN_UNASKED);
    /* The right transaction, from elsewhere; with another password. */
    memcpy(answer.transaction, m.transaction, sizeof m.transaction);
    struct tern_path elsewhere = dialer_path;
    elsewhere.remote.port++;
    out = tern_writer_of(buffer, sizeof buffer);
    tern_stun_encode(&answer, w.dialer.name.listener, &out);
    assert_int_equal(given(&w, &w.dialer, tern_writer_view(&out), &elsewhere), TERN_ICE_NOTHING);
    assert_int_equal(w.fault, TERN_FAULT_WEBRTC_STUN_UNASKED);
    out = tern_writer_of(buffer, sizeof buffer);
    tern_stun_encode(&answer, w.dialer.dialer_password, &out);
    assert_int_equal(given(&w, &w.dialer, tern_writer_view(&out), &dialer_path), TERN_ICE_NOTHING);
    assert_int_equal(w.fault, TERN_FAULT_WEBRTC_STUN_INTEGRITY);
    assert_false(w.dialer.connected);
    /* The next check does better. */
    w.now = tern_ice_deadline(&w.dialer);
    tern_ice_tick(&w.dialer, w.now);
    connect_both(&w);
    world_fini(&w);
}

static void a_flood_of_requests_is_answered_in_part(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, TERN_ICE_V1);
    connect_both(&w);
    w.now += 10 * TERN_SECOND;
    uint8_t buffer[TERN_STUN_ENCODED_MAX];
    const struct tern_stun m = {.class = TERN_STUN_REQUEST};
    struct tern_view datagram = forged(&w, &m, w.listener.name.listener, buffer);
    size_t heard = 0;
    for (int i = 0; i < 1000; i++)
        heard += given(&w, &w.listener, datagram, &listener_path) == TERN_ICE_HEARD;
    assert_int_equal(heard, TERN_ICE_REQUESTS_BURST);
    assert_int_equal(w.fault, TERN_FAULT_WEBRTC_STUN_FLOOD);
    struct tern_path path;
    size_t answers = 0;
    while (tern_ice_want_send(&w.listener)) {
        (void)sent(&w, &w.listener, &path);
        answers++;
    }
    assert_int_equal(answers, TERN_ICE_ANSWERS_MAX);
    heard = 0;
    for (int i = 0; i < 1000; i++) {
        w.now += 5 * TERN_MILLISECOND;
        heard += given(&w, &w.listener, datagram, &listener_path) == TERN_ICE_HEARD;
    }
    assert_int_equal(heard, 250);
    world_fini(&w);
}

static void memory_may_fail(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_random random;
    struct tern_ice ice;
    struct tern_ice_name name;
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random, 1);
    assert_true(tern_ice_name_parse(tern_view_str(V1_A ":" V1_A), &name));
    tern_mem_fail_at(&mem, 1, true);
    assert_int_equal(tern_ice_init_listener(&ice, &mem, &name), TERN_ERR_MEMORY);
    assert_int_equal(tern_ice_init_dialer(&ice, &mem, &random, TERN_ICE_V2, &dialer_path),
                     TERN_ERR_MEMORY);
    tern_mem_fini(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_names_are_cut_and_checked),
        cmocka_unit_test(a_dialer_and_a_listener_find_each_other),
        cmocka_unit_test(credentials_are_those_of_the_version),
        cmocka_unit_test(a_dialer_answers_checks_with_its_own_password),
        cmocka_unit_test(checks_are_repeated_until_one_is_answered),
        cmocka_unit_test(an_answer_to_any_of_the_last_checks_counts),
        cmocka_unit_test(consent_is_asked_for_and_ends_when_it_is_not_given),
        cmocka_unit_test(requests_that_are_not_believed_are_not_answered),
        cmocka_unit_test(what_must_be_understood_is_answered_by_an_error),
        cmocka_unit_test(a_conflict_of_roles_is_settled_by_the_tie_breaker),
        cmocka_unit_test(a_dialer_that_is_told_of_a_conflict_takes_the_other_role),
        cmocka_unit_test(answers_that_were_not_asked_for_are_not_believed),
        cmocka_unit_test(a_flood_of_requests_is_answered_in_part),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
