#include "swarm/world_test_support.h"

#include <stdlib.h>

const char test_echo_name[] = "/test/echo/1";

/* --- events --- */

static void world_schedule(struct test_world *w, tern_time at, const struct test_event *event)
{
    TERN_CHECK(w->events_count < TEST_EVENTS_MAX);
    struct test_event *place = &w->events[w->events_count++];
    *place = *event;
    place->at = at;
    place->sequence = w->sequence++;
}

static void world_input(struct test_world *w, tern_time at, uint32_t node, struct tern_input in)
{
    world_schedule(w, at, &(struct test_event){.node = node, .in = in});
}

static size_t world_first(const struct test_world *w)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < w->events_count; i++)
        if (first == SIZE_MAX || w->events[i].at < w->events[first].at ||
            (w->events[i].at == w->events[first].at &&
             w->events[i].sequence < w->events[first].sequence))
            first = i;
    return first;
}

/* --- links --- */

static tern_link_id link_id(const struct test_world *w, uint32_t i)
{
    return (uint64_t)w->links[i].generation << 32 | i;
}

static uint32_t link_new(struct test_world *w, uint32_t node)
{
    for (uint32_t i = 0; i < TEST_LINKS_MAX; i++) {
        struct test_link *link = &w->links[i];
        if (link->used)
            continue;
        uint32_t generation = link->generation + 1;
        *link = (struct test_link){
            .used = true, .node = node, .generation = generation, .other = UINT32_MAX};
        return i;
    }
    TERN_UNREACHABLE();
}

static struct test_link *link_find(struct test_world *w, tern_link_id id)
{
    if (tern_link_slot(id) >= TEST_LINKS_MAX)
        return NULL; /* a test made it up */
    struct test_link *link = &w->links[tern_link_slot(id)];
    return link->used && link->generation == id >> 32 ? link : NULL;
}

static void link_closed(struct test_world *w, struct test_link *link, tern_time at, tern_err err)
{
    if (link->dead)
        return;
    link->dead = true;
    world_input(w, at, link->node,
                (struct tern_input){.kind = TERN_INPUT_LINK_CLOSED,
                                    .link = link_id(w, (uint32_t)(link - w->links)),
                                    .err = err});
}

static void link_transmit(struct test_world *w, tern_link_id id)
{
    static uint8_t buffer[1 << 17];
    struct test_link *link = link_find(w, id);
    if (link == NULL)
        return;
    struct test_node *node = w->nodes[link->node];
    for (;;) {
        struct tern_writer out = tern_writer_of(buffer, sizeof buffer);
        tern_swarm_transmit(node->swarm, w->now, id, &out);
        TERN_CHECK(tern_writer_ok(&out));
        if (out.size == 0)
            return;
        link->sent += out.size;
        if (link->other == UINT32_MAX || link->silent || w->mute)
            continue;
        struct test_link *other = &w->links[link->other];
        struct tern_mem *mem = &w->nodes[other->node]->mem;
        uint64_t fail_at = mem->fail_at; /* the world's own memory never fails */
        mem->fail_at = 0;
        struct tern_chunk *chunk = tern_chunk_copy(mem, tern_writer_view(&out));
        mem->fail_at = fail_at == 0 ? 0 : fail_at + 1;
        w->nodes[other->node]->chunks++;
        world_schedule(
            w, w->now + w->latency,
            &(struct test_event){.node = other->node,
                                 .in = {.kind = TERN_INPUT_DATA, .link = link_id(w, link->other)},
                                 .chunk = chunk});
    }
}

static void link_close(struct test_world *w, tern_link_id id, bool abort)
{
    struct test_link *link = link_find(w, id);
    if (link == NULL || link->dead)
        return;
    if (!abort)
        link_transmit(w, id);
    if (link->other != UINT32_MAX && !link->silent) {
        struct test_link *other = &w->links[link->other];
        if (abort)
            link_closed(w, other, w->now + w->latency, TERN_ERR_DISCONNECTED);
        else
            world_input(
                w, w->now + w->latency, other->node,
                (struct tern_input){.kind = TERN_INPUT_LINK_END, .link = link_id(w, link->other)});
    }
    link_closed(w, link, w->now, TERN_OK);
}

/* --- dialling --- */

