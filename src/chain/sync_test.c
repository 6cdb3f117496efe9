/* Synchronisation in virtual time: honest peers, slow ones, and liars of every kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "chain/sync.h"
#include "chain/test_node.h"
#include "wire/protobuf.h"

enum { LINE = 700, PEERS_MAX = 4, FLIGHTS_MAX = 256 };

static struct world world;
static struct world_block line[LINE];   /* the chain that honest peers have */
static struct world_block fork_line[8]; /* another one, from the genesis */

static void make_line(struct world_block *blocks, size_t count, size_t account)
{
    struct tern_mem mem;
    struct tern_ledger ledger;
    tern_mem_init(&mem, 0);
    world_ledger(&world, &mem, &ledger);
    for (size_t i = 0; i < count; i++) {
        tern_fault fault;
        struct world_tx tx = world_transfer(&world, account, 7, i, 1);
        blocks[i] = world_block_make(&world, &ledger, i % WORLD_AUTHORITIES, &tx, 1);
        assert_int_equal(world_block_push(&ledger, &blocks[i], &fault), TERN_OK);
    }
    tern_ledger_fini(&ledger);
}

static int setup(void **unused)
{
    (void)unused;
    world_init(&world);
    make_line(line, LINE, 0);
    make_line(fork_line, TERN_COUNT_OF(fork_line), 1);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < LINE; i++)
        world_block_free(&line[i]);
    for (size_t i = 0; i < TERN_COUNT_OF(fork_line); i++)
        world_block_free(&fork_line[i]);
    return 0;
}

/* What a peer does. */
struct peer {
    size_t length;      /* of line: what it has */
    uint64_t claim;     /* 0: the truth */
    tern_time delay_ns; /* of each answer */
    bool silent_status;
    bool silent_headers;
    bool silent_blocks;
    bool empty_headers;
    bool empty_blocks;
    bool fail_blocks;
    bool wrong_genesis;
    void (*twist_headers)(struct tern_view items, struct tern_writer *w);
    void (*twist_blocks)(struct tern_view items, struct tern_writer *w);
    size_t asked_blocks;
    unsigned blamed[TERN_FAULT_COUNT];
};

struct flight {
    tern_time at;
    struct tern_sync_in in;
    uint8_t *bytes;
};

struct pump {
    struct node node;
    struct tern_mem sync_mem;
    struct tern_sync *sync;
    struct peer peers[PEERS_MAX]; /* peer i is number i + 1 */
    size_t peers_count;
    struct flight flights[FLIGHTS_MAX];
    size_t flights_count;
    size_t delivered;
    unsigned job_runs;
};

static void pump_start(struct pump *p, size_t peers_count)
{
    node_init(&p->node, &world, SIZE_MAX, 1);
    p->node.persistent = false;
    p->node.clock.wall = (line[LINE - 1].header.time_ms + 10) * TERN_MILLISECOND;
    assert_int_equal(node_start(&p->node), TERN_OK);
    tern_mem_init(&p->sync_mem, 0);
    struct tern_sync_config config = {.mem = &p->sync_mem,
                                      .ledger = tern_chain_ledger(p->node.chain)};
    assert_int_equal(tern_sync_new(&config, &p->sync), TERN_OK);
    p->peers_count = peers_count;
    for (size_t i = 0; i < peers_count; i++) {
        p->peers[i].length = LINE;
        p->peers[i].delay_ns = 20 * TERN_MILLISECOND;
    }
}

static struct pump *pump_new(size_t peers_count)
{
    struct pump *p = calloc(1, sizeof *p);
    TERN_CHECK(p != NULL);
    pump_start(p, peers_count);
    return p;
}

static void pump_free(struct pump *p)
{
    for (size_t i = 0; i < p->flights_count; i++)
        free(p->flights[i].bytes);
    tern_sync_free(p->sync);
    assert_int_equal(p->sync_mem.used, 0);
    node_fini(&p->node);
    free(p);
}

