/*
 * A bare peer for the benches: TCP, Noise and yamux on the real loop, and the sink; no identify,
 * ping or gossip. Its modes are those of the go and rust peers (interop/README.md, "Benches"), and
 * so are --transport tcp|ws and --muxer yamux|mplex, which each may have; a server takes either
 * transport on its port.
 *
 *   tern-bench serve --listen HOST PORT        commands on stdin: rss, cpu, quit
 *   tern-bench stream HOST PORT --bytes N
 *   tern-bench handshake HOST PORT --count N --concurrency K
 *   tern-bench idle HOST PORT --count N        holds N connections; commands on stdin
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/reader.h"
#include "base/ring.h"
#include "conn/conn.h"
#include "crypto/aead.h"
#include "crypto/start.h"
#include "runtime/real/loop.h"
#include "secure/noise.h"

enum { BARE_CONNS_MAX = 1 << 15, BARE_WRITE_SIZE = 64 * 1024 };

static const struct tern_view sink_name = {.data = (const uint8_t *)"/tern/bench-sink/1.0.0",
                                           .size = 22};

enum bare_mode { MODE_SERVE, MODE_STREAM, MODE_HANDSHAKE, MODE_IDLE };

struct bare_conn {
    struct tern_conn *conn;
    struct tern_scope scope;
    tern_link_id link;
    bool transmitting; /* a TRANSMIT command is out */
    bool blocked;      /* the world keeps bytes that were not taken */
    bool established;
    tern_stream_id stream;
    uint64_t received; /* by the sink */
    uint8_t answer[8];
    size_t answer_size;
};

struct bare {
    enum bare_mode mode;
    unsigned form; /* that is dialled */
    char host[32];
    struct tern_mem mem;
    struct tern_random random;
    struct tern_private_key key;
    struct tern_noise_identity noise;
    struct tern_aead_engine aead;
    struct tern_scope root;
    struct tern_scope windows;
    struct tern_protocol protocol;
    struct tern_protocol_table protocols;
    struct tern_conn_config config;
    struct tern_loop *loop;
    struct bare_conn **conns; /* by link slot */
    struct tern_ring commands;
    struct tern_endpoint target;
    uint64_t bytes, count, concurrency;
    uint64_t sent, dialed, done, live;
    struct tern_chunk *payload;
    tern_time started;
    bool finished;
};

static void bare_command(struct bare *b, struct tern_command command)
{
    TERN_CHECK(tern_ring_push(&b->commands, &command) == TERN_OK);
}

static void bare_transmit_soon(struct bare *b, struct bare_conn *c)
{
    if (c->transmitting || c->conn == NULL || !tern_conn_want_send(c->conn))
        return;
    c->transmitting = true;
    bare_command(b, (struct tern_command){.kind = TERN_COMMAND_TRANSMIT, .link = c->link});
}

static void bare_dial(struct bare *b)
{
    if (b->dialed == b->count)
        return;
    b->dialed++;
    bare_command(b, (struct tern_command){
                        .kind = TERN_COMMAND_DIAL, .token = b->dialed, .endpoint = b->target});
}

static void bare_finish(struct bare *b)
{
    b->finished = true;
    tern_loop_stop(b->loop);
}

/* --- streams --- */

/* Keeps the stream's buffer full, by reference to one chunk. */
static void bare_send_bulk(struct bare *b, struct bare_conn *c)
{
    while (b->sent < b->bytes) {
        size_t size = tern_min_size(BARE_WRITE_SIZE, (size_t)(b->bytes - b->sent));
        struct tern_slice slice = {.chunk = b->payload,
                                   .view = tern_view_of(b->payload->data, size)};
        if (tern_conn_write_slice(c->conn, c->stream, slice) != TERN_OK)
            return;
        b->sent += size;
        if (b->sent == b->bytes)
            TERN_CHECK(tern_conn_close_write(c->conn, c->stream) == TERN_OK);
    }
}

