/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a request goes. A path stays below the channel's base, whatever a job's id may hold; a whole
 * URL goes anywhere, but the credential goes home only: to the base's origin and to the hosts that
 * the adapter names. Origins are compared as text, strictly: a spelling that we do not know is
 * another host. Pure. */
#include "upstream/request_part.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct url_origin {
    bool is_https;
    const char *host;
    size_t host_length;
    long port;
    const char *rest; /* path, query, fragment */
};

static size_t host_length_of(const char *authority, size_t length)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    if (length > 0 && authority[0] == '[') {
        size_t inside = strspn(authority + 1, "0123456789abcdefABCDEF:.");
        return inside > 0 && inside + 2 <= length && authority[inside + 1] == ']' ? inside + 2 : 0;
    }
    return strspn(authority, letters);
}

/* `host`, `host:port`; false for a user name, an escape, a host in other letters. */
static bool read_authority(const char *authority, size_t length, struct url_origin *origin)
{
    origin->host = authority;
    origin->host_length = host_length_of(authority, length);
    origin->port = origin->is_https ? 443 : 80;
    if (origin->host_length == 0 || origin->host_length > length)
        return false;
    const char *at = authority + origin->host_length;
    const char *end = authority + length;
    if (at == end)
        return true;
    if (*at++ != ':' || at == end || end - at > 5)
        return false;
    for (origin->port = 0; at < end; at++) {
        if (!isdigit((unsigned char)*at))
            return false;
        origin->port = origin->port * 10 + (*at - '0');
    }
    return origin->port > 0 && origin->port <= UINT16_MAX;
}

static bool read_origin(const char *url, struct url_origin *ret_origin)
{
    struct url_origin origin = {0};
    size_t scheme = 7;
    if (strncasecmp(url, "https://", 8) == 0) {
        origin.is_https = true;
        scheme = 8;
    } else if (strncasecmp(url, "http://", 7) != 0) {
        return false;
    }
    size_t length = strcspn(url + scheme, "/?#");
    origin.rest = url + scheme + length;
    if (!read_authority(url + scheme, length, &origin))
        return false;
    *ret_origin = origin;
    return true;
}

static bool is_same(const struct url_origin *one, const struct url_origin *other)
{
    return one->is_https == other->is_https && one->port == other->port &&
           one->host_length == other->host_length &&
           strncasecmp(one->host, other->host, one->host_length) == 0;
}

bool request_is_home(const struct channel *channel, const char *url)
{
    struct url_origin origin;
    struct url_origin base;
    if (channel->base_url == NULL || !read_origin(url, &origin) ||
        !read_origin(channel->base_url, &base))
        return false;
    if (is_same(&origin, &base))
        return true;
    for (const char *const *host = channel->hosts; host != NULL && *host != NULL; host++) {
        struct url_origin further = {.is_https = base.is_https};
        if (read_authority(*host, strlen(*host), &further) && is_same(&origin, &further))
            return true;
    }
    return false;
}

static bool has_controls(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    }
    return false;
}

/* Length of what separates segments here, to somebody: a slash or backslash, escaped or not, and the semicolon of
 * parameters. */
static size_t separator(const char *text)
{
    static const char *const separators[] = {"/", "\\", ";", "%2f", "%5c", "%3b"};
    for (size_t i = 0; i < ARRAY_LENGTH(separators); i++) {
        if (strncasecmp(text, separators[i], strlen(separators[i])) == 0)
            return strlen(separators[i]);
    }
    return 0;
}

/* Does a segment of the path mean the one above it? The dots may be escaped. */
static bool climbs(const char *path)
{
    int n_dots = 0;
    bool is_other = false;
    for (;;) {
        size_t length = separator(path);
        bool is_end = *path == '\0' || *path == '?';
        if (is_end || length > 0) {
            if (n_dots == 2 && !is_other)
                return true;
            if (is_end)
                return false;
            n_dots = 0;
            is_other = false;
            path += length;
        } else if (*path == '.' || strncasecmp(path, "%2e", 3) == 0) {
            n_dots++;
            path += *path == '.' ? 1 : 3;
        } else {
            is_other = true;
            path++;
        }
    }
}

