/*
 * Multiaddrs: self-describing addresses, "/ip4/192.0.2.7/tcp/4001/p2p/12D3Koo…", in binary a row of
 * components: varint code, value (of the protocol's fixed size, or after its varint length).
 *
 * Binary is the working form. Everything that reads takes a view, so an address inside a received
 * message is used in place. struct tern_multiaddr holds one by value; whoever keeps many takes
 * tern_mem_dup of the views instead, because most are a fifth of its size.
 *
 * Bytes from a peer go through tern_multiaddr_check first; the other functions expect a checked
 * view. They stay safe with any bytes: an unchecked view at worst ends early.
 *
 * Limits: a view has at most TERN_MULTIADDR_VIEW_SIZE_MAX bytes and TERN_MULTIADDR_PARTS_MAX
 * components, a struct TERN_MULTIADDR_SIZE_MAX bytes: any address of IP or a name of usual length,
 * with certificate hashes and through a relay (190 bytes) fits; garlic64 (400) does not. Names
 * (dns, sni) have at most 253 bytes, without '/', spaces and control characters. A protocol that is
 * not in multiaddr.def is refused: without its value's size the rest cannot be read.
 *
 * Text: "/ipfs/" is read as "/p2p/"; trailing slashes are ignored; peer ids in both forms. Text
 * that was formatted from a checked view parses back to the same bytes. Pure, thread safe.
 * Specification: github.com/multiformats/multiaddr, libp2p addressing/README.md.
 */
#ifndef TERN_WIRE_MULTIADDR_H
#define TERN_WIRE_MULTIADDR_H

#include "base/error.h"
#include "base/types.h"
#include "base/writer.h"
#include "wire/ip.h"
#include "wire/peer_id.h"

enum tern_multiaddr_code {
#define X(name, code, text, value) TERN_MULTIADDR_##name = code,
#include "wire/multiaddr.def"
#undef X
};

enum {
    TERN_MULTIADDR_SIZE_MAX = 254,
    TERN_MULTIADDR_VIEW_SIZE_MAX = 1024,
    TERN_MULTIADDR_PARTS_MAX = 24,
    TERN_MULTIADDR_NAME_SIZE_MAX = 253,
    /* Text of an address that fits the struct, with a terminator: escaping may triple a value, and
     * the longest name has 20 characters. Of the largest view: three times that. */
    TERN_MULTIADDR_TEXT_SIZE_MAX = 1280,
};

struct tern_multiaddr {
    uint16_t size; /* 0: empty */
    uint8_t bytes[TERN_MULTIADDR_SIZE_MAX];
};

static inline struct tern_view tern_multiaddr_view(const struct tern_multiaddr *addr)
{
    return tern_view_of(addr->bytes, addr->size);
}

/* One component. Views are borrowed from the address. */
struct tern_multiaddr_part {
    uint32_t code;          /* an enum tern_multiaddr_code */
    const char *name;       /* the protocol's, such as "ip4"; constant */
    struct tern_view value; /* without length prefix; empty if the protocol has none */
    struct tern_view whole; /* code, length and value */
};

struct tern_multiaddr_iter {
    struct tern_view left;
    tern_err err; /* TERN_OK, or why it stopped before the end */
};

static inline struct tern_multiaddr_iter tern_multiaddr_iter_of(struct tern_view addr)
{
    return (struct tern_multiaddr_iter){.left = addr};
}

/* tern_multiaddr_next gives the next component; false at the end or at bytes that cannot be read.
 */
bool tern_multiaddr_next(struct tern_multiaddr_iter *it, struct tern_multiaddr_part *part);

/* tern_multiaddr_check validates binary: every component's size and value, and the limits above.
 * TERN_ERR_MALFORMED (also when empty), TERN_ERR_NOT_MINIMAL, TERN_ERR_TOO_LARGE,
 * TERN_ERR_UNSUPPORTED (an unknown protocol). */
TERN_NODISCARD tern_err tern_multiaddr_check(struct tern_view addr);

/* tern_multiaddr_decode checks and copies. Also TERN_ERR_TOO_LARGE when it does not fit the struct.
 * *addr is empty on error. */
TERN_NODISCARD tern_err tern_multiaddr_decode(struct tern_view bytes, struct tern_multiaddr *addr);

