#include "runtime/sim/echo_testing.h"

#include "base/check.h"
#include "base/ring.h"
#include "base/timer.h"
#include "base/writer.h"

enum {
    ECHO_COMMANDS_MAX = 4096,
    ECHO_LINKS_MAX = 4096,
    ECHO_BATCHES_MAX = 4096,
    ECHO_DATAGRAM_SIZE = 300,
};

static const tern_time echo_patience_ns = 10 * TERN_SECOND;

enum echo_peer_state { ECHO_RESTING, ECHO_DIALLING, ECHO_IDLE, ECHO_WAITING };

struct echo_peer {
    struct tern_timer timer;
    uint32_t node;
    uint32_t index;
    enum echo_peer_state state;
    tern_link_id link;
    tern_time began;
};

/* Datagrams to be sent: asked of a peer, or given back to whoever asked. Each begins with which of
 * the two it is, the number of the peer, and its own number. */
struct echo_batch {
    struct tern_endpoint to;
    bool back;
    uint8_t peer;
    uint8_t first;
    uint8_t count;
};

struct echo_link {
    tern_link_id id;
    struct echo_peer *peer; /* NULL: accepted, so we echo */
    uint64_t want;          /* bytes to send in all */
    uint64_t sent;
    uint64_t got;
};

struct echo {
    struct echo_net *net;
    struct echo_node *node;
    struct tern_mem *mem;
    struct tern_trace *trace;
    struct sim_world *world;
    uint32_t index;
    struct tern_random random;
    struct tern_ring commands; /* struct tern_command */
    struct tern_ring batches;  /* struct echo_batch */
    tern_link_id socket;
    struct tern_timer_queue timers;
    struct echo_peer peers[ECHO_PEERS_MAX];
    struct echo_link *links;
    size_t links_capacity;
    struct tern_job job;
    bool job_out;
    uint64_t job_result;
    struct tern_store_request request;
    struct tern_store_op op;
    bool request_out;
    uint8_t value[8];
    uint8_t result[64];
    bool found;           /* the store has told rounds_base; before, nothing is written */
    uint64_t rounds_base; /* found in the store */
    uint64_t rounds;
};

static uint8_t echo_byte(uint64_t place)
{
    return (uint8_t)(place ^ (place >> 8) ^ (place >> 16));
}

static void echo_command(struct echo *e, const struct tern_command *command)
{
    TERN_CHECK(tern_ring_push(&e->commands, command) == TERN_OK);
}

static void echo_link_command(struct echo *e, enum tern_command_kind kind, tern_link_id link)
{
    echo_command(e, &(struct tern_command){.kind = kind, .link = link});
}

static void echo_set(struct echo *e, struct echo_peer *peer, tern_time deadline)
{
    TERN_CHECK(tern_timer_set(&e->timers, &peer->timer, deadline) == TERN_OK);
}

/* --- links --- */

static struct echo_link *echo_find(struct echo *e, tern_link_id id)
{
    uint32_t slot = tern_link_slot(id);
    TERN_CHECK(slot < e->links_capacity && e->links[slot].id == id);
    return &e->links[slot];
}

static struct echo_link *echo_open(struct echo *e, tern_link_id id, struct echo_peer *peer)
{
    uint32_t slot = tern_link_slot(id);
    TERN_CHECK(slot < ECHO_LINKS_MAX);
    if (slot >= e->links_capacity) {
        size_t capacity = e->links_capacity == 0 ? 8 : e->links_capacity * 2;
        while (capacity <= slot)
            capacity *= 2;
        e->links = tern_mem_realloc(e->mem, e->links, e->links_capacity * sizeof(*e->links),
                                    capacity * sizeof(*e->links));
        TERN_CHECK(e->links != NULL);
        for (size_t i = e->links_capacity; i < capacity; i++)
            e->links[i].id = TERN_LINK_NONE;
        e->links_capacity = capacity;
    }
    TERN_CHECK(e->links[slot].id == TERN_LINK_NONE);
    e->links[slot] = (struct echo_link){.id = id, .peer = peer};
    return &e->links[slot];
}

