#include "chain/rows.h"

#include "base/check.h"
#include "base/reader.h"
#include "base/writer.h"

enum {
    ROWS_BOOK_SIDE_SIZE = 1 + 4 + 1,               /* space, hour, side */
    ROWS_BOOK_SIZE = ROWS_BOOK_SIDE_SIZE + 8 + 12, /* price, place */
    ROWS_EXPIRY_SIZE = 1 + 8 + 12,
    ROWS_ENERGY_SIZE = 1 + 4 + 32,
};

static struct tern_writer rows_key(struct tern_row_key *key, char space)
{
    struct tern_writer w = tern_writer_of(key->bytes, sizeof key->bytes);
    tern_writer_u8(&w, (uint8_t)space);
    return w;
}

static void rows_key_done(struct tern_row_key *key, const struct tern_writer *w)
{
    TERN_CHECK(tern_writer_ok(w));
    key->size = (uint8_t)w->size;
}

bool tern_row_is_ordered(struct tern_view key)
{
    return key.data[0] == 'b' || key.data[0] == 'x';
}

void tern_row_key_account(const struct tern_account *account, struct tern_row_key *key)
{
    struct tern_writer w = rows_key(key, 'a');
    tern_writer_bytes(&w, tern_account_view(account));
    rows_key_done(key, &w);
}

void tern_row_key_device(const struct tern_account *device, struct tern_row_key *key)
{
    struct tern_writer w = rows_key(key, 'd');
    tern_writer_bytes(&w, tern_account_view(device));
    rows_key_done(key, &w);
}

void tern_row_key_energy(tern_hour hour, const struct tern_account *account,
                         struct tern_row_key *key)
{
    struct tern_writer w = rows_key(key, 'e');
    tern_writer_u32be(&w, hour);
    tern_writer_bytes(&w, tern_account_view(account));
    rows_key_done(key, &w);
}

void tern_row_key_hour(tern_hour hour, struct tern_row_key *key)
{
    struct tern_writer w = rows_key(key, 'h');
    tern_writer_u32be(&w, hour);
    rows_key_done(key, &w);
}

void tern_row_key_order(const struct tern_hash *id, struct tern_row_key *key)
{
    struct tern_writer w = rows_key(key, 'o');
    tern_writer_bytes(&w, tern_hash_view(id));
    rows_key_done(key, &w);
}

void tern_row_key_totals(struct tern_row_key *key)
{
    struct tern_writer w = rows_key(key, 't');
    rows_key_done(key, &w);
}

void tern_row_key_book_side(tern_hour hour, enum tern_side side, struct tern_row_key *key)
{
    struct tern_writer w = rows_key(key, 'b');
    tern_writer_u32be(&w, hour);
    tern_writer_u8(&w, (uint8_t)side);
    rows_key_done(key, &w);
}

void tern_row_key_book(const struct tern_order_place *place, struct tern_row_key *key)
{
    struct tern_writer w = rows_key(key, 'b');
    tern_writer_u32be(&w, place->hour);
    tern_writer_u8(&w, (uint8_t)place->side);
    tern_writer_u64be(&w, place->side == TERN_SIDE_BID ? ~place->price : place->price);
    tern_writer_u64be(&w, place->height);
    tern_writer_u32be(&w, place->index);
    rows_key_done(key, &w);
}

void tern_row_key_expiry(tern_time_ms expires_ms, const struct tern_order_place *place,
                         struct tern_row_key *key)
{
    struct tern_writer w = rows_key(key, 'x');
    tern_writer_u64be(&w, expires_ms);
    tern_writer_u64be(&w, place->height);
    tern_writer_u32be(&w, place->index);
    rows_key_done(key, &w);
}

bool tern_row_place_of_book(struct tern_view key, struct tern_order_place *place)
{
    *place = (struct tern_order_place){.hour = 0};
    if (key.size != ROWS_BOOK_SIZE || key.data[0] != 'b')
        return false;
    struct tern_reader r = tern_reader_of(key);
    uint8_t side = 0;
    tern_reader_skip(&r, 1);
    tern_reader_u32be(&r, &place->hour);
    tern_reader_u8(&r, &side);
    tern_reader_u64be(&r, &place->price);
    tern_reader_u64be(&r, &place->height);
    tern_reader_u32be(&r, &place->index);
    if (tern_reader_end(&r) != TERN_OK || side > TERN_SIDE_BID)
        return false;
    place->side = (enum tern_side)side;
    if (place->side == TERN_SIDE_BID)
        place->price = ~place->price;
    return true;
}

