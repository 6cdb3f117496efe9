#include "host/host_core.h"

#include "base/check.h"
#include "base/ring.h"
#include "host/connector.h"

enum { HOST_EVENTS_MAX = 4096, HOST_PERF_STREAMS_MAX = 16 };

/* Of one measurement that is served: enough for an hour at 2 Gbit/s. */
static const uint64_t HOST_PERF_BYTES_MAX = UINT64_C(1) << 40;
static const tern_time HOST_PERF_QUIET_NS = TERN_MINUTE;

/* What the swarm told, in plain data. */
struct host_event {
    enum tern_host_event_kind kind;
    tern_err err;
    tern_peer peer;
    struct tern_peer_id peer_id;
    tern_token token;
    bool outbound;
    const char *transport;
    const char *secure;
    const char *muxer;
    struct tern_multiaddr address;
};

struct tern_host_core {
    struct tern_mem *mem;
    struct tern_random random;
    struct tern_metrics metrics;
    struct tern_swarm *swarm;
    struct tern_ping *ping;
    struct tern_perf *perf;
    struct tern_identify *identify;
    struct tern_gossip_service *gossip;
    struct tern_requests *requests;
    struct tern_exchange *exchange;
    struct tern_app_streams *streams;
    struct tern_connector *connector;
    uint32_t number;         /* of the observer, in the swarm */
    struct tern_ring events; /* struct host_event */
};

void tern_host_core_options_defaults(struct tern_host_core_options *options)
{
    *options = (struct tern_host_core_options){.request_size_max = 4 << 20,
                                               .request_serve_timeout_ns = 30 * TERN_SECOND,
                                               .agent = "tern/0.1.0",
                                               .peers_want = 8};
    tern_swarm_config_defaults(&options->swarm);
    tern_gossip_params_defaults(&options->gossip);
}

/* --- the observer: a service that only listens, for the events of the outside --- */

static void host_push(struct tern_host_core *core, const struct host_event *event)
{
    if (tern_ring_push(&core->events, event) != TERN_OK)
        tern_metric_add(&core->metrics, TERN_METRIC_HOST_EVENTS_DROPPED, 1);
}

/* From where to where a peer's first connection goes, and how. */
static void host_describe_connection(struct tern_host_core *core, tern_connection connection,
                                     struct host_event *out)
{
    struct tern_connection_info info;
    if (!tern_swarm_connection_info(core->swarm, connection, &info))
        return;
    out->outbound = info.outbound;
    out->transport = tern_transport_name(info.remote.transport);
    out->secure = info.secure;
    out->muxer = info.muxer;
    tern_route_multiaddr(&info.remote, &out->address);
}

static void host_observe(void *self, tern_time now, const struct tern_swarm_event *event)
{
    struct tern_host_core *core = self;
    struct host_event out = {.err = event->err, .peer = event->peer, .token = event->token};
    (void)now;
    if (event->peer_id != NULL)
        out.peer_id = *event->peer_id;
    if (event->address != NULL)
        out.address = *event->address;
    switch (event->kind) {
    case TERN_SWARM_PEER_UP:
        out.kind = TERN_HOST_PEER_UP;
        host_describe_connection(core, event->connection, &out);
        host_push(core, &out);
        break;
    case TERN_SWARM_PEER_DOWN:
        out.kind = TERN_HOST_PEER_DOWN;
        host_push(core, &out);
        break;
    case TERN_SWARM_LISTENING:
        out.kind = TERN_HOST_LISTENING;
        host_push(core, &out);
        break;
    case TERN_SWARM_LISTEN_FAILED:
        out.kind = TERN_HOST_LISTEN_FAILED;
        host_push(core, &out);
        break;
    case TERN_SWARM_DIAL_DONE:
        out.kind = TERN_HOST_DIAL_DONE;
        if (!tern_connector_owns(core->connector, event->token))
            host_push(core, &out);
        break;
    case TERN_SWARM_CONNECTION_UP:
    case TERN_SWARM_CONNECTION_DOWN:
    case TERN_SWARM_ADDRESSES:
    case TERN_SWARM_PROTOCOLS:
    case TERN_SWARM_STREAM_OPENED:
    case TERN_SWARM_STREAM_READY:
    case TERN_SWARM_STREAM_READABLE:
    case TERN_SWARM_STREAM_WRITABLE:
    case TERN_SWARM_STREAM_ENDED:
        break;
    }
}

static tern_time host_observer_deadline(const void *self)
{
    (void)self;
    return TERN_TIME_NEVER;
}

static void host_observer_tick(void *self, tern_time now)
{
    (void)self;
    (void)now;
}

static const struct tern_service_ops host_observer_ops = {.name = "host",
                                                          .event = host_observe,
                                                          .deadline = host_observer_deadline,
                                                          .tick = host_observer_tick};

