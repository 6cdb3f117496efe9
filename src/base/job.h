/*
 * A job is work that may run on another thread: signature batches, key agreement, hashing. The node
 * emits it as a command; an interpreter calls run (on a worker, or inline in the simulator) and
 * hands the job back as an input. Between the two, run alone touches the job, and it touches
 * nothing else: everything it needs is inside, by value or owned. run is a pure function of the
 * job.
 *
 * Ownership: the emitter owns the job throughout. A job cannot be cancelled, only disowned: its
 * emitter keeps it until it comes back, then frees it.
 */
#ifndef TERN_BASE_JOB_H
#define TERN_BASE_JOB_H

#include "base/list.h"
#include "base/types.h"

struct tern_job {
    void (*run)(struct tern_job *job);
    struct tern_list link; /* for whoever holds the job in a queue */
    uint32_t owner_kind;   /* who gets it back: see enum in swarm/service headers */
    uint32_t owner_slot;
    uint64_t owner_generation;
    tern_time cost_ns; /* an estimate, for the simulator's clock */
};

#endif
