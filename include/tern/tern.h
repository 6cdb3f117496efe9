/*
 * libtern: a libp2p peer in C.
 *
 * A host is one peer: an identity, connections, and services (ping, perf, identify, pub/sub,
 * requests, streams). Make one, tell it where to listen and whom to dial, and draw its events.
 *
 * Two ways to use it:
 *   threaded   tern_host_start() runs the host on a thread of its own; every function may be called
 *              from any thread, and tern_host_next_event() waits.
 *   embedded   no thread is made: poll tern_host_fd() in your own event loop, call
 * tern_host_process() when it is readable or tern_host_timeout_ms() has passed, then draw events
 * with timeout 0. Or call tern_host_next_event() with a timeout: it processes while it waits.
 *
 * Names: peers are text (base58btc, "12D3Koo…"), addresses are multiaddrs
 * ("/ip4/192.0.2.7/tcp/4001", with "/p2p/12D3Koo…" at the end where a peer is meant). All text is
 * NUL-terminated; bytes come with a size. Times are in milliseconds where a name ends in _ms and
 * nanoseconds where it ends in _ns.
 *
 * Memory: what you pass in is copied before the call returns. What an event points to belongs to
 * the host and is valid until the next call of tern_host_next_event. Handles are numbers; one that
 * has ended gives TERN_ERR_STALE, never a crash.
 *
 * A minimal program is examples/echo.c.
 */
#ifndef TERN_TERN_H
#define TERN_TERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tern/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TERN_VERSION "0.1.0"

/* tern_version is the version of the library that runs, as "0.1.0". */
TERN_API const char *tern_version(void);

#define TERN_PEER_TEXT_SIZE    64   /* of a peer id as text, its terminator included */
#define TERN_ADDRESS_TEXT_SIZE 1280 /* of any multiaddr as text, likewise */

/* --- hosts --- */

struct tern_host; /* opaque */

enum tern_key_kind {
    TERN_KEY_KIND_ED25519,
    TERN_KEY_KIND_SECP256K1,
    TERN_KEY_KIND_ECDSA,
    TERN_KEY_KIND_RSA
};

enum tern_profile_kind {
    TERN_PROFILE_KIND_METER,   /* a small device: 16 connections */
    TERN_PROFILE_KIND_DEFAULT, /* a program or gateway: 512 */
    TERN_PROFILE_KIND_SERVER,  /* 16,384 */
};

enum tern_signing { TERN_SIGNING_STRICT, TERN_SIGNING_NONE };

/* Whether others may measure how fast bytes go here and come back (/perf/1.0.0). It hands out bytes
 * to whoever asks: not for hosts that anybody can reach. */
enum tern_perf_serving {
    TERN_PERF_SERVING_NONE,
    TERN_PERF_SERVING_STANDARD, /* as the specification has it */
    TERN_PERF_SERVING_HEADER16, /* requests begin with two numbers, bytes that come and bytes
                                   wanted, as some programs of libp2p's unified-testing send them */
};

/* Fill in with tern_host_options_init, then change what you want. New members are added at the end;
 * size tells the library which of them you know. */
struct tern_host_options {
    size_t size;
    const char *key_file;        /* identity; made with mode 0600 when it is not there. NULL: a new
                                    identity        every time, of key_kind */
    enum tern_key_kind key_kind; /* of a key that is made */
    const char
        *store_path; /* a directory in which known peers are kept over restarts; NULL: not kept */
    enum tern_profile_kind profile;
    enum tern_signing pubsub_signing;
    const char *agent;   /* what identify tells others; NULL: "tern/" and the version */
    uint32_t peers_want; /* connect to known peers until there are so many; 0: only when told to */
    const uint8_t
        *private_key; /* an identity given as bytes (protobuf PrivateKey); wins over key_file */
    size_t private_key_size;
    /* The ways to connect: names separated by commas; NULL: all that protect what is sent.
     * Transports: tcp, ws, wss, quic-v1, webtransport, webrtc-direct; addresses of others are
     * neither dialled nor listened at. Secure channels (noise, tls, plaintext) and muxers (yamux,
     * mplex) are offered in the order that they are named in. Of these a library has what it was
     * built with. */
    const char *transports;
    const char *secure;
    const char *muxers;
    enum tern_perf_serving serve_perf;
    const uint8_t *psk; /* what is in the swarm.key file of a private network, not kept: only peers
                           with the same key are reached, over tcp and ws alone. NULL: the public
                           network */
    size_t psk_size;
    /* Secure WebSocket: PEM files. NULL: nothing is listened at, and the system's authorities are
     * trusted by dials. */
    const char *web_certificate_file; /* and what signed it */
    const char *web_key_file;
    const char *web_trust_file;
};

