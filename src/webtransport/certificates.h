/*
 * The certificates of a host that serves WebTransport: self-signed, valid for 14 days, which is the
 * most that browsers take, and known by their hashes. Time is cut into periods; each has one
 * certificate, which follows from the host's key and the period alone, so that hashes survive a
 * restart and nothing is stored.
 *
 *     period k      |== valid: 14 days =========================|
 *     period k + 1                                            |== valid …
 *     used               |── k ────────────────────────────────|── k + 1 …
 *                        ◄ 1 h ►                            ◄ 1 h ►
 *
 * Periods overlap by two hours, and a certificate is used from an hour behind its beginning until
 * an hour before its end, so that a clock that is wrong by less does no harm. Where periods begin
 * follows from the host's public key, lest all hosts change theirs at one time.
 *
 * Told to others are the certificate in use and the next one; those who come by the one before are
 * shown that this end knew it. Not thread safe. Specification: libp2p/specs webtransport/README.md,
 * "Certificates".
 */
#ifndef TERN_WEBTRANSPORT_CERTIFICATES_H
#define TERN_WEBTRANSPORT_CERTIFICATES_H

#include "crypto/certificate.h"

enum {
    WEB_MULTIHASH_SIZE = 2 + TERN_SHA256_SIZE,
    WEB_HASHES = 3, /* of the period before, this one, the next */
};

struct web_certificates {
    struct tern_mem *mem;
    bool made;
    tern_wall_time offset; /* of periods */
    uint64_t period;
    struct tern_certificate current;
    uint8_t secret[TERN_SHA256_SIZE];
    uint8_t multihashes[WEB_HASHES][WEB_MULTIHASH_SIZE];
};

void web_certificates_init(struct web_certificates *certificates, struct tern_mem *mem,
                           const struct tern_private_key *host_key);
void web_certificates_fini(struct web_certificates *certificates);

/* web_certificates_roll makes those of the time, unless they are there; *rolled says whether it
 * did. Errors of tern_certificate_make: then all is as before. TERN_ERR_INVALID: there is no such
 * time. */
TERN_NODISCARD tern_err web_certificates_roll(struct web_certificates *certificates,
                                              tern_wall_time wall, bool *rolled);

/* web_certificates_until is when they are to be rolled next. They have been made. */
tern_wall_time web_certificates_until(const struct web_certificates *certificates);

#endif
