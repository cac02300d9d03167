/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's side of many event streams: the real HTTP face and the real hub, with tasks that stand still in the store while
 * this program publishes changes of them at a steady pace, as the engine does after its commits. The time of each is in its
 * `status_update_time` (microseconds of CLOCK_MONOTONIC), so that whoever hears it knows how long it took.
 *
 * `events DIRECTORY TASKS` prints its URL, then each task's id; then it obeys lines on its standard input:
 *     say RATE SECONDS   publish so many changes a second; prints how many
 *     tell               prints memory in KiB, processor time in microseconds, streams, wake-ups
 * and ends with it. The key is "bench". */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "api/server.h"
#include "asset/asset.h"
#include "asset/link_keys.h"
#include "base/clock.h"
#include "base/crypt.h"
#include "base/id.h"
#include "base/log.h"
#include "base/must.h"
#include "bench_request.h"
#include "engine/engine.h"
#include "net/guard.h"
#include "notify/hub.h"
#include "store/store.h"
#include "upstream/channel.h"

enum { PATH_SIZE = 512, LINE_SIZE = 100, TICK_MS = 1 };

static const char config[] = "listen: 127.0.0.1:0\n"
                             "log: {level: error}\n"
                             "http: {connections: 20000, per_address: 20000, threads: 8}\n"
                             "notify: {watchers: 20000, per_tenant: 20000}\n";

struct house {
    struct settings *settings;
    struct channel_table *channels;
    struct guard *guard;
    struct store *store;
    struct asset_store *assets;
    struct link_keys link_keys;
    struct hub *hub;
    struct engine *engine;
    struct server *server;
    struct task **tasks; /* as the hub hears of them */
    size_t n_tasks;
    int64_t change;
};

/* ---- tasks ---- */

/* To the store it has ended, so that the engine leaves it alone. */
static struct task *new_task(void)
{
    struct task_request *request = bench_request();
    task_request_pack(request);
    struct task *task = task_new(request, clock_wall_ms() + 86400000);
    task->state = TASK_CANCELLED;
    task->failure = TASK_FAILURE_CANCELLED;
    task->ended_ms = task->status_update_ms;
    return task;
}

struct creation {
    struct store_write write;
    atomic_int *n_left;
};

static void on_created(struct store_write *write)
{
    must(write->result == STORE_WRITTEN);
    atomic_fetch_sub(CONTAINER_OF(write, struct creation, write)->n_left, 1);
}

static void create_all(struct house *house)
{
    struct creation *creations = must_calloc(house->n_tasks, sizeof *creations);
    atomic_int n_left = (int)house->n_tasks;
    for (size_t i = 0; i < house->n_tasks; i++) {
        house->tasks[i] = new_task();
        creations[i].n_left = &n_left;
        creations[i].write =
            (struct store_write){.kind = STORE_CREATE, .task = house->tasks[i], .done = on_created};
        while (store_submit(house->store, &creations[i].write) != 0) {
            usleep(1000);
        }
    }
    while (atomic_load(&n_left) > 0) {
        usleep(1000);
    }
    free(creations);
}

/* From now on the hub takes them for unfinished. */
static void begin_all(struct house *house)
{
    for (size_t i = 0; i < house->n_tasks; i++) {
        struct task *task = task_copy(house->tasks[i]);
        task->state = TASK_RENDERING;
        task->failure = TASK_FAILURE_NONE;
        task->ended_ms = 0;
        hub_know(house->hub, task);
        task_unref(house->tasks[i]);
        house->tasks[i] = task;
    }
}

/* ---- the house ---- */

static void add_key(struct store *store)
{
    struct store_key key = {.name = "bench", .tenant = "bench", .created_ms = 1};
    id_new("key", key.id, sizeof key.id);
    crypt_sha256("bench", 5, key.hash);
    must(store_key_add(store, &key) == STORE_WRITTEN);
}

static void read_settings(struct house *house, const char *directory)
{
    char path[PATH_SIZE], error[SETTINGS_ERROR_SIZE] = "";
    snprintf(path, sizeof path, "%s/events.yaml", directory);
    FILE *file = fopen(path, "w");
    must(file && fputs(config, file) >= 0 && fclose(file) == 0);
    house->settings = settings_load(path, (const char *const[]){NULL}, error);
    must(house->settings != NULL);
    house->channels = channel_table_new(house->settings, NULL, error);
    must(house->channels != NULL && guard_new(NULL, 0, &house->guard, error));
}

