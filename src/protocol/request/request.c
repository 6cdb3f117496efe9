#include "protocol/request/request.h"

#include "base/check.h"
#include "base/ring.h"
#include "protocol/frame.h"
#include "swarm/manager.h"
#include "wire/protobuf.h"

enum exchange_state {
    EXCHANGE_FREE,
    EXCHANGE_ASKING,    /* ours: the answer is awaited */
    EXCHANGE_RECEIVING, /* theirs: the request is coming in */
    EXCHANGE_SERVING,   /* theirs: the owner has it, or will be given it */
    EXCHANGE_ANSWERING, /* theirs: the answer is going out */
    EXCHANGE_ENDED,     /* ours: an event about it waits */
};

/* One request, ours or theirs. Its stream carries slot + 1 as user value. */
struct exchange {
    enum exchange_state state;
    uint32_t slot;
    uint32_t generation;
    bool ours;
    bool cancelled; /* its event is not given */
    tern_peer peer;
    struct tern_peer_id peer_id;
    struct tern_stream stream;
    tern_token token;
    tern_time deadline;
    tern_err err;
    const struct tern_protocol *protocol;
    struct tern_view name; /* ours: what is offered */
    struct tern_frame_reader reader;
    struct tern_view message;  /* inside reader */
    struct tern_chunk *unsent; /* a frame that the stream did not take yet */
};

struct tern_requests {
    struct tern_mem *mem;
    struct tern_swarm *swarm;
    struct tern_requests_options options;
    uint32_t number;
    uint32_t tag;                /* of peers that answer */
    struct exchange **exchanges; /* by slot */
    size_t count;
    size_t capacity;
    size_t used[2];          /* theirs, ours */
    struct tern_ring events; /* uint32_t: slots with an event */
    tern_time deadline;      /* no exchange is due before this */
    uint32_t given;          /* slot whose event was given last, to be freed; UINT32_MAX: none */
};

/* --- slots --- */

static struct exchange *exchange_new(struct tern_requests *r, bool ours)
{
    uint32_t slot = 0;
    if (r->used[ours] >= TERN_REQUEST_RUNNING_MAX)
        return NULL;
    while (slot < r->count && r->exchanges[slot]->state != EXCHANGE_FREE)
        slot++;
    TERN_CHECK(slot < 2 * TERN_REQUEST_RUNNING_MAX);
    if (slot == r->count) {
        if (r->count == r->capacity) {
            size_t capacity = r->capacity == 0 ? 16 : 2 * r->capacity;
            struct exchange **grown = tern_mem_realloc(
                r->mem, r->exchanges, r->capacity * sizeof *grown, capacity * sizeof *grown);
            if (grown == NULL)
                return NULL;
            r->exchanges = grown;
            r->capacity = capacity;
        }
        r->exchanges[slot] = tern_mem_zalloc(r->mem, sizeof(struct exchange));
        if (r->exchanges[slot] == NULL)
            return NULL;
        r->count++;
    }
    struct exchange *x = r->exchanges[slot];
    uint32_t generation = x->generation + 1;
    *x = (struct exchange){.slot = slot, .generation = generation, .ours = ours};
    tern_frame_reader_init(&x->reader, r->mem, r->options.size_max + TERN_REQUEST_REASON_MAX + 64);
    r->used[ours]++;
    return x;
}

static void exchange_free(struct tern_requests *r, struct exchange *x)
{
    TERN_CHECK(x->state != EXCHANGE_FREE);
    tern_frame_reader_fini(&x->reader);
    tern_chunk_unref(x->unsent);
    x->unsent = NULL;
    x->state = EXCHANGE_FREE;
    r->used[x->ours]--;
}

static void exchange_push_event(struct tern_requests *r, const struct exchange *x)
{
    tern_err err = tern_ring_push(&r->events, &x->slot);
    TERN_CHECK(err == TERN_OK); /* there is room for every slot, taken at the start */
}

/* Who answers is worth keeping: so many answers count, and they are forgotten by half in so long.
 */
static const struct tern_tag_rule requests_tag = {.name = "answers",
                                                  .decay = TERN_TAG_EXPONENTIAL,
                                                  .interval_ns = 10 * TERN_MINUTE,
                                                  .amount = 50,
                                                  .value_max = 20};

