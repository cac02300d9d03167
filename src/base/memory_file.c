/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes go in by position, so that the descriptor's own stays where readers begin. */
#include "base/memory_file.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

int memory_file_new(const char *label, const void *bytes, size_t length)
{
    const char *from = bytes;
    CLEANUP(close_fd) int fd = memfd_create(label, MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    for (size_t done = 0; done < length;) {
        ssize_t n = pwrite(fd, from + done, length - done, (off_t)done);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -EIO;
        done += n > 0 ? (size_t)n : 0;
    }
    int kept = fd;
    fd = -1;
    return kept;
}
