#include "chain/apply.h"

#include "base/check.h"
#include "chain/audit.h"
#include "chain/market.h"

static tern_err apply_fault(tern_fault *fault, tern_fault named)
{
    *fault = named;
    return TERN_ERR_PROTOCOL;
}

tern_err tern_apply_genesis(struct tern_state *state, const struct tern_genesis *genesis)
{
    TERN_CHECK(tern_state_rows_count(state) == 0);
    for (size_t i = 0; i < genesis->accounts_count; i++) {
        const struct tern_genesis_account *account = &genesis->accounts[i];
        TERN_TRY(tern_row_put_account(state, &account->key,
                                      &(struct tern_row_account){.balance = account->balance}));
    }
    for (size_t i = 0; i < genesis->devices_count; i++) {
        const struct tern_genesis_device *device = &genesis->devices[i];
        TERN_TRY(tern_row_put_device(state, &device->key,
                                     &(struct tern_row_device){
                                         .owner = device->owner,
                                         .capacity_wh = device->capacity_wh,
                                     }));
    }
    struct tern_row_totals totals = {.accounts = tern_genesis_supply(genesis)};
    TERN_TRY(tern_row_put_totals(state, &totals));
    tern_state_commit(state);
    return TERN_OK;
}

tern_err tern_apply_begin(struct tern_apply *apply, const struct tern_apply_params *params)
{
    *apply = (struct tern_apply){.params = *params, .state = params->state};
    TERN_CHECK(params->time_ms <= TERN_TIME_MS_MAX);
    TERN_CHECK(tern_row_get_totals(apply->state, &apply->totals));
    return tern_market_expire(apply);
}

static tern_err apply_nonce(uint64_t expected, uint64_t nonce, tern_fault *fault)
{
    if (nonce < expected)
        return apply_fault(fault, TERN_FAULT_CHAIN_TX_NONCE_OLD);
    if (nonce > expected)
        return apply_fault(fault, TERN_FAULT_CHAIN_TX_NONCE_GAP);
    return TERN_OK;
}

static tern_err apply_reading_energy(const struct tern_apply *apply, const struct tern_tx *tx,
                                     struct tern_row_device *device, tern_fault *fault)
{
    tern_hour hour = tx->as.reading.hour;
    tern_hour now = tern_hour_of(apply->params.time_ms);
    tern_hour first = now < TERN_READING_AGE_HOURS ? 0 : now - TERN_READING_AGE_HOURS;
    if (hour > now || hour < first || hour < device->hour)
        return apply_fault(fault, TERN_FAULT_CHAIN_TX_HOUR);
    tern_energy before = hour == device->hour ? device->reported_wh : 0;
    TERN_DCHECK(before <= device->capacity_wh);
    if (tx->as.reading.energy_wh > device->capacity_wh - before)
        return apply_fault(fault, TERN_FAULT_CHAIN_TX_CAPACITY);
    device->hour = hour;
    device->reported_wh = before + tx->as.reading.energy_wh;
    return TERN_OK;
}

static tern_err apply_reading(struct tern_apply *apply, const struct tern_tx *tx, tern_fault *fault)
{
    struct tern_row_device device;
    struct tern_row_account owner;
    if (!tern_row_get_device(apply->state, &tx->sender, &device))
        return apply_fault(fault, TERN_FAULT_CHAIN_TX_DEVICE_UNKNOWN);
    TERN_TRY(apply_nonce(device.nonce, tx->nonce, fault));
    TERN_TRY(apply_reading_energy(apply, tx, &device, fault));
    tern_row_get_account(apply->state, &device.owner, &owner);
    if (owner.balance < tx->fee)
        return apply_fault(fault, TERN_FAULT_CHAIN_TX_BALANCE);
    owner.balance -= tx->fee;
    device.nonce++;
    if (tx->fee > 0)
        TERN_TRY(tern_row_put_account(apply->state, &device.owner, &owner));
    TERN_TRY(tern_row_put_device(apply->state, &tx->sender, &device));
    return tern_market_credit(apply, tx->as.reading.hour, &device.owner, tx->as.reading.energy_wh);
}

