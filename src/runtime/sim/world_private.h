/*
 * The world's insides, shared by its files: events.c the heap, node.c machines and their commands,
 * slots.c ids, link.c open streams, dial.c how they begin, socket.c sockets, datagram.c what
 * becomes of datagrams, nat.c what addresses others see, service.c jobs, storage and names, net.c
 * who reaches whom, hash.c what happened.
 */
#ifndef TERN_RUNTIME_SIM_WORLD_PRIVATE_H
#define TERN_RUNTIME_SIM_WORLD_PRIVATE_H

#include "base/list.h"
#include "base/map.h"
#include "base/ring.h"
#include "runtime/sim/rng.h"
#include "runtime/sim/world.h"

enum {
    SIM_SCRATCH_SIZE = 256 << 10,
    SIM_TRANSMIT_MIN = (64 << 10) + 64, /* transmit is never given less room */
    SIM_SEGMENTS_MAX = 1 << 20,         /* under way in one direction */
    SIM_PASSES_MAX = 100000,            /* rounds of commands before a machine is called stuck */
    SIM_SAME_TIME_MAX = 50000000,       /* events at one time before the world is called stuck */
    SIM_LISTENERS_MAX = 64,
    SIM_BATCHES_MAX = 1 << 20, /* that a machine sends at one time before it is called stuck */
    SIM_ENDPOINT_KEY_SIZE = 19,
};

/* --- events --- */

enum sim_event_kind {
    SIM_EVENT_WAKE,       /* node; number tells whether it is still wanted */
    SIM_EVENT_WALL,       /* node, incarnation: the drifting clock is told again */
    SIM_EVENT_SYN,        /* object: link */
    SIM_EVENT_SYN_ANSWER, /* object: link; number: 1 accepted, 0 refused */
    SIM_EVENT_DIAL_FAIL,  /* object: link; number: the error */
    SIM_EVENT_ARRIVAL,    /* object: link; side: whose bytes */
    SIM_EVENT_WRITABLE,   /* object: link; side: who may write again */
    SIM_EVENT_RESET,      /* object: link; side: who is told */
    SIM_EVENT_GIVE_UP,    /* object: link; side: whose bytes wait; number: since which hold */
    SIM_EVENT_DATAGRAMS,  /* object: sim_flight */
    SIM_EVENT_ROOM,       /* node, incarnation: the uplink's queue is half empty */
    SIM_EVENT_JOB,        /* node, incarnation; object: job */
    SIM_EVENT_STORE,      /* node, incarnation: the oldest request is done */
    SIM_EVENT_RESOLVED,   /* node, incarnation; object: sim_lookup */
    SIM_EVENT_CALL,       /* object: sim_call */
};

struct sim_event {
    enum sim_event_kind kind;
    uint32_t node;
    uint32_t incarnation;
    uint32_t side;
    void *object;
    uint64_t number;
};

struct sim_heap_entry {
    tern_time time;
    uint64_t sequence;
    uint32_t slot; /* of the event */
};

/* The heap holds times and slots; the events themselves stay where they are. */
struct sim_events {
    struct tern_mem *mem;
    struct sim_heap_entry *heap;
    size_t count;
    struct sim_event *slots;
    uint32_t *free_slots;
    size_t free_count;
    size_t capacity; /* of all three */
    uint64_t sequence_next;
};

void sim_events_init(struct sim_events *events, struct tern_mem *mem);
void sim_events_fini(struct sim_events *events);
void sim_events_push(struct sim_events *events, tern_time time, const struct sim_event *event);
tern_time sim_events_next(const struct sim_events *events);
bool sim_events_pop(struct sim_events *events, tern_time limit, tern_time *time,
                    struct sim_event *event);

struct sim_call {
    void (*fn)(void *context, struct sim_world *world);
    void *context;
};

/* --- links --- */

enum sim_segment_kind { SIM_SEGMENT_DATA, SIM_SEGMENT_OPEN, SIM_SEGMENT_FIN };

struct sim_segment {
    enum sim_segment_kind kind;
    uint32_t offset; /* bytes that were taken */
    struct tern_chunk *chunk;
    tern_time departure;
    tern_time arrival;
};

enum sim_end_state {
    SIM_END_PENDING, /* not open yet */
    SIM_END_OPEN,
    SIM_END_CLOSED,
};

