/*
 * Plaintext: the channel "/plaintext/2.0.0", which protects nothing. Each end says its peer id and
 * public key, then bytes go as they are. It exists for simulations of many nodes, where
 * cryptography would be the whole cost, and for debugging; nothing offers it unless it is
 * configured.
 *
 *     both ends send Exchange{id, pubkey} at once; when the other's is there and agrees with
 * itself: HANDSHAKE_DONE, then DATA without copying. No jobs, no END, no muxer agreed early.
 *
 * The remote's identity is a claim and nothing more. Refused: an id that is not the key's, the
 * wrong peer, a message over TERN_PLAINTEXT_EXCHANGE_SIZE_MAX.
 *
 * Not thread safe. Specification: libp2p/specs plaintext/README.md.
 */
#ifndef TERN_SECURE_PLAINTEXT_H
#define TERN_SECURE_PLAINTEXT_H

#include "base/mem.h"
#include "secure/channel.h"

#define TERN_PLAINTEXT_PROTOCOL_ID "/plaintext/2.0.0"

enum { TERN_PLAINTEXT_EXCHANGE_SIZE_MAX = 4096 };

struct tern_plaintext_options {
    struct tern_mem *mem;
    const struct tern_private_key *host_key;  /* borrowed by new alone */
    const struct tern_peer_id *expected_peer; /* NULL: anyone; copied */
};

/* tern_plaintext_new makes a channel, to be ended by ops->fini. TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_plaintext_new(const struct tern_plaintext_options *options,
                                           struct tern_channel *secure);

#endif
