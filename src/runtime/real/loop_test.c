/*
 * The loop against real sockets on loopback: one machine that listens, dials itself, and echoes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <netinet/tcp.h>

#include "base/check.h"
#include "base/ring.h"
#include "runtime/real/loop_private.h"

enum { ECHO_TOTAL = 4 << 20 };

/* Sends ECHO_TOTAL numbered bytes on the dialled link; the accepted link sends back what it gets.
 */
struct echo {
    struct tern_mem mem;
    struct tern_ring commands;
    struct tern_loop *loop;
    struct tern_endpoint bound;
    struct tern_endpoint target; /* family 0: dial what was bound */
    tern_link_id dialed, accepted;
    size_t sent, received;
    uint8_t *back; /* what the accepted link has to send back */
    size_t back_size, back_sent;
    size_t hold_first; /* take only this much of the first data, to see back-pressure */
    bool listening, job_ran, resolved, stored, wall;
    size_t closed_count;
    tern_err dial_err, listen_err, resolve_err;
    struct tern_job job;
    int job_value;
    struct tern_store_request request;
};

static void echo_command(struct echo *e, const struct tern_command *command)
{
    assert_int_equal(tern_ring_push(&e->commands, command), TERN_OK);
}

static void echo_transmit_soon(struct echo *e, tern_link_id link)
{
    echo_command(e, &(struct tern_command){.kind = TERN_COMMAND_TRANSMIT, .link = link});
}

static void echo_data(struct echo *e, const struct tern_input *in)
{
    size_t take = in->data.size;
    if (in->link == e->accepted && e->hold_first > 0) {
        take = e->hold_first < take ? e->hold_first : take;
        e->hold_first = 0;
        *in->used = take;
        if (take < in->data.size)
            echo_command(e, &(struct tern_command){.kind = TERN_COMMAND_READ, .link = in->link});
    }
    if (in->link == e->accepted) {
        memcpy(e->back + e->back_size, in->data.data, take);
        e->back_size += take;
        echo_transmit_soon(e, in->link);
        return;
    }
    for (size_t i = 0; i < take; i++)
        assert_int_equal(in->data.data[i], (uint8_t)((e->received + i) * 7));
    e->received += take;
    if (e->received == ECHO_TOTAL)
        echo_command(e, &(struct tern_command){.kind = TERN_COMMAND_CLOSE, .link = e->dialed});
}

static void echo_listening(struct echo *e, const struct tern_input *in)
{
    e->listening = true;
    e->bound = in->local;
    struct tern_endpoint target = e->target.family == 0 ? in->local : e->target;
    echo_command(e,
                 &(struct tern_command){.kind = TERN_COMMAND_DIAL, .token = 2, .endpoint = target});
}

/* The kernel must hold little of a link that is unsent, and send small frames at once. */
static void echo_check_link(const struct echo *e, tern_link_id link)
{
    uv_os_fd_t fd;
    int unsent = 0;
    int at_once = 0;
    socklen_t size = sizeof unsent;
    const struct loop_slot *slot = loop_slot_find(e->loop, link);
    assert_int_equal(uv_fileno((const uv_handle_t *)&slot->link->tcp, &fd), 0);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, &size), 0);
    assert_int_equal(unsent, LOOP_UNSENT_SIZE);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, &size), 0);
    assert_int_not_equal(at_once, 0);
}

static void echo_input(void *self, tern_time now, const struct tern_input *in)
{
    struct echo *e = self;
    (void)now;
    switch (in->kind) {
    case TERN_INPUT_TICK:
        break;
    case TERN_INPUT_WALL:
        e->wall = true;
        break;
    case TERN_INPUT_LISTENING:
        echo_listening(e, in);
        break;
    case TERN_INPUT_LISTEN_FAIL:
        e->listen_err = in->err;
        tern_loop_stop(e->loop);
        break;
    case TERN_INPUT_ACCEPTED:
        e->accepted = in->link;
        echo_check_link(e, in->link);
        assert_int_equal(in->token, 1);
        assert_int_equal(in->local.port, e->bound.port);
        break;
    case TERN_INPUT_DIALED:
        e->dialed = in->link;
        echo_check_link(e, in->link);
        assert_int_equal(in->token, 2);
        assert_int_equal(in->remote.port, e->bound.port);
        echo_transmit_soon(e, in->link);
        break;
    case TERN_INPUT_DIAL_FAIL:
        e->dial_err = in->err;
        tern_loop_stop(e->loop);
        break;
    case TERN_INPUT_DATA:
        echo_data(e, in);
        break;
    case TERN_INPUT_LINK_END:
        echo_command(e, &(struct tern_command){.kind = TERN_COMMAND_CLOSE, .link = in->link});
        break;
    case TERN_INPUT_LINK_CLOSED:
        if (++e->closed_count == 2)
            tern_loop_stop(e->loop);
        break;
    case TERN_INPUT_JOB_DONE:
        assert_ptr_equal(in->job, &e->job);
        e->job_ran = true;
        tern_loop_stop(e->loop);
        break;
    case TERN_INPUT_STORED:
        assert_ptr_equal(in->request, &e->request);
        e->stored = true;
        tern_loop_stop(e->loop);
        break;
    case TERN_INPUT_RESOLVED:
        e->resolved = true;
        e->resolve_err = in->err;
        tern_loop_stop(e->loop);
        break;
    case TERN_INPUT_BOUND:
    case TERN_INPUT_BIND_FAIL:
    case TERN_INPUT_DATAGRAMS:
    case TERN_INPUT_NETWORK:
        break;
    }
}

