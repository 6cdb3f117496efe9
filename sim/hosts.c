#include "sim/hosts.h"

#include "base/check.h"
#include "testing/entropy.h"
#include "webrtc/webrtc.h"
#include "webrtc/webrtc_certificate.h"
#include "webtransport/certificates.h"
#include "wire/multihash.h"

/* --- events of a host --- */

static struct sim_host *host_at(const struct sim_hosts *hosts, uint32_t i)
{
    TERN_CHECK(i < hosts->options.count);
    /* The hosts are changed by their machines alone; looking at them changes nothing. */
    return (struct sim_host *)(uintptr_t)&hosts->hosts[i];
}

static void host_message(struct sim_host *host, const struct tern_gossip_event *event)
{
    uint32_t number = 0;
    if (event->kind != TERN_GOSSIP_EVENT_MESSAGE || event->message.data.size != sizeof number)
        return;
    memcpy(&number, event->message.data.data, sizeof number);
    if (number < SIM_MESSAGES_MAX)
        host->got[number]++;
}

/* Which byte is at a place of what is echoed: no two blocks are the same. */
static uint8_t echo_byte(size_t at)
{
    return (uint8_t)('x' + at + at / 251 * 7 + at / 64007 * 13);
}

/* host_echo_write goes on with what is to be echoed, and ends it. */
static void host_echo_write(struct sim_host *host)
{
    struct tern_swarm *swarm = tern_host_core_swarm(host->core);
    struct tern_stream stream;
    uint8_t block[1024];
    if (tern_app_streams_find(tern_host_core_streams(host->core), host->echo, &stream) != TERN_OK)
        return;
    while (host->echo_sent < host->echo_size) {
        size_t accepted = 0;
        size_t size = tern_min_size(sizeof block, host->echo_size - host->echo_sent);
        for (size_t i = 0; i < size; i++)
            block[i] = echo_byte(host->echo_sent + i);
        tern_err err = tern_swarm_write(swarm, stream, tern_view_of(block, size), &accepted);
        if (err != TERN_OK || accepted == 0)
            return; /* until it is writable */
        host->echo_sent += accepted;
        if (host->echo_sent == host->echo_size)
            TERN_IGNORE(tern_swarm_close_write(swarm, stream)); /* it may be gone */
    }
}

static void host_echo_take(struct sim_host *host, struct tern_view bytes)
{
    if (host->echo_first_byte == 0)
        host->echo_first_byte = sim_world_now(host->hosts->world);
    for (size_t i = 0; i < bytes.size && bytes.data[i] == echo_byte(host->echo_got); i++)
        host->echo_got++;
}

/* Sends back what came, or takes the answer; ends when the other side has ended. */
static void host_stream_read(struct sim_host *host, tern_app_stream id)
{
    struct tern_swarm *swarm = tern_host_core_swarm(host->core);
    struct tern_stream stream;
    struct tern_slice bytes;
    if (tern_app_streams_find(tern_host_core_streams(host->core), id, &stream) != TERN_OK)
        return;
    tern_err err;
    while ((err = tern_swarm_read(swarm, stream, &bytes)) == TERN_OK) {
        size_t took = bytes.view.size;
        if (id == host->echo) {
            host_echo_take(host, bytes.view);
        } else if (tern_swarm_write(swarm, stream, bytes.view, &took) != TERN_OK || took == 0) {
            return;
        }
        tern_swarm_consume(swarm, stream, took);
    }
    if (err == TERN_ERR_END)
        TERN_IGNORE(tern_swarm_close_write(swarm, stream)); /* it may be gone */
}

static void host_event(struct sim_host *host, const struct tern_host_event *event)
{
    host->events++;
    switch (event->kind) {
    case TERN_HOST_PEER_DOWN:
        host->peer_downs++;
        break;
    case TERN_HOST_PING:
        host->ping_done = true;
        host->ping_err = event->err;
        host->ping_rtt = event->rtt_ns;
        break;
    case TERN_HOST_GOSSIP:
        host_message(host, &event->gossip);
        break;
    case TERN_HOST_STREAM:
        if (event->stream.kind == TERN_APP_STREAM_WRITABLE && event->stream.id == host->echo)
            host_echo_write(host);
        else if (event->stream.kind == TERN_APP_STREAM_READABLE ||
                 event->stream.kind == TERN_APP_STREAM_WRITABLE)
            host_stream_read(host, event->stream.id);
        break;
    case TERN_HOST_PEER_UP:
    case TERN_HOST_LISTENING:
    case TERN_HOST_LISTEN_FAILED:
    case TERN_HOST_DIAL_DONE:
    case TERN_HOST_PERF:
    case TERN_HOST_IDENTIFIED:
    case TERN_HOST_REQUEST:
        break;
    }
}

