/*
 * A very small world for the swarm's tests: some swarms, links between them with one latency,
 * virtual time, and no chance at all. Every input and command of runtime/io.h is served. Not for
 * other layers.
 */
#ifndef TERN_SWARM_WORLD_TEST_SUPPORT_H
#define TERN_SWARM_WORLD_TEST_SUPPORT_H

#include "swarm/swarm.h"

enum {
    TEST_NODES_MAX = 16,
    TEST_LINKS_MAX = 512,
    TEST_EVENTS_MAX = 4096,
    TEST_LOG_MAX = 4096,
    TEST_ROWS_MAX = 256,
};

#define TEST_START (TERN_HOUR)
#define TEST_WALL  (UINT64_C(1700000000) * TERN_SECOND)

struct test_world;

/* What a service of a node was told, without borrowed pointers. */
struct test_news {
    tern_time at;
    struct tern_swarm_event event;
    struct tern_peer_id peer_id;
};

struct test_link {
    bool used;
    bool dead;   /* LINK_CLOSED was scheduled */
    bool silent; /* what is sent is lost: the remote has died without a word */
    uint32_t node;
    uint32_t generation;
    uint32_t other;          /* index of the other end; UINT32_MAX: none, a test speaks there */
    struct tern_chunk *held; /* back-pressure: the bytes that were not taken */
    size_t held_from;
    size_t sent; /* bytes that came out of this end */
    bool closing;
};

enum test_event_kind { TEST_INPUT, TEST_CONNECT };

struct test_event {
    tern_time at;
    uint64_t sequence;
    uint32_t node;
    struct tern_input in;
    struct tern_chunk *chunk; /* of DATA */
    bool connect;             /* the dial reaches its listener */
    struct tern_endpoint endpoint;
};

struct test_dial {
    bool used;
    uint32_t node;
    tern_token token;
};

struct test_row {
    bool used;
    uint8_t key[64];
    size_t key_size;
    uint8_t value[8192];
    size_t value_size;
};

struct test_name {
    const char *name;
    enum tern_resolve_kind kind;
    struct tern_endpoint endpoints[4];
    const char *texts[4];
    size_t count;
};

struct test_listener {
    bool used;
    uint32_t node;
    tern_token token;
    struct tern_endpoint endpoint;
};

struct test_node {
    struct test_world *world;
    uint32_t index;
    struct tern_endpoint ip;
    struct tern_mem mem;
    struct tern_random random;
    struct tern_metrics metrics;
    struct tern_private_key key;
    struct tern_peer_id id;
    struct tern_swarm_config config;
    struct tern_swarm *swarm;
    uint32_t service; /* the recording service; echoes on streams of the remote's, if echo is set */
    bool echo;
    bool failed_read;
    struct test_news log[TEST_LOG_MAX];
    size_t log_count;
    size_t received; /* bytes read from streams of our own */
    uint8_t received_last[64];
    uint16_t port_next;
    void (*hook)(struct test_node *node, const struct tern_swarm_event *event); /* or NULL */
    int64_t balance[2]; /* for hooks that count */
    uint64_t chunks;    /* that the world made for it */
    bool store_fails;
};

struct test_world {
    tern_time now;
    tern_time latency;
    tern_time job_time;
    uint64_t sequence;
    bool mute; /* links come up, and carry nothing */
    struct test_node *nodes[TEST_NODES_MAX];
    uint32_t nodes_count;
    struct test_link links[TEST_LINKS_MAX];
    struct test_event events[TEST_EVENTS_MAX];
    size_t events_count;
    struct test_dial dials[TEST_LINKS_MAX];
    struct test_listener listeners[TEST_NODES_MAX * 4];
    struct tern_endpoint black_holes[8]; /* dials to these are never answered */
    size_t black_holes_count;
    const struct test_name *names;
    size_t names_count;
    struct test_row rows[TEST_ROWS_MAX];
    size_t dials_seen; /* DIAL commands of all nodes */
    struct tern_endpoint dialled[64];
    tern_time dialled_at[64];
    size_t resolves_seen;
    struct tern_trace trace;
    uint64_t traced[8192]; /* by trace id */
};

extern const char test_echo_name[]; /* the protocol that nodes with echo serve */

struct test_world *test_world_new(void);
/* test_world_free frees the nodes' swarms and checks that nothing leaked. */
void test_world_free(struct test_world *w);

/* test_node_add makes a node at 10.0.0.<n + 1>, config filled with defaults; test_node_start makes
 * its swarm with the config as it is then; false: no memory. */
struct test_node *test_node_add(struct test_world *w);
bool test_node_start(struct test_node *node);
void test_node_stop(struct test_node *node); /* frees the swarm, checks its account */

/* test_listen listens at the node's IP and port 4001 and runs until it does. */
void test_listen(struct test_node *node);
void test_address(const struct test_node *node, struct tern_multiaddr *addr);
tern_err test_dial(struct test_node *from, const struct test_node *to, tern_token token);

/* test_kick lets a node carry out what calls of the test have set off. */
void test_kick(struct test_node *node);
void test_input(struct test_node *node, const struct tern_input *in);
void test_run(struct test_world *w, tern_time duration);

/* test_find finds the n-th (from 0) event of a kind in the log; NULL: there is none. */
const struct test_news *test_find(const struct test_node *node, enum tern_swarm_event_kind kind,
                                  size_t n);
size_t test_count(const struct test_node *node, enum tern_swarm_event_kind kind);
const struct test_news *test_dial_done(const struct test_node *node, tern_token token);

/* test_connect dials, runs, and returns from's handle of to; 0: it failed. */
tern_peer test_connect(struct test_node *from, struct test_node *to);
/* test_open opens an echo stream. */
struct tern_stream test_open(struct test_node *node, tern_peer peer);
tern_err test_try_open(struct test_node *node, tern_peer peer, struct tern_stream *stream);

struct tern_endpoint test_endpoint(const char *ip, uint16_t port);
/* test_listener_token is the token of a listener of the node; 0: it has none. */
tern_token test_listener_token(const struct test_node *node);

/* test_stranger makes an inbound link to the node from an IP, whose other end is the test. */
tern_link_id test_stranger(struct test_node *node, struct tern_endpoint from);
/* test_silence loses all that is sent on all links between the two from now on. */
void test_silence(struct test_node *a, struct test_node *b);

#endif
