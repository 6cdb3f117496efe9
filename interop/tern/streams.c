#include <stdlib.h>
#include <string.h>

#include "interop/tern/peer.h"

void noise_stream_init(struct noise_stream *noise, uint64_t seed)
{
    *noise = (struct noise_stream){.state = seed != 0 ? seed : UINT64_C(0x9e3779b97f4a7c15)};
}

static uint64_t noise_word(struct noise_stream *noise)
{
    noise->state ^= noise->state >> 12;
    noise->state ^= noise->state << 25;
    noise->state ^= noise->state >> 27;
    return noise->state * UINT64_C(0x2545f4914f6cdd1d);
}

void noise_stream_fill(struct noise_stream *noise, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (noise->word_left == 0) {
            uint64_t word = noise_word(noise);
            for (unsigned k = 0; k < 8; k++)
                noise->word[k] = (uint8_t)(word >> (8 * k));
            noise->word_left = 8;
        }
        out[i] = noise->word[8 - noise->word_left];
        noise->word_left--;
    }
}

static struct peer_stream *stream_add(struct peer *peer, enum peer_stream_kind kind,
                                      tern_stream_handle handle)
{
    struct peer_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        abort();
    stream->kind = kind;
    stream->handle = handle;
    stream->next = peer->streams;
    peer->streams = stream;
    return stream;
}

static void stream_remove(struct peer *peer, struct peer_stream *stream)
{
    struct peer_stream **at = &peer->streams;
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    free(stream);
}

static struct peer_stream *stream_find(struct peer *peer, tern_stream_handle handle)
{
    struct peer_stream *stream = peer->streams;
    while (stream != NULL && stream->handle != handle)
        stream = stream->next;
    return stream;
}

/* Writes what the buffer holds. True: it is empty. */
static bool stream_flush(struct peer *peer, struct peer_stream *s)
{
    while (s->written < s->filled) {
        size_t accepted;
        tern_err err = tern_stream_write(peer->host, s->handle, s->buffer + s->written,
                                         s->filled - s->written, &accepted);
        s->written += accepted;
        if (err != TERN_OK || accepted == 0)
            return false;
    }
    s->filled = 0;
    s->written = 0;
    return true;
}

static void stream_end_write(struct peer *peer, struct peer_stream *s)
{
    if (s->write_ended)
        return;
    s->write_ended = true;
    if (tern_stream_close_write(peer->host, s->handle) != TERN_OK)
        tern_stream_reset(peer->host, s->handle);
}

/* Sends back what came: one buffer at a time, so that a remote that does not read stops us reading.
 */
static void echo_serve(struct peer *peer, struct peer_stream *s)
{
    tern_err err = TERN_OK;
    while (err == TERN_OK && stream_flush(peer, s))
        err = tern_stream_read(peer->host, s->handle, s->buffer, sizeof s->buffer, &s->filled);
    if (err == TERN_ERR_END)
        stream_end_write(peer, s);
}

static void sink_serve(struct peer *peer, struct peer_stream *s)
{
    size_t got;
    tern_err err = TERN_OK;
    while (!s->read_ended && err == TERN_OK) {
        err = tern_stream_read(peer->host, s->handle, s->buffer, sizeof s->buffer, &got);
        s->received += got;
    }
    if (err != TERN_ERR_END)
        return;
    s->read_ended = true;
    for (unsigned i = 0; i < 8; i++)
        s->buffer[i] = (uint8_t)(s->received >> (8 * i));
    s->filled = 8;
    if (stream_flush(peer, s))
        stream_end_write(peer, s);
}

/* --- the asking side --- */

static void echo_send(struct peer *peer, struct peer_stream *s)
{
    while (!s->write_ended && stream_flush(peer, s)) {
        uint64_t left = s->size - s->sent;
        s->filled = left < sizeof s->buffer ? (size_t)left : sizeof s->buffer;
        if (s->filled == 0) {
            stream_end_write(peer, s);
            return;
        }
        noise_stream_fill(&s->noise, s->buffer, s->filled);
        tern_sha256_update(&s->hash_sent, tern_view_of(s->buffer, s->filled));
        s->sent += s->filled;
    }
}

static void echo_done(struct peer *peer, struct peer_stream *s)
{
    char sent[65];
    char received[65];
    hex_digest(&s->hash_sent, sent);
    hex_digest(&s->hash_received, received);
    peer_result(s->command,
                json_pack("{s:I,s:I,s:s,s:s,s:f}", "sent", (json_int_t)s->sent, "received",
                          (json_int_t)s->received, "sha256_sent", sent, "sha256_received", received,
                          "seconds", (double)(peer_now_ns() - s->started_ns) / 1e9));
    s->command = -1;
    (void)peer;
}

static void echo_receive(struct peer *peer, struct peer_stream *s)
{
    uint8_t bytes[PEER_BUFFER_SIZE];
    size_t got;
    tern_err err = TERN_OK;
    while (!s->read_ended && err == TERN_OK) {
        err = tern_stream_read(peer->host, s->handle, bytes, sizeof bytes, &got);
        tern_sha256_update(&s->hash_received, tern_view_of(bytes, got));
        s->received += got;
    }
    if (err != TERN_ERR_END)
        return;
    s->read_ended = true;
    echo_done(peer, s);
}

void peer_echo(struct peer *peer, long long command, const json_t *arguments)
{
    const char *id = json_string_value(json_object_get(arguments, "peer_id"));
    tern_stream_handle handle;
    tern_err err = tern_stream_open(peer->host, id == NULL ? "" : id, ECHO_PROTOCOL, &handle);
    if (err != TERN_OK) {
        peer_error(command, "echo", err);
        return;
    }
    struct peer_stream *s = stream_add(peer, PEER_STREAM_ECHO_CLIENT, handle);
    s->command = command;
    s->size = (uint64_t)json_integer_value(json_object_get(arguments, "size"));
    s->started_ns = peer_now_ns();
    noise_stream_init(&s->noise, (uint64_t)json_integer_value(json_object_get(arguments, "seed")));
    tern_sha256_init(&s->hash_sent);
    tern_sha256_init(&s->hash_received);
    echo_send(peer, s);
}

/* --- events --- */

void peer_stream_opened(struct peer *peer, const struct tern_event *event)
{
    bool sink = strcmp(event->text, SINK_PROTOCOL) == 0;
    stream_add(peer, sink ? PEER_STREAM_SINK : PEER_STREAM_ECHO_SERVER, event->stream);
}

static void stream_ended(struct peer *peer, struct peer_stream *s, tern_err err)
{
    if (s->kind == PEER_STREAM_ECHO_CLIENT && s->command >= 0)
        peer_error(s->command, "the echo stream ended", err == TERN_OK ? TERN_ERR_CLOSED : err);
    stream_remove(peer, s);
}

void peer_stream_event(struct peer *peer, const struct tern_event *event)
{
    struct peer_stream *s = stream_find(peer, event->stream);
    if (s == NULL)
        return;
    if (event->kind == TERN_EVENT_STREAM_ENDED) {
        stream_ended(peer, s, event->err);
        return;
    }
    switch (s->kind) {
    case PEER_STREAM_ECHO_SERVER:
        echo_serve(peer, s);
        break;
    case PEER_STREAM_SINK:
        sink_serve(peer, s);
        break;
    case PEER_STREAM_ECHO_CLIENT:
        echo_receive(peer, s);
        echo_send(peer, s);
        break;
    }
}
