/* The swarm as a machine: inputs in, services told, commands out. */
#include "swarm/private.h"

/* A dispatch that has gone through this many things leaves the rest for the next: a service that
 * answers each event with a call that makes an event does not hold up the world for ever. */
enum { SWARM_DISPATCH_BUDGET = 16384 };

void tern_swarm_config_defaults(struct tern_swarm_config *config)
{
    *config = (struct tern_swarm_config){
        .secure = {TERN_SECURE_NOISE},
        .secure_count = 1,
        .muxers = {TERN_MUXER_YAMUX},
        .muxers_count = 1,
        .transports = TERN_TRANSPORTS_ALL,
        .dial_timeout_ns = 10 * TERN_SECOND,
        .dial_peer_timeout_ns = 30 * TERN_SECOND,
        .dial_stagger_ns = 250 * TERN_MILLISECOND,
        .upgrade_timeout_ns = 10 * TERN_SECOND,
        .negotiate_timeout_ns = 10 * TERN_SECOND,
        .idle_timeout_ns = 2 * TERN_MINUTE,
        .keepalive_ns = 30 * TERN_SECOND,
        .keepalive_timeout_ns = 10 * TERN_SECOND,
        .observers_min = 4,
        .shutdown_drain_ns = 2 * TERN_SECOND,
        .trim_grace_ns = 30 * TERN_SECOND,
        .trim_interval_ns = 10 * TERN_SECOND,
        .rotate_interval_ns = 10 * TERN_MINUTE,
        .exempt = {{.ip = {.family = 4, .bytes = {127}}, .bits = 8},
                   {.ip = {.family = 6, .bytes = {[15] = 1}}, .bits = 128}},
        .exempt_count = 2,
    };
    tern_swarm_limits_profile(&config->limits, TERN_PROFILE_DEFAULT);
}

tern_token tern_swarm_token_make(struct swarm_token token)
{
    uint64_t slot = (uint32_t)token.handle;
    TERN_CHECK(slot < 65536 && token.index < 256);
    return (uint64_t)token.kind << 56 | (uint64_t)token.index << 48 | slot << 32 |
           token.handle >> 32;
}

struct swarm_token tern_swarm_token_split(tern_token token)
{
    return (struct swarm_token){
        .kind = (enum swarm_token_kind)(token >> 56),
        .index = (uint32_t)(token >> 48 & 0xff),
        .handle = (uint64_t)(uint32_t)token << 32 | (token >> 32 & 0xffff),
    };
}

static bool swarm_speaks(const struct tern_swarm_config *config, enum tern_secure_kind kind)
{
    for (size_t i = 0; i < config->secure_count; i++)
        if (config->secure[i] == kind)
            return true;
    return false;
}

static tern_err swarm_init_tls(struct tern_swarm *s)
{
    const struct tern_tls_identity_options options = {.mem = s->mem,
                                                      .random = s->config.random,
                                                      .host_key = s->config.identity,
                                                      .slow_aes = s->config.slow_aes};
    if (!swarm_speaks(&s->config, TERN_SECURE_TLS))
        return TERN_OK;
    TERN_TRY(tern_tls_identity_init(&s->tls, &options));
    s->tls_ready = true;
    return TERN_OK;
}

static void swarm_fini_crypto(struct tern_swarm *s)
{
    if (s->tls_ready)
        tern_tls_identity_fini(&s->tls);
    tern_noise_identity_fini(&s->noise);
    tern_aead_engine_fini(&s->aead);
}

