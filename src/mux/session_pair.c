#include "mux/session_pair.h"

/* Both sides are silent when nothing is due for so long. */
static const tern_time PAIR_SILENCE_NS = TERN_SECOND;
static const tern_time PAIR_CONNECT_NS = 20 * TERN_SECOND;

static void pair_accept(struct session_pair *pair, size_t node)
{
    const struct session_pair_end *end = &pair->ends[node];
    const struct tern_session_transport *transport = &pair->world.nodes[node].transport;
    struct tern_mux *mux = &pair->sessions[node].mux;
    /* The first one may have begun with a packet that was harmed on its way. */
    if (mux->ops != NULL && !pair->connected && mux->ops->error(mux->self) != TERN_OK) {
        mux->ops->fini(mux->self);
        mux->ops = NULL;
    }
    if (mux->ops != NULL) {
        transport->ops->refuse(transport->self, pair->world.now, TERN_SESSION_IGNORE);
        return;
    }
    tern_err err = transport->ops->accept(transport->self, pair->world.now, end->scope, 1,
                                          &pair->sessions[node]);
    if (err != TERN_OK) {
        pair->sessions[node] = (struct tern_session){.ops = NULL};
        pair->failed = true;
    }
}

static void pair_event(void *context, size_t node, const struct tern_session_event *event)
{
    struct session_pair *pair = context;
    if (event->kind == TERN_SESSION_OFFER)
        pair_accept(pair, node);
}

bool session_pair_init(struct session_pair *pair, uint64_t seed, session_pair_make make,
                       const struct session_pair_end ends[2], const struct datagram_link *link)
{
    *pair = (struct session_pair){.failed = false};
    session_world_init(&pair->world, seed, pair_event, pair);
    for (size_t i = 0; i < 2; i++) {
        struct tern_session_transport transport;
        pair->ends[i] = ends[i];
        if (make(i == 0, &ends[i], &transport) != TERN_OK)
            return false;
        session_world_add(&pair->world, transport);
        const struct tern_endpoint at = datagram_endpoint((uint8_t)(1 + i), 4001);
        pair->sockets[i] = session_world_bind(&pair->world, i, &at, link);
    }
    const struct tern_session_transport *transport = &pair->world.nodes[0].transport;
    const struct tern_session_dial dial = {.socket = pair->sockets[0],
                                           .remote = datagram_endpoint(2, 4001),
                                           .scope = ends[0].scope,
                                           .tag = 1};
    tern_err err =
        transport->ops->dial(transport->self, pair->world.now, &dial, &pair->sessions[0]);
    if (err != TERN_OK)
        pair->sessions[0] = (struct tern_session){.ops = NULL};
    return err == TERN_OK;
}

bool session_pair_step(struct session_pair *pair, tern_time limit)
{
    bool more = session_world_step(&pair->world, limit);
    for (size_t i = 0; i < 2; i++) {
        const struct tern_mux *mux = &pair->sessions[i].mux;
        bool counts = pair->connected || i == 0;
        if (counts && mux->ops != NULL && mux->ops->error(mux->self) != TERN_OK)
            pair->failed = true;
    }
    return more;
}

/* pair_drop_events notes CONFIRMED and drops all events; jobs are run. */
static void pair_drop_events(struct session_pair *pair, size_t end, bool *confirmed)
{
    const struct tern_session *session = &pair->sessions[end];
    struct tern_mux_event event;
    while (session->mux.ops != NULL && session->mux.ops->next(session->mux.self, &event)) {
        *confirmed = *confirmed || event.kind == TERN_MUX_CONFIRMED;
        if (event.kind == TERN_MUX_JOB) {
            event.job->run(event.job);
            session->ops->job_done(session->mux.self, pair->world.now, event.job);
        }
    }
}

bool session_pair_connect(struct session_pair *pair)
{
    bool confirmed[2] = {false};
    tern_time limit = tern_time_add(pair->world.now, PAIR_CONNECT_NS);
    while (!pair->failed) {
        bool done = confirmed[0] && confirmed[1];
        tern_time until = done ? tern_time_add(pair->world.now, PAIR_SILENCE_NS) : limit;
        bool more = session_pair_step(pair, until);
        for (size_t i = 0; i < 2; i++)
            pair_drop_events(pair, i, &confirmed[i]);
        if (!more) {
            pair->connected = done;
            return done;
        }
    }
    return false;
}

void session_pair_fini(struct session_pair *pair)
{
    for (size_t i = 0; i < 2; i++)
        if (pair->sessions[i].mux.ops != NULL)
            pair->sessions[i].mux.ops->fini(pair->sessions[i].mux.self);
    session_world_fini(&pair->world);
}
