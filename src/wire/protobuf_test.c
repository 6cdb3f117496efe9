#include "wire/protobuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "base/random.h"
#include "oracle.pb-c.h"

#include <cmocka.h>

enum { LIST_MAX = 5, PACKED_MAX = 6, DATA_MAX = 300, MESSAGE_SIZE_MAX = 4096 };

/* The same message in our hands: what the oracle writes is read into this, and the other way round.
 */
struct outer {
    uint64_t u64;
    int64_t i64;
    int64_t s64;
    bool flag;
    uint32_t f32;
    uint64_t f64;
    struct tern_view data;
    struct tern_view inner_name;
    uint64_t inner_value;
    size_t list_count;
    struct tern_view list[LIST_MAX];
    size_t packed_count;
    uint64_t packed[PACKED_MAX];
    uint32_t far;
};

enum { INNER_NAME = 1, INNER_VALUE = 2 };

static uint64_t draw_number(struct tern_random *random)
{
    /* All sizes of varint alike, and the edges often. */
    unsigned bits = (unsigned)tern_random_below(random, 65);
    if (bits == 0)
        return 0;
    uint64_t max = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    return tern_random_chance(random, 1, 4) ? max : tern_random_u64(random) & max;
}

static struct tern_view draw_bytes(struct tern_random *random, uint8_t *buffer)
{
    size_t size = (size_t)tern_random_below(random, DATA_MAX + 1);
    if (tern_random_chance(random, 1, 3))
        size %= 4;
    tern_random_bytes(random, buffer, size);
    return tern_view_of(buffer, size);
}

static void draw_outer(struct tern_random *random, struct outer *o,
                       uint8_t buffers[LIST_MAX + 2][DATA_MAX])
{
    *o = (struct outer){.u64 = draw_number(random),
                        .i64 = (int64_t)draw_number(random),
                        .s64 = (int64_t)draw_number(random),
                        .flag = tern_random_chance(random, 1, 2),
                        .f32 = (uint32_t)draw_number(random),
                        .f64 = draw_number(random),
                        .inner_value = draw_number(random),
                        .far = (uint32_t)draw_number(random)};
    o->data = draw_bytes(random, buffers[0]);
    o->inner_name = draw_bytes(random, buffers[1]);
    o->list_count = (size_t)tern_random_below(random, LIST_MAX + 1);
    for (size_t i = 0; i < o->list_count; i++)
        o->list[i] = draw_bytes(random, buffers[2 + i]);
    o->packed_count = (size_t)tern_random_below(random, PACKED_MAX + 1);
    for (size_t i = 0; i < o->packed_count; i++)
        o->packed[i] = draw_number(random);
}

static void write_packed(struct tern_writer *w, const struct outer *o)
{
    size_t size = 0;
    for (size_t i = 0; i < o->packed_count; i++)
        size += tern_uvarint_size(o->packed[i]);
    tern_pb_write_header(w, 10, size);
    for (size_t i = 0; i < o->packed_count; i++)
        tern_writer_uvarint(w, o->packed[i]);
}

static void write_outer(struct tern_writer *w, const struct outer *o)
{
    tern_pb_write_varint(w, 1, o->u64);
    tern_pb_write_varint(w, 2, tern_pb_int(o->i64));
    tern_pb_write_varint(w, 3, tern_pb_zigzag(o->s64));
    tern_pb_write_varint(w, 4, o->flag);
    tern_pb_write_fixed32(w, 5, o->f32);
    tern_pb_write_fixed64(w, 6, o->f64);
    tern_pb_write_bytes(w, 7, o->data);
    tern_pb_write_header(w, 8,
                         tern_pb_bytes_size(INNER_NAME, o->inner_name.size) +
                             tern_pb_varint_size(INNER_VALUE, o->inner_value));
    tern_pb_write_bytes(w, INNER_NAME, o->inner_name);
    tern_pb_write_varint(w, INNER_VALUE, o->inner_value);
    for (size_t i = 0; i < o->list_count; i++)
        tern_pb_write_bytes(w, 9, o->list[i]);
    write_packed(w, o);
    tern_pb_write_varint(w, TERN_PB_NUMBER_MAX, o->far);
}

