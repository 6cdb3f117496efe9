/*
 * Open links. Each direction is a queue of segments in the sender's end; the oldest one has an
 * ARRIVAL in the heap, unless the receiver is stalled (its machine did not take all) or the
 * direction is held (the pair is cut, or the receiver's host is down).
 *
 *     PENDING ── DIALED, ACCEPTED ──► OPEN ── CLOSE and all sent, ABORT, reset, time-out ──► CLOSED
 *
 * A closed end's segments still travel; the link is freed when both ends are closed and no event in
 * the heap names it.
 */
#include "base/check.h"
#include "runtime/sim/world_private.h"

/* --- life --- */

static void end_init(struct sim_end *end, struct sim_link *link, uint32_t side,
                     struct sim_node *node)
{
    struct sim_world *world = link->world;
    end->link = link;
    end->side = side;
    end->node = node;
    end->id = TERN_LINK_NONE;
    tern_list_init(&end->ready);
    tern_ring_init(&end->out, &world->mem, sizeof(struct sim_segment), SIM_SEGMENTS_MAX);
    end->rng = sim_world_seed_of(world, tern_view_str("link"), link->number * 2 + side);
    end->path = world->options.path_default;
    if (node != NULL)
        end->incarnation = node->incarnation;
}

struct sim_link *sim_link_new(struct sim_node *dialer, struct sim_node *target)
{
    struct sim_world *world = dialer->world;
    struct sim_link *link = sim_take(world, sizeof(*link));
    *link = (struct sim_link){.world = world, .number = world->links_number++};
    tern_list_push_back(&world->links, &link->all);
    tern_list_init(&link->dial);
    end_init(&link->ends[0], link, 0, dialer);
    end_init(&link->ends[1], link, 1, target);
    if (target != NULL) {
        sim_net_path(world, dialer->index, target->index, &link->ends[0].path);
        sim_net_path(world, target->index, dialer->index, &link->ends[1].path);
    }
    return link;
}

static void end_drop_segments(struct sim_end *end)
{
    struct sim_segment segment;
    while (tern_ring_pop(&end->out, &segment))
        tern_chunk_unref(segment.chunk);
    end->out_bytes = 0;
    end->held = false;
}

void sim_link_reap(struct sim_link *link)
{
    if (link->ends[0].state == SIM_END_CLOSED && link->ends[1].state != SIM_END_OPEN &&
        !link->dead) {
        /* A pending ends[1] that still could be opened has the OPEN segment on its way. */
        const struct sim_segment *head = tern_ring_at(&link->ends[0].out, 0);
        if (head != NULL && head->kind == SIM_SEGMENT_OPEN)
            return;
        link->dead = true;
        tern_list_remove(&link->all);
        end_drop_segments(&link->ends[0]);
        end_drop_segments(&link->ends[1]);
    }
    if (!link->dead || link->events > 0)
        return;
    tern_ring_fini(&link->ends[0].out);
    tern_ring_fini(&link->ends[1].out);
    tern_mem_free(&link->world->mem, link, sizeof(*link));
}

void sim_link_event(struct sim_link *link, tern_time time, enum sim_event_kind kind, uint32_t side,
                    uint64_t number)
{
    struct sim_event event = {.kind = kind, .side = side, .object = link, .number = number};
    link->events++;
    sim_events_push(&link->world->events, time, &event);
}

void sim_link_event_done(struct sim_link *link)
{
    TERN_CHECK(link->events > 0);
    link->events--;
    sim_link_reap(link);
}

/* sim_end_open gives the end a slot; the caller tells the machine. */
void sim_end_open(struct sim_end *end)
{
    struct sim_node *node = end->node;
    TERN_CHECK(end->state == SIM_END_PENDING && node->up);
    end->id = sim_slot_take(node, (struct sim_slot){.end = end});
    end->state = SIM_END_OPEN;
    end->incarnation = node->incarnation;
    end->opened_at = node->world->now;
    node->links_count++;
    node->world->counters.links_opened++;
}

static void end_arm(struct sim_end *from);

/* end_leave makes an open end closed, without telling its machine. */
static void end_leave(struct sim_end *end)
{
    TERN_CHECK(end->state == SIM_END_OPEN);
    end->state = SIM_END_CLOSED;
    sim_slot_give(end->node, end->id);
    end->node->links_count--;
    tern_list_remove(&end->ready);
    if (end->stalled) { /* what is unread now finds a closed door */
        end->stalled = false;
        end_arm(sim_end_other(end));
    }
}

