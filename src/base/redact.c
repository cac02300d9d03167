/* SPDX-License-Identifier: Apache-2.0 */
#include "base/redact.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* How many bytes of `text` spell the first of `sought`: itself, its %XX of an address, or a slash with JSON's backslash. */
static size_t spelling(const char *text, char sought)
{
    char encoded[4];
    if (*text == sought)
        return 1;
    if (sought == '/' && strncmp(text, "\\/", 2) == 0)
        return 2;
    if (*text != '%')
        return 0;
    snprintf(encoded, sizeof(encoded), "%%%02X", (unsigned)(unsigned char)sought);
    return strncasecmp(text, encoded, 3) == 0 ? 3 : 0;
}

/* The first place where `sought` is spelt in `text`, and how many bytes it has there; NULL: nowhere. */
static char *find(char *text, const char *sought, size_t *ret_length)
{
    for (; *text != '\0'; text++) {
        size_t length = 0, step = 1;
        const char *rest = sought;
        for (; *rest != '\0' && (step = spelling(text + length, *rest)) > 0; rest++)
            length += step;
        if (*rest == '\0') {
            *ret_length = length;
            return text;
        }
    }
    return NULL;
}

void redact(char *text, const char *secret)
{
    size_t length;
    if (secret == NULL || strlen(secret) < REDACT_SECRET_LEAST)
        return;
    for (char *at = text; (at = find(at, secret, &length)) != NULL; at += length)
        memset(at, '*', length);
}

void redact_behind(char *text, const char *mark)
{
    size_t length;
    for (char *at = text; (at = find(at, mark, &length)) != NULL;) {
        at += length;
        length = strcspn(at, " \t\r\n\"'<>");
        memset(at, '*', length);
        at += length;
    }
}
