/*
 * For tests of services: a world of two nodes (swarm/world_test_support.h), one with the service
 * under test, the other a puppet that says on its streams whatever the test wants.
 */
#ifndef TERN_PROTOCOL_PUPPET_TEST_SUPPORT_H
#define TERN_PROTOCOL_PUPPET_TEST_SUPPORT_H

#include "swarm/world_test_support.h"

/* What the puppet does with streams that are opened to it. */
struct puppet_answer {
    struct tern_view bytes;
    bool hold;  /* say nothing and keep the stream open */
    bool leave; /* say it, and leave its side open */
    bool reset;
};

struct puppet_world {
    struct test_world *world;
    struct test_node *node; /* has the service */
    struct test_node *puppet;
    struct puppet_answer answer;
    struct tern_stream asked; /* the last stream opened to the puppet */
    size_t asked_count;
};

/* puppet_world_init makes both nodes; the test adds its service to pw->node->swarm, then connects.
 * One world at a time. */
void puppet_world_init(struct puppet_world *pw);
/* puppet_world_fini: the service is freed before. */
void puppet_world_fini(struct puppet_world *pw);

/* puppet_serves: the puppet takes streams of a protocol. */
void puppet_serves(struct puppet_world *pw, const char *protocol);
/* puppet_connect: the node dials the puppet; gives the node's handle of it. */
tern_peer puppet_connect(struct puppet_world *pw);
/* puppet_open opens a stream to the node, says the bytes, and ends its side if close. */
struct tern_stream puppet_open(struct puppet_world *pw, const char *protocol,
                               struct tern_view bytes, bool close);
/* puppet_say writes to a stream; puppet_run lets both work for a while. */
void puppet_say(struct puppet_world *pw, struct tern_stream stream, struct tern_view bytes);
void puppet_end(struct puppet_world *pw, struct tern_stream stream);
void puppet_run(struct puppet_world *pw, tern_time duration);
void puppet_goes(struct puppet_world *pw);

/* How often the node found this fault. */
uint64_t puppet_faults(const struct puppet_world *pw, tern_fault fault);
uint64_t puppet_faults_all(const struct puppet_world *pw);

#endif
