/* SPDX-License-Identifier: Apache-2.0
 *
 * The upstreams. They share one API: POST /jobs takes a job (with an id of the client's, if it gives one), GET tells how it
 * stands, DELETE cancels it, GET /files/ID/N is its result. They keep an honest ledger, and behave as badly as vendors do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#include "base/json.h"
#include "base/must.h"

static const char *const keys[CREDENTIALS] = {"plain-a", "plain-b", "chosen", "steps", "risky"};
static const char *const channels[CREDENTIALS] = {"plain", "plain", "chosen", "steps", "risky"};

enum { RESULT_BYTES = 64 };

int vendor_credential(const char *key)
{
    for (int i = 0; i < CREDENTIALS; i++) {
        if (strncmp(key, "Bearer ", 7) == 0 && strcmp(key + 7, keys[i]) == 0) {
            return i;
        }
    }
    world_fail("a request goes out with the credential \"%s\"", key);
}

const char *vendor_channel(int credential)
{
    return channels[credential];
}

bool vendor_is_down(int credential)
{
    return world_now_ms() < the_world->down_until_ms[credential];
}

/* ---- the ledger ---- */

static struct submission *find(bool (*is_it)(const struct submission *submission, const char *text),
                               const char *text, struct life **ret_life)
{
    for (int i = the_world->n_lives - 1; i >= 0; i--) {
        struct life *life = &the_world->lives[i];
        for (int k = 0; k < life->n_submissions; k++) {
            if (is_it(&life->submissions[k], text)) {
                *ret_life = life;
                return &life->submissions[k];
            }
        }
    }
    return NULL;
}

static bool is_attempt(const struct submission *submission, const char *attempt)
{
    return strcmp(submission->attempt, attempt) == 0;
}

static bool is_job(const struct submission *submission, const char *job)
{
    return strcmp(submission->job, job) == 0;
}

struct submission *vendor_submission(const char *attempt, struct life **ret_life)
{
    return find(is_attempt, attempt, ret_life);
}

struct submission *vendor_job(const char *job, struct life **ret_life)
{
    return find(is_job, job, ret_life);
}

struct submission *vendor_job_of_path(const char *path, struct life **ret_life)
{
    char job[40];
    const char *id = strchr(path + 1, '/');
    must(id != NULL);
    snprintf(job, sizeof job, "%.*s", (int)strcspn(id + 1, "/"), id + 1);
    return vendor_job(job, ret_life);
}

void vendor_told(const char *attempt, enum verdict verdict)
{
    struct life *life;
    struct submission *submission = attempt ? vendor_submission(attempt, &life) : NULL;
    if (submission) { /* else it refused what comes before anything is bought */
        submission->verdict = verdict;
    }
}

void vendor_told_of_job(const char *job, const char *state)
{
    struct life *life;
    struct submission *submission = vendor_job(job, &life);
    if (!submission || strcmp(state, "odd") == 0) {
        return; /* which is no word of theirs */
    }
    if (strcmp(state, "gone") == 0) {
        if (submission->n_told_gone++ == 0) {
            submission->told_gone_first_ms = world_now_ms();
        }
        submission->told_gone_last_ms = world_now_ms();
    } else {
        submission->n_told_gone = 0;
        submission->failure_was_told |=
            strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0;
        submission->video_was_told |=
            submission->state == JOB_DONE && !task_state_is_end(life->state);
        if (submission->state == JOB_WORKING) {
            submission->told_going_ms = world_now_ms();
        }
    }
}

/* ---- answers ---- */

static void say(struct wire *wire, int64_t status, const char *text)
{
    wire->status = status;
    wire->answer = must_strdup(text);
    wire->answer_bytes = strlen(text);
}

static void say_busy(struct wire *wire)
{
    say(wire, 429, "{\"error\": \"slow down\"}");
    wire->retry_after_ms = world_chance(500) ? 1000 * world_between(1, 240) : 0;
}

