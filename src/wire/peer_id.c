#include "wire/peer_id.h"

#include "base/check.h"
#include "wire/cid.h"
#include "wire/multihash.h"

enum {
    PEER_ID_SHA256_SIZE = 32,
    PEER_ID_SHORT_HEAD = 2,
    PEER_ID_SHORT_TAIL = 6,
};

static bool peer_id_hash_fits(const struct tern_multihash *hash)
{
    if (hash->code == TERN_MULTIHASH_IDENTITY)
        return hash->digest.size >= 1 && hash->digest.size <= TERN_PEER_ID_KEY_SIZE_MAX;
    return hash->code == TERN_MULTIHASH_SHA2_256 && hash->digest.size == PEER_ID_SHA256_SIZE;
}

static void peer_id_set(struct tern_peer_id *id, const struct tern_multihash *hash)
{
    *id = (struct tern_peer_id){0};
    struct tern_writer w = tern_writer_of(id->bytes, sizeof id->bytes);
    tern_multihash_encode(&w, hash);
    TERN_CHECK(tern_writer_ok(&w));
    id->size = (uint8_t)w.size;
}

int tern_peer_id_compare(const struct tern_peer_id *a, const struct tern_peer_id *b)
{
    return tern_view_compare(tern_peer_id_view(a), tern_peer_id_view(b));
}

tern_err tern_peer_id_decode(struct tern_view bytes, struct tern_peer_id *id)
{
    *id = (struct tern_peer_id){0};
    struct tern_multihash hash;
    if (bytes.size > TERN_PEER_ID_SIZE_MAX || tern_multihash_decode(bytes, &hash) != TERN_OK ||
        !peer_id_hash_fits(&hash))
        return TERN_ERR_MALFORMED;
    peer_id_set(id, &hash);
    return TERN_OK;
}

static tern_err peer_id_parse_cid(struct tern_view text, struct tern_peer_id *id)
{
    uint8_t buffer[TERN_CID_SIZE_MAX];
    struct tern_cid cid;
    TERN_TRY(tern_cid_parse(text, (struct tern_span){buffer, sizeof buffer}, &cid, NULL));
    if (cid.version != 1 || cid.codec != TERN_CID_LIBP2P_KEY || !peer_id_hash_fits(&cid.hash))
        return TERN_ERR_MALFORMED;
    peer_id_set(id, &cid.hash);
    return TERN_OK;
}

tern_err tern_peer_id_parse(struct tern_view text, struct tern_peer_id *id)
{
    *id = (struct tern_peer_id){0};
    if (text.size == 0)
        return TERN_ERR_MALFORMED;
    /* No multibase prefix is '1' or 'Q', so the first characters tell the forms apart: an identity
     * multihash starts with a zero byte ('1'), sha2-256 with 0x12 0x20 ("Qm"). */
    bool bare =
        text.data[0] == '1' || (text.size >= 2 && text.data[0] == 'Q' && text.data[1] == 'm');
    if (!bare)
        return peer_id_parse_cid(text, id);
    uint8_t buffer[TERN_PEER_ID_SIZE_MAX];
    struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
    TERN_TRY(tern_base_decode(TERN_BASE58_BTC, text, &w));
    return tern_peer_id_decode(tern_writer_view(&w), id);
}

void tern_peer_id_format(const struct tern_peer_id *id, struct tern_writer *text)
{
    tern_err err = tern_base_encode(TERN_BASE58_BTC, tern_peer_id_view(id), text);
    TERN_DCHECK(err == TERN_OK || !tern_writer_ok(text));
    (void)err; /* a lack of room sticks in the writer */
}

tern_err tern_peer_id_format_cid(const struct tern_peer_id *id, enum tern_base base,
                                 struct tern_writer *text)
{
    TERN_CHECK(!tern_peer_id_is_none(id));
    struct tern_cid cid = {.version = 1, .codec = TERN_CID_LIBP2P_KEY};
    TERN_TRY(tern_multihash_decode(tern_peer_id_view(id), &cid.hash));
    return tern_cid_format(&cid, base, text);
}

void tern_peer_id_format_short(const struct tern_peer_id *id, struct tern_writer *text)
{
    char buffer[TERN_PEER_ID_TEXT_SIZE_MAX];
    struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
    tern_peer_id_format(id, &w);
    struct tern_view whole = tern_writer_view(&w);
    if (whole.size <= PEER_ID_SHORT_HEAD + PEER_ID_SHORT_TAIL) {
        tern_writer_bytes(text, whole);
        return;
    }
    tern_writer_bytes(text, tern_view_of(whole.data, PEER_ID_SHORT_HEAD));
    tern_writer_u8(text, '*');
    tern_writer_bytes(
        text, tern_view_of(whole.data + whole.size - PEER_ID_SHORT_TAIL, PEER_ID_SHORT_TAIL));
}

tern_err tern_peer_id_of_key(struct tern_view key, struct tern_peer_id *id)
{
    *id = (struct tern_peer_id){0};
    TERN_CHECK(key.size > 0);
    if (key.size > TERN_PEER_ID_KEY_SIZE_MAX)
        return TERN_ERR_TOO_LARGE;
    peer_id_set(id, &(struct tern_multihash){.code = TERN_MULTIHASH_IDENTITY, .digest = key});
    return TERN_OK;
}

void tern_peer_id_of_sha256(const uint8_t digest[32], struct tern_peer_id *id)
{
    peer_id_set(id, &(struct tern_multihash){
                        .code = TERN_MULTIHASH_SHA2_256,
                        .digest = tern_view_of(digest, PEER_ID_SHA256_SIZE),
                    });
}

bool tern_peer_id_key(const struct tern_peer_id *id, struct tern_view *key)
{
    *key = (struct tern_view){0};
    /* Code and length are one byte each in every peer id. */
    if (id->size < 3 || id->bytes[0] != TERN_MULTIHASH_IDENTITY)
        return false;
    *key = tern_view_of(id->bytes + 2, id->size - 2U);
    return true;
}
