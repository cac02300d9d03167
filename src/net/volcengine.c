/* SPDX-License-Identifier: Apache-2.0
 *
 * Three texts, each of which holds what the one before it came to:
 *
 *     canonical request: method, path, query, headers, their names, the body's digest
 *     string to sign:    algorithm, time, scope (day/region/service/request), digest of the canonical request
 *     Authorization:     the scope, the headers' names, the signature of the string to sign
 *
 * Path and query are signed in one spelling (unreserved characters stand for themselves, all others are escaped, parameters
 * are in order), whatever the URL's is: the other side reads it and spells it anew. */
#include "net/volcengine.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/must.h"

enum { TEXT_MAX = 256 * 1024 }; /* far more than a URL of 16 KiB becomes */

static const char ALGORITHM[] = "HMAC-SHA256";

/* ---- the URL ---- */

static void free_curl_text(char **text)
{
    curl_free(*text);
}

static void free_curl_url(CURLU **url)
{
    curl_url_cleanup(*url);
}

/* What `length` bytes of a URL mean, each in its one spelling. */
static void add_canonical(struct buf *out, const char *text, size_t length, const char *keep)
{
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)text[i];
        const char digits[] = {byte == '%' && length - i > 2 ? text[i + 1] : '\0',
                               byte == '%' && length - i > 2 ? text[i + 2] : '\0', '\0'};
        if (codec_hex_decode(digits, &byte, 1)) {
            i += 2;
            if (byte == '/') { /* no separator: it was escaped */
                buf_puts(out, "%2F");
                continue;
            }
        }
        if (byte == '\0')
            buf_puts(out, "%00");
        else
            buf_percent_encode(out, (const char[]){(char)byte, '\0'}, keep);
    }
}

struct parameter {
    char *name, *value;
};

static int compare_parameters(const void *a, const void *b)
{
    const struct parameter *one = a, *other = b;
    int order = strcmp(one->name, other->name);
    return order != 0 ? order : strcmp(one->value, other->value);
}

static char *canonicalize(const char *text, size_t length)
{
    CLEANUP(buf_fini) struct buf out;
    buf_init(&out, TEXT_MAX);
    for (size_t at = 0; at < length;) {
        size_t plain = strcspn(text + at, "+");
        plain = plain < length - at ? plain : length - at;
        add_canonical(&out, text + at, plain, "");
        at += plain;
        if (at < length) {
            buf_puts(&out, "%20"); /* a `+` in a query is a space */
            at++;
        }
    }
    return buf_take(&out);
}

static struct parameter read_parameter(const char *text, size_t length)
{
    const char *equals = memchr(text, '=', length);
    size_t name = equals != NULL ? (size_t)(equals - text) : length;
    size_t value = equals != NULL ? name + 1 : length;
    return (struct parameter){canonicalize(text, name), canonicalize(text + value, length - value)};
}

static void add_query(struct buf *out, const char *query)
{
    size_t count = 0;
    struct parameter *parameters = must_calloc(strlen(query) / 2 + 1, sizeof(*parameters));
    while (*query != '\0') {
        size_t length = strcspn(query, "&");
        if (length > 0)
            parameters[count++] = read_parameter(query, length);
        query += length + (query[length] == '&');
    }
    qsort(parameters, count, sizeof(*parameters), compare_parameters);
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s%s=%s", i > 0 ? "&" : "", parameters[i].name, parameters[i].value);
        free(parameters[i].name);
        free(parameters[i].value);
    }
    free(parameters);
}

struct canonical_url {
    struct buf host, path, query;
};

static void canonical_url_fini(struct canonical_url *url)
{
    buf_fini(&url->host);
    buf_fini(&url->path);
    buf_fini(&url->query);
}

/* As curl will read it, too. */
static bool canonicalize_url(const char *text, struct canonical_url *url)
{
    CLEANUP(free_curl_url) CURLU *parts = curl_url();
    CLEANUP(free_curl_text) char *host = NULL;
    CLEANUP(free_curl_text) char *port = NULL;
    CLEANUP(free_curl_text) char *path = NULL;
    CLEANUP(free_curl_text) char *query = NULL;
    must(parts != NULL);
    if (curl_url_set(parts, CURLUPART_URL, text, CURLU_PATH_AS_IS) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_PATH, &path, 0) != CURLUE_OK)
        return false;
    (void)curl_url_get(parts, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT);
    (void)curl_url_get(parts, CURLUPART_QUERY, &query, 0);
    buf_puts(&url->host, host);
    if (port != NULL)
        buf_printf(&url->host, ":%s", port);
    add_canonical(&url->path, path, strlen(path), "/");
    add_query(&url->query, query != NULL ? query : "");
    return true;
}

