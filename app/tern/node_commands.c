/*
 * Commands that ask the node: status, peers, chain, account, market, audit.
 */
#include <time.h>

#include "app/tern/command.h"

static int ask_get(const struct command_options *options, const char *path,
                   struct app_answer *answer)
{
    return command_ask(options, &(struct command_question){.path = path}, answer);
}

/* Prints JSON when that is wanted; else the caller's table, and frees the answer. */
typedef void printer(const json_t *json);

static int show(const struct command_options *options, const char *path, printer *print)
{
    struct app_answer answer;
    int code = ask_get(options, path, &answer);
    if (code != CODE_OK)
        return code;
    if (options->json)
        code = command_print_json(answer.json);
    else
        print(answer.json);
    app_answer_free(&answer);
    return code;
}

static void print_number(const char *name, uint64_t value, const char *unit)
{
    printf("%-14s %llu%s%s\n", name, (unsigned long long)value, unit[0] == '\0' ? "" : " ", unit);
}

static void print_time(const char *name, uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    char text[40];
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    printf("%-14s %s.%03u UTC\n", name, text, (unsigned)(ms % 1000));
}

static const char *yes_no(const json_t *json, const char *name)
{
    return json_is_true(json_object_get(json, name)) ? "yes" : "no";
}

static void print_status(const json_t *json)
{
    const json_t *market = json_object_get(json, "market");
    char text[24];
    size_t i;
    json_t *address;
    printf("%-14s %s\n", "peer", command_text(json, "peer_id"));
    json_array_foreach(json_object_get(json, "addresses"), i, address)
        printf("%-14s %s\n", i == 0 ? "addresses" : "", json_string_value(address));
    printf("%-14s %s, genesis %.16s\n", "chain", command_text(json, "chain"),
           command_text(json, "genesis"));
    printf("%-14s %llu, %.16s (confirmed %llu, best known %llu)\n", "head",
           (unsigned long long)command_u64(json, "height"), command_text(json, "head"),
           (unsigned long long)command_u64(json, "confirmed_height"),
           (unsigned long long)command_u64(json, "best_height"));
    print_time("head's time", command_u64(json, "head_time_ms"));
    printf("%-14s ready %s, syncing %s, authority %s\n", "state", yes_no(json, "ready"),
           yes_no(json, "syncing"), yes_no(json, "authority"));
    print_number("peers", command_u64(json, "peers"), "");
    print_number("pool", command_u64(json, "pool"), "transactions");
    print_number("last price", command_u64(market, "last_price"), "micro per Wh");
    print_number("traded", command_u64(market, "traded_wh"), "Wh");
    printf("%-14s %s\n", "up for", text_duration(command_u64(json, "uptime_ms"), text));
}

int command_status(const struct command_options *options)
{
    return show(options, "/v1/status", print_status);
}

/* How it is connected: "tcp noise yamux"; "quic-v1 tls" where the transport is the muxer. */
static void print_way(struct table *table, size_t column, const json_t *peer)
{
    const char *transport = command_text(peer, "transport");
    const char *muxer = command_text(peer, "muxer");
    bool same = strcmp(transport, muxer) == 0;
    table_cell(table, column, "%s %s%s%s", transport, command_text(peer, "secure"), same ? "" : " ",
               same ? "" : muxer);
}

static void print_peers(const json_t *json)
{
    static const char *const names[] = {"DIR",  "PEER", "ADDRESS", "WAY",     "AGENT", ">HEIGHT",
                                        ">RTT", ">IN",  ">OUT",    ">FAULTS", ">AGE",  NULL};
    struct table table;
    size_t i;
    json_t *peer;
    char text[24];
    table_init(&table, names);
    json_array_foreach(json_object_get(json, "peers"), i, peer)
    {
        table_row(&table);
        table_cell(&table, 0, "%.3s", command_text(peer, "direction"));
        table_cell(&table, 1, "%s", text_short(command_text(peer, "peer_id"), text));
        table_cell(&table, 2, "%s", command_text(peer, "address"));
        print_way(&table, 3, peer);
        table_cell(&table, 4, "%.24s", command_text(peer, "agent"));
        table_cell(&table, 5, "%llu", (unsigned long long)command_u64(peer, "height"));
        if (command_u64(peer, "rtt_us") == 0)
            table_cell(&table, 6, "-");
        else
            table_cell(&table, 6, "%.1f ms", (double)command_u64(peer, "rtt_us") / 1000);
        table_cell(&table, 7, "%s", text_bytes(command_u64(peer, "bytes_in"), text));
        table_cell(&table, 8, "%s", text_bytes(command_u64(peer, "bytes_out"), text));
        table_cell(&table, 9, "%llu", (unsigned long long)command_u64(peer, "faults_weight"));
        table_cell(&table, 10, "%s", text_duration(command_u64(peer, "age_ms"), text));
    }
    table_print(&table, stdout);
    printf("%zu peers\n", table.rows_count - 1);
    table_free(&table);
}

