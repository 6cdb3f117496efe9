/*
 * Any text in every base, and as multibase: what decodes encodes to the same text again, but for
 * the case of letters where the base has none. Any bytes: they come back from every base.
 */
#include "base/check.h"
#include "wire/multibase.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_SIZE_MAX = 1024, OUT_SIZE_MAX = 16 * INPUT_SIZE_MAX };

static uint8_t fold(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static void check_same_text(struct tern_view a, struct tern_view b)
{
    TERN_CHECK(a.size == b.size);
    for (size_t i = 0; i < a.size; i++)
        TERN_CHECK(fold(a.data[i]) == fold(b.data[i]));
}

static void check_base(enum tern_base base, struct tern_view in)
{
    static uint8_t first[OUT_SIZE_MAX];
    static uint8_t second[OUT_SIZE_MAX];
    struct tern_writer a = tern_writer_of(first, sizeof first);
    struct tern_writer b = tern_writer_of(second, sizeof second);
    if (tern_base_decode(base, in, &a) == TERN_OK) {
        TERN_CHECK(tern_base_encode(base, tern_writer_view(&a), &b) == TERN_OK);
        check_same_text(in, tern_writer_view(&b));
    }
    a = tern_writer_of(first, sizeof first);
    b = tern_writer_of(second, sizeof second);
    if (tern_base_encode(base, in, &a) == TERN_OK) {
        TERN_CHECK(a.size <= tern_base_text_size_max(base, in.size));
        TERN_CHECK(tern_base_decode(base, tern_writer_view(&a), &b) == TERN_OK);
        TERN_CHECK(tern_view_equal(tern_writer_view(&b), in));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_SIZE_MAX)
        return 0;
    struct tern_view in = tern_view_of(data, size);
    for (unsigned base = 0; base < TERN_BASE_COUNT; base++)
        check_base((enum tern_base)base, in);
    static uint8_t out[OUT_SIZE_MAX];
    struct tern_writer w = tern_writer_of(out, sizeof out);
    enum tern_base base;
    if (tern_multibase_decode(in, &w, &base) == TERN_OK) {
        static uint8_t text[OUT_SIZE_MAX];
        struct tern_writer t = tern_writer_of(text, sizeof text);
        TERN_CHECK(tern_multibase_encode(base, tern_writer_view(&w), &t) == TERN_OK);
        check_same_text(in, tern_writer_view(&t));
    }
    return 0;
}
