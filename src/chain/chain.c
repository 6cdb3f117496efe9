#include "chain/chain.h"

#include "base/check.h"
#include "chain/chain_private.h"

void tern_chain_config_default(struct tern_chain_config *config)
{
    *config = (struct tern_chain_config){.persistent = true};
    tern_tree_limits_default(&config->tree);
    tern_pool_limits_default(&config->pool);
}

void chain_emit(struct tern_chain *chain, const struct tern_chain_out *out)
{
    /* The ring has all its memory, and is drained between inputs; no input gives so many answers.
     */
    tern_err err = tern_ring_push(&chain->outs, out);
    TERN_CHECK(err == TERN_OK);
}

void chain_fail(struct tern_chain *chain, tern_err err, const char *text)
{
    if (chain->phase == CHAIN_FAILED)
        return;
    chain->phase = CHAIN_FAILED;
    chain_emit(chain,
               &(struct tern_chain_out){.kind = TERN_CHAIN_OUT_FAILED, .err = err, .text = text});
}

static tern_err chain_init(struct tern_chain *chain, const struct tern_chain_config *config)
{
    chain->mem = config->mem;
    chain->config = *config;
    chain->config.random = NULL;
    chain->hash_key[0] = tern_random_u64(config->random);
    chain->hash_key[1] = tern_random_u64(config->random);
    tern_list_init(&chain->checks);
    tern_list_init(&chain->joined);
    tern_list_init(&chain->txs_waiting);
    tern_list_init(&chain->txs_checking);
    tern_list_init(&chain->writes);
    tern_map_init(&chain->txs_known, chain->mem, chain->hash_key);
    struct tern_pool_config pool = {
        .mem = chain->mem,
        .limits = config->pool,
        .fee_min = config->genesis->fee_min,
        .hash_key = {chain->hash_key[0], chain->hash_key[1]},
    };
    tern_pool_init(&chain->pool, &pool);
    tern_ring_init(&chain->outs, chain->mem, sizeof(struct tern_chain_out), TERN_CHAIN_OUTS_MAX);
    TERN_TRY(tern_ring_reserve(&chain->outs));
    TERN_TRY(tern_verify_job_init(&chain->tx_verify, chain->mem, TERN_CHAIN_TX_BATCH,
                                  (size_t)TERN_CHAIN_TX_BATCH * TERN_TX_VERIFY_BYTES));
    struct tern_ledger_config ledger = {
        .mem = chain->mem,
        .genesis = config->genesis,
        .engine = config->engine,
        .limits = config->tree,
        .hash_key = {chain->hash_key[0], chain->hash_key[1]},
    };
    TERN_TRY(tern_ledger_init(&chain->ledger, &ledger));
    chain->ledger_ready = true;
    chain->stored.hash = chain->ledger.genesis_hash;
    if (!config->persistent)
        return TERN_OK;
    chain->load.buffer = tern_mem_alloc(chain->mem, TERN_CHAIN_SCAN_SIZE);
    return chain->load.buffer == NULL ? TERN_ERR_MEMORY : TERN_OK;
}

tern_err tern_chain_new(const struct tern_chain_config *config, struct tern_chain **out)
{
    TERN_CHECK(tern_genesis_check(config->genesis) == NULL);
    *out = NULL;
    struct tern_chain *chain = tern_mem_zalloc(config->mem, sizeof *chain);
    if (chain == NULL)
        return TERN_ERR_MEMORY;
    tern_err err = chain_init(chain, config);
    if (err != TERN_OK) {
        tern_chain_free(chain);
        return err;
    }
    if (config->persistent) {
        chain_load_start(chain);
    } else {
        chain->phase = CHAIN_READY;
        chain_emit(chain, &(struct tern_chain_out){
                              .kind = TERN_CHAIN_OUT_READY,
                              .hash = chain->stored.hash,
                          });
    }
    *out = chain;
    return TERN_OK;
}

void tern_chain_free(struct tern_chain *chain)
{
    if (chain == NULL)
        return;
    chain_head_fini(chain);
    chain_block_fini(chain);
    chain_tx_fini(chain);
    chain_load_fini(chain);
    if (chain->pool.mem != NULL)
        tern_pool_fini(&chain->pool);
    if (chain->tx_verify.mem != NULL)
        tern_verify_job_fini(&chain->tx_verify);
    if (chain->ledger_ready)
        tern_ledger_fini(&chain->ledger);
    tern_ring_fini(&chain->outs);
    tern_mem_free(chain->mem, chain, sizeof *chain);
}

static void chain_job_done(struct tern_chain *chain, const struct tern_clock *clock,
                           struct tern_job *job)
{
    if (job == &chain->tx_verify.job) {
        chain_tx_job_done(chain, clock);
        return;
    }
    struct chain_check *check = chain_block_of_job(chain, job);
    TERN_CHECK(check != NULL);
    chain_block_job_done(chain, clock, check);
}

static void chain_stored(struct tern_chain *chain, const struct tern_clock *clock,
                         const struct tern_store_request *request)
{
    if (request == &chain->load.request) {
        chain_load_stored(chain);
        return;
    }
    if (chain->phase == CHAIN_LOAD_GENESIS) {
        chain_load_genesis_stored(chain);
        return;
    }
    struct chain_write *write = chain_head_of_request(chain, request);
    TERN_CHECK(write != NULL);
    chain_head_stored(chain, write);
    chain_block_settle(chain, clock);
}

