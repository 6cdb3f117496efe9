/*
 * The table of connections, by handle and by link, and what the world says and is told of them.
 *
 *   ACCEPTED, DIALED ──► UPGRADING ── established, let in ──► OPEN ── close ──► CLOSING ─┐
 *                            │                                 │                        │
 *                            └── failed, refused ──────► DOWN ◄┴── core CLOSED ◄────────┘
 *                                                         │ CLOSE, after SWARM_LINGER_NS ABORT
 *                                                    LINK_CLOSED: freed (or an orphan, while its
 * job is out)
 *
 * A session has no link of its own: it is freed as soon as it is DOWN, and what it still owes the
 * remote is its transport's.
 */
#include "swarm/private.h"

enum { CONNS_LINKS_FIRST = 16, CONNS_VACATE_ROUNDS_MAX = 4096 };

void tern_conns_init(struct tern_swarm *s)
{
    struct swarm_conns *conns = &s->conns;
    tern_slots_init(&conns->slots, s->mem, s->config.limits.links_max);
    tern_list_init(&conns->all);
    tern_list_init(&conns->upgrading);
    tern_list_init(&conns->dirty);
    tern_list_init(&conns->commands);
    tern_list_init(&conns->orphans);
}

struct swarm_conn *tern_conns_of_link(const struct tern_swarm *s, tern_link_id link)
{
    uint32_t slot = tern_link_slot(link);
    if (slot >= s->conns.by_link_count)
        return NULL;
    struct swarm_conn *c = s->conns.by_link[slot];
    return c != NULL && c->link == link ? c : NULL;
}

struct swarm_conn *tern_conns_find(const struct tern_swarm *s, tern_connection handle)
{
    return tern_slots_find(&s->conns.slots, handle);
}

void tern_conns_touch(struct tern_swarm *s, struct swarm_conn *c)
{
    if (!tern_list_linked(&c->dirty))
        tern_list_push_back(&s->conns.dirty, &c->dirty);
}

void tern_conns_reject(struct tern_swarm *s, tern_link_id link)
{
    /* The world asks for commands after each input, and an input brings one link. */
    TERN_CHECK(s->conns.rejects_count < SWARM_REJECTS_MAX);
    s->conns.rejects[s->conns.rejects_count++] = link;
}

static tern_err conns_link_reserve(struct tern_swarm *s, uint32_t slot)
{
    struct swarm_conns *conns = &s->conns;
    if (slot < conns->by_link_count)
        return TERN_OK;
    if (slot >= s->config.limits.links_max) {
        tern_limits_refuse_number(s, TERN_LIMIT_LINKS, slot, NULL);
        return TERN_ERR_FULL;
    }
    uint32_t count = conns->by_link_count == 0 ? CONNS_LINKS_FIRST : conns->by_link_count;
    while (count <= slot)
        count *= 2; /* links_max is at most 2^24 */
    struct swarm_conn **grown = tern_mem_realloc(
        s->mem, conns->by_link, conns->by_link_count * sizeof grown[0], count * sizeof grown[0]);
    if (grown == NULL)
        return TERN_ERR_MEMORY;
    for (uint32_t i = conns->by_link_count; i < count; i++)
        grown[i] = NULL;
    conns->by_link = grown;
    conns->by_link_count = count;
    return TERN_OK;
}

/* A session shares its socket, so it costs no descriptor. */
static uint64_t conns_fds(const struct swarm_conn *c)
{
    return c->link == TERN_LINK_NONE ? 0 : 1;
}

static tern_err conns_charge_scope(struct swarm_conn *c)
{
    enum tern_resource direction =
        c->outbound ? TERN_RESOURCE_CONNECTIONS_OUT : TERN_RESOURCE_CONNECTIONS_IN;
    TERN_TRY(tern_scope_reserve(&c->scope, direction, 1, NULL));
    tern_err err = tern_scope_reserve(&c->scope, TERN_RESOURCE_FDS, conns_fds(c), NULL);
    if (err != TERN_OK) {
        tern_scope_release(&c->scope, direction, 1);
        return err;
    }
    err = tern_scope_reserve(&c->scope, TERN_RESOURCE_MEMORY, sizeof *c, NULL);
    if (err != TERN_OK) {
        tern_scope_release(&c->scope, TERN_RESOURCE_FDS, conns_fds(c));
        tern_scope_release(&c->scope, direction, 1);
    }
    return err;
}

static tern_err conns_charge(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    tern_err err = tern_conns_enter_subnet(s, now, c);
    if (err == TERN_OK)
        err = conns_charge_scope(c);
    if (err != TERN_OK)
        tern_conns_leave_subnet(s, c);
    return err;
}

