/*
 * The vocabulary between a pure machine and the world that drives it. Types only.
 *
 * A machine (a host, a chain node) takes inputs and time, and gives commands, bytes to transmit and
 * one deadline. A world (runtime/real over the operating system, runtime/sim in virtual time) does
 * this:
 *
 *     on anything that happens:  ops->input(self, now, &in)
 *     then, until there are none: ops->next_command(self, &command), and carries each out
 *     for each link a TRANSMIT command named, while the link takes bytes:
 *                                 ops->transmit(self, now, link, &writer), until it writes nothing
 *     for each socket it named, while the socket takes datagrams:
 *                                 ops->datagrams(self, now, socket, &out), until it gives none
 *     and at ops->deadline(self): a TICK input.
 *
 * All calls come from one thread. `now` never goes back. Pointers inside an input are borrowed for
 * the call; pointers inside a command are valid until the next call of any op, unless the command
 * says that they change hands.
 *
 * Links are byte streams (TCP, a pair in memory). The world numbers them: the low half of a link id
 * is a small slot that is used again, the high half its generation, so a stale id is never another
 * link's. Sockets of datagrams (UDP) have such ids, too. The machine numbers what it asks for with
 * tokens of its own.
 */
#ifndef TERN_RUNTIME_IO_H
#define TERN_RUNTIME_IO_H

#include "base/chunk.h"
#include "base/error.h"
#include "base/job.h"
#include "base/types.h"
#include "base/writer.h"

typedef uint64_t tern_link_id;
typedef uint64_t tern_token;

#define TERN_LINK_NONE UINT64_MAX

static inline uint32_t tern_link_slot(tern_link_id link)
{
    return (uint32_t)link;
}

/* A transport address in the binary form that runtimes understand: an IPv4 or IPv6 address and
 * port. Multiaddrs are turned into these by the swarm, names through RESOLVE. */
struct tern_endpoint {
    uint8_t family; /* 4 or 6 */
    uint8_t ip[16]; /* the first 4 bytes for IPv4 */
    uint16_t port;
    uint32_t scope_id; /* IPv6 zone, 0: none */
};

/* Where datagrams go: from one of our addresses (family 0: whichever the system chooses) to one
 * remote. */
struct tern_path {
    struct tern_endpoint local;
    struct tern_endpoint remote;
};

enum {
    TERN_DATAGRAMS_SIZE_MAX = 65507,  /* of one batch, and so of one datagram */
    TERN_DATAGRAMS_SEGMENTS_MAX = 64, /* datagrams of one batch */
};

/* Datagrams that came on one path together: data is cut into pieces of segment_size bytes, the last
 * one may be shorter. The bytes lie in chunk; keep them by a reference on it, and do not change
 * them. */
struct tern_datagrams {
    struct tern_path path;
    uint8_t ecn; /* the two bits of the IP header (RFC 3168) */
    uint16_t segment_size;
    struct tern_chunk *chunk;
    struct tern_view data;
};

/* Datagrams that are to go on one path together: those that writer holds, cut in the same way. They
 * are never fragmented, and they may get lost, for any reason: one that is larger than its path
 * vanishes. The path's local port does not count; its address does if the socket was bound to none,
 * and if it is not ours any more, the system chooses. */
struct tern_datagrams_out {
    struct tern_path path;
    uint8_t ecn;
    uint16_t segment_size;
    struct tern_writer writer;
};

enum tern_store_op_kind { TERN_STORE_PUT, TERN_STORE_DELETE };

/* One change; key and value are borrowed from the request's owner until the request comes back. */
struct tern_store_op {
    enum tern_store_op_kind kind;
    uint8_t space; /* a name space of the store: see the owner's table */
    struct tern_view key;
    struct tern_view value;
};

enum tern_store_request_kind {
    TERN_STORE_WRITE, /* apply ops in order, all or none, durable before it comes back */
    TERN_STORE_SCAN,  /* read rows of one space in key order */
    TERN_STORE_GET,   /* read one row */
};

/* A request to the storage thread. Like a job, its owner keeps it and all it points to until it
 * comes back by STORED; between the two only the world touches it. Requests are served in order. */
struct tern_store_request {
    enum tern_store_request_kind kind;
    struct tern_list link; /* for whoever holds it in a queue */
    uint32_t owner_kind;   /* who gets it back, as in struct tern_job */
    uint32_t owner_slot;
    uint64_t owner_tag; /* the owner's own */
    /* WRITE */
    const struct tern_store_op *ops;
    size_t ops_count;
    /* SCAN: from this key (inclusive), at most rows_max rows; GET: this key. */
    uint8_t space;
    struct tern_view key;
    size_t rows_max;
    /* Results of SCAN and GET are written here as rows: u32 LE key size, u32 LE value size, key,
     * value. A row that does not fit ends the scan with more = true (TERN_ERR_TOO_LARGE if it is
     * the first). */
    struct tern_span result;
    size_t result_size;
    size_t rows_count;
    bool more;
    /* TERN_OK, TERN_ERR_NOT_FOUND (GET), TERN_ERR_STORAGE, TERN_ERR_CORRUPT */
    tern_err err;
};

