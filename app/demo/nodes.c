#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/demo/demo.h"

enum { NODES_START_MS = 30000, NODES_STOP_MS = 15000, NODES_POLL_MS = 20 };

/* How the nodes may connect: names as in ternd's configuration, what is shorter, and where they
 * listen. */
static const struct {
    const char *name, *alias, *listen;
} nodes_ways[] = {
    {"tcp", "tcp", "/ip4/127.0.0.1/tcp/0"},
    {"ws", "websocket", "/ip4/127.0.0.1/tcp/0/ws"},
    {"quic-v1", "quic", "/ip4/127.0.0.1/udp/0/quic-v1"},
    {"webtransport", "webtransport", "/ip4/127.0.0.1/udp/0/quic-v1/webtransport"},
    {"webrtc-direct", "webrtc", "/ip4/127.0.0.1/udp/0/webrtc-direct"},
};

const char *nodes_transport(const char *name)
{
    for (size_t i = 0; i < TERN_COUNT_OF(nodes_ways); i++)
        if (strcmp(name, nodes_ways[i].name) == 0 || strcmp(name, nodes_ways[i].alias) == 0)
            return nodes_ways[i].name;
    return NULL;
}

void nodes_transports(char *text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < TERN_COUNT_OF(nodes_ways) && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i == 0 ? "" : ", ",
                                 nodes_ways[i].name);
}

static const char *nodes_listen(const char *transport)
{
    size_t i = 0;
    while (strcmp(nodes_ways[i].name, transport) != 0)
        i++;
    return nodes_ways[i].listen;
}

bool nodes_init(struct demo_nodes *nodes, const struct demo_options *options,
                struct app_message *message)
{
    const char *tmp = getenv("TMPDIR");
    *nodes = (struct demo_nodes){.count = options->nodes, .transport = options->transport};
    if (options->dir != NULL) {
        snprintf(nodes->dir, sizeof nodes->dir, "%s", options->dir);
        if (mkdir(nodes->dir, 0700) != 0)
            return app_say(message, "--dir %s: %m (a new folder is wanted)", nodes->dir);
    } else {
        snprintf(nodes->dir, sizeof nodes->dir, "%s/tern-run.XXXXXX",
                 tmp == NULL || tmp[0] == '\0' ? "/tmp" : tmp);
        if (mkdtemp(nodes->dir) == NULL)
            return app_say(message, "%s: %m", nodes->dir);
    }
    nodes->dir_is_ours = true;
    for (size_t i = 0; i < nodes->count; i++) {
        int n = snprintf(nodes->all[i].dir, DEMO_PATH_SIZE, "%s/node%zu", nodes->dir, i + 1);
        if (n < 0 || n >= DEMO_PATH_SIZE || mkdir(nodes->all[i].dir, 0700) != 0)
            return app_say(message, "%s/node%zu: %m", nodes->dir, i + 1);
    }
    return true;
}

static bool nodes_write_config(const struct demo_nodes *nodes, size_t index,
                               struct app_message *message)
{
    char path[DEMO_PATH_SIZE + 32];
    char text[DEMO_PATH_SIZE + DEMO_NODES_MAX * 600];
    size_t size = 0;
    int n = snprintf(text, sizeof text,
                     "data_dir: .\n"
                     "genesis: ../genesis.json\n"
                     "network:\n"
                     "  listen: [%s]\n"
                     "  transports: [%s]\n"
                     "  peers_want: %zu\n"
                     "  bootstrap: [",
                     nodes_listen(nodes->transport), nodes->transport, nodes->count - 1);
    size = (size_t)n;
    for (size_t i = 0; i < index; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s\"%s\"", i == 0 ? "" : ", ",
                                 nodes->all[i].address);
    snprintf(text + size, sizeof text - size,
             "]\nstore:\n  size_mib: 1024\napi:\n  address: 127.0.0.1:0\n");
    snprintf(path, sizeof path, "%s/ternd.yaml", nodes->all[index].dir);
    return app_write_file(path, text, 0644, message);
}

/* In a process group of its own, so that Ctrl-C reaches us alone; it ends when we do, however we
 * do. */
static void nodes_become(const struct demo_node *node, const char *ternd, pid_t parent)
{
    char config[DEMO_PATH_SIZE + 32];
    char log[DEMO_PATH_SIZE + 32];
    sigset_t none;
    snprintf(config, sizeof config, "%s/ternd.yaml", node->dir);
    snprintf(log, sizeof log, "%s/ternd.log", node->dir);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
        _exit(74);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(0);
    execl(ternd, ternd, "--config", config, (char *)NULL);
    fprintf(stderr, "%s: %s\n", ternd, strerror(errno));
    _exit(127);
}

