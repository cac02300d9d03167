/* SPDX-License-Identifier: Apache-2.0
 *
 * Host names are resolved by the system; the first address found is the one that counts. */
#include "net/address.h"

#include <errno.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool address_split(const char *text, char ret_host[ADDRESS_HOST_SIZE],
                   char ret_port[ADDRESS_PORT_SIZE])
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || strlen(colon + 1) < 1 || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strtol(colon + 1, NULL, 10) > UINT16_MAX)
        return false;
    const char *host = text;
    size_t length = (size_t)(colon - text);
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    } else if (memchr(host, ':', length) != NULL) {
        return false; /* an IPv6 address needs its brackets */
    }
    if (length < 1 || length >= ADDRESS_HOST_SIZE)
        return false;
    memcpy(ret_host, host, length);
    ret_host[length] = '\0';
    memcpy(ret_port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

static int bind_first(const struct addrinfo *address, int *ret_fd)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

int address_bind(const char *text, int *ret_fd, char ret_error[ADDRESS_ERROR_SIZE])
{
    char host[ADDRESS_HOST_SIZE];
    char port[ADDRESS_PORT_SIZE];
    if (!address_split(text, host, port)) {
        snprintf(ret_error, ADDRESS_ERROR_SIZE,
                 "listen: \"%.100s\" is not an address like 127.0.0.1:8080 or [::]:8080", text);
        return -EINVAL;
    }
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(host, port, &hints, &found);
    if (failure != 0) {
        snprintf(ret_error, ADDRESS_ERROR_SIZE, "listen: \"%.100s\" cannot be resolved: %s", text,
                 gai_strerror(failure));
        return -EADDRNOTAVAIL;
    }
    int r = bind_first(found, ret_fd);
    freeaddrinfo(found);
    if (r == -EADDRINUSE)
        snprintf(ret_error, ADDRESS_ERROR_SIZE, "%.100s is in use", text);
    else if (r < 0)
        snprintf(ret_error, ADDRESS_ERROR_SIZE, "listening on %.100s failed: %s", text,
                 strerror(-r));
    return r;
}
