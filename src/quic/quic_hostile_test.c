/*
 * What a remote may do wrong once it is known: every fault of a session by name, floods, and what
 * other implementations fell for.
 */
#include "quic/quic_internal.h"
#include "quic/quic_puppet.h"
#include "quic/quic_world.h"
#include "tern_test.h"

enum { STREAM_BYTES = 700 };

static const struct datagram_link ideal = {.latency_ns = TERN_MILLISECOND};

struct fixture {
    struct quic_world w;
    struct quic_host *b; /* is attacked */
    struct quic_puppet *puppet;
    struct tern_endpoint puppet_at;
    uint8_t bytes[PUPPET_DATAGRAM_MAX];
    struct tern_writer frames;
};

static struct fixture *start_with(struct tern_quic_options of_b, struct quic_puppet_options options)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    quic_world_init(&f.w, 1);
    f.b = quic_world_add(&f.w, of_b, &ideal);
    f.b->sink = true;
    options.now = f.w.world.now;
    options.remote = options.server ? (struct tern_endpoint){.family = 0} : f.b->at;
    if (options.certificates == NULL && !options.no_certificate) {
        options.certificates = quic_testing_certificate(3);
        options.certificates_count = 1;
    }
    f.puppet = quic_puppet_new(&options);
    size_t node = session_world_add(&f.w.world, quic_puppet_transport(f.puppet));
    f.puppet_at = datagram_endpoint(99, 99);
    (void)session_world_bind(&f.w.world, node, &f.puppet_at, &ideal);
    f.frames = tern_writer_of(f.bytes, sizeof f.bytes);
    return &f;
}

/* start shakes hands. */
static struct fixture *start(void)
{
    struct fixture *f = start_with((struct tern_quic_options){.keep_alive_ns = 0},
                                   (struct quic_puppet_options){.server = false});
    quic_world_run(&f->w, TERN_SECOND);
    assert_true(quic_puppet_confirmed(f->puppet));
    assert_int_equal(quic_seen_count(quic_host_last(f->b), TERN_MUX_CONFIRMED), 1);
    return f;
}

static void end(struct fixture *f)
{
    quic_world_fini(&f->w);
}

/* --- frames --- */

static void put(struct fixture *f, uint64_t value)
{
    quic_puppet_varint(&f->frames, value);
}

static void put_bytes(struct fixture *f, size_t size)
{
    for (size_t i = 0; i < size; i++)
        tern_writer_u8(&f->frames, (uint8_t)i);
}

/* say sends what was put as one packet. */
static void say(struct fixture *f)
{
    assert_true(tern_writer_ok(&f->frames));
    quic_puppet_say(f->puppet, tern_writer_view(&f->frames));
    f->frames.size = 0;
}

static void say_and_wait(struct fixture *f)
{
    say(f);
    quic_world_run(&f->w, 10 * TERN_MILLISECOND);
}

static void put_stream(struct fixture *f, uint64_t id, uint64_t offset, size_t size, bool fin)
{
    put(f, 0x0e | (fin ? 1 : 0)); /* offset and length are there */
    put(f, id);
    put(f, offset);
    put(f, size);
    put_bytes(f, size);
}

static void put_reset(struct fixture *f, uint64_t id, uint64_t code, uint64_t final_size)
{
    put(f, 0x04);
    put(f, id);
    put(f, code);
    put(f, final_size);
}

static void put_id(struct fixture *f, uint64_t number, uint64_t retire_prior_to)
{
    put(f, 0x18);
    put(f, number);
    put(f, retire_prior_to);
    tern_writer_u8(&f->frames, 8);
    tern_writer_u64be(&f->frames, 0xabcdef0000000000 + number);
    tern_writer_u64be(&f->frames, number);
    tern_writer_u64be(&f->frames, 0x5555 + number);
}

static tern_err error_of(const struct fixture *f)
{
    return quic_seen_error(quic_host_last(f->b));
}