static void bare_sink(struct bare_conn *c, tern_stream_id stream)
{
    struct tern_slice bytes;
    tern_err err;
    while ((err = tern_conn_read(c->conn, stream, &bytes)) == TERN_OK) {
        c->received += bytes.view.size;
        tern_conn_consume(c->conn, stream, bytes.view.size);
    }
    if (err != TERN_ERR_END)
        return;
    size_t accepted;
    struct tern_writer w = tern_writer_of(c->answer, sizeof c->answer);
    tern_writer_u64le(&w, c->received);
    TERN_CHECK(tern_conn_write(c->conn, stream, tern_writer_view(&w), &accepted) == TERN_OK);
    TERN_CHECK(tern_conn_close_write(c->conn, stream) == TERN_OK);
    c->received = 0;
}

static void bare_answer(struct bare *b, struct bare_conn *c)
{
    struct tern_slice bytes;
    while (tern_conn_read(c->conn, c->stream, &bytes) == TERN_OK) {
        size_t take = tern_min_size(bytes.view.size, sizeof c->answer - c->answer_size);
        memcpy(c->answer + c->answer_size, bytes.view.data, take);
        c->answer_size += take;
        tern_conn_consume(c->conn, c->stream, bytes.view.size);
    }
    if (c->answer_size < sizeof c->answer)
        return;
    struct tern_reader r = tern_reader_of(tern_view_of(c->answer, sizeof c->answer));
    uint64_t counted = 0;
    TERN_CHECK(tern_reader_u64le(&r, &counted) && counted == b->bytes);
    printf("{\"bytes\":%llu,\"seconds\":%.6f}\n", (unsigned long long)b->bytes,
           (double)(tern_loop_now() - b->started) / 1e9);
    bare_finish(b);
}

/* --- connections --- */

static void bare_established(struct bare *b, struct bare_conn *c, tern_time now)
{
    c->established = true;
    b->live++;
    if (b->mode == MODE_STREAM) {
        struct tern_stream_offer offer = {
            .names = &sink_name, .names_count = 1, .class = TERN_STREAM_BULK};
        b->started = now;
        TERN_CHECK(tern_conn_open_stream(c->conn, now, &offer, &c->stream) == TERN_OK);
        bare_send_bulk(b, c);
    } else if (b->mode == MODE_HANDSHAKE) {
        tern_conn_close(c->conn, now, 0);
    } else if (b->mode == MODE_IDLE) {
        if (b->live == b->count) {
            printf("{\"event\":\"ready\",\"connections\":%llu,\"seconds\":%.6f}\n",
                   (unsigned long long)b->live, (double)(now - b->started) / 1e9);
            fflush(stdout);
        }
        bare_dial(b);
    }
}

static void bare_event(struct bare *b, struct bare_conn *c, tern_time now,
                       const struct tern_conn_event *event)
{
    switch (event->kind) {
    case TERN_CONN_JOB:
        event->job->owner_slot = tern_link_slot(c->link);
        event->job->owner_generation = c->link;
        bare_command(b, (struct tern_command){.kind = TERN_COMMAND_JOB, .job = event->job});
        break;
    case TERN_CONN_ESTABLISHED:
        bare_established(b, c, now);
        break;
    case TERN_CONN_STREAM_READABLE:
        if (b->mode == MODE_SERVE)
            bare_sink(c, event->stream);
        else
            bare_answer(b, c);
        break;
    case TERN_CONN_STREAM_WRITABLE:
        if (b->mode == MODE_STREAM)
            bare_send_bulk(b, c);
        break;
    case TERN_CONN_CLOSED:
        bare_command(b, (struct tern_command){.kind = TERN_COMMAND_CLOSE, .link = c->link});
        break;
    case TERN_CONN_STREAM_OPENED:
    case TERN_CONN_STREAM_READY:
    case TERN_CONN_STREAM_REFUSED:
    case TERN_CONN_STREAM_RESET:
    case TERN_CONN_STREAM_CLOSED:
    case TERN_CONN_GOAWAY:
    case TERN_CONN_STREAM_FAULT:
    case TERN_CONN_RTT:
        break;
    }
}

