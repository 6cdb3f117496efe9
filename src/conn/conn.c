#include "conn/conn.h"

#include "base/check.h"
#include "conn/conn_private.h"

static const tern_time CONN_GOODBYE_NS = 2 * TERN_SECOND;

void conn_drop_events(struct tern_conn *conn, tern_stream_id stream)
{
    size_t kept = 0;
    if (stream == TERN_STREAM_NONE)
        return;
    for (size_t i = 0; i < conn->pending_count; i++)
        if (conn->pending[i].stream != stream)
            conn->pending[kept++] = conn->pending[i];
    conn->pending_count = kept;
}

void conn_fail(struct tern_conn *conn, tern_err err, tern_fault fault)
{
    TERN_CHECK(err != TERN_OK);
    if (conn->state == CONN_FAILED || conn->state == CONN_CLOSED)
        return;
    conn->state = CONN_FAILED;
    conn->err = err;
    conn->fault = fault;
    conn->deadline = TERN_TIME_NEVER;
}

/* Ends in good order: CLOSED without an error follows from next, behind what is pending. */
static void conn_end(struct tern_conn *conn)
{
    TERN_CHECK(conn->state == CONN_CLOSING);
    conn->state = CONN_FAILED;
    conn->err = TERN_OK;
    conn->deadline = TERN_TIME_NEVER;
}

void conn_pend(struct tern_conn *conn, const struct tern_conn_event *event)
{
    TERN_CHECK(conn->pending_count < CONN_PENDING_MAX);
    conn->pending[conn->pending_count++] = *event;
}

void conn_established(struct tern_conn *conn)
{
    if (conn->established)
        return;
    conn->established = true;
    conn_pend(conn, &(struct tern_conn_event){.kind = TERN_CONN_ESTABLISHED});
}

/* --- making and ending --- */

static struct tern_conn *conn_alloc(const struct tern_conn_config *config,
                                    const struct tern_conn_options *options, tern_time now)
{
    struct tern_conn *conn = tern_mem_zalloc(config->mem, sizeof *conn);
    if (conn == NULL)
        return NULL;
    conn->config = config;
    conn->mem = config->mem;
    conn->scope = options->scope;
    conn->role = options->role;
    conn->wall = options->wall;
    conn->forms = options->forms == 0 ? TERN_LINK_PLAIN : (uint8_t)options->forms;
    conn->now = now;
    conn->deadline = tern_time_add(now, config->upgrade_timeout_ns);
    tern_list_init(&conn->negotiating);
    return conn;
}

struct tern_conn *tern_conn_new(const struct tern_conn_config *config,
                                const struct tern_conn_options *options, tern_time now)
{
    struct tern_conn *conn = conn_alloc(config, options, now);
    if (conn == NULL)
        return NULL;
    conn->confirmed = true;
    tern_err err = TERN_OK;
    if (options->expected_peer != NULL) {
        conn->expected = tern_mem_alloc(conn->mem, sizeof *conn->expected);
        if (conn->expected == NULL)
            err = TERN_ERR_MEMORY;
        else
            *conn->expected = *options->expected_peer;
    }
    if (err == TERN_OK)
        err = conn_wrap_start(conn, options->host);
    if (err == TERN_OK) {
        conn_stack_resume(conn, now); /* a channel may be open from the start */
        err = conn->err;
    }
    if (err != TERN_OK) {
        tern_conn_free(conn);
        return NULL;
    }
    return conn;
}

struct tern_conn *tern_conn_new_session(const struct tern_conn_config *config,
                                        const struct tern_conn_options *options,
                                        const struct tern_session *session, tern_time now)
{
    struct tern_conn *conn = conn_alloc(config, options, now);
    if (conn != NULL)
        conn->session = tern_mem_alloc(conn->mem, sizeof *conn->session);
    if (conn == NULL || conn->session == NULL) {
        session->mux.ops->fini(session->mux.self);
        tern_conn_free(conn);
        return NULL;
    }
    *conn->session = *session;
    conn->mux = session->mux;
    conn->state = CONN_HANDSHAKE;
    return conn;
}

static void conn_release(struct tern_conn *conn)
{
    conn_upgrade_fini(conn);
    conn_streams_fini(conn);
    if (conn->mux.ops != NULL)
        conn->mux.ops->fini(conn->mux.self);
    conn_stack_fini(conn);
    tern_mem_free(conn->mem, conn->session, sizeof *conn->session);
    tern_mem_free(conn->mem, conn->expected, sizeof *conn->expected);
    tern_mem_free(conn->mem, conn, sizeof *conn);
}

