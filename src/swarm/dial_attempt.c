/* Attempts of a dial: when they start, what the world answers, how they end. */
#include "swarm/private.h"

struct swarm_dial *tern_dials_of_token(const struct tern_swarm *s, enum swarm_token_kind kind,
                                       tern_token token, uint32_t *index)
{
    struct swarm_token split = tern_swarm_token_split(token);
    *index = split.index;
    return split.kind == kind ? tern_slots_find(&s->dials.slots, split.handle) : NULL;
}

static void dial_want_command(struct tern_swarm *s, struct swarm_dial *d)
{
    if (!tern_list_linked(&d->command))
        tern_list_push_back(&s->dials.commands, &d->command);
}

/* A session shares its socket, so it costs no descriptor. */
static uint64_t attempt_fds(const struct swarm_candidate *candidate)
{
    return tern_transport_on_udp(candidate->route.transport) ? 0 : 1;
}

void tern_dials_release(struct tern_swarm *s, struct swarm_candidate *candidate)
{
    if (!candidate->reserved)
        return;
    candidate->reserved = false;
    tern_scope_release(&s->transient, TERN_RESOURCE_CONNECTIONS_OUT, 1);
    tern_scope_release(&s->transient, TERN_RESOURCE_FDS, attempt_fds(candidate));
}

static tern_err attempt_reserve(struct tern_swarm *s, struct swarm_candidate *candidate)
{
    TERN_TRY(tern_scope_reserve(&s->transient, TERN_RESOURCE_CONNECTIONS_OUT, 1, NULL));
    tern_err err =
        tern_scope_reserve(&s->transient, TERN_RESOURCE_FDS, attempt_fds(candidate), NULL);
    if (err != TERN_OK)
        tern_scope_release(&s->transient, TERN_RESOURCE_CONNECTIONS_OUT, 1);
    candidate->reserved = err == TERN_OK;
    return err;
}

/* attempt_proves: does the failure tell that nothing comes back from there? A link that was there,
 * a refusal and whatever a peer says tell the opposite, or nothing. */
static void attempt_proves(struct tern_swarm *s, tern_time now, const struct tern_dial_attempt *row,
                           tern_err err)
{
    if (tern_dial_row_reached(row) || err == TERN_ERR_REFUSED)
        return;
    if (tern_err_class(err) == TERN_CLASS_NET)
        tern_black_holes_result(s, now, &row->route, false);
    else if (tern_err_class(err) == TERN_CLASS_PEER)
        tern_black_holes_result(s, now, &row->route, true);
}

/* attempt_end writes the row of an attempt that is no longer under way. */
static void attempt_end(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                        struct swarm_candidate *candidate, tern_err err)
{
    struct tern_dial_attempt *row = &d->attempts[candidate->attempt];
    row->err = err;
    row->ended_ns = now;
    if (tern_err_class(err) == TERN_CLASS_LIMIT)
        row->refusal = s->refusal;
    TERN_CHECK(d->in_flight > 0 && s->dials.in_flight > 0);
    d->in_flight--;
    s->dials.in_flight--;
    s->dials.wake = s->dials.starved_count > 0;
    TERN_TRACE(s->config.trace, now, SWARM_ATTEMPT_FAILED, d->handle, candidate->attempt, err);
    attempt_proves(s, now, row, err);
    /* Of several failures the dial reports the first that says more than "no answer". */
    if (d->err == TERN_OK || d->err == TERN_ERR_TIMEOUT)
        d->err = err;
    if (tern_err_class(err) == TERN_CLASS_NET)
        tern_backoffs_failed(s, now, &candidate->route);
    if (err == TERN_ERR_PEER_MISMATCH && !tern_peer_id_is_none(&d->id))
        tern_book_wrong_peer(s, now, &d->id, &candidate->route);
}

void tern_dials_drop(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                     struct swarm_candidate *candidate, tern_err err)
{
    if (candidate->state == SWARM_CANDIDATE_UPGRADING) {
        struct swarm_conn *c = tern_conns_find(s, candidate->connection);
        TERN_CHECK(c != NULL);
        c->dial = 0;
        tern_conns_cut(s, c, err);
        candidate->state = SWARM_CANDIDATE_DONE;
    } else {
        TERN_CHECK(candidate->state == SWARM_CANDIDATE_CONNECTING);
        if (candidate->want_dial || candidate->want_socket) { /* the world has not heard of it */
            d->outstanding -= candidate->want_dial;
            candidate->want_dial = candidate->want_socket = false;
            candidate->state = SWARM_CANDIDATE_DONE;
            tern_dials_release(s, candidate);
        } else {
            candidate->state = SWARM_CANDIDATE_CANCELLED;
            candidate->want_cancel = true;
            dial_want_command(s, d);
        }
    }
    attempt_end(s, now, d, candidate, err);
}

