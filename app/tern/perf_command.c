/*
 * tern perf: how far away a peer is and how fast bytes go there and come back, or with --serve the
 * other end of that.
 *
 *   each iteration of   latency   connect anew ─ ping ─► handshake + 1 round trip; ping ─► round
 * trip upload    a perf request that wants nothing back download  a perf request that sends nothing
 */
#include <unistd.h>

#include "app/common/stats.h"
#include "app/tern/visit.h"

enum { PERF_PROGRESS_MS = 1000, PERF_QUIET_S = 60, PERF_ITERATIONS = 10 };

static const uint64_t PERF_BYTES = UINT64_C(64) << 20;

/* Both directions of perf requests. */
enum perf_way { PERF_UPLOAD, PERF_DOWNLOAD, PERF_WAYS_COUNT };

static const char *const perf_way_names[] = {
    [PERF_UPLOAD] = "upload",
    [PERF_DOWNLOAD] = "download",
};

struct perf {
    struct visit visit;
    const struct command_options *options;
    uint64_t iterations;
    uint64_t bytes[PERF_WAYS_COUNT]; /* 0: not this way */
    struct stats handshakes;         /* ns: connecting and one round trip */
    struct stats rtts;               /* ns */
    struct stats rates[PERF_WAYS_COUNT];
    uint64_t moved[PERF_WAYS_COUNT]; /* bytes of all iterations */
    bool terminal;                   /* somebody watches */
};

/* --- what is asked for --- */

/* Without any size both ways are measured; with a duration sizes are none. */
static void perf_plan(struct perf *perf, const struct command_options *options)
{
    uint64_t bytes = options->duration_ms != 0 ? UINT64_MAX : PERF_BYTES;
    bool sizes = options->upload != NULL || options->download != NULL;
    *perf = (struct perf){.options = options};
    perf->bytes[PERF_UPLOAD] = sizes ? options->upload_bytes : bytes;
    perf->bytes[PERF_DOWNLOAD] = sizes ? options->download_bytes : bytes;
    perf->iterations = options->iterations != 0    ? options->iterations
                       : options->duration_ms != 0 ? 1
                                                   : PERF_ITERATIONS;
    perf->terminal = !options->json && isatty(STDERR_FILENO);
}

static struct tern_perf_options perf_request(const struct perf *perf, enum perf_way way)
{
    uint64_t quiet_s =
        perf->options->timeout_given ? perf->options->timeout_s : (uint64_t)PERF_QUIET_S;
    return (struct tern_perf_options){
        .size = sizeof(struct tern_perf_options),
        .peer = perf->visit.peer,
        .upload_bytes = way == PERF_UPLOAD ? perf->bytes[way] : 0,
        .download_bytes = way == PERF_DOWNLOAD ? perf->bytes[way] : 0,
        .timeout_ms = (int)(quiet_s * 1000),
        .duration_ms = (int)perf->options->duration_ms,
        .progress_ms = perf->terminal ? PERF_PROGRESS_MS : 0,
        .serving =
            perf->options->header16 ? TERN_PERF_SERVING_HEADER16 : TERN_PERF_SERVING_STANDARD,
    };
}

/* --- latency --- */

static int perf_ping(struct perf *perf, uint64_t *rtt_ns)
{
    struct visit *visit = &perf->visit;
    struct tern_event event;
    uint64_t token = 0;
    tern_err err = tern_host_ping(visit->host, visit->peer, &token);
    if (err != TERN_OK)
        return command_fail(CODE_UNAVAILABLE, "ping: %s", tern_err_text(err));
    visit_deadline(visit, perf->options->timeout_s * TERN_SECOND);
    int code = visit_wait(visit, TERN_EVENT_PING, token, &event);
    if (code == CODE_TIMEOUT || (code == CODE_OK && event.err == TERN_ERR_TIMEOUT))
        return command_fail(CODE_TIMEOUT, "ping: no answer in time");
    if (code == CODE_OK && event.err != TERN_OK)
        return command_fail(CODE_NO, "ping: %s", tern_err_text(event.err));
    if (code == CODE_OK)
        *rtt_ns = event.rtt_ns;
    return code;
}

