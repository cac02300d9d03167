/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client calls by our own names: an uploaded file by its id, or anything of his by a link that we signed. It is found here, never
 * fetched. */
#pragma once

#include "api/request.h"
#include "asset/asset.h"

enum owned {
    OWNED_NOT,     /* not a name of ours */
    OWNED_FOUND,   /* the asset's key is known; whether it is there is for asset_get() to say */
    OWNED_MISSING, /* gone, expired, another's, or never was: nobody learns which */
    OWNED_FAILED,  /* the store cannot say */
};

/* Of `file_<26>` or a URL. */
CHECKED enum owned owned_find(const struct api_request *request, const char *text,
                              char ret_key[ASSET_KEY_MAX + 1]);
/* The uploaded file of that id, if the caller may see it: STORE_NOT_FOUND, or as store_file(). Logs a fault. */
CHECKED int owned_file(const struct api_request *request, const char *id,
                       struct store_file *ret_file);
/* Where its bytes are. */
void owned_key(const struct store_file *file, char ret_key[ASSET_KEY_MAX + 1]);
