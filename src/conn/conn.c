#include "conn/conn.h"

#include "base/check.h"
#include "conn/conn_private.h"
#include "mux/yamux.h"
#include "secure/noise.h"
#include "secure/plaintext.h"

static const tern_time CONN_GOODBYE_NS = 2 * TERN_SECOND;

/* Less room than this is not worth a turn: a negotiation's and a handshake's messages are whole. */
enum { CONN_SEND_ROOM_MIN = TERN_MULTISTREAM_WIRE_MAX + TERN_NOISE_HANDSHAKE_SIZE_MAX + 64 };

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

/* --- the parts: secure channel, muxer, negotiation --- */

static struct tern_view conn_secure_name(enum tern_secure_kind kind)
{
    switch (kind) {
    case TERN_SECURE_NOISE:
        return tern_view_str(TERN_NOISE_PROTOCOL_ID);
    case TERN_SECURE_PLAINTEXT:
        return tern_view_str(TERN_PLAINTEXT_PROTOCOL_ID);
    }
    TERN_UNREACHABLE();
}

static struct tern_view conn_mux_name(void)
{
    return tern_view_str(TERN_YAMUX_PROTOCOL_ID);
}

static tern_err conn_make_secure(struct tern_conn *conn, enum tern_secure_kind kind)
{
    conn->secure_kind = kind;
    if (kind == TERN_SECURE_PLAINTEXT)
        return tern_plaintext_new(
            &(struct tern_plaintext_options){.mem = conn->mem,
                                             .host_key = conn->config->identity,
                                             .expected_peer = conn->expected},
            &conn->secure);
    struct tern_view muxer = conn_mux_name();
    size_t muxers_count = conn->config->late_muxer ? 0 : 1;
    return tern_noise_new(&(struct tern_noise_options){.role = conn->role,
                                                       .mem = conn->mem,
                                                       .random = conn->config->random,
                                                       .aead = conn->config->aead,
                                                       .identity = conn->config->noise,
                                                       .expected_peer = conn->expected,
                                                       .muxers = &muxer,
                                                       .muxers_count = muxers_count},
                          &conn->secure);
}

static tern_err conn_make_mux(struct tern_conn *conn, tern_time now)
{
    struct tern_yamux_options options = {.initiator = conn->role == TERN_ROLE_INITIATOR,
                                         .mem = conn->mem,
                                         .scope = conn->scope,
                                         .windows = conn->config->windows,
                                         .metrics = conn->config->metrics,
                                         .hash_seed = tern_random_u64(conn->config->random),
                                         .ping_interval_ns = conn->config->ping_interval_ns,
                                         .ping_timeout_ns = conn->config->ping_timeout_ns};
    return tern_yamux_new(&options, now, &conn->mux);
}

static struct conn_select **conn_select_slot(struct tern_conn *conn)
{
    return conn->state == CONN_SELECT_SECURE ? &conn->select_secure : &conn->select_mux;
}

/* Starts the negotiation of a connection-level protocol; a dialer with one name is lazy. */
static tern_err conn_start_select(struct tern_conn *conn, const struct tern_view *names,
                                  size_t count)
{
    struct conn_select **slot = conn_select_slot(conn);
    TERN_CHECK(*slot == NULL && count >= 1 && count <= TERN_CONN_SECURE_MAX);
    struct conn_select *select = tern_mem_zalloc(conn->mem, sizeof *select);
    if (select == NULL)
        return TERN_ERR_MEMORY;
    memcpy(select->names, names, count * sizeof *names);
    *slot = select;
    if (conn->role == TERN_ROLE_RESPONDER)
        tern_multistream_listener_init(&select->listener, conn->mem);
    else
        tern_multistream_dialer_init(
            &select->dialer, &(struct tern_multistream_dialer_options){
                                 .names = select->names, .names_count = count, .lazy = true});
    return TERN_OK;
}

static void conn_end_select(struct tern_conn *conn, struct conn_select **slot)
{
    if (*slot == NULL)
        return;
    if (conn->role == TERN_ROLE_RESPONDER)
        tern_multistream_listener_fini(&(*slot)->listener);
    tern_mem_free(conn->mem, *slot, sizeof **slot);
    *slot = NULL;
}

static bool conn_select_want_send(const struct tern_conn *conn, const struct conn_select *select)
{
    if (select == NULL)
        return false;
    return conn->role == TERN_ROLE_RESPONDER
               ? tern_multistream_listener_want_send(&select->listener)
               : tern_multistream_dialer_want_send(&select->dialer);
}

