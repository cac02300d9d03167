/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of settings: numbers with units, flags, texts with a form of their own, and `${NAME}` from
 * the environment. Any thread, as long as nobody changes the environment meanwhile. */
#include "base/settings_value.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: settings_write_number() takes the first that divides. */
static const struct unit SPANS[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
static const struct unit SIZES[] = {
    {"TiB", INT64_C(1) << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1},
};

/* Reads digits; a number past 64 bits saturates, so that a bound can refuse it by name. */
static const char *read_digits(const char *text, int64_t *ret_number)
{
    int64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *at - '0', &number))
            number = INT64_MAX;
    }
    if (at == text)
        return NULL;
    *ret_number = number;
    return at;
}

static bool parse_united(const char *text, const struct unit *units, size_t n_units,
                         int64_t *ret_number)
{
    int64_t number;
    const char *end = read_digits(text, &number);
    if (end == NULL)
        return false;
    for (size_t i = 0; i < n_units; i++) {
        if (strcmp(end, units[i].name) != 0)
            continue;
        if (__builtin_mul_overflow(number, units[i].factor, &number))
            number = INT64_MAX;
        *ret_number = number;
        return true;
    }
    return false;
}

bool settings_parse_span(const char *text, int64_t *ret_ms)
{
    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return true;
    }
    return parse_united(text, SPANS, ARRAY_LENGTH(SPANS), ret_ms);
}

bool settings_parse_bytes(const char *text, int64_t *ret_bytes)
{
    int64_t bytes;
    const char *end = read_digits(text, &bytes);
    if (end != NULL && *end == '\0') {
        *ret_bytes = bytes;
        return true;
    }
    return parse_united(text, SIZES, ARRAY_LENGTH(SIZES), ret_bytes);
}

bool settings_parse_count(const char *text, int64_t *ret_count)
{
    bool is_negative = *text == '-';
    int64_t count;
    const char *end = read_digits(text + is_negative, &count);
    if (end == NULL || *end != '\0')
        return false;
    *ret_count = is_negative ? -count : count;
    return true;
}

bool settings_parse_flag(const char *text, bool *ret_flag)
{
    bool is_true = strcmp(text, "true") == 0;
    if (!is_true && strcmp(text, "false") != 0)
        return false;
    *ret_flag = is_true;
    return true;
}

bool settings_parse_number(enum settings_type type, const char *text, int64_t *ret_number)
{
    if (type == SETTINGS_SPAN)
        return settings_parse_span(text, ret_number);
    if (type == SETTINGS_BYTES)
        return settings_parse_bytes(text, ret_number);
    return type == SETTINGS_COUNT && settings_parse_count(text, ret_number);
}

void settings_write_number(enum settings_type type, int64_t number,
                           char ret_text[SETTINGS_NUMBER_SIZE])
{
    const struct unit *units = type == SETTINGS_SPAN ? SPANS : SIZES;
    size_t n_units = type == SETTINGS_COUNT || number == 0 ? 0 : ARRAY_LENGTH(SPANS);
    for (size_t i = 0; i < n_units; i++) {
        if (number % units[i].factor != 0)
            continue;
        snprintf(ret_text, SETTINGS_NUMBER_SIZE, "%lld%s", (long long)(number / units[i].factor),
                 units[i].name);
        return;
    }
    snprintf(ret_text, SETTINGS_NUMBER_SIZE, "%lld", (long long)number);
}

_Static_assert(ARRAY_LENGTH(SPANS) == ARRAY_LENGTH(SIZES), "settings_write_number walks either");

const char *settings_describe(enum settings_type type)
{
    switch (type) {
    case SETTINGS_TEXT:
        return "a text";
    case SETTINGS_FLAG:
        return "true or false";
    case SETTINGS_COUNT:
        return "a whole number";
    case SETTINGS_BYTES:
        return "a size (like 64KiB, 20MiB, 2GiB)";
    case SETTINGS_SPAN:
        return "a time (like 250ms, 30s, 15m, 24h, 7d)";
    case SETTINGS_LIST:
        return "a list of texts";
    case SETTINGS_TREE:
        return "a list or a group";
    }
    return "";
}

/* ---- ${NAME} ---- */

static bool is_name_byte(char c, size_t at)
{
    return c == '_' || isalpha((unsigned char)c) || (at > 0 && isdigit((unsigned char)c));
}

