/* SPDX-License-Identifier: MIT */
/* test_derivatives.c - second derivatives through the public API: against differences of forces and
 * charges in double, and against what symmetry demands of them.
 *
 * Differences are fourth-order central ones with h = 2.5e-4 A: rounding of forces 1e-12/h, truncation
 * h^4 F'''''/30, with features of some 0.3 A below 1e-8 eV/A^2 at the curvatures met here. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "aimnet_deriv.h"

static const double HESSIAN_DIFFERENCE = 1e-7; /* eV/A^2 */
static const double ASYMMETRY = 1e-10;         /* eV/A^2, of rows as calculated */
static const double INVARIANCE = 1e-9;         /* of sums of rows, eV/A^2 */
static const double OF_MESH = 1e-5; /* where the mesh of PME (1e-6) breaks an invariance */
static const double STEP = 2.5e-4;

/* Structure, model and options of one case. */
typedef struct setting {
    const char *molecule, *model; /* molecule "crystal": a distorted cell of NaCl-like ions */
    aimnet_coulomb coulomb;
    double difference; /* 0: HESSIAN_DIFFERENCE */
} setting;

static const setting SETTINGS[] = {
    {"water", "default", AIMNET_COULOMB_SIMPLE, 0},
    {"acetate", "default", AIMNET_COULOMB_SIMPLE, 0},
    {"acetate", "default", AIMNET_COULOMB_DSF, 0},
    /* the slope of DSF's force jumps at 15 A: pairs that cross it add a share of that */
    {"crystal", "default", AIMNET_COULOMB_DSF, 1e-6},
    {"crystal", "default", AIMNET_COULOMB_EWALD, 0},
    {"crystal", "default", AIMNET_COULOMB_PME, 0},
    {"ammonium", "tests/golden/models/base.pt", AIMNET_COULOMB_SIMPLE, 0},
    {"ammonium", "tests/golden/models/nse.pt", AIMNET_COULOMB_SIMPLE, 0},
    {"ammonium", "tests/golden/models/flat.pt", AIMNET_COULOMB_SIMPLE, 0},
    {"ammonium", "tests/golden/models/d3ts_nse.pt", AIMNET_COULOMB_SIMPLE, 0},
    {"ammonium", "tests/golden/models/srrep_exp.pt", AIMNET_COULOMB_SIMPLE, 0},
    /* coordination numbers above D3's largest, which are clamped; stiff bonds, coarse differences */
    {"caffeine_compressed", "tests/golden/models/script_coulomb_d3.jpt", AIMNET_COULOMB_SIMPLE,
     1e-6},
    {"ammonium", "tests/golden/models/lr_simple.pt", AIMNET_COULOMB_SIMPLE, 0},
    {"ammonium", "tests/golden/models/lr_dsf.pt", AIMNET_COULOMB_SIMPLE, 0},
    {"ammonium", "tests/golden/models/lr_dftd3.pt", AIMNET_COULOMB_SIMPLE, 0},
};
enum { N_SETTINGS = sizeof SETTINGS / sizeof *SETTINGS };

typedef struct fixture {
    molecule mol;
    double cell[9];
    aimnet_system system;
    aimnet_model *model;
    aimnet_calc *calc;
    double *forces;
} fixture;

static const int32_t CRYSTAL_NUMBERS[6] = {8, 1, 1, 8, 1, 1};
static const double CRYSTAL_COORD[18] = {0.1, 0.2, 0.0, 0.9, 0.6, 0.1, -0.5, 0.8, 0.3,
                                         2.6, 2.4, 2.2, 3.4, 2.9, 2.5, 2.1,  3.1, 2.4};
static const double CRYSTAL_CELL[9] = {5.1, 0.0, 0.2, 0.6, 4.8, 0.0, -0.3, 0.4, 5.3};

static void *zeroed(size_t n)
{
    void *block = calloc(n ? n : 1, sizeof(double));
    assert_non_null(block);
    return block;
}

static aimnet_options options_of(const setting *s, aimnet_precision precision, int threads)
{
    aimnet_options o = aimnet_options_default();
    o.precision = precision;
    o.threads = threads;
    o.coulomb = s->coulomb;
    return o;
}

