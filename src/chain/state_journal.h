/* The journal of a state: shared by state.c, which writes it, and state_diff.c, which sums it up.
 */
#ifndef TERN_CHAIN_STATE_JOURNAL_H
#define TERN_CHAIN_STATE_JOURNAL_H

#include "chain/state.h"

enum tern_state_change_kind {
    TERN_STATE_CHANGE_INSERT,
    TERN_STATE_CHANGE_UPDATE, /* old_value is what it was */
    TERN_STATE_CHANGE_DELETE, /* the row, out of the map, keeps its last value; the journal owns it
                               */
};

struct tern_state_change {
    struct tern_state_row *row;
    uint8_t kind;
    uint8_t old_size;
    uint8_t old_value[TERN_STATE_VALUE_MAX];
};

#endif
