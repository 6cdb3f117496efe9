/*
 * A pump between two secure channels for tests: bytes go over in segments of random size, jobs run
 * at once or some steps later, and each end sends a message of a given size when it can. Everything
 * is drawn from one seed, so a failing run repeats.
 */
#ifndef TERN_TESTING_SECURE_PUMP_H
#define TERN_TESTING_SECURE_PUMP_H

#include "base/check.h"
#include "base/random.h"
#include "secure/channel.h"

enum { PUMP_WIRE_SIZE = 1 << 20, PUMP_STEPS_MAX = 4000000 };

struct pump_wire {
    size_t head;
    size_t tail;
    uint8_t bytes[PUMP_WIRE_SIZE];
};

struct pump_end {
    struct tern_channel secure;
    struct tern_mem *mem;
    struct pump_wire out; /* what this end has sent; the other one reads it */
    struct tern_job *job; /* given out, not run yet */
    unsigned jobs_count;
    bool done;
    bool ended; /* the remote ended in good order */
    tern_err err;
    uint64_t sent_size;
    uint64_t got_size;
    uint64_t message_size; /* how much to send when done */
};

struct pump {
    struct tern_random random;
    struct pump_end ends[2];
    bool whole_segments; /* everything that is there at once, jobs at once */
};

/* The byte at a place of the message, the same on both ends. */
static inline uint8_t pump_byte(uint64_t place)
{
    return (uint8_t)((place * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static inline void pump_write(struct pump *pump, struct pump_end *end)
{
    size_t room = pump->whole_segments ? PUMP_WIRE_SIZE : tern_random_below(&pump->random, 3000);
    if (tern_random_chance(&pump->random, 1, 50))
        room = PUMP_WIRE_SIZE;
    struct pump_wire *wire = &end->out;
    room = tern_min_size(room, PUMP_WIRE_SIZE - wire->tail);
    struct tern_writer w = tern_writer_of(wire->bytes + wire->tail, room);
    const struct tern_channel_ops *ops = end->secure.ops;
    ops->control(end->secure.self, 0, &w);
    while (end->done && end->sent_size < end->message_size) {
        struct tern_span span = ops->seal_begin(end->secure.self, &w);
        if (span.size == 0)
            break;
        size_t size = (size_t)(end->message_size - end->sent_size);
        if (!pump->whole_segments && size > 1)
            size = 1 + tern_random_below(&pump->random, tern_min_size(size, 70000));
        size = tern_min_size(size, span.size);
        for (size_t i = 0; i < size; i++)
            span.data[i] = pump_byte(end->sent_size + i);
        ops->seal_end(end->secure.self, &w, size);
        end->sent_size += size;
    }
    TERN_CHECK(tern_writer_ok(&w));
    wire->tail += w.size;
}

static inline void pump_drain(struct pump_end *end)
{
    struct tern_channel_event event;
    while (end->secure.ops->next(end->secure.self, &event)) {
        switch (event.kind) {
        case TERN_CHANNEL_JOB:
            end->job = event.job;
            end->jobs_count++;
            break;
        case TERN_CHANNEL_HANDSHAKE_DONE:
            TERN_CHECK(!end->done);
            end->done = true;
            break;
        case TERN_CHANNEL_DATA:
            TERN_CHECK(end->done && event.data.view.size > 0);
            for (size_t i = 0; i < event.data.view.size; i++)
                TERN_CHECK(event.data.view.data[i] == pump_byte(end->got_size + i));
            end->got_size += event.data.view.size;
            break;
        case TERN_CHANNEL_END:
            TERN_CHECK(!end->ended);
            end->ended = true;
            break;
        }
    }
}

static inline void pump_run_job(struct pump_end *end)
{
    struct tern_job *job = end->job;
    end->job = NULL;
    job->run(job);
    end->err = end->secure.ops->job_done(end->secure.self, 0, job);
    pump_drain(end);
}

/* Gives an end bytes as they lie in memory, in a chunk or not; returns how many it took. */
static inline size_t pump_feed(struct pump_end *end, struct tern_view bytes, bool in_chunk)
{
    uint8_t copy[70000];
    TERN_CHECK(bytes.size <= sizeof copy);
    memcpy(copy, bytes.data, bytes.size);
    struct tern_slice in = {.view = tern_view_of(copy, bytes.size)};
    if (in_chunk && (in.chunk = tern_chunk_copy(end->mem, bytes)) != NULL)
        in.view = tern_chunk_view(in.chunk);
    size_t used = 0;
    size_t total = 0;
    do {
        if (end->err == TERN_OK)
            end->err = end->secure.ops->recv(end->secure.self, 0, in, &used);
        total += used;
        in.view = tern_view_of(in.view.data + used, in.view.size - used);
        pump_drain(end);
    } while (end->err == TERN_OK && used > 0 && in.view.size > 0);
    tern_chunk_unref(in.chunk);
    return total;
}

static inline void pump_read(struct pump *pump, struct pump_end *end, struct pump_wire *wire)
{
    size_t there = wire->tail - wire->head;
    if (there == 0 || end->err != TERN_OK)
        return;
    size_t size = tern_min_size(there, 70000);
    bool in_chunk = true;
    if (!pump->whole_segments) {
        size_t bound = tern_random_chance(&pump->random, 1, 4) ? 4 : 70000;
        size = tern_min_size(size, 1 + tern_random_below(&pump->random, bound));
        in_chunk = tern_random_chance(&pump->random, 1, 2);
    }
    wire->head += pump_feed(end, tern_view_of(wire->bytes + wire->head, size), in_chunk);
    if (wire->head == wire->tail)
        wire->head = wire->tail = 0;
}

static inline bool pump_end_is_quiet(const struct pump_end *end)
{
    bool unsent = end->done && end->sent_size < end->message_size;
    return end->err != TERN_OK ||
           (end->job == NULL && !unsent && !end->secure.ops->control_pending(end->secure.self));
}

static inline bool pump_is_quiet(const struct pump *pump)
{
    for (int i = 0; i < 2; i++) {
        const struct pump_end *end = &pump->ends[i];
        const struct pump_end *other = &pump->ends[1 - i];
        if (!pump_end_is_quiet(end))
            return false;
        if (end->out.head < end->out.tail && other->err == TERN_OK)
            return false;
    }
    return true;
}

/* Runs until nothing moves any more: all sent, or an error. */
static inline void pump_run(struct pump *pump)
{
    for (int step = 0; step < PUMP_STEPS_MAX && !pump_is_quiet(pump); step++) {
        int i = (int)tern_random_below(&pump->random, 2);
        struct pump_end *end = &pump->ends[i];
        if (end->err != TERN_OK)
            continue;
        if (end->job != NULL && (pump->whole_segments || tern_random_chance(&pump->random, 1, 3)))
            pump_run_job(end);
        if (end->err == TERN_OK)
            pump_read(pump, end, &pump->ends[1 - i].out);
        if (end->err == TERN_OK)
            pump_write(pump, end);
    }
    TERN_CHECK(pump_is_quiet(pump));
}

/* Ends a channel; a job that is away is brought back first. */
static inline void pump_end_fini(struct pump_end *end)
{
    if (end->secure.ops == NULL)
        return;
    if (end->job != NULL)
        pump_run_job(end);
    end->secure.ops->fini(end->secure.self);
    end->secure.ops = NULL;
}

#endif
