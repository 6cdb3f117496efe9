/* What honest ends of the web's TLS do. What dishonest ones try is in web_tls_hostile_test.c. */
#include "web_world.h"

#include <string.h>

#include "entropy.h"
#include "secure/tls_test_peer.h"
#include "sim_fail.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void use_version(struct web_world *w, int version)
{
    SSL_CTX *ssl = w->web[CLIENT].client.ssl;
    assert_int_equal(SSL_CTX_set_max_proto_version(ssl, version), 1);
}

/* ---- the handshake ---- */

static void both_versions_connect(void **state)
{
    (void)state;
    for (size_t v = 0; v < TERN_COUNT_OF(versions); v++) {
        struct web_world *w = web_world_new(1);
        use_version(w, versions[v]);
        web_world_shake(w);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(SSL_version(web_channel(w, i)->ssl), versions[v]);
            assert_null(w->pump.ends[i].secure.ops->remote);
        }
        web_world_free(w);
    }
}

static void each_kind_of_key_serves(void **state)
{
    (void)state;
    static const struct web_certificate kinds[] = {
        {.names = "DNS:" WEB_HOST},
        {.names = "DNS:" WEB_HOST, .group = "P-384", .digest = "SHA384"},
        {.names = "DNS:" WEB_HOST, .rsa_bits = 2048},
    };
    struct web_world *w = web_world_new(1);
    for (size_t i = 0; i < 2 * TERN_COUNT_OF(kinds); i++) {
        web_world_certify(w, &kinds[i / 2]);
        use_version(w, versions[i % 2]);
        web_world_shake(w);
        web_world_close(w);
    }
    web_world_free(w);
}

static void the_same_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    static uint8_t first[2][PUMP_WIRE_SIZE];
    size_t sizes[2] = {0};
    for (int run = 0; run < 2; run++) {
        tern_sim_entropy_seed(7);
        struct web_world *w = web_world_new(1);
        web_world_shake(w);
        for (int i = 0; i < 2; i++) {
            /* The pump forgets what was read, but its bytes lie there still. */
            const struct pump_wire *wire = &w->pump.ends[i].out;
            if (run == 0) {
                memcpy(first[i], wire->bytes, sizeof first[i]);
                sizes[i] = wire->tail;
            }
            assert_int_equal(sizes[i], wire->tail);
            assert_memory_equal(first[i], wire->bytes, 4096);
        }
        web_world_free(w);
    }
}

/* ---- names, times, roots ---- */

static void expect_verdict(struct web_world *w, tern_fault fault)
{
    web_world_try(w);
    const struct pump_end *client = &w->pump.ends[CLIENT];
    const struct pump_end *server = &w->pump.ends[SERVER];
    if (web_fault_of(w, CLIENT) != fault)
        fail_msg("%s, not %s", tern_fault_name(web_fault_of(w, CLIENT)), tern_fault_name(fault));
    assert_int_equal(client->err, fault == TERN_FAULT_NONE ? TERN_OK : TERN_ERR_PROTOCOL);
    assert_int_equal(client->done, fault == TERN_FAULT_NONE);
    if (fault != TERN_FAULT_NONE) { /* and the server hears of it */
        assert_true(client->secure.ops->control_pending(client->secure.self));
        assert_false(server->done && server->got_size > 0);
    }
    web_world_close(w);
}

