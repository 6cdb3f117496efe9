/*
 * Whether a loop looks once more at its sockets before it falls asleep. After a large read more is
 * on its way, and to be woken up for it costs the sender more than a look, in a virtual machine up
 * to 40 us. So a large read is followed by looking for TERN_LINGER_NS. When nothing large came in
 * that time, twice as many large reads as the last time go by before it is tried again: who is sent
 * much, but slowly, looks in vain once in TERN_LINGER_PAUSE_MAX.
 *
 * Pure: it reads no clock. One thread, the loop's, which owns the struct; all zero is a start.
 */
#ifndef TERN_RUNTIME_REAL_LINGER_H
#define TERN_RUNTIME_REAL_LINGER_H

#include "base/types.h"

#define TERN_LINGER_NS (60 * TERN_MICROSECOND)
enum { TERN_LINGER_PAUSE_MAX = 1024 };

struct tern_linger {
    tern_time until; /* 0: it does not linger */
    size_t pause;    /* large reads that go by before it does */
    size_t passed;   /* that have */
};

/* tern_linger_turn is called at the end of an iteration, with whether there was a large read in it;
 * it returns whether to look again without sleeping. */
bool tern_linger_turn(struct tern_linger *linger, bool large_read, tern_time now);

#endif
