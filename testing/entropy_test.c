/*
 * What libraries draw repeats itself from one process to the next with the same seed, and in one
 * process, whatever was drawn before; with another seed it is something else. The program runs
 * itself: entropy_test draw SEED prints what GnuTLS and OpenSSL made of it.
 */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <inttypes.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/check.h"
#include "base/map.h"
#include "entropy.h"
#include "tern_test.h"

enum {
    PIPE_SIZE = 64 << 10,
    OUTPUT_SIZE = 4096,
    FLIGHTS_MAX = 20,
    EPOCH = 1735689600, /* where the wall clock stands */
};

/* --- what is printed --- */

struct output {
    char text[OUTPUT_SIZE];
    size_t size;
};

/* A line with the hash of what was made: equal hashes, equal bytes. */
static void output_line(struct output *out, const char *what, const void *bytes, size_t size)
{
    static const uint64_t key[2] = {1, 2};
    int written = snprintf(out->text + out->size, sizeof out->text - out->size,
                           "%s: %zu bytes, %016" PRIx64 "\n", what, size,
                           tern_siphash(key, tern_view_of(bytes, size)));
    TERN_CHECK(written > 0 && (size_t)written < sizeof out->text - out->size);
    out->size += (size_t)written;
}

/* --- bytes --- */

static void draw_bytes(struct output *out)
{
    static const gnutls_rnd_level_t levels[] = {GNUTLS_RND_NONCE, GNUTLS_RND_RANDOM,
                                                GNUTLS_RND_KEY};
    uint8_t bytes[100];
    for (size_t i = 0; i < TERN_COUNT_OF(levels); i++) {
        TERN_CHECK(gnutls_rnd(levels[i], bytes, sizeof bytes) == 0);
        output_line(out, "gnutls_rnd", bytes, sizeof bytes);
    }
    gnutls_rnd_refresh();
    TERN_CHECK(gnutls_rnd(GNUTLS_RND_KEY, bytes, sizeof bytes) == 0);
    output_line(out, "gnutls_rnd, refreshed", bytes, sizeof bytes);
    TERN_CHECK(RAND_bytes(bytes, sizeof bytes) == 1);
    output_line(out, "RAND_bytes", bytes, sizeof bytes);
    TERN_CHECK(RAND_priv_bytes(bytes, sizeof bytes) == 1);
    output_line(out, "RAND_priv_bytes", bytes, sizeof bytes);
    TERN_CHECK(getrandom(bytes, sizeof bytes, 0) == sizeof bytes);
    output_line(out, "getrandom", bytes, sizeof bytes);
    TERN_CHECK(getentropy(bytes, sizeof bytes) == 0);
    output_line(out, "getentropy", bytes, sizeof bytes);
}

/* --- keys and signatures of OpenSSL --- */

static void draw_x25519(struct output *out)
{
    uint8_t key[32];
    size_t size = sizeof key;
    EVP_PKEY *pair = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    TERN_CHECK(pair != NULL && EVP_PKEY_get_raw_public_key(pair, key, &size) == 1);
    output_line(out, "X25519 by OpenSSL", key, size);
    EVP_PKEY_free(pair);
}

static void draw_ecdsa(struct output *out, EVP_PKEY *pair)
{
    uint8_t signature[80];
    size_t size = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    TERN_CHECK(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, pair) == 1);
    TERN_CHECK(EVP_DigestSign(context, signature, &size, (const uint8_t *)"text", 4) == 1);
    output_line(out, "ECDSA by OpenSSL", signature, size);
    EVP_MD_CTX_free(context);
}

/* --- a pipe between two ends of a handshake --- */

/* Bytes that one end sent and the other did not read yet; all that was sent stays. */
struct pipe {
    uint8_t bytes[PIPE_SIZE];
    size_t sent;
    size_t read;
};

static void pipe_write(struct pipe *pipe, const void *bytes, size_t size)
{
    TERN_CHECK(size <= PIPE_SIZE - pipe->sent);
    memcpy(pipe->bytes + pipe->sent, bytes, size);
    pipe->sent += size;
}

static size_t pipe_read(struct pipe *pipe, void *bytes, size_t size)
{
    size = tern_min_size(size, pipe->sent - pipe->read);
    memcpy(bytes, pipe->bytes + pipe->read, size);
    pipe->read += size;
    return size;
}

/* --- TLS 1.3 by GnuTLS --- */

struct gnutls_end {
    gnutls_session_t session;
    struct pipe *in;
    struct pipe *out;
};

static ssize_t gnutls_end_push(gnutls_transport_ptr_t self, const void *bytes, size_t size)
{
    struct gnutls_end *end = self;
    pipe_write(end->out, bytes, size);
    return (ssize_t)size;
}