static tern_err apply_transfer(struct tern_apply *apply, const struct tern_tx *tx,
                               struct tern_row_account *from, tern_fault *fault)
{
    tern_money amount = tx->as.transfer.amount;
    if (from->balance < amount)
        return apply_fault(fault, TERN_FAULT_CHAIN_TX_BALANCE);
    from->balance -= amount;
    struct tern_row_account to;
    tern_row_get_account(apply->state, &tx->as.transfer.to, &to);
    to.balance += amount;
    return tern_row_put_account(apply->state, &tx->as.transfer.to, &to);
}

static tern_err apply_of_account(struct tern_apply *apply, const struct tern_tx *tx,
                                 const struct tern_hash *id, tern_fault *fault)
{
    struct tern_row_account account;
    tern_row_get_account(apply->state, &tx->sender, &account);
    TERN_TRY(apply_nonce(account.nonce, tx->nonce, fault));
    if (account.balance < tx->fee)
        return apply_fault(fault, TERN_FAULT_CHAIN_TX_BALANCE);
    account.balance -= tx->fee;
    account.nonce++;
    switch (tx->kind) {
    case TERN_TX_TRANSFER:
        TERN_TRY(apply_transfer(apply, tx, &account, fault));
        break;
    case TERN_TX_ASK:
    case TERN_TX_BID:
        TERN_TRY(tern_market_place(apply, tx, id, &account, fault));
        break;
    case TERN_TX_CANCEL:
        TERN_TRY(tern_market_cancel(apply, tx, &account, fault));
        break;
    case TERN_TX_READING:
        TERN_UNREACHABLE();
    }
    return tern_row_put_account(apply->state, &tx->sender, &account);
}

tern_err tern_apply_tx(struct tern_apply *apply, const struct tern_tx *tx,
                       const struct tern_hash *id, tern_fault *fault)
{
    *fault = tern_tx_check(tx);
    if (*fault != TERN_FAULT_NONE)
        return TERN_ERR_PROTOCOL;
    if (tx->fee < apply->params.fee_min)
        return apply_fault(fault, TERN_FAULT_CHAIN_TX_FEE_LOW);
    size_t mark = tern_state_mark(apply->state);
    struct tern_row_totals totals = apply->totals;
    tern_err err = tx->kind == TERN_TX_READING ? apply_reading(apply, tx, fault)
                                               : apply_of_account(apply, tx, id, fault);
    if (err != TERN_OK) {
        tern_state_rollback(apply->state, mark);
        apply->totals = totals;
        return err;
    }
    apply->fees += tx->fee;
    apply->txs_count++;
    return TERN_OK;
}

static tern_err apply_pay_fees(struct tern_apply *apply)
{
    if (apply->fees == 0)
        return TERN_OK;
    struct tern_row_account proposer;
    tern_row_get_account(apply->state, &apply->params.proposer, &proposer);
    proposer.balance += apply->fees;
    return tern_row_put_account(apply->state, &apply->params.proposer, &proposer);
}

tern_err tern_apply_finish(struct tern_apply *apply)
{
    for (size_t i = 0; i < apply->hours_count; i++)
        TERN_TRY(tern_market_clear(apply, apply->hours[i]));
    TERN_TRY(apply_pay_fees(apply));
    return tern_row_put_totals(apply->state, &apply->totals);
}

void tern_apply_fini(struct tern_apply *apply)
{
    tern_mem_free(apply->state->mem, apply->trades, apply->trades_capacity * sizeof *apply->trades);
    apply->trades = NULL;
    apply->trades_capacity = 0;
    apply->trades_count = 0;
}

