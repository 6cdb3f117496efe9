/*
 * Who sends next: the policy by which every muxer shares its connection among its streams. Pure and
 * intrusive: a stream holds its place in line, and nothing is allocated.
 *
 *   CONTROL       first, always
 *   other classes deficit round robin in proportion to their weights: a class whose turn it is
 * sends until its share is used up; one that has the connection to itself owes nothing streams of a
 * class in turn, TERN_SCHEDULE_TURN bytes each
 *
 * A turn is bounded when somebody else waits and unbounded when nobody does, so one busy stream
 * gets frames as large as the room and several get short waits. A stream that is alone in its class
 * may use the whole share of the class at once.
 *
 *   while there is room and (turn = tern_schedule_next(schedule, &size_max)) != NULL
 *       send at most size_max bytes of the stream; tern_schedule_sent(schedule, turn, size)
 *       if it has nothing more to send now: tern_schedule_remove(schedule, turn)
 *
 * A muxer that sends one frame a turn calls tern_schedule_yield behind each; one whose packets are
 * smaller than a turn does not, and the stream goes on with the next packet until its turn is used
 * up.
 *
 * What may be sent at all (credit, room, retransmissions) is the muxer's to know: only streams that
 * can send are in line.
 *
 * Not thread safe.
 */
#ifndef TERN_MUX_SCHEDULE_H
#define TERN_MUX_SCHEDULE_H

#include "base/list.h"
#include "mux/mux.h"

enum { TERN_SCHEDULE_TURN = 16 * 1024 };

/* A stream's place in line, part of the stream. */
struct tern_schedule_turn {
    struct tern_list link; /* linked: in line */
    uint32_t left;         /* of a turn that has begun; 0: the next one is whole */
    uint8_t class;         /* enum tern_stream_class */
};

struct tern_schedule {
    struct tern_list lines[TERN_STREAM_CLASS_COUNT];
    uint32_t waiting_count; /* in all lines */
    uint8_t class_now;
    int32_t deficit[TERN_STREAM_CLASS_COUNT]; /* what a class may still send before the next one */
};

void tern_schedule_init(struct tern_schedule *schedule);

/* tern_schedule_turn_init: a stream of the class, which is not in line. */
void tern_schedule_turn_init(struct tern_schedule_turn *turn, enum tern_stream_class class);

/* tern_schedule_waits: is the stream in line? */
static inline bool tern_schedule_waits(const struct tern_schedule_turn *turn)
{
    return tern_list_linked(&turn->link);
}

static inline bool tern_schedule_empty(const struct tern_schedule *schedule)
{
    return schedule->waiting_count == 0;
}

/* tern_schedule_add puts a stream at the end of its class's line. Idempotent. */
void tern_schedule_add(struct tern_schedule *schedule, struct tern_schedule_turn *turn);

/* tern_schedule_remove takes it out of line. Idempotent. */
void tern_schedule_remove(struct tern_schedule *schedule, struct tern_schedule_turn *turn);

/* tern_schedule_set_class moves it, to the end of the new line if it is in one. */
void tern_schedule_set_class(struct tern_schedule *schedule, struct tern_schedule_turn *turn,
                             enum tern_stream_class class);

/* tern_schedule_next is the stream that sends next, and how much it may send at most before it is
 * asked again; NULL: none is in line. Asked twice it gives the same. */
struct tern_schedule_turn *tern_schedule_next(struct tern_schedule *schedule, size_t *size_max);

/* tern_schedule_sent takes what the stream has sent from its turn and from its class's share. When
 * the turn is used up the stream goes to the end of its line. */
void tern_schedule_sent(struct tern_schedule *schedule, struct tern_schedule_turn *turn,
                        size_t size);

/* tern_schedule_yield ends the stream's turn: it goes to the end of its line. */
void tern_schedule_yield(struct tern_schedule *schedule, struct tern_schedule_turn *turn);

#endif
