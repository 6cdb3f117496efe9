#include "app/tern/visit.h"

static int print_visit(const struct visit *visit)
{
    if (!visit->options->json) {
        printf("connected to %s in %llu ms\n", visit->peer, (unsigned long long)visit->took_ms);
        return CODE_OK;
    }
    json_t *json = json_pack("{s:s, s:s, s:I}", "peer_id", visit->peer, "address", visit->address,
                             "took_ms", (json_int_t)visit->took_ms);
    int code = command_print_json(json);
    json_decref(json);
    return code;
}

int command_dial(const struct command_options *options)
{
    struct visit visit;
    int code = visit_begin(&visit, options);
    if (code == CODE_OK)
        code = print_visit(&visit);
    visit_end(&visit);
    return code;
}
