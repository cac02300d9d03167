/* SPDX-License-Identifier: Apache-2.0
 *
 * An upstream that costs next to nothing: it takes jobs, has each done at a time drawn for it, and notes when it was asked
 * and when the result was fetched. Speaks the unified format. One thread, keep-alive, nothing on disk.
 *
 *     POST /KIND/MEDIAN_MS/SIGMA/v1/video/create      a job; its duration is lognormal: MEDIAN_MS * exp(SIGMA/1000 * N(0,1))
 *     GET  /KIND/MEDIAN_MS/SIGMA/v1/video/query?id=N  how it stands; of KIND "told" with its progress
 *     GET  /KIND/result?id=N                          of KIND "film" the file; of others the beginning of 2 MiB
 *     GET  /jobs                                      one line a job: kind, duration, times of its polls and its fetch
 *
 * The n-th job of a kind draws its duration from SEED and n alone, whatever the order of things. `upstream SEED FILM` prints
 * its port, and ends with its standard input. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench_listen.h"

enum { EVENTS = 256, REQUEST_MAX = 16384, ANSWER_MAX = 512, FILM_MAX = 1 << 20, KIND_SIZE = 16 };
enum { JOBS_MAX = 200000, ANNOUNCED_BYTES = 2 << 20, BEGINNING_BYTES = 100 };

struct job {
    char kind[KIND_SIZE];
    double took_ms, accepted_ms;
    int n_polls;       /* up to the one that was told its end */
    double told_ms;    /* that poll; 0: none yet */
    double fetched_ms; /* 0: not yet */
};

struct connection {
    int fd;
    size_t length;
    char request[REQUEST_MAX];
};

struct upstream {
    int epoll_fd;
    uint64_t seed;
    char film[FILM_MAX];
    size_t film_bytes;
    struct job *jobs;
    size_t n_jobs;
};

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- durations ---- */

static uint64_t mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static double fraction(uint64_t bits)
{
    return ((double)(bits >> 11) + 0.5) * 0x1p-53;
}

static double draw(uint64_t seed, uint64_t n, double median_ms, double sigma)
{
    const double radius = sqrt(-2.0 * log(fraction(mix(seed + 2 * n))));
    const double angle = 2.0 * 3.14159265358979323846 * fraction(mix(seed + 2 * n + 1));
    return median_ms * exp(sigma * radius * cos(angle));
}

/* ---- answers ---- */

static void drop(struct connection *connection)
{
    close(connection->fd);
    free(connection);
}

static bool put(int fd, const char *bytes, size_t length)
{
    for (int tries = 0; length > 0 && tries < 1000; tries++) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0)
            usleep(1000);
        bytes += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
    }
    return length == 0;
}

static bool put_head(int fd, const char *status, const char *type, size_t length)
{
    char head[ANSWER_MAX];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", status, type,
                     length);
    return put(fd, head, (size_t)n);
}

