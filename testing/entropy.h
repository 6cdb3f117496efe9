/*
 * The entropy and the wall clock of libraries, in programs that must repeat themselves: tests and
 * simulations that drive GnuTLS, OpenSSL or ngtcp2. A pure layer draws nothing and reads no clock,
 * but these libraries do both inside, and keys, nonces and randoms would differ from run to run.
 *
 *     getrandom, getentropy     defined here, for the whole program: a symbol of the executable
 * goes before that of a shared library, so GnuTLS, libsodium and whoever asks the C library get
 * bytes of one stream OpenSSL                   mixes clocks, process ids and addresses into its
 * own generator; a RAND_METHOD replaces it, for keys and signatures, too GnuTLS has a generator of
 * its own above getrandom, begun with the time; it is begun again with every seed time,
 * clock_gettime, gettimeofday the wall clock stands still; other clocks are the system's
 *
 * One seed, one sequence: tern_sim_entropy_seed forgets all that was drawn before, also in the same
 * process. What is drawn before the first seed comes from seed 0.
 *
 * Bytes from here are no secrets. Linked to tests, sim-check and benches alone: tools/check-layers
 * refuses a library or program for users that has it. One thread.
 */
#ifndef TERN_TESTING_ENTROPY_H
#define TERN_TESTING_ENTROPY_H

#include "base/types.h"

/* tern_sim_entropy_seed begins anew from a seed, and stops the wall clock at the simulated world's
 * epoch. No object of GnuTLS may be in use, and nobody else may call gnutls_global_init (GnuTLS
 * does by itself); both end the process where they are noticed. */
void tern_sim_entropy_seed(uint64_t seed);

/* tern_sim_entropy_set_wall lets the wall clock stand at a time, until the next seed; 0: it is the
 * system's again. For libFuzzer, which waits for its time to be up. */
void tern_sim_entropy_set_wall(tern_wall_time wall);

#endif