static void bare_drain(struct bare *b, struct bare_conn *c, tern_time now)
{
    struct tern_conn_event event;
    while (tern_conn_next(c->conn, &event))
        bare_event(b, c, now, &event);
}

static void bare_serve(struct bare *b, struct bare_conn *c, tern_time now)
{
    bare_drain(b, c, now);
    while (tern_conn_deadline(c->conn) <= now) {
        tern_conn_tick(c->conn, now);
        bare_drain(b, c, now);
    }
    if (c->blocked)
        bare_command(b, (struct tern_command){.kind = TERN_COMMAND_READ, .link = c->link});
    c->blocked = false;
    bare_transmit_soon(b, c);
}

static struct bare_conn *bare_find(struct bare *b, tern_link_id link)
{
    struct bare_conn *c = b->conns[tern_link_slot(link)];
    return c != NULL && c->link == link ? c : NULL;
}

static void bare_open(struct bare *b, tern_time now, const struct tern_input *in)
{
    uint32_t slot = tern_link_slot(in->link);
    TERN_CHECK(slot < BARE_CONNS_MAX && b->conns[slot] == NULL);
    struct bare_conn *c = tern_mem_zalloc(&b->mem, sizeof *c);
    TERN_CHECK(c != NULL);
    c->link = in->link;
    tern_scope_init(&c->scope, "connection", &b->root, &(struct tern_scope_limits){0});
    bool dialed = in->kind == TERN_INPUT_DIALED;
    c->conn = tern_conn_new(&b->config,
                            &(struct tern_conn_options){
                                .role = dialed ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
                                .scope = &c->scope,
                                .forms = dialed ? b->form : TERN_LINK_PLAIN | TERN_LINK_WEBSOCKET,
                                .host = tern_view_str(b->host)},
                            now);
    TERN_CHECK(c->conn != NULL);
    b->conns[slot] = c;
    bare_serve(b, c, now);
}

static void bare_closed(struct bare *b, struct bare_conn *c)
{
    b->conns[tern_link_slot(c->link)] = NULL;
    if (c->established)
        b->live--;
    tern_conn_free(c->conn);
    tern_mem_free(&b->mem, c, sizeof *c);
    if (b->mode == MODE_STREAM && !b->finished) {
        fprintf(stderr, "the connection ended before the answer came\n");
        exit(1);
    }
    if (b->mode != MODE_HANDSHAKE)
        return;
    bare_dial(b);
    if (++b->done < b->count)
        return;
    printf("{\"count\":%llu,\"seconds\":%.6f}\n", (unsigned long long)b->count,
           (double)(tern_loop_now() - b->started) / 1e9);
    bare_finish(b);
}

static void bare_data(struct bare *b, tern_time now, const struct tern_input *in)
{
    struct bare_conn *c = bare_find(b, in->link);
    size_t taken = 0;
    size_t used = 1;
    while (c != NULL && taken < in->data.size && used > 0) {
        struct tern_slice rest = {
            .chunk = in->chunk, .view = tern_view_of(in->data.data + taken, in->data.size - taken)};
        TERN_IGNORE(tern_conn_recv(c->conn, now, rest, &used)); /* CLOSED tells */
        taken += used;
        bare_serve(b, c, now);
    }
    *in->used = c == NULL ? in->data.size : taken;
    if (c != NULL)
        c->blocked = taken < in->data.size;
}

static void bare_job_done(struct bare *b, tern_time now, struct tern_job *job)
{
    struct bare_conn *c = bare_find(b, job->owner_generation);
    if (c == NULL)
        return;
    tern_conn_job_done(c->conn, now, job);
    bare_serve(b, c, now);
}

/* --- the machine --- */

