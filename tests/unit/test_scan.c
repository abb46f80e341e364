/* SPDX-License-Identifier: MIT */
/* test_scan.c - numbers of structure files are the correctly rounded ones, whatever way they take
 * through scan.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "io/scan.h"

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void expect_like_strtod(const char *text)
{
    double value = -1.0;
    char *end;
    const double expected = strtod(text, &end);
    assert_true(*end == '\0');
    if (!aim_scan_double((aim_span){text, strlen(text)}, &value) ||
        memcmp(&value, &expected, sizeof value) != 0)
        fail_msg("%s is read as %.17g, expected %.17g", text, value, expected);
}

static void printed_doubles_are_read_back_whatever_their_length(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    char text[64];
    for (int i = 0; i < 200000; i++) {
        const uint64_t r = next_random(&seed);
        const double x = ((double)(int64_t)r) * ldexp(1.0, -57 + (int)(r % 11));
        snprintf(text, sizeof text, "%.*f", (int)(r % 18), x);
        expect_like_strtod(text);
        snprintf(text, sizeof text, "%.*g", 1 + (int)(r % 20), x);
        expect_like_strtod(text);
        snprintf(text, sizeof text, "%.*e", (int)(r % 19), x * pow(10.0, (double)(r % 50) - 25.0));
        expect_like_strtod(text);
    }
}

static void integers_of_nineteen_digits_over_powers_of_ten_are_rounded_correctly(void **state)
{
    (void)state;
    uint64_t seed = 1234567;
    char text[64];
    for (int i = 0; i < 200000; i++) {
        const uint64_t m = next_random(&seed) % UINT64_C(10000000000000000000);
        snprintf(text, sizeof text, "%llue-%d", (unsigned long long)m, (int)(m % 24));
        expect_like_strtod(text);
    }
}

/* m / 10^k that lies on or next to the middle of two doubles: the case that Ziv's test must pass
 * on. */
static void halfway_cases_are_rounded_to_even(void **state)
{
    (void)state;
    char text[64];
    for (uint64_t i = 0; i < 2000; i++) {
        const uint64_t odd =
            (UINT64_C(1) << 54) + 4 * i + 2; /* needs 54 bits and a zero: between two doubles */
        for (int shift = -1; shift <= 1; shift++) {
            snprintf(text, sizeof text, "%llu.0", (unsigned long long)(odd + (uint64_t)shift));
            expect_like_strtod(text);
            snprintf(text, sizeof text, "%llu.%s", (unsigned long long)(odd / 2),
                     i % 2 ? "5" : "0");
            expect_like_strtod(text);
        }
    }
    expect_like_strtod("9007199254740993");
    expect_like_strtod("9007199254740992.5");
    expect_like_strtod("0.500000000000000166533453693773481063544750213623046875");
    expect_like_strtod("2.2250738585072011e-308");
    expect_like_strtod("-0.0");
    expect_like_strtod("000000000000000000000000.1");
}

static void what_is_no_number_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",      "+",    "-",   ".",  "e5",   "1e",  "1e+",
                                      "1.2.3", "0x10", "1 ",  " 1", "--1",  "1-2", "1,5",
                                      "1f",    "1e5x", "12a", "*",  "1e5.0"};
    double x;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (aim_scan_double((aim_span){bad[i], strlen(bad[i])}, &x))
            fail_msg("\"%s\" was read as %g", bad[i], x);
    assert_true(aim_scan_double((aim_span){"1.5d-03", 7}, &x) && x == 1.5e-3);
    assert_true(aim_scan_double((aim_span){"2D2", 3}, &x) && x == 200.0);
    assert_true(aim_scan_double((aim_span){".5", 2}, &x) && x == 0.5);
    assert_true(aim_scan_double((aim_span){"+5.", 3}, &x) && x == 5.0);
    assert_true(aim_scan_double((aim_span){"1e400", 5}, &x) && isinf(x));
    assert_true(aim_scan_double((aim_span){"1e-400", 6}, &x) && x == 0.0);
    assert_true(aim_scan_double((aim_span){"12345", 3}, &x) &&
                x == 123.0); /* not beyond the span */
}

static void columns_and_tokens_stay_inside_the_line(void **state)
{
    (void)state;
    const aim_span line = {"ab  c\td ", 8};
    aim_span rest = line;
    assert_true(aim_span_equal(aim_scan_token(&rest), "ab"));
    assert_true(aim_span_equal(aim_scan_token(&rest), "c"));
    assert_true(aim_span_equal(aim_scan_token(&rest), "d"));
    assert_int_equal(aim_scan_token(&rest).size, 0);
    assert_true(aim_span_equal(aim_span_columns(line, 1, 5), "b  c"));
    assert_int_equal(aim_span_columns(line, 8, 5).size, 0);
    assert_int_equal(aim_span_columns(line, 100, 5).size, 0);
    assert_true(aim_span_equal(aim_span_columns(line, 6, 50), "d"));
}

static void quotes_for_messages_are_short_and_printable(void **state)
{
    (void)state;
    char text[AIM_QUOTE_SIZE], all[300];
    memset(all, '\x01', sizeof all);
    assert_string_equal(aim_span_quote((aim_span){"a\tb\x80", 4}, text), "\"a?b?\"");
    assert_true(strlen(aim_span_quote((aim_span){all, sizeof all}, text)) < AIM_QUOTE_SIZE);
    assert_string_equal(text + strlen(text) - 5, "?...\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printed_doubles_are_read_back_whatever_their_length),
        cmocka_unit_test(integers_of_nineteen_digits_over_powers_of_ten_are_rounded_correctly),
        cmocka_unit_test(halfway_cases_are_rounded_to_even),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(columns_and_tokens_stay_inside_the_line),
        cmocka_unit_test(quotes_for_messages_are_short_and_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