/* Ends the connection that is there, so that the next can be timed. */
static int perf_part(struct perf *perf)
{
    struct visit *visit = &perf->visit;
    struct tern_event event;
    tern_err err = tern_host_disconnect(visit->host, visit->peer);
    if (err != TERN_OK)
        return command_fail(CODE_UNAVAILABLE, "%s", tern_err_text(err));
    visit_deadline(visit, perf->options->timeout_s * TERN_SECOND);
    int code = visit_wait(visit, TERN_EVENT_PEER_DISCONNECTED, 0, &event);
    if (code == CODE_TIMEOUT)
        return command_fail(code, "the connection did not end in time");
    return code;
}

static int perf_latency(struct perf *perf)
{
    for (uint64_t i = 0; i < perf->iterations; i++) {
        uint64_t rtt_ns = 0;
        int code = i == 0 ? CODE_OK : perf_part(perf);
        uint64_t start = visit_now_ns();
        if (code == CODE_OK)
            code = visit_dial(&perf->visit);
        if (code == CODE_OK)
            code = perf_ping(perf, &rtt_ns);
        if (code != CODE_OK)
            return code;
        stats_add(&perf->handshakes, (double)(visit_now_ns() - start));
        code = perf_ping(perf, &rtt_ns);
        if (code != CODE_OK)
            return code;
        stats_add(&perf->rtts, (double)rtt_ns);
    }
    return CODE_OK;
}

/* --- throughput --- */

static uint64_t perf_moved(const struct tern_perf_info *info, enum perf_way way)
{
    return way == PERF_UPLOAD ? info->uploaded_bytes : info->downloaded_bytes;
}

/* An upload has taken until the peer says that it is there; a download from the request on. */
static uint64_t perf_took_ns(const struct tern_perf_info *info, enum perf_way way)
{
    return way == PERF_UPLOAD ? info->answered_ns : info->ended_ns;
}

static double perf_rate(uint64_t bytes, uint64_t ns)
{
    return ns == 0 ? 0 : 8e9 * (double)bytes / (double)ns;
}

/* The line that a terminal shows while an iteration runs; last is what the one before showed. */
static void perf_show_progress(const struct perf *perf, enum perf_way way, uint64_t iteration,
                               const struct tern_perf_info *info, struct tern_perf_info *last)
{
    char bytes[24];
    char now[24];
    char mean[24];
    uint64_t moved = perf_moved(info, way);
    if (!perf->terminal)
        return;
    fprintf(stderr, "\r%-8s %llu/%llu  %s  now %s  mean %s\033[K", perf_way_names[way],
            (unsigned long long)iteration + 1, (unsigned long long)perf->iterations,
            text_bytes(moved, bytes),
            text_rate(perf_rate(moved - perf_moved(last, way), info->elapsed_ns - last->elapsed_ns),
                      now),
            text_rate(perf_rate(moved, info->elapsed_ns), mean));
    *last = *info;
}

static int perf_failed(const struct tern_event *event)
{
    tern_err err = event->err;
    if (err == TERN_ERR_TIMEOUT)
        return command_fail(CODE_TIMEOUT, "no byte has moved for too long");
    if (err == TERN_ERR_RESET || err == TERN_ERR_NO_PROTOCOL)
        return command_fail(CODE_NO, "the peer has reset the stream: does it serve perf, and so "
                                     "much of it, and not others at the same time?");
    if (err == TERN_ERR_PROTOCOL)
        return command_fail(CODE_NO, "the peer did not answer as asked: not as many bytes, or too "
                                     "early; see --header16");
    return command_fail(CODE_UNAVAILABLE, "%s", tern_err_text(err));
}

static void perf_count(struct perf *perf, enum perf_way way, uint64_t iteration,
                       const struct tern_perf_info *info)
{
    char bytes[24];
    char rate[24];
    uint64_t moved = perf_moved(info, way);
    double value = perf_rate(moved, perf_took_ns(info, way));
    stats_add(&perf->rates[way], value);
    perf->moved[way] += moved;
    if (perf->terminal)
        fputs("\r\033[K", stderr);
    if (perf->options->json)
        return;
    printf("%-8s %llu/%llu  %s in %.3f s  %s\n", perf_way_names[way],
           (unsigned long long)iteration + 1, (unsigned long long)perf->iterations,
           text_bytes(moved, bytes), (double)perf_took_ns(info, way) / 1e9, text_rate(value, rate));
    fflush(stdout);
}

