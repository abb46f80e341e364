/* SPDX-License-Identifier: MIT */
/* test_crystal_properties.c - what physics demands of crystals, slabs and wires: the stress is the
 * strain derivative of the energy, forces are its slope, the choice and the content of the cell do
 * not matter, a supercell has the energy of its cells. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aimnet_nlist.h"
#include "base/vec3.h"
#include "model/model.h"

/* docs/numerics.md: five-point differences of a double energy; lattice sums also change their
 * meshes and cutoffs with the cell, within their accuracy. */
static const double STRESS_DIFFERENCE = 1e-8; /* eV/A^3 */
static const double FORCE_DIFFERENCE = 1e-6;  /* eV/A */
static const double STRAIN = 3e-4, STEP = 1e-4;
static const double SUPERCELL = 1e-9; /* eV per atom, with epsilon 0 */

typedef struct crystal {
    aimnet_frame frame;
    aimnet_system system;
} crystal;

static void crystal_read(const char *name, crystal *c)
{
    char path[512];
    aimnet_reader *reader = NULL;
    *c = (crystal){.system = {.n_atoms = 0}};
    snprintf(path, sizeof path, "%s/tests/golden/crystals/%s.xyz", AIM_SOURCE_DIR, name);
    if (aimnet_reader_open(path, NULL, &reader) || aimnet_reader_next(reader, &c->frame))
        fail_msg("%s", aimnet_last_error());
    aimnet_reader_close(reader);
    c->system = aimnet_frame_system(&c->frame); /* points into c->frame */
}

