/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of the kinds, and what its columns ask of the members. */
#include "upstream/auth.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/json.h"
#include "base/must.h"

static const struct auth_kind KINDS[] = {
    [AUTH_WAY_NONE] = {"none", NULL, "", NULL, "", "", AUTH_KEY_NONE, AUTH_SECRET_NONE},
    [AUTH_WAY_BEARER] = {"bearer", "Authorization", "Bearer ", NULL, "", "", AUTH_KEY_LINE,
                         AUTH_SECRET_NONE},
    [AUTH_WAY_HEADER] = {"header", NULL, "", NULL, "name", "prefix", AUTH_KEY_LINE,
                         AUTH_SECRET_NONE},
    [AUTH_WAY_QUERY] = {"query", NULL, "", NULL, "name", "", AUTH_KEY_LINE, AUTH_SECRET_NONE},
    [AUTH_WAY_VOLCENGINE] = {"volcengine", "Authorization", "", NULL, "service region", "",
                             AUTH_KEY_LINE, AUTH_SECRET_NEEDED},
    [AUTH_WAY_GOOGLE] = {"google_service_account", "Authorization", "Bearer ", "x-goog-api-key",
                         "scope", "", AUTH_KEY_ACCOUNT, AUTH_SECRET_NONE},
    [AUTH_WAY_JWT] = {"jwt_hs256", "Authorization", "Bearer ", NULL, "", "", AUTH_KEY_LINE,
                      AUTH_SECRET_OPTIONAL},
};

/* What may stand in a header's or an argument's name, and between slashes in what is signed: all but `bad`, or `good` alone. */
static const struct member {
    const char *name, *bad, *good, *form;
    const char *what; /* it is, when it is missing */
    size_t offset;
} MEMBERS[] = {
    {"name", " :,;&=?#", NULL, "the name of a header or of an argument",
     "what the header or the argument is called", offsetof(struct auth, name)},
    {"prefix", "", NULL, NULL, NULL, offsetof(struct auth, prefix)},
    {"service", "", "abcdefghijklmnopqrstuvwxyz0123456789-_", "of a-z, 0-9, - and _",
     "it is part of what is signed", offsetof(struct auth, service)},
    {"region", "", "abcdefghijklmnopqrstuvwxyz0123456789-_", "of a-z, 0-9, - and _",
     "it is part of what is signed", offsetof(struct auth, region)},
    {"scope", "", NULL, NULL, "what tokens are for", offsetof(struct auth, scope)},
};

/* Always false. */
static bool PRINTF_LIKE(2, 3) refuse(char *ret_error, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    (void)vsnprintf(ret_error, AUTH_ERROR_SIZE, format, values);
    va_end(values);
    return false;
}

const struct auth_kind *auth_kind(enum auth_way auth)
{
    must(auth < ARRAY_LENGTH(KINDS));
    return &KINDS[auth];
}

static bool read_kind(const json_t *auth, enum auth_way *ret_kind, char *ret_error)
{
    char words[120] = "";
    const char *word = json_text(auth, "kind");
    for (size_t i = 0; i < ARRAY_LENGTH(KINDS); i++) {
        size_t length = strlen(words);
        if (word != NULL && strcmp(KINDS[i].word, word) == 0) {
            *ret_kind = (enum auth_way)i;
            return true;
        }
        (void)snprintf(words + length, sizeof words - length, "%s%s", length > 0 ? ", " : "",
                       KINDS[i].word);
    }
    return refuse(ret_error, "auth.kind must be one of %s", words);
}

static bool check_member(const struct auth_kind *kind, const struct member *member,
                         const json_t *value, char *ret_error)
{
    const char *text = json_string_value(value);
    bool is_needed = codec_has_word(kind->needs, member->name);
    if (value == NULL)
        return !is_needed ||
               refuse(ret_error, "auth.%s is missing: %s", member->name, member->what);
    if (!is_needed && !codec_has_word(kind->takes, member->name))
        return refuse(ret_error, "auth.%s does not belong to the kind %s", member->name,
                      kind->word);
    if (text == NULL || text[0] == '\0' || !codec_is_printable(text))
        return refuse(ret_error, "auth.%s must be a text of printable ASCII", member->name);
    bool is_good = strpbrk(text, member->bad) == NULL &&
                   (member->good == NULL || text[strspn(text, member->good)] == '\0');
    return is_good || refuse(ret_error, "auth.%s must be %s", member->name, member->form);
}

bool auth_read(const json_t *auth, struct auth *ret_auth, char ret_error[AUTH_ERROR_SIZE])
{
    struct auth read = {0};
    if (!read_kind(auth, &read.kind, ret_error))
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(MEMBERS); i++) {
        const json_t *value = json_object_get(auth, MEMBERS[i].name);
        if (!check_member(&KINDS[read.kind], &MEMBERS[i], value, ret_error))
            return false;
        const char *text = json_string_value(value);
        memcpy((char *)&read + MEMBERS[i].offset, &text, sizeof text);
    }
    *ret_auth = read;
    return true;
}
