#include "base/check.h"
#include "chain/auction.h"
#include "chain/market.h"

/* One side of an hour's book, as far as it can trade: the orders that cross the other side's best.
 */
struct clear_side {
    struct tern_mem *mem;
    struct tern_auction_order *orders; /* best first */
    struct tern_order_place *places;
    struct tern_row_order *rows;
    size_t count;
    size_t capacity;
};

static void clear_side_fini(struct clear_side *side)
{
    tern_mem_free(side->mem, side->orders, side->capacity * sizeof *side->orders);
    tern_mem_free(side->mem, side->places, side->capacity * sizeof *side->places);
    tern_mem_free(side->mem, side->rows, side->capacity * sizeof *side->rows);
    *side = (struct clear_side){.mem = side->mem};
}

static bool clear_side_reserve(struct clear_side *side, size_t capacity)
{
    if (capacity == 0)
        return true;
    side->capacity = capacity;
    side->orders = tern_mem_alloc(side->mem, capacity * sizeof *side->orders);
    side->places = tern_mem_alloc(side->mem, capacity * sizeof *side->places);
    side->rows = tern_mem_alloc(side->mem, capacity * sizeof *side->rows);
    return side->orders != NULL && side->places != NULL && side->rows != NULL;
}

static bool clear_crosses(enum tern_side side, tern_price price, tern_price best)
{
    return side == TERN_SIDE_ASK ? price <= best : price >= best;
}

/* The best row of one side of the hour, or NULL. */
static const struct tern_state_row *clear_best(const struct tern_state *state, tern_hour hour,
                                               enum tern_side side, struct tern_order_place *place)
{
    struct tern_row_key key;
    tern_row_key_book_side(hour, side, &key);
    const struct tern_state_row *row = tern_state_seek(state, tern_row_key_view(&key));
    if (row == NULL || !tern_row_place_of_book(tern_state_row_key(row), place))
        return NULL;
    return place->hour == hour && place->side == side ? row : NULL;
}

static void clear_add(struct clear_side *side, const struct tern_state_row *row,
                      const struct tern_order_place *place)
{
    size_t i = side->count++;
    side->places[i] = *place;
    tern_err err = tern_row_decode_order(tern_state_row_value(row), &side->rows[i]);
    TERN_CHECK(err == TERN_OK);
    side->orders[i] = (struct tern_auction_order){
        .price = place->price,
        .energy_wh = side->rows[i].energy_wh,
    };
}

/* Walks the side's orders that are not worse than the other side's best; counts them, or collects
 * them when there is room. */
static size_t clear_walk(const struct tern_state *state, const struct tern_order_place *best,
                         tern_price other, struct clear_side *collect)
{
    struct tern_order_place place;
    const struct tern_state_row *row = clear_best(state, best->hour, best->side, &place);
    size_t count = 0;
    while (row != NULL && tern_row_place_of_book(tern_state_row_key(row), &place) &&
           place.hour == best->hour && place.side == best->side &&
           clear_crosses(place.side, place.price, other)) {
        if (collect != NULL)
            clear_add(collect, row, &place);
        count++;
        row = tern_state_next(row);
    }
    return count;
}

static tern_err clear_collect(const struct tern_state *state, const struct tern_order_place *best,
                              tern_price other, struct clear_side *side)
{
    *side = (struct clear_side){.mem = state->mem};
    if (!clear_side_reserve(side, clear_walk(state, best, other, NULL)))
        return TERN_ERR_MEMORY;
    clear_walk(state, best, other, side);
    TERN_CHECK(side->count == side->capacity);
    return TERN_OK;
}

/* Settles one order: the account is paid or pays, the order's rows follow. */
static tern_err clear_settle(struct tern_apply *apply, struct clear_side *side, size_t i,
                             tern_price price)
{
    const struct tern_order_place *place = &side->places[i];
    struct tern_row_order *row = &side->rows[i];
    tern_energy filled = side->orders[i].filled_wh;
    struct tern_row_account account;
    struct tern_row_energy energy;
    TERN_CHECK(tern_row_get_account(apply->state, &row->account, &account));
    tern_row_get_energy(apply->state, place->hour, &row->account, &energy);
    if (place->side == TERN_SIDE_ASK) {
        TERN_CHECK(energy.offered_wh >= filled);
        account.balance += price * filled;
        energy.offered_wh -= filled;
        energy.sold_wh += filled;
        apply->totals.accounts += price * filled;
    } else {
        tern_money back = (place->price - price) * filled;
        TERN_CHECK(apply->totals.escrow >= place->price * filled);
        account.balance += back;
        energy.bought_wh += filled;
        apply->totals.escrow -= place->price * filled;
        apply->totals.accounts += back;
    }
    TERN_TRY(tern_row_put_energy(apply->state, place->hour, &row->account, &energy));
    if (filled == row->energy_wh) {
        TERN_TRY(tern_row_remove_order(apply->state, place, row));
        account.orders_count--;
        apply->totals.orders_count--;
    } else {
        struct tern_row_order left = *row;
        left.energy_wh -= filled;
        TERN_TRY(tern_row_set_order(apply->state, place, &left));
    }
    return tern_row_put_account(apply->state, &row->account, &account);
}

