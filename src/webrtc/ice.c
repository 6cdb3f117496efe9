#include "webrtc/ice.h"

#include "base/check.h"
#include "crypto/secret.h"

#define ICE_PREFIX_V1 "libp2p+webrtc+v1/"
#define ICE_PREFIX_V2 "libp2p+webrtc+v2/"

/* Of a peer-reflexive candidate, which is what the remote makes of us (RFC 8445, section 5.1.2). */
#define ICE_PRIORITY (UINT32_C(110) << 24 | UINT32_C(65535) << 8 | UINT32_C(255))

enum { ICE_PREFIX_SIZE = sizeof ICE_PREFIX_V1 - 1, ICE_RANDOM_SIZE = 32 };

/* ---- names and passwords ---- */

static bool ice_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

static bool ice_credential(struct tern_view text, size_t size_min)
{
    if (text.size < size_min || text.size > TERN_ICE_CREDENTIAL_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!ice_char(text.data[i]))
            return false;
    }
    return true;
}

static bool ice_has_prefix(struct tern_view text, const char *prefix)
{
    return text.size >= ICE_PREFIX_SIZE && memcmp(text.data, prefix, ICE_PREFIX_SIZE) == 0;
}

bool tern_ice_name_parse(struct tern_view username, struct tern_ice_name *name)
{
    const uint8_t *colon = username.size == 0 ? NULL : memchr(username.data, ':', username.size);
    if (colon == NULL)
        return false;
    size_t cut = (size_t)(colon - username.data);
    name->listener = tern_view_part(username, 0, cut);
    name->dialer = tern_view_part(username, cut + 1, username.size - cut - 1);
    if (!ice_credential(name->listener, TERN_ICE_UFRAG_MIN) ||
        !ice_credential(name->dialer, TERN_ICE_UFRAG_MIN))
        return false;
    if (ice_has_prefix(name->listener, ICE_PREFIX_V1)) {
        name->version = TERN_ICE_V1;
        return name->listener.size >= TERN_ICE_PASSWORD_MIN;
    }
    name->version = TERN_ICE_V2;
    return ice_has_prefix(name->listener, ICE_PREFIX_V2) &&
           name->listener.size - ICE_PREFIX_SIZE >= TERN_ICE_PASSWORD_MIN;
}

/* ice_adopt makes the name that stands in username the agent's. */
static void ice_adopt(struct tern_ice *ice)
{
    struct tern_view username = tern_view_of(ice->username, ice->username_size);
    bool good = tern_ice_name_parse(username, &ice->name);
    TERN_CHECK(good);
    ice->dialer_password = ice->name.dialer;
    if (ice->name.version == TERN_ICE_V2)
        ice->dialer_password = tern_view_part(ice->name.listener, ICE_PREFIX_SIZE,
                                              ice->name.listener.size - ICE_PREFIX_SIZE);
}

static tern_err ice_init(struct tern_ice *ice, struct tern_mem *mem, size_t username_size)
{
    *ice = (struct tern_ice){.mem = mem,
                             .check_at = TERN_TIME_NEVER,
                             .consent_until = TERN_TIME_NEVER,
                             .username_size = username_size};
    ice->username = tern_mem_alloc(mem, username_size);
    return ice->username == NULL ? TERN_ERR_MEMORY : TERN_OK;
}

tern_err tern_ice_init_listener(struct tern_ice *ice, struct tern_mem *mem,
                                const struct tern_ice_name *name)
{
    TERN_TRY(ice_init(ice, mem, name->listener.size + 1 + name->dialer.size));
    struct tern_writer w = tern_writer_of(ice->username, ice->username_size);
    tern_writer_bytes(&w, name->listener);
    tern_writer_u8(&w, ':');
    tern_writer_bytes(&w, name->dialer);
    TERN_CHECK(tern_writer_ok(&w));
    ice->lite = true;
    ice->role = TERN_STUN_ROLE_CONTROLLED;
    ice_adopt(ice);
    return TERN_OK;
}

static void ice_put_random(struct tern_ice *ice, struct tern_writer *out)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (size_t i = 0; i < ICE_RANDOM_SIZE; i++)
        tern_writer_u8(out,
                       (uint8_t)alphabet[tern_random_below(&ice->random, sizeof alphabet - 1)]);
}

