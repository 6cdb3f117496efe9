#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "negotiate/multistream.h"

/* Transcripts are written as C strings in which each message stands as LENGTH TEXT NEWLINE. */
#define HEADER  "\x13/multistream/1.0.0\n"
#define NA      "\x03na\n"
#define ECHO_   "\x06/echo\n"
#define OTHER   "\x07/other\n"
#define LS      "\x03ls\n"
#define SIMOPEN "\x1d/libp2p/simultaneous-connect\n"
#define TEXT(s) {(const uint8_t *)(s), sizeof(s) - 1}

_Static_assert(sizeof "/multistream/1.0.0\n" - 1 == 0x13, "the header's length");
_Static_assert(sizeof "/libp2p/simultaneous-connect\n" - 1 == 0x1d, "the name's length");

static const struct tern_view names[] = {TEXT("/echo"), TEXT("/other"), TEXT("/third")};

struct outcome {
    enum tern_multistream_state state;
    tern_err err;
    tern_fault fault;
    size_t used;
    size_t index;       /* dialer: of the name agreed; listener: proposals seen */
    uint8_t said[4096]; /* all that was sent */
    size_t said_size;
};

/* ---- the dialer, fed a script in segments of a given size ---- */

struct dialer_case {
    const char *what;
    size_t names_count;
    bool lazy;
    struct tern_view script;
    struct tern_view said;
    enum tern_multistream_state state;
    tern_err err;
    tern_fault fault;
    size_t index;
    size_t left; /* bytes of the script that belong to the protocol */
};

static struct outcome run_dialer(const struct dialer_case *c, size_t segment)
{
    struct outcome o = {.index = 0};
    struct tern_writer out = tern_writer_of(o.said, sizeof o.said);
    struct tern_multistream_dialer d;
    tern_multistream_dialer_init(&d, &(struct tern_multistream_dialer_options){
                                         .names = names,
                                         .names_count = c->names_count,
                                         .lazy = c->lazy,
                                     });
    tern_multistream_dialer_send(&d, &out);
    while (o.used < c->script.size && d.state == TERN_MULTISTREAM_PENDING) {
        size_t size = tern_min_size(segment, c->script.size - o.used);
        size_t used;
        tern_err err =
            tern_multistream_dialer_recv(&d, tern_view_of(c->script.data + o.used, size), &used);
        assert_int_equal(err, d.err);
        o.used += used;
        if (d.state == TERN_MULTISTREAM_PENDING && !tern_multistream_dialer_want_send(&d))
            assert_int_equal(used, size);
        tern_multistream_dialer_send(&d, &out);
        assert_false(tern_multistream_dialer_want_send(&d));
    }
    assert_true(tern_writer_ok(&out));
    o.state = d.state;
    o.err = d.err;
    o.fault = d.fault;
    o.said_size = out.size;
    if (d.state == TERN_MULTISTREAM_NEGOTIATED)
        o.index = tern_multistream_dialer_index(&d);
    return o;
}

#define PENDING    TERN_MULTISTREAM_PENDING
#define NEGOTIATED TERN_MULTISTREAM_NEGOTIATED
#define FAILED     TERN_MULTISTREAM_FAILED
#define NO_FAULT   TERN_OK, TERN_FAULT_NONE
#define BAD(fault) TERN_ERR_PROTOCOL, fault

