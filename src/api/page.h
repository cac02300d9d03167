/* SPDX-License-Identifier: Apache-2.0
 *
 * The page at `/` and what it may load. */
#pragma once

#include <stddef.h>

#include "api/origin.h"

enum { PAGE_POLICY_SIZE = 512 + 2 * ORIGIN_BASE_SIZE };

/* The scheme, host and port of a URL; empty when it is not a plain http(s) one. */
void page_origin(const char *url, char ret_origin[ORIGIN_BASE_SIZE]);
/* The Content-Security-Policy for a page with exactly one <style> and one <script>: these two by their hashes, the gateway
 * itself, and images and films of `origin` (empty: none), where links point when they do not point here. Pure. */
void page_policy(const char *html, const char *origin, char ret_policy[PAGE_POLICY_SIZE]);