static void the_name_that_was_dialled_must_be_the_certificates(void **state)
{
    (void)state;
    static const struct {
        const char *names;
        const char *host;
        bool good;
    } cases[] = {
        {"DNS:a.example", "a.example", true},
        {"DNS:a.example", "a.example:443", true},
        {"DNS:a.example", "A.Example.:443", true},
        {"DNS:b.example,DNS:a.example", "a.example", true},
        {"DNS:*.b.example", "a.b.example", true},
        {"DNS:*.b.example", "c.a.b.example", false},
        {"DNS:a*.b.example", "ac.b.example", false},
        {"DNS:b.example", "a.example", false},
        {"DNS:a.example", "b.a.example", false},
        {"DNS:a.example", "xa.example", false},
        {"IP:10.0.0.1", "10.0.0.1:4001", true},
        {"IP:10.0.0.1", "10.0.0.2:4001", false},
        {"DNS:10.0.0.1", "10.0.0.1:4001", false},
        {"IP:fd00::1", "[fd00::1]:4001", true},
        {"IP:fd00::1", "[fd00::1]", true},
        {"IP:fd00::1", "[fd00::2]:1", false},
        {"IP:10.0.0.1", "a.example", false},
    };
    struct web_world *w = web_world_new(1);
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        web_world_certify(w, &(struct web_certificate){.names = cases[i].names});
        w->options[CLIENT].host = tern_view_str(cases[i].host);
        expect_verdict(w, cases[i].good ? TERN_FAULT_NONE : TERN_FAULT_WEB_CERTIFICATE_NAME);
    }
    web_world_free(w);
}

static void a_host_that_is_none_is_refused(void **state)
{
    (void)state;
    static char long_name[TERN_WEB_TLS_NAME_SIZE_MAX + 2];
    memset(long_name, 'a', sizeof long_name - 1);
    const char *const hosts[] = {"", ":443", "a b", "a\tb:1", "\x80.example", long_name};
    struct web_world *w = web_world_new(1);
    struct tern_channel channel;
    for (size_t i = 0; i < TERN_COUNT_OF(hosts); i++) {
        w->options[CLIENT].host = tern_view_str(hosts[i]);
        assert_int_equal(tern_web_tls_new(&w->options[CLIENT], &channel), TERN_ERR_INVALID);
    }
    w->options[CLIENT].host = tern_view_of("a\0.example", 10);
    assert_int_equal(tern_web_tls_new(&w->options[CLIENT], &channel), TERN_ERR_INVALID);
    web_world_free(w);
}

static void certificates_are_held_to_the_given_time(void **state)
{
    (void)state;
    const struct web_certificate spring = {
        .names = "DNS:" WEB_HOST, .not_before = "20260301000000Z", .not_after = "20260601000000Z"};
    static const struct {
        uint64_t seconds;
        tern_fault fault;
    } cases[] = {
        {0, TERN_FAULT_NONE}, /* not known */
        {1772323199, TERN_FAULT_CERTIFICATE_NOT_YET_VALID},
        {1772323201, TERN_FAULT_NONE},
        {1780271999, TERN_FAULT_NONE},
        {1780272001, TERN_FAULT_CERTIFICATE_EXPIRED},
    };
    struct web_world *w = web_world_new(1);
    web_world_certify(w, &spring);
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        w->options[CLIENT].wall = cases[i].seconds * TERN_SECOND;
        expect_verdict(w, cases[i].fault);
    }
    web_world_free(w);
}

static void use_roots(struct web_world *w, struct tern_view roots, enum tern_web_verify verify)
{
    tern_web_tls_fini(&w->web[CLIENT]);
    assert_ok(tern_web_tls_init(&w->web[CLIENT],
                                &(struct tern_web_tls_config){.verify = verify, .roots = roots}));
}

static void only_given_roots_are_trusted(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    struct web_pem other;
    char both[2 * WEB_PEM_MAX];
    web_certify(&(struct web_certificate){.authority = true, .common = "another"}, NULL, &other);
    use_roots(w, tern_view_of(NULL, 0), TERN_WEB_VERIFY);
    expect_verdict(w, TERN_FAULT_WEB_CERTIFICATE_UNTRUSTED);
    use_roots(w, web_chain_view(&other), TERN_WEB_VERIFY);
    expect_verdict(w, TERN_FAULT_WEB_CERTIFICATE_UNTRUSTED);
    size_t size = 0;
    memcpy(both, other.text, other.text_size);
    size += other.text_size;
    memcpy(both + size, w->root.text, w->root.text_size);
    size += w->root.text_size;
    use_roots(w, tern_view_of(both, size), TERN_WEB_VERIFY);
    expect_verdict(w, TERN_FAULT_NONE);
    use_roots(w, tern_view_of(NULL, 0), TERN_WEB_VERIFY_NOTHING);
    w->options[CLIENT].host = tern_view_str("another.example");
    expect_verdict(w, TERN_FAULT_NONE);
    web_pem_fini(&other);
    web_world_free(w);
}

