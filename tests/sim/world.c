/* SPDX-License-Identifier: Apache-2.0
 *
 * Time. One heap holds all timers of all loops; the world goes from one to the next, and nothing else ever happens. The
 * clocks, the randomness and the ids of the engine are the world's: the linker puts these in the place of base's
 * (`--wrap`), and the loop in the place of base/loop.c. */
#include <pthread.h>
#include <stdarg.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

#include "base/clock.h"
#include "base/crypt.h"
#include "base/id.h"
#include "base/log.h"
#include "base/must.h"

enum { LOOK_ROUND_EVENTS = 1024 }; /* between two looks at all tasks */

static const int64_t EPOCH_MICROS = INT64_C(1790000000000000);

struct world *the_world;

struct item {
    int64_t due_micros, order;
    struct loop_timer *timer;
};

/* A heap, by time and then by order of arming; place 0 is empty. */
struct agenda {
    struct item *items;
    long count, room;
    int64_t order;
};

static struct agenda agenda;

struct loop {
    struct node *node; /* NULL: the world's own */
    struct loop_job *first, **last;
    struct loop_timer inbox;
    bool has_stopped;
};

/* ---- the heap ---- */

static bool is_before(const struct item *a, const struct item *b)
{
    return a->due_micros != b->due_micros ? a->due_micros < b->due_micros : a->order < b->order;
}

static void place(long at, struct item item)
{
    agenda.items[at] = item;
    item.timer->heap_index = at;
}

static void rise(long at, struct item item)
{
    while (at > 1 && is_before(&item, &agenda.items[at / 2])) {
        place(at, agenda.items[at / 2]);
        at /= 2;
    }
    place(at, item);
}

static void sink(long at, struct item item)
{
    for (long child; (child = 2 * at) <= agenda.count; at = child) {
        if (child < agenda.count && is_before(&agenda.items[child + 1], &agenda.items[child])) {
            child++;
        }
        if (is_before(&item, &agenda.items[child])) {
            break;
        }
        place(at, agenda.items[child]);
    }
    place(at, item);
}

static void take_out(struct loop_timer *timer)
{
    long at = timer->heap_index;
    struct item last = agenda.items[agenda.count--];
    timer->heap_index = 0;
    if (last.timer != timer) {
        (at > 1 && is_before(&last, &agenda.items[at / 2]) ? rise : sink)(at, last);
    }
}

static void put(struct loop_timer *timer, int64_t delay_micros)
{
    if (timer->heap_index > 0) {
        take_out(timer);
    }
    if (++agenda.count >= agenda.room) {
        agenda.room = 2 * agenda.count + 64;
        agenda.items = must_realloc(agenda.items, (size_t)agenda.room * sizeof *agenda.items);
    }
    rise(agenda.count, (struct item){the_world->now_micros + delay_micros, ++agenda.order, timer});
}

void world_arm(struct loop_timer *timer, int64_t delay_ms)
{
    put(timer, delay_ms * 1000);
}

bool world_step(struct world *world)
{
    if (agenda.count == 0) {
        return false;
    }
    struct item item = agenda.items[1];
    take_out(item.timer);
    if (item.due_micros > world->now_micros) {
        world->now_micros = item.due_micros;
    }
    item.timer->fire(item.timer);
    if (++world->n_events % LOOK_ROUND_EVENTS == 0) {
        watch_world(world);
    }
    return true;
}

void world_forget_time(void)
{
    free(agenda.items);
    agenda = (struct agenda){NULL, 0, 0, 0};
}

/* ---- the loop ---- */

/* A loop's jobs run together, as those of an inbox do. */
static void on_inbox(struct loop_timer *timer)
{
    struct loop *loop = CONTAINER_OF(timer, struct loop, inbox);
    struct loop_job *job = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    while (job) {
        struct loop_job *next = job->next;
        job->run(job);
        job = next;
    }
}

int loop_new(struct loop **ret_loop)
{
    struct loop *loop = must_calloc(1, sizeof *loop);
    loop->last = &loop->first;
    loop->inbox.fire = on_inbox;
    loop->node = TAKE(the_world->newborn);
    if (loop->node) {
        loop->node->loop = loop;
    }
    *ret_loop = loop;
    return 0;
}

struct node *loop_node(const struct loop *loop)
{
    return loop->node;
}

bool loop_has_stopped(const struct loop *loop)
{
    return loop->has_stopped;
}

struct loop *loop_free(struct loop *loop)
{
    if (loop) {
        while (loop->first) {
            on_inbox(&loop->inbox);
        }
        if (loop->inbox.heap_index > 0) {
            take_out(&loop->inbox);
        }
        free(loop);
    }
    return NULL;
}

int loop_watch(struct loop *loop, struct loop_watch *watch, int events)
{
    (void)loop, (void)watch, (void)events;
    must(false); /* nothing here has a descriptor to wait for */
    return 0;
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
    (void)loop, (void)watch;
}

void loop_arm(struct loop *loop, struct loop_timer *timer, int64_t delay_ms)
{
    (void)loop;
    put(timer, delay_ms * 1000);
}

