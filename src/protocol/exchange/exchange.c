#include "protocol/exchange/exchange.h"

#include "base/check.h"
#include "crypto/envelope.h"
#include "protocol/frame.h"
#include "protocol/own_record.h"
#include "swarm/manager.h"

/* Rounds of asking somebody: soon at first, because a network that starts as a whole knows nothing
 * yet when its nodes meet; then ever more rarely. Never sooner than a peer that was just met, and
 * asked, serves again. */
static const tern_time EXCHANGE_AGAIN_FIRST_NS = 2 * TERN_EXCHANGE_PAUSE_NS;
static const tern_time EXCHANGE_AGAIN_NS = 2 * TERN_MINUTE;
static const tern_time EXCHANGE_TIMEOUT_NS = 10 * TERN_SECOND;

enum { EXCHANGE_ASKING_MAX = 16, EXCHANGE_SERVED_MAX = 1024 };

/* A record that we hold. */
struct exchange_record {
    struct tern_map_entry entry; /* by id */
    struct tern_peer_id id;
    uint64_t seq;
    size_t size;
    uint8_t bytes[];
};

/* An answer that is coming in. Its stream carries the index + 1 as user value. */
struct exchange_asking {
    bool used;
    tern_peer peer;
    struct tern_stream stream;
    tern_time deadline;
    size_t records;
    struct tern_frame_reader reader;
};

/* When a peer was answered last. */
struct exchange_served {
    tern_peer peer;
    tern_time at;
};

struct tern_exchange {
    struct tern_mem *mem;
    struct tern_random *random;
    struct tern_swarm *swarm;
    uint32_t number;
    uint32_t tag; /* of peers that have told us of others */
    struct tern_map records;
    struct exchange_asking asking[EXCHANGE_ASKING_MAX];
    struct exchange_served served[EXCHANGE_SERVED_MAX]; /* a ring: the oldest goes */
    size_t served_next;
    tern_time ask_at;   /* the next round */
    tern_time again_ns; /* from that one to the one behind it */
};

static const struct tern_tag_rule exchange_tag = {.name = "records",
                                                  .decay = TERN_TAG_FIXED,
                                                  .interval_ns = 10 * TERN_MINUTE,
                                                  .amount = 1,
                                                  .value_max = 5};

static const struct tern_view exchange_name = {.data = (const uint8_t *)TERN_EXCHANGE_PROTOCOL,
                                               .size = sizeof TERN_EXCHANGE_PROTOCOL - 1};

/* --- records --- */

static void exchange_forget(struct tern_exchange *x, struct exchange_record *record)
{
    tern_map_remove(&x->records, &record->entry);
    tern_mem_free(x->mem, record, sizeof *record + record->size);
}

static struct exchange_record *exchange_find(const struct tern_exchange *x,
                                             const struct tern_peer_id *id)
{
    struct tern_map_entry *entry = tern_map_find(&x->records, tern_peer_id_view(id));
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct exchange_record, entry);
}

/* Keeps an envelope that was checked; a newer one of the same peer replaces the older. */
static void exchange_keep(struct tern_exchange *x, const struct tern_peer_record *opened,
                          struct tern_view envelope)
{
    struct exchange_record *known = exchange_find(x, &opened->peer_id);
    if (known != NULL && known->seq >= opened->seq)
        return;
    if (known != NULL)
        exchange_forget(x, known);
    else if (tern_map_count(&x->records) == TERN_EXCHANGE_CACHE_MAX)
        exchange_forget(
            x, TERN_CONTAINER_OF(tern_map_first(&x->records), struct exchange_record, entry));
    struct exchange_record *record = tern_mem_alloc(x->mem, sizeof *record + envelope.size);
    if (record == NULL)
        return;
    record->id = opened->peer_id;
    record->seq = opened->seq;
    record->size = envelope.size;
    memcpy(record->bytes, envelope.data, envelope.size);
    if (tern_map_insert(&x->records, &record->entry, tern_peer_id_view(&record->id)) != TERN_OK)
        tern_mem_free(x->mem, record, sizeof *record + record->size);
}

