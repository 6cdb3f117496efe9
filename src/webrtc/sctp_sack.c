/* What the remote acknowledges: the flight, the congestion window, round trips, what is lost. */
#include "webrtc/sctp_internal.h"

enum { SACK_FIXED_SIZE = 12, SACK_BLOCK_SIZE = 4 };

void sctp_measured(struct tern_sctp *s, tern_time rtt_ns)
{
    struct sctp_outbound *out = &s->out;
    rtt_ns = rtt_ns == 0 ? 1 : tern_time_min(rtt_ns, TERN_MINUTE);
    if (out->srtt_ns == 0) {
        out->srtt_ns = rtt_ns;
        out->rttvar_ns = rtt_ns / 2;
    } else {
        tern_time apart = rtt_ns > out->srtt_ns ? rtt_ns - out->srtt_ns : out->srtt_ns - rtt_ns;
        out->rttvar_ns = (3 * out->rttvar_ns + apart) / 4;
        out->srtt_ns = (7 * out->srtt_ns + rtt_ns) / 8;
    }
    tern_time rto = out->srtt_ns + 4 * out->rttvar_ns;
    out->rto_ns = rto < SCTP_RTO_MIN ? SCTP_RTO_MIN : tern_time_min(rto, SCTP_RTO_MAX);
}

/* What one acknowledgement brings. */
struct sack {
    tern_time now;
    size_t acked_bytes;       /* for the first time */
    tern_time newest_sent_at; /* of what was acknowledged for the first time; 0: nothing */
    tern_time rtt_ns;         /* 0: none */
    uint32_t highest_new;     /* number acknowledged out of order for the first time */
    bool any_new;             /* there is such a number */
    bool advanced;            /* the cumulative number has moved */
};

/* sack_chunk: a chunk is acknowledged for the first time. */
static void sack_chunk(struct tern_sctp *s, struct sack *sack, uint32_t tsn)
{
    struct sctp_outbound *out = &s->out;
    struct sctp_sent *sent = sctp_out_at(s, tsn);
    uint32_t i = tsn & (out->capacity - 1);
    if (sent->state == SCTP_SENT_FLIGHT) {
        TERN_CHECK(out->flight >= sent->size);
        out->flight -= sent->size;
    } else {
        out->lost[i / 64] &= ~(UINT64_C(1) << i % 64);
        out->lost_count--;
    }
    sent->state = SCTP_SENT_ACKED;
    sack->acked_bytes += sent->size;
    if (sent->sent_at > sack->newest_sent_at)
        sack->newest_sent_at = sent->sent_at;
    if (sent->sends == 1) /* Karn: of what went twice nobody knows which copy came */
        sack->rtt_ns = tern_time_since(sack->now, sent->sent_at);
}

/* sack_cumulative releases all up to a number. */
static void sack_cumulative(struct tern_sctp *s, struct sack *sack, uint32_t tsn)
{
    struct sctp_outbound *out = &s->out;
    size_t bytes = 0;
    while (sctp_before(out->cumulative, tsn)) {
        uint32_t next = out->cumulative + 1;
        uint32_t i = next & (out->capacity - 1);
        struct sctp_sent *sent = sctp_out_at(s, next);
        if (sent->state != SCTP_SENT_ACKED) {
            sack_chunk(s, sack, next);
        } else {
            out->acked[i / 64] &= ~(UINT64_C(1) << i % 64);
            out->acked_count--;
        }
        bytes += (size_t)sent->size - sent->head_size;
        out->cumulative = next;
        sack->advanced = true;
    }
    tern_mux_queue_drop(out->pool, &out->held, bytes);
    if (out->held.size == out->uncut_bytes)
        out->cursor = NULL; /* it may have pointed to what was just freed */
}

/* sack_blocks reads the blocks into bits, by place in the ring. False: they acknowledge what was
 * never sent, or are none. */
static bool sack_blocks(const struct tern_sctp *s, struct tern_reader *r, uint16_t count,
                        uint64_t bits[SCTP_WORDS_MAX])
{
    const struct sctp_outbound *out = &s->out;
    uint32_t sent = out->next - out->cumulative - 1;
    uint32_t base = out->cumulative;
    for (uint16_t n = 0; n < count; n++) {
        uint16_t from;
        uint16_t to;
        tern_reader_u16be(r, &from);
        if (!tern_reader_u16be(r, &to) || from == 0 || from > to || to > sent)
            return false;
        uint32_t at = base + from;
        uint32_t end = base + to + 1;
        while (at != end) {
            uint32_t i = at & (out->capacity - 1);
            uint32_t span = 64 - i % 64;
            if (span > end - at)
                span = end - at;
            uint64_t mask = span == 64 ? UINT64_MAX : (UINT64_C(1) << span) - 1;
            bits[i / 64] |= mask << i % 64;
            at += span;
        }
    }
    return true;
}

