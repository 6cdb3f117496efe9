/*
 * Datagrams to and from the kernel, a batch at a time, on one non-blocking UDP socket. What libuv
 * passes no control messages for: segmentation on the way out (UDP_SEGMENT) and coalescing on the
 * way in (UDP_GRO), which together are worth ten times the throughput; which of our addresses a
 * datagram came to, and from which one an answer goes; the two bits of congestion (RFC 3168).
 *
 * Datagrams are never fragmented: one that does not fit its path vanishes (RFC 8899 probes for
 * that). What the kernel or a device refuses for any reason but want of room vanishes, too.
 *
 * One thread. No allocation.
 */
#ifndef TERN_RUNTIME_REAL_UDP_H
#define TERN_RUNTIME_REAL_UDP_H

#include "base/error.h"
#include "runtime/io.h"

enum {
    /* What one receive may give, so the room it is to be offered. */
    TERN_UDP_RECV_SIZE = 64 * 1024,
    /* Asked of the kernel, which gives what the system's limits allow. What lies in the sending
     * buffer is too late for any decision, so it is the smaller one. */
    TERN_UDP_RECV_BUFFER_SIZE = 8 << 20,
    TERN_UDP_SEND_BUFFER_SIZE = 2 << 20,
};

struct tern_udp {
    int fd;
    struct tern_endpoint local; /* as bound, with its port */
    bool wildcard;              /* bound to no one address */
    bool segments;              /* the kernel cuts batches into datagrams, as far as is known */
    bool coalesces;             /* the kernel joins datagrams to batches */
};

/* tern_udp_open binds a socket; IPv6 ones are for IPv6 only. Offload: segments and coalesces are
 * tried, and set if the kernel knows them. TERN_ERR_EXISTS (port in use), TERN_ERR_UNREACHABLE (no
 * address of ours, or no such family), TERN_ERR_SCOPE_FDS, TERN_ERR_MEMORY, TERN_ERR_IO. */
TERN_NODISCARD tern_err tern_udp_open(struct tern_udp *udp, const struct tern_endpoint *at,
                                      bool offload);

/* tern_udp_close closes it; what the kernel still holds is sent. */
void tern_udp_close(struct tern_udp *udp);

/* tern_udp_send sends what of the batch lies behind *done and moves *done. False: the kernel has no
 * room now; try again from *done when the socket is writable. A batch that is refused as a whole,
 * while its datagrams are taken one by one, is the last one that is tried as a whole. A source
 * address that is ours no more is left to the system. */
bool tern_udp_send(struct tern_udp *udp, const struct tern_datagrams_out *batch, size_t *done);

/* tern_udp_recv reads the next batch into room, of TERN_UDP_RECV_SIZE or more; fills in all of *got
 * but its chunk. TERN_ERR_AGAIN: nothing is there. TERN_ERR_IO: it was an error told by the
 * network, or nothing of use; there may be more. */
TERN_NODISCARD tern_err tern_udp_recv(struct tern_udp *udp, struct tern_span room,
                                      struct tern_datagrams *got);

#endif