static void roots_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const roots[] = {
        "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n****\n-----END CERTIFICATE-----\n"};
    for (size_t i = 0; i < TERN_COUNT_OF(roots); i++) {
        struct tern_web_tls web;
        const struct tern_web_tls_config config = {.roots = tern_view_str(roots[i])};
        assert_int_equal(tern_web_tls_init(&web, &config), TERN_ERR_MALFORMED);
    }
}

static void a_chain_leads_to_its_root(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    struct web_pem middle;
    struct web_pem leaf;
    web_certify(&(struct web_certificate){.authority = true, .common = "between"}, &w->root,
                &middle);
    web_certify(&(struct web_certificate){.names = "DNS:" WEB_HOST}, &middle, &leaf);
    struct tern_web_credentials credentials = {web_chain_view(&leaf), web_key_view(&leaf)};
    assert_ok(tern_web_tls_set_credentials(&w->web[SERVER], &credentials));
    expect_verdict(w, TERN_FAULT_NONE);
    /* Without what stands between. */
    const char *second = strstr(leaf.text + 10, "-----BEGIN");
    assert_non_null(second);
    credentials.chain.size = (size_t)(second - leaf.text);
    assert_ok(tern_web_tls_set_credentials(&w->web[SERVER], &credentials));
    expect_verdict(w, TERN_FAULT_WEB_CERTIFICATE_UNTRUSTED);
    web_pem_fini(&middle);
    web_pem_fini(&leaf);
    web_world_free(w);
}

static void certificates_for_something_else_are_refused(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    web_world_certify(w,
                      &(struct web_certificate){.names = "DNS:" WEB_HOST, .usage = "clientAuth"});
    expect_verdict(w, TERN_FAULT_WEB_CERTIFICATE_BAD);
    web_world_free(w);
}

/* ---- credentials ---- */

static void a_server_without_credentials_is_none(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    struct tern_channel channel;
    tern_web_tls_fini(&w->web[SERVER]);
    assert_ok(tern_web_tls_init(&w->web[SERVER], &(struct tern_web_tls_config){0}));
    assert_false(tern_web_tls_serves(&w->web[SERVER]));
    assert_int_equal(tern_web_tls_new(&w->options[SERVER], &channel), TERN_ERR_UNSUPPORTED);
    web_world_free(w);
}

static const char encrypted_key[] =
    "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
    "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n"
    "-----END EC PRIVATE KEY-----\n";