static tern_fault fault_of(const struct fixture *f)
{
    const struct tern_mux *mux = &quic_host_last(f->b)->session.mux;
    return mux->ops->fault(mux->self);
}

/* expect: what was said ends the session with this fault. */
static void expect(struct fixture *f, tern_fault fault)
{
    quic_world_run(&f->w, 100 * TERN_MILLISECOND);
    tern_err err = error_of(f);
    if (fault_of(f) != fault)
        fail_msg("%s %s, not %s", tern_err_name(err), tern_fault_name(fault_of(f)),
                 tern_fault_name(fault));
    assert_true(err == TERN_ERR_PROTOCOL || err == TERN_ERR_MALFORMED);
    end(f);
}

static void expect_said(struct fixture *f, tern_fault fault)
{
    say(f);
    expect(f, fault);
}

/* --- faults by name --- */

static void what_is_well_said_is_taken(void **state)
{
    (void)state;
    struct fixture *f = start();
    put_stream(f, 0, 0, 100, false);
    put_stream(f, 0, 100, 100, true);
    put(f, 0x01); /* PING */
    say_and_wait(f);
    assert_int_equal(error_of(f), TERN_OK);
    assert_int_equal(quic_host_last(f->b)->read_bytes, 200);
    end(f);
}

static void frames_that_only_a_server_may_send(void **state)
{
    (void)state;
    struct fixture *f = start();
    put(f, 0x1e); /* HANDSHAKE_DONE */
    expect_said(f, TERN_FAULT_QUIC_PROTOCOL);
    f = start();
    put(f, 0x07); /* NEW_TOKEN */
    put(f, 4);
    put_bytes(f, 4);
    expect_said(f, TERN_FAULT_QUIC_PROTOCOL);
}

static void frames_that_are_malformed(void **state)
{
    (void)state;
    struct fixture *f = start();
    put(f, 0x3f); /* none that exists */
    expect_said(f, TERN_FAULT_QUIC_FRAME);
    f = start();
    put_bytes(f, 1); /* PADDING */
    put(f, 0x01);
    put(f, 0x01);
    put(f, 0x0e); /* STREAM that ends in the middle */
    expect_said(f, TERN_FAULT_QUIC_FRAME);
    f = start();
    put(f, 0x0e); /* longer than the packet */
    put(f, 0);
    put(f, 0);
    put(f, 1000);
    put_bytes(f, 10);
    expect_said(f, TERN_FAULT_QUIC_FRAME);
    f = start();
    put_id(f, 3, 4); /* retires what is behind it */
    expect_said(f, TERN_FAULT_QUIC_FRAME);
    f = start();
    put(f, 0x12); /* MAX_STREAMS beyond what there are */
    put(f, (UINT64_C(1) << 60) + 1);
    expect_said(f, TERN_FAULT_QUIC_FRAME);
}

static void acknowledgements_that_cannot_be(void **state)
{
    (void)state;
    struct fixture *f = start();
    put(f, 0x02); /* of what was not sent */
    put(f, 1000000);
    put(f, 0);
    put(f, 0);
    put(f, 0);
    expect_said(f, TERN_FAULT_QUIC_PROTOCOL);
    f = start();
    put(f, 0x02); /* ranges below nothing */
    put(f, 1);
    put(f, 0);
    put(f, 0);
    put(f, 5);
    expect_said(f, TERN_FAULT_QUIC_ACK);
}

static void more_than_the_windows(void **state)
{
    (void)state;
    struct fixture *f = start();
    put_stream(f, 0, TERN_QUIC_STREAM_WINDOW_INITIAL, 1, false);
    expect_said(f, TERN_FAULT_QUIC_FLOW_CONTROL);
    f = start();
    for (uint64_t i = 0; i < 4; i++)
        put_stream(f, 4 * i, TERN_QUIC_STREAM_WINDOW_INITIAL - 1, 1, false);
    say_and_wait(f);
    assert_int_equal(error_of(f), TERN_OK);
    put_stream(f, 16, 0, 1, false);
    expect_said(f, TERN_FAULT_QUIC_FLOW_CONTROL);
    f = start();
    put_stream(f, 0, (UINT64_C(1) << 62) - 2, 10, false); /* beyond the largest offset */
    expect_said(f, TERN_FAULT_QUIC_FLOW_CONTROL);
    f = start();
    put_reset(f, 0, 0, TERN_QUIC_STREAM_WINDOW_INITIAL + 1);
    expect_said(f, TERN_FAULT_QUIC_FLOW_CONTROL);
}

