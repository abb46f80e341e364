/* SPDX-License-Identifier: MIT */
/* test_pt.c - from archives to named tensors (src/io/pt.c, src/io/tensor.c): storages, shapes,
 * strides, types, and files of other kinds. */
#include "torch_writer.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "io/pt.h"

/* An archive with a state_dict of the given tensors and storages "0", "1", ... of the given sizes.
 */
typedef struct sample {
    torch_tensor tensor[8];
    const char *name[8];
    int n_tensors;
    const void *storage[8];
    size_t storage_size[8];
    int n_storages;
    const char *byteorder; /* NULL: "little"; "": no record */
} sample;

static const float numbers[24] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                  12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};

static sample one_tensor(torch_tensor t)
{
    return (sample){.tensor = {t},
                    .name = {"w"},
                    .n_tensors = 1,
                    .storage = {numbers},
                    .storage_size = {sizeof numbers},
                    .n_storages = 1};
}

static torch_buffer state_dict_pickle(const sample *s)
{
    torch_pickle p;
    torch_begin(&p);
    torch_op(&p, '}');
    torch_memo(&p);
    torch_text(&p, "state_dict");
    torch_ordered_dict(&p);
    torch_op(&p, '(');
    for (int i = 0; i < s->n_tensors; i++) {
        torch_text(&p, s->name[i]);
        torch_tensor_value(&p, &s->tensor[i]);
    }
    torch_op(&p, 'u');
    torch_op(&p, 's');
    torch_op(&p, '.');
    return p.out;
}

static torch_buffer archive(const sample *s, const torch_buffer *pickle)
{
    torch_zip z = {.descriptor = 1};
    torch_zip_add(&z, "m/data.pkl", pickle->at, pickle->n);
    if (!s->byteorder || s->byteorder[0])
        torch_zip_text(&z, "m/byteorder", s->byteorder ? s->byteorder : "little");
    for (int i = 0; i < s->n_storages; i++) {
        char name[32];
        snprintf(name, sizeof name, "m/data/%d", i);
        torch_zip_add(&z, name, s->storage[i], s->storage_size[i]);
    }
    torch_zip_text(&z, "m/version", "3\n");
    torch_zip_text(&z, "m/.data/serialization_id", "1234");
    torch_zip_finish(&z);
    return z.file;
}

static torch_buffer written(const sample *s)
{
    torch_buffer pickle = state_dict_pickle(s);
    const torch_buffer file = archive(s, &pickle);
    torch_buffer_free(&pickle);
    return file;
}

typedef struct opened {
    aim_torch archive;
    aim_pt pt;
} opened;

static aim_status open_bytes(const aim_alloc *a, const torch_buffer *file, opened *o)
{
    *o = (opened){0};
    AIM_TRY(aim_torch_open(a, file->at, file->n, &o->archive));
    const aim_status status = aim_pt_open(a, &o->archive, &o->pt);
    if (status != AIMNET_OK)
        aim_torch_free(&o->archive, a);
    return status;
}

static void close_bytes(const aim_alloc *a, opened *o)
{
    aim_pt_free(&o->pt, a);
    aim_torch_free(&o->archive, a);
}

static aim_status open_sample(const sample *s, torch_buffer *file, opened *o)
{
    const aim_alloc a = aim_alloc_default();
    *file = written(s);
    return open_bytes(&a, file, o);
}

static void close_sample(torch_buffer *file, opened *o)
{
    const aim_alloc a = aim_alloc_default();
    close_bytes(&a, o);
    torch_buffer_free(file);
}

static void assert_says(const char *why)
{
    if (!strstr(aimnet_last_error(), why))
        fail_msg("\"%s\" does not say \"%s\"", aimnet_last_error(), why);
}

static void assert_refused(const sample *s, aim_status expected, const char *why)
{
    torch_buffer file;
    opened o;
    assert_int_equal(open_sample(s, &file, &o), expected);
    assert_says(why);
    close_sample(&file, &o);
}