static const struct dialer_case dialer_cases[] = {
    {"proposes with the header in one write", 3, false, TEXT(""), TEXT(HEADER ECHO_), PENDING,
     NO_FAULT, 0, 0},
    {"agrees on the echo and leaves what follows", 3, false, TEXT(HEADER ECHO_ "data"),
     TEXT(HEADER ECHO_), NEGOTIATED, NO_FAULT, 0, 4},
    {"proposes the next name after na", 3, false, TEXT(HEADER NA OTHER "x"),
     TEXT(HEADER ECHO_ OTHER), NEGOTIATED, NO_FAULT, 1, 1},
    {"fails without blame when all are refused", 2, false, TEXT(HEADER NA NA),
     TEXT(HEADER ECHO_ OTHER), FAILED, TERN_ERR_NO_PROTOCOL, TERN_FAULT_NONE, 0, 0},
    {"fails when its only lazy proposal is refused", 1, true, TEXT(HEADER NA), TEXT(HEADER ECHO_),
     FAILED, TERN_ERR_NO_PROTOCOL, TERN_FAULT_NONE, 0, 0},
    {"refuses a first message that is no header", 1, false, TEXT(ECHO_), TEXT(HEADER ECHO_), FAILED,
     BAD(TERN_FAULT_MULTISTREAM_NO_HEADER), 0, 0},
    {"refuses a header of another version", 1, false, TEXT("\x13/multistream/2.0.0\n"),
     TEXT(HEADER ECHO_), FAILED, BAD(TERN_FAULT_MULTISTREAM_NO_HEADER), 0, 5},
    {"refuses a header without newline", 1, false, TEXT("\x13/multistream/1.0.0x"),
     TEXT(HEADER ECHO_), FAILED, BAD(TERN_FAULT_MULTISTREAM_NO_HEADER), 0, 0},
    {"refuses na in place of the header", 1, false, TEXT(NA), TEXT(HEADER ECHO_), FAILED,
     BAD(TERN_FAULT_MULTISTREAM_NO_HEADER), 0, 0},
    {"sees another dialer's other proposal", 2, false, TEXT(HEADER "\x04/x1\n"), TEXT(HEADER ECHO_),
     FAILED, BAD(TERN_FAULT_MULTISTREAM_BOTH_DIAL), 0, 0},
    {"sees another dialer's simultaneous open", 2, false, TEXT(HEADER SIMOPEN), TEXT(HEADER ECHO_),
     FAILED, BAD(TERN_FAULT_MULTISTREAM_BOTH_DIAL), 0, 0},
    {"refuses an echo of a name that was not the proposal", 2, false, TEXT(HEADER NA "\x04/x1\n"),
     TEXT(HEADER ECHO_ OTHER), FAILED, BAD(TERN_FAULT_MULTISTREAM_BAD_ANSWER), 0, 0},
    {"refuses an answer that is no name", 2, false,
     TEXT(HEADER "\x05"
                 "what\n"),
     TEXT(HEADER ECHO_), FAILED, BAD(TERN_FAULT_MULTISTREAM_BAD_ANSWER), 0, 0},
    {"refuses an echo without newline", 1, false, TEXT(HEADER "\x05/echo"), TEXT(HEADER ECHO_),
     FAILED, BAD(TERN_FAULT_MULTISTREAM_BOTH_DIAL), 0, 0},
    {"refuses na without newline", 1, false, TEXT(HEADER "\x02na"), TEXT(HEADER ECHO_), FAILED,
     BAD(TERN_FAULT_MULTISTREAM_BAD_ANSWER), 0, 0},
    {"refuses a length of zero", 1, false, TEXT("\x00"), TEXT(HEADER ECHO_), FAILED,
     BAD(TERN_FAULT_MULTISTREAM_BAD_LENGTH), 0, 0},
    {"refuses a length that is not minimal", 1, false, TEXT(HEADER "\x86\x00/echo\n"),
     TEXT(HEADER ECHO_), FAILED, BAD(TERN_FAULT_MULTISTREAM_BAD_LENGTH), 0, 6},
    {"refuses a length of 1025", 1, false, TEXT(HEADER "\x81\x08zz"), TEXT(HEADER ECHO_), FAILED,
     BAD(TERN_FAULT_MULTISTREAM_TOO_LARGE), 0, 2},
    {"refuses a length of three bytes", 1, false, TEXT(HEADER "\x80\x80\x01"), TEXT(HEADER ECHO_),
     FAILED, BAD(TERN_FAULT_MULTISTREAM_TOO_LARGE), 0, 1},
};

static void expect_outcome(const char *what, const struct outcome *o, const struct dialer_case *c)
{
    if (o->state != c->state || o->err != c->err || o->fault != c->fault || o->index != c->index)
        fail_msg("%s: state %d, error %s, fault %s, index %zu", what, (int)o->state,
                 tern_err_name(o->err), tern_fault_name(o->fault), o->index);
    if (!tern_view_equal(tern_view_of(o->said, o->said_size), c->said))
        fail_msg("%s: said %zu bytes: %.*s", what, o->said_size, (int)o->said_size,
                 (const char *)o->said);
}