/* sack_renege: what was acknowledged out of order and is not any more is under way again. */
static void sack_renege(struct tern_sctp *s, uint32_t tsn)
{
    struct sctp_outbound *out = &s->out;
    struct sctp_sent *sent = sctp_out_at(s, tsn);
    sent->state = SCTP_SENT_FLIGHT;
    sent->reports = 0;
    out->flight += sent->size;
    out->acked_count--;
}

/* sack_compare goes over the words in which the bits differ from what was known. */
static void sack_compare(struct tern_sctp *s, struct sack *sack,
                         const uint64_t bits[SCTP_WORDS_MAX])
{
    struct sctp_outbound *out = &s->out;
    uint32_t tsn = out->cumulative + 1;
    while (tsn != out->next) {
        uint32_t i = tsn & (out->capacity - 1);
        uint32_t span = 64 - i % 64;
        if (span > out->next - tsn)
            span = out->next - tsn;
        uint64_t mask = (span == 64 ? UINT64_MAX : (UINT64_C(1) << span) - 1) << i % 64;
        uint64_t known = out->acked[i / 64] & mask;
        uint64_t fresh = bits[i / 64] & mask & ~known;
        uint64_t gone = known & ~bits[i / 64];
        for (; fresh != 0; fresh &= fresh - 1) {
            uint32_t at = tsn + (uint32_t)__builtin_ctzll(fresh) - i % 64;
            sack_chunk(s, sack, at);
            out->acked_count++;
            sack->highest_new = at;
            sack->any_new = true;
        }
        for (; gone != 0; gone &= gone - 1)
            sack_renege(s, tsn + (uint32_t)__builtin_ctzll(gone) - i % 64);
        out->acked[i / 64] = (out->acked[i / 64] & ~mask) | (bits[i / 64] & mask);
        tsn += span;
    }
}

/* sack_enter_recovery: something is lost (section 7.2.4). Once a window. */
static void sack_enter_recovery(struct sctp_outbound *out)
{
    if (out->recovery)
        return;
    out->ssthresh = tern_max_size(out->cwnd / 2, SCTP_CWND_MIN);
    out->cwnd = out->ssthresh;
    out->partial_acked = 0;
    out->recovery = true;
    out->recovery_end = out->next - 1;
    out->rescue = true;
}

/* sack_is_lost: a chunk that went once, after three reports; one that went again, when what was
 * sent a quarter of a round trip later has come. */
static bool sack_is_lost(const struct sctp_outbound *out, const struct sack *sack,
                         struct sctp_sent *sent)
{
    if (sent->state != SCTP_SENT_FLIGHT)
        return false;
    if (sent->sends > 1)
        return sack->newest_sent_at > sent->sent_at + out->srtt_ns / 4;
    sent->reports++;
    return sent->reports >= SCTP_REPORTS;
}

/* sack_missing counts reports: of all chunks below the highest new one; in recovery, when the
 * cumulative number moves, of all below the highest one that is acknowledged. */
static void sack_missing(struct tern_sctp *s, const struct sack *sack)
{
    struct sctp_outbound *out = &s->out;
    if (out->acked_count == 0 || (!sack->any_new && !(out->recovery && sack->advanced)))
        return;
    uint32_t end = sack->any_new ? sack->highest_new : out->next;
    uint32_t acked_left = out->acked_count;
    for (uint32_t tsn = out->cumulative + 1; tsn != end && acked_left > 0; tsn++) {
        struct sctp_sent *sent = sctp_out_at(s, tsn);
        if (sent->state == SCTP_SENT_ACKED) {
            /* Whole words of them at once: a large window is nearly all acknowledged. */
            bool word = tsn % 64 == 0 && end - tsn > 64 &&
                        out->acked[(tsn & (out->capacity - 1)) / 64] == UINT64_MAX;
            tsn += word ? 63 : 0;
            acked_left -= word ? 64 : 1;
            continue;
        }
        if (!sack_is_lost(out, sack, sent))
            continue;
        sctp_out_lose(s, tsn);
        sack_enter_recovery(out);
    }
}

/* sack_grow opens the congestion window, if it was used up and nothing is lost (section 7.2). */
static void sack_grow(struct sctp_outbound *out, const struct sack *sack, size_t flight_before)
{
    if (!sack->advanced || out->recovery || flight_before + SCTP_MTU <= out->cwnd)
        return;
    if (out->cwnd <= out->ssthresh) {
        out->cwnd += sack->acked_bytes;
    } else {
        out->partial_acked += sack->acked_bytes;
        if (out->partial_acked >= out->cwnd) {
            out->partial_acked -= out->cwnd;
            out->cwnd += SCTP_MTU;
        }
    }
    out->cwnd = tern_min_size(out->cwnd, TERN_SCTP_FLIGHT_BYTES_MAX);
}

