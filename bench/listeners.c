/* SPDX-License-Identifier: Apache-2.0
 *
 * Many clients of event streams in one thread: each has a connection of its own and watches one task. Times from
 * the `status_update_time` of an event (microseconds of CLOCK_MONOTONIC) to its being read are kept while they are asked for.
 *
 * `listeners PORT KEY < ids` prints how many streams are open; then, for each line that comes on descriptor 3, how many events
 * came since the last one, and of their times in microseconds the median, the 99th and the 99.9th of a hundred, and the longest. */
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    STREAMS_MAX = 20000,
    TIMES_MAX = 4000000,
    TAIL = 512, /* of what came, for a number that is cut in two */
    ID_SIZE = 64,
    EVENTS = 512,
    OPENING = 200, /* connections on their way at a time */
};

struct stream {
    int fd;
    bool is_open; /* its head has come */
    size_t n_kept;
    char kept[TAIL];
};

struct crowd {
    int epoll_fd;
    struct stream *streams;
    size_t n_streams, n_open;
    int64_t *times;
    size_t n_times;
};

static int64_t now_micros(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void connect_one(struct crowd *crowd, in_port_t port, const char *key, const char *id)
{
    struct stream *stream = &crowd->streams[crowd->n_streams++];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    char request[400];
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    stream->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (stream->fd < 0 || connect(stream->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        die("connecting");
    }
    int length = snprintf(request, sizeof request,
                          "GET /v1/video/events?id=%s HTTP/1.1\r\nHost: x\r\n"
                          "Authorization: Bearer %s\r\n\r\n",
                          id, key);
    if (write(stream->fd, request, (size_t)length) != length) {
        die("asking");
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = stream};
    if (epoll_ctl(crowd->epoll_fd, EPOLL_CTL_ADD, stream->fd, &event) != 0) {
        die("epoll");
    }
}

/* ---- what comes ---- */

static void note_times(struct crowd *crowd, struct stream *stream, char *text, size_t length,
                       int64_t read_micros)
{
    static const char mark[] = "\"status_update_time\":";
    char *rest = text, *found;
    text[length] = '\0';
    while ((found = strstr(rest, mark)) != NULL) {
        char *end;
        int64_t at_micros = strtoll(found + sizeof mark - 1, &end, 10);
        if (*end == '\0') {
            break; /* the number may go on */
        }
        rest = end;
        if (crowd->n_times < TIMES_MAX) {
            crowd->times[crowd->n_times++] = read_micros - at_micros;
        }
    }
    size_t left = length - (size_t)(rest - text);
    size_t most = found != NULL ? TAIL - 1 : sizeof mark;
    stream->n_kept = left < most ? left : most;
    memcpy(stream->kept, text + length - stream->n_kept, stream->n_kept);
}

static void hear(struct crowd *crowd, struct stream *stream)
{
    char text[TAIL + 65536 + 1];
    memcpy(text, stream->kept, stream->n_kept);
    ssize_t n = read(stream->fd, text + stream->n_kept, 65536);
    if (n <= 0) {
        die("a stream has ended");
    }
    if (!stream->is_open) {
        if (strncmp(text, "HTTP/1.1 200", 12) != 0) {
            fprintf(stderr, "answered %.200s\n", text);
            exit(1);
        }
        stream->is_open = true;
        crowd->n_open++;
    }
    note_times(crowd, stream, text, stream->n_kept + (size_t)n, now_micros());
}

static int by_size(const void *left, const void *right)
{
    const int64_t *one = left, *other = right;
    return (*one > *other) - (*one < *other);
}

static void report(struct crowd *crowd)
{
    size_t n = crowd->n_times;
    qsort(crowd->times, n, sizeof *crowd->times, by_size);
    if (n == 0) {
        puts("0 0 0 0 0");
    } else {
        printf("%zu %lld %lld %lld %lld\n", n, (long long)crowd->times[n / 2],
               (long long)crowd->times[n * 99 / 100], (long long)crowd->times[n * 999 / 1000],
               (long long)crowd->times[n - 1]);
    }
    fflush(stdout);
    crowd->n_times = 0;
}

static void turn(struct crowd *crowd, int wait_ms)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(crowd->epoll_fd, events, EVENTS, wait_ms);
    for (int i = 0; i < n; i++) {
        char line[64];
        if (events[i].data.ptr != NULL) {
            hear(crowd, events[i].data.ptr);
        } else if (read(3, line, sizeof line) > 0) {
            report(crowd);
        } else {
            exit(0);
        }
    }
}

int main(int argc, char **argv)
{
    struct crowd crowd = {.epoll_fd = epoll_create1(0)};
    struct epoll_event orders = {.events = EPOLLIN};
    char id[ID_SIZE];
    if (argc != 3) {
        return 2;
    }
    crowd.streams = calloc(STREAMS_MAX, sizeof *crowd.streams);
    crowd.times = calloc(TIMES_MAX, sizeof *crowd.times);
    if (crowd.streams == NULL || crowd.times == NULL) {
        die("memory");
    }
    while (crowd.n_streams < STREAMS_MAX && fgets(id, sizeof id, stdin) != NULL) {
        id[strcspn(id, "\n")] = '\0';
        connect_one(&crowd, (in_port_t)strtol(argv[1], NULL, 10), argv[2], id);
        while (crowd.n_streams - crowd.n_open >= OPENING) {
            turn(&crowd, 1000);
        }
    }
    while (crowd.n_open < crowd.n_streams) {
        turn(&crowd, 1000);
    }
    crowd.n_times = 0;
    printf("%zu\n", crowd.n_open);
    fflush(stdout);
    if (epoll_ctl(crowd.epoll_fd, EPOLL_CTL_ADD, 3, &orders) != 0) {
        die("descriptor 3");
    }
    for (;;) {
        turn(&crowd, 1000);
    }
}