static void pump_send(struct pump *p, const struct tern_sync_in *in, struct tern_view bytes,
                      tern_time delay)
{
    TERN_CHECK(p->flights_count < FLIGHTS_MAX);
    struct flight *f = &p->flights[p->flights_count++];
    f->at = p->node.clock.now + delay;
    f->in = *in;
    f->bytes = malloc(bytes.size + 1);
    TERN_CHECK(f->bytes != NULL);
    if (bytes.size > 0)
        memcpy(f->bytes, bytes.data, bytes.size);
    f->in.bytes = tern_view_of(f->bytes, bytes.size);
}

static size_t line_index(const struct tern_hash *hash, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (tern_hash_equal(&line[i].hash, hash))
            return i;
    return SIZE_MAX;
}

static void serve_headers(const struct peer *peer, struct tern_view asked, struct tern_writer *w)
{
    struct tern_sync_get_headers get;
    assert_int_equal(tern_sync_get_headers_decode(asked, &get), TERN_OK);
    assert_true(get.locator_count <= TERN_SYNC_LOCATOR_MAX);
    size_t next = 0;
    for (size_t i = 0; i < get.locator_count; i++) {
        size_t at = line_index(&get.locator[i].hash, peer->length);
        if (at == SIZE_MAX)
            continue;
        assert_int_equal(line[at].header.height, get.locator[i].height);
        next = at + 1;
        break;
    }
    for (size_t i = next; i < peer->length && i < next + get.max; i++) {
        uint8_t bytes[TERN_HEADER_SIZE_MAX];
        struct tern_writer h = tern_writer_of(bytes, sizeof bytes);
        tern_header_encode(&line[i].header, &h);
        tern_sync_item_encode(tern_writer_view(&h), w);
    }
}

static void serve_blocks(const struct peer *peer, struct tern_view asked, struct tern_writer *w)
{
    struct tern_sync_get_blocks get;
    assert_int_equal(tern_sync_get_blocks_decode(asked, &get), TERN_OK);
    for (size_t i = 0; i < get.count; i++) {
        size_t at = line_index(&get.hashes[i], peer->length);
        if (at == SIZE_MAX)
            return;
        tern_sync_item_encode(tern_view_of(line[at].bytes, line[at].size), w);
    }
}

static void pump_serve(struct pump *p, const struct tern_sync_out *out)
{
    struct peer *peer = &p->peers[out->peer - 1];
    struct tern_sync_in in = {.peer = out->peer, .token = out->token};
    static uint8_t answer[TERN_SYNC_BLOCKS_SIZE_MAX];
    static uint8_t twisted[TERN_SYNC_BLOCKS_SIZE_MAX];
    struct tern_writer w = tern_writer_of(answer, sizeof answer);
    struct tern_writer t = tern_writer_of(twisted, sizeof twisted);
    void (*twist)(struct tern_view, struct tern_writer *) = NULL;
    if (out->kind == TERN_SYNC_ASK_STATUS) {
        struct tern_sync_status status = {.genesis = world.genesis_hash};
        status.height = peer->claim != 0 ? peer->claim : peer->length;
        status.genesis.bytes[0] ^= peer->wrong_genesis;
        in.kind = TERN_SYNC_STATUS;
        tern_sync_status_encode(&status, &w);
        if (peer->silent_status)
            return;
    } else if (out->kind == TERN_SYNC_ASK_HEADERS) {
        in.kind = TERN_SYNC_HEADERS;
        if (!peer->empty_headers)
            serve_headers(peer, out->bytes, &w);
        twist = peer->twist_headers;
        if (peer->silent_headers)
            return;
    } else {
        in.kind = peer->fail_blocks ? TERN_SYNC_FAILED : TERN_SYNC_BLOCKS;
        peer->asked_blocks++;
        if (!peer->empty_blocks)
            serve_blocks(peer, out->bytes, &w);
        twist = peer->twist_blocks;
        if (peer->silent_blocks)
            return;
    }
    assert_true(tern_writer_ok(&w));
    if (twist != NULL)
        twist(tern_writer_view(&w), &t);
    pump_send(p, &in, twist != NULL ? tern_writer_view(&t) : tern_writer_view(&w), peer->delay_ns);
}

