#include "interop/tern/contract/contract.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONTRACT_STEP_MS = 100 };

static const uint64_t CONTRACT_SECOND = UINT64_C(1000000000);

uint64_t contract_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CONTRACT_SECOND + (uint64_t)now.tv_nsec;
}

void contract_fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("tern-contract: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    exit(1);
}

void contract_check(tern_err err, const char *what)
{
    if (err != TERN_OK)
        contract_fail("%s: %s", what, tern_err_text(err));
}

void contract_init(struct contract *contract, const struct settings *settings, const uint8_t *key,
                   size_t key_size)
{
    struct tern_host_options options;
    char message[256] = "no memory";
    *contract = (struct contract){.settings = settings, .deadline_ns = UINT64_MAX};
    if (settings->timeout_s > 0)
        contract->deadline_ns = contract_now_ns() + settings->timeout_s * CONTRACT_SECOND;
    tern_host_options_init(&options);
    options.transports = settings->transport;
    options.secure = settings->secure;
    options.muxers = settings->muxer;
    options.private_key = key;
    options.web_certificate_file = getenv("WSS_CERTIFICATE_FILE");
    options.web_key_file = getenv("WSS_KEY_FILE");
    options.web_trust_file = getenv("WSS_TRUST_FILE");
    options.private_key_size = key_size;
    options.serve_perf =
        settings->header16 ? TERN_PERF_SERVING_HEADER16 : TERN_PERF_SERVING_STANDARD;
    if (tern_host_new(&options, &contract->host, message, sizeof message) != TERN_OK)
        contract_fail("%s", message);
}

void contract_fini(struct contract *contract)
{
    tern_host_free(contract->host);
    contract->host = NULL;
}

/* --- waiting --- */

/* Has one of the signals come that are held back? */
static bool contract_told_to_end(void)
{
    const struct timespec at_once = {0};
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    return sigtimedwait(&ends, NULL, &at_once) >= 0;
}

/* False: time is over, or it was told to end. */
static bool contract_next(struct contract *contract, struct tern_event *event)
{
    do {
        if (contract_now_ns() >= contract->deadline_ns || contract_told_to_end())
            return false;
    } while (tern_host_next_event(contract->host, event, CONTRACT_STEP_MS) != TERN_OK);
    if (contract->settings->debug)
        fprintf(stderr, "tern-contract: event %d %s %s: %s\n", (int)event->kind, event->peer,
                event->text, tern_err_text(event->err));
    return true;
}

/* Which address a dial tried, and how far it came. */
static void contract_explain(const struct contract *contract, uint64_t token)
{
    struct tern_dial_attempt_info info = {.size = sizeof info};
    for (size_t i = 0; tern_host_dial_attempts(contract->host, token, i, &info) == TERN_OK; i++)
        fprintf(stderr, "tern-contract: %s: %s%s%s\n", info.address, tern_err_text(info.err),
                info.linked_ns < 0 ? ", no link came about" : "", info.refusal);
}

void contract_wait(struct contract *contract, uint64_t kinds, uint64_t token,
                   struct tern_event *event)
{
    for (;;) {
        if (!contract_next(contract, event))
            contract_fail("the time is over, or a signal came");
        if (event->kind == TERN_EVENT_LISTEN_FAILED)
            contract_check(event->err, event->text);
        if (event->kind == TERN_EVENT_DIAL_FAILED && event->token == token) {
            contract_explain(contract, token);
            contract_check(event->err, "dial");
        }
        if ((kinds & CONTRACT_KIND(event->kind)) != 0 && (token == 0 || event->token == token))
            return;
        if (event->kind == TERN_EVENT_PEER_DISCONNECTED && strcmp(event->peer, contract->peer) == 0)
            contract_fail("the peer has ended the connection");
    }
}

void contract_serve(struct contract *contract)
{
    struct tern_event event;
    while (contract_next(contract, &event))
        ;
    if (contract_now_ns() >= contract->deadline_ns)
        contract_fail("nobody has ended the listener in time");
}

/* --- addresses --- */

bool contract_address(const char *transport, const char *ip, unsigned port,
                      char text[CONTRACT_ADDRESS_SIZE])
{
    static const struct {
        const char *name, *protocol, *rest;
    } transports[] = {
        {"tcp", "tcp", ""},
        {"ws", "tcp", "/ws"},
        {"wss", "tcp", "/tls/ws"},
        {"quic-v1", "udp", "/quic-v1"},
        {"webtransport", "udp", "/quic-v1/webtransport"},
        {"webrtc-direct", "udp", "/webrtc-direct"},
    };
    for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++) {
        if (strcmp(transports[i].name, transport) != 0)
            continue;
        int size = snprintf(text, CONTRACT_ADDRESS_SIZE, "/ip4/%s/%s/%u%s", ip,
                            transports[i].protocol, port, transports[i].rest);
        return size < CONTRACT_ADDRESS_SIZE;
    }
    return false;
}

/* The first IPv4 address that others can reach. */
static bool contract_own_ip(char text[INET_ADDRSTRLEN])
{
    struct ifaddrs *all = NULL;
    bool found = false;
    if (getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *at = all; at != NULL && !found; at = at->ifa_next) {
        struct sockaddr_in ip;
        if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_INET ||
            (at->ifa_flags & IFF_UP) == 0 || (at->ifa_flags & IFF_LOOPBACK) != 0)
            continue;
        memcpy(&ip, at->ifa_addr, sizeof ip);
        found = inet_ntop(AF_INET, &ip.sin_addr, text, INET_ADDRSTRLEN) != NULL;
    }
    freeifaddrs(all);
    return found;
}

void contract_listen(struct contract *contract, const char *address,
                     char text[TERN_ADDRESS_TEXT_SIZE])
{
    static const char any[] = "/ip4/0.0.0.0/";
    char own[INET_ADDRSTRLEN];
    char heard[TERN_ADDRESS_TEXT_SIZE] = "";
    struct tern_event event;
    contract_check(tern_host_listen(contract->host, address), address);
    contract_wait(contract, CONTRACT_KIND(TERN_EVENT_LISTENING), 0, &event);
    tern_err err = TERN_OK;
    for (size_t i = 0; err == TERN_OK; i++) /* the last one is the newest */
        err = tern_host_address(contract->host, i, heard, sizeof heard);
    const char *rest = strncmp(heard, "/ip4/", 5) == 0 ? strchr(heard + 5, '/') : NULL;
    if (strncmp(address, any, sizeof any - 1) != 0 || rest == NULL) {
        memcpy(text, heard, sizeof heard);
        return;
    }
    /* Listening at all addresses, the library knows none that others can dial. */
    if (!contract_own_ip(own))
        contract_fail("no interface but loopback has an IPv4 address");
    if (snprintf(text, TERN_ADDRESS_TEXT_SIZE, "/ip4/%s%s", own, rest) >= TERN_ADDRESS_TEXT_SIZE)
        contract_fail("the own address is too long");
}

void contract_dial(struct contract *contract, const char *address)
{
    struct tern_event event;
    uint64_t token;
    contract_check(tern_host_dial(contract->host, address, &token), address);
    contract_wait(contract, CONTRACT_KIND(TERN_EVENT_DIALED), token, &event);
    snprintf(contract->peer, sizeof contract->peer, "%s", event.peer);
}
