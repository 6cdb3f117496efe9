/*
 * Events of the public API: the core's, with ids and addresses as text.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "libtern/host_private.h"

/* Keeps a text for the event; "" when there is no memory for it. */
static const char *event_text(struct tern_host *host, struct tern_view text)
{
    if (text.size + 1 > host->event_text_capacity) {
        char *grown = realloc(host->event_text, text.size + 1);
        if (grown == NULL)
            return "";
        host->event_text = grown;
        host->event_text_capacity = text.size + 1;
    }
    if (text.size > 0)
        memcpy(host->event_text, text.data, text.size);
    host->event_text[text.size] = '\0';
    return host->event_text;
}

static const char *event_address(struct tern_host *host, const struct tern_multiaddr *address)
{
    char text[TERN_MULTIADDR_TEXT_SIZE_MAX];
    struct tern_writer w = tern_writer_of(text, sizeof text);
    if (address->size == 0 || tern_multiaddr_format(tern_multiaddr_view(address), &w) != TERN_OK)
        return "";
    return event_text(host, tern_writer_view(&w));
}

static const char *event_id(struct host_id_text *kept, const struct tern_peer_id *id)
{
    if (!tern_peer_id_equal(&kept->id, id)) {
        kept->id = *id;
        host_peer_text(id, kept->text);
    }
    return kept->text;
}

static const char *event_peer(struct tern_host *host, const struct tern_peer_id *id)
{
    if (id->size == 0)
        return "";
    return event_id(&host->event_peers[id->bytes[id->size - 1] % HOST_ID_TEXTS], id);
}

static void event_gossip(struct tern_host *host, const struct tern_gossip_event *from,
                         struct tern_event *event)
{
    struct tern_peer_id author;
    event->peer = event_peer(host, &from->peer);
    event->text = event_text(host, from->message.topic);
    event->data = from->message.data.data;
    event->data_size = from->message.data.size;
    event->message = from->handle;
    switch (from->kind) {
    case TERN_GOSSIP_EVENT_MESSAGE:
        event->kind = TERN_EVENT_MESSAGE;
        break;
    case TERN_GOSSIP_EVENT_SUBSCRIBED:
        event->kind = TERN_EVENT_SUBSCRIBED;
        return;
    case TERN_GOSSIP_EVENT_UNSUBSCRIBED:
        event->kind = TERN_EVENT_UNSUBSCRIBED;
        return;
    }
    if (tern_peer_id_decode(from->message.from, &author) == TERN_OK)
        event->author = event_id(&host->event_author, &author);
}

static void event_request(struct tern_host *host, const struct tern_request_event *from,
                          struct tern_event *event)
{
    event->peer = event_peer(host, &from->peer_id);
    event->token = from->token;
    event->err = from->err;
    if (from->kind == TERN_REQUEST_EVENT_REQUEST) {
        event->kind = TERN_EVENT_REQUEST;
        event->request = from->handle;
        event->data = from->body.data;
        event->data_size = from->body.size;
        if (from->protocol != NULL)
            event->text = event_text(host, from->protocol->name);
        return;
    }
    event->kind = TERN_EVENT_RESPONSE;
    event->code = from->answer.code;
    event->text = event_text(host, from->answer.reason);
    event->data = from->answer.body.data;
    event->data_size = from->answer.body.size;
}

static void event_stream(struct tern_host *host, const struct tern_app_stream_event *from,
                         struct tern_event *event)
{
    static const enum tern_event_kind kinds[] = {
        [TERN_APP_STREAM_OPENED] = TERN_EVENT_STREAM_OPENED,
        [TERN_APP_STREAM_READY] = TERN_EVENT_STREAM_READY,
        [TERN_APP_STREAM_READABLE] = TERN_EVENT_STREAM_READABLE,
        [TERN_APP_STREAM_WRITABLE] = TERN_EVENT_STREAM_WRITABLE,
        [TERN_APP_STREAM_ENDED] = TERN_EVENT_STREAM_ENDED,
    };
    event->kind = kinds[from->kind];
    event->stream = from->id;
    event->peer = event_peer(host, &from->peer_id);
    event->text = event_text(host, from->protocol);
    event->err = from->err;
    event->code = from->code;
}

static void event_perf(struct tern_host *host, const struct tern_perf_event *from,
                       struct tern_event *event)
{
    event->kind = from->kind == TERN_PERF_EVENT_DONE ? TERN_EVENT_PERF : TERN_EVENT_PERF_PROGRESS;
    host->event_perf = (struct tern_perf_info){.uploaded_bytes = from->uploaded_bytes,
                                               .downloaded_bytes = from->downloaded_bytes,
                                               .elapsed_ns = from->elapsed_ns,
                                               .uploaded_ns = from->uploaded_ns,
                                               .answered_ns = from->answered_ns,
                                               .ended_ns = from->ended_ns};
    event->perf = &host->event_perf;
}

/* How the connection is made; nothing, when it has gone again. */
static void event_way(const struct tern_host_event *from, struct tern_event *event)
{
    if (from->transport == NULL)
        return;
    event->transport = from->transport;
    event->secure = from->secure;
    event->muxer = from->muxer;
}

