#include "crypto/start.h"

#include <sodium.h>

tern_err tern_crypto_start(void)
{
    return sodium_init() < 0 ? TERN_ERR_INTERNAL : TERN_OK;
}
