/* A block of a peer, and a stored diff: whatever is read is written the same again. */
#include "base/check.h"
#include "chain/block.h"
#include "chain/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_block(struct tern_view in)
{
    struct tern_block block;
    tern_fault fault;
    if (tern_block_decode(in, &block, &fault) != TERN_OK) {
        TERN_CHECK(fault != TERN_FAULT_NONE);
        return;
    }
    uint8_t header[TERN_HEADER_SIZE_MAX];
    struct tern_writer w = tern_writer_of(header, sizeof header);
    tern_header_encode(&block.header, &w);
    TERN_CHECK(tern_view_equal(tern_writer_view(&w), tern_view_of(in.data, w.size)));
    (void)tern_block_check_body(&block);
    struct tern_block_txs it = tern_block_txs_of(&block);
    struct tern_tx tx;
    struct tern_view bytes;
    size_t total = w.size;
    while (tern_block_txs_next(&it, &tx, &bytes))
        total += bytes.size;
    TERN_CHECK(total == in.size);
}

static void fuzz_diff(struct tern_view in)
{
    struct tern_mem mem;
    struct tern_state_diff diff;
    tern_mem_init(&mem, 0);
    if (tern_state_diff_decode(in, &mem, &diff) == TERN_OK) {
        TERN_CHECK(tern_state_diff_size(&diff) == in.size);
        tern_state_diff_fini(&diff);
    }
    TERN_CHECK(mem.used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_block(tern_view_of(data, size));
    fuzz_diff(tern_view_of(data, size));
    return 0;
}