/* The structure with x -> x (1 + e), cell included. */
static molecule strained(const aimnet_system *s, const double e[9], double cell[9])
{
    molecule m = {.n = s->n_atoms};
    m.numbers = calloc((size_t)m.n, sizeof *m.numbers);
    m.coord = calloc((size_t)m.n, 3 * sizeof *m.coord);
    assert_true(m.numbers && m.coord);
    memcpy(m.numbers, s->numbers, (size_t)m.n * sizeof *m.numbers);
    for (int32_t i = 0; i < m.n; i++) {
        aim_vecmat3(s->coord + 3 * i, e, m.coord + 3 * i);
        for (int d = 0; d < 3; d++)
            m.coord[3 * i + d] += s->coord[3 * i + d];
    }
    for (int v = 0; v < 3; v++) {
        aim_vecmat3(s->cell + 3 * v, e, cell + 3 * v);
        for (int d = 0; d < 3; d++)
            cell[3 * v + d] += s->cell[3 * v + d];
    }
    return m;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The middle of the widest gap between pair distances within 5 % of r; *width: of the gap. */
static double widest_gap(const aimnet_system *s, double r, double *width)
{
    const double reach = 1.06 * r, low = 0.95 * r, high = 1.05 * r;
    const int32_t pbc[3] = {s->pbc[0], s->pbc[1], s->pbc[2]};
    const aimnet_atoms atoms = {.n_atoms = s->n_atoms,
                                .n_systems = 1,
                                .coord = s->coord,
                                .n_cells = 1,
                                .cell = s->cell,
                                .n_pbc = 1,
                                .pbc = pbc};
    aimnet_nlist *nlist = NULL;
    int64_t n = 0;
    if (aimnet_nlist_create(NULL, &nlist) || aimnet_nlist_build(nlist, &atoms, &reach, 1))
        fail_msg("%s", aimnet_last_error());
    (void)aimnet_nlist_coo(nlist, 0, &atoms, 0, &n, NULL, NULL, NULL, NULL, NULL);
    double *d = calloc((size_t)n + 2, sizeof *d), middle = low;
    assert_non_null(d);
    if (aimnet_nlist_coo(nlist, 0, &atoms, n, &n, NULL, NULL, NULL, NULL, d))
        fail_msg("%s", aimnet_last_error());
    d[n] = low;
    d[n + 1] = high;
    qsort(d, (size_t)n + 2, sizeof *d, ascending);
    *width = 0.0;
    for (int64_t k = 0; k <= n; k++)
        if (d[k] >= low && d[k + 1] <= high && d[k + 1] - d[k] > *width) {
            *width = d[k + 1] - d[k];
            middle = 0.5 * (d[k] + d[k + 1]);
        }
    aimnet_nlist_free(nlist);
    free(d);
    return middle;
}

/* Scales the crystal so that 5 A, where the network's energy is only once differentiable, falls
 * into a gap of its distances. */
static void crystal_away_from_cutoff(const char *name, crystal *c)
{
    crystal_read(name, c);
    double width;
    const double factor = 5.0 / widest_gap(&c->system, 5.0, &width);
    assert_true(width > 2.0 * 5.0 * 2.0 * STRAIN);
    for (int32_t i = 0; i < 3 * c->frame.n_atoms; i++)
        c->frame.coord[i] *= factor;
    for (int k = 0; k < 9; k++)
        c->frame.cell[k] *= factor;
}

/* ---------------------------------------------------------------- stress and forces */

enum { STENCIL = 4, N_CALLS = 1 + 9 * STENCIL };
static const double shift_of[STENCIL] = {-2, -1, 1, 2},
                    weight_of[STENCIL] = {1.0 / 12, -8.0 / 12, 8.0 / 12, -1.0 / 12};

/* Stress of the structure against differences of its energy in all nine directions, in one call. */
static void check_stress(aimnet_calc *calc, const aimnet_system *s, const char *name,
                         const char *method, double tolerance)
{
    aimnet_system systems[N_CALLS] = {*s};
    aimnet_result results[N_CALLS];
    molecule moved[N_CALLS] = {{.n = 0}};
    double cells[N_CALLS][9], stress[9];
    memset(results, 0, sizeof results);
    results[0].stress = stress;
    for (int k = 1; k < N_CALLS; k++) {
        double e[9] = {0};
        e[(k - 1) / STENCIL] = STRAIN * shift_of[(k - 1) % STENCIL];
        moved[k] = strained(s, e, cells[k]);
        systems[k] = *s;
        systems[k].coord = moved[k].coord;
        systems[k].cell = cells[k];
    }
    if (aimnet_calc_eval(calc, systems, N_CALLS, results) != AIMNET_OK)
        fail_msg("%s: %s", name, results[0].message);
    const double volume = fabs(aim_det3(s->cell));
    for (int x = 0; x < 9; x++) {
        double slope = 0.0;
        for (int k = 0; k < STENCIL; k++)
            slope += weight_of[k] * (results[1 + STENCIL * x + k].energy - results[0].energy) /
                     (STRAIN * volume);
        if (!(fabs(slope - stress[x]) <= tolerance))
            fail_msg("%s, %s: stress[%d] is %.12g, the energy's slope says %.12g", name, method, x,
                     stress[x], slope);
        assert_true(fabs(stress[x] - stress[3 * (x % 3) + x / 3]) <= tolerance);
    }
    for (int k = 1; k < N_CALLS; k++)
        molecule_free(&moved[k]);
}

static void check_crystal(aimnet_model *model, const char *name, int periodic_axes)
{
    static const struct {
        aimnet_coulomb method;
        const char *name;
        double accuracy, tolerance;
        int dispersion;
    } methods[] = {
        {AIMNET_COULOMB_SIMPLE, "simple", 0, 0, 1},
        {AIMNET_COULOMB_DSF, "dsf", 0, 0, 1},
        {AIMNET_COULOMB_DSF, "dsf without D3", 0, 0, 0},
        {AIMNET_COULOMB_EWALD, "ewald", 1e-12, 0, 1},
        {AIMNET_COULOMB_PME, "pme", 1e-12, 0, 1},
    };
    crystal c;
    crystal_away_from_cutoff(name, &c);
    double width;
    for (size_t k = 0; k < sizeof methods / sizeof *methods; k++) {
        if (periodic_axes < 3 && methods[k].method > AIMNET_COULOMB_DSF)
            continue;
        if (periodic_axes == 3 && methods[k].method == AIMNET_COULOMB_SIMPLE)
            continue; /* DSF 15 A: no gap there; the same bits as DSF by another test */
        aimnet_options o = aimnet_options_default();
        o.precision = AIMNET_DOUBLE;
        o.coulomb = methods[k].method;
        o.ewald_accuracy = methods[k].accuracy;
        o.coulomb_cutoff = widest_gap(&c.system, 8.0, &width);
        assert_true(o.coulomb != AIMNET_COULOMB_DSF || width > 2.0 * 8.0 * 2.0 * STRAIN);
        if (periodic_axes == 3) { /* a pair that leaves the list takes 1e-7 of a coordination
                                     number with it: keep it away from there, too */
            o.d3_cutoff = widest_gap(&c.system, 9.0, &width);
            assert_true(width > 2.0 * 9.0 * 2.0 * STRAIN);
        }
        o.needs_dispersion = methods[k].dispersion;
        aimnet_calc *calc = calc_open(model, &o);
        check_stress(calc, &c.system, name, methods[k].name,
                     STRESS_DIFFERENCE + methods[k].tolerance);
        aimnet_calc_free(calc);
    }
    aimnet_frame_free(&c.frame);
}

static void stress_is_the_strain_derivative_of_the_energy(void **state)
{
    (void)state;
    aimnet_model *model = model_open(NULL);
    check_crystal(model, "ammonium_chloride", 3);
    check_crystal(model, "formamide", 3);
    aimnet_model_free(model);
}

static void stress_of_slabs_and_wires_is_the_strain_derivative_by_the_volume_given(void **state)
{
    (void)state;
    aimnet_model *model = model_open(NULL);
    check_crystal(model, "slab", 2);
    check_crystal(model, "wire", 1);
    aimnet_model_free(model);
}

static void forces_in_crystals_are_the_slope_of_the_energy(void **state)
{
    (void)state;
    aimnet_model *model = model_open(NULL);
    for (int method = AIMNET_COULOMB_DSF; method <= AIMNET_COULOMB_PME; method++) {
        aimnet_options o = aimnet_options_default();
        o.precision = AIMNET_DOUBLE;
        o.coulomb = (aimnet_coulomb)method;
        o.ewald_accuracy = method == AIMNET_COULOMB_PME ? 1e-9 : 1e-11;
        crystal c;
        double width;
        crystal_away_from_cutoff("formamide", &c);
        o.coulomb_cutoff = widest_gap(&c.system, 8.0, &width);
        o.d3_cutoff = widest_gap(&c.system, 9.0, &width);
        aimnet_calc *calc = calc_open(model, &o);
        evaluation e = evaluation_create(c.frame.n_atoms, 0);
        assert_int_equal(aimnet_calc_eval(calc, &c.system, 1, &e.r), AIMNET_OK);
        for (int x = 0; x < 12; x++) {
            aimnet_result r = {0};
            double slope = 0.0;
            const double kept = c.frame.coord[x];
            for (int k = 0; k < STENCIL; k++) {
                c.frame.coord[x] = kept + shift_of[k] * STEP;
                assert_int_equal(aimnet_calc_eval(calc, &c.system, 1, &r), AIMNET_OK);
                slope += weight_of[k] * (r.energy - e.r.energy) / STEP;
            }
            c.frame.coord[x] = kept;
            if (!(fabs(slope + e.r.forces[x]) <= FORCE_DIFFERENCE))
                fail_msg("method %d: force %d is %.12g, the energy's slope says %.12g", method, x,
                         e.r.forces[x], -slope);
        }
        evaluation_free(&e);
        aimnet_frame_free(&c.frame);
        aimnet_calc_free(calc);
    }
    aimnet_model_free(model);
}

/* ---------------------------------------------------------------- cells */

static void a_stress_needs_three_vectors_and_a_lattice_sum_three_axes(void **state)
{
    (void)state;
    aimnet_model *model = model_open(NULL);
    aimnet_options o = aimnet_options_default();
    aimnet_calc *calc = calc_open(model, &o);
    crystal c;
    crystal_read("slab", &c);
    double stress[9];
    aimnet_result r = {.stress = stress};
    for (int d = 0; d < 3; d++)
        c.frame.cell[6 + d] = 0.0;
    assert_int_equal(aimnet_calc_eval(calc, &c.system, 1, &r), AIMNET_ERR_SOME_FAILED);
    assert_non_null(strstr(r.message, "cell vector c is zero, but stress needs three"));
    r.stress = NULL;
    assert_int_equal(aimnet_calc_eval(calc, &c.system, 1, &r), AIMNET_OK);
    aimnet_frame_free(&c.frame);
    crystal_read("slab", &c);
    for (int method = AIMNET_COULOMB_EWALD; method <= AIMNET_COULOMB_PME; method++) {
        assert_int_equal(aimnet_calc_set_lrcoulomb_method(calc, (aimnet_coulomb)method,
                                                          AIMNET_DEFAULT, AIMNET_DEFAULT,
                                                          AIMNET_DEFAULT),
                         AIMNET_OK);
        assert_int_equal(aimnet_calc_eval(calc, &c.system, 1, &r), AIMNET_ERR_SOME_FAILED);
        assert_non_null(strstr(r.message, "DSF"));
    }
    aimnet_frame_free(&c.frame);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

/* 2 x 2 x 2 cells as one. */
static crystal supercell(const crystal *c)
{
    crystal s = {.system = c->system};
    const int32_t n = c->frame.n_atoms;
    int32_t *numbers = calloc((size_t)(8 * n), sizeof *numbers);
    double *coord = calloc((size_t)(24 * n), sizeof *coord), *cell = calloc(9, sizeof *cell);
    assert_true(numbers && coord && cell);
    for (int32_t k = 0; k < 8 * n; k++) {
        const int32_t i = k % n, image = k / n;
        numbers[k] = c->frame.numbers[i];
        for (int d = 0; d < 3; d++)
            coord[3 * k + d] = c->frame.coord[3 * i + d] + (image & 1) * c->frame.cell[d] +
                               (image >> 1 & 1) * c->frame.cell[3 + d] +
                               (image >> 2) * c->frame.cell[6 + d];
    }
    for (int k = 0; k < 9; k++)
        cell[k] = 2.0 * c->frame.cell[k];
    s.system.n_atoms = 8 * n;
    s.system.numbers = numbers;
    s.system.coord = coord;
    s.system.cell = cell;
    s.system.charge = 8.0 * c->system.charge;
    return s;
}

/* Largest |E(2x2x2) - 8 E| per atom over the crystals, for one method. */
static double supercell_difference(aimnet_model *model, aimnet_coulomb method, double accuracy)
{
    static const char *const names[] = {"ice", "ammonium_chloride", "formamide"};
    aimnet_options o = aimnet_options_default();
    double worst = 0.0;
    o.precision = AIMNET_DOUBLE;
    o.coulomb = method;
    o.coulomb_cutoff = 9.0;
    o.d3_cutoff = 12.0;
    o.ewald_accuracy = accuracy;
    aimnet_calc *calc = calc_open(model, &o);
    for (int i = 0; i < 3; i++) {
        crystal one;
        crystal_read(names[i], &one);
        const crystal eight = supercell(&one);
        const aimnet_system systems[2] = {one.system, eight.system};
        aimnet_result r[2];
        memset(r, 0, sizeof r);
        if (aimnet_calc_eval(calc, systems, 2, r) != AIMNET_OK)
            fail_msg("%s: %s %s", names[i], r[0].message, r[1].message);
        worst = fmax(worst, fabs(r[1].energy - 8.0 * r[0].energy) / eight.system.n_atoms);
        aimnet_frame_free(&one.frame);
        free((void *)eight.system.numbers);
        free((void *)eight.system.coord);
        free((void *)eight.system.cell);
    }
    aimnet_calc_free(calc);
    return worst;
}

static void a_supercell_has_the_energy_of_its_cells_without_epsilon(void **state)
{
    (void)state;
    aimnet_model *model = model_open(NULL);
    const double with = supercell_difference(model, AIMNET_COULOMB_DSF, 0.0);
    ((aim_model *)model)->charge_epsilon = 0.0;
    const double dsf = supercell_difference(model, AIMNET_COULOMB_DSF, 0.0),
                 ewald = supercell_difference(model, AIMNET_COULOMB_EWALD, 1e-12),
                 pme = supercell_difference(model, AIMNET_COULOMB_PME, 1e-9);
    print_message("E(2x2x2) - 8 E per atom: %.1e eV; with epsilon 0: DSF %.1e, Ewald %.1e, PME "
                  "%.1e\n",
                  with, dsf, ewald, pme);
    assert_true(with < 1e-5);
    assert_true(dsf <= SUPERCELL && ewald <= SUPERCELL && pme <= 1e-8);
    aimnet_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stress_is_the_strain_derivative_of_the_energy),
        cmocka_unit_test(stress_of_slabs_and_wires_is_the_strain_derivative_by_the_volume_given),
        cmocka_unit_test(forces_in_crystals_are_the_slope_of_the_energy),
        cmocka_unit_test(a_stress_needs_three_vectors_and_a_lattice_sum_three_axes),
        cmocka_unit_test(a_supercell_has_the_energy_of_its_cells_without_epsilon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
