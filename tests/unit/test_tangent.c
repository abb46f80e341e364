/* SPDX-License-Identifier: MIT */
/* test_tangent.c - second derivatives of the pair terms: finite differences of their first
 * derivatives, symmetry, and independence of everything that must not matter. */
#include "backend/isa.h"
#include "tangent_fixture.h"
#include "term/d3_range.h"
#include "term/sweep.h"

typedef struct coulomb_params {
    double factor, rc, alpha;
    aim_envelope envelope;
} coulomb_params;

#define UNUSED_DISPERSION (void)f, (void)tdisp, (void)tgdisp

static aim_status simple(aim_term_io *io, fixture *f, const void *p)
{
    (void)f;
    return aim_term_coulomb_simple(io, ((const coulomb_params *)p)->factor);
}
static aim_status simple_tan(aim_term_io *io, const aim_term_tan *tan, fixture *f, const void *p,
                             const double *tdisp, double *tgdisp)
{
    UNUSED_DISPERSION;
    return aim_term_coulomb_simple_tan(io, tan, ((const coulomb_params *)p)->factor);
}

static aim_status dsf(aim_term_io *io, fixture *f, const void *p)
{
    (void)f;
    const coulomb_params *c = p;
    return aim_term_coulomb_dsf(io, c->rc, c->alpha);
}
static aim_status dsf_tan(aim_term_io *io, const aim_term_tan *tan, fixture *f, const void *p,
                          const double *tdisp, double *tgdisp)
{
    UNUSED_DISPERSION;
    const coulomb_params *c = p;
    return aim_term_coulomb_dsf_tan(io, tan, c->rc, c->alpha);
}

static aim_status sr(aim_term_io *io, fixture *f, const void *p)
{
    (void)f;
    const coulomb_params *c = p;
    return aim_term_coulomb_sr(io, c->rc, c->envelope, c->factor);
}
static aim_status sr_tan(aim_term_io *io, const aim_term_tan *tan, fixture *f, const void *p,
                         const double *tdisp, double *tgdisp)
{
    UNUSED_DISPERSION;
    const coulomb_params *c = p;
    return aim_term_coulomb_sr_tan(io, tan, c->rc, c->envelope, c->factor);
}

static aim_status ewald(aim_term_io *io, fixture *f, const void *p)
{
    (void)f;
    return aim_term_coulomb_ewald(io, *(const double *)p);
}
static aim_status ewald_tan(aim_term_io *io, const aim_term_tan *tan, fixture *f, const void *p,
                            const double *tdisp, double *tgdisp)
{
    UNUSED_DISPERSION;
    return aim_term_coulomb_ewald_tan(io, tan, *(const double *)p);
}
static aim_status pme(aim_term_io *io, fixture *f, const void *p)
{
    (void)f;
    return aim_term_coulomb_pme(io, *(const double *)p);
}
static aim_status pme_tan(aim_term_io *io, const aim_term_tan *tan, fixture *f, const void *p,
                          const double *tdisp, double *tgdisp)
{
    UNUSED_DISPERSION;
    return aim_term_coulomb_pme_tan(io, tan, *(const double *)p);
}
static const double fine = 1e-10;
static const tangent_case fine_pme = {"pme", pme, pme_tan, &fine, 1, 0};
static const double tight = 1e-13, loose = 1e-5;
static const tangent_case exact_ewald = {"ewald", ewald, ewald_tan, &tight, 1, 0},
                          rough_ewald = {"ewald, 1e-5", ewald, ewald_tan, &loose, 1, 0};

enum { N_Z = 100 };

static void repulsion_table(double table[2 * N_Z])
{
    for (int z = 0; z < N_Z; z++) {
        table[2 * z] = 0.9 + 0.1 * (z % 10);
        table[2 * z + 1] = 4.0 + z % 7;
    }
}
static aim_status srrep(aim_term_io *io, fixture *f, const void *p)
{
    (void)f;
    const coulomb_params *c = p;
    double table[2 * N_Z];
    repulsion_table(table);
    return aim_term_srrep(io, table, N_Z, c->rc, c->envelope, NULL);
}
static aim_status srrep_tan(aim_term_io *io, const aim_term_tan *tan, fixture *f, const void *p,
                            const double *tdisp, double *tgdisp)
{
    UNUSED_DISPERSION;
    const coulomb_params *c = p;
    double table[2 * N_Z];
    repulsion_table(table);
    return aim_term_srrep_tan(io, tan, table, N_Z, c->rc, c->envelope);
}

