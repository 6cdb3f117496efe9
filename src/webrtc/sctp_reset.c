/*
 * Streams are reset (RFC 6525): requests of either side, one at a time in each direction.
 *
 *   ours:   waiting ─ all before it was cut ─► asked ─ response ─► done (RESET_OUT)
 *                                                └─ none, or "in progress": the same again after a
 * while theirs: request ─ data up to its number have come ─► performed (RESET_IN), "performed" └─
 * not yet: deferred, "in progress"
 */
#include "webrtc/sctp_internal.h"

enum reset_result {
    RESET_NOTHING = 0,
    RESET_PERFORMED = 1,
    RESET_DENIED = 2,
    RESET_ALREADY = 4, /* another one is in progress */
    RESET_IN_PROGRESS = 6,
};

enum { RESET_REFUSED = 1 << 16 };

void sctp_resets_init(struct tern_sctp *s, uint32_t first_request)
{
    struct sctp_resets *resets = &s->resets;
    resets->request_next = first_request;
    resets->retry_at = TERN_TIME_NEVER;
    tern_ring_init(&resets->waiting, s->mem, sizeof(struct sctp_reset), TERN_SCTP_RESETS_MAX);
    tern_ring_init(&resets->done, s->mem, sizeof(uint32_t), TERN_SCTP_RESETS_MAX);
    tern_ring_init(&resets->incoming, s->mem, sizeof(uint16_t), TERN_SCTP_RECEIVED_MAX / 2);
}

void sctp_resets_fini(struct tern_sctp *s)
{
    tern_ring_fini(&s->resets.waiting);
    tern_ring_fini(&s->resets.done);
    tern_ring_fini(&s->resets.incoming);
    tern_mem_free(s->mem, s->resets.asked, SCTP_RESETS_REQUEST_MAX * sizeof *s->resets.asked);
}

/* ---- ours ---- */

tern_err tern_sctp_reset(struct tern_sctp *s, uint16_t number)
{
    if (s->state > SCTP_ESTABLISHED)
        return TERN_ERR_CLOSED;
    struct sctp_stream *stream = sctp_stream_use(s, number);
    if (stream == NULL)
        return TERN_ERR_MEMORY;
    TERN_CHECK(!stream->resetting);
    const struct sctp_reset reset = {.stream = number, .behind = s->out.messages_taken};
    TERN_TRY(tern_ring_push(&s->resets.waiting, &reset));
    stream->resetting = true;
    sctp_resets_progress(s);
    return TERN_OK;
}

bool tern_sctp_resetting(const struct tern_sctp *s, uint16_t number)
{
    const struct sctp_stream *stream = sctp_stream(s, number);
    return stream != NULL && stream->resetting;
}

/* reset_done: our direction of a stream begins anew, or stays as it is for good. A place for the
 * event was there: it is that of the waiting one. */
static void reset_done(struct tern_sctp *s, uint16_t number, bool performed)
{
    struct sctp_stream *stream = sctp_stream(s, number);
    uint32_t entry = number | (performed ? 0U : (uint32_t)RESET_REFUSED);
    if (tern_ring_push(&s->resets.done, &entry) != TERN_OK)
        sctp_close(s, TERN_ERR_MEMORY, TERN_FAULT_NONE);
    if (!performed)
        return;
    stream->resetting = false;
    stream->ssn_out = 0;
    sctp_stream_settle(s, number);
}

/* reset_ask makes a request of those whose turn it is. */
static void reset_ask(struct tern_sctp *s)
{
    struct sctp_resets *resets = &s->resets;
    const struct sctp_reset *next;
    struct sctp_reset reset;
    if (resets->asked_count > 0 || s->state != SCTP_ESTABLISHED)
        return;
    if (resets->asked == NULL && tern_ring_count(&resets->waiting) > 0)
        resets->asked = tern_mem_alloc(s->mem, SCTP_RESETS_REQUEST_MAX * sizeof *resets->asked);
    if (resets->asked == NULL)
        return; /* nobody waits, or later */
    while (resets->asked_count < SCTP_RESETS_REQUEST_MAX &&
           (next = tern_ring_at(&resets->waiting, 0)) != NULL &&
           next->behind <= s->out.messages_cut) {
        tern_ring_pop(&resets->waiting, &reset);
        if (!s->peer.resets)
            reset_done(s, reset.stream, false);
        else
            resets->asked[resets->asked_count++] = reset.stream;
    }
    if (resets->asked_count == 0)
        return;
    resets->asked_last_tsn = s->out.next - 1;
    s->due |= SCTP_DUE_RESET_REQUEST;
}

