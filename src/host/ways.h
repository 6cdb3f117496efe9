/*
 * The ways to connect, by name: what a person or a program may say of the transports, secure
 * channels and muxers that a host is to use. A name is what the specification calls the thing, or
 * its multiaddr component.
 *
 * The tables in ways.c list what is built into this library, one line each, and so does the
 * sentence about a name that is not among them.
 */
#ifndef TERN_HOST_WAYS_H
#define TERN_HOST_WAYS_H

#include "base/writer.h"
#include "swarm/swarm.h"

/* Names separated by commas, blanks around them allowed. NULL: as the configuration has it. */
struct tern_ways {
    const char *transports; /* such as "tcp": those that may be dialled and listened at */
    const char *secure;     /* "noise,tls": in order of preference, what is offered first;
                               "noise-mlkem768" where OpenSSL has ML-KEM */
    const char *muxers;     /* "yamux": likewise. When either is said dialers offer all of both */
};

/* tern_ways_all sets what a host in the real world uses when nothing is said: all transports, Noise
 * and TLS, yamux and mplex; it dials with Noise and
 * yamux, which every peer has. */
void tern_ways_all(struct tern_swarm_config *config);

/* tern_ways_apply sets the configuration's transports, secure and muxers. On an error it leaves it
 * as it was and appends a sentence with the name and with all that there is to message.
 * TERN_ERR_UNSUPPORTED: a name is not known, or not built in; INVALID: a list without a name. */
TERN_NODISCARD tern_err tern_ways_apply(const struct tern_ways *ways,
                                        struct tern_swarm_config *config,
                                        struct tern_writer *message);

#endif
