/* SPDX-License-Identifier: Apache-2.0
 *
 * The doctor's look at the machine, against what the configuration asks of it. One thread. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/doctor.h"
#include "cli/local.h"
#include "net/address.h"

enum {
    ANSWER_MS = 3000, /* for whoever holds the address */
    JUMP_MS = 1000,   /* that the clocks may differ by, over one run */
    URL_SIZE = ADDRESS_HOST_SIZE + 32,
};

/* Before this program was written, and long after it can be of use. */
static const int64_t EARLIEST_MS = INT64_C(1735689600000); /* 2025 */
static const int64_t LATEST_MS = INT64_C(4102444800000);   /* 2100 */

/* ---- cores and memory ---- */

static int64_t count_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? cores : 1;
}

static int64_t count_slots(const struct settings *settings)
{
    return settings->render_slots > 0 ? settings->render_slots : count_cores();
}

static void look_at_cores(struct doctor *doctor)
{
    int64_t slots = count_slots(doctor->settings);
    int64_t cores = count_cores();
    if (slots > cores)
        doctor_say(doctor, DOCTOR_WARNING, "cores", "lower render.slots: each rendering fills one",
                   "%" PRId64 " renderings at once on %" PRId64, slots, cores);
    else
        doctor_say(doctor, DOCTOR_OK, "cores", NULL, "%" PRId64 ", for %" PRId64 " at once", cores,
                   slots);
}

/* A control group's limit, INT64_MAX without one. */
static int64_t read_limit(const char *path)
{
    char text[64] = "";
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return INT64_MAX;
    bool is_read = fgets(text, sizeof(text), file) != NULL;
    fclose(file);
    char *end = text;
    errno = 0;
    long long limit = strtoll(text, &end, 10);
    return is_read && end != text && errno == 0 && limit > 0 ? limit : INT64_MAX;
}

/* Of the machine or of the container that we run in. */
static int64_t count_memory(void)
{
    static const char *const files[] = {"/sys/fs/cgroup/memory.max",
                                        "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        int64_t limit = read_limit(files[i]);
        memory = limit < memory ? limit : memory;
    }
    return memory;
}

static void look_at_memory(struct doctor *doctor)
{
    const struct settings *settings = doctor->settings;
    int64_t memory = count_memory();
    int64_t helpers = count_slots(settings) * settings->render_memory;
    if (helpers > memory)
        doctor_say(doctor, DOCTOR_WARNING, "memory", "lower render.slots or render.memory",
                   "renderings may take %" PRId64 " MiB together, of %" PRId64 " MiB",
                   helpers >> 20, memory >> 20);
    else if (helpers + settings->body_memory > memory)
        doctor_say(doctor, DOCTOR_WARNING, "memory", "lower limits.body_memory",
                   "renderings and request bodies may take %" PRId64 " MiB, of %" PRId64 " MiB",
                   (helpers + settings->body_memory) >> 20, memory >> 20);
    else
        doctor_say(doctor, DOCTOR_OK, "memory", NULL,
                   "%" PRId64 " MiB, of which renderings may take %" PRId64 " MiB", memory >> 20,
                   helpers >> 20);
}

static void look_at_descriptors(struct doctor *doctor)
{
    struct rlimit limit;
    unsigned long long wanted = (unsigned long long)local_descriptors_wanted(doctor->settings);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_max < wanted)
        doctor_say(doctor, DOCTOR_WARNING, "open files",
                   "raise the hard limit (ulimit -Hn, LimitNOFILE=), or lower http.connections",
                   "%llu are allowed, %llu wanted for %" PRId64 " connections",
                   (unsigned long long)limit.rlim_max, wanted, doctor->settings->http_connections);
    else
        doctor_say(doctor, DOCTOR_OK, "open files", NULL, "as many as %" PRId64 " connections need",
                   doctor->settings->http_connections);
}

/* ---- clocks ---- */