/* Spaces and letters beyond ASCII are escaped, all else stays as it is: it may be signed. */
static void add_escaped(struct buf *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c > ' ' && c < 0x7f)
            buf_putc(out, text[i]);
        else
            buf_printf(out, "%%%02X", (unsigned)c);
    }
}

static bool add_path(const struct request_maker *maker, const char *path, struct buf *out)
{
    if (maker->channel->base_url == NULL)
        return request_wrong(maker->error,
                             "path: the channel has no base_url that it could follow");
    if (path[0] != '/')
        return request_wrong(maker->error, "path: must begin with a slash");
    if (has_controls(path))
        return request_wrong(maker->error, "path: holds a control character");
    if (strpbrk(path, "#\\") != NULL)
        return request_wrong(maker->error,
                             "path: holds a \"#\" or a backslash; they are written %%23, %%5C");
    if (climbs(path))
        return request_wrong(maker->error, "path: holds a segment \"..\"");
    buf_puts(out, maker->channel->base_url);
    add_escaped(out, path, strlen(path));
    return true;
}

static bool add_url(const struct request_maker *maker, const char *url, struct buf *out)
{
    struct url_origin origin;
    if (has_controls(url))
        return request_wrong(maker->error, "url: holds a control character");
    if (!read_origin(url, &origin))
        return request_wrong(maker->error, "url: must be http:// or https:// with a plain host, "
                                           "without a user name");
    if (maker->credential != NULL && !request_is_home(maker->channel, url))
        return request_wrong(
            maker->error,
            "url: \"%.*s\" is neither the host of base_url nor one of about.hosts, "
            "which alone may get the credential",
            origin.host_length < 100 ? (int)origin.host_length : 100, origin.host);
    add_escaped(out, url, strcspn(url, "#")); /* a fragment is nobody's but the client's */
    return true;
}

static void begin_pair(struct buf *out)
{
    const char *text = buf_text(out);
    if (strchr(text, '?') == NULL)
        buf_putc(out, '?');
    else if (text[out->length - 1] != '?' && text[out->length - 1] != '&')
        buf_putc(out, '&');
}

static void add_pair(struct buf *out, const char *name, const char *value)
{
    begin_pair(out);
    buf_percent_encode(out, name, "");
    buf_putc(out, '=');
    buf_percent_encode(out, value, "");
}

static bool is_credential(const struct request_maker *maker, const char *name)
{
    return maker->channel->auth == AUTH_WAY_QUERY && strcmp(name, maker->channel->auth_name) == 0;
}

static bool add_query(const struct request_maker *maker, struct buf *out)
{
    json_t *query = request_member(maker->spec, "query");
    if (query == NULL)
        return true;
    if (!json_is_object(query))
        return request_wrong(maker->error, "query: must be an object");
    const char *name;
    json_t *value;
    json_object_foreach(query, name, value)
    {
        CLEANUP(buf_fini) struct buf text;
        buf_init(&text, REQUEST_URL_MAX);
        if (json_is_null(value))
            continue;
        if (is_credential(maker, name))
            return request_wrong(maker->error, "query.%.60s: is the credential's", name);
        if (!request_scalar(value, &text))
            return request_wrong(maker->error, "query.%.60s: must be a text, a number or a flag",
                                 name);
        if (text.overflowed)
            return request_wrong(maker->error, "query.%.60s: is longer than %d bytes", name,
                                 REQUEST_URL_MAX);
        add_pair(out, name, buf_text(&text));
    }
    return true;
}

bool request_url_make(const struct request_maker *maker, struct buf *out)
{
    json_t *path = request_member(maker->spec, "path");
    json_t *url = request_member(maker->spec, "url");
    if ((path == NULL) == (url == NULL))
        return request_wrong(maker->error, "one of path and url must be given, and only one");
    if (!json_is_string(path != NULL ? path : url))
        return request_wrong(maker->error, "%s: must be a text", path != NULL ? "path" : "url");
    bool is_good = path != NULL ? add_path(maker, json_string_value(path), out)
                                : add_url(maker, json_string_value(url), out);
    if (!is_good || !add_query(maker, out))
        return false;
    if (maker->credential != NULL && maker->channel->auth == AUTH_WAY_QUERY)
        add_pair(out, maker->channel->auth_name, maker->credential->key);
    if (out->overflowed)
        return request_wrong(maker->error, "the URL is longer than %d bytes", REQUEST_URL_MAX);
    return true;
}
