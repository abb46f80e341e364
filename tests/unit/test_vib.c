/* SPDX-License-Identifier: MIT */
/* test_vib.c - normal modes and thermochemistry: against ASE and the Python reference on the same
 * Hessians (tests/reference/make_vibrations.py), analytic cases, and Hessians by differences. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aimnet_vib.h"

enum { MAX_ATOMS = 16, MAX_N = 3 * MAX_ATOMS };

typedef struct molecule {
    char name[40];
    int n, n_modes, n_gradient;
    double symmetry, mult;
    int32_t numbers[MAX_ATOMS];
    double coord[MAX_N], hessian[MAX_N * MAX_N], gradient[3 * MAX_N];
    double ase[MAX_N], reference[MAX_N], intensity[MAX_N], mass[MAX_N];
    double thermo[2][8];
    int n_thermo;
} molecule;

static void assert_near(double x, double y, double tolerance, const char *what, int k)
{
    if (!(fabs(x - y) <= tolerance))
        fail_msg("%s[%d]: %.12g instead of %.12g, off by %g", what, k, x, y, x - y);
}

static int numbers_of(char *text, double *x, int capacity)
{
    int n = 0;
    for (char *word = strtok(text, " \n"); word && n < capacity; word = strtok(NULL, " \n"))
        x[n++] = strtod(word, NULL);
    return n;
}

static void read_molecule(FILE *file, char *line, molecule *m)
{
    memset(m, 0, sizeof *m);
    assert_int_equal(
        sscanf(line, "molecule %39s %d %lf %lf", m->name, &m->n, &m->symmetry, &m->mult), 4);
    assert_in_range(m->n, 1, MAX_ATOMS);
    for (int i = 0; i < m->n; i++) {
        int z;
        double *x = m->coord + 3 * i;
        assert_int_equal(fscanf(file, "%d %lf %lf %lf ", &z, x, x + 1, x + 2), 4);
        m->numbers[i] = z;
    }
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/vibrations/%s.npy", AIM_SOURCE_DIR, m->name);
    if (aimnet_matrix_load(path, m->hessian, 3 * m->n, 3 * m->n) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
}

static void read_line(char *line, molecule *m)
{
    char *rest = strchr(line, ' ');
    assert_non_null(rest);
    *rest++ = '\0';
    if (strcmp(line, "ase") == 0)
        m->n_modes = numbers_of(rest, m->ase, MAX_N);
    else if (strcmp(line, "reference") == 0)
        assert_int_equal(numbers_of(rest, m->reference, MAX_N), m->n_modes);
    else if (strcmp(line, "dipole_gradient") == 0)
        assert_int_equal(numbers_of(rest, m->gradient, 3 * MAX_N), 9 * m->n);
    else if (strcmp(line, "intensity") == 0)
        assert_int_equal(numbers_of(rest, m->intensity, MAX_N), m->n_modes);
    else if (strcmp(line, "mass") == 0)
        assert_int_equal(numbers_of(rest, m->mass, MAX_N), m->n_modes);
    else if (strcmp(line, "thermo") == 0)
        assert_int_equal(numbers_of(rest, m->thermo[m->n_thermo++], 8), 8);
    else
        fail_msg("unknown line %s", line);
}

typedef void (*molecule_fn)(const molecule *m, const aimnet_vib *vib);

static aimnet_vib_input input_of(const molecule *m)
{
    return (aimnet_vib_input){.n_atoms = m->n,
                              .numbers = m->numbers,
                              .coord = m->coord,
                              .hessian = m->hessian,
                              .dipole_gradient = m->gradient};
}

static void analyze_and_call(const molecule *m, molecule_fn fn)
{
    const aimnet_vib_input in = input_of(m);
    aimnet_vib *vib;
    if (aimnet_vib_analyze(&in, NULL, &vib) != AIMNET_OK)
        fail_msg("%s: %s", m->name, aimnet_last_error());
    fn(m, vib);
    aimnet_vib_free(vib);
}

static int for_each_molecule(molecule_fn fn)
{
    FILE *file = fopen(AIM_SOURCE_DIR "/tests/golden/vibrations/vibrations.txt", "r");
    assert_non_null(file);
    static char line[1 << 16];
    static molecule m;
    int n = 0;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "molecule ", 9) == 0) {
            if (n++ > 0)
                analyze_and_call(&m, fn);
            read_molecule(file, line, &m);
        } else if (line[0] != '#') {
            read_line(line, &m);
        }
    }
    analyze_and_call(&m, fn);
    fclose(file);
    return n;
}

/* The reference projects as we do: only constants and rounding differ. ASE does not project, its
 * geometries are converged to 1e-6 eV/A. */