static void echo_rest(struct echo *e, struct echo_peer *peer, tern_time now)
{
    peer->state = ECHO_RESTING;
    peer->link = TERN_LINK_NONE;
    echo_set(e, peer, now + TERN_SECOND / 2 + tern_random_below(&e->random, TERN_SECOND));
}

/* --- rounds --- */

static void echo_job_run(struct tern_job *job)
{
    struct echo *e = TERN_CONTAINER_OF(job, struct echo, job);
    for (uint64_t i = 0; i < 64; i++)
        e->job_result = e->job_result * 3 + i;
}

static void echo_work(struct echo *e)
{
    uint32_t every = e->net->options.job_every;
    if (every == 0 || e->rounds % every != 0 || e->job_out)
        return;
    e->job_out = true;
    e->job.run = echo_job_run;
    e->job.cost_ns = 300 * TERN_MICROSECOND;
    echo_command(e, &(struct tern_command){.kind = TERN_COMMAND_JOB, .job = &e->job});
}

/* echo_ask asks the store for the count that was written last. */
static void echo_ask(struct echo *e)
{
    e->request =
        (struct tern_store_request){.kind = TERN_STORE_GET,
                                    .key = tern_view_str("rounds"),
                                    .result = {.data = e->result, .size = sizeof(e->result)}};
    tern_list_init(&e->request.link);
    e->request_out = true;
    echo_command(e, &(struct tern_command){.kind = TERN_COMMAND_STORE, .request = &e->request});
}

static void echo_store(struct echo *e)
{
    uint32_t every = e->net->options.store_every;
    if (every == 0 || e->rounds % every != 0 || e->request_out)
        return;
    if (!e->found) { /* the store failed; a lower count must never replace a higher one */
        echo_ask(e);
        return;
    }
    struct tern_writer w = tern_writer_of(e->value, sizeof(e->value));
    tern_writer_u64le(&w, e->rounds_base + e->rounds);
    e->op = (struct tern_store_op){.kind = TERN_STORE_PUT,
                                   .key = tern_view_str("rounds"),
                                   .value = tern_view_of(e->value, sizeof(e->value))};
    e->request.kind = TERN_STORE_WRITE;
    e->request.ops = &e->op;
    e->request.ops_count = 1;
    e->request_out = true;
    echo_command(e, &(struct tern_command){.kind = TERN_COMMAND_STORE, .request = &e->request});
}

/* --- datagrams --- */

static void echo_push_batch(struct echo *e, const struct echo_batch *batch)
{
    if (tern_ring_push(&e->batches, batch) == TERN_OK) /* else they are lost, as datagrams are */
        echo_link_command(e, TERN_COMMAND_TRANSMIT, e->socket);
}

static void echo_ask_datagrams(struct echo *e, const struct echo_peer *peer)
{
    uint32_t most = e->net->options.datagrams;
    if (most == 0 || e->socket == TERN_LINK_NONE)
        return;
    /* Not drawn, so that all else is the same with and without datagrams. */
    struct echo_batch batch = {
        .to = sim_world_endpoint(e->world, peer->node, ECHO_PORT),
        .peer = (uint8_t)peer->index,
        .count = (uint8_t)(1 + (e->rounds * 7 + peer->index) % most),
    };
    echo_push_batch(e, &batch);
}

static void echo_datagram(struct echo *e, const struct tern_path *path, struct tern_view datagram)
{
    TERN_CHECK(datagram.size == ECHO_DATAGRAM_SIZE && datagram.data[0] <= 1);
    for (size_t i = 3; i < datagram.size; i++)
        TERN_CHECK(datagram.data[i] == echo_byte(i + datagram.data[2]));
    if (datagram.data[0] == 1) {
        TERN_CHECK(datagram.data[1] < e->node->peers_count);
        e->node->peer_datagrams[datagram.data[1]]++;
        return;
    }
    struct echo_batch batch = {.to = path->remote,
                               .back = true,
                               .peer = datagram.data[1],
                               .first = datagram.data[2],
                               .count = 1};
    echo_push_batch(e, &batch);
}

