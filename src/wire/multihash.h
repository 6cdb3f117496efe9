/*
 * Multihash: a digest that says which hash made it: varint code, varint length, digest. Encoding
 * only; the hashing itself is crypto/sha256.h.
 *
 * A code that is not in the table is accepted (a CID or provider key may use a hash we cannot
 * compute); a digest is at most TERN_MULTIHASH_DIGEST_SIZE_MAX bytes, and for a known code at most
 * the hash's own size. Specification: github.com/multiformats/multihash. Pure, thread safe.
 */
#ifndef TERN_WIRE_MULTIHASH_H
#define TERN_WIRE_MULTIHASH_H

#include "base/error.h"
#include "base/reader.h"
#include "base/types.h"
#include "base/writer.h"

enum tern_multihash_code {
#define X(name, code, size, text) TERN_MULTIHASH_##name = code,
#include "wire/multihash.def"
#undef X
};

enum { TERN_MULTIHASH_DIGEST_SIZE_MAX = 128 };

struct tern_multihash {
    uint64_t code; /* an enum tern_multihash_code, or another */
    struct tern_view digest;
};

/* tern_multihash_name is the table's name, or NULL for a code that is not in it. */
const char *tern_multihash_name(uint64_t code);

/* tern_multihash_read reads one from a reader; digest is borrowed. False sets r->err: TRUNCATED,
 * NOT_MINIMAL, MALFORMED (digest longer than its hash) or TOO_LARGE (over the maximum). */
bool tern_multihash_read(struct tern_reader *r, struct tern_multihash *hash);

/* tern_multihash_decode reads bytes that are one multihash and nothing else. TERN_ERR_MALFORMED,
 * TERN_ERR_NOT_MINIMAL, TERN_ERR_TOO_LARGE. */
TERN_NODISCARD tern_err tern_multihash_decode(struct tern_view bytes, struct tern_multihash *hash);

void tern_multihash_encode(struct tern_writer *w, const struct tern_multihash *hash);
size_t tern_multihash_size(const struct tern_multihash *hash);

#endif
