/*
 * tern-demo: the order of things. See demo.h.
 */
#include <curl/curl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "app/demo/demo.h"
#include "crypto/start.h"

enum { DEMO_DRAW_MS = 1000, DEMO_SETTLE_MS = 2500, DEMO_TIMEOUT_MS = 5000, DEMO_MEET_MS = 10000 };

static volatile sig_atomic_t demo_signals;

/* The first one asks to end; with the third we go at once, and the nodes with us. */
static void demo_on_signal(int number)
{
    (void)number;
    if (++demo_signals >= 3)
        _exit(130);
}

bool demo_told_to_end(void)
{
    return demo_signals > 0;
}

uint64_t demo_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void demo_sleep_ms(uint64_t ms)
{
    struct timespec time = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL); /* a signal shortens it, which is wanted */
}

static void demo_catch_signals(void)
{
    struct sigaction action = {.sa_handler = demo_on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* --- options --- */

static const struct option demo_flags[] = {
    {"seconds", required_argument, NULL, 's'},
    {"nodes", required_argument, NULL, 'n'},
    {"period-ms", required_argument, NULL, 'p'},
    {"rows-per-second", required_argument, NULL, 'r'},
    {"data", required_argument, NULL, 'd'},
    {"from", required_argument, NULL, 'f'},
    {"dir", required_argument, NULL, 'D'},
    {"transport", required_argument, NULL, 'T'},
    {"ternd", required_argument, NULL, 't'},
    {"keep", no_argument, NULL, 'k'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void demo_print_help(void)
{
    fputs("usage: ./run [OPTION...]\n"
          "\n"
          "Installs what is missing, builds, starts a chain of four nodes on this machine, and "
          "lets 17\n"
          "real homes trade their solar power on it. Ctrl-C ends it.\n"
          "\n"
          "  --seconds N          end after N seconds; exit 0 only if all nodes hold the same "
          "block at\n"
          "                       the last common height, and money and energy balance\n"
          "  --nodes N            number of nodes, all authorities: 1 to 16 (4)\n"
          "  --transport NAME     how the nodes connect: tcp, ws, quic-v1,\n"
          "                       webtransport, webrtc-direct (tcp)\n"
          "  --period-ms N        time between blocks (1000)\n"
          "  --rows-per-second N  hours of data replayed in a second (1)\n"
          "  --from TIME          the first hour, 2016-07-31T23:00 to 2017-07-31T22:00 local time\n"
          "                       (2016-08-01T08:00)\n"
          "  --data FILE          the data (data/homes.csv)\n"
          "  --dir DIR            keep the nodes' files in this new folder\n"
          "  --keep               leave the nodes' files where they are at the end\n"
          "\n"
          "Exit codes: 0 all is well, 1 it is not, 64 usage, 70 it could not be started.\n",
          stdout);
}

static bool demo_number(const char *name, uint64_t min, uint64_t max, uint64_t *value)
{
    if (app_number(optarg, max, value) && *value >= min)
        return true;
    fprintf(stderr, "run: --%s: a number from %llu to %llu is wanted\n", name,
            (unsigned long long)min, (unsigned long long)max);
    return false;
}

static bool demo_transport(const char *name, const char **transport)
{
    char all[256];
    *transport = nodes_transport(name);
    if (*transport != NULL)
        return true;
    nodes_transports(all, sizeof all);
    fprintf(stderr, "run: --transport: there is no \"%s\"; there is %s\n", name, all);
    return false;
}

/* 0: go on; else the exit code plus 1. */
static int demo_take_flag(struct demo_options *options, int flag)
{
    bool fine = true;
    switch (flag) {
    case 's':
        fine = demo_number("seconds", 1, 10000000, &options->seconds);
        break;
    case 'n':
        fine = demo_number("nodes", 1, DEMO_NODES_MAX, &options->nodes);
        break;
    case 'p':
        fine = demo_number("period-ms", TERN_PERIOD_MS_MIN, 60000, &options->period_ms);
        break;
    case 'r':
        fine = demo_number("rows-per-second", 1, 10, &options->rows_per_s);
        break;
    case 'd':
        options->data = optarg;
        break;
    case 'f':
        options->from = optarg;
        break;
    case 'D':
        options->dir = optarg;
        options->keep = true;
        break;
    case 'T':
        fine = demo_transport(optarg, &options->transport);
        break;
    case 't':
        options->ternd = optarg;
        break;
    case 'k':
        options->keep = true;
        break;
    case 'h':
        demo_print_help();
        return 1;
    default:
        fine = false;
    }
    return fine ? 0 : 65;
}

static int demo_parse(struct demo_options *options, int argc, char **argv)
{
    for (;;) {
        int flag = getopt_long(argc, argv, "", demo_flags, NULL);
        if (flag == -1)
            break;
        int code = demo_take_flag(options, flag);
        if (code != 0)
            return code;
    }
    if (optind == argc)
        return 0;
    fprintf(stderr, "run: %s: options alone are taken; see ./run --help\n", argv[optind]);
    return 65;
}

/* --- the run --- */

struct demo {
    struct demo_options options;
    struct demo_world world;
    struct demo_nodes nodes;
    struct demo_clients clients;
    struct demo_view view;
};

static bool demo_prepare(struct demo *demo, struct app_message *message)
{
    char path[DEMO_PATH_SIZE + 32];
    if (!nodes_init(&demo->nodes, &demo->options, message))
        return false;
    snprintf(path, sizeof path, "%s/genesis.json", demo->nodes.dir);
    if (!world_write_genesis(&demo->world, &demo->options, path, message))
        return false;
    for (size_t i = 0; i < demo->nodes.count; i++) {
        snprintf(path, sizeof path, "%s/key", demo->nodes.all[i].dir);
        if (!world_write_key(&demo->world, i, path, message))
            return false;
    }
    if (!nodes_start(&demo->nodes, &demo->options, message))
        return false;
    for (size_t i = 0; i < demo->nodes.count; i++) {
        demo->clients.all[i] = app_client_new(demo->nodes.all[i].api, DEMO_TIMEOUT_MS);
        demo->clients.count++;
        if (demo->clients.all[i] == NULL)
            return app_say(message, "out of memory");
    }
    return true;
}

/* Until every node knows every other one, or has had time enough. */
static void demo_meet(struct demo *demo)
{
    uint64_t until = demo_now_ms() + DEMO_MEET_MS;
    for (;;) {
        size_t met = 0;
        view_sample(&demo->view, &demo->clients);
        for (size_t i = 0; i < demo->nodes.count; i++)
            met += demo->view.samples[i].peers + 1 >= demo->nodes.count;
        if (met == demo->nodes.count || demo_now_ms() > until || demo_told_to_end())
            return;
        demo_sleep_ms(100);
    }
}

static bool demo_loop(struct demo *demo, struct app_message *message)
{
    uint64_t start = demo_now_ms();
    uint64_t end = demo->options.seconds == 0 ? UINT64_MAX : start + demo->options.seconds * 1000;
    uint64_t step = 1000 / demo->options.rows_per_s;
    uint64_t next_row = start;
    uint64_t next_draw = start;
    for (;;) {
        uint64_t now = demo_now_ms();
        if (demo_told_to_end() || now >= end)
            return true;
        if (!nodes_check(&demo->nodes, message))
            return false;
        /* Near the end nothing new: what is in the pools is to get into blocks. */
        if (now >= next_row && (end == UINT64_MAX || now + DEMO_SETTLE_MS < end)) {
            world_step(&demo->world, &demo->clients);
            next_row = next_row + step > now ? next_row + step : now + step;
        }
        now = demo_now_ms();
        if (now >= next_draw) {
            view_sample(&demo->view, &demo->clients);
            view_draw(&demo->view, &demo->nodes, &demo->world, now - start);
            next_draw = next_draw + DEMO_DRAW_MS > now ? next_draw + DEMO_DRAW_MS : now;
        }
        uint64_t wake = next_row < next_draw ? next_row : next_draw;
        now = demo_now_ms();
        demo_sleep_ms(wake > now + 50 ? 50 : wake > now ? wake - now : 1);
    }
}

static bool demo_end(struct demo *demo, bool fine)
{
    struct app_message message;
    for (size_t i = 0; i < demo->clients.count; i++)
        app_client_free(demo->clients.all[i]);
    if (!nodes_stop(&demo->nodes, &message)) {
        fprintf(stderr, "run: %s\n", message.text);
        fine = false;
    }
    if (demo->options.keep || !fine)
        printf("the nodes' files are in %s\n", demo->nodes.dir);
    else
        nodes_remove(&demo->nodes);
    return fine;
}

static int demo_run(struct demo *demo)
{
    struct app_message message;
    if (!world_init(&demo->world, &demo->options, &message)) {
        fprintf(stderr, "run: %s\n", message.text);
        return 70;
    }
    printf("starting %llu nodes\n", (unsigned long long)demo->options.nodes);
    fflush(stdout);
    if (!demo_prepare(demo, &message)) {
        fprintf(stderr, "run: %s\n", message.text);
        demo_end(demo, demo_told_to_end());
        return demo_told_to_end() ? 130 : 70;
    }
    printf("API of node 1: %s\n\n", demo->nodes.all[0].api);
    view_init(&demo->view);
    demo_meet(demo);
    bool fine = demo_loop(demo, &message);
    if (!fine)
        fprintf(stderr, "run: %s\n", message.text);
    else
        fine = verdict_print(&demo->world, &demo->nodes, &demo->clients);
    fine = demo_end(demo, fine);
    return fine ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct demo *demo = app_alloc(1, sizeof *demo);
    demo->options = (struct demo_options){.nodes = 4,
                                          .period_ms = 1000,
                                          .rows_per_s = 1,
                                          .transport = "tcp",
                                          .data = "data/homes.csv",
                                          .from = "2016-08-01T08:00",
                                          .ternd = "build/app/ternd"};
    int code = demo_parse(&demo->options, argc, argv);
    if (code != 0) {
        free(demo);
        return code - 1;
    }
    demo_catch_signals();
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || tern_crypto_start() != TERN_OK)
        return 70;
    code = demo_run(demo);
    world_fini(&demo->world);
    curl_global_cleanup();
    free(demo);
    return code;
}
