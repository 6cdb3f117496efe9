/*
 * Calls of the public API on connections, peers, perf, pub/sub and requests: each takes the lock,
 * calls into the core, and lets the loop carry out what that set off.
 */
#include <stdio.h>

#include "base/check.h"
#include "libtern/host_private.h"

static const tern_time HOST_PING_TIMEOUT_NS = 10 * TERN_SECOND;

static tern_err host_parse_address(const char *text, struct tern_multiaddr *address)
{
    return tern_multiaddr_parse(tern_view_str(text), address, NULL) == TERN_OK ? TERN_OK
                                                                               : TERN_ERR_INVALID;
}

/* --- connections --- */

tern_err tern_host_listen(struct tern_host *host, const char *text)
{
    struct tern_multiaddr address;
    TERN_TRY(host_parse_address(text, &address));
    tern_time now = host_enter(host);
    tern_err err = tern_swarm_listen(tern_host_core_swarm(host->core), &address);
    host_leave(host, now);
    return err;
}

tern_err tern_host_dial(struct tern_host *host, const char *text, uint64_t *token)
{
    struct tern_multiaddr address;
    struct tern_peer_id id;
    TERN_TRY(host_parse_address(text, &address));
    struct tern_dial_options options = {.addresses = &address, .addresses_count = 1};
    if (tern_multiaddr_peer_id(tern_multiaddr_view(&address), &id)) {
        options.id = &id;
        if (tern_multiaddr_without_peer_id(tern_multiaddr_view(&address)).size == 0)
            options.addresses_count = 0;
    }
    tern_time now = host_enter(host);
    struct tern_swarm *swarm = tern_host_core_swarm(host->core);
    options.token = tern_swarm_token(swarm);
    if (token != NULL)
        *token = options.token;
    tern_err err = tern_swarm_dial(swarm, now, &options);
    host_leave(host, now);
    return err;
}

/* A time since the first attempt; -1: that has not happened. */
static int64_t host_since_first(tern_time first, tern_time at)
{
    return at == 0 ? -1 : (int64_t)tern_time_since(at, first);
}

static void host_fill_attempt(const struct tern_dial_attempt *row, tern_time first,
                              struct tern_dial_attempt_info *info)
{
    struct tern_multiaddr address;
    struct tern_view view = tern_multiaddr_without_peer_id(row->address);
    struct tern_writer w = tern_writer_of(info->address, sizeof info->address);
    if (view.size == 0) {
        tern_route_multiaddr(&row->route, &address);
        view = tern_multiaddr_view(&address);
        snprintf(info->transport, sizeof info->transport, "%s",
                 tern_transport_name(row->route.transport));
    }
    tern_err err = tern_multiaddr_format(view, &w);
    TERN_CHECK(err == TERN_OK && tern_writer_terminate(&w));
    info->err = row->err;
    info->started_ns = host_since_first(first, row->started_ns);
    info->linked_ns = host_since_first(first, row->linked_ns);
    info->ended_ns = host_since_first(first, row->ended_ns);
    if (row->outside_network)
        snprintf(info->refusal, sizeof info->refusal, "%s", TERN_DIAL_OUTSIDE_NETWORK);
    if (row->refusal.limit_info != NULL) {
        struct tern_writer words = tern_writer_of(info->refusal, sizeof info->refusal);
        tern_refusal_format(&row->refusal, &words);
        TERN_CHECK(tern_writer_terminate(&words));
    }
}

tern_err tern_host_dial_attempts(struct tern_host *host, uint64_t token, size_t i,
                                 struct tern_dial_attempt_info *out)
{
    enum { SIZE_MIN = offsetof(struct tern_dial_attempt_info, refusal) + sizeof out->refusal };
    struct tern_dial_attempt_info info = {.size = out->size};
    const struct tern_dial_attempt *rows;
    tern_time first = TERN_TIME_NEVER;
    if (out->size < SIZE_MIN || out->size > sizeof info)
        return TERN_ERR_INVALID;
    tern_time now = host_enter(host);
    size_t count = tern_swarm_dial_attempts(tern_host_core_swarm(host->core), token, &rows);
    for (size_t k = 0; k < count; k++)
        if (rows[k].started_ns != 0)
            first = tern_time_min(first, rows[k].started_ns);
    if (i < count)
        host_fill_attempt(&rows[i], first, &info);
    host_leave(host, now);
    if (i >= count)
        return TERN_ERR_NOT_FOUND;
    memcpy(out, &info, info.size);
    return TERN_OK;
}

