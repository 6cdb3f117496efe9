/* The four tables: errors, faults, metrics, trace events. */
#include "base/error.h"
#include "base/fault.h"
#include "base/metrics.h"
#include "base/trace.h"

#include "tern_test.h"

static void assert_unique(const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_non_null(names[i]);
        assert_true(names[i][0] != 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(names[i], names[j]);
    }
}

static void every_error_has_a_name_a_text_and_a_class(void **state)
{
    (void)state;
    const char *names[TERN_ERR_COUNT];
    for (unsigned i = 0; i < TERN_ERR_COUNT; i++) {
        tern_err err = (tern_err)i;
        names[i] = tern_err_name(err);
        assert_true(strlen(tern_err_text(err)) > 0);
        assert_int_equal(tern_err_class(err) == TERN_CLASS_OK, err == TERN_OK);
    }
    assert_unique(names, TERN_COUNT_OF(names));
    assert_string_equal(tern_err_name(TERN_ERR_TIMEOUT), "TIMEOUT");
    assert_int_equal(tern_err_class(TERN_ERR_BAD_MAC), TERN_CLASS_PEER);
}

static tern_err try_it(tern_err err, bool *went_on)
{
    TERN_TRY(err);
    *went_on = true;
    return TERN_OK;
}

static void try_returns_the_first_error(void **state)
{
    (void)state;
    bool went_on = false;
    assert_int_equal(try_it(TERN_ERR_FULL, &went_on), TERN_ERR_FULL);
    assert_false(went_on);
    assert_int_equal(try_it(TERN_OK, &went_on), TERN_OK);
    assert_true(went_on);
}

static void every_fault_has_a_name_a_text_and_a_weight(void **state)
{
    (void)state;
    const char *names[TERN_FAULT_COUNT];
    for (unsigned i = 0; i < TERN_FAULT_COUNT; i++) {
        tern_fault fault = (tern_fault)i;
        names[i] = tern_fault_name(fault);
        assert_true(strlen(tern_fault_text(fault)) > 0);
        assert_true(tern_fault_weight(fault) <= 100);
    }
    assert_unique(names, TERN_COUNT_OF(names));
    assert_string_equal(tern_fault_name(TERN_FAULT_NONE), "NONE");
    assert_int_equal(tern_fault_weight(TERN_FAULT_NONE), 0);
}

static void every_metric_has_a_name_and_a_help_text(void **state)
{
    (void)state;
    const char *names[TERN_METRIC_COUNT];
    for (unsigned i = 0; i < TERN_METRIC_COUNT; i++) {
        const struct tern_metric_info *info = tern_metric_info((enum tern_metric)i);
        names[i] = info->name;
        assert_true(strlen(info->help) > 0);
        assert_true(info->kind == TERN_METRIC_KIND_COUNTER || info->kind == TERN_METRIC_KIND_GAUGE);
    }
    assert_unique(names, TERN_COUNT_OF(names));
}

static void a_fault_counts_in_total_and_by_name(void **state)
{
    (void)state;
    struct tern_metrics metrics = {0};
    tern_metrics_fault(&metrics, (tern_fault)(TERN_FAULT_COUNT - 1));
    tern_metrics_fault(&metrics, (tern_fault)(TERN_FAULT_COUNT - 1));
    tern_metrics_fault(&metrics, (tern_fault)1);
    assert_int_equal(metrics.values[TERN_METRIC_FAULTS], 3);
    assert_int_equal(metrics.faults[TERN_FAULT_COUNT - 1], 2);
    assert_int_equal(metrics.faults[1], 1);
}

static void metrics_are_added_and_set(void **state)
{
    (void)state;
    struct tern_metrics metrics = {0};
    tern_metric_add(&metrics, TERN_METRIC_FAULTS, 5);
    tern_metric_add(&metrics, TERN_METRIC_FAULTS, 6);
    assert_int_equal(metrics.values[TERN_METRIC_FAULTS], 11);
    tern_metric_set(&metrics, TERN_METRIC_FAULTS, 2);
    assert_int_equal(metrics.values[TERN_METRIC_FAULTS], 2);
}

static void every_trace_event_has_a_name_a_layer_and_a_text(void **state)
{
    (void)state;
    const char *names[TERN_TRACE_COUNT];
    for (unsigned i = 0; i < TERN_TRACE_COUNT; i++) {
        const struct tern_trace_info *info = tern_trace_info((enum tern_trace_id)i);
        names[i] = info->name;
        assert_true(strlen(info->layer) > 0 && strlen(info->text) > 0);
        for (size_t a = 0; a < 3; a++)
            assert_non_null(info->arg_names[a]);
    }
    assert_unique(names, TERN_COUNT_OF(names));
}

static void keep_event(void *context, const struct tern_trace_event *event)
{
    struct tern_trace_event *kept = context;
    *kept = *event;
}

static void a_trace_event_reaches_the_sink_whole(void **state)
{
    (void)state;
    struct tern_trace_event kept = {0};
    struct tern_trace trace = {.sink = keep_event, .context = &kept, .node = 7};
    TERN_TRACE(&trace, 123, NODE_START, 1, 2, UINT64_MAX);
    assert_true(kept.time == 123 && kept.id == TERN_TRACE_NODE_START && kept.node == 7);
    assert_true(kept.args[0] == 1 && kept.args[1] == 2 && kept.args[2] == UINT64_MAX);
    struct tern_trace *none = NULL;
    TERN_TRACE(none, 124, NODE_START, 1, 2, 3);
    trace.sink = NULL;
    TERN_TRACE(&trace, 125, NODE_START, 1, 2, 3);
    tern_trace_emit(NULL, 126, TERN_TRACE_NODE_START, kept.args);
    assert_true(kept.time == 123);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_name_a_text_and_a_class),
        cmocka_unit_test(try_returns_the_first_error),
        cmocka_unit_test(every_fault_has_a_name_a_text_and_a_weight),
        cmocka_unit_test(every_metric_has_a_name_and_a_help_text),
        cmocka_unit_test(a_fault_counts_in_total_and_by_name),
        cmocka_unit_test(metrics_are_added_and_set),
        cmocka_unit_test(every_trace_event_has_a_name_a_layer_and_a_text),
        cmocka_unit_test(a_trace_event_reaches_the_sink_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