int command_peers(const struct command_options *options)
{
    return show(options, "/v1/peers", print_peers);
}

static void print_head(const json_t *json)
{
    print_number("height", command_u64(json, "height"), "");
    printf("%-14s %s\n", "hash", command_text(json, "hash"));
    print_time("time", command_u64(json, "time_ms"));
    print_number("confirmed", command_u64(json, "confirmed_height"), "");
}

int command_chain_head(const struct command_options *options)
{
    return show(options, "/v1/head", print_head);
}

static void print_tx(struct table *table, const json_t *tx)
{
    char text[24];
    const char *kind = command_text(tx, "kind");
    table_row(table);
    table_cell(table, 0, "%s", kind);
    table_cell(table, 1, "%s", text_short(command_text(tx, "id"), text));
    table_cell(table, 2, "%s", text_short(command_text(tx, "sender"), text));
    table_cell(table, 3, "%llu", (unsigned long long)command_u64(tx, "nonce"));
    table_cell(table, 4, "%llu", (unsigned long long)command_u64(tx, "fee"));
    if (strcmp(kind, "transfer") == 0)
        table_cell(table, 5, "%llu to %s", (unsigned long long)command_u64(tx, "amount"),
                   text_short(command_text(tx, "to"), text));
    else if (strcmp(kind, "cancel") == 0)
        table_cell(table, 5, "order %s", text_short(command_text(tx, "order"), text));
    else if (strcmp(kind, "reading") == 0)
        table_cell(table, 5, "%llu Wh, hour %llu", (unsigned long long)command_u64(tx, "energy_wh"),
                   (unsigned long long)command_u64(tx, "hour"));
    else
        table_cell(table, 5, "%llu Wh at %llu, hour %llu",
                   (unsigned long long)command_u64(tx, "energy_wh"),
                   (unsigned long long)command_u64(tx, "price"),
                   (unsigned long long)command_u64(tx, "hour"));
}

static void print_block(const json_t *json)
{
    static const char *const names[] = {"KIND", "ID", "SENDER", ">NONCE", ">FEE", "WHAT", NULL};
    static const char *const roots[] = {"hash",    "parent",     "proposer",
                                        "tx_root", "state_root", "diff_root"};
    const json_t *txs = json_object_get(json, "txs");
    struct table table;
    size_t i;
    json_t *tx;
    print_number("height", command_u64(json, "height"), "");
    for (i = 0; i < TERN_COUNT_OF(roots); i++)
        printf("%-14s %s\n", roots[i], command_text(json, roots[i]));
    print_time("time", command_u64(json, "time_ms"));
    print_number("size", command_u64(json, "size_bytes"), "bytes");
    print_number("transactions", command_u64(json, "txs_count"), "");
    if (json_array_size(txs) == 0)
        return;
    printf("\n");
    table_init(&table, names);
    json_array_foreach(txs, i, tx) print_tx(&table, tx);
    table_print(&table, stdout);
    table_free(&table);
}

int command_chain_block(const struct command_options *options)
{
    char path[128];
    uint64_t height;
    struct tern_hash hash;
    const char *ref = options->arguments[0];
    if (!app_number(ref, INT64_MAX, &height) && !app_unhex(ref, hash.bytes, sizeof hash.bytes))
        return command_fail(CODE_USAGE,
                            "%s is neither a height nor a hash of 64 hexadecimal digits", ref);
    snprintf(path, sizeof path, "/v1/blocks/%s", ref);
    return show(options, path, print_block);
}

int command_chain_validate(const struct command_options *options)
{
    char path[256] = "/v1/validate";
    struct app_answer answer;
    if (options->peer != NULL) {
        if (strlen(options->peer) > 100 || strpbrk(options->peer, "&?#% /") != NULL)
            return command_fail(CODE_USAGE, "--peer: this is no peer id");
        snprintf(path, sizeof path, "/v1/validate?peer=%s", options->peer);
    }
    int code = command_ask(
        options, &(struct command_question){.path = path, .post = true, .timeout_s = 600}, &answer);
    if (code != CODE_OK)
        return code;
    bool valid = json_is_true(json_object_get(answer.json, "valid"));
    if (options->json)
        command_print_json(answer.json);
    else if (valid)
        printf("valid up to height %llu\n", (unsigned long long)command_u64(answer.json, "height"));
    else
        printf("NOT valid at height %llu: %s\n",
               (unsigned long long)command_u64(answer.json, "bad_height"),
               command_text(answer.json, "fault"));
    app_answer_free(&answer);
    return valid ? CODE_OK : CODE_NO;
}