static tern_token attempt_token(const struct swarm_dial *d, const struct swarm_candidate *candidate)
{
    return tern_swarm_token_make(
        (struct swarm_token){.kind = SWARM_TOKEN_DIAL,
                             .index = (uint32_t)(candidate - d->candidates),
                             .handle = d->handle});
}

/* attempt_born makes the attempt's connection; if it cannot be, the attempt has failed. */
static void attempt_born(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                         struct swarm_candidate *candidate, struct swarm_birth *birth)
{
    struct swarm_conn *c;
    birth->transport = candidate->route.transport;
    birth->outbound = true;
    birth->expected = tern_peer_id_is_none(&d->id) ? NULL : &d->id;
    birth->dial = attempt_token(d, candidate);
    tern_dials_release(s, candidate); /* it is charged as a connection now */
    tern_err err = tern_conns_born(s, now, birth, &c);
    if (err != TERN_OK) {
        candidate->state = SWARM_CANDIDATE_DONE;
        attempt_end(s, now, d, candidate, err);
        if (birth->link != TERN_LINK_NONE)
            tern_conns_reject(s, birth->link);
        return;
    }
    candidate->state = SWARM_CANDIDATE_UPGRADING;
    candidate->connection = c->handle;
    d->attempts[candidate->attempt].linked_ns = now;
    if (birth->link != TERN_LINK_NONE)
        tern_black_holes_result(s, now, &candidate->route, true);
}

/* What the candidate's address says beside its route. */
static void attempt_target(const struct swarm_candidate *candidate, struct tern_target *target)
{
    struct tern_view address = tern_view_of(candidate->address, candidate->address_size);
    *target = (struct tern_target){.kind = TERN_TARGET_ENDPOINT};
    if (address.size == 0)
        return;
    tern_err err = tern_target_of(address, target);
    TERN_CHECK(err == TERN_OK); /* it has given the route */
}

/* attempt_session dials over a socket of ours, as soon as there is one. */
static void attempt_session(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                            struct swarm_candidate *candidate)
{
    tern_err err;
    const struct swarm_port *port = tern_ports_for_dial(s, &candidate->route.endpoint, &err);
    if (err == TERN_OK)
        err = tern_transports_need(s, now, candidate->route.transport);
    if (err != TERN_OK) {
        candidate->state = SWARM_CANDIDATE_DONE;
        tern_dials_release(s, candidate);
        attempt_end(s, now, d, candidate, err);
        return;
    }
    candidate->want_socket = port == NULL;
    if (port == NULL)
        return;
    struct tern_view certhashes[TERN_TARGET_CERTHASHES_MAX];
    struct tern_target target;
    attempt_target(candidate, &target);
    const struct tern_session_dial dial = {
        .socket = port->link,
        .remote = candidate->route.endpoint,
        .server_name = target.host,
        .certhashes = certhashes,
        .certhashes_count =
            tern_target_certhashes(target.hashes, certhashes, TERN_TARGET_CERTHASHES_MAX),
    };
    attempt_born(s, now, d, candidate,
                 &(struct swarm_birth){
                     .link = TERN_LINK_NONE,
                     .local = port->bound,
                     .remote = candidate->route.endpoint,
                     .hub = &s->sessions.dialers[candidate->route.transport],
                     .session_dial = &dial,
                 });
}

void tern_dials_socket(struct tern_swarm *s, tern_time now, tern_err err)
{
    TERN_LIST_FOREACH_SAFE (node, next, &s->dials.active) {
        struct swarm_dial *d = TERN_LIST_ENTRY(node, struct swarm_dial, link);
        bool any = false;
        for (uint32_t i = 0; i < d->candidates_count; i++) {
            struct swarm_candidate *candidate = &d->candidates[i];
            if (!candidate->want_socket)
                continue;
            any = true;
            if (err != TERN_OK)
                tern_dials_drop(s, now, d, candidate, err);
            else
                attempt_session(s, now, d, candidate);
        }
        if (any)
            tern_dials_schedule(s, now, d);
    }
}

static void attempt_start(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                          struct swarm_candidate *candidate)
{
    d->waiting_count--;
    candidate->attempt = d->attempts_count++;
    d->attempts[candidate->attempt] =
        (struct tern_dial_attempt){.route = candidate->route, .started_ns = now};
    d->in_flight++;
    s->dials.in_flight++;
    TERN_TRACE(s->config.trace, now, SWARM_ATTEMPT, d->handle, candidate->attempt,
               candidate->route.endpoint.port);
    tern_err err = attempt_reserve(s, candidate);
    if (err != TERN_OK) {
        candidate->state = SWARM_CANDIDATE_DONE;
        attempt_end(s, now, d, candidate, err);
        return;
    }
    candidate->state = SWARM_CANDIDATE_CONNECTING;
    candidate->deadline = tern_time_add(now, s->config.dial_timeout_ns);
    if (tern_transport_on_udp(candidate->route.transport)) {
        attempt_session(s, now, d, candidate);
        return;
    }
    candidate->want_dial = true;
    d->outstanding++;
    dial_want_command(s, d);
}

