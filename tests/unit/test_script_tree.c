/* SPDX-License-Identifier: MIT */
/* test_script_tree.c - the objects of golden TorchScript archives with one change each: an attribute
 * removed, added twice, with another value, an object of another class, a tensor of another form.
 * What is not AIMNet2 of aimnet 0.0.1 is refused with the place; what is read as before is.
 *
 * The tree of objects is read by the pickle reader, written again as a pickle with the changes, and
 * put back in the place of data.pkl. */
#include "torch_writer.h"

#include <stdio.h>

#include "model/script.h"

#define MODELS AIM_SOURCE_DIR "/tests/golden/models/"

/* ---------------------------------------------------------------- changes */

typedef enum change_kind {
    REMOVE, /* the attribute at the path */
    SET,    /* its value: opcodes */
    RENAME, /* its name: text */
    TWICE,  /* again behind itself, under the name in text */
    CLASS,  /* of the object at the path: text */
    BARE,   /* the object at the path loses its attributes */
    LIKE    /* its value is that of the attribute at the path in text */
} change_kind;

typedef struct change {
    const char *path; /* "mlps.0.0.weight"; "#2" behind a tensor: its item 2; "" is the model */
    change_kind kind;
    const char *text;
    size_t size; /* of the opcodes; TWICE: further copies, with a number behind the name */
} change;

typedef struct writer {
    const aim_pickle *p;
    const change *changes; /* up to one with path NULL */
    torch_pickle out;
    int used; /* bits of the changes that were met */
} writer;

static const change *find(writer *w, const char *path, change_kind kind)
{
    for (int i = 0; w->changes[i].path; i++)
        if (w->changes[i].kind == kind && strcmp(w->changes[i].path, path) == 0) {
            w->used |= 1 << i;
            return &w->changes[i];
        }
    return NULL;
}

static void put_global(writer *w, aim_slice global, const char *instead)
{
    torch_op(&w->out, 'c');
    if (instead)
        torch_put(&w->out.out, instead, strlen(instead));
    else
        torch_put(&w->out.out, global.text, global.size);
    torch_op(&w->out, '\n');
}

static void put_class(writer *w, int64_t id)
{
    static const char *const names[] = {"FloatStorage", "DoubleStorage", "HalfStorage",
                                        "BFloat16Storage", "LongStorage"};
    torch_global(&w->out, "torch", names[id - AIM_CLASS_FLOAT]);
}

static void put(writer *w, aim_ref value, const char *path);

static void put_items(writer *w, aim_ref value, const char *path, int opcode)
{
    char inner[256];
    int k = 0;
    torch_op(&w->out, '(');
    for (aim_items it = aim_pickle_items(w->p, value); it.value != AIM_NO_REF;
         aim_pickle_next(w->p, &it)) {
        snprintf(inner, sizeof inner, "%s#%d", path, k++);
        put(w, it.value, inner);
    }
    torch_op(&w->out, opcode);
}

static void put_attributes(writer *w, aim_ref dict, const char *path)
{
    char inner[256], name[128];
    torch_put(&w->out.out, "}(", 2);
    for (aim_items it = aim_pickle_items(w->p, dict); it.value != AIM_NO_REF;
         aim_pickle_next(w->p, &it)) {
        const aim_slice key = aim_pickle_text(w->p, it.value);
        aim_pickle_next(w->p, &it);
        snprintf(name, sizeof name, "%.*s", (int)key.size, key.text);
        snprintf(inner, sizeof inner, "%s%s%s", path, path[0] ? "." : "", name);
        if (find(w, inner, REMOVE))
            continue;
        const change *renamed = find(w, inner, RENAME), *twice = find(w, inner, TWICE);
        torch_text(&w->out, renamed ? renamed->text : name);
        put(w, it.value, inner);
        for (size_t k = 0; twice && k <= twice->size; k++) {
            snprintf(name, sizeof name, k ? "%s%zu" : "%s", twice->text, k);
            torch_text(&w->out, name);
            put(w, it.value, inner);
        }
    }
    torch_op(&w->out, 'u');
}

