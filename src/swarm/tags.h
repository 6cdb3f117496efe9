/* Tags of peers, and why peers are protected. Inside the swarm. Values are worked out when somebody
 * asks: a tag that falls costs no timer. */
#ifndef TERN_SWARM_TAGS_H
#define TERN_SWARM_TAGS_H

#include "swarm/manager.h"

struct swarm_tag {
    tern_time at; /* when it had this value */
    int32_t value;
    uint8_t tag;
};

/* What a peer has of it; the array is made with the first tag. */
struct swarm_tags {
    struct swarm_tag *list;
    uint8_t count;
    uint8_t capacity;
};

/* tern_tag_value_at is what is left of a value after so long. */
int32_t tern_tag_value_at(const struct tern_tag_rule *rule, int32_t value, tern_time age);

struct swarm_peer;
int64_t tern_tags_value(const struct tern_swarm *s, const struct swarm_peer *peer);
void tern_tags_fini(struct tern_swarm *s, struct swarm_peer *peer);

#endif