static void conns_uncharge(struct tern_swarm *s, struct swarm_conn *c)
{
    tern_conns_leave_subnet(s, c);
    tern_scope_release(&c->scope, TERN_RESOURCE_MEMORY, sizeof *c);
    tern_scope_release(&c->scope, TERN_RESOURCE_FDS, conns_fds(c));
    tern_scope_release(
        &c->scope, c->outbound ? TERN_RESOURCE_CONNECTIONS_OUT : TERN_RESOURCE_CONNECTIONS_IN, 1);
}

static tern_err conns_make_session(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                                   const struct swarm_birth *birth,
                                   const struct tern_conn_options *options)
{
    const struct tern_session_transport *hub = birth->hub;
    struct tern_session session;
    if (birth->session_dial != NULL) {
        struct tern_session_dial dial = *birth->session_dial;
        dial.expected_peer = birth->expected;
        dial.scope = &c->scope;
        dial.tag = c->handle;
        TERN_TRY(hub->ops->dial(hub->self, now, &dial, &session));
    } else {
        TERN_TRY(hub->ops->accept(hub->self, now, &c->scope, c->handle, &session));
    }
    c->core = tern_conn_new_session(&s->conn_config, options, &session, now);
    return c->core == NULL ? TERN_ERR_MEMORY : TERN_OK;
}

/* conns_start makes the core and arms the timer: the last two things that can fail. */
static tern_err conns_start(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                            const struct swarm_birth *birth)
{
    TERN_TRY(tern_timer_set(&s->timers, &c->timer.timer, SWARM_FAR_NS));
    uint8_t host[SWARM_HOST_SIZE_MAX];
    const struct tern_conn_options options = {
        .role = birth->outbound ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
        .expected_peer = birth->expected,
        .scope = &c->scope,
        .wall = tern_swarm_wall(s, now),
        .forms = tern_link_forms(birth),
        .host = tern_link_host(birth, (struct tern_span){.data = host, .size = sizeof host}),
    };
    tern_err err = TERN_OK;
    if (birth->link == TERN_LINK_NONE) {
        err = conns_make_session(s, now, c, birth, &options);
    } else {
        c->core = tern_conn_new(&s->conn_config, &options, now);
        err = c->core == NULL ? TERN_ERR_MEMORY : TERN_OK;
    }
    if (err != TERN_OK)
        tern_timer_cancel(&s->timers, &c->timer.timer);
    return err;
}

static struct swarm_conn *conns_alloc(struct tern_swarm *s, tern_time now,
                                      const struct swarm_birth *birth)
{
    struct swarm_conn *c = tern_mem_zalloc(s->mem, sizeof *c);
    if (c == NULL)
        return NULL;
    c->link = birth->link;
    c->transport = birth->transport;
    c->outbound = birth->outbound;
    c->dial = birth->dial;
    c->local = birth->local;
    c->remote = birth->remote;
    c->opened_at = now;
    c->idle_since = now;
    c->supplanted_at = TERN_TIME_NEVER;
    c->linger_until = TERN_TIME_NEVER;
    c->timer.kind = SWARM_TIMER_CONN;
    tern_timer_init(&c->timer.timer);
    tern_list_init(&c->siblings);
    tern_list_init(&c->dirty);
    tern_list_init(&c->command);
    tern_list_init(&c->all);
    tern_limits_scope_init(&c->scope, TERN_SCOPE_CONNECTION, &s->transient,
                           &s->config.limits.connection);
    return c;
}

/* conns_vacate makes sure that nothing of the slot's former link is left: a dispatch that ran out
 * of its budget may have left that for the next. */
static void conns_vacate(struct tern_swarm *s, tern_time now, uint32_t slot)
{
    bool dispatching = s->dispatching;
    s->dispatching = true;
    for (int i = 0; i < CONNS_VACATE_ROUNDS_MAX && s->conns.by_link[slot] != NULL; i++) {
        struct swarm_conn *c = s->conns.by_link[slot];
        TERN_CHECK(c->link_dead); /* the world uses a slot again after LINK_CLOSED alone */
        tern_list_remove(&c->dirty);
        tern_conns_process(s, now, c);
    }
    s->dispatching = dispatching;
    TERN_CHECK(s->conns.by_link[slot] == NULL);
}

