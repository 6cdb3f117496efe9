/*
 * DTLS 1.2 for WebRTC: a handshake by OpenSSL, and records of our own.
 *
 *   dialer   ClientHello ───────────────────────────────────────────────►  listener
 *            ◄── ServerHello, Certificate, ServerKeyExchange, CertificateRequest, Done
 *            Certificate, ClientKeyExchange, CertificateVerify, CCS, Finished ──►
 *            ◄── CCS, Finished
 *
 *   HANDSHAKE ─► OPEN ─ close_notify ─► CLOSED
 *       └───── FAILED (error, fault)
 *
 * Who the other is. Certificates are self-signed and say nothing; their SHA-256 does. A dialer
 * requires the listener's certificate to be one of certhashes. A listener takes any; both are bound
 * by the Noise handshake that follows. In either role the remote has proven to hold the key.
 *
 * The clock. OpenSSL would send a flight again by a clock of its own, looked at whenever it reads,
 * which no virtual time can turn. So its timer is set to an hour and the flight is kept and sent
 * again from here: after 100 ms, or one and a half round trips if one was measured (50 ms to 1 s),
 * then doubling to 3 s. A record that is sent again needs a fresh number: those in the clear are
 * numbered here, and Finished is sealed anew. When the handshake is done OpenSSL's state is freed
 * and keys are all that is left; a listener keeps its last flight until the dialer has shown to
 * have it.
 *
 * Work. All public-key work is in jobs, one a flight: job gives it, job_done takes it back. What
 * comes in between waits, up to a bound; records that came too early are held and given again by
 * held. The random numbers of a handshake are OpenSSL's.
 *
 * Records. ECDHE with AES-128-GCM alone (the suite that WebRTC requires; for certificates of ECDSA
 * and RSA), extended master secret required, no resumption, no renegotiation, no compression. A
 * record is sealed where it stands in the datagram and opened into the caller's buffer; neither
 * allocates. Each is taken once (a window of TERN_DTLS_WINDOW numbers).
 *
 * Not thread safe, except that a job runs anywhere. Specifications: RFC 6347 (DTLS 1.2), RFC 5288
 * (AES-GCM), RFC 7627 (extended master secret), RFC 8827 section 6.5 (WebRTC).
 */
#ifndef TERN_WEBRTC_DTLS_H
#define TERN_WEBRTC_DTLS_H

#include "base/fault.h"
#include "base/job.h"
#include "base/mem.h"
#include "base/writer.h"
#include "crypto/sha256.h"
#include "webrtc/dtls_cipher.h"

enum {
    TERN_DTLS_DATAGRAM_MAX = 1200, /* of ours */
    TERN_DTLS_PLAINTEXT_MAX = TERN_DTLS_DATAGRAM_MAX - TERN_DTLS_OVERHEAD,
    TERN_DTLS_RECORD_MAX = 2048, /* of the remote's, whole, once the session is open */
    TERN_DTLS_CERTHASHES_MAX = 8,
    TERN_DTLS_FLIGHT_MAX = 4 << 10, /* of ours */
    TERN_DTLS_INBOX_MAX = 8 << 10,  /* datagrams that wait for a job to come back */
    TERN_DTLS_HELD_MAX = 4 << 10,   /* datagrams that came too early */
    TERN_DTLS_WINDOW = 1024,
    /* What OpenSSL holds, out of our sight, while a handshake lasts, and for the keys afterwards;
     * dtls_memory_test measures. */
    TERN_DTLS_HANDSHAKE_BYTES = 160 << 10,
    TERN_DTLS_OPEN_BYTES = 4 << 10,
};
#define TERN_DTLS_RESEND_UNKNOWN (100 * TERN_MILLISECOND)
#define TERN_DTLS_RESEND_MIN     (50 * TERN_MILLISECOND)
#define TERN_DTLS_RESEND_MAX     TERN_SECOND /* at first */
#define TERN_DTLS_RESEND_LIMIT   (3 * TERN_SECOND)

/* A certificate with its key; X.509, and PKCS 8 or SEC 1, in DER. */
struct tern_dtls_certificate {
    struct tern_view certificate;
    struct tern_view private_key;
};

/* What all sessions of a transport share. Read-only but for its count of users, also by jobs. */
struct tern_dtls_context;

/* tern_dtls_context_new takes a copy of the certificate. TERN_ERR_MEMORY; TERN_ERR_BAD_KEY: it or
 * its key is not understood, or they do not belong together. */
TERN_NODISCARD tern_err tern_dtls_context_new(struct tern_mem *mem,
                                              const struct tern_dtls_certificate *certificate,
                                              struct tern_dtls_context **context);

/* tern_dtls_context_ref, _unref: each session holds a reference, so that a transport may change its
 * certificate while it has sessions. */
struct tern_dtls_context *tern_dtls_context_ref(struct tern_dtls_context *context);
void tern_dtls_context_unref(struct tern_dtls_context *context);

/* tern_dtls_context_fingerprint is the SHA-256 of the certificate. */
const uint8_t *tern_dtls_context_fingerprint(const struct tern_dtls_context *context);

