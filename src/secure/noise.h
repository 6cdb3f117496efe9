/*
 * Noise: the secure channel "/noise". Noise_XX_25519_ChaChaPoly_SHA256 with libp2p's payloads,
 * behind the seam of secure/channel.h.
 *
 *     initiator                                        responder
 *     message 1: e                            ───────►
 *                                             ◄─────── message 2: e, ee, s, es, payload
 *     JOB: 3 DH, verify; identity as expected?
 *     HANDSHAKE_DONE
 *     message 3: s, se, payload               ───────► JOB: 1 DH, verify
 *     data …                                           HANDSHAKE_DONE
 *
 *     START ─► WAIT (for the remote's message) ─► JOB ─► WAIT … ─► TRANSPORT
 *                 └────────── any error: FAILED ◄──┴─────────────────┘
 *
 * The payload carries the identity key, its signature over "noise-libp2p-static-key:" ‖ static
 * public key, and extensions: the muxers, so that no round trip is needed to agree on one, and
 * WebTransport's certificate hashes. The muxer is the first of the initiator's list that the
 * responder has too. Without the extension on either side, or without overlap, remote()->muxer is
 * empty and multistream-select decides, as go-libp2p does (the specification asks to fail without
 * overlap; asking once more costs a round trip and fails just the same if there is nothing in
 * common).
 *
 * The remote's identity is checked before message 3 leaves, so an initiator reveals its own only to
 * the peer it meant to reach. A responder cannot know whom to expect, unless told.
 *
 * Work. Making the channel costs an initiator one key generation (about 30 us, inline, so that
 * message 1 rides with the negotiation); all other public-key work is in jobs: one for an
 * initiator, two for a responder. The host's static key is signed once (tern_noise_identity), never
 * per connection.
 *
 * Frames: 16-bit big-endian length and that many bytes, at most 65,535: at most
 * TERN_NOISE_PLAINTEXT_MAX of plaintext and a 16-byte tag. Empty plaintext is legal and is
 * swallowed. There is no end in the protocol: TERN_CHANNEL_END is never given.
 *
 * Memory. During the handshake about 1.5 KiB and the messages (at most
 * TERN_NOISE_HANDSHAKE_SIZE_MAX each), all freed when the last message is sent or checked. After it
 * sizeof(struct tern_noise), the remote's identity, and a chunk of the frame's size while a frame
 * has come in part. A frame that lies whole in what recv is given is decrypted there, in place,
 * without a copy.
 *
 * Refused: keys that give an all-zero shared secret; a frame over its limit; a message or frame
 * that does not authenticate; a payload without key or signature, or with a wrong one; the wrong
 * peer; more than TERN_NOISE_EXTENSION_ENTRIES_MAX entries in an extension. An initiator that is
 * sent another initiator's message 1 fails with NOISE_BOTH_INITIATE (both ends dialled; weight 0).
 *
 * The hybrid, "/noise-mlkem768-hfs/0.1.0": Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256, the same
 * in all but this: messages 1 and 2 carry a key of ML-KEM-768 and what is encapsulated to it, 1.2
 * and 1.1 KiB, so what is recorded today stays closed to whoever can break X25519 one day. Who is
 * there is told by signatures as ever. It is a proposal still: its name, and with it who speaks it,
 * may change. It needs OpenSSL 3.5 (crypto/mlkem.h).
 *
 * A direction ends after 2^64 - 1 frames: seal_begin then gives no room, and recv fails with
 * TERN_ERR_CLOSED. There is no rekey in libp2p.
 *
 * Not thread safe, except that a job runs anywhere. Specification: libp2p/specs noise/README.md,
 * connections/inlined-muxer-negotiation.md; The Noise Protocol Framework, revision 34, sections 4,
 * 5, 7; libp2p/specs noise/pq-mlkem768-hfs.md (a working draft).
 */
#ifndef TERN_SECURE_NOISE_H
#define TERN_SECURE_NOISE_H

#include "base/mem.h"
#include "base/random.h"
#include "secure/channel.h"

#define TERN_NOISE_PROTOCOL_ID        "/noise"
#define TERN_NOISE_HYBRID_PROTOCOL_ID "/noise-mlkem768-hfs/0.1.0"

struct tern_aead_engine;

enum {
    TERN_NOISE_KEY_SIZE = 32,
    TERN_NOISE_TAG_SIZE = 16,
    TERN_NOISE_FRAME_MAX = 65535, /* without its length */
    TERN_NOISE_PLAINTEXT_MAX = TERN_NOISE_FRAME_MAX - TERN_NOISE_TAG_SIZE,
    TERN_NOISE_OVERHEAD = 2 + TERN_NOISE_TAG_SIZE,
    TERN_NOISE_ROOM_MIN = 64,             /* seal_begin gives no less than this */
    TERN_NOISE_HANDSHAKE_SIZE_MAX = 8192, /* of a handshake message; RSA 8192 needs about 2.2 KiB */
    TERN_NOISE_EXTENSION_ENTRIES_MAX = 64,
    TERN_NOISE_LIST_MAX = 8, /* our own muxers or certificate hashes */
};

/* What all of a host's channels share: the static key pair and the signed start of the payload.
 * Read-only after init, also by jobs on other threads; outlives the channels. */
struct tern_noise_identity {
    struct tern_mem *mem;
    uint8_t secret_key[TERN_NOISE_KEY_SIZE];
    uint8_t public_key[TERN_NOISE_KEY_SIZE];
    uint8_t *payload; /* identity_key and identity_sig, encoded: payload_size bytes */
    size_t payload_size;
};

/* tern_noise_identity_init makes the static key and signs it with the host's key. Slow (a
 * signature). TERN_ERR_MEMORY; what signing returns. Nothing to fini on error. */
TERN_NODISCARD tern_err tern_noise_identity_init(struct tern_noise_identity *identity,
                                                 struct tern_mem *mem, struct tern_random *random,
                                                 const struct tern_private_key *host_key);

/* tern_noise_identity_fini wipes and frees. No channel may be left. */
void tern_noise_identity_fini(struct tern_noise_identity *identity);

/* Everything that is pointed to is borrowed for the channel's life, unless it is said to be copied.
 */
struct tern_noise_options {
    enum tern_role role;
    struct tern_mem *mem;
    struct tern_random *random; /* used by new alone */
    struct tern_aead_engine *aead;
    const struct tern_noise_identity *identity;
    const struct tern_peer_id *expected_peer; /* NULL: anyone; copied */
    const struct tern_view *muxers;           /* in order of preference; none: no extension is sent.
                                                 The list is copied, the names are borrowed */
    size_t muxers_count;                      /* .. TERN_NOISE_LIST_MAX */
    /* WebTransport: multihashes of certificates. A responder sends them; an initiator requires that
     * the responder sends each of them. */
    const struct tern_view *certhashes;
    size_t certhashes_count;   /* .. TERN_NOISE_LIST_MAX */
    bool hybrid;               /* the hybrid handshake; tern_mlkem_available */
    struct tern_view prologue; /* both ends must have the same; empty but for WebRTC; not kept */
};

/* tern_noise_new makes a channel, to be ended by ops->fini. An initiator has message 1 for control
 * at once. TERN_ERR_MEMORY; TERN_ERR_UNSUPPORTED: hybrid, and the library has no ML-KEM. */
TERN_NODISCARD tern_err tern_noise_new(const struct tern_noise_options *options,
                                       struct tern_channel *secure);

#endif
