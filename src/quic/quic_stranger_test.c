/*
 * What strangers may send: first packets that are malformed, replayed, forged or without end, and
 * tokens that are not theirs. Whatever it is, answers stay below three times the question.
 */
#include <ngtcp2/ngtcp2_crypto.h>

#include "base/reader.h"
#include "quic/quic_internal.h"
#include "quic/quic_puppet.h"
#include "quic/quic_world.h"
#include "tern_test.h"

static const struct datagram_link ideal = {.latency_ns = TERN_MILLISECOND};

enum { RECORDED_MAX = 64, DATAGRAM_MAX = TERN_QUIC_DATAGRAM_DEFAULT };

struct recorded {
    size_t size;
    uint8_t bytes[DATAGRAM_MAX];
};

struct fixture {
    struct quic_world w;
    struct quic_host *a;
    struct quic_host *b;           /* is called by strangers */
    struct tern_endpoint stranger; /* at this address */
    uint64_t asked_bytes;          /* that were injected from there */
    uint64_t answers_count;        /* to there */
    uint64_t answers_bytes;
    struct recorded answer; /* the last */
    bool recording;         /* what goes between a and b */
    struct recorded of_a[RECORDED_MAX];
    size_t of_a_count;
    struct recorded of_b[RECORDED_MAX];
    size_t of_b_count;
    bool (*meddle)(struct fixture *f, const struct datagram_seen *seen);
};

static void record(struct recorded *to, size_t *count, struct tern_span bytes)
{
    if (*count >= RECORDED_MAX)
        return;
    to[*count].size = bytes.size;
    memcpy(to[*count].bytes, bytes.data, bytes.size);
    (*count)++;
}

static bool tap(void *context, const struct datagram_seen *seen)
{
    struct fixture *f = context;
    if (seen->to.ip[3] == f->stranger.ip[3]) {
        f->answers_count++;
        f->answers_bytes += seen->bytes.size;
        size_t none = 0;
        record(&f->answer, &none, seen->bytes);
        return true;
    }
    if (f->recording && seen->socket == f->a->socket)
        record(f->of_a, &f->of_a_count, seen->bytes);
    if (f->recording && seen->socket == f->b->socket)
        record(f->of_b, &f->of_b_count, seen->bytes);
    return f->meddle == NULL || f->meddle(f, seen);
}

static struct fixture *start_with(struct tern_quic_options of_b)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    quic_world_init(&f.w, 1);
    f.a = quic_world_add(&f.w, (struct tern_quic_options){.keep_alive_ns = 0}, &ideal);
    f.b = quic_world_add(&f.w, of_b, &ideal);
    f.stranger = datagram_endpoint(66, 666);
    f.w.world.net.tap = tap;
    f.w.world.net.tap_context = &f;
    return &f;
}

static struct fixture *start(void)
{
    return start_with((struct tern_quic_options){.keep_alive_ns = 0});
}

static void end(struct fixture *f)
{
    quic_world_fini(&f->w);
}

static void ask_from(struct fixture *f, const struct tern_endpoint *from, struct tern_view bytes)
{
    const struct tern_path path = {.local = *from, .remote = f->b->at};
    datagram_net_inject(&f->w.world.net, f->w.world.now, &path, bytes);
    f->asked_bytes += bytes.size;
}

static void ask(struct fixture *f, struct tern_view bytes)
{
    ask_from(f, &f->stranger, bytes);
    quic_world_run(&f->w, 10 * TERN_MILLISECOND);
}

static struct tern_view answer(const struct fixture *f)
{
    return tern_view_of(f->answer.bytes, f->answer.size);
}

/* --- first packets --- */

