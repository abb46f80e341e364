/* SPDX-License-Identifier: MIT */
/* test_arena.c - measure, then place (src/base/arena.c). */
#include "fail_alloc.h"

#include "base/arena.h"

#if defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#ifdef ASAN
#include <sanitizer/asan_interface.h>
#endif

typedef struct slots {
    double *x;
    char *y;
    float *z;
} slots;

static void layout(slots *s, aim_arena *a, size_t n)
{
    s->x = aim_take(a, "x", n, sizeof *s->x);
    s->y = aim_take(a, "y", 3, sizeof *s->y);
    s->z = aim_take(a, "z", 2 * n, sizeof *s->z);
}

static void measuring_gives_the_size_that_placing_needs(void **state)
{
    (void)state;
    const aim_alloc alloc = aim_alloc_default();
    for (size_t n = 0; n < 40; n++) {
        aim_arena measure = {0}, arena = {0};
        slots s;
        layout(&s, &measure, n);
        assert_null(s.x);
        assert_int_equal(measure.overflow, 0);
        assert_int_equal(aim_arena_reserve(&arena, &alloc, measure.used, "test"), AIMNET_OK);
        layout(&s, &arena, n);
        assert_int_equal(arena.overflow, 0);
        assert_int_equal(arena.used, measure.used);
        assert_non_null(s.z);
        memset(s.x, 1, n * sizeof *s.x);
        memset(s.y, 2, 3);
        memset(s.z, 3, 2 * n * sizeof *s.z);
        assert_int_equal(s.y[2], 2);
        aim_arena_free(&arena, &alloc);
    }
}

static void slots_are_aligned_and_do_not_overlap(void **state)
{
    (void)state;
    const aim_alloc alloc = aim_alloc_default();
    aim_arena arena = {0};
    assert_int_equal(aim_arena_reserve(&arena, &alloc, 100000, "test"), AIMNET_OK);
    uintptr_t end = 0;
    for (size_t bytes = 1; bytes < 200; bytes += 7) {
        char *p = aim_take(&arena, "p", bytes, 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_true((uintptr_t)p >= end);
        memset(p, 0, bytes);
        end = (uintptr_t)p + bytes;
    }
    aim_arena_free(&arena, &alloc);
}

static void a_reserve_that_fits_allocates_nothing(void **state)
{
    (void)state;
    fail_alloc f;
    fail_alloc_init(&f, 0, 0);
    aim_arena arena = {0};
    assert_int_equal(aim_arena_reserve(&arena, &f.hooks, 1000, "test"), AIMNET_OK);
    assert_int_equal(f.calls, 1);
    assert_int_equal(aim_arena_reserve(&arena, &f.hooks, 900, "test"), AIMNET_OK);
    assert_int_equal(aim_arena_reserve(&arena, &f.hooks, 0, "test"), AIMNET_OK);
    assert_int_equal(f.calls, 1);
    assert_int_equal(aim_arena_reserve(&arena, &f.hooks, 5000, "test"), AIMNET_OK);
    assert_int_equal(f.calls, 2);
    assert_int_equal(f.live, 1);
    aim_arena_free(&arena, &f.hooks);
    aim_arena_free(&arena, &f.hooks);
    fail_alloc_assert_clean(&f);
}

static void taking_too_much_is_an_overflow_and_gives_null(void **state)
{
    (void)state;
    const aim_alloc alloc = aim_alloc_default();
    aim_arena arena = {0};
    assert_int_equal(aim_arena_reserve(&arena, &alloc, 256, "test"), AIMNET_OK);
    assert_null(aim_take(&arena, "x", 300, 1));
    assert_int_equal(arena.overflow, 1);
    assert_null(aim_take(&arena, "x", 1, 1));
    aim_arena_reset(&arena);
    assert_non_null(aim_take(&arena, "x", 64, 1));
    aim_arena_free(&arena, &alloc);
}

static void a_cleared_slot_is_zero(void **state)
{
    (void)state;
    fail_alloc f;
    fail_alloc_init(&f, 0, 0);
    aim_arena arena = {0};
    assert_int_equal(aim_arena_reserve(&arena, &f.hooks, 1000, "test"), AIMNET_OK);
    const unsigned char *x = aim_take0(&arena, "x", 100, 2);
    for (int i = 0; i < 200; i++)
        assert_int_equal(x[i], 0);
    aim_arena_free(&arena, &f.hooks);
    aim_arena measure = {0};
    assert_null(aim_take0(&measure, "x", 100, 2));
    fail_alloc_assert_clean(&f);
}

static void impossible_sizes_overflow_while_measuring(void **state)
{
    (void)state;
    aim_arena measure = {0};
    assert_null(aim_take(&measure, "x", SIZE_MAX / 4, 8));
    assert_int_equal(measure.overflow, 1);
    aim_arena sum = {0};
    aim_take(&sum, "x", PTRDIFF_MAX / 2, 1);
    assert_int_equal(sum.overflow, 0);
    aim_take(&sum, "y", PTRDIFF_MAX / 2, 1);
    aim_take(&sum, "z", PTRDIFF_MAX / 2, 1);
    assert_int_equal(sum.overflow, 1);
    const aim_alloc alloc = aim_alloc_default();
    aim_arena arena = {0};
    assert_int_equal(aim_arena_reserve(&arena, &alloc, SIZE_MAX - 3, "test"), AIMNET_ERR_MEMORY);
    aim_arena_free(&arena, &alloc);
}

static void a_refused_block_leaves_an_empty_arena(void **state)
{
    (void)state;
    fail_alloc f;
    fail_alloc_init(&f, 2, 0);
    aim_arena arena = {0};
    assert_int_equal(aim_arena_reserve(&arena, &f.hooks, 100, "test"), AIMNET_OK);
    assert_int_equal(aim_arena_reserve(&arena, &f.hooks, 10000, "the workspace"),
                     AIMNET_ERR_MEMORY);
    assert_non_null(strstr(aimnet_last_error(), "the workspace"));
    assert_null(arena.base);
    assert_int_equal(arena.capacity, 0);
    fail_alloc_assert_clean(&f);
}

static void memory_outside_the_slots_is_poisoned_in_sanitizer_builds(void **state)
{
    (void)state;
#ifdef ASAN
    const aim_alloc alloc = aim_alloc_default();
    aim_arena arena = {0};
    assert_int_equal(aim_arena_reserve(&arena, &alloc, 4096, "test"), AIMNET_OK);
    char *x = aim_take(&arena, "x", 61, 1);
    char *y = aim_take(&arena, "y", 64, 1);
    assert_true(y - x >= 128);
    assert_int_equal(__asan_address_is_poisoned(x + 60), 0);
    assert_int_equal(__asan_address_is_poisoned(x + 61), 1);
    assert_int_equal(__asan_address_is_poisoned(x - 1), 1);
    assert_int_equal(__asan_address_is_poisoned(y + 64), 1);
    aim_arena_reset(&arena);
    assert_int_equal(__asan_address_is_poisoned(x), 1);
    aim_arena_free(&arena, &alloc);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measuring_gives_the_size_that_placing_needs),
        cmocka_unit_test(slots_are_aligned_and_do_not_overlap),
        cmocka_unit_test(a_reserve_that_fits_allocates_nothing),
        cmocka_unit_test(taking_too_much_is_an_overflow_and_gives_null),
        cmocka_unit_test(a_cleared_slot_is_zero),
        cmocka_unit_test(impossible_sizes_overflow_while_measuring),
        cmocka_unit_test(a_refused_block_leaves_an_empty_arena),
        cmocka_unit_test(memory_outside_the_slots_is_poisoned_in_sanitizer_builds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
