/* SPDX-License-Identifier: Apache-2.0
 *
 * The doctor's look at channels: each is made by itself, so that one that is not right does not hide the next.
 * Nothing is sent to an upstream: whether a key is valid costs money to find out. One thread. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/must.h"
#include "cli/doctor.h"
#include "net/guard.h"
#include "upstream/adapter.h"
#include "upstream/channel.h"

enum { LINE_BYTES = 600 };

static const char ADVICE[] = "correct it, `serve` would not start";

/* Is the host this machine or an address of a network of its own? A name that is not `localhost` could be anything. */
static bool is_nearby(const char *host)
{
    char name[64];
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct guard *guard = NULL;
    char error[200];
    bool is_bracketed = *host == '[';
    host += is_bracketed;
    size_t length = strcspn(host, is_bracketed ? "]" : ":/");
    snprintf(name, sizeof(name), "%.*s", (int)length, host);
    if (strcasecmp(name, "localhost") == 0)
        return true;
    must(guard_new(NULL, 0, &guard, error));
    bool is_near = false;
    if (!is_bracketed && inet_pton(AF_INET, name, &v4.sin_addr) == 1)
        is_near = !guard_allows(guard, (const struct sockaddr *)&v4, sizeof(v4));
    else if (is_bracketed && inet_pton(AF_INET6, name, &v6.sin6_addr) == 1)
        is_near = !guard_allows(guard, (const struct sockaddr *)&v6, sizeof(v6));
    guard_free(guard);
    return is_near;
}

/* What stands behind the scheme, or NULL when it has another one. */
static const char *host_of(const char *url, const char *scheme)
{
    return strncmp(url, scheme, strlen(scheme)) == 0 ? url + strlen(scheme) : NULL;
}

static bool is_naked(const struct channel *channel)
{
    const char *host = channel->auth != AUTH_WAY_NONE && channel->base_url != NULL
                           ? host_of(channel->base_url, "http://")
                           : NULL;
    return host != NULL && !is_nearby(host);
}

/* `adapter fal at https://…, 2 credentials, serves "sora-2", "veo*"`. */
static void describe(const struct channel *channel, struct buf *line)
{
    if (channel->is_animatic)
        buf_puts(line, "the built-in engine");
    else if (channel->program.n_argv > 0)
        buf_printf(line, "runs %s, %lld at once", channel->program.argv[0],
                   (long long)channel->concurrency);
    else
        buf_printf(line, "adapter %s at %s", adapter_name(channel->adapter), channel->base_url);
    if (channel->auth != AUTH_WAY_NONE)
        buf_printf(line, ", %zu credential%s", channel->n_credentials,
                   channel->n_credentials == 1 ? "" : "s");
    for (size_t i = 0; i < channel->n_models; i++)
        buf_printf(line, "%s\"%s\"", i == 0 ? ", serves " : ", ", channel->models[i].pattern);
}

static void say_channel(struct doctor *doctor, const struct channel *channel)
{
    CLEANUP(buf_fini) struct buf line;
    buf_init(&line, LINE_BYTES);
    describe(channel, &line);
    const char *cut = line.overflowed ? " …" : "";
    if (channel->is_drained)
        doctor_say(doctor, DOCTOR_WARNING, "channel", "it gets nothing new (drain: true)",
                   "\"%s\": %s%s", channel->name, buf_text(&line), cut);
    else if (is_naked(channel))
        doctor_say(doctor, DOCTOR_WARNING, "channel",
                   "its key goes over the network for all to read; use https://", "\"%s\": %s%s",
                   channel->name, buf_text(&line), cut);
    else
        doctor_say(doctor, DOCTOR_OK, "channel", NULL, "\"%s\": %s%s", channel->name,
                   buf_text(&line), cut);
}

/* An upstream that is reached over TLS, and is not near, has the internet between itself and us. */
static void look_at_callbacks(struct doctor *doctor, const struct channel *channel)
{
    const char *base = channel->callback_base;
    const char *host = base != NULL ? host_of(channel->base_url, "https://") : NULL;
    if (host == NULL || is_nearby(host))
        return;
    const char *open = host_of(base, "http://");
    const char *own = open != NULL ? open : host_of(base, "https://");
    if (own != NULL && is_nearby(own))
        doctor_say(doctor, DOCTOR_WARNING, "channel",
                   "set public_url to one that it reaches, or leave callback out: polls do without",
                   "\"%s\": an upstream on the internet cannot call back to %s", channel->name,
                   base);
    else if (open != NULL)
        doctor_say(doctor, DOCTOR_WARNING, "channel",
                   "put TLS in front of filmgate, and https:// into public_url",
                   "\"%s\": callbacks to %s come in the clear, and some upstreams send none there",
                   channel->name, base);
}

/* Its group may read it: that is how a service gets what an administrator owns. */
static void look_at_key_files(struct doctor *doctor, const struct settings_channel *channel)
{
    struct stat status;
    for (size_t i = 0; i < channel->n_credentials; i++) {
        const char *file = channel->credentials[i].file;
        if (file == NULL || stat(file, &status) != 0 || (status.st_mode & S_IRWXO) == 0)
            continue;
        doctor_say(doctor, DOCTOR_WARNING, "channel", "chmod it to 0600, or 0640 for its group",
                   "\"%s\": the key file \"%s\" is open to other users (mode %04o)", channel->name,
                   file, (unsigned)status.st_mode & 07777u);
    }
}

/* True when the channel could be used. */
static bool look_at_channel(struct doctor *doctor, const struct adapter_set *adapters,
                            const struct settings_channel *channel)
{
    char error[SETTINGS_ERROR_SIZE] = "";
    struct settings alone = *doctor->settings;
    alone.channels = channel;
    alone.n_channels = 1;
    struct channel_table *table = channel_table_new(&alone, adapters, error);
    if (table == NULL) {
        doctor_say(doctor, DOCTOR_PROBLEM, "channels", ADVICE, "%s", error);
    } else {
        say_channel(doctor, channel_at(table, 0));
        look_at_callbacks(doctor, channel_at(table, 0));
    }
    look_at_key_files(doctor, channel);
    bool is_good = table != NULL;
    channel_table_free(table);
    return is_good;
}

void doctor_look_at_channels(struct doctor *doctor)
{
    const struct settings *settings = doctor->settings;
    char error[ADAPTER_ERROR_SIZE] = "";
    if (settings->n_channels == 0)
        doctor_say(doctor, DOCTOR_OK, "channels", NULL,
                   "none is configured, so every model goes to the built-in engine");
    struct adapter_set *adapters = adapter_set_new(settings->adapters, error);
    if (adapters == NULL) {
        doctor_say(doctor, DOCTOR_PROBLEM, "adapters", ADVICE, "%s", error);
        return;
    }
    size_t n_good = 0;
    for (size_t i = 0; i < settings->n_channels; i++)
        n_good += look_at_channel(doctor, adapters, &settings->channels[i]);
    if (n_good > 0 && n_good == settings->n_channels)
        doctor_say(doctor, DOCTOR_OK, "channels", NULL, "%zu, the first is \"%s\"", n_good,
                   settings->channels[0].name);
    adapter_set_free(adapters);
}
