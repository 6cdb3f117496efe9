#include "protocol/puppet_test_support.h"

static struct puppet_world *puppet_current;

static void puppet_write(struct puppet_world *pw, struct tern_stream stream, struct tern_view bytes)
{
    size_t accepted = 0;
    if (bytes.size == 0)
        return;
    tern_err err = tern_swarm_write(pw->puppet->swarm, stream, bytes, &accepted);
    TERN_CHECK(err == TERN_ERR_STALE || (err == TERN_OK && accepted == bytes.size));
}

static void puppet_hook(struct test_node *node, const struct tern_swarm_event *event)
{
    struct puppet_world *pw = puppet_current;
    if (node != pw->puppet || event->kind != TERN_SWARM_STREAM_OPENED)
        return;
    pw->asked = event->stream;
    pw->asked_count++;
    if (pw->answer.reset) {
        tern_swarm_reset(node->swarm, event->stream, TERN_STREAM_CODE_NONE);
        return;
    }
    puppet_write(pw, event->stream, pw->answer.bytes);
    if (!pw->answer.hold && !pw->answer.leave)
        TERN_CHECK(tern_swarm_close_write(node->swarm, event->stream) == TERN_OK);
}

void puppet_world_init(struct puppet_world *pw)
{
    *pw = (struct puppet_world){.world = test_world_new()};
    pw->node = test_node_add(pw->world);
    pw->puppet = test_node_add(pw->world);
    pw->puppet->echo = false;
    pw->puppet->hook = puppet_hook;
    puppet_current = pw;
    TERN_CHECK(test_node_start(pw->node));
    TERN_CHECK(test_node_start(pw->puppet));
    test_listen(pw->puppet);
}

void puppet_world_fini(struct puppet_world *pw)
{
    test_world_free(pw->world);
    puppet_current = NULL;
}

void puppet_serves(struct puppet_world *pw, const char *protocol)
{
    tern_err err = tern_swarm_handle(pw->puppet->swarm,
                                     &(struct tern_protocol){.name = tern_view_str(protocol),
                                                             .handler = pw->puppet->service,
                                                             .class = TERN_STREAM_CONTROL});
    TERN_CHECK(err == TERN_OK);
}

tern_peer puppet_connect(struct puppet_world *pw)
{
    tern_peer peer = test_connect(pw->node, pw->puppet);
    TERN_CHECK(peer != 0);
    return peer;
}

struct tern_stream puppet_open(struct puppet_world *pw, const char *protocol,
                               struct tern_view bytes, bool close)
{
    struct tern_stream stream;
    struct tern_view name = tern_view_str(protocol);
    tern_peer peer = tern_swarm_find_peer(pw->puppet->swarm, &pw->node->id);
    tern_err err = tern_swarm_open_stream(
        pw->puppet->swarm, pw->world->now,
        &(struct tern_stream_request){
            .service = pw->puppet->service,
            .peer = peer,
            .offer = {.names = &name, .names_count = 1, .class = TERN_STREAM_CONTROL},
            .user = 7},
        &stream);
    TERN_CHECK(err == TERN_OK);
    puppet_write(pw, stream, bytes);
    if (close)
        puppet_end(pw, stream);
    puppet_run(pw, TERN_SECOND / 10);
    return stream;
}

void puppet_say(struct puppet_world *pw, struct tern_stream stream, struct tern_view bytes)
{
    puppet_write(pw, stream, bytes);
    puppet_run(pw, TERN_SECOND / 10);
}

void puppet_end(struct puppet_world *pw, struct tern_stream stream)
{
    TERN_IGNORE(tern_swarm_close_write(pw->puppet->swarm, stream)); /* it may have ended */
    puppet_run(pw, TERN_SECOND / 10);
}

void puppet_run(struct puppet_world *pw, tern_time duration)
{
    if (pw->puppet->swarm != NULL)
        test_kick(pw->puppet);
    test_kick(pw->node);
    test_run(pw->world, duration);
}

void puppet_goes(struct puppet_world *pw)
{
    test_node_stop(pw->puppet);
    test_kick(pw->node);
    test_run(pw->world, TERN_SECOND);
}

uint64_t puppet_faults(const struct puppet_world *pw, tern_fault fault)
{
    return pw->node->metrics.faults[fault];
}

uint64_t puppet_faults_all(const struct puppet_world *pw)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < TERN_FAULT_COUNT; i++)
        sum += pw->node->metrics.faults[i];
    return sum;
}
