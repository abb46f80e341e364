/* SPDX-License-Identifier: MIT */
/* test_save.c - models written as .pt and as safetensors (src/model/save.c and the writers of
 * src/io): every golden model goes through both and comes back bit for bit, metadata included; what
 * fails leaves the old file in place. That the Python package loads such files is tested by
 * tests/reference/check_written.py, as the tests need no Python. */
#include "opened_model.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aimnet_model.h"
#include "io/json_tree.h"
#include "io/json_write.h"
#include "io/safetensors_write.h"

#define MODELS AIM_SOURCE_DIR "/tests/golden/models/"
#define TMP    AIM_TEST_TMP "/save"

static const char *const names[] = {"base",           "plain",
                                    "flat",           "nse",
                                    "nse_flat",       "pass2",
                                    "pass4",          "sr_cosine",
                                    "srrep_none",     "srrep_exp",
                                    "srrep_cosine",   "multipoles",
                                    "d3ts",           "multipoles_centred",
                                    "d3ts_nse",       "lr_simple",
                                    "lr_dsf",         "lr_dftd3",
                                    "lr_simple_full", "lr_dsf_full",
                                    "list",           "half",
                                    "bfloat16",       "double",
                                    "shift_reduce",   "mlp_options"};
enum { N_NAMES = sizeof names / sizeof *names };

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, MODELS "%s.pt", name);
    return path;
}

static aimnet_model *load(const char *path)
{
    aimnet_model *m = NULL;
    if (aimnet_model_load(path, NULL, &m) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    return m;
}

static void save(const char *from, const char *to, aimnet_file_format format)
{
    aimnet_model *m = load(from);
    if (aimnet_model_save(m, to, format, 0) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    aimnet_model_free(m);
}

/* ---------------------------------------------------------------- comparison */

static void assert_same_tensor(const aim_tensor *x, const aim_tensor *y)
{
    assert_int_equal(x->dtype, y->dtype);
    assert_int_equal(x->ndim, y->ndim);
    for (int d = 0; d < x->ndim; d++)
        assert_int_equal(x->shape[d], y->shape[d]);
    const size_t n = (size_t)x->count * aim_dtype_size(x->dtype);
    unsigned char *a = malloc(2 * n + 1);
    assert_non_null(a);
    aim_tensor_pack(x, a);
    aim_tensor_pack(y, a + n);
    assert_memory_equal(a, a + n, n);
    free(a);
}

static void assert_same_content(const char *first, const char *second)
{
    opened x, y;
    open_file(&x, first);
    open_file(&y, second);
    torch_buffer a = metadata_of(&x), b = metadata_of(&y);
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.at, b.at, a.n);
    assert_int_equal(x.content.n_tensors, y.content.n_tensors);
    for (size_t i = 0; i < x.content.n_tensors; i++) {
        const aim_tensor *s = &x.content.tensor[i], *t = &y.content.tensor[i];
        assert_int_equal(s->name.size, t->name.size);
        assert_memory_equal(s->name.text, t->name.text, s->name.size);
        assert_same_tensor(s, t);
    }
    torch_buffer_free(&a);
    torch_buffer_free(&b);
    close_file(&x);
    close_file(&y);
}

static void assert_same_bytes(const char *first, const char *second)
{
    torch_buffer a = torch_read_file(first), b = torch_read_file(second);
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.at, b.at, a.n);
    torch_buffer_free(&a);
    torch_buffer_free(&b);
}

/* ---------------------------------------------------------------- round trips */

static void every_model_goes_through_every_format_bit_for_bit(void **state)
{
    (void)state;
    for (int i = 0; i < N_NAMES; i++) {
        char from[512];
        snprintf(from, sizeof from, "%s", path_of(names[i]));
        save(from, TMP "/a.pt", AIMNET_FILE_PT);
        assert_same_content(from, TMP "/a.pt");
        save(TMP "/a.pt", TMP "/b.safetensors", AIMNET_FILE_SAFETENSORS);
        assert_same_content(from, TMP "/b.safetensors");
        save(TMP "/b.safetensors", TMP "/c.pt", AIMNET_FILE_PT);
        assert_same_bytes(TMP "/a.pt", TMP "/c.pt");
        save(TMP "/c.pt", TMP "/hf/", AIMNET_FILE_SAFETENSORS);
        assert_same_content(from, TMP "/hf");
        assert_same_bytes(TMP "/hf/config.json", TMP "/b.json");
        assert_same_bytes(TMP "/hf/ensemble_0.safetensors", TMP "/b.safetensors");
        save(TMP "/hf", TMP "/d.pt", AIMNET_FILE_PT);
        assert_same_bytes(TMP "/a.pt", TMP "/d.pt");
    }
}