tern_err tern_host_bootstrap(struct tern_host *host, const char *text)
{
    struct tern_multiaddr address;
    TERN_TRY(host_parse_address(text, &address));
    tern_time now = host_enter(host);
    tern_err err = tern_host_core_bootstrap(host->core, now, &address);
    host_leave(host, now);
    return err;
}

tern_err tern_host_disconnect(struct tern_host *host, const char *text)
{
    tern_peer peer;
    tern_time now = host_enter(host);
    tern_err err = host_find_peer(host, text, &peer);
    if (err == TERN_OK)
        tern_swarm_disconnect(tern_host_core_swarm(host->core), now, peer,
                              TERN_CONNECTION_CODE_NONE);
    host_leave(host, now);
    return err;
}

tern_err tern_host_address(struct tern_host *host, size_t i, char *text, size_t text_size)
{
    struct tern_multiaddr addresses[TERN_PEER_ADDRS_MAX];
    struct tern_writer w = tern_writer_of(text, text_size);
    tern_time now = host_enter(host);
    struct tern_swarm *swarm = tern_host_core_swarm(host->core);
    size_t count = tern_swarm_own_addresses(swarm, addresses, TERN_COUNT_OF(addresses));
    tern_err err = i < count ? TERN_OK : TERN_ERR_NOT_FOUND;
    if (err == TERN_OK)
        err = tern_multiaddr_append_peer_id(&addresses[i], tern_swarm_own_id(swarm));
    if (err == TERN_OK)
        err = tern_multiaddr_format(tern_multiaddr_view(&addresses[i]), &w);
    if (err == TERN_OK && !tern_writer_terminate(&w))
        err = TERN_ERR_TOO_LARGE;
    host_leave(host, now);
    return err;
}

tern_err tern_host_peer(struct tern_host *host, size_t i, char text[TERN_PEER_TEXT_SIZE])
{
    tern_time now = host_enter(host);
    struct tern_swarm *swarm = tern_host_core_swarm(host->core);
    tern_peer peer = tern_swarm_peer_first(swarm);
    for (size_t k = 0; k < i && peer != 0; k++)
        peer = tern_swarm_peer_next(swarm, peer);
    if (peer != 0)
        host_peer_text(tern_swarm_peer_id(swarm, peer), text);
    host_leave(host, now);
    return peer == 0 ? TERN_ERR_NOT_FOUND : TERN_OK;
}

static void host_fill_connection(const struct tern_swarm *swarm, tern_time now,
                                 const struct tern_connection_info *from,
                                 struct tern_host_connection_info *info)
{
    struct tern_multiaddr address;
    struct tern_writer w = tern_writer_of(info->address, sizeof info->address);
    host_peer_text(tern_swarm_peer_id(swarm, from->peer), info->peer);
    tern_route_multiaddr(&from->remote, &address);
    tern_err err = tern_multiaddr_format(tern_multiaddr_view(&address), &w);
    TERN_CHECK(err == TERN_OK && tern_writer_terminate(&w));
    snprintf(info->transport, sizeof info->transport, "%s",
             tern_transport_name(from->remote.transport));
    snprintf(info->secure, sizeof info->secure, "%s", from->secure);
    snprintf(info->muxer, sizeof info->muxer, "%s", from->muxer);
    info->outbound = from->outbound;
    info->age_ns = tern_time_since(now, from->opened_at);
    info->rtt_ns = from->rtt_ns;
    info->bytes_in = from->bytes_in;
    info->bytes_out = from->bytes_out;
    info->streams_count = from->streams_count;
}

/* The i-th of all connections, peer by peer; 0: there are fewer. */
static tern_connection host_connection_at(const struct tern_swarm *swarm, size_t i)
{
    for (tern_peer peer = tern_swarm_peer_first(swarm); peer != 0;
         peer = tern_swarm_peer_next(swarm, peer))
        for (tern_connection c = tern_swarm_connection_first(swarm, peer); c != 0;
             c = tern_swarm_connection_next(swarm, c))
            if (i-- == 0)
                return c;
    return 0;
}

