/* SPDX-License-Identifier: MIT */
/* test_hub.c - directories of Hugging Face whose config.json names a family and leaves architecture
 * and metadata to the registry, as the first uploads do. The model without published digest plays
 * the registry's: it is tests/golden/models/base.pt, whose weights hf_base/ holds, too. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aimnet_model.h"
#include "fail_alloc.h"
#include "model_file.h"

#define MODELS    AIM_SOURCE_DIR "/tests/golden/models/"
#define CACHE     AIM_TEST_TMP "/hub_cache"
#define BASE      CACHE "/wb97m_cpcms_v2_0.pt"
#define DIRECTORY AIM_TEST_TMP "/aimnet2-nse"
#define CONFIG    DIRECTORY "/config.json"
#define WEIGHTS   DIRECTORY "/ensemble_0.safetensors"
#define MEMBER    "\"member_names\": [\"wb97m_cpcms_v2_0\"]"

static void put_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void copy_file(const char *from, const char *to)
{
    torch_buffer bytes = torch_read_file(from);
    put_file(to, bytes.at, bytes.n);
    torch_buffer_free(&bytes);
}

static int make_directory(void **state)
{
    (void)state;
    aimnet_fetch_options o = aimnet_fetch_options_default();
    setenv("AIMNET_CACHE_DIR", CACHE, 1);
    (void)mkdir(CACHE, 0777);
    (void)mkdir(DIRECTORY, 0777);
    copy_file(MODELS "base.pt", BASE);
    copy_file(MODELS "hf_base/ensemble_0.safetensors", WEIGHTS);
    o.allow_unverified = 1; /* pins what is there */
    return aimnet_model_fetch("aimnet2_cpcm", &o, NULL, 0) != AIMNET_OK;
}

static int remove_directory(void **state)
{
    (void)state;
    (void)unlink(WEIGHTS);
    (void)unlink(CONFIG);
    return aimnet_cache_clear(0, NULL, NULL) != AIMNET_OK || rmdir(CACHE) != 0 ||
           rmdir(DIRECTORY) != 0;
}

static aimnet_status load_with(const char *config, int member, aimnet_model **m)
{
    aimnet_load_options o = aimnet_load_options_default();
    o.member = member;
    put_file(CONFIG, config, strlen(config));
    return aimnet_model_load_with(DIRECTORY, &o, NULL, m);
}

static void expect_same_as_base(const aimnet_model *m)
{
    aimnet_model *base;
    char *text;
    assert_int_equal(aimnet_model_load(MODELS "base.pt", NULL, &base), AIMNET_OK);
    assert_int_equal(aimnet_model_diff(m, base, &text), AIMNET_OK);
    assert_string_equal(text, "");
    aimnet_model_text_free(m, text);
    aimnet_model_free(base);
}

static void the_registry_describes_what_config_json_does_not(void **state)
{
    (void)state;
    static const char *const configs[] = {
        "{" MEMBER "}",
        "{\"config_schema_version\": 1, \"family_name\": \"x\", \"ensemble_size\": 1, "
        "\"member_names\": [\"aimnet2_cpcm\", \"other\"]}", /* an alias; of member 0 */
        "{" MEMBER ", \"format_version\": 2, \"cutoff\": 5, \"needs_coulomb\": true, "
        "\"coulomb_mode\": \"sr_embedded\", \"has_embedded_d3ts\": false, \"family\": null, "
        "\"supports_charged_systems\": null, "
        "\"d3_params\": {\"a1\": 0.566, \"a2\": 3.128, \"s6\": 1, \"s8\": 0.3908}, "
        "\"implemented_species\": [1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 53]}"};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        aimnet_model *m;
        char *text;
        if (load_with(configs[i], 0, &m) != AIMNET_OK)
            fail_msg("%s: %s", configs[i], aimnet_last_error());
        expect_same_as_base(m);
        assert_int_equal(aimnet_model_describe(m, AIMNET_DESCRIBE_JSON, &text), AIMNET_OK);
        assert_non_null(strstr(text, "\"format\": \"safetensors\""));
        assert_non_null(strstr(text, "\"described_by\": \"" BASE "\""));
        aimnet_model_text_free(m, text);
        assert_int_equal(aimnet_model_describe(m, AIMNET_DESCRIBE_TREE, &text), AIMNET_OK);
        assert_non_null(strstr(text, "description  wb97m_cpcms_v2_0.pt"));
        aimnet_model_text_free(m, text);
        aimnet_model_free(m);
    }
}

