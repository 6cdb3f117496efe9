#include "sim/crowd.h"

#include "base/check.h"

enum { CROWD_COMMANDS_MAX = 1024, CROWD_FLIGHT_MAX = 1 << 17 };

static const tern_time crowd_redial_ns = TERN_SECOND / 2;

static void crowd_command(struct crowd_node *node, struct tern_command command)
{
    TERN_CHECK(tern_ring_push(&node->commands, &command) == TERN_OK);
}

static void crowd_link_command(struct crowd_node *node, const struct crowd_link *link,
                               enum tern_command_kind kind)
{
    crowd_command(node, (struct tern_command){.kind = kind, .link = link->id});
}

static struct crowd_link *crowd_find(struct crowd_node *node, tern_link_id id)
{
    for (uint32_t i = 0; i < node->crowd->options.links; i++)
        if (node->links[i].state == CROWD_LINKED && node->links[i].id == id)
            return &node->links[i];
    return NULL;
}

/* --- a link's life --- */

static void crowd_dial(struct crowd_node *node, struct crowd_link *link)
{
    struct tern_command command = {.kind = TERN_COMMAND_DIAL,
                                   .token = (tern_token)(link - node->links)};
    command.endpoint = sim_world_endpoint(node->crowd->hosts->world, 0, SIM_PORT);
    link->state = CROWD_DIALING;
    link->due = TERN_TIME_NEVER;
    crowd_command(node, command);
}

static void crowd_rest(struct crowd_link *link, tern_time now)
{
    bool job_out = link->job_out;
    struct tern_conn *conn = link->conn;
    *link = (struct crowd_link){.id = TERN_LINK_NONE,
                                .conn = conn,
                                .job_out = job_out,
                                .due = tern_time_add(now, crowd_redial_ns)};
}

static void crowd_linked(struct crowd_node *node, tern_time now, const struct tern_input *in)
{
    struct crowd *crowd = node->crowd;
    const struct crowd_way *way = crowd->options.way;
    struct crowd_link *link = &node->links[in->token];
    const struct tern_conn_options options = {.role = TERN_ROLE_INITIATOR, .scope = &crowd->scope};
    TERN_CHECK(link->state == CROWD_DIALING && link->conn == NULL);
    link->state = CROWD_LINKED;
    link->id = in->link;
    link->since = now;
    link->cut_at = way->says_no_muxer ? SIZE_MAX : way->says;
    link->due = way->byte_ns == 0 ? TERN_TIME_NEVER : tern_time_add(now, way->byte_ns);
    link->conn = tern_conn_new(&node->config, &options, now);
    TERN_CHECK(link->conn != NULL);
    crowd->open++;
}

static void crowd_unlinked(struct crowd_node *node, tern_time now, struct crowd_link *link)
{
    struct crowd *crowd = node->crowd;
    tern_time lived = tern_time_since(now, link->since);
    crowd->open--;
    if (link->ended) {
        crowd->ended++;
        crowd->lived_min = tern_time_min(crowd->lived_min, lived);
        crowd->lived_max = lived > crowd->lived_max ? lived : crowd->lived_max;
    } else {
        crowd->refused++;
    }
    tern_conn_free(link->conn); /* kept, invisible, while its job is out */
    if (!link->job_out)
        link->conn = NULL;
    crowd_rest(link, now);
}

/* --- what it says --- */

/* Takes what the connection has to say. The second flight begins with the last message of the
 * handshake. */
static void crowd_pull(struct crowd_node *node, tern_time now, struct crowd_link *link)
{
    static uint8_t bytes[CROWD_FLIGHT_MAX];
    const struct crowd_way *way = node->crowd->options.way;
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    tern_conn_send(link->conn, now, &out);
    if (out.size > 0 && ++link->flights == 2 && way->says_no_muxer)
        link->cut_at = link->made + 2 + ((size_t)bytes[0] << 8 | bytes[1]);
    link->made += out.size;
    if (link->established)
        tern_writer_bytes(&out, way->frames);
    link->established = false;
    TERN_CHECK(tern_writer_ok(&out) && out.size <= sizeof link->waiting - link->waiting_size);
    memcpy(link->waiting + link->waiting_size, bytes, out.size);
    link->waiting_size += out.size;
}