static bool world_black_hole(const struct test_world *w, const struct tern_endpoint *endpoint)
{
    for (size_t i = 0; i < w->black_holes_count; i++)
        if (memcmp(w->black_holes[i].ip, endpoint->ip, 16) == 0 &&
            w->black_holes[i].port == endpoint->port)
            return true;
    return false;
}

static struct test_listener *world_listener(struct test_world *w,
                                            const struct tern_endpoint *endpoint)
{
    for (size_t i = 0; i < TERN_COUNT_OF(w->listeners); i++)
        if (w->listeners[i].used && w->listeners[i].endpoint.port == endpoint->port &&
            w->listeners[i].endpoint.family == endpoint->family &&
            memcmp(w->listeners[i].endpoint.ip, endpoint->ip, 16) == 0)
            return &w->listeners[i];
    return NULL;
}

static struct test_dial *world_dial(struct test_world *w, uint32_t node, tern_token token)
{
    for (size_t i = 0; i < TERN_COUNT_OF(w->dials); i++)
        if (w->dials[i].used && w->dials[i].node == node && w->dials[i].token == token)
            return &w->dials[i];
    return NULL;
}

static void world_dial_start(struct test_world *w, uint32_t node,
                             const struct tern_command *command)
{
    size_t i = 0;
    while (w->dials[i].used)
        i++;
    w->dials[i] = (struct test_dial){.used = true, .node = node, .token = command->token};
    if (w->dials_seen < TERN_COUNT_OF(w->dialled)) {
        w->dialled[w->dials_seen] = command->endpoint;
        w->dialled_at[w->dials_seen] = w->now;
    }
    w->dials_seen++;
    if (world_black_hole(w, &command->endpoint))
        return;
    world_schedule(w, w->now + w->latency,
                   &(struct test_event){.node = node,
                                        .connect = true,
                                        .in = {.token = command->token},
                                        .endpoint = command->endpoint});
}

/* world_connect: the SYN arrives. */
static void world_connect(struct test_world *w, const struct test_event *event)
{
    struct test_dial *dial = world_dial(w, event->node, event->in.token);
    struct test_listener *listener = world_listener(w, &event->endpoint);
    if (dial == NULL)
        return;
    dial->used = false;
    if (listener == NULL) {
        world_input(w, w->now + w->latency, event->node,
                    (struct tern_input){.kind = TERN_INPUT_DIAL_FAIL,
                                        .token = event->in.token,
                                        .err = TERN_ERR_REFUSED});
        return;
    }
    uint32_t a = link_new(w, event->node);
    uint32_t b = link_new(w, listener->node);
    w->links[a].other = b;
    w->links[b].other = a;
    struct tern_endpoint from = w->nodes[event->node]->ip;
    from.port = w->nodes[event->node]->port_next++;
    world_input(w, w->now, listener->node,
                (struct tern_input){.kind = TERN_INPUT_ACCEPTED,
                                    .link = link_id(w, b),
                                    .token = listener->token,
                                    .local = listener->endpoint,
                                    .remote = from});
    world_input(w, w->now + w->latency, event->node,
                (struct tern_input){.kind = TERN_INPUT_DIALED,
                                    .link = link_id(w, a),
                                    .token = event->in.token,
                                    .local = from,
                                    .remote = event->endpoint});
}

static void world_dial_cancel(struct test_world *w, uint32_t node, tern_token token)
{
    struct test_dial *dial = world_dial(w, node, token);
    if (dial == NULL)
        return; /* answered, or the answer is on its way */
    dial->used = false;
    world_input(
        w, w->now, node,
        (struct tern_input){.kind = TERN_INPUT_DIAL_FAIL, .token = token, .err = TERN_ERR_CLOSED});
}

static void world_listen(struct test_world *w, uint32_t node, const struct tern_command *command)
{
    struct tern_endpoint endpoint = command->endpoint;
    if (endpoint.port == 0)
        endpoint.port = w->nodes[node]->port_next++;
    if (world_listener(w, &endpoint) != NULL) {
        world_input(w, w->now, node,
                    (struct tern_input){.kind = TERN_INPUT_LISTEN_FAIL,
                                        .token = command->token,
                                        .err = TERN_ERR_EXISTS});
        return;
    }
    size_t i = 0;
    while (w->listeners[i].used)
        i++;
    w->listeners[i] = (struct test_listener){
        .used = true, .node = node, .token = command->token, .endpoint = endpoint};
    world_input(w, w->now, node,
                (struct tern_input){
                    .kind = TERN_INPUT_LISTENING, .token = command->token, .local = endpoint});
}

