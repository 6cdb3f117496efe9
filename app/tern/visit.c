#include "app/tern/visit.h"

#include <time.h>

uint64_t visit_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A peer's id alone: the node, if there is one, may know its address. */
static int visit_resolve(struct visit *visit, const char *id)
{
    struct app_answer answer;
    size_t i;
    json_t *peer;
    int code =
        command_ask(visit->options, &(struct command_question){.path = "/v1/peers"}, &answer);
    if (code != CODE_OK)
        return code;
    json_array_foreach(json_object_get(answer.json, "peers"), i, peer)
    {
        if (strcmp(command_text(peer, "peer_id"), id) != 0)
            continue;
        snprintf(visit->address, sizeof visit->address, "%s/p2p/%s", command_text(peer, "address"),
                 id);
    }
    app_answer_free(&answer);
    if (visit->address[0] == '\0')
        return command_fail(CODE_UNAVAILABLE,
                            "the node is not connected to %s; give its address, /ip4/…/p2p/%s", id,
                            id);
    return CODE_OK;
}

int visit_wait(struct visit *visit, enum tern_event_kind wanted, uint64_t token,
               struct tern_event *event)
{
    for (;;) {
        uint64_t now = visit_now_ms();
        if (now >= visit->deadline_ms)
            return CODE_TIMEOUT;
        tern_err err = tern_host_next_event(visit->host, event, (int)(visit->deadline_ms - now));
        if (err != TERN_OK)
            continue;
        if (event->kind == TERN_EVENT_DIAL_FAILED && event->token == token)
            return command_fail(CODE_UNAVAILABLE, "%s: %s", visit->address,
                                tern_err_text(event->err));
        if (event->kind == wanted && (token == 0 || event->token == token))
            return CODE_OK;
        if (event->kind == TERN_EVENT_PEER_DISCONNECTED && strcmp(event->peer, visit->peer) == 0)
            return command_fail(CODE_UNAVAILABLE, "the peer has ended the connection");
    }
}

static int visit_connect(struct visit *visit)
{
    struct tern_host_options options;
    struct tern_event event;
    uint64_t token = 0;
    char message[256] = "";
    uint64_t start = visit_now_ms();
    tern_host_options_init(&options);
    options.agent = "tern-cli/" TERN_VERSION;
    visit->deadline_ms = start + visit->options->timeout_s * 1000;
    tern_err err = tern_host_new(&options, &visit->host, message, sizeof message);
    if (err != TERN_OK)
        return command_fail(CODE_INTERNAL, "%s", message);
    err = tern_host_dial(visit->host, visit->address, &token);
    if (err == TERN_ERR_INVALID || err == TERN_ERR_UNSUPPORTED)
        return command_fail(CODE_USAGE, "%s: %s", visit->address, tern_err_text(err));
    if (err != TERN_OK)
        return command_fail(CODE_UNAVAILABLE, "%s: %s", visit->address, tern_err_text(err));
    int code = visit_wait(visit, TERN_EVENT_DIALED, token, &event);
    if (code == CODE_TIMEOUT)
        return command_fail(code, "%s: no connection within %llu s", visit->address,
                            (unsigned long long)visit->options->timeout_s);
    if (code != CODE_OK)
        return code;
    snprintf(visit->peer, sizeof visit->peer, "%s", event.peer);
    visit->took_ms = visit_now_ms() - start;
    return CODE_OK;
}

int visit_begin(struct visit *visit, const struct command_options *options)
{
    const char *target = options->arguments[0];
    *visit = (struct visit){.options = options};
    if (target[0] == '/') {
        if (strlen(target) >= sizeof visit->address)
            return command_fail(CODE_USAGE, "the address is too long");
        snprintf(visit->address, sizeof visit->address, "%s", target);
    } else {
        int code = visit_resolve(visit, target);
        if (code != CODE_OK)
            return code;
    }
    return visit_connect(visit);
}

void visit_end(struct visit *visit)
{
    tern_host_free(visit->host);
}
