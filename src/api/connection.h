/* SPDX-License-Identifier: Apache-2.0
 *
 * What we keep for one connection: the request under way, and how long it may take. Its deadline moves with it:
 *
 *     connected ---------> `http.head` for the first header section, whether or not a byte comes
 *     request line there -> `http.head`, if the deadline at hand is not sooner
 *     headers there ------> `http.body` for the body; none without one
 *     body there ---------> none: a suspended request has its own (api/wait.h), an answer that is not taken ends by `http.idle`
 *     answered -----------> `http.idle` + `http.head`
 *
 * The last one needs no look at the socket: a connection that keeps silent is closed by the library after `http.idle`, so
 * that one which lives longer without a request line has begun to send one, and who sends it byte by byte gains no more than `http.head`. */
#pragma once

#include <microhttpd.h>
#include <stdint.h>
#include <sys/socket.h>

#include "api/peer.h"
#include "api/reaper.h"
#include "api/request.h"
#include "api/wire.h"

struct connection {
    struct wire_line line;
    struct api_request request; /* the one under way */
    struct reaper_entry watch;
    struct peer *peer;
    int64_t n_requests;
};

struct connection *connection_of(struct MHD_Connection *connection);

/* The library's callbacks; `context` is the struct api. */
enum MHD_Result connection_is_welcome(void *context, const struct sockaddr *address,
                                      socklen_t length);
void connection_notice(void *context, struct MHD_Connection *connection, void **socket_context,
                       enum MHD_ConnectionNotificationCode code);
/* The address before it is decoded. The result is the request's first context: none. */
void *connection_line(void *context, const char *uri, struct MHD_Connection *connection);

/* The steps of the request under way. */
void connection_head_is_there(struct connection *connection, bool has_body);
void connection_body_is_there(struct connection *connection);
void connection_is_answered(struct connection *connection);
