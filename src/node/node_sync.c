/*
 * What sync asks of peers, and what they answer; and asking a peer to validate its chain.
 */
#include "node/node_private.h"
#include "swarm/manager.h"

static const tern_time SYNC_REQUEST_TIMEOUT_NS = 30 * TERN_SECOND; /* sync's own comes first */
static const tern_time REMOTE_POLL_NS = 200 * TERN_MILLISECOND;

enum { TOKEN_SHIFT = 56 };

void node_sync_step(struct tern_node *node, const struct tern_sync_in *in)
{
    struct tern_clock clock = node_clock(node);
    tern_sync_step(node->sync, &clock, in);
}

/* --- peers --- */

void node_peer_speaks(struct tern_node *node, tern_peer peer)
{
    struct tern_swarm *swarm = tern_host_core_swarm(node->host);
    if (!tern_swarm_peer_supports(swarm, peer, tern_view_str(node->names[NODE_STATUS])) ||
        node_find_peer(node, peer) != NULL || node->peers_count == NODE_PEERS_MAX)
        return;
    node->peers[node->peers_count++] = (struct node_peer){.peer = peer};
    tern_swarm_protect(swarm, peer, TERN_PROTECT_SYNC);
    node_sync_step(node, &(struct tern_sync_in){.kind = TERN_SYNC_PEER_UP, .peer = peer});
    node_pool_peer(node);
}

static void remote_end(struct tern_node *node, tern_err err,
                       const struct tern_node_validation *validation)
{
    struct tern_node_event event = {
        .kind = TERN_NODE_VALIDATED, .tag = node->remote_tag, .err = err};
    if (validation != NULL)
        event.validation = *validation;
    node->remote_peer = 0;
    node->remote_again = TERN_TIME_NEVER;
    node_push(node, &event);
}

void node_peer_gone(struct tern_node *node, tern_peer peer)
{
    struct node_peer *found = node_find_peer(node, peer);
    if (node->remote_peer == peer && peer != 0)
        remote_end(node, TERN_ERR_DISCONNECTED, NULL);
    if (found == NULL)
        return;
    *found = node->peers[--node->peers_count];
    node_sync_step(node, &(struct tern_sync_in){.kind = TERN_SYNC_PEER_DOWN, .peer = peer});
}

/* --- asking --- */

tern_err node_send_request(struct tern_node *node, tern_peer peer, enum node_token token_kind,
                           const struct tern_sync_out *out)
{
    static const enum node_protocol protocols[] = {[NODE_TOKEN_STATUS] = NODE_STATUS,
                                                   [NODE_TOKEN_HEADERS] = NODE_HEADERS,
                                                   [NODE_TOKEN_BLOCKS] = NODE_BLOCKS,
                                                   [NODE_TOKEN_VALIDATE] = NODE_VALIDATE,
                                                   [NODE_TOKEN_TXS] = NODE_TXS};
    TERN_CHECK(out->token >> TOKEN_SHIFT == 0);
    node->messages_out++;
    return tern_request_send(
        tern_host_core_requests(node->host), node->now,
        &(struct tern_request){.peer = peer,
                               .protocol = tern_view_str(node->names[protocols[token_kind]]),
                               .class = TERN_STREAM_BLOCKS,
                               .body = out->bytes,
                               .token = (uint64_t)token_kind << TOKEN_SHIFT | out->token,
                               .timeout_ns = SYNC_REQUEST_TIMEOUT_NS});
}

static void sync_ask(struct tern_node *node, enum node_token token_kind,
                     const struct tern_sync_out *out)
{
    struct tern_sync_in failed = {.kind = TERN_SYNC_FAILED, .peer = out->peer, .token = out->token};
    if (node_send_request(node, out->peer, token_kind, out) != TERN_OK)
        node_sync_step(node, &failed);
}

bool node_sync_pump(struct tern_node *node)
{
    struct tern_sync_out out;
    bool any = false;
    while (tern_sync_next(node->sync, &out)) {
        any = true;
        switch (out.kind) {
        case TERN_SYNC_ASK_STATUS:
            sync_ask(node, NODE_TOKEN_STATUS, &out);
            break;
        case TERN_SYNC_ASK_HEADERS:
            sync_ask(node, NODE_TOKEN_HEADERS, &out);
            break;
        case TERN_SYNC_ASK_BLOCKS:
            sync_ask(node, NODE_TOKEN_BLOCKS, &out);
            break;
        case TERN_SYNC_DELIVER:
            node_deliver(node, &out);
            break;
        case TERN_SYNC_OUT_JOB:
            node_emit_job(node, out.job, NODE_OWNER_SYNC);
            break;
        case TERN_SYNC_BLAME:
            tern_swarm_report(tern_host_core_swarm(node->host), node->now, out.peer, out.fault);
            break;
        }
    }
    return any;
}

