/* SPDX-License-Identifier: MIT */
/* test_element.c - symbols, numbers, weights, formulas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "aimnet_io.h"
#include "data/element.h"

static void every_symbol_is_read_back_in_any_case(void **state)
{
    (void)state;
    for (int z = 1; z <= 118; z++) {
        char text[3] = "";
        const char *symbol = aimnet_element_symbol(z);
        assert_non_null(symbol);
        assert_int_equal(aimnet_element_number(symbol), z);
        for (size_t i = 0; i < strlen(symbol); i++)
            text[i] = (char)(symbol[i] & ~0x20);
        assert_int_equal(aimnet_element_number(text), z);
        for (size_t i = 0; i < strlen(symbol); i++)
            text[i] = (char)(symbol[i] | 0x20);
        assert_int_equal(aimnet_element_number(text), z);
    }
    assert_string_equal(aimnet_element_symbol(6), "C");
    assert_string_equal(aimnet_element_symbol(17), "Cl");
    assert_string_equal(aimnet_element_symbol(118), "Og");
}

static void exactly_120_of_all_short_letter_words_are_symbols(void **state)
{
    (void)state;
    int count = 0;
    for (char a = 'A'; a <= 'Z'; a++) {
        count += aimnet_element_number((char[]){a, 0}) > 0;
        for (char b = 'a'; b <= 'z'; b++)
            count += aimnet_element_number((char[]){a, b, 0}) > 0;
    }
    assert_int_equal(count, 120); /* D and T, too */
    assert_int_equal(aimnet_element_number("D"), 1);
    assert_int_equal(aimnet_element_number("t"), 1);
}

static void numbers_as_text_are_elements_and_other_words_are_not(void **state)
{
    (void)state;
    static const char *const unknown[] = {"",         "0",   "119", "1000", "00000001", "-1", "6.0",
                                          "X",        "Xx",  "C1",  "1C",   " C",       "C ", "Cl2",
                                          "\xc3\xa9", "C\n", "1e0", "Q",    "R#"};
    assert_int_equal(aimnet_element_number("6"), 6);
    assert_int_equal(aimnet_element_number("06"), 6);
    assert_int_equal(aimnet_element_number("118"), 118);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        if (aimnet_element_number(unknown[i]) != 0)
            fail_msg("\"%s\" was taken for an element", unknown[i]);
    assert_int_equal(aimnet_element_number(NULL), 0);
    assert_int_equal(aim_element_from_symbol("Cl", 1), 6);
    assert_int_equal(aim_element_from_symbol("6", 1), 0);
}

static void weights_are_those_of_the_commission(void **state)
{
    (void)state;
    /* J. Meija et al., doi:10.1515/pac-2015-0305: conventional, standard, longest-lived isotope */
    assert_true(aimnet_element_mass(1) == 1.008);
    assert_true(aimnet_element_mass(6) == 12.011);
    assert_true(aimnet_element_mass(8) == 15.999);
    assert_true(aimnet_element_mass(17) == 35.45);
    assert_true(aimnet_element_mass(34) == 78.971);
    assert_true(aimnet_element_mass(53) == 126.90447);
    assert_true(aimnet_element_mass(43) == 97.90721);
    for (int z = 1; z <= 118; z++)
        assert_true(aimnet_element_mass(z) >= 1.0 && aimnet_element_mass(z) < 300.0);
    assert_true(aimnet_element_mass(0) == 0.0 && aimnet_element_mass(119) == 0.0 &&
                aimnet_element_mass(-1) == 0.0);
    assert_null(aimnet_element_symbol(0));
    assert_null(aimnet_element_symbol(119));
}

static void expect_formula(const int32_t *numbers, int32_t n, const char *expected)
{
    char text[64];
    assert_int_equal(aimnet_formula(numbers, n, text, sizeof text), AIMNET_OK);
    assert_string_equal(text, expected);
}

static void formulas_are_in_hill_order(void **state)
{
    (void)state;
    expect_formula((int32_t[]){8, 1, 1}, 3, "H2O");
    expect_formula((int32_t[]){7, 6, 1, 6, 8, 1}, 6, "C2H2NO");
    expect_formula((int32_t[]){17, 35, 6, 1, 9}, 5, "CHBrClF");
    expect_formula((int32_t[]){17, 11}, 2, "ClNa");
    expect_formula((int32_t[]){1, 35}, 2, "BrH");
    expect_formula((int32_t[]){6}, 1, "C");
    expect_formula((int32_t[]){0, 6, 0}, 3, "C");
    expect_formula(NULL, 0, "");
}

static void a_formula_that_does_not_fit_is_cut_and_terminated(void **state)
{
    (void)state;
    char text[5] = "????";
    const int32_t numbers[] = {6, 6, 1, 1, 8, 8};
    assert_int_equal(aimnet_formula(numbers, 6, text, sizeof text), AIMNET_ERR_OVERFLOW);
    assert_string_equal(text, "C2H2");
    assert_int_equal(aimnet_formula(numbers, 6, text, 1), AIMNET_ERR_OVERFLOW);
    assert_string_equal(text, "");
    assert_int_equal(aimnet_formula(numbers, 6, text, 0), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_formula((int32_t[]){119}, 1, text, sizeof text), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_formula((int32_t[]){-1}, 1, text, sizeof text), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_formula(NULL, 1, text, sizeof text), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_formula(numbers, -1, text, sizeof text), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_formula(numbers, 6, NULL, 9), AIMNET_ERR_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_symbol_is_read_back_in_any_case),
        cmocka_unit_test(exactly_120_of_all_short_letter_words_are_symbols),
        cmocka_unit_test(numbers_as_text_are_elements_and_other_words_are_not),
        cmocka_unit_test(weights_are_those_of_the_commission),
        cmocka_unit_test(formulas_are_in_hill_order),
        cmocka_unit_test(a_formula_that_does_not_fit_is_cut_and_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
