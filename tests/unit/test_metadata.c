/* SPDX-License-Identifier: MIT */
/* test_metadata.c - the rules that a file's metadata must keep (src/model/metadata.c), one case
 * each: the field, the value in opcodes, and what the message says. */
#include "model_file.h"

#include <math.h>
#include <stdio.h>

#include "aimnet_model.h"
#include "model/model.h"

#define OPCODES(text) (text), sizeof(text) - 1
#define TRUE_         OPCODES("\x88")
#define FALSE_        OPCODES("\x89")
#define NONE          OPCODES("N")

typedef struct change {
    const char *field;
    const char *opcodes; /* NULL: the field is left out */
    size_t n;
} change;

typedef struct rule {
    const char *file;
    change change[4];
    const char *why;
} rule;

static aim_status load_changed(const char *file, const change *changes, int n, aimnet_model **m)
{
    model_file f;
    model_file_open(&f, file);
    for (int i = 0; i < n && changes[i].field; i++)
        model_file_set(&f, changes[i].field, changes[i].opcodes, changes[i].n);
    torch_buffer bytes = model_file_bytes(&f);
    const aim_status status = aimnet_model_load_memory(bytes.at, bytes.n, "changed", NULL, m);
    torch_buffer_free(&bytes);
    model_file_close(&f);
    return status;
}

static void assert_rules(const rule *rules, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        aimnet_model *m = NULL;
        const aim_status status = load_changed(rules[i].file, rules[i].change, 4, &m);
        if (status != AIMNET_ERR_MODEL || !strstr(aimnet_last_error(), rules[i].why))
            fail_msg("case %zu, status %d: \"%s\" does not say \"%s\"", i, status,
                     aimnet_last_error(), rules[i].why);
        assert_null(m);
    }
}
#define ASSERT_RULES(rules) assert_rules((rules), sizeof(rules) / sizeof *(rules))