static void streams_beyond_the_limit(void **state)
{
    (void)state;
    struct fixture *f = start();
    put_stream(f, 4 * (TERN_QUIC_STREAMS_DEFAULT - 1), 0, 1, false);
    say_and_wait(f);
    assert_int_equal(error_of(f), TERN_OK);
    put_stream(f, 4 * TERN_QUIC_STREAMS_DEFAULT, 0, 1, false);
    expect_said(f, TERN_FAULT_QUIC_STREAM_LIMIT);
    f = start();
    put_stream(f, 2, 0, 1, false); /* one way: libp2p has none */
    expect_said(f, TERN_FAULT_QUIC_STREAM_LIMIT);
    f = start();
    put(f, 0x05); /* STOP_SENDING opens streams, too */
    put(f, 4 * TERN_QUIC_STREAMS_DEFAULT);
    put(f, 0);
    expect_said(f, TERN_FAULT_QUIC_STREAM_LIMIT);
}

static void streams_that_cannot_be(void **state)
{
    (void)state;
    struct fixture *f = start();
    put_stream(f, 1, 0, 1, false); /* ours, and not opened */
    expect_said(f, TERN_FAULT_QUIC_STREAM_STATE);
    f = start();
    put(f, 0x11); /* MAX_STREAM_DATA of what we cannot send on */
    put(f, 2);
    put(f, 100);
    expect_said(f, TERN_FAULT_QUIC_STREAM_STATE);
    f = start();
    put_reset(f, 1, 0, 0);
    expect_said(f, TERN_FAULT_QUIC_STREAM_STATE);
}

static void streams_with_two_ends(void **state)
{
    (void)state;
    struct fixture *f = start();
    put_stream(f, 0, 0, 10, true);
    put_stream(f, 0, 10, 1, false);
    expect_said(f, TERN_FAULT_QUIC_FINAL_SIZE);
    f = start();
    put_stream(f, 0, 0, 10, false);
    put_stream(f, 0, 0, 5, true);
    expect_said(f, TERN_FAULT_QUIC_FINAL_SIZE);
    f = start();
    put_stream(f, 0, 0, 10, false);
    put_reset(f, 0, 1, 5);
    expect_said(f, TERN_FAULT_QUIC_FINAL_SIZE);
    f = start();
    put_stream(f, 0, 20, 1, true);
    put_stream(f, 0, 5, 1, true);
    expect_said(f, TERN_FAULT_QUIC_FINAL_SIZE);
}

/* A reset whose two frames come in packets of their own, and the first one alone for a while. */
static void a_reset_that_is_known_by_halves(void **state)
{
    (void)state;
    for (unsigned writes_before = 0; writes_before < 2; writes_before++) {
        struct fixture *f = start();
        struct quic_seen *seen = quic_host_last(f->b);
        put_stream(f, 0, 0, 10, false);
        say_and_wait(f);
        tern_stream_id stream = quic_seen_event(seen, TERN_MUX_STREAM_OPENED).stream;
        const struct tern_mux *mux = &seen->session.mux;
        if (writes_before > 0)
            quic_seen_write(seen, stream, "sent");
        put(f, 0x05); /* STOP_SENDING */
        put(f, 0);
        put(f, 7);
        say_and_wait(f);
        /* Found out by the first try to send. */
        quic_seen_write(seen, stream, "more");
        quic_world_run(&f->w, 10 * TERN_MILLISECOND);
        size_t accepted = 1;
        tern_err err = mux->ops->write(mux->self, stream, tern_view_str("more"), &accepted);
        assert_int_equal(err, TERN_ERR_CLOSED);
        assert_int_equal(accepted, 0);
        assert_int_equal(quic_seen_count(seen, TERN_MUX_RESET), 0);
        put_reset(f, 0, 7, 10);
        say_and_wait(f);
        assert_int_equal(quic_seen_count(seen, TERN_MUX_RESET), 1);
        assert_int_equal(quic_seen_event(seen, TERN_MUX_RESET).code, 7);
        assert_int_equal(error_of(f), TERN_OK);
        end(f);
    }
}