static ssize_t gnutls_end_pull(gnutls_transport_ptr_t self, void *bytes, size_t size)
{
    struct gnutls_end *end = self;
    size_t got = pipe_read(end->in, bytes, size);
    if (got > 0)
        return (ssize_t)got;
    gnutls_transport_set_errno(end->session, EAGAIN);
    return -1;
}

static gnutls_certificate_credentials_t gnutls_make_credentials(void)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t certificate;
    gnutls_certificate_credentials_t credentials;
    TERN_CHECK(gnutls_x509_privkey_init(&key) == 0 && gnutls_x509_crt_init(&certificate) == 0);
    TERN_CHECK(gnutls_x509_privkey_generate(
                   key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) == 0);
    TERN_CHECK(gnutls_x509_crt_set_version(certificate, 3) == 0);
    TERN_CHECK(gnutls_x509_crt_set_key(certificate, key) == 0);
    TERN_CHECK(gnutls_x509_crt_set_serial(certificate, "\x01", 1) == 0);
    TERN_CHECK(gnutls_x509_crt_set_activation_time(certificate, EPOCH - 3600) == 0);
    TERN_CHECK(gnutls_x509_crt_set_expiration_time(certificate, EPOCH + 3600) == 0);
    TERN_CHECK(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0) == 0);
    TERN_CHECK(gnutls_certificate_allocate_credentials(&credentials) == 0);
    TERN_CHECK(gnutls_certificate_set_x509_key(credentials, &certificate, 1, key) == 0);
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
    return credentials;
}

static void gnutls_end_open(struct gnutls_end *end, unsigned flags,
                            gnutls_certificate_credentials_t credentials)
{
    TERN_CHECK(gnutls_init(&end->session, flags | GNUTLS_NONBLOCK) == 0);
    TERN_CHECK(gnutls_priority_set_direct(end->session, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL) ==
               0);
    TERN_CHECK(gnutls_credentials_set(end->session, GNUTLS_CRD_CERTIFICATE, credentials) == 0);
    gnutls_transport_set_ptr(end->session, end);
    gnutls_transport_set_push_function(end->session, gnutls_end_push);
    gnutls_transport_set_pull_function(end->session, gnutls_end_pull);
}

static void draw_gnutls_handshake(struct output *out)
{
    static struct pipe there, back;
    there.sent = there.read = back.sent = back.read = 0;
    struct gnutls_end client = {.in = &back, .out = &there};
    struct gnutls_end server = {.in = &there, .out = &back};
    gnutls_certificate_credentials_t credentials = gnutls_make_credentials();
    gnutls_end_open(&client, GNUTLS_CLIENT, credentials);
    gnutls_end_open(&server, GNUTLS_SERVER, credentials);
    gnutls_certificate_server_set_request(server.session, GNUTLS_CERT_REQUIRE);
    int client_done = -1;
    int server_done = -1;
    for (int i = 0; i < FLIGHTS_MAX && (client_done != 0 || server_done != 0); i++) {
        client_done = client_done == 0 ? 0 : gnutls_handshake(client.session);
        server_done = server_done == 0 ? 0 : gnutls_handshake(server.session);
    }
    TERN_CHECK(client_done == 0 && server_done == 0);
    TERN_CHECK(gnutls_record_send(client.session, "hello", 5) == 5);
    output_line(out, "TLS by GnuTLS, client", there.bytes, there.sent);
    output_line(out, "TLS by GnuTLS, server", back.bytes, back.sent);
    gnutls_deinit(client.session);
    gnutls_deinit(server.session);
    gnutls_certificate_free_credentials(credentials);
}

/* --- TLS 1.3 by OpenSSL --- */

static int openssl_trust(int verified, X509_STORE_CTX *store)
{
    (void)verified, (void)store;
    return 1;
}

static X509 *openssl_make_certificate(EVP_PKEY *pair)
{
    X509 *certificate = X509_new();
    TERN_CHECK(X509_set_version(certificate, X509_VERSION_3) == 1);
    TERN_CHECK(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1);
    TERN_CHECK(X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != NULL);
    TERN_CHECK(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) != NULL);
    TERN_CHECK(X509_set_pubkey(certificate, pair) == 1);
    TERN_CHECK(X509_sign(certificate, pair, EVP_sha256()) > 0);
    return certificate;
}

