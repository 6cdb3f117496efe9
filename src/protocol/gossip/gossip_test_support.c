#include "protocol/gossip/gossip_test_support.h"

#include <stdlib.h>

#include "base/check.h"
#include "crypto/sha256.h"

/* --- keys and messages --- */

void test_key(unsigned number, struct tern_private_key *key)
{
    uint8_t seed[32] = {(uint8_t)number, (uint8_t)(number >> 8), 0x77};
    tern_private_key_of_ed25519_seed(seed, key);
}

struct tern_peer_id test_id(unsigned number)
{
    struct tern_private_key key;
    struct tern_peer_id id;
    test_key(number, &key);
    tern_public_key_peer_id(&key.public_key, &id);
    tern_private_key_fini(&key);
    return id;
}

void test_signature(struct tern_writer *message, const struct tern_private_key *key)
{
    static const char prefix[] = "libp2p-pubsub:";
    uint8_t bytes[TEST_BYTES_MAX + sizeof prefix];
    uint8_t signature[TERN_SIGNATURE_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct tern_writer sig = tern_writer_of(signature, sizeof signature);
    tern_writer_str(&w, prefix);
    tern_writer_bytes(&w, tern_writer_view(message));
    TERN_CHECK(tern_writer_ok(&w));
    tern_err err = tern_private_key_sign(key, tern_writer_view(&w), &sig);
    TERN_CHECK(err == TERN_OK);
    tern_pb_write_bytes(message, 5, tern_writer_view(&sig));
}

void test_message(struct tern_writer *w, const struct tern_private_key *key, uint64_t seqno,
                  const char *topic, const char *data)
{
    struct tern_peer_id id;
    uint8_t number[8];
    struct tern_writer n = tern_writer_of(number, sizeof number);
    tern_public_key_peer_id(&key->public_key, &id);
    tern_writer_u64be(&n, seqno);
    tern_pb_write_bytes(w, 1, tern_peer_id_view(&id));
    tern_pb_write_bytes(w, 2, tern_view_str(data));
    tern_pb_write_bytes(w, 3, tern_writer_view(&n));
    tern_pb_write_bytes(w, 4, tern_view_str(topic));
    test_signature(w, key);
    TERN_CHECK(tern_writer_ok(w));
}

void test_id_of_data(const char *data, uint8_t id[32])
{
    tern_sha256(tern_view_str(data), id);
}

/* --- building RPCs --- */

void rpc_subscription(struct tern_writer *w, bool subscribe, const char *topic)
{
    tern_gossip_write_subscription(w, subscribe, tern_view_str(topic));
}

static void rpc_control(struct tern_writer *w, uint32_t number, const struct tern_writer *entry)
{
    tern_pb_write_header(w, TERN_GOSSIP_RPC_CONTROL, tern_pb_bytes_size(number, entry->size));
    tern_pb_write_bytes(w, number, tern_writer_view(entry));
}

void rpc_topic_entry(struct tern_writer *w, uint32_t control, const char *topic)
{
    uint8_t bytes[512];
    struct tern_writer entry = tern_writer_of(bytes, sizeof bytes);
    tern_pb_write_bytes(&entry, 1, tern_view_str(topic));
    rpc_control(w, control, &entry);
}

void rpc_prune(struct tern_writer *w, const char *topic, uint64_t backoff_s)
{
    uint8_t bytes[512];
    struct tern_writer entry = tern_writer_of(bytes, sizeof bytes);
    tern_pb_write_bytes(&entry, 1, tern_view_str(topic));
    if (backoff_s > 0)
        tern_pb_write_varint(&entry, 3, backoff_s);
    rpc_control(w, TERN_GOSSIP_CONTROL_PRUNE, &entry);
}

void rpc_ids(struct tern_writer *w, const char *topic, const struct tern_view *ids, size_t count)
{
    uint8_t bytes[TEST_BYTES_MAX];
    struct tern_writer entry = tern_writer_of(bytes, sizeof bytes);
    if (topic != NULL)
        tern_pb_write_bytes(&entry, 1, tern_view_str(topic));
    for (size_t i = 0; i < count; i++)
        tern_pb_write_bytes(&entry, topic == NULL ? 1 : 2, ids[i]);
    TERN_CHECK(tern_writer_ok(&entry));
    rpc_control(w, topic == NULL ? TERN_GOSSIP_CONTROL_IWANT : TERN_GOSSIP_CONTROL_IHAVE, &entry);
}

void rpc_message(struct tern_writer *w, struct tern_view message)
{
    tern_pb_write_bytes(w, TERN_GOSSIP_RPC_PUBLISH, message);
}

void rpc_unsigned(struct tern_writer *w, const char *topic, const char *data)
{
    uint8_t bytes[TEST_BYTES_MAX];
    struct tern_writer message = tern_writer_of(bytes, sizeof bytes);
    tern_pb_write_bytes(&message, 2, tern_view_str(data));
    tern_pb_write_bytes(&message, 4, tern_view_str(topic));
    TERN_CHECK(tern_writer_ok(&message));
    rpc_message(w, tern_writer_view(&message));
}

/* --- one core --- */

void lone_init(struct lone *l, unsigned seed, struct tern_mem *mem)
{
    *l = (struct lone){.now = LONE_START};
    tern_mem_init(&l->own_mem, 0);
    l->mem = mem == NULL ? &l->own_mem : mem;
    tern_random_init_u64(&l->random, seed);
    test_key(1000 + seed, &l->key);
    l->options = (struct tern_gossip_options){.mem = l->mem,
                                              .random = &l->random,
                                              .metrics = &l->metrics,
                                              .policy = TERN_GOSSIP_STRICT_NO_SIGN,
                                              .identity = &l->key,
                                              .own_id = test_id(1000 + seed)};
    tern_gossip_params_defaults(&l->options.params);
    l->options.params.peers_max = LONE_PEERS_MAX;
    l->options.params.seen_max = 4096;
    l->options.params.message_size_max = TEST_BYTES_MAX;
}

bool lone_start(struct lone *l)
{
    return tern_gossip_new(&l->options, l->now, &l->core) == TERN_OK;
}

void lone_clear(struct lone *l)
{
    for (size_t i = 0; i < l->log_count; i++) {
        free((void *)(uintptr_t)l->log[i].bytes.data);
        free((void *)(uintptr_t)l->log[i].topic.data);
        free((void *)(uintptr_t)l->log[i].from.data);
    }
    l->log_count = 0;
}

void lone_fini(struct lone *l)
{
    l->hold_jobs = false;
    for (size_t i = 0; i < l->jobs_count; i++)
        tern_gossip_job_done(l->core, l->now, l->jobs[i]);
    l->jobs_count = 0;
    tern_gossip_free(l->core);
    lone_clear(l);
    free(l->log);
    tern_private_key_fini(&l->key);
    TERN_CHECK(l->own_mem.used == 0);
    tern_mem_fini(&l->own_mem);
}

static struct tern_view log_copy(struct tern_view view)
{
    uint8_t *copy = malloc(view.size + 1);
    TERN_CHECK(copy != NULL);
    if (view.size > 0)
        memcpy(copy, view.data, view.size);
    return tern_view_of(copy, view.size);
}

static void log_add(struct lone *l, const struct tern_gossip_out *out, uint32_t peer)
{
    if (l->log_count == l->log_capacity) {
        l->log_capacity = l->log_capacity == 0 ? 64 : 2 * l->log_capacity;
        l->log = realloc(l->log, l->log_capacity * sizeof *l->log);
        TERN_CHECK(l->log != NULL);
    }
    struct lone_out *row = &l->log[l->log_count++];
    *row = (struct lone_out){.kind = out->kind,
                             .priority = out->priority,
                             .peer = peer,
                             .fault = out->fault,
                             .handle = out->handle};
    if (out->kind == TERN_GOSSIP_SEND) {
        struct tern_view rpc;
        size_t used;
        tern_err err = tern_pb_frame(tern_chunk_view(out->chunk), SIZE_MAX, &rpc, &used);
        TERN_CHECK(err == TERN_OK && used == out->chunk->size);
        row->bytes = log_copy(rpc);
    } else if (out->kind == TERN_GOSSIP_DELIVER) {
        row->bytes = log_copy(out->message.data);
        row->topic = log_copy(out->message.topic);
        row->from = log_copy(out->message.from);
    } else {
        row->topic = log_copy(out->topic);
    }
}

static void lone_take(struct lone *l, const struct tern_gossip_out *out)
{
    if (out->kind == TERN_GOSSIP_JOB) {
        TERN_CHECK(l->jobs_count < LONE_JOBS_MAX);
        l->jobs[l->jobs_count++] = out->job;
        return;
    }
    if (out->kind != TERN_GOSSIP_SEND)
        log_add(l, out, out->peer);
    for (size_t i = 0; out->kind == TERN_GOSSIP_SEND && i < out->peers_count; i++)
        log_add(l, out, out->peers[i]);
}

static void lone_drain_core(struct lone *l)
{
    struct tern_gossip_out out;
    while (tern_gossip_next(l->core, &out)) {
        lone_take(l, &out);
        if (out.kind == TERN_GOSSIP_DELIVER && out.handle != 0 && l->auto_verdict)
            tern_gossip_verdict(l->core, l->now, out.handle, l->verdict);
    }
}

void lone_jobs(struct lone *l)
{
    while (l->jobs_count > 0) {
        struct tern_job *job = l->jobs[0];
        memmove(l->jobs, l->jobs + 1, --l->jobs_count * sizeof *l->jobs);
        job->run(job);
        tern_gossip_job_done(l->core, l->now, job);
        lone_drain_core(l);
    }
}

void lone_drain(struct lone *l)
{
    lone_drain_core(l);
    if (!l->hold_jobs)
        lone_jobs(l);
}

void lone_run(struct lone *l, tern_time duration)
{
    tern_time end = l->now + duration;
    while (tern_gossip_deadline(l->core) <= end) {
        l->now = tern_gossip_deadline(l->core);
        tern_gossip_tick(l->core, l->now);
        lone_drain(l);
    }
    l->now = end;
}

bool lone_try_up(struct lone *l, enum tern_gossip_kind kind, unsigned number, uint32_t *peer)
{
    struct tern_gossip_peer_options options = {
        .kind = kind, .outbound = number % 2 == 1, .id = test_id(number)};
    if (tern_gossip_peer_up(l->core, l->now, &options, peer) != TERN_OK)
        return false;
    lone_drain(l);
    return true;
}

uint32_t lone_up(struct lone *l, enum tern_gossip_kind kind, bool outbound, unsigned number)
{
    uint32_t peer;
    struct tern_gossip_peer_options options = {
        .kind = kind, .outbound = outbound, .id = test_id(number)};
    tern_err err = tern_gossip_peer_up(l->core, l->now, &options, &peer);
    TERN_CHECK(err == TERN_OK);
    lone_drain(l);
    return peer;
}

void lone_down(struct lone *l, uint32_t peer)
{
    tern_gossip_peer_down(l->core, l->now, peer);
    lone_drain(l);
}

void lone_rpc(struct lone *l, uint32_t peer, struct tern_view rpc)
{
    tern_gossip_rpc(l->core, l->now, peer, rpc);
    lone_drain(l);
}

void lone_send(struct lone *l, uint32_t peer, const struct tern_writer *rpc)
{
    TERN_CHECK(tern_writer_ok(rpc));
    lone_rpc(l, peer, tern_writer_view(rpc));
}

void lone_subscribe(struct lone *l, const char *topic, unsigned flags)
{
    tern_err err = tern_gossip_subscribe(l->core, l->now, tern_view_str(topic), flags);
    TERN_CHECK(err == TERN_OK);
    lone_drain(l);
}

void lone_subscribed(struct lone *l, uint32_t peer, const char *topic)
{
    uint8_t bytes[512];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    rpc_subscription(&w, true, topic);
    lone_send(l, peer, &w);
}

void lone_graft(struct lone *l, uint32_t peer, const char *topic)
{
    uint8_t bytes[512];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    rpc_topic_entry(&w, TERN_GOSSIP_CONTROL_GRAFT, topic);
    lone_send(l, peer, &w);
}

void lone_prune(struct lone *l, uint32_t peer, const char *topic, uint64_t backoff_s)
{
    uint8_t bytes[512];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    rpc_prune(&w, topic, backoff_s);
    lone_send(l, peer, &w);
}

tern_err lone_publish(struct lone *l, const char *topic, const char *data)
{
    tern_err err = tern_gossip_publish(l->core, l->now, LONE_WALL + l->now, tern_view_str(topic),
                                       tern_view_str(data));
    lone_drain(l);
    return err;
}

void lone_verdict(struct lone *l, tern_gossip_handle handle, enum tern_gossip_verdict verdict)
{
    tern_gossip_verdict(l->core, l->now, handle, verdict);
    lone_drain(l);
}

/* --- reading the log --- */

size_t lone_count(const struct lone *l, enum tern_gossip_out_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < l->log_count; i++)
        count += l->log[i].kind == kind;
    return count;
}