static void world_unlisten(struct test_world *w, uint32_t node, tern_token token)
{
    for (size_t i = 0; i < TERN_COUNT_OF(w->listeners); i++)
        if (w->listeners[i].used && w->listeners[i].node == node && w->listeners[i].token == token)
            w->listeners[i].used = false;
}

/* --- store and names --- */

static int row_compare(const void *a, const void *b)
{
    const struct test_row *x = a;
    const struct test_row *y = b;
    if (x->used != y->used)
        return x->used ? -1 : 1;
    return tern_view_compare(tern_view_of(x->key, x->key_size), tern_view_of(y->key, y->key_size));
}

static struct test_row *row_place(struct test_world *w, struct tern_view key)
{
    struct test_row *free_row = NULL;
    for (size_t i = 0; i < TEST_ROWS_MAX; i++) {
        struct test_row *row = &w->rows[i];
        if (row->used && tern_view_equal(tern_view_of(row->key, row->key_size), key))
            return row;
        if (!row->used && free_row == NULL)
            free_row = row;
    }
    TERN_CHECK(free_row != NULL && key.size <= sizeof free_row->key);
    memcpy(free_row->key, key.data, key.size);
    free_row->key_size = key.size;
    return free_row;
}

static void store_scan(struct test_world *w, struct tern_store_request *request)
{
    struct tern_writer out = tern_writer_of(request->result.data, request->result.size);
    qsort(w->rows, TEST_ROWS_MAX, sizeof w->rows[0], row_compare);
    request->rows_count = 0;
    request->more = false;
    for (size_t i = 0; i < TEST_ROWS_MAX && w->rows[i].used; i++) {
        const struct test_row *row = &w->rows[i];
        struct tern_view key = tern_view_of(row->key, row->key_size);
        if (tern_view_compare(key, request->key) < 0)
            continue;
        if (request->rows_count == request->rows_max ||
            tern_writer_left(&out) < 8 + row->key_size + row->value_size) {
            request->more = true;
            break;
        }
        tern_writer_u32le(&out, (uint32_t)row->key_size);
        tern_writer_u32le(&out, (uint32_t)row->value_size);
        tern_writer_bytes(&out, key);
        tern_writer_bytes(&out, tern_view_of(row->value, row->value_size));
        request->rows_count++;
    }
    request->result_size = out.size;
}

static void world_store(struct test_world *w, uint32_t node, struct tern_store_request *request)
{
    request->err = w->nodes[node]->store_fails ? TERN_ERR_STORAGE : TERN_OK;
    if (request->err == TERN_OK && request->kind == TERN_STORE_SCAN)
        store_scan(w, request);
    for (size_t i = 0; request->err == TERN_OK && i < request->ops_count; i++) {
        const struct tern_store_op *op = &request->ops[i];
        struct test_row *row = row_place(w, op->key);
        row->used = op->kind == TERN_STORE_PUT;
        TERN_CHECK(op->value.size <= sizeof row->value);
        if (row->used)
            memcpy(row->value, op->value.data, op->value.size);
        row->value_size = op->value.size;
    }
    world_input(w, w->now + TERN_MILLISECOND, node,
                (struct tern_input){.kind = TERN_INPUT_STORED, .request = request});
}

static void world_resolve(struct test_world *w, uint32_t node, const struct tern_command *command)
{
    struct tern_input in = {
        .kind = TERN_INPUT_RESOLVED, .token = command->token, .err = TERN_ERR_NOT_FOUND};
    w->resolves_seen++;
    for (size_t i = 0; i < w->names_count; i++)
        if (w->names[i].kind == command->resolve &&
            tern_view_equal(tern_view_str(w->names[i].name), command->name)) {
            in.err = TERN_OK;
            in.link = i + 1; /* see world_deliver */
        }
    world_input(w, w->now + w->latency, node, in);
}

/* --- the interpreter --- */