static void a_complete_config_json_needs_no_registry(void **state)
{
    (void)state;
    aimnet_model *m;
    char *text;
    copy_file(MODELS "hf_base/config.json", CONFIG);
    assert_int_equal(aimnet_model_load(DIRECTORY, NULL, &m), AIMNET_OK);
    assert_int_equal(aimnet_model_describe(m, AIMNET_DESCRIBE_JSON, &text), AIMNET_OK);
    assert_non_null(strstr(text, "\"described_by\": null"));
    aimnet_model_text_free(m, text);
    aimnet_model_free(m);
}

static void what_is_saved_needs_the_registry_no_more(void **state)
{
    (void)state;
    static const char path[] = AIM_TEST_TMP "/hub_saved.pt";
    aimnet_model *m, *saved;
    assert_int_equal(load_with("{" MEMBER "}", 0, &m), AIMNET_OK);
    assert_int_equal(aimnet_model_save(m, path, AIMNET_FILE_PT, 0), AIMNET_OK);
    assert_int_equal(aimnet_model_load(path, NULL, &saved), AIMNET_OK);
    expect_same_as_base(saved);
    aimnet_model_free(saved);
    assert_int_equal(unlink(path), 0);
    aimnet_model_free(m);
}

static void other_fields_must_agree_with_the_registry_model(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"cutoff\": 4.5", "'cutoff' contradicts"},
        {"\"needs_dispersion\": false", "'needs_dispersion' contradicts"},
        {"\"coulomb_mode\": \"none\"", "'coulomb_mode' contradicts"},
        {"\"coulomb_mode\": \"sr_embeddex\"", "'coulomb_mode' contradicts"},
        {"\"coulomb_mode\": null", "'coulomb_mode' contradicts"},
        {"\"coulomb_mode\": 1", "'coulomb_mode' contradicts"},
        {"\"format_version\": 3", "'format_version' contradicts"},
        {"\"family\": \"nse\"", "'family' contradicts"},
        {"\"supports_charged_systems\": true", "'supports_charged_systems' contradicts"},
        {"\"implemented_species\": [1]", "'implemented_species' contradicts"},
        {"\"implemented_species\": [1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 52]",
         "'implemented_species' contradicts"},
        {"\"d3_params\": {\"a1\": 0.566, \"a2\": 3.128, \"s6\": 1, \"s8\": 0.39}",
         "'d3_params' contradicts"},
        {"\"d3_params\": {\"a1\": 0.566, \"a2\": 3.128, \"s6\": 1, \"s9\": 0.3908}",
         "'d3_params' contradicts"},
        {"\"d3_params\": {\"a1\": 0.566, \"a2\": 3.128, \"s6\": 1, "
         "\"a_name_that_is_longer_than_any_name_of_a_parameter_could_be_by_far\": 0.3908}",
         "'d3_params' contradicts"},
        {"\"model_yaml\": null", "'model_yaml' contradicts"},
        {"\"state_dict\": {}", "'state_dict' contradicts"},
        {"\"colour\": \"blue\"", "'colour' has no meaning"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char config[512];
        aimnet_model *m;
        snprintf(config, sizeof config, "{" MEMBER ", %s}", cases[i][0]);
        assert_int_equal(load_with(config, 0, &m), AIMNET_ERR_MODEL);
        if (!strstr(aimnet_last_error(), cases[i][1]))
            fail_msg("%s: %s", cases[i][0], aimnet_last_error());
    }
}

