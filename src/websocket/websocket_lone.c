#include "websocket/websocket_lone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka.h needs those first. */
#include <cmocka.h>

#include "base/check.h"
#include "websocket/websocket_internal.h"

uint8_t lone_pattern(uint64_t place)
{
    return (uint8_t)(place * 7 + (place >> 8) * 31 + 1);
}

void lone_init(struct lone *lone, enum tern_role role)
{
    memset(lone, 0, sizeof *lone);
    lone->role = role;
    tern_mem_init(&lone->mem, 0);
    tern_random_init_u64(&lone->random, 7);
    const struct tern_websocket_options options = {.role = role,
                                                   .mem = &lone->mem,
                                                   .random = &lone->random,
                                                   .host = tern_view_str("example.org")};
    tern_err err = tern_websocket_new(&options, &lone->channel);
    assert_int_equal(err, TERN_OK);
}

void lone_fini(struct lone *lone)
{
    lone->channel.ops->fini(lone->channel.self);
    assert_int_equal(lone->mem.used, 0);
    tern_mem_fini(&lone->mem);
}

TERN_PRINTF(2, 3) static void lone_word(struct lone *lone, const char *format, ...)
{
    va_list args;
    size_t left = sizeof lone->log - lone->log_size;
    va_start(args, format);
    int size = vsnprintf(lone->log + lone->log_size, left, format, args);
    va_end(args);
    TERN_CHECK(size >= 0 && (size_t)size < left);
    lone->log_size += (size_t)size;
}

/* Data that comes piece by piece is one word. */
static void lone_end_data(struct lone *lone)
{
    if (lone->data_size == 0)
        return;
    if (lone->data_size <= LONE_SHORT_MAX && !lone->patterned)
        lone_word(lone, "data(%.*s) ", (int)lone->data_size, (const char *)lone->shorts);
    else
        lone_word(lone, "data(%llu %s) ", (unsigned long long)lone->data_size,
                  lone->patterned ? "bytes" : "wrong bytes");
    lone->data_size = 0;
}

static void lone_data(struct lone *lone, struct tern_view bytes)
{
    assert_true(bytes.size > 0);
    if (lone->data_size == 0)
        lone->patterned = true;
    for (size_t i = 0; i < bytes.size; i++) {
        uint64_t place = lone->data_size + i;
        if (place < LONE_SHORT_MAX)
            lone->shorts[place] = bytes.data[i];
        lone->patterned = lone->patterned && bytes.data[i] == lone_pattern(place);
    }
    lone->data_size += bytes.size;
}

const char *lone_log(struct lone *lone)
{
    lone_end_data(lone);
    return lone->log;
}

tern_fault lone_fault(const struct lone *lone)
{
    return lone->channel.ops->fault(lone->channel.self);
}

/* --- what the end says --- */

/* Takes one frame of what was said apart; returns its size. */
static size_t lone_said_frame(struct lone *lone, struct tern_view bytes)
{
    struct tern_websocket_header header;
    assert_true(bytes.size >= 2);
    assert_int_equal(tern_websocket_header_check(bytes.data, lone->role == TERN_ROLE_INITIATOR),
                     TERN_FAULT_NONE);
    size_t head = tern_websocket_header_size(bytes.data);
    assert_true(bytes.size >= head && tern_websocket_header_decode(bytes.data, &header));
    assert_true(header.fin && header.size <= bytes.size - head);
    uint8_t payload[TERN_WEBSOCKET_CONTROL_MAX];
    assert_true(header.size <= sizeof payload);
    memcpy(payload, bytes.data + head, header.size);
    tern_websocket_mask((struct tern_span){payload, header.size}, header.key, 0);
    lone_end_data(lone);
    if (header.opcode == TERN_WEBSOCKET_PONG && header.size <= LONE_SHORT_MAX)
        lone_word(lone, "pong(%.*s) ", (int)header.size, (const char *)payload);
    else if (header.opcode == TERN_WEBSOCKET_PONG)
        lone_word(lone, "pong(%zu bytes) ", (size_t)header.size);
    else if (header.opcode == TERN_WEBSOCKET_CLOSE && header.size == 2)
        lone_word(lone, "close(%u) ", (unsigned)(payload[0] << 8 | payload[1]));
    else if (header.opcode == TERN_WEBSOCKET_CLOSE && header.size == 0)
        lone_word(lone, "close() ");
    else
        fail_msg("opcode %u is said with %zu bytes", header.opcode, (size_t)header.size);
    return head + header.size;
}

static bool lone_says_head(const struct lone *lone)
{
    const struct tern_websocket *ws = lone->channel.self;
    return ws->out != NULL;
}