static void world_commands(struct test_node *node)
{
    struct test_world *w = node->world;
    struct tern_command command;
    while (tern_swarm_next_command(node->swarm, &command)) {
        switch (command.kind) {
        case TERN_COMMAND_LISTEN:
            world_listen(w, node->index, &command);
            break;
        case TERN_COMMAND_UNLISTEN:
            world_unlisten(w, node->index, command.token);
            break;
        case TERN_COMMAND_DIAL:
            world_dial_start(w, node->index, &command);
            break;
        case TERN_COMMAND_DIAL_CANCEL:
            world_dial_cancel(w, node->index, command.token);
            break;
        case TERN_COMMAND_TRANSMIT:
            link_transmit(w, command.link);
            break;
        case TERN_COMMAND_READ: {
            /* It may be the answer to the very input that leaves bytes to be held. */
            if (link_find(w, command.link) != NULL) {
                world_schedule(w, w->now,
                               &(struct test_event){
                                   .node = node->index,
                                   .in = {.kind = TERN_INPUT_DATA, .link = command.link},
                               });
            }
            break;
        }
        case TERN_COMMAND_SHUT:
        case TERN_COMMAND_BIND:
            TERN_UNREACHABLE();
        case TERN_COMMAND_CLOSE:
            link_close(w, command.link, false);
            break;
        case TERN_COMMAND_ABORT:
            link_close(w, command.link, true);
            break;
        case TERN_COMMAND_JOB:
            command.job->run(command.job);
            world_input(w, w->now + w->job_time, node->index,
                        (struct tern_input){.kind = TERN_INPUT_JOB_DONE, .job = command.job});
            break;
        case TERN_COMMAND_STORE:
            world_store(w, node->index, command.request);
            break;
        case TERN_COMMAND_RESOLVE:
            world_resolve(w, node->index, &command);
            break;
        }
    }
}

void test_input(struct test_node *node, const struct tern_input *in)
{
    tern_swarm_input(node->swarm, node->world->now, in);
    world_commands(node);
}

void test_kick(struct test_node *node)
{
    tern_swarm_dispatch(node->swarm, node->world->now);
    world_commands(node);
}

/* world_data gives a link's bytes, in order: new ones wait behind those that were not taken. */
static void world_data(struct test_world *w, struct test_event *event)
{
    struct test_link *link = link_find(w, event->in.link);
    struct test_node *node = w->nodes[event->node];
    if (link == NULL) {
        tern_chunk_unref(event->chunk);
        return;
    }
    struct tern_chunk *chunk = event->chunk;
    size_t from = 0;
    if (link->held != NULL && chunk != NULL) {
        uint64_t fail_at = node->mem.fail_at;
        node->mem.fail_at = 0;
        size_t left = link->held->size - link->held_from;
        struct tern_chunk *joined = tern_chunk_new(&node->mem, left + chunk->size);
        memcpy(joined->data, link->held->data + link->held_from, left);
        memcpy(joined->data + left, chunk->data, chunk->size);
        joined->size = (uint32_t)left + chunk->size;
        node->mem.fail_at = fail_at == 0 ? 0 : fail_at + 1;
        tern_chunk_unref(link->held);
        tern_chunk_unref(chunk);
        link->held = joined;
        link->held_from = 0;
        return; /* the world has stopped reading; READ sets it off again */
    }
    if (chunk == NULL) {
        chunk = link->held;
        from = link->held_from;
        link->held = NULL;
    }
    if (chunk == NULL)
        return;
    size_t used = 0;
    struct tern_input in = event->in;
    in.chunk = chunk;
    in.data = (struct tern_span){.data = chunk->data + from, .size = chunk->size - from};
    in.used = &used;
    test_input(node, &in);
    link = link_find(w, event->in.link);
    if (used < in.data.size && link != NULL) {
        link->held = chunk;
        link->held_from = from + used;
    } else {
        tern_chunk_unref(chunk);
    }
}

static void world_resolved(struct test_world *w, struct test_event *event)
{
    struct tern_view texts[4];
    struct tern_input in = event->in;
    if (in.err == TERN_OK) {
        const struct test_name *name = &w->names[in.link - 1];
        for (size_t i = 0; i < name->count; i++)
            if (name->texts[i] != NULL)
                texts[i] = tern_view_str(name->texts[i]);
        in.endpoints = name->endpoints;
        in.texts = texts;
        in.resolved_count = name->count;
    }
    in.link = 0;
    test_input(w->nodes[event->node], &in);
}

