/*
 * Our channel against OpenSSL's own TLS, both ways: another implementation of the records, and all
 * that an honest one may do which ours does not.
 */
#include "tls_world.h"

#include "secure/tls_test_peer.h"

static struct tls_end other; /* large */
static EVP_PKEY *p256;

static int make_key(void **state)
{
    (void)state;
    p256 = forge_key("EC", "P-256");
    return 0;
}

static int free_key(void **state)
{
    (void)state;
    EVP_PKEY_free(p256);
    return 0;
}

/* A world in which end i is ours and the other is OpenSSL's, with the other host's identity. */
static struct world *open_world(int i)
{
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    const struct forge f = {.key = p256, .md = "SHA256", .host = &w->keys[1 - i]};
    w->options[i].expected_peer = &w->ids[1 - i];
    tls_end_init(&other, i == INIT ? TERN_ROLE_RESPONDER : TERN_ROLE_INITIATOR, &f);
    return w;
}

static void close_world(struct world *w)
{
    tls_end_fini(&other);
    world_free(w);
}

/* Both are done, and so many bytes went either way. */
static void expect_done(struct world *w, int i, uint64_t ours, uint64_t theirs)
{
    const struct pump_end *end = &w->pump.ends[i];
    if (!end->done || !other.done || end->err != TERN_OK || other.failed)
        fail_msg("ours: %s %s; theirs: %s", tern_err_name(end->err),
                 tern_fault_name(fault_of(w, i)), ERR_reason_error_string(other.error));
    assert_int_equal(other.got_size, ours);
    assert_int_equal(end->got_size, theirs);
    assert_true(tern_peer_id_equal(remote(w, i)->peer_id, &w->ids[1 - i]));
}

/* Shakes hands and sends some both ways, twice. */
static void talk(struct world *w, int i, size_t segment)
{
    struct pump_end *end = &w->pump.ends[i];
    tls_end_exchange(&other, end, segment);
    for (uint64_t round = 1; round <= 2; round++) {
        if (!other.done)
            break;
        tls_end_write(&other, 20000);
        end->message_size = round * 50000;
        tls_end_exchange(&other, end, segment);
    }
    expect_done(w, i, 100000, 40000);
}

static void every_suite_in_every_segmentation(void **state)
{
    (void)state;
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256"};
    static const size_t segments[] = {1, 7, 1000, SIZE_MAX};
    for (int i = 0; i < 2; i++) {
        for (size_t s = 0; s < TERN_COUNT_OF(suites); s++) {
            for (size_t g = 0; g < TERN_COUNT_OF(segments); g++) {
                struct world *w = open_world(i);
                assert_int_equal(SSL_CTX_set_ciphersuites(other.context, suites[s]), 1);
                tls_end_start(&other);
                world_open_one(w, i);
                talk(w, i, segments[g]);
                assert_string_equal(SSL_CIPHER_get_name(SSL_get_current_cipher(other.ssl)),
                                    suites[s]);
                assert_true(tern_view_equal(remote(w, i)->muxer, tern_view_str("/yamux/1.0.0")));
                close_world(w);
            }
        }
    }
}

static void certificates_of_other_kinds(void **state)
{
    (void)state;
    const struct {
        EVP_PKEY *key;
        const char *md;
    } cases[] = {{forge_key("EC", "P-384"), "SHA384"},
                 {forge_key("ED25519", NULL), NULL},
                 {forge_rsa(2048), "SHA256"}};
    for (size_t c = 0; c < TERN_COUNT_OF(cases); c++) {
        for (int i = 0; i < 2; i++) {
            struct world *w = open_world(i);
            const struct forge f = {
                .key = cases[c].key, .md = cases[c].md, .host = &w->keys[1 - i]};
            tls_end_fini(&other);
            tls_end_init(&other, i == INIT ? TERN_ROLE_RESPONDER : TERN_ROLE_INITIATOR, &f);
            tls_end_start(&other);
            world_open_one(w, i);
            talk(w, i, SIZE_MAX);
            close_world(w);
        }
        EVP_PKEY_free(cases[c].key);
    }
}

/* Lets the other ask for such signatures, and sign as it can. */
static void ask_for(int i, const char *algorithms)
{
    if (i == INIT) {
        assert_int_equal(SSL_CTX_set1_client_sigalgs_list(other.context, algorithms), 1);
        return;
    }
    assert_int_equal(SSL_CTX_set1_sigalgs_list(other.context, algorithms), 1);
    assert_int_equal(SSL_CTX_set1_client_sigalgs_list(other.context, "ECDSA+SHA256"), 1);
}

