/*
 * The one place that calls OpenSSL's SSL: handshakes of DTLS 1.2 over datagrams in memory. Whatever
 * else DTLS needs is in dtls.c.
 *
 * A step takes the datagrams of an inbox and leaves the records that answer them in an outbox; it
 * may run on any thread, one step of a handshake at a time. OpenSSL's clock takes no part: its
 * timer is set to an hour.
 */
#ifndef TERN_WEBRTC_DTLS_OPENSSL_H
#define TERN_WEBRTC_DTLS_OPENSSL_H

#include "webrtc/dtls.h"

enum { TERN_DTLS_FINISHED_SIZE = 24 };

/* Datagrams in a row, each behind its size (2). An outbox has records in a row and nothing else. */
struct tern_dtls_box {
    uint8_t *data; /* capacity bytes */
    size_t capacity;
    size_t size;
};

/* tern_dtls_box_put appends a datagram; false: there is no room. */
bool tern_dtls_box_put(struct tern_dtls_box *box, struct tern_view datagram);

/* tern_dtls_box_next views the datagram at *offset and moves it on; false: there is none. */
bool tern_dtls_box_next(const struct tern_dtls_box *box, size_t *offset,
                        struct tern_span *datagram);

enum tern_dtls_step {
    TERN_DTLS_STEP_MORE, /* datagrams of the remote are waited for */
    TERN_DTLS_STEP_DONE,
    TERN_DTLS_STEP_FAILED,
};

struct tern_dtls_ssl {
    void *ssl;
    struct tern_dtls_box inbox;
    struct tern_dtls_box outbox; /* records that steps have written since it was emptied; how they
                                    are put in datagrams is the caller's: OpenSSL goes over the size
                                    it is told */
    size_t inbox_offset;
    bool overflow; /* the outbox was too small */
    bool listener;
    /* Dialer: what the listener's certificate must be one of. */
    uint8_t certhashes[TERN_DTLS_CERTHASHES_MAX][TERN_SHA256_SIZE];
    size_t certhashes_count;
    /* Results. */
    enum tern_dtls_step step;
    tern_err error; /* of FAILED */
    tern_fault fault;
    bool has_secrets; /* since its Finished was written */
    struct tern_dtls_secrets secrets;
    uint8_t finished[TERN_DTLS_FINISHED_SIZE]; /* our message, in the clear */
    size_t finished_size;
    uint8_t fingerprint[TERN_SHA256_SIZE]; /* of the remote's certificate */
};

/* tern_dtls_ssl_init makes OpenSSL's state; boxes, role and certhashes are set. TERN_ERR_MEMORY.
 * The struct must not move afterwards. */
TERN_NODISCARD tern_err tern_dtls_ssl_init(struct tern_dtls_ssl *s,
                                           struct tern_dtls_context *context);

/* tern_dtls_ssl_fini frees it and wipes the secrets; the boxes are the caller's. */
void tern_dtls_ssl_fini(struct tern_dtls_ssl *s);

/* tern_dtls_ssl_step works until it waits for the remote, is done or fails. */
void tern_dtls_ssl_step(struct tern_dtls_ssl *s);

#endif
