#include "conn/conn_pair.h"

#include <stdio.h>

#include "base/check.h"

enum { PAIR_EVENTS_MAX = 100000, PAIR_STREAM_MAX = 1 << 16 };

static uint8_t pair_byte(size_t i)
{
    return (uint8_t)(i * 7 + 1);
}

/* --- the log --- */

static const char *const pair_kind_names[CONN_PAIR_KINDS] = {
    [TERN_CONN_JOB] = "job",
    [TERN_CONN_ESTABLISHED] = "established",
    [TERN_CONN_STREAM_OPENED] = "opened",
    [TERN_CONN_STREAM_READY] = "ready",
    [TERN_CONN_STREAM_REFUSED] = "refused",
    [TERN_CONN_STREAM_READABLE] = "readable",
    [TERN_CONN_STREAM_WRITABLE] = "writable",
    [TERN_CONN_STREAM_RESET] = "reset",
    [TERN_CONN_STREAM_CLOSED] = "closed stream",
    [TERN_CONN_STREAM_FAULT] = "stream fault",
    [TERN_CONN_GOAWAY] = "goaway",
    [TERN_CONN_RTT] = "rtt",
    [TERN_CONN_CLOSED] = "closed",
};

static void pair_log(struct conn_end *end, tern_time now, const struct tern_conn_event *event)
{
    char detail[80] = "";
    switch (event->kind) {
    case TERN_CONN_STREAM_OPENED:
        snprintf(detail, sizeof detail, " %.*s", (int)event->protocol->name.size,
                 (const char *)event->protocol->name.data);
        break;
    case TERN_CONN_STREAM_READY:
        snprintf(detail, sizeof detail, " %u", (unsigned)event->offered_index);
        break;
    case TERN_CONN_STREAM_REFUSED:
    case TERN_CONN_STREAM_FAULT:
    case TERN_CONN_CLOSED:
        snprintf(detail, sizeof detail, " %s %s", tern_err_name(event->err),
                 tern_fault_name(event->fault));
        break;
    case TERN_CONN_STREAM_RESET:
    case TERN_CONN_GOAWAY:
        snprintf(detail, sizeof detail, " 0x%x", (unsigned)event->code);
        break;
    case TERN_CONN_JOB:
    case TERN_CONN_ESTABLISHED:
    case TERN_CONN_STREAM_READABLE:
    case TERN_CONN_STREAM_WRITABLE:
    case TERN_CONN_STREAM_CLOSED:
    case TERN_CONN_RTT:
        break;
    }
    golden_line(&end->pair->log, "%.1f %s %s%s", (double)now / (double)TERN_MILLISECOND, end->name,
                pair_kind_names[event->kind], detail);
}

/* --- streams --- */

/* Reads all there is: the opener keeps it, the other side sends it back. */
static void pair_read(struct conn_end *end, tern_time now, tern_stream_id id)
{
    bool own = id == end->stream;
    struct tern_slice bytes;
    tern_err err;
    if (!own && end->mute)
        return;
    while ((err = tern_conn_read(end->conn, id, &bytes)) == TERN_OK) {
        size_t took = bytes.view.size;
        TERN_CHECK(took > 0);
        if (own) {
            if (end->got_size == 0)
                end->first_byte_at = now;
            took = tern_min_size(took, CONN_PAIR_GOT_MAX - end->got_size);
            memcpy(end->got + end->got_size, bytes.view.data, took);
            end->got_size += took;
        } else if (tern_conn_write(end->conn, id, bytes.view, &took) != TERN_OK) {
            tern_conn_reset(end->conn, id, 9);
            return;
        }
        tern_conn_consume(end->conn, id, took);
        if (took == 0)
            return;
    }
    if (err != TERN_ERR_END)
        return;
    end->read_end = end->read_end || own;
    if (tern_conn_close_write(end->conn, id) != TERN_OK)
        tern_conn_reset(end->conn, id, 9);
}

