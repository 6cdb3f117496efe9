/*
 * A dialer and a listener that have found each other, and datagrams of anybody: each is an octet
 * (which agent, whether it is signed with the right password), a length, and STUN attributes that
 * are put between a header and a right fingerprint. Nobody crashes; nothing grows.
 */
#include "base/check.h"
#include "crypto/sha1.h"
#include "webrtc/ice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tern_path fuzz_path = {
    .local = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001},
    .remote = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4001},
};

struct fuzz_world {
    struct tern_ice dialer;
    struct tern_ice listener;
    tern_time now;
};

static void fuzz_give(struct fuzz_world *w, struct tern_ice *to, struct tern_view datagram)
{
    struct tern_stun m;
    tern_fault fault;
    if (tern_stun_decode(datagram, &m, &fault) != TERN_OK)
        return;
    const struct tern_ice_message message = {.stun = &m, .datagram = datagram, .path = &fuzz_path};
    (void)tern_ice_recv(to, w->now, &message, &fault);
}

/* fuzz_carry moves what one agent says to the other. */
static void fuzz_carry(struct fuzz_world *w, struct tern_ice *from, struct tern_ice *to)
{
    uint8_t buffer[TERN_STUN_ENCODED_MAX];
    for (int i = 0; i < TERN_ICE_ANSWERS_MAX + 2; i++) {
        struct tern_writer out = tern_writer_of(buffer, sizeof buffer);
        struct tern_path path;
        if (!tern_ice_send(from, w->now, &path, &out))
            return;
        fuzz_give(w, to, tern_writer_view(&out));
    }
    TERN_CHECK(!tern_ice_want_send(from));
}

/* fuzz_message wraps attributes: user name and role as the step says, then these. */
static void fuzz_message(struct fuzz_world *w, uint8_t step, struct tern_view attributes)
{
    struct tern_ice *to = step & 1 ? &w->dialer : &w->listener;
    uint8_t buffer[TERN_STUN_SIZE_MAX + TERN_STUN_ENCODED_MAX];
    struct tern_stun m = {.class = (enum tern_stun_class)(step >> 1 & 3)};
    if (m.class == TERN_STUN_REQUEST)
        m.username = tern_view_of(w->dialer.username, w->dialer.username_size);
    if (attributes.size >= sizeof m.transaction && (step & 8) == 0)
        memcpy(m.transaction, attributes.data, sizeof m.transaction);
    else
        memcpy(m.transaction, w->dialer.checks[step >> 4 & 3].transaction, sizeof m.transaction);
    m.role = (enum tern_stun_role)((step >> 5) % 3);
    m.tie_breaker = attributes.size > 0 ? attributes.data[0] * UINT64_C(0x0101010101010101) : 0;
    m.error = m.class == TERN_STUN_ERROR ? TERN_STUN_ROLE_CONFLICT : 0;
    m.unknown_count = 0;
    struct tern_writer out = tern_writer_of(buffer, sizeof buffer);
    tern_stun_encode(&m, w->dialer.name.listener, &out);
    fuzz_give(w, to, tern_writer_view(&out));
    fuzz_give(w, to, attributes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tern_mem mem;
    struct tern_random random;
    struct fuzz_world w = {.now = TERN_SECOND};
    struct tern_view in = tern_view_of(data, size);
    if (size < 1)
        return 0;
    enum tern_ice_version version = data[0] & 1 ? TERN_ICE_V1 : TERN_ICE_V2;
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random, 1);
    tern_err err = tern_ice_init_dialer(&w.dialer, &mem, &random, version, &fuzz_path);
    TERN_CHECK(err == TERN_OK);
    err = tern_ice_init_listener(&w.listener, &mem, &w.dialer.name);
    TERN_CHECK(err == TERN_OK);
    size_t held = mem.used;
    for (size_t at = 1; at + 2 <= in.size;) {
        size_t part = tern_min_size(data[at + 1], in.size - at - 2);
        fuzz_message(&w, data[at], tern_view_part(in, at + 2, part));
        at += 2 + part;
        fuzz_carry(&w, &w.dialer, &w.listener);
        fuzz_carry(&w, &w.listener, &w.dialer);
        w.now += TERN_MILLISECOND << (data[at - 1] & 15);
        tern_ice_tick(&w.dialer, w.now);
        TERN_CHECK(mem.used == held);
    }
    struct tern_ice_name name;
    (void)tern_ice_name_parse(in, &name);
    tern_ice_fini(&w.dialer);
    tern_ice_fini(&w.listener);
    tern_mem_fini(&mem);
    return 0;
}
