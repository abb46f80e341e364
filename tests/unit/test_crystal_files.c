/* SPDX-License-Identifier: MIT */
/* test_crystal_files.c - CIF and POSCAR: the notation of operations, special positions, whole
 * molecules, and what the messages say. What other programs read in such files is in
 * test_structure_files.c. */
#include "fail_alloc.h"
#include "base/vec3.h"
#include "io/cell.h"
#include "io/reader.h"
#include "io/symmetry.h"
#include "io/writer.h"
#include "read_support.h"

#include <math.h>
#include <unistd.h>

#define CUBE "_cell_length_a 10.0(1)\n_cell_length_b 10\n_cell_length_c 10\n"
#define SITES                                                                                      \
    "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
#define OPERATIONS(list) "loop_\n_symmetry_equiv_pos_as_xyz\n" list

static int parse(const char *text, aim_operation *op)
{
    return aim_operation_parse((aim_span){text, strlen(text)}, op);
}

static void operations_are_read_as_crystallographers_write_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        aim_operation op;
    } cases[] = {
        {"x,y,z", {{1, 0, 0, 0, 1, 0, 0, 0, 1}, {0, 0, 0}}},
        {"+X,+Y,+Z", {{1, 0, 0, 0, 1, 0, 0, 0, 1}, {0, 0, 0}}},
        {" -x , 1/2+y,\t1/2 - z ", {{-1, 0, 0, 0, 1, 0, 0, 0, -1}, {0, 0.5, 0.5}}},
        {"-y,x-y,z+0.3333", {{0, -1, 0, 1, -1, 0, 0, 0, 1}, {0, 0, 8.0 / 24.0}}},
        {"-y+.25,1*x,z-3/4", {{0, -1, 0, 1, 0, 0, 0, 0, 1}, {0.25, 0, -0.75}}},
        {"z,x,y", {{0, 0, 1, 1, 0, 0, 0, 1, 0}, {0, 0, 0}}},
        {"x+1/5,y,z", {{1, 0, 0, 0, 1, 0, 0, 0, 1}, {0.2, 0, 0}}},
    };
    static const char *const bad[] = {"",         "x,y",       "x,y,z,",    "x,y,w",
                                      "x,x,z",    "2x,y,z",    "x,,z",      "x y,y,z",
                                      "x+,y,z",   "x,y,z+1/0", "x,y,z+1/",  "x,y,9z",
                                      "0.5x,y,z", "x,y,z+nan", "1e9+x,y,z", "x*y,y,z"};
    aim_operation op;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!parse(cases[i].text, &op))
            fail_msg("\"%s\" was refused", cases[i].text);
        for (int k = 0; k < 9; k++)
            assert_int_equal(op.w[k], cases[i].op.w[k]);
        for (int d = 0; d < 3; d++)
            assert_true(op.t[d] == cases[i].op.t[d]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parse(bad[i], &op))
            fail_msg("\"%s\" was accepted", bad[i]);
}

static void cells_survive_their_parameters(void **state)
{
    (void)state;
    const double p[6] = {3.6, 9.04, 6.99, 84.3, 100.5, 77.2};
    double cell[9], again[6];
    assert_true(aim_cell_from_parameters(p, cell));
    assert_true(cell[1] == 0.0 && cell[2] == 0.0 && cell[5] == 0.0);
    aim_cell_parameters(cell, again);
    for (int k = 0; k < 6; k++)
        assert_true(fabs(again[k] - p[k]) < 1e-12 * p[k]);
}

static void a_rounded_special_position_becomes_exact(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    read_one("data_t\n_cell_length_a 9\n_cell_length_b 9\n_cell_length_c 7\n_cell_angle_gamma "
             "120\n" OPERATIONS("'x,y,z'\n'-y,x-y,z'\n'-x+y,-x,z'\n") SITES
             "C1 0.3333 0.6667 0.25\n",
             NULL, &f, 1);
    assert_true(fabs(f.coord[1] - 2.0 / 3.0 * f.cell[4]) < 1e-12);
    assert_true(fabs(f.coord[0] - (f.cell[0] / 3.0 + 2.0 / 3.0 * f.cell[3])) < 1e-12);
    aimnet_frame_free(&f);
}