/* --- making and freeing --- */

static tern_err host_make_swarm(struct tern_host_core *core,
                                const struct tern_host_core_options *options, tern_time now)
{
    struct tern_swarm_config config = options->swarm;
    config.mem = core->mem;
    config.random = &core->random;
    config.trace = options->trace;
    config.metrics = &core->metrics;
    config.identity = options->identity;
    core->swarm = tern_swarm_new(&config, now);
    return core->swarm == NULL ? TERN_ERR_MEMORY : TERN_OK;
}

static tern_err host_make_perf(struct tern_host_core *core,
                               const struct tern_host_core_options *options)
{
    TERN_TRY(tern_perf_new(&(struct tern_perf_service_options){.mem = core->mem,
                                                               .streams_max = HOST_PERF_STREAMS_MAX,
                                                               .bytes_max = HOST_PERF_BYTES_MAX,
                                                               .quiet_ns = HOST_PERF_QUIET_NS},
                           core->swarm, &core->perf));
    return options->serve_perf ? tern_perf_serve(core->perf, options->perf_header) : TERN_OK;
}

/* The order is the order in which services hear of things: the observer first, so that whoever
 * stands above knows of a peer before a service speaks of it; the connector last. */
static tern_err host_make_services(struct tern_host_core *core,
                                   const struct tern_host_core_options *options, tern_time now)
{
    TERN_TRY(tern_swarm_add_service(core->swarm, &host_observer_ops, core, &core->number));
    TERN_TRY(
        tern_identify_new(&(struct tern_identify_options){.mem = core->mem,
                                                          .agent = tern_view_str(options->agent),
                                                          .version = tern_view_str("ipfs/0.1.0")},
                          core->swarm, &core->identify));
    TERN_TRY(tern_ping_new(core->mem, &core->random, core->swarm, &core->ping));
    TERN_TRY(host_make_perf(core, options));
    TERN_TRY(tern_gossip_service_new(
        &(struct tern_gossip_service_options){.mem = core->mem,
                                              .random = &core->random,
                                              .trace = options->trace,
                                              .metrics = &core->metrics,
                                              .params = options->gossip,
                                              .policy = options->gossip_policy},
        core->swarm, now, &core->gossip));
    TERN_TRY(tern_requests_new(
        &(struct tern_requests_options){.mem = core->mem,
                                        .size_max = options->request_size_max,
                                        .serve_timeout_ns = options->request_serve_timeout_ns,
                                        .inbound_per_peer_max = 64},
        core->swarm, &core->requests));
    TERN_TRY(tern_exchange_new(core->mem, &core->random, core->swarm, &core->exchange));
    TERN_TRY(tern_app_streams_new(core->mem, core->swarm, &core->streams));
    return tern_connector_new(core->mem, &core->random, core->swarm, options->peers_want,
                              &core->connector);
}

tern_err tern_host_core_new(const struct tern_host_core_options *options, tern_time now,
                            struct tern_host_core **out)
{
    struct tern_host_core *core = tern_mem_zalloc(options->mem, sizeof *core);
    if (core == NULL)
        return TERN_ERR_MEMORY;
    core->mem = options->mem;
    tern_random_init(&core->random, options->seed);
    tern_ring_init(&core->events, core->mem, sizeof(struct host_event), HOST_EVENTS_MAX);
    tern_err err = host_make_swarm(core, options, now);
    if (err == TERN_OK)
        err = host_make_services(core, options, now);
    if (err != TERN_OK) {
        tern_host_core_free(core);
        return err;
    }
    *out = core;
    return TERN_OK;
}

void tern_host_core_free(struct tern_host_core *core)
{
    if (core == NULL)
        return;
    tern_connector_free(core->connector);
    tern_app_streams_free(core->streams);
    tern_exchange_free(core->exchange);
    tern_requests_free(core->requests);
    tern_gossip_service_free(core->gossip);
    tern_perf_free(core->perf);
    tern_ping_free(core->ping);
    tern_identify_free(core->identify);
    tern_swarm_free(core->swarm);
    tern_ring_fini(&core->events);
    tern_mem_free(core->mem, core, sizeof *core);
}

/* --- the machine --- */

static void host_input(void *self, tern_time now, const struct tern_input *in)
{
    struct tern_host_core *core = self;
    tern_swarm_input(core->swarm, now, in);
}

static bool host_next_command(void *self, struct tern_command *command)
{
    struct tern_host_core *core = self;
    return tern_swarm_next_command(core->swarm, command);
}

static void host_transmit(void *self, tern_time now, tern_link_id link, struct tern_writer *out)
{
    struct tern_host_core *core = self;
    tern_swarm_transmit(core->swarm, now, link, out);
}