/* Reads `NAME}`; returns what follows, NULL when it is not that. */
static const char *read_name(const char *text, char ret_name[SETTINGS_NAME_SIZE])
{
    size_t length = 0;
    while (is_name_byte(text[length], length))
        length++;
    if (length == 0 || length >= SETTINGS_NAME_SIZE || text[length] != '}')
        return NULL;
    memcpy(ret_name, text, length);
    ret_name[length] = '\0';
    return text + length + 1;
}

enum settings_expansion settings_expand(const char *text, struct buf *out,
                                        char ret_name[SETTINGS_NAME_SIZE])
{
    enum settings_expansion expansion = SETTINGS_PLAIN;
    const char *dollar;
    for (; (dollar = strstr(text, "${")) != NULL && !out->overflowed;) {
        if (dollar > text && dollar[-1] == '$') {
            buf_add(out, text, (size_t)(dollar - text) - 1);
            buf_puts(out, "${");
            text = dollar + 2;
            continue;
        }
        buf_add(out, text, (size_t)(dollar - text));
        text = read_name(dollar + 2, ret_name);
        if (text == NULL)
            return SETTINGS_BROKEN;
        const char *value = getenv(ret_name);
        if (value == NULL)
            return SETTINGS_UNSET;
        buf_puts(out, value);
        expansion = SETTINGS_EXPANDED;
    }
    buf_puts(out, text);
    return out->overflowed ? SETTINGS_TOO_LONG : expansion;
}

/* ---- texts with a form ---- */

/* `address:port`; whether the address exists is found out by listening. */
static bool is_listen(const char *text)
{
    const char *colon = strrchr(text, ':');
    int64_t port;
    if (colon == NULL || colon == text || !settings_parse_count(colon + 1, &port) || port < 0 ||
        port > 65535)
        return false;
    if (text[0] == '[')
        return colon - text > 3 && colon[-1] == ']';
    return memchr(text, ':', (size_t)(colon - text)) == NULL;
}

/* What follows `https://` or `http://`; NULL without it. */
static const char *skip_scheme(const char *text)
{
    return strncmp(text, "https://", 8) == 0  ? text + 8
           : strncmp(text, "http://", 7) == 0 ? text + 7
                                              : NULL;
}

static bool is_public_url(const char *text)
{
    const char *host = skip_scheme(text);
    if (*text == '\0')
        return true;
    return host != NULL && *host != '\0' && *host != '/' && strpbrk(text, " \t?#\"<>\\") == NULL;
}

/* `host`, `host:port`, `[address]:port`: at least a letter or digit of a host, and a port that can be. */
static bool is_host(const char *text, size_t length)
{
    const char *end = text + length;
    const char *colon = memrchr(text, ':', length);
    bool is_bracketed = length > 0 && text[0] == '[';
    if (is_bracketed) {
        const char *bracket = memchr(text, ']', length);
        if (bracket == NULL || strspn(text + 1, "0123456789abcdefABCDEF:.") < 2 ||
            strspn(text + 1, "0123456789abcdefABCDEF:.") != (size_t)(bracket - text - 1))
            return false;
        colon = bracket + 1 < end ? bracket + 1 : NULL;
        text = bracket + 1;
        if (colon != NULL && *colon != ':')
            return false;
    }
    size_t name = (size_t)((colon != NULL ? colon : end) - text);
    if (!is_bracketed && (name == 0 || name > 253))
        return false;
    for (size_t i = 0; !is_bracketed && i < name; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr("-._", text[i]) == NULL)
            return false;
    }
    int64_t port = 0;
    const char *digits = colon != NULL ? read_digits(colon + 1, &port) : NULL;
    return colon == NULL || (digits == end && port >= 1 && port <= 65535);
}

bool settings_is_host(const char *text)
{
    return is_host(text, strlen(text));
}

/* Bytes that can stand in a URL, and no more. */
static bool is_url_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~' || strchr("\"<>\\^`{|}", *text) != NULL)
            return false;
    }
    return true;
}

static bool is_base_url(const char *text)
{
    const char *host = skip_scheme(text);
    return host != NULL && is_host(host, strcspn(host, "/")) && is_url_text(text) &&
           strpbrk(text, "?#") == NULL && strlen(text) <= 2048;
}

/* `scheme://[user[:password]@]host[:port]`. */
static bool is_proxy(const char *text)
{
    static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
    const char *host = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
            host = text + strlen(schemes[i]);
    }
    if (host == NULL || !is_url_text(text))
        return false;
    if (strrchr(host, '@') != NULL)
        host = strrchr(host, '@') + 1;
    size_t length = strcspn(host, "/");
    return is_host(host, length) && (host[length] == '\0' || host[length + 1] == '\0');
}

