/* Listeners: a small fixed table.
 *
 *   FREE ─ listen ─► STARTING ─ LISTENING ─► UP ─ unlisten ─► FREE
 *                       ├─ LISTEN_FAIL ─► FREE
 *                       └─ unlisten ─► ENDING ─ either answer ─► FREE
 */
#include "swarm/private.h"

static tern_token listener_token(const struct tern_swarm *s, const struct swarm_listener *listener)
{
    return tern_swarm_token_make((struct swarm_token){
        .kind = SWARM_TOKEN_LISTEN,
        .handle = (uint64_t)listener->generation << 32 | (uint64_t)(listener - s->listeners.list),
    });
}

static struct swarm_listener *listener_of_token(struct tern_swarm *s, tern_token token)
{
    struct swarm_token split = tern_swarm_token_split(token);
    uint32_t i = (uint32_t)split.handle;
    if (split.kind != SWARM_TOKEN_LISTEN || i >= TERN_SWARM_LISTENERS_MAX)
        return NULL;
    struct swarm_listener *listener = &s->listeners.list[i];
    bool live =
        listener->state != SWARM_LISTENER_FREE && listener->generation == split.handle >> 32;
    return live ? listener : NULL;
}

tern_err tern_swarm_listen(struct tern_swarm *s, const struct tern_multiaddr *address)
{
    struct tern_endpoint endpoint;
    if (s->down)
        return TERN_ERR_CLOSED;
    TERN_TRY(tern_endpoint_of_listen(tern_multiaddr_view(address), &endpoint));
    for (size_t i = 0; i < TERN_SWARM_LISTENERS_MAX; i++) {
        struct swarm_listener *listener = &s->listeners.list[i];
        if (listener->state != SWARM_LISTENER_FREE || listener->tell || listener->want_unlisten)
            continue;
        uint32_t generation = listener->generation + 1;
        *listener = (struct swarm_listener){
            .state = SWARM_LISTENER_STARTING,
            .want_listen = true,
            .generation = generation,
            .asked = endpoint,
            .bound = endpoint,
        };
        s->listeners.commands = true;
        return TERN_OK;
    }
    return TERN_ERR_FULL;
}

static void listener_end(struct tern_swarm *s, struct swarm_listener *listener)
{
    if (listener->state == SWARM_LISTENER_STARTING && listener->want_listen) {
        listener->state = SWARM_LISTENER_FREE; /* the world has not heard of it */
        listener->want_listen = false;
    } else if (listener->state == SWARM_LISTENER_STARTING) {
        listener->state = SWARM_LISTENER_ENDING;
    } else if (listener->state == SWARM_LISTENER_UP) {
        listener->want_unlisten = true;
        s->listeners.commands = true;
        listener->state = SWARM_LISTENER_FREE;
        listener->tell = false;
        s->addresses_changed = true;
    }
}

void tern_swarm_unlisten(struct tern_swarm *s, const struct tern_multiaddr *address)
{
    struct tern_endpoint endpoint;
    if (tern_endpoint_of_listen(tern_multiaddr_view(address), &endpoint) != TERN_OK)
        return;
    for (size_t i = 0; i < TERN_SWARM_LISTENERS_MAX; i++) {
        struct swarm_listener *listener = &s->listeners.list[i];
        if (tern_endpoint_equal(&listener->asked, &endpoint) ||
            tern_endpoint_equal(&listener->bound, &endpoint))
            listener_end(s, listener);
    }
}

void tern_listeners_end_all(struct tern_swarm *s)
{
    for (size_t i = 0; i < TERN_SWARM_LISTENERS_MAX; i++)
        listener_end(s, &s->listeners.list[i]);
}

void tern_listeners_input(struct tern_swarm *s, tern_time now, const struct tern_input *in)
{
    struct swarm_listener *listener = listener_of_token(s, in->token);
    if (listener == NULL)
        return;
    bool ending = listener->state == SWARM_LISTENER_ENDING;
    listener->err = in->kind == TERN_INPUT_LISTENING ? TERN_OK : in->err;
    listener->tell = !ending;
    s->listeners.tell = s->listeners.tell || !ending;
    TERN_TRACE(s->config.trace, now, SWARM_LISTENING, listener - s->listeners.list, in->local.port,
               listener->err);
    if (in->kind == TERN_INPUT_LISTEN_FAIL) {
        listener->state = SWARM_LISTENER_FREE;
        return;
    }
    listener->bound = in->local;
    listener->state = SWARM_LISTENER_UP;
    if (ending)
        listener_end(s, listener);
    else
        s->addresses_changed = true;
}

bool tern_listeners_tell(struct tern_swarm *s, tern_time now)
{
    for (size_t i = 0; s->listeners.tell && i < TERN_SWARM_LISTENERS_MAX; i++) {
        struct swarm_listener *listener = &s->listeners.list[i];
        if (!listener->tell)
            continue;
        listener->tell = false;
        struct tern_multiaddr address;
        bool up = listener->err == TERN_OK;
        tern_endpoint_multiaddr(up ? &listener->bound : &listener->asked, &address);
        const struct tern_swarm_event news = {
            .kind = up ? TERN_SWARM_LISTENING : TERN_SWARM_LISTEN_FAILED,
            .err = listener->err,
            .address = &address,
        };
        tern_swarm_tell_all(s, now, &news);
        return true;
    }
    s->listeners.tell = false;
    return false;
}

bool tern_listeners_next_command(struct tern_swarm *s, struct tern_command *command)
{
    for (size_t i = 0; s->listeners.commands && i < TERN_SWARM_LISTENERS_MAX; i++) {
        struct swarm_listener *listener = &s->listeners.list[i];
        *command = (struct tern_command){.token = listener_token(s, listener),
                                         .endpoint = listener->asked};
        if (listener->want_unlisten) {
            listener->want_unlisten = false;
            command->kind = TERN_COMMAND_UNLISTEN;
            return true;
        }
        if (listener->want_listen) {
            listener->want_listen = false;
            command->kind = TERN_COMMAND_LISTEN;
            return true;
        }
    }
    s->listeners.commands = false;
    return false;
}

bool tern_listeners_port(const struct tern_swarm *s, uint16_t port)
{
    for (size_t i = 0; i < TERN_SWARM_LISTENERS_MAX; i++)
        if (s->listeners.list[i].state == SWARM_LISTENER_UP &&
            s->listeners.list[i].bound.port == port)
            return true;
    return false;
}
