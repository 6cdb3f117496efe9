/*
 * Dials. A dial is for one peer (or for whoever answers at some addresses) and has any number of
 * callers, each with a token: a second dial to a peer joins the first.
 *
 *   ACTIVE: names resolve, addresses are tried in the order of dial_rank.c, some side by side
 *     │ an attempt is established, or the peer has dialled us meanwhile; or nothing is left; or
 * time is up DONE: services are told in the next dispatch │ KEPT: what was tried can be asked for;
 * freed when 16 newer ones are kept and the world has answered
 *
 * When the peer's own connection arrives while an attempt of ours is being upgraded, the attempt
 * goes on: the remote may at this moment be ending its connection in favour of ours. peers.c then
 * keeps one.
 */
#include "swarm/private.h"

void tern_dials_init(struct tern_swarm *s)
{
    struct swarm_dials *dials = &s->dials;
    const uint64_t key[2] = {tern_random_u64(s->config.random), tern_random_u64(s->config.random)};
    /* Kept dials whose attempts the world has not answered yet come on top; tokens have 16 bits. */
    tern_slots_init(&dials->slots, s->mem, 65535);
    tern_map_init(&dials->by_id, s->mem, key);
    tern_list_init(&dials->active);
    tern_list_init(&dials->done);
    tern_list_init(&dials->kept);
    tern_list_init(&dials->commands);
    dials->token_next = 1;
}

static void dial_free(struct tern_swarm *s, struct swarm_dial *d)
{
    tern_slots_remove(&s->dials.slots, d->handle);
    tern_list_remove(&d->link);
    tern_list_remove(&d->command);
    tern_timer_cancel(&s->timers, &d->timer.timer);
    tern_mem_free(s->mem, d->names, SWARM_DIAL_NAMES_MAX * sizeof d->names[0]);
    for (uint32_t i = 0; i < d->candidates_count; i++)
        tern_mem_free(s->mem, d->candidates[i].address, d->candidates[i].address_size);
    tern_mem_free(s->mem, d->candidates, d->candidates_capacity * sizeof d->candidates[0]);
    tern_dial_rows_fini(s, d);
    tern_mem_free(s->mem, d->tokens, d->tokens_capacity * sizeof d->tokens[0]);
    tern_mem_free(s->mem, d, sizeof *d);
}

static void dials_free_list(struct tern_swarm *s, struct tern_list *list)
{
    struct tern_list *node;
    while ((node = tern_list_front(list)) != NULL) {
        struct swarm_dial *d = TERN_LIST_ENTRY(node, struct swarm_dial, link);
        for (uint32_t i = 0; i < d->candidates_count; i++)
            tern_dials_release(s, &d->candidates[i]);
        if (d->state == SWARM_DIAL_ACTIVE && !tern_peer_id_is_none(&d->id))
            tern_map_remove(&s->dials.by_id, &d->entry);
        dial_free(s, d);
    }
}

void tern_dials_fini(struct tern_swarm *s)
{
    dials_free_list(s, &s->dials.active);
    dials_free_list(s, &s->dials.done);
    dials_free_list(s, &s->dials.kept);
    tern_map_fini(&s->dials.by_id);
    tern_slots_fini(&s->dials.slots);
}

void tern_dials_trim(struct tern_swarm *s)
{
    TERN_LIST_FOREACH_SAFE (node, next, &s->dials.kept) {
        struct swarm_dial *d = TERN_LIST_ENTRY(node, struct swarm_dial, link);
        if (s->dials.kept_count <= SWARM_DIALS_FINISHED_MAX)
            return;
        if (d->outstanding > 0)
            continue;
        s->dials.kept_count--;
        dial_free(s, d);
    }
}

static tern_err dial_add_token(struct tern_swarm *s, struct swarm_dial *d, tern_token token)
{
    if (d->tokens_count == d->tokens_capacity) {
        uint32_t capacity = d->tokens_capacity == 0 ? 2 : d->tokens_capacity * 2;
        if (capacity > SWARM_DIAL_TOKENS_MAX)
            return TERN_ERR_FULL;
        tern_token *grown = tern_mem_realloc(
            s->mem, d->tokens, d->tokens_capacity * sizeof grown[0], capacity * sizeof grown[0]);
        if (grown == NULL)
            return TERN_ERR_MEMORY;
        d->tokens = grown;
        d->tokens_capacity = capacity;
    }
    d->tokens[d->tokens_count++] = token;
    return TERN_OK;
}

