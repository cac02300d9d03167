/* SPDX-License-Identifier: Apache-2.0
 *
 * Host comes from the client and ends up inside links, so it is checked character by character;
 * what a proxy forwards is believed only from the addresses that the operator named. Pure but for
 * the memory of the list; any thread. */
#include "api/origin.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/must.h"

/* Every address is kept as IPv6, IPv4 as ::ffff:a.b.c.d with its prefix 96 bits longer. */
struct proxy_block {
    uint8_t address[16];
    int bits;
};

struct origin_proxies {
    size_t count;
    struct proxy_block blocks[];
};

static void map_ipv4(const void *ipv4, uint8_t ret_address[16])
{
    memset(ret_address, 0, 10);
    memset(ret_address + 10, 0xff, 2);
    memcpy(ret_address + 12, ipv4, 4);
}

static bool read_bits(const char *text, int max, int *ret_bits)
{
    int bits = 0;
    size_t length = strlen(text);
    if (length < 1 || length > 3 || strspn(text, "0123456789") != length)
        return false;
    for (; *text != '\0'; text++)
        bits = bits * 10 + (*text - '0');
    if (bits > max)
        return false;
    *ret_bits = bits;
    return true;
}

static bool read_block(const char *text, struct proxy_block *ret_block)
{
    char address[INET6_ADDRSTRLEN];
    size_t length = strcspn(text, "/");
    if (length >= sizeof(address))
        return false;
    memcpy(address, text, length);
    address[length] = '\0';

    struct proxy_block block;
    uint8_t ipv4[4];
    int most = 128;
    if (inet_pton(AF_INET, address, ipv4) == 1) {
        map_ipv4(ipv4, block.address);
        most = 32;
    } else if (inet_pton(AF_INET6, address, block.address) != 1) {
        return false;
    }
    int bits = most;
    if (text[length] == '/' && !read_bits(text + length + 1, most, &bits))
        return false;
    block.bits = bits + 128 - most;
    *ret_block = block;
    return true;
}

struct origin_proxies *origin_proxies_new(const struct settings_list *list,
                                          char ret_error[ORIGIN_ERROR_SIZE])
{
    struct origin_proxies *proxies =
        must_calloc(1, sizeof(*proxies) + list->count * sizeof(struct proxy_block));
    for (size_t i = 0; i < list->count; i++) {
        if (!read_block(list->items[i], &proxies->blocks[i])) {
            snprintf(ret_error, ORIGIN_ERROR_SIZE,
                     "trusted_proxies: \"%.60s\" is not an address or a block like 10.0.0.0/8",
                     list->items[i]);
            return origin_proxies_free(proxies);
        }
        proxies->count++;
    }
    return proxies;
}

struct origin_proxies *origin_proxies_free(struct origin_proxies *proxies)
{
    free(proxies);
    return NULL;
}

static bool has_prefix(const uint8_t *address, const struct proxy_block *block)
{
    size_t whole = (size_t)block->bits / 8;
    int rest = block->bits % 8;
    if (memcmp(address, block->address, whole) != 0)
        return false;
    return rest == 0 ||
           ((address[whole] ^ block->address[whole]) & (0xff << (8 - rest)) & 0xff) == 0;
}

bool origin_address(const struct sockaddr *peer, uint8_t ret_address[16])
{
    if (peer->sa_family == AF_INET) {
        struct sockaddr_in ipv4;
        memcpy(&ipv4, peer, sizeof(ipv4));
        map_ipv4(&ipv4.sin_addr, ret_address);
    } else if (peer->sa_family == AF_INET6) {
        struct sockaddr_in6 ipv6;
        memcpy(&ipv6, peer, sizeof(ipv6));
        memcpy(ret_address, &ipv6.sin6_addr, 16);
    } else {
        return false;
    }
    return true;
}

bool origin_is_trusted(const struct origin_proxies *proxies, const struct sockaddr *peer)
{
    uint8_t address[16];
    if (!origin_address(peer, address))
        return false;
    for (size_t i = 0; i < proxies->count; i++) {
        if (has_prefix(address, &proxies->blocks[i]))
            return true;
    }
    return false;
}

bool origin_is_host(const char *text, size_t length)
{
    static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                ".-_[]:";
    if (length < 1 || length > ORIGIN_HOST_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\0' || strchr(PLAIN, text[i]) == NULL)
            return false;
    }
    return true;
}

bool origin_base(const struct origin_facts *facts, char ret_base[ORIGIN_BASE_SIZE])
{
    const char *host = facts->host;
    const char *scheme = "http";
    if (host == NULL || !origin_is_host(host, strlen(host)))
        return false;
    if (facts->peer_is_trusted) {
        const char *forwarded = facts->forwarded_host;
        if (forwarded != NULL && origin_is_host(forwarded, strlen(forwarded)))
            host = forwarded;
        if (facts->forwarded_proto != NULL && strcasecmp(facts->forwarded_proto, "https") == 0)
            scheme = "https";
    }
    snprintf(ret_base, ORIGIN_BASE_SIZE, "%s://%s", scheme, host);
    return true;
}
