/* SPDX-License-Identifier: Apache-2.0
 *
 * How a channel reaches its upstream: its proxy, and the authorities that it trusts beside the
 * system's. curl parses those for each connection (18 ms of the loop's time for the usual 140 and
 * one of the operator's), while the system's alone are shared: the price of a file of one's own. */
#include "net/exchange_road.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/x509.h>
#include <unistd.h>

#include "base/buf.h"

enum { AUTHORITIES_MAX_BYTES = 8 * 1024 * 1024 }; /* of the system and of the road together */

/* 0 or negative errno. */
static int read_file(const char *path, struct buf *out)
{
    char piece[16 * 1024];
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    for (;;) {
        ssize_t got = read(fd, piece, sizeof(piece));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : 0;
        buf_add(out, piece, (size_t)got);
    }
}

static const char *system_authorities(CURL *easy)
{
    const char *file = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_CAINFO, &file) == CURLE_OK && file != NULL)
        return file;
    return X509_get_default_cert_file();
}

/* curl takes one source: the system's authorities and the road's go in together. A system without
 * any is no fault here. */
static bool set_authorities(CURL *easy, const char *file)
{
    CLEANUP(buf_fini) struct buf all;
    buf_init(&all, AUTHORITIES_MAX_BYTES);
    if (read_file(system_authorities(easy), &all) < 0)
        buf_clear(&all);
    buf_putc(&all, '\n');
    if (read_file(file, &all) < 0 || all.overflowed)
        return false;
    struct curl_blob blob = {.data = all.data, .len = all.length, .flags = CURL_BLOB_COPY};
    return curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob) == CURLE_OK;
}

bool exchange_road_set(CURL *easy, const struct exchange_road *road)
{
    if (road == NULL)
        return true;
    if (road->proxy != NULL &&
        (curl_easy_setopt(easy, CURLOPT_PROXY, road->proxy) != CURLE_OK ||
         curl_easy_setopt(easy, CURLOPT_NOPROXY, "") != CURLE_OK)) /* nor the environment's */
        return false;
    return road->ca_file == NULL || set_authorities(easy, road->ca_file);
}