typedef struct d3_params {
    aim_d3_params d3;
    double floor;
} d3_params;

static aim_d3_table *shipped;

static aim_status d3(aim_term_io *io, fixture *f, const void *p)
{
    (void)f;
    const d3_params *c = p;
    aim_d3_table table = *shipped;
    table.weight_floor = c->floor;
    return aim_term_d3(io, &table, &c->d3);
}
static aim_status d3_tan(aim_term_io *io, const aim_term_tan *tan, fixture *f, const void *p,
                         const double *tdisp, double *tgdisp)
{
    UNUSED_DISPERSION;
    const d3_params *c = p;
    aim_d3_table table = *shipped;
    table.weight_floor = c->floor;
    return aim_term_d3_tan(io, tan, &table, &c->d3);
}

static aim_status d3ts(aim_term_io *io, fixture *f, const void *p)
{
    const d3_params *c = p;
    double r4r2[N_Z];
    for (int z = 0; z < N_Z; z++)
        r4r2[z] = 1.5 + 0.4 * z;
    return aim_term_d3ts(io, &c->d3, r4r2, N_Z, f->disp, f->gdisp);
}
static aim_status d3ts_tan(aim_term_io *io, const aim_term_tan *tan, fixture *f, const void *p,
                           const double *tdisp, double *tgdisp)
{
    const d3_params *c = p;
    double r4r2[N_Z];
    for (int z = 0; z < N_Z; z++)
        r4r2[z] = 1.5 + 0.4 * z;
    return aim_term_d3ts_tan(io, tan, &c->d3, r4r2, N_Z, f->disp, tdisp, tgdisp);
}

static const coulomb_params plain = {-0.7, 0.0, 0.0, AIM_ENVELOPE_NONE},
                            far = {1.0, 15.0, 0.2, AIM_ENVELOPE_NONE},
                            near = {1.0, 4.0, 0.35, AIM_ENVELOPE_NONE},
                            bump = {-1.0, 4.6, 0.0, AIM_ENVELOPE_EXP},
                            cosine = {1.0, 3.5, 0.0, AIM_ENVELOPE_COSINE},
                            abrupt = {1.0, 3.5, 0.0, AIM_ENVELOPE_NONE};
static const d3_params window = {{1.0, 0.3908, 0.566, 3.128, 15.0, 0.2}, -12.0},
                       narrow = {{1.0, 0.7875, 0.4289, 4.4407, 5.0, 0.5}, -12.0},
                       all = {{1.0, 0.7875, 0.4289, 4.4407, INFINITY, 0.0}, -INFINITY};
static const tangent_case cases[] = {
    {"simple", simple, simple_tan, &plain, 1, 0},
    {"dsf, long", dsf, dsf_tan, &far, 1, 0},
    {"dsf, short", dsf, dsf_tan, &near, 1, 0},
    {"sr exp", sr, sr_tan, &bump, 1, 0},
    {"sr cosine", sr, sr_tan, &cosine, 1, 0},
    {"sr without envelope", sr, sr_tan, &abrupt, 1, 0},
    {"srrep exp", srrep, srrep_tan, &bump, 0, 0},
    {"srrep cosine", srrep, srrep_tan, &cosine, 0, 0},
    {"d3", d3, d3_tan, &window, 0, 0},
    {"d3, short", d3, d3_tan, &narrow, 0, 0},
    {"d3, no floor", d3, d3_tan, &all, 0, 0},
    {"d3ts", d3ts, d3ts_tan, &all, 0, 1},
    {"d3ts, short", d3ts, d3ts_tan, &narrow, 0, 1},
};
enum { N_CASES = sizeof cases / sizeof *cases };
static const int organic[] = {1, 6, 7, 8, 9, 16};

static structure cluster(uint64_t seed, int n)
{
    return random_structure(seed, n, 1.4, organic, 6);
}
static structure crystal(uint64_t seed, int n)
{
    structure s = cluster(seed, n);
    const double cell[9] = {6.5, 0.2, -0.4, 1.1, 7.0, 0.3, -0.5, 0.9, 6.1};
    memcpy(s.cell, cell, sizeof cell);
    s.pbc[0] = s.pbc[1] = s.pbc[2] = 1;
    return s;
}

/* Truncation and rounding of the stencil stay below 1e-9 of the largest tangent of its kind. */
#define DIFFERENCE 1e-9