/* dial_new makes an active dial with one token and nothing to try yet. */
static tern_err dial_new(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id,
                         struct swarm_dial **out)
{
    uint32_t max = s->config.limits.dials_waiting_max;
    if (max != 0 && s->dials.active_count >= max) {
        tern_limits_refuse_number(s, TERN_LIMIT_DIALS_WAITING, s->dials.active_count, NULL);
        return TERN_ERR_FULL;
    }
    struct swarm_dial *d = tern_mem_zalloc(s->mem, sizeof *d);
    if (d == NULL)
        return TERN_ERR_MEMORY;
    d->timer.kind = SWARM_TIMER_DIAL;
    tern_timer_init(&d->timer.timer);
    tern_list_init(&d->link);
    tern_list_init(&d->command);
    tern_list_init(&d->addresses);
    d->deadline = tern_time_add(now, s->config.dial_peer_timeout_ns);
    tern_err err = tern_slots_add(&s->dials.slots, d, &d->handle);
    if (err == TERN_OK) {
        err = tern_timer_set(&s->timers, &d->timer.timer, d->deadline);
        if (err == TERN_OK && id != NULL) {
            d->id = *id;
            err = tern_map_insert(&s->dials.by_id, &d->entry, tern_peer_id_view(&d->id));
        }
        if (err != TERN_OK) {
            tern_timer_cancel(&s->timers, &d->timer.timer);
            tern_slots_remove(&s->dials.slots, d->handle);
        }
    }
    if (err != TERN_OK) {
        tern_mem_free(s->mem, d, sizeof *d);
        return err;
    }
    tern_list_push_back(&s->dials.active, &d->link);
    s->dials.active_count++;
    *out = d;
    return TERN_OK;
}

/* dial_stop takes an active dial out of the tables of active ones. */
static void dial_stop(struct tern_swarm *s, struct swarm_dial *d)
{
    TERN_CHECK(d->state == SWARM_DIAL_ACTIVE);
    if (!tern_peer_id_is_none(&d->id))
        tern_map_remove(&s->dials.by_id, &d->entry);
    tern_list_remove(&d->link);
    tern_timer_cancel(&s->timers, &d->timer.timer);
    s->dials.active_count--;
    s->dials.starved_count -= d->starved;
    d->starved = false;
    tern_mem_free(s->mem, d->names, SWARM_DIAL_NAMES_MAX * sizeof d->names[0]);
    d->names = NULL;
    d->names_count = 0;
}

static void dial_keep(struct tern_swarm *s, struct swarm_dial *d)
{
    d->state = SWARM_DIAL_KEPT;
    tern_list_push_back(&s->dials.kept, &d->link);
    s->dials.kept_count++;
    tern_dials_trim(s);
}

/* dial_refuse undoes a dial that could not begin; if it can tell why, it is kept for that. */
static tern_err dial_refuse(struct tern_swarm *s, struct swarm_dial *d, tern_err err)
{
    dial_stop(s, d);
    if (d->attempts_count > 0)
        dial_keep(s, d);
    else
        dial_free(s, d);
    return err;
}

/* dial_not_needed tells of an address whose turn did not come. */
static void dial_not_needed(struct swarm_dial *d, struct swarm_candidate *candidate, tern_err err)
{
    candidate->state = SWARM_CANDIDATE_DONE;
    d->waiting_count--;
    d->attempts[d->attempts_count++] =
        (struct tern_dial_attempt){.route = candidate->route, .err = err};
}

/* dial_lost: an attempt that began no later than the winner and was not answered before that was
 * proves that nothing comes back from there, as far as one can. */
