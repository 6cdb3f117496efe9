/*
 * A host under floods of gossip that do not end: IWANT of the same messages, of all, of what nobody
 * has; IHAVE of what is never given. There are four hosts, and all their gossip passes the one that
 * is attacked. They go on publishing all the while, and every message must reach all of them.
 *
 * What the attacker costs is counted at its own end: how often each message came, how many ids it
 * was asked for, how many bytes it was sent.
 */
#include "sim/attacker.h"

#include "protocol/gossip/rpc.h"
#include "tern_test.h"

#define MESHSUB "/meshsub/1.1.0"

enum {
    HOSTS = 4,
    CALM_TICKS = 20, /* of half a second, before the attack */
    FLOOD_TICKS = 60,
    MEMORY_GROWTH_MAX = 1 << 20, /* bytes beyond the host's usual peak */
    RETRANSMISSIONS = 3,         /* gossip's default */
    IDS_PER_BEAT_MAX = 5000,     /* gossip's default */
    MESSAGE_BYTES_MAX = 256,     /* an RPC with one message of four bytes and its signature */
    ID_BYTES_MAX = 16,           /* an IWANT of one id of eight bytes */
    BYTES_BESIDE_MAX = 1024,     /* subscriptions, GRAFT */
    NOBODYS_IDS = 3000,
    ID_SIZE_MAX = 64,
    RECENT = 8, /* messages: those of four seconds, which the host still keeps */
};

/* A message that the attacker was sent. */
struct known {
    uint8_t id[ID_SIZE_MAX];
    size_t id_size; /* 0: it did not come yet */
    uint32_t came;
    uint32_t asked;
};

struct flood {
    struct known known[SIM_MESSAGES_MAX];
    uint32_t newest; /* the highest number that came */
    tern_time began;
    tern_time wanted_at; /* when the host last asked for something */
    uint64_t ids;        /* that it asked for */
    uint64_t bytes;      /* of all that it said */
};

static struct sim_hosts hosts;
static struct attacker attacker;
static struct flood flood;

/* --- what the host says --- */

static void hear_message(struct tern_view raw)
{
    struct tern_gossip_message_view message;
    uint32_t number;
    assert_ok(tern_gossip_message_decode(raw, &message));
    assert_int_equal(message.data.size, sizeof number);
    memcpy(&number, message.data.data, sizeof number);
    assert_true(number < SIM_MESSAGES_MAX);
    struct known *known = &flood.known[number];
    /* The id of a signed message: its author, then its sequence number. */
    struct tern_writer id = tern_writer_of(known->id, sizeof known->id);
    tern_writer_bytes(&id, message.from);
    tern_writer_bytes(&id, message.seqno);
    assert_true(tern_writer_ok(&id));
    known->id_size = id.size;
    known->came++;
    flood.newest = number > flood.newest ? number : flood.newest;
}

static void hear_iwant(struct tern_view entry)
{
    struct tern_pb_iter it = tern_pb_iter_of(entry);
    struct tern_pb_field field;
    while (tern_pb_next(&it, &field))
        flood.ids += field.tag == TERN_PB_TAG(1, TERN_PB_BYTES);
    assert_ok(tern_pb_end(&it));
}

static void hear_control(struct tern_view control)
{
    struct tern_pb_iter it = tern_pb_iter_of(control);
    struct tern_pb_field field;
    while (tern_pb_next(&it, &field))
        if (field.tag == TERN_PB_TAG(TERN_GOSSIP_CONTROL_IWANT, TERN_PB_BYTES))
            hear_iwant(field.bytes);
    assert_ok(tern_pb_end(&it));
}

static void hear(struct attacker *a, struct tern_view rpc)
{
    struct tern_pb_iter it = tern_pb_iter_of(rpc);
    struct tern_pb_field field;
    uint64_t ids = flood.ids;
    flood.bytes += rpc.size;
    while (tern_pb_next(&it, &field)) {
        if (field.tag == TERN_PB_TAG(TERN_GOSSIP_RPC_PUBLISH, TERN_PB_BYTES))
            hear_message(field.bytes);
        else if (field.tag == TERN_PB_TAG(TERN_GOSSIP_RPC_CONTROL, TERN_PB_BYTES))
            hear_control(field.bytes);
    }
    assert_ok(tern_pb_end(&it));
    if (flood.ids > ids)
        flood.wanted_at = a->now;
}

/* --- what the attacker says: each time an RPC of a subscription and a control message --- */

static void say(struct tern_writer *out, struct tern_view control)
{
    static uint8_t bytes[ATTACKER_STREAM_MAX];
    struct tern_writer rpc = tern_writer_of(bytes, sizeof bytes);
    tern_gossip_write_subscription(&rpc, true, tern_view_str(SIM_TOPIC));
    tern_pb_write_bytes(&rpc, TERN_GOSSIP_RPC_CONTROL, control);
    tern_writer_uvarint(out, rpc.size);
    tern_writer_bytes(out, tern_writer_view(&rpc));
}

static struct tern_writer control_begin(void)
{
    static uint8_t bytes[ATTACKER_STREAM_MAX];
    return tern_writer_of(bytes, sizeof bytes);
}

