#include "protocol/identify/identify.h"

#include "base/check.h"
#include "base/reader.h"
#include "base/ring.h"
#include "crypto/envelope.h"
#include "protocol/frame.h"
#include "protocol/identify/identify_message.h"
#include "protocol/own_record.h"

static const tern_time IDENTIFY_TIMEOUT_NS = 10 * TERN_SECOND;
static const tern_time IDENTIFY_DEBOUNCE_NS = TERN_SECOND;

enum { IDENTIFY_PEERS_MAX = 16384, IDENTIFY_EVENTS_MAX = 1024 };

/* One connected peer. Streams carry its index + 1 as user value. */
struct identify_peer {
    bool used;
    bool reading; /* a stream is open from which its message comes */
    bool pushed;  /* by push, not because we asked */
    bool push_wanted;
    tern_peer peer;
    struct tern_stream stream;
    tern_time deadline;
    size_t messages;
    struct tern_frame_reader reader;
    struct identify_parts *parts;    /* while reading */
    struct tern_identity_info *info; /* NULL: nothing yet */
    uint8_t *names;                  /* protocol names, each behind its 16-bit size */
    size_t names_size;
    uint8_t *record; /* signed peer record */
    size_t record_size;
    tern_time pushes_since;
    uint32_t pushes;
};

struct tern_identify {
    struct tern_mem *mem;
    struct tern_swarm *swarm;
    struct tern_identify_options options;
    uint32_t number;
    struct identify_peer **peers;
    size_t peers_count;
    size_t peers_capacity;
    struct tern_ring events;
    tern_time push_at; /* TERN_TIME_NEVER: nothing changed */
};

static const struct tern_view identify_name = {.data = (const uint8_t *)TERN_IDENTIFY_PROTOCOL,
                                               .size = sizeof TERN_IDENTIFY_PROTOCOL - 1};
static const struct tern_view identify_push_name = {
    .data = (const uint8_t *)TERN_IDENTIFY_PUSH_PROTOCOL,
    .size = sizeof TERN_IDENTIFY_PUSH_PROTOCOL - 1};

/* --- peers --- */

static struct identify_peer *identify_find(const struct tern_identify *identify, tern_peer peer)
{
    for (size_t i = 0; i < identify->peers_count; i++)
        if (identify->peers[i]->used && identify->peers[i]->peer == peer)
            return identify->peers[i];
    return NULL;
}

static uint64_t identify_user(const struct tern_identify *identify,
                              const struct identify_peer *peer)
{
    for (size_t i = 0; i < identify->peers_count; i++)
        if (identify->peers[i] == peer)
            return i + 1;
    TERN_UNREACHABLE();
}

