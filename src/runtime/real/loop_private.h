/*
 * The loop's insides, shared by its files. loop.c owns the iteration; links.c streams; sockets.c
 * datagrams; slots.c the ids of both; network.c changes of addresses; work.c jobs and name
 * look-ups; storage.c the storage thread.
 */
#ifndef TERN_RUNTIME_REAL_LOOP_PRIVATE_H
#define TERN_RUNTIME_REAL_LOOP_PRIVATE_H

#include <stdatomic.h>
#include <uv.h>

#include "base/list.h"
#include "runtime/real/linger.h"
#include "runtime/real/loop.h"
#include "runtime/real/udp.h"

enum {
    LOOP_READ_CHUNK_SIZE = 240 * 1024, /* a full Noise frame is a quarter of it: kept, not copied */
    LOOP_TRANSMIT_SIZE = 256 * 1024,
    LOOP_TRANSMIT_MIN = 64 * 1024 + 64, /* less room than this is not worth asking for */
    LOOP_LARGE_READ_SIZE = 16 * 1024,   /* after which the loop lingers */
    LOOP_UNSENT_SIZE = 128 * 1024, /* that the kernel holds of a link before it takes no more */
    LOOP_PASSES_MAX = 8,           /* transmit rounds before sockets are read again */
    LOOP_LISTEN_BACKLOG = 1024,
    LOOP_SOCKET_BATCHES_MAX = 4, /* a socket sends in one round: as much as a link */
    LOOP_SOCKET_READS_MAX = 16,  /* batches a socket reads before others do */
    LOOP_DATAGRAMS_ALIGN = 64,   /* where a batch begins in the chunk */
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
    bool backlogged;  /* the kernel took less than it was given */
    bool shut_wanted; /* end our direction when all is sent */
    bool shut_done;
    bool close_wanted; /* and then close */
    bool reading;
    bool ended;                    /* the remote will send no more */
    struct tern_chunk *rest_chunk; /* bytes the machine did not take yet */
    struct tern_span rest;
    tern_err close_err;
};

/* One socket of datagrams, from BOUND until its handle is closed. */
struct loop_socket {
    uv_poll_t poll;
    struct tern_loop *loop;
    struct tern_list all;   /* loop->sockets */
    struct tern_list ready; /* loop->sockets_ready, while it may have datagrams to send */
    tern_link_id id;
    struct tern_udp udp;
    bool blocked;                         /* the kernel had no room: wait until it has */
    bool close_wanted;                    /* close when all is sent */
    uint8_t *kept;                        /* room for a batch, once one had to wait */
    struct tern_datagrams_out kept_batch; /* in kept, sent up to kept_done */
    size_t kept_done;
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
    uv_idle_t idle; /* active when the loop must not sleep: another pass is due, or it lingers */
    uv_timer_t timer;
    uv_timer_t wall_timer;
    uv_async_t async;
    struct tern_list links;
    struct tern_list listeners;
    struct tern_list ready;
    struct tern_list sockets;
    struct tern_list sockets_ready;
    size_t sockets_count; /* that are open */
    bool offload;         /* batches of datagrams go to the kernel and come from it whole */
    struct loop_network *network;
    uv_timer_t network_timer; /* active: a change is to be told */
    struct loop_slot *slots;
    size_t slots_capacity;
    uint32_t *free_slots;
    size_t free_slots_count;
    struct tern_chunk *read_chunk;      /* the one chunk all links are read into */
    struct tern_chunk *datagrams_chunk; /* the one chunk all sockets are read into; filled up to
                                           its size while somebody keeps bytes of it */
    uint8_t *transmit_buffer;
    size_t work_count; /* jobs and look-ups that are out */
    tern_time armed_deadline;
    int64_t wall_offset_ns;
    struct tern_linger linger;
    bool large_read; /* there was one in this iteration */
    bool dirty;      /* the machine was touched: commands may wait */
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

/* sockets.c */
void loop_bind(struct tern_loop *loop, const struct tern_command *command);
void loop_socket_command(struct loop_socket *socket, enum tern_command_kind kind);
void loop_socket_ready(struct loop_socket *socket);
bool loop_sockets_transmit(struct tern_loop *loop); /* true: some socket may have more */
void loop_sockets_close_all(struct tern_loop *loop);

/* network.c */
void loop_network_watch(struct tern_loop *loop);
void loop_network_unwatch(struct tern_loop *loop);

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
