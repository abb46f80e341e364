/* SPDX-License-Identifier: MIT */
/* test_status.c - status codes and the per-thread message (src/base/status.c). */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/status.h"

static void a_failure_returns_its_code_and_leaves_its_message(void **state)
{
    (void)state;
    assert_int_equal(AIM_FAIL(AIMNET_ERR_ARG, "cutoff %g must be > %d", -1.5, 0), AIMNET_ERR_ARG);
    assert_string_equal(aimnet_last_error(), "cutoff -1.5 must be > 0");
}

static void a_prefix_goes_in_front_of_the_message(void **state)
{
    (void)state;
    aim_status status = AIM_FAIL(AIMNET_ERR_FORMAT, "no atoms");
    status = aim_fail_prefix(status, "%s:%d", "water.xyz", 7);
    status = aim_fail_prefix(status, "reading");
    assert_int_equal(status, AIMNET_ERR_FORMAT);
    assert_string_equal(aimnet_last_error(), "reading: water.xyz:7: no atoms");
}

static void a_message_may_quote_the_message_before_it(void **state)
{
    (void)state;
    assert_int_equal(AIM_FAIL(AIMNET_ERR_FILE, "inner"), AIMNET_ERR_FILE);
    assert_int_equal(AIM_FAIL(AIMNET_ERR_MODEL, "outer <%s>", aimnet_last_error()),
                     AIMNET_ERR_MODEL);
    assert_string_equal(aimnet_last_error(), "outer <inner>");
}

static void a_long_message_is_cut_after_a_whole_character(void **state)
{
    (void)state;
    char text[4001];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 1 < sizeof text; i += 2)
            memcpy(text + i, "\xc3\xa9", 2); /* e acute */
        text[sizeof text - 1] = '\0';
        assert_int_equal(AIM_FAIL(AIMNET_ERR_FILE, "%s", text), AIMNET_ERR_FILE);
        const char *message = aimnet_last_error();
        const size_t size = strlen(message);
        assert_true(size > 1000 && size < 1024);
        assert_string_equal(message + size - 3, "...");
        assert_int_equal((unsigned char)message[size - 4], 0xa9);
    }
}

static void a_prefix_on_a_full_message_keeps_the_prefix(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(AIM_FAIL(AIMNET_ERR_FILE, "%s", text), AIMNET_ERR_FILE);
    assert_int_equal(aim_fail_prefix(AIMNET_ERR_FILE, "file"), AIMNET_ERR_FILE);
    assert_memory_equal(aimnet_last_error(), "file: aaa", 9);
    assert_string_equal(aimnet_last_error() + strlen(aimnet_last_error()) - 4, "a...");
    assert_int_equal(aim_fail_prefix(AIMNET_ERR_FILE, "%s", text), AIMNET_ERR_FILE);
    assert_string_equal(aimnet_last_error() + strlen(aimnet_last_error()) - 4, "a...");
}

static void *fail_elsewhere(void *arg)
{
    (void)arg;
    if (aimnet_last_error()[0] != '\0')
        return NULL;
    return AIM_FAIL(AIMNET_ERR_ARG, "theirs") == AIMNET_ERR_ARG ? (void *)(uintptr_t)1 : NULL;
}

static void every_thread_has_its_own_message(void **state)
{
    (void)state;
    assert_int_equal(AIM_FAIL(AIMNET_ERR_ARG, "ours"), AIMNET_ERR_ARG);
    pthread_t thread;
    void *fine = NULL;
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(thread, &fine), 0);
    assert_non_null(fine);
    assert_string_equal(aimnet_last_error(), "ours");
}

static aim_status count_then_fail(int *count, aim_status inner)
{
    AIM_TRY(inner);
    ++*count;
    return AIMNET_OK;
}

static void try_returns_at_the_first_failure(void **state)
{
    (void)state;
    int count = 0;
    assert_int_equal(count_then_fail(&count, AIMNET_OK), AIMNET_OK);
    assert_int_equal(count_then_fail(&count, AIMNET_ERR_END), AIMNET_ERR_END);
    assert_int_equal(count, 1);
}

static void every_code_has_a_name_of_its_own(void **state)
{
    (void)state;
    static const aim_status codes[] = {AIMNET_OK,
                                       AIMNET_ERR_ARG,
                                       AIMNET_ERR_SYSTEM,
                                       AIMNET_ERR_SOME_FAILED,
                                       AIMNET_ERR_UNSUPPORTED,
                                       AIMNET_ERR_OVERFLOW,
                                       AIMNET_ERR_FILE,
                                       AIMNET_ERR_FORMAT,
                                       AIMNET_ERR_END,
                                       AIMNET_ERR_MODEL,
                                       AIMNET_ERR_MEMORY,
                                       AIMNET_ERR_DEVICE,
                                       AIMNET_ERR_INTERRUPTED,
                                       AIMNET_ERR_INTERNAL};
    const size_t n = sizeof codes / sizeof codes[0];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(aimnet_status_name(codes[i]), aimnet_status_name(codes[j]));
    assert_string_equal(aimnet_status_name((aim_status)77), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_returns_its_code_and_leaves_its_message),
        cmocka_unit_test(a_prefix_goes_in_front_of_the_message),
        cmocka_unit_test(a_message_may_quote_the_message_before_it),
        cmocka_unit_test(a_long_message_is_cut_after_a_whole_character),
        cmocka_unit_test(a_prefix_on_a_full_message_keeps_the_prefix),
        cmocka_unit_test(every_thread_has_its_own_message),
        cmocka_unit_test(try_returns_at_the_first_failure),
        cmocka_unit_test(every_code_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
