/*
 * For tests: one yamux session whose remote is the test, frame by frame.
 */
#ifndef TERN_MUX_YAMUX_LONE_H
#define TERN_MUX_YAMUX_LONE_H

#include "mux/yamux.h"
#include "mux/yamux_frame.h"
#include "mux/yamux_internal.h"

enum { YAMUX_LONE_OUT_MAX = 1 << 20, YAMUX_LONE_LOG_MAX = 4096, YAMUX_LONE_FRAMES_MAX = 8192 };

struct yamux_lone {
    struct tern_mem mem;
    struct tern_scope scope;
    struct tern_scope windows;
    struct tern_metrics metrics;
    struct tern_mux mux;
    tern_time now;
    uint8_t out[YAMUX_LONE_OUT_MAX]; /* what the last pull gave */
    size_t out_size;
    struct tern_yamux_header frames[YAMUX_LONE_FRAMES_MAX]; /* their headers */
    size_t frames_count;
    struct tern_mux_event log[YAMUX_LONE_LOG_MAX]; /* events of the last feed or pull */
    size_t log_count;
};

/* yamux_lone_new: a session with the given options (mem, scope, windows and metrics are filled in),
 * whose first ping has been sent already. To be freed by yamux_lone_free, which checks that nothing
 * leaks. */
struct yamux_lone *yamux_lone_new(struct tern_yamux_options options);
void yamux_lone_free(struct yamux_lone *lone);

/* yamux_lone_core is the session itself, for tests that look inside. */
struct tern_yamux *yamux_lone_core(struct yamux_lone *lone);
struct tern_yamux_stream *yamux_lone_stream(struct yamux_lone *lone, tern_stream_id stream);

/* yamux_lone_feed gives bytes to recv at once and logs the events. */
tern_err yamux_lone_feed(struct yamux_lone *lone, const void *bytes, size_t size);

/* yamux_lone_frame feeds a header, and size zero bytes behind it. */
tern_err yamux_lone_frame(struct yamux_lone *lone, struct tern_yamux_header header, size_t size);

/* yamux_lone_pull calls send once with this much room, and splits the frames. */
size_t yamux_lone_pull(struct yamux_lone *lone, size_t room);

/* yamux_lone_count counts logged events. */
size_t yamux_lone_count(const struct yamux_lone *lone, enum tern_mux_event_kind kind);

/* yamux_lone_accept feeds WINDOW_UPDATE|SYN for the wire id and returns the id of the stream. */
tern_stream_id yamux_lone_accept(struct yamux_lone *lone, uint32_t wire_id);

/* yamux_lone_open opens a stream of ours with one byte, sends it and returns its id. */
tern_stream_id yamux_lone_open(struct yamux_lone *lone, enum tern_stream_class class);

/* yamux_lone_write queues size bytes of the value; they must be taken. */
void yamux_lone_write(struct yamux_lone *lone, tern_stream_id stream, uint8_t value, size_t size);

#endif
