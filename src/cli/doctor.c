/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate doctor`: reads the configuration, sends the looks round, adds up. One thread. */
#include "cli/doctor.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"
#include "cli/cli.h"
#include "cli/local.h"
#include "net/guard.h"
#include "notify/webhook.h"

static const char HELP[] =
    "Usage: filmgate doctor [OPTION]...\n"
    "\n"
    "Looks whether a gateway can run on this machine with this configuration, and says in a\n"
    "line each what is ok, what deserves a look (warning) and what will not work (problem),\n"
    "with what to do about it. It changes nothing, and may be run beside a running server.\n"
    "\n"
    "It looks at the configuration, channels, the data directory, disk, database, link key,\n"
    "fonts, codecs, a film really made and decoded behind the sandbox, cores, memory, open\n"
    "files, clocks, and the address.\n"
    "\n"
    "Run it as the user that the gateway runs as.\n"
    "\n"
    "Options:\n"
    "  -l, --listen ADDRESS     where the API would listen (default: the configuration's)\n"
    "  -d, --data DIR           the data directory (default: the configuration's, else ./var)\n"
    "  -c, --config FILE        the configuration file\n"
    "      --json               print one JSON object: each check's verdict, message, advice\n"
    "  -h, --help               show this help\n"
    "\n"
    "Environment:\n"
    "  NO_COLOR    when set, no colours on a terminal either\n"
    "\n"
    "Example:\n"
    "  filmgate doctor --config filmgate.yaml && filmgate serve --config filmgate.yaml\n"
    "\n"
    "Exit status:\n"
    "  0    no problem; warnings do not count\n"
    "  1    a problem was found, a configuration that does not load among them\n"
    "  2    wrong usage\n";

enum { MESSAGE_BYTES = 800 };

static const struct option LONG_OPTIONS[] = {{"listen", required_argument, NULL, 'l'},
                                             {"json", no_argument, NULL, LOCAL_OPTION_JSON},
                                             LOCAL_OPTIONS};

/* ---- saying ---- */

static const struct {
    const char *word;
    const char *colour;
} VERDICTS[] = {
    [DOCTOR_OK] = {"ok", "\x1b[32m"},
    [DOCTOR_WARNING] = {"warning", "\x1b[33m"},
    [DOCTOR_PROBLEM] = {"problem", "\x1b[31m"},
};

static void print_finding(const struct doctor *doctor, enum doctor_verdict verdict,
                          const char *check, const char *message, const char *advice)
{
    bool has_colours = doctor->has_colours;
    printf("%s%-7s%s  %-14s  ", has_colours ? VERDICTS[verdict].colour : "", VERDICTS[verdict].word,
           has_colours ? "\x1b[0m" : "", check);
    cli_print_text(stdout, message, 0);
    if (advice != NULL && *advice != '\0') {
        fputs(": ", stdout);
        cli_print_text(stdout, advice, 0);
    }
    putchar('\n');
    fflush(stdout);
}

void doctor_say(struct doctor *doctor, enum doctor_verdict verdict, const char *check,
                const char *advice, const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list values;
    va_start(values, format);
    vsnprintf(message, sizeof(message), format, values);
    va_end(values);
    doctor->counts[verdict]++;
    if (!doctor->json) {
        print_finding(doctor, verdict, check, message, advice);
        return;
    }
    json_t *row = json_object();
    json_t *text = json_string(message);
    must(row != NULL);
    json_set_text(row, "check", check);
    json_set_text(row, "verdict", VERDICTS[verdict].word);
    json_set(row, "message", text != NULL ? text : json_string("(not a text in UTF-8)"));
    json_set_text(row, "advice", advice != NULL && *advice != '\0' ? advice : NULL);
    json_add(doctor->checks, row);
}

static void sum_up(struct doctor *doctor)
{
    int problems = doctor->counts[DOCTOR_PROBLEM];
    int warnings = doctor->counts[DOCTOR_WARNING];
    if (!doctor->json) {
        printf("\n%d problem%s, %d warning%s\n", problems, problems == 1 ? "" : "s", warnings,
               warnings == 1 ? "" : "s");
        return;
    }
    CLEANUP(json_unref_pointer) json_t *report = json_object();
    must(report != NULL);
    json_set(report, "problems", json_integer(problems));
    json_set(report, "warnings", json_integer(warnings));
    json_set(report, "checks", json_incref(doctor->checks));
    cli_print_json(report);
}

/* ---- the configuration ---- */

static void look_at_guard(struct doctor *doctor, const struct settings_list *allow,
                          const char *remedy)
{
    struct guard *guard = NULL;
    char error[200] = "";
    if (!guard_new(allow->items, allow->count, &guard, error))
        doctor_say(doctor, DOCTOR_PROBLEM, "configuration", remedy, "%s", error);
    guard_free(guard);
}

static void look_at_webhooks(struct doctor *doctor)
{
    const struct settings_list *waits = &doctor->settings->webhooks_retries;
    struct webhook_schedule schedule;
    char error[WEBHOOK_ERROR_SIZE] = "";
    if (!webhook_schedule_read(waits->items, waits->count, &schedule, error))
        doctor_say(doctor, DOCTOR_PROBLEM, "configuration", "correct the setting webhooks.retries",
                   "%s", error);
}

static void look_at_addresses(struct doctor *doctor)
{
    const struct settings *settings = doctor->settings;
    look_at_guard(doctor, &settings->fetch_allow, "correct the setting fetch.allow");
    look_at_guard(doctor, &settings->webhooks_allow, "correct the setting webhooks.allow");
    look_at_webhooks(doctor);
}

static struct settings *load_settings(struct doctor *doctor, const struct local_order *order)
{
    char error[SETTINGS_ERROR_SIZE] = "";
    struct settings *settings = local_read_settings(order, error);
    if (settings == NULL)
        doctor_say(doctor, DOCTOR_PROBLEM, "configuration",
                   "correct it; what depends on it was not looked at", "%s", error);
    else if (settings->file != NULL)
        doctor_say(doctor, DOCTOR_OK, "configuration", NULL, "\"%s\" loads", settings->file);
    else
        doctor_say(doctor, DOCTOR_OK, "configuration", NULL, "no file, the defaults hold");
    return settings;
}

/* ---- the command ---- */

/* The address comes last: asking who answers there takes hold of the signals. */
static void look(struct doctor *doctor, const struct local_order *order)
{
    struct settings *settings = load_settings(doctor, order);
    bool has_settings = settings != NULL;
    const char *none[] = {NULL};
    char error[SETTINGS_ERROR_SIZE] = "";
    if (!has_settings)
        settings = settings_load(NULL, none, error);
    must(settings != NULL); /* the defaults are sound */
    doctor->settings = settings;
    local_absolute(settings->data, doctor->data);
    if (has_settings) {
        doctor_look_at_channels(doctor);
        look_at_addresses(doctor);
        doctor_look_at_data(doctor);
    }
    doctor_look_at_media(doctor);
    doctor_look_at_machine(doctor);
    if (has_settings)
        doctor_look_at_address(doctor);
    settings_free(settings);
}

static bool wants_colours(void)
{
    const char *refusal = getenv("NO_COLOR");
    return cli_is_lively(stdout) && (refusal == NULL || *refusal == '\0');
}

static int examine(const struct local_order *order)
{
    struct doctor doctor = {
        .json = order->json,
        .has_colours = wants_colours(),
        .began_wall_ms = clock_wall_ms(),
        .began_mono_ms = clock_mono_ms(),
        .checks = json_array(),
    };
    must(doctor.checks != NULL);
    look(&doctor, order);
    sum_up(&doctor);
    json_decref(doctor.checks);
    return doctor.counts[DOCTOR_PROBLEM] > 0 ? CLI_PROBLEM_FOUND : CLI_OK;
}

static int take_option(void *order, int option)
{
    return local_take_option(order, option);
}

int doctor_main(int argc, char **argv)
{
    static const struct cli_options options = {"doctor", ":l:d:c:h", LONG_OPTIONS, HELP,
                                               take_option};
    struct local_order order = {0};
    int status;
    if (!cli_read_options_alone(&options, argc, argv, &order, &status))
        return status;
    return examine(&order);
}
