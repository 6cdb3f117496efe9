#include "mux/mux_pair.h"

#include <setjmp.h>
#include <stdarg.h>
/* cmocka.h needs those two first. */
#include <cmocka.h>

static const struct tern_scope_limits pair_limits = {.max = {0}};

/* A session is silent when nothing is due for so long. */
static const tern_time PAIR_SILENCE_NS = TERN_SECOND;

enum { PAIR_STEPS_MAX = 1 << 20 };

static void mux_end_init(struct mux_end *end)
{
    tern_mem_init(&end->mem, 0);
    tern_scope_init(&end->scope, "connection", NULL, &pair_limits);
    tern_scope_init(&end->windows, "windows", NULL, &pair_limits);
    end->mux = (struct tern_mux){.ops = NULL};
    end->log_count = 0;
    end->sent_bytes = 0;
    end->wire.size = 0;
}

static void mux_end_fini(struct mux_end *end)
{
    assert_int_equal(end->mem.used, 0);
    for (size_t i = 0; i < TERN_RESOURCE_COUNT; i++) {
        assert_int_equal(end->scope.used[i], 0);
        assert_int_equal(end->windows.used[i], 0);
    }
    tern_scope_fini(&end->scope);
    tern_scope_fini(&end->windows);
    tern_mem_fini(&end->mem);
}

/* pair_note_rest notes what is charged before there is any stream. */
static void pair_note_rest(struct mux_pair *pair)
{
    for (int i = 0; i < 2; i++)
        memcpy(pair->ends[i].rest, pair->ends[i].scope.used, sizeof pair->ends[i].rest);
}

/* pair_connect makes two sessions of one. */
static bool pair_connect(struct mux_pair *pair)
{
    struct session_pair_end ends[2];
    for (int i = 0; i < 2; i++) {
        struct mux_end *end = &pair->ends[i];
        ends[i] = (struct session_pair_end){
            .mem = &end->mem, .scope = &end->scope, .windows = &end->windows};
    }
    struct session_pair *sessions = &pair->sessions;
    if (!session_pair_init(sessions, 1, pair->factory->make_transport, ends, NULL) ||
        !session_pair_connect(sessions))
        return false;
    for (int i = 0; i < 2; i++)
        pair->ends[i].mux = sessions->sessions[i].mux;
    pair->now = sessions->world.now;
    pair_note_rest(pair);
    return true;
}

bool mux_pair_init(struct mux_pair *pair, const struct tern_mux_factory *factory)
{
    pair->factory = factory;
    pair->now = TERN_SECOND;
    pair->piece_max = 0;
    pair->borrowed = false;
    pair->broken = false;
    pair->quiet = false;
    tern_random_init_u64(&pair->random, 1);
    for (int i = 0; i < 2; i++)
        mux_end_init(&pair->ends[i]);
    tern_mem_fail_at(&pair->ends[pair->fail_side].mem, pair->fail_at, false);
    if (factory->make_transport != NULL)
        return pair_connect(pair);
    for (int i = 0; i < 2; i++) {
        struct mux_end *end = &pair->ends[i];
        if (factory->make(i == 0, &end->mem, &end->scope, &end->windows, &end->mux) != TERN_OK)
            return false;
    }
    pair_note_rest(pair);
    return true;
}

void mux_pair_fini(struct mux_pair *pair)
{
    if (pair->factory->make_transport != NULL)
        session_pair_fini(&pair->sessions);
    for (int i = 0; i < 2; i++) {
        const struct tern_mux *mux = &pair->ends[i].mux;
        if (mux->ops != NULL && pair->factory->make_transport == NULL)
            mux->ops->fini(mux->self);
        mux_end_fini(&pair->ends[i]);
    }
}

void mux_end_drain(struct mux_end *end)
{
    struct tern_mux_event event;
    while (end->mux.ops->next(end->mux.self, &event)) {
        assert_true(end->log_count < MUX_PAIR_LOG_MAX);
        end->log[end->log_count++] = event;
    }
}

/* pair_deliver gives a side what waits for it in pieces, each in a chunk of its own as a channel
 * would, until it takes no more; returns how many bytes it took. */