static void echo_datagrams(struct echo *e, const struct tern_datagrams *got)
{
    for (size_t at = 0; at < got->data.size; at += got->segment_size)
        echo_datagram(
            e, &got->path,
            tern_view_part(got->data, at, tern_min_size(got->data.size - at, got->segment_size)));
}

static bool echo_out(void *self, tern_time now, tern_link_id socket, struct tern_datagrams_out *out)
{
    struct echo *e = self;
    struct echo_batch batch;
    (void)now;
    TERN_CHECK(socket == e->socket);
    if (!tern_ring_pop(&e->batches, &batch))
        return false;
    for (uint8_t i = 0; i < batch.count; i++) {
        uint8_t number = (uint8_t)(batch.first + i);
        uint8_t *to = tern_writer_reserve(&out->writer, ECHO_DATAGRAM_SIZE);
        to[0] = batch.back;
        to[1] = batch.peer;
        to[2] = number;
        for (size_t j = 3; j < ECHO_DATAGRAM_SIZE; j++)
            to[j] = echo_byte(j + number);
    }
    out->path.remote = batch.to;
    out->segment_size = ECHO_DATAGRAM_SIZE;
    return true;
}

/* --- rounds with one peer --- */

static void echo_round_begin(struct echo *e, struct echo_peer *peer, tern_time now)
{
    struct echo_link *link = echo_find(e, peer->link);
    link->want += 1 + tern_random_below(&e->random, e->net->options.message_bytes);
    peer->state = ECHO_WAITING;
    peer->began = now;
    echo_set(e, peer, now + echo_patience_ns);
    echo_link_command(e, TERN_COMMAND_TRANSMIT, link->id);
    echo_ask_datagrams(e, peer);
}

static void echo_round_end(struct echo *e, struct echo_peer *peer, tern_time now)
{
    e->rounds++;
    e->node->rounds++;
    e->node->peer_rounds[peer->index]++;
    e->node->rtt_sum += now - peer->began;
    peer->state = ECHO_IDLE;
    echo_set(e, peer, now + 1 + tern_random_below(&e->random, 2 * e->net->options.interval_ns));
    echo_work(e);
    echo_store(e);
}

/* --- inputs --- */

static void echo_data(struct echo *e, tern_time now, const struct tern_input *in)
{
    struct echo_link *link = echo_find(e, in->link);
    size_t take = in->data.size;
    if (!e->net->options.greedy && take > 1 && tern_random_chance(&e->random, 1, 8)) {
        take = (size_t)tern_random_below(&e->random, take);
        echo_link_command(e, TERN_COMMAND_READ, in->link);
    }
    for (size_t i = 0; i < take; i++)
        TERN_CHECK(in->data.data[i] == echo_byte(link->got + i));
    link->got += take;
    *in->used = take;
    if (link->peer == NULL) {
        link->want = link->got;
        if (link->want > link->sent)
            echo_link_command(e, TERN_COMMAND_TRANSMIT, in->link);
        return;
    }
    TERN_CHECK(link->got <= link->sent);
    if (link->got == link->want && link->peer->state == ECHO_WAITING)
        echo_round_end(e, link->peer, now);
}

static void echo_closed(struct echo *e, tern_time now, tern_link_id id)
{
    struct echo_link *link = echo_find(e, id);
    link->id = TERN_LINK_NONE;
    if (link->peer == NULL)
        return;
    e->node->linked--;
    echo_rest(e, link->peer, now);
}

static void echo_dialed(struct echo *e, tern_time now, const struct tern_input *in)
{
    TERN_CHECK(in->token < e->node->peers_count);
    struct echo_peer *peer = &e->peers[in->token];
    TERN_CHECK(peer->state == ECHO_DIALLING);
    peer->link = in->link;
    (void)echo_open(e, in->link, peer);
    e->node->linked++;
    echo_round_begin(e, peer, now);
}

