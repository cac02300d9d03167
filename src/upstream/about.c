/* SPDX-License-Identifier: Apache-2.0
 *
 * One table says which members there are, what each may be, and what it is when left out; what the table cannot say
 * (lists, the dependence of one member on another) has a function. Unknown members are refused: most are misspelt. */
#include "upstream/about.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "upstream/auth.h"

enum { TEXT_MAX = 500, DAY_S = 24 * 3600, YEAR_S = 366 * 24 * 3600, LIST_MAX = 1000 };

enum kind { GROUP, TEXT, NUMBER, WHOLE, FLAG, LIST };

struct rule {
    const char *group, *name; /* group "": at the top */
    enum kind kind;
    bool may_be_null;
    const char *fallback; /* JSON; NULL: it must be there; "": it may be missing */
    double least, most;   /* of a number; of a text its length, of a list its elements */
};

static const struct rule RULES[] = {
    {"", "summary", TEXT, false, NULL, 1, TEXT_MAX},
    {"", "evidence", TEXT, false, NULL, 1, TEXT_MAX},
    {"", "base_url", TEXT, true, "null", 1, TEXT_MAX},
    {"", "hosts", LIST, false, "[]", 0, 20},
    {"", "auth", GROUP, false, NULL, 0, 0},
    {"auth", "kind", TEXT, false, NULL, 1, TEXT_MAX},
    {"auth", "name", TEXT, false, "", 1, 100},
    {"auth", "prefix", TEXT, false, "", 1, 100},
    {"auth", "service", TEXT, false, "", 1, 40},
    {"auth", "region", TEXT, false, "", 1, 40},
    {"auth", "scope", TEXT, false, "", 1, 500},
    {"", "job", GROUP, false, "{}", 0, 0},
    {"job", "chosen", FLAG, false, "false", 0, 0},
    {"job", "certain", FLAG, false, "false", 0, 0},
    {"", "submit", GROUP, false, "{}", 0, 0},
    {"submit", "total_s", NUMBER, false, "60", 1, 3600},
    {"", "poll", GROUP, false, "{}", 0, 0},
    {"poll", "first_s", NUMBER, false, "10", 0, DAY_S},
    {"poll", "every_s", NUMBER, false, "5", 0.1, DAY_S},
    {"poll", "longest_s", NUMBER, false, "60", 0.1, DAY_S},
    {"", "result", GROUP, false, "{}", 0, 0},
    {"result", "life_s", NUMBER, true, "null", 1, YEAR_S},
    {"result", "renews", FLAG, false, "false", 0, 0},
    {"result", "auth", FLAG, false, "false", 0, 0},
    {"", "cancel", GROUP, false, "{}", 0, 0},
    {"cancel", "while", LIST, false, "[]", 0, 2},
    {"", "callback", FLAG, false, "false", 0, 0},
    {"", "models", LIST, false, "[]", 0, LIST_MAX},
    {"model", "name", TEXT, false, NULL, 1, 200},
    {"model", "durations", LIST, false, "", 1, 100}, /* or a range */
    {"model", "durations_with_images", LIST, false, "", 1, 100},
    {"model", "sizes", LIST, false, "", 1, 100},
    {"model", "aspect_ratios", LIST, false, "", 1, 100},
    {"model", "resolutions", LIST, false, "", 1, 100},
    {"model", "images", GROUP, false, "", 0, 0},
    {"range", "least", WHOLE, false, NULL, 0, 100000},
    {"range", "most", WHOLE, false, NULL, 0, 100000},
};

static const char *const EVIDENCE[] = {"wire", "sdk", "documented", "third-party", NULL};
static const char *const STATES[] = {"pending", "rendering", NULL};

/* Always false. */
static bool PRINTF_LIKE(2, 3) refuse(char *ret_error, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    (void)vsnprintf(ret_error, ABOUT_ERROR_SIZE, format, values);
    va_end(values);
    return false;
}

/* ---- one member ---- */

static const struct rule *find_rule(const char *group, const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(RULES); i++) {
        if (strcmp(RULES[i].group, group) == 0 && strcmp(RULES[i].name, name) == 0)
            return &RULES[i];
    }
    return NULL;
}

static bool is_within(const struct rule *rule, double value)
{
    return value >= rule->least && value <= rule->most;
}

static bool fits(const struct rule *rule, const json_t *value)
{
    switch (rule->kind) {
    case GROUP:
        return json_is_object(value);
    case TEXT:
        return json_is_string(value) && is_within(rule, (double)json_string_length(value));
    case NUMBER:
        return json_is_number(value) && is_within(rule, json_number_value(value));
    case WHOLE:
        return json_is_number(value) && is_within(rule, json_number_value(value)) &&
               floor(json_number_value(value)) == json_number_value(value);
    case FLAG:
        return json_is_boolean(value);
    case LIST:
        return json_is_array(value) && is_within(rule, (double)json_array_size(value));
    }
    return false;
}

