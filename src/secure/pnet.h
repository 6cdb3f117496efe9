/*
 * Private networks: who does not have the network's key gets no word out of a peer that has. A
 * channel of secure/channel.h that wraps a link, inside WebSocket and outside multistream-select.
 *
 *     each end → 24 random bytes, then all it says, by XSalsa20 under the key and those
 *
 * Nothing is agreed and nothing authenticated: Noise or TLS runs inside. It costs no round trip:
 * HANDSHAKE_DONE is there at once, our nonce goes in front of the first bytes, and the remote's is
 * taken off the front of its own. Bytes are changed where they lie, both ways.
 *
 * A peer with another key, or with none, says noise. What it must say first is known (greeting), so
 * that is seen at its first byte (or, once in 256 times, at its second …): PNET_OTHER_KEY.
 *
 * Transports that encrypt by themselves (QUIC, WebRTC, WebTransport) have no place for this; a
 * swarm with a key does without them.
 *
 * Memory: under 400 bytes. Not thread safe. Specification: libp2p/specs
 * pnet/Private-Networks-PSK-V1.md.
 */
#ifndef TERN_SECURE_PNET_H
#define TERN_SECURE_PNET_H

#include "base/mem.h"
#include "base/random.h"
#include "secure/channel.h"

enum {
    TERN_PNET_KEY_SIZE = 32,
    TERN_PNET_NONCE_SIZE = 24,
    TERN_PNET_GREETING_MAX = 32,
    TERN_PNET_FILE_SIZE_MAX = 512,
};

/* The network's key: a secret, which its owner wipes. */
struct tern_pnet_key {
    uint8_t bytes[TERN_PNET_KEY_SIZE];
};

/* tern_pnet_key_parse reads what is in a swarm.key file:
 *
 *     /key/swarm/psk/1.0.0/
 *     /base16/  or  /base64/  or  /bin/
 *     the key, in that encoding; white space may follow (of /bin/ one line's end)
 *
 * TERN_ERR_MALFORMED: it is not that, or the key has not 32 bytes; TERN_ERR_UNSUPPORTED: the first
 * line names another kind or version of key; TERN_ERR_TOO_LARGE: over FILE_SIZE_MAX. */
TERN_NODISCARD tern_err tern_pnet_key_parse(struct tern_view text, struct tern_pnet_key *key);

struct tern_pnet_options {
    struct tern_mem *mem;
    struct tern_random *random; /* for our nonce; used by new alone */
    const struct tern_pnet_key *key;
    struct tern_view greeting; /* what the remote's words begin with; .. GREETING_MAX, borrowed for
                                  the channel's life; empty: anything */
};

/* tern_pnet_new makes a channel, to be ended by ops->fini. TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_pnet_new(const struct tern_pnet_options *options,
                                      struct tern_channel *channel);

#endif
