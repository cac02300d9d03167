/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rooms of an actor share: actor.c (step, commit, publish), actor_callers.c (who waits for that),
 * actor_queue.c (where its task stands) and actor_work.c (what is done for it). Nobody else includes this. */
#pragma once

#include "engine/actor.h"
#include "engine/engine_own.h"

/* ---- actor.c ---- */

/* A step by this event, and the commit it may ask for. Not while one is under way: that is actor_feed()'s. */
void actor_apply(struct actor *actor, const struct task_event *event);

/* ---- actor_callers.c ---- */

/* `task` is NULL when what the actor holds is not durable. */
void actor_answer_cancels(struct actor *actor, enum engine_outcome outcome,
                          const struct task *task);
/* Has the task erased, if somebody waits for that; nothing while a commit is under way. */
void actor_apply_erasure(struct actor *actor);
/* A commit may have been the erasure: the first who waited has it, the others come late. */
void actor_answer_erases(struct actor *actor);
void actor_refuse_erases(struct actor *actor, enum engine_outcome outcome);
/* The actor goes, the task stays: whoever wants it erased finds it without one. */
void actor_pass_on_erases(struct actor *actor);

/* ---- actor_queue.c ---- */

void actor_init_queue(struct actor *actor);
/* Into the queue, after the pause that the task has before it. */
void actor_enqueue(struct actor *actor);
/* At once, not with the commit: who ends while it waits or pauses must not be given a slot. */
void actor_leave_queue(struct actor *actor);
void actor_leave_schedule(struct actor *actor);
/* Granted by the schedule, which has taken it out of the queue. */
void actor_take_slot(struct actor *actor, bool is_animatic);
/* From before a restart, at an upstream; nothing when it has one. */
void actor_adopt_slot(struct actor *actor);
/* And what it holds of a credential. */
void actor_release_slot(struct actor *actor);
/* It counts as a job in flight with `credential`, … */
void actor_occupy(struct actor *actor, struct credential *credential);
/* … until the upstream is done with it. */
void actor_vacate(struct actor *actor);

/* ---- actor_work.c ---- */

void actor_init_work(struct actor *actor);
/* Carries out those effects that are an attempt's: start, poll, store, cancel. */
void actor_work(struct actor *actor, unsigned effects);
void actor_arm_deadline(struct actor *actor);
/* Its deadline has passed, and its upstream may have a video, or a submit: asks it, as soon as there is a job to ask for,
 * and waits for the outcome as long as is granted. */
void actor_wait_in_grace(struct actor *actor);
/* A result that the task took, or may have taken, stays. An upstream that is to be told of the end is still needed. */
void actor_halt_attempt(struct actor *actor);
/* And for good. */
void actor_end_attempt(struct actor *actor);