static void pump_results(struct pump *p)
{
    for (size_t i = 0; i < p->node.record_count; i++) {
        const struct tern_chain_out *out = &p->node.record[i];
        if (out->kind == TERN_CHAIN_OUT_BLOCK)
            pump_send(p,
                      &(struct tern_sync_in){
                          .kind = TERN_SYNC_RESULT,
                          .hash = out->hash,
                          .err = out->err,
                          .fault = out->fault,
                      },
                      tern_view_of(NULL, 0), 0);
    }
    node_forget(&p->node);
}

static void pump_drain(struct pump *p)
{
    struct tern_sync_out out;
    while (tern_sync_next(p->sync, &out)) {
        switch (out.kind) {
        case TERN_SYNC_ASK_STATUS:
        case TERN_SYNC_ASK_HEADERS:
        case TERN_SYNC_ASK_BLOCKS:
            pump_serve(p, &out);
            break;
        case TERN_SYNC_DELIVER:
            p->delivered++;
            node_block(&p->node, out.bytes.data, out.bytes.size, 1);
            pump_results(p);
            break;
        case TERN_SYNC_OUT_JOB:
            out.job->run(out.job);
            p->job_runs++;
            pump_send(p, &(struct tern_sync_in){.kind = TERN_SYNC_JOB_DONE, .job = out.job},
                      tern_view_of(NULL, 0), TERN_MILLISECOND);
            break;
        case TERN_SYNC_BLAME:
            p->peers[out.peer - 1].blamed[out.fault]++;
            break;
        }
    }
}

static void pump_in(struct pump *p, const struct tern_sync_in *in)
{
    tern_sync_step(p->sync, &p->node.clock, in);
    pump_drain(p);
}

static void pump_up(struct pump *p)
{
    for (size_t i = 0; i < p->peers_count; i++)
        pump_in(p, &(struct tern_sync_in){.kind = TERN_SYNC_PEER_UP, .peer = i + 1});
}

static uint64_t pump_height(const struct pump *p)
{
    return tern_ledger_head(tern_chain_ledger(p->node.chain))->header.height;
}

/* Runs until a height is reached or a time has passed; tells how long it took. */
static tern_time pump_run(struct pump *p, uint64_t height, tern_time most)
{
    tern_time start = p->node.clock.now;
    unsigned steps = 0;
    while (pump_height(p) < height && p->node.clock.now - start < most) {
        assert_true(steps++ < 100000); /* no busy loop */
        size_t next = SIZE_MAX;
        for (size_t i = 0; i < p->flights_count; i++)
            if (next == SIZE_MAX || p->flights[i].at < p->flights[next].at)
                next = i;
        tern_time deadline = tern_sync_deadline(p->sync);
        if (next == SIZE_MAX || deadline < p->flights[next].at) {
            if (deadline == TERN_TIME_NEVER)
                return TERN_TIME_NEVER;
            p->node.clock.now = deadline > p->node.clock.now ? deadline : p->node.clock.now;
            pump_in(p, &(struct tern_sync_in){.kind = TERN_SYNC_TICK});
            assert_true(tern_sync_deadline(p->sync) > p->node.clock.now);
            continue;
        }
        struct flight f = p->flights[next];
        p->flights_count--;
        memmove(&p->flights[next], &p->flights[next + 1], (p->flights_count - next) * sizeof f);
        p->node.clock.now = f.at > p->node.clock.now ? f.at : p->node.clock.now;
        pump_in(p, &f.in);
        free(f.bytes);
    }
    return p->node.clock.now - start;
}

static void a_node_that_is_behind_catches_up_from_several_peers(void **unused)
{
    (void)unused;
    struct pump *p = pump_new(4);
    pump_up(p);
    tern_time took = pump_run(p, LINE, TERN_MINUTE);
    assert_int_equal(pump_height(p), LINE);
    assert_true(took < 3 * TERN_SECOND);
    assert_int_equal(p->delivered, LINE); /* each once */
    for (size_t i = 0; i < 4; i++)
        assert_true(p->peers[i].asked_blocks > 2);
    pump_run(p, LINE + 1, TERN_MINUTE);
    struct tern_sync_info info;
    tern_sync_info(p->sync, p->node.clock.now, &info);
    assert_false(info.behind);
    assert_int_equal(info.bytes_kept + info.items_count + info.requests_count, 0);
    assert_int_equal(info.excluded_count, 0);
    pump_free(p);
}