static void read_inner(struct tern_view bytes, struct outer *o)
{
    struct tern_pb_iter it = tern_pb_iter_of(bytes);
    struct tern_pb_field f;
    while (tern_pb_next(&it, &f)) {
        if (f.tag == TERN_PB_TAG(INNER_NAME, TERN_PB_BYTES))
            o->inner_name = f.bytes;
        else if (f.tag == TERN_PB_TAG(INNER_VALUE, TERN_PB_VARINT))
            o->inner_value = f.value;
    }
    assert_int_equal(tern_pb_end(&it), TERN_OK);
}

static void read_packed(struct tern_view packed, struct outer *o)
{
    uint64_t value;
    while (tern_pb_packed_next(&packed, &value)) {
        assert_true(o->packed_count < PACKED_MAX);
        o->packed[o->packed_count++] = value;
    }
    assert_int_equal(packed.size, 0);
}

static void read_field(const struct tern_pb_field *f, struct outer *o)
{
    switch (f->tag) {
    case TERN_PB_TAG(1, TERN_PB_VARINT):
        o->u64 = f->value;
        break;
    case TERN_PB_TAG(2, TERN_PB_VARINT):
        o->i64 = tern_pb_to_int(f->value);
        break;
    case TERN_PB_TAG(3, TERN_PB_VARINT):
        o->s64 = tern_pb_from_zigzag(f->value);
        break;
    case TERN_PB_TAG(4, TERN_PB_VARINT):
        o->flag = f->value != 0;
        break;
    case TERN_PB_TAG(5, TERN_PB_FIXED32):
        o->f32 = (uint32_t)f->value;
        break;
    case TERN_PB_TAG(6, TERN_PB_FIXED64):
        o->f64 = f->value;
        break;
    case TERN_PB_TAG(7, TERN_PB_BYTES):
        o->data = f->bytes;
        break;
    case TERN_PB_TAG(8, TERN_PB_BYTES):
        read_inner(f->bytes, o);
        break;
    case TERN_PB_TAG(9, TERN_PB_BYTES):
        assert_true(o->list_count < LIST_MAX);
        o->list[o->list_count++] = f->bytes;
        break;
    case TERN_PB_TAG(10, TERN_PB_BYTES):
        read_packed(f->bytes, o);
        break;
    case TERN_PB_TAG(TERN_PB_NUMBER_MAX, TERN_PB_VARINT):
        o->far = (uint32_t)f->value;
        break;
    default:
        fail_msg("unexpected tag %u", f->tag);
    }
}

static void assert_bytes(struct tern_view expected, const ProtobufCBinaryData *actual)
{
    assert_true(tern_view_equal(expected, tern_view_of(actual->data, actual->len)));
}

static void assert_outer_equal(const struct outer *a, const struct outer *b)
{
    assert_true(a->u64 == b->u64 && a->i64 == b->i64 && a->s64 == b->s64);
    assert_true(a->flag == b->flag && a->f32 == b->f32 && a->f64 == b->f64 && a->far == b->far);
    assert_true(tern_view_equal(a->data, b->data));
    assert_true(tern_view_equal(a->inner_name, b->inner_name));
    assert_true(a->inner_value == b->inner_value);
    assert_int_equal(a->list_count, b->list_count);
    for (size_t i = 0; i < a->list_count; i++)
        assert_true(tern_view_equal(a->list[i], b->list[i]));
    assert_int_equal(a->packed_count, b->packed_count);
    for (size_t i = 0; i < a->packed_count; i++)
        assert_true(a->packed[i] == b->packed[i]);
}

