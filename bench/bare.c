/*
 * A bare peer for the benches: a transport, a secure channel and a muxer on the real loop, and the
 * sink; no identify, ping or gossip. Its modes are those of the go and rust peers
 * (interop/README.md, "Benches"), and so are --transport, --secure and --muxer, which each may
 * have. A server takes TCP and WebSocket on its port, or QUIC.
 *
 *   tern-bench serve HOST PORT                 commands on stdin: rss, cpu, quit
 *   tern-bench stream HOST PORT --bytes N
 *   tern-bench handshake HOST PORT --count N --concurrency K
 *   tern-bench idle HOST PORT --count N        holds N connections; commands on stdin
 *
 * --keep-alive SECONDS is how often a connection is pinged, as a host's are by default; 0: never.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bare.h"
#include "base/check.h"

enum { KEEP_ALIVE_S_DEFAULT = 30 };

/* User and system time of this process, in seconds. */
static double bare_cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct bare_line {
    struct bare *bare;
    char text[256];
};

/* A line of stdin, on the loop's thread. */
static void bare_obey(void *self)
{
    const struct bare_line *line = self;
    struct bare *b = line->bare;
    long pages = 0;
    if (strstr(line->text, "rss") != NULL) {
        FILE *statm = fopen("/proc/self/statm", "r");
        TERN_CHECK(statm != NULL && fscanf(statm, "%*s %ld", &pages) == 1);
        fclose(statm);
        printf("{\"rss_bytes\":%ld,\"tern_bytes\":%zu,\"connections\":%llu,\"accepted\":%llu,"
               "\"accept_seconds\":%.6f}\n",
               pages * sysconf(_SC_PAGESIZE), b->mem.used, (unsigned long long)b->live,
               (unsigned long long)b->accepted,
               (double)(b->accepted_at - b->accepted_first_at) / 1e9);
    }
    if (strstr(line->text, "cpu") != NULL)
        printf("{\"cpu_seconds\":%.6f}\n", bare_cpu());
    fflush(stdout);
}

/* Hands lines to the loop until the end of stdin or quit, which end it. */
static void *bare_read_stdin(void *self)
{
    struct bare_line line = {.bare = self};
    while (fgets(line.text, sizeof line.text, stdin) != NULL && strstr(line.text, "quit") == NULL)
        if (tern_loop_call_wait(line.bare->loop, bare_obey, &line) != TERN_OK)
            break;
    tern_loop_stop(line.bare->loop);
    return NULL;
}

/* Serves until the end of stdin or quit. */
static void bare_run_commands(struct bare *b)
{
    pthread_t thread;
    TERN_CHECK(pthread_create(&thread, NULL, bare_read_stdin, b) == 0);
    tern_loop_run(b->loop);
    TERN_CHECK(pthread_join(thread, NULL) == 0);
    b->finished = true;
}

static void bare_ready(struct bare *b, uint16_t port)
{
    if (b->mode == MODE_SERVE)
        printf("{\"event\":\"ready\",\"port\":%u}\n", port);
    else
        printf("{\"event\":\"ready\",\"connections\":%llu,\"seconds\":%.6f}\n",
               (unsigned long long)b->live, (double)(b->now - b->started) / 1e9);
    fflush(stdout);
}

/* The loop's first input finds the machine made. */
static void bare_start(struct bare *b)
{
    uint8_t seed[TERN_RANDOM_SEED_SIZE];
    TERN_CHECK(tern_loop_entropy(seed, sizeof seed) == TERN_OK);
    b->ready = bare_ready;
    bare_init(b, seed, tern_loop_now());
    TERN_CHECK(tern_loop_new(&(struct tern_loop_options){.mem = &b->mem,
                                                         .machine = {.ops = &bare_ops, .self = b}},
                             &b->loop) == TERN_OK);
}

static void bare_report(const struct bare *b, double cpu)
{
    double seconds = (double)b->took_ns / 1e9;
    if (b->mode == MODE_STREAM)
        printf("{\"bytes\":%llu,\"seconds\":%.6f}\n", (unsigned long long)b->bytes, seconds);
    else if (b->mode == MODE_HANDSHAKE)
        printf("{\"count\":%llu,\"seconds\":%.6f,\"cpu_seconds\":%.6f}\n",
               (unsigned long long)b->count, seconds, cpu);
}

