#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "interop/tern/peer.h"

enum { FLOOD_BATCH = 256 };

/* --- waiting for answers --- */

static struct peer_wait *wait_add(struct peer *peer, enum peer_wait_kind kind, long long command,
                                  const char *id)
{
    struct peer_wait *wait = calloc(1, sizeof *wait);
    if (wait == NULL)
        abort();
    wait->kind = kind;
    wait->command = command;
    wait->started_ns = peer_now_ns();
    snprintf(wait->peer, sizeof wait->peer, "%s", id);
    wait->next = peer->waits;
    peer->waits = wait;
    return wait;
}

static void wait_remove(struct peer *peer, struct peer_wait *wait)
{
    struct peer_wait **at = &peer->waits;
    while (*at != wait)
        at = &(*at)->next;
    *at = wait->next;
    json_decref(wait->rtts);
    free(wait);
}

/* --- identify --- */

static json_t *identify_list(struct peer *peer, const char *id,
                             tern_err (*get)(struct tern_host *, const char *, size_t, char *,
                                             size_t))
{
    char text[TERN_ADDRESS_TEXT_SIZE];
    json_t *list = json_array();
    for (size_t i = 0; get(peer->host, id, i, text, sizeof text) == TERN_OK; i++)
        json_array_append_new(list, json_string(text));
    return list;
}

static bool identify_answer(struct peer *peer, long long command, const char *id)
{
    struct tern_peer_info info;
    tern_err err = tern_host_peer_info(peer->host, id, &info);
    if (err == TERN_ERR_AGAIN)
        return false;
    if (err != TERN_OK) {
        peer_error(command, "identify", err);
        return true;
    }
    peer_result(command,
                json_pack("{s:s,s:s,s:o,s:o,s:s,s:b}", "agent_version", info.agent,
                          "protocol_version", info.protocol_version, "protocols",
                          identify_list(peer, id, tern_host_peer_protocol), "listen_addrs",
                          identify_list(peer, id, tern_host_peer_address), "observed_addr",
                          info.observed_address, "signed_peer_record", (int)info.signed_record));
    return true;
}

/* --- events that answer commands --- */

static void wait_dialed(struct peer *peer, struct peer_wait *wait, const struct tern_event *event)
{
    if (event->err == TERN_OK)
        peer_result(wait->command, json_pack("{s:s,s:f}", "peer_id", event->peer, "handshake_ms",
                                             (double)(peer_now_ns() - wait->started_ns) / 1e6));
    else
        peer_error(wait->command, "dial", event->err);
    wait_remove(peer, wait);
}

static void wait_pong(struct peer *peer, struct peer_wait *wait, const struct tern_event *event)
{
    tern_err err = event->err;
    if (err == TERN_OK) {
        json_array_append_new(wait->rtts, json_real((double)event->rtt_ns / 1e6));
        if (--wait->pings_left > 0)
            err = tern_host_ping(peer->host, wait->peer, &wait->token);
        else
            peer_result(wait->command, json_pack("{s:O}", "rtt_ms", wait->rtts));
    }
    if (err != TERN_OK)
        peer_error(wait->command, "ping", err);
    if (err != TERN_OK || wait->pings_left == 0)
        wait_remove(peer, wait);
}

static bool wait_matches(const struct peer_wait *wait, const struct tern_event *event)
{
    switch (wait->kind) {
    case PEER_WAIT_DIAL:
        return (event->kind == TERN_EVENT_DIALED || event->kind == TERN_EVENT_DIAL_FAILED) &&
               event->token == wait->token;
    case PEER_WAIT_PING:
        return event->kind == TERN_EVENT_PING && event->token == wait->token;
    case PEER_WAIT_IDENTIFY:
        return event->kind == TERN_EVENT_IDENTIFIED && strcmp(event->peer, wait->peer) == 0;
    }
    return false;
}

void peer_wait_event(struct peer *peer, const struct tern_event *event)
{
    for (struct peer_wait *wait = peer->waits, *next; wait != NULL; wait = next) {
        next = wait->next;
        if (!wait_matches(wait, event))
            continue;
        if (wait->kind == PEER_WAIT_DIAL) {
            wait_dialed(peer, wait, event);
        } else if (wait->kind == PEER_WAIT_PING) {
            wait_pong(peer, wait, event);
        } else {
            if (!identify_answer(peer, wait->command, wait->peer))
                peer_error(wait->command, "identify", event->err);
            wait_remove(peer, wait);
        }
    }
}

