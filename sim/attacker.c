#include "sim/attacker.h"

#include "base/check.h"
#include "wire/protobuf.h"

void attacker_raw(struct attacker *attacker, const void *bytes, size_t size)
{
    TERN_CHECK(size <= sizeof attacker->raw - attacker->raw_size);
    memcpy(attacker->raw + attacker->raw_size, bytes, size);
    attacker->raw_size += size;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

void attacker_frame(struct attacker *attacker, struct attacker_frame frame)
{
    uint8_t header[12] = {0, frame.type, 0, frame.flags};
    put_u32(header + 4, frame.stream);
    put_u32(header + 8, frame.length);
    attacker_raw(attacker, header, sizeof header);
}

static void attacker_command(struct attacker *attacker, struct tern_command command)
{
    TERN_CHECK(attacker->commands_count < ATTACKER_COMMANDS_MAX);
    attacker->commands[attacker->commands_count++] = command;
}

/* --- what it says --- */

/* Writes what the stream takes. A stream that is gone takes all. */
static void attacker_flush(struct attacker *attacker)
{
    size_t accepted = 0;
    struct tern_view rest = tern_view_of(attacker->said + attacker->said_sent,
                                         attacker->said_size - attacker->said_sent);
    if (rest.size == 0)
        return;
    if (tern_conn_write(attacker->conn, attacker->stream, rest, &accepted) != TERN_OK)
        accepted = rest.size;
    attacker->said_sent += accepted;
}

/* Says the next thing, if the last one is out. */
static void attacker_say(struct attacker *attacker)
{
    const struct attack *attack = attacker->attack;
    if (attack->stream == NULL || attacker->stream == TERN_STREAM_NONE)
        return;
    if (attacker->said_sent == attacker->said_size) {
        struct tern_writer out = tern_writer_of(attacker->said, sizeof attacker->said);
        attack->stream(attacker, &out);
        TERN_CHECK(tern_writer_ok(&out));
        attacker->said_size = out.size;
        attacker->said_sent = 0;
    }
    attacker_flush(attacker);
}

static void attacker_say_on(struct attacker *attacker, tern_stream_id id)
{
    attacker->stream = id;
    attacker->said_size = attacker->said_sent = 0;
    attacker_say(attacker);
}

static void attacker_established(struct attacker *attacker)
{
    const struct attack *attack = attacker->attack;
    attacker->established = true;
    if (attack->established != NULL)
        attack->established(attacker);
    if (attack->opens == NULL)
        return;
    const struct tern_view name = tern_view_str(attack->opens);
    const struct tern_stream_offer offer = {.names = &name, .names_count = 1};
    tern_stream_id id;
    if (tern_conn_open_stream(attacker->conn, attacker->now, &offer, &id) == TERN_OK)
        attacker_say_on(attacker, id);
}

/* --- what it hears --- */

static void attacker_messages(struct attacker *attacker)
{
    struct tern_view message;
    size_t used = 0;
    size_t took;
    while (tern_pb_frame(tern_view_of(attacker->heard + used, attacker->heard_size - used),
                         sizeof attacker->heard, &message, &took) == TERN_OK) {
        attacker->attack->hears(attacker, message);
        used += took;
    }
    attacker->heard_size -= used;
    memmove(attacker->heard, attacker->heard + used, attacker->heard_size);
}

static void attacker_hear(struct attacker *attacker, tern_stream_id id)
{
    struct tern_slice bytes;
    if (attacker->attack->hears == NULL || id == attacker->stream)
        return;
    while (tern_conn_read(attacker->conn, id, &bytes) == TERN_OK) {
        size_t size = tern_min_size(bytes.view.size, sizeof attacker->heard - attacker->heard_size);
        TERN_CHECK(size > 0); /* the host's messages are small */
        memcpy(attacker->heard + attacker->heard_size, bytes.view.data, size);
        attacker->heard_size += size;
        tern_conn_consume(attacker->conn, id, size);
        attacker_messages(attacker);
    }
}

static void attacker_event(struct attacker *attacker, const struct tern_conn_event *event)
{
    if (event->kind == TERN_CONN_JOB) {
        attacker_command(attacker,
                         (struct tern_command){.kind = TERN_COMMAND_JOB, .job = event->job});
    } else if (event->kind == TERN_CONN_ESTABLISHED) {
        attacker_established(attacker);
    } else if (event->kind == TERN_CONN_STREAM_OPENED) {
        attacker->heard_size = 0;
        if (attacker->attack->opens == NULL)
            attacker_say_on(attacker, event->stream);
    } else if (event->kind == TERN_CONN_STREAM_READABLE) {
        attacker_hear(attacker, event->stream);
    } else if (event->kind == TERN_CONN_STREAM_WRITABLE && event->stream == attacker->stream) {
        attacker_flush(attacker);
    }
}

static void attacker_serve(struct attacker *attacker)
{
    struct tern_conn_event event;
    while (attacker->conn != NULL && tern_conn_next(attacker->conn, attacker->now, &event))
        attacker_event(attacker, &event);
    if (attacker->link != TERN_LINK_NONE)
        attacker_command(
            attacker, (struct tern_command){.kind = TERN_COMMAND_TRANSMIT, .link = attacker->link});
}

/* --- the machine --- */

static void attacker_linked(struct attacker *attacker, const struct tern_input *in)
{
    const struct tern_conn_options options = {
        .role = attacker->attack->is_dialled ? TERN_ROLE_RESPONDER : TERN_ROLE_INITIATOR,
        .scope = &attacker->scope};
    if (attacker->conn != NULL)
        return; /* one link at a time */
    attacker->link = in->link;
    attacker->links++;
    attacker->sent = attacker->raw_size = attacker->raw_sent = 0;
    attacker->flights = 0;
    attacker->established = false;
    attacker->stream = TERN_STREAM_NONE;
    attacker->conn = tern_conn_new(&attacker->config, &options, attacker->now);
    TERN_CHECK(attacker->conn != NULL);
    if (attacker->attack->start != NULL)
        attacker->attack->start(attacker);
}

static void attacker_data(struct attacker *attacker, const struct tern_input *in)
{
    size_t used = 0;
    if (attacker->conn != NULL && in->link == attacker->link)
        TERN_IGNORE(
            tern_conn_recv(attacker->conn, attacker->now,
                           (struct tern_slice){.view = tern_view_of(in->data.data, in->data.size),
                                               .chunk = in->chunk},
                           &used)); /* what the host thinks of it shows at the host */
    *in->used = used;
}

static void attacker_tick(struct attacker *attacker)
{
    const struct attack *attack = attacker->attack;
    attacker->due =
        tern_time_add(attacker->now, attack->again_ns != 0 ? attack->again_ns : TERN_SECOND);
    attacker->allowance++;
    if (attack->again_ns != 0 && attacker->established)
        attacker_say(attacker);
}

static void attacker_input(void *self, tern_time now, const struct tern_input *in)
{
    struct attacker *attacker = self;
    attacker->now = now;
    if (in->kind == TERN_INPUT_DIALED || in->kind == TERN_INPUT_ACCEPTED) {
        attacker_linked(attacker, in);
    } else if (in->kind == TERN_INPUT_DATA) {
        attacker_data(attacker, in);
    } else if (in->kind == TERN_INPUT_JOB_DONE) {
        tern_conn_job_done(attacker->conn, now, in->job);
        attacker_command(attacker,
                         (struct tern_command){.kind = TERN_COMMAND_READ, .link = attacker->link});
    } else if (in->kind == TERN_INPUT_LINK_CLOSED && in->link == attacker->link) {
        attacker->link = TERN_LINK_NONE;
        attacker->due = TERN_TIME_NEVER;
    } else if (in->kind == TERN_INPUT_TICK && attacker->due <= now) {
        attacker_tick(attacker);
    }
    attacker_serve(attacker);
}

static bool attacker_next_command(void *self, struct tern_command *command)
{
    struct attacker *attacker = self;
    if (attacker->commands_count == 0)
        return false;
    *command = attacker->commands[0];
    attacker->commands_count--;
    memmove(attacker->commands, attacker->commands + 1,
            attacker->commands_count * sizeof attacker->commands[0]);
    return true;
}

/* Changes what goes out, by its place on the link. */
static void attacker_tamper(struct attacker *attacker, struct tern_writer *out, size_t from)
{
    const struct attack *attack = attacker->attack;
    size_t size = out->size - from;
    for (size_t i = 0; i < size; i++) {
        size_t place = attacker->sent + i;
        if (place >= attack->zero_from && place < attack->zero_to)
            out->data[from + i] = attack->value;
    }
    if (attack->flip_last && attacker->flights > 0 && size > 0)
        out->data[from + size - 1] ^= 1;
    attacker->flights += size > 0;
    attacker->sent += size;
    if (attack->cut_at != 0 && attacker->sent > attack->cut_at) {
        size_t over = tern_min_size(attacker->sent - attack->cut_at, size);
        out->size -= over;
    }
}

static void attacker_transmit(void *self, tern_time now, tern_link_id link, struct tern_writer *out)
{
    struct attacker *attacker = self;
    const struct attack *attack = attacker->attack;
    size_t from = out->size;
    if (link != attacker->link || attacker->conn == NULL)
        return;
    if (!attack->mute) {
        tern_conn_send(attacker->conn, now, out);
        attacker_tamper(attacker, out, from);
    }
    size_t size = attacker->raw_size - attacker->raw_sent;
    size = tern_min_size(size, tern_writer_left(out));
    if (attack->slow)
        size = tern_min_size(size, attacker->allowance);
    tern_writer_bytes(out, tern_view_of(attacker->raw + attacker->raw_sent, size));
    attacker->raw_sent += size;
    attacker->allowance -= attack->slow ? size : 0;
}

static tern_time attacker_deadline(void *self)
{
    struct attacker *attacker = self;
    return attacker->attack->slow || attacker->attack->again_ns != 0 ? attacker->due
                                                                     : TERN_TIME_NEVER;
}

static const struct tern_machine_ops attacker_machine_ops = {.input = attacker_input,
                                                             .next_command = attacker_next_command,
                                                             .transmit = attacker_transmit,
                                                             .deadline = attacker_deadline};

static tern_err attacker_start(void *context, const struct sim_node_start *start,
                               struct tern_machine *machine)
{
    struct attacker *attacker = context;
    attacker->now = start->now;
    attacker->due = start->now + TERN_SECOND;
    attacker->link = TERN_LINK_NONE;
    struct tern_command command = {.kind = TERN_COMMAND_DIAL, .token = 1};
    command.endpoint = sim_world_endpoint(attacker->hosts->world, 0, SIM_PORT);
    if (attacker->attack->is_dialled) {
        command.kind = TERN_COMMAND_LISTEN;
        command.endpoint = sim_world_endpoint(attacker->hosts->world, attacker->node, SIM_PORT);
    }
    attacker_command(attacker, command);
    *machine = (struct tern_machine){&attacker_machine_ops, attacker};
    return TERN_OK;
}

static void attacker_stop(void *context, uint32_t node, struct tern_machine machine)
{
    struct attacker *attacker = context;
    TERN_CHECK(node == attacker->node && machine.self == attacker);
    tern_conn_free(attacker->conn);
    attacker->conn = NULL;
}

static const struct sim_node_ops attacker_node_ops = {.start = attacker_start,
                                                      .stop = attacker_stop};

static void attacker_configure(struct attacker *attacker)
{
    const struct attack *attack = attacker->attack;
    attacker->config = (struct tern_conn_config){
        .mem = &attacker->mem,
        .random = &attacker->random,
        .metrics = &attacker->metrics,
        .aead = &attacker->aead,
        .noise = &attacker->noise,
        .identity = &attacker->key,
        .protocols = &attacker->table,
        .windows = &attacker->windows,
        .secure = {attack->plaintext ? TERN_SECURE_PLAINTEXT : TERN_SECURE_NOISE},
        .secure_count = 1,
        .muxers = {TERN_MUXER_YAMUX},
        .muxers_count = 1,
        .upgrade_timeout_ns = TERN_HOUR,
        .negotiate_timeout_ns = TERN_HOUR,
    };
    if (attack->serves == NULL)
        return;
    attacker->protocol.name = tern_view_str(attack->serves);
    attacker->table = (struct tern_protocol_table){&attacker->protocol, 1};
}

void attacker_add(struct attacker *attacker, struct sim_hosts *hosts, const struct attack *attack)
{
    memset(attacker, 0, sizeof *attacker);
    attacker->attack = attack;
    attacker->hosts = hosts;
    tern_mem_init(&attacker->mem, 0);
    tern_random_init_u64(&attacker->random, 99);
    tern_scope_init(&attacker->scope, "attacker", NULL, &(struct tern_scope_limits){{0}});
    tern_scope_init(&attacker->windows, "windows", NULL, &(struct tern_scope_limits){{0}});
    TERN_CHECK(tern_aead_engine_init(&attacker->aead) == TERN_OK);
    TERN_CHECK(tern_private_key_generate(TERN_KEY_ED25519, &attacker->random, &attacker->key) ==
               TERN_OK);
    tern_public_key_peer_id(&attacker->key.public_key, &attacker->id);
    TERN_CHECK(tern_noise_identity_init(&attacker->noise, &attacker->mem, &attacker->random,
                                        &attacker->key) == TERN_OK);
    attacker_configure(attacker);
    attacker->node = sim_world_add(
        hosts->world, &(struct sim_node_options){.ops = &attacker_node_ops, .context = attacker});
    TERN_CHECK(sim_world_start(hosts->world, attacker->node) == TERN_OK);
}

void attacker_fini(struct attacker *attacker)
{
    TERN_CHECK(attacker->conn == NULL);
    tern_noise_identity_fini(&attacker->noise);
    tern_private_key_fini(&attacker->key);
    tern_aead_engine_fini(&attacker->aead);
    tern_scope_fini(&attacker->windows);
    tern_scope_fini(&attacker->scope);
    tern_mem_fini(&attacker->mem);
}
