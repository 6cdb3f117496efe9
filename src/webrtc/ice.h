/*
 * ICE for WebRTC-direct: one pair of addresses, no signalling. Either end of a session has one.
 *
 *   listener: lite (RFC 8445, section 2.5). It answers checks and sends none.
 *   dialer:   a full agent with one remote candidate, controlling.
 *
 *       CHECKING ── an answer that is right ──► CONNECTED ── none for 30 s ──► FAILED
 *          check at once, after 0.5 s, 1 s, 2 s, 2 s …       a check each 5 s (4 .. 6): consent
 *
 * The dialer nominates with its first check: there is nothing to choose from, and a listener may
 * not send before it is nominated. Each check is a transaction of its own, so that the answer tells
 * the round trip; the last few are remembered.
 *
 * Credentials. There being no signalling, the listener learns all from the user name of a check,
 * "listener's ufrag:dialer's ufrag". The listener's password is its ufrag. The prefix of that is
 * the version:
 *
 *   libp2p+webrtc+v1/   the dialer's ufrag and password are this same text
 *   libp2p+webrtc+v2/   the dialer's password is what follows, its ufrag its own
 *
 * So a password is known to whoever sees a check pass by. An authentic check therefore shows
 * neither who sent it nor that its source is not forged: it makes known an address from which DTLS
 * may come and is answered there with no more bytes than it had, and that is all.
 *
 * Not thread safe. Specifications: libp2p/specs webrtc/webrtc-direct.md (v2: pull request 715);
 * RFC 8445 sections 7, 8, 11; RFC 8839 section 5.4; RFC 7675 (consent).
 */
#ifndef TERN_WEBRTC_ICE_H
#define TERN_WEBRTC_ICE_H

#include "base/mem.h"
#include "base/random.h"
#include "webrtc/stun.h"

enum {
    TERN_ICE_UFRAG_MIN = 4,
    TERN_ICE_PASSWORD_MIN = 22,
    TERN_ICE_CREDENTIAL_MAX = 256, /* of a ufrag, of a password */
    TERN_ICE_ANSWERS_MAX = 4,      /* that wait to be sent */
    TERN_ICE_CHECKS_MAX = 4,       /* that an answer is taken for */
    TERN_ICE_REQUESTS_BURST = 64,  /* requests of the remote: so many at once, */
};
#define TERN_ICE_REQUESTS_INTERVAL (20 * TERN_MILLISECOND) /* and one each interval for long */
#define TERN_ICE_CHECK_FIRST       (500 * TERN_MILLISECOND)
#define TERN_ICE_CHECK_MAX         (2 * TERN_SECOND)
#define TERN_ICE_CONSENT_INTERVAL  (5 * TERN_SECOND)
#define TERN_ICE_CONSENT_TIMEOUT   (30 * TERN_SECOND)

enum tern_ice_version { TERN_ICE_V1 = 1, TERN_ICE_V2 = 2 };

/* The parts of a check's user name as a listener receives it; borrowed. */
struct tern_ice_name {
    enum tern_ice_version version;
    struct tern_view listener; /* ufrag, and password */
    struct tern_view dialer;   /* ufrag */
};

/* tern_ice_name_parse cuts and checks a user name. False: it is not of two ufrags of 4 to 256
 * characters of ICE, its prefix is unknown, or the password in it is too short. */
bool tern_ice_name_parse(struct tern_view username, struct tern_ice_name *name);

enum tern_ice_news {
    TERN_ICE_NOTHING,   /* not for us, or not to be believed */
    TERN_ICE_HEARD,     /* an authentic request; its answer waits */
    TERN_ICE_NOMINATED, /* likewise, and the remote means to use this path */
    TERN_ICE_CONSENT,   /* an answer to a check: dialer alone. CONNECTED from the first one on */
};

struct tern_ice_check {
    uint8_t transaction[TERN_STUN_TRANSACTION_SIZE];
    tern_time sent_at;
    bool open;
};

struct tern_ice_answer {
    uint8_t transaction[TERN_STUN_TRANSACTION_SIZE];
    struct tern_path path;
    uint16_t error; /* 0: success */
    uint16_t unknown[TERN_STUN_UNKNOWN_MAX];
    uint8_t unknown_count;
};

struct tern_ice {
    struct tern_mem *mem;
    uint8_t *username; /* owned: "listener:dialer" */
    size_t username_size;
    struct tern_ice_name name; /* in username */
    struct tern_view dialer_password;
    bool lite;
    bool connected;
    bool failed;    /* consent is lost */
    bool nominated; /* by the remote, when it has taken the controlling role */
    bool check_due;
    enum tern_stun_role role;
    uint64_t tie_breaker;
    struct tern_path path; /* dialer: where checks go */
    struct tern_ice_check checks[TERN_ICE_CHECKS_MAX];
    uint32_t checks_sent;
    tern_time check_at;
    tern_time check_interval_ns;
    tern_time consent_until;
    tern_time rtt_ns; /* the last one measured; 0: none yet */
    struct tern_ice_answer answers[TERN_ICE_ANSWERS_MAX];
    uint32_t answers_count;
    tern_time requests_leaked_at;
    uint32_t requests_level;
    struct tern_random random;
};

/* tern_ice_init_listener makes the agent of a session that was begun by a check with this name
 * (copied). TERN_ERR_MEMORY; nothing to fini then. */
TERN_NODISCARD tern_err tern_ice_init_listener(struct tern_ice *ice, struct tern_mem *mem,
                                               const struct tern_ice_name *name);

/* tern_ice_init_dialer makes credentials of the version from random (forked) and is due to send the
 * first check. TERN_ERR_MEMORY; nothing to fini then. */
TERN_NODISCARD tern_err tern_ice_init_dialer(struct tern_ice *ice, struct tern_mem *mem,
                                             struct tern_random *random,
                                             enum tern_ice_version version,
                                             const struct tern_path *path);
void tern_ice_fini(struct tern_ice *ice);

/* A message that was decoded from a datagram. */
struct tern_ice_message {
    const struct tern_stun *stun;
    struct tern_view datagram;
    const struct tern_path *path;
};

/* tern_ice_recv takes a message that came on a path. *fault is NONE, or why it is not believed:
 * WEBRTC_STUN_USERNAME, STUN_INTEGRITY, STUN_FLOOD, STUN_UNKNOWN_ATTRIBUTE, STUN_ROLE (the last two
 * are answered with an error), STUN_UNASKED. */
enum tern_ice_news tern_ice_recv(struct tern_ice *ice, tern_time now,
                                 const struct tern_ice_message *message, tern_fault *fault);

/* tern_ice_send appends the next message, and tells where it goes; false: there is none. The room
 * is to be TERN_STUN_ENCODED_MAX at least. */
bool tern_ice_send(struct tern_ice *ice, tern_time now, struct tern_path *path,
                   struct tern_writer *out);
bool tern_ice_want_send(const struct tern_ice *ice);
tern_time tern_ice_deadline(const struct tern_ice *ice);
void tern_ice_tick(struct tern_ice *ice, tern_time now);

#endif
