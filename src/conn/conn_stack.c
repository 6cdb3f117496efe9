/*
 * The stack of channels: bytes of the link on their way up, through one channel after the other, to
 * the consumer (a negotiation or the muxer), and on their way down.
 *
 *   up     the highest part that has bytes goes first, so that what it borrows from the channel
 * below is used up before that one is asked again; what a part does not take holds up all below
 *   down   each channel gives room inside the frame of the one below it, so bytes are written once,
 *          where they leave; frames are closed from the innermost to the outermost
 */
#include "base/check.h"
#include "conn/conn_private.h"
#include "secure/noise.h"

/* Less room than this is not worth a turn: a negotiation's and a handshake's messages are whole,
 * and each channel around them takes its share. */
enum {
    STACK_OVERHEAD_MAX = 512,
    STACK_ROOM_MIN = TERN_MULTISTREAM_WIRE_MAX + TERN_NOISE_HANDSHAKE_SIZE_MAX + STACK_OVERHEAD_MAX,
};

static void input_clear(struct conn_input *in)
{
    if (in->owned)
        tern_slice_release(&in->slice);
    *in = (struct conn_input){.owned = false};
}

/* What has been taken stays until the next bytes come: a channel's events may view it. */
static void input_advance(struct conn_input *in, size_t used)
{
    TERN_CHECK(used <= in->slice.view.size);
    in->slice.view.data += used;
    in->slice.view.size -= used;
}

static bool input_waits(const struct conn_input *in)
{
    return in->slice.view.size > 0;
}

void conn_stack_push(struct tern_conn *conn, struct tern_channel channel)
{
    struct conn_stack *stack = &conn->stack;
    TERN_CHECK(stack->count < CONN_CHANNELS_MAX);
    stack->channels[stack->count++] = channel;
}

const struct tern_channel *conn_stack_secure(const struct tern_conn *conn)
{
    const struct conn_stack *stack = &conn->stack;
    if (stack->count == 0 || stack->channels[stack->count - 1].ops->remote == NULL)
        return NULL;
    return &stack->channels[stack->count - 1];
}

void conn_stack_fini(struct tern_conn *conn)
{
    struct conn_stack *stack = &conn->stack;
    for (size_t i = 1; i <= CONN_CHANNELS_MAX; i++)
        input_clear(&stack->inputs[i]);
    while (stack->count > 0) {
        struct tern_channel *top = &stack->channels[--stack->count];
        top->ops->fini(top->self);
    }
}

/* --- up --- */

/* Where the consumer stands. The negotiation of the secure channel reads what that channel will
 * read when it is agreed, also when a dialer has made it already. */
static size_t stack_top(const struct tern_conn *conn)
{
    return conn->state == CONN_SELECT_SECURE ? conn->stack.opened : conn->stack.count;
}

/* Gives the consumer what waits for it; true: it took something. */
static bool stack_consume(struct tern_conn *conn, tern_time now)
{
    struct conn_input *in = &conn->stack.inputs[stack_top(conn)];
    size_t used = 0;
    if (!input_waits(in) || conn->job_out)
        return false;
    if (conn_upgrade_reads(conn)) {
        if (conn_upgrade_recv(conn, now, in->slice.view, &used) != TERN_OK)
            return false; /* it has failed the connection */
    } else {
        TERN_CHECK(conn->mux.ops != NULL);
        tern_err err = conn->mux.ops->recv(conn->mux.self, now, in->slice, &used);
        if (err != TERN_OK) {
            conn_fail(conn, err, conn->mux.ops->fault(conn->mux.self));
            return false;
        }
    }
    input_advance(in, used);
    return used > 0;
}