static const uint8_t some_dcid[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
static const uint8_t some_scid[] = {0xa, 0xb, 0xc, 0xd, 0xe};

static struct puppet_initial initial_of(struct tern_view token)
{
    return (struct puppet_initial){.dcid = tern_view_of(some_dcid, sizeof some_dcid),
                                   .scid = tern_view_of(some_scid, sizeof some_scid),
                                   .token = token,
                                   .size = 1200};
}

/* ask_initial sends a first packet of these frames, protected as it should be. */
static void ask_initial(struct fixture *f, struct tern_view frames)
{
    uint8_t bytes[PUPPET_DATAGRAM_MAX];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    const struct puppet_initial initial = initial_of(tern_view_of(NULL, 0));
    quic_puppet_initial(&initial, frames, &out);
    assert_int_equal(out.size, 1200);
    ask(f, tern_writer_view(&out));
}

/* make_garbage has a first packet's header; behind it nothing that authenticates. */
static size_t make_garbage(uint8_t bytes[1200], uint32_t version)
{
    struct tern_writer w = tern_writer_of(bytes, 1200);
    tern_writer_u8(&w, 0xc3);
    tern_writer_u32be(&w, version);
    tern_writer_u8(&w, sizeof some_dcid);
    tern_writer_bytes(&w, tern_view_of(some_dcid, sizeof some_dcid));
    tern_writer_u8(&w, sizeof some_scid);
    tern_writer_bytes(&w, tern_view_of(some_scid, sizeof some_scid));
    tern_writer_u8(&w, 0);
    tern_writer_u16be(&w, (uint16_t)(0x4000 | (1200 - w.size - 2)));
    while (w.size < 1200)
        tern_writer_u8(&w, (uint8_t)w.size);
    return w.size;
}

/* --- versions --- */

static void other_versions_are_told_ours(void **state)
{
    (void)state;
    struct fixture *f = start();
    uint8_t bytes[1200];
    size_t size = make_garbage(bytes, 0x6b3343cf);
    ask(f, tern_view_of(bytes, size));
    assert_int_equal(f->answers_count, 1);
    struct tern_reader r = tern_reader_of(answer(f));
    uint8_t first = 0;
    uint8_t length = 0;
    uint32_t version = 1;
    struct tern_view id = {.size = 0};
    assert_true(tern_reader_u8(&r, &first) && tern_reader_u32be(&r, &version));
    assert_true(first & 0x80);
    assert_int_equal(version, 0);
    assert_true(tern_reader_u8(&r, &length) && tern_reader_bytes(&r, length, &id));
    assert_true(tern_view_equal(id, tern_view_of(some_scid, sizeof some_scid)));
    assert_true(tern_reader_u8(&r, &length) && tern_reader_bytes(&r, length, &id));
    assert_true(tern_view_equal(id, tern_view_of(some_dcid, sizeof some_dcid)));
    bool ours = false;
    while (tern_reader_left(&r) >= 4 && tern_reader_u32be(&r, &version))
        ours = ours || version == 1;
    assert_true(ours);
    assert_int_equal(f->b->offers_count, 0);
    /* Not to what is too small, nor to what is such an answer itself. */
    ask(f, tern_view_of(bytes, size - 1));
    (void)make_garbage(bytes, 0);
    ask(f, tern_view_of(bytes, size));
    assert_int_equal(f->answers_count, 1);
    end(f);
}

/* --- answers are few and small --- */

static void answers_are_bounded_in_rate(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        struct fixture *f = start();
        uint8_t bytes[1200];
        (void)make_garbage(bytes, 0x6b3343cf);
        if (kind == 1)
            bytes[0] = 0x41; /* of a session that is not */
        for (unsigned i = 0; i < 2000; i++)
            ask_from(f, &f->stranger, tern_view_of(bytes, sizeof bytes));
        quic_world_run(&f->w, 10 * TERN_MILLISECOND);
        assert_in_range(f->answers_count, 200, 300);
        end(f);
    }
}

