/* SPDX-License-Identifier: MIT */
/* test_kinds.c - every value in the pickles of good models, one after the other, becomes one of
 * another kind: the readers of .pt files and of TorchScript refuse it with a reason, or it has no
 * meaning. Works on the opened archives, behind the checksums. */
#include "torch_writer.h"

#include <stdio.h>

#include "io/bytes.h"
#include "io/pt.h"
#include "model/script.h"

#define MODELS AIM_SOURCE_DIR "/tests/golden/models/"

/* What a value becomes: opcodes that push one value. */
static const struct {
    const char *opcodes;
    size_t size;
} kinds[] = {{"N", 1},
             {"\x89", 1},
             {"\x88", 1},
             {"K\7", 2},
             {"J\xff\xff\xff\xff", 5},
             {"J\0\0\0\x7f", 5},
             {"G\x40\x10\0\0\0\0\0\0", 9},
             {"X\0\0\0\0", 5},
             {"X\x03\0\0\0a.b", 8},
             {")", 1},
             {"]", 1},
             {"}", 1},
             {"ccollections\nOrderedDict\n", 25}};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static size_t line(const unsigned char *p)
{
    return (size_t)((const unsigned char *)strchr((const char *)p, '\n') - p) + 1;
}

/* Bytes of the opcode at p with its operands; *is_value: it pushes a value and pops nothing. */
static size_t opcode(const unsigned char *p, int *is_value)
{
    *is_value = strchr("XKMJGN)]}c\x88\x89\x8a", *p) != NULL;
    switch (*p) {
    case 'X':
        return 5 + p[1] + 256u * p[2];
    case 'c':
        return 1 + line(p + 1) + line(p + 1 + line(p + 1));
    case 'K':
    case 'q':
    case 'h':
    case 0x80:
        return 2;
    case 'M':
        return 3;
    case 'J':
    case 'r':
    case 'j':
        return 5;
    case 'G':
        return 9;
    case 0x8a:
        return 2 + (size_t)p[1];
    default:
        return 1;
    }
}

typedef struct archive {
    torch_buffer file;
    aim_torch torch;
    const unsigned char *pickle;
    size_t size;
} archive;

static void archive_open(archive *x, const char *path)
{
    const aim_alloc a = aim_alloc_default();
    x->file = torch_read_file(path);
    assert_int_equal(aim_torch_open(&a, x->file.at, x->file.n, &x->torch), AIMNET_OK);
    const aim_zip_entry *e = aim_torch_record(&x->torch, "data.pkl");
    x->pickle = e->data;
    x->size = e->size;
    aim_pickle_free(&x->torch.pickle, &a);
}

static void archive_close(archive *x)
{
    const aim_alloc a = aim_alloc_default();
    aim_torch_free(&x->torch, &a);
    torch_buffer_free(&x->file);
}

/* Reads the objects with another pickle in the place of data.pkl. */
static aim_status read_pickle(archive *x, const torch_buffer *pickle)
{
    const aim_alloc a = aim_alloc_default();
    aim_zip_entry *e =
        &x->torch.zip.entry[aim_torch_record(&x->torch, "data.pkl") - x->torch.zip.entry];
    aim_script script;
    aim_pt pt;
    aim_status status;
    x->torch.unfolded = 0;
    e->data = pickle->at;
    e->size = pickle->n;
    if (x->torch.is_script) {
        status = aim_script_read(&a, &x->torch, &script);
        if (status == AIMNET_OK)
            aim_script_free(&script, &a);
    } else {
        status = aim_pt_open(&a, &x->torch, &pt);
        if (status == AIMNET_OK)
            aim_pt_free(&pt, &a);
    }
    aim_pickle_free(&x->torch.pickle, &a);
    e->data = x->pickle;
    e->size = x->size;
    return status;
}

static void change_every_value(const char *path, long *refused, long *accepted)
{
    archive x;
    torch_buffer changed = {0};
    archive_open(&x, path);
    for (size_t at = 0, n; at < x.size; at += n) {
        int is_value;
        n = opcode(x.pickle + at, &is_value);
        for (size_t k = 0; k < N_KINDS && is_value; k++) {
            changed.n = 0;
            torch_put(&changed, x.pickle, at);
            torch_put(&changed, kinds[k].opcodes, kinds[k].size);
            torch_put(&changed, x.pickle + at + n, x.size - at - n);
            const aim_status status = read_pickle(&x, &changed);
            assert_true(status == AIMNET_OK || status == AIMNET_ERR_FORMAT ||
                        status == AIMNET_ERR_MODEL);
            assert_true(status == AIMNET_OK || aimnet_last_error()[0] != '\0');
            *(status == AIMNET_OK ? accepted : refused) += 1;
        }
    }
    torch_buffer_free(&changed);
    archive_close(&x);
}

static void a_value_of_another_kind_is_refused_or_has_no_meaning(void **state)
{
    (void)state;
    static const char *const names[] = {"pass2.pt", "d3ts_nse.pt", "script_coulomb_d3.jpt",
                                        "script_nse.jpt", "script_d3ts.jpt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512];
        long refused = 0, accepted = 0;
        snprintf(path, sizeof path, MODELS "%s", names[i]);
        change_every_value(path, &refused, &accepted);
        print_message("%s: %ld refused, %ld accepted\n", names[i], refused, accepted);
        assert_true(refused > 1000 && accepted > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_of_another_kind_is_refused_or_has_no_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
