#include "swarm/breaker.h"

#include "swarm/private.h"

enum { BREAKER_JITTER_FRACTION = 4 };

void tern_breakers_init(struct tern_swarm *s, tern_time now)
{
    tern_map_init(&s->breakers.map, s->mem, s->peers.hash_key);
    s->breakers.deadline = TERN_TIME_NEVER;
    s->breakers.load_by = tern_time_add(now, SWARM_BREAKER_LOAD_NS);
}

static struct swarm_breaker *breaker_find(const struct tern_swarm *s, const struct tern_peer_id *id)
{
    struct tern_map_entry *entry = tern_map_find(&s->breakers.map, tern_peer_id_view(id));
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct swarm_breaker, entry);
}

static void breaker_free(struct tern_swarm *s, struct swarm_breaker *breaker)
{
    tern_map_remove(&s->breakers.map, &breaker->entry);
    tern_mem_free(s->mem, breaker, sizeof *breaker);
}

void tern_breakers_fini(struct tern_swarm *s)
{
    struct tern_map_entry *entry;
    while ((entry = tern_map_first(&s->breakers.map)) != NULL)
        breaker_free(s, TERN_CONTAINER_OF(entry, struct swarm_breaker, entry));
    tern_map_fini(&s->breakers.map);
}

/* --- times --- */

/* The jitter is the same each time and for each pair of peers another, so that those who lost one
 * peer together do not come back together, and what is to be expected can be told. */
static tern_time breaker_jitter(const struct tern_peer_id *own, const struct tern_peer_id *peer,
                                uint32_t failures, tern_time most)
{
    static const uint64_t key[2] = {0x7465726e6b656570, 0x627265616b657273};
    uint8_t bytes[2 * sizeof *own + sizeof failures];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_writer_bytes(&w, tern_peer_id_view(own));
    tern_writer_bytes(&w, tern_peer_id_view(peer));
    tern_writer_u32le(&w, failures);
    TERN_CHECK(tern_writer_ok(&w));
    return tern_siphash(key, tern_writer_view(&w)) % (most + 1);
}

tern_time tern_breaker_delay(const struct tern_peer_id *own, const struct tern_peer_id *peer,
                             uint32_t failures)
{
    tern_time delay = 0;
    if (failures > 0) {
        uint32_t doublings = failures - 1 < 16 ? failures - 1 : 16;
        delay = tern_time_min(SWARM_BREAKER_BASE_NS << doublings, SWARM_BREAKER_MAX_NS);
    }
    tern_time most = failures == 0 ? SWARM_BREAKER_BASE_NS : delay;
    return delay + breaker_jitter(own, peer, failures, most / BREAKER_JITTER_FRACTION);
}

/* breaker_next is when there is something to do for this one. */
static tern_time breaker_next(const struct swarm_breaker *breaker)
{
    if (breaker->connected)
        return breaker->proven_at;
    return breaker->state == TERN_BREAKER_OPEN ? breaker->retry_at : TERN_TIME_NEVER;
}

static void breaker_changed(struct tern_swarm *s, tern_time now, struct swarm_breaker *breaker)
{
    struct book_entry *entry = tern_book_entry_find(s, &breaker->id);
    s->breakers.deadline = tern_time_min(s->breakers.deadline, breaker_next(breaker));
    if (entry != NULL)
        tern_book_store_dirty(s, now, entry);
}

/* breaker_wait goes to OPEN, until it is time to try (again). */
static void breaker_wait(struct tern_swarm *s, tern_time now, struct swarm_breaker *breaker)
{
    breaker->state = TERN_BREAKER_OPEN;
    breaker->retry_at =
        tern_time_add(now, tern_breaker_delay(&s->own_id, &breaker->id, breaker->failures));
    breaker_changed(s, now, breaker);
}

static void breaker_failed(struct tern_swarm *s, tern_time now, struct swarm_breaker *breaker)
{
    if (s->down)
        return; /* that was us */
    breaker->failures += breaker->failures < UINT32_MAX;
    breaker_wait(s, now, breaker);
    TERN_TRACE(s->config.trace, now, SWARM_KEPT_FAILED, breaker->failures, breaker->retry_at, 0);
    tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_KEPT_FAILURES, 1);
}