void loop_disarm(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    if (timer->heap_index > 0) {
        take_out(timer);
    }
}

bool loop_is_armed(const struct loop_timer *timer)
{
    return timer->heap_index > 0;
}

void loop_post(struct loop *loop, struct loop_job *job)
{
    job->next = NULL;
    *loop->last = job;
    loop->last = &job->next;
    if (loop->inbox.heap_index == 0) {
        put(&loop->inbox, world_between(5, 500));
    }
}

void loop_stop(struct loop *loop)
{
    loop->has_stopped = true;
}

void loop_run(struct loop *loop)
{
    (void)loop; /* world_run() does */
}

long loop_watches(const struct loop *loop)
{
    (void)loop;
    return 0;
}

/* While an engine is taken apart: what is under way outside its loop comes back. */
void loop_turn(struct loop *loop, int most_wait_ms)
{
    (void)most_wait_ms;
    while (loop->first) {
        on_inbox(&loop->inbox);
    }
    simulated_store_flush(loop->node->store);
}

/* ---- clocks, dice, ids ---- */

int64_t world_now_ms(void)
{
    return the_world->now_micros / 1000;
}

int64_t __wrap_clock_mono_micros(void);
int64_t __wrap_clock_mono_ms(void);
int64_t __wrap_clock_wall_micros(void);
int64_t __wrap_clock_wall_ms(void);
void __wrap_crypt_random(void *ret_bytes, size_t length);
void __wrap_id_new(const char *prefix, char *ret_text, size_t size);
void __wrap_log_write(enum log_level level, const struct log_about *about, const char *format, ...)
    PRINTF_LIKE(3, 4);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *argument), void *argument);

int64_t __wrap_clock_mono_micros(void)
{
    return the_world->now_micros;
}

int64_t __wrap_clock_mono_ms(void)
{
    return the_world->now_micros / 1000;
}

int64_t __wrap_clock_wall_micros(void)
{
    return EPOCH_MICROS + the_world->wall_micros + the_world->now_micros;
}

int64_t __wrap_clock_wall_ms(void)
{
    return __wrap_clock_wall_micros() / 1000;
}

/* SplitMix64: Steele, Lea and Flood, «Fast splittable pseudorandom number generators», 2014. */
uint64_t world_dice(void)
{
    uint64_t z = the_world->dice += 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

int64_t world_between(int64_t least, int64_t most)
{
    return least + (int64_t)(world_dice() % (uint64_t)(most - least + 1));
}

bool world_chance(int in_thousand)
{
    return world_between(0, 999) < in_thousand;
}

bool world_fault(int in_thousand)
{
    return world_now_ms() < FAULTS_END_MS && world_chance(in_thousand);
}

double world_lognormal(double median, double sigma)
{
    double sum = 0;
    for (int i = 0; i < 12; i++) { /* nearly normal, and in the same way on every machine */
        sum += (double)(world_dice() >> 11) * 0x1p-53;
    }
    return median * exp(sigma * (sum - 6.0));
}

void __wrap_crypt_random(void *ret_bytes, size_t length)
{
    unsigned char *bytes = ret_bytes;
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (unsigned char)world_dice();
    }
}

void __wrap_id_new(const char *prefix, char *ret_text, size_t size)
{
    uint8_t random[10] = {0};
    uint64_t counter = ++the_world->id_counter;
    for (size_t i = 0; i < 8; i++) {
        random[9 - i] = (uint8_t)(counter >> (8 * i));
    }
    struct uuid uuid = id_uuid7(__wrap_clock_wall_ms(), random);
    id_typeid_write(prefix, &uuid, ret_text, size);
}

/* The engine's one thread is the world's. */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *argument), void *argument)
{
    (void)attributes, (void)run, (void)argument;
    *thread = pthread_self();
    return 0;
}

/* ---- what is said ---- */

PRINTF_LIKE(1, 0)
static void say(const char *format, va_list values)
{
    char text[600];
    vsnprintf(text, sizeof text, format, values);
    printf("%12.3f %s\n", (double)the_world->now_micros / 1e6, text);
}

void world_trace(const char *format, ...)
{
    if (the_world->is_traced) {
        va_list values;
        va_start(values, format);
        say(format, values);
        va_end(values);
    }
}

void __wrap_log_write(enum log_level level, const struct log_about *about, const char *format, ...)
{
    (void)level, (void)about;
    if (the_world && the_world->is_traced) {
        char text[500];
        va_list values;
        va_start(values, format);
        vsnprintf(text, sizeof text, format, values);
        va_end(values);
        world_trace("  log %s: %s", about && about->task_id ? about->task_id : "-", text);
    }
}

void world_fail(const char *format, ...)
{
    char text[600];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    printf("# %.3f s: %s\n# again, step by step: sim --seed %llu --trace\n",
           (double)the_world->now_micros / 1e6, text, (unsigned long long)the_world->seed);
    fflush(stdout);
    _exit(1);
}