static void tangents_are_slopes_of_the_first_derivatives(void **state)
{
    (void)state;
    for (int k = 0; k < N_CASES; k++)
        for (int list = 0; list < 2; list++) {
            const structure s = cluster(8, 13), *one = &s;
            fixture f = fixture_make(&one, 1);
            if (list)
                fixture_pairs(&f, 30.0);
            check_differences(cases + k, &f, DIFFERENCE);
            fixture_free(&f);
        }
}

static void tangents_of_a_crystal_are_slopes_too(void **state)
{
    (void)state;
    for (int k = 1; k < N_CASES; k++) {
        const structure s = crystal(25, 9), *one = &s;
        fixture f = fixture_make(&one, 1);
        fixture_pairs(&f, 6.2);
        check_differences(cases + k, &f, DIFFERENCE);
        fixture_free(&f);
    }
}

/* The splitting parameter follows the cell, so that sums which are not converged change with it:
 * accuracy 1e-13, and a list that reaches as far. */
static void ewald_and_pme_tangents_are_slopes_too(void **state)
{
    (void)state;
    const structure s = crystal(21, 9), *one = &s;
    fixture f = fixture_make(&one, 1);
    fixture_pairs(&f, 19.0);
    assert_true(aim_ewald_choose(s.cell, s.n, tight).real_cutoff < 18.9);
    check_differences(&exact_ewald, &f, 3e-9);
    assert_true(aim_pme_choose(s.cell, s.n, fine).real_cutoff < 18.9);
    check_differences(&fine_pme, &f, 1e-7);
    check_symmetry(&fine_pme, &f);
    fixture_free(&f);
}

static void second_derivatives_are_symmetric(void **state)
{
    (void)state;
    for (int k = 0; k < N_CASES; k++) {
        const structure s = cluster(5, 40), x = crystal(6, 12), *one = &s, *two = &x;
        fixture f = fixture_make(&one, 1), g = fixture_make(&two, 1);
        fixture_pairs(&g, 7.0);
        check_symmetry(cases + k, &f);
        check_symmetry(cases + k, &g);
        if (k == 0)
            check_symmetry(&rough_ewald, &g);
        fixture_free(&f);
        fixture_free(&g);
    }
}

/* d2E/dx dx along the line of two charges is 2 k q q/d^3, across it -k q q/d^3. */
static void two_charges_have_the_dipolar_hessian(void **state)
{
    (void)state;
    const structure s = {.n = 2,
                         .numbers = {1, 1},
                         .x = {1.0, 2.0, 3.0, 1.0, 2.0, 5.0},
                         .q = {1.0, 1.0}},
                    *one = &s;
    const coulomb_params unit = {1.0, 0.0, 0.0, AIM_ENVELOPE_NONE};
    const tangent_case c = {"two charges", simple, simple_tan, &unit, 1, 0};
    fixture f = fixture_make(&one, 1);
    directions d = directions_make(&f, 3);
    d.tx[2] = 1.0;     /* first atom along z */
    d.tx[6 + 0] = 1.0; /* first atom along x */
    d.tq[2 * 2 + 1] = 1.0;
    directions_run(&c, &f, &d);
    const double k = AIM_COULOMB_K;
    assert_close(d.tgrad[2], 2.0 * k / 8.0, 1.0, 1e-15, "zz", 0);
    assert_close(d.tgrad[5], -2.0 * k / 8.0, 1.0, 1e-15, "zz", 1);
    assert_close(d.tgrad[6], -k / 8.0, 1.0, 1e-15, "xx", 0);
    assert_close(d.tgq[0], k / 4.0, 1.0, 1e-15, "q, z", 0);
    assert_close(d.tgq[4], k / 2.0, 1.0, 1e-15, "q, q", 0);
    assert_close(d.tgrad[14], k / 4.0, 1.0, 1e-15, "z, q", 0);
    directions_free(&d);
    fixture_free(&f);
}

static void a_translation_has_no_second_derivative(void **state)
{
    (void)state;
    for (int k = 0; k < N_CASES; k++) {
        const structure s = cluster(3, 20), *one = &s;
        fixture f = fixture_make(&one, 1);
        directions d = directions_make(&f, 1);
        for (int i = 0; i < 20; i++)
            d.tx[3 * i + 1] = 1.0;
        directions_run(cases + k, &f, &d);
        assert_true(largest(d.tgrad, 60) == 0.0);
        assert_true(largest(d.tgq, 20) == 0.0);
        assert_true(d.tenergy[0] == 0.0);
        directions_free(&d);
        fixture_free(&f);
    }
}

