#include "host/connector.h"

#include "base/check.h"
#include "swarm/manager.h"

static const tern_time CONNECTOR_FIRST_NS = 50 * TERN_MILLISECOND;
static const tern_time CONNECTOR_ROUND_NS = TERN_SECOND;
static const tern_time CONNECTOR_QUIET_NS = 15 * TERN_SECOND;
static const tern_time CONNECTOR_LOOK_NS = 3 * TERN_MINUTE; /* and up to two thirds of it besides */

enum { CONNECTOR_BOOTSTRAP_MAX = 64, CONNECTOR_DIALS_MAX = 8, CONNECTOR_TRIES_MAX = 32 };

struct tern_connector {
    struct tern_mem *mem;
    struct tern_random *random;
    struct tern_swarm *swarm;
    uint32_t peers_want;
    uint32_t number;
    uint32_t tag; /* of bootstrap peers */
    struct tern_peer_id bootstrap[CONNECTOR_BOOTSTRAP_MAX];
    size_t bootstrap_count;
    tern_token dials[CONNECTOR_DIALS_MAX]; /* under way; 0: free */
    tern_time round_at;
    tern_time look_at; /* 0: not chosen yet */
};

/* Whom the operator named is worth more than a stranger, and no more than one who is of use: it
 * goes as idle as others do, for it has many to serve. */
enum { CONNECTOR_BOOTSTRAP_VALUE = 10 };
static const struct tern_tag_rule connector_tag = {.name = "bootstrap"};

bool tern_connector_owns(const struct tern_connector *c, tern_token token)
{
    for (size_t i = 0; i < CONNECTOR_DIALS_MAX; i++)
        if (c->dials[i] == token)
            return token != 0;
    return false;
}

static size_t connector_free_dial(const struct tern_connector *c)
{
    size_t i = 0;
    while (i < CONNECTOR_DIALS_MAX && c->dials[i] != 0)
        i++;
    return i;
}

static void connector_dial(struct tern_connector *c, tern_time now, const struct tern_peer_id *id)
{
    size_t slot = connector_free_dial(c);
    if (slot == CONNECTOR_DIALS_MAX || tern_swarm_find_peer(c->swarm, id) != 0 ||
        tern_peer_id_equal(id, tern_swarm_own_id(c->swarm)))
        return;
    tern_token token = tern_swarm_token(c->swarm);
    if (tern_swarm_dial(c->swarm, now, &(struct tern_dial_options){.id = id, .token = token}) ==
        TERN_OK)
        c->dials[slot] = token;
}

/* Bootstrap peers first; then some of the address book, beginning anywhere. */
static void connector_round(struct tern_connector *c, tern_time now)
{
    struct tern_book_entry entry;
    for (size_t i = 0; i < c->bootstrap_count; i++)
        connector_dial(c, now, &c->bootstrap[i]);
    size_t count = tern_swarm_book_count(c->swarm);
    if (count == 0)
        return;
    size_t start = (size_t)tern_random_below(c->random, count);
    bool more = tern_swarm_book_at(c->swarm, start, &entry);
    for (size_t i = 0; more && i < tern_min_size(count, CONNECTOR_TRIES_MAX); i++) {
        if (connector_free_dial(c) == CONNECTOR_DIALS_MAX)
            return;
        connector_dial(c, now, &entry.id);
        more = tern_swarm_book_next(c->swarm, &entry.id, &entry) ||
               tern_swarm_book_next(c->swarm, NULL, &entry);
    }
}

/* Enough peers may still be an island. Those whom a cut network has left together stay content with
 * each other when it is whole again; and a bootstrap host that comes back without its book knows
 * newcomers alone, who know nobody else. So now and then somebody is met whom nobody needs: what
 * either side knows the other hears of, and gossip passes between them. */
static void connector_look_around(struct tern_connector *c, tern_time now)
{
    struct tern_book_entry entry;
    size_t count = tern_swarm_book_count(c->swarm);
    if (c->bootstrap_count > 0)
        connector_dial(c, now, &c->bootstrap[tern_random_below(c->random, c->bootstrap_count)]);
    if (count > 0 &&
        tern_swarm_book_at(c->swarm, (size_t)tern_random_below(c->random, count), &entry))
        connector_dial(c, now, &entry.id);
}

/* Hosts that began together do not come together. */
static tern_time connector_next_look(struct tern_connector *c, tern_time now)
{
    tern_time more = tern_random_below(c->random, CONNECTOR_LOOK_NS / 3 * 2);
    return tern_time_add(now, CONNECTOR_LOOK_NS + more);
}

