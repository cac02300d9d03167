/* SPDX-License-Identifier: Apache-2.0
 *
 * Which addresses strangers may make us dial. Two tables, one for each family, hold the special
 * ranges of the IANA registries (RFC 6890 and what came after it); the first row that fits
 * decides. What no row names is refused for IPv6 (only 2000::/3 is unicast that anybody was
 * given) and dialled for IPv4. A range that carries an IPv4 address is judged by that one as
 * well, for a gateway on the way would dial it. The operator's exceptions go before the tables.
 *
 * All addresses are kept as 16 bytes, IPv4 in its mapped form. A guard never changes once made,
 * so any thread may ask it. */
#include "net/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

enum {
    GUARD_ALLOW_MAX = 256, /* exceptions of the operator */
    GUARD_ENTRY_MAX = 64,  /* characters of one of them */
    GUARD_URL_MAX = 8192,
    GUARD_ERROR_SIZE = 200,
    MAPPED_BITS = 96,
    ADDRESS_BITS = 128,
};

struct address {
    uint8_t bytes[16];
};

struct exception {
    struct address address;
    unsigned bits;
    uint16_t port; /* 0: any */
};

struct guard {
    struct exception *exceptions;
    size_t n_exceptions;
};

struct range4 {
    uint8_t bytes[4];
    uint8_t bits;
};

static const struct range4 refused4[] = {
    {{0, 0, 0, 0}, 8},        /* this network, RFC 791 */
    {{10, 0, 0, 0}, 8},       /* private, RFC 1918 */
    {{100, 64, 0, 0}, 10},    /* behind a carrier's NAT, RFC 6598; a cloud's metadata too */
    {{127, 0, 0, 0}, 8},      /* loopback, RFC 1122 */
    {{168, 63, 129, 16}, 32}, /* a cloud's agent behind a public address */
    {{169, 254, 0, 0}, 16},   /* link-local, RFC 3927; metadata of most clouds */
    {{172, 16, 0, 0}, 12},    /* private, RFC 1918 */
    {{192, 0, 0, 0}, 24},     /* protocol assignments, RFC 6890 */
    {{192, 0, 2, 0}, 24},     /* documentation, RFC 5737 */
    {{192, 88, 99, 0}, 24},   /* 6to4 relays, withdrawn by RFC 7526 */
    {{192, 168, 0, 0}, 16},   /* private, RFC 1918 */
    {{198, 18, 0, 0}, 15},    /* benchmarks, RFC 2544 */
    {{198, 51, 100, 0}, 24},  /* documentation, RFC 5737 */
    {{203, 0, 113, 0}, 24},   /* documentation, RFC 5737 */
    {{224, 0, 0, 0}, 4},      /* multicast, RFC 5771 */
    {{240, 0, 0, 0}, 4},      /* reserved, RFC 1112, and broadcast, RFC 919 */
};

enum ruling { REFUSED, DIALLED, BY_EMBEDDED };

struct range6 {
    uint8_t bytes[16];
    uint8_t bits;
    enum ruling ruling;
    uint8_t at; /* BY_EMBEDDED: first byte of the IPv4 address */
};

/* More specific rows first. */
static const struct range6 rulings6[] = {
    {{0x00}, 96, REFUSED, 0}, /* unspecified, loopback, IPv4-compatible: RFC 4291 */
    {{0x00, 0x64, 0xff, 0x9b}, 96, BY_EMBEDDED, 12},        /* NAT64, RFC 6052 */
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, REFUSED, 0}, /* local NAT64, RFC 8215 */
    {{0x01, 0x00}, 8, REFUSED, 0},              /* discard-only, RFC 6666, and dummy, RFC 9780 */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, REFUSED, 0}, /* documentation, RFC 3849 */
    /* Protocol assignments, RFC 2928: Teredo (RFC 4380), benchmarks (RFC 5180), ORCHID
     * (RFC 7343), remote identifiers (RFC 9374), anycast services; no web server is here. */
    {{0x20, 0x01, 0x00, 0x00}, 23, REFUSED, 0},
    {{0x20, 0x02}, 16, BY_EMBEDDED, 2}, /* 6to4, RFC 3056 */
    {{0x3f, 0xfe}, 16, REFUSED, 0},     /* the former 6bone, given back by RFC 3701 */
    {{0x3f, 0xff}, 20, REFUSED, 0},     /* documentation, RFC 9637 */
    {{0x5f, 0x00}, 16, REFUSED, 0},     /* segment routing, RFC 9602 */
    {{0xfc, 0x00}, 7, REFUSED, 0},      /* unique local, RFC 4193; metadata of some clouds */
    {{0xfe, 0x80}, 10, REFUSED, 0},     /* link-local, RFC 4291 */
    {{0xfe, 0xc0}, 10, REFUSED, 0},     /* site-local, withdrawn by RFC 3879 */
    {{0xff, 0x00}, 8, REFUSED, 0},      /* multicast, RFC 4291 */
    {{0x20, 0x00}, 3, DIALLED, 0},      /* global unicast, RFC 4291 */
    {{0x00}, 0, REFUSED, 0},            /* all that nobody was given */
};