static void put_object(writer *w, aim_ref value, const char *path)
{
    const change *class = find(w, path, CLASS);
    put_global(w, aim_pickle_text(w->p, aim_pickle_item(w->p, value, 0)),
               class ? class->text : NULL);
    torch_put(&w->out.out, ")\x81", 2);
    if (find(w, path, BARE))
        return;
    put_attributes(w, aim_pickle_item(w->p, value, 1), path);
    torch_op(&w->out, 'b');
}

static void put_storage(writer *w, aim_ref value, const char *path)
{
    char inner[256];
    torch_op(&w->out, '(');
    torch_text(&w->out, "storage");
    for (size_t k = 0; k < 3; k++) {
        snprintf(inner, sizeof inner, "%s#%zu", path, k);
        if (k == 2)
            torch_text(&w->out, "cpu");
        put(w, aim_pickle_item(w->p, value, k), inner);
    }
    torch_put(&w->out.out, "tQ", 2);
}

static aim_ref value_at(const writer *w, const char *path)
{
    aim_ref value = w->p->root;
    char name[128];
    for (const char *c = path; *c;) {
        const size_t n = strcspn(c, ".");
        snprintf(name, sizeof name, "%.*s", (int)n, c);
        value = aim_pickle_get(w->p, aim_pickle_item(w->p, value, 1), name);
        assert_int_not_equal(value, AIM_NO_REF);
        c += n + (c[n] == '.');
    }
    return value;
}

static void put(writer *w, aim_ref value, const char *path)
{
    const change *set = find(w, path, SET), *like = find(w, path, LIKE);
    if (like)
        value = value_at(w, like->text);
    if (set) {
        torch_put(&w->out.out, set->text, set->size);
        return;
    }
    char text[512];
    const aim_pickle_kind kind = aim_pickle_kind_of(w->p, value);
    switch (kind) {
    case AIM_PICKLE_NONE:
        torch_op(&w->out, 'N');
        break;
    case AIM_PICKLE_BOOL:
        torch_bool(&w->out, (int)aim_pickle_int(w->p, value));
        break;
    case AIM_PICKLE_INT:
        torch_int(&w->out, aim_pickle_int(w->p, value));
        break;
    case AIM_PICKLE_FLOAT:
        torch_float(&w->out, aim_pickle_float(w->p, value));
        break;
    case AIM_PICKLE_STRING:
        snprintf(text, sizeof text, "%.*s", (int)aim_pickle_text(w->p, value).size,
                 aim_pickle_text(w->p, value).text);
        torch_text(&w->out, text);
        break;
    case AIM_PICKLE_TUPLE:
        put_items(w, value, path, 't');
        break;
    case AIM_PICKLE_LIST:
        torch_op(&w->out, ']');
        put_items(w, value, path, 'e');
        break;
    case AIM_PICKLE_DICT:
        torch_op(&w->out, '}');
        break; /* of tensors: their hooks, which are none */
    case AIM_PICKLE_STORAGE:
        put_storage(w, value, path);
        break;
    case AIM_PICKLE_TENSOR:
        torch_global(&w->out, "torch._utils", "_rebuild_tensor_v2");
        put_items(w, value, path, 't');
        torch_op(&w->out, 'R');
        break;
    case AIM_PICKLE_OBJECT:
        put_object(w, value, path);
        break;
    case AIM_PICKLE_CLASS:
        put_class(w, aim_pickle_int(w->p, value));
        break;
    case AIM_PICKLE_GLOBAL:
        fail_msg("%s is the name of a class", path);
    }
}

/* ---------------------------------------------------------------- archives */

typedef struct archive {
    torch_buffer file;
    aim_torch torch;
    aim_pickle tree; /* as it is in the file */
    torch_buffer bytes;
} archive;

static aim_zip_entry *record(archive *x, const char *name)
{
    return &x->torch.zip.entry[aim_torch_record(&x->torch, name) - x->torch.zip.entry];
}