/* Its metadata say 4 A, its YAML 4.6 A: the Python package loads the .pt file and refuses the same
 * as a directory. */
static void a_contradiction_that_config_json_excludes_is_not_written(void **state)
{
    (void)state;
    aimnet_model *m = load(path_of("aev"));
    assert_int_equal(aimnet_model_save(m, TMP "/aev.pt", AIMNET_FILE_PT, 0), AIMNET_OK);
    assert_int_equal(aimnet_model_save(m, TMP "/aev/", AIMNET_FILE_SAFETENSORS, 0),
                     AIMNET_ERR_MODEL);
    assert_non_null(strstr(aimnet_last_error(), "coulomb_sr_rc 4 "));
    aimnet_model_free(m);
}

/* A config.json may leave radius and envelope of the short-range Coulomb part to the YAML; a .pt file
 * may not. */
static void what_config_json_leaves_to_the_yaml_is_written(void **state)
{
    (void)state;
    static const char *const fields[] = {"  \"coulomb_sr_rc\"", "  \"coulomb_sr_envelope\""};
    save(path_of("sr_cosine"), TMP "/short/", AIMNET_FILE_SAFETENSORS);
    torch_buffer text = torch_read_file(TMP "/short/config.json");
    torch_put(&text, "", 1);
    for (int i = 0; i < 2; i++) {
        char *from = strstr((char *)text.at, fields[i]);
        assert_non_null(from);
        char *to = strchr(from, '\n');
        assert_non_null(to);
        memmove(from, to + 1, strlen(to + 1) + 1);
    }
    FILE *f = fopen(TMP "/short/config.json", "wb");
    assert_non_null(f);
    fputs((char *)text.at, f);
    fclose(f);
    torch_buffer_free(&text);
    save(TMP "/short", TMP "/short.pt", AIMNET_FILE_PT);
    aimnet_model *m = load(TMP "/short.pt");
    aimnet_model_info info;
    assert_int_equal(aimnet_model_get_info(m, &info), AIMNET_OK);
    assert_true(info.coulomb_sr_rc > 0.0);
    assert_string_equal(info.coulomb_sr_envelope, "cosine");
    aimnet_model_free(m);
}

static void the_built_in_model_and_models_from_memory_are_saved(void **state)
{
    (void)state;
    aimnet_model *m = NULL;
    save(NULL, TMP "/default.pt", AIMNET_FILE_PT);
    assert_same_content(AIM_SOURCE_DIR "/data/default.pt", TMP "/default.pt");
    torch_buffer b = torch_read_file(path_of("base"));
    assert_int_equal(aimnet_model_load_memory(b.at, b.n, "x", NULL, &m), AIMNET_OK);
    torch_buffer_free(&b);
    assert_int_equal(aimnet_model_save(m, TMP "/memory.pt", AIMNET_FILE_PT, 0), AIMNET_OK);
    aimnet_model_free(m);
    assert_same_content(path_of("base"), TMP "/memory.pt");
}

/* Entries of a written archive begin their data at multiples of 64 bytes. */
static void storages_are_aligned_and_headers_padded(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    aim_zip zip;
    save(path_of("double"), TMP "/a.pt", AIMNET_FILE_PT);
    torch_buffer b = torch_read_file(TMP "/a.pt");
    assert_int_equal(aim_zip_open(&a, b.at, b.n, &zip), AIMNET_OK);
    for (size_t i = 0; i < zip.n_entries; i++)
        assert_int_equal((zip.entry[i].data - b.at) % 64, 0);
    aim_zip_free(&zip, &a);
    torch_buffer_free(&b);
    save(path_of("base"), TMP "/b.safetensors", AIMNET_FILE_SAFETENSORS);
    opened o; /* base has float32 weights and float64 shifts */
    open_file(&o, TMP "/b.safetensors");
    const unsigned char *file = o.files.in.bytes;
    assert_int_equal(file[0] % 8, 0);
    for (size_t i = 0; i < o.content.n_tensors; i++) {
        const aim_tensor *t = &o.content.tensor[i];
        assert_int_equal((size_t)(t->data - file) % aim_dtype_size(t->dtype), 0);
    }
    close_file(&o);
}

/* ---------------------------------------------------------------- values */