static tern_err clear_add_trade(struct tern_apply *apply, const struct tern_trade *trade)
{
    if (apply->trades_count == apply->trades_capacity) {
        struct tern_mem *mem = apply->state->mem;
        size_t capacity = tern_max_size(16, apply->trades_capacity * 2);
        void *trades = tern_mem_realloc(mem, apply->trades, apply->trades_capacity * sizeof *trade,
                                        capacity * sizeof *trade);
        if (trades == NULL)
            return TERN_ERR_MEMORY;
        apply->trades = trades;
        apply->trades_capacity = capacity;
    }
    apply->trades[apply->trades_count++] = *trade;
    return TERN_OK;
}

/* Names who sold to whom: fills of both sides are paired in the order of the book. */
static tern_err clear_trades(struct tern_apply *apply, const struct clear_side *asks,
                             const struct clear_side *bids, const struct tern_auction *auction)
{
    size_t a = 0;
    size_t b = 0;
    tern_energy ask_left = asks->orders[0].filled_wh;
    tern_energy bid_left = bids->orders[0].filled_wh;
    tern_energy left = auction->energy_wh;
    while (left > 0) {
        tern_energy energy = ask_left < bid_left ? ask_left : bid_left;
        struct tern_trade trade = {
            .hour = asks->places[a].hour,
            .price = auction->price,
            .energy_wh = energy,
            .seller = asks->rows[a].account,
            .buyer = bids->rows[b].account,
            .ask = asks->rows[a].id,
            .bid = bids->rows[b].id,
        };
        TERN_TRY(clear_add_trade(apply, &trade));
        left -= energy;
        ask_left -= energy;
        bid_left -= energy;
        if (ask_left == 0 && left > 0)
            ask_left = asks->orders[++a].filled_wh;
        if (bid_left == 0 && left > 0)
            bid_left = bids->orders[++b].filled_wh;
    }
    return TERN_OK;
}

static tern_err clear_side_settle(struct tern_apply *apply, struct clear_side *side,
                                  tern_price price)
{
    for (size_t i = 0; i < side->count && side->orders[i].filled_wh > 0; i++)
        TERN_TRY(clear_settle(apply, side, i, price));
    return TERN_OK;
}

static tern_err clear_hour_row(struct tern_apply *apply, tern_hour hour,
                               const struct tern_auction *auction)
{
    struct tern_row_hour row;
    TERN_CHECK(tern_row_get_hour(apply->state, hour, &row));
    TERN_CHECK(row.sum.offered_wh >= auction->energy_wh);
    row.sum.offered_wh -= auction->energy_wh;
    row.sum.sold_wh += auction->energy_wh;
    row.sum.bought_wh += auction->energy_wh;
    tern_money traded = auction->price * auction->energy_wh;
    row.traded = row.traded > UINT64_MAX - traded ? UINT64_MAX : row.traded + traded;
    row.price = auction->price;
    row.height = apply->params.height;
    return tern_row_put_hour(apply->state, hour, &row);
}

static tern_err clear_run(struct tern_apply *apply, tern_hour hour, struct clear_side *asks,
                          struct clear_side *bids)
{
    struct tern_auction auction = {
        .asks = asks->orders,
        .asks_count = asks->count,
        .bids = bids->orders,
        .bids_count = bids->count,
    };
    tern_auction_clear(&auction);
    TERN_CHECK(auction.energy_wh > 0);
    TERN_TRY(clear_trades(apply, asks, bids, &auction));
    TERN_TRY(clear_side_settle(apply, asks, auction.price));
    TERN_TRY(clear_side_settle(apply, bids, auction.price));
    return clear_hour_row(apply, hour, &auction);
}

tern_err tern_market_clear(struct tern_apply *apply, tern_hour hour)
{
    struct tern_order_place ask;
    struct tern_order_place bid;
    if (clear_best(apply->state, hour, TERN_SIDE_ASK, &ask) == NULL ||
        clear_best(apply->state, hour, TERN_SIDE_BID, &bid) == NULL || ask.price > bid.price)
        return TERN_OK;
    struct clear_side asks = {.mem = apply->state->mem};
    struct clear_side bids = {.mem = apply->state->mem};
    tern_err err = clear_collect(apply->state, &ask, bid.price, &asks);
    if (err == TERN_OK)
        err = clear_collect(apply->state, &bid, ask.price, &bids);
    if (err == TERN_OK)
        err = clear_run(apply, hour, &asks, &bids);
    clear_side_fini(&asks);
    clear_side_fini(&bids);
    return err;
}
