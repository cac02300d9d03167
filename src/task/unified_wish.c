/* SPDX-License-Identifier: Apache-2.0
 *
 * The wishes of a create request: the names that each comes by, and a reader for each kind of value (text, whole number,
 * flag). What a wish means is unified_decode.c's. Pure. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/json.h"
#include "base/must.h"
#include "task/unified_reader.h"

enum { SYNONYMS_MAX = 8 };

/* The first name that carries a value counts. A dot reaches into an object. */
static const char *const synonyms[WISH_COUNT][SYNONYMS_MAX] = {
    [WISH_MODEL] = {"model"},
    [WISH_PROMPT] = {"prompt"},
    [WISH_ORIENTATION] = {"orientation", "metadata.orientation"},
    [WISH_SIZE] = {"size", "resolution", "resolution_name", "metadata.size", "metadata.resolution"},
    [WISH_ASPECT_RATIO] = {"aspect_ratio", "aspectRatio", "ratio", "metadata.aspect_ratio",
                           "metadata.aspectRatio", "metadata.ratio", "video_config.aspect_ratio"},
    [WISH_HD] = {"hd"},
    [WISH_WIDTH] = {"width"},
    [WISH_HEIGHT] = {"height"},
    [WISH_DURATION] = {"duration", "seconds", "video_length", "metadata.duration",
                       "metadata.seconds"},
    [WISH_SEED] = {"seed", "metadata.seed"},
    [WISH_PRIORITY] = {"priority"},
    [WISH_WATERMARK] = {"watermark", "metadata.watermark"},
    [WISH_PRIVATE] = {"private"},
    [WISH_STORYBOARD] = {"storyboard"},
    [WISH_ENHANCE_PROMPT] = {"enhance_prompt"},
    [WISH_TITLE] = {"title"},
    [WISH_STYLE] = {"style"},
    [WISH_NEGATIVE_PROMPT] = {"negative_prompt", "metadata.negative_prompt"},
    [WISH_CHARACTER_URL] = {"character_url"},
    [WISH_CHARACTER_TIMESTAMPS] = {"character_timestamps"},
    [WISH_TAGS] = {"tags"},
    [WISH_WEBHOOK_URL] = {"webhook_url", "callback_url", "notify_hook", "metadata.webhook_url",
                          "metadata.callback_url", "metadata.notify_hook"},
};

const char *unified_field(const char *key)
{
    for (size_t i = 0; i < WISH_COUNT; i++)
        for (size_t j = 0; j < SYNONYMS_MAX && synonyms[i][j] != NULL; j++)
            if (strcmp(key, synonyms[i][j]) == 0)
                return synonyms[i][0];
    return NULL;
}

bool unified_fail(const struct unified_reader *reader, const char *param, const char *format, ...)
{
    struct unified_fault *fault = reader->fault;
    fault->code = "invalid_request";
    (void)snprintf(fault->param, sizeof fault->param, "%s", param);
    va_list values;
    va_start(values, format);
    (void)vsnprintf(fault->message, sizeof fault->message, format, values);
    va_end(values);
    return false;
}

const json_t *unified_parse_kept(const struct unified_reader *reader, const char *text)
{
    char error[JSON_ERROR_SIZE];
    if (*text != '[' && *text != '{')
        return NULL;
    json_t *value = json_parse_within(text, strlen(text), reader->members_left, error);
    if (value != NULL)
        json_add(reader->decoded->parsed, value);
    return value;
}

bool unified_is_asked(const json_t *value)
{
    return value != NULL && !json_is_null(value) &&
           !(json_is_string(value) && json_string_length(value) == 0);
}

static const json_t *member(const struct unified_reader *reader, const char *name)
{
    const char *dot = strchr(name, '.');
    if (dot == NULL)
        return json_object_get(reader->body, name);
    if (strncmp(name, "metadata.", 9) == 0)
        return json_object_get(reader->metadata, dot + 1);
    return json_object_getn(json_object_getn(reader->body, name, (size_t)(dot - name)), dot + 1,
                            strlen(dot + 1));
}

const json_t *unified_find(const struct unified_reader *reader, enum wish wish,
                           const char **ret_name)
{
    for (size_t i = 0; i < SYNONYMS_MAX && synonyms[wish][i] != NULL; i++) {
        const json_t *value = member(reader, synonyms[wish][i]);
        if (unified_is_asked(value)) {
            *ret_name = synonyms[wish][i];
            return value;
        }
    }
    *ret_name = synonyms[wish][0];
    return NULL;
}

/* ---- texts ---- */

