/*
 * What reads bytes of HTTP/3 by itself: the first byte says which.
 *
 *   0 heads   1 SETTINGS   2 capsules, cut as the second byte says   3 a request's section
 *   4 a response's section   5 QPACK's decoder stream   6 the frames of a packet of QUIC
 */
#include "base/check.h"
#include "quic/quic_partial_reset.h"
#include "webtransport/http3.h"
#include "webtransport/qpack.h"
#include "webtransport/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_heads(struct tern_view bytes)
{
    struct web_head head = {.size = 0};
    uint64_t numbers[2];
    for (size_t i = 0; i < bytes.size; i++)
        if (web_head_push(&head, bytes.data[i], i % 3 != 0 || head.size > 0, numbers))
            TERN_CHECK(head.size == 0 && numbers[0] < UINT64_C(1) << 62);
}

static void fuzz_capsules(struct tern_view bytes)
{
    struct web_capsules capsules = {.within = false};
    uint64_t skipped = 0;
    uint32_t code = 0;
    if (bytes.size == 0)
        return;
    size_t piece = (size_t)bytes.data[0] + 1;
    for (size_t at = 1; at < bytes.size; at += piece) {
        size_t part = tern_min_size(piece, bytes.size - at);
        if (web_capsules_feed(&capsules, tern_view_part(bytes, at, part), &code, &skipped) !=
            WEB_CAPSULES_MORE)
            return;
    }
    TERN_CHECK(skipped <= bytes.size * (WEB_HEAD_SIZE_MAX + 1));
}

static void fuzz_section(struct tern_view bytes, bool is_request)
{
    struct tern_mem mem;
    enum web_status answer;
    unsigned status;
    tern_fault fault;
    tern_mem_init(&mem, 0);
    tern_err err = is_request ? web_request_read(&mem, bytes, &answer, &fault)
                              : web_response_read(&mem, bytes, &status, &fault);
    TERN_CHECK((err == TERN_OK) == (fault == TERN_FAULT_NONE));
    TERN_CHECK(err != TERN_ERR_MEMORY);
    if (err == TERN_OK && !is_request)
        TERN_CHECK(status >= 100 && status <= 599);
    tern_mem_fini(&mem);
}

static void fuzz_packet(struct tern_view bytes)
{
    uint8_t frames[2048];
    size_t size = tern_min_size(bytes.size, sizeof frames);
    tern_copy(frames, bytes.data, size);
    quic_partial_reset_rewrite(frames, size);
    uint8_t again[2048];
    tern_copy(again, frames, size);
    quic_partial_reset_rewrite(again, size);
    TERN_CHECK(size == 0 || memcmp(frames, again, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct web_qpack_decoder decoder = {.more = 0};
    struct web_settings settings;
    if (size == 0)
        return 0;
    struct tern_view bytes = tern_view_of(data + 1, size - 1);
    switch (data[0] % 7) {
    case 0:
        fuzz_heads(bytes);
        break;
    case 1:
        (void)web_settings_parse(bytes, &settings);
        break;
    case 2:
        fuzz_capsules(bytes);
        break;
    case 3:
    case 4:
        fuzz_section(bytes, data[0] % 7 == 3);
        break;
    case 5:
        for (size_t i = 0; i < bytes.size; i++)
            if (!web_qpack_decoder_byte(&decoder, bytes.data[i]))
                break;
        break;
    default:
        fuzz_packet(bytes);
        break;
    }
    return 0;
}
