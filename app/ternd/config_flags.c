/*
 * The command line: one table of flags.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/ternd/config.h"
#include "tern/tern.h"

enum flag {
    FLAG_CONFIG = 256,
    FLAG_DATA_DIR,
    FLAG_GENESIS,
    FLAG_KEY_FILE,
    FLAG_NO_PROPOSE,
    FLAG_LISTEN,
    FLAG_BOOTSTRAP,
    FLAG_TRANSPORTS,
    FLAG_SECURE,
    FLAG_MUXERS,
    FLAG_PRIVATE_NETWORK_KEY,
    FLAG_PERF,
    FLAG_PROFILE,
    FLAG_PEERS_WANT,
    FLAG_LOG_LEVEL,
    FLAG_LOG_FORMAT,
    FLAG_API,
    FLAG_NO_API,
    FLAG_PRINT_CONFIG,
    FLAG_CHECK_CONFIG,
    FLAG_EXPLAIN_LIMITS,
    FLAG_VERSION,
    FLAG_HELP,
};

static const struct option flag_table[] = {
    {"config", required_argument, NULL, FLAG_CONFIG},
    {"data-dir", required_argument, NULL, FLAG_DATA_DIR},
    {"genesis", required_argument, NULL, FLAG_GENESIS},
    {"key-file", required_argument, NULL, FLAG_KEY_FILE},
    {"no-propose", no_argument, NULL, FLAG_NO_PROPOSE},
    {"listen", required_argument, NULL, FLAG_LISTEN},
    {"bootstrap", required_argument, NULL, FLAG_BOOTSTRAP},
    {"transports", required_argument, NULL, FLAG_TRANSPORTS},
    {"secure", required_argument, NULL, FLAG_SECURE},
    {"muxers", required_argument, NULL, FLAG_MUXERS},
    {"private-network-key", required_argument, NULL, FLAG_PRIVATE_NETWORK_KEY},
    {"perf", no_argument, NULL, FLAG_PERF},
    {"profile", required_argument, NULL, FLAG_PROFILE},
    {"peers-want", required_argument, NULL, FLAG_PEERS_WANT},
    {"log-level", required_argument, NULL, FLAG_LOG_LEVEL},
    {"log-format", required_argument, NULL, FLAG_LOG_FORMAT},
    {"api", required_argument, NULL, FLAG_API},
    {"no-api", no_argument, NULL, FLAG_NO_API},
    {"print-config", no_argument, NULL, FLAG_PRINT_CONFIG},
    {"check-config", no_argument, NULL, FLAG_CHECK_CONFIG},
    {"explain-limits", no_argument, NULL, FLAG_EXPLAIN_LIMITS},
    {"version", no_argument, NULL, FLAG_VERSION},
    {"help", no_argument, NULL, FLAG_HELP},
    {NULL, 0, NULL, 0},
};

void config_print_help(void)
{
    fputs(
        "usage: ternd [--config FILE] [FLAG...]\n"
        "\n"
        "A node of a chain. Settings come from built-in defaults, then the file, then the flags;\n"
        "the last one wins.\n"
        "\n"
        "  --config FILE        read this YAML file\n"
        "  --data-dir DIR       where key and blocks are kept (tern-data)\n"
        "  --genesis FILE       the chain's genesis, JSON (genesis.json)\n"
        "  --key-file FILE      the node's key; made, mode 0600, when it is not there (DIR/key)\n"
        "  --no-propose         make no blocks, even with the key of an authority\n"
        "  --listen ADDRESS     listen here; may be repeated (/ip4/0.0.0.0/tcp/4001)\n"
        "  --bootstrap ADDRESS  connect to this peer, /…/p2p/ID; may be repeated\n"
        "  --transports NAMES   ways to connect, separated by commas; all, when it is not said:\n"
        "                       tcp, ws, wss, quic-v1, webtransport, webrtc-direct; a name that\n"
        "                       this build does not have is answered with a list of those it has\n"
        "  --secure NAMES       secure channels, the best first: noise, tls, plaintext\n"
        "  --muxers NAMES       muxers, the best first: yamux, mplex\n"
        "  --private-network-key FILE\n"
        "                       connect to peers with this key (swarm.key, mode 0600) alone, over\n"
        "                       tcp, ws and wss\n"
        "  --perf               let others measure how fast bytes go here and come back\n"
        "  --profile NAME       limits: meter, default, server\n"
        "  --peers-want N       connect to known peers until there are so many (8)\n"
        "  --api ADDRESS        HTTP API at this IP address and port (127.0.0.1:7780)\n"
        "  --no-api             no HTTP API\n"
        "  --log-level LEVEL    error, warn, info, debug (info)\n"
        "  --log-format FORMAT  text, json (text)\n"
        "\n"
        "  --check-config       check the settings, and end\n"
        "  --print-config       print the settings as a file, and end\n"
        "  --explain-limits     print every limit, and end\n"
        "  --version, --help\n"
        "\n"
        "SIGINT and SIGTERM end it in good order, a second one at once.\n"
        "Exit codes: 0 ended as asked, 64 wrong usage, 69 the API's address cannot be had,\n"
        "74 reading or writing failed, 77 a key file that others can read, 78 wrong settings.\n",
        stdout);
}

static void flag_take(char **to, const char *value)
{
    free(*to);
    *to = app_copy(value);
}

/* The first value of a list flag takes the place of what was there before the flags. */
static bool flag_add(struct config_list *list, bool *seen, const char *value,
                     struct app_message *message)
{
    if (!*seen)
        config_list_clear(list);
    *seen = true;
    return config_list_add(list, value) ||
           app_say(message, "%s: at most %d may be given", value, CONFIG_LIST_MAX);
}

