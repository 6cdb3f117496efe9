#include "protocol/perf/perf.h"

#include "base/check.h"
#include "base/chunk.h"
#include "base/reader.h"

enum { PERF_HEADER_SIZE_MAX = 16 };

enum perf_run_state {
    PERF_RUN_FREE,
    PERF_RUN_UPLOADING,
    PERF_RUN_DOWNLOADING, /* our side has ended */
    PERF_RUN_DONE,        /* its event waits */
};

/* One request of ours. Its stream carries the index + 1 as user value. */
struct perf_run {
    enum perf_run_state state;
    bool progress; /* a PROGRESS event waits */
    struct tern_stream stream;
    struct tern_perf_request request;
    uint64_t left; /* of the upload */
    tern_time opened_at;
    tern_time quiet_at;      /* nothing has moved by then: it is over */
    tern_time phase_ends_at; /* by the duration; NEVER: by the bytes alone */
    tern_time progress_at;
    struct tern_perf_event event; /* all that is known so far */
};

enum perf_served_state {
    PERF_SERVED_FREE,
    PERF_SERVED_HEADER,
    PERF_SERVED_DISCARDING,
    PERF_SERVED_ANSWERING,
    PERF_SERVED_ENDING, /* all is said; the muxer sends it */
};

/* One request of a peer's. Its stream carries TERN_PERF_RUNNING_MAX + the index + 1. */
struct perf_served {
    enum perf_served_state state;
    struct tern_stream stream;
    tern_peer peer;
    uint8_t header[PERF_HEADER_SIZE_MAX];
    size_t header_size;
    uint64_t announced; /* bytes that come; a header of 8 bytes does not say */
    uint64_t received;
    uint64_t left; /* of the answer */
    bool cut;      /* more was asked for than we give */
    tern_time quiet_at;
};

struct tern_perf {
    struct tern_mem *mem;
    struct tern_swarm *swarm;
    struct tern_perf_service_options options;
    uint32_t number; /* in the swarm */
    bool serving;
    enum tern_perf_header header; /* of what is served */
    struct tern_chunk *zeros;     /* made when first needed */
    struct perf_run runs[TERN_PERF_RUNNING_MAX];
    struct perf_served served[TERN_PERF_SERVED_MAX];
};

static const struct tern_view perf_name = {.data = (const uint8_t *)TERN_PERF_PROTOCOL,
                                           .size = sizeof TERN_PERF_PROTOCOL - 1};

static size_t perf_header_size(enum tern_perf_header header)
{
    return header == TERN_PERF_HEADER_16 ? 16 : 8;
}

static tern_err perf_make_zeros(struct tern_perf *perf)
{
    if (perf->zeros != NULL)
        return TERN_OK;
    perf->zeros = tern_chunk_new(perf->mem, TERN_PERF_CHUNK_SIZE);
    if (perf->zeros == NULL)
        return TERN_ERR_MEMORY;
    memset(perf->zeros->data, 0, TERN_PERF_CHUNK_SIZE);
    perf->zeros->size = TERN_PERF_CHUNK_SIZE;
    return TERN_OK;
}

/* Sends of what is left as much as the stream takes: its buffer bounds that. TERN_ERR_AGAIN: the
 * rest when it is writable. */
static tern_err perf_send_zeros(struct tern_perf *perf, struct tern_stream stream, uint64_t *left)
{
    struct tern_slice slice = {.chunk = perf->zeros, .view = tern_chunk_view(perf->zeros)};
    while (*left > 0) {
        if (*left < TERN_PERF_CHUNK_SIZE)
            slice.view.size = (size_t)*left;
        TERN_TRY(tern_swarm_write_slice(perf->swarm, stream, slice));
        *left -= slice.view.size;
    }
    return TERN_OK;
}

/* After any other error the stream has ended and its ENDED event is on the way. */
static bool perf_is_ours(tern_err err)
{
    return tern_err_class(err) == TERN_CLASS_LIMIT;
}

/* --- asking --- */

