#include "chain/market.h"

#include "base/check.h"
#include "chain/auction.h"

static tern_err market_fault(tern_fault *fault, tern_fault named)
{
    *fault = named;
    return TERN_ERR_PROTOCOL;
}

static tern_err market_check_order(const struct tern_apply *apply,
                                   const struct tern_tx_order *order, tern_fault *fault)
{
    tern_hour now = tern_hour_of(apply->params.time_ms);
    tern_hour first = now < TERN_ORDER_PAST_HOURS ? 0 : now - TERN_ORDER_PAST_HOURS;
    if (order->hour < first || order->hour > now + TERN_ORDER_AHEAD_HOURS)
        return market_fault(fault, TERN_FAULT_CHAIN_TX_HOUR);
    tern_time_ms last = ((tern_time_ms)order->hour + 1 + TERN_ORDER_PAST_HOURS) * TERN_HOUR_MS;
    if (order->expires_ms <= apply->params.time_ms || order->expires_ms > last)
        return market_fault(fault, TERN_FAULT_CHAIN_TX_EXPIRY);
    return TERN_OK;
}

/* Moves an account's energy of an hour between available and offered. */
static tern_err market_offer(struct tern_apply *apply, tern_hour hour,
                             const struct tern_account *account, int64_t energy_wh)
{
    struct tern_row_energy energy;
    struct tern_row_hour sum;
    bool known = tern_row_get_energy(apply->state, hour, account, &energy);
    known = tern_row_get_hour(apply->state, hour, &sum) && known;
    TERN_CHECK(known);
    tern_energy change = (tern_energy)energy_wh; /* modulo 2^64: adds or takes away */
    energy.available_wh -= change;
    energy.offered_wh += change;
    sum.sum.available_wh -= change;
    sum.sum.offered_wh += change;
    TERN_TRY(tern_row_put_energy(apply->state, hour, account, &energy));
    return tern_row_put_hour(apply->state, hour, &sum);
}

/* Remembers, in order, that the hour has new orders. */
static void market_touch(struct tern_apply *apply, tern_hour hour)
{
    size_t i = apply->hours_count;
    while (i > 0 && apply->hours[i - 1] > hour)
        i--;
    if (i > 0 && apply->hours[i - 1] == hour)
        return;
    TERN_CHECK(apply->hours_count < TERN_APPLY_HOURS_MAX);
    memmove(&apply->hours[i + 1], &apply->hours[i],
            (apply->hours_count - i) * sizeof apply->hours[0]);
    apply->hours[i] = hour;
    apply->hours_count++;
}

static tern_err market_reserve(struct tern_apply *apply, const struct tern_tx *tx,
                               struct tern_row_account *account, tern_fault *fault)
{
    const struct tern_tx_order *order = &tx->as.order;
    if (tx->kind == TERN_TX_BID) {
        tern_money escrow = order->price * order->energy_wh;
        if (escrow > account->balance)
            return market_fault(fault, TERN_FAULT_CHAIN_TX_BALANCE);
        account->balance -= escrow;
        apply->totals.accounts -= escrow;
        apply->totals.escrow += escrow;
        return TERN_OK;
    }
    struct tern_row_energy energy;
    tern_row_get_energy(apply->state, order->hour, &tx->sender, &energy);
    if (order->energy_wh > energy.available_wh)
        return market_fault(fault, TERN_FAULT_CHAIN_TX_ENERGY);
    return market_offer(apply, order->hour, &tx->sender, (int64_t)order->energy_wh);
}

tern_err tern_market_place(struct tern_apply *apply, const struct tern_tx *tx,
                           const struct tern_hash *id, struct tern_row_account *account,
                           tern_fault *fault)
{
    const struct tern_tx_order *order = &tx->as.order;
    TERN_TRY(market_check_order(apply, order, fault));
    if (account->orders_count >= TERN_ORDERS_PER_ACCOUNT_MAX ||
        apply->totals.orders_count >= TERN_ORDERS_MAX)
        return market_fault(fault, TERN_FAULT_CHAIN_TX_ORDERS_FULL);
    TERN_TRY(market_reserve(apply, tx, account, fault));
    struct tern_order_place place = {
        .hour = order->hour,
        .side = tx->kind == TERN_TX_BID ? TERN_SIDE_BID : TERN_SIDE_ASK,
        .price = order->price,
        .height = apply->params.height,
        .index = apply->txs_count,
    };
    struct tern_row_order row = {
        .account = tx->sender,
        .energy_wh = order->energy_wh,
        .expires_ms = order->expires_ms,
        .id = *id,
    };
    TERN_TRY(tern_row_add_order(apply->state, &place, &row));
    account->orders_count++;
    apply->totals.orders_count++;
    market_touch(apply, order->hour);
    return TERN_OK;
}

