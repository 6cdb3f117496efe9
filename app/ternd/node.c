/*
 * Making, running and ending the node.
 *
 *     new: genesis, key, store, core ──► start: loop, network thread ──► stop: connections closed,
 * all stored
 */
#include <stdlib.h>
#include <time.h>

#include "app/ternd/node_private.h"
#include "crypto/aead.h"
#include "crypto/secret.h"
#include "crypto/start.h"
#include "host/ways.h"
#include "runtime/real/keyfile.h"

enum {
    NODE_EXIT_FILES = 74,
    NODE_EXIT_KEY = 77,
    NODE_EXIT_CONFIG = 78,
    NODE_STOP_MS = 5000,
    NODE_STOP_POLL_MS = 20,
};

/* --- the machine: the core's, with our own store requests beside it --- */

static void node_log_address(const struct node *node, const struct tern_node_event *event)
{
    char text[NODE_ADDRESS_SIZE];
    struct tern_writer w = tern_writer_of(text, sizeof text);
    bool fine = tern_multiaddr_format(tern_multiaddr_view(&event->address), &w) == TERN_OK &&
                tern_writer_terminate(&w);
    if (event->kind == TERN_NODE_LISTENING)
        LOG_LINE(node->log, CONFIG_LOG_INFO, "net", "listening",
                 {.name = "address", .text = fine ? text : "?"});
    else
        LOG_LINE(node->log, CONFIG_LOG_ERROR, "net", "cannot listen",
                 {.name = "address", .text = fine ? text : "?"},
                 {.name = "error", .text = tern_err_text(event->err)});
}

static void node_log_peer(const struct node *node, const struct tern_node_event *event)
{
    char text[NODE_PEER_SIZE];
    struct tern_writer w = tern_writer_of(text, sizeof text);
    tern_peer_id_format(&event->peer_id, &w);
    tern_writer_terminate(&w);
    LOG_LINE(node->log, CONFIG_LOG_INFO, "net",
             event->kind == TERN_NODE_PEER_UP ? "peer connected" : "peer gone",
             {.name = "peer", .text = text});
}

static void node_log_block(const struct node *node, const struct tern_node_event *event,
                           enum config_log_level level, const char *what)
{
    char hash[APP_HEX_HASH_SIZE];
    app_hex(event->hash.bytes, TERN_HASH_SIZE, hash);
    LOG_LINE(node->log, level, "chain", what, {.name = "height", .number = event->height},
             {.name = "hash", .text = hash}, {.name = "undone", .number = event->undone_count},
             {.name = "trades", .number = event->trades_count});
}

static void node_on_answer(struct node *node, const struct tern_node_event *event)
{
    struct node_call *call = node_call_find(node, event->tag);
    if (call != NULL)
        node_answer(call, event);
}

static void node_on_event(struct node *node, const struct tern_node_event *event)
{
    switch (event->kind) {
    case TERN_NODE_READY:
        node_log_block(node, event, CONFIG_LOG_INFO, "loaded");
        return;
    case TERN_NODE_HEAD:
        node->reorganisations += event->undone_count > 0;
        node_log_block(node, event, CONFIG_LOG_INFO, "head");
        return;
    case TERN_NODE_PROPOSED:
        node_log_block(node, event, CONFIG_LOG_INFO, "proposed");
        return;
    case TERN_NODE_EQUIVOCATION:
        node_log_block(node, event, CONFIG_LOG_WARN, "a proposer made two blocks in one turn");
        return;
    case TERN_NODE_TX:
    case TERN_NODE_BLOCK:
    case TERN_NODE_VALIDATED:
        node_on_answer(node, event);
        return;
    case TERN_NODE_LISTEN_FAILED:
        atomic_store(&node->failure, "an address of network.listen cannot be had; see the log");
        node_log_address(node, event);
        return;
    case TERN_NODE_LISTENING:
        node_log_address(node, event);
        return;
    case TERN_NODE_PEER_UP:
    case TERN_NODE_PEER_DOWN:
        node_log_peer(node, event);
        return;
    case TERN_NODE_FAILED:
        LOG_LINE(node->log, CONFIG_LOG_ERROR, "chain", "stopped",
                 {.name = "error", .text = tern_err_text(event->err)},
                 {.name = "reason", .text = event->text});
        atomic_store(&node->failure, event->text == NULL ? "the chain has stopped" : event->text);
        return;
    case TERN_NODE_CONFIRMED:
    case TERN_NODE_DIAL_DONE:
    case TERN_NODE_PING:
        return;
    }
}

