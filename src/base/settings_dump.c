/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration as Markdown. Nothing that came from the environment is shown, and nothing that could be a
 * secret, wherever it came from. Any thread. */
#include <stdio.h>
#include <string.h>

#include "base/settings_row.h"

/* A value as a Markdown cell: quoted, and unable to end the cell. */
static void write_cell(FILE *out, const char *text)
{
    if (*text == '\0')
        return;
    fputc('`', out);
    for (; *text != '\0'; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text == '`' ? '\'' : *text, out);
    }
    fputc('`', out);
}

static void write_list(FILE *out, const struct settings_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        fputs(i > 0 ? ", " : "", out);
        write_cell(out, list->items[i]);
    }
}

static void write_value(FILE *out, const void *base, const struct settings_row *row)
{
    const char *field = (const char *)base + row->offset;
    struct settings_list list;
    const char *text;
    int64_t number;
    bool flag;
    char written[SETTINGS_NUMBER_SIZE];
    switch (row->type) {
    case SETTINGS_TREE: /* channels have a table of their own */
        return;
    case SETTINGS_LIST:
        memcpy(&list, field, sizeof(list));
        write_list(out, &list);
        return;
    case SETTINGS_TEXT:
        memcpy(&text, field, sizeof(text));
        write_cell(out, text != NULL ? text : "");
        return;
    case SETTINGS_FLAG:
        memcpy(&flag, field, sizeof(flag));
        write_cell(out, flag ? "true" : "false");
        return;
    case SETTINGS_COUNT:
    case SETTINGS_BYTES:
    case SETTINGS_SPAN:
        memcpy(&number, field, sizeof(number));
        settings_write_number(row->type, number, written);
        write_cell(out, written);
        return;
    }
}

static void write_bounds(FILE *out, const struct settings_row *row)
{
    char least[SETTINGS_NUMBER_SIZE];
    char most[SETTINGS_NUMBER_SIZE];
    if (row->most == 0)
        return;
    settings_write_number(row->type, row->least, least);
    settings_write_number(row->type, row->most, most);
    fprintf(out, "%s to %s", least, most);
}

/* ---- channels ---- */

static void write_models(FILE *out, const struct settings_channel *channel)
{
    for (size_t i = 0; i < channel->n_models; i++) {
        const struct settings_model *model = &channel->models[i];
        fputs(i > 0 ? ", " : "", out);
        write_cell(out, model->name);
        if (model->upstream != NULL) {
            fputs(" as ", out);
            write_cell(out, model->upstream);
        }
    }
}

/* Without what stands before an @ in it. */
static void write_proxy(FILE *out, const char *proxy)
{
    char shown[SETTINGS_SHOWN_BYTES + 40];
    const char *host = proxy != NULL ? strrchr(proxy, '@') : NULL;
    if (host == NULL) {
        write_cell(out, proxy != NULL ? proxy : "");
        return;
    }
    const char *slashes = strstr(proxy, "://");
    int scheme = slashes != NULL ? (int)(slashes + 3 - proxy) : 0;
    snprintf(shown, sizeof(shown), "%.*s***%.*s", scheme, proxy, SETTINGS_SHOWN_BYTES, host);
    write_cell(out, shown);
}

static void write_item(FILE *out, bool *is_first, const char *text)
{
    fputs(*is_first ? "" : ", ", out);
    write_cell(out, text);
    *is_first = false;
}

/* Of credentials, headers, options and variables only the names, of a command only the program. */
static void write_tree(FILE *out, const struct settings_channel *channel, size_t offset)
{
    bool is_first = true;
    if (offset == offsetof(struct settings_draft, channel.models)) {
        write_models(out, channel);
    } else if (offset == offsetof(struct settings_draft, channel.credentials)) {
        for (size_t i = 0; i < channel->n_credentials; i++)
            write_item(out, &is_first, channel->credentials[i].name);
    } else if (offset == offsetof(struct settings_draft, channel.headers)) {
        for (size_t i = 0; i < channel->n_headers; i++)
            write_item(out, &is_first, channel->headers[i].name);
    } else if (offset == offsetof(struct settings_draft, channel.command)) {
        if (channel->command.count > 0)
            write_item(out, &is_first, channel->command.items[0]);
    } else if (offset == offsetof(struct settings_draft, channel.command_env)) {
        for (size_t i = 0; i < channel->n_command_env; i++)
            write_item(out, &is_first, channel->command_env[i].name);
    } else {
        void *at = json_object_iter(channel->options);
        for (; at != NULL; at = json_object_iter_next(channel->options, at))
            write_item(out, &is_first, json_object_iter_key(at));
    }
}

/* Has no column: what it says stands in that of `credentials` or `options`. */
static bool is_elsewhere(const struct settings_row *row)
{
    return row->offset >= sizeof(struct settings_channel);
}

static void dump_channel(const struct settings_channel *channel, FILE *out)
{
    const struct settings_draft draft = {.channel = *channel};
    for (size_t i = 0; i < settings_channel_rows.count; i++) {
        const struct settings_row *row = &settings_channel_rows.items[i];
        if (is_elsewhere(row))
            continue;
        fputs("| ", out);
        if ((channel->from_environment >> i & 1) != 0)
            fputs("(from the environment)", out);
        else if (row->type == SETTINGS_TREE)
            write_tree(out, channel, row->offset);
        else if (row->is_hidden)
            write_proxy(out, channel->proxy);
        else
            write_value(out, &draft, row);
        fputc(' ', out);
    }
    fputs("|\n", out);
}

static void dump_channels(const struct settings *settings, FILE *out)
{
    for (int line = 0; line < 2; line++) {
        fputs(line == 0 ? "\n|" : "|", out);
        for (size_t i = 0; i < settings_channel_rows.count; i++) {
            const struct settings_row *row = &settings_channel_rows.items[i];
            if (!is_elsewhere(row))
                fprintf(out, " %s |", line == 0 ? row->path + strlen("channels.") : "---");
        }
        fputc('\n', out);
    }
    for (size_t i = 0; i < settings->n_channels; i++)
        dump_channel(&settings->channels[i], out);
}

void settings_dump_channel_keys(FILE *out)
{
    fputs("| key | default | bounds | what it does |\n| --- | --- | --- | --- |\n", out);
    for (size_t i = 0; i < settings_channel_rows.count; i++) {
        const struct settings_row *row = &settings_channel_rows.items[i];
        fprintf(out, "| `%s` | ", row->path + strlen("channels."));
        write_cell(out, row->fallback != NULL ? row->fallback : "");
        fputs(" | ", out);
        write_bounds(out, row);
        fprintf(out, " | %s |\n", row->what);
    }
}

/* ---- all ---- */

void settings_dump(const struct settings *settings, FILE *out)
{
    const struct settings_whole *whole = (const void *)settings; /* its first member */
    fputs("| setting | unit | default | value | bounds | what it does |\n"
          "| --- | --- | --- | --- | --- | --- |\n",
          out);
    for (size_t i = 0; i < settings_rows.count; i++) {
        const struct settings_row *row = &settings_rows.items[i];
        fprintf(out, "| `%s` | %s | ", row->path, row->unit);
        write_cell(out, row->fallback);
        fputs(" | ", out);
        if (whole->secret[i])
            fputs("(from the environment)", out);
        else
            write_value(out, settings, row);
        fputs(" | ", out);
        write_bounds(out, row);
        fprintf(out, " | %s |\n", row->what);
    }
    if (settings->n_channels > 0)
        dump_channels(settings, out);
}
