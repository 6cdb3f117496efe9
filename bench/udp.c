/*
 * Datagrams through two loops on loopback, each on its own thread: one sends as fast as it can, the
 * other counts. Batches of 44 datagrams of 1,452 bytes, as QUIC would send them; once whole to the
 * kernel and back (UDP_SEGMENT, UDP_GRO), once datagram by datagram.
 *
 *   bench_udp [SECONDS]     for each of the two; default 3
 *
 * What the receiver does not read in time is lost, as it would be outside.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/ring.h"
#include "runtime/real/loop.h"

enum { UDP_SEGMENT_SIZE = 1452, UDP_BATCH_SIZE = 44 * UDP_SEGMENT_SIZE };

struct udp_side {
    struct tern_mem mem;
    struct tern_loop *loop;
    struct tern_ring commands;
    pthread_t thread;
    tern_link_id socket;
    struct tern_endpoint local;
    struct tern_endpoint target; /* family 0: this side receives */
    tern_time until;
    uint64_t batches;
    uint64_t datagrams;
    uint64_t bytes;
    double cpu;
};

static void udp_command(struct udp_side *side, struct tern_command command)
{
    TERN_CHECK(tern_ring_push(&side->commands, &command) == TERN_OK);
}

static void udp_input(void *self, tern_time now, const struct tern_input *in)
{
    struct udp_side *side = self;
    (void)now;
    if (in->kind == TERN_INPUT_BOUND) {
        side->socket = in->link;
        side->local = in->local;
        tern_loop_stop(side->loop);
    } else if (in->kind == TERN_INPUT_DATAGRAMS) {
        const struct tern_datagrams *got = in->datagrams;
        side->batches++;
        side->datagrams += (got->data.size + got->segment_size - 1) / got->segment_size;
        side->bytes += got->data.size;
    } else if (in->kind == TERN_INPUT_BIND_FAIL) {
        TERN_UNREACHABLE();
    }
}

static bool udp_next_command(void *self, struct tern_command *command)
{
    struct udp_side *side = self;
    return tern_ring_pop(&side->commands, command);
}

static void udp_transmit(void *self, tern_time now, tern_link_id link, struct tern_writer *out)
{
    (void)self, (void)now, (void)link, (void)out;
}

static bool udp_datagrams(void *self, tern_time now, tern_link_id socket,
                          struct tern_datagrams_out *out)
{
    struct udp_side *side = self;
    (void)socket;
    if (now >= side->until) {
        tern_loop_stop(side->loop);
        return false;
    }
    out->path.remote = side->target;
    out->segment_size = UDP_SEGMENT_SIZE;
    (void)tern_writer_reserve(&out->writer, UDP_BATCH_SIZE); /* any bytes will do */
    side->batches++;
    side->datagrams += UDP_BATCH_SIZE / UDP_SEGMENT_SIZE;
    side->bytes += UDP_BATCH_SIZE;
    return true;
}

static tern_time udp_deadline(void *self)
{
    (void)self;
    return TERN_TIME_NEVER;
}

static const struct tern_machine_ops udp_ops = {.input = udp_input,
                                                .next_command = udp_next_command,
                                                .transmit = udp_transmit,
                                                .datagrams = udp_datagrams,
                                                .deadline = udp_deadline};

static void udp_open(struct udp_side *side, bool alone)
{
    *side = (struct udp_side){.socket = TERN_LINK_NONE};
    tern_mem_init(&side->mem, 0);
    tern_ring_init(&side->commands, &side->mem, sizeof(struct tern_command), 64);
    struct tern_loop_options options = {
        .mem = &side->mem, .machine = {.ops = &udp_ops, .self = side}, .datagrams_alone = alone};
    TERN_CHECK(tern_loop_new(&options, &side->loop) == TERN_OK);
    udp_command(side, (struct tern_command){.kind = TERN_COMMAND_BIND,
                                            .endpoint = {.family = 4, .ip = {127, 0, 0, 1}}});
    tern_loop_run(side->loop);
}

static void udp_close(struct udp_side *side)
{
    tern_loop_free(side->loop);
    tern_ring_fini(&side->commands);
    tern_mem_fini(&side->mem);
}

static void *udp_thread(void *context)
{
    struct udp_side *side = context;
    struct timespec cpu;
    tern_loop_run(side->loop);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    side->cpu = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
    return NULL;
}

static void udp_print(const char *what, const struct udp_side *side, double seconds)
{
    printf("  %-9s %9.0f batches/s, %6.2f M datagrams/s, %6.2f GB/s, %5.2f s CPU per GB\n", what,
           (double)side->batches / seconds, (double)side->datagrams / seconds / 1e6,
           (double)side->bytes / seconds / 1e9, side->cpu / ((double)side->bytes / 1e9));
}

static void udp_run(bool alone, double seconds)
{
    struct udp_side sender;
    struct udp_side receiver;
    udp_open(&receiver, alone);
    udp_open(&sender, alone);
    sender.target = receiver.local;
    sender.until = tern_loop_now() + (tern_time)(seconds * 1e9);
    udp_command(&sender,
                (struct tern_command){.kind = TERN_COMMAND_TRANSMIT, .link = sender.socket});
    tern_loop_kick(sender.loop);
    TERN_CHECK(pthread_create(&receiver.thread, NULL, udp_thread, &receiver) == 0);
    TERN_CHECK(pthread_create(&sender.thread, NULL, udp_thread, &sender) == 0);
    pthread_join(sender.thread, NULL);
    tern_loop_stop(receiver.loop);
    pthread_join(receiver.thread, NULL);
    puts(alone ? "datagram by datagram" : "whole batches");
    udp_print("sent", &sender, seconds);
    udp_print("received", &receiver, seconds);
    udp_close(&sender);
    udp_close(&receiver);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 3;
    udp_run(false, seconds);
    udp_run(true, seconds);
    return 0;
}