enum tern_dtls_state { TERN_DTLS_HANDSHAKE, TERN_DTLS_OPEN, TERN_DTLS_CLOSED, TERN_DTLS_FAILED };

struct tern_dtls_handshake; /* OpenSSL's state, the job and the flights */

struct tern_dtls {
    struct tern_mem *mem;
    struct tern_dtls_context *context;
    struct tern_dtls_handshake *handshake; /* NULL: its last flight is not needed any more */
    bool listener;
    bool job_ready;    /* there is work to be given */
    bool job_out;      /* it has been given */
    bool flight_due;   /* the flight is to be sent, from flight_offset on */
    bool flight_again; /* it has been sent before */
    bool alert_due;    /* close_notify is to be sent */
    bool confirmed;    /* the remote has our last flight */
    enum tern_dtls_state state;
    tern_err error;     /* of FAILED */
    tern_fault fault;   /* likewise */
    tern_fault dropped; /* the last record that was dropped: why; the owner counts and clears it */
    size_t flight_offset;
    size_t held_offset;
    tern_time resend_at;
    tern_time resend_interval_ns;
    uint64_t clear_next; /* number of the next record in the clear */
    struct tern_dtls_cipher seal;
    struct tern_dtls_cipher open;
    uint64_t taken_count; /* records that were authentic and new */
    uint64_t window_next; /* one above the highest number that was taken */
    uint64_t window[TERN_DTLS_WINDOW / 64];
    uint8_t fingerprint[TERN_SHA256_SIZE]; /* the remote's; from OPEN on */
};

struct tern_dtls_options {
    struct tern_mem *mem;
    struct tern_dtls_context *context; /* a reference is taken */
    bool listener;
    tern_time rtt_ns; /* measured before; 0: none */
    /* Dialer: SHA-256 sums that the listener's certificate must have one of; copied. */
    const uint8_t (*certhashes)[TERN_SHA256_SIZE];
    size_t certhashes_count; /* 1 .. TERN_DTLS_CERTHASHES_MAX */
};

/* tern_dtls_init begins a session. A dialer has a job at once; a listener waits. TERN_ERR_MEMORY;
 * nothing to fini then. */
TERN_NODISCARD tern_err tern_dtls_init(struct tern_dtls *d,
                                       const struct tern_dtls_options *options);

/* tern_dtls_fini frees everything and wipes the keys. No job may be out. */
void tern_dtls_fini(struct tern_dtls *d);

/* tern_dtls_is: does the datagram look like DTLS (RFC 7983: first byte 20 .. 63, and a version)? */
bool tern_dtls_is(struct tern_view datagram);

/* tern_dtls_epoch is the epoch of the first record of a datagram that tern_dtls_is: 0 in the clear.
 */
uint16_t tern_dtls_epoch(struct tern_view datagram);

/* tern_dtls_recv takes records off *datagram (moved on) until one gives application data: *text
 * views it, inside room, which has TERN_DTLS_RECORD_MAX bytes. False: the datagram is used up.
 * Records that are not to be believed are dropped in silence, and dropped says why
 * (WEBRTC_DTLS_RECORD, WEBRTC_DTLS_REPLAY, WEBRTC_DTLS_FLOOD). An alert changes the state. */
bool tern_dtls_recv(struct tern_dtls *d, struct tern_view *datagram, struct tern_span room,
                    struct tern_view *text);

/* tern_dtls_held gives the datagrams that came before the session was open, for recv, once it is.
 */
bool tern_dtls_held(struct tern_dtls *d, struct tern_view *datagram);

/* tern_dtls_job is the job that is to be run now, given once; NULL: none. */
struct tern_job *tern_dtls_job(struct tern_dtls *d);
void tern_dtls_job_done(struct tern_dtls *d, struct tern_job *job);

/* tern_dtls_send appends the next datagram of a flight, or an alert; false: there is none. The room
 * is to be TERN_DTLS_DATAGRAM_MAX at least. */
bool tern_dtls_send(struct tern_dtls *d, tern_time now, struct tern_writer *out);
bool tern_dtls_want_send(const struct tern_dtls *d);

/* tern_dtls_send_size is what the datagram that is due has at most; 0: none is. */
size_t tern_dtls_send_size(const struct tern_dtls *d);
tern_time tern_dtls_deadline(const struct tern_dtls *d);
void tern_dtls_tick(struct tern_dtls *d, tern_time now);

/* tern_dtls_seal_begin is room for the plaintext of one record inside out: at most
 * TERN_DTLS_PLAINTEXT_MAX, an empty span when out has no room for half of that. OPEN alone.
 * tern_dtls_seal_end seals the first size bytes of it and moves out on; size 0 takes it back.
 * TERN_ERR_INTERNAL: OpenSSL failed; the state is FAILED then. */
struct tern_span tern_dtls_seal_begin(struct tern_dtls *d, struct tern_writer *out);
TERN_NODISCARD tern_err tern_dtls_seal_end(struct tern_dtls *d, struct tern_writer *out,
                                           size_t size);

/* tern_dtls_close sends close_notify, if the session is open; nothing may be sealed afterwards. */
void tern_dtls_close(struct tern_dtls *d);

#endif
