/*
 * tern: the command line of a node, and a peer by itself for ping, dial, identify and perf.
 */
#include <curl/curl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>

#include "app/tern/command.h"
#include "crypto/start.h"
#include "tern/tern.h"

struct command_row {
    const char *group; /* NULL: a command by itself */
    const char *name;
    command *run;
    size_t arguments_min;
    size_t arguments_max;
    const char *usage;
    const char *about;
};

static const struct command_row command_table[] = {
    {NULL, "status", command_status, 0, 0, "", "the node at a glance"},
    {NULL, "peers", command_peers, 0, 0, "", "the node's peers"},
    {NULL, "ping", command_ping, 1, 1, "PEER", "round trips to a peer"},
    {NULL, "dial", command_dial, 1, COMMAND_ARGUMENTS_MAX - 1, "PEER [ADDRESS...]",
     "connect to a peer; --explain: what came of each address"},
    {NULL, "identify", command_identify, 1, 1, "PEER", "what a peer tells of itself"},
    {NULL, "perf", command_perf, 0, 1, "PEER|--serve ADDRESS",
     "how fast bytes go to a peer and come back"},
    {"chain", "head", command_chain_head, 0, 0, "", "the end of the best chain"},
    {"chain", "block", command_chain_block, 1, 1, "HEIGHT|HASH", "a block and its transactions"},
    {"chain", "validate", command_chain_validate, 0, 0, "[--peer ID]",
     "check the whole chain again, the node's or a peer's"},
    {"tx", "send", command_tx_send, 1, 1, "KIND --key FILE …",
     "build, sign and submit a transaction"},
    {NULL, "account", command_account, 1, 1, "KEY [--hour H]", "an account or device"},
    {NULL, "market", command_market, 0, 0, "", "prices and energy by delivery hour"},
    {NULL, "audit", command_audit, 0, 0, "", "do money and energy balance?"},
    {"key", "new", command_key_new, 1, 1, "FILE", "make a key, mode 0600"},
    {"key", "show", command_key_show, 1, 1, "FILE", "its account and peer id"},
    {"genesis", "show", command_genesis_show, 1, 1, "FILE", "check a genesis, print its hash"},
};

static void print_help(FILE *out)
{
    fputs("usage: tern [OPTION...] COMMAND [ARGUMENT...]\n\n", out);
    for (size_t i = 0; i < TERN_COUNT_OF(command_table); i++) {
        const struct command_row *row = &command_table[i];
        char line[80];
        snprintf(line, sizeof line, "%s%s%s %s", row->group == NULL ? "" : row->group,
                 row->group == NULL ? "" : " ", row->name, row->usage);
        fprintf(out, "  %-30s %s\n", line, row->about);
    }
    fputs(
        "\n"
        "PEER is an address that ends in /p2p/ID, an address alone, or the id of a peer that the\n"
        "node is connected to. KIND is one of\n"
        "  transfer --to KEY --amount N       reading --hour H --energy WH\n"
        "  ask|bid --hour H --energy WH --price P [--expires MS]      cancel --order ID\n"
        "each with [--fee N] [--nonce N] [--dry-run]. Money in micro-currency, prices in\n"
        "micro-currency per Wh, hours since 1970-01-01 UTC.\n"
        "\n"
        "  --api URL        the node's API (or $TERN_API; http://127.0.0.1:7780)\n"
        "  --data-dir DIR   find the API of the node with this data folder\n"
        "  --json           answers for programs\n"
        "  --timeout S      (10)\n"
        "  --help, --version\n"
        "\n"
        "ping, dial, identify and perf are a peer by themselves. Ways to connect, separated by\n"
        "commas; a name that this build does not have is answered with a list of those it has:\n"
        "  --transport NAMES  tcp, ws, wss, quic-v1, webtransport, webrtc-direct\n"
        "  --secure NAMES     noise, tls, plaintext          --muxer NAMES  yamux, mplex\n"
        "  --psk FILE         the private network whose key (swarm.key) this is\n"
        "ping\n"
        "  --count N (3)     --interval S (0.2)             Ctrl-C ends it and sums up\n"
        "perf\n"
        "  --upload BYTES    --download BYTES   such as 64MiB or 1GB; neither: 64MiB both ways\n"
        "  --duration S      instead of BYTES, or at the most\n"
        "  --iterations N    (10; with a duration 1)\n"
        "  --header16        as the rust and dotnet programs of unified-testing speak it\n"
        "  --serve ADDRESS   such as /ip4/0.0.0.0/tcp/4001; --key FILE is its identity\n"
        "\n"
        "Exit codes: 0 done, 1 the answer is no, 64 usage, 65 bad data, 66 no such file, 69 no\n"
        "answer, 70 internal, 74 cannot write, 75 try later, 77 unsafe key file, 124 timeout.\n",
        out);
}

