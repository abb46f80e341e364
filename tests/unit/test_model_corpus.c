/* SPDX-License-Identifier: MIT */
/* test_model_corpus.c - damaged model files, made here from a good one: each is refused with a
 * message or gives the very same model. And what inspection says, and failing allocations. */
#include "model_file.h"

#include <stdio.h>
#include <jansson.h>

#include "aimnet_model.h"
#include "model/model.h"
#include "model/sha256.h"

static aim_status load(const void *bytes, size_t size, aimnet_model **m)
{
    const aim_status status = aimnet_model_load_memory(bytes, size, "damaged", NULL, m);
    assert_true(status == AIMNET_OK || status == AIMNET_ERR_FORMAT || status == AIMNET_ERR_MODEL);
    assert_int_equal(*m == NULL, status != AIMNET_OK);
    if (status != AIMNET_OK)
        assert_ptr_equal(strstr(aimnet_last_error(), "damaged: "), aimnet_last_error());
    return status;
}

/* Numbers of one layer, added up in a fixed order with the places as weights. */
static double fingerprint_floats(const float *x, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; x && i < n; i++)
        sum += (double)x[i] * (double)(i % 1009 + 1);
    return sum;
}

static double fingerprint(const aim_model *m)
{
    double sum = m->cutoff + m->rc + m->eta + (double)m->n_outputs;
    sum += fingerprint_floats(m->afv, 64 * 16) + fingerprint_floats(m->shifts, (size_t)m->nshifts);
    for (int p = 0; p < m->n_pass; p++)
        for (int i = 0; i < m->mlp[p].n_layers; i++) {
            const aim_linear *l = &m->mlp[p].layer[i];
            sum += fingerprint_floats(l->weight, (size_t)l->n_in * (size_t)l->n_out);
            sum += fingerprint_floats(l->bias, (size_t)l->n_out);
        }
    for (int i = 0; i < m->n_outputs; i++)
        for (int z = 0; m->output[i].shift && z < m->output[i].n_table; z++)
            sum += m->output[i].shift[z];
    return sum;
}

static double good_fingerprint(const torch_buffer *file)
{
    aimnet_model *m = NULL;
    assert_int_equal(load(file->at, file->n, &m), AIMNET_OK);
    const double sum = fingerprint(m);
    aimnet_model_free(m);
    return sum;
}

static torch_buffer golden(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/models/%s.pt", AIM_SOURCE_DIR, name);
    return torch_read_file(path);
}

/* ---------------------------------------------------------------- damaged bytes */

static void a_file_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    torch_buffer file = golden("pass2");
    for (size_t n = 0; n < file.n; n++) {
        unsigned char *exact = malloc(n ? n : 1); /* so that reading behind the end is seen */
        aimnet_model *m = NULL;
        memcpy(exact, file.at, n);
        assert_int_not_equal(load(exact, n, &m), AIMNET_OK);
        free(exact);
    }
    torch_buffer_free(&file);
}