/* One side of a link, and what it has sent that the other side has not taken. */
struct sim_end {
    struct sim_link *link;
    struct sim_node *node;
    uint32_t side; /* 0: the dialer */
    uint32_t incarnation;
    enum sim_end_state state;
    tern_link_id id;
    struct tern_list ready; /* node->ready: asks its machine for bytes */
    struct tern_ring out;   /* struct sim_segment */
    size_t out_bytes;
    bool armed;   /* an ARRIVAL of the oldest segment is in the heap */
    bool held;    /* the oldest segment waits for a heal */
    bool blocked; /* the buffer was full; a WRITABLE ends that */
    bool writable_due;
    bool stalled; /* this side's machine has not taken all; READ goes on */
    bool shut_wanted;
    bool close_wanted;
    bool fin_sent;
    bool spoke;     /* bytes went out since bytes came in */
    uint64_t holds; /* counts them, so that an old GIVE_UP is told from a new one */
    tern_time held_since;
    tern_time busy_until;
    tern_time last_arrival;
    struct sim_path path; /* to the other side */
    uint64_t rng;
    uint64_t bytes_out;
    uint64_t bytes_in;
    uint64_t segments_out;
    uint64_t round_trips;
    tern_time opened_at;
};

struct sim_link {
    struct sim_world *world;
    struct tern_list all;
    struct tern_list dial; /* ends[0].node->dials while the dial is pending */
    struct sim_end ends[2];
    struct tern_endpoint endpoints[2]; /* as the other side sees them */
    struct tern_endpoint dialer_local; /* as the dialer sees itself */
    tern_token dial_token;
    tern_token listen_token;
    uint64_t number;
    uint32_t events; /* in the heap that name this link: it lives as long as they do */
    uint32_t syn_tries;
    bool dial_over; /* DIALED or DIAL_FAIL was said, or is on its way and wins */
    bool dead;
};

/* --- sockets --- */

/* Datagrams that wait where bytes go one after the other. */
struct sim_queued {
    tern_time departure;
    size_t size;
};

struct sim_queue {
    struct tern_ring entries; /* struct sim_queued */
    size_t bytes;
};

/* What a socket sends to one address. */
struct sim_flow {
    struct tern_map_entry entry; /* socket->flows */
    uint8_t key[SIM_ENDPOINT_KEY_SIZE];
    struct sim_node *to;  /* whose address it is; NULL: nobody's, or not asked yet */
    struct sim_path path; /* there */
    struct sim_queue queue;
    tern_time busy_until;
    tern_time last_arrival;
    uint64_t rng;
};

struct sim_socket {
    struct sim_node *node;
    struct tern_list all;   /* node->sockets */
    struct tern_list ready; /* node->sockets_ready: asks its machine for datagrams */
    tern_link_id id;
    struct tern_endpoint local; /* as bound, with its port */
    bool wildcard;
    bool blocked; /* the uplink's queue was full; a ROOM ends that */
    bool close_wanted;
    struct tern_endpoint seen; /* by others */
    uint8_t seen_key[SIM_ENDPOINT_KEY_SIZE];
    struct tern_map_entry by_seen; /* world->seen */
    struct tern_map flows;         /* by remote address */
    uint32_t flows_number;
};

/* Datagrams that arrive together. */
struct sim_flight {
    struct tern_list parked; /* world->flights, when it is over */
    struct tern_chunk *chunk;
    uint32_t from;
    struct tern_endpoint source;
    struct tern_endpoint target;
    uint8_t ecn;
    uint16_t segment_size;
};

/* --- nodes --- */

/* What an id names: an open link's end or a socket; neither while the slot is free. */
struct sim_slot {
    struct sim_end *end;
    struct sim_socket *socket;
    uint32_t generation;
};

struct sim_listener {
    tern_token token;
    uint8_t family;
    uint16_t port;
};

struct sim_worker {
    tern_time busy_until;
};

struct sim_node {
    struct sim_world *world;
    uint32_t index;
    uint32_t incarnation;
    bool up;
    bool stopping;          /* its machine gets back what it owns, and nothing it says is heard */
    enum sim_crash crashed; /* while down: how */
    struct sim_node_options options;
    struct tern_map_entry by_ip;
    uint8_t ip4[4];
    uint8_t nat4[4]; /* 0.0.0.0: no NAT */
    uint8_t home_ip4[4];
    uint32_t group;
    struct tern_mem mem;
    struct tern_trace trace;
    struct tern_machine machine;
    uint8_t seed[TERN_RANDOM_SEED_SIZE];