static enum job_state draw_end(void)
{
    const struct faults *faults = &the_world->faults;
    return world_fault(faults->failure)      ? JOB_FAILED
           : world_fault(faults->moderation) ? JOB_MODERATED
           : world_fault(faults->empty)      ? JOB_EMPTY
           : world_fault(faults->real_loss)  ? JOB_LOST
                                             : JOB_DONE;
}

static void take(struct submission *job, int64_t median_s)
{
    if (job->state == JOB_NONE) {
        the_world->n_purchases++;
        job->state = JOB_WORKING;
        job->ends_as = draw_end();
        job->begun_ms = world_now_ms();
        job->done_ms = job->begun_ms + (int64_t)(1000.0 * world_lognormal((double)median_s, 0.4));
        if (world_fault(the_world->faults.stuck)) {
            job->done_ms += WORLD_END_MS; /* it never is */
        }
    }
}

static void say_taken(struct wire *wire, const struct submission *job)
{
    char text[80];
    if (world_fault(the_world->faults.not_json)) {
        say(wire, 200, "<html>It works!</html>");
    } else if (world_fault(the_world->faults.late_error)) {
        say(wire, world_chance(500) ? 500 : 504, "{}");
    } else {
        snprintf(text, sizeof text, "{\"id\": \"%s\"}", job->job);
        say(wire, 200, text);
    }
}

static void answer_submit(struct wire *wire)
{
    const struct faults *faults = &the_world->faults;
    struct life *life;
    struct submission *job = vendor_submission(wire->attempt, &life);
    must(job != NULL);
    if (world_fault(faults->early_error)) {
        say(wire, 503, "{}");
    } else if (world_fault(faults->busy)) {
        say_busy(wire);
    } else if (world_fault(faults->bad_key)) {
        say(wire, 401, "{}");
    } else if (world_fault(faults->refusal)) {
        say(wire, 400, "{}");
    } else if (world_fault(faults->moderation)) {
        job->was_moderated = true;
        say(wire, 451, "{}");
    } else {
        take(job, 20 + 10 * job->credential);
        say_taken(wire, job);
    }
}

/* What time has done to it. */
static enum job_state look(struct submission *job)
{
    if (job->state == JOB_WORKING && world_now_ms() >= job->done_ms) {
        job->state = job->ends_as;
    }
    return job->state;
}

/* A 404 that means nothing: never three of them in a row, as the gateway hears them, within a minute and more. */
static bool is_forgetful(const struct submission *job)
{
    bool may = job->n_told_gone < 2 || world_now_ms() - job->told_gone_first_ms < 40000;
    return may && world_fault(job->n_told_gone > 0 ? 600 : the_world->faults.gone);
}

static void say_state(struct wire *wire, struct submission *job)
{
    static const char *const words[] = {
        [JOB_DONE] = "done",           [JOB_FAILED] = "failed",       [JOB_EMPTY] = "done",
        [JOB_MODERATED] = "moderated", [JOB_CANCELLED] = "cancelled",
    };
    char text[200];
    enum job_state state = look(job);
    int64_t now_ms = world_now_ms();
    if (state == JOB_WORKING) {
        double share = (double)(now_ms - job->begun_ms) / (double)(job->done_ms - job->begun_ms);
        snprintf(text, sizeof text, "{\"state\": \"%s\", \"progress\": %.3f}",
                 share < 0.1 ? "pending" : "rendering", world_chance(500) ? share : 0.0);
    } else if (state == JOB_DONE) {
        bool is_new = job->n_links == 0 || now_ms >= job->link_until_ms;
        bool renews = strcmp(vendor_channel(job->credential), "steps") == 0;
        if (is_new && (renews || job->n_links == 0)) {
            job->n_links++;
            job->link_until_ms =
                now_ms + (world_fault(the_world->faults.expired_link) ? world_between(0, 5000)
                                                                      : 24 * 60 * 60 * 1000);
        }
        snprintf(text, sizeof text,
                 "{\"state\": \"done\", \"url\": \"https://up.example.com/files/%s/%d\"}", job->job,
                 job->n_links);
    } else {
        snprintf(text, sizeof text, "{\"state\": \"%s\"}", words[state]);
    }
    say(wire, 200, text);
}