/* Of what the other asks for, the first decides which certificate it is shown. */
static void the_other_is_shown_what_it_prefers(void **state)
{
    (void)state;
    static const struct {
        const char *asked;
        int shown;
    } cases[] = {
        {"ECDSA+SHA256:ed25519", EVP_PKEY_EC},
        {"ed25519:ECDSA+SHA256", EVP_PKEY_ED25519},
        {"rsa_pss_rsae_sha256:ECDSA+SHA256", EVP_PKEY_EC},
        {"ECDSA+SHA384:ed25519", EVP_PKEY_ED25519},
        {"ed25519", EVP_PKEY_ED25519},
    };
    for (size_t c = 0; c < TERN_COUNT_OF(cases); c++) {
        for (int i = 0; i < 2; i++) {
            struct world *w = open_world(i);
            ask_for(i, cases[c].asked);
            tls_end_start(&other);
            world_open_one(w, i);
            talk(w, i, SIZE_MAX);
            X509 *shown = SSL_get1_peer_certificate(other.ssl);
            assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(shown)), cases[c].shown);
            X509_free(shown);
            close_world(w);
        }
    }
}

static void what_we_cannot_sign_is_nothing_in_common(void **state)
{
    (void)state;
    struct world *w = open_world(RESP);
    ask_for(RESP, "rsa_pss_rsae_sha256");
    tls_end_start(&other);
    struct pump_end *end = world_open_one(w, RESP);
    tls_end_exchange(&other, end, SIZE_MAX);
    assert_false(end->done);
    assert_int_equal(fault_of(w, RESP), TERN_FAULT_TLS_NOTHING_IN_COMMON);
    close_world(w);
}

static void tickets_are_passed_over(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 4, 30};
    for (size_t c = 0; c < TERN_COUNT_OF(counts); c++) {
        struct world *w = open_world(INIT);
        assert_int_equal(SSL_CTX_set_num_tickets(other.context, counts[c]), 1);
        assert_int_equal(SSL_CTX_set_session_id_context(other.context, (const uint8_t *)"tern", 4),
                         1);
        tls_end_start(&other);
        world_open_one(w, INIT);
        talk(w, INIT, c == 0 ? 1 : SIZE_MAX);
        assert_true(tls_of(w, INIT)->receive.sequence > counts[c]);
        close_world(w);
    }
}

static void keys_change_as_the_other_wants(void **state)
{
    (void)state;
    static const int kinds[] = {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED};
    for (int i = 0; i < 2; i++) {
        struct world *w = open_world(i);
        tls_end_start(&other);
        struct pump_end *end = world_open_one(w, i);
        tls_end_exchange(&other, end, SIZE_MAX);
        for (uint64_t round = 1; round <= 40; round++) {
            assert_int_equal(SSL_key_update(other.ssl, kinds[round % 2]), 1);
            tls_end_write(&other, 1000);
            end->message_size = round * 1000;
            tls_end_exchange(&other, end, round % 3 == 0 ? 11 : SIZE_MAX);
        }
        expect_done(w, i, 40000, 40000);
        close_world(w);
    }
}

static void keys_change_as_we_want(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct world *w = open_world(i);
        tls_end_start(&other);
        struct pump_end *end = world_open_one(w, i);
        tls_end_exchange(&other, end, SIZE_MAX);
        for (uint64_t round = 1; round <= 10; round++) {
            /* Not near the key's end, where the other could not follow: as if it were. */
            tls_of(w, i)->update_pending = true;
            tls_of(w, i)->update_request = round % 2 == 0;
            tls_end_write(&other, 1000);
            end->message_size = round * 1000;
            tls_end_exchange(&other, end, SIZE_MAX);
        }
        expect_done(w, i, 10000, 10000);
        close_world(w);
    }
}

static void padding_and_small_records(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct world *w = open_world(i);
        assert_int_equal(SSL_CTX_set_block_padding(other.context, 777), 1);
        tls_end_start(&other);
        world_open_one(w, i);
        talk(w, i, SIZE_MAX);
        close_world(w);
        w = open_world(i);
        assert_int_equal(SSL_CTX_set_max_send_fragment(other.context, 512), 1);
        tls_end_start(&other);
        world_open_one(w, i);
        talk(w, i, SIZE_MAX);
        close_world(w);
    }
}