static size_t pair_deliver(struct mux_pair *pair, struct mux_end *to, struct mux_wire *wire)
{
    size_t offset = 0;
    bool takes = true;
    while (offset < wire->size && takes && !pair->broken) {
        size_t size = wire->size - offset;
        if (pair->piece_max > 0 && size > 1)
            size = 1 + tern_random_below(&pair->random, tern_min_size(size, pair->piece_max));
        struct tern_view piece = tern_view_of(wire->bytes + offset, size);
        struct tern_slice slice = {.view = piece};
        /* From the receiver's account; when that is made to fail, the bytes come without chunk. */
        struct tern_chunk *chunk = pair->borrowed ? NULL : tern_chunk_copy(&to->mem, piece);
        if (chunk != NULL)
            slice = (struct tern_slice){.chunk = chunk, .view = tern_chunk_view(chunk)};
        size_t used = 0;
        if (to->mux.ops->recv(to->mux.self, pair->now, slice, &used) != TERN_OK)
            pair->broken = true;
        assert_true(used <= size);
        takes = used == size;
        tern_chunk_unref(chunk);
        if (!pair->quiet)
            mux_end_drain(to);
        offset += used;
    }
    memmove(wire->bytes, wire->bytes + offset, wire->size - offset);
    wire->size -= offset;
    return offset;
}

/* pair_arrive delivers the datagrams that have arrived and drains the events of both. */
static void pair_arrive(struct mux_pair *pair)
{
    while (session_world_deliver(&pair->sessions.world))
        continue;
    for (int i = 0; i < 2 && !pair->quiet; i++)
        mux_end_drain(&pair->ends[i]);
    for (int i = 0; i < 2; i++) {
        const struct tern_mux *mux = &pair->ends[i].mux;
        if (mux->ops->error(mux->self) != TERN_OK)
            pair->broken = true;
    }
}

/* pair_pass lets time pass until something is due; false: nothing is, for long. */
static bool pair_pass(struct mux_pair *pair)
{
    struct session_world *world = &pair->sessions.world;
    tern_time next = session_world_next(world);
    if (next > tern_time_add(world->now, PAIR_SILENCE_NS))
        return false;
    (void)session_world_step(world, next);
    pair->now = world->now;
    return true;
}

/* pair_carry_datagrams carries what one side sends, up to room, and what comes back meanwhile. */
static bool pair_carry_datagrams(struct mux_pair *pair, int from, size_t room)
{
    struct session_world *world = &pair->sessions.world;
    struct mux_end *end = &pair->ends[from];
    uint64_t carried = 0;
    unsigned step = 0;
    do {
        assert_true(step++ < PAIR_STEPS_MAX);
        uint64_t sent = session_world_send_some(world, (size_t)from, room - carried);
        carried += sent;
        uint64_t back = session_world_send(world, (size_t)(1 - from));
        pair_arrive(pair);
        if (sent + back == 0 && !pair_pass(pair))
            break;
    } while (room - carried >= TERN_SESSION_SEND_MIN && !pair->broken);
    end->sent_bytes += carried;
    return carried > 0 && !pair->broken;
}

bool mux_pair_carry(struct mux_pair *pair, int from)
{
    return mux_pair_carry_some(pair, from, MUX_PAIR_FRAME_MAX);
}

bool mux_pair_carry_some(struct mux_pair *pair, int from, size_t room)
{
    struct mux_end *end = &pair->ends[from];
    if (pair->factory->make_transport != NULL)
        return pair_carry_datagrams(pair, from, room);
    struct mux_wire *wire = &end->wire;
    bool sent = false;
    if (wire->size == 0) {
        struct tern_writer out =
            tern_writer_of(wire->bytes, tern_min_size(room, sizeof(wire->bytes)));
        end->mux.ops->send(end->mux.self, pair->now, &out);
        assert_true(tern_writer_ok(&out));
        if (!pair->quiet)
            mux_end_drain(end);
        wire->size = out.size;
        end->sent_bytes += out.size;
        sent = out.size > 0;
    }
    size_t taken = pair_deliver(pair, &pair->ends[1 - from], wire);
    return (sent || taken > 0) && !pair->broken;
}

void mux_pair_settle(struct mux_pair *pair)
{
    bool more = true;
    while (more) {
        more = mux_pair_carry(pair, 0);
        more = mux_pair_carry(pair, 1) || more;
    }
    for (int i = 0; i < 2 && pair->factory->make_transport == NULL; i++) {
        const struct mux_end *end = &pair->ends[i];
        assert_true(pair->broken || end->wire.size > 0 || !end->mux.ops->want_send(end->mux.self));
    }
}

