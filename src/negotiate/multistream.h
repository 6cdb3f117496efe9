/*
 * multistream-select 1.0: two ends agree on the protocol of a stream, or of a whole connection
 * (first
 * "/noise", then "/yamux/1.0.0"). Two pure cores: the dialer proposes, the listener answers.
 *
 *     each message:  varint length (the newline counts) ‖ text ‖ '\n'
 *     both ends say "/multistream/1.0.0" first; a proposal is answered by its echo or by "na"
 *
 *     dialer                                          listener
 *     PROPOSING ─ echo ──────────────► NEGOTIATED     PROPOSALS ─ accept ────────────► NEGOTIATED
 *         │ ▲ └ na, names left: the next one              │ ▲ └ PROPOSAL waits: accept or refuse
 *         │ └───────┘                                     │ └───── refuse, "na"
 *         ├─ na, none left: NO_PROTOCOL ──► FAILED        │
 *         └─ anything else: fault ────────► FAILED        └─ anything else: fault ───► FAILED
 *
 * Round trips. The dialer writes header and proposal together, and the listener header and answer.
 * With one name the dialer is lazy if asked: the owner sends the protocol's first bytes right
 * behind the proposal, in the same flight, without waiting for the answer. The answer is still read
 * and checked. A listener's first bytes may follow its echo at once; so, for a connection:
 *
 *     dialer   → header "/noise" ‖ Noise message 1                    (lazy)
 *     listener → header "/noise" ‖ Noise message 2
 *     dialer   → Noise message 3 ‖ [ header "/yamux/1.0.0" ] ‖ yamux frames of streams, each with
 *                header "/some/protocol" and its first bytes         (lazy three times over)
 *
 * Bytes behind the negotiated message belong to the next protocol: recv leaves them (used tells).
 *
 * When a lazy dialer's only proposal is refused, its application bytes arrive at the listener as if
 * they were messages. That is the ordinary failure of such a negotiation (err NO_PROTOCOL, a fault
 * of weight 0) and says nothing bad about the peer: reset the stream, keep the connection.
 *
 * Both ends dialling (TCP simultaneous open): the extension "/libp2p/simultaneous-connect" is
 * withdrawn (libp2p/specs issue 573) and roles come from DCUtR; a listener refuses it as any
 * unknown name. A dialer that is answered by a proposal fails with MULTISTREAM_BOTH_DIAL. If both
 * propose the same name the two cannot tell here, each sees an echo; the handshake that follows
 * finds out (NOISE_BOTH_INITIATE).
 *
 * Owners' rules. A half-closed remote is no failure: the listener's answer is written if it can be,
 * and whoever owns the stream ignores that it cannot. Before a lazily negotiated stream is closed
 * for writing, send must have been drained, or a read-only use of it would never tell the remote
 * its protocol. When the remote's side ends before the answer, the owner fails the negotiation
 * itself.
 *
 * Limits: a message is at most TERN_MULTISTREAM_SIZE_MAX bytes; at most
 * TERN_MULTISTREAM_PROPOSALS_MAX proposals per negotiation. Memory: the dialer none beyond its
 * struct; the listener one block of the proposal's size, from when its length is known until the
 * echo is written. "ls" is answered "na".
 *
 * Not thread safe. Specification: multiformats/multistream-select, libp2p/specs
 * connections/README.md.
 */
#ifndef TERN_NEGOTIATE_MULTISTREAM_H
#define TERN_NEGOTIATE_MULTISTREAM_H

#include "base/error.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/types.h"
#include "base/writer.h"

#define TERN_MULTISTREAM_HEADER "/multistream/1.0.0"

enum {
    TERN_MULTISTREAM_SIZE_MAX = 1024,      /* of a message, its newline included */
    TERN_MULTISTREAM_NAME_SIZE_MAX = 1023, /* of a protocol's name */
    TERN_MULTISTREAM_PROPOSALS_MAX = 64,
    TERN_MULTISTREAM_NAMES_MAX = 64,  /* a dialer's names */
    TERN_MULTISTREAM_WIRE_MAX = 1026, /* a whole message with its length */
};

enum tern_multistream_state {
    TERN_MULTISTREAM_PENDING,    /* dialer: not answered yet; listener: no proposal agreed yet */
    TERN_MULTISTREAM_NEGOTIATED, /* agreed; what is left to send must still be sent */
    TERN_MULTISTREAM_FAILED,     /* see err and fault; what is left to send may still be sent */
};

/* Where recv is inside one incoming message. */
struct tern_multistream_message {
    uint16_t length; /* of text and newline; known when length_done */
    uint16_t offset; /* bytes of it that came */
    uint8_t varint_bytes;
    bool length_done;
};

/* ---- the dialer ---- */