static void resets_are_smaller_than_what_they_answer(void **state)
{
    (void)state;
    struct fixture *f = start();
    uint8_t bytes[1200];
    (void)make_garbage(bytes, 1);
    bytes[0] = 0x41;
    for (size_t size = 1; size < 100; size++) {
        uint64_t before = f->answers_count;
        ask(f, tern_view_of(bytes, size));
        assert_int_equal(f->answers_count - before, size >= 22);
        if (size >= 22) {
            assert_true(answer(f).size < size);
            assert_int_equal(answer(f).data[0] & 0xc0, 0x40);
        }
    }
    /* Two who know nothing of each other do not go on for ever. */
    uint64_t sent = datagram_net_socket(&f->w.world.net, f->b->socket)->sent_count;
    ask_from(f, &f->a->at, tern_view_of(bytes, sizeof bytes));
    quic_world_run(&f->w, TERN_SECOND);
    assert_in_range(datagram_net_socket(&f->w.world.net, f->b->socket)->sent_count - sent, 1, 15);
    end(f);
}

/* --- malformed --- */

static void headers_that_are_malformed_are_passed_over(void **state)
{
    (void)state;
    struct fixture *f = start();
    uint8_t bytes[1200];
    size_t size = make_garbage(bytes, 1);
    /* Every beginning of it: what is whole but too small is nobody's. */
    for (size_t part = 1; part < size; part += part < 60 ? 1 : 100)
        ask(f, tern_view_of(bytes, part));
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {
        {0, 0xe3},  /* a Handshake packet */
        {0, 0xd3},  /* early data */
        {0, 0xf3},  /* a Retry */
        {0, 0x83},  /* without the fixed bit */
        {5, 21},    /* an id that is too long */
        {5, 255},   /* one longer than the packet */
        {5, 7},     /* one too short for a first packet */
        {5, 0},     /* none */
        {16, 21},   /* their own is too long */
        {22, 0x7f}, /* a token longer than the packet */
        {23, 0x7f}, /* a length longer than the packet */
    };
    for (size_t i = 0; i < TERN_COUNT_OF(changes); i++) {
        (void)make_garbage(bytes, 1);
        bytes[changes[i].at] = changes[i].value;
        ask(f, tern_view_of(bytes, size));
    }
    assert_int_equal(f->answers_count, 0);
    assert_in_range(f->b->offers_count, 0, 2); /* a length is not looked at before it is opened */
    end(f);
}

static void what_does_not_authenticate_gets_no_answer(void **state)
{
    (void)state;
    struct fixture *f = start();
    uint8_t bytes[1200];
    ask(f, tern_view_of(bytes, make_garbage(bytes, 1)));
    assert_int_equal(f->b->offers_count, 1);
    assert_int_equal(f->answers_count, 0);
    assert_int_equal(quic_seen_error(quic_host_last(f->b)), TERN_ERR_DISCONNECTED);
    end(f);
}

static void first_packets_of_wrong_frames(void **state)
{
    (void)state;
    /* Before there is a session, what breaks the rules is dropped without a word. */
    /* CRYPTO: offset 0, 4 bytes of a message that TLS does not begin with. */
    static const uint8_t no_hello[] = {0x06, 0, 4, 20, 0, 0, 0};
    static const uint8_t huge_hello[] = {0x06, 0, 4, 1, 0xff, 0xff, 0xff};
    static const uint8_t stream[] = {0x0e, 0, 0, 1, 'x'};
    static const uint8_t unknown[] = {0x3f};
    static const uint8_t ack[] = {0x02, 5, 0, 0, 0};
    static const uint8_t far[] = {0x06, 0x80, 0x10, 0, 0, 1, 0};
    static const uint8_t cut[] = {0x06, 0, 0x80, 0, 0x40, 0};
    static const struct {
        struct tern_view frames;
        tern_fault fault;
    } cases[] = {
        {{no_hello, sizeof no_hello}, TERN_FAULT_QUIC_TLS},
        {{stream, sizeof stream}, TERN_FAULT_NONE},
        {{unknown, sizeof unknown}, TERN_FAULT_NONE},
        {{ack, sizeof ack}, TERN_FAULT_NONE},
        {{far, sizeof far}, TERN_FAULT_NONE},
        {{cut, sizeof cut}, TERN_FAULT_NONE},
        {{NULL, 0}, TERN_FAULT_NONE},
        {{huge_hello, sizeof huge_hello}, TERN_FAULT_NONE}, /* it waits for the rest */
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct fixture *f = start();
        ask_initial(f, cases[i].frames);
        const struct quic_seen *seen = quic_host_last(f->b);
        assert_int_equal(seen->session.mux.ops->fault(seen->session.mux.self), cases[i].fault);
        quic_world_run(&f->w, TERN_MINUTE);
        assert_true(quic_seen_error(seen) != TERN_OK);
        assert_true(f->answers_bytes <= 3 * f->asked_bytes);
        assert_int_equal(seen->log_count, 0);
        end(f);
    }
}