static void credentials_that_do_not_fit_change_nothing(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    static char long_chain[(TERN_WEB_TLS_CHAIN_MAX + 1) * WEB_PEM_MAX];
    struct web_pem other;
    struct web_pem weak;
    web_certify(&(struct web_certificate){.names = "DNS:x"}, &w->root, &other);
    web_certify(&(struct web_certificate){.names = "DNS:x", .rsa_bits = 1024}, &w->root, &weak);
    size_t size = 0;
    for (int i = 0; i <= TERN_WEB_TLS_CHAIN_MAX; i++) {
        memcpy(long_chain + size, w->leaf.text, w->leaf.text_size);
        size += w->leaf.text_size;
    }
    const struct {
        struct tern_web_credentials credentials;
        tern_err err;
    } cases[] = {
        {{tern_view_of(NULL, 0), web_key_view(&w->leaf)}, TERN_ERR_MALFORMED},
        {{web_key_view(&w->leaf), web_key_view(&w->leaf)}, TERN_ERR_MALFORMED},
        {{tern_view_str("text"), web_key_view(&w->leaf)}, TERN_ERR_MALFORMED},
        {{web_chain_view(&w->leaf), tern_view_of(NULL, 0)}, TERN_ERR_BAD_KEY},
        {{web_chain_view(&w->leaf), web_key_view(&other)}, TERN_ERR_BAD_KEY},
        {{web_chain_view(&w->leaf), web_chain_view(&w->leaf)}, TERN_ERR_BAD_KEY},
        {{web_chain_view(&w->leaf), tern_view_str(encrypted_key)}, TERN_ERR_BAD_KEY},
        {{web_chain_view(&weak), web_key_view(&weak)}, TERN_ERR_INVALID},
        {{tern_view_of(long_chain, size), web_key_view(&w->leaf)}, TERN_ERR_TOO_LARGE},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        tern_err err = tern_web_tls_set_credentials(&w->web[SERVER], &cases[i].credentials);
        if (err != cases[i].err)
            fail_msg("case %zu: %s", i, tern_err_name(err));
        expect_verdict(w, TERN_FAULT_NONE);
    }
    web_pem_fini(&other);
    web_pem_fini(&weak);
    web_world_free(w);
}

/* A chain and its key in one text, as some tools write them. */
static void one_text_may_hold_both(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    char text[2 * WEB_PEM_MAX];
    memcpy(text, w->leaf.key_text, w->leaf.key_size);
    memcpy(text + w->leaf.key_size, w->leaf.text, w->leaf.text_size);
    struct tern_view both = tern_view_of(text, w->leaf.key_size + w->leaf.text_size);
    assert_ok(
        tern_web_tls_set_credentials(&w->web[SERVER], &(struct tern_web_credentials){both, both}));
    expect_verdict(w, TERN_FAULT_NONE);
    web_world_free(w);
}

static void new_credentials_are_for_new_channels(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    web_world_shake(w);
    struct pump before = {.whole_segments = true};
    tern_random_init_u64(&before.random, 2);
    for (int i = 0; i < 2; i++) {
        before.ends[i] = w->pump.ends[i];
        w->pump.ends[i] = (struct pump_end){.mem = &w->mem};
    }
    web_world_certify(w, &(struct web_certificate){.names = "DNS:other.example"});
    expect_verdict(w, TERN_FAULT_WEB_CERTIFICATE_NAME);
    w->options[CLIENT].host = tern_view_str("other.example");
    expect_verdict(w, TERN_FAULT_NONE);
    for (int i = 0; i < 2; i++)
        before.ends[i].message_size = 100000;
    pump_run(&before);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(before.ends[i].got_size, 100000);
        pump_end_fini(&before.ends[i]);
    }
    web_world_free(w);
}

/* A channel in the middle of its handshake keeps what it began with. */
static void credentials_may_change_during_a_handshake(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    w->pump.whole_segments = true;
    assert_true(web_world_open(w));
    web_world_certify(w, &(struct web_certificate){.names = "DNS:other.example"});
    pump_run(&w->pump);
    assert_true(w->pump.ends[CLIENT].done && w->pump.ends[SERVER].done);
    web_world_free(w);
}

/* ---- data ---- */

static void data_goes_through_in_any_segmentation(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        struct web_world *w = web_world_new(seed);
        use_version(w, versions[seed % 2]);
        for (int i = 0; i < 2; i++)
            w->pump.ends[i].message_size = seed * 9000 + (size_t)i;
        assert_true(web_world_open(w));
        pump_run(&w->pump);
        for (int i = 0; i < 2; i++)
            assert_int_equal(w->pump.ends[i].got_size, w->pump.ends[1 - i].message_size);
        web_world_free(w);
    }
}