static bool has_prefix(const uint8_t *bytes, const uint8_t *prefix, unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;
    if (memcmp(bytes, prefix, whole) != 0)
        return false;
    return rest == 0 || ((bytes[whole] ^ prefix[whole]) >> (8 - rest)) == 0;
}

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static struct address map4(const void *four_bytes)
{
    struct address address;
    memcpy(address.bytes, mapped_prefix, sizeof(mapped_prefix));
    memcpy(address.bytes + sizeof(mapped_prefix), four_bytes, 4);
    return address;
}

static bool is_ip4(const struct address *address)
{
    return has_prefix(address->bytes, mapped_prefix, MAPPED_BITS);
}

static bool has_exception(const struct guard *guard, const struct address *address, uint16_t port)
{
    for (size_t i = 0; i < guard->n_exceptions; i++) {
        const struct exception *entry = &guard->exceptions[i];
        if (entry->port != 0 && entry->port != port)
            continue;
        /* `::/0` speaks of IPv6 only, though the mapped form of IPv4 lies within it. */
        if (is_ip4(address) && entry->bits < MAPPED_BITS)
            continue;
        if (has_prefix(address->bytes, entry->address.bytes, entry->bits))
            return true;
    }
    return false;
}

static bool allows4(const struct guard *guard, const void *four_bytes, uint16_t port)
{
    struct address address = map4(four_bytes);
    if (has_exception(guard, &address, port))
        return true;
    for (size_t i = 0; i < ARRAY_LENGTH(refused4); i++) {
        if (has_prefix(address.bytes + 12, refused4[i].bytes, refused4[i].bits))
            return false;
    }
    return true;
}

/* ISATAP (RFC 5214) marks the lower half of any address: 00-00-5e-fe or 02-00-5e-fe, then IPv4. */
static bool is_isatap(const struct address *address)
{
    const uint8_t *half = address->bytes + 8;
    return (half[0] & 0xfdu) == 0 && half[1] == 0 && half[2] == 0x5e && half[3] == 0xfe;
}

static bool allows6(const struct guard *guard, const struct address *address, uint16_t port)
{
    if (is_ip4(address))
        return allows4(guard, address->bytes + 12, port);
    if (has_exception(guard, address, port))
        return true;
    if (is_isatap(address) && !allows4(guard, address->bytes + 12, port))
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(rulings6); i++) {
        const struct range6 *row = &rulings6[i];
        if (!has_prefix(address->bytes, row->bytes, row->bits))
            continue;
        if (row->ruling == BY_EMBEDDED)
            return allows4(guard, address->bytes + row->at, port);
        return row->ruling == DIALLED;
    }
    return false;
}

bool guard_allows(const struct guard *guard, const struct sockaddr *address, socklen_t length)
{
    must(guard != NULL);
    if (address == NULL || length < sizeof(address->sa_family))
        return false;
    sa_family_t family;
    memcpy(&family, address, sizeof(family));
    if (family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        return allows4(guard, &in.sin_addr, ntohs(in.sin_port));
    }
    if (family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in;
        struct address plain;
        memcpy(&in, address, sizeof(in));
        memcpy(plain.bytes, &in.sin6_addr, sizeof(plain.bytes));
        return allows6(guard, &plain, ntohs(in.sin6_port));
    }
    return false;
}

/* Reads all of `text` as a decimal number without sign or leading zero. */
static bool read_number(const char *text, unsigned least, unsigned most, unsigned *ret_number)
{
    size_t length = strlen(text);
    if (length == 0 || length > 5 || strspn(text, "0123456789") != length)
        return false;
    if (text[0] == '0' && length > 1)
        return false;
    unsigned long number = strtoul(text, NULL, 10);
    if (number < least || number > most)
        return false;
    *ret_number = (unsigned)number;
    return true;
}

/* Cuts `text` into address, prefix and port; those that are absent become NULL. Brackets enclose an
 * IPv6 address with or without its prefix. */
