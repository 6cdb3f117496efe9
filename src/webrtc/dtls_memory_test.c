/*
 * OpenSSL takes memory by itself, outside tern_mem. Here it is measured against what a session is
 * charged for it, and its allocations fail in turn: a handshake succeeds or is told as failed,
 * nobody is taken for somebody else, and nothing is left behind.
 */
#include "webrtc/dtls.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "tern_test.h"

#include "webrtc/test_certificate.h"

enum { STRIDE = 31, EVERY_ONE_UNTIL = 100, ALLOCATIONS_MAX = 20000 };

static size_t allocations; /* since the count was last set */
static size_t fail_at;     /* 0: none */
static size_t held;        /* bytes */
static size_t peak;

static void *measured(void *ptr)
{
    held += ptr == NULL ? 0 : malloc_usable_size(ptr);
    peak = tern_max_size(peak, held);
    return ptr;
}

static bool allocation_fails(void)
{
    allocations++;
    return allocations == fail_at;
}

static void *counting_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return allocation_fails() ? NULL : measured(malloc(size));
}

static void counting_free(void *ptr, const char *file, int line)
{
    (void)file;
    (void)line;
    held -= ptr == NULL ? 0 : malloc_usable_size(ptr);
    free(ptr);
}

static void *counting_realloc(void *ptr, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (allocation_fails())
        return NULL;
    held -= ptr == NULL ? 0 : malloc_usable_size(ptr);
    return measured(realloc(ptr, size));
}

struct pair {
    struct tern_mem mem;
    struct tern_dtls_context *context;
    struct tern_dtls ends[2];
    int made;
};

static tern_err pair_init(struct pair *p)
{
    uint8_t hashes[1][TERN_SHA256_SIZE];
    tern_mem_init(&p->mem, 0);
    p->made = 0;
    p->context = NULL;
    TERN_TRY(tern_dtls_context_new(&p->mem, &test_certificate_a, &p->context));
    memcpy(hashes[0], tern_dtls_context_fingerprint(p->context), sizeof hashes[0]);
    for (int i = 0; i < 2; i++) {
        const struct tern_dtls_options options = {.mem = &p->mem,
                                                  .context = p->context,
                                                  .listener = i == 1,
                                                  .certhashes = i == 0 ? hashes : NULL,
                                                  .certhashes_count = i == 0};
        TERN_TRY(tern_dtls_init(&p->ends[i], &options));
        p->made++;
    }
    return TERN_OK;
}

static void pair_fini(struct pair *p)
{
    for (int i = 0; i < p->made; i++)
        tern_dtls_fini(&p->ends[i]);
    tern_dtls_context_unref(p->context);
    tern_mem_fini(&p->mem);
}

static void pair_jobs(struct tern_dtls *d)
{
    struct tern_job *job = tern_dtls_job(d);
    struct tern_view none;
    if (job != NULL) {
        job->run(job);
        tern_dtls_job_done(d, job);
    }
    while (tern_dtls_held(d, &none))
        continue;
}

static void pair_carry(struct pair *p, int from)
{
    uint8_t datagram[TERN_DTLS_DATAGRAM_MAX];
    uint8_t room[TERN_DTLS_RECORD_MAX];
    struct tern_view text;
    pair_jobs(&p->ends[from]);
    while (tern_dtls_want_send(&p->ends[from])) {
        struct tern_writer out = tern_writer_of(datagram, sizeof datagram);
        if (!tern_dtls_send(&p->ends[from], TERN_SECOND, &out))
            break;
        struct tern_view in = tern_writer_view(&out);
        while (
            tern_dtls_recv(&p->ends[1 - from], &in, (struct tern_span){room, sizeof room}, &text))
            continue;
    }
    pair_jobs(&p->ends[1 - from]);
}

/* The handshake, as far as it goes. */
static tern_err scenario(struct pair *p)
{
    TERN_TRY(pair_init(p));
    for (int i = 0; i < 6; i++)
        pair_carry(p, i % 2);
    for (int i = 0; i < 2; i++) {
        if (p->ends[i].state == TERN_DTLS_FAILED)
            return p->ends[i].error;
        if (p->ends[i].state != TERN_DTLS_OPEN)
            return TERN_ERR_TIMEOUT;
        assert_memory_equal(p->ends[i].fingerprint, tern_dtls_context_fingerprint(p->context),
                            TERN_SHA256_SIZE);
    }
    return TERN_OK;
}

