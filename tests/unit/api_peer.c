/* SPDX-License-Identifier: Apache-2.0
 *
 * api/peer.h: who counts as one address, and that nothing is left of those who went. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "api/peer.h"

enum { MOST = 2 };

struct world {
    struct origin_proxies *proxies;
    struct peer_table *table;
};

static void open_world(struct world *world)
{
    static const char *const items[] = {"192.0.2.1", "2001:db8:ffff::/48"};
    struct settings_list list = {items, 2};
    char error[ORIGIN_ERROR_SIZE];
    world->proxies = origin_proxies_new(&list, error);
    assert_non_null(world->proxies);
    world->table = peer_table_new(MOST, world->proxies);
}

/* The table's own check: it is empty. */
static void close_world(struct world *world)
{
    world->table = peer_table_free(world->table);
    world->proxies = origin_proxies_free(world->proxies);
}

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1) {
        memcpy(&address, &ipv4, sizeof(ipv4));
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &ipv6.sin6_addr), 1);
        memcpy(&address, &ipv6, sizeof(ipv6));
    }
    return address;
}

static bool has_room(struct world *world, const char *text)
{
    struct sockaddr_storage address = address_of(text);
    return peer_has_room(world->table, (const struct sockaddr *)&address);
}

static struct peer *enter(struct world *world, const char *text, bool wanted)
{
    struct sockaddr_storage address = address_of(text);
    struct peer *peer = NULL;
    assert_int_equal(peer_enter(world->table, (const struct sockaddr *)&address, &peer), wanted);
    return peer;
}

static void an_address_is_full_at_its_limit(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    struct peer *first = enter(&world, "198.51.100.1", true);
    assert_true(has_room(&world, "198.51.100.1"));
    struct peer *second = enter(&world, "198.51.100.1", true);
    assert_ptr_equal(first, second);
    assert_false(has_room(&world, "198.51.100.1"));
    assert_true(has_room(&world, "198.51.100.2"));
    struct peer *third = enter(&world, "198.51.100.1", false); /* two at the same moment */
    peer_leave(world.table, third);
    peer_leave(world.table, second);
    assert_true(has_room(&world, "198.51.100.1"));
    peer_leave(world.table, first);
    close_world(&world);
}

static void one_network_of_ipv6_is_one_address(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    struct peer *first = enter(&world, "2001:db8:1:2::1", true);
    struct peer *second = enter(&world, "2001:db8:1:2:ffff:ffff:ffff:ffff", true);
    assert_ptr_equal(first, second);
    assert_false(has_room(&world, "2001:db8:1:2:3::"));
    assert_true(has_room(&world, "2001:db8:1:3::1"));
    peer_leave(world.table, first);
    peer_leave(world.table, second);
    close_world(&world);
}

static void ipv4_in_ipv6_is_ipv4(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    struct peer *first = enter(&world, "198.51.100.1", true);
    struct peer *second = enter(&world, "::ffff:198.51.100.1", true);
    assert_ptr_equal(first, second);
    assert_false(has_room(&world, "::ffff:198.51.100.1"));
    assert_true(has_room(&world, "::ffff:198.51.100.2"));
    peer_leave(world.table, first);
    peer_leave(world.table, second);
    close_world(&world);
}

static void proxies_do_not_count(void **state)
{
    (void)state;
    struct world world;
    open_world(&world);
    for (int i = 0; i < 3 * MOST; i++) {
        assert_null(enter(&world, "192.0.2.1", true));
        assert_null(enter(&world, "::ffff:192.0.2.1", true));
        assert_null(enter(&world, "2001:db8:ffff::1", true));
    }
    peer_leave(world.table, NULL);
    struct sockaddr unknown = {.sa_family = AF_UNIX};
    struct peer *peer = NULL;
    assert_true(peer_enter(world.table, &unknown, &peer) && peer == NULL);
    assert_true(peer_has_room(world.table, NULL));
    close_world(&world);
}

static void many_come_and_go(void **state)
{
    (void)state;
    enum { ADDRESSES = 5000 };
    static struct peer *peers[2 * ADDRESSES];
    struct world world;
    open_world(&world);
    char text[32];
    for (int i = 0; i < 2 * ADDRESSES; i++) {
        snprintf(text, sizeof(text), "10.0.%d.%d", i % ADDRESSES / 256, i % ADDRESSES % 256);
        peers[i] = enter(&world, text, true);
    }
    assert_false(has_room(&world, "10.0.7.7"));
    for (int i = 0; i < 2 * ADDRESSES; i++)
        peer_leave(world.table, peers[i]);
    assert_true(has_room(&world, "10.0.7.7"));
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_full_at_its_limit),
        cmocka_unit_test(one_network_of_ipv6_is_one_address),
        cmocka_unit_test(ipv4_in_ipv6_is_ipv4),
        cmocka_unit_test(proxies_do_not_count),
        cmocka_unit_test(many_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