static void one_peer_is_enough(void **unused)
{
    (void)unused;
    struct pump *p = pump_new(1);
    p->peers[0].delay_ns = 3 * TERN_SECOND; /* slower than the stall time: there is nobody else */
    pump_up(p);
    pump_run(p, LINE, 10 * TERN_MINUTE);
    assert_int_equal(pump_height(p), LINE);
    for (size_t f = 0; f < TERN_FAULT_COUNT; f++)
        assert_int_equal(p->peers[0].blamed[f], 0);
    pump_free(p);
}

static void a_node_on_a_fork_finds_where_the_chains_part(void **unused)
{
    (void)unused;
    struct pump *p = pump_new(2);
    for (size_t i = 0; i < TERN_COUNT_OF(fork_line); i++)
        node_block(&p->node, fork_line[i].bytes, fork_line[i].size, 1);
    node_forget(&p->node);
    assert_int_equal(pump_height(p), TERN_COUNT_OF(fork_line));
    pump_up(p);
    pump_run(p, LINE, TERN_MINUTE);
    assert_memory_equal(tern_ledger_head(tern_chain_ledger(p->node.chain))->hash.bytes,
                        line[LINE - 1].hash.bytes, 32);
    assert_int_equal(p->node.undone_count, TERN_COUNT_OF(fork_line));
    pump_free(p);
}

static void a_fork_below_what_can_change_is_named(void **unused)
{
    (void)unused;
    struct pump *p = pump_new(1);
    /* The node has followed a chain of its own for longer than the tree is deep (16 here). */
    for (size_t i = 0; i < 40; i++)
        node_block(&p->node, line[i].bytes, line[i].size, 1);
    node_forget(&p->node);
    assert_int_equal(pump_height(p), 40);
    struct tern_header header = fork_line[0].header;
    struct tern_sync_in in = {.kind = TERN_SYNC_STATUS, .peer = 1};
    uint8_t bytes[1024];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    p->peers[0].silent_status = true;
    p->peers[0].silent_headers = true;
    pump_up(p);
    tern_sync_status_encode(&(struct tern_sync_status){.genesis = world.genesis_hash, .height = 99},
                            &w);
    in.bytes = tern_writer_view(&w);
    tern_sync_step(p->sync, &p->node.clock, &in);
    struct tern_sync_out out;
    tern_token token = 0;
    while (tern_sync_next(p->sync, &out))
        token = out.kind == TERN_SYNC_ASK_HEADERS ? out.token : token;
    assert_int_not_equal(token, 0);
    uint8_t encoded[TERN_HEADER_SIZE_MAX];
    struct tern_writer h = tern_writer_of(encoded, sizeof encoded);
    tern_header_encode(&header, &h);
    w = tern_writer_of(bytes, sizeof bytes);
    tern_sync_item_encode(tern_writer_view(&h), &w);
    in = (struct tern_sync_in){
        .kind = TERN_SYNC_HEADERS, .peer = 1, .token = token, .bytes = tern_writer_view(&w)};
    pump_in(p, &in);
    assert_int_equal(p->peers[0].blamed[TERN_FAULT_CHAIN_SYNC_FORK_DEEP], 1);
    pump_free(p);
}

/* --- liars: each is one of two peers; the other is honest. The liar is blamed by name, and all
 * comes here. */

static void twist_cut(struct tern_view items, struct tern_writer *w)
{
    tern_writer_bytes(w, tern_view_of(items.data, items.size - (items.size > 0)));
}

static void twist_unknown_field(struct tern_view items, struct tern_writer *w)
{
    tern_writer_bytes(w, items);
    tern_writer_u8(w, 0x10);
    tern_writer_u8(w, 0x01);
}

static void twist_gap(struct tern_view items, struct tern_writer *w)
{
    struct tern_view item;
    for (size_t i = 0; tern_sync_items_next(&items, &item); i++)
        if (i != 3)
            tern_sync_item_encode(item, w);
}