static void compare_wavenumbers(const molecule *m, const aimnet_vib *vib)
{
    const aimnet_vib_modes *v = aimnet_vib_get_modes(vib);
    assert_int_equal(v->n_modes, m->n_modes);
    assert_int_equal(v->n_modes, 3 * m->n - v->n_removed);
    for (int k = 0; k < m->n_modes; k++) {
        assert_near(v->wavenumber[k], m->reference[k], 1e-5, m->name, k);
        assert_near(v->wavenumber[k], m->ase[k], 0.01, m->name, k);
    }
    assert_int_equal(v->n_imaginary, strcmp(m->name, "planar_ammonia") == 0);
}
static void wavenumbers_are_those_of_ase_and_the_reference(void **state)
{
    (void)state;
    assert_in_range(for_each_molecule(compare_wavenumbers), 10, 100);
}

/* Components of a degenerate mode may be turned: their sums are compared. */
static void compare_modes(const molecule *m, const aimnet_vib *vib)
{
    const aimnet_vib_modes *v = aimnet_vib_get_modes(vib);
    for (int first = 0, end; first < m->n_modes; first = end) {
        double ir[2] = {0};
        for (end = first; end < m->n_modes && m->reference[end] - m->reference[first] < 1.5;
             end++) {
            ir[0] += v->intensity[end];
            ir[1] += m->intensity[end];
        }
        assert_near(ir[0], ir[1], 2e-5 * fmax(1.0, ir[1]), m->name, first);
        if (end == first + 1)
            assert_near(v->reduced_mass[first], m->mass[first], 1e-6, m->name, first);
    }
}
static void intensities_and_reduced_masses_are_those_of_ase(void **state)
{
    (void)state;
    assert_in_range(for_each_molecule(compare_modes), 10, 100);
}

static void compare_thermo(const molecule *m, const aimnet_vib *vib)
{
    assert_int_equal(m->n_thermo, 2);
    for (int k = 0; k < 2; k++) {
        const double *x = m->thermo[k];
        aimnet_thermo_options o = aimnet_thermo_options_default();
        o.temperature = x[0];
        o.pressure = x[1];
        o.scale = x[2];
        o.symmetry_number = m->symmetry;
        o.mult = m->mult;
        aimnet_thermo t;
        assert_int_equal(aimnet_vib_thermo(vib, &o, &t), AIMNET_OK);
        assert_near(t.zero_point, x[3], 1e-8, m->name, 3);
        assert_near(t.enthalpy, x[4], 1e-8, m->name, 4);
        assert_near(o.temperature * t.entropy, o.temperature * x[5], 1e-7, m->name, 5);
        assert_near(t.gibbs, x[6], 1e-7, m->name, 6);
        assert_near(o.temperature * t.entropy_quasi, o.temperature * x[7], 1e-7, m->name, 7);
        assert_near(t.gibbs_quasi, t.enthalpy - o.temperature * t.entropy_quasi, 1e-12, m->name, 8);
    }
}
static void thermochemistry_is_that_of_ase(void **state)
{
    (void)state;
    assert_in_range(for_each_molecule(compare_thermo), 10, 100);
}

