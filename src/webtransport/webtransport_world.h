/*
 * For tests: hosts that speak WebTransport in the world of quic_world, and puppets: the other end
 * of a connection of h3 whose streams the test writes itself, right or wrong.
 */
#ifndef TERN_WEBTRANSPORT_WEBTRANSPORT_WORLD_H
#define TERN_WEBTRANSPORT_WEBTRANSPORT_WORLD_H

#include "quic/quic_conn.h"
#include "quic/quic_world.h"
#include "webtransport/webtransport_testing.h"

/* The other end, once QUIC is established. */
struct web_puppet {
    struct tern_quic_conn *conn; /* NULL: not yet */
    struct tern_session raw;
    struct tern_channel noise; /* ops NULL: it has none */
    tern_stream_id noise_stream;
};

struct web_world {
    struct quic_world w;
    struct quic_host *a; /* host 1: dials */
    struct quic_host *b; /* host 2: serves */
    struct web_puppet puppet;
    struct tern_quic_identity *identities[2];
    struct tern_certificate certificate; /* of a puppet that serves */
    struct tern_mem mem;                 /* the puppet's */
    uint8_t certhash[TERN_WEBTRANSPORT_CERTHASH_SIZE];
};

/* Who is a puppet; and how long its certificate has been and will be valid, when it serves. */
enum web_puppets { WEB_PUPPET_NONE, WEB_PUPPET_DIALS, WEB_PUPPET_SERVES };

struct web_world_options {
    enum web_puppets puppets;
    tern_time valid_since_ns; /* 0: an hour */
    tern_time valid_for_ns;   /* 0: 14 days */
    struct tern_quic_options quic;
    struct tern_webtransport_options web; /* completed */
    bool mute;                            /* b serves nothing of h3 */
};

void web_world_init(struct web_world *w, const struct web_world_options *options);
void web_world_fini(struct web_world *w);

/* web_world_dial dials b from a by these hashes; the defaults: b's, and whoever it is. */
struct web_dial {
    const struct tern_view *certhashes;
    size_t certhashes_count;
    const struct tern_peer_id *expected;
};
struct quic_seen *web_world_dial(struct web_world *w, const struct web_dial *dial);

/* web_world_run lets time pass. */
void web_world_run(struct web_world *w, tern_time duration);

/* web_world_attach dials and runs until the puppet has the connection. */
void web_world_attach(struct web_world *w);

/* --- the puppet --- */

tern_stream_id web_puppet_open(struct web_puppet *puppet, bool one_way);

/* web_puppet_say writes bytes to a stream, in a packet of their own order. */
void web_puppet_say(struct web_puppet *puppet, tern_stream_id stream, struct tern_view bytes);
void web_puppet_close(struct web_puppet *puppet, tern_stream_id stream);

/* web_puppet_settings opens a control stream as it should be. */
tern_stream_id web_puppet_settings(struct web_puppet *puppet);

/* web_puppet_fields opens a stream, if it is NONE, and writes a HEADERS frame of "name: value"
 * fields, NULL at the end. */
tern_stream_id web_puppet_fields(struct web_puppet *puppet, tern_stream_id stream,
                                 const char *const *fields);

/* web_puppet_request asks for a session as it should be. */
tern_stream_id web_puppet_request(struct web_puppet *puppet);

/* web_puppet_stream opens a stream of WebTransport with a session's id. */
tern_stream_id web_puppet_stream(struct web_puppet *puppet, uint64_t session);

/* web_puppet_read is what can be read of a stream, dropped then. */
size_t web_puppet_read(struct web_puppet *puppet, tern_stream_id stream, struct tern_span to);

/* web_puppet_noise begins a handshake on a stream of the puppet's; as a server it shows so many
 * hashes: its own, or none. web_puppet_shake goes on with it; true: it is done. */
void web_puppet_noise(struct web_world *w, tern_stream_id stream, size_t certhashes_count);
bool web_puppet_shake(struct web_puppet *puppet, tern_time now);

#endif