tern_err conn_pair_open(struct conn_end *end, const struct tern_view *names, size_t count,
                        size_t size)
{
    uint8_t bytes[PAIR_STREAM_MAX];
    TERN_CHECK(size <= sizeof bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = pair_byte(i);
    const struct tern_stream_offer offer = {
        .names = names, .names_count = count, .class = TERN_STREAM_BULK};
    end->stream = TERN_STREAM_NONE;
    end->got_size = 0;
    end->open_err = tern_conn_open_stream(end->conn, end->pair->link.now, &offer, &end->stream);
    if (end->open_err != TERN_OK)
        return end->open_err;
    size_t accepted = 0;
    end->open_err = tern_conn_write(end->conn, end->stream, tern_view_of(bytes, size), &accepted);
    return end->open_err;
}

static void pair_established(struct conn_end *end)
{
    struct conn_pair *pair = end->pair;
    size_t count = 0;
    if (end != &pair->ends[0] || pair->options.open_size == 0)
        return;
    while (count < TERN_COUNT_OF(pair->options.open_names) &&
           pair->options.open_names[count].size > 0)
        count++;
    const struct tern_view echo = tern_view_str(CONN_PAIR_ECHO);
    tern_err err =
        count == 0 ? conn_pair_open(end, &echo, 1, pair->options.open_size)
                   : conn_pair_open(end, pair->options.open_names, count, pair->options.open_size);
    if (err == TERN_OK && pair->options.ends_early)
        end->open_err = tern_conn_close_write(end->conn, end->stream);
}

static void pair_ready(struct conn_end *end)
{
    uint8_t byte = pair_byte(0);
    size_t accepted;
    if (end->pair->options.resets_at_ready)
        tern_conn_reset(end->conn, end->stream, 7);
    else if (end->pair->options.open_names[1].size > 0)
        end->open_err = tern_conn_write(end->conn, end->stream, tern_view_of(&byte, 1), &accepted);
}

/* --- events --- */

void conn_pair_run_job(struct conn_end *end, tern_time now)
{
    struct tern_job *job = end->job;
    TERN_CHECK(job != NULL);
    end->job = NULL;
    end->job_due = TERN_TIME_NEVER;
    job->run(job);
    tern_conn_job_done(end->conn, now, job);
}

static void pair_event(struct conn_end *end, tern_time now, const struct tern_conn_event *event)
{
    const struct conn_pair_options *options = &end->pair->options;
    unsigned side = (unsigned)(end - end->pair->ends);
    end->counts[event->kind]++;
    end->last[event->kind] = *event;
    pair_log(end, now, event);
    switch (event->kind) {
    case TERN_CONN_JOB:
        TERN_CHECK(end->job == NULL);
        end->job = event->job;
        end->job_due = options->hold_jobs[side] ? TERN_TIME_NEVER : now + options->job_ns;
        if (end->job_due == now)
            conn_pair_run_job(end, now);
        break;
    case TERN_CONN_ESTABLISHED:
        pair_established(end);
        break;
    case TERN_CONN_STREAM_READY:
        pair_ready(end);
        break;
    case TERN_CONN_STREAM_READABLE:
    case TERN_CONN_STREAM_WRITABLE:
        pair_read(end, now, event->stream);
        break;
    case TERN_CONN_STREAM_FAULT:
        end->stream_faults[event->fault]++;
        break;
    case TERN_CONN_CLOSED:
        TERN_CHECK(end->counts[TERN_CONN_CLOSED] == 1);
        end->err = event->err;
        end->fault = event->fault;
        break;
    case TERN_CONN_STREAM_OPENED:
    case TERN_CONN_STREAM_REFUSED:
    case TERN_CONN_STREAM_RESET:
    case TERN_CONN_STREAM_CLOSED:
    case TERN_CONN_GOAWAY:
    case TERN_CONN_RTT:
        break;
    }
}

void conn_pair_serve(struct conn_end *end, tern_time now)
{
    struct tern_conn_event event;
    for (int i = 0; tern_conn_next(end->conn, now, &event); i++) {
        TERN_CHECK(i < PAIR_EVENTS_MAX);
        TERN_CHECK(end->counts[TERN_CONN_CLOSED] == 0); /* nothing follows CLOSED */
        pair_event(end, now, &event);
    }
}

/* Bytes of which nothing was taken are given again when a job has come back in between. */
static tern_err pair_recv(void *self, tern_time now, struct tern_slice in, size_t *used)
{
    struct conn_end *end = self;
    tern_err err;
    size_t jobs;
    do {
        bool away = end->job != NULL;
        jobs = end->counts[TERN_CONN_JOB];
        err = tern_conn_recv(end->conn, now, in, used);
        TERN_CHECK(!away || err != TERN_OK || *used == 0); /* back-pressure while a job is out */
        conn_pair_serve(end, now);
    } while (err == TERN_OK && *used == 0 && end->job == NULL && end->counts[TERN_CONN_JOB] > jobs);
    return err;
}

/* The sizes of TLS are the library's own, and differ by some bytes from one run to the next. */
static void pair_log_send(struct conn_end *end, tern_time now, size_t size)
{
    double at = (double)now / (double)TERN_MILLISECOND;
    if (size == 0)
        return;
    if (end->pair->options.secure == TERN_SECURE_TLS ||
        end->pair->options.form == TERN_LINK_WEBSOCKET_TLS)
        golden_line(&end->pair->log, "%.1f %s sends", at, end->name);
    else
        golden_line(&end->pair->log, "%.1f %s sends %zu", at, end->name, size);
}

static void pair_send(void *self, tern_time now, struct tern_writer *out)
{
    struct conn_end *end = self;
    bool wanted = tern_conn_want_send(end->conn);
    tern_conn_send(end->conn, now, out);
    TERN_CHECK(wanted || out->size == 0);
    pair_log_send(end, now, out->size);
    conn_pair_serve(end, now);
}

static tern_time pair_deadline(void *self)
{
    struct conn_end *end = self;
    tern_time own = end->job == NULL ? TERN_TIME_NEVER : end->job_due;
    return tern_time_min(own, tern_conn_deadline(end->conn));
}

static void pair_tick(void *self, tern_time now)
{
    struct conn_end *end = self;
    if (end->job != NULL && end->job_due <= now)
        conn_pair_run_job(end, now);
    tern_conn_tick(end->conn, now);
    conn_pair_serve(end, now);
}

static void pair_end(void *self, tern_time now)
{
    struct conn_end *end = self;
    tern_conn_link_end(end->conn, now);
    conn_pair_serve(end, now);
}

static const struct sim_core_ops pair_ops = {.recv = pair_recv,
                                             .send = pair_send,
                                             .deadline = pair_deadline,
                                             .tick = pair_tick,
                                             .end = pair_end};

void conn_pair_run(struct conn_pair *pair, tern_time until)
{
    do {
        for (unsigned i = 0; i < 2; i++) {
            struct conn_end *end = &pair->ends[i];
            if (end->counts[TERN_CONN_CLOSED] == 0 || end->link_ended)
                continue;
            end->link_ended = true;
            sim_pair_end(&pair->link, i);
        }
    } while (sim_pair_step(&pair->link, until));
}

bool conn_pair_echoed(const struct conn_end *end, size_t size)
{
    if (end->got_size != size)
        return false;
    for (size_t i = 0; i < size; i++)
        if (end->got[i] != pair_byte(i))
            return false;
    return true;
}

/* --- making --- */

static void pair_muxers(struct conn_end *end, const char *letters)
{
    for (size_t i = 0; letters[i] != '\0'; i++) {
        TERN_CHECK(i < TERN_CONN_MUXERS_MAX);
        end->config.muxers[i] = letters[i] == 'm' ? TERN_MUXER_MPLEX : TERN_MUXER_YAMUX;
        end->config.muxers_count++;
    }
}

static void pair_config(struct conn_pair *pair, struct conn_end *end, unsigned side)
{
    const struct conn_pair_options *options = &pair->options;
    end->config = (struct tern_conn_config){
        .mem = pair->mem,
        .random = &end->random,
        .metrics = &end->metrics,
        .aead = &pair->aead,
        .noise = &end->noise,
        .tls = &end->tls,
        .web = end->web.client.ssl == NULL ? NULL : &end->web,
        .psk = options->networks[side] == 0 ? NULL : &end->psk,
        .identity = &end->key,
        .protocols = &pair->table,
        .windows = &pair->windows,
        .secure = {options->secure},
        .secure_count = 1,
        .late_muxer = options->late_muxer[side],
        .upgrade_timeout_ns = 10 * TERN_SECOND,
        .negotiate_timeout_ns = 5 * TERN_SECOND,
        .ping_interval_ns = options->ping_ns,
        .ping_timeout_ns = 10 * TERN_SECOND,
    };
    pair_muxers(end, options->muxers[side] == NULL ? "y" : options->muxers[side]);
    if (options->hybrid[side]) {
        end->config.secure[0] = TERN_SECURE_NOISE_HYBRID;
        end->config.secure[1] = TERN_SECURE_NOISE;
        end->config.secure_count = 2;
    }
    if (!options->offers_two[side])
        return;
    end->config.secure[0] = TERN_SECURE_NOISE;
    end->config.secure[1] = TERN_SECURE_PLAINTEXT;
    end->config.secure_count = 2;
}

/* Whom both trust, and b's certificate: made once, which takes longer than many pairs. */
static bool pair_web(struct conn_pair *pair, struct conn_end *end)
{
    static struct web_pem root;
    static struct web_pem leaf;
    if (root.certificate == NULL) {
        web_certify(&(struct web_certificate){.authority = true}, NULL, &root);
        web_certify(&(struct web_certificate){.names = "DNS:b.example"}, &root, &leaf);
    }
    if (((pair->options.form | pair->options.forms) & TERN_LINK_WEBSOCKET_TLS) == 0 ||
        pair->options.no_web)
        return true;
    const struct tern_web_tls_config config = {.roots = web_chain_view(&root)};
    const struct tern_web_credentials credentials = {web_chain_view(&leaf), web_key_view(&leaf)};
    return tern_web_tls_init(&end->web, &config) == TERN_OK &&
           tern_web_tls_set_credentials(&end->web, &credentials) == TERN_OK;
}

static bool pair_host(struct conn_pair *pair, unsigned side)
{
    static const char *const names[] = {"a", "b"};
    struct conn_end *end = &pair->ends[side];
    end->pair = pair;
    end->name = names[side];
    end->mute = pair->options.mute[side];
    end->job_due = TERN_TIME_NEVER;
    tern_random_init_u64(&end->random, pair->options.link.seed + side + 1);
    tern_scope_init(&end->scope, "connection", pair->root, &(struct tern_scope_limits){{0}});
    if (tern_private_key_generate(TERN_KEY_ED25519, &end->random, &end->key) != TERN_OK)
        return false;
    tern_public_key_peer_id(&end->key.public_key, &end->id);
    memset(end->psk.bytes, (int)pair->options.networks[side], sizeof end->psk.bytes);
    if (!pair_web(pair, end))
        return false;
    pair_config(pair, end, side);
    if (tern_noise_identity_init(&end->noise, pair->mem, &end->random, &end->key) != TERN_OK)
        return false;
    const struct tern_tls_identity_options tls = {
        .mem = pair->mem, .random = &end->random, .host_key = &end->key};
    return pair->options.secure != TERN_SECURE_TLS ||
           tern_tls_identity_init(&end->tls, &tls) == TERN_OK;
}

static bool pair_connect(struct conn_pair *pair, unsigned side)
{
    const struct conn_pair_options *options = &pair->options;
    const struct tern_peer_id *expected = NULL;
    if (side == 0 && options->right_peer)
        expected = &pair->ends[1].id;
    if (side == 0 && options->wrong_peer)
        expected = &pair->ends[0].id;
    const struct tern_conn_options conn_options = {
        .role = side == 0 || options->both_dial ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
        .expected_peer = expected,
        .scope = &pair->ends[side].scope,
        .forms = side == 0 || options->forms == 0 ? options->form : options->forms,
        .host = tern_view_str("b.example:1")};
    pair->ends[side].conn = tern_conn_new(&pair->ends[side].config, &conn_options, 0);
    return pair->ends[side].conn != NULL;
}

bool conn_pair_init(struct conn_pair *pair, const struct conn_pair_options *options,
                    struct tern_mem *mem)
{
    memset(pair, 0, sizeof *pair);
    pair->options = *options;
    pair->mem = mem;
    golden_init(&pair->log);
    tern_scope_init(&pair->own_root, "system", NULL, &(struct tern_scope_limits){{0}});
    pair->root = options->root != NULL ? options->root : &pair->own_root;
    tern_scope_init(&pair->windows, "windows", NULL,
                    &(struct tern_scope_limits){{[TERN_RESOURCE_MEMORY] = 1 << 20}});
    pair->protocols[0] = (struct tern_protocol){.name = tern_view_str(CONN_PAIR_ECHO)};
    pair->protocols[1] = (struct tern_protocol){.name = tern_view_str(CONN_PAIR_OTHER)};
    pair->table = (struct tern_protocol_table){pair->protocols, 2};
    sim_pair_init(&pair->link, &options->link, (struct sim_core){&pair_ops, &pair->ends[0]},
                  (struct sim_core){&pair_ops, &pair->ends[1]});
    bool made = tern_aead_engine_init(&pair->aead) == TERN_OK;
    for (unsigned i = 0; i < 2 && made; i++)
        made = pair_host(pair, i);
    for (unsigned i = 0; i < 2 && made; i++)
        made = pair_connect(pair, i);
    if (!made)
        conn_pair_fini(pair);
    return made;
}

void conn_pair_fini(struct conn_pair *pair)
{
    for (unsigned i = 0; i < 2; i++) {
        struct conn_end *end = &pair->ends[i];
        tern_conn_free(end->conn);
        if (end->job != NULL)
            conn_pair_run_job(end, pair->link.now); /* frees what was kept for it */
        if (end->pair == NULL)
            continue;
        if (end->noise.mem != NULL)
            tern_noise_identity_fini(&end->noise);
        tern_tls_identity_fini(&end->tls);
        tern_web_tls_fini(&end->web);
        tern_private_key_fini(&end->key);
        tern_scope_fini(&end->scope);
    }
    sim_pair_fini(&pair->link);
    tern_aead_engine_fini(&pair->aead);
    tern_scope_fini(&pair->windows);
    tern_scope_fini(&pair->own_root);
    golden_fini(&pair->log);
}

tern_err conn_pair_life(void *context, struct tern_mem *mem, struct tern_scope *root)
{
    static struct conn_pair pair;
    struct conn_pair_options options = *(const struct conn_pair_options *)context;
    options.root = root;
    if (!conn_pair_init(&pair, &options, mem))
        return TERN_ERR_MEMORY;
    conn_pair_run(&pair, 2 * TERN_SECOND);
    for (int i = 0; i < 2; i++) {
        tern_conn_close(pair.ends[i].conn, pair.link.now, 0);
        conn_pair_serve(&pair.ends[i], pair.link.now);
    }
    conn_pair_run(&pair, 12 * TERN_SECOND);
    bool whole = conn_pair_echoed(&pair.ends[0], options.open_size) && pair.ends[0].read_end;
    conn_pair_fini(&pair);
    return whole ? TERN_OK : TERN_ERR_MEMORY;
}
