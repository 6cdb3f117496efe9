/*
 * For tests: two muxers of a kind joined by a link in memory. Each side has its own memory account
 * and scopes, which must be empty at the end. The link carries what send gives at once, cut into
 * pieces as the test likes, and holds what the other side does not take: then nothing more is sent
 * on it.
 *
 * A muxer that is a session is joined by an ideal network of datagrams in virtual time; carrying
 * lets time pass and acknowledgements come back.
 */
#ifndef TERN_MUX_MUX_PAIR_H
#define TERN_MUX_MUX_PAIR_H

#include "base/random.h"
#include "mux/mux.h"
#include "mux/session_pair.h"

/* What a kind of muxer is to the tests. */
struct tern_mux_factory {
    const char *name;
    /* make: one side; initiator or not. Memory through mem, charges to scope, windows to windows.
     */
    tern_err (*make)(bool initiator, struct tern_mem *mem, struct tern_scope *scope,
                     struct tern_scope *windows, struct tern_mux *mux);
    session_pair_make make_transport; /* of sessions: one side's transport, instead of make */
    size_t bookkeeping_bytes; /* what a side may keep for later after a burst of small writes */
    bool fragile_start;       /* of sessions: a bit that turns while they begin ends them */
    bool has_credit; /* a stream that nobody reads holds up itself alone, not the connection */
    bool has_codes;  /* resets carry codes */
    bool has_stops;  /* of a reset it may be known at first only that the remote will not read */
    bool has_goaway; /* the remote hears of goaway */
};

enum { MUX_PAIR_LOG_MAX = 4096, MUX_PAIR_FRAME_MAX = 65519 };

/* What a side has sent and the other has not taken. */
struct mux_wire {
    uint8_t bytes[MUX_PAIR_FRAME_MAX];
    size_t size;
};

struct mux_end {
    struct tern_mem mem;
    struct tern_scope scope;
    struct tern_scope windows;
    struct tern_mux mux;
    struct tern_mux_event log[MUX_PAIR_LOG_MAX]; /* events since the last mux_end_forget */
    size_t log_count;
    uint64_t sent_bytes;
    struct mux_wire wire;               /* from here */
    uint64_t rest[TERN_RESOURCE_COUNT]; /* of scope, that a muxer without streams uses */
};

struct mux_pair {
    const struct tern_mux_factory *factory;
    struct mux_end ends[2]; /* 0 is the initiator */
    tern_time now;
    struct tern_random random;
    size_t piece_max; /* recv gets random pieces of 1 .. piece_max bytes; 0: all at once */
    bool borrowed;    /* give recv slices without chunk */
    bool broken;      /* a recv failed; the link takes no more */
    bool quiet;       /* carry drains no events */
    int fail_side;    /* before init: which side's allocation is to fail while they are made */
    uint64_t fail_at; /* counted from 1; 0: none */
    struct session_pair sessions;
};

/* mux_pair_init: both sides are new; the pair is zeroed. Returns false when make failed (memory
 * made to fail). */
bool mux_pair_init(struct mux_pair *pair, const struct tern_mux_factory *factory);

/* mux_pair_fini ends both and checks that memory and scopes are empty. */
void mux_pair_fini(struct mux_pair *pair);

/* mux_pair_carry moves one send of one side, or what was left of the last, to the other and drains
 * the events of both; false if nothing moved. */
bool mux_pair_carry(struct mux_pair *pair, int from);

/* mux_pair_carry_some is the same with room for so many bytes. */
bool mux_pair_carry_some(struct mux_pair *pair, int from, size_t room);

/* mux_pair_settle carries both ways until both are silent or hold the link up. */
void mux_pair_settle(struct mux_pair *pair);

/* mux_pair_wait lets time pass at both ends. */
void mux_pair_wait(struct mux_pair *pair, tern_time time_ns);

/* mux_end_drain logs all events that wait. */
void mux_end_drain(struct mux_end *end);

/* mux_end_count counts events of a kind in the log; stream NONE: of any stream. */
size_t mux_end_count(const struct mux_end *end, enum tern_mux_event_kind kind,
                     tern_stream_id stream);

/* mux_end_last is the last logged event of the kind; it must be there. */
struct tern_mux_event mux_end_last(const struct mux_end *end, enum tern_mux_event_kind kind);

/* Short forms that must succeed. */
tern_stream_id mux_open(struct mux_end *end, enum tern_stream_class class);
void mux_write(struct mux_end *end, tern_stream_id stream, const void *data, size_t size);

/* mux_write_some writes as much as is taken of a pattern that goes on at *offset, which it moves.
 */
size_t mux_write_some(struct mux_end *end, tern_stream_id stream, uint64_t *offset, size_t size);

/* mux_read_some reads and checks against the same pattern, at most size bytes; returns how many,
 * and the last result of read in *err (TERN_OK when size was reached). */
size_t mux_read_some(struct mux_end *end, tern_stream_id stream, uint64_t *offset, size_t size,
                     tern_err *err);

/* mux_expect reads exactly these bytes, which must be there. */
void mux_expect(struct mux_end *end, tern_stream_id stream, const void *data, size_t size);

/* mux_read_err is what read says now. */
tern_err mux_read_err(struct mux_end *end, tern_stream_id stream);

#endif