void sctp_write_reset_request(struct tern_sctp *s, tern_time now, struct tern_writer *w)
{
    struct sctp_resets *resets = &s->resets;
    size_t start = sctp_begin_chunk(w, SCTP_RECONFIG, 0);
    size_t parameter = sctp_begin_parameter(w, SCTP_PARAM_RESET_OUT);
    tern_writer_u32be(w, resets->request_next);
    tern_writer_u32be(w, resets->expected - 1);
    tern_writer_u32be(w, resets->asked_last_tsn);
    for (uint32_t i = 0; i < resets->asked_count; i++)
        tern_writer_u16be(w, resets->asked[i]);
    sctp_end_parameter(w, parameter);
    sctp_end_chunk(w, start);
    resets->retry_at = now + s->out.rto_ns;
    s->due &= ~(uint32_t)SCTP_DUE_RESET_REQUEST;
}

void sctp_resets_tick(struct tern_sctp *s, tern_time now)
{
    if (now < s->resets.retry_at)
        return;
    s->resets.retry_at = TERN_TIME_NEVER;
    sctp_back_off(s);
    if (s->state == SCTP_ESTABLISHED)
        s->due |= SCTP_DUE_RESET_REQUEST;
}

static bool reset_recv_response(struct tern_sctp *s, struct tern_view value)
{
    struct sctp_resets *resets = &s->resets;
    struct tern_reader r = tern_reader_of(value);
    uint32_t number;
    uint32_t result;
    tern_reader_u32be(&r, &number);
    if (!tern_reader_u32be(&r, &result))
        return false;
    if (resets->asked_count == 0 || number != resets->request_next)
        return true; /* of an earlier one */
    s->out.errors = 0;
    if (result == RESET_IN_PROGRESS || result == RESET_ALREADY)
        return true; /* the timer asks again */
    bool performed = result == RESET_PERFORMED || result == RESET_NOTHING;
    for (uint32_t i = 0; i < resets->asked_count; i++)
        reset_done(s, resets->asked[i], performed);
    resets->asked_count = 0;
    resets->request_next++;
    resets->retry_at = TERN_TIME_NEVER;
    s->due &= ~(uint32_t)SCTP_DUE_RESET_REQUEST;
    return true;
}

/* ---- the remote's ---- */

static void reset_answer(struct tern_sctp *s, uint32_t result)
{
    s->resets.result = result;
    s->due |= SCTP_DUE_RESET_RESPONSE;
}

void sctp_write_reset_response(struct tern_sctp *s, struct tern_writer *w)
{
    size_t start = sctp_begin_chunk(w, SCTP_RECONFIG, 0);
    size_t parameter = sctp_begin_parameter(w, SCTP_PARAM_RESPONSE);
    tern_writer_u32be(w, s->resets.expected - 1);
    tern_writer_u32be(w, s->resets.result);
    sctp_end_parameter(w, parameter);
    sctp_end_chunk(w, start);
    s->due &= ~(uint32_t)SCTP_DUE_RESET_RESPONSE;
}

/* reset_number takes the number of a request; false: the request is not new. A copy gets the answer
 * that it got, one from the future none: what is before it comes first. */
static bool reset_number(struct tern_sctp *s, uint32_t number)
{
    struct sctp_resets *resets = &s->resets;
    if (number == resets->expected) {
        resets->expected++;
        resets->any = true;
        return true;
    }
    if (resets->any && number == resets->expected - 1)
        s->due |= SCTP_DUE_RESET_RESPONSE;
    else
        sctp_drop(s, TERN_FAULT_WEBRTC_SCTP_RECONFIG);
    return false;
}

/* reset_take begins a request of the remote to reset these streams of its own. */
static void reset_take(struct tern_sctp *s, uint32_t last_tsn, struct tern_reader *streams)
{
    struct sctp_resets *resets = &s->resets;
    if (resets->deferred) {
        reset_answer(s, RESET_ALREADY);
        return;
    }
    if (tern_reader_left(streams) == 0) {
        reset_answer(s, RESET_DENIED); /* all streams at once: nobody does that to data channels */
        return;
    }
    uint16_t number;
    while (tern_reader_left(streams) > 0 && tern_reader_u16be(streams, &number)) {
        if (tern_ring_push(&resets->incoming, &number) != TERN_OK) {
            while (tern_ring_pop(&resets->incoming, &number))
                continue;
            resets->expected--; /* as if it had been lost: it comes again */
            return;
        }
    }
    resets->deferred = true;
    resets->deferred_tsn = last_tsn;
    reset_answer(s, RESET_IN_PROGRESS);
    sctp_resets_progress(s);
}