static void crowd_transmit(void *self, tern_time now, tern_link_id id, struct tern_writer *out)
{
    struct crowd_node *node = self;
    struct crowd_link *link = crowd_find(node, id);
    if (link == NULL)
        return;
    crowd_pull(node, now, link);
    size_t size = tern_min_size(link->waiting_size, link->cut_at - link->said);
    if (node->crowd->options.way->byte_ns != 0)
        size = tern_min_size(size, link->allowance);
    size = tern_min_size(size, tern_writer_left(out));
    tern_writer_bytes(out, tern_view_of(link->waiting, size));
    link->said += size;
    link->allowance -= tern_min_size(size, link->allowance);
    link->waiting_size -= size;
    memmove(link->waiting, link->waiting + size, link->waiting_size);
}

static void crowd_serve(struct crowd_node *node, tern_time now, struct crowd_link *link)
{
    struct tern_conn_event event;
    while (tern_conn_next(link->conn, now, &event)) {
        if (event.kind == TERN_CONN_JOB) {
            event.job->owner_slot = (uint32_t)(link - node->links);
            link->job_out = true;
            crowd_command(node, (struct tern_command){.kind = TERN_COMMAND_JOB, .job = event.job});
        } else if (event.kind == TERN_CONN_ESTABLISHED) {
            link->established = true;
        }
    }
    crowd_link_command(node, link, TERN_COMMAND_TRANSMIT);
}

/* --- the machine --- */

static void crowd_data(struct crowd_node *node, tern_time now, const struct tern_input *in)
{
    struct crowd_link *link = crowd_find(node, in->link);
    if (link == NULL)
        return;
    TERN_IGNORE(tern_conn_recv(
        link->conn, now,
        (struct tern_slice){.view = tern_view_of(in->data.data, in->data.size), .chunk = in->chunk},
        in->used)); /* what the host thinks of it shows at the host */
    crowd_serve(node, now, link);
}

static void crowd_job_done(struct crowd_node *node, tern_time now, const struct tern_input *in)
{
    struct crowd_link *link = &node->links[in->job->owner_slot];
    TERN_CHECK(link->job_out);
    link->job_out = false;
    tern_conn_job_done(link->conn, now, in->job);
    if (link->state != CROWD_LINKED) {
        link->conn = NULL; /* it was freed before */
        return;
    }
    crowd_serve(node, now, link);
    crowd_link_command(node, link, TERN_COMMAND_READ);
}

static void crowd_tick(struct crowd_node *node, tern_time now)
{
    for (uint32_t i = 0; i < node->crowd->options.links; i++) {
        struct crowd_link *link = &node->links[i];
        if (link->due > now)
            continue;
        if (link->state == CROWD_LINKED) {
            link->due = tern_time_add(now, node->crowd->options.way->byte_ns);
            link->allowance++;
            crowd_link_command(node, link, TERN_COMMAND_TRANSMIT);
        } else if (node->crowd->leaving) {
            link->due = TERN_TIME_NEVER;
        } else if (link->job_out) {
            link->due = tern_time_add(now, crowd_redial_ns);
        } else {
            crowd_dial(node, link);
        }
    }
}

static void crowd_input(void *self, tern_time now, const struct tern_input *in)
{
    struct crowd_node *node = self;
    struct crowd_link *link = crowd_find(node, in->link);
    if (in->kind == TERN_INPUT_DIALED) {
        crowd_linked(node, now, in);
        crowd_serve(node, now, &node->links[in->token]);
    } else if (in->kind == TERN_INPUT_DIAL_FAIL) {
        crowd_rest(&node->links[in->token], now);
    } else if (in->kind == TERN_INPUT_DATA) {
        crowd_data(node, now, in);
    } else if (in->kind == TERN_INPUT_JOB_DONE) {
        crowd_job_done(node, now, in);
    } else if (in->kind == TERN_INPUT_LINK_END && link != NULL) {
        link->ended = true;
        crowd_link_command(node, link, TERN_COMMAND_ABORT);
    } else if (in->kind == TERN_INPUT_LINK_CLOSED && link != NULL) {
        crowd_unlinked(node, now, link);
    } else if (in->kind == TERN_INPUT_TICK) {
        crowd_tick(node, now);
    }
}

static bool crowd_next_command(void *self, struct tern_command *command)
{
    struct crowd_node *node = self;
    return tern_ring_pop(&node->commands, command);
}

static tern_time crowd_deadline(void *self)
{
    const struct crowd_node *node = self;
    tern_time deadline = TERN_TIME_NEVER;
    for (uint32_t i = 0; i < node->crowd->options.links; i++)
        deadline = tern_time_min(deadline, node->links[i].due);
    return deadline;
}

static const struct tern_machine_ops crowd_machine_ops = {.input = crowd_input,
                                                          .next_command = crowd_next_command,
                                                          .transmit = crowd_transmit,
                                                          .deadline = crowd_deadline};