static void world_deliver(struct test_world *w, struct test_event event)
{
    struct test_node *node = w->nodes[event.node];
    if (node->swarm == NULL) {
        tern_chunk_unref(event.chunk);
        return;
    }
    if (event.connect) {
        world_connect(w, &event);
        return;
    }
    if (event.in.kind == TERN_INPUT_RESOLVED) {
        world_resolved(w, &event);
        return;
    }
    if (event.in.kind == TERN_INPUT_DATA) {
        world_data(w, &event);
        return;
    }
    struct test_link *link = NULL;
    if (event.in.kind == TERN_INPUT_LINK_CLOSED || event.in.kind == TERN_INPUT_LINK_END) {
        link = link_find(w, event.in.link);
        if (link == NULL)
            return;
    }
    test_input(node, &event.in);
    if (event.in.kind == TERN_INPUT_LINK_CLOSED) {
        tern_chunk_unref(link->held);
        link->held = NULL;
        link->used = false;
        if (link->other != UINT32_MAX)
            w->links[link->other].other = UINT32_MAX;
    }
}

void test_run(struct test_world *w, tern_time duration)
{
    tern_time end = w->now + duration;
    for (uint64_t steps = 0;; steps++) {
        TERN_CHECK(steps < 10000000);
        size_t first = world_first(w);
        tern_time at = first == SIZE_MAX ? TERN_TIME_NEVER : w->events[first].at;
        struct test_node *due = NULL;
        for (uint32_t i = 0; i < w->nodes_count; i++) {
            tern_time deadline = w->nodes[i]->swarm == NULL
                                     ? TERN_TIME_NEVER
                                     : tern_swarm_deadline(w->nodes[i]->swarm);
            if (deadline < at) {
                at = deadline;
                due = w->nodes[i];
            }
        }
        if (at > end)
            break;
        if (at > w->now)
            w->now = at;
        if (due != NULL) {
            test_input(due, &(struct tern_input){.kind = TERN_INPUT_TICK});
            continue;
        }
        struct test_event event = w->events[first];
        w->events[first] = w->events[--w->events_count];
        world_deliver(w, event);
    }
    w->now = end;
}

/* --- the recording service --- */

static void service_read(struct test_node *node, struct tern_stream stream, bool echo)
{
    for (;;) {
        struct tern_slice bytes;
        tern_err err = tern_swarm_read(node->swarm, stream, &bytes);
        if (err == TERN_ERR_END && echo) {
            if (tern_swarm_close_write(node->swarm, stream) != TERN_OK)
                node->failed_read = true;
        }
        if (err != TERN_OK)
            return;
        size_t size = bytes.view.size;
        if (echo) {
            size_t accepted = 0;
            if (tern_swarm_write(node->swarm, stream, bytes.view, &accepted) != TERN_OK)
                node->failed_read = true;
            if (accepted == 0)
                return;
            size = accepted;
        } else {
            node->received += size;
            memcpy(node->received_last, bytes.view.data,
                   tern_min_size(size, sizeof node->received_last));
        }
        tern_swarm_consume(node->swarm, stream, size);
    }
}

static void service_event(void *self, tern_time now, const struct tern_swarm_event *event)
{
    struct test_node *node = self;
    if (node->log_count < TEST_LOG_MAX) {
        struct test_news *news = &node->log[node->log_count++];
        *news = (struct test_news){.at = now, .event = *event};
        if (event->peer_id != NULL)
            news->peer_id = *event->peer_id;
    }
    bool inbound = event->protocol != NULL;
    if (event->kind == TERN_SWARM_STREAM_READABLE || event->kind == TERN_SWARM_STREAM_OPENED ||
        (inbound && event->kind == TERN_SWARM_STREAM_WRITABLE))
        if (!inbound || node->echo)
            service_read(node, event->stream, inbound);
    if (node->hook != NULL)
        node->hook(node, event);
}

static tern_time service_deadline(const void *self)
{
    (void)self;
    return TERN_TIME_NEVER;
}

static void service_tick(void *self, tern_time now)
{
    (void)self;
    (void)now;
}

static const struct tern_service_ops service_ops = {
    .name = "test",
    .event = service_event,
    .deadline = service_deadline,
    .tick = service_tick,
};

/* --- nodes --- */

struct tern_endpoint test_endpoint(const char *text, uint16_t port)
{
    struct tern_ip ip;
    tern_err err = tern_ip_parse(tern_view_str(text), &ip);
    TERN_CHECK(err == TERN_OK);
    struct tern_endpoint endpoint = {.family = ip.family, .port = port};
    memcpy(endpoint.ip, ip.bytes, tern_ip_size(&ip));
    return endpoint;
}

