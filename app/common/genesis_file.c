/*
 * The genesis as a JSON file.
 */
#include <stdlib.h>

#include "app/common/json.h"

static struct tern_span genesis_span(struct tern_account *account)
{
    return (struct tern_span){.data = account->bytes, .size = TERN_ACCOUNT_SIZE};
}

static bool genesis_read_list(const json_t *root, const char *name, size_t max, const json_t **list,
                              struct app_message *message)
{
    *list = json_object_get(root, name);
    if (*list == NULL || !json_is_array(*list))
        return app_say(message, "\"%s\" must be a list", name);
    if (json_array_size(*list) > max)
        return app_say(message, "\"%s\" has more than %zu members", name, max);
    return true;
}

static bool genesis_read_authorities(const json_t *root, struct app_genesis *genesis,
                                     struct app_message *message)
{
    const json_t *list;
    if (!genesis_read_list(root, "authorities", TERN_GENESIS_AUTHORITIES_MAX, &list, message))
        return false;
    size_t count = json_array_size(list);
    genesis->authorities = app_alloc(count, sizeof genesis->authorities[0]);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text == NULL || !app_unhex(text, genesis->authorities[i].bytes, TERN_ACCOUNT_SIZE))
            return app_say(message, "\"authorities\"[%zu] must be a key of 64 hexadecimal digits",
                           i);
    }
    genesis->genesis.authorities = genesis->authorities;
    genesis->genesis.authorities_count = count;
    return true;
}

static bool genesis_read_accounts(const json_t *root, struct tern_genesis *genesis,
                                  struct app_message *message)
{
    const json_t *list;
    struct app_message what;
    if (!genesis_read_list(root, "accounts", TERN_GENESIS_ACCOUNTS_MAX, &list, message))
        return false;
    genesis->accounts_count = json_array_size(list);
    genesis->accounts = app_alloc(genesis->accounts_count, sizeof genesis->accounts[0]);
    for (size_t i = 0; i < genesis->accounts_count; i++) {
        const json_t *row = json_array_get(list, i);
        if (!app_json_get_hex(row, "key", genesis_span(&genesis->accounts[i].key), &what) ||
            !app_json_get_u64(row, "balance", INT64_MAX, &genesis->accounts[i].balance, &what))
            return app_say(message, "\"accounts\"[%zu]: %s", i, what.text);
    }
    return true;
}

static bool genesis_read_devices(const json_t *root, struct tern_genesis *genesis,
                                 struct app_message *message)
{
    const json_t *list;
    struct app_message what;
    if (!genesis_read_list(root, "devices", TERN_GENESIS_DEVICES_MAX, &list, message))
        return false;
    genesis->devices_count = json_array_size(list);
    genesis->devices = app_alloc(genesis->devices_count, sizeof genesis->devices[0]);
    for (size_t i = 0; i < genesis->devices_count; i++) {
        struct tern_genesis_device *device = &genesis->devices[i];
        const json_t *row = json_array_get(list, i);
        if (!app_json_get_hex(row, "key", genesis_span(&device->key), &what) ||
            !app_json_get_hex(row, "owner", genesis_span(&device->owner), &what) ||
            !app_json_get_u64(row, "capacity_wh", INT64_MAX, &device->capacity_wh, &what))
            return app_say(message, "\"devices\"[%zu]: %s", i, what.text);
    }
    return true;
}

static bool genesis_read_head(const json_t *root, struct app_genesis *out,
                              struct app_message *message)
{
    static const char *const names[] = {"name",     "engine",  "time_ms",     "period_ms",
                                        "drift_ms", "fee_min", "authorities", "accounts",
                                        "devices",  NULL};
    struct tern_genesis *genesis = &out->genesis;
    uint64_t period_ms = 0;
    uint64_t drift_ms = 0;
    if (!json_is_object(root))
        return app_say(message, "a genesis must be a JSON object");
    if (!app_json_only(root, names, message))
        return false;
    const char *name = json_string_value(json_object_get(root, "name"));
    if (name == NULL || strlen(name) > TERN_GENESIS_NAME_MAX)
        return app_say(message, "\"name\" must be a text of at most 32 characters");
    memcpy(out->name, name, strlen(name) + 1);
    genesis->name = tern_view_str(out->name);
    const char *engine = json_string_value(json_object_get(root, "engine"));
    if (engine == NULL || strcmp(engine, "authority") != 0)
        return app_say(message, "\"engine\" must be \"authority\"");
    genesis->engine = TERN_ENGINE_AUTHORITY;
    if (!app_json_get_u64(root, "time_ms", INT64_MAX, &genesis->time_ms, message) ||
        !app_json_get_u64(root, "period_ms", UINT32_MAX, &period_ms, message) ||
        !app_json_get_u64(root, "drift_ms", UINT32_MAX, &drift_ms, message) ||
        !app_json_get_u64(root, "fee_min", INT64_MAX, &genesis->fee_min, message))
        return false;
    genesis->period_ms = (uint32_t)period_ms;
    genesis->drift_ms = (uint32_t)drift_ms;
    return true;
}

