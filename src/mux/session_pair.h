/*
 * For tests: two transports of sessions on a network of datagrams in virtual time, and one session
 * between them. What mux_pair and mux_model are built on where a muxer is carried by datagrams. No
 * cmocka: fuzz targets use it too.
 */
#ifndef TERN_MUX_SESSION_PAIR_H
#define TERN_MUX_SESSION_PAIR_H

#include "mux/session.h"
#include "session_world.h"

/* What one side is made with. */
struct session_pair_end {
    struct tern_mem *mem;
    struct tern_scope *scope; /* of the session */
    struct tern_scope *windows;
};

/* Makes one side's transport: memory through mem, windows charged to windows. */
typedef tern_err (*session_pair_make)(bool dialer, const struct session_pair_end *end,
                                      struct tern_session_transport *transport);

struct session_pair {
    struct session_world world;
    struct session_pair_end ends[2]; /* 0 dials */
    struct tern_session sessions[2]; /* ops NULL: there is none */
    tern_link_id sockets[2];
    bool failed; /* the dial, the accept or a session has */
    bool connected;
};

/* session_pair_init makes both transports and dials. False: something failed; session_pair_fini is
 * owed all the same. */
bool session_pair_init(struct session_pair *pair, uint64_t seed, session_pair_make make,
                       const struct session_pair_end ends[2], const struct datagram_link *link);

/* session_pair_connect runs until both sides are confirmed and silent, dropping the events of that
 * time. False: they never were. */
bool session_pair_connect(struct session_pair *pair);

/* session_pair_step lets the next thing happen; false: nothing does before the limit. The muxers'
 * events are the caller's to drain. */
bool session_pair_step(struct session_pair *pair, tern_time limit);

/* session_pair_fini ends sessions and transports. */
void session_pair_fini(struct session_pair *pair);

#endif
