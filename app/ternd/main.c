/*
 * ternd: a node of a chain.
 *
 *     main thread      starts and ends everything
 *     signals          a thread that waits for them
 *     network thread   the node (runtime/real/loop.h)   storage thread, workers: the loop's
 *     API threads      libmicrohttpd's
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/ternd/api.h"
#include "app/ternd/node.h"
#include "tern/tern.h"

enum {
    EXIT_USAGE = 64,
    EXIT_API = 69,
    EXIT_FILES = 74,
    EXIT_CONFIG = 78,
    EXIT_AT_ONCE = 130,
    MAIN_WATCH_MS = 500,
};

struct signals {
    sem_t wanted; /* posted by the first signal */
    sigset_t set;
};

/* The first signal asks main to end, the second ends at once. */
static void *signals_wait(void *context)
{
    struct signals *signals = context;
    int signal = 0;
    for (int count = 0;; count++) {
        if (sigwait(&signals->set, &signal) != 0)
            continue;
        if (count > 0)
            _exit(EXIT_AT_ONCE);
        sem_post(&signals->wanted);
    }
    return NULL;
}

static bool signals_start(struct signals *signals)
{
    pthread_t thread;
    sem_init(&signals->wanted, 0, 0);
    sigemptyset(&signals->set);
    sigaddset(&signals->set, SIGINT);
    sigaddset(&signals->set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals->set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return pthread_create(&thread, NULL, signals_wait, signals) == 0 && pthread_detach(thread) == 0;
}

/* ternd.json in the data folder tells programs on this machine where the node is. */
static void main_file_path(const struct config *config, char path[4096])
{
    snprintf(path, 4096, "%s/ternd.json", config->data_dir);
}

static bool main_write_file(const struct config *config, const struct node_status *status,
                            const struct api *api, struct app_message *message)
{
    char path[4096];
    json_t *json = json_object();
    json_t *addresses = json_array();
    for (size_t i = 0; i < status->addresses_count; i++)
        json_array_append_new(addresses, json_string(status->addresses[i]));
    json_object_set_new(json, "pid", json_integer(getpid()));
    json_object_set_new(json, "peer_id", json_string(status->peer_id));
    json_object_set_new(json, "addresses", addresses);
    json_object_set_new(json, "genesis", app_json_hex(status->genesis_hash.bytes, TERN_HASH_SIZE));
    if (api != NULL)
        json_object_set_new(json, "api", json_string(api_url(api)));
    char *text = json_dumps(json, JSON_INDENT(2));
    json_decref(json);
    main_file_path(config, path);
    bool fine = text != NULL && app_write_file(path, text, 0644, message);
    free(text);
    return fine;
}

/* Waits until the listeners have their ports, so that ternd.json can name them, and the chain is
 * loaded. */
static bool main_wait_ready(const struct config *config, struct node *node, struct signals *signals,
                            struct node_status *status)
{
    for (;;) {
        struct timespec until;
        tern_err err = node_status(node, status);
        if (node_failed(node) != NULL)
            return false;
        if (err == TERN_OK && status->ready && status->addresses_count >= config->listen.count)
            return true;
        if (err != TERN_OK && err != TERN_ERR_AGAIN && err != TERN_ERR_TIMEOUT)
            return false;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 20 * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        if (sem_timedwait(&signals->wanted, &until) == 0) {
            sem_post(&signals->wanted);
            return true; /* asked to end: go on to where that is looked at */
        }
    }
}

/* Until a signal comes, or the node fails. */
static bool main_watch(struct node *node, struct signals *signals)
{
    for (;;) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += MAIN_WATCH_MS * 1000000L;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        if (sem_timedwait(&signals->wanted, &until) == 0)
            return true;
        if (node_failed(node) != NULL)
            return false;
    }
}

static int main_complain(const struct app_message *message, int code)
{
    fprintf(stderr, "ternd: %s\n", message->text);
    return code;
}

static int main_serve(const struct config *config, struct log *log, struct node *node,
                      struct signals *signals)
{
    struct app_message message;
    struct api *api = NULL;
    struct node_status status = {.ready = false};
    char path[4096];
    int code = EXIT_SUCCESS;
    if (config->api_enabled && !api_start(config, node, log, &api, &message))
        return main_complain(&message, EXIT_API);
    main_file_path(config, path);
    if (!main_wait_ready(config, node, signals, &status)) {
        app_say(&message, "%s",
                node_failed(node) == NULL ? "the node could not be started" : node_failed(node));
        code = main_complain(&message, EXIT_FILES);
    } else if (!main_write_file(config, &status, api, &message)) {
        code = main_complain(&message, EXIT_FILES);
    } else {
        LOG_LINE(log, CONFIG_LOG_INFO, "main", "ready", {.name = "peer", .text = status.peer_id},
                 {.name = "height", .number = status.height},
                 {.name = "api", .text = api == NULL ? "off" : api_url(api)});
        if (!main_watch(node, signals)) {
            app_say(&message, "%s", node_failed(node));
            code = main_complain(&message, EXIT_FILES);
        }
        LOG_LINE(log, CONFIG_LOG_INFO, "main", "ending",
                 {.name = "code", .number = (unsigned)code});
    }
    unlink(path);
    api_stop(api);
    return code;
}

static int main_run(const struct config *config)
{
    struct app_message message;
    struct log log;
    static struct signals signals; /* its thread waits until the process is no more */
    struct node *node = NULL;
    int code = EXIT_CONFIG;
    log_init(&log, config->log_level, config->log_format);
    if (!signals_start(&signals))
        return EXIT_FILES;
    if (mkdir(config->data_dir, 0700) != 0 && errno != EEXIST) {
        app_say(&message, "%s: %m", config->data_dir);
        return main_complain(&message, EXIT_FILES);
    }
    if (!node_new(config, &log, &node, &message, &code))
        return main_complain(&message, code);
    if (!node_start(node, &message)) {
        node_free(node);
        return main_complain(&message, EXIT_FILES);
    }
    code = main_serve(config, &log, node, &signals);
    node_stop(node);
    node_free(node);
    LOG_LINE(&log, CONFIG_LOG_INFO, "main", "ended", {.name = "code", .number = (unsigned)code});
    return code;
}

/* What is wrong with the command line itself starts with the flag or names the help. */
static bool main_is_usage(const struct app_message *message)
{
    return strncmp(message->text, "--", 2) == 0 || strstr(message->text, "ternd --help") != NULL;
}

int main(int argc, char **argv)
{
    struct config config;
    struct app_message message;
    enum config_action action;
    int code = EXIT_SUCCESS;
    config_init(&config);
    if (!config_parse(&config, argc, argv, &action, &message)) {
        config_free(&config);
        return main_complain(&message, main_is_usage(&message) ? EXIT_USAGE : EXIT_CONFIG);
    }
    switch (action) {
    case CONFIG_RUN:
        code = main_run(&config);
        break;
    case CONFIG_PRINT:
        config_print(&config);
        break;
    case CONFIG_CHECK:
        printf("the settings are fine\n");
        break;
    case CONFIG_LIMITS:
        config_print_limits(&config);
        break;
    case CONFIG_HELP:
        config_print_help();
        break;
    case CONFIG_VERSION:
        printf("ternd %s\n", TERN_VERSION);
        break;
    }
    config_free(&config);
    return code;
}
