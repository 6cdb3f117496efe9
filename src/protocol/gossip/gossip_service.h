/*
 * Gossip on the swarm: opens one stream to each peer that speaks a pubsub protocol, accepts one
 * from it, frames RPCs, and queues what a peer's stream cannot take yet. The protocol itself is
 * gossip.h.
 *
 * A slow peer costs at most TERN_GOSSIP_QUEUE_MAX messages and TERN_GOSSIP_QUEUE_BYTES_MAX bytes;
 * when its queue fills, forwarded messages are dropped first, then our own, control last.
 *
 * Events wait in a bounded queue for the host: a subscriber that does not keep up loses messages,
 * and the metric says how many.
 */
#ifndef TERN_PROTOCOL_GOSSIP_GOSSIP_SERVICE_H
#define TERN_PROTOCOL_GOSSIP_GOSSIP_SERVICE_H

#include "protocol/gossip/gossip.h"
#include "swarm/swarm.h"

enum {
    TERN_GOSSIP_QUEUE_MAX = 4096,
    TERN_GOSSIP_QUEUE_BYTES_MAX = 16 << 20,
    TERN_GOSSIP_EVENTS_MAX = 16384,
    TERN_GOSSIP_EVENTS_BYTES_MAX = 64 << 20,
};

struct tern_gossip_service;

struct tern_gossip_service_options {
    struct tern_mem *mem;
    struct tern_random *random;
    struct tern_trace *trace;
    struct tern_metrics *metrics;
    struct tern_gossip_params params;
    enum tern_gossip_policy policy;
};

/* tern_gossip_service_new adds the service to a swarm that has had no input yet. It is freed after
 * the swarm's streams are, before the swarm. */
TERN_NODISCARD tern_err tern_gossip_service_new(const struct tern_gossip_service_options *options,
                                                struct tern_swarm *swarm, tern_time now,
                                                struct tern_gossip_service **service);
void tern_gossip_service_free(struct tern_gossip_service *service);

/* As tern_gossip_subscribe and its siblings. */
TERN_NODISCARD tern_err tern_gossip_service_subscribe(struct tern_gossip_service *service,
                                                      tern_time now, struct tern_view topic,
                                                      unsigned flags);
void tern_gossip_service_unsubscribe(struct tern_gossip_service *service, tern_time now,
                                     struct tern_view topic);
TERN_NODISCARD tern_err tern_gossip_service_publish(struct tern_gossip_service *service,
                                                    tern_time now, struct tern_view topic,
                                                    struct tern_view data);
void tern_gossip_service_verdict(struct tern_gossip_service *service, tern_time now,
                                 tern_gossip_handle handle, enum tern_gossip_verdict verdict);

enum tern_gossip_event_kind {
    TERN_GOSSIP_EVENT_MESSAGE,      /* message, handle, chunk (keep the bytes by a reference) */
    TERN_GOSSIP_EVENT_SUBSCRIBED,   /* peer, message.topic */
    TERN_GOSSIP_EVENT_UNSUBSCRIBED, /* peer, message.topic */
};

struct tern_gossip_event {
    enum tern_gossip_event_kind kind;
    struct tern_chunk *chunk;
    struct tern_gossip_delivery message;
    tern_gossip_handle handle;
    struct tern_peer_id peer; /* who sent it to us; size 0: that peer has gone */
};

/* tern_gossip_service_next gives an event; its bytes are borrowed until the next call. */
bool tern_gossip_service_next(struct tern_gossip_service *service, struct tern_gossip_event *event);

/* tern_gossip_service_peers lists who is subscribed to a topic, or in our mesh for it. */
enum tern_gossip_list { TERN_GOSSIP_LIST_SUBSCRIBERS, TERN_GOSSIP_LIST_MESH };
size_t tern_gossip_service_peers(const struct tern_gossip_service *service,
                                 enum tern_gossip_list list, struct tern_view topic,
                                 struct tern_peer_id *peers, size_t max);

#endif
