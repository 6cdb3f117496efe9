/*
 * The real world: drives one machine (runtime/io.h) over the operating system with libuv.
 *
 *   network thread   this loop: sockets, timers, the machine. All of a machine's code runs here
 *   workers          libuv's pool: jobs (signatures, key agreement), name look-ups
 *   storage thread   one, if a store is given: requests in order, writes batched into one commit
 *
 * A loop is used in one of two ways: tern_loop_run on a thread of its own, or embedded, where the
 * caller's own event loop polls tern_loop_fd and calls tern_loop_process. Other threads reach the
 * machine only through tern_loop_call.
 *
 * Inputs of one iteration are batched: commands are carried out and bytes transmitted once after
 * all sockets were read.
 */
#ifndef TERN_RUNTIME_REAL_LOOP_H
#define TERN_RUNTIME_REAL_LOOP_H

#include "base/error.h"
#include "base/mem.h"
#include "runtime/io.h"

struct tern_loop;

/* A store serves requests on the storage thread, in order; serve fills in err and results. Several
 * WRITE requests may be given at once: all are durable, or each failed one says so, before serve
 * returns. */
struct tern_store_ops {
    void (*serve)(void *self, struct tern_store_request **requests, size_t count);
    void (*close)(void *self);
};

struct tern_loop_options {
    struct tern_mem *mem; /* for read chunks and links; used on the network thread only */
    struct tern_machine machine;
    const struct tern_store_ops
        *store;       /* NULL: STORE requests come back with TERN_ERR_UNSUPPORTED */
    void *store_self; /* closed by the loop on its storage thread */
    /* Each datagram is sent and received by itself, for a device whose offload is broken. A kernel
     * or device that refuses it is noticed without this. */
    bool datagrams_alone;
};

/* tern_loop_new opens the loop; gives the machine its WALL input. TERN_ERR_MEMORY, TERN_ERR_IO. */
TERN_NODISCARD tern_err tern_loop_new(const struct tern_loop_options *options,
                                      struct tern_loop **loop);

/* tern_loop_free closes all sockets at once, waits for workers and the storage thread, and frees.
 * The machine must still be there while it runs: every job comes back, also one it asked for and
 * nobody took yet; so does every store request, those not taken yet with TERN_ERR_CLOSED. It is the
 * caller's to free afterwards. */
void tern_loop_free(struct tern_loop *loop);

/* tern_loop_run runs until tern_loop_stop. */
void tern_loop_run(struct tern_loop *loop);

/* tern_loop_stop makes run return after the current iteration; from any thread. */
void tern_loop_stop(struct tern_loop *loop);

/* tern_loop_process does what is ready and returns without waiting. */
void tern_loop_process(struct tern_loop *loop);

/* tern_loop_fd is readable when tern_loop_process has something to do, besides its deadline. */
int tern_loop_fd(const struct tern_loop *loop);

/* tern_loop_timeout_ms is how long a poll on tern_loop_fd may wait; -1: for ever. */
int tern_loop_timeout_ms(const struct tern_loop *loop);

/* tern_loop_now is the machine's time, from any thread. */
tern_time tern_loop_now(void);

/* tern_loop_kick carries out what calls into the machine (outside of its inputs) have set off; from
 * any thread. Takes effect with the next iteration, which it wakes. */
void tern_loop_kick(struct tern_loop *loop);

/* tern_loop_call runs fn on the network thread soon; from any thread. fn may call the machine.
 * Calls run in order. TERN_ERR_MEMORY, TERN_ERR_CLOSED (the loop is being freed). */
TERN_NODISCARD tern_err tern_loop_call(struct tern_loop *loop, void (*fn)(void *context),
                                       void *context);

/* tern_loop_call_wait is tern_loop_call and waits until fn has run. Not from the network thread. */
TERN_NODISCARD tern_err tern_loop_call_wait(struct tern_loop *loop, void (*fn)(void *context),
                                            void *context);

/* tern_loop_entropy fills in bytes from the operating system, for a machine's random seed. */
TERN_NODISCARD tern_err tern_loop_entropy(void *out, size_t size);

#endif
