#include "chain/tx.h"

#include "base/check.h"
#include "chain/merkle.h"

static const char tx_domain[] = "tern/transaction/1";
_Static_assert(sizeof tx_domain - 1 == TERN_TX_DOMAIN_SIZE, "the domain's size");

enum { TX_SIGNATURE_SIZE = TERN_ED25519_SIGNATURE_SIZE, TX_PUBLIC_KEY_SIZE = 36 };

static size_t tx_body_size(unsigned kind)
{
    switch (kind) {
    case TERN_TX_TRANSFER:
        return TERN_ACCOUNT_SIZE + 8;
    case TERN_TX_READING:
        return 4 + 8;
    case TERN_TX_ASK:
    case TERN_TX_BID:
        return 4 + 8 + 8 + 8;
    case TERN_TX_CANCEL:
        return TERN_HASH_SIZE;
    default: /* a number off the wire, not a kind */
        return 0;
    }
}

size_t tern_tx_size(unsigned kind)
{
    size_t body = tx_body_size(kind);
    return body == 0 ? 0 : TERN_TX_HEAD_SIZE + body + TX_SIGNATURE_SIZE;
}

const char *tern_tx_kind_name(enum tern_tx_kind kind)
{
    switch (kind) {
    case TERN_TX_TRANSFER:
        return "transfer";
    case TERN_TX_READING:
        return "reading";
    case TERN_TX_ASK:
        return "ask";
    case TERN_TX_BID:
        return "bid";
    case TERN_TX_CANCEL:
        return "cancel";
    }
    TERN_UNREACHABLE();
}

static void tx_encode_unsigned(const struct tern_tx *tx, struct tern_writer *w)
{
    tern_writer_u8(w, TERN_TX_VERSION);
    tern_writer_u8(w, (uint8_t)tx->kind);
    tern_writer_bytes(w, tern_account_view(&tx->sender));
    tern_writer_u64le(w, tx->nonce);
    tern_writer_u64le(w, tx->fee);
    switch (tx->kind) {
    case TERN_TX_TRANSFER:
        tern_writer_bytes(w, tern_account_view(&tx->as.transfer.to));
        tern_writer_u64le(w, tx->as.transfer.amount);
        break;
    case TERN_TX_READING:
        tern_writer_u32le(w, tx->as.reading.hour);
        tern_writer_u64le(w, tx->as.reading.energy_wh);
        break;
    case TERN_TX_ASK:
    case TERN_TX_BID:
        tern_writer_u32le(w, tx->as.order.hour);
        tern_writer_u64le(w, tx->as.order.energy_wh);
        tern_writer_u64le(w, tx->as.order.price);
        tern_writer_u64le(w, tx->as.order.expires_ms);
        break;
    case TERN_TX_CANCEL:
        tern_writer_bytes(w, tern_hash_view(&tx->as.cancel));
        break;
    }
}

void tern_tx_encode(const struct tern_tx *tx, struct tern_writer *w)
{
    TERN_CHECK(tx_body_size((unsigned)tx->kind) != 0);
    tx_encode_unsigned(tx, w);
    tern_writer_bytes(w, tern_view_of(tx->signature, TX_SIGNATURE_SIZE));
}

static void tx_read_body(struct tern_reader *r, struct tern_tx *tx)
{
    switch (tx->kind) {
    case TERN_TX_TRANSFER:
        tern_reader_copy(r, tx->as.transfer.to.bytes, TERN_ACCOUNT_SIZE);
        tern_reader_u64le(r, &tx->as.transfer.amount);
        break;
    case TERN_TX_READING:
        tern_reader_u32le(r, &tx->as.reading.hour);
        tern_reader_u64le(r, &tx->as.reading.energy_wh);
        break;
    case TERN_TX_ASK:
    case TERN_TX_BID:
        tern_reader_u32le(r, &tx->as.order.hour);
        tern_reader_u64le(r, &tx->as.order.energy_wh);
        tern_reader_u64le(r, &tx->as.order.price);
        tern_reader_u64le(r, &tx->as.order.expires_ms);
        break;
    case TERN_TX_CANCEL:
        tern_reader_copy(r, tx->as.cancel.bytes, TERN_HASH_SIZE);
        break;
    }
}

tern_err tern_tx_read(struct tern_reader *r, struct tern_tx *tx)
{
    *tx = (struct tern_tx){.kind = TERN_TX_TRANSFER};
    uint8_t version = 0;
    uint8_t kind = 0;
    tern_reader_u8(r, &version);
    tern_reader_u8(r, &kind);
    TERN_TRY(r->err);
    if (version != TERN_TX_VERSION || tx_body_size(kind) == 0) {
        tern_reader_fail(r, TERN_ERR_MALFORMED);
        return r->err;
    }
    tx->kind = (enum tern_tx_kind)kind;
    tern_reader_copy(r, tx->sender.bytes, TERN_ACCOUNT_SIZE);
    tern_reader_u64le(r, &tx->nonce);
    tern_reader_u64le(r, &tx->fee);
    tx_read_body(r, tx);
    tern_reader_copy(r, tx->signature, TX_SIGNATURE_SIZE);
    return r->err;
}

tern_err tern_tx_decode(struct tern_view bytes, struct tern_tx *tx)
{
    struct tern_reader r = tern_reader_of(bytes);
    tern_err err = tern_tx_read(&r, tx);
    if (err == TERN_OK)
        err = tern_reader_end(&r);
    return err == TERN_OK ? TERN_OK : TERN_ERR_MALFORMED;
}