static fixture fixture_open(const setting *s, aimnet_precision precision, int threads)
{
    fixture f = {0};
    const aimnet_options o = options_of(s, precision, threads);
    if (strcmp(s->molecule, "crystal") == 0) {
        f.mol.n = 6;
        f.mol.numbers = malloc(sizeof CRYSTAL_NUMBERS);
        f.mol.coord = malloc(sizeof CRYSTAL_COORD);
        assert_true(f.mol.numbers && f.mol.coord);
        memcpy(f.mol.numbers, CRYSTAL_NUMBERS, sizeof CRYSTAL_NUMBERS);
        memcpy(f.mol.coord, CRYSTAL_COORD, sizeof CRYSTAL_COORD);
        f.mol.mult = 1;
    } else {
        f.mol = molecule_read(s->molecule);
    }
    f.system = molecule_system(&f.mol);
    memcpy(f.cell, CRYSTAL_CELL, sizeof f.cell);
    f.model = model_open(s->model);
    f.calc = calc_open(f.model, &o);
    f.forces = zeroed(3 * (size_t)f.mol.n);
    return f;
}

/* The system with the fixture's own cell, which moves with it. */
static aimnet_system system_of(fixture *f, const setting *s)
{
    aimnet_system system = f->system;
    if (strcmp(s->molecule, "crystal") == 0) {
        system.cell = f->cell;
        for (int d = 0; d < 3; d++)
            system.pbc[d] = 1;
    }
    return system;
}

static void fixture_close(fixture *f)
{
    aimnet_calc_free(f->calc);
    aimnet_model_free(f->model);
    molecule_free(&f->mol);
    free(f->forces);
}

static void require(aimnet_status status)
{
    if (status != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
}

static double *hessian_open(fixture *f, const aimnet_system *system)
{
    const size_t n = 3 * (size_t)system->n_atoms;
    aimnet_result r = {.hessian = zeroed(n * n)};
    const aimnet_status status = aimnet_calc_eval(f->calc, system, 1, &r);
    if (status != AIMNET_OK)
        fail_msg("%s", r.message);
    return r.hessian;
}

typedef struct sample {
    double *forces, *charges;
    double dipole[3], strain[9];
} sample;

static sample sample_open(int n)
{
    return (sample){.forces = zeroed(3 * (size_t)n), .charges = zeroed((size_t)n)};
}

static void sample_close(sample *s)
{
    free(s->forces);
    free(s->charges);
}

static void sample_at(fixture *f, const aimnet_system *system, sample *s)
{
    aimnet_result r = {.forces = s->forces, .charges = s->charges};
    double stress[9];
    if (system->cell)
        r.stress = stress;
    if (aimnet_calc_eval(f->calc, system, 1, &r) != AIMNET_OK)
        fail_msg("%s", r.message);
    memset(s->dipole, 0, sizeof s->dipole);
    for (int i = 0; i < system->n_atoms; i++)
        for (int d = 0; d < 3; d++)
            s->dipole[d] += s->charges[i] * system->coord[3 * i + d];
    const double *a = f->cell;
    const double volume = a[0] * (a[4] * a[8] - a[5] * a[7]) - a[1] * (a[3] * a[8] - a[5] * a[6]) +
                          a[2] * (a[3] * a[7] - a[4] * a[6]);
    for (int k = 0; system->cell && k < 9; k++)
        s->strain[k] = stress[k] * fabs(volume);
}

static void move(fixture *f, const double *coord, const double *cell, const double *v,
                 const double *w, double h)
{
    for (int i = 0; i < f->mol.n; i++)
        for (int d = 0; d < 3; d++) {
            const double *x = coord + 3 * i;
            f->mol.coord[3 * i + d] =
                x[d] + h * (v[3 * i + d] + x[0] * w[d] + x[1] * w[3 + d] + x[2] * w[6 + d]);
        }
    for (int r = 0; r < 3; r++)
        for (int d = 0; d < 3; d++) {
            const double *x = cell + 3 * r;
            f->cell[3 * r + d] = x[d] + h * (x[0] * w[d] + x[1] * w[3 + d] + x[2] * w[6 + d]);
        }
}

static double tolerance_of(const setting *s)
{
    return s->difference > 0 ? s->difference : HESSIAN_DIFFERENCE;
}

static double difference(const double *const f[4], size_t k)
{
    return (8.0 * (f[0][k] - f[1][k]) - (f[2][k] - f[3][k])) / (12.0 * STEP);
}

/* Four samples along a direction. */
static void samples_along(fixture *f, const setting *s, const double *v, const double *w,
                          sample out[4])
{
    static const double h[4] = {1, -1, 2, -2};
    const molecule start = molecule_copy(&f->mol);
    double cell[9];
    memcpy(cell, f->cell, sizeof cell);
    for (int k = 0; k < 4; k++) {
        out[k] = sample_open(f->mol.n);
        move(f, start.coord, cell, v, w, h[k] * STEP);
        const aimnet_system system = system_of(f, s);
        sample_at(f, &system, &out[k]);
    }
    memcpy(f->mol.coord, start.coord, 3 * (size_t)f->mol.n * sizeof(double));
    memcpy(f->cell, cell, sizeof cell);
    molecule start_copy = start;
    molecule_free(&start_copy);
}

static void assert_near(const setting *s, const char *what, size_t k, double a, double b,
                        double tolerance)
{
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%s, %s, method %d: %s[%zu] is %.12g, by differences %.12g", s->molecule, s->model,
                 (int)s->coulomb, what, k, a, b);
}