static bool reset_recv_out(struct tern_sctp *s, struct tern_view value)
{
    struct tern_reader r = tern_reader_of(value);
    uint32_t number;
    uint32_t response;
    uint32_t last_tsn;
    tern_reader_u32be(&r, &number);
    tern_reader_u32be(&r, &response);
    if (!tern_reader_u32be(&r, &last_tsn) || tern_reader_left(&r) % 2 != 0)
        return false;
    if (reset_number(s, number))
        reset_take(s, last_tsn, &r);
    return true;
}

/* reset_recv_other answers requests that data channels have no need for. */
static bool reset_recv_other(struct tern_sctp *s, struct tern_view value)
{
    struct tern_reader r = tern_reader_of(value);
    uint32_t number;
    if (!tern_reader_u32be(&r, &number))
        return false;
    if (reset_number(s, number))
        reset_answer(s, RESET_DENIED);
    return true;
}

static bool reset_recv_parameter(struct tern_sctp *s, const struct sctp_parameter *parameter)
{
    switch (parameter->type) {
    case SCTP_PARAM_RESET_OUT:
        return reset_recv_out(s, parameter->value);
    case SCTP_PARAM_RESPONSE:
        return reset_recv_response(s, parameter->value);
    case SCTP_PARAM_RESET_IN:
    case SCTP_PARAM_RESET_ALL:
    case SCTP_PARAM_ADD_OUT:
    case SCTP_PARAM_ADD_IN:
        return reset_recv_other(s, parameter->value);
    default: /* a peer's number, not an enum of ours */
        return true;
    }
}

void sctp_recv_reconfig(struct tern_sctp *s, struct tern_view value)
{
    enum { PARAMETERS_MAX = 2 };
    struct tern_reader r = tern_reader_of(value);
    struct sctp_parameter parameter;
    for (int i = 0; i < PARAMETERS_MAX && sctp_next_parameter(&r, &parameter); i++) {
        if (!reset_recv_parameter(s, &parameter))
            tern_reader_fail(&r, TERN_ERR_MALFORMED);
    }
    if (r.err != TERN_OK)
        sctp_violation(s, TERN_FAULT_WEBRTC_SCTP_CHUNK, SCTP_CAUSE_VIOLATION);
}

void sctp_resets_progress(struct tern_sctp *s)
{
    struct sctp_resets *resets = &s->resets;
    if (resets->deferred && !sctp_before(s->in.cumulative, resets->deferred_tsn)) {
        resets->deferred = false;
        resets->incoming_ready = tern_ring_count(&resets->incoming);
        reset_answer(s, RESET_PERFORMED); /* also when the request was answered before */
    }
    reset_ask(s);
}

bool sctp_resets_cover(const struct tern_sctp *s, const struct sctp_held *held)
{
    const struct sctp_resets *resets = &s->resets;
    for (size_t i = 0; i < tern_ring_count(&resets->incoming); i++) {
        const uint16_t *number = tern_ring_at(&resets->incoming, i);
        if (*number == held->stream && sctp_before(resets->deferred_tsn, held->tsn))
            return true;
    }
    return false;
}

bool sctp_resets_next(struct tern_sctp *s, struct tern_sctp_event *event)
{
    struct sctp_resets *resets = &s->resets;
    uint16_t number;
    uint32_t done;
    if (resets->incoming_ready > 0 && tern_ring_pop(&resets->incoming, &number)) {
        resets->incoming_ready--;
        sctp_in_restart(s, number);
        sctp_stream_settle(s, number);
        *event = (struct tern_sctp_event){.kind = TERN_SCTP_RESET_IN, .stream = number};
        return true;
    }
    if (!tern_ring_pop(&resets->done, &done))
        return false;
    *event = (struct tern_sctp_event){
        .kind = TERN_SCTP_RESET_OUT,
        .stream = (uint16_t)done,
        .err = done & RESET_REFUSED ? TERN_ERR_REFUSED : TERN_OK,
    };
    return true;
}
