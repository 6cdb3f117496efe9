/*
 * For tests: an end of TLS that is OpenSSL's from the handshake to the records, with a certificate
 * of any kind, against a channel of ours. What such an end does that ours would not is set on its
 * context before it starts.
 */
#ifndef TERN_SECURE_TLS_TEST_PEER_H
#define TERN_SECURE_TLS_TEST_PEER_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "crypto/certificate_test_forge.h"
#include "secure_pump.h"
#include "tern_test.h"

enum { PEER_ROUNDS_MAX = 2000, PEER_GOT_MAX = 1 << 20 };

struct tls_end {
    enum tern_role role;
    SSL_CTX *context;
    SSL *ssl;
    BIO *in;  /* what it reads; owned by ssl */
    BIO *out; /* what it writes */
    bool done;
    bool failed;
    bool ended;          /* it has seen close_notify */
    unsigned long error; /* the first of its queue */
    uint64_t got_size;
    uint64_t sent_size;
    uint8_t unread[PEER_GOT_MAX]; /* what it has written and the other end has not taken */
    size_t unread_size;
};

static inline int tls_end_trust(X509_STORE_CTX *store, void *context)
{
    (void)store;
    (void)context;
    return 1;
}

static inline int tls_end_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                               const unsigned char *in, unsigned in_size, void *context)
{
    (void)ssl;
    (void)in_size;
    (void)context;
    *out_size = in[0];
    *out = in + 1;
    return SSL_TLSEXT_ERR_OK;
}

/* The context of an honest end with that certificate; NULL: with none. */
static inline void tls_end_init(struct tls_end *end, enum tern_role role, const struct forge *f)
{
    memset(end, 0, sizeof *end);
    end->role = role;
    end->context = SSL_CTX_new(TLS_method());
    assert_non_null(end->context);
    SSL_CTX_set_min_proto_version(end->context, TLS1_2_VERSION);
    SSL_CTX_set_verify(end->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(end->context, tls_end_trust, NULL);
    SSL_CTX_set_alpn_select_cb(end->context, tls_end_alpn, NULL);
    if (f != NULL) {
        static uint8_t room[FORGE_SIZE_MAX];
        struct tern_view der = forge_make(f, (struct tern_span){room, sizeof room});
        assert_int_equal(SSL_CTX_use_certificate_ASN1(end->context, (int)der.size, der.data), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(end->context, f->key), 1);
    }
    if (role == TERN_ROLE_INITIATOR)
        assert_int_equal(SSL_CTX_set_alpn_protos(end->context,
                                                 (const uint8_t *)"\x0c/yamux/1.0.0\x06libp2p", 20),
                         0);
}

static inline void tls_end_start(struct tls_end *end)
{
    end->ssl = SSL_new(end->context);
    end->in = BIO_new(BIO_s_mem());
    end->out = BIO_new(BIO_s_mem());
    assert_non_null(end->ssl);
    SSL_set_bio(end->ssl, end->in, end->out);
    if (end->role == TERN_ROLE_INITIATOR)
        SSL_set_connect_state(end->ssl);
    else
        SSL_set_accept_state(end->ssl);
}

static inline void tls_end_fini(struct tls_end *end)
{
    SSL_free(end->ssl);
    SSL_CTX_free(end->context);
    ERR_clear_error();
}

static inline void tls_end_result(struct tls_end *end, int result)
{
    int error = SSL_get_error(end->ssl, result);
    if (error == SSL_ERROR_ZERO_RETURN)
        end->ended = true;
    else if (error != SSL_ERROR_WANT_READ && !end->failed) {
        end->failed = true;
        end->error = ERR_peek_error();
    }
    ERR_clear_error();
}

/* Goes on as far as it can: the handshake, then data, which must be the pump's. */
static inline void tls_end_step(struct tls_end *end)
{
    uint8_t bytes[20000];
    size_t got;
    if (end->failed || end->ended)
        return;
    if (!end->done) {
        int result = SSL_do_handshake(end->ssl);
        end->done = result == 1;
        if (!end->done) {
            tls_end_result(end, result);
            return;
        }
    }
    int result;
    while ((result = SSL_read_ex(end->ssl, bytes, sizeof bytes, &got)) == 1)
        for (size_t i = 0; i < got; i++)
            assert_int_equal(bytes[i], pump_byte(end->got_size++));
    tls_end_result(end, result);
}

static inline void tls_end_write(struct tls_end *end, size_t size)
{
    uint8_t bytes[20000];
    size_t wrote;
    assert_true(size <= sizeof bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = pump_byte(end->sent_size + i);
    assert_int_equal(SSL_write_ex(end->ssl, bytes, size, &wrote), 1);
    assert_int_equal(wrote, size);
    end->sent_size += size;
}

/* Gives a channel what has been written for it, in segments of at most that size. */
static inline void tls_end_give(struct tls_end *end, struct pump_end *ours, size_t segment)
{
    int more = BIO_read(end->out, end->unread + end->unread_size,
                        (int)(sizeof end->unread - end->unread_size));
    end->unread_size += more > 0 ? (size_t)more : 0;
    size_t at = 0;
    size_t took = 1;
    while (at < end->unread_size && took > 0 && ours->err == TERN_OK && ours->job == NULL) {
        size_t size = tern_min_size(tern_min_size(end->unread_size - at, segment), 60000);
        took = pump_feed(ours, tern_view_of(end->unread + at, size), true);
        at += took;
    }
    memmove(end->unread, end->unread + at, end->unread_size - at);
    end->unread_size -= at;
}

/* Lets both go on until nothing moves; ours sends message_size bytes when it can. */
static inline void tls_end_exchange(struct tls_end *end, struct pump_end *ours, size_t segment)
{
    static uint8_t bytes[200000];
    const struct tern_channel_ops *ops = ours->secure.ops;
    for (int round = 0; round < PEER_ROUNDS_MAX; round++) {
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        ops->control(ours->secure.self, 0, &w);
        while (ours->done && ours->sent_size < ours->message_size) {
            struct tern_span room = ops->seal_begin(ours->secure.self, &w);
            size_t size = tern_min_size(room.size, (size_t)(ours->message_size - ours->sent_size));
            if (room.size == 0)
                break;
            for (size_t i = 0; i < size; i++)
                room.data[i] = pump_byte(ours->sent_size + i);
            ops->seal_end(ours->secure.self, &w, size);
            ours->sent_size += size;
        }
        if (w.size > 0)
            assert_int_equal(BIO_write(end->in, w.data, (int)w.size), (int)w.size);
        tls_end_step(end);
        size_t before = end->unread_size;
        bool job = ours->job != NULL;
        if (job)
            pump_run_job(ours);
        tls_end_give(end, ours, segment);
        if (w.size == 0 && !job && end->unread_size == before && ours->job == NULL &&
            BIO_ctrl_pending(end->out) == 0)
            return;
    }
    fail_msg("it does not come to rest");
}

#endif
