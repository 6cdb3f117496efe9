/*
 * tern dial: connect to a peer, and with --explain tell of each address what came of it.
 */
#include "app/tern/visit.h"

#include "swarm/swarm.h"

enum { EXPLAIN_TRIED_MAX = 64 };

/* One address: what the host tells of it, or that it refused it at once. */
struct explain_row {
    struct tern_dial_attempt_info info;
    const char *result;
};

struct explain {
    const struct visit *visit;
    struct explain_row rows[EXPLAIN_TRIED_MAX + COMMAND_ARGUMENTS_MAX];
    size_t count;
};

/* What to do, beside the text of the error. */
static const char *explain_advice(tern_err err, bool linked)
{
    static const struct {
        tern_err err;
        const char *advice;
    } advices[] = {
        {TERN_ERR_REFUSED, "nobody listens there; is the peer running, and is the port right?"},
        {TERN_ERR_UNREACHABLE,
         "there is no way to it from this machine; is the network up, and the address public?"},
        {TERN_ERR_PEER_MISMATCH,
         "another peer answers there; ask for the peer's present address or id"},
        {TERN_ERR_NO_PROTOCOL, "it and we have no secure channel or muxer in common; see --secure "
                               "and --muxer, on both sides"},
        {TERN_ERR_DISCONNECTED, "it was there and hung up; it may be full, may refuse us, or may "
                                "be no libp2p peer"},
        {TERN_ERR_NO_ADDRESS, "no usable address is known; does the name resolve?"},
        {TERN_ERR_UNSUPPORTED,
         "of a transport that is not here, or that --transport leaves out; give another address"},
        {TERN_ERR_INVALID, "this is no address such as /ip4/192.0.2.7/tcp/4001/p2p/ID"},
        {TERN_ERR_SELF, "the address is this program's own"},
        {TERN_ERR_GATED, "a rule of ours forbids it"},
        {TERN_ERR_RATE, "it failed a moment ago, and is left alone for a while; try later"},
        {TERN_ERR_BLACK_HOLE,
         "nothing of its kind was ever answered from here; it is tried again now "
         "and then"},
        {TERN_ERR_CLOSED, "not needed any more: another address was there first"},
        {TERN_ERR_IO, "the system has no more to say; its own log may"},
    };
    if (err == TERN_ERR_TIMEOUT)
        return linked
                   ? "it is there and did not finish the handshake; is that port a libp2p peer's?"
                   : "nothing came back; is it switched on, and does a firewall let us through?";
    for (size_t i = 0; i < TERN_COUNT_OF(advices); i++)
        if (advices[i].err == err)
            return advices[i].advice;
    switch (tern_err_class(err)) {
    case TERN_CLASS_LIMIT:
        return "a limit of ours is in the way; end other connections first";
    case TERN_CLASS_PEER:
        return "what answers there is no libp2p peer, or a broken one";
    case TERN_CLASS_OK:
    case TERN_CLASS_FLOW:
    case TERN_CLASS_NET:
    case TERN_CLASS_LOCAL:
    case TERN_CLASS_BUG:
        break;
    }
    return "";
}

static void explain_add(struct explain *explain, const struct tern_dial_attempt_info *info)
{
    struct explain_row *row = &explain->rows[explain->count++];
    row->info = *info;
    row->result = info->err == TERN_ERR_CLOSED ? "not needed"
                  : info->err != TERN_OK       ? tern_err_name(info->err)
                  : info->ended_ns < 0         ? "under way"
                                               : "connected";
}

static void explain_gather(struct explain *explain, const struct visit *visit)
{
    *explain = (struct explain){.visit = visit};
    for (size_t i = 0; i < EXPLAIN_TRIED_MAX; i++) {
        struct tern_dial_attempt_info info = {.size = sizeof info};
        if (visit->token == 0 ||
            tern_host_dial_attempts(visit->host, visit->token, i, &info) != TERN_OK)
            break;
        explain_add(explain, &info);
    }
    for (size_t i = 0; i < visit->addresses_count; i++) {
        struct tern_dial_attempt_info info = {
            .err = visit->refused[i], .started_ns = -1, .linked_ns = -1, .ended_ns = -1};
        snprintf(info.address, sizeof info.address, "%s", visit->addresses[i]);
        char *id = strstr(info.address, "/p2p/");
        if (id != NULL && id > info.address)
            *id = '\0';
        if (info.err == TERN_ERR_UNSUPPORTED && visit->options->psk != NULL &&
            strstr(info.address, "/udp/") != NULL)
            snprintf(info.refusal, sizeof info.refusal, "%s", TERN_DIAL_OUTSIDE_NETWORK);
        if (info.err != TERN_OK)
            explain_add(explain, &info);
    }
}