/* One perf request, until its end. Silence is the host's to notice, so nothing is waited for. */
static int perf_once(struct perf *perf, enum perf_way way, uint64_t iteration)
{
    struct tern_perf_options request = perf_request(perf, way);
    struct tern_perf_info last = {.elapsed_ns = 0};
    struct tern_event event;
    uint64_t token = 0;
    tern_err err = tern_host_perf(perf->visit.host, &request, &token);
    if (err != TERN_OK)
        return command_fail(err == TERN_ERR_INVALID ? CODE_USAGE : CODE_UNAVAILABLE, "perf: %s",
                            tern_err_text(err));
    perf->visit.deadline_ns = UINT64_MAX;
    for (;;) {
        int code = visit_next(&perf->visit, &event);
        if (code != CODE_OK)
            return code;
        if (event.kind == TERN_EVENT_PERF_PROGRESS && event.token == token)
            perf_show_progress(perf, way, iteration, event.perf, &last);
        if (event.kind == TERN_EVENT_PERF && event.token == token)
            break;
    }
    if (event.err != TERN_OK)
        return perf_failed(&event);
    perf_count(perf, way, iteration, event.perf);
    return CODE_OK;
}

static int perf_throughput(struct perf *perf)
{
    for (unsigned way = 0; way < PERF_WAYS_COUNT; way++)
        for (uint64_t i = 0; perf->bytes[way] > 0 && i < perf->iterations; i++) {
            int code = perf_once(perf, (enum perf_way)way, i);
            if (code != CODE_OK)
                return code;
        }
    return CODE_OK;
}

/* --- the summary --- */

struct perf_line {
    const char *name;
    const struct stats *stats;
    const char *unit; /* of the JSON's numbers */
    double scale;     /* a sample times this is of that unit */
    const char *(*text)(double value, char out[24]);
};

enum { PERF_LINES = 4 };

static void perf_lines(const struct perf *perf, struct perf_line lines[PERF_LINES])
{
    const struct perf_line all[PERF_LINES] = {
        {"upload", &perf->rates[PERF_UPLOAD], "bit/s", 1, text_rate},
        {"download", &perf->rates[PERF_DOWNLOAD], "bit/s", 1, text_rate},
        {"handshake_rtt", &perf->handshakes, "us", 1e-3, text_ms},
        {"ping_rtt", &perf->rtts, "us", 1e-3, text_ms},
    };
    memcpy(lines, all, sizeof all);
}

static void perf_print_table(const struct perf *perf)
{
    static const char *const columns[] = {"", ">min", ">p50", ">p95", ">p99", ">max", ">n", NULL};
    struct perf_line lines[PERF_LINES];
    struct table table;
    char text[24];
    perf_lines(perf, lines);
    table_init(&table, columns);
    for (size_t i = 0; i < PERF_LINES; i++) {
        struct stats_summary sum;
        stats_summarise(lines[i].stats, &sum);
        const double values[] = {sum.min, sum.p50, sum.p95, sum.p99, sum.max};
        if (sum.count == 0)
            continue;
        table_row(&table);
        table_cell(&table, 0, "%s", lines[i].name);
        for (size_t k = 0; k < TERN_COUNT_OF(values); k++)
            table_cell(&table, k + 1, "%s", lines[i].text(values[k], text));
        table_cell(&table, 6, "%zu", sum.count);
    }
    putchar('\n');
    table_print(&table, stdout);
    table_free(&table);
}

static json_t *perf_json_line(const struct perf_line *line)
{
    struct stats_summary sum;
    json_t *samples = json_array();
    stats_summarise(line->stats, &sum);
    for (size_t i = 0; i < line->stats->count; i++)
        json_array_append_new(samples, json_real(line->stats->samples[i] * line->scale));
    return json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:o}", "unit", line->unit, "min",
                     sum.min * line->scale, "p50", sum.p50 * line->scale, "p95",
                     sum.p95 * line->scale, "p99", sum.p99 * line->scale, "max",
                     sum.max * line->scale, "samples", samples);
}