static void dial_lost(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                      const struct tern_dial_attempt *row, const struct swarm_conn *winner)
{
    for (uint32_t i = 0; winner != NULL && winner->outbound && i < d->candidates_count; i++) {
        const struct swarm_candidate *won = &d->candidates[i];
        if (won->connection == winner->handle && !tern_dial_row_reached(row) &&
            row->started_ns <= d->attempts[won->attempt].started_ns)
            tern_black_holes_result(s, now, &row->route, false);
    }
}

static void dial_finish_losers(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                               const struct swarm_conn *winner)
{
    bool inbound = winner != NULL && !winner->outbound;
    for (uint32_t i = 0; i < d->candidates_count; i++) {
        struct swarm_candidate *candidate = &d->candidates[i];
        if (candidate->state == SWARM_CANDIDATE_WAITING) {
            dial_not_needed(d, candidate, winner != NULL ? TERN_ERR_CLOSED : d->err);
            continue;
        }
        struct tern_dial_attempt *row = &d->attempts[candidate->attempt];
        if (candidate->state == SWARM_CANDIDATE_UPGRADING &&
            (inbound || (winner != NULL && candidate->connection == winner->handle))) {
            /* The winner, or an attempt that goes on without us (see above). */
            struct swarm_conn *c = tern_conns_find(s, candidate->connection);
            TERN_CHECK(c != NULL);
            c->dial = 0;
            row->ended_ns = now;
            row->err = c == winner ? TERN_OK : TERN_ERR_CLOSED;
            if (c == winner && tern_transport_on_udp(row->route.transport))
                tern_black_holes_result(s, now, &row->route, true);
            candidate->state = SWARM_CANDIDATE_DONE;
            d->in_flight--;
            s->dials.in_flight--;
        } else if (candidate->state == SWARM_CANDIDATE_CONNECTING ||
                   candidate->state == SWARM_CANDIDATE_UPGRADING) {
            dial_lost(s, now, d, row, winner);
            tern_dials_drop(s, now, d, candidate, TERN_ERR_CLOSED);
        }
    }
    for (uint32_t i = 0; i < d->names_count; i++)
        if (d->names[i].pending)
            tern_dial_rows_skip(
                s, d,
                &(struct tern_dial_attempt){.address = tern_multiaddr_view(&d->names[i].address),
                                            .err = winner != NULL ? TERN_ERR_CLOSED : d->err});
    s->dials.wake = s->dials.starved_count > 0;
}

/* dial_remember: the peer has proved that it is to be found at this address. */
static void dial_remember(struct tern_swarm *s, tern_time now, const struct swarm_dial *d,
                          const struct swarm_conn *winner)
{
    const struct swarm_candidate *candidate = NULL;
    struct tern_multiaddr address;
    for (uint32_t i = 0; i < d->candidates_count; i++)
        if (d->candidates[i].connection == winner->handle)
            candidate = &d->candidates[i];
    if (candidate == NULL)
        return; /* another dial's */
    tern_backoffs_worked(s, &candidate->route);
    if (candidate->address == NULL)
        tern_route_multiaddr(&candidate->route, &address);
    else if (tern_multiaddr_decode(tern_view_of(candidate->address, candidate->address_size),
                                   &address) != TERN_OK)
        return; /* longer than what is kept of others' */
    tern_swarm_add_address(s, now, tern_conn_remote(winner->core)->peer_id, &address,
                           TERN_ADDR_IDENTIFY);
}

void tern_dials_finish(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                       const struct swarm_conn *winner)
{
    dial_finish_losers(s, now, d, winner);
    dial_stop(s, d);
    TERN_CHECK(d->in_flight == 0);
    if (winner != NULL) {
        d->err = TERN_OK;
        d->id = *tern_conn_remote(winner->core)->peer_id;
        if (winner->outbound)
            dial_remember(s, now, d, winner);
    } else {
        d->err = d->err == TERN_OK ? TERN_ERR_NO_ADDRESS : d->err;
        tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_DIAL_ERRORS, 1);
        if (!tern_peer_id_is_none(&d->id))
            tern_book_dial_failed(s, now, &d->id);
    }
    TERN_TRACE(s->config.trace, now, SWARM_DIAL_DONE, d->handle, d->err, d->attempts_count);
    d->state = SWARM_DIAL_DONE;
    tern_list_push_back(&s->dials.done, &d->link);
}

