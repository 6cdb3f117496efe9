/*
 * How links begin: listeners and dials. A dial is a round trip: SYN over, answer back; DIALED then.
 * The listener hears of it (ACCEPTED) with the first segment behind that, as accept does.
 *
 *     t            SYN leaves          t + latency      listener there?  answer leaves
 *     t + 1 RTT    DIALED or REFUSED   t + 1.5 RTT      ACCEPTED
 */
#include "base/check.h"
#include "runtime/sim/world_private.h"

/* The first repetition of a SYN comes after a second, the others after twice the time before. */
static const tern_time dial_syn_repeat_ns = TERN_SECOND;
enum { DIAL_SYN_TRIES_MAX = 6, PORT_EPHEMERAL_FIRST = 32768, PORT_EPHEMERAL_LAST = 60999 };

/* --- listeners --- */

static const struct sim_listener *listener_find(const struct sim_node *node, uint8_t family,
                                                uint16_t port)
{
    for (size_t i = 0; i < node->listeners_count; i++) {
        if (node->listeners[i].family == family && node->listeners[i].port == port)
            return &node->listeners[i];
    }
    return NULL;
}

uint16_t sim_port_take(struct sim_node *node)
{
    if (node->port_next < PORT_EPHEMERAL_FIRST || node->port_next > PORT_EPHEMERAL_LAST)
        node->port_next = PORT_EPHEMERAL_FIRST;
    return node->port_next++;
}

static tern_err listen_check(const struct sim_node *node, const struct tern_endpoint *endpoint)
{
    if (endpoint->family != 4 && endpoint->family != 6)
        return TERN_ERR_UNREACHABLE;
    if (!sim_net_any(endpoint) && sim_net_find(node->world, endpoint) != node)
        return TERN_ERR_UNREACHABLE;
    if (endpoint->port != 0 && listener_find(node, endpoint->family, endpoint->port) != NULL)
        return TERN_ERR_EXISTS;
    return node->listeners_count == SIM_LISTENERS_MAX ? TERN_ERR_SCOPE_FDS : TERN_OK;
}

void sim_listen(struct sim_node *node, const struct tern_command *command)
{
    struct tern_input in = {.kind = TERN_INPUT_LISTENING,
                            .token = command->token,
                            .local = command->endpoint,
                            .err = listen_check(node, &command->endpoint)};
    if (in.err != TERN_OK) {
        in.kind = TERN_INPUT_LISTEN_FAIL;
        sim_node_input(node, &in);
        return;
    }
    if (in.local.port == 0)
        in.local.port = sim_port_take(node);
    node->listeners[node->listeners_count++] = (struct sim_listener){
        .token = command->token, .family = in.local.family, .port = in.local.port};
    sim_node_input(node, &in);
}

void sim_unlisten(struct sim_node *node, tern_token token)
{
    for (size_t i = 0; i < node->listeners_count; i++) {
        if (node->listeners[i].token != token)
            continue;
        node->listeners_count--;
        memmove(&node->listeners[i], &node->listeners[i + 1],
                (node->listeners_count - i) * sizeof(node->listeners[0]));
        return;
    }
}

/* --- dials --- */

static tern_time dial_repeat(const struct sim_link *link)
{
    return dial_syn_repeat_ns << link->syn_tries;
}

/* dial_try sends a SYN; if it is lost, as packets may be, it is sent again. */
static void dial_try(struct sim_link *link, tern_time from)
{
    struct sim_end *dialer = &link->ends[0];
    while (link->syn_tries < DIAL_SYN_TRIES_MAX &&
           sim_rng_below(&dialer->rng, 1000000) < dialer->path.loss_ppm) {
        from += dial_repeat(link);
        link->syn_tries++;
    }
    sim_link_event(link, from + sim_end_delay(dialer), SIM_EVENT_SYN, 0, 0);
}

void sim_dial(struct sim_node *node, const struct tern_command *command)
{
    struct sim_world *world = node->world;
    const struct tern_endpoint *endpoint = &command->endpoint;
    bool valid = (endpoint->family == 4 || endpoint->family == 6) && endpoint->port != 0 &&
                 !sim_net_any(endpoint);
    struct sim_node *target = valid ? sim_net_find(world, endpoint) : NULL;
    struct sim_link *link = sim_link_new(node, target);
    uint16_t port = sim_port_take(node);
    link->dial_token = command->token;
    link->dialer_local = sim_net_endpoint(node, endpoint->family, port);
    link->endpoints[0] = sim_nat_seen_as(node, endpoint->family, port);
    link->endpoints[1] = *endpoint;
    tern_list_push_back(&node->dials, &link->dial);
    if (!valid) {
        sim_link_event(link, world->now, SIM_EVENT_DIAL_FAIL, 0, TERN_ERR_UNREACHABLE);
        return;
    }
    sim_link_event(link, world->now + world->options.connect_timeout_ns, SIM_EVENT_DIAL_FAIL, 0,
                   TERN_ERR_TIMEOUT);
    if (target != NULL)
        dial_try(link, world->now);
}

