#include "runtime/real/loop.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/check.h"
#include "runtime/real/loop_private.h"

/* How often the wall clock is compared with the monotonic one, and how far they may part unnoticed.
 */
static const uint64_t LOOP_WALL_CHECK_MS = 10000;
static const int64_t LOOP_WALL_DRIFT_NS = 5 * (int64_t)TERN_MILLISECOND;

tern_time tern_loop_now(void)
{
    return uv_hrtime();
}

tern_err tern_loop_entropy(void *out, size_t size)
{
    uint8_t *bytes = out;
    size_t filled = 0;
    while (filled < size) {
        ssize_t n = getrandom(bytes + filled, size - filled, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return TERN_ERR_IO;
        filled += (size_t)n;
    }
    return TERN_OK;
}

void loop_input(struct tern_loop *loop, const struct tern_input *in)
{
    loop->machine.ops->input(loop->machine.self, tern_loop_now(), in);
    loop->dirty = true;
}

static int64_t loop_wall_offset(void)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    int64_t wall_ns = (int64_t)wall.tv_sec * (int64_t)TERN_SECOND + wall.tv_nsec;
    return wall_ns - (int64_t)tern_loop_now();
}

static void loop_tell_wall(struct tern_loop *loop)
{
    int64_t offset = loop_wall_offset();
    int64_t drift = offset - loop->wall_offset_ns;
    if (drift < LOOP_WALL_DRIFT_NS && drift > -LOOP_WALL_DRIFT_NS)
        return;
    loop->wall_offset_ns = offset;
    struct tern_input in = {.kind = TERN_INPUT_WALL,
                            .wall = (tern_wall_time)((int64_t)tern_loop_now() + offset)};
    loop_input(loop, &in);
}

static void loop_link_command(struct loop_link *link, enum tern_command_kind kind)
{
    if (kind == TERN_COMMAND_TRANSMIT)
        loop_link_ready(link);
    else if (kind == TERN_COMMAND_READ)
        loop_link_read(link);
    else if (kind == TERN_COMMAND_ABORT)
        loop_link_abort(link, TERN_OK);
    else
        loop_link_end(link, kind == TERN_COMMAND_CLOSE);
}

static void loop_command(struct tern_loop *loop, const struct tern_command *command)
{
    switch (command->kind) {
    case TERN_COMMAND_LISTEN:
        loop_listen(loop, command);
        return;
    case TERN_COMMAND_UNLISTEN:
        loop_unlisten(loop, command->token);
        return;
    case TERN_COMMAND_DIAL:
        loop_dial(loop, command);
        return;
    case TERN_COMMAND_DIAL_CANCEL:
        loop_dial_cancel(loop, command->token);
        return;
    case TERN_COMMAND_JOB:
        loop_run_job(loop, command->job);
        return;
    case TERN_COMMAND_STORE:
        loop_storage_submit(loop, command->request);
        return;
    case TERN_COMMAND_RESOLVE:
        loop_resolve(loop, command);
        return;
    case TERN_COMMAND_BIND:
        loop_bind(loop, command);
        return;
    case TERN_COMMAND_TRANSMIT:
    case TERN_COMMAND_READ:
    case TERN_COMMAND_SHUT:
    case TERN_COMMAND_CLOSE:
    case TERN_COMMAND_ABORT:
        break;
    }
    const struct loop_slot *slot = loop_slot_find(loop, command->link);
    if (slot == NULL)
        return; /* it closed while the command was under way */
    if (slot->link != NULL)
        loop_link_command(slot->link, command->kind);
    else
        loop_socket_command(slot->socket, command->kind);
}

static void loop_commands(struct tern_loop *loop)
{
    struct tern_command command;
    while (loop->machine.ops->next_command(loop->machine.self, &command))
        loop_command(loop, &command);
}

static void loop_on_timer(uv_timer_t *timer)
{
    struct tern_loop *loop = timer->data;
    loop->armed_deadline = TERN_TIME_NEVER;
    loop_input(loop, &(struct tern_input){.kind = TERN_INPUT_TICK});
}

/* libuv's timers have milliseconds: round up, so that the machine is never called before its time.
 */
static void loop_arm(struct tern_loop *loop)
{
    tern_time deadline = loop->machine.ops->deadline(loop->machine.self);
    if (deadline == loop->armed_deadline)
        return;
    loop->armed_deadline = deadline;
    if (deadline == TERN_TIME_NEVER) {
        uv_timer_stop(&loop->timer);
        return;
    }
    uv_update_time(&loop->uv);
    tern_time wait = tern_time_since(deadline, tern_loop_now());
    uint64_t wait_ms = (wait + TERN_MILLISECOND - 1) / TERN_MILLISECOND;
    uv_timer_start(&loop->timer, loop_on_timer, wait_ms, 0);
}