static void assert_oracle_equal(const struct outer *o, const Oracle__Outer *m)
{
    assert_true(m->u64 == o->u64 && m->i64 == o->i64 && m->s64 == o->s64);
    assert_true((m->flag != 0) == o->flag && m->f32 == o->f32 && m->f64 == o->f64);
    assert_true(m->far == o->far);
    assert_bytes(o->data, &m->data);
    assert_non_null(m->inner);
    assert_bytes(o->inner_name, &m->inner->name);
    assert_true(m->inner->value == o->inner_value);
    assert_int_equal(m->n_list, o->list_count);
    for (size_t i = 0; i < o->list_count; i++)
        assert_bytes(o->list[i], &m->list[i]);
    assert_int_equal(m->n_packed, o->packed_count);
    for (size_t i = 0; i < o->packed_count; i++)
        assert_true(m->packed[i] == o->packed[i]);
}

static void what_we_write_the_oracle_reads_and_writes_alike(void **state)
{
    (void)state;
    struct tern_random random;
    tern_random_init_u64(&random, 1);
    static uint8_t buffers[LIST_MAX + 2][DATA_MAX];
    for (int round = 0; round < 2000; round++) {
        struct outer ours;
        draw_outer(&random, &ours, buffers);
        uint8_t bytes[MESSAGE_SIZE_MAX];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        write_outer(&w, &ours);
        assert_true(tern_writer_ok(&w));
        Oracle__Outer *m = oracle__outer__unpack(NULL, w.size, bytes);
        assert_non_null(m);
        assert_oracle_equal(&ours, m);

        uint8_t theirs[MESSAGE_SIZE_MAX];
        size_t theirs_size = oracle__outer__pack(m, theirs);
        struct outer back = {0};
        struct tern_pb_iter it = tern_pb_iter_of(tern_view_of(theirs, theirs_size));
        struct tern_pb_field f;
        size_t raw_size = 0;
        while (tern_pb_next(&it, &f)) {
            read_field(&f, &back);
            raw_size += tern_pb_raw(&it).size;
        }
        assert_int_equal(tern_pb_end(&it), TERN_OK);
        assert_int_equal(raw_size, theirs_size);
        assert_outer_equal(&ours, &back);
        oracle__outer__free_unpacked(m, NULL);
    }
}

/* protobuf-c drops the bits of a varint beyond 64; we refuse it. Are there bytes that may be one?
 */
static bool may_hold_oversized_varint(struct tern_view bytes)
{
    size_t run = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        if (run >= 9 && bytes.data[i] > 1)
            return true;
        run = bytes.data[i] >= 0x80 ? run + 1 : 0;
    }
    return false;
}

static void damaged_messages_are_read_wherever_the_oracle_reads_them(void **state)
{
    (void)state;
    struct tern_random random;
    tern_random_init_u64(&random, 2);
    static uint8_t buffers[LIST_MAX + 2][DATA_MAX];
    size_t accepted = 0;
    for (int round = 0; round < 4000; round++) {
        struct outer ours;
        draw_outer(&random, &ours, buffers);
        uint8_t bytes[MESSAGE_SIZE_MAX];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        write_outer(&w, &ours);
        size_t size = w.size;
        if (tern_random_chance(&random, 1, 2))
            size = (size_t)tern_random_below(&random, size);
        else
            bytes[tern_random_below(&random, size)] ^=
                (uint8_t)(1 << tern_random_below(&random, 8));
        struct tern_pb_iter it = tern_pb_iter_of(tern_view_of(bytes, size));
        struct tern_pb_field f;
        size_t count = 0;
        while (tern_pb_next(&it, &f))
            count++;
        Oracle__Outer *m = oracle__outer__unpack(NULL, size, bytes);
        if (m != NULL && !may_hold_oversized_varint(tern_view_of(bytes, size))) {
            assert_int_equal(tern_pb_end(&it), TERN_OK);
            assert_true(count >= m->base.n_unknown_fields);
            accepted++;
        }
        if (m != NULL)
            oracle__outer__free_unpacked(m, NULL);
    }
    assert_true(accepted > 100);
}

