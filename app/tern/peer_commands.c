/*
 * Commands that are a peer by themselves, with an identity of their own: ping, dial, identify.
 */
#include <time.h>
#include <unistd.h>

#include "app/tern/command.h"
#include "tern/tern.h"

struct visit {
    const struct command_options *options;
    struct tern_host *host;
    char peer[TERN_PEER_TEXT_SIZE]; /* whom we have reached */
    char address[TERN_ADDRESS_TEXT_SIZE];
    uint64_t deadline_ms;
    uint64_t took_ms; /* to connect */
};

static uint64_t visit_now_ms(void)
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

/* Draws events until one of the kind wanted has this token; CODE_TIMEOUT when time is over. */
static int visit_wait(struct visit *visit, enum tern_event_kind wanted, uint64_t token,
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

static int visit_begin(struct visit *visit, const struct command_options *options)
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

static void visit_end(struct visit *visit)
{
    tern_host_free(visit->host);
}

static int print_visit(const struct visit *visit)
{
    if (!visit->options->json) {
        printf("connected to %s in %llu ms\n", visit->peer, (unsigned long long)visit->took_ms);
        return CODE_OK;
    }
    json_t *json = json_pack("{s:s, s:s, s:I}", "peer_id", visit->peer, "address", visit->address,
                             "took_ms", (json_int_t)visit->took_ms);
    int code = command_print_json(json);
    json_decref(json);
    return code;
}

int command_dial(const struct command_options *options)
{
    struct visit visit;
    int code = visit_begin(&visit, options);
    if (code == CODE_OK)
        code = print_visit(&visit);
    visit_end(&visit);
    return code;
}

/* --- ping --- */

struct ping_result {
    uint64_t sent;
    uint64_t received;
    uint64_t min_ns;
    uint64_t max_ns;
    uint64_t sum_ns;
    json_t *rtts;
};

static int ping_once(struct visit *visit, struct ping_result *result)
{
    struct tern_event event;
    uint64_t token = 0;
    visit->deadline_ms = visit_now_ms() + visit->options->timeout_s * 1000;
    tern_err err = tern_host_ping(visit->host, visit->peer, &token);
    if (err != TERN_OK)
        return command_fail(CODE_UNAVAILABLE, "%s", tern_err_text(err));
    result->sent++;
    int code = visit_wait(visit, TERN_EVENT_PING, token, &event);
    if (code == CODE_OK && event.err != TERN_OK)
        return command_fail(CODE_NO, "%s", tern_err_text(event.err));
    if (code == CODE_TIMEOUT) {
        command_fail(code, "no answer within %llu s",
                     (unsigned long long)visit->options->timeout_s);
        return CODE_OK;
    }
    if (code != CODE_OK)
        return code;
    result->received++;
    result->sum_ns += event.rtt_ns;
    result->min_ns =
        result->received == 1 || event.rtt_ns < result->min_ns ? event.rtt_ns : result->min_ns;
    result->max_ns = event.rtt_ns > result->max_ns ? event.rtt_ns : result->max_ns;
    json_array_append_new(result->rtts, app_json_u64(event.rtt_ns / 1000));
    if (!visit->options->json)
        printf("%s: %.3f ms\n", visit->peer, (double)event.rtt_ns / 1e6);
    return CODE_OK;
}

static void ping_print(const struct visit *visit, const struct ping_result *result)
{
    if (visit->options->json) {
        json_t *json = json_pack("{s:s, s:I, s:I, s:O}", "peer_id", visit->peer, "sent",
                                 (json_int_t)result->sent, "received", (json_int_t)result->received,
                                 "rtt_us", result->rtts);
        command_print_json(json);
        json_decref(json);
        return;
    }
    printf("%llu sent, %llu received", (unsigned long long)result->sent,
           (unsigned long long)result->received);
    if (result->received > 0)
        printf("; rtt min/avg/max %.3f/%.3f/%.3f ms", (double)result->min_ns / 1e6,
               (double)result->sum_ns / (double)result->received / 1e6,
               (double)result->max_ns / 1e6);
    printf("\n");
}

int command_ping(const struct command_options *options)
{
    struct visit visit;
    struct ping_result result = {.rtts = json_array()};
    int code = visit_begin(&visit, options);
    bool connected = code == CODE_OK;
    for (uint64_t i = 0; i < options->count && code == CODE_OK; i++) {
        if (i > 0 && !options->json)
            usleep(200000);
        code = ping_once(&visit, &result);
    }
    if (connected)
        ping_print(&visit, &result);
    if (code == CODE_OK && result.received < result.sent)
        code = CODE_NO;
    json_decref(result.rtts);
    visit_end(&visit);
    return code;
}

/* --- identify --- */

static json_t *identify_texts(struct visit *visit, size_t count,
                              tern_err (*get)(struct tern_host *, const char *, size_t, char *,
                                              size_t))
{
    json_t *list = json_array();
    char text[TERN_ADDRESS_TEXT_SIZE];
    for (size_t i = 0; i < count; i++) {
        if (get(visit->host, visit->peer, i, text, sizeof text) != TERN_OK)
            continue;
        json_t *item = json_string(text);
        if (item != NULL) /* not UTF-8: a peer may say anything */
            json_array_append_new(list, item);
    }
    return list;
}

static void identify_print_list(const char *name, const json_t *list)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
        printf("%-10s %s\n", i == 0 ? name : "", json_string_value(item));
}

static int identify_show(struct visit *visit)
{
    struct tern_peer_info info;
    struct tern_event event;
    tern_err err = tern_host_peer_info(visit->host, visit->peer, &info);
    if (err == TERN_ERR_AGAIN) {
        int code = visit_wait(visit, TERN_EVENT_IDENTIFIED, 0, &event);
        if (code == CODE_TIMEOUT)
            return command_fail(code, "the peer did not identify itself in time");
        if (code != CODE_OK)
            return code;
        if (event.err != TERN_OK)
            return command_fail(CODE_NO, "identify: %s", tern_err_text(event.err));
        err = tern_host_peer_info(visit->host, visit->peer, &info);
    }
    if (err != TERN_OK)
        return command_fail(CODE_NO, "identify: %s", tern_err_text(err));
    json_t *addresses = identify_texts(visit, info.addresses_count, tern_host_peer_address);
    json_t *protocols = identify_texts(visit, info.protocols_count, tern_host_peer_protocol);
    json_t *json = json_pack("{s:s, s:s*, s:s*, s:s*, s:b, s:o, s:o}", "peer_id", visit->peer,
                             "agent", info.agent, "protocol_version", info.protocol_version,
                             "observed_address", info.observed_address, "signed_record",
                             info.signed_record, "addresses", addresses, "protocols", protocols);
    if (visit->options->json) {
        command_print_json(json);
    } else {
        printf("%-10s %s\n%-10s %s\n%-10s %s\n%-10s %s\n", "peer", visit->peer, "agent", info.agent,
               "version", info.protocol_version, "sees us at", info.observed_address);
        printf("%-10s %s\n", "record", info.signed_record ? "signed" : "none");
        identify_print_list("addresses", addresses);
        identify_print_list("protocols", protocols);
    }
    json_decref(json);
    return CODE_OK;
}

int command_identify(const struct command_options *options)
{
    struct visit visit;
    int code = visit_begin(&visit, options);
    if (code == CODE_OK)
        code = identify_show(&visit);
    visit_end(&visit);
    return code;
}
