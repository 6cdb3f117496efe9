/*
 * Any text as a multiaddr: what is read is a checked address whose own text reads as the same; what
 * is refused has a reason and a place inside the text.
 */
#include "base/check.h"
#include "wire/multiaddr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tern_view text = tern_view_of(data, size);
    static uint8_t bytes[TERN_MULTIADDR_VIEW_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct tern_multiaddr_fault fault;
    tern_err err = tern_multiaddr_parse_into(text, &w, &fault);
    struct tern_multiaddr small;
    tern_err small_err = tern_multiaddr_parse(text, &small, NULL);
    if (err != TERN_OK) {
        TERN_CHECK(small_err != TERN_OK && small.size == 0);
        TERN_CHECK(fault.reason != TERN_MULTIADDR_FINE && fault.position <= size);
        return 0;
    }
    struct tern_view addr = tern_writer_view(&w);
    TERN_CHECK((small_err == TERN_OK) == (addr.size <= TERN_MULTIADDR_SIZE_MAX));
    TERN_CHECK(tern_multiaddr_check(addr) == TERN_OK);
    static uint8_t out[3 * TERN_MULTIADDR_TEXT_SIZE_MAX];
    struct tern_writer t = tern_writer_of(out, sizeof out);
    TERN_CHECK(tern_multiaddr_format(addr, &t) == TERN_OK);
    static uint8_t back[TERN_MULTIADDR_VIEW_SIZE_MAX];
    struct tern_writer b = tern_writer_of(back, sizeof back);
    TERN_CHECK(tern_multiaddr_parse_into(tern_writer_view(&t), &b, NULL) == TERN_OK);
    TERN_CHECK(tern_view_equal(tern_writer_view(&b), addr));
    return 0;
}