/* --- what happens --- */

static void breaker_dial(struct tern_swarm *s, tern_time now, struct swarm_breaker *breaker)
{
    breaker->state = TERN_BREAKER_HALF_OPEN;
    breaker->token = tern_swarm_token(s);
    tern_err err = tern_swarm_dial(
        s, now,
        &(struct tern_dial_options){.id = &breaker->id, .token = breaker->token, .insist = true});
    if (err == TERN_OK)
        return;
    breaker->token = 0;
    breaker_failed(s, now, breaker);
}

bool tern_breakers_dialled(struct tern_swarm *s, tern_time now, tern_token token)
{
    if (token == 0)
        return false;
    TERN_MAP_FOREACH (entry, &s->breakers.map) {
        struct swarm_breaker *breaker = TERN_CONTAINER_OF(entry, struct swarm_breaker, entry);
        if (breaker->token != token)
            continue;
        breaker->token = 0;
        /* If there is or was a connection, its end is what counts. */
        if (breaker->state == TERN_BREAKER_HALF_OPEN && !breaker->connected)
            breaker_failed(s, now, breaker);
        return true;
    }
    return false;
}

void tern_breakers_peer_up(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id)
{
    struct swarm_breaker *breaker = breaker_find(s, id);
    if (breaker == NULL)
        return;
    tern_swarm_protect(s, tern_peers_find(s, id)->handle, TERN_PROTECT_KEPT);
    breaker->connected = true;
    breaker->state = TERN_BREAKER_HALF_OPEN;
    breaker->proven_at = tern_time_add(now, SWARM_BREAKER_PROOF_NS);
    breaker_changed(s, now, breaker);
}

void tern_breakers_peer_down(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id)
{
    struct swarm_breaker *breaker = breaker_find(s, id);
    if (breaker == NULL || !breaker->connected)
        return;
    bool proven = breaker->proven_at <= now || breaker->state == TERN_BREAKER_CLOSED;
    breaker->connected = false;
    breaker->proven_at = TERN_TIME_NEVER;
    if (proven && !s->down) {
        breaker->failures = 0;
        breaker_wait(s, now, breaker);
    } else {
        breaker_failed(s, now, breaker);
    }
}

/* breaker_due does what it is time for. */
static void breaker_due(struct tern_swarm *s, tern_time now, struct swarm_breaker *breaker)
{
    if (breaker->connected) {
        breaker->state = TERN_BREAKER_CLOSED;
        breaker->failures = 0;
        breaker->proven_at = TERN_TIME_NEVER;
        breaker_changed(s, now, breaker);
    } else {
        breaker_dial(s, now, breaker);
    }
}

/* breakers_ready: has the store told what it knows of failures, or had the time to? */
static bool breakers_ready(const struct tern_swarm *s, tern_time now)
{
    return s->book.store != BOOK_STORE_LOADING || s->breakers.load_by <= now;
}

void tern_breakers_run(struct tern_swarm *s, tern_time now)
{
    if (s->breakers.deadline > now || s->down || !breakers_ready(s, now))
        return;
    s->breakers.deadline = TERN_TIME_NEVER;
    TERN_MAP_FOREACH (entry, &s->breakers.map) { /* at most TERN_SWARM_KEPT_MAX */
        struct swarm_breaker *breaker = TERN_CONTAINER_OF(entry, struct swarm_breaker, entry);
        if (breaker_next(breaker) <= now)
            breaker_due(s, now, breaker);
        s->breakers.deadline = tern_time_min(s->breakers.deadline, breaker_next(breaker));
    }
}

tern_time tern_breakers_deadline(const struct tern_swarm *s)
{
    if (s->down || s->breakers.deadline == TERN_TIME_NEVER)
        return TERN_TIME_NEVER;
    if (s->book.store == BOOK_STORE_LOADING && s->breakers.deadline < s->breakers.load_by)
        return s->breakers.load_by;
    return s->breakers.deadline;
}