/* tern_host_options_init fills in the defaults of all members that the program knows. */
TERN_API void tern_host_options_init_sized(struct tern_host_options *options, size_t size);
static inline void tern_host_options_init(struct tern_host_options *options)
{
    tern_host_options_init_sized(options, sizeof *options);
}

/* tern_host_new makes a host. message, if not NULL, receives a sentence about what went wrong (at
 * most message_size bytes with terminator). TERN_ERR_MEMORY, TERN_ERR_BAD_KEY (the key file holds
 * none), TERN_ERR_IO (it, or a file of web_…, cannot be read or made), TERN_ERR_STORAGE and
 * TERN_ERR_EXISTS (the store), TERN_ERR_UNSUPPORTED (a transport, secure channel or muxer that is
 * not here; the message lists those that are), TERN_ERR_MALFORMED (psk is none), TERN_ERR_INVALID
 * (size, or a value out of range). */
TERN_API tern_err tern_host_new(const struct tern_host_options *options, struct tern_host **host,
                                char *message, size_t message_size);

/* tern_host_free ends all connections and frees everything; NULL is allowed. No other call may be
 * under way. */
TERN_API void tern_host_free(struct tern_host *host);

/* tern_host_start runs the host on a thread of its own. Once. TERN_ERR_MEMORY, TERN_ERR_EXISTS. */
TERN_API tern_err tern_host_start(struct tern_host *host);

/* Embedded use; see above. A timeout of -1 is for ever. */
TERN_API int tern_host_fd(const struct tern_host *host);
TERN_API int tern_host_timeout_ms(const struct tern_host *host);
TERN_API void tern_host_process(struct tern_host *host);

/* tern_host_peer_id is the host's own id; valid for the host's life. */
TERN_API const char *tern_host_peer_id(const struct tern_host *host);

/* tern_host_address copies the i-th address at which the host can be dialled, "/p2p/…" included, to
 * text (TERN_ADDRESS_TEXT_SIZE bytes are enough). TERN_ERR_NOT_FOUND past the last;
 * TERN_ERR_TOO_LARGE. */
TERN_API tern_err tern_host_address(struct tern_host *host, size_t i, char *text, size_t text_size);

/* --- connections --- */

/* tern_host_listen listens, as at "/ip4/0.0.0.0/tcp/4001"; port 0 takes a free one. A LISTENING or
 * LISTEN_FAILED event follows. TERN_ERR_INVALID: not a multiaddr; TERN_ERR_UNSUPPORTED: of a
 * transport we do not have; TERN_ERR_FULL. */
TERN_API tern_err tern_host_listen(struct tern_host *host, const char *address);

/* tern_host_dial connects; a DIALED or DIAL_FAILED event with the token follows. The address ends
 * in
 * "/p2p/…", or is "/p2p/…" alone for a peer whose addresses are known; without it whoever answers
 * is taken. token may be NULL. TERN_ERR_INVALID, UNSUPPORTED, NO_ADDRESS, GATED, RATE, SELF, FULL.
 */
TERN_API tern_err tern_host_dial(struct tern_host *host, const char *address, uint64_t *token);

/* One address that a dial tried, or would have. size is set by the caller; see tern_host_options.
 */
struct tern_dial_attempt_info {
    size_t size; /* sizeof (struct tern_dial_attempt_info) */
    char address[TERN_ADDRESS_TEXT_SIZE];
    char transport[24]; /* "tcp" … */
    tern_err err;       /* why it failed; TERN_OK: it did not, or is under way */
    /* Since the first address was tried; -1: that has not happened. */
    int64_t started_ns;
    int64_t linked_ns; /* the other end was there; then the connection is secured */
    int64_t ended_ns;
    char refusal[512]; /* which limit of ours was in the way, and how full it was, or what else of
                           ours; empty: nothing */
};

/* tern_host_dial_attempts tells of the i-th address that the dial of this token tried, in the order
 * in which they were, while it runs and afterwards for the last 16 dials. It may list no address:
 * that of a dial that found a connection, or failed before. TERN_ERR_NOT_FOUND past the last;
 * TERN_ERR_INVALID (size). */
