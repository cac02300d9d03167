/* SPDX-License-Identifier: Apache-2.0
 *
 * What an adapter says about itself, held to its shape. Pure. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/compiler.h"

enum { ABOUT_ERROR_SIZE = 256 };

/* Checks `about` and adds the defaults of what it leaves out. False with a sentence that names the member. */
CHECKED bool about_complete(json_t *about, char ret_error[ABOUT_ERROR_SIZE]);