static tern_err swarm_init_crypto(struct tern_swarm *s)
{
    const struct tern_swarm_config *config = &s->config;
    TERN_TRY(tern_aead_engine_init(&s->aead));
    tern_err err = tern_noise_identity_init(&s->noise, s->mem, config->random, config->identity);
    if (err != TERN_OK) {
        tern_aead_engine_fini(&s->aead);
        return err;
    }
    err = swarm_init_tls(s);
    if (err != TERN_OK) {
        swarm_fini_crypto(s);
        return err;
    }
    s->conn_config = (struct tern_conn_config){
        .mem = s->mem,
        .random = config->random,
        .trace = config->trace,
        .metrics = config->metrics,
        .aead = &s->aead,
        .noise = &s->noise,
        .tls = s->tls_ready ? &s->tls : NULL,
        .psk = config->psk,
        .web = config->web,
        .identity = config->identity,
        .protocols = &s->protocol_table,
        .windows = &s->windows,
        .secure_count = config->secure_count,
        .dial_first_choice = config->dial_first_choice,
        .muxers_count = config->muxers_count,
        .upgrade_timeout_ns = config->upgrade_timeout_ns,
        .negotiate_timeout_ns = config->negotiate_timeout_ns,
        .ping_interval_ns = config->keepalive_ns,
        .ping_timeout_ns = config->keepalive_timeout_ns,
    };
    memcpy(s->conn_config.secure, config->secure, sizeof config->secure);
    memcpy(s->conn_config.muxers, config->muxers, sizeof config->muxers);
    return TERN_OK;
}

struct tern_swarm *tern_swarm_new(const struct tern_swarm_config *config, tern_time now)
{
    TERN_CHECK(config->mem != NULL && config->random != NULL && config->metrics != NULL &&
               config->identity != NULL);
    TERN_CHECK(config->exempt_count <= TERN_SWARM_EXEMPT_MAX);
    TERN_CHECK(config->limits.links_max > 0 && config->limits.links_max <= 1u << 24);
    struct tern_swarm *s = tern_mem_zalloc(config->mem, sizeof *s);
    if (s == NULL)
        return NULL;
    s->config = *config;
    s->mem = config->mem;
    s->now = now;
    s->protocol_table = (struct tern_protocol_table){.protocols = s->protocols};
    tern_public_key_peer_id(&config->identity->public_key, &s->own_id);
    if (swarm_init_crypto(s) != TERN_OK) {
        tern_mem_free(config->mem, s, sizeof *s);
        return NULL;
    }
    tern_limits_init(s);
    tern_timer_queue_init(&s->timers, s->mem);
    tern_list_init(&s->jobs);
    tern_list_init(&s->stores);
    tern_conns_init(s);
    tern_peers_init(s);
    tern_trim_init(s, now);
    tern_breakers_init(s, now);
    tern_bandwidth_init(s, now);
    tern_subnets_init(&s->subnets, s->mem, s->peers.hash_key, &s->config.limits);
    tern_protocols_init(s);
    tern_dials_init(s);
    tern_backoffs_init(s);
    tern_bans_init(s);
    tern_book_init(s);
    tern_book_store_init(s);
    return s;
}

void tern_swarm_free(struct tern_swarm *s)
{
    TERN_CHECK(!s->dispatching);
    struct tern_mem *mem = s->mem;
    tern_dials_fini(s);
    tern_conns_fini(s);
    tern_transports_fini(s);
    tern_subnets_fini(&s->subnets);
    tern_peers_fini(s);
    tern_breakers_fini(s);
    tern_bandwidth_fini(s);
    tern_backoffs_fini(s);
    tern_bans_fini(s);
    tern_book_store_fini(s);
    tern_book_fini(s);
    tern_gate_fini(s);
    tern_timer_queue_fini(&s->timers);
    tern_protocols_fini(s);
    for (uint32_t i = 0; i < s->services_count; i++)
        tern_scope_fini(&s->services[i].scope);
    tern_limits_fini(s);
    swarm_fini_crypto(s);
    tern_mem_free(mem, s, sizeof *s);
}

/* --- services and protocols --- */