static void host_drain(struct sim_host *host)
{
    struct tern_host_event event;
    while (tern_host_core_next(host->core, &event))
        host_event(host, &event);
    tern_host_core_flush(host->core, sim_world_now(host->hosts->world));
}

/* --- the machine: the core's, whose events are drawn after every input --- */

static void host_input(void *self, tern_time now, const struct tern_input *in)
{
    struct sim_host *host = self;
    host->inner.ops->input(host->inner.self, now, in);
    host_drain(host);
}

static bool host_next_command(void *self, struct tern_command *command)
{
    struct sim_host *host = self;
    return host->inner.ops->next_command(host->inner.self, command);
}

static void host_transmit(void *self, tern_time now, tern_link_id link, struct tern_writer *out)
{
    struct sim_host *host = self;
    host->inner.ops->transmit(host->inner.self, now, link, out);
}

static bool host_datagrams(void *self, tern_time now, tern_link_id socket,
                           struct tern_datagrams_out *out)
{
    struct sim_host *host = self;
    return host->inner.ops->datagrams(host->inner.self, now, socket, out);
}

static tern_time host_deadline(void *self)
{
    struct sim_host *host = self;
    return host->inner.ops->deadline(host->inner.self);
}

static const struct tern_machine_ops host_machine_ops = {.input = host_input,
                                                         .next_command = host_next_command,
                                                         .transmit = host_transmit,
                                                         .datagrams = host_datagrams,
                                                         .deadline = host_deadline};

/* --- starting and stopping --- */

/* What certificates a host has, as somebody would tell of them: appended to its address. */
static void host_web_certhashes(const struct sim_hosts *hosts, uint32_t i,
                                struct tern_multiaddr *address)
{
    struct web_certificates certificates;
    struct tern_mem mem;
    bool rolled;
    tern_mem_init(&mem, 0);
    web_certificates_init(&certificates, &mem, &host_at(hosts, i)->key);
    tern_err err = web_certificates_roll(&certificates, sim_world_wall(hosts->world, i), &rolled);
    for (size_t k = 1; k < WEB_HASHES && err == TERN_OK; k++)
        err = tern_multiaddr_append(address, TERN_MULTIADDR_CERTHASH,
                                    tern_view_of(certificates.multihashes[k], WEB_MULTIHASH_SIZE));
    TERN_CHECK(err == TERN_OK);
    web_certificates_fini(&certificates);
    tern_mem_fini(&mem);
}

static void host_webrtc_certhash(const struct sim_hosts *hosts, uint32_t i,
                                 struct tern_multiaddr *address)
{
    uint8_t hash[TERN_WEBRTC_CERTHASH_SIZE] = {TERN_MULTIHASH_SHA2_256, TERN_SHA256_SIZE};
    struct tern_certificate certificate;
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    tern_err err = tern_webrtc_certificate_make(&mem, &host_at(hosts, i)->key, &certificate);
    TERN_CHECK(err == TERN_OK);
    memcpy(hash + 2, certificate.sha256, TERN_SHA256_SIZE);
    err = tern_multiaddr_append(address, TERN_MULTIADDR_CERTHASH, tern_view_of(hash, sizeof hash));
    TERN_CHECK(err == TERN_OK);
    tern_certificate_fini(&certificate);
    tern_mem_fini(&mem);
}

static void host_address(const struct sim_hosts *hosts, uint32_t i, bool with_id,
                         struct tern_multiaddr *address)
{
    const struct tern_route route = {.transport = hosts->options.transport,
                                     .endpoint = sim_world_endpoint(hosts->world, i, SIM_PORT)};
    tern_route_multiaddr(&route, address);
    if (with_id && route.transport == TERN_TRANSPORT_WEBTRANSPORT)
        host_web_certhashes(hosts, i, address);
    if (with_id && route.transport == TERN_TRANSPORT_WEBRTC)
        host_webrtc_certhash(hosts, i, address);
    if (with_id)
        TERN_CHECK(tern_multiaddr_append_peer_id(address, &host_at(hosts, i)->id) == TERN_OK);
}