/* Ours is over: the owner is told. */
static void exchange_ended(struct tern_requests *r, struct exchange *x, tern_err err)
{
    TERN_CHECK(x->state == EXCHANGE_ASKING);
    tern_swarm_unprotect(r->swarm, x->peer, TERN_PROTECT_REQUEST);
    if (err == TERN_OK)
        tern_swarm_tag_bump(r->swarm, x->peer, r->tag, 1);
    x->state = EXCHANGE_ENDED;
    x->err = err;
    exchange_push_event(r, x);
}

/* --- sending --- */

/* Sends the frame that waits, then ends our side. TERN_ERR_AGAIN: the stream takes it later. */
static tern_err exchange_flush(struct tern_requests *r, struct exchange *x)
{
    if (x->unsent == NULL)
        return TERN_OK;
    struct tern_slice slice = {.chunk = x->unsent, .view = tern_chunk_view(x->unsent)};
    TERN_TRY(tern_swarm_write_slice(r->swarm, x->stream, slice));
    tern_chunk_unref(x->unsent);
    x->unsent = NULL;
    return tern_swarm_close_write(r->swarm, x->stream);
}

/* Sets when the exchange is given up; the service's deadline is at most the earliest of them. */
static void exchange_set_deadline(struct tern_requests *r, struct exchange *x, tern_time deadline)
{
    x->deadline = deadline;
    r->deadline = tern_time_min(r->deadline, deadline);
}

tern_err tern_request_send(struct tern_requests *r, tern_time now,
                           const struct tern_request *request)
{
    if (request->body.size > r->options.size_max)
        return TERN_ERR_TOO_LARGE;
    if (r->used[true] >= TERN_REQUEST_RUNNING_MAX)
        return TERN_ERR_FULL;
    struct exchange *x = exchange_new(r, true);
    if (x == NULL)
        return TERN_ERR_MEMORY;
    x->state = EXCHANGE_ASKING;
    x->peer = request->peer;
    x->token = request->token;
    x->name = request->protocol;
    exchange_set_deadline(r, x, tern_time_add(now, request->timeout_ns));
    const struct tern_peer_id *id = tern_swarm_peer_id(r->swarm, request->peer);
    if (id != NULL)
        x->peer_id = *id;
    x->unsent = tern_frame_chunk(r->mem, request->body);
    struct tern_stream_request open = {
        .service = r->number,
        .peer = request->peer,
        .offer = {.names = &x->name, .names_count = 1, .class = request->class},
        .user = x->slot + 1U};
    tern_err err = x->unsent == NULL ? TERN_ERR_MEMORY
                                     : tern_swarm_open_stream(r->swarm, now, &open, &x->stream);
    if (err != TERN_OK) {
        exchange_free(r, x);
        return err;
    }
    tern_swarm_protect(r->swarm, x->peer, TERN_PROTECT_REQUEST);
    TERN_IGNORE(exchange_flush(r, x)); /* AGAIN: WRITABLE follows; anything else: ENDED does */
    return TERN_OK;
}

void tern_request_cancel(struct tern_requests *r, tern_token token)
{
    for (size_t i = 0; i < r->count; i++) {
        struct exchange *x = r->exchanges[i];
        if (!x->ours || x->token != token)
            continue;
        if (x->state == EXCHANGE_ENDED && i != r->given)
            x->cancelled = true; /* over already, but its event waits */
        if (x->state != EXCHANGE_ASKING)
            continue;
        tern_swarm_unprotect(r->swarm, x->peer, TERN_PROTECT_REQUEST);
        tern_swarm_reset(r->swarm, x->stream, TERN_STREAM_CODE_NONE);
        exchange_free(r, x);
        return;
    }
}

