/*
 * Sockets of datagrams, watched by libuv and driven by udp.h.
 *
 *   OPEN ── CLOSE, and all is sent; ABORT; the end of the loop ──► closed; freed with its handle
 *
 * Reading: batches are read into one chunk that all sockets share, one behind the other as long as
 * somebody keeps one of them, and from the start again when nobody does. There is no back-pressure:
 * the kernel drops what finds its buffer full.
 *
 * Writing: the machine is asked for batches, each of which goes to the kernel at once. The one for
 * which the kernel has no room is kept, and the machine is not asked again until it has gone.
 *
 * LINK_CLOSED is said when the socket begins to close, exactly once.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "base/check.h"
#include "runtime/real/endpoint.h"
#include "runtime/real/loop_private.h"

static void socket_on_poll(uv_poll_t *poll, int status, int events);

/* --- life --- */

static void socket_freed(uv_handle_t *handle)
{
    struct loop_socket *socket = handle->data;
    tern_list_remove(&socket->all);
    free(socket->kept);
    free(socket);
}

static void socket_close(struct loop_socket *socket, tern_err err)
{
    struct tern_loop *loop = socket->loop;
    if (uv_is_closing((uv_handle_t *)&socket->poll))
        return;
    tern_list_remove(&socket->ready);
    loop_slot_give(loop, socket->id);
    uv_close((uv_handle_t *)&socket->poll, socket_freed);
    tern_udp_close(&socket->udp);
    if (--loop->sockets_count == 0)
        loop_network_unwatch(loop);
    if (!loop->freeing)
        loop_input(loop, &(struct tern_input){
                             .kind = TERN_INPUT_LINK_CLOSED, .link = socket->id, .err = err});
}

/* Waits for what the socket can do with: datagrams that come, unless it is about to close; room,
 * if there was none. */
static void socket_watch(struct loop_socket *socket)
{
    int events = (socket->close_wanted ? 0 : UV_READABLE) | (socket->blocked ? UV_WRITABLE : 0);
    int status = events == 0 ? uv_poll_stop(&socket->poll)
                             : uv_poll_start(&socket->poll, events, socket_on_poll);
    if (status != 0)
        socket_close(socket, tern_err_from_uv(status));
}

static tern_err socket_open(struct loop_socket *socket, const struct tern_command *command)
{
    struct tern_loop *loop = socket->loop;
    TERN_TRY(tern_udp_open(&socket->udp, &command->endpoint, loop->offload));
    int status = uv_poll_init(&loop->uv, &socket->poll, socket->udp.fd);
    if (status != 0) {
        tern_udp_close(&socket->udp);
        return tern_err_from_uv(status);
    }
    tern_list_push_back(&loop->sockets, &socket->all);
    if (loop_slot_take(loop, (struct loop_slot){.socket = socket}, &socket->id))
        return TERN_OK;
    uv_close((uv_handle_t *)&socket->poll, socket_freed);
    tern_udp_close(&socket->udp);
    return TERN_ERR_MEMORY;
}

void loop_bind(struct tern_loop *loop, const struct tern_command *command)
{
    struct tern_input in = {.kind = TERN_INPUT_BIND_FAIL, .token = command->token};
    struct loop_socket *socket = calloc(1, sizeof *socket);
    TERN_CHECK(loop->machine.ops->datagrams != NULL);
    if (socket == NULL) {
        in.err = TERN_ERR_MEMORY;
        loop_input(loop, &in);
        return;
    }
    socket->loop = loop;
    socket->poll.data = socket;
    tern_list_init(&socket->all);
    tern_list_init(&socket->ready);
    in.err = socket_open(socket, command);
    if (in.err != TERN_OK) {
        if (!tern_list_linked(&socket->all))
            free(socket); /* else its handle is closing, and frees it */
        loop_input(loop, &in);
        return;
    }
    if (loop->sockets_count++ == 0)
        loop_network_watch(loop);
    in.kind = TERN_INPUT_BOUND;
    in.link = socket->id;
    in.local = socket->udp.local;
    loop_input(loop, &in);
    socket_watch(socket);
}

void loop_sockets_close_all(struct tern_loop *loop)
{
    TERN_LIST_FOREACH (node, &loop->sockets) {
        socket_close(TERN_LIST_ENTRY(node, struct loop_socket, all), TERN_ERR_CLOSED);
    }
}

/* --- reading --- */

/* Room for one batch in the chunk that all sockets are read into; its chunk, or NULL without
 * memory. */
static struct tern_chunk *socket_room(struct tern_loop *loop, struct tern_span *room)
{
    struct tern_chunk *chunk = loop->datagrams_chunk;
    if (chunk != NULL && chunk->refs == 1)
        chunk->size = 0;
    if (chunk == NULL || chunk->capacity - chunk->size < TERN_UDP_RECV_SIZE) {
        tern_chunk_unref(chunk);
        chunk = tern_chunk_new(loop->mem, LOOP_READ_CHUNK_SIZE);
        loop->datagrams_chunk = chunk;
    }
    if (chunk != NULL)
        *room = (struct tern_span){.data = chunk->data + chunk->size,
                                   .size = chunk->capacity - chunk->size};
    else
        *room = (struct tern_span){.data = loop->transmit_buffer, .size = LOOP_TRANSMIT_SIZE};
    return chunk;
}

/* A sender may put more datagrams into a batch than the vocabulary allows. */
static void socket_deliver(struct loop_socket *socket, struct tern_datagrams *got)
{
    struct tern_view all = got->data;
    size_t most = (size_t)got->segment_size * TERN_DATAGRAMS_SEGMENTS_MAX;
    for (size_t at = 0; at < all.size; at += got->data.size) {
        got->data = tern_view_part(all, at, tern_min_size(all.size - at, most));
        loop_input(socket->loop, &(struct tern_input){.kind = TERN_INPUT_DATAGRAMS,
                                                      .link = socket->id,
                                                      .datagrams = got});
    }
}