TERN_API tern_err tern_host_dial_attempts(struct tern_host *host, uint64_t token, size_t i,
                                          struct tern_dial_attempt_info *info);

/* tern_host_bootstrap adds an address that is dialled now and whenever peers are too few. It ends
 * in
 * "/p2p/…". TERN_ERR_INVALID, TERN_ERR_FULL. */
TERN_API tern_err tern_host_bootstrap(struct tern_host *host, const char *address);

/* tern_host_disconnect ends all connections to a peer. TERN_ERR_NOT_FOUND: there is none. */
TERN_API tern_err tern_host_disconnect(struct tern_host *host, const char *peer);

/* tern_host_peer copies the id of the i-th connected peer. TERN_ERR_NOT_FOUND past the last. */
TERN_API tern_err tern_host_peer(struct tern_host *host, size_t i, char text[TERN_PEER_TEXT_SIZE]);

/* One connection. size is set by the caller; see tern_host_options. */
struct tern_host_connection_info {
    size_t size; /* sizeof (struct tern_host_connection_info) */
    char peer[TERN_PEER_TEXT_SIZE];
    char address[TERN_ADDRESS_TEXT_SIZE]; /* the remote's, without "/p2p/…" */
    /* How it is made: names as in tern_host_options. A transport that secures and multiplexes by
     * itself says "tls" (quic-v1), "tls+noise" (webtransport) or "dtls+noise" (webrtc-direct), and
     * its own name as the muxer. */
    char transport[24];
    char secure[24];
    char muxer[24];
    bool outbound; /* we dialled */
    uint64_t age_ns;
    uint64_t rtt_ns; /* 0: not measured yet */
    uint64_t bytes_in;
    uint64_t bytes_out;
    size_t streams_count;
};

/* tern_host_connection tells of the i-th connection; those to one peer follow each other, in the
 * order of tern_host_peer. TERN_ERR_NOT_FOUND past the last; TERN_ERR_INVALID (size). */
TERN_API tern_err tern_host_connection(struct tern_host *host, size_t i,
                                       struct tern_host_connection_info *info);

/* tern_host_ping measures a round trip; a PING event with the token follows. TERN_ERR_NOT_FOUND:
 * not connected; FULL. */
TERN_API tern_err tern_host_ping(struct tern_host *host, const char *peer, uint64_t *token);

/* --- perf: how fast do bytes go to a peer and come from it? --- */

struct tern_perf_options {
    size_t size; /* sizeof (struct tern_perf_options) */
    const char *peer;
    uint64_t upload_bytes;   /* sent first */
    uint64_t download_bytes; /* that the peer then sends */
    int timeout_ms;  /* it fails when no byte moves for so long. What waits to be sent moves unseen:
                        allow for a megabyte on the slowest link */
    int duration_ms; /* 0: all bytes; else the upload ends after so long at the latest, and the
                        download so long after its first byte */
    int progress_ms; /* a PERF_PROGRESS event each time so long has passed; 0: none */
    enum tern_perf_serving serving; /* what the peer serves; NONE is taken for STANDARD */
};

/* What was measured. Times are since the request; 0: that has not happened. The connection was
 * there before, so making it does not count. */
struct tern_perf_info {
    uint64_t uploaded_bytes;   /* given to the connection */
    uint64_t downloaded_bytes; /* that have come */
    uint64_t elapsed_ns;       /* until this event */
    uint64_t uploaded_ns;      /* the last byte of the upload was given to the connection */
    uint64_t answered_ns;      /* the first byte of the answer, or its end, has come: the peer has
                                  read all that was uploaded */
    uint64_t ended_ns;         /* the last byte of the answer, or its end, has come */
};

/* tern_host_perf measures with a connected peer that serves it; a PERF event with the token
 * follows. TERN_ERR_NOT_FOUND: not connected; INVALID (a size or time out of range; HEADER16 with a
 * duration and an upload, whose size it has to say first); FULL, MEMORY, SCOPE_STREAMS. */
TERN_API tern_err tern_host_perf(struct tern_host *host, const struct tern_perf_options *options,
                                 uint64_t *token);

/* What a peer told of itself by identify. */
struct tern_peer_info {
    char agent[136];
    char protocol_version[136];
    char observed_address[256]; /* where it sees us; empty: it did not say */
    size_t addresses_count;     /* see tern_host_peer_address */
    size_t protocols_count;     /* see tern_host_peer_protocol */
    bool signed_record;
};

