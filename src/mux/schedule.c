#include "mux/schedule.h"

#include "base/check.h"

/* Shares of the classes, in turns a round. */
static const uint8_t schedule_weights[TERN_STREAM_CLASS_COUNT] = {
    [TERN_STREAM_CONTROL] = 0, /* not in the round: always first */
    [TERN_STREAM_CONSENSUS] = 8, [TERN_STREAM_BLOCKS] = 4, [TERN_STREAM_TRANSACTIONS] = 2,
    [TERN_STREAM_MARKET] = 2,    [TERN_STREAM_BULK] = 1,
};

void tern_schedule_init(struct tern_schedule *schedule)
{
    *schedule = (struct tern_schedule){.waiting_count = 0};
    for (size_t i = 0; i < TERN_STREAM_CLASS_COUNT; i++)
        tern_list_init(&schedule->lines[i]);
}

void tern_schedule_turn_init(struct tern_schedule_turn *turn, enum tern_stream_class class)
{
    TERN_CHECK(class < TERN_STREAM_CLASS_COUNT);
    tern_list_init(&turn->link);
    turn->left = 0;
    turn->class = (uint8_t)class;
}

void tern_schedule_add(struct tern_schedule *schedule, struct tern_schedule_turn *turn)
{
    if (tern_schedule_waits(turn))
        return;
    tern_list_push_back(&schedule->lines[turn->class], &turn->link);
    schedule->waiting_count++;
}

void tern_schedule_remove(struct tern_schedule *schedule, struct tern_schedule_turn *turn)
{
    if (!tern_schedule_waits(turn))
        return;
    TERN_CHECK(schedule->waiting_count > 0);
    tern_list_remove(&turn->link);
    turn->left = 0;
    schedule->waiting_count--;
}

void tern_schedule_set_class(struct tern_schedule *schedule, struct tern_schedule_turn *turn,
                             enum tern_stream_class class)
{
    TERN_CHECK(class < TERN_STREAM_CLASS_COUNT);
    if (turn->class == class)
        return;
    bool waits = tern_schedule_waits(turn);
    tern_schedule_remove(schedule, turn);
    turn->class = (uint8_t)class;
    if (waits)
        tern_schedule_add(schedule, turn);
}

/* The class whose turn it is. Something other than CONTROL is in line. */
static uint8_t schedule_class(struct tern_schedule *schedule)
{
    /* A deficit is at least -TURN, so a class in debt has its turn within two rounds. */
    for (unsigned i = 0; i < 3 * TERN_STREAM_CLASS_COUNT; i++) {
        uint8_t class = schedule->class_now;
        bool waits = !tern_list_empty(&schedule->lines[class]);
        if (waits && schedule->deficit[class] > 0)
            return class;
        if (!waits)
            schedule->deficit[class] = 0;
        uint8_t next = (uint8_t)((class + 1) % TERN_STREAM_CLASS_COUNT);
        schedule->class_now = next;
        if (!tern_list_empty(&schedule->lines[next]))
            schedule->deficit[next] += schedule_weights[next] * TERN_SCHEDULE_TURN;
    }
    TERN_UNREACHABLE();
}

static bool schedule_alone(const struct tern_schedule *schedule, uint8_t class)
{
    const struct tern_list *line = &schedule->lines[class];
    return line->next->next == line;
}

struct tern_schedule_turn *tern_schedule_next(struct tern_schedule *schedule, size_t *size_max)
{
    *size_max = SIZE_MAX;
    if (schedule->waiting_count == 0)
        return NULL;
    bool control = !tern_list_empty(&schedule->lines[TERN_STREAM_CONTROL]);
    uint8_t class = control ? (uint8_t)TERN_STREAM_CONTROL : schedule_class(schedule);
    struct tern_schedule_turn *turn =
        TERN_LIST_ENTRY(tern_list_front(&schedule->lines[class]), struct tern_schedule_turn, link);
    bool alone = schedule_alone(schedule, class);
    if (schedule->waiting_count == 1 || (control && alone))
        return turn;
    *size_max = turn->left > 0 ? turn->left : TERN_SCHEDULE_TURN;
    if (alone)
        *size_max = tern_max_size(*size_max, (size_t)schedule->deficit[class]);
    return turn;
}

void tern_schedule_sent(struct tern_schedule *schedule, struct tern_schedule_turn *turn,
                        size_t size)
{
    uint32_t left = turn->left > 0 ? turn->left : TERN_SCHEDULE_TURN;
    turn->left = size < left ? left - (uint32_t)size : 0;
    if (turn->left == 0 && tern_schedule_waits(turn))
        tern_schedule_yield(schedule, turn);
    if (turn->class == TERN_STREAM_CONTROL)
        return;
    /* A class that has the connection to itself owes at most a turn to the others. */
    int32_t *deficit = &schedule->deficit[turn->class];
    size_t most = (size_t)(*deficit + TERN_SCHEDULE_TURN);
    *deficit -= (int32_t)tern_min_size(size, most);
}

void tern_schedule_yield(struct tern_schedule *schedule, struct tern_schedule_turn *turn)
{
    turn->left = 0;
    if (!tern_schedule_waits(turn))
        return;
    tern_list_remove(&turn->link);
    tern_list_push_back(&schedule->lines[turn->class], &turn->link);
}
