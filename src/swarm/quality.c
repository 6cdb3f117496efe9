/* How good connections are, by round trips of their pings and by those that were not answered. */
#include "swarm/private.h"

enum { QUALITY_PPM = 1000000 };

static void quality_ping(struct swarm_quality *q, bool lost)
{
    uint32_t sample = lost ? QUALITY_PPM : 0;
    q->pings += q->pings < UINT32_MAX;
    q->lost += lost && q->lost < UINT32_MAX;
    q->loss_ppm = q->loss_ppm - q->loss_ppm / 8 + sample / 8;
}

void tern_quality_rtt(struct swarm_quality *q, tern_time rtt_ns)
{
    tern_time us = rtt_ns / TERN_MICROSECOND;
    uint32_t sample = us > UINT32_MAX / 8 ? UINT32_MAX / 8 : us == 0 ? 1 : (uint32_t)us;
    quality_ping(q, false);
    if (q->rtt_us == 0) {
        q->rtt_us = q->rtt_min_us = sample;
        q->jitter_us = sample / 2;
        return;
    }
    uint32_t off = sample > q->rtt_us ? sample - q->rtt_us : q->rtt_us - sample;
    q->jitter_us = (3 * q->jitter_us + off) / 4;
    q->rtt_us = (7 * q->rtt_us + sample) / 8;
    q->rtt_min_us = sample < q->rtt_min_us ? sample : q->rtt_min_us;
}

void tern_quality_lost(struct swarm_quality *q)
{
    quality_ping(q, true);
}

void tern_quality_read(const struct swarm_quality *q, struct tern_quality *out)
{
    *out = (struct tern_quality){
        .rtt_ns = q->rtt_us * TERN_MICROSECOND,
        .rtt_min_ns = q->rtt_min_us * TERN_MICROSECOND,
        .jitter_ns = q->jitter_us * TERN_MICROSECOND,
        .pings = q->pings,
        .lost = q->lost,
        .loss_per_mille = q->loss_ppm / (QUALITY_PPM / 1000),
    };
}

void tern_swarm_ping_result(struct tern_swarm *s, tern_connection connection, tern_time rtt_ns)
{
    struct swarm_conn *c = tern_conns_find(s, connection);
    if (c == NULL)
        return;
    if (rtt_ns == 0)
        tern_quality_lost(&c->quality);
    else
        tern_quality_rtt(&c->quality, rtt_ns);
}

bool tern_swarm_peer_quality(const struct tern_swarm *s, tern_peer handle,
                             struct tern_quality *quality)
{
    const struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    const struct swarm_conn *c = peer == NULL ? NULL : tern_peers_best(peer);
    *quality = (struct tern_quality){.pings = 0};
    if (c != NULL)
        tern_quality_read(&c->quality, quality);
    return c != NULL;
}
