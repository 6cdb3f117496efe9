/*
 * One swarm and a crowd of remotes, for tests and benches of many connections: each remote is a
 * connection core with an identity and an address of its own, at the other end of a link that takes
 * no time. Virtual time, no chance. Not for other layers.
 */
#ifndef TERN_SWARM_CROWD_TEST_SUPPORT_H
#define TERN_SWARM_CROWD_TEST_SUPPORT_H

#include "swarm/manager.h"

struct crowd;

struct crowd_options {
    uint32_t count; /* of remotes */
    enum tern_secure_kind secure;
    /* NULL, or changes the configuration of the swarm before it is made. */
    void (*configure)(struct tern_swarm_config *config);
};

struct crowd *crowd_new(const struct crowd_options *options);
/* crowd_free ends all, and checks that nothing leaked. */
void crowd_free(struct crowd *crowd);

/* crowd_connect lets the i-th remote dial the swarm from an address; false: it was refused. */
bool crowd_connect(struct crowd *crowd, uint32_t i, struct tern_endpoint from);
/* crowd_address is an address for the i-th remote: every one in a /24 of its own. */
struct tern_endpoint crowd_address(uint32_t i);
/* crowd_open lets the swarm open a stream to a remote; all zero: refused. */
struct tern_stream crowd_open(struct crowd *crowd, uint32_t i);

/* crowd_run lets time pass; crowd_settle what is due now. */
void crowd_run(struct crowd *crowd, tern_time span);
void crowd_settle(struct crowd *crowd);

bool crowd_is_up(const struct crowd *crowd, uint32_t i); /* connected, as the swarm sees it */
tern_peer crowd_peer(const struct crowd *crowd, uint32_t i);
struct tern_swarm *crowd_swarm(struct crowd *crowd);
struct tern_mem *crowd_mem(struct crowd *crowd); /* the swarm's account */
struct tern_metrics *crowd_metrics(struct crowd *crowd);
tern_time crowd_now(const struct crowd *crowd);
uint64_t crowd_ticks(const struct crowd *crowd); /* TICK inputs so far */

#endif
