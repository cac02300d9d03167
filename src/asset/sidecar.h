/* SPDX-License-Identifier: Apache-2.0
 *
 * The sidecar of an asset in a directory: one line of JSON with what asset_info holds. */
#pragma once

#include <stdbool.h>

#include "asset/asset.h"
#include "base/compiler.h"

/* Can `type` stand in a sidecar: printable ASCII without quote or backslash, neither empty nor
 * too long? */
bool sidecar_is_type(const char *type);
/* 0, or negative errno; -EBADMSG when the file is not a whole sidecar. */
CHECKED int sidecar_read(int folder, const char *name, struct asset_info *ret_info);
/* `info->type` must have passed sidecar_is_type(). */
CHECKED int sidecar_write(int fd, const struct asset_info *info);
