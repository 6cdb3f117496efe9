#include "chain/audit.h"

#include "base/check.h"
#include "base/reader.h"

static void audit_say(struct tern_audit *audit, bool well, const char *finding)
{
    if (!well && audit->finding == NULL)
        audit->finding = finding;
}

static void audit_book(const struct tern_state *state, const struct tern_state_row *row,
                       struct tern_audit *audit)
{
    struct tern_order_place place;
    struct tern_row_order order;
    bool well = tern_row_place_of_book(tern_state_row_key(row), &place) &&
                tern_row_decode_order(tern_state_row_value(row), &order) == TERN_OK;
    audit_say(audit, well, "an order's row is damaged");
    if (!well)
        return;
    if (place.side == TERN_SIDE_BID)
        audit->escrow += place.price * order.energy_wh;
    audit->orders_count++;
    audit_say(audit, order.energy_wh > 0, "an order is for no energy");
    struct tern_row_key key;
    struct tern_view value;
    tern_row_key_order(&order.id, &key);
    audit_say(audit,
              tern_state_get(state, tern_row_key_view(&key), &value) &&
                  tern_view_equal(value, tern_state_row_key(row)),
              "an order is not found by its id");
    tern_row_key_expiry(order.expires_ms, &place, &key);
    audit_say(audit,
              tern_state_get(state, tern_row_key_view(&key), &value) &&
                  tern_view_equal(value, tern_state_row_key(row)),
              "an order is not found by its expiry");
}

/* Sums the orders of an account's hour, or of an account: walks the book. */
struct audit_orders {
    tern_energy offered_wh;
    uint32_t count;
};

static void audit_orders_of(const struct tern_state *state, const struct tern_account *account,
                            const tern_hour *hour, struct audit_orders *sum)
{
    *sum = (struct audit_orders){.count = 0};
    const uint8_t first = 'b';
    const struct tern_state_row *row = tern_state_seek(state, tern_view_of(&first, 1));
    for (; row != NULL && row->key[0] == 'b'; row = tern_state_next(row)) {
        struct tern_order_place place;
        struct tern_row_order order;
        if (!tern_row_place_of_book(tern_state_row_key(row), &place) ||
            tern_row_decode_order(tern_state_row_value(row), &order) != TERN_OK ||
            !tern_account_equal(&order.account, account) || (hour != NULL && place.hour != *hour))
            continue;
        sum->count++;
        if (place.side == TERN_SIDE_ASK)
            sum->offered_wh += order.energy_wh;
    }
}

static void audit_account(const struct tern_state *state, const struct tern_state_row *row,
                          struct tern_audit *audit)
{
    struct tern_row_account account;
    struct audit_orders orders = {.count = 0};
    bool well = tern_row_decode_account(tern_state_row_value(row), &account) == TERN_OK;
    audit_say(audit, well, "an account's row is damaged");
    if (!well)
        return;
    audit->accounts += account.balance;
    audit->accounts_count++;
    if (account.orders_count == 0)
        return;
    struct tern_account key;
    memcpy(key.bytes, row->key + 1, sizeof key.bytes);
    audit_orders_of(state, &key, NULL, &orders);
    audit_say(audit, orders.count == account.orders_count, "an account's orders are miscounted");
}

static void audit_energy(const struct tern_state *state, const struct tern_state_row *row,
                         struct tern_audit *audit)
{
    struct tern_row_energy energy;
    bool well = tern_row_decode_energy(tern_state_row_value(row), &energy) == TERN_OK;
    well = well && energy.measured_wh == energy.available_wh + energy.offered_wh + energy.sold_wh;
    audit_say(audit, well, "an account's energy does not add up");
    if (!well || energy.offered_wh == 0)
        return;
    struct tern_reader r = tern_reader_of(tern_state_row_key(row));
    tern_hour hour = 0;
    struct tern_account key = {{0}};
    tern_reader_skip(&r, 1);
    tern_reader_u32be(&r, &hour);
    tern_reader_copy(&r, key.bytes, sizeof key.bytes);
    struct audit_orders orders;
    audit_orders_of(state, &key, &hour, &orders);
    audit_say(audit, orders.offered_wh == energy.offered_wh,
              "an account's asks are not what it offers");
}

static void audit_add_energy(struct tern_row_energy *sum, const struct tern_row_energy *energy)
{
    sum->measured_wh += energy->measured_wh;
    sum->available_wh += energy->available_wh;
    sum->offered_wh += energy->offered_wh;
    sum->sold_wh += energy->sold_wh;
    sum->bought_wh += energy->bought_wh;
}