static bool is_level(const char *text)
{
    return strcmp(text, "debug") == 0 || strcmp(text, "info") == 0 || strcmp(text, "warn") == 0 ||
           strcmp(text, "error") == 0;
}

static bool is_format(const char *text)
{
    return strcmp(text, "auto") == 0 || strcmp(text, "text") == 0 || strcmp(text, "json") == 0;
}

static bool is_filled(const char *text)
{
    return *text != '\0';
}

static bool is_on_unknown(const char *text)
{
    return strcmp(text, "hold") == 0 || strcmp(text, "resubmit") == 0;
}

static bool is_remix(const char *text)
{
    return strcmp(text, "refuse") == 0 || strcmp(text, "rerender") == 0;
}

static bool is_fit(const char *text)
{
    return strcmp(text, "nearest") == 0 || strcmp(text, "strict") == 0;
}

/* Fit for a header: printable, nothing that a newline in a file of secrets leaves behind. */
static bool is_header_value(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if (text[i] < ' ' || text[i] > '~')
            return false;
    }
    return length > 0 && text[0] != ' ' && text[length - 1] != ' ';
}

/* The same, or a JSON object in as many lines as it has: the key of a service account. */
static bool is_key(const char *text)
{
    size_t length = strlen(text);
    if (text[0] != '{' || text[length - 1] != '}')
        return is_header_value(text);
    for (size_t i = 0; i < length; i++) {
        bool is_blank = text[i] == '\n' || text[i] == '\r' || text[i] == '\t';
        if ((text[i] < ' ' && !is_blank) || text[i] > '~')
            return false;
    }
    return true;
}

static bool is_credential_name(const char *text)
{
    size_t length =
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return length > 0 && length <= 64 && text[length] == '\0';
}

static bool is_model(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length <= SETTINGS_MODEL_MAX;
}

static bool is_upstream_model(const char *text)
{
    return is_model(text) && strchr(text, '*') == NULL;
}

static bool is_channel_name(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return length > 0 && length <= 64 && text[length] == '\0';
}

struct form {
    const char *path;
    bool (*fits)(const char *text);
    const char *right;
};

#define PRINTABLE "printable ASCII, not empty, without blanks around it"

static const struct form FORMS[] = {
    {"listen", is_listen, "an address and a port (like 127.0.0.1:8080 or [::]:8080)"},
    {"data", is_filled, "the name of a directory"},
    {"public_url", is_public_url, "empty or a base URL (like https://video.example.com)"},
    {"log.level", is_level, "debug, info, warn or error"},
    {"log.format", is_format, "text, json or auto"},
    {"remix", is_remix, "refuse or rerender"},
    {"channels.name", is_channel_name, "1 to 64 of a-z, 0-9 and -"},
    {"channels.adapter", is_filled, "the name of an adapter"},
    {"channels.base_url", is_base_url,
     "a base URL without user, query and fragment (like https://api.example.com/v1)"},
    {"channels.key", is_key, PRINTABLE},
    {"channels.key_file", is_filled, "the name of a file"},
    {"channels.secret", is_header_value, PRINTABLE},
    {"channels.headers", is_header_value, PRINTABLE},
    {"channels.credentials.name", is_credential_name, "1 to 64 of A-Z, a-z, 0-9, ., _ and -"},
    {"channels.credentials.key", is_key, PRINTABLE},
    {"channels.credentials.key_file", is_filled, "the name of a file"},
    {"channels.credentials.secret", is_header_value, PRINTABLE},
    {"channels.models.name", is_model, "1 to 128 bytes"},
    {"channels.models.upstream", is_upstream_model, "1 to 128 bytes without *"},
    {"channels.on_unknown", is_on_unknown, "hold or resubmit"},
    {"channels.fit", is_fit, "nearest or strict"},
    {"channels.proxy", is_proxy, "the URL of a proxy (like http://127.0.0.1:3128)"},
    {"channels.ca", is_filled, "the name of a file"},
    {"channels.options_file", is_filled, "the name of a file"},
};

const char *settings_text_fault(const char *path, const char *text)
{
    for (size_t i = 0; i < ARRAY_LENGTH(FORMS); i++) {
        if (strcmp(path, FORMS[i].path) == 0)
            return FORMS[i].fits(text) ? NULL : FORMS[i].right;
    }
    return NULL;
}