tern_err tern_apply_try(const struct tern_apply_params *params, const struct tern_tx *tx,
                        const struct tern_hash *id, tern_fault *fault)
{
    *fault = TERN_FAULT_NONE;
    size_t mark = tern_state_mark(params->state);
    struct tern_apply apply;
    tern_err err = tern_apply_begin(&apply, params);
    if (err == TERN_OK)
        err = tern_apply_tx(&apply, tx, id, fault);
    tern_state_rollback(params->state, mark);
    tern_apply_fini(&apply);
    return err;
}

static tern_err apply_txs(struct tern_apply *apply, const struct tern_block *block,
                          struct tern_apply_result *result, tern_fault *fault)
{
    struct tern_block_txs it = tern_block_txs_of(block);
    struct tern_tx tx;
    struct tern_view bytes;
    while (tern_block_txs_next(&it, &tx, &bytes)) {
        struct tern_hash id;
        tern_tx_id(bytes, &id);
        tern_err err = tern_apply_tx(apply, &tx, &id, &result->tx_fault);
        if (err == TERN_ERR_PROTOCOL) {
            result->tx_index = it.index;
            return apply_fault(fault, TERN_FAULT_CHAIN_BLOCK_TX_INVALID);
        }
        TERN_TRY(err);
    }
    return TERN_OK;
}

static tern_err apply_check_roots(struct tern_state *state, const struct tern_header *header,
                                  const struct tern_state_diff *diff, tern_fault *fault)
{
    struct tern_hash root;
    tern_state_diff_root(diff, &root);
    if (!tern_hash_equal(&root, &header->diff_root))
        return apply_fault(fault, TERN_FAULT_CHAIN_BLOCK_DIFF_ROOT);
    tern_state_root(state, &root);
    if (!tern_hash_equal(&root, &header->state_root))
        return apply_fault(fault, TERN_FAULT_CHAIN_BLOCK_STATE_ROOT);
    return TERN_OK;
}

static tern_err apply_block(struct tern_apply *apply, const struct tern_apply_params *params,
                            const struct tern_block *block, struct tern_apply_result *result,
                            tern_fault *fault)
{
    size_t mark = tern_state_mark(params->state);
    TERN_TRY(tern_apply_begin(apply, params));
    TERN_TRY(apply_txs(apply, block, result, fault));
    TERN_TRY(tern_apply_finish(apply));
    TERN_TRY(tern_state_diff(params->state, mark, &result->diff));
    TERN_DCHECK(tern_audit_diff(&result->diff));
    return apply_check_roots(params->state, &block->header, &result->diff, fault);
}

tern_err tern_apply_block(struct tern_state *state, const struct tern_genesis *genesis,
                          const struct tern_block *block, struct tern_apply_result *result,
                          tern_fault *fault)
{
    *fault = TERN_FAULT_NONE;
    *result = (struct tern_apply_result){.mem = state->mem, .diff = {.mem = state->mem}};
    struct tern_apply_params params = {
        .state = state,
        .fee_min = genesis->fee_min,
        .height = block->header.height,
        .time_ms = block->header.time_ms,
        .proposer = block->header.proposer,
    };
    size_t mark = tern_state_mark(state);
    struct tern_apply apply;
    tern_err err = apply_block(&apply, &params, block, result, fault);
    if (err != TERN_OK) {
        tern_state_rollback(state, mark);
        tern_apply_fini(&apply);
        tern_state_diff_fini(&result->diff);
        return err;
    }
    result->trades = apply.trades;
    result->trades_count = apply.trades_count;
    result->trades_capacity = apply.trades_capacity;
    return TERN_OK;
}

void tern_apply_result_fini(struct tern_apply_result *result)
{
    tern_state_diff_fini(&result->diff);
    tern_mem_free(result->mem, result->trades, result->trades_capacity * sizeof *result->trades);
    *result = (struct tern_apply_result){.mem = result->mem, .diff = {.mem = result->mem}};
}