/* A client that asks for small records gets no larger ones (RFC 6066, section 4). */
static void records_are_as_small_as_the_other_asks(void **state)
{
    (void)state;
    struct world *w = open_world(RESP);
    SSL_CTX_set_tlsext_max_fragment_length(other.context, TLSEXT_max_fragment_length_1024);
    tls_end_start(&other);
    struct pump_end *end = world_open_one(w, RESP);
    talk(w, RESP, SIZE_MAX);
    uint8_t bytes[4096];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    size_t room = end->secure.ops->seal_begin(end->secure.self, &out).size;
    bool agreed = SSL_SESSION_get_max_fragment_length(SSL_get_session(other.ssl)) != 0;
    assert_int_equal(room, agreed ? 1024 : sizeof bytes - TERN_TLS_OVERHEAD);
    close_world(w);
}

/* A group that the other's first message brings no share for costs a round trip (HelloRetryRequest,
 * RFC 8446 section 4.1.4), or none if the share is of our second choice. */
static void groups_are_found(void **state)
{
    (void)state;
    static struct {
        int ours;
        char groups[16];
        bool good;
    } cases[] = {
        {INIT, "P-256", true},       {RESP, "P-256", true},  {RESP, "P-384:P-256", true},
        {RESP, "X448:X25519", true}, {INIT, "P-384", false}, {RESP, "P-521", false},
    };
    for (size_t c = 0; c < TERN_COUNT_OF(cases); c++) {
        struct world *w = open_world(cases[c].ours);
        assert_int_equal(SSL_CTX_set1_groups_list(other.context, cases[c].groups), 1);
        tls_end_start(&other);
        struct pump_end *end = world_open_one(w, cases[c].ours);
        if (cases[c].good) {
            talk(w, cases[c].ours, SIZE_MAX);
        } else {
            tls_end_exchange(&other, end, SIZE_MAX);
            assert_false(end->done);
            assert_int_equal(fault_of(w, cases[c].ours), cases[c].ours == INIT
                                                             ? TERN_FAULT_TLS_REFUSED
                                                             : TERN_FAULT_TLS_NOTHING_IN_COMMON);
        }
        close_world(w);
    }
}

static void without_alpn_the_muxer_is_left_open(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct world *w = open_world(i);
        SSL_CTX_set_alpn_protos(other.context, NULL, 0);
        SSL_CTX_set_alpn_select_cb(other.context, NULL, NULL);
        tls_end_start(&other);
        world_open_one(w, i);
        talk(w, i, SIZE_MAX);
        assert_int_equal(remote(w, i)->muxer.size, 0);
        close_world(w);
    }
}

static void farewells_are_understood_both_ways(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        for (int first = 0; first < 2; first++) {
            struct world *w = open_world(i);
            tls_end_start(&other);
            struct pump_end *end = world_open_one(w, i);
            talk(w, i, SIZE_MAX);
            if (first == 0)
                assert_true(SSL_shutdown(other.ssl) >= 0);
            else
                end->secure.ops->shut(end->secure.self);
            tls_end_exchange(&other, end, SIZE_MAX);
            assert_int_equal(end->ended, first == 0);
            assert_int_equal(other.ended, first == 1);
            assert_int_equal(end->err, TERN_OK);
            close_world(w);
        }
    }
}

/* OpenSSL refuses us, after we thought that we were done. */
static void a_late_refusal_is_told(void **state)
{
    (void)state;
    struct world *w = open_world(INIT);
    SSL_CTX_set_cert_verify_callback(other.context, NULL, NULL); /* it trusts nobody */
    tls_end_start(&other);
    struct pump_end *end = world_open_one(w, INIT);
    end->message_size = 1000;
    tls_end_exchange(&other, end, SIZE_MAX);
    assert_true(end->done && other.failed);
    assert_int_equal(end->err, TERN_ERR_REFUSED);
    assert_int_equal(fault_of(w, INIT), TERN_FAULT_TLS_REFUSED);
    close_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_suite_in_every_segmentation),
        cmocka_unit_test(certificates_of_other_kinds),
        cmocka_unit_test(the_other_is_shown_what_it_prefers),
        cmocka_unit_test(what_we_cannot_sign_is_nothing_in_common),
        cmocka_unit_test(tickets_are_passed_over),
        cmocka_unit_test(keys_change_as_the_other_wants),
        cmocka_unit_test(keys_change_as_we_want),
        cmocka_unit_test(padding_and_small_records),
        cmocka_unit_test(records_are_as_small_as_the_other_asks),
        cmocka_unit_test(groups_are_found),
        cmocka_unit_test(without_alpn_the_muxer_is_left_open),
        cmocka_unit_test(farewells_are_understood_both_ways),
        cmocka_unit_test(a_late_refusal_is_told),
    };
    return cmocka_run_group_tests(tests, make_key, free_key);
}
