/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue between threads: order, bound, closing, and many senders at once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/queue.h"

struct letter {
    struct queue_item item; /* on the queue under test */
    int sender;
    int number;
};

static struct letter *letter_of(struct queue_item *item)
{
    return CONTAINER_OF(item, struct letter, item);
}

static void items_come_out_in_order(void **state)
{
    (void)state;
    struct queue *queue = queue_new(10);
    struct letter letters[5] = {0};
    for (int i = 0; i < 5; i++) {
        letters[i].number = i;
        assert_true(queue_put(queue, &letters[i].item));
    }
    assert_int_equal(queue_length(queue), 5);
    struct queue_item *items = queue_take(queue, 2, 0);
    assert_int_equal(letter_of(items)->number, 0);
    assert_int_equal(letter_of(items->next)->number, 1);
    assert_null(items->next->next);
    items = queue_take(queue, 100, -1);
    for (int i = 2; i < 5; i++, items = items->next)
        assert_int_equal(letter_of(items)->number, i);
    assert_null(items);
    assert_int_equal(queue_length(queue), 0);
    assert_true(queue_put(queue, &letters[0].item)); /* works anew once emptied */
    assert_ptr_equal(queue_take(queue, 1, 0), &letters[0].item);
    assert_null(queue_free(queue));
    assert_null(queue_free(NULL));
}

static void full_queue_refuses(void **state)
{
    (void)state;
    struct queue *queue = queue_new(2);
    struct letter letters[4] = {0};
    assert_true(queue_put(queue, &letters[0].item));
    assert_true(queue_put(queue, &letters[1].item));
    assert_false(queue_put(queue, &letters[2].item));
    assert_true(queue_put_reserved(queue, &letters[3].item));
    assert_int_equal(queue_length(queue), 3);
    assert_non_null(queue_take(queue, 1, 0));
    assert_false(queue_put(queue, &letters[2].item)); /* still at its bound */
    assert_non_null(queue_take(queue, 1, 0));
    assert_true(queue_put(queue, &letters[2].item));
    assert_non_null(queue_take(queue, 10, 0));
    queue_free(queue);
}

static void closed_queue_drains(void **state)
{
    (void)state;
    struct queue *queue = queue_new(4);
    struct letter letters[2] = {0};
    assert_true(queue_put(queue, &letters[0].item));
    assert_false(queue_is_drained(queue));
    queue_close(queue);
    assert_false(queue_put(queue, &letters[1].item));
    assert_false(queue_put_reserved(queue, &letters[1].item));
    assert_false(queue_is_drained(queue));
    assert_ptr_equal(queue_take(queue, 4, -1), &letters[0].item);
    assert_true(queue_is_drained(queue));
    assert_null(queue_take(queue, 4, -1)); /* returns at once */
    queue_free(queue);
}

static void waiting_ends_at_its_deadline(void **state)
{
    (void)state;
    struct queue *queue = queue_new(4);
    int64_t before_ms = clock_mono_ms();
    assert_null(queue_take(queue, 1, 0));
    assert_null(queue_take(queue, 1, 20));
    assert_true(clock_mono_ms() - before_ms >= 19);
    queue_free(queue);
}

enum { SENDERS = 4, LETTERS_EACH = 3000 };

struct sender {
    pthread_t thread;
    struct queue *queue;
    struct letter *letters;
};

static void *send_letters(void *argument)
{
    struct sender *sender = argument;
    for (int i = 0; i < LETTERS_EACH; i++) {
        while (!queue_put(sender->queue, &sender->letters[i].item))
            sched_yield();
    }
    return NULL;
}

static int count_in_order(struct queue_item *items, int next_of[SENDERS])
{
    int count = 0;
    for (; items != NULL; items = items->next, count++) {
        struct letter *letter = letter_of(items);
        assert_int_equal(letter->number, next_of[letter->sender]++);
    }
    return count;
}

static void many_senders_lose_nothing(void **state)
{
    (void)state;
    struct queue *queue = queue_new(50);
    struct sender senders[SENDERS];
    int next_of[SENDERS] = {0};
    for (int s = 0; s < SENDERS; s++) {
        struct letter *letters = calloc(LETTERS_EACH, sizeof(*letters));
        assert_non_null(letters);
        for (int i = 0; i < LETTERS_EACH; i++)
            letters[i] = (struct letter){.sender = s, .number = i};
        senders[s] = (struct sender){.queue = queue, .letters = letters};
        assert_int_equal(pthread_create(&senders[s].thread, NULL, send_letters, &senders[s]), 0);
    }
    int count = 0;
    while (count < SENDERS * LETTERS_EACH) {
        struct queue_item *items = queue_take(queue, 7, -1);
        assert_non_null(items);
        count += count_in_order(items, next_of);
    }
    for (int s = 0; s < SENDERS; s++) {
        assert_int_equal(pthread_join(senders[s].thread, NULL), 0);
        assert_int_equal(next_of[s], LETTERS_EACH);
        free(senders[s].letters);
    }
    assert_int_equal(queue_length(queue), 0);
    queue_free(queue);
}

static void *close_it(void *argument)
{
    queue_close(argument);
    return NULL;
}

static void closing_wakes_the_receiver(void **state)
{
    (void)state;
    struct queue *queue = queue_new(4);
    pthread_t closer;
    assert_int_equal(pthread_create(&closer, NULL, close_it, queue), 0);
    assert_null(queue_take(queue, 1, -1)); /* would wait for ever */
    assert_int_equal(pthread_join(closer, NULL), 0);
    assert_true(queue_is_drained(queue));
    queue_free(queue);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_order),   cmocka_unit_test(full_queue_refuses),
        cmocka_unit_test(closed_queue_drains),       cmocka_unit_test(waiting_ends_at_its_deadline),
        cmocka_unit_test(many_senders_lose_nothing), cmocka_unit_test(closing_wakes_the_receiver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