/* conns_enter puts it into the tables. */
static void conns_enter(struct tern_swarm *s, struct swarm_conn *c)
{
    if (c->link != TERN_LINK_NONE)
        s->conns.by_link[tern_link_slot(c->link)] = c;
    s->conns.count++;
    tern_metric_set(s->config.metrics, TERN_METRIC_SWARM_CONNECTIONS, s->conns.count);
    s->conns.upgrading_in_count += !c->outbound;
    tern_list_push_back(&s->conns.all, &c->all);
    tern_list_push_back(&s->conns.upgrading, &c->siblings);
    tern_conns_touch(s, c);
}

tern_err tern_conns_born(struct tern_swarm *s, tern_time now, const struct swarm_birth *birth,
                         struct swarm_conn **out)
{
    if (birth->link != TERN_LINK_NONE) {
        TERN_CHECK(tern_conns_of_link(s, birth->link) == NULL);
        TERN_TRY(conns_link_reserve(s, tern_link_slot(birth->link)));
        conns_vacate(s, now, tern_link_slot(birth->link));
    }
    struct swarm_conn *c = conns_alloc(s, now, birth);
    if (c == NULL)
        return TERN_ERR_MEMORY;
    tern_err err = conns_charge(s, now, c);
    if (err == TERN_OK) {
        err = tern_slots_add(&s->conns.slots, c, &c->handle);
        if (err == TERN_OK) {
            err = conns_start(s, now, c, birth);
            if (err != TERN_OK)
                tern_slots_remove(&s->conns.slots, c->handle);
        }
        if (err != TERN_OK)
            conns_uncharge(s, c);
    }
    if (err != TERN_OK) {
        tern_mem_free(s->mem, c, sizeof *c);
        return err;
    }
    conns_enter(s, c);
    *out = c;
    return TERN_OK;
}

void tern_conns_accepted(struct tern_swarm *s, tern_time now, const struct tern_input *in)
{
    const struct swarm_port *port = tern_ports_of_token(s, in->token);
    struct swarm_conn *c;
    struct swarm_birth birth = {.link = in->link, .local = in->local, .remote = in->remote};
    tern_err err = tern_conns_admit(s, now, &in->remote);
    if (err == TERN_OK && (port == NULL || port->transports == 0))
        err = TERN_ERR_CLOSED; /* nobody listens there any more */
    if (err == TERN_OK) {
        birth.transports = port->transports;
        err = tern_conns_born(s, now, &birth, &c);
    }
    if (err != TERN_OK) {
        tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_REFUSED_IN, 1);
        TERN_TRACE(s->config.trace, now, SWARM_REFUSED, in->remote.port, err, 0);
        tern_conns_reject(s, in->link);
        return;
    }
    TERN_TRACE(s->config.trace, now, SWARM_ACCEPTED, c->handle, in->remote.port, 0);
}

void tern_conns_close(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                      enum tern_connection_code code, tern_err err)
{
    if (c->state == SWARM_CONN_CLOSING || c->state == SWARM_CONN_DOWN)
        return;
    tern_conns_leave(s, c);
    c->state = SWARM_CONN_CLOSING;
    c->err = err;
    if (!c->code_theirs)
        c->code = (uint32_t)code;
    tern_bandwidth_release(c);
    c->linger_until = tern_time_add(now, SWARM_LINGER_NS);
    tern_conn_close(c->core, now, (uint32_t)code);
    tern_conns_touch(s, c);
}

void tern_conns_cut(struct tern_swarm *s, struct swarm_conn *c, tern_err err)
{
    if (c->state == SWARM_CONN_DOWN || c->cut)
        return;
    c->cut = true;
    if (c->err == TERN_OK)
        c->err = err;
    tern_conns_touch(s, c);
}

void tern_conns_data(struct tern_swarm *s, tern_time now, const struct tern_input *in)
{
    struct swarm_conn *c = tern_conns_of_link(s, in->link);
    size_t taken = 0;
    int idle_rounds = 0;
    /* A round that takes nothing may still have told events, after which more is taken. */
    while (taken < in->data.size && idle_rounds < 2) {
        /* Services are told between the rounds, and may end the connection. */
        if (c == NULL || c->state == SWARM_CONN_DOWN) {
            taken = in->data.size;
            break;
        }
        size_t used = 0;
        struct tern_slice rest = {
            .chunk = in->chunk,
            .view = tern_view_of(in->data.data + taken, in->data.size - taken),
        };
        /* An error comes back as the event CLOSED, which ends the connection. */
        tern_err err = tern_conn_recv(c->core, now, rest, &used);
        TERN_CHECK(used <= rest.view.size);
        taken += used;
        tern_bandwidth_count(s, now, c, TERN_IN, used);
        idle_rounds = used == 0 ? idle_rounds + 1 : 0;
        tern_conns_touch(s, c);
        tern_swarm_dispatch(s, now);
        c = tern_conns_of_link(s, in->link);
        if (err != TERN_OK)
            taken = in->data.size;
        if (c != NULL && tern_list_linked(&c->dirty))
            break; /* dispatch has run out of its budget; events come before bytes */
    }
    if (c != NULL && taken < in->data.size)
        c->blocked = true;
    *in->used = taken;
}

