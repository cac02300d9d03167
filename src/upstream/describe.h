/* SPDX-License-Identifier: Apache-2.0
 *
 * A task as adapters see it: docs/ADAPTERS.md, «task». Pure. */
#pragma once

#include <jansson.h>

#include "base/compiler.h"
#include "task/task.h"
#include "upstream/channel.h"

/* A new reference. `attempt_id`: att_<26>; `model`: the upstream's name. */
json_t *describe_task(const struct task_request *request, const struct channel *channel,
                      const char *model, const struct channel_fit *fit, const char *attempt_id);
/* The UUID in a TypeID, as text: 36 characters and a NUL. */
void describe_uuid(const char *typeid, char ret_text[37]);
