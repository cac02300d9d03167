/* SPDX-License-Identifier: Apache-2.0
 *
 * Tickets: what they say comes back, once, for a minute, and only from the office that wrote them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/ticket.h"
#include "base/id.h"
#include "base/must.h"

enum { NOW_MS = 1000000 };

static const uint8_t secret[32] = {1, 2, 3};

static struct ticket a_ticket(size_t n_ids)
{
    struct ticket ticket = {.until_ms = NOW_MS + TICKET_VALID_MS, .n_ids = n_ids};
    memset(ticket.key, 0x5a, sizeof ticket.key);
    for (size_t i = 0; i < n_ids; i++)
        id_new("task", ticket.ids[i], sizeof ticket.ids[i]);
    return ticket;
}

static void what_it_says_comes_back(void **state)
{
    (void)state;
    struct ticket_office *office = ticket_office_new(secret);
    static const size_t counts[] = {0, 1, TASK_IDS_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        struct ticket ticket = a_ticket(counts[i]), read;
        char text[TICKET_TEXT_SIZE];
        ticket_write(office, &ticket, text);
        assert_true(ticket_use(office, text, NOW_MS, &read));
        assert_memory_equal(read.key, ticket.key, sizeof read.key);
        assert_int_equal(read.until_ms, ticket.until_ms);
        assert_int_equal(read.n_ids, ticket.n_ids);
        for (size_t j = 0; j < read.n_ids; j++)
            assert_string_equal(read.ids[j], ticket.ids[j]);
    }
    ticket_office_free(office);
}

static void it_is_used_once_and_in_time(void **state)
{
    (void)state;
    struct ticket_office *office = ticket_office_new(secret);
    struct ticket ticket = a_ticket(1), read;
    char text[TICKET_TEXT_SIZE], other[TICKET_TEXT_SIZE];
    ticket_write(office, &ticket, text);
    ticket_write(office, &ticket, other);
    assert_string_not_equal(text, other);
    assert_false(ticket_use(office, text, ticket.until_ms, &read)); /* late */
    assert_true(ticket_use(office, text, ticket.until_ms - 1, &read));
    assert_false(ticket_use(office, text, ticket.until_ms - 1, &read));
    assert_true(ticket_use(office, other, NOW_MS, &read));
    assert_false(ticket_use(office, other, NOW_MS, &read));
    ticket_office_free(office);
}

static void another_start_knows_it_not(void **state)
{
    (void)state;
    struct ticket_office *office = ticket_office_new(secret), *next = ticket_office_new(secret);
    struct ticket ticket = a_ticket(0), read;
    char text[TICKET_TEXT_SIZE];
    ticket_write(office, &ticket, text);
    assert_false(ticket_use(next, text, NOW_MS, &read));
    ticket_office_free(next);
    ticket_office_free(office);
}

static void a_changed_letter_is_noticed(void **state)
{
    (void)state;
    struct ticket_office *office = ticket_office_new(secret);
    struct ticket ticket = a_ticket(2), read;
    char text[TICKET_TEXT_SIZE];
    ticket_write(office, &ticket, text);
    size_t length = strlen(text);
    for (size_t i = 0; i + 1 < length; i++) { /* the last one may hold bits that say nothing */
        char kept = text[i];
        text[i] = kept == 'A' ? 'B' : 'A';
        assert_false(ticket_use(office, text, NOW_MS, &read));
        text[i] = '\0';
        assert_false(ticket_use(office, text, NOW_MS, &read));
        text[i] = kept;
    }
    char longer[2 * TICKET_TEXT_SIZE];
    memset(longer, 'A', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_false(ticket_use(office, longer, NOW_MS, &read));
    longer[TICKET_TEXT_SIZE - 1] = '\0';
    assert_false(ticket_use(office, longer, NOW_MS, &read));
    assert_true(ticket_use(office, text, NOW_MS, &read));
    ticket_office_free(office);
}

/* Rather than forget that one was used, it refuses others; when they have expired there is room again. */
static void a_full_office_refuses(void **state)
{
    (void)state;
    struct ticket_office *office = ticket_office_new(secret);
    struct ticket ticket = a_ticket(0), read;
    char first[TICKET_TEXT_SIZE], text[TICKET_TEXT_SIZE];
    size_t n_taken = 1;
    ticket_write(office, &ticket, first);
    assert_true(ticket_use(office, first, NOW_MS, &read));
    for (size_t i = 0; i < 2 * TICKET_USED_MAX; i++) {
        memcpy(ticket.key, &i, sizeof i); /* each by another key */
        ticket_write(office, &ticket, text);
        n_taken += ticket_use(office, text, NOW_MS, &read);
    }
    assert_true(n_taken <= TICKET_USED_MAX && n_taken > TICKET_USED_MAX / 2);
    assert_false(ticket_use(office, first, NOW_MS, &read));
    ticket.until_ms += TICKET_VALID_MS;
    ticket_write(office, &ticket, text);
    assert_true(ticket_use(office, text, NOW_MS + TICKET_VALID_MS, &read));
    ticket_office_free(office);
}

static void one_key_leaves_room_for_others(void **state)
{
    (void)state;
    struct ticket_office *office = ticket_office_new(secret);
    struct ticket ticket = a_ticket(0), read;
    char text[TICKET_TEXT_SIZE];
    size_t n_taken = 0;
    for (size_t i = 0; i < 2 * TICKET_USED_OF_KEY; i++) {
        ticket_write(office, &ticket, text);
        n_taken += ticket_use(office, text, NOW_MS, &read);
    }
    assert_int_equal(n_taken, TICKET_USED_OF_KEY);
    ticket.key[0]++;
    ticket_write(office, &ticket, text);
    assert_true(ticket_use(office, text, NOW_MS, &read));
    ticket_office_free(office);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_it_says_comes_back),
        cmocka_unit_test(it_is_used_once_and_in_time),
        cmocka_unit_test(another_start_knows_it_not),
        cmocka_unit_test(a_changed_letter_is_noticed),
        cmocka_unit_test(a_full_office_refuses),
        cmocka_unit_test(one_key_leaves_room_for_others),
    };
    return cmocka_run_group_tests_name("api_ticket", cases, NULL, NULL);
}