/* --- answers --- */

/* Keeps what a peer says its height is, for showing. */
static void sync_note_status(struct tern_node *node, tern_peer peer, struct tern_view bytes)
{
    struct tern_sync_status status;
    struct node_peer *found = node_find_peer(node, peer);
    if (found != NULL && tern_sync_status_decode(bytes, &status) == TERN_OK)
        found->height = status.height;
}

static void remote_answer(struct tern_node *node, const struct tern_request_event *event)
{
    struct tern_sync_validation told;
    if (node->remote_peer != event->peer)
        return;
    if (event->err != TERN_OK || event->answer.code != TERN_REQUEST_OK) {
        remote_end(node, event->err == TERN_OK ? TERN_ERR_REFUSED : event->err, NULL);
        return;
    }
    if (tern_sync_validation_decode(event->answer.body, &told) != TERN_OK) {
        tern_swarm_report(tern_host_core_swarm(node->host), node->now, event->peer,
                          TERN_FAULT_CHAIN_SYNC_MALFORMED);
        remote_end(node, TERN_ERR_PROTOCOL, NULL);
        return;
    }
    if (told.state == TERN_VALIDATION_RUNNING || told.state == TERN_VALIDATION_NEVER) {
        node->remote_again = tern_time_add(node->now, REMOTE_POLL_NS);
        return;
    }
    struct tern_node_validation validation;
    node_copy_validation(&told, &validation);
    remote_end(node, TERN_OK, &validation);
}

void node_response(struct tern_node *node, const struct tern_request_event *event)
{
    enum node_token kind = (enum node_token)(event->token >> TOKEN_SHIFT);
    struct tern_sync_in in = {.kind = TERN_SYNC_FAILED,
                              .peer = event->peer,
                              .token = event->token & ((UINT64_C(1) << TOKEN_SHIFT) - 1),
                              .bytes = event->answer.body};
    node->messages_in++;
    if (kind == NODE_TOKEN_VALIDATE) {
        remote_answer(node, event);
        return;
    }
    if (kind == NODE_TOKEN_TXS) {
        node_pool_response(node, event);
        return;
    }
    if (node_find_peer(node, event->peer) == NULL)
        return; /* sync knows that it has gone */
    if (event->err == TERN_OK && event->answer.code == TERN_REQUEST_OK) {
        if (kind == NODE_TOKEN_STATUS) {
            in.kind = TERN_SYNC_STATUS;
            sync_note_status(node, event->peer, event->answer.body);
        } else {
            in.kind = kind == NODE_TOKEN_HEADERS ? TERN_SYNC_HEADERS : TERN_SYNC_BLOCKS;
        }
    }
    node_sync_step(node, &in);
}

/* --- asking a peer to validate its chain --- */

static tern_err remote_ask(struct tern_node *node, bool restart)
{
    uint8_t bytes[16];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_sync_get_validation_encode(restart, &w);
    TERN_CHECK(tern_writer_ok(&w));
    struct tern_sync_out out = {.bytes = tern_writer_view(&w)};
    node->remote_again = TERN_TIME_NEVER;
    return node_send_request(node, node->remote_peer, NODE_TOKEN_VALIDATE, &out);
}

tern_err tern_node_validate_peer(struct tern_node *node, tern_time now, tern_peer peer,
                                 uint64_t tag)
{
    node->now = now;
    if (node->remote_peer != 0)
        return TERN_ERR_FULL;
    node->remote_peer = peer;
    node->remote_tag = tag;
    tern_err err = remote_ask(node, true);
    if (err != TERN_OK)
        node->remote_peer = 0;
    return err;
}

tern_time node_remote_deadline(const struct tern_node *node)
{
    return node->remote_again;
}

void node_remote_tick(struct tern_node *node)
{
    if (node->remote_peer == 0 || node->now < node->remote_again)
        return;
    tern_err err = remote_ask(node, false);
    if (err != TERN_OK)
        remote_end(node, err, NULL);
}