static void assert_floats(const sample *s, int n, const float *expected)
{
    torch_buffer file;
    opened o;
    float out[24];
    assert_int_equal(open_sample(s, &file, &o), AIMNET_OK);
    assert_int_equal(o.pt.n_tensors, s->n_tensors);
    assert_int_equal(o.pt.tensor[0].count, n);
    assert_int_equal(aim_tensor_to_float(&o.pt.tensor[0], out), AIMNET_OK);
    assert_memory_equal(out, expected, (size_t)n * sizeof *out);
    close_sample(&file, &o);
}

/* ---------------------------------------------------------------- shapes and strides */

static void contiguous_and_strided_tensors_are_gathered(void **state)
{
    (void)state;
    const struct {
        torch_tensor t;
        int n;
        float expected[24];
    } cases[] = {
        {{"FloatStorage", "0", 24, 0, 0, {0}, {0}}, 1, {0}},
        {{"FloatStorage", "0", 24, 5, 1, {3}, {1}}, 3, {5, 6, 7}},
        {{"FloatStorage", "0", 24, 1, 1, {3}, {7}}, 3, {1, 8, 15}},
        {{"FloatStorage", "0", 24, 0, 2, {2, 3}, {3, 1}}, 6, {0, 1, 2, 3, 4, 5}},
        {{"FloatStorage", "0", 24, 0, 2, {3, 2}, {1, 3}}, 6, {0, 3, 1, 4, 2, 5}},
        {{"FloatStorage", "0", 24, 2, 3, {2, 1, 2}, {12, 99, 4}}, 4, {2, 6, 14, 18}},
        {{"FloatStorage", "0", 24, 23, 1, {1}, {1}}, 1, {23}},
        {{"FloatStorage", "0", 24, 24, 1, {0}, {1}}, 0, {0}},
        {{"FloatStorage", "0", 24, 0, 8, {2, 1, 1, 1, 1, 1, 1, 2}, {2, 1, 1, 1, 1, 1, 1, 1}},
         4,
         {0, 1, 2, 3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const sample s = one_tensor(cases[i].t);
        assert_floats(&s, cases[i].n, cases[i].expected);
    }
}

static void tensors_outside_of_their_storage_are_refused(void **state)
{
    (void)state;
    const int64_t max = INT64_MAX;
    const struct {
        torch_tensor t;
        const char *why;
    } cases[] = {
        {{"FloatStorage", "0", 24, 0, 1, {25}, {1}}, "room for 24"},
        {{"FloatStorage", "0", 24, 22, 1, {3}, {1}}, "room for 2"},
        {{"FloatStorage", "0", 24, 25, 1, {0}, {1}}, "offset 25"},
        {{"FloatStorage", "0", 24, -1, 1, {1}, {1}}, "offset -1"},
        {{"FloatStorage", "0", 24, max, 1, {1}, {1}}, "offset"},
        {{"FloatStorage", "0", 24, 0, 1, {2}, {24}}, "outside of the storage"},
        {{"FloatStorage", "0", 24, 0, 1, {2}, {max}}, "outside of the storage"},
        {{"FloatStorage", "0", 24, 1, 1, {24}, {1}}, "room for 23"},
        {{"FloatStorage", "0", 24, 0, 2, {max, 2}, {1, 1}}, "overflows"},
        {{"FloatStorage", "0", 24, 0, 2, {max, max}, {0, 0}}, "overflows"},
        {{"FloatStorage", "0", 24, 0, 1, {-1}, {1}}, "negative"},
        {{"FloatStorage", "0", 24, 0, 1, {2}, {-1}}, "negative"},
        {{"FloatStorage", "0", 24, 0, 1, {2}, {0}}, "overlap"},
        {{"FloatStorage", "0", 24, 0, 2, {3, 3}, {2, 1}}, "overlap"},
        {{"FloatStorage", "0", 24, 0, 2, {3, 3}, {1, 1}}, "overlap"},
        {{"FloatStorage", "0", 23, 0, 1, {2}, {1}}, "not 23 elements"},
        {{"FloatStorage", "0", -1, 0, 1, {2}, {1}}, "not -1 elements"},
        {{"DoubleStorage", "0", 24, 0, 1, {2}, {1}}, "not 24 elements of float64"},
        {{"FloatStorage", "1", 24, 0, 1, {2}, {1}}, "storage '1' is not in the archive"},
        {{"FloatStorage", "../version", 24, 0, 1, {2}, {1}}, "is not in the archive"},
        {{"FloatStorage", "", 24, 0, 1, {2}, {1}}, "is not in the archive"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const sample s = one_tensor(cases[i].t);
        assert_refused(&s, AIMNET_ERR_FORMAT, cases[i].why);
        assert_says("tensor 'w'");
    }
}

static void two_views_of_one_buffer_are_read_but_unfolding_is_refused(void **state)
{
    (void)state;
    static float large[2000];
    const torch_tensor half = {"FloatStorage", "0", 2000, 0, 1, {1000}, {1}};
    const torch_tensor rest = {"FloatStorage", "0", 2000, 1000, 1, {1000}, {1}};
    const torch_tensor full = {"FloatStorage", "0", 2000, 0, 1, {2000}, {1}};
    sample s = {.tensor = {half, rest},
                .name = {"a", "b"},
                .n_tensors = 2,
                .storage = {large},
                .storage_size = {sizeof large},
                .n_storages = 1};
    torch_buffer file;
    opened o;
    assert_int_equal(open_sample(&s, &file, &o), AIMNET_OK);
    assert_int_equal(aim_names_find(&o.pt.names, (aim_slice){"b", 1}), 1);
    close_sample(&file, &o);
    s.tensor[0] = s.tensor[1] = full;
    assert_refused(&s, AIMNET_ERR_FORMAT, "larger than the file");
    s.tensor[0] = s.tensor[1] = half;
    s.name[1] = "a";
    assert_refused(&s, AIMNET_ERR_FORMAT, "tensor 'a' occurs twice");
    s.name[1] = "a b";
    assert_refused(&s, AIMNET_ERR_FORMAT, "spaces, control or non-ASCII");
}

/* ---------------------------------------------------------------- types */

static aim_tensor vector(aim_dtype dtype, int64_t n, const void *data)
{
    aim_tensor t = {.name = {"v", 1}, .dtype = dtype, .ndim = 1, .shape = {n}, .stride = {1}};
    t.data = data;
    assert_int_equal(aim_tensor_check(&t, n), AIMNET_OK);
    return t;
}

static double half_value(unsigned h)
{
    const int exponent = (int)(h >> 10 & 31);
    const double fraction = h & 1023, sign = h & 0x8000 ? -1.0 : 1.0;
    if (exponent == 31)
        return fraction > 0 ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

static void every_half_and_bfloat16_number_is_widened_exactly(void **state)
{
    (void)state;
    static uint16_t all[65536];
    static float out[65536];
    static double wide[65536];
    for (unsigned i = 0; i < 65536; i++)
        all[i] = (uint16_t)i;
    aim_tensor t = vector(AIM_FLOAT16, 65536, all);
    assert_int_equal(aim_tensor_to_float(&t, out), AIMNET_OK);
    assert_int_equal(aim_tensor_to_double(&t, wide), AIMNET_OK);
    for (unsigned i = 0; i < 65536; i++) {
        const double expected = half_value(i);
        const float narrow = (float)expected;
        if (isnan(expected)) {
            assert_true(isnan(out[i]) && isnan(wide[i]));
        } else {
            assert_memory_equal(&out[i], &narrow, sizeof narrow);
            assert_memory_equal(&wide[i], &expected, sizeof expected);
        }
    }
    t = vector(AIM_BFLOAT16, 65536, all);
    assert_int_equal(aim_tensor_to_float(&t, out), AIMNET_OK);
    for (unsigned i = 0; i < 65536; i++) {
        const uint32_t bits = i << 16;
        float expected;
        memcpy(&expected, &bits, sizeof expected);
        if (isnan(expected))
            assert_true(isnan(out[i]));
        else
            assert_memory_equal(&out[i], &expected, sizeof expected);
    }
}

static void double_numbers_become_float_only_if_nothing_changes(void **state)
{
    (void)state;
    const double good[] = {0.0, -0.0, 0.5, FLT_MAX, -FLT_MIN, 0x1p-149, INFINITY, (double)0.1f};
    const double bad[] = {0.1, 1e300, 0x1p-150, 16777217.0, (double)FLT_MAX * 1.0000001};
    float out[8];
    aim_tensor t = vector(AIM_FLOAT64, 8, good);
    assert_int_equal(aim_tensor_to_float(&t, out), AIMNET_OK);
    for (int i = 0; i < 8; i++)
        assert_true((double)out[i] == good[i]);
    for (int i = 0; i < 5; i++) {
        t = vector(AIM_FLOAT64, 1, &bad[i]);
        assert_int_equal(aim_tensor_to_float(&t, out), AIMNET_ERR_MODEL);
        assert_says("not a float32 number");
    }
}

static void integers_are_not_weights(void **state)
{
    (void)state;
    static const int64_t data[2] = {1, 2};
    float out[2];
    double wide[2];
    for (int dtype = AIM_INT64; dtype <= AIM_BOOL; dtype++) {
        const aim_tensor t = vector((aim_dtype)dtype, 2, data);
        assert_int_equal(aim_tensor_to_float(&t, out), AIMNET_ERR_MODEL);
        assert_int_equal(aim_tensor_to_double(&t, wide), AIMNET_ERR_MODEL);
        assert_says(aim_dtype_name((aim_dtype)dtype));
    }
}

static void every_storage_class_has_its_type_and_size(void **state)
{
    (void)state;
    static const char *const classes[] = {
        "FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage", "LongStorage",
        "IntStorage",   "ShortStorage",  "CharStorage", "ByteStorage",     "BoolStorage"};
    for (int k = 0; k < 10; k++) {
        const int64_t n = (int64_t)(sizeof numbers / aim_dtype_size((aim_dtype)k));
        const sample s = one_tensor((torch_tensor){classes[k], "0", n, 0, 1, {n}, {1}});
        torch_buffer file;
        opened o;
        assert_int_equal(open_sample(&s, &file, &o), AIMNET_OK);
        assert_int_equal(o.pt.tensor[0].dtype, k);
        close_sample(&file, &o);
    }
}

/* ---------------------------------------------------------------- archives */

static void the_byte_order_must_be_little(void **state)
{
    (void)state;
    sample s = one_tensor((torch_tensor){"FloatStorage", "0", 24, 0, 1, {24}, {1}});
    s.byteorder = "big";
    assert_refused(&s, AIMNET_ERR_FORMAT, "byte order 'big'");
    s.byteorder = ""; /* torch before 2.1 */
    assert_floats(&s, 24, numbers);
}

static void refuse_archive(const char *first, const char *second, const char *text, aim_status code,
                           const char *why)
{
    const aim_alloc a = aim_alloc_default();
    torch_zip z = {.descriptor = 1};
    opened o;
    torch_zip_text(&z, first, "\x80\x02N.");
    torch_zip_text(&z, second, text);
    torch_zip_finish(&z);
    assert_int_equal(open_bytes(&a, &z.file, &o), code);
    assert_says(why);
    torch_buffer_free(&z.file);
}

/* What stands in the place of a tensor: opcodes behind "w" in the state_dict. */
static void assert_tensor_refused(const char *opcodes, size_t n, const char *why)
{
    const aim_alloc a = aim_alloc_default();
    const sample s = one_tensor((torch_tensor){"FloatStorage", "0", 24, 0, 1, {24}, {1}});
    torch_pickle p;
    opened o;
    torch_begin(&p);
    torch_put(&p.out, "}X\x0a\0\0\0state_dict}X\1\0\0\0w", 23);
    torch_put(&p.out, opcodes, n);
    torch_put(&p.out, "ss.", 3);
    torch_buffer file = archive(&s, &p.out);
    assert_int_equal(open_bytes(&a, &file, &o), AIMNET_ERR_FORMAT);
    if (!strstr(aimnet_last_error(), why))
        fail_msg("\"%s\" does not say \"%s\"", aimnet_last_error(), why);
    torch_buffer_free(&p.out);
    torch_buffer_free(&file);
}

#define TENSOR "ctorch._utils\n_rebuild_tensor_v2\n("
#define STORAGE(key, elements)                                                                     \
    "(X\7\0\0\0storagectorch\nFloatStorage\nX" key "X\3\0\0\0cpu" elements "tQ"
#define GOOD                                                                                       \
    STORAGE("\1\0\0\0"                                                                             \
            "0",                                                                                   \
            "K\x18")
#define HOOKS                 "ccollections\nOrderedDict\n)R"
#define REFUSED(opcodes, why) assert_tensor_refused((opcodes), sizeof(opcodes) - 1, (why))

static void malformed_tensors_are_refused_with_their_name(void **state)
{
    (void)state;
    REFUSED("N", "tensor 'w': None where a tensor belongs");
    REFUSED(TENSOR "NK\0K\x18\x85K\1\x85\x89" HOOKS "tR", "the tensor has no storage");
    REFUSED(TENSOR STORAGE("\0\0\0\0", "K\x18") "K\0K\x18\x85K\1\x85\x89" HOOKS "tR",
            "storage '' is not in the archive");
    REFUSED(TENSOR STORAGE("\x15\0\0\0"
                           "000000000000000000000",
                           "K\x18") "K\0K\x18\x85K\1\x85\x89" HOOKS "tR",
            "is not in the archive");
    REFUSED(TENSOR STORAGE("\1\0\0\0"
                           "x",
                           "K\x18") "K\0K\x18\x85K\1\x85\x89" HOOKS "tR",
            "storage 'x' is not in the archive");
    REFUSED(TENSOR STORAGE("\1\0\0\0"
                           "0",
                           "J\xff\xff\xff\xff") "K\0K\x18\x85K\1\x85\x89" HOOKS "tR",
            "not -1 elements");
    REFUSED(TENSOR GOOD "K\0(K\1K\1K\1K\1K\1K\1K\1K\1K\1tK\1\x85\x89" HOOKS "tR",
            "at most 8 integers");
    REFUSED(TENSOR GOOD "K\0K\x18\x85NK\1\x86\x89" HOOKS "tR", "at most 8 integers");
    REFUSED(TENSOR GOOD "NK\x18\x85K\1\x85\x89" HOOKS "tR", "requires_grad or hooks");
    REFUSED(TENSOR GOOD "K\0K\x18\x85K\1\x85\x89NtR", "requires_grad or hooks");
    REFUSED(TENSOR GOOD "K\0K\x18\x85K\1\x85N" HOOKS "tR", "requires_grad or hooks");
    REFUSED(TENSOR GOOD "K\0K\x18\x85K\1\x85\x89}X\1\0\0\0xNstR", "requires_grad or hooks");
    REFUSED(TENSOR GOOD "K\0K\x18\x85)\x89" HOOKS "tR", "number of strides is wrong");
    REFUSED(TENSOR GOOD "K\x19K\x01\x85K\1\x85\x89" HOOKS "tR", "offset 25");
    REFUSED(TENSOR GOOD "J\xff\xff\xff\xffK\x01\x85K\1\x85\x89" HOOKS "tR", "offset -1");
}

static void a_storage_must_have_whole_elements(void **state)
{
    (void)state;
    sample s = one_tensor((torch_tensor){"FloatStorage", "0", 2, 0, 1, {2}, {1}});
    s.storage_size[0] = 9;
    assert_refused(&s, AIMNET_ERR_FORMAT, "has 9 bytes, not 2 elements");
}

/* Names of storages are put together in 256 bytes. */
static void a_prefix_too_long_for_a_storage_has_none(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    const sample s = one_tensor((torch_tensor){"FloatStorage", "0", 24, 0, 1, {24}, {1}});
    torch_buffer pickle = state_dict_pickle(&s);
    torch_zip z = {.descriptor = 1};
    char name[300];
    opened o;
    memset(name, 'm', 240);
    strcpy(name + 240, "/data.pkl");
    torch_zip_add(&z, name, pickle.at, pickle.n);
    strcpy(name + 240, "/version");
    torch_zip_text(&z, name, "3\n");
    torch_zip_finish(&z);
    assert_int_equal(open_bytes(&a, &z.file, &o), AIMNET_ERR_FORMAT);
    assert_says("storage '0' is not in the archive");
    torch_buffer_free(&z.file);
    torch_buffer_free(&pickle);
}

static void refuse_pickle(const char *opcodes, size_t n, const char *why)
{
    const aim_alloc a = aim_alloc_default();
    const sample s = one_tensor((torch_tensor){"FloatStorage", "0", 24, 0, 1, {24}, {1}});
    torch_pickle p;
    opened o;
    torch_begin(&p);
    torch_put(&p.out, opcodes, n);
    torch_op(&p, '.');
    torch_buffer file = archive(&s, &p.out);
    assert_int_not_equal(open_bytes(&a, &file, &o), AIMNET_OK);
    if (!strstr(aimnet_last_error(), why))
        fail_msg("\"%s\" does not say \"%s\"", aimnet_last_error(), why);
    torch_buffer_free(&p.out);
    torch_buffer_free(&file);
}

static void pickles_of_other_things_are_named(void **state)
{
    (void)state;
    refuse_pickle("}", 1, "no state_dict of tensors");
    refuse_pickle("}X\1\0\0\0aNs", 9, "no state_dict of tensors");
    refuse_pickle("}X\x0a\0\0\0model_yamlNs", 18, "no state_dict of tensors");
    refuse_pickle("}X\x0a\0\0\0state_dictNs", 18, "no state_dict of tensors");
    const char alone[] = TENSOR "NK\0K\x18\x85K\1\x85\x89" HOOKS "tR";
    refuse_pickle(alone, sizeof alone - 1, "the tensor has no storage");
}

/* A TorchScript archive with one more entry. */
static void refuse_script(const char *name, const char *text, const char *version, const char *why)
{
    const aim_alloc a = aim_alloc_default();
    torch_zip z = {.descriptor = 1};
    aim_torch t;
    torch_zip_text(&z, "m/data.pkl", "x");
    torch_zip_text(&z, "m/constants.pkl", "x");
    torch_zip_text(&z, "m/version", version);
    if (name)
        torch_zip_text(&z, name, text);
    torch_zip_finish(&z);
    const aim_status status = aim_torch_open(&a, z.file.at, z.file.n, &t);
    assert_int_equal(status, why ? AIMNET_ERR_FORMAT : AIMNET_OK);
    if (why)
        assert_says(why);
    else
        aim_torch_free(&t, &a);
    torch_buffer_free(&z.file);
}

static void scripts_have_folders_and_versions_of_their_own(void **state)
{
    (void)state;
    refuse_script(NULL, NULL, "10\n", NULL);
    refuse_script("m/.data/version", "3\n", "3\n", NULL);
    refuse_script("m/code/x.py", "pass", "3\n", NULL);
    refuse_script("m/evil", "x", "3\n", "'evil' is not one that torch.save writes");
    refuse_script(NULL, NULL, "", "version record");
    refuse_script(NULL, NULL, "12345", "version record");
}

static void replace_all(torch_buffer *file, const char *from, const char *to)
{
    const size_t n = strlen(from);
    for (size_t i = 0; i + n <= file->n; i++)
        if (memcmp(file->at + i, from, n) == 0)
            memcpy(file->at + i, to, n);
}

/* Names are not under a checksum: the compressed code becomes data, in a script and elsewhere. */
static void only_the_code_of_scripts_may_be_compressed(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    torch_buffer file = torch_read_file(AIM_SOURCE_DIR "/tests/golden/models/script_nse.jpt");
    aim_torch t;
    replace_all(&file, "/code/", "/data/");
    assert_int_equal(aim_torch_open(&a, file.at, file.n, &t), AIMNET_ERR_FORMAT);
    assert_says("is compressed");
    torch_buffer_free(&file);
    torch_zip z = {.plain_end = 1};
    torch_zip_text(&z, "m/data.pkl", "x");
    torch_zip_add(&z, "m/data/0", "\1\1\0\xfe\xffx", 6); /* a deflated "x" */
    torch_zip_finish(&z);
    for (size_t i = z.start[1], k = 0; i + 4 <= z.file.n; i++)
        if (i == z.start[1] || (memcmp(z.file.at + i, "PK\1\2", 4) == 0 && k++ == 1)) {
            unsigned char *header = z.file.at + i + (i == z.start[1] ? 8 : 10);
            header[0] = 8;                             /* method: deflate */
            memcpy(header + 6, "\x83\x16\xdc\x8c", 4); /* CRC-32 of "x" */
            header[14] = 1;                            /* its size */
        }
    assert_int_equal(aim_torch_open(&a, z.file.at, z.file.n, &t), AIMNET_ERR_FORMAT);
    assert_says("is compressed");
    torch_buffer_free(&z.file);
}

static void other_archives_are_named(void **state)
{
    (void)state;
    refuse_archive("data.pkl", "version", "3\n", AIMNET_ERR_FORMAT, "PREFIX/data.pkl");
    refuse_archive("m/data.pkl", "n/version", "3\n", AIMNET_ERR_FORMAT, "one prefix");
    refuse_archive("m/data.pkl", "m", "3\n", AIMNET_ERR_FORMAT, "one prefix");
    refuse_archive("m/version", "m/byteorder", "3\n", AIMNET_ERR_FORMAT, "first entry");
    refuse_archive("m/version", "m/data.pkl", "3\n", AIMNET_ERR_FORMAT, "first entry");
    refuse_archive("m/data.pkl", "m/version", "4\n", AIMNET_ERR_FORMAT, "version record");
    refuse_archive("m/data.pkl", "m/byteorder", "little", AIMNET_ERR_FORMAT, "version record");
    refuse_archive("m/data.pkl", "m/evil.py", "x", AIMNET_ERR_FORMAT, "'evil.py' is not one");
    refuse_archive("m/data.pkl", "m/version", "3\n", AIMNET_ERR_MODEL, "holds None");
}

/* A dictionary of tensors without state_dict: what training saves. */
static void a_raw_checkpoint_is_recognised(void **state)
{
    (void)state;
    const sample s = one_tensor((torch_tensor){"FloatStorage", "0", 24, 0, 1, {24}, {1}});
    const aim_alloc a = aim_alloc_default();
    torch_pickle p;
    opened o;
    torch_begin(&p);
    torch_ordered_dict(&p);
    torch_text(&p, "aev.rc_s");
    torch_tensor_value(&p, &s.tensor[0]);
    torch_put(&p.out, "s.", 2);
    torch_buffer file = archive(&s, &p.out);
    assert_int_equal(open_bytes(&a, &file, &o), AIMNET_OK);
    assert_int_equal(o.pt.kind, AIM_PT_STATE);
    assert_int_equal(o.pt.metadata, AIM_NO_REF);
    assert_int_equal(o.pt.n_tensors, 1);
    close_bytes(&a, &o);
    torch_buffer_free(&p.out);
    torch_buffer_free(&file);
}

static void flipped_bits_of_the_pickle_never_harm(void **state)
{
    (void)state;
    const torch_tensor t = {"FloatStorage", "0", 24, 2, 3, {2, 2, 3}, {12, 4, 1}};
    const sample s = one_tensor(t);
    const aim_alloc a = aim_alloc_default();
    torch_buffer pickle = state_dict_pickle(&s);
    for (size_t bit = 0; bit < 8 * pickle.n; bit++) {
        opened o;
        float out[24];
        pickle.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
        torch_buffer file = archive(&s, &pickle);
        if (open_bytes(&a, &file, &o) == AIMNET_OK && o.pt.n_tensors == 1 &&
            o.pt.tensor[0].count <= 24)
            assert_true(aim_tensor_to_float(&o.pt.tensor[0], out) <= AIMNET_ERR_MODEL);
        close_bytes(&a, &o);
        torch_buffer_free(&file);
        pickle.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    torch_buffer_free(&pickle);
}

static aimnet_status open_and_free(const aimnet_allocator *hooks, void *ctx)
{
    const torch_buffer *file = ctx;
    opened o;
    const aim_status status = open_bytes(hooks, file, &o);
    close_bytes(hooks, &o);
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    const sample s = one_tensor((torch_tensor){"FloatStorage", "0", 24, 0, 1, {24}, {1}});
    torch_buffer file = written(&s);
    assert_true(fail_alloc_sweep(open_and_free, &file) >= 7);
    torch_buffer_free(&file);
}

/* torch.save(torch.ones(2)), written by tests/reference/make_fuzz_seeds.py */
static void one_tensor_alone_is_read_as_such(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    torch_buffer file = torch_read_file(AIM_SOURCE_DIR "/tests/fuzz/seeds/fuzz_zip/torch");
    aim_torch archive;
    aim_pt pt;
    float ones[2] = {0};
    assert_int_equal(aim_torch_open(&a, file.at, file.n, &archive), AIMNET_OK);
    assert_int_equal(aim_pt_open(&a, &archive, &pt), AIMNET_OK);
    assert_int_equal(pt.kind, AIM_PT_TENSOR);
    assert_int_equal(pt.n_tensors, 1);
    assert_int_equal(pt.tensor->count, 2);
    assert_int_equal(aim_tensor_to_float(pt.tensor, ones), AIMNET_OK);
    assert_true(ones[0] == 1.0f && ones[1] == 1.0f);
    aim_pt_free(&pt, &a);
    aim_torch_free(&archive, &a);
    torch_buffer_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_tensor_alone_is_read_as_such),
        cmocka_unit_test(contiguous_and_strided_tensors_are_gathered),
        cmocka_unit_test(tensors_outside_of_their_storage_are_refused),
        cmocka_unit_test(two_views_of_one_buffer_are_read_but_unfolding_is_refused),
        cmocka_unit_test(every_half_and_bfloat16_number_is_widened_exactly),
        cmocka_unit_test(double_numbers_become_float_only_if_nothing_changes),
        cmocka_unit_test(integers_are_not_weights),
        cmocka_unit_test(every_storage_class_has_its_type_and_size),
        cmocka_unit_test(malformed_tensors_are_refused_with_their_name),
        cmocka_unit_test(a_storage_must_have_whole_elements),
        cmocka_unit_test(a_prefix_too_long_for_a_storage_has_none),
        cmocka_unit_test(pickles_of_other_things_are_named),
        cmocka_unit_test(scripts_have_folders_and_versions_of_their_own),
        cmocka_unit_test(only_the_code_of_scripts_may_be_compressed),
        cmocka_unit_test(the_byte_order_must_be_little),
        cmocka_unit_test(other_archives_are_named),
        cmocka_unit_test(a_raw_checkpoint_is_recognised),
        cmocka_unit_test(flipped_bits_of_the_pickle_never_harm),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