static void parameters_that_are_wrong(void **state)
{
    (void)state;
    for (unsigned kind = PUPPET_PARAMS_FEW_IDS; kind < PUPPET_PARAMS_COUNT; kind++) {
        struct fixture *f =
            start_with((struct tern_quic_options){.keep_alive_ns = 0},
                       (struct quic_puppet_options){.params = (enum puppet_params)kind});
        expect(f, TERN_FAULT_QUIC_PARAMETERS);
    }
}

static void more_ids_than_agreed(void **state)
{
    (void)state;
    struct fixture *f = start();
    for (uint64_t i = 0; i < 12; i++)
        put_id(f, 100 + i, 0);
    expect_said(f, TERN_FAULT_QUIC_ID_LIMIT);
    f = start();
    put_id(f, 1, 0);
    put(f, 0x18); /* the same number, another id */
    put(f, 1);
    put(f, 0);
    tern_writer_u8(&f->frames, 4);
    put_bytes(f, 20);
    expect_said(f, TERN_FAULT_QUIC_PROTOCOL);
}

static void put_crypto(struct fixture *f, uint64_t offset, size_t size)
{
    put(f, 0x06);
    put(f, offset);
    put(f, size);
    put_bytes(f, size);
}

static void handshake_data_without_end(void **state)
{
    (void)state;
    struct fixture *f = start();
    put_crypto(f, 1 << 20, 100); /* with a hole before it */
    expect_said(f, TERN_FAULT_QUIC_CRYPTO_BUFFER);
}

/* start_dialled lets b dial the puppet. */
static struct fixture *start_dialled(void)
{
    struct fixture *f = start_with((struct tern_quic_options){.keep_alive_ns = 0},
                                   (struct quic_puppet_options){.server = true});
    struct quic_host puppet = {.at = f->puppet_at};
    (void)quic_world_dial(&f->w, f->b, &puppet, NULL);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(quic_seen_count(quic_host_last(f->b), TERN_MUX_CONFIRMED), 1);
    return f;
}

static void a_key_update_of_tls(void **state)
{
    (void)state;
    /* A server has no TLS any more; a client waits for tickets and refuses this (RFC 9001, 6). */
    static const uint8_t update[] = {24, 0, 0, 1, 1};
    for (unsigned server = 0; server < 2; server++) {
        struct fixture *f = server ? start_dialled() : start();
        put(f, 0x06);
        put(f, 0);
        put(f, sizeof update);
        tern_writer_bytes(&f->frames, tern_view_of(update, sizeof update));
        expect_said(f, TERN_FAULT_QUIC_TLS);
    }
}

static void resets_without_end(void **state)
{
    (void)state;
    struct fixture *f = start();
    for (uint64_t id = 0; id < 4 * 3000 && error_of(f) == TERN_OK; id += 4) {
        put_stream(f, id, 0, 1, false);
        put_reset(f, id, 9, 1);
        quic_puppet_put_ack(f->puppet, &f->frames);
        say(f);
        if (id % 40 == 0)
            quic_world_run(&f->w, 2 * TERN_MILLISECOND);
    }
    expect(f, TERN_FAULT_QUIC_RESET_FLOOD);
}

/* --- who it is --- */

