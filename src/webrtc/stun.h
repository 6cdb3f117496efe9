/*
 * STUN: the messages that ICE checks a path with, decoded and encoded. Binding alone: requests,
 * their answers, indications.
 *
 *     type (2) length (2) cookie (4) transaction (12)      length: of what follows, a multiple of 4
 *     attribute: type (2) length (2) value, padded to 4    …
 *
 * A message is one datagram, whole. Its attributes are read once, the first of a kind counts, and
 * behind MESSAGE-INTEGRITY nothing counts but FINGERPRINT, which must be last. FINGERPRINT is
 * required in every message, as ICE requires it: what shares a port with other protocols is no STUN
 * message without one. Attributes that must be understood and are not are listed, for the answer
 * 420; others are passed over.
 *
 * Decoding borrows; nothing here allocates or keeps state. The caller checks integrity when it
 * knows the password (tern_stun_authentic).
 *
 * Specifications: RFC 8489 sections 5, 6, 14 (STUN); RFC 8445 sections 7, 16 (ICE's attributes).
 */
#ifndef TERN_WEBRTC_STUN_H
#define TERN_WEBRTC_STUN_H

#include "base/error.h"
#include "base/fault.h"
#include "base/types.h"
#include "base/writer.h"
#include "runtime/io.h"

enum {
    TERN_STUN_HEADER_SIZE = 20,
    TERN_STUN_TRANSACTION_SIZE = 12,
    TERN_STUN_USERNAME_MAX = 513,
    TERN_STUN_SIZE_MAX = 1280,     /* of a message that is taken */
    TERN_STUN_ENCODED_MAX = 720,   /* of a message of ours, with the longest user name */
    TERN_STUN_ATTRIBUTES_MAX = 32, /* of a message that is taken */
    TERN_STUN_UNKNOWN_MAX = 8,     /* kinds that are listed; those beyond are passed over */
};

enum tern_stun_class {
    TERN_STUN_REQUEST,
    TERN_STUN_INDICATION,
    TERN_STUN_SUCCESS,
    TERN_STUN_ERROR,
};

/* ERROR-CODE's values that are used here. */
enum tern_stun_error {
    TERN_STUN_BAD_REQUEST = 400,
    TERN_STUN_UNAUTHENTICATED = 401,
    TERN_STUN_UNKNOWN_ATTRIBUTE = 420,
    TERN_STUN_ROLE_CONFLICT = 487,
};

enum tern_stun_role { TERN_STUN_ROLE_NONE, TERN_STUN_ROLE_CONTROLLING, TERN_STUN_ROLE_CONTROLLED };

struct tern_stun {
    enum tern_stun_class class;
    uint8_t transaction[TERN_STUN_TRANSACTION_SIZE];
    struct tern_view username; /* borrowed; size 0: none */
    uint32_t priority;         /* 0: none */
    enum tern_stun_role role;  /* ICE-CONTROLLING, ICE-CONTROLLED; with tie_breaker */
    uint64_t tie_breaker;
    bool use_candidate;
    struct tern_endpoint mapped;             /* XOR-MAPPED-ADDRESS; family 0: none */
    uint16_t error;                          /* ERROR-CODE; 0: none */
    uint16_t unknown[TERN_STUN_UNKNOWN_MAX]; /* decoded: kinds to be understood that are not known;
                                                encoded: UNKNOWN-ATTRIBUTES */
    size_t unknown_count;
    /* Of a decoded message: where MESSAGE-INTEGRITY begins; 0: there is none. */
    size_t integrity_offset;
};

/* tern_stun_is: does the datagram look like a STUN message (RFC 7983: first byte 0 .. 3, and the
 * cookie)? */
bool tern_stun_is(struct tern_view datagram);

/* tern_stun_decode reads a message. TERN_ERR_MALFORMED with *fault WEBRTC_STUN_MALFORMED or
 * WEBRTC_STUN_FINGERPRINT; *m is then not to be used. */
TERN_NODISCARD tern_err tern_stun_decode(struct tern_view datagram, struct tern_stun *m,
                                         tern_fault *fault);

/* tern_stun_authentic: has the message that was decoded from this datagram an integrity of this
 * password? */
bool tern_stun_authentic(const struct tern_stun *m, struct tern_view datagram,
                         struct tern_view password);

/* tern_stun_encode appends a message, with FINGERPRINT, and with MESSAGE-INTEGRITY if the password
 * is not empty. At most TERN_STUN_ENCODED_MAX bytes if the user name keeps to its bound. */
void tern_stun_encode(const struct tern_stun *m, struct tern_view password,
                      struct tern_writer *out);

#endif
