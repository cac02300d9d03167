/* SPDX-License-Identifier: Apache-2.0
 *
 * `filmgate doctor`: looks whether a gateway can run here, and says what to do where it cannot. It
 * changes nothing, so it may look beside a running server. Private to the doctor's files below the
 * first line: each looks at one side of the machine, and says what it found. */
#pragma once

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/settings.h"

/* The command; returns an exit status. */
int doctor_main(int argc, char **argv);

enum doctor_verdict { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_PROBLEM, DOCTOR_VERDICTS };

struct doctor {
    const struct settings *settings;
    char data[PATH_MAX]; /* the data directory, from the root */
    bool is_served;      /* a server holds the data directory */
    bool json;           /* checks are gathered, else printed at once */
    bool has_colours;    /* standard output is a terminal that wants them */
    int64_t began_wall_ms, began_mono_ms;
    int counts[DOCTOR_VERDICTS];
    json_t *checks;
};

/* One finding. `advice` (NULL or empty: none) says what to do about it. */
void doctor_say(struct doctor *doctor, enum doctor_verdict verdict, const char *check,
                const char *advice, const char *format, ...) PRINTF_LIKE(5, 6);

/* doctor_channels.c: the adapters, and each channel by itself. */
void doctor_look_at_channels(struct doctor *doctor);
/* doctor_data.c: the directory, its disk, the database, the link key, times of files. */
void doctor_look_at_data(struct doctor *doctor);
/* doctor_media.c: fonts, codecs, a film made and decoded by real helpers. */
void doctor_look_at_media(struct doctor *doctor);
/* doctor_machine.c: cores, memory, open files, the clocks, and then the address. */
void doctor_look_at_machine(struct doctor *doctor);
void doctor_look_at_address(struct doctor *doctor);
