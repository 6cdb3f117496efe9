/* A client's bytes against a server. */
#include "websocket/websocket_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return websocket_fuzz(TERN_ROLE_RESPONDER, data, size);
}
