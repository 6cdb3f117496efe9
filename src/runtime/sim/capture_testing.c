#include "runtime/sim/capture_testing.h"

#include <inttypes.h>
#include <stdio.h>

const char *capture_endpoint(const struct tern_endpoint *endpoint, char text[CAPTURE_ENDPOINT_SIZE])
{
    const uint8_t *ip = endpoint->family == 6 ? endpoint->ip + 12 : endpoint->ip;
    snprintf(text, CAPTURE_ENDPOINT_SIZE, "%s%u.%u.%u.%u:%u", endpoint->family == 6 ? "6:" : "",
             ip[0], ip[1], ip[2], ip[3], endpoint->port);
    return text;
}

void capture_golden(void *golden, const struct sim_datagram *datagram)
{
    char source[CAPTURE_ENDPOINT_SIZE];
    char target[CAPTURE_ENDPOINT_SIZE];
    golden_line(golden, "%" PRIu64 ".%03" PRIu64 " %s > %s %zu bytes%s %s",
                datagram->time / TERN_MILLISECOND, datagram->time / TERN_MICROSECOND % 1000,
                capture_endpoint(&datagram->source, source),
                capture_endpoint(&datagram->target, target), datagram->bytes.size,
                datagram->ecn == 3 ? " marked" : "", sim_fate_name(datagram->fate));
}