void tern_request_answer(struct tern_requests *r, tern_request_handle handle,
                         const struct tern_answer *answer)
{
    uint32_t slot = (uint32_t)handle;
    if (slot >= r->count)
        return;
    struct exchange *x = r->exchanges[slot];
    if (x->generation != handle >> 32 || x->state != EXCHANGE_SERVING)
        return;
    TERN_CHECK(answer->body.size <= r->options.size_max);
    struct tern_view reason = answer->reason;
    reason.size = tern_min_size(reason.size, TERN_REQUEST_REASON_MAX);
    size_t size = tern_pb_varint_size(1, answer->code) + tern_pb_bytes_size(2, reason.size) +
                  tern_pb_bytes_size(3, answer->body.size);
    x->unsent = tern_chunk_new(r->mem, tern_uvarint_size(size) + size);
    x->state = EXCHANGE_ANSWERING;
    if (x->unsent == NULL) {
        tern_swarm_reset(r->swarm, x->stream, TERN_STREAM_CODE_RESOURCE_LIMIT);
        exchange_free(r, x);
        return;
    }
    struct tern_writer w = tern_writer_of(x->unsent->data, x->unsent->capacity);
    tern_writer_uvarint(&w, size);
    tern_pb_write_varint(&w, 1, answer->code);
    tern_pb_write_bytes(&w, 2, reason);
    tern_pb_write_bytes(&w, 3, answer->body);
    TERN_CHECK(tern_writer_ok(&w));
    x->unsent->size = (uint32_t)w.size;
    tern_err err = exchange_flush(r, x);
    if (err != TERN_OK && err != TERN_ERR_AGAIN)
        exchange_free(r, x); /* nobody is there to hear it */
}

/* --- receiving --- */

static tern_fault exchange_fault(tern_err err)
{
    return err == TERN_ERR_TOO_LARGE ? TERN_FAULT_REQUEST_TOO_LARGE : TERN_FAULT_REQUEST_MALFORMED;
}

static bool exchange_blames(tern_err err)
{
    return err == TERN_ERR_TOO_LARGE || err == TERN_ERR_MALFORMED || err == TERN_ERR_NOT_MINIMAL ||
           err == TERN_ERR_TRUNCATED || err == TERN_ERR_END;
}

static enum tern_stream_code exchange_code(tern_err err)
{
    return exchange_blames(err) ? TERN_STREAM_CODE_VIOLATION : TERN_STREAM_CODE_RESOURCE_LIMIT;
}

static tern_err answer_decode(struct tern_view message, struct tern_answer *answer)
{
    struct tern_pb_iter it = tern_pb_iter_of(message);
    struct tern_pb_field field;
    *answer = (struct tern_answer){0};
    while (tern_pb_next(&it, &field)) {
        if (field.tag == TERN_PB_TAG(1, TERN_PB_VARINT))
            answer->code = field.value > UINT32_MAX ? UINT32_MAX : (uint32_t)field.value;
        else if (field.tag == TERN_PB_TAG(2, TERN_PB_BYTES))
            answer->reason = field.bytes;
        else if (field.tag == TERN_PB_TAG(3, TERN_PB_BYTES))
            answer->body = field.bytes;
    }
    answer->reason.size = tern_min_size(answer->reason.size, TERN_REQUEST_REASON_MAX);
    return tern_pb_end(&it);
}

static void exchange_read_answer(struct tern_requests *r, tern_time now, struct exchange *x)
{
    tern_err err = tern_frame_read(&x->reader, r->swarm, x->stream, &x->message);
    if (err == TERN_ERR_AGAIN)
        return;
    struct tern_stream stream = x->stream;
    struct tern_answer answer;
    if (err == TERN_OK)
        err = answer_decode(x->message, &answer);
    if (exchange_blames(err))
        tern_swarm_report(r->swarm, now, x->peer, exchange_fault(err));
    exchange_ended(r, x, exchange_blames(err) ? TERN_ERR_PROTOCOL : err);
    tern_swarm_reset(r->swarm, stream, err == TERN_OK ? TERN_STREAM_CODE_NONE : exchange_code(err));
}

static void exchange_read_request(struct tern_requests *r, tern_time now, struct exchange *x)
{
    tern_err err = tern_frame_read(&x->reader, r->swarm, x->stream, &x->message);
    if (err == TERN_ERR_AGAIN)
        return;
    if (err == TERN_OK) {
        x->state = EXCHANGE_SERVING;
        exchange_set_deadline(r, x, tern_time_add(now, r->options.serve_timeout_ns));
        exchange_push_event(r, x);
        return;
    }
    if (exchange_blames(err))
        tern_swarm_report(r->swarm, now, x->peer, exchange_fault(err));
    tern_swarm_reset(r->swarm, x->stream, exchange_code(err));
    exchange_free(r, x);
}

/* --- the service --- */