static void twist_start(struct tern_view items, struct tern_writer *w)
{
    struct tern_view item;
    for (size_t i = 0; tern_sync_items_next(&items, &item); i++)
        if (i > 0)
            tern_sync_item_encode(item, w);
}

static void twist_byte(struct tern_view items, struct tern_writer *w, size_t which, size_t at)
{
    struct tern_view item;
    for (size_t i = 0; tern_sync_items_next(&items, &item); i++) {
        uint8_t copy[TERN_HEADER_SIZE_MAX + 4096];
        TERN_CHECK(item.size <= sizeof copy);
        memcpy(copy, item.data, item.size);
        copy[at] ^= i == which;
        tern_sync_item_encode(tern_view_of(copy, item.size), w);
    }
}

static void twist_seal(struct tern_view items, struct tern_writer *w)
{
    twist_byte(items, w, 5, TERN_HEADER_CORE_SIZE + 9);
}

static void twist_proposer(struct tern_view items, struct tern_writer *w)
{
    /* The last one, so that none is left that must link to it. */
    twist_byte(items, w, LINE - TERN_SYNC_HEADERS_MAX - 1, 1 + 32 + 8 + 4 * 32 + 8 + 4);
}

static void twist_version(struct tern_view items, struct tern_writer *w)
{
    twist_byte(items, w, 0, 0);
}

static void twist_body(struct tern_view items, struct tern_writer *w)
{
    twist_byte(items, w, 0, TERN_HEADER_CORE_SIZE + 1 + 64 + 60);
}

static void twist_swap(struct tern_view items, struct tern_writer *w)
{
    struct tern_view first;
    struct tern_view item;
    if (!tern_sync_items_next(&items, &first))
        return;
    while (tern_sync_items_next(&items, &item))
        tern_sync_item_encode(item, w);
    tern_sync_item_encode(first, w);
}

static void twist_double(struct tern_view items, struct tern_writer *w)
{
    struct tern_view rest = items;
    struct tern_view first;
    if (!tern_sync_items_next(&rest, &first))
        return;
    tern_sync_item_encode(first, w);
    tern_writer_bytes(w, items);
}

struct liar {
    const char *name;
    struct peer peer;
    tern_fault fault;
};

static void check_liar(const struct liar *liar)
{
    struct pump *p = pump_new(2);
    p->peers[0] = liar->peer;
    p->peers[0].delay_ns = 10 * TERN_MILLISECOND;
    pump_up(p);
    tern_time took = pump_run(p, LINE, 5 * TERN_MINUTE);
    if (pump_height(p) != LINE)
        fail_msg("%s: stopped at %u", liar->name, (unsigned)pump_height(p));
    if (p->peers[0].blamed[liar->fault] == 0)
        fail_msg("%s: not blamed for %s", liar->name, tern_fault_name(liar->fault));
    if (took > 40 * TERN_SECOND)
        fail_msg("%s: took %u s", liar->name, (unsigned)(took / TERN_SECOND));
    for (size_t f = 0; f < TERN_FAULT_COUNT; f++)
        if (p->peers[1].blamed[f] != 0)
            fail_msg("%s: the honest peer was blamed for %s", liar->name,
                     tern_fault_name((tern_fault)f));
    pump_free(p);
}

