/* SPDX-License-Identifier: Apache-2.0
 *
 * The floor of the measurement: a bare epoll loop that answers every request with the bytes of a
 * file, without looking at what was asked. One thread, keep-alive only. `replay FILE` prints its
 * port. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_listen.h"

enum { REPLAY_EVENTS = 64, REPLAY_READ = 16384, REPLAY_FILE_MAX = 1 << 20 };

static void accept_all(int epoll_fd, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

/* One answer for each end of a header block that came in. */
static void answer(int fd, const char *bytes, size_t length)
{
    char request[REPLAY_READ];
    ssize_t got = read(fd, request, sizeof request - 1);
    if (got <= 0) {
        close(fd);
        return;
    }
    request[got] = '\0';
    for (char *end = strstr(request, "\r\n\r\n"); end; end = strstr(end + 4, "\r\n\r\n")) {
        if (write(fd, bytes, length) != (ssize_t)length) {
            close(fd);
            return;
        }
    }
}

int main(int argc, char **argv)
{
    static char bytes[REPLAY_FILE_MAX];
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file) {
        return fail("usage: replay FILE");
    }
    size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    int listener = listen_somewhere(512);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (listener < 0 || epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) < 0) {
        return fail("listen");
    }
    for (;;) {
        struct epoll_event events[REPLAY_EVENTS];
        int count = epoll_wait(epoll_fd, events, REPLAY_EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener) {
                accept_all(epoll_fd, listener);
            } else {
                answer(events[i].data.fd, bytes, length);
            }
        }
    }
}