struct malformed_case {
    const char *what;
    size_t size;
    const char *bytes;
};

static void malformed_messages_are_refused(void **state)
{
    (void)state;
    static const struct malformed_case cases[] = {
        {"tag cut short", 1, "\x80"},
        {"field number 0", 2, "\x00\x01"},
        {"tag of six bytes", 7, "\x88\x80\x80\x80\x80\x00\x01"},
        {"tag beyond 32 bits", 6, "\x88\x80\x80\x80\x10\x01"},
        {"varint missing", 1, "\x08"},
        {"varint cut short", 3, "\x08\xff\xff"},
        {"varint of eleven bytes", 12, "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"},
        {"varint beyond 64 bits", 11, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"},
        {"fixed32 cut short", 4, "\x2d\x01\x02\x03"},
        {"fixed64 cut short", 8, "\x31\x01\x02\x03\x04\x05\x06\x07"},
        {"length beyond the end", 3, "\x3a\x02\x01"},
        {"length of 2^63", 11, "\x3a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"},
        {"length of 2^64 - 1", 11, "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
        {"group start", 2, "\x0b\x0c"},
        {"group end", 1, "\x0c"},
        {"wire type 6", 2, "\x0e\x01"},
        {"wire type 7", 2, "\x0f\x01"},
        {"good field, then rubbish", 4, "\x08\x01\x0f\x01"},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_pb_iter it = tern_pb_iter_of(tern_view_of(cases[i].bytes, cases[i].size));
        struct tern_pb_field f;
        size_t count = 0;
        while (tern_pb_next(&it, &f))
            count++;
        if (tern_pb_end(&it) != TERN_ERR_MALFORMED || count > 1)
            fail_msg("%s: err %d after %zu fields", cases[i].what, tern_pb_end(&it), count);
        assert_false(tern_pb_next(&it, &f)); /* the failure sticks */
        assert_int_equal(tern_pb_end(&it), TERN_ERR_MALFORMED);
    }
}

static void long_forms_of_varints_are_read(void **state)
{
    (void)state;
    struct tern_view bytes = tern_view_of("\x88\x80\x00\x85\x80\x80\x00", 7);
    struct tern_pb_iter it = tern_pb_iter_of(bytes);
    struct tern_pb_field f;
    assert_true(tern_pb_next(&it, &f));
    assert_int_equal(tern_pb_number(&f), 1);
    assert_int_equal(tern_pb_type(&f), TERN_PB_VARINT);
    assert_true(f.value == 5);
    assert_false(tern_pb_next(&it, &f));
    assert_int_equal(tern_pb_end(&it), TERN_OK);
}

static void the_largest_varint_and_field_number_are_read(void **state)
{
    (void)state;
    struct tern_view bytes =
        tern_view_of("\xf8\xff\xff\xff\x0f\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 15);
    struct tern_pb_iter it = tern_pb_iter_of(bytes);
    struct tern_pb_field f;
    assert_true(tern_pb_next(&it, &f));
    assert_int_equal(tern_pb_number(&f), TERN_PB_NUMBER_MAX);
    assert_true(f.value == UINT64_MAX);
}

static void an_empty_message_has_no_fields(void **state)
{
    (void)state;
    struct tern_pb_iter it = tern_pb_iter_of(tern_view_of(NULL, 0));
    struct tern_pb_field f;
    assert_false(tern_pb_next(&it, &f));
    assert_int_equal(tern_pb_end(&it), TERN_OK);
}

static void stopping_before_the_end_is_noticed(void **state)
{
    (void)state;
    struct tern_pb_iter it = tern_pb_iter_of(tern_view_of("\x08\x01\x10\x02", 4));
    struct tern_pb_field f;
    assert_true(tern_pb_next(&it, &f));
    assert_int_equal(tern_pb_end(&it), TERN_ERR_MALFORMED);
    assert_true(tern_view_equal(tern_pb_raw(&it), tern_view_of("\x08\x01", 2)));
}

static void a_bad_packed_field_leaves_bytes_over(void **state)
{
    (void)state;
    struct tern_view packed = tern_view_of("\x01\xff", 2);
    uint64_t value;
    assert_true(tern_pb_packed_next(&packed, &value));
    assert_true(value == 1);
    assert_false(tern_pb_packed_next(&packed, &value));
    assert_int_equal(packed.size, 1);
}

struct frame_case {
    const char *bytes;
    size_t size;
    size_t size_max;
    tern_err err;
    size_t message_size;
    size_t used;
};

static void frames_are_cut_from_a_stream(void **state)
{
    (void)state;
    static const struct frame_case cases[] = {
        {"", 0, 10, TERN_ERR_TRUNCATED, 0, 0},
        {"\x03"
         "ab",
         3, 10, TERN_ERR_TRUNCATED, 0, 0},
        {"\x03"
         "abc",
         4, 10, TERN_OK, 3, 4},
        {"\x03"
         "abcdef",
         7, 3, TERN_OK, 3, 4},
        {"\x03"
         "abc",
         4, 2, TERN_ERR_TOO_LARGE, 0, 0},
        {"\xff\xff\xff\xff\x0f", 5, 1 << 20, TERN_ERR_TOO_LARGE, 0, 0},
        {"\x80", 1, 10, TERN_ERR_TRUNCATED, 0, 0},
        {"\x83\x00"
         "abc",
         5, 10, TERN_ERR_NOT_MINIMAL, 0, 0},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, 10, TERN_ERR_MALFORMED, 0, 0},
        {"\x00", 1, 10, TERN_OK, 0, 1},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        const struct frame_case *c = &cases[i];
        struct tern_view message;
        size_t used;
        tern_err err = tern_pb_frame(tern_view_of(c->bytes, c->size), c->size_max, &message, &used);
        assert_int_equal(err, c->err);
        assert_int_equal(message.size, c->message_size);
        assert_int_equal(used, c->used);
    }
}

static void sizes_told_are_sizes_written(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {1, 15, 16, 2047, 2048, TERN_PB_NUMBER_MAX};
    static const uint64_t values[] = {0, 127, 128, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < TERN_COUNT_OF(numbers); i++) {
        for (size_t j = 0; j < TERN_COUNT_OF(values); j++) {
            uint8_t bytes[32];
            struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
            tern_pb_write_varint(&w, numbers[i], values[j]);
            assert_int_equal(w.size, tern_pb_varint_size(numbers[i], values[j]));
        }
        uint8_t bytes[400];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        tern_pb_write_bytes(&w, numbers[i], tern_view_of(values, sizeof values));
        assert_int_equal(w.size, tern_pb_bytes_size(numbers[i], sizeof values));
    }
}

static void writing_past_the_room_sticks(void **state)
{
    (void)state;
    uint8_t bytes[4];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_pb_write_bytes(&w, 1, tern_view_str("abc"));
    assert_false(tern_writer_ok(&w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_we_write_the_oracle_reads_and_writes_alike),
        cmocka_unit_test(damaged_messages_are_read_wherever_the_oracle_reads_them),
        cmocka_unit_test(malformed_messages_are_refused),
        cmocka_unit_test(long_forms_of_varints_are_read),
        cmocka_unit_test(the_largest_varint_and_field_number_are_read),
        cmocka_unit_test(an_empty_message_has_no_fields),
        cmocka_unit_test(stopping_before_the_end_is_noticed),
        cmocka_unit_test(a_bad_packed_field_leaves_bytes_over),
        cmocka_unit_test(frames_are_cut_from_a_stream),
        cmocka_unit_test(sizes_told_are_sizes_written),
        cmocka_unit_test(writing_past_the_room_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
