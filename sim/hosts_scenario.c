#include "sim/hosts_scenario.h"

#include <stdlib.h>

#include "base/check.h"
#include "sim/hosts.h"

enum { SAFETY_MESSAGES_MAX = SIM_MESSAGES_MAX / 2 };

struct scenario {
    struct sim_hosts hosts;
    struct sim_hosts_options options;
    struct tern_random random;
    tern_time publish_at;
};

static void *scenario_open(uint64_t seed, struct sim_world_options *world,
                           struct sim_faults_options *faults)
{
    struct scenario *s = calloc(1, sizeof *s);
    TERN_CHECK(s != NULL);
    tern_random_init_u64(&s->random, seed);
    sim_world_options_draw(world, seed);
    sim_faults_options_draw(faults, seed);
    s->options = (struct sim_hosts_options){
        .seed = seed,
        .count = 4 + (uint32_t)tern_random_below(&s->random, 17),
        .peers_want = 3 + (uint32_t)tern_random_below(&s->random, 6),
        .secure = tern_random_chance(&s->random, 1, 3) ? TERN_SECURE_PLAINTEXT : TERN_SECURE_NOISE,
        .book_saved = tern_random_chance(&s->random, 1, 2),
    };
    return s;
}

static void scenario_setup(void *self, struct sim_world *world)
{
    struct scenario *s = self;
    sim_hosts_attach(&s->hosts, &s->options, world);
    sim_hosts_start_all(&s->hosts);
}

/* Somebody who is up publishes, every 10 s. */
static void scenario_publish(struct scenario *s, uint32_t messages_max)
{
    tern_time now = sim_hosts_now(&s->hosts);
    if (now < s->publish_at || s->hosts.messages >= messages_max)
        return;
    s->publish_at = now + 10 * TERN_SECOND;
    uint32_t first = (uint32_t)tern_random_below(&s->random, s->options.count);
    for (uint32_t i = 0; i < s->options.count; i++) {
        uint32_t from = (first + i) % s->options.count;
        if (s->hosts.hosts[from].core == NULL)
            continue;
        (void)sim_hosts_publish(&s->hosts, from);
        return;
    }
}

static bool scenario_safe(void *self, struct sim_world *world)
{
    struct scenario *s = self;
    (void)world;
    scenario_publish(s, SAFETY_MESSAGES_MAX);
    return sim_hosts_are_sound(&s->hosts);
}

static bool scenario_converged(void *self, struct sim_world *world)
{
    struct scenario *s = self;
    (void)world;
    scenario_publish(s, SIM_MESSAGES_MAX);
    return sim_hosts_nobody_is_alone(&s->hosts) && s->hosts.messages > 0 &&
           sim_hosts_got_by(&s->hosts, s->hosts.messages - 1) == s->options.count;
}

static void scenario_close(void *self)
{
    struct scenario *s = self;
    sim_hosts_detach(&s->hosts);
    free(s);
}

const struct sim_scenario hosts_scenario = {
    .name = "hosts",
    .open = scenario_open,
    .setup = scenario_setup,
    .safe = scenario_safe,
    .converged = scenario_converged,
    .close = scenario_close,
    .safety_ns = 5 * TERN_MINUTE,
    .liveness_ns = 15 * TERN_MINUTE,
    .look_ns = TERN_SECOND,
};