/* meets lets a puppet with these certificates call, and be called; what comes of it. */
static void expect_met(struct quic_puppet_options options, tern_err err, tern_fault fault)
{
    const struct tern_quic_options plain = {.keep_alive_ns = 0};
    for (unsigned server = 0; server < 2; server++) {
        options.server = server;
        if (server && options.no_certificate)
            continue; /* TLS has no server without one */
        struct fixture *f = start_with(plain, options);
        if (server) {
            struct quic_host puppet = {.at = f->puppet_at};
            (void)quic_world_dial(&f->w, f->b, &puppet, NULL);
        }
        quic_world_run(&f->w, TERN_SECOND);
        const struct quic_seen *seen = quic_host_last(f->b);
        assert_int_equal(seen->log_count, 0);
        if (fault_of(f) != fault)
            fail_msg("%s, not %s", tern_fault_name(fault_of(f)), tern_fault_name(fault));
        assert_int_equal(error_of(f), err);
        end(f);
    }
}

/* Of what the remote asks for, the first decides which certificate it is shown. */
static void the_remote_is_shown_what_it_prefers(void **state)
{
    (void)state;
    static const struct {
        const char *asked;
        enum tern_certificate_key shown;
    } cases[] = {
        {NULL, TERN_CERTIFICATE_P256},
        {"+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-EDDSA-ED25519:", TERN_CERTIFICATE_P256},
        {"+SIGN-EDDSA-ED25519:+SIGN-ECDSA-SECP256R1-SHA256:", TERN_CERTIFICATE_ED25519},
    };
    for (unsigned i = 0; i < 2 * TERN_COUNT_OF(cases); i++) {
        struct fixture *f = start_with(
            (struct tern_quic_options){.keep_alive_ns = 0},
            (struct quic_puppet_options){.server = i % 2 == 1, .signatures = cases[i / 2].asked});
        if (i % 2 == 1) {
            struct quic_host puppet = {.at = f->puppet_at};
            (void)quic_world_dial(&f->w, f->b, &puppet, NULL);
        }
        quic_world_run(&f->w, TERN_SECOND);
        assert_true(quic_puppet_confirmed(f->puppet));
        assert_int_equal(quic_puppet_shown(f->puppet), cases[i / 2].shown);
        end(f);
    }
}

static void who_shows_no_certificate(void **state)
{
    (void)state;
    expect_met((struct quic_puppet_options){.no_certificate = true}, TERN_ERR_PROTOCOL,
               TERN_FAULT_QUIC_NO_CERTIFICATE);
}

static void who_shows_two_certificates(void **state)
{
    (void)state;
    const struct tern_certificate two[] = {*quic_testing_certificate(3),
                                           *quic_testing_certificate(4)};
    expect_met((struct quic_puppet_options){.certificates = two, .certificates_count = 2},
               TERN_ERR_PROTOCOL, TERN_FAULT_QUIC_CERTIFICATES);
}

static void who_shows_one_of_another_kind(void **state)
{
    (void)state;
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    const struct tern_certificate_options options = {.kind = TERN_CERTIFICATE_WEB,
                                                     .mem = &mem,
                                                     .random = quic_testing_random(true),
                                                     .not_after = TERN_SECOND * 1000000};
    struct tern_certificate web;
    assert_ok(tern_certificate_make(&options, &web));
    expect_met((struct quic_puppet_options){.certificates = &web, .certificates_count = 1},
               TERN_ERR_PROTOCOL, TERN_FAULT_CERTIFICATE_NO_IDENTITY);
    tern_certificate_fini(&web);
    tern_mem_fini(&mem);
}

static void who_shows_one_that_was_changed(void **state)
{
    (void)state;
    struct tern_certificate changed = *quic_testing_certificate(3);
    uint8_t der[TERN_CERTIFICATE_SIZE_MAX];
    memcpy(der, changed.der, changed.der_size);
    der[changed.der_size - 1] ^= 1;
    changed.der = der;
    expect_met((struct quic_puppet_options){.certificates = &changed, .certificates_count = 1},
               TERN_ERR_BAD_SIGNATURE, TERN_FAULT_CERTIFICATE_SELF_SIGNATURE);
}