void sim_end_close(struct sim_end *end, tern_err err)
{
    end_leave(end);
    sim_node_input(end->node, &(struct tern_input){
                                  .kind = TERN_INPUT_LINK_CLOSED, .link = end->id, .err = err});
}

/* end_drop_unsent forgets what has not left the host yet. */
static void end_drop_unsent(struct sim_end *end)
{
    tern_time now = end->link->world->now;
    struct tern_ring *out = &end->out;
    while (tern_ring_count(out) > 0) {
        const struct sim_segment *last = tern_ring_at(out, tern_ring_count(out) - 1);
        if (last->departure <= now)
            break;
        if (last->chunk != NULL)
            end->out_bytes -= last->chunk->size - last->offset;
        tern_chunk_unref(last->chunk);
        out->count--;
    }
    const struct sim_segment *last = tern_ring_at(out, tern_ring_count(out) - 1);
    end->last_arrival = last == NULL ? now : last->arrival;
}

void sim_end_vanish(struct sim_end *end, enum sim_crash how)
{
    end_drop_unsent(end);
    if (how == SIM_CRASH_PROCESS)
        sim_end_send_reset(end);
    end_leave(end);
    sim_link_reap(end->link);
}

/* --- sending --- */

tern_time sim_end_delay(struct sim_end *end)
{
    tern_time delay = end->path.latency_ns;
    if (end->path.jitter_ns > 0)
        delay += sim_rng_below(&end->rng, end->path.jitter_ns + 1);
    return delay;
}

/* end_loss_delay: how much later a segment arrives because packets of it were lost: a round trip
 * for each repetition, and a retransmission time-out at least if nothing follows that would show
 * the gap. */
static tern_time end_loss_delay(struct sim_end *end, size_t size)
{
    enum { REPEATS_MAX = 6, MILLION = 1000000 };
    uint64_t loss = end->path.loss_ppm;
    if (loss == 0)
        return 0;
    uint64_t packets = 1 + size / SIM_PACKET_SIZE;
    uint64_t chance = packets * loss < MILLION ? packets * loss : MILLION;
    if (sim_rng_below(&end->rng, MILLION) >= chance)
        return 0;
    end->link->world->counters.lost++;
    tern_time round_trip = end->path.latency_ns + sim_end_other(end)->path.latency_ns;
    tern_time repeat = round_trip;
    if (tern_ring_count(&end->out) == 0)
        repeat += 200 * TERN_MILLISECOND;
    tern_time delay = repeat;
    for (int i = 0; i < REPEATS_MAX && sim_rng_below(&end->rng, MILLION) < loss; i++) {
        repeat *= 2;
        delay += repeat;
    }
    return delay;
}

static void end_arm(struct sim_end *from)
{
    const struct sim_segment *head = tern_ring_at(&from->out, 0);
    if (head == NULL || from->armed || from->held || sim_end_other(from)->stalled)
        return;
    tern_time now = from->link->world->now;
    from->armed = true;
    sim_link_event(from->link, head->arrival > now ? head->arrival : now, SIM_EVENT_ARRIVAL,
                   from->side, 0);
}

void sim_end_post(struct sim_end *end, enum sim_segment_kind kind, struct tern_view bytes)
{
    struct sim_world *world = end->link->world;
    struct sim_segment segment = {.kind = kind};
    if (bytes.size > 0) {
        /* Small segments all take chunks of one recycled class. */
        segment.chunk = tern_chunk_new(&world->mem, tern_max_size(bytes.size, 2048));
        TERN_CHECK(segment.chunk != NULL);
        memcpy(segment.chunk->data, bytes.data, bytes.size);
        segment.chunk->size = (uint32_t)bytes.size;
    }
    tern_time left_host = sim_serialise(&end->node->up_busy_until, world->now, bytes.size,
                                        end->node->options.up_bytes_per_second);
    segment.departure =
        sim_serialise(&end->busy_until, left_host, bytes.size, end->path.bytes_per_second);
    segment.arrival = segment.departure + sim_end_delay(end) + end_loss_delay(end, bytes.size);
    if (segment.arrival < end->last_arrival)
        segment.arrival = end->last_arrival;
    end->last_arrival = segment.arrival;
    TERN_CHECK(tern_ring_push(&end->out, &segment) == TERN_OK);
    end->out_bytes += bytes.size;
    end->bytes_out += bytes.size;
    end->segments_out++;
    world->counters.segments++;
    world->counters.bytes_sent += bytes.size;
    end_arm(end);
}