static void metadata_of_every_kind_survive_json(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    static const char text[] =
        "{\n  \"a\": 1,\n  \"b\": 1.0,\n  \"c\": -5000000000,\n  \"d\": 1e-300,\n"
        "  \"e\": \"\\u00e4 \\u20ac \\ud83d\\ude00 \\\"\\\\\\n\\u0001\\u007f\",\n"
        "  \"f\": [true, false, null, [], {}, {\"x\": [0.1, 2], \"y\": {\"z\": \"\"}}]\n}\n";
    aim_pickle p;
    aim_string bytes, out = {0};
    assert_int_equal(aim_json_tree(&a, (aim_slice){text, sizeof text - 1}, "x", &p, &bytes),
                     AIMNET_OK);
    assert_int_equal(aim_json_write(&a, &p, p.root, "", &out), AIMNET_OK);
    assert_string_equal(out.data, text);
    aim_string_free(&out, &a);
    assert_int_equal(aim_json_write(&a, &p, p.root, "f", &out), AIMNET_OK);
    assert_null(strstr(out.data, "\"f\""));
    aim_string_free(&out, &a);
    aim_pickle_free(&p, &a);
    aim_string_free(&bytes, &a);
}

/* A pickle of a dictionary {"k": opcodes}. */
static aim_pickle tree_of(torch_buffer *b, const void *opcodes, size_t n)
{
    const aim_alloc a = aim_alloc_default();
    torch_pickle w;
    aim_pickle p;
    torch_begin(&w);
    torch_op(&w, '}');
    torch_text(&w, "k");
    torch_put(&w.out, opcodes, n);
    torch_put(&w.out, "s.", 2);
    *b = w.out;
    if (aim_pickle_parse(&a, b->at, b->n, &p) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    return p;
}

static void values_that_a_format_cannot_hold_are_refused(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    static const unsigned char nan[] = {'G', 0x7f, 0xf8, 0, 0, 0, 0, 0, 0};
    aim_string out = {0};
    torch_buffer b;
    aim_pickle p = tree_of(&b, nan, sizeof nan);
    assert_int_equal(aim_json_write(&a, &p, p.root, "", &out), AIMNET_ERR_MODEL);
    assert_non_null(strstr(aimnet_last_error(), "NaN"));
    aim_string_free(&out, &a);
    aim_pickle_free(&p, &a);
    torch_buffer_free(&b);
    /* a class is no plain value and left out */
    p = tree_of(&b, "ctorch\nFloatStorage\n", 20);
    assert_false(aim_pickle_is_plain(&p, p.root));
    assert_int_equal(aim_json_write(&a, &p, p.root, "", &out), AIMNET_OK);
    assert_string_equal(out.data, "{\n}\n");
    aim_pickle_out w = {.alloc = &a};
    aim_put_value(&w, &p, p.root);
    assert_int_equal(w.status, AIMNET_ERR_MODEL);
    aim_string_free(&w.bytes, &a);
    aim_string_free(&out, &a);
    aim_pickle_free(&p, &a);
    torch_buffer_free(&b);
}

/* Lists of two references to the list before: 2^16 strings unfold from a hundred bytes. */
static void shared_values_unfold_within_limits(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    torch_pickle w;
    char text[2001];
    memset(text, 'x', 2000);
    text[2000] = '\0';
    torch_begin(&w);
    torch_op(&w, '}');
    torch_text(&w, "k");
    torch_text(&w, text);
    for (int i = 0; i < 14; i++) { /* memo numbers count up; torch_text takes two of them */
        const unsigned last = w.memo - 1;
        torch_op(&w, ']');
        torch_memo(&w);
        const unsigned char twice[] = {'(', 'h', (unsigned char)last, 'h', (unsigned char)last,
                                       'e'};
        torch_put(&w.out, twice, sizeof twice);
        /* forget the value below: a tuple of both, of which the list is not the first */
        torch_put(&w.out, "\x86", 1);
        torch_memo(&w);
    }
    torch_put(&w.out, "s.", 2);
    aim_pickle p;
    if (aim_pickle_parse(&a, w.out.at, w.out.n, &p) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    aim_pickle_out out = {.alloc = &a};
    aim_put_value(&out, &p, p.root);
    assert_int_equal(out.status, AIMNET_ERR_MODEL);
    assert_non_null(strstr(aimnet_last_error(), "16"));
    aim_string_free(&out.bytes, &a);
    aim_pickle_free(&p, &a);
    torch_buffer_free(&w.out);
}

/* A description that its reader refuses is not written. */
static void json_stays_within_what_is_read(void **state)
{
    (void)state;
    enum { SIZE = 50000, TIMES = 100 };
    const aim_alloc a = aim_alloc_default();
    static char text[SIZE + 1];
    torch_pickle w;
    aim_pickle p;
    aim_string out = {0};
    memset(text, 'x', SIZE);
    torch_begin(&w);
    torch_op(&w, '}');
    torch_text(&w, "k");
    torch_put(&w.out, "](", 2);
    torch_text(&w, text);
    for (int i = 0; i < TIMES; i++)
        torch_put(&w.out, "h\1", 2);
    torch_put(&w.out, "es.", 3);
    if (aim_pickle_parse(&a, w.out.at, w.out.n, &p) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    assert_int_equal(aim_json_write(&a, &p, p.root, "", &out), AIMNET_ERR_MODEL);
    assert_non_null(strstr(aimnet_last_error(), "more than 4 MiB"));
    aim_string_free(&out, &a);
    aim_pickle_free(&p, &a);
    torch_buffer_free(&w.out);
}

/* ---------------------------------------------------------------- failures */

static void what_cannot_be_written_leaves_the_old_file(void **state)
{
    (void)state;
    aimnet_model *m = load(path_of("base"));
    assert_int_equal(aimnet_model_save(m, TMP "/none/x.pt", AIMNET_FILE_PT, 0), AIMNET_ERR_FILE);
    assert_int_equal(aimnet_model_save(m, TMP "/none/hf/", AIMNET_FILE_SAFETENSORS, 0),
                     AIMNET_ERR_FILE);
    assert_int_equal(aimnet_model_save(m, TMP, AIMNET_FILE_PT, 0), AIMNET_ERR_FILE);
    assert_int_equal(aimnet_model_save(m, TMP "/x.bin", AIMNET_FILE_SAFETENSORS, 0),
                     AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_save(m, NULL, AIMNET_FILE_PT, 0), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_save(NULL, TMP "/x", AIMNET_FILE_PT, 0), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_save(m, TMP "/x", (aimnet_file_format)7, 0), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_save(m, TMP "/x", AIMNET_FILE_PT, -1), AIMNET_ERR_ARG);
    aimnet_model_free(m);
    /* the source has gone, or is another file */
    save(path_of("base"), TMP "/gone.pt", AIMNET_FILE_PT);
    m = load(TMP "/gone.pt");
    save(path_of("plain"), TMP "/gone.pt", AIMNET_FILE_PT);
    assert_int_equal(aimnet_model_save(m, TMP "/x.pt", AIMNET_FILE_PT, 0), AIMNET_ERR_FILE);
    assert_non_null(strstr(aimnet_last_error(), "changed"));
    unlink(TMP "/gone.pt");
    assert_int_equal(aimnet_model_save(m, TMP "/x.pt", AIMNET_FILE_PT, 0), AIMNET_ERR_FILE);
    assert_int_not_equal(access(TMP "/x.pt", F_OK), 0);
    aimnet_model_free(m);
}

static void names_that_a_header_would_escape_are_refused(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    static const char *const bad[] = {"a\"b", "a\\b"};
    for (int i = 0; i < 2; i++) {
        const unsigned char value[4] = {0};
        const aim_tensor t = {.name = {bad[i], 3}, .count = 1, .data = value};
        aim_outfile out;
        assert_int_equal(aim_outfile_open(&out, &a, TMP "/bad.safetensors"), AIMNET_OK);
        assert_int_equal(aim_safetensors_write(&a, &out, &t, 1), AIMNET_ERR_MODEL);
        aim_outfile_close(&out);
    }
}

static aimnet_status load_and_save(const aimnet_allocator *hooks, void *ctx)
{
    aimnet_model *m = NULL;
    const aimnet_file_format format = *(const aimnet_file_format *)ctx;
    aimnet_status status = aimnet_model_load(MODELS "base.pt", hooks, &m);
    if (status == AIMNET_OK)
        status =
            aimnet_model_save(m, format == AIMNET_FILE_PT ? TMP "/oom.pt" : TMP "/oom/", format, 0);
    aimnet_model_free(m);
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    aimnet_file_format format = AIMNET_FILE_PT;
    assert_true(fail_alloc_sweep(load_and_save, &format) > 30);
    format = AIMNET_FILE_SAFETENSORS;
    assert_true(fail_alloc_sweep(load_and_save, &format) > 30);
}

static int make_folder(void **state)
{
    (void)state;
    mkdir(AIM_TEST_TMP, 0777);
    mkdir(TMP, 0777);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_model_goes_through_every_format_bit_for_bit),
        cmocka_unit_test(a_contradiction_that_config_json_excludes_is_not_written),
        cmocka_unit_test(what_config_json_leaves_to_the_yaml_is_written),
        cmocka_unit_test(the_built_in_model_and_models_from_memory_are_saved),
        cmocka_unit_test(storages_are_aligned_and_headers_padded),
        cmocka_unit_test(metadata_of_every_kind_survive_json),
        cmocka_unit_test(values_that_a_format_cannot_hold_are_refused),
        cmocka_unit_test(shared_values_unfold_within_limits),
        cmocka_unit_test(json_stays_within_what_is_read),
        cmocka_unit_test(what_cannot_be_written_leaves_the_old_file),
        cmocka_unit_test(names_that_a_header_would_escape_are_refused),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
