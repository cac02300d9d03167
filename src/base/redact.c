/* SPDX-License-Identifier: Apache-2.0 */
#include "base/redact.h"

#include <string.h>

void redact(char *text, const char *secret)
{
    size_t length = secret != NULL ? strlen(secret) : 0;
    if (length < REDACT_SECRET_LEAST)
        return;
    for (char *at = text; (at = strstr(at, secret)) != NULL; at += length)
        memset(at, '*', length);
}

void redact_behind(char *text, const char *mark)
{
    for (char *at = text; (at = strstr(at, mark)) != NULL;) {
        at += strlen(mark);
        size_t length = strcspn(at, " \t\r\n\"'<>");
        memset(at, '*', length);
        at += length;
    }
}