/* --- commands --- */

static const char *argument(const json_t *arguments, const char *name)
{
    const char *value = json_string_value(json_object_get(arguments, name));
    return value == NULL ? "" : value;
}

static uint64_t number(const json_t *arguments, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(arguments, name));
}

static void command_dial(struct peer *peer, long long command, const json_t *arguments)
{
    struct peer_wait *wait = wait_add(peer, PEER_WAIT_DIAL, command, "");
    tern_err err = tern_host_dial(peer->host, argument(arguments, "addr"), &wait->token);
    if (err == TERN_OK)
        return;
    peer_error(command, "dial", err);
    wait_remove(peer, wait);
}

static void command_ping(struct peer *peer, long long command, const json_t *arguments)
{
    struct peer_wait *wait =
        wait_add(peer, PEER_WAIT_PING, command, argument(arguments, "peer_id"));
    wait->rtts = json_array();
    wait->pings_left = (size_t)number(arguments, "count");
    if (wait->pings_left == 0)
        wait->pings_left = 1;
    tern_err err = tern_host_ping(peer->host, wait->peer, &wait->token);
    if (err == TERN_OK)
        return;
    peer_error(command, "ping", err);
    wait_remove(peer, wait);
}

static void command_identify(struct peer *peer, long long command, const json_t *arguments)
{
    if (!identify_answer(peer, command, argument(arguments, "peer_id")))
        wait_add(peer, PEER_WAIT_IDENTIFY, command, argument(arguments, "peer_id"));
}

struct peer_topic *peer_find_topic(struct peer *peer, const char *name)
{
    for (size_t i = 0; i < peer->topics_count; i++)
        if (strcmp(peer->topics[i].name, name) == 0)
            return &peer->topics[i];
    return NULL;
}

static void command_subscribe(struct peer *peer, long long command, const json_t *arguments)
{
    const char *name = argument(arguments, "topic");
    tern_err err = peer->topics_count == PEER_TOPICS_MAX ? TERN_ERR_FULL
                                                         : tern_host_subscribe(peer->host, name, 0);
    if (err != TERN_OK) {
        peer_error(command, "subscribe", err);
        return;
    }
    struct peer_topic *topic = &peer->topics[peer->topics_count++];
    snprintf(topic->name, sizeof topic->name, "%s", name);
    topic->quiet = json_is_true(json_object_get(arguments, "quiet"));
    peer_result(command, NULL);
}

/* Makes the payload of a seed and publishes it. */
static tern_err publish_noise(struct peer *peer, const char *topic, uint64_t seed, size_t size,
                              char digest[65])
{
    struct noise_stream noise;
    struct tern_sha256 hash;
    uint8_t *data = malloc(size + 1);
    if (data == NULL)
        return TERN_ERR_MEMORY;
    noise_stream_init(&noise, seed);
    noise_stream_fill(&noise, data, size);
    if (digest != NULL) {
        tern_sha256_init(&hash);
        tern_sha256_update(&hash, tern_view_of(data, size));
        hex_digest(&hash, digest);
    }
    tern_err err = tern_host_publish(peer->host, topic, data, size);
    free(data);
    return err;
}

static void command_publish(struct peer *peer, long long command, const json_t *arguments)
{
    char digest[65];
    tern_err err = publish_noise(peer, argument(arguments, "topic"), number(arguments, "seed"),
                                 (size_t)number(arguments, "size"), digest);
    if (err != TERN_OK)
        peer_error(command, "publish", err);
    else
        peer_result(command, json_pack("{s:s}", "sha256", digest));
}

static json_t *topic_list(struct peer *peer, const char *topic, enum tern_topic_list list)
{
    char text[TERN_PEER_TEXT_SIZE];
    json_t *peers = json_array();
    for (size_t i = 0; tern_host_topic_peer(peer->host, topic, list, i, text) == TERN_OK; i++)
        json_array_append_new(peers, json_string(text));
    return peers;
}

