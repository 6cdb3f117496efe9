/* A responder against any initiator; see secure/tls_fuzz_common.h. */
#include "secure/tls_fuzz_common.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_one(TERN_ROLE_RESPONDER, data, size);
}