static void open_house(struct house *house, const char *directory)
{
    char error[STORE_ERROR_SIZE + SERVER_ERROR_SIZE] = "";
    read_settings(house, directory);
    must(store_open(directory, &house->store, error) == 0);
    must(asset_open_directory(directory, &house->assets, error) == 0);
    must(link_keys_open(directory, 1000, &house->link_keys, error) == 0);
    add_key(house->store);
    create_all(house);
    must(store_change(house->store, &house->change) == 0);
    must(hub_new(&(struct hub_limits){20000, 20000}, house->change, &house->hub) == 0);
    begin_all(house);
    const struct engine_parts engine = {
        .settings = house->settings,
        .channels = house->channels,
        .guard = house->guard,
        .store = house->store,
        .assets = house->assets,
    };
    must(engine_start(&engine, &house->engine) == 0);
    const struct server_parts parts = {
        .settings = house->settings,
        .store = house->store,
        .assets = house->assets,
        .link_keys = &house->link_keys,
        .engine = house->engine,
        .hub = house->hub,
    };
    must(server_start(&parts, &house->server, error) == 0);
}

static void close_house(struct house *house)
{
    server_stop(house->server);
    engine_stop(house->engine, 0);
    engine_free(house->engine);
    hub_free(house->hub);
    asset_close(house->assets);
    store_close(house->store);
    guard_free(house->guard);
    channel_table_free(house->channels);
    settings_free(house->settings);
}

/* ---- what it does ---- */

static void say_one(struct house *house, size_t place)
{
    struct task *task = task_copy(house->tasks[place]);
    task->revision++;
    task->progress = task->progress < 0.99 ? task->progress + 0.001 : 0.5;
    task->status_update_ms = clock_mono_micros();
    task_unref(house->tasks[place]);
    house->tasks[place] = task;
    hub_publish(house->hub, task, ++house->change, false);
}

/* In a stride that goes over all tasks before one has its second turn. */
static void say(struct house *house, long rate, long seconds)
{
    int64_t began_ms = clock_mono_ms();
    size_t n_said = 0, wanted;
    do {
        wanted = (size_t)((clock_mono_ms() - began_ms) * rate / 1000);
        for (; n_said < wanted; n_said++) {
            say_one(house, n_said * 7919 % house->n_tasks);
        }
        usleep(TICK_MS * 1000);
    } while (clock_mono_ms() - began_ms < seconds * 1000);
    printf("%zu\n", n_said);
}

static long resident_kib(void)
{
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    must(file && fscanf(file, "%ld %ld", &size, &resident) == 2 && fclose(file) == 0);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void tell(const struct house *house)
{
    struct rusage used;
    const struct hub_counts *counts = hub_counts(house->hub);
    must(getrusage(RUSAGE_SELF, &used) == 0);
    printf("%ld %lld %lld %llu\n", resident_kib(),
           (long long)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
               used.ru_utime.tv_usec + used.ru_stime.tv_usec,
           (long long)atomic_load(&counts->streams),
           (unsigned long long)atomic_load(&counts->wakes));
}

int main(int argc, char **argv)
{
    struct house house = {0};
    char line[LINE_SIZE];
    must(argc == 3);
    log_init(LOG_ERROR, LOG_TEXT);
    house.n_tasks = (size_t)strtol(argv[2], NULL, 10);
    house.tasks = must_calloc(house.n_tasks, sizeof *house.tasks);
    open_house(&house, argv[1]);
    printf("%s\n", server_url(house.server));
    for (size_t i = 0; i < house.n_tasks; i++) {
        printf("%s\n", house.tasks[i]->request->id);
    }
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        long rate, seconds;
        if (sscanf(line, "say %ld %ld", &rate, &seconds) == 2) {
            say(&house, rate, seconds);
        } else {
            tell(&house);
        }
        fflush(stdout);
    }
    close_house(&house);
    for (size_t i = 0; i < house.n_tasks; i++) {
        task_unref(house.tasks[i]);
    }
    free(house.tasks);
    return 0;
}
