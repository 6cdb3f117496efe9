/* Sync messages of a peer: whatever is read is written the same again. The first byte chooses the
 * message. */
#include "base/check.h"
#include "chain/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t fuzz_bytes[1 << 16];

static void fuzz_same(struct tern_view in, const struct tern_writer *w)
{
    TERN_CHECK(tern_writer_ok(w) && tern_view_equal(tern_writer_view(w), in));
}

static void fuzz_fixed(uint8_t kind, struct tern_view in, struct tern_writer *w)
{
    struct tern_sync_status status;
    struct tern_sync_get_headers headers;
    struct tern_sync_get_blocks blocks;
    struct tern_sync_validation validation;
    struct tern_hash digest;
    bool restart;
    tern_err err;
    if (kind == 0) {
        err = tern_sync_status_decode(in, &status);
        if (err == TERN_OK)
            tern_sync_status_encode(&status, w);
    } else if (kind == 1) {
        err = tern_sync_get_headers_decode(in, &headers);
        if (err == TERN_OK)
            tern_sync_get_headers_encode(&headers, w);
    } else if (kind == 2) {
        err = tern_sync_get_blocks_decode(in, &blocks);
        if (err == TERN_OK)
            tern_sync_get_blocks_encode(&blocks, w);
    } else if (kind == 3) {
        err = tern_sync_get_validation_decode(in, &restart);
        if (err == TERN_OK)
            tern_sync_get_validation_encode(restart, w);
    } else if (kind == 4) {
        err = tern_sync_get_txs_decode(in, &digest);
        if (err == TERN_OK)
            tern_sync_get_txs_encode(&digest, w);
    } else {
        err = tern_sync_validation_decode(in, &validation);
        if (err == TERN_OK)
            tern_sync_validation_encode(&validation, w);
    }
    if (err == TERN_OK)
        fuzz_same(in, w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > sizeof fuzz_bytes)
        return 0;
    struct tern_view in = tern_view_of(data + 1, size - 1);
    struct tern_writer w = tern_writer_of(fuzz_bytes, sizeof fuzz_bytes);
    if (data[0] % 7 < 6) {
        fuzz_fixed(data[0] % 7, in, &w);
        return 0;
    }
    size_t count;
    if (tern_sync_items_check(in, TERN_SYNC_HEADERS_MAX, &count) != TERN_OK)
        return 0;
    struct tern_view rest = in;
    struct tern_view item;
    size_t seen = 0;
    while (tern_sync_items_next(&rest, &item)) {
        struct tern_header header;
        tern_err err = tern_header_decode(item, &header);
        TERN_CHECK(err == TERN_OK || err == TERN_ERR_MALFORMED);
        seen++;
        tern_sync_item_encode(item, &w);
    }
    TERN_CHECK(seen == count);
    fuzz_same(in, &w);
    return 0;
}
