#include "runtime/real/sockets_testing.h"

#include <stdlib.h>

#include "base/check.h"

static uint8_t talker_byte(uint64_t place)
{
    return (uint8_t)((place * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static struct talker_socket *talker_find(struct talker *t, tern_link_id id)
{
    for (uint32_t i = 0; i < t->sockets_count; i++) {
        if (t->sockets[i].bound && t->sockets[i].id == id)
            return &t->sockets[i];
    }
    return NULL;
}

static void talker_push(struct talker *t, struct tern_command command)
{
    TERN_CHECK(tern_ring_push(&t->commands, &command) == TERN_OK);
}

/* --- hearing --- */

static void talker_keep(struct talker *t, const struct tern_datagrams *got)
{
    TERN_CHECK(t->kept_count < TALKER_KEPT_MAX);
    t->kept[t->kept_count++] =
        (struct tern_slice){.chunk = tern_chunk_ref(got->chunk), .view = got->data};
}

static void talker_echo(struct talker *t, struct talker_socket *socket,
                        const struct tern_datagrams *got)
{
    struct talker_batch batch = {
        .to = got->path.remote,
        .from = got->path.local,
        .ecn = got->ecn,
        .segment_size = got->segment_size,
        .count = (got->data.size + got->segment_size - 1) / got->segment_size,
        .last_size = (uint16_t)(got->data.size % got->segment_size),
    };
    talker_say(t, (uint32_t)(socket - t->sockets), &batch);
}

static void talker_datagrams(struct talker *t, const struct tern_input *in)
{
    const struct tern_datagrams *got = in->datagrams;
    struct talker_socket *socket = talker_find(t, in->link);
    TERN_CHECK(socket != NULL && !socket->closed);
    TERN_CHECK(got->data.size > 0 && got->segment_size > 0);
    TERN_CHECK(got->data.data >= got->chunk->data &&
               got->data.data + got->data.size <= got->chunk->data + got->chunk->capacity);
    for (size_t i = 0; !socket->disordered && i < got->data.size; i++)
        TERN_CHECK(got->data.data[i] == talker_byte(socket->heard + i));
    size_t segments = (got->data.size + got->segment_size - 1) / got->segment_size;
    TERN_CHECK(segments <= TERN_DATAGRAMS_SEGMENTS_MAX);
    socket->heard += got->data.size;
    socket->batches++;
    socket->datagrams += segments;
    socket->path = got->path;
    socket->ecn = got->ecn;
    socket->segments_max = tern_max_size(socket->segments_max, segments);
    if (socket->echoes)
        talker_echo(t, socket, got);
    if (t->keeps)
        talker_keep(t, got);
}

static void talker_input(void *self, tern_time now, const struct tern_input *in)
{
    struct talker *t = self;
    struct talker_socket *socket;
    (void)now;
    if (in->kind == TERN_INPUT_BOUND || in->kind == TERN_INPUT_BIND_FAIL) {
        socket = &t->sockets[in->token];
        socket->bound = in->kind == TERN_INPUT_BOUND;
        socket->closed = !socket->bound;
        socket->err = in->err;
        socket->id = in->link;
        socket->local = in->local;
    } else if (in->kind == TERN_INPUT_DATAGRAMS) {
        talker_datagrams(t, in);
    } else if (in->kind == TERN_INPUT_LINK_CLOSED) {
        socket = talker_find(t, in->link);
        TERN_CHECK(socket != NULL && !socket->closed);
        socket->closed = true;
        socket->err = in->err;
    } else if (in->kind == TERN_INPUT_NETWORK) {
        t->network++;
    }
    if (t->done != NULL && t->done(t))
        tern_loop_stop(t->loop);
}

/* --- saying --- */

static bool talker_next_command(void *self, struct tern_command *command)
{
    struct talker *t = self;
    return tern_ring_pop(&t->commands, command);
}

static bool talker_out(void *self, tern_time now, tern_link_id id, struct tern_datagrams_out *out)
{
    struct talker *t = self;
    struct talker_socket *socket = talker_find(t, id);
    struct talker_batch batch;
    (void)now;
    if (!tern_ring_pop(&socket->says, &batch))
        return false;
    TERN_CHECK(out->writer.size == 0 && tern_writer_left(&out->writer) == TERN_DATAGRAMS_SIZE_MAX);
    size_t last = batch.last_size == 0 ? batch.segment_size : batch.last_size;
    size_t size = (batch.count - 1) * batch.segment_size + last;
    uint8_t *bytes = tern_writer_reserve(&out->writer, size);
    TERN_CHECK(bytes != NULL);
    for (size_t i = 0; i < size; i++)
        bytes[i] = talker_byte(socket->said + i);
    socket->said += size;
    out->path = (struct tern_path){.local = batch.from, .remote = batch.to};
    out->ecn = batch.ecn;
    out->segment_size = batch.segment_size;
    return true;
}

static void talker_transmit(void *self, tern_time now, tern_link_id id, struct tern_writer *out)
{
    (void)self, (void)now, (void)id, (void)out;
    TERN_UNREACHABLE();
}

static tern_time talker_deadline(void *self)
{
    (void)self;
    return TERN_TIME_NEVER;
}

static const struct tern_machine_ops talker_ops = {.input = talker_input,
                                                   .next_command = talker_next_command,
                                                   .transmit = talker_transmit,
                                                   .datagrams = talker_out,
                                                   .deadline = talker_deadline};

void talker_say(struct talker *t, uint32_t socket, const struct talker_batch *batch)
{
    TERN_CHECK(tern_ring_push(&t->sockets[socket].says, batch) == TERN_OK);
    talker_command(t, socket, TERN_COMMAND_TRANSMIT);
}

void talker_command(struct talker *t, uint32_t socket, enum tern_command_kind kind)
{
    talker_push(t, (struct tern_command){.kind = kind, .link = t->sockets[socket].id});
    tern_loop_kick(t->loop);
}

/* --- life --- */

struct talker *talker_new(bool alone)
{
    struct talker *t = calloc(1, sizeof *t);
    TERN_CHECK(t != NULL);
    tern_mem_init(&t->mem, 0);
    tern_ring_init(&t->commands, &t->mem, sizeof(struct tern_command), 4096);
    TERN_CHECK(tern_ring_reserve(&t->commands) == TERN_OK);
    struct tern_loop_options options = {
        .mem = &t->mem, .machine = {.ops = &talker_ops, .self = t}, .datagrams_alone = alone};
    TERN_CHECK(tern_loop_new(&options, &t->loop) == TERN_OK);
    return t;
}

static void talker_check_kept(struct talker *t)
{
    uint64_t place = 0;
    for (size_t i = 0; i < t->kept_count; i++) {
        struct tern_view view = t->kept[i].view;
        for (size_t j = 0; j < view.size; j++)
            TERN_CHECK(view.data[j] == talker_byte(place + j));
        place += view.size;
        tern_slice_release(&t->kept[i]);
    }
}

void talker_free(struct talker *t)
{
    tern_loop_free(t->loop);
    talker_check_kept(t);
    for (uint32_t i = 0; i < t->sockets_count; i++)
        tern_ring_fini(&t->sockets[i].says);
    tern_ring_fini(&t->commands);
    tern_mem_fini(&t->mem);
    free(t);
}

void talker_run(struct talker *t, bool (*done)(struct talker *t))
{
    t->done = done;
    if (!done(t))
        tern_loop_run(t->loop);
    t->done = NULL;
}

static bool talker_is_answered(struct talker *t)
{
    const struct talker_socket *socket = &t->sockets[t->sockets_count - 1];
    return socket->bound || socket->closed;
}

uint32_t talker_bind(struct talker *t, struct tern_endpoint at)
{
    TERN_CHECK(t->sockets_count < TALKER_SOCKETS_MAX);
    uint32_t number = t->sockets_count++;
    tern_ring_init(&t->sockets[number].says, &t->mem, sizeof(struct talker_batch), 4096);
    TERN_CHECK(tern_ring_reserve(&t->sockets[number].says) == TERN_OK);
    talker_push(t,
                (struct tern_command){.kind = TERN_COMMAND_BIND, .token = number, .endpoint = at});
    tern_loop_kick(t->loop);
    talker_run(t, talker_is_answered);
    return number;
}

struct tern_endpoint talker_loopback(uint8_t family)
{
    struct tern_endpoint at = {.family = family};
    if (family == 4)
        memcpy(at.ip, "\x7f\x00\x00\x01", 4);
    else
        at.ip[15] = 1;
    return at;
}

static bool talker_has_heard(struct talker *t)
{
    const struct talker_socket *socket = &t->sockets[t->want >> 32];
    return socket->datagrams >= (uint32_t)t->want;
}

void talker_hear(struct talker *t, uint32_t socket, uint64_t datagrams)
{
    t->want = (uint64_t)socket << 32 | datagrams;
    talker_run(t, talker_has_heard);
}

static bool talker_has_closed(struct talker *t)
{
    return t->sockets[t->want].closed;
}

void talker_await_close(struct talker *t, uint32_t socket)
{
    t->want = socket;
    talker_run(t, talker_has_closed);
}
