#include "swarm/crowd_test_support.h"

#include <stdlib.h>

#include "base/check.h"
#include "crypto/aead.h"
#include "secure/noise.h"

enum { CROWD_BUFFER = 1 << 17, CROWD_ROUNDS_MAX = 1000000 };

struct crowd_remote {
    struct tern_conn *conn; /* NULL: not there */
    struct tern_conn_config config;
    struct tern_private_key key;
    struct tern_noise_identity noise;
    bool noise_ready;
    bool ended;              /* the swarm has closed the link */
    struct tern_chunk *held; /* bytes that it has not taken yet */
    size_t held_from;
    struct tern_peer_id id;
};

struct crowd {
    struct crowd_options options;
    struct tern_mem mem;
    struct tern_mem remotes_mem;
    struct tern_random random;
    struct tern_random remotes_random;
    struct tern_metrics metrics;
    struct tern_private_key key;
    struct tern_aead_engine aead;
    struct tern_scope scope; /* of all remotes */
    struct tern_scope windows;
    struct tern_protocol protocol; /* that all remotes speak */
    struct tern_protocol_table protocols;
    struct tern_swarm *swarm;
    uint32_t service;
    struct crowd_remote *remotes;
    tern_token listener;
    tern_time now;
    uint64_t ticks;
    uint8_t buffer[CROWD_BUFFER];
};

static const struct tern_view crowd_name = {(const uint8_t *)"/crowd/1", 8};

/* --- a service that does nothing --- */

static void crowd_event(void *self, tern_time now, const struct tern_swarm_event *event)
{
    (void)self;
    (void)now;
    (void)event;
}

static tern_time crowd_deadline(const void *self)
{
    (void)self;
    return TERN_TIME_NEVER;
}

static void crowd_tick(void *self, tern_time now)
{
    (void)self;
    (void)now;
}

static const struct tern_service_ops crowd_ops = {
    .name = "crowd", .event = crowd_event, .deadline = crowd_deadline, .tick = crowd_tick};

/* --- remotes --- */

static void remote_init(struct crowd *crowd, uint32_t i)
{
    struct crowd_remote *remote = &crowd->remotes[i];
    uint8_t seed[32] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), 77};
    tern_private_key_of_ed25519_seed(seed, &remote->key);
    tern_public_key_peer_id(&remote->key.public_key, &remote->id);
    remote->config = (struct tern_conn_config){
        .mem = &crowd->remotes_mem,
        .random = &crowd->remotes_random,
        .metrics = &crowd->metrics,
        .aead = &crowd->aead,
        .noise = &remote->noise,
        .identity = &remote->key,
        .protocols = &crowd->protocols,
        .windows = &crowd->windows,
        .secure = {crowd->options.secure},
        .secure_count = 1,
        .muxers = {TERN_MUXER_YAMUX},
        .muxers_count = 1,
        .upgrade_timeout_ns = 10 * TERN_SECOND,
        .negotiate_timeout_ns = 10 * TERN_SECOND,
    };
    if (crowd->options.secure == TERN_SECURE_NOISE) {
        tern_err err = tern_noise_identity_init(&remote->noise, &crowd->remotes_mem,
                                                &crowd->remotes_random, &remote->key);
        TERN_CHECK(err == TERN_OK);
        remote->noise_ready = true;
    }
}

static void remote_gone(struct crowd_remote *remote)
{
    tern_conn_free(remote->conn);
    tern_chunk_unref(remote->held);
    remote->held = NULL;
    remote->conn = NULL;
    remote->ended = false;
}

/* --- the world --- */

static void crowd_input(struct crowd *crowd, const struct tern_input *in)
{
    tern_swarm_input(crowd->swarm, crowd->now, in);
}