/* A diatomic on a spring k has the wavenumber sqrt(k/mu)/(2 pi c), wherever its axis points. */
static void a_spring_vibrates_as_its_reduced_mass_says(void **state)
{
    (void)state;
    const double k = 30.0, masses[2] = {1.0, 16.0}, mu = 16.0 / 17.0;
    const double u[3] = {2.0 / 7.0, 3.0 / 7.0, 6.0 / 7.0};
    const int32_t numbers[2] = {1, 8};
    double coord[6] = {0}, hessian[36];
    for (int a = 0; a < 3; a++)
        coord[3 + a] = 1.1 * u[a];
    for (int a = 0; a < 6; a++)
        for (int b = 0; b < 6; b++)
            hessian[6 * a + b] = (a / 3 == b / 3 ? k : -k) * u[a % 3] * u[b % 3];
    const aimnet_vib_input in = {
        .n_atoms = 2, .numbers = numbers, .coord = coord, .masses = masses, .hessian = hessian};
    aimnet_vib *vib;
    assert_int_equal(aimnet_vib_analyze(&in, NULL, &vib), AIMNET_OK);
    const aimnet_vib_modes *v = aimnet_vib_get_modes(vib);
    assert_int_equal(v->n_modes, 1);
    assert_int_equal(v->shape, AIMNET_VIB_LINEAR);
    /* sqrt(eV/A^2/amu) = 98.2269 ps^-1 = 521.47091 cm^-1 */
    assert_near(v->wavenumber[0], 521.470898 * sqrt(k / mu), 1e-4, "wavenumber", 0);
    assert_near(v->reduced_mass[0] * 2.0 * masses[0] * masses[1] /
                    (masses[0] * masses[0] + masses[1] * masses[1]),
                v->reduced_mass[0] * 2.0 * 16.0 / 257.0, 1e-12, "mass", 0);
    assert_null(v->intensity);
    assert_near(v->rigid_wavenumber, 0.0, 1e-4, "rigid", 0);
    aimnet_vib_free(vib);
}

/* Translating and turning a molecule turns its modes and changes no number. */
static void turned_molecules_have_the_same_wavenumbers(const molecule *m, const aimnet_vib *vib)
{
    const double c = cos(0.7), s = sin(0.7), r[9] = {c, s, 0, -s * c, c * c, s, s * s, -s * c, c};
    static double coord[MAX_N], hessian[MAX_N * MAX_N];
    const int n = 3 * m->n;
    for (int i = 0; i < m->n; i++)
        for (int b = 0; b < 3; b++)
            coord[3 * i + b] = 5.0 + m->coord[3 * i] * r[b] + m->coord[3 * i + 1] * r[3 + b] +
                               m->coord[3 * i + 2] * r[6 + b];
    for (int k = 0; k < n; k++)
        for (int l = 0; l < n; l++) {
            hessian[k * n + l] = 0.0;
            for (int a = 0; a < 9; a++)
                hessian[k * n + l] += r[3 * (a / 3) + k % 3] * r[3 * (a % 3) + l % 3] *
                                      m->hessian[(k / 3 * 3 + a / 3) * n + l / 3 * 3 + a % 3];
        }
    aimnet_vib_input in = input_of(m);
    in.coord = coord;
    in.hessian = hessian;
    aimnet_vib *turned;
    assert_int_equal(aimnet_vib_analyze(&in, NULL, &turned), AIMNET_OK);
    for (int k = 0; k < m->n_modes; k++)
        assert_near(aimnet_vib_get_modes(turned)->wavenumber[k],
                    aimnet_vib_get_modes(vib)->wavenumber[k], 1e-4, m->name, k);
    aimnet_vib_free(turned);
}
static void orientation_does_not_matter(void **state)
{
    (void)state;
    assert_in_range(for_each_molecule(turned_molecules_have_the_same_wavenumbers), 10, 100);
}

static void modes_are_orthogonal_and_free_of_rigid_motion(const molecule *m, const aimnet_vib *vib)
{
    static const double amu[10] = {[1] = 1.008, [6] = 12.011, [7] = 14.007, [8] = 15.999};
    const aimnet_vib_modes *v = aimnet_vib_get_modes(vib);
    for (int k = 0; k < v->n_modes; k++) {
        double momentum[3] = {0}, norm = 0.0;
        const double *x = v->displacement + 3 * k * m->n;
        for (int i = 0; i < 3 * m->n; i++) {
            momentum[i % 3] += (m->numbers[i / 3] < 10 ? amu[m->numbers[i / 3]] : 32.06) * x[i];
            norm += x[i] * x[i];
        }
        assert_near(norm, 1.0, 1e-12, m->name, k);
        for (int a = 0; a < 3; a++)
            assert_near(momentum[a], 0.0, 1e-9, m->name, k);
    }
}
static void modes_have_unit_length_and_no_momentum(void **state)
{
    (void)state;
    assert_in_range(for_each_molecule(modes_are_orthogonal_and_free_of_rigid_motion), 10, 100);
}

#define ANALYTIC   1e-9 /* eV/A^2: float64 autograd of the reference */
#define DIFFERENCE 1e-3 /* fourth derivatives times the step squared */

