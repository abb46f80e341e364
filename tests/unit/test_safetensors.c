/* SPDX-License-Identifier: MIT */
/* test_safetensors.c - files of named tensors (src/io/safetensors.c), and models read from them:
 * files made by the safetensors package (tests/reference/make_formats.py), headers case by case,
 * damage of every kind. */
#include "torch_writer.h"

#include <stdio.h>

#include "aimnet_model.h"
#include "io/safetensors.h"
#include "model/model.h"

#define MODELS AIM_SOURCE_DIR "/tests/golden/models/"

static torch_buffer file_of(const char *header, size_t data)
{
    torch_buffer b = {0};
    torch_put_le(&b, strlen(header), 8);
    torch_put(&b, header, strlen(header));
    for (size_t i = 0; i < data; i++)
        torch_put_le(&b, i, 1);
    return b;
}

static void read_names_types_and_shapes(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    torch_buffer b = file_of(
        "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],"
        "\"data_offsets\":[8,32]},\"a\":{\"shape\":[],\"data_offsets\":[0,8],\"dtype\":\"F64\"},"
        "\"e\":{\"dtype\":\"U8\",\"shape\":[0,7],\"data_offsets\":[32,32]},\"c\":{\"dtype\":"
        "\"BOOL\",\"shape\":[1],\"data_offsets\":[32,33]}}   ",
        33);
    aim_safetensors st;
    assert_true(aim_safetensors_probe(b.at, b.n));
    if (aim_safetensors_open(&a, b.at, b.n, &st) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    assert_int_equal(st.n_tensors, 4);
    assert_int_equal(st.tensor[0].dtype, AIM_FLOAT32);
    assert_int_equal(st.tensor[0].shape[1], 3);
    assert_int_equal(st.tensor[0].stride[0], 3);
    assert_int_equal(st.tensor[0].data[0], 8);
    assert_int_equal(st.tensor[1].ndim, 0);
    assert_int_equal(st.tensor[1].count, 1);
    assert_int_equal(st.tensor[2].count, 0);
    assert_int_equal(aim_names_find(&st.names, (aim_slice){"c", 1}), 3);
    aim_safetensors_free(&st, &a);
    torch_buffer_free(&b);
}

/* A length below 2^48 and a brace. */
static void other_beginnings_are_not_taken_for_safetensors(void **state)
{
    (void)state;
    unsigned char start[9] = {2, 0, 0, 0, 0, 0, 0, 0, '{'};
    assert_true(aim_safetensors_probe(start, 9));
    assert_false(aim_safetensors_probe(start, 8));
    for (int i = 6; i < 8; i++) {
        start[i] = 1;
        assert_false(aim_safetensors_probe(start, 9));
        start[i] = 0;
    }
    start[8] = '[';
    assert_false(aim_safetensors_probe(start, 9));
}

/* 60 MB of header: within its limit, but with one tensor more than 2^20. */
static void a_million_tensors_is_the_limit(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    torch_buffer b = {0};
    aim_safetensors st;
    char entry[96];
    torch_put_le(&b, 0, 8);
    for (int i = 0; i <= 1 << 20; i++) {
        const int n = snprintf(entry, sizeof entry,
                               "%c\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                               i ? ',' : '{', i);
        torch_put(&b, entry, (size_t)n);
    }
    torch_put(&b, "}", 1);
    const size_t header = b.n - 8;
    b.n = 0;
    torch_put_le(&b, header, 8);
    b.n += header;
    assert_int_equal(aim_safetensors_open(&a, b.at, b.n, &st), AIMNET_ERR_FORMAT);
    assert_non_null(strstr(aimnet_last_error(), "more than a million tensors"));
    torch_buffer_free(&b);
}

#define T(name, offsets)                                                                           \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" offsets "}"

static const struct {
    const char *header, *why;
    size_t data;
} refused[] = {
    {"{}", "belong to no tensor", 1},
    {"[]", "must be an object", 0},
    {"{" T("a", "[0,8]") "} 1", "follows the end", 8},
    {"{" T("a", "[0,8]") "," T("a", "[8,16]") "}", "'a' occurs twice", 16},
    {"{" T("a", "[0,8]") "," T("b", "[4,12]") "}", "neither overlap nor leave holes", 12},
    {"{" T("a", "[0,8]") "," T("b", "[0,8]") "}", "neither overlap nor leave holes", 8},
    {"{" T("a", "[0,8]") "," T("b", "[9,17]") "}", "neither overlap nor leave holes", 17},
    {"{" T("a", "[1,9]") "}", "neither overlap nor leave holes", 9},
    {"{" T("a", "[0,8]") "}", "belong to no tensor", 9},
    {"{" T("a", "[0,8]") "}", "in a file with 7 bytes", 7},
    {"{" T("a", "[8,0]") "}", "data_offsets [8, 0]", 8},
    {"{" T("a", "[0,12]") "}", "2 elements of float32 are not 12 bytes", 12},
    {"{" T("a", "[0,4]") "}", "2 elements in a storage with room for 1", 4},
    {"{" T("a", "[0,9]") "}", "are not 9 bytes", 9},
    {"{" T("a", "[0,8,8]") "}", "short list", 8},
    {"{" T("a", "[0]") "}", "two data_offsets", 8},
    {"{" T("a", "[-8,0]") "}", "from 0 on", 8},
    {"{" T("a", "[0.0,8]") "}", "from 0 on", 8},
    {"{" T("a", "8") "}", "short list", 8},
    {"{" T("a b", "[0,8]") "}", "spaces", 8},
    {"{" T("a\\u0062", "[0,8]") "}", "escapes", 8},
    {"{\"a\":1}", "must be an object of dtype", 0},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0]}}", "lacks", 0},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", "each once", 0},
    {"{\"a\":{\"other\":1}}", "nothing else", 0},
    {"{\"a\":{\"dtype\":\"F8_E4M3\"}}", "type 'F8_E4M3'", 0},
    {"{\"a\":{\"dtype\":5}}", "dtype must be a string", 0},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}",
     "short list", 4},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}",
     "overflows", 0},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,8],\"data_offsets\":[0,0]}}",
     "overflows", 0},
    {"{\"__metadata__\":1}", "strings to strings", 0},
    {"{\"__metadata__\":{\"a\":1}}", "strings to strings", 0},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", "occurs twice", 0},
    {"{\"a\":", "not a JSON value", 0},
};