static void stack_event(struct tern_conn *conn, tern_time now, size_t at,
                        const struct tern_channel_event *event)
{
    switch (event->kind) {
    case TERN_CHANNEL_JOB:
        conn->job_out = true;
        conn->job_of = (uint8_t)at;
        conn_pend(conn, &(struct tern_conn_event){.kind = TERN_CONN_JOB, .job = event->job});
        return;
    case TERN_CHANNEL_HANDSHAKE_DONE:
        TERN_CHECK(at == conn->stack.opened);
        conn->stack.opened++;
        conn->stack.carries = conn->stack.opened;
        if (conn->stack.channels[at].ops->remote == NULL)
            conn_wrap_opened(conn);
        else
            conn_upgrade_secured(conn, now);
        return;
    case TERN_CHANNEL_DATA:
        input_clear(&conn->stack.inputs[at + 1]);
        conn->stack.inputs[at + 1].slice = event->data;
        return;
    case TERN_CHANNEL_END:
        conn->stack.carries = (uint8_t)at;
        tern_conn_link_end(conn, now);
        return;
    }
    TERN_UNREACHABLE();
}

/* Draws one event of a channel; false: there is none. */
static bool stack_draw(struct tern_conn *conn, tern_time now, size_t at)
{
    struct tern_channel *channel = &conn->stack.channels[at];
    struct tern_channel_event event;
    if (!channel->ops->next(channel->self, &event))
        return false;
    stack_event(conn, now, at, &event);
    return true;
}

/* Draws one event of a channel, or gives it bytes; true: something happened. */
static bool stack_step(struct tern_conn *conn, tern_time now, size_t at)
{
    struct conn_stack *stack = &conn->stack;
    struct tern_channel *channel = &stack->channels[at];
    struct conn_input *in = &stack->inputs[at];
    size_t used = 0;
    if (conn->job_out)
        return false;
    if (stack_draw(conn, now, at))
        return true;
    if (stack->err != TERN_OK && stack->err_of == at) {
        if (stack->carries > at)
            stack->carries = (uint8_t)at;
        conn_fail(conn, stack->err, channel->ops->fault(channel->self));
        return false;
    }
    if (!input_waits(in))
        return false;
    tern_err err = channel->ops->recv(channel->self, now, in->slice, &used);
    input_advance(in, used);
    /* A channel may take nothing and still have something to say: a job that looks at it first. */
    if (err == TERN_OK)
        return used > 0 || stack_draw(conn, now, at);
    stack->err = err;
    stack->err_of = (uint8_t)at;
    return true;
}

static void stack_pump(struct tern_conn *conn, tern_time now)
{
    bool moved = true;
    while (moved && !conn_over(conn)) {
        moved = stack_consume(conn, now);
        for (size_t at = stack_top(conn); at-- > 0 && !moved && !conn_over(conn);) {
            if (input_waits(&conn->stack.inputs[at + 1]))
                break; /* what is above takes no more: all below must wait */
            moved = stack_step(conn, now, at);
        }
    }
}

/* Bytes above the link are borrowed for the call: what is left of them is kept. */
static void stack_keep(struct tern_conn *conn)
{
    for (size_t i = 1; i <= conn->stack.count; i++) {
        struct conn_input *in = &conn->stack.inputs[i];
        bool ok = true;
        if (in->owned || !input_waits(in))
            continue;
        in->slice = tern_slice_keep(conn->mem, in->slice, &ok);
        in->owned = ok;
        if (!ok) {
            input_clear(in);
            conn_fail(conn, TERN_ERR_MEMORY, TERN_FAULT_NONE);
        }
    }
}

/* Gives the stack bytes of the link; returns how many it took. */
static size_t stack_take(struct tern_conn *conn, tern_time now, struct tern_slice in)
{
    struct conn_input *link = &conn->stack.inputs[0];
    link->slice = in;
    stack_pump(conn, now);
    size_t used = in.view.size - link->slice.view.size;
    link->slice = (struct tern_slice){.chunk = NULL};
    stack_keep(conn);
    return used;
}

/* True: the form of the link is known, and what was looked at has gone the way of all bytes. No
 * channel and no negotiation is done with so few, so all of them are taken. */