static void requests_opened(struct tern_requests *r, tern_time now,
                            const struct tern_swarm_event *event)
{
    struct exchange *x = exchange_new(r, false);
    if (x == NULL) {
        tern_swarm_reset(r->swarm, event->stream, TERN_STREAM_CODE_RESOURCE_LIMIT);
        return;
    }
    x->state = EXCHANGE_RECEIVING;
    x->peer = event->peer;
    x->peer_id = *tern_swarm_peer_id(r->swarm, event->peer);
    x->protocol = event->protocol;
    x->stream = event->stream;
    exchange_set_deadline(r, x, tern_time_add(now, r->options.serve_timeout_ns));
    tern_swarm_set_user(r->swarm, event->stream, x->slot + 1U);
}

static struct exchange *requests_of(struct tern_requests *r, const struct tern_swarm_event *event)
{
    if (event->user == 0 || event->user > r->count)
        return NULL;
    struct exchange *x = r->exchanges[event->user - 1];
    bool same = x->state != EXCHANGE_FREE && x->stream.id == event->stream.id &&
                x->stream.connection == event->stream.connection;
    return same ? x : NULL;
}

static void requests_stream_ended(struct tern_requests *r, struct exchange *x, tern_err err)
{
    switch (x->state) {
    case EXCHANGE_ASKING:
        exchange_ended(r, x, err == TERN_OK ? TERN_ERR_CLOSED : err);
        break;
    case EXCHANGE_SERVING: /* its event may wait: the slot stays until that is given */
        x->stream = (struct tern_stream){0};
        break;
    case EXCHANGE_RECEIVING:
    case EXCHANGE_ANSWERING:
        exchange_free(r, x);
        break;
    case EXCHANGE_ENDED:
    case EXCHANGE_FREE:
        break;
    }
}

static void requests_stream_event(struct tern_requests *r, tern_time now,
                                  const struct tern_swarm_event *event)
{
    struct exchange *x = requests_of(r, event);
    if (x == NULL)
        return;
    if (event->kind == TERN_SWARM_STREAM_ENDED) {
        requests_stream_ended(r, x, event->err);
        return;
    }
    if (event->kind == TERN_SWARM_STREAM_WRITABLE)
        TERN_IGNORE(exchange_flush(r, x)); /* AGAIN: WRITABLE follows; anything else: ENDED does */
    if (event->kind != TERN_SWARM_STREAM_READABLE)
        return;
    if (x->state == EXCHANGE_ASKING)
        exchange_read_answer(r, now, x);
    else if (x->state == EXCHANGE_RECEIVING)
        exchange_read_request(r, now, x);
}

static void requests_event(void *self, tern_time now, const struct tern_swarm_event *event)
{
    struct tern_requests *r = self;
    switch (event->kind) {
    case TERN_SWARM_STREAM_OPENED:
        requests_opened(r, now, event);
        break;
    case TERN_SWARM_STREAM_READY:
    case TERN_SWARM_STREAM_READABLE:
    case TERN_SWARM_STREAM_WRITABLE:
    case TERN_SWARM_STREAM_ENDED:
        requests_stream_event(r, now, event);
        break;
    case TERN_SWARM_PEER_UP:
    case TERN_SWARM_PEER_DOWN:
    case TERN_SWARM_CONNECTION_UP:
    case TERN_SWARM_CONNECTION_DOWN:
    case TERN_SWARM_LISTENING:
    case TERN_SWARM_LISTEN_FAILED:
    case TERN_SWARM_DIAL_DONE:
    case TERN_SWARM_ADDRESSES:
    case TERN_SWARM_PROTOCOLS:
        break;
    }
}

static tern_time requests_deadline(const void *self)
{
    const struct tern_requests *r = self;
    return r->deadline;
}

static void requests_expire(struct tern_requests *r, struct exchange *x)
{
    struct tern_stream stream = x->stream;
    if (x->state == EXCHANGE_ASKING) {
        exchange_ended(r, x, TERN_ERR_TIMEOUT);
    } else if (x->state == EXCHANGE_SERVING) {
        x->deadline = TERN_TIME_NEVER; /* the owner may still answer; there is nobody to hear it */
        x->stream = (struct tern_stream){0};
    } else {
        exchange_free(r, x);
    }
    tern_swarm_reset(r->swarm, stream, TERN_STREAM_CODE_IDLE);
}

