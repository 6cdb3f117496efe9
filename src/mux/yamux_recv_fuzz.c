/*
 * A peer's bytes against one session, whose owner reads, echoes, closes and resets as the first
 * bytes say. Whatever comes: no crash, bounded memory, and nothing is left at the end.
 */
#include "mux/yamux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_MEMORY_MAX = 1 << 20, FUZZ_FRAME_MAX = 65519 };

struct fuzz_world {
    struct tern_mem mem;
    struct tern_scope scope;
    struct tern_scope windows;
    struct tern_mux mux;
    tern_time now;
    uint8_t behaviour;
    uint32_t step;
    tern_stream_id ours;
};

static void fuzz_serve(struct fuzz_world *w, const struct tern_mux_event *event)
{
    const struct tern_mux_ops *ops = w->mux.ops;
    struct tern_slice bytes;
    size_t accepted;
    w->step++;
    if (event->kind == TERN_MUX_STREAM_OPENED && (w->behaviour & 4) != 0 && w->step % 3 == 0) {
        ops->reset(w->mux.self, event->stream, w->step);
        return;
    }
    if (event->kind != TERN_MUX_READABLE)
        return;
    for (int i = 0; i < 1000; i++) {
        tern_err err = ops->read(w->mux.self, event->stream, &bytes);
        if (err == TERN_ERR_END)
            (void)!ops->close_write(w->mux.self, event->stream);
        if (err != TERN_OK || (w->behaviour & 8) != 0)
            return;
        (void)!ops->write(w->mux.self, event->stream, bytes.view, &accepted);
        ops->consume(w->mux.self, event->stream, bytes.view.size);
    }
}

static void fuzz_drain(struct fuzz_world *w)
{
    struct tern_mux_event event;
    for (int i = 0; i < 100000 && w->mux.ops->next(w->mux.self, &event); i++)
        fuzz_serve(w, &event);
}

static void fuzz_send(struct fuzz_world *w)
{
    static uint8_t frame[FUZZ_FRAME_MAX];
    for (int i = 0; i < 4 && w->mux.ops->want_send(w->mux.self); i++) {
        struct tern_writer out = tern_writer_of(frame, sizeof(frame));
        w->mux.ops->send(w->mux.self, w->now, &out);
        TERN_CHECK(tern_writer_ok(&out));
    }
    fuzz_drain(w);
}

static bool fuzz_begin(struct fuzz_world *w, uint8_t behaviour)
{
    static const struct tern_scope_limits limits = {
        .max = {[TERN_RESOURCE_MEMORY] = FUZZ_MEMORY_MAX, [TERN_RESOURCE_STREAMS_IN] = 100}};
    *w = (struct fuzz_world){.behaviour = behaviour, .now = TERN_SECOND};
    tern_mem_init(&w->mem, 0);
    tern_scope_init(&w->scope, "connection", NULL, &limits);
    tern_scope_init(&w->windows, "windows", NULL, &limits);
    const struct tern_yamux_options options = {
        .initiator = (behaviour & 1) != 0,
        .mem = &w->mem,
        .scope = &w->scope,
        .windows = &w->windows,
        .ping_timeout_ns = (behaviour & 2) != 0 ? 10 * TERN_SECOND : 0,
    };
    if (tern_yamux_new(&options, w->now, &w->mux) != TERN_OK)
        return false;
    size_t accepted;
    for (int i = 0; i < 3; i++) {
        if (w->mux.ops->open(w->mux.self, TERN_STREAM_BLOCKS, &w->ours) == TERN_OK)
            (void)!w->mux.ops->write(w->mux.self, w->ours, tern_view_str("hello"), &accepted);
    }
    fuzz_send(w);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_world w;
    if (size < 2 || !fuzz_begin(&w, data[0]))
        return 0;
    size_t piece = data[1] == 0 ? SIZE_MAX : data[1];
    for (size_t offset = 2; offset < size;) {
        size_t part = tern_min_size(piece, size - offset);
        struct tern_slice in = {.view = tern_view_of(data + offset, part)};
        struct tern_chunk *chunk = NULL;
        if (data[0] & 16) {
            chunk = tern_chunk_copy(&w.mem, in.view);
            if (chunk != NULL)
                in = (struct tern_slice){.chunk = chunk, .view = tern_chunk_view(chunk)};
        }
        size_t used = 0;
        tern_err err = w.mux.ops->recv(w.mux.self, w.now, in, &used);
        tern_chunk_unref(chunk);
        TERN_CHECK(err == w.mux.ops->error(w.mux.self));
        fuzz_drain(&w);
        if (!(data[0] & 32))
            fuzz_send(&w);
        TERN_CHECK(w.mem.used < 8 * (size_t)FUZZ_MEMORY_MAX);
        w.now += TERN_MILLISECOND;
        w.mux.ops->tick(w.mux.self, w.now);
        offset += part;
    }
    fuzz_send(&w);
    w.mux.ops->fini(w.mux.self);
    TERN_CHECK(w.mem.used == 0);
    tern_scope_fini(&w.scope);
    tern_scope_fini(&w.windows);
    tern_mem_fini(&w.mem);
    return 0;
}
