/* Any bytes as a payload. What decodes has its views inside the input, and its lists survive
 * encoding. */
#include "base/check.h"
#include "secure/noise_payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool fuzz_inside(struct tern_view part, const uint8_t *data, size_t size)
{
    return part.size == 0 || (part.data >= data && part.size <= size &&
                              (size_t)(part.data - data) <= size - part.size);
}

static bool fuzz_same(struct tern_noise_list list, const struct tern_view *entries, size_t count)
{
    struct tern_noise_list other = {entries, count};
    return list.count == count && tern_noise_contains_all(list, other) &&
           tern_noise_contains_all(other, list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TERN_NOISE_HANDSHAKE_SIZE_MAX)
        return 0;
    struct tern_noise_payload payload;
    tern_fault fault = TERN_FAULT_NONE;
    tern_err err = tern_noise_payload_decode(tern_view_of(data, size), &payload, &fault);
    TERN_CHECK((err != TERN_OK) == (fault != TERN_FAULT_NONE));
    if (err != TERN_OK)
        return 0;
    TERN_CHECK(fuzz_inside(payload.identity_key, data, size));
    TERN_CHECK(fuzz_inside(payload.identity_sig, data, size));
    for (size_t i = 0; i < payload.muxers_count; i++)
        TERN_CHECK(fuzz_inside(payload.muxers[i], data, size));

    /* Tags and lengths may have come in longer forms or several fields, so ours is no larger than
     * this. */
    static uint8_t bytes[2 * TERN_NOISE_HANDSHAKE_SIZE_MAX];
    struct tern_noise_list certhashes = {payload.certhashes, payload.certhashes_count};
    struct tern_noise_list muxers = {payload.muxers, payload.muxers_count};
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_noise_extensions_encode(certhashes, muxers, &w);
    TERN_CHECK(tern_writer_ok(&w) && w.size == tern_noise_extensions_size(certhashes, muxers));
    struct tern_noise_payload again;
    err = tern_noise_payload_decode(tern_writer_view(&w), &again, &fault);
    TERN_CHECK(err == TERN_OK);
    TERN_CHECK(fuzz_same(certhashes, again.certhashes, again.certhashes_count));
    TERN_CHECK(fuzz_same(muxers, again.muxers, again.muxers_count));
    return 0;
}
