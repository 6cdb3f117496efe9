/*
 * The simulated world: drives many machines (runtime/io.h) in virtual time, in one thread, from one
 * seed. Nothing here reads a clock or draws entropy: the same seed and the same calls give the same
 * run, input by input, and one number at the end says so (sim_world_trace_hash).
 *
 *     events    one heap ordered by (time, sequence); a step takes the first event, hands the node
 *               its input, then draws its commands and bytes until it has no more
 *     links     streams as TCP gives them: one round trip to connect, reliable, in order; bandwidth
 *               serialises, latency and jitter delay, loss delays more; a bounded buffer a
 *               direction pushes back; end (FIN), close and reset (RST)
 *     sockets   datagrams as UDP gives them: each is lost, late, twice or marked by itself; a
 *               bounded queue before what is narrow; nothing larger than the path; NATs
 *     cuts      bytes wait and are sent again after the heal, as TCP would; a link gives up after
 *               retransmit_timeout_ns; datagrams are gone
 *     nodes     crash (the process, so its peers see a reset; or the whole host, so they see
 *               nothing) and start again with the store they had; each has a wall clock that may be
 *               wrong; they get other addresses
 *     store     in memory, a request at a time; a write is durable when it comes back; at a crash a
 *               prefix of those under way, drawn from the seed, is durable
 *     jobs      run when they are emitted; come back after cost_ns on one of a few workers
 *
 * Names of states:  DOWN ── start ──► UP ── crash, stop ──► DOWN
 *
 * What TCP has and this has not: slow start and congestion windows (a direction sends at its path's
 * rate at once). A receive window is modelled by the buffer: what the receiving machine does not
 * take stays in the sender's buffer.
 *
 * Memory comes from malloc through the world's own account, and running out of it ends the process:
 * the world is not what is tested. Each node has its own account, which must be empty when its
 * machine is stopped.
 *
 * Specification: DESIGN of this project, "a pure node, two worlds".
 */
#ifndef TERN_RUNTIME_SIM_WORLD_H
#define TERN_RUNTIME_SIM_WORLD_H

#include "base/mem.h"
#include "base/random.h"
#include "base/trace.h"
#include "runtime/io.h"
#include "runtime/sim/store.h"

struct sim_world;

/* Where a node lies to another one; one direction. */
struct sim_path {
    tern_time latency_ns;      /* one way */
    tern_time jitter_ns;       /* up to this much more, evenly, for each segment */
    uint64_t bytes_per_second; /* 0: no limit */
    uint32_t loss_ppm;         /* packets of SIM_PACKET_SIZE lost in a million; a link is delayed
                                  by that, a datagram is gone */
    /* For datagrams alone. Those of one batch have the same jitter; they keep their order except:
     */
    uint32_t reorder_ppm;   /* so many in a million come late, by up to half the latency */
    uint32_t duplicate_ppm; /* so many come twice */
    uint32_t mtu_bytes;     /* of a packet with its IP and UDP headers; 0: 1,500 */
    size_t queue_bytes;     /* that wait where bytes_per_second is the limit; 0: 256 KiB. What
                               finds it full is dropped; over half, it is marked (RFC 3168) */
};

enum {
    SIM_PACKET_SIZE = 1460,
    SIM_WORKERS_MAX = 16,
    SIM_NODES_MAX = 1 << 20,
    SIM_SOCKETS_MAX = 64, /* of a node */
};

#define SIM_NODE_NONE UINT32_MAX

/* What became of a datagram. */
enum sim_fate {
    SIM_FATE_SENT, /* it is on its way, and arrives unless one of the last three is true then */
    SIM_FATE_ARRIVED,
    SIM_FATE_LOST,       /* by the path, or by the scenario */
    SIM_FATE_QUEUE_FULL, /* too much was waiting */
    SIM_FATE_TOO_LARGE,  /* for the path */
    SIM_FATE_NOBODY,     /* no node has the address, or no socket is there */
    SIM_FATE_CUT,        /* the two do not reach each other */
    SIM_FATE_FILTERED,   /* the node lets nobody in that its socket has not sent to */
};