static tern_err rows_end(const struct tern_reader *r)
{
    return tern_reader_end(r) == TERN_OK ? TERN_OK : TERN_ERR_CORRUPT;
}

tern_err tern_row_decode_account(struct tern_view value, struct tern_row_account *row)
{
    struct tern_reader r = tern_reader_of(value);
    tern_reader_u64le(&r, &row->balance);
    tern_reader_u64le(&r, &row->nonce);
    tern_reader_u32le(&r, &row->orders_count);
    return rows_end(&r);
}

tern_err tern_row_decode_device(struct tern_view value, struct tern_row_device *row)
{
    struct tern_reader r = tern_reader_of(value);
    tern_reader_copy(&r, row->owner.bytes, TERN_ACCOUNT_SIZE);
    tern_reader_u64le(&r, &row->nonce);
    tern_reader_u64le(&r, &row->capacity_wh);
    tern_reader_u32le(&r, &row->hour);
    tern_reader_u64le(&r, &row->reported_wh);
    return rows_end(&r);
}

static void rows_read_energy(struct tern_reader *r, struct tern_row_energy *row)
{
    tern_reader_u64le(r, &row->measured_wh);
    tern_reader_u64le(r, &row->available_wh);
    tern_reader_u64le(r, &row->offered_wh);
    tern_reader_u64le(r, &row->sold_wh);
    tern_reader_u64le(r, &row->bought_wh);
}

tern_err tern_row_decode_energy(struct tern_view value, struct tern_row_energy *row)
{
    struct tern_reader r = tern_reader_of(value);
    rows_read_energy(&r, row);
    return rows_end(&r);
}

tern_err tern_row_decode_hour(struct tern_view value, struct tern_row_hour *row)
{
    struct tern_reader r = tern_reader_of(value);
    rows_read_energy(&r, &row->sum);
    tern_reader_u64le(&r, &row->traded);
    tern_reader_u64le(&r, &row->price);
    tern_reader_u64le(&r, &row->height);
    return rows_end(&r);
}

tern_err tern_row_decode_order(struct tern_view value, struct tern_row_order *row)
{
    struct tern_reader r = tern_reader_of(value);
    tern_reader_copy(&r, row->account.bytes, TERN_ACCOUNT_SIZE);
    tern_reader_u64le(&r, &row->energy_wh);
    tern_reader_u64le(&r, &row->expires_ms);
    tern_reader_copy(&r, row->id.bytes, TERN_HASH_SIZE);
    return rows_end(&r);
}

tern_err tern_row_decode_totals(struct tern_view value, struct tern_row_totals *row)
{
    struct tern_reader r = tern_reader_of(value);
    tern_reader_u64le(&r, &row->accounts);
    tern_reader_u64le(&r, &row->escrow);
    tern_reader_u32le(&r, &row->orders_count);
    return rows_end(&r);
}

/* The value under a key; its form was made by put, so a decoder that fails is an error of ours. */
#define ROWS_GET(state, key, decode, row)                                                          \
    do {                                                                                           \
        memset((row), 0, sizeof *(row));                                                           \
        struct tern_view rows_value_;                                                              \
        if (!tern_state_get((state), tern_row_key_view(key), &rows_value_))                        \
            return false;                                                                          \
        TERN_CHECK(decode(rows_value_, (row)) == TERN_OK);                                         \
        return true;                                                                               \
    } while (0)

bool tern_row_get_account(const struct tern_state *state, const struct tern_account *account,
                          struct tern_row_account *row)
{
    struct tern_row_key key;
    tern_row_key_account(account, &key);
    ROWS_GET(state, &key, tern_row_decode_account, row);
}

bool tern_row_get_device(const struct tern_state *state, const struct tern_account *device,
                         struct tern_row_device *row)
{
    struct tern_row_key key;
    tern_row_key_device(device, &key);
    ROWS_GET(state, &key, tern_row_decode_device, row);
}

bool tern_row_get_energy(const struct tern_state *state, tern_hour hour,
                         const struct tern_account *account, struct tern_row_energy *row)
{
    struct tern_row_key key;
    tern_row_key_energy(hour, account, &key);
    ROWS_GET(state, &key, tern_row_decode_energy, row);
}

