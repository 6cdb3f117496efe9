/* Codes of connections and streams in words (libp2p/specs error-codes). */
#include "swarm/private.h"

struct codes_row {
    uint32_t code;
    const char *text;
};

static const struct codes_row codes_of_connections[] = {
    {TERN_CONNECTION_CODE_NONE, "ended in good order"},
    {1, "the muxer found a protocol error"}, /* these two are yamux's own */
    {2, "the muxer had an internal error"},
    {TERN_CONNECTION_CODE_NEGOTIATION, "no protocol could be agreed on"},
    {TERN_CONNECTION_CODE_RESOURCE_LIMIT, "a resource limit was reached"},
    {TERN_CONNECTION_CODE_RATE_LIMIT, "a rate limit was reached"},
    {TERN_CONNECTION_CODE_VIOLATION, "the protocol was violated"},
    {TERN_CONNECTION_CODE_SUPPLANTED, "another connection took its place"},
    {TERN_CONNECTION_CODE_IDLE, "it was not needed any more"},
    {TERN_CONNECTION_CODE_SHUTDOWN, "the peer shut down"},
    {TERN_CONNECTION_CODE_GATED, "the gate refused it"},
    {TERN_CONNECTION_CODE_OUT_OF_RANGE, "the code does not fit this transport"},
};

static const struct codes_row codes_of_streams[] = {
    {TERN_STREAM_CODE_NONE, "reset"},
    {TERN_STREAM_CODE_NEGOTIATION, "no protocol could be agreed on"},
    {TERN_STREAM_CODE_RESOURCE_LIMIT, "a resource limit was reached"},
    {TERN_STREAM_CODE_RATE_LIMIT, "a rate limit was reached"},
    {TERN_STREAM_CODE_VIOLATION, "the protocol was violated"},
    {TERN_STREAM_CODE_SUPPLANTED, "another stream took its place"},
    {TERN_STREAM_CODE_IDLE, "it took too long, or was not needed any more"},
    {TERN_STREAM_CODE_SHUTDOWN, "the peer shuts down"},
    {TERN_STREAM_CODE_GATED, "the gate refused it"},
    {TERN_STREAM_CODE_OUT_OF_RANGE, "the code does not fit this transport"},
};

static const char *codes_text(const struct codes_row *rows, size_t count, uint32_t code)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].code == code)
            return rows[i].text;
    return "an application's reason";
}

const char *tern_connection_code_text(uint32_t code)
{
    return codes_text(codes_of_connections, TERN_COUNT_OF(codes_of_connections), code);
}

const char *tern_stream_code_text(uint32_t code)
{
    return codes_text(codes_of_streams, TERN_COUNT_OF(codes_of_streams), code);
}