static void dialer_follows_its_table_in_any_segmentation(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(dialer_cases); i++) {
        const struct dialer_case *c = &dialer_cases[i];
        for (size_t segment = 1; segment <= c->script.size + 1; segment++) {
            struct outcome o = run_dialer(c, segment);
            expect_outcome(c->what, &o, c);
            /* A broken header is known before its end, wherever the segment ends. */
            if (c->fault != TERN_FAULT_MULTISTREAM_NO_HEADER)
                assert_int_equal(c->script.size - o.used, c->left);
        }
    }
}

static void lazy_dialer_may_write_behind_its_proposal(void **state)
{
    (void)state;
    struct tern_multistream_dialer d;
    struct tern_multistream_dialer_options options = {names, 1, true};
    tern_multistream_dialer_init(&d, &options);
    assert_false(tern_multistream_dialer_can_write(&d));
    uint8_t bytes[64];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    tern_multistream_dialer_send(&d, &out);
    assert_true(tern_multistream_dialer_can_write(&d));
    size_t used;
    assert_int_equal(
        tern_multistream_dialer_recv(&d, tern_view_of(HEADER NA, sizeof HEADER NA - 1), &used),
        TERN_ERR_NO_PROTOCOL);
    assert_false(tern_multistream_dialer_can_write(&d));

    options.names_count = 2; /* with two names there is no telling which one the bytes are for */
    tern_multistream_dialer_init(&d, &options);
    out = tern_writer_of(bytes, sizeof bytes);
    tern_multistream_dialer_send(&d, &out);
    assert_false(tern_multistream_dialer_can_write(&d));
    assert_int_equal(tern_multistream_dialer_recv(
                         &d, tern_view_of(HEADER ECHO_, sizeof HEADER ECHO_ - 1), &used),
                     TERN_OK);
    assert_true(tern_multistream_dialer_can_write(&d));
}

static void dialer_refuses_answers_to_what_it_has_not_said(void **state)
{
    (void)state;
    static const struct {
        struct tern_view script;
        bool said; /* the first name, not the second */
        tern_fault fault;
    } cases[] = {
        {TEXT(HEADER NA), false, TERN_FAULT_MULTISTREAM_BAD_ANSWER},
        {TEXT(HEADER ECHO_), false, TERN_FAULT_MULTISTREAM_BOTH_DIAL},
        {TEXT(HEADER NA NA), true, TERN_FAULT_MULTISTREAM_BAD_ANSWER},
        {TEXT(HEADER NA OTHER), true, TERN_FAULT_MULTISTREAM_BAD_ANSWER},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_multistream_dialer d;
        tern_multistream_dialer_init(&d,
                                     &(struct tern_multistream_dialer_options){names, 2, false});
        uint8_t bytes[64];
        struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
        if (cases[i].said)
            tern_multistream_dialer_send(&d, &out);
        struct tern_view rest = cases[i].script;
        while (rest.size > 0) {
            size_t used;
            tern_err err = tern_multistream_dialer_recv(&d, rest, &used);
            assert_int_equal(err, d.err);
            assert_true(used > 0); /* always some, so that no owner's loop stands still */
            rest = tern_view_of(rest.data + used, rest.size - used);
        }
        assert_int_equal(d.fault, cases[i].fault);
    }
}

static void failure_sticks_and_takes_nothing_more(void **state)
{
    (void)state;
    struct tern_multistream_dialer d;
    tern_multistream_dialer_init(&d, &(struct tern_multistream_dialer_options){names, 1, false});
    size_t used;
    assert_int_equal(tern_multistream_dialer_recv(&d, tern_view_of("\0", 1), &used),
                     TERN_ERR_PROTOCOL);
    assert_int_equal(tern_multistream_dialer_recv(&d, tern_view_of(HEADER, 20), &used),
                     TERN_ERR_PROTOCOL);
    assert_int_equal(used, 0);
    assert_false(tern_multistream_dialer_want_send(&d));
}

static void messages_are_written_whole_or_not_at_all(void **state)
{
    (void)state;
    struct tern_multistream_dialer d;
    tern_multistream_dialer_init(&d, &(struct tern_multistream_dialer_options){names, 1, true});
    uint8_t bytes[64];
    struct tern_writer out = tern_writer_of(bytes, 19);
    tern_multistream_dialer_send(&d, &out);
    assert_int_equal(out.size, 0);
    assert_true(tern_writer_ok(&out));
    out = tern_writer_of(bytes, 20 + 6);
    tern_multistream_dialer_send(&d, &out); /* the header alone */
    assert_int_equal(out.size, 20);
    assert_false(tern_multistream_dialer_can_write(&d));
    out = tern_writer_of(bytes, 7);
    tern_multistream_dialer_send(&d, &out);
    assert_int_equal(out.size, 7);
    assert_true(tern_multistream_dialer_can_write(&d));
}

