/*
 * Sockets in a network of their own: two namespaces joined by a pair of virtual devices, so that
 * addresses come and go, paths have a size and a device is slow. Needs root or user namespaces, and
 * ip and tc of iproute2; says so, and is skipped, when it cannot have them.
 *
 *     here: near 10.77.0.1, fd77::1 ══ far 10.77.0.2, fd77::2 :there
 */
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/check.h"
#include "runtime/real/loop_private.h"
#include "runtime/real/sockets_testing.h"
#include "tern_test.h"

enum { EXIT_SKIPPED = 77 };

struct net {
    int here;
    int there;
    pid_t holder; /* lives in `there` until the end of our pipe closes */
    int holder_pipe;
};

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
    char command[512];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(command, sizeof command, format, args);
    va_end(args);
    assert_in_range(size, 1, sizeof command - 1);
    if (system(command) != 0)
        fail_msg("%s", command);
}

static void go(int netns)
{
    assert_int_equal(setns(netns, CLONE_NEWNET), 0);
}

/* --- the two namespaces --- */

static bool net_unshare(void)
{
    return unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

static void net_open_there(struct net *net)
{
    int tells[2];
    int holds[2];
    char path[64];
    char byte;
    assert_int_equal(pipe(tells), 0);
    assert_int_equal(pipe(holds), 0);
    net->holder = fork();
    assert_true(net->holder >= 0);
    if (net->holder == 0) {
        close(holds[1]);
        if (unshare(CLONE_NEWNET) == 0 && write(tells[1], "u", 1) == 1)
            (void)!read(holds[0], &byte, 1);
        _exit(0);
    }
    close(tells[1]);
    close(holds[0]);
    net->holder_pipe = holds[1];
    assert_int_equal(read(tells[0], &byte, 1), 1);
    close(tells[0]);
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)net->holder);
    net->there = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(net->there >= 0);
}

static int net_setup(void **state)
{
    struct net *net = calloc(1, sizeof *net);
    assert_non_null(net);
    net_open_there(net);
    net->here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_true(net->here >= 0);
    run("ip link add near type veth peer name far netns %d", (int)net->holder);
    run("ip link set lo up && ip link set near up");
    run("ip addr add 10.77.0.1/24 dev near && ip addr add fd77::1/64 dev near nodad");
    go(net->there);
    run("ip link set lo up && ip link set far up");
    run("ip addr add 10.77.0.2/24 dev far && ip addr add fd77::2/64 dev far nodad");
    go(net->here);
    *state = net;
    return 0;
}

static int net_teardown(void **state)
{
    struct net *net = *state;
    close(net->holder_pipe);
    close(net->there);
    close(net->here);
    assert_int_equal(waitpid(net->holder, NULL, 0), net->holder);
    run("ip link del near 2>/dev/null || true");
    free(net);
    return 0;
}

/* One talker on each side, with one wildcard socket each. */
struct pair {
    struct net *net;
    struct talker *near;
    struct talker *far;
    struct tern_endpoint to; /* the far socket */
};

static struct tern_endpoint address(uint8_t family, uint8_t last, uint16_t port)
{
    struct tern_endpoint at = {.family = family, .port = port};
    if (family == 4) {
        memcpy(at.ip, "\x0a\x4d\x00", 3);
        at.ip[3] = last;
    } else {
        memcpy(at.ip, "\xfd\x77", 2);
        at.ip[15] = last;
    }
    return at;
}

static void pair_open(struct pair *pair, struct net *net, uint8_t family)
{
    pair->net = net;
    pair->near = talker_new(false);
    pair->far = talker_new(false);
    assert_int_equal(talker_bind(pair->near, (struct tern_endpoint){.family = family}), 0);
    go(net->there);
    assert_int_equal(talker_bind(pair->far, (struct tern_endpoint){.family = family}), 0);
    go(net->here);
    assert_true(pair->near->sockets[0].bound && pair->far->sockets[0].bound);
    pair->to = address(family, 2, pair->far->sockets[0].local.port);
}

static void pair_close(struct pair *pair)
{
    talker_free(pair->near);
    talker_free(pair->far);
}

