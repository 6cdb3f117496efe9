#include "datagram_net.h"

#include "base/check.h"

/* Datagrams of a batch that leave within this time arrive together. */
static const tern_time NET_TOGETHER_NS = 50 * TERN_MICROSECOND;

/* Datagrams that arrive together. */
struct net_flight {
    struct tern_timer timer;
    struct tern_endpoint from;
    struct tern_endpoint to;
    uint8_t ecn;
    uint16_t segment_size;
    struct tern_chunk *chunk;
};

/* A batch on its way through the link: the run of datagrams that stay together so far. */
struct net_run {
    struct datagram_socket *socket;
    const struct tern_datagrams_out *out;
    tern_link_id id;
    tern_time now;
    struct tern_view bytes; /* from the batch; size 0: none yet */
    tern_time began;        /* when the first of them had left the link */
    tern_time left;         /* when the last one had */
    uint8_t ecn;
};

void datagram_net_init(struct datagram_net *net, uint64_t seed)
{
    *net = (struct datagram_net){.sockets_count = 0};
    tern_mem_init(&net->mem, 0);
    tern_random_init_u64(&net->random, seed);
    tern_timer_queue_init(&net->flights, &net->mem);
}

static void net_flight_free(struct datagram_net *net, struct net_flight *flight)
{
    tern_timer_cancel(&net->flights, &flight->timer);
    tern_chunk_unref(flight->chunk);
    tern_mem_free(&net->mem, flight, sizeof *flight);
}

static struct net_flight *net_flight_pop(struct datagram_net *net, tern_time now)
{
    struct tern_timer *timer = tern_timer_pop(&net->flights, now);
    return timer == NULL ? NULL : TERN_CONTAINER_OF(timer, struct net_flight, timer);
}

void datagram_net_fini(struct datagram_net *net)
{
    struct net_flight *flight;
    while ((flight = net_flight_pop(net, TERN_TIME_NEVER)) != NULL)
        net_flight_free(net, flight);
    tern_timer_queue_fini(&net->flights);
    tern_chunk_unref(net->given);
    tern_mem_fini(&net->mem);
}

struct tern_endpoint datagram_endpoint(uint8_t host, uint16_t port)
{
    return (struct tern_endpoint){.family = 4, .ip = {10, 0, 0, host}, .port = port};
}

static bool endpoint_equal(const struct tern_endpoint *a, const struct tern_endpoint *b)
{
    return a->family == b->family && a->port == b->port &&
           memcmp(a->ip, b->ip, a->family == 4 ? 4 : 16) == 0;
}

/* net_find is the socket that others see at the address. */
static struct datagram_socket *net_find(struct datagram_net *net, const struct tern_endpoint *at)
{
    for (size_t i = 0; i < net->sockets_count; i++) {
        struct datagram_socket *socket = &net->sockets[i];
        if (socket->bound && endpoint_equal(&socket->seen_as, at))
            return socket;
    }
    return NULL;
}

tern_link_id datagram_net_bind(struct datagram_net *net, const struct tern_endpoint *local,
                               const struct datagram_link *link)
{
    TERN_CHECK(net->sockets_count < DATAGRAM_SOCKETS_MAX);
    TERN_CHECK(net_find(net, local) == NULL);
    net->sockets[net->sockets_count] =
        (struct datagram_socket){.bound = true, .local = *local, .seen_as = *local};
    if (link != NULL)
        net->sockets[net->sockets_count].link = *link;
    /* A generation in the high half, as worlds have it. */
    return (UINT64_C(1) << 32) | net->sockets_count++;
}

struct datagram_socket *datagram_net_socket(struct datagram_net *net, tern_link_id socket)
{
    TERN_CHECK(tern_link_slot(socket) < net->sockets_count);
    return &net->sockets[tern_link_slot(socket)];
}

void datagram_net_close(struct datagram_net *net, tern_link_id socket)
{
    datagram_net_socket(net, socket)->bound = false;
}

void datagram_net_remap(struct datagram_net *net, tern_link_id socket,
                        const struct tern_endpoint *seen_as)
{
    TERN_CHECK(net_find(net, seen_as) == NULL);
    datagram_net_socket(net, socket)->seen_as = *seen_as;
}

