/* SPDX-License-Identifier: Apache-2.0
 *
 * The first line is a URL that a client gave, the others are entries of `fetch.allow`. A URL that
 * passes means to libcurl what it means to us; an exception only ever adds addresses; IPv4 is
 * judged the same in its IPv6 dress. */
#include "harness.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "net/guard.h"

enum { ERROR_SIZE = 200, ENTRIES_MAX = 16, PORT = 443 };

/* ---- URLs ---- */

static void check_part(CURLU *url, CURLUPart part, bool is_wanted)
{
    char *text = NULL;
    CURLUcode code = curl_url_get(url, part, &text, 0);
    must((code == CURLUE_OK && text[0] != '\0') == is_wanted);
    curl_free(text);
}

static void check_scheme(CURLU *url)
{
    char *scheme = NULL;
    must(curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK);
    must(strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
}

static void check_url(const char *text)
{
    char error[ERROR_SIZE] = "";
    if (!guard_check_url(text, error)) {
        must(error[0] != '\0' && memchr(error, '\0', sizeof error) != NULL);
        return;
    }
    must(strlen(text) <= 8192);
    CURLU *url = curl_url();
    must(url != NULL);
    if (curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) {
        check_scheme(url);
        check_part(url, CURLUPART_HOST, true);
        check_part(url, CURLUPART_USER, false);
        check_part(url, CURLUPART_PASSWORD, false);
    }
    curl_url_cleanup(url);
}

/* ---- addresses ---- */

static bool allows4(const struct guard *guard, const uint8_t bytes[4], uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    memcpy(&address.sin_addr, bytes, 4);
    return guard_allows(guard, (const struct sockaddr *)&address, sizeof address);
}

static bool allows6(const struct guard *guard, const uint8_t bytes[16], uint16_t port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&address.sin6_addr, bytes, 16);
    return guard_allows(guard, (const struct sockaddr *)&address, sizeof address);
}

static bool is_private(const uint8_t b[4])
{
    return b[0] == 0 || b[0] == 10 || b[0] == 127 || b[0] >= 224 || (b[0] == 192 && b[1] == 168) ||
           (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 169 && b[1] == 254) ||
           (b[0] == 100 && (b[1] & 0xc0) == 64);
}

static void check_address4(const struct guard *strict, const struct guard *lenient,
                           const uint8_t bytes[4])
{
    uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff};
    memcpy(mapped + 12, bytes, 4);
    must(allows4(strict, bytes, PORT) == allows6(strict, mapped, PORT));
    must(allows4(lenient, bytes, PORT) == allows6(lenient, mapped, PORT));
    must(!allows4(strict, bytes, PORT) || allows4(lenient, bytes, PORT));
    must(!is_private(bytes) || !allows4(strict, bytes, PORT));
}

static void check_address6(const struct guard *strict, const struct guard *lenient,
                           const uint8_t bytes[16])
{
    must(!allows6(strict, bytes, PORT) || allows6(lenient, bytes, PORT));
    bool is_global = (bytes[0] & 0xe0) == 0x20;
    bool is_nat64 = memcmp(bytes, "\0\x64\xff\x9b", 4) == 0;
    bool is_mapped = memcmp(bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0;
    must(!allows6(strict, bytes, PORT) || is_global || is_nat64 || is_mapped);
}

/* An entry that is just an address allows that address. */
static void check_entry(const struct guard *guard, const char *entry)
{
    uint8_t bytes[16];
    if (inet_pton(AF_INET, entry, bytes) == 1)
        must(allows4(guard, bytes, PORT));
    else if (inet_pton(AF_INET6, entry, bytes) == 1)
        must(allows6(guard, bytes, PORT));
}

static void check_guard(const char *const *entries, size_t n_entries, const uint8_t *data,
                        size_t size)
{
    char error[ERROR_SIZE] = "";
    struct guard *strict = NULL;
    struct guard *lenient = NULL;
    uint8_t address[16] = {0};
    if (!guard_new(entries, n_entries, &lenient, error)) {
        must(error[0] != '\0' && memchr(error, '\0', sizeof error) != NULL);
        return;
    }
    must(guard_new(NULL, 0, &strict, error));
    memcpy(address, data + (size > 16 ? size - 16 : 0), size < 16 ? size : 16);
    check_address4(strict, lenient, address);
    check_address6(strict, lenient, address);
    for (size_t i = 0; i < n_entries; i++)
        check_entry(lenient, entries[i]);
    guard_free(strict);
    guard_free(lenient);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct harness_input input = {(const char *)data, size};
    CLEANUP(free_pointer) char *url = harness_line(&input);
    if (url == NULL)
        return 0;
    check_url(url);

    char *entries[ENTRIES_MAX];
    size_t n_entries = 0;
    while (n_entries < ENTRIES_MAX && (entries[n_entries] = harness_line(&input)) != NULL)
        n_entries++;
    check_guard((const char *const *)entries, n_entries, data, size);
    for (size_t i = 0; i < n_entries; i++)
        free(entries[i]);
    return 0;
}
