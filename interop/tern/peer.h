/*
 * Tern's interop peer: the contract of interop/README.md over the public API, on one thread.
 *
 *   main.c      options, the poll loop, events
 *   commands.c  commands and their answers
 *   streams.c   echo and sink, both sides, and the byte stream of a seed
 *   identity.c  keys of a type, from a seed or at random
 */
#ifndef TERN_INTEROP_PEER_H
#define TERN_INTEROP_PEER_H

#include <jansson.h>

#include "crypto/sha256.h"
#include "tern/tern.h"

#define ECHO_PROTOCOL "/tern/echo/1.0.0"
#define SINK_PROTOCOL "/tern/bench-sink/1.0.0"

enum { PEER_BUFFER_SIZE = 64 * 1024, PEER_TOPICS_MAX = 64, PEER_NAME_SIZE = 128 };

/* The stream of a seed: xorshift64*, in little-endian words. */
struct noise_stream {
    uint64_t state;
    uint8_t word[8];
    unsigned word_left;
};

void noise_stream_init(struct noise_stream *noise, uint64_t seed);
void noise_stream_fill(struct noise_stream *noise, uint8_t *out, size_t size);

enum peer_stream_kind { PEER_STREAM_ECHO_SERVER, PEER_STREAM_SINK, PEER_STREAM_ECHO_CLIENT };

/* A stream that is being worked on. */
struct peer_stream {
    struct peer_stream *next;
    enum peer_stream_kind kind;
    tern_stream_handle handle;
    uint8_t buffer[PEER_BUFFER_SIZE];
    size_t filled, written; /* of the buffer */
    bool read_ended, write_ended;
    /* echo client, and what the sink counts */
    long long command;
    struct noise_stream noise;
    uint64_t size, sent, received;
    uint64_t started_ns;
    struct tern_sha256 hash_sent, hash_received;
};

/* A command whose answer is awaited. */
enum peer_wait_kind { PEER_WAIT_DIAL, PEER_WAIT_PING, PEER_WAIT_IDENTIFY };

struct peer_wait {
    struct peer_wait *next;
    enum peer_wait_kind kind;
    long long command;
    uint64_t token;
    uint64_t started_ns;
    char peer[TERN_PEER_TEXT_SIZE];
    size_t pings_left;
    json_t *rtts;
};

struct peer_topic {
    char name[PEER_NAME_SIZE];
    bool quiet;
    uint64_t count, first_ns, last_ns;
};

struct peer {
    struct tern_host *host;
    struct peer_stream *streams;
    struct peer_wait *waits;
    struct peer_topic topics[PEER_TOPICS_MAX];
    size_t topics_count;
    bool ready_said, quit;
};

/* What the command line asks for. */
struct peer_options {
    const char *key, *seed, *listen, *pubsub;
    const char *transport, *secure, *muxer;
    const char *psk; /* a file; NULL: the public network */
};

uint64_t peer_now_ns(void);                           /* monotonic */
uint64_t peer_unix_ns(void);                          /* since 1970 */
void peer_say(json_t *object);                        /* writes a line and frees the object */
void peer_result(long long command, json_t *members); /* ok, with members (stolen; NULL: none) */
void peer_error(long long command, const char *what, tern_err err);
void hex_digest(struct tern_sha256 *hash, char text[65]);

/* identity.c: the protobuf PrivateKey of a type and seed into out; returns its size. Exits on a bad
 * one. */
size_t peer_identity(const struct peer_options *options, uint8_t *out, size_t out_size,
                     enum tern_key_kind *kind);

/* commands.c */
void peer_command(struct peer *peer, const char *line, size_t size);
void peer_wait_event(struct peer *peer, const struct tern_event *event);
struct peer_topic *peer_find_topic(struct peer *peer, const char *name);

/* streams.c */
void peer_stream_opened(struct peer *peer, const struct tern_event *event);
void peer_stream_event(struct peer *peer, const struct tern_event *event);
void peer_echo(struct peer *peer, long long command, const json_t *arguments);

#endif