static struct identify_peer *identify_peer_slot(struct tern_identify *identify)
{
    for (size_t i = 0; i < identify->peers_count; i++)
        if (!identify->peers[i]->used)
            return identify->peers[i];
    if (identify->peers_count == IDENTIFY_PEERS_MAX)
        return NULL;
    if (identify->peers_count == identify->peers_capacity) {
        size_t capacity = identify->peers_capacity == 0 ? 16 : 2 * identify->peers_capacity;
        struct identify_peer **grown =
            tern_mem_realloc(identify->mem, identify->peers,
                             identify->peers_capacity * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        identify->peers = grown;
        identify->peers_capacity = capacity;
    }
    struct identify_peer *peer = tern_mem_zalloc(identify->mem, sizeof *peer);
    if (peer != NULL)
        identify->peers[identify->peers_count++] = peer;
    return peer;
}

static void identify_stop_reading(struct tern_identify *identify, struct identify_peer *peer)
{
    if (!peer->reading)
        return;
    peer->reading = false;
    peer->deadline = TERN_TIME_NEVER;
    tern_frame_reader_fini(&peer->reader);
    identify_parts_free(peer->parts, identify->mem);
    peer->parts = NULL;
}

static void identify_peer_free(struct tern_identify *identify, struct identify_peer *peer)
{
    identify_stop_reading(identify, peer);
    tern_mem_free(identify->mem, peer->info, sizeof *peer->info);
    tern_mem_free(identify->mem, peer->names, peer->names_size);
    tern_mem_free(identify->mem, peer->record, peer->record_size);
    *peer = (struct identify_peer){0};
}

/* --- our own message --- */

/* Builds our message for whoever is at the other end of the connection. */
static struct tern_chunk *identify_build(struct tern_identify *identify, tern_time now,
                                         tern_connection connection)
{
    uint8_t buffer[TERN_IDENTIFY_SIZE_MAX];
    uint8_t key[TERN_PUBLIC_KEY_SIZE_MAX];
    uint8_t record[4096];
    struct tern_multiaddr addresses[TERN_PEER_ADDRS_MAX];
    struct tern_connection_info info;
    struct tern_writer out = tern_writer_of(buffer, sizeof buffer);
    struct tern_writer key_out = tern_writer_of(key, sizeof key);
    struct tern_writer record_out = tern_writer_of(record, sizeof record);
    struct identify_own own = {.agent = identify->options.agent,
                               .version = identify->options.version,
                               .protocols = tern_swarm_protocols(identify->swarm),
                               .addresses = addresses};
    tern_public_key_encode(&tern_swarm_identity(identify->swarm)->public_key, &key_out);
    own.public_key = tern_writer_view(&key_out);
    own.addresses_count =
        tern_swarm_own_addresses(identify->swarm, addresses, TERN_COUNT_OF(addresses));
    if (tern_own_record_seal(identify->swarm, now, &record_out) == TERN_OK)
        own.signed_record = tern_writer_view(&record_out);
    if (tern_swarm_connection_info(identify->swarm, connection, &info))
        tern_route_multiaddr(&info.remote, &own.observed);
    identify_encode(&own, &out);
    return tern_writer_ok(&out) ? tern_frame_chunk(identify->mem, tern_writer_view(&out)) : NULL;
}

/* Writes our message to a stream and ends our side. A new stream's buffer has room for it. */
static void identify_tell(struct tern_identify *identify, tern_time now, struct tern_stream stream)
{
    struct tern_chunk *chunk = identify_build(identify, now, stream.connection);
    struct tern_slice slice = {.chunk = chunk};
    tern_err err = TERN_ERR_MEMORY;
    if (chunk != NULL) {
        slice.view = tern_chunk_view(chunk);
        err = tern_swarm_write_slice(identify->swarm, stream, slice);
        tern_chunk_unref(chunk);
    }
    if (err == TERN_OK)
        err = tern_swarm_close_write(identify->swarm, stream);
    if (err != TERN_OK)
        tern_swarm_reset(identify->swarm, stream, TERN_STREAM_CODE_RESOURCE_LIMIT);
}

/* --- theirs --- */

static void identify_push_event(struct tern_identify *identify, const struct identify_peer *peer,
                                tern_err err)
{
    struct tern_identify_event event = {.peer = peer->peer, .err = err, .pushed = peer->pushed};
    const struct tern_peer_id *id = tern_swarm_peer_id(identify->swarm, peer->peer);
    if (id != NULL)
        event.id = *id;
    if (tern_ring_push(&identify->events, &event) != TERN_OK)
        return; /* the owner does not look; tern_identify_info has what counts */
}

/* Opens a signed record: only one that the peer itself signed counts. */
static bool identify_check_record(struct tern_identify *identify, tern_time now,
                                  const struct identify_peer *peer, struct tern_view bytes,
                                  struct tern_peer_record *record)
{
    const struct tern_peer_id *id = tern_swarm_peer_id(identify->swarm, peer->peer);
    if (bytes.size == 0 || id == NULL)
        return false;
    if (tern_peer_record_open(bytes, record) == TERN_OK && tern_peer_id_equal(&record->peer_id, id))
        return true;
    tern_swarm_report(identify->swarm, now, peer->peer, TERN_FAULT_IDENTIFY_RECORD);
    return false;
}

static void identify_learn_addresses(struct tern_identify *identify, tern_time now,
                                     struct identify_peer *peer)
{
    struct tern_peer_record record;
    struct tern_identity_info *info = peer->info;
    info->signed_record =
        identify_check_record(identify, now, peer, peer->parts->signed_record, &record);
    size_t count = info->signed_record ? record.addresses_count : peer->parts->addresses_count;
    const struct tern_view *views = info->signed_record ? record.addresses : peer->parts->addresses;
    info->addresses_count = 0;
    for (size_t i = 0; i < count && info->addresses_count < TERN_PEER_ADDRS_MAX; i++) {
        struct tern_multiaddr *address = &info->addresses[info->addresses_count];
        if (tern_multiaddr_decode(views[i], address) != TERN_OK)
            continue; /* of a kind we do not know */
        info->addresses_count++;
        tern_swarm_add_address(identify->swarm, now, &info->id, address,
                               info->signed_record ? TERN_ADDR_SIGNED : TERN_ADDR_IDENTIFY);
    }
    if (!info->signed_record)
        return;
    tern_mem_free(identify->mem, peer->record, peer->record_size);
    peer->record = tern_mem_dup(identify->mem, peer->parts->signed_record);
    peer->record_size = peer->record == NULL ? 0 : peer->parts->signed_record.size;
}

static void identify_learn_protocols(struct tern_identify *identify, struct identify_peer *peer)
{
    const struct identify_parts *parts = peer->parts;
    size_t size = 0;
    for (size_t i = 0; i < parts->protocols_count; i++)
        size += 2 + parts->protocols[i].size;
    tern_mem_free(identify->mem, peer->names, peer->names_size);
    peer->names_size = 0;
    peer->names = size == 0 ? NULL : tern_mem_alloc(identify->mem, size);
    peer->info->protocols_count = 0;
    if (peer->names != NULL) {
        struct tern_writer w = tern_writer_of(peer->names, size);
        for (size_t i = 0; i < parts->protocols_count; i++) {
            tern_writer_u16be(&w, (uint16_t)parts->protocols[i].size);
            tern_writer_bytes(&w, parts->protocols[i]);
        }
        TERN_CHECK(tern_writer_ok(&w) && w.size == size);
        peer->names_size = size;
        peer->info->protocols_count = parts->protocols_count;
    }
    tern_swarm_set_peer_protocols(identify->swarm, peer->peer, parts->protocols,
                                  parts->protocols_count);
}

static uint16_t identify_copy_text(struct tern_view text, char out[TERN_IDENTIFY_TEXT_MAX])
{
    size_t size = tern_min_size(text.size, TERN_IDENTIFY_TEXT_MAX);
    if (size > 0)
        memcpy(out, text.data, size);
    return (uint16_t)size;
}

/* What came is complete: it takes the place of what was known. In a push, what is absent is
 * unchanged. */
static tern_err identify_learn(struct tern_identify *identify, tern_time now,
                               struct identify_peer *peer)
{
    const struct identify_parts *parts = peer->parts;
    const struct tern_peer_id *id = tern_swarm_peer_id(identify->swarm, peer->peer);
    struct tern_multiaddr observed;
    if (id == NULL)
        return TERN_ERR_DISCONNECTED;
    if (!identify_key_matches(parts, id))
        return TERN_ERR_PEER_MISMATCH;
    if (peer->info == NULL)
        peer->info = tern_mem_zalloc(identify->mem, sizeof *peer->info);
    if (peer->info == NULL)
        return TERN_ERR_MEMORY;
    peer->info->id = *id;
    if (parts->has_agent || !peer->pushed)
        peer->info->agent_size = identify_copy_text(parts->agent, peer->info->agent);
    if (parts->has_version || !peer->pushed)
        peer->info->version_size = identify_copy_text(parts->version, peer->info->version);
    if (parts->addresses_count > 0 || parts->signed_record.size > 0 || !peer->pushed)
        identify_learn_addresses(identify, now, peer);
    if (parts->protocols_count > 0 || !peer->pushed)
        identify_learn_protocols(identify, peer);
    if (tern_multiaddr_decode(parts->observed, &observed) == TERN_OK) {
        peer->info->observed = observed;
        tern_swarm_observed(identify->swarm, now, peer->stream.connection, &observed);
    }
    return TERN_OK;
}

static tern_fault identify_fault(tern_err err)
{
    switch ((int)err) {
    case TERN_ERR_TOO_LARGE:
        return TERN_FAULT_IDENTIFY_TOO_LARGE;
    case TERN_ERR_PEER_MISMATCH:
        return TERN_FAULT_IDENTIFY_KEY;
    case TERN_ERR_MALFORMED:
    case TERN_ERR_NOT_MINIMAL:
    case TERN_ERR_TRUNCATED:
        return TERN_FAULT_IDENTIFY_MALFORMED;
    default:
        return TERN_FAULT_NONE;
    }
}

/* What the remote is told when its message is of no use to us. */
static enum tern_stream_code identify_code(tern_err err, tern_fault fault)
{
    if (fault != TERN_FAULT_NONE)
        return TERN_STREAM_CODE_VIOLATION;
    if (err == TERN_ERR_TIMEOUT)
        return TERN_STREAM_CODE_IDLE;
    return tern_err_class(err) == TERN_CLASS_LIMIT ? TERN_STREAM_CODE_RESOURCE_LIMIT
                                                   : TERN_STREAM_CODE_NONE;
}

static void identify_finish(struct tern_identify *identify, tern_time now,
                            struct identify_peer *peer, tern_err err)
{
    struct tern_stream stream = peer->stream;
    if (err == TERN_OK)
        err = identify_learn(identify, now, peer);
    tern_fault fault = identify_fault(err);
    if (fault != TERN_FAULT_NONE)
        tern_swarm_report(identify->swarm, now, peer->peer, fault);
    identify_push_event(identify, peer, err);
    identify_stop_reading(identify, peer);
    if (err == TERN_OK)
        TERN_IGNORE(
            tern_swarm_close_write(identify->swarm, stream)); /* it may have ended already */
    else
        tern_swarm_reset(identify->swarm, stream, identify_code(err, fault));
}

static void identify_readable(struct tern_identify *identify, tern_time now,
                              struct identify_peer *peer)
{
    struct tern_view message;
    tern_err err = TERN_OK;
    while (err == TERN_OK) {
        err = tern_frame_read(&peer->reader, identify->swarm, peer->stream, &message);
        if (err == TERN_OK && ++peer->messages > TERN_IDENTIFY_MESSAGES_MAX)
            err = TERN_ERR_TOO_LARGE;
        if (err == TERN_OK)
            err = identify_parts_merge(peer->parts, message);
    }
    if (err == TERN_ERR_AGAIN)
        return;
    if (err == TERN_ERR_END && peer->messages > 0)
        err = TERN_OK;
    else if (err == TERN_ERR_END)
        err = TERN_ERR_TRUNCATED;
    identify_finish(identify, now, peer, err);
}

static bool identify_start_reading(struct tern_identify *identify, tern_time now,
                                   struct identify_peer *peer, struct tern_stream stream)
{
    peer->parts = identify_parts_new(identify->mem);
    if (peer->parts == NULL)
        return false;
    peer->reading = true;
    peer->messages = 0;
    peer->stream = stream;
    peer->deadline = tern_time_add(now, IDENTIFY_TIMEOUT_NS);
    tern_frame_reader_init(&peer->reader, identify->mem, TERN_IDENTIFY_SIZE_MAX);
    return true;
}

static void identify_ask(struct tern_identify *identify, tern_time now, struct identify_peer *peer)
{
    struct tern_stream stream;
    struct tern_stream_request request = {
        .service = identify->number,
        .peer = peer->peer,
        .offer = {.names = &identify_name, .names_count = 1, .class = TERN_STREAM_CONTROL},
        .user = identify_user(identify, peer)};
    peer->pushed = false;
    if (tern_swarm_open_stream(identify->swarm, now, &request, &stream) != TERN_OK)
        return;
    if (!identify_start_reading(identify, now, peer, stream))
        tern_swarm_reset(identify->swarm, stream, TERN_STREAM_CODE_RESOURCE_LIMIT);
}

/* --- pushing --- */

void tern_identify_changed(struct tern_identify *identify, tern_time now)
{
    if (identify->push_at == TERN_TIME_NEVER)
        identify->push_at = tern_time_add(now, IDENTIFY_DEBOUNCE_NS);
}

static void identify_push_to(struct tern_identify *identify, tern_time now, tern_peer peer)
{
    struct tern_stream stream;
    struct tern_stream_request request = {
        .service = identify->number,
        .peer = peer,
        .offer = {.names = &identify_push_name, .names_count = 1, .class = TERN_STREAM_CONTROL}};
    if (!tern_swarm_peer_supports(identify->swarm, peer, identify_push_name))
        return;
    if (tern_swarm_open_stream(identify->swarm, now, &request, &stream) == TERN_OK)
        identify_tell(identify, now, stream);
}

/* At most so many pushes a minute are listened to. */
static bool identify_push_allowed(struct tern_identify *identify, tern_time now,
                                  struct identify_peer *peer)
{
    if (tern_time_since(now, peer->pushes_since) >= TERN_MINUTE) {
        peer->pushes_since = now;
        peer->pushes = 0;
    }
    if (++peer->pushes <= TERN_IDENTIFY_PUSHES_PER_MINUTE)
        return true;
    tern_swarm_report(identify->swarm, now, peer->peer, TERN_FAULT_IDENTIFY_PUSH_FLOOD);
    return false;
}

static void identify_opened(struct tern_identify *identify, tern_time now,
                            const struct tern_swarm_event *event)
{
    struct identify_peer *peer = identify_find(identify, event->peer);
    if (tern_view_equal(event->protocol->name, identify_name)) {
        identify_tell(identify, now, event->stream);
        return;
    }
    if (peer == NULL || peer->reading || !identify_push_allowed(identify, now, peer) ||
        !identify_start_reading(identify, now, peer, event->stream)) {
        tern_swarm_reset(identify->swarm, event->stream, TERN_STREAM_CODE_RATE_LIMIT);
        return;
    }
    peer->pushed = true;
    tern_swarm_set_user(identify->swarm, event->stream, identify_user(identify, peer));
}

/* --- the service --- */

static void identify_peer_up(struct tern_identify *identify, tern_time now, tern_peer handle)
{
    struct identify_peer *peer = identify_peer_slot(identify);
    if (peer == NULL)
        return;
    *peer = (struct identify_peer){.used = true, .peer = handle, .deadline = TERN_TIME_NEVER};
    identify_ask(identify, now, peer);
}

static struct identify_peer *identify_of(struct tern_identify *identify,
                                         const struct tern_swarm_event *event)
{
    if (event->user == 0 || event->user > identify->peers_count)
        return NULL; /* one that we only write to */
    struct identify_peer *peer = identify->peers[event->user - 1];
    bool same = peer->used && peer->reading && peer->stream.id == event->stream.id &&
                peer->stream.connection == event->stream.connection;
    return same ? peer : NULL;
}

static void identify_stream_event(struct tern_identify *identify, tern_time now,
                                  const struct tern_swarm_event *event)
{
    struct identify_peer *peer = identify_of(identify, event);
    if (peer == NULL)
        return;
    if (event->kind == TERN_SWARM_STREAM_READABLE)
        identify_readable(identify, now, peer);
    else if (event->kind == TERN_SWARM_STREAM_ENDED)
        identify_finish(identify, now, peer, event->err == TERN_OK ? TERN_ERR_CLOSED : event->err);
}

static void identify_peer_gone(struct tern_identify *identify, tern_peer handle)
{
    struct identify_peer *peer = identify_find(identify, handle);
    if (peer != NULL)
        identify_peer_free(identify, peer);
}

static void identify_event(void *self, tern_time now, const struct tern_swarm_event *event)
{
    struct tern_identify *identify = self;
    switch (event->kind) {
    case TERN_SWARM_PEER_UP:
        identify_peer_up(identify, now, event->peer);
        break;
    case TERN_SWARM_PEER_DOWN:
        identify_peer_gone(identify, event->peer);
        break;
    case TERN_SWARM_STREAM_OPENED:
        identify_opened(identify, now, event);
        break;
    case TERN_SWARM_STREAM_READY:
    case TERN_SWARM_STREAM_READABLE:
    case TERN_SWARM_STREAM_WRITABLE:
    case TERN_SWARM_STREAM_ENDED:
        identify_stream_event(identify, now, event);
        break;
    case TERN_SWARM_ADDRESSES:
        tern_identify_changed(identify, now);
        break;
    case TERN_SWARM_CONNECTION_UP:
    case TERN_SWARM_CONNECTION_DOWN:
    case TERN_SWARM_LISTENING:
    case TERN_SWARM_LISTEN_FAILED:
    case TERN_SWARM_DIAL_DONE:
    case TERN_SWARM_PROTOCOLS:
        break;
    }
}

static tern_time identify_deadline(const void *self)
{
    const struct tern_identify *identify = self;
    tern_time deadline = identify->push_at;
    for (size_t i = 0; i < identify->peers_count; i++)
        if (identify->peers[i]->reading)
            deadline = tern_time_min(deadline, identify->peers[i]->deadline);
    return deadline;
}

static void identify_tick(void *self, tern_time now)
{
    struct tern_identify *identify = self;
    for (size_t i = 0; i < identify->peers_count; i++) {
        struct identify_peer *peer = identify->peers[i];
        if (peer->reading && now >= peer->deadline)
            identify_finish(identify, now, peer, TERN_ERR_TIMEOUT);
    }
    if (now < identify->push_at)
        return;
    identify->push_at = TERN_TIME_NEVER;
    for (size_t i = 0; i < identify->peers_count; i++)
        if (identify->peers[i]->used)
            identify_push_to(identify, now, identify->peers[i]->peer);
}

static const struct tern_service_ops identify_ops = {.name = "identify",
                                                     .event = identify_event,
                                                     .deadline = identify_deadline,
                                                     .tick = identify_tick};

/* --- making, and what is known --- */

static tern_err identify_register(struct tern_identify *identify)
{
    const struct tern_view names[] = {identify_name, identify_push_name};
    TERN_TRY(tern_swarm_add_service(identify->swarm, &identify_ops, identify, &identify->number));
    for (size_t i = 0; i < TERN_COUNT_OF(names); i++) {
        const struct tern_protocol protocol = {
            .name = names[i],
            .handler = identify->number,
            .class = TERN_STREAM_CONTROL,
            .inbound_per_peer_max = 2,
            .replay_harmless = i == 0, /* an old push would take the place of a newer one */
        };
        TERN_TRY(tern_swarm_handle(identify->swarm, &protocol));
    }
    return TERN_OK;
}

tern_err tern_identify_new(const struct tern_identify_options *options, struct tern_swarm *swarm,
                           struct tern_identify **out)
{
    struct tern_identify *identify = tern_mem_zalloc(options->mem, sizeof *identify);
    if (identify == NULL)
        return TERN_ERR_MEMORY;
    identify->mem = options->mem;
    identify->swarm = swarm;
    identify->options = *options;
    identify->push_at = TERN_TIME_NEVER;
    tern_ring_init(&identify->events, identify->mem, sizeof(struct tern_identify_event),
                   IDENTIFY_EVENTS_MAX);
    tern_err err = identify_register(identify);
    if (err != TERN_OK) {
        tern_identify_free(identify);
        return err;
    }
    *out = identify;
    return TERN_OK;
}

void tern_identify_free(struct tern_identify *identify)
{
    if (identify == NULL)
        return;
    for (size_t i = 0; i < identify->peers_count; i++) {
        identify_peer_free(identify, identify->peers[i]);
        tern_mem_free(identify->mem, identify->peers[i], sizeof *identify->peers[i]);
    }
    tern_mem_free(identify->mem, identify->peers,
                  identify->peers_capacity * sizeof *identify->peers);
    tern_ring_fini(&identify->events);
    tern_mem_free(identify->mem, identify, sizeof *identify);
}

bool tern_identify_next(struct tern_identify *identify, struct tern_identify_event *event)
{
    return tern_ring_pop(&identify->events, event);
}

const struct tern_identity_info *tern_identify_info(const struct tern_identify *identify,
                                                    tern_peer handle)
{
    const struct identify_peer *peer = identify_find(identify, handle);
    return peer == NULL ? NULL : peer->info;
}

struct tern_view tern_identify_record(const struct tern_identify *identify, tern_peer handle)
{
    const struct identify_peer *peer = identify_find(identify, handle);
    return peer == NULL ? (struct tern_view){0} : tern_view_of(peer->record, peer->record_size);
}

bool tern_identify_protocol(const struct tern_identify *identify, tern_peer handle, size_t i,
                            struct tern_view *name)
{
    const struct identify_peer *peer = identify_find(identify, handle);
    if (peer == NULL || peer->info == NULL || i >= peer->info->protocols_count)
        return false;
    struct tern_reader r = tern_reader_of(tern_view_of(peer->names, peer->names_size));
    for (size_t k = 0; k <= i; k++) {
        uint16_t size;
        if (!tern_reader_u16be(&r, &size) || !tern_reader_bytes(&r, size, name))
            return false;
    }
    return true;
}
