/*
 * Tern in the contracts of libp2p's own test suites: transport and perf of unified-testing, and the
 * older transport-interop and perf of test-plans. interop/README.md says what each consists of.
 *
 *   main.c       which contract it is, by the environment or the command line
 *   settings.c   what the environment says
 *   samples.c    measurements, and the YAML that sums them up
 *   meeting.c    Redis, where listener and dialer find each other
 *   contract.c   a host, and waiting for what becomes of it
 *   transport.c  the listener of all contracts, and the dialer of the two for transports
 *   perf.c       the dialer of unified-testing's perf
 *   runner.c     both sides of test-plans' perf, which has a command line instead
 *
 * One thread. Whatever goes wrong ends the process with a sentence on stderr: stdout is for results
 * alone.
 */
#ifndef TERN_INTEROP_CONTRACT_CONTRACT_H
#define TERN_INTEROP_CONTRACT_CONTRACT_H

#include "interop/tern/contract/settings.h"
#include "tern/tern.h"

enum { CONTRACT_ADDRESS_SIZE = 96 };

struct contract {
    const struct settings *settings;
    struct tern_host *host;
    uint64_t deadline_ns; /* UINT64_MAX: none */
    char peer[TERN_PEER_TEXT_SIZE];
};

uint64_t contract_now_ns(void); /* monotonic */

/* contract_fail says the sentence and ends the process. */
_Noreturn void contract_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* contract_check fails unless err is TERN_OK. */
void contract_check(tern_err err, const char *what);

/* contract_init makes a host of the settings' transport, secure channel and muxer, and starts the
 * time that they give. key may be NULL: a new identity. */
void contract_init(struct contract *contract, const struct settings *settings, const uint8_t *key,
                   size_t key_size);
void contract_fini(struct contract *contract);

/* contract_listen listens and gives the address that others can dial, with the peer's id. */
void contract_listen(struct contract *contract, const char *address,
                     char text[TERN_ADDRESS_TEXT_SIZE]);

/* contract_dial connects; contract->peer is then whom it reached. */
void contract_dial(struct contract *contract, const char *address);

/* contract_wait draws events until one has the token (0: any) and one of these kinds, each a bit.
 * It fails when time is over or the peer leaves. */
#define CONTRACT_KIND(kind) (UINT64_C(1) << (kind))
void contract_wait(struct contract *contract, uint64_t kinds, uint64_t token,
                   struct tern_event *event);

/* contract_serve lets the host work until SIGTERM or SIGINT, or until the time is over: then it
 * fails. */
void contract_serve(struct contract *contract);

/* contract_address writes where to listen with the transport at this IPv4 address and port. False:
 * there is no such transport. */
bool contract_address(const char *transport, const char *ip, unsigned port,
                      char text[CONTRACT_ADDRESS_SIZE]);

/* The roles. */
void contract_run_listener(const struct settings *settings);
void contract_run_dialer(const struct settings *settings);
void contract_run_perf_dialer(const struct settings *settings);
void contract_run_runner(int argc, char **argv);

#endif