static bool host_datagrams(void *self, tern_time now, tern_link_id socket,
                           struct tern_datagrams_out *out)
{
    struct tern_host_core *core = self;
    return tern_swarm_datagrams(core->swarm, now, socket, out);
}

static tern_time host_deadline(void *self)
{
    struct tern_host_core *core = self;
    return tern_swarm_deadline(core->swarm);
}

const struct tern_machine_ops tern_host_core_ops = {.input = host_input,
                                                    .next_command = host_next_command,
                                                    .transmit = host_transmit,
                                                    .datagrams = host_datagrams,
                                                    .deadline = host_deadline};

void tern_host_core_flush(struct tern_host_core *core, tern_time now)
{
    tern_swarm_dispatch(core->swarm, now);
}

/* --- events --- */

static bool host_next_plain(struct tern_host_core *core, struct tern_host_event *event)
{
    struct host_event plain;
    if (!tern_ring_pop(&core->events, &plain))
        return false;
    event->kind = plain.kind;
    event->err = plain.err;
    event->peer = plain.peer;
    event->peer_id = plain.peer_id;
    event->token = plain.token;
    event->outbound = plain.outbound;
    event->transport = plain.transport;
    event->secure = plain.secure;
    event->muxer = plain.muxer;
    event->address = plain.address;
    return true;
}

static bool host_next_identified(struct tern_host_core *core, struct tern_host_event *event)
{
    struct tern_identify_event identified;
    if (!tern_identify_next(core->identify, &identified))
        return false;
    event->kind = TERN_HOST_IDENTIFIED;
    event->peer = identified.peer;
    event->peer_id = identified.id;
    event->err = identified.err;
    return true;
}

static bool host_next_ping(struct tern_host_core *core, struct tern_host_event *event)
{
    struct tern_ping_event ping;
    if (!tern_ping_next(core->ping, &ping))
        return false;
    event->kind = TERN_HOST_PING;
    event->peer = ping.peer;
    event->token = ping.token;
    event->err = ping.err;
    event->rtt_ns = ping.rtt_ns;
    return true;
}

static bool host_next_perf(struct tern_host_core *core, struct tern_host_event *event)
{
    if (!tern_perf_next(core->perf, &event->perf))
        return false;
    event->kind = TERN_HOST_PERF;
    event->peer = event->perf.peer;
    event->token = event->perf.token;
    event->err = event->perf.err;
    return true;
}

bool tern_host_core_next(struct tern_host_core *core, struct tern_host_event *event)
{
    *event = (struct tern_host_event){0};
    if (host_next_plain(core, event) || host_next_identified(core, event) ||
        host_next_ping(core, event) || host_next_perf(core, event))
        return true;
    if (tern_gossip_service_next(core->gossip, &event->gossip)) {
        event->kind = TERN_HOST_GOSSIP;
        return true;
    }
    if (tern_requests_next(core->requests, &event->request)) {
        event->kind = TERN_HOST_REQUEST;
        return true;
    }
    if (tern_app_streams_next(core->streams, &event->stream)) {
        event->kind = TERN_HOST_STREAM;
        return true;
    }
    return false;
}

/* --- parts --- */

tern_err tern_host_core_bootstrap(struct tern_host_core *core, tern_time now,
                                  const struct tern_multiaddr *address)
{
    return tern_connector_bootstrap(core->connector, now, address);
}

tern_err tern_host_core_keep(struct tern_host_core *core, tern_time now,
                             const struct tern_multiaddr *address)
{
    return tern_connector_keep(core->connector, now, address);
}

struct tern_swarm *tern_host_core_swarm(struct tern_host_core *core)
{
    return core->swarm;
}

struct tern_ping *tern_host_core_ping(struct tern_host_core *core)
{
    return core->ping;
}

struct tern_perf *tern_host_core_perf(struct tern_host_core *core)
{
    return core->perf;
}

struct tern_identify *tern_host_core_identify(struct tern_host_core *core)
{
    return core->identify;
}

struct tern_gossip_service *tern_host_core_gossip(struct tern_host_core *core)
{
    return core->gossip;
}

struct tern_requests *tern_host_core_requests(struct tern_host_core *core)
{
    return core->requests;
}

struct tern_app_streams *tern_host_core_streams(struct tern_host_core *core)
{
    return core->streams;
}

struct tern_exchange *tern_host_core_exchange(struct tern_host_core *core)
{
    return core->exchange;
}

struct tern_metrics *tern_host_core_metrics(struct tern_host_core *core)
{
    tern_swarm_update_metrics(core->swarm);
    return &core->metrics;
}

struct tern_random *tern_host_core_random(struct tern_host_core *core)
{
    return &core->random;
}