static void results_do_not_depend_on_siblings_threads_or_batch(void **state)
{
    (void)state;
    const structure a = cluster(1, 70), b = cluster(2, 1), c = cluster(3, 17), x = crystal(4, 8);
    const structure *molecules[] = {&a, &b, &c}, *with_crystal[] = {&x, &b, &c};
    for (int k = 0; k < N_CASES; k++) {
        check_bits(cases + k, molecules, 3, 0.0);
        check_bits(cases + k, with_crystal, 3, 5.0);
    }
    const structure y = crystal(9, 5), *crystals[] = {&x, &y};
    check_bits(&rough_ewald, crystals, 2, 7.0);
}

static void instruction_sets_agree(void **state)
{
    (void)state;
    const structure s = cluster(9, 61), x = crystal(4, 8);
    for (int k = 0; k < N_CASES; k++) {
        check_sets_agree(cases + k, &s, 0.0);
        check_sets_agree(cases + k, &x, 6.0);
    }
    check_sets_agree(&rough_ewald, &x, 7.0);
}

static void inactive_systems_get_nothing(void **state)
{
    (void)state;
    const structure a = cluster(1, 20), b = cluster(2, 5), c = cluster(3, 17), d = cluster(4, 8);
    const structure *list[] = {&a, &b, &c, &d};
    for (int k = 0; k < N_CASES; k++)
        check_inactive(cases + k, list, 4, 0.0);
    const structure x = crystal(4, 8), y = crystal(9, 5), *crystals[] = {&x, &y};
    check_inactive(&rough_ewald, crystals, 2, 7.0);
}

static void every_failing_allocation_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    const structure s = cluster(1, 20);
    for (int k = 0; k < N_CASES; k++)
        check_memory(cases + k, &s, 0.0);
    const structure x = crystal(4, 8);
    check_memory(&rough_ewald, &x, 7.0);
}

static void absent_parts_are_zero_and_unwanted_outputs_are_left_alone(void **state)
{
    (void)state;
    const structure s = cluster(7, 15), *one = &s;
    for (int k = 0; k < N_CASES; k++) {
        fixture f = fixture_make(&one, 1);
        directions d = directions_random(&f, 2), e = directions_random(&f, 2);
        memset(d.tq, 0, 30 * sizeof(double));
        memset(d.w, 0, 18 * sizeof(double));
        memset(d.tdisp, 0, 60 * sizeof(double));
        directions_run(cases + k, &f, &d);
        const aim_term_tan some = {.n_dir = 2, .tx = d.tx, .tgrad = e.tgrad}, none = {0};
        aim_term_io io = fixture_io(&f);
        assert_int_equal(cases[k].tangent(&io, &some, &f, cases[k].params, NULL, NULL), AIMNET_OK);
        for (int x = 0; x < 90; x++)
            assert_close(e.tgrad[x], d.tgrad[x], largest(d.tgrad, 90), 1e-14, cases[k].name, x);
        assert_int_equal(cases[k].tangent(&io, &none, &f, cases[k].params, NULL, NULL), AIMNET_OK);
        directions_free(&d);
        directions_free(&e);
        fixture_free(&f);
    }
}

static int make_table(void **state)
{
    (void)state;
    const aim_alloc alloc = aim_alloc_default();
    return aim_d3_table_create(&alloc, &shipped) == AIMNET_OK ? 0 : -1;
}
static int free_table(void **state)
{
    (void)state;
    const aim_alloc alloc = aim_alloc_default();
    aim_d3_table_free(shipped, &alloc);
    return 0;
}

/* ---------------------------------------------------------------- pair functions */

enum { PAIRS = 61, ELEMENTS = 64, N_REFS = 3 };
static const double PAIR_FUNCTION = 1e-12; /* relative, or of 1e-6 in the function's unit */

/* Neighbours 0.7 to 18 A away, across the end of DSF and the switch of D3, one of them the atom
 * itself, and padding. */
typedef struct pair_row {
    double x[3][ELEMENTS], d[ELEMENTS], prop[4][ELEMENTS];
    int64_t id[ELEMENTS], real[ELEMENTS];
    aim_row row;
} pair_row;
enum { SELF = 17 };

