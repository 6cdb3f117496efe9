#include "protocol/own_record.h"

#include "crypto/envelope.h"

tern_err tern_own_record_seal(const struct tern_swarm *swarm, tern_time now,
                              struct tern_writer *out)
{
    struct tern_multiaddr addresses[TERN_PEER_ADDRS_MAX];
    struct tern_peer_record record = {.peer_id = *tern_swarm_own_id(swarm),
                                      .seq = tern_swarm_wall(swarm, now)};
    record.addresses_count = tern_swarm_own_addresses(swarm, addresses, TERN_COUNT_OF(addresses));
    for (size_t i = 0; i < record.addresses_count; i++)
        record.addresses[i] = tern_multiaddr_view(&addresses[i]);
    return tern_peer_record_seal(tern_swarm_identity(swarm), &record, out);
}