tern_err tern_swarm_add_service(struct tern_swarm *s, const struct tern_service_ops *ops,
                                void *self, uint32_t *service)
{
    TERN_CHECK(ops->event != NULL && ops->deadline != NULL && ops->tick != NULL);
    if (s->services_count == TERN_SWARM_SERVICES_MAX)
        return TERN_ERR_FULL;
    *service = s->services_count;
    struct swarm_service *place = &s->services[s->services_count++];
    *place = (struct swarm_service){
        .ops = ops, .self = self, .peer_limits = s->config.limits.service_peer};
    tern_limits_scope_init(&place->scope, TERN_SCOPE_SERVICE, NULL, &s->config.limits.service);
    place->scope.watch = &s->watch;
    return TERN_OK;
}

struct swarm_place *tern_swarm_find_place(struct tern_swarm *s, struct tern_view name)
{
    for (size_t i = 0; i < s->protocol_table.count; i++)
        if (s->places[i].protocol != NULL && tern_view_equal(s->protocols[i].name, name))
            return &s->places[i];
    return NULL;
}

tern_err tern_swarm_handle(struct tern_swarm *s, const struct tern_protocol *protocol)
{
    TERN_CHECK(protocol->handler < s->services_count && protocol->name.size > 0);
    if (tern_swarm_find_place(s, protocol->name) != NULL)
        return TERN_ERR_EXISTS;
    for (size_t i = 0; i < TERN_SWARM_PROTOCOLS_MAX; i++) {
        struct swarm_place *place = &s->places[i];
        /* A place whose streams are still open is theirs: they point at it. */
        if (place->protocol != NULL || place->streams > 0)
            continue;
        TERN_TRY(tern_protocols_use(s, protocol->name, &place->protocol));
        s->protocols[i] = *protocol;
        if (protocol->inbound_per_peer_max != 0 && !place->protocol->limited)
            place->protocol->peer_limits.max[TERN_RESOURCE_STREAMS_IN] =
                protocol->inbound_per_peer_max;
        if (i >= s->protocol_table.count)
            s->protocol_table.count = i + 1;
        return TERN_OK;
    }
    return TERN_ERR_FULL;
}

tern_err tern_swarm_allow_early(struct tern_swarm *s, struct tern_view name)
{
    const struct swarm_place *place = tern_swarm_find_place(s, name);
    if (place == NULL)
        return TERN_ERR_NOT_FOUND;
    s->protocols[place - s->places].replay_harmless = true;
    return TERN_OK;
}

void tern_swarm_unhandle(struct tern_swarm *s, struct tern_view name)
{
    struct swarm_place *place = tern_swarm_find_place(s, name);
    if (place == NULL)
        return;
    /* An empty name is what no remote can agree on; streams that are open go on. */
    s->protocols[place - s->places].name = (struct tern_view){.size = 0};
    tern_protocols_drop(s, place->protocol);
    place->protocol = NULL;
}

const struct tern_protocol_table *tern_swarm_protocols(const struct tern_swarm *s)
{
    return &s->protocol_table;
}

/* --- dispatch --- */

void tern_swarm_tell(struct tern_swarm *s, tern_time now, const struct tern_swarm_event *event)
{
    TERN_DCHECK(s->dispatching);
    TERN_CHECK(event->service < s->services_count);
    const struct swarm_service *service = &s->services[event->service];
    service->ops->event(service->self, now, event);
}

void tern_swarm_tell_all(struct tern_swarm *s, tern_time now, const struct tern_swarm_event *event)
{
    TERN_DCHECK(s->dispatching);
    for (uint32_t i = 0; i < s->services_count; i++)
        s->services[i].ops->event(s->services[i].self, now, event);
}

static bool swarm_tell_addresses(struct tern_swarm *s, tern_time now)
{
    if (!s->addresses_changed)
        return false;
    s->addresses_changed = false;
    const struct tern_swarm_event news = {.kind = TERN_SWARM_ADDRESSES};
    tern_swarm_tell_all(s, now, &news);
    return true;
}