static void node_drain(struct node *node)
{
    struct tern_node_event event;
    while (tern_node_next(node->core, &event))
        node_on_event(node, &event);
}

static void node_input(void *self, tern_time now, const struct tern_input *in)
{
    struct node *node = self;
    if (in->kind == TERN_INPUT_STORED && in->request->owner_kind == NODE_OWNER) {
        node_store_done(in->request);
        return;
    }
    tern_node_ops.input(node->core, now, in);
    node_drain(node);
}

static bool node_next_command(void *self, struct tern_command *command)
{
    struct node *node = self;
    node_drain(node); /* of what calls have set off */
    if (tern_list_empty(&node->asking))
        return tern_node_ops.next_command(node->core, command);
    struct tern_list *link = tern_list_front(&node->asking);
    tern_list_remove(link);
    *command =
        (struct tern_command){.kind = TERN_COMMAND_STORE,
                              .request = TERN_CONTAINER_OF(link, struct tern_store_request, link)};
    return true;
}

static void node_transmit(void *self, tern_time now, tern_link_id link, struct tern_writer *out)
{
    struct node *node = self;
    tern_node_ops.transmit(node->core, now, link, out);
}

static bool node_datagrams(void *self, tern_time now, tern_link_id socket,
                           struct tern_datagrams_out *out)
{
    struct node *node = self;
    return tern_node_ops.datagrams(node->core, now, socket, out);
}

static tern_time node_deadline(void *self)
{
    struct node *node = self;
    return tern_node_ops.deadline(node->core);
}

static const struct tern_machine_ops node_machine_ops = {.input = node_input,
                                                         .next_command = node_next_command,
                                                         .transmit = node_transmit,
                                                         .datagrams = node_datagrams,
                                                         .deadline = node_deadline};

/* --- making --- */

struct node_making {
    struct app_message *message;
    int *exit_code;
};

static bool node_fail(const struct node_making *making, int code, const char *text)
{
    *making->exit_code = code;
    return app_say(making->message, "%s", text);
}

static bool node_load_key(struct node *node, struct tern_random *random,
                          const struct node_making *making)
{
    char path[4096];
    char text[512] = "";
    const struct config *config = node->config;
    int n = config->key_file != NULL ? snprintf(path, sizeof path, "%s", config->key_file)
                                     : snprintf(path, sizeof path, "%s/key", config->data_dir);
    if (n < 0 || (size_t)n >= sizeof path)
        return node_fail(making, NODE_EXIT_CONFIG, "the key file's path is too long");
    tern_err err = tern_keyfile_load(
        &(struct tern_keyfile_options){.path = path, .type = TERN_KEY_ED25519, .random = random},
        &node->key, text, sizeof text);
    if (err == TERN_OK)
        return true;
    return node_fail(making, err == TERN_ERR_GATED ? NODE_EXIT_KEY : NODE_EXIT_FILES, text);
}

static bool node_load_web(struct node *node, const struct node_making *making)
{
    char text[512] = "";
    const struct tern_webfile_options files = {.certificate = node->config->web_certificate,
                                               .key = node->config->web_key,
                                               .trust = node->config->web_trust};
    tern_err err = tern_webfile_load(&files, &node->web, text, sizeof text);
    node->web_ready = err == TERN_OK;
    if (err == TERN_OK)
        return true;
    return node_fail(making, err == TERN_ERR_IO ? NODE_EXIT_FILES : NODE_EXIT_CONFIG, text);
}

static bool node_load_psk(struct node *node, const struct node_making *making)
{
    uint8_t bytes[TERN_PNET_FILE_SIZE_MAX];
    char text[512] = "";
    const char *path = node->config->private_network_key;
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    if (path == NULL)
        return true;
    tern_err err = tern_keyfile_read(path, &w, text, sizeof text);
    if (err == TERN_OK) {
        err = tern_pnet_key_parse(tern_writer_view(&w), &node->psk);
        if (err != TERN_OK)
            snprintf(text, sizeof text, "%.400s: no private network's key: %s", path,
                     tern_err_text(err));
    }
    tern_secret_wipe(bytes, sizeof bytes);
    if (err == TERN_OK)
        return true;
    int code = err == TERN_ERR_GATED ? NODE_EXIT_KEY
               : err == TERN_ERR_IO  ? NODE_EXIT_FILES
                                     : NODE_EXIT_CONFIG;
    return node_fail(making, code, text);
}

