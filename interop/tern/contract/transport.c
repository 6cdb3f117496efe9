#include <stdio.h>

#include "interop/tern/contract/contract.h"
#include "interop/tern/contract/meeting.h"

void contract_run_listener(const struct settings *settings)
{
    struct contract contract;
    char listen[CONTRACT_ADDRESS_SIZE];
    char address[TERN_ADDRESS_TEXT_SIZE];
    if (!contract_address(settings->transport, settings->ip, 0, listen))
        contract_fail("there is no transport \"%s\"", settings->transport);
    contract_init(&contract, settings, NULL, 0);
    contract_listen(&contract, listen, address);
    meeting_publish(settings, address, contract.deadline_ns);
    fprintf(stderr, "tern-contract: listening at %s\n", address);
    contract_serve(&contract);
    contract_fini(&contract);
}

void contract_run_dialer(const struct settings *settings)
{
    struct contract contract;
    char address[TERN_ADDRESS_TEXT_SIZE];
    struct tern_event event;
    uint64_t token;
    contract_init(&contract, settings, NULL, 0);
    meeting_wait(settings, contract.deadline_ns, address);
    fprintf(stderr, "tern-contract: dialing %s\n", address);
    uint64_t start_ns = contract_now_ns();
    contract_dial(&contract, address);
    contract_check(tern_host_ping(contract.host, contract.peer, &token), "ping");
    contract_wait(&contract, CONTRACT_KIND(TERN_EVENT_PING), token, &event);
    contract_check(event.err, "ping");
    double both_ms = (double)(contract_now_ns() - start_ns) / 1e6;
    double ping_ms = (double)event.rtt_ns / 1e6;
    if (settings->older)
        printf("{\"handshakePlusOneRTTMillis\": %.3f, \"pingRTTMilllis\": %.3f}\n", both_ms,
               ping_ms);
    else
        printf("latency:\n  handshake_plus_one_rtt: %.3f\n  ping_rtt: %.3f\n  unit: ms\n", both_ms,
               ping_ms);
    contract_fini(&contract);
}
