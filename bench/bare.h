/*
 * The parts of the bare peer (bare.c): the machine (bare_machine.c), its state, connections
 * (bare_conn.c) and, for QUIC, the transport of sessions (bare_session.c). One thread.
 */
#ifndef TERN_BENCH_BARE_H
#define TERN_BENCH_BARE_H

#include "base/random.h"
#include "base/ring.h"
#include "base/timer.h"
#include "conn/conn.h"
#include "crypto/aead.h"
#include "quic/quic.h"
#include "runtime/real/loop.h"
#include "secure/noise.h"
#include "secure/tls.h"

enum {
    BARE_CONNS_MAX = 1 << 15,
    BARE_WRITE_SIZE = 64 * 1024,
};

enum bare_mode { MODE_SERVE, MODE_STREAM, MODE_HANDSHAKE, MODE_IDLE };

struct bare_conn {
    struct tern_conn *conn;
    struct tern_scope scope;
    uint64_t id;       /* of the link; of a session: its place and a number that is no other's */
    bool transmitting; /* a TRANSMIT command is out */
    bool blocked;      /* the world keeps bytes that were not taken */
    bool established;
    bool over;    /* a session has ended: it is freed when its events are drained */
    bool job_out; /* … and then removed: all is freed when the job comes back */
    bool removed;
    struct tern_timer timer;
    tern_stream_id stream;
    uint64_t received; /* by the sink */
    uint8_t answer[8];
    size_t answer_size;
};

struct bare {
    enum bare_mode mode;
    bool quic;
    unsigned form; /* that is dialled */
    char host[32];
    struct tern_mem mem;
    struct tern_random random;
    struct tern_private_key key;
    struct tern_noise_identity noise;
    struct tern_tls_identity tls;
    struct tern_quic_identity *quic_identity;
    struct tern_aead_engine aead;
    struct tern_scope root;
    struct tern_scope windows;
    struct tern_protocol protocol;
    struct tern_protocol_table protocols;
    struct tern_conn_config config;
    struct tern_loop *loop;   /* NULL: in the simulated world */
    struct bare_conn **conns; /* by the low half of the id */
    struct tern_ring commands;
    struct tern_endpoint target;
    uint64_t bytes, count, concurrency;
    uint64_t sent, dialed, done, live;
    uint64_t received;           /* by the sink, of all streams */
    uint64_t accepted;           /* connections that were established, in all … */
    tern_time accepted_first_at; /* … the first and the last of them */
    tern_time accepted_at;
    struct tern_timer_queue timers;
    struct tern_chunk *payload;
    tern_time now;
    tern_time started;
    tern_time took_ns;        /* valid when it has finished */
    struct tern_peer_id peer; /* who the first connection reached, for those that follow … */
    bool peer_known;          /* … if several streams are sent, one after the other */
    bool from_dial;           /* a stream's time begins with the dial, not with its first byte */
    bool finished;
    void (*ready)(struct bare *b, uint16_t port); /* the server listens, or all are held */
    /* QUIC */
    struct tern_session_transport transport;
    tern_link_id socket;
    bool sending; /* a TRANSMIT command is out */
    uint32_t *places;
    uint32_t places_count; /* that are free */
    uint32_t sessions;     /* so far */
};

/* bare_init makes the machine; mode, target, what to do and how have been set. */
void bare_init(struct bare *b, const uint8_t *seed, tern_time now);
extern const struct tern_machine_ops bare_ops;

void bare_command(struct bare *b, struct tern_command command);
void bare_finish(struct bare *b);

/* --- connections --- */

extern const struct tern_view bare_sink_name;

/* bare_begin dials the first connections. */
void bare_begin(struct bare *b);
/* bare_add makes room for a connection of that id, before its core is made. */
struct bare_conn *bare_add(struct bare *b, uint64_t id);
struct bare_conn *bare_find(struct bare *b, uint64_t id);
/* bare_serve drains events, ticks what is due and asks to transmit. It frees a session that is
 * over. */
void bare_serve(struct bare *b, struct bare_conn *c, tern_time now);
/* bare_remove frees a connection, and dials the next one. */
void bare_remove(struct bare *b, struct bare_conn *c);

/* What comes from the world. */
void bare_open(struct bare *b, tern_time now, const struct tern_input *in);
void bare_data(struct bare *b, tern_time now, const struct tern_input *in);
void bare_end(struct bare *b, tern_time now, const struct tern_input *in);
void bare_job_done(struct bare *b, tern_time now, struct tern_job *job);
void bare_tick(struct bare *b, tern_time now);

/* --- QUIC --- */

void bare_session_init(struct bare *b);
void bare_session_dial(struct bare *b);
/* bare_session_free gives the place of a session back. */
void bare_session_free(struct bare *b, uint64_t id);
void bare_session_bound(struct bare *b, const struct tern_input *in);
void bare_session_datagrams(struct bare *b, tern_time now, const struct tern_input *in);
/* bare_session_run tells the connections what there is to know, and asks to transmit. */
void bare_session_run(struct bare *b, tern_time now);
void bare_session_tick(struct bare *b, tern_time now);
bool bare_session_send(struct bare *b, tern_time now, struct tern_datagrams_out *out);
tern_time bare_session_deadline(const struct bare *b);

#endif