/* Seeds on the charges (three backward passes) against the charges' tangents along all coordinates. */
static void compare_dipole_alone(const molecule *m, aimnet_calc *calc, const aimnet_system *s)
{
    static double hessian[MAX_N * MAX_N], gradient[3 * MAX_N], alone[3 * MAX_N];
    assert_int_equal(aimnet_vib_derivatives(calc, s, 0.0, hessian, gradient), AIMNET_OK);
    assert_int_equal(aimnet_vib_derivatives(calc, s, 0.0, NULL, alone), AIMNET_OK);
    assert_int_equal(aimnet_vib_derivatives(calc, s, 0.0, NULL, NULL), AIMNET_ERR_ARG);
    for (int k = 0; k < 9 * m->n; k++)
        assert_near(alone[k], gradient[k], 1e-10, m->name, k);
}

/* The model that made the golden Hessians is the built-in one. */
static void compare_derivatives(const molecule *m, const aimnet_vib *vib)
{
    (void)vib;
    static double hessian[MAX_N * MAX_N], gradient[3 * MAX_N];
    aimnet_model *model;
    aimnet_calc *calc;
    aimnet_options options = aimnet_options_default();
    options.precision = AIMNET_DOUBLE;
    options.threads = 1;
    assert_int_equal(aimnet_model_load(NULL, NULL, &model), AIMNET_OK);
    assert_int_equal(aimnet_calc_create(&model, 1, &options, &calc), AIMNET_OK);
    const aimnet_system s = {.n_atoms = m->n, .numbers = m->numbers, .coord = m->coord};
    for (int differences = 0; differences < 2; differences++) {
        const double step = differences ? 0.0005 : 0.0;
        if (aimnet_vib_derivatives(calc, &s, step, hessian, gradient) != AIMNET_OK)
            fail_msg("%s: %s", m->name, aimnet_last_error());
        for (int k = 0; k < 9 * m->n * m->n; k++)
            assert_near(hessian[k], m->hessian[k], differences ? DIFFERENCE : ANALYTIC, m->name, k);
        /* the golden derivatives of the dipole are differences themselves */
        for (int k = 0; k < 9 * m->n; k++)
            assert_near(gradient[k], m->gradient[k], 5e-5, m->name, k);
    }
    compare_dipole_alone(m, calc, &s);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}
static void derivatives_are_those_of_the_reference(void **state)
{
    (void)state;
    assert_in_range(for_each_molecule(compare_derivatives), 10, 100);
}

static void atoms_and_crystals_keep_their_own_motions(void **state)
{
    (void)state;
    const int32_t numbers[2] = {18, 18};
    const double coord[6] = {0, 0, 0, 1, 2, 2};
    double zero[36] = {0};
    for (int k = 0; k < 6; k++)
        zero[7 * k] = 1.0;
    aimnet_vib_input in = {.n_atoms = 1, .numbers = numbers, .coord = coord, .hessian = zero};
    aimnet_vib *vib;
    aimnet_thermo t;
    assert_int_equal(aimnet_vib_analyze(&in, NULL, &vib), AIMNET_OK);
    assert_int_equal(aimnet_vib_get_modes(vib)->n_modes, 0);
    assert_int_equal(aimnet_vib_thermo(vib, NULL, &t), AIMNET_OK);
    /* Sackur-Tetrode: argon at 298.15 K and 1 atm has 154.73 J/(mol K) (NIST: 154.85 at 1 bar) */
    assert_near(t.entropy * 96485.33212, 154.736, 0.01, "argon", 0);
    aimnet_vib_free(vib);
    in.n_atoms = 2;
    in.periodic = 1;
    assert_int_equal(aimnet_vib_analyze(&in, NULL, &vib), AIMNET_OK);
    assert_int_equal(aimnet_vib_get_modes(vib)->n_modes, 3);
    assert_int_equal(aimnet_vib_thermo(vib, NULL, &t), AIMNET_OK);
    assert_true(t.entropy_translation == 0.0 && t.enthalpy == t.internal);
    aimnet_vib_free(vib);
}

