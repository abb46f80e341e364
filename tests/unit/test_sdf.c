/* SPDX-License-Identifier: MIT */
/* test_sdf.c - molfiles and SD files: what the golden files do not show. */
#include "fail_alloc.h"
#include "io/reader.h"
#include "read_support.h"

#define ATOM_C "    0.0000    0.0000    0.0000 C   0  0\n"
#define ATOM_O "    1.2000    0.0000    0.0000 O   0  0\n"
#define BOND   "  1  2  2  0\n"
#define RECORD                                                                                     \
    "carbon monoxide\n  program\ncomment\n  2  1  0  0  0               999 V2000\n" ATOM_C ATOM_O \
        BOND

static const char v3000[] =
    "ion\n\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\nM  V30 COUNTS 2 1 0 0 0\n"
    "M  V30 BEGIN ATOM\nM  V30 10 O 0 0 0 0 CHG=-1 RAD=2\nM  V30 7 H 0.97 0 -\nM  V30 0 0 MASS=2\n"
    "M  V30 END ATOM\nM  V30 BEGIN BOND\nM  V30 1 1 10 7\nM  V30 END BOND\nM  V30 END CTAB\nM  "
    "END\n";

static void title_charge_and_defaults_are_those_of_the_record(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    read_one(RECORD "M  END\n> <charge>\n5\n\n$$$$\n", NULL, &f, 2);
    assert_string_equal(f.title, "carbon monoxide");
    assert_false(f.has_charge || f.has_mult || f.has_cell);
    assert_string_equal(f.warnings, "");
    read_one(RECORD "M  CHG  1   2   0\nM  END\n", NULL, &f, 2);
    assert_true(f.has_charge && f.charge == 0.0);
    read_one(RECORD "M  RAD  1   1   2\nM  END\n", NULL, &f, 2);
    assert_true(f.has_mult && f.mult == 2.0 && !f.has_charge);
    aimnet_frame_free(&f);
}

static void several_radical_centres_are_parallel_and_warned_about(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    read_one(RECORD "M  RAD  2   1   2   2   3\nM  END\n", NULL, &f, 2);
    assert_true(f.mult == 4.0);
    assert_non_null(strstr(f.warnings, "radical"));
    aimnet_frame_free(&f);
}

static void a_drawing_is_read_with_a_warning(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    read_one(
        "x\n     RDKit          2D\n\n  2  1  0  0  0               999 V2000\n" ATOM_C ATOM_O BOND
        "M  END\n",
        NULL, &f, 2);
    assert_non_null(strstr(f.warnings, "drawing"));
    aimnet_frame_free(&f);
}

static void the_newer_format_has_its_own_charges_indices_and_continued_lines(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    read_one(v3000, NULL, &f, 2);
    assert_true(f.charge == -1.0 && f.mult == 2.0);
    assert_int_equal(f.numbers[0], 8);
    assert_int_equal(f.numbers[1], 1);
    assert_true(f.coord[3] == 0.97 && f.coord[5] == 0.0);
    aimnet_frame_free(&f);
}

static void headers_of_blank_lines_are_headers(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    aimnet_reader *r = read_text(
        "\n\n\n  1  0  0  0  0               999 V2000\n" ATOM_C "M  END\n$$$$\n"
        "\n prog\n\n  1  0  0  0  0               999 V2000\n" ATOM_O "M  END\n$$$$\n\n\n\n\n\n\n",
        NULL);
    expect_ok(r, &f, 1);
    assert_string_equal(f.title, "");
    assert_int_equal(f.line, 1);
    expect_ok(r, &f, 1);
    assert_int_equal(f.line, 8);
    expect_end(r, &f);
}

static void a_bad_record_costs_itself_only(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    aimnet_reader *r = read_text(RECORD "$$$$\n" RECORD "M  END\n$$$$\nshort\n$$$$\n" RECORD
                                        "M  CHG  1   1\nM  END\n$$$$\n" RECORD "M  END\n$$$$\n",
                                 "sdf");
    expect_refused(r, &f, 8, "M  END");
    expect_ok(r, &f, 2);
    expect_refused(r, &f, 19, "counts line");
    expect_refused(r, &f, 27, "formal charge");
    expect_ok(r, &f, 2);
    assert_int_equal(f.index, 4);
    expect_end(r, &f);
}

