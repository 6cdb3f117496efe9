/*
 * The structs behind a TLS channel, for tls.c, tls_peer.c and tests that set a counter near its
 * end.
 */
#ifndef TERN_SECURE_TLS_INTERNAL_H
#define TERN_SECURE_TLS_INTERNAL_H

#include "secure/tls.h"
#include "secure/tls_record.h"

struct gnutls_session_int;

enum { TERN_TLS_SECRETS = 2 }; /* the initiator's and the responder's, by role */

/* The handshake with one peer, and what its job found. */
struct tern_tls_peer {
    struct tern_tls_handshake handshake;
    struct gnutls_session_int *session; /* owned; NULL when the handshake is complete */
    size_t record_left;                 /* of the record that it reads */
    bool encrypted;                     /* so are all records from here on */
    struct tern_peer_id expected;       /* none: anyone */
    tern_wall_time wall;
    struct tern_view muxers[TERN_TLS_MUXERS_MAX];
    size_t muxers_count;

    bool has_remote;
    struct tern_public_key remote_key;
    struct tern_peer_id remote_id;
    size_t muxer; /* index of our list; SIZE_MAX: to be negotiated */
    const struct tern_tls_suite *suite;
    uint8_t secrets[TERN_TLS_SECRETS][TERN_TLS_SECRET_SIZE_MAX]; /* traffic secrets */
    size_t secret_sizes[TERN_TLS_SECRETS];
    struct tern_tls_keys send;
    struct tern_tls_keys receive;
    uint16_t plaintext_max; /* what the remote takes in a record */
};

/* tern_tls_peer_new starts a handshake; an initiator's first message is ready to be sent. */
TERN_NODISCARD tern_err tern_tls_peer_new(const struct tern_tls_options *options,
                                          struct tern_tls_peer **peer);

/* tern_tls_peer_free wipes and frees. The job must not be away. */
void tern_tls_peer_free(struct tern_tls_peer *peer);

struct tern_tls {
    struct tern_mem *mem;
    struct tern_aead_engine *aead;
    struct tern_tls_peer *peer; /* NULL when the handshake is over */
    size_t skip;                /* input that the handshake has used already */
    enum tern_role role;

    const struct tern_tls_suite *suite; /* NULL until the handshake is done */
    struct tern_tls_keys send;
    struct tern_tls_keys receive;
    struct tern_tls_messages messages;
    uint16_t plaintext_max; /* of what we send in a record */
    uint8_t idle_records;   /* in a row without data */

    /* The record that has come in part. After it is whole, its chunk is what DATA borrows from. */
    uint8_t header[TERN_TLS_HEADER_SIZE];
    uint8_t header_bytes;
    bool record_delivered;
    struct tern_chunk *record; /* without its header */
    size_t record_size;

    struct tern_slice data; /* borrowed */
    bool data_pending;
    bool done_pending;
    bool end_pending;
    bool heard; /* data has come: the remote has taken us for who we are */
    bool ended; /* the remote has said close_notify */
    bool shut;  /* so have we, or will */

    bool update_pending;   /* a KeyUpdate of ours is to be sent, */
    bool update_request;   /* which asks for one, */
    bool update_requested; /* as one before it did that has not been answered */
    bool alert_pending;
    uint8_t alert; /* an enum tern_tls_alert_code */

    tern_err err;
    tern_fault fault;
    struct tern_secure_remote remote; /* peer_id is NULL until the handshake is done */
    struct tern_peer_id remote_id;
    struct tern_public_key remote_key;
};

#endif
