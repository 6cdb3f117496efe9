/* The table of limits, and the sentence that explains a refusal. */
#include "swarm/private.h"

#define UNIT_MEMORY          "bytes of memory"
#define UNIT_STREAMS_IN      "inbound streams"
#define UNIT_STREAMS_OUT     "outbound streams"
#define UNIT_CONNECTIONS_IN  "inbound connections"
#define UNIT_CONNECTIONS_OUT "outbound connections"
#define UNIT_FDS             "file descriptors"

struct refusal_row {
    struct tern_limit_info info;
    size_t offset; /* in struct tern_swarm_limits */
    size_t size;   /* of the number there */
};

static const struct refusal_row refusal_rows[TERN_LIMIT_COUNT] = {
#define S(scope_, member, resource_, option_, what_)                                               \
    [TERN_LIMIT_##scope_##_##resource_] = {                                                        \
        .info = {.scope = TERN_SCOPE_##scope_,                                                     \
                 .resource = TERN_RESOURCE_##resource_,                                            \
                 .option = option_,                                                                \
                 .unit = UNIT_##resource_,                                                         \
                 .what = what_},                                                                   \
        .offset = offsetof(struct tern_swarm_limits, member.max[TERN_RESOURCE_##resource_]),       \
        .size = sizeof(uint64_t),                                                                  \
    },
#define N(name_, member, unit_, option_, what_)                                                    \
    [TERN_LIMIT_##name_] = {                                                                       \
        .info = {.scope = TERN_SCOPE_NONE, .option = option_, .unit = unit_, .what = what_},       \
        .offset = offsetof(struct tern_swarm_limits, member),                                      \
        .size = sizeof((struct tern_swarm_limits){.links_max = 0}.member),                         \
    },
#include "swarm/limits.def"
#undef S
#undef N
};

/* Row + 1 of each scope's resource; 0: that scope has no such limit. */
static const uint8_t refusal_of_scope[TERN_SCOPE_KINDS][TERN_RESOURCE_COUNT] = {
#define S(scope_, member, resource_, option_, what_)                                               \
    [TERN_SCOPE_##scope_][TERN_RESOURCE_##resource_] = TERN_LIMIT_##scope_##_##resource_ + 1,
#define N(name_, member, unit_, option_, what_)
#include "swarm/limits.def"
#undef S
#undef N
};

/* --- the table --- */

const struct tern_limit_info *tern_limit_info(enum tern_limit limit)
{
    TERN_CHECK(limit < TERN_LIMIT_COUNT);
    return &refusal_rows[limit].info;
}

enum tern_limit tern_limit_find(struct tern_view option)
{
    for (int i = 0; i < TERN_LIMIT_COUNT; i++)
        if (tern_view_equal(option, tern_view_str(refusal_rows[i].info.option)))
            return (enum tern_limit)i;
    return TERN_LIMIT_COUNT;
}

uint64_t tern_limit_get(const struct tern_swarm_limits *limits, enum tern_limit limit)
{
    TERN_CHECK(limit < TERN_LIMIT_COUNT);
    const struct refusal_row *row = &refusal_rows[limit];
    const uint8_t *number = (const uint8_t *)limits + row->offset;
    uint64_t wide;
    uint32_t narrow;
    if (row->size == sizeof narrow) {
        memcpy(&narrow, number, sizeof narrow);
        return narrow;
    }
    memcpy(&wide, number, sizeof wide);
    return wide;
}

void tern_limit_set(struct tern_swarm_limits *limits, enum tern_limit limit, uint64_t value)
{
    TERN_CHECK(limit < TERN_LIMIT_COUNT);
    const struct refusal_row *row = &refusal_rows[limit];
    uint8_t *number = (uint8_t *)limits + row->offset;
    uint32_t narrow = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
    if (row->size == sizeof narrow)
        memcpy(number, &narrow, sizeof narrow);
    else
        memcpy(number, &value, sizeof value);
}

enum tern_limit tern_limit_of_scope(enum tern_scope_kind scope, enum tern_resource resource)
{
    TERN_CHECK(scope < TERN_SCOPE_KINDS && resource < TERN_RESOURCE_COUNT);
    uint8_t row = refusal_of_scope[scope][resource];
    return row == 0 ? TERN_LIMIT_COUNT : (enum tern_limit)(row - 1);
}

struct tern_scope_limits *tern_limits_of(struct tern_swarm_limits *limits,
                                         enum tern_scope_kind scope)
{
    struct tern_scope_limits *const of[TERN_SCOPE_KINDS] = {
        [TERN_SCOPE_SYSTEM] = &limits->system,
        [TERN_SCOPE_TRANSIENT] = &limits->transient,
        [TERN_SCOPE_PEER] = &limits->peer,
        [TERN_SCOPE_CONNECTION] = &limits->connection,
        [TERN_SCOPE_STREAM] = &limits->stream,
        [TERN_SCOPE_SERVICE] = &limits->service,
        [TERN_SCOPE_SERVICE_PEER] = &limits->service_peer,
        [TERN_SCOPE_PROTOCOL] = &limits->protocol,
        [TERN_SCOPE_PROTOCOL_PEER] = &limits->protocol_peer,
    };
    TERN_CHECK(scope > TERN_SCOPE_NONE && scope < TERN_SCOPE_KINDS);
    return of[scope];
}

void tern_limits_clip(struct tern_scope_limits *limits, enum tern_scope_kind scope)
{
    for (int i = 0; i < TERN_RESOURCE_COUNT; i++)
        if (tern_limit_of_scope(scope, (enum tern_resource)i) == TERN_LIMIT_COUNT)
            limits->max[i] = 0;
}

/* --- the sentence --- */

static void refusal_peer(const struct tern_refusal *r, const char *before, struct tern_writer *out)
{
    if (tern_peer_id_is_none(&r->peer))
        return;
    tern_writer_str(out, before);
    tern_peer_id_format(&r->peer, out);
}

static void refusal_subnet(const struct tern_refusal *r, struct tern_writer *out)
{
    bool one = r->subnet_bits == 8 * tern_ip_size(&r->subnet);
    tern_writer_str(out, one ? "address " : "addresses ");
    tern_ip_format(&r->subnet, out);
    if (!one) {
        tern_writer_str(out, "/");
        tern_writer_decimal(out, r->subnet_bits);
    }
    tern_writer_str(out, one ? " has " : " have ");
}

static void refusal_stream(const struct tern_refusal *r, struct tern_writer *out)
{
    tern_writer_str(out, "one stream of service ");
    tern_writer_str(out, r->service);
    if (r->protocol[0] != '\0') {
        tern_writer_str(out, ", protocol ");
        tern_writer_str(out, r->protocol);
    }
    refusal_peer(r, ", peer ", out);
}

/* refusal_who writes whose limit it is, and a verb. */
static void refusal_who(const struct tern_refusal *r, struct tern_writer *out)
{
    switch (r->limit_info->scope) {
    case TERN_SCOPE_NONE:
        if (r->subnet.family != 0) {
            refusal_subnet(r, out);
            return;
        }
        if (tern_peer_id_is_none(&r->peer))
            tern_writer_str(out, "this host");
        refusal_peer(r, "peer ", out);
        break;
    case TERN_SCOPE_SYSTEM:
        tern_writer_str(out, "this host");
        break;
    case TERN_SCOPE_TRANSIENT:
        tern_writer_str(out, "what is being set up");
        break;
    case TERN_SCOPE_PEER:
        refusal_peer(r, "peer ", out);
        break;
    case TERN_SCOPE_CONNECTION:
        tern_writer_str(out, "one connection");
        refusal_peer(r, " of peer ", out);
        break;
    case TERN_SCOPE_STREAM:
        refusal_stream(r, out);
        break;
    case TERN_SCOPE_SERVICE:
    case TERN_SCOPE_SERVICE_PEER:
        tern_writer_str(out, "service ");
        tern_writer_str(out, r->service);
        refusal_peer(r, " with peer ", out);
        break;
    case TERN_SCOPE_PROTOCOL:
    case TERN_SCOPE_PROTOCOL_PEER:
        tern_writer_str(out, "protocol ");
        tern_writer_str(out, r->protocol);
        refusal_peer(r, " with peer ", out);
        break;
    case TERN_SCOPE_KINDS:
        TERN_UNREACHABLE();
    }
    tern_writer_str(out, " has ");
}

void tern_refusal_format(const struct tern_refusal *r, struct tern_writer *out)
{
    if (r->limit_info == NULL)
        return;
    refusal_who(r, out);
    tern_writer_decimal(out, r->used);
    tern_writer_str(out, " of at most ");
    tern_writer_decimal(out, r->limit);
    tern_writer_str(out, " ");
    tern_writer_str(out, r->limit_info->unit);
    if (r->asked > 1) {
        tern_writer_str(out, " and needs ");
        tern_writer_decimal(out, r->asked);
        tern_writer_str(out, " more");
    }
    tern_writer_str(out, r->own ? "; raise its own " : "; raise ");
    tern_writer_str(out, r->limit_info->option);
    tern_writer_str(out, " to allow more");
}