void lone_pull(struct lone *lone)
{
    const struct tern_channel_ops *ops = lone->channel.ops;
    while (ops->control_pending(lone->channel.self)) {
        uint8_t bytes[1024];
        bool head = lone_says_head(lone);
        struct tern_writer out = tern_writer_of(bytes, head ? 100 : sizeof bytes);
        ops->control(lone->channel.self, 0, &out);
        assert_true(tern_writer_ok(&out) && out.size > 0);
        if (head) {
            /* What follows the head in the same call would be a frame: none is due then. */
            assert_true(lone->said_size + out.size < sizeof lone->said);
            memcpy(lone->said + lone->said_size, bytes, out.size);
            lone->said_size += out.size;
            continue;
        }
        for (size_t done = 0; done < out.size;)
            done += lone_said_frame(lone, tern_view_of(bytes + done, out.size - done));
    }
}

/* --- what it hears --- */

static void lone_drain(struct lone *lone)
{
    struct tern_channel_event event;
    while (lone->channel.ops->next(lone->channel.self, &event)) {
        if (event.kind == TERN_CHANNEL_DATA) {
            assert_true(lone->opened);
            lone_data(lone, event.data.view);
            continue;
        }
        lone_end_data(lone);
        assert_int_not_equal(event.kind, TERN_CHANNEL_JOB);
        if (event.kind == TERN_CHANNEL_HANDSHAKE_DONE) {
            assert_false(lone->opened);
            lone->opened = true;
            lone_word(lone, "open ");
        } else {
            lone_word(lone, "end ");
        }
    }
}

/* One recv; returns how many bytes it took. */
static size_t lone_give(struct lone *lone, struct tern_view bytes)
{
    size_t used = 0;
    struct tern_chunk *chunk = tern_chunk_copy(&lone->mem, bytes);
    TERN_CHECK(chunk != NULL);
    struct tern_slice in = {.chunk = chunk, .view = tern_chunk_view(chunk)};
    lone->err = lone->channel.ops->recv(lone->channel.self, 0, in, &used);
    assert_true(used <= bytes.size && (used > 0 || lone->err != TERN_OK));
    lone_drain(lone);
    tern_chunk_unref(chunk);
    if (lone->err != TERN_OK && !lone->failed) {
        lone->failed = true;
        lone_end_data(lone);
    }
    return used;
}

void lone_feed(struct lone *lone, const void *bytes, size_t size, size_t piece)
{
    struct tern_view left = tern_view_of(bytes, size);
    while (left.size > 0 && !lone->failed) {
        size_t part = piece == 0 ? left.size : tern_min_size(piece, left.size);
        size_t used = lone_give(lone, tern_view_part(left, 0, part));
        lone_pull(lone);
        left = tern_view_part(left, used, left.size - used);
    }
}

/* --- the remote --- */

void lone_open(struct lone *lone)
{
    char head[512];
    const struct tern_websocket *ws = lone->channel.self;
    lone_pull(lone);
    int size =
        lone->role == TERN_ROLE_RESPONDER
            ? snprintf(head, sizeof head,
                       "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Sec-WebSocket-Version: 13\r\n\r\n")
            : snprintf(head, sizeof head,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Accept: %.*s\r\n\r\n",
                       (int)sizeof ws->accept, (const char *)ws->accept);
    lone_feed(lone, head, (size_t)size, 0);
    assert_true(lone->opened);
    assert_string_equal(lone->log, "open ");
    lone->log_size = 0;
    lone->log[0] = '\0';
}

size_t lone_frame(const struct lone *lone, uint8_t *to, uint8_t first, const void *payload,
                  size_t size)
{
    static const uint8_t key[] = {0x12, 0x34, 0x56, 0x78};
    uint8_t mask = lone->role == TERN_ROLE_RESPONDER ? 0x80 : 0;
    size_t at = 0;
    to[at++] = first;
    if (size < 126) {
        to[at++] = (uint8_t)(mask | size);
    } else {
        size_t length_bytes = size <= UINT16_MAX ? 2 : 8;
        to[at++] = (uint8_t)(mask | (length_bytes == 2 ? 126 : 127));
        for (size_t i = length_bytes; i-- > 0;)
            to[at++] = (uint8_t)(size >> (8 * i));
    }
    if (mask != 0) {
        memcpy(to + at, key, sizeof key);
        at += sizeof key;
    }
    for (size_t i = 0; i < size; i++)
        to[at + i] = payload == NULL ? lone_pattern(i) : ((const uint8_t *)payload)[i];
    if (mask != 0)
        tern_websocket_mask((struct tern_span){to + at, size}, key, 0);
    return at + size;
}
