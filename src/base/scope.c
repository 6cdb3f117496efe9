#include "base/scope.h"

#include "base/check.h"

/* system > peer > connection > stream, and many to spare. */
enum { SCOPE_DEPTH_MAX = 16 };

void tern_scope_init(struct tern_scope *scope, const char *name, struct tern_scope *parent,
                     const struct tern_scope_limits *limits)
{
    *scope = (struct tern_scope){.name = name, .parent = parent};
    if (limits != NULL)
        scope->limits = *limits;
    size_t depth = 0;
    for (const struct tern_scope *s = scope; s != NULL; s = s->parent)
        TERN_CHECK(++depth <= SCOPE_DEPTH_MAX);
}

void tern_scope_fini(struct tern_scope *scope)
{
    for (size_t i = 0; i < TERN_RESOURCE_COUNT; i++)
        TERN_CHECK(scope->used[i] == 0);
}

static tern_err scope_error(enum tern_resource resource)
{
    switch (resource) {
    case TERN_RESOURCE_MEMORY:
        return TERN_ERR_SCOPE_MEMORY;
    case TERN_RESOURCE_STREAMS_IN:
    case TERN_RESOURCE_STREAMS_OUT:
        return TERN_ERR_SCOPE_STREAMS;
    case TERN_RESOURCE_CONNECTIONS_IN:
    case TERN_RESOURCE_CONNECTIONS_OUT:
        return TERN_ERR_SCOPE_CONNECTIONS;
    case TERN_RESOURCE_FDS:
        return TERN_ERR_SCOPE_FDS;
    case TERN_RESOURCE_COUNT:
        break;
    }
    TERN_UNREACHABLE();
}

static const struct tern_scope_watch *scope_watch(const struct tern_scope *scope)
{
    while (scope->parent != NULL)
        scope = scope->parent;
    return scope->watch;
}

static bool scope_admits(const struct tern_scope *scope, enum tern_resource resource,
                         uint64_t amount)
{
    uint64_t used = scope->used[resource];
    uint64_t max = scope->limits.max[resource];
    if (max == 0)
        max = UINT64_MAX;
    return used <= max && amount <= max - used;
}

/* scope_refuser is the scope that does not admit the amount, or NULL. */
static struct tern_scope *scope_refuser(struct tern_scope *scope, enum tern_resource resource,
                                        uint64_t amount)
{
    for (struct tern_scope *s = scope; s != NULL; s = s->parent) {
        if (!scope_admits(s, resource, amount))
            return s;
        if (s->parent == NULL) {
            s->reservations++;
            if (s->fail_at != 0 && s->reservations == s->fail_at)
                return s;
        }
    }
    return NULL;
}

tern_err tern_scope_reserve(struct tern_scope *scope, enum tern_resource resource, uint64_t amount,
                            const struct tern_scope **refused_by)
{
    TERN_CHECK((unsigned)resource < TERN_RESOURCE_COUNT);
    struct tern_scope *refuser = scope_refuser(scope, resource, amount);
    if (refused_by != NULL)
        *refused_by = refuser;
    if (refuser != NULL) {
        const struct tern_scope_watch *watch = scope_watch(scope);
        refuser->refused[resource]++;
        if (watch != NULL)
            watch->refused(watch->context, refuser, scope, resource, amount);
        return scope_error(resource);
    }
    for (struct tern_scope *s = scope; s != NULL; s = s->parent)
        s->used[resource] += amount;
    return TERN_OK;
}

void tern_scope_release(struct tern_scope *scope, enum tern_resource resource, uint64_t amount)
{
    TERN_CHECK((unsigned)resource < TERN_RESOURCE_COUNT);
    for (struct tern_scope *s = scope; s != NULL; s = s->parent) {
        TERN_CHECK(s->used[resource] >= amount);
        s->used[resource] -= amount;
    }
}

const char *tern_resource_name(enum tern_resource resource)
{
    static const char *const names[TERN_RESOURCE_COUNT] = {
        [TERN_RESOURCE_MEMORY] = "memory",
        [TERN_RESOURCE_STREAMS_IN] = "streams in",
        [TERN_RESOURCE_STREAMS_OUT] = "streams out",
        [TERN_RESOURCE_CONNECTIONS_IN] = "connections in",
        [TERN_RESOURCE_CONNECTIONS_OUT] = "connections out",
        [TERN_RESOURCE_FDS] = "file descriptors",
    };
    TERN_CHECK((unsigned)resource < TERN_RESOURCE_COUNT);
    return names[resource];
}
