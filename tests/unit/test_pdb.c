/* SPDX-License-Identifier: MIT */
/* test_pdb.c - PDB files: elements from names, titles, cells, models, charges. */
#include "fail_alloc.h"
#include "io/pdb_element.h"
#include "io/reader.h"
#include "read_support.h"

#define ATOM_N "ATOM      1  N   GLY A   1       0.000   0.000   0.000  1.00  0.00           N  \n"
#define ATOM_C "ATOM      2  CA  GLY A   1       1.450   0.000   0.000  1.00  0.00           C  \n"
#define CELL   "CRYST1   10.000   11.000   12.000  90.00  90.00  90.00 P 1           1\n"

/* The element of a HETATM record with this name and residue and nothing in columns 77-78; -1:
 * refused as ambiguous or unknown. */
static int element_of(const char *name, const char *residue)
{
    char line[96];
    int number;
    snprintf(line, sizeof line, "HETATM    1 %-4s %-4sA   1       0.000   0.000   0.000", name,
             residue);
    const aimnet_status status = aim_pdb_element((aim_span){line, strlen(line)}, &number);
    return status == AIMNET_OK ? number : -1;
}

static void names_give_the_element_by_columns_and_residue(void **state)
{
    (void)state;
    static const struct {
        const char *name, *residue;
        int number;
    } cases[] = {
        {" CA ", "ALA", 6},  {"CA  ", "ALA", 6},  {" CA ", "CA", 20},  {"CA  ", " CA", 20},
        {" N  ", "LIG", 7},  {"1HB ", "LIG", 1},  {"HG11", "VAL", 1},  {"HG11", "LIG", 1},
        {"HO2'", "LIG", 1},  {"2H5*", "LIG", 1},  {"HG  ", "HG", 80},  {" HG ", "SER", 1},
        {"C1  ", "LIG", 6},  {"CL1 ", "LIG", 17}, {" CL1", "LIG", 17}, {"Cl1 ", "LIG", 17},
        {" Na1", "LIG", 11}, {"BR  ", "LIG", 35}, {"ZN  ", "ZN", 30},  {"FE  ", "HEM", 26},
        {" NA ", "HEM", 7},  {"SE  ", "MSE", 34}, {" SD ", "MET", 16}, {" OXT", "GLY", 8},
        {" P  ", "DA", 15},  {"MG  ", "MG", 12},  {"OW  ", "SOL", 8},  {"HW1 ", "SOL", 1},
        {" H10", "LIG", 1},  {"H   ", "LIG", 1},  {"CD1 ", "LIG", -1}, {"CO  ", "LIG", -1},
        {"NB  ", "LIG", -1}, {"X1  ", "LIG", -1}, {"    ", "LIG", -1}, {"123 ", "LIG", -1},
        {"EP  ", "LIG", -1}, {"D1  ", "LIG", 1},  {"LI  ", "LIG", 3},  {"AG  ", "LIG", 47},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (element_of(cases[i].name, cases[i].residue) != cases[i].number)
            fail_msg("\"%s\" in %s: element %d, expected %d", cases[i].name, cases[i].residue,
                     element_of(cases[i].name, cases[i].residue), cases[i].number);
}

static void the_element_columns_win_over_the_name(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    read_one("HETATM    1 CD1  LIG A   1       0.000   0.000   0.000  1.00  0.00           c\n"
             "HETATM    2 CD1  LIG A   1       3.000   0.000   0.000  1.00  0.00          Cd\n",
             NULL, &f, 2);
    assert_int_equal(f.numbers[0], 6);
    assert_int_equal(f.numbers[1], 48);
    aimnet_frame_free(&f);
}

static void the_title_and_the_cell_hold_for_all_models(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    aimnet_reader *r =
        read_text("COMPND    compound\nTITLE     glycine\nTITLE    2 continued\n" CELL
                  "MODEL        1\n" ATOM_N "ENDMDL\n"
                  "MODEL        2\n" ATOM_N ATOM_C "TER\nENDMDL\nEND\n",
                  NULL);
    assert_string_equal(aimnet_reader_format(r), "pdb");
    for (int n = 1; n <= 2; n++) {
        expect_ok(r, &f, n);
        assert_string_equal(f.title, "glycine");
        assert_true(f.has_cell && f.pbc[0] && f.pbc[1] && f.pbc[2]);
        assert_true(f.cell[0] == 10.0 && f.cell[4] == 11.0 && f.cell[8] == 12.0 &&
                    f.cell[3] == 0.0 && f.cell[6] == 0.0);
        assert_string_equal(f.warnings, "");
    }
    expect_end(r, &f);
}

static void placeholders_for_a_cell_are_no_cell(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    read_one("CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1\n" ATOM_N,
             NULL, &f, 1);
    assert_false(f.has_cell);
    read_one("CRYST1    0.000    0.000    0.000   0.00   0.00   0.00\n" ATOM_N, NULL, &f, 1);
    assert_false(f.has_cell);
    aimnet_frame_free(&f);
}

static void symmetry_left_out_locations_and_odd_charges_are_warned_about(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    read_one("CRYST1   10.000   11.000   12.000  90.00  90.00  90.00 P 21 21 21    4\n"
             "ATOM      1  CA AGLY A   1       0.000   0.000   0.000  1.00  0.00           C1+\n"
             "ATOM      2  CA BGLY A   1       0.100   0.000   0.000  1.00  0.00           C\n"
             "ATOM      3  O   GLY A   1       1.200   0.000   0.000  1.00  0.00           O7\n",
             NULL, &f, 2);
    assert_non_null(strstr(f.warnings, "space group"));
    assert_non_null(strstr(f.warnings, "1 atom(s) at alternative"));
    assert_non_null(strstr(f.warnings, "79-80"));
    assert_true(f.has_charge && f.charge == 1.0);
    aimnet_frame_free(&f);
}

static void models_end_with_endmdl_end_the_next_model_or_the_file(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    aimnet_reader *r = read_text(
        ATOM_N "END\n" ATOM_N ATOM_C "END   \n" CELL ATOM_N CELL ATOM_C "\nCONECT    1\n", "pdb");
    expect_ok(r, &f, 1);
    assert_false(f.has_cell);
    expect_ok(r, &f, 2);
    expect_ok(r, &f, 1);
    assert_true(f.has_cell);
    expect_ok(r, &f, 1);
    expect_end(r, &f);
    r = read_text("MODEL        1\n" ATOM_N "MODEL        2\n" ATOM_N ATOM_C "ENDMDL\n", "pdb");
    expect_ok(r, &f, 1);
    expect_ok(r, &f, 2);
    expect_end(r, &f);
}

static void a_bad_model_costs_itself_only(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    aimnet_reader *r = read_text("MODEL        1\n" ATOM_N
                                 "ATOM      2  CA\nENDMDL\nMODEL        2\n" ATOM_C "ENDMDL\n"
                                 "MODEL        3\nENDMDL\nMODEL        4\n" ATOM_C,
                                 "pdb");
    expect_refused(r, &f, 3, "column");
    expect_ok(r, &f, 1);
    expect_refused(r, &f, 9, "without ATOM");
    expect_refused(r, &f, 12, "ENDMDL");
    assert_int_equal(f.index, 3);
    expect_end(r, &f);
    r = read_text("REMARK nothing\nEND\n", "pdb");
    assert_int_equal(aimnet_reader_next(r, &f), AIMNET_ERR_FORMAT);
    assert_non_null(strstr(aimnet_last_error(), "no structure"));
    expect_end(r, &f);
}

static aimnet_status read_everything(const aimnet_allocator *hooks, void *ctx)
{
    const char *text = ctx;
    aimnet_reader *r;
    aimnet_frame f = {0};
    aimnet_status status = aim_reader_open_memory(hooks, text, strlen(text), "t", "pdb", &r);
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
    static char text[] = "TITLE     glycine\nCRYST1   10.000   11.000   12.000  90.00  90.00  "
                         "90.00 P 21          1\nMODEL        1\n" ATOM_N ATOM_C
                         "ENDMDL\nMODEL        2\nATOM\nENDMDL\nMODEL        3\n" ATOM_C "ENDMDL\n";
    assert_true(fail_alloc_sweep(read_everything, text) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_give_the_element_by_columns_and_residue),
        cmocka_unit_test(the_element_columns_win_over_the_name),
        cmocka_unit_test(the_title_and_the_cell_hold_for_all_models),
        cmocka_unit_test(placeholders_for_a_cell_are_no_cell),
        cmocka_unit_test(symmetry_left_out_locations_and_odd_charges_are_warned_about),
        cmocka_unit_test(models_end_with_endmdl_end_the_next_model_or_the_file),
        cmocka_unit_test(a_bad_model_costs_itself_only),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