static bool genesis_read(const json_t *root, struct app_genesis *out, struct app_message *message)
{
    if (!genesis_read_head(root, out, message) || !genesis_read_authorities(root, out, message) ||
        !genesis_read_accounts(root, &out->genesis, message) ||
        !genesis_read_devices(root, &out->genesis, message))
        return false;
    tern_genesis_sort(&out->genesis);
    const char *objection = tern_genesis_check(&out->genesis);
    if (objection != NULL)
        return app_say(message, "%s", objection);
    tern_genesis_hash(&out->genesis, &out->hash);
    return true;
}

bool app_genesis_load(const char *path, struct app_genesis *genesis, struct app_message *message)
{
    json_error_t error;
    struct app_message what = {.text = ""};
    memset(genesis, 0, sizeof *genesis);
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        if (error.line < 0)
            return app_say(message, "%s", error.text);
        return app_say(message, "%s:%d: %s", path, error.line, error.text);
    }
    bool fine = genesis_read(root, genesis, &what);
    json_decref(root);
    if (fine)
        return true;
    app_genesis_free(genesis);
    return app_say(message, "%s: %.400s", path, what.text);
}

void app_genesis_free(struct app_genesis *genesis)
{
    free(genesis->authorities);
    free(genesis->genesis.accounts);
    free(genesis->genesis.devices);
    memset(genesis, 0, sizeof *genesis);
}

static json_t *genesis_lists(const struct tern_genesis *genesis, json_t *root)
{
    json_t *authorities = json_array();
    json_t *accounts = json_array();
    json_t *devices = json_array();
    for (size_t i = 0; i < genesis->authorities_count; i++)
        json_array_append_new(authorities,
                              app_json_hex(genesis->authorities[i].bytes, TERN_ACCOUNT_SIZE));
    for (size_t i = 0; i < genesis->accounts_count; i++) {
        json_t *row = json_object();
        json_object_set_new(row, "key",
                            app_json_hex(genesis->accounts[i].key.bytes, TERN_ACCOUNT_SIZE));
        json_object_set_new(row, "balance", app_json_u64(genesis->accounts[i].balance));
        json_array_append_new(accounts, row);
    }
    for (size_t i = 0; i < genesis->devices_count; i++) {
        const struct tern_genesis_device *device = &genesis->devices[i];
        json_t *row = json_object();
        json_object_set_new(row, "key", app_json_hex(device->key.bytes, TERN_ACCOUNT_SIZE));
        json_object_set_new(row, "owner", app_json_hex(device->owner.bytes, TERN_ACCOUNT_SIZE));
        json_object_set_new(row, "capacity_wh", app_json_u64(device->capacity_wh));
        json_array_append_new(devices, row);
    }
    json_object_set_new(root, "authorities", authorities);
    json_object_set_new(root, "accounts", accounts);
    json_object_set_new(root, "devices", devices);
    return root;
}

bool app_genesis_save(const char *path, const struct tern_genesis *genesis,
                      struct app_message *message)
{
    json_t *root = json_object();
    json_object_set_new(root, "name",
                        json_stringn((const char *)genesis->name.data, genesis->name.size));
    json_object_set_new(root, "engine", json_string("authority"));
    json_object_set_new(root, "time_ms", app_json_u64(genesis->time_ms));
    json_object_set_new(root, "period_ms", app_json_u64(genesis->period_ms));
    json_object_set_new(root, "drift_ms", app_json_u64(genesis->drift_ms));
    json_object_set_new(root, "fee_min", app_json_u64(genesis->fee_min));
    genesis_lists(genesis, root);
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (text == NULL)
        return app_say(message, "%s: out of memory", path);
    bool fine = app_write_file(path, text, 0644, message);
    free(text);
    return fine;
}
