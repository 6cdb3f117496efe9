#include "base/check.h"
#include "chain/chain_private.h"

static struct chain_tx *tx_linked(struct tern_list *link)
{
    return TERN_LIST_ENTRY(link, struct chain_tx, link);
}

static void tx_answer(struct tern_chain *chain, const struct chain_tx *tx, tern_err err,
                      tern_fault fault)
{
    chain_emit(chain, &(struct tern_chain_out){
                          .kind = TERN_CHAIN_OUT_TX,
                          .err = err,
                          .fault = fault,
                          .tag = tx->tag,
                          .source = tx->offer.source,
                          .hash = tx->offer.id,
                      });
}

static void tx_free(struct tern_chain *chain, struct chain_tx *tx)
{
    tern_map_remove(&chain->txs_known, &tx->entry);
    tern_list_remove(&tx->link);
    tern_mem_free(chain->mem, tx, sizeof *tx);
}

/* Carries a transaction that could be next out, for a try. An ask may come with the reading that it
 * needs, so energy that is missing now is no reason; the pool sees to it later. */
static tern_err tx_try(struct tern_chain *chain, const struct tern_clock *clock,
                       const struct tern_pool_offer *offer, tern_fault *fault)
{
    const struct tern_header *head = &chain->ledger.tree.head->header;
    tern_time_ms now = tern_wall_ms(clock->wall);
    struct tern_apply_params params = {
        .state = &chain->ledger.state,
        .fee_min = chain->config.genesis->fee_min,
        .height = head->height + 1,
        .time_ms = now > head->time_ms ? now : head->time_ms + 1,
    };
    if (params.time_ms > TERN_TIME_MS_MAX)
        return TERN_OK;
    tern_err err = tern_apply_try(&params, &offer->tx, &offer->id, fault);
    bool may_wait = *fault == TERN_FAULT_CHAIN_TX_NONCE_GAP || *fault == TERN_FAULT_CHAIN_TX_ENERGY;
    if (err != TERN_ERR_PROTOCOL || !may_wait)
        return err;
    *fault = TERN_FAULT_NONE;
    return TERN_OK;
}

/* Judges a transaction at the door; *fault says why not. */
static tern_err tx_admit(struct tern_chain *chain, const struct tern_clock *clock,
                         const struct tern_chain_in *in, struct tern_pool_offer *offer,
                         tern_fault *fault)
{
    *fault = TERN_FAULT_CHAIN_TX_MALFORMED;
    TERN_TRY(tern_tx_decode(in->bytes, &offer->tx));
    tern_tx_id(in->bytes, &offer->id);
    offer->bytes = in->bytes;
    offer->source = in->source;
    *fault = TERN_FAULT_CHAIN_POOL_KNOWN;
    if (tern_map_find(&chain->txs_known, tern_hash_view(&offer->id)) != NULL)
        return TERN_ERR_EXISTS;
    *fault = tern_pool_check(&chain->pool, &chain->ledger.state, offer);
    if (*fault == TERN_FAULT_CHAIN_POOL_KNOWN)
        return TERN_ERR_EXISTS;
    if (*fault != TERN_FAULT_NONE)
        return TERN_ERR_PROTOCOL;
    if (chain->txs_waiting_count >= TERN_CHAIN_TX_WAITING_MAX)
        return TERN_ERR_FULL;
    return tx_try(chain, clock, offer, fault);
}

void chain_tx_in(struct tern_chain *chain, const struct tern_clock *clock,
                 const struct tern_chain_in *in)
{
    struct chain_tx refused = {.tag = in->tag};
    tern_fault fault;
    refused.offer.source = in->source;
    tern_err err = tx_admit(chain, clock, in, &refused.offer, &fault);
    if (err != TERN_OK) {
        tx_answer(chain, &refused, err == TERN_ERR_MALFORMED ? TERN_ERR_PROTOCOL : err, fault);
        return;
    }
    struct chain_tx *tx = tern_mem_zalloc(chain->mem, sizeof *tx);
    if (tx == NULL) {
        tx_answer(chain, &refused, TERN_ERR_MEMORY, TERN_FAULT_NONE);
        return;
    }
    tx->offer = refused.offer;
    tx->tag = in->tag;
    memcpy(tx->bytes, in->bytes.data, in->bytes.size);
    tx->offer.bytes = tern_view_of(tx->bytes, in->bytes.size);
    if (tern_map_insert(&chain->txs_known, &tx->entry, tern_hash_view(&tx->offer.id)) != TERN_OK) {
        tx_answer(chain, tx, TERN_ERR_MEMORY, TERN_FAULT_NONE);
        tern_mem_free(chain->mem, tx, sizeof *tx);
        return;
    }
    tern_list_push_back(&chain->txs_waiting, &tx->link);
    chain->txs_waiting_count++;
}

/* Fills the batch with what waits, when it is not away: while one is checked, the next gathers. */
bool chain_tx_next(struct tern_chain *chain, struct tern_chain_out *out)
{
    if (chain->tx_verify_out || tern_list_empty(&chain->txs_waiting))
        return false;
    tern_verify_job_reset(&chain->tx_verify);
    for (size_t i = 0; i < TERN_CHAIN_TX_BATCH && !tern_list_empty(&chain->txs_waiting); i++) {
        struct chain_tx *tx = tx_linked(tern_list_pop_front(&chain->txs_waiting));
        size_t index;
        tern_err err = tern_tx_verify_add(tx->offer.bytes, &chain->ledger.genesis_hash,
                                          &chain->tx_verify, &index);
        TERN_CHECK(err == TERN_OK && index == i);
        chain->txs_waiting_count--;
        tern_list_push_back(&chain->txs_checking, &tx->link);
    }
    chain->tx_verify_out = true;
    out->kind = TERN_CHAIN_OUT_JOB;
    out->job = &chain->tx_verify.job;
    return true;
}

void chain_tx_job_done(struct tern_chain *chain, const struct tern_clock *clock)
{
    TERN_CHECK(chain->tx_verify_out);
    chain->tx_verify_out = false;
    struct tern_list *link;
    for (size_t i = 0; (link = tern_list_front(&chain->txs_checking)) != NULL; i++) {
        struct chain_tx *tx = tx_linked(link);
        tern_fault fault = TERN_FAULT_CHAIN_TX_SIGNATURE;
        tern_err err = TERN_ERR_PROTOCOL;
        if (tern_verify_job_verdict(&chain->tx_verify, i) == TERN_OK)
            err = tern_pool_add(&chain->pool, &chain->ledger.state, clock->now, &tx->offer, &fault);
        if (err == TERN_OK)
            fault = TERN_FAULT_NONE;
        tx_answer(chain, tx, err, fault);
        tx_free(chain, tx);
    }
}

void chain_tx_fini(struct tern_chain *chain)
{
    struct tern_list *link;
    while ((link = tern_list_front(&chain->txs_waiting)) != NULL ||
           (link = tern_list_front(&chain->txs_checking)) != NULL)
        tx_free(chain, tx_linked(link));
    tern_map_fini(&chain->txs_known);
}
