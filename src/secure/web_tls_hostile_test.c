/* What may not be done on the web's TLS, and how each of it is told. */
#include "web_world.h"

#include "entropy.h"
#include "secure/tls_test_peer.h"

static void feed(struct pump_end *end, const void *bytes, size_t size)
{
    pump_feed(end, tern_view_of(bytes, size), true);
    if (end->job != NULL)
        pump_run_job(end);
}

static void expect_fault(struct web_world *w, int i, tern_err err, tern_fault fault)
{
    if (web_fault_of(w, i) != fault || w->pump.ends[i].err != err)
        fail_msg("%s %s, not %s", tern_err_name(w->pump.ends[i].err),
                 tern_fault_name(web_fault_of(w, i)), tern_fault_name(fault));
}

/* ---- first bytes ---- */

static void what_is_no_tls_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        tern_err err;
        tern_fault fault;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 18, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_NOT_TLS},
        {"\x13/multistream/1.0.0\n", 20, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_NOT_TLS},
        {"\x16\x02\x00\x00\x05", 5, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_NOT_TLS},
        {"\x16\x03\x01\x00\x00", 5, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_NOT_TLS},
        {"\x17\x03\x03\x00\x05", 5, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_NOT_TLS},
        {"\x14\x03\x03\x00\x01\x01", 6, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_NOT_TLS},
        {"\x16\x03\x01\x41\x01", 5, TERN_ERR_TOO_LARGE, TERN_FAULT_TLS_RECORD_TOO_LARGE},
        {"\x16\x03\x01\xff\xff", 5, TERN_ERR_TOO_LARGE, TERN_FAULT_TLS_RECORD_TOO_LARGE},
        {"\x16\x03\x01\x00\x04\x63\x00\x00\x00", 9, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_HANDSHAKE},
        /* SSL 2's hello, with which SSL 3 and TLS 1.0 once began */
        {"\x80\x2e\x01\x00\x02\x00\x15", 7, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_NOT_TLS},
    };
    struct web_world *w = web_world_new(1);
    for (size_t i = 0; i < 2 * TERN_COUNT_OF(cases); i++) {
        int side = (int)(i % 2);
        struct pump_end *end = web_world_open_one(w, side);
        feed(end, cases[i / 2].bytes, cases[i / 2].size);
        expect_fault(w, side, cases[i / 2].err, cases[i / 2].fault);
        web_world_close(w);
    }
    web_world_free(w);
}

static void a_refusal_is_told_from_an_end(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    feed(web_world_open_one(w, CLIENT), "\x15\x03\x01\x00\x02\x02\x28", 7);
    expect_fault(w, CLIENT, TERN_ERR_REFUSED, TERN_FAULT_TLS_REFUSED);
    web_world_free(w);
}

static void two_clients_see_each_other(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    w->options[SERVER] = w->options[CLIENT];
    web_world_try(w);
    expect_fault(w, CLIENT, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_BOTH_INITIATE);
    web_world_free(w);
}

/* ---- against OpenSSL's own ends ---- */

static struct tls_end peer;