size_t lone_faults(const struct lone *l, uint32_t peer, tern_fault fault)
{
    size_t count = 0;
    for (size_t i = 0; i < l->log_count; i++)
        count += l->log[i].kind == TERN_GOSSIP_FAULT && l->log[i].peer == peer &&
                 l->log[i].fault == fault;
    return count;
}

size_t lone_faults_all(const struct lone *l)
{
    return lone_count(l, TERN_GOSSIP_FAULT);
}

size_t lone_delivered(const struct lone *l, const char *data)
{
    size_t count = 0;
    for (size_t i = 0; i < l->log_count; i++)
        count += l->log[i].kind == TERN_GOSSIP_DELIVER &&
                 (data == NULL || tern_view_equal(l->log[i].bytes, tern_view_str(data)));
    return count;
}

const struct lone_out *lone_find(const struct lone *l, enum tern_gossip_out_kind kind, size_t n)
{
    for (size_t i = 0; i < l->log_count; i++)
        if (l->log[i].kind == kind && n-- == 0)
            return &l->log[i];
    return NULL;
}

bool lone_in_mesh(const struct lone *l, const char *topic, uint32_t peer)
{
    uint32_t peers[LONE_PEERS_MAX];
    size_t count =
        tern_gossip_mesh_peers(l->core, tern_view_str(topic), peers, TERN_COUNT_OF(peers));
    for (size_t i = 0; i < count; i++)
        if (peers[i] == peer)
            return true;
    return false;
}

