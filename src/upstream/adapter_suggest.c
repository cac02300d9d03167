/* SPDX-License-Identifier: Apache-2.0
 *
 * Which adapter was meant. Vendors and models stand in the texts of programs: in their `summary`, else anywhere. No program is
 * run for it: one that does not compile would hide the others. Any thread. */
#include "upstream/adapter.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/must.h"
#include "base/nearest.h"

enum {
    WORD_LEAST = 3, /* bytes; what is shorter stands everywhere */
    SHOWN_MOST = 4, /* adapters; what more of them mention tells none of them */
};

static const char *const RESERVED[] = {"animatic", "command"};

bool adapter_is_reserved(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(RESERVED); i++) {
        if (strcmp(name, RESERVED[i]) == 0)
            return true;
    }
    return false;
}

/* Does a word of `text` begin so? Capitals do not count. */
static bool mentions(const char *text, size_t length, const char *word)
{
    size_t word_length = strlen(word);
    for (size_t i = 0; i + word_length <= length; i++) {
        if ((i == 0 || !isalnum((unsigned char)text[i - 1])) &&
            strncasecmp(text + i, word, word_length) == 0)
            return true;
    }
    return false;
}

static bool is_named_like(const struct adapter *adapter, const char *word)
{
    return strstr(adapter_name(adapter), word) != NULL;
}

/* `summary: "…"`, as `about` has it. */
static bool is_summed_up_by(const struct adapter *adapter, const char *word)
{
    static const char mark[] = "summary: \"";
    const char *summary = strstr(adapter_text(adapter), mark);
    if (summary == NULL)
        return false;
    summary += strlen(mark);
    return mentions(summary, strcspn(summary, "\"\n"), word);
}

static bool is_about(const struct adapter *adapter, const char *word)
{
    return is_named_like(adapter, word) || is_summed_up_by(adapter, word);
}

static bool speaks_of(const struct adapter *adapter, const char *word)
{
    const char *text = adapter_text(adapter);
    return mentions(text, strlen(text), word);
}

/* Names of the adapters that `fits` says it of. 0 when they are too many. */
static size_t gather(const struct adapter_set *set, const char *word,
                     bool (*fits)(const struct adapter *adapter, const char *word),
                     const char *ret_names[SHOWN_MOST])
{
    size_t count = 0;
    if (set == NULL || strlen(word) < WORD_LEAST)
        return 0;
    for (size_t i = 0; i < adapter_count(set); i++) {
        const struct adapter *adapter = adapter_at(set, i);
        if (!fits(adapter, word))
            continue;
        if (count == SHOWN_MOST)
            return 0;
        ret_names[count++] = adapter_name(adapter);
    }
    return count;
}

static size_t gather_nearest(const struct adapter_set *set, const char *word,
                             const char *ret_names[SHOWN_MOST])
{
    size_t n_adapters = set != NULL ? adapter_count(set) : 0;
    const char **names = must_calloc(n_adapters + ARRAY_LENGTH(RESERVED), sizeof(*names));
    memcpy(names, RESERVED, sizeof(RESERVED));
    for (size_t i = 0; i < n_adapters; i++)
        names[ARRAY_LENGTH(RESERVED) + i] = adapter_name(adapter_at(set, i));
    const char *nearest = nearest_name(word, names, ARRAY_LENGTH(RESERVED) + n_adapters);
    free(names);
    ret_names[0] = nearest;
    return nearest != NULL ? 1 : 0;
}

void adapter_suggest(const struct adapter_set *set, const char *name, struct buf *out)
{
    const char *names[SHOWN_MOST];
    size_t count = gather(set, name, is_about, names);
    if (count == 0)
        count = gather_nearest(set, name, names);
    if (count == 0)
        count = gather(set, name, speaks_of, names);
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s\"%s\"", i == 0 ? "; is it " : i + 1 == count ? " or " : ", ", names[i]);
    buf_puts(out, count > 0 ? " you mean? `filmgate adapters list` shows them all"
                            : ": `filmgate adapters list` shows them");
}