static void liars_are_blamed_by_name_and_cost_little(void **unused)
{
    (void)unused;
    static const struct liar table[] = {
        {"claims what it has not",
         {.length = 10, .claim = UINT64_MAX, .empty_headers = true},
         TERN_FAULT_CHAIN_SYNC_CLAIM},
        {"is on another chain",
         {.length = LINE, .wrong_genesis = true},
         TERN_FAULT_CHAIN_SYNC_GENESIS},
        {"never answers for headers",
         {.length = LINE, .claim = 9999, .silent_headers = true},
         TERN_FAULT_CHAIN_SYNC_TIMEOUT},
        {"holds back bodies",
         {.length = LINE, .claim = 9999, .silent_blocks = true},
         TERN_FAULT_CHAIN_SYNC_STALL},
        {"has headers and no bodies",
         {.length = LINE, .claim = 9999, .empty_blocks = true},
         TERN_FAULT_CHAIN_SYNC_CLAIM},
        {"cuts messages",
         {.length = LINE, .claim = 9999, .twist_headers = twist_cut},
         TERN_FAULT_CHAIN_SYNC_MALFORMED},
        {"adds fields",
         {.length = LINE, .claim = 9999, .twist_headers = twist_unknown_field},
         TERN_FAULT_CHAIN_SYNC_MALFORMED},
        {"sends headers of no form",
         {.length = LINE, .claim = 9999, .twist_headers = twist_version},
         TERN_FAULT_CHAIN_SYNC_MALFORMED},
        {"leaves a header out",
         {.length = LINE, .claim = 9999, .twist_headers = twist_gap},
         TERN_FAULT_CHAIN_SYNC_HEADERS_LINK},
        {"starts in the air",
         {.length = LINE, .claim = 9999, .twist_headers = twist_start},
         TERN_FAULT_CHAIN_SYNC_HEADERS_LINK},
        {"forges a seal",
         {.length = LINE, .claim = 9999, .twist_headers = twist_seal},
         TERN_FAULT_CHAIN_SYNC_HEADERS_INVALID},
        {"names a wrong proposer",
         {.length = LINE, .claim = 9999, .twist_headers = twist_proposer},
         TERN_FAULT_CHAIN_SYNC_HEADERS_INVALID},
        {"sends other transactions",
         {.length = LINE, .claim = 9999, .twist_blocks = twist_body},
         TERN_FAULT_CHAIN_SYNC_BODY},
        {"sends bodies in another order",
         {.length = LINE, .claim = 9999, .twist_blocks = twist_swap},
         TERN_FAULT_CHAIN_SYNC_BODY},
        {"sends more than was asked",
         {.length = LINE, .claim = 9999, .twist_blocks = twist_double},
         TERN_FAULT_CHAIN_SYNC_MALFORMED},
        {"cuts bodies",
         {.length = LINE, .claim = 9999, .twist_blocks = twist_cut},
         TERN_FAULT_CHAIN_SYNC_MALFORMED},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(table); i++)
        check_liar(&table[i]);
}

static void a_claim_that_is_not_true_blocks_nobody(void **unused)
{
    (void)unused;
    /* Three liars, claiming ever more, never ending; one honest peer. */
    struct pump *p = pump_new(4);
    for (size_t i = 0; i < 3; i++) {
        p->peers[i].claim = UINT64_MAX - i;
        p->peers[i].empty_headers = true;
    }
    pump_up(p);
    tern_time took = pump_run(p, LINE, TERN_MINUTE);
    assert_int_equal(pump_height(p), LINE);
    assert_true(took < 5 * TERN_SECOND);
    /* And once it is there, it knows that it is. */
    pump_run(p, LINE + 1, TERN_SECOND);
    struct tern_sync_info info;
    tern_sync_info(p->sync, p->node.clock.now, &info);
    assert_false(info.behind);
    /* The liars come back after their time and are out again, longer each time. */
    unsigned before = p->peers[0].blamed[TERN_FAULT_CHAIN_SYNC_CLAIM];
    pump_run(p, LINE + 1, 10 * TERN_MINUTE);
    unsigned again = p->peers[0].blamed[TERN_FAULT_CHAIN_SYNC_CLAIM] - before;
    assert_in_range(again, 1, 5);
    pump_free(p);
}

static void a_valid_chain_of_headers_to_an_invalid_block_is_given_up(void **unused)
{
    (void)unused;
    struct pump *p = pump_new(2);
    struct world_block good = line[300];
    /* An authority that lies: its block's header and seal are right, its state is not. */
    struct world_block bad = {.size = good.size, .bytes = malloc(good.size)};
    TERN_CHECK(bad.bytes != NULL);
    memcpy(bad.bytes, good.bytes, good.size);
    struct tern_header header = good.header;
    header.state_root.bytes[0] ^= 1;
    world_block_reseal(&world, &header, 300 % WORLD_AUTHORITIES, &bad);
    p->peers[1].silent_status = true;
    p->peers[0].length = 301;
    line[300] = bad;
    pump_up(p);
    pump_run(p, 301, TERN_MINUTE);
    assert_int_equal(pump_height(p), 300);
    assert_true(p->peers[0].blamed[TERN_FAULT_CHAIN_SYNC_CHAIN_INVALID] > 0);
    line[300] = good;
    p->peers[1].silent_status = false;
    pump_run(p, LINE, 10 * TERN_MINUTE);
    assert_int_equal(pump_height(p), LINE);
    world_block_free(&bad);
    pump_free(p);
}