static void malformed_lines_are_named(void **state)
{
    (void)state;
    refuse_one("a\nb\nc\n  1  0 V2000\n    0.0000    0.0000    0.0000 Xx  0  0\nM  END\n", "sdf", 5,
               "element");
    refuse_one("a\nb\nc\n  1  0 V2000\n    0.0000    0.0000           C   0  0\nM  END\n", "sdf", 5,
               "z coordinate");
    refuse_one("a\nb\nc\n  1  0 V2000\n    0.0000    0.0000    0.0000 C   0  9\nM  END\n", "sdf", 5,
               "0 to 7");
    refuse_one("a\nb\nc\n -1  0 V2000\nM  END\n", "sdf", 4, "numbers of atoms");
    refuse_one("a\nb\nc\n999  0 V2000\n" ATOM_C, "sdf", 4, "announced");
    refuse_one(RECORD "M  CHG  x\nM  END\n", "sdf", 8, "entries");
    refuse_one(RECORD "M  CHG  1   1  99\nM  END\n", "sdf", 8, "formal charge");
    refuse_one("a\nb\nc\n  0  0 V3000\nM  V30 COUNTS x\nM  END\n", "sdf", 5, "number of atoms");
    refuse_one("a\nb\nc\n  0  0 V3000\nM  V30 COUNTS 1\nM  END\n", "sdf", 6, "BEGIN ATOM");
    refuse_one("a\nb\nc\n  0  0 V3000\nM  V30 COUNTS 1\nM  V30 BEGIN ATOM\nwhat\nM  END\n", "sdf",
               7, "M  V30");
    refuse_one("a\nb\nc\n  0  0 V3000\nM  V30 COUNTS 999999999\nM  V30 BEGIN ATOM\nM  END\n", "sdf",
               5, "announced");
    refuse_one("a\nb\nc\n  0  0 V3000\nM  V30 COUNTS 1\nM  V30 BEGIN ATOM\nM  V30 1 C 0 0 0 0 "
               "CHG=x\nM  END\n",
               "sdf", 7, "charge");
}

static void a_file_cut_anywhere_never_gives_a_wrong_structure(void **state)
{
    (void)state;
    static const char *const files[] = {RECORD "M  CHG  1   2   1\nM  END\n$$$$\n", v3000};
    for (int k = 0; k < 2; k++)
        for (size_t cut = 1; cut < strlen(files[k]); cut++) {
            aimnet_reader *r;
            aimnet_frame f = {0};
            int good = 0;
            assert_int_equal(aimnet_reader_open_memory(files[k], cut, "t", "sdf", &r), AIMNET_OK);
            for (aimnet_status status; (status = aimnet_reader_next(r, &f)) != AIMNET_ERR_END;
                 good += status == AIMNET_OK)
                assert_true(status == AIMNET_ERR_FORMAT || f.n_atoms == 2);
            assert_true(good <= 1 && (!good || strstr(files[k], "M  END") + 6 <= files[k] + cut));
            aimnet_frame_free(&f);
            aimnet_reader_close(r);
        }
}

static aimnet_status read_everything(const aimnet_allocator *hooks, void *ctx)
{
    const char *text = ctx;
    aimnet_reader *r;
    aimnet_frame f = {0};
    aimnet_status status = aim_reader_open_memory(hooks, text, strlen(text), "t", "sdf", &r);
    if (status != AIMNET_OK)
        return status;
    do {
        status = aim_reader_next(r, &f);
    } while (status == AIMNET_OK || status == AIMNET_ERR_FORMAT);
    aim_frame_free(&f);
    aim_reader_close(r);
    return status == AIMNET_ERR_END ? AIMNET_OK : status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    char text[2048];
    snprintf(text, sizeof text,
             RECORD "M  RAD  2   1   2   2   2\nM  END\n$$$$\nbad\n$$$$\n%s$$$$\n" RECORD
                    "M  END\n",
             v3000);
    assert_true(fail_alloc_sweep(read_everything, text) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(title_charge_and_defaults_are_those_of_the_record),
        cmocka_unit_test(several_radical_centres_are_parallel_and_warned_about),
        cmocka_unit_test(a_drawing_is_read_with_a_warning),
        cmocka_unit_test(the_newer_format_has_its_own_charges_indices_and_continued_lines),
        cmocka_unit_test(headers_of_blank_lines_are_headers),
        cmocka_unit_test(a_bad_record_costs_itself_only),
        cmocka_unit_test(malformed_lines_are_named),
        cmocka_unit_test(a_file_cut_anywhere_never_gives_a_wrong_structure),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