/* One datagram, as a scenario sees it: when it is sent, and when it arrives. */
struct sim_datagram {
    tern_time time;
    enum sim_fate fate;
    uint32_t from;
    uint32_t to;                 /* SIM_NODE_NONE: nobody is known there */
    struct tern_endpoint source; /* as others see it */
    struct tern_endpoint target;
    uint8_t ecn;
    struct tern_view bytes; /* until the hook returns */
    tern_time arrival;
};

struct sim_world_options {
    uint64_t seed;
    tern_wall_time epoch; /* the wall-clock time at time 0 */
    /* path says how `from` reaches `to`; NULL: path_default for all. It must give the same answer
     * each time, until sim_world_repath. */
    void (*path)(void *context, uint32_t from, uint32_t to, struct sim_path *path);
    void *path_context;
    struct sim_path path_default;
    size_t buffer_bytes;      /* a direction of a link holds about so much */
    size_t segment_bytes;     /* largest piece that travels as one */
    uint32_t cut_segment_ppm; /* how many segments in a million are cut at a random place, and how
                                 many batches of datagrams come in two parts */
    tern_time connect_timeout_ns;    /* of a dial that nobody answers */
    tern_time retransmit_timeout_ns; /* a link with unanswered bytes gives up after this */
    tern_time store_write_ns;        /* a durable write */
    tern_time store_read_ns;
    uint32_t store_fail_ppm; /* requests in a million that fail with STORAGE, changing nothing */
    tern_time resolve_ns;    /* a name look-up */
    uint32_t workers;        /* that run a node's jobs side by side, 1 .. SIM_WORKERS_MAX */
    /* Sees every trace event of every node, after the hash has. NULL: none. */
    void (*sink)(void *context, const struct tern_trace_event *event);
    void *sink_context;
    /* Sees every datagram when it is sent, or not (each by itself, batches are taken apart), and
     * again when it arrives, or does not. NULL: none. Neither this nor lose may call the world. */
    void (*capture)(void *context, const struct sim_datagram *datagram);
    void *capture_context;
    /* Chooses datagrams that are lost, besides those that the path loses: true. NULL: none. */
    bool (*lose)(void *context, const struct sim_datagram *datagram);
    void *lose_context;
};

/* sim_world_options_defaults fills in everything: seed 0, 25 ms one way with 1 ms of jitter, no
 * limit of bandwidth, no loss. */
void sim_world_options_defaults(struct sim_world_options *options);

/* What a node's machine is made from. All of it stays valid until stop. */
struct sim_node_start {
    struct sim_world *world;
    uint32_t node;
    uint32_t incarnation; /* 0 the first time */
    struct tern_mem *mem; /* must be empty again after stop */
    struct tern_trace *trace;
    const uint8_t *seed; /* TERN_RANDOM_SEED_SIZE bytes, other ones in each incarnation */
    tern_time now;
    tern_wall_time wall;
};

/* The factory of a node's machines. */
struct sim_node_ops {
    /* Makes a machine; called by sim_world_start. An error leaves the node down. */
    tern_err (*start)(void *context, const struct sim_node_start *start,
                      struct tern_machine *machine);
    /* Frees it, at a crash or at the end. Jobs and store requests have come back before. */
    void (*stop)(void *context, uint32_t node, struct tern_machine machine);
};

enum sim_inbound {
    SIM_INBOUND_OPEN,    /* anyone may dial it */
    SIM_INBOUND_DROPPED, /* behind a NAT or a silent firewall: dials to it are never answered, and
                            datagrams come through from where its socket has sent some only */
};

struct sim_node_options {
    const struct sim_node_ops *ops;
    void *context;
    uint8_t ip4[4];  /* 0.0.0.0: 10.x.y.z by its number */
    uint8_t nat4[4]; /* what others see as its address; 0.0.0.0: its own */
    enum sim_inbound inbound;
    uint64_t up_bytes_per_second; /* shared by all its links and sockets; 0: no limit */
    size_t up_queue_bytes;        /* of datagrams that wait there; 0: 256 KiB. While it is full,
                                     sockets are not asked for more */
    int64_t skew_ns;              /* of its wall clock */
    int32_t drift_ppm;            /* of its wall clock: parts in a million too fast */
};

/* sim_world_new makes an empty world at time 0. */
struct sim_world *sim_world_new(const struct sim_world_options *options);

/* sim_world_free stops all machines, and checks that nothing leaked. */
void sim_world_free(struct sim_world *world);