static void members_are_found_by_names_family_or_directory(void **state)
{
    (void)state;
    static const struct {
        const char *config, *message;
        aimnet_status status;
        int member;
    } cases[] = {
        {"{\"member_names\": \"x\"}", "must be a list", AIMNET_ERR_MODEL, 0},
        {"{\"member_names\": null}", "must be a list", AIMNET_ERR_MODEL, 0},
        {"{\"member_names\": []}", "must be a list", AIMNET_ERR_MODEL, 0},
        {"{\"member_names\": [\"aimnet2_cpcm\", 1]}", "must be a list", AIMNET_ERR_MODEL, 0},
        {"{\"member_names\": [\"mine\"]}", "member 'mine' is not in the registry", AIMNET_ERR_MODEL,
         0},
        {"{\"family_name\": \"mine\"}", "'mine' is no family", AIMNET_ERR_MODEL, 0},
        {"{\"family_name\": \"pd\"}", "aimnet download aimnet2-pd_0", AIMNET_ERR_FILE, 0},
        {"{\"family_name\": \"aimnet2-rxn\"}", "aimnet download aimnet2-rxn_0", AIMNET_ERR_FILE, 0},
        {"{\"family_name\": \"\"}", "aimnet download aimnet2-nse_0", AIMNET_ERR_FILE, 0},
        {"{\"family_name\": null}", "aimnet download aimnet2-nse_0", AIMNET_ERR_FILE, 0},
        {"{}", "aimnet download aimnet2-nse_0", AIMNET_ERR_FILE, 0},
        {"{}", "aimnet download aimnet2-nse_1", AIMNET_ERR_FILE, 1},
        {"{}", "members 0 to 3 in the registry, not 4", AIMNET_ERR_MODEL, 4},
        {"{" MEMBER "}", "has 1 names; there is no member 1", AIMNET_ERR_MODEL, 1},
        {"{", "config.json", AIMNET_ERR_FORMAT, 0}};
    copy_file(WEIGHTS, DIRECTORY "/ensemble_1.safetensors");
    copy_file(WEIGHTS, DIRECTORY "/ensemble_4.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aimnet_model *m;
        assert_int_equal(load_with(cases[i].config, cases[i].member, &m), cases[i].status);
        if (!strstr(aimnet_last_error(), cases[i].message))
            fail_msg("%s: %s", cases[i].config, aimnet_last_error());
    }
    assert_int_equal(unlink(DIRECTORY "/ensemble_1.safetensors"), 0);
    assert_int_equal(unlink(DIRECTORY "/ensemble_4.safetensors"), 0);
}

/* Whose architecture it is cannot be known from a file alone, and a description that the user gave
 * is not looked for elsewhere. */
static void a_file_without_its_directory_is_refused(void **state)
{
    (void)state;
    aimnet_model *m;
    put_file(CONFIG, "{" MEMBER "}", strlen("{" MEMBER "}"));
    assert_int_equal(aimnet_model_load(WEIGHTS, NULL, &m), AIMNET_ERR_MODEL);
    assert_non_null(strstr(aimnet_last_error(), "give the directory"));
}

static void a_damaged_registry_model_is_not_believed(void **state)
{
    (void)state;
    aimnet_model *m;
    torch_buffer bytes = torch_read_file(MODELS "base.pt");
    bytes.at[bytes.n / 2] ^= 1;
    put_file(BASE, bytes.at, bytes.n);
    assert_int_equal(load_with("{" MEMBER "}", 0, &m), AIMNET_ERR_FILE);
    assert_non_null(strstr(aimnet_last_error(), "SHA-256"));
    bytes.at[bytes.n / 2] ^= 1;
    put_file(BASE, bytes.at, bytes.n);
    torch_buffer_free(&bytes);
}

/* Puts a file in the place of the registry's model and pins it. */
static void install_base(const void *bytes, size_t size)
{
    aimnet_fetch_options o = aimnet_fetch_options_default();
    o.allow_unverified = 1;
    put_file(BASE, bytes, size);
    (void)unlink(BASE ".sha256");
    assert_int_equal(aimnet_model_fetch("aimnet2_cpcm", &o, NULL, 0), AIMNET_OK);
}

static void install_copy(const char *path)
{
    torch_buffer bytes = torch_read_file(path);
    install_base(bytes.at, bytes.n);
    torch_buffer_free(&bytes);
}

static void only_a_v2_file_describes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {MODELS "script_nse.jpt", "TorchScript, not a v2 file"},
        {AIM_SOURCE_DIR "/tests/fuzz/seeds/fuzz_zip/torch", "not a v2 file"},
        {AIM_SOURCE_DIR "/LICENSE", "not a model file"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aimnet_model *m;
        install_copy(cases[i][0]);
        assert_int_not_equal(load_with("{" MEMBER "}", 0, &m), AIMNET_OK);
        if (!strstr(aimnet_last_error(), cases[i][1]) || !strstr(aimnet_last_error(), BASE))
            fail_msg("%s: %s", cases[i][0], aimnet_last_error());
    }
    install_copy(MODELS "base.pt");
}

