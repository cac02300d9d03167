/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate attempts`. What an adapter keeps and the links that an upstream gave are not shown: both
 * may open something. One thread. */
#include "cli/attempts.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/must.h"
#include "cli/cli.h"
#include "cli/local.h"
#include "cli/verbs.h"
#include "store/store.h"

static const char HELP[] =
    "Usage: filmgate attempts [list] [OPTION]...\n"
    "       filmgate attempts resolve ID (--job JOB | --not-taken) [OPTION]...\n"
    "\n"
    "Lists the attempts of tasks at upstreams, newest first, and resolves the unknown ones, in\n"
    "the data directory itself: beside a running server or without one.\n"
    "\n"
    "An attempt is unknown when the answer to its submit was lost and nothing tells whether the\n"
    "upstream took it. It may have been paid for, so it is not sent again. Look for the job\n"
    "at the vendor, by time and prompt, then say what you found. The task's end stays as it is.\n"
    "\n"
    "Options of `list`:\n"
    "      --unknown            only those that wait for your word\n"
    "      --open               only those that are under way\n"
    "      --task ID            only those of this task\n"
    "  -n, --limit NUMBER       at most so many (default: 20)\n"
    "\n"
    "Options of `resolve`:\n"
    "      --job JOB            the vendor has it, under this id\n"
    "      --not-taken          the vendor does not have it\n"
    "\n"
    "Options of both:\n"
    "      --json               print JSON: the records as an array, or the one record\n"
    "  -d, --data DIR           the data directory (default: the configuration's, else ./var)\n"
    "  -c, --config FILE        the configuration file\n"
    "  -h, --help               show this help\n"
    "\n"
    "Examples:\n"
    "  filmgate attempts list --unknown --data /var/lib/filmgate\n"
    "  filmgate attempts resolve att_01k6x15vhrff09dkkqjrzwhm60 --job 7f3c-22\n"
    "\n"
    "Exit status:\n"
    "  0    done\n"
    "  2    wrong usage or configuration, or no such attempt\n"
    "  3    refused: the attempt is not unknown\n"
    "  5    trouble on this machine: the data directory or its database\n";

enum {
    LIST_DEFAULT = 20,
    LIST_PAGE = 100,
    LIST_MOST = 1000000000,
    PLACE_SIZE = 2 * ATTEMPT_NAME_SIZE, /* channel/credential */
    PLACE_COLUMNS = 24,
    USAGE_COLUMNS = 32,
};

enum option_letter {
    OPTION_UNKNOWN = LOCAL_OPTION_NEXT,
    OPTION_OPEN,
    OPTION_TASK,
    OPTION_JOB,
    OPTION_NOT_TAKEN,
};

static const struct option LONG_OPTIONS[] = {{"unknown", no_argument, NULL, OPTION_UNKNOWN},
                                             {"open", no_argument, NULL, OPTION_OPEN},
                                             {"task", required_argument, NULL, OPTION_TASK},
                                             {"limit", required_argument, NULL, 'n'},
                                             {"job", required_argument, NULL, OPTION_JOB},
                                             {"not-taken", no_argument, NULL, OPTION_NOT_TAKEN},
                                             {"json", no_argument, NULL, LOCAL_OPTION_JSON},
                                             LOCAL_OPTIONS};

struct order {
    struct local_order local;
    const char *task, *job;
    bool unknown, open, not_taken;
    long long limit; /* 0: not said */
};

/* ---- showing ---- */

/* A text of the database; null where it is none, or no UTF-8. */
static void set_foreign(json_t *row, const char *key, const char *text)
{
    json_t *value = text != NULL ? json_string(text) : NULL;
    json_set(row, key, value != NULL ? value : json_null());
}

static void set_time(json_t *row, const char *key, int64_t ms)
{
    char text[CLOCK_ISO_SECONDS_SIZE];
    cli_write_time(ms, text);
    json_set_text(row, key, ms > 0 ? text : NULL);
}

/* As the upstream told it; NULL: nothing, or it cannot be read. */
static json_t *usage_of(const struct store_attempt *attempt)
{
    const struct attempt_job *job = attempt->record.job;
    json_t *usage = job != NULL && job->usage != NULL ? json_loads(job->usage, 0, NULL) : NULL;
    if (!json_is_object(usage))
        json_decref(TAKE(usage));
    return usage;
}

static json_t *describe(const struct store_attempt *attempt)
{
    const struct attempt_record *record = &attempt->record;
    json_t *row = json_object();
    json_set_text(row, "id", attempt->id);
    json_set_text(row, "task_id", attempt->task_id);
    set_foreign(row, "tenant", attempt->tenant);
    set_foreign(row, "model", attempt->model);
    json_set(row, "number", json_integer(record->number));
    json_set_text(row, "state", attempt_state_name(record->state));
    json_set(row, "open", json_boolean(attempt_is_open(record->state)));
    set_foreign(row, "channel", shared_text_of(record->channel));
    set_foreign(row, "credential", shared_text_of(record->credential));
    set_foreign(row, "job", attempt_shown_job(&attempt->record));
    json_t *usage = usage_of(attempt);
    json_set(row, "usage", usage != NULL ? usage : json_null());
    set_time(row, "begun_at", record->begun_ms);
    set_time(row, "accepted_at", record->accepted_ms);
    set_time(row, "closed_at", record->closed_ms);
    set_time(row, "resolved_at", attempt->resolved_ms);
    return row;
}

static void print_heading(void)
{
    printf("%-30s  %-31s  %2s  %-10s  %-*s  %-20s  %-20s  %-*s  %s\n", "ATTEMPT", "TASK", "NO",
           "STATE", PLACE_COLUMNS, "CHANNEL/CREDENTIAL", "BEGUN", "CLOSED", USAGE_COLUMNS, "USAGE",
           "JOB");
}

/* Cut to its column; --json has all of it. */
static void print_usage(const struct store_attempt *attempt)
{
    CLEANUP(json_unref_pointer) json_t *usage = usage_of(attempt);
    CLEANUP(free_pointer) char *text = usage != NULL ? json_dumps(usage, JSON_WRITE_FLAGS) : NULL;
    const char *shown = text != NULL ? text : "-";
    size_t length = strlen(shown);
    cli_print_text(stdout, shown, USAGE_COLUMNS);
    printf("%*s  ", length < USAGE_COLUMNS ? (int)(USAGE_COLUMNS - length) : 0, "");
}

/* The job stands last, for it may be long, and is wanted whole. */
static void print_row(const struct store_attempt *attempt)
{
    const struct attempt_record *record = &attempt->record;
    char begun[CLOCK_ISO_SECONDS_SIZE];
    char closed[CLOCK_ISO_SECONDS_SIZE];
    char place[PLACE_SIZE];
    cli_write_time(record->begun_ms, begun);
    cli_write_time(record->closed_ms, closed);
    snprintf(place, sizeof(place), "%s/%s", shared_text_of(record->channel),
             shared_text_of(record->credential));
    printf("%-30s  %-31s  %2d  %-10s  ", attempt->id, attempt->task_id, record->number,
           attempt_state_name(record->state));
    cli_print_column(place, PLACE_COLUMNS);
    printf("%-20s  %-20s  ", begun, closed);
    print_usage(attempt);
    const char *job = attempt_shown_job(record);
    cli_print_text(stdout, job != NULL ? job : "-", 0);
    putchar('\n');
}

/* ---- list ---- */

struct listing {
    const struct order *order;
    long long limit, shown, unknown;
    char last[ID_SHORT_SIZE]; /* id, empty before the first */
};

static void show(struct listing *listing, const struct store_attempt *attempt)
{
    bool is_first = listing->shown++ == 0;
    listing->unknown += attempt->record.state == ATTEMPT_UNKNOWN;
    memcpy(listing->last, attempt->id, sizeof(listing->last));
    if (!listing->order->local.json) {
        if (is_first)
            print_heading();
        print_row(attempt);
        return;
    }
    CLEANUP(json_unref_pointer) json_t *row = describe(attempt);
    puts(is_first ? "[" : ",");
    json_dumpf(row, stdout, JSON_WRITE_FLAGS);
}

/* Shows the next page; whether there may be more goes to `ret_is_over`. As store_attempts(). */
static int show_page(struct listing *listing, struct store *store, const char *task,
                     bool *ret_is_over)
{
    const struct order *order = listing->order;
    struct store_attempt page[LIST_PAGE];
    size_t count = 0;
    long long left = listing->limit - listing->shown;
    const struct store_attempts_query query = {
        .only_unknown = order->unknown,
        .only_open = order->open,
        .task_id = task,
        .before_id = listing->last[0] != '\0' ? listing->last : NULL,
        .limit = left < LIST_PAGE ? (size_t)left : LIST_PAGE,
    };
    int result = store_attempts(store, &query, page, &count);
    if (result != 0)
        return result;
    for (size_t i = 0; i < count; i++) {
        show(listing, &page[i]);
        store_attempt_fini(&page[i]);
    }
    *ret_is_over = count < query.limit || listing->shown >= listing->limit;
    return 0;
}

static void print_end(const struct listing *listing)
{
    if (listing->order->local.json)
        puts(listing->shown > 0 ? "\n]" : "[]");
    else if (listing->shown == 0 && isatty(STDOUT_FILENO) == 1)
        puts("no such attempts");
    else if (listing->unknown > 0)
        printf("\n%lld unknown: look the job up at the vendor, by time and prompt, then run "
               "`filmgate attempts resolve ID --job JOB`, or `--not-taken`.\n",
               listing->unknown);
}

static int check_list(const struct order *order, const char *argument, char ret_task[ID_SHORT_SIZE])
{
    char model[TASK_MODEL_SIZE];
    if (argument != NULL)
        return cli_complain_usage("attempts", "what is \"%s\" for?", argument);
    if (order->job != NULL || order->not_taken)
        return cli_complain_usage("attempts", "--job and --not-taken are for `attempts resolve`");
    if (order->unknown && order->open)
        return cli_complain_usage("attempts",
                                  "an unknown attempt is not open: --unknown or --open");
    if (order->task != NULL && !task_parse_id(order->task, model, ret_task))
        return cli_complain_usage("attempts", "\"%s\" is not the id of a task: task_ and 26 more",
                                  order->task);
    return CLI_OK;
}

static int list_attempts(void *context, const char *argument)
{
    const struct order *order = context;
    struct store *store = NULL;
    struct listing listing = {
        .order = order,
        .limit = order->limit > 0 ? order->limit : LIST_DEFAULT,
    };
    char task[ID_SHORT_SIZE] = "";
    bool is_over = false;
    int result = 0;
    int status = check_list(order, argument, task);
    if (status == CLI_OK)
        status = local_open_store(&order->local, false, &store);
    if (status != CLI_OK)
        return status;
    while (result == 0 && !is_over)
        result = show_page(&listing, store, order->task != NULL ? task : NULL, &is_over);
    store_close(store);
    if (result != 0)
        return local_complain_store(result);
    print_end(&listing);
    return CLI_OK;
}

/* ---- resolve ---- */

static bool is_job(const char *job)
{
    size_t length = strlen(job);
    json_t *text = json_string(job); /* NULL when it is not UTF-8 */
    bool is_fit = text != NULL && length > 0 && length <= ATTEMPT_JOB_MAX;
    for (size_t i = 0; i < length; i++)
        is_fit = is_fit && (unsigned char)job[i] >= ' ' && job[i] != 0x7f;
    json_decref(text);
    return is_fit;
}

static int check_resolve(const struct order *order, const char *id)
{
    if (id == NULL)
        return cli_complain_usage("attempts", "`attempts resolve` needs the attempt's id");
    if (!id_is_typeid(id, "att"))
        return cli_complain_usage("attempts",
                                  "\"%s\" is not the id of an attempt: att_ and 26 more", id);
    if (order->unknown || order->open || order->task != NULL || order->limit > 0)
        return cli_complain_usage("attempts", "--unknown, --open, --task and --limit are for "
                                              "`attempts list`");
    if ((order->job != NULL) == order->not_taken)
        return cli_complain_usage("attempts", "say what you found: --job JOB or --not-taken");
    if (order->job != NULL && !is_job(order->job))
        return cli_complain_usage("attempts",
                                  "the job must be 1 to %d bytes of UTF-8 without control "
                                  "characters, as the vendor shows it",
                                  ATTEMPT_JOB_MAX);
    return CLI_OK;
}

/* False when it is not there or cannot be read. */
static bool find_attempt(struct store *store, const char *id, struct store_attempt *ret_attempt)
{
    char behind[ID_SHORT_SIZE + 1]; /* the first text after the id */
    size_t count = 0;
    snprintf(behind, sizeof(behind), "%s ", id);
    const struct store_attempts_query query = {.before_id = behind, .limit = 1};
    if (store_attempts(store, &query, ret_attempt, &count) != 0 || count == 0)
        return false;
    if (strcmp(ret_attempt->id, id) == 0)
        return true;
    store_attempt_fini(ret_attempt);
    return false;
}

static void tell_resolved(const struct order *order, const struct store_attempt *attempt)
{
    if (order->local.json) {
        CLEANUP(json_unref_pointer) json_t *row = describe(attempt);
        cli_print_json(row);
        return;
    }
    cli_note("%s is resolved: %s; the end of %s stays as it is", attempt->id,
             attempt_state_meaning(attempt->record.state), attempt->task_id);
}

/* What the store said of an order to resolve, told; an exit status. */
static int tell_outcome(const struct order *order, const char *id, struct store *store, int outcome)
{
    struct store_attempt attempt = {0};
    bool is_found = find_attempt(store, id, &attempt);
    int status = CLI_OK;
    if (outcome == STORE_NOT_FOUND)
        status = cli_complain(
            CLI_USAGE, "there is no attempt \"%s\": `filmgate attempts list` shows them", id);
    else if (outcome == STORE_CONFLICT)
        status =
            cli_complain(CLI_REFUSED, "\"%s\" is %s, and only an unknown attempt can be resolved",
                         id, is_found ? attempt_state_name(attempt.record.state) : "damaged");
    else if (outcome != STORE_WRITTEN)
        status = local_complain_store(outcome);
    else if (is_found)
        tell_resolved(order, &attempt);
    store_attempt_fini(&attempt);
    return status;
}

static int resolve_attempt(void *context, const char *id)
{
    const struct order *order = context;
    struct store *store = NULL;
    int status = check_resolve(order, id);
    if (status == CLI_OK)
        status = local_open_store(&order->local, false, &store);
    if (status != CLI_OK)
        return status;
    int outcome = store_attempt_resolve(store, id, order->job, clock_wall_ms());
    status = tell_outcome(order, id, store, outcome);
    store_close(store);
    return status;
}

/* ---- the command ---- */

static int take_limit(struct order *order)
{
    if (cli_parse_number(optarg, 1, LIST_MOST, &order->limit))
        return CLI_OK;
    return cli_complain_usage("attempts", "the limit must be a number from 1, not \"%s\"", optarg);
}

static int take_option(void *context, int option)
{
    struct order *order = context;
    switch (option) {
    case 'n':
        return take_limit(order);
    case OPTION_UNKNOWN:
        order->unknown = true;
        return CLI_OK;
    case OPTION_OPEN:
        order->open = true;
        return CLI_OK;
    case OPTION_TASK:
        order->task = optarg;
        return CLI_OK;
    case OPTION_JOB:
        order->job = optarg;
        return CLI_OK;
    case OPTION_NOT_TAKEN:
        order->not_taken = true;
        return CLI_OK;
    default:
        return local_take_option(&order->local, option);
    }
}

static const char *const NAMES[] = {"list", "resolve", NULL};
/* In the order of their names. */
static verbs_run_fn *const RUNS[] = {list_attempts, resolve_attempt};

static const struct verbs VERBS = {
    .options = {"attempts", ":n:d:c:h", LONG_OPTIONS, HELP, take_option},
    .names = NAMES,
    .runs = RUNS,
    .n_arguments = 1,
};

int attempts_main(int argc, char **argv)
{
    struct order order = {0};
    return verbs_run(&VERBS, argc, argv, &order);
}