tern_err tern_ice_init_dialer(struct tern_ice *ice, struct tern_mem *mem,
                              struct tern_random *random, enum tern_ice_version version,
                              const struct tern_path *path)
{
    size_t listener_size = ICE_PREFIX_SIZE + ICE_RANDOM_SIZE;
    size_t dialer_size = version == TERN_ICE_V1 ? listener_size : ICE_RANDOM_SIZE;
    TERN_TRY(ice_init(ice, mem, listener_size + 1 + dialer_size));
    tern_random_fork(random, &ice->random);
    struct tern_writer w = tern_writer_of(ice->username, ice->username_size);
    tern_writer_str(&w, version == TERN_ICE_V1 ? ICE_PREFIX_V1 : ICE_PREFIX_V2);
    ice_put_random(ice, &w);
    tern_writer_u8(&w, ':');
    if (version == TERN_ICE_V1)
        tern_writer_bytes(&w, tern_view_of(ice->username, listener_size));
    else
        ice_put_random(ice, &w);
    TERN_CHECK(tern_writer_ok(&w));
    ice->role = TERN_STUN_ROLE_CONTROLLING;
    ice->tie_breaker = tern_random_u64(&ice->random);
    ice->path = *path;
    ice->check_due = true;
    ice->check_interval_ns = TERN_ICE_CHECK_FIRST;
    ice_adopt(ice);
    return TERN_OK;
}

void tern_ice_fini(struct tern_ice *ice)
{
    tern_mem_free(ice->mem, ice->username, ice->username_size);
    tern_secret_wipe(ice, sizeof *ice);
}

/* ---- requests of the remote ---- */

static struct tern_view ice_local_password(const struct tern_ice *ice)
{
    return ice->lite ? ice->name.listener : ice->dialer_password;
}

static struct tern_view ice_remote_password(const struct tern_ice *ice)
{
    return ice->lite ? ice->dialer_password : ice->name.listener;
}

/* ice_is_for_us: a request names the receiver first. */
static bool ice_is_for_us(const struct tern_ice *ice, struct tern_view username)
{
    struct tern_view first = ice->lite ? ice->name.listener : ice->name.dialer;
    struct tern_view second = ice->lite ? ice->name.dialer : ice->name.listener;
    return username.size == first.size + 1 + second.size && username.data[first.size] == ':' &&
           tern_view_equal(tern_view_part(username, 0, first.size), first) &&
           tern_view_equal(tern_view_part(username, first.size + 1, second.size), second);
}

/* ice_request_allowed: a leaky bucket. */
static bool ice_request_allowed(struct tern_ice *ice, tern_time now)
{
    uint64_t leaked = tern_time_since(now, ice->requests_leaked_at) / TERN_ICE_REQUESTS_INTERVAL;
    if (leaked >= ice->requests_level) {
        ice->requests_level = 0;
        ice->requests_leaked_at = now;
    } else {
        ice->requests_level -= (uint32_t)leaked;
        ice->requests_leaked_at += leaked * TERN_ICE_REQUESTS_INTERVAL;
    }
    if (ice->requests_level >= TERN_ICE_REQUESTS_BURST)
        return false;
    ice->requests_level++;
    return true;
}

/* ice_settle_role: may the remote have the role that it claims? The larger tie-breaker controls;
 * a lite agent never does (RFC 8445, section 7.3.1.1). */
static bool ice_settle_role(struct tern_ice *ice, const struct tern_stun *m)
{
    if (m->role != ice->role || m->role == TERN_STUN_ROLE_NONE)
        return true;
    if (ice->lite)
        return false;
    bool ours = ice->tie_breaker >= m->tie_breaker;
    bool keep = ice->role == TERN_STUN_ROLE_CONTROLLING ? ours : !ours;
    if (keep)
        return false;
    ice->role = ice->role == TERN_STUN_ROLE_CONTROLLING ? TERN_STUN_ROLE_CONTROLLED
                                                        : TERN_STUN_ROLE_CONTROLLING;
    return true;
}

