#include "entropy.h"

/* RAND_METHOD is out of fashion since OpenSSL 3.0 and does exactly this, in 3.0 and in 3.5. */
#define OPENSSL_SUPPRESS_DEPRECATED 1

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <openssl/rand.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/random.h"

#define ENTROPY_EXPORT __attribute__((visibility("default")))

enum { ENTROPY_GETENTROPY_MAX = 256 };

/* Where struct sim_world_options begins: 2025-01-01. */
static const tern_wall_time entropy_epoch = UINT64_C(1735689600) * TERN_SECOND;

/* Of the process, as what it stands for. Libraries draw from it before main. */
static struct {
    struct tern_random random;
    bool seeded;
    uint64_t drawn; /* bytes, since the seed */
    tern_wall_time wall;
} entropy;

static void entropy_draw(void *out, size_t size)
{
    if (!entropy.seeded)
        tern_random_init_u64(&entropy.random, 0);
    entropy.seeded = true;
    entropy.drawn += size;
    tern_random_bytes(&entropy.random, out, size);
}

/* --- the C library's --- */

ENTROPY_EXPORT ssize_t getrandom(void *out, size_t size, unsigned flags)
{
    (void)flags;
    entropy_draw(out, size);
    return (ssize_t)size;
}

ENTROPY_EXPORT int getentropy(void *out, size_t size)
{
    if (size > ENTROPY_GETENTROPY_MAX) {
        errno = EIO;
        return -1;
    }
    entropy_draw(out, size);
    return 0;
}

ENTROPY_EXPORT int clock_gettime(clockid_t clock, struct timespec *out)
{
    bool wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    if (!wall || entropy.wall == 0)
        return (int)syscall(SYS_clock_gettime, clock, out);
    *out = (struct timespec){.tv_sec = (time_t)(entropy.wall / TERN_SECOND),
                             .tv_nsec = (long)(entropy.wall % TERN_SECOND)};
    return 0;
}

ENTROPY_EXPORT time_t time(time_t *out)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}

ENTROPY_EXPORT int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    *out = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

/* --- OpenSSL's --- */

static int entropy_openssl_bytes(unsigned char *out, int size)
{
    entropy_draw(out, (size_t)size);
    return 1;
}

static int entropy_openssl_seed(const void *bytes, int size)
{
    (void)bytes, (void)size;
    return 1;
}

static int entropy_openssl_add(const void *bytes, int size, double entropy_bits)
{
    (void)bytes, (void)size, (void)entropy_bits;
    return 1;
}

static int entropy_openssl_status(void)
{
    return 1;
}

static const RAND_METHOD entropy_openssl = {.seed = entropy_openssl_seed,
                                            .bytes = entropy_openssl_bytes,
                                            .add = entropy_openssl_add,
                                            .pseudorand = entropy_openssl_bytes,
                                            .status = entropy_openssl_status};

/* --- seeds --- */

/* GnuTLS mixes the old state of its generator into the new one, so only its end makes it forget.
 * Then the next byte that is asked of it must have been drawn here. */
static void entropy_begin_gnutls(void)
{
    uint8_t byte;
    gnutls_global_deinit();
    TERN_CHECK(gnutls_global_init() == 0);
    gnutls_global_set_time_function(time);
    uint64_t before = entropy.drawn;
    TERN_CHECK(gnutls_rnd(GNUTLS_RND_NONCE, &byte, sizeof byte) == 0);
    TERN_CHECK(entropy.drawn > before);
}

void tern_sim_entropy_seed(uint64_t seed)
{
    tern_random_init_u64(&entropy.random, seed);
    entropy.seeded = true;
    entropy.drawn = 0;
    entropy.wall = entropy_epoch;
    TERN_CHECK(RAND_set_rand_method(&entropy_openssl) == 1);
    entropy_begin_gnutls();
}

void tern_sim_entropy_set_wall(tern_wall_time wall)
{
    entropy.wall = wall;
}