static bool echo_next_command(void *self, struct tern_command *command)
{
    struct echo *e = self;
    return tern_ring_pop(&e->commands, command);
}

static void echo_transmit(void *self, tern_time now, tern_link_id link, struct tern_writer *out)
{
    struct echo *e = self;
    (void)now;
    if (link == e->accepted) {
        size_t size = tern_min_size(e->back_size - e->back_sent, tern_writer_left(out));
        tern_writer_bytes(out, tern_view_of(e->back + e->back_sent, size));
        e->back_sent += size;
        return;
    }
    for (; e->sent < ECHO_TOTAL && tern_writer_left(out) > 0; e->sent++)
        tern_writer_u8(out, (uint8_t)(e->sent * 7));
}

static tern_time echo_deadline(void *self)
{
    (void)self;
    return TERN_TIME_NEVER;
}

static const struct tern_machine_ops echo_ops = {.input = echo_input,
                                                 .next_command = echo_next_command,
                                                 .transmit = echo_transmit,
                                                 .deadline = echo_deadline};

static struct echo *echo_new(void)
{
    struct echo *e = calloc(1, sizeof *e);
    assert_non_null(e);
    e->back = malloc(ECHO_TOTAL);
    assert_non_null(e->back);
    e->accepted = TERN_LINK_NONE;
    e->dialed = TERN_LINK_NONE;
    tern_mem_init(&e->mem, 0);
    tern_ring_init(&e->commands, &e->mem, sizeof(struct tern_command), 4096);
    struct tern_loop_options options = {.mem = &e->mem, .machine = {.ops = &echo_ops, .self = e}};
    assert_int_equal(tern_loop_new(&options, &e->loop), TERN_OK);
    assert_true(e->wall);
    return e;
}

static void echo_free(struct echo *e)
{
    tern_loop_free(e->loop);
    tern_ring_fini(&e->commands);
    tern_mem_trim(&e->mem);
    assert_int_equal(e->mem.used, 0);
    free(e->back);
    free(e);
}

static void echo_listen(struct echo *e, uint8_t family)
{
    struct tern_command command = {.kind = TERN_COMMAND_LISTEN, .token = 1};
    command.endpoint.family = family;
    if (family == 4)
        memcpy(command.endpoint.ip, "\x7f\x00\x00\x01", 4);
    else
        command.endpoint.ip[15] = 1;
    echo_command(e, &command);
}

static void run_echo(uint8_t family, size_t hold_first)
{
    struct echo *e = echo_new();
    e->hold_first = hold_first;
    echo_listen(e, family);
    tern_loop_run(e->loop);
    assert_true(e->listening);
    assert_int_equal(e->received, ECHO_TOTAL);
    assert_int_equal(e->back_sent, ECHO_TOTAL);
    assert_int_equal(e->closed_count, 2);
    echo_free(e);
}

static void echoes_megabytes_over_ip4(void **state)
{
    (void)state;
    run_echo(4, 0);
}

static void echoes_megabytes_over_ip6(void **state)
{
    (void)state;
    run_echo(6, 0);
}

static void what_a_machine_does_not_take_is_given_again(void **state)
{
    (void)state;
    run_echo(4, 100);
}

static void a_refused_dial_says_so(void **state)
{
    (void)state;
    struct echo *e = echo_new();
    /* Port 1 of loopback: nobody listens there. */
    e->target = (struct tern_endpoint){.family = 4, .ip = {127, 0, 0, 1}, .port = 1};
    echo_listen(e, 4);
    tern_loop_run(e->loop);
    assert_int_equal(e->dial_err, TERN_ERR_REFUSED);
    echo_free(e);
}

