/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands at `/`: for a browser the page of web/index.html, which is built into the program, for everyone else a card as JSON.
 * The page's policy names its script and its style by their hashes, so nothing else can run in it, whatever
 * a task's texts hold. Stateless: the hashes are made for each answer, which costs less than sending it. On HTTP threads. */
#include "api/page.h"

#include <stdio.h>
#include <string.h>

#include "api/handler.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/json.h"
#include "base/must.h"

#include "api/page.inc.h"

enum { HASH_SIZE = 45 }; /* base64 of a SHA-256, NUL */

void page_origin(const char *url, char ret_origin[ORIGIN_BASE_SIZE])
{
    char host[ORIGIN_HOST_MAX + 1];
    ret_origin[0] = '\0';
    const char *scheme = strncmp(url, "https://", 8) == 0 ? "https://" : "http://";
    if (strncmp(url, scheme, strlen(scheme)) != 0)
        return;
    url += strlen(scheme);
    size_t length = strcspn(url, "/?#");
    if (length >= sizeof(host))
        return;
    memcpy(host, url, length);
    host[length] = '\0';
    if (origin_is_host(host, strlen(host))) /* so it holds nothing that could end a directive */
        snprintf(ret_origin, ORIGIN_BASE_SIZE, "%s%s", scheme, host);
}

/* The hash of what stands between the first `open` and the next `close`. */
static void hash_between(const char *html, const char *open, const char *close,
                         char ret_hash[HASH_SIZE])
{
    uint8_t digest[CRYPT_SHA256_SIZE];
    const char *begin = strstr(html, open);
    must(begin != NULL);
    begin += strlen(open);
    const char *end = strstr(begin, close);
    must(end != NULL);
    crypt_sha256(begin, (size_t)(end - begin), digest);
    must(codec_base64_length(sizeof(digest)) < HASH_SIZE);
    codec_base64_encode(digest, sizeof(digest), ret_hash);
}

void page_policy(const char *html, const char *origin, char ret_policy[PAGE_POLICY_SIZE])
{
    char script[HASH_SIZE];
    char style[HASH_SIZE];
    hash_between(html, "<script>", "</script>", script);
    hash_between(html, "<style>", "</style>", style);
    const char *gap = *origin != '\0' ? " " : "";
    int length = snprintf(ret_policy, PAGE_POLICY_SIZE,
                          "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; "
                          "img-src 'self' data: blob:%s%s; media-src 'self'%s%s; "
                          "connect-src 'self'; base-uri 'none'; form-action 'none'; "
                          "frame-ancestors 'none'",
                          script, style, gap, origin, gap, origin);
    must(length > 0 && length < PAGE_POLICY_SIZE);
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    must(MHD_add_response_header(response, name, value) == MHD_YES);
}

static enum MHD_Result reply_page(struct api_request *request)
{
    char origin[ORIGIN_BASE_SIZE];
    char policy[PAGE_POLICY_SIZE];
    size_t length = sizeof(api_page_html) - 1;
    page_origin(request->api->parts.settings->public_url, origin);
    page_policy(api_page_html, origin, policy);
    /* The library takes a pointer to what it may change, and changes nothing of what is persistent. */
    union {
        const void *ours;
        void *theirs;
    } bytes = {.ours = api_page_html};
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, bytes.theirs, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    add_header(response, "Content-Type", "text/html; charset=utf-8");
    add_header(response, "Content-Security-Policy", policy);
    add_header(response, "X-Content-Type-Options", "nosniff");
    add_header(response, "Referrer-Policy", "no-referrer");
    add_header(response, "Cache-Control", "no-cache");
    add_header(response, "Vary", "Accept");
    return api_reply_response(request, MHD_HTTP_OK, response, (int64_t)length);
}

static enum MHD_Result reply_card(struct api_request *request)
{
    json_t *card = json_object();
    must(card != NULL);
    json_set_text(card, "name", "filmgate");
    json_set_text(card, "version", FILMGATE_VERSION);
    json_set_text(card, "description", "A gateway for video-generation tasks.");
    json_set_text(card, "openapi", "/openapi.json");
    return api_reply_tree(request, MHD_HTTP_OK, card);
}

/* Browsers name text/html; clients of the API and curl do not. */
enum MHD_Result page_home(struct api_request *request)
{
    const char *accepted = api_header(request, "Accept");
    bool is_browser = accepted != NULL && strcasestr(accepted, "text/html") != NULL;
    return is_browser ? reply_page(request) : reply_card(request);
}