static SSL *openssl_end_open(SSL_CTX *context, EVP_PKEY *pair, X509 *certificate)
{
    SSL *end = SSL_new(context);
    TERN_CHECK(SSL_use_certificate(end, certificate) == 1 && SSL_use_PrivateKey(end, pair) == 1);
    SSL_set_verify(end, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, openssl_trust);
    SSL_set_bio(end, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return end;
}

/* Moves what one end has to say to the other, and notes it. */
static void openssl_carry(SSL *from, SSL *to, struct pipe *pipe)
{
    uint8_t bytes[4096];
    int size;
    while ((size = BIO_read(SSL_get_wbio(from), bytes, sizeof bytes)) > 0) {
        pipe_write(pipe, bytes, (size_t)size);
        TERN_CHECK(BIO_write(SSL_get_rbio(to), bytes, size) == size);
    }
}

static void draw_openssl_handshake(struct output *out, EVP_PKEY *pair)
{
    static struct pipe there, back;
    there.sent = back.sent = 0;
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    X509 *certificate = openssl_make_certificate(pair);
    TERN_CHECK(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1);
    SSL *client = openssl_end_open(context, pair, certificate);
    SSL *server = openssl_end_open(context, pair, certificate);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    for (int i = 0;
         i < FLIGHTS_MAX && !(SSL_is_init_finished(client) && SSL_is_init_finished(server)); i++) {
        (void)SSL_do_handshake(client);
        openssl_carry(client, server, &there);
        (void)SSL_do_handshake(server);
        openssl_carry(server, client, &back);
    }
    TERN_CHECK(SSL_is_init_finished(client) && SSL_is_init_finished(server));
    TERN_CHECK(SSL_write(client, "hello", 5) == 5);
    openssl_carry(client, server, &there);
    output_line(out, "TLS by OpenSSL, client", there.bytes, there.sent);
    output_line(out, "TLS by OpenSSL, server", back.bytes, back.sent);
    SSL_free(client);
    SSL_free(server);
    X509_free(certificate);
    SSL_CTX_free(context);
}

static void draw(uint64_t seed, struct output *out)
{
    out->size = 0;
    tern_sim_entropy_seed(seed);
    draw_bytes(out);
    draw_x25519(out);
    EVP_PKEY *pair = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    TERN_CHECK(pair != NULL);
    draw_ecdsa(out, pair);
    draw_gnutls_handshake(out);
    draw_openssl_handshake(out, pair);
    EVP_PKEY_free(pair);
}

/* --- tests --- */

/* Draws in another process, with malloc filling what it gives with `perturb`. */
static void draw_elsewhere(uint64_t seed, const char *perturb, struct output *out)
{
    int ends[2];
    char number[32];
    char self[4096] = {0}; /* by its path: under valgrind /proc/self/exe is another program */
    assert_in_range(readlink("/proc/self/exe", self, sizeof self - 1), 1, sizeof self - 1);
    snprintf(number, sizeof number, "%" PRIu64, seed);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        setenv("MALLOC_PERTURB_", perturb, 1);
        execl(self, "entropy_test", "draw", number, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    out->size = 0;
    ssize_t got = 1;
    while (got > 0 && out->size + 1 < sizeof out->text) {
        got = read(ends[0], out->text + out->size, sizeof out->text - 1 - out->size);
        out->size += got > 0 ? (size_t)got : 0;
    }
    close(ends[0]);
    out->text[out->size] = 0;
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void two_processes_of_one_seed_draw_the_same(void **state)
{
    (void)state;
    static struct output first, second, here;
    for (uint64_t seed = 1; seed < 4; seed++) {
        draw_elsewhere(seed, "85", &first);
        draw_elsewhere(seed, "170", &second);
        assert_string_equal(first.text, second.text);
        draw(seed, &here); /* whatever this process drew before */
        assert_string_equal(first.text, here.text);
    }
}

static void another_seed_draws_everything_otherwise(void **state)
{
    (void)state;
    static struct output first, second;
    draw(1, &first);
    draw(2, &second);
    const char *a = first.text;
    const char *b = second.text;
    size_t lines = 0;
    while (*a != 0 && *b != 0) {
        const char *a_end = strchr(a, '\n');
        const char *b_end = strchr(b, '\n');
        /* The last 16 characters are the hash. */
        assert_memory_not_equal(a_end - 16, b_end - 16, 16);
        a = a_end + 1;
        b = b_end + 1;
        lines++;
    }
    assert_int_equal(lines, 14);
}

static void the_wall_clock_stands_still_and_others_do_not(void **state)
{
    (void)state;
    tern_sim_entropy_seed(1);
    assert_int_equal(time(NULL), EPOCH);
    tern_sim_entropy_set_wall(5 * TERN_SECOND);
    assert_int_equal(time(NULL), 5);
    tern_sim_entropy_set_wall(0);
    assert_true(time(NULL) > EPOCH);
    uint8_t bytes[257];
    assert_int_equal(getentropy(bytes, sizeof bytes), -1);
}

int main(int argc, char **argv)
{
    static struct output out;
    if (argc == 3 && strcmp(argv[1], "draw") == 0) {
        draw(strtoull(argv[2], NULL, 10), &out);
        return fwrite(out.text, 1, out.size, stdout) == out.size ? 0 : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_processes_of_one_seed_draw_the_same),
        cmocka_unit_test(another_seed_draws_everything_otherwise),
        cmocka_unit_test(the_wall_clock_stands_still_and_others_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
