/* The auction against what it promises, on all small inputs and on random large ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "chain/auction.h"

enum { PRICES = 4, ENERGIES = 3, ORDERS_MAX = 3 };

static void order_by_price(struct tern_auction_order *orders, size_t count, bool descending)
{
    for (size_t i = 1; i < count; i++) {
        struct tern_auction_order o = orders[i];
        size_t j = i;
        while (j > 0 &&
               (descending ? orders[j - 1].price < o.price : orders[j - 1].price > o.price)) {
            orders[j] = orders[j - 1];
            j--;
        }
        orders[j] = o;
    }
}

static tern_energy energy_at(const struct tern_auction_order *orders, size_t count,
                             tern_price price, bool asks)
{
    tern_energy sum = 0;
    for (size_t i = 0; i < count; i++)
        if (asks ? orders[i].price <= price : orders[i].price >= price)
            sum += orders[i].energy_wh;
    return sum;
}

/* The most energy that any single price can trade: by trying every price. */
static tern_energy brute_force(const struct tern_auction *a, tern_price price_max)
{
    tern_energy best = 0;
    for (tern_price price = 0; price <= price_max; price++) {
        tern_energy supply = energy_at(a->asks, a->asks_count, price, true);
        tern_energy demand = energy_at(a->bids, a->bids_count, price, false);
        tern_energy traded = supply < demand ? supply : demand;
        best = traded > best ? traded : best;
    }
    return best;
}

static void check_side(const struct tern_auction_order *orders, size_t count,
                       const struct tern_auction *a, bool asks)
{
    tern_energy sum = 0;
    bool partial = false;
    for (size_t i = 0; i < count; i++) {
        assert_true(orders[i].filled_wh <= orders[i].energy_wh);
        sum += orders[i].filled_wh;
        if (partial) /* served in the order given */
            assert_int_equal(orders[i].filled_wh, 0);
        partial = partial || orders[i].filled_wh < orders[i].energy_wh;
        if (orders[i].filled_wh > 0)
            assert_true(asks ? orders[i].price <= a->price : orders[i].price >= a->price);
        /* Nobody left wanting would have taken this price gladly. */
        if (a->energy_wh > 0 && orders[i].filled_wh < orders[i].energy_wh)
            assert_true(asks ? orders[i].price >= a->price : orders[i].price <= a->price);
    }
    assert_int_equal(sum, a->energy_wh);
}

static void check_auction(struct tern_auction *a, tern_price price_max)
{
    tern_auction_clear(a);
    assert_int_equal(a->energy_wh, brute_force(a, price_max));
    check_side(a->asks, a->asks_count, a, true);
    check_side(a->bids, a->bids_count, a, false);
    if (a->energy_wh == 0)
        assert_int_equal(a->price, 0);
}

/* The n-th combination of count orders; false past the last. */
static bool enumerate(uint64_t n, struct tern_auction_order *orders, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        orders[i] = (struct tern_auction_order){
            .price = 1 + n % PRICES,
            .energy_wh = 1 + n / PRICES % ENERGIES,
        };
        n /= PRICES * ENERGIES;
    }
    return n == 0;
}

static void all_small_auctions_keep_their_promises(void **unused)
{
    (void)unused;
    for (size_t asks_count = 0; asks_count <= ORDERS_MAX; asks_count++) {
        for (size_t bids_count = 0; bids_count <= ORDERS_MAX; bids_count++) {
            struct tern_auction_order asks[ORDERS_MAX];
            struct tern_auction_order bids[ORDERS_MAX];
            for (uint64_t i = 0; enumerate(i, asks, asks_count); i++) {
                for (uint64_t j = 0; enumerate(j, bids, bids_count); j++) {
                    enumerate(i, asks, asks_count);
                    order_by_price(asks, asks_count, false);
                    order_by_price(bids, bids_count, true);
                    check_auction(&(struct tern_auction){asks, asks_count, bids, bids_count, 0, 0},
                                  PRICES + 1);
                }
            }
        }
    }
}

static void random_large_auctions_keep_their_promises(void **unused)
{
    (void)unused;
    struct tern_random random;
    tern_random_init_u64(&random, 11);
    for (unsigned round = 0; round < 300; round++) {
        struct tern_auction_order asks[100];
        struct tern_auction_order bids[100];
        size_t asks_count = tern_random_below(&random, 100);
        size_t bids_count = tern_random_below(&random, 100);
        for (size_t i = 0; i < asks_count; i++)
            asks[i] = (struct tern_auction_order){1 + tern_random_below(&random, 300),
                                                  1 + tern_random_below(&random, 1000), 0};
        for (size_t i = 0; i < bids_count; i++)
            bids[i] = (struct tern_auction_order){1 + tern_random_below(&random, 300),
                                                  1 + tern_random_below(&random, 1000), 0};
        order_by_price(asks, asks_count, false);
        order_by_price(bids, bids_count, true);
        check_auction(&(struct tern_auction){asks, asks_count, bids, bids_count, 0, 0}, 301);
    }
}

struct known {
    const char *name;
    struct tern_auction_order asks[2];
    size_t asks_count;
    struct tern_auction_order bids[2];
    size_t bids_count;
    tern_price price;
    tern_energy energy_wh;
};

static void known_auctions_have_known_prices(void **unused)
{
    (void)unused;
    static const struct known table[] = {
        {"one of each: the middle", {{10, 5, 0}}, 1, {{20, 5, 0}}, 1, 15, 5},
        {"the middle is rounded down", {{10, 5, 0}}, 1, {{13, 5, 0}}, 1, 11, 5},
        {"demand is left: the bid's price", {{10, 5, 0}}, 1, {{20, 9, 0}}, 1, 20, 5},
        {"supply is left: the ask's price", {{10, 9, 0}}, 1, {{20, 5, 0}}, 1, 10, 5},
        {"the next bid bounds it from below", {{10, 5, 0}}, 1, {{20, 5, 0}, {18, 5, 0}}, 2, 19, 5},
        {"the next ask bounds it from above", {{10, 5, 0}, {12, 5, 0}}, 2, {{20, 5, 0}}, 1, 11, 5},
        {"no crossing", {{21, 5, 0}}, 1, {{20, 5, 0}}, 1, 0, 0},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(table); i++) {
        struct known k = table[i];
        struct tern_auction a = {k.asks, k.asks_count, k.bids, k.bids_count, 0, 0};
        tern_auction_clear(&a);
        if (a.price != k.price || a.energy_wh != k.energy_wh)
            fail_msg("%s: price %u, energy %u", k.name, (unsigned)a.price, (unsigned)a.energy_wh);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_small_auctions_keep_their_promises),
        cmocka_unit_test(random_large_auctions_keep_their_promises),
        cmocka_unit_test(known_auctions_have_known_prices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
