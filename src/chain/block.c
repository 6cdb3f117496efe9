#include "chain/block.h"

#include "base/check.h"
#include "chain/merkle.h"
#include "crypto/sha256.h"

static const char block_header_domain[] = "tern/header/1";
static const char block_seal_domain[] = "tern/seal/1";

static void block_encode_core(const struct tern_header *header, struct tern_writer *w)
{
    tern_writer_u8(w, TERN_BLOCK_VERSION);
    tern_writer_bytes(w, tern_hash_view(&header->chain));
    tern_writer_u64le(w, header->height);
    tern_writer_bytes(w, tern_hash_view(&header->parent));
    tern_writer_bytes(w, tern_hash_view(&header->tx_root));
    tern_writer_bytes(w, tern_hash_view(&header->state_root));
    tern_writer_bytes(w, tern_hash_view(&header->diff_root));
    tern_writer_u64le(w, header->time_ms);
    tern_writer_u32le(w, header->txs_count);
    tern_writer_bytes(w, tern_account_view(&header->proposer));
    tern_writer_u64le(w, header->nonce);
}

void tern_header_encode(const struct tern_header *header, struct tern_writer *w)
{
    TERN_CHECK(header->seal_size <= TERN_SEAL_SIZE_MAX);
    block_encode_core(header, w);
    tern_writer_u8(w, header->seal_size);
    tern_writer_bytes(w, tern_view_of(header->seal, header->seal_size));
}

tern_err tern_header_read(struct tern_reader *r, struct tern_header *header)
{
    *header = (struct tern_header){.height = 0};
    uint8_t version = 0;
    tern_reader_u8(r, &version);
    tern_reader_copy(r, header->chain.bytes, TERN_HASH_SIZE);
    tern_reader_u64le(r, &header->height);
    tern_reader_copy(r, header->parent.bytes, TERN_HASH_SIZE);
    tern_reader_copy(r, header->tx_root.bytes, TERN_HASH_SIZE);
    tern_reader_copy(r, header->state_root.bytes, TERN_HASH_SIZE);
    tern_reader_copy(r, header->diff_root.bytes, TERN_HASH_SIZE);
    tern_reader_u64le(r, &header->time_ms);
    tern_reader_u32le(r, &header->txs_count);
    tern_reader_copy(r, header->proposer.bytes, TERN_ACCOUNT_SIZE);
    tern_reader_u64le(r, &header->nonce);
    tern_reader_u8(r, &header->seal_size);
    TERN_TRY(r->err);
    bool well_formed = version == TERN_BLOCK_VERSION && header->seal_size <= TERN_SEAL_SIZE_MAX &&
                       header->txs_count <= TERN_BLOCK_TXS_MAX;
    if (!well_formed) {
        tern_reader_fail(r, TERN_ERR_MALFORMED);
        return r->err;
    }
    tern_reader_copy(r, header->seal, header->seal_size);
    return r->err;
}

tern_err tern_header_decode(struct tern_view bytes, struct tern_header *header)
{
    struct tern_reader r = tern_reader_of(bytes);
    tern_err err = tern_header_read(&r, header);
    if (err == TERN_OK)
        err = tern_reader_end(&r);
    return err == TERN_OK ? TERN_OK : TERN_ERR_MALFORMED;
}

void tern_header_hash(const struct tern_header *header, struct tern_hash *hash)
{
    uint8_t bytes[TERN_HEADER_CORE_SIZE];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    block_encode_core(header, &w);
    TERN_CHECK(tern_writer_ok(&w) && w.size == sizeof bytes);
    const struct tern_view parts[] = {tern_view_str(block_header_domain), tern_writer_view(&w)};
    tern_sha256_parts(parts, 2, hash->bytes);
}

void tern_seal_message(const struct tern_hash *hash, uint8_t message[TERN_SEAL_MESSAGE_SIZE])
{
    struct tern_writer w = tern_writer_of(message, TERN_SEAL_MESSAGE_SIZE);
    tern_writer_str(&w, block_seal_domain);
    tern_writer_bytes(&w, tern_hash_view(hash));
    TERN_CHECK(tern_writer_ok(&w) && w.size == TERN_SEAL_MESSAGE_SIZE);
}

tern_err tern_block_decode(struct tern_view bytes, struct tern_block *block, tern_fault *fault)
{
    *fault = TERN_FAULT_NONE;
    if (bytes.size > TERN_BLOCK_SIZE_MAX) {
        *fault = TERN_FAULT_CHAIN_BLOCK_TOO_LARGE;
        return TERN_ERR_TOO_LARGE;
    }
    *fault = TERN_FAULT_CHAIN_BLOCK_MALFORMED;
    struct tern_reader r = tern_reader_of(bytes);
    if (tern_header_read(&r, &block->header) != TERN_OK)
        return TERN_ERR_MALFORMED;
    block->bytes = bytes;
    block->txs = tern_reader_rest(&r);
    for (uint32_t i = 0; i < block->header.txs_count; i++) {
        struct tern_tx tx;
        if (tern_tx_read(&r, &tx) != TERN_OK)
            return TERN_ERR_MALFORMED;
    }
    if (tern_reader_end(&r) != TERN_OK)
        return TERN_ERR_MALFORMED;
    tern_header_hash(&block->header, &block->hash);
    *fault = TERN_FAULT_NONE;
    return TERN_OK;
}

struct tern_block_txs tern_block_txs_of(const struct tern_block *block)
{
    return (struct tern_block_txs){
        .reader = tern_reader_of(block->txs),
        .index = UINT32_MAX,
        .left = block->header.txs_count,
    };
}

bool tern_block_txs_next(struct tern_block_txs *it, struct tern_tx *tx, struct tern_view *bytes)
{
    if (it->left == 0)
        return false;
    struct tern_view rest = tern_reader_rest(&it->reader);
    size_t before = it->reader.offset;
    tern_err err = tern_tx_read(&it->reader, tx);
    TERN_CHECK(err == TERN_OK);
    *bytes = tern_view_of(rest.data, it->reader.offset - before);
    it->left--;
    it->index++;
    return true;
}

tern_fault tern_block_check_body(const struct tern_block *block)
{
    struct tern_merkle merkle;
    tern_merkle_init(&merkle);
    struct tern_block_txs it = tern_block_txs_of(block);
    struct tern_tx tx;
    struct tern_view bytes;
    while (tern_block_txs_next(&it, &tx, &bytes)) {
        struct tern_hash id;
        tern_tx_id(bytes, &id);
        tern_merkle_add(&merkle, &id);
    }
    struct tern_hash root;
    tern_merkle_root(&merkle, &root);
    return tern_hash_equal(&root, &block->header.tx_root) ? TERN_FAULT_NONE
                                                          : TERN_FAULT_CHAIN_BLOCK_TX_ROOT;
}
