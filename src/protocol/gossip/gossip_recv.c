/*
 * Working through an RPC, a field at a time: nothing an RPC holds is expanded before it is needed,
 * so a megabyte of tiny entries costs a megabyte and no more.
 */
#include "protocol/gossip/gossip_private.h"

void tern_gossip_rpc(struct tern_gossip *g, tern_time now, uint32_t peer, struct tern_view rpc)
{
    TERN_CHECK(peer < g->peers_count && g->peers[peer].used);
    TERN_CHECK(!g->input.active);
    g->now = now;
    if (rpc.size > g->params.message_size_max) {
        gossip_fault(g, peer, TERN_FAULT_GOSSIP_RPC_TOO_LARGE);
        return;
    }
    g->input = (struct gossip_input){.active = true,
                                     .peer = peer,
                                     .generation = g->peers[peer].generation,
                                     .rpc = tern_pb_iter_of(rpc)};
}

void gossip_malformed(struct tern_gossip *g, uint32_t peer)
{
    gossip_fault(g, peer, TERN_FAULT_GOSSIP_RPC_MALFORMED);
    g->input.active = false;
}

static void recv_unsubscribed(struct tern_gossip *g, struct gossip_topic *topic, uint32_t peer)
{
    struct topic_member *member = gossip_member_find(topic, peer);
    gossip_mesh_remove(topic, peer);
    if (member == NULL || (member->flags & TOPIC_SUBSCRIBER) == 0)
        return;
    member->flags &= (uint8_t)~TOPIC_SUBSCRIBER;
    topic->subscribers_count--;
    g->peers[peer].topics_count--;
    gossip_queue(
        g, &(struct gossip_queued){.kind = QUEUED_UNSUBSCRIBED, .peer = peer, .topic = topic});
}

/* The row of a new subscriber; NULL: it is one already, or cannot become one. */
static struct topic_member *recv_subscriber(struct tern_gossip *g, struct tern_view name,
                                            uint32_t slot, struct gossip_topic **topic)
{
    struct gossip_topic *known = gossip_find_topic(g, name);
    struct topic_member *member = known == NULL ? NULL : gossip_member_find(known, slot);
    if (member != NULL && (member->flags & TOPIC_SUBSCRIBER) != 0)
        return NULL;
    if (name.size > g->params.topic_size_max ||
        g->peers[slot].topics_count >= g->params.topics_per_peer_max) {
        gossip_fault(g, slot, TERN_FAULT_GOSSIP_SUBSCRIPTIONS);
        return NULL;
    }
    tern_err err = gossip_get_topic(g, name, GOSSIP_THEIRS, topic);
    if (err == TERN_ERR_FULL)
        gossip_fault(g, slot, TERN_FAULT_GOSSIP_TOPICS_FULL);
    if (err != TERN_OK)
        return NULL;
    member = gossip_member(g, *topic, slot);
    if (member == NULL)
        gossip_forget_topic(g, *topic);
    return member;
}

static void recv_subscribed(struct tern_gossip *g, struct tern_view name, uint32_t slot)
{
    struct gossip_topic *topic;
    struct topic_member *member = recv_subscriber(g, name, slot, &topic);
    if (member == NULL)
        return;
    member->flags |= TOPIC_SUBSCRIBER;
    topic->subscribers_count++;
    g->peers[slot].topics_count++;
    gossip_queue(g,
                 &(struct gossip_queued){.kind = QUEUED_SUBSCRIBED, .peer = slot, .topic = topic});
    if (topic->joined && topic->mesh_count < g->params.d_lo)
        gossip_join(g, topic);
}

static void recv_subscription(struct tern_gossip *g, uint32_t peer, struct tern_view raw)
{
    struct tern_gossip_subscription sub;
    if (tern_gossip_subscription_decode(raw, &sub) != TERN_OK) {
        gossip_malformed(g, peer);
        return;
    }
    if (g->input.subscriptions++ >= g->params.subscriptions_per_rpc_max) {
        if (g->input.subscriptions == g->params.subscriptions_per_rpc_max + 1)
            gossip_fault(g, peer, TERN_FAULT_GOSSIP_SUBSCRIPTIONS);
        return;
    }
    if (sub.subscribe) {
        recv_subscribed(g, sub.topic, peer);
        return;
    }
    struct gossip_topic *topic = gossip_find_topic(g, sub.topic);
    if (topic != NULL)
        recv_unsubscribed(g, topic, peer);
}

static void recv_control(struct tern_gossip *g, uint32_t peer, const struct tern_pb_field *field)
{
    switch (field->tag) {
    case TERN_PB_TAG(TERN_GOSSIP_CONTROL_IHAVE, TERN_PB_BYTES):
        gossip_on_ihave(g, peer, field->bytes);
        break;
    case TERN_PB_TAG(TERN_GOSSIP_CONTROL_IWANT, TERN_PB_BYTES):
        gossip_on_iwant(g, peer, field->bytes);
        break;
    case TERN_PB_TAG(TERN_GOSSIP_CONTROL_GRAFT, TERN_PB_BYTES):
        gossip_on_graft(g, peer, field->bytes);
        break;
    case TERN_PB_TAG(TERN_GOSSIP_CONTROL_PRUNE, TERN_PB_BYTES):
        gossip_on_prune(g, peer, field->bytes);
        break;
    default:
        break; /* an extension we do not know */
    }
}

/* One entry of the control message. */
static void recv_control_step(struct tern_gossip *g)
{
    struct tern_pb_field field;
    if (tern_pb_next(&g->input.control, &field)) {
        recv_control(g, g->input.peer, &field);
        return;
    }
    g->input.in_control = false;
    if (tern_pb_end(&g->input.control) != TERN_OK)
        gossip_malformed(g, g->input.peer);
}

/* One field of the RPC. */
static void recv_step(struct tern_gossip *g)
{
    struct tern_pb_field field;
    uint32_t peer = g->input.peer;
    if (!tern_pb_next(&g->input.rpc, &field)) {
        g->input.active = false;
        if (tern_pb_end(&g->input.rpc) != TERN_OK)
            gossip_malformed(g, peer);
        return;
    }
    bool graylisted = g->peers[peer].score < g->params.score_graylist_min;
    switch (field.tag) {
    case TERN_PB_TAG(TERN_GOSSIP_RPC_SUBSCRIPTION, TERN_PB_BYTES):
        recv_subscription(g, peer, field.bytes);
        break;
    case TERN_PB_TAG(TERN_GOSSIP_RPC_PUBLISH, TERN_PB_BYTES):
        if (!graylisted)
            gossip_message_arrived(g, peer, field.bytes);
        break;
    case TERN_PB_TAG(TERN_GOSSIP_RPC_CONTROL, TERN_PB_BYTES):
        if (graylisted || g->peers[peer].kind == TERN_GOSSIP_FLOODSUB)
            break;
        g->input.in_control = true;
        g->input.control = tern_pb_iter_of(field.bytes);
        break;
    default:
        break; /* an extension we do not know */
    }
}

bool gossip_work(struct tern_gossip *g)
{
    while (g->input.active) {
        if (g->input.in_control)
            recv_control_step(g);
        else
            recv_step(g);
        if (tern_ring_count(&g->outs) > 0)
            return true;
    }
    return false;
}