/* tern_host_peer_info: TERN_ERR_NOT_FOUND: not connected; TERN_ERR_AGAIN: it has not said yet (an
 * IDENTIFIED event comes). */
TERN_API tern_err tern_host_peer_info(struct tern_host *host, const char *peer,
                                      struct tern_peer_info *info);
TERN_API tern_err tern_host_peer_address(struct tern_host *host, const char *peer, size_t i,
                                         char *text, size_t text_size);
TERN_API tern_err tern_host_peer_protocol(struct tern_host *host, const char *peer, size_t i,
                                          char *text, size_t text_size);

/* --- streams --- */

typedef uint64_t tern_stream_handle;

/* tern_host_handle takes inbound streams of a protocol, such as "/example/echo/1.0.0": each gives a
 * STREAM_OPENED event. TERN_ERR_EXISTS, TERN_ERR_FULL, TERN_ERR_INVALID. */
TERN_API tern_err tern_host_handle(struct tern_host *host, const char *protocol);

/* tern_host_allow_early declares of a protocol that is taken that a recording of a stream's first
 * bytes, sent again by somebody else, does no harm. Its streams may then be opened, and are served,
 * in the first flight of a connection over QUIC to a peer that was connected before: an answer
 * takes one round trip. TERN_ERR_NOT_FOUND: the protocol is not taken. */
TERN_API tern_err tern_host_allow_early(struct tern_host *host, const char *protocol);

/* tern_stream_open opens a stream to a connected peer; it may be written at once.
 * TERN_ERR_NOT_FOUND: not connected; SCOPE_STREAMS, FULL, MEMORY. Whether the peer speaks the
 * protocol shows in a STREAM_READY or STREAM_ENDED (NO_PROTOCOL) event. */
TERN_API tern_err tern_stream_open(struct tern_host *host, const char *peer, const char *protocol,
                                   tern_stream_handle *stream);

/* tern_stream_write copies bytes in; *accepted may be fewer than size: then a STREAM_WRITABLE event
 * follows when more can be taken. TERN_ERR_STALE, CLOSED, RESET. */
TERN_API tern_err tern_stream_write(struct tern_host *host, tern_stream_handle stream,
                                    const void *data, size_t size, size_t *accepted);

/* tern_stream_read copies what has come, at most size bytes, and lets the remote send as much
 * again. TERN_ERR_AGAIN: nothing now, a STREAM_READABLE event follows; TERN_ERR_END: the remote has
 * ended its side and all is read; TERN_ERR_STALE, RESET. */
TERN_API tern_err tern_stream_read(struct tern_host *host, tern_stream_handle stream, void *data,
                                   size_t size, size_t *got);

/* tern_stream_close_write ends our side behind what was written; tern_stream_reset ends both at
 * once. */
TERN_API tern_err tern_stream_close_write(struct tern_host *host, tern_stream_handle stream);
TERN_API void tern_stream_reset(struct tern_host *host, tern_stream_handle stream);

/* --- publish and subscribe (gossipsub) --- */

/* With TERN_SUBSCRIBE_VALIDATE a message is passed on to others only after tern_host_verdict. */
enum tern_subscribe_flags { TERN_SUBSCRIBE_VALIDATE = 1 };
enum tern_verdict { TERN_VERDICT_ACCEPT, TERN_VERDICT_IGNORE, TERN_VERDICT_REJECT };

/* TERN_ERR_EXISTS, TERN_ERR_FULL, TERN_ERR_TOO_LARGE (the topic's name). */
TERN_API tern_err tern_host_subscribe(struct tern_host *host, const char *topic, unsigned flags);
TERN_API void tern_host_unsubscribe(struct tern_host *host, const char *topic);

/* tern_host_publish sends to all who are subscribed; no subscription of ours is needed.
 * TERN_ERR_TOO_LARGE (about 1 MiB is the limit), FULL, EXISTS (unsigned, and the same bytes were
 * seen lately). */
TERN_API tern_err tern_host_publish(struct tern_host *host, const char *topic, const void *data,
                                    size_t size);
TERN_API void tern_host_verdict(struct tern_host *host, uint64_t message,
                                enum tern_verdict verdict);

/* tern_host_topic_peer copies the id of the i-th peer that is subscribed to the topic (mesh: that
 * is in our mesh). TERN_ERR_NOT_FOUND past the last. */
