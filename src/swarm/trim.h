/*
 * Trimming: which peers go when there are too many connections. Inside the swarm; what it means is
 * told in manager.h.
 *
 *     OFF ── more than connections_high, the interval has passed ──► SCAN ── all peers seen ──► end
 *      ▲                                                              ▲   the worst, as many as it
 *      └──── low enough, or nothing more may go ──── a batch was ended┘   takes, at most a batch
 *
 * A scan looks at a slice of the peers in each dispatch and keeps the worst of them in a heap, so a
 * dispatch never does more than a slice, however many peers there are. Rotation is a scan of peers
 * that we dialled.
 */
#ifndef TERN_SWARM_TRIM_H
#define TERN_SWARM_TRIM_H

#include "swarm/manager.h"

struct swarm_peer;

enum { SWARM_TRIM_BATCH = 64, SWARM_TRIM_SLICE = 512, SWARM_TRIM_ROOM_LOOK = 64 };

enum swarm_trim_state { SWARM_TRIM_OFF, SWARM_TRIM_SCAN, SWARM_TRIM_ROTATE };

/* One who may go, as it was when it was looked at. */
struct swarm_trim_candidate {
    tern_peer peer;
    int64_t value;
    tern_time since;
    uint32_t connections; /* open ones */
    uint32_t streams;
    uint32_t active; /* streams that keep it in use */
    bool inbound;
};

struct swarm_trim {
    enum swarm_trim_state state;
    bool forced;               /* whatever the interval */
    struct swarm_peer *cursor; /* the scan goes on here; NULL: at its end */
    struct swarm_peer *look;   /* where room was looked for last; NULL: at the start */
    uint32_t eligible;         /* peers of this scan that may go */
    uint32_t settled;          /* connections that it has seen of peers that are not new */
    struct swarm_trim_candidate heap[SWARM_TRIM_BATCH]; /* the best of these worst on top */
    uint32_t heap_count;
    tern_time next_at;   /* not before */
    tern_time rotate_at; /* or NEVER */
};

void tern_trim_init(struct tern_swarm *s, tern_time now);
/* tern_trim_run begins what is due, and does one slice. tern_trim_busy: there is more to do now. */
void tern_trim_run(struct tern_swarm *s, tern_time now);
bool tern_trim_busy(const struct tern_swarm *s);
tern_time tern_trim_deadline(const struct tern_swarm *s);
/* tern_trim_forget: this peer leaves the table. */
void tern_trim_forget(struct tern_swarm *s, const struct swarm_peer *peer);
/* tern_trim_make_room ends one peer in favour of whoever comes from there, if that may be. */
void tern_trim_make_room(struct tern_swarm *s, tern_time now, const struct tern_ip *newcomer);

#endif
