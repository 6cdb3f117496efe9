/* Connections of the bare peer, and what they do: a stream to the sink, or nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bare.h"
#include "base/check.h"
#include "base/reader.h"

const struct tern_view bare_sink_name = {.data = (const uint8_t *)"/tern/bench-sink/1.0.0",
                                         .size = 22};

static void bare_transmit_soon(struct bare *b, struct bare_conn *c)
{
    if (c->transmitting || c->conn == NULL || !tern_conn_want_send(c->conn))
        return;
    c->transmitting = true;
    bare_command(b, (struct tern_command){.kind = TERN_COMMAND_TRANSMIT, .link = c->id});
}

static void bare_dial(struct bare *b)
{
    if (b->dialed == b->count)
        return;
    b->dialed++;
    if (b->quic)
        bare_session_dial(b);
    else
        bare_command(b, (struct tern_command){
                            .kind = TERN_COMMAND_DIAL, .token = b->dialed, .endpoint = b->target});
}

/* A stream's time begins with its dial when there are several, one after the other. */
static void bare_begin_next(struct bare *b)
{
    if (b->mode == MODE_STREAM) {
        b->started = b->now;
        b->sent = 0;
    }
    bare_dial(b);
}

void bare_begin(struct bare *b)
{
    uint64_t first = b->mode == MODE_STREAM ? 1 : b->concurrency;
    b->started = b->now;
    for (uint64_t i = 0; i < first; i++)
        bare_dial(b);
}

/* --- streams --- */

/* Keeps the stream's buffer full, by reference to one chunk. */
static void bare_send_bulk(struct bare *b, struct bare_conn *c)
{
    while (b->sent < b->bytes) {
        size_t size = tern_min_size(BARE_WRITE_SIZE, (size_t)(b->bytes - b->sent));
        struct tern_slice slice = {.chunk = b->payload,
                                   .view = tern_view_of(b->payload->data, size)};
        if (tern_conn_write_slice(c->conn, c->stream, slice) != TERN_OK)
            return;
        b->sent += size;
        if (b->sent == b->bytes)
            TERN_CHECK(tern_conn_close_write(c->conn, c->stream) == TERN_OK);
    }
}

static void bare_sink(struct bare *b, struct bare_conn *c, tern_stream_id stream)
{
    struct tern_slice bytes;
    tern_err err;
    while ((err = tern_conn_read(c->conn, stream, &bytes)) == TERN_OK) {
        c->received += bytes.view.size;
        b->received += bytes.view.size;
        tern_conn_consume(c->conn, stream, bytes.view.size);
    }
    if (err != TERN_ERR_END)
        return;
    size_t accepted;
    struct tern_writer w = tern_writer_of(c->answer, sizeof c->answer);
    tern_writer_u64le(&w, c->received);
    TERN_CHECK(tern_conn_write(c->conn, stream, tern_writer_view(&w), &accepted) == TERN_OK);
    TERN_CHECK(tern_conn_close_write(c->conn, stream) == TERN_OK);
    c->received = 0;
}

static void bare_answer(struct bare *b, struct bare_conn *c)
{
    struct tern_slice bytes;
    while (tern_conn_read(c->conn, c->stream, &bytes) == TERN_OK) {
        size_t take = tern_min_size(bytes.view.size, sizeof c->answer - c->answer_size);
        memcpy(c->answer + c->answer_size, bytes.view.data, take);
        c->answer_size += take;
        tern_conn_consume(c->conn, c->stream, bytes.view.size);
    }
    if (c->answer_size < sizeof c->answer)
        return;
    struct tern_reader r = tern_reader_of(tern_view_of(c->answer, sizeof c->answer));
    uint64_t counted = 0;
    TERN_CHECK(tern_reader_u64le(&r, &counted) && counted == b->bytes);
    b->done++;
    if (b->done == b->count)
        bare_finish(b);
    else
        tern_conn_close(c->conn, b->now, 0);
}

/* --- connections --- */

static void bare_established(struct bare *b, struct bare_conn *c, tern_time now)
{
    c->established = true;
    b->live++;
    if (b->mode == MODE_SERVE) {
        b->accepted_at = now;
        b->accepted_first_at = b->accepted_first_at == 0 ? now : b->accepted_first_at;
        b->accepted++;
    }
    if (b->mode == MODE_STREAM) {
        b->peer = *tern_conn_remote(c->conn)->peer_id;
        b->peer_known = true;
        struct tern_stream_offer offer = {.names = &bare_sink_name,
                                          .names_count = 1,
                                          .class = TERN_STREAM_BULK,
                                          .replay_harmless = true};
        if (!b->from_dial)
            b->started = now;
        TERN_CHECK(tern_conn_open_stream(c->conn, now, &offer, &c->stream) == TERN_OK);
        bare_send_bulk(b, c);
    } else if (b->mode == MODE_HANDSHAKE) {
        tern_conn_close(c->conn, now, 0);
    } else if (b->mode == MODE_IDLE) {
        if (b->live == b->count && b->ready != NULL)
            b->ready(b, 0);
        bare_dial(b);
    }
}