/* Writes what a negotiation has to say. A listener's is done with when its echo is out; a dialer's
 * when the answer has come, which conn_select_dial sees to. */
static void conn_select_send(struct tern_conn *conn, struct conn_select **slot,
                             struct tern_writer *out)
{
    if (*slot == NULL)
        return;
    if (conn->role == TERN_ROLE_INITIATOR) {
        tern_multistream_dialer_send(&(*slot)->dialer, out);
        return;
    }
    struct tern_multistream_listener *listener = &(*slot)->listener;
    tern_multistream_listener_send(listener, out);
    if (listener->state == TERN_MULTISTREAM_NEGOTIATED &&
        !tern_multistream_listener_want_send(listener))
        conn_end_select(conn, slot);
}

/* --- making and ending --- */

static tern_err conn_start(struct tern_conn *conn)
{
    struct tern_view names[TERN_CONN_SECURE_MAX];
    size_t count = conn->config->secure_count;
    TERN_CHECK(count >= 1 && count <= TERN_CONN_SECURE_MAX);
    for (size_t i = 0; i < count; i++)
        names[i] = conn_secure_name(conn->config->secure[i]);
    TERN_TRY(conn_start_select(conn, names, count));
    if (conn->role == TERN_ROLE_INITIATOR && count == 1)
        TERN_TRY(conn_make_secure(conn, conn->config->secure[0]));
    return TERN_OK;
}

struct tern_conn *tern_conn_new(const struct tern_conn_config *config,
                                const struct tern_conn_options *options, tern_time now)
{
    struct tern_conn *conn = tern_mem_zalloc(config->mem, sizeof *conn);
    if (conn == NULL)
        return NULL;
    conn->config = config;
    conn->mem = config->mem;
    conn->scope = options->scope;
    conn->role = options->role;
    conn->now = now;
    conn->deadline = tern_time_add(now, config->upgrade_timeout_ns);
    tern_list_init(&conn->negotiating);
    tern_err err = TERN_OK;
    if (options->expected_peer != NULL) {
        conn->expected = tern_mem_alloc(conn->mem, sizeof *conn->expected);
        if (conn->expected == NULL)
            err = TERN_ERR_MEMORY;
        else
            *conn->expected = *options->expected_peer;
    }
    if (err == TERN_OK)
        err = conn_start(conn);
    if (err != TERN_OK) {
        tern_conn_free(conn);
        return NULL;
    }
    return conn;
}

static void conn_release(struct tern_conn *conn)
{
    conn_end_select(conn, &conn->select_secure);
    conn_end_select(conn, &conn->select_mux);
    conn_streams_fini(conn);
    if (conn->mux.ops != NULL)
        conn->mux.ops->fini(conn->mux.self);
    if (conn->secure.ops != NULL)
        conn->secure.ops->fini(conn->secure.self);
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
    /* The job works on the channel's memory: streams go now (they are charged to a scope that may
     * end), the rest when the job is back. */
    conn->freed = true;
    conn_streams_fini(conn);
    if (conn->mux.ops != NULL)
        conn->mux.ops->fini(conn->mux.self);
    conn->mux.ops = NULL;
    conn->state = CONN_CLOSED;
}

/* --- upgrade --- */

static void conn_open(struct tern_conn *conn)
{
    if (conn->established)
        return;
    conn->established = true;
    conn_pend(conn, &(struct tern_conn_event){.kind = TERN_CONN_ESTABLISHED});
}

static void conn_handshake_done(struct tern_conn *conn, tern_time now)
{
    const struct tern_secure_remote *remote = conn->secure.ops->remote(conn->secure.self);
    tern_err err = TERN_OK;
    bool early = remote->muxer.size > 0;
    tern_mem_free(conn->mem, conn->expected, sizeof *conn->expected);
    conn->expected = NULL;
    if (early) {
        /* Only what we offered can have been agreed. */
        TERN_CHECK(tern_view_equal(remote->muxer, conn_mux_name()));
        conn->state = CONN_OPEN;
        conn->deadline = TERN_TIME_NEVER;
        err = conn_make_mux(conn, now);
    } else {
        struct tern_view name = conn_mux_name();
        conn->state = CONN_SELECT_MUX;
        err = conn_start_select(conn, &name, 1);
        if (err == TERN_OK && conn->role == TERN_ROLE_INITIATOR)
            err = conn_make_mux(conn, now);
    }
    if (err != TERN_OK)
        conn_fail(conn, err, TERN_FAULT_NONE);
    else if (conn->mux.ops != NULL)
        conn_open(conn);
}