static void end_post_cut(struct sim_end *end, struct tern_view bytes)
{
    enum { MILLION = 1000000 };
    const struct sim_world_options *options = &end->link->world->options;
    while (bytes.size > 0) {
        size_t size = tern_min_size(bytes.size, options->segment_bytes);
        if (options->cut_segment_ppm > 0 && size > 1 &&
            sim_rng_below(&end->rng, MILLION) < options->cut_segment_ppm)
            size = 1 + (size_t)sim_rng_below(&end->rng, size);
        sim_end_post(end, SIM_SEGMENT_DATA, tern_view_part(bytes, 0, size));
        bytes = tern_view_part(bytes, size, bytes.size - size);
    }
    end->spoke = true;
}

void sim_end_ready(struct sim_end *end)
{
    if (!tern_list_linked(&end->ready))
        tern_list_push_back(&end->node->ready, &end->ready);
}

/* end_drained does what waited until the machine had no more to send. */
static void end_drained(struct sim_end *end)
{
    if (!end->shut_wanted)
        return;
    if (!end->fin_sent) {
        end->fin_sent = true;
        sim_end_post(end, SIM_SEGMENT_FIN, tern_view_of(NULL, 0));
    }
    if (end->close_wanted)
        sim_end_close(end, TERN_OK);
}

void sim_end_transmit(struct sim_end *end)
{
    struct sim_node *node = end->node;
    struct sim_world *world = node->world;
    size_t buffer = world->options.buffer_bytes;
    while (end->state == SIM_END_OPEN && !end->blocked) {
        if (end->out_bytes >= buffer) {
            end->blocked = true;
            return;
        }
        size_t room = tern_max_size(buffer - end->out_bytes, SIM_TRANSMIT_MIN);
        struct tern_writer out =
            tern_writer_of(world->scratch, tern_min_size(room, SIM_SCRATCH_SIZE));
        node->machine.ops->transmit(node->machine.self, world->now, end->id, &out);
        world->counters.transmits++;
        TERN_CHECK(!out.overflow);
        if (out.size == 0) {
            end_drained(end);
            return;
        }
        TERN_CHECK(!end->fin_sent);
        end_post_cut(end, tern_writer_view(&out));
    }
}

void sim_end_writable(struct sim_end *end)
{
    end->writable_due = false;
    end->blocked = false;
    if (end->state != SIM_END_OPEN)
        return;
    sim_end_ready(end);
    sim_node_pump(end->node);
}

void sim_end_shut(struct sim_end *end, bool close)
{
    end->shut_wanted = true;
    end->close_wanted = end->close_wanted || close;
    sim_end_ready(end);
}

void sim_end_abort(struct sim_end *end)
{
    end_drop_unsent(end);
    sim_end_send_reset(end);
    sim_end_close(end, TERN_OK);
}

/* --- resets --- */

void sim_end_send_reset(struct sim_end *from)
{
    struct sim_end *victim = sim_end_other(from);
    tern_time arrival = from->link->world->now + sim_end_delay(from);
    if (arrival < from->last_arrival) /* never before what was sent before it */
        arrival = from->last_arrival;
    sim_link_event(from->link, arrival, SIM_EVENT_RESET, victim->side, 0);
}

void sim_end_reset(struct sim_end *victim)
{
    struct sim_end *from = sim_end_other(victim);
    if (victim->state != SIM_END_OPEN ||
        !sim_net_passes(victim->link->world, from->node, victim->node))
        return;
    end_drop_segments(from);
    end_drop_segments(victim);
    victim->stalled = false;
    victim->link->world->counters.links_reset++;
    sim_end_close(victim, TERN_ERR_DISCONNECTED);
    sim_node_pump(victim->node);
}

/* --- holding --- */

void sim_end_hold(struct sim_end *from)
{
    struct sim_world *world = from->link->world;
    from->held = true;
    from->held_since = world->now;
    from->holds++;
    sim_link_event(from->link, world->now + world->options.retransmit_timeout_ns, SIM_EVENT_GIVE_UP,
                   from->side, from->holds);
}

/* The next repetition comes at a time that TCP's doubling makes about as long again as the wait so
 * far, at most a minute. */
void sim_end_release(struct sim_end *from)
{
    struct sim_world *world = from->link->world;
    TERN_CHECK(from->held);
    tern_time waited = tern_time_since(world->now, from->held_since);
    tern_time most = tern_time_min(waited, TERN_MINUTE) + TERN_MILLISECOND;
    tern_time arrival = world->now + sim_end_delay(from) + sim_rng_below(&from->rng, most);
    from->held = false;
    for (size_t i = 0; i < tern_ring_count(&from->out); i++) {
        struct sim_segment *segment = tern_ring_at(&from->out, i);
        if (segment->arrival >= arrival)
            break;
        segment->arrival = arrival;
    }
    if (from->last_arrival < arrival)
        from->last_arrival = arrival;
    end_arm(from);
}

