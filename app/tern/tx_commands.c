/*
 * Commands that have to do with keys: transactions, key files, the genesis.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "app/tern/command.h"
#include "crypto/secret.h"
#include "runtime/real/keyfile.h"
#include "runtime/real/loop.h"

enum { TX_EXPIRES_AHEAD_HOURS = 2 };

/* Reads a key file; make: makes it when it is not there. CODE_OK, or the code after the message is
 * out. */
static int load_key(const char *path, bool make, struct tern_private_key *key)
{
    uint8_t seed[TERN_RANDOM_SEED_SIZE];
    struct tern_random random;
    char text[512] = "";
    if (!make && access(path, F_OK) != 0)
        return command_fail(CODE_INPUT, "%s: %m", path);
    if (tern_loop_entropy(seed, sizeof seed) != TERN_OK)
        return command_fail(CODE_INTERNAL, "the system gives no entropy");
    tern_random_init(&random, seed);
    tern_secret_wipe(seed, sizeof seed);
    tern_err err = tern_keyfile_load(
        &(struct tern_keyfile_options){.path = path, .type = TERN_KEY_ED25519, .random = &random},
        key, text, sizeof text);
    if (err == TERN_OK && key->public_key.type != TERN_KEY_ED25519) {
        tern_private_key_fini(key);
        return command_fail(CODE_DATA, "%s: transactions are signed by Ed25519 keys alone", path);
    }
    if (err == TERN_OK)
        return CODE_OK;
    return command_fail(err == TERN_ERR_GATED     ? CODE_KEY
                        : err == TERN_ERR_BAD_KEY ? CODE_DATA
                                                  : CODE_IO,
                        "%s", text);
}

static int show_key(const struct command_options *options, const struct tern_private_key *key)
{
    char account[APP_HEX_HASH_SIZE];
    char peer[128];
    struct tern_peer_id id;
    struct tern_writer w = tern_writer_of(peer, sizeof peer);
    app_hex(key->public_key.as.ed25519, TERN_ACCOUNT_SIZE, account);
    tern_public_key_peer_id(&key->public_key, &id);
    tern_peer_id_format(&id, &w);
    if (!tern_writer_terminate(&w))
        return command_fail(CODE_INTERNAL, "the peer id is too long");
    if (!options->json) {
        printf("account %s\npeer    %s\n", account, peer);
        return CODE_OK;
    }
    json_t *json = json_pack("{s:s, s:s}", "account", account, "peer_id", peer);
    int code = command_print_json(json);
    json_decref(json);
    return code;
}

int command_key_new(const struct command_options *options)
{
    struct tern_private_key key;
    const char *path = options->arguments[0];
    if (access(path, F_OK) == 0)
        return command_fail(CODE_IO, "%s exists; it is left as it is", path);
    int code = load_key(path, true, &key);
    if (code != CODE_OK)
        return code;
    code = show_key(options, &key);
    tern_private_key_fini(&key);
    return code;
}

int command_key_show(const struct command_options *options)
{
    struct tern_private_key key;
    int code = load_key(options->arguments[0], false, &key);
    if (code != CODE_OK)
        return code;
    code = show_key(options, &key);
    tern_private_key_fini(&key);
    return code;
}

int command_genesis_show(const struct command_options *options)
{
    struct app_genesis genesis;
    struct app_message message;
    char hash[APP_HEX_HASH_SIZE];
    if (access(options->arguments[0], R_OK) != 0)
        return command_fail(CODE_INPUT, "%s: %m", options->arguments[0]);
    if (!app_genesis_load(options->arguments[0], &genesis, &message))
        return command_fail(CODE_DATA, "%s", message.text);
    app_hex(genesis.hash.bytes, TERN_HASH_SIZE, hash);
    if (options->json) {
        json_t *json = json_pack("{s:s, s:s, s:I, s:I}", "name", genesis.name, "hash", hash,
                                 "authorities", (json_int_t)genesis.genesis.authorities_count,
                                 "supply", (json_int_t)tern_genesis_supply(&genesis.genesis));
        command_print_json(json);
        json_decref(json);
    } else {
        printf("%s\nhash %s\n%zu authorities, %zu accounts, %zu devices, supply %llu micro\n",
               genesis.name, hash, genesis.genesis.authorities_count,
               genesis.genesis.accounts_count, genesis.genesis.devices_count,
               (unsigned long long)tern_genesis_supply(&genesis.genesis));
    }
    app_genesis_free(&genesis);
    return CODE_OK;
}

/* --- transactions --- */

static bool take_number(const char *text, const char *flag, uint64_t max, uint64_t *value)
{
    if (text != NULL && app_number(text, max, value))
        return true;
    command_fail(CODE_USAGE, text == NULL ? "%s is missing" : "%s: not a number in range", flag);
    return false;
}

static bool take_hex(const char *text, const char *flag, void *bytes)
{
    if (text != NULL && app_unhex(text, bytes, TERN_HASH_SIZE))
        return true;
    command_fail(CODE_USAGE, text == NULL ? "%s is missing" : "%s: not 64 hexadecimal digits",
                 flag);
    return false;
}