tern_err tern_host_connection(struct tern_host *host, size_t i,
                              struct tern_host_connection_info *out)
{
    enum {
        SIZE_MIN =
            offsetof(struct tern_host_connection_info, streams_count) + sizeof out->streams_count
    };
    struct tern_host_connection_info info = {.size = out->size};
    struct tern_connection_info from;
    if (out->size < SIZE_MIN || out->size > sizeof info)
        return TERN_ERR_INVALID;
    tern_time now = host_enter(host);
    const struct tern_swarm *swarm = tern_host_core_swarm(host->core);
    bool found = tern_swarm_connection_info(swarm, host_connection_at(swarm, i), &from);
    if (found)
        host_fill_connection(swarm, now, &from, &info);
    host_leave(host, now);
    if (!found)
        return TERN_ERR_NOT_FOUND;
    memcpy(out, &info, info.size);
    return TERN_OK;
}

tern_err tern_host_ping(struct tern_host *host, const char *text, uint64_t *token)
{
    struct tern_ping_request request = {.timeout_ns = HOST_PING_TIMEOUT_NS};
    tern_time now = host_enter(host);
    tern_err err = host_find_peer(host, text, &request.peer);
    if (err == TERN_OK) {
        request.token = tern_swarm_token(tern_host_core_swarm(host->core));
        if (token != NULL)
            *token = request.token;
        err = tern_ping_send(tern_host_core_ping(host->core), now, &request);
    }
    host_leave(host, now);
    return err;
}

static bool host_perf_request(const struct tern_perf_options *given,
                              struct tern_perf_request *request)
{
    enum { SIZE_MIN = offsetof(struct tern_perf_options, serving) + sizeof given->serving };
    struct tern_perf_options options = {.size = 0};
    if (given->size < SIZE_MIN || given->size > sizeof options)
        return false;
    memcpy(&options, given, given->size);
    if (options.peer == NULL || options.timeout_ms <= 0 || options.duration_ms < 0 ||
        options.progress_ms < 0 || (unsigned)options.serving > TERN_PERF_SERVING_HEADER16)
        return false;
    *request = (struct tern_perf_request){
        .upload_bytes = options.upload_bytes,
        .download_bytes = options.download_bytes,
        .quiet_ns = (tern_time)options.timeout_ms * TERN_MILLISECOND,
        .duration_ns = (tern_time)options.duration_ms * TERN_MILLISECOND,
        .interval_ns = (tern_time)options.progress_ms * TERN_MILLISECOND,
        .header = options.serving == TERN_PERF_SERVING_HEADER16 ? TERN_PERF_HEADER_16
                                                                : TERN_PERF_HEADER_8};
    return true;
}

tern_err tern_host_perf(struct tern_host *host, const struct tern_perf_options *options,
                        uint64_t *token)
{
    struct tern_perf_request request;
    if (!host_perf_request(options, &request))
        return TERN_ERR_INVALID;
    tern_time now = host_enter(host);
    tern_err err = host_find_peer(host, options->peer, &request.peer);
    if (err == TERN_OK) {
        request.token = tern_swarm_token(tern_host_core_swarm(host->core));
        if (token != NULL)
            *token = request.token;
        err = tern_perf_run(tern_host_core_perf(host->core), now, &request);
    }
    host_leave(host, now);
    return err;
}

/* --- what a peer said of itself --- */

static tern_err host_find_info(struct tern_host *host, const char *text,
                               const struct tern_identity_info **info, tern_peer *peer)
{
    TERN_TRY(host_find_peer(host, text, peer));
    *info = tern_identify_info(tern_host_core_identify(host->core), *peer);
    return *info == NULL ? TERN_ERR_AGAIN : TERN_OK;
}

static tern_err host_format_address(const struct tern_multiaddr *address, char *text,
                                    size_t text_size)
{
    struct tern_writer w = tern_writer_of(text, text_size);
    if (address->size > 0)
        TERN_TRY(tern_multiaddr_format(tern_multiaddr_view(address), &w));
    return tern_writer_terminate(&w) ? TERN_OK : TERN_ERR_TOO_LARGE;
}