static bool stack_sniff(struct tern_conn *conn, tern_time now, struct tern_view in, size_t *used)
{
    *used = conn_wrap_sniff(conn, in);
    if (conn->state == CONN_SNIFF || conn_over(conn))
        return false;
    size_t took = stack_take(
        conn, now, (struct tern_slice){.view = tern_view_of(conn->sniffed, conn->sniffed_size)});
    TERN_CHECK(took == conn->sniffed_size || conn_over(conn));
    return !conn_over(conn);
}

void conn_stack_recv(struct tern_conn *conn, tern_time now, struct tern_slice in, size_t *used)
{
    *used = 0;
    if (conn->state == CONN_SNIFF && !stack_sniff(conn, now, in.view, used))
        return;
    in.view = tern_view_part(in.view, *used, in.view.size - *used);
    *used += stack_take(conn, now, in);
}

bool conn_stack_waits(const struct tern_conn *conn)
{
    return !conn_over(conn) && conn->mux.ops != NULL && conn->session == NULL &&
           input_waits(&conn->stack.inputs[stack_top(conn)]);
}

void conn_stack_resume(struct tern_conn *conn, tern_time now)
{
    stack_pump(conn, now);
    stack_keep(conn);
}

void conn_stack_job_done(struct tern_conn *conn, tern_time now, struct tern_job *job)
{
    struct tern_channel *channel = &conn->stack.channels[conn->job_of];
    tern_err err = channel->ops->job_done(channel->self, now, job);
    if (conn->freed)
        return;
    if (err != TERN_OK) {
        conn->stack.err = err;
        conn->stack.err_of = conn->job_of;
    }
    conn_stack_resume(conn, now);
}

/* --- down --- */

/* Frames that are open, one inside the other; writers[i] is what channel i writes to. */
struct stack_frames {
    struct tern_writer *writers[CONN_CHANNELS_MAX + 1];
    struct tern_writer inner[CONN_CHANNELS_MAX];
    size_t count;
};

static void frames_close(struct tern_conn *conn, struct stack_frames *frames)
{
    while (frames->count > 0) {
        size_t i = --frames->count;
        struct tern_channel *channel = &conn->stack.channels[i];
        channel->ops->seal_end(channel->self, frames->writers[i], frames->inner[i].size);
    }
}

/* Opens a frame in each of the first depth channels. False: there is no room, and none is open. */
static bool frames_open(struct tern_conn *conn, size_t depth, struct tern_writer *out,
                        struct stack_frames *frames)
{
    frames->count = 0;
    frames->writers[0] = out;
    while (frames->count < depth) {
        size_t i = frames->count;
        struct tern_channel *channel = &conn->stack.channels[i];
        struct tern_span room = channel->ops->seal_begin(channel->self, frames->writers[i]);
        if (room.size == 0) {
            frames_close(conn, frames);
            return false;
        }
        frames->inner[i] = tern_writer_of(room.data, room.size);
        frames->writers[i + 1] = &frames->inner[i];
        frames->count++;
    }
    return true;
}

/* What the consumer has to say: the muxer's negotiation, then the muxer's frames. */
static void stack_say_top(struct tern_conn *conn, tern_time now, struct tern_writer *out)
{
    if (tern_writer_left(out) >= TERN_MULTISTREAM_WIRE_MAX)
        conn_select_send(conn, &conn->select_mux, out);
    if (conn->mux.ops != NULL && !conn_select_want_send(conn, conn->select_mux))
        conn->mux.ops->send(conn->mux.self, now, out);
}

/* May handshake bytes of the secure channel go? A dialer's may ride behind its lazy proposal, a
 * listener's behind its echo. */
static bool stack_may_handshake(const struct tern_conn *conn)
{
    if (conn_stack_secure(conn) == NULL)
        return false;
    if (conn->select_secure == NULL)
        return true;
    return conn->role == TERN_ROLE_INITIATOR &&
           tern_multistream_dialer_can_write(&conn->select_secure->dialer);
}