static void hessians_are_central_differences_of_forces(void **state)
{
    (void)state;
    static const double zero[9] = {0};
    for (int c = 0; c < N_SETTINGS; c++) {
        const setting *s = &SETTINGS[c];
        fixture f = fixture_open(s, AIMNET_DOUBLE, 2);
        const aimnet_system system = system_of(&f, s);
        const size_t n = 3 * (size_t)f.mol.n;
        double *h = hessian_open(&f, &system), *v = zeroed(n);
        for (size_t k = 0; k < n; k++) {
            sample p[4];
            v[k] = 1;
            samples_along(&f, s, v, zero, p);
            v[k] = 0;
            const double *const forces[4] = {p[0].forces, p[1].forces, p[2].forces, p[3].forces};
            for (size_t e = 0; e < n; e++)
                assert_near(s, "Hessian", k * n + e, h[k * n + e], -difference(forces, e),
                            tolerance_of(s));
            for (int q = 0; q < 4; q++)
                sample_close(&p[q]);
        }
        free(h);
        free(v);
        fixture_close(&f);
    }
}

/* Every output of aimnet_calc_hvp along a random direction, strain included where there is a cell.
 * */
static void products_are_derivatives_of_forces_charges_dipole_and_strain(void **state)
{
    (void)state;
    for (int c = 0; c < N_SETTINGS; c++) {
        const setting *s = &SETTINGS[c];
        fixture f = fixture_open(s, AIMNET_DOUBLE, 1);
        const aimnet_system system = system_of(&f, s);
        const size_t n = 3 * (size_t)f.mol.n;
        double *v = zeroed(n), *hv = zeroed(n), *dq = zeroed(n), mu[3], w[9] = {0}, ds[9];
        uint64_t seed = 3;
        for (size_t k = 0; k < n; k++)
            v[k] = next_unit(&seed) - 0.5;
        for (int k = 0; system.cell && k < 9; k++) /* symmetric: results give no other stress */
            w[k] = k % 4 == 0 ? 0.1 * (next_unit(&seed) - 0.5) : 0.02;
        aimnet_hvp job = {.n_directions = 1, .v = v, .hv = hv, .charges = dq, .dipole = mu};
        if (system.cell) {
            job.strain = w;
            job.dstrain = ds;
        }
        require(aimnet_calc_hvp(f.calc, &system, &job));
        sample p[4];
        samples_along(&f, s, v, w, p);
        const double *const forces[4] = {p[0].forces, p[1].forces, p[2].forces, p[3].forces},
                            *const charges[4] = {p[0].charges, p[1].charges, p[2].charges,
                                                 p[3].charges},
                            *const dipole[4] = {p[0].dipole, p[1].dipole, p[2].dipole, p[3].dipole};
        for (size_t e = 0; e < n; e++)
            assert_near(s, "hv", e, hv[e], -difference(forces, e), 3 * tolerance_of(s));
        for (size_t i = 0; i < n / 3; i++)
            assert_near(s, "charges", i, dq[i], difference(charges, i), HESSIAN_DIFFERENCE);
        for (size_t e = 0; e < 3; e++)
            assert_near(s, "dipole", e, mu[e], difference(dipole, e), HESSIAN_DIFFERENCE);
        free(v);
        free(hv);
        free(dq);
        for (int q = 0; q < 4; q++)
            sample_close(&p[q]);
        fixture_close(&f);
    }
}