void tern_conns_link_end(struct tern_swarm *s, tern_time now, const struct tern_input *in)
{
    struct swarm_conn *c = tern_conns_of_link(s, in->link);
    if (c == NULL || c->state == SWARM_CONN_DOWN)
        return;
    tern_conn_link_end(c->core, now);
    tern_conns_touch(s, c);
}

void tern_conns_link_closed(struct tern_swarm *s, tern_time now, const struct tern_input *in)
{
    struct swarm_conn *c = tern_conns_of_link(s, in->link);
    if (c == NULL)
        return;
    if (c->state != SWARM_CONN_DOWN)
        tern_conn_link_end(c->core, now);
    c->link_dead = true;
    tern_list_remove(&c->command);
    tern_conns_touch(s, c);
}

void tern_conns_job_done(struct tern_swarm *s, tern_time now, struct tern_job *job)
{
    tern_connection handle = job->owner_generation << 32 | job->owner_slot;
    struct swarm_conn *c = tern_conns_find(s, handle);
    if (c != NULL) {
        TERN_CHECK(c->job == job);
        c->job = NULL;
        tern_conn_job_done(c->core, now, job);
        tern_conns_touch(s, c);
        return;
    }
    TERN_LIST_FOREACH (node, &s->conns.orphans) {
        struct swarm_conn *orphan = TERN_LIST_ENTRY(node, struct swarm_conn, all);
        if (orphan->job != job)
            continue;
        tern_conn_job_done(orphan->core, now, job); /* frees the core */
        tern_list_remove(&orphan->all);
        conns_uncharge(s, orphan);
        tern_scope_fini(&orphan->scope);
        tern_mem_free(s->mem, orphan, sizeof *orphan);
        return;
    }
    TERN_CHECK(false); /* no world makes jobs up */
}

void tern_conns_job(struct tern_swarm *s, struct swarm_conn *c, struct tern_job *job)
{
    TERN_CHECK(c->job == NULL);
    c->job = job;
    job->owner_kind = TERN_OWNER_CONNECTION;
    job->owner_slot = (uint32_t)c->handle;
    job->owner_generation = c->handle >> 32;
    tern_list_push_back(&s->jobs, &job->link);
}

/* conns_take_job looks for a job among events that nobody is told any more: the core waits for it.
 */
static void conns_take_job(struct tern_swarm *s, struct swarm_conn *c)
{
    struct tern_conn_event event;
    while (c->job == NULL && tern_conn_next(c->core, s->now, &event))
        if (event.kind == TERN_CONN_JOB)
            tern_conns_job(s, c, event.job);
}

void tern_conns_free(struct tern_swarm *s, struct swarm_conn *c)
{
    TERN_CHECK(c->state == SWARM_CONN_DOWN && c->streams_count == 0);
    if (c->link != TERN_LINK_NONE)
        s->conns.by_link[tern_link_slot(c->link)] = NULL;
    tern_slots_remove(&s->conns.slots, c->handle);
    s->conns.count--;
    tern_metric_set(s->config.metrics, TERN_METRIC_SWARM_CONNECTIONS, s->conns.count);
    conns_take_job(s, c);
    tern_list_remove(&c->dirty);
    tern_list_remove(&c->command);
    tern_list_remove(&c->all);
    tern_timer_cancel(&s->timers, &c->timer.timer);
    tern_streams_free(s, c);
    tern_conn_free(c->core);
    if (c->job != NULL) {
        /* Public-key work is of the handshake, so there is no peer yet whose scope would be held.
         */
        TERN_CHECK(c->peer == NULL);
        tern_list_push_back(&s->conns.orphans, &c->all);
        return;
    }
    conns_uncharge(s, c);
    tern_scope_fini(&c->scope);
    if (c->peer != NULL)
        tern_peers_unref(s, c);
    tern_mem_free(s->mem, c, sizeof *c);
}