/* Who has another key than the certificate's proves nothing. A certificate is judged before its key
 * is used for that: what is wrong with it is told although the proof is wrong as well. */
static void who_cannot_prove_what_is_shown(void **state)
{
    (void)state;
    struct quic_puppet_options options = {.certificates = quic_testing_certificate(3),
                                          .certificates_count = 1,
                                          .signer = quic_testing_certificate(4)};
    expect_met(options, TERN_ERR_PROTOCOL, TERN_FAULT_QUIC_TLS);
    struct tern_certificate changed = *quic_testing_certificate(3);
    uint8_t der[TERN_CERTIFICATE_SIZE_MAX];
    memcpy(der, changed.der, changed.der_size);
    der[changed.der_size - 1] ^= 1;
    changed.der = der;
    options.certificates = &changed;
    expect_met(options, TERN_ERR_BAD_SIGNATURE, TERN_FAULT_CERTIFICATE_SELF_SIGNATURE);
}

static void who_shows_one_of_the_past(void **state)
{
    (void)state;
    /* Ours last for a century. The clock is of 2500. */
    const tern_wall_time later = UINT64_C(530) * 365 * 24 * TERN_HOUR;
    struct fixture *f = start_with((struct tern_quic_options){.wall = 1},
                                   (struct quic_puppet_options){.server = false});
    tern_quic_set_wall(&f->b->transport, f->w.world.now, later);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(fault_of(f), TERN_FAULT_CERTIFICATE_EXPIRED);
    end(f);
}

static void who_speaks_something_else(void **state)
{
    (void)state;
    expect_met((struct quic_puppet_options){.alpn = "h2"}, TERN_ERR_NO_PROTOCOL,
               TERN_FAULT_QUIC_NO_ALPN);
}

/* --- what it costs --- */

struct cost {
    size_t memory;
    uint64_t bytes_out;
};

static struct cost cost_now(const struct fixture *f)
{
    struct tern_session_info info;
    const struct quic_seen *seen = quic_host_last(f->b);
    seen->session.ops->info(seen->session.mux.self, &info);
    return (struct cost){.memory = f->b->mem.used, .bytes_out = info.bytes_out};
}

/* flood sends so many packets of frames that put_some puts. */
static void flood(struct fixture *f, void (*put_some)(struct fixture *f, unsigned n),
                  unsigned packets, bool acks)
{
    for (unsigned n = 0; n < packets; n++) {
        if (acks)
            quic_puppet_put_ack(f->puppet, &f->frames);
        put_some(f, n);
        say(f);
        if (n % 20 == 0)
            quic_world_run(&f->w, TERN_MILLISECOND);
    }
    quic_world_run(&f->w, 20 * TERN_MILLISECOND);
}

static void put_ping(struct fixture *f, unsigned n)
{
    (void)n;
    put(f, 0x01);
}

static void put_challenges(struct fixture *f, unsigned n)
{
    for (unsigned i = 0; i < 20; i++) {
        put(f, 0x1a);
        tern_writer_u64be(&f->frames, n * 100 + i);
    }
}

static void put_newer_ids(struct fixture *f, unsigned n)
{
    for (unsigned i = 0; i < 10; i++)
        put_id(f, 100 + n * 10 + i, 100 + n * 10 + i);
}

static void put_older_ids(struct fixture *f, unsigned n)
{
    put_id(f, 50000, 50000);
    for (unsigned i = 0; i < 10; i++)
        put_id(f, 100 + n * 10 + i, 0);
}

static void put_retirements(struct fixture *f, unsigned n)
{
    put(f, 0x19); /* RETIRE_CONNECTION_ID */
    put(f, n + 1);
}

static void put_limits(struct fixture *f, unsigned n)
{
    for (unsigned i = 0; i < 20; i++) {
        put(f, 0x10); /* MAX_DATA */
        put(f, n * 20 + i);
        put(f, 0x14); /* DATA_BLOCKED */
        put(f, n);
        put(f, 0x15); /* STREAM_DATA_BLOCKED */
        put(f, 4 * (uint64_t)i);
        put(f, n);
        put(f, 0x16); /* STREAMS_BLOCKED */
        put(f, n % 1000);
    }
}