size_t lone_mesh(const struct lone *l, const char *topic)
{
    uint32_t peers[LONE_PEERS_MAX];
    return tern_gossip_mesh_peers(l->core, tern_view_str(topic), peers, TERN_COUNT_OF(peers));
}

static bool part_is(struct tern_view view, const char *text)
{
    return text == NULL || tern_view_equal(view, tern_view_str(text));
}

static size_t entry_count(enum test_part part, struct tern_view entry, const char *text,
                          uint64_t *backoff)
{
    struct tern_pb_iter it = tern_pb_iter_of(entry);
    struct tern_pb_field field;
    bool named = part == PART_IWANT_IDS;
    size_t ids = 0;
    while (tern_pb_next(&it, &field)) {
        if (field.tag == TERN_PB_TAG(1, TERN_PB_BYTES) && part != PART_IWANT_IDS)
            named = part_is(field.bytes, text);
        else if (field.tag == TERN_PB_TAG(3, TERN_PB_VARINT) && backoff != NULL)
            *backoff = field.value;
        else
            ids++;
    }
    TERN_CHECK(tern_pb_end(&it) == TERN_OK);
    if (!named)
        return 0;
    return part == PART_IHAVE_IDS || part == PART_IWANT_IDS ? ids : 1;
}

static size_t control_count(enum test_part part, struct tern_view control, const char *text,
                            uint64_t *backoff)
{
    static const uint32_t numbers[] = {[PART_IHAVE_IDS] = TERN_GOSSIP_CONTROL_IHAVE,
                                       [PART_IWANT_IDS] = TERN_GOSSIP_CONTROL_IWANT,
                                       [PART_GRAFT] = TERN_GOSSIP_CONTROL_GRAFT,
                                       [PART_PRUNE] = TERN_GOSSIP_CONTROL_PRUNE};
    struct tern_pb_iter it = tern_pb_iter_of(control);
    struct tern_pb_field field;
    size_t count = 0;
    while (tern_pb_next(&it, &field))
        if (tern_pb_number(&field) == numbers[part])
            count += entry_count(part, field.bytes, text, backoff);
    TERN_CHECK(tern_pb_end(&it) == TERN_OK);
    return count;
}

