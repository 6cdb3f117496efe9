/*
 * A client and a server of the web's TLS, and an authority that the client trusts, over the pump of
 * secure_pump.h.
 */
#ifndef TERN_TESTING_WEB_WORLD_H
#define TERN_TESTING_WEB_WORLD_H

#include "tern_test.h"

#include <stdlib.h>

#include "secure/web_tls_internal.h"
#include "secure_pump.h"
#include "web_certificates.h"

enum { CLIENT = 0, SERVER = 1 };

#define WEB_HOST "www.example.org"
#define WEB_WALL (UINT64_C(1767225600) * TERN_SECOND) /* 2026-01-01 */

struct web_world {
    struct tern_mem mem;
    struct web_pem root;
    struct web_pem leaf;
    struct tern_web_tls web[2];
    struct tern_web_tls_options options[2];
    struct pump pump;
};

/* What the server shows is made anew. */
static inline void web_world_certify(struct web_world *w, const struct web_certificate *options)
{
    web_pem_fini(&w->leaf);
    web_certify(options, &w->root, &w->leaf);
    assert_int_equal(
        tern_web_tls_set_credentials(
            &w->web[SERVER], &(struct tern_web_credentials){.chain = web_chain_view(&w->leaf),
                                                            .key = web_key_view(&w->leaf)}),
        TERN_OK);
}

static inline struct web_world *web_world_new(uint64_t seed)
{
    struct web_world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    tern_mem_init(&w->mem, 0);
    tern_random_init_u64(&w->pump.random, seed);
    web_certify(&(struct web_certificate){.authority = true}, NULL, &w->root);
    for (int i = 0; i < 2; i++) {
        const struct tern_web_tls_config config = {.roots = i == CLIENT ? web_chain_view(&w->root)
                                                                        : tern_view_of(NULL, 0)};
        assert_int_equal(tern_web_tls_init(&w->web[i], &config), TERN_OK);
        w->options[i] = (struct tern_web_tls_options){
            .role = i == CLIENT ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
            .mem = &w->mem,
            .web = &w->web[i],
            .host = tern_view_str(WEB_HOST ":443"),
            .wall = WEB_WALL,
        };
        w->pump.ends[i].mem = &w->mem;
    }
    web_world_certify(w, &(struct web_certificate){.names = "DNS:" WEB_HOST});
    return w;
}

/* Makes both channels; false when there was no memory. */
static inline bool web_world_open(struct web_world *w)
{
    for (int i = 0; i < 2; i++)
        if (tern_web_tls_new(&w->options[i], &w->pump.ends[i].secure) != TERN_OK)
            return false;
    return true;
}

static inline struct pump_end *web_world_open_one(struct web_world *w, int i)
{
    assert_int_equal(tern_web_tls_new(&w->options[i], &w->pump.ends[i].secure), TERN_OK);
    return &w->pump.ends[i];
}

static inline void web_world_close(struct web_world *w)
{
    for (int i = 0; i < 2; i++) {
        pump_end_fini(&w->pump.ends[i]);
        w->pump.ends[i] = (struct pump_end){.mem = &w->mem};
    }
}

static inline void web_world_free(struct web_world *w)
{
    web_world_close(w);
    for (int i = 0; i < 2; i++)
        tern_web_tls_fini(&w->web[i]);
    web_pem_fini(&w->root);
    web_pem_fini(&w->leaf);
    assert_int_equal(w->mem.used, 0);
    tern_mem_fini(&w->mem);
    free(w);
}

static inline tern_fault web_fault_of(const struct web_world *w, int i)
{
    const struct tern_channel *channel = &w->pump.ends[i].secure;
    return channel->ops->fault(channel->self);
}

static inline struct tern_web_channel *web_channel(struct web_world *w, int i)
{
    return w->pump.ends[i].secure.self;
}

/* Opens and does the handshake, everything at once; it may fail. */
static inline void web_world_try(struct web_world *w)
{
    w->pump.whole_segments = true;
    assert_true(web_world_open(w));
    pump_run(&w->pump);
}

static inline void web_world_shake(struct web_world *w)
{
    web_world_try(w);
    for (int i = 0; i < 2; i++)
        if (!w->pump.ends[i].done)
            fail_msg("end %d: %s %s", i, tern_err_name(w->pump.ends[i].err),
                     tern_fault_name(web_fault_of(w, i)));
}

#endif