/* dial_next is the waiting address that is to start first; NULL: none is left. */
static struct swarm_candidate *dial_next(struct swarm_dial *d)
{
    struct swarm_candidate *next = NULL;
    for (uint32_t i = 0; i < d->candidates_count; i++) {
        struct swarm_candidate *candidate = &d->candidates[i];
        if (candidate->state == SWARM_CANDIDATE_WAITING &&
            (next == NULL || candidate->start_at < next->start_at))
            next = candidate;
    }
    return next;
}

/* dial_room: may this dial have one more attempt under way? */
static bool dial_room(struct tern_swarm *s, struct swarm_dial *d)
{
    const struct tern_swarm_limits *limits = &s->config.limits;
    if (limits->dials_per_peer_max != 0 && d->in_flight >= limits->dials_per_peer_max)
        return false;
    if (limits->dials_max == 0 || s->dials.in_flight < limits->dials_max)
        return true;
    s->dials.starved_count += !d->starved;
    d->starved = true;
    return false;
}

static void dial_rearm(struct tern_swarm *s, struct swarm_dial *d, tern_time start_at)
{
    tern_time deadline = tern_time_min(d->deadline, start_at);
    for (uint32_t i = 0; i < d->candidates_count; i++)
        if (d->candidates[i].state == SWARM_CANDIDATE_CONNECTING ||
            d->candidates[i].state == SWARM_CANDIDATE_UPGRADING)
            deadline = tern_time_min(deadline, d->candidates[i].deadline);
    tern_err err = tern_timer_set(&s->timers, &d->timer.timer, deadline);
    TERN_CHECK(err == TERN_OK); /* it is armed: moving never fails */
}

void tern_dials_schedule(struct tern_swarm *s, tern_time now, struct swarm_dial *d)
{
    tern_time start_at = TERN_TIME_NEVER;
    TERN_CHECK(d->state == SWARM_DIAL_ACTIVE);
    for (uint32_t i = 0; i <= d->candidates_count; i++) { /* each starts once */
        struct swarm_candidate *next = dial_next(d);
        if (next == NULL)
            break;
        /* With nothing under way there is nothing to wait for. */
        tern_time due = next->start_at > d->hold_until ? next->start_at : d->hold_until;
        if (d->in_flight > 0 && due > now) {
            start_at = due;
            break;
        }
        if (!dial_room(s, d))
            break;
        attempt_start(s, now, d, next);
    }
    if (d->in_flight == 0 && dial_next(d) == NULL && !tern_dials_names_pending(d)) {
        tern_dials_finish(s, now, d, NULL);
        return;
    }
    dial_rearm(s, d, start_at);
}

void tern_dials_timer(struct tern_swarm *s, tern_time now, struct swarm_dial *d)
{
    bool over = d->deadline <= now;
    for (uint32_t i = 0; i < d->candidates_count; i++) {
        struct swarm_candidate *candidate = &d->candidates[i];
        bool under_way = candidate->state == SWARM_CANDIDATE_CONNECTING ||
                         candidate->state == SWARM_CANDIDATE_UPGRADING;
        if (under_way && (over || candidate->deadline <= now))
            tern_dials_drop(s, now, d, candidate, TERN_ERR_TIMEOUT);
    }
    if (over) {
        d->err = d->err == TERN_OK ? TERN_ERR_TIMEOUT : d->err;
        tern_dials_finish(s, now, d, NULL);
    } else {
        tern_dials_schedule(s, now, d);
    }
}

void tern_dials_wake(struct tern_swarm *s, tern_time now)
{
    s->dials.wake = false;
    TERN_LIST_FOREACH_SAFE (node, next, &s->dials.active) {
        struct swarm_dial *d = TERN_LIST_ENTRY(node, struct swarm_dial, link);
        if (s->dials.starved_count == 0 || s->dials.in_flight >= s->config.limits.dials_max)
            return;
        if (!d->starved)
            continue;
        d->starved = false;
        s->dials.starved_count--;
        tern_dials_schedule(s, now, d);
    }
}

/* --- the world's answers --- */

/* attempt_answered settles what the world owed; NULL: nobody asked, or it does not matter any more.
 */
