/*
 * The auction: a uniform-price double auction in integers. Given the asks and bids of one delivery
 * hour, best first, it trades the most energy that limits allow and finds one price for all of it.
 *
 *     - orders are served in the order given: price, then arrival. The last one served may be
 * filled in part
 *     - the price clears the market: whoever was filled accepts it, and nobody who was left wanting
 * would have done better by it. The prices that do so form a range, from the highest of (dearest
 * ask served, best bid left) to the lowest of (cheapest bid served, best ask left); the price is
 * its middle, rounded down
 *
 * Pure and thread safe; allocates nothing.
 */
#ifndef TERN_CHAIN_AUCTION_H
#define TERN_CHAIN_AUCTION_H

#include "chain/types.h"

struct tern_auction_order {
    tern_price price;
    tern_energy energy_wh;
    tern_energy filled_wh; /* result */
};

struct tern_auction {
    struct tern_auction_order *asks; /* prices ascend */
    size_t asks_count;
    struct tern_auction_order *bids; /* prices descend */
    size_t bids_count;
    tern_price price;      /* result; 0 when nothing is traded */
    tern_energy energy_wh; /* result: sum of the asks' fills, and of the bids' */
};

/* tern_auction_clear fills in the results. Energies are not 0, and their sum on each side fits 64
 * bits. */
void tern_auction_clear(struct tern_auction *auction);

#endif