/* The connection-level protocol is agreed: the negotiation gives way to what was negotiated. */
static void conn_selected(struct tern_conn *conn, tern_time now, size_t index)
{
    tern_err err = TERN_OK;
    if (conn->state == CONN_SELECT_SECURE) {
        conn->state = CONN_HANDSHAKE;
        if (conn->secure.ops == NULL)
            err = conn_make_secure(conn, conn->config->secure[index]);
    } else if (conn->state == CONN_SELECT_MUX) { /* a dialer may be saying goodbye already */
        conn->state = CONN_OPEN;
        conn->deadline = TERN_TIME_NEVER;
        if (conn->mux.ops == NULL)
            err = conn_make_mux(conn, now);
        if (err == TERN_OK)
            conn_open(conn);
    }
    if (err != TERN_OK)
        conn_fail(conn, err, TERN_FAULT_NONE);
}

/* Which of ours the dialer proposes; SIZE_MAX: none. */
static size_t conn_select_match(const struct tern_conn *conn, struct tern_view name)
{
    if (conn->state == CONN_SELECT_MUX)
        return tern_view_equal(name, conn_mux_name()) ? 0 : SIZE_MAX;
    for (size_t i = 0; i < conn->config->secure_count; i++)
        if (tern_view_equal(name, conn_secure_name(conn->config->secure[i])))
            return i;
    return SIZE_MAX;
}

static tern_err conn_select_listen(struct tern_conn *conn, tern_time now, struct tern_view in,
                                   size_t *used)
{
    struct tern_multistream_listener *listener = &(*conn_select_slot(conn))->listener;
    struct tern_view name;
    *used = 0;
    while (*used < in.size && listener->state == TERN_MULTISTREAM_PENDING) {
        size_t took = 0;
        tern_err err = tern_multistream_listener_recv(
            listener, tern_view_of(in.data + *used, in.size - *used), &took);
        *used += took;
        if (err != TERN_OK) {
            conn_fail(conn, err, listener->fault);
            return err;
        }
        if (!tern_multistream_listener_proposal(listener, &name))
            continue;
        size_t index = conn_select_match(conn, name);
        if (index == SIZE_MAX) {
            tern_multistream_listener_refuse(listener);
            continue;
        }
        tern_multistream_listener_accept(listener);
        conn_selected(conn, now, index);
    }
    return conn->state == CONN_FAILED ? conn->err : TERN_OK;
}

static tern_err conn_select_dial(struct tern_conn *conn, tern_time now, struct tern_view in,
                                 size_t *used)
{
    struct conn_select **slot = conn_select_slot(conn);
    struct tern_multistream_dialer *dialer = &(*slot)->dialer;
    tern_err err = tern_multistream_dialer_recv(dialer, in, used);
    if (err != TERN_OK) {
        conn_fail(conn, err, dialer->fault);
        return err;
    }
    if (dialer->state == TERN_MULTISTREAM_NEGOTIATED) {
        size_t index = tern_multistream_dialer_index(dialer);
        conn_end_select(conn, slot);
        conn_selected(conn, now, index);
    }
    return conn->state == CONN_FAILED ? conn->err : TERN_OK;
}

static tern_err conn_select_recv(struct tern_conn *conn, tern_time now, struct tern_view in,
                                 size_t *used)
{
    return conn->role == TERN_ROLE_RESPONDER ? conn_select_listen(conn, now, in, used)
                                             : conn_select_dial(conn, now, in, used);
}

/* --- bytes in --- */

/* Is the link secured, so that the muxer's bytes may go? */
static bool conn_secured(const struct tern_conn *conn)
{
    return conn->mux.ops != NULL || conn->select_mux != NULL;
}

/* Is the muxer's negotiation what the remote's next bytes belong to? Also of a dialer that says
 * goodbye before the answer is there. */
static bool conn_selects_mux(const struct tern_conn *conn)
{
    if (conn->state == CONN_CLOSING)
        return conn->role == TERN_ROLE_INITIATOR && conn->select_mux != NULL;
    return conn->state == CONN_SELECT_MUX;
}

/* Plaintext: first of the muxer's negotiation, then the muxer's. */
static void conn_recv_plain(struct tern_conn *conn, tern_time now, struct tern_slice in)
{
    while (in.view.size > 0 && conn_selects_mux(conn)) {
        size_t used = 0;
        if (conn_select_recv(conn, now, in.view, &used) != TERN_OK)
            return;
        in.view.data += used;
        in.view.size -= used;
    }
    if (in.view.size == 0 || conn->state == CONN_FAILED || conn->state == CONN_CLOSED)
        return;
    tern_err err = conn->mux.ops->recv(conn->mux.self, now, in);
    if (err != TERN_OK)
        conn_fail(conn, err, conn->mux.ops->fault(conn->mux.self));
}

