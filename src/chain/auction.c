#include "chain/auction.h"

#include "base/check.h"

static tern_price auction_max(tern_price a, tern_price b)
{
    return a > b ? a : b;
}

static tern_price auction_min(tern_price a, tern_price b)
{
    return a < b ? a : b;
}

static void auction_reset(struct tern_auction_order *orders, size_t count)
{
    for (size_t i = 0; i < count; i++)
        orders[i].filled_wh = 0;
}

void tern_auction_clear(struct tern_auction *auction)
{
    struct tern_auction_order *asks = auction->asks;
    struct tern_auction_order *bids = auction->bids;
    auction_reset(asks, auction->asks_count);
    auction_reset(bids, auction->bids_count);
    auction->price = 0;
    auction->energy_wh = 0;
    size_t a = 0;
    size_t b = 0;
    tern_price ask_last = 0;
    tern_price bid_last = 0;
    while (a < auction->asks_count && b < auction->bids_count && asks[a].price <= bids[b].price) {
        tern_energy ask_left = asks[a].energy_wh - asks[a].filled_wh;
        tern_energy bid_left = bids[b].energy_wh - bids[b].filled_wh;
        tern_energy energy = ask_left < bid_left ? ask_left : bid_left;
        TERN_DCHECK(energy > 0);
        TERN_DCHECK(asks[a].price >= ask_last && (bid_last == 0 || bids[b].price <= bid_last));
        asks[a].filled_wh += energy;
        bids[b].filled_wh += energy;
        auction->energy_wh += energy;
        ask_last = asks[a].price;
        bid_last = bids[b].price;
        a += energy == ask_left;
        b += energy == bid_left;
    }
    if (auction->energy_wh == 0)
        return;
    tern_price low = b < auction->bids_count ? auction_max(ask_last, bids[b].price) : ask_last;
    tern_price high = a < auction->asks_count ? auction_min(bid_last, asks[a].price) : bid_last;
    TERN_CHECK(low <= high);
    auction->price = low + (high - low) / 2;
}