    struct sim_slot *slots;
    uint32_t *free_slots;
    size_t slots_capacity;
    size_t free_slots_count;
    size_t links_count;     /* open ones */
    struct tern_list ready; /* struct sim_end.ready */
    struct tern_list dials; /* struct sim_link.dial */
    struct sim_listener listeners[SIM_LISTENERS_MAX];
    size_t listeners_count;
    uint16_t port_next;
    tern_time up_busy_until;
    struct tern_list sockets;       /* struct sim_socket.all */
    struct tern_list sockets_ready; /* struct sim_socket.ready */
    size_t sockets_count;
    uint16_t nat_port_next;
    struct sim_queue up_queue; /* datagrams that wait for the uplink */
    bool up_room_due;

    tern_time wake_at;
    uint64_t wake_number;

    struct tern_list jobs; /* struct tern_job.link: given out */
    struct sim_worker workers[SIM_WORKERS_MAX];
    struct sim_store store;
    struct tern_list requests; /* struct tern_store_request.link */
    tern_time store_busy_until;
    tern_err store_err;
    uint64_t store_rng;
};

/* --- names --- */

struct sim_name_record {
    struct tern_list all;
    struct tern_view name;
    struct tern_endpoint *endpoints;
    size_t endpoints_count;
    struct tern_view *texts;
    size_t texts_count;
};

/* One RESOLVE under way. */
struct sim_lookup {
    tern_token token;
    enum tern_resolve_kind kind;
    size_t name_size;
    uint8_t name[];
};

/* --- the world --- */

struct sim_cut {
    struct tern_map_entry entry;
    uint32_t pair[2]; /* from, to */
};

struct sim_world {
    struct sim_world_options options;
    struct tern_mem mem;
    tern_time now;
    uint64_t same_time;
    uint64_t key[2];
    struct tern_random random;
    struct sim_events events;
    struct sim_node **nodes;
    size_t nodes_count;
    size_t nodes_capacity;
    struct tern_map nodes_by_ip;
    struct tern_list links; /* struct sim_link.all */
    uint64_t links_number;
    struct tern_map cuts;
    struct tern_map seen;     /* struct sim_socket.by_seen */
    struct tern_list flights; /* that are over: to be used again */
    uint32_t moves;           /* counts addresses of nodes that moved */
    bool groups_used;
    struct tern_list names;
    uint8_t *scratch;
    uint64_t hash;
    struct sim_counters counters;
};

/* sim_take returns memory or ends the process. */
void *sim_take(struct sim_world *world, size_t size);

struct sim_node *sim_node_at(const struct sim_world *world, uint32_t node);

/* node.c */
void sim_node_input(struct sim_node *node, const struct tern_input *in);
void sim_node_pump(struct sim_node *node);
void sim_node_wake(struct sim_node *node, uint64_t number);
void sim_node_stop(struct sim_node *node, enum sim_crash how);
void sim_node_free(struct sim_node *node);
void sim_node_place(struct sim_node *node); /* under its address */

/* slots.c */
tern_link_id sim_slot_take(struct sim_node *node, struct sim_slot what);
void sim_slot_give(struct sim_node *node, tern_link_id id);
const struct sim_slot *sim_slot_find(const struct sim_node *node, tern_link_id id);
void sim_slots_free(struct sim_node *node);

/* dial.c */
void sim_dial(struct sim_node *node, const struct tern_command *command);
void sim_dial_cancel(struct sim_node *node, tern_token token);
void sim_dial_syn(struct sim_link *link);
void sim_dial_answer(struct sim_link *link, bool accepted);
void sim_dial_fail(struct sim_link *link, tern_err err);
void sim_dial_accept(struct sim_link *link);
void sim_dial_drop_all(struct sim_node *node);
void sim_listen(struct sim_node *node, const struct tern_command *command);
void sim_unlisten(struct sim_node *node, tern_token token);
uint16_t sim_port_take(struct sim_node *node);

/* link.c */
struct sim_link *sim_link_new(struct sim_node *dialer, struct sim_node *target);
static inline struct sim_end *sim_end_other(struct sim_end *end)
{
    return &end->link->ends[1 - end->side];
}
void sim_link_event(struct sim_link *link, tern_time time, enum sim_event_kind kind, uint32_t side,
                    uint64_t number);