static void exchange_learn(struct tern_exchange *x, tern_time now, tern_peer from,
                           struct tern_view envelope)
{
    struct tern_peer_record record;
    if (tern_peer_record_open(envelope, &record) != TERN_OK) {
        tern_swarm_report(x->swarm, now, from, TERN_FAULT_EXCHANGE_RECORD);
        return;
    }
    if (tern_peer_id_equal(&record.peer_id, tern_swarm_own_id(x->swarm)))
        return;
    for (size_t i = 0; i < record.addresses_count; i++) {
        struct tern_multiaddr address;
        if (tern_multiaddr_decode(record.addresses[i], &address) == TERN_OK)
            tern_swarm_add_address(x->swarm, now, &record.peer_id, &address, TERN_ADDR_SIGNED);
    }
    exchange_keep(x, &record, envelope);
}

size_t tern_exchange_count(const struct tern_exchange *x)
{
    return tern_map_count(&x->records);
}

/* --- serving --- */

static bool exchange_write(struct tern_exchange *x, struct tern_stream stream,
                           struct tern_view record)
{
    struct tern_chunk *chunk = tern_frame_chunk(x->mem, record);
    if (chunk == NULL)
        return false;
    struct tern_slice slice = {.chunk = chunk, .view = tern_chunk_view(chunk)};
    tern_err err = tern_swarm_write_slice(x->swarm, stream, slice);
    tern_chunk_unref(chunk);
    return err == TERN_OK;
}

/* One answer a peer and pause. */
static bool exchange_may_serve(struct tern_exchange *x, tern_time now, tern_peer peer)
{
    for (size_t i = 0; i < EXCHANGE_SERVED_MAX; i++)
        if (x->served[i].peer == peer &&
            tern_time_since(now, x->served[i].at) < TERN_EXCHANGE_PAUSE_NS)
            return false;
    x->served[x->served_next] = (struct exchange_served){.peer = peer, .at = now};
    x->served_next = (x->served_next + 1) % EXCHANGE_SERVED_MAX;
    return true;
}

/* Our own record, then a run of those we hold that begins anywhere, so that all get their turn. */
static void exchange_serve(struct tern_exchange *x, tern_time now, struct tern_stream stream)
{
    uint8_t own[TERN_OWN_RECORD_SIZE_MAX];
    struct tern_writer out = tern_writer_of(own, sizeof own);
    size_t count = tern_map_count(&x->records);
    size_t skip = count <= TERN_EXCHANGE_RECORDS_MAX - 1
                      ? 0
                      : (size_t)tern_random_below(x->random, count - TERN_EXCHANGE_RECORDS_MAX + 1);
    size_t given = 1;
    /* What the stream does not take at once is left out. */
    bool fine = tern_own_record_seal(x->swarm, now, &out) == TERN_OK &&
                exchange_write(x, stream, tern_writer_view(&out));
    TERN_MAP_FOREACH (entry, &x->records) {
        const struct exchange_record *record =
            TERN_CONTAINER_OF(entry, struct exchange_record, entry);
        if (skip > 0) {
            skip--;
            continue;
        }
        if (!fine || given++ == TERN_EXCHANGE_RECORDS_MAX)
            break;
        fine = exchange_write(x, stream, tern_view_of(record->bytes, record->size));
    }
    if (tern_swarm_close_write(x->swarm, stream) != TERN_OK)
        tern_swarm_reset(x->swarm, stream, TERN_STREAM_CODE_RESOURCE_LIMIT);
}

static void exchange_opened(struct tern_exchange *x, tern_time now,
                            const struct tern_swarm_event *event)
{
    if (exchange_may_serve(x, now, event->peer)) {
        exchange_serve(x, now, event->stream);
        return;
    }
    tern_swarm_report(x->swarm, now, event->peer, TERN_FAULT_EXCHANGE_FLOOD);
    tern_swarm_reset(x->swarm, event->stream, TERN_STREAM_CODE_RATE_LIMIT);
}

/* --- asking --- */

static void exchange_stop(struct exchange_asking *asking)
{
    tern_frame_reader_fini(&asking->reader);
    asking->used = false;
}

