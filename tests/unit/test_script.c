/* SPDX-License-Identifier: MIT */
/* test_script.c - models in TorchScript (src/model/script*.c): the files of make_script.py are
 * recognised by their objects, everything else is refused by name, damage never harms. That they
 * give the energies of their release is a matter of the golden cases script_*. */
#include "torch_writer.h"

#include <stdio.h>

#include "aimnet_model.h"
#include "io/inflate.h"
#include "io/torch.h"
#include "model/model.h"

#define MODELS AIM_SOURCE_DIR "/tests/golden/models/"

static aim_status load(const torch_buffer *file, aimnet_model **m)
{
    return aimnet_model_load_memory(file->at, file->n, "x.jpt", NULL, m);
}

static void a_model_is_described_as_a_v2_file_would_be(void **state)
{
    (void)state;
    static const char *const names[] = {"script_coulomb_d3", "script_nse", "script_d3ts"};
    for (int i = 0; i < 3; i++) {
        char path[512];
        aimnet_model *m = NULL;
        aimnet_model_info info;
        snprintf(path, sizeof path, MODELS "%s.jpt", names[i]);
        if (aimnet_model_load(path, NULL, &m) != AIMNET_OK)
            fail_msg("%s", aimnet_last_error());
        assert_int_equal(aimnet_model_get_info(m, &info), AIMNET_OK);
        assert_string_equal(info.format, "torchscript");
        assert_int_equal(info.n_species, 14);
        assert_int_equal(info.species[13], 53);
        assert_int_equal(info.num_charge_channels, i == 1 ? 2 : 1);
        assert_int_equal(info.coulomb_mode,
                         i < 2 ? AIMNET_COULOMB_MODE_FULL_EMBEDDED : AIMNET_COULOMB_MODE_NONE);
        assert_int_equal(info.has_embedded_coulomb, i < 2);
        assert_int_equal(info.has_embedded_dispersion, i != 1);
        assert_true(!info.needs_coulomb && !info.needs_dispersion && info.cutoff == 5.0);
        assert_true(info.d3_s8 == (i == 0 ? 0.3908 : 0.0));
        aimnet_model_free(m);
    }
}

static void its_coulomb_cannot_be_switched_and_says_so(void **state)
{
    (void)state;
    aimnet_model *m = NULL;
    aimnet_calc *calc = NULL;
    aimnet_options o = aimnet_options_default();
    assert_int_equal(aimnet_model_load(MODELS "script_nse.jpt", NULL, &m), AIMNET_OK);
    o.coulomb = AIMNET_COULOMB_DSF;
    assert_int_equal(aimnet_calc_create(&m, 1, &o, &calc), AIMNET_OK);
    assert_non_null(strstr(aimnet_calc_warnings(calc), "cannot be switched"));
    aimnet_calc_free(calc);
    o = aimnet_options_default();
    o.needs_coulomb = 1;
    assert_int_equal(aimnet_calc_create(&m, 1, &o, &calc), AIMNET_ERR_ARG);
    assert_non_null(strstr(aimnet_last_error(), "twice"));
    assert_int_equal(aimnet_model_save(m, AIM_TEST_TMP "/x.pt", AIMNET_FILE_PT, 0),
                     AIMNET_ERR_UNSUPPORTED);
    aimnet_model_free(m);
}

/* ---------------------------------------------------------------- changed archives */

/* Replaces `from` by `to`, of the same length, everywhere in a copy of the bytes. */
static torch_buffer replaced(const aim_zip_entry *e, const char *from, const char *to)
{
    torch_buffer b = {0};
    const size_t n = strlen(from);
    int found = 0;
    assert_int_equal(n, strlen(to));
    torch_put(&b, e->data, e->size);
    for (size_t i = 0; n > 0 && i + n <= b.n; i++)
        if (memcmp(b.at + i, from, n) == 0) {
            memcpy(b.at + i, to, n);
            found = 1;
        }
    if (n > 0 && !found)
        fail_msg("the pickle has no \"%s\"", from);
    return b;
}

/* The archive with another data.pkl, and with the code (stored) replaced by `code`, or without. */
static torch_buffer rewritten(const aim_torch *t, const torch_buffer *pickle, const char *code)
{
    torch_zip z = {.descriptor = 1};
    char name[256];
    snprintf(name, sizeof name, "%.*scode/__torch__/torch/nn/modules/activation.py",
             (int)t->prefix.size, t->prefix.text);
    if (code)
        torch_zip_text(&z, name, code);
    for (size_t i = 0; i < t->zip.n_entries; i++) {
        const aim_zip_entry *e = &t->zip.entry[i];
        if (e->deflated)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)e->name.size, e->name.text);
        const int is_pickle = e == aim_torch_record(t, "data.pkl");
        torch_zip_add(&z, name, is_pickle ? pickle->at : e->data, is_pickle ? pickle->n : e->size);
    }
    torch_zip_finish(&z);
    return z.file;
}

