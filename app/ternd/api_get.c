/*
 * The routes that tell.
 */
#include <stdlib.h>

#include "app/ternd/api_private.h"

static json_t *get_hash(const struct tern_hash *hash)
{
    return app_json_hex(hash->bytes, TERN_HASH_SIZE);
}

/* Fetches the status, or fills in the error. */
static bool get_status(struct api_request *request, struct api_reply *reply,
                       struct node_status *status)
{
    tern_err err = node_status(request->api->node, status);
    if (err != TERN_OK)
        api_fail_err(reply, err);
    return err == TERN_OK;
}

void api_health(struct api_request *request, struct api_reply *reply)
{
    struct node_status status;
    const char *failure = node_failed(request->api->node);
    if (failure != NULL) {
        api_fail(reply, MHD_HTTP_SERVICE_UNAVAILABLE, "failed", "%s", failure);
        return;
    }
    if (!get_status(request, reply, &status))
        return;
    if (!status.ready) {
        api_fail_err(reply, TERN_ERR_AGAIN);
        return;
    }
    json_t *json = json_object();
    json_object_set_new(json, "healthy", json_true());
    json_object_set_new(json, "syncing", json_boolean(status.syncing));
    json_object_set_new(json, "peers", app_json_u64(status.peers_count));
    json_object_set_new(json, "height", app_json_u64(status.height));
    api_json(reply, json);
}

static json_t *get_addresses(const struct node_status *status)
{
    json_t *list = json_array();
    for (size_t i = 0; i < status->addresses_count; i++)
        json_array_append_new(list, json_string(status->addresses[i]));
    return list;
}

static json_t *get_market_summary(const struct node_status *status)
{
    json_t *json = json_object();
    json_object_set_new(json, "last_price", app_json_u64(status->last_price));
    json_object_set_new(json, "last_price_hour", app_json_u64(status->last_price_hour));
    json_object_set_new(json, "traded_wh", app_json_u64(status->traded_wh));
    json_object_set_new(json, "traded_money", app_json_u64(status->traded_money));
    return json;
}

void api_status(struct api_request *request, struct api_reply *reply)
{
    struct node_status status;
    if (!get_status(request, reply, &status))
        return;
    json_t *json = json_object();
    json_object_set_new(json, "version", json_string("0.1.0"));
    json_object_set_new(json, "peer_id", json_string(status.peer_id));
    json_object_set_new(json, "addresses", get_addresses(&status));
    json_object_set_new(json, "chain", json_string(status.chain_name));
    json_object_set_new(json, "genesis", get_hash(&status.genesis_hash));
    json_object_set_new(json, "fee_min", app_json_u64(status.fee_min));
    json_object_set_new(json, "period_ms", app_json_u64(status.period_ms));
    json_object_set_new(json, "ready", json_boolean(status.ready));
    json_object_set_new(json, "syncing", json_boolean(status.syncing));
    json_object_set_new(json, "authority", json_boolean(status.authority));
    json_object_set_new(json, "height", app_json_u64(status.height));
    json_object_set_new(json, "head", get_hash(&status.head));
    json_object_set_new(json, "head_time_ms", app_json_u64(status.head_time_ms));
    json_object_set_new(json, "confirmed_height", app_json_u64(status.confirmed_height));
    json_object_set_new(json, "best_height", app_json_u64(status.best_height));
    json_object_set_new(json, "peers", app_json_u64(status.peers_count));
    json_object_set_new(json, "pool", app_json_u64(status.pool_count));
    json_object_set_new(json, "market", get_market_summary(&status));
    json_object_set_new(json, "messages_in", app_json_u64(status.messages_in));
    json_object_set_new(json, "messages_out", app_json_u64(status.messages_out));
    json_object_set_new(json, "reorganisations", app_json_u64(status.reorganisations));
    json_object_set_new(json, "uptime_ms", app_json_u64(status.uptime_ns / TERN_MILLISECOND));
    api_json(reply, json);
}

static json_t *get_way(const char *name)
{
    return json_string(name == NULL ? "" : name);
}

static json_t *get_peer(const struct node_peer *peer)
{
    json_t *json = json_object();
    json_object_set_new(json, "peer_id", json_string(peer->peer_id));
    json_object_set_new(json, "address", json_string(peer->address));
    json_t *agent = json_string(peer->agent);
    json_object_set_new(json, "agent", agent == NULL ? json_string("") : agent);
    json_object_set_new(json, "transport", get_way(peer->transport));
    json_object_set_new(json, "secure", get_way(peer->secure));
    json_object_set_new(json, "muxer", get_way(peer->muxer));
    json_object_set_new(json, "direction", json_string(peer->outbound ? "outbound" : "inbound"));
    json_object_set_new(json, "rtt_us", app_json_u64(peer->rtt_ns / TERN_MICROSECOND));
    json_object_set_new(json, "age_ms", app_json_u64(peer->age_ns / TERN_MILLISECOND));
    json_object_set_new(json, "bytes_in", app_json_u64(peer->bytes_in));
    json_object_set_new(json, "bytes_out", app_json_u64(peer->bytes_out));
    json_object_set_new(json, "streams", app_json_u64(peer->streams_count));
    json_object_set_new(json, "height", app_json_u64(peer->height));
    json_object_set_new(json, "faults_weight", app_json_u64(peer->faults_weight));
    return json;
}