static const char *option_text(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return otherwise;
}

static uint64_t option(int argc, char **argv, const char *name, uint64_t otherwise)
{
    const char *text = option_text(argc, argv, name, NULL);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

/* The index of the option's value among the names; SIZE_MAX: it is none of them. */
static size_t option_name(int argc, char **argv, const char *name, const char *const *names)
{
    const char *value = option_text(argc, argv, name, names[0]);
    for (size_t i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], value) == 0)
            return i;
    return SIZE_MAX;
}

/* How it connects; false: something is unknown. */
static bool parse_stack(struct bare *b, int argc, char **argv)
{
    static const char *const transports[] = {"tcp", "ws", "quic-v1", NULL};
    static const char *const channels[] = {"noise", "tls", NULL};
    static const char *const muxers[] = {"yamux", "mplex", NULL};
    size_t transport = option_name(argc, argv, "--transport", transports);
    size_t secure = option_name(argc, argv, "--secure", channels);
    size_t muxer = option_name(argc, argv, "--muxer", muxers);
    if (transport == SIZE_MAX || secure == SIZE_MAX || muxer == SIZE_MAX)
        return false;
    b->form = transport == 1 ? TERN_LINK_WEBSOCKET : TERN_LINK_PLAIN;
    b->quic = transport == 2;
    b->config.secure[0] = secure == 1 ? TERN_SECURE_TLS : TERN_SECURE_NOISE;
    b->config.secure_count = 1;
    b->config.muxers[0] = muxer == 1 ? TERN_MUXER_MPLEX : TERN_MUXER_YAMUX;
    b->config.muxers_count = 1;
    b->config.ping_interval_ns =
        option(argc, argv, "--keep-alive", KEEP_ALIVE_S_DEFAULT) * TERN_SECOND;
    snprintf(b->host, sizeof b->host, "%s:%u", argv[2], b->target.port);
    return true;
}

static bool parse(struct bare *b, int argc, char **argv)
{
    static const char *const modes[] = {"serve", "stream", "handshake", "idle"};
    size_t mode = 0;
    if (argc < 4)
        return false;
    while (mode < TERN_COUNT_OF(modes) && strcmp(modes[mode], argv[1]) != 0)
        mode++;
    b->mode = (enum bare_mode)mode;
    b->target.family = 4;
    b->target.port = (uint16_t)strtoul(argv[3], NULL, 10);
    b->bytes = option(argc, argv, "--bytes", UINT64_C(1) << 30);
    b->count = b->mode == MODE_STREAM ? 1 : option(argc, argv, "--count", 1000);
    b->concurrency = option(argc, argv, "--concurrency", 8);
    return mode < TERN_COUNT_OF(modes) && inet_pton(AF_INET, argv[2], b->target.ip) == 1 &&
           parse_stack(b, argc, argv);
}

int main(int argc, char **argv)
{
    struct rlimit files = {.rlim_cur = 65536, .rlim_max = 65536};
    struct bare *b = calloc(1, sizeof *b);
    TERN_CHECK(b != NULL);
    if (!parse(b, argc, argv)) {
        fprintf(stderr, "usage: tern-bench serve|stream|handshake|idle IP PORT [--bytes N] "
                        "[--count N] [--concurrency K] [--keep-alive SECONDS]\n"
                        "       [--transport tcp|ws|quic-v1] [--secure noise|tls] "
                        "[--muxer yamux|mplex]\n");
        return 2;
    }
    (void)setrlimit(RLIMIT_NOFILE, &files);
    bare_start(b);
    double before = bare_cpu();
    if (b->mode == MODE_SERVE || b->mode == MODE_IDLE)
        bare_run_commands(b);
    else
        tern_loop_run(b->loop);
    if (b->finished)
        bare_report(b, bare_cpu() - before);
    bool finished = b->finished;
    tern_loop_free(b->loop); /* its workers may be at a job still */
    return finished ? 0 : 1;
}