/* ---- the listener: it accepts "/echo" ---- */

struct listener_case {
    const char *what;
    struct tern_view script;
    struct tern_view said;
    enum tern_multistream_state state;
    tern_err err;
    tern_fault fault;
    size_t proposals; /* events */
    size_t left;
};

static const struct listener_case listener_cases[] = {
    {"says nothing before it has heard the header", TEXT("\x13/multi"), TEXT(""), PENDING, NO_FAULT,
     0, 0},
    {"answers a header alone, for dialers that wait", TEXT(HEADER), TEXT(HEADER), PENDING, NO_FAULT,
     0, 0},
    {"accepts and leaves what follows", TEXT(HEADER ECHO_ "lazy data"), TEXT(HEADER ECHO_),
     NEGOTIATED, NO_FAULT, 1, 9},
    {"refuses and then accepts", TEXT(HEADER OTHER ECHO_), TEXT(HEADER NA ECHO_), NEGOTIATED,
     NO_FAULT, 2, 0},
    {"answers ls with na by itself", TEXT(HEADER LS ECHO_), TEXT(HEADER NA ECHO_), NEGOTIATED,
     NO_FAULT, 1, 0},
    {"answers an empty name with na by itself", TEXT(HEADER "\x01\n" ECHO_), TEXT(HEADER NA ECHO_),
     NEGOTIATED, NO_FAULT, 1, 0},
    {"refuses simultaneous open as any name", TEXT(HEADER SIMOPEN ECHO_), TEXT(HEADER NA ECHO_),
     NEGOTIATED, NO_FAULT, 2, 0},
    {"refuses a first message that is no header", TEXT(ECHO_ "more"), TEXT(""), FAILED,
     BAD(TERN_FAULT_MULTISTREAM_NO_HEADER), 0, 4},
    {"refuses a browser", TEXT("GET / HTTP/1.1\r\n" /* a length of 71 */), TEXT(""), FAILED,
     BAD(TERN_FAULT_MULTISTREAM_NO_HEADER), 0, 0},
    {"refuses a length of zero", TEXT(HEADER "\x00"), TEXT(HEADER), FAILED,
     BAD(TERN_FAULT_MULTISTREAM_BAD_LENGTH), 0, 0},
    {"refuses a length that is not minimal", TEXT(HEADER "\x86\x00"), TEXT(HEADER), FAILED,
     BAD(TERN_FAULT_MULTISTREAM_BAD_LENGTH), 0, 0},
    {"refuses a length of 1025", TEXT(HEADER "\x81\x08"), TEXT(HEADER), FAILED,
     BAD(TERN_FAULT_MULTISTREAM_TOO_LARGE), 0, 0},
    {"refuses a proposal without newline", TEXT(HEADER "\x05/echo"), TEXT(HEADER), FAILED,
     BAD(TERN_FAULT_MULTISTREAM_NO_NEWLINE), 0, 0},
    {"takes a lazy dialer's data after a refusal for what it is: bad text",
     TEXT(HEADER OTHER "\x05hello"), TEXT(HEADER NA), FAILED, TERN_ERR_NO_PROTOCOL,
     TERN_FAULT_MULTISTREAM_GARBAGE_AFTER_REFUSAL, 1, 0},
    {"takes a lazy dialer's data after a refusal for what it is: bad length",
     TEXT(HEADER OTHER "\xff\xff\xff"), TEXT(HEADER NA), FAILED, TERN_ERR_NO_PROTOCOL,
     TERN_FAULT_MULTISTREAM_GARBAGE_AFTER_REFUSAL, 1, 1},
    {"takes a lazy dialer's data after a refusal for what it is: zero", TEXT(HEADER OTHER "\x00"),
     TEXT(HEADER NA), FAILED, TERN_ERR_NO_PROTOCOL, TERN_FAULT_MULTISTREAM_GARBAGE_AFTER_REFUSAL, 1,
     0},
};

static bool answer_proposal(struct tern_multistream_listener *l)
{
    struct tern_view name;
    if (!tern_multistream_listener_proposal(l, &name))
        return false;
    if (tern_view_equal(name, names[0]))
        tern_multistream_listener_accept(l);
    else
        tern_multistream_listener_refuse(l);
    return true;
}

