/*
 * Datagrams as lines of a golden log, such as
 *
 *     0.000 10.0.0.1:4001 > 10.0.0.2:4001 1200 bytes sent
 *     10.000 10.0.0.1:4001 > 10.0.0.2:4001 1200 bytes arrived
 */
#ifndef TERN_RUNTIME_SIM_CAPTURE_TESTING_H
#define TERN_RUNTIME_SIM_CAPTURE_TESTING_H

#include "golden.h"
#include "runtime/sim/world.h"

/* capture_golden is for the world's options: capture, with a struct golden as its context. */
void capture_golden(void *golden, const struct sim_datagram *datagram);

enum { CAPTURE_ENDPOINT_SIZE = 64 };

/* capture_endpoint writes 10.0.0.1:4001, or 6:10.0.0.1:4001 for the IPv6 address of that node. */
const char *capture_endpoint(const struct tern_endpoint *endpoint,
                             char text[CAPTURE_ENDPOINT_SIZE]);

#endif
