/*
 * Who sends next: against a slow model, and the promises that a muxer's users build on: control
 * first, shares by weight, short waits.
 */
#include "mux/schedule.h"

#include "base/random.h"
#include "tern_test.h"

enum { STREAMS = 24, WEIGHT_SUM = 17, FRAME_MAX = 65519 };

static const unsigned weights[TERN_STREAM_CLASS_COUNT] = {
    [TERN_STREAM_CONSENSUS] = 8, [TERN_STREAM_BLOCKS] = 4, [TERN_STREAM_TRANSACTIONS] = 2,
    [TERN_STREAM_MARKET] = 2,    [TERN_STREAM_BULK] = 1,
};

/* --- the model: lines are arrays of stream numbers, shares are plain numbers --- */

struct model {
    int lines[TERN_STREAM_CLASS_COUNT][STREAMS];
    int counts[TERN_STREAM_CLASS_COUNT];
    int class_of[STREAMS];
    int64_t left[STREAMS];
    int64_t share[TERN_STREAM_CLASS_COUNT];
    int now;
};

static int model_place(const struct model *m, int stream)
{
    const int *line = m->lines[m->class_of[stream]];
    for (int i = 0; i < m->counts[m->class_of[stream]]; i++)
        if (line[i] == stream)
            return i;
    return -1;
}

static void model_add(struct model *m, int stream)
{
    int class = m->class_of[stream];
    if (model_place(m, stream) < 0)
        m->lines[class][m->counts[class]++] = stream;
}

static void model_remove(struct model *m, int stream)
{
    int class = m->class_of[stream];
    int place = model_place(m, stream);
    if (place < 0)
        return;
    for (int i = place + 1; i < m->counts[class]; i++)
        m->lines[class][i - 1] = m->lines[class][i];
    m->counts[class]--;
    m->left[stream] = 0;
}

static void model_set_class(struct model *m, int stream, int class)
{
    bool waits = model_place(m, stream) >= 0;
    if (m->class_of[stream] == class)
        return;
    model_remove(m, stream);
    m->class_of[stream] = class;
    if (waits)
        model_add(m, stream);
}

static int model_waiting(const struct model *m)
{
    int sum = 0;
    for (int i = 0; i < TERN_STREAM_CLASS_COUNT; i++)
        sum += m->counts[i];
    return sum;
}

/* Goes around the classes, giving each that waits its share, until one has something to spend. */
static int model_class(struct model *m)
{
    if (m->counts[TERN_STREAM_CONTROL] > 0)
        return TERN_STREAM_CONTROL;
    while (m->counts[m->now] == 0 || m->share[m->now] <= 0) {
        if (m->counts[m->now] == 0)
            m->share[m->now] = 0;
        m->now = (m->now + 1) % TERN_STREAM_CLASS_COUNT;
        if (m->counts[m->now] > 0)
            m->share[m->now] += (int64_t)weights[m->now] * TERN_SCHEDULE_TURN;
    }
    return m->now;
}

static int model_next(struct model *m, size_t *size_max)
{
    *size_max = SIZE_MAX;
    if (model_waiting(m) == 0)
        return -1;
    int class = model_class(m);
    int stream = m->lines[class][0];
    bool alone = m->counts[class] == 1;
    if (model_waiting(m) == 1 || (class == TERN_STREAM_CONTROL && alone))
        return stream;
    int64_t most = m->left[stream] > 0 ? m->left[stream] : TERN_SCHEDULE_TURN;
    if (alone && m->share[class] > most)
        most = m->share[class];
    *size_max = (size_t)most;
    return stream;
}

static void model_yield(struct model *m, int stream)
{
    bool waits = model_place(m, stream) >= 0;
    model_remove(m, stream);
    if (waits)
        model_add(m, stream);
    m->left[stream] = 0;
}