static bool refuse_value(const struct rule *rule, const char *path, char *ret_error)
{
    static const char *const WORDS[] = {
        [GROUP] = "an object",           [TEXT] = "a text of",     [NUMBER] = "a number from",
        [WHOLE] = "a whole number from", [FLAG] = "true or false", [LIST] = "a list of"};
    static const char *const UNITS[] = {
        [TEXT] = " characters", [LIST] = " elements", [FLAG] = NULL};
    const char *null = rule->may_be_null ? " or null" : "";
    if (rule->kind == GROUP || rule->kind == FLAG)
        return refuse(ret_error, "%s.%s must be %s%s", path, rule->name, WORDS[rule->kind], null);
    const char *unit = rule->kind == TEXT || rule->kind == LIST ? UNITS[rule->kind] : "";
    return refuse(ret_error, "%s.%s must be %s %g to %g%s%s", path, rule->name, WORDS[rule->kind],
                  rule->least, rule->most, unit, null);
}

/* Is each member of `object` one of the group's? */
static bool check_names(json_t *object, const char *group, const char *path, char *ret_error)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        if (!find_rule(group, name))
            return refuse(ret_error, "%s has no member \"%.60s\"", path, name);
    }
    return true;
}

/* A list, or a range in its place. */
static bool is_duration(const struct rule *rule)
{
    return strncmp(rule->name, "durations", strlen("durations")) == 0;
}

/* Checks one object against its group's rules and completes it. */
static bool check_group(json_t *object, const char *group, const char *path, char *ret_error)
{
    if (!check_names(object, group, path, ret_error))
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(RULES); i++) {
        const struct rule *rule = &RULES[i];
        if (strcmp(rule->group, group) != 0)
            continue;
        const json_t *value = json_object_get(object, rule->name);
        bool is_range = is_duration(rule) && json_is_object(value);
        if (!value && !rule->fallback)
            return refuse(ret_error, "%s.%s is missing", path, rule->name);
        if (!value && rule->fallback[0] != '\0')
            json_set(object, rule->name, json_loads(rule->fallback, JSON_DECODE_ANY, NULL));
        else if (value && !is_range && !(rule->may_be_null && json_is_null(value)) &&
                 !fits(rule, value))
            return refuse_value(rule, path, ret_error);
    }
    return true;
}

/* ---- what the table cannot say ---- */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; text && *words; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

static bool check_word(const char *text, const char *const *words, const char *path,
                       char *ret_error)
{
    char list[150] = "";
    if (is_one_of(text, words))
        return true;
    for (; *words; words++) {
        size_t length = strlen(list);
        (void)snprintf(list + length, sizeof list - length, "%s%s", length > 0 ? ", " : "", *words);
    }
    return refuse(ret_error, "%s must be one of %s", path, list);
}

static bool is_url(const char *text)
{
    size_t length = strncmp(text, "https://", 8) == 0  ? 8
                    : strncmp(text, "http://", 7) == 0 ? 7
                                                       : 0;
    return length > 0 && text[length] != '\0' && text[length] != '/' &&
           strpbrk(text, " \t\r\n?#@\\") == NULL;
}

/* host or host:port */
static bool is_host(const char *text)
{
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
    if (!text)
        return false;
    size_t length = strspn(text, LETTERS);
    size_t n_digits = text[length] == ':' ? strspn(text + length + 1, "0123456789") : 0;
    return length > 0 && length <= 253 &&
           (text[length] == '\0' ||
            (n_digits > 0 && n_digits <= 5 && text[length + 1 + n_digits] == '\0'));
}

/* Two whole numbers with a character between: "1280x720", "16:9". */
static bool is_pair(const char *text, char between)
{
    static const char DIGITS[] = "0123456789";
    size_t first = text ? strspn(text, DIGITS) : 0;
    if (first == 0 || first > 5 || text[first] != between)
        return false;
    size_t second = strspn(text + first + 1, DIGITS);
    return second > 0 && second <= 5 && text[first + 1 + second] == '\0';
}

static bool is_size(const char *text)
{
    return is_pair(text, 'x');
}

static bool is_ratio(const char *text)
{
    return is_pair(text, ':');
}

static bool is_some_text(const char *text)
{
    return text && text[0] != '\0';
}

static bool is_state(const char *text)
{
    return is_one_of(text, STATES);
}