static void command_topic_peers(struct peer *peer, long long command, const json_t *arguments)
{
    const char *topic = argument(arguments, "topic");
    peer_result(command,
                json_pack("{s:o,s:o}", "peers", topic_list(peer, topic, TERN_TOPIC_SUBSCRIBERS),
                          "mesh", topic_list(peer, topic, TERN_TOPIC_MESH)));
}

static void command_close(struct peer *peer, long long command, const json_t *arguments)
{
    tern_err err = tern_host_disconnect(peer->host, argument(arguments, "peer_id"));
    if (err != TERN_OK)
        peer_error(command, "close", err);
    else
        peer_result(command, NULL);
}

/* Publishes as fast as it goes; the loop runs in between, so that queues drain. */
static void command_flood(struct peer *peer, long long command, const json_t *arguments)
{
    uint64_t count = number(arguments, "count");
    uint64_t seed = number(arguments, "seed");
    uint64_t start = peer_unix_ns();
    for (uint64_t i = 0; i < count; i++) {
        tern_err err = publish_noise(peer, argument(arguments, "topic"), seed + i,
                                     (size_t)number(arguments, "size"), NULL);
        if (err != TERN_OK) {
            peer_error(command, "flood", err);
            return;
        }
        if (i % FLOOD_BATCH == FLOOD_BATCH - 1)
            tern_host_process(peer->host);
    }
    peer_result(command, json_pack("{s:I,s:I,s:I}", "count", (json_int_t)count, "start_ns",
                                   (json_int_t)start, "end_ns", (json_int_t)peer_unix_ns()));
}

static void command_received(struct peer *peer, long long command, const json_t *arguments)
{
    const struct peer_topic *topic = peer_find_topic(peer, argument(arguments, "topic"));
    static const struct peer_topic none;
    if (topic == NULL)
        topic = &none;
    peer_result(command,
                json_pack("{s:I,s:I,s:I}", "count", (json_int_t)topic->count, "first_ns",
                          (json_int_t)topic->first_ns, "last_ns", (json_int_t)topic->last_ns));
}

static void command_rss(struct peer *peer, long long command, const json_t *arguments)
{
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    (void)peer;
    (void)arguments;
    if (statm == NULL || fscanf(statm, "%*s %ld", &pages) != 1)
        peer_error(command, "/proc/self/statm", TERN_ERR_IO);
    else
        peer_result(command,
                    json_pack("{s:I}", "rss_bytes", (json_int_t)(pages * sysconf(_SC_PAGESIZE))));
    if (statm != NULL)
        fclose(statm);
}

static void command_cpu(struct peer *peer, long long command, const json_t *arguments)
{
    struct rusage usage;
    (void)peer;
    (void)arguments;
    getrusage(RUSAGE_SELF, &usage);
    double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    peer_result(command, json_pack("{s:f}", "cpu_seconds", seconds));
}

static void command_quit(struct peer *peer, long long command, const json_t *arguments)
{
    (void)command;
    (void)arguments;
    peer->quit = true;
}

static const struct {
    const char *name;
    void (*run)(struct peer *peer, long long command, const json_t *arguments);
} commands[] = {
    {"dial", command_dial},
    {"ping", command_ping},
    {"identify", command_identify},
    {"echo", peer_echo},
    {"subscribe", command_subscribe},
    {"publish", command_publish},
    {"topic_peers", command_topic_peers},
    {"close", command_close},
    {"flood", command_flood},
    {"received", command_received},
    {"rss", command_rss},
    {"cpu", command_cpu},
    {"quit", command_quit},
};

void peer_command(struct peer *peer, const char *line, size_t size)
{
    json_error_t error;
    json_t *object = json_loadb(line, size, 0, &error);
    if (!json_is_object(object)) {
        fprintf(stderr, "tern-peer: not a command: %s\n", error.text);
        json_decref(object);
        return;
    }
    const char *name = argument(object, "cmd");
    long long id = json_integer_value(json_object_get(object, "id"));
    size_t i = 0;
    while (i < TERN_COUNT_OF(commands) && strcmp(commands[i].name, name) != 0)
        i++;
    if (i < TERN_COUNT_OF(commands))
        commands[i].run(peer, id, object);
    else
        peer_error(id, name, TERN_ERR_UNSUPPORTED);
    json_decref(object);
}
