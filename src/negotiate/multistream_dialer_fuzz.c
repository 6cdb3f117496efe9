/* First byte: how many names, and whether lazy. Second: the size of a segment. The rest: what a
 * listener says. Whatever it is, the outcome is the same in segments as at once. */
#include "negotiate/multistream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tern_view fuzz_names[] = {
    {(const uint8_t *)"/noise", 6},
    {(const uint8_t *)"/plaintext/2.0.0", 16},
    {(const uint8_t *)"/yamux/1.0.0", 12},
};

static void fuzz_send(struct tern_multistream_dialer *dialer)
{
    uint8_t bytes[2 * TERN_MULTISTREAM_WIRE_MAX];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    tern_multistream_dialer_send(dialer, &out);
    if (!tern_writer_ok(&out) || tern_multistream_dialer_want_send(dialer))
        __builtin_trap();
}

static size_t fuzz_run(struct tern_multistream_dialer *dialer, struct tern_view in, size_t segment,
                       uint8_t options)
{
    tern_multistream_dialer_init(dialer, &(struct tern_multistream_dialer_options){
                                             .names = fuzz_names,
                                             .names_count = 1 + options % 3,
                                             .lazy = (options & 0x80) != 0,
                                         });
    fuzz_send(dialer);
    size_t at = 0;
    while (at < in.size && dialer->state == TERN_MULTISTREAM_PENDING) {
        size_t used;
        size_t part = tern_min_size(segment, in.size - at);
        tern_err err =
            tern_multistream_dialer_recv(dialer, tern_view_of(in.data + at, part), &used);
        if (used == 0 || used > part ||
            (err != TERN_OK) != (dialer->state == TERN_MULTISTREAM_FAILED))
            __builtin_trap();
        at += used;
        fuzz_send(dialer);
    }
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct tern_view in = tern_view_of(data + 2, size - 2);
    struct tern_multistream_dialer whole;
    struct tern_multistream_dialer parts;
    size_t used_whole = fuzz_run(&whole, in, in.size == 0 ? 1 : in.size, data[0]);
    size_t used_parts = fuzz_run(&parts, in, 1 + (size_t)data[1] % 32, data[0]);
    if (whole.state != parts.state || whole.fault != parts.fault || whole.index != parts.index)
        __builtin_trap();
    /* A wrong header is known at its first wrong piece, and pieces differ. */
    if (whole.fault != TERN_FAULT_MULTISTREAM_NO_HEADER && used_whole != used_parts)
        __builtin_trap();
    return 0;
}
