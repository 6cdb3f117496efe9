/*
 * Paths as ngtcp2 has them. To it a local address tells two of our sockets and addresses apart and
 * nothing more: its IP is the one that datagrams came to, or none where the system chooses, and in
 * place of the port stands the number of the socket in our table.
 */
#ifndef TERN_QUIC_QUIC_PATH_H
#define TERN_QUIC_QUIC_PATH_H

#include <ngtcp2/ngtcp2.h>

#include "runtime/io.h"

/* tern_quic_path_set: the path from a socket of ours to a remote. local NULL: the system chooses
 * the address. */
void tern_quic_path_set(ngtcp2_path_storage *storage, uint16_t socket,
                        const struct tern_endpoint *local, const struct tern_endpoint *remote);

/* tern_quic_path_socket is the number of the socket that the path goes from. */
uint16_t tern_quic_path_socket(const ngtcp2_path *path);

/* tern_quic_path_get is the path as worlds have it, without our port. */
void tern_quic_path_get(const ngtcp2_path *path, struct tern_path *out);

#endif
