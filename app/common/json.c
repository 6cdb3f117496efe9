#include "app/common/json.h"

#include <stdlib.h>

json_t *app_json_hex(const void *bytes, size_t size)
{
    char text[2 * TERN_ED25519_SIGNATURE_SIZE + 2 * TERN_HASH_SIZE + 1];
    if (size > sizeof text / 2)
        return NULL;
    app_hex(bytes, size, text);
    return json_string(text);
}

json_t *app_json_u64(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

bool app_json_get_u64(const json_t *object, const char *name, uint64_t max, uint64_t *value,
                      struct app_message *message)
{
    const json_t *member = json_object_get(object, name);
    if (member == NULL)
        return app_say(message, "\"%s\" is missing", name);
    if (!json_is_integer(member) || json_integer_value(member) < 0 ||
        (uint64_t)json_integer_value(member) > max)
        return app_say(message, "\"%s\" must be a whole number from 0 to %llu", name,
                       (unsigned long long)max);
    *value = (uint64_t)json_integer_value(member);
    return true;
}

bool app_json_get_hex(const json_t *object, const char *name, struct tern_span bytes,
                      struct app_message *message)
{
    const json_t *member = json_object_get(object, name);
    if (member == NULL)
        return app_say(message, "\"%s\" is missing", name);
    const char *text = json_string_value(member);
    if (text == NULL || !app_unhex(text, bytes.data, bytes.size))
        return app_say(message, "\"%s\" must be %zu hexadecimal digits", name, 2 * bytes.size);
    return true;
}

bool app_json_only(const json_t *object, const char *const *names, struct app_message *message)
{
    const char *key;
    json_t *value;
    /* jansson's iteration macro takes no const; nothing is changed. */
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        bool known = false;
        for (size_t i = 0; names[i] != NULL && !known; i++)
            known = strcmp(names[i], key) == 0;
        if (!known)
            return app_say(message, "there is no member \"%.64s\"", key);
    }
    return true;
}

unsigned app_tx_kind(const char *name)
{
    for (unsigned kind = TERN_TX_TRANSFER; kind <= TERN_TX_CANCEL; kind++)
        if (strcmp(tern_tx_kind_name((enum tern_tx_kind)kind), name) == 0)
            return kind;
    return 0;
}

static void json_put_body(json_t *object, const struct tern_tx *tx)
{
    switch (tx->kind) {
    case TERN_TX_TRANSFER:
        json_object_set_new(object, "to",
                            app_json_hex(tx->as.transfer.to.bytes, TERN_ACCOUNT_SIZE));
        json_object_set_new(object, "amount", app_json_u64(tx->as.transfer.amount));
        break;
    case TERN_TX_READING:
        json_object_set_new(object, "hour", app_json_u64(tx->as.reading.hour));
        json_object_set_new(object, "energy_wh", app_json_u64(tx->as.reading.energy_wh));
        break;
    case TERN_TX_ASK:
    case TERN_TX_BID:
        json_object_set_new(object, "hour", app_json_u64(tx->as.order.hour));
        json_object_set_new(object, "energy_wh", app_json_u64(tx->as.order.energy_wh));
        json_object_set_new(object, "price", app_json_u64(tx->as.order.price));
        json_object_set_new(object, "expires_ms", app_json_u64(tx->as.order.expires_ms));
        break;
    case TERN_TX_CANCEL:
        json_object_set_new(object, "order", app_json_hex(tx->as.cancel.bytes, TERN_HASH_SIZE));
        break;
    }
}

json_t *app_json_of_tx(const struct tern_tx *tx, const struct tern_hash *id)
{
    json_t *object = json_object();
    if (object == NULL)
        return NULL;
    json_object_set_new(object, "id", app_json_hex(id->bytes, TERN_HASH_SIZE));
    json_object_set_new(object, "kind", json_string(tern_tx_kind_name(tx->kind)));
    json_object_set_new(object, "sender", app_json_hex(tx->sender.bytes, TERN_ACCOUNT_SIZE));
    json_object_set_new(object, "nonce", app_json_u64(tx->nonce));
    json_object_set_new(object, "fee", app_json_u64(tx->fee));
    json_put_body(object, tx);
    json_object_set_new(object, "signature", app_json_hex(tx->signature, sizeof tx->signature));
    return object;
}

static bool json_get_order(const json_t *object, struct tern_tx_order *order,
                           struct app_message *message)
{
    uint64_t hour = 0;
    if (!app_json_get_u64(object, "hour", UINT32_MAX, &hour, message) ||
        !app_json_get_u64(object, "energy_wh", INT64_MAX, &order->energy_wh, message) ||
        !app_json_get_u64(object, "price", INT64_MAX, &order->price, message) ||
        !app_json_get_u64(object, "expires_ms", INT64_MAX, &order->expires_ms, message))
        return false;
    order->hour = (tern_hour)hour;
    return true;
}

