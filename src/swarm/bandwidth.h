/*
 * Bandwidth: quotas of bytes a second, for everything and for each peer, in each direction; and
 * meters. Inside the swarm; what it means is told in manager.h.
 *
 *     transmit, a session's write, read ── allow ──► so many bytes now ── used ──► charged
 *                                            │ 0: held; woken when there is something to share
 *                                       ▼
 *     own bucket empty: the flow's timer ──► the line of those who wait for the total ──► turn
 *
 * A flow is one direction of one peer. Whoever waits for the total stands in one line and gets one
 * turn after the other, all of the same size, so busy peers share it evenly, and what others do not
 * need is theirs. A turn that is not used up goes back. Buckets may go into debt by what one frame
 * is longer than the turn; it is paid before the next.
 *
 * Out, a link is given less to send. In, streams give less to read, so that their credit goes back
 * later and the remote sends less. (Were the link read more slowly instead, pings and credit would
 * wait behind what is held: with a small quota for longer than a remote waits for its pong.) The
 * datagrams of sessions the swarm does not hold: out, too, their streams are held. A connection is
 * not held before its peer is known, nor when it ends.
 */
#ifndef TERN_SWARM_BANDWIDTH_H
#define TERN_SWARM_BANDWIDTH_H

#include "base/map.h"
#include "base/timer.h"
#include "swarm/manager.h"

struct swarm_peer;
struct swarm_conn;

struct swarm_bucket {
    uint64_t rate;  /* bytes a second; 0: no limit */
    uint64_t burst; /* at most so many tokens */
    int64_t tokens; /* negative: debt */
    tern_time at;
};

/* One direction of one peer. */
struct swarm_flow {
    struct swarm_bucket bucket;
    struct tern_list queue; /* in line for the total */
    int64_t turn;           /* of the total, taken and not used up */
    bool sleeps;            /* until its own bucket has enough */
    tern_connection last;   /* which of the peer's connections was woken last */
};

struct swarm_quota_override {
    struct tern_map_entry entry;
    struct tern_peer_id id;
    struct tern_quota quotas[TERN_DIRECTIONS];
};

struct swarm_bandwidth {
    bool on; /* some quota is set: nothing else is looked at on the way of a message */
    struct tern_quota peer_quotas[TERN_DIRECTIONS];
    struct swarm_bucket total[TERN_DIRECTIONS];
    struct tern_list queue[TERN_DIRECTIONS];
    struct tern_map overrides; /* by peer id */
    struct swarm_meter meter;
};

void tern_bandwidth_init(struct tern_swarm *s, tern_time now);
void tern_bandwidth_fini(struct tern_swarm *s);

/* tern_bandwidth_allow is how many bytes may pass now. 0: none; the flow is woken later, and the
 * connection's held_in or held_out is cleared then. Only when on. */
size_t tern_bandwidth_allow(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                            enum tern_direction direction);
/* tern_bandwidth_used charges what has passed; done: nothing more wants to pass now. */
void tern_bandwidth_used(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                         enum tern_direction direction, size_t size);
void tern_bandwidth_done(struct tern_swarm *s, struct swarm_conn *c, enum tern_direction direction);

/* tern_bandwidth_send is tern_conn_send, as far as the quotas let it. */
void tern_bandwidth_send(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                         struct tern_writer *out);
/* tern_bandwidth_release lets a connection that ends say what it has to. */
void tern_bandwidth_release(struct swarm_conn *c);

/* tern_bandwidth_run gives turns to those in line. */
void tern_bandwidth_run(struct tern_swarm *s, tern_time now);
tern_time tern_bandwidth_deadline(const struct tern_swarm *s);
struct tern_timer;
/* tern_bandwidth_timer: a flow's own bucket may have enough by now. */
void tern_bandwidth_timer(struct tern_swarm *s, tern_time now, struct tern_timer *timer);
void tern_bandwidth_peer_fini(struct tern_swarm *s, struct swarm_peer *peer);

/* tern_bandwidth_count meters bytes of a connection's link. */
void tern_bandwidth_count(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                          enum tern_direction direction, size_t size);
/* tern_bandwidth_count_session takes over what a session's transport has counted. */
void tern_bandwidth_count_session(struct tern_swarm *s, tern_time now, struct swarm_conn *c);

#endif
