/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of channels share among themselves. Nobody else includes this. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/settings.h"
#include "upstream/channel.h"

enum { CHANNEL_WORD_SIZE = 16 }; /* a ratio, a size, a resolution, with NUL */

/* Does `text` match `pattern`, in which `*` is any run of characters? */
bool channel_matches(const char *pattern, const char *text);

/* `1280x720`, `16:9`: two positive numbers with `between` between them. */
CHECKED bool channel_read_pair(const char *text, char between, int *ret_first, int *ret_second);
/* `720p` is 720, `4k` 2160; 0: no resolution. */
int channel_read_lines(const char *text);

/* Writes a sentence that goes on after the channel's name; false, for the caller to return. */
bool channel_refuse(char ret_error[SETTINGS_ERROR_SIZE], const char *format, ...) PRINTF_LIKE(2, 3);
/* Does the configuration say of it what belongs to upstreams, and would be without effect at a local channel? */
bool channel_has_upstream_settings(const struct settings_channel *source);

/* Of all credentials that are one; the table's, which frees them. Zeroed: none. */
struct channel_accounts {
    struct service_account **items;
    size_t count;
};

/* What channels have whose work needs no key. */
extern const struct channel_credential channel_no_credential;

/* channel_credential.c: fills `credentials` as `auth` asks; lists come from `arena`, accounts are added to `accounts`. False
 * after channel_refuse(). */
CHECKED bool channel_read_credentials(const struct settings_channel *source, struct arena *arena,
                                      struct channel_accounts *accounts, struct channel *channel,
                                      char ret_error[SETTINGS_ERROR_SIZE]);
void channel_accounts_fini(struct channel_accounts *accounts);
/* channel_command.c: fills `program`; lists come from `arena`. False after channel_refuse(). */
CHECKED bool channel_read_command(const struct settings_channel *source, struct arena *arena,
                                  struct channel *channel, char ret_error[SETTINGS_ERROR_SIZE]);
/* channel_about.c: fills what the adapter's `about` says; lists come from `arena`, texts stay the tree's. False with a
 * sentence that names the member. */
CHECKED bool channel_read_about(const json_t *about, struct arena *arena, struct channel *channel,
                                char ret_error[SETTINGS_ERROR_SIZE]);