static tern_err crowd_start(void *context, const struct sim_node_start *start,
                            struct tern_machine *machine)
{
    struct crowd_node *node = context;
    for (uint32_t i = 0; i < node->crowd->options.links; i++) {
        node->links[i] = (struct crowd_link){.id = TERN_LINK_NONE, .due = start->now};
        crowd_dial(node, &node->links[i]);
    }
    *machine = (struct tern_machine){&crowd_machine_ops, node};
    return TERN_OK;
}

static void crowd_stop(void *context, uint32_t number, struct tern_machine machine)
{
    struct crowd_node *node = context;
    TERN_CHECK(number == node->node && machine.self == node);
    for (uint32_t i = 0; i < node->crowd->options.links; i++) {
        tern_conn_free(node->links[i].conn);
        node->links[i].conn = NULL;
    }
}

static const struct sim_node_ops crowd_node_ops = {.start = crowd_start, .stop = crowd_stop};

/* --- making and ending --- */

static void *crowd_take(struct crowd *crowd, size_t size)
{
    void *block = tern_mem_zalloc(&crowd->mem, size);
    TERN_CHECK(block != NULL);
    return block;
}

static void crowd_node_add(struct crowd *crowd, struct crowd_node *node)
{
    const struct crowd_way *way = crowd->options.way;
    node->crowd = crowd;
    node->links = crowd_take(crowd, crowd->options.links * sizeof node->links[0]);
    tern_ring_init(&node->commands, &crowd->mem, sizeof(struct tern_command), CROWD_COMMANDS_MAX);
    TERN_CHECK(tern_private_key_generate(TERN_KEY_ED25519, &crowd->random, &node->key) == TERN_OK);
    TERN_CHECK(tern_noise_identity_init(&node->noise, &crowd->mem, &crowd->random, &node->key) ==
               TERN_OK);
    node->config = (struct tern_conn_config){
        .mem = &crowd->mem,
        .random = &crowd->random,
        .metrics = &crowd->metrics,
        .aead = &crowd->aead,
        .noise = &node->noise,
        .identity = &node->key,
        .protocols = &crowd->table,
        .windows = &crowd->windows,
        .secure = {way->plaintext ? TERN_SECURE_PLAINTEXT : TERN_SECURE_NOISE},
        .secure_count = 1,
        .muxers = {TERN_MUXER_YAMUX},
        .muxers_count = 1,
        .late_muxer = way->says_no_muxer,
        .upgrade_timeout_ns = TERN_HOUR,
        .negotiate_timeout_ns = TERN_HOUR,
    };
    node->node = sim_world_add(crowd->hosts->world,
                               &(struct sim_node_options){.ops = &crowd_node_ops, .context = node});
    TERN_CHECK(sim_world_start(crowd->hosts->world, node->node) == TERN_OK);
}

void crowd_add(struct crowd *crowd, struct sim_hosts *hosts, const struct crowd_options *options)
{
    memset(crowd, 0, sizeof *crowd);
    crowd->hosts = hosts;
    crowd->options = *options;
    crowd->lived_min = TERN_TIME_NEVER;
    tern_mem_init(&crowd->mem, 0);
    tern_random_init_u64(&crowd->random, 77);
    tern_scope_init(&crowd->scope, "crowd", NULL, &(struct tern_scope_limits){{0}});
    tern_scope_init(&crowd->windows, "windows", NULL, &(struct tern_scope_limits){{0}});
    TERN_CHECK(tern_aead_engine_init(&crowd->aead) == TERN_OK);
    crowd->nodes = crowd_take(crowd, options->nodes * sizeof crowd->nodes[0]);
    for (uint32_t i = 0; i < options->nodes; i++)
        crowd_node_add(crowd, &crowd->nodes[i]);
}

void crowd_leave(struct crowd *crowd)
{
    crowd->leaving = true;
}

void crowd_fini(struct crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->options.nodes; i++) {
        struct crowd_node *node = &crowd->nodes[i];
        tern_ring_fini(&node->commands);
        tern_noise_identity_fini(&node->noise);
        tern_private_key_fini(&node->key);
        tern_mem_free(&crowd->mem, node->links, crowd->options.links * sizeof node->links[0]);
    }
    tern_mem_free(&crowd->mem, crowd->nodes, crowd->options.nodes * sizeof crowd->nodes[0]);
    tern_aead_engine_fini(&crowd->aead);
    tern_scope_fini(&crowd->windows);
    tern_scope_fini(&crowd->scope);
    tern_mem_fini(&crowd->mem);
}
