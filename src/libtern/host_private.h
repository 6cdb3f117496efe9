/*
 * What stands behind struct tern_host of the public API: a host core, a loop that drives it, and
 * one lock. The lock is held while the core runs, never while the loop waits for the system, so
 * calls from other threads wait for the work of one input at most.
 */
#ifndef TERN_LIBTERN_HOST_PRIVATE_H
#define TERN_LIBTERN_HOST_PRIVATE_H

#include <pthread.h>

#include "host/host_core.h"
#include "runtime/real/loop.h"
#include "runtime/real/webfile.h"
#include "secure/pnet.h"
#include "tern/tern.h"

enum {
    HOST_PROTOCOLS_MAX = TERN_SWARM_PROTOCOLS_MAX,
    HOST_BOOK_SPACE = 200,
    HOST_ID_TEXTS = 8,
};

/* An id's text that is kept: messages come from a few neighbours, again and again. */
struct host_id_text {
    struct tern_peer_id id;
    char text[TERN_PEER_TEXT_SIZE];
};

struct tern_host {
    pthread_mutex_t lock;
    pthread_cond_t news; /* events may be there */
    bool waiting;        /* somebody waits for news */
    pthread_t thread;
    bool started;
    struct tern_mem mem;
    struct tern_private_key key;
    struct tern_pnet_key psk;
    struct tern_web_tls web;
    bool web_ready;
    struct tern_host_core *core;
    struct tern_loop *loop;
    char peer_id[TERN_PEER_TEXT_SIZE];
    char *protocols[HOST_PROTOCOLS_MAX]; /* names handled and served; the core borrows them */
    size_t protocols_count;
    /* the texts of the event given last */
    struct tern_host_event event;
    struct tern_perf_info event_perf;
    struct host_id_text event_peers[HOST_ID_TEXTS]; /* by the id's last byte */
    struct host_id_text event_author;
    char *event_text;
    size_t event_text_capacity;
};

/* host_enter takes the lock and gives the time; host_leave carries out what was set off. */
tern_time host_enter(struct tern_host *host);
void host_leave(struct tern_host *host, tern_time now);

/* host_process runs the loop once, for a host that was not started. The lock is not held. */
void host_process(struct tern_host *host);

/* host_find_peer reads a peer's text and finds its connection. TERN_ERR_INVALID,
 * TERN_ERR_NOT_FOUND. */
TERN_NODISCARD tern_err host_find_peer(struct tern_host *host, const char *text, tern_peer *peer);

/* host_peer_text writes an id as text with its terminator. */
void host_peer_text(const struct tern_peer_id *id, char text[TERN_PEER_TEXT_SIZE]);

/* host_keep_name copies a protocol's name for the host's life. NULL: no room. */
const char *host_keep_name(struct tern_host *host, const char *name);

/* host_copy_text copies a view to the caller with a terminator. TERN_ERR_TOO_LARGE. */
TERN_NODISCARD tern_err host_copy_text(struct tern_view view, char *text, size_t text_size);

#endif
