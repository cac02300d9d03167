/* SPDX-License-Identifier: Apache-2.0
 *
 * Arenas: pieces, their ceiling, texts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/arena.h"

static void arena_hands_out_aligned_zeroes(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    for (size_t size = 0; size < 3000; size += 7) {
        unsigned char *piece = arena_alloc(arena, size);
        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(piece[i], 0);
        memset(piece, 0xee, size);
    }
    arena = arena_free(arena);
    assert_null(arena);
    assert_null(arena_free(NULL));
}

static void arena_keeps_its_ceiling(void **state)
{
    (void)state;
    struct arena *arena = arena_new(100000);
    assert_non_null(arena_alloc(arena, 90000));
    assert_null(arena_alloc(arena, 20000));
    assert_non_null(arena_alloc(arena, 100)); /* a short excuse still fits */
    assert_null(arena_alloc(arena, SIZE_MAX));
    assert_true(arena_used_bytes(arena) >= 90100 && arena_used_bytes(arena) <= 100000);
    arena_free(arena);
    arena = arena_new(90); /* with its alignment the piece would pass the ceiling */
    assert_null(arena_alloc(arena, 89));
    assert_int_equal(arena_used_bytes(arena), 0);
    arena_free(arena);
    arena = arena_new(SIZE_MAX);
    assert_null(arena_alloc(arena, SIZE_MAX - 3));
    arena_free(arena);
}

static void arena_copies_text(void **state)
{
    (void)state;
    struct arena *arena = arena_new(4096);
    assert_string_equal(arena_strdup(arena, "whole"), "whole");
    assert_string_equal(arena_strndup(arena, "partly", 4), "part");
    assert_string_equal(arena_strndup(arena, "ab", 100), "ab");
    assert_string_equal(arena_printf(arena, "%s=%05d", "n", 42), "n=00042");
    assert_null(arena_printf(arena, "%5000d", 1));
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_hands_out_aligned_zeroes),
        cmocka_unit_test(arena_keeps_its_ceiling),
        cmocka_unit_test(arena_copies_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