/* A ClientHello that begins in a packet that has not come: it is kept for nobody who has not shown
 * where they are. */
static void a_hello_without_its_beginning_is_retried(void **state)
{
    (void)state;
    static const uint8_t middle[] = {0x06, 0x40, 0x64, 4, 1, 2, 3, 4};
    struct fixture *f = start();
    ask_initial(f, tern_view_of(middle, sizeof middle));
    assert_int_equal(f->answers_count, 1);
    assert_int_equal(answer(f).data[0] & 0xf0, 0xf0);
    assert_int_equal(quic_seen_error(quic_host_last(f->b)), TERN_ERR_DISCONNECTED);
    end(f);
}

/* --- floods --- */

static void offers_are_bounded(void **state)
{
    (void)state;
    struct fixture *f = start();
    static uint8_t bytes[64 * 1200];
    const struct tern_session_transport *t = &f->b->transport;
    struct tern_datagrams in = {.path = {.local = f->b->at, .remote = f->stranger},
                                .segment_size = 1200,
                                .data = tern_view_of(bytes, sizeof bytes)};
    size_t used = f->b->mem.used;
    for (unsigned batch = 0; batch < 4; batch++) {
        for (unsigned i = 0; i < 64; i++) {
            (void)make_garbage(bytes + i * (size_t)1200, 1);
            bytes[i * 1200 + 6] = (uint8_t)i;
            bytes[i * 1200 + 7] = (uint8_t)batch;
        }
        t->ops->recv(t->self, f->w.world.now, f->b->socket, &in);
    }
    assert_in_range(f->b->mem.used - used, 1, 300000);
    struct tern_session_event event;
    unsigned offers = 0;
    while (t->ops->next(t->self, &event)) {
        assert_int_equal(event.kind, TERN_SESSION_OFFER);
        assert_false(event.offer.validated);
        offers++; /* and is not answered: then it is ignored */
    }
    assert_int_equal(offers, TERN_QUIC_OFFERS_MAX);
    end(f);
}

static void a_first_flight_again_and_again(void **state)
{
    (void)state;
    struct fixture *f = start_with((struct tern_quic_options){.half_open_max = 4});
    f->recording = true;
    (void)quic_world_connect(&f->w, f->a, f->b);
    f->recording = false;
    size_t offers = f->b->offers_count;
    uint64_t asked = 0;
    size_t most = 0;
    for (unsigned i = 0; i < 1000; i++) {
        /* From where it came, and from elsewhere. */
        const struct tern_endpoint *from = i % 2 ? &f->a->at : &f->stranger;
        ask_from(f, from, tern_view_of(f->of_a[0].bytes, f->of_a[0].size));
        asked += from == &f->stranger ? f->of_a[0].size : 0;
        if (i % 10 == 0)
            quic_world_run(&f->w, TERN_MILLISECOND);
        most = tern_max_size(most, f->b->mem.used);
    }
    quic_world_run(&f->w, TERN_SECOND);
    /* It is known whose it is, and of no use any more. */
    assert_int_equal(f->b->offers_count, offers);
    assert_in_range(most, 0, 512 * 1024);
    assert_true(f->answers_bytes <= 3 * asked);
    /* Who was there is there still. */
    assert_int_equal(quic_seen_error(&f->b->seen[0]), TERN_OK);
    assert_int_equal(quic_seen_error(&f->a->seen[0]), TERN_OK);
    end(f);
}

