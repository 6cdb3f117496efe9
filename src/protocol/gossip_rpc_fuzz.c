/*
 * Peers' bytes against a gossip core. The input is a script: each step is a byte that says what
 * happens and to whom, and for an RPC its length (two bytes) and its bytes. Whatever comes: no
 * crash, bounded memory, nothing left at the end, and no out for a peer that has gone.
 */
#include "base/reader.h"
#include "protocol/gossip/gossip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_PEERS = 4, FUZZ_MEMORY_MAX = 8 << 20, FUZZ_STEPS_MAX = 400, FUZZ_JOBS_MAX = 4 };

struct fuzz {
    struct tern_mem mem;
    struct tern_random random;
    struct tern_metrics metrics;
    struct tern_private_key key;
    struct tern_gossip *core;
    tern_time now;
    bool up[FUZZ_PEERS];
    uint32_t slots[FUZZ_PEERS];
    struct tern_job *jobs[FUZZ_JOBS_MAX];
    size_t jobs_count;
    tern_gossip_handle handle;
};

static bool fuzz_is_up(const struct fuzz *f, uint32_t slot)
{
    for (size_t i = 0; i < FUZZ_PEERS; i++)
        if (f->up[i] && f->slots[i] == slot)
            return true;
    return false;
}

static void fuzz_take(struct fuzz *f, const struct tern_gossip_out *out)
{
    switch (out->kind) {
    case TERN_GOSSIP_JOB:
        TERN_CHECK(f->jobs_count < FUZZ_JOBS_MAX);
        f->jobs[f->jobs_count++] = out->job;
        break;
    case TERN_GOSSIP_DELIVER:
        TERN_CHECK(out->peer == UINT32_MAX || fuzz_is_up(f, out->peer));
        if (out->handle != 0)
            f->handle = out->handle;
        break;
    case TERN_GOSSIP_SEND:
        for (size_t i = 0; i < out->peers_count; i++)
            TERN_CHECK(fuzz_is_up(f, out->peers[i]));
        break;
    case TERN_GOSSIP_FAULT:
    case TERN_GOSSIP_SUBSCRIBED:
    case TERN_GOSSIP_UNSUBSCRIBED:
        TERN_CHECK(fuzz_is_up(f, out->peer));
        break;
    }
}

static void fuzz_drain(struct fuzz *f)
{
    struct tern_gossip_out out;
    while (tern_gossip_next(f->core, &out))
        fuzz_take(f, &out);
    TERN_CHECK(f->mem.used < FUZZ_MEMORY_MAX);
}

static void fuzz_jobs(struct fuzz *f)
{
    while (f->jobs_count > 0) {
        struct tern_job *job = f->jobs[--f->jobs_count];
        job->run(job);
        tern_gossip_job_done(f->core, f->now, job);
        fuzz_drain(f);
    }
}

static void fuzz_begin(struct fuzz *f, uint8_t how)
{
    static const uint8_t seed[32] = {1};
    *f = (struct fuzz){.now = TERN_SECOND};
    tern_mem_init(&f->mem, 0);
    tern_random_init_u64(&f->random, 1);
    tern_private_key_of_ed25519_seed(seed, &f->key);
    struct tern_gossip_options options = {.mem = &f->mem,
                                          .random = &f->random,
                                          .metrics = &f->metrics,
                                          .identity = &f->key,
                                          .policy = (how & 1) != 0 ? TERN_GOSSIP_STRICT_SIGN
                                                                   : TERN_GOSSIP_STRICT_NO_SIGN};
    tern_public_key_peer_id(&f->key.public_key, &options.own_id);
    tern_gossip_params_defaults(&options.params);
    options.params.peers_max = FUZZ_PEERS;
    options.params.seen_max = 64;
    options.params.topics_max = 16;
    options.params.topics_per_peer_max = 6;
    options.params.message_size_max = 4096;
    options.params.pending_max = 20;
    options.params.cache_bytes_max = 16384;
    tern_err err = tern_gossip_new(&options, f->now, &f->core);
    TERN_CHECK(err == TERN_OK);
    err = tern_gossip_subscribe(f->core, f->now, tern_view_str("a"), 0);
    TERN_CHECK(err == TERN_OK);
    err =
        tern_gossip_subscribe(f->core, f->now, tern_view_str("v"), TERN_GOSSIP_SUBSCRIBE_VALIDATE);
    TERN_CHECK(err == TERN_OK);
    fuzz_drain(f);
}