/* swarm_dispatch_one goes through one thing; false: there is nothing. */
static bool swarm_dispatch_one(struct tern_swarm *s, tern_time now)
{
    struct tern_list *node = tern_list_pop_front(&s->conns.dirty);
    if (node != NULL) {
        tern_conns_process(s, now, TERN_LIST_ENTRY(node, struct swarm_conn, dirty));
        return true;
    }
    if (tern_dials_tell_done(s, now))
        return true;
    if (s->dials.wake) {
        tern_dials_wake(s, now);
        return true;
    }
    return tern_listeners_tell(s, now) || tern_peers_tell_changed(s, now) ||
           swarm_tell_addresses(s, now);
}

static bool swarm_has_news(const struct tern_swarm *s)
{
    return !tern_list_empty(&s->conns.dirty) || !tern_list_empty(&s->dials.done) || s->dials.wake ||
           s->listeners.tell || !tern_list_empty(&s->peers_changed) || s->addresses_changed ||
           tern_trim_busy(s);
}

static bool swarm_has_commands(const struct tern_swarm *s)
{
    return s->conns.rejects_count > 0 || !tern_list_empty(&s->conns.commands) ||
           !tern_list_empty(&s->jobs) || !tern_list_empty(&s->stores) ||
           !tern_list_empty(&s->dials.commands) || s->ports.commands;
}

void tern_swarm_dispatch(struct tern_swarm *s, tern_time now)
{
    if (s->dispatching)
        return;
    s->now = now;
    s->dispatching = true;
    tern_sessions_run(s, now);
    tern_trim_run(s, now);
    tern_breakers_run(s, now);
    tern_bandwidth_run(s, now);
    for (int i = 0; i < SWARM_DISPATCH_BUDGET && swarm_dispatch_one(s, now); i++)
        continue;
    tern_sessions_wants(s);
    tern_book_store_run(s, now);
    s->dispatching = false;
}

/* --- time --- */

static void swarm_fire(struct tern_swarm *s, tern_time now, struct tern_timer *fired)
{
    struct swarm_timer *timer = TERN_CONTAINER_OF(fired, struct swarm_timer, timer);
    /* Its place in the heap is free now, so arming it at once cannot fail; and later it is moved,
     * which cannot fail either. */
    tern_err err = tern_timer_set(&s->timers, fired, SWARM_FAR_NS);
    TERN_CHECK(err == TERN_OK);
    switch (timer->kind) {
    case SWARM_TIMER_CONN:
        tern_conns_touch(s, TERN_CONTAINER_OF(timer, struct swarm_conn, timer));
        break;
    case SWARM_TIMER_FLOWS:
        tern_bandwidth_timer(s, now, fired);
        break;
    case SWARM_TIMER_DIAL:
        tern_dials_timer(s, now, TERN_CONTAINER_OF(timer, struct swarm_dial, timer));
        break;
    }
}

static void swarm_tick(struct tern_swarm *s, tern_time now)
{
    struct tern_timer *fired;
    size_t budget = s->timers.count + 1;
    while (budget-- > 0 && (fired = tern_timer_pop(&s->timers, now)) != NULL)
        swarm_fire(s, now, fired);
    tern_book_tick(s, now);
    tern_sessions_tick(s, now);
    s->dispatching = true;
    for (uint32_t i = 0; i < s->services_count; i++)
        if (s->services[i].ops->deadline(s->services[i].self) <= now)
            s->services[i].ops->tick(s->services[i].self, now);
    s->dispatching = false;
}

tern_time tern_swarm_deadline(const struct tern_swarm *s)
{
    if (swarm_has_news(s) || swarm_has_commands(s))
        return s->now;
    tern_time deadline = tern_timer_next(&s->timers);
    deadline = tern_time_min(deadline, tern_book_store_deadline(s));
    deadline = tern_time_min(deadline, s->book.sweep_at);
    deadline = tern_time_min(deadline, tern_sessions_deadline(s));
    deadline = tern_time_min(deadline, tern_trim_deadline(s));
    deadline = tern_time_min(deadline, tern_breakers_deadline(s));
    deadline = tern_time_min(deadline, tern_bandwidth_deadline(s));
    for (uint32_t i = 0; i < s->services_count; i++)
        deadline = tern_time_min(deadline, s->services[i].ops->deadline(s->services[i].self));
    return deadline;
}