void tern_tx_id(struct tern_view bytes, struct tern_hash *id)
{
    tern_merkle_leaf(bytes, id);
}

static tern_fault tx_check_order(const struct tern_tx_order *order)
{
    if (order->energy_wh == 0 || order->energy_wh > TERN_ORDER_WH_MAX)
        return TERN_FAULT_CHAIN_TX_AMOUNT;
    if (order->price == 0 || order->price > TERN_PRICE_MAX)
        return TERN_FAULT_CHAIN_TX_AMOUNT;
    if (order->expires_ms > TERN_TIME_MS_MAX)
        return TERN_FAULT_CHAIN_TX_EXPIRY;
    return TERN_FAULT_NONE;
}

tern_fault tern_tx_check(const struct tern_tx *tx)
{
    if (tx->fee > TERN_SUPPLY_MAX || tx->nonce == UINT64_MAX)
        return TERN_FAULT_CHAIN_TX_AMOUNT;
    switch (tx->kind) {
    case TERN_TX_TRANSFER:
        if (tx->as.transfer.amount == 0 || tx->as.transfer.amount > TERN_SUPPLY_MAX)
            return TERN_FAULT_CHAIN_TX_AMOUNT;
        if (tern_account_equal(&tx->sender, &tx->as.transfer.to))
            return TERN_FAULT_CHAIN_TX_SELF;
        return TERN_FAULT_NONE;
    case TERN_TX_READING:
        if (tx->as.reading.energy_wh == 0 || tx->as.reading.energy_wh > TERN_ORDER_WH_MAX)
            return TERN_FAULT_CHAIN_TX_AMOUNT;
        return TERN_FAULT_NONE;
    case TERN_TX_ASK:
    case TERN_TX_BID:
        return tx_check_order(&tx->as.order);
    case TERN_TX_CANCEL:
        return TERN_FAULT_NONE;
    }
    TERN_UNREACHABLE();
}

tern_err tern_tx_sign(struct tern_tx *tx, const struct tern_hash *genesis,
                      const struct tern_private_key *key)
{
    TERN_CHECK(key->public_key.type == TERN_KEY_ED25519);
    memcpy(tx->sender.bytes, key->public_key.as.ed25519, TERN_ACCOUNT_SIZE);
    uint8_t message[TERN_TX_DOMAIN_SIZE + TERN_HASH_SIZE + TERN_TX_SIZE_MAX];
    struct tern_writer w = tern_writer_of(message, sizeof message);
    tern_writer_str(&w, tx_domain);
    tern_writer_bytes(&w, tern_hash_view(genesis));
    tx_encode_unsigned(tx, &w);
    TERN_CHECK(tern_writer_ok(&w));
    struct tern_writer signature = tern_writer_of(tx->signature, sizeof tx->signature);
    TERN_TRY(tern_private_key_sign(key, tern_writer_view(&w), &signature));
    TERN_CHECK(signature.size == TX_SIGNATURE_SIZE);
    return TERN_OK;
}

static struct tern_view tx_unsigned(struct tern_view bytes)
{
    TERN_CHECK(bytes.size >= TERN_TX_SIZE_MIN && bytes.size <= TERN_TX_SIZE_MAX);
    return tern_view_of(bytes.data, bytes.size - TX_SIGNATURE_SIZE);
}

static struct tern_view tx_signature(struct tern_view bytes)
{
    return tern_view_of(bytes.data + bytes.size - TX_SIGNATURE_SIZE, TX_SIGNATURE_SIZE);
}

static void tx_public_key(struct tern_view bytes, struct tern_public_key *key)
{
    tern_public_key_of_ed25519(bytes.data + 2, key);
}

tern_err tern_tx_verify(struct tern_view bytes, const struct tern_hash *genesis)
{
    uint8_t message[TERN_TX_DOMAIN_SIZE + TERN_HASH_SIZE + TERN_TX_SIZE_MAX];
    struct tern_writer w = tern_writer_of(message, sizeof message);
    tern_writer_str(&w, tx_domain);
    tern_writer_bytes(&w, tern_hash_view(genesis));
    tern_writer_bytes(&w, tx_unsigned(bytes));
    TERN_CHECK(tern_writer_ok(&w));
    struct tern_public_key key;
    tx_public_key(bytes, &key);
    return tern_public_key_verify(&key, tern_writer_view(&w), tx_signature(bytes));
}

tern_err tern_tx_verify_add(struct tern_view bytes, const struct tern_hash *genesis,
                            struct tern_verify_job *job, size_t *index)
{
    uint8_t encoded[TX_PUBLIC_KEY_SIZE];
    struct tern_writer w = tern_writer_of(encoded, sizeof encoded);
    struct tern_public_key key;
    tx_public_key(bytes, &key);
    tern_public_key_encode(&key, &w);
    TERN_CHECK(tern_writer_ok(&w));
    struct tern_verify_item item = {
        .public_key = tern_writer_view(&w),
        .signature = tx_signature(bytes),
        .parts = {tern_view_str(tx_domain), tern_hash_view(genesis), tx_unsigned(bytes)},
        .parts_count = 3,
    };
    return tern_verify_job_add(job, &item, index);
}

tern_money tern_tx_cost(const struct tern_tx *tx)
{
    switch (tx->kind) {
    case TERN_TX_TRANSFER:
        return tx->fee + tx->as.transfer.amount;
    case TERN_TX_BID:
        return tx->fee + tx->as.order.energy_wh * tx->as.order.price;
    case TERN_TX_ASK:
    case TERN_TX_READING:
    case TERN_TX_CANCEL:
        return tx->fee;
    }
    TERN_UNREACHABLE();
}