static size_t field_count(enum test_part part, const struct tern_pb_field *field, const char *text,
                          uint64_t *backoff)
{
    struct tern_gossip_subscription sub;
    struct tern_gossip_message_view message;
    tern_err err;
    switch (tern_pb_number(field)) {
    case TERN_GOSSIP_RPC_SUBSCRIPTION:
        err = tern_gossip_subscription_decode(field->bytes, &sub);
        TERN_CHECK(err == TERN_OK);
        return part == (sub.subscribe ? PART_SUBSCRIBE : PART_UNSUBSCRIBE) &&
               part_is(sub.topic, text);
    case TERN_GOSSIP_RPC_PUBLISH:
        err = tern_gossip_message_decode(field->bytes, &message);
        TERN_CHECK(err == TERN_OK);
        return part == PART_MESSAGE && part_is(message.data, text);
    default:
        return part <= PART_MESSAGE ? 0 : control_count(part, field->bytes, text, backoff);
    }
}

static size_t sent_count(const struct lone *l, uint32_t peer, enum test_part part, const char *text,
                         uint64_t *backoff)
{
    size_t count = 0;
    for (size_t i = 0; i < l->log_count; i++) {
        const struct lone_out *out = &l->log[i];
        if (out->kind != TERN_GOSSIP_SEND || out->peer != peer)
            continue;
        struct tern_pb_iter it = tern_pb_iter_of(out->bytes);
        struct tern_pb_field field;
        while (tern_pb_next(&it, &field))
            count += field_count(part, &field, text, backoff);
        TERN_CHECK(tern_pb_end(&it) == TERN_OK);
    }
    return count;
}

