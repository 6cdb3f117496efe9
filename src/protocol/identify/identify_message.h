/*
 * The identify message: reading it in parts (several messages may make one answer), and writing
 * ours.
 *
 *   Identify { 1 public key, 2 listen address*, 3 protocol*, 4 observed address, 5 protocol
 * version, 6 agent version, 8 signed peer record }
 */
#ifndef TERN_PROTOCOL_IDENTIFY_IDENTIFY_MESSAGE_H
#define TERN_PROTOCOL_IDENTIFY_IDENTIFY_MESSAGE_H

#include "base/mem.h"
#include "swarm/swarm.h"

enum {
    IDENTIFY_ADDRESSES_MAX = 64,
    IDENTIFY_PROTOCOLS_MAX = TERN_SWARM_PROTOCOLS_MAX,
    IDENTIFY_NAME_SIZE_MAX = 256,
};

/* What has come so far; the views point into `bytes`, which holds a copy of each message. What is
 * more than the limits is left out. */
struct identify_parts {
    uint8_t bytes[8192]; /* TERN_IDENTIFY_SIZE_MAX */
    size_t size;
    struct tern_view public_key;
    struct tern_view agent;
    struct tern_view version;
    struct tern_view observed;
    struct tern_view signed_record;
    bool has_agent;
    bool has_version;
    struct tern_view addresses[IDENTIFY_ADDRESSES_MAX];
    size_t addresses_count;
    struct tern_view protocols[IDENTIFY_PROTOCOLS_MAX];
    size_t protocols_count;
};

struct identify_parts *identify_parts_new(struct tern_mem *mem);
void identify_parts_free(struct identify_parts *parts, struct tern_mem *mem);

/* identify_parts_merge adds a message: single fields replace, repeated ones add.
 * TERN_ERR_TOO_LARGE: all messages together are over the limit; MALFORMED. */
TERN_NODISCARD tern_err identify_parts_merge(struct identify_parts *parts,
                                             struct tern_view message);

/* identify_key_matches: is the key, if one was given, the peer's? */
bool identify_key_matches(const struct identify_parts *parts, const struct tern_peer_id *id);

struct identify_own {
    struct tern_view agent;
    struct tern_view version;
    struct tern_view public_key;
    const struct tern_protocol_table *protocols;
    const struct tern_multiaddr *addresses;
    size_t addresses_count;
    struct tern_multiaddr observed;
    struct tern_view signed_record;
};

void identify_encode(const struct identify_own *own, struct tern_writer *out);

#endif
