/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: behind signed links, where no key is asked for, the link is the permission; and to who may see their task. Bytes go
 * from the file to the socket without passing through us. A file never changes under its key, so tags are strong and ranges
 * always fit together. On HTTP threads. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/entity.h"
#include "api/files.h"
#include "api/handler.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"

struct file {
    int fd;
    struct asset_info info;
    char etag[ASSET_ETAG_SIZE];
    int64_t modified_s;
    char modified[ENTITY_DATE_SIZE]; /* the same */
};

static enum MHD_Result reply_verdict(struct api_request *request, enum link_verdict verdict)
{
    switch (verdict) {
    case LINK_EXPIRED:
        return api_reply_error(request, API_ERROR_LINK_EXPIRED, NULL);
    case LINK_NOT_YET:
        return api_reply_error(request, API_ERROR_LINK_NOT_YET, NULL);
    case LINK_OK:
    case LINK_MALFORMED:
    case LINK_TAMPERED:
        break;
    }
    return api_reply_error(request, API_ERROR_LINK_TAMPERED, NULL);
}

static void add(struct MHD_Response *response, const char *name, const char *value)
{
    /* A value from a link may be refused by the library (a line end in it): then it is left out. */
    (void)MHD_add_response_header(response, name, value);
}

static void describe(struct MHD_Response *response, const struct file *file,
                     const char *disposition)
{
    add(response, "Content-Type", file->info.type);
    add(response, "ETag", file->etag);
    add(response, "Last-Modified", file->modified);
    add(response, "Accept-Ranges", "bytes");
    add(response, "Cache-Control", "private, max-age=86400, immutable");
    add(response, "X-Content-Type-Options", "nosniff");
    add(response, "Cross-Origin-Resource-Policy", "cross-origin");
    if (disposition != NULL && *disposition != '\0')
        add(response, "Content-Disposition", disposition);
}

/* A response over `length` bytes of the file; takes its descriptor. */
static struct MHD_Response *open_response(struct file *file, int64_t first, int64_t length)
{
    if (length == 0)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response =
        MHD_create_response_from_fd_at_offset64((uint64_t)length, file->fd, (uint64_t)first);
    if (response != NULL)
        file->fd = -1; /* the response closes it */
    return response;
}

/* The conditions of RFC 9110, section 13.2.2, in its order: first those under which nothing at
 * all is answered. A date that cannot be read is no condition. */
static bool is_other(const struct api_request *request, const struct file *file)
{
    int64_t date_s;
    const char *tags = api_header(request, "If-Match");
    if (tags != NULL)
        return !entity_list_has_tag(tags, file->etag, ENTITY_STRONG);
    const char *since = api_header(request, "If-Unmodified-Since");
    return since != NULL && entity_read_date(since, &date_s) && file->modified_s > date_s;
}

static bool is_known(const struct api_request *request, const struct file *file)
{
    int64_t date_s;
    const char *tags = api_header(request, "If-None-Match");
    if (tags != NULL)
        return entity_list_has_tag(tags, file->etag, ENTITY_WEAK);
    const char *since = api_header(request, "If-Modified-Since");
    return since != NULL && entity_read_date(since, &date_s) && file->modified_s <= date_s;
}

/* A range is for GET alone (RFC 9110, section 14.2), and counts only while the client's copy is of this very
 * file: its tag, which a weak one never is, or its time to the second. */
static const char *range_of(const struct api_request *request, const struct file *file)
{
    int64_t date_s;
    if (strcmp(request->method, MHD_HTTP_METHOD_GET) != 0)
        return NULL;
    const char *condition = api_header(request, "If-Range");
    if (condition == NULL || strcmp(condition, file->etag) == 0 ||
        (entity_read_date(condition, &date_s) && date_s == file->modified_s))
        return api_header(request, "Range");
    return NULL;
}

static enum MHD_Result reply_outside(struct api_request *request, const struct file *file)
{
    char range[40];
    size_t length;
    struct api_error_details details = {.param = "Range"};
    struct MHD_Response *response = api_error_response(request, API_ERROR_RANGE, &details, &length);
    if (response == NULL)
        return MHD_NO;
    snprintf(range, sizeof(range), "bytes */%" PRId64, file->info.bytes);
    add(response, "Content-Range", range);
    return api_reply_response(request, MHD_HTTP_RANGE_NOT_SATISFIABLE, response, (int64_t)length);
}

static enum MHD_Result reply_file(struct api_request *request, struct file *file,
                                  const char *disposition)
{
    int64_t size = file->info.bytes;
    int64_t first = 0;
    int64_t length = size;
    unsigned status = MHD_HTTP_OK;
    char range[80] = "";
    if (is_other(request, file))
        return api_reply_error(request, API_ERROR_PRECONDITION, NULL);
    if (is_known(request, file)) {
        length = 0;
        status = MHD_HTTP_NOT_MODIFIED;
    } else {
        switch (entity_read_range(range_of(request, file), size, &first, &length)) {
        case ENTITY_OUTSIDE:
            return reply_outside(request, file);
        case ENTITY_PART:
            status = MHD_HTTP_PARTIAL_CONTENT;
            snprintf(range, sizeof(range), "bytes %" PRId64 "-%" PRId64 "/%" PRId64, first,
                     first + length - 1, size);
            break;
        case ENTITY_WHOLE:
            break;
        }
    }
    struct MHD_Response *response = open_response(file, first, length);
    if (response == NULL)
        return MHD_NO;
    describe(response, file, disposition);
    if (range[0] != '\0')
        add(response, "Content-Range", range);
    return api_reply_response(request, status, response, length);
}

enum MHD_Result files_reply(struct api_request *request, const char *key, const char *disposition,
                            enum api_error absent)
{
    struct file file = {.fd = -1};
    int r = asset_get(request->api->parts.assets, key, &file.fd, &file.info);
    if (r < 0) {
        log_write(LOG_ERROR, &(struct log_about){.request_id = api_request_id(request)},
                  "opening the asset \"%.160s\" failed: %s", key, strerror(-r));
        return api_reply_error(request, API_ERROR_UNAVAILABLE, NULL);
    }
    if (r != ASSET_OK)
        return api_reply_error(request, absent, NULL);
    snprintf(file.etag, sizeof(file.etag), "\"%s\"", file.info.sha256);
    file.modified_s = file.info.stored_ms / 1000;
    entity_date(file.modified_s, file.modified);
    enum MHD_Result result = reply_file(request, &file, disposition);
    if (file.fd >= 0)
        close(file.fd);
    return result;
}

enum MHD_Result files_asset(struct api_request *request)
{
    const struct server_parts *parts = &request->api->parts;
    const char *key = request->part;
    struct link_parameters parameters = {
        .st = api_argument(request, "st"),
        .se = api_argument(request, "se"),
        .sr = api_argument(request, "sr"),
        .sp = api_argument(request, "sp"),
        .rscd = api_argument(request, "rscd"),
        .sig = api_argument(request, "sig"),
    };
    enum link_verdict verdict = link_check(parts->link_keys, key, &parameters, clock_wall_ms());
    if (verdict != LINK_OK)
        return reply_verdict(request, verdict);
    return files_reply(request, key, parameters.rscd, API_ERROR_NOT_FOUND);
}
