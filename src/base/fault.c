#include "base/fault.h"

#include "base/check.h"

static const struct fault_info {
    const char *name;
    const char *text;
    unsigned weight;
} fault_infos[TERN_FAULT_COUNT] = {
#define X(name, weight, text) [TERN_FAULT_##name] = {#name, text, weight},
#include "base/faults.def"
#undef X
};

static const struct fault_info *fault_info(tern_fault fault)
{
    TERN_CHECK((unsigned)fault < TERN_FAULT_COUNT);
    return &fault_infos[fault];
}

const char *tern_fault_name(tern_fault fault)
{
    return fault_info(fault)->name;
}

const char *tern_fault_text(tern_fault fault)
{
    return fault_info(fault)->text;
}

unsigned tern_fault_weight(tern_fault fault)
{
    return fault_info(fault)->weight;
}
