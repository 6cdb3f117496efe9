/*
 * Hosts of the public API: making, running, freeing.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/secret.h"
#include "crypto/start.h"
#include "host/ways.h"
#include "libtern/host_private.h"
#include "runtime/real/keyfile.h"
#include "runtime/real/store_lmdb.h"

/* --- the machine: the core's, under the lock ---
 *
 * The time is read again once the lock is held: a call on another thread may have come in between
 * with a later one, and time never goes back. */

static void host_input(void *self, tern_time now, const struct tern_input *in)
{
    struct tern_host *host = self;
    (void)now;
    pthread_mutex_lock(&host->lock);
    tern_host_core_ops.input(host->core, tern_loop_now(), in);
    pthread_mutex_unlock(&host->lock);
}

/* With the last command of a round whoever waits for events is woken. */
static bool host_next_command(void *self, struct tern_command *command)
{
    struct tern_host *host = self;
    pthread_mutex_lock(&host->lock);
    bool more = tern_host_core_ops.next_command(host->core, command);
    if (!more && host->waiting)
        pthread_cond_signal(&host->news);
    pthread_mutex_unlock(&host->lock);
    return more;
}

static void host_transmit(void *self, tern_time now, tern_link_id link, struct tern_writer *out)
{
    struct tern_host *host = self;
    (void)now;
    pthread_mutex_lock(&host->lock);
    tern_host_core_ops.transmit(host->core, tern_loop_now(), link, out);
    pthread_mutex_unlock(&host->lock);
}

static bool host_datagrams(void *self, tern_time now, tern_link_id socket,
                           struct tern_datagrams_out *out)
{
    struct tern_host *host = self;
    (void)now;
    pthread_mutex_lock(&host->lock);
    bool any = tern_host_core_ops.datagrams(host->core, tern_loop_now(), socket, out);
    pthread_mutex_unlock(&host->lock);
    return any;
}

static tern_time host_deadline(void *self)
{
    struct tern_host *host = self;
    pthread_mutex_lock(&host->lock);
    tern_time deadline = tern_host_core_ops.deadline(host->core);
    pthread_mutex_unlock(&host->lock);
    return deadline;
}

static const struct tern_machine_ops host_machine_ops = {.input = host_input,
                                                         .next_command = host_next_command,
                                                         .transmit = host_transmit,
                                                         .datagrams = host_datagrams,
                                                         .deadline = host_deadline};

tern_time host_enter(struct tern_host *host)
{
    pthread_mutex_lock(&host->lock);
    return tern_loop_now();
}

void host_leave(struct tern_host *host, tern_time now)
{
    tern_host_core_flush(host->core, now);
    pthread_mutex_unlock(&host->lock);
    tern_loop_kick(host->loop);
}

/* --- making --- */

/* A program built against an older header has a smaller struct, one built against a newer header a
 * larger one; what this library does not know stays zero. */
void tern_host_options_init_sized(struct tern_host_options *options, size_t size)
{
    const struct tern_host_options defaults = {.size = tern_min_size(size, sizeof defaults),
                                               .key_kind = TERN_KEY_KIND_ED25519,
                                               .profile = TERN_PROFILE_KIND_DEFAULT,
                                               .pubsub_signing = TERN_SIGNING_STRICT};
    TERN_CHECK(size >= sizeof defaults.size);
    memset(options, 0, size);
    memcpy(options, &defaults, defaults.size);
}

static tern_err host_key_type(enum tern_key_kind kind, enum tern_key_type *type)
{
    static const enum tern_key_type types[] = {
        [TERN_KEY_KIND_ED25519] = TERN_KEY_ED25519,
        [TERN_KEY_KIND_SECP256K1] = TERN_KEY_SECP256K1,
        [TERN_KEY_KIND_ECDSA] = TERN_KEY_ECDSA,
        [TERN_KEY_KIND_RSA] = TERN_KEY_RSA,
    };
    if ((unsigned)kind >= TERN_COUNT_OF(types))
        return TERN_ERR_INVALID;
    *type = types[kind];
    return TERN_OK;
}

struct host_message {
    char *text;
    size_t size;
};

