/*
 * A peer's bytes on streams of whole services: what frames, requests, answers, identify, exchange,
 * ping, perf and gossip make of them. The first byte chooses the protocol, whether the peer opens
 * the stream or answers on one, and whether it ends its side; the second the size of the pieces.
 */
#include "protocol/exchange/exchange.h"
#include "protocol/gossip/gossip_service.h"
#include "protocol/identify/identify.h"
#include "protocol/perf/perf.h"
#include "protocol/ping/ping.h"
#include "protocol/puppet_test_support.h"
#include "protocol/request/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_ASK "/test/ask/1"

enum { FUZZ_PERF = 32, FUZZ_PERF_HEADER_16 = 1, FUZZ_PERF_BYTES_MAX = 5000 };

struct services {
    struct tern_ping *ping;
    struct tern_perf *perf;
    enum tern_perf_header perf_header;
    struct tern_identify *identify;
    struct tern_requests *requests;
    struct tern_exchange *exchange;
    struct tern_gossip_service *gossip;
};

static const char *const protocols[] = {
    FUZZ_ASK,           TERN_IDENTIFY_PROTOCOL, TERN_IDENTIFY_PUSH_PROTOCOL, TERN_EXCHANGE_PROTOCOL,
    TERN_PING_PROTOCOL, "/meshsub/1.1.0",       "/floodsub/1.0.0",           FUZZ_ASK};

static void services_new(struct services *s, struct test_node *node, uint8_t how)
{
    struct tern_perf_service_options perf = {.mem = &node->mem,
                                             .streams_max = 4,
                                             .bytes_max = FUZZ_PERF_BYTES_MAX,
                                             .quiet_ns = 5 * TERN_SECOND};
    s->perf_header = (how & FUZZ_PERF_HEADER_16) != 0 ? TERN_PERF_HEADER_16 : TERN_PERF_HEADER_8;
    struct tern_identify_options identify = {
        .mem = &node->mem, .agent = tern_view_str("a"), .version = tern_view_str("v")};
    struct tern_requests_options requests = {.mem = &node->mem,
                                             .size_max = 1000,
                                             .serve_timeout_ns = 10 * TERN_SECOND,
                                             .inbound_per_peer_max = 8};
    struct tern_gossip_service_options gossip = {.mem = &node->mem,
                                                 .random = &node->random,
                                                 .metrics = &node->metrics,
                                                 .policy = TERN_GOSSIP_STRICT_NO_SIGN};
    tern_gossip_params_defaults(&gossip.params);
    gossip.params.seen_max = 64;
    tern_err errs[] = {
        tern_ping_new(&node->mem, &node->random, node->swarm, &s->ping),
        tern_perf_new(&perf, node->swarm, &s->perf),
        tern_perf_serve(s->perf, s->perf_header),
        tern_identify_new(&identify, node->swarm, &s->identify),
        tern_requests_new(&requests, node->swarm, &s->requests),
        tern_requests_serve(s->requests, tern_view_str(FUZZ_ASK), TERN_STREAM_CONTROL),
        tern_exchange_new(&node->mem, &node->random, node->swarm, &s->exchange),
        tern_gossip_service_new(&gossip, node->swarm, node->world->now, &s->gossip),
        tern_gossip_service_subscribe(s->gossip, node->world->now, tern_view_str("a"), 0)};
    for (size_t i = 0; i < TERN_COUNT_OF(errs); i++)
        TERN_CHECK(errs[i] == TERN_OK);
}

static void services_free(struct services *s)
{
    tern_exchange_free(s->exchange);
    tern_requests_free(s->requests);
    tern_gossip_service_free(s->gossip);
    tern_perf_free(s->perf);
    tern_ping_free(s->ping);
    tern_identify_free(s->identify);
}

static void services_take(struct services *s)
{
    struct tern_request_event request;
    struct tern_gossip_event message;
    struct tern_identify_event identified;
    struct tern_ping_event pong;
    struct tern_perf_event measured;
    while (tern_requests_next(s->requests, &request))
        if (request.kind == TERN_REQUEST_EVENT_REQUEST)
            tern_request_answer(s->requests, request.handle,
                                &(struct tern_answer){.body = request.body});
    while (tern_gossip_service_next(s->gossip, &message))
        TERN_CHECK(message.chunk != NULL);
    while (tern_identify_next(s->identify, &identified))
        TERN_CHECK(identified.peer != 0);
    while (tern_ping_next(s->ping, &pong))
        TERN_CHECK(pong.peer != 0);
    while (tern_perf_next(s->perf, &measured))
        TERN_CHECK(measured.err != TERN_OK || measured.downloaded_bytes == 40);
}

static void fuzz_ask(struct services *s, struct puppet_world *pw, tern_peer peer)
{
    struct tern_view name = tern_view_str(TERN_EXCHANGE_PROTOCOL);
    struct tern_request request = {.peer = peer,
                                   .protocol = tern_view_str(FUZZ_ASK),
                                   .class = TERN_STREAM_CONTROL,
                                   .body = tern_view_str("?"),
                                   .timeout_ns = 5 * TERN_SECOND};
    struct tern_ping_request ping = {.peer = peer, .timeout_ns = 5 * TERN_SECOND};
    struct tern_perf_request perf = {.peer = peer,
                                     .upload_bytes = 100,
                                     .download_bytes = 40,
                                     .quiet_ns = 5 * TERN_SECOND,
                                     .header = s->perf_header};
    TERN_IGNORE(tern_request_send(s->requests, pw->world->now, &request)); /* it may be gone */
    TERN_IGNORE(tern_ping_send(s->ping, pw->world->now, &ping));           /* likewise */
    TERN_IGNORE(tern_perf_run(s->perf, pw->world->now, &perf));            /* likewise */
    tern_swarm_set_peer_protocols(pw->node->swarm, peer, &name, 1);
}

static void fuzz_open(struct puppet_world *pw, const char *protocol, uint8_t how,
                      struct tern_view bytes, size_t piece)
{
    if (tern_swarm_find_peer(pw->puppet->swarm, &pw->node->id) == 0)
        return;
    struct tern_stream stream = puppet_open(pw, protocol, tern_view_str(""), false);
    for (size_t at = 0; at < bytes.size; at += piece)
        puppet_say(pw, stream,
                   tern_view_of(bytes.data + at, tern_min_size(piece, bytes.size - at)));
    if ((how & 16) != 0)
        puppet_end(pw, stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct puppet_world pw;
    struct services s;
    if (size < 2 || size > 20000)
        return 0;
    const char *protocol = (data[0] & FUZZ_PERF) != 0 ? TERN_PERF_PROTOCOL : protocols[data[0] & 7];
    struct tern_view bytes = tern_view_of(data + 2, size - 2);
    size_t piece = tern_max_size(data[1] == 0 ? size : data[1], size / 16 + 1);
    puppet_world_init(&pw);
    services_new(&s, pw.node, data[0]);
    bool answers = (data[0] & 8) != 0;
    if (answers && (data[0] & 7) != 7)
        puppet_serves(&pw, protocol);
    pw.answer = (struct puppet_answer){.bytes = bytes, .leave = (data[0] & 16) == 0};
    tern_peer peer = puppet_connect(&pw);
    if (answers)
        fuzz_ask(&s, &pw, peer);
    else
        fuzz_open(&pw, protocol, data[0], bytes, piece);
    puppet_run(&pw, TERN_SECOND);
    services_take(&s);
    puppet_run(&pw, 20 * TERN_SECOND);
    services_take(&s);
    services_free(&s);
    puppet_world_fini(&pw);
    return 0;
}