static void who_does_not_answer_is_sent_three_times_as_much(void **state)
{
    (void)state;
    struct fixture *f = start();
    f->recording = true;
    quic_seen_end(quic_world_connect(&f->w, f->a, f->b));
    f->recording = false;
    quic_world_run(&f->w, 5 * TERN_SECOND);
    /* The same hello from an address that never says more. */
    ask(f, tern_view_of(f->of_a[0].bytes, f->of_a[0].size));
    quic_world_run(&f->w, TERN_MINUTE);
    assert_in_range(f->answers_bytes, 1, 3 * f->asked_bytes);
    assert_int_equal(quic_seen_error(quic_host_last(f->b)), TERN_ERR_TIMEOUT);
    end(f);
}

static void first_flights_of_many_addresses(void **state)
{
    (void)state;
    struct fixture *f = start_with((struct tern_quic_options){.half_open_max = 4});
    f->recording = true;
    quic_seen_end(quic_world_connect(&f->w, f->a, f->b));
    f->recording = false;
    quic_world_run(&f->w, 5 * TERN_SECOND);
    quic_seen_end(quic_host_last(f->b));
    size_t offers = f->b->offers_count;
    size_t most = 0;
    for (unsigned i = 0; i < 1000; i++) {
        struct tern_endpoint from = f->stranger;
        from.port = (uint16_t)(1000 + i);
        f->of_a[0].bytes[6 + i % 8]++; /* another id; the keys follow from it, so it is garbage */
        if (i % 3 == 0)
            f->of_a[0].bytes[6 + i % 8]--;
        ask_from(f, &from, tern_view_of(f->of_a[0].bytes, f->of_a[0].size));
        most = tern_max_size(most, f->b->mem.used);
        quic_world_run(&f->w, TERN_MILLISECOND);
        for (size_t j = 0; j < f->b->seen_count; j++)
            if (f->b->seen[j].live && quic_seen_error(&f->b->seen[j]) != TERN_OK)
                quic_seen_end(&f->b->seen[j]);
    }
    quic_world_run(&f->w, TERN_SECOND);
    assert_true(f->b->offers_count > offers);
    assert_in_range(most, 0, 1024 * 1024);
    assert_true(f->answers_bytes <= 3 * f->asked_bytes);
    end(f);
}

/* --- tokens --- */

/* token_of is the token in a Retry packet. */
static struct tern_view token_of(struct tern_view retry)
{
    struct tern_reader r = tern_reader_of(retry);
    struct tern_view token;
    uint8_t size = 0;
    assert_int_equal(retry.data[0] & 0xf0, 0xf0);
    (void)tern_reader_skip(&r, 5);
    (void)tern_reader_u8(&r, &size);
    (void)tern_reader_skip(&r, size);
    (void)tern_reader_u8(&r, &size);
    (void)tern_reader_skip(&r, size);
    assert_true(tern_reader_bytes(&r, tern_reader_left(&r) - 16, &token));
    return token;
}

/* their_id is the id that a Retry asks to be called by. */
static struct tern_view their_id(struct tern_view retry)
{
    struct tern_reader r = tern_reader_of(retry);
    struct tern_view id;
    uint8_t size = 0;
    (void)tern_reader_skip(&r, 5);
    (void)tern_reader_u8(&r, &size);
    (void)tern_reader_skip(&r, size);
    (void)tern_reader_u8(&r, &size);
    assert_true(tern_reader_bytes(&r, size, &id));
    return id;
}