/* The shortest record of each suite of TLS 1.2 is not taken for one that is cut. */
static void one_byte_goes_through_by_every_cipher(void **state)
{
    (void)state;
    static const char *const suites[] = {"ECDHE-ECDSA-AES128-GCM-SHA256",
                                         "ECDHE-ECDSA-AES256-GCM-SHA384",
                                         "ECDHE-ECDSA-CHACHA20-POLY1305"};
    for (size_t s = 0; s < TERN_COUNT_OF(suites); s++) {
        struct web_world *w = web_world_new(1);
        use_version(w, TLS1_2_VERSION);
        assert_int_equal(SSL_CTX_set_cipher_list(w->web[CLIENT].client.ssl, suites[s]), 1);
        for (int i = 0; i < 2; i++)
            w->pump.ends[i].message_size = 1;
        assert_true(web_world_open(w));
        pump_run(&w->pump);
        assert_string_equal(SSL_get_cipher_name(web_channel(w, CLIENT)->ssl), suites[s]);
        for (int i = 0; i < 2; i++)
            assert_int_equal(w->pump.ends[i].got_size, 1);
        web_world_free(w);
    }
}

static void a_record_holds_at_most_16_kib(void **state)
{
    (void)state;
    static uint8_t bytes[70000];
    struct web_world *w = web_world_new(1);
    web_world_shake(w);
    struct tern_channel *c = &w->pump.ends[CLIENT].secure;
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    assert_int_equal(c->ops->seal_begin(c->self, &out).size, TERN_WEB_TLS_PLAINTEXT_MAX);
    c->ops->seal_end(c->self, &out, 0);
    assert_int_equal(out.size, 0);
    for (size_t room = 0; room < 200; room++) {
        struct tern_writer small = tern_writer_of(bytes, room);
        size_t size = c->ops->seal_begin(c->self, &small).size;
        size_t least = TERN_WEB_TLS_OVERHEAD_MAX + TERN_WEB_TLS_ROOM_MIN;
        assert_int_equal(size, room < least ? 0 : room - TERN_WEB_TLS_OVERHEAD_MAX);
        if (size > 0) {
            memset(bytes, 1, size);
            c->ops->seal_end(c->self, &small, size);
            assert_true(small.size > size && small.size <= room);
        }
    }
    web_world_free(w);
}

static void keys_change_after_many_records(void **state)
{
    (void)state;
    for (size_t v = 0; v < TERN_COUNT_OF(versions); v++) {
        struct web_world *w = web_world_new(1);
        use_version(w, versions[v]);
        web_world_shake(w);
        web_channel(w, CLIENT)->records_sealed = TERN_WEB_TLS_KEY_RECORDS_MAX - 2;
        for (int i = 0; i < 2; i++)
            w->pump.ends[i].message_size = 300000;
        pump_run(&w->pump);
        for (int i = 0; i < 2; i++)
            assert_int_equal(w->pump.ends[i].got_size, 300000);
        bool changed = web_channel(w, CLIENT)->records_sealed < 100;
        assert_int_equal(changed, versions[v] == TLS1_3_VERSION);
        web_world_free(w);
    }
}

static void a_channel_at_rest_holds_little(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    web_world_shake(w);
    assert_true(w->mem.used / 2 < 4096);
    print_message("a web TLS channel at rest: %zu bytes of ours\n", w->mem.used / 2);
    web_world_free(w);
}

/* ---- against OpenSSL's own ends ---- */

