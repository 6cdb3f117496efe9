/*
 * A machine of sockets that a test leads: it binds what it is told, sends the batches that it is
 * given, and checks and counts what comes. Bytes are counted ones, from the first a socket sends to
 * the last, so that a receiver of one sender sees loss, repetition and disorder.
 *
 *     struct talker *t = talker_new(false);
 *     uint32_t a = talker_bind(t, talker_loopback(4));
 *     talker_say(t, a, &(struct talker_batch){.to = t->sockets[b].local, …});
 *     talker_run(t, talker_has_heard, …);
 */
#ifndef TERN_RUNTIME_REAL_SOCKETS_TESTING_H
#define TERN_RUNTIME_REAL_SOCKETS_TESTING_H

#include "base/ring.h"
#include "runtime/real/loop.h"

enum { TALKER_SOCKETS_MAX = 16, TALKER_KEPT_MAX = 1024 };

/* count datagrams of segment_size bytes; the last one has last_size, if that is not 0. */
struct talker_batch {
    struct tern_endpoint to;
    struct tern_endpoint from; /* family 0: not said */
    uint8_t ecn;
    uint16_t segment_size;
    size_t count;
    uint16_t last_size;
};

struct talker_socket {
    tern_link_id id;
    struct tern_endpoint local;
    bool bound;
    bool closed;
    tern_err err;          /* of the bind, or the close */
    struct tern_ring says; /* struct talker_batch: to be sent */
    uint64_t said;         /* bytes */
    uint64_t heard;        /* bytes */
    uint64_t batches;      /* heard */
    uint64_t datagrams;    /* heard */
    struct tern_path path; /* of the last one */
    uint8_t ecn;
    size_t segments_max; /* of any batch heard */
    bool echoes;         /* sends each batch back, to where and from where it came */
    bool disordered;     /* gaps are allowed: bytes are not compared */
};

struct talker {
    struct tern_mem mem;
    struct tern_loop *loop;
    struct tern_ring commands;
    struct talker_socket sockets[TALKER_SOCKETS_MAX]; /* by token */
    uint32_t sockets_count;
    uint64_t network; /* NETWORK inputs */
    bool keeps;       /* keeps all bytes by reference, and compares them at the end */
    struct tern_slice kept[TALKER_KEPT_MAX];
    size_t kept_count;
    bool (*done)(struct talker *t);
    uint64_t want; /* for done */
};

/* alone: no offload. */
struct talker *talker_new(bool alone);
void talker_free(struct talker *t);

/* talker_bind asks for a socket and waits for the answer; returns its number. */
uint32_t talker_bind(struct talker *t, struct tern_endpoint at);

struct tern_endpoint talker_loopback(uint8_t family);

/* talker_say gives a socket a batch to send; talker_command anything else. */
void talker_say(struct talker *t, uint32_t socket, const struct talker_batch *batch);
void talker_command(struct talker *t, uint32_t socket, enum tern_command_kind kind);

/* talker_run runs the loop until done(t); it is asked after each input. */
void talker_run(struct talker *t, bool (*done)(struct talker *t));

/* talker_hear runs until the socket has heard so many datagrams in all. */
void talker_hear(struct talker *t, uint32_t socket, uint64_t datagrams);

/* talker_await_close runs until the socket's end was told. */
void talker_await_close(struct talker *t, uint32_t socket);

#endif