/* Runs both loops until the far socket has heard so many datagrams in all; true: the near one was
 * seen to wait for room. */
static bool pair_hear(struct pair *pair, uint64_t datagrams)
{
    bool waited = false;
    while (pair->far->sockets[0].datagrams < datagrams) {
        struct pollfd fds[2] = {{.fd = tern_loop_fd(pair->near->loop), .events = POLLIN},
                                {.fd = tern_loop_fd(pair->far->loop), .events = POLLIN}};
        tern_loop_process(pair->near->loop);
        tern_loop_process(pair->far->loop);
        const struct loop_slot *slot = loop_slot_find(pair->near->loop, pair->near->sockets[0].id);
        waited = waited || (slot != NULL && slot->socket->blocked);
        if (tern_loop_timeout_ms(pair->near->loop) != 0 &&
            tern_loop_timeout_ms(pair->far->loop) != 0 &&
            pair->far->sockets[0].datagrams < datagrams)
            (void)poll(fds, 2, 100);
    }
    return waited;
}

static void pair_say(struct pair *pair, uint16_t segment_size, size_t count)
{
    talker_say(
        pair->near, 0,
        &(struct talker_batch){.to = pair->to, .segment_size = segment_size, .count = count});
}

/* --- tests --- */

static bool heard_of_network(struct talker *t)
{
    return t->network >= t->want;
}

static void changes_of_addresses_are_told(void **state)
{
    (void)state;
    struct talker *t = talker_new(false);
    uint32_t socket = talker_bind(t, (struct tern_endpoint){.family = 4});
    run("ip addr add 10.78.0.1/24 dev near");
    t->want = 1;
    talker_run(t, heard_of_network);
    run("ip addr del 10.78.0.1/24 dev near");
    t->want = t->network + 1;
    talker_run(t, heard_of_network);
    run("ip route add 10.79.0.0/16 via 10.77.0.2");
    t->want = t->network + 1;
    talker_run(t, heard_of_network);
    run("ip addr add fd78::1/64 dev near nodad");
    t->want = t->network + 1;
    talker_run(t, heard_of_network);
    /* Without sockets nobody listens; with the next one somebody does again. */
    talker_command(t, socket, TERN_COMMAND_CLOSE);
    talker_await_close(t, socket);
    run("ip addr del fd78::1/64 dev near");
    (void)talker_bind(t, (struct tern_endpoint){.family = 6});
    run("ip addr add fd79::1/64 dev near nodad && ip addr del fd79::1/64 dev near");
    t->want = t->network + 1;
    talker_run(t, heard_of_network);
    talker_free(t);
}

static void what_is_larger_than_its_path_vanishes(void **state)
{
    static const uint8_t families[] = {4, 6};
    for (size_t i = 0; i < TERN_COUNT_OF(families); i++) {
        struct pair pair;
        uint16_t fits = families[i] == 4 ? 1500 - 28 : 1500 - 48;
        pair_open(&pair, *state, families[i]);
        pair.far->sockets[0].disordered = true;
        pair_say(&pair, (uint16_t)(fits + 1), 1);
        pair_say(&pair, fits, 1);
        pair_say(&pair, 2000, 10);
        pair_say(&pair, fits, 40);
        (void)pair_hear(&pair, 41);
        assert_int_equal(pair.far->sockets[0].heard, 41 * fits);
        const struct loop_slot *slot = loop_slot_find(pair.near->loop, pair.near->sockets[0].id);
        assert_true(slot->socket->udp.segments); /* it was the size, not the batch */
        pair_close(&pair);
    }
}