/* ice_queue_answer: when too many wait the oldest is dropped: its sender asks again. */
static void ice_queue_answer(struct tern_ice *ice, const struct tern_ice_message *message,
                             uint16_t error)
{
    if (ice->answers_count == TERN_ICE_ANSWERS_MAX) {
        ice->answers_count--;
        memmove(ice->answers, ice->answers + 1, ice->answers_count * sizeof ice->answers[0]);
    }
    const struct tern_stun *m = message->stun;
    struct tern_ice_answer *answer = &ice->answers[ice->answers_count++];
    *answer = (struct tern_ice_answer){.path = *message->path, .error = error};
    memcpy(answer->transaction, m->transaction, sizeof answer->transaction);
    if (error != TERN_STUN_UNKNOWN_ATTRIBUTE)
        return;
    memcpy(answer->unknown, m->unknown, sizeof answer->unknown);
    answer->unknown_count = (uint8_t)m->unknown_count;
}

static enum tern_ice_news ice_recv_request(struct tern_ice *ice, tern_time now,
                                           const struct tern_ice_message *message,
                                           tern_fault *fault)
{
    const struct tern_stun *m = message->stun;
    if (!ice_is_for_us(ice, m->username)) {
        *fault = TERN_FAULT_WEBRTC_STUN_USERNAME;
        return TERN_ICE_NOTHING;
    }
    if (!ice_request_allowed(ice, now)) {
        *fault = TERN_FAULT_WEBRTC_STUN_FLOOD;
        return TERN_ICE_NOTHING;
    }
    if (!tern_stun_authentic(m, message->datagram, ice_local_password(ice))) {
        *fault = TERN_FAULT_WEBRTC_STUN_INTEGRITY;
        return TERN_ICE_NOTHING;
    }
    if (m->unknown_count > 0) {
        *fault = TERN_FAULT_WEBRTC_STUN_UNKNOWN_ATTRIBUTE;
        ice_queue_answer(ice, message, TERN_STUN_UNKNOWN_ATTRIBUTE);
        return TERN_ICE_NOTHING;
    }
    if (!ice_settle_role(ice, m)) {
        *fault = TERN_FAULT_WEBRTC_STUN_ROLE;
        ice_queue_answer(ice, message, TERN_STUN_ROLE_CONFLICT);
        return TERN_ICE_NOTHING;
    }
    ice_queue_answer(ice, message, 0);
    if (!m->use_candidate || ice->role == TERN_STUN_ROLE_CONTROLLING)
        return TERN_ICE_HEARD;
    ice->nominated = true;
    return TERN_ICE_NOMINATED;
}

/* ---- checks of ours ---- */

static struct tern_ice_check *ice_find_check(struct tern_ice *ice, const struct tern_stun *m)
{
    for (size_t i = 0; i < TERN_ICE_CHECKS_MAX; i++) {
        struct tern_ice_check *check = &ice->checks[i];
        if (check->open && memcmp(check->transaction, m->transaction, sizeof m->transaction) == 0)
            return check;
    }
    return NULL;
}

/* ice_consented: the next check proves that the consent still holds; not all at once for those who
 * connected at once (RFC 7675, section 5.1). */
static void ice_consented(struct tern_ice *ice, tern_time now, struct tern_ice_check *check)
{
    ice->rtt_ns = tern_time_since(now, check->sent_at);
    ice->consent_until = check->sent_at + TERN_ICE_CONSENT_TIMEOUT;
    ice->connected = true;
    ice->check_due = false;
    ice->check_interval_ns = TERN_ICE_CONSENT_INTERVAL;
    ice->check_at = now + TERN_ICE_CONSENT_INTERVAL * 4 / 5 +
                    tern_random_below(&ice->random, TERN_ICE_CONSENT_INTERVAL * 2 / 5);
}

static bool ice_same_endpoint(const struct tern_endpoint *a, const struct tern_endpoint *b)
{
    return a->family == b->family && a->port == b->port &&
           memcmp(a->ip, b->ip, a->family == 4 ? 4 : 16) == 0;
}

static enum tern_ice_news ice_recv_response(struct tern_ice *ice, tern_time now,
                                            const struct tern_ice_message *message,
                                            tern_fault *fault)
{
    const struct tern_stun *m = message->stun;
    struct tern_ice_check *check = ice_find_check(ice, m);
    /* An answer comes from where the check went (RFC 8445, section 7.2.5.2.1). */
    if (check == NULL || !ice_same_endpoint(&message->path->remote, &ice->path.remote)) {
        *fault = TERN_FAULT_WEBRTC_STUN_UNASKED;
        return TERN_ICE_NOTHING;
    }
    if (!tern_stun_authentic(m, message->datagram, ice_remote_password(ice))) {
        *fault = TERN_FAULT_WEBRTC_STUN_INTEGRITY;
        return TERN_ICE_NOTHING;
    }
    check->open = false;
    if (m->class == TERN_STUN_SUCCESS) {
        ice_consented(ice, now, check);
        return TERN_ICE_CONSENT;
    }
    if (m->error != TERN_STUN_ROLE_CONFLICT)
        return TERN_ICE_NOTHING; /* the check is lost; the next one may do better */
    ice->role = ice->role == TERN_STUN_ROLE_CONTROLLING ? TERN_STUN_ROLE_CONTROLLED
                                                        : TERN_STUN_ROLE_CONTROLLING;
    ice->check_due = true;
    return TERN_ICE_NOTHING;
}