/* sack_timer: T3 runs while something is under way, anew when the oldest has come. */
static void sack_timer(struct sctp_outbound *out, const struct sack *sack)
{
    if (out->next == out->cumulative + 1 && !out->starved)
        out->timeout_at = TERN_TIME_NEVER;
    else if (sack->advanced || out->timeout_at == TERN_TIME_NEVER)
        out->timeout_at = sack->now + out->rto_ns;
}

static void sack_settle(struct tern_sctp *s, const struct sack *sack, size_t flight_before)
{
    struct sctp_outbound *out = &s->out;
    if (out->recovery && !sctp_before(out->cumulative, out->recovery_end))
        out->recovery = false;
    if (sack->rtt_ns > 0)
        sctp_measured(s, sack->rtt_ns);
    if (sack->acked_bytes > 0)
        out->errors = 0;
    sack_missing(s, sack);
    sack_grow(out, sack, flight_before);
    sack_timer(out, sack);
    sctp_setup_progress(s);
}

/* sack_window takes the remote's window. Chunks that went into a closed one were dropped: they go
 * again when it opens. */
static void sack_window(struct tern_sctp *s, uint32_t window)
{
    struct sctp_outbound *out = &s->out;
    bool opens = out->peer_window < SCTP_MTU && window >= SCTP_MTU;
    if (window < SCTP_MTU)
        out->errors = 0; /* it lives, and has no room */
    out->peer_window = window;
    if (opens)
        sctp_out_lose_all(s);
}

void sctp_recv_sack(struct tern_sctp *s, tern_time now, struct tern_view value)
{
    struct sctp_outbound *out = &s->out;
    struct tern_reader r = tern_reader_of(value);
    uint32_t cumulative;
    uint32_t window;
    uint16_t blocks;
    uint16_t copies;
    tern_reader_u32be(&r, &cumulative);
    tern_reader_u32be(&r, &window);
    tern_reader_u16be(&r, &blocks);
    if (!tern_reader_u16be(&r, &copies) ||
        tern_reader_left(&r) != ((size_t)blocks + copies) * SACK_BLOCK_SIZE) {
        sctp_violation(s, TERN_FAULT_WEBRTC_SCTP_CHUNK, SCTP_CAUSE_VIOLATION);
        return;
    }
    if (sctp_before(cumulative, out->cumulative))
        return; /* it was overtaken */
    if (!sctp_before(cumulative, out->next)) {
        sctp_violation(s, TERN_FAULT_WEBRTC_SCTP_SACK, SCTP_CAUSE_VIOLATION);
        return;
    }
    struct sack sack = {.now = now};
    size_t flight_before = out->flight;
    out->starved = false;
    sack_cumulative(s, &sack, cumulative);
    if (blocks > 0 || out->acked_count > 0) {
        uint64_t bits[SCTP_WORDS_MAX] = {0};
        if (!sack_blocks(s, &r, blocks, bits)) {
            sctp_violation(s, TERN_FAULT_WEBRTC_SCTP_SACK, SCTP_CAUSE_VIOLATION);
            return;
        }
        sack_compare(s, &sack, bits);
    }
    sack_window(s, window);
    sack_settle(s, &sack, flight_before);
}

void sctp_acknowledge(struct tern_sctp *s, tern_time now, uint32_t tsn)
{
    if (sctp_before(tsn, s->out.cumulative))
        return;
    if (!sctp_before(tsn, s->out.next)) {
        sctp_violation(s, TERN_FAULT_WEBRTC_SCTP_SACK, SCTP_CAUSE_VIOLATION);
        return;
    }
    struct sack sack = {.now = now};
    size_t flight_before = s->out.flight;
    sack_cumulative(s, &sack, tsn);
    sack_settle(s, &sack, flight_before);
}

void sctp_back_off(struct tern_sctp *s)
{
    struct sctp_outbound *out = &s->out;
    out->rto_ns = tern_time_min(out->rto_ns * 2, SCTP_RTO_MAX);
    out->errors++;
    s->stats.timeouts++;
    if (out->errors > SCTP_ERRORS_MAX)
        sctp_close(s, TERN_ERR_TIMEOUT, TERN_FAULT_NONE);
}

void sctp_timeout(struct tern_sctp *s)
{
    struct sctp_outbound *out = &s->out;
    out->timeout_at = TERN_TIME_NEVER;
    out->starved = false;
    if (out->next == out->cumulative + 1)
        return; /* nothing is under way: it ran for want of memory */
    sctp_back_off(s);
    if (s->state == SCTP_CLOSED)
        return;
    out->ssthresh = tern_max_size(out->cwnd / 2, SCTP_CWND_MIN);
    out->cwnd = SCTP_MTU;
    out->partial_acked = 0;
    out->recovery = false;
    sctp_out_lose_all(s);
}