static void host_configure(const struct sim_host *host, const struct sim_node_start *start,
                           struct tern_host_core_options *options)
{
    const struct sim_hosts_options *wanted = &host->hosts->options;
    tern_host_core_options_defaults(options);
    options->mem = start->mem;
    options->trace = start->trace;
    options->identity = &host->key;
    memcpy(options->seed, start->seed, sizeof options->seed);
    options->peers_want = wanted->no_bootstrap ? 0 : wanted->peers_want;
    if (!wanted->default_limits)
        tern_swarm_limits_profile(&options->swarm.limits, TERN_PROFILE_SIMULATION);
    /* All hosts of a small world are neighbours. */
    memset(options->swarm.limits.subnets, 0, sizeof options->swarm.limits.subnets);
    options->swarm.secure[0] = wanted->secure;
    options->swarm.muxers[0] = wanted->muxer;
    options->swarm.secure_count = 1;
    if (wanted->unsigned_gossip)
        options->gossip_policy = TERN_GOSSIP_STRICT_NO_SIGN;
    options->swarm.book_saved = wanted->book_saved;
    if (wanted->keepalive_ns != 0)
        options->swarm.keepalive_ns = wanted->keepalive_ns;
}

static tern_err host_begin(struct sim_host *host, const struct sim_node_start *start)
{
    struct tern_multiaddr address;
    if (!host->hosts->options.quiet)
        TERN_TRY(tern_gossip_service_subscribe(tern_host_core_gossip(host->core), start->now,
                                               tern_view_str(SIM_TOPIC), 0));
    TERN_TRY(tern_app_streams_handle(tern_host_core_streams(host->core), tern_view_str(SIM_ECHO),
                                     TERN_STREAM_BULK));
    if (host->hosts->options.early)
        TERN_TRY(tern_swarm_allow_early(tern_host_core_swarm(host->core), tern_view_str(SIM_ECHO)));
    host_address(host->hosts, host->node, false, &address);
    TERN_TRY(tern_swarm_listen(tern_host_core_swarm(host->core), &address));
    if (host->node == 0 || host->hosts->options.no_bootstrap)
        return TERN_OK;
    host_address(host->hosts, 0, true, &address);
    return host->hosts->options.kept ? tern_host_core_keep(host->core, start->now, &address)
                                     : tern_host_core_bootstrap(host->core, start->now, &address);
}

static tern_err host_start(void *context, const struct sim_node_start *start,
                           struct tern_machine *machine)
{
    struct sim_host *host = context;
    struct tern_host_core_options options;
    host_configure(host, start, &options);
    TERN_TRY(tern_host_core_new(&options, start->now, &host->core));
    host->inner = (struct tern_machine){&tern_host_core_ops, host->core};
    host->incarnation = start->incarnation;
    memset(host->got, 0, sizeof host->got);
    host->echo = 0;
    TERN_CHECK(host_begin(host, start) == TERN_OK);
    tern_host_core_flush(host->core, start->now);
    *machine = (struct tern_machine){&host_machine_ops, host};
    return TERN_OK;
}

static void host_stop(void *context, uint32_t node, struct tern_machine machine)
{
    struct sim_host *host = context;
    TERN_CHECK(host->node == node && machine.self == host);
    tern_host_core_free(host->core);
    host->core = NULL;
}

static const struct sim_node_ops host_node_ops = {.start = host_start, .stop = host_stop};

void sim_hosts_attach(struct sim_hosts *hosts, const struct sim_hosts_options *options,
                      struct sim_world *world)
{
    TERN_CHECK(options->count <= SIM_HOSTS_MAX);
    memset(hosts, 0, sizeof *hosts);
    hosts->options = *options;
    if (hosts->options.peers_want == 0)
        hosts->options.peers_want = 8;
    hosts->world = world;
    for (uint32_t i = 0; i < options->count; i++) {
        struct sim_host *host = &hosts->hosts[i];
        struct tern_random random;
        host->hosts = hosts;
        tern_random_init_u64(&random,
                             sim_world_seed_of(hosts->world, tern_view_str("identity"), i));
        TERN_CHECK(tern_private_key_generate(TERN_KEY_ED25519, &random, &host->key) == TERN_OK);
        tern_public_key_peer_id(&host->key.public_key, &host->id);
        host->node = sim_world_add(
            hosts->world, &(struct sim_node_options){.ops = &host_node_ops, .context = host});
        TERN_CHECK(host->node == i);
    }
}

void sim_hosts_init(struct sim_hosts *hosts, const struct sim_hosts_options *options)
{
    struct sim_world_options world;
    sim_world_options_defaults(&world);
    world.seed = options->seed;
    tern_sim_entropy_seed(options->seed);
    if (options->path.latency_ns != 0)
        world.path_default = options->path;
    if (options->exact)
        world.cut_segment_ppm = 0;
    sim_hosts_attach(hosts, options, sim_world_new(&world));
}