static void copies_of_the_molecule_stay_whole(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    read_one("data_t\n" CUBE OPERATIONS("x,y,z -x,-y,-z\n") SITES
             "C1 0.98 0.1 0.1\nO1 1.09 0.1 0.1\n",
             NULL, &f, 4);
    const int numbers[] = {6, 8, 6, 8};
    const double x[] = {9.8, 10.9, -9.8, -10.9};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(f.numbers[i], numbers[i]);
        assert_true(fabs(f.coord[3 * i] - x[i]) < 1e-12);
    }
    aimnet_frame_free(&f);
}

static void blocks_give_titles_and_warnings(void **state)
{
    (void)state;
    aimnet_frame f = {0};
    aimnet_reader *r = read_text(
        "data_global\n_x 1\ndata_one\n" CUBE SITES "He1 0 0 0\ndata_two\n" CUBE
        "_space_group_IT_number 1\n"
        "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
        "_atom_site_occupancy\n_atom_site_calc_flag\nNe1 0 0 0 0.9995 d\nX1 . . . 1 dum\n"
        "Ne2 0.5 0.5 0.5 0 d\n",
        NULL);
    assert_string_equal(aimnet_reader_format(r), "cif");
    expect_ok(r, &f, 1);
    assert_string_equal(f.title, "one");
    assert_non_null(strstr(f.warnings, "P 1 is assumed"));
    assert_int_equal(f.line, 3);
    expect_ok(r, &f, 1);
    assert_string_equal(f.title, "two");
    assert_string_equal(f.warnings, "2 dummy or empty site(s) were left out");
    expect_end(r, &f);
}

static void messages_name_the_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *words;
    } cases[] = {
        {"data_t\n" CUBE "_symmetry_space_group_name_H-M 'P 21/c'\n" SITES "He1 0 0 0\n", 1,
         "\"P 21/c\" is named, but its operations are not listed; add them as"},
        {"data_t\n" CUBE "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n"
         "_atom_site_fract_z\n_atom_site_occupancy\nC1 0 0 0 0.5(1)\n",
         11, "atom C1 has occupancy 0.5: a disordered structure; expected 1 everywhere: keep one"},
        {"data_t\n" CUBE SITES "CO1 0 0 0\n", 10, "add a column _atom_site_type_symbol"},
        {"data_t\n" CUBE SITES "He1 ? ? ?\n", 10, "atom He1 has no coordinates: complete"},
        {"data_t\n" CUBE OPERATIONS("x,y,z -x,-y,-z\n") SITES "He1 0.02 0 0\n", 13,
         "0.40 A from its own image"},
        {"data_t\nloop_\n_atom_site.group_PDB\n_atom_site.id\nATOM 1\n", 5, "this is mmCIF"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse_one(cases[i].text, NULL, cases[i].line, cases[i].words);
    refuse_one("t\n1\n5 0 0\n0 5 0\n0 0 5\n2 1\nDirect\n0 0 0\n0 0 1\n0 1 0\n", NULL, 6,
               "VASP 4, which does not say the elements: insert a line");
}

static void names_without_suffix_are_known(void **state)
{
    (void)state;
    aimnet_reader *reader;
    const char *text = "H\n1\n"; /* too little to tell by the content */
    assert_int_equal(aimnet_reader_open_memory(text, strlen(text), "run/CONTCAR", NULL, &reader),
                     AIMNET_OK);
    assert_string_equal(aimnet_reader_format(reader), "poscar");
    aimnet_reader_close(reader);
}

/* ---------------------------------------------------------------- writing */

/* Writes the frame n times under this name, which gives the format, and reads the last copy. */
static void write_and_read(const aimnet_frame *f, const aimnet_result *r, const char *path, int n,
                           aimnet_frame *again)
{
    aimnet_writer *writer;
    aimnet_reader *reader;
    assert_int_equal(aimnet_writer_open(path, &writer), AIMNET_OK);
    for (int i = 0; i < n; i++)
        if (aimnet_writer_frame(writer, f, r) != AIMNET_OK)
            fail_msg("%s", aimnet_last_error());
    assert_int_equal(aimnet_writer_close(writer, 1), AIMNET_OK);
    assert_int_equal(aimnet_reader_open(path, NULL, &reader), AIMNET_OK);
    for (int i = 0; i < n; i++)
        if (aimnet_reader_next(reader, again) != AIMNET_OK)
            fail_msg("%s", aimnet_last_error());
    aimnet_reader_close(reader);
    assert_string_equal(again->warnings, "");
    assert_int_equal(again->n_atoms, f->n_atoms);
    assert_memory_equal(again->numbers, f->numbers, (size_t)f->n_atoms * sizeof *f->numbers);
    assert_true(again->has_cell && again->pbc[0] && again->pbc[1] && again->pbc[2]);
}

static double distance(const aimnet_frame *f, int i, int j)
{
    const double *x = f->coord + 3 * i, *y = f->coord + 3 * j;
    return sqrt((x[0] - y[0]) * (x[0] - y[0]) + (x[1] - y[1]) * (x[1] - y[1]) +
                (x[2] - y[2]) * (x[2] - y[2]));
}

/* (b - a) x (c - a) . (d - a) of the first four atoms: its sign is their handedness. */
static double chirality(const aimnet_frame *f)
{
    double m[9];
    for (int k = 0; k < 9; k++)
        m[k] = f->coord[3 + k] - f->coord[k % 3];
    return aim_det3(m);
}

static const char skewed[] =
    "5\nLattice=\"0.3 6.1 0.2 5.2 -0.4 1 2 1.5 7\" pbc=\"T T T\"\nC 0 0 0\n"
    "O 1.1 0.2 0.3\nO -9 0.1 0.7\nH 0.2 1.5 0.4\nC 0.1 0.3 1.6\n";

static void written_cif_is_the_same_crystal_also_of_a_left_handed_cell(void **state)
{
    (void)state;
    aimnet_frame f = {0}, again = {0};
    double stress[9] = {0};
    const aimnet_result r = {.energy = -1.5, .stress = stress};
    read_one(skewed, NULL, &f, 5);
    assert_true(aim_det3(f.cell) < 0.0);
    write_and_read(&f, &r, AIM_TEST_TMP "/written.cif", 3, &again);
    assert_string_equal(again.title, "2");
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < i; j++)
            assert_true(fabs(distance(&f, i, j) - distance(&again, i, j)) < 1e-12);
    assert_true(fabs(chirality(&f) - chirality(&again)) < 1e-11);
    for (int v = 0; v < 9; v += 3)
        for (int u = 0; u <= v; u += 3)
            assert_true(fabs(aim_dot3(f.cell + u, f.cell + v) -
                             aim_dot3(again.cell + u, again.cell + v)) < 1e-12);
    aimnet_frame_free(&f);
    aimnet_frame_free(&again);
}