void sim_dial_cancel(struct sim_node *node, tern_token token)
{
    TERN_LIST_FOREACH (at, &node->dials) {
        struct sim_link *link = TERN_LIST_ENTRY(at, struct sim_link, dial);
        if (link->dial_token != token)
            continue;
        sim_link_event(link, node->world->now, SIM_EVENT_DIAL_FAIL, 0, TERN_ERR_CLOSED);
        return;
    }
}

static bool dial_is_alive(const struct sim_link *link)
{
    return !link->dial_over && link->ends[0].state == SIM_END_PENDING;
}

static void dial_again(struct sim_link *link)
{
    if (link->syn_tries >= DIAL_SYN_TRIES_MAX)
        return; /* the time-out ends it */
    tern_time from = link->world->now + dial_repeat(link);
    link->syn_tries++;
    dial_try(link, from);
}

void sim_dial_syn(struct sim_link *link)
{
    const struct sim_node *dialer = link->ends[0].node;
    struct sim_node *target = link->ends[1].node;
    if (!dial_is_alive(link) || target->options.inbound == SIM_INBOUND_DROPPED)
        return;
    bool dark = !target->up && target->crashed == SIM_CRASH_HOST;
    if (dark || !sim_net_passes(link->world, dialer, target)) {
        dial_again(link);
        return;
    }
    const struct tern_endpoint *at = &link->endpoints[1];
    const struct sim_listener *listener = NULL;
    if (target->up)
        listener = listener_find(target, at->family, at->port);
    if (listener != NULL) {
        link->listen_token = listener->token;
        link->ends[1].incarnation = target->incarnation;
    }
    sim_link_event(link, link->world->now + sim_end_delay(&link->ends[1]), SIM_EVENT_SYN_ANSWER, 0,
                   listener != NULL);
}

void sim_dial_fail(struct sim_link *link, tern_err err)
{
    if (!dial_is_alive(link))
        return;
    struct sim_end *dialer = &link->ends[0];
    link->dial_over = true;
    dialer->state = SIM_END_CLOSED;
    tern_list_remove(&link->dial);
    link->world->counters.dials_failed++;
    sim_node_input(
        dialer->node,
        &(struct tern_input){.kind = TERN_INPUT_DIAL_FAIL, .token = link->dial_token, .err = err});
    sim_node_pump(dialer->node);
}

void sim_dial_answer(struct sim_link *link, bool accepted)
{
    struct sim_end *dialer = &link->ends[0];
    if (!dial_is_alive(link))
        return;
    if (!sim_net_passes(link->world, link->ends[1].node, dialer->node)) {
        dial_again(link);
        return;
    }
    if (!accepted) {
        sim_dial_fail(link, TERN_ERR_REFUSED);
        return;
    }
    link->dial_over = true;
    tern_list_remove(&link->dial);
    sim_end_open(dialer);
    dialer->round_trips++;
    sim_end_post(dialer, SIM_SEGMENT_OPEN, tern_view_of(NULL, 0));
    sim_node_input(dialer->node, &(struct tern_input){.kind = TERN_INPUT_DIALED,
                                                      .token = link->dial_token,
                                                      .link = dialer->id,
                                                      .local = link->dialer_local,
                                                      .remote = link->endpoints[1]});
    sim_node_pump(dialer->node);
}

/* The OPEN segment came: the listener's end begins, if the listener is still there. */
void sim_dial_accept(struct sim_link *link)
{
    struct sim_end *end = &link->ends[1];
    struct sim_node *node = end->node;
    const struct tern_endpoint *at = &link->endpoints[1];
    const struct sim_listener *listener = NULL;
    if (node->up && node->incarnation == end->incarnation)
        listener = listener_find(node, at->family, at->port);
    if (listener == NULL || listener->token != link->listen_token) {
        end->state = SIM_END_CLOSED;
        sim_end_send_reset(end);
        return;
    }
    sim_end_open(end);
    sim_node_input(node, &(struct tern_input){.kind = TERN_INPUT_ACCEPTED,
                                              .token = link->listen_token,
                                              .link = end->id,
                                              .local = link->endpoints[1],
                                              .remote = link->endpoints[0]});
}

void sim_dial_drop_all(struct sim_node *node)
{
    for (struct tern_list *at = tern_list_pop_front(&node->dials); at != NULL;
         at = tern_list_pop_front(&node->dials)) {
        struct sim_link *link = TERN_LIST_ENTRY(at, struct sim_link, dial);
        link->dial_over = true;
        link->ends[0].state = SIM_END_CLOSED;
        sim_link_reap(link);
    }
}
