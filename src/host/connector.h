/*
 * The connector keeps enough peers connected: it dials bootstrap addresses at the start and
 * whenever peers are too few, and peers of the address book besides, in random order, a few at a
 * time. What fails waits longer each time (the swarm's back-off).
 *
 * While there are enough it looks around, every three to five minutes: it dials one bootstrap peer
 * and one of the book, whoever they are. That is what joins the parts of a network again, each of
 * which has enough peers; where nothing came of it, the connection goes as idle.
 *
 * A service on the swarm without protocols of its own.
 */
#ifndef TERN_HOST_CONNECTOR_H
#define TERN_HOST_CONNECTOR_H

#include "base/mem.h"
#include "base/random.h"
#include "swarm/swarm.h"

struct tern_connector;

/* peers_want: how many connected peers are enough; 0: never dials. */
TERN_NODISCARD tern_err tern_connector_new(struct tern_mem *mem, struct tern_random *random,
                                           struct tern_swarm *swarm, uint32_t peers_want,
                                           struct tern_connector **connector);
void tern_connector_free(struct tern_connector *connector);

/* tern_connector_bootstrap: see tern_host_core_bootstrap. */
TERN_NODISCARD tern_err tern_connector_bootstrap(struct tern_connector *connector, tern_time now,
                                                 const struct tern_multiaddr *address);

/* tern_connector_keep keeps the peer of an address that ends in /p2p/<id> connected, whatever it
 * takes (swarm/manager.h). Before the first input, so that failures before a restart are known.
 * TERN_ERR_INVALID: it names no peer; SELF, FULL, MEMORY. */
TERN_NODISCARD tern_err tern_connector_keep(struct tern_connector *connector, tern_time now,
                                            const struct tern_multiaddr *address);

/* tern_connector_owns: is the token of a dial of the connector's? */
bool tern_connector_owns(const struct tern_connector *connector, tern_token token);

#endif