static void archive_open(archive *x, const char *name)
{
    const aim_alloc a = aim_alloc_default();
    char path[512];
    memset(x, 0, sizeof *x);
    snprintf(path, sizeof path, MODELS "%s.jpt", name);
    x->file = torch_read_file(path);
    assert_int_equal(aim_torch_open(&a, x->file.at, x->file.n, &x->torch), AIMNET_OK);
    const aim_zip_entry *e = record(x, "data.pkl");
    torch_put(&x->bytes, e->data, e->size);
    assert_int_equal(aim_pickle_parse_script(&a, x->bytes.at, x->bytes.n, &x->tree), AIMNET_OK);
}

static void archive_close(archive *x)
{
    const aim_alloc a = aim_alloc_default();
    aim_pickle_free(&x->tree, &a);
    aim_torch_free(&x->torch, &a);
    torch_buffer_free(&x->bytes);
    torch_buffer_free(&x->file);
}

/* Reads the model with the changes; all of them must have met their place. */
static aim_status read_with(const aim_alloc *a, archive *x, const change *changes, aim_script *s)
{
    writer w = {.p = &x->tree, .changes = changes};
    int n = 0;
    torch_begin(&w.out);
    w.out.plain = 1; /* changes may stand anywhere */
    put(&w, x->tree.root, "");
    torch_op(&w.out, '.');
    while (changes[n].path)
        n++;
    if (w.used != (1 << n) - 1)
        fail_msg("a change (%s) has no place: bits %x of %d", changes[0].path, (unsigned)w.used, n);
    record(x, "data.pkl")->data = w.out.out.at;
    record(x, "data.pkl")->size = w.out.out.n;
    x->torch.unfolded = 0;
    x->torch.size = SIZE_MAX; /* tensors may be read twice here */
    const aim_status status = aim_script_read(a, &x->torch, s);
    aim_pickle_free(&x->torch.pickle, a);
    torch_buffer_free(&w.out.out);
    return status;
}

typedef struct refusal {
    change changes[4];
    const char *why;
} refusal;

static void expect_refused(const char *name, const refusal *cases, size_t n)
{
    const aim_alloc a = aim_alloc_default();
    archive x;
    archive_open(&x, name);
    for (size_t i = 0; i < n; i++) {
        aim_script s;
        const aim_status status = read_with(&a, &x, cases[i].changes, &s);
        if (status != AIMNET_ERR_MODEL && status != AIMNET_ERR_FORMAT)
            fail_msg("%s, case %zu (%s): status %d", name, i, cases[i].why, (int)status);
        if (!strstr(aimnet_last_error(), cases[i].why))
            fail_msg("\"%s\" does not say \"%s\"", aimnet_last_error(), cases[i].why);
    }
    archive_close(&x);
}

/* The YAML of the model with the changes, to be freed. */
static char *yaml_of(const char *name, const change *changes)
{
    const aim_alloc a = aim_alloc_default();
    archive x;
    aim_script s;
    archive_open(&x, name);
    if (read_with(&a, &x, changes, &s) != AIMNET_OK)
        fail_msg("%s: %s", name, aimnet_last_error());
    char *copy = malloc(s.yaml.size + 1);
    assert_non_null(copy);
    memcpy(copy, s.yaml.data, s.yaml.size + 1);
    aim_script_free(&s, &a);
    archive_close(&x);
    return copy;
}

static void expect_yaml(const char *name, const change *changes, const char *line)
{
    char *yaml = yaml_of(name, changes);
    if (!strstr(yaml, line))
        fail_msg("no \"%s\" in\n%s", line, yaml);
    free(yaml);
}

/* ---------------------------------------------------------------- tests */

#define TO(path, opcodes)                                                                          \
    {                                                                                              \
        path, SET, opcodes, sizeof(opcodes) - 1                                                    \
    }
#define DO(path, what, text)                                                                       \
    {                                                                                              \
        path, what, text, 0                                                                        \
    }
#define HALF "half_of_a_name_that_is_longer_than_those_of_all_modules"
#define LONG_NAME                                                                                  \
    "a_name_of_more_than_ninety_characters_which_no_attribute_of_any_module_has_"                  \
    "because_nobody_would_want_to_write_it_out_in_full"

