/* SPDX-License-Identifier: Apache-2.0
 *
 * New channels while the engine runs. Readers of any thread may hold a table for as long as a request takes, and jobs
 * under way hold theirs for as long as they live; reloads are rare and tables small: all stay until the end. */
#include <stdlib.h>

#include "base/must.h"
#include "engine/engine_own.h"

/* What waits for a channel may find it now, and what is queued another one. */
static void on_table(struct loop_job *job)
{
    struct engine_table *table = CONTAINER_OF(job, struct engine_table, job);
    struct engine *engine = table->engine;
    engine->channels = table->channels;
    adapter_host_rest(engine->adapters);
    for (struct actor *actor = engine->actors, *next; actor; actor = next) {
        next = actor->next;
        actor_look_again(actor);
    }
    engine_grant_soon(engine);
}

void engine_reload(struct engine *engine, struct channel_table *channels)
{
    struct engine_table *table = must_calloc(1, sizeof *table);
    table->channels = channels;
    table->engine = engine;
    table->job.run = on_table;
    table->older = atomic_load(&engine->tables);
    while (!atomic_compare_exchange_weak(&engine->tables, &table->older, table)) {
    }
    if (!table->older) { /* the first: the loop does not run yet */
        engine->channels = channels;
    } else {
        loop_post(engine->loop, &table->job);
    }
}

const struct channel_table *engine_channel_table(struct engine *engine)
{
    return atomic_load(&engine->tables)->channels;
}

void engine_free_tables(struct engine *engine)
{
    for (struct engine_table *table = atomic_load(&engine->tables), *older; table; table = older) {
        older = table->older;
        channel_table_free(table->channels);
        free(table);
    }
}