static bool take_order(const struct command_options *options, struct tern_tx_order *order)
{
    uint64_t hour = 0;
    if (!take_number(options->hour, "--hour", UINT32_MAX, &hour) ||
        !take_number(options->energy, "--energy", TERN_ORDER_WH_MAX, &order->energy_wh) ||
        !take_number(options->price, "--price", TERN_PRICE_MAX, &order->price))
        return false;
    order->hour = (tern_hour)hour;
    order->expires_ms = (hour + TX_EXPIRES_AHEAD_HOURS) * TERN_HOUR_MS;
    return options->expires == NULL ||
           take_number(options->expires, "--expires", TERN_TIME_MS_MAX, &order->expires_ms);
}

static bool take_tx(const struct command_options *options, struct tern_tx *tx)
{
    uint64_t hour = 0;
    unsigned kind = app_tx_kind(options->arguments[0]);
    if (kind == 0) {
        command_fail(CODE_USAGE, "%s: the kinds are transfer, reading, ask, bid and cancel",
                     options->arguments[0]);
        return false;
    }
    *tx = (struct tern_tx){.kind = (enum tern_tx_kind)kind};
    switch (tx->kind) {
    case TERN_TX_TRANSFER:
        return take_hex(options->to, "--to", tx->as.transfer.to.bytes) &&
               take_number(options->amount, "--amount", TERN_SUPPLY_MAX, &tx->as.transfer.amount);
    case TERN_TX_READING:
        if (!take_number(options->hour, "--hour", UINT32_MAX, &hour) ||
            !take_number(options->energy, "--energy", TERN_ORDER_WH_MAX, &tx->as.reading.energy_wh))
            return false;
        tx->as.reading.hour = (tern_hour)hour;
        return true;
    case TERN_TX_ASK:
    case TERN_TX_BID:
        return take_order(options, &tx->as.order);
    case TERN_TX_CANCEL:
        return take_hex(options->order, "--order", tx->as.cancel.bytes);
    }
    return false;
}

/* Asks the node for what the command line left out: chain, fee, nonce. */
static int complete_tx(const struct command_options *options, const struct tern_private_key *key,
                       struct tern_tx *tx, struct tern_hash *genesis)
{
    struct app_answer status;
    struct app_answer account;
    char path[128] = "/v1/accounts/";
    app_hex(key->public_key.as.ed25519, TERN_ACCOUNT_SIZE, path + strlen(path));
    int code = command_ask(options, &(struct command_question){.path = "/v1/status"}, &status);
    if (code != CODE_OK)
        return code;
    bool known = app_unhex(command_text(status.json, "genesis"), genesis->bytes, TERN_HASH_SIZE);
    tx->fee = command_u64(status.json, "fee_min");
    app_answer_free(&status);
    if (!known)
        return command_fail(CODE_UNAVAILABLE, "the node does not tell its chain");
    code = command_ask(options, &(struct command_question){.path = path}, &account);
    if (code != CODE_OK)
        return code;
    const json_t *device = json_object_get(account.json, "device");
    tx->nonce = command_u64(tx->kind == TERN_TX_READING ? device : account.json, "next_nonce");
    app_answer_free(&account);
    if ((options->fee != NULL && !take_number(options->fee, "--fee", TERN_SUPPLY_MAX, &tx->fee)) ||
        (options->nonce != NULL && !take_number(options->nonce, "--nonce", INT64_MAX, &tx->nonce)))
        return CODE_USAGE;
    return CODE_OK;
}

static int send_tx(const struct command_options *options, const struct tern_tx *tx)
{
    uint8_t bytes[TERN_TX_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct tern_hash id;
    struct app_answer answer;
    tern_tx_encode(tx, &w);
    tern_tx_id(tern_writer_view(&w), &id);
    json_t *json = app_json_of_tx(tx, &id);
    int code = CODE_OK;
    if (options->dry_run) {
        code = command_print_json(json);
        json_decref(json);
        return code;
    }
    code = command_ask(
        options, &(struct command_question){.path = "/v1/transactions", .post = true, .body = json},
        &answer);
    json_decref(json);
    if (code != CODE_OK)
        return code;
    if (options->json)
        code = command_print_json(answer.json);
    else
        printf("%s\n", command_text(answer.json, "id"));
    app_answer_free(&answer);
    return code;
}

int command_tx_send(const struct command_options *options)
{
    struct tern_tx tx;
    struct tern_private_key key;
    struct tern_hash genesis;
    if (!take_tx(options, &tx))
        return CODE_USAGE;
    if (options->key == NULL)
        return command_fail(CODE_USAGE, "--key is missing: the file of the key that signs");
    int code = load_key(options->key, false, &key);
    if (code != CODE_OK)
        return code;
    code = complete_tx(options, &key, &tx, &genesis);
    if (code == CODE_OK && tern_tx_sign(&tx, &genesis, &key) != TERN_OK)
        code = command_fail(CODE_INTERNAL, "signing failed");
    tern_private_key_fini(&key);
    return code == CODE_OK ? send_tx(options, &tx) : code;
}
