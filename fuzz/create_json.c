/* SPDX-License-Identifier: Apache-2.0
 *
 * A JSON body of POST /v1/video/create. Whatever parses means the same when written and parsed
 * again; whatever is accepted obeys the limits and can be stored, read back and rendered. */
#include "harness.h"

#include <stdlib.h>

#include "base/json.h"
#include "property.h"

/* Canonical text parses to what it was written from. */
static void check_canonical(const json_t *json)
{
    char error[JSON_ERROR_SIZE];
    CLEANUP(free_pointer) char *text = json_canonical(json);
    CLEANUP(json_unref_pointer) json_t *again = json_parse(text, strlen(text), error);
    must(again != NULL);
    CLEANUP(free_pointer) char *text_again = json_canonical(again);
    must(strcmp(text, text_again) == 0);
}

/* The digest of what a body asks for; false when it is refused. */
static bool digest_of(const json_t *body, uint8_t ret_digest[32])
{
    struct unified_decoded decoded;
    struct unified_fault fault = {0};
    if (unified_decode(body, 0, &property_limits, &decoded, &fault) != 0) {
        property_fault(&fault);
        return false;
    }
    property_decoded(&decoded, 0);
    task_request_digest(decoded.request, ret_digest);
    unified_decoded_fini(&decoded);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[JSON_ERROR_SIZE] = "";
    CLEANUP(json_unref_pointer) json_t *body = json_parse((const char *)data, size, error);
    if (body == NULL) {
        must(error[0] != '\0' && memchr(error, '\0', sizeof error) != NULL);
        return 0;
    }
    check_canonical(body);

    uint8_t digest[32];
    uint8_t digest_again[32];
    bool is_good = digest_of(body, digest);
    CLEANUP(free_pointer) char *text = json_dumps(body, JSON_COMPACT);
    must(text != NULL);
    CLEANUP(json_unref_pointer) json_t *again = json_parse(text, strlen(text), error);
    must(again != NULL && digest_of(again, digest_again) == is_good);
    must(!is_good || memcmp(digest, digest_again, sizeof digest) == 0);
    return 0;
}
