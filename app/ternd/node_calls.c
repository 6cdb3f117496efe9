/*
 * Questions from other threads, and their answers.
 */
#include <stdlib.h>
#include <time.h>

#include "app/ternd/node_private.h"
#include "base/check.h"

static void call_free(struct node_call *call)
{
    if (atomic_fetch_sub(&call->references, 1) > 1)
        return;
    pthread_mutex_destroy(&call->lock);
    pthread_cond_destroy(&call->changed);
    free(call->out);
    free(call->bytes);
    free(call->result);
    free((void *)(uintptr_t)call->in);
    free(call);
}

static struct node_call *call_new(struct node *node, const struct node_question *question)
{
    struct node_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&call->changed, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&call->lock, NULL);
    tern_list_init(&call->pending);
    atomic_init(&call->references, 1);
    call->node = node;
    call->begin = question->begin;
    call->in_size = question->in_size;
    call->out_size = question->out_size;
    void *in = malloc(question->in_size + 1);
    call->in = in;
    call->out = calloc(1, question->out_size + 1);
    if (in == NULL || call->out == NULL) {
        call_free(call);
        return NULL;
    }
    tern_copy(in, question->in, question->in_size);
    return call;
}

static void call_begin(void *context)
{
    struct node_call *call = context;
    struct node *node = call->node;
    call->begin(call); /* may end the call, and free it */
    tern_node_flush(node->core, tern_loop_now());
    tern_loop_kick(node->loop);
}

void node_call_wait(struct node_call *call)
{
    call->tag = ++call->node->next_tag;
    tern_list_push_back(&call->node->pending, &call->pending);
}

struct node_call *node_call_find(struct node *node, uint64_t tag)
{
    TERN_LIST_FOREACH (link, &node->pending) {
        struct node_call *call = TERN_CONTAINER_OF(link, struct node_call, pending);
        if (call->tag == tag)
            return call;
    }
    return NULL;
}

void node_call_done(struct node_call *call, tern_err err)
{
    if (tern_list_linked(&call->pending))
        tern_list_remove(&call->pending);
    pthread_mutex_lock(&call->lock);
    TERN_CHECK(!call->done);
    call->done = true;
    call->err = err;
    pthread_cond_signal(&call->changed);
    pthread_mutex_unlock(&call->lock);
    call_free(call);
}

void node_calls_end(struct node *node, tern_err err)
{
    while (!tern_list_empty(&node->pending))
        node_call_done(TERN_CONTAINER_OF(node->pending.next, struct node_call, pending), err);
}

/* Waits on the monotonic clock; false when time is over. */
static bool call_wait_done(struct node_call *call, uint64_t wait_ms)
{
    struct timespec until;
    int failure = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&call->lock);
    while (!call->done && failure == 0)
        failure = pthread_cond_timedwait(&call->changed, &call->lock, &until);
    bool done = call->done;
    pthread_mutex_unlock(&call->lock);
    return done;
}

tern_err node_ask(struct node *node, const struct node_question *question)
{
    struct node_call *call = call_new(node, question);
    if (call == NULL)
        return TERN_ERR_MEMORY;
    atomic_fetch_add(&call->references, 1); /* the network thread's */
    tern_err err = tern_loop_call(node->loop, call_begin, call);
    if (err != TERN_OK) {
        call_free(call);
        call_free(call);
        return err;
    }
    err = TERN_ERR_TIMEOUT;
    if (call_wait_done(call, question->wait_ms)) {
        err = call->err;
        if (err == TERN_OK) {
            tern_copy(question->out, call->out, question->out_size);
            if (question->bytes != NULL) {
                *question->bytes = call->bytes;
                *question->bytes_size = call->bytes_size;
                call->bytes = NULL;
            }
        }
    }
    call_free(call);
    return err;
}
