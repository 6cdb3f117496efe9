/* First byte: the size of a segment. The rest: what a dialer says. Names of even length are
 * accepted. The outcome is the same in segments as at once, and memory is bounded and given back.
 */
#include "negotiate/multistream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_outcome {
    enum tern_multistream_state state;
    tern_fault fault;
    size_t used;
    size_t proposals;
    size_t sent;
};

static void fuzz_answer(struct tern_multistream_listener *listener, struct fuzz_outcome *o)
{
    struct tern_view name;
    if (!tern_multistream_listener_proposal(listener, &name))
        return;
    o->proposals++;
    if (name.size % 2 == 0)
        tern_multistream_listener_accept(listener);
    else
        tern_multistream_listener_refuse(listener);
}

static struct fuzz_outcome fuzz_run(struct tern_view in, size_t segment)
{
    struct fuzz_outcome o = {.used = 0};
    struct tern_mem mem;
    tern_mem_init(&mem, TERN_MULTISTREAM_SIZE_MAX);
    struct tern_multistream_listener listener;
    tern_multistream_listener_init(&listener, &mem);
    while (o.used < in.size && listener.state == TERN_MULTISTREAM_PENDING) {
        size_t used;
        size_t part = tern_min_size(segment, in.size - o.used);
        tern_err err =
            tern_multistream_listener_recv(&listener, tern_view_of(in.data + o.used, part), &used);
        if (used == 0 || used > part ||
            (err != TERN_OK) != (listener.state == TERN_MULTISTREAM_FAILED))
            __builtin_trap();
        o.used += used;
        fuzz_answer(&listener, &o);
    }
    uint8_t bytes[20 + 64 * 4 + TERN_MULTISTREAM_WIRE_MAX];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    tern_multistream_listener_send(&listener, &out);
    if (!tern_writer_ok(&out) || tern_multistream_listener_want_send(&listener))
        __builtin_trap();
    o.sent = out.size;
    o.state = listener.state;
    o.fault = listener.fault;
    tern_multistream_listener_fini(&listener);
    tern_mem_fini(&mem);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct tern_view in = tern_view_of(data + 1, size - 1);
    struct fuzz_outcome whole = fuzz_run(in, in.size == 0 ? 1 : in.size);
    struct fuzz_outcome parts = fuzz_run(in, 1 + (size_t)data[0] % 32);
    bool same = whole.state == parts.state && whole.fault == parts.fault &&
                whole.proposals == parts.proposals && whole.sent == parts.sent;
    /* A wrong header is known at its first wrong piece, and pieces differ. */
    if (!same || (whole.fault != TERN_FAULT_MULTISTREAM_NO_HEADER && whole.used != parts.used))
        __builtin_trap();
    return 0;
}