static bool split_entry(char *text, char **ret_address, char **ret_bits, char **ret_port)
{
    char *port = NULL;
    if (text[0] == '[') {
        char *end = strchr(++text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return false;
        port = end[1] == ':' ? end + 2 : NULL;
        *end = '\0';
    } else {
        char *colon = strchr(text, ':');
        if (colon != NULL && strchr(colon + 1, ':') == NULL) { /* two colons: IPv6 */
            *colon = '\0';
            port = colon + 1;
        }
    }
    char *slash = strchr(text, '/');
    if (slash != NULL)
        *slash++ = '\0';
    *ret_address = text;
    *ret_bits = slash;
    *ret_port = port;
    return true;
}

static bool is_clear_beyond(const struct address *address, unsigned bits)
{
    for (unsigned i = bits; i < ADDRESS_BITS; i++) {
        if (((unsigned)address->bytes[i / 8] >> (7 - i % 8) & 1u) != 0)
            return false;
    }
    return true;
}

/* NULL, or what is wrong with the entry. */
static const char *read_entry(char *text, struct exception *ret_entry)
{
    char *address_text;
    char *bits_text;
    char *port_text;
    if (!split_entry(text, &address_text, &bits_text, &port_text))
        return "is not an address, a range or either with a port";

    struct exception entry = {.bits = ADDRESS_BITS};
    uint8_t four_bytes[4];
    unsigned width = ADDRESS_BITS;
    if (inet_pton(AF_INET, address_text, four_bytes) == 1) {
        entry.address = map4(four_bytes);
        width = ADDRESS_BITS - MAPPED_BITS;
    } else if (inet_pton(AF_INET6, address_text, entry.address.bytes) != 1) {
        return "is not an address (names are not accepted)";
    }

    unsigned number = width;
    if (bits_text != NULL && !read_number(bits_text, 0, width, &number))
        return "has a prefix length that cannot be";
    entry.bits = ADDRESS_BITS - width + number;
    if (!is_clear_beyond(&entry.address, entry.bits))
        return "has an address with bits beyond its prefix length";
    number = 0;
    if (port_text != NULL && !read_number(port_text, 1, UINT16_MAX, &number))
        return "has a port that is not between 1 and 65535";
    entry.port = (uint16_t)number;
    *ret_entry = entry;
    return NULL;
}

static bool add_entry(struct guard *guard, const char *text, char *ret_error)
{
    char copy[GUARD_ENTRY_MAX + 1];
    const char *wrong = "is too long";
    if (strlen(text) <= GUARD_ENTRY_MAX) {
        memcpy(copy, text, strlen(text) + 1);
        wrong = read_entry(copy, &guard->exceptions[guard->n_exceptions]);
    }
    if (wrong != NULL) {
        snprintf(ret_error, GUARD_ERROR_SIZE, "\"%.*s\" %s", (int)GUARD_ENTRY_MAX, text, wrong);
        return false;
    }
    guard->n_exceptions++;
    return true;
}

bool guard_new(const char *const *allow, size_t n_allow, struct guard **ret_guard,
               char ret_error[200])
{
    if (n_allow > GUARD_ALLOW_MAX) {
        snprintf(ret_error, GUARD_ERROR_SIZE, "%zu exceptions are more than the %d allowed",
                 n_allow, (int)GUARD_ALLOW_MAX);
        return false;
    }
    struct guard *guard = must_calloc(1, sizeof(*guard));
    guard->exceptions = must_calloc(n_allow + 1, sizeof(*guard->exceptions));
    for (size_t i = 0; i < n_allow; i++) {
        if (!add_entry(guard, allow[i], ret_error)) {
            guard_free(guard);
            return false;
        }
    }
    *ret_guard = guard;
    return true;
}

struct guard *guard_free(struct guard *guard)
{
    if (guard != NULL)
        free(guard->exceptions);
    free(guard);
    return NULL;
}

static bool is_scheme(const char *url, const char *scheme)
{
    for (; *scheme != '\0'; url++, scheme++) {
        char lower = *url >= 'A' && *url <= 'Z' ? (char)(*url - 'A' + 'a') : *url;
        if (lower != *scheme)
            return false;
    }
    return true;
}

/* NULL, or what is wrong with `host[:port]`. */
static const char *check_authority(const char *text, size_t length)
{
    if (memchr(text, '@', length) != NULL)
        return "the URL must not carry a user name or password";
    if (memchr(text, '\\', length) != NULL)
        return "the URL's host must not contain a backslash";
    size_t host = length;
    if (length > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', length);
        if (end == NULL || end == text + 1)
            return "the URL's IPv6 address is broken";
        host = (size_t)(end - text) + 1;
    } else {
        const char *colon = memchr(text, ':', length);
        if (colon != NULL)
            host = (size_t)(colon - text);
    }
    if (host == 0)
        return "the URL has no host";
    if (host == length)
        return NULL;
    char port[6] = "";
    unsigned number;
    if (text[host] == ':' && length - host - 1 < sizeof(port))
        memcpy(port, text + host + 1, length - host - 1);
    if (!read_number(port, 1, UINT16_MAX, &number))
        return "the URL's port is not between 1 and 65535";
    return NULL;
}

static const char *check_url(const char *url)
{
    size_t length = strlen(url);
    if (length > GUARD_URL_MAX)
        return "the URL is longer than 8192 bytes";
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)url[i] <= ' ' || url[i] == 0x7f)
            return "the URL contains white space or control characters";
    }
    size_t scheme = is_scheme(url, "http://") ? 7 : is_scheme(url, "https://") ? 8 : 0;
    if (scheme == 0)
        return "the URL must begin with http:// or https://";
    return check_authority(url + scheme, strcspn(url + scheme, "/?#"));
}

bool guard_check_url(const char *url, char ret_error[200])
{
    const char *wrong = check_url(url);
    if (wrong != NULL)
        snprintf(ret_error, GUARD_ERROR_SIZE, "%s", wrong);
    return wrong == NULL;
}
