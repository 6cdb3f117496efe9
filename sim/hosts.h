/*
 * Whole hosts (host/host_core.h) in the simulated world, for scenarios: each node is a host with an
 * identity of its own that listens, knows at most one bootstrap address, is subscribed to one
 * topic, answers echo streams, and remembers what it saw. Everything is drawn from one seed.
 *
 *     struct sim_hosts hosts;
 *     sim_hosts_init(&hosts, &(struct sim_hosts_options){.seed = 7, .count = 20});
 *     sim_hosts_run_until(&hosts, sim_hosts_all_know_all, TERN_MINUTE)
 *     sim_hosts_fini(&hosts);
 */
#ifndef TERN_SIM_HOSTS_H
#define TERN_SIM_HOSTS_H

#include "crypto/key.h"
#include "host/host_core.h"
#include "runtime/sim/world.h"

#define SIM_TOPIC "news"
#define SIM_ECHO  "/sim/echo/1"

enum { SIM_HOSTS_MAX = 1024, SIM_MESSAGES_MAX = 1024, SIM_PORT = 4001 };

struct sim_hosts_options {
    uint64_t seed;
    uint32_t count;
    uint32_t extra;       /* nodes that are no hosts, added behind them by the caller */
    struct sim_path path; /* all zero: 25 ms one way and 1 ms of jitter */
    uint32_t peers_want;  /* 0: 8 */
    /* How they connect; all zero: TCP, Noise and yamux. */
    enum tern_transport transport;
    enum tern_secure_kind secure;
    enum tern_muxer_kind muxer;
    bool unsigned_gossip; /* else each message is signed, and verified by everyone */
    bool default_limits;  /* of a host by default, subnets apart, else those of a simulated one */
    bool book_saved;
    bool no_bootstrap;
    bool kept;              /* the bootstrap host is kept instead: a static peer */
    bool early;             /* echo streams may go in a first flight */
    bool quiet;             /* no topic is subscribed to */
    bool exact;             /* segments are never cut */
    tern_time keepalive_ns; /* 0: as the defaults have it */
};

struct sim_host {
    struct sim_hosts *hosts;
    uint32_t node;
    struct tern_private_key key;
    struct tern_peer_id id;
    struct tern_host_core *core; /* NULL while down */
    struct tern_machine inner;
    uint32_t incarnation;
    uint16_t got[SIM_MESSAGES_MAX]; /* how often each message came, this incarnation */
    uint64_t events;
    uint64_t peer_downs;
    /* The newest ping and echo of this host. */
    tern_err ping_err;
    bool ping_done;
    tern_time ping_rtt;
    tern_app_stream echo;
    tern_time echo_began;
    tern_time echo_first_byte; /* 0: not here yet */
    size_t echo_size;          /* to be sent */
    size_t echo_sent;
    size_t echo_got; /* came back as they were sent; another byte, and no more is counted */
};

struct sim_hosts {
    struct sim_hosts_options options;
    struct sim_world *world;
    struct sim_host hosts[SIM_HOSTS_MAX];
    uint32_t messages; /* published so far */
};

void sim_hosts_init(struct sim_hosts *hosts, const struct sim_hosts_options *options);
void sim_hosts_fini(struct sim_hosts *hosts);

/* sim_hosts_attach is init in a world of the caller's, which has no nodes yet; sim_hosts_detach is
 * for after that world has ended. */
void sim_hosts_attach(struct sim_hosts *hosts, const struct sim_hosts_options *options,
                      struct sim_world *world);
void sim_hosts_detach(struct sim_hosts *hosts);

/* sim_hosts_start starts a host (again); it listens and dials its bootstrap address. */
void sim_hosts_start(struct sim_hosts *hosts, uint32_t i);
void sim_hosts_start_all(struct sim_hosts *hosts);

/* sim_hosts_run_for lets time pass. */
void sim_hosts_run_for(struct sim_hosts *hosts, tern_time span);

/* sim_hosts_run_until asks every 10 ms; false: it is not so within span. */
bool sim_hosts_run_until(struct sim_hosts *hosts, bool (*done)(const struct sim_hosts *hosts),
                         tern_time span);

/* --- what hosts do --- */

/* sim_hosts_publish publishes the next message from a host and gives its number. */
uint32_t sim_hosts_publish(struct sim_hosts *hosts, uint32_t from);
/* sim_hosts_dial dials `to` by address. */
void sim_hosts_dial(struct sim_hosts *hosts, uint32_t from, uint32_t to);
/* sim_hosts_part ends their connection; false: they had none. */
bool sim_hosts_part(struct sim_hosts *hosts, uint32_t from, uint32_t to);
/* sim_hosts_ping pings a connected host; false: it is not connected. */
bool sim_hosts_ping(struct sim_hosts *hosts, uint32_t from, uint32_t to);
/* sim_hosts_echo sends one byte on an echo stream to a connected host; false: not connected.
 * sim_hosts_transfer sends so many. */
bool sim_hosts_echo(struct sim_hosts *hosts, uint32_t from, uint32_t to);
bool sim_hosts_transfer(struct sim_hosts *hosts, uint32_t from, uint32_t to, size_t size);

/* --- what is so --- */

bool sim_hosts_connected(const struct sim_hosts *hosts, uint32_t a, uint32_t b);
bool sim_hosts_knows(const struct sim_hosts *hosts, uint32_t a, uint32_t b);
bool sim_hosts_all_know_all(const struct sim_hosts *hosts);
bool sim_hosts_all_have_all(const struct sim_hosts *hosts); /* messages; those that are up */
bool sim_hosts_nobody_is_alone(const struct sim_hosts *hosts);
/* sim_hosts_got_by counts the hosts that have a message. */
uint32_t sim_hosts_got_by(const struct sim_hosts *hosts, uint32_t message);
uint64_t sim_hosts_fault(const struct sim_hosts *hosts, uint32_t i, tern_fault fault);
struct tern_mem *sim_hosts_mem(const struct sim_hosts *hosts, uint32_t i);
tern_time sim_hosts_now(const struct sim_hosts *hosts);

/* sim_hosts_are_sound: what must always be so: no message is told twice, no event was dropped,
 * nobody is blamed. sim_hosts_check_invariants ends the process when it is not. */
bool sim_hosts_are_sound(const struct sim_hosts *hosts);
void sim_hosts_check_invariants(const struct sim_hosts *hosts);

#endif
