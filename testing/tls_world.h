/*
 * Two hosts with their keys and a TLS channel between them, over the pump of secure_pump.h.
 */
#ifndef TERN_TESTING_TLS_WORLD_H
#define TERN_TESTING_TLS_WORLD_H

#include "tern_test.h"

#include <stdlib.h>

#include "crypto/aead.h"
#include "secure/tls_internal.h"
#include "secure_pump.h"

#define TEXT(s) {(const uint8_t *)(s), sizeof(s) - 1}

enum { INIT = 0, RESP = 1 };

static const struct tern_view world_muxers[] = {TEXT("/yamux/1.0.0"), TEXT("/mplex/6.7.0"),
                                                TEXT("/other/1.0.0")};

/* A world of two hosts. */
struct world {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_aead_engine aead;
    struct tern_private_key keys[2];
    struct tern_tls_identity identities[2];
    struct tern_tls_options options[2];
    struct tern_peer_id ids[2];
    struct pump pump;
};

static inline void world_identity(struct world *w, int i, bool slow_aes)
{
    const struct tern_tls_identity_options options = {
        .mem = &w->mem, .random = &w->random, .host_key = &w->keys[i], .slow_aes = slow_aes};
    assert_int_equal(tern_tls_identity_init(&w->identities[i], &options), TERN_OK);
    tern_public_key_peer_id(&w->keys[i].public_key, &w->ids[i]);
}

static inline struct world *world_new(enum tern_key_type type, uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    tern_mem_init(&w->mem, 0);
    tern_random_init_u64(&w->random, seed);
    tern_random_fork(&w->random, &w->pump.random);
    assert_int_equal(tern_aead_engine_init(&w->aead), TERN_OK);
    for (int i = 0; i < 2; i++) {
        if (type == TERN_KEY_RSA)
            assert_int_equal(tern_private_key_generate_rsa(2048, &w->keys[i]), TERN_OK);
        else
            assert_int_equal(tern_private_key_generate(type, &w->random, &w->keys[i]), TERN_OK);
        world_identity(w, i, false);
        w->options[i] = (struct tern_tls_options){
            .role = i == INIT ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
            .mem = &w->mem,
            .aead = &w->aead,
            .identity = &w->identities[i],
            .muxers = world_muxers,
            .muxers_count = 1,
            .wall = UINT64_C(1767225600) * TERN_SECOND, /* 2026-01-01 */
        };
        w->pump.ends[i].mem = &w->mem;
    }
    return w;
}

/* Makes both channels; false when there was no memory. */
static inline bool world_open(struct world *w)
{
    for (int i = 0; i < 2; i++)
        if (tern_tls_new(&w->options[i], &w->pump.ends[i].secure) != TERN_OK)
            return false;
    return true;
}

/* Makes one of them, against an end that is not ours. */
static inline struct pump_end *world_open_one(struct world *w, int i)
{
    assert_int_equal(tern_tls_new(&w->options[i], &w->pump.ends[i].secure), TERN_OK);
    return &w->pump.ends[i];
}

static inline void world_close(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        pump_end_fini(&w->pump.ends[i]);
        w->pump.ends[i] = (struct pump_end){.mem = &w->mem};
    }
}

static inline void world_free(struct world *w)
{
    world_close(w);
    for (int i = 0; i < 2; i++) {
        tern_tls_identity_fini(&w->identities[i]);
        tern_private_key_fini(&w->keys[i]);
    }
    tern_aead_engine_fini(&w->aead);
    assert_int_equal(w->mem.used, 0);
    tern_mem_fini(&w->mem);
    free(w);
}

static inline const struct tern_secure_remote *remote(const struct world *w, int i)
{
    const struct tern_channel *s = &w->pump.ends[i].secure;
    return s->ops->remote(s->self);
}

static inline tern_fault fault_of(const struct world *w, int i)
{
    const struct tern_channel *s = &w->pump.ends[i].secure;
    return s->ops->fault(s->self);
}

static inline struct tern_tls *tls_of(struct world *w, int i)
{
    return w->pump.ends[i].secure.self;
}

/* Opens and does the handshake only, everything at once. */
static inline void world_shake(struct world *w)
{
    w->pump.whole_segments = true;
    assert_true(world_open(w));
    pump_run(&w->pump);
    for (int i = 0; i < 2; i++)
        if (!w->pump.ends[i].done)
            fail_msg("end %d: %s %s", i, tern_err_name(w->pump.ends[i].err),
                     tern_fault_name(fault_of(w, i)));
}

#endif
