/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a connection, as the library tells it; on the HTTP threads. */
#include "api/connection.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/must.h"

struct connection *connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    must(info != NULL && info->socket_context != NULL);
    return info->socket_context;
}

enum MHD_Result connection_is_welcome(void *context, const struct sockaddr *address,
                                      socklen_t length UNUSED)
{
    struct api *api = context;
    return peer_has_room(api->peers, address) ? MHD_YES : MHD_NO;
}

/* It is counted here and not at the welcome: the library tells us of the end of those it told us of, and of no others. */
static struct connection *begin(struct api *api, struct MHD_Connection *connection)
{
    struct connection *own = must_calloc(1, sizeof(*own));
    const union MHD_ConnectionInfo *peer =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const union MHD_ConnectionInfo *socket =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    must(socket != NULL);
    if (!peer_enter(api->peers, peer != NULL ? peer->client_addr : NULL, &own->peer))
        shutdown(socket->connect_fd, SHUT_RDWR);
    reaper_watch(api->reaper, &own->watch, socket->connect_fd,
                 clock_mono_ms() + api->parts.settings->http_head);
    atomic_fetch_add(&api->metrics.connections, 1);
    return own;
}

static void end(struct api *api, struct connection *own)
{
    reaper_forget(api->reaper, &own->watch);
    peer_leave(api->peers, own->peer);
    atomic_fetch_sub(&api->metrics.connections, 1);
    free(own);
}

void connection_notice(void *context, struct MHD_Connection *connection, void **socket_context,
                       enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *socket_context = begin(context, connection);
    else
        end(context, TAKE(*socket_context));
}

void *connection_line(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct api *api = context;
    struct connection *own = connection_of(connection);
    wire_line(&own->line, uri);
    int64_t deadline_ms = clock_mono_ms();
    if (!own->line.has_too_many_arguments) /* else the library may have no memory left to answer */
        deadline_ms += api->parts.settings->http_head;
    if (deadline_ms < reaper_deadline(&own->watch))
        reaper_set(&own->watch, deadline_ms);
    return NULL;
}

void connection_head_is_there(struct connection *connection, bool has_body)
{
    const struct api_request *request = &connection->request;
    const struct settings *settings = request->api->parts.settings;
    reaper_set(&connection->watch,
               has_body ? request->started_micros / 1000 + settings->http_body : REAPER_NEVER);
}

void connection_body_is_there(struct connection *connection)
{
    reaper_set(&connection->watch, REAPER_NEVER);
}

void connection_is_answered(struct connection *connection)
{
    const struct settings *settings = connection->request.api->parts.settings;
    reaper_set(&connection->watch, clock_mono_ms() + settings->http_idle + settings->http_head);
}