static void a_port_in_use_says_so(void **state)
{
    (void)state;
    struct echo *first = echo_new();
    struct echo *second = echo_new();
    first->target = (struct tern_endpoint){.family = 4, .ip = {127, 0, 0, 1}, .port = 1};
    echo_listen(first, 4);
    tern_loop_run(first->loop);
    struct tern_command command = {
        .kind = TERN_COMMAND_LISTEN, .token = 1, .endpoint = first->bound};
    echo_command(second, &command);
    tern_loop_run(second->loop);
    assert_int_equal(second->listen_err, TERN_ERR_EXISTS);
    echo_free(second);
    echo_free(first);
}

static void job_add(struct tern_job *job)
{
    struct echo *e = TERN_CONTAINER_OF(job, struct echo, job);
    e->job_value = 42;
}

static void a_job_runs_and_comes_back(void **state)
{
    (void)state;
    struct echo *e = echo_new();
    e->job.run = job_add;
    echo_command(e, &(struct tern_command){.kind = TERN_COMMAND_JOB, .job = &e->job});
    tern_loop_run(e->loop);
    assert_true(e->job_ran);
    assert_int_equal(e->job_value, 42);
    echo_free(e);
}

static void without_a_store_requests_come_back_unsupported(void **state)
{
    (void)state;
    struct echo *e = echo_new();
    echo_command(e, &(struct tern_command){.kind = TERN_COMMAND_STORE, .request = &e->request});
    tern_loop_run(e->loop);
    assert_true(e->stored);
    assert_int_equal(e->request.err, TERN_ERR_UNSUPPORTED);
    echo_free(e);
}

static void localhost_resolves_and_nonsense_does_not(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        tern_err err;
    } rows[] = {{"localhost", TERN_OK}, {"", TERN_ERR_INVALID}};
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct echo *e = echo_new();
        echo_command(e, &(struct tern_command){.kind = TERN_COMMAND_RESOLVE,
                                               .resolve = TERN_RESOLVE_IP4,
                                               .name = tern_view_str(rows[i].name)});
        tern_loop_run(e->loop);
        assert_true(e->resolved);
        assert_int_equal(e->resolve_err, rows[i].err);
        echo_free(e);
    }
}

static void stop_from_call(void *context)
{
    struct echo *e = context;
    e->job_value++;
    tern_loop_stop(e->loop);
}

static void calls_run_on_the_loop(void **state)
{
    (void)state;
    struct echo *e = echo_new();
    assert_int_equal(tern_loop_call(e->loop, stop_from_call, e), TERN_OK);
    assert_int_equal(tern_loop_call(e->loop, stop_from_call, e), TERN_OK);
    tern_loop_run(e->loop);
    assert_int_equal(e->job_value, 2);
    echo_free(e);
}

static void embedded_use_needs_no_thread(void **state)
{
    (void)state;
    struct echo *e = echo_new();
    echo_listen(e, 4);
    assert_true(tern_loop_fd(e->loop) >= 0);
    for (size_t i = 0; i < 10 * 1000 * 1000 && e->closed_count < 2; i++)
        tern_loop_process(e->loop);
    assert_int_equal(e->received, ECHO_TOTAL);
    echo_free(e);
}

static void what_nobody_took_comes_back_when_the_loop_ends(void **state)
{
    (void)state;
    struct echo *e = echo_new();
    e->job.run = job_add;
    echo_command(e, &(struct tern_command){.kind = TERN_COMMAND_JOB, .job = &e->job});
    echo_command(e, &(struct tern_command){.kind = TERN_COMMAND_STORE, .request = &e->request});
    tern_loop_free(e->loop);
    e->loop = NULL;
    assert_true(e->job_ran);
    assert_int_equal(e->job_value, 42);
    assert_true(e->stored);
    assert_int_equal(e->request.err, TERN_ERR_CLOSED);
    echo_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echoes_megabytes_over_ip4),
        cmocka_unit_test(echoes_megabytes_over_ip6),
        cmocka_unit_test(what_a_machine_does_not_take_is_given_again),
        cmocka_unit_test(a_refused_dial_says_so),
        cmocka_unit_test(a_port_in_use_says_so),
        cmocka_unit_test(a_job_runs_and_comes_back),
        cmocka_unit_test(without_a_store_requests_come_back_unsupported),
        cmocka_unit_test(localhost_resolves_and_nonsense_does_not),
        cmocka_unit_test(calls_run_on_the_loop),
        cmocka_unit_test(embedded_use_needs_no_thread),
        cmocka_unit_test(what_nobody_took_comes_back_when_the_loop_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
