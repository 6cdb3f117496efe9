/*
 * Identify messages, one behind the other, each with a length of two bytes in front: merged as
 * those of one answer. Every view stays inside what was copied.
 */
#include "base/check.h"
#include "base/reader.h"
#include "protocol/identify/identify_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_inside(const struct identify_parts *parts, struct tern_view view)
{
    TERN_CHECK(view.size == 0 ||
               (view.data >= parts->bytes && view.data + view.size <= parts->bytes + parts->size));
}

static void fuzz_check(const struct identify_parts *parts)
{
    static const struct tern_peer_id id = {.size = 3, .bytes = {0, 1, 2}};
    TERN_CHECK(parts->size <= sizeof parts->bytes);
    fuzz_inside(parts, parts->public_key);
    fuzz_inside(parts, parts->agent);
    fuzz_inside(parts, parts->version);
    fuzz_inside(parts, parts->observed);
    fuzz_inside(parts, parts->signed_record);
    for (size_t i = 0; i < parts->addresses_count; i++)
        fuzz_inside(parts, parts->addresses[i]);
    for (size_t i = 0; i < parts->protocols_count; i++)
        fuzz_inside(parts, parts->protocols[i]);
    (void)identify_key_matches(parts, &id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tern_mem mem;
    struct tern_reader script = tern_reader_of(tern_view_of(data, size));
    uint16_t length;
    tern_mem_init(&mem, 0);
    struct identify_parts *parts = identify_parts_new(&mem);
    TERN_CHECK(parts != NULL);
    while (tern_reader_u16be(&script, &length)) {
        struct tern_view message;
        if (!tern_reader_bytes(&script, tern_min_size(length, tern_reader_left(&script)), &message))
            break;
        if (identify_parts_merge(parts, message) != TERN_OK)
            break;
        fuzz_check(parts);
    }
    fuzz_check(parts);
    identify_parts_free(parts, &mem);
    TERN_CHECK(mem.used == 0);
    tern_mem_fini(&mem);
    return 0;
}