/* Sends now and then only, as the segment's size says, so that answers pile up too. */
static struct outcome run_listener(struct tern_mem *mem, struct tern_view script, size_t segment)
{
    struct outcome o = {.index = 0};
    struct tern_writer out = tern_writer_of(o.said, sizeof o.said);
    struct tern_multistream_listener l;
    tern_multistream_listener_init(&l, mem);
    while (o.used < script.size && l.state == TERN_MULTISTREAM_PENDING) {
        size_t size = tern_min_size(segment, script.size - o.used);
        size_t used;
        tern_err err =
            tern_multistream_listener_recv(&l, tern_view_of(script.data + o.used, size), &used);
        assert_int_equal(err, l.err);
        o.used += used;
        if (answer_proposal(&l))
            o.index++;
        else if (l.state == TERN_MULTISTREAM_PENDING)
            assert_int_equal(used, size);
        if (segment % 2 == 0)
            tern_multistream_listener_send(&l, &out);
    }
    tern_multistream_listener_send(&l, &out);
    assert_false(tern_multistream_listener_want_send(&l));
    assert_true(tern_writer_ok(&out));
    o.state = l.state;
    o.err = l.err;
    o.fault = l.fault;
    o.said_size = out.size;
    tern_multistream_listener_fini(&l);
    assert_int_equal(mem->used, 0);
    return o;
}

static void listener_follows_its_table_in_any_segmentation(void **state)
{
    (void)state;
    struct tern_mem mem;
    tern_mem_init(&mem, TERN_MULTISTREAM_SIZE_MAX);
    for (size_t i = 0; i < TERN_COUNT_OF(listener_cases); i++) {
        const struct listener_case *c = &listener_cases[i];
        for (size_t segment = 1; segment <= c->script.size + 1; segment++) {
            struct outcome o = run_listener(&mem, c->script, segment);
            struct dialer_case expected = {.said = c->said,
                                           .state = c->state,
                                           .err = c->err,
                                           .fault = c->fault,
                                           .index = c->proposals};
            expect_outcome(c->what, &o, &expected);
            if (c->fault != TERN_FAULT_MULTISTREAM_NO_HEADER)
                assert_int_equal(c->script.size - o.used, c->left);
        }
    }
}

static void listener_stops_after_too_many_proposals(void **state)
{
    (void)state;
    static const char one[] = OTHER;
    uint8_t script[20 + 65 * 8];
    struct tern_writer w = tern_writer_of(script, sizeof script);
    tern_writer_str(&w, HEADER);
    for (size_t i = 0; i < TERN_MULTISTREAM_PROPOSALS_MAX; i++)
        tern_writer_str(&w, one);
    struct tern_mem mem;
    tern_mem_init(&mem, 64);
    struct outcome o = run_listener(&mem, tern_writer_view(&w), 1000);
    assert_int_equal(o.state, TERN_MULTISTREAM_PENDING);
    assert_int_equal(o.index, TERN_MULTISTREAM_PROPOSALS_MAX);
    assert_int_equal(o.said_size, 20 + TERN_MULTISTREAM_PROPOSALS_MAX * 4);

    tern_writer_str(&w, one);
    o = run_listener(&mem, tern_writer_view(&w), 1000);
    assert_int_equal(o.fault, TERN_FAULT_MULTISTREAM_TOO_MANY_PROPOSALS);
    assert_int_equal(o.index, TERN_MULTISTREAM_PROPOSALS_MAX);
}

/* The longest name, both ways, with its two-byte length. */
static void longest_name_is_negotiated(void **state)
{
    (void)state;
    uint8_t text[TERN_MULTISTREAM_NAME_SIZE_MAX];
    memset(text, 'x', sizeof text);
    text[0] = '/';
    struct tern_view name = tern_view_of(text, sizeof text);
    struct tern_multistream_dialer d;
    struct tern_multistream_listener l;
    struct tern_mem mem;
    tern_mem_init(&mem, TERN_MULTISTREAM_SIZE_MAX);
    tern_multistream_dialer_init(&d, &(struct tern_multistream_dialer_options){&name, 1, false});
    tern_multistream_listener_init(&l, &mem);

    uint8_t bytes[20 + TERN_MULTISTREAM_WIRE_MAX];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    tern_multistream_dialer_send(&d, &out);
    assert_int_equal(out.size, sizeof bytes);
    size_t used;
    assert_int_equal(tern_multistream_listener_recv(&l, tern_writer_view(&out), &used), TERN_OK);
    struct tern_view proposed;
    assert_true(tern_multistream_listener_proposal(&l, &proposed));
    assert_true(tern_view_equal(proposed, name));
    tern_multistream_listener_accept(&l);
    out = tern_writer_of(bytes, sizeof bytes);
    tern_multistream_listener_send(&l, &out);
    assert_int_equal(tern_multistream_dialer_recv(&d, tern_writer_view(&out), &used), TERN_OK);
    assert_int_equal(d.state, TERN_MULTISTREAM_NEGOTIATED);
    tern_multistream_listener_fini(&l);
    assert_int_equal(mem.used, 0);
}

