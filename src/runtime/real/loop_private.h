/*
 * The loop's insides, shared by its files. loop.c owns the iteration; links.c sockets; work.c jobs
 * and name look-ups; storage.c the storage thread.
 */
#ifndef TERN_RUNTIME_REAL_LOOP_PRIVATE_H
#define TERN_RUNTIME_REAL_LOOP_PRIVATE_H

#include <stdatomic.h>
#include <uv.h>

#include "base/list.h"
#include "runtime/real/loop.h"

enum {
    LOOP_READ_CHUNK_SIZE = 240 * 1024, /* a full Noise frame is a quarter of it: kept, not copied */
    LOOP_TRANSMIT_SIZE = 256 * 1024,
    LOOP_TRANSMIT_MIN = 64 * 1024 + 64, /* less room than this is not worth asking for */
    LOOP_PASSES_MAX = 8,                /* transmit rounds before sockets are read again */
    LOOP_LISTEN_BACKLOG = 1024,
};

enum link_state { LINK_CONNECTING, LINK_OPEN, LINK_CLOSING };

/* One TCP connection, from dial or accept until its handle is closed. */
struct loop_link {
    uv_tcp_t tcp;
    struct tern_loop *loop;
    struct tern_list all;   /* loop->links */
    struct tern_list ready; /* loop->ready, while it may have bytes to transmit */
    enum link_state state;
    tern_link_id id;  /* once open */
    tern_token token; /* of the dial */
    uv_connect_t connect;
    uv_write_t write;
    uv_shutdown_t shutdown;
    uint8_t *unsent; /* bytes the kernel did not take; written by the write request */
    size_t unsent_size;
    bool writing;
    bool shut_wanted; /* end our direction when all is sent */
    bool shut_done;
    bool close_wanted; /* and then close */
    bool reading;
    bool ended;                    /* the remote will send no more */
    struct tern_chunk *rest_chunk; /* bytes the machine did not take yet */
    struct tern_span rest;
    tern_err close_err;
};

struct loop_listener {
    uv_tcp_t tcp;
    struct tern_loop *loop;
    struct tern_list all;
    tern_token token;
};

/* What an id names: an open link or a socket; neither while the slot is free. */
struct loop_slot {
    struct loop_link *link;
    struct loop_socket *socket;
    uint32_t generation;
};

struct loop_call {
    struct tern_list link;
    void (*fn)(void *context);
    void *context;
    uv_sem_t *done; /* NULL: nobody waits */
};

/* The storage thread's queue. */
struct loop_storage {
    const struct tern_store_ops *ops;
    void *self;
    uv_thread_t thread;
    bool running;
    uv_mutex_t mutex;
    uv_cond_t wake;
    struct tern_list waiting; /* struct tern_store_request.link */
    struct tern_list done;
    bool stop;
};

struct tern_loop {
    uv_loop_t uv;
    struct tern_mem *mem;
    struct tern_machine machine;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* active when another pass is due at once */
    uv_timer_t timer;
    uv_timer_t wall_timer;
    uv_async_t async;
    struct tern_list links;
    struct tern_list listeners;
    struct tern_list ready;
    struct loop_slot *slots;
    size_t slots_capacity;
    uint32_t *free_slots;
    size_t free_slots_count;
    struct tern_chunk *read_chunk; /* the one chunk all sockets are read into */
    uint8_t *transmit_buffer;
    size_t work_count; /* jobs and look-ups that are out */
    tern_time armed_deadline;
    int64_t wall_offset_ns;
    bool dirty; /* the machine was touched: commands may wait */
    bool freeing;
    uv_mutex_t calls_mutex;
    struct tern_list calls;
    bool calls_closed;
    atomic_bool stop;
    struct loop_storage storage;
};

/* loop_input hands an input to the machine and marks the loop dirty. */
void loop_input(struct tern_loop *loop, const struct tern_input *in);

/* slots.c */
bool loop_slot_take(struct tern_loop *loop, struct loop_slot what, tern_link_id *id);
void loop_slot_give(struct tern_loop *loop, tern_link_id id);
const struct loop_slot *loop_slot_find(const struct tern_loop *loop, tern_link_id id);

/* links.c */
void loop_listen(struct tern_loop *loop, const struct tern_command *command);
void loop_unlisten(struct tern_loop *loop, tern_token token);
void loop_dial(struct tern_loop *loop, const struct tern_command *command);
void loop_dial_cancel(struct tern_loop *loop, tern_token token);
void loop_link_ready(struct loop_link *link);
void loop_link_read(struct loop_link *link);
void loop_link_end(struct loop_link *link, bool close);
void loop_link_abort(struct loop_link *link, tern_err err);
bool loop_transmit_ready(struct tern_loop *loop); /* true: some link may have more */
void loop_close_all(struct tern_loop *loop);

/* work.c */
void loop_run_job(struct tern_loop *loop, struct tern_job *job);
void loop_resolve(struct tern_loop *loop, const struct tern_command *command);

/* storage.c */
TERN_NODISCARD tern_err loop_storage_open(struct tern_loop *loop,
                                          const struct tern_loop_options *options);
void loop_storage_submit(struct tern_loop *loop, struct tern_store_request *request);
void loop_storage_collect(struct tern_loop *loop);
void loop_storage_close(struct tern_loop *loop);

#endif