static void peer_server(struct tls_end *peer, struct web_world *w)
{
    tls_end_init(peer, TERN_ROLE_RESPONDER, NULL);
    SSL_CTX_set_verify(peer->context, SSL_VERIFY_NONE, NULL);
    assert_int_equal(SSL_CTX_use_certificate(peer->context, w->leaf.certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(peer->context, w->leaf.key), 1);
}

static void the_server_is_told_the_name_but_no_ip(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *names;
        const char *said;
    } cases[] = {
        {"a.example:443", "DNS:a.example", "a.example"},
        {"a.example.", "DNS:a.example", "a.example"},
        {"10.0.0.1:443", "IP:10.0.0.1", NULL},
        {"[fd00::1]:443", "IP:fd00::1", NULL},
    };
    struct web_world *w = web_world_new(1);
    static struct tls_end peer;
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        web_world_certify(w, &(struct web_certificate){.names = cases[i].names});
        w->options[CLIENT].host = tern_view_str(cases[i].host);
        peer_server(&peer, w);
        tls_end_start(&peer);
        struct pump_end *ours = web_world_open_one(w, CLIENT);
        ours->message_size = 1000;
        tls_end_exchange(&peer, ours, 60000);
        assert_true(ours->done);
        assert_int_equal(peer.got_size, 1000);
        const char *said = SSL_get_servername(peer.ssl, TLSEXT_NAMETYPE_host_name);
        if (cases[i].said == NULL)
            assert_null(said);
        else
            assert_string_equal(said, cases[i].said);
        tls_end_fini(&peer);
        web_world_close(w);
    }
    web_world_free(w);
}

/* Tickets, padding, changes of keys: what other servers do, and ours does not. */
static void what_other_ends_do_is_taken(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    static struct tls_end peer;
    for (int how = 0; how < 4; how++) {
        peer_server(&peer, w);
        SSL_CTX_set_num_tickets(peer.context, 4);
        SSL_CTX_set_max_proto_version(peer.context, how % 2 ? TLS1_2_VERSION : TLS1_3_VERSION);
        if (how == 2)
            SSL_CTX_set_block_padding(peer.context, 512);
        tls_end_start(&peer);
        struct pump_end *ours = web_world_open_one(w, CLIENT);
        ours->message_size = 30000;
        tls_end_exchange(&peer, ours, how < 2 ? 60000 : 7);
        for (int i = 0; i < 100; i++) {
            if (how % 2 == 0)
                assert_int_equal(SSL_key_update(peer.ssl, i % 2), 1);
            tls_end_write(&peer, 1 + (size_t)i * 100);
            if (i % 10 == 0)
                ours->message_size += 1000;
            tls_end_exchange(&peer, ours, how < 2 ? 60000 : 700);
        }
        assert_int_equal(ours->err, TERN_OK);
        assert_int_equal(ours->got_size, peer.sent_size);
        assert_int_equal(peer.got_size, ours->message_size);
        tls_end_fini(&peer);
        web_world_close(w);
    }
    web_world_free(w);
}

static void clients_need_not_name_anybody(void **state)
{
    (void)state;
    static const struct {
        const char *alpn;
        tern_err err;
    } cases[] = {
        {"", TERN_OK},
        {"\x08http/1.1", TERN_OK},
        {"\x02h2\x08http/1.1", TERN_OK},
        {"\x02h2", TERN_ERR_NO_PROTOCOL},
    };
    struct web_world *w = web_world_new(1);
    static struct tls_end peer;
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        tls_end_init(&peer, TERN_ROLE_INITIATOR, NULL);
        assert_int_equal(SSL_CTX_set_alpn_protos(peer.context, (const uint8_t *)cases[i].alpn,
                                                 (unsigned)strlen(cases[i].alpn)),
                         0);
        tls_end_start(&peer);
        struct pump_end *ours = web_world_open_one(w, SERVER);
        tls_end_exchange(&peer, ours, 60000);
        assert_int_equal(ours->err, cases[i].err);
        assert_int_equal(ours->done, cases[i].err == TERN_OK);
        assert_int_equal(web_fault_of(w, SERVER),
                         cases[i].err == TERN_OK ? TERN_FAULT_NONE : TERN_FAULT_TLS_ALPN);
        tls_end_fini(&peer);
        web_world_close(w);
    }
    web_world_free(w);
}

/* ---- farewells ---- */