static bool nodes_read_place(struct demo_node *node)
{
    char path[DEMO_PATH_SIZE + 32];
    struct app_message message;
    snprintf(path, sizeof path, "%s/ternd.json", node->dir);
    if (!app_find_api(node->dir, node->api, &message))
        return false;
    json_t *json = json_load_file(path, 0, NULL);
    const char *address = json_string_value(json_array_get(json_object_get(json, "addresses"), 0));
    const char *id = json_string_value(json_object_get(json, "peer_id"));
    bool fine = address != NULL && id != NULL;
    if (fine)
        snprintf(node->address, sizeof node->address, "%s%s%s", address,
                 strstr(address, "/p2p/") == NULL ? "/p2p/" : "",
                 strstr(address, "/p2p/") == NULL ? id : "");
    json_decref(json);
    return fine;
}

static bool nodes_reap(struct demo_node *node)
{
    int status = 0;
    if (node->pid == 0)
        return true;
    if (waitpid(node->pid, &status, WNOHANG) != node->pid)
        return false;
    node->pid = 0;
    node->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

static bool nodes_say_gone(const struct demo_node *node, struct app_message *message)
{
    return app_say(message, "a node ended with code %d; its log is %s/ternd.log", node->exit_status,
                   node->dir);
}

static bool nodes_start_one(struct demo_nodes *nodes, size_t index, const char *ternd,
                            struct app_message *message)
{
    struct demo_node *node = &nodes->all[index];
    uint64_t until = demo_now_ms() + NODES_START_MS;
    pid_t parent = getpid();
    if (!nodes_write_config(nodes, index, message))
        return false;
    node->pid = fork();
    if (node->pid < 0)
        return app_say(message, "a process cannot be started: %m");
    if (node->pid == 0)
        nodes_become(node, ternd, parent);
    while (!nodes_read_place(node)) {
        if (nodes_reap(node))
            return nodes_say_gone(node, message);
        if (demo_told_to_end())
            return app_say(message, "told to end while starting");
        if (demo_now_ms() > until)
            return app_say(message, "a node is not ready after %d s; its log is %s/ternd.log",
                           NODES_START_MS / 1000, node->dir);
        demo_sleep_ms(NODES_POLL_MS);
    }
    return true;
}

bool nodes_start(struct demo_nodes *nodes, const struct demo_options *options,
                 struct app_message *message)
{
    for (size_t i = 0; i < nodes->count; i++)
        if (!nodes_start_one(nodes, i, options->ternd, message))
            return false;
    return true;
}

bool nodes_check(struct demo_nodes *nodes, struct app_message *message)
{
    for (size_t i = 0; i < nodes->count; i++)
        if (nodes_reap(&nodes->all[i]))
            return nodes_say_gone(&nodes->all[i], message);
    return true;
}

static size_t nodes_running(struct demo_nodes *nodes)
{
    size_t running = 0;
    for (size_t i = 0; i < nodes->count; i++)
        running += !nodes_reap(&nodes->all[i]);
    return running;
}

bool nodes_stop(struct demo_nodes *nodes, struct app_message *message)
{
    uint64_t until = demo_now_ms() + NODES_STOP_MS;
    for (size_t i = 0; i < nodes->count; i++)
        if (nodes->all[i].pid > 0)
            kill(nodes->all[i].pid, SIGTERM);
    while (nodes_running(nodes) > 0 && demo_now_ms() < until)
        demo_sleep_ms(NODES_POLL_MS);
    bool fine = true;
    for (size_t i = 0; i < nodes->count; i++) {
        struct demo_node *node = &nodes->all[i];
        if (node->pid > 0) {
            kill(node->pid, SIGKILL);
            waitpid(node->pid, NULL, 0);
            node->pid = 0;
            fine = app_say(message, "a node did not end within %d s; its log is %s/ternd.log",
                           NODES_STOP_MS / 1000, node->dir);
        } else if (node->exit_status != 0) {
            fine = nodes_say_gone(node, message);
        }
    }
    return fine;
}

static int nodes_remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

void nodes_remove(const struct demo_nodes *nodes)
{
    if (nodes->dir_is_ours)
        nftw(nodes->dir, nodes_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