/* ---- the signature ---- */

static void digest_of(const struct buf *text, char ret_hex[CRYPT_SHA256_HEX_SIZE])
{
    uint8_t digest[CRYPT_SHA256_SIZE];
    crypt_sha256(buf_text(text), text->length, digest);
    codec_hex_encode(digest, sizeof(digest), ret_hex);
}

static const char *signed_names(const struct volcengine_request *request)
{
    return request->content_type != NULL ? "content-type;host;x-content-sha256;x-date"
                                         : "host;x-content-sha256;x-date";
}

static void add_canonical_request(struct buf *out, const struct volcengine_request *request,
                                  const struct canonical_url *url, const char *date)
{
    buf_printf(out, "%s\n%s\n", request->method, buf_text(&url->path));
    buf_puts(out, buf_text(&url->query));
    buf_putc(out, '\n');
    if (request->content_type != NULL)
        buf_printf(out, "content-type:%s\n", request->content_type);
    buf_printf(out, "host:%s\n", buf_text(&url->host));
    buf_printf(out, "x-content-sha256:%s\nx-date:%s\n\n", request->body_sha256, date);
    buf_printf(out, "%s\n%s", signed_names(request), request->body_sha256);
}

static void step_key(uint8_t key[CRYPT_SHA256_SIZE], const char *text)
{
    uint8_t next[CRYPT_SHA256_SIZE];
    crypt_hmac_sha256(key, CRYPT_SHA256_SIZE, text, strlen(text), next);
    memcpy(key, next, sizeof(next));
}

/* The chain begins with the secret as it is. */
static void sign(const struct volcengine_request *request, const char *day, const struct buf *text,
                 char ret_hex[CRYPT_SHA256_HEX_SIZE])
{
    uint8_t key[CRYPT_SHA256_SIZE];
    crypt_hmac_sha256(request->secret, strlen(request->secret), day, strlen(day), key);
    step_key(key, request->region);
    step_key(key, request->service);
    step_key(key, "request");
    step_key(key, buf_text(text));
    codec_hex_encode(key, sizeof(key), ret_hex);
}

/* `2020-12-30T08:18:05Z` without its marks. */
static void write_date(int64_t now_s, char ret_date[VOLCENGINE_DATE_SIZE])
{
    char iso[CLOCK_ISO_SECONDS_SIZE];
    clock_iso_seconds(now_s, iso);
    for (const char *at = iso; *at != '\0'; at++) {
        if (*at != '-' && *at != ':')
            *ret_date++ = *at;
    }
    *ret_date = '\0';
}

bool volcengine_sign(const struct volcengine_request *request, int64_t now_s,
                     char ret_date[VOLCENGINE_DATE_SIZE], struct buf *authorization)
{
    CLEANUP(canonical_url_fini) struct canonical_url url;
    CLEANUP(buf_fini) struct buf canonical;
    CLEANUP(buf_fini) struct buf text;
    char day[9] = "";
    char digest[CRYPT_SHA256_HEX_SIZE];
    char signature[CRYPT_SHA256_HEX_SIZE];
    buf_init(&url.host, TEXT_MAX);
    buf_init(&url.path, TEXT_MAX);
    buf_init(&url.query, TEXT_MAX);
    buf_init(&canonical, 4 * (size_t)TEXT_MAX);
    buf_init(&text, TEXT_MAX);
    if (!canonicalize_url(request->url, &url))
        return false;
    write_date(now_s, ret_date);
    memcpy(day, ret_date, sizeof(day) - 1);
    add_canonical_request(&canonical, request, &url, ret_date);
    digest_of(&canonical, digest);
    buf_printf(&text, "%s\n%s\n", ALGORITHM, ret_date);
    buf_printf(&text, "%s/%s/%s/request\n%s", day, request->region, request->service, digest);
    sign(request, day, &text, signature);
    buf_printf(authorization, "%s Credential=%s/%s/", ALGORITHM, request->key, day);
    buf_printf(authorization, "%s/%s/request, SignedHeaders=", request->region, request->service);
    buf_printf(authorization, "%s, Signature=%s", signed_names(request), signature);
    return !url.host.overflowed && !url.path.overflowed && !url.query.overflowed &&
           !canonical.overflowed && !text.overflowed;
}