/* crowd_feed gives the swarm what a remote has said, as far as it takes it. */
static void crowd_feed(struct crowd *crowd, uint32_t link)
{
    struct crowd_remote *remote = &crowd->remotes[link];
    struct tern_chunk *chunk = remote->held;
    size_t used = 0;
    if (chunk == NULL)
        return;
    remote->held = NULL;
    crowd_input(crowd, &(struct tern_input){.kind = TERN_INPUT_DATA,
                                            .link = link,
                                            .chunk = chunk,
                                            .data = {.data = chunk->data + remote->held_from,
                                                     .size = chunk->size - remote->held_from},
                                            .used = &used});
    remote->held_from += used;
    if (remote->held_from < chunk->size && remote->conn != NULL)
        remote->held = chunk; /* READ follows */
    else
        tern_chunk_unref(chunk);
}

/* remote_step does what a remote has to do; true: it did something. */
static bool remote_step(struct crowd *crowd, uint32_t i)
{
    struct crowd_remote *remote = &crowd->remotes[i];
    struct tern_conn_event event;
    bool any = false;
    if (remote->conn == NULL || remote->held != NULL)
        return false;
    while (tern_conn_next(remote->conn, crowd->now, &event)) {
        any = true;
        if (event.kind != TERN_CONN_JOB)
            continue;
        event.job->run(event.job);
        tern_conn_job_done(remote->conn, crowd->now, event.job);
    }
    struct tern_writer out = tern_writer_of(crowd->buffer, sizeof crowd->buffer);
    tern_conn_send(remote->conn, crowd->now, &out);
    if (out.size > 0 && !remote->ended) {
        remote->held = tern_chunk_copy(&crowd->mem, tern_writer_view(&out));
        remote->held_from = 0;
        TERN_CHECK(remote->held != NULL);
        crowd_feed(crowd, i);
        return true;
    }
    return any;
}

static void crowd_transmit(struct crowd *crowd, uint32_t link)
{
    struct crowd_remote *remote = &crowd->remotes[link];
    for (;;) {
        struct tern_writer out = tern_writer_of(crowd->buffer, sizeof crowd->buffer);
        tern_swarm_transmit(crowd->swarm, crowd->now, link, &out);
        if (out.size == 0)
            return;
        struct tern_chunk *chunk = tern_chunk_copy(&crowd->remotes_mem, tern_writer_view(&out));
        TERN_CHECK(chunk != NULL);
        for (size_t at = 0; at < chunk->size && remote->conn != NULL;) {
            size_t used = 0;
            struct tern_slice rest = {.chunk = chunk,
                                      .view = tern_view_of(chunk->data + at, chunk->size - at)};
            if (tern_conn_recv(remote->conn, crowd->now, rest, &used) != TERN_OK)
                break;
            at += used;
            if (!remote_step(crowd, link) && used == 0)
                break;
        }
        tern_chunk_unref(chunk);
    }
}

static void crowd_command(struct crowd *crowd, const struct tern_command *command)
{
    switch (command->kind) {
    case TERN_COMMAND_LISTEN:
        crowd->listener = command->token;
        crowd_input(crowd, &(struct tern_input){.kind = TERN_INPUT_LISTENING,
                                                .token = command->token,
                                                .local = command->endpoint});
        return;
    case TERN_COMMAND_TRANSMIT:
        crowd_transmit(crowd, tern_link_slot(command->link));
        return;
    case TERN_COMMAND_CLOSE:
    case TERN_COMMAND_ABORT:
        if (command->kind == TERN_COMMAND_CLOSE)
            crowd_transmit(crowd, tern_link_slot(command->link));
        crowd->remotes[tern_link_slot(command->link)].ended = true;
        crowd_input(crowd,
                    &(struct tern_input){.kind = TERN_INPUT_LINK_CLOSED, .link = command->link});
        remote_gone(&crowd->remotes[tern_link_slot(command->link)]);
        return;
    case TERN_COMMAND_JOB:
        command->job->run(command->job);
        crowd_input(crowd, &(struct tern_input){.kind = TERN_INPUT_JOB_DONE, .job = command->job});
        return;
    case TERN_COMMAND_READ:
        crowd_feed(crowd, tern_link_slot(command->link));
        return;
    case TERN_COMMAND_UNLISTEN:
        return;
    case TERN_COMMAND_DIAL:
    case TERN_COMMAND_DIAL_CANCEL:
    case TERN_COMMAND_SHUT:
    case TERN_COMMAND_STORE:
    case TERN_COMMAND_RESOLVE:
    case TERN_COMMAND_BIND:
        break;
    }
    TERN_UNREACHABLE();
}

