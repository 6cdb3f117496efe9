/*
 * Faults of peers: counted, traced, and weighed. Each peer with faults has a sum of their weights,
 * which halves every FAULTS_HALF_LIFE_NS. At FAULTS_BAN_WEIGHT the peer is refused for a while,
 * twice as long each time. The table outlives connections and is bounded; the longest untouched
 * makes room, a banned one only when all are.
 */
#include "swarm/private.h"

#define FAULTS_HALF_LIFE_NS (10 * TERN_MINUTE)
#define FAULTS_BAN_NS       (5 * TERN_MINUTE)
#define FAULTS_BAN_MAX_NS   (4 * TERN_HOUR)

enum { FAULTS_BAN_WEIGHT = 100, FAULTS_BANS_COUNTED_MAX = 6, FAULTS_SCALE = 256 };

struct ban {
    struct tern_map_entry entry;
    struct tern_list lru;
    struct tern_peer_id id;
    uint32_t weight; /* times FAULTS_SCALE, as of updated_at */
    uint32_t bans;   /* so far */
    tern_time updated_at;
    tern_time until;
};

void tern_bans_init(struct tern_swarm *s)
{
    const uint64_t key[2] = {tern_random_u64(s->config.random), tern_random_u64(s->config.random)};
    tern_map_init(&s->bans.map, s->mem, key);
    tern_list_init(&s->bans.lru);
}

static void ban_free(struct tern_swarm *s, struct ban *ban)
{
    tern_map_remove(&s->bans.map, &ban->entry);
    tern_list_remove(&ban->lru);
    tern_mem_free(s->mem, ban, sizeof *ban);
}

void tern_bans_fini(struct tern_swarm *s)
{
    struct tern_list *node;
    while ((node = tern_list_front(&s->bans.lru)) != NULL)
        ban_free(s, TERN_LIST_ENTRY(node, struct ban, lru));
    tern_map_fini(&s->bans.map);
}

static struct ban *ban_find(const struct tern_swarm *s, const struct tern_peer_id *id)
{
    struct tern_map_entry *entry = tern_map_find(&s->bans.map, tern_peer_id_view(id));
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct ban, entry);
}

static void ban_make_room(struct tern_swarm *s, tern_time now)
{
    struct tern_list *oldest = tern_list_front(&s->bans.lru);
    if (oldest == NULL || tern_map_count(&s->bans.map) < SWARM_BANS_MAX)
        return;
    TERN_LIST_FOREACH (node, &s->bans.lru) {
        if (TERN_LIST_ENTRY(node, struct ban, lru)->until <= now) {
            oldest = node;
            break;
        }
    }
    ban_free(s, TERN_LIST_ENTRY(oldest, struct ban, lru));
}

static struct ban *ban_new(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id)
{
    ban_make_room(s, now);
    struct ban *ban = tern_mem_zalloc(s->mem, sizeof *ban);
    if (ban == NULL)
        return NULL;
    ban->id = *id;
    if (tern_map_insert(&s->bans.map, &ban->entry, tern_peer_id_view(&ban->id)) != TERN_OK) {
        tern_mem_free(s->mem, ban, sizeof *ban);
        return NULL;
    }
    ban->updated_at = now;
    tern_list_push_back(&s->bans.lru, &ban->lru);
    return ban;
}

/* ban_weight_at is the sum as it has decayed: halved per half-life, linear in between. */
static uint32_t ban_weight_at(const struct ban *ban, tern_time now)
{
    tern_time age = tern_time_since(now, ban->updated_at);
    uint64_t halvings = age / FAULTS_HALF_LIFE_NS;
    if (halvings >= 32)
        return 0;
    uint64_t weight = ban->weight >> halvings;
    uint64_t part = age % FAULTS_HALF_LIFE_NS / TERN_SECOND; /* below 600 */
    return (uint32_t)(weight - weight * part / (2 * (FAULTS_HALF_LIFE_NS / TERN_SECOND)));
}

/* ban_add adds a fault's weight; true: that was enough for a ban. */
static bool ban_add(struct tern_swarm *s, tern_time now, struct ban *ban, unsigned weight)
{
    ban->weight = ban_weight_at(ban, now) + weight * FAULTS_SCALE;
    ban->updated_at = now;
    tern_list_remove(&ban->lru);
    tern_list_push_back(&s->bans.lru, &ban->lru);
    if (ban->until > now)
        return true;
    if (ban->weight < FAULTS_BAN_WEIGHT * FAULTS_SCALE)
        return false;
    ban->until = tern_time_add(now, tern_time_min(FAULTS_BAN_NS << ban->bans, FAULTS_BAN_MAX_NS));
    ban->bans += ban->bans < FAULTS_BANS_COUNTED_MAX;
    ban->weight = 0; /* it has been paid for */
    tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_BANS, 1);
    return true;
}

bool tern_faults_add(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id,
                     tern_fault fault)
{
    TERN_CHECK(fault < TERN_FAULT_COUNT);
    tern_metrics_fault(s->config.metrics, fault);
    unsigned weight = tern_fault_weight(fault);
    TERN_TRACE(s->config.trace, now, SWARM_FAULT, fault, weight, id != NULL);
    if (id == NULL || weight == 0)
        return false;
    struct ban *ban = ban_find(s, id);
    if (ban == NULL)
        ban = ban_new(s, now, id);
    if (ban == NULL) /* no memory to remember by: what would be a ban at once still ends it */
        return weight >= FAULTS_BAN_WEIGHT;
    bool banned = ban_add(s, now, ban, weight);
    if (banned)
        TERN_TRACE(s->config.trace, now, SWARM_BANNED, fault, ban->until, ban->bans);
    return banned;
}

void tern_swarm_report(struct tern_swarm *s, tern_time now, tern_peer handle, tern_fault fault)
{
    struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    if (!tern_faults_add(s, now, peer == NULL ? NULL : &peer->id, fault))
        return;
    TERN_LIST_FOREACH (node, &peer->connections) {
        struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, siblings);
        tern_conns_close(s, now, c, TERN_CONNECTION_CODE_VIOLATION, TERN_ERR_PROTOCOL);
    }
}

uint32_t tern_swarm_faults_weight(const struct tern_swarm *s, tern_time now,
                                  const struct tern_peer_id *id)
{
    const struct ban *ban = ban_find(s, id);
    return ban == NULL ? 0 : ban_weight_at(ban, now) / FAULTS_SCALE;
}

bool tern_swarm_banned(const struct tern_swarm *s, tern_time now, const struct tern_peer_id *id)
{
    const struct ban *ban = ban_find(s, id);
    return ban != NULL && ban->until > now;
}
