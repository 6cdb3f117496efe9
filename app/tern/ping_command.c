/*
 * tern ping: round trips to a peer, a line each, and what they sum up to.
 */
#include "app/common/stats.h"
#include "app/tern/visit.h"

struct ping_result {
    uint64_t sent;
    struct stats rtts; /* ns, of those that came back */
};

/* One ping. One that is lost is no reason to end. */
static int ping_once(struct visit *visit, struct ping_result *result)
{
    struct tern_event event;
    uint64_t token = 0;
    bool quiet = visit->options->json;
    tern_err err = tern_host_ping(visit->host, visit->peer, &token);
    if (err != TERN_OK)
        return command_fail(CODE_UNAVAILABLE, "%s", tern_err_text(err));
    result->sent++;
    visit_deadline(visit, visit->options->timeout_s * TERN_SECOND);
    int code = visit_wait(visit, TERN_EVENT_PING, token, &event);
    if (code == CODE_TIMEOUT || (code == CODE_OK && event.err == TERN_ERR_TIMEOUT)) {
        if (!quiet)
            printf("no answer from %s: seq=%llu\n", visit->peer, (unsigned long long)result->sent);
        return CODE_OK;
    }
    if (code == VISIT_STOPPED)
        result->sent--; /* it may still have come */
    if (code != CODE_OK)
        return code;
    if (event.err != TERN_OK)
        return command_fail(CODE_NO, "%s", tern_err_text(event.err));
    stats_add(&result->rtts, (double)event.rtt_ns);
    if (!quiet)
        printf("answer from %s: seq=%llu rtt=%.3f ms\n", visit->peer,
               (unsigned long long)result->sent, (double)event.rtt_ns / 1e6);
    fflush(stdout);
    return CODE_OK;
}

static double ping_loss_percent(const struct ping_result *result)
{
    return result->sent == 0 ? 0 : 100 * (1 - (double)result->rtts.count / (double)result->sent);
}

static json_t *ping_json(const struct visit *visit, const struct ping_result *result,
                         const struct stats_summary *sum)
{
    json_t *rtts = json_array();
    for (size_t i = 0; i < result->rtts.count; i++)
        json_array_append_new(rtts, json_integer((json_int_t)(result->rtts.samples[i] / 1e3)));
    return json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o}", "peer_id",
                     visit->peer, "sent", (json_int_t)result->sent, "received",
                     (json_int_t)result->rtts.count, "loss_percent", ping_loss_percent(result),
                     "min_us", sum->min / 1e3, "avg_us", sum->mean / 1e3, "max_us", sum->max / 1e3,
                     "stddev_us", sum->deviation / 1e3, "p50_us", sum->p50 / 1e3, "p95_us",
                     sum->p95 / 1e3, "p99_us", sum->p99 / 1e3, "rtt_us", rtts);
}

static void ping_print(const struct visit *visit, const struct ping_result *result)
{
    struct stats_summary sum;
    stats_summarise(&result->rtts, &sum);
    if (visit->options->json) {
        json_t *json = ping_json(visit, result, &sum);
        command_print_json(json);
        json_decref(json);
        return;
    }
    printf("\n%llu sent, %zu received, %.4g%% lost\n", (unsigned long long)result->sent,
           result->rtts.count, ping_loss_percent(result));
    if (sum.count > 0)
        printf("rtt min/avg/max/stddev = %.3f/%.3f/%.3f/%.3f ms, p50/p95/p99 = %.3f/%.3f/%.3f ms\n",
               sum.min / 1e6, sum.mean / 1e6, sum.max / 1e6, sum.deviation / 1e6, sum.p50 / 1e6,
               sum.p95 / 1e6, sum.p99 / 1e6);
}

int command_ping(const struct command_options *options)
{
    struct visit visit;
    struct ping_result result = {.sent = 0};
    int code = visit_begin(&visit, options);
    if (code == CODE_OK)
        code = visit_catch_signals(&visit);
    if (code == CODE_OK)
        code = visit_dial(&visit);
    bool connected = code == CODE_OK;
    for (uint64_t i = 0; i < options->count && code == CODE_OK; i++) {
        if (i > 0)
            code = visit_pause(&visit, options->interval_ms * TERN_MILLISECOND);
        if (code == CODE_OK)
            code = ping_once(&visit, &result);
    }
    if (code == VISIT_STOPPED)
        code = connected ? CODE_OK : CODE_NO; /* what there is counts */
    if (connected)
        ping_print(&visit, &result);
    if (code == CODE_OK && result.rtts.count < result.sent)
        code = CODE_NO;
    stats_free(&result.rtts);
    visit_end(&visit);
    return code;
}
