/*
 * Transactions: what accounts and devices sign.
 *
 *     transfer  sender pays amount to another account
 *     reading   a device reports surplus energy of an hour; the account it meters is credited, and
 * pays the fee. The nonce is the device's own ask       sender offers energy of an hour at price or
 * more bid       sender buys energy of an hour at price or less cancel    sender withdraws an order
 * of its own; what was reserved comes back
 *
 * Wire form, canonical by construction: fixed layout, little-endian, one size a kind, nothing
 * optional.
 *
 *     u8 version (1)  u8 kind  sender[32]  u64 nonce  u64 fee  body  signature[64]
 *     transfer: to[32] u64 amount      reading: u32 hour u64 energy_wh      cancel: order[32]
 *     ask, bid: u32 hour u64 energy_wh u64 price u64 expires_ms
 *
 * The signature is Ed25519 over  "tern/transaction/1" ‖ genesis hash ‖ the bytes before it.  The
 * domain and the genesis hash make a signature worthless on any other chain and as any other
 * message; the nonce makes it worthless a second time.
 *
 * A transaction's id is the Merkle leaf hash of all its bytes, signature included: what a block's
 * transactions root commits to is what was signed, bit for bit. The verifier is strict, so nobody
 * but the signer can make a second id of the same content.
 *
 * Pure and thread safe.
 */
#ifndef TERN_CHAIN_TX_H
#define TERN_CHAIN_TX_H

#include "base/error.h"
#include "base/fault.h"
#include "base/reader.h"
#include "base/writer.h"
#include "chain/types.h"
#include "crypto/key.h"
#include "crypto/verify_job.h"

enum tern_tx_kind {
    TERN_TX_TRANSFER = 1,
    TERN_TX_READING = 2,
    TERN_TX_ASK = 3,
    TERN_TX_BID = 4,
    TERN_TX_CANCEL = 5,
};

enum {
    TERN_TX_VERSION = 1,
    TERN_TX_HEAD_SIZE = 50,     /* version, kind, sender, nonce, fee */
    TERN_TX_BODY_SIZE_MAX = 40, /* transfer */
    TERN_TX_SIZE_MIN = TERN_TX_HEAD_SIZE + 12 + TERN_ED25519_SIGNATURE_SIZE,
    TERN_TX_SIZE_MAX = TERN_TX_HEAD_SIZE + TERN_TX_BODY_SIZE_MAX + TERN_ED25519_SIGNATURE_SIZE,
    TERN_TX_DOMAIN_SIZE = 18,
};

struct tern_tx_order {
    tern_hour hour;
    tern_energy energy_wh;
    tern_price price;
    tern_time_ms expires_ms; /* dead in blocks of this time and later */
};

struct tern_tx {
    enum tern_tx_kind kind;
    struct tern_account sender;
    uint64_t nonce;
    tern_money fee;
    union {
        struct {
            struct tern_account to;
            tern_money amount;
        } transfer;
        struct {
            tern_hour hour;
            tern_energy energy_wh;
        } reading;
        struct tern_tx_order order; /* ask, bid */
        struct tern_hash cancel;    /* the order: its transaction's id */
    } as;
    uint8_t signature[TERN_ED25519_SIGNATURE_SIZE];
};

/* tern_tx_size is the encoded size of a kind; 0 for a number that is no kind. */
size_t tern_tx_size(unsigned kind);

const char *tern_tx_kind_name(enum tern_tx_kind kind); /* such as "transfer" */

/* tern_tx_encode writes the wire form. */
void tern_tx_encode(const struct tern_tx *tx, struct tern_writer *w);

/* tern_tx_read takes one transaction off the reader. TERN_ERR_MALFORMED: no known version or kind;
 * TERN_ERR_TRUNCATED. Values are not judged here but by tern_tx_check. */
TERN_NODISCARD tern_err tern_tx_read(struct tern_reader *r, struct tern_tx *tx);

/* tern_tx_decode reads exactly one transaction: TERN_ERR_MALFORMED for anything else. */
TERN_NODISCARD tern_err tern_tx_decode(struct tern_view bytes, struct tern_tx *tx);

/* tern_tx_id hashes the wire form. */
void tern_tx_id(struct tern_view bytes, struct tern_hash *id);

/* tern_tx_check judges what can be judged without state: zero or excessive amounts, paying oneself.
 * TERN_FAULT_NONE when there is nothing to object to. */
tern_fault tern_tx_check(const struct tern_tx *tx);

/* tern_tx_sign fills in sender (the key's) and signature. The key is Ed25519 (checked).
 * TERN_ERR_INTERNAL: the library failed. */
TERN_NODISCARD tern_err tern_tx_sign(struct tern_tx *tx, const struct tern_hash *genesis,
                                     const struct tern_private_key *key);

/* tern_tx_verify checks the signature of a wire form here and now. TERN_ERR_BAD_SIGNATURE. */
TERN_NODISCARD tern_err tern_tx_verify(struct tern_view bytes, const struct tern_hash *genesis);

/* tern_tx_verify_add puts the check of a wire form into a batch. Errors of tern_verify_job_add. */
TERN_NODISCARD tern_err tern_tx_verify_add(struct tern_view bytes, const struct tern_hash *genesis,
                                           struct tern_verify_job *job, size_t *index);

/* What one signature takes in a batch, in bytes. */
enum { TERN_TX_VERIFY_BYTES = 36 + TERN_TX_DOMAIN_SIZE + TERN_HASH_SIZE + TERN_TX_SIZE_MAX };

/* tern_tx_cost is what the sender must be able to pay: fee, and amount or escrow. For a reading,
 * the fee, which the metered account pays. Never overflows for a transaction that tern_tx_check
 * accepts. */
tern_money tern_tx_cost(const struct tern_tx *tx);

#endif