/* Names separated by commas take the place of a list. */
static bool flag_names(struct config_list *list, const char *value, struct app_message *message)
{
    char name[64];
    const char *rest = value;
    config_list_clear(list);
    while (rest != NULL) {
        rest += strspn(rest, " ");
        size_t size = strcspn(rest, ",");
        snprintf(name, sizeof name, "%.*s", (int)tern_min_size(size, sizeof name), rest);
        if (!config_list_add(list, name))
            return app_say(message, "%.200s: too many names", value);
        rest = rest[size] == ',' ? rest + size + 1 : NULL;
    }
    return true;
}

static bool flag_profile(struct config *config, const char *value, struct app_message *message)
{
    for (unsigned i = TERN_PROFILE_METER; i <= TERN_PROFILE_SIMULATION; i++) {
        enum tern_swarm_profile profile = (enum tern_swarm_profile)i;
        if (strcmp(config_profile_name(profile), value) == 0) {
            config->profile = profile;
            return true;
        }
    }
    return app_say(message, "--profile: \"%s\" is not meter, default or server", value);
}

static bool flag_level(struct config *config, const char *value, struct app_message *message)
{
    for (unsigned i = CONFIG_LOG_ERROR; i <= CONFIG_LOG_DEBUG; i++) {
        enum config_log_level level = (enum config_log_level)i;
        if (strcmp(config_level_name(level), value) == 0) {
            config->log_level = level;
            return true;
        }
    }
    return app_say(message, "--log-level: \"%s\" is not error, warn, info or debug", value);
}

static bool flag_format(struct config *config, const char *value, struct app_message *message)
{
    if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0)
        return app_say(message, "--log-format: \"%s\" is neither text nor json", value);
    config->log_format = strcmp(value, "json") == 0 ? CONFIG_LOG_JSON : CONFIG_LOG_TEXT;
    return true;
}

struct flag_reading {
    struct config *config;
    enum config_action *action;
    struct app_message *message;
    const char *file;
    bool listen_seen;
    bool bootstrap_seen;
};

static bool flag_apply(struct flag_reading *r, int flag, const char *value)
{
    struct config *config = r->config;
    switch (flag) {
    case FLAG_CONFIG:
        return true; /* read before all others */
    case FLAG_DATA_DIR:
        flag_take(&config->data_dir, value);
        return true;
    case FLAG_GENESIS:
        flag_take(&config->genesis, value);
        return true;
    case FLAG_KEY_FILE:
        flag_take(&config->key_file, value);
        return true;
    case FLAG_PRIVATE_NETWORK_KEY:
        flag_take(&config->private_network_key, value);
        return true;
    case FLAG_NO_PROPOSE:
        config->propose = false;
        return true;
    case FLAG_LISTEN:
        return flag_add(&config->listen, &r->listen_seen, value, r->message);
    case FLAG_BOOTSTRAP:
        return flag_add(&config->bootstrap, &r->bootstrap_seen, value, r->message);
    case FLAG_TRANSPORTS:
        return flag_names(&config->transports, value, r->message);
    case FLAG_SECURE:
        return flag_names(&config->secure, value, r->message);
    case FLAG_MUXERS:
        return flag_names(&config->muxers, value, r->message);
    case FLAG_PERF:
        config->perf = true;
        return true;
    case FLAG_PROFILE:
        return flag_profile(config, value, r->message);
    case FLAG_PEERS_WANT:
        return app_number(value, UINT32_MAX, &config->peers_want) ||
               app_say(r->message, "--peers-want: \"%s\" is no number", value);
    case FLAG_LOG_LEVEL:
        return flag_level(config, value, r->message);
    case FLAG_LOG_FORMAT:
        return flag_format(config, value, r->message);
    case FLAG_API:
        config->api_enabled = true;
        flag_take(&config->api_address, value);
        return true;
    case FLAG_NO_API:
        config->api_enabled = false;
        return true;
    case FLAG_PRINT_CONFIG:
        *r->action = CONFIG_PRINT;
        return true;
    case FLAG_CHECK_CONFIG:
        *r->action = CONFIG_CHECK;
        return true;
    case FLAG_EXPLAIN_LIMITS:
        *r->action = CONFIG_LIMITS;
        return true;
    case FLAG_VERSION:
        *r->action = CONFIG_VERSION;
        return true;
    case FLAG_HELP:
        *r->action = CONFIG_HELP;
        return true;
    }
    return false;
}

/* One walk over the arguments; with file_only it looks for --config alone. */
static bool flag_walk(struct flag_reading *r, int argc, char **argv, bool file_only)
{
    optind = 0;
    opterr = 0;
    for (;;) {
        int at = optind == 0 ? 1 : optind;
        int flag = getopt_long(argc, argv, "", flag_table, NULL);
        if (flag == -1)
            break;
        if (flag == '?')
            return app_say(r->message, "%s: unknown, or its value is missing; see ternd --help",
                           argv[at]);
        if (file_only && flag == FLAG_CONFIG)
            r->file = optarg;
        if (!file_only && !flag_apply(r, flag, optarg))
            return false;
    }
    if (optind < argc)
        return app_say(r->message, "%s: ternd takes flags alone; see ternd --help", argv[optind]);
    return true;
}

bool config_parse(struct config *config, int argc, char **argv, enum config_action *action,
                  struct app_message *message)
{
    struct flag_reading r = {.config = config, .action = action, .message = message};
    *action = CONFIG_RUN;
    if (!flag_walk(&r, argc, argv, true))
        return false;
    if (r.file != NULL && !config_load(config, r.file, message))
        return false;
    if (!flag_walk(&r, argc, argv, false))
        return false;
    if (*action == CONFIG_HELP || *action == CONFIG_VERSION)
        return true;
    return config_check(config, r.file, message);
}