void sim_end_give_up(struct sim_end *from, uint64_t hold)
{
    if (!from->held || from->holds != hold)
        return;
    end_drop_segments(from);
    if (from->state != SIM_END_OPEN)
        return;
    TERN_TRACE(&from->node->trace, from->node->world->now, SIM_GAVE_UP, from->id, 0, 0);
    sim_end_close(from, TERN_ERR_TIMEOUT);
    sim_node_pump(from->node);
}

/* --- receiving --- */

/* end_freed takes bytes out of the sender's buffer; he hears of it one way later. */
static void end_freed(struct sim_end *from, size_t size)
{
    struct sim_world *world = from->link->world;
    from->out_bytes -= size;
    if (!from->blocked || from->writable_due || from->state != SIM_END_OPEN ||
        from->out_bytes > world->options.buffer_bytes / 2)
        return;
    from->writable_due = true;
    sim_link_event(from->link, world->now + sim_end_other(from)->path.latency_ns,
                   SIM_EVENT_WRITABLE, from->side, 0);
}

static void end_count_trip(struct sim_end *to)
{
    if (to->spoke)
        to->round_trips++;
    to->spoke = false;
}

/* end_deliver gives the oldest segment's bytes to the machine; false: it did not take all. */
static bool end_deliver(struct sim_end *from, struct sim_segment *head)
{
    struct sim_end *to = sim_end_other(from);
    struct tern_chunk *chunk = head->chunk;
    size_t size = chunk->size - head->offset;
    size_t used = size;
    struct tern_input in = {.kind = TERN_INPUT_DATA,
                            .link = to->id,
                            .chunk = chunk,
                            .data = {.data = chunk->data + head->offset, .size = size},
                            .used = &used};
    end_count_trip(to);
    sim_node_input(to->node, &in);
    TERN_CHECK(used <= size);
    head->offset += (uint32_t)used;
    to->bytes_in += used;
    from->link->world->counters.bytes_taken += used;
    end_freed(from, used);
    if (used < size) {
        to->stalled = true;
        return false;
    }
    struct sim_segment done;
    (void)tern_ring_pop(&from->out, &done);
    tern_chunk_unref(done.chunk);
    return true;
}

/* end_receive takes the oldest segment in; false: the rest has to wait. */
static bool end_receive(struct sim_end *from)
{
    struct sim_end *to = sim_end_other(from);
    struct sim_segment *head = tern_ring_at(&from->out, 0);
    if (head->kind == SIM_SEGMENT_DATA && to->state == SIM_END_OPEN)
        return end_deliver(from, head);
    struct sim_segment segment;
    (void)tern_ring_pop(&from->out, &segment);
    if (segment.kind == SIM_SEGMENT_OPEN) {
        sim_dial_accept(from->link);
    } else if (segment.kind == SIM_SEGMENT_FIN) {
        if (to->state == SIM_END_OPEN)
            sim_node_input(to->node,
                           &(struct tern_input){.kind = TERN_INPUT_LINK_END, .link = to->id});
    } else {
        end_freed(from, segment.chunk->size - segment.offset);
        tern_chunk_unref(segment.chunk);
        sim_end_send_reset(to); /* bytes for nobody */
    }
    return true;
}

void sim_end_arrival(struct sim_end *from)
{
    struct sim_world *world = from->link->world;
    struct sim_end *to = sim_end_other(from);
    from->armed = false;
    const struct sim_segment *first = tern_ring_at(&from->out, 0);
    if (first == NULL || to->stalled)
        return;
    if (first->arrival > world->now) { /* what this event was for has been dropped */
        end_arm(from);
        return;
    }
    bool dark = !to->node->up && to->node->crashed == SIM_CRASH_HOST;
    if (dark || !sim_net_passes(world, from->node, to->node)) {
        sim_end_hold(from);
        return;
    }
    bool more = true;
    while (more) {
        more = end_receive(from);
        const struct sim_segment *head = tern_ring_at(&from->out, 0);
        more = more && head != NULL && head->arrival <= world->now;
    }
    end_arm(from);
    if (to->node->up)
        sim_node_pump(to->node);
}

void sim_end_read(struct sim_end *end)
{
    if (!end->stalled)
        return;
    end->stalled = false;
    end_arm(sim_end_other(end));
}