static bool run_active(const struct perf_run *run)
{
    return run->state == PERF_RUN_UPLOADING || run->state == PERF_RUN_DOWNLOADING;
}

static void run_moved(tern_time now, struct perf_run *run)
{
    run->quiet_at = tern_time_add(now, run->request.quiet_ns);
}

static void run_finish(tern_time now, struct perf_run *run, tern_err err)
{
    TERN_CHECK(run_active(run));
    run->state = PERF_RUN_DONE;
    run->event.err = err;
    run->event.elapsed_ns = tern_time_since(now, run->opened_at);
}

/* Ends it, and its stream before both sides are done with it. */
static void run_break(struct tern_perf *perf, tern_time now, struct perf_run *run, tern_err err)
{
    run_finish(now, run, err);
    tern_swarm_reset(perf->swarm, run->stream, TERN_STREAM_CODE_NONE);
}

static void run_blame(struct tern_perf *perf, tern_time now, struct perf_run *run, tern_fault fault)
{
    tern_swarm_report(perf->swarm, now, run->request.peer, fault);
    run_break(perf, now, run, TERN_ERR_PROTOCOL);
}

/* Sends the upload, and our end behind it. TERN_ERR_AGAIN: it is not all out yet. */
static tern_err run_upload(struct tern_perf *perf, tern_time now, struct perf_run *run)
{
    uint64_t before = run->left;
    tern_err err = perf_send_zeros(perf, run->stream, &run->left);
    run->event.uploaded_bytes += before - run->left;
    if (run->left < before)
        run_moved(now, run);
    TERN_TRY(err);
    TERN_TRY(tern_swarm_close_write(perf->swarm, run->stream));
    run->state = PERF_RUN_DOWNLOADING;
    run->phase_ends_at = TERN_TIME_NEVER;
    run->event.uploaded_ns = tern_time_since(now, run->opened_at);
    return TERN_OK;
}

/* The first byte of the answer, or its end, is here. */
static void run_answered(tern_time now, struct perf_run *run)
{
    if (run->event.answered_ns != 0)
        return;
    run->event.answered_ns = tern_time_since(now, run->opened_at);
    if (run->request.duration_ns != 0)
        run->phase_ends_at = tern_time_add(now, run->request.duration_ns);
}

static void run_received(struct tern_perf *perf, tern_time now, struct perf_run *run, size_t size)
{
    struct tern_perf_event *event = &run->event;
    uint64_t asked = run->request.download_bytes;
    run_moved(now, run);
    if (run->state == PERF_RUN_UPLOADING) {
        run_blame(perf, now, run, TERN_FAULT_PERF_EARLY);
        return;
    }
    if (size > asked - event->downloaded_bytes) {
        run_blame(perf, now, run, TERN_FAULT_PERF_LONG);
        return;
    }
    run_answered(now, run);
    event->downloaded_bytes += size;
    if (event->downloaded_bytes == asked)
        event->ended_ns = tern_time_since(now, run->opened_at);
}

static void run_ended(struct tern_perf *perf, tern_time now, struct perf_run *run)
{
    if (run->state == PERF_RUN_UPLOADING) {
        run_blame(perf, now, run, TERN_FAULT_PERF_EARLY);
        return;
    }
    if (run->event.downloaded_bytes < run->request.download_bytes) {
        run_blame(perf, now, run, TERN_FAULT_PERF_SHORT);
        return;
    }
    run_answered(now, run);
    if (run->event.ended_ns == 0)
        run->event.ended_ns = tern_time_since(now, run->opened_at);
    run_finish(now, run, TERN_OK);
}

static void run_read(struct tern_perf *perf, tern_time now, struct perf_run *run)
{
    struct tern_slice bytes;
    tern_err err = TERN_OK;
    while (run_active(run) &&
           (err = tern_swarm_read(perf->swarm, run->stream, &bytes)) == TERN_OK) {
        size_t size = bytes.view.size;
        tern_swarm_consume(perf->swarm, run->stream, size);
        run_received(perf, now, run, size);
    }
    if (err == TERN_ERR_END && run_active(run))
        run_ended(perf, now, run);
}

