/* What a dial has to try: routes, and names that lead to routes. Each list is bounded, so a name
 * that leads to names that lead to names ends. */
#include "swarm/private.h"

enum { DIAL_CANDIDATES_FIRST = 4 };

static const char dial_dnsaddr_prefix[] = "dnsaddr=";

/* dial_grow doubles one of the dial's arrays. */
static tern_err dial_grow(struct tern_swarm *s, void **array, uint32_t *capacity, size_t size)
{
    uint32_t grown_capacity = *capacity == 0 ? DIAL_CANDIDATES_FIRST : *capacity * 2;
    if (grown_capacity > TERN_DIAL_ATTEMPTS_MAX)
        return TERN_ERR_FULL;
    void *grown = tern_mem_realloc(s->mem, *array, *capacity * size, grown_capacity * size);
    if (grown == NULL)
        return TERN_ERR_MEMORY;
    *array = grown;
    *capacity = grown_capacity;
    return TERN_OK;
}

/* dial_reserve makes room for one more address, and for its row. */
static tern_err dial_reserve(struct tern_swarm *s, struct swarm_dial *d)
{
    if (d->candidates_count == d->candidates_capacity) {
        void *array = d->candidates;
        TERN_TRY(dial_grow(s, &array, &d->candidates_capacity, sizeof d->candidates[0]));
        d->candidates = array;
    }
    return tern_dial_rows_reserve(s, d);
}

/* One way to the peer: the route, and the address it comes from. */
struct dial_way {
    struct tern_route route;
    struct tern_view address;
    bool chosen;
};

/* dial_wants_address: does the transport want to know more than the route, a name or hashes? */
static bool dial_wants_address(enum tern_transport transport)
{
    return transport != TERN_TRANSPORT_TCP && transport != TERN_TRANSPORT_QUIC;
}

/* dial_judge: may this way be tried? If not, *row says why. */
static tern_err dial_judge(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                           const struct dial_way *way, struct tern_dial_attempt *row)
{
    const struct tern_peer_id *id = tern_peer_id_is_none(&d->id) ? NULL : &d->id;
    *row = (struct tern_dial_attempt){.route = way->route, .address = way->address};
    row->outside_network = tern_transports_outside_network(s, way->route.transport);
    if (!tern_transports_supports(s, way->route.transport))
        return TERN_ERR_UNSUPPORTED;
    if (!tern_gate_allows(s, &way->route.endpoint, id))
        return TERN_ERR_GATED;
    if (way->chosen)
        return TERN_OK;
    row->until = tern_backoffs_until(s, now, &way->route);
    if (row->until != 0)
        return TERN_ERR_RATE;
    row->black_holes = tern_black_holes_asked(s, &way->route, &d->holes_asked, &d->holes_allowed);
    return row->black_holes == 0 ? TERN_OK : TERN_ERR_BLACK_HOLE;
}

static tern_err dial_add_route(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                               const struct dial_way *way)
{
    struct swarm_candidate candidate = {.route = way->route};
    struct tern_dial_attempt row;
    for (uint32_t i = 0; i < d->candidates_count; i++)
        if (tern_route_equal(&d->candidates[i].route, &way->route))
            return TERN_ERR_EXISTS;
    row.err = dial_judge(s, now, d, way, &row);
    if (row.err != TERN_OK) {
        tern_err err = row.err;
        tern_dial_rows_skip(s, d, &row);
        return err;
    }
    TERN_TRY(dial_reserve(s, d));
    if (dial_wants_address(way->route.transport)) {
        candidate.address = tern_mem_dup(s->mem, way->address);
        if (candidate.address == NULL)
            return TERN_ERR_MEMORY;
        candidate.address_size = (uint16_t)way->address.size;
    }
    d->candidates[d->candidates_count++] = candidate;
    d->waiting_count++;
    return TERN_OK;
}

/* dial_skip tells of an address that has no route. */
static tern_err dial_skip(struct tern_swarm *s, struct swarm_dial *d, struct tern_view addr,
                          tern_err err)
{
    tern_dial_rows_skip(s, d, &(struct tern_dial_attempt){.address = addr, .err = err});
    return err;
}

static tern_err dial_skip_transport(struct tern_swarm *s, struct swarm_dial *d,
                                    struct tern_view addr, enum tern_transport transport)
{
    const struct tern_dial_attempt row = {
        .address = addr,
        .err = TERN_ERR_UNSUPPORTED,
        .outside_network = tern_transports_outside_network(s, transport),
    };
    tern_dial_rows_skip(s, d, &row);
    return row.err;
}

static tern_err dial_add_name(struct tern_swarm *s, struct swarm_dial *d, struct tern_view addr,
                              const struct swarm_name *name)
{
    if (name->depth >= SWARM_DIAL_NAME_DEPTH_MAX || d->names_count == SWARM_DIAL_NAMES_MAX)
        return TERN_ERR_FULL;
    if (d->names == NULL)
        d->names = tern_mem_zalloc(s->mem, SWARM_DIAL_NAMES_MAX * sizeof d->names[0]);
    if (d->names == NULL)
        return TERN_ERR_MEMORY;
    for (uint32_t i = 0; i < d->names_count; i++)
        if (tern_view_equal(tern_multiaddr_view(&d->names[i].address), addr))
            return TERN_ERR_EXISTS;
    struct swarm_name *place = &d->names[d->names_count];
    *place = *name;
    TERN_TRY(tern_multiaddr_decode(addr, &place->address));
    place->want_resolve = true;
    place->pending = true;
    d->names_count++;
    if (!tern_list_linked(&d->command))
        tern_list_push_back(&s->dials.commands, &d->command);
    return TERN_OK;
}