int command_fail(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("tern: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return code;
}

bool command_api(const struct command_options *options, char url[APP_URL_MAX],
                 struct app_message *message)
{
    const char *variable = getenv("TERN_API");
    const char *api = options->api != NULL ? options->api
                      : variable != NULL   ? variable
                                           : "http://127.0.0.1:7780";
    if (options->api == NULL && options->data_dir != NULL)
        return app_find_api(options->data_dir, url, message);
    if (strlen(api) >= APP_URL_MAX)
        return app_say(message, "the API's URL is too long");
    memcpy(url, api, strlen(api) + 1);
    return true;
}

static int answer_code(const struct app_answer *answer)
{
    const char *error = app_answer_error(answer);
    if (answer->status < 400 && answer->json != NULL)
        return CODE_OK;
    if (answer->status == 504)
        return command_fail(CODE_TIMEOUT, "%s", error);
    if (answer->status >= 500)
        return command_fail(CODE_AGAIN, "%s", error[0] == '\0' ? "the node failed" : error);
    if (answer->status == 422 || answer->status == 404)
        return command_fail(CODE_NO, "%s", error);
    if (answer->status >= 400)
        return command_fail(CODE_DATA, "%s", error[0] == '\0' ? "the node refused" : error);
    return command_fail(CODE_UNAVAILABLE, "the answer is not JSON: is this ternd's API?");
}

int command_ask(const struct command_options *options, const struct command_question *question,
                struct app_answer *answer)
{
    char url[APP_URL_MAX];
    struct app_message message;
    uint64_t timeout_s = question->timeout_s == 0 ? options->timeout_s : question->timeout_s;
    if (!command_api(options, url, &message))
        return command_fail(CODE_UNAVAILABLE, "%s", message.text);
    struct app_client *client = app_client_new(url, (long)timeout_s * 1000);
    if (client == NULL)
        return command_fail(CODE_INTERNAL, "out of memory");
    bool fine = question->post
                    ? app_client_post(client, question->path, question->body, answer, &message)
                    : app_client_get(client, question->path, answer, &message);
    app_client_free(client);
    if (!fine)
        return command_fail(CODE_UNAVAILABLE, "%s; is ternd running?", message.text);
    int code = answer_code(answer);
    if (code != CODE_OK)
        app_answer_free(answer);
    return code;
}

int command_print_json(const json_t *json)
{
    char *text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
    if (text == NULL)
        return command_fail(CODE_INTERNAL, "out of memory");
    puts(text);
    free(text);
    return CODE_OK;
}

uint64_t command_u64(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));
    return value < 0 ? 0 : (uint64_t)value;
}

const char *command_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

/* --- the command line --- */

enum flag {
    FLAG_API = 256,
    FLAG_DATA_DIR,
    FLAG_JSON,
    FLAG_TIMEOUT,
    FLAG_COUNT,
    FLAG_PEER,
    FLAG_KEY,
    FLAG_TO,
    FLAG_AMOUNT,
    FLAG_FEE,
    FLAG_NONCE,
    FLAG_HOUR,
    FLAG_ENERGY,
    FLAG_PRICE,
    FLAG_EXPIRES,
    FLAG_ORDER,
    FLAG_DRY_RUN,
    FLAG_INTERVAL,
    FLAG_EXPLAIN,
    FLAG_TRANSPORT,
    FLAG_SECURE,
    FLAG_MUXER,
    FLAG_PSK,
    FLAG_UPLOAD,
    FLAG_DOWNLOAD,
    FLAG_DURATION,
    FLAG_ITERATIONS,
    FLAG_HEADER16,
    FLAG_SERVE,
    FLAG_VERSION,
    FLAG_HELP,
};

