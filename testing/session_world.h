/*
 * Transports of sessions (mux/session.h) on a network of datagrams in virtual time: what drives
 * QUIC, WebTransport and WebRTC in tests. Each node is one transport with some sockets; the test is
 * its owner and is told of its events.
 *
 *     struct session_world world;
 *     session_world_init(&world, seed, on_event, &test);
 *     node = session_world_add(&world, transport);
 *     socket = session_world_bind(&world, node, &at, &link);
 *     … dial …
 *     assert_true(session_world_run_until(&world, done, &test, 5 * TERN_SECOND));
 *
 * on_event answers an OFFER before it returns, by the transport's accept or refuse.
 */
#ifndef TERN_TESTING_SESSION_WORLD_H
#define TERN_TESTING_SESSION_WORLD_H

#include "datagram_net.h"
#include "mux/session.h"

enum { SESSION_NODES_MAX = 8, SESSION_NODE_SOCKETS_MAX = 8 };

typedef void (*session_world_event)(void *context, size_t node,
                                    const struct tern_session_event *event);

struct session_node {
    struct tern_session_transport transport;
    tern_link_id sockets[SESSION_NODE_SOCKETS_MAX];
    size_t sockets_count;
};

struct session_world {
    struct datagram_net net;
    struct session_node nodes[SESSION_NODES_MAX];
    size_t nodes_count;
    tern_time now;
    session_world_event on_event;
    void *context;
    uint8_t *scratch;
    unsigned idle_ticks; /* ticks in a row in which nothing moved */
};

/* session_world_init: the clock begins at a second. */
void session_world_init(struct session_world *world, uint64_t seed, session_world_event on_event,
                        void *context);

/* session_world_fini ends the transports, then the network. No session may be left. */
void session_world_fini(struct session_world *world);

/* session_world_add takes a transport over. */
size_t session_world_add(struct session_world *world, struct tern_session_transport transport);

tern_link_id session_world_bind(struct session_world *world, size_t node,
                                const struct tern_endpoint *local,
                                const struct datagram_link *link);

/* session_world_unbind closes a socket and tells its transport. */
void session_world_unbind(struct session_world *world, size_t node, tern_link_id socket);

/* session_world_flush tells all events and lets what there is to send leave; whether anything was.
 */
bool session_world_flush(struct session_world *world);

/* session_world_send lets one node send what it has; how many bytes it was. */
uint64_t session_world_send(struct session_world *world, size_t node);

/* session_world_send_some is the same with room for so many bytes in all. */
uint64_t session_world_send_some(struct session_world *world, size_t node, size_t room);

/* session_world_deliver delivers one batch that has arrived; false: none has. */
bool session_world_deliver(struct session_world *world);

/* session_world_next is when something happens by itself: an arrival, a deadline. */
tern_time session_world_next(const struct session_world *world);

/* session_world_step lets the next thing happen; false: nothing does before the limit, to which the
 * clock has gone. */
bool session_world_step(struct session_world *world, tern_time limit);

/* session_world_run steps for a time. */
void session_world_run(struct session_world *world, tern_time duration);

/* session_world_run_until steps until the predicate is true; false: it was not for so long. */
bool session_world_run_until(struct session_world *world, bool (*done)(void *context),
                             void *context, tern_time duration);

#endif