static void bare_input(void *self, tern_time now, const struct tern_input *in)
{
    struct bare *b = self;
    struct bare_conn *c;
    switch (in->kind) {
    case TERN_INPUT_LISTENING:
        printf("{\"event\":\"ready\",\"port\":%u}\n", in->local.port);
        fflush(stdout);
        break;
    case TERN_INPUT_ACCEPTED:
    case TERN_INPUT_DIALED:
        bare_open(b, now, in);
        break;
    case TERN_INPUT_DATA:
        bare_data(b, now, in);
        break;
    case TERN_INPUT_LINK_END:
    case TERN_INPUT_LINK_CLOSED:
        c = bare_find(b, in->link);
        if (c == NULL)
            break;
        if (in->kind == TERN_INPUT_LINK_CLOSED) {
            bare_closed(b, c);
            break;
        }
        tern_conn_link_end(c->conn, now);
        bare_serve(b, c, now);
        break;
    case TERN_INPUT_JOB_DONE:
        bare_job_done(b, now, in->job);
        break;
    case TERN_INPUT_LISTEN_FAIL:
    case TERN_INPUT_DIAL_FAIL:
        fprintf(stderr, "%s\n", tern_err_text(in->err));
        exit(1);
    case TERN_INPUT_TICK:
    case TERN_INPUT_WALL:
    case TERN_INPUT_STORED:
    case TERN_INPUT_BOUND:
    case TERN_INPUT_BIND_FAIL:
    case TERN_INPUT_DATAGRAMS:
    case TERN_INPUT_NETWORK:
    case TERN_INPUT_RESOLVED:
        break;
    }
}

static bool bare_next_command(void *self, struct tern_command *command)
{
    struct bare *b = self;
    return tern_ring_pop(&b->commands, command);
}

static void bare_transmit(void *self, tern_time now, tern_link_id link, struct tern_writer *out)
{
    struct bare *b = self;
    struct bare_conn *c = bare_find(b, link);
    if (c == NULL)
        return;
    c->transmitting = false;
    tern_conn_send(c->conn, now, out);
    bare_serve(b, c, now); /* room in a stream's buffer, the end of a farewell */
}

static tern_time bare_deadline(void *self)
{
    (void)self;
    return TERN_TIME_NEVER;
}

static const struct tern_machine_ops bare_ops = {.input = bare_input,
                                                 .next_command = bare_next_command,
                                                 .transmit = bare_transmit,
                                                 .deadline = bare_deadline};

/* --- the program --- */

static void bare_init(struct bare *b)
{
    uint8_t seed[TERN_RANDOM_SEED_SIZE];
    TERN_CHECK(tern_crypto_start() == TERN_OK);
    TERN_CHECK(tern_loop_entropy(seed, sizeof seed) == TERN_OK);
    tern_random_init(&b->random, seed);
    tern_mem_init(&b->mem, 0);
    TERN_CHECK(tern_private_key_generate(TERN_KEY_ED25519, &b->random, &b->key) == TERN_OK);
    TERN_CHECK(tern_noise_identity_init(&b->noise, &b->mem, &b->random, &b->key) == TERN_OK);
    TERN_CHECK(tern_aead_engine_init(&b->aead) == TERN_OK);
    tern_scope_init(&b->root, "system", NULL, &(struct tern_scope_limits){0});
    tern_scope_init(&b->windows, "windows", NULL, &(struct tern_scope_limits){0});
    b->protocol = (struct tern_protocol){.name = sink_name, .class = TERN_STREAM_BULK};
    b->protocols = (struct tern_protocol_table){.protocols = &b->protocol, .count = 1};
    b->config = (struct tern_conn_config){.mem = &b->mem,
                                          .random = &b->random,
                                          .aead = &b->aead,
                                          .noise = &b->noise,
                                          .identity = &b->key,
                                          .protocols = &b->protocols,
                                          .windows = &b->windows,
                                          .secure = {TERN_SECURE_NOISE},
                                          .secure_count = 1,
                                          .muxers = {b->config.muxers[0]},
                                          .muxers_count = 1,
                                          .upgrade_timeout_ns = TERN_MINUTE,
                                          .negotiate_timeout_ns = TERN_MINUTE};
    tern_ring_init(&b->commands, &b->mem, sizeof(struct tern_command), 1 << 17);
    b->conns = tern_mem_zalloc(&b->mem, BARE_CONNS_MAX * sizeof *b->conns);
    b->payload = tern_chunk_new(&b->mem, BARE_WRITE_SIZE);
    TERN_CHECK(b->conns != NULL && b->payload != NULL);
    tern_random_bytes(&b->random, b->payload->data, BARE_WRITE_SIZE);
    b->payload->size = BARE_WRITE_SIZE;
    TERN_CHECK(tern_loop_new(&(struct tern_loop_options){.mem = &b->mem,
                                                         .machine = {.ops = &bare_ops, .self = b}},
                             &b->loop) == TERN_OK);
}