static bool node_open_store(struct node *node, const struct node_making *making)
{
    char path[4096];
    char text[512] = "";
    int n = snprintf(path, sizeof path, "%s/store", node->config->data_dir);
    if (n < 0 || (size_t)n >= sizeof path)
        return node_fail(making, NODE_EXIT_CONFIG, "the data folder's path is too long");
    tern_err err = tern_store_lmdb_open(
        &(struct tern_store_lmdb_options){
            .path = path, .map_size_bytes = (size_t)node->config->store_size_mib << 20},
        &node->store, text, sizeof text);
    return err == TERN_OK || node_fail(making, NODE_EXIT_FILES, text);
}

/* What config_check has judged before. */
static tern_err node_set_ways(const struct config *config, struct tern_host_core_options *host)
{
    char transports[CONFIG_LIST_TEXT_MAX];
    char secure[CONFIG_LIST_TEXT_MAX];
    char muxers[CONFIG_LIST_TEXT_MAX];
    struct tern_writer none = {.capacity = 0};
    const struct tern_ways ways = {.transports = config_list_text(&config->transports, transports),
                                   .secure = config_list_text(&config->secure, secure),
                                   .muxers = config_list_text(&config->muxers, muxers)};
    host->serve_perf = config->perf;
    tern_ways_all(&host->swarm);
    return tern_ways_apply(&ways, &host->swarm, &none);
}

static bool node_make_core(struct node *node, struct tern_random *random,
                           const struct node_making *making)
{
    struct tern_node_options options;
    tern_node_options_defaults(&options);
    options.genesis = &node->genesis.genesis;
    options.persistent = true;
    options.follow = !node->config->propose;
    options.host.mem = &node->mem;
    tern_random_bytes(random, options.host.seed, sizeof options.host.seed);
    options.host.trace = node->config->log_level >= CONFIG_LOG_DEBUG ? &node->trace : NULL;
    options.host.identity = &node->key;
    options.host.agent = "ternd/0.1.0";
    options.host.peers_want = (uint32_t)node->config->peers_want;
    tern_swarm_limits_profile(&options.host.swarm.limits, node->config->profile);
    options.host.swarm.slow_aes = !tern_aead_has_fast_aes();
    options.host.swarm.web = node->web_ready ? &node->web : NULL;
    options.host.swarm.psk = node->config->private_network_key == NULL ? NULL : &node->psk;
    tern_err err = node_set_ways(node->config, &options.host);
    if (err == TERN_OK)
        err = tern_node_new(&options, tern_loop_now(), &node->core);
    return err == TERN_OK || node_fail(making, NODE_EXIT_FILES, tern_err_text(err));
}

/* Why an address cannot be listened at. */
static const char *node_listen_problem(const struct node *node,
                                       const struct tern_multiaddr *address, tern_err err)
{
    struct tern_route route;
    if (err == TERN_ERR_UNSUPPORTED && node->config->private_network_key != NULL &&
        tern_route_of_listen(tern_multiaddr_view(address), &route) == TERN_OK &&
        tern_transport_on_udp(route.transport))
        return TERN_DIAL_OUTSIDE_NETWORK;
    return tern_err_text(err);
}

/* What config_check has parsed before is parsed again here. */
static bool node_addresses(struct node *node, const struct node_making *making)
{
    struct tern_multiaddr address;
    struct tern_host_core *host = tern_node_host(node->core);
    for (size_t i = 0; i < node->config->listen.count; i++) {
        tern_err err =
            tern_multiaddr_parse(tern_view_str(node->config->listen.items[i]), &address, NULL);
        if (err == TERN_OK)
            err = tern_swarm_listen(tern_host_core_swarm(host), &address);
        if (err != TERN_OK) {
            *making->exit_code = NODE_EXIT_CONFIG;
            return app_say(making->message, "network.listen: %.200s: %s",
                           node->config->listen.items[i], node_listen_problem(node, &address, err));
        }
    }
    for (size_t i = 0; i < node->config->bootstrap.count; i++) {
        const char *text = node->config->bootstrap.items[i];
        tern_err err = tern_multiaddr_parse(tern_view_str(text), &address, NULL);
        if (err == TERN_OK)
            err = tern_host_core_bootstrap(host, tern_loop_now(), &address);
        /* An old address of this very node among the bootstrap ones is common, and harmless. */
        if (err != TERN_OK && err != TERN_ERR_SELF) {
            *making->exit_code = NODE_EXIT_CONFIG;
            return app_say(making->message, "network.bootstrap: %.200s: %s", text,
                           tern_err_text(err));
        }
    }
    return true;
}

