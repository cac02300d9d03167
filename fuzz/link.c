/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed links. Nobody without the key can make one; one that was signed works in its time and only
 * then; any change to it is seen. The input is three bytes that choose a change, then lines: the
 * asset's key, st, se, sr, sp, rscd, sig, a name for a download, and bytes for the times. */
#include "harness.h"

#include <stdlib.h>

#include "asset/asset.h"
#include "asset/link.h"
#include "base/codec.h"

enum { FIELDS = 7, LONGEST_STEP_S = 24 * 3600, DAY_S = 24 * 3600 };

static const struct link_keys KEYS = {.current = {{0x5a, 0x17, 0xc3}}};
static const char BASE[] = "https://example.com";
static const char SAMPLE_KEY[] =
    "task_01k6x15vhrff09dkkqjrzwhm60/gen_01k6x1bffaf3dr786harh8maqt/src.mp4";

/* A link taken apart. */
struct parts {
    char *fields[FIELDS]; /* asset key, st, se, sr, sp, rscd, sig; NULL when absent; owned */
};

static void parts_fini(struct parts *parts)
{
    for (size_t i = 0; i < FIELDS; i++)
        free(parts->fields[i]);
}

static enum link_verdict check_parts(const struct parts *parts, int64_t now_s)
{
    const struct link_parameters parameters = {
        .st = parts->fields[1],
        .se = parts->fields[2],
        .sr = parts->fields[3],
        .sp = parts->fields[4],
        .rscd = parts->fields[5],
        .sig = parts->fields[6],
    };
    return link_check(&KEYS, parts->fields[0], &parameters, now_s * 1000);
}

static void split(const char *link, struct parts *ret_parts)
{
    static const char *const names[FIELDS] = {NULL, "st", "se", "sr", "sp", "rscd", "sig"};
    static const char prefix[] = "https://example.com/assets/";
    must(strncmp(link, prefix, sizeof(prefix) - 1) == 0);
    const char *key = link + sizeof(prefix) - 1;
    size_t length = strcspn(key, "?");
    must(key[length] == '?');
    *ret_parts = (struct parts){.fields = {must_strndup(key, length)}};
    CLEANUP(free_pointer) char *query = must_strdup(key + length + 1);
    char *rest = query;
    while (rest != NULL) {
        char *name = strsep(&rest, "&");
        char *value = strchr(name, '=');
        must(value != NULL);
        *value++ = '\0';
        size_t i = 1;
        while (i < FIELDS && strcmp(names[i], name) != 0)
            i++;
        must(i < FIELDS && ret_parts->fields[i] == NULL && codec_percent_decode(value));
        ret_parts->fields[i] = must_strdup(value);
    }
}

/* Changes one byte of one field, takes the field away, or brings one that was not there. */
static void change(struct parts *parts, const uint8_t choice[3])
{
    char **field = &parts->fields[choice[0] % FIELDS];
    if (*field == NULL) {
        *field = must_strdup(choice[1] % 2 != 0 ? "x" : "");
        return;
    }
    size_t length = strlen(*field);
    size_t at = choice[1] % (length + 1);
    bool is_optional = field != &parts->fields[0];
    if (at < length)
        (*field)[at] = (char)((uint8_t)(*field)[at] ^ (choice[2] != 0 ? choice[2] : 1));
    else if (is_optional)
        free(TAKE(*field));
    else
        (*field)[length - 1] = '\0';
}

static int64_t take_number(struct harness_input *input, int64_t below)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | harness_byte(input);
    return (int64_t)(number % (uint64_t)below);
}

static void check_signed(const char *key, const char *attachment, const uint8_t choice[3],
                         struct harness_input *input)
{
    int64_t valid_s = 2 * DAY_S + take_number(input, 363 * DAY_S);
    int64_t now_s = take_number(input, INT64_C(250000000000));
    int64_t st_s;
    int64_t se_s;
    link_window(now_s * 1000, valid_s * 1000, &st_s, &se_s);
    must(st_s <= now_s && se_s - now_s > valid_s - LONGEST_STEP_S);

    CLEANUP(free_pointer) char *link = link_sign(&KEYS.current, BASE, key, st_s, se_s, attachment);
    CLEANUP(parts_fini) struct parts parts;
    split(link, &parts);
    must(strcmp(parts.fields[0], key) == 0 && (parts.fields[5] != NULL) == (attachment != NULL));
    must(check_parts(&parts, now_s) == LINK_OK);
    must(check_parts(&parts, se_s) == LINK_EXPIRED);
    must(st_s == 0 || check_parts(&parts, st_s - 1) == LINK_NOT_YET);

    change(&parts, choice);
    enum link_verdict verdict = check_parts(&parts, now_s);
    must(verdict == LINK_MALFORMED || verdict == LINK_TAMPERED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct harness_input input = {(const char *)data, size};
    const uint8_t choice[3] = {harness_byte(&input), harness_byte(&input), harness_byte(&input)};
    CLEANUP(parts_fini) struct parts parts;
    for (size_t i = 0; i < FIELDS; i++)
        parts.fields[i] = harness_line(&input);
    enum link_verdict verdict = check_parts(&parts, 1759763426);
    must(verdict == LINK_MALFORMED || verdict == LINK_TAMPERED);

    CLEANUP(free_pointer) char *attachment = harness_line(&input);
    const char *key = parts.fields[0];
    check_signed(asset_is_key(key) ? key : SAMPLE_KEY, attachment, choice, &input);
    return 0;
}
