/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking an upstream to stop a job. Some have one call that stops what is under way and erases what is done and paid for: so a job of which
 * nothing was heard since we started is looked at first. */
#include "engine/remote_own.h"

#include "base/json.h"

/* `said` is NULL where nothing was. */
static void close_cancel(struct remote *remote, bool was_stopped, const json_t *said)
{
    struct attempt_job *job = remote_used(remote, said);
    log_task(LOG_INFO, remote->task->request->id, "channel \"%s\": the job %s",
             remote->channel->name,
             was_stopped ? "was stopped" : "may go on there, and be charged for");
    remote_tell(remote, &(struct task_event){.kind = TASK_EVENT_CANCEL_CLOSED,
                                             .was_stopped = was_stopped,
                                             .job = job});
    attempt_job_unref(job);
}

/* After an answer that tells nothing. False when it was the last try: then it is closed. */
static bool may_try_again(struct remote *remote, const char *what, const char *note)
{
    remote_note(remote, LOG_WARN, what, note);
    remote->dialogue = dialogue_stop(remote->dialogue);
    if (++remote->n_tries < REMOTE_CANCEL_TRIES) {
        return true;
    }
    close_cancel(remote, false, NULL);
    return false;
}

static void ask_cancel(struct remote *remote);

static void on_cancelled(void *context, const struct dialogue_outcome *outcome)
{
    struct remote *remote = context;
    enum remote_state state = remote_state_of(outcome->result);
    if (outcome->end == DIALOGUE_ANSWERED && state != REMOTE_STATE_UNCLEAR) {
        close_cancel(remote, state == REMOTE_STATE_CANCELLED, outcome->result);
    } else if (may_try_again(remote, "a cancel was not answered", outcome->note)) {
        remote_retry(remote, ask_cancel, remote->n_tries);
    }
}

static void ask_cancel(struct remote *remote)
{
    bool can = remote->is_pending ? remote->channel->can_cancel_pending
                                  : remote->channel->can_cancel_rendering;
    if (!can) {
        close_cancel(remote, false, NULL);
        return;
    }
    json_t *input = remote_input(remote);
    json_set_text(input, "state", remote->is_pending ? "pending" : "rendering");
    remote_ask(remote, DIALOGUE_CANCEL, input, on_cancelled);
}

/* What is not under way any more is left as it is. */
static void on_looked(void *context, const struct dialogue_outcome *outcome)
{
    struct remote *remote = context;
    enum remote_state state = remote_state_of(outcome->result);
    bool is_clear = outcome->end == DIALOGUE_ANSWERED && state != REMOTE_STATE_NONE &&
                    state != REMOTE_STATE_UNCLEAR;
    bool is_under_way =
        is_clear && (state == REMOTE_STATE_PENDING || state == REMOTE_STATE_RENDERING);
    remote_leave_polls(remote);
    remote->credential->n_polls++;
    if (is_under_way) {
        remote->is_pending = state == REMOTE_STATE_PENDING;
        remote->is_seen = true;
        remote->dialogue = dialogue_stop(remote->dialogue);
        remote->n_tries = 0;
        remote_later(remote, ask_cancel, 0);
    } else if (is_clear) {
        close_cancel(remote, false, outcome->result);
    } else if (may_try_again(remote, "a look before a cancel told nothing", outcome->note)) {
        remote_poll_soon(remote, remote->n_tries + 1);
    }
}

void remote_cancel(struct remote *remote, const struct task *task)
{
    const struct channel *channel = remote->channel;
    bool can_at_all = channel->can_cancel_pending || channel->can_cancel_rendering;
    bool is_known = remote->has_sent || remote->is_seen || !can_at_all;
    remote_take(remote, task);
    remote->n_tries = 0;
    remote->dialogue = dialogue_stop(remote->dialogue);
    remote_leave_polls(remote);
    if (is_known) {
        remote_later(remote, ask_cancel, 0);
    } else {
        remote->looked = on_looked;
        remote_poll_soon(remote, 1);
    }
}
