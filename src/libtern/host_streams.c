/*
 * Streams of the public API.
 */
#include "libtern/host_private.h"

tern_err tern_stream_open(struct tern_host *host, const char *text, const char *protocol,
                          tern_stream_handle *stream)
{
    struct tern_view name = tern_view_str(protocol);
    struct tern_stream_offer offer = {.names = &name, .names_count = 1, .class = TERN_STREAM_BULK};
    tern_peer peer;
    tern_time now = host_enter(host);
    tern_err err = host_find_peer(host, text, &peer);
    if (err == TERN_OK)
        err = tern_app_streams_open(tern_host_core_streams(host->core), now, peer, &offer, stream);
    host_leave(host, now);
    return err;
}

static tern_err stream_find(struct tern_host *host, tern_stream_handle handle,
                            struct tern_stream *stream)
{
    return tern_app_streams_find(tern_host_core_streams(host->core), handle, stream);
}

tern_err tern_stream_write(struct tern_host *host, tern_stream_handle handle, const void *data,
                           size_t size, size_t *accepted)
{
    struct tern_stream stream;
    *accepted = 0;
    tern_time now = host_enter(host);
    tern_err err = stream_find(host, handle, &stream);
    if (err == TERN_OK)
        err = tern_swarm_write(tern_host_core_swarm(host->core), stream, tern_view_of(data, size),
                               accepted);
    host_leave(host, now);
    return err;
}

tern_err tern_stream_read(struct tern_host *host, tern_stream_handle handle, void *data,
                          size_t size, size_t *got)
{
    struct tern_stream stream;
    uint8_t *out = data;
    *got = 0;
    tern_time now = host_enter(host);
    struct tern_swarm *swarm = tern_host_core_swarm(host->core);
    tern_err err = stream_find(host, handle, &stream);
    while (err == TERN_OK && *got < size) {
        struct tern_slice bytes;
        err = tern_swarm_read(swarm, stream, &bytes);
        if (err != TERN_OK)
            break;
        size_t take = tern_min_size(bytes.view.size, size - *got);
        memcpy(out + *got, bytes.view.data, take);
        *got += take;
        tern_swarm_consume(swarm, stream, take);
    }
    if (*got > 0)
        err = TERN_OK; /* what stopped us is told by the next call */
    host_leave(host, now);
    return err;
}

tern_err tern_stream_close_write(struct tern_host *host, tern_stream_handle handle)
{
    struct tern_stream stream;
    tern_time now = host_enter(host);
    tern_err err = stream_find(host, handle, &stream);
    if (err == TERN_OK)
        err = tern_swarm_close_write(tern_host_core_swarm(host->core), stream);
    host_leave(host, now);
    return err;
}

void tern_stream_reset(struct tern_host *host, tern_stream_handle handle)
{
    tern_time now = host_enter(host);
    tern_app_streams_reset(tern_host_core_streams(host->core), handle, TERN_STREAM_CODE_NONE);
    host_leave(host, now);
}