/* Is the next thing to say at this depth pending? Depth i is what goes through the first i
 * channels: the handshake of channel i, or, above all of them, the consumer's. */
static bool stack_pending(const struct tern_conn *conn, size_t depth)
{
    const struct conn_stack *stack = &conn->stack;
    const struct tern_channel *secure = conn_stack_secure(conn);
    size_t wraps = secure == NULL ? stack->count : stack->count - 1u;
    if (depth == wraps && conn_select_want_send(conn, conn->select_secure))
        return true;
    if (depth < stack->count) {
        if (conn->job_out && conn->job_of == depth)
            return false;
        const struct tern_channel *channel = &stack->channels[depth];
        return (depth < wraps || stack_may_handshake(conn)) &&
               channel->ops->control_pending(channel->self);
    }
    if (secure == NULL || stack->opened < stack->count)
        return false;
    return conn_select_want_send(conn, conn->select_mux) ||
           (conn->mux.ops != NULL && conn->mux.ops->want_send(conn->mux.self));
}

static void stack_say(struct tern_conn *conn, tern_time now, size_t depth, struct tern_writer *out)
{
    struct conn_stack *stack = &conn->stack;
    const struct tern_channel *secure = conn_stack_secure(conn);
    size_t wraps = secure == NULL ? stack->count : stack->count - 1u;
    if (depth == wraps)
        conn_select_send(conn, &conn->select_secure, out);
    if (depth == stack->count) {
        if (secure != NULL)
            stack_say_top(conn, now, out);
    } else if (stack_pending(conn, depth)) {
        struct tern_channel *channel = &stack->channels[depth];
        channel->ops->control(channel->self, now, out);
    }
}

/* How deep anything can be said now. */
static size_t stack_reach(const struct conn_stack *stack)
{
    return tern_min_size(stack->count, stack->carries);
}

static bool stack_any_pending(const struct tern_conn *conn)
{
    for (size_t depth = 0; depth <= stack_reach(&conn->stack); depth++)
        if (stack_pending(conn, depth))
            return true;
    return false;
}

static void stack_send(struct tern_conn *conn, tern_time now, struct tern_writer *out)
{
    struct conn_stack *stack = &conn->stack;
    for (size_t depth = 0; depth <= stack_reach(stack); depth++) {
        struct stack_frames frames;
        bool more = stack_pending(conn, depth);
        while (more && frames_open(conn, depth, out, &frames)) {
            struct tern_writer *inner = frames.writers[depth];
            size_t before = inner->size;
            stack_say(conn, now, depth, inner);
            more = inner->size > before && depth == stack->count;
            frames_close(conn, &frames);
        }
    }
}

/* Lets the next channel say its farewell; false: there is none left that has one. */
static bool stack_shut_next(struct conn_stack *stack)
{
    while (stack->shutting > 0) {
        const struct tern_channel *channel = &stack->channels[--stack->shutting];
        if (channel->ops->shut == NULL)
            continue;
        channel->ops->shut(channel->self);
        return true;
    }
    return false;
}

void conn_stack_send(struct tern_conn *conn, tern_time now, struct tern_writer *out)
{
    if (tern_writer_left(out) < STACK_ROOM_MIN)
        return;
    do {
        stack_send(conn, now, out);
    } while (!stack_any_pending(conn) && stack_shut_next(&conn->stack));
}

bool conn_stack_want_send(const struct tern_conn *conn)
{
    const struct conn_stack *stack = &conn->stack;
    for (size_t i = 0; i < stack->shutting; i++)
        if (stack->channels[i].ops->shut != NULL)
            return true;
    return stack_any_pending(conn);
}

void conn_stack_shut(struct tern_conn *conn)
{
    conn->stack.shutting = conn->stack.carries;
}
