/*
 * For tests: one end of a WebSocket whose remote is the test, byte by byte. What the end tells and
 * says is written down as words: "open", "data(text)" or "data(5000 bytes)" (of a pattern), "end",
 * "pong(text)", "close(1000)".
 */
#ifndef TERN_WEBSOCKET_WEBSOCKET_LONE_H
#define TERN_WEBSOCKET_WEBSOCKET_LONE_H

#include "websocket/websocket.h"

enum { LONE_TEXT_MAX = 4096, LONE_SHORT_MAX = 40 };

struct lone {
    struct tern_mem mem;
    struct tern_random random;
    enum tern_role role;
    struct tern_channel channel;
    bool opened;
    bool failed;
    tern_err err;
    char log[LONE_TEXT_MAX];
    size_t log_size;
    char said[LONE_TEXT_MAX]; /* our head, as it was sent */
    size_t said_size;
    uint8_t shorts[LONE_SHORT_MAX]; /* the data of the word that is being made */
    uint64_t data_size;
    bool patterned; /* it is the pattern */
};

/* lone_init makes an end; a client's host is "example.org". */
void lone_init(struct lone *lone, enum tern_role role);
void lone_fini(struct lone *lone);

/* lone_open lets the opening happen. */
void lone_open(struct lone *lone);

/* lone_feed gives bytes in pieces of at most so many (0: all at once), and writes down what comes
 * of each. */
void lone_feed(struct lone *lone, const void *bytes, size_t size, size_t piece);

/* lone_pull lets the end say what it has to say. */
void lone_pull(struct lone *lone);

tern_fault lone_fault(const struct lone *lone);

/* lone_log is what was written down, with the data that has come last. */
const char *lone_log(struct lone *lone);

/* lone_frame writes a frame as the remote would send it, masked if it is the client; returns its
 * size. first is its first byte. Without payload the pattern is sent. */
size_t lone_frame(const struct lone *lone, uint8_t *to, uint8_t first, const void *payload,
                  size_t size);

uint8_t lone_pattern(uint64_t place);

#endif
