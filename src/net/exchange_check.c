/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be asked for. URLs are read by curl, so that what is judged here is what it will dial. */
#include "net/exchange_check.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_token(const char *text)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (!isalnum((unsigned char)*text) && strchr(marks, *text) == NULL)
            return false;
    }
    return true;
}

/* No line end, no other control character but the tab. */
static bool is_field(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* Headers that say where a message ends are curl's alone. */
static bool is_framing(const char *name)
{
    static const char *const names[] = {
        "Host",    "Content-Length", "Transfer-Encoding", "Connection",          "Expect",    "TE",
        "Trailer", "Upgrade",        "Proxy-Connection",  "Proxy-Authorization", "Keep-Alive"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (strcasecmp(names[i], name) == 0)
            return true;
    }
    return false;
}

bool exchange_takes_header(const struct exchange_header *header)
{
    return is_token(header->name) && is_field(header->value) && !is_framing(header->name);
}

static bool is_method(const char *method)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
        if (strcmp(methods[i], method) == 0)
            return true;
    }
    return false;
}

bool exchange_check_request(const struct exchange_request *wish)
{
    if (!is_method(wish->method) || wish->n_headers > EXCHANGE_HEADERS_MAX || wish->body_bytes < 0)
        return false;
    for (size_t i = 0; i < wish->n_headers; i++) {
        if (!exchange_takes_header(&wish->headers[i]))
            return false;
    }
    return true;
}

/* The parts of a URL that make its origin, and whether it is fit to be asked for. */
struct origin {
    char *scheme, *host, *port;
};

static void origin_fini(struct origin *origin)
{
    curl_free(origin->scheme);
    curl_free(origin->host);
    curl_free(origin->port);
}

static bool read_origin(const char *url, struct origin *ret_origin)
{
    struct origin origin = {0};
    CURLU *parts = curl_url();
    bool is_read =
        parts != NULL && strlen(url) <= EXCHANGE_URL_MAX &&
        curl_url_set(parts, CURLUPART_URL, url, CURLU_DISALLOW_USER) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_SCHEME, &origin.scheme, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &origin.host, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_PORT, &origin.port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        (strcmp(origin.scheme, "http") == 0 || strcmp(origin.scheme, "https") == 0);
    for (const char *at = url; is_read && *at != '\0'; at++)
        is_read = (unsigned char)*at > ' ' && *at != 0x7f;
    curl_url_cleanup(parts);
    if (is_read)
        *ret_origin = origin;
    else
        origin_fini(&origin);
    return is_read;
}

bool exchange_check_same_origin(const char *url, const char *other_url)
{
    CLEANUP(origin_fini) struct origin one = {0};
    CLEANUP(origin_fini) struct origin other = {0};
    return read_origin(url, &one) && read_origin(other_url, &other) &&
           strcmp(one.scheme, other.scheme) == 0 && strcasecmp(one.host, other.host) == 0 &&
           strcmp(one.port, other.port) == 0;
}

/* Behind a proxy no address is seen but the proxy's, which the operator chose. What the URL itself
 * says of an address is judged all the same; names are the proxy's to resolve. */
static bool may_ask_proxy_for(const struct guard *guard, const struct origin *origin)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    char host[INET6_ADDRSTRLEN];
    size_t length = strlen(origin->host);
    unsigned long port = strtoul(origin->port, NULL, 10);
    four.sin_port = six.sin6_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, origin->host, &four.sin_addr) == 1)
        return guard_allows(guard, (const struct sockaddr *)&four, sizeof(four));
    if (origin->host[0] == '[') {
        if (length < 2 || length - 2 >= sizeof(host))
            return false;
        memcpy(host, origin->host + 1, length - 2);
        host[length - 2] = '\0';
        return inet_pton(AF_INET6, host, &six.sin6_addr) == 1 &&
               guard_allows(guard, (const struct sockaddr *)&six, sizeof(six));
    }
    while (length > 0 && origin->host[length - 1] == '.')
        length--;
    return length < 9 || strncasecmp(origin->host + length - 9, "localhost", 9) != 0;
}

bool exchange_check_url(const char *url, const struct guard *guard, bool has_proxy)
{
    CLEANUP(origin_fini) struct origin origin = {0};
    return read_origin(url, &origin) &&
           (guard == NULL || !has_proxy || may_ask_proxy_for(guard, &origin));
}