static void a_farewell_is_answered(void **state)
{
    (void)state;
    for (int side = 0; side < 4; side++) {
        struct web_world *w = web_world_new(1);
        use_version(w, versions[side / 2]);
        web_world_shake(w);
        struct pump_end *end = &w->pump.ends[side % 2];
        end->secure.ops->shut(end->secure.self);
        assert_true(end->secure.ops->control_pending(end->secure.self));
        pump_run(&w->pump);
        assert_true(w->pump.ends[0].ended && w->pump.ends[1].ended);
        uint8_t bytes[300];
        struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
        for (int i = 0; i < 2; i++) {
            struct tern_channel *c = &w->pump.ends[i].secure;
            assert_int_equal(c->ops->seal_begin(c->self, &out).size, 0);
            assert_int_equal(pump_feed(&w->pump.ends[i], tern_view_str("more"), true), 4);
            assert_ok(w->pump.ends[i].err);
        }
        web_world_free(w);
    }
}

static void a_farewell_before_the_handshake_is_none(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    struct pump_end *server = web_world_open_one(w, SERVER);
    server->secure.ops->shut(server->secure.self);
    assert_false(server->secure.ops->control_pending(server->secure.self));
    web_world_free(w);
}

/* ---- memory ---- */

static tern_err whole_life(void *context, struct tern_mem *mem, struct tern_scope *root)
{
    struct web_world *w = context;
    (void)root;
    struct pump pump = {.whole_segments = true};
    tern_random_init_u64(&pump.random, 3);
    tern_err err = TERN_OK;
    for (int i = 0; i < 2; i++) {
        struct tern_web_tls_options options = w->options[i];
        options.mem = mem;
        pump.ends[i].mem = mem;
        pump.ends[i].message_size = 50000;
        if (err == TERN_OK)
            err = tern_web_tls_new(&options, &pump.ends[i].secure);
    }
    if (err == TERN_OK)
        pump_run(&pump);
    for (int i = 0; i < 2; i++) {
        if (err == TERN_OK && pump.ends[i].err == TERN_ERR_MEMORY)
            err = TERN_ERR_MEMORY;
        pump_end_fini(&pump.ends[i]);
    }
    return err;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    assert_true(sim_fail_each(whole_life, w) >= 4);
    web_world_free(w);
}

int main(void)
{
    tern_sim_entropy_seed(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_versions_connect),
        cmocka_unit_test(each_kind_of_key_serves),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(the_name_that_was_dialled_must_be_the_certificates),
        cmocka_unit_test(a_host_that_is_none_is_refused),
        cmocka_unit_test(certificates_are_held_to_the_given_time),
        cmocka_unit_test(only_given_roots_are_trusted),
        cmocka_unit_test(roots_that_are_none_are_refused),
        cmocka_unit_test(a_chain_leads_to_its_root),
        cmocka_unit_test(certificates_for_something_else_are_refused),
        cmocka_unit_test(a_server_without_credentials_is_none),
        cmocka_unit_test(credentials_that_do_not_fit_change_nothing),
        cmocka_unit_test(one_text_may_hold_both),
        cmocka_unit_test(new_credentials_are_for_new_channels),
        cmocka_unit_test(credentials_may_change_during_a_handshake),
        cmocka_unit_test(data_goes_through_in_any_segmentation),
        cmocka_unit_test(one_byte_goes_through_by_every_cipher),
        cmocka_unit_test(a_record_holds_at_most_16_kib),
        cmocka_unit_test(keys_change_after_many_records),
        cmocka_unit_test(a_channel_at_rest_holds_little),
        cmocka_unit_test(the_server_is_told_the_name_but_no_ip),
        cmocka_unit_test(what_other_ends_do_is_taken),
        cmocka_unit_test(clients_need_not_name_anybody),
        cmocka_unit_test(a_farewell_is_answered),
        cmocka_unit_test(a_farewell_before_the_handshake_is_none),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("web_tls", tests, NULL, NULL);
}