/* dE/dstrain of results is symmetric, so its derivative is compared symmetrised. The stress of
 * results refers to the strained volume: times volume it is dE/dstrain of the deformed crystal. */
static double volume_of(const double *a)
{
    return fabs(a[0] * (a[4] * a[8] - a[5] * a[7]) - a[1] * (a[3] * a[8] - a[5] * a[6]) +
                a[2] * (a[3] * a[7] - a[4] * a[6]));
}

static void strain_derivatives_are_differences_of_the_stress(void **state)
{
    (void)state;
    for (int c = 3; c < 6; c++) {
        const setting *s = &SETTINGS[c];
        fixture f = fixture_open(s, AIMNET_DOUBLE, 2);
        const aimnet_system system = system_of(&f, s);
        double v[18], w[9], ds[9];
        const aimnet_hvp job = {.n_directions = 1, .v = v, .strain = w, .dstrain = ds};
        uint64_t seed = 8;
        for (int k = 0; k < 18; k++)
            v[k] = next_unit(&seed) - 0.5;
        for (int k = 0; k < 9; k++)
            w[k] = 0.2 * (next_unit(&seed) - 0.5);
        require(aimnet_calc_hvp(f.calc, &system, &job));
        sample p[4];
        samples_along(&f, s, v, w, p);
        const double *const strain[4] = {p[0].strain, p[1].strain, p[2].strain, p[3].strain};
        for (size_t k = 0; k < 9; k++)
            assert_near(s, "strain", k, 0.5 * (ds[k] + ds[k % 3 * 3 + k / 3]),
                        difference(strain, k),
                        fmax(1e-6 * volume_of(f.cell) / 100.0, 3 * tolerance_of(s)));
        for (int q = 0; q < 4; q++)
            sample_close(&p[q]);
        fixture_close(&f);
    }
}

typedef struct collected {
    double *rows;
    int64_t next, stop_at;
} collected;

static int collect(void *user, int64_t first, int64_t n_rows, int64_t columns, const double *rows)
{
    collected *c = user;
    assert_true(first == c->next);
    memcpy(c->rows + first * columns, rows, (size_t)(n_rows * columns) * sizeof *rows);
    c->next += n_rows;
    return c->stop_at > 0 && c->next >= c->stop_at;
}

static void rows_are_symmetric_and_those_of_the_dense_hessian(void **state)
{
    (void)state;
    for (int c = 0; c < N_SETTINGS; c++) {
        const setting *s = &SETTINGS[c];
        fixture f = fixture_open(s, AIMNET_DOUBLE, 2);
        const aimnet_system system = system_of(&f, s);
        const size_t n = 3 * (size_t)f.mol.n;
        collected all = {.rows = zeroed(n * n)};
        double *h = hessian_open(&f, &system);
        require(aimnet_calc_hessian_rows(f.calc, &system, collect, &all));
        assert_true(all.next == (int64_t)n);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                const double a = all.rows[i * n + j], b = all.rows[j * n + i];
                assert_near(s, "row", i * n + j, a, b, ASYMMETRY);
                assert_true(h[i * n + j] == h[j * n + i]);
                assert_near(s, "dense", i * n + j, h[i * n + j], a, ASYMMETRY);
            }
        collected few = {.rows = all.rows, .stop_at = 1};
        assert_int_equal(aimnet_calc_hessian_rows(f.calc, &system, collect, &few),
                         AIMNET_ERR_INTERRUPTED);
        free(all.rows);
        free(h);
        fixture_close(&f);
    }
}

