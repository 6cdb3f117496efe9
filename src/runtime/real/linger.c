#include "runtime/real/linger.h"

bool tern_linger_turn(struct tern_linger *linger, bool large_read, tern_time now)
{
    bool lingering = linger->until != 0;
    if (large_read) {
        linger->pause = lingering ? 0 : linger->pause;
        bool again = linger->passed >= linger->pause;
        linger->until = again ? now + TERN_LINGER_NS : 0;
        linger->passed = again ? 0 : linger->passed + 1;
    } else if (lingering && now >= linger->until) {
        linger->until = 0;
        linger->pause =
            linger->pause == 0 ? 1 : tern_min_size(2 * linger->pause, TERN_LINGER_PAUSE_MAX);
    }
    return linger->until != 0;
}