static tern_err host_fill_info(const struct tern_identity_info *from, struct tern_peer_info *info)
{
    info->addresses_count = from->addresses_count;
    info->protocols_count = from->protocols_count;
    info->signed_record = from->signed_record;
    TERN_TRY(host_copy_text(tern_view_of(from->agent, from->agent_size), info->agent,
                            sizeof info->agent));
    TERN_TRY(host_copy_text(tern_view_of(from->version, from->version_size), info->protocol_version,
                            sizeof info->protocol_version));
    if (host_format_address(&from->observed, info->observed_address,
                            sizeof info->observed_address) != TERN_OK)
        info->observed_address[0] = '\0'; /* longer than any address of ours */
    return TERN_OK;
}

tern_err tern_host_peer_info(struct tern_host *host, const char *text, struct tern_peer_info *info)
{
    const struct tern_identity_info *found;
    tern_peer peer;
    tern_time now = host_enter(host);
    tern_err err = host_find_info(host, text, &found, &peer);
    if (err == TERN_OK)
        err = host_fill_info(found, info);
    host_leave(host, now);
    return err;
}

tern_err tern_host_peer_address(struct tern_host *host, const char *peer_text, size_t i, char *text,
                                size_t text_size)
{
    const struct tern_identity_info *found;
    tern_peer peer;
    tern_time now = host_enter(host);
    tern_err err = host_find_info(host, peer_text, &found, &peer);
    if (err == TERN_OK)
        err = i < found->addresses_count
                  ? host_format_address(&found->addresses[i], text, text_size)
                  : TERN_ERR_NOT_FOUND;
    host_leave(host, now);
    return err;
}

tern_err tern_host_peer_protocol(struct tern_host *host, const char *peer_text, size_t i,
                                 char *text, size_t text_size)
{
    const struct tern_identity_info *found;
    struct tern_view name;
    tern_peer peer;
    tern_time now = host_enter(host);
    tern_err err = host_find_info(host, peer_text, &found, &peer);
    if (err == TERN_OK)
        err = tern_identify_protocol(tern_host_core_identify(host->core), peer, i, &name)
                  ? host_copy_text(name, text, text_size)
                  : TERN_ERR_NOT_FOUND;
    host_leave(host, now);
    return err;
}

/* --- publish and subscribe --- */

tern_err tern_host_subscribe(struct tern_host *host, const char *topic, unsigned flags)
{
    tern_time now = host_enter(host);
    unsigned core_flags =
        (flags & TERN_SUBSCRIBE_VALIDATE) != 0 ? TERN_GOSSIP_SUBSCRIBE_VALIDATE : 0;
    tern_err err = tern_gossip_service_subscribe(tern_host_core_gossip(host->core), now,
                                                 tern_view_str(topic), core_flags);
    host_leave(host, now);
    return err;
}

void tern_host_unsubscribe(struct tern_host *host, const char *topic)
{
    tern_time now = host_enter(host);
    tern_gossip_service_unsubscribe(tern_host_core_gossip(host->core), now, tern_view_str(topic));
    host_leave(host, now);
}

tern_err tern_host_publish(struct tern_host *host, const char *topic, const void *data, size_t size)
{
    tern_time now = host_enter(host);
    tern_err err = tern_gossip_service_publish(tern_host_core_gossip(host->core), now,
                                               tern_view_str(topic), tern_view_of(data, size));
    host_leave(host, now);
    return err;
}

void tern_host_verdict(struct tern_host *host, uint64_t message, enum tern_verdict verdict)
{
    static const enum tern_gossip_verdict verdicts[] = {
        [TERN_VERDICT_ACCEPT] = TERN_GOSSIP_ACCEPT,
        [TERN_VERDICT_IGNORE] = TERN_GOSSIP_IGNORE,
        [TERN_VERDICT_REJECT] = TERN_GOSSIP_REJECT,
    };
    if ((unsigned)verdict >= TERN_COUNT_OF(verdicts))
        return;
    tern_time now = host_enter(host);
    tern_gossip_service_verdict(tern_host_core_gossip(host->core), now, message, verdicts[verdict]);
    host_leave(host, now);
}

