/*
 * The values of multiaddr components, by kind: how large, what is valid, and their text. For
 * multiaddr.c and multiaddr_text.c alone.
 */
#ifndef TERN_WIRE_MULTIADDR_VALUE_H
#define TERN_WIRE_MULTIADDR_VALUE_H

#include "wire/multiaddr.h"

enum tern_multiaddr_kind {
    TERN_MULTIADDR_KIND_NONE, /* no value */
    TERN_MULTIADDR_KIND_IP4,
    TERN_MULTIADDR_KIND_IP6,
    TERN_MULTIADDR_KIND_ZONE,
    TERN_MULTIADDR_KIND_CIDR,
    TERN_MULTIADDR_KIND_PORT,
    TERN_MULTIADDR_KIND_NAME,
    TERN_MULTIADDR_KIND_PATH, /* takes the rest of the text, slashes included; always last */
    TERN_MULTIADDR_KIND_PEER_ID,
    TERN_MULTIADDR_KIND_ONION,
    TERN_MULTIADDR_KIND_ONION3,
    TERN_MULTIADDR_KIND_GARLIC64,
    TERN_MULTIADDR_KIND_GARLIC32,
    TERN_MULTIADDR_KIND_CERTHASH,
    TERN_MULTIADDR_KIND_HTTP_PATH,
    TERN_MULTIADDR_KIND_NUMBER,
    TERN_MULTIADDR_KIND_COUNT
};

enum { TERN_MULTIADDR_SIZE_VARIES = UINT16_MAX };

struct tern_multiaddr_codec {
    uint16_t size;                     /* of the value in bytes, or SIZE_VARIES: a varint says it */
    enum tern_multiaddr_reason reason; /* what a bad value is reported as */
    /* check: is this value (of the right size) valid? NULL: every one is. */
    bool (*check)(struct tern_view value);
    /* parse appends the value of a text, not checked yet; false: the text is wrong, or no room. */
    bool (*parse)(struct tern_view text, struct tern_writer *value);
    /* format appends the text of a checked value. */
    void (*format)(struct tern_view value, struct tern_writer *text);
};

struct tern_multiaddr_protocol {
    uint32_t code;
    const char *name;
    enum tern_multiaddr_kind kind;
};

const struct tern_multiaddr_codec *tern_multiaddr_codec(enum tern_multiaddr_kind kind);

/* The protocol of a code or of a name ("ipfs" is p2p); NULL: unknown. */
const struct tern_multiaddr_protocol *tern_multiaddr_protocol_of_code(uint64_t code);
const struct tern_multiaddr_protocol *tern_multiaddr_protocol_of_name(struct tern_view name);

#endif
