/* A server's bytes against a client. */
#include "websocket/websocket_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return websocket_fuzz(TERN_ROLE_INITIATOR, data, size);
}
