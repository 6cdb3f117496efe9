/*
 * A crowd for the simulated world: machines that each hold many links to host 0 and bring none of
 * them to any use. A link says a part of what an honest dialer says, at once or byte by byte, and
 * then waits. When the host ends or refuses it, another one is dialled soon after.
 *
 *     crowd_add(&crowd, &hosts, &(struct crowd_options){.nodes = 8, .links = 40, .way = &way});
 *     …
 *     crowd_leave(&crowd)     no more links are dialled
 *     sim_hosts_fini(&hosts)
 *     crowd_fini(&crowd)
 */
#ifndef TERN_SIM_CROWD_H
#define TERN_SIM_CROWD_H

#include "base/ring.h"
#include "conn/conn.h"
#include "crypto/aead.h"
#include "secure/noise.h"
#include "sim/hosts.h"

enum { CROWD_WAITING_MAX = 1024 };

/* How a link is slow. */
struct crowd_way {
    size_t says;             /* so many bytes of the link are said at all; SIZE_MAX: all */
    bool says_no_muxer;      /* nothing behind the Noise handshake is said, where the muxer would be
                              * agreed on */
    tern_time byte_ns;       /* from one byte to the next; 0: what there is is said at once */
    bool plaintext;          /* the secure channel: then behind the upgrade come `frames` */
    struct tern_view frames; /* of the muxer */
};

struct crowd_options {
    uint32_t nodes; /* each has an address and an identity of its own */
    uint32_t links; /* of each node, at once */
    const struct crowd_way *way;
};

enum crowd_link_state { CROWD_IDLE, CROWD_DIALING, CROWD_LINKED };

struct crowd_link {
    enum crowd_link_state state;
    tern_link_id id;
    struct tern_conn *conn;
    bool job_out; /* the connection lives until it is back */
    bool ended;   /* by the host, in good order */
    tern_time since;
    tern_time due;    /* IDLE: dials; LINKED: says the next byte */
    size_t allowance; /* bytes that may be said now */
    size_t cut_at;    /* SIZE_MAX: not known yet, or never */
    size_t made;      /* bytes that the connection has given */
    size_t said;      /* of them */
    uint32_t flights;
    bool established;
    uint8_t waiting[CROWD_WAITING_MAX]; /* given and not said */
    size_t waiting_size;
};

struct crowd;

struct crowd_node {
    struct crowd *crowd;
    uint32_t node;
    struct tern_private_key key;
    struct tern_noise_identity noise;
    struct tern_conn_config config;
    struct tern_ring commands; /* struct tern_command */
    struct crowd_link *links;
};

struct crowd {
    struct sim_hosts *hosts;
    struct crowd_options options;
    bool leaving;
    struct tern_mem mem;
    struct tern_random random;
    struct tern_aead_engine aead;
    struct tern_scope scope;
    struct tern_scope windows;
    struct tern_metrics metrics;
    struct tern_protocol_table table;
    struct crowd_node *nodes;
    /* What became of the links. */
    uint32_t open;       /* now, as the crowd sees it */
    uint64_t refused;    /* reset by the host */
    uint64_t ended;      /* by the host, in good order */
    tern_time lived_min; /* of those that ended */
    tern_time lived_max;
};

/* crowd_add adds the crowd's nodes behind the hosts and starts them. */
void crowd_add(struct crowd *crowd, struct sim_hosts *hosts, const struct crowd_options *options);

/* crowd_leave: no link is dialled any more; those that there are stay as they are. */
void crowd_leave(struct crowd *crowd);

/* crowd_fini: after the world has ended. */
void crowd_fini(struct crowd *crowd);

#endif
