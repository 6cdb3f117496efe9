#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interop/tern/contract/contract.h"

/*
 * test-plans' perf: a server and a client that know each other by a fixed identity, the Ed25519 key
 * whose seed is 32 zero bytes. The client says each second how many bytes moved in it, and at last
 * how many did in all, in so much time with the connection's making.
 */

enum { RUNNER_PROGRESS_MS = 1000, RUNNER_QUIET_MS = 60000, RUNNER_HOST_SIZE = 64 };

#define RUNNER_PEER "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"

/* Protobuf PrivateKey: Ed25519, the seed, the public key. */
static const uint8_t runner_key[68] = {
    0x08, 0x01, 0x12, 0x40, 0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0,    0,    0x3b, 0x6a, 0x27, 0xbc, 0xce, 0xb6,
    0xa4, 0x2d, 0x62, 0xa3, 0xa8, 0xd0, 0x2a, 0x6f, 0x0d, 0x73, 0x65, 0x32, 0x15, 0x77,
    0x1d, 0xe2, 0x43, 0xa6, 0x3a, 0xc0, 0x48, 0xa1, 0x8b, 0x59, 0xda, 0x29,
};

struct runner {
    bool server;
    char ip[RUNNER_HOST_SIZE];
    unsigned port;
    const char *transport;
    uint64_t upload_bytes, download_bytes;
};

_Noreturn static void runner_usage(void)
{
    fprintf(stderr, "usage: tern-contract --run-server --server-address IP:PORT\n"
                    "       tern-contract --server-address IP:PORT --transport tcp|quic-v1 "
                    "--upload-bytes N --download-bytes N\n");
    exit(2);
}

static void runner_parse_address(struct runner *runner, const char *text)
{
    const char *colon = strrchr(text, ':');
    int port = colon == NULL ? 0 : atoi(colon + 1);
    if (port < 1 || port > UINT16_MAX || colon - text >= RUNNER_HOST_SIZE)
        runner_usage();
    snprintf(runner->ip, sizeof runner->ip, "%.*s", (int)(colon - text), text);
    runner->port = (unsigned)port;
}

static uint64_t runner_parse_number(const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
        runner_usage();
    return number;
}

static void runner_parse(struct runner *runner, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--run-server") == 0) {
            runner->server = true;
            continue;
        }
        const char *value = i + 1 < argc ? argv[++i] : NULL;
        if (value == NULL)
            runner_usage();
        else if (strcmp(name, "--server-address") == 0)
            runner_parse_address(runner, value);
        else if (strcmp(name, "--transport") == 0)
            runner->transport = value;
        else if (strcmp(name, "--upload-bytes") == 0)
            runner->upload_bytes = runner_parse_number(value);
        else if (strcmp(name, "--download-bytes") == 0)
            runner->download_bytes = runner_parse_number(value);
        else
            runner_usage();
    }
    if (runner->port == 0)
        runner_usage();
}

/* Listens at both transports, with what the library offers by itself. */
static void runner_serve(const struct runner *runner)
{
    static const char *const transports[] = {"tcp", "quic-v1"};
    const struct settings settings = {.transport = "tcp,quic-v1"};
    struct contract contract;
    char listen[CONTRACT_ADDRESS_SIZE];
    char address[TERN_ADDRESS_TEXT_SIZE];
    contract_init(&contract, &settings, runner_key, sizeof runner_key);
    for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++) {
        if (!contract_address(transports[i], runner->ip, runner->port, listen))
            contract_fail("%s is no address to listen at", runner->ip);
        contract_listen(&contract, listen, address);
        puts(address);
        fflush(stdout);
    }
    contract_serve(&contract);
    contract_fini(&contract);
}

static void runner_print(const char *type, double seconds, uint64_t uploaded, uint64_t downloaded)
{
    printf("{\"type\": \"%s\", \"timeSeconds\": %.6f, \"uploadBytes\": %llu, "
           "\"downloadBytes\": %llu}\n",
           type, seconds, (unsigned long long)uploaded, (unsigned long long)downloaded);
    fflush(stdout);
}

/* Draws events until the measurement ends. */
static void runner_watch(struct contract *contract, uint64_t token, struct tern_perf_info *last)
{
    for (;;) {
        struct tern_event event;
        contract_wait(contract,
                      CONTRACT_KIND(TERN_EVENT_PERF) | CONTRACT_KIND(TERN_EVENT_PERF_PROGRESS),
                      token, &event);
        const struct tern_perf_info *now = event.perf;
        if (event.kind == TERN_EVENT_PERF) {
            contract_check(event.err, "perf");
            *last = *now;
            return;
        }
        runner_print("intermediary", (double)(now->elapsed_ns - last->elapsed_ns) / 1e9,
                     now->uploaded_bytes - last->uploaded_bytes,
                     now->downloaded_bytes - last->downloaded_bytes);
        *last = *now;
    }
}

static void runner_ask(const struct runner *runner)
{
    const struct settings settings = {.transport = runner->transport};
    struct contract contract;
    struct tern_perf_info info = {0};
    char place[CONTRACT_ADDRESS_SIZE];
    char address[CONTRACT_ADDRESS_SIZE + sizeof "/p2p/" RUNNER_PEER];
    uint64_t token;
    if (strcmp(runner->transport, "tcp") != 0 && strcmp(runner->transport, "quic-v1") != 0)
        runner_usage();
    if (!contract_address(runner->transport, runner->ip, runner->port, place))
        contract_fail("%s is no address to dial", runner->ip);
    snprintf(address, sizeof address, "%s/p2p/" RUNNER_PEER, place);
    contract_init(&contract, &settings, NULL, 0);
    uint64_t start_ns = contract_now_ns();
    contract_dial(&contract, address);
    const struct tern_perf_options options = {
        .size = sizeof options,
        .peer = contract.peer,
        .upload_bytes = runner->upload_bytes,
        .download_bytes = runner->download_bytes,
        .timeout_ms = RUNNER_QUIET_MS,
        .progress_ms = RUNNER_PROGRESS_MS,
    };
    contract_check(tern_host_perf(contract.host, &options, &token), "perf");
    runner_watch(&contract, token, &info);
    runner_print("final", (double)(contract_now_ns() - start_ns) / 1e9, info.uploaded_bytes,
                 info.downloaded_bytes);
    contract_fini(&contract);
}

void contract_run_runner(int argc, char **argv)
{
    struct runner runner = {.transport = "tcp"};
    runner_parse(&runner, argc, argv);
    if (runner.server)
        runner_serve(&runner);
    else
        runner_ask(&runner);
}