/* Fields that neither file has are False, none or None, as for the reference. */
static void absent_fields_have_their_default(void **state)
{
    (void)state;
    static const char *const optional[] = {
        "format_version",  "needs_coulomb",     "needs_dispersion",
        "coulomb_mode",    "coulomb_sr_rc",     "coulomb_sr_envelope",
        "has_embedded_lr", "has_embedded_d3ts", "supports_charged_systems"};
    static const struct {
        const char *fields;
        int good;
    } cases[] = {{"\"format_version\": 2", 1},
                 {"\"format_version\": 3", 0},
                 {"\"format_version\": 2.0", 0},
                 {"\"needs_coulomb\": false", 1},
                 {"\"needs_coulomb\": true", 0},
                 {"\"needs_coulomb\": 1", 0},
                 {"\"has_embedded_lr\": false", 1},
                 {"\"has_embedded_d3ts\": true", 0},
                 {"\"coulomb_mode\": \"none\"", 1},
                 {"\"coulomb_mode\": \"full_embedded\"", 0},
                 {"\"coulomb_mode\": false", 0},
                 {"\"coulomb_mode\": null", 0},
                 {"\"coulomb_sr_rc\": null", 1},
                 {"\"coulomb_sr_rc\": 4.6", 0},
                 {"\"d3_params\": null", 1}, /* the model has it: None */
                 {"\"d3_params\": {}", 0},
                 {"\"supports_charged_systems\": null", 1},
                 {"\"supports_charged_systems\": false", 0}};
    model_file f;
    aimnet_model *m;
    model_file_open(&f, "plain");
    for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
        if (i == 8 || model_file_field(&f, optional[i]))
            model_file_set(&f, optional[i], "", 0);
    torch_buffer bytes = model_file_bytes(&f);
    install_base(bytes.at, bytes.n);
    torch_buffer_free(&bytes);
    model_file_close(&f);
    assert_int_equal(aimnet_model_load(MODELS "plain.pt", NULL, &m), AIMNET_OK);
    assert_int_equal(aimnet_model_save(m, DIRECTORY, AIMNET_FILE_SAFETENSORS, 0), AIMNET_OK);
    aimnet_model_free(m);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char config[256];
        snprintf(config, sizeof config, "{" MEMBER ", %s}", cases[i].fields);
        const aimnet_status status = load_with(config, 0, &m);
        if (status != (cases[i].good ? AIMNET_OK : AIMNET_ERR_MODEL))
            fail_msg("%s: %s", cases[i].fields, aimnet_last_error());
        if (status == AIMNET_OK)
            aimnet_model_free(m);
    }
    copy_file(MODELS "hf_base/ensemble_0.safetensors", WEIGHTS);
    install_copy(MODELS "base.pt");
}

static aimnet_status load_and_save(const aimnet_allocator *hooks, void *ctx)
{
    aimnet_model *m;
    char *text = NULL;
    aimnet_status status = aimnet_model_load(ctx, hooks, &m);
    if (status != AIMNET_OK)
        return status;
    status = aimnet_model_diff(m, m, &text);
    aimnet_model_text_free(m, text);
    aimnet_model_free(m);
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    char path[] = DIRECTORY;
    put_file(CONFIG, "{" MEMBER "}", strlen("{" MEMBER "}"));
    fail_alloc_sweep(load_and_save, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_registry_describes_what_config_json_does_not),
        cmocka_unit_test(a_complete_config_json_needs_no_registry),
        cmocka_unit_test(what_is_saved_needs_the_registry_no_more),
        cmocka_unit_test(other_fields_must_agree_with_the_registry_model),
        cmocka_unit_test(members_are_found_by_names_family_or_directory),
        cmocka_unit_test(a_file_without_its_directory_is_refused),
        cmocka_unit_test(a_damaged_registry_model_is_not_believed),
        cmocka_unit_test(only_a_v2_file_describes),
        cmocka_unit_test(absent_fields_have_their_default),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