static void peer_open(struct web_world *w, enum tern_role role)
{
    tls_end_init(&peer, role, NULL);
    SSL_CTX_set_security_level(peer.context, 0);
    SSL_CTX_set_verify(peer.context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_alpn_select_cb(peer.context, NULL, NULL);
    assert_int_equal(SSL_CTX_set_alpn_protos(peer.context, NULL, 0), 0);
    if (role == TERN_ROLE_INITIATOR)
        return;
    assert_int_equal(SSL_CTX_use_certificate(peer.context, w->leaf.certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(peer.context, w->leaf.key), 1);
}

/* The other end begins; ours answers until both are at rest. */
static struct pump_end *peer_meet(struct web_world *w)
{
    tls_end_start(&peer);
    int side = peer.role == TERN_ROLE_INITIATOR ? SERVER : CLIENT;
    struct pump_end *ours = web_world_open_one(w, side);
    tls_end_exchange(&peer, ours, 60000);
    return ours;
}

static void peer_part(struct web_world *w)
{
    tls_end_fini(&peer);
    web_world_close(w);
}

/* Old versions, which POODLE (CVE-2014-3566) and BEAST (CVE-2011-3389) are about. */
static void old_versions_are_refused(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION};
    struct web_world *w = web_world_new(1);
    for (size_t i = 0; i < 2 * TERN_COUNT_OF(versions); i++) {
        int ours = (int)(i % 2);
        peer_open(w, ours == CLIENT ? TERN_ROLE_RESPONDER : TERN_ROLE_INITIATOR);
        SSL_CTX_set_min_proto_version(peer.context, versions[i / 2]);
        SSL_CTX_set_max_proto_version(peer.context, versions[i / 2]);
        peer_meet(w);
        if (ours == SERVER)
            expect_fault(w, SERVER, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_VERSION);
        else /* it is the other end that refuses what we offer */
            expect_fault(w, CLIENT, TERN_ERR_REFUSED, TERN_FAULT_TLS_REFUSED);
        assert_false(w->pump.ends[ours].done);
        peer_part(w);
    }
    web_world_free(w);
}

/* No forward secrecy (ROBOT, CVE-2017-13099), or CBC (Lucky 13, CVE-2013-0169). */
static void weak_ciphers_are_refused(void **state)
{
    (void)state;
    static const char *const ciphers[] = {"AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256",
                                          "ECDHE-ECDSA-AES256-SHA", "AES256-SHA"};
    struct web_world *w = web_world_new(1);
    for (size_t i = 0; i < TERN_COUNT_OF(ciphers); i++) {
        peer_open(w, TERN_ROLE_INITIATOR);
        SSL_CTX_set_max_proto_version(peer.context, TLS1_2_VERSION);
        assert_int_equal(SSL_CTX_set_cipher_list(peer.context, ciphers[i]), 1);
        peer_meet(w);
        expect_fault(w, SERVER, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_NOTHING_IN_COMMON);
        peer_part(w);
    }
    web_world_free(w);
}

static void a_server_without_our_protocol_is_taken_and_one_with_another_is_not(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    peer_open(w, TERN_ROLE_RESPONDER);
    struct pump_end *ours = peer_meet(w);
    assert_true(ours->done);
    peer_part(w);
    /* It chooses what nobody offered: what it was told, with a letter changed. */
    peer_open(w, TERN_ROLE_RESPONDER);
    SSL_CTX_set_alpn_select_cb(peer.context, tls_end_alpn, NULL);
    tls_end_start(&peer);
    ours = web_world_open_one(w, CLIENT);
    tls_end_exchange(&peer, ours, 60000);
    assert_true(ours->done);
    peer_part(w);
    web_world_free(w);
}

/* A handshake inside another (CVE-2009-3555), or one after the other (CVE-2011-1473). */
static void renegotiation_is_refused(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    for (int side = 0; side < 2; side++) {
        peer_open(w, side == CLIENT ? TERN_ROLE_RESPONDER : TERN_ROLE_INITIATOR);
        SSL_CTX_set_max_proto_version(peer.context, TLS1_2_VERSION);
        struct pump_end *ours = peer_meet(w);
        assert_true(ours->done && peer.done);
        assert_int_equal(SSL_renegotiate(peer.ssl), 1);
        TERN_IGNORE(SSL_do_handshake(peer.ssl)); /* it wants an answer */
        ERR_clear_error();
        tls_end_give(&peer, ours, 60000);
        expect_fault(w, side, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_RENEGOTIATION);
        assert_true(ours->secure.ops->control_pending(ours->secure.self)); /* an alert */
        peer_part(w);
    }
    web_world_free(w);
}

/* Changes of keys in a row without data (CVE-2023-6129's neighbours): each costs us one, too. */
static void changes_of_keys_without_end_are_refused(void **state)
{
    (void)state;
    for (int asks = 0; asks < 2; asks++) {
        struct web_world *w = web_world_new(1);
        peer_open(w, TERN_ROLE_INITIATOR);
        struct pump_end *ours = peer_meet(w);
        unsigned count = 0;
        for (; ours->err == TERN_OK && count < 1000; count++) {
            assert_int_equal(SSL_key_update(peer.ssl, asks), 1);
            assert_int_equal(SSL_do_handshake(peer.ssl), 1);
            tls_end_give(&peer, ours, 60000);
        }
        expect_fault(w, SERVER, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_USELESS_RECORDS);
        assert_int_equal(count, TERN_WEB_TLS_IDLE_RECORDS_MAX + 1);
        peer_part(w);
        web_world_free(w);
    }
}

/* With data in between they are no waste, but who never reads our answers is told to stop. */
static void answers_that_nobody_reads_are_bounded(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    peer_open(w, TERN_ROLE_INITIATOR);
    struct pump_end *ours = peer_meet(w);
    unsigned count = 0;
    for (; ours->err == TERN_OK && count < 1000; count++) {
        assert_int_equal(SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        tls_end_write(&peer, 1);
        tls_end_give(&peer, ours, 60000);
    }
    expect_fault(w, SERVER, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_USELESS_RECORDS);
    assert_true(count > 20 && count < 500);
    peer_part(w);
    web_world_free(w);
}

static void alerts_end_it(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    /* A client that does not trust the certificate: TLS 1.3's server is done by then. */
    for (int v = 0; v < 2; v++) {
        peer_open(w, TERN_ROLE_INITIATOR);
        SSL_CTX_set_cert_verify_callback(peer.context, NULL, NULL);
        SSL_CTX_set_verify(peer.context, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_max_proto_version(peer.context, v ? TLS1_2_VERSION : TLS1_3_VERSION);
        struct pump_end *ours = peer_meet(w);
        assert_false(ours->done);
        expect_fault(w, SERVER, TERN_ERR_REFUSED, TERN_FAULT_TLS_REFUSED);
        peer_part(w);
    }
    web_world_free(w);
}

/* ---- bytes on the way ---- */

/* Does a handshake in which one byte of one end is changed, with data behind it. */
static void tampered(struct web_world *w, int side, size_t at)
{
    size_t passed = 0;
    w->pump.whole_segments = true;
    assert_true(web_world_open(w));
    for (int i = 0; i < 2; i++)
        w->pump.ends[i].message_size = 100;
    for (int step = 0; step < 40; step++) {
        struct pump_end *end = &w->pump.ends[step % 2];
        struct pump_end *other = &w->pump.ends[1 - step % 2];
        if (end->err == TERN_OK)
            pump_write(&w->pump, end);
        struct pump_wire *wire = &end->out;
        if (step % 2 == side) {
            if (at >= passed && at < passed + wire->tail)
                wire->bytes[at - passed] ^= (uint8_t)(1u << at % 8);
            passed += wire->tail;
        }
        while (other->err == TERN_OK && (wire->head < wire->tail || other->job != NULL)) {
            if (other->job != NULL)
                pump_run_job(other);
            else
                pump_read(&w->pump, other, wire);
        }
        wire->head = wire->tail = 0;
    }
}

/* The pump itself checks that what comes through is what was sent. */
static void no_changed_byte_comes_through(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct web_world *w = web_world_new(1);
    for (int how = 0; how < 4; how++) {
        int side = how % 2;
        SSL_CTX_set_max_proto_version(w->web[CLIENT].client.ssl, versions[how / 2]);
        unsigned whole = 0;
        for (size_t at = 0; at < 1000; at += 3) {
            tampered(w, side, at);
            if (w->pump.ends[1 - side].got_size == 100)
                whole++;
            web_world_close(w);
        }
        /* A few bits mean nothing: those of the record's version, of names that are not known. */
        assert_true(side == CLIENT || whole < 1000);
    }
    web_world_free(w);
}

static size_t seal(struct web_world *w, int side, size_t size, uint8_t *bytes, size_t capacity)
{
    struct tern_channel *c = &w->pump.ends[side].secure;
    struct tern_writer out = tern_writer_of(bytes, capacity);
    struct tern_span room = c->ops->seal_begin(c->self, &out);
    assert_true(room.size >= size);
    for (size_t i = 0; i < size; i++)
        room.data[i] = pump_byte(i);
    c->ops->seal_end(c->self, &out, size);
    return out.size;
}

static void every_bit_of_a_record_counts(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    static uint8_t bytes[1000];
    unsigned by_fault[TERN_FAULT_COUNT] = {0};
    struct web_world *w = web_world_new(1);
    for (size_t v = 0; v < 2; v++) {
        SSL_CTX_set_max_proto_version(w->web[CLIENT].client.ssl, versions[v]);
        size_t size = 40;
        for (size_t bit = 0; bit < 8 * size; bit += bit < 40 ? 1 : 13) {
            web_world_shake(w);
            size = seal(w, CLIENT, 20, bytes, sizeof bytes);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            feed(&w->pump.ends[SERVER], bytes, size);
            assert_int_equal(w->pump.ends[SERVER].got_size, 0);
            by_fault[web_fault_of(w, SERVER)]++;
            web_world_close(w);
        }
    }
    assert_true(by_fault[TERN_FAULT_TLS_RECORD_MAC] > 30);
    assert_true(by_fault[TERN_FAULT_TLS_NOT_TLS] > 0);
    assert_true(by_fault[TERN_FAULT_TLS_RECORD_TOO_LARGE] > 0);
    web_world_free(w);
}

static void records_behind_the_handshake_are_judged(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *bytes;
        size_t size;
        tern_err err;
        tern_fault fault;
    } cases[] = {
        {TLS1_3_VERSION, "\x17\x03\x03\x00\x00", 5, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_NOT_TLS},
        {TLS1_3_VERSION, "\x18\x03\x03\x00\x03\x01\x40\x00", 8, TERN_ERR_PROTOCOL,
         TERN_FAULT_TLS_NOT_TLS}, /* Heartbleed (CVE-2014-0160) */
        {TLS1_3_VERSION, "\x17\x03\x03\x41\x01", 5, TERN_ERR_TOO_LARGE,
         TERN_FAULT_TLS_RECORD_TOO_LARGE},
        {TLS1_2_VERSION, "\x17\x03\x03\x00\x04....", 9, TERN_ERR_BAD_MAC,
         TERN_FAULT_TLS_RECORD_MAC},
        {TLS1_2_VERSION, "\x17\x03\x03\x00\x17.......................", 28, TERN_ERR_BAD_MAC,
         TERN_FAULT_TLS_RECORD_MAC},
        {TLS1_2_VERSION, "\x17\x03\x03\x00\x18........................", 29, TERN_ERR_BAD_MAC,
         TERN_FAULT_TLS_RECORD_MAC},
        {TLS1_3_VERSION, "\x17\x03\x03\x00\x04....", 9, TERN_ERR_BAD_MAC,
         TERN_FAULT_TLS_RECORD_MAC},
        {TLS1_3_VERSION, "\x16\x03\x03\x00\x04\x01\x00\x00\x00", 9, TERN_ERR_PROTOCOL,
         TERN_FAULT_TLS_RECORD_TYPE}, /* in the clear */
        {TLS1_3_VERSION, "\x17\x03\x03\x00\x20................................", 37,
         TERN_ERR_BAD_MAC, TERN_FAULT_TLS_RECORD_MAC},
    };
    struct web_world *w = web_world_new(1);
    for (size_t i = 0; i < 2 * TERN_COUNT_OF(cases); i++) {
        int side = (int)(i % 2);
        SSL_CTX_set_max_proto_version(w->web[CLIENT].client.ssl, cases[i / 2].version);
        web_world_shake(w);
        struct pump_end *end = &w->pump.ends[side];
        for (size_t n = 0; n < cases[i / 2].size; n++)
            if (end->err == TERN_OK)
                feed(end, cases[i / 2].bytes + n, 1);
        expect_fault(w, side, cases[i / 2].err, cases[i / 2].fault);
        assert_true(w->mem.peak < 100000);
        web_world_close(w);
    }
    web_world_free(w);
}

static void nothing_moves_after_an_error(void **state)
{
    (void)state;
    static uint8_t bytes[1000];
    struct web_world *w = web_world_new(1);
    web_world_shake(w);
    struct pump_end *end = &w->pump.ends[SERVER];
    size_t size = seal(w, CLIENT, 20, bytes, sizeof bytes);
    feed(end, "\x17\x03\x03\x00\x20................................", 37);
    assert_int_equal(end->err, TERN_ERR_BAD_MAC);
    struct tern_slice in = {.view = tern_view_of(bytes, size)};
    size_t used;
    assert_int_equal(end->secure.ops->recv(end->secure.self, 0, in, &used), TERN_ERR_BAD_MAC);
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    assert_int_equal(end->secure.ops->seal_begin(end->secure.self, &out).size, 0);
    end->secure.ops->control(end->secure.self, 0, &out);
    assert_true(out.size > 0); /* the alert */
    struct pump_end *client = &w->pump.ends[CLIENT];
    feed(client, bytes, out.size);
    expect_fault(w, CLIENT, TERN_ERR_REFUSED, TERN_FAULT_TLS_REFUSED);
    web_world_free(w);
}

/* An alert in place of data is a refusal at first, and an end later. */
static void an_alert_behind_data_is_an_end(void **state)
{
    (void)state;
    static uint8_t bytes[1000];
    struct web_world *w = web_world_new(1);
    web_world_shake(w);
    for (int side = 0; side < 2; side++) {
        size_t size = seal(w, side, 20, bytes, sizeof bytes);
        feed(&w->pump.ends[1 - side], bytes, size);
        assert_int_equal(w->pump.ends[1 - side].got_size, 20);
    }
    feed(&w->pump.ends[SERVER], "\x17\x03\x03\x00\x20................................", 37);
    w->pump.ends[SERVER].err = TERN_OK; /* so that the pump hears it out */
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    w->pump.ends[SERVER].secure.ops->control(w->pump.ends[SERVER].secure.self, 0, &out);
    feed(&w->pump.ends[CLIENT], bytes, out.size);
    expect_fault(w, CLIENT, TERN_ERR_DISCONNECTED, TERN_FAULT_TLS_ALERT);
    web_world_free(w);
}

static void random_bytes_at_every_stage_end_it(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    struct tern_random random;
    tern_random_init_u64(&random, 5);
    for (int i = 0; i < 300; i++) {
        w->pump.whole_segments = true;
        assert_true(web_world_open(w));
        if (i % 3 == 0)
            pump_run(&w->pump);
        struct pump_end *end = &w->pump.ends[i % 2];
        if (i % 3 == 1 && i % 2 == SERVER)
            pump_write(&w->pump, &w->pump.ends[CLIENT]);
        for (int n = 0; n < 400 && end->err == TERN_OK; n++) {
            uint8_t bytes[64];
            tern_random_bytes(&random, bytes, sizeof bytes);
            bytes[0] = i % 5 == 0 ? 0x16 : bytes[0];
            bytes[1] = i % 5 == 0 ? 3 : bytes[1];
            feed(end, bytes, sizeof bytes);
        }
        assert_int_not_equal(end->err, TERN_OK);
        assert_int_equal(end->got_size, 0);
        web_world_close(w);
    }
    web_world_free(w);
}

int main(void)
{
    tern_sim_entropy_seed(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_tls_is_refused_by_name),
        cmocka_unit_test(a_refusal_is_told_from_an_end),
        cmocka_unit_test(two_clients_see_each_other),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(weak_ciphers_are_refused),
        cmocka_unit_test(a_server_without_our_protocol_is_taken_and_one_with_another_is_not),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(changes_of_keys_without_end_are_refused),
        cmocka_unit_test(answers_that_nobody_reads_are_bounded),
        cmocka_unit_test(alerts_end_it),
        cmocka_unit_test(no_changed_byte_comes_through),
        cmocka_unit_test(every_bit_of_a_record_counts),
        cmocka_unit_test(records_behind_the_handshake_are_judged),
        cmocka_unit_test(nothing_moves_after_an_error),
        cmocka_unit_test(an_alert_behind_data_is_an_end),
        cmocka_unit_test(random_bytes_at_every_stage_end_it),
    };
    return cmocka_run_group_tests_name("web_tls_hostile", tests, NULL, NULL);
}