static bool json_get_reading(const json_t *object, struct tern_tx *tx, struct app_message *message)
{
    uint64_t hour = 0;
    if (!app_json_get_u64(object, "hour", UINT32_MAX, &hour, message) ||
        !app_json_get_u64(object, "energy_wh", INT64_MAX, &tx->as.reading.energy_wh, message))
        return false;
    tx->as.reading.hour = (tern_hour)hour;
    return true;
}

static struct tern_span json_span(void *data, size_t size)
{
    return (struct tern_span){.data = data, .size = size};
}

static bool json_get_body(const json_t *object, struct tern_tx *tx, struct app_message *message)
{
    switch (tx->kind) {
    case TERN_TX_TRANSFER:
        return app_json_get_hex(object, "to",
                                json_span(tx->as.transfer.to.bytes, TERN_ACCOUNT_SIZE), message) &&
               app_json_get_u64(object, "amount", INT64_MAX, &tx->as.transfer.amount, message);
    case TERN_TX_READING:
        return json_get_reading(object, tx, message);
    case TERN_TX_ASK:
    case TERN_TX_BID:
        return json_get_order(object, &tx->as.order, message);
    case TERN_TX_CANCEL:
        return app_json_get_hex(object, "order", json_span(tx->as.cancel.bytes, TERN_HASH_SIZE),
                                message);
    }
    return false;
}

bool app_json_to_tx(const json_t *object, bool with_signature, struct tern_tx *tx,
                    struct app_message *message)
{
    static const char *const names[] = {"id",    "kind",       "sender",    "nonce", "fee",
                                        "to",    "amount",     "hour",      "price", "energy_wh",
                                        "order", "expires_ms", "signature", NULL};
    memset(tx, 0, sizeof *tx);
    if (!json_is_object(object))
        return app_say(message, "a transaction must be a JSON object");
    if (!app_json_only(object, names, message))
        return false;
    const char *kind = json_string_value(json_object_get(object, "kind"));
    unsigned number = kind == NULL ? 0 : app_tx_kind(kind);
    if (number == 0)
        return app_say(message, "\"kind\" must be transfer, reading, ask, bid or cancel");
    tx->kind = (enum tern_tx_kind)number;
    if (!app_json_get_u64(object, "nonce", INT64_MAX, &tx->nonce, message) ||
        !app_json_get_u64(object, "fee", INT64_MAX, &tx->fee, message) ||
        !json_get_body(object, tx, message))
        return false;
    if (!with_signature)
        return true;
    return app_json_get_hex(object, "sender", json_span(tx->sender.bytes, TERN_ACCOUNT_SIZE),
                            message) &&
           app_json_get_hex(object, "signature", json_span(tx->signature, sizeof tx->signature),
                            message);
}

static json_t *json_of_txs(const struct tern_block *block)
{
    json_t *list = json_array();
    struct tern_block_txs it = tern_block_txs_of(block);
    struct tern_tx tx;
    struct tern_view bytes;
    while (tern_block_txs_next(&it, &tx, &bytes)) {
        struct tern_hash id;
        tern_tx_id(bytes, &id);
        json_array_append_new(list, app_json_of_tx(&tx, &id));
    }
    return list;
}

json_t *app_json_of_block(const struct tern_block *block, enum app_block_form form)
{
    const struct tern_header *header = &block->header;
    json_t *object = json_object();
    json_object_set_new(object, "height", app_json_u64(header->height));
    json_object_set_new(object, "hash", app_json_hex(block->hash.bytes, TERN_HASH_SIZE));
    json_object_set_new(object, "parent", app_json_hex(header->parent.bytes, TERN_HASH_SIZE));
    json_object_set_new(object, "chain", app_json_hex(header->chain.bytes, TERN_HASH_SIZE));
    json_object_set_new(object, "time_ms", app_json_u64(header->time_ms));
    json_object_set_new(object, "proposer",
                        app_json_hex(header->proposer.bytes, TERN_ACCOUNT_SIZE));
    json_object_set_new(object, "tx_root", app_json_hex(header->tx_root.bytes, TERN_HASH_SIZE));
    json_object_set_new(object, "state_root",
                        app_json_hex(header->state_root.bytes, TERN_HASH_SIZE));
    json_object_set_new(object, "diff_root", app_json_hex(header->diff_root.bytes, TERN_HASH_SIZE));
    json_object_set_new(object, "txs_count", app_json_u64(header->txs_count));
    json_object_set_new(object, "size_bytes", app_json_u64(block->bytes.size));
    if (form == APP_BLOCK_WHOLE)
        json_object_set_new(object, "txs", json_of_txs(block));
    if (form == APP_BLOCK_HEX) {
        char *text = app_alloc(2 * block->bytes.size + 1, 1);
        app_hex(block->bytes.data, block->bytes.size, text);
        json_object_set_new(object, "hex", json_string(text));
        free(text);
    }
    return object;
}