static bool connector_is_bootstrap(const struct tern_connector *c, const struct tern_peer_id *id)
{
    for (size_t i = 0; i < c->bootstrap_count; i++)
        if (tern_peer_id_equal(&c->bootstrap[i], id))
            return true;
    return false;
}

static void connector_event(void *self, tern_time now, const struct tern_swarm_event *event)
{
    struct tern_connector *c = self;
    if (event->kind == TERN_SWARM_DIAL_DONE) {
        for (size_t i = 0; i < CONNECTOR_DIALS_MAX; i++)
            if (c->dials[i] == event->token)
                c->dials[i] = 0;
    } else if (event->kind == TERN_SWARM_PEER_UP) {
        if (connector_is_bootstrap(c, event->peer_id))
            tern_swarm_tag(c->swarm, event->peer, c->tag, CONNECTOR_BOOTSTRAP_VALUE);
    } else if (event->kind == TERN_SWARM_PEER_DOWN) {
        c->round_at = tern_time_min(c->round_at, tern_time_add(now, CONNECTOR_ROUND_NS));
    }
}

static tern_time connector_deadline(const void *self)
{
    const struct tern_connector *c = self;
    return c->peers_want == 0 ? TERN_TIME_NEVER : c->round_at;
}

static void connector_tick(void *self, tern_time now)
{
    struct tern_connector *c = self;
    if (c->peers_want == 0 || now < c->round_at)
        return;
    bool enough = tern_swarm_peers_count(c->swarm) >= c->peers_want;
    bool look = c->look_at != 0 && now >= c->look_at;
    if (!enough)
        connector_round(c, now);
    else if (look)
        connector_look_around(c, now);
    if (look || c->look_at == 0)
        c->look_at = connector_next_look(c, now);
    c->round_at = tern_time_add(now, enough ? CONNECTOR_QUIET_NS : CONNECTOR_ROUND_NS);
}

static const struct tern_service_ops connector_ops = {.name = "connector",
                                                      .event = connector_event,
                                                      .deadline = connector_deadline,
                                                      .tick = connector_tick};

tern_err tern_connector_bootstrap(struct tern_connector *c, tern_time now,
                                  const struct tern_multiaddr *address)
{
    struct tern_peer_id id;
    if (!tern_multiaddr_peer_id(tern_multiaddr_view(address), &id))
        return TERN_ERR_INVALID;
    tern_swarm_add_address(c->swarm, now, &id, address, TERN_ADDR_CONFIGURED);
    if (connector_is_bootstrap(c, &id))
        return TERN_OK;
    if (c->bootstrap_count == CONNECTOR_BOOTSTRAP_MAX)
        return TERN_ERR_FULL;
    c->bootstrap[c->bootstrap_count++] = id;
    tern_swarm_tag(c->swarm, tern_swarm_find_peer(c->swarm, &id), c->tag,
                   CONNECTOR_BOOTSTRAP_VALUE);
    c->round_at = tern_time_min(c->round_at, tern_time_add(now, CONNECTOR_FIRST_NS));
    return TERN_OK;
}

tern_err tern_connector_keep(struct tern_connector *c, tern_time now,
                             const struct tern_multiaddr *address)
{
    struct tern_peer_id id;
    if (!tern_multiaddr_peer_id(tern_multiaddr_view(address), &id))
        return TERN_ERR_INVALID;
    tern_swarm_add_address(c->swarm, now, &id, address, TERN_ADDR_CONFIGURED);
    return tern_swarm_keep(c->swarm, now, &id);
}

tern_err tern_connector_new(struct tern_mem *mem, struct tern_random *random,
                            struct tern_swarm *swarm, uint32_t peers_want,
                            struct tern_connector **out)
{
    struct tern_connector *c = tern_mem_zalloc(mem, sizeof *c);
    if (c == NULL)
        return TERN_ERR_MEMORY;
    c->mem = mem;
    c->random = random;
    c->swarm = swarm;
    c->peers_want = peers_want;
    tern_err err = tern_swarm_add_service(swarm, &connector_ops, c, &c->number);
    if (err == TERN_OK)
        err = tern_swarm_tag_rule(swarm, &connector_tag, &c->tag);
    if (err != TERN_OK) {
        tern_connector_free(c);
        return err;
    }
    *out = c;
    return TERN_OK;
}

void tern_connector_free(struct tern_connector *c)
{
    if (c != NULL)
        tern_mem_free(c->mem, c, sizeof *c);
}
