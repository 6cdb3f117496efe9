/*
 * For tests: hosts that speak QUIC on a network of datagrams in virtual time. Each has its own
 * memory account and scopes, which must be empty at the end, and a log of what it was told.
 */
#ifndef TERN_QUIC_QUIC_WORLD_H
#define TERN_QUIC_QUIC_WORLD_H

#include "quic/quic.h"
#include "quic/quic_testing.h"
#include "session_world.h"

enum { QUIC_WORLD_HOSTS_MAX = 4, QUIC_WORLD_SESSIONS_MAX = 8, QUIC_WORLD_LOG_MAX = 4096 };

/* A session as its owner sees it. */
struct quic_seen {
    bool live;
    struct tern_session session;
    struct tern_mux_event log[QUIC_WORLD_LOG_MAX];
    size_t log_count;
    tern_time at[QUIC_WORLD_LOG_MAX]; /* when */
    bool echo; /* sends what it reads back, and closes when the remote does */
    bool sink; /* reads all */
    uint64_t read_bytes;
};

struct quic_host {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_scope scope;
    struct tern_scope windows;
    struct tern_metrics metrics;
    struct tern_session_transport transport;
    size_t node;
    tern_link_id socket;
    struct tern_endpoint at;
    struct quic_seen seen[QUIC_WORLD_SESSIONS_MAX]; /* places are used again when all are taken */
    size_t seen_count;
    struct quic_seen *last; /* NULL: none yet */
    /* What to do with offers. */
    bool accepts;
    enum tern_session_refusal refusal;
    bool retry_first; /* offers that are not validated are answered by RETRY */
    bool echo;        /* accepted sessions echo */
    bool sink;
    size_t offers_count;
    struct tern_session_offer offer; /* the last */
};

struct quic_world {
    struct session_world world;
    struct quic_host hosts[QUIC_WORLD_HOSTS_MAX];
    size_t hosts_count;
};

void quic_world_init(struct quic_world *w, uint64_t seed);
void quic_world_fini(struct quic_world *w);

/* quic_world_add makes host n (as quic_testing has it), at 10.0.0.(n + 1) : 4001, with a link. The
 * options are completed. */
struct quic_host *quic_world_add(struct quic_world *w, struct tern_quic_options options,
                                 const struct datagram_link *link);

/* quic_world_dial begins a session to another host and returns what the dialler sees of it.
 * expected NULL: anyone. */
struct quic_seen *quic_world_dial(struct quic_world *w, struct quic_host *from,
                                  const struct quic_host *to, const struct tern_peer_id *expected);

/* quic_world_try_dial may fail. */
tern_err quic_world_try_dial(struct quic_world *w, struct quic_host *from,
                             const struct quic_host *to, const struct tern_peer_id *expected,
                             struct quic_seen **seen);

/* quic_world_dial_web begins one of h3, whose certificate has one of these hashes. */
struct quic_seen *quic_world_dial_web(struct quic_world *w, struct quic_host *from,
                                      const struct quic_host *to, const struct tern_view *hashes,
                                      size_t count);

/* quic_world_connect does so and runs until both are confirmed. */
struct quic_seen *quic_world_connect(struct quic_world *w, struct quic_host *from,
                                     struct quic_host *to);

/* quic_world_run lets time pass, serving all events. */
void quic_world_run(struct quic_world *w, tern_time duration);

/* quic_world_until runs until the predicate holds; false: it did not for so long. */
bool quic_world_until(struct quic_world *w, bool (*done)(void *context), void *context,
                      tern_time duration);

/* The last session that a host has seen. */
struct quic_seen *quic_host_last(struct quic_host *host);

/* quic_seen_end is the owner's fini. */
void quic_seen_end(struct quic_seen *seen);

size_t quic_seen_count(const struct quic_seen *seen, enum tern_mux_event_kind kind);
struct tern_mux_event quic_seen_event(const struct quic_seen *seen, enum tern_mux_event_kind kind);
tern_time quic_seen_time(const struct quic_seen *seen, enum tern_mux_event_kind kind);
tern_err quic_seen_error(const struct quic_seen *seen);

/* Verbs that must succeed. */
tern_stream_id quic_seen_open(struct quic_seen *seen);
void quic_seen_write(struct quic_seen *seen, tern_stream_id stream, const char *text);
void quic_seen_expect(struct quic_seen *seen, tern_stream_id stream, const char *text);
tern_err quic_seen_read(struct quic_seen *seen, tern_stream_id stream);

#endif
