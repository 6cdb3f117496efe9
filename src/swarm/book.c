/*
 * The address book: peers we know addresses of.
 *
 * Bounded twice: TERN_PEER_ADDRS_MAX addresses a peer, peers_max peers. What is least trusted and
 * longest unseen makes room, and only for what is trusted as much or more: a flood of hearsay
 * displaces hearsay. Peers that are connected or configured are never displaced. Entries lie on one
 * list for each level of trust (that of their best address), so finding the one to displace takes
 * no search.
 */
#include "swarm/private.h"

#define BOOK_SWEEP_NS (1 * TERN_MINUTE)

static const tern_time book_ttl_ns[] = {
    [TERN_ADDR_CONFIGURED] = TERN_TIME_NEVER,
    [TERN_ADDR_SIGNED] = 48 * TERN_HOUR,
    [TERN_ADDR_IDENTIFY] = 24 * TERN_HOUR,
    [TERN_ADDR_HEARSAY] = 2 * TERN_HOUR,
};

void tern_book_init(struct tern_swarm *s)
{
    const uint64_t key[2] = {tern_random_u64(s->config.random), tern_random_u64(s->config.random)};
    tern_map_init(&s->book.map, s->mem, key);
    for (size_t i = 0; i < SWARM_BOOK_LEVELS; i++)
        tern_list_init(&s->book.levels[i]);
    s->book.sweep_at = TERN_TIME_NEVER;
}

static void book_entry_free(struct tern_swarm *s, struct book_entry *entry)
{
    tern_map_remove(&s->book.map, &entry->entry);
    tern_list_remove(&entry->lru);
    tern_list_remove(&entry->dirty);
    for (size_t i = 0; i < entry->addrs_count; i++)
        tern_mem_free(s->mem, entry->addrs[i].bytes, entry->addrs[i].size);
    tern_mem_free(s->mem, entry->addrs, entry->addrs_capacity * sizeof entry->addrs[0]);
    tern_mem_free(s->mem, entry, sizeof *entry);
}

void tern_book_fini(struct tern_swarm *s)
{
    struct tern_map_entry *entry;
    while ((entry = tern_map_first(&s->book.map)) != NULL)
        book_entry_free(s, TERN_CONTAINER_OF(entry, struct book_entry, entry));
    tern_map_fini(&s->book.map);
}

struct book_entry *tern_book_entry_find(const struct tern_swarm *s, const struct tern_peer_id *id)
{
    struct tern_map_entry *entry = tern_map_find(&s->book.map, tern_peer_id_view(id));
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct book_entry, entry);
}

/* book_relist puts the entry where its best address and now belong. */
static void book_relist(struct tern_swarm *s, struct book_entry *entry)
{
    entry->level = TERN_ADDR_HEARSAY;
    for (size_t i = 0; i < entry->addrs_count; i++)
        if (entry->addrs[i].source < entry->level)
            entry->level = entry->addrs[i].source;
    tern_list_remove(&entry->lru);
    if (!entry->pinned)
        tern_list_push_back(&s->book.levels[entry->level], &entry->lru);
}

static void book_remove(struct tern_swarm *s, tern_time now, struct book_entry *entry)
{
    tern_book_store_removed(s, now, entry);
    book_entry_free(s, entry);
}

/* book_make_room displaces an entry for one of this trust; false: there is none to displace. */
static bool book_make_room(struct tern_swarm *s, tern_time now, enum tern_addr_source source)
{
    uint32_t max = s->config.limits.peers_max;
    if (max == 0 || tern_map_count(&s->book.map) < max)
        return true;
    size_t least = source == TERN_ADDR_CONFIGURED ? TERN_ADDR_SIGNED : (size_t)source;
    for (size_t level = SWARM_BOOK_LEVELS; level-- > least;) {
        struct tern_list *node = tern_list_front(&s->book.levels[level]);
        if (node == NULL)
            continue;
        book_remove(s, now, TERN_LIST_ENTRY(node, struct book_entry, lru));
        return true;
    }
    tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_BOOK_REFUSED, 1);
    return false;
}