static void model_sent(struct model *m, int stream, size_t size)
{
    int class = m->class_of[stream];
    if (m->left[stream] == 0)
        m->left[stream] = TERN_SCHEDULE_TURN;
    m->left[stream] -= (int64_t)size;
    if (m->left[stream] <= 0)
        model_yield(m, stream);
    if (class == TERN_STREAM_CONTROL)
        return;
    m->share[class] -= (int64_t)size;
    if (m->share[class] < -TERN_SCHEDULE_TURN)
        m->share[class] = -TERN_SCHEDULE_TURN;
}

/* --- the schedule beside it --- */

struct fixture {
    struct tern_schedule schedule;
    struct tern_schedule_turn turns[STREAMS];
    struct model model;
    struct tern_random random;
};

static void fixture_init(struct fixture *f, uint64_t seed)
{
    memset(f, 0, sizeof *f);
    tern_random_init_u64(&f->random, seed);
    tern_schedule_init(&f->schedule);
    for (int i = 0; i < STREAMS; i++) {
        tern_schedule_turn_init(&f->turns[i], TERN_STREAM_BULK);
        f->model.class_of[i] = TERN_STREAM_BULK;
    }
}

static int fixture_next(struct fixture *f, size_t *size_max)
{
    struct tern_schedule_turn *turn = tern_schedule_next(&f->schedule, size_max);
    return turn == NULL ? -1 : (int)(turn - f->turns);
}

static void fixture_send(struct fixture *f)
{
    size_t most;
    size_t again;
    size_t expected;
    int stream = fixture_next(f, &most);
    assert_int_equal(stream, model_next(&f->model, &expected));
    assert_true(most == expected);
    assert_int_equal(fixture_next(f, &again), stream);
    assert_true(most == again);
    if (stream < 0)
        return;
    size_t size = tern_min_size(most, tern_random_below(&f->random, FRAME_MAX));
    tern_schedule_sent(&f->schedule, &f->turns[stream], size);
    model_sent(&f->model, stream, size);
    if (tern_random_chance(&f->random, 1, 2))
        return;
    tern_schedule_yield(&f->schedule, &f->turns[stream]);
    model_yield(&f->model, stream);
}

static void fixture_step(struct fixture *f)
{
    int stream = (int)tern_random_below(&f->random, STREAMS);
    int class = (int)tern_random_below(&f->random, TERN_STREAM_CLASS_COUNT);
    switch (tern_random_below(&f->random, 16)) {
    case 0:
    case 1:
    case 2:
        tern_schedule_add(&f->schedule, &f->turns[stream]);
        model_add(&f->model, stream);
        break;
    case 3:
    case 4:
        tern_schedule_remove(&f->schedule, &f->turns[stream]);
        model_remove(&f->model, stream);
        break;
    case 5:
        tern_schedule_set_class(&f->schedule, &f->turns[stream], (enum tern_stream_class) class);
        model_set_class(&f->model, stream, class);
        break;
    default:
        fixture_send(f);
        break;
    }
}

static void any_order_of_calls_gives_what_the_model_gives(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct fixture f;
        fixture_init(&f, seed);
        for (int i = 0; i < 5000; i++) {
            fixture_step(&f);
            assert_int_equal(f.schedule.waiting_count, model_waiting(&f.model));
            assert_int_equal(tern_schedule_empty(&f.schedule), model_waiting(&f.model) == 0);
            for (int s = 0; s < STREAMS; s++)
                assert_int_equal(tern_schedule_waits(&f.turns[s]), model_place(&f.model, s) >= 0);
        }
    }
}

/* --- promises --- */

static void fixture_line_up(struct fixture *f, int stream, enum tern_stream_class class)
{
    tern_schedule_set_class(&f->schedule, &f->turns[stream], class);
    tern_schedule_add(&f->schedule, &f->turns[stream]);
}

/* Sends once, at most frame_max bytes; returns which stream it was and adds to what it has sent. */
static int fixture_frame(struct fixture *f, size_t frame_max, uint64_t *sent)
{
    size_t most;
    int stream = fixture_next(f, &most);
    assert_true(stream >= 0);
    size_t size = tern_min_size(most, frame_max);
    tern_schedule_sent(&f->schedule, &f->turns[stream], size);
    sent[stream] += size;
    return stream;
}