static struct swarm_dial *dials_find(const struct tern_swarm *s, const struct tern_peer_id *id)
{
    struct tern_map_entry *entry = tern_map_find(&s->dials.by_id, tern_peer_id_view(id));
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct swarm_dial, entry);
}

void tern_dials_connected(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    struct swarm_dial *d = dials_find(s, tern_conn_remote(c->core)->peer_id);
    if (d != NULL)
        tern_dials_finish(s, now, d, c);
    if (c->dial == 0)
        return;
    /* It was dialled without knowing whom. */
    uint32_t index;
    d = tern_dials_of_token(s, SWARM_TOKEN_DIAL, c->dial, &index);
    TERN_CHECK(d != NULL && d->state == SWARM_DIAL_ACTIVE);
    tern_dials_finish(s, now, d, c);
}

bool tern_dials_tell_done(struct tern_swarm *s, tern_time now)
{
    struct tern_list *node = tern_list_pop_front(&s->dials.done);
    if (node == NULL)
        return false;
    struct swarm_dial *d = TERN_LIST_ENTRY(node, struct swarm_dial, link);
    struct tern_swarm_event news = {
        .kind = TERN_SWARM_DIAL_DONE,
        .err = d->err,
        .peer_id = tern_peer_id_is_none(&d->id) ? NULL : &d->id,
    };
    s->dials.telling = d;
    for (uint32_t i = 0; i < d->tokens_count; i++) {
        news.token = d->tokens[i];
        if (tern_breakers_dialled(s, now, news.token))
            continue; /* of a kept peer: that is nobody else's affair */
        news.peer = d->err == TERN_OK ? tern_swarm_find_peer(s, &d->id) : 0;
        if (d->err == TERN_OK && news.peer == 0)
            news.err = TERN_ERR_DISCONNECTED; /* it has gone again already */
        tern_swarm_tell_all(s, now, &news);
    }
    s->dials.telling = NULL;
    dial_keep(s, d);
    return true;
}

void tern_dials_cancel_all(struct tern_swarm *s, tern_time now)
{
    struct tern_list *node;
    while ((node = tern_list_front(&s->dials.active)) != NULL) {
        struct swarm_dial *d = TERN_LIST_ENTRY(node, struct swarm_dial, link);
        d->err = TERN_ERR_CLOSED;
        tern_dials_finish(s, now, d, NULL);
    }
}

/* --- the request --- */

/* dial_reason keeps the error that tells most: of the caller's addresses the first, and a gate or a
 * back-off rather than an address that cannot be used. */
static tern_err dial_reason(tern_err known, tern_err err)
{
    if (err == TERN_OK || err == TERN_ERR_EXISTS)
        return known;
    if (known == TERN_OK || known == TERN_ERR_INVALID || known == TERN_ERR_UNSUPPORTED)
        return err;
    return known;
}

static tern_err dial_gather(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                            const struct tern_dial_options *options)
{
    tern_err reason = TERN_OK;
    for (size_t i = 0; i < options->addresses_count; i++) {
        tern_err err =
            tern_dials_add_address(s, now, d, tern_multiaddr_view(&options->addresses[i]),
                                   (struct swarm_origin){.chosen = true});
        reason = dial_reason(reason, err);
    }
    struct book_entry *known =
        tern_peer_id_is_none(&d->id) ? NULL : tern_book_entry_find(s, &d->id);
    for (size_t i = 0; known != NULL && i < known->addrs_count; i++) {
        const struct book_addr *addr = &known->addrs[i];
        if (addr->expires_at <= now)
            continue;
        tern_err err = tern_dials_add_address(s, now, d, tern_view_of(addr->bytes, addr->size),
                                              (struct swarm_origin){.chosen = options->insist});
        reason = dial_reason(reason, err);
    }
    if (d->candidates_count > 0 || d->names_count > 0)
        return TERN_OK;
    return reason == TERN_OK || reason == TERN_ERR_INVALID ? TERN_ERR_NO_ADDRESS : reason;
}