static void world_traced(void *context, const struct tern_trace_event *event)
{
    struct test_world *w = context;
    w->traced[event->id]++;
}

struct test_world *test_world_new(void)
{
    struct test_world *w = calloc(1, sizeof *w);
    TERN_CHECK(w != NULL);
    w->now = TEST_START;
    w->latency = 10 * TERN_MILLISECOND;
    w->job_time = TERN_MILLISECOND;
    w->trace = (struct tern_trace){.sink = world_traced, .context = w};
    return w;
}

struct test_node *test_node_add(struct test_world *w)
{
    struct test_node *node = calloc(1, sizeof *node);
    TERN_CHECK(node != NULL && w->nodes_count < TEST_NODES_MAX);
    node->world = w;
    node->index = w->nodes_count;
    node->ip = test_endpoint("10.0.0.0", 0);
    node->ip.ip[3] = (uint8_t)(node->index + 1);
    node->port_next = 40000;
    node->echo = true;
    uint8_t seed[32] = {(uint8_t)(node->index + 1)};
    tern_private_key_of_ed25519_seed(seed, &node->key);
    tern_public_key_peer_id(&node->key.public_key, &node->id);
    tern_mem_init(&node->mem, 0);
    tern_random_init_u64(&node->random, node->index + 1);
    tern_swarm_config_defaults(&node->config);
    node->config.secure[0] = TERN_SECURE_PLAINTEXT;
    node->config.mem = &node->mem;
    node->config.random = &node->random;
    node->config.metrics = &node->metrics;
    node->config.identity = &node->key;
    node->config.trace = &w->trace;
    w->nodes[w->nodes_count++] = node;
    return node;
}

bool test_node_start(struct test_node *node)
{
    node->swarm = tern_swarm_new(&node->config, node->world->now);
    if (node->swarm == NULL)
        return false;
    tern_err err = tern_swarm_add_service(node->swarm, &service_ops, node, &node->service);
    TERN_CHECK(err == TERN_OK);
    const struct tern_protocol echo = {
        .name = tern_view_str(test_echo_name), .handler = node->service, .class = TERN_STREAM_BULK};
    err = tern_swarm_handle(node->swarm, &echo);
    TERN_CHECK(err == TERN_OK);
    test_input(node, &(struct tern_input){.kind = TERN_INPUT_WALL,
                                          .wall = TEST_WALL + (node->world->now - TEST_START)});
    return true;
}

/* node_forget takes out of the world what it owes the node. */
static void node_forget(struct test_node *node)
{
    struct test_world *w = node->world;
    for (size_t i = w->events_count; i-- > 0;) {
        if (w->events[i].node != node->index)
            continue;
        tern_chunk_unref(w->events[i].chunk);
        w->events[i] = w->events[--w->events_count];
    }
    for (uint32_t i = 0; i < TEST_LINKS_MAX; i++) {
        struct test_link *link = &w->links[i];
        if (!link->used || link->node != node->index)
            continue;
        tern_chunk_unref(link->held);
        link->held = NULL;
        link->used = false;
        if (link->other != UINT32_MAX) {
            w->links[link->other].other = UINT32_MAX;
            if (!link->silent)
                link_closed(w, &w->links[link->other], w->now + w->latency, TERN_ERR_DISCONNECTED);
        }
    }
    for (size_t i = 0; i < TERN_COUNT_OF(w->listeners); i++)
        if (w->listeners[i].node == node->index)
            w->listeners[i].used = false;
    for (size_t i = 0; i < TERN_COUNT_OF(w->dials); i++)
        if (w->dials[i].node == node->index)
            w->dials[i].used = false;
}

void test_node_stop(struct test_node *node)
{
    if (node->swarm == NULL)
        return;
    tern_swarm_free(node->swarm);
    node->swarm = NULL;
    memset(node->balance, 0, sizeof node->balance);
    node_forget(node);
    TERN_CHECK(node->mem.used == 0);
}

void test_world_free(struct test_world *w)
{
    for (uint32_t i = 0; i < w->nodes_count; i++) {
        test_node_stop(w->nodes[i]);
        tern_mem_fini(&w->nodes[i]->mem);
        tern_private_key_fini(&w->nodes[i]->key);
        free(w->nodes[i]);
    }
    free(w);
}