static void exchange_ask(struct tern_exchange *x, tern_time now, tern_peer peer)
{
    size_t i = 0;
    while (i < EXCHANGE_ASKING_MAX && x->asking[i].used)
        i++;
    if (i == EXCHANGE_ASKING_MAX || !tern_swarm_peer_supports(x->swarm, peer, exchange_name))
        return;
    struct exchange_asking *asking = &x->asking[i];
    struct tern_stream_request request = {
        .service = x->number,
        .peer = peer,
        .offer = {.names = &exchange_name, .names_count = 1, .class = TERN_STREAM_CONTROL},
        .user = i + 1};
    *asking =
        (struct exchange_asking){.peer = peer, .deadline = tern_time_add(now, EXCHANGE_TIMEOUT_NS)};
    if (tern_swarm_open_stream(x->swarm, now, &request, &asking->stream) != TERN_OK)
        return;
    tern_frame_reader_init(&asking->reader, x->mem, TERN_EXCHANGE_RECORD_SIZE_MAX);
    asking->used = true;
    TERN_IGNORE(tern_swarm_close_write(x->swarm, asking->stream)); /* ENDED follows if it failed */
}

static void exchange_readable(struct tern_exchange *x, tern_time now,
                              struct exchange_asking *asking)
{
    struct tern_view record;
    tern_err err = TERN_OK;
    while (err == TERN_OK && asking->records <= TERN_EXCHANGE_RECORDS_MAX) {
        err = tern_frame_read(&asking->reader, x->swarm, asking->stream, &record);
        if (err != TERN_OK)
            break;
        asking->records++;
        exchange_learn(x, now, asking->peer, record);
    }
    if (err == TERN_ERR_AGAIN)
        return;
    if (err != TERN_ERR_END && err != TERN_ERR_RESET && err != TERN_ERR_STALE &&
        err != TERN_ERR_MEMORY && err != TERN_ERR_SCOPE_MEMORY)
        tern_swarm_report(x->swarm, now, asking->peer, TERN_FAULT_EXCHANGE_MALFORMED);
    struct tern_stream stream = asking->stream;
    if (err == TERN_ERR_END && asking->records > 0)
        tern_swarm_tag_bump(x->swarm, asking->peer, x->tag, 1);
    exchange_stop(asking);
    if (err != TERN_ERR_END)
        tern_swarm_reset(x->swarm, stream,
                         tern_err_class(err) == TERN_CLASS_LIMIT ? TERN_STREAM_CODE_RESOURCE_LIMIT
                                                                 : TERN_STREAM_CODE_VIOLATION);
}

/* --- the service --- */

static struct exchange_asking *exchange_of(struct tern_exchange *x,
                                           const struct tern_swarm_event *event)
{
    if (event->user == 0 || event->user > EXCHANGE_ASKING_MAX)
        return NULL;
    struct exchange_asking *asking = &x->asking[event->user - 1];
    bool same = asking->used && asking->stream.id == event->stream.id &&
                asking->stream.connection == event->stream.connection;
    return same ? asking : NULL;
}

static void exchange_event(void *self, tern_time now, const struct tern_swarm_event *event)
{
    struct tern_exchange *x = self;
    struct exchange_asking *asking = NULL;
    switch (event->kind) {
    case TERN_SWARM_PROTOCOLS:
        exchange_ask(x, now, event->peer);
        if (x->ask_at < tern_time_add(now, EXCHANGE_AGAIN_FIRST_NS))
            x->ask_at = tern_time_add(now, EXCHANGE_AGAIN_FIRST_NS);
        break;
    case TERN_SWARM_STREAM_OPENED:
        exchange_opened(x, now, event);
        break;
    case TERN_SWARM_STREAM_READABLE:
        asking = exchange_of(x, event);
        if (asking != NULL)
            exchange_readable(x, now, asking);
        break;
    case TERN_SWARM_STREAM_ENDED:
        asking = exchange_of(x, event);
        if (asking != NULL)
            exchange_stop(asking);
        break;
    case TERN_SWARM_PEER_UP:
    case TERN_SWARM_PEER_DOWN:
    case TERN_SWARM_CONNECTION_UP:
    case TERN_SWARM_CONNECTION_DOWN:
    case TERN_SWARM_LISTENING:
    case TERN_SWARM_LISTEN_FAILED:
    case TERN_SWARM_DIAL_DONE:
    case TERN_SWARM_ADDRESSES:
    case TERN_SWARM_STREAM_READY:
    case TERN_SWARM_STREAM_WRITABLE:
        break;
    }
}