static void written_poscar_keeps_every_bit(void **state)
{
    (void)state;
    aimnet_frame f = {0}, again = {0};
    aimnet_writer *writer;
    read_one(skewed, NULL, &f, 5);
    write_and_read(&f, NULL, AIM_TEST_TMP "/POSCAR", 1, &again);
    assert_memory_equal(again.coord, f.coord, 15 * sizeof *f.coord);
    assert_memory_equal(again.cell, f.cell, sizeof f.cell);
    assert_int_equal(aimnet_writer_open(AIM_TEST_TMP "/two.vasp", &writer), AIMNET_OK);
    assert_int_equal(aimnet_writer_check(writer, &f), AIMNET_OK); /* writes nothing */
    assert_int_equal(aimnet_writer_frame(writer, &f, NULL), AIMNET_OK);
    assert_int_equal(aimnet_writer_frame(writer, &f, NULL), AIMNET_ERR_ARG);
    assert_non_null(strstr(aimnet_last_error(), "POSCAR holds one structure"));
    assert_int_equal(aimnet_writer_close(writer, 0), AIMNET_OK);
    assert_int_equal(aimnet_writer_open(AIM_TEST_TMP "/slab.cif", &writer), AIMNET_OK);
    f.pbc[2] = 0;
    assert_int_equal(aimnet_writer_check(writer, &f), AIMNET_ERR_ARG);
    assert_non_null(strstr(aimnet_last_error(), "write this one as extended XYZ"));
    assert_int_equal(aimnet_writer_frame(writer, &f, NULL), AIMNET_ERR_ARG);
    assert_non_null(strstr(aimnet_last_error(), "write this one as extended XYZ"));
    assert_int_equal(aimnet_writer_check(writer, NULL), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_writer_close(writer, 0), AIMNET_OK);
    aimnet_frame_free(&f);
    aimnet_frame_free(&again);
}

