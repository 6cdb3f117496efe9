/*
 * The transport: QUIC's, and beside it time limits of handshakes and the certificates.
 */
#include "webtransport/webtransport_internal.h"

#define WEB_HANDSHAKE_TIMEOUT (10 * TERN_SECOND)

/* When certificates could not be made for want of memory. */
#define WEB_ROLL_AGAIN TERN_MINUTE

static struct web *web_at(void *self, tern_time now)
{
    struct web *web = self;
    if (now > web->now)
        web->now = now;
    return web;
}

void web_note(struct web *web, tern_fault fault)
{
    if (web->options.metrics != NULL)
        tern_metrics_fault(web->options.metrics, fault);
}

/* --- certificates --- */

static tern_wall_time web_wall(const struct web *web)
{
    return web->wall + tern_time_since(web->now, web->wall_at);
}

static tern_err web_upper(const struct web *web, const struct tern_certificate *certificate)
{
    struct tern_quic_upper upper = web_upper_ops;
    union {
        const struct web *in;
        void *out;
    } self = {.in = web};
    upper.self = self.out;
    return tern_quic_set_upper(&web->quic, &upper, certificate);
}

/* web_roll makes the certificates of the time, shows the one in use, and sees when that changes. */
static tern_err web_roll(struct web *web)
{
    bool rolled;
    if (!web->serves || web->wall == 0)
        return TERN_OK;
    tern_wall_time wall = web_wall(web);
    tern_err err = web_certificates_roll(&web->certificates, wall, &rolled);
    web->show_due = web->show_due || rolled;
    if (err == TERN_OK && web->show_due) {
        err = web_upper(web, &web->certificates.current);
        web->show_due = err != TERN_OK;
        web->version += err == TERN_OK;
    }
    tern_time wait = WEB_ROLL_AGAIN;
    if (err == TERN_OK)
        wait = tern_time_since(web_certificates_until(&web->certificates), wall);
    TERN_CHECK(tern_timer_set(&web->timers, &web->roll, tern_time_add(web->now, wait)) == TERN_OK);
    return err;
}

/* --- what the owner calls --- */

static tern_err web_op_dial(void *self, tern_time now, const struct tern_session_dial *dial,
                            struct tern_session *session)
{
    struct web *web = web_at(self, now);
    return web->quic.ops->dial(web->quic.self, now, dial, session);
}

static tern_err web_op_accept(void *self, tern_time now, struct tern_scope *scope, uint64_t tag,
                              struct tern_session *session)
{
    struct web *web = web_at(self, now);
    return web->quic.ops->accept(web->quic.self, now, scope, tag, session);
}

static void web_op_refuse(void *self, tern_time now, enum tern_session_refusal how)
{
    struct web *web = web_at(self, now);
    web->quic.ops->refuse(web->quic.self, now, how);
}

static bool web_op_claims(const void *self, struct tern_view datagram)
{
    const struct web *web = self;
    return web->quic.ops->claims(web->quic.self, datagram);
}

static void web_op_recv(void *self, tern_time now, tern_link_id socket,
                        const struct tern_datagrams *in)
{
    struct web *web = web_at(self, now);
    web->quic.ops->recv(web->quic.self, now, socket, in);
}

static bool web_op_next(void *self, struct tern_session_event *event)
{
    struct web *web = self;
    return web->quic.ops->next(web->quic.self, event);
}

static bool web_op_send(void *self, tern_time now, tern_link_id socket,
                        struct tern_datagrams_out *out)
{
    struct web *web = web_at(self, now);
    return web->quic.ops->send(web->quic.self, now, socket, out);
}

static bool web_op_want_send(const void *self, tern_link_id socket)
{
    const struct web *web = self;
    return web->quic.ops->want_send(web->quic.self, socket);
}

static tern_time web_op_deadline(const void *self)
{
    const struct web *web = self;
    return tern_time_min(tern_timer_next(&web->timers), web->quic.ops->deadline(web->quic.self));
}

static void web_op_tick(void *self, tern_time now)
{
    struct web *web = web_at(self, now);
    struct tern_timer *timer;
    /* Each lies ahead when it is set again. */
    while ((timer = tern_timer_pop(&web->timers, web->now)) != NULL) {
        if (timer == &web->roll)
            TERN_IGNORE(web_roll(web)); /* it comes again */
        else
            web_timeout(timer);
    }
    web->quic.ops->tick(web->quic.self, now);
}

