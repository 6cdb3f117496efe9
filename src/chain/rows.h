/*
 * The rows of the state and what they mean. A key starts with a letter, its space; numbers in keys
 * are big-endian, so that key order is number order; numbers in values are little-endian.
 *
 *     a account                      balance, nonce, open orders
 *     d device                       owner, nonce, capacity, hour and energy of its newest reading
 *     e hour account                 energy of an account in an hour: measured, available, offered,
 * sold, bought h hour                         the same summed over all accounts, money traded,
 * newest clearing price b hour side price height index an open order, in the order of the book:
 * best price first, then arrival. Bids carry the price's complement, so that the highest is first
 *     o order id                     where in the book the order stands
 *     x expires height index         the same, in order of expiry
 *     t                              totals: money in accounts, money in escrow, open orders
 *
 * Invariants (chain/audit.h checks them):
 *
 *     sum of balances = t.accounts;  sum of bids' price * energy = t.escrow;  t.accounts + t.escrow
 * = supply e: measured = available + offered + sold;  sum of asks of the account and hour = offered
 *     h: sum over e of each column;  sold = bought
 *
 * Only spaces b and x are read in order.
 */
#ifndef TERN_CHAIN_ROWS_H
#define TERN_CHAIN_ROWS_H

#include "base/error.h"
#include "chain/state.h"
#include "chain/types.h"

enum tern_side { TERN_SIDE_ASK = 0, TERN_SIDE_BID = 1 };

struct tern_row_key {
    uint8_t size;
    uint8_t bytes[TERN_STATE_KEY_MAX];
};

static inline struct tern_view tern_row_key_view(const struct tern_row_key *key)
{
    return tern_view_of(key->bytes, key->size);
}

struct tern_row_account {
    tern_money balance;
    uint64_t nonce; /* of the next transaction */
    uint32_t orders_count;
};

struct tern_row_device {
    struct tern_account owner;
    uint64_t nonce;
    tern_energy capacity_wh;
    tern_hour hour;          /* of the newest reading */
    tern_energy reported_wh; /* in that hour */
};

struct tern_row_energy {
    tern_energy measured_wh;
    tern_energy available_wh; /* measured and neither offered nor sold */
    tern_energy offered_wh;   /* in open asks */
    tern_energy sold_wh;
    tern_energy bought_wh;
};

struct tern_row_hour {
    struct tern_row_energy sum;
    tern_money traded; /* money that changed hands */
    tern_price price;  /* of the newest clearing; 0: none yet */
    uint64_t height;   /* of the newest clearing */
};

/* Where an order stands in the book. */
struct tern_order_place {
    tern_hour hour;
    enum tern_side side;
    tern_price price;
    uint64_t height; /* arrival: block and index in it */
    uint32_t index;
};

struct tern_row_order {
    struct tern_account account;
    tern_energy energy_wh; /* still open */
    tern_time_ms expires_ms;
    struct tern_hash id;
};

struct tern_row_totals {
    tern_money accounts;
    tern_money escrow;
    uint32_t orders_count;
};

/* tern_row_is_ordered tells whether a key's space is read in order. */
bool tern_row_is_ordered(struct tern_view key);

void tern_row_key_account(const struct tern_account *account, struct tern_row_key *key);
void tern_row_key_device(const struct tern_account *device, struct tern_row_key *key);
void tern_row_key_energy(tern_hour hour, const struct tern_account *account,
                         struct tern_row_key *key);
void tern_row_key_hour(tern_hour hour, struct tern_row_key *key);
void tern_row_key_order(const struct tern_hash *id, struct tern_row_key *key);
void tern_row_key_book(const struct tern_order_place *place, struct tern_row_key *key);
void tern_row_key_expiry(tern_time_ms expires_ms, const struct tern_order_place *place,
                         struct tern_row_key *key);
void tern_row_key_totals(struct tern_row_key *key);