static const struct option flag_table[] = {
    {"api", required_argument, NULL, FLAG_API},
    {"data-dir", required_argument, NULL, FLAG_DATA_DIR},
    {"json", no_argument, NULL, FLAG_JSON},
    {"timeout", required_argument, NULL, FLAG_TIMEOUT},
    {"count", required_argument, NULL, FLAG_COUNT},
    {"peer", required_argument, NULL, FLAG_PEER},
    {"key", required_argument, NULL, FLAG_KEY},
    {"to", required_argument, NULL, FLAG_TO},
    {"amount", required_argument, NULL, FLAG_AMOUNT},
    {"fee", required_argument, NULL, FLAG_FEE},
    {"nonce", required_argument, NULL, FLAG_NONCE},
    {"hour", required_argument, NULL, FLAG_HOUR},
    {"energy", required_argument, NULL, FLAG_ENERGY},
    {"price", required_argument, NULL, FLAG_PRICE},
    {"expires", required_argument, NULL, FLAG_EXPIRES},
    {"order", required_argument, NULL, FLAG_ORDER},
    {"dry-run", no_argument, NULL, FLAG_DRY_RUN},
    {"interval", required_argument, NULL, FLAG_INTERVAL},
    {"explain", no_argument, NULL, FLAG_EXPLAIN},
    {"transport", required_argument, NULL, FLAG_TRANSPORT},
    {"secure", required_argument, NULL, FLAG_SECURE},
    {"muxer", required_argument, NULL, FLAG_MUXER},
    {"psk", required_argument, NULL, FLAG_PSK},
    {"upload", required_argument, NULL, FLAG_UPLOAD},
    {"download", required_argument, NULL, FLAG_DOWNLOAD},
    {"duration", required_argument, NULL, FLAG_DURATION},
    {"iterations", required_argument, NULL, FLAG_ITERATIONS},
    {"header16", no_argument, NULL, FLAG_HEADER16},
    {"serve", required_argument, NULL, FLAG_SERVE},
    {"version", no_argument, NULL, FLAG_VERSION},
    {"help", no_argument, NULL, FLAG_HELP},
    {NULL, 0, NULL, 0},
};

/* Where a flag's text goes; NULL: it is none of text. */
static const char **flag_text(struct command_options *options, int flag)
{
    const struct {
        int flag;
        const char **to;
    } texts[] = {
        {FLAG_API, &options->api},       {FLAG_DATA_DIR, &options->data_dir},
        {FLAG_PEER, &options->peer},     {FLAG_KEY, &options->key},
        {FLAG_TO, &options->to},         {FLAG_AMOUNT, &options->amount},
        {FLAG_FEE, &options->fee},       {FLAG_NONCE, &options->nonce},
        {FLAG_HOUR, &options->hour},     {FLAG_ENERGY, &options->energy},
        {FLAG_PRICE, &options->price},   {FLAG_EXPIRES, &options->expires},
        {FLAG_ORDER, &options->order},   {FLAG_TRANSPORT, &options->transport},
        {FLAG_SECURE, &options->secure}, {FLAG_MUXER, &options->muxer},
        {FLAG_UPLOAD, &options->upload}, {FLAG_DOWNLOAD, &options->download},
        {FLAG_SERVE, &options->serve},   {FLAG_PSK, &options->psk},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(texts); i++)
        if (texts[i].flag == flag)
            return texts[i].to;
    return NULL;
}

/* Where a flag without a value is noted; NULL: it is none. */
static bool *flag_switch(struct command_options *options, int flag)
{
    switch (flag) {
    case FLAG_JSON:
        return &options->json;
    case FLAG_DRY_RUN:
        return &options->dry_run;
    case FLAG_EXPLAIN:
        return &options->explain;
    case FLAG_HEADER16:
        return &options->header16;
    }
    return NULL;
}