enum tern_topic_list { TERN_TOPIC_SUBSCRIBERS, TERN_TOPIC_MESH };
TERN_API tern_err tern_host_topic_peer(struct tern_host *host, const char *topic,
                                       enum tern_topic_list list, size_t i,
                                       char text[TERN_PEER_TEXT_SIZE]);

/* --- requests: one message, one answer --- */

/* tern_host_serve takes requests of a protocol: each gives a REQUEST event. As tern_host_handle. */
TERN_API tern_err tern_host_serve(struct tern_host *host, const char *protocol);

struct tern_request_options {
    size_t size; /* sizeof (struct tern_request_options) */
    const char *peer;
    const char *protocol;
    const void *data;
    size_t data_size;
    int timeout_ms;
};
/* tern_host_request asks; a RESPONSE event with the token follows. TERN_ERR_NOT_FOUND, TOO_LARGE,
 * FULL. */
TERN_API tern_err tern_host_request(struct tern_host *host,
                                    const struct tern_request_options *options, uint64_t *token);

/* tern_host_answer answers a REQUEST event. code 0 is fine; another goes to the asker with the
 * reason (may be NULL). A request whose asker has gone is ignored. */
struct tern_answer_options {
    size_t size; /* sizeof (struct tern_answer_options) */
    uint32_t code;
    const char *reason;
    const void *data;
    size_t data_size;
};
TERN_API void tern_host_answer(struct tern_host *host, uint64_t request,
                               const struct tern_answer_options *options);

/* --- events --- */

enum tern_event_kind {
    TERN_EVENT_NONE,
    TERN_EVENT_PEER_CONNECTED,    /* peer, outbound, text: the remote's address; transport, secure,
                                     muxer */
    TERN_EVENT_PEER_DISCONNECTED, /* peer */
    TERN_EVENT_LISTENING,         /* text: the address, with its port */
    TERN_EVENT_LISTEN_FAILED,     /* text, err */
    TERN_EVENT_DIALED,            /* token, peer */
    TERN_EVENT_DIAL_FAILED,       /* token, err */
    TERN_EVENT_IDENTIFIED,        /* peer, err; see tern_host_peer_info */
    TERN_EVENT_PING,              /* token, peer, err, rtt_ns */
    TERN_EVENT_STREAM_OPENED,     /* stream, peer, text: the protocol */
    TERN_EVENT_STREAM_READY,      /* stream, peer */
    TERN_EVENT_STREAM_READABLE,   /* stream */
    TERN_EVENT_STREAM_WRITABLE,   /* stream */
    TERN_EVENT_STREAM_ENDED,      /* stream, err (TERN_OK: in good order), code */
    TERN_EVENT_MESSAGE,       /* text: the topic; data; author; peer: who passed it on; message */
    TERN_EVENT_SUBSCRIBED,    /* peer, text: the topic */
    TERN_EVENT_UNSUBSCRIBED,  /* peer, text: the topic */
    TERN_EVENT_REQUEST,       /* request, peer, text: the protocol, data */
    TERN_EVENT_RESPONSE,      /* token, peer, err; when TERN_OK: code, text: the reason, data */
    TERN_EVENT_PERF_PROGRESS, /* token, peer, perf: so far */
    TERN_EVENT_PERF,          /* token, peer, err, perf: in all, also when it failed */
};

struct tern_event {
    enum tern_event_kind kind;
    tern_err err;
    const char *peer;   /* "" when there is none */
    const char *author; /* MESSAGE: who signed it; "" when it is not signed */
    const char *text;   /* "" when there is none */
    const void *data;
    size_t data_size;
    uint64_t token;
    uint64_t rtt_ns;
    tern_stream_handle stream;
    uint64_t message; /* for tern_host_verdict; 0: none is wanted */
    uint64_t request; /* for tern_host_answer */
    uint32_t code;
    bool outbound;                     /* PEER_CONNECTED: we dialled */
    const struct tern_perf_info *perf; /* PERF, PERF_PROGRESS; NULL in others */
    /* PEER_CONNECTED: how the connection is made; see tern_host_connection_info. "" in others. For
     * the life of the program. */
    const char *transport;
    const char *secure;
    const char *muxer;
};

/* tern_host_next_event gives the next event, waiting at most timeout_ms (0: not at all, -1: for
 * ever). TERN_ERR_AGAIN: none came (kind is NONE). One thread at a time draws events. */
TERN_API tern_err tern_host_next_event(struct tern_host *host, struct tern_event *event,
                                       int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