static void audit_hour(const struct tern_state *state, const struct tern_state_row *row,
                       struct tern_audit *audit)
{
    struct tern_row_hour hour;
    bool well = tern_row_decode_hour(tern_state_row_value(row), &hour) == TERN_OK;
    audit_say(audit, well, "an hour's row is damaged");
    if (!well)
        return;
    audit->hours_count++;
    struct tern_row_energy sum = {.measured_wh = 0};
    const struct tern_state_row *other = tern_state_row_first(state);
    for (; other != NULL; other = tern_state_row_after(state, other)) {
        struct tern_row_energy energy;
        if (other->key[0] == 'e' && memcmp(other->key + 1, row->key + 1, 4) == 0 &&
            tern_row_decode_energy(tern_state_row_value(other), &energy) == TERN_OK)
            audit_add_energy(&sum, &energy);
    }
    audit_say(audit, memcmp(&sum, &hour.sum, sizeof sum) == 0, "an hour's sum is wrong");
    audit_say(audit, hour.sum.sold_wh == hour.sum.bought_wh,
              "in an hour, energy sold is not energy bought");
}

void tern_audit_state(const struct tern_state *state, tern_money supply, struct tern_audit *audit)
{
    *audit = (struct tern_audit){.finding = NULL};
    const struct tern_state_row *row = tern_state_row_first(state);
    for (; row != NULL; row = tern_state_row_after(state, row)) {
        switch (row->key[0]) {
        case 'a':
            audit_account(state, row, audit);
            break;
        case 'b':
            audit_book(state, row, audit);
            break;
        case 'e':
            audit_energy(state, row, audit);
            break;
        case 'h':
            audit_hour(state, row, audit);
            break;
        default: /* rows that book rows lead to, devices, totals */
            break;
        }
    }
    struct tern_row_totals totals;
    audit_say(audit, tern_row_get_totals(state, &totals), "the totals are missing");
    audit_say(audit, totals.accounts == audit->accounts, "the sum of balances is wrong");
    audit_say(audit, totals.escrow == audit->escrow, "the sum of escrow is wrong");
    audit_say(audit, totals.orders_count == audit->orders_count, "orders are miscounted");
    audit_say(audit, audit->accounts + audit->escrow == supply, "money appeared or vanished");
}

/* What one version of a row holds, as far as it must add up. */
struct audit_sum {
    uint64_t money; /* modulo 2^64, as are the differences */
    uint64_t sold;
    uint64_t bought;
};

static void audit_value(struct tern_view key, struct tern_view value, struct audit_sum *sum)
{
    *sum = (struct audit_sum){.money = 0};
    if (value.size == 0)
        return;
    if (key.data[0] == 'a') {
        struct tern_row_account account;
        TERN_CHECK(tern_row_decode_account(value, &account) == TERN_OK);
        sum->money = account.balance;
    } else if (key.data[0] == 'b') {
        struct tern_order_place place;
        struct tern_row_order order;
        TERN_CHECK(tern_row_place_of_book(key, &place));
        TERN_CHECK(tern_row_decode_order(value, &order) == TERN_OK);
        sum->money = place.side == TERN_SIDE_BID ? place.price * order.energy_wh : 0;
    } else if (key.data[0] == 'e') {
        struct tern_row_energy energy;
        TERN_CHECK(tern_row_decode_energy(value, &energy) == TERN_OK);
        sum->sold = energy.sold_wh;
        sum->bought = energy.bought_wh;
    }
}

bool tern_audit_diff(const struct tern_state_diff *diff)
{
    uint64_t money = 0;
    uint64_t sold_less_bought = 0;
    for (size_t i = 0; i < diff->count; i++) {
        const struct tern_state_delta *delta = &diff->deltas[i];
        struct tern_view key = tern_view_of(delta->key, delta->key_size);
        struct audit_sum before;
        struct audit_sum after;
        audit_value(key, tern_view_of(delta->old_value, delta->old_size), &before);
        audit_value(key, tern_view_of(delta->new_value, delta->new_size), &after);
        money += after.money - before.money;
        sold_less_bought += (after.sold - before.sold) - (after.bought - before.bought);
        if (i + 1 == diff->count)
            break;
        /* Rows of space e come in order of hour: each hour must even out by itself. */
        bool hour_ends =
            key.data[0] == 'e' && (diff->deltas[i + 1].key[0] != 'e' ||
                                   memcmp(key.data + 1, diff->deltas[i + 1].key + 1, 4) != 0);
        if (hour_ends && sold_less_bought != 0)
            return false;
    }
    return money == 0 && sold_less_bought == 0;
}