void tern_conn_free(struct tern_conn *conn)
{
    if (conn == NULL)
        return;
    if (!conn->job_out) {
        conn_release(conn);
        return;
    }
    /* The job works on the channel's or the session's memory. Streams of a link go now (they are
     * charged to a scope that may end), the rest when the job is back. */
    conn->freed = true;
    conn_streams_fini(conn);
    if (conn->mux.ops != NULL && conn->session == NULL) {
        conn->mux.ops->fini(conn->mux.self);
        conn->mux.ops = NULL;
    }
    conn->state = CONN_CLOSED;
}

/* --- bytes --- */

tern_err tern_conn_recv(struct tern_conn *conn, tern_time now, struct tern_slice in, size_t *used)
{
    TERN_DCHECK(!conn->freed && conn->session == NULL);
    *used = 0;
    conn->now = now;
    if (!conn_over(conn))
        conn_stack_recv(conn, now, in, used);
    if (!conn_over(conn))
        return TERN_OK;
    *used = in.view.size; /* nothing matters any more */
    return conn->err == TERN_OK ? TERN_ERR_CLOSED : conn->err;
}

void tern_conn_job_done(struct tern_conn *conn, tern_time now, struct tern_job *job)
{
    TERN_CHECK(conn->job_out);
    conn->now = now;
    conn->job_out = false;
    if (conn->session != NULL)
        conn->session->ops->job_done(conn->mux.self, now, job);
    else
        conn_stack_job_done(conn, now, job);
    if (conn->freed)
        conn_release(conn);
}

void tern_conn_link_end(struct tern_conn *conn, tern_time now)
{
    (void)now;
    if (conn->state == CONN_CLOSING) {
        conn_end(conn);
        return;
    }
    conn_fail(conn, TERN_ERR_DISCONNECTED, TERN_FAULT_NONE);
}

void tern_conn_send(struct tern_conn *conn, tern_time now, struct tern_writer *out)
{
    conn->now = now;
    if (!conn->freed)
        conn_stack_send(conn, now, out);
}

bool tern_conn_want_send(const struct tern_conn *conn)
{
    return !conn->freed && conn->session == NULL && conn_stack_want_send(conn);
}

/* --- events --- */

static bool conn_pop_pending(struct tern_conn *conn, struct tern_conn_event *event)
{
    if (conn->pending_count == 0)
        return false;
    *event = conn->pending[0];
    conn->pending_count--;
    memmove(conn->pending, conn->pending + 1, conn->pending_count * sizeof conn->pending[0]);
    /* Not sooner: the muxer would give the stream's slot to the next one, and the owner would have
     * two streams in one place. */
    if (event->fault == TERN_FAULT_CONN_NEGOTIATE_TIMEOUT && conn->mux.ops != NULL)
        conn_mux_reset(conn, event->stream, CONN_STREAM_CODE_NEGOTIATION);
    return true;
}

/* What a session says of itself; false: it is about a stream. */
static bool conn_session_event(struct tern_conn *conn, const struct tern_mux_event *in)
{
    switch (in->kind) {
    case TERN_MUX_JOB:
        conn->job_out = true;
        conn_pend(conn, &(struct tern_conn_event){.kind = TERN_CONN_JOB, .job = in->job});
        return true;
    case TERN_MUX_ESTABLISHED:
        if (conn->state == CONN_HANDSHAKE) {
            conn->state = CONN_OPEN;
            conn->deadline = TERN_TIME_NEVER;
        }
        conn_established(conn);
        return true;
    case TERN_MUX_CONFIRMED:
        conn->confirmed = true;
        return true;
    case TERN_MUX_STREAM_OPENED:
    case TERN_MUX_READABLE:
    case TERN_MUX_WRITABLE:
    case TERN_MUX_RESET:
    case TERN_MUX_CLOSED:
    case TERN_MUX_GOAWAY:
    case TERN_MUX_RTT:
        return false;
    }
    TERN_UNREACHABLE();
}

static bool conn_next_mux(struct tern_conn *conn, struct tern_conn_event *event)
{
    struct tern_mux_event in;
    while (conn->mux.ops->next(conn->mux.self, &in)) {
        *event = (struct tern_conn_event){0};
        if (!conn_session_event(conn, &in) && conn_streams_event(conn, &in, event))
            return true;
        if (conn_pop_pending(conn, event))
            return true;
    }
    /* A session fails between its owner's calls. */
    tern_err err = conn->session == NULL ? TERN_OK : conn->mux.ops->error(conn->mux.self);
    if (err == TERN_ERR_CLOSED && conn->state == CONN_CLOSING)
        conn_end(conn);
    else if (err != TERN_OK)
        conn_fail(conn, err == TERN_ERR_CLOSED ? TERN_ERR_DISCONNECTED : err,
                  conn->mux.ops->fault(conn->mux.self));
    return false;
}

