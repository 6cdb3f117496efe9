#include "runtime/sim/puppet_testing.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "runtime/sim/capture_testing.h"

static uint8_t puppet_byte(uint64_t place)
{
    return (uint8_t)((place * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static struct puppet_link *puppet_link_at(struct puppet *p, tern_link_id id)
{
    TERN_CHECK(tern_link_slot(id) < PUPPET_LINKS_MAX);
    struct puppet_link *link = &p->links[tern_link_slot(id)];
    TERN_CHECK(link->id == id);
    return link;
}

__attribute__((format(printf, 3, 4))) static void puppet_log(struct puppet *p, tern_time now,
                                                             const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    TERN_CHECK(size > 0 && (size_t)size < sizeof(text));
    golden_line(p->log, "%" PRIu64 ".%03" PRIu64 " %c %s", now / TERN_MILLISECOND,
                now / TERN_MICROSECOND % 1000, (char)('a' + p->node), text);
}

static void puppet_opened(struct puppet *p, tern_link_id id)
{
    TERN_CHECK(tern_link_slot(id) < PUPPET_LINKS_MAX);
    p->links[tern_link_slot(id)] = (struct puppet_link){.id = id, .take_max = UINT64_MAX};
}

static void puppet_data(struct puppet *p, tern_time now, const struct tern_input *in)
{
    struct puppet_link *link = puppet_link_at(p, in->link);
    uint64_t left = link->take_max - link->got;
    size_t take = in->data.size;
    if (take > left)
        take = (size_t)left;
    for (size_t i = 0; i < take; i++)
        TERN_CHECK(in->data.data[i] == puppet_byte(link->got + i));
    TERN_CHECK(*in->used == in->data.size);
    memset(in->data.data, 0, take); /* the bytes are ours to change */
    link->got += take;
    *in->used = take;
    if (!p->quiet_data)
        puppet_log(p, now, "data %u: %zu of %zu", tern_link_slot(in->link), take, in->data.size);
}

static void puppet_log_link(struct puppet *p, tern_time now, const struct tern_input *in)
{
    unsigned slot = tern_link_slot(in->link);
    if (in->kind == TERN_INPUT_ACCEPTED)
        puppet_log(p, now, "accepted %u from 10.%u.%u.%u on %" PRIu64, slot, in->remote.ip[1],
                   in->remote.ip[2], in->remote.ip[3], in->token);
    else if (in->kind == TERN_INPUT_DIALED)
        puppet_log(p, now, "dialed %u for %" PRIu64, slot, in->token);
    else if (in->kind == TERN_INPUT_LINK_END)
        puppet_log(p, now, "end %u", slot);
    else
        puppet_log(p, now, "closed %u: %s", slot, tern_err_name(in->err));
}

static void puppet_datagrams(struct puppet *p, tern_time now, const struct tern_input *in)
{
    const struct tern_datagrams *got = in->datagrams;
    size_t last = got->data.size % got->segment_size;
    size_t count = got->data.size / got->segment_size;
    char from[CAPTURE_ENDPOINT_SIZE];
    char tail[16] = "";
    (void)puppet_link_at(p, in->link);
    for (size_t i = 0; i < got->data.size; i++)
        TERN_CHECK(got->data.data[i] == puppet_byte(i % got->segment_size));
    p->datagrams += count + (last > 0);
    if (p->scribbles)
        got->chunk->data[0]++;
    if (p->quiet_data)
        return;
    if (last > 0)
        snprintf(tail, sizeof(tail), " + %zu", last);
    puppet_log(p, now, "got %u: %zu x %u%s from %s%s", tern_link_slot(in->link), count,
               got->segment_size, tail, capture_endpoint(&got->path.remote, from),
               got->ecn == 3 ? ", marked" : "");
}

static void puppet_log_other(struct puppet *p, tern_time now, const struct tern_input *in)
{
    if (in->kind == TERN_INPUT_LISTENING)
        puppet_log(p, now, "listening on %u", in->local.port);
    else if (in->kind == TERN_INPUT_LISTEN_FAIL)
        puppet_log(p, now, "listen failed: %s", tern_err_name(in->err));
    else if (in->kind == TERN_INPUT_DIAL_FAIL)
        puppet_log(p, now, "dial %" PRIu64 " failed: %s", in->token, tern_err_name(in->err));
    else if (in->kind == TERN_INPUT_JOB_DONE)
        puppet_log(p, now, "job %u done", in->job->owner_slot);
    else if (in->kind == TERN_INPUT_STORED)
        puppet_log(p, now, "stored %" PRIu64 ": %s, %zu rows", in->request->owner_tag,
                   tern_err_name(in->request->err), in->request->rows_count);
    else if (in->kind == TERN_INPUT_RESOLVED)
        puppet_log(p, now, "resolved %" PRIu64 ": %s, %zu", in->token, tern_err_name(in->err),
                   in->resolved_count);
    else if (in->kind == TERN_INPUT_TICK)
        puppet_log(p, now, "tick");
    else if (in->kind == TERN_INPUT_BIND_FAIL)
        puppet_log(p, now, "bind failed: %s", tern_err_name(in->err));
    else if (in->kind == TERN_INPUT_NETWORK)
        puppet_log(p, now, "network");
}

static void puppet_input(void *self, tern_time now, const struct tern_input *in)
{
    struct puppet *p = self;
    TERN_CHECK(now >= p->last_input);
    p->last_input = now;
    switch (in->kind) {
    case TERN_INPUT_WALL:
        p->wall = in->wall;
        return;
    case TERN_INPUT_DATA:
        puppet_data(p, now, in);
        return;
    case TERN_INPUT_DIALED:
    case TERN_INPUT_ACCEPTED:
        puppet_opened(p, in->link);
        puppet_log_link(p, now, in);
        return;
    case TERN_INPUT_BOUND:
        puppet_opened(p, in->link);
        puppet_log(p, now, "bound %u on %u", tern_link_slot(in->link), in->local.port);
        return;
    case TERN_INPUT_DATAGRAMS:
        puppet_datagrams(p, now, in);
        return;
    case TERN_INPUT_LINK_END:
    case TERN_INPUT_LINK_CLOSED:
        (void)puppet_link_at(p, in->link);
        puppet_log_link(p, now, in);
        if (in->kind == TERN_INPUT_LINK_CLOSED)
            p->links[tern_link_slot(in->link)].id = TERN_LINK_NONE;
        return;
    case TERN_INPUT_TICK:
        TERN_CHECK(p->deadline <= now);
        p->deadline = TERN_TIME_NEVER;
        break;
    case TERN_INPUT_LISTENING:
    case TERN_INPUT_LISTEN_FAIL:
    case TERN_INPUT_DIAL_FAIL:
    case TERN_INPUT_JOB_DONE:
    case TERN_INPUT_STORED:
    case TERN_INPUT_RESOLVED:
    case TERN_INPUT_BIND_FAIL:
    case TERN_INPUT_NETWORK:
        break;
    }
    puppet_log_other(p, now, in);
}

static bool puppet_next_command(void *self, struct tern_command *command)
{
    struct puppet *p = self;
    if (p->commands_count == 0)
        return false;
    *command = p->commands[0];
    p->commands_count--;
    memmove(p->commands, p->commands + 1, p->commands_count * sizeof(p->commands[0]));
    return true;
}

static void puppet_transmit(void *self, tern_time now, tern_link_id id, struct tern_writer *out)
{
    (void)now;
    struct puppet_link *link = puppet_link_at(self, id);
    while (link->to_send > 0 && tern_writer_left(out) > 0) {
        tern_writer_u8(out, puppet_byte(link->sent++));
        link->to_send--;
    }
}

static bool puppet_out(void *self, tern_time now, tern_link_id id, struct tern_datagrams_out *out)
{
    struct puppet *p = self;
    (void)now;
    (void)puppet_link_at(p, id);
    TERN_CHECK(out->writer.size == 0 && tern_writer_left(&out->writer) == TERN_DATAGRAMS_SIZE_MAX);
    if (p->batches_count == 0 || p->batches[0].slot != tern_link_slot(id))
        return false;
    struct puppet_batch batch = p->batches[0];
    p->batches_count--;
    memmove(p->batches, p->batches + 1, p->batches_count * sizeof(p->batches[0]));
    size_t last = batch.last_size == 0 ? batch.size : batch.last_size;
    size_t size = (batch.count - 1U) * (size_t)batch.size + last;
    for (size_t i = 0; i < size; i++)
        tern_writer_u8(&out->writer, puppet_byte(i % batch.size));
    out->path.remote = batch.to;
    out->ecn = batch.ecn;
    out->segment_size = batch.size;
    return true;
}

static tern_time puppet_deadline(void *self)
{
    const struct puppet *p = self;
    return p->deadline;
}

static const struct tern_machine_ops puppet_ops = {
    .input = puppet_input,
    .next_command = puppet_next_command,
    .transmit = puppet_transmit,
    .datagrams = puppet_out,
    .deadline = puppet_deadline,
};

static tern_err puppet_start(void *context, const struct sim_node_start *start,
                             struct tern_machine *machine)
{
    struct puppet *puppets = context;
    struct puppet *p = &puppets[start->node];
    if (p->start_err != TERN_OK)
        return p->start_err;
    struct golden *log = p->log;
    *p = (struct puppet){.log = log,
                         .node = start->node,
                         .deadline = TERN_TIME_NEVER,
                         .mem = start->mem,
                         .starts = start->incarnation + 1,
                         .wall = start->wall,
                         .held = tern_mem_alloc(start->mem, 10)};
    for (size_t i = 0; i < PUPPET_LINKS_MAX; i++)
        p->links[i].id = TERN_LINK_NONE;
    memcpy(p->seed, start->seed, sizeof(p->seed));
    *machine = (struct tern_machine){.ops = &puppet_ops, .self = p};
    return TERN_OK;
}

static void puppet_stop(void *context, uint32_t node, struct tern_machine machine)
{
    struct puppet *puppets = context;
    TERN_CHECK(machine.self == &puppets[node]);
    if (!puppets[node].leak)
        tern_mem_free(puppets[node].mem, puppets[node].held, 10);
}

const struct sim_node_ops puppet_node_ops = {.start = puppet_start, .stop = puppet_stop};

uint32_t puppet_add(struct sim_world *world, struct puppet *puppets, struct golden *log)
{
    struct sim_node_options options = {.ops = &puppet_node_ops, .context = puppets};
    uint32_t node = sim_world_add(world, &options);
    puppets[node] = (struct puppet){.log = log};
    TERN_CHECK(sim_world_start(world, node) == TERN_OK);
    return node;
}

void puppet_do(struct sim_world *world, struct puppet *puppet, struct tern_command command)
{
    TERN_CHECK(puppet->commands_count < PUPPET_COMMANDS_MAX);
    puppet->commands[puppet->commands_count++] = command;
    sim_world_kick(world, puppet->node);
}

void puppet_listen(struct sim_world *world, struct puppet *puppet, uint16_t port)
{
    puppet_do(world, puppet,
              (struct tern_command){.kind = TERN_COMMAND_LISTEN,
                                    .token = 1,
                                    .endpoint = {.family = 4, .port = port}});
}

void puppet_dial(struct sim_world *world, struct puppet *puppet, uint32_t node, uint16_t port)
{
    puppet_do(world, puppet,
              (struct tern_command){.kind = TERN_COMMAND_DIAL,
                                    .token = 100 + node,
                                    .endpoint = sim_world_endpoint(world, node, port)});
}

void puppet_bind(struct sim_world *world, struct puppet *puppet, uint16_t port)
{
    puppet_do(world, puppet,
              (struct tern_command){
                  .kind = TERN_COMMAND_BIND, .token = 1, .endpoint = {.family = 4, .port = port}});
}

void puppet_say(struct sim_world *world, struct puppet *puppet, const struct puppet_batch *batch)
{
    TERN_CHECK(puppet->batches_count < PUPPET_BATCHES_MAX);
    puppet->batches[puppet->batches_count++] = *batch;
    puppet_link_do(world, puppet, TERN_COMMAND_TRANSMIT, batch->slot);
}

void puppet_send(struct sim_world *world, struct puppet *puppet, uint32_t slot, uint64_t size)
{
    puppet->links[slot].to_send += size;
    puppet_link_do(world, puppet, TERN_COMMAND_TRANSMIT, slot);
}

void puppet_link_do(struct sim_world *world, struct puppet *puppet, enum tern_command_kind kind,
                    uint32_t slot)
{
    TERN_CHECK(slot < PUPPET_LINKS_MAX);
    puppet_do(world, puppet, (struct tern_command){.kind = kind, .link = puppet->links[slot].id});
}
