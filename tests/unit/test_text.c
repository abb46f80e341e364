/* SPDX-License-Identifier: MIT */
/* test_text.c - numbers from and to text, strings (src/base/text.c). The C library's strtod in the
 * C locale is the oracle. */
#include "fail_alloc.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>

#include "base/text.h"

static void assert_same_double(double a, double b)
{
    assert_memory_equal(&a, &b, sizeof a);
}

static double parsed(const char *text)
{
    double value = -12345.0;
    if (!aim_parse_double(text, strlen(text), &value))
        fail_msg("\"%s\" was refused", text);
    return value;
}

static void parsing_agrees_with_strtod_bit_for_bit(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "+0.0",
        "1",
        "-1.5",
        "0.1",
        "1e22",
        "1e23",
        "123456789012345678",
        "9007199254740993",
        "9007199254740992",
        "0.000001",
        "3.14159265358979323846",
        "1e-5",
        "1E+05",
        ".5",
        "5.",
        "-.25e1",
        "1.7976931348623157e308",
        "2.2250738585072011e-308",
        "4.9e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1e-400",
        "1e400",
        "-1e400",
        "0e999999999999999999999",
        "1e-99999999999999999999",
        "8.41e21",
        "9.5367431640625e-7",
        "6.02214076e23",
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017"
        "977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273"
        "854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704"
        "342711559699508093042880",
        "0."
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "00000001"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_same_double(parsed(texts[i]), strtod(texts[i], NULL));
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void random_doubles_round_trip_through_text(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 100000; i++) {
        const uint64_t bits = next_random(&seed);
        double x;
        memcpy(&x, &bits, sizeof x);
        if (i % 2)
            x = (double)(int64_t)(bits % 2000000000) / 1e6;
        if (!isfinite(x))
            continue;
        char text[32], longest[40];
        const size_t n = aim_format_double(text, x);
        assert_int_equal(n, strlen(text));
        assert_true(n < sizeof text);
        assert_same_double(parsed(text), x);
        snprintf(longest, sizeof longest, "%.25e", x);
        assert_same_double(parsed(longest), x);
        snprintf(longest, sizeof longest, "%.11f", fmod(x, 1e5));
        assert_same_double(parsed(longest), strtod(longest, NULL));
    }
}

#ifndef __MINGW32__ /* its strtod makes 2^-1022 of midpoints between denormal numbers */
static void rounding_is_exact_far_beyond_the_digits_of_a_double(void **state)
{
    (void)state;
    /* 2^-1074 (1 + 1/2) is a midpoint of 751 digits; one more digit, a thousand places later,
     * decides. */
    char text[2400];
    const int n = snprintf(text, sizeof text, "%.1074f", 4.9406564584124654e-324);
    char half[2400];
    int carry = 0;
    for (int i = n - 1; i >= 0;
         i--) { /* half = 1.5 times text: text + text / 2, done as 3 * text / 2 */
        if (text[i] == '.') {
            half[i] = '.';
            continue;
        }
        const int t = 3 * (text[i] - '0') + carry;
        half[i] = (char)('0' + t % 10);
        carry = t / 10;
    }
    half[n] = '\0'; /* now 3 * 2^-1074; divide by two */
    int rest = 0;
    for (int i = 0; i < n; i++) {
        if (half[i] == '.')
            continue;
        const int t = 10 * rest + (half[i] - '0');
        half[i] = (char)('0' + t / 2);
        rest = t % 2;
    }
    assert_int_equal(rest, 1);
    strcat(half, "5");
    assert_same_double(parsed(half), 2 * 4.9406564584124654e-324); /* ties to even */
    strcat(half, "000000000000000000000000000000000000000000000000000000000000000001");
    assert_same_double(parsed(half), 2 * 4.9406564584124654e-324);
    half[n] = '4';
    assert_same_double(parsed(half), 4.9406564584124654e-324);
}
#endif

static void many_digits_keep_their_exponent(void **state)
{
    (void)state;
    enum { N = 3000 };
    char text[N + 32];
    memset(text, '7', N);
    strcpy(text + N, "e-2999");
    assert_same_double(parsed(text), strtod(text, NULL));
    memset(text, '0', N);
    text[0] = '1';
    strcpy(text + N, "e-2999");
    assert_same_double(parsed(text), 1.0);
    memset(text, '0', N);
    text[1] = '.';
    strcpy(text + N, "25e2998");
    assert_same_double(parsed(text), 0.25);
}

static void fortran_exponents_and_special_names_are_understood(void **state)
{
    (void)state;
    assert_same_double(parsed("1d-05"), 1e-5);
    assert_same_double(parsed("-2.5D+3"), -2500.0);
    assert_true(isnan(parsed("nan")) && isnan(parsed("-NaN")));
    assert_true(parsed("inf") > 0 && isinf(parsed("inf")));
    assert_true(parsed("-Infinity") < 0 && isinf(parsed("-INFINITY")));
}

static void what_is_no_number_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",      "+",        "-",    ".",    "e5",     "1e",   "1e+", "1 ",
        " 1",    "1x",       "0x10", "1..2", "1.2.",   "--1",  "+-1", "1e5.",
        "1e5e5", "1,5",      "nanx", "in",   "nan(1)", "1_0",  "1d",  "infinit",
        "1f",    "\xd9\xa1", "1e1x", "e",    "-.",     "-.e1", ".e1"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        double value = 7.0;
        if (aim_parse_double(texts[i], strlen(texts[i]), &value))
            fail_msg("\"%s\" was accepted as %g", texts[i], value);
        assert_same_double(value, 7.0);
    }
}

