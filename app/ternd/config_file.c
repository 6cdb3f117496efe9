/*
 * The file: its schema, by libcyaml, and where its members stand, by libyaml.
 *
 * libcyaml tells errors as log lines, the first of which says what and the first with a line where.
 * Mistakes of syntax alone come without a line, so libyaml looks at the syntax before.
 */
#include <cyaml/cyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "app/ternd/config.h"

/* libcyaml takes any text it does not know as true: an enumeration does not. */
enum file_bool { FILE_FALSE, FILE_TRUE };

/* As it stands in the file; NULL: not there. */
struct file_network {
    char **listen;
    unsigned listen_count;
    char **bootstrap;
    unsigned bootstrap_count;
    char **transports;
    unsigned transports_count;
    char **secure;
    unsigned secure_count;
    char **muxers;
    unsigned muxers_count;
    char *private_network_key;
    char *web_certificate;
    char *web_key;
    char *web_trust;
    enum file_bool *perf;
    enum tern_swarm_profile *profile;
    uint64_t *peers_want;
};

struct file_store {
    uint64_t *size_mib;
};

struct file_log {
    enum config_log_level *level;
    enum config_log_format *format;
};

struct file_api {
    enum file_bool *enabled;
    char *address;
    char **hosts;
    unsigned hosts_count;
    uint64_t *body_max_kib;
    uint64_t *connections_max;
    uint64_t *timeout_s;
};

struct file_config {
    char *data_dir;
    char *genesis;
    char *key_file;
    enum file_bool *propose;
    struct file_network *network;
    struct file_store *store;
    struct file_log *log;
    struct file_api *api;
};

enum { FILE_OPTIONAL = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL };

static const cyaml_strval_t file_profiles[] = {
    {"meter", TERN_PROFILE_METER},
    {"default", TERN_PROFILE_DEFAULT},
    {"server", TERN_PROFILE_SERVER},
    {"simulation", TERN_PROFILE_SIMULATION},
};
static const cyaml_strval_t file_levels[] = {
    {"error", CONFIG_LOG_ERROR},
    {"warn", CONFIG_LOG_WARN},
    {"info", CONFIG_LOG_INFO},
    {"debug", CONFIG_LOG_DEBUG},
};
static const cyaml_strval_t file_bools[] = {{"true", FILE_TRUE}, {"false", FILE_FALSE}};
static const cyaml_strval_t file_formats[] = {{"text", CONFIG_LOG_TEXT}, {"json", CONFIG_LOG_JSON}};

static const cyaml_schema_value_t file_string = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, 4096)};