void mux_pair_wait(struct mux_pair *pair, tern_time time_ns)
{
    tern_time until = pair->now + time_ns;
    while (pair->factory->make_transport != NULL &&
           session_world_step(&pair->sessions.world, until))
        pair_arrive(pair);
    pair->now = until;
    for (int i = 0; i < 2 && pair->factory->make_transport == NULL; i++) {
        struct mux_end *end = &pair->ends[i];
        if (end->mux.ops->deadline(end->mux.self) <= pair->now)
            end->mux.ops->tick(end->mux.self, pair->now);
        mux_end_drain(end);
    }
}

size_t mux_end_count(const struct mux_end *end, enum tern_mux_event_kind kind,
                     tern_stream_id stream)
{
    size_t count = 0;
    for (size_t i = 0; i < end->log_count; i++) {
        const struct tern_mux_event *event = &end->log[i];
        count += event->kind == kind && (stream == TERN_STREAM_NONE || event->stream == stream);
    }
    return count;
}

struct tern_mux_event mux_end_last(const struct mux_end *end, enum tern_mux_event_kind kind)
{
    for (size_t i = end->log_count; i-- > 0;) {
        if (end->log[i].kind == kind)
            return end->log[i];
    }
    fail_msg("no event of kind %d", (int)kind);
    return (struct tern_mux_event){.stream = TERN_STREAM_NONE};
}

tern_stream_id mux_open(struct mux_end *end, enum tern_stream_class class)
{
    tern_stream_id stream;
    assert_int_equal(end->mux.ops->open(end->mux.self, class, &stream), TERN_OK);
    assert_true(stream != TERN_STREAM_NONE);
    return stream;
}

void mux_write(struct mux_end *end, tern_stream_id stream, const void *data, size_t size)
{
    size_t accepted;
    assert_int_equal(
        end->mux.ops->write(end->mux.self, stream, tern_view_of(data, size), &accepted), TERN_OK);
    assert_int_equal(accepted, size);
}

static uint8_t pattern_at(uint64_t offset)
{
    return (uint8_t)(offset * 7 + (offset >> 8) * 31 + (offset >> 16) * 3);
}

size_t mux_write_some(struct mux_end *end, tern_stream_id stream, uint64_t *offset, size_t size)
{
    uint8_t buffer[4096];
    size_t done = 0;
    while (done < size) {
        size_t part = tern_min_size(sizeof(buffer), size - done);
        for (size_t i = 0; i < part; i++)
            buffer[i] = pattern_at(*offset + i);
        size_t accepted;
        tern_err err =
            end->mux.ops->write(end->mux.self, stream, tern_view_of(buffer, part), &accepted);
        if (err != TERN_OK)
            break;
        assert_true(accepted <= part);
        done += accepted;
        *offset += accepted;
        if (accepted < part)
            break;
    }
    return done;
}

size_t mux_read_some(struct mux_end *end, tern_stream_id stream, uint64_t *offset, size_t size,
                     tern_err *err)
{
    size_t done = 0;
    *err = TERN_OK;
    while (done < size) {
        struct tern_slice bytes;
        *err = end->mux.ops->read(end->mux.self, stream, &bytes);
        if (*err != TERN_OK)
            break;
        assert_true(bytes.view.size > 0);
        size_t part = tern_min_size(bytes.view.size, size - done);
        for (size_t i = 0; i < part; i++)
            assert_int_equal(bytes.view.data[i], pattern_at(*offset + i));
        end->mux.ops->consume(end->mux.self, stream, part);
        *offset += part;
        done += part;
    }
    return done;
}

void mux_expect(struct mux_end *end, tern_stream_id stream, const void *data, size_t size)
{
    const uint8_t *expected = data;
    size_t done = 0;
    while (done < size) {
        struct tern_slice bytes;
        assert_int_equal(end->mux.ops->read(end->mux.self, stream, &bytes), TERN_OK);
        size_t part = tern_min_size(bytes.view.size, size - done);
        assert_memory_equal(bytes.view.data, expected + done, part);
        done += part;
        end->mux.ops->consume(end->mux.self, stream, part);
    }
}

tern_err mux_read_err(struct mux_end *end, tern_stream_id stream)
{
    struct tern_slice bytes;
    return end->mux.ops->read(end->mux.self, stream, &bytes);
}