static void run_news(struct tern_perf *perf, tern_time now, struct perf_run *run)
{
    run_read(perf, now, run);
    if (run->state != PERF_RUN_UPLOADING)
        return;
    tern_err err = run_upload(perf, now, run);
    if (perf_is_ours(err))
        run_break(perf, now, run, err);
}

static tern_err run_open(struct tern_perf *perf, tern_time now, struct perf_run *run)
{
    uint8_t header[PERF_HEADER_SIZE_MAX];
    size_t accepted = 0;
    struct tern_writer w = tern_writer_of(header, sizeof header);
    struct tern_stream_request open = {
        .service = perf->number,
        .peer = run->request.peer,
        .offer = {.names = &perf_name, .names_count = 1, .class = TERN_STREAM_BULK},
        .user = (uint64_t)(run - perf->runs) + 1};
    if (run->request.header == TERN_PERF_HEADER_16)
        tern_writer_u64be(&w, run->request.upload_bytes);
    tern_writer_u64be(&w, run->request.download_bytes);
    TERN_CHECK(w.size == perf_header_size(run->request.header));
    TERN_TRY(tern_swarm_open_stream(perf->swarm, now, &open, &run->stream));
    tern_err err = tern_swarm_write(perf->swarm, run->stream, tern_writer_view(&w), &accepted);
    if (err == TERN_OK)
        err = accepted == w.size ? run_upload(perf, now, run) : TERN_ERR_MEMORY;
    if (err == TERN_OK || err == TERN_ERR_AGAIN)
        return TERN_OK;
    tern_swarm_reset(perf->swarm, run->stream, TERN_STREAM_CODE_NONE);
    return err;
}

tern_err tern_perf_run(struct tern_perf *perf, tern_time now,
                       const struct tern_perf_request *request)
{
    size_t i = 0;
    bool timed_upload = request->duration_ns != 0 && request->upload_bytes > 0;
    if (request->quiet_ns == 0 || (timed_upload && request->header == TERN_PERF_HEADER_16))
        return TERN_ERR_INVALID;
    while (i < TERN_PERF_RUNNING_MAX && perf->runs[i].state != PERF_RUN_FREE)
        i++;
    if (i == TERN_PERF_RUNNING_MAX)
        return TERN_ERR_FULL;
    TERN_TRY(perf_make_zeros(perf));
    struct perf_run *run = &perf->runs[i];
    *run = (struct perf_run){
        .state = PERF_RUN_UPLOADING,
        .request = *request,
        .left = request->upload_bytes,
        .opened_at = now,
        .phase_ends_at = timed_upload ? tern_time_add(now, request->duration_ns) : TERN_TIME_NEVER,
        .progress_at =
            request->interval_ns == 0 ? TERN_TIME_NEVER : tern_time_add(now, request->interval_ns),
        .event = {.token = request->token, .peer = request->peer}};
    run_moved(now, run);
    tern_err err = run_open(perf, now, run);
    if (err != TERN_OK)
        run->state = PERF_RUN_FREE;
    return err;
}

bool tern_perf_next(struct tern_perf *perf, struct tern_perf_event *event)
{
    for (size_t i = 0; i < TERN_PERF_RUNNING_MAX; i++) {
        struct perf_run *run = &perf->runs[i];
        bool done = run->state == PERF_RUN_DONE;
        if (!done && !run->progress)
            continue;
        *event = run->event;
        event->kind = done ? TERN_PERF_EVENT_DONE : TERN_PERF_EVENT_PROGRESS;
        run->progress = false;
        if (done)
            run->state = PERF_RUN_FREE;
        return true;
    }
    return false;
}

/* The duration is over: the upload ends here, or else the download has all it will. */
static void run_phase_over(struct tern_perf *perf, tern_time now, struct perf_run *run)
{
    if (run->state == PERF_RUN_UPLOADING) {
        run->left = 0;
        tern_err err = run_upload(perf, now, run);
        if (perf_is_ours(err))
            run_break(perf, now, run, err);
        return;
    }
    run->event.ended_ns = tern_time_since(now, run->opened_at);
    run_break(perf, now, run, TERN_OK);
}

