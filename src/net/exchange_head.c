/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads of answers. curl passes every line of every answer of a transfer: those of interim ones
 * (1xx) before, and trailers after the body. The caller bounds their bytes; here their number is
 * bounded: an upstream that sends very many does not lose us the answer, only the last of them. */
#include "net/exchange_head.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/must.h"

static void drop_headers(struct exchange_head *head)
{
    for (size_t i = 0; i < head->n_headers; i++) {
        free((void *)(uintptr_t)head->headers[i].name);
        free((void *)(uintptr_t)head->headers[i].value);
    }
    head->n_headers = 0;
}

void exchange_head_fini(struct exchange_head *head)
{
    drop_headers(head);
    *head = (struct exchange_head){0};
}

/* `HTTP/1.1 200 OK`; curl has looked at it before. */
static void begin(struct exchange_head *head, const char *line, size_t length)
{
    drop_headers(head);
    head->is_whole = false;
    head->status = 0;
    const char *space = memchr(line, ' ', length);
    if (space == NULL)
        return;
    for (const char *at = space + 1; at < line + length && isdigit((unsigned char)*at); at++)
        head->status = head->status < 100 ? head->status * 10 + (*at - '0') : head->status;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void add(struct exchange_head *head, const char *line, size_t length)
{
    const char *colon = memchr(line, ':', length);
    if (colon == NULL || colon == line || is_blank(line[0]) ||
        head->n_headers == EXCHANGE_ANSWER_HEADERS_MAX)
        return;
    const char *end = line + length;
    const char *value = colon + 1;
    while (value < end && is_blank(*value))
        value++;
    while (end > value && is_blank(end[-1]))
        end--;
    char *name = must_strndup(line, (size_t)(colon - line));
    for (char *at = name; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    head->headers[head->n_headers++] =
        (struct exchange_header){name, must_strndup(value, (size_t)(end - value))};
}

void exchange_head_line(struct exchange_head *head, const char *line, size_t length)
{
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
        length--;
    if (head->is_whole)
        return;
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0)
        begin(head, line, length);
    else if (length == 0)
        head->is_whole = head->status >= 200;
    else
        add(head, line, length);
}

static const char *value_of(const struct exchange_header *headers, size_t n_headers,
                            const char *name)
{
    for (size_t i = 0; i < n_headers; i++) {
        if (strcmp(headers[i].name, name) == 0)
            return headers[i].value;
    }
    return NULL;
}

const char *exchange_head_value(const struct exchange_head *head, const char *name)
{
    return value_of(head->headers, head->n_headers, name);
}

const char *exchange_answer_value(const struct exchange_answer *answer, const char *name)
{
    return value_of(answer->headers, answer->n_headers, name);
}

bool exchange_is_passing(long status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

/* `1500`, `1.5`: thousandths of it, at most `most`; -1 when it is no such number. */
static int64_t parse_thousandths(const char *text, int64_t most)
{
    int64_t value = 0;
    int64_t place = 100;
    if (!isdigit((unsigned char)*text))
        return -1;
    for (; isdigit((unsigned char)*text); text++)
        value = value >= most ? most : value * 10 + (int64_t)(*text - '0') * 1000;
    if (*text == '.') {
        for (text++; isdigit((unsigned char)*text); text++, place /= 10)
            value += (*text - '0') * place;
    }
    if (*text != '\0')
        return -1;
    return value < most ? value : most;
}

/* Dates begin with a letter; curl_getdate() would take numbers for dates too. */
static int64_t parse_date(const char *text)
{
    return text != NULL && isalpha((unsigned char)text[0]) ? (int64_t)curl_getdate(text, NULL) : -1;
}

int64_t exchange_head_retry_after_ms(const struct exchange_head *head, int64_t now_s)
{
    const int64_t most_ms = (int64_t)EXCHANGE_RETRY_MAX_S * 1000;
    const char *exact = exchange_head_value(head, "retry-after-ms");
    int64_t micros = exact != NULL ? parse_thousandths(exact, most_ms * 1000) : -1;
    if (micros >= 0)
        return (micros + 999) / 1000;
    const char *text = exchange_head_value(head, "retry-after");
    if (text == NULL)
        return 0;
    int64_t ms = parse_thousandths(text, most_ms);
    if (ms >= 0)
        return ms;
    int64_t then_s = parse_date(text);
    int64_t date_s = parse_date(exchange_head_value(head, "date"));
    int64_t wait_s = then_s - (date_s >= 0 ? date_s : now_s);
    if (then_s < 0 || wait_s < 0)
        return 0;
    return wait_s < EXCHANGE_RETRY_MAX_S ? wait_s * 1000 : most_ms;
}