static void echo_stored(struct echo *e, const struct tern_store_request *request)
{
    e->request_out = false;
    if (request->kind == TERN_STORE_WRITE) {
        uint64_t count = 0;
        for (size_t i = sizeof(e->value); i > 0; i--)
            count = count << 8 | e->value[i - 1];
        if (request->err == TERN_OK && count > e->node->durable)
            e->node->durable = count;
        return;
    }
    if (request->err == TERN_OK) {
        TERN_CHECK(request->result_size == 8 + 6 + 8);
        for (size_t i = 8; i > 0; i--)
            e->rounds_base = e->rounds_base << 8 | e->result[14 + i - 1];
    }
    if (request->err == TERN_OK || request->err == TERN_ERR_NOT_FOUND) {
        e->found = true;
        e->node->found = e->rounds_base;
        if (e->node->found < e->node->durable)
            e->net->lost_writes = true;
    }
}

static void echo_due(struct echo *e, tern_time now, struct echo_peer *peer)
{
    switch (peer->state) {
    case ECHO_RESTING:
        peer->state = ECHO_DIALLING;
        echo_command(e, &(struct tern_command){
                            .kind = TERN_COMMAND_DIAL,
                            .token = peer->index,
                            .endpoint = sim_world_endpoint(e->world, peer->node, ECHO_PORT)});
        return;
    case ECHO_IDLE:
        echo_round_begin(e, peer, now);
        return;
    case ECHO_WAITING:
        echo_link_command(e, TERN_COMMAND_ABORT, peer->link);
        return;
    case ECHO_DIALLING:
        break;
    }
    TERN_UNREACHABLE();
}

static void echo_tick(struct echo *e, tern_time now)
{
    for (struct tern_timer *timer = tern_timer_pop(&e->timers, now); timer != NULL;
         timer = tern_timer_pop(&e->timers, now))
        echo_due(e, now, TERN_CONTAINER_OF(timer, struct echo_peer, timer));
}

static void echo_input(void *self, tern_time now, const struct tern_input *in)
{
    struct echo *e = self;
    switch (in->kind) {
    case TERN_INPUT_DATA:
        echo_data(e, now, in);
        return;
    case TERN_INPUT_DIALED:
        echo_dialed(e, now, in);
        return;
    case TERN_INPUT_DIAL_FAIL:
        echo_rest(e, &e->peers[in->token], now);
        return;
    case TERN_INPUT_ACCEPTED:
        (void)echo_open(e, in->link, NULL);
        return;
    case TERN_INPUT_LINK_END:
        echo_link_command(e, TERN_COMMAND_CLOSE, in->link);
        return;
    case TERN_INPUT_LINK_CLOSED:
        echo_closed(e, now, in->link);
        return;
    case TERN_INPUT_BOUND:
        e->socket = in->link;
        return;
    case TERN_INPUT_DATAGRAMS:
        echo_datagrams(e, in->datagrams);
        return;
    case TERN_INPUT_NETWORK:
        e->node->networks++;
        return;
    case TERN_INPUT_STORED:
        echo_stored(e, in->request);
        return;
    case TERN_INPUT_JOB_DONE:
        e->job_out = false;
        e->node->jobs++;
        return;
    case TERN_INPUT_TICK:
        echo_tick(e, now);
        return;
    case TERN_INPUT_WALL:
    case TERN_INPUT_LISTENING:
        return;
    case TERN_INPUT_LISTEN_FAIL:
    case TERN_INPUT_RESOLVED:
    case TERN_INPUT_BIND_FAIL:
        break;
    }
    TERN_UNREACHABLE();
}

static bool echo_next_command(void *self, struct tern_command *command)
{
    struct echo *e = self;
    return tern_ring_pop(&e->commands, command);
}

