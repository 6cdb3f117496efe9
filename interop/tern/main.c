#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/key.h"
#include "interop/tern/peer.h"

enum { INPUT_SIZE_MAX = 1 << 20 };

/* What has come on stdin and is no whole line yet. */
struct input {
    char bytes[INPUT_SIZE_MAX];
    size_t size;
};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t peer_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t peer_unix_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

void peer_say(json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(object);
}

void peer_result(long long command, json_t *members)
{
    json_t *object =
        json_pack("{s:s,s:I,s:b}", "event", "result", "id", (json_int_t)command, "ok", 1);
    if (members != NULL) {
        json_object_update(object, members);
        json_decref(members);
    }
    peer_say(object);
}

void peer_error(long long command, const char *what, tern_err err)
{
    char text[256];
    snprintf(text, sizeof text, "%s: %s", what, tern_err_text(err));
    peer_say(json_pack("{s:s,s:I,s:b,s:s}", "event", "result", "id", (json_int_t)command, "ok", 0,
                       "error", text));
}

void hex_digest(struct tern_sha256 *hash, char text[65])
{
    uint8_t digest[TERN_SHA256_SIZE];
    tern_sha256_final(hash, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

/* --- events --- */

static void say_ready(struct peer *peer)
{
    char text[TERN_ADDRESS_TEXT_SIZE];
    json_t *addrs = json_array();
    for (size_t i = 0; tern_host_address(peer->host, i, text, sizeof text) == TERN_OK; i++)
        json_array_append_new(addrs, json_string(text));
    snprintf(text, sizeof text, "tern v%s", tern_version());
    peer->ready_said = true;
    peer_say(json_pack("{s:s,s:s,s:o,s:s}", "event", "ready", "peer_id",
                       tern_host_peer_id(peer->host), "addrs", addrs, "implementation", text));
}

static void say_message(struct peer *peer, const struct tern_event *event)
{
    struct peer_topic *topic = peer_find_topic(peer, event->text);
    struct tern_sha256 hash;
    char digest[65];
    if (topic == NULL)
        return;
    topic->last_ns = peer_unix_ns();
    if (topic->count++ == 0)
        topic->first_ns = topic->last_ns;
    if (topic->quiet)
        return;
    tern_sha256_init(&hash);
    tern_sha256_update(&hash, tern_view_of(event->data, event->data_size));
    hex_digest(&hash, digest);
    peer_say(json_pack("{s:s,s:s,s:o,s:I,s:s}", "event", "message", "topic", event->text, "from",
                       event->author[0] == '\0' ? json_null() : json_string(event->author), "size",
                       (json_int_t)event->data_size, "sha256", digest));
}

static void handle_event(struct peer *peer, const struct tern_event *event)
{
    switch (event->kind) {
    case TERN_EVENT_PEER_CONNECTED:
        peer_say(json_pack("{s:s,s:s,s:s,s:s}", "event", "connected", "peer_id", event->peer,
                           "addr", event->text, "direction",
                           event->outbound ? "outbound" : "inbound"));
        break;
    case TERN_EVENT_PEER_DISCONNECTED:
        peer_say(json_pack("{s:s,s:s}", "event", "disconnected", "peer_id", event->peer));
        break;
    case TERN_EVENT_LISTENING:
        if (!peer->ready_said)
            say_ready(peer);
        break;
    case TERN_EVENT_LISTEN_FAILED:
        fprintf(stderr, "tern-peer: %s: %s\n", event->text, tern_err_text(event->err));
        exit(1);
    case TERN_EVENT_DIALED:
    case TERN_EVENT_DIAL_FAILED:
    case TERN_EVENT_IDENTIFIED:
    case TERN_EVENT_PING:
        peer_wait_event(peer, event);
        break;
    case TERN_EVENT_STREAM_OPENED:
        peer_stream_opened(peer, event);
        break;
    case TERN_EVENT_STREAM_READY:
    case TERN_EVENT_STREAM_READABLE:
    case TERN_EVENT_STREAM_WRITABLE:
    case TERN_EVENT_STREAM_ENDED:
        peer_stream_event(peer, event);
        break;
    case TERN_EVENT_MESSAGE:
        say_message(peer, event);
        break;
    case TERN_EVENT_NONE:
    case TERN_EVENT_SUBSCRIBED:
    case TERN_EVENT_UNSUBSCRIBED:
    case TERN_EVENT_REQUEST:
    case TERN_EVENT_RESPONSE:
    case TERN_EVENT_PERF_PROGRESS:
    case TERN_EVENT_PERF:
        break;
    }
}

/* --- the loop --- */

/* Reads commands that have come; false: stdin has ended. */
static bool read_commands(struct peer *peer, struct input *input)
{
    ssize_t got = read(STDIN_FILENO, input->bytes + input->size, sizeof input->bytes - input->size);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    if (got == 0)
        return false;
    input->size += (size_t)got;
    char *start = input->bytes;
    char *end = input->bytes + input->size;
    for (char *newline; (newline = memchr(start, '\n', (size_t)(end - start))) != NULL;
         start = newline + 1)
        peer_command(peer, start, (size_t)(newline - start));
    input->size = (size_t)(end - start);
    memmove(input->bytes, start, input->size);
    return input->size < sizeof input->bytes;
}

static void run(struct peer *peer, struct input *input)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = tern_host_fd(peer->host), .events = POLLIN}};
    while (!peer->quit) {
        struct tern_event event;
        tern_host_process(peer->host);
        while (tern_host_next_event(peer->host, &event, 0) == TERN_OK)
            handle_event(peer, &event);
        (void)poll(fds, 2, tern_host_timeout_ms(peer->host));
        if (fds[0].revents != 0 && !read_commands(peer, input))
            return;
    }
}