size_t lone_sent(const struct lone *l, uint32_t peer, enum test_part part, const char *text)
{
    return sent_count(l, peer, part, text, NULL);
}

uint64_t lone_sent_prune_backoff(const struct lone *l, uint32_t peer)
{
    uint64_t backoff = UINT64_MAX;
    (void)sent_count(l, peer, PART_PRUNE, NULL, &backoff);
    return backoff;
}

/* --- a net --- */

struct net *net_new(size_t count, enum tern_gossip_policy policy, struct tern_mem *mem)
{
    struct net *n = calloc(1, sizeof *n);
    TERN_CHECK(n != NULL && count <= NET_NODES_MAX);
    n->now = LONE_START;
    n->latency = 10 * TERN_MILLISECOND;
    n->count = count;
    for (size_t i = 0; i < count; i++) {
        lone_init(&n->nodes[i], (unsigned)i, mem);
        n->nodes[i].options.policy = policy;
    }
    return n;
}

bool net_start(struct net *n)
{
    for (size_t i = 0; i < n->count; i++)
        if (!lone_start(&n->nodes[i]))
            return false;
    return true;
}

void net_free(struct net *n)
{
    for (size_t i = 0; i < n->count; i++)
        lone_fini(&n->nodes[i]);
    for (size_t i = 0; i < n->flights_count; i++)
        free(n->flights[i].bytes);
    free(n->flights);
    free(n);
}

static bool net_wire(struct net *n, size_t a, size_t b, struct tern_gossip_peer_options options,
                     uint32_t *peer)
{
    options.id = n->nodes[b].options.own_id;
    return tern_gossip_peer_up(n->nodes[a].core, n->now, &options, peer) == TERN_OK;
}

bool net_connect(struct net *n, size_t a, size_t b, enum tern_gossip_kind kind)
{
    uint32_t at_a, at_b;
    struct tern_gossip_peer_options options = {.kind = kind, .outbound = true};
    if (!net_wire(n, a, b, options, &at_a))
        return false;
    options.outbound = false;
    if (!net_wire(n, b, a, options, &at_b)) {
        tern_gossip_peer_down(n->nodes[a].core, n->now, at_a);
        return false;
    }
    uint32_t generation = ++n->generations;
    n->wires[a][at_a] = (struct net_wire){true, (uint32_t)b, at_b, generation};
    n->wires[b][at_b] = (struct net_wire){true, (uint32_t)a, at_a, generation};
    net_pump(n);
    return true;
}

