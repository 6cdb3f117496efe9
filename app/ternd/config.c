#include "app/ternd/config.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/ways.h"

static const char *const profile_names[] = {
    [TERN_PROFILE_METER] = "meter",
    [TERN_PROFILE_DEFAULT] = "default",
    [TERN_PROFILE_SERVER] = "server",
    [TERN_PROFILE_SIMULATION] = "simulation",
};

static const char *const level_names[] = {
    [CONFIG_LOG_ERROR] = "error",
    [CONFIG_LOG_WARN] = "warn",
    [CONFIG_LOG_INFO] = "info",
    [CONFIG_LOG_DEBUG] = "debug",
};

const char *config_profile_name(enum tern_swarm_profile profile)
{
    return profile_names[profile];
}

const char *config_level_name(enum config_log_level level)
{
    return level_names[level];
}

bool config_list_add(struct config_list *list, const char *item)
{
    if (list->count == CONFIG_LIST_MAX)
        return false;
    list->items[list->count++] = app_copy(item);
    return true;
}

void config_list_clear(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    list->count = 0;
}

const char *config_list_text(const struct config_list *list, char text[CONFIG_LIST_TEXT_MAX])
{
    struct tern_writer w = tern_writer_of(text, CONFIG_LIST_TEXT_MAX);
    for (size_t i = 0; i < list->count; i++) {
        tern_writer_str(&w, i == 0 ? "" : ",");
        tern_writer_str(&w, list->items[i]);
    }
    tern_writer_terminate(&w);
    return list->count == 0 ? NULL : text;
}

void config_init(struct config *config)
{
    *config = (struct config){
        .data_dir = app_copy("tern-data"),
        .genesis = app_copy("genesis.json"),
        .propose = true,
        .profile = TERN_PROFILE_DEFAULT,
        .peers_want = 8,
        .store_size_mib = 65536,
        .log_level = CONFIG_LOG_INFO,
        .log_format = CONFIG_LOG_TEXT,
        .api_enabled = true,
        .api_address = app_copy("127.0.0.1:7780"),
        .api_body_max_kib = 4096,
        .api_connections_max = 64,
        .api_timeout_s = 10,
    };
    config_list_add(&config->listen, "/ip4/0.0.0.0/tcp/4001");
}

void config_free(struct config *config)
{
    free(config->data_dir);
    free(config->genesis);
    free(config->key_file);
    free(config->private_network_key);
    free(config->web_certificate);
    free(config->web_key);
    free(config->web_trust);
    free(config->api_address);
    config_list_clear(&config->listen);
    config_list_clear(&config->bootstrap);
    config_list_clear(&config->transports);
    config_list_clear(&config->secure);
    config_list_clear(&config->muxers);
    config_list_clear(&config->api_hosts);
}

bool config_split_address(const char *address, char host[64], uint16_t *port)
{
    const char *colon = strrchr(address, ':');
    uint64_t number = 0;
    if (colon == NULL || !app_number(colon + 1, UINT16_MAX, &number))
        return false;
    size_t size = (size_t)(colon - address);
    if (size >= 2 && address[0] == '[' && address[size - 1] == ']') {
        address++;
        size -= 2;
    } else if (memchr(address, ':', size) != NULL) {
        return false; /* an IPv6 address needs its brackets */
    }
    if (size == 0 || size >= 64)
        return false;
    memcpy(host, address, size);
    host[size] = '\0';
    *port = (uint16_t)number;
    struct addrinfo *found = NULL;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return false;
    freeaddrinfo(found);
    return true;
}

/* --- checks of the whole --- */

struct config_checking {
    const char *path;
    struct app_message *message;
};

/* Says what is wrong with a member, and where it is: in the file if it is there, else of the flags.
 */
static bool config_wrong(const struct config_checking *checking, const char *member,
                         const char *what)
{
    unsigned line = checking->path == NULL ? 0 : config_line(checking->path, member);
    if (line > 0)
        return app_say(checking->message, "%s:%u: %s: %s", checking->path, line, member, what);
    return app_say(checking->message, "%s: %s", member, what);
}

static bool config_object(const struct config_checking *checking, const char *member,
                          const char *value, const char *what)
{
    char text[400];
    snprintf(text, sizeof text, "%.200s %s", value, what);
    return config_wrong(checking, member, text);
}

static bool config_check_addresses(const struct config_checking *checking, const char *member,
                                   const struct config_list *list, bool with_peer)
{
    for (size_t i = 0; i < list->count; i++) {
        struct tern_multiaddr address;
        if (tern_multiaddr_parse(tern_view_str(list->items[i]), &address, NULL) != TERN_OK)
            return config_object(checking, member, list->items[i],
                                 "is no address such as /ip4/192.0.2.7/tcp/4001");
        if (with_peer && strstr(list->items[i], "/p2p/") == NULL)
            return config_object(checking, member, list->items[i],
                                 "must end in /p2p/ and the id of the peer");
    }
    return true;
}

/* Is every name of a list one that is built in? */
static bool config_check_ways(const struct config_checking *checking, const char *member,
                              const struct tern_ways *ways)
{
    char text[256] = "";
    struct tern_swarm_config swarm;
    struct tern_writer w = tern_writer_of(text, sizeof text);
    tern_swarm_config_defaults(&swarm);
    if (tern_ways_apply(ways, &swarm, &w) == TERN_OK)
        return true;
    tern_writer_terminate(&w);
    const char *sentence = strstr(text, ": ");
    return config_wrong(checking, member, sentence == NULL ? text : sentence + 2);
}