/* Reads one batch; false: there is none. Without memory it is read and dropped: left in the kernel
 * it would wake the loop again and again. */
static bool socket_read(struct loop_socket *socket)
{
    struct tern_datagrams got;
    struct tern_span room;
    struct tern_chunk *chunk = socket_room(socket->loop, &room);
    tern_err err = tern_udp_recv(&socket->udp, room, &got);
    if (err != TERN_OK || chunk == NULL)
        return err != TERN_ERR_AGAIN;
    got.chunk = chunk;
    /* Whoever keeps the bytes keeps them where they are: the next batch begins behind them. */
    size_t end = (size_t)(got.data.data - chunk->data) + got.data.size;
    end = (end + LOOP_DATAGRAMS_ALIGN - 1) / LOOP_DATAGRAMS_ALIGN * LOOP_DATAGRAMS_ALIGN;
    chunk->size = (uint32_t)tern_min_size(end, chunk->capacity);
    socket_deliver(socket, &got);
    return true;
}

static void socket_on_poll(uv_poll_t *poll, int status, int events)
{
    struct loop_socket *socket = poll->data;
    if (status != 0) {
        /* An error of the network waits at the socket, and libuv has stopped watching it. */
        int error;
        socklen_t size = sizeof error;
        (void)getsockopt(socket->udp.fd, SOL_SOCKET, SO_ERROR, &error, &size);
        socket_watch(socket);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        socket->blocked = false;
        socket->loop->dirty = true;
        loop_socket_ready(socket);
        socket_watch(socket);
    }
    bool closed = uv_is_closing((uv_handle_t *)poll) != 0;
    bool more = (events & UV_READABLE) != 0 && !socket->close_wanted && !closed;
    for (int i = 0; i < LOOP_SOCKET_READS_MAX && more; i++)
        more = socket_read(socket);
}

/* --- writing --- */

void loop_socket_ready(struct loop_socket *socket)
{
    if (!tern_list_linked(&socket->ready))
        tern_list_push_back(&socket->loop->sockets_ready, &socket->ready);
}

/* Keeps what the kernel did not take of a batch; without memory it is dropped. The room for it
 * stays the socket's. */
static void socket_keep(struct loop_socket *socket, const struct tern_datagrams_out *batch,
                        size_t done)
{
    if (socket->kept == NULL)
        socket->kept = malloc(TERN_DATAGRAMS_SIZE_MAX);
    if (socket->kept != NULL) {
        struct tern_view all = tern_writer_view(&batch->writer);
        socket->kept_batch = *batch;
        socket->kept_batch.writer = tern_writer_of(socket->kept, TERN_DATAGRAMS_SIZE_MAX);
        tern_writer_bytes(&socket->kept_batch.writer, tern_view_part(all, done, all.size - done));
        socket->kept_done = 0;
    }
    socket->blocked = true;
    socket_watch(socket);
}

/* Sends what was kept; false: the kernel still has no room for all of it. */
static bool socket_send_kept(struct loop_socket *socket)
{
    if (tern_udp_send(&socket->udp, &socket->kept_batch, &socket->kept_done))
        return true;
    socket->blocked = true;
    socket_watch(socket);
    return false;
}

static void socket_check_batch(const struct tern_datagrams_out *batch)
{
    size_t size = batch->writer.size;
    TERN_CHECK(!batch->writer.overflow && size > 0 && batch->segment_size > 0);
    TERN_CHECK(size <= (size_t)batch->segment_size * TERN_DATAGRAMS_SEGMENTS_MAX);
}

/* Sends a few batches. True: there may be more. */
static bool socket_transmit(struct loop_socket *socket)
{
    struct tern_loop *loop = socket->loop;
    if (socket->kept_done < socket->kept_batch.writer.size && !socket_send_kept(socket))
        return false;
    for (int i = 0; i < LOOP_SOCKET_BATCHES_MAX; i++) {
        size_t done = 0;
        struct tern_datagrams_out batch = {
            .writer = tern_writer_of(loop->transmit_buffer, TERN_DATAGRAMS_SIZE_MAX)};
        if (!loop->machine.ops->datagrams(loop->machine.self, tern_loop_now(), socket->id,
                                          &batch)) {
            if (socket->close_wanted)
                socket_close(socket, TERN_OK);
            return false;
        }
        socket_check_batch(&batch);
        if (!tern_udp_send(&socket->udp, &batch, &done)) {
            socket_keep(socket, &batch, done);
            return false;
        }
    }
    return true;
}

bool loop_sockets_transmit(struct tern_loop *loop)
{
    struct tern_list turn;
    tern_list_init(&turn);
    tern_list_take_all(&turn, &loop->sockets_ready);
    for (struct tern_list *node = tern_list_pop_front(&turn); node != NULL;
         node = tern_list_pop_front(&turn)) {
        struct loop_socket *socket = TERN_LIST_ENTRY(node, struct loop_socket, ready);
        if (socket->blocked)
            continue; /* it is ready again when it has room */
        if (socket_transmit(socket))
            loop_socket_ready(socket);
    }
    return !tern_list_empty(&loop->sockets_ready);
}

void loop_socket_command(struct loop_socket *socket, enum tern_command_kind kind)
{
    if (kind == TERN_COMMAND_TRANSMIT) {
        loop_socket_ready(socket);
    } else if (kind == TERN_COMMAND_CLOSE) {
        socket->close_wanted = true;
        loop_socket_ready(socket);
        socket_watch(socket);
    } else if (kind == TERN_COMMAND_ABORT) {
        socket_close(socket, TERN_OK);
    }
}