void tern_conns_fini(struct tern_swarm *s)
{
    struct tern_list *node;
    while ((node = tern_list_front(&s->conns.all)) != NULL) {
        struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, all);
        struct tern_job *job = c->job;
        tern_conns_leave(s, c);
        c->state = SWARM_CONN_DOWN;
        c->streams_count = 0;
        tern_list_remove(&c->siblings);
        tern_conns_free(s, c);
        if (job != NULL)
            tern_conns_job_done(s, 0, job);
    }
    while ((node = tern_list_front(&s->conns.orphans)) != NULL)
        tern_conns_job_done(s, 0, TERN_LIST_ENTRY(node, struct swarm_conn, all)->job);
    tern_slots_fini(&s->conns.slots);
    tern_mem_free(s->mem, s->conns.by_link, s->conns.by_link_count * sizeof(struct swarm_conn *));
}

/* conns_idle_deadline: when a connection that nothing uses is ended. */
static tern_time conns_idle_deadline(const struct tern_swarm *s, const struct swarm_conn *c)
{
    tern_time deadline = TERN_TIME_NEVER;
    if (s->config.idle_timeout_ns != 0 && c->streams_active == 0 && c->peer->protects == 0)
        deadline = tern_time_add(c->idle_since, s->config.idle_timeout_ns);
    if (c->supplanted && c->streams_count == 0)
        deadline =
            tern_time_min(deadline, tern_time_add(c->supplanted_at, SWARM_SUPPLANT_GRACE_NS));
    return deadline;
}

/* tern_conns_end_idle ends the connection if it is time to; process asks before it arms the timer.
 */
static void conns_end_idle(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    if (conns_idle_deadline(s, c) > now)
        return;
    bool supplanted = c->supplanted && c->streams_count == 0;
    TERN_TRACE(s->config.trace, now, SWARM_IDLE, c->handle, supplanted, 0);
    tern_conns_close(s, now, c,
                     supplanted ? TERN_CONNECTION_CODE_SUPPLANTED : TERN_CONNECTION_CODE_IDLE,
                     TERN_OK);
}

/* conns_end_drained ends a connection of a swarm that shuts down, when nobody uses it any more and
 * all is sent; or at the latest. */
static void conns_end_drained(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    bool busy = c->streams_active > 0 || c->sending || tern_conn_want_send(c->core);
    if (!busy || s->drain_until <= now)
        tern_conns_close(s, now, c, TERN_CONNECTION_CODE_SHUTDOWN, TERN_OK);
}

void tern_conns_rearm(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    if (c->state == SWARM_CONN_OPEN)
        conns_end_idle(s, now, c);
    if (c->state == SWARM_CONN_OPEN && s->down)
        conns_end_drained(s, now, c);
    tern_time deadline = c->linger_until;
    if (c->state == SWARM_CONN_OPEN)
        deadline = tern_time_min(deadline, conns_idle_deadline(s, c));
    if (c->state == SWARM_CONN_OPEN && s->down)
        deadline = tern_time_min(deadline, s->drain_until);
    if (c->state != SWARM_CONN_DOWN) {
        tern_time core = tern_conn_deadline(c->core);
        deadline = tern_time_min(deadline, core <= now ? now + TERN_MILLISECOND : core);
    }
    /* Lazily: an earlier deadline that has become a later one fires once for nothing, which is
     * cheaper than moving it with each message. */
    if (deadline < c->timer.timer.deadline) {
        tern_err err = tern_timer_set(&s->timers, &c->timer.timer, deadline);
        TERN_CHECK(err == TERN_OK); /* moving never fails */
    }
}

static bool conns_take_command(struct swarm_conn *c, struct tern_command *command)
{
    *command = (struct tern_command){.link = c->link};
    if (c->want_abort) {
        c->want_abort = c->want_read = c->want_transmit = c->want_close = false;
        command->kind = TERN_COMMAND_ABORT;
    } else if (c->want_read) {
        c->want_read = false;
        command->kind = TERN_COMMAND_READ;
    } else if (c->want_transmit) {
        c->want_transmit = false;
        command->kind = TERN_COMMAND_TRANSMIT;
    } else if (c->want_close) {
        c->want_close = false;
        command->kind = TERN_COMMAND_CLOSE;
    } else {
        return false;
    }
    return true;
}

bool tern_conns_next_command(struct tern_swarm *s, struct tern_command *command)
{
    struct swarm_conns *conns = &s->conns;
    if (conns->rejects_count > 0) {
        *command = (struct tern_command){.kind = TERN_COMMAND_ABORT,
                                         .link = conns->rejects[--conns->rejects_count]};
        return true;
    }
    struct tern_list *node;
    while ((node = tern_list_front(&conns->commands)) != NULL) {
        struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, command);
        if (conns_take_command(c, command))
            return true;
        tern_list_remove(node);
    }
    return false;
}
