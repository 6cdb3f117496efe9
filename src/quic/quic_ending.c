/*
 * Endings: what is remembered of sessions that are no more (RFC 9000, section 10.2). Packets that
 * still come are answered by the packet that told of the end, ever less often, or by nothing, and
 * never by a stateless reset.
 */
#include "quic/quic_internal.h"

void quic_ending_free(struct quic_ending *ending)
{
    struct quic *quic = ending->quic;
    tern_timer_cancel(&quic->ending_timers, &ending->timer);
    quic_route_clear(&quic->routes, &ending->route);
    tern_list_remove(&ending->link);
    quic->endings_count--;
    tern_mem_free(quic->mem, ending, sizeof *ending + ending->size);
}

void quic_ending_begin(struct tern_quic_conn *conn, struct tern_view packet, tern_time duration)
{
    struct quic *quic = conn->quic;
    if (quic->endings_count >= TERN_QUIC_ENDINGS_MAX)
        quic_ending_free(TERN_LIST_ENTRY(quic->endings.next, struct quic_ending, link));
    struct quic_ending *ending = tern_mem_zalloc(quic->mem, sizeof *ending + packet.size);
    if (ending == NULL) {
        quic_route_clear(&quic->routes, &conn->route);
        return;
    }
    ending->quic = quic;
    ending->socket = conn->socket;
    tern_quic_path_get(ngtcp2_conn_get_path(conn->ng), &ending->path);
    ending->size = (uint16_t)packet.size;
    tern_copy(ending->bytes, packet.data, packet.size);
    quic_route_init(&ending->route, QUIC_ROUTE_ENDING);
    quic_route_move(&conn->route, &ending->route);
    tern_timer_init(&ending->timer);
    tern_list_push_back(&quic->endings, &ending->link);
    quic->endings_count++;
    tern_time until = tern_time_add(quic->now, duration);
    if (tern_timer_set(&quic->ending_timers, &ending->timer, until) != TERN_OK)
        quic_ending_free(ending);
}

void quic_ending_packet(struct quic_ending *ending, struct tern_view datagram)
{
    ending->received_count++;
    bool power_of_two = (ending->received_count & (ending->received_count - 1)) == 0;
    if (ending->size > 0 && power_of_two && datagram.size * 3 >= ending->size)
        quic_outbox(ending->quic, ending->socket, &ending->path, 0,
                    tern_view_of(ending->bytes, ending->size));
}

void quic_endings_drop(struct quic *quic, uint16_t socket)
{
    TERN_LIST_FOREACH_SAFE (node, next, &quic->endings) {
        struct quic_ending *ending = TERN_LIST_ENTRY(node, struct quic_ending, link);
        if (socket == QUIC_SOCKETS_MAX || ending->socket == socket)
            quic_ending_free(ending);
    }
}
