/*
 * A machine with a little of everything, to test and measure the world: it dials its peers, sends
 * each a message now and then and wants every byte of it back, dials again when a link ends, writes
 * its count of rounds to its store, and gives jobs away. With each message it may send datagrams,
 * which come back if they can. It checks what it gets.
 */
#ifndef TERN_RUNTIME_SIM_ECHO_TESTING_H
#define TERN_RUNTIME_SIM_ECHO_TESTING_H

#include "runtime/sim/scenario.h"
#include "runtime/sim/topology.h"

enum { ECHO_PORT = 4001, ECHO_PEERS_MAX = 32 };

struct echo_options {
    uint32_t nodes;
    uint32_t degree;        /* of the random graph of dials */
    tern_time interval_ns;  /* between rounds with one peer, in the mean */
    uint32_t message_bytes; /* at most */
    uint32_t store_every;   /* rounds; 0: never */
    uint32_t job_every;     /* rounds; 0: never */
    uint32_t datagrams;     /* at most, beside a message; 0: no sockets */
    bool greedy;            /* take all bytes at once; else sometimes push back */
};

/* What a node's incarnations have in common, seen from outside. */
struct echo_node {
    uint32_t peers[ECHO_PEERS_MAX];
    uint32_t peers_count;
    uint32_t linked;                         /* peers with an open dialled link, now */
    uint64_t peer_rounds[ECHO_PEERS_MAX];    /* since the heal */
    uint64_t peer_datagrams[ECHO_PEERS_MAX]; /* that came back, since the heal */
    uint64_t rounds;                         /* over all incarnations */
    uint64_t durable;                        /* the highest count that came back as written */
    uint64_t found;                          /* what the store held at the last start */
    bool found_known;
    tern_time rtt_sum;
    uint64_t jobs;
    uint64_t networks; /* how often its addresses have changed */
};

struct echo_net {
    struct echo_options options;
    struct echo_node *nodes;
    struct tern_mem mem;
    bool lost_writes; /* a start found less than had been written */
};

/* echo_net_open plans the graph; echo_net_setup adds and starts the nodes. */
struct echo_net *echo_net_open(const struct echo_options *options, uint64_t seed);
void echo_net_setup(void *net, struct sim_world *world);
void echo_net_close(void *net);

uint64_t echo_net_rounds(const struct echo_net *net);

/* echo_net_safe: no write that came back was lost. echo_net_converged: since echo_net_healed (or
 * the beginning) each node had a round with each of its peers, and datagrams came back from each,
 * and all are linked now. */
bool echo_net_safe(void *net, struct sim_world *world);
void echo_net_healed(void *net, struct sim_world *world);
bool echo_net_converged(void *net, struct sim_world *world);

/* A scenario of 12 nodes with random faults in a random network. */
extern const struct sim_scenario echo_scenario;

#endif