static bool node_build(struct node *node, const struct node_making *making)
{
    uint8_t seed[TERN_RANDOM_SEED_SIZE];
    struct tern_random random;
    if (!app_genesis_load(node->config->genesis, &node->genesis, making->message)) {
        *making->exit_code = NODE_EXIT_CONFIG;
        return false;
    }
    if (tern_crypto_start() != TERN_OK || tern_loop_entropy(seed, sizeof seed) != TERN_OK)
        return node_fail(making, NODE_EXIT_FILES, "the system gives no entropy");
    tern_random_init(&random, seed);
    tern_secret_wipe(seed, sizeof seed);
    return node_load_key(node, &random, making) && node_load_psk(node, making) &&
           node_load_web(node, making) && node_open_store(node, making) &&
           node_make_core(node, &random, making) && node_addresses(node, making);
}

bool node_new(const struct config *config, struct log *log, struct node **out,
              struct app_message *message, int *exit_code)
{
    struct node *node = app_alloc(1, sizeof *node);
    node->config = config;
    node->log = log;
    node->trace = (struct tern_trace){.sink = log_trace, .context = log};
    tern_list_init(&node->pending);
    tern_list_init(&node->asking);
    tern_mem_init(&node->mem, 0);
    if (!node_build(node, &(struct node_making){.message = message, .exit_code = exit_code})) {
        node_free(node);
        return false;
    }
    *out = node;
    return true;
}

/* --- running --- */

static void *node_run(void *context)
{
    struct node *node = context;
    tern_loop_run(node->loop);
    return NULL;
}

bool node_start(struct node *node, struct app_message *message)
{
    tern_err err = tern_loop_new(
        &(struct tern_loop_options){.mem = &node->mem,
                                    .machine = {.ops = &node_machine_ops, .self = node},
                                    .store = &tern_store_lmdb_ops,
                                    .store_self = node->store},
        &node->loop);
    if (err != TERN_OK)
        return app_say(message, "the event loop: %s", tern_err_text(err));
    node->store = NULL;
    node->started_at = tern_loop_now();
    node->running = pthread_create(&node->thread, NULL, node_run, node) == 0;
    return node->running || app_say(message, "the network thread cannot be started");
}

const char *node_failed(const struct node *node)
{
    return atomic_load(&node->failure);
}

/* --- ending --- */

static void stop_begin(struct node_call *call)
{
    tern_node_shutdown(call->node->core, tern_loop_now());
    node_call_done(call, TERN_OK);
}

static void stop_look(struct node_call *call)
{
    bool *down = call->out;
    *down = tern_node_is_down(call->node->core);
    node_call_done(call, TERN_OK);
}

void node_stop(struct node *node)
{
    bool down = false;
    tern_time until = tern_loop_now() + NODE_STOP_MS * TERN_MILLISECOND;
    if (!node->running)
        return;
    const struct node_question begin = {.begin = stop_begin, .wait_ms = NODE_STOP_MS};
    const struct node_question look = {
        .begin = stop_look, .out = &down, .out_size = sizeof down, .wait_ms = NODE_STOP_MS};
    tern_err err = node_ask(node, &begin);
    while (err == TERN_OK && !down && tern_loop_now() < until) {
        err = node_ask(node, &look);
        if (!down)
            nanosleep(&(struct timespec){.tv_nsec = NODE_STOP_POLL_MS * 1000000L}, NULL);
    }
    if (!down)
        LOG_LINE(node->log, CONFIG_LOG_WARN, "main", "peers or store did not end in time");
    tern_loop_stop(node->loop);
    pthread_join(node->thread, NULL);
    node->running = false;
}

void node_free(struct node *node)
{
    if (node->loop != NULL)
        tern_loop_free(node->loop);
    else if (node->store != NULL)
        tern_store_lmdb_ops.close(node->store);
    node_calls_end(node, TERN_ERR_CLOSED); /* whose askers have given up */
    if (node->core != NULL)
        tern_node_free(node->core);
    tern_private_key_fini(&node->key);
    tern_secret_wipe(&node->psk, sizeof node->psk);
    if (node->web_ready)
        tern_web_tls_fini(&node->web);
    app_genesis_free(&node->genesis);
    tern_mem_trim(&node->mem);
    tern_mem_fini(&node->mem);
    free(node);
}
