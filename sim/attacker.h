/*
 * A machine for the simulated world that attacks a host: it dials the host (or is dialled),
 * upgrades the link with a connection of our own whose bytes it may change on their way out, and
 * then says what no honest peer would: raw bytes behind the upgrade (with the plaintext channel
 * these are muxer frames), or anything on a stream.
 */
#ifndef TERN_SIM_ATTACKER_H
#define TERN_SIM_ATTACKER_H

#include "conn/conn.h"
#include "crypto/aead.h"
#include "secure/noise.h"
#include "sim/hosts.h"

enum {
    ATTACKER_RAW_MAX = 1 << 19,
    ATTACKER_COMMANDS_MAX = 64,
    ATTACKER_STREAM_MAX = 1 << 17, /* bytes written on a stream at a time, and of a message heard */
};

struct attacker;

struct attack {
    const char *name;
    const char *advisory; /* NULL: none */
    tern_fault fault;     /* what the host counts */
    bool plaintext;       /* of the whole network, so that frames can be written raw */
    bool is_dialled;      /* the host dials the attacker, believing it to be another */
    bool mute;            /* sends nothing but what `start` put into raw */
    bool slow;            /* a byte a second */
    const char *serves;   /* a protocol it answers with what `stream` writes; NULL: none */
    const char *opens;    /* a protocol it opens a stream of when established; NULL: none */
    void (*start)(struct attacker *attacker);       /* the link is there; NULL: nothing */
    void (*established)(struct attacker *attacker); /* NULL: nothing */
    void (*stream)(struct attacker *attacker, struct tern_writer *out); /* the bytes on it */
    tern_time again_ns; /* `stream` says more on the stream that was opened, so often; 0: once */
    /* Hears each length-delimited message of the streams that the host opens; NULL: they are not
     * read. */
    void (*hears)(struct attacker *attacker, struct tern_view message);
    size_t zero_from,
        zero_to; /* bytes of the link, counted from its start, that are set to value */
    uint8_t value;
    size_t cut_at;  /* bytes that are sent at all; 0: all */
    bool flip_last; /* flips a bit in the last byte of each flight behind the first */
};

struct attacker {
    const struct attack *attack;
    struct sim_hosts *hosts;
    uint32_t node;
    struct tern_mem mem;
    struct tern_random random;
    struct tern_private_key key;
    struct tern_peer_id id;
    struct tern_noise_identity noise;
    struct tern_aead_engine aead;
    struct tern_scope scope;
    struct tern_scope windows;
    struct tern_metrics metrics;
    struct tern_protocol protocol;
    struct tern_protocol_table table;
    struct tern_conn_config config;
    struct tern_conn *conn;
    tern_link_id link;
    uint32_t links; /* that there were */
    struct tern_command commands[ATTACKER_COMMANDS_MAX];
    size_t commands_count;
    tern_time now;
    tern_time due;
    size_t sent; /* bytes of this link */
    uint32_t flights;
    bool established;
    tern_stream_id stream; /* that it writes on */
    uint8_t said[ATTACKER_STREAM_MAX];
    size_t said_size;
    size_t said_sent;
    uint8_t heard[ATTACKER_STREAM_MAX]; /* the part of a message that is there */
    size_t heard_size;
    uint8_t raw[ATTACKER_RAW_MAX]; /* to be sent behind what the connection says */
    size_t raw_size;
    size_t raw_sent;
    size_t allowance; /* of a slow one: bytes it may send now */
};

/* attacker_add adds the attacker's node behind the hosts and starts it: it dials host 0. */
void attacker_add(struct attacker *attacker, struct sim_hosts *hosts, const struct attack *attack);

/* attacker_fini: after the world has ended. */
void attacker_fini(struct attacker *attacker);

/* attacker_raw appends bytes; attacker_frame a muxer's header. */
void attacker_raw(struct attacker *attacker, const void *bytes, size_t size);
struct attacker_frame {
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
    uint32_t length;
};
void attacker_frame(struct attacker *attacker, struct attacker_frame frame);

#endif