typedef struct source {
    torch_buffer file;
    aim_torch archive;
} source;

static void source_open(source *s, const char *path)
{
    const aim_alloc a = aim_alloc_default();
    s->file = torch_read_file(path);
    assert_int_equal(aim_torch_open(&a, s->file.at, s->file.n, &s->archive), AIMNET_OK);
    assert_true(s->archive.is_script);
}

static void source_close(source *s)
{
    const aim_alloc a = aim_alloc_default();
    aim_torch_free(&s->archive, &a);
    torch_buffer_free(&s->file);
}

static aim_status load_changed(const source *s, const char *from, const char *to, const char *code)
{
    aimnet_model *m = NULL;
    torch_buffer pickle = replaced(aim_torch_record(&s->archive, "data.pkl"), from, to);
    torch_buffer file = rewritten(&s->archive, &pickle, code);
    const aim_status status = load(&file, &m);
    aimnet_model_free(m);
    torch_buffer_free(&file);
    torch_buffer_free(&pickle);
    return status;
}

static void unknown_graphs_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *why;
    } cases[] = {
        {"\nAIMNet2\n", "\nAIMNetX\n", "AIMNetX' instead of"},
        {"LRCoulomb", "LRCoulomX", "'aimnet.modules.lr.LRCoulomX' is not one of the output"},
        {"_factor", "_fxctor", "attribute '_fxctor' is unknown"},
        {"simple", "dsfdsf", "method is not 'simple'"},
        {"key_out", "key_oot", "attribute 'key_oot' is unknown"},
        {"shifts_v", "shifts_w", "attribute 'shifts_w' is unknown"},
        {"GELU", "ReLU", "ReLU' instead of"},
        {"torch.nn.modules.linear", "torch.nn.modules.lineaR", "instead of"},
        {"ModuleDict", "ModuleDicX", "no ModuleDict"},
        {"energy_mlp", "energy mlp", "characters than letters"},
        {"atomic_sum", "atomic.sum", "characters than letters"},
        {"ModuleList", "ModuleLisX", "instead of"},
        {"Sequential", "SequentiaX", "instead of"},
        {"cutoff_lr", "cutoff_xr", "attribute 'cutoff_xr' is unknown"},
        {"energyq", "ener/yq", "characters than letters"}, /* "q": the memo behind the string */
        {"nfeature", "xfeature", "attribute 'xfeature' is unknown"},
        {"do_vector", "do_vectoX", "attribute 'do_vectoX' is unknown"},
    };
    source s;
    source_open(&s, MODELS "script_nse.jpt");
    assert_int_equal(load_changed(&s, "", "", NULL), AIMNET_OK);
    assert_int_equal(load_changed(&s, "", "", "approximate = \"none\""), AIMNET_OK);
    assert_int_equal(load_changed(&s, "", "", "gelu(x, approximate=\"tanh\")"), AIMNET_ERR_MODEL);
    assert_non_null(strstr(aimnet_last_error(), "approximate"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (load_changed(&s, cases[i].from, cases[i].to, NULL) != AIMNET_ERR_MODEL ||
            !strstr(aimnet_last_error(), cases[i].why) ||
            !strstr(aimnet_last_error(), "code in it is never run"))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].to, aimnet_last_error(),
                     cases[i].why);
    source_close(&s);
}

/* A number in the pickle: the eight bytes of BINFLOAT, high byte first. */
static void numbers_of_other_releases_are_refused(void **state)
{
    (void)state;
    static const struct {
        double from, to;
        const char *why;
    } cases[] = {{-16.0, -15.0, "k1 is -15"},
                 {-4.0, -3.0, "k3 is -3"},
                 {7.199822675975274, 7.2, "_factor is"}};
    source s;
    source_open(&s, MODELS "script_coulomb_d3.jpt");
    for (int i = 0; i < 3; i++) {
        const aim_zip_entry *e = aim_torch_record(&s.archive, "data.pkl");
        torch_buffer pickle = replaced(e, "", "");
        unsigned char from[9] = {'G'}, to[9] = {'G'};
        for (int k = 0; k < 8; k++) {
            from[8 - k] = ((const unsigned char *)&cases[i].from)[k];
            to[8 - k] = ((const unsigned char *)&cases[i].to)[k];
        }
        for (size_t k = 0; k + 9 <= pickle.n; k++)
            if (memcmp(pickle.at + k, from, 9) == 0)
                memcpy(pickle.at + k, to, 9);
        torch_buffer file = rewritten(&s.archive, &pickle, NULL);
        aimnet_model *m = NULL;
        assert_int_equal(load(&file, &m), AIMNET_ERR_MODEL);
        if (!strstr(aimnet_last_error(), cases[i].why))
            fail_msg("\"%s\" does not say \"%s\"", aimnet_last_error(), cases[i].why);
        torch_buffer_free(&file);
        torch_buffer_free(&pickle);
    }
    source_close(&s);
}