/* Frames of a packet's size as of QUIC, of WebRTC's largest message, of a Noise frame. */
static const size_t frames[] = {1200, 16384, FRAME_MAX};

static void classes_share_by_weight_however_many_streams_they_have(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(frames); i++) {
        struct fixture f;
        uint64_t sent[STREAMS] = {0};
        uint64_t total = 0;
        uint64_t of_class[TERN_STREAM_CLASS_COUNT] = {0};
        fixture_init(&f, 1);
        for (int s = 0; s < 15; s++) /* one of CONSENSUS, two of BLOCKS … five of BULK */
            fixture_line_up(&f, s,
                            (enum tern_stream_class)(1 + (s > 0) + (s > 2) + (s > 5) + (s > 9)));
        while (total < UINT64_C(64) << 20) {
            uint64_t before[STREAMS];
            memcpy(before, sent, sizeof before);
            int stream = fixture_frame(&f, frames[i], sent);
            total += sent[stream] - before[stream];
            of_class[f.turns[stream].class] += sent[stream] - before[stream];
        }
        for (int c = 1; c < TERN_STREAM_CLASS_COUNT; c++) {
            uint64_t share = total * weights[c] / WEIGHT_SUM;
            assert_in_range(of_class[c], share * 98 / 100, share * 102 / 100);
        }
        for (int s = 11; s < 15; s++) /* and the streams of a class share alike */
            assert_in_range(sent[s], sent[10] * 9 / 10, sent[10] * 11 / 10);
    }
}

static void nobody_waits_longer_than_a_round(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(frames); i++) {
        struct fixture f;
        uint64_t sent[STREAMS] = {0};
        uint64_t total = 0;
        uint64_t seen[STREAMS] = {0};
        fixture_init(&f, 1);
        for (int s = 0; s < 10; s++)
            fixture_line_up(&f, s, (enum tern_stream_class)(1 + s % 5));
        while (total < UINT64_C(8) << 20) {
            uint64_t before = total;
            int stream = fixture_frame(&f, frames[i], sent);
            total = 0;
            for (int s = 0; s < STREAMS; s++)
                total += sent[s];
            /* A round is the sum of the weights in turns; a class may be in debt for one more, and
             * the two streams of a class take turns. */
            assert_true(before - seen[stream] <= 3 * WEIGHT_SUM * TERN_SCHEDULE_TURN);
            seen[stream] = total;
        }
    }
}

static void control_goes_next_whatever_waits(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(frames); i++) {
        struct fixture f;
        uint64_t sent[STREAMS] = {0};
        fixture_init(&f, 1);
        for (int s = 1; s < STREAMS; s++)
            fixture_line_up(&f, s, (enum tern_stream_class)(1 + s % 5));
        for (int n = 0; n < 2000; n++) {
            size_t most;
            int interrupted = fixture_next(&f, &most);
            fixture_line_up(&f, 0, TERN_STREAM_CONTROL);
            assert_int_equal(fixture_next(&f, &most), 0);
            assert_true(most == SIZE_MAX);
            tern_schedule_sent(&f.schedule, &f.turns[0], 100);
            tern_schedule_remove(&f.schedule, &f.turns[0]);
            /* And whoever was next before is next behind it. */
            assert_int_equal(fixture_next(&f, &most), interrupted);
            fixture_frame(&f, frames[i], sent);
        }
    }
}

static void control_streams_share_among_themselves(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t sent[STREAMS] = {0};
    fixture_init(&f, 1);
    fixture_line_up(&f, 0, TERN_STREAM_CONTROL);
    fixture_line_up(&f, 1, TERN_STREAM_CONTROL);
    fixture_line_up(&f, 2, TERN_STREAM_CONSENSUS);
    for (int i = 0; i < 100; i++)
        assert_int_equal(fixture_frame(&f, FRAME_MAX, sent), i % 2);
    assert_int_equal(sent[0], 50 * TERN_SCHEDULE_TURN);
    assert_int_equal(sent[1], 50 * TERN_SCHEDULE_TURN);
}

