/*
 * A host's identity on disk: the protobuf PrivateKey message in a file that only its owner can
 * read.
 */
#ifndef TERN_RUNTIME_REAL_KEYFILE_H
#define TERN_RUNTIME_REAL_KEYFILE_H

#include "base/random.h"
#include "crypto/key.h"

/* tern_private_key_make generates a key of any type; RSA ones (2048 bits) take the library's own
 * entropy and a while. Errors of the generators. */
TERN_NODISCARD tern_err tern_private_key_make(enum tern_key_type type, struct tern_random *random,
                                              struct tern_private_key *key);

struct tern_keyfile_options {
    const char *path;
    enum tern_key_type type;    /* of a key that is made when there is no file */
    struct tern_random *random; /* for that */
};

/* tern_keyfile_load reads the key, or makes one and writes it with mode 0600, all or nothing.
 * message receives what went wrong and what to do. TERN_ERR_IO; TERN_ERR_BAD_KEY: no key in it;
 * TERN_ERR_GATED: others may read the file, which is refused. */
TERN_NODISCARD tern_err tern_keyfile_load(const struct tern_keyfile_options *options,
                                          struct tern_private_key *key, char *message,
                                          size_t message_size);

/* tern_keyfile_read appends what is in the file of another secret, such as a private network's key,
 * at most as much as out has room for; the caller wipes it. Messages and errors as above;
 * TERN_ERR_TOO_LARGE. */
TERN_NODISCARD tern_err tern_keyfile_read(const char *path, struct tern_writer *out, char *message,
                                          size_t message_size);

#endif