static void bare_stdin(struct bare *b, char *line)
{
    long pages = 0;
    struct rusage usage;
    line[strcspn(line, "\n")] = '\0';
    if (strstr(line, "quit") != NULL)
        b->finished = true;
    if (strstr(line, "rss") != NULL) {
        FILE *statm = fopen("/proc/self/statm", "r");
        TERN_CHECK(statm != NULL && fscanf(statm, "%*s %ld", &pages) == 1);
        fclose(statm);
        printf("{\"rss_bytes\":%ld,\"tern_bytes\":%zu,\"connections\":%llu}\n",
               pages * sysconf(_SC_PAGESIZE), b->mem.used, (unsigned long long)b->live);
    }
    if (strstr(line, "cpu") != NULL) {
        getrusage(RUSAGE_SELF, &usage);
        printf("{\"cpu_seconds\":%.6f}\n",
               (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    }
    fflush(stdout);
}

/* Serves until the end of stdin or quit. */
static void bare_run_commands(struct bare *b)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = tern_loop_fd(b->loop), .events = POLLIN}};
    while (!b->finished) {
        char line[256];
        tern_loop_process(b->loop);
        (void)poll(fds, 2, tern_loop_timeout_ms(b->loop));
        if (fds[0].revents == 0)
            continue;
        ssize_t got = read(STDIN_FILENO, line, sizeof line - 1);
        if (got <= 0)
            return;
        line[got] = '\0';
        bare_stdin(b, line);
    }
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

/* The transport and the muxer; false: one is unknown. */
static bool parse_stack(struct bare *b, int argc, char **argv)
{
    const char *transport = option_text(argc, argv, "--transport", "tcp");
    const char *muxer = option_text(argc, argv, "--muxer", "yamux");
    bool websocket = strcmp(transport, "ws") == 0;
    bool mplex = strcmp(muxer, "mplex") == 0;
    b->form = websocket ? TERN_LINK_WEBSOCKET : TERN_LINK_PLAIN;
    b->config.muxers[0] = mplex ? TERN_MUXER_MPLEX : TERN_MUXER_YAMUX;
    b->config.muxers_count = 1;
    snprintf(b->host, sizeof b->host, "%s:%u", argv[2], b->target.port);
    return (websocket || strcmp(transport, "tcp") == 0) && (mplex || strcmp(muxer, "yamux") == 0);
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
                        "[--count N] [--concurrency K] [--transport tcp|ws] "
                        "[--muxer yamux|mplex]\n");
        return 2;
    }
    (void)setrlimit(RLIMIT_NOFILE, &files);
    bare_init(b);
    b->started = tern_loop_now();
    if (b->mode == MODE_SERVE)
        bare_command(b, (struct tern_command){.kind = TERN_COMMAND_LISTEN, .endpoint = b->target});
    uint64_t first = b->mode == MODE_HANDSHAKE || b->mode == MODE_IDLE ? b->concurrency : 1;
    for (uint64_t i = 0; i < first && b->mode != MODE_SERVE; i++)
        bare_dial(b);
    if (b->mode == MODE_SERVE || b->mode == MODE_IDLE)
        bare_run_commands(b);
    else
        tern_loop_run(b->loop);
    return b->finished ? 0 : 1;
}