static void objects_written_again_are_the_same_model(void **state)
{
    (void)state;
    static const change none[] = {{0}};
    static const char *const names[] = {"script_coulomb_d3", "script_nse", "script_d3ts"};
    for (int i = 0; i < 3; i++) {
        const aim_alloc a = aim_alloc_default();
        archive x;
        aim_script s;
        archive_open(&x, names[i]);
        assert_int_equal(aim_script_read(&a, &x.torch, &s), AIMNET_OK);
        char *yaml = yaml_of(names[i], none);
        assert_string_equal(yaml, s.yaml.data);
        free(yaml);
        aim_script_free(&s, &a);
        archive_close(&x);
    }
}

static void other_networks_are_refused(void **state)
{
    (void)state;
    static const refusal cases[] = {
        {{DO("", CLASS, "__torch__." HALF "\n" HALF)}, "the name of its class is too long"},
        {{DO("", CLASS, "__torch__.aimnet.dev.models\nAIMNetSpin_a")},
         "its class is 'aimnet.dev.models.AIMNetSpin_a' instead of"}, /* AIMNet-NSE of 2021 */
        {{DO("", CLASS, "__torch__.a\x1b[31m\nB")}, "its class is 'a?[31m.B' instead of"},
        {{TO("", "N")}, "the model: no object with attributes"},
        {{DO("", BARE, "")}, "the model: no object with attributes"},
        {{DO("aev", BARE, "")}, "aev: no object with attributes"},
        {{TO("aev", "K\1")}, "aev: no object with attributes"},
        {{TO("outputs", "N")}, "outputs: no object with attributes"},
        {{TO("outputs.energy_mlp", "N")}, "outputs.energy_mlp: no object with attributes"},
        {{DO("nfeature", REMOVE, "")}, "an attribute is missing"},
        {{DO("nfeature", TWICE, "nfeature")}, "'nfeature' is unknown or occurs twice"},
        {{DO("aev.rc_s", RENAME, LONG_NAME)}, "is unknown or occurs twice"},
        {{TO("aev._dual_basis", "\x88")}, "a second basis for vectors"},
        {{TO("aev.rc_s#2", "K\0\x85"), TO("aev.rc_s#3", "K\1\x85")}, "must hold one number"},
        {{TO("conv_a.do_vector", "\x89")}, "a convolution without vectors"},
        {{TO("conv_a.nshifts_v", "K\7")}, "a convolution without vectors"},
        {{TO("conv_q.ncomb_v", "K\7")}, "its convolutions differ in ncomb_v"},
        {{DO("mlps.1", REMOVE, "")}, "mlps: fewer than two passes"},
        {{DO("mlps.0.1", RENAME, "7")}, "layers are not numbered from 0"},
        {{DO("mlps.0.0", RENAME, LONG_NAME)}, "layers are not numbered from 0"},
        {{DO("mlps.0.4", REMOVE, "")}, "do not end as those of AIMNet2"},
        {{DO("mlps.1.3", REMOVE, "")}, "do not end as those of AIMNet2"},
        {{TO("mlps.0.2.bias", "N")}, "layers of different kinds, or too many"},
        {{TO("mlps.0.0.bias", "N"), TO("mlps.0.2.bias", "N"), TO("mlps.0.4.bias", "N")},
         "do not end as those of AIMNet2"},
        {{TO("mlps.0.0.weight#2", "K\x08\x85"), TO("mlps.0.0.weight#3", "K\1\x85")},
         "layers of different kinds"},
        {{TO("cutoff_lr", "G\xff\xf0\0\0\0\0\0\0")}, "its long-range cutoff is finite"},
        {{TO("cutoff_lr", "G\x40\x20\0\0\0\0\0\0")}, "its long-range cutoff is finite"},
    };
    expect_refused("script_nse", cases, sizeof cases / sizeof *cases);
}

