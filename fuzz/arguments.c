/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments of addresses that have a form of ours: times, states, tickets. A time lies within its years, and is the same
 * however often it is read; states are some; a ticket that nobody wrote here opens nothing; one that was written
 * opens once, also where another letter stands for the same bits, and never for more than it says. The input is a byte that says which, then the text; for a ticket: where and how it is changed. */
#include "harness.h"

#include <stdio.h>

#include "api/filter.h"
#include "api/ticket.h"
#include "base/moment.h"
#include "task/state.h"

enum { TEXT_MAX = 4096 };

static const int64_t YEAR_10000_MICROS = INT64_C(253402300800) * 1000000;
static const int64_t ZONE_MICROS = INT64_C(24) * 3600 * 1000000;
static const uint8_t SECRET[32] = {0x5a, 0x17, 0xc3};

static void check_moment(const char *text)
{
    int64_t micros = -1, again = -1;
    if (!moment_parse(text, &micros))
        return;
    must(micros >= -ZONE_MICROS && micros < YEAR_10000_MICROS + ZONE_MICROS);
    must(moment_parse(text, &again) && again == micros);
}

static void check_states(const char *text)
{
    unsigned states = 0;
    if (filter_parse_states(text, &states))
        must(states != 0 && states < 1u << TASK_STATE_COUNT);
    else
        must(states == 0);
}

/* Each run is later than all before it, so that what they used up is forgotten. */
static void check_ticket(struct ticket_office *office, struct harness_input *input, int64_t now_ms)
{
    struct ticket ticket = {.key = {1, 2, 3}, .until_ms = now_ms + TICKET_VALID_MS}, found = {0},
                  again = {0};
    char text[TICKET_TEXT_SIZE];
    size_t place = harness_byte(input);
    uint8_t change = harness_byte(input);
    CLEANUP(free_pointer) char *forged = must_strndup(input->at, input->left);
    must(!ticket_use(office, forged, now_ms, &found));
    ticket.n_ids = place % 2;
    (void)snprintf(ticket.ids[0], sizeof ticket.ids[0], "task_01k6x15vhrff09dkkqjrzwhm60");
    ticket_write(office, &ticket, text);
    place %= strlen(text);
    text[place] = (char)(text[place] ^ change);
    bool was_used = ticket_use(office, text, now_ms, &found);
    text[place] = (char)(text[place] ^ change);
    must(!ticket_use(office, text, now_ms + TICKET_VALID_MS, &found));
    must(ticket_use(office, text, now_ms, &again) == !was_used);
    if (!was_used)
        found = again;
    must(memcmp(found.key, ticket.key, sizeof found.key) == 0 && found.n_ids == ticket.n_ids);
    must(found.n_ids == 0 || strcmp(found.ids[0], ticket.ids[0]) == 0);
    must(!ticket_use(office, text, now_ms, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ticket_office *office;
    static int64_t now_ms = INT64_C(1790000000000);
    struct harness_input input = {(const char *)data, size};
    if (size < 1 || size > TEXT_MAX)
        return 0;
    uint8_t kind = harness_byte(&input);
    if (kind == 't') {
        if (office == NULL)
            office = ticket_office_new(SECRET);
        check_ticket(office, &input, now_ms);
        now_ms += 2 * TICKET_VALID_MS;
        return 0;
    }
    CLEANUP(free_pointer) char *text = must_strndup(input.at, input.left);
    if (kind == 'm')
        check_moment(text);
    else
        check_states(text);
    return 0;
}