static void run_tick(struct tern_perf *perf, tern_time now, struct perf_run *run)
{
    if (now >= run->phase_ends_at)
        run_phase_over(perf, now, run);
    else if (now >= run->quiet_at) {
        /* A server that has sent all and does not end its side has said all there is to measure. */
        bool whole = run->request.download_bytes > 0 && run->event.ended_ns != 0;
        run_break(perf, now, run, whole ? TERN_OK : TERN_ERR_TIMEOUT);
    }
    if (!run_active(run) || now < run->progress_at)
        return;
    run->progress = true;
    run->progress_at = tern_time_add(now, run->request.interval_ns);
    run->event.elapsed_ns = tern_time_since(now, run->opened_at);
}

/* --- serving --- */

static void served_moved(const struct tern_perf *perf, tern_time now, struct perf_served *served)
{
    served->quiet_at = tern_time_add(now, perf->options.quiet_ns);
}

static void served_break(struct tern_perf *perf, struct perf_served *served,
                         enum tern_stream_code code)
{
    served->state = PERF_SERVED_FREE;
    tern_swarm_reset(perf->swarm, served->stream, code);
}

static void served_blame(struct tern_perf *perf, tern_time now, struct perf_served *served,
                         tern_fault fault)
{
    tern_swarm_report(perf->swarm, now, served->peer, fault);
    served_break(perf, served, TERN_STREAM_CODE_VIOLATION);
}

static void served_opened(struct tern_perf *perf, tern_time now,
                          const struct tern_swarm_event *event)
{
    size_t i = 0;
    while (i < perf->options.streams_max && perf->served[i].state != PERF_SERVED_FREE)
        i++;
    if (i == perf->options.streams_max) {
        tern_swarm_reset(perf->swarm, event->stream, TERN_STREAM_CODE_RESOURCE_LIMIT);
        return;
    }
    struct perf_served *served = &perf->served[i];
    *served = (struct perf_served){
        .state = PERF_SERVED_HEADER, .stream = event->stream, .peer = event->peer};
    served_moved(perf, now, served);
    tern_swarm_set_user(perf->swarm, event->stream, TERN_PERF_RUNNING_MAX + i + 1);
}

static void served_answer(struct tern_perf *perf, tern_time now, struct perf_served *served)
{
    uint64_t before = served->left;
    tern_err err = perf_send_zeros(perf, served->stream, &served->left);
    if (served->left < before)
        served_moved(perf, now, served);
    if (perf_is_ours(err) || (err == TERN_OK && served->cut)) {
        served_break(perf, served, TERN_STREAM_CODE_RESOURCE_LIMIT);
        return;
    }
    if (err != TERN_OK)
        return;
    served->state = PERF_SERVED_ENDING;
    TERN_IGNORE(
        tern_swarm_close_write(perf->swarm, served->stream)); /* it may have ended already */
}

static void served_header_whole(struct tern_perf *perf, struct perf_served *served)
{
    struct tern_reader r = tern_reader_of(tern_view_of(served->header, served->header_size));
    if (perf->header == TERN_PERF_HEADER_16)
        TERN_CHECK(tern_reader_u64be(&r, &served->announced));
    TERN_CHECK(tern_reader_u64be(&r, &served->left));
    served->cut = perf->options.bytes_max != 0 && served->left > perf->options.bytes_max;
    if (served->cut)
        served->left = perf->options.bytes_max;
    served->state = PERF_SERVED_DISCARDING;
}

/* The header's bytes, then the upload's. */
static void served_take(struct tern_perf *perf, tern_time now, struct perf_served *served,
                        struct tern_view bytes)
{
    size_t missing = perf_header_size(perf->header) - served->header_size;
    size_t part = tern_min_size(missing, bytes.size);
    tern_copy(served->header + served->header_size, bytes.data, part);
    served->header_size += part;
    served->received += bytes.size - part;
    served_moved(perf, now, served);
    if (served->state == PERF_SERVED_HEADER && part == missing)
        served_header_whole(perf, served);
}

