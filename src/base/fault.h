/*
 * Named faults: each rejection of a peer's input has one (faults.def). A core reports the first
 * fault beside its error; the swarm counts it in the metrics, traces it and weighs it in the peer's
 * score.
 */
#ifndef TERN_BASE_FAULT_H
#define TERN_BASE_FAULT_H

#include "base/types.h"

typedef enum tern_fault {
#define X(name, weight, text) TERN_FAULT_##name,
#include "base/faults.def"
#undef X
    TERN_FAULT_COUNT
} tern_fault;

const char *tern_fault_name(tern_fault fault); /* such as "YAMUX_WINDOW_OVERFLOW" */
const char *tern_fault_text(tern_fault fault);
unsigned tern_fault_weight(tern_fault fault); /* 0..100 */

#endif