static void echo_transmit(void *self, tern_time now, tern_link_id id, struct tern_writer *out)
{
    (void)now;
    struct echo_link *link = echo_find(self, id);
    uint64_t left = link->want - link->sent;
    size_t size = tern_writer_left(out) < left ? tern_writer_left(out) : (size_t)left;
    uint8_t *to = tern_writer_reserve(out, size);
    for (size_t i = 0; i < size; i++)
        to[i] = echo_byte(link->sent + i);
    link->sent += size;
}

static tern_time echo_deadline(void *self)
{
    const struct echo *e = self;
    return tern_timer_next(&e->timers);
}

static const struct tern_machine_ops echo_ops = {
    .input = echo_input,
    .next_command = echo_next_command,
    .transmit = echo_transmit,
    .datagrams = echo_out,
    .deadline = echo_deadline,
};

/* --- life --- */

static void echo_begin(struct echo *e, tern_time now)
{
    echo_command(e, &(struct tern_command){.kind = TERN_COMMAND_LISTEN,
                                           .endpoint = {.family = 4, .port = ECHO_PORT}});
    if (e->net->options.datagrams > 0)
        echo_command(e, &(struct tern_command){.kind = TERN_COMMAND_BIND,
                                               .endpoint = {.family = 4, .port = ECHO_PORT}});
    tern_list_init(&e->job.link);
    echo_ask(e);
    for (uint32_t i = 0; i < e->node->peers_count; i++) {
        struct echo_peer *peer = &e->peers[i];
        *peer = (struct echo_peer){.node = e->node->peers[i], .index = i};
        tern_timer_init(&peer->timer);
        echo_rest(e, peer, now);
    }
}

static tern_err echo_start(void *context, const struct sim_node_start *start,
                           struct tern_machine *machine)
{
    struct echo_net *net = context;
    struct echo *e = tern_mem_zalloc(start->mem, sizeof(*e));
    TERN_CHECK(e != NULL);
    e->net = net;
    e->node = &net->nodes[start->node];
    e->node->linked = 0;
    e->mem = start->mem;
    e->trace = start->trace;
    e->world = start->world;
    e->index = start->node;
    tern_random_init(&e->random, start->seed);
    tern_ring_init(&e->commands, e->mem, sizeof(struct tern_command), ECHO_COMMANDS_MAX);
    tern_ring_init(&e->batches, e->mem, sizeof(struct echo_batch), ECHO_BATCHES_MAX);
    e->socket = TERN_LINK_NONE;
    tern_timer_queue_init(&e->timers, e->mem);
    TERN_TRACE(e->trace, start->now, NODE_START, 0, 0, 0);
    echo_begin(e, start->now);
    *machine = (struct tern_machine){.ops = &echo_ops, .self = e};
    return TERN_OK;
}

static void echo_stop(void *context, uint32_t node, struct tern_machine machine)
{
    struct echo *e = machine.self;
    TERN_CHECK(e->net == context && e->index == node && !e->job_out && !e->request_out);
    e->node->linked = 0;
    tern_timer_queue_fini(&e->timers);
    tern_ring_fini(&e->commands);
    tern_ring_fini(&e->batches);
    tern_mem_free(e->mem, e->links, e->links_capacity * sizeof(*e->links));
    tern_mem_free(e->mem, e, sizeof(*e));
}

static const struct sim_node_ops echo_node_ops = {.start = echo_start, .stop = echo_stop};

static void echo_edge(void *context, uint32_t from, uint32_t to)
{
    struct echo_net *net = context;
    struct echo_node *node = &net->nodes[from];
    TERN_CHECK(node->peers_count < ECHO_PEERS_MAX);
    node->peers[node->peers_count++] = to;
}

