/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's side of a probe. The report is handed on as it came: who shows it treats its texts
 * as foreign. Runs on the loop's thread. */
#include "media/probe.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/must.h"
#include "media/job.h"

struct media_probe {
    struct proc *proc;
    struct media_probe_handler handler;
};

static void on_progress(void *context, const json_t *message)
{
    (void)context;
    (void)message;
}

static void on_ended(void *context, enum proc_end proc_end, int signal_or_status,
                     const json_t *result)
{
    struct media_probe *probe = context;
    struct media_probe_handler handler = probe->handler;
    char note[JOB_NOTE_SIZE] = "";
    enum media_end end = MEDIA_DONE;
    free(probe);
    if (proc_end != PROC_DONE)
        end = job_explain(proc_end, signal_or_status, note);
    handler.ended(handler.context, end, end == MEDIA_DONE ? result : NULL, note);
}

int media_probe_start(struct loop *loop, const struct media_limits *limits,
                      const struct media_probe_handler *handler, struct media_probe **ret_probe)
{
    const struct proc_limits proc_limits = {
        .total_ms = limits->total_ms,
        .stall_ms = limits->stall_ms,
        .memory_bytes = limits->memory_bytes,
        .file_bytes = limits->file_bytes,
    };
    struct media_probe *probe = must_calloc(1, sizeof *probe);
    const struct proc_handler proc_handler = {on_progress, on_ended, probe};
    CLEANUP(json_unref_pointer) json_t *job = json_object();
    must(job);
    json_set_text(job, JOB_NAME, JOB_PROBE);
    probe->handler = *handler;
    int error = proc_start(loop, JOB_KIND, job, NULL, 0, &proc_limits, &proc_handler, &probe->proc);
    if (error < 0) {
        free(probe);
        return error;
    }
    *ret_probe = probe;
    return 0;
}
