/* What becomes of a connection's events, inside dispatch. */
#include "swarm/private.h"

/* A connection with a great many events gives way to the others after this many. */
enum { CONN_EVENTS_BURST = 256 };

/* conn_let_in judges who has shown up; *code is what the remote is told otherwise. */
static tern_err conn_let_in(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                            enum tern_connection_code *code)
{
    const struct tern_peer_id *id = tern_conn_remote(c->core)->peer_id;
    *code = TERN_CONNECTION_CODE_GATED;
    if (tern_peer_id_equal(id, &s->own_id))
        return TERN_ERR_SELF;
    if (!tern_gate_allows(s, &c->remote, id))
        return TERN_ERR_GATED;
    if (tern_swarm_banned(s, now, id)) {
        *code = TERN_CONNECTION_CODE_RATE_LIMIT;
        return TERN_ERR_RATE;
    }
    if (s->down) {
        *code = TERN_CONNECTION_CODE_SHUTDOWN;
        return TERN_ERR_CLOSED;
    }
    tern_err err = tern_peers_attach(s, now, c);
    *code = err == TERN_ERR_CLOSED ? TERN_CONNECTION_CODE_SUPPLANTED
                                   : TERN_CONNECTION_CODE_RESOURCE_LIMIT;
    return err;
}

/* conn_learn notes what is known of a connection only now. */
static void conn_learn(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    static const enum tern_transport transports[] = {
        [TERN_SESSION_QUIC] = TERN_TRANSPORT_QUIC,
        [TERN_SESSION_WEBTRANSPORT] = TERN_TRANSPORT_WEBTRANSPORT,
        [TERN_SESSION_WEBRTC] = TERN_TRANSPORT_WEBRTC,
    };
    const struct tern_session *session = tern_conn_session(c->core);
    struct tern_session_info info;
    if (session == NULL) {
        c->transport = tern_link_transport(tern_conn_form(c->core));
        return;
    }
    session->ops->info(session->mux.self, &info);
    c->by_streams = true;
    c->transport = transports[info.kind];
    c->local = info.path.local;
    tern_conns_at(s, now, c, &info.path.remote);
}

static void conn_established(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    if (c->state != SWARM_CONN_UPGRADING)
        return;
    tern_conns_leave(s, c);
    conn_learn(s, now, c);
    c->established_at = now;
    c->idle_since = now;
    enum tern_connection_code code = TERN_CONNECTION_CODE_NONE;
    tern_err err = conn_let_in(s, now, c, &code);
    if (err != TERN_OK) {
        TERN_TRACE(s->config.trace, now, SWARM_REFUSED, c->remote.port, err, 1);
        tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_REFUSED_IN, !c->outbound);
        /* A second connection of ours to one peer ends, but the dial has found its peer. */
        if (err == TERN_ERR_CLOSED && c->dial != 0)
            tern_dials_connected(s, now, c);
        tern_conns_close(s, now, c, code, err);
        if (c->dial != 0)
            tern_dials_conn_ended(s, now, c);
    }
}

/* conn_finish tells services that it is over. The link may linger; the core stays until it is dead,
 * because its farewell may still have to go out. */
static void conn_finish(struct tern_swarm *s, tern_time now, struct swarm_conn *c, tern_err err)
{
    TERN_CHECK(c->state != SWARM_CONN_DOWN);
    tern_conns_leave(s, c);
    c->state = SWARM_CONN_DOWN;
    tern_bandwidth_release(c);
    if (c->err == TERN_OK)
        c->err = err;
    TERN_TRACE(s->config.trace, now, SWARM_DOWN, c->handle, c->err, c->fault);
    if (c->fault != TERN_FAULT_NONE)
        tern_swarm_report(s, now, c->peer != NULL ? c->peer->handle : 0, c->fault);
    c->linger_until = TERN_TIME_NEVER;
    if (!c->link_dead && c->link != TERN_LINK_NONE) {
        c->linger_until = c->cut ? TERN_TIME_NEVER : tern_time_add(now, SWARM_LINGER_NS);
        c->want_close = !c->cut;
        c->want_abort = c->cut;
    }
    if (c->dial != 0)
        tern_dials_conn_ended(s, now, c);
    if (c->announced)
        tern_peers_detach(s, now, c);
}

