/*
 * For tests: a remote that speaks ICE, DTLS, SCTP and Noise as it should, and on its channels says
 * what the test makes it say. It is a node of a session_world, without sessions of its own, and
 * keeps a log of what it is told.
 *
 *     2 open          a channel was opened          2 reset 7     a message of that flag
 *     2 ack                                         2 closed      in the direction to the puppet
 *     2 bytes hello                                 2 gone        in the other one
 */
#ifndef TERN_WEBRTC_WEBRTC_PUPPET_H
#define TERN_WEBRTC_WEBRTC_PUPPET_H

#include "golden.h"
#include "webrtc/data_channel.h"
#include "webrtc/ice.h"
#include "webrtc/message.h"
#include "webrtc/sctp.h"
#include "webrtc/webrtc_world.h"

enum { PUPPET_CHANNELS_MAX = UINT16_MAX + 1 };

struct webrtc_puppet {
    struct webrtc_world *world;
    struct tern_mem mem;
    struct tern_random random;
    struct tern_dtls_context *context;
    size_t node;
    tern_link_id socket;
    struct tern_endpoint at;
    struct tern_path path; /* to the other end */
    bool listener;
    uint8_t certhash[TERN_SHA256_SIZE]; /* of the other end, if that listens */

    struct tern_ice ice;
    bool has_ice;
    struct tern_dtls dtls;
    bool has_dtls;
    struct tern_sctp *sctp;
    struct tern_mux_pool pool;
    struct tern_channel noise;
    struct tern_message_decoder noise_decoder;
    struct tern_message_decoder decoders[PUPPET_CHANNELS_MAX];
    bool known;         /* Noise is done */
    bool gone;          /* the other end has ended DTLS or SCTP */
    tern_time up_at;    /* SCTP was up; 0: it is not */
    tern_time noise_at; /* the first byte of Noise came */
    struct golden log;
    uint64_t bytes;   /* of streams, that came */
    uint8_t raw[512]; /* chunks that wait to be sent as they are */
    size_t raw_size;

    /* What it does wrong. */
    bool no_noise;       /* says nothing on channel 0 by itself */
    bool wrong_prologue; /* as if it had met another certificate */
    bool keeps_credit;   /* takes bytes without returning credit */
    bool no_logging;
    bool old; /* does not offer to do without checksums, as webrtc-rs does not */
};

/* webrtc_puppet_dialer is a puppet that is about to dial host `to`; it has the identity and the
 * certificate of host 0. webrtc_puppet_listener waits, and has those of host 1. */
void webrtc_puppet_dialer(struct webrtc_puppet *p, struct webrtc_world *w,
                          const struct webrtc_host *to);
void webrtc_puppet_listener(struct webrtc_puppet *p, struct webrtc_world *w);

/* webrtc_puppet_fini frees it, after the world. */
void webrtc_puppet_fini(struct webrtc_puppet *p);

/* webrtc_puppet_join runs until Noise is done. */
void webrtc_puppet_join(struct webrtc_puppet *p);

/* webrtc_puppet_up runs until SCTP can take messages. */
void webrtc_puppet_up(struct webrtc_puppet *p);

/* webrtc_puppet_say hands a message over; hex. */
void webrtc_puppet_say(struct webrtc_puppet *p, uint16_t channel, uint32_t ppid, const char *hex);
void webrtc_puppet_bytes(struct webrtc_puppet *p, uint16_t channel, struct tern_view bytes);

/* webrtc_puppet_raw sends a packet of these chunks, which the puppet's own association does not
 * know of. One at a time. */
void webrtc_puppet_raw(struct webrtc_puppet *p, struct tern_view chunks);

/* Forms of say. */
void webrtc_puppet_open(struct webrtc_puppet *p, uint16_t channel);
void webrtc_puppet_text(struct webrtc_puppet *p, uint16_t channel, const char *text);
void webrtc_puppet_flag(struct webrtc_puppet *p, uint16_t channel, enum tern_message_flag flag,
                        uint32_t code);
void webrtc_puppet_close(struct webrtc_puppet *p, uint16_t channel);

/* webrtc_puppet_expect compares the log and empties it. */
#define webrtc_puppet_expect(p, text) assert_true(webrtc_puppet_same((p), (text)))
bool webrtc_puppet_same(struct webrtc_puppet *p, const char *text);

#endif