static void impossible_input_is_refused(void **state)
{
    (void)state;
    const int32_t numbers[2] = {1, 119};
    double coord[6] = {0, 0, 0, 0, 0, 1}, hessian[36] = {0}, masses[2] = {1.0, 0.0};
    static const double far[6] = {1.0, 1.0, 1.0, 1.0, 1.0, 1.75};
    aimnet_vib *vib;
    aimnet_vib_input in = {.n_atoms = 2, .numbers = numbers, .coord = coord, .hessian = hessian};
    assert_int_equal(aimnet_vib_analyze(&in, NULL, &vib), AIMNET_ERR_ARG); /* element 119 */
    in.masses = masses;
    assert_int_equal(aimnet_vib_analyze(&in, NULL, &vib), AIMNET_ERR_ARG); /* mass 0 */
    masses[1] = 1.0;
    hessian[7] = NAN;
    assert_int_equal(aimnet_vib_analyze(&in, NULL, &vib), AIMNET_ERR_ARG);
    hessian[7] = 0.0;
    coord[5] = 0.0;
    assert_int_equal(aimnet_vib_analyze(&in, NULL, &vib), AIMNET_ERR_ARG); /* one place */
    assert_null(vib);
    in.n_atoms = 0;
    assert_int_equal(aimnet_vib_analyze(&in, NULL, &vib), AIMNET_ERR_ARG);
    in.n_atoms = 1;
    const aimnet_allocator no_hooks = {0};
    assert_int_equal(aimnet_vib_analyze(&in, &no_hooks, &vib), AIMNET_ERR_ARG);
    in.n_atoms = 1;
    assert_int_equal(aimnet_vib_analyze(&in, NULL, &vib), AIMNET_OK);
    aimnet_thermo t;
    aimnet_thermo_options o = aimnet_thermo_options_default();
    o.temperature = 0.0;
    assert_int_equal(aimnet_vib_thermo(vib, &o, &t), AIMNET_ERR_ARG);
    o = aimnet_thermo_options_default();
    o.struct_size = 8;
    assert_int_equal(aimnet_vib_thermo(vib, &o, &t), AIMNET_ERR_ARG);
    aimnet_vib_free(vib);
    aimnet_vib_free(NULL);
    aimnet_model *model = NULL;
    aimnet_calc *calc = NULL;
    assert_int_equal(aimnet_model_load(NULL, NULL, &model), AIMNET_OK);
    assert_int_equal(aimnet_calc_create(&model, 1, NULL, &calc), AIMNET_OK);
    const aimnet_system hydrogen = {.n_atoms = 2, .numbers = (int32_t[2]){1, 1}, .coord = far};
    assert_int_equal(aimnet_vib_derivatives(calc, &hydrogen, 1e-300, hessian, NULL),
                     AIMNET_ERR_ARG); /* would change no coordinate */
    assert_int_equal(aimnet_vib_derivatives(calc, &hydrogen, 1e-3, hessian, NULL), AIMNET_OK);
    aimnet_calc_free(calc);
    aimnet_model_free(model);
}

typedef struct failing {
    int calls, fail_at, alive;
} failing;
static void *fail_alloc(void *user, size_t size)
{
    failing *f = user;
    if (++f->calls == f->fail_at)
        return NULL;
    void *block = malloc(size ? size : 1);
    f->alive += block != NULL;
    return block;
}
static void fail_free(void *user, void *block)
{
    ((failing *)user)->alive -= block != NULL;
    free(block);
}
static void every_failing_allocation_is_reported(const molecule *m, const aimnet_vib *vib)
{
    (void)vib;
    const aimnet_vib_input in = input_of(m);
    aimnet_status status = AIMNET_ERR_MEMORY;
    for (int n = 1; status == AIMNET_ERR_MEMORY; n++) {
        failing f = {.fail_at = n};
        const aimnet_allocator allocator = {fail_alloc, fail_free, &f};
        aimnet_vib *out;
        status = aimnet_vib_analyze(&in, &allocator, &out);
        aimnet_vib_free(out);
        assert_int_equal(f.alive, 0);
    }
    assert_int_equal(status, AIMNET_OK);
}
static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    assert_in_range(for_each_molecule(every_failing_allocation_is_reported), 10, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wavenumbers_are_those_of_ase_and_the_reference),
        cmocka_unit_test(intensities_and_reduced_masses_are_those_of_ase),
        cmocka_unit_test(thermochemistry_is_that_of_ase),
        cmocka_unit_test(a_spring_vibrates_as_its_reduced_mass_says),
        cmocka_unit_test(orientation_does_not_matter),
        cmocka_unit_test(modes_have_unit_length_and_no_momentum),
        cmocka_unit_test(derivatives_are_those_of_the_reference),
        cmocka_unit_test(atoms_and_crystals_keep_their_own_motions),
        cmocka_unit_test(impossible_input_is_refused),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