static void only_the_given_characters_are_read(void **state)
{
    (void)state;
    double value;
    assert_int_equal(aim_parse_double("12345", 3, &value), 1);
    assert_same_double(value, 123.0);
    int64_t integer;
    assert_int_equal(aim_parse_int64("12345", 2, &integer), 1);
    assert_int_equal(integer, 12);
    char *exact = malloc(3); /* no terminating NUL: a sanitizer would see one byte too many */
    memcpy(exact, "1.5", 3);
    assert_int_equal(aim_parse_double(exact, 3, &value), 1);
    assert_same_double(value, 1.5);
    free(exact);
}

static void integers_are_read_up_to_their_limits(void **state)
{
    (void)state;
    int64_t v = 3;
    assert_true(aim_parse_int64("9223372036854775807", 19, &v) && v == INT64_MAX);
    assert_true(aim_parse_int64("-9223372036854775808", 20, &v) && v == INT64_MIN);
    assert_true(aim_parse_int64("+0042", 5, &v) && v == 42);
    assert_true(aim_parse_int64("-0", 2, &v) && v == 0);
    static const char *const bad[] = {"9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999",
                                      "",
                                      "-",
                                      "+",
                                      "1.0",
                                      "1e3",
                                      " 1",
                                      "1 ",
                                      "--1",
                                      "0x1"};
    v = 3;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(aim_parse_int64(bad[i], strlen(bad[i]), &v), 0);
    assert_int_equal(v, 3);
}

static void assert_prints(double value, const char *expected)
{
    char text[32];
    assert_int_equal(aim_format_double(text, value), strlen(expected));
    assert_string_equal(text, expected);
}

static void the_shortest_text_is_printed(void **state)
{
    (void)state;
    assert_prints(0.1, "0.1");
    assert_prints(-2.0, "-2");
    assert_prints(-0.0, "-0");
    assert_prints(1e21, "1e+21");
    assert_prints(1.0 / 3.0, "0.3333333333333333");
    assert_prints(0.1 + 0.2, "0.30000000000000004");
    assert_prints(-DBL_MAX, "-1.7976931348623157e+308");
    assert_prints(-DBL_MIN, "-2.2250738585072014e-308");
    assert_prints(4.9406564584124654e-324, "4.94065645841247e-324");
    assert_prints((double)NAN, "NaN");
    assert_prints((double)INFINITY, "Infinity");
    assert_prints((double)-INFINITY, "-Infinity");
}

static void a_locale_with_a_decimal_comma_changes_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "fa_IR.UTF-8",
                                        "ps_AF.UTF-8", "nl_NL",       "sv_SE.utf8"};
    int found = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!setlocale(LC_ALL, names[i]))
            continue;
        found++;
        assert_prints(1.5, "1.5");
        assert_same_double(parsed("1.7976931348623157e308"), DBL_MAX);
        assert_same_double(parsed("0.12345678901234567890123"), 0.12345678901234567890123);
    }
    setlocale(LC_ALL, "C");
    if (!found)
        skip();
}

static void names_compare_without_case(void **state)
{
    (void)state;
    assert_true(aim_equal_nocase("Lattice", "LATTICE"));
    assert_true(aim_equal_nocase("", ""));
    assert_false(aim_equal_nocase("pbc", "pb"));
    assert_false(aim_equal_nocase("pb", "pbc"));
    assert_false(aim_equal_nocase("[", "{"));
}

static aimnet_status build_string(const aimnet_allocator *hooks, void *ctx)
{
    (void)ctx;
    aim_string s = {0};
    aim_status status = AIMNET_OK;
    for (int i = 0; status == AIMNET_OK && i < 100; i++) {
        status = aim_string_append(&s, hooks, "ab", 2);
        if (status == AIMNET_OK)
            status = aim_string_printf(&s, hooks, "<%d>", i);
    }
    if (status == AIMNET_OK) {
        assert_int_equal(s.size, 100 * 4 + 10 + 180);
        assert_int_equal(strlen(s.data), s.size);
        assert_memory_equal(s.data, "ab<0>ab<1>", 10);
        assert_string_equal(s.data + s.size - 12, "ab<98>ab<99>");
    }
    aim_string_free(&s, hooks);
    assert_null(s.data);
    return status;
}

static void strings_grow_and_survive_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(fail_alloc_sweep(build_string, NULL) > 3);
}

static void an_empty_string_is_terminated_after_the_first_append(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    aim_string s = {0};
    assert_int_equal(aim_string_append(&s, &a, NULL, 0), AIMNET_OK);
    assert_string_equal(s.data, "");
    assert_int_equal(aim_string_append(&s, &a, "x", SIZE_MAX), AIMNET_ERR_MEMORY);
    aim_string_free(&s, &a);
    aim_string_free(&s, &a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parsing_agrees_with_strtod_bit_for_bit),
        cmocka_unit_test(random_doubles_round_trip_through_text),
#ifndef __MINGW32__
        cmocka_unit_test(rounding_is_exact_far_beyond_the_digits_of_a_double),
#endif
        cmocka_unit_test(many_digits_keep_their_exponent),
        cmocka_unit_test(fortran_exponents_and_special_names_are_understood),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(only_the_given_characters_are_read),
        cmocka_unit_test(integers_are_read_up_to_their_limits),
        cmocka_unit_test(the_shortest_text_is_printed),
        cmocka_unit_test(a_locale_with_a_decimal_comma_changes_nothing),
        cmocka_unit_test(names_compare_without_case),
        cmocka_unit_test(strings_grow_and_survive_every_failing_allocation),
        cmocka_unit_test(an_empty_string_is_terminated_after_the_first_append),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