static void loop_on_idle(uv_idle_t *idle)
{
    uv_idle_stop(idle);
}

/* Carries out what the machine wants until it wants nothing, or for LOOP_PASSES_MAX rounds: then
 * sockets are read in between, and an idle handle keeps the loop from sleeping. */
static void loop_pump(struct tern_loop *loop)
{
    if (loop->freeing || !loop->dirty)
        return;
    bool more = true;
    for (int pass = 0; pass < LOOP_PASSES_MAX && more; pass++) {
        loop->dirty = false;
        loop_commands(loop);
        bool links_more = loop_transmit_ready(loop);
        more = loop_sockets_transmit(loop) || links_more || loop->dirty;
    }
    if (more) {
        loop->dirty = true;
        uv_idle_start(&loop->idle, loop_on_idle);
    }
    loop_arm(loop);
}

static void loop_linger(struct tern_loop *loop)
{
    bool large_read = loop->large_read;
    loop->large_read = false;
    if (!large_read && loop->linger.until == 0)
        return;
    if (!tern_linger_turn(&loop->linger, large_read, tern_loop_now()))
        return;
    sched_yield(); /* others may have better things to do */
    uv_idle_start(&loop->idle, loop_on_idle);
}

static void loop_on_prepare(uv_prepare_t *prepare)
{
    loop_pump(prepare->data);
    loop_linger(prepare->data);
}

static void loop_on_check(uv_check_t *check)
{
    loop_pump(check->data);
}

static void loop_on_wall_timer(uv_timer_t *timer)
{
    loop_tell_wall(timer->data);
}

static void loop_run_calls(struct tern_loop *loop)
{
    struct tern_list calls;
    tern_list_init(&calls);
    uv_mutex_lock(&loop->calls_mutex);
    tern_list_take_all(&calls, &loop->calls);
    uv_mutex_unlock(&loop->calls_mutex);
    for (struct tern_list *node = tern_list_pop_front(&calls); node != NULL;
         node = tern_list_pop_front(&calls)) {
        struct loop_call *call = TERN_LIST_ENTRY(node, struct loop_call, link);
        call->fn(call->context);
        loop->dirty = true;
        if (call->done != NULL)
            uv_sem_post(call->done);
        free(call);
    }
}

static void loop_on_async(uv_async_t *async)
{
    struct tern_loop *loop = async->data;
    loop->dirty = true;
    loop_run_calls(loop);
    loop_storage_collect(loop);
    if (atomic_load(&loop->stop))
        uv_stop(&loop->uv);
}

static tern_err loop_call_queue(struct tern_loop *loop, struct loop_call call)
{
    struct loop_call *queued = malloc(sizeof *queued);
    if (queued == NULL)
        return TERN_ERR_MEMORY;
    *queued = call;
    tern_list_init(&queued->link);
    uv_mutex_lock(&loop->calls_mutex);
    bool closed = loop->calls_closed;
    if (!closed)
        tern_list_push_back(&loop->calls, &queued->link);
    uv_mutex_unlock(&loop->calls_mutex);
    if (closed) {
        free(queued);
        return TERN_ERR_CLOSED;
    }
    uv_async_send(&loop->async);
    return TERN_OK;
}

tern_err tern_loop_call(struct tern_loop *loop, void (*fn)(void *context), void *context)
{
    return loop_call_queue(loop, (struct loop_call){.fn = fn, .context = context});
}

tern_err tern_loop_call_wait(struct tern_loop *loop, void (*fn)(void *context), void *context)
{
    uv_sem_t done;
    if (uv_sem_init(&done, 0) != 0)
        return TERN_ERR_MEMORY;
    tern_err err =
        loop_call_queue(loop, (struct loop_call){.fn = fn, .context = context, .done = &done});
    if (err == TERN_OK)
        uv_sem_wait(&done);
    uv_sem_destroy(&done);
    return err;
}

static void loop_init_handles(struct tern_loop *loop)
{
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    uv_timer_init(&loop->uv, &loop->timer);
    uv_timer_init(&loop->uv, &loop->wall_timer);
    uv_timer_init(&loop->uv, &loop->network_timer);
    loop->prepare.data = loop;
    loop->check.data = loop;
    loop->idle.data = loop;
    loop->timer.data = loop;
    loop->wall_timer.data = loop;
    loop->network_timer.data = loop;
    loop->async.data = loop;
    uv_prepare_start(&loop->prepare, loop_on_prepare);
    uv_check_start(&loop->check, loop_on_check);
    uv_timer_start(&loop->wall_timer, loop_on_wall_timer, LOOP_WALL_CHECK_MS, LOOP_WALL_CHECK_MS);
}