static void other_outputs_are_refused(void **state)
{
    (void)state;
    static const refusal cases[] = {
        {{DO("outputs.dftd3", TWICE, "dftd4")}, "there is a second DFTD3"},
        {{TO("outputs.lrcoulomb.key_in", "X\0\0\0\0")}, "other characters than letters"},
        {{TO("outputs.lrcoulomb.key_in", "X\x7c\0\0\0" LONG_NAME)},
         "other characters than letters"},
        {{TO("outputs.lrcoulomb.key_in", "X\x03\0\0\0[\\]")}, "other characters than letters"},
        {{TO("outputs.lrcoulomb.key_in", "X\x03\0\0\0{|}")}, "other characters than letters"},
        {{DO("outputs.energy_mlp.mlp.0", REMOVE, ""), DO("outputs.energy_mlp.mlp.1", REMOVE, ""),
          DO("outputs.energy_mlp.mlp.2", REMOVE, "")},
         "it has no layers"},
        {{TO("impemented_species#0#0", "ctorch\nFloatStorage\n")}, "storage"},
        {{TO("impemented_species#0#0", "ctorch\nFloatStorage\n"),
          TO("impemented_species#0#2", "K\x1c")},
         "no short list of integers"},
        {{TO("impemented_species#2", "K\x0eK\1\x86"), TO("impemented_species#3", "K\1K\1\x86")},
         "no short list of integers"},
        {{TO("impemented_species#2", "K\x07\x85"), TO("impemented_species#3", "K\2\x85")},
         "no short list of integers"},
    };
    expect_refused("script_coulomb_d3", cases, sizeof cases / sizeof *cases);
}

static void other_repulsions_are_refused(void **state)
{
    (void)state;
    static const refusal cases[] = {
        {{DO("outputs.srrep.params", BARE, "")}, "no object with attributes"},
        {{TO("outputs.srrep.key_out", "N")}, "key_out"},
        {{TO("aev.rc_s", "N")}, "rc_s"},
    };
    expect_refused("script_d3ts", cases, sizeof cases / sizeof *cases);
}

static void put_layer(torch_pickle *p, int i)
{
    static const torch_tensor one = {"FloatStorage", "0", 1, 0, 2, {1, 1}, {1, 1}};
    char name[16];
    snprintf(name, sizeof name, "%d", i);
    torch_text(p, name);
    if (i % 2)
        torch_global(p, "__torch__.torch.nn.modules.activation", "GELU");
    else
        torch_global(p, "__torch__.torch.nn.modules.linear", "Linear");
    torch_put(&p->out, ")\x81}(", 4);
    if (i % 2 == 0) {
        torch_text(p, "weight");
        torch_tensor_value(p, &one);
        torch_text(p, "bias");
        torch_op(p, 'N');
    }
    torch_put(&p->out, "ub", 2);
}

/* An MLP of 17 layers. */
static void networks_deeper_than_any_are_refused(void **state)
{
    (void)state;
    torch_pickle p = {.plain = 1};
    torch_global(&p, "__torch__.torch.nn.modules.container", "Sequential");
    torch_put(&p.out, ")\x81}(", 4);
    for (int i = 0; i < 33; i++)
        put_layer(&p, i);
    torch_put(&p.out, "ub", 2);
    const refusal deep = {{{"mlps.0", SET, (const char *)p.out.at, p.out.n}},
                          "layers of different kinds, or too many"};
    expect_refused("script_nse", &deep, 1);
    torch_buffer_free(&p.out);
}

static void the_species_must_be_elements(void **state)
{
    (void)state;
    static const change none[] = {{0}};
    static const change long_list[] = {
        TO("impemented_species#0#2", "K\x40"), TO("impemented_species#2", "K\x40\x85"), {0}};
    const aim_alloc a = aim_alloc_default();
    archive x;
    aim_script s;
    aim_tensor t = {.name = {"", 0}};
    archive_open(&x, "script_coulomb_d3");
    const aim_ref model = aim_pickle_item(&x.tree, x.tree.root, 1);
    x.torch.pickle = x.tree;
    assert_int_equal(
        aim_torch_tensor(&x.torch, aim_pickle_get(&x.tree, model, "impemented_species"), &t),
        AIMNET_OK);
    aim_zip_entry *e = NULL;
    for (size_t i = 0; i < x.torch.zip.n_entries; i++)
        if (x.torch.zip.entry[i].data == t.data)
            e = &x.torch.zip.entry[i];
    assert_non_null(e);
    const aim_zip_entry saved = *e;
    int64_t species[64] = {1, 256 + 6, 7, 8};
    e->data = (const unsigned char *)species;
    assert_int_equal(read_with(&a, &x, none, &s), AIMNET_ERR_MODEL);
    assert_non_null(strstr(aimnet_last_error(), "its list of species holds no elements"));
    e->size = sizeof species;
    assert_int_equal(read_with(&a, &x, long_list, &s), AIMNET_ERR_MODEL);
    assert_non_null(strstr(aimnet_last_error(), "no short list of integers"));
    *e = saved;
    archive_close(&x);
}