/* Every element of a list that may be missing. */
static bool check_texts(const json_t *list, bool (*is_good)(const char *text), const char *path,
                        const char *form, char *ret_error)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!is_good(json_string_value(json_array_get(list, i))))
            return refuse(ret_error, "%s[%zu] must be %s", path, i, form);
    }
    return true;
}

static bool check_range(json_t *range, const char *path, char *ret_error)
{
    if (!check_group(range, "range", path, ret_error))
        return false;
    return json_number(range, "least", 0) <= json_number(range, "most", 0) ||
           refuse(ret_error, "%s.least is more than %s.most", path, path);
}

static bool check_durations(json_t *durations, const char *path, char *ret_error)
{
    if (json_is_object(durations))
        return check_range(durations, path, ret_error);
    for (size_t i = 0; i < json_array_size(durations); i++) {
        double seconds = json_number_value(json_array_get(durations, i));
        if (!(seconds >= 1 && seconds <= 3600 && floor(seconds) == seconds))
            return refuse(ret_error, "%s[%zu] must be a whole number from 1 to 3600", path, i);
    }
    return true;
}

static bool check_model(json_t *model, size_t index, char *ret_error)
{
    char path[40], member[64];
    (void)snprintf(path, sizeof path, "about.models[%zu]", index);
    if (!json_is_object(model))
        return refuse(ret_error, "%s must be an object", path);
    if (!check_group(model, "model", path, ret_error))
        return false;
    static const struct {
        const char *name, *form;
        bool (*is_good)(const char *text);
    } LISTS[] = {
        {"sizes", "a text like \"1280x720\"", is_size},
        {"aspect_ratios", "a text like \"16:9\"", is_ratio},
        {"resolutions", "a text like \"720p\"", is_some_text},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(LISTS); i++) {
        (void)snprintf(member, sizeof member, "%s.%s", path, LISTS[i].name);
        if (!check_texts(json_object_get(model, LISTS[i].name), LISTS[i].is_good, member,
                         LISTS[i].form, ret_error))
            return false;
    }
    static const char *const DURATIONS[] = {"durations", "durations_with_images"};
    for (size_t i = 0; i < ARRAY_LENGTH(DURATIONS); i++) {
        (void)snprintf(member, sizeof member, "%s.%s", path, DURATIONS[i]);
        if (!check_durations(json_object_get(model, DURATIONS[i]), member, ret_error))
            return false;
    }
    (void)snprintf(member, sizeof member, "%s.images", path);
    json_t *images = json_object_get(model, "images");
    return !images || check_range(images, member, ret_error);
}

static bool check_auth(const json_t *auth, char *ret_error)
{
    struct auth read;
    char error[AUTH_ERROR_SIZE];
    return auth_read(auth, &read, error) || refuse(ret_error, "about.%s", error);
}

static bool check_rest(json_t *about, char *ret_error)
{
    const char *base_url = json_text(about, "base_url");
    const json_t *poll = json_object_get(about, "poll");
    if (!check_word(json_text(about, "evidence"), EVIDENCE, "about.evidence", ret_error) ||
        !check_auth(json_object_get(about, "auth"), ret_error))
        return false;
    if (base_url && !is_url(base_url))
        return refuse(
            ret_error,
            "about.base_url must be null or begin with https:// and a host, without ? or #");
    if (json_number(poll, "every_s", 0) > json_number(poll, "longest_s", 0))
        return refuse(ret_error, "about.poll.every_s is more than about.poll.longest_s");
    if (!check_texts(json_object_get(about, "hosts"), is_host, "about.hosts",
                     "a host in lower case, or host:port", ret_error))
        return false;
    return check_texts(json_object_get(json_object_get(about, "cancel"), "while"), is_state,
                       "about.cancel.while", "\"pending\" or \"rendering\"", ret_error);
}

bool about_complete(json_t *about, char ret_error[ABOUT_ERROR_SIZE])
{
    static const char *const GROUPS[] = {"auth", "job", "submit", "poll", "result", "cancel"};
    if (!json_is_object(about))
        return refuse(ret_error, "about must give an object");
    if (!check_group(about, "", "about", ret_error))
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(GROUPS); i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "about.%s", GROUPS[i]);
        if (!check_group(json_object_get(about, GROUPS[i]), GROUPS[i], path, ret_error))
            return false;
    }
    if (!check_rest(about, ret_error))
        return false;
    json_t *models = json_object_get(about, "models");
    for (size_t i = 0; i < json_array_size(models); i++) {
        if (!check_model(json_array_get(models, i), i, ret_error))
            return false;
    }
    return true;
}