static void listener_takes_nothing_while_a_proposal_waits(void **state)
{
    (void)state;
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    struct tern_multistream_listener l;
    tern_multistream_listener_init(&l, &mem);
    size_t used;
    struct tern_view in = TEXT(HEADER OTHER OTHER);
    assert_int_equal(tern_multistream_listener_recv(&l, in, &used), TERN_OK);
    assert_int_equal(used, 20 + 8);
    assert_int_equal(tern_multistream_listener_recv(&l, in, &used), TERN_OK);
    assert_int_equal(used, 0);
    tern_multistream_listener_fini(&l); /* with the proposal still waiting */
    assert_int_equal(mem.used, 0);
}

static void listener_reports_missing_memory(void **state)
{
    (void)state;
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    struct tern_view script = TEXT(HEADER OTHER ECHO_);
    for (uint64_t n = 1; n <= 2; n++) {
        tern_mem_fail_at(&mem, n, false);
        struct outcome o = run_listener(&mem, script, 3);
        assert_int_equal(o.state, TERN_MULTISTREAM_FAILED);
        assert_int_equal(o.err, TERN_ERR_MEMORY);
        assert_int_equal(o.fault, TERN_FAULT_NONE);
    }
    tern_mem_fail_at(&mem, 0, false);
    assert_int_equal(run_listener(&mem, script, 3).state, TERN_MULTISTREAM_NEGOTIATED);
}

static void listener_fits_its_memory_budget(void **state)
{
    (void)state;
    assert_true(sizeof(struct tern_multistream_dialer) < 64);
    assert_true(sizeof(struct tern_multistream_listener) < 64);
}

/* Any bytes: no crash, no memory left, a bounded answer; an error comes with a fault. */
static void listener_survives_random_bytes(void **state)
{
    (void)state;
    struct tern_random random;
    tern_random_init_u64(&random, 7);
    struct tern_mem mem;
    tern_mem_init(&mem, TERN_MULTISTREAM_SIZE_MAX);
    for (int round = 0; round < 20000; round++) {
        uint8_t script[64];
        size_t size = (size_t)tern_random_below(&random, sizeof script);
        tern_random_bytes(&random, script, size);
        size_t header = 0;
        if (size > 20 && tern_random_chance(&random, 1, 2)) {
            memcpy(script, HEADER, 20);
            header = 20;
        }
        if (size > header && tern_random_chance(&random, 1, 2))
            script[header] &= 0x07; /* a short message, more often whole */
        struct outcome o =
            run_listener(&mem, tern_view_of(script, size), 1 + tern_random_below(&random, 16));
        if (o.state == TERN_MULTISTREAM_FAILED)
            assert_int_not_equal(o.fault, TERN_FAULT_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialer_follows_its_table_in_any_segmentation),
        cmocka_unit_test(lazy_dialer_may_write_behind_its_proposal),
        cmocka_unit_test(dialer_refuses_answers_to_what_it_has_not_said),
        cmocka_unit_test(failure_sticks_and_takes_nothing_more),
        cmocka_unit_test(messages_are_written_whole_or_not_at_all),
        cmocka_unit_test(listener_follows_its_table_in_any_segmentation),
        cmocka_unit_test(listener_stops_after_too_many_proposals),
        cmocka_unit_test(longest_name_is_negotiated),
        cmocka_unit_test(listener_takes_nothing_while_a_proposal_waits),
        cmocka_unit_test(listener_reports_missing_memory),
        cmocka_unit_test(listener_fits_its_memory_budget),
        cmocka_unit_test(listener_survives_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