static struct swarm_dial *attempt_answered(struct tern_swarm *s, tern_token token,
                                           struct swarm_candidate **candidate)
{
    uint32_t i;
    struct swarm_dial *d = tern_dials_of_token(s, SWARM_TOKEN_DIAL, token, &i);
    if (d == NULL || i >= d->candidates_count)
        return NULL;
    struct swarm_candidate *found = &d->candidates[i];
    bool wanted = found->state == SWARM_CANDIDATE_CONNECTING;
    if (!wanted && found->state != SWARM_CANDIDATE_CANCELLED)
        return NULL;
    d->outstanding--;
    if (wanted) {
        *candidate = found;
        return d;
    }
    tern_dials_release(s, found);
    found->state = SWARM_CANDIDATE_DONE;
    found->want_cancel = false;
    if (d->state == SWARM_DIAL_KEPT)
        tern_dials_trim(s);
    return NULL;
}

void tern_dials_linked(struct tern_swarm *s, tern_time now, const struct tern_input *in)
{
    struct swarm_candidate *candidate = NULL;
    struct swarm_dial *d = attempt_answered(s, in->token, &candidate);
    if (d == NULL) {
        tern_conns_reject(s, in->link);
        return;
    }
    struct tern_target target;
    attempt_target(candidate, &target);
    attempt_born(
        s, now, d, candidate,
        &(struct swarm_birth){
            .link = in->link, .local = in->local, .remote = in->remote, .host = target.host});
    /* If it answers, its upgrade gets a chance before the next address is bothered. */
    if (candidate->state == SWARM_CANDIDATE_UPGRADING)
        d->hold_until = tern_time_add(now, 2 * s->config.dial_stagger_ns);
    tern_dials_schedule(s, now, d);
}

void tern_dials_failed(struct tern_swarm *s, tern_time now, const struct tern_input *in)
{
    struct swarm_candidate *candidate = NULL;
    struct swarm_dial *d = attempt_answered(s, in->token, &candidate);
    if (d == NULL)
        return;
    candidate->state = SWARM_CANDIDATE_DONE;
    tern_dials_release(s, candidate);
    attempt_end(s, now, d, candidate, in->err == TERN_OK ? TERN_ERR_IO : in->err);
    tern_dials_schedule(s, now, d);
}

void tern_dials_conn_ended(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    uint32_t i;
    struct swarm_dial *d = tern_dials_of_token(s, SWARM_TOKEN_DIAL, c->dial, &i);
    TERN_CHECK(d != NULL && d->state == SWARM_DIAL_ACTIVE);
    struct swarm_candidate *candidate = &d->candidates[i];
    TERN_CHECK(candidate->state == SWARM_CANDIDATE_UPGRADING && candidate->connection == c->handle);
    c->dial = 0;
    candidate->state = SWARM_CANDIDATE_DONE;
    d->hold_until = 0;
    attempt_end(s, now, d, candidate, c->err == TERN_OK ? TERN_ERR_DISCONNECTED : c->err);
    tern_dials_schedule(s, now, d);
}

/* --- commands --- */

static bool dial_take_command(struct tern_swarm *s, struct swarm_dial *d,
                              struct tern_command *command)
{
    for (uint32_t i = 0; i < d->candidates_count; i++) {
        struct swarm_candidate *candidate = &d->candidates[i];
        if (!candidate->want_dial && !candidate->want_cancel)
            continue;
        *command = (struct tern_command){
            .kind = candidate->want_dial ? TERN_COMMAND_DIAL : TERN_COMMAND_DIAL_CANCEL,
            .token = attempt_token(d, candidate),
            .endpoint = candidate->route.endpoint,
        };
        candidate->want_dial = candidate->want_cancel = false;
        return true;
    }
    for (uint32_t i = 0; i < d->names_count; i++) {
        struct swarm_name *name = &d->names[i];
        struct tern_target target;
        if (!name->want_resolve)
            continue;
        name->want_resolve = false;
        tern_err err = tern_target_of(tern_multiaddr_view(&name->address), &target);
        TERN_CHECK(err == TERN_OK);
        struct tern_writer w = tern_writer_of(s->name, sizeof s->name);
        tern_writer_str(&w, target.kind == TERN_TARGET_DNSADDR ? "_dnsaddr." : "");
        tern_writer_bytes(&w, target.name);
        TERN_CHECK(tern_writer_ok(&w));
        *command = (struct tern_command){
            .kind = TERN_COMMAND_RESOLVE,
            .token = tern_swarm_token_make(
                (struct swarm_token){.kind = SWARM_TOKEN_NAME, .index = i, .handle = d->handle}),
            .resolve = name->resolve,
            .name = tern_writer_view(&w),
        };
        return true;
    }
    return false;
}

bool tern_dials_next_command(struct tern_swarm *s, struct tern_command *command)
{
    struct tern_list *node;
    while ((node = tern_list_front(&s->dials.commands)) != NULL) {
        if (dial_take_command(s, TERN_LIST_ENTRY(node, struct swarm_dial, command), command))
            return true;
        tern_list_remove(node);
    }
    return false;
}