bool unified_check_text(const struct unified_reader *reader, const char *name, const json_t *value,
                        size_t max_bytes)
{
    if (!json_is_string(value))
        return unified_fail(reader, name, "\"%s\" must be a string", name);
    size_t length = json_string_length(value);
    if (length > max_bytes)
        return unified_fail(reader, name, "\"%s\" must have at most %zu bytes", name, max_bytes);
    if (!codec_is_utf8(json_string_value(value), length))
        return unified_fail(reader, name, "\"%s\" must be UTF-8 without NUL", name);
    return true;
}

bool unified_read_text(const struct unified_reader *reader, enum wish wish, size_t max_bytes,
                       char **ret_text)
{
    const char *name;
    const json_t *value = unified_find(reader, wish, &name);
    if (value == NULL)
        return true;
    if (!unified_check_text(reader, name, value, max_bytes))
        return false;
    *ret_text = must_strdup(json_string_value(value));
    return true;
}

/* Control characters, white space and the invisible marks of Unicode's general punctuation. */
bool unified_has_blank(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p <= 0x20 || *p == 0x7F || (*p == 0xC2 && p[1] <= 0xA0))
            return true;
        if (*p == 0xE2 && p[1] == 0x80 && (p[2] <= 0x8F || (p[2] >= 0xA8 && p[2] <= 0xAF)))
            return true;
        if ((*p == 0xE2 && p[1] == 0x81 && p[2] >= 0x9F) ||
            (*p == 0xE3 && p[1] == 0x80 && p[2] == 0x80) ||
            (*p == 0xEF && p[1] == 0xBB && p[2] == 0xBF))
            return true;
    }
    return false;
}

bool unified_is_http(const char *text)
{
    return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

/* ---- whole numbers and flags ---- */

/* "10", "-1", "10.0", and with `unit` "10s"; blanks around it are tolerated. */
static bool parse_whole(const char *text, bool has_unit, int64_t *ret_number)
{
    text += strspn(text, " \t");
    bool is_negative = *text == '-';
    text += is_negative;
    size_t n_digits = strspn(text, "0123456789");
    if (n_digits == 0 || n_digits > 16)
        return false;
    int64_t number = 0;
    for (size_t i = 0; i < n_digits; i++)
        number = number * 10 + (text[i] - '0');
    text += n_digits;
    if (*text == '.')
        text += 1 + strspn(text + 1, "0");
    if (has_unit && (*text == 's' || *text == 'S'))
        text++;
    if (text[strspn(text, " \t")] != '\0')
        return false;
    *ret_number = is_negative ? -number : number;
    return true;
}

static bool whole_of(const json_t *value, bool has_unit, int64_t *ret_number)
{
    if (json_is_string(value))
        return parse_whole(json_string_value(value), has_unit, ret_number);
    if (json_is_integer(value)) {
        *ret_number = json_integer_value(value);
        return true;
    }
    double number = json_number_value(value);
    if (!json_is_real(value) || !(fabs(number) <= (double)UNIFIED_WHOLE_MAX) ||
        (double)(int64_t)number < number || (double)(int64_t)number > number)
        return false;
    *ret_number = (int64_t)number;
    return true;
}

bool unified_read_whole(const struct unified_reader *reader, enum wish wish, int64_t min,
                        int64_t max, int64_t *number)
{
    const char *name;
    const json_t *value = unified_find(reader, wish, &name);
    if (value == NULL)
        return true;
    int64_t found;
    if (!whole_of(value, wish == WISH_DURATION, &found) || found < min || found > max)
        return unified_fail(reader, name, "\"%s\" must be a whole number from %lld to %lld", name,
                            (long long)min, (long long)max);
    *number = found;
    return true;
}

static bool flag_of(const json_t *value, bool *ret_flag)
{
    static const struct {
        const char *text;
        bool flag;
    } words[] = {{"true", true}, {"1", true}, {"false", false}, {"0", false}};
    int64_t number;
    if (json_is_boolean(value)) {
        *ret_flag = json_is_true(value);
        return true;
    }
    for (size_t i = 0; json_is_string(value) && i < ARRAY_LENGTH(words); i++)
        if (strcasecmp(json_string_value(value), words[i].text) == 0) {
            *ret_flag = words[i].flag;
            return true;
        }
    if (json_is_string(value) || !whole_of(value, false, &number) || number < 0 || number > 1)
        return false;
    *ret_flag = number == 1;
    return true;
}

bool unified_read_flag(const struct unified_reader *reader, enum wish wish, bool *ret_has,
                       bool *flag)
{
    const char *name;
    const json_t *value = unified_find(reader, wish, &name);
    if (value == NULL)
        return true;
    if (!flag_of(value, flag))
        return unified_fail(reader, name, "\"%s\" must be true or false", name);
    if (ret_has != NULL)
        *ret_has = true;
    return true;
}