static void written_poscar_tells_energy_and_stress_and_forgets_them_with_the_next(void **state)
{
    (void)state;
    aimnet_frame f = {0}, again = {0}, third = {0};
    double stress[9] = {0.25, 0, 0, 0, -0.5, 0, 0, 0, 1};
    const aimnet_result r = {.energy = -1.5, .stress = stress};
    read_one(skewed, NULL, &f, 5);
    write_and_read(&f, &r, AIM_TEST_TMP "/POSCAR", 1, &again);
    assert_non_null(strstr(again.title, "energy=-1.5 stress=\"0.25 0 0 0 -0.5 0 0 0 1\""));
    write_and_read(&again, NULL, AIM_TEST_TMP "/POSCAR", 1, &third);
    assert_null(strstr(third.title, "energy"));
    aimnet_frame_free(&f);
    aimnet_frame_free(&again);
    aimnet_frame_free(&third);
}

static aimnet_status read_everything(const aimnet_allocator *hooks, void *text)
{
    aimnet_reader *reader;
    aimnet_frame frame = {0};
    aimnet_status status = aim_reader_open_memory(hooks, text, strlen(text), "t", NULL, &reader);
    if (status != AIMNET_OK)
        return status;
    do {
        status = aim_reader_next(reader, &frame);
    } while (status == AIMNET_OK || status == AIMNET_ERR_FORMAT);
    aim_frame_free(&frame);
    aim_reader_close(reader);
    return status == AIMNET_ERR_END ? AIMNET_OK : status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static char cif[] = "data_t\n_title\n;\nlong\n;\n" CUBE OPERATIONS("x,y,z -x,-y,-z\n") SITES
        "He1 0 0 0\nNe1 0.3 0.2 0.1\ndata_bad\n" CUBE SITES "He1 0 ? 0\ndata_u\n" CUBE SITES
        "He1 0 0 0\n";
    static char poscar[] = "t\n1\n5 0 0\n0 5 0\n0 0 5\nHe Ne\n2 1\nDirect\n0 0 0\n0 0 .5\n0 .5 0\n";
    assert_true(fail_alloc_sweep(read_everything, cif) > 8);
    assert_true(fail_alloc_sweep(read_everything, poscar) > 5);
}

static aimnet_status write_everything(const aimnet_allocator *hooks, void *path)
{
    aim_alloc alloc;
    aimnet_writer *writer = NULL;
    aimnet_frame frame = {0};
    double stress[9] = {0};
    const aimnet_result result = {.energy = -1.5, .stress = stress};
    read_one(skewed, NULL, &frame, 5);
    unlink(path);
    aimnet_status status = aim_alloc_from(hooks, &alloc);
    if (status == AIMNET_OK)
        status = aim_writer_open(&alloc, path, &writer);
    if (status == AIMNET_OK) {
        status = aim_writer_frame(writer, &frame, &result);
        const aimnet_status closed = aim_writer_close(writer, status == AIMNET_OK);
        status = status == AIMNET_OK ? closed : status;
    }
    aimnet_frame_free(&frame);
    assert_int_equal(access(path, F_OK) == 0, status == AIMNET_OK); /* whole or not at all */
    return status;
}

static void every_allocation_of_the_writers_may_fail(void **state)
{
    (void)state;
    static char cif[] = AIM_TEST_TMP "/memory.cif", poscar[] = AIM_TEST_TMP "/memory.vasp",
                xyz[] = AIM_TEST_TMP "/memory.xyz";
    assert_true(fail_alloc_sweep(write_everything, cif) > 2);
    assert_true(fail_alloc_sweep(write_everything, poscar) > 2);
    assert_true(fail_alloc_sweep(write_everything, xyz) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_are_read_as_crystallographers_write_them),
        cmocka_unit_test(cells_survive_their_parameters),
        cmocka_unit_test(a_rounded_special_position_becomes_exact),
        cmocka_unit_test(copies_of_the_molecule_stay_whole),
        cmocka_unit_test(blocks_give_titles_and_warnings),
        cmocka_unit_test(messages_name_the_remedy),
        cmocka_unit_test(names_without_suffix_are_known),
        cmocka_unit_test(written_cif_is_the_same_crystal_also_of_a_left_handed_cell),
        cmocka_unit_test(written_poscar_keeps_every_bit),
        cmocka_unit_test(written_poscar_tells_energy_and_stress_and_forgets_them_with_the_next),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_allocation_of_the_writers_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
