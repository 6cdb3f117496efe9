/*
 * For tests: hosts that speak WebRTC-direct on a network of datagrams in virtual time. Each has its
 * own memory account and scope, which must be empty at the end, and a log of what it was told.
 */
#ifndef TERN_WEBRTC_WEBRTC_WORLD_H
#define TERN_WEBRTC_WEBRTC_WORLD_H

#include "session_world.h"
#include "webrtc/webrtc.h"
#include "webrtc/webrtc_testing.h"

enum { WEBRTC_WORLD_HOSTS_MAX = 4, WEBRTC_WORLD_SESSIONS_MAX = 8, WEBRTC_WORLD_LOG_MAX = 4096 };

/* A session as its owner sees it. */
struct webrtc_seen {
    bool live;
    struct tern_session session;
    struct tern_mux_event log[WEBRTC_WORLD_LOG_MAX];
    tern_time at[WEBRTC_WORLD_LOG_MAX]; /* when */
    size_t log_count;
    bool echo;            /* sends what it reads back, and closes when the remote does */
    bool sink;            /* reads all */
    bool holds_jobs;      /* webrtc_seen_job runs them */
    bool deaf;            /* does not ask for events */
    struct tern_job *job; /* that is held */
    uint64_t read_bytes;
};

struct webrtc_host {
    struct session_world *world;
    struct tern_mem mem;
    struct tern_random random;
    struct tern_scope scope;
    struct tern_metrics metrics;
    struct tern_session_transport transport;
    size_t node;
    tern_link_id socket;
    struct tern_endpoint at;
    struct webrtc_seen seen[WEBRTC_WORLD_SESSIONS_MAX]; /* places of ended ones are used again */
    size_t seen_count;
    struct webrtc_seen *last; /* NULL: none yet */
    /* What accepted sessions are to be, and whether offers are accepted at all. */
    bool refuses;
    bool echo;
    bool sink;
    bool holds_jobs;
    size_t offers_count;
    tern_err accept_err; /* the last one */
};

struct webrtc_world {
    struct session_world world;
    struct webrtc_host hosts[WEBRTC_WORLD_HOSTS_MAX];
    size_t hosts_count;
};

void webrtc_world_init(struct webrtc_world *w, uint64_t seed);
void webrtc_world_fini(struct webrtc_world *w);

/* webrtc_world_add makes host n (as webrtc_testing has it), at 10.0.0.(n + 1) : 4001, with a link.
 * The options are completed. */
struct webrtc_host *webrtc_world_add(struct webrtc_world *w, struct tern_webrtc_options options,
                                     const struct datagram_link *link);

/* webrtc_world_pair makes two hosts with defaults and the same link (NULL: ideal). */
void webrtc_world_pair(struct webrtc_world *w, const struct datagram_link *link);

/* webrtc_world_try_dial begins a session to a place, as if host `as` were there; expects: that peer
 * and no other. */
tern_err webrtc_world_try_dial(struct webrtc_host *from, const struct tern_endpoint *to,
                               unsigned as, bool expects, struct webrtc_seen **seen);

/* webrtc_world_dial begins one to another host, which must be possible. */
struct webrtc_seen *webrtc_world_dial(struct webrtc_world *w, struct webrtc_host *from,
                                      const struct webrtc_host *to);

/* webrtc_world_connect does so and runs until both are confirmed. */
struct webrtc_seen *webrtc_world_connect(struct webrtc_world *w, struct webrtc_host *from,
                                         struct webrtc_host *to);

/* webrtc_world_run lets time pass. */
void webrtc_world_run(struct webrtc_world *w, tern_time duration);

/* webrtc_world_ended runs until the session has ended, and returns its error; TERN_OK: it has not,
 * for so long. */
tern_err webrtc_world_ended(struct webrtc_world *w, struct webrtc_seen *seen, tern_time duration);

/* webrtc_seen_end is the owner's fini. */
void webrtc_seen_end(struct webrtc_seen *seen);

/* webrtc_seen_job runs the held job; false: there is none. */
bool webrtc_seen_job(struct webrtc_seen *seen, tern_time now);

size_t webrtc_seen_count(const struct webrtc_seen *seen, enum tern_mux_event_kind kind);
struct tern_mux_event webrtc_seen_event(const struct webrtc_seen *seen,
                                        enum tern_mux_event_kind kind);
tern_err webrtc_seen_error(const struct webrtc_seen *seen);
tern_fault webrtc_seen_fault(const struct webrtc_seen *seen);
void webrtc_seen_info(const struct webrtc_seen *seen, struct tern_session_info *info);

/* Verbs that must succeed. */
tern_stream_id webrtc_seen_open(struct webrtc_seen *seen);
void webrtc_seen_write(struct webrtc_seen *seen, tern_stream_id stream, const char *text);
void webrtc_seen_expect(struct webrtc_seen *seen, tern_stream_id stream, const char *text);
void webrtc_seen_close(struct webrtc_seen *seen, tern_stream_id stream);
void webrtc_seen_goaway(struct webrtc_seen *seen);
tern_err webrtc_seen_read(struct webrtc_seen *seen, tern_stream_id stream);

/* webrtc_seen_fill writes as much as is taken; how much it was. */
size_t webrtc_seen_fill(struct webrtc_seen *seen, tern_stream_id stream, size_t size);

#endif
