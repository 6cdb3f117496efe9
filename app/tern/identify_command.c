/*
 * tern identify: what a peer tells of itself.
 */
#include "app/tern/visit.h"

static json_t *identify_texts(struct visit *visit, size_t count,
                              tern_err (*get)(struct tern_host *, const char *, size_t, char *,
                                              size_t))
{
    json_t *list = json_array();
    char text[TERN_ADDRESS_TEXT_SIZE];
    for (size_t i = 0; i < count; i++) {
        if (get(visit->host, visit->peer, i, text, sizeof text) != TERN_OK)
            continue;
        json_t *item = json_string(text);
        if (item != NULL) /* not UTF-8: a peer may say anything */
            json_array_append_new(list, item);
    }
    return list;
}

static void identify_print_list(const char *name, const json_t *list)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
        printf("%-10s %s\n", i == 0 ? name : "", json_string_value(item));
}

static int identify_show(struct visit *visit)
{
    struct tern_peer_info info;
    struct tern_event event;
    tern_err err = tern_host_peer_info(visit->host, visit->peer, &info);
    if (err == TERN_ERR_AGAIN) {
        int code = visit_wait(visit, TERN_EVENT_IDENTIFIED, 0, &event);
        if (code == CODE_TIMEOUT)
            return command_fail(code, "the peer did not identify itself in time");
        if (code != CODE_OK)
            return code;
        if (event.err != TERN_OK)
            return command_fail(CODE_NO, "identify: %s", tern_err_text(event.err));
        err = tern_host_peer_info(visit->host, visit->peer, &info);
    }
    if (err != TERN_OK)
        return command_fail(CODE_NO, "identify: %s", tern_err_text(err));
    json_t *addresses = identify_texts(visit, info.addresses_count, tern_host_peer_address);
    json_t *protocols = identify_texts(visit, info.protocols_count, tern_host_peer_protocol);
    json_t *json = json_pack("{s:s, s:s*, s:s*, s:s*, s:b, s:o, s:o}", "peer_id", visit->peer,
                             "agent", info.agent, "protocol_version", info.protocol_version,
                             "observed_address", info.observed_address, "signed_record",
                             info.signed_record, "addresses", addresses, "protocols", protocols);
    if (visit->options->json) {
        command_print_json(json);
    } else {
        printf("%-10s %s\n%-10s %s\n%-10s %s\n%-10s %s\n", "peer", visit->peer, "agent", info.agent,
               "version", info.protocol_version, "sees us at", info.observed_address);
        printf("%-10s %s\n", "record", info.signed_record ? "signed" : "none");
        identify_print_list("addresses", addresses);
        identify_print_list("protocols", protocols);
    }
    json_decref(json);
    return CODE_OK;
}

int command_identify(const struct command_options *options)
{
    struct visit visit;
    int code = visit_reach(&visit, options);
    if (code == CODE_OK)
        code = identify_show(&visit);
    visit_end(&visit);
    return code;
}