static void malformed_headers_are_refused_by_name(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        torch_buffer b = file_of(refused[i].header, refused[i].data);
        aim_safetensors st;
        if (aim_safetensors_open(&a, b.at, b.n, &st) != AIMNET_ERR_FORMAT ||
            !strstr(aimnet_last_error(), refused[i].why))
            fail_msg("%s: \"%s\" does not say \"%s\"", refused[i].header, aimnet_last_error(),
                     refused[i].why);
        assert_null(st.tensor);
        torch_buffer_free(&b);
    }
}

static void the_header_lies_within_the_file_and_the_limit(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    const uint64_t lengths[] = {0, 1, 3, 100000001, UINT64_MAX, UINT64_MAX - 7, 1ULL << 63};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        torch_buffer b = {0};
        aim_safetensors st;
        torch_put_le(&b, lengths[i], 8);
        torch_put(&b, "{}", 2);
        assert_int_equal(aim_safetensors_open(&a, b.at, b.n, &st), AIMNET_ERR_FORMAT);
        assert_non_null(strstr(aimnet_last_error(), "header of"));
        torch_buffer_free(&b);
    }
}

/* ---------------------------------------------------------------- models */

static aimnet_model *load(const char *path)
{
    aimnet_model *m = NULL;
    if (aimnet_model_load(path, NULL, &m) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    return m;
}

/* All metadata and all weights: both blocks of weights are laid out by the same architecture. */
static void assert_same_model(const aimnet_model *x, const aimnet_model *y)
{
    char *tx = NULL, *ty = NULL;
    const aim_model *a = x, *b = y;
    assert_string_equal(a->yaml, b->yaml);
    assert_int_equal(aimnet_model_describe(x, AIMNET_DESCRIBE_METADATA, &tx), AIMNET_OK);
    assert_int_equal(aimnet_model_describe(y, AIMNET_DESCRIBE_METADATA, &ty), AIMNET_OK);
    assert_string_equal(tx, ty);
    aimnet_model_text_free(x, tx);
    aimnet_model_text_free(y, ty);
    assert_true(a->rc == b->rc && a->eta == b->eta);
    assert_memory_equal(a->afv, b->afv,
                        (size_t)(64 * a->nfeature * (a->d2features ? a->nshifts : 1)) * 4);
    for (int p = 0; p < a->n_pass; p++)
        for (int l = 0; l < a->mlp[p].n_layers; l++) {
            const aim_linear *s = &a->mlp[p].layer[l], *t = &b->mlp[p].layer[l];
            assert_memory_equal(s->weight, t->weight, (size_t)s->n_in * (size_t)s->n_out * 4);
            assert_memory_equal(s->bias, t->bias, (size_t)s->n_out * 4);
        }
}

static void a_directory_gives_the_same_model_as_the_pt_file(void **state)
{
    (void)state;
    aimnet_model *pt = load(MODELS "base.pt");
    static const char *const paths[] = {MODELS "hf_base", MODELS "hf_base/",
                                        MODELS "hf_base/ensemble_0.safetensors"};
    for (int i = 0; i < 3; i++) {
        aimnet_model *hf = load(paths[i]);
        aimnet_model_info info;
        assert_int_equal(aimnet_model_get_info(hf, &info), AIMNET_OK);
        assert_string_equal(info.format, "safetensors");
        assert_string_equal(info.name, paths[i]);
        assert_same_model(pt, hf);
        aimnet_model_free(hf);
    }
    aimnet_model_free(pt);
}

static void members_and_descriptions_can_be_chosen(void **state)
{
    (void)state;
    aimnet_load_options o = aimnet_load_options_default();
    aimnet_model *m = NULL, *n = NULL;
    o.member = 1;
    assert_int_equal(aimnet_model_load_with(MODELS "hf_base", &o, NULL, &m), AIMNET_OK);
    o.member = 0;
    o.config = MODELS "hf_base/config.json";
    assert_int_equal(aimnet_model_load_with(MODELS "hf_base/ensemble_0.safetensors", &o, NULL, &n),
                     AIMNET_OK);
    const aim_model *a = m, *b = n;
    assert_true(a->mlp[0].layer[0].weight[0] != b->mlp[0].layer[0].weight[0]);
    aimnet_model_free(m);
    aimnet_model_free(n);
    o = aimnet_load_options_default();
    o.member = 2;
    assert_int_equal(aimnet_model_load_with(MODELS "hf_base", &o, NULL, &m), AIMNET_ERR_FILE);
    assert_non_null(strstr(aimnet_last_error(), "ensemble_2.safetensors"));
    o.member = -1;
    assert_int_equal(aimnet_model_load_with(MODELS "hf_base", &o, NULL, &m), AIMNET_ERR_ARG);
    o.struct_size = 0;
    assert_int_equal(aimnet_model_load_with(MODELS "hf_base", &o, NULL, &m), AIMNET_ERR_ARG);
    o.struct_size = 4096;
    assert_int_equal(aimnet_model_load_with(MODELS "hf_base", &o, NULL, &m), AIMNET_ERR_ARG);
    assert_null(m);
}

/* A model of the weights in hf_base with another description. */
static aim_status build_with(const char *config, aim_model **m)
{
    const aim_alloc a = aim_alloc_default();
    torch_buffer w = torch_read_file(MODELS "hf_base/ensemble_0.safetensors");
    const aim_model_bytes in = {.bytes = w.at,
                                .size = w.n,
                                .config = (const unsigned char *)config,
                                .config_size = config ? strlen(config) : 0,
                                .config_name = "config.json"};
    const aim_status status = aim_model_build(&a, &in, "x", m);
    torch_buffer_free(&w);
    return status;
}

static char *changed_config(const char *from, const char *to)
{
    torch_buffer c = torch_read_file(MODELS "hf_base/config.json");
    torch_put(&c, "", 1);
    char *text = (char *)c.at, *at = strstr(text, from);
    if (!at)
        fail_msg("the configuration has no %s", from);
    const size_t size = c.n + strlen(to);
    char *out = malloc(size);
    assert_non_null(out);
    snprintf(out, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    torch_buffer_free(&c);
    return out;
}

static void a_description_may_leave_the_short_range_to_the_yaml(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *why;
    } cases[] = {
        {"\"coulomb_sr_rc\": 4.6", "\"coulomb_sr_rc\": null", NULL},
        {"\"coulomb_sr_envelope\": \"exp\", ", "", NULL},
        {"\"coulomb_sr_rc\": 4.6", "\"coulomb_sr_rc\": 4.5", "is not the rc of SRCoulomb"},
        {"\"coulomb_sr_envelope\": \"exp\"", "\"coulomb_sr_envelope\": \"cosine\"",
         "is not that of SRCoulomb"},
        {"\"model_yaml\"", "\"model\"", "no 'model_yaml'"},
        {"\"cutoff\": 5.0", "\"cutoff\": \"5.0\"", "'cutoff' must be"},
        {"\"cutoff\": 5.0", "\"cutoff\": 5.0, \"cutoff\": 5.0", "occurs twice"},
        {"\"format_version\": 2", "\"format_version\": 1", "'format_version' must be"},
        {"\"format_version\": 2", "\"format_version\": true", "'format_version' must be"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *config = changed_config(cases[i].from, cases[i].to);
        aim_model *m = NULL;
        const aim_status status = build_with(config, &m);
        if (cases[i].why ? status == AIMNET_OK || !strstr(aimnet_last_error(), cases[i].why)
                         : status != AIMNET_OK)
            fail_msg("%s: status %d, %s", cases[i].to, status, aimnet_last_error());
        if (m)
            assert_true(m->coulomb_sr_rc == 4.6 && strcmp(m->coulomb_sr_envelope, "exp") == 0);
        aim_model_free(m);
        free(config);
    }
    aim_model *m = NULL;
    assert_int_equal(build_with(NULL, &m), AIMNET_ERR_MODEL);
    assert_non_null(strstr(aimnet_last_error(), "config.json"));
}

/* ---------------------------------------------------------------- damage */

static void cut_or_flipped_headers_are_refused_or_change_nothing(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    torch_buffer b = torch_read_file(MODELS "hf_base/ensemble_0.safetensors");
    aim_safetensors st;
    for (size_t n = 0; n < b.n; n++) {
        unsigned char *copy = malloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, b.at, n);
        assert_int_equal(aim_safetensors_open(&a, copy, n, &st), AIMNET_ERR_FORMAT);
        free(copy);
    }
    const size_t header = 8 + (size_t)(b.at[0] | b.at[1] << 8);
    for (size_t bit = 0; bit < 8 * header; bit++) {
        b.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
        if (aim_safetensors_open(&a, b.at, b.n, &st) == AIMNET_OK) {
            size_t bytes = 0;
            for (size_t i = 0; i < st.n_tensors; i++)
                bytes += (size_t)st.tensor[i].count * aim_dtype_size(st.tensor[i].dtype);
            assert_true(bytes == b.n - header);
        }
        aim_safetensors_free(&st, &a);
        b.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    torch_buffer_free(&b);
}

static aimnet_status load_and_free(const aimnet_allocator *hooks, void *ctx)
{
    aimnet_model *m = NULL;
    const aimnet_status status = aimnet_model_load(ctx, hooks, &m);
    aimnet_model_free(m);
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    char path[] = MODELS "hf_base/ensemble_0.safetensors";
    assert_true(fail_alloc_sweep(load_and_free, path) > 20);
}

/* The header that costs most: tensors without elements. */
static void memory_is_a_small_multiple_of_the_file(void **state)
{
    (void)state;
    torch_buffer text = {0};
    char entry[128];
    for (int i = 0; i < 20000; i++) {
        const int n = snprintf(entry, sizeof entry,
                               "%c\"%x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                               i ? ',' : '{', (unsigned)i);
        torch_put(&text, entry, (size_t)n);
    }
    torch_put(&text, "}", 2);
    torch_buffer b = file_of((const char *)text.at, 0);
    fail_alloc f;
    aim_safetensors st;
    fail_alloc_init(&f, 0, 0);
    assert_int_equal(aim_safetensors_open(&f.hooks, b.at, b.n, &st), AIMNET_OK);
    assert_int_equal(st.n_tensors, 20000);
    assert_true(f.peak_bytes < 12 * b.n);
    aim_safetensors_free(&st, &f.hooks);
    fail_alloc_assert_clean(&f);
    torch_buffer_free(&b);
    torch_buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_beginnings_are_not_taken_for_safetensors),
        cmocka_unit_test(a_million_tensors_is_the_limit),
        cmocka_unit_test(read_names_types_and_shapes),
        cmocka_unit_test(malformed_headers_are_refused_by_name),
        cmocka_unit_test(the_header_lies_within_the_file_and_the_limit),
        cmocka_unit_test(a_directory_gives_the_same_model_as_the_pt_file),
        cmocka_unit_test(members_and_descriptions_can_be_chosen),
        cmocka_unit_test(a_description_may_leave_the_short_range_to_the_yaml),
        cmocka_unit_test(cut_or_flipped_headers_are_refused_or_change_nothing),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(memory_is_a_small_multiple_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