void sim_link_event_done(struct sim_link *link); /* may free the link */
void sim_link_reap(struct sim_link *link);
void sim_end_open(struct sim_end *end);
void sim_end_close(struct sim_end *end, tern_err err);
void sim_end_vanish(struct sim_end *end, enum sim_crash how);
void sim_end_post(struct sim_end *end, enum sim_segment_kind kind, struct tern_view bytes);
void sim_end_arrival(struct sim_end *from);
void sim_end_ready(struct sim_end *end);
void sim_end_transmit(struct sim_end *end);
void sim_end_writable(struct sim_end *end);
void sim_end_read(struct sim_end *end);
void sim_end_shut(struct sim_end *end, bool close);
void sim_end_abort(struct sim_end *end);
void sim_end_send_reset(struct sim_end *from);
void sim_end_reset(struct sim_end *victim);
void sim_end_hold(struct sim_end *from);
void sim_end_release(struct sim_end *from);
void sim_end_give_up(struct sim_end *from, uint64_t hold);
tern_time sim_end_delay(struct sim_end *end); /* latency and jitter of one packet */

/* socket.c */
void sim_bind(struct sim_node *node, const struct tern_command *command);
void sim_socket_command(struct sim_socket *socket, enum tern_command_kind kind);
void sim_socket_transmit(struct sim_socket *socket); /* may free the socket */
void sim_socket_room(struct sim_node *node);
void sim_socket_vanish(struct sim_socket *socket);

/* datagram.c */
void sim_queue_init(struct sim_queue *queue, struct tern_mem *mem);
void sim_queue_clear(struct sim_queue *queue);
bool sim_uplink_is_full(struct sim_node *node);
void sim_flows_clear(struct sim_socket *socket);
void sim_flows_repath(struct sim_socket *socket);
void sim_datagrams_send(struct sim_socket *socket, const struct tern_datagrams_out *out);
void sim_flight_arrive(struct sim_world *world, struct sim_flight *flight);
void sim_flight_done(struct sim_world *world, struct sim_flight *flight);

/* nat.c */
void sim_endpoint_key(const struct tern_endpoint *endpoint, uint8_t key[SIM_ENDPOINT_KEY_SIZE]);
struct tern_endpoint sim_nat_seen_as(const struct sim_node *node, uint8_t family, uint16_t port);
void sim_nat_open(struct sim_socket *socket, uint16_t port); /* that port, if it is free */
void sim_nat_close(struct sim_socket *socket);
struct sim_socket *sim_nat_find(const struct sim_world *world, const struct tern_endpoint *seen);

/* net.c */
void sim_net_path(const struct sim_world *world, uint32_t from, uint32_t to, struct sim_path *path);
/* sim_serialise: when the last of size bytes has left, that wait behind all others there. */
tern_time sim_serialise(tern_time *busy_until, tern_time start, size_t size, uint64_t rate);
bool sim_net_any(const struct tern_endpoint *endpoint); /* an unspecified address */
bool sim_net_passes(const struct sim_world *world, const struct sim_node *from,
                    const struct sim_node *to);
void sim_net_release(struct sim_world *world); /* what waited for a heal or a start */
struct sim_node *sim_net_find(const struct sim_world *world, const struct tern_endpoint *endpoint);
struct tern_endpoint sim_net_endpoint(const struct sim_node *node, uint8_t family, uint16_t port);
void sim_net_free(struct sim_world *world);

/* service.c */
void sim_job_run(struct sim_node *node, struct tern_job *job);
void sim_job_done(struct sim_node *node, struct tern_job *job);
void sim_store_submit(struct sim_node *node, struct tern_store_request *request);
void sim_store_done(struct sim_node *node);
void sim_store_crash(struct sim_node *node);
void sim_resolve(struct sim_node *node, const struct tern_command *command);
void sim_resolved(struct sim_node *node, const struct sim_lookup *lookup);
void sim_lookup_free(struct sim_world *world, struct sim_lookup *lookup);
void sim_names_free(struct sim_world *world);

/* hash.c */
void sim_hash_input(struct sim_node *node, const struct tern_input *in);
void sim_trace_sink(void *context, const struct tern_trace_event *event);

#endif