static void web_op_socket_closed(void *self, tern_time now, tern_link_id socket)
{
    struct web *web = web_at(self, now);
    web->quic.ops->socket_closed(web->quic.self, now, socket);
}

/* web_release_all frees all but QUIC's transport. */
static void web_release_all(struct web *web)
{
    tern_timer_cancel(&web->timers, &web->roll);
    tern_timer_queue_fini(&web->timers);
    if (web->serves)
        web_certificates_fini(&web->certificates);
    tern_mem_free(web->mem, web, sizeof *web);
}

static void web_op_fini(void *self)
{
    struct web *web = self;
    web->quic.ops->fini(web->quic.self);
    web_release_all(web);
}

static const struct tern_session_transport_ops web_ops = {
    .name = TERN_WEBTRANSPORT_PROTOCOL_ID,
    .dial = web_op_dial,
    .accept = web_op_accept,
    .refuse = web_op_refuse,
    .claims = web_op_claims,
    .recv = web_op_recv,
    .next = web_op_next,
    .send = web_op_send,
    .want_send = web_op_want_send,
    .deadline = web_op_deadline,
    .tick = web_op_tick,
    .socket_closed = web_op_socket_closed,
    .fini = web_op_fini,
};

/* --- making --- */

/* web_start arms the timer, shows itself to QUIC, and makes the certificates. */
static tern_err web_start(struct web *web)
{
    /* Never out of the queue, so that it cannot lack room to come back. */
    TERN_TRY(tern_timer_set(&web->timers, &web->roll, TERN_TIME_NEVER - 1));
    TERN_TRY(web_upper(web, NULL));
    return web_roll(web);
}

tern_err tern_webtransport_new(const struct tern_webtransport_options *options,
                               const struct tern_session_transport *quic, tern_time now,
                               struct tern_session_transport *transport)
{
    TERN_CHECK(options->mem != NULL && options->random != NULL && options->aead != NULL &&
               options->identity != NULL);
    *transport = (struct tern_session_transport){.ops = NULL};
    struct web *web = tern_mem_zalloc(options->mem, sizeof *web);
    if (web == NULL)
        return TERN_ERR_MEMORY;
    web->options = *options;
    web->mem = options->mem;
    web->quic = *quic;
    web->now = now;
    web->wall = options->wall;
    web->wall_at = now;
    if (web->options.handshake_timeout_ns == 0)
        web->options.handshake_timeout_ns = WEB_HANDSHAKE_TIMEOUT;
    tern_timer_queue_init(&web->timers, web->mem);
    tern_timer_init(&web->roll);
    web->serves = options->host_key != NULL;
    if (web->serves)
        web_certificates_init(&web->certificates, web->mem, options->host_key);
    web->options.host_key = NULL;
    tern_err err = web_start(web);
    if (err != TERN_OK) {
        web_release_all(web);
        return err;
    }
    *transport = (struct tern_session_transport){.ops = &web_ops, .self = web};
    return TERN_OK;
}

void tern_webtransport_set_wall(const struct tern_session_transport *transport, tern_time now,
                                tern_wall_time wall)
{
    TERN_CHECK(transport->ops == &web_ops);
    struct web *web = web_at(transport->self, now);
    web->wall = wall;
    web->wall_at = web->now;
    tern_quic_set_wall(&web->quic, now, wall);
    TERN_IGNORE(web_roll(web)); /* it comes again */
}

void tern_webtransport_certhashes(const struct tern_session_transport *transport,
                                  struct tern_webtransport_certhashes *certhashes)
{
    TERN_CHECK(transport->ops == &web_ops);
    const struct web *web = transport->self;
    *certhashes = (struct tern_webtransport_certhashes){.version = web->version};
    for (size_t i = 0; i < TERN_WEBTRANSPORT_CERTHASHES && web->version > 0; i++)
        memcpy(certhashes->multihashes[i], web->certificates.multihashes[1 + i],
               WEB_MULTIHASH_SIZE);
}
