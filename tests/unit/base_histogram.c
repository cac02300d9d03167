/* SPDX-License-Identifier: Apache-2.0
 *
 * Histograms: which bucket a value falls into, and that nothing is lost under many threads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/compiler.h"
#include "base/histogram.h"
#include "base/must.h"

enum { THREADS = 4, ADDITIONS = 20000 };

static const double bounds[] = {1, 2.5, 10};

static void a_value_falls_below_the_first_bound_that_holds_it(void **state)
{
    struct histogram histogram;
    (void)state;
    histogram_init(&histogram, bounds, ARRAY_LENGTH(bounds));
    const double values[] = {0, 1, 1.000001, 2.5, 9.99, 10, 10.5, 1e12};
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
        histogram_add(&histogram, values[i]);
    assert_int_equal(histogram.counts[0], 2);
    assert_int_equal(histogram.counts[1], 2);
    assert_int_equal(histogram.counts[2], 2);
    assert_int_equal(histogram.counts[3], 2);
    assert_int_equal(histogram.sum_micros / 1000000, 1000000000034);
}

static void a_mean_is_of_all_values(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    histogram_init(&histogram, bounds, ARRAY_LENGTH(bounds));
    assert_true(histogram_mean(&histogram) < 0);
    histogram_add(&histogram, 0.5);
    assert_float_equal(histogram_mean(&histogram), 0.5, 1e-6);
    histogram_add(&histogram, 1000); /* above all bounds */
    assert_float_equal(histogram_mean(&histogram), 500.25, 1e-6);
}

static void the_common_bounds_ascend(void **state)
{
    (void)state;
    assert_true(histogram_n_seconds <= HISTOGRAM_BOUNDS_MAX);
    for (size_t i = 1; i < histogram_n_seconds; i++)
        assert_true(histogram_seconds[i - 1] < histogram_seconds[i]);
}

static void *add_many(void *context)
{
    for (int i = 0; i < ADDITIONS; i++)
        histogram_add(context, i % 2 == 0 ? 1 : 5);
    return NULL;
}

static void many_threads_lose_nothing(void **state)
{
    struct histogram histogram;
    pthread_t threads[THREADS];
    (void)state;
    histogram_init(&histogram, bounds, ARRAY_LENGTH(bounds));
    for (int i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, add_many, &histogram) == 0);
    for (int i = 0; i < THREADS; i++)
        must(pthread_join(threads[i], NULL) == 0);
    assert_int_equal(histogram.counts[0], THREADS * ADDITIONS / 2);
    assert_int_equal(histogram.counts[2], THREADS * ADDITIONS / 2);
    assert_int_equal(histogram.sum_micros, 3000000LL * THREADS * ADDITIONS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_falls_below_the_first_bound_that_holds_it),
        cmocka_unit_test(a_mean_is_of_all_values),
        cmocka_unit_test(the_common_bounds_ascend),
        cmocka_unit_test(many_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
