/*
 * Changes of this machine's addresses and routes, told as one input for all that come within a
 * moment. Watched while there are sockets: a link ends by itself when its address goes.
 *
 * Without the kernel's word (a sandbox may refuse it) nothing is told, and nothing else differs.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "runtime/real/loop_private.h"

/* From the first change to the input: one change of network makes many messages. */
static const uint64_t NETWORK_SETTLE_MS = 100;

enum { NETWORK_READS_MAX = 32, NETWORK_MESSAGE_SIZE = 16 * 1024 };

struct loop_network {
    uv_poll_t poll;
    struct tern_loop *loop;
    int fd;
};

static void network_on_timer(uv_timer_t *timer)
{
    loop_input(timer->data, &(struct tern_input){.kind = TERN_INPUT_NETWORK});
}

/* Does a message speak of a change? The kernel's cache of routes is no news. */
static bool network_is_news(struct tern_view message)
{
    struct nlmsghdr header;
    struct rtmsg route;
    memcpy(&header, message.data, sizeof header);
    if (header.nlmsg_type != RTM_NEWROUTE && header.nlmsg_type != RTM_DELROUTE)
        return true;
    if (message.size < NLMSG_LENGTH(sizeof route))
        return false;
    memcpy(&route, message.data + NLMSG_LENGTH(0), sizeof route);
    return (route.rtm_flags & RTM_F_CLONED) == 0;
}

static bool network_any_news(struct tern_view messages)
{
    struct nlmsghdr header;
    bool news = false;
    for (size_t at = 0; at + sizeof header <= messages.size; at += NLMSG_ALIGN(header.nlmsg_len)) {
        memcpy(&header, messages.data + at, sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > messages.size - at)
            break;
        news = news || network_is_news(tern_view_part(messages, at, header.nlmsg_len));
    }
    return news;
}

/* Reads what there is; true: it speaks of a change. */
static bool network_read(const struct loop_network *network)
{
    uint8_t buffer[NETWORK_MESSAGE_SIZE];
    bool news = false;
    for (int i = 0; i < NETWORK_READS_MAX; i++) {
        ssize_t size = recv(network->fd, buffer, sizeof buffer, 0);
        if (size < 0)
            return news || errno == ENOBUFS; /* messages were lost */
        news = network_any_news(tern_view_of(buffer, (size_t)size)) || news;
    }
    return news;
}

static void network_on_poll(uv_poll_t *poll, int status, int events)
{
    struct loop_network *network = poll->data;
    struct tern_loop *loop = network->loop;
    (void)events;
    bool news = network_read(network);
    if (status != 0) { /* libuv has stopped watching */
        int error;
        socklen_t size = sizeof error;
        (void)getsockopt(network->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (uv_poll_start(&network->poll, UV_READABLE, network_on_poll) != 0)
            loop_network_unwatch(loop);
        news = true;
    }
    if (news && !uv_is_active((uv_handle_t *)&loop->network_timer))
        uv_timer_start(&loop->network_timer, network_on_timer, NETWORK_SETTLE_MS, 0);
}

static bool network_open(struct loop_network *network)
{
    struct sockaddr_nl name = {
        .nl_family = AF_NETLINK,
        .nl_groups =
            RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
    };
    network->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (network->fd < 0)
        return false;
    if (bind(network->fd, (struct sockaddr *)&name, sizeof name) == 0 &&
        uv_poll_init(&network->loop->uv, &network->poll, network->fd) == 0)
        return true;
    (void)close(network->fd);
    return false;
}

void loop_network_watch(struct tern_loop *loop)
{
    struct loop_network *network = calloc(1, sizeof *network);
    if (network == NULL)
        return;
    network->loop = loop;
    network->poll.data = network;
    if (!network_open(network)) {
        free(network);
        return;
    }
    loop->network = network;
    if (uv_poll_start(&network->poll, UV_READABLE, network_on_poll) != 0)
        loop_network_unwatch(loop);
}

static void network_freed(uv_handle_t *handle)
{
    free(handle->data);
}

void loop_network_unwatch(struct tern_loop *loop)
{
    struct loop_network *network = loop->network;
    uv_timer_stop(&loop->network_timer);
    if (network == NULL)
        return;
    loop->network = NULL;
    uv_close((uv_handle_t *)&network->poll, network_freed);
    (void)close(network->fd);
}