static void put_stops(struct fixture *f, unsigned n)
{
    for (unsigned i = 0; i < 20; i++) {
        put(f, 0x05); /* STOP_SENDING */
        put(f, 4 * (uint64_t)((n * 20 + i) % 1000));
        put(f, 7);
    }
}

/* CVE-2023-49295 (quic-go: a queue of answers that grows while nothing is acknowledged),
 * CVE-2024-22189 (quic-go: a queue of RETIRE_CONNECTION_ID), and their like: whatever is asked,
 * what is kept stays small, and the answers stay below the questions. */
static void floods_cost_little(void **state)
{
    (void)state;
    static void (*const kinds[])(struct fixture *f, unsigned n) = {
        put_ping,        put_challenges, put_newer_ids, put_older_ids,
        put_retirements, put_limits,     put_stops};
    for (size_t kind = 0; kind < TERN_COUNT_OF(kinds); kind++) {
        for (unsigned acks = 0; acks < 2; acks++) {
            struct fixture *f = start();
            struct cost before = cost_now(f);
            uint64_t sent = datagram_net_socket(&f->w.world.net, f->b->socket)->received_bytes;
            flood(f, kinds[kind], 2000, acks);
            struct cost after = cost_now(f);
            size_t streams = quic_seen_count(quic_host_last(f->b), TERN_MUX_STREAM_OPENED);
            sent = datagram_net_socket(&f->w.world.net, f->b->socket)->received_bytes - sent;
            /* An answer to a challenge fills a datagram; the path is known to be the remote's. */
            if (after.memory > before.memory + 256 * 1024 + STREAM_BYTES * streams ||
                after.bytes_out - before.bytes_out > 3 * sent)
                fail_msg("flood %zu, acks %u: %zu bytes of memory, %d bytes sent of %d", kind, acks,
                         after.memory - before.memory, (int)(after.bytes_out - before.bytes_out),
                         (int)sent);
            assert_true(error_of(f) == TERN_OK || error_of(f) == TERN_ERR_PROTOCOL);
            end(f);
        }
    }
}

/* Every other byte of all windows: each gap is something to keep. */
static void gaps_without_end(void **state)
{
    (void)state;
    struct fixture *f = start();
    size_t most = 0;
    uint64_t at = 1;
    while (error_of(f) == TERN_OK && at < 4 * (uint64_t)TERN_QUIC_STREAM_WINDOW_INITIAL) {
        for (unsigned i = 0; i < 100; i++, at += 2) {
            uint64_t stream = at / TERN_QUIC_STREAM_WINDOW_INITIAL;
            put_stream(f, 4 * stream, at % TERN_QUIC_STREAM_WINDOW_INITIAL, 1, false);
        }
        quic_puppet_put_ack(f->puppet, &f->frames);
        say(f);
        quic_world_run(&f->w, TERN_MILLISECOND / 4);
        most = tern_max_size(most, f->b->mem.used);
    }
    assert_in_range(most, 0, 6 << 20);
    expect(f, TERN_FAULT_QUIC_HOARD);
}

static void tickets_without_end(void **state)
{
    (void)state;
    struct fixture *f = start_dialled();
    /* The beginning of one message that is longer than all that may come. */
    static const uint8_t head[] = {4, 0xff, 0xff, 0xff};
    put(f, 0x06);
    put(f, 0);
    put(f, sizeof head);
    tern_writer_bytes(&f->frames, tern_view_of(head, sizeof head));
    say(f);
    for (uint64_t at = sizeof head; at < 100000 && error_of(f) == TERN_OK; at += 1000) {
        put_crypto(f, at, 1000);
        say_and_wait(f);
    }
    expect(f, TERN_FAULT_QUIC_CRYPTO_BUFFER);
}

/* --- want here --- */