/* An IWANT of one id. */
static void want(struct tern_writer *control, struct known *known)
{
    uint8_t bytes[ID_SIZE_MAX + 8];
    struct tern_writer entry = tern_writer_of(bytes, sizeof bytes);
    tern_pb_write_bytes(&entry, 1, tern_view_of(known->id, known->id_size));
    tern_pb_write_bytes(control, TERN_GOSSIP_CONTROL_IWANT, tern_writer_view(&entry));
    known->asked++;
}

/* Asks once for each of the newest messages that has been asked for less often than this. */
static void want_newest(struct tern_writer *out, uint32_t asked_max)
{
    struct tern_writer control = control_begin();
    uint32_t end = flood.newest + 1;
    for (uint32_t i = end > RECENT ? end - RECENT : 0; i < end; i++)
        if (flood.known[i].id_size > 0 && flood.known[i].asked < asked_max)
            want(&control, &flood.known[i]);
    say(out, tern_writer_view(&control));
}

static void want_on_and_on(struct attacker *a, struct tern_writer *out)
{
    (void)a;
    want_newest(out, UINT32_MAX);
}

static void want_as_often_as_one_may(struct attacker *a, struct tern_writer *out)
{
    (void)a;
    want_newest(out, RETRANSMISSIONS);
}

/* Ids of eight random bytes. */
static void write_strange_ids(struct attacker *a, struct tern_writer *entry, uint32_t field,
                              size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t id[8];
        tern_random_bytes(&a->random, id, sizeof id);
        tern_pb_write_bytes(entry, field, tern_view_of(id, sizeof id));
    }
}

static void want_what_nobody_has(struct attacker *a, struct tern_writer *out)
{
    static uint8_t bytes[1 << 16];
    struct tern_writer entry = tern_writer_of(bytes, sizeof bytes);
    struct tern_writer control = control_begin();
    write_strange_ids(a, &entry, 1, NOBODYS_IDS);
    tern_pb_write_bytes(&control, TERN_GOSSIP_CONTROL_IWANT, tern_writer_view(&entry));
    say(out, tern_writer_view(&control));
}

static void advertise(struct attacker *a, struct tern_writer *out, int entries, size_t ids)
{
    static uint8_t bytes[1 << 14];
    struct tern_writer control = control_begin();
    for (int i = 0; i < entries; i++) {
        struct tern_writer entry = tern_writer_of(bytes, sizeof bytes);
        tern_pb_write_bytes(&entry, 1, tern_view_str(SIM_TOPIC));
        write_strange_ids(a, &entry, 2, ids);
        tern_pb_write_bytes(&control, TERN_GOSSIP_CONTROL_IHAVE, tern_writer_view(&entry));
    }
    say(out, tern_writer_view(&control));
}

static void advertise_without_end(struct attacker *a, struct tern_writer *out)
{
    advertise(a, out, 10, 1100);
}

static void advertise_a_little(struct attacker *a, struct tern_writer *out)
{
    advertise(a, out, 1, 5);
}

/* --- the attacks --- */

struct row {
    struct attack attack; /* its fault NONE: it costs no more than an honest peer may */
    tern_fault beside;    /* another fault that is counted; there are no others */
    bool asks;            /* for messages that there are */
};

static const struct row rows[] = {
    {.attack = {.name = "the same messages, ten times a second",
                .fault = TERN_FAULT_GOSSIP_IWANT_FLOOD,
                .again_ns = TERN_SECOND / 10,
                .stream = want_on_and_on},
     .asks = true},
    {.attack = {.name = "the same messages, in heartbeat after heartbeat",
                .fault = TERN_FAULT_GOSSIP_IWANT_FLOOD,
                .again_ns = TERN_SECOND,
                .stream = want_on_and_on},
     .asks = true},
    {.attack = {.name = "every message as often as one may",
                .again_ns = TERN_SECOND / 10,
                .stream = want_as_often_as_one_may},
     .asks = true},
    {.attack = {.name = "messages that nobody has",
                .again_ns = TERN_SECOND / 10,
                .stream = want_what_nobody_has}},
    {.attack = {.name = "IHAVE without end, and nothing given",
                .fault = TERN_FAULT_GOSSIP_IHAVE_FLOOD,
                .again_ns = TERN_SECOND / 10,
                .stream = advertise_without_end},
     .beside = TERN_FAULT_GOSSIP_PROMISE_BROKEN},
    {.attack = {.name = "an IHAVE a heartbeat, and nothing given",
                .fault = TERN_FAULT_GOSSIP_PROMISE_BROKEN,
                .again_ns = TERN_SECOND,
                .stream = advertise_a_little}},
};

/* Hosts 1, 2, 3 reach host 0 alone. */
static void begin(void)
{
    flood = (struct flood){.ids = 0};
    sim_hosts_init(&hosts, &(struct sim_hosts_options){.seed = 1, .count = HOSTS});
    for (uint32_t a = 1; a < HOSTS; a++)
        for (uint32_t b = a + 1; b < HOSTS; b++)
            sim_world_cut(hosts.world, a, b);
    sim_hosts_start_all(&hosts);
    sim_hosts_run_for(&hosts, 10 * TERN_SECOND);
}

