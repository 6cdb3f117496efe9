/* A transaction of a peer: whatever is read is written the same again. */
#include "base/check.h"
#include "chain/tx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tern_tx tx;
    struct tern_view in = tern_view_of(data, size);
    if (tern_tx_decode(in, &tx) != TERN_OK)
        return 0;
    uint8_t bytes[TERN_TX_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_tx_encode(&tx, &w);
    TERN_CHECK(tern_view_equal(tern_writer_view(&w), in));
    if (tern_tx_check(&tx) == TERN_FAULT_NONE)
        TERN_CHECK(tern_tx_cost(&tx) >= tx.fee); /* no overflow */
    return 0;
}
