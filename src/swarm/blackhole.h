/*
 * Detection of networks that swallow whole classes of dials: UDP, or IPv6. Inside the swarm.
 *
 * Where a firewall drops all UDP, or a router gives out IPv6 that leads nowhere, every dial of that
 * kind costs its time-out, and the addresses behind are tried the later. So the last
 * SWARM_BLACK_HOLE_DIALS dials of each class to public addresses are remembered:
 *
 *     PROBING ── so many are known, at least SWARM_BLACK_HOLE_SUCCESSES worked ──► ALLOWED
 *        │ ▲                                                                        │ fewer did
 *        │ └── one works after all ── BLOCKED ◄── so many are known, fewer worked ◄─┘
 *        └───────────────────────────────▲
 *
 * While BLOCKED, one dial in SWARM_BLACK_HOLE_DIALS tries the class all the same. The numbers are
 * go-libp2p's. Unlike there, what was answered is no failure whatever was said, and an attempt that
 * lost the race to another one counts as failed only if it began no later than that one.
 *
 * Pure, not thread safe.
 */
#ifndef TERN_SWARM_BLACKHOLE_H
#define TERN_SWARM_BLACKHOLE_H

#include "base/types.h"
#include "swarm/swarm.h"

enum { SWARM_BLACK_HOLE_DIALS = 100, SWARM_BLACK_HOLE_SUCCESSES = 5 };

struct swarm_black_hole {
    enum tern_black_hole_state state;
    uint64_t results[2]; /* a ring of bits: 1 worked */
    uint32_t head;       /* where the next result goes */
    uint32_t count;
    uint32_t successes; /* of them */
    uint32_t requests;  /* dials that asked */
};

/* tern_black_hole_ask: may a dial try the class? Also counts that it asked. */
bool tern_black_hole_ask(struct swarm_black_hole *hole);
void tern_black_hole_result(struct swarm_black_hole *hole, bool success);

/* tern_black_hole_classes is the classes of a route, as bits of TERN_BLACK_HOLE_BIT; 0: its address
 * is not public. */
uint32_t tern_black_hole_classes(const struct tern_route *route);

/* --- of a swarm --- */

/* tern_black_holes_asked judges a route for a dial, which keeps what it has asked in its own bits;
 * the classes that forbid it are the result, 0: it may be tried. */
uint32_t tern_black_holes_asked(struct tern_swarm *s, const struct tern_route *route,
                                uint32_t *asked, uint32_t *allowed);
void tern_black_holes_result(struct tern_swarm *s, tern_time now, const struct tern_route *route,
                             bool success);

#endif
