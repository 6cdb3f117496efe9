/*
 * Resource scopes: every byte, stream, connection and file descriptor is charged to a scope and to
 * all its parents (system > peer > connection, and what else an owner makes). A reservation that
 * any of them refuses changes nothing. The scope that refused is named, so the message can say
 * which limit and how full.
 */
#ifndef TERN_BASE_SCOPE_H
#define TERN_BASE_SCOPE_H

#include "base/error.h"
#include "base/types.h"

enum tern_resource {
    TERN_RESOURCE_MEMORY, /* bytes */
    TERN_RESOURCE_STREAMS_IN,
    TERN_RESOURCE_STREAMS_OUT,
    TERN_RESOURCE_CONNECTIONS_IN,
    TERN_RESOURCE_CONNECTIONS_OUT,
    TERN_RESOURCE_FDS,
    TERN_RESOURCE_COUNT
};

struct tern_scope_limits {
    uint64_t max[TERN_RESOURCE_COUNT]; /* 0: no limit of its own */
};

struct tern_scope;

/* Who wants to hear of refusals: told which scope had no room, and which one was asked. */
struct tern_scope_watch {
    void (*refused)(void *context, const struct tern_scope *by, const struct tern_scope *asked,
                    enum tern_resource resource, uint64_t amount);
    void *context;
};

struct tern_scope {
    const char *name; /* such as "system" or "peer"; static text */
    struct tern_scope *parent;
    const struct tern_scope_watch *watch; /* of the root alone; NULL: nobody watches */
    struct tern_scope_limits limits;
    uint64_t used[TERN_RESOURCE_COUNT];
    uint32_t refused[TERN_RESOURCE_COUNT];
    uint64_t fail_at; /* tests: make this reservation (counted from 1) fail; 0: none. Root only. */
    uint64_t reservations;
};

/* tern_scope_init: parent is NULL for the root and must outlive the child. */
void tern_scope_init(struct tern_scope *scope, const char *name, struct tern_scope *parent,
                     const struct tern_scope_limits *limits);

/* tern_scope_reserve charges amount here and in every parent, or nowhere.
 * TERN_ERR_SCOPE_MEMORY / _STREAMS / _CONNECTIONS / _FDS; *refused_by (may be NULL) is then the
 * scope whose limit it was. */
TERN_NODISCARD tern_err tern_scope_reserve(struct tern_scope *scope, enum tern_resource resource,
                                           uint64_t amount, const struct tern_scope **refused_by);

/* tern_scope_release takes back what was reserved (checked: never below zero). */
void tern_scope_release(struct tern_scope *scope, enum tern_resource resource, uint64_t amount);

/* tern_scope_fini checks that nothing is still charged here. */
void tern_scope_fini(struct tern_scope *scope);

const char *tern_resource_name(enum tern_resource resource);

#endif