static void a_flipped_bit_is_refused_or_changes_nothing(void **state)
{
    (void)state;
    torch_buffer file = golden("pass2");
    const double good = good_fingerprint(&file);
    for (size_t bit = 0; bit < 8 * file.n; bit += 5) { /* every bit's place in the byte occurs */
        aimnet_model *m = NULL;
        file.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
        if (load(file.at, file.n, &m) == AIMNET_OK)
            assert_true(fingerprint(m) == good);
        aimnet_model_free(m);
        file.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    torch_buffer_free(&file);
}

/* The checksums are right, so that the pickle machine and all checks behind it see the damage. */
static void a_damaged_pickle_never_harms(void **state)
{
    (void)state;
    static const uint32_t extremes[] = {0, 1, 0xfffffffe, 0xffffffff};
    model_file f;
    size_t accepted = 0;
    model_file_open(&f, "pass2");
    torch_buffer pickle = model_file_pickle(&f);
    for (size_t at = 0; at + 4 <= pickle.n; at++)
        for (size_t k = 0; k < 6; k++) {
            unsigned char saved[4];
            aimnet_model *m = NULL;
            memcpy(saved, pickle.at + at, 4);
            if (k < 2)
                pickle.at[at] ^= (unsigned char)(1u << (3 * at + 4 * k) % 8);
            else
                memcpy(pickle.at + at, &extremes[k - 2], 4);
            torch_buffer file = model_file_archive(&f, &pickle);
            accepted += load(file.at, file.n, &m) == AIMNET_OK;
            aimnet_model_free(m);
            torch_buffer_free(&file);
            memcpy(pickle.at + at, saved, 4);
        }
    assert_true(accepted > 0 && accepted < pickle.n);
    torch_buffer_free(&pickle);
    model_file_close(&f);
}

static void a_damaged_yaml_never_harms(void **state)
{
    (void)state;
    static const char bytes[] = " \n:-[]{}&*!|>'\"%@`0#,?\t~\x80";
    model_file f;
    model_file_open(&f, "d3ts");
    const size_t n = strlen(f.yaml);
    for (size_t at = 0; at < n; at++) {
        aimnet_model *m = NULL;
        const char saved = f.yaml[at];
        f.yaml[at] = bytes[at * 7 % (sizeof bytes - 1)];
        torch_buffer file = model_file_bytes(&f);
        (void)load(file.at, file.n, &m);
        aimnet_model_free(m);
        torch_buffer_free(&file);
        f.yaml[at] = saved;
    }
    model_file_close(&f);
}

/* ---------------------------------------------------------------- memory */

static aimnet_status load_and_describe(const aimnet_allocator *hooks, void *ctx)
{
    const torch_buffer *file = ctx;
    aimnet_model *m = NULL;
    char *text = NULL;
    aim_status status = aimnet_model_load_memory(file->at, file->n, "x", hooks, &m);
    for (int what = 0; what <= AIMNET_DESCRIBE_YAML && status == AIMNET_OK; what++) {
        status = aimnet_model_describe(m, (aimnet_describe)what, &text);
        aimnet_model_text_free(m, text);
    }
    aimnet_model_free(m);
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    static const char *const names[] = {"base", "d3ts_nse", "lr_dftd3"};
    for (int i = 0; i < 3; i++) {
        torch_buffer file = golden(names[i]);
        if (i == 0)
            assert_true(fail_alloc_sweep(load_and_describe, &file) > 20);
        else
            assert_true(fail_alloc_sweep_mode(load_and_describe, &file, 1) > 20);
        torch_buffer_free(&file);
    }
}

static void loading_holds_the_weights_once_and_the_file_at_most_once(void **state)
{
    (void)state;
    const size_t size = 3530112;
    for (int from_file = 0; from_file < 2; from_file++) {
        fail_alloc f;
        aimnet_model *m = NULL;
        fail_alloc_init(&f, 0, 0);
        const char *path = from_file ? AIM_SOURCE_DIR "/data/default.pt" : NULL;
        assert_int_equal(aimnet_model_load(path, &f.hooks, &m), AIMNET_OK);
        assert_true(f.peak_bytes < size * 11 / 10 + (from_file ? size : 0));
        assert_true(f.live_bytes < size * 11 / 10);
        aimnet_model_free(m);
        fail_alloc_assert_clean(&f);
    }
}

/* ---------------------------------------------------------------- files and arguments */

static void files_that_cannot_be_models_are_refused_with_their_name(void **state)
{
    (void)state;
    aimnet_model *m = NULL;
    assert_int_equal(aimnet_model_load("/nonexistent/model.pt", NULL, &m), AIMNET_ERR_FILE);
    assert_non_null(strstr(aimnet_last_error(), "/nonexistent/model.pt: cannot open it"));
    assert_int_equal(aimnet_model_load(AIM_SOURCE_DIR, NULL, &m), AIMNET_ERR_FILE);
    assert_int_equal(aimnet_model_load("/dev/null", NULL, &m), AIMNET_ERR_FILE);
    assert_int_equal(aimnet_model_load("/dev/zero", NULL, &m), AIMNET_ERR_FILE);
    assert_int_equal(aimnet_model_load(AIM_SOURCE_DIR "/LICENSE", NULL, &m), AIMNET_ERR_FORMAT);
    assert_non_null(strstr(aimnet_last_error(), "LICENSE: not a model file"));
    assert_null(m);
}

static void null_arguments_are_refused(void **state)
{
    (void)state;
    aimnet_model *m = NULL;
    aimnet_model_info info;
    char *text = NULL;
    assert_int_equal(aimnet_model_load(NULL, NULL, NULL), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_load_memory(NULL, 5, "x", NULL, &m), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_load_memory("x", 1, "x", NULL, NULL), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_get_info(NULL, &info), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_describe(NULL, AIMNET_DESCRIBE_TREE, &text), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_sha256(NULL, NULL), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_tensor_count(NULL), 0);
    aimnet_model_free(NULL);
    aimnet_model_text_free(NULL, NULL);
    assert_int_equal(aimnet_model_load(NULL, NULL, &m), AIMNET_OK);
    assert_int_equal(aimnet_model_describe(m, (aimnet_describe)77, &text), AIMNET_ERR_ARG);
    aimnet_model_free(m);
}

/* ---------------------------------------------------------------- inspection */

static json_t *describe(const char *name)
{
    torch_buffer file = golden(name);
    aimnet_model *m = NULL;
    char *text = NULL;
    json_error_t error;
    assert_int_equal(load(file.at, file.n, &m), AIMNET_OK);
    assert_int_equal(aimnet_model_describe(m, AIMNET_DESCRIBE_JSON, &text), AIMNET_OK);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fail_msg("%s: %s", name, error.text);
    aimnet_model_text_free(m, text);
    aimnet_model_free(m);
    torch_buffer_free(&file);
    return root;
}

static void json_is_valid_and_has_all_keys_for_every_model(void **state)
{
    (void)state;
    static const char *const names[] = {"base",       "plain",
                                        "flat",       "nse",
                                        "nse_flat",   "pass2",
                                        "pass4",      "aev",
                                        "sr_cosine",  "srrep_none",
                                        "srrep_exp",  "srrep_cosine",
                                        "multipoles", "multipoles_centred",
                                        "d3ts",       "d3ts_nse",
                                        "lr_simple",  "lr_simple_full",
                                        "lr_dsf",     "lr_dsf_full",
                                        "lr_dftd3",   "shift_reduce",
                                        "list",       "mlp_options",
                                        "half",       "bfloat16",
                                        "double"};
    static const char *const keys[] = {"name",       "format",   "size",         "sha256",
                                       "parameters", "metadata", "architecture", "tensors",
                                       "elements",   "attaches", "ignored"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *root = describe(names[i]);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            assert_non_null(json_object_get(root, keys[k]));
        assert_int_equal(json_array_size(json_object_get(root, "elements")), 14);
        assert_int_equal(json_array_size(json_object_get(root, "attaches")), 2);
        assert_int_equal(strlen(json_string_value(json_object_get(root, "sha256"))), 64);
        json_decref(root);
    }
}

static void json_tells_what_is_attached_and_why(void **state)
{
    (void)state;
    json_t *root = describe("base");
    const json_t *coulomb = json_array_get(json_object_get(root, "attaches"), 0);
    assert_string_equal(json_string_value(json_object_get(coulomb, "part")), "coulomb");
    assert_true(json_is_true(json_object_get(coulomb, "attached")));
    assert_non_null(strstr(json_string_value(json_object_get(coulomb, "why")), "short-range"));
    const json_t *outputs = json_object_get(json_object_get(root, "architecture"), "outputs");
    const json_t *sr = json_array_get(outputs, 3);
    assert_string_equal(json_string_value(json_object_get(sr, "class")), "SRCoulomb");
    assert_true(json_real_value(json_object_get(sr, "rc")) == 4.6);
    const json_t *d3 = json_object_get(json_object_get(root, "metadata"), "d3_params");
    assert_true(json_real_value(json_object_get(d3, "a2")) == 3.128);
    json_decref(root);
}

/* Digests of FIPS 180-4's examples and of lengths around the block size, from sha256sum. */
static void sha256_is_that_of_the_standard(void **state)
{
    (void)state;
    static const char *const digests[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    char hex[65];
    for (int i = 0; i < 3; i++) {
        aim_sha256((const unsigned char *)digests[i][0], strlen(digests[i][0]), hex);
        assert_string_equal(hex, digests[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_cut_at_any_byte_is_refused),
        cmocka_unit_test(a_flipped_bit_is_refused_or_changes_nothing),
        cmocka_unit_test(a_damaged_pickle_never_harms),
        cmocka_unit_test(a_damaged_yaml_never_harms),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(loading_holds_the_weights_once_and_the_file_at_most_once),
        cmocka_unit_test(files_that_cannot_be_models_are_refused_with_their_name),
        cmocka_unit_test(null_arguments_are_refused),
        cmocka_unit_test(json_is_valid_and_has_all_keys_for_every_model),
        cmocka_unit_test(json_tells_what_is_attached_and_why),
        cmocka_unit_test(sha256_is_that_of_the_standard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