static void conn_drain_secure(struct tern_conn *conn, tern_time now)
{
    struct tern_channel_event event;
    while (conn->state != CONN_FAILED && conn->state != CONN_CLOSED &&
           conn->secure.ops->next(conn->secure.self, &event)) {
        switch (event.kind) {
        case TERN_CHANNEL_JOB:
            conn->job_out = true;
            conn_pend(conn, &(struct tern_conn_event){.kind = TERN_CONN_JOB, .job = event.job});
            break;
        case TERN_CHANNEL_HANDSHAKE_DONE:
            conn_handshake_done(conn, now);
            break;
        case TERN_CHANNEL_DATA:
            conn_recv_plain(conn, now, event.data);
            break;
        case TERN_CHANNEL_END:
            tern_conn_link_end(conn, now);
            break;
        }
    }
}

static tern_err conn_recv_secure(struct tern_conn *conn, tern_time now, struct tern_slice in,
                                 size_t *used)
{
    tern_err err = conn->secure.ops->recv(conn->secure.self, now, in, used);
    conn_drain_secure(conn, now);
    if (err != TERN_OK && conn->state != CONN_FAILED)
        conn_fail(conn, err, conn->secure.ops->fault(conn->secure.self));
    return conn->state == CONN_FAILED ? conn->err : TERN_OK;
}

tern_err tern_conn_recv(struct tern_conn *conn, tern_time now, struct tern_slice in, size_t *used)
{
    TERN_DCHECK(!conn->freed);
    *used = 0;
    conn->now = now;
    while (*used < in.view.size) {
        struct tern_slice rest = in;
        size_t took = 0;
        if (conn->state == CONN_FAILED || conn->state == CONN_CLOSED) {
            *used = in.view.size; /* nothing matters any more */
            return conn->err == TERN_OK ? TERN_ERR_CLOSED : conn->err;
        }
        if (conn->job_out)
            return TERN_OK;
        rest.view.data += *used;
        rest.view.size -= *used;
        tern_err err = conn->state == CONN_SELECT_SECURE
                           ? conn_select_recv(conn, now, rest.view, &took)
                           : conn_recv_secure(conn, now, rest, &took);
        *used += took;
        if (err != TERN_OK)
            return err;
        if (took == 0)
            return TERN_OK;
    }
    return TERN_OK;
}

