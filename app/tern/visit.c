#include "app/tern/visit.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "runtime/real/keyfile.h"
#include "secure/pnet.h"

uint64_t visit_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * TERN_SECOND + (uint64_t)now.tv_nsec;
}

/* --- waiting --- */

void visit_deadline(struct visit *visit, uint64_t ns)
{
    visit->deadline_ns = visit_now_ns() + ns;
}

int visit_catch_signals(struct visit *visit)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    visit->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (visit->signals < 0 || sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return command_fail(CODE_INTERNAL, "signals cannot be waited for: %m");
    return CODE_OK;
}

static int visit_poll_ms(const struct visit *visit, uint64_t left_ns)
{
    uint64_t left_ms = (left_ns + TERN_MILLISECOND - 1) / TERN_MILLISECOND;
    int host_ms = tern_host_timeout_ms(visit->host);
    int ms = left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
    return host_ms >= 0 && host_ms < ms ? host_ms : ms;
}

int visit_next(struct visit *visit, struct tern_event *event)
{
    for (;;) {
        struct signalfd_siginfo info;
        struct pollfd fds[] = {{.fd = tern_host_fd(visit->host), .events = POLLIN},
                               {.fd = visit->signals, .events = POLLIN}};
        if (visit->stopped)
            return VISIT_STOPPED;
        if (tern_host_next_event(visit->host, event, 0) == TERN_OK)
            return CODE_OK;
        uint64_t now = visit_now_ns();
        if (now >= visit->deadline_ns)
            return CODE_TIMEOUT;
        (void)poll(fds, TERN_COUNT_OF(fds), visit_poll_ms(visit, visit->deadline_ns - now));
        if (visit->signals >= 0)
            visit->stopped = read(visit->signals, &info, sizeof info) == (ssize_t)sizeof info;
        tern_host_process(visit->host);
    }
}

bool visit_lost(const struct visit *visit, const struct tern_event *event)
{
    if (event->kind != TERN_EVENT_PEER_DISCONNECTED || strcmp(event->peer, visit->peer) != 0)
        return false;
    command_fail(CODE_UNAVAILABLE, "the peer has ended the connection");
    return true;
}

int visit_wait(struct visit *visit, enum tern_event_kind wanted, uint64_t token,
               struct tern_event *event)
{
    for (;;) {
        int code = visit_next(visit, event);
        if (code != CODE_OK)
            return code;
        if (event->kind == wanted && (token == 0 || event->token == token))
            return CODE_OK;
        if (visit_lost(visit, event))
            return CODE_UNAVAILABLE;
    }
}

int visit_pause(struct visit *visit, uint64_t ns)
{
    struct tern_event event;
    int code = CODE_OK;
    visit_deadline(visit, ns);
    while ((code = visit_next(visit, &event)) == CODE_OK)
        if (visit_lost(visit, &event))
            return CODE_UNAVAILABLE;
    return code == CODE_TIMEOUT ? CODE_OK : code;
}

/* --- reaching the peer --- */

/* A peer's id alone: the node, if there is one, may know its address. */
static int visit_resolve(struct visit *visit, const char *id)
{
    struct app_answer answer;
    size_t i;
    json_t *peer;
    char *address = visit->addresses[0];
    int code =
        command_ask(visit->options, &(struct command_question){.path = "/v1/peers"}, &answer);
    if (code != CODE_OK)
        return code;
    json_array_foreach(json_object_get(answer.json, "peers"), i, peer)
    {
        if (strcmp(command_text(peer, "peer_id"), id) != 0)
            continue;
        snprintf(address, TERN_ADDRESS_TEXT_SIZE, "%s/p2p/%s", command_text(peer, "address"), id);
    }
    app_answer_free(&answer);
    if (address[0] == '\0')
        return command_fail(CODE_UNAVAILABLE,
                            "the node is not connected to %s; give its address, /ip4/…/p2p/%s", id,
                            id);
    return CODE_OK;
}

/* The addresses of one peer: those that do not end in its id get that of the first. */
static int visit_addresses(struct visit *visit)
{
    const struct command_options *options = visit->options;
    const char *id = strstr(options->arguments[0], "/p2p/");
    visit->addresses_count = options->arguments_count;
    if (options->arguments[0][0] != '/' && options->arguments_count == 1)
        return visit_resolve(visit, options->arguments[0]);
    if (options->arguments_count > 1 && id == NULL)
        return command_fail(CODE_USAGE, "of several addresses the first must end in /p2p/ID");
    for (size_t i = 0; i < options->arguments_count; i++) {
        const char *address = options->arguments[i];
        bool whole = i == 0 || strstr(address, "/p2p/") != NULL;
        int size =
            snprintf(visit->addresses[i], TERN_ADDRESS_TEXT_SIZE, "%s%s", address, whole ? "" : id);
        if (size < 0 || size >= TERN_ADDRESS_TEXT_SIZE)
            return command_fail(CODE_USAGE, "the address is too long");
    }
    return CODE_OK;
}