/* What the files of the three golden models do not show. */
static void variants_are_described(void **state)
{
    (void)state;
    static const change no_lr_cutoff[] = {DO("cutoff_lr", REMOVE, ""), {0}};
    static const change list[] = {
        DO("outputs", CLASS, "__torch__.torch.nn.modules.container\nModuleList"), {0}};
    static const change small[] = {TO("outputs.dftd3.s8", "G\x39\xb4\x48\x4b\xfe\xeb\xc2\xa0"),
                                   {0}};
    static const change no_bias[] = {
        TO("outputs.energy_mlp.mlp.0.bias", "N"), TO("outputs.energy_mlp.mlp.2.bias", "N"), {0}};
    static const change no_last[] = {DO("outputs.energy_mlp.mlp.2", REMOVE, ""), {0}};
    static const change one_layer[] = {DO("outputs.energy_mlp.mlp.1", REMOVE, ""),
                                       DO("outputs.energy_mlp.mlp.2", REMOVE, ""),
                                       {0}};
    static const change short_table[] = {TO("outputs.atomic_shift.shifts.weight#2", "K\x3fK\1\x86"),
                                         {0}};
    static const change flat_table[] = {TO("outputs.atomic_shift.shifts.weight#2", "K\x40\x85"),
                                        TO("outputs.atomic_shift.shifts.weight#3", "K\1\x85"),
                                        {0}};
    static const change bare[] = {
        DO("outputs.lrcoulomb", REMOVE, ""), DO("outputs.dftd3", REMOVE, ""), {0}};
    static const change no_coulomb[] = {DO("outputs.lrcoulomb", REMOVE, ""), {0}};
    static const change deeper[] = {DO("outputs.energy_mlp.mlp", LIKE, "mlps.0"), {0}};
    expect_yaml("script_nse", no_lr_cutoff, "lrcoulomb");
    expect_yaml("script_nse", list, "lrcoulomb");
    expect_yaml("script_coulomb_d3", small, "s8: 1.0e-30");
    expect_yaml("script_nse", no_bias, "          bias: false\n");
    expect_yaml("script_nse", no_last, "last_linear: false\n");
    expect_yaml("script_nse", one_layer, "hidden: []\n");
    expect_yaml("script_nse", short_table, "num_types: 63\n");
    expect_yaml("script_nse", flat_table, "atomic_shift");
    expect_yaml("script_coulomb_d3", bare, "energy_mlp");
    expect_yaml("script_coulomb_d3", no_coulomb, "dftd3");
    expect_yaml("script_nse", deeper, "hidden: [8, 6]\n");
}

/* Room for more than 64 tensors is made on the way, and its failure is reported. */
static aimnet_status read_many(const aimnet_allocator *hooks, void *ctx)
{
    static const change many[] = {{"mlps.2", TWICE, "more", 6}, {0}};
    aim_script s;
    const aimnet_status status = read_with(hooks, ctx, many, &s);
    if (status == AIMNET_OK) {
        if (s.n_tensors <= 64)
            fail_msg("%zu tensors", s.n_tensors);
        aim_script_free(&s, hooks);
    }
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    archive x;
    archive_open(&x, "script_d3ts");
    assert_true(fail_alloc_sweep(read_many, &x) > 20);
    archive_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_written_again_are_the_same_model),
        cmocka_unit_test(other_networks_are_refused),
        cmocka_unit_test(other_outputs_are_refused),
        cmocka_unit_test(other_repulsions_are_refused),
        cmocka_unit_test(networks_deeper_than_any_are_refused),
        cmocka_unit_test(the_species_must_be_elements),
        cmocka_unit_test(variants_are_described),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
