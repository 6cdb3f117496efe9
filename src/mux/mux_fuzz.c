#include "mux/mux_fuzz.h"

#include "base/check.h"

enum { FUZZ_MEMORY_MAX = 1 << 20, FUZZ_FRAME_MAX = 65519, FUZZ_IDLE_MAX = 20 };

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

static bool fuzz_begin(struct fuzz_world *w, mux_fuzz_make *make, uint8_t behaviour)
{
    static const struct tern_scope_limits limits = {
        .max = {[TERN_RESOURCE_MEMORY] = FUZZ_MEMORY_MAX, [TERN_RESOURCE_STREAMS_IN] = 100}};
    *w = (struct fuzz_world){.behaviour = behaviour, .now = TERN_SECOND};
    tern_mem_init(&w->mem, 0);
    tern_scope_init(&w->scope, "connection", NULL, &limits);
    tern_scope_init(&w->windows, "windows", NULL, &limits);
    if (make(behaviour, &w->mem, &w->scope, &w->windows, &w->mux) != TERN_OK)
        return false;
    size_t accepted;
    for (int i = 0; i < 3; i++) {
        if (w->mux.ops->open(w->mux.self, TERN_STREAM_BLOCKS, &w->ours) == TERN_OK)
            (void)!w->mux.ops->write(w->mux.self, w->ours, tern_view_str("hello"), &accepted);
    }
    fuzz_send(w);
    return true;
}

/* fuzz_give gives a piece to recv, and returns how much of it was taken. */
static size_t fuzz_give(struct fuzz_world *w, struct tern_view piece)
{
    struct tern_slice in = {.view = piece};
    struct tern_chunk *chunk = w->behaviour & 16 ? tern_chunk_copy(&w->mem, piece) : NULL;
    if (chunk != NULL)
        in = (struct tern_slice){.chunk = chunk, .view = tern_chunk_view(chunk)};
    size_t used = 0;
    tern_err err = w->mux.ops->recv(w->mux.self, w->now, in, &used);
    tern_chunk_unref(chunk);
    TERN_CHECK(err == w->mux.ops->error(w->mux.self));
    TERN_CHECK(used <= piece.size);
    return err == TERN_OK ? used : piece.size;
}

int mux_fuzz_recv(mux_fuzz_make *make, const uint8_t *data, size_t size)
{
    struct fuzz_world w;
    if (size < 2 || !fuzz_begin(&w, make, data[0]))
        return 0;
    size_t piece = data[1] == 0 ? SIZE_MAX : data[1];
    unsigned idle = 0;
    for (size_t offset = 2; offset < size;) {
        size_t part = tern_min_size(piece, size - offset);
        size_t used = fuzz_give(&w, tern_view_of(data + offset, part));
        idle = used == 0 ? idle + 1 : 0;
        TERN_CHECK(idle < FUZZ_IDLE_MAX); /* nothing holds it up for ever */
        fuzz_drain(&w);
        if (!(data[0] & 32))
            fuzz_send(&w);
        TERN_CHECK(w.mem.used < 8 * (size_t)FUZZ_MEMORY_MAX);
        w.now += used == 0 ? TERN_SECOND : TERN_MILLISECOND;
        w.mux.ops->tick(w.mux.self, w.now);
        fuzz_drain(&w);
        offset += used;
    }
    fuzz_send(&w);
    w.mux.ops->fini(w.mux.self);
    TERN_CHECK(w.mem.used == 0);
    tern_scope_fini(&w.scope);
    tern_scope_fini(&w.windows);
    tern_mem_fini(&w.mem);
    return 0;
}