enum token_case {
    TOKEN_GOOD,
    TOKEN_CHANGED,
    TOKEN_LATE,
    TOKEN_OF_ANOTHER,
    TOKEN_OF_ANOTHER_PORT,
    TOKEN_TO_ANOTHER_ID,
    TOKEN_CASES
};

static void tokens_of_a_retry_are_held_to_what_they_are_for(void **state)
{
    (void)state;
    static const uint8_t hello[] = {0x06, 0, 4, 1, 0, 1, 0};
    for (unsigned which = TOKEN_GOOD; which < TOKEN_CASES; which++) {
        struct fixture *f = start();
        f->b->retry_first = true;
        ask_initial(f, tern_view_of(hello, sizeof hello));
        assert_int_equal(f->answers_count, 1);
        const struct recorded retry = f->answer;
        struct tern_view packet = tern_view_of(retry.bytes, retry.size);
        uint8_t token[512];
        size_t token_size = token_of(packet).size;
        memcpy(token, token_of(packet).data, token_size);
        uint8_t bytes[PUPPET_DATAGRAM_MAX];
        struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
        struct puppet_initial initial = initial_of(tern_view_of(token, token_size));
        struct tern_endpoint from = f->stranger;
        initial.dcid = their_id(packet);
        if (which == TOKEN_CHANGED)
            token[token_size / 2] ^= 1;
        if (which == TOKEN_LATE)
            quic_world_run(&f->w, 11 * TERN_SECOND);
        if (which == TOKEN_OF_ANOTHER)
            from = f->a->at;
        if (which == TOKEN_OF_ANOTHER_PORT)
            from.port++;
        if (which == TOKEN_TO_ANOTHER_ID)
            initial.dcid = tern_view_of(some_dcid, sizeof some_dcid);
        quic_puppet_initial(&initial, tern_view_of(hello, sizeof hello), &out);
        ask_from(f, &from, tern_writer_view(&out));
        quic_world_run(&f->w, 10 * TERN_MILLISECOND);
        assert_int_equal(f->b->offers_count, which == TOKEN_GOOD ? 2 : 1);
        assert_int_equal(f->b->offer.validated, which == TOKEN_GOOD);
        assert_int_equal(f->b->metrics.faults[TERN_FAULT_QUIC_RETRY_TOKEN], which != TOKEN_GOOD);
        end(f);
    }
}

static void tokens_that_are_not_ours_are_as_none(void **state)
{
    (void)state;
    static const uint8_t hello[] = {0x06, 0, 4, 1, 0, 1, 0};
    struct fixture *f = start();
    struct tern_random random;
    tern_random_init_u64(&random, 3);
    for (unsigned i = 0; i < 6; i++) {
        uint8_t token[400];
        uint8_t bytes[PUPPET_DATAGRAM_MAX];
        uint8_t dcid[8];
        tern_random_bytes(&random, token, sizeof token);
        tern_random_bytes(&random, dcid, sizeof dcid);
        token[0] = i % 2 ? NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR : 'x';
        static const size_t sizes[] = {1, 16, 37, 57, 200, 400};
        struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
        struct puppet_initial initial = initial_of(tern_view_of(token, sizes[i]));
        initial.dcid = tern_view_of(dcid, sizeof dcid);
        quic_puppet_initial(&initial, tern_view_of(hello, sizeof hello), &out);
        ask(f, tern_writer_view(&out));
        assert_int_equal(f->b->offers_count, i + 1);
        assert_false(f->b->offer.validated);
    }
    end(f);
}

/* --- what a dialler is told by others --- */

/* forge sends a the bytes as if they were b's. */
static void forge(struct fixture *f, struct tern_view bytes)
{
    const struct tern_path path = {.local = f->b->at, .remote = f->a->at};
    datagram_net_inject(&f->w.world.net, f->w.world.now, &path, bytes);
    quic_world_run(&f->w, TERN_MILLISECOND / 4);
}

struct dialled {
    struct quic_seen *seen;
    struct tern_view dcid; /* of its first packet */
    struct tern_view scid;
};