bool tern_row_get_hour(const struct tern_state *state, tern_hour hour, struct tern_row_hour *row)
{
    struct tern_row_key key;
    tern_row_key_hour(hour, &key);
    ROWS_GET(state, &key, tern_row_decode_hour, row);
}

bool tern_row_get_totals(const struct tern_state *state, struct tern_row_totals *row)
{
    struct tern_row_key key;
    tern_row_key_totals(&key);
    ROWS_GET(state, &key, tern_row_decode_totals, row);
}

bool tern_row_get_order(const struct tern_state *state, const struct tern_hash *id,
                        struct tern_order_place *place, struct tern_row_order *row)
{
    memset(row, 0, sizeof *row);
    struct tern_row_key key;
    tern_row_key_order(id, &key);
    struct tern_view book;
    if (!tern_state_get(state, tern_row_key_view(&key), &book))
        return false;
    TERN_CHECK(tern_row_place_of_book(book, place));
    struct tern_view value;
    TERN_CHECK(tern_state_get(state, book, &value));
    TERN_CHECK(tern_row_decode_order(value, row) == TERN_OK);
    return true;
}

static tern_err rows_put(struct tern_state *state, const struct tern_row_key *key,
                         const struct tern_writer *value)
{
    TERN_CHECK(tern_writer_ok(value));
    return tern_state_put(state, tern_row_key_view(key), tern_writer_view(value));
}

tern_err tern_row_put_account(struct tern_state *state, const struct tern_account *account,
                              const struct tern_row_account *row)
{
    struct tern_row_key key;
    tern_row_key_account(account, &key);
    uint8_t value[TERN_STATE_VALUE_MAX];
    struct tern_writer w = tern_writer_of(value, sizeof value);
    tern_writer_u64le(&w, row->balance);
    tern_writer_u64le(&w, row->nonce);
    tern_writer_u32le(&w, row->orders_count);
    return rows_put(state, &key, &w);
}

tern_err tern_row_put_device(struct tern_state *state, const struct tern_account *device,
                             const struct tern_row_device *row)
{
    struct tern_row_key key;
    tern_row_key_device(device, &key);
    uint8_t value[TERN_STATE_VALUE_MAX];
    struct tern_writer w = tern_writer_of(value, sizeof value);
    tern_writer_bytes(&w, tern_account_view(&row->owner));
    tern_writer_u64le(&w, row->nonce);
    tern_writer_u64le(&w, row->capacity_wh);
    tern_writer_u32le(&w, row->hour);
    tern_writer_u64le(&w, row->reported_wh);
    return rows_put(state, &key, &w);
}

static void rows_write_energy(struct tern_writer *w, const struct tern_row_energy *row)
{
    tern_writer_u64le(w, row->measured_wh);
    tern_writer_u64le(w, row->available_wh);
    tern_writer_u64le(w, row->offered_wh);
    tern_writer_u64le(w, row->sold_wh);
    tern_writer_u64le(w, row->bought_wh);
}

tern_err tern_row_put_energy(struct tern_state *state, tern_hour hour,
                             const struct tern_account *account, const struct tern_row_energy *row)
{
    TERN_DCHECK(row->measured_wh == row->available_wh + row->offered_wh + row->sold_wh);
    struct tern_row_key key;
    tern_row_key_energy(hour, account, &key);
    uint8_t value[TERN_STATE_VALUE_MAX];
    struct tern_writer w = tern_writer_of(value, sizeof value);
    rows_write_energy(&w, row);
    return rows_put(state, &key, &w);
}

tern_err tern_row_put_hour(struct tern_state *state, tern_hour hour,
                           const struct tern_row_hour *row)
{
    TERN_DCHECK(row->sum.measured_wh ==
                row->sum.available_wh + row->sum.offered_wh + row->sum.sold_wh);
    TERN_DCHECK(row->sum.sold_wh == row->sum.bought_wh);
    struct tern_row_key key;
    tern_row_key_hour(hour, &key);
    uint8_t value[TERN_STATE_VALUE_MAX];
    struct tern_writer w = tern_writer_of(value, sizeof value);
    rows_write_energy(&w, &row->sum);
    tern_writer_u64le(&w, row->traded);
    tern_writer_u64le(&w, row->price);
    tern_writer_u64le(&w, row->height);
    return rows_put(state, &key, &w);
}

