/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokens of jq 1.6, as far as they decide what is a name and what is not:
 *
 *     # to the end of the line        a comment
 *     "…\( … )…"                      a string; what stands in \( ) is program again
 *     .name  ..  .5  5.e3  @name      a field, the recursion, numbers, a format
 *     $ name                          a variable, blanks between are allowed
 *     name  a::b                      a function or keyword: an object's key if its innermost bracket is { and a
 *                                     colon follows (in .[a:b] the same letters call a function)
 *
 * Where we see a token that jq does not, it is jq that refuses the program. */
#include "upstream/scan.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"

static const char *const FORBIDDEN[] = {
    "env",
    "import",
    "include",
    "input",
    "inputs",
    "input_filename",
    "input_line_number",
    "debug",
    "stderr",
    "halt",
    "halt_error",
    "now",
    "localtime",
    "strflocaltime",
    "modulemeta",
    "get_search_list",
    "get_jq_origin",
    "get_prog_origin",
};
static const char *const FORBIDDEN_VARIABLES[] = {"ENV", "__prog_args"};

enum { INTERPOLATION = '\\' }; /* the bracket that \( opens */

struct scan {
    const char *at, *end;
    int line;
    char open[SCAN_DEPTH_MAX]; /* brackets not yet closed: ( [ { or INTERPOLATION */
    size_t n_open;
    bool is_after_dollar;
    char *error;
};

/* Always false. */
static bool PRINTF_LIKE(2, 3) refuse(struct scan *scan, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    (void)vsnprintf(scan->error, SCAN_ERROR_SIZE, format, values);
    va_end(values);
    return false;
}