enum tern_ice_news tern_ice_recv(struct tern_ice *ice, tern_time now,
                                 const struct tern_ice_message *message, tern_fault *fault)
{
    *fault = TERN_FAULT_NONE;
    switch (message->stun->class) {
    case TERN_STUN_REQUEST:
        return ice_recv_request(ice, now, message, fault);
    case TERN_STUN_SUCCESS:
    case TERN_STUN_ERROR:
        return ice_recv_response(ice, now, message, fault);
    case TERN_STUN_INDICATION:
        return TERN_ICE_NOTHING; /* keeps a NAT open, and needs no answer */
    }
    TERN_UNREACHABLE();
}

/* ---- output, time ---- */

static void ice_send_answer(struct tern_ice *ice, struct tern_path *path, struct tern_writer *out)
{
    const struct tern_ice_answer *answer = &ice->answers[0];
    struct tern_stun m = {
        .class = answer->error == 0 ? TERN_STUN_SUCCESS : TERN_STUN_ERROR,
        .error = answer->error,
        .unknown_count = answer->unknown_count,
    };
    memcpy(m.transaction, answer->transaction, sizeof m.transaction);
    memcpy(m.unknown, answer->unknown, sizeof m.unknown);
    if (answer->error == 0)
        m.mapped = answer->path.remote;
    *path = answer->path;
    tern_stun_encode(&m, ice_local_password(ice), out);
    ice->answers_count--;
    memmove(ice->answers, ice->answers + 1, ice->answers_count * sizeof ice->answers[0]);
}

static void ice_send_check(struct tern_ice *ice, tern_time now, struct tern_path *path,
                           struct tern_writer *out)
{
    struct tern_ice_check *check = &ice->checks[ice->checks_sent++ % TERN_ICE_CHECKS_MAX];
    tern_random_bytes(&ice->random, check->transaction, sizeof check->transaction);
    check->sent_at = now;
    check->open = true;
    struct tern_stun m = {
        .class = TERN_STUN_REQUEST,
        .username = tern_view_of(ice->username, ice->username_size),
        .priority = ICE_PRIORITY,
        .role = ice->role,
        .tie_breaker = ice->tie_breaker,
        .use_candidate = ice->role == TERN_STUN_ROLE_CONTROLLING,
    };
    memcpy(m.transaction, check->transaction, sizeof m.transaction);
    *path = ice->path;
    tern_stun_encode(&m, ice_remote_password(ice), out);
    ice->check_due = false;
    ice->check_at = now + ice->check_interval_ns;
    if (ice->check_interval_ns < TERN_ICE_CHECK_MAX)
        ice->check_interval_ns *= 2;
}

bool tern_ice_send(struct tern_ice *ice, tern_time now, struct tern_path *path,
                   struct tern_writer *out)
{
    if (ice->answers_count > 0)
        ice_send_answer(ice, path, out);
    else if (ice->check_due)
        ice_send_check(ice, now, path, out);
    else
        return false;
    TERN_CHECK(tern_writer_ok(out));
    return true;
}

bool tern_ice_want_send(const struct tern_ice *ice)
{
    return ice->answers_count > 0 || ice->check_due;
}

tern_time tern_ice_deadline(const struct tern_ice *ice)
{
    if (ice->failed)
        return TERN_TIME_NEVER;
    return tern_time_min(ice->check_due ? TERN_TIME_NEVER : ice->check_at, ice->consent_until);
}

void tern_ice_tick(struct tern_ice *ice, tern_time now)
{
    if (now >= ice->consent_until) {
        ice->failed = true;
        ice->check_due = false;
        ice->check_at = TERN_TIME_NEVER;
    } else if (now >= ice->check_at) {
        ice->check_due = true;
    }
}