static void requests_tick(void *self, tern_time now)
{
    struct tern_requests *r = self;
    if (now < r->deadline)
        return;
    r->deadline = TERN_TIME_NEVER;
    for (size_t i = 0; i < r->count; i++) {
        struct exchange *x = r->exchanges[i];
        if (x->state == EXCHANGE_FREE || x->state == EXCHANGE_ENDED)
            continue;
        if (now >= x->deadline)
            requests_expire(r, x);
        if (x->state != EXCHANGE_FREE && x->state != EXCHANGE_ENDED)
            r->deadline = tern_time_min(r->deadline, x->deadline);
    }
}

static const struct tern_service_ops requests_ops = {.name = "request",
                                                     .event = requests_event,
                                                     .deadline = requests_deadline,
                                                     .tick = requests_tick};

/* --- events for the owner --- */

static void requests_give(struct tern_requests *r, uint32_t slot, struct tern_request_event *event)
{
    struct exchange *x = r->exchanges[slot];
    *event = (struct tern_request_event){.peer = x->peer, .peer_id = x->peer_id};
    if (x->state == EXCHANGE_ENDED) {
        event->kind = TERN_REQUEST_EVENT_RESPONSE;
        event->token = x->token;
        event->err = x->err;
        if (x->err == TERN_OK)
            TERN_IGNORE(answer_decode(x->message, &event->answer)); /* it did when it came */
        r->given = slot;
        return;
    }
    TERN_CHECK(x->state == EXCHANGE_SERVING);
    event->kind = TERN_REQUEST_EVENT_REQUEST;
    event->protocol = x->protocol;
    event->handle = (uint64_t)x->generation << 32 | slot;
    event->body = x->message;
}

bool tern_requests_next(struct tern_requests *r, struct tern_request_event *event)
{
    uint32_t slot;
    if (r->given != UINT32_MAX) {
        exchange_free(r, r->exchanges[r->given]);
        r->given = UINT32_MAX;
    }
    while (tern_ring_pop(&r->events, &slot)) {
        if (!r->exchanges[slot]->cancelled) {
            requests_give(r, slot, event);
            return true;
        }
        exchange_free(r, r->exchanges[slot]);
    }
    return false;
}

/* --- making --- */

tern_err tern_requests_new(const struct tern_requests_options *options, struct tern_swarm *swarm,
                           struct tern_requests **out)
{
    struct tern_requests *r = tern_mem_zalloc(options->mem, sizeof *r);
    if (r == NULL)
        return TERN_ERR_MEMORY;
    r->mem = options->mem;
    r->swarm = swarm;
    r->options = *options;
    r->given = UINT32_MAX;
    r->deadline = TERN_TIME_NEVER;
    tern_ring_init(&r->events, r->mem, sizeof(uint32_t), 2 * TERN_REQUEST_RUNNING_MAX);
    tern_err err = tern_ring_reserve(&r->events);
    if (err == TERN_OK)
        err = tern_swarm_add_service(swarm, &requests_ops, r, &r->number);
    if (err == TERN_OK)
        err = tern_swarm_tag_rule(swarm, &requests_tag, &r->tag);
    if (err != TERN_OK) {
        tern_requests_free(r);
        return err;
    }
    *out = r;
    return TERN_OK;
}

void tern_requests_free(struct tern_requests *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->count; i++) {
        if (r->exchanges[i]->state == EXCHANGE_ASKING)
            tern_swarm_unprotect(r->swarm, r->exchanges[i]->peer, TERN_PROTECT_REQUEST);
        if (r->exchanges[i]->state != EXCHANGE_FREE)
            exchange_free(r, r->exchanges[i]);
        tern_mem_free(r->mem, r->exchanges[i], sizeof(struct exchange));
    }
    tern_mem_free(r->mem, r->exchanges, r->capacity * sizeof *r->exchanges);
    tern_ring_fini(&r->events);
    tern_mem_free(r->mem, r, sizeof *r);
}

tern_err tern_requests_serve(struct tern_requests *r, struct tern_view protocol,
                             enum tern_stream_class class)
{
    return tern_swarm_handle(
        r->swarm, &(struct tern_protocol){.name = protocol,
                                          .handler = r->number,
                                          .class = class,
                                          .inbound_per_peer_max = r->options.inbound_per_peer_max});
}
