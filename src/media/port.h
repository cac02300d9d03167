/* SPDX-License-Identifier: Apache-2.0
 *
 * A descriptor as libav's byte stream. Positions are the port's own (pread, pwrite), so several
 * ports can share one descriptor and its offset never moves. Single-threaded, in the helper. */
#pragma once

#include <libavformat/avio.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "media/media.h"

struct port;

/* A port at offset 0 for reading, or for writing; the descriptor stays the caller's. Never NULL. */
struct port *port_new(int fd, bool is_writer);
/* Drops bytes still buffered: avio_flush() first. Takes NULL, returns NULL. */
struct port *port_free(struct port *port);
AVIOContext *port_avio(struct port *port);
/* 0, or the negative AVERROR of the first read or write that failed; libav itself tends to forget
 * it. */
int port_error(const struct port *port);
/* What an error (negative AVERROR or errno) says about the job: MEDIA_NO_SPACE, MEDIA_TOO_LARGE,
 * MEDIA_NO_MEMORY, else MEDIA_FAILED. */
enum media_end port_end_of(int error);
/* Writes `length` bytes at offset 0. 0 or negative AVERROR. */
CHECKED int port_write_all(int fd, const uint8_t *data, size_t length);
