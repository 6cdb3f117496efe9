#include "chain/pool.h"

#include "base/check.h"
#include "base/writer.h"
#include "chain/apply.h"
#include "chain/rows.h"

void tern_pool_limits_default(struct tern_pool_limits *limits)
{
    *limits = (struct tern_pool_limits){
        .txs_max = 8192,
        .sender_txs_max = 64,
        .lifetime_ns = 3 * TERN_HOUR,
    };
}

void tern_pool_init(struct tern_pool *pool, const struct tern_pool_config *config)
{
    *pool = (struct tern_pool){
        .mem = config->mem,
        .limits = config->limits,
        .fee_min = config->fee_min,
        .hash_key = {config->hash_key[0], config->hash_key[1]},
    };
    TERN_CHECK(config->limits.txs_max > 0 && config->limits.sender_txs_max > 0);
    tern_map_init(&pool->txs, config->mem, config->hash_key);
    tern_map_init(&pool->senders, config->mem, config->hash_key);
    tern_ordered_init(&pool->by_fee, config->hash_key);
}

static struct tern_pool_entry *pool_entry_of(struct tern_map_entry *entry)
{
    return TERN_CONTAINER_OF(entry, struct tern_pool_entry, entry);
}

static struct tern_pool_sender *pool_sender_of(struct tern_map_entry *entry)
{
    return TERN_CONTAINER_OF(entry, struct tern_pool_sender, entry);
}

static struct tern_pool_entry *pool_linked(struct tern_list *link)
{
    return TERN_LIST_ENTRY(link, struct tern_pool_entry, link);
}

static struct tern_pool_entry *pool_sender_last(const struct tern_pool_sender *sender)
{
    TERN_DCHECK(!tern_list_empty(&sender->txs));
    return pool_linked(sender->txs.prev);
}