static void a_stream_that_is_alone_has_no_bound_and_owes_little(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t sent[STREAMS] = {0};
    size_t most;
    fixture_init(&f, 1);
    fixture_line_up(&f, 0, TERN_STREAM_BULK);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(fixture_next(&f, &most), 0);
        assert_true(most == SIZE_MAX);
        fixture_frame(&f, FRAME_MAX, sent);
    }
    /* Then another comes: it is served soon, and the first one again soon after. */
    fixture_line_up(&f, 1, TERN_STREAM_MARKET);
    uint64_t others = 0;
    assert_int_equal(fixture_frame(&f, 1200, sent), 1);
    for (others = sent[1]; fixture_frame(&f, 1200, sent) == 1; others = sent[1])
        assert_true(others < 6 * TERN_SCHEDULE_TURN);
}

/* Packets are smaller than a turn: a stream goes on with the next one. */
static void a_turn_is_as_long_over_small_packets(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t sent[STREAMS] = {0};
    fixture_init(&f, 1);
    for (int s = 0; s < 3; s++)
        fixture_line_up(&f, s, TERN_STREAM_BULK);
    for (int round = 0; round < 6; round++) {
        uint64_t before = sent[round % 3];
        while (sent[round % 3] - before < TERN_SCHEDULE_TURN)
            assert_int_equal(fixture_frame(&f, 1200, sent), round % 3);
        assert_int_equal(sent[round % 3] - before, TERN_SCHEDULE_TURN);
    }
    /* Unless it leaves the line: the next turn is a whole one. */
    fixture_frame(&f, 1200, sent);
    tern_schedule_remove(&f.schedule, &f.turns[0]);
    tern_schedule_add(&f.schedule, &f.turns[0]);
    size_t most;
    assert_int_equal(fixture_next(&f, &most), 1);
    tern_schedule_yield(&f.schedule, &f.turns[1]);
    tern_schedule_yield(&f.schedule, &f.turns[2]);
    assert_int_equal(fixture_next(&f, &most), 0);
    assert_int_equal(most, TERN_SCHEDULE_TURN);
}

static void streams_that_are_not_in_line_may_be_moved_and_yield(void **state)
{
    (void)state;
    struct fixture f;
    size_t most;
    fixture_init(&f, 1);
    assert_null(tern_schedule_next(&f.schedule, &most));
    tern_schedule_remove(&f.schedule, &f.turns[0]);
    tern_schedule_yield(&f.schedule, &f.turns[0]);
    tern_schedule_set_class(&f.schedule, &f.turns[0], TERN_STREAM_CONTROL);
    tern_schedule_sent(&f.schedule, &f.turns[0], 40000);
    assert_true(tern_schedule_empty(&f.schedule));
    tern_schedule_add(&f.schedule, &f.turns[0]);
    tern_schedule_add(&f.schedule, &f.turns[0]);
    assert_int_equal(f.schedule.waiting_count, 1);
    tern_schedule_remove(&f.schedule, &f.turns[0]);
    assert_true(tern_schedule_empty(&f.schedule));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_calls_gives_what_the_model_gives),
        cmocka_unit_test(classes_share_by_weight_however_many_streams_they_have),
        cmocka_unit_test(nobody_waits_longer_than_a_round),
        cmocka_unit_test(control_goes_next_whatever_waits),
        cmocka_unit_test(control_streams_share_among_themselves),
        cmocka_unit_test(a_stream_that_is_alone_has_no_bound_and_owes_little),
        cmocka_unit_test(a_turn_is_as_long_over_small_packets),
        cmocka_unit_test(streams_that_are_not_in_line_may_be_moved_and_yield),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
