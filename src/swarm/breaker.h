/*
 * Kept peers: dialled until they are connected, and again when they are lost; a circuit breaker for
 * each. Inside the swarm; what it means is told in manager.h.
 *
 *     CLOSED ── lost after it had proven itself: dialled at once ──────────────► HALF_OPEN
 *       ▲                                                                        │   │
 *       └───────── connected for BREAKER_PROOF_NS: failures forgotten ───────────┘   │ dial failed,
 *                                                                                    │ or lost
 * before OPEN ◄── waits for tern_breaker_delay(failures) ───────────────────────────────┘ the proof
 *       └───── retry_at ──► HALF_OPEN (one dial)
 *
 * What is known of failures lies in the address book's rows of the store, so a restart neither
 * forgets them nor dials early.
 */
#ifndef TERN_SWARM_BREAKER_H
#define TERN_SWARM_BREAKER_H

#include "base/map.h"
#include "swarm/manager.h"

#define SWARM_BREAKER_PROOF_NS (10 * TERN_SECOND) /* who goes sooner has failed */
#define SWARM_BREAKER_BASE_NS  (1 * TERN_SECOND)
#define SWARM_BREAKER_MAX_NS   (5 * TERN_MINUTE)
#define SWARM_BREAKER_LOAD_NS  (5 * TERN_SECOND) /* so long the store may take to tell */

struct swarm_breaker {
    struct tern_map_entry entry;
    struct tern_peer_id id;
    enum tern_breaker_state state;
    uint32_t failures;   /* in a row */
    tern_time retry_at;  /* OPEN: when it is dialled */
    tern_time proven_at; /* connected: when it has proven itself; or NEVER */
    tern_token token;    /* of the dial under way; 0: none */
    bool connected;
};

struct swarm_breakers {
    struct tern_map map;
    tern_time deadline; /* nothing is due before; or NEVER */
    tern_time load_by;
};

void tern_breakers_init(struct tern_swarm *s, tern_time now);
void tern_breakers_fini(struct tern_swarm *s);
/* tern_breakers_run does what is due: in dispatch, before the rest. */
void tern_breakers_run(struct tern_swarm *s, tern_time now);
tern_time tern_breakers_deadline(const struct tern_swarm *s);
/* tern_breakers_dialled: a dial has ended; false: it is nobody's here. */
bool tern_breakers_dialled(struct tern_swarm *s, tern_time now, tern_token token);
void tern_breakers_peer_up(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id);
void tern_breakers_peer_down(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id);

/* tern_breaker_delay is how long to wait after so many failures in a row, with the jitter of these
 * two peers. */
tern_time tern_breaker_delay(const struct tern_peer_id *own, const struct tern_peer_id *peer,
                             uint32_t failures);

/* tern_breakers_find is for the book's rows; NULL: it is not kept. tern_breakers_restore takes over
 * what a row says. */
const struct swarm_breaker *tern_breakers_find(const struct tern_swarm *s,
                                               const struct tern_peer_id *id);
void tern_breakers_restore(struct tern_swarm *s, const struct tern_peer_id *id, uint32_t failures,
                           tern_time retry_at);

#endif