static tern_err host_say(struct host_message *message, tern_err err, const char *text)
{
    if (message->text != NULL && message->size > 0)
        snprintf(message->text, message->size, "%s: %s", text, tern_err_text(err));
    return err;
}

static tern_err host_make_key(struct tern_host *host, const struct tern_host_options *options,
                              struct tern_random *random, struct host_message *message)
{
    enum tern_key_type type;
    if (host_key_type(options->key_kind, &type) != TERN_OK)
        return host_say(message, TERN_ERR_INVALID, "key_kind");
    tern_err err = TERN_OK;
    if (options->private_key != NULL) {
        err = tern_private_key_decode(tern_view_of(options->private_key, options->private_key_size),
                                      &host->key);
        return err == TERN_OK ? TERN_OK : host_say(message, TERN_ERR_BAD_KEY, "private_key");
    }
    if (options->key_file != NULL)
        return tern_keyfile_load(&(struct tern_keyfile_options){.path = options->key_file,
                                                                .type = type,
                                                                .random = random},
                                 &host->key, message->text, message->size);
    err = tern_private_key_make(type, random, &host->key);
    return err == TERN_OK ? TERN_OK : host_say(message, err, "making a key");
}

/* Which transports, secure channels and muxers, and whether perf is served. */
static tern_err host_set_ways(const struct tern_host_options *options,
                              struct tern_host_core_options *core, struct host_message *message)
{
    const struct tern_ways ways = {
        .transports = options->transports, .secure = options->secure, .muxers = options->muxers};
    struct tern_writer w = tern_writer_of(message->text, message->text == NULL ? 0 : message->size);
    if ((unsigned)options->serve_perf > TERN_PERF_SERVING_HEADER16)
        return host_say(message, TERN_ERR_INVALID, "serve_perf");
    core->serve_perf = options->serve_perf != TERN_PERF_SERVING_NONE;
    core->perf_header = options->serve_perf == TERN_PERF_SERVING_HEADER16 ? TERN_PERF_HEADER_16
                                                                          : TERN_PERF_HEADER_8;
    tern_ways_all(&core->swarm);
    tern_err err = tern_ways_apply(&ways, &core->swarm, &w);
    if (err != TERN_OK && w.capacity > 0)
        (void)tern_writer_terminate(&w); /* cut when it is too long */
    return err;
}

static tern_err host_set_network(struct tern_host *host, const struct tern_host_options *options,
                                 struct tern_host_core_options *core, struct host_message *message)
{
    if (options->psk == NULL)
        return TERN_OK;
    tern_err err = tern_pnet_key_parse(tern_view_of(options->psk, options->psk_size), &host->psk);
    if (err != TERN_OK)
        return host_say(message, TERN_ERR_MALFORMED, "psk is no private network's key file");
    core->swarm.psk = &host->psk;
    return TERN_OK;
}

/* Certificates are read when secure WebSocket may be used: by default it may be dialled. */
static tern_err host_set_web(struct tern_host *host, const struct tern_host_options *options,
                             struct tern_host_core_options *core, struct host_message *message)
{
    const struct tern_webfile_options files = {.certificate = options->web_certificate_file,
                                               .key = options->web_key_file,
                                               .trust = options->web_trust_file};
    if (!(core->swarm.transports & TERN_TRANSPORT_BIT(TERN_TRANSPORT_WSS)))
        return TERN_OK;
    TERN_TRY(tern_webfile_load(&files, &host->web, message->text, message->size));
    host->web_ready = true;
    core->swarm.web = &host->web;
    return TERN_OK;
}

