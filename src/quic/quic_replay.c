#include "quic/quic_replay.h"

#include "base/check.h"
#include "base/map.h"
#include "crypto/secret.h"

enum { REPLAY_CAPACITY_MIN = 64 };

void quic_replay_init(struct quic_replay *replay, struct tern_mem *mem, struct tern_random *random)
{
    *replay = (struct quic_replay){.mem = mem, .random = random};
    tern_random_bytes(random, replay->hash_key, sizeof replay->hash_key);
}

static void replay_forget(struct quic_replay *replay, struct quic_replay_epoch *epoch)
{
    if (epoch->seen != NULL)
        tern_mem_free(replay->mem, epoch->seen, epoch->seen_capacity * sizeof *epoch->seen);
    tern_secret_wipe(epoch, sizeof *epoch);
}

void quic_replay_fini(struct quic_replay *replay)
{
    for (size_t i = 0; i < QUIC_REPLAY_EPOCHS; i++)
        replay_forget(replay, &replay->epochs[i]);
}

/* replay_age drops epochs whose time is over and makes a new one when the first has aged. */
static void replay_age(struct quic_replay *replay, tern_time now)
{
    for (size_t i = 0; i < QUIC_REPLAY_EPOCHS; i++) {
        struct quic_replay_epoch *epoch = &replay->epochs[i];
        if (epoch->live && tern_time_since(now, epoch->born_at) >= 2 * QUIC_REPLAY_EPOCH_NS)
            replay_forget(replay, epoch);
    }
    struct quic_replay_epoch *first = &replay->epochs[0];
    if (first->live && tern_time_since(now, first->born_at) < QUIC_REPLAY_EPOCH_NS)
        return;
    if (first->live) {
        replay_forget(replay, &replay->epochs[1]);
        replay->epochs[1] = *first;
        tern_secret_wipe(first, sizeof *first);
    }
    *first = (struct quic_replay_epoch){.live = true, .born_at = now};
    tern_random_bytes(replay->random, first->key, sizeof first->key);
}

struct quic_replay_epoch *quic_replay_current(struct quic_replay *replay, tern_time now)
{
    replay_age(replay, now);
    return &replay->epochs[0];
}

static bool replay_named(const struct quic_replay_epoch *epoch, struct tern_view ticket)
{
    if (!epoch->live || ticket.size < QUIC_REPLAY_NAME_SIZE)
        return false;
    for (size_t i = 0; i < epoch->names_count; i++)
        if (memcmp(epoch->names[i], ticket.data, QUIC_REPLAY_NAME_SIZE) == 0)
            return true;
    return false;
}

struct quic_replay_epoch *quic_replay_of(struct quic_replay *replay, tern_time now,
                                         struct tern_view ticket)
{
    replay_age(replay, now);
    for (size_t i = 0; i < QUIC_REPLAY_EPOCHS; i++)
        if (replay_named(&replay->epochs[i], ticket))
            return &replay->epochs[i];
    return NULL;
}

void quic_replay_name(struct quic_replay_epoch *epoch, struct tern_view ticket)
{
    if (replay_named(epoch, ticket) || ticket.size < QUIC_REPLAY_NAME_SIZE ||
        epoch->names_count >= QUIC_REPLAY_NAMES)
        return;
    memcpy(epoch->names[epoch->names_count++], ticket.data, QUIC_REPLAY_NAME_SIZE);
}

/* --- what was seen --- */

/* replay_slot is where the value stands, or would. */
static uint32_t replay_slot(const uint64_t *seen, uint32_t capacity, uint64_t value)
{
    uint32_t slot = (uint32_t)value & (capacity - 1);
    while (seen[slot] != 0 && seen[slot] != value)
        slot = (slot + 1) & (capacity - 1);
    return slot;
}

/* replay_grow keeps the set at most half full; false: it cannot. */
static bool replay_grow(struct quic_replay *replay, struct quic_replay_epoch *epoch)
{
    if (epoch->seen_count >= QUIC_REPLAY_SEEN_MAX)
        return false;
    if (epoch->seen_count * 2 < epoch->seen_capacity)
        return true;
    uint32_t capacity = epoch->seen == NULL ? REPLAY_CAPACITY_MIN : epoch->seen_capacity * 2;
    uint64_t *fresh = tern_mem_zalloc(replay->mem, capacity * sizeof *fresh);
    if (fresh == NULL)
        return false;
    for (uint32_t i = 0; i < epoch->seen_capacity; i++)
        if (epoch->seen[i] != 0)
            fresh[replay_slot(fresh, capacity, epoch->seen[i])] = epoch->seen[i];
    if (epoch->seen != NULL)
        tern_mem_free(replay->mem, epoch->seen, epoch->seen_capacity * sizeof *epoch->seen);
    epoch->seen = fresh;
    epoch->seen_capacity = capacity;
    return true;
}

bool quic_replay_take(struct quic_replay *replay, struct quic_replay_epoch *epoch,
                      struct tern_view binder)
{
    TERN_CHECK(epoch->live);
    uint64_t value = tern_siphash(replay->hash_key, binder);
    if (value == 0)
        value = 1;
    if (!replay_grow(replay, epoch))
        return false;
    uint32_t slot = replay_slot(epoch->seen, epoch->seen_capacity, value);
    if (epoch->seen[slot] == value)
        return false;
    epoch->seen[slot] = value;
    epoch->seen_count++;
    return true;
}