/* dial_deaf dials while b does not answer. */
static struct dialled dial_deaf(struct fixture *f)
{
    datagram_net_socket(&f->w.world.net, f->b->socket)->link.down = true;
    f->recording = true;
    struct dialled d = {.seen = quic_world_dial(&f->w, f->a, f->b, NULL)};
    quic_world_run(&f->w, TERN_MILLISECOND / 4);
    f->recording = false;
    assert_true(f->of_a_count > 0);
    struct tern_reader r = tern_reader_of(tern_view_of(f->of_a[0].bytes, f->of_a[0].size));
    uint8_t size = 0;
    assert_true(tern_reader_skip(&r, 5) && tern_reader_u8(&r, &size));
    assert_true(tern_reader_bytes(&r, size, &d.dcid) && tern_reader_u8(&r, &size));
    assert_true(tern_reader_bytes(&r, size, &d.scid));
    return d;
}

static void forge_versions(struct fixture *f, const struct dialled *d, const uint32_t *versions,
                           size_t count)
{
    uint8_t bytes[100];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_writer_u8(&w, 0xc0);
    tern_writer_u32be(&w, 0);
    tern_writer_u8(&w, (uint8_t)d->scid.size);
    tern_writer_bytes(&w, d->scid);
    tern_writer_u8(&w, (uint8_t)d->dcid.size);
    tern_writer_bytes(&w, d->dcid);
    for (size_t i = 0; i < count; i++)
        tern_writer_u32be(&w, versions[i]);
    forge(f, tern_writer_view(&w));
}

static void versions_that_lie_are_passed_over(void **state)
{
    (void)state;
    static const uint32_t with_ours[] = {0x0a0a0a0a, 1};
    static const uint32_t without[] = {0x6b3343cf};
    struct fixture *f = start();
    struct dialled d = dial_deaf(f);
    forge_versions(f, &d, with_ours, 2); /* who lists ours and refused it lies */
    struct dialled other = d;
    other.dcid = tern_view_of(some_dcid, sizeof some_dcid);
    forge_versions(f, &other, without, 1); /* who has not seen our packet knows no id */
    assert_int_equal(quic_seen_error(d.seen), TERN_OK);
    datagram_net_socket(&f->w.world.net, f->b->socket)->link.down = false;
    quic_world_run(&f->w, 5 * TERN_SECOND);
    assert_int_equal(quic_seen_count(d.seen, TERN_MUX_CONFIRMED), 1);
    forge_versions(f, &d, without, 1); /* it is too late for that */
    assert_int_equal(quic_seen_error(d.seen), TERN_OK);
    end(f);
}

static void who_speaks_no_version_of_ours(void **state)
{
    (void)state;
    static const uint32_t without[] = {0x6b3343cf, 0xff00001d};
    struct fixture *f = start();
    struct dialled d = dial_deaf(f);
    forge_versions(f, &d, without, 2);
    assert_int_equal(quic_seen_error(d.seen), TERN_ERR_NO_PROTOCOL);
    assert_int_equal(d.seen->session.mux.ops->fault(d.seen->session.mux.self),
                     TERN_FAULT_QUIC_VERSION);
    end(f);
}

static void a_retry_that_is_forged_is_passed_over(void **state)
{
    (void)state;
    struct fixture *f = start();
    struct dialled d = dial_deaf(f);
    uint8_t bytes[120];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_writer_u8(&w, 0xf0);
    tern_writer_u32be(&w, 1);
    tern_writer_u8(&w, (uint8_t)d.scid.size);
    tern_writer_bytes(&w, d.scid);
    tern_writer_u8(&w, sizeof some_dcid);
    tern_writer_bytes(&w, tern_view_of(some_dcid, sizeof some_dcid));
    while (w.size < 100) /* a token, and a tag that is none */
        tern_writer_u8(&w, (uint8_t)w.size);
    forge(f, tern_writer_view(&w));
    datagram_net_socket(&f->w.world.net, f->b->socket)->link.down = false;
    quic_world_run(&f->w, 5 * TERN_SECOND);
    assert_int_equal(quic_seen_count(d.seen, TERN_MUX_CONFIRMED), 1);
    assert_int_equal(f->b->offers_count, 1);
    end(f);
}