/* --- starting --- */

static void usage(void)
{
    fprintf(stderr, "usage: tern-peer [--key TYPE] [--seed HEX] [--listen MULTIADDR] "
                    "[--transport NAME] [--secure NAME] [--muxer NAME] "
                    "[--pubsub strict-sign|strict-no-sign] [--pubsub-queue N] [--psk FILE]\n");
    exit(2);
}

static void parse_options(int argc, char **argv, struct peer_options *options)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i];
        const char *value = argv[i + 1];
        if (strcmp(name, "--key") == 0)
            options->key = value;
        else if (strcmp(name, "--seed") == 0)
            options->seed = value;
        else if (strcmp(name, "--listen") == 0)
            options->listen = value;
        else if (strcmp(name, "--pubsub") == 0)
            options->pubsub = value;
        else if (strcmp(name, "--psk") == 0)
            options->psk = value;
        else if (strcmp(name, "--transport") == 0)
            options->transport = value;
        else if (strcmp(name, "--secure") == 0)
            options->secure = value;
        else if (strcmp(name, "--muxer") == 0)
            options->muxer = value;
        else if (strcmp(name, "--pubsub-queue") != 0) /* ours hold thousands */
            usage();
    }
    if (argc % 2 == 0)
        usage();
}

static void check(tern_err err, const char *what)
{
    if (err == TERN_OK)
        return;
    fprintf(stderr, "tern-peer: %s: %s\n", what, tern_err_text(err));
    exit(1);
}

/* Reads the key of a private network; returns its size. */
static size_t read_psk(const char *path, uint8_t *out, size_t out_size)
{
    FILE *file = fopen(path, "rb");
    size_t size = file == NULL ? 0 : fread(out, 1, out_size, file);
    if (size == 0) {
        fprintf(stderr, "tern-peer: cannot read %s\n", path);
        exit(1);
    }
    fclose(file);
    return size;
}

static struct tern_host *make_host(const struct peer_options *options)
{
    uint8_t key[TERN_PRIVATE_KEY_SIZE_MAX];
    uint8_t psk[256];
    char message[256] = "";
    struct tern_host *host = NULL;
    struct tern_host_options host_options;
    tern_host_options_init(&host_options);
    host_options.private_key_size = peer_identity(options, key, sizeof key, &host_options.key_kind);
    if (host_options.private_key_size > 0)
        host_options.private_key = key;
    host_options.transports = options->transport;
    host_options.secure = options->secure;
    host_options.muxers = options->muxer;
    if (options->psk != NULL) {
        host_options.psk_size = read_psk(options->psk, psk, sizeof psk);
        host_options.psk = psk;
    }
    host_options.serve_perf = TERN_PERF_SERVING_STANDARD;
    host_options.web_certificate_file = getenv("WSS_CERTIFICATE_FILE");
    host_options.web_key_file = getenv("WSS_KEY_FILE");
    host_options.web_trust_file = getenv("WSS_TRUST_FILE");
    if (strcmp(options->pubsub, "strict-no-sign") == 0)
        host_options.pubsub_signing = TERN_SIGNING_NONE;
    if (tern_host_new(&host_options, &host, message, sizeof message) != TERN_OK) {
        fprintf(stderr, "tern-peer: %s\n", message);
        exit(1);
    }
    return host;
}

int main(int argc, char **argv)
{
    struct peer_options options = {.key = "ed25519",
                                   .pubsub = "strict-sign",
                                   .transport = "tcp",
                                   .secure = "noise",
                                   .muxer = "yamux"};
    struct peer peer = {0};
    struct input *input = calloc(1, sizeof *input);
    if (input == NULL)
        abort();
    parse_options(argc, argv, &options);
    peer.host = make_host(&options);
    check(tern_host_handle(peer.host, ECHO_PROTOCOL), ECHO_PROTOCOL);
    check(tern_host_handle(peer.host, SINK_PROTOCOL), SINK_PROTOCOL);
    (void)fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    if (options.listen != NULL)
        check(tern_host_listen(peer.host, options.listen), options.listen);
    else
        say_ready(&peer);
    run(&peer, input);
    while (peer.streams != NULL) {
        struct peer_stream *next = peer.streams->next;
        free(peer.streams);
        peer.streams = next;
    }
    while (peer.waits != NULL) {
        struct peer_wait *next = peer.waits->next;
        json_decref(peer.waits->rtts);
        free(peer.waits);
        peer.waits = next;
    }
    tern_host_free(peer.host);
    free(input);
    return 0;
}