void test_address(const struct test_node *node, struct tern_multiaddr *addr)
{
    struct tern_ip ip = {.family = 4};
    memcpy(ip.bytes, node->ip.ip, 4);
    *addr = (struct tern_multiaddr){.size = 0};
    tern_err err = tern_multiaddr_append_ip(addr, &ip);
    TERN_CHECK(err == TERN_OK);
    err = tern_multiaddr_append_port(addr, TERN_MULTIADDR_TCP, 4001);
    TERN_CHECK(err == TERN_OK);
}

void test_listen(struct test_node *node)
{
    struct tern_multiaddr addr;
    test_address(node, &addr);
    tern_err err = tern_swarm_listen(node->swarm, &addr);
    TERN_CHECK(err == TERN_OK);
    test_kick(node);
    test_run(node->world, 0);
}

tern_err test_dial(struct test_node *from, const struct test_node *to, tern_token token)
{
    struct tern_multiaddr addr;
    test_address(to, &addr);
    tern_err err = tern_swarm_dial(
        from->swarm, from->world->now,
        &(struct tern_dial_options){
            .id = &to->id, .addresses = &addr, .addresses_count = 1, .token = token});
    test_kick(from);
    return err;
}

const struct test_news *test_find(const struct test_node *node, enum tern_swarm_event_kind kind,
                                  size_t n)
{
    for (size_t i = 0; i < node->log_count; i++)
        if (node->log[i].event.kind == kind && n-- == 0)
            return &node->log[i];
    return NULL;
}

size_t test_count(const struct test_node *node, enum tern_swarm_event_kind kind)
{
    size_t count = 0;
    while (test_find(node, kind, count) != NULL)
        count++;
    return count;
}

const struct test_news *test_dial_done(const struct test_node *node, tern_token token)
{
    for (size_t i = 0; i < node->log_count; i++)
        if (node->log[i].event.kind == TERN_SWARM_DIAL_DONE && node->log[i].event.token == token)
            return &node->log[i];
    return NULL;
}

tern_peer test_connect(struct test_node *from, struct test_node *to)
{
    if (test_dial(from, to, tern_swarm_token(from->swarm)) != TERN_OK)
        return 0;
    test_run(from->world, TERN_SECOND);
    return tern_swarm_find_peer(from->swarm, &to->id);
}

tern_err test_try_open(struct test_node *node, tern_peer peer, struct tern_stream *stream)
{
    static const struct tern_view name = {(const uint8_t *)test_echo_name,
                                          sizeof test_echo_name - 1};
    tern_err err = tern_swarm_open_stream(
        node->swarm, node->world->now,
        &(struct tern_stream_request){
            .service = node->service,
            .peer = peer,
            .offer = {.names = &name, .names_count = 1, .class = TERN_STREAM_BULK},
            .user = 7,
        },
        stream);
    return err;
}

struct tern_stream test_open(struct test_node *node, tern_peer peer)
{
    struct tern_stream stream;
    tern_err err = test_try_open(node, peer, &stream);
    TERN_CHECK(err == TERN_OK);
    test_kick(node);
    return stream;
}

tern_token test_listener_token(const struct test_node *node)
{
    const struct test_world *w = node->world;
    for (uint32_t i = 0; i < TERN_COUNT_OF(w->listeners); i++)
        if (w->listeners[i].used && w->listeners[i].node == node->index)
            return w->listeners[i].token;
    return 0;
}

tern_link_id test_stranger(struct test_node *node, struct tern_endpoint from)
{
    struct test_world *w = node->world;
    uint32_t i = link_new(w, node->index);
    tern_link_id id = link_id(w, i);
    test_input(node, &(struct tern_input){.kind = TERN_INPUT_ACCEPTED,
                                          .link = id,
                                          .token = test_listener_token(node),
                                          .local = node->ip,
                                          .remote = from});
    return id;
}

void test_silence(struct test_node *a, struct test_node *b)
{
    struct test_world *w = a->world;
    for (uint32_t i = 0; i < TEST_LINKS_MAX; i++) {
        struct test_link *link = &w->links[i];
        if (!link->used || link->other == UINT32_MAX)
            continue;
        uint32_t other = w->links[link->other].node;
        if ((link->node == a->index && other == b->index) ||
            (link->node == b->index && other == a->index))
            link->silent = true;
    }
}