struct echo_net *echo_net_open(const struct echo_options *options, uint64_t seed)
{
    struct tern_mem mem;
    struct tern_random random;
    tern_mem_init(&mem, 0);
    struct echo_net *net = tern_mem_zalloc(&mem, sizeof(*net));
    TERN_CHECK(net != NULL);
    net->options = *options;
    TERN_CHECK(options->datagrams <= TERN_DATAGRAMS_SEGMENTS_MAX);
    net->nodes = tern_mem_zalloc(&mem, options->nodes * sizeof(*net->nodes));
    TERN_CHECK(net->nodes != NULL);
    net->mem = mem;
    tern_random_init_u64(&random, seed);
    sim_topology_random(&random, options->nodes, options->degree,
                        &(struct sim_edges){.edge = echo_edge, .context = net});
    return net;
}

void echo_net_setup(void *self, struct sim_world *world)
{
    struct echo_net *net = self;
    struct sim_node_options options = {.ops = &echo_node_ops, .context = net};
    for (uint32_t i = 0; i < net->options.nodes; i++)
        TERN_CHECK(sim_world_add(world, &options) == i);
    for (uint32_t i = 0; i < net->options.nodes; i++)
        TERN_CHECK(sim_world_start(world, i) == TERN_OK);
}

void echo_net_close(void *self)
{
    struct echo_net *net = self;
    struct tern_mem mem = net->mem;
    tern_mem_free(&mem, net->nodes, net->options.nodes * sizeof(*net->nodes));
    tern_mem_free(&mem, net, sizeof(*net));
    tern_mem_fini(&mem);
}

uint64_t echo_net_rounds(const struct echo_net *net)
{
    uint64_t rounds = 0;
    for (uint32_t i = 0; i < net->options.nodes; i++)
        rounds += net->nodes[i].rounds;
    return rounds;
}

bool echo_net_safe(void *self, struct sim_world *world)
{
    const struct echo_net *net = self;
    (void)world;
    return !net->lost_writes;
}

void echo_net_healed(void *self, struct sim_world *world)
{
    const struct echo_net *net = self;
    (void)world;
    for (uint32_t i = 0; i < net->options.nodes; i++) {
        memset(net->nodes[i].peer_rounds, 0, sizeof(net->nodes[i].peer_rounds));
        memset(net->nodes[i].peer_datagrams, 0, sizeof(net->nodes[i].peer_datagrams));
    }
}

bool echo_net_converged(void *self, struct sim_world *world)
{
    const struct echo_net *net = self;
    (void)world;
    for (uint32_t i = 0; i < net->options.nodes; i++) {
        const struct echo_node *node = &net->nodes[i];
        if (node->linked < node->peers_count)
            return false;
        for (uint32_t j = 0; j < node->peers_count; j++) {
            if (node->peer_rounds[j] == 0 ||
                (net->options.datagrams > 0 && node->peer_datagrams[j] == 0))
                return false;
        }
    }
    return true;
}

static void *echo_scenario_open(uint64_t seed, struct sim_world_options *world,
                                struct sim_faults_options *faults)
{
    const struct echo_options options = {.nodes = 12,
                                         .degree = 3,
                                         .interval_ns = 200 * TERN_MILLISECOND,
                                         .message_bytes = 20000,
                                         .store_every = 3,
                                         .job_every = 2,
                                         .datagrams = 8};
    sim_world_options_draw(world, seed);
    sim_faults_options_draw(faults, seed);
    faults->kinds[SIM_FAULT_MOVE].every_ns = seed % 3 == 1 ? 5 * TERN_SECOND : 0;
    faults->kinds[SIM_FAULT_MOVE].most_ns = 10 * TERN_SECOND;
    return echo_net_open(&options, seed);
}

const struct sim_scenario echo_scenario = {
    .name = "echo",
    .open = echo_scenario_open,
    .setup = echo_net_setup,
    .safe = echo_net_safe,
    .healed = echo_net_healed,
    .converged = echo_net_converged,
    .close = echo_net_close,
    .safety_ns = 60 * TERN_SECOND,
    .liveness_ns = 150 * TERN_SECOND,
    .look_ns = 100 * TERN_MILLISECOND,
};
