/* SPDX-License-Identifier: Apache-2.0
 *
 * Who waits for an actor's next commit: calls that cancel its task or have it erased. Each is answered once, whatever becomes of
 * the actor. On the loop's thread. */
#include "engine/actor_own.h"

#include "base/must.h"

/* ---- cancels ---- */

void actor_answer_cancels(struct actor *actor, enum engine_outcome outcome, const struct task *task)
{
    while (actor->cancels) {
        struct engine_cancel *cancel = actor->cancels;
        actor->cancels = cancel->next;
        engine_answer_cancel(cancel, outcome, task);
    }
}

void actor_cancel(struct actor *actor, struct engine_cancel *cancel)
{
    if (actor->has_ended) {
        engine_answer_cancel(cancel,
                             actor->task->state == TASK_CANCELLED ? ENGINE_OK : ENGINE_CONFLICT,
                             actor->task);
        return;
    }
    cancel->next = actor->cancels;
    actor->cancels = cancel;
    actor_feed(actor, &(struct task_event){.kind = TASK_EVENT_CANCEL});
}

/* ---- erasures ---- */

void actor_apply_erasure(struct actor *actor)
{
    if (actor->erases && !actor->commit) {
        actor_apply(actor, &(struct task_event){.kind = TASK_EVENT_ERASED});
    }
}

void actor_erase(struct actor *actor, struct engine_erase *erase)
{
    struct engine_erase **last = &actor->erases;
    must(actor->has_ended);
    while (*last) {
        last = &(*last)->next;
    }
    erase->next = NULL;
    *last = erase;
    /* else what is being committed may be this very erasure: then it comes late */
    actor_apply_erasure(actor);
}

void actor_refuse_erases(struct actor *actor, enum engine_outcome outcome)
{
    while (actor->erases) {
        struct engine_erase *erase = actor->erases;
        actor->erases = erase->next;
        engine_answer_erase(erase, outcome, NULL);
    }
}

void actor_answer_erases(struct actor *actor)
{
    struct engine_erase *first = actor->erases;
    if (!first || actor->task->deleted_ms == 0) {
        return;
    }
    actor->erases = first->next;
    engine_erased(first, actor->task);
    actor_refuse_erases(actor, ENGINE_NOT_FOUND); /* as good as late */
}

void actor_pass_on_erases(struct actor *actor)
{
    while (actor->erases) {
        struct engine_erase *erase = actor->erases;
        actor->erases = erase->next;
        engine_erase_again(erase);
    }
}