/* --- the link --- */

static bool net_chance(struct datagram_net *net, uint32_t ppm)
{
    return ppm > 0 && tern_random_below(&net->random, 1000000) < ppm;
}

/* net_post puts bytes on their way. */
static void net_post(struct datagram_net *net, const struct net_run *run, struct tern_view bytes,
                     tern_time arrival)
{
    struct net_flight *flight = tern_mem_zalloc(&net->mem, sizeof *flight);
    TERN_CHECK(flight != NULL);
    tern_timer_init(&flight->timer);
    flight->from = run->socket->seen_as;
    flight->to = run->out->path.remote;
    flight->ecn = run->ecn;
    flight->segment_size = (uint16_t)tern_min_size(run->out->segment_size, bytes.size);
    flight->chunk = tern_chunk_copy(&net->mem, bytes);
    TERN_CHECK(flight->chunk != NULL);
    TERN_CHECK(tern_timer_set(&net->flights, &flight->timer, arrival) == TERN_OK);
}

/* net_arrival is when what has left the link arrives. */
static tern_time net_arrival(struct datagram_net *net, struct datagram_socket *socket,
                             tern_time left)
{
    const struct datagram_link *link = &socket->link;
    tern_time arrival = left + link->latency_ns;
    if (link->jitter_ns > 0)
        arrival += tern_random_below(&net->random, link->jitter_ns + 1);
    if (arrival < socket->last_arrival)
        arrival = socket->last_arrival;
    socket->last_arrival = arrival;
    return arrival;
}

/* net_run_end sends off what has stayed together. */
static void net_run_end(struct datagram_net *net, struct net_run *run)
{
    if (run->bytes.size > 0)
        net_post(net, run, run->bytes, net_arrival(net, run->socket, run->left));
    run->bytes = tern_view_of(NULL, 0);
}

/* net_enter books a datagram on the link; false: it is dropped there. */
static bool net_enter(struct net_run *run, size_t size, bool *marked)
{
    struct datagram_socket *socket = run->socket;
    const struct datagram_link *link = &socket->link;
    if (socket->busy_until < run->now)
        socket->busy_until = run->now;
    *marked = false;
    if (link->down || (link->datagram_bytes_max > 0 && size > link->datagram_bytes_max))
        return false;
    if (link->bits_per_second == 0)
        return true;
    uint64_t wait_ns = socket->busy_until - run->now;
    uint64_t queued = (uint64_t)((__uint128_t)wait_ns * link->bits_per_second / 8 / TERN_SECOND);
    if (link->queue_bytes_max > 0 && queued > link->queue_bytes_max)
        return false;
    *marked = link->mark_bytes > 0 && queued > link->mark_bytes;
    uint64_t bits = (size + DATAGRAM_HEADERS_SIZE) * 8;
    socket->busy_until += bits * TERN_SECOND / link->bits_per_second;
    return true;
}