static void conn_event(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                       const struct tern_conn_event *event)
{
    switch (event->kind) {
    case TERN_CONN_JOB:
        tern_conns_job(s, c, event->job);
        break;
    case TERN_CONN_ESTABLISHED:
        conn_established(s, now, c);
        break;
    case TERN_CONN_STREAM_FAULT:
        tern_swarm_report(s, now, c->peer != NULL ? c->peer->handle : 0, event->fault);
        break;
    case TERN_CONN_STREAM_REFUSED:
        if (event->fault != TERN_FAULT_NONE)
            tern_swarm_report(s, now, c->peer != NULL ? c->peer->handle : 0, event->fault);
        tern_streams_event(s, now, c, event);
        break;
    case TERN_CONN_STREAM_OPENED:
    case TERN_CONN_STREAM_READY:
    case TERN_CONN_STREAM_READABLE:
    case TERN_CONN_STREAM_WRITABLE:
    case TERN_CONN_STREAM_RESET:
    case TERN_CONN_STREAM_CLOSED:
        tern_streams_event(s, now, c, event);
        break;
    case TERN_CONN_GOAWAY:
        c->going_away = true;
        if (c->state != SWARM_CONN_CLOSING) { /* else it answers our own farewell */
            c->code = event->code;
            c->code_theirs = true;
        }
        TERN_TRACE(s->config.trace, now, SWARM_GOAWAY, c->handle, event->code, 0);
        break;
    case TERN_CONN_RTT:
        tern_quality_rtt(&c->quality, event->rtt_ns);
        break;
    case TERN_CONN_CLOSED:
        c->fault = event->fault;
        conn_finish(s, now, c, event->err);
        break;
    }
}

static void conn_drain(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    struct tern_conn_event event;
    for (int i = 0; i < CONN_EVENTS_BURST; i++) {
        if (c->state == SWARM_CONN_DOWN || c->cut || !tern_conn_next(c->core, now, &event))
            return;
        conn_event(s, now, c, &event);
    }
    tern_conns_touch(s, c); /* there may be more */
}

/* conn_commands finds out what the world has to do for the connection. */
static void conn_commands(struct tern_swarm *s, struct swarm_conn *c)
{
    if (!c->cut && !c->sending && !c->held_out && tern_conn_want_send(c->core)) {
        c->sending = true;
        c->want_transmit = true;
    }
    if (c->blocked) {
        c->blocked = false;
        c->want_read = true;
    }
    bool any = c->want_transmit || c->want_read || c->want_close || c->want_abort;
    if (any && !tern_list_linked(&c->command))
        tern_list_push_back(&s->conns.commands, &c->command);
}

void tern_conns_process(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    if (c->state != SWARM_CONN_DOWN && tern_conn_deadline(c->core) <= now)
        tern_conn_tick(c->core, now);
    conn_drain(s, now, c);
    if (c->by_streams)
        tern_bandwidth_count_session(s, now, c);
    if (c->woken)
        tern_streams_wake(s, now, c);
    if (c->linger_until <= now) {
        /* The remote does not take our farewell. */
        c->linger_until = TERN_TIME_NEVER;
        c->want_abort = c->link != TERN_LINK_NONE;
        c->cut = true;
    }
    if (c->cut && c->state != SWARM_CONN_DOWN)
        conn_finish(s, now, c, TERN_OK);
    if (c->link_dead && c->state != SWARM_CONN_DOWN && !tern_list_linked(&c->dirty))
        conn_finish(s, now, c, TERN_ERR_DISCONNECTED);
    if (c->state == SWARM_CONN_DOWN && (c->link_dead || c->link == TERN_LINK_NONE)) {
        tern_conns_free(s, c);
        return;
    }
    tern_conns_rearm(s, now, c);
    conn_commands(s, c);
}
