/*
 * Work on libuv's thread pool: jobs of the machine, and name look-ups.
 */
/* c-ares 1.34 (Debian 13) deprecates calls whose successors 1.18 (Debian 12) has not. */
#define CARES_NO_DEPRECATED 1
#include <ares.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/check.h"
#include "runtime/real/endpoint.h"
#include "runtime/real/loop_private.h"

enum {
    WORK_NAME_MAX = 253,
    WORK_RESULTS_MAX = 32,
    WORK_TEXT_MAX = 1024,
    WORK_RESOLVE_TIMEOUT_MS = 5000,
};

/* --- jobs --- */

struct work_job {
    uv_work_t work;
    struct tern_loop *loop;
    struct tern_job *job;
};

static void work_job_run(uv_work_t *work)
{
    struct work_job *item = work->data;
    item->job->run(item->job);
}

static void work_job_done(uv_work_t *work, int status)
{
    struct work_job *item = work->data;
    TERN_CHECK(status == 0); /* jobs are never cancelled */
    item->loop->work_count--;
    loop_input(item->loop, &(struct tern_input){.kind = TERN_INPUT_JOB_DONE, .job = item->job});
    free(item);
}

void loop_run_job(struct tern_loop *loop, struct tern_job *job)
{
    struct work_job *item = malloc(sizeof *item);
    if (item != NULL) {
        *item = (struct work_job){.loop = loop, .job = job};
        item->work.data = item;
        if (uv_queue_work(&loop->uv, &item->work, work_job_run, work_job_done) == 0) {
            loop->work_count++;
            return;
        }
        free(item);
    }
    job->run(job); /* a job always comes back: without memory for a queue entry, run it here */
    loop_input(loop, &(struct tern_input){.kind = TERN_INPUT_JOB_DONE, .job = job});
}

/* --- name look-ups --- */

struct work_resolve {
    uv_work_t work;
    struct tern_loop *loop;
    tern_token token;
    enum tern_resolve_kind kind;
    char name[WORK_NAME_MAX + 1];
    tern_err err;
    struct tern_endpoint endpoints[WORK_RESULTS_MAX];
    uint8_t texts[WORK_RESULTS_MAX][WORK_TEXT_MAX];
    struct tern_view text_views[WORK_RESULTS_MAX];
    size_t count;
};

static void resolve_ip(struct work_resolve *r)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct addrinfo *list = NULL;
    if (r->kind != TERN_RESOLVE_IP)
        hints.ai_family = r->kind == TERN_RESOLVE_IP4 ? AF_INET : AF_INET6;
    int status = getaddrinfo(r->name, NULL, &hints, &list);
    if (status != 0) {
        r->err = status == EAI_NONAME ? TERN_ERR_NOT_FOUND : TERN_ERR_UNREACHABLE;
        return;
    }
    for (struct addrinfo *a = list; a != NULL && r->count < WORK_RESULTS_MAX; a = a->ai_next)
        if (tern_endpoint_from_sockaddr(a->ai_addr, &r->endpoints[r->count]) == TERN_OK)
            r->count++;
    freeaddrinfo(list);
}

/* One TXT record may come in several pieces: record_start marks the first. */
static void resolve_collect_txt(struct work_resolve *r, const struct ares_txt_ext *list)
{
    size_t index = SIZE_MAX;
    for (const struct ares_txt_ext *t = list; t != NULL; t = t->next) {
        if (t->record_start) {
            if (r->count == WORK_RESULTS_MAX)
                return;
            index = r->count++;
            r->text_views[index] = tern_view_of(r->texts[index], 0);
        }
        if (index == SIZE_MAX)
            continue;
        size_t have = r->text_views[index].size;
        size_t take = tern_min_size(t->length, WORK_TEXT_MAX - have);
        memcpy(r->texts[index] + have, t->txt, take);
        r->text_views[index].size = have + take;
    }
}

static void resolve_on_txt(void *argument, int status, int timeouts, unsigned char *reply, int size)
{
    struct work_resolve *r = argument;
    struct ares_txt_ext *list = NULL;
    (void)timeouts;
    if (status == ARES_SUCCESS)
        status = ares_parse_txt_reply_ext(reply, size, &list);
    if (status != ARES_SUCCESS) {
        r->err = status == ARES_ENOTFOUND || status == ARES_ENODATA ? TERN_ERR_NOT_FOUND
                                                                    : TERN_ERR_UNREACHABLE;
        return;
    }
    resolve_collect_txt(r, list);
    ares_free_data(list);
}