/* What is wrong with a text, and where: position counts bytes from its start. */
enum tern_multiaddr_reason {
    TERN_MULTIADDR_FINE,
    TERN_MULTIADDR_EMPTY,
    TERN_MULTIADDR_NO_SLASH,         /* does not begin with '/' */
    TERN_MULTIADDR_UNKNOWN_PROTOCOL, /* the name at position */
    TERN_MULTIADDR_MISSING_VALUE,    /* the text ends where a value should start */
    TERN_MULTIADDR_BAD_IP4,
    TERN_MULTIADDR_BAD_IP6,
    TERN_MULTIADDR_BAD_ZONE,
    TERN_MULTIADDR_BAD_CIDR,
    TERN_MULTIADDR_BAD_PORT,
    TERN_MULTIADDR_BAD_NAME, /* empty, too long, or with a space or control character */
    TERN_MULTIADDR_BAD_PEER_ID,
    TERN_MULTIADDR_BAD_CERTHASH,
    TERN_MULTIADDR_BAD_ONION,
    TERN_MULTIADDR_BAD_GARLIC,
    TERN_MULTIADDR_BAD_PATH,
    TERN_MULTIADDR_BAD_NUMBER,
    TERN_MULTIADDR_TOO_LONG, /* too many bytes or components */
    TERN_MULTIADDR_REASON_COUNT
};

struct tern_multiaddr_fault {
    enum tern_multiaddr_reason reason;
    size_t position;
};

/* tern_multiaddr_reason_text is a short sentence in plain words. */
const char *tern_multiaddr_reason_text(enum tern_multiaddr_reason reason);

/* tern_multiaddr_parse reads text. TERN_ERR_MALFORMED, TERN_ERR_TOO_LARGE or TERN_ERR_UNSUPPORTED
 * (an unknown protocol), with the details in *fault (may be NULL). *addr is empty on error. */
TERN_NODISCARD tern_err tern_multiaddr_parse(struct tern_view text, struct tern_multiaddr *addr,
                                             struct tern_multiaddr_fault *fault);

/* tern_multiaddr_parse_into does the same for an address of any legal size: it appends to a writer.
 * On error the writer holds a part of the address. */
TERN_NODISCARD tern_err tern_multiaddr_parse_into(struct tern_view text, struct tern_writer *bytes,
                                                  struct tern_multiaddr_fault *fault);

/* tern_multiaddr_format appends the text of a checked address. An error of tern_multiaddr_check;
 * TERN_ERR_TOO_LARGE: the writer has no room. */
TERN_NODISCARD tern_err tern_multiaddr_format(struct tern_view addr, struct tern_writer *text);

/* Building: each appends one component. TERN_ERR_TOO_LARGE: no room, nothing was added. */
TERN_NODISCARD tern_err tern_multiaddr_append(struct tern_multiaddr *addr,
                                              enum tern_multiaddr_code code,
                                              struct tern_view value); /* checked: also MALFORMED */
TERN_NODISCARD tern_err tern_multiaddr_append_ip(struct tern_multiaddr *addr,
                                                 const struct tern_ip *ip);
TERN_NODISCARD tern_err tern_multiaddr_append_port(struct tern_multiaddr *addr,
                                                   enum tern_multiaddr_code code, uint16_t port);
TERN_NODISCARD tern_err tern_multiaddr_append_peer_id(struct tern_multiaddr *addr,
                                                      const struct tern_peer_id *id);

/* tern_multiaddr_encapsulate appends a whole checked address. TERN_ERR_TOO_LARGE as above. */
TERN_NODISCARD tern_err tern_multiaddr_encapsulate(struct tern_multiaddr *addr,
                                                   struct tern_view inner);

/* tern_multiaddr_before views what stands before the first component of that code (the whole
 * address if there is none); tern_multiaddr_after what stands behind it (empty if there is none).
 * With P2P_CIRCUIT: the relay's address, and what lies beyond the relay. */
struct tern_view tern_multiaddr_before(struct tern_view addr, enum tern_multiaddr_code code);
struct tern_view tern_multiaddr_after(struct tern_view addr, enum tern_multiaddr_code code);

/* tern_multiaddr_decapsulate views what stands before the last component of that code. */
struct tern_view tern_multiaddr_decapsulate(struct tern_view addr, enum tern_multiaddr_code code);

/* tern_multiaddr_find gives the first component of that code (part may be NULL). */
bool tern_multiaddr_find(struct tern_view addr, enum tern_multiaddr_code code,
                         struct tern_multiaddr_part *part);

/* tern_multiaddr_peer_id reads the peer the address leads to: the one of a trailing /p2p component.
 * False: the address does not end in one. */
bool tern_multiaddr_peer_id(struct tern_view addr, struct tern_peer_id *id);

/* tern_multiaddr_without_peer_id views the address without its trailing /p2p component, if any. */
struct tern_view tern_multiaddr_without_peer_id(struct tern_view addr);

/* The IP and port that an address starts with: /ip4|ip6[zone]/…/tcp|udp|… */
struct tern_multiaddr_socket {
    struct tern_ip ip;
    struct tern_view zone; /* of ip6zone; empty: none */
    uint32_t transport;    /* TERN_MULTIADDR_TCP, UDP, …; 0: the address has no port */
    uint16_t port;
    struct tern_view rest; /* what follows */
};

/* tern_multiaddr_socket reads them. False: it starts with something else (a name, /p2p, /memory …).
 */
bool tern_multiaddr_socket(struct tern_view addr, struct tern_multiaddr_socket *out);

#endif
