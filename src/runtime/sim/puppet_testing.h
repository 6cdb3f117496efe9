/*
 * A machine that does nothing by itself: a test puts commands into it and bytes on its links, and
 * every input becomes a line of a golden log, such as
 *
 *     50.000 b accepted 0 from a on 1
 *
 * Bytes are counted ones, so that each end checks what it gets. Links and sockets are named by
 * slot.
 */
#ifndef TERN_RUNTIME_SIM_PUPPET_TESTING_H
#define TERN_RUNTIME_SIM_PUPPET_TESTING_H

#include "base/job.h"
#include "golden.h"
#include "runtime/sim/world.h"

enum { PUPPET_LINKS_MAX = 64, PUPPET_COMMANDS_MAX = 64, PUPPET_BATCHES_MAX = 256 };

struct puppet_link {
    tern_link_id id;
    uint64_t to_send; /* bytes left to hand out */
    uint64_t sent;
    uint64_t got;
    uint64_t take_max; /* bytes to take in all; UINT64_MAX: everything */
};

/* count datagrams of size bytes each, the last one of last_size if that is not 0. */
struct puppet_batch {
    uint32_t slot;
    struct tern_endpoint to;
    uint8_t ecn;
    uint16_t size;
    uint16_t count;
    uint16_t last_size;
};

struct puppet {
    struct golden *log;
    uint32_t node;
    bool quiet_data; /* no lines for data */
    tern_time deadline;
    struct tern_command commands[PUPPET_COMMANDS_MAX];
    size_t commands_count;
    struct puppet_link links[PUPPET_LINKS_MAX];
    struct puppet_batch batches[PUPPET_BATCHES_MAX]; /* to be sent */
    size_t batches_count;
    uint64_t datagrams; /* that came */
    struct tern_mem *mem;
    void *held;     /* 10 bytes of mem while up; see leak */
    bool leak;      /* forget them at stop */
    bool scribbles; /* changes datagrams that it is given, which it must not */
    uint8_t seed[TERN_RANDOM_SEED_SIZE];
    uint32_t starts;
    tern_err start_err;
    tern_wall_time wall;
    tern_time last_input;
};

/* The factory; its context is an array of puppets, one a node. */
extern const struct sim_node_ops puppet_node_ops;

/* puppet_add adds a node to the world and starts it. */
uint32_t puppet_add(struct sim_world *world, struct puppet *puppets, struct golden *log);

/* puppet_do gives the node a command and has it carried out. */
void puppet_do(struct sim_world *world, struct puppet *puppet, struct tern_command command);

/* The common ones. Tokens of dials are 100 + the node dialled. */
void puppet_listen(struct sim_world *world, struct puppet *puppet, uint16_t port);
void puppet_dial(struct sim_world *world, struct puppet *puppet, uint32_t node, uint16_t port);
void puppet_bind(struct sim_world *world, struct puppet *puppet, uint16_t port);
void puppet_say(struct sim_world *world, struct puppet *puppet, const struct puppet_batch *batch);
void puppet_send(struct sim_world *world, struct puppet *puppet, uint32_t slot, uint64_t size);
void puppet_link_do(struct sim_world *world, struct puppet *puppet, enum tern_command_kind kind,
                    uint32_t slot);

#endif
