/*
 * Streams: listeners, dials and open links.
 *
 *   CONNECTING ── connected ──► OPEN ── closed by either side, error ──► CLOSING ──► freed
 *        └── refused, cancelled ─────────────────────────────────────────────┘
 *
 * LINK_CLOSED is said when an open link's handle begins to close, exactly once.
 *
 * What the machine has given cannot be overtaken by what it finds more urgent later. So the kernel
 * is made to hold little that it has not sent (TCP_NOTSENT_LOWAT), and while it takes less than it
 * is given, the machine is asked for one frame at a time.
 */
#include <netinet/tcp.h>
#include <stdlib.h>

#include "base/check.h"
#include "runtime/real/endpoint.h"
#include "runtime/real/loop_private.h"

static void link_freed(uv_handle_t *handle)
{
    struct loop_link *link = handle->data;
    tern_list_remove(&link->all);
    free(link->unsent);
    free(link);
}

/* Closes the handle; an open link gives its slot back and the machine is told. */
static void link_close(struct loop_link *link, tern_err err)
{
    if (link->state == LINK_CLOSING)
        return;
    bool was_open = link->state == LINK_OPEN;
    struct tern_loop *loop = link->loop;
    link->state = LINK_CLOSING;
    tern_list_remove(&link->ready);
    tern_chunk_unref(link->rest_chunk);
    link->rest_chunk = NULL;
    if (was_open)
        loop_slot_give(loop, link->id);
    uv_close((uv_handle_t *)&link->tcp, link_freed);
    if (was_open && !loop->freeing)
        loop_input(loop, &(struct tern_input){
                             .kind = TERN_INPUT_LINK_CLOSED, .link = link->id, .err = err});
}

void loop_link_abort(struct loop_link *link, tern_err err)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&link->tcp, &fd) == 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    link_close(link, err);
}

static struct loop_link *link_new(struct tern_loop *loop)
{
    struct loop_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    if (uv_tcp_init(&loop->uv, &link->tcp) != 0) {
        free(link);
        return NULL;
    }
    link->loop = loop;
    link->tcp.data = link;
    link->state = LINK_CONNECTING;
    tern_list_init(&link->ready);
    tern_list_push_back(&loop->links, &link->all);
    return link;
}

/* --- reading --- */

static void link_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct loop_link *link = handle->data;
    struct tern_loop *loop = link->loop;
    /* Whoever kept bytes of the last read holds a reference: then that chunk is left to him. */
    if (loop->read_chunk != NULL && loop->read_chunk->refs > 1) {
        tern_chunk_unref(loop->read_chunk);
        loop->read_chunk = NULL;
    }
    if (loop->read_chunk == NULL)
        loop->read_chunk = tern_chunk_new(loop->mem, LOOP_READ_CHUNK_SIZE);
    if (loop->read_chunk == NULL) {
        *buffer = uv_buf_init(NULL, 0); /* the read fails with ENOBUFS, and the link is closed */
        return;
    }
    *buffer = uv_buf_init((char *)loop->read_chunk->data, LOOP_READ_CHUNK_SIZE);
}

/* Gives bytes to the machine; what it does not take is kept and reading stops. */
static void link_deliver(struct loop_link *link, struct tern_chunk *chunk, struct tern_span data)
{
    size_t used = data.size;
    struct tern_input in = {
        .kind = TERN_INPUT_DATA, .link = link->id, .chunk = chunk, .data = data, .used = &used};
    loop_input(link->loop, &in);
    TERN_CHECK(used <= data.size);
    if (link->state != LINK_OPEN || used == data.size)
        return;
    link->rest_chunk = tern_chunk_ref(chunk);
    link->rest = (struct tern_span){.data = data.data + used, .size = data.size - used};
    if (link->reading) {
        uv_read_stop((uv_stream_t *)&link->tcp);
        link->reading = false;
    }
}