tern_err tern_host_topic_peer(struct tern_host *host, const char *topic, enum tern_topic_list list,
                              size_t i, char text[TERN_PEER_TEXT_SIZE])
{
    enum { LIST_MAX = 256 };
    struct tern_peer_id peers[LIST_MAX];
    tern_time now = host_enter(host);
    size_t count = tern_gossip_service_peers(tern_host_core_gossip(host->core),
                                             list == TERN_TOPIC_MESH ? TERN_GOSSIP_LIST_MESH
                                                                     : TERN_GOSSIP_LIST_SUBSCRIBERS,
                                             tern_view_str(topic), peers, LIST_MAX);
    if (i < count)
        host_peer_text(&peers[i], text);
    host_leave(host, now);
    return i < count ? TERN_OK : TERN_ERR_NOT_FOUND;
}

/* --- requests --- */

static bool host_protocol_valid(const char *protocol)
{
    size_t size = strlen(protocol);
    return size > 0 && size <= TERN_MULTIADDR_NAME_SIZE_MAX && protocol[0] == '/';
}

tern_err tern_host_serve(struct tern_host *host, const char *protocol)
{
    if (!host_protocol_valid(protocol))
        return TERN_ERR_INVALID;
    tern_time now = host_enter(host);
    const char *name = host_keep_name(host, protocol);
    tern_err err = name == NULL ? TERN_ERR_FULL
                                : tern_requests_serve(tern_host_core_requests(host->core),
                                                      tern_view_str(name), TERN_STREAM_MARKET);
    if (err == TERN_OK)
        tern_identify_changed(tern_host_core_identify(host->core), now);
    host_leave(host, now);
    return err;
}

tern_err tern_host_handle(struct tern_host *host, const char *protocol)
{
    if (!host_protocol_valid(protocol))
        return TERN_ERR_INVALID;
    tern_time now = host_enter(host);
    const char *name = host_keep_name(host, protocol);
    tern_err err = name == NULL ? TERN_ERR_FULL
                                : tern_app_streams_handle(tern_host_core_streams(host->core),
                                                          tern_view_str(name), TERN_STREAM_BULK);
    if (err == TERN_OK)
        tern_identify_changed(tern_host_core_identify(host->core), now);
    host_leave(host, now);
    return err;
}

tern_err tern_host_allow_early(struct tern_host *host, const char *protocol)
{
    tern_time now = host_enter(host);
    tern_err err =
        tern_swarm_allow_early(tern_host_core_swarm(host->core), tern_view_str(protocol));
    host_leave(host, now);
    return err;
}

/* The name of a protocol asked for lives as long as the host: a program uses few. */
static const char *host_intern_name(struct tern_host *host, const char *name)
{
    for (size_t i = 0; i < host->protocols_count; i++)
        if (strcmp(host->protocols[i], name) == 0)
            return host->protocols[i];
    return host_keep_name(host, name);
}

tern_err tern_host_request(struct tern_host *host, const struct tern_request_options *options,
                           uint64_t *token)
{
    if (options->size != sizeof *options || options->timeout_ms <= 0 ||
        !host_protocol_valid(options->protocol))
        return TERN_ERR_INVALID;
    struct tern_request request = {
        .class = TERN_STREAM_MARKET,
        .body = tern_view_of(options->data, options->data_size),
        .timeout_ns = (tern_time)options->timeout_ms * TERN_MILLISECOND,
    };
    tern_time now = host_enter(host);
    tern_err err = host_find_peer(host, options->peer, &request.peer);
    const char *name = host_intern_name(host, options->protocol);
    if (err == TERN_OK && name == NULL)
        err = TERN_ERR_FULL;
    if (err == TERN_OK) {
        request.protocol = tern_view_str(name);
        request.token = tern_swarm_token(tern_host_core_swarm(host->core));
        if (token != NULL)
            *token = request.token;
        err = tern_request_send(tern_host_core_requests(host->core), now, &request);
    }
    host_leave(host, now);
    return err;
}

void tern_host_answer(struct tern_host *host, uint64_t request,
                      const struct tern_answer_options *options)
{
    TERN_CHECK(options->size == sizeof *options);
    struct tern_answer answer = {.code = options->code,
                                 .body = tern_view_of(options->data, options->data_size)};
    if (options->reason != NULL)
        answer.reason = tern_view_str(options->reason);
    tern_time now = host_enter(host);
    tern_request_answer(tern_host_core_requests(host->core), request, &answer);
    host_leave(host, now);
}