static tern_money pool_add_money(tern_money a, tern_money b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static void pool_sender_sum(struct tern_pool_sender *sender)
{
    sender->cost = 0;
    TERN_LIST_FOREACH (link, &sender->txs) {
        sender->cost = pool_add_money(sender->cost, tern_tx_cost(&pool_linked(link)->tx));
    }
}

static void pool_sender_free(struct tern_pool *pool, struct tern_pool_sender *sender)
{
    TERN_CHECK(sender->txs_count == 0);
    tern_map_remove(&pool->senders, &sender->entry);
    tern_mem_free(pool->mem, sender, sizeof *sender);
}

static void pool_digest(struct tern_pool *pool, const struct tern_hash *id)
{
    for (size_t i = 0; i < TERN_HASH_SIZE; i++)
        pool->digest.bytes[i] ^= id->bytes[i];
}

/* Takes an entry out; its sender goes with the last one. */
static void pool_drop(struct tern_pool *pool, struct tern_pool_entry *entry)
{
    struct tern_pool_sender *sender = entry->sender;
    pool_digest(pool, &entry->id);
    tern_map_remove(&pool->txs, &entry->entry);
    tern_ordered_remove(&pool->by_fee, &entry->by_fee);
    tern_list_remove(&entry->link);
    sender->txs_count--;
    tern_mem_free(pool->mem, entry, sizeof *entry);
    if (sender->txs_count == 0)
        pool_sender_free(pool, sender);
    else
        pool_sender_sum(sender);
}

void tern_pool_fini(struct tern_pool *pool)
{
    struct tern_map_entry *entry;
    while ((entry = tern_map_first(&pool->txs)) != NULL)
        pool_drop(pool, pool_entry_of(entry));
    TERN_CHECK(tern_map_count(&pool->senders) == 0);
    tern_map_fini(&pool->txs);
    tern_map_fini(&pool->senders);
}

static void pool_sender_key(const struct tern_tx *tx, uint8_t key[1 + TERN_ACCOUNT_SIZE])
{
    key[0] = tx->kind == TERN_TX_READING ? 'd' : 'a';
    memcpy(key + 1, tx->sender.bytes, TERN_ACCOUNT_SIZE);
}

static struct tern_pool_sender *pool_find_sender(const struct tern_pool *pool,
                                                 const uint8_t key[1 + TERN_ACCOUNT_SIZE])
{
    struct tern_map_entry *entry =
        tern_map_find(&pool->senders, tern_view_of(key, 1 + TERN_ACCOUNT_SIZE));
    return entry == NULL ? NULL : pool_sender_of(entry);
}

/* What a sender may spend, and the nonce it is at. */
struct pool_standing {
    tern_money balance;
    uint64_t nonce;
    bool known;
};

static struct pool_standing pool_standing_of(const struct tern_state *state,
                                             const uint8_t key[1 + TERN_ACCOUNT_SIZE])
{
    struct tern_account id;
    memcpy(id.bytes, key + 1, sizeof id.bytes);
    struct tern_row_account account;
    struct tern_row_device device;
    if (key[0] == 'a') {
        tern_row_get_account(state, &id, &account);
        return (struct pool_standing){account.balance, account.nonce, true};
    }
    if (!tern_row_get_device(state, &id, &device))
        return (struct pool_standing){.known = false};
    tern_row_get_account(state, &device.owner, &account);
    return (struct pool_standing){account.balance, device.nonce, true};
}

static struct tern_pool_entry *pool_find_nonce(const struct tern_pool_sender *sender,
                                               uint64_t nonce)
{
    TERN_LIST_FOREACH (link, &sender->txs) {
        if (pool_linked(link)->tx.nonce == nonce)
            return pool_linked(link);
    }
    return NULL;
}

/* Would all nonces from the account's on be there, with this one? */
static bool pool_is_executable(const struct tern_pool_sender *sender, uint64_t from, uint64_t nonce)
{
    if (sender == NULL)
        return from == nonce;
    uint64_t expected = from;
    TERN_LIST_FOREACH (link, &sender->txs) {
        if (pool_linked(link)->tx.nonce == expected)
            expected++;
    }
    return nonce <= expected;
}

/* Whom a transaction would displace: the last one of the sender that pays least. */
static struct tern_pool_entry *pool_victim(const struct tern_pool *pool)
{
    struct tern_ordered_node *node = tern_ordered_first(&pool->by_fee);
    TERN_CHECK(node != NULL);
    struct tern_pool_entry *cheapest = TERN_CONTAINER_OF(node, struct tern_pool_entry, by_fee);
    return pool_sender_last(cheapest->sender);
}

static tern_fault pool_check_room(const struct tern_pool *pool, const struct tern_tx *tx,
                                  const struct tern_pool_sender *sender, uint64_t nonce)
{
    if (sender != NULL && sender->txs_count >= pool->limits.sender_txs_max)
        return TERN_FAULT_CHAIN_POOL_SENDER_FULL;
    if (tern_map_count(&pool->txs) < pool->limits.txs_max)
        return TERN_FAULT_NONE;
    struct tern_ordered_node *node = tern_ordered_first(&pool->by_fee);
    const struct tern_pool_entry *cheapest =
        TERN_CONTAINER_OF(node, struct tern_pool_entry, by_fee);
    if (cheapest->tx.fee >= tx->fee || cheapest->sender == sender ||
        !pool_is_executable(sender, nonce, tx->nonce))
        return TERN_FAULT_CHAIN_POOL_FULL;
    return TERN_FAULT_NONE;
}

static tern_fault pool_check_funds(const struct tern_pool_sender *sender,
                                   const struct tern_pool_entry *old, const struct tern_tx *tx,
                                   tern_money balance)
{
    tern_money cost = tern_tx_cost(tx);
    if (tx->kind == TERN_TX_READING) /* the owner pays for several devices */
        return cost > balance ? TERN_FAULT_CHAIN_TX_BALANCE : TERN_FAULT_NONE;
    if (sender != NULL)
        cost = pool_add_money(cost, sender->cost);
    if (old != NULL && cost != UINT64_MAX)
        cost -= tern_tx_cost(&old->tx);
    return cost > balance ? TERN_FAULT_CHAIN_TX_BALANCE : TERN_FAULT_NONE;
}

tern_fault tern_pool_check(const struct tern_pool *pool, const struct tern_state *state,
                           const struct tern_pool_offer *offer)
{
    const struct tern_tx *tx = &offer->tx;
    tern_fault fault = tern_tx_check(tx);
    if (fault != TERN_FAULT_NONE)
        return fault;
    if (tx->fee < pool->fee_min)
        return TERN_FAULT_CHAIN_TX_FEE_LOW;
    if (tern_pool_find(pool, &offer->id) != NULL)
        return TERN_FAULT_CHAIN_POOL_KNOWN;
    uint8_t key[1 + TERN_ACCOUNT_SIZE];
    pool_sender_key(tx, key);
    struct pool_standing standing = pool_standing_of(state, key);
    if (!standing.known)
        return TERN_FAULT_CHAIN_TX_DEVICE_UNKNOWN;
    if (tx->nonce < standing.nonce)
        return TERN_FAULT_CHAIN_TX_NONCE_OLD;
    if (tx->nonce - standing.nonce >= TERN_POOL_NONCES_AHEAD)
        return TERN_FAULT_CHAIN_TX_NONCE_GAP;
    const struct tern_pool_sender *sender = pool_find_sender(pool, key);
    const struct tern_pool_entry *old = sender == NULL ? NULL : pool_find_nonce(sender, tx->nonce);
    fault = pool_check_funds(sender, old, tx, standing.balance);
    if (fault != TERN_FAULT_NONE)
        return fault;
    if (old == NULL)
        return pool_check_room(pool, tx, sender, standing.nonce);
    tern_money step = old->tx.fee / 10 + (old->tx.fee % 10 != 0);
    bool pays = tx->fee > old->tx.fee && tx->fee - old->tx.fee >= step;
    return pays ? TERN_FAULT_NONE : TERN_FAULT_CHAIN_POOL_UNDERPRICED;
}

static void pool_fee_key(tern_money fee, uint64_t sequence, uint8_t key[16])
{
    /* Lower fee first; among equals the younger first. */
    struct tern_writer w = tern_writer_of(key, 16);
    tern_writer_u64be(&w, fee);
    tern_writer_u64be(&w, ~sequence);
}

static struct tern_pool_sender *pool_sender_get(struct tern_pool *pool, const struct tern_tx *tx)
{
    uint8_t key[1 + TERN_ACCOUNT_SIZE];
    pool_sender_key(tx, key);
    struct tern_pool_sender *sender = pool_find_sender(pool, key);
    if (sender != NULL)
        return sender;
    sender = tern_mem_zalloc(pool->mem, sizeof *sender);
    if (sender == NULL)
        return NULL;
    memcpy(sender->key, key, sizeof sender->key);
    tern_list_init(&sender->txs);
    if (tern_map_insert(&pool->senders, &sender->entry,
                        tern_view_of(sender->key, sizeof sender->key)) != TERN_OK) {
        tern_mem_free(pool->mem, sender, sizeof *sender);
        return NULL;
    }
    return sender;
}

static void pool_link(struct tern_pool_sender *sender, struct tern_pool_entry *entry)
{
    struct tern_list *after = sender->txs.prev;
    while (after != &sender->txs && pool_linked(after)->tx.nonce > entry->tx.nonce)
        after = after->prev;
    tern_list_insert_between(&entry->link, after, after->next);
    entry->sender = sender;
    sender->txs_count++;
    pool_sender_sum(sender);
}

static struct tern_pool_entry *pool_entry_new(struct tern_pool *pool, tern_time now,
                                              const struct tern_pool_offer *offer)
{
    struct tern_pool_entry *entry = tern_mem_zalloc(pool->mem, sizeof *entry);
    if (entry == NULL)
        return NULL;
    TERN_CHECK(offer->bytes.size <= sizeof entry->bytes);
    entry->id = offer->id;
    entry->tx = offer->tx;
    memcpy(entry->bytes, offer->bytes.data, offer->bytes.size);
    entry->bytes_size = (uint8_t)offer->bytes.size;
    entry->added_at = now;
    entry->added_height = pool->height;
    entry->source = offer->source;
    if (tern_map_insert(&pool->txs, &entry->entry, tern_hash_view(&entry->id)) != TERN_OK) {
        tern_mem_free(pool->mem, entry, sizeof *entry);
        return NULL;
    }
    return entry;
}

_Static_assert(TERN_TX_SIZE_MAX <= UINT8_MAX, "bytes_size holds a transaction's size");

tern_err tern_pool_add(struct tern_pool *pool, const struct tern_state *state, tern_time now,
                       const struct tern_pool_offer *offer, tern_fault *fault)
{
    *fault = tern_pool_check(pool, state, offer);
    if (*fault != TERN_FAULT_NONE)
        return TERN_ERR_PROTOCOL;
    struct tern_pool_sender *sender = pool_sender_get(pool, &offer->tx);
    struct tern_pool_entry *entry = sender == NULL ? NULL : pool_entry_new(pool, now, offer);
    if (entry == NULL) {
        if (sender != NULL && sender->txs_count == 0)
            pool_sender_free(pool, sender);
        return TERN_ERR_MEMORY;
    }
    struct tern_pool_entry *old = pool_find_nonce(sender, offer->tx.nonce);
    bool full = old == NULL && tern_map_count(&pool->txs) > pool->limits.txs_max;
    struct tern_pool_entry *goes = full ? pool_victim(pool) : old;
    pool_link(sender, entry);
    pool_digest(pool, &entry->id);
    pool_fee_key(offer->tx.fee, pool->sequence++, entry->by_fee_key);
    tern_ordered_insert(&pool->by_fee, &entry->by_fee,
                        tern_view_of(entry->by_fee_key, sizeof entry->by_fee_key));
    pool->evicted_count += full;
    if (goes != NULL)
        pool_drop(pool, goes);
    return TERN_OK;
}

const struct tern_pool_entry *tern_pool_find(const struct tern_pool *pool,
                                             const struct tern_hash *id)
{
    struct tern_map_entry *entry = tern_map_find(&pool->txs, tern_hash_view(id));
    return entry == NULL ? NULL : pool_entry_of(entry);
}

uint64_t tern_pool_next_nonce(const struct tern_pool *pool, const struct tern_state *state,
                              const struct tern_account *account)
{
    struct tern_row_account row;
    tern_row_get_account(state, account, &row);
    uint8_t key[1 + TERN_ACCOUNT_SIZE] = {'a'};
    memcpy(key + 1, account->bytes, TERN_ACCOUNT_SIZE);
    const struct tern_pool_sender *sender = pool_find_sender(pool, key);
    uint64_t next = row.nonce;
    if (sender == NULL)
        return next;
    TERN_LIST_FOREACH (link, &sender->txs) {
        next += pool_linked(link)->tx.nonce == next;
    }
    return next;
}

/* Has a block come since, and could the sender's next transaction still not be in one? Such a one
 * would lie here for ever, at no cost to its sender. */
static bool pool_is_stale(const struct tern_state *state, const struct tern_header *head,
                          const struct tern_pool_entry *entry)
{
    const struct tern_tx *tx = &entry->tx;
    if (head->height <= entry->added_height)
        return false;
    if (tx->kind == TERN_TX_READING)
        return tx->as.reading.hour + TERN_READING_AGE_HOURS < tern_hour_of(head->time_ms);
    if (tx->kind != TERN_TX_ASK && tx->kind != TERN_TX_BID)
        return false;
    if (tx->as.order.expires_ms <= head->time_ms)
        return true;
    struct tern_row_energy energy;
    tern_row_get_energy(state, tx->as.order.hour, &tx->sender, &energy);
    return tx->kind == TERN_TX_ASK && energy.available_wh < tx->as.order.energy_wh;
}

/* Drops of one sender what its standing forbids. The sender may be gone afterwards. */
static void pool_update_sender(struct tern_pool *pool, const struct tern_state *state,
                               const struct tern_header *head, struct tern_pool_sender *sender)
{
    struct pool_standing standing = pool_standing_of(state, sender->key);
    bool is_account = sender->key[0] == 'a';
    for (uint32_t left = sender->txs_count; left > 0; left--) {
        struct tern_pool_entry *first = pool_linked(sender->txs.next);
        struct tern_pool_entry *last = pool_sender_last(sender);
        if (!standing.known || first->tx.nonce < standing.nonce ||
            (first->tx.nonce == standing.nonce && pool_is_stale(state, head, first)))
            pool_drop(pool, first);
        else if (is_account ? sender->cost > standing.balance : last->tx.fee > standing.balance)
            pool_drop(pool, last);
        else
            return;
    }
}

static void pool_expire(struct tern_pool *pool, tern_time now)
{
    struct tern_map_entry *entry;
    while ((entry = tern_map_first(&pool->txs)) != NULL &&
           tern_time_since(now, pool_entry_of(entry)->added_at) >= pool->limits.lifetime_ns) {
        pool->evicted_count++;
        pool_drop(pool, pool_entry_of(entry));
    }
}

void tern_pool_update(struct tern_pool *pool, const struct tern_state *state,
                      const struct tern_header *head, tern_time now)
{
    pool->height = head->height;
    struct tern_map_entry *entry = tern_map_first(&pool->senders);
    while (entry != NULL) {
        struct tern_map_entry *next = tern_map_next(&pool->senders, entry);
        pool_update_sender(pool, state, head, pool_sender_of(entry));
        entry = next;
    }
    pool_expire(pool, now);
}

tern_time tern_pool_deadline(const struct tern_pool *pool)
{
    struct tern_map_entry *entry = tern_map_first(&pool->txs);
    return entry == NULL ? TERN_TIME_NEVER
                         : tern_time_add(pool_entry_of(entry)->added_at, pool->limits.lifetime_ns);
}

void tern_pool_remove(struct tern_pool *pool, const struct tern_hash *id)
{
    struct tern_map_entry *entry = tern_map_find(&pool->txs, tern_hash_view(id));
    if (entry != NULL)
        pool_drop(pool, pool_entry_of(entry));
}

static void pool_pick_ready(struct tern_pool_pick *pick, struct tern_pool_sender *sender,
                            struct tern_pool_entry *entry)
{
    sender->next = entry;
    /* Dearest first: the complement of the fee's key. */
    for (size_t i = 0; i < sizeof sender->ready_key; i++)
        sender->ready_key[i] = (uint8_t)~entry->by_fee_key[i];
    tern_ordered_insert(&pick->ready, &sender->ready,
                        tern_view_of(sender->ready_key, sizeof sender->ready_key));
}

void tern_pool_pick_start(struct tern_pool_pick *pick, struct tern_pool *pool,
                          const struct tern_state *state)
{
    *pick = (struct tern_pool_pick){.pool = pool};
    tern_ordered_init(&pick->ready, pool->hash_key);
    TERN_MAP_FOREACH (map_entry, &pool->senders) {
        struct tern_pool_sender *sender = pool_sender_of(map_entry);
        struct tern_pool_entry *first = pool_linked(sender->txs.next);
        struct pool_standing standing = pool_standing_of(state, sender->key);
        if (standing.known && first->tx.nonce == standing.nonce)
            pool_pick_ready(pick, sender, first);
    }
}

const struct tern_pool_entry *tern_pool_pick_next(struct tern_pool_pick *pick)
{
    TERN_CHECK(pick->current == NULL);
    struct tern_ordered_node *node = tern_ordered_first(&pick->ready);
    if (node == NULL)
        return NULL;
    tern_ordered_remove(&pick->ready, node);
    pick->current = TERN_CONTAINER_OF(node, struct tern_pool_sender, ready);
    return pick->current->next;
}

void tern_pool_pick_taken(struct tern_pool_pick *pick)
{
    struct tern_pool_sender *sender = pick->current;
    TERN_CHECK(sender != NULL);
    pick->current = NULL;
    struct tern_list *link = sender->next->link.next;
    if (link == &sender->txs)
        return;
    struct tern_pool_entry *next = pool_linked(link);
    if (next->tx.nonce == sender->next->tx.nonce + 1)
        pool_pick_ready(pick, sender, next);
}

void tern_pool_pick_refused(struct tern_pool_pick *pick)
{
    TERN_CHECK(pick->current != NULL);
    pick->current = NULL;
}

const struct tern_pool_entry *tern_pool_first(const struct tern_pool *pool)
{
    struct tern_map_entry *entry = tern_map_first(&pool->txs);
    return entry == NULL ? NULL : pool_entry_of(entry);
}

const struct tern_pool_entry *tern_pool_next(const struct tern_pool *pool,
                                             const struct tern_pool_entry *entry)
{
    struct tern_map_entry *next = tern_map_next(&pool->txs, &entry->entry);
    return next == NULL ? NULL : pool_entry_of(next);
}