/* sim_world_add adds a node, down, and returns its number: 0, 1, 2 … */
uint32_t sim_world_add(struct sim_world *world, const struct sim_node_options *options);

/* sim_world_start makes the node's machine, with the store it had, and gives it the wall time.
 * Errors of the factory. The node must be down. */
TERN_NODISCARD tern_err sim_world_start(struct sim_world *world, uint32_t node);

enum sim_crash {
    SIM_CRASH_PROCESS, /* its host lives on: peers get a reset, dials are refused */
    SIM_CRASH_HOST,    /* nothing answers until it starts again; then old links are reset */
};

/* sim_world_crash ends the node's machine at once. The node must be up. */
void sim_world_crash(struct sim_world *world, uint32_t node, enum sim_crash how);

bool sim_world_is_up(const struct sim_world *world, uint32_t node);
uint32_t sim_world_nodes_count(const struct sim_world *world);
tern_time sim_world_now(const struct sim_world *world);
tern_wall_time sim_world_wall(const struct sim_world *world, uint32_t node);

/* The node's parts. The machine's self is NULL while the node is down. */
struct tern_machine sim_world_machine(struct sim_world *world, uint32_t node);
struct tern_mem *sim_world_mem(struct sim_world *world, uint32_t node);
struct sim_store *sim_world_store(struct sim_world *world, uint32_t node);

/* sim_world_random is for the scenario's own draws. */
struct tern_random *sim_world_random(struct sim_world *world);

/* sim_world_endpoint is where a node is reached. */
struct tern_endpoint sim_world_endpoint(const struct sim_world *world, uint32_t node,
                                        uint16_t port);
struct tern_endpoint sim_world_endpoint6(const struct sim_world *world, uint32_t node,
                                         uint16_t port);

/* sim_world_kick draws the node's commands and bytes after the scenario called into its machine. */
void sim_world_kick(struct sim_world *world, uint32_t node);

/* --- time --- */

/* sim_world_step lets the next event happen; false: there is none, or it lies after the limit (then
 * the time is the limit). */
bool sim_world_step(struct sim_world *world, tern_time limit);

/* sim_world_run lets all events up to a time happen; the time is that afterwards. */
void sim_world_run(struct sim_world *world, tern_time until);

/* sim_world_run_until steps until the predicate is true; false: it is not at the limit, or nothing
 * is left to happen. It is asked after every event, but not more often than every_ns (0: each
 * time). */
struct sim_until {
    bool (*done)(void *context, struct sim_world *world);
    void *context;
    tern_time every_ns;
    tern_time limit;
};
bool sim_world_run_until(struct sim_world *world, const struct sim_until *until);

/* sim_world_at calls fn at a time (not before now). */
void sim_world_at(struct sim_world *world, tern_time time,
                  void (*fn)(void *context, struct sim_world *world), void *context);

/* --- the network --- */

/* sim_world_cut cuts a pair both ways, sim_world_cut_one_way only what from sends to `to`; heal
 * undoes both. Cutting twice is cutting once. */
void sim_world_cut(struct sim_world *world, uint32_t a, uint32_t b);
void sim_world_cut_one_way(struct sim_world *world, uint32_t from, uint32_t to);
void sim_world_heal(struct sim_world *world, uint32_t a, uint32_t b);

/* sim_world_set_group puts a node into a group: nodes reach each other in one group only. All begin
 * in group 0. */
void sim_world_set_group(struct sim_world *world, uint32_t node, uint32_t group);

/* sim_world_heal_all undoes all cuts of pairs and puts all nodes into group 0. */
void sim_world_heal_all(struct sim_world *world);

bool sim_world_reaches(const struct sim_world *world, uint32_t from, uint32_t to);

/* sim_world_reset_links resets all links between two nodes, as a middlebox does; how many. */
size_t sim_world_reset_links(struct sim_world *world, uint32_t a, uint32_t b);

/* sim_world_repath asks for the paths of all links again. */
void sim_world_repath(struct sim_world *world);

/* sim_world_set_inbound opens or closes the node for new links from outside. */
void sim_world_set_inbound(struct sim_world *world, uint32_t node, enum sim_inbound inbound);

/* sim_world_rebind makes a NAT forget the node's sockets: others see them at other ports from now
 * on, datagrams to the old ones go nowhere, and the node is told nothing. */