static const cyaml_schema_field_t file_network_fields[] = {
    CYAML_FIELD_SEQUENCE("listen", FILE_OPTIONAL, struct file_network, listen, &file_string, 0,
                         CONFIG_LIST_MAX),
    CYAML_FIELD_SEQUENCE("bootstrap", FILE_OPTIONAL, struct file_network, bootstrap, &file_string,
                         0, CONFIG_LIST_MAX),
    CYAML_FIELD_SEQUENCE("transports", FILE_OPTIONAL, struct file_network, transports, &file_string,
                         0, CONFIG_LIST_MAX),
    CYAML_FIELD_SEQUENCE("secure", FILE_OPTIONAL, struct file_network, secure, &file_string, 0,
                         CONFIG_LIST_MAX),
    CYAML_FIELD_SEQUENCE("muxers", FILE_OPTIONAL, struct file_network, muxers, &file_string, 0,
                         CONFIG_LIST_MAX),
    CYAML_FIELD_STRING_PTR("private_network_key", FILE_OPTIONAL, struct file_network,
                           private_network_key, 0, 4096),
    CYAML_FIELD_STRING_PTR("web_certificate", FILE_OPTIONAL, struct file_network, web_certificate,
                           0, 4096),
    CYAML_FIELD_STRING_PTR("web_key", FILE_OPTIONAL, struct file_network, web_key, 0, 4096),
    CYAML_FIELD_STRING_PTR("web_trust", FILE_OPTIONAL, struct file_network, web_trust, 0, 4096),
    CYAML_FIELD_ENUM_PTR("perf", FILE_OPTIONAL | CYAML_FLAG_STRICT, struct file_network, perf,
                         file_bools, TERN_COUNT_OF(file_bools)),
    CYAML_FIELD_ENUM_PTR("profile", FILE_OPTIONAL | CYAML_FLAG_STRICT, struct file_network, profile,
                         file_profiles, TERN_COUNT_OF(file_profiles)),
    CYAML_FIELD_UINT_PTR("peers_want", FILE_OPTIONAL, struct file_network, peers_want),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t file_store_fields[] = {
    CYAML_FIELD_UINT_PTR("size_mib", FILE_OPTIONAL, struct file_store, size_mib),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t file_log_fields[] = {
    CYAML_FIELD_ENUM_PTR("level", FILE_OPTIONAL | CYAML_FLAG_STRICT, struct file_log, level,
                         file_levels, TERN_COUNT_OF(file_levels)),
    CYAML_FIELD_ENUM_PTR("format", FILE_OPTIONAL | CYAML_FLAG_STRICT, struct file_log, format,
                         file_formats, TERN_COUNT_OF(file_formats)),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t file_api_fields[] = {
    CYAML_FIELD_ENUM_PTR("enabled", FILE_OPTIONAL | CYAML_FLAG_STRICT, struct file_api, enabled,
                         file_bools, TERN_COUNT_OF(file_bools)),
    CYAML_FIELD_STRING_PTR("address", FILE_OPTIONAL, struct file_api, address, 0, 128),
    CYAML_FIELD_SEQUENCE("hosts", FILE_OPTIONAL, struct file_api, hosts, &file_string, 0,
                         CONFIG_LIST_MAX),
    CYAML_FIELD_UINT_PTR("body_max_kib", FILE_OPTIONAL, struct file_api, body_max_kib),
    CYAML_FIELD_UINT_PTR("connections_max", FILE_OPTIONAL, struct file_api, connections_max),
    CYAML_FIELD_UINT_PTR("timeout_s", FILE_OPTIONAL, struct file_api, timeout_s),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t file_fields[] = {
    CYAML_FIELD_STRING_PTR("data_dir", FILE_OPTIONAL, struct file_config, data_dir, 0, 4096),
    CYAML_FIELD_STRING_PTR("genesis", FILE_OPTIONAL, struct file_config, genesis, 0, 4096),
    CYAML_FIELD_STRING_PTR("key_file", FILE_OPTIONAL, struct file_config, key_file, 0, 4096),
    CYAML_FIELD_ENUM_PTR("propose", FILE_OPTIONAL | CYAML_FLAG_STRICT, struct file_config, propose,
                         file_bools, TERN_COUNT_OF(file_bools)),
    CYAML_FIELD_MAPPING_PTR("network", FILE_OPTIONAL, struct file_config, network,
                            file_network_fields),
    CYAML_FIELD_MAPPING_PTR("store", FILE_OPTIONAL, struct file_config, store, file_store_fields),
    CYAML_FIELD_MAPPING_PTR("log", FILE_OPTIONAL, struct file_config, log, file_log_fields),
    CYAML_FIELD_MAPPING_PTR("api", FILE_OPTIONAL, struct file_config, api, file_api_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t file_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file_config, file_fields)};

/* --- where things stand --- */

static bool file_document(const char *path, yaml_document_t *document, struct app_message *message)
{
    yaml_parser_t parser;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return app_say(message, "%s: cannot be read: %m", path);
    if (!yaml_parser_initialize(&parser)) {
        fclose(file);
        return app_say(message, "%s: out of memory", path);
    }
    yaml_parser_set_input_file(&parser, file);
    bool fine = yaml_parser_load(&parser, document) != 0;
    if (!fine)
        app_say(message, "%s:%zu: %s", path, parser.problem_mark.line + 1,
                parser.problem == NULL ? "this is no YAML" : parser.problem);
    yaml_parser_delete(&parser);
    fclose(file);
    return fine;
}

static const yaml_node_t *file_member(yaml_document_t *document, const yaml_node_t *mapping,
                                      struct tern_view name, unsigned *line)
{
    if (mapping == NULL || mapping->type != YAML_MAPPING_NODE)
        return NULL;
    for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
         pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(document, pair->key);
        if (key == NULL || key->type != YAML_SCALAR_NODE ||
            !tern_view_equal(name, tern_view_of(key->data.scalar.value, key->data.scalar.length)))
            continue;
        *line = (unsigned)key->start_mark.line + 1;
        return yaml_document_get_node(document, pair->value);
    }
    return NULL;
}

unsigned config_line(const char *path, const char *member)
{
    yaml_document_t document;
    struct app_message message;
    unsigned line = 0;
    if (!file_document(path, &document, &message))
        return 0;
    const yaml_node_t *node = yaml_document_get_root_node(&document);
    while (node != NULL && *member != '\0') {
        size_t size = strcspn(member, ".");
        node = file_member(&document, node, tern_view_of(member, size), &line);
        if (node == NULL)
            line = 0;
        member += size + (member[size] == '.');
    }
    yaml_document_delete(&document);
    return line;
}

/* --- loading --- */

struct file_complaint {
    char what[256];
    unsigned line;
};

static void file_log(cyaml_log_t level, void *context, const char *format, va_list args)
    TERN_PRINTF(3, 0);

static void file_log(cyaml_log_t level, void *context, const char *format, va_list args)
{
    struct file_complaint *complaint = context;
    char text[256];
    if (level < CYAML_LOG_ERROR)
        return;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    const char *line = strstr(text, "(line: ");
    if (line != NULL && complaint->line == 0)
        complaint->line = (unsigned)strtoul(line + 7, NULL, 10);
    if (complaint->what[0] == '\0')
        memcpy(complaint->what, text, sizeof text);
}

static const cyaml_config_t file_cyaml = {
    .log_fn = file_log, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR};

/* Paths in the file are relative to its folder. */
static void file_take_path(char **to, const char *from, const char *file)
{
    if (from == NULL)
        return;
    free(*to);
    const char *slash = strrchr(file, '/');
    if (from[0] == '/' || from[0] == '\0' || slash == NULL) {
        *to = app_copy(from);
        return;
    }
    size_t size = (size_t)(slash - file) + strlen(from) + 2;
    *to = app_alloc(size, 1);
    snprintf(*to, size, "%.*s/%s", (int)(slash - file), file, from);
}

static void file_take_list(struct config_list *to, char **from, unsigned count)
{
    if (from == NULL)
        return;
    config_list_clear(to);
    for (unsigned i = 0; i < count; i++)
        config_list_add(to, from[i]);
}

static void file_take_number(uint64_t *to, const uint64_t *from)
{
    if (from != NULL)
        *to = *from;
}

static void file_take_network(struct config *config, const struct file_network *network,
                              const char *path)
{
    file_take_path(&config->private_network_key, network->private_network_key, path);
    file_take_path(&config->web_certificate, network->web_certificate, path);
    file_take_path(&config->web_key, network->web_key, path);
    file_take_path(&config->web_trust, network->web_trust, path);
    file_take_list(&config->listen, network->listen, network->listen_count);
    file_take_list(&config->bootstrap, network->bootstrap, network->bootstrap_count);
    file_take_list(&config->transports, network->transports, network->transports_count);
    file_take_list(&config->secure, network->secure, network->secure_count);
    file_take_list(&config->muxers, network->muxers, network->muxers_count);
    if (network->perf != NULL)
        config->perf = *network->perf == FILE_TRUE;
    if (network->profile != NULL)
        config->profile = *network->profile;
    file_take_number(&config->peers_want, network->peers_want);
}

static void file_take(struct config *config, const struct file_config *file, const char *path)
{
    file_take_path(&config->data_dir, file->data_dir, path);
    file_take_path(&config->genesis, file->genesis, path);
    file_take_path(&config->key_file, file->key_file, path);
    if (file->propose != NULL)
        config->propose = *file->propose == FILE_TRUE;
    if (file->network != NULL)
        file_take_network(config, file->network, path);
    if (file->store != NULL)
        file_take_number(&config->store_size_mib, file->store->size_mib);
    if (file->log != NULL && file->log->level != NULL)
        config->log_level = *file->log->level;
    if (file->log != NULL && file->log->format != NULL)
        config->log_format = *file->log->format;
    if (file->api == NULL)
        return;
    if (file->api->enabled != NULL)
        config->api_enabled = *file->api->enabled == FILE_TRUE;
    if (file->api->address != NULL) {
        free(config->api_address);
        config->api_address = app_copy(file->api->address);
    }
    file_take_list(&config->api_hosts, file->api->hosts, file->api->hosts_count);
    file_take_number(&config->api_body_max_kib, file->api->body_max_kib);
    file_take_number(&config->api_connections_max, file->api->connections_max);
    file_take_number(&config->api_timeout_s, file->api->timeout_s);
}

bool config_load(struct config *config, const char *path, struct app_message *message)
{
    yaml_document_t document;
    struct file_complaint complaint = {.line = 0};
    struct file_config *file = NULL;
    if (!file_document(path, &document, message))
        return false;
    bool empty = yaml_document_get_root_node(&document) == NULL;
    yaml_document_delete(&document);
    if (empty)
        return true;
    cyaml_config_t cyaml = file_cyaml;
    cyaml.log_ctx = &complaint;
    cyaml_err_t err = cyaml_load_file(path, &cyaml, &file_schema, (cyaml_data_t **)&file, NULL);
    if (err != CYAML_OK) {
        const char *what = strncmp(complaint.what, "Load: ", 6) == 0 ? complaint.what + 6
                           : complaint.what[0] != '\0'               ? complaint.what
                                                                     : cyaml_strerror(err);
        return app_say(message, "%s:%u: %s", path, complaint.line == 0 ? 1 : complaint.line, what);
    }
    if (file != NULL)
        file_take(config, file, path);
    cyaml_free(&cyaml, &file_schema, file, 0);
    return true;
}