static bool __attribute__((format(printf, 3, 4)))
put_json(int fd, const char *status, const char *format, ...)
{
    char body[ANSWER_MAX], whole[2 * ANSWER_MAX];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(body, sizeof body, format, values);
    va_end(values);
    int n =
        snprintf(whole, sizeof whole,
                 "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                 status, length, body);
    return put(fd, whole, (size_t)n);
}

static struct job *job_of(struct upstream *upstream, const char *path)
{
    const char *id = strstr(path, "id=");
    size_t n = id ? strtoul(id + 3, NULL, 10) : JOBS_MAX;
    return n < upstream->n_jobs ? &upstream->jobs[n] : NULL;
}

static bool create(struct upstream *upstream, int fd, const char *path)
{
    double median_ms, sigma;
    if (upstream->n_jobs == JOBS_MAX)
        return put_json(fd, "503 Full", "{\"code\": \"queue_full\", \"message\": \"full\"}");
    struct job *job = &upstream->jobs[upstream->n_jobs];
    if (sscanf(path, "/%15[a-z]/%lf/%lf/", job->kind, &median_ms, &sigma) != 3)
        return put_json(fd, "400 Bad Request", "{\"code\": \"invalid_request\"}");
    uint64_t n = 0;
    for (size_t i = 0; i < upstream->n_jobs; i++)
        n += upstream->jobs[i].kind[0] == job->kind[0];
    job->took_ms = draw(mix(upstream->seed ^ (uint64_t)job->kind[0]), n, median_ms, sigma / 1e3);
    job->accepted_ms = now_ms();
    return put_json(fd, "200 OK", "{\"id\": \"%zu\", \"status\": \"pending\"}", upstream->n_jobs++);
}

static bool query(struct upstream *upstream, struct connection *connection, const char *path)
{
    struct job *job = job_of(upstream, path);
    if (!job)
        return put_json(connection->fd, "404 Not Found", "{\"code\": \"task_not_exist\"}");
    double here_ms = now_ms(), age_ms = here_ms - job->accepted_ms;
    const char *host = strstr(connection->request, "Host: ");
    job->n_polls += job->told_ms == 0;
    if (age_ms >= job->took_ms) {
        job->told_ms = job->told_ms > 0 ? job->told_ms : here_ms;
        return put_json(
            connection->fd, "200 OK",
            "{\"status\": \"completed\", \"video_url\": \"http://%.*s/%s/result?id=%zu\"}",
            host ? (int)strcspn(host + 6, "\r\n") : 0, host ? host + 6 : "", job->kind,
            (size_t)(job - upstream->jobs));
    }
    if (strcmp(job->kind, "told") == 0) {
        return put_json(connection->fd, "200 OK", "{\"status\": \"processing\", \"progress\": %d}",
                        (int)(100.0 * age_ms / job->took_ms));
    }
    return put_json(connection->fd, "200 OK", "{\"status\": \"processing\"}");
}

static bool fetch(struct upstream *upstream, int fd, const char *path)
{
    struct job *job = job_of(upstream, path);
    if (!job)
        return put_json(fd, "404 Not Found", "{}");
    job->fetched_ms = job->fetched_ms > 0 ? job->fetched_ms : now_ms();
    bool is_film = strcmp(job->kind, "film") == 0;
    return put_head(fd, "200 OK", "video/mp4", is_film ? upstream->film_bytes : ANNOUNCED_BYTES) &&
           put(fd, upstream->film, is_film ? upstream->film_bytes : BEGINNING_BYTES);
}

static bool list(struct upstream *upstream, int fd)
{
    size_t length = 0, room = upstream->n_jobs * 160 + 1;
    char *text = malloc(room);
    for (size_t i = 0; text && i < upstream->n_jobs; i++) {
        const struct job *job = &upstream->jobs[i];
        length += (size_t)snprintf(text + length, room - length, "%s %.3f %.3f %d %.3f %.3f\n",
                                   job->kind, job->took_ms, job->accepted_ms, job->n_polls,
                                   job->told_ms, job->fetched_ms);
    }
    bool is_good = text && put_head(fd, "200 OK", "text/plain", length) && put(fd, text, length);
    free(text);
    return is_good;
}

static bool answer(struct upstream *upstream, struct connection *connection, const char *method,
                   const char *path)
{
    if (strcmp(path, "/jobs") == 0)
        return list(upstream, connection->fd);
    if (strcmp(method, "POST") == 0)
        return create(upstream, connection->fd, path);
    if (strstr(path, "/v1/video/query"))
        return query(upstream, connection, path);
    return fetch(upstream, connection->fd, path);
}

/* ---- requests ---- */

static size_t body_length(const char *head)
{
    const char *field = strcasestr(head, "\r\ncontent-length:");
    return field ? strtoul(field + 17, NULL, 10) : 0;
}

/* Answers the first whole request and takes it away. 1: one was there, 0: it has not all come, -1: the connection ends. */
static int take_request(struct upstream *upstream, struct connection *connection)
{
    char method[8], path[256];
    connection->request[connection->length] = '\0';
    char *end = strstr(connection->request, "\r\n\r\n");
    if (!end)
        return 0;
    end[2] = '\0'; /* the head is a text of its own */
    size_t whole = (size_t)(end + 4 - connection->request) + body_length(connection->request);
    bool has_come = whole <= connection->length;
    bool is_good = sscanf(connection->request, "%7s %255s", method, path) == 2;
    if (has_come && is_good)
        is_good = answer(upstream, connection, method, path);
    end[2] = '\r';
    if (!is_good || whole >= REQUEST_MAX)
        return -1;
    if (!has_come)
        return 0;
    memmove(connection->request, connection->request + whole, connection->length - whole);
    connection->length -= whole;
    return 1;
}

static void on_readable(struct upstream *upstream, struct connection *connection)
{
    ssize_t got = read(connection->fd, connection->request + connection->length,
                       REQUEST_MAX - 1 - connection->length);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        drop(connection);
        return;
    }
    connection->length += (size_t)got;
    int taken;
    while ((taken = take_request(upstream, connection)) > 0)
        ;
    if (taken < 0)
        drop(connection);
}

static void accept_all(struct upstream *upstream, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        int one = 1;
        struct connection *connection = malloc(sizeof *connection);
        if (!connection) {
            close(fd);
            return;
        }
        connection->fd = fd;
        connection->length = 0;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        epoll_ctl(upstream->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

/* ---- start ---- */

static bool watch(int epoll_fd, int fd, void *mark)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};
    return fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

int main(int argc, char **argv)
{
    static struct upstream upstream;
    FILE *film = argc == 3 ? fopen(argv[2], "rb") : NULL;
    if (!film)
        return fail("usage: upstream SEED FILM");
    upstream.film_bytes = fread(upstream.film, 1, sizeof upstream.film, film);
    fclose(film);
    upstream.seed = strtoull(argv[1], NULL, 10);
    upstream.jobs = calloc(JOBS_MAX, sizeof *upstream.jobs);
    upstream.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_somewhere(4096);
    if (!upstream.jobs || !watch(upstream.epoll_fd, listener, &listener) ||
        !watch(upstream.epoll_fd, STDIN_FILENO, NULL)) {
        return fail("listen");
    }
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(upstream.epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (!events[i].data.ptr)
                return 0;
            if (events[i].data.ptr == &listener)
                accept_all(&upstream, listener);
            else
                on_readable(&upstream, events[i].data.ptr);
        }
    }
}