tern_err tern_row_put_totals(struct tern_state *state, const struct tern_row_totals *row)
{
    struct tern_row_key key;
    tern_row_key_totals(&key);
    uint8_t value[TERN_STATE_VALUE_MAX];
    struct tern_writer w = tern_writer_of(value, sizeof value);
    tern_writer_u64le(&w, row->accounts);
    tern_writer_u64le(&w, row->escrow);
    tern_writer_u32le(&w, row->orders_count);
    return rows_put(state, &key, &w);
}

tern_err tern_row_set_order(struct tern_state *state, const struct tern_order_place *place,
                            const struct tern_row_order *row)
{
    TERN_DCHECK(row->energy_wh > 0);
    struct tern_row_key key;
    tern_row_key_book(place, &key);
    uint8_t value[TERN_STATE_VALUE_MAX];
    struct tern_writer w = tern_writer_of(value, sizeof value);
    tern_writer_bytes(&w, tern_account_view(&row->account));
    tern_writer_u64le(&w, row->energy_wh);
    tern_writer_u64le(&w, row->expires_ms);
    tern_writer_bytes(&w, tern_hash_view(&row->id));
    return rows_put(state, &key, &w);
}

tern_err tern_row_add_order(struct tern_state *state, const struct tern_order_place *place,
                            const struct tern_row_order *row)
{
    struct tern_row_key book;
    struct tern_row_key key;
    tern_row_key_book(place, &book);
    tern_row_key_order(&row->id, &key);
    TERN_CHECK(!tern_state_get(state, tern_row_key_view(&key), &(struct tern_view){0}));
    TERN_TRY(tern_row_set_order(state, place, row));
    TERN_TRY(tern_state_put(state, tern_row_key_view(&key), tern_row_key_view(&book)));
    tern_row_key_expiry(row->expires_ms, place, &key);
    return tern_state_put(state, tern_row_key_view(&key), tern_row_key_view(&book));
}

tern_err tern_row_remove_order(struct tern_state *state, const struct tern_order_place *place,
                               const struct tern_row_order *row)
{
    struct tern_row_key key;
    tern_row_key_book(place, &key);
    TERN_TRY(tern_state_delete(state, tern_row_key_view(&key)));
    tern_row_key_order(&row->id, &key);
    TERN_TRY(tern_state_delete(state, tern_row_key_view(&key)));
    tern_row_key_expiry(row->expires_ms, place, &key);
    return tern_state_delete(state, tern_row_key_view(&key));
}

static bool rows_check_place(struct tern_view value)
{
    struct tern_order_place place;
    return tern_row_place_of_book(value, &place);
}

tern_err tern_row_check(struct tern_view key, struct tern_view value)
{
    union {
        struct tern_row_account account;
        struct tern_row_device device;
        struct tern_row_energy energy;
        struct tern_row_hour hour;
        struct tern_row_order order;
        struct tern_row_totals totals;
    } row;
    struct tern_order_place place;
    if (key.size == 0)
        return TERN_ERR_CORRUPT;
    switch (key.data[0]) {
    case 'a':
        return key.size != 33 ? TERN_ERR_CORRUPT : tern_row_decode_account(value, &row.account);
    case 'd':
        return key.size != 33 ? TERN_ERR_CORRUPT : tern_row_decode_device(value, &row.device);
    case 'e':
        return key.size != ROWS_ENERGY_SIZE ? TERN_ERR_CORRUPT
                                            : tern_row_decode_energy(value, &row.energy);
    case 'h':
        return key.size != 5 ? TERN_ERR_CORRUPT : tern_row_decode_hour(value, &row.hour);
    case 'b':
        return !tern_row_place_of_book(key, &place) ? TERN_ERR_CORRUPT
                                                    : tern_row_decode_order(value, &row.order);
    case 'o':
        return key.size != 33 || !rows_check_place(value) ? TERN_ERR_CORRUPT : TERN_OK;
    case 'x':
        return key.size != ROWS_EXPIRY_SIZE || !rows_check_place(value) ? TERN_ERR_CORRUPT
                                                                        : TERN_OK;
    case 't':
        return key.size != 1 ? TERN_ERR_CORRUPT : tern_row_decode_totals(value, &row.totals);
    default: /* a letter from the store, not one of ours */
        return TERN_ERR_CORRUPT;
    }
}
