/* SPDX-License-Identifier: Apache-2.0
 *
 * Custom AVIO over an open descriptor. libav opens nothing by name in this program: every byte that
 * it reads or writes passes here. Runs in the helper, single-threaded. */
#include "media/port.h"

#include <errno.h>
#include <libavutil/error.h>
#include <libavutil/mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"

enum { PORT_BUFFER_BYTES = 64 * 1024 };

struct port {
    int fd;
    int error;
    int64_t offset;
    AVIOContext *avio;
};

/* The buffer is not const in libavformat 59 and became so in 61. */
#if LIBAVFORMAT_VERSION_MAJOR < 61
typedef uint8_t port_written;
#else
typedef const uint8_t port_written;
#endif

static int fail(struct port *port)
{
    if (port->error == 0)
        port->error = AVERROR(errno);
    return AVERROR(errno);
}

static int on_read(void *opaque, uint8_t *buffer, int size)
{
    struct port *port = opaque;
    for (;;) {
        ssize_t n = pread(port->fd, buffer, (size_t)size, port->offset);
        if (n == 0)
            return AVERROR_EOF;
        if (n > 0) {
            port->offset += n;
            return (int)n;
        }
        if (errno != EINTR)
            return fail(port);
    }
}

static int on_write(void *opaque, port_written *buffer, int size)
{
    struct port *port = opaque;
    int done = 0;
    while (done < size) {
        ssize_t n = pwrite(port->fd, buffer + done, (size_t)(size - done), port->offset);
        if (n < 0 && errno != EINTR)
            return fail(port);
        if (n > 0) {
            done += (int)n;
            port->offset += n;
        }
    }
    return size;
}

static int64_t file_size(struct port *port)
{
    struct stat status;
    if (fstat(port->fd, &status) < 0)
        return fail(port);
    return status.st_size;
}

static int64_t on_seek(void *opaque, int64_t offset, int whence)
{
    struct port *port = opaque;
    int64_t base = 0;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE)
        return file_size(port);
    if (whence == SEEK_CUR)
        base = port->offset;
    else if (whence == SEEK_END)
        base = file_size(port);
    if (base < 0)
        return base;
    int64_t target;
    /* Strangers' files choose these numbers. */
    if (__builtin_add_overflow(base, offset, &target) || target < 0)
        return AVERROR(EINVAL);
    port->offset = target;
    return target;
}

struct port *port_new(int fd, bool is_writer)
{
    struct port *port = must_calloc(1, sizeof *port);
    uint8_t *buffer = av_malloc(PORT_BUFFER_BYTES);
    must(buffer);
    port->fd = fd;
    port->avio =
        avio_alloc_context(buffer, PORT_BUFFER_BYTES, is_writer, port, is_writer ? NULL : on_read,
                           is_writer ? on_write : NULL, on_seek);
    must(port->avio);
    return port;
}

struct port *port_free(struct port *port)
{
    if (!port)
        return NULL;
    av_freep(&port->avio->buffer); /* may have been replaced since: it is libav's by now */
    avio_context_free(&port->avio);
    free(port);
    return NULL;
}

AVIOContext *port_avio(struct port *port)
{
    return port->avio;
}

int port_error(const struct port *port)
{
    return port->error;
}

enum media_end port_end_of(int error)
{
    if (error == AVERROR(ENOSPC) || error == AVERROR(EDQUOT))
        return MEDIA_NO_SPACE;
    if (error == AVERROR(EFBIG))
        return MEDIA_TOO_LARGE;
    return error == AVERROR(ENOMEM) ? MEDIA_NO_MEMORY : MEDIA_FAILED;
}

int port_write_all(int fd, const uint8_t *data, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t n = pwrite(fd, data + done, length - done, (off_t)done);
        if (n < 0 && errno != EINTR)
            return AVERROR(errno);
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}