/* CODE_OK: go on; -1: all is done (help, version). */
static int flag_take(struct command_options *options, int flag)
{
    const char **text = flag_text(options, flag);
    bool *on = flag_switch(options, flag);
    if (text != NULL)
        *text = optarg;
    if (on != NULL)
        *on = true;
    if (text != NULL || on != NULL)
        return CODE_OK;
    switch (flag) {
    case FLAG_TIMEOUT:
        options->timeout_given = true;
        if (!app_number(optarg, 3600, &options->timeout_s) || options->timeout_s == 0)
            return command_fail(CODE_USAGE, "--timeout: 1 to 3600 seconds");
        return CODE_OK;
    case FLAG_COUNT:
        if (!app_number(optarg, 10000, &options->count) || options->count == 0)
            return command_fail(CODE_USAGE, "--count: 1 to 10000");
        return CODE_OK;
    case FLAG_ITERATIONS:
        if (!app_number(optarg, 10000, &options->iterations) || options->iterations == 0)
            return command_fail(CODE_USAGE, "--iterations: 1 to 10000");
        return CODE_OK;
    case FLAG_INTERVAL:
        if (!app_seconds(optarg, 3600000, &options->interval_ms))
            return command_fail(CODE_USAGE, "--interval: 0 to 3600 seconds, such as 0.5");
        return CODE_OK;
    case FLAG_DURATION:
        if (!app_seconds(optarg, 86400000, &options->duration_ms) || options->duration_ms == 0)
            return command_fail(CODE_USAGE, "--duration: 0.001 to 86400 seconds");
        return CODE_OK;
    case FLAG_VERSION:
        printf("tern %s\n", TERN_VERSION);
        return -1;
    case FLAG_HELP:
        print_help(stdout);
        return -1;
    }
    return command_fail(CODE_USAGE, "unknown option, or its value is missing; see tern --help");
}

/* Sizes, and what does not go together. */
static int check_line(struct command_options *options)
{
    const char *bad =
        options->upload != NULL && !app_size(options->upload, &options->upload_bytes)
            ? options->upload
        : options->download != NULL && !app_size(options->download, &options->download_bytes)
            ? options->download
            : NULL;
    if (bad != NULL)
        return command_fail(CODE_USAGE, "%s is no size such as 1000, 64MiB or 1GB", bad);
    return CODE_OK;
}

static int read_line(struct command_options *options, int argc, char **argv)
{
    opterr = 0;
    for (;;) {
        int flag = getopt_long(argc, argv, "", flag_table, NULL);
        if (flag == -1)
            break;
        int code = flag_take(options, flag);
        if (code != CODE_OK)
            return code;
    }
    for (int i = optind; i < argc; i++) {
        if (options->arguments_count == COMMAND_ARGUMENTS_MAX)
            return command_fail(CODE_USAGE, "too many arguments; see tern --help");
        options->arguments[options->arguments_count++] = argv[i];
    }
    return check_line(options);
}

static const struct command_row *find_command(const struct command_options *options)
{
    for (size_t i = 0; i < TERN_COUNT_OF(command_table); i++) {
        const struct command_row *row = &command_table[i];
        size_t words = row->group == NULL ? 1 : 2;
        if (options->arguments_count < words ||
            strcmp(options->arguments[words - 1], row->name) != 0)
            continue;
        if (row->group == NULL || strcmp(options->arguments[0], row->group) == 0)
            return row;
    }
    return NULL;
}

/* Takes the command's own words off and runs it. */
static int run_command(struct command_options *options)
{
    if (options->arguments_count == 0) {
        print_help(stderr);
        return CODE_USAGE;
    }
    const struct command_row *row = find_command(options);
    if (row == NULL)
        return command_fail(CODE_USAGE, "there is no command \"%s%s%s\"; see tern --help",
                            options->arguments[0], options->arguments_count > 1 ? " " : "",
                            options->arguments_count > 1 ? options->arguments[1] : "");
    size_t words = row->group == NULL ? 1 : 2;
    options->arguments_count -= words;
    memmove(options->arguments, options->arguments + words,
            options->arguments_count * sizeof options->arguments[0]);
    if (options->arguments_count < row->arguments_min ||
        options->arguments_count > row->arguments_max)
        return command_fail(CODE_USAGE, "usage: tern %s%s%s %s",
                            row->group == NULL ? "" : row->group, row->group == NULL ? "" : " ",
                            row->name, row->usage);
    return row->run(options);
}

int main(int argc, char **argv)
{
    struct command_options options = {.timeout_s = 10, .count = 3, .interval_ms = 200};
    int code = read_line(&options, argc, argv);
    if (code != CODE_OK)
        return code == -1 ? CODE_OK : code;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || tern_crypto_start() != TERN_OK)
        return command_fail(CODE_INTERNAL, "the libraries could not be started");
    code = run_command(&options);
    curl_global_cleanup();
    if (fflush(stdout) != 0 && code == CODE_OK)
        code = CODE_IO;
    return code;
}
