/*
 * Peer ids: the multihash of a peer's protobuf-encoded public key. A key of at most 42 bytes
 * (Ed25519, secp256k1) is its own "hash" under the identity code, so the key can be read back from
 * the id; a larger one (RSA, ECDSA) is hashed with SHA-256. Nothing else is a peer id.
 *
 * Text is base58btc ("12D3Koo…", "16Uiu2…", "Qm…"), which we always write, or a CIDv1 of codec
 * libp2p-key in any multibase, which we read and write on demand (base36 for host names).
 *
 * The struct is plain data of 45 bytes: copy, compare and keep it freely; unused bytes are zero. As
 * a map key use tern_peer_id_view. Deriving an id from a key is crypto/key.h (it may need SHA-256).
 *
 * Specification: libp2p peer-ids/peer-ids.md. Pure, thread safe.
 */
#ifndef TERN_WIRE_PEER_ID_H
#define TERN_WIRE_PEER_ID_H

#include "base/error.h"
#include "base/types.h"
#include "base/writer.h"
#include "wire/multibase.h"

enum {
    TERN_PEER_ID_KEY_SIZE_MAX = 42,   /* largest public key kept inside an id */
    TERN_PEER_ID_SIZE_MAX = 44,       /* code, length, that */
    TERN_PEER_ID_TEXT_SIZE_MAX = 64,  /* base58btc of that, and a terminator */
    TERN_PEER_ID_SHORT_SIZE_MAX = 10, /* tern_peer_id_format_short, and a terminator */
};

struct tern_peer_id {
    uint8_t size; /* 0: no peer */
    uint8_t bytes[TERN_PEER_ID_SIZE_MAX];
};

static inline struct tern_view tern_peer_id_view(const struct tern_peer_id *id)
{
    return tern_view_of(id->bytes, id->size);
}

static inline bool tern_peer_id_is_none(const struct tern_peer_id *id)
{
    return id->size == 0;
}

static inline bool tern_peer_id_equal(const struct tern_peer_id *a, const struct tern_peer_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* tern_peer_id_compare orders by bytes, as go's peer.ID strings are ordered. */
int tern_peer_id_compare(const struct tern_peer_id *a, const struct tern_peer_id *b);

/* tern_peer_id_decode copies and validates bytes. TERN_ERR_MALFORMED: not a multihash, another
 * hash, another digest size, or a key over 42 bytes. *id is "no peer" on error. */
TERN_NODISCARD tern_err tern_peer_id_decode(struct tern_view bytes, struct tern_peer_id *id);

/* tern_peer_id_parse reads either text form. TERN_ERR_MALFORMED, TERN_ERR_TOO_LARGE,
 * TERN_ERR_UNSUPPORTED (unknown base). *id is "no peer" on error. */
TERN_NODISCARD tern_err tern_peer_id_parse(struct tern_view text, struct tern_peer_id *id);

/* tern_peer_id_format appends base58btc text: at most TERN_PEER_ID_TEXT_SIZE_MAX - 1 characters. */
void tern_peer_id_format(const struct tern_peer_id *id, struct tern_writer *text);

/* tern_peer_id_format_cid appends the CIDv1 text in the given base. TERN_ERR_TOO_LARGE: no room. */
TERN_NODISCARD tern_err tern_peer_id_format_cid(const struct tern_peer_id *id, enum tern_base base,
                                                struct tern_writer *text);

/* tern_peer_id_format_short appends the first two characters, '*' and the last six: for tables and
 * logs, the form go prints. */
void tern_peer_id_format_short(const struct tern_peer_id *id, struct tern_writer *text);

/* tern_peer_id_of_key makes the id that carries a small encoded public key itself.
 * TERN_ERR_TOO_LARGE: over 42 bytes; hash it and use tern_peer_id_of_sha256. */
TERN_NODISCARD tern_err tern_peer_id_of_key(struct tern_view key, struct tern_peer_id *id);

/* tern_peer_id_of_sha256 makes the id of a large key from the SHA-256 of its encoding. */
void tern_peer_id_of_sha256(const uint8_t digest[32], struct tern_peer_id *id);

/* tern_peer_id_key views the encoded public key inside the id. False: the id is a hash. */
bool tern_peer_id_key(const struct tern_peer_id *id, struct tern_view *key);

#endif
