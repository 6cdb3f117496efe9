/*
 * What the node is given: transactions, blocks, and the order to validate.
 */
#include <stdio.h>

#include "app/ternd/node_private.h"

static void submit_judged(struct node_call *call, const struct tern_node_event *event)
{
    struct node_verdict *verdict = call->out;
    *verdict = (struct node_verdict){.err = event->err, .fault = event->fault, .hash = event->hash};
    node_call_done(call, TERN_OK);
}

static void submit_validated(struct node_call *call, const struct tern_node_event *event)
{
    struct node_validation *out = call->out;
    const struct tern_node_validation *from = &event->validation;
    if (event->err != TERN_OK) {
        node_call_done(call, event->err);
        return;
    }
    out->valid = from->state == TERN_VALIDATION_GOOD;
    out->height = from->checked_height;
    out->head_height = from->head_height;
    out->bad_height = from->bad_height;
    snprintf(out->fault, sizeof out->fault, "%.*s", (int)sizeof from->fault, from->fault);
    node_call_done(call, TERN_OK);
}

void node_answer(struct node_call *call, const struct tern_node_event *event)
{
    if (event->kind == TERN_NODE_VALIDATED)
        submit_validated(call, event);
    else
        submit_judged(call, event);
}

/* Ends the call when what it began failed at once. */
static void submit_begun(struct node_call *call, tern_err err)
{
    if (err != TERN_OK)
        node_call_done(call, err);
}

static void submit_tx(struct node_call *call)
{
    node_call_wait(call);
    submit_begun(call, tern_node_submit_tx(call->node->core, tern_loop_now(),
                                           tern_view_of(call->in, call->in_size), call->tag));
}

static void submit_block(struct node_call *call)
{
    node_call_wait(call);
    submit_begun(call, tern_node_submit_block(call->node->core, tern_loop_now(),
                                              tern_view_of(call->in, call->in_size), call->tag));
}

static tern_err submit_ask(struct node *node, void (*begin)(struct node_call *),
                           struct tern_view bytes, struct node_verdict *verdict)
{
    return node_ask(node, &(struct node_question){.begin = begin,
                                                  .in = bytes.data,
                                                  .in_size = bytes.size,
                                                  .out = verdict,
                                                  .out_size = sizeof *verdict,
                                                  .wait_ms = NODE_WAIT_MS});
}

tern_err node_submit_tx(struct node *node, struct tern_view bytes, struct node_verdict *verdict)
{
    return submit_ask(node, submit_tx, bytes, verdict);
}

tern_err node_submit_block(struct node *node, struct tern_view bytes, struct node_verdict *verdict)
{
    return submit_ask(node, submit_block, bytes, verdict);
}

/* --- validation --- */

static void submit_validate(struct node_call *call)
{
    node_call_wait(call);
    submit_begun(call, tern_node_validate(call->node->core, tern_loop_now(), call->tag));
}

static void submit_validate_peer(struct node_call *call)
{
    const struct tern_peer_id *id = call->in;
    struct tern_swarm *swarm = tern_host_core_swarm(tern_node_host(call->node->core));
    tern_peer peer = tern_swarm_find_peer(swarm, id);
    if (peer == 0) {
        node_call_done(call, TERN_ERR_NOT_FOUND);
        return;
    }
    node_call_wait(call);
    submit_begun(call, tern_node_validate_peer(call->node->core, tern_loop_now(), peer, call->tag));
}

tern_err node_validate(struct node *node, const char *peer, struct node_validation *validation)
{
    struct tern_peer_id id;
    struct node_question question = {.begin = submit_validate,
                                     .out = validation,
                                     .out_size = sizeof *validation,
                                     .wait_ms = NODE_VALIDATE_MS};
    if (peer == NULL)
        return node_ask(node, &question);
    if (tern_peer_id_parse(tern_view_str(peer), &id) != TERN_OK)
        return TERN_ERR_INVALID;
    question.begin = submit_validate_peer;
    question.in = &id;
    question.in_size = sizeof id;
    return node_ask(node, &question);
}
