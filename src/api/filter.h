/* SPDX-License-Identifier: Apache-2.0
 *
 * What a list of tasks is asked for, in the words of a query string. Pure but for the request that is read. */
#pragma once

#include "api/request.h"
#include "store/store.h"

/* A query of the store, and the texts that it refers to beside the request's. */
struct filter {
    struct store_list_query query;
    char before_id[ID_SHORT_SIZE];
    char model[TASK_MODEL_SIZE];
};

enum { FILTER_CURSOR_SIZE = 101 };

/* Reads tenant, limit, before, status, model, created_after, created_before and q. `filter` must stay where it is. False:
 * `ret_result` is what the reply of an error returned. */
CHECKED bool filter_read(struct api_request *request, struct filter *filter,
                         enum MHD_Result *ret_result);
/* What goes on where a list stopped, for `before`. */
void filter_write_cursor(const struct store_list_end *end, char ret_cursor[FILTER_CURSOR_SIZE]);
/* The states that words stand for, several by comma; false when one is none. */
CHECKED bool filter_parse_states(const char *words, unsigned *ret_states);