/* --- the book's rows --- */

const struct swarm_breaker *tern_breakers_find(const struct tern_swarm *s,
                                               const struct tern_peer_id *id)
{
    return breaker_find(s, id);
}

void tern_breakers_restore(struct tern_swarm *s, const struct tern_peer_id *id, uint32_t failures,
                           tern_time retry_at)
{
    struct swarm_breaker *breaker = breaker_find(s, id);
    if (breaker == NULL || breaker->state != TERN_BREAKER_OPEN || breaker->failures > 0 ||
        failures == 0)
        return;
    /* The wall clock may have jumped: never longer than the wait that it was. */
    tern_time latest =
        tern_time_add(s->now, tern_breaker_delay(&s->own_id, &breaker->id, failures));
    breaker->failures = failures;
    breaker->retry_at = tern_time_min(retry_at, latest);
    s->breakers.deadline = tern_time_min(s->breakers.deadline, breaker->retry_at);
}

/* --- what is asked of it --- */

tern_err tern_swarm_keep(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id)
{
    if (tern_peer_id_equal(id, &s->own_id))
        return TERN_ERR_SELF;
    if (breaker_find(s, id) != NULL)
        return TERN_OK;
    if (tern_map_count(&s->breakers.map) == TERN_SWARM_KEPT_MAX)
        return TERN_ERR_FULL;
    struct swarm_breaker *breaker = tern_mem_zalloc(s->mem, sizeof *breaker);
    if (breaker == NULL)
        return TERN_ERR_MEMORY;
    breaker->id = *id;
    breaker->state = TERN_BREAKER_OPEN;
    breaker->retry_at = now;
    breaker->proven_at = TERN_TIME_NEVER;
    if (tern_map_insert(&s->breakers.map, &breaker->entry, tern_peer_id_view(&breaker->id)) !=
        TERN_OK) {
        tern_mem_free(s->mem, breaker, sizeof *breaker);
        return TERN_ERR_MEMORY;
    }
    if (tern_swarm_find_peer(s, id) != 0)
        tern_breakers_peer_up(s, now, id);
    s->breakers.deadline = tern_time_min(s->breakers.deadline, breaker_next(breaker));
    return TERN_OK;
}

void tern_swarm_unkeep(struct tern_swarm *s, const struct tern_peer_id *id)
{
    struct swarm_breaker *breaker = breaker_find(s, id);
    if (breaker == NULL)
        return;
    if (breaker->connected)
        tern_swarm_unprotect(s, tern_swarm_find_peer(s, id), TERN_PROTECT_KEPT);
    breaker_free(s, breaker);
}

static void breaker_tell(const struct tern_swarm *s, struct tern_map_entry *at,
                         struct tern_kept_peer *kept)
{
    const struct swarm_breaker *breaker = TERN_CONTAINER_OF(at, struct swarm_breaker, entry);
    *kept = (struct tern_kept_peer){
        .id = breaker->id,
        .state = breaker->state,
        .failures = breaker->failures,
        .retry_at = breaker->state == TERN_BREAKER_OPEN ? breaker->retry_at : TERN_TIME_NEVER,
        .peer = tern_swarm_find_peer(s, &breaker->id),
    };
}

bool tern_swarm_kept_find(const struct tern_swarm *s, const struct tern_peer_id *id,
                          struct tern_kept_peer *kept)
{
    struct tern_map_entry *at = tern_map_find(&s->breakers.map, tern_peer_id_view(id));
    if (at != NULL)
        breaker_tell(s, at, kept);
    return at != NULL;
}

bool tern_swarm_kept_next(const struct tern_swarm *s, const struct tern_peer_id *after,
                          struct tern_kept_peer *kept)
{
    struct tern_map_entry *at = tern_map_first(&s->breakers.map);
    if (after != NULL) {
        const struct tern_map_entry *known =
            tern_map_find(&s->breakers.map, tern_peer_id_view(after));
        at = known == NULL ? NULL : tern_map_next(&s->breakers.map, known);
    }
    if (at != NULL)
        breaker_tell(s, at, kept);
    return at != NULL;
}
