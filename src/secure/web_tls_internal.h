/* The struct behind a web TLS channel, for its files and for tests that set a counter. */
#ifndef TERN_SECURE_WEB_TLS_INTERNAL_H
#define TERN_SECURE_WEB_TLS_INTERNAL_H

#include "secure/web_tls.h"

/* What we say behind the handshake: answers to changes of keys, of which each idle record may bring
 * one, and an alert. */
enum { TERN_WEB_TLS_SAY_MAX = 2048, TERN_WEB_TLS_KEY_RECORDS_MAX = 1 << 24 };

struct tern_web_channel {
    struct tern_mem *mem;
    enum tern_role role;
    struct tern_tls_handshake handshake;
    struct ssl_st *ssl;      /* owned; lives as long as the channel */
    size_t skip;             /* input that the handshake has used already */
    uint32_t records_sealed; /* since the key was last changed */
    uint8_t idle_records;    /* in a row without data */
    bool renegotiates;       /* TLS 1.2: a handshake's record may begin another */

    struct tern_slice data; /* borrowed */
    bool data_pending;
    bool done_pending;
    bool end_pending;
    bool open;  /* the handshake is done */
    bool heard; /* data has come: the remote has taken us for who we are */
    bool ended; /* the remote has said close_notify */
    bool shut;  /* so have we */
    tern_err err;
    tern_fault fault;
};

#endif
