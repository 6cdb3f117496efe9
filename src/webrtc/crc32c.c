#include "webrtc/crc32c.h"

static const uint32_t crc32c_rows[8][256] = {
#include "webrtc/crc32c.def"
};

static uint64_t crc32c_load(const uint8_t *data)
{
    uint64_t value;
    memcpy(&value, data, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

static uint32_t crc32c_by_tables(uint32_t crc, struct tern_view bytes)
{
    size_t at = 0;
    for (; at + 8 <= bytes.size; at += 8) {
        uint64_t x = crc32c_load(bytes.data + at) ^ crc;
        crc = 0;
        for (size_t i = 0; i < 8; i++)
            crc ^= crc32c_rows[7 - i][x >> 8 * i & 255];
    }
    for (; at < bytes.size; at++)
        crc = crc >> 8 ^ crc32c_rows[0][(crc ^ bytes.data[at]) & 255];
    return crc;
}

uint32_t tern_crc32c_portable(const struct tern_view *parts, size_t parts_count)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < parts_count; i++)
        crc = crc32c_by_tables(crc, parts[i]);
    return ~crc;
}

#ifdef __x86_64__

__attribute__((target("sse4.2"))) static uint32_t crc32c_by_processor(uint32_t crc,
                                                                      struct tern_view bytes)
{
    uint64_t wide = crc;
    size_t at = 0;
    for (; at + 8 <= bytes.size; at += 8)
        wide = __builtin_ia32_crc32di(wide, crc32c_load(bytes.data + at));
    crc = (uint32_t)wide;
    for (; at < bytes.size; at++)
        crc = __builtin_ia32_crc32qi(crc, bytes.data[at]);
    return crc;
}

uint32_t tern_crc32c(const struct tern_view *parts, size_t parts_count)
{
    if (!__builtin_cpu_supports("sse4.2"))
        return tern_crc32c_portable(parts, parts_count);
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < parts_count; i++)
        crc = crc32c_by_processor(crc, parts[i]);
    return ~crc;
}

#else

uint32_t tern_crc32c(const struct tern_view *parts, size_t parts_count)
{
    return tern_crc32c_portable(parts, parts_count);
}

#endif