static void event_fill(struct tern_host *host, const struct tern_host_event *from,
                       struct tern_event *event)
{
    event->err = from->err;
    event->token = from->token;
    event->rtt_ns = from->rtt_ns;
    event->peer = event_peer(host, &from->peer_id);
    switch (from->kind) {
    case TERN_HOST_PEER_UP:
        event->kind = TERN_EVENT_PEER_CONNECTED;
        event->outbound = from->outbound;
        event_way(from, event);
        event->text = event_address(host, &from->address);
        break;
    case TERN_HOST_PEER_DOWN:
        event->kind = TERN_EVENT_PEER_DISCONNECTED;
        break;
    case TERN_HOST_LISTENING:
    case TERN_HOST_LISTEN_FAILED:
        event->kind =
            from->kind == TERN_HOST_LISTENING ? TERN_EVENT_LISTENING : TERN_EVENT_LISTEN_FAILED;
        event->text = event_address(host, &from->address);
        break;
    case TERN_HOST_DIAL_DONE:
        event->kind = from->err == TERN_OK ? TERN_EVENT_DIALED : TERN_EVENT_DIAL_FAILED;
        break;
    case TERN_HOST_IDENTIFIED:
        event->kind = TERN_EVENT_IDENTIFIED;
        break;
    case TERN_HOST_PING:
        event->kind = TERN_EVENT_PING;
        break;
    case TERN_HOST_PERF:
        event_perf(host, &from->perf, event);
        break;
    case TERN_HOST_GOSSIP:
        event_gossip(host, &from->gossip, event);
        break;
    case TERN_HOST_REQUEST:
        event_request(host, &from->request, event);
        break;
    case TERN_HOST_STREAM:
        event_stream(host, &from->stream, event);
        break;
    }
}

/* PING and PERF events carry a peer handle only: its id is looked up while it is connected. */
static void event_find_peer(struct tern_host *host)
{
    struct tern_host_event *event = &host->event;
    const struct tern_peer_id *id;
    if (event->peer_id.size > 0 || event->peer == 0)
        return;
    id = tern_swarm_peer_id(tern_host_core_swarm(host->core), event->peer);
    if (id != NULL)
        event->peer_id = *id;
}

static bool event_take(struct tern_host *host, struct tern_event *event)
{
    if (!tern_host_core_next(host->core, &host->event))
        return false;
    event_find_peer(host);
    event_fill(host, &host->event, event);
    return true;
}

/* Waits for the thread's news until the time is over; false: it is. */
static bool event_wait_thread(struct tern_host *host, tern_time deadline)
{
    struct timespec until = {.tv_sec = (time_t)(deadline / TERN_SECOND),
                             .tv_nsec = (long)(deadline % TERN_SECOND)};
    host->waiting = true;
    int status = deadline == TERN_TIME_NEVER
                     ? pthread_cond_wait(&host->news, &host->lock)
                     : pthread_cond_timedwait(&host->news, &host->lock, &until);
    host->waiting = false;
    return status != ETIMEDOUT;
}

static int event_poll_ms(const struct tern_host *host, tern_time deadline)
{
    int loop_ms = tern_loop_timeout_ms(host->loop);
    if (deadline == TERN_TIME_NEVER)
        return loop_ms;
    tern_time left = tern_time_since(deadline, tern_loop_now());
    uint64_t left_ms = (left + TERN_MILLISECOND - 1) / TERN_MILLISECOND;
    int own_ms = left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
    return loop_ms < 0 || own_ms < loop_ms ? own_ms : loop_ms;
}

/* Runs the loop once, waiting as long as there is nothing to do and time is left; false: it is
 * over. */
static bool event_wait_embedded(struct tern_host *host, tern_time deadline)
{
    pthread_mutex_unlock(&host->lock);
    struct pollfd fd = {.fd = tern_loop_fd(host->loop), .events = POLLIN};
    (void)poll(&fd, 1, event_poll_ms(host, deadline));
    host_process(host);
    pthread_mutex_lock(&host->lock);
    return tern_loop_now() < deadline;
}

tern_err tern_host_next_event(struct tern_host *host, struct tern_event *event, int timeout_ms)
{
    tern_time deadline = timeout_ms < 0
                             ? TERN_TIME_NEVER
                             : tern_loop_now() + (tern_time)timeout_ms * TERN_MILLISECOND;
    *event = (struct tern_event){
        .peer = "", .author = "", .text = "", .transport = "", .secure = "", .muxer = ""};
    pthread_mutex_lock(&host->lock);
    bool got = event_take(host, event);
    bool in_time = timeout_ms != 0;
    while (!got && in_time) {
        in_time =
            host->started ? event_wait_thread(host, deadline) : event_wait_embedded(host, deadline);
        got = event_take(host, event);
    }
    pthread_mutex_unlock(&host->lock);
    return got ? TERN_OK : TERN_ERR_AGAIN;
}