static bool crowd_commands(struct crowd *crowd)
{
    struct tern_command command;
    bool any = false;
    for (int i = 0; i < CROWD_ROUNDS_MAX && tern_swarm_next_command(crowd->swarm, &command); i++) {
        crowd_command(crowd, &command);
        any = true;
    }
    return any;
}

void crowd_settle(struct crowd *crowd)
{
    bool any = true;
    for (int i = 0; any; i++) {
        TERN_CHECK(i < CROWD_ROUNDS_MAX);
        tern_swarm_dispatch(crowd->swarm, crowd->now);
        any = crowd_commands(crowd);
        if (!any && tern_swarm_deadline(crowd->swarm) <= crowd->now) {
            crowd->ticks++;
            crowd_input(crowd, &(struct tern_input){.kind = TERN_INPUT_TICK});
            any = true;
        }
    }
}

void crowd_run(struct crowd *crowd, tern_time span)
{
    tern_time end = crowd->now + span;
    crowd_settle(crowd);
    for (tern_time at; (at = tern_swarm_deadline(crowd->swarm)) <= end;) {
        crowd->now = at > crowd->now ? at : crowd->now;
        crowd_settle(crowd);
    }
    crowd->now = end;
}

struct tern_endpoint crowd_address(uint32_t i)
{
    return (struct tern_endpoint){
        .family = 4,
        .ip = {(uint8_t)(11 + (i >> 16)), (uint8_t)(i >> 8), (uint8_t)i, 1},
        .port = 4001,
    };
}

bool crowd_connect(struct crowd *crowd, uint32_t i, struct tern_endpoint from)
{
    struct crowd_remote *remote = &crowd->remotes[i];
    TERN_CHECK(i < crowd->options.count && remote->conn == NULL);
    const struct tern_conn_options options = {.role = TERN_ROLE_INITIATOR, .scope = &crowd->scope};
    remote->conn = tern_conn_new(&remote->config, &options, crowd->now);
    TERN_CHECK(remote->conn != NULL);
    crowd_input(crowd, &(struct tern_input){.kind = TERN_INPUT_ACCEPTED,
                                            .link = i,
                                            .token = crowd->listener,
                                            .remote = from});
    for (int round = 0; round < 100; round++) {
        bool any = remote_step(crowd, i);
        crowd_settle(crowd);
        if (!any && remote->conn != NULL && !remote_step(crowd, i))
            break;
    }
    return crowd_is_up(crowd, i);
}

struct tern_stream crowd_open(struct crowd *crowd, uint32_t i)
{
    struct tern_stream stream;
    const struct tern_stream_request request = {
        .service = crowd->service,
        .peer = crowd_peer(crowd, i),
        .offer = {.names = &crowd_name, .names_count = 1, .class = TERN_STREAM_BULK},
    };
    TERN_IGNORE(tern_swarm_open_stream(crowd->swarm, crowd->now, &request, &stream));
    return stream;
}

tern_peer crowd_peer(const struct crowd *crowd, uint32_t i)
{
    return tern_swarm_find_peer(crowd->swarm, &crowd->remotes[i].id);
}

bool crowd_is_up(const struct crowd *crowd, uint32_t i)
{
    return crowd_peer(crowd, i) != 0;
}

