#include "mux/yamux_lone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka.h needs those first. */
#include <cmocka.h>

struct yamux_lone *yamux_lone_new(struct tern_yamux_options options)
{
    struct yamux_lone *lone = calloc(1, sizeof(*lone));
    assert_non_null(lone);
    tern_mem_init(&lone->mem, 0);
    tern_scope_init(&lone->scope, "connection", NULL, NULL);
    tern_scope_init(&lone->windows, "windows", NULL, NULL);
    lone->now = TERN_SECOND;
    options.mem = &lone->mem;
    options.scope = &lone->scope;
    options.windows = &lone->windows;
    options.metrics = &lone->metrics;
    assert_int_equal(tern_yamux_new(&options, lone->now, &lone->mux), TERN_OK);
    assert_int_equal(yamux_lone_pull(lone, 100), 12);
    assert_int_equal(lone->frames[0].type, TERN_YAMUX_PING);
    return lone;
}

void yamux_lone_free(struct yamux_lone *lone)
{
    lone->mux.ops->fini(lone->mux.self);
    assert_int_equal(lone->mem.used, 0);
    tern_scope_fini(&lone->scope);
    tern_scope_fini(&lone->windows);
    tern_mem_fini(&lone->mem);
    free(lone);
}

struct tern_yamux *yamux_lone_core(struct yamux_lone *lone)
{
    return lone->mux.self;
}

struct tern_yamux_stream *yamux_lone_stream(struct yamux_lone *lone, tern_stream_id stream)
{
    return tern_yamux_stream_of(tern_mux_stream_find(&yamux_lone_core(lone)->streams, stream));
}

static void lone_drain(struct yamux_lone *lone)
{
    struct tern_mux_event event;
    while (lone->mux.ops->next(lone->mux.self, &event)) {
        assert_true(lone->log_count < YAMUX_LONE_LOG_MAX);
        lone->log[lone->log_count++] = event;
    }
}

tern_err yamux_lone_feed(struct yamux_lone *lone, const void *bytes, size_t size)
{
    struct tern_slice slice = {.view = tern_view_of(bytes, size)};
    size_t used = 0;
    tern_err err = lone->mux.ops->recv(lone->mux.self, lone->now, slice, &used);
    lone->log_count = 0;
    lone_drain(lone);
    return err;
}

tern_err yamux_lone_frame(struct yamux_lone *lone, struct tern_yamux_header header, size_t size)
{
    uint8_t *bytes = calloc(1, TERN_YAMUX_HEADER_SIZE + size);
    assert_non_null(bytes);
    struct tern_writer w = tern_writer_of(bytes, TERN_YAMUX_HEADER_SIZE);
    tern_yamux_header_write(&w, &header);
    tern_err err = yamux_lone_feed(lone, bytes, TERN_YAMUX_HEADER_SIZE + size);
    free(bytes);
    return err;
}

size_t yamux_lone_pull(struct yamux_lone *lone, size_t room)
{
    assert_true(room <= YAMUX_LONE_OUT_MAX);
    struct tern_writer w = tern_writer_of(lone->out, room);
    lone->mux.ops->send(lone->mux.self, lone->now, &w);
    assert_true(tern_writer_ok(&w));
    lone->out_size = w.size;
    lone->frames_count = 0;
    size_t offset = 0;
    while (offset < w.size) {
        assert_true(w.size - offset >= TERN_YAMUX_HEADER_SIZE);
        assert_true(lone->frames_count < YAMUX_LONE_FRAMES_MAX);
        struct tern_yamux_header header = tern_yamux_header_decode(lone->out + offset);
        lone->frames[lone->frames_count++] = header;
        offset += TERN_YAMUX_HEADER_SIZE;
        if (header.type == TERN_YAMUX_DATA)
            offset += header.length;
        assert_true(offset <= w.size);
    }
    lone->log_count = 0;
    lone_drain(lone);
    return w.size;
}

size_t yamux_lone_count(const struct yamux_lone *lone, enum tern_mux_event_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < lone->log_count; i++)
        count += lone->log[i].kind == kind;
    return count;
}

tern_stream_id yamux_lone_accept(struct yamux_lone *lone, uint32_t wire_id)
{
    struct tern_yamux_header syn = {
        .type = TERN_YAMUX_WINDOW_UPDATE, .flags = TERN_YAMUX_SYN, .stream_id = wire_id};
    assert_int_equal(yamux_lone_frame(lone, syn, 0), TERN_OK);
    assert_int_equal(lone->log_count, 1);
    assert_int_equal(lone->log[0].kind, TERN_MUX_STREAM_OPENED);
    return lone->log[0].stream;
}

void yamux_lone_write(struct yamux_lone *lone, tern_stream_id stream, uint8_t value, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    memset(bytes, value, size);
    size_t accepted;
    assert_int_equal(
        lone->mux.ops->write(lone->mux.self, stream, tern_view_of(bytes, size), &accepted),
        TERN_OK);
    assert_int_equal(accepted, size);
    free(bytes);
}

tern_stream_id yamux_lone_open(struct yamux_lone *lone, enum tern_stream_class class)
{
    tern_stream_id stream;
    assert_int_equal(lone->mux.ops->open(lone->mux.self, class, &stream), TERN_OK);
    yamux_lone_write(lone, stream, 'x', 1);
    assert_int_equal(yamux_lone_pull(lone, 100), 13);
    return stream;
}