/* tern_row_key_book_side is the prefix of all orders of one side of an hour. */
void tern_row_key_book_side(tern_hour hour, enum tern_side side, struct tern_row_key *key);

/* tern_row_place_of_book reads a place back from a key of space b; false when it is none. */
bool tern_row_place_of_book(struct tern_view key, struct tern_order_place *place);

/* Reading rows: false when there is none, and *row is zero then. A value of another size than ours
 * cannot be: the state holds what put wrote (checked); what is loaded from the store is checked
 * there. */
bool tern_row_get_account(const struct tern_state *state, const struct tern_account *account,
                          struct tern_row_account *row);
bool tern_row_get_device(const struct tern_state *state, const struct tern_account *device,
                         struct tern_row_device *row);
bool tern_row_get_energy(const struct tern_state *state, tern_hour hour,
                         const struct tern_account *account, struct tern_row_energy *row);
bool tern_row_get_hour(const struct tern_state *state, tern_hour hour, struct tern_row_hour *row);
bool tern_row_get_totals(const struct tern_state *state, struct tern_row_totals *row);

/* tern_row_get_order finds an open order by its id: its place and its row. */
bool tern_row_get_order(const struct tern_state *state, const struct tern_hash *id,
                        struct tern_order_place *place, struct tern_row_order *row);

/* Writing rows. TERN_ERR_MEMORY: nothing changed. */
TERN_NODISCARD tern_err tern_row_put_account(struct tern_state *state,
                                             const struct tern_account *account,
                                             const struct tern_row_account *row);
TERN_NODISCARD tern_err tern_row_put_device(struct tern_state *state,
                                            const struct tern_account *device,
                                            const struct tern_row_device *row);
TERN_NODISCARD tern_err tern_row_put_energy(struct tern_state *state, tern_hour hour,
                                            const struct tern_account *account,
                                            const struct tern_row_energy *row);
TERN_NODISCARD tern_err tern_row_put_hour(struct tern_state *state, tern_hour hour,
                                          const struct tern_row_hour *row);
TERN_NODISCARD tern_err tern_row_put_totals(struct tern_state *state,
                                            const struct tern_row_totals *row);

/* Orders: three rows each, kept together. add: the order is new (checked); set: it stands, its
 * energy changed; remove: it stood. TERN_ERR_MEMORY: part may be done; roll back. */
TERN_NODISCARD tern_err tern_row_add_order(struct tern_state *state,
                                           const struct tern_order_place *place,
                                           const struct tern_row_order *row);
TERN_NODISCARD tern_err tern_row_set_order(struct tern_state *state,
                                           const struct tern_order_place *place,
                                           const struct tern_row_order *row);
TERN_NODISCARD tern_err tern_row_remove_order(struct tern_state *state,
                                              const struct tern_order_place *place,
                                              const struct tern_row_order *row);

/* Decoding the value of a row whose key is known, for walks over all rows. TERN_ERR_CORRUPT: not of
 * that space's form. */
TERN_NODISCARD tern_err tern_row_decode_account(struct tern_view value,
                                                struct tern_row_account *row);
TERN_NODISCARD tern_err tern_row_decode_device(struct tern_view value, struct tern_row_device *row);
TERN_NODISCARD tern_err tern_row_decode_energy(struct tern_view value, struct tern_row_energy *row);
TERN_NODISCARD tern_err tern_row_decode_hour(struct tern_view value, struct tern_row_hour *row);
TERN_NODISCARD tern_err tern_row_decode_order(struct tern_view value, struct tern_row_order *row);
TERN_NODISCARD tern_err tern_row_decode_totals(struct tern_view value, struct tern_row_totals *row);

/* tern_row_check tells whether key and value have the form of one of the spaces: what is loaded
 * from the store, or came from a peer. TERN_ERR_CORRUPT. */
TERN_NODISCARD tern_err tern_row_check(struct tern_view key, struct tern_view value);

#endif
