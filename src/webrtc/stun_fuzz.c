/* A datagram as a STUN message, its fingerprint put right, so that the fuzzer gets past it. What
 * decodes also encodes, and decodes to the same again. */
#include "base/check.h"
#include "webrtc/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t fuzz_crc32(const uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    return ~crc;
}

static void fuzz_again(const struct tern_stun *m)
{
    uint8_t buffer[TERN_STUN_ENCODED_MAX];
    struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
    struct tern_stun in = *m;
    if (in.error == 0)
        in.unknown_count = 0;
    tern_stun_encode(&in, tern_view_str("password"), &w);
    struct tern_stun out;
    tern_fault fault;
    TERN_CHECK(tern_writer_ok(&w));
    TERN_CHECK(tern_stun_decode(tern_writer_view(&w), &out, &fault) == TERN_OK);
    TERN_CHECK(tern_stun_authentic(&out, tern_writer_view(&w), tern_view_str("password")));
    TERN_CHECK(tern_view_equal(out.username, in.username));
    TERN_CHECK(out.class == in.class && out.priority == in.priority && out.role == in.role);
    TERN_CHECK(out.error == in.error && out.use_candidate == in.use_candidate);
    TERN_CHECK(memcmp(&out.mapped, &in.mapped, sizeof in.mapped) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t buffer[TERN_STUN_SIZE_MAX + 16];
    if (size < 8 || size > sizeof buffer)
        return 0;
    memcpy(buffer, data, size);
    struct tern_writer w = tern_writer_of(buffer + size - 8, 8);
    tern_writer_u32be(&w, 0x80280004);
    tern_writer_u32be(&w, fuzz_crc32(buffer, size - 8) ^ 0x5354554e);
    struct tern_stun m;
    tern_fault fault;
    struct tern_view datagram = tern_view_of(buffer, size);
    tern_err err = tern_stun_decode(datagram, &m, &fault);
    TERN_CHECK((err == TERN_OK) == (fault == TERN_FAULT_NONE));
    if (err != TERN_OK)
        return 0;
    (void)tern_stun_authentic(&m, datagram, tern_view_str("password"));
    fuzz_again(&m);
    return 0;
}