static void pair_row_make(pair_row *r)
{
    memset(r, 0, sizeof *r);
    r->row = (aim_row){.x = r->x[0],
                       .y = r->x[1],
                       .z = r->x[2],
                       .id = r->id,
                       .real = r->real,
                       .self = SELF,
                       .n = ELEMENTS};
    for (int k = 0; k < 4; k++)
        r->row.prop[k] = r->prop[k];
    for (int p = 0; p < PAIRS; p++) {
        const double d = 0.7 + p * 17.3 / (PAIRS - 1);
        r->x[0][p] = 0.6 * d, r->x[1][p] = -0.48 * d, r->x[2][p] = 0.64 * d;
        r->id[p] = p;
        r->real[p] = -1;
        r->d[p] = aim_sweep_distance(&r->row, p);
    }
}

static void same_number(const char *isa, const char *what, double d, double found, double expected)
{
    if (!(fabs(found - expected) <= PAIR_FUNCTION * (fabs(expected) + 1e-6)))
        fail_msg("%s, %s at %g is %.17g, the formula gives %.17g", isa, what, d, found, expected);
}

/* f and h of e; zeros where there is no pair. */
static void same_pair(const char *isa, const char *what, const pair_row *r, const aim_tan_chunk *c,
                      int p, aim_deriv e)
{
    const double d = r->d[p], f = d > 0.0 ? -e.d1 / d : 0.0;
    same_number(isa, what, d, c->f[p], f);
    same_number(isa, what, d, c->h[p], d > 0.0 ? -(e.d2 + f) / (d * d) : 0.0);
}

static aim_deriv scaled(aim_deriv e, double scale, double unit)
{
    return (aim_deriv){scale * e.v, scale * unit * e.d1, scale * unit * unit * e.d2};
}

static const double K = 14.4, OWN = 0.3;

static void check_coulomb(const aim_term_kernels *k, const aim_dsf *dsf)
{
    static pair_row r;
    static aim_tan_chunk c;
    double slope = 0.0;
    pair_row_make(&r);
    for (int p = 0; p < PAIRS; p++)
        r.prop[0][p] = 0.01 * p - 0.2;
    const double sum = k->tan_coulomb(&r.row, dsf, K, OWN, &c);
    for (int p = 0; p < ELEMENTS; p++) {
        const double d = r.d[p], q = r.prop[0][p];
        const aim_deriv e = d == 0.0        ? (aim_deriv){0.0, 0.0, 0.0}
                            : dsf->rc > 0.0 ? aim_coulomb_dsf(d, dsf)
                                            : aim_coulomb_simple(d);
        same_pair(k->isa, "Coulomb", &r, &c, p, scaled(e, K * OWN * q, 1.0));
        same_number(k->isa, "f_i", d, c.f_i[0][p], d > 0.0 ? -K * q * e.d1 / d : 0.0);
        same_number(k->isa, "f_j", d, c.f_j[0][p], d > 0.0 ? -K * OWN * e.d1 / d : 0.0);
        same_number(k->isa, "e_ij", d, c.e_ij[0][0][p], K * e.v);
        assert_true(c.e_ii[0][0][p] == 0.0);
        slope += K * q * e.v;
    }
    same_number(k->isa, "dE/dq", 0.0, sum, slope);
}

static void check_count(const aim_term_kernels *k)
{
    const double rcov = 3.7;
    static pair_row r;
    static aim_tan_chunk c;
    double total = 0.0;
    pair_row_make(&r);
    for (int p = 0; p < PAIRS; p++)
        r.prop[0][p] = 0.02 * p - 0.1;
    const double sum = k->tan_count(&r.row, rcov, &c);
    for (int p = 0; p < ELEMENTS; p++)
        if (r.d[p] == 0.0) {
            assert_true(c.f[p] == 0.0);
        } else {
            const aim_deriv e =
                scaled(aim_d3_count(r.d[p] * AIM_BOHR_INV, rcov), 1.0, AIM_BOHR_INV);
            same_number(k->isa, "c'/d", r.d[p], c.f[p], e.d1 / r.d[p]);
            total += e.v;
        }
    same_number(k->isa, "CN", 0.0, sum, total);
    k->tan_count_grad(&r.row, rcov, OWN, &c);
    for (int p = 0; p < ELEMENTS; p++) {
        const aim_deriv none = {0.0, 0.0, 0.0},
                        e = r.d[p] > 0.0 ? aim_d3_count(r.d[p] * AIM_BOHR_INV, rcov) : none;
        same_pair(k->isa, "count", &r, &c, p, scaled(e, OWN + r.prop[0][p], AIM_BOHR_INV));
        same_number(k->isa, "f_i", r.d[p], c.f_i[0][p],
                    r.d[p] > 0.0 ? -AIM_BOHR_INV * e.d1 / r.d[p] : 0.0);
        assert_true(c.f_j[0][p] == c.f_i[0][p]);
    }
}

