/*
 * For tests: two connections over a link in virtual time (testing/sim_pair.h), each with a host's
 * identity of its own. An end runs its jobs (at once, or after job_ns), logs its events as readable
 * lines, echoes on streams that the remote opens, and keeps what came on its own streams.
 *
 *     struct conn_pair pair;
 *     assert_true(conn_pair_init(&pair, &(struct conn_pair_options){.latency_ns = …}, &mem));
 *     conn_pair_run(&pair, TERN_SECOND);
 *     conn_pair_fini(&pair);
 */
#ifndef TERN_CONN_CONN_PAIR_H
#define TERN_CONN_CONN_PAIR_H

#include "conn/conn.h"
#include "crypto/aead.h"
#include "crypto/key.h"
#include "golden.h"
#include "secure/noise.h"
#include "secure/pnet.h"
#include "secure/tls.h"
#include "secure/web_tls.h"
#include "sim_pair.h"
#include "web_certificates.h"

#define CONN_PAIR_ECHO  "/test/echo/1"
#define CONN_PAIR_OTHER "/test/other/1"

enum { CONN_PAIR_GOT_MAX = 1 << 16, CONN_PAIR_KINDS = TERN_CONN_CLOSED + 1 };

struct conn_pair_options {
    struct sim_pair_options link;
    enum tern_secure_kind secure; /* of both, unless both_secure says other */
    bool late_muxer[2];
    bool both_dial;
    bool offers_two[2];    /* Noise and plaintext, in this order */
    bool hybrid[2];        /* post-quantum Noise and Noise, in this order */
    unsigned form;         /* a dials; 0: plain */
    unsigned forms;        /* b takes; 0: the same alone */
    const char *muxers[2]; /* 'y' for yamux and 'm' for mplex, in order of preference; NULL: "y" */
    unsigned networks[2];  /* private ones, by number; 0: public */
    bool no_web;           /* neither knows the web's TLS */
    bool wrong_peer;       /* a expects somebody else than b */
    bool right_peer;       /* a expects b */
    bool hold_jobs[2];     /* jobs wait until conn_pair_run_job */
    bool mute[2];          /* does not echo */
    bool resets_at_ready;  /* a resets its stream as soon as it hears READY */
    bool ends_early;       /* a closes its stream's write side right behind the first bytes */
    tern_time job_ns;      /* how long a job takes */
    tern_time ping_ns;     /* keep-alive of both */
    size_t open_size;      /* a opens one stream to echo when established, with so many bytes */
    struct tern_view open_names[4]; /* what it offers; none: CONN_PAIR_ECHO */
    struct tern_scope *root;        /* NULL: the pair's own */
};

struct conn_end {
    struct conn_pair *pair;
    const char *name;
    struct tern_random random;
    struct tern_private_key key;
    struct tern_noise_identity noise;
    struct tern_tls_identity tls;
    struct tern_web_tls web;
    struct tern_pnet_key psk;
    struct tern_peer_id id;
    struct tern_scope scope;
    struct tern_metrics metrics;
    struct tern_conn_config config;
    struct tern_conn *conn;
    struct tern_job *job;
    tern_time job_due;
    bool mute;
    bool link_ended; /* our direction */
    tern_err err;    /* of CLOSED */
    tern_fault fault;
    size_t counts[CONN_PAIR_KINDS]; /* of events */
    size_t stream_faults[TERN_FAULT_COUNT];
    struct tern_conn_event last[CONN_PAIR_KINDS];
    tern_stream_id stream; /* that this end opened last */
    tern_err open_err;
    bool read_end;           /* it ended behind what was got */
    tern_time first_byte_at; /* of the answer on it */
    uint8_t got[CONN_PAIR_GOT_MAX];
    size_t got_size;
};

struct conn_pair {
    struct conn_pair_options options;
    struct tern_mem *mem;
    struct tern_scope own_root;
    struct tern_scope *root;
    struct tern_scope windows;
    struct tern_aead_engine aead;
    struct tern_protocol protocols[2];
    struct tern_protocol_table table;
    struct sim_pair link;
    struct conn_end ends[2]; /* a dials, b listens */
    struct golden log;
};

/* conn_pair_init makes both ends; false: no memory (all is freed). */
bool conn_pair_init(struct conn_pair *pair, const struct conn_pair_options *options,
                    struct tern_mem *mem);
void conn_pair_fini(struct conn_pair *pair);

/* conn_pair_run lets everything happen up to a time; links of ended connections end, too. */
void conn_pair_run(struct conn_pair *pair, tern_time until);

/* conn_pair_serve draws the events of an end after the test called into its connection. */
void conn_pair_serve(struct conn_end *end, tern_time now);

/* conn_pair_open opens a stream and writes size counted bytes as far as they are taken. */
tern_err conn_pair_open(struct conn_end *end, const struct tern_view *names, size_t count,
                        size_t size);

/* conn_pair_run_job runs the job that is held and gives it back. */
void conn_pair_run_job(struct conn_end *end, tern_time now);

/* conn_pair_echoed: did the answer come back whole? */
bool conn_pair_echoed(const struct conn_end *end, size_t size);

/* conn_pair_life is a scenario for sim_fail.h: a pair of the options (context), which opens a
 * stream of open_size bytes and ends it early, whose ends then close. */
tern_err conn_pair_life(void *context, struct tern_mem *mem, struct tern_scope *root);

#endif