enum tern_input_kind {
    TERN_INPUT_TICK,        /* the deadline has come, or nothing particular */
    TERN_INPUT_WALL,        /* the wall clock: at start, and whenever it jumped */
    TERN_INPUT_LISTENING,   /* token; local: the bound endpoint, with its port */
    TERN_INPUT_LISTEN_FAIL, /* token; err */
    TERN_INPUT_ACCEPTED,    /* link; token of the listener; local, remote */
    TERN_INPUT_DIALED,      /* link; token of the dial; local, remote */
    TERN_INPUT_DIAL_FAIL,   /* token; err */
    TERN_INPUT_DATA,        /* link; chunk, data inside it */
    TERN_INPUT_LINK_END,    /* link: the remote will send no more */
    TERN_INPUT_LINK_CLOSED, /* link or socket; err; the id is dead after this, said exactly once
                               for each */
    TERN_INPUT_JOB_DONE,    /* job */
    TERN_INPUT_STORED,      /* request */
    TERN_INPUT_RESOLVED,    /* token; err, endpoints or texts */
    TERN_INPUT_BOUND,       /* link: the socket; token; local, with its port */
    TERN_INPUT_BIND_FAIL,   /* token; err */
    TERN_INPUT_DATAGRAMS,   /* link: the socket; datagrams. There is no back-pressure: what is not
                               wanted is dropped */
    TERN_INPUT_NETWORK,     /* this machine's addresses or routes have changed, or may have; said
                               while there are sockets */
};

struct tern_input {
    enum tern_input_kind kind;
    tern_err err;
    tern_link_id link;
    tern_token token;
    struct tern_endpoint local;
    struct tern_endpoint remote;
    tern_wall_time wall;
    /* DATA: the bytes lie in chunk and may be changed in place (decryption); keep them by a
     * reference on the chunk. The machine sets *used to how many it took; less than all is
     * back-pressure: the world keeps the rest, stops reading the link, and gives the rest again
     * after a READ command. */
    struct tern_chunk *chunk;
    struct tern_span data;
    size_t *used;
    const struct tern_datagrams *datagrams;
    struct tern_job *job;
    struct tern_store_request *request;
    /* RESOLVED: addresses (A, AAAA) or texts (TXT), by what was asked. */
    const struct tern_endpoint *endpoints;
    const struct tern_view *texts;
    size_t resolved_count;
};

enum tern_resolve_kind { TERN_RESOLVE_IP4, TERN_RESOLVE_IP6, TERN_RESOLVE_IP, TERN_RESOLVE_TXT };

enum tern_command_kind {
    TERN_COMMAND_LISTEN,      /* token; endpoint (port 0: any) */
    TERN_COMMAND_UNLISTEN,    /* token */
    TERN_COMMAND_DIAL,        /* token; endpoint; answered by DIALED or DIAL_FAIL, exactly once */
    TERN_COMMAND_DIAL_CANCEL, /* token; answered by DIAL_FAIL, or DIALED when it came too late */
    TERN_COMMAND_TRANSMIT,    /* link: the machine has bytes for it */
    TERN_COMMAND_READ,        /* link: go on reading after back-pressure */
    TERN_COMMAND_SHUT,        /* link: send what transmit gives, then end our direction (FIN) */
    TERN_COMMAND_CLOSE,       /* link: as SHUT, then close; LINK_CLOSED follows */
    TERN_COMMAND_ABORT,       /* link: drop what is unsent and close (RST); LINK_CLOSED follows */
    TERN_COMMAND_JOB,         /* job: run it; JOB_DONE follows */
    TERN_COMMAND_STORE,       /* request; STORED follows */
    TERN_COMMAND_RESOLVE,     /* token; resolve, name; RESOLVED follows */
    TERN_COMMAND_BIND,        /* token; endpoint (port 0: any); answered by BOUND or BIND_FAIL. The
                                 socket takes TRANSMIT, CLOSE (when datagrams gives no more) and
                                 ABORT (at once) */
};

struct tern_command {
    enum tern_command_kind kind;
    tern_link_id link;
    tern_token token;
    struct tern_endpoint endpoint;
    struct tern_job *job;
    struct tern_store_request *request;
    enum tern_resolve_kind resolve;
    struct tern_view name;
};

struct tern_machine_ops {
    void (*input)(void *self, tern_time now, const struct tern_input *in);
    bool (*next_command)(void *self, struct tern_command *command);
    /* Appends bytes for the link to the writer; writing nothing means that there is nothing more.
     */
    void (*transmit)(void *self, tern_time now, tern_link_id link, struct tern_writer *out);
    /* Gives the next batch for a socket that a TRANSMIT command named; false: nothing now. out's
     * writer is empty and has room for TERN_DATAGRAMS_SIZE_MAX. NULL: the machine binds no
     * sockets. */
    bool (*datagrams)(void *self, tern_time now, tern_link_id socket,
                      struct tern_datagrams_out *out);
    tern_time (*deadline)(void *self);
};

struct tern_machine {
    const struct tern_machine_ops *ops;
    void *self;
};

#endif