/* Moving everything changes no force; turning everything turns the gradient: H (w x r) = w x g. */
static void translations_and_rotations_have_the_derivatives_that_they_must_have(void **state)
{
    (void)state;
    for (int c = 0; c < N_SETTINGS; c++) {
        const setting *s = &SETTINGS[c];
        fixture f = fixture_open(s, AIMNET_DOUBLE, 2);
        const aimnet_system system = system_of(&f, s);
        const size_t n = 3 * (size_t)f.mol.n;
        sample here = sample_open(f.mol.n);
        sample_at(&f, &system, &here);
        double *v = zeroed(6 * n), *hv = zeroed(6 * n);
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < f.mol.n; i++) {
                const int a = (k + 1) % 3, b = (k + 2) % 3;
                v[(size_t)k * n + (size_t)(3 * i + k)] = 1;
                v[(size_t)(k + 3) * n + (size_t)(3 * i + a)] = -f.mol.coord[3 * i + b];
                v[(size_t)(k + 3) * n + (size_t)(3 * i + b)] = f.mol.coord[3 * i + a];
            }
        const aimnet_hvp job = {.n_directions = 6, .v = v, .hv = hv};
        require(aimnet_calc_hvp(f.calc, &system, &job));
        for (size_t e = 0; e < 3 * n; e++)
            assert_near(s, "translation", e, hv[e], 0,
                        s->coulomb == AIMNET_COULOMB_PME ? OF_MESH : INVARIANCE);
        for (int k = 0; !system.cell && k < 3; k++)
            for (int i = 0; i < f.mol.n; i++) {
                const int a = (k + 1) % 3, b = (k + 2) % 3;
                const double *x = hv + (size_t)(k + 3) * n + 3 * i, *g = here.forces + 3 * i;
                assert_near(s, "rotation", (size_t)i, x[k], 0, 10 * INVARIANCE);
                assert_near(s, "rotation", (size_t)i, x[a], g[b], 10 * INVARIANCE);
                assert_near(s, "rotation", (size_t)i, x[b], -g[a], 10 * INVARIANCE);
            }
        free(v);
        free(hv);
        sample_close(&here);
        fixture_close(&f);
    }
}

static void a_direction_gives_the_same_bits_in_any_company(void **state)
{
    (void)state;
    const setting *s = &SETTINGS[1];
    for (int p = 0; p < 2; p++) {
        fixture f = fixture_open(s, p ? AIMNET_DOUBLE : AIMNET_SINGLE, 1),
                g = fixture_open(s, p ? AIMNET_DOUBLE : AIMNET_SINGLE, 3);
        enum { N = 300 };
        const size_t n = 3 * (size_t)f.mol.n;
        double *v = zeroed(N * n), *hv = zeroed(N * n), *alone = zeroed(n);
        uint64_t seed = 4;
        for (size_t k = 0; k < N * n; k++)
            v[k] = next_unit(&seed) - 0.5;
        const aimnet_hvp job = {.n_directions = N, .v = v, .hv = hv};
        require(aimnet_calc_hvp(f.calc, &f.system, &job));
        for (int d = 0; d < N; d += 37) {
            const aimnet_hvp one = {.n_directions = 1, .v = v + (size_t)d * n, .hv = alone};
            require(aimnet_calc_hvp(g.calc, &g.system, &one));
            assert_memory_equal(alone, hv + (size_t)d * n, n * sizeof *alone);
        }
        free(v);
        free(hv);
        free(alone);
        fixture_close(&f);
        fixture_close(&g);
    }
}

