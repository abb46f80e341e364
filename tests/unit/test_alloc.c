/* SPDX-License-Identifier: MIT */
/* test_alloc.c - allocation through the owner's hooks (src/base/alloc.c), and the failing allocator
 * of the tests. */
#include "fail_alloc.h"

#include "base/alloc.h"

static void memory_comes_from_and_goes_back_to_the_hooks(void **state)
{
    (void)state;
    fail_alloc f;
    fail_alloc_init(&f, 0, 0);
    aim_alloc a;
    assert_int_equal(aim_alloc_from(&f.hooks, &a), AIMNET_OK);
    double *x;
    assert_int_equal(aim_new(&a, 10, sizeof *x, "x", &x), AIMNET_OK);
    assert_int_equal(f.live, 1);
    assert_int_equal(f.live_bytes, 80);
    aim_free(&a, x);
    aim_free(&a, NULL);
    fail_alloc_assert_clean(&f);
}

static void half_an_allocator_is_refused(void **state)
{
    (void)state;
    aim_alloc a;
    aimnet_allocator half = aim_alloc_default();
    half.free = NULL;
    assert_int_equal(aim_alloc_from(&half, &a), AIMNET_ERR_ARG);
    half = aim_alloc_default();
    half.alloc = NULL;
    assert_int_equal(aim_alloc_from(&half, &a), AIMNET_ERR_ARG);
    assert_int_equal(aim_alloc_from(NULL, &a), AIMNET_OK);
    assert_non_null(a.alloc);
}

static void sizes_that_overflow_are_refused_before_the_hooks_are_called(void **state)
{
    (void)state;
    fail_alloc f;
    fail_alloc_init(&f, 0, 0);
    char *x = (char *)(uintptr_t)1;
    assert_int_equal(aim_new(&f.hooks, SIZE_MAX / 2, 4, "x", &x), AIMNET_ERR_MEMORY);
    assert_null(x);
    assert_int_equal(aim_new(&f.hooks, SIZE_MAX, 1, "x", &x), AIMNET_ERR_MEMORY);
    assert_int_equal(aim_new0(&f.hooks, 3, SIZE_MAX / 2, "x", &x), AIMNET_ERR_MEMORY);
    assert_int_equal(f.calls, 0);
}

static void nothing_is_a_valid_block(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    char *x = NULL;
    assert_int_equal(aim_new0(&a, 0, 8, "nothing", &x), AIMNET_OK);
    assert_non_null(x);
    aim_free(&a, x);
}

static void cleared_memory_is_zero(void **state)
{
    (void)state;
    fail_alloc f;
    fail_alloc_init(&f, 0, 0);
    unsigned char *x;
    assert_int_equal(aim_new0(&f.hooks, 1000, 1, "x", &x), AIMNET_OK);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(x[i], 0);
    aim_free(&f.hooks, x);
}

static void growing_keeps_the_elements_and_failing_keeps_the_block(void **state)
{
    (void)state;
    fail_alloc f;
    fail_alloc_init(&f, 3, 0);
    int *x = NULL;
    assert_int_equal(aim_grow(&f.hooks, 0, 4, sizeof *x, "x", &x), AIMNET_OK);
    for (int i = 0; i < 4; i++)
        x[i] = i * i;
    assert_int_equal(aim_grow(&f.hooks, 4, 9, sizeof *x, "x", &x), AIMNET_OK);
    int *const before = x;
    assert_int_equal(aim_grow(&f.hooks, 9, 90, sizeof *x, "x", &x), AIMNET_ERR_MEMORY);
    assert_ptr_equal(x, before);
    for (int i = 0; i < 4; i++)
        assert_int_equal(x[i], i * i);
    assert_int_equal(aim_grow(&f.hooks, 9, 2, sizeof *x, "x", &x), AIMNET_OK);
    assert_int_equal(x[1], 1);
    aim_free(&f.hooks, x);
    fail_alloc_assert_clean(&f);
}

static void a_refused_block_is_named(void **state)
{
    (void)state;
    fail_alloc f;
    fail_alloc_init(&f, 1, 1);
    char *copy;
    assert_int_equal(aim_new(&f.hooks, 7, 3, "the weights", &copy), AIMNET_ERR_MEMORY);
    assert_non_null(strstr(aimnet_last_error(), "21 bytes for the weights"));
    assert_int_equal(aim_strdup(&f.hooks, "text", &copy), AIMNET_ERR_MEMORY);
    assert_null(copy);
}

static aimnet_status two_strings(const aimnet_allocator *hooks, void *ctx)
{
    (void)ctx;
    char *one = NULL, *two = NULL;
    aim_status status = aim_strdup(hooks, "one", &one);
    if (status == AIMNET_OK)
        status = aim_strdup(hooks, "", &two);
    if (status == AIMNET_OK) {
        assert_string_equal(one, "one");
        assert_string_equal(two, "");
    }
    aim_free(hooks, one);
    aim_free(hooks, two);
    return status;
}

static void a_sweep_fails_every_allocation_in_turn(void **state)
{
    (void)state;
    assert_int_equal(fail_alloc_sweep(two_strings, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_comes_from_and_goes_back_to_the_hooks),
        cmocka_unit_test(half_an_allocator_is_refused),
        cmocka_unit_test(sizes_that_overflow_are_refused_before_the_hooks_are_called),
        cmocka_unit_test(nothing_is_a_valid_block),
        cmocka_unit_test(cleared_memory_is_zero),
        cmocka_unit_test(growing_keeps_the_elements_and_failing_keeps_the_block),
        cmocka_unit_test(a_refused_block_is_named),
        cmocka_unit_test(a_sweep_fails_every_allocation_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