static tern_err host_make_core(struct tern_host *host, const struct tern_host_options *options,
                               struct tern_random *random, struct host_message *message)
{
    static const enum tern_swarm_profile profiles[] = {
        [TERN_PROFILE_KIND_METER] = TERN_PROFILE_METER,
        [TERN_PROFILE_KIND_DEFAULT] = TERN_PROFILE_DEFAULT,
        [TERN_PROFILE_KIND_SERVER] = TERN_PROFILE_SERVER,
    };
    struct tern_host_core_options core;
    if ((unsigned)options->profile >= TERN_COUNT_OF(profiles))
        return host_say(message, TERN_ERR_INVALID, "profile");
    tern_host_core_options_defaults(&core);
    TERN_TRY(host_set_ways(options, &core, message));
    TERN_TRY(host_set_network(host, options, &core, message));
    TERN_TRY(host_set_web(host, options, &core, message));
    core.mem = &host->mem;
    tern_random_bytes(random, core.seed, sizeof core.seed);
    core.identity = &host->key;
    core.peers_want = options->peers_want;
    core.gossip_policy = options->pubsub_signing == TERN_SIGNING_NONE ? TERN_GOSSIP_STRICT_NO_SIGN
                                                                      : TERN_GOSSIP_STRICT_SIGN;
    if (options->agent != NULL)
        core.agent = host_keep_name(host, options->agent);
    tern_swarm_limits_profile(&core.swarm.limits, profiles[options->profile]);
    core.swarm.slow_aes = !tern_aead_has_fast_aes();
    core.swarm.book_saved = options->store_path != NULL;
    core.swarm.book_space = HOST_BOOK_SPACE;
    tern_err err = tern_host_core_new(&core, tern_loop_now(), &host->core);
    return err == TERN_OK ? TERN_OK : host_say(message, err, "the host");
}

static tern_err host_make_loop(struct tern_host *host, const struct tern_host_options *options,
                               struct host_message *message)
{
    struct tern_loop_options loop = {.mem = &host->mem,
                                     .machine = {.ops = &host_machine_ops, .self = host}};
    struct tern_store_lmdb *store = NULL;
    if (options->store_path != NULL) {
        TERN_TRY(
            tern_store_lmdb_open(&(struct tern_store_lmdb_options){.path = options->store_path},
                                 &store, message->text, message->size));
        loop.store = &tern_store_lmdb_ops;
        loop.store_self = store;
    }
    tern_err err = tern_loop_new(&loop, &host->loop);
    if (err == TERN_OK)
        return TERN_OK;
    if (store != NULL)
        tern_store_lmdb_ops.close(store);
    return host_say(message, err, "the event loop");
}

static tern_err host_build(struct tern_host *host, const struct tern_host_options *options,
                           struct host_message *message)
{
    uint8_t seed[TERN_RANDOM_SEED_SIZE];
    struct tern_random random;
    if (tern_crypto_start() != TERN_OK || tern_loop_entropy(seed, sizeof seed) != TERN_OK)
        return host_say(message, TERN_ERR_IO, "the system's entropy");
    tern_random_init(&random, seed);
    TERN_TRY(host_make_key(host, options, &random, message));
    TERN_TRY(host_make_core(host, options, &random, message));
    host_peer_text(tern_swarm_own_id(tern_host_core_swarm(host->core)), host->peer_id);
    return host_make_loop(host, options, message);
}

tern_err tern_host_new(const struct tern_host_options *given, struct tern_host **out, char *text,
                       size_t text_size)
{
    struct tern_host_options options;
    struct host_message message = {.text = text, .size = text_size};
    /* A program built against an older header knows fewer members; the rest are as init has them.
     */
    if (given->size < sizeof given->size || given->size > sizeof options)
        return host_say(&message, TERN_ERR_INVALID,
                        "options.size (call tern_host_options_init first)");
    tern_host_options_init(&options);
    memcpy(&options, given, given->size);
    struct tern_host *host = calloc(1, sizeof *host);
    if (host == NULL)
        return TERN_ERR_MEMORY;
    pthread_mutex_init(&host->lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&host->news, &clock);
    pthread_condattr_destroy(&clock);
    tern_mem_init(&host->mem, 0);
    tern_err err = host_build(host, &options, &message);
    if (err != TERN_OK) {
        tern_host_free(host);
        return err;
    }
    *out = host;
    return TERN_OK;
}

/* --- running ---
 *
 * Writing to a peer that has hung up raises SIGPIPE, which ends a process that does not expect it.
 * That is nothing the program should have to know: the library's thread blocks it for good; in the
 * program's own threads it is blocked while the loop runs, and taken when it came. */

struct host_guard {
    sigset_t pipe;
    sigset_t before;
};