void sim_hosts_detach(struct sim_hosts *hosts)
{
    for (uint32_t i = 0; i < hosts->options.count; i++)
        tern_private_key_fini(&hosts->hosts[i].key);
}

void sim_hosts_fini(struct sim_hosts *hosts)
{
    sim_world_free(hosts->world);
    sim_hosts_detach(hosts);
}

void sim_hosts_start(struct sim_hosts *hosts, uint32_t i)
{
    TERN_CHECK(sim_world_start(hosts->world, i) == TERN_OK);
}

void sim_hosts_start_all(struct sim_hosts *hosts)
{
    for (uint32_t i = 0; i < hosts->options.count; i++)
        sim_hosts_start(hosts, i);
}

void sim_hosts_run_for(struct sim_hosts *hosts, tern_time span)
{
    sim_world_run(hosts->world, sim_world_now(hosts->world) + span);
}

struct hosts_until {
    struct sim_hosts *hosts;
    bool (*done)(const struct sim_hosts *hosts);
};

static bool hosts_are_done(void *context, struct sim_world *world)
{
    struct hosts_until *until = context;
    (void)world;
    return until->done(until->hosts);
}

bool sim_hosts_run_until(struct sim_hosts *hosts, bool (*done)(const struct sim_hosts *hosts),
                         tern_time span)
{
    struct hosts_until until = {hosts, done};
    return sim_world_run_until(hosts->world,
                               &(struct sim_until){.done = hosts_are_done,
                                                   .context = &until,
                                                   .every_ns = 10 * TERN_MILLISECOND,
                                                   .limit = sim_world_now(hosts->world) + span});
}

/* --- what hosts do --- */

static void host_kick(struct sim_host *host)
{
    host_drain(host);
    sim_world_kick(host->hosts->world, host->node);
}

uint32_t sim_hosts_publish(struct sim_hosts *hosts, uint32_t from)
{
    struct sim_host *host = host_at(hosts, from);
    uint32_t number = hosts->messages++;
    TERN_CHECK(number < SIM_MESSAGES_MAX);
    TERN_CHECK(tern_gossip_service_publish(tern_host_core_gossip(host->core),
                                           sim_world_now(hosts->world), tern_view_str(SIM_TOPIC),
                                           tern_view_of((const uint8_t *)&number, sizeof number)) ==
               TERN_OK);
    host->got[number]++;
    host_kick(host);
    return number;
}

void sim_hosts_dial(struct sim_hosts *hosts, uint32_t from, uint32_t to)
{
    struct sim_host *host = host_at(hosts, from);
    struct tern_swarm *swarm = tern_host_core_swarm(host->core);
    struct tern_multiaddr address;
    host_address(hosts, to, true, &address);
    const struct tern_dial_options dial = {
        .addresses = &address, .addresses_count = 1, .token = tern_swarm_token(swarm)};
    TERN_CHECK(tern_swarm_dial(swarm, sim_world_now(hosts->world), &dial) == TERN_OK);
    host_kick(host);
}

static tern_peer host_peer(const struct sim_hosts *hosts, uint32_t from, uint32_t to)
{
    return tern_swarm_find_peer(tern_host_core_swarm(host_at(hosts, from)->core),
                                &host_at(hosts, to)->id);
}

bool sim_hosts_part(struct sim_hosts *hosts, uint32_t from, uint32_t to)
{
    struct sim_host *host = host_at(hosts, from);
    tern_peer peer = host_peer(hosts, from, to);
    if (peer == 0)
        return false;
    tern_swarm_disconnect(tern_host_core_swarm(host->core), sim_world_now(hosts->world), peer,
                          TERN_CONNECTION_CODE_NONE);
    host_kick(host);
    return true;
}

bool sim_hosts_ping(struct sim_hosts *hosts, uint32_t from, uint32_t to)
{
    struct sim_host *host = host_at(hosts, from);
    const struct tern_ping_request ping = {
        .peer = host_peer(hosts, from, to), .token = 1, .timeout_ns = 10 * TERN_SECOND};
    host->ping_done = false;
    if (ping.peer == 0 || tern_ping_send(tern_host_core_ping(host->core),
                                         sim_world_now(hosts->world), &ping) != TERN_OK)
        return false;
    host_kick(host);
    return true;
}