void api_peers(struct api_request *request, struct api_reply *reply)
{
    size_t count = 0;
    struct node_peer *peers = calloc(NODE_PEERS_MAX, sizeof *peers);
    if (peers == NULL) {
        api_fail_err(reply, TERN_ERR_MEMORY);
        return;
    }
    tern_err err = node_peers(request->api->node, peers, NODE_PEERS_MAX, &count);
    if (err != TERN_OK) {
        api_fail_err(reply, err);
    } else {
        json_t *list = json_array();
        for (size_t i = 0; i < count; i++)
            json_array_append_new(list, get_peer(&peers[i]));
        json_t *json = json_object();
        json_object_set_new(json, "peers", list);
        api_json(reply, json);
    }
    free(peers);
}

/* Fetches and renders a block. Height 0 is the genesis, which is no block but is asked for as one.
 */
static void get_block(struct api_request *request, const struct node_block_ref *ref,
                      enum app_block_form form, struct api_reply *reply)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct tern_block block;
    tern_fault fault;
    tern_err err = node_block(request->api->node, ref, &bytes, &size);
    if (err == TERN_ERR_NOT_FOUND) {
        api_fail(reply, MHD_HTTP_NOT_FOUND, "no_block", "this node has no such block");
        return;
    }
    if (err != TERN_OK) {
        api_fail_err(reply, err);
        return;
    }
    err = tern_block_decode(tern_view_of(bytes, size), &block, &fault);
    if (err != TERN_OK)
        api_fail_err(reply, TERN_ERR_CORRUPT);
    else
        api_json(reply, app_json_of_block(&block, form));
    free(bytes);
}

static bool get_form(struct api_request *request, struct api_reply *reply,
                     enum app_block_form *form)
{
    const char *text = api_query(request, "form");
    *form = APP_BLOCK_WHOLE;
    if (text == NULL || strcmp(text, "whole") == 0)
        return true;
    if (strcmp(text, "header") == 0) {
        *form = APP_BLOCK_HEADER;
        return true;
    }
    if (strcmp(text, "hex") == 0) {
        *form = APP_BLOCK_HEX;
        return true;
    }
    api_fail(reply, MHD_HTTP_BAD_REQUEST, "form", "form is whole, header or hex");
    return false;
}

void api_block(struct api_request *request, struct api_reply *reply)
{
    struct node_block_ref ref = {.by_hash = false};
    enum app_block_form form;
    if (!get_form(request, reply, &form))
        return;
    if (strlen(request->tail) == 2 * TERN_HASH_SIZE)
        ref.by_hash = app_unhex(request->tail, ref.hash.bytes, TERN_HASH_SIZE);
    if (!ref.by_hash && !app_number(request->tail, INT64_MAX, &ref.height)) {
        api_fail(reply, MHD_HTTP_BAD_REQUEST, "block",
                 "a block is named by its height or by the 64 hexadecimal digits of its hash");
        return;
    }
    get_block(request, &ref, form, reply);
}

void api_head(struct api_request *request, struct api_reply *reply)
{
    struct node_status status;
    if (!get_status(request, reply, &status))
        return;
    json_t *json = json_object();
    json_object_set_new(json, "height", app_json_u64(status.height));
    json_object_set_new(json, "hash", get_hash(&status.head));
    json_object_set_new(json, "time_ms", app_json_u64(status.head_time_ms));
    json_object_set_new(json, "confirmed_height", app_json_u64(status.confirmed_height));
    api_json(reply, json);
}

static json_t *get_energy(const struct tern_row_energy *energy)
{
    json_t *json = json_object();
    json_object_set_new(json, "measured_wh", app_json_u64(energy->measured_wh));
    json_object_set_new(json, "available_wh", app_json_u64(energy->available_wh));
    json_object_set_new(json, "offered_wh", app_json_u64(energy->offered_wh));
    json_object_set_new(json, "sold_wh", app_json_u64(energy->sold_wh));
    json_object_set_new(json, "bought_wh", app_json_u64(energy->bought_wh));
    return json;
}

