/*
 * Content identifiers. Version 0 is a bare sha2-256 multihash, written as base58btc text ("Qm…");
 * version 1 is varint 1, varint codec, multihash, written as multibase text. A decoded CID is views
 * of the caller's bytes.
 *
 * Limits: the multihash's. Text of at most TERN_CID_TEXT_SIZE_MAX characters.
 * Specification: github.com/multiformats/cid. Pure, thread safe.
 */
#ifndef TERN_WIRE_CID_H
#define TERN_WIRE_CID_H

#include "wire/multibase.h"
#include "wire/multihash.h"

/* Codecs that we name; any other is carried as it is. */
enum tern_cid_codec {
    TERN_CID_RAW = 0x55,
    TERN_CID_DAG_PB = 0x70,
    TERN_CID_DAG_CBOR = 0x71,
    TERN_CID_LIBP2P_KEY = 0x72,
    TERN_CID_DAG_JSON = 0x0129,
    TERN_CID_JSON = 0x0200,
};

enum {
    TERN_CID_SIZE_MAX = 160,       /* 1 + 9 + 9 + 2 + 128, rounded up */
    TERN_CID_TEXT_SIZE_MAX = 1300, /* base2 of that, and its prefix */
};

struct tern_cid {
    uint8_t version; /* 0 or 1 */
    uint64_t codec;  /* version 0: dag-pb */
    struct tern_multihash hash;
};

/* tern_cid_decode reads bytes that are one CID and nothing else. TERN_ERR_MALFORMED,
 * TERN_ERR_NOT_MINIMAL, TERN_ERR_TOO_LARGE, TERN_ERR_UNSUPPORTED (version 2 and up). */
TERN_NODISCARD tern_err tern_cid_decode(struct tern_view bytes, struct tern_cid *cid);

void tern_cid_encode(struct tern_writer *w, const struct tern_cid *cid);

/* tern_cid_parse decodes text into `bytes` (TERN_CID_SIZE_MAX is always enough); the CID views
 * them. base, if not NULL, says which base the text had. Errors of tern_multibase_decode and
 * tern_cid_decode. */
TERN_NODISCARD tern_err tern_cid_parse(struct tern_view text, struct tern_span bytes,
                                       struct tern_cid *cid, enum tern_base *base);

/* tern_cid_format appends text: version 0 in base58btc without prefix (base is ignored), version 1
 * in the given base. TERN_ERR_TOO_LARGE: no room. */
TERN_NODISCARD tern_err tern_cid_format(const struct tern_cid *cid, enum tern_base base,
                                        struct tern_writer *text);

#endif