static tern_time exchange_deadline(const void *self)
{
    const struct tern_exchange *x = self;
    tern_time deadline = x->ask_at;
    for (size_t i = 0; i < EXCHANGE_ASKING_MAX; i++)
        if (x->asking[i].used)
            deadline = tern_time_min(deadline, x->asking[i].deadline);
    return deadline;
}

/* Asks one connected peer, any of them. */
static void exchange_ask_someone(struct tern_exchange *x, tern_time now)
{
    size_t count = tern_swarm_peers_count(x->swarm);
    if (count == 0)
        return;
    uint64_t chosen = tern_random_below(x->random, count);
    tern_peer peer = tern_swarm_peer_first(x->swarm);
    for (uint64_t i = 0; i < chosen && peer != 0; i++)
        peer = tern_swarm_peer_next(x->swarm, peer);
    if (peer != 0)
        exchange_ask(x, now, peer);
}

static void exchange_tick(void *self, tern_time now)
{
    struct tern_exchange *x = self;
    for (size_t i = 0; i < EXCHANGE_ASKING_MAX; i++) {
        struct exchange_asking *asking = &x->asking[i];
        if (!asking->used || now < asking->deadline)
            continue;
        struct tern_stream stream = asking->stream;
        exchange_stop(asking);
        tern_swarm_reset(x->swarm, stream, TERN_STREAM_CODE_IDLE);
    }
    if (now < x->ask_at)
        return;
    x->ask_at = tern_time_add(now, x->again_ns);
    x->again_ns = tern_time_min(2 * x->again_ns, EXCHANGE_AGAIN_NS);
    exchange_ask_someone(x, now);
}

static const struct tern_service_ops exchange_ops = {.name = "exchange",
                                                     .event = exchange_event,
                                                     .deadline = exchange_deadline,
                                                     .tick = exchange_tick};

tern_err tern_exchange_new(struct tern_mem *mem, struct tern_random *random,
                           struct tern_swarm *swarm, struct tern_exchange **out)
{
    struct tern_exchange *x = tern_mem_zalloc(mem, sizeof *x);
    if (x == NULL)
        return TERN_ERR_MEMORY;
    x->mem = mem;
    x->random = random;
    x->swarm = swarm;
    x->again_ns = EXCHANGE_AGAIN_FIRST_NS;
    uint64_t key[2] = {tern_random_u64(random), tern_random_u64(random)};
    tern_map_init(&x->records, mem, key);
    tern_err err = tern_swarm_add_service(swarm, &exchange_ops, x, &x->number);
    if (err == TERN_OK)
        err = tern_swarm_tag_rule(swarm, &exchange_tag, &x->tag);
    if (err == TERN_OK)
        err = tern_swarm_handle(swarm, &(struct tern_protocol){.name = exchange_name,
                                                               .handler = x->number,
                                                               .class = TERN_STREAM_CONTROL,
                                                               .replay_harmless = true,
                                                               .inbound_per_peer_max = 2});
    if (err != TERN_OK) {
        tern_exchange_free(x);
        return err;
    }
    *out = x;
    return TERN_OK;
}

void tern_exchange_free(struct tern_exchange *x)
{
    if (x == NULL)
        return;
    for (size_t i = 0; i < EXCHANGE_ASKING_MAX; i++)
        if (x->asking[i].used)
            exchange_stop(&x->asking[i]);
    while (tern_map_count(&x->records) > 0)
        exchange_forget(
            x, TERN_CONTAINER_OF(tern_map_first(&x->records), struct exchange_record, entry));
    tern_map_fini(&x->records);
    tern_mem_free(x->mem, x, sizeof *x);
}
