/*
 * The handshake of TLS by OpenSSL, a step at a time in jobs. For tls.c and web_tls.c, which say by
 * their contexts' callbacks what is asked of the other end.
 *
 *     recv: whole records ─► JOB_READY ─ next gave it out ─► JOB_AWAY ─ settle ─┬─► WAIT
 *                                                                               └─► COMPLETE
 *
 * Records are framed here, on the network thread: their headers are judged before memory is taken,
 * and a job runs when at least one record is whole, with all the whole ones there are. Of those
 * that lie behind the first one copies go to the job; recv takes them off its caller only when it
 * is known that they belonged to the handshake, so that what follows it is decrypted where it lies.
 *
 * Between JOB_READY and settle the job alone touches the SSL object, the records and our flight.
 * The job takes no memory of ours; OpenSSL's own, about 20 KiB for a handshake, is outside of any
 * account.
 */
#ifndef TERN_SECURE_TLS_HANDSHAKE_H
#define TERN_SECURE_TLS_HANDSHAKE_H

#include "secure/channel.h"

struct ssl_st;
struct ssl_ctx_st;
struct bio_method_st;

enum {
    TERN_TLS_HEADER_SIZE = 5,
    TERN_TLS_CIPHERTEXT_MAX = 16384 + 256, /* of a record, RFC 8446 section 5.2 */
    TERN_TLS_HANDSHAKE_INPUT_MAX = 2 * (TERN_TLS_HEADER_SIZE + TERN_TLS_CIPHERTEXT_MAX),
};

/* Types of records (RFC 8446 appendix B.1). */
enum tern_tls_type {
    TERN_TLS_CHANGE_CIPHER_SPEC = 20,
    TERN_TLS_ALERT = 21,
    TERN_TLS_HANDSHAKE = 22,
    TERN_TLS_APPLICATION_DATA = 23,
};

/* ---- OpenSSL over memory ---- */

/* What an SSL object reads and writes, set by whoever calls it, for the call. */
struct tern_tls_pipe {
    struct tern_view in[2];  /* one behind the other; advanced by reading */
    struct tern_writer *out; /* NULL: nothing may be written */
};

/* A context and the methods of its memory. Read-only after init, also by jobs. */
struct tern_tls_context {
    struct ssl_ctx_st *ssl;
    struct bio_method_st *bio;
};

/* tern_tls_context_init makes a context for both roles, without tickets, compression,
 * renegotiation, early data, or trust in anything. TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_tls_context_init(struct tern_tls_context *context);
void tern_tls_context_fini(struct tern_tls_context *context);

/* tern_tls_error tells what the failure of an SSL call means, from the thread's error queue, which
 * it empties: an error, and in *fault the peer's, if it is its. */
tern_err tern_tls_error(tern_fault *fault);

/* tern_tls_record_error tells it of a call that has read a record behind the handshake. */
tern_err tern_tls_record_error(tern_fault *fault);

/* ---- handshake ---- */

enum tern_tls_step {
    TERN_TLS_WAIT, /* for the remote, or for nothing: before start */
    TERN_TLS_JOB_READY,
    TERN_TLS_JOB_AWAY,
    TERN_TLS_COMPLETE,
};

struct tern_tls_handshake {
    struct tern_job job;
    struct tern_mem *mem;
    enum tern_role role;
    enum tern_tls_step step;
    struct ssl_st *ssl; /* owned, unless complete has taken it */
    struct tern_tls_pipe pipe;
    bool heard; /* a record of the remote's has been taken */
    bool done;  /* the job found the handshake complete */

    uint8_t header[TERN_TLS_HEADER_SIZE]; /* of a record that has come in part */
    uint8_t header_bytes;
    struct tern_chunk *part; /* that record, with its header; for the job when it is whole */
    struct tern_chunk *rest; /* whole records behind it, copied */
    size_t skip; /* of the last job: bytes that it has used and recv's caller still has */

    struct tern_writer out; /* our flight */
    size_t out_sent;

    /* complete is called by the job when the handshake is done; its error is the handshake's. */
    tern_err (*complete)(struct tern_tls_handshake *handshake);
    tern_err err; /* what the job found; callbacks of the context may set both before */
    tern_fault fault;
};

struct tern_tls_handshake_options {
    enum tern_role role;
    struct tern_mem *mem;
    const struct tern_tls_context *context;
    size_t flight_size_max; /* most that we say at once */
    tern_err (*complete)(struct tern_tls_handshake *handshake);
    tern_time cost_ns; /* of a job */
};

/* tern_tls_handshake_init makes the SSL object, whose app data is the handshake. TERN_ERR_MEMORY,
 * and then there is nothing to fini. */
TERN_NODISCARD tern_err tern_tls_handshake_init(struct tern_tls_handshake *handshake,
                                                const struct tern_tls_handshake_options *options);

/* tern_tls_handshake_start makes an initiator's first flight. An error of tern_tls_error. */
TERN_NODISCARD tern_err tern_tls_handshake_start(struct tern_tls_handshake *handshake);

/* tern_tls_handshake_fini frees and wipes. The job must not be away. */
void tern_tls_handshake_fini(struct tern_tls_handshake *handshake);

/* tern_tls_handshake_recv takes bytes of the remote's while the step is WAIT (checked); JOB_READY
 * follows when there is something to do. TERN_ERR_MEMORY; TERN_ERR_PROTOCOL, TERN_ERR_TOO_LARGE:
 * the fault says why. */
TERN_NODISCARD tern_err tern_tls_handshake_recv(struct tern_tls_handshake *handshake,
                                                struct tern_view in, size_t *used);

/* tern_tls_handshake_record goes on to frame records when the handshake is COMPLETE (checked), for
 * who leaves them to OpenSSL. It takes bytes up to the end of one, and *record is that one with its
 * header: where it lies in the input (no chunk), or in a chunk that lives until the next call;
 * empty: more has to come. Errors as of recv. */
TERN_NODISCARD tern_err tern_tls_handshake_record(struct tern_tls_handshake *handshake,
                                                  struct tern_view in, size_t *used,
                                                  struct tern_slice *record);

/* tern_tls_handshake_settle takes the job back, and returns what it found. The owner then takes
 * skip bytes off the input before it gives any more of it to anybody. */
TERN_NODISCARD tern_err tern_tls_handshake_settle(struct tern_tls_handshake *handshake);

/* tern_tls_handshake_pending: is there something of ours to be sent? Also after a failure: the
 * alert that tells the remote. */
bool tern_tls_handshake_pending(const struct tern_tls_handshake *handshake);
void tern_tls_handshake_send(struct tern_tls_handshake *handshake, struct tern_writer *out);

#endif