static void peers_that_come_and_go_do_not_stop_it(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct pump *p = pump_new(4);
        struct tern_random random;
        tern_random_init_u64(&random, seed);
        pump_up(p);
        for (unsigned i = 0; i < 40 && pump_height(p) < LINE; i++) {
            pump_run(p, LINE, tern_random_below(&random, 200) * TERN_MILLISECOND + 1);
            size_t who = tern_random_below(&random, 4);
            pump_in(p, &(struct tern_sync_in){.kind = TERN_SYNC_PEER_DOWN, .peer = who + 1});
            p->peers[who].fail_blocks = tern_random_chance(&random, 1, 4);
            p->peers[who].delay_ns = tern_random_below(&random, 1000) * TERN_MILLISECOND;
            pump_in(p, &(struct tern_sync_in){.kind = TERN_SYNC_PEER_UP, .peer = who + 1});
        }
        for (size_t i = 0; i < 4; i++)
            p->peers[i].fail_blocks = false;
        pump_run(p, LINE, 10 * TERN_MINUTE);
        assert_int_equal(pump_height(p), LINE);
        pump_free(p);
    }
}

static void a_body_that_there_is_no_memory_for_is_asked_for_again(void **unused)
{
    (void)unused;
    struct pump *p = pump_new(2);
    pump_up(p);
    while (pump_height(p) < LINE) {
        tern_mem_fail_at(&p->sync_mem, 3, false);
        pump_run(p, pump_height(p) + 20 < LINE ? pump_height(p) + 20 : LINE, TERN_MINUTE);
    }
    for (size_t i = 0; i < 2; i++)
        for (size_t f = 0; f < TERN_FAULT_COUNT; f++)
            assert_int_equal(p->peers[i].blamed[f], 0);
    pump_free(p);
    /* And making it is all or nothing. */
    tern_err err = TERN_ERR_MEMORY;
    for (uint64_t n = 1; err != TERN_OK; n++) {
        struct tern_mem mem;
        struct tern_sync *sync;
        tern_mem_init(&mem, 0);
        tern_mem_fail_at(&mem, n, false);
        err = tern_sync_new(&(struct tern_sync_config){.mem = &mem}, &sync);
        tern_sync_free(sync);
        assert_int_equal(mem.used, 0);
    }
}

static void a_hint_makes_it_ask_at_once(void **unused)
{
    (void)unused;
    struct pump *p = pump_new(1);
    p->peers[0].length = 5;
    pump_up(p);
    pump_run(p, 5, TERN_MINUTE);
    assert_int_equal(pump_height(p), 5);
    p->peers[0].length = 12;
    pump_in(p, &(struct tern_sync_in){.kind = TERN_SYNC_HINT, .peer = 1, .height = 12});
    assert_true(pump_run(p, 12, TERN_MINUTE) < TERN_SECOND);
    assert_int_equal(pump_height(p), 12);
    pump_free(p);
}

