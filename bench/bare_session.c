/* The bare peer over QUIC: one socket, one transport, and connections of its sessions. */
#include "bare.h"
#include "base/check.h"

enum { SESSIONS_HALF_OPEN_MAX = 4096 };

void bare_session_init(struct bare *b)
{
    TERN_CHECK(tern_quic_identity_new(&b->mem, &b->random, &b->key, &b->quic_identity) == TERN_OK);
    const struct tern_quic_options options = {
        .mem = &b->mem,
        .random = &b->random,
        .identity = b->quic_identity,
        .windows = &b->windows,
        .half_open_max = SESSIONS_HALF_OPEN_MAX,
        .keep_alive_ns = b->config.ping_interval_ns,
    };
    TERN_CHECK(tern_quic_new(&options, b->now, &b->transport) == TERN_OK);
    b->places = tern_mem_alloc(&b->mem, BARE_CONNS_MAX * sizeof *b->places);
    TERN_CHECK(b->places != NULL);
    while (b->places_count < BARE_CONNS_MAX) {
        b->places[b->places_count] = BARE_CONNS_MAX - 1 - b->places_count;
        b->places_count++;
    }
    struct tern_endpoint any = {.family = b->target.family};
    bare_command(b, (struct tern_command){.kind = TERN_COMMAND_BIND,
                                          .endpoint = b->mode == MODE_SERVE ? b->target : any});
}

static uint64_t session_id(struct bare *b)
{
    TERN_CHECK(b->places_count > 0);
    return (uint64_t)++b->sessions << 32 | b->places[--b->places_count];
}

void bare_session_free(struct bare *b, uint64_t id)
{
    b->places[b->places_count++] = (uint32_t)id;
}

static void session_open(struct bare *b, struct bare_conn *c, const struct tern_session *session,
                         enum tern_role role)
{
    c->conn = tern_conn_new_session(
        &b->config, &(struct tern_conn_options){.role = role, .scope = &c->scope}, session, b->now);
    TERN_CHECK(c->conn != NULL);
}

void bare_session_dial(struct bare *b)
{
    struct bare_conn *c = bare_add(b, session_id(b));
    struct tern_session session;
    const struct tern_session_dial dial = {
        .expected_peer = b->peer_known ? &b->peer : NULL, /* one who is expected is resumed */
        .socket = b->socket,
        .remote = b->target,
        .scope = &c->scope,
        .tag = c->id,
    };
    TERN_CHECK(b->transport.ops->dial(b->transport.self, b->now, &dial, &session) == TERN_OK);
    session_open(b, c, &session, TERN_ROLE_INITIATOR);
}

static void session_accept(struct bare *b, tern_time now)
{
    struct bare_conn *c = bare_add(b, session_id(b));
    struct tern_session session;
    TERN_CHECK(b->transport.ops->accept(b->transport.self, now, &c->scope, c->id, &session) ==
               TERN_OK);
    session_open(b, c, &session, TERN_ROLE_RESPONDER);
}

void bare_session_run(struct bare *b, tern_time now)
{
    struct tern_session_event event;
    while (b->transport.ops->next(b->transport.self, &event)) {
        if (event.kind == TERN_SESSION_OFFER) {
            session_accept(b, now);
            continue;
        }
        struct bare_conn *c = bare_find(b, event.tag);
        if (c != NULL)
            bare_serve(b, c, now);
    }
    if (b->sending || !b->transport.ops->want_send(b->transport.self, b->socket))
        return;
    b->sending = true;
    bare_command(b, (struct tern_command){.kind = TERN_COMMAND_TRANSMIT, .link = b->socket});
}

void bare_session_bound(struct bare *b, const struct tern_input *in)
{
    b->socket = in->link;
    if (b->mode != MODE_SERVE) {
        bare_begin(b);
        return;
    }
    if (b->ready != NULL)
        b->ready(b, in->local.port);
}

void bare_session_datagrams(struct bare *b, tern_time now, const struct tern_input *in)
{
    b->transport.ops->recv(b->transport.self, now, in->link, in->datagrams);
}

void bare_session_tick(struct bare *b, tern_time now)
{
    if (b->transport.ops->deadline(b->transport.self) <= now)
        b->transport.ops->tick(b->transport.self, now);
}

bool bare_session_send(struct bare *b, tern_time now, struct tern_datagrams_out *out)
{
    bool any = b->transport.ops->send(b->transport.self, now, b->socket, out);
    b->sending = any;
    bare_session_run(b, now); /* room in a stream's buffer, the end of a farewell */
    return any;
}

tern_time bare_session_deadline(const struct bare *b)
{
    return b->transport.ops->deadline(b->transport.self);
}