/* net_apart sends one datagram by itself: harmed, late, twice. */
static void net_apart(struct datagram_net *net, struct net_run *run, struct tern_view bytes)
{
    const struct datagram_link *link = &run->socket->link;
    uint8_t copy[TERN_DATAGRAMS_SIZE_MAX];
    memcpy(copy, bytes.data, bytes.size);
    bool late = net_chance(net, link->reorder_ppm);
    unsigned times = net_chance(net, link->duplicate_ppm) ? 2 : 1;
    if (net_chance(net, link->corrupt_ppm)) {
        uint64_t bit = tern_random_below(&net->random, bytes.size * 8);
        copy[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    tern_time left = run->socket->busy_until;
    tern_time arrival =
        late ? left + link->latency_ns + link->reorder_ns : net_arrival(net, run->socket, left);
    for (unsigned i = 0; i < times; i++)
        net_post(net, run, tern_view_of(copy, bytes.size), arrival);
}

static uint8_t net_ecn(const struct net_run *run, bool marked)
{
    if (run->socket->link.bleach)
        return 0;
    return marked && run->out->ecn != 0 ? 3 : run->out->ecn;
}

/* net_datagram lets one datagram of the batch through the link. */
static void net_datagram(struct datagram_net *net, struct net_run *run, struct tern_span bytes)
{
    struct datagram_socket *socket = run->socket;
    socket->sent_count++;
    socket->sent_bytes += bytes.size;
    const struct datagram_seen seen = {.now = run->now,
                                       .socket = run->id,
                                       .from = socket->seen_as,
                                       .to = run->out->path.remote,
                                       .ecn = run->out->ecn,
                                       .bytes = bytes};
    bool marked = false;
    bool through = net->tap == NULL || net->tap(net->tap_context, &seen);
    if (!through || !net_enter(run, bytes.size, &marked) ||
        net_chance(net, socket->link.loss_ppm)) {
        socket->lost_count++;
        net_run_end(net, run);
        return;
    }
    uint8_t ecn = net_ecn(run, marked);
    const struct datagram_link *link = &socket->link;
    bool apart = link->reorder_ppm > 0 || link->corrupt_ppm > 0 || link->duplicate_ppm > 0;
    bool together = run->bytes.size > 0 && ecn == run->ecn && !apart &&
                    socket->busy_until - run->began <= NET_TOGETHER_NS;
    if (!together) {
        net_run_end(net, run);
        run->began = socket->busy_until;
        run->ecn = ecn;
    }
    run->left = socket->busy_until;
    if (apart)
        net_apart(net, run, tern_view_of(bytes.data, bytes.size));
    else if (together)
        run->bytes.size += bytes.size;
    else
        run->bytes = tern_view_of(bytes.data, bytes.size);
}

void datagram_net_send(struct datagram_net *net, tern_time now, tern_link_id socket,
                       const struct tern_datagrams_out *out)
{
    struct net_run run = {
        .socket = datagram_net_socket(net, socket), .out = out, .id = socket, .now = now};
    TERN_CHECK(run.socket->bound && out->segment_size > 0 && out->writer.size > 0);
    TERN_CHECK(out->writer.size <= TERN_DATAGRAMS_SIZE_MAX);
    size_t count = 0;
    for (size_t at = 0; at < out->writer.size; at += out->segment_size, count++) {
        size_t size = tern_min_size(out->segment_size, out->writer.size - at);
        net_datagram(net, &run, (struct tern_span){out->writer.data + at, size});
    }
    TERN_CHECK(count <= TERN_DATAGRAMS_SEGMENTS_MAX);
    run.socket->batches_count++;
    net_run_end(net, &run);
}

void datagram_net_inject(struct datagram_net *net, tern_time at, const struct tern_path *from_to,
                         struct tern_view bytes)
{
    struct datagram_socket forger = {.seen_as = from_to->local};
    const struct tern_datagrams_out out = {.path = *from_to, .segment_size = (uint16_t)bytes.size};
    const struct net_run run = {.socket = &forger, .out = &out};
    TERN_CHECK(bytes.size > 0 && bytes.size <= TERN_DATAGRAMS_SIZE_MAX);
    net_post(net, &run, bytes, at);
}

/* --- arrivals --- */

tern_time datagram_net_next(const struct datagram_net *net)
{
    return tern_timer_next(&net->flights);
}

bool datagram_net_recv(struct datagram_net *net, tern_time now, tern_link_id *socket,
                       struct tern_datagrams *in)
{
    tern_chunk_unref(net->given);
    net->given = NULL;
    struct net_flight *flight;
    while ((flight = net_flight_pop(net, now)) != NULL) {
        struct datagram_socket *to = net_find(net, &flight->to);
        if (to == NULL) {
            net_flight_free(net, flight);
            continue;
        }
        net->given = tern_chunk_ref(flight->chunk);
        *socket = (UINT64_C(1) << 32) | (uint64_t)(to - net->sockets);
        *in = (struct tern_datagrams){.path = {.local = to->local, .remote = flight->from},
                                      .ecn = flight->ecn,
                                      .segment_size = flight->segment_size,
                                      .chunk = net->given,
                                      .data = tern_chunk_view(net->given)};
        to->received_bytes += in->data.size;
        to->received_count += (in->data.size + in->segment_size - 1) / in->segment_size;
        net_flight_free(net, flight);
        return true;
    }
    return false;
}
