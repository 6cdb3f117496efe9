/* The bare peer as a machine (runtime/io.h): what it is made of, and the world's calls. */
#include <stdio.h>
#include <stdlib.h>

#include "bare.h"
#include "base/check.h"
#include "crypto/start.h"

void bare_command(struct bare *b, struct tern_command command)
{
    TERN_CHECK(tern_ring_push(&b->commands, &command) == TERN_OK);
}

void bare_finish(struct bare *b)
{
    b->finished = true;
    b->took_ns = b->now - b->started;
    if (b->loop != NULL)
        tern_loop_stop(b->loop);
}

static void bare_tell(struct bare *b, uint16_t port)
{
    if (b->ready != NULL)
        b->ready(b, port);
}

static void bare_init_identity(struct bare *b, const uint8_t *seed)
{
    TERN_CHECK(tern_crypto_start() == TERN_OK);
    tern_random_init(&b->random, seed);
    TERN_CHECK(tern_private_key_generate(TERN_KEY_ED25519, &b->random, &b->key) == TERN_OK);
    TERN_CHECK(tern_noise_identity_init(&b->noise, &b->mem, &b->random, &b->key) == TERN_OK);
    const struct tern_tls_identity_options tls = {.mem = &b->mem,
                                                  .random = &b->random,
                                                  .host_key = &b->key,
                                                  .slow_aes = !tern_aead_has_fast_aes()};
    TERN_CHECK(tern_tls_identity_init(&b->tls, &tls) == TERN_OK);
    TERN_CHECK(tern_aead_engine_init(&b->aead) == TERN_OK);
}

/* What is not in it has been parsed. */
static void bare_init_config(struct bare *b)
{
    b->protocol = (struct tern_protocol){
        .name = bare_sink_name, .class = TERN_STREAM_BULK, .replay_harmless = true};
    b->protocols = (struct tern_protocol_table){.protocols = &b->protocol, .count = 1};
    b->config.mem = &b->mem;
    b->config.random = &b->random;
    b->config.aead = &b->aead;
    b->config.noise = &b->noise;
    b->config.tls = &b->tls;
    b->config.identity = &b->key;
    b->config.protocols = &b->protocols;
    b->config.windows = &b->windows;
    b->config.upgrade_timeout_ns = TERN_MINUTE;
    b->config.negotiate_timeout_ns = TERN_MINUTE;
    b->config.ping_timeout_ns = 20 * TERN_SECOND;
}

void bare_init(struct bare *b, const uint8_t *seed, tern_time now)
{
    b->now = now;
    tern_mem_init(&b->mem, 0);
    bare_init_identity(b, seed);
    bare_init_config(b);
    tern_scope_init(&b->root, "system", NULL, &(struct tern_scope_limits){0});
    tern_scope_init(&b->windows, "windows", NULL, &(struct tern_scope_limits){0});
    tern_timer_queue_init(&b->timers, &b->mem);
    tern_ring_init(&b->commands, &b->mem, sizeof(struct tern_command), 1 << 17);
    b->conns = tern_mem_zalloc(&b->mem, BARE_CONNS_MAX * sizeof *b->conns);
    b->payload = tern_chunk_new(&b->mem, BARE_WRITE_SIZE);
    TERN_CHECK(b->conns != NULL && b->payload != NULL);
    tern_random_bytes(&b->random, b->payload->data, BARE_WRITE_SIZE);
    b->payload->size = BARE_WRITE_SIZE;
    if (b->quic)
        bare_session_init(b);
    else if (b->mode == MODE_SERVE)
        bare_command(b, (struct tern_command){.kind = TERN_COMMAND_LISTEN, .endpoint = b->target});
    else
        bare_begin(b);
}

static void bare_take(struct bare *b, tern_time now, const struct tern_input *in)
{
    switch (in->kind) {
    case TERN_INPUT_LISTENING:
        bare_tell(b, in->local.port);
        break;
    case TERN_INPUT_ACCEPTED:
    case TERN_INPUT_DIALED:
        bare_open(b, now, in);
        break;
    case TERN_INPUT_DATA:
        bare_data(b, now, in);
        break;
    case TERN_INPUT_LINK_END:
    case TERN_INPUT_LINK_CLOSED:
        bare_end(b, now, in);
        break;
    case TERN_INPUT_JOB_DONE:
        bare_job_done(b, now, in->job);
        break;
    case TERN_INPUT_LISTEN_FAIL:
    case TERN_INPUT_DIAL_FAIL:
    case TERN_INPUT_BIND_FAIL:
        fprintf(stderr, "%s\n", tern_err_text(in->err));
        exit(1);
    case TERN_INPUT_TICK:
        bare_tick(b, now);
        break;
    case TERN_INPUT_BOUND:
        bare_session_bound(b, in);
        break;
    case TERN_INPUT_DATAGRAMS:
        bare_session_datagrams(b, now, in);
        break;
    case TERN_INPUT_WALL:
    case TERN_INPUT_STORED:
    case TERN_INPUT_NETWORK:
    case TERN_INPUT_RESOLVED:
        break;
    }
}

static void bare_input(void *self, tern_time now, const struct tern_input *in)
{
    struct bare *b = self;
    b->now = now;
    bare_take(b, now, in);
    if (!b->quic)
        return;
    bare_session_tick(b, now);
    bare_session_run(b, now);
}

static bool bare_next_command(void *self, struct tern_command *command)
{
    struct bare *b = self;
    return tern_ring_pop(&b->commands, command);
}

static void bare_transmit(void *self, tern_time now, tern_link_id link, struct tern_writer *out)
{
    struct bare *b = self;
    struct bare_conn *c = bare_find(b, link);
    b->now = now;
    if (c == NULL)
        return;
    c->transmitting = false;
    tern_conn_send(c->conn, now, out);
    bare_serve(b, c, now); /* room in a stream's buffer, the end of a farewell */
}

static bool bare_datagrams(void *self, tern_time now, tern_link_id socket,
                           struct tern_datagrams_out *out)
{
    struct bare *b = self;
    (void)socket;
    b->now = now;
    return bare_session_send(b, now, out);
}

static tern_time bare_deadline(void *self)
{
    const struct bare *b = self;
    tern_time due = tern_timer_next(&b->timers);
    return b->quic ? tern_time_min(due, bare_session_deadline(b)) : due;
}

const struct tern_machine_ops bare_ops = {.input = bare_input,
                                          .next_command = bare_next_command,
                                          .transmit = bare_transmit,
                                          .datagrams = bare_datagrams,
                                          .deadline = bare_deadline};
