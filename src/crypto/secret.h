/*
 * Secrets in memory: wiping that the compiler cannot drop, comparing that takes the same time
 * wherever the difference is. Every secret of this project is wiped by its owner's fini.
 */
#ifndef TERN_CRYPTO_SECRET_H
#define TERN_CRYPTO_SECRET_H

#include "base/types.h"

/* tern_secret_wipe overwrites with zeros. */
void tern_secret_wipe(void *secret, size_t size);

/* tern_secret_equal compares size bytes in constant time. */
bool tern_secret_equal(const void *a, const void *b, size_t size);

#endif
