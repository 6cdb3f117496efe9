/*
 * What a server knows about its tickets: the keys that they are sealed with, which change every
 * QUIC_REPLAY_EPOCH_NS and are good for one epoch more, and the first flights that it has taken, so
 * that it takes none twice (RFC 8446, section 8.1: each flight has a binder of its own, which
 * nobody can make who has not the ticket's secret).
 *
 * What was seen is remembered as long as the key of its ticket is; when a set is full, early data
 * under that key is refused, which costs a round trip and nothing else.
 */
#ifndef TERN_QUIC_QUIC_REPLAY_H
#define TERN_QUIC_QUIC_REPLAY_H

#include "base/error.h"
#include "base/mem.h"
#include "base/random.h"

#define QUIC_REPLAY_EPOCH_NS (6 * TERN_HOUR)

enum {
    QUIC_REPLAY_EPOCHS = 2,
    QUIC_REPLAY_KEY_SIZE = 64,
    QUIC_REPLAY_NAME_SIZE = 16,
    QUIC_REPLAY_NAMES = 4,
    QUIC_REPLAY_SEEN_MAX = 1 << 16, /* flights of one epoch */
};

struct quic_replay_epoch {
    bool live;
    tern_time born_at;
    uint8_t key[QUIC_REPLAY_KEY_SIZE];
    /* What tickets of this epoch begin with: the TLS library derives it from the key and its own
     * clock. */
    uint8_t names[QUIC_REPLAY_NAMES][QUIC_REPLAY_NAME_SIZE];
    uint32_t names_count;
    uint64_t *seen; /* open addressing, 0: free; NULL: none yet */
    uint32_t seen_capacity;
    uint32_t seen_count;
};

struct quic_replay {
    struct tern_mem *mem;
    struct tern_random *random;
    uint64_t hash_key[2];
    struct quic_replay_epoch epochs[QUIC_REPLAY_EPOCHS]; /* the current one first */
};

void quic_replay_init(struct quic_replay *replay, struct tern_mem *mem, struct tern_random *random);
void quic_replay_fini(struct quic_replay *replay);

/* quic_replay_current is the epoch that new tickets belong to. */
struct quic_replay_epoch *quic_replay_current(struct quic_replay *replay, tern_time now);

/* quic_replay_of is the epoch of a ticket; NULL: of none that is still good. */
struct quic_replay_epoch *quic_replay_of(struct quic_replay *replay, tern_time now,
                                         struct tern_view ticket);

/* quic_replay_name notes what a ticket of the epoch begins with. */
void quic_replay_name(struct quic_replay_epoch *epoch, struct tern_view ticket);

/* quic_replay_take is true when a flight with this binder was not taken before, and notes it. False
 * also for want of room or memory. */
bool quic_replay_take(struct quic_replay *replay, struct quic_replay_epoch *epoch,
                      struct tern_view binder);

#endif