static void link_on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct loop_link *link = stream->data;
    struct tern_loop *loop = link->loop;
    if (size == 0)
        return;
    if (size == UV_EOF) {
        uv_read_stop(stream);
        link->reading = false;
        link->ended = true;
        loop_input(loop, &(struct tern_input){.kind = TERN_INPUT_LINK_END, .link = link->id});
        return;
    }
    if (size < 0) {
        link_close(link, tern_err_from_uv((int)size));
        return;
    }
    loop->read_chunk->size = (uint32_t)size;
    loop->large_read |= size >= LOOP_LARGE_READ_SIZE;
    link_deliver(link, loop->read_chunk,
                 (struct tern_span){.data = (uint8_t *)buffer->base, .size = (size_t)size});
}

static void link_start_reading(struct loop_link *link)
{
    if (link->reading || link->ended || link->state != LINK_OPEN || link->loop->freeing)
        return;
    if (uv_read_start((uv_stream_t *)&link->tcp, link_on_alloc, link_on_read) == 0)
        link->reading = true;
}

void loop_link_read(struct loop_link *link)
{
    if (link->rest_chunk != NULL) {
        struct tern_chunk *chunk = link->rest_chunk;
        link->rest_chunk = NULL;
        link_deliver(link, chunk, link->rest);
        tern_chunk_unref(chunk);
        if (link->state != LINK_OPEN || link->rest_chunk != NULL)
            return;
    }
    link_start_reading(link);
}

/* --- writing --- */

void loop_link_ready(struct loop_link *link)
{
    if (!tern_list_linked(&link->ready))
        tern_list_push_back(&link->loop->ready, &link->ready);
}

static void link_on_shutdown(uv_shutdown_t *request, int status)
{
    struct loop_link *link = request->data;
    (void)status; /* a failure shows in reading */
    link->shut_done = true;
    if (link->close_wanted)
        link_close(link, TERN_OK);
}

/* All is sent: does what waited for that. */
static void link_drained(struct loop_link *link)
{
    if (!link->shut_wanted || link->shutdown.data != NULL)
        return;
    link->shutdown.data = link;
    if (uv_shutdown(&link->shutdown, (uv_stream_t *)&link->tcp, link_on_shutdown) != 0)
        link_close(link, TERN_OK);
}

static void link_on_written(uv_write_t *request, int status)
{
    struct loop_link *link = request->data;
    link->writing = false;
    free(link->unsent);
    link->unsent = NULL;
    if (link->state != LINK_OPEN)
        return;
    if (status < 0) {
        link_close(link, tern_err_from_uv(status));
        return;
    }
    link->loop->dirty = true;
    loop_link_ready(link);
}

/* Keeps what the kernel did not take and lets libuv send it when it can. */
static void link_write_rest(struct loop_link *link, const uint8_t *bytes, size_t size)
{
    link->unsent = malloc(size);
    if (link->unsent == NULL) {
        link_close(link, TERN_ERR_MEMORY);
        return;
    }
    memcpy(link->unsent, bytes, size);
    link->unsent_size = size;
    uv_buf_t buffer = uv_buf_init((char *)link->unsent, (unsigned)size);
    link->write.data = link;
    int status = uv_write(&link->write, (uv_stream_t *)&link->tcp, &buffer, 1, link_on_written);
    if (status != 0)
        link_close(link, tern_err_from_uv(status));
    else
        link->writing = true;
}