static void look_at_clocks(struct doctor *doctor)
{
    char now[CLOCK_ISO_SECONDS_SIZE];
    int64_t wall_ms = clock_wall_ms();
    int64_t jump_ms = wall_ms - doctor->began_wall_ms - (clock_mono_ms() - doctor->began_mono_ms);
    clock_iso_seconds(wall_ms / 1000, now);
    if (wall_ms < EARLIEST_MS || wall_ms > LATEST_MS)
        doctor_say(doctor, DOCTOR_PROBLEM, "clock", "set it (NTP): links and tasks go by it",
                   "it is not %s", now);
    else if (jump_ms > JUMP_MS || jump_ms < -JUMP_MS)
        doctor_say(doctor, DOCTOR_WARNING, "clock", "see to what sets it (NTP, the host)",
                   "it jumped by %" PRId64 " ms while we looked", jump_ms);
    else
        doctor_say(doctor, DOCTOR_OK, "clock", NULL, "%s, running evenly", now);
}

void doctor_look_at_machine(struct doctor *doctor)
{
    look_at_cores(doctor);
    look_at_memory(doctor);
    look_at_descriptors(doctor);
    look_at_clocks(doctor);
}

/* ---- the address ---- */

/* How to call whoever listens there: a wildcard is no address to call. */
static bool write_url(const char *listen, char ret_url[URL_SIZE])
{
    char host[ADDRESS_HOST_SIZE];
    char port[ADDRESS_PORT_SIZE];
    if (!address_split(listen, host, port))
        return false;
    const char *called = strcmp(host, "0.0.0.0") == 0 ? "127.0.0.1"
                         : strcmp(host, "::") == 0    ? "::1"
                                                      : host;
    bool is_v6 = strchr(called, ':') != NULL;
    snprintf(ret_url, URL_SIZE, "http://%s%s%s:%s", is_v6 ? "[" : "", called, is_v6 ? "]" : "",
             port);
    return true;
}

/* The version of the filmgate that answers there; false when something else does. No key is shown
 * to whoever it is. */
static bool ask_version(const char *url, char ret_version[32])
{
    char error[CLIENT_SENTENCE_SIZE];
    struct client *client = client_new(url, "", error);
    if (client == NULL)
        return false;
    client_hurry(client, ANSWER_MS);
    const struct client_call call = {.path = "/openapi.json"};
    CLEANUP(client_answer_fini) struct client_answer answer;
    enum client_outcome outcome = client_call(client, &call, &answer);
    const json_t *info = json_object_get(answer.json, "info");
    const char *title = json_text(info, "title");
    const char *version = json_text(info, "version");
    bool is_ours = outcome == CLIENT_OK && title != NULL && strcmp(title, "filmgate") == 0;
    snprintf(ret_version, 32, "%.31s", version != NULL ? version : "");
    client_free(client);
    return is_ours;
}

static void say_taken(struct doctor *doctor)
{
    char url[URL_SIZE] = "";
    char version[32];
    const char *listen = doctor->settings->listen;
    if (!write_url(listen, url) || !ask_version(url, version))
        doctor_say(doctor, DOCTOR_PROBLEM, "address",
                   "stop it, or let the gateway listen elsewhere (listen)",
                   "%s is held by another program, no filmgate", listen);
    else if (doctor->is_served)
        doctor_say(doctor, DOCTOR_OK, "address", NULL, "%s is held by a running filmgate %s",
                   listen, version);
    else
        doctor_say(doctor, DOCTOR_WARNING, "address",
                   "it serves other data: a second gateway needs another address (listen)",
                   "%s is held by a running filmgate %s", listen, version);
}

void doctor_look_at_address(struct doctor *doctor)
{
    int fd = -1;
    char error[ADDRESS_ERROR_SIZE] = "";
    const char *listen = doctor->settings->listen;
    int fault = address_bind(listen, &fd, error);
    close_fd(&fd);
    if (fault == 0)
        doctor_say(doctor, DOCTOR_OK, "address", NULL, "%s is free", listen);
    else if (fault == -EADDRINUSE)
        say_taken(doctor);
    else
        doctor_say(doctor, DOCTOR_PROBLEM, "address",
                   fault == -EACCES ? "take a port from 1024, or grant CAP_NET_BIND_SERVICE"
                                    : "choose an address that this machine has",
                   "%s", error);
}
