/*
 * A network of datagrams in virtual time: for tests of what lives on UDP (QUIC, WebRTC,
 * WebTransport). Everything is drawn from one seed, so a failing run repeats.
 *
 *     socket ─ send ─► its link: rate, queue, latency, loss, order ─► who has the address ─ recv
 *
 * Each socket sends through a link of its own, so the two directions of a path may differ. A socket
 * is bound to one address and seen by others at another if a NAT is in between: datagram_net_remap
 * gives it a new one in the middle of everything, and what is sent to the old one vanishes.
 *
 * A tap sees each datagram as it leaves and may change or drop it; datagram_net_inject sends forged
 * ones. Batches stay together as far as the link leaves them together, as segmentation offload
 * does.
 *
 * Received batches lie in chunks of the network's own account, which datagram_net_fini checks to be
 * empty.
 */
#ifndef TERN_TESTING_DATAGRAM_NET_H
#define TERN_TESTING_DATAGRAM_NET_H

#include "base/random.h"
#include "base/timer.h"
#include "runtime/io.h"

enum {
    DATAGRAM_SOCKETS_MAX = 64,
    DATAGRAM_HEADERS_SIZE = 28, /* of IP and UDP: they count on the link */
};

/* What becomes of what a socket sends. Zero is the ideal. Chances are in millionths, of each
 * datagram. */
struct datagram_link {
    uint64_t bits_per_second;  /* 0: no limit */
    tern_time latency_ns;      /* one way */
    tern_time jitter_ns;       /* up to this much more; order is kept */
    size_t queue_bytes_max;    /* what finds more than this in the queue is dropped; 0: no limit */
    size_t mark_bytes;         /* likewise marked, if it is capable (RFC 3168); 0: never */
    size_t datagram_bytes_max; /* larger ones vanish; 0: no limit */
    uint32_t loss_ppm;
    uint32_t duplicate_ppm;
    uint32_t corrupt_ppm; /* one bit is turned */
    uint32_t reorder_ppm; /* comes reorder_ns later than it should */
    tern_time reorder_ns;
    bool bleach; /* marks of ECN are cleared */
    bool down;   /* nothing gets through */
};

/* A datagram that leaves. */
struct datagram_seen {
    tern_time now;
    tern_link_id socket;
    struct tern_endpoint from; /* as others see it */
    struct tern_endpoint to;
    uint8_t ecn;
    struct tern_span bytes; /* may be changed */
};

/* A tap returns false to drop the datagram. */
typedef bool (*datagram_tap)(void *context, const struct datagram_seen *seen);

struct datagram_socket {
    bool bound;
    struct tern_endpoint local;
    struct tern_endpoint seen_as;
    struct datagram_link link;
    tern_time busy_until; /* the link is sending until then */
    tern_time last_arrival;
    uint64_t batches_count;
    uint64_t sent_count; /* datagrams */
    uint64_t sent_bytes; /* without the headers */
    uint64_t received_count;
    uint64_t received_bytes;
    uint64_t lost_count; /* of those sent, for any reason */
};

struct datagram_net {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_timer_queue flights; /* by arrival */
    struct datagram_socket sockets[DATAGRAM_SOCKETS_MAX];
    size_t sockets_count;
    struct tern_chunk *given; /* what the last recv gave */
    datagram_tap tap;         /* NULL: none */
    void *tap_context;
};

void datagram_net_init(struct datagram_net *net, uint64_t seed);

/* datagram_net_fini drops what is on its way and checks that all chunks came back. */
void datagram_net_fini(struct datagram_net *net);

/* datagram_endpoint is 10.0.0.host : port. */
struct tern_endpoint datagram_endpoint(uint8_t host, uint16_t port);

/* datagram_net_bind makes a socket at an address that nobody has; link NULL: the ideal one. */
tern_link_id datagram_net_bind(struct datagram_net *net, const struct tern_endpoint *local,
                               const struct datagram_link *link);

/* datagram_net_close: what is on its way to it vanishes. Its number is not used again. */
void datagram_net_close(struct datagram_net *net, tern_link_id socket);

struct datagram_socket *datagram_net_socket(struct datagram_net *net, tern_link_id socket);

/* datagram_net_remap: from now on others see the socket at this address, and at no other. */
void datagram_net_remap(struct datagram_net *net, tern_link_id socket,
                        const struct tern_endpoint *seen_as);

/* datagram_net_send sends a batch. */
void datagram_net_send(struct datagram_net *net, tern_time now, tern_link_id socket,
                       const struct tern_datagrams_out *out);

/* datagram_net_inject sends one datagram with any source, which arrives at `at`. */
void datagram_net_inject(struct datagram_net *net, tern_time at, const struct tern_path *from_to,
                         struct tern_view bytes);

/* datagram_net_next is when the next batch arrives; TERN_TIME_NEVER: nothing is on its way. */
tern_time datagram_net_next(const struct datagram_net *net);

/* datagram_net_recv gives the next batch that has arrived at now, borrowed until the next call;
 * false: none has. */
bool datagram_net_recv(struct datagram_net *net, tern_time now, tern_link_id *socket,
                       struct tern_datagrams *in);

#endif