/* With other structures in the call, one of them bad, and with padding atoms. */
static void hessians_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    const setting *s = &SETTINGS[1];
    fixture f = fixture_open(s, AIMNET_SINGLE, 2);
    molecule water = molecule_read("water"), bad = molecule_read("water");
    bad.coord[0] = NAN;
    const size_t n = 3 * (size_t)f.mol.n;
    double *alone = hessian_open(&f, &f.system), *padded = zeroed((n + 3) * (n + 3));
    int32_t *numbers = zeroed((size_t)f.mol.n + 1);
    double *coord = zeroed(n + 3);
    memcpy(numbers + 1, f.mol.numbers, (size_t)f.mol.n * sizeof *numbers);
    memcpy(coord + 3, f.mol.coord, n * sizeof *coord);
    aimnet_system systems[4] = {molecule_system(&water), molecule_system(&bad), f.system, f.system};
    systems[3].numbers = numbers;
    systems[3].coord = coord;
    systems[3].n_atoms = f.mol.n + 1;
    aimnet_result r[4] = {{.hessian = zeroed(81)},
                          {.hessian = zeroed(81)},
                          {.hessian = zeroed(n * n)},
                          {.hessian = padded}};
    assert_int_equal(aimnet_calc_eval(f.calc, systems, 4, r), AIMNET_ERR_SOME_FAILED);
    assert_int_equal(r[1].status, AIMNET_ERR_SYSTEM);
    assert_memory_equal(r[2].hessian, alone, n * n * sizeof *alone);
    for (size_t i = 0; i < n + 3; i++)
        for (size_t j = 0; j < n + 3; j++)
            assert_true(padded[i * (n + 3) + j] ==
                        (i < 3 || j < 3 ? 0.0 : alone[(i - 3) * n + j - 3]));
    for (int k = 0; k < 4; k++)
        free(r[k].hessian);
    free(alone);
    free(numbers);
    free(coord);
    molecule_free(&water);
    molecule_free(&bad);
    fixture_close(&f);
}

static void an_ensemble_gives_the_mean_of_its_members(void **state)
{
    (void)state;
    const char *const names[2] = {"tests/golden/models/base.pt", "tests/golden/models/aev.pt"};
    const setting both[2] = {{"ammonium", names[0], AIMNET_COULOMB_SIMPLE, 0},
                             {"ammonium", names[1], AIMNET_COULOMB_SIMPLE, 0}};
    fixture f = fixture_open(&both[0], AIMNET_DOUBLE, 1),
            g = fixture_open(&both[1], AIMNET_DOUBLE, 1);
    aimnet_model *models[2] = {f.model, g.model};
    aimnet_options o = options_of(&both[0], AIMNET_DOUBLE, 1);
    o.mixed_families = 1;
    aimnet_calc *calc;
    require(aimnet_calc_create(models, 2, &o, &calc));
    const size_t n = 3 * (size_t)f.mol.n;
    double *a = hessian_open(&f, &f.system), *b = hessian_open(&g, &g.system);
    fixture mean = f;
    mean.calc = calc;
    double *m = hessian_open(&mean, &f.system);
    for (size_t k = 0; k < n * n; k++)
        assert_near(&both[0], "mean", k, m[k], 0.5 * (a[k] + b[k]), ASYMMETRY);
    free(a);
    free(b);
    free(m);
    aimnet_calc_free(calc);
    fixture_close(&f);
    fixture_close(&g);
}

