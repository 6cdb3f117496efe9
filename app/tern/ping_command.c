#include <unistd.h>

#include "app/tern/visit.h"

struct ping_result {
    uint64_t sent;
    uint64_t received;
    uint64_t min_ns;
    uint64_t max_ns;
    uint64_t sum_ns;
    json_t *rtts;
};

static int ping_once(struct visit *visit, struct ping_result *result)
{
    struct tern_event event;
    uint64_t token = 0;
    visit->deadline_ms = visit_now_ms() + visit->options->timeout_s * 1000;
    tern_err err = tern_host_ping(visit->host, visit->peer, &token);
    if (err != TERN_OK)
        return command_fail(CODE_UNAVAILABLE, "%s", tern_err_text(err));
    result->sent++;
    int code = visit_wait(visit, TERN_EVENT_PING, token, &event);
    if (code == CODE_OK && event.err != TERN_OK)
        return command_fail(CODE_NO, "%s", tern_err_text(event.err));
    if (code == CODE_TIMEOUT) {
        command_fail(code, "no answer within %llu s",
                     (unsigned long long)visit->options->timeout_s);
        return CODE_OK;
    }
    if (code != CODE_OK)
        return code;
    result->received++;
    result->sum_ns += event.rtt_ns;
    result->min_ns =
        result->received == 1 || event.rtt_ns < result->min_ns ? event.rtt_ns : result->min_ns;
    result->max_ns = event.rtt_ns > result->max_ns ? event.rtt_ns : result->max_ns;
    json_array_append_new(result->rtts, app_json_u64(event.rtt_ns / 1000));
    if (!visit->options->json)
        printf("%s: %.3f ms\n", visit->peer, (double)event.rtt_ns / 1e6);
    return CODE_OK;
}

static void ping_print(const struct visit *visit, const struct ping_result *result)
{
    if (visit->options->json) {
        json_t *json = json_pack("{s:s, s:I, s:I, s:O}", "peer_id", visit->peer, "sent",
                                 (json_int_t)result->sent, "received", (json_int_t)result->received,
                                 "rtt_us", result->rtts);
        command_print_json(json);
        json_decref(json);
        return;
    }
    printf("%llu sent, %llu received", (unsigned long long)result->sent,
           (unsigned long long)result->received);
    if (result->received > 0)
        printf("; rtt min/avg/max %.3f/%.3f/%.3f ms", (double)result->min_ns / 1e6,
               (double)result->sum_ns / (double)result->received / 1e6,
               (double)result->max_ns / 1e6);
    printf("\n");
}

int command_ping(const struct command_options *options)
{
    struct visit visit;
    struct ping_result result = {.rtts = json_array()};
    int code = visit_begin(&visit, options);
    bool connected = code == CODE_OK;
    for (uint64_t i = 0; i < options->count && code == CODE_OK; i++) {
        if (i > 0 && !options->json)
            usleep(200000);
        code = ping_once(&visit, &result);
    }
    if (connected)
        ping_print(&visit, &result);
    if (code == CODE_OK && result.received < result.sent)
        code = CODE_NO;
    json_decref(result.rtts);
    visit_end(&visit);
    return code;
}