static char peek(const struct scan *scan, size_t ahead)
{
    return (size_t)(scan->end - scan->at) > ahead ? scan->at[ahead] : '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool begins_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void pass(struct scan *scan)
{
    scan->line += *scan->at == '\n';
    scan->at++;
}

static void pass_name(struct scan *scan)
{
    while (begins_name(peek(scan, 0)) || is_digit(peek(scan, 0)))
        scan->at++;
}

static void pass_comment(struct scan *scan)
{
    while (scan->at < scan->end && *scan->at != '\n')
        scan->at++;
}

static void pass_digits(struct scan *scan)
{
    while (is_digit(peek(scan, 0)))
        scan->at++;
}

static void pass_number(struct scan *scan)
{
    pass_digits(scan);
    if (peek(scan, 0) == '.') {
        scan->at++;
        pass_digits(scan);
    }
    size_t sign = peek(scan, 1) == '+' || peek(scan, 1) == '-';
    if ((peek(scan, 0) == 'e' || peek(scan, 0) == 'E') && is_digit(peek(scan, 1 + sign))) {
        scan->at += 1 + sign;
        pass_digits(scan);
    }
}

/* ---- brackets and strings ---- */

static bool open_bracket(struct scan *scan, char bracket)
{
    if (scan->n_open == SCAN_DEPTH_MAX)
        return refuse(scan, "brackets are nested too deeply");
    scan->open[scan->n_open++] = bracket;
    return true;
}

/* From behind its opening quote, or behind an interpolation, to its end or the next interpolation. */
static bool pass_string(struct scan *scan)
{
    while (scan->at < scan->end) {
        char c = *scan->at;
        if (c == '"') {
            scan->at++;
            return true;
        }
        if (c == '\\' && peek(scan, 1) == '(') {
            scan->at += 2;
            return open_bracket(scan, INTERPOLATION);
        }
        if (c == '\\' && scan->end - scan->at > 1)
            scan->at++;
        pass(scan);
    }
    return refuse(scan, "a string does not end");
}

static bool close_bracket(struct scan *scan)
{
    static const char PAIRS[] = "()[]{}\\)";
    char text[2] = {*scan->at, '\0'};
    scan->at++;
    if (scan->n_open == 0)
        return refuse(scan, "\"%s\" closes nothing", text);
    char open = scan->open[--scan->n_open];
    for (size_t i = 0; PAIRS[i] != '\0'; i += 2) {
        if (PAIRS[i] == open && PAIRS[i + 1] == text[0])
            return open == INTERPOLATION ? pass_string(scan) : true;
    }
    return refuse(scan, "\"%s\" does not close the bracket that was opened last", text);
}

/* ---- names ---- */

/* Is the next token, after blanks and comments, a colon? */
static bool is_before_colon(const struct scan *scan)
{
    struct scan ahead = *scan;
    for (;;) {
        char c = peek(&ahead, 0);
        if (c == '#')
            pass_comment(&ahead);
        else if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            ahead.at++;
        else
            return c == ':';
    }
}

static bool is_among(const char *name, size_t length, const char *const *names, size_t n_names)
{
    for (size_t i = 0; i < n_names; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
            return true;
    }
    return false;
}

/* A name that is no field: alone, behind a dollar, or with modules before it. */
static bool check_name(struct scan *scan)
{
    bool is_variable = scan->is_after_dollar;
    const char *name = scan->at;
    pass_name(scan);
    while (peek(scan, 0) == ':' && peek(scan, 1) == ':' && begins_name(peek(scan, 2))) {
        scan->at += 2;
        name = scan->at;
        pass_name(scan);
    }
    size_t length = (size_t)(scan->at - name);
    bool is_bad =
        is_variable ? is_among(name, length, FORBIDDEN_VARIABLES, ARRAY_LENGTH(FORBIDDEN_VARIABLES))
                    : is_among(name, length, FORBIDDEN, ARRAY_LENGTH(FORBIDDEN));
    bool is_key = !is_variable && scan->n_open > 0 && scan->open[scan->n_open - 1] == '{' &&
                  is_before_colon(scan);
    if (!is_bad || is_key)
        return true;
    char text[32];
    (void)snprintf(text, sizeof text, "%s%.*s", is_variable ? "$" : "", (int)length, name);
    return refuse(scan, "an adapter may not use \"%s\"", text);
}

/* A dot and what belongs to it: a field, a number or the recursion. */
static void pass_dot(struct scan *scan)
{
    scan->at++;
    if (begins_name(peek(scan, 0)))
        pass_name(scan);
    else if (is_digit(peek(scan, 0)))
        pass_number(scan);
    else if (peek(scan, 0) == '.')
        scan->at++;
}

static bool pass_token(struct scan *scan)
{
    char c = *scan->at;
    if (begins_name(c))
        return check_name(scan);
    if (is_digit(c)) {
        pass_number(scan);
        return true;
    }
    switch (c) {
    case '.':
        pass_dot(scan);
        return true;
    case '"':
        scan->at++;
        return pass_string(scan);
    case '@':
        scan->at++;
        pass_name(scan);
        return true;
    case '(':
    case '[':
    case '{':
        scan->at++;
        return open_bracket(scan, c);
    case ')':
    case ']':
    case '}':
        return close_bracket(scan);
    default:
        pass(scan);
        return true;
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool check_all(struct scan *scan)
{
    while (scan->at < scan->end) {
        char c = *scan->at;
        if (c == '#') {
            pass_comment(scan);
        } else if (is_blank(c)) {
            pass(scan);
        } else {
            if (!pass_token(scan))
                return false;
            scan->is_after_dollar = c == '$';
        }
    }
    return scan->n_open == 0 || refuse(scan, "a bracket is not closed");
}

/* Where it stops being text: programs are UTF-8, and jq takes no NUL. */
static int find_broken_line(const char *text, size_t length)
{
    int line = 1;
    for (size_t at = 0; at < length;) {
        uint32_t code;
        size_t width = codec_utf8_step(text + at, length - at, &code);
        if (code == 0 || (code == 0xfffd && width == 1))
            break;
        line += code == '\n';
        at += width;
    }
    return line;
}

int scan_program(const char *text, size_t length, char ret_error[SCAN_ERROR_SIZE])
{
    struct scan scan = {.at = text, .end = text + length, .line = 1, .error = ret_error};
    if (!codec_is_utf8(text, length)) {
        (void)refuse(&scan, "this is not UTF-8 text");
        return find_broken_line(text, length);
    }
    return check_all(&scan) ? 0 : scan.line;
}