bool sim_hosts_transfer(struct sim_hosts *hosts, uint32_t from, uint32_t to, size_t size)
{
    static const struct tern_view name = {(const uint8_t *)SIM_ECHO, sizeof SIM_ECHO - 1};
    struct sim_host *host = host_at(hosts, from);
    const struct tern_stream_offer offer = {
        .names = &name, .names_count = 1, .class = TERN_STREAM_BULK};
    struct tern_app_streams *streams = tern_host_core_streams(host->core);
    tern_time now = sim_world_now(hosts->world);
    tern_peer peer = host_peer(hosts, from, to);
    host->echo_size = size;
    host->echo_sent = 0;
    host->echo_got = 0;
    host->echo_first_byte = 0;
    host->echo_began = now;
    if (peer == 0 || tern_app_streams_open(streams, now, peer, &offer, &host->echo) != TERN_OK)
        return false;
    host_echo_write(host);
    host_kick(host);
    return host->echo_sent > 0;
}

bool sim_hosts_echo(struct sim_hosts *hosts, uint32_t from, uint32_t to)
{
    return sim_hosts_transfer(hosts, from, to, 1);
}

/* --- what is so --- */

bool sim_hosts_connected(const struct sim_hosts *hosts, uint32_t a, uint32_t b)
{
    return host_at(hosts, a)->core != NULL && host_peer(hosts, a, b) != 0;
}

bool sim_hosts_knows(const struct sim_hosts *hosts, uint32_t a, uint32_t b)
{
    struct tern_book_entry entry;
    const struct sim_host *host = host_at(hosts, a);
    return host->core != NULL &&
           tern_swarm_book_find(tern_host_core_swarm(host->core), &host_at(hosts, b)->id, &entry);
}

bool sim_hosts_all_know_all(const struct sim_hosts *hosts)
{
    for (uint32_t a = 0; a < hosts->options.count; a++)
        for (uint32_t b = 0; b < hosts->options.count; b++)
            if (a != b && !sim_hosts_knows(hosts, a, b))
                return false;
    return true;
}

uint32_t sim_hosts_got_by(const struct sim_hosts *hosts, uint32_t message)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < hosts->options.count; i++)
        count += hosts->hosts[i].core != NULL && hosts->hosts[i].got[message] > 0;
    return count;
}

bool sim_hosts_all_have_all(const struct sim_hosts *hosts)
{
    uint32_t up = 0;
    for (uint32_t i = 0; i < hosts->options.count; i++)
        up += hosts->hosts[i].core != NULL;
    for (uint32_t i = 0; i < hosts->messages; i++)
        if (sim_hosts_got_by(hosts, i) != up)
            return false;
    return true;
}

bool sim_hosts_nobody_is_alone(const struct sim_hosts *hosts)
{
    for (uint32_t i = 0; i < hosts->options.count; i++)
        if (hosts->hosts[i].core != NULL &&
            tern_swarm_peers_count(tern_host_core_swarm(hosts->hosts[i].core)) == 0)
            return false;
    return true;
}

uint64_t sim_hosts_fault(const struct sim_hosts *hosts, uint32_t i, tern_fault fault)
{
    return tern_host_core_metrics(host_at(hosts, i)->core)->faults[fault];
}

struct tern_mem *sim_hosts_mem(const struct sim_hosts *hosts, uint32_t i)
{
    return sim_world_mem(hosts->world, i);
}

tern_time sim_hosts_now(const struct sim_hosts *hosts)
{
    return sim_world_now(hosts->world);
}

static bool host_is_sound(const struct sim_host *host)
{
    const struct tern_metrics *metrics = tern_host_core_metrics(host->core);
    bool sound = metrics->values[TERN_METRIC_HOST_EVENTS_DROPPED] == 0;
    for (uint32_t m = 0; m < host->hosts->messages; m++)
        sound = sound && host->got[m] <= 1; /* a message is told once, its author hears it not */
    /* An honest network blames nobody. */
    for (size_t fault = 1; fault < TERN_FAULT_COUNT; fault++)
        if (tern_fault_weight((tern_fault)fault) >= 20)
            sound = sound && metrics->faults[fault] == 0;
    return sound;
}

bool sim_hosts_are_sound(const struct sim_hosts *hosts)
{
    for (uint32_t i = 0; i < hosts->options.count; i++)
        if (hosts->hosts[i].core != NULL && !host_is_sound(&hosts->hosts[i]))
            return false;
    return true;
}

void sim_hosts_check_invariants(const struct sim_hosts *hosts)
{
    TERN_CHECK(sim_hosts_are_sound(hosts));
}
