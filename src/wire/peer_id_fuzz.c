/*
 * Any input as multihash, CID and peer id, in binary and in text: what is read is written back to
 * the same bytes, and through text to the same value.
 */
#include "base/check.h"
#include "wire/cid.h"
#include "wire/peer_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_cid(const struct tern_cid *cid, struct tern_view bytes)
{
    uint8_t out[TERN_CID_SIZE_MAX];
    struct tern_writer w = tern_writer_of(out, sizeof out);
    tern_cid_encode(&w, cid);
    TERN_CHECK(tern_writer_ok(&w) && tern_view_equal(tern_writer_view(&w), bytes));
    uint8_t text[TERN_CID_TEXT_SIZE_MAX];
    struct tern_writer t = tern_writer_of(text, sizeof text);
    TERN_CHECK(tern_cid_format(cid, TERN_BASE32, &t) == TERN_OK);
    struct tern_cid back;
    uint8_t buffer[TERN_CID_SIZE_MAX];
    struct tern_span span = {buffer, sizeof buffer};
    TERN_CHECK(tern_cid_parse(tern_writer_view(&t), span, &back, NULL) == TERN_OK);
    TERN_CHECK(back.version == cid->version && back.codec == cid->codec &&
               back.hash.code == cid->hash.code &&
               tern_view_equal(back.hash.digest, cid->hash.digest));
}

static void check_peer_id(const struct tern_peer_id *id)
{
    uint8_t text[256];
    struct tern_writer w = tern_writer_of(text, TERN_PEER_ID_TEXT_SIZE_MAX - 1);
    struct tern_peer_id back;
    tern_peer_id_format(id, &w);
    TERN_CHECK(tern_peer_id_parse(tern_writer_view(&w), &back) == TERN_OK);
    TERN_CHECK(tern_peer_id_equal(id, &back));
    w = tern_writer_of(text, sizeof text);
    TERN_CHECK(tern_peer_id_format_cid(id, TERN_BASE36, &w) == TERN_OK);
    TERN_CHECK(tern_peer_id_parse(tern_writer_view(&w), &back) == TERN_OK);
    TERN_CHECK(tern_peer_id_equal(id, &back));
    struct tern_view key;
    if (tern_peer_id_key(id, &key)) {
        TERN_CHECK(tern_peer_id_of_key(key, &back) == TERN_OK);
        TERN_CHECK(tern_peer_id_equal(id, &back));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tern_view in = tern_view_of(data, size);
    struct tern_cid cid;
    if (tern_cid_decode(in, &cid) == TERN_OK)
        check_cid(&cid, in);
    uint8_t buffer[TERN_CID_SIZE_MAX];
    if (tern_cid_parse(in, (struct tern_span){buffer, sizeof buffer}, &cid, NULL) == TERN_OK) {
        struct tern_writer w = tern_writer_of((uint8_t[TERN_CID_SIZE_MAX]){0}, TERN_CID_SIZE_MAX);
        tern_cid_encode(&w, &cid);
        check_cid(&cid, tern_writer_view(&w));
    }
    struct tern_peer_id id;
    if (tern_peer_id_decode(in, &id) == TERN_OK) {
        TERN_CHECK(tern_view_equal(tern_peer_id_view(&id), in));
        check_peer_id(&id);
    }
    if (tern_peer_id_parse(in, &id) == TERN_OK)
        check_peer_id(&id);
    return 0;
}