/* Says CLOSED, behind which nothing comes but the farewells of what wraps the link. */
static void conn_say_closed(struct tern_conn *conn, struct tern_conn_event *event)
{
    conn->state = CONN_CLOSED;
    *event =
        (struct tern_conn_event){.kind = TERN_CONN_CLOSED, .err = conn->err, .fault = conn->fault};
    conn_stack_shut(conn);
}

/* Has all been said, so that a connection that says goodbye can end? A session says so itself. */
static bool conn_said_all(const struct tern_conn *conn)
{
    return conn->session == NULL && !conn->mux.ops->want_send(conn->mux.self);
}

bool tern_conn_next(struct tern_conn *conn, tern_time now, struct tern_conn_event *event)
{
    if (conn->freed)
        return false;
    conn->now = now;
    if (conn_pop_pending(conn, event))
        return true;
    if (!conn_over(conn) && conn->mux.ops != NULL && !conn->job_out) {
        if (conn_streams_release(conn, event) || conn_next_mux(conn, event))
            return true;
        if (conn->state == CONN_CLOSING && conn_said_all(conn))
            conn_end(conn);
    }
    if (conn->state != CONN_FAILED)
        return false;
    conn_say_closed(conn, event);
    return true;
}

/* --- time and end --- */

tern_time tern_conn_deadline(const struct tern_conn *conn)
{
    if (conn->freed || conn_over(conn))
        return TERN_TIME_NEVER;
    if (conn->resumes)
        return conn->now;
    tern_time deadline = tern_time_min(conn->deadline, conn_streams_deadline(conn));
    if (conn->mux.ops != NULL && conn->session == NULL)
        deadline = tern_time_min(
            deadline, tern_time_coarse(conn->now, conn->mux.ops->deadline(conn->mux.self)));
    return deadline;
}

static void conn_tick_mux(struct tern_conn *conn, tern_time now)
{
    if (conn->mux.ops == NULL || conn->session != NULL ||
        now < conn->mux.ops->deadline(conn->mux.self))
        return;
    conn->mux.ops->tick(conn->mux.self, now);
    tern_err err = conn->mux.ops->error(conn->mux.self);
    if (err != TERN_OK)
        conn_fail(conn, err, conn->mux.ops->fault(conn->mux.self));
}

void tern_conn_tick(struct tern_conn *conn, tern_time now)
{
    if (conn->freed || conn_over(conn))
        return;
    if (now >= conn->deadline) {
        if (conn->state == CONN_CLOSING)
            conn_end(conn);
        else
            /* Of a session that we dialled nothing may have come at all. */
            conn_fail(conn, TERN_ERR_TIMEOUT,
                      conn->session != NULL && conn->role == TERN_ROLE_INITIATOR
                          ? TERN_FAULT_NONE
                          : TERN_FAULT_CONN_UPGRADE_TIMEOUT);
        return;
    }
    conn->now = now;
    conn->resumes = false;
    conn_streams_tick(conn, now);
    conn_tick_mux(conn, now);
    if (conn_stack_waits(conn))
        conn_stack_resume(conn, now);
}

void tern_conn_close(struct tern_conn *conn, tern_time now, uint32_t code)
{
    if (conn->freed || conn_over(conn) || conn->state == CONN_CLOSING)
        return;
    if (conn->mux.ops == NULL || !conn->established) {
        conn_fail(conn, TERN_ERR_CLOSED, TERN_FAULT_NONE);
        return;
    }
    conn->mux.ops->goaway(conn->mux.self, code);
    conn->state = CONN_CLOSING;
    conn->deadline = tern_time_add(now, CONN_GOODBYE_NS);
}

const struct tern_secure_remote *tern_conn_remote(const struct tern_conn *conn)
{
    if (conn->session != NULL)
        return conn->session->ops->remote(conn->mux.self);
    const struct tern_channel *secure = conn_stack_secure(conn);
    TERN_CHECK(secure != NULL);
    return secure->ops->remote(secure->self);
}

tern_time tern_conn_rtt(const struct tern_conn *conn)
{
    return conn->rtt_ns;
}

size_t tern_conn_streams_count(const struct tern_conn *conn)
{
    return conn->mux.ops == NULL ? 0 : conn->mux.ops->streams_count(conn->mux.self);
}

enum tern_secure_kind tern_conn_secure_kind(const struct tern_conn *conn)
{
    TERN_CHECK(conn->session == NULL && conn->established);
    return (enum tern_secure_kind)conn->secure_kind;
}

enum tern_muxer_kind tern_conn_muxer_kind(const struct tern_conn *conn)
{
    TERN_CHECK(conn->session == NULL && conn->established);
    return (enum tern_muxer_kind)conn->muxer_kind;
}

enum tern_link_form tern_conn_form(const struct tern_conn *conn)
{
    return (enum tern_link_form)conn->forms;
}

const struct tern_session *tern_conn_session(const struct tern_conn *conn)
{
    return conn->session;
}