static tern_err loop_open(struct tern_loop *loop, const struct tern_loop_options *options)
{
    loop->mem = options->mem;
    loop->machine = options->machine;
    loop->armed_deadline = TERN_TIME_NEVER;
    loop->wall_offset_ns = INT64_MIN / 2;
    loop->dirty = true;
    loop->offload = !options->datagrams_alone;
    tern_list_init(&loop->links);
    tern_list_init(&loop->listeners);
    tern_list_init(&loop->ready);
    tern_list_init(&loop->sockets);
    tern_list_init(&loop->sockets_ready);
    tern_list_init(&loop->calls);
    loop->transmit_buffer = malloc(LOOP_TRANSMIT_SIZE);
    if (loop->transmit_buffer == NULL)
        return TERN_ERR_MEMORY;
    if (uv_loop_init(&loop->uv) != 0)
        return TERN_ERR_IO;
    if (uv_async_init(&loop->uv, &loop->async, loop_on_async) != 0) {
        uv_loop_close(&loop->uv);
        return TERN_ERR_IO;
    }
    if (uv_mutex_init(&loop->calls_mutex) != 0)
        TERN_UNREACHABLE();
    loop_init_handles(loop);
    tern_err err = loop_storage_open(loop, options);
    if (err != TERN_OK) {
        loop->storage.ops = NULL; /* it stays the caller's */
        return err;
    }
    loop_tell_wall(loop);
    return TERN_OK;
}

tern_err tern_loop_new(const struct tern_loop_options *options, struct tern_loop **out)
{
    TERN_CHECK(options->mem != NULL && options->machine.ops != NULL);
    struct tern_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return TERN_ERR_MEMORY;
    tern_err err = loop_open(loop, options);
    if (err != TERN_OK) {
        free(loop->transmit_buffer);
        free(loop);
        return err;
    }
    *out = loop;
    return TERN_OK;
}

void tern_loop_run(struct tern_loop *loop)
{
    while (!atomic_load(&loop->stop))
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    atomic_store(&loop->stop, false);
}

void tern_loop_stop(struct tern_loop *loop)
{
    atomic_store(&loop->stop, true);
    uv_async_send(&loop->async);
}

void tern_loop_process(struct tern_loop *loop)
{
    uv_run(&loop->uv, UV_RUN_NOWAIT);
}

int tern_loop_fd(const struct tern_loop *loop)
{
    return uv_backend_fd(&loop->uv);
}

int tern_loop_timeout_ms(const struct tern_loop *loop)
{
    return loop->dirty ? 0 : uv_backend_timeout(&loop->uv);
}

/* The flag is the loop's own: on_async sets it. */
void tern_loop_kick(struct tern_loop *loop)
{
    uv_async_send(&loop->async);
}

static void loop_close_handles(struct tern_loop *loop)
{
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_close((uv_handle_t *)&loop->wall_timer, NULL);
    uv_close((uv_handle_t *)&loop->network_timer, NULL);
    uv_close((uv_handle_t *)&loop->async, NULL);
}

/* What the machine has asked for and nobody took comes back all the same, because its owner keeps
 * it until then: jobs are run here, requests are refused. It ends, for nothing new comes in. */
static void loop_return_commands(struct tern_loop *loop)
{
    struct tern_command command;
    while (loop->machine.ops->next_command(loop->machine.self, &command)) {
        if (command.kind == TERN_COMMAND_JOB) {
            command.job->run(command.job);
            loop_input(loop, &(struct tern_input){.kind = TERN_INPUT_JOB_DONE, .job = command.job});
        } else if (command.kind == TERN_COMMAND_STORE) {
            command.request->err = TERN_ERR_CLOSED;
            loop_input(loop,
                       &(struct tern_input){.kind = TERN_INPUT_STORED, .request = command.request});
        }
    }
}

void tern_loop_free(struct tern_loop *loop)
{
    if (loop == NULL)
        return;
    uv_mutex_lock(&loop->calls_mutex);
    loop->calls_closed = true;
    uv_mutex_unlock(&loop->calls_mutex);
    loop_run_calls(loop); /* those who wait are let go */
    loop->freeing = true;
    loop_close_all(loop);
    loop_sockets_close_all(loop);
    loop_storage_close(loop);
    while (loop->work_count > 0)
        uv_run(&loop->uv, UV_RUN_ONCE);
    loop_return_commands(loop);
    loop_close_handles(loop);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    TERN_CHECK(uv_loop_close(&loop->uv) == 0);
    TERN_CHECK(tern_list_empty(&loop->links) && tern_list_empty(&loop->sockets));
    uv_mutex_destroy(&loop->calls_mutex);
    tern_chunk_unref(loop->read_chunk);
    tern_chunk_unref(loop->datagrams_chunk);
    free(loop->slots);
    free(loop->free_slots);
    free(loop->transmit_buffer);
    free(loop);
}