static bool get_account_hour(struct api_request *request, const struct tern_account *key,
                             struct api_reply *reply, json_t *json)
{
    uint64_t hour = 0;
    struct tern_row_energy energy;
    const char *text = api_query(request, "hour");
    if (text == NULL)
        return true;
    if (!app_number(text, UINT32_MAX, &hour)) {
        api_fail(reply, MHD_HTTP_BAD_REQUEST, "hour", "hour is a number of hours since 1970");
        return false;
    }
    tern_err err = node_energy(request->api->node, key, (tern_hour)hour, &energy);
    if (err != TERN_OK) {
        api_fail_err(reply, err);
        return false;
    }
    json_object_set_new(json, "hour", app_json_u64(hour));
    json_object_set_new(json, "energy", get_energy(&energy));
    return true;
}

static json_t *get_device(const struct node_account *account)
{
    json_t *json = json_object();
    json_object_set_new(json, "owner",
                        app_json_hex(account->device.owner.bytes, TERN_ACCOUNT_SIZE));
    json_object_set_new(json, "nonce", app_json_u64(account->device.nonce));
    json_object_set_new(json, "next_nonce", app_json_u64(account->next_device_nonce));
    json_object_set_new(json, "capacity_wh", app_json_u64(account->device.capacity_wh));
    json_object_set_new(json, "hour", app_json_u64(account->device.hour));
    json_object_set_new(json, "reported_wh", app_json_u64(account->device.reported_wh));
    return json;
}

void api_account(struct api_request *request, struct api_reply *reply)
{
    struct tern_account key;
    struct node_account account;
    if (!app_unhex(request->tail, key.bytes, TERN_ACCOUNT_SIZE)) {
        api_fail(reply, MHD_HTTP_BAD_REQUEST, "account",
                 "an account is named by the 64 hexadecimal digits of its key");
        return;
    }
    tern_err err = node_account(request->api->node, &key, &account);
    if (err != TERN_OK) {
        api_fail_err(reply, err);
        return;
    }
    json_t *json = json_object();
    json_object_set_new(json, "key", app_json_hex(key.bytes, TERN_ACCOUNT_SIZE));
    json_object_set_new(json, "exists", json_boolean(account.exists));
    json_object_set_new(json, "balance", app_json_u64(account.account.balance));
    json_object_set_new(json, "nonce", app_json_u64(account.account.nonce));
    json_object_set_new(json, "next_nonce", app_json_u64(account.next_nonce));
    json_object_set_new(json, "orders", app_json_u64(account.account.orders_count));
    if (account.is_device)
        json_object_set_new(json, "device", get_device(&account));
    if (get_account_hour(request, &key, reply, json))
        api_json(reply, json);
    else
        json_decref(json);
}

static json_t *get_hour(const struct node_hour *hour)
{
    json_t *json = get_energy(&hour->row.sum);
    json_object_set_new(json, "hour", app_json_u64(hour->hour));
    json_object_set_new(json, "price", app_json_u64(hour->row.price));
    json_object_set_new(json, "height", app_json_u64(hour->row.height));
    json_object_set_new(json, "traded_money", app_json_u64(hour->row.traded));
    return json;
}

void api_market(struct api_request *request, struct api_reply *reply)
{
    struct node_hour *hours = calloc(NODE_HOURS_MAX, sizeof *hours);
    size_t count = 0;
    if (hours == NULL) {
        api_fail_err(reply, TERN_ERR_MEMORY);
        return;
    }
    tern_err err = node_market(request->api->node, hours, NODE_HOURS_MAX, &count);
    if (err != TERN_OK) {
        api_fail_err(reply, err);
    } else {
        json_t *list = json_array();
        for (size_t i = 0; i < count; i++)
            json_array_append_new(list, get_hour(&hours[i]));
        json_t *json = json_object();
        json_object_set_new(json, "hours", list);
        api_json(reply, json);
    }
    free(hours);
}

void api_audit(struct api_request *request, struct api_reply *reply)
{
    struct node_audit audit;
    tern_err err = node_audit(request->api->node, &audit);
    if (err != TERN_OK) {
        api_fail_err(reply, err);
        return;
    }
    json_t *money = json_object();
    json_object_set_new(money, "accounts", app_json_u64(audit.audit.accounts));
    json_object_set_new(money, "escrow", app_json_u64(audit.audit.escrow));
    json_object_set_new(money, "supply", app_json_u64(audit.supply));
    json_object_set_new(money, "traded", app_json_u64(audit.traded));
    json_t *json = json_object();
    json_object_set_new(json, "height", app_json_u64(audit.height));
    json_object_set_new(json, "head", get_hash(&audit.head));
    json_object_set_new(json, "balanced", json_boolean(audit.audit.finding == NULL));
    if (audit.audit.finding != NULL)
        json_object_set_new(json, "finding", json_string(audit.audit.finding));
    json_object_set_new(json, "money", money);
    json_object_set_new(json, "energy", get_energy(&audit.energy));
    json_object_set_new(json, "accounts", app_json_u64(audit.audit.accounts_count));
    json_object_set_new(json, "orders", app_json_u64(audit.audit.orders_count));
    json_object_set_new(json, "hours", app_json_u64(audit.audit.hours_count));
    api_json(reply, json);
}