tern_wall_time tern_swarm_wall(const struct tern_swarm *s, tern_time now)
{
    return s->wall_known ? tern_time_add(s->wall, tern_time_since(now, s->wall_at)) : 0;
}

/* --- the machine --- */

static void swarm_job_done(struct tern_swarm *s, tern_time now, struct tern_job *job)
{
    if (job->owner_kind == TERN_OWNER_CONNECTION) {
        tern_conns_job_done(s, now, job);
        return;
    }
    TERN_CHECK(job->owner_kind == TERN_OWNER_SERVICE && job->owner_slot < s->services_count);
    const struct swarm_service *service = &s->services[job->owner_slot];
    s->dispatching = true;
    service->ops->job_done(service->self, now, job);
    s->dispatching = false;
}

static void swarm_stored(struct tern_swarm *s, tern_time now, struct tern_store_request *request)
{
    if (request->owner_kind == TERN_OWNER_SWARM) {
        tern_book_store_done(s, now, request);
        return;
    }
    TERN_CHECK(request->owner_kind == TERN_OWNER_SERVICE &&
               request->owner_slot < s->services_count);
    const struct swarm_service *service = &s->services[request->owner_slot];
    s->dispatching = true;
    service->ops->stored(service->self, now, request);
    s->dispatching = false;
}

static void swarm_take(struct tern_swarm *s, tern_time now, const struct tern_input *in)
{
    switch (in->kind) {
    case TERN_INPUT_TICK:
        break;
    case TERN_INPUT_WALL:
        s->wall = in->wall;
        s->wall_at = now;
        s->wall_known = true;
        tern_transports_wall(s, now, in->wall);
        break;
    case TERN_INPUT_LISTENING:
    case TERN_INPUT_LISTEN_FAIL:
    case TERN_INPUT_BOUND:
    case TERN_INPUT_BIND_FAIL:
        tern_ports_input(s, now, in);
        break;
    case TERN_INPUT_ACCEPTED:
        tern_conns_accepted(s, now, in);
        break;
    case TERN_INPUT_DIALED:
        tern_dials_linked(s, now, in);
        break;
    case TERN_INPUT_DIAL_FAIL:
        tern_dials_failed(s, now, in);
        break;
    case TERN_INPUT_DATA:
        tern_conns_data(s, now, in);
        break;
    case TERN_INPUT_LINK_END:
        tern_conns_link_end(s, now, in);
        break;
    case TERN_INPUT_LINK_CLOSED:
        if (!tern_ports_socket_closed(s, now, in->link))
            tern_conns_link_closed(s, now, in);
        break;
    case TERN_INPUT_JOB_DONE:
        swarm_job_done(s, now, in->job);
        break;
    case TERN_INPUT_STORED:
        swarm_stored(s, now, in->request);
        break;
    case TERN_INPUT_RESOLVED:
        tern_dials_resolved(s, now, in);
        break;
    case TERN_INPUT_DATAGRAMS:
        tern_sessions_datagrams(s, now, in);
        break;
    case TERN_INPUT_NETWORK:
        tern_ports_network(s);
        break;
    }
}

void tern_swarm_input(struct tern_swarm *s, tern_time now, const struct tern_input *in)
{
    TERN_CHECK(!s->dispatching && now >= s->now);
    s->now = now;
    swarm_take(s, now, in);
    /* A link at work does not pay for the timers; their deadline brings a TICK. */
    if (in->kind == TERN_INPUT_TICK)
        swarm_tick(s, now);
    tern_swarm_dispatch(s, now);
}