tern_err tern_dials_add_address(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                                struct tern_view addr, struct swarm_origin origin)
{
    struct tern_target target;
    tern_err err = tern_target_of(addr, &target);
    if (err != TERN_OK)
        return dial_skip(s, d, addr, err);
    if (!tern_peer_id_is_none(&target.id) && !tern_peer_id_is_none(&d->id) &&
        !tern_peer_id_equal(&target.id, &d->id))
        return dial_skip(s, d, addr, TERN_ERR_INVALID);
    /* Without a hash a certificate would have to be some authority's, which nobody here knows. */
    if (target.route.transport == TERN_TRANSPORT_WEBTRANSPORT && target.hashes.size == 0)
        return dial_skip_transport(s, d, addr, target.route.transport);
    if (target.kind == TERN_TARGET_ENDPOINT)
        return dial_add_route(
            s, now, d,
            &(struct dial_way){.route = target.route, .address = addr, .chosen = origin.chosen});
    if (target.kind == TERN_TARGET_NAME && !tern_transports_supports(s, target.route.transport))
        return dial_skip_transport(s, d, addr, target.route.transport);
    const struct swarm_name name = {
        .resolve = target.resolve,
        .chosen = origin.chosen,
        .depth = (uint8_t)(origin.depth + 1),
    };
    return dial_add_name(s, d, addr, &name);
}

void tern_dials_rank(struct tern_swarm *s, tern_time now, struct swarm_dial *d)
{
    struct tern_route routes[TERN_DIAL_ATTEMPTS_MAX] = {0};
    tern_time delays[TERN_DIAL_ATTEMPTS_MAX];
    struct swarm_candidate *waiting[TERN_DIAL_ATTEMPTS_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < d->candidates_count; i++)
        if (d->candidates[i].state == SWARM_CANDIDATE_WAITING) {
            waiting[count] = &d->candidates[i];
            routes[count++] = d->candidates[i].route;
        }
    tern_dial_rank(routes, count, s->config.dial_stagger_ns, delays);
    /* Newcomers wait for what is under way, as a second address does. */
    tern_time base = d->in_flight == 0 ? now : tern_time_add(now, s->config.dial_stagger_ns);
    for (size_t i = 0; i < count; i++)
        waiting[i]->start_at = tern_time_add(base, delays[i]);
}

bool tern_dials_names_pending(const struct swarm_dial *d)
{
    for (uint32_t i = 0; i < d->names_count; i++)
        if (d->names[i].pending)
            return true;
    return false;
}

/* dial_take_text takes one TXT record of a dnsaddr. A record is a remote's bytes: what cannot be
 * read or leads to another peer is passed over. */
static tern_err dial_take_text(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                               struct tern_view text, struct swarm_origin origin)
{
    const size_t prefix_size = sizeof dial_dnsaddr_prefix - 1;
    struct tern_multiaddr address;
    if (text.size <= prefix_size || memcmp(text.data, dial_dnsaddr_prefix, prefix_size) != 0)
        return TERN_ERR_INVALID;
    TERN_TRY(tern_multiaddr_parse(tern_view_of(text.data + prefix_size, text.size - prefix_size),
                                  &address, NULL));
    return tern_dials_add_address(s, now, d, tern_multiaddr_view(&address), origin);
}

/* dial_take_endpoint takes one address of a name. */
static tern_err dial_take_endpoint(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                                   const struct swarm_name *name,
                                   const struct tern_endpoint *endpoint)
{
    struct tern_target target;
    struct tern_view address = tern_multiaddr_view(&name->address);
    tern_err err = tern_target_of(address, &target);
    TERN_CHECK(err == TERN_OK);
    uint16_t port = target.route.endpoint.port;
    target.route.endpoint = *endpoint;
    target.route.endpoint.port = port;
    return dial_add_route(
        s, now, d,
        &(struct dial_way){.route = target.route, .address = address, .chosen = name->chosen});
}

static void dial_note(struct swarm_dial *d, tern_err err)
{
    if (err != TERN_OK && err != TERN_ERR_EXISTS && d->err == TERN_OK)
        d->err = err;
}

void tern_dials_resolved(struct tern_swarm *s, tern_time now, const struct tern_input *in)
{
    uint32_t index;
    struct swarm_dial *d = tern_dials_of_token(s, SWARM_TOKEN_NAME, in->token, &index);
    if (d == NULL || d->state != SWARM_DIAL_ACTIVE || index >= d->names_count ||
        !d->names[index].pending)
        return;
    struct swarm_name *name = &d->names[index];
    name->pending = false;
    const struct swarm_origin origin = {.chosen = name->chosen, .depth = name->depth};
    dial_note(d, in->err);
    if (in->err != TERN_OK)
        (void)dial_skip(s, d, tern_multiaddr_view(&name->address), in->err);
    for (size_t i = 0; in->err == TERN_OK && i < in->resolved_count; i++) {
        tern_err err;
        if (name->resolve == TERN_RESOLVE_TXT) {
            err = dial_take_text(s, now, d, in->texts[i], origin);
        } else {
            err = dial_take_endpoint(s, now, d, name, &in->endpoints[i]);
        }
        if (err == TERN_ERR_GATED || err == TERN_ERR_RATE || err == TERN_ERR_BLACK_HOLE ||
            err == TERN_ERR_MEMORY)
            dial_note(d, err);
    }
    tern_dials_rank(s, now, d);
    tern_dials_schedule(s, now, d);
}