static void assert_accepted(const char *file, const change *changes, int n)
{
    aimnet_model *m = NULL;
    if (load_changed(file, changes, n, &m) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    aimnet_model_free(m);
}

static void types_are_checked(void **state)
{
    (void)state;
    static const rule rules[] = {
        {"plain", {{"format_version", OPCODES("K\1")}}, "'format_version' must be the integer 2"},
        {"plain", {{"format_version", OPCODES("G\x40\0\0\0\0\0\0\0")}}, "'format_version'"},
        {"plain", {{"format_version", TRUE_}}, "'format_version'"},
        {"plain", {{"cutoff", NULL, 0}}, "'cutoff' must be a finite positive number"},
        {"plain", {{"cutoff", NONE}}, "'cutoff'"},
        {"plain", {{"cutoff", TRUE_}}, "'cutoff'"},
        {"plain", {{"cutoff", OPCODES("G\x7f\xf0\0\0\0\0\0\0")}}, "'cutoff'"},
        {"plain", {{"cutoff", OPCODES("G\xc0\x14\0\0\0\0\0\0")}}, "'cutoff'"},
        {"plain",
         {{"cutoff", OPCODES("X\1\0\0\0"
                             "5")}},
         "'cutoff'"},
        {"plain", {{"needs_coulomb", OPCODES("K\1")}}, "'needs_coulomb' must be a boolean"},
        {"plain", {{"needs_dispersion", NONE}}, "'needs_dispersion' must be a boolean"},
        {"plain", {{"has_embedded_lr", OPCODES("]")}}, "'has_embedded_lr' must be a boolean"},
        {"plain", {{"has_embedded_d3ts", OPCODES("K\0")}}, "'has_embedded_d3ts'"},
        {"plain", {{"supports_charged_systems", OPCODES("K\1")}}, "a boolean or None"},
        {"plain", {{"coulomb_mode", NONE}}, "'coulomb_mode' must be"},
        {"plain", {{"coulomb_mode", OPCODES("X\4\0\0\0full")}}, "'coulomb_mode' must be"},
        {"plain", {{"coulomb_sr_rc", OPCODES("K\0")}}, "'coulomb_sr_rc' must be a finite"},
        {"plain", {{"coulomb_sr_envelope", OPCODES("X\3\0\0\0sin")}}, "'exp' or 'cosine'"},
        {"plain", {{"family", OPCODES("K\7")}}, "'family' must be a string"},
        {"plain", {{"family", OPCODES("X\3\0\0\0a\0b")}}, "without NUL"},
        {"plain", {{"d3_params", OPCODES("]")}}, "'d3_params' must be a dictionary"},
    };
    ASSERT_RULES(rules);
}

static void species_are_checked(void **state)
{
    (void)state;
    static const rule rules[] = {
        {"plain", {{"implemented_species", NULL, 0}}, "list of the atomic numbers"},
        {"plain", {{"implemented_species", OPCODES("]")}}, "list of the atomic numbers"},
        {"plain", {{"implemented_species", OPCODES("K\6")}}, "list of the atomic numbers"},
        {"plain", {{"implemented_species", OPCODES("](K\0e")}}, "integers from 1 to 63"},
        {"plain",
         {{"implemented_species", OPCODES("](K\x40"
                                          "e")}},
         "integers from 1 to 63"},
        {"plain",
         {{"implemented_species", OPCODES("](J\xff\xff\xff\xff"
                                          "e")}},
         "integers from 1 to 63"},
        {"plain",
         {{"implemented_species", OPCODES("](\x88"
                                          "e")}},
         "integers from 1 to 63"},
        /* iron's row of the features is NaN in the file */
        {"plain",
         {{"implemented_species", OPCODES("](K\1K\x1a"
                                          "e")}},
         "atomic number 26 is NaN"},
    };
    ASSERT_RULES(rules);
    aimnet_model *m = NULL;
    aimnet_model_info info;
    const change unsorted = {"implemented_species", OPCODES("](K\x08K\x01K\x06K\x08"
                                                            "e")};
    assert_int_equal(load_changed("plain", &unsorted, 1, &m), AIMNET_OK);
    assert_int_equal(aimnet_model_get_info(m, &info), AIMNET_OK);
    assert_int_equal(info.n_species, 3);
    assert_true(info.species[0] == 1 && info.species[1] == 6 && info.species[2] == 8);
    aimnet_model_free(m);
}

static void contradictions_are_refused(void **state)
{
    (void)state;
    static const rule rules[] = {
        {"base", {{"coulomb_sr_rc", NONE}}, "needs coulomb_sr_rc and coulomb_sr_envelope"},
        {"base", {{"coulomb_sr_envelope", NULL, 0}}, "needs coulomb_sr_rc and"},
        {"base", {{"coulomb_sr_rc", OPCODES("K\6")}}, "coulomb_sr_rc is larger than cutoff"},
        {"base", {{"needs_coulomb", FALSE_}}, "needs needs_coulomb"},
        {"base", {{"has_embedded_lr", FALSE_}}, "needs has_embedded_lr"},
        {"base", {{"d3_params", NONE}}, "needs_dispersion needs d3_params"},
        {"base", {{"d3_params", OPCODES("}X\2\0\0\0s8K\1s")}}, "'d3_params' has no 'a1'"},
        {"base", {{"has_embedded_d3ts", TRUE_}}, "model_yaml has no D3TS"},
        {"lr_simple", {{"has_embedded_lr", FALSE_}}, "needs has_embedded_lr"},
        {"lr_simple", {{"needs_coulomb", TRUE_}}, "count the Coulomb energy twice"},
        {"lr_simple",
         {{"needs_coulomb", TRUE_}, {"coulomb_mode", OPCODES("X\4\0\0\0none")}},
         "embedded LRCoulomb would count"},
        {"d3ts", {{"has_embedded_d3ts", FALSE_}}, "has a D3TS, but has_embedded_d3ts is false"},
        {"d3ts", {{"has_embedded_lr", FALSE_}}, "has_embedded_d3ts needs has_embedded_lr"},
        {"d3ts",
         {{"needs_dispersion", TRUE_},
          {"d3_params", OPCODES("}(X\2\0\0\0s8K\1X\2\0\0\0a1K\1X\2\0\0\0a2K\1u")}},
         "embedded dispersion would count it twice"},
        {"lr_dftd3",
         {{"needs_dispersion", TRUE_},
          {"d3_params", OPCODES("}(X\2\0\0\0s8K\1X\2\0\0\0a1K\1X\2\0\0\0a2K\1u")}},
         "embedded dispersion would count it twice"},
        {"plain", {{"cutoff", OPCODES("K\4")}}, "smaller than the network's radius 5"},
    };
    ASSERT_RULES(rules);
}

static void damping_parameters_are_checked(void **state)
{
    (void)state;
    static const rule rules[] = {
        {"base",
         {{"d3_params", OPCODES("}(X\2\0\0\0s8K\1X\2\0\0\0a1K\0X\2\0\0\0a2K\0u")}},
         "a1 and a2 are both 0"},
        {"base",
         {{"d3_params", OPCODES("}(X\2\0\0\0s8K\1X\2\0\0\0a1J\xff\xff\xff\xffX\2\0\0\0a2K\5u")}},
         "a1 must be a finite number that is not negative"},
        {"base",
         {{"d3_params",
           OPCODES("}(X\2\0\0\0s8G\x7f\xf8\0\0\0\0\0\0X\2\0\0\0a1K\1X\2\0\0\0a2K\5u")}},
         "s8 must be a finite number"},
        {"base",
         {{"d3_params", OPCODES("}(X\2\0\0\0s8\x88X\2\0\0\0a1K\1X\2\0\0\0a2K\5u")}},
         "s8 must be a finite number"},
    };
    ASSERT_RULES(rules);
    aimnet_model *m = NULL;
    aimnet_model_info info;
    const change integers = {"d3_params", OPCODES("}(X\2\0\0\0s8K\2X\2\0\0\0a1K\0X\2\0\0\0a2K\5u")};
    assert_int_equal(load_changed("base", &integers, 1, &m), AIMNET_OK);
    assert_int_equal(aimnet_model_get_info(m, &info), AIMNET_OK);
    assert_true(info.d3_s6 == 1.0 && info.d3_s8 == 2.0 && info.d3_a1 == 0.0 && info.d3_a2 == 5.0);
    aimnet_model_free(m);
}

static void optional_fields_may_be_absent(void **state)
{
    (void)state;
    static const change absent[] = {{"format_version", NULL, 0},
                                    {"needs_coulomb", NULL, 0},
                                    {"needs_dispersion", NULL, 0},
                                    {"coulomb_mode", NULL, 0},
                                    {"coulomb_sr_rc", NULL, 0},
                                    {"coulomb_sr_envelope", NULL, 0},
                                    {"d3_params", NULL, 0},
                                    {"has_embedded_lr", NULL, 0},
                                    {"has_embedded_d3ts", NULL, 0},
                                    {"family", NULL, 0},
                                    {"supports_charged_systems", NONE}};
    assert_accepted("plain", absent, 11);
    static const change wider[] = {{"cutoff", OPCODES("K\x06")}};
    assert_accepted("plain", wider, 1);
}

static void family_and_charge_support_are_reported(void **state)
{
    (void)state;
    static const struct {
        const char *file, *family;
        int charged;
    } cases[] = {{"base", "", -1}, {"nse", "nse", -1}, {"pass2", "", 0}, {"pass4", "four", 1}};
    for (size_t i = 0; i < 4; i++) {
        aimnet_model *m = NULL;
        aimnet_model_info info;
        assert_int_equal(load_changed(cases[i].file, NULL, 0, &m), AIMNET_OK);
        assert_int_equal(aimnet_model_get_info(m, &info), AIMNET_OK);
        assert_string_equal(info.family, cases[i].family);
        assert_int_equal(info.supports_charged, cases[i].charged);
        aimnet_model_free(m);
    }
}

/* The strict reference wants the key d3ts; a D3TS under another key is found by its class. */
static void a_d3ts_is_found_under_any_name(void **state)
{
    (void)state;
    model_file f;
    aimnet_model *m = NULL;
    aimnet_model_info info;
    model_file_open(&f, "d3ts");
    model_file_yaml(&f, "d3ts:", "d3bj:");
    snprintf(model_file_tensor(&f, "outputs.d3ts.r4r2")->name, 128, "outputs.d3bj.r4r2");
    torch_buffer bytes = model_file_bytes(&f);
    assert_int_equal(aimnet_model_load_memory(bytes.at, bytes.n, "x", NULL, &m), AIMNET_OK);
    assert_int_equal(aimnet_model_get_info(m, &info), AIMNET_OK);
    assert_int_equal(info.has_embedded_dispersion, 1);
    aimnet_model_free(m);
    torch_buffer_free(&bytes);
    model_file_close(&f);
}

static void a_field_that_occurs_twice_is_refused(void **state)
{
    (void)state;
    model_file f;
    aimnet_model *m = NULL;
    model_file_open(&f, "plain");
    snprintf(f.field[f.n_fields].key, 64, "cutoff");
    torch_put(&f.field[f.n_fields++].value, "K\7", 2);
    torch_buffer bytes = model_file_bytes(&f);
    assert_int_equal(aimnet_model_load_memory(bytes.at, bytes.n, "x", NULL, &m), AIMNET_ERR_MODEL);
    assert_string_equal(aimnet_last_error(), "x: metadata 'cutoff' occurs twice");
    torch_buffer_free(&bytes);
    model_file_close(&f);
}

static void a_file_without_yaml_or_weights_is_refused(void **state)
{
    (void)state;
    model_file f;
    aimnet_model *m = NULL;
    static const char *const texts[] = {NULL, "", " \n\t"};
    for (int i = 0; i < 3; i++) {
        model_file_open(&f, "plain");
        free(f.yaml);
        f.yaml = NULL;
        if (texts[i])
            model_file_set_text(&f, "model_yaml", texts[i]);
        torch_buffer bytes = model_file_bytes(&f);
        assert_int_equal(aimnet_model_load_memory(bytes.at, bytes.n, NULL, NULL, &m),
                         AIMNET_ERR_MODEL);
        assert_non_null(strstr(aimnet_last_error(), "memory: metadata 'model_yaml' must be"));
        torch_buffer_free(&bytes);
        model_file_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_checked),
        cmocka_unit_test(species_are_checked),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(damping_parameters_are_checked),
        cmocka_unit_test(optional_fields_may_be_absent),
        cmocka_unit_test(family_and_charge_support_are_reported),
        cmocka_unit_test(a_d3ts_is_found_under_any_name),
        cmocka_unit_test(a_field_that_occurs_twice_is_refused),
        cmocka_unit_test(a_file_without_yaml_or_weights_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