/* An input that a chain that is not ready cannot take. */
static void chain_refuse(struct tern_chain *chain, const struct tern_chain_in *in)
{
    if (in->kind != TERN_CHAIN_BLOCK && in->kind != TERN_CHAIN_TX)
        return;
    chain_emit(chain,
               &(struct tern_chain_out){
                   .kind = in->kind == TERN_CHAIN_BLOCK ? TERN_CHAIN_OUT_BLOCK : TERN_CHAIN_OUT_TX,
                   .err = TERN_ERR_FULL,
                   .tag = in->tag,
                   .source = in->source,
               });
}

static void chain_tick(struct tern_chain *chain, const struct tern_clock *clock)
{
    tern_pool_update(&chain->pool, &chain->ledger.state, &chain->ledger.tree.head->header,
                     clock->now);
    /* A move that had no memory is tried again. */
    if (chain_head_may_move(chain) &&
        tern_tree_best(&chain->ledger.tree) != chain->ledger.tree.head) {
        tern_err err = chain_head_move(chain, clock, NULL);
        TERN_CHECK(err == TERN_OK || err == TERN_ERR_MEMORY);
    }
    chain_block_settle(chain, clock);
    chain_engine_step(chain, clock, &(struct tern_engine_in){.kind = TERN_ENGINE_TICK});
}

/* The inputs that come from outside, to a chain that is ready. */
static void chain_take(struct tern_chain *chain, const struct tern_clock *clock,
                       const struct tern_chain_in *in)
{
    switch (in->kind) {
    case TERN_CHAIN_TICK:
        chain_tick(chain, clock);
        return;
    case TERN_CHAIN_BLOCK:
        chain_block_in(chain, clock, in);
        return;
    case TERN_CHAIN_TX:
        chain_tx_in(chain, clock, in);
        return;
    case TERN_CHAIN_MESSAGE:
        chain_engine_step(chain, clock,
                          &(struct tern_engine_in){
                              .kind = TERN_ENGINE_MESSAGE,
                              .bytes = in->bytes,
                              .source = in->source,
                          });
        return;
    case TERN_CHAIN_JOB_DONE:
    case TERN_CHAIN_STORED:
        break;
    }
    TERN_UNREACHABLE();
}

void tern_chain_step(struct tern_chain *chain, const struct tern_clock *clock,
                     const struct tern_chain_in *in)
{
    TERN_CHECK(tern_ring_count(&chain->outs) < TERN_CHAIN_OUTS_MAX / 2);
    chain_head_release_told(chain);
    if (in->kind == TERN_CHAIN_JOB_DONE)
        chain_job_done(chain, clock, in->job);
    else if (in->kind == TERN_CHAIN_STORED)
        chain_stored(chain, clock, in->request);
    else if (chain->phase == CHAIN_READY)
        chain_take(chain, clock, in);
    else
        chain_refuse(chain, in);
    if (chain->phase == CHAIN_READY)
        chain_engine_settle(chain, clock);
}

bool tern_chain_next(struct tern_chain *chain, struct tern_chain_out *out)
{
    chain_head_release_told(chain);
    *out = (struct tern_chain_out){.err = TERN_OK};
    return chain_load_next(chain, out) || chain_block_next(chain, out) ||
           chain_tx_next(chain, out) || tern_ring_pop(&chain->outs, out) ||
           chain_head_next(chain, out);
}

tern_time tern_chain_deadline(const struct tern_chain *chain, const struct tern_clock *clock)
{
    if (chain->phase != CHAIN_READY)
        return TERN_TIME_NEVER;
    const struct tern_engine *engine = &chain->config.engine;
    return tern_time_min(engine->ops->deadline(engine->self, clock),
                         tern_pool_deadline(&chain->pool));
}

bool tern_chain_ready(const struct tern_chain *chain)
{
    return chain->phase == CHAIN_READY;
}

const struct tern_ledger *tern_chain_ledger(const struct tern_chain *chain)
{
    return &chain->ledger;
}

const struct tern_pool *tern_chain_pool(const struct tern_chain *chain)
{
    return &chain->pool;
}

void tern_chain_stored_head(const struct tern_chain *chain, struct tern_chain_head *head)
{
    *head = chain->stored;
}

void tern_chain_prove(struct tern_chain *chain, struct tern_view key, struct tern_smt_proof *proof)
{
    tern_smt_prove(&chain->ledger.state.smt, key, proof);
}

bool tern_chain_busy(const struct tern_chain *chain)
{
    if (chain->load.out || chain->tx_verify_out)
        return true;
    TERN_LIST_FOREACH (link, &chain->checks) {
        const struct chain_check *check = TERN_LIST_ENTRY(link, struct chain_check, link);
        if (check->emitted && !check->done)
            return true;
    }
    TERN_LIST_FOREACH (link, &chain->writes) {
        const struct chain_write *write = TERN_LIST_ENTRY(link, struct chain_write, link);
        if (write->emitted && !write->stored)
            return true;
    }
    return false;
}
