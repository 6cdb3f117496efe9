/*
 * The running node's insides, shared by its files. node.c makes and runs it; node_calls.c carries
 * questions to the network thread and answers back; node_tell.c and node_submit.c are the
 * questions.
 */
#ifndef TERN_APP_TERND_NODE_PRIVATE_H
#define TERN_APP_TERND_NODE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "app/ternd/node.h"
#include "base/list.h"
#include "node/node.h"
#include "runtime/real/loop.h"
#include "runtime/real/store_lmdb.h"
#include "runtime/real/webfile.h"
#include "secure/pnet.h"

/* A question under way. Held by who asks and by the network thread; freed by the last of them, so
 * one who gave up waiting leaves nothing behind that dangles. */
struct node_call {
    struct node *node;
    void (*begin)(
        struct node_call *call); /* on the network thread; ends in node_call_done, now or later */
    atomic_int references;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    tern_err err;
    const void *in; /* a copy of what was asked */
    size_t in_size;
    void *out; /* the answer, out_size bytes */
    size_t out_size;
    uint8_t *bytes; /* an answer of any size; given to who asked */
    size_t bytes_size;
    /* on the network thread */
    struct tern_list pending; /* node->pending, while it waits for something */
    uint64_t tag;
    struct tern_store_request request; /* of node_block */
    uint8_t key[32];
    uint8_t *result;
};

struct node {
    const struct config *config;
    struct log *log;
    struct tern_trace trace;
    struct app_genesis genesis;
    struct tern_private_key key;
    struct tern_pnet_key psk;
    struct tern_web_tls web;
    bool web_ready;
    struct tern_mem mem;
    struct tern_node *core;
    struct tern_store_lmdb *store; /* until the loop has it */
    struct tern_loop *loop;
    pthread_t thread;
    bool running;
    tern_time started_at;
    _Atomic(const char *) failure;
    /* on the network thread */
    struct tern_list pending; /* of node_call.pending: waiting for an answer with their tag */
    struct tern_list asking;  /* store requests to be given to the world */
    uint64_t next_tag;
    uint64_t reorganisations;
};

/* What one question is made of. */
struct node_question {
    void (*begin)(struct node_call *call);
    const void *in;
    size_t in_size;
    void *out; /* filled in when the answer is TERN_OK */
    size_t out_size;
    uint8_t **bytes; /* NULL: no answer of any size is expected */
    size_t *bytes_size;
    uint64_t wait_ms;
};

/* node_ask asks and waits. From any thread but the network one. */
tern_err node_ask(struct node *node, const struct node_question *question);

/* On the network thread: node_call_wait notes that the call goes on with node->next_tag, which
 * becomes its tag; node_call_find finds it again; node_call_done ends it. */
void node_call_wait(struct node_call *call);
struct node_call *node_call_find(struct node *node, uint64_t tag);
void node_call_done(struct node_call *call, tern_err err);

/* node_calls_end ends all that wait. */
void node_calls_end(struct node *node, tern_err err);

/* node_answer ends a submission or validation with the node's word. */
void node_answer(struct node_call *call, const struct tern_node_event *event);

/* node_store_done takes a STORED input that is ours. */
void node_store_done(struct tern_store_request *request);

/* The owner of our store requests, beyond all that the machine below uses. */
enum { NODE_OWNER = 0x7465726e };

#endif