static struct book_entry *book_entry_new(struct tern_swarm *s, const struct tern_peer_id *id)
{
    struct book_entry *entry = tern_mem_zalloc(s->mem, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->id = *id;
    tern_list_init(&entry->lru);
    tern_list_init(&entry->dirty);
    if (tern_map_insert(&s->book.map, &entry->entry, tern_peer_id_view(&entry->id)) != TERN_OK) {
        tern_mem_free(s->mem, entry, sizeof *entry);
        return NULL;
    }
    const struct swarm_peer *peer = tern_peers_find(s, id);
    entry->pinned = peer != NULL && peer->connections_count > 0;
    book_relist(s, entry);
    return entry;
}

static void book_addr_remove(struct tern_swarm *s, struct book_entry *entry, size_t i)
{
    tern_mem_free(s->mem, entry->addrs[i].bytes, entry->addrs[i].size);
    entry->addrs_count--;
    memmove(&entry->addrs[i], &entry->addrs[i + 1],
            (entry->addrs_count - i) * sizeof entry->addrs[0]);
}

/* book_addr_place makes room for one more address in the entry: the least trusted, first to expire
 * goes.
 */
static bool book_addr_place(struct tern_swarm *s, struct book_entry *entry,
                            enum tern_addr_source source)
{
    if (entry->addrs_count == TERN_PEER_ADDRS_MAX) {
        size_t worst = 0;
        for (size_t i = 1; i < entry->addrs_count; i++) {
            const struct book_addr *a = &entry->addrs[i];
            const struct book_addr *b = &entry->addrs[worst];
            if (a->source > b->source || (a->source == b->source && a->expires_at < b->expires_at))
                worst = i;
        }
        if (entry->addrs[worst].source < source)
            return false;
        book_addr_remove(s, entry, worst);
    }
    if (entry->addrs_count < entry->addrs_capacity)
        return true;
    size_t capacity = entry->addrs_capacity == 0 ? 2 : entry->addrs_capacity * 2u;
    struct book_addr *grown = tern_mem_realloc(
        s->mem, entry->addrs, entry->addrs_capacity * sizeof grown[0], capacity * sizeof grown[0]);
    if (grown == NULL)
        return false;
    entry->addrs = grown;
    entry->addrs_capacity = (uint8_t)capacity;
    return true;
}

/* book_addr_put refreshes or adds; *changed: the store should know. */
static bool book_addr_put(struct tern_swarm *s, struct book_entry *entry,
                          const struct book_add *add, bool *changed)
{
    for (size_t i = 0; i < entry->addrs_count; i++) {
        struct book_addr *known = &entry->addrs[i];
        if (!tern_view_equal(tern_view_of(known->bytes, known->size), add->address))
            continue;
        /* A refresh alone is worth a write once an hour has been gained. */
        *changed = add->source < known->source ||
                   (known->expires_at != TERN_TIME_NEVER &&
                    add->expires_at > tern_time_add(known->expires_at, TERN_HOUR));
        if (add->source < known->source)
            known->source = (uint8_t)add->source;
        if (add->expires_at > known->expires_at)
            known->expires_at = add->expires_at;
        return true;
    }
    if (!book_addr_place(s, entry, add->source))
        return false;
    uint8_t *bytes = tern_mem_dup(s->mem, add->address);
    if (bytes == NULL)
        return false;
    entry->addrs[entry->addrs_count++] = (struct book_addr){
        .expires_at = add->expires_at,
        .bytes = bytes,
        .size = (uint16_t)add->address.size,
        .source = (uint8_t)add->source,
    };
    *changed = true;
    return true;
}

void tern_book_add(struct tern_swarm *s, tern_time now, const struct book_add *add)
{
    struct book_entry *entry = tern_book_entry_find(s, add->id);
    bool fresh = entry == NULL;
    bool changed = false;
    if (fresh && !book_make_room(s, now, add->source))
        return;
    if (fresh)
        entry = book_entry_new(s, add->id);
    if (entry == NULL)
        return;
    if (!book_addr_put(s, entry, add, &changed)) {
        if (fresh)
            book_entry_free(s, entry);
        return;
    }
    if (add->loaded)
        entry->stored = true;
    else
        entry->last_seen = now;
    book_relist(s, entry);
    if (s->book.sweep_at == TERN_TIME_NEVER)
        s->book.sweep_at = tern_time_add(now, BOOK_SWEEP_NS);
    if (changed && !add->loaded)
        tern_book_store_dirty(s, now, entry);
}

void tern_swarm_add_address(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id,
                            const struct tern_multiaddr *address, enum tern_addr_source source)
{
    struct tern_target target;
    struct tern_view view = tern_multiaddr_view(address);
    TERN_CHECK((size_t)source < TERN_COUNT_OF(book_ttl_ns));
    if (tern_peer_id_is_none(id) || tern_peer_id_equal(id, &s->own_id))
        return;
    tern_err err = tern_target_of(view, &target);
    /* What we have no transport for is kept: others may ask us for it. */
    if (err != TERN_OK && err != TERN_ERR_UNSUPPORTED)
        return;
    if (!tern_peer_id_is_none(&target.id)) {
        if (!tern_peer_id_equal(&target.id, id))
            return;
        view = tern_multiaddr_without_peer_id(view);
    }
    if (view.size == 0)
        return;
    const struct book_add add = {
        .id = id,
        .address = view,
        .source = source,
        .expires_at = source == TERN_ADDR_CONFIGURED ? TERN_TIME_NEVER
                                                     : tern_time_add(now, book_ttl_ns[source]),
    };
    tern_book_add(s, now, &add);
}

static bool book_expire(struct tern_swarm *s, tern_time now, struct book_entry *entry)
{
    bool any = false;
    for (size_t i = entry->addrs_count; i-- > 0;)
        if (entry->addrs[i].expires_at <= now) {
            book_addr_remove(s, entry, i);
            any = true;
        }
    return any;
}

void tern_book_tick(struct tern_swarm *s, tern_time now)
{
    if (s->book.sweep_at > now)
        return;
    s->book.sweep_at = tern_time_add(now, BOOK_SWEEP_NS);
    struct tern_map_entry *next;
    for (struct tern_map_entry *at = tern_map_first(&s->book.map); at != NULL; at = next) {
        struct book_entry *entry = TERN_CONTAINER_OF(at, struct book_entry, entry);
        next = tern_map_next(&s->book.map, at);
        if (!book_expire(s, now, entry))
            continue;
        if (entry->addrs_count == 0 && !entry->pinned) {
            book_remove(s, now, entry);
        } else {
            book_relist(s, entry);
            tern_book_store_dirty(s, now, entry);
        }
    }
    if (tern_map_count(&s->book.map) == 0)
        s->book.sweep_at = TERN_TIME_NEVER;
}

void tern_book_connected(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id)
{
    struct book_entry *entry = tern_book_entry_find(s, id);
    if (entry == NULL)
        return;
    entry->pinned = true;
    entry->failures = 0;
    entry->last_seen = now;
    book_relist(s, entry);
    tern_book_store_dirty(s, now, entry);
}

void tern_book_disconnected(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id)
{
    struct book_entry *entry = tern_book_entry_find(s, id);
    if (entry == NULL)
        return;
    entry->pinned = false;
    entry->last_seen = now;
    book_relist(s, entry);
    tern_book_store_dirty(s, now, entry);
}

void tern_book_dial_failed(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id)
{
    struct book_entry *entry = tern_book_entry_find(s, id);
    if (entry == NULL || entry->failures == UINT32_MAX)
        return;
    entry->failures++;
    tern_book_store_dirty(s, now, entry);
}

void tern_book_wrong_peer(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id,
                          const struct tern_route *route)
{
    struct book_entry *entry = tern_book_entry_find(s, id);
    struct tern_target target;
    if (entry == NULL)
        return;
    for (size_t i = entry->addrs_count; i-- > 0;) {
        const struct book_addr *addr = &entry->addrs[i];
        if (addr->source == TERN_ADDR_CONFIGURED ||
            tern_target_of(tern_view_of(addr->bytes, addr->size), &target) != TERN_OK ||
            target.kind != TERN_TARGET_ENDPOINT || !tern_route_equal(&target.route, route))
            continue;
        book_addr_remove(s, entry, i);
        book_relist(s, entry);
        tern_book_store_dirty(s, now, entry);
    }
}

/* --- what others ask --- */

size_t tern_swarm_book_count(const struct tern_swarm *s)
{
    return tern_map_count(&s->book.map);
}

static void book_copy_out(const struct tern_swarm *s, const struct book_entry *from,
                          struct tern_book_entry *to)
{
    *to = (struct tern_book_entry){
        .id = from->id, .last_seen = from->last_seen, .failures = from->failures};
    for (size_t i = 0; i < from->addrs_count; i++) {
        const struct book_addr *addr = &from->addrs[i];
        struct tern_multiaddr *out = &to->addresses[to->addresses_count];
        if (addr->expires_at <= s->now || addr->size > TERN_MULTIADDR_SIZE_MAX)
            continue;
        out->size = addr->size;
        memcpy(out->bytes, addr->bytes, addr->size);
        to->addresses_count++;
    }
}

bool tern_swarm_book_at(const struct tern_swarm *s, size_t i, struct tern_book_entry *entry)
{
    struct tern_map_entry *at = tern_map_first(&s->book.map);
    for (; at != NULL && i > 0; i--)
        at = tern_map_next(&s->book.map, at);
    if (at == NULL)
        return false;
    book_copy_out(s, TERN_CONTAINER_OF(at, struct book_entry, entry), entry);
    return true;
}

bool tern_swarm_book_next(const struct tern_swarm *s, const struct tern_peer_id *after,
                          struct tern_book_entry *entry)
{
    struct tern_map_entry *at = tern_map_first(&s->book.map);
    if (after != NULL) {
        const struct book_entry *known = tern_book_entry_find(s, after);
        at = known == NULL ? NULL : tern_map_next(&s->book.map, &known->entry);
    }
    if (at == NULL)
        return false;
    book_copy_out(s, TERN_CONTAINER_OF(at, struct book_entry, entry), entry);
    return true;
}

bool tern_swarm_book_find(const struct tern_swarm *s, const struct tern_peer_id *id,
                          struct tern_book_entry *entry)
{
    const struct book_entry *known = tern_book_entry_find(s, id);
    if (known == NULL)
        return false;
    book_copy_out(s, known, entry);
    return true;
}
