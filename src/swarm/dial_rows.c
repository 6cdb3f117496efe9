/*
 * What a dial did, for explaining: a row for each address that it tried and for each that it did
 * not. The place of a row is taken before it is needed, so that telling never fails.
 */
#include "swarm/private.h"

enum { ROWS_FIRST = 4, ROWS_SKIPPED_MAX = TERN_DIAL_ROWS_MAX - TERN_DIAL_ATTEMPTS_MAX };

/* Bytes of an address that was not tried; the row views them. */
struct rows_address {
    struct tern_list link;
    uint16_t size;
    uint8_t bytes[];
};

tern_err tern_dial_rows_reserve(struct tern_swarm *s, struct swarm_dial *d)
{
    /* Each address that waits has a place already. */
    uint32_t needed = d->attempts_count + d->waiting_count + 1;
    uint32_t capacity = d->attempts_capacity == 0 ? ROWS_FIRST : d->attempts_capacity;
    if (needed > TERN_DIAL_ROWS_MAX)
        return TERN_ERR_FULL;
    while (capacity < needed)
        capacity *= 2;
    if (capacity == d->attempts_capacity)
        return TERN_OK;
    struct tern_dial_attempt *grown = tern_mem_realloc(
        s->mem, d->attempts, d->attempts_capacity * sizeof grown[0], capacity * sizeof grown[0]);
    if (grown == NULL)
        return TERN_ERR_MEMORY;
    d->attempts = grown;
    d->attempts_capacity = capacity;
    return TERN_OK;
}

void tern_dial_rows_fini(struct tern_swarm *s, struct swarm_dial *d)
{
    struct tern_list *node;
    while ((node = tern_list_pop_front(&d->addresses)) != NULL) {
        struct rows_address *address = TERN_LIST_ENTRY(node, struct rows_address, link);
        tern_mem_free(s->mem, address, sizeof *address + address->size);
    }
    tern_mem_free(s->mem, d->attempts, d->attempts_capacity * sizeof d->attempts[0]);
    d->attempts = NULL;
    d->attempts_count = d->attempts_capacity = 0;
}

/* rows_known: is there a row of this address, which is not tried, already? */
static bool rows_known(const struct swarm_dial *d, struct tern_view address)
{
    for (uint32_t i = 0; i < d->attempts_count; i++)
        if (d->attempts[i].address.size > 0 && tern_view_equal(d->attempts[i].address, address))
            return true;
    return false;
}

void tern_dial_rows_skip(struct tern_swarm *s, struct swarm_dial *d,
                         const struct tern_dial_attempt *row)
{
    if (d->skipped_count == ROWS_SKIPPED_MAX || rows_known(d, row->address) ||
        tern_dial_rows_reserve(s, d) != TERN_OK)
        return; /* what cannot be told is no reason to fail */
    size_t size = row->address.size;
    struct rows_address *address = tern_mem_alloc(s->mem, sizeof *address + size);
    if (address == NULL)
        return;
    tern_list_init(&address->link);
    address->size = (uint16_t)size;
    memcpy(address->bytes, row->address.data, size);
    tern_list_push_back(&d->addresses, &address->link);
    struct tern_dial_attempt *place = &d->attempts[d->attempts_count++];
    d->skipped_count++;
    *place = *row;
    place->address = tern_view_of(address->bytes, size);
}

bool tern_dial_row_reached(const struct tern_dial_attempt *row)
{
    return row->linked_ns != 0 && !tern_transport_on_udp(row->route.transport);
}

/* --- in words --- */

static void rows_milliseconds(struct tern_writer *out, tern_time span)
{
    tern_writer_decimal(out, span / TERN_MILLISECOND);
    tern_writer_str(out, " ms");
}

static void rows_address(const struct tern_dial_attempt *row, struct tern_writer *out)
{
    struct tern_multiaddr address;
    struct tern_view view = row->address;
    if (view.size == 0) {
        tern_route_multiaddr(&row->route, &address);
        view = tern_multiaddr_view(&address);
    }
    if (tern_multiaddr_format(view, out) != TERN_OK)
        tern_writer_str(out, "(an address that cannot be written)");
}

static void rows_not_tried(const struct tern_dial_attempt *row, tern_time now,
                           struct tern_writer *out)
{
    tern_writer_str(out, " not tried: ");
    switch ((int)row->err) {
    case TERN_ERR_BLACK_HOLE:
        for (int i = 0; i < TERN_BLACK_HOLES; i++)
            if (row->black_holes & TERN_BLACK_HOLE_BIT(i)) {
                tern_writer_str(out, tern_black_hole_name((enum tern_black_hole)i));
                break;
            }
        tern_writer_str(out, " seems to be blocked here");
        return;
    case TERN_ERR_RATE:
        tern_writer_str(out, "it failed lately; again in ");
        tern_writer_decimal(out,
                            (tern_time_since(row->until, now) + TERN_SECOND - 1) / TERN_SECOND);
        tern_writer_str(out, " s");
        return;
    case TERN_ERR_UNSUPPORTED:
        tern_writer_str(out, row->outside_network ? TERN_DIAL_OUTSIDE_NETWORK
                                                  : "it is of no transport that is to be had here");
        return;
    case TERN_ERR_INVALID:
        tern_writer_str(out, "it cannot be dialled, or is of another peer");
        return;
    case TERN_ERR_CLOSED:
        tern_writer_str(out, "it was not needed any more");
        return;
    default: /* a name that could not be resolved, the gate, no time or memory left */
        tern_writer_str(out, tern_err_text(row->err));
        return;
    }
}

static void rows_tried(const struct tern_dial_attempt *row, tern_time began, tern_time now,
                       struct tern_writer *out)
{
    tern_writer_str(out, " after ");
    rows_milliseconds(out, tern_time_since(row->started_ns, began));
    if (tern_dial_row_reached(row)) {
        tern_writer_str(out, ": reached in ");
        rows_milliseconds(out, tern_time_since(row->linked_ns, row->started_ns));
    }
    tern_writer_str(out, tern_dial_row_reached(row) ? ", " : ": ");
    if (row->ended_ns == 0)
        tern_writer_str(out, "under way");
    else if (row->err == TERN_OK)
        tern_writer_str(out, "connected");
    else if (row->err == TERN_ERR_CLOSED)
        tern_writer_str(out, "given up, for it is not needed any more");
    else
        tern_writer_str(out, tern_err_text(row->err));
    tern_writer_str(out, row->ended_ns == 0 ? " for " : " in ");
    rows_milliseconds(out,
                      tern_time_since(row->ended_ns == 0 ? now : row->ended_ns, row->started_ns));
    if (row->refusal.limit_info != NULL) {
        tern_writer_str(out, ": ");
        tern_refusal_format(&row->refusal, out);
    }
}

void tern_dial_attempt_format(const struct tern_dial_attempt *row, tern_time began, tern_time now,
                              struct tern_writer *out)
{
    rows_address(row, out);
    if (row->started_ns == 0)
        rows_not_tried(row, now, out);
    else
        rows_tried(row, began, now, out);
}