/* dial_target finds out whom: the id that was given, or the one that the addresses name. */
static bool dial_target(const struct tern_dial_options *options, struct tern_peer_id *id)
{
    if (options->id != NULL) {
        *id = *options->id;
        return true;
    }
    for (size_t i = 0; i < options->addresses_count; i++)
        if (tern_multiaddr_peer_id(tern_multiaddr_view(&options->addresses[i]), id))
            return true;
    *id = (struct tern_peer_id){.size = 0};
    return false;
}

static bool dial_connected(const struct tern_swarm *s, const struct tern_peer_id *id)
{
    const struct swarm_peer *peer = tern_peers_find(s, id);
    return peer != NULL && tern_peers_best(peer) != NULL;
}

/* dial_join adds a caller to a dial under way, and its addresses to what is tried. */
static tern_err dial_join(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                          const struct tern_dial_options *options)
{
    TERN_TRY(dial_add_token(s, d, options->token));
    uint32_t before = d->candidates_count;
    tern_err err = dial_gather(s, now, d, options);
    (void)err; /* new addresses are welcome; that there are none is no reason to refuse */
    if (d->candidates_count > before)
        tern_dials_rank(s, now, d);
    tern_dials_schedule(s, now, d);
    return TERN_OK;
}

tern_err tern_swarm_dial(struct tern_swarm *s, tern_time now,
                         const struct tern_dial_options *options)
{
    struct tern_peer_id id;
    struct swarm_dial *d = NULL;
    if (s->down)
        return TERN_ERR_CLOSED;
    bool known = dial_target(options, &id);
    if (!known && options->addresses_count == 0)
        return TERN_ERR_NO_ADDRESS;
    if (known && tern_peer_id_equal(&id, &s->own_id))
        return TERN_ERR_SELF;
    if (known && tern_swarm_banned(s, now, &id))
        return TERN_ERR_RATE;
    d = known ? dials_find(s, &id) : NULL;
    if (d != NULL)
        return dial_join(s, now, d, options);
    TERN_TRY(dial_new(s, now, known ? &id : NULL, &d));
    tern_err err = dial_add_token(s, d, options->token);
    if (err != TERN_OK)
        return dial_refuse(s, d, err);
    if (known && dial_connected(s, &id)) {
        dial_stop(s, d);
        d->state = SWARM_DIAL_DONE;
        tern_list_push_back(&s->dials.done, &d->link);
        return TERN_OK;
    }
    err = dial_gather(s, now, d, options);
    if (err != TERN_OK)
        return dial_refuse(s, d, err);
    TERN_TRACE(s->config.trace, now, SWARM_DIAL, d->handle, d->candidates_count, d->names_count);
    tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_DIALS, 1);
    tern_dials_rank(s, now, d);
    tern_dials_schedule(s, now, d);
    return TERN_OK;
}

tern_token tern_swarm_token(struct tern_swarm *s)
{
    return s->dials.token_next++;
}

static bool dial_has_token(const struct swarm_dial *d, tern_token token)
{
    for (uint32_t i = 0; i < d->tokens_count; i++)
        if (d->tokens[i] == token)
            return true;
    return false;
}

/* dials_with_token finds the newest dial of a caller in one list. */
static const struct swarm_dial *dials_with_token(const struct tern_list *list, tern_token token)
{
    for (const struct tern_list *node = list->prev; node != list; node = node->prev) {
        const struct swarm_dial *d =
            (const struct swarm_dial *)(const void *)((const char *)node -
                                                      offsetof(struct swarm_dial, link));
        if (dial_has_token(d, token))
            return d;
    }
    return NULL;
}

size_t tern_swarm_dial_attempts(const struct tern_swarm *s, tern_token token,
                                const struct tern_dial_attempt **attempts)
{
    const struct swarm_dial *d = dials_with_token(&s->dials.active, token);
    if (d == NULL)
        d = dials_with_token(&s->dials.done, token);
    if (d == NULL && s->dials.telling != NULL && dial_has_token(s->dials.telling, token))
        d = s->dials.telling;
    if (d == NULL)
        d = dials_with_token(&s->dials.kept, token);
    *attempts = d == NULL ? NULL : d->attempts;
    return d == NULL ? 0 : d->attempts_count;
}