static void want_of_memory_is_a_stream_s_end(void **state)
{
    (void)state;
    struct fixture *f = start();
    f->b->scope.limits.max[TERN_RESOURCE_MEMORY] = f->b->scope.used[TERN_RESOURCE_MEMORY] + 3000;
    quic_host_last(f->b)->sink = false;
    put_stream(f, 0, 0, 1000, false);
    say_and_wait(f);
    for (uint64_t i = 1; i < 4; i++) {
        put_stream(f, 0, i * 1000, 1000, false);
        say_and_wait(f);
    }
    assert_int_equal(error_of(f), TERN_OK);
    assert_int_equal(quic_seen_event(quic_host_last(f->b), TERN_MUX_RESET).code,
                     TERN_MUX_CODE_RESOURCE_LIMIT);
    assert_int_equal(f->b->metrics.faults[TERN_FAULT_QUIC_STREAM_STARVED], 1);
    f->b->scope.limits.max[TERN_RESOURCE_STREAMS_IN] = 1;
    put_stream(f, 4, 0, 10, false);
    put_stream(f, 8, 0, 10, false);
    say_and_wait(f);
    assert_int_equal(error_of(f), TERN_OK);
    assert_true(f->b->metrics.faults[TERN_FAULT_QUIC_STREAM_REFUSED] >= 1);
    end(f);
}

/* --- noise --- */

static void noise_changes_nothing(void **state)
{
    (void)state;
    struct fixture *f = start();
    struct tern_random random;
    tern_random_init_u64(&random, 9);
    const struct tern_path path = {.local = f->puppet_at, .remote = f->b->at};
    for (unsigned i = 0; i < 3000; i++) {
        uint8_t bytes[1452];
        size_t size = tern_random_u64(&random) % sizeof bytes;
        tern_random_bytes(&random, bytes, sizeof bytes);
        if (i % 2 && size > 9) { /* to the session's own id */
            bytes[0] = (uint8_t)(0x40 | (bytes[0] & 0x3f));
            quic_puppet_copy_dcid(f->puppet, bytes + 1);
        }
        if (size > 0)
            datagram_net_inject(&f->w.world.net, f->w.world.now, &path, tern_view_of(bytes, size));
        if (i % 50 == 0)
            quic_world_run(&f->w, TERN_MILLISECOND);
    }
    put_stream(f, 0, 0, 100, true);
    say_and_wait(f);
    assert_int_equal(error_of(f), TERN_OK);
    assert_int_equal(quic_host_last(f->b)->read_bytes, 100);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_well_said_is_taken),
        cmocka_unit_test(frames_that_only_a_server_may_send),
        cmocka_unit_test(frames_that_are_malformed),
        cmocka_unit_test(acknowledgements_that_cannot_be),
        cmocka_unit_test(more_than_the_windows),
        cmocka_unit_test(streams_beyond_the_limit),
        cmocka_unit_test(streams_that_cannot_be),
        cmocka_unit_test(streams_with_two_ends),
        cmocka_unit_test(a_reset_that_is_known_by_halves),
        cmocka_unit_test(parameters_that_are_wrong),
        cmocka_unit_test(more_ids_than_agreed),
        cmocka_unit_test(handshake_data_without_end),
        cmocka_unit_test(a_key_update_of_tls),
        cmocka_unit_test(resets_without_end),
        cmocka_unit_test(the_remote_is_shown_what_it_prefers),
        cmocka_unit_test(who_shows_no_certificate),
        cmocka_unit_test(who_shows_two_certificates),
        cmocka_unit_test(who_cannot_prove_what_is_shown),
        cmocka_unit_test(who_shows_one_of_another_kind),
        cmocka_unit_test(who_shows_one_that_was_changed),
        cmocka_unit_test(who_shows_one_of_the_past),
        cmocka_unit_test(who_speaks_something_else),
        cmocka_unit_test(floods_cost_little),
        cmocka_unit_test(gaps_without_end),
        cmocka_unit_test(tickets_without_end),
        cmocka_unit_test(want_of_memory_is_a_stream_s_end),
        cmocka_unit_test(noise_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