/* Makes the host, in the private network whose key's file is named. */
static tern_err visit_make(struct visit *visit, struct tern_host_options *host, const char *psk,
                           struct tern_span message)
{
    uint8_t bytes[TERN_PNET_FILE_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_err err = TERN_OK;
    if (psk != NULL) {
        err = tern_keyfile_read(psk, &w, (char *)message.data, message.size);
        host->psk = bytes;
        host->psk_size = w.size;
    }
    if (err == TERN_OK)
        err = tern_host_new(host, &visit->host, (char *)message.data, message.size);
    tern_secret_wipe(bytes, sizeof bytes);
    return err;
}

int visit_host(struct visit *visit, const struct command_options *options,
               const struct tern_host_options *host)
{
    struct tern_host_options with_ways = *host;
    char message[256] = "";
    *visit = (struct visit){.options = options, .signals = -1};
    with_ways.agent = "tern-cli/" TERN_VERSION;
    with_ways.transports = options->transport;
    with_ways.secure = options->secure;
    with_ways.muxers = options->muxer;
    tern_err err = visit_make(visit, &with_ways, options->psk,
                              (struct tern_span){(uint8_t *)message, sizeof message});
    if (err == TERN_OK)
        return CODE_OK;
    int code = err == TERN_ERR_UNSUPPORTED || err == TERN_ERR_INVALID   ? CODE_USAGE
               : err == TERN_ERR_GATED                                  ? CODE_KEY
               : err == TERN_ERR_IO || err == TERN_ERR_BAD_KEY          ? CODE_INPUT
               : err == TERN_ERR_MALFORMED || err == TERN_ERR_TOO_LARGE ? CODE_DATA
                                                                        : CODE_INTERNAL;
    return command_fail(code, "%s", message);
}

int visit_begin(struct visit *visit, const struct command_options *options)
{
    struct tern_host_options host;
    tern_host_options_init(&host);
    int code = visit_host(visit, options, &host);
    return code == CODE_OK ? visit_addresses(visit) : code;
}

/* Dials all addresses, which the host makes one dial of. */
static int visit_dial_all(struct visit *visit)
{
    tern_err err = TERN_ERR_NO_ADDRESS;
    visit->token = 0;
    for (size_t i = 0; i < visit->addresses_count; i++) {
        uint64_t token = 0;
        visit->refused[i] = tern_host_dial(visit->host, visit->addresses[i], &token);
        if (visit->refused[i] == TERN_OK && visit->token == 0)
            visit->token = token;
        if (i == 0)
            err = visit->refused[i];
    }
    if (visit->token != 0)
        return CODE_OK;
    int code =
        err == TERN_ERR_INVALID || err == TERN_ERR_UNSUPPORTED ? CODE_USAGE : CODE_UNAVAILABLE;
    return command_fail(code, "%s: %s", visit->addresses[0], tern_err_text(err));
}

/* A peer of another network says noise, and takes what we say for noise. */
static const char *visit_hint(const struct visit *visit, tern_err err)
{
    bool noise = err == TERN_ERR_PROTOCOL || err == TERN_ERR_DISCONNECTED;
    return visit->options->psk != NULL && noise
               ? "; it may be in another network than ours, or in none"
               : "";
}

int visit_dial(struct visit *visit)
{
    struct tern_event event;
    uint64_t start = visit_now_ns();
    visit_deadline(visit, visit->options->timeout_s * TERN_SECOND);
    int code = visit_dial_all(visit);
    while (code == CODE_OK) {
        code = visit_next(visit, &event);
        if (code == CODE_OK && event.token == visit->token &&
            (event.kind == TERN_EVENT_DIALED || event.kind == TERN_EVENT_DIAL_FAILED))
            break;
    }
    visit->took_ns = visit_now_ns() - start;
    if (code == CODE_TIMEOUT)
        return command_fail(code, "%s: no connection within %llu s", visit->addresses[0],
                            (unsigned long long)visit->options->timeout_s);
    if (code != CODE_OK)
        return code;
    if (event.kind == TERN_EVENT_DIAL_FAILED)
        return command_fail(event.err == TERN_ERR_TIMEOUT ? CODE_TIMEOUT : CODE_UNAVAILABLE,
                            "%s: %s%s", visit->addresses[0], tern_err_text(event.err),
                            visit_hint(visit, event.err));
    snprintf(visit->peer, sizeof visit->peer, "%s", event.peer);
    return CODE_OK;
}

int visit_reach(struct visit *visit, const struct command_options *options)
{
    int code = visit_begin(visit, options);
    return code == CODE_OK ? visit_dial(visit) : code;
}

void visit_end(struct visit *visit)
{
    tern_host_free(visit->host);
    if (visit->signals >= 0)
        close(visit->signals);
}