struct tern_swarm *crowd_swarm(struct crowd *crowd)
{
    return crowd->swarm;
}

struct tern_mem *crowd_mem(struct crowd *crowd)
{
    return &crowd->mem;
}

struct tern_metrics *crowd_metrics(struct crowd *crowd)
{
    return &crowd->metrics;
}

tern_time crowd_now(const struct crowd *crowd)
{
    return crowd->now;
}

uint64_t crowd_ticks(const struct crowd *crowd)
{
    return crowd->ticks;
}

/* --- making and freeing --- */

static void crowd_start(struct crowd *crowd)
{
    struct tern_swarm_config config;
    struct tern_multiaddr address;
    uint8_t seed[32] = {0xee};
    tern_private_key_of_ed25519_seed(seed, &crowd->key);
    tern_swarm_config_defaults(&config);
    tern_swarm_limits_profile(&config.limits, TERN_PROFILE_SERVER);
    config.mem = &crowd->mem;
    config.random = &crowd->random;
    config.metrics = &crowd->metrics;
    config.identity = &crowd->key;
    config.secure[0] = crowd->options.secure;
    config.keepalive_ns = 0;
    config.idle_timeout_ns = 0;
    config.limits.handshakes.per_minute = 0;
    if (crowd->options.configure != NULL)
        crowd->options.configure(&config);
    crowd->swarm = tern_swarm_new(&config, crowd->now);
    TERN_CHECK(crowd->swarm != NULL);
    tern_err err = tern_swarm_add_service(crowd->swarm, &crowd_ops, crowd, &crowd->service);
    TERN_CHECK(err == TERN_OK);
    err = tern_multiaddr_parse(tern_view_str("/ip4/10.0.0.1/tcp/4001"), &address, NULL);
    TERN_CHECK(err == TERN_OK);
    err = tern_swarm_listen(crowd->swarm, &address);
    TERN_CHECK(err == TERN_OK);
    crowd_settle(crowd);
}

struct crowd *crowd_new(const struct crowd_options *options)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    TERN_CHECK(crowd != NULL);
    crowd->options = *options;
    crowd->now = TERN_HOUR;
    crowd->protocol = (struct tern_protocol){.name = crowd_name, .class = TERN_STREAM_BULK};
    crowd->protocols = (struct tern_protocol_table){.protocols = &crowd->protocol, .count = 1};
    tern_mem_init(&crowd->mem, 0);
    tern_mem_init(&crowd->remotes_mem, 0);
    tern_random_init_u64(&crowd->random, 1);
    tern_random_init_u64(&crowd->remotes_random, 2);
    tern_scope_init(&crowd->scope, "remotes", NULL, NULL);
    tern_scope_init(&crowd->windows, "windows", NULL, NULL);
    tern_err err = tern_aead_engine_init(&crowd->aead);
    TERN_CHECK(err == TERN_OK);
    crowd->remotes = calloc(options->count, sizeof *crowd->remotes);
    TERN_CHECK(crowd->remotes != NULL);
    for (uint32_t i = 0; i < options->count; i++)
        remote_init(crowd, i);
    crowd_start(crowd);
    return crowd;
}

void crowd_free(struct crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->options.count; i++) {
        tern_chunk_unref(crowd->remotes[i].held);
        crowd->remotes[i].held = NULL;
    }
    tern_swarm_free(crowd->swarm);
    for (uint32_t i = 0; i < crowd->options.count; i++) {
        struct crowd_remote *remote = &crowd->remotes[i];
        remote_gone(remote);
        if (remote->noise_ready)
            tern_noise_identity_fini(&remote->noise);
        tern_private_key_fini(&remote->key);
    }
    tern_aead_engine_fini(&crowd->aead);
    tern_private_key_fini(&crowd->key);
    tern_mem_fini(&crowd->mem);
    tern_mem_fini(&crowd->remotes_mem);
    free(crowd->remotes);
    free(crowd);
}