static void check_damped(const aim_term_kernels *k, int n_ref)
{
    const aim_d3_params params = {1.0, 0.3908, 0.566, 3.128, 15.0, 0.2};
    const double ratio = 20.0, r0 = aim_d3_radius(ratio, params.a1, params.a2);
    static pair_row r;
    static aim_tan_chunk c;
    aim_d3_range range;
    double slope = 0.0;
    aim_d3_tan_block block = {.n_ref = n_ref,
                              .g = {{5.0, 0.4, -0.2}, {7.0, -0.3, 0.1}, {4.0, 0.6, 0.5}},
                              .c8 = params.s8 * ratio,
                              .r06 = pow(r0, 6.0),
                              .r08 = pow(r0, 8.0)};
    assert_int_equal(aim_d3_range_make(&params, &range), AIMNET_OK);
    pair_row_make(&r);
    for (int p = 0; p < PAIRS; p++)
        for (int b = 0; b < 4; b++)
            r.prop[b][p] = 0.1 * (b + 1) + 0.003 * p;
    const double sum = k->tan_damped(&r.row, &block, &range, &c);
    for (int p = 0; p < ELEMENTS; p++) {
        double w[N_REFS] = {1.0}, dw[N_REFS] = {0.0}, c6[3] = {0.0}, dc6[2] = {0.0};
        for (int b = 1; b < n_ref; b++) {
            w[b] = r.prop[2 * b - 2][p], dw[b] = r.prop[2 * b - 1][p];
            w[0] -= w[b], dw[0] -= dw[b];
        }
        for (int b = 0; b < n_ref; b++)
            for (int x = 0; x < 3; x++) {
                c6[x] += w[b] * block.g[b][x];
                if (x < 2)
                    dc6[x] += dw[b] * block.g[b][x];
            }
        const double d = r.d[p];
        const aim_deriv none = {0.0, 0.0, 0.0},
                        e = d > 0.0 ? aim_d3_damped(d * AIM_BOHR_INV, &range, &params, ratio)
                                    : none;
        const double f = d > 0.0 ? AIM_HARTREE * AIM_BOHR_INV * e.d1 / d : 0.0;
        same_pair(k->isa, "damping", &r, &c, p, scaled(e, -AIM_HARTREE * c6[0], AIM_BOHR_INV));
        same_number(k->isa, "f_i", d, c.f_i[0][p], f * c6[1]);
        same_number(k->isa, "f_j", d, c.f_j[0][p], f * dc6[0]);
        same_number(k->isa, "e_ii", d, c.e_ii[0][0][p], -AIM_HARTREE * e.v * c6[2]);
        same_number(k->isa, "e_ij", d, c.e_ij[0][0][p], -AIM_HARTREE * e.v * dc6[1]);
        slope -= AIM_HARTREE * e.v * c6[1];
    }
    same_number(k->isa, "dE/dCN", 0.0, sum, slope);
}

static void pair_functions_of_every_instruction_set_are_the_formulas(void **state)
{
    (void)state;
    const aim_dsf shifted = aim_dsf_make(15.0, 0.2), plain = {0};
    for (int isa = 0; isa <= aim_cpu_isa(); isa++) {
        const aim_term_kernels *k = aim_term_kernels_select(isa);
        check_coulomb(k, &plain);
        check_coulomb(k, &shifted);
        check_count(k);
        for (int n_ref = 1; n_ref <= N_REFS; n_ref++)
            check_damped(k, n_ref);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tangents_are_slopes_of_the_first_derivatives),
        cmocka_unit_test(tangents_of_a_crystal_are_slopes_too),
        cmocka_unit_test(ewald_and_pme_tangents_are_slopes_too),
        cmocka_unit_test(second_derivatives_are_symmetric),
        cmocka_unit_test(two_charges_have_the_dipolar_hessian),
        cmocka_unit_test(a_translation_has_no_second_derivative),
        cmocka_unit_test(results_do_not_depend_on_siblings_threads_or_batch),
        cmocka_unit_test(instruction_sets_agree),
        cmocka_unit_test(inactive_systems_get_nothing),
        cmocka_unit_test(every_failing_allocation_is_reported_and_nothing_leaks),
        cmocka_unit_test(pair_functions_of_every_instruction_set_are_the_formulas),
        cmocka_unit_test(absent_parts_are_zero_and_unwanted_outputs_are_left_alone),
    };
    return cmocka_run_group_tests(tests, make_table, free_table);
}