static void a_source_that_has_gone_is_replaced(void **state)
{
    static const uint8_t families[] = {4, 6};
    static const char *const addresses[] = {"10.77.0.3/24", "fd77::3/64"};
    for (size_t i = 0; i < TERN_COUNT_OF(families); i++) {
        struct pair pair;
        run("ip addr add %s dev near %s", addresses[i], families[i] == 6 ? "nodad" : "");
        pair_open(&pair, *state, families[i]);
        struct talker_batch batch = {
            .to = pair.to, .from = address(families[i], 3, 0), .segment_size = 100, .count = 5};
        talker_say(pair.near, 0, &batch);
        (void)pair_hear(&pair, 5);
        const struct tern_endpoint *seen = &pair.far->sockets[0].path.remote;
        assert_int_equal(seen->ip[families[i] == 4 ? 3 : 15], 3);
        run("ip addr del %s dev near", addresses[i]);
        talker_say(pair.near, 0, &batch);
        (void)pair_hear(&pair, 10);
        assert_int_equal(seen->ip[families[i] == 4 ? 3 : 15], 1);
        assert_int_equal(pair.far->sockets[0].batches, 2); /* still as a whole */
        pair_close(&pair);
    }
}

/* fe80::1 and fe80::2: addresses that mean something on one interface alone. */
static void link_local_addresses_know_their_interface(void **state)
{
    struct net *net = *state;
    struct pair pair;
    run("ip addr add fe80::1/64 dev near nodad");
    go(net->there);
    run("ip addr add fe80::2/64 dev far nodad");
    go(net->here);
    pair_open(&pair, net, 6);
    pair.far->sockets[0].echoes = true;
    pair.to = (struct tern_endpoint){.family = 6,
                                     .ip = {0xfe, 0x80, [15] = 2},
                                     .port = pair.to.port,
                                     .scope_id = if_nametoindex("near")};
    pair_say(&pair, 100, 3);
    (void)pair_hear(&pair, 3);
    assert_true(pair.far->sockets[0].path.local.scope_id != 0);
    assert_true(pair.far->sockets[0].path.remote.scope_id != 0);
    tern_loop_process(pair.far->loop);
    talker_hear(pair.near, 0, 3);
    assert_memory_equal(&pair.near->sockets[0].path.remote, &pair.to, sizeof pair.to);
    assert_int_equal(pair.near->sockets[0].path.local.ip[15], 1);
    assert_int_equal(pair.near->sockets[0].path.local.scope_id, pair.to.scope_id);
    pair_close(&pair);
}

/* More than the near socket and the device take at once, less than the far socket holds. */
static void what_a_slow_device_does_not_take_waits(void **state)
{
    enum { BATCHES = 8, COUNT = 10, SIZE = 1400 };
    struct pair pair;
    int small = 16 << 10;
    run("tc qdisc add dev near root tbf rate 20mbit burst 16kb limit 8mb");
    pair_open(&pair, *state, 4);
    struct loop_socket *socket = loop_slot_find(pair.near->loop, pair.near->sockets[0].id)->socket;
    assert_int_equal(setsockopt(socket->udp.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    for (int i = 0; i < BATCHES; i++)
        pair_say(&pair, SIZE, COUNT);
    assert_true(pair_hear(&pair, BATCHES * COUNT));
    assert_int_equal(pair.far->sockets[0].heard, (uint64_t)BATCHES * COUNT * SIZE);
    /* Datagram by datagram: a batch is taken in part. */
    socket->udp.segments = false;
    for (int i = 0; i < BATCHES; i++)
        pair_say(&pair, SIZE, COUNT);
    talker_command(pair.near, 0, TERN_COMMAND_CLOSE); /* when all has gone */
    assert_true(pair_hear(&pair, 2 * BATCHES * COUNT));
    talker_await_close(pair.near, 0);
    assert_int_equal(pair.far->sockets[0].heard, (uint64_t)2 * BATCHES * COUNT * SIZE);
    run("tc qdisc del dev near root");
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_addresses_are_told),
        cmocka_unit_test(what_is_larger_than_its_path_vanishes),
        cmocka_unit_test(a_source_that_has_gone_is_replaced),
        cmocka_unit_test(link_local_addresses_know_their_interface),
        cmocka_unit_test(what_a_slow_device_does_not_take_waits),
    };
    if (!net_unshare()) {
        puts("skipped: a network namespace needs root, or user namespaces for everyone");
        return EXIT_SKIPPED;
    }
    if (system("ip -V >/dev/null 2>&1 && tc -V >/dev/null 2>&1") != 0) {
        puts("skipped: there is no ip or no tc; they are in the package iproute2");
        return EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, net_setup, net_teardown);
}