/* --- harm on the way --- */

/* Everything is seen a second time, changed, and first. */
static bool meddle_changed(struct fixture *f, const struct datagram_seen *seen)
{
    uint8_t bytes[DATAGRAM_MAX];
    uint64_t draw = tern_random_u64(&f->w.world.net.random);
    const struct tern_path path = {.local = seen->from, .remote = seen->to};
    memcpy(bytes, seen->bytes.data, seen->bytes.size);
    bytes[draw % seen->bytes.size] ^= (uint8_t)(1 + (draw >> 32) % 255);
    datagram_net_inject(&f->w.world.net, seen->now, &path, tern_view_of(bytes, seen->bytes.size));
    return true;
}

/* Likewise, cut. */
static bool meddle_cut(struct fixture *f, const struct datagram_seen *seen)
{
    const struct tern_path path = {.local = seen->from, .remote = seen->to};
    size_t size = 1 + tern_random_u64(&f->w.world.net.random) % seen->bytes.size;
    datagram_net_inject(&f->w.world.net, seen->now, &path, tern_view_of(seen->bytes.data, size));
    return true;
}

/* Likewise, as it is. */
static bool meddle_twice(struct fixture *f, const struct datagram_seen *seen)
{
    const struct tern_path path = {.local = seen->from, .remote = seen->to};
    for (unsigned i = 0; i < 3; i++)
        datagram_net_inject(&f->w.world.net, seen->now + i * TERN_MILLISECOND, &path,
                            tern_view_of(seen->bytes.data, seen->bytes.size));
    return true;
}

static void harm_on_the_way_is_no_more_than_loss(void **state)
{
    (void)state;
    static bool (*const kinds[])(struct fixture *f, const struct datagram_seen *seen) = {
        meddle_changed, meddle_cut, meddle_twice};
    for (size_t kind = 0; kind < TERN_COUNT_OF(kinds); kind++) {
        for (unsigned i = 0; i < 20; i++) {
            struct fixture *f = start();
            f->b->echo = true;
            tern_random_init_u64(&f->w.world.net.random, i);
            f->meddle = kinds[kind];
            struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
            tern_stream_id stream = quic_seen_open(a);
            quic_seen_write(a, stream, "whole");
            quic_world_run(&f->w, TERN_SECOND);
            quic_seen_expect(a, stream, "whole");
            quic_seen_end(a);
            f->meddle = NULL;
            end(f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_versions_are_told_ours),
        cmocka_unit_test(answers_are_bounded_in_rate),
        cmocka_unit_test(resets_are_smaller_than_what_they_answer),
        cmocka_unit_test(headers_that_are_malformed_are_passed_over),
        cmocka_unit_test(what_does_not_authenticate_gets_no_answer),
        cmocka_unit_test(first_packets_of_wrong_frames),
        cmocka_unit_test(a_hello_without_its_beginning_is_retried),
        cmocka_unit_test(offers_are_bounded),
        cmocka_unit_test(a_first_flight_again_and_again),
        cmocka_unit_test(first_flights_of_many_addresses),
        cmocka_unit_test(who_does_not_answer_is_sent_three_times_as_much),
        cmocka_unit_test(tokens_of_a_retry_are_held_to_what_they_are_for),
        cmocka_unit_test(tokens_that_are_not_ours_are_as_none),
        cmocka_unit_test(versions_that_lie_are_passed_over),
        cmocka_unit_test(who_speaks_no_version_of_ours),
        cmocka_unit_test(a_retry_that_is_forged_is_passed_over),
        cmocka_unit_test(harm_on_the_way_is_no_more_than_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