static void answer_poll(struct wire *wire)
{
    struct life *life;
    struct submission *job = vendor_job_of_path(wire->path, &life);
    the_world->n_polls++;
    if (world_fault(the_world->faults.poll_trouble)) {
        static const char *const texts[] = {"{}", "<html>", "", "{\"state\": \"odd\"}"};
        static const int statuses[] = {200, 503, 408, 425, 200, 500};
        say(wire, statuses[world_between(0, 5)], texts[world_between(0, 3)]);
        if (world_chance(200)) {
            free(wire->answer);
            say_busy(wire);
        }
    } else if (!job || job->state == JOB_NONE || look(job) == JOB_LOST || is_forgetful(job)) {
        say(wire, 404, "{}");
    } else {
        say_state(wire, job);
    }
}

static void answer_cancel(struct wire *wire)
{
    struct life *life;
    struct submission *job = vendor_job_of_path(wire->path, &life);
    if (world_fault(the_world->faults.poll_trouble)) {
        say(wire, 503, "{}");
    } else if (!job || job->state == JOB_NONE || look(job) == JOB_LOST) {
        say(wire, 404, "{}");
    } else if (job->state == JOB_WORKING || job->state == JOB_CANCELLED) {
        job->state = JOB_CANCELLED;
        job->cancel_came = true;
        say(wire, 200, "{}");
    } else {
        job->cancel_came = true;
        say(wire, 409, "{}");
    }
}

static void answer_file(struct wire *wire)
{
    char text[RESULT_BYTES + 1];
    struct life *life;
    struct submission *job = vendor_job_of_path(wire->path, &life);
    int number = atoi(strrchr(wire->path, '/') + 1);
    if (!job || job->state != JOB_DONE) {
        world_fail("a result is asked for that was never named: %s", wire->path);
    }
    if (world_now_ms() >= job->link_until_ms || number != job->n_links) {
        job->n_bad_downloads++;
        say(wire, 410, "");
        return;
    }
    snprintf(text, sizeof text, "%-*s", RESULT_BYTES, job->job);
    int from = 0;
    if (sscanf(wire->range, "bytes=%d-", &from) == 1 && world_chance(800)) {
        say(wire, 206, text + from);
        wire->answer_from = (size_t)from;
    } else {
        say(wire, 200, text);
    }
    wire->is_cut = world_fault(the_world->faults.broken_download);
    job->n_bad_downloads += wire->is_cut;
}

void vendor_answer(struct wire *wire)
{
    if (vendor_is_down(wire->credential)) {
        return; /* status 0: broken off */
    }
    if (strcmp(wire->path, "/uploads") == 0) {
        if (world_fault(the_world->faults.early_error)) {
            say(wire, 503, "{}");
        } else if (world_fault(the_world->faults.busy)) {
            say_busy(wire);
        } else {
            say(wire, 200, "{}");
        }
    } else if (strcmp(wire->path, "/jobs") == 0) {
        answer_submit(wire);
    } else if (strcmp(wire->method, "DELETE") == 0) {
        answer_cancel(wire);
    } else if (strncmp(wire->path, "/files/", 7) == 0) {
        answer_file(wire);
    } else {
        answer_poll(wire);
    }
}

/* They call when they like: of any job, also one whose submit is not answered, or that is over; more than once; at any
 * node. */
void vendor_call_back(void)
{
    struct world *world = the_world;
    enum { LATEST = 12 };
    if (world->n_lives == 0) {
        return;
    }
    int from = world->n_lives > LATEST ? world->n_lives - LATEST : 0;
    const struct life *life = &world->lives[world_between(from, world->n_lives - 1)];
    struct node *node = &world->nodes[world_between(0, world->n_nodes - 1)];
    if (life->n_submissions == 0 || !node_is_up(node)) {
        return;
    }
    const char *attempt = life->submissions[world_between(0, life->n_submissions - 1)].attempt;
    for (int64_t n = world_between(1, 3); n > 0; n--) {
        engine_called_back(node->engine, attempt);
    }
}