void tern_conn_job_done(struct tern_conn *conn, tern_time now, struct tern_job *job)
{
    TERN_CHECK(conn->job_out);
    conn->now = now;
    conn->job_out = false;
    tern_err err = conn->secure.ops->job_done(conn->secure.self, now, job);
    if (conn->freed) {
        conn_release(conn);
        return;
    }
    conn_drain_secure(conn, now);
    if (err != TERN_OK)
        conn_fail(conn, err, conn->secure.ops->fault(conn->secure.self));
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

/* --- bytes out --- */

/* Seals what is to be said on the secured link: the muxer's negotiation, then the muxer's frames.
 */
static void conn_send_sealed(struct tern_conn *conn, tern_time now, struct tern_writer *out)
{
    for (;;) {
        struct tern_span room = conn->secure.ops->seal_begin(conn->secure.self, out);
        if (room.size == 0)
            return;
        struct tern_writer plain = tern_writer_of(room.data, room.size);
        if (room.size >= TERN_MULTISTREAM_WIRE_MAX)
            conn_select_send(conn, &conn->select_mux, &plain);
        if (conn->mux.ops != NULL && !conn_select_want_send(conn, conn->select_mux))
            conn->mux.ops->send(conn->mux.self, now, &plain);
        conn->secure.ops->seal_end(conn->secure.self, out, plain.size);
        if (plain.size == 0)
            return;
    }
}

/* May handshake bytes go? A dialer's may ride behind its lazy proposal, a listener's behind its
 * echo. */
static bool conn_may_handshake(const struct tern_conn *conn)
{
    if (conn->secure.ops == NULL || conn->job_out || conn->freed)
        return false;
    if (conn->select_secure == NULL)
        return true;
    return conn->role == TERN_ROLE_INITIATOR &&
           tern_multistream_dialer_can_write(&conn->select_secure->dialer);
}

void tern_conn_send(struct tern_conn *conn, tern_time now, struct tern_writer *out)
{
    conn->now = now;
    if (conn->freed || tern_writer_left(out) < CONN_SEND_ROOM_MIN)
        return;
    conn_select_send(conn, &conn->select_secure, out);
    if (!conn_may_handshake(conn))
        return;
    if (conn->secure.ops->control_pending(conn->secure.self))
        conn->secure.ops->control(conn->secure.self, now, out);
    if (conn_secured(conn))
        conn_send_sealed(conn, now, out);
}

bool tern_conn_want_send(const struct tern_conn *conn)
{
    if (conn->freed)
        return false;
    if (conn_select_want_send(conn, conn->select_secure))
        return true;
    if (!conn_may_handshake(conn))
        return false;
    if (conn->secure.ops->control_pending(conn->secure.self) ||
        conn_select_want_send(conn, conn->select_mux))
        return true;
    return conn->mux.ops != NULL && conn->mux.ops->want_send(conn->mux.self);
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
        conn->mux.ops->reset(conn->mux.self, event->stream, CONN_STREAM_CODE_NEGOTIATION);
    return true;
}

static bool conn_next_mux(struct tern_conn *conn, struct tern_conn_event *event)
{
    struct tern_mux_event in;
    while (conn->mux.ops->next(conn->mux.self, &in)) {
        *event = (struct tern_conn_event){0};
        if (conn_streams_event(conn, &in, event))
            return true;
        if (conn_pop_pending(conn, event))
            return true;
    }
    return false;
}

bool tern_conn_next(struct tern_conn *conn, struct tern_conn_event *event)
{
    if (conn->freed)
        return false;
    if (conn_pop_pending(conn, event))
        return true;
    if (conn->state == CONN_FAILED) {
        conn->state = CONN_CLOSED;
        *event = (struct tern_conn_event){
            .kind = TERN_CONN_CLOSED, .err = conn->err, .fault = conn->fault};
        return true;
    }
    if (conn->state == CONN_CLOSED || conn->mux.ops == NULL)
        return false;
    if (conn_next_mux(conn, event))
        return true;
    if (conn->state == CONN_CLOSING && !conn->mux.ops->want_send(conn->mux.self)) {
        conn->state = CONN_CLOSED;
        *event = (struct tern_conn_event){.kind = TERN_CONN_CLOSED};
        return true;
    }
    return false;
}

/* --- time and end --- */

tern_time tern_conn_deadline(const struct tern_conn *conn)
{
    if (conn->freed || conn->state == CONN_FAILED || conn->state == CONN_CLOSED)
        return TERN_TIME_NEVER;
    tern_time deadline = tern_time_min(conn->deadline, conn_streams_deadline(conn));
    if (conn->mux.ops != NULL)
        deadline = tern_time_min(deadline, conn->mux.ops->deadline(conn->mux.self));
    return deadline;
}

void tern_conn_tick(struct tern_conn *conn, tern_time now)
{
    if (conn->freed || conn->state == CONN_FAILED || conn->state == CONN_CLOSED)
        return;
    if (now >= conn->deadline) {
        if (conn->state == CONN_CLOSING)
            conn_end(conn);
        else
            conn_fail(conn, TERN_ERR_TIMEOUT, TERN_FAULT_CONN_UPGRADE_TIMEOUT);
        return;
    }
    conn->now = now;
    conn_streams_tick(conn, now);
    if (conn->mux.ops == NULL || now < conn->mux.ops->deadline(conn->mux.self))
        return;
    conn->mux.ops->tick(conn->mux.self, now);
    tern_err err = conn->mux.ops->error(conn->mux.self);
    if (err != TERN_OK)
        conn_fail(conn, err, conn->mux.ops->fault(conn->mux.self));
}

void tern_conn_close(struct tern_conn *conn, tern_time now, uint32_t code)
{
    if (conn->freed || conn->state == CONN_FAILED || conn->state == CONN_CLOSED ||
        conn->state == CONN_CLOSING)
        return;
    if (conn->mux.ops == NULL) {
        conn_fail(conn, TERN_ERR_CLOSED, TERN_FAULT_NONE);
        return;
    }
    conn->mux.ops->goaway(conn->mux.self, code);
    conn->state = CONN_CLOSING;
    conn->deadline = tern_time_add(now, CONN_GOODBYE_NS);
}

const struct tern_secure_remote *tern_conn_remote(const struct tern_conn *conn)
{
    TERN_CHECK(conn->secure.ops != NULL);
    return conn->secure.ops->remote(conn->secure.self);
}

tern_time tern_conn_rtt(const struct tern_conn *conn)
{
    return conn->rtt_ns;
}

size_t tern_conn_streams_count(const struct tern_conn *conn)
{
    return conn->mux.ops == NULL ? 0 : conn->mux.ops->streams_count(conn->mux.self);
}