/* A message each half second, by each host in turn; it reaches all before the next one. */
static void publish_for(const char *name, uint32_t ticks)
{
    for (uint32_t i = 0; i < ticks; i++) {
        uint32_t message = sim_hosts_publish(&hosts, i % HOSTS);
        sim_hosts_run_for(&hosts, TERN_SECOND / 2);
        if (sim_hosts_got_by(&hosts, message) != HOSTS)
            fail_msg("%s: message %u has reached %u hosts", name, message,
                     sim_hosts_got_by(&hosts, message));
    }
}

/* A ping and an echo to the host that is attacked, while the attack goes on. */
static void expect_service(const char *name)
{
    bool begun = sim_hosts_ping(&hosts, 1, 0) && sim_hosts_echo(&hosts, 1, 0);
    sim_hosts_run_for(&hosts, TERN_SECOND);
    if (!begun || !hosts.hosts[1].ping_done || hosts.hosts[1].ping_err != TERN_OK ||
        hosts.hosts[1].echo_got != 1)
        fail_msg("%s: the honest peer is not served", name);
}

static void expect_faults(const struct row *row)
{
    const char *name = row->attack.name;
    for (size_t i = 1; i < TERN_FAULT_COUNT; i++) {
        bool counted = sim_hosts_fault(&hosts, 0, (tern_fault)i) > 0;
        bool expected = (tern_fault)i == row->attack.fault || (tern_fault)i == row->beside;
        if (counted != expected)
            fail_msg("%s: %s is %scounted", name, tern_fault_name((tern_fault)i),
                     counted ? "" : "not ");
    }
    bool ban = row->attack.fault != TERN_FAULT_NONE;
    uint64_t bans = tern_host_core_metrics(hosts.hosts[0].core)->values[TERN_METRIC_SWARM_BANS];
    if (bans != ban || (attacker.link == TERN_LINK_NONE) != ban)
        fail_msg("%s: the attacker is %sbanned", name, ban ? "not " : "");
}

/* How often messages came: pushed once, and sent as often as they may be asked for. Where the
 * attacker goes on asking, those from number `first` on came as often as that. */
static uint64_t count_messages(const struct row *row, uint32_t first)
{
    const char *name = row->attack.name;
    uint64_t came = 0;
    uint32_t most = 0;
    for (uint32_t i = 0; i < hosts.messages; i++) {
        const struct known *known = &flood.known[i];
        came += known->came;
        most = known->came > most ? known->came : most;
        if (row->asks && row->attack.fault == TERN_FAULT_NONE && i >= first &&
            known->came != 1 + RETRANSMISSIONS)
            fail_msg("%s: message %u came %u times", name, i, known->came);
    }
    if (most != (row->asks ? 1 + RETRANSMISSIONS : 1))
        fail_msg("%s: a message came %u times", name, most);
    return came;
}

static void expect_bounded_answers(const struct row *row, uint32_t first)
{
    const char *name = row->attack.name;
    uint64_t came = count_messages(row, first);
    uint64_t beats = tern_time_since(flood.wanted_at, flood.began) / TERN_SECOND + 2;
    if (flood.ids > beats * IDS_PER_BEAT_MAX)
        fail_msg("%s: asked for %u ids in %u heartbeats", name, (unsigned)flood.ids,
                 (unsigned)beats);
    if (flood.bytes > came * MESSAGE_BYTES_MAX + flood.ids * ID_BYTES_MAX + BYTES_BESIDE_MAX)
        fail_msg("%s: sent %u bytes", name, (unsigned)flood.bytes);
}

static void run_flood(const struct row *row)
{
    struct attack attack = row->attack;
    attack.serves = attack.opens = MESHSUB;
    attack.hears = hear;
    begin();
    publish_for("before the attack", CALM_TICKS);
    size_t peak = sim_hosts_mem(&hosts, 0)->peak;
    uint32_t first = hosts.messages + 2; /* by then the attacker is there */
    flood.began = sim_hosts_now(&hosts);
    attacker_add(&attacker, &hosts, &attack);
    publish_for(attack.name, FLOOD_TICKS / 2);
    expect_service(attack.name);
    publish_for(attack.name, FLOOD_TICKS / 2);
    sim_hosts_run_for(&hosts, 5 * TERN_SECOND);
    expect_faults(row);
    expect_bounded_answers(row, first);
    if (sim_hosts_mem(&hosts, 0)->peak > peak + MEMORY_GROWTH_MAX)
        fail_msg("%s: the host held %zu bytes more", attack.name,
                 sim_hosts_mem(&hosts, 0)->peak - peak);
    sim_hosts_fini(&hosts);
    attacker_fini(&attacker);
}

static void each_flood_is_named_or_costs_little_and_gossip_goes_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++)
        run_flood(&rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_flood_is_named_or_costs_little_and_gossip_goes_on),
    };
    return cmocka_run_group_tests_name("hostile gossip", tests, NULL, NULL);
}