static void messages_have_one_encoding(void **unused)
{
    (void)unused;
    uint8_t bytes[4096];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct tern_sync_status status = {.genesis = {{1}}, .height = 300, .head = {{2}}};
    struct tern_sync_status status_read;
    tern_sync_status_encode(&status, &w);
    assert_int_equal(tern_sync_status_decode(tern_writer_view(&w), &status_read), TERN_OK);
    assert_int_equal(status_read.height, 300);
    for (size_t cut = 0; cut < w.size; cut++)
        assert_int_equal(tern_sync_status_decode(tern_view_of(bytes, cut), &status_read),
                         TERN_ERR_MALFORMED);
    /* A number that is longer than it must be; a field that says its default; fields out of order.
     */
    static const uint8_t bad[][8] = {
        {0x10, 0x81, 0x00}, /* 2: 1 in two bytes */
        {0x10, 0x00},       /* 2: 0 */
        {0x10, 0x01, 0x10, 0x02},
        {0x0d, 1, 2, 3, 4}, /* 1 as fixed32 */
    };
    static const size_t bad_sizes[] = {3, 2, 4, 5};
    for (size_t i = 0; i < TERN_COUNT_OF(bad); i++) {
        struct tern_sync_validation validation;
        struct tern_view view = tern_view_of(bad[i], bad_sizes[i]);
        assert_int_equal(tern_sync_validation_decode(view, &validation), TERN_ERR_MALFORMED);
    }
    struct tern_sync_validation validation = {.state = TERN_VALIDATION_BAD,
                                              .checked_height = 5,
                                              .bad_height = 6,
                                              .fault = tern_view_str("CHAIN_BLOCK_SEAL"),
                                              .head_height = 9};
    struct tern_sync_validation validation_read;
    w = tern_writer_of(bytes, sizeof bytes);
    tern_sync_validation_encode(&validation, &w);
    assert_true(w.size <= TERN_SYNC_VALIDATION_SIZE_MAX);
    assert_int_equal(tern_sync_validation_decode(tern_writer_view(&w), &validation_read), TERN_OK);
    assert_int_equal(validation_read.bad_height, 6);
    assert_true(tern_view_equal(validation_read.fault, validation.fault));
    struct tern_sync_get_headers get = {.locator_count = TERN_SYNC_LOCATOR_MAX,
                                        .max = TERN_SYNC_HEADERS_MAX};
    struct tern_sync_get_headers get_read;
    w = tern_writer_of(bytes, sizeof bytes);
    tern_sync_get_headers_encode(&get, &w);
    assert_true(w.size <= TERN_SYNC_GET_HEADERS_SIZE_MAX);
    assert_int_equal(tern_sync_get_headers_decode(tern_writer_view(&w), &get_read), TERN_OK);
    assert_int_equal(get_read.locator_count, TERN_SYNC_LOCATOR_MAX);
    struct tern_hash digest = {{0}};
    struct tern_hash digest_read = {{1}};
    w = tern_writer_of(bytes, sizeof bytes);
    tern_sync_get_txs_encode(&digest, &w);
    assert_int_equal(w.size, 0);
    assert_int_equal(tern_sync_get_txs_decode(tern_writer_view(&w), &digest_read), TERN_OK);
    assert_true(tern_hash_equal(&digest, &digest_read));
    tern_pb_write_bytes(&w, 1, tern_hash_view(&digest)); /* the default, said all the same */
    assert_int_equal(tern_sync_get_txs_decode(tern_writer_view(&w), &digest_read),
                     TERN_ERR_MALFORMED);
    digest.bytes[7] = 1;
    w = tern_writer_of(bytes, sizeof bytes);
    tern_sync_get_txs_encode(&digest, &w);
    assert_int_equal(tern_sync_get_txs_decode(tern_writer_view(&w), &digest_read), TERN_OK);
    assert_true(tern_hash_equal(&digest, &digest_read));
    get.max = TERN_SYNC_HEADERS_MAX + 1;
    w = tern_writer_of(bytes, sizeof bytes);
    tern_sync_get_headers_encode(&get, &w);
    assert_int_equal(tern_sync_get_headers_decode(tern_writer_view(&w), &get_read),
                     TERN_ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_that_is_behind_catches_up_from_several_peers),
        cmocka_unit_test(one_peer_is_enough),
        cmocka_unit_test(a_node_on_a_fork_finds_where_the_chains_part),
        cmocka_unit_test(a_fork_below_what_can_change_is_named),
        cmocka_unit_test(liars_are_blamed_by_name_and_cost_little),
        cmocka_unit_test(a_claim_that_is_not_true_blocks_nobody),
        cmocka_unit_test(a_valid_chain_of_headers_to_an_invalid_block_is_given_up),
        cmocka_unit_test(peers_that_come_and_go_do_not_stop_it),
        cmocka_unit_test(a_body_that_there_is_no_memory_for_is_asked_for_again),
        cmocka_unit_test(a_hint_makes_it_ask_at_once),
        cmocka_unit_test(messages_have_one_encoding),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