/* Waits once for c-ares's sockets or its time-out; false: it has none left, the query is done. Not
 * select(): a busy node's descriptors have numbers that an fd_set cannot hold. */
static bool resolve_wait(ares_channel channel)
{
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    struct pollfd polls[ARES_GETSOCK_MAXNUM];
    unsigned wanted = (unsigned)ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
    nfds_t count = 0;
    for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
        bool reads = (wanted >> i & 1) != 0;
        bool writes = (wanted >> (i + ARES_GETSOCK_MAXNUM) & 1) != 0;
        if (reads || writes)
            polls[count++] = (struct pollfd){
                .fd = sockets[i],
                .events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)),
            };
    }
    if (count == 0)
        return false;
    struct timeval most = {.tv_sec = WORK_RESOLVE_TIMEOUT_MS / 1000};
    struct timeval left;
    const struct timeval *wait = ares_timeout(channel, &most, &left);
    int ready = poll(polls, count, (int)(wait->tv_sec * 1000 + (wait->tv_usec + 999) / 1000));
    if (ready <= 0)
        ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* time-outs */
    for (nfds_t i = 0; ready > 0 && i < count; i++) {
        bool broken = (polls[i].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
        bool reads = broken || (polls[i].revents & POLLIN) != 0;
        bool writes = (polls[i].revents & POLLOUT) != 0;
        ares_process_fd(channel, reads ? polls[i].fd : ARES_SOCKET_BAD,
                        writes ? polls[i].fd : ARES_SOCKET_BAD);
    }
    return true;
}

static void resolve_txt(struct work_resolve *r)
{
    struct ares_options options = {.timeout = WORK_RESOLVE_TIMEOUT_MS, .tries = 1};
    ares_channel channel;
    if (ares_init_options(&channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES) !=
        ARES_SUCCESS) {
        r->err = TERN_ERR_UNREACHABLE;
        return;
    }
    ares_query(channel, r->name, 1 /* class IN */, 16 /* type TXT */, resolve_on_txt, r);
    while (resolve_wait(channel))
        ;
    ares_destroy(channel);
}

static void work_resolve_run(uv_work_t *work)
{
    struct work_resolve *r = work->data;
    if (r->kind == TERN_RESOLVE_TXT)
        resolve_txt(r);
    else
        resolve_ip(r);
    if (r->err == TERN_OK && r->count == 0)
        r->err = TERN_ERR_NOT_FOUND;
}

static void work_resolve_done(uv_work_t *work, int status)
{
    struct work_resolve *r = work->data;
    TERN_CHECK(status == 0);
    r->loop->work_count--;
    struct tern_input in = {.kind = TERN_INPUT_RESOLVED,
                            .token = r->token,
                            .err = r->err,
                            .endpoints = r->endpoints,
                            .texts = r->text_views,
                            .resolved_count = r->count};
    loop_input(r->loop, &in);
    free(r);
}

void loop_resolve(struct tern_loop *loop, const struct tern_command *command)
{
    struct tern_input failed = {.kind = TERN_INPUT_RESOLVED, .token = command->token};
    struct work_resolve *r = NULL;
    if (command->name.size == 0 || command->name.size > WORK_NAME_MAX ||
        memchr(command->name.data, 0, command->name.size) != NULL)
        failed.err = TERN_ERR_INVALID;
    else if ((r = calloc(1, sizeof *r)) == NULL)
        failed.err = TERN_ERR_MEMORY;
    if (failed.err != TERN_OK) {
        loop_input(loop, &failed);
        return;
    }
    r->loop = loop;
    r->token = command->token;
    r->kind = command->resolve;
    r->work.data = r;
    memcpy(r->name, command->name.data, command->name.size);
    if (uv_queue_work(&loop->uv, &r->work, work_resolve_run, work_resolve_done) != 0) {
        failed.err = TERN_ERR_IO;
        free(r);
        loop_input(loop, &failed);
        return;
    }
    loop->work_count++;
}