static void bare_event(struct bare *b, struct bare_conn *c, tern_time now,
                       const struct tern_conn_event *event)
{
    switch (event->kind) {
    case TERN_CONN_JOB:
        event->job->owner_generation = (uintptr_t)c;
        c->job_out = true;
        bare_command(b, (struct tern_command){.kind = TERN_COMMAND_JOB, .job = event->job});
        break;
    case TERN_CONN_ESTABLISHED:
        bare_established(b, c, now);
        break;
    case TERN_CONN_STREAM_READABLE:
        if (b->mode == MODE_SERVE)
            bare_sink(b, c, event->stream);
        else
            bare_answer(b, c);
        break;
    case TERN_CONN_STREAM_WRITABLE:
        if (b->mode == MODE_STREAM)
            bare_send_bulk(b, c);
        break;
    case TERN_CONN_CLOSED:
        c->over = b->quic;
        if (!b->quic)
            bare_command(b, (struct tern_command){.kind = TERN_COMMAND_CLOSE, .link = c->id});
        break;
    case TERN_CONN_STREAM_OPENED:
    case TERN_CONN_STREAM_READY:
    case TERN_CONN_STREAM_REFUSED:
    case TERN_CONN_STREAM_RESET:
    case TERN_CONN_STREAM_CLOSED:
    case TERN_CONN_GOAWAY:
    case TERN_CONN_STREAM_FAULT:
    case TERN_CONN_RTT:
        break;
    }
}

static void bare_drain(struct bare *b, struct bare_conn *c, tern_time now)
{
    struct tern_conn_event event;
    while (tern_conn_next(c->conn, now, &event))
        bare_event(b, c, now, &event);
}

void bare_serve(struct bare *b, struct bare_conn *c, tern_time now)
{
    bare_drain(b, c, now);
    while (tern_conn_deadline(c->conn) <= now) {
        tern_conn_tick(c->conn, now);
        bare_drain(b, c, now);
    }
    if (c->over) {
        bare_remove(b, c);
        return;
    }
    TERN_CHECK(tern_timer_set(&b->timers, &c->timer, tern_conn_deadline(c->conn)) == TERN_OK);
    if (c->blocked)
        bare_command(b, (struct tern_command){.kind = TERN_COMMAND_READ, .link = c->id});
    c->blocked = false;
    bare_transmit_soon(b, c);
}

struct bare_conn *bare_find(struct bare *b, uint64_t id)
{
    struct bare_conn *c = b->conns[(uint32_t)id];
    return c != NULL && c->id == id ? c : NULL;
}

struct bare_conn *bare_add(struct bare *b, uint64_t id)
{
    TERN_CHECK((uint32_t)id < BARE_CONNS_MAX && b->conns[(uint32_t)id] == NULL);
    struct bare_conn *c = tern_mem_zalloc(&b->mem, sizeof *c);
    TERN_CHECK(c != NULL);
    c->id = id;
    tern_scope_init(&c->scope, "connection", &b->root, &(struct tern_scope_limits){0});
    tern_timer_init(&c->timer);
    b->conns[(uint32_t)id] = c;
    return c;
}

void bare_open(struct bare *b, tern_time now, const struct tern_input *in)
{
    struct bare_conn *c = bare_add(b, in->link);
    bool dialed = in->kind == TERN_INPUT_DIALED;
    c->conn = tern_conn_new(&b->config,
                            &(struct tern_conn_options){
                                .role = dialed ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
                                .scope = &c->scope,
                                .forms = dialed ? b->form : TERN_LINK_PLAIN | TERN_LINK_WEBSOCKET,
                                .host = tern_view_str(b->host)},
                            now);
    TERN_CHECK(c->conn != NULL);
    bare_serve(b, c, now);
}

void bare_remove(struct bare *b, struct bare_conn *c)
{
    b->conns[(uint32_t)c->id] = NULL;
    if (b->quic)
        bare_session_free(b, c->id);
    if (c->established)
        b->live--;
    tern_timer_cancel(&b->timers, &c->timer);
    tern_conn_free(c->conn);
    c->removed = true;
    if (!c->job_out)
        tern_mem_free(&b->mem, c, sizeof *c);
    if (b->mode == MODE_HANDSHAKE && ++b->done == b->count)
        bare_finish(b);
    if (b->mode == MODE_STREAM && b->done < b->dialed) {
        fprintf(stderr, "the connection ended before the answer came\n");
        exit(1);
    }
    if (!b->finished && b->mode != MODE_SERVE)
        bare_begin_next(b);
}

void bare_end(struct bare *b, tern_time now, const struct tern_input *in)
{
    struct bare_conn *c = bare_find(b, in->link);
    if (c == NULL)
        return;
    if (in->kind == TERN_INPUT_LINK_CLOSED) {
        bare_remove(b, c);
        return;
    }
    tern_conn_link_end(c->conn, now);
    bare_serve(b, c, now);
}

void bare_data(struct bare *b, tern_time now, const struct tern_input *in)
{
    struct bare_conn *c = bare_find(b, in->link);
    size_t taken = 0;
    size_t used = 1;
    while (c != NULL && taken < in->data.size && used > 0) {
        struct tern_slice rest = {
            .chunk = in->chunk, .view = tern_view_of(in->data.data + taken, in->data.size - taken)};
        TERN_IGNORE(tern_conn_recv(c->conn, now, rest, &used)); /* CLOSED tells */
        taken += used;
        bare_serve(b, c, now);
    }
    *in->used = c == NULL ? in->data.size : taken;
    if (c != NULL)
        c->blocked = taken < in->data.size;
}

void bare_job_done(struct bare *b, tern_time now, struct tern_job *job)
{
    struct bare_conn *c = (struct bare_conn *)(uintptr_t)job->owner_generation;
    c->job_out = false;
    tern_conn_job_done(c->conn, now, job);
    if (c->removed)
        tern_mem_free(&b->mem, c, sizeof *c);
    else
        bare_serve(b, c, now);
}

void bare_tick(struct bare *b, tern_time now)
{
    struct tern_timer *timer;
    while ((timer = tern_timer_pop(&b->timers, now)) != NULL) {
        struct bare_conn *c =
            (struct bare_conn *)((uint8_t *)timer - offsetof(struct bare_conn, timer));
        bare_serve(b, c, now);
    }
}