/* Sends one buffer's worth. True: there may be more. */
static bool link_transmit(struct loop_link *link)
{
    struct tern_loop *loop = link->loop;
    size_t room = link->backlogged ? LOOP_TRANSMIT_MIN : LOOP_TRANSMIT_SIZE;
    struct tern_writer out = tern_writer_of(loop->transmit_buffer, room);
    size_t before = SIZE_MAX;
    while (out.size != before && tern_writer_left(&out) >= LOOP_TRANSMIT_MIN) {
        before = out.size;
        loop->machine.ops->transmit(loop->machine.self, tern_loop_now(), link->id, &out);
        TERN_CHECK(!out.overflow);
    }
    if (out.size == 0) {
        link_drained(link);
        return false;
    }
    uv_buf_t buffer = uv_buf_init((char *)loop->transmit_buffer, (unsigned)out.size);
    int sent = uv_try_write((uv_stream_t *)&link->tcp, &buffer, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        link_close(link, tern_err_from_uv(sent));
        return false;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    link->backlogged = done < out.size;
    if (!link->backlogged)
        return true;
    link_write_rest(link, loop->transmit_buffer + done, out.size - done);
    return false;
}

bool loop_transmit_ready(struct tern_loop *loop)
{
    struct tern_list turn;
    tern_list_init(&turn);
    tern_list_take_all(&turn, &loop->ready);
    for (struct tern_list *node = tern_list_pop_front(&turn); node != NULL;
         node = tern_list_pop_front(&turn)) {
        struct loop_link *link = TERN_LIST_ENTRY(node, struct loop_link, ready);
        if (link->state != LINK_OPEN || link->writing)
            continue; /* on_written makes it ready again */
        if (link_transmit(link))
            loop_link_ready(link);
    }
    return !tern_list_empty(&loop->ready);
}

void loop_link_end(struct loop_link *link, bool close)
{
    link->shut_wanted = true;
    if (close) {
        link->close_wanted = true;
        if (link->reading) {
            uv_read_stop((uv_stream_t *)&link->tcp);
            link->reading = false;
        }
        if (link->shut_done) {
            link_close(link, TERN_OK);
            return;
        }
    }
    loop_link_ready(link);
}

/* --- opening --- */

/* Without these options a link works, less well. What a listener accepts has its own. */
static void tcp_set_options(uv_tcp_t *tcp)
{
    uv_os_fd_t fd;
    int unsent = LOOP_UNSENT_SIZE;
    (void)uv_tcp_nodelay(tcp, 1);
    if (uv_fileno((uv_handle_t *)tcp, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

static void link_open(struct loop_link *link, enum tern_input_kind kind, tern_token token)
{
    struct sockaddr_storage name;
    int size = sizeof name;
    struct tern_input in = {.kind = kind, .token = token};

    if (uv_tcp_getpeername(&link->tcp, (struct sockaddr *)&name, &size) != 0 ||
        tern_endpoint_from_sockaddr((struct sockaddr *)&name, &in.remote) != TERN_OK)
        in.err = TERN_ERR_DISCONNECTED;
    size = sizeof name;
    if (uv_tcp_getsockname(&link->tcp, (struct sockaddr *)&name, &size) != 0 ||
        tern_endpoint_from_sockaddr((struct sockaddr *)&name, &in.local) != TERN_OK)
        in.err = TERN_ERR_DISCONNECTED;
    struct loop_slot slot = {.link = link};
    if (in.err == TERN_OK && !loop_slot_take(link->loop, slot, &link->id))
        in.err = TERN_ERR_MEMORY;
    if (in.err != TERN_OK) {
        link_close(link, in.err);
        if (kind == TERN_INPUT_DIALED) {
            in.kind = TERN_INPUT_DIAL_FAIL;
            loop_input(link->loop, &in);
        }
        return;
    }
    link->state = LINK_OPEN;
    in.link = link->id;
    loop_input(link->loop, &in);
    link_start_reading(link);
}

static void link_on_connect(uv_connect_t *request, int status)
{
    struct loop_link *link = request->data;
    if (link->loop->freeing)
        return;
    if (status == 0 && link->state == LINK_CONNECTING) {
        tcp_set_options(&link->tcp);
        link_open(link, TERN_INPUT_DIALED, link->token);
        return;
    }
    struct tern_input in = {.kind = TERN_INPUT_DIAL_FAIL,
                            .token = link->token,
                            .err = status == 0 ? TERN_ERR_CLOSED : tern_err_from_uv(status)};
    link_close(link, in.err);
    loop_input(link->loop, &in);
}

void loop_dial(struct tern_loop *loop, const struct tern_command *command)
{
    struct sockaddr_storage addr;
    struct tern_input failed = {.kind = TERN_INPUT_DIAL_FAIL, .token = command->token};
    struct loop_link *link = link_new(loop);
    if (link == NULL) {
        failed.err = TERN_ERR_MEMORY;
        loop_input(loop, &failed);
        return;
    }
    link->token = command->token;
    link->connect.data = link;
    tern_endpoint_to_sockaddr(&command->endpoint, &addr);
    int status =
        uv_tcp_connect(&link->connect, &link->tcp, (struct sockaddr *)&addr, link_on_connect);
    if (status != 0) {
        failed.err = tern_err_from_uv(status);
        link_close(link, failed.err);
        loop_input(loop, &failed);
    }
}

void loop_dial_cancel(struct tern_loop *loop, tern_token token)
{
    TERN_LIST_FOREACH (node, &loop->links) {
        struct loop_link *link = TERN_LIST_ENTRY(node, struct loop_link, all);
        if (link->state == LINK_CONNECTING && link->token == token) {
            link_close(link, TERN_ERR_CLOSED); /* on_connect follows with ECANCELED */
            return;
        }
    }
}

/* --- listening --- */

static void listener_freed(uv_handle_t *handle)
{
    struct loop_listener *listener = handle->data;
    tern_list_remove(&listener->all);
    free(listener);
}

static void listener_on_connection(uv_stream_t *server, int status)
{
    struct loop_listener *listener = server->data;
    if (status != 0)
        return; /* out of descriptors, most likely: the backlog keeps the rest waiting */
    struct loop_link *link = link_new(listener->loop);
    if (link == NULL)
        return;
    if (uv_accept(server, (uv_stream_t *)&link->tcp) != 0) {
        link_close(link, TERN_ERR_IO);
        return;
    }
    link_open(link, TERN_INPUT_ACCEPTED, listener->token);
}

static int listener_bind(struct loop_listener *listener, const struct tern_endpoint *endpoint,
                         struct tern_endpoint *bound)
{
    struct sockaddr_storage addr;
    int size = sizeof addr;
    unsigned flags = endpoint->family == 6 ? UV_TCP_IPV6ONLY : 0;
    tern_endpoint_to_sockaddr(endpoint, &addr);
    int status = uv_tcp_bind(&listener->tcp, (struct sockaddr *)&addr, flags);
    tcp_set_options(&listener->tcp);
    if (status == 0)
        status =
            uv_listen((uv_stream_t *)&listener->tcp, LOOP_LISTEN_BACKLOG, listener_on_connection);
    if (status == 0)
        status = uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&addr, &size);
    if (status == 0 && tern_endpoint_from_sockaddr((struct sockaddr *)&addr, bound) != TERN_OK)
        status = UV_EINVAL;
    return status;
}

void loop_listen(struct tern_loop *loop, const struct tern_command *command)
{
    struct tern_input in = {.kind = TERN_INPUT_LISTENING, .token = command->token};
    struct loop_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL || uv_tcp_init(&loop->uv, &listener->tcp) != 0) {
        free(listener);
        in.kind = TERN_INPUT_LISTEN_FAIL;
        in.err = TERN_ERR_MEMORY;
        loop_input(loop, &in);
        return;
    }
    listener->loop = loop;
    listener->token = command->token;
    listener->tcp.data = listener;
    tern_list_push_back(&loop->listeners, &listener->all);
    int status = listener_bind(listener, &command->endpoint, &in.local);
    if (status != 0) {
        in.kind = TERN_INPUT_LISTEN_FAIL;
        in.err = tern_err_from_uv(status);
        uv_close((uv_handle_t *)&listener->tcp, listener_freed);
    }
    loop_input(loop, &in);
}

void loop_unlisten(struct tern_loop *loop, tern_token token)
{
    TERN_LIST_FOREACH (node, &loop->listeners) {
        struct loop_listener *listener = TERN_LIST_ENTRY(node, struct loop_listener, all);
        if (listener->token == token && !uv_is_closing((uv_handle_t *)&listener->tcp)) {
            uv_close((uv_handle_t *)&listener->tcp, listener_freed);
            return;
        }
    }
}

void loop_close_all(struct tern_loop *loop)
{
    TERN_LIST_FOREACH (node, &loop->listeners) {
        struct loop_listener *listener = TERN_LIST_ENTRY(node, struct loop_listener, all);
        if (!uv_is_closing((uv_handle_t *)&listener->tcp))
            uv_close((uv_handle_t *)&listener->tcp, listener_freed);
    }
    TERN_LIST_FOREACH (link_node, &loop->links) {
        struct loop_link *link = TERN_LIST_ENTRY(link_node, struct loop_link, all);
        link_close(link, TERN_ERR_CLOSED);
    }
}