static bool swarm_next_work(struct tern_swarm *s, struct tern_command *command)
{
    struct tern_list *node = tern_list_pop_front(&s->jobs);
    if (node != NULL) {
        *command = (struct tern_command){.kind = TERN_COMMAND_JOB,
                                         .job = TERN_LIST_ENTRY(node, struct tern_job, link)};
        return true;
    }
    node = tern_list_pop_front(&s->stores);
    if (node != NULL) {
        *command = (struct tern_command){
            .kind = TERN_COMMAND_STORE,
            .request = TERN_LIST_ENTRY(node, struct tern_store_request, link)};
        return true;
    }
    return false;
}

bool tern_swarm_next_command(struct tern_swarm *s, struct tern_command *command)
{
    return tern_conns_next_command(s, command) || swarm_next_work(s, command) ||
           tern_dials_next_command(s, command) || tern_ports_next_command(s, command);
}

void tern_swarm_transmit(struct tern_swarm *s, tern_time now, tern_link_id link,
                         struct tern_writer *out)
{
    struct swarm_conn *c = tern_conns_of_link(s, link);
    if (c == NULL || c->link_dead)
        return;
    size_t before = out->size;
    s->now = now;
    if (TERN_UNLIKELY(s->bandwidth.on) && !c->by_streams)
        tern_bandwidth_send(s, now, c, out);
    else
        tern_conn_send(c->core, now, out);
    size_t size = out->size - before;
    tern_bandwidth_count(s, now, c, TERN_OUT, size);
    if (size == 0)
        c->sending = false;
    /* What was sent made room: streams can be written again. */
    tern_conns_touch(s, c);
    tern_swarm_dispatch(s, now);
}

bool tern_swarm_datagrams(struct tern_swarm *s, tern_time now, tern_link_id socket,
                          struct tern_datagrams_out *out)
{
    s->now = now;
    bool any = tern_sessions_send(s, now, socket, out);
    tern_swarm_dispatch(s, now);
    return any;
}

/* --- for services, and the end --- */

void tern_swarm_submit_job(struct tern_swarm *s, uint32_t service, struct tern_job *job)
{
    TERN_CHECK(service < s->services_count && s->services[service].ops->job_done != NULL);
    job->owner_kind = TERN_OWNER_SERVICE;
    job->owner_slot = service;
    tern_list_push_back(&s->jobs, &job->link);
}

void tern_swarm_submit_store(struct tern_swarm *s, uint32_t service,
                             struct tern_store_request *request)
{
    TERN_CHECK(service < s->services_count && s->services[service].ops->stored != NULL);
    request->owner_kind = TERN_OWNER_SERVICE;
    request->owner_slot = service;
    tern_list_push_back(&s->stores, &request->link);
}

const struct tern_peer_id *tern_swarm_own_id(const struct tern_swarm *s)
{
    return &s->own_id;
}

const struct tern_private_key *tern_swarm_identity(const struct tern_swarm *s)
{
    return s->config.identity;
}

void tern_swarm_shutdown(struct tern_swarm *s, tern_time now)
{
    if (s->down)
        return;
    s->down = true;
    s->drain_until = tern_time_add(now, s->config.shutdown_drain_ns);
    tern_listeners_end_all(s);
    tern_dials_cancel_all(s, now);
    TERN_LIST_FOREACH (node, &s->conns.all) {
        struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, all);
        if (c->state == SWARM_CONN_UPGRADING)
            tern_conns_cut(s, c, TERN_ERR_CLOSED);
        tern_conns_touch(s, c); /* it ends when it is drained */
    }
    if (s->book.save_at != TERN_TIME_NEVER)
        s->book.save_at = now;
}

bool tern_swarm_is_down(const struct tern_swarm *s)
{
    return s->down && s->conns.count == 0 && tern_ports_all_closed(s) &&
           tern_list_empty(&s->conns.orphans) && !tern_book_store_busy(s) && !swarm_has_news(s) &&
           !swarm_has_commands(s);
}