static void fuzz_peer(struct fuzz *f, size_t i)
{
    if (f->up[i]) {
        f->up[i] = false;
        tern_gossip_peer_down(f->core, f->now, f->slots[i]);
        return;
    }
    struct tern_gossip_peer_options options = {
        .kind = i == 3 ? TERN_GOSSIP_FLOODSUB : TERN_GOSSIP_V11, .outbound = i % 2 == 0};
    options.id = (struct tern_peer_id){.size = 3, .bytes = {0, 1, (uint8_t)i}};
    f->up[i] = tern_gossip_peer_up(f->core, f->now, &options, &f->slots[i]) == TERN_OK;
}

static void fuzz_rpc(struct fuzz *f, size_t i, struct tern_reader *script)
{
    struct tern_view rpc;
    struct tern_gossip_out out;
    uint16_t size;
    if (!tern_reader_u16be(script, &size))
        return;
    size = (uint16_t)tern_min_size(size, tern_reader_left(script));
    if (!tern_reader_bytes(script, size, &rpc) || !f->up[i])
        return;
    tern_gossip_rpc(f->core, f->now, f->slots[i], rpc);
    if (size % 7 != 0)
        return;
    /* Now and then the peer goes in the midst of its RPC. */
    if (tern_gossip_next(f->core, &out))
        fuzz_take(f, &out);
    fuzz_peer(f, i);
}

static void fuzz_local(struct fuzz *f, uint8_t what)
{
    static const char *const names[] = {"a", "v", "b", "c"};
    struct tern_view name = tern_view_str(names[what & 3]);
    if ((what & 12) == 0)
        TERN_IGNORE(tern_gossip_subscribe(f->core, f->now, name, what >> 4 & 1)); /* or it is */
    else if ((what & 12) == 4)
        tern_gossip_unsubscribe(f->core, f->now, name);
    else
        TERN_IGNORE(tern_gossip_publish(f->core, f->now, f->now, name, name)); /* or it was seen */
}

static void fuzz_step(struct fuzz *f, uint8_t step, struct tern_reader *script)
{
    size_t peer = step & 3;
    uint8_t what = 0;
    switch (step >> 2 & 7) {
    case 0:
        fuzz_peer(f, peer);
        break;
    case 1:
        f->now += (peer + 1) * TERN_SECOND / 2;
        tern_gossip_tick(f->core, f->now);
        break;
    case 2:
        if (tern_reader_u8(script, &what))
            fuzz_local(f, what);
        break;
    case 3:
        tern_gossip_verdict(f->core, f->now, f->handle, (enum tern_gossip_verdict)(peer % 3));
        break;
    case 4:
        if (f->up[peer] && tern_reader_u8(script, &what))
            tern_gossip_set_score(f->core, f->slots[peer], (int32_t)what - 200);
        break;
    case 5:
        fuzz_jobs(f);
        break;
    default:
        fuzz_rpc(f, peer, script);
        break;
    }
    fuzz_drain(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f;
    uint8_t byte = 0;
    struct tern_reader script = tern_reader_of(tern_view_of(data, size));
    if (!tern_reader_u8(&script, &byte))
        return 0;
    fuzz_begin(&f, byte);
    for (size_t i = 0; i < FUZZ_PEERS; i++)
        fuzz_peer(&f, i);
    fuzz_drain(&f);
    for (int i = 0; i < FUZZ_STEPS_MAX && tern_reader_u8(&script, &byte); i++)
        fuzz_step(&f, byte, &script);
    fuzz_jobs(&f);
    tern_gossip_free(f.core);
    tern_private_key_fini(&f.key);
    TERN_CHECK(f.mem.used == 0);
    tern_mem_fini(&f.mem);
    return 0;
}
