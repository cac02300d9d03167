/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate adapters test`: golden exchanges, and what an adapter makes of the answers of bad days. Nothing is sent to an upstream.
 * One thread. */
#include "cli/adapters_own.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/conformance.h"
#include "cli/golden.h"

enum { PATH_BYTES = 4096 };

static void print_value(const char *label, const json_t *value)
{
    CLEANUP(free_pointer)
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_WRITE_FLAGS | JSON_SORT_KEYS);
    printf("      %-9s", label);
    cli_print_text(stdout, text ? text : "", 0);
    putchar('\n');
}

/* ---- one adapter ---- */

static bool is_ok(const json_t *row)
{
    return json_is_null(row) || json_flag(row, "ok", false);
}

static size_t count_failed(const json_t *rows)
{
    size_t n_failed = 0;
    for (size_t i = 0; i < json_array_size(rows); i++)
        n_failed += !is_ok(json_array_get(rows, i));
    return n_failed;
}

static void print_case(const json_t *row)
{
    const json_t *got = json_object_get(row, "got");
    printf("%s  %-9s  ", is_ok(row) ? "ok  " : "FAIL", json_text(row, "function"));
    cli_print_text(stdout, json_text(row, "name"), 0);
    putchar('\n');
    if (is_ok(row))
        return;
    print_value("expected", json_object_get(row, "expected"));
    if (got)
        print_value("got", got);
    else
        print_value("fault", json_object_get(row, "fault"));
}

/* Those alone that were read wrongly: what is right says its number. */
static void print_faults(const struct adapter *adapter, const json_t *faults)
{
    size_t n_met = 0;
    for (size_t i = 0; i < json_array_size(faults); i++) {
        const json_t *row = json_array_get(faults, i);
        n_met += !json_is_null(row);
        if (is_ok(row))
            continue;
        printf("FAIL  %-9s  the answer \"%s\" was taken for \"%s\", not for: %s\n",
               json_text(row, "function"), json_text(row, "fault"), json_text(row, "verdict"),
               json_text(row, "expected"));
        if (json_object_get(row, "got"))
            print_value("got", json_object_get(row, "got"));
        else
            print_value("fault", json_object_get(row, "message"));
    }
    printf("%s: %zu bad answers, %zu read wrongly\n", adapter_name(adapter), n_met,
           count_failed(faults));
}

/* What the golden exchanges leave out, or hold for nothing. */
static void note_cases(const json_t *about, const json_t *cases)
{
    bool cancels = json_array_size(json_object_get(json_object_get(about, "cancel"), "while")) > 0;
    bool gives_job = false, has_vain = false;
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *row = json_array_get(cases, i);
        const char *function = json_text(row, "function");
        gives_job |= strcmp(function, "submitted") == 0 &&
                     json_object_get(json_object_get(row, "got"), "job") != NULL;
        has_vain |= !cancels && !is_ok(row) && strncmp(function, "cancel", 6) == 0;
    }
    if (has_vain)
        cli_note("this adapter has no `cancel` (its `about` names no state for it): take the case "
                 "out");
    if (!gives_job)
        cli_note("no golden exchange makes `submitted` give a `job`: add the answer to a job that "
                 "was taken");
}

static int tell(const struct adapters_order *order, const struct adapter *adapter,
                const json_t *about, const json_t *faults, const json_t *cases)
{
    size_t n_failed = count_failed(faults) + count_failed(cases);
    if (order->local.json) {
        CLEANUP(json_unref_pointer) json_t *whole = json_object();
        json_set_text(whole, "adapter", adapter_name(adapter));
        json_set(whole, "failed", json_integer((json_int_t)n_failed));
        json_set(whole, "faults", json_deep_copy(faults));
        json_set(whole, "cases", cases ? json_deep_copy(cases) : json_array());
        cli_print_json(whole);
        return n_failed == 0 ? CLI_OK : CLI_PROBLEM_FOUND;
    }
    printf("ok    %-9s  it compiles, and what it says about itself is valid\n", "about");
    print_faults(adapter, faults);
    for (size_t i = 0; i < json_array_size(cases); i++)
        print_case(json_array_get(cases, i));
    if (cases)
        printf("%s: %zu golden exchanges, %zu failed\n", adapter_name(adapter),
               json_array_size(cases), count_failed(cases));
    if (cases)
        note_cases(about, cases);
    else if (adapter_file(adapter) == NULL)
        cli_note("no golden exchanges were run: --golden names a file of them (in a clone, "
                 "tests/golden/%s.json)",
                 adapter_name(adapter));
    else
        cli_note("no golden exchanges were run: --golden names a file of them");
    return n_failed == 0 ? CLI_OK : CLI_PROBLEM_FOUND;
}

/* NAME.golden.json beside NAME.jq; false when there is none. */
static bool find_golden(const struct adapter *adapter, struct buf *path)
{
    const char *file = adapter_file(adapter);
    buf_init(path, PATH_BYTES);
    if (!file)
        return false;
    buf_add(path, file, strlen(file) - strlen(".jq"));
    buf_puts(path, ".golden.json");
    return access(buf_text(path), F_OK) == 0;
}

static int test_one(const struct adapters_order *order, const struct adapter *adapter)
{
    char error[ADAPTER_ERROR_SIZE];
    CLEANUP(buf_fini) struct buf beside;
    bool is_beside = find_golden(adapter, &beside);
    const char *path = order->golden ? order->golden : is_beside ? buf_text(&beside) : NULL;
    CLEANUP(json_unref_pointer) json_t *about = adapter_about(adapter, error);
    if (!about)
        return adapters_complain_invalid(error);
    CLEANUP(json_unref_pointer) json_t *golden = NULL;
    CLEANUP(json_unref_pointer) json_t *cases = NULL;
    if (path)
        golden = golden_read(path, adapter_name(adapter), error);
    if (path && !golden)
        return cli_complain(CLI_USAGE, "%s", error);
    CLEANUP(json_unref_pointer) json_t *faults = conformance_run(adapter, about, error);
    if (faults && golden)
        cases = golden_run(golden, adapter, error);
    if (!faults || (golden && !cases))
        return cli_complain(CLI_LOCAL, "%s", error);
    return tell(order, adapter, about, faults, cases);
}

/* ---- all of them ---- */

enum { NAME_COLUMNS = 16, WORD_COLUMNS = 10 };

/* As it stands in the table: most of it is «nobody knows». */
static const char *word_of(const json_t *row)
{
    const char *verdict = json_text(row, "verdict");
    if (!verdict)
        return "-";
    return strcmp(verdict, "unknown") == 0 || strcmp(verdict, "unclear") == 0 ? "?" : verdict;
}

/* How wide a column is: its heading, and verdicts cut to WORD_COLUMNS. */
static int width_of(size_t fault, const json_t *table)
{
    enum conformance_function function;
    size_t width = strlen(conformance_fault(fault, &function));
    for (size_t i = 0; i < json_array_size(table); i++) {
        const json_t *rows = json_object_get(json_array_get(table, i), "faults");
        const json_t *row = json_array_get(rows, fault);
        size_t length = strlen(word_of(row)) + !is_ok(row);
        width = length > width ? length : width;
    }
    return width > WORD_COLUMNS ? WORD_COLUMNS : (int)width;
}

static void print_line(const json_t *entry, enum conformance_function function, const json_t *table)
{
    const json_t *faults = json_object_get(entry, "faults");
    enum conformance_function whose;
    cli_print_column(entry ? json_text(entry, "adapter") : conformance_function_name(function),
                     NAME_COLUMNS);
    for (size_t i = 0; i < conformance_count(); i++) {
        char cell[40];
        const json_t *row = json_array_get(faults, i);
        const char *name = conformance_fault(i, &whose);
        if (whose != function)
            continue;
        snprintf(cell, sizeof(cell), "%s%s", is_ok(row) ? "" : "!", word_of(row));
        printf("%-*.*s  ", width_of(i, table), WORD_COLUMNS, entry ? cell : name);
    }
    putchar('\n');
}

/* What each adapter makes of each bad answer; what it may not is marked by an exclamation mark. */
static void print_table(const json_t *table)
{
    for (int function = 0; function < CONFORMANCE_FUNCTIONS; function++) {
        if (function > 0)
            putchar('\n');
        print_line(NULL, (enum conformance_function)function, table);
        for (size_t i = 0; i < json_array_size(table); i++)
            print_line(json_array_get(table, i), (enum conformance_function)function, table);
    }
}

/* CLI_OK, or an exit status after complaining. */
static int add_to_table(const struct adapter *adapter, json_t *table, size_t *n_failed)
{
    char error[ADAPTER_ERROR_SIZE];
    CLEANUP(json_unref_pointer) json_t *about = adapter_about(adapter, error);
    if (!about)
        return adapters_complain_invalid(error);
    json_t *faults = conformance_run(adapter, about, error);
    if (!faults)
        return cli_complain(CLI_LOCAL, "%s", error);
    json_t *entry = json_object();
    json_set_text(entry, "adapter", adapter_name(adapter));
    json_set_text(entry, "evidence", json_text(about, "evidence"));
    json_set(entry, "faults", faults);
    json_add(table, entry);
    *n_failed += count_failed(faults);
    return CLI_OK;
}

static int test_all(const struct adapters_order *order)
{
    size_t n_failed = 0;
    int status;
    struct adapter_set *set = adapters_open(order, &status);
    if (!set)
        return status;
    CLEANUP(json_unref_pointer) json_t *table = json_array();
    for (size_t i = 0; i < adapter_count(set); i++) {
        int one = add_to_table(adapter_at(set, i), table, &n_failed);
        status = status == CLI_OK ? one : status;
    }
    if (order->local.json)
        cli_print_json(table);
    else
        print_table(table);
    if (!order->local.json)
        printf("\n?: nobody knows (unknown, unclear); -: it cannot cancel; !: it may not say that\n"
               "%zu adapters, %zu bad answers read wrongly\n",
               json_array_size(table), n_failed);
    adapter_set_free(set);
    return status == CLI_OK && n_failed > 0 ? CLI_PROBLEM_FOUND : status;
}

int adapters_test(void *context, const char *word)
{
    const struct adapters_order *order = context;
    char error[ADAPTER_ERROR_SIZE] = "";
    int status = CLI_OK;
    if (!word && order->golden)
        return cli_complain_usage("adapters", "--golden is for one adapter: say which");
    if (!word)
        return test_all(order);
    bool is_file = strchr(word, '/') || strchr(word, '.'); /* no name has these */
    struct adapter_set *set =
        is_file ? adapter_set_file(word, error) : adapter_set_new(order->folder, error);
    if (!set)
        return adapters_complain_invalid(error);
    const struct adapter *adapter = is_file ? adapter_at(set, 0) : adapter_find(set, word);
    status = adapter ? test_one(order, adapter) : adapters_complain_unknown(set, word);
    adapter_set_free(set);
    return status;
}