static void print_energy(const json_t *energy)
{
    static const char *const names[] = {"measured_wh", "available_wh", "offered_wh", "sold_wh",
                                        "bought_wh"};
    for (size_t i = 0; i < TERN_COUNT_OF(names); i++)
        print_number(names[i], command_u64(energy, names[i]), "");
}

static void print_account(const json_t *json)
{
    const json_t *device = json_object_get(json, "device");
    printf("%-14s %s\n", "key", command_text(json, "key"));
    print_number("balance", command_u64(json, "balance"), "micro");
    print_number("nonce", command_u64(json, "nonce"), "");
    print_number("next nonce", command_u64(json, "next_nonce"), "");
    print_number("open orders", command_u64(json, "orders"), "");
    if (device != NULL) {
        printf("%-14s %s\n", "device of", command_text(device, "owner"));
        print_number("its nonce", command_u64(device, "nonce"), "");
        print_number("its capacity", command_u64(device, "capacity_wh"), "Wh an hour");
    }
    if (json_object_get(json, "energy") != NULL) {
        print_number("hour", command_u64(json, "hour"), "");
        print_energy(json_object_get(json, "energy"));
    }
}

int command_account(const struct command_options *options)
{
    char path[160];
    struct tern_account key;
    uint64_t hour = 0;
    if (!app_unhex(options->arguments[0], key.bytes, sizeof key.bytes))
        return command_fail(CODE_USAGE, "%s: an account has 64 hexadecimal digits",
                            options->arguments[0]);
    if (options->hour != NULL && !app_number(options->hour, UINT32_MAX, &hour))
        return command_fail(CODE_USAGE, "--hour: a number of hours since 1970");
    snprintf(path, sizeof path, "/v1/accounts/%s%s%s", options->arguments[0],
             options->hour == NULL ? "" : "?hour=", options->hour == NULL ? "" : options->hour);
    return show(options, path, print_account);
}

static void print_market(const json_t *json)
{
    static const char *const names[] = {"HOUR (UTC)",  ">HOUR",    ">PRICE", ">MEASURED WH",
                                        ">OFFERED WH", ">SOLD WH", ">MONEY", NULL};
    struct table table;
    size_t i;
    json_t *hour;
    table_init(&table, names);
    json_array_foreach(json_object_get(json, "hours"), i, hour)
    {
        time_t seconds = (time_t)command_u64(hour, "hour") * 3600;
        struct tm parts;
        char text[40];
        gmtime_r(&seconds, &parts);
        strftime(text, sizeof text, "%Y-%m-%d %H:00", &parts);
        table_row(&table);
        table_cell(&table, 0, "%s", text);
        table_cell(&table, 1, "%llu", (unsigned long long)command_u64(hour, "hour"));
        table_cell(&table, 2, "%llu", (unsigned long long)command_u64(hour, "price"));
        table_cell(&table, 3, "%llu", (unsigned long long)command_u64(hour, "measured_wh"));
        table_cell(&table, 4, "%llu", (unsigned long long)command_u64(hour, "offered_wh"));
        table_cell(&table, 5, "%llu", (unsigned long long)command_u64(hour, "sold_wh"));
        table_cell(&table, 6, "%llu", (unsigned long long)command_u64(hour, "traded_money"));
    }
    table_print(&table, stdout);
    table_free(&table);
}

int command_market(const struct command_options *options)
{
    return show(options, "/v1/market", print_market);
}

int command_audit(const struct command_options *options)
{
    struct app_answer answer;
    int code = ask_get(options, "/v1/audit", &answer);
    if (code != CODE_OK)
        return code;
    const json_t *money = json_object_get(answer.json, "money");
    bool balanced = json_is_true(json_object_get(answer.json, "balanced"));
    if (options->json) {
        command_print_json(answer.json);
    } else {
        print_number("height", command_u64(answer.json, "height"), "");
        print_number("in accounts", command_u64(money, "accounts"), "micro");
        print_number("in escrow", command_u64(money, "escrow"), "micro");
        print_number("supply", command_u64(money, "supply"), "micro");
        print_energy(json_object_get(answer.json, "energy"));
        printf("%-14s %s\n", "balanced", balanced ? "yes" : command_text(answer.json, "finding"));
    }
    app_answer_free(&answer);
    return balanced ? CODE_OK : CODE_NO;
}
