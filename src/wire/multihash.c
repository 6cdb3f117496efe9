#include "wire/multihash.h"

#include "base/check.h"

struct multihash_row {
    uint64_t code;
    size_t size; /* of the whole digest; 0: any */
    const char *name;
};

static const struct multihash_row multihash_rows[] = {
#define X(name_, code_, size_, text_) {.code = code_, .size = size_, .name = text_},
#include "wire/multihash.def"
#undef X
};

static const struct multihash_row *multihash_row(uint64_t code)
{
    for (size_t i = 0; i < TERN_COUNT_OF(multihash_rows); i++) {
        if (multihash_rows[i].code == code)
            return &multihash_rows[i];
    }
    return NULL;
}

const char *tern_multihash_name(uint64_t code)
{
    const struct multihash_row *row = multihash_row(code);
    return row == NULL ? NULL : row->name;
}

bool tern_multihash_read(struct tern_reader *r, struct tern_multihash *hash)
{
    *hash = (struct tern_multihash){0};
    uint64_t code;
    uint64_t size;
    if (!tern_reader_uvarint(r, &code) || !tern_reader_uvarint(r, &size))
        return false;
    if (size > TERN_MULTIHASH_DIGEST_SIZE_MAX)
        return tern_reader_fail(r, TERN_ERR_TOO_LARGE);
    const struct multihash_row *row = multihash_row(code);
    if (row != NULL && row->size != 0 && size > row->size)
        return tern_reader_fail(r, TERN_ERR_MALFORMED);
    if (!tern_reader_bytes(r, (size_t)size, &hash->digest))
        return false;
    hash->code = code;
    return true;
}

tern_err tern_multihash_decode(struct tern_view bytes, struct tern_multihash *hash)
{
    struct tern_reader r = tern_reader_of(bytes);
    if (tern_multihash_read(&r, hash) && tern_reader_left(&r) == 0)
        return TERN_OK;
    *hash = (struct tern_multihash){0};
    /* Cut short is malformed here: the bytes are all there is. */
    if (r.err == TERN_OK || r.err == TERN_ERR_TRUNCATED)
        return TERN_ERR_MALFORMED;
    return r.err;
}

void tern_multihash_encode(struct tern_writer *w, const struct tern_multihash *hash)
{
    TERN_CHECK(hash->digest.size <= TERN_MULTIHASH_DIGEST_SIZE_MAX);
    tern_writer_uvarint(w, hash->code);
    tern_writer_uvarint(w, hash->digest.size);
    tern_writer_bytes(w, hash->digest);
}

size_t tern_multihash_size(const struct tern_multihash *hash)
{
    return tern_uvarint_size(hash->code) + tern_uvarint_size(hash->digest.size) + hash->digest.size;
}
