#include "runtime/real/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/check.h"
#include "runtime/real/endpoint.h"

/* --- opening --- */

static bool udp_any_address(const struct tern_endpoint *endpoint)
{
    static const uint8_t zeros[16];
    return memcmp(endpoint->ip, zeros, endpoint->family == 4 ? 4 : 16) == 0;
}

static bool udp_set(const struct tern_udp *udp, int level, int name, int value)
{
    return setsockopt(udp->fd, level, name, &value, sizeof value) == 0;
}

/* The system's limit binds those who may not exceed it; the kernel cuts what they ask to it. */
static void udp_set_buffers(const struct tern_udp *udp)
{
    if (!udp_set(udp, SOL_SOCKET, SO_RCVBUFFORCE, TERN_UDP_RECV_BUFFER_SIZE))
        (void)udp_set(udp, SOL_SOCKET, SO_RCVBUF, TERN_UDP_RECV_BUFFER_SIZE);
    if (!udp_set(udp, SOL_SOCKET, SO_SNDBUFFORCE, TERN_UDP_SEND_BUFFER_SIZE))
        (void)udp_set(udp, SOL_SOCKET, SO_SNDBUF, TERN_UDP_SEND_BUFFER_SIZE);
}

/* All but IPV6_V6ONLY makes things better and is not needed. */
static bool udp_set_options(struct tern_udp *udp, uint8_t family, bool offload)
{
    if (family == 4) {
        (void)udp_set(udp, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
        (void)udp_set(udp, IPPROTO_IP, IP_RECVTOS, 1);
        if (udp->wildcard)
            (void)udp_set(udp, IPPROTO_IP, IP_PKTINFO, 1);
    } else {
        if (!udp_set(udp, IPPROTO_IPV6, IPV6_V6ONLY, 1))
            return false;
        (void)udp_set(udp, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
        (void)udp_set(udp, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
        if (udp->wildcard)
            (void)udp_set(udp, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    }
    udp_set_buffers(udp);
    /* 0: each send says its own size. A kernel that does not know the option refuses it. */
    udp->segments = offload && udp_set(udp, IPPROTO_UDP, UDP_SEGMENT, 0);
    udp->coalesces = offload && udp_set(udp, IPPROTO_UDP, UDP_GRO, 1);
    return true;
}

static bool udp_bind(struct tern_udp *udp, const struct tern_endpoint *at, bool offload)
{
    struct sockaddr_storage name;
    socklen_t size = at->family == 4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (!udp_set_options(udp, at->family, offload))
        return false;
    tern_endpoint_to_sockaddr(at, &name);
    if (bind(udp->fd, (struct sockaddr *)&name, size) != 0 ||
        getsockname(udp->fd, (struct sockaddr *)&name, &size) != 0)
        return false;
    return tern_endpoint_from_sockaddr((struct sockaddr *)&name, &udp->local) == TERN_OK;
}

tern_err tern_udp_open(struct tern_udp *udp, const struct tern_endpoint *at, bool offload)
{
    if (at->family != 4 && at->family != 6)
        return TERN_ERR_UNREACHABLE;
    *udp = (struct tern_udp){.wildcard = udp_any_address(at)};
    udp->fd =
        socket(at->family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (udp->fd < 0)
        return tern_err_from_uv(uv_translate_sys_error(errno));
    if (udp_bind(udp, at, offload))
        return TERN_OK;
    tern_err err = tern_err_from_uv(uv_translate_sys_error(errno));
    tern_udp_close(udp);
    return err;
}

void tern_udp_close(struct tern_udp *udp)
{
    (void)close(udp->fd);
    udp->fd = -1;
}

/* --- control messages --- */

/* Room for all that one message carries either way. */
struct udp_control {
    _Alignas(struct cmsghdr) uint8_t bytes[256];
};

static void control_add(struct msghdr *message, int level, int type, struct tern_view value)
{
    struct cmsghdr header = {
        .cmsg_len = CMSG_LEN(value.size), .cmsg_level = level, .cmsg_type = type};
    uint8_t *at = (uint8_t *)message->msg_control + message->msg_controllen;
    memset(at, 0, CMSG_SPACE(value.size));
    memcpy(at, &header, sizeof header);
    memcpy(CMSG_DATA((struct cmsghdr *)at), value.data, value.size);
    message->msg_controllen += CMSG_SPACE(value.size);
    TERN_DCHECK(message->msg_controllen <= sizeof(struct udp_control));
}

static void control_add_source(struct msghdr *message, const struct tern_endpoint *local)
{
    if (local->family == 4) {
        struct in_pktinfo info = {.ipi_ifindex = 0};
        memcpy(&info.ipi_spec_dst, local->ip, sizeof info.ipi_spec_dst);
        control_add(message, IPPROTO_IP, IP_PKTINFO, tern_view_of(&info, sizeof info));
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = local->scope_id};
        memcpy(&info.ipi6_addr, local->ip, sizeof info.ipi6_addr);
        control_add(message, IPPROTO_IPV6, IPV6_PKTINFO, tern_view_of(&info, sizeof info));
    }
}

static void control_add_ecn(struct msghdr *message, uint8_t family, uint8_t ecn)
{
    int value = ecn;
    if (family == 4)
        control_add(message, IPPROTO_IP, IP_TOS, tern_view_of(&value, sizeof value));
    else
        control_add(message, IPPROTO_IPV6, IPV6_TCLASS, tern_view_of(&value, sizeof value));
}

/* --- sending --- */

/* How a batch is tried. */
struct udp_plan {
    bool source;   /* from the path's own address */
    bool segments; /* as a whole */
};

static void udp_address(struct msghdr *message, const struct tern_udp *udp,
                        const struct tern_datagrams_out *batch, const struct udp_plan *plan)
{
    if (plan->segments)
        control_add(message, IPPROTO_UDP, UDP_SEGMENT,
                    tern_view_of(&batch->segment_size, sizeof batch->segment_size));
    if (plan->source)
        control_add_source(message, &batch->path.local);
    if (batch->ecn != 0)
        control_add_ecn(message, udp->local.family, batch->ecn);
    if (message->msg_controllen == 0)
        message->msg_control = NULL;
}

/* Cuts what is left of the batch into messages: one, or one a datagram. */
static unsigned udp_cut(struct mmsghdr *messages, struct iovec *pieces, const struct msghdr *like,
                        struct tern_view left, size_t piece_size)
{
    unsigned count = 0;
    for (size_t at = 0; at < left.size && count < TERN_DATAGRAMS_SEGMENTS_MAX; count++) {
        size_t size = tern_min_size(left.size - at, piece_size);
        pieces[count] = (struct iovec){
            /* sendmsg takes it as it takes what is read into. */
            .iov_base = (void *)(uintptr_t)(left.data + at),
            .iov_len = size,
        };
        messages[count] = (struct mmsghdr){.msg_hdr = *like};
        messages[count].msg_hdr.msg_iov = &pieces[count];
        messages[count].msg_hdr.msg_iovlen = 1;
        at += size;
    }
    return count;
}

/* Gives the kernel what is left of the batch, or as much as it takes; 0, or the error of the first
 * message. */
static int udp_push(const struct tern_udp *udp, const struct tern_datagrams_out *batch,
                    const struct udp_plan *plan, size_t *done)
{
    struct sockaddr_storage remote;
    struct udp_control control;
    struct mmsghdr messages[TERN_DATAGRAMS_SEGMENTS_MAX];
    struct iovec pieces[TERN_DATAGRAMS_SEGMENTS_MAX];
    struct msghdr like = {
        .msg_name = &remote,
        .msg_namelen = batch->path.remote.family == 4 ? sizeof(struct sockaddr_in)
                                                      : sizeof(struct sockaddr_in6),
        .msg_control = control.bytes,
    };
    struct tern_view all = tern_writer_view(&batch->writer);
    struct tern_view left = tern_view_part(all, *done, all.size - *done);
    tern_endpoint_to_sockaddr(&batch->path.remote, &remote);
    udp_address(&like, udp, batch, plan);
    size_t piece_size = plan->segments ? left.size : batch->segment_size;
    unsigned count = udp_cut(messages, pieces, &like, left, piece_size);
    int sent = sendmmsg(udp->fd, messages, count, 0);
    if (sent < 0)
        return errno;
    for (int i = 0; i < sent; i++)
        *done += pieces[i].iov_len;
    return 0;
}

static bool udp_refuses_batch(int error)
{
    return error == EIO || error == EINVAL || error == ENOPROTOOPT || error == EOPNOTSUPP;
}

static bool udp_refuses_source(int error)
{
    return error == EINVAL || error == ENETUNREACH || error == EADDRNOTAVAIL;
}

static bool udp_is_batch(const struct tern_datagrams_out *batch, size_t done)
{
    return batch->writer.size - done > batch->segment_size;
}

/* EINVAL may mean the batch or the source: first the one is given up, then the other. ECONNREFUSED
 * speaks of an earlier datagram, and once it was told the way is free. Each round sends or drops a
 * datagram, or gives up something. */
bool tern_udp_send(struct tern_udp *udp, const struct tern_datagrams_out *batch, size_t *done)
{
    const struct tern_endpoint *local = &batch->path.local;
    bool refused = false;
    bool told = false;
    struct udp_plan plan = {
        .source = udp->wildcard && local->family != 0 && !udp_any_address(local),
        .segments = udp->segments && udp_is_batch(batch, *done),
    };
    while (*done < batch->writer.size) {
        int error = udp_push(udp, batch, &plan, done);
        if (error == 0) {
            if (refused && !plan.segments)
                udp->segments = false;
        } else if (error == EAGAIN || error == EWOULDBLOCK) {
            return false;
        } else if (error == ECONNREFUSED && !told) {
            told = true;
        } else if (plan.segments && udp_refuses_batch(error)) {
            plan.segments = false;
            refused = true;
        } else if (plan.source && udp_refuses_source(error)) {
            plan.source = false;
            plan.segments = udp->segments && udp_is_batch(batch, *done);
            refused = false;
        } else {
            size_t left = batch->writer.size - *done;
            *done += plan.segments ? left : tern_min_size(left, batch->segment_size);
            refused = false; /* it was not the batch as a whole */
        }
    }
    return true;
}

/* --- receiving --- */

static void udp_control_ip(const struct cmsghdr *header, struct tern_datagrams *got)
{
    if (header->cmsg_type == IP_TOS) {
        got->ecn = *CMSG_DATA(header) & 3;
    } else if (header->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(header), sizeof info);
        memcpy(got->path.local.ip, &info.ipi_spec_dst, 4);
    }
}

static void udp_control_ip6(const struct cmsghdr *header, struct tern_datagrams *got)
{
    if (header->cmsg_type == IPV6_TCLASS) {
        int class;
        memcpy(&class, CMSG_DATA(header), sizeof class);
        got->ecn = (uint8_t)(class & 3);
    } else if (header->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(header), sizeof info);
        memcpy(got->path.local.ip, &info.ipi6_addr, 16);
        if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
            got->path.local.scope_id = info.ipi6_ifindex;
    }
}

static void udp_read_control(struct msghdr *message, struct tern_datagrams *got)
{
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level == IPPROTO_IP) {
            udp_control_ip(at, got);
        } else if (at->cmsg_level == IPPROTO_IPV6) {
            udp_control_ip6(at, got);
        } else if (at->cmsg_level == IPPROTO_UDP && at->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(at), sizeof size);
            got->segment_size = (uint16_t)size;
        }
    }
}

tern_err tern_udp_recv(struct tern_udp *udp, struct tern_span room, struct tern_datagrams *got)
{
    struct sockaddr_storage remote;
    struct udp_control control;
    struct iovec piece = {.iov_base = room.data, .iov_len = room.size};
    struct msghdr message = {
        .msg_name = &remote,
        .msg_namelen = sizeof remote,
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes,
    };
    TERN_DCHECK(room.size >= TERN_UDP_RECV_SIZE);
    ssize_t size = recvmsg(udp->fd, &message, 0);
    if (size < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? TERN_ERR_AGAIN : TERN_ERR_IO;
    if (size == 0 || size > UINT16_MAX || (message.msg_flags & MSG_TRUNC) != 0)
        return TERN_ERR_IO;
    *got = (struct tern_datagrams){
        .path = {.local = udp->local},
        .segment_size = (uint16_t)size,
        .data = tern_view_of(room.data, (size_t)size),
    };
    udp_read_control(&message, got);
    if (got->segment_size == 0 ||
        tern_endpoint_from_sockaddr((struct sockaddr *)&remote, &got->path.remote) != TERN_OK)
        return TERN_ERR_IO;
    return TERN_OK;
}
