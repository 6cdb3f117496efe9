#include "wire/cid.h"

#include "base/check.h"

enum {
    CID_V0_SIZE = 34, /* 0x12 0x20 and a SHA-256 */
    CID_V0_TEXT_SIZE = 46,
};

static bool cid_is_v0(struct tern_view bytes)
{
    return bytes.size == CID_V0_SIZE && bytes.data[0] == TERN_MULTIHASH_SHA2_256 &&
           bytes.data[1] == 32;
}

static tern_err cid_decode_v1(struct tern_view bytes, struct tern_cid *cid)
{
    struct tern_reader r = tern_reader_of(bytes);
    uint64_t version;
    if (!tern_reader_uvarint(&r, &version))
        return r.err == TERN_ERR_TRUNCATED ? TERN_ERR_MALFORMED : r.err;
    /* 0x12 here is a version 0 whose multihash is not the one it must be. */
    if (version == 0 || version == TERN_MULTIHASH_SHA2_256)
        return TERN_ERR_MALFORMED;
    if (version != 1)
        return TERN_ERR_UNSUPPORTED;
    if (!tern_reader_uvarint(&r, &cid->codec))
        return r.err == TERN_ERR_TRUNCATED ? TERN_ERR_MALFORMED : r.err;
    cid->version = 1;
    return tern_multihash_decode(tern_reader_rest(&r), &cid->hash);
}

tern_err tern_cid_decode(struct tern_view bytes, struct tern_cid *cid)
{
    *cid = (struct tern_cid){0};
    if (bytes.size > TERN_CID_SIZE_MAX)
        return TERN_ERR_TOO_LARGE;
    if (cid_is_v0(bytes)) {
        cid->codec = TERN_CID_DAG_PB;
        return tern_multihash_decode(bytes, &cid->hash);
    }
    tern_err err = cid_decode_v1(bytes, cid);
    if (err != TERN_OK)
        *cid = (struct tern_cid){0};
    return err;
}

void tern_cid_encode(struct tern_writer *w, const struct tern_cid *cid)
{
    TERN_CHECK(cid->version <= 1);
    if (cid->version == 1) {
        tern_writer_uvarint(w, 1);
        tern_writer_uvarint(w, cid->codec);
    }
    tern_multihash_encode(w, &cid->hash);
}

tern_err tern_cid_parse(struct tern_view text, struct tern_span bytes, struct tern_cid *cid,
                        enum tern_base *base)
{
    *cid = (struct tern_cid){0};
    if (text.size > TERN_CID_TEXT_SIZE_MAX)
        return TERN_ERR_TOO_LARGE;
    struct tern_writer w = tern_writer_of(bytes.data, bytes.size);
    if (text.size == CID_V0_TEXT_SIZE && text.data[0] == 'Q' && text.data[1] == 'm') {
        if (base != NULL)
            *base = TERN_BASE58_BTC;
        TERN_TRY(tern_base_decode(TERN_BASE58_BTC, text, &w));
        return cid_is_v0(tern_writer_view(&w)) ? tern_cid_decode(tern_writer_view(&w), cid)
                                               : TERN_ERR_MALFORMED;
    }
    TERN_TRY(tern_multibase_decode(text, &w, base));
    /* Version 0 has no multibase form. */
    if (cid_is_v0(tern_writer_view(&w)))
        return TERN_ERR_MALFORMED;
    return tern_cid_decode(tern_writer_view(&w), cid);
}

tern_err tern_cid_format(const struct tern_cid *cid, enum tern_base base, struct tern_writer *text)
{
    uint8_t buffer[TERN_CID_SIZE_MAX];
    struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
    tern_cid_encode(&w, cid);
    TERN_CHECK(tern_writer_ok(&w));
    if (cid->version == 0)
        return tern_base_encode(TERN_BASE58_BTC, tern_writer_view(&w), text);
    return tern_multibase_encode(base, tern_writer_view(&w), text);
}