/* Closes an order that is not filled any further: its rows go, what it reserved comes back. */
static tern_err market_close(struct tern_apply *apply, const struct tern_order_place *place,
                             const struct tern_row_order *row, struct tern_row_account *account)
{
    TERN_TRY(tern_row_remove_order(apply->state, place, row));
    TERN_CHECK(account->orders_count > 0 && apply->totals.orders_count > 0);
    account->orders_count--;
    apply->totals.orders_count--;
    if (place->side == TERN_SIDE_ASK)
        return market_offer(apply, place->hour, &row->account, -(int64_t)row->energy_wh);
    tern_money escrow = place->price * row->energy_wh;
    TERN_CHECK(apply->totals.escrow >= escrow);
    account->balance += escrow;
    apply->totals.accounts += escrow;
    apply->totals.escrow -= escrow;
    return TERN_OK;
}

tern_err tern_market_cancel(struct tern_apply *apply, const struct tern_tx *tx,
                            struct tern_row_account *account, tern_fault *fault)
{
    struct tern_order_place place;
    struct tern_row_order row;
    if (!tern_row_get_order(apply->state, &tx->as.cancel, &place, &row))
        return market_fault(fault, TERN_FAULT_CHAIN_TX_ORDER_UNKNOWN);
    if (!tern_account_equal(&row.account, &tx->sender))
        return market_fault(fault, TERN_FAULT_CHAIN_TX_ORDER_OWNER);
    return market_close(apply, &place, &row, account);
}

static tern_err market_expire_one(struct tern_apply *apply, struct tern_view book)
{
    struct tern_order_place place;
    struct tern_row_order row;
    struct tern_view value = tern_view_of(NULL, 0);
    bool found = tern_row_place_of_book(book, &place) && tern_state_get(apply->state, book, &value);
    TERN_CHECK(found && tern_row_decode_order(value, &row) == TERN_OK);
    TERN_DCHECK(row.expires_ms <= apply->params.time_ms);
    struct tern_row_account account;
    TERN_CHECK(tern_row_get_account(apply->state, &row.account, &account));
    TERN_TRY(market_close(apply, &place, &row, &account));
    return tern_row_put_account(apply->state, &row.account, &account);
}

tern_err tern_market_expire(struct tern_apply *apply)
{
    const struct tern_order_place none = {.height = 0};
    struct tern_row_key first;
    struct tern_row_key end;
    tern_row_key_expiry(0, &none, &first);
    tern_row_key_expiry(apply->params.time_ms + 1, &none, &end);
    for (uint32_t i = 0; i <= TERN_ORDERS_MAX; i++) {
        const struct tern_state_row *row = tern_state_seek(apply->state, tern_row_key_view(&first));
        if (row == NULL || tern_view_compare(tern_state_row_key(row), tern_row_key_view(&end)) >= 0)
            return TERN_OK;
        TERN_TRY(market_expire_one(apply, tern_state_row_value(row)));
    }
    TERN_UNREACHABLE();
}

tern_err tern_market_credit(struct tern_apply *apply, tern_hour hour,
                            const struct tern_account *account, tern_energy energy_wh)
{
    struct tern_row_energy energy;
    struct tern_row_hour sum;
    tern_row_get_energy(apply->state, hour, account, &energy);
    tern_row_get_hour(apply->state, hour, &sum);
    energy.measured_wh += energy_wh;
    energy.available_wh += energy_wh;
    sum.sum.measured_wh += energy_wh;
    sum.sum.available_wh += energy_wh;
    TERN_TRY(tern_row_put_energy(apply->state, hour, account, &energy));
    return tern_row_put_hour(apply->state, hour, &sum);
}
