/*
 * Where listener and dialer of an official contract find each other: a Redis server, by hiredis,
 * here alone. Each function fails the process when the server does (contract_fail).
 */
#ifndef TERN_INTEROP_CONTRACT_MEETING_H
#define TERN_INTEROP_CONTRACT_MEETING_H

#include "interop/tern/contract/settings.h"
#include "tern/tern.h"

/* meeting_publish leaves the address under the settings' key, in their form. Until the deadline it
 * waits for the server to be there: in a test it may start at the same time. */
void meeting_publish(const struct settings *settings, const char *address, uint64_t deadline_ns);

/* meeting_wait waits for an address under the key, as a string or a list's head. */
void meeting_wait(const struct settings *settings, uint64_t deadline_ns,
                  char address[TERN_ADDRESS_TEXT_SIZE]);

#endif