struct tern_multistream_dialer_options {
    const struct tern_view *names; /* in order of preference; borrowed, with what they point to,
                                      until NEGOTIATED or FAILED and send is drained */
    size_t names_count;            /* 1 .. TERN_MULTISTREAM_NAMES_MAX */
    bool lazy;                     /* effective only with one name; see above */
};

struct tern_multistream_dialer {
    const struct tern_view *names;
    struct tern_multistream_message in;
    uint8_t names_count;
    uint8_t index; /* the name that is proposed now */
    bool lazy;
    bool header_received;
    bool header_sent;
    bool proposal_sent;
    bool maybe_echo; /* the message so far equals the expected text … */
    bool maybe_na;   /* … or "na" */
    bool starts_with_slash;
    enum tern_multistream_state state;
    tern_err err;
    tern_fault fault;
};

/* tern_multistream_dialer_init copies the options. Each name is 1 .. NAME_SIZE_MAX bytes (checked).
 * There is no fini: the dialer owns nothing. */
void tern_multistream_dialer_init(struct tern_multistream_dialer *dialer,
                                  const struct tern_multistream_dialer_options *options);

/* tern_multistream_dialer_recv takes the listener's bytes while PENDING; *used says how many: all,
 * or up to the end of the message that decided, or of a refusal that makes it propose the next
 * name: call send, then give the rest. It always takes at least one. An answer to what has not been
 * sent is a fault. The first error sticks. TERN_ERR_NO_PROTOCOL: all names were refused, no fault;
 * TERN_ERR_PROTOCOL: see fault. */
TERN_NODISCARD tern_err tern_multistream_dialer_recv(struct tern_multistream_dialer *dialer,
                                                     struct tern_view in, size_t *used);

/* tern_multistream_dialer_send appends what there is to say; whole messages only, so out must have
 * room for TERN_MULTISTREAM_WIRE_MAX now and then. */
void tern_multistream_dialer_send(struct tern_multistream_dialer *dialer, struct tern_writer *out);

bool tern_multistream_dialer_want_send(const struct tern_multistream_dialer *dialer);

/* tern_multistream_dialer_can_write: may the protocol's own bytes follow now? So when NEGOTIATED,
 * and for a lazy dialer as soon as its proposal is sent, while it has not FAILED. */
bool tern_multistream_dialer_can_write(const struct tern_multistream_dialer *dialer);

/* tern_multistream_dialer_index is which of the names was agreed. Only when NEGOTIATED. */
size_t tern_multistream_dialer_index(const struct tern_multistream_dialer *dialer);

/* ---- the listener ---- */

struct tern_multistream_listener {
    struct tern_mem *mem;
    uint8_t *text; /* the proposal, as it comes and until its echo is sent: text_size bytes */
    uint16_t text_size;
    struct tern_multistream_message in;
    uint8_t refusals_to_send;
    uint8_t proposals_count;
    bool header_received;
    bool header_sent;
    bool proposal_waits;
    bool echo_to_send;
    enum tern_multistream_state state;
    tern_err err;
    tern_fault fault;
};

void tern_multistream_listener_init(struct tern_multistream_listener *listener,
                                    struct tern_mem *mem);

/* tern_multistream_listener_fini frees the proposal, if there is one. */
void tern_multistream_listener_fini(struct tern_multistream_listener *listener);

/* tern_multistream_listener_recv takes the dialer's bytes, up to the end of the first whole
 * proposal; nothing while a proposal waits for its answer. The first error sticks:
 * TERN_ERR_PROTOCOL (see fault), TERN_ERR_NO_PROTOCOL (what followed a refusal is no proposal),
 * TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_multistream_listener_recv(struct tern_multistream_listener *listener,
                                                       struct tern_view in, size_t *used);

/* tern_multistream_listener_proposal views the proposal that waits for an answer (until the
 * answer); false when there is none. Any match is the owner's: exact, by prefix, by what the peer
 * may do. */
bool tern_multistream_listener_proposal(const struct tern_multistream_listener *listener,
                                        struct tern_view *name);

/* tern_multistream_listener_accept agrees to the proposal that waits. The state is NEGOTIATED at
 * once; the protocol's own bytes may follow as soon as send is drained. */
void tern_multistream_listener_accept(struct tern_multistream_listener *listener);

/* tern_multistream_listener_refuse answers "na"; recv then goes on to the next proposal. */
void tern_multistream_listener_refuse(struct tern_multistream_listener *listener);

/* tern_multistream_listener_send appends what there is to say; whole messages only, as the
 * dialer's. */
void tern_multistream_listener_send(struct tern_multistream_listener *listener,
                                    struct tern_writer *out);

bool tern_multistream_listener_want_send(const struct tern_multistream_listener *listener);

#endif