static void host_guard_begin(struct host_guard *guard)
{
    sigemptyset(&guard->pipe);
    sigaddset(&guard->pipe, SIGPIPE);
    int status = pthread_sigmask(SIG_BLOCK, &guard->pipe, &guard->before);
    TERN_CHECK(status == 0);
}

static void host_guard_end(const struct host_guard *guard)
{
    static const struct timespec at_once = {.tv_sec = 0};
    if (sigismember(&guard->before, SIGPIPE) == 1)
        return;                                       /* the program blocks it itself */
    (void)sigtimedwait(&guard->pipe, NULL, &at_once); /* in most cases there is none */
    pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
}

static void *host_thread(void *argument)
{
    struct tern_host *host = argument;
    struct host_guard guard;
    host_guard_begin(&guard);
    tern_loop_run(host->loop);
    return NULL;
}

void host_process(struct tern_host *host)
{
    struct host_guard guard;
    host_guard_begin(&guard);
    tern_loop_process(host->loop);
    host_guard_end(&guard);
}

tern_err tern_host_start(struct tern_host *host)
{
    if (host->started)
        return TERN_ERR_EXISTS;
    if (pthread_create(&host->thread, NULL, host_thread, host) != 0)
        return TERN_ERR_MEMORY;
    host->started = true;
    return TERN_OK;
}

int tern_host_fd(const struct tern_host *host)
{
    return tern_loop_fd(host->loop);
}

int tern_host_timeout_ms(const struct tern_host *host)
{
    return tern_loop_timeout_ms(host->loop);
}

void tern_host_process(struct tern_host *host)
{
    TERN_CHECK(!host->started);
    host_process(host);
}

const char *tern_host_peer_id(const struct tern_host *host)
{
    return host->peer_id;
}

void tern_host_free(struct tern_host *host)
{
    struct host_guard guard;
    if (host == NULL)
        return;
    host_guard_begin(&guard);
    if (host->started) {
        tern_loop_stop(host->loop);
        pthread_join(host->thread, NULL);
    }
    if (host->loop != NULL)
        tern_loop_free(host->loop);
    tern_host_core_free(host->core);
    tern_private_key_fini(&host->key);
    tern_secret_wipe(&host->psk, sizeof host->psk);
    if (host->web_ready)
        tern_web_tls_fini(&host->web);
    for (size_t i = 0; i < host->protocols_count; i++)
        free(host->protocols[i]);
    free(host->event_text);
    tern_mem_trim(&host->mem);
    TERN_CHECK(host->mem.used == 0);
    pthread_cond_destroy(&host->news);
    pthread_mutex_destroy(&host->lock);
    free(host);
    host_guard_end(&guard);
}

/* --- helpers --- */

void host_peer_text(const struct tern_peer_id *id, char text[TERN_PEER_TEXT_SIZE])
{
    struct tern_writer w = tern_writer_of(text, TERN_PEER_TEXT_SIZE);
    if (id->size > 0)
        tern_peer_id_format(id, &w);
    TERN_CHECK(tern_writer_terminate(&w));
}

tern_err host_find_peer(struct tern_host *host, const char *text, tern_peer *peer)
{
    struct tern_peer_id id;
    if (tern_peer_id_parse(tern_view_str(text), &id) != TERN_OK)
        return TERN_ERR_INVALID;
    *peer = tern_swarm_find_peer(tern_host_core_swarm(host->core), &id);
    return *peer == 0 ? TERN_ERR_NOT_FOUND : TERN_OK;
}

const char *host_keep_name(struct tern_host *host, const char *name)
{
    if (host->protocols_count == HOST_PROTOCOLS_MAX)
        return NULL;
    char *copy = strdup(name);
    if (copy != NULL)
        host->protocols[host->protocols_count++] = copy;
    return copy;
}

tern_err host_copy_text(struct tern_view view, char *text, size_t text_size)
{
    if (view.size >= text_size)
        return TERN_ERR_TOO_LARGE;
    if (view.size > 0)
        memcpy(text, view.data, view.size);
    text[view.size] = '\0';
    return TERN_OK;
}