/* ---------------------------------------------------------------- damage */

static void flipped_bits_of_the_pickle_never_harm(void **state)
{
    (void)state;
    source s;
    source_open(&s, MODELS "script_nse.jpt");
    torch_buffer pickle = replaced(aim_torch_record(&s.archive, "data.pkl"), "", "");
    long loaded = 0;
    for (size_t bit = 0; bit < 8 * pickle.n; bit += 11) {
        aimnet_model *m = NULL;
        pickle.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
        torch_buffer file = rewritten(&s.archive, &pickle, NULL);
        const aim_status status = load(&file, &m);
        assert_true(status == AIMNET_OK || status == AIMNET_ERR_FORMAT ||
                    status == AIMNET_ERR_MODEL);
        loaded += status == AIMNET_OK;
        aimnet_model_free(m);
        torch_buffer_free(&file);
        pickle.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    print_message("%ld changed pickles are models\n", loaded);
    torch_buffer_free(&pickle);
    source_close(&s);
}

static void a_damaged_archive_is_refused(void **state)
{
    (void)state;
    torch_buffer b = torch_read_file(MODELS "script_nse.jpt");
    for (size_t n = 0; n < b.n; n += 211) {
        aimnet_model *m = NULL;
        unsigned char *copy = malloc(n ? n : 1);
        assert_non_null(copy);
        memcpy(copy, b.at, n);
        assert_int_equal(aimnet_model_load_memory(copy, n, "cut", NULL, &m), AIMNET_ERR_FORMAT);
        free(copy);
    }
    for (size_t bit = 0; bit < 8 * b.n; bit += 331) {
        aimnet_model *m = NULL;
        b.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
        const aim_status status = load(&b, &m); /* padding and dates have no meaning */
        assert_true(status == AIMNET_OK || status == AIMNET_ERR_FORMAT);
        aimnet_model_free(m);
        b.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    torch_buffer_free(&b);
}

/* A stored-block deflate stream of "abc". */
static void deflated_entries_must_have_their_size(void **state)
{
    (void)state;
    static const unsigned char packed[] = {1, 3, 0, 0xfc, 0xff, 'a', 'b', 'c', 9};
    const aim_alloc a = aim_alloc_default();
    unsigned char out[4] = {0};
    uint32_t crc = 0;
    assert_int_equal(aim_inflate(&a, packed, 8, out, 3, &crc), AIMNET_OK);
    assert_memory_equal(out, "abc", 3);
    assert_int_equal(crc, 0x352441c2);
    assert_int_equal(aim_inflate(&a, packed, 8, NULL, 2, &crc), AIMNET_ERR_FORMAT);
    assert_int_equal(aim_inflate(&a, packed, 8, NULL, 4, &crc), AIMNET_ERR_FORMAT);
    assert_int_equal(aim_inflate(&a, packed, 9, NULL, 3, &crc), AIMNET_ERR_FORMAT);
    assert_int_equal(aim_inflate(&a, packed, 7, NULL, 3, &crc), AIMNET_ERR_FORMAT);
    assert_int_equal(aim_inflate(&a, packed, 0, NULL, 0, &crc), AIMNET_ERR_FORMAT);
    assert_int_equal(aim_inflate(&a, packed, (size_t)1 << 33, NULL, 0, &crc), AIMNET_ERR_FORMAT);
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
    char path[] = MODELS "script_nse.jpt";
    assert_true(fail_alloc_sweep(load_and_free, path) > 50);
    char with_species[] = MODELS "script_coulomb_d3.jpt";
    assert_true(fail_alloc_sweep_mode(load_and_free, with_species, 1) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_described_as_a_v2_file_would_be),
        cmocka_unit_test(its_coulomb_cannot_be_switched_and_says_so),
        cmocka_unit_test(unknown_graphs_are_refused_with_a_reason),
        cmocka_unit_test(numbers_of_other_releases_are_refused),
        cmocka_unit_test(flipped_bits_of_the_pickle_never_harm),
        cmocka_unit_test(a_damaged_archive_is_refused),
        cmocka_unit_test(deflated_entries_must_have_their_size),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
