/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the query string of a list. A filter on the state goes by the words of the states (docs/REFERENCE.md), because the
 * words of the dialects lump several together; beside them stand words for groups. On HTTP threads. */
#include "api/filter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/json.h"
#include "base/moment.h"
#include "base/must.h"

enum {
    LIMIT_DEFAULT = 20,
    CURSOR_MAX = FILTER_CURSOR_SIZE - 1,
    TEXT_MAX = 256, /* bytes of a text that is looked for */
};

#define STATE(name, stored, unified, openai, is_end, meaning) | ((is_end) ? 0 : 1u << TASK_##name)
static const unsigned unfinished = 0
#include "task/state.def"
    ;

#define STATE(name, stored, unified, openai, is_end, meaning) | ((is_end) ? 1u << TASK_##name : 0)
static const unsigned ended = 0
#include "task/state.def"
    ;

static bool parse_word(const char *word, size_t length, unsigned *ret_states)
{
    const struct {
        const char *word;
        unsigned states;
    } words[] = {
        {"pending", unfinished},
        {"processing", 1u << TASK_RENDERING | 1u << TASK_FETCHING},
        {"unfinished", unfinished},
        {"ended", ended},
#define STATE(name, stored, unified, openai, is_end, meaning) {stored, 1u << TASK_##name},
#include "task/state.def"
    };
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (strlen(words[i].word) == length && strncmp(words[i].word, word, length) == 0) {
            *ret_states |= words[i].states;
            return true;
        }
    return false;
}

bool filter_parse_states(const char *words, unsigned *ret_states)
{
    unsigned states = 0;
    for (;;) {
        size_t length = strcspn(words, ",");
        if (!parse_word(words, length, &states))
            return false;
        if (words[length] == '\0')
            break;
        words += length + 1;
    }
    *ret_states = states;
    return true;
}

/* ---- the cursor ---- */

/* `<created micros>:<id>` of the last task that was looked at, in base64, so that nobody takes it for something to compute
 * with. */
void filter_write_cursor(const struct store_list_end *end, char ret_cursor[FILTER_CURSOR_SIZE])
{
    char plain[CURSOR_MAX / 4 * 3];
    int length = snprintf(plain, sizeof(plain), "%" PRId64 ":%s", end->micros, end->id);
    must(length > 0 && codec_base64_length((size_t)length) <= CURSOR_MAX);
    codec_base64url_encode(plain, (size_t)length, ret_cursor);
}

static bool read_cursor(const char *cursor, struct filter *filter)
{
    char plain[CURSOR_MAX / 4 * 3 + 4];
    size_t length = strnlen(cursor, CURSOR_MAX + 1);
    size_t n_plain = 0;
    if (length > CURSOR_MAX || !codec_base64_decode(cursor, length, (uint8_t *)plain, &n_plain))
        return false;
    plain[n_plain] = '\0';
    char *end = NULL;
    long long micros = strtoll(plain, &end, 10);
    if (end == plain || *end != ':' || micros <= 0 || !id_is_typeid(end + 1, "task"))
        return false;
    memcpy(filter->before_id, end + 1, strlen(end + 1) + 1);
    filter->query.before_micros = micros;
    filter->query.before_id = filter->before_id;
    return true;
}

/* ---- the rest ---- */

static bool read_model(const char *model, struct filter *filter)
{
    size_t length = strlen(model);
    filter->query.is_model_prefix = length > 0 && model[length - 1] == '*';
    length -= filter->query.is_model_prefix;
    if (model[0] == '\0' || length >= sizeof(filter->model))
        return false;
    memcpy(filter->model, model, length);
    filter->model[length] = '\0';
    filter->query.model = filter->model;
    return true;
}

static bool read_text(const char *text, struct filter *filter)
{
    CLEANUP(json_unref_pointer) json_t *is_utf8 = json_string(text);
    filter->query.text = text;
    return text[0] != '\0' && strlen(text) <= TEXT_MAX && is_utf8 != NULL;
}

static bool read_states(const char *words, struct filter *filter)
{
    return filter_parse_states(words, &filter->query.states);
}

static bool read_after(const char *text, struct filter *filter)
{
    return moment_parse(text, &filter->query.from_micros);
}

/* Nothing is older than 1970, which is no bound to the store. */
static bool read_before(const char *text, struct filter *filter)
{
    if (!moment_parse(text, &filter->query.until_micros))
        return false;
    filter->query.until_micros += filter->query.until_micros == 0;
    return true;
}

bool filter_read(struct api_request *request, struct filter *filter, enum MHD_Result *ret_result)
{
    static const struct {
        const char *name;
        bool (*read)(const char *text, struct filter *filter);
        const char *complaint;
    } arguments[] = {
        {"before", read_cursor, "before must be the «next» of an earlier answer."},
        {"status", read_states,
         "status must be queued, submitting, rendering, fetching, completed, failed, cancelled, "
         "pending, processing, unfinished or ended; or several of them with commas between."},
        {"model", read_model, "model must be the name of a model, or how it begins with * behind."},
        {"created_after", read_after,
         "created_after must be a time: seconds or milliseconds since 1970, or ISO 8601."},
        {"created_before", read_before,
         "created_before must be a time: seconds or milliseconds since 1970, or ISO 8601."},
        {"q", read_text, "q must be a text of 1 to 256 bytes of UTF-8."},
    };
    *filter = (struct filter){.query.tenant = auth_scope(&request->who)};
    if (!api_read_limit(request, LIMIT_DEFAULT, STORE_LIST_MAX, &filter->query.limit, ret_result))
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(arguments); i++) {
        const char *text = api_argument(request, arguments[i].name);
        if (text == NULL || arguments[i].read(text, filter))
            continue;
        *ret_result = api_reply_invalid(request, arguments[i].name, arguments[i].complaint);
        return false;
    }
    return true;
}