/* Is there more than was announced, or than we take? Then it is over. */
static bool served_too_much(struct tern_perf *perf, tern_time now, struct perf_served *served)
{
    uint64_t max = perf->options.bytes_max;
    if (served->state == PERF_SERVED_HEADER)
        return false;
    if (perf->header == TERN_PERF_HEADER_16 && served->received > served->announced)
        served_blame(perf, now, served, TERN_FAULT_PERF_LONG);
    else if (max != 0 && served->received > max)
        served_break(perf, served, TERN_STREAM_CODE_RESOURCE_LIMIT);
    return served->state == PERF_SERVED_FREE;
}

/* The peer's side has ended. */
static void served_ended(struct tern_perf *perf, tern_time now, struct perf_served *served)
{
    if (served->state == PERF_SERVED_HEADER) {
        served_blame(perf, now, served, TERN_FAULT_PERF_HEADER);
        return;
    }
    if (served->state != PERF_SERVED_DISCARDING)
        return; /* 16 bytes: the answer did not wait for it */
    if (perf->header == TERN_PERF_HEADER_16) {
        served_blame(perf, now, served, TERN_FAULT_PERF_SHORT);
        return;
    }
    served->state = PERF_SERVED_ANSWERING;
}

static bool served_all_here(const struct tern_perf *perf, const struct perf_served *served)
{
    return perf->header == TERN_PERF_HEADER_16 && served->state == PERF_SERVED_DISCARDING &&
           served->received == served->announced;
}

static void served_news(struct tern_perf *perf, tern_time now, struct perf_served *served)
{
    struct tern_slice bytes;
    tern_err err = tern_swarm_read(perf->swarm, served->stream, &bytes);
    for (; err == TERN_OK; err = tern_swarm_read(perf->swarm, served->stream, &bytes)) {
        served_take(perf, now, served, bytes.view);
        tern_swarm_consume(perf->swarm, served->stream, bytes.view.size);
        if (served_too_much(perf, now, served))
            return;
        if (served_all_here(perf, served))
            served->state = PERF_SERVED_ANSWERING;
    }
    if (err == TERN_ERR_END)
        served_ended(perf, now, served);
    if (served->state == PERF_SERVED_ANSWERING)
        served_answer(perf, now, served);
}

tern_err tern_perf_serve(struct tern_perf *perf, enum tern_perf_header header)
{
    if (perf->serving)
        return TERN_ERR_EXISTS;
    TERN_TRY(perf_make_zeros(perf));
    TERN_TRY(tern_swarm_handle(
        perf->swarm, &(struct tern_protocol){.name = perf_name,
                                             .handler = perf->number,
                                             .class = TERN_STREAM_BULK,
                                             .inbound_per_peer_max = TERN_PERF_SERVED_PER_PEER}));
    perf->serving = true;
    perf->header = header;
    return TERN_OK;
}

void tern_perf_unserve(struct tern_perf *perf)
{
    if (!perf->serving)
        return;
    perf->serving = false;
    tern_swarm_unhandle(perf->swarm, perf_name);
    for (size_t i = 0; i < TERN_PERF_SERVED_MAX; i++)
        if (perf->served[i].state != PERF_SERVED_FREE)
            served_break(perf, &perf->served[i], TERN_STREAM_CODE_SHUTDOWN);
}

/* --- the service --- */

static bool perf_same_stream(struct tern_stream a, struct tern_stream b)
{
    return a.connection == b.connection && a.id == b.id;
}

static void perf_run_event(struct tern_perf *perf, tern_time now,
                           const struct tern_swarm_event *event)
{
    struct perf_run *run = &perf->runs[event->user - 1];
    if (!run_active(run) || !perf_same_stream(run->stream, event->stream))
        return; /* it is over, and the stream ends behind it */
    if (event->kind != TERN_SWARM_STREAM_ENDED)
        run_news(perf, now, run);
    else if (event->err == TERN_OK)
        run_ended(perf, now, run);
    else
        run_finish(now, run, event->err);
}