void net_connect_all(struct net *n)
{
    for (size_t a = 0; a < n->count; a++)
        for (size_t b = a + 1; b < n->count; b++)
            TERN_CHECK((a + b) % 2 == 0 ? net_connect(n, a, b, TERN_GOSSIP_V11)
                                        : net_connect(n, b, a, TERN_GOSSIP_V11));
}

void net_disconnect(struct net *n, size_t a, size_t b)
{
    for (uint32_t i = 0; i < LONE_PEERS_MAX; i++) {
        struct net_wire wire = n->wires[a][i];
        if (!wire.used || wire.node != b)
            continue;
        n->wires[a][i].used = false;
        n->wires[b][wire.peer].used = false;
        tern_gossip_peer_down(n->nodes[a].core, n->now, i);
        tern_gossip_peer_down(n->nodes[b].core, n->now, wire.peer);
    }
    net_pump(n);
}

static void net_fly(struct net *n, size_t from, const struct lone_out *out)
{
    const struct net_wire *wire = &n->wires[from][out->peer];
    if (!wire->used)
        return;
    if (n->flights_count == n->flights_capacity) {
        n->flights_capacity = n->flights_capacity == 0 ? 256 : 2 * n->flights_capacity;
        n->flights = realloc(n->flights, n->flights_capacity * sizeof *n->flights);
        TERN_CHECK(n->flights != NULL);
    }
    struct net_flight *flight = &n->flights[n->flights_count++];
    *flight = (struct net_flight){.at = n->now + n->latency,
                                  .node = wire->node,
                                  .peer = wire->peer,
                                  .wire = wire->generation,
                                  .bytes = malloc(out->bytes.size + 1),
                                  .size = out->bytes.size};
    TERN_CHECK(flight->bytes != NULL);
    memcpy(flight->bytes, out->bytes.data, out->bytes.size);
}

void net_pump(struct net *n)
{
    for (size_t i = 0; i < n->count; i++) {
        struct lone *l = &n->nodes[i];
        l->now = n->now;
        if (l->core != NULL)
            lone_drain(l);
        for (; n->taken[i] < l->log_count; n->taken[i]++)
            if (l->log[n->taken[i]].kind == TERN_GOSSIP_SEND)
                net_fly(n, i, &l->log[n->taken[i]]);
    }
}

static void net_land(struct net *n, struct net_flight flight)
{
    const struct net_wire *wire = &n->wires[flight.node][flight.peer];
    if (wire->used && wire->generation == flight.wire)
        tern_gossip_rpc(n->nodes[flight.node].core, n->now, flight.peer,
                        tern_view_of(flight.bytes, flight.size));
    n->nodes[flight.node].now = n->now;
    lone_drain(&n->nodes[flight.node]);
    free(flight.bytes);
    net_pump(n);
}

/* Flights are in order of time: all take equally long. */
static tern_time net_next(const struct net *n, size_t *node)
{
    tern_time at = n->flights_count > 0 ? n->flights[0].at : TERN_TIME_NEVER;
    *node = SIZE_MAX;
    for (size_t i = 0; i < n->count; i++) {
        if (tern_gossip_deadline(n->nodes[i].core) >= at)
            continue;
        at = tern_gossip_deadline(n->nodes[i].core);
        *node = i;
    }
    return at;
}

void net_run(struct net *n, tern_time duration)
{
    tern_time end = n->now + duration;
    size_t node;
    net_pump(n);
    for (tern_time at = net_next(n, &node); at <= end; at = net_next(n, &node)) {
        n->now = at;
        if (node != SIZE_MAX) {
            tern_gossip_tick(n->nodes[node].core, at);
            net_pump(n);
            continue;
        }
        struct net_flight flight = n->flights[0];
        memmove(n->flights, n->flights + 1, --n->flights_count * sizeof *n->flights);
        net_land(n, flight);
    }
    n->now = end;
    net_pump(n);
}

void net_subscribe_all(struct net *n, const char *topic)
{
    for (size_t i = 0; i < n->count; i++) {
        n->nodes[i].now = n->now;
        lone_subscribe(&n->nodes[i], topic, 0);
    }
    net_pump(n);
}