static void perf_print_json(const struct perf *perf)
{
    struct perf_line lines[PERF_LINES];
    json_t *json = json_pack("{s:s, s:s, s:I, s:I, s:I}", "peer_id", perf->visit.peer, "address",
                             perf->visit.addresses[0], "iterations", (json_int_t)perf->iterations,
                             "uploaded_bytes", (json_int_t)perf->moved[PERF_UPLOAD],
                             "downloaded_bytes", (json_int_t)perf->moved[PERF_DOWNLOAD]);
    perf_lines(perf, lines);
    for (size_t i = 0; i < PERF_LINES; i++)
        if (lines[i].stats->count > 0)
            json_object_set_new(json, lines[i].name, perf_json_line(&lines[i]));
    command_print_json(json);
    json_decref(json);
}

static int perf_client(const struct command_options *options)
{
    struct perf perf;
    perf_plan(&perf, options);
    int code = visit_begin(&perf.visit, options);
    if (code == CODE_OK)
        code = visit_catch_signals(&perf.visit);
    if (code == CODE_OK)
        code = perf_latency(&perf);
    if (code == CODE_OK)
        code = perf_throughput(&perf);
    if (perf.terminal)
        fputs("\r\033[K", stderr);
    if (code == VISIT_STOPPED) /* what there is counts */
        code = perf.handshakes.count > 0 ? CODE_OK : CODE_NO;
    if (perf.handshakes.count > 0 && options->json)
        perf_print_json(&perf);
    else if (perf.handshakes.count > 0)
        perf_print_table(&perf);
    stats_free(&perf.handshakes);
    stats_free(&perf.rtts);
    stats_free(&perf.rates[PERF_UPLOAD]);
    stats_free(&perf.rates[PERF_DOWNLOAD]);
    visit_end(&perf.visit);
    return code;
}

/* --- serving --- */

static void serve_say(const struct visit *visit)
{
    char text[TERN_ADDRESS_TEXT_SIZE];
    json_t *addresses = json_array();
    for (size_t i = 0; tern_host_address(visit->host, i, text, sizeof text) == TERN_OK; i++) {
        json_array_append_new(addresses, json_string(text));
        if (!visit->options->json)
            printf("serving perf at %s\n", text);
    }
    json_t *json =
        json_pack("{s:s, s:o}", "peer_id", tern_host_peer_id(visit->host), "addresses", addresses);
    if (visit->options->json)
        command_print_json(json);
    json_decref(json);
    fflush(stdout);
}

static void serve_say_peer(const struct visit *visit, const struct tern_event *event)
{
    bool up = event->kind == TERN_EVENT_PEER_CONNECTED;
    if (visit->options->json || (!up && event->kind != TERN_EVENT_PEER_DISCONNECTED))
        return;
    printf("%s %s%s\n", event->peer, up ? "connected from " : "gone", up ? event->text : "");
    fflush(stdout);
}

static int serve_events(struct visit *visit)
{
    struct tern_event event;
    visit->deadline_ns = UINT64_MAX;
    for (;;) {
        int code = visit_next(visit, &event);
        if (code != CODE_OK)
            return code == VISIT_STOPPED ? CODE_OK : code;
        if (event.kind == TERN_EVENT_LISTEN_FAILED)
            return command_fail(CODE_UNAVAILABLE, "%s: %s", visit->options->serve,
                                tern_err_text(event.err));
        if (event.kind == TERN_EVENT_LISTENING)
            serve_say(visit);
        serve_say_peer(visit, &event);
    }
}

static int perf_server(const struct command_options *options)
{
    struct tern_host_options host;
    struct visit visit;
    tern_host_options_init(&host);
    host.key_file = options->key;
    host.serve_perf = options->header16 ? TERN_PERF_SERVING_HEADER16 : TERN_PERF_SERVING_STANDARD;
    int code = visit_host(&visit, options, &host);
    if (code == CODE_OK)
        code = visit_catch_signals(&visit);
    if (code == CODE_OK) {
        tern_err err = tern_host_listen(visit.host, options->serve);
        if (err != TERN_OK)
            code = command_fail(CODE_USAGE, "--serve %s: %s", options->serve, tern_err_text(err));
    }
    if (code == CODE_OK)
        code = serve_events(&visit);
    visit_end(&visit);
    return code;
}

int command_perf(const struct command_options *options)
{
    if (options->serve != NULL && options->arguments_count > 0)
        return command_fail(CODE_USAGE, "either a PEER to measure, or --serve ADDRESS");
    if (options->serve != NULL)
        return perf_server(options);
    if (options->arguments_count == 0)
        return command_fail(CODE_USAGE, "a PEER to measure is missing, or --serve ADDRESS");
    return perf_client(options);
}
