/*
 * Pings.
 *
 *   - One at the start, for the round trip that the windows are tuned by.
 *   - While data comes, another 30 s after the last. A session at rest is left alone.
 *   - With a keep-alive interval, one when nothing at all came for so long.
 *   - At most one of ours is under way. With a timeout, the session is dead when a ping is due or
 *     unanswered for so long and nothing at all came in that time: a busy peer may answer late.
 *   - Theirs are answered, TERN_YAMUX_PONGS_MAX at a time (more are dropped, as go-yamux does); who
 *     sends more than a burst of PINGS_BURST and then one each PINGS_INTERVAL is cut off.
 */
#include "mux/yamux_internal.h"

#define PING_MEASURE_INTERVAL (30 * TERN_SECOND)
#define PINGS_INTERVAL        (100 * TERN_MILLISECOND)

enum { PINGS_BURST = 128, RTT_WEIGHT = 8 };

static void ping_ask(struct tern_yamux_ping *ping, tern_time now)
{
    if (!ping->due && !ping->outstanding)
        ping->asked_at = now;
    ping->due = true;
}

/* ping_last is when the last ping was answered, or sent if it was not. */
static tern_time ping_last(const struct tern_yamux_ping *ping)
{
    return ping->outstanding ? ping->sent_at : ping->answered_at;
}

void tern_yamux_ping_init(struct tern_yamux *y, const struct tern_yamux_options *options,
                          tern_time now)
{
    y->ping = (struct tern_yamux_ping){
        .interval_ns = tern_mux_keep_alive(options->ping_interval_ns, options->initiator),
        .timeout_ns = options->ping_timeout_ns,
        .received_at = now,
    };
    ping_ask(&y->ping, now);
}

void tern_yamux_ping_activity(struct tern_yamux *y, tern_time now)
{
    struct tern_yamux_ping *ping = &y->ping;
    ping->received_at = now;
    if (!ping->due && tern_time_since(now, ping_last(ping)) >= PING_MEASURE_INTERVAL)
        ping_ask(ping, now);
}

/* ping_sample: down at once, up slowly, because a queue on the way makes single samples longer and
 * never shorter, and windows should not grow to fill that queue. */
static void ping_sample(struct tern_yamux_ping *ping, tern_time sample)
{
    if (sample == 0)
        sample = 1;
    ping->rtt_event_ns = sample;
    if (ping->rtt_ns == 0 || sample < ping->rtt_ns)
        ping->rtt_ns = sample;
    else
        ping->rtt_ns += (sample - ping->rtt_ns) / RTT_WEIGHT;
}

tern_err tern_yamux_ping_frame(struct tern_yamux *y, tern_time now,
                               const struct tern_yamux_header *header)
{
    struct tern_yamux_ping *ping = &y->ping;
    if (header->flags & TERN_YAMUX_ACK) {
        if (!ping->outstanding || header->length != ping->id)
            return TERN_OK; /* late, or to nobody */
        ping->outstanding = false;
        ping->answered_at = now;
        ping_sample(ping, tern_time_since(now, ping->sent_at));
        return TERN_OK;
    }
    if (!tern_mux_bucket_take(&y->pings_received, now, PINGS_BURST, PINGS_INTERVAL))
        return tern_yamux_fail(y, TERN_ERR_PROTOCOL, TERN_FAULT_YAMUX_PING_FLOOD);
    if (y->pongs_count < TERN_YAMUX_PONGS_MAX)
        y->pongs[y->pongs_count++] = header->length;
    return TERN_OK;
}

void tern_yamux_ping_send(struct tern_yamux *y, tern_time now, struct tern_writer *out)
{
    uint32_t sent = 0;
    while (sent < y->pongs_count && tern_writer_left(out) >= TERN_YAMUX_HEADER_SIZE) {
        tern_yamux_header_write(out, &(struct tern_yamux_header){.type = TERN_YAMUX_PING,
                                                                 .flags = TERN_YAMUX_ACK,
                                                                 .length = y->pongs[sent]});
        sent++;
    }
    y->pongs_count -= sent;
    memmove(y->pongs, y->pongs + sent, y->pongs_count * sizeof(y->pongs[0]));

    struct tern_yamux_ping *ping = &y->ping;
    if (!ping->due || tern_writer_left(out) < TERN_YAMUX_HEADER_SIZE)
        return;
    ping->due = false;
    ping->outstanding = true;
    ping->sent_at = now;
    ping->id++;
    tern_yamux_header_write(out, &(struct tern_yamux_header){.type = TERN_YAMUX_PING,
                                                             .flags = TERN_YAMUX_SYN,
                                                             .length = ping->id});
}

/* ping_dead_at is when the remote counts as dead if nothing comes until then. */
static tern_time ping_dead_at(const struct tern_yamux_ping *ping)
{
    if (ping->timeout_ns == 0 || !(ping->due || ping->outstanding))
        return TERN_TIME_NEVER;
    return tern_time_add(tern_time_max(ping->asked_at, ping->received_at), ping->timeout_ns);
}

tern_time tern_yamux_ping_deadline(const struct tern_yamux *y)
{
    const struct tern_yamux_ping *ping = &y->ping;
    if (y->error != TERN_OK)
        return TERN_TIME_NEVER;
    tern_time dead_at = ping_dead_at(ping);
    if (ping->due || ping->interval_ns == 0)
        return dead_at;
    tern_time heard = tern_time_max(ping_last(ping), ping->received_at);
    return tern_time_min(dead_at, tern_time_add(heard, ping->interval_ns));
}

void tern_yamux_ping_tick(struct tern_yamux *y, tern_time now)
{
    struct tern_yamux_ping *ping = &y->ping;
    if (y->error != TERN_OK)
        return;
    if (now >= ping_dead_at(ping))
        (void)tern_yamux_fail(y, TERN_ERR_TIMEOUT, TERN_FAULT_NONE);
    else if (now >= tern_yamux_ping_deadline(y))
        ping_ask(ping, now);
}