void sim_world_rebind(struct sim_world *world, uint32_t node);

/* sim_world_move takes the node to another network: its addresses are other ones (behind a NAT,
 * both its own and what others see), nothing reaches the old ones, its links are reset, and the
 * machine is told (NETWORK) if it has sockets. A socket that was bound to the old address alone is
 * deaf and mute. sim_world_move_back takes it to its first addresses and its sockets to their own
 * ports. */
void sim_world_move(struct sim_world *world, uint32_t node);
void sim_world_move_back(struct sim_world *world, uint32_t node);

/* sim_world_seen_as tells what others see as a socket's address; false when the id is no socket's.
 */
bool sim_world_seen_as(const struct sim_world *world, uint32_t node, tern_link_id socket,
                       struct tern_endpoint *seen);

/* sim_world_set_name makes a name resolve to endpoints (their ports do not count) and texts; all
 * are copied. A name that is set again is replaced. */
struct sim_name {
    struct tern_view name;
    const struct tern_endpoint *endpoints;
    size_t endpoints_count;
    const struct tern_view *texts;
    size_t texts_count;
};
void sim_world_set_name(struct sim_world *world, const struct sim_name *name);

/* --- clocks and stores --- */

/* sim_world_set_skew makes the node's wall clock jump to the true time plus skew. */
void sim_world_set_skew(struct sim_world *world, uint32_t node, int64_t skew_ns);

/* sim_world_fail_store makes all requests of the node's store come back with err, changing nothing,
 * until it is called with TERN_OK. */
void sim_world_fail_store(struct sim_world *world, uint32_t node, tern_err err);

/* --- what happened --- */

struct sim_counters {
    uint64_t events; /* steps in which something happened */
    uint64_t inputs; /* given to machines, by kind as well: */
    uint64_t inputs_by_kind[TERN_INPUT_NETWORK + 1];
    uint64_t commands;
    uint64_t transmits;   /* calls of transmit */
    uint64_t bytes_sent;  /* taken from machines */
    uint64_t bytes_taken; /* taken by machines */
    uint64_t segments;
    uint64_t lost;              /* segments that were delayed by loss */
    uint64_t datagrams_sent;    /* by machines */
    uint64_t datagrams_taken;   /* given to machines */
    uint64_t datagrams_lost;    /* by loss */
    uint64_t datagrams_dropped; /* for any other reason */
    uint64_t datagrams_late;    /* others came before them that were sent later */
    uint64_t datagrams_twice;
    uint64_t datagrams_marked; /* by a queue that was more than half full */
    uint64_t links_opened;
    uint64_t links_reset; /* ends that were told of a reset */
    uint64_t dials_failed;
    uint64_t crashes;
    uint64_t traces;
};

const struct sim_counters *sim_world_counters(const struct sim_world *world);

/* Of one link, as its end at `node` sees it. */
struct sim_link_stats {
    uint64_t bytes_out;
    uint64_t bytes_in;
    uint64_t segments_out;
    uint64_t round_trips; /* how often bytes came in after bytes went out, and one for the dial */
    tern_time opened_at;
    size_t unsent; /* bytes under way or not taken yet */
};

/* sim_world_link_stats: false when the id is not an open link's. */
bool sim_world_link_stats(const struct sim_world *world, uint32_t node, tern_link_id link,
                          struct sim_link_stats *stats);

/* sim_world_links_count: open links of the node. */
size_t sim_world_links_count(const struct sim_world *world, uint32_t node);

/* sim_world_sockets_count: sockets of the node. */
size_t sim_world_sockets_count(const struct sim_world *world, uint32_t node);

/* sim_fate_name is a word or two for a fate. */
const char *sim_fate_name(enum sim_fate fate);

/* sim_world_trace_hash folds every input that was delivered (with its bytes) and every trace event,
 * with time and node, into 64 bits. Equal hashes: equal runs. */
uint64_t sim_world_trace_hash(const struct sim_world *world);

/* sim_world_seed_of derives 64 bits from the world's seed for a purpose of the caller's own; it
 * does not depend on what was drawn before. */
uint64_t sim_world_seed_of(const struct sim_world *world, struct tern_view purpose,
                           uint64_t number);

#endif
