/*
 * The numbers in Prometheus' text form: the metrics table, every fault, the chain, the API itself.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "app/ternd/api_private.h"

enum { METRICS_TEXT_MAX = 256 * 1024 };

struct metrics_text {
    char *text;
    size_t size;
};

static void metrics_put(struct metrics_text *out, const char *format, ...) TERN_PRINTF(2, 3);

static void metrics_put(struct metrics_text *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out->text + out->size, METRICS_TEXT_MAX - out->size, format, args);
    va_end(args);
    if (n > 0)
        out->size = tern_min_size(out->size + (size_t)n, METRICS_TEXT_MAX - 1);
}

static void metrics_put_one(struct metrics_text *out, const char *name, const char *kind,
                            const char *help, uint64_t value)
{
    metrics_put(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, kind, name,
                (unsigned long long)value);
}

/* The table's names may hold labels; those of one name stand next to each other. */
static void metrics_put_table(struct metrics_text *out, const struct tern_metrics *metrics)
{
    char last[128] = "";
    for (unsigned i = 0; i < TERN_METRIC_COUNT; i++) {
        const struct tern_metric_info *info = tern_metric_info((enum tern_metric)i);
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(info->name, "{"), info->name);
        if (strcmp(name, last) != 0) {
            const char *kind = info->kind == TERN_METRIC_KIND_COUNTER ? "counter" : "gauge";
            metrics_put(out, "# HELP %s %s\n# TYPE %s %s\n", name, info->help, name, kind);
            memcpy(last, name, sizeof last);
        }
        metrics_put(out, "%s %llu\n", info->name, (unsigned long long)metrics->values[i]);
    }
    metrics_put(out, "# HELP tern_fault_total Inputs of peers that were rejected, by fault\n"
                     "# TYPE tern_fault_total counter\n");
    for (unsigned i = 0; i < TERN_FAULT_COUNT; i++)
        if (metrics->faults[i] > 0)
            metrics_put(out, "tern_fault_total{fault=\"%s\"} %llu\n",
                        tern_fault_name((tern_fault)i), (unsigned long long)metrics->faults[i]);
}

static void metrics_put_chain(struct metrics_text *out, const struct node_status *status)
{
    metrics_put_one(out, "tern_chain_height", "gauge", "Height of the best chain", status->height);
    metrics_put_one(out, "tern_chain_confirmed_height", "gauge",
                    "Height that most authorities have built on", status->confirmed_height);
    metrics_put_one(out, "tern_chain_best_height", "gauge", "Greatest height that a peer told of",
                    status->best_height);
    metrics_put_one(out, "tern_chain_head_time_seconds", "gauge",
                    "Time of the head, in seconds since 1970", status->head_time_ms / 1000);
    metrics_put_one(out, "tern_chain_pool_transactions", "gauge",
                    "Transactions that wait for a block", status->pool_count);
    metrics_put_one(out, "tern_chain_syncing", "gauge", "1 while a peer is ahead", status->syncing);
    metrics_put_one(out, "tern_chain_reorganisations_total", "counter",
                    "Times that blocks were undone", status->reorganisations);
    metrics_put_one(out, "tern_market_last_price", "gauge",
                    "Newest clearing price, micro-currency per Wh", status->last_price);
    metrics_put_one(out, "tern_market_traded_watt_hours", "gauge", "Energy that changed hands",
                    status->traded_wh);
    metrics_put_one(out, "tern_uptime_seconds", "gauge", "Since the node was started",
                    status->uptime_ns / TERN_SECOND);
}

static void metrics_put_api(struct metrics_text *out, struct api *api)
{
    metrics_put_one(out, "tern_api_requests_total", "counter", "Requests that the API answered",
                    atomic_load(&api->requests));
    metrics_put_one(out, "tern_api_refused_total", "counter", "Of them, refused (4xx)",
                    atomic_load(&api->refused));
    metrics_put_one(out, "tern_api_failed_total", "counter", "Of them, failed (5xx)",
                    atomic_load(&api->failed));
}

void api_metrics(struct api_request *request, struct api_reply *reply)
{
    struct node_status status;
    struct tern_metrics metrics;
    tern_err err = node_metrics(request->api->node, &metrics);
    if (err == TERN_OK)
        err = node_status(request->api->node, &status);
    if (err != TERN_OK) {
        api_fail_err(reply, err);
        return;
    }
    struct metrics_text out = {.text = malloc(METRICS_TEXT_MAX)};
    if (out.text == NULL) {
        api_fail_err(reply, TERN_ERR_MEMORY);
        return;
    }
    out.text[0] = '\0';
    metrics_put_table(&out, &metrics);
    metrics_put_chain(&out, &status);
    metrics_put_api(&out, request->api);
    reply->text = out.text;
    reply->type = "text/plain; version=0.0.4; charset=utf-8";
}