static void products_of_a_batch_are_those_of_its_structures(void **state)
{
    enum { N = 5 };
    (void)state;
    const setting both = {"crystal", "default", AIMNET_COULOMB_DSF, 0};
    static const char *const NAMES[N] = {"water", "acetate", "crystal", "ammonium", "acetate"};
    static const int DIRECTIONS[N] = {3, 11, 2, 0, 1};
    fixture f = fixture_open(&both, AIMNET_SINGLE, 2);
    molecule mol[N];
    aimnet_system systems[N];
    aimnet_hvp jobs[N];
    for (int k = 0; k < N; k++) {
        uint64_t seed = 21 + (uint64_t)k;
        const int crystal = strcmp(NAMES[k], "crystal") == 0;
        mol[k] = crystal ? molecule_copy(&f.mol) : molecule_read(NAMES[k]);
        systems[k] = crystal ? system_of(&f, &both) : molecule_system(&mol[k]);
        const size_t n = 3 * (size_t)mol[k].n, d = (size_t)DIRECTIONS[k];
        double *v = zeroed(n * d + 9 * d);
        for (size_t e = 0; e < n * d + 9 * d; e++)
            v[e] = next_unit(&seed) - 0.5;
        jobs[k] = (aimnet_hvp){.n_directions = DIRECTIONS[k],
                               .v = v,
                               .strain = crystal ? v + n * d : NULL,
                               .hv = zeroed(n * d),
                               .dstrain = crystal ? zeroed(9 * d) : NULL,
                               .charges = zeroed(n * d),
                               .dipole = zeroed(3 * d)};
    }
    require(aimnet_calc_hvp_batch(f.calc, systems, N, jobs));
    for (int k = 0; k < N; k++) {
        const size_t n = (size_t)mol[k].n, d = (size_t)DIRECTIONS[k];
        aimnet_hvp alone = jobs[k];
        alone.hv = zeroed(3 * n * d);
        alone.charges = zeroed(n * d);
        alone.dipole = zeroed(3 * d);
        alone.dstrain = jobs[k].dstrain ? zeroed(9 * d) : NULL;
        require(aimnet_calc_hvp(f.calc, &systems[k], &alone));
        assert_memory_equal(alone.hv, jobs[k].hv, 3 * n * d * sizeof(double));
        assert_memory_equal(alone.charges, jobs[k].charges, n * d * sizeof(double));
        assert_memory_equal(alone.dipole, jobs[k].dipole, 3 * d * sizeof(double));
        for (size_t e = 0; alone.dstrain && e < 9 * d; e++)
            assert_true(alone.dstrain[e] == jobs[k].dstrain[e]);
        double *const owned[] = {alone.hv,   alone.charges,   alone.dipole,   alone.dstrain,
                                 jobs[k].hv, jobs[k].charges, jobs[k].dipole, jobs[k].dstrain};
        for (size_t e = 0; e < 8; e++)
            free(owned[e]);
    }
    mol[1].coord[0] = NAN;
    aimnet_hvp none[N] = {{0}};
    assert_int_equal(aimnet_calc_hvp_batch(f.calc, systems, N, none), AIMNET_ERR_SYSTEM);
    assert_non_null(strstr(aimnet_last_error(), "structure 1"));
    for (int k = 0; k < N; k++) {
        free((void *)jobs[k].v);
        molecule_free(&mol[k]);
    }
    fixture_close(&f);
}

static void impossible_requests_are_refused(void **state)
{
    fixture f = fixture_open(&SETTINGS[0], AIMNET_SINGLE, 1);
    double w[9] = {0}, ds[9];
    (void)state;
    aimnet_hvp job = {.n_directions = -1};
    assert_int_equal(aimnet_calc_hvp(f.calc, &f.system, &job), AIMNET_ERR_ARG);
    job = (aimnet_hvp){.n_directions = 1, .strain = w, .dstrain = ds};
    assert_int_equal(aimnet_calc_hvp(f.calc, &f.system, &job), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_calc_hvp(f.calc, NULL, &job), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_calc_hessian_rows(f.calc, &f.system, NULL, NULL), AIMNET_ERR_ARG);
    job = (aimnet_hvp){.n_directions = 0};
    assert_int_equal(aimnet_calc_hvp(f.calc, &f.system, &job), AIMNET_OK);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hessians_are_central_differences_of_forces),
        cmocka_unit_test(products_are_derivatives_of_forces_charges_dipole_and_strain),
        cmocka_unit_test(strain_derivatives_are_differences_of_the_stress),
        cmocka_unit_test(rows_are_symmetric_and_those_of_the_dense_hessian),
        cmocka_unit_test(translations_and_rotations_have_the_derivatives_that_they_must_have),
        cmocka_unit_test(a_direction_gives_the_same_bits_in_any_company),
        cmocka_unit_test(hessians_do_not_depend_on_the_batch),
        cmocka_unit_test(products_of_a_batch_are_those_of_its_structures),
        cmocka_unit_test(an_ensemble_gives_the_mean_of_its_members),
        cmocka_unit_test(impossible_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
