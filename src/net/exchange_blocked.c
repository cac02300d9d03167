/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses that the guard refused, as its rules spell them, and the words for operators. Clients never read them: where a name
 * leads to within the house is what a forger of requests asks for. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "net/exchange_pool.h"

/* Not what a resolver would call it: that may name an interface. */
void exchange_note_blocked(struct exchange *exchange, const struct curl_sockaddr *address)
{
    char text[INET6_ADDRSTRLEN];
    struct sockaddr_in four;
    struct sockaddr_in6 six;
    if (exchange->blocked[0] != '\0')
        return;
    if (address->family == AF_INET && address->addrlen >= sizeof(four)) {
        memcpy(&four, &address->addr, sizeof(four));
        if (inet_ntop(AF_INET, &four.sin_addr, text, sizeof(text)) != NULL)
            snprintf(exchange->blocked, sizeof(exchange->blocked), "%s:%u", text,
                     (unsigned)ntohs(four.sin_port));
    } else if (address->family == AF_INET6 && address->addrlen >= sizeof(six)) {
        memcpy(&six, &address->addr, sizeof(six));
        if (inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof(text)) != NULL)
            snprintf(exchange->blocked, sizeof(exchange->blocked), "[%s]:%u", text,
                     (unsigned)ntohs(six.sin6_port));
    }
}

const char *exchange_blocked(const struct exchange *exchange, enum exchange_end end)
{
    bool is_blocked = end == EXCHANGE_FORBIDDEN && exchange->blocked[0] != '\0';
    return is_blocked ? exchange->blocked : NULL;
}

void exchange_tell_operator(const char *note, const char *blocked, const char *setting,
                            char ret_text[EXCHANGE_TOLD_SIZE])
{
    if (blocked == NULL)
        snprintf(ret_text, EXCHANGE_TOLD_SIZE, "%s", note);
    else
        snprintf(ret_text, EXCHANGE_TOLD_SIZE, "%s: %s, which the setting %s can permit", note,
                 blocked, setting);
}