static bool config_check_all_ways(const struct config_checking *checking,
                                  const struct config *config)
{
    char text[CONFIG_LIST_TEXT_MAX];
    return config_check_ways(
               checking, "network.transports",
               &(struct tern_ways){.transports = config_list_text(&config->transports, text)}) &&
           config_check_ways(
               checking, "network.secure",
               &(struct tern_ways){.secure = config_list_text(&config->secure, text)}) &&
           config_check_ways(
               checking, "network.muxers",
               &(struct tern_ways){.muxers = config_list_text(&config->muxers, text)});
}

struct config_range {
    const char *member;
    uint64_t value;
    uint64_t min;
    uint64_t max;
};

static bool config_check_ranges(const struct config_checking *checking, const struct config *config)
{
    const struct config_range ranges[] = {
        {"network.peers_want", config->peers_want, 0, 1000},
        {"store.size_mib", config->store_size_mib, 16, UINT64_C(1) << 24},
        {"api.body_max_kib", config->api_body_max_kib, 1, 65536},
        {"api.connections_max", config->api_connections_max, 1, 1000},
        {"api.timeout_s", config->api_timeout_s, 1, 3600},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(ranges); i++) {
        char value[32];
        char what[96];
        if (ranges[i].value >= ranges[i].min && ranges[i].value <= ranges[i].max)
            continue;
        snprintf(value, sizeof value, "%llu", (unsigned long long)ranges[i].value);
        snprintf(what, sizeof what, "is not between %llu and %llu",
                 (unsigned long long)ranges[i].min, (unsigned long long)ranges[i].max);
        return config_object(checking, ranges[i].member, value, what);
    }
    return true;
}

bool config_check(const struct config *config, const char *path, struct app_message *message)
{
    const struct config_checking checking = {.path = path, .message = message};
    char host[64];
    uint16_t port;
    if (config->data_dir[0] == '\0')
        return config_object(&checking, "data_dir", "it", "must not be empty");
    if (config->genesis[0] == '\0')
        return config_object(&checking, "genesis", "it", "must not be empty");
    if (config->api_enabled && !config_split_address(config->api_address, host, &port))
        return config_object(&checking, "api.address", config->api_address,
                             "is no IP address and port such as 127.0.0.1:7780 or [::1]:7780");
    if (config->peers_want > 0 && config->listen.count == 0 && config->bootstrap.count == 0)
        return config_object(&checking, "network.listen", "it",
                             "is empty and so is network.bootstrap: nobody could be reached");
    return config_check_ranges(&checking, config) &&
           config_check_addresses(&checking, "network.listen", &config->listen, false) &&
           config_check_addresses(&checking, "network.bootstrap", &config->bootstrap, true) &&
           config_check_all_ways(&checking, config);
}

/* --- printing --- */

/* Strings in YAML's double quotes: nothing in them has a meaning of its own then. */
static void config_print_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void config_print_member(const char *name, const char *text)
{
    printf("%s: ", name);
    config_print_string(text);
    putchar('\n');
}

static void config_print_file(const char *name, const char *path)
{
    if (path == NULL)
        return;
    printf("  %s: ", name);
    config_print_string(path);
    printf("\n");
}

static void config_print_list(const char *name, const struct config_list *list)
{
    printf("  %s: [", name);
    for (size_t i = 0; i < list->count; i++) {
        printf(i == 0 ? "" : ", ");
        config_print_string(list->items[i]);
    }
    printf("]\n");
}

void config_print(const struct config *config)
{
    config_print_member("data_dir", config->data_dir);
    config_print_member("genesis", config->genesis);
    if (config->key_file != NULL)
        config_print_member("key_file", config->key_file);
    printf("propose: %s\n", config->propose ? "true" : "false");
    printf("network:\n");
    config_print_list("listen", &config->listen);
    config_print_list("bootstrap", &config->bootstrap);
    config_print_list("transports", &config->transports);
    config_print_list("secure", &config->secure);
    config_print_list("muxers", &config->muxers);
    config_print_file("private_network_key", config->private_network_key);
    config_print_file("web_certificate", config->web_certificate);
    config_print_file("web_key", config->web_key);
    config_print_file("web_trust", config->web_trust);
    printf("  perf: %s\n", config->perf ? "true" : "false");
    printf("  profile: %s\n", config_profile_name(config->profile));
    printf("  peers_want: %llu\n", (unsigned long long)config->peers_want);
    printf("store:\n  size_mib: %llu\n", (unsigned long long)config->store_size_mib);
    printf("log:\n  level: %s\n  format: %s\n", config_level_name(config->log_level),
           config->log_format == CONFIG_LOG_JSON ? "json" : "text");
    printf("api:\n  enabled: %s\n", config->api_enabled ? "true" : "false");
    config_print_member("  address", config->api_address);
    config_print_list("hosts", &config->api_hosts);
    printf("  body_max_kib: %llu\n", (unsigned long long)config->api_body_max_kib);
    printf("  connections_max: %llu\n", (unsigned long long)config->api_connections_max);
    printf("  timeout_s: %llu\n", (unsigned long long)config->api_timeout_s);
}
