/*
 * Any bytes as a multiaddr: walking them is safe, checked or not; checked ones survive the way
 * through text, and taking them apart leaves checked ones.
 */
#include "base/check.h"
#include "wire/multiaddr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_apart(struct tern_view addr, bool valid)
{
    struct tern_multiaddr_iter it = tern_multiaddr_iter_of(addr);
    struct tern_multiaddr_part part;
    size_t whole = 0;
    while (tern_multiaddr_next(&it, &part)) {
        whole += part.whole.size;
        enum tern_multiaddr_code code = (enum tern_multiaddr_code)part.code;
        struct tern_view before = tern_multiaddr_before(addr, code);
        struct tern_view after = tern_multiaddr_after(addr, code);
        TERN_CHECK(before.size + after.size < addr.size);
        TERN_CHECK(!valid || before.size == 0 || tern_multiaddr_check(before) == TERN_OK);
        TERN_CHECK(!valid || after.size == 0 || tern_multiaddr_check(after) == TERN_OK);
        TERN_CHECK(tern_multiaddr_decapsulate(addr, code).size >= before.size);
    }
    TERN_CHECK(!valid || (it.err == TERN_OK && whole == addr.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tern_view addr = tern_view_of(data, size);
    bool valid = tern_multiaddr_check(addr) == TERN_OK;
    struct tern_peer_id id;
    struct tern_multiaddr_socket out;
    bool has_peer = tern_multiaddr_peer_id(addr, &id);
    TERN_CHECK(has_peer == (tern_multiaddr_without_peer_id(addr).size < size) || !valid);
    (void)tern_multiaddr_socket(addr, &out);
    if (size <= 2048)
        check_apart(addr, valid);
    struct tern_multiaddr copy;
    bool fits = tern_multiaddr_decode(addr, &copy) == TERN_OK;
    TERN_CHECK(fits == (valid && size <= TERN_MULTIADDR_SIZE_MAX));
    static uint8_t text[3 * TERN_MULTIADDR_TEXT_SIZE_MAX];
    struct tern_writer w = tern_writer_of(text, sizeof text);
    tern_err err = tern_multiaddr_format(addr, &w);
    TERN_CHECK((err == TERN_OK) == valid);
    if (!valid)
        return 0;
    TERN_CHECK(!fits || w.size < TERN_MULTIADDR_TEXT_SIZE_MAX);
    static uint8_t back[TERN_MULTIADDR_VIEW_SIZE_MAX];
    struct tern_writer b = tern_writer_of(back, sizeof back);
    struct tern_multiaddr_fault fault;
    TERN_CHECK(tern_multiaddr_parse_into(tern_writer_view(&w), &b, &fault) == TERN_OK);
    TERN_CHECK(tern_view_equal(tern_writer_view(&b), addr));
    return 0;
}
