/*
 * The handshake of TLS, a step at a time in jobs: records in, our flights out, and between them an
 * engine, which is a TLS library behind one function. GnuTLS is that of libp2p's TLS (tls_peer.c),
 * OpenSSL that of the web's (web_tls_openssl.h); here is what knows neither.
 *
 *     recv: whole records ─► JOB_READY ─ next gave it out ─► JOB_AWAY ─ settle ─┬─► WAIT
 *                                                                               └─► COMPLETE
 *
 * Records are framed here, on the network thread: their headers are judged before memory is taken,
 * and a job runs when at least one record is whole, with all the whole ones there are. Of those
 * that lie behind the first one copies go to the job; recv takes them off its caller only when it
 * is known that they belonged to the handshake, so that what follows it is decrypted where it lies.
 *
 * Between JOB_READY and settle the job alone touches the engine, the records and our flight. The
 * job takes no memory of ours; the library's own, about 20 KiB for a handshake, is outside of any
 * account.
 */
#ifndef TERN_SECURE_TLS_HANDSHAKE_H
#define TERN_SECURE_TLS_HANDSHAKE_H

#include "secure/channel.h"

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

/* ---- what an engine reads and writes ---- */

/* Set by whoever calls the engine, for the call. */
struct tern_tls_pipe {
    struct tern_view in[2];  /* one behind the other; advanced by reading */
    struct tern_writer *out; /* NULL: nothing may be written */
};

/* tern_tls_pipe_read takes at most size bytes off the input, and returns how many: 0, there are no
 * more. tern_tls_pipe_write adds bytes to the output, as many as fit, and returns how many. */
size_t tern_tls_pipe_read(struct tern_tls_pipe *pipe, void *data, size_t size);
size_t tern_tls_pipe_write(struct tern_tls_pipe *pipe, struct tern_view bytes);

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
    struct tern_tls_pipe pipe;
    bool heard; /* a record of the remote's has been taken */
    bool done;  /* the engine found the handshake complete */

    uint8_t header[TERN_TLS_HEADER_SIZE]; /* of a record that has come in part */
    uint8_t header_bytes;
    struct tern_chunk *part; /* that record, with its header; for the job when it is whole */
    struct tern_chunk *rest; /* whole records behind it, copied */
    size_t skip; /* of the last job: bytes that it has used and recv's caller still has */

    struct tern_writer out; /* our flight */
    size_t out_sent;

    /* run is the engine: by the pipe it reads records, whole ones, and writes our flight, as far as
     * it goes, and sets done when the handshake is complete; of what lies behind that it reads
     * nothing. An error is the handshake's, and fault says if it is the peer's; then what it has
     * written is the alert that tells it, unless it was done. */
    tern_err (*run)(struct tern_tls_handshake *handshake);
    tern_err err; /* what the job found; callbacks of the engine may set both before it returns */
    tern_fault fault;
};

struct tern_tls_handshake_options {
    enum tern_role role;
    struct tern_mem *mem;
    size_t flight_size_max; /* most that we say at once */
    tern_err (*run)(struct tern_tls_handshake *handshake);
    tern_time cost_ns; /* of a job */
};

/* tern_tls_handshake_init takes the room for our flights. TERN_ERR_MEMORY, and then there is
 * nothing to fini. */
TERN_NODISCARD tern_err tern_tls_handshake_init(struct tern_tls_handshake *handshake,
                                                const struct tern_tls_handshake_options *options);

/* tern_tls_handshake_start makes an initiator's first flight. What run returns. */
TERN_NODISCARD tern_err tern_tls_handshake_start(struct tern_tls_handshake *handshake);

/* tern_tls_handshake_fini frees and wipes; the engine is its owner's. The job must not be away.
 */
void tern_tls_handshake_fini(struct tern_tls_handshake *handshake);

/* tern_tls_handshake_recv takes bytes of the remote's while the step is WAIT (checked); JOB_READY
 * follows when there is something to do. TERN_ERR_MEMORY; TERN_ERR_PROTOCOL, TERN_ERR_TOO_LARGE:
 * the fault says why. */
TERN_NODISCARD tern_err tern_tls_handshake_recv(struct tern_tls_handshake *handshake,
                                                struct tern_view in, size_t *used);

/* tern_tls_handshake_record goes on to frame records when the handshake is COMPLETE (checked), for
 * who leaves them to the engine. It takes bytes up to the end of one, and *record is that one with
 * its header: where it lies in the input (no chunk), or in a chunk that lives until the next call;
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