static void perf_served_event(struct tern_perf *perf, tern_time now,
                              const struct tern_swarm_event *event)
{
    struct perf_served *served = &perf->served[event->user - TERN_PERF_RUNNING_MAX - 1];
    if (served->state == PERF_SERVED_FREE || !perf_same_stream(served->stream, event->stream))
        return;
    if (event->kind == TERN_SWARM_STREAM_ENDED)
        served->state = PERF_SERVED_FREE;
    else
        served_news(perf, now, served);
}

static void perf_event(void *self, tern_time now, const struct tern_swarm_event *event)
{
    struct tern_perf *perf = self;
    switch (event->kind) {
    case TERN_SWARM_STREAM_OPENED:
        served_opened(perf, now, event);
        break;
    case TERN_SWARM_STREAM_READABLE:
    case TERN_SWARM_STREAM_WRITABLE:
    case TERN_SWARM_STREAM_ENDED:
        TERN_CHECK(event->user <= TERN_PERF_RUNNING_MAX + TERN_PERF_SERVED_MAX);
        if (event->user > TERN_PERF_RUNNING_MAX)
            perf_served_event(perf, now, event);
        else if (event->user > 0)
            perf_run_event(perf, now, event);
        break;
    case TERN_SWARM_STREAM_READY:
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

static tern_time perf_deadline(const void *self)
{
    const struct tern_perf *perf = self;
    tern_time deadline = TERN_TIME_NEVER;
    for (size_t i = 0; i < TERN_PERF_RUNNING_MAX; i++) {
        const struct perf_run *run = &perf->runs[i];
        if (!run_active(run))
            continue;
        deadline = tern_time_min(deadline, run->quiet_at);
        deadline = tern_time_min(deadline, run->phase_ends_at);
        deadline = tern_time_min(deadline, run->progress_at);
    }
    for (size_t i = 0; i < TERN_PERF_SERVED_MAX; i++)
        if (perf->served[i].state != PERF_SERVED_FREE)
            deadline = tern_time_min(deadline, perf->served[i].quiet_at);
    return deadline;
}

static void perf_tick(void *self, tern_time now)
{
    struct tern_perf *perf = self;
    for (size_t i = 0; i < TERN_PERF_RUNNING_MAX; i++)
        if (run_active(&perf->runs[i]))
            run_tick(perf, now, &perf->runs[i]);
    for (size_t i = 0; i < TERN_PERF_SERVED_MAX; i++) {
        struct perf_served *served = &perf->served[i];
        if (served->state != PERF_SERVED_FREE && now >= served->quiet_at)
            served_break(perf, served, TERN_STREAM_CODE_RESOURCE_LIMIT);
    }
}

static const struct tern_service_ops perf_ops = {
    .name = "perf", .event = perf_event, .deadline = perf_deadline, .tick = perf_tick};

tern_err tern_perf_new(const struct tern_perf_service_options *options, struct tern_swarm *swarm,
                       struct tern_perf **out)
{
    TERN_CHECK(options->streams_max <= TERN_PERF_SERVED_MAX && options->quiet_ns > 0);
    struct tern_perf *perf = tern_mem_zalloc(options->mem, sizeof *perf);
    if (perf == NULL)
        return TERN_ERR_MEMORY;
    perf->mem = options->mem;
    perf->swarm = swarm;
    perf->options = *options;
    tern_err err = tern_swarm_add_service(swarm, &perf_ops, perf, &perf->number);
    if (err != TERN_OK) {
        tern_perf_free(perf);
        return err;
    }
    *out = perf;
    return TERN_OK;
}

void tern_perf_free(struct tern_perf *perf)
{
    if (perf == NULL)
        return;
    tern_chunk_unref(perf->zeros);
    tern_mem_free(perf->mem, perf, sizeof *perf);
}