static void explain_time(struct table *table, size_t column, int64_t ns)
{
    char text[24];
    table_cell(table, column, "%s", ns < 0 ? "-" : text_ms((double)ns, text));
}

static void explain_print(const struct explain *explain)
{
    static const char *const columns[] = {">#",      "address", "transport", ">started",
                                          ">linked", ">ended",  "result",    NULL};
    struct table table;
    if (explain->count == 0) {
        printf("no address was tried\n");
        return;
    }
    table_init(&table, columns);
    for (size_t i = 0; i < explain->count; i++) {
        const struct explain_row *row = &explain->rows[i];
        table_row(&table);
        table_cell(&table, 0, "%zu", i + 1);
        table_cell(&table, 1, "%s", row->info.address);
        table_cell(&table, 2, "%s", row->info.transport);
        explain_time(&table, 3, row->info.started_ns);
        explain_time(&table, 4, row->info.linked_ns);
        explain_time(&table, 5, row->info.ended_ns);
        table_cell(&table, 6, "%s", row->result);
    }
    table_print(&table, stdout);
    table_free(&table);
    for (size_t i = 0; i < explain->count; i++) {
        const struct tern_dial_attempt_info *info = &explain->rows[i].info;
        if (info->err != TERN_OK)
            printf("%zu: %s%s%s: %s\n", i + 1, tern_err_text(info->err),
                   info->refusal[0] == '\0' ? "" : ", ", info->refusal,
                   explain_advice(info->err, info->linked_ns >= 0));
    }
}

static json_t *explain_json_time(int64_t ns)
{
    return ns < 0 ? json_null() : json_real((double)ns / 1e6);
}

static json_t *explain_json(const struct explain *explain)
{
    json_t *list = json_array();
    for (size_t i = 0; i < explain->count; i++) {
        const struct explain_row *row = &explain->rows[i];
        const struct tern_dial_attempt_info *info = &row->info;
        json_t *item = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "address", info->address,
                                 "transport", info->transport, "result", row->result, "started_ms",
                                 explain_json_time(info->started_ns), "linked_ms",
                                 explain_json_time(info->linked_ns), "ended_ms",
                                 explain_json_time(info->ended_ns));
        if (info->err != TERN_OK) {
            json_object_set_new(item, "meaning", json_string(tern_err_text(info->err)));
            json_object_set_new(item, "advice",
                                json_string(explain_advice(info->err, info->linked_ns >= 0)));
        }
        if (info->refusal[0] != '\0')
            json_object_set_new(item, "limit", json_string(info->refusal));
        json_array_append_new(list, item);
    }
    return list;
}

static void dial_print(const struct visit *visit, const struct explain *explain)
{
    bool connected = visit->peer[0] != '\0';
    if (visit->options->json) {
        json_t *json =
            json_pack("{s:b, s:s, s:I}", "connected", connected, "address", visit->addresses[0],
                      "took_ms", (json_int_t)(visit->took_ns / TERN_MILLISECOND));
        if (connected)
            json_object_set_new(json, "peer_id", json_string(visit->peer));
        if (explain != NULL)
            json_object_set_new(json, "attempts", explain_json(explain));
        command_print_json(json);
        json_decref(json);
        return;
    }
    if (connected)
        printf("connected to %s in %llu ms\n", visit->peer,
               (unsigned long long)(visit->took_ns / TERN_MILLISECOND));
    if (explain != NULL)
        explain_print(explain);
}

int command_dial(const struct command_options *options)
{
    struct visit visit;
    struct explain explain;
    int code = visit_begin(&visit, options);
    bool begun = code == CODE_OK;
    if (begun)
        code = visit_dial(&visit);
    if (begun && options->explain)
        explain_gather(&explain, &visit);
    if (code == CODE_OK || (begun && options->explain))
        dial_print(&visit, options->explain ? &explain : NULL);
    visit_end(&visit);
    return code;
}
