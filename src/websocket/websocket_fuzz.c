#include "websocket/websocket_fuzz.h"

#include "base/check.h"
#include "websocket/websocket_internal.h"

enum { FUZZ_MEMORY_MAX = 1 << 20, FUZZ_OUT_MAX = 70000 };

struct fuzz_world {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_channel channel;
    enum tern_role role;
    uint8_t behaviour;
    bool opened;
    bool ended;
    uint64_t taken; /* of data */
};

static void fuzz_drain(struct fuzz_world *w)
{
    struct tern_channel_event event;
    while (w->channel.ops->next(w->channel.self, &event)) {
        TERN_CHECK(!w->ended);
        if (event.kind == TERN_CHANNEL_DATA) {
            TERN_CHECK(w->opened && event.data.view.size > 0);
            w->taken += event.data.view.size;
        } else if (event.kind == TERN_CHANNEL_HANDSHAKE_DONE) {
            TERN_CHECK(!w->opened);
            w->opened = true;
        } else {
            TERN_CHECK(event.kind == TERN_CHANNEL_END);
            w->ended = true;
        }
    }
}

static void fuzz_say(struct fuzz_world *w)
{
    static uint8_t bytes[FUZZ_OUT_MAX];
    const struct tern_channel_ops *ops = w->channel.ops;
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    ops->control(w->channel.self, 0, &out);
    TERN_CHECK(!ops->control_pending(w->channel.self));
    if (w->behaviour & 2) {
        struct tern_span room = ops->seal_begin(w->channel.self, &out);
        TERN_CHECK(room.size == 0 || w->opened);
        size_t size = tern_min_size(room.size, (size_t)w->taken % 300);
        if (size > 0)
            memset(room.data, 'x', size);
        ops->seal_end(w->channel.self, &out, size);
    }
    TERN_CHECK(tern_writer_ok(&out));
}

/* fuzz_give gives a piece to recv until it is taken, or nothing more is. */
static void fuzz_give(struct fuzz_world *w, struct tern_view piece)
{
    uint8_t copy[256];
    struct tern_chunk *chunk = NULL;
    if ((w->behaviour & 1) || piece.size > sizeof copy) {
        chunk = tern_chunk_copy(&w->mem, piece);
        TERN_CHECK(chunk != NULL);
        piece = tern_chunk_view(chunk);
    } else {
        tern_copy(copy, piece.data, piece.size);
        piece.data = copy;
    }
    while (piece.size > 0) {
        size_t used = 0;
        tern_err err = w->channel.ops->recv(
            w->channel.self, 0, (struct tern_slice){.chunk = chunk, .view = piece}, &used);
        TERN_CHECK(used <= piece.size);
        fuzz_drain(w);
        if (err != TERN_OK)
            break;
        TERN_CHECK(used > 0);
        piece = tern_view_part(piece, used, piece.size - used);
    }
    tern_chunk_unref(chunk);
}

/* The opening that the remote would send. */
static void fuzz_open(struct fuzz_world *w)
{
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    static const char answer[] = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: ";
    const struct tern_websocket *ws = w->channel.self;
    if (w->role == TERN_ROLE_RESPONDER) {
        fuzz_give(w, tern_view_str(request));
        return;
    }
    fuzz_give(w, tern_view_str(answer));
    fuzz_give(w, tern_view_of(ws->accept, sizeof ws->accept));
    fuzz_give(w, tern_view_str("\r\n\r\n"));
}

int websocket_fuzz(enum tern_role role, const uint8_t *data, size_t size)
{
    struct fuzz_world w = {.role = role};
    if (size < 2)
        return 0;
    w.behaviour = data[0];
    tern_mem_init(&w.mem, 0);
    tern_random_init_u64(&w.random, 1);
    const struct tern_websocket_options options = {
        .role = role, .mem = &w.mem, .random = &w.random, .host = tern_view_str("a")};
    TERN_CHECK(tern_websocket_new(&options, &w.channel) == TERN_OK);
    fuzz_say(&w);
    if (w.behaviour & 8)
        fuzz_open(&w);
    size_t piece = data[1] == 0 ? SIZE_MAX : data[1];
    for (size_t offset = 2; offset < size;) {
        size_t part = tern_min_size(piece, size - offset);
        fuzz_give(&w, tern_view_of(data + offset, part));
        if (w.behaviour & 4)
            w.channel.ops->shut(w.channel.self);
        fuzz_say(&w);
        TERN_CHECK(w.mem.used < FUZZ_MEMORY_MAX);
        offset += part;
    }
    w.channel.ops->fini(w.channel.self);
    TERN_CHECK(w.mem.used == 0);
    tern_mem_fini(&w.mem);
    return 0;
}