static void openssl_keeps_to_what_a_session_is_charged_for(void **state)
{
    (void)state;
    struct pair p;
    assert_int_equal(scenario(&p), TERN_OK); /* what OpenSSL keeps for good is there now */
    pair_fini(&p);
    size_t nothing = held;
    assert_int_equal(pair_init(&p), TERN_OK);
    peak = held;
    for (int i = 0; i < 4; i++)
        pair_carry(&p, i % 2);
    size_t highest = peak;
    for (int i = 0; i < 2; i++)
        tern_dtls_fini(&p.ends[i]);
    p.made = 0;
    print_message("a handshake: %zu bytes of OpenSSL's an end\n", (highest - held) / 2);
    assert_true((highest - held) / 2 <= TERN_DTLS_HANDSHAKE_BYTES);
    pair_fini(&p);
    assert_int_equal(scenario(&p), TERN_OK);
    size_t both = held;
    tern_dtls_fini(&p.ends[1]);
    p.made = 1;
    print_message("afterwards: %zu\n", both - held);
    assert_true(both - held <= TERN_DTLS_OPEN_BYTES);
    pair_fini(&p);
    assert_int_equal(held, nothing);
}

/* What came of the scenario without its n-th allocation. */
enum outcome { WITHOUT_IT, NOT_REACHED, KEPT_MEMORY, WRONG_ERROR, NO_ERROR };

static enum outcome attempt(size_t n, size_t nothing)
{
    struct pair p;
    allocations = 0;
    fail_at = n;
    tern_err err = scenario(&p);
    bool reached = allocations >= n;
    fail_at = 0;
    pair_fini(&p);
    if (held > nothing + 4096) /* error queues are kept for good */
        return KEPT_MEMORY;
    if (!reached)
        return err == TERN_OK ? NOT_REACHED : NO_ERROR;
    bool known = err == TERN_OK || err == TERN_ERR_MEMORY || err == TERN_ERR_BAD_KEY ||
                 err == TERN_ERR_INTERNAL || err == TERN_ERR_PROTOCOL || err == TERN_ERR_TIMEOUT ||
                 err == TERN_ERR_DISCONNECTED;
    return known ? WITHOUT_IT : WRONG_ERROR;
}

/* In a process of its own. From release 3.2 on OpenSSL crashes in SSL_free when there was no memory
 * for the records of a new epoch: it frees what it has not made. That is counted, and is a failure
 * with older releases. */
static enum outcome attempt_apart(size_t n, size_t nothing, size_t *crashes)
{
    enum { OPENSSL_CRASHES_FROM = 0x30200000 };
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        _exit(attempt(n, nothing));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status))
        return (enum outcome)WEXITSTATUS(status);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV ||
        OpenSSL_version_num() < OPENSSL_CRASHES_FROM)
        fail_msg("allocation %zu: the process ended with status %d", n, status);
    *crashes += 1;
    return WITHOUT_IT;
}

static void its_allocations_may_fail(void **state)
{
    (void)state;
    struct pair p;
    size_t crashes = 0;
    size_t tried = 0;
    assert_int_equal(scenario(&p), TERN_OK);
    pair_fini(&p);
    for (size_t n = 1; n < ALLOCATIONS_MAX; n += n < EVERY_ONE_UNTIL ? 1 : STRIDE) {
        enum outcome outcome = attempt_apart(n, held, &crashes);
        tried++;
        if (outcome == NOT_REACHED) {
            print_message("%zu of %zu crashed in OpenSSL\n", crashes, tried);
            assert_true(crashes <= tried / 20);
            return;
        }
        if (outcome != WITHOUT_IT)
            fail_msg("allocation %zu: outcome %d", n, (int)outcome);
    }
    fail_msg("the scenario does not end");
}

int main(void)
{
    if (CRYPTO_set_mem_functions(counting_malloc, counting_realloc, counting_free) != 1)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_keeps_to_what_a_session_is_charged_for),
        cmocka_unit_test(its_allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
