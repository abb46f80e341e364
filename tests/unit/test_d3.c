/* SPDX-License-Identifier: MIT */
/* test_d3.c - DFT-D3(BJ): a plain double loop, finite differences, the Python reference and
 * simple-dftd3. */
#include "term_golden.h"

#include "point/cutoff.h"
#include "point/d3_damping.h"
#include "term/tangent.h"

typedef struct params {
    aim_d3_params d3;
    const aim_d3_table *table;
} params;

static aim_d3_table *shipped;

static aim_status d3(aim_term_io *io, fixture *f, const void *p)
{
    (void)f;
    const params *c = p;
    return aim_term_d3(io, c->table ? c->table : shipped, &c->d3);
}

/* The damped shifted force along with it. */
static const double DSF_CUTOFF = 4.5, DSF_ALPHA = 0.2;
static aim_status with_dsf(aim_term_io *io, fixture *f, const void *p)
{
    (void)f;
    const params *c = p;
    aim_term_io coulomb = *io;
    return aim_term_dsf_d3(&coulomb, DSF_CUTOFF, DSF_ALPHA, io, c->table ? c->table : shipped,
                           &c->d3);
}
static aim_status after_dsf(aim_term_io *io, fixture *f, const void *p)
{
    AIM_TRY(aim_term_coulomb_dsf(io, DSF_CUTOFF, DSF_ALPHA));
    return d3(io, f, p);
}

static const params kinds[] = {{{1.0, 0.3908, 0.566, 3.128, 15.0, 0.2}, NULL},
                               {{1.0, 0.7875, 0.4289, 4.4407, 5.0, 0.5}, NULL},
                               {{1.0, 0.7875, 0.4289, 4.4407, INFINITY, 0.0}, NULL},
                               {{1.0, 0.7875, 0.4289, 4.4407, 30.0, 0.0}, NULL}};
enum { N_KINDS = sizeof kinds / sizeof *kinds };
static const int organic[] = {1, 6, 7, 8}, mixed[] = {1, 6, 14, 26, 53, 72, 79, 5};

static structure cluster(uint64_t seed, int n)
{
    return random_structure(seed, n, 1.25, organic, 4);
}
static structure alloy(uint64_t seed, int n)
{
    return random_structure(seed, n, 1.7, mixed, 8);
}

/* ---------------------------------------------------------------- the plain double loop */
static double distance(const structure *s, int i, int j)
{
    const double *a = s->x + 3 * i, *b = s->x + 3 * j;
    const double x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2];
    return sqrt(x * x + y * y + z * z) * AIM_BOHR_INV;
}

static double plain_c6(const aim_d3_table *t, int zi, int zj, double cn_i, double cn_j,
                       int *dropped)
{
    double top = -INFINITY, sum = 0.0, weight = 0.0;
    for (int pass = 0; pass < 2; pass++)
        for (int a = t->first[zi]; a < t->first[zi + 1]; a++)
            for (int b = t->first[zj]; b < t->first[zj + 1]; b++) {
                const double s = aim_d3_exponent(cn_i, t->cn[a]) + aim_d3_exponent(cn_j, t->cn[b]);
                if (pass == 0) {
                    top = fmax(top, s);
                } else if (s - top >= t->weight_floor) {
                    sum += exp(s - top) * t->c6[a * t->n_refs + b];
                    weight += exp(s - top);
                } else {
                    ++*dropped;
                }
            }
    return sum / weight;
}

static double plain_energy(const structure *s, const aim_d3_table *t, const aim_d3_params *p,
                           int *dropped)
{
    double cn[MAX_ATOMS] = {0}, e = 0.0;
    for (int i = 0; i < s->n; i++)
        for (int j = 0; j < s->n; j++)
            if (j != i)
                cn[i] +=
                    aim_d3_count(distance(s, i, j), t->rcov[s->numbers[i]] + t->rcov[s->numbers[j]])
                        .v;
    for (int i = 0; i < s->n; i++)
        for (int j = 0; j < i; j++) {
            const int zi = s->numbers[i], zj = s->numbers[j];
            const double d = distance(s, i, j), q = aim_d3_c8_ratio(t->r4r2[zi], t->r4r2[zj]),
                         off = p->cutoff * AIM_BOHR_INV;
            e -= plain_c6(t, zi, zj, cn[i], cn[j], dropped) *
                 aim_d3_damping(d, p->s6, p->s8, q, aim_d3_radius(q, p->a1, p->a2)).v *
                 aim_cutoff_s5(d, isfinite(off) ? off * (1.0 - p->smoothing) : off, off).v;
        }
    return e * AIM_HARTREE;
}

static void energies_follow_the_plain_double_loop(void **state)
{
    (void)state;
    int dropped = 0;
    for (int k = 0; k < N_KINDS; k++)
        for (int n = 1; n < 60; n += 6)
            for (int m = 0; m < 2; m++) {
                const structure s = m ? alloy((uint64_t)n, n) : cluster((uint64_t)n, n), *list = &s;
                fixture f = fixture_make(&list, 1);
                const double e = plain_energy(&s, shipped, &kinds[k].d3, &dropped);
                assert_close(energy_of(&f, d3, kinds + k), e, fabs(e), 1e-13, "energy", n);
                fixture_free(&f);
            }
    assert_true(dropped > 1000);
}

static void weights_are_dropped_only_below_the_floor(void **state)
{
    (void)state;
    aim_d3_table all = *shipped, some = *shipped;
    all.weight_floor = -INFINITY;
    some.weight_floor = -3.0;
    const structure s = cluster(5, 40), *list = &s;
    fixture f = fixture_make(&list, 1);
    int dropped = 0;
    const params a = {kinds[0].d3, &all}, b = {kinds[0].d3, &some};
    const double e = energy_of(&f, d3, kinds), e_all = energy_of(&f, d3, &a),
                 e_some = energy_of(&f, d3, &b);
    assert_close(e_all, plain_energy(&s, &all, &a.d3, &dropped), fabs(e), 1e-13, "energy", 0);
    assert_int_equal(dropped, 0);
    assert_close(e_some, plain_energy(&s, &some, &b.d3, &dropped), fabs(e), 1e-13, "energy", 1);
    assert_true(fabs(e - e_all) > 1e-12 && fabs(e - e_all) < 1e-5);
    assert_true(fabs(e_some - e_all) > 1e-4);
    fixture_free(&f);
}

/* ---------------------------------------------------------------- derivatives */
/* Dropping weights makes steps of 1e-6 in the energy, which differences must not meet; the
 * comparison with the reference covers the derivatives of that case. */
static params smooth(int kind)
{
    static aim_d3_table all;
    all = *shipped;
    all.weight_floor = -INFINITY;
    return (params){kinds[kind].d3, &all};
}

static void gradient_and_strain_are_slopes_of_the_energy(void **state)
{
    (void)state;
    for (int k = 0; k < N_KINDS; k++)
        for (int m = 0; m < 4; m++) {
            const structure s = m % 2 ? alloy(11, 12) : cluster(12, 14), *list = &s;
            fixture f = fixture_make(&list, 1);
            if (m / 2)
                fixture_pairs(&f, 5.2);
            const params p = smooth(k);
            check_slopes(&f, d3, &p);
            check_slopes(&f, with_dsf, &p);
            fixture_free(&f);
        }
}

static structure crystal(void)
{
    structure s = cluster(21, 9);
    const double cell[9] = {6.5, 0.2, -0.4, 1.1, 7.0, 0.3, -0.5, 0.9, 6.1};
    memcpy(s.cell, cell, sizeof cell);
    s.pbc[0] = s.pbc[1] = s.pbc[2] = 1;
    return s;
}

static void strain_of_a_crystal_is_the_slope_of_its_energy(void **state)
{
    (void)state;
    const structure s = crystal(), *list = &s;
    fixture f = fixture_make(&list, 1);
    fixture_pairs(&f, 6.0);
    const params p = smooth(1);
    check_slopes(&f, d3, &p);
    fixture_free(&f);
}

static void a_crystal_has_the_energy_of_its_supercell(void **state)
{
    (void)state;
    const structure s = crystal();
    structure two = s;
    two.n = 18;
    for (int i = 0; i < 9; i++) {
        two.numbers[9 + i] = s.numbers[i];
        for (int d = 0; d < 3; d++)
            two.x[3 * (9 + i) + d] = s.x[3 * i + d] + s.cell[d];
    }
    for (int d = 0; d < 3; d++)
        two.cell[d] *= 2.0;
    const structure *small = &s, *large = &two;
    fixture f = fixture_make(&small, 1), g = fixture_make(&large, 1);
    fixture_pairs(&f, 9.0);
    fixture_pairs(&g, 9.0);
    evaluate(&f, d3, kinds);
    evaluate(&g, d3, kinds);
    assert_close(g.energy[0], 2.0 * f.energy[0], fabs(g.energy[0]), 1e-13, "energy", 0);
    fixture_free(&f);
    fixture_free(&g);
}

/* ---------------------------------------------------------------- invariance */
static void results_do_not_depend_on_batch_order_or_threads(void **state)
{
    (void)state;
    const structure a = cluster(1, 70), b = alloy(2, 1), c = alloy(3, 33), d = cluster(4, 64),
                    x = crystal();
    const structure *molecules[] = {&a, &b, &c, &d}, *both[] = {&a, &x, &b, &c};
    for (int k = 0; k < N_KINDS; k++) {
        check_invariance(d3, kinds + k, molecules, 4, 0.0);
        check_invariance(d3, kinds + k, both, 4, 5.0);
        check_invariance(with_dsf, kinds + k, both, 4, 5.0);
    }
}

static void instruction_sets_and_lists_agree(void **state)
{
    (void)state;
    const structure s = cluster(9, 61), t = alloy(10, 40);
    for (int k = 0; k < N_KINDS; k++) {
        check_kernels_agree(d3, kinds + k, &s, 0.0);
        check_kernels_agree(d3, kinds + k, &t, 6.0);
        check_list_agrees(d3, kinds + k, &s);
        check_list_agrees(d3, kinds + k, &t);
        check_kernels_agree(with_dsf, kinds + k, &s, 0.0);
        check_kernels_agree(with_dsf, kinds + k, &t, 6.0);
    }
}

static void coulomb_and_dispersion_are_the_same_together_and_apart(void **state)
{
    (void)state;
    const structure s = cluster(9, 61), t = alloy(10, 40), x = crystal(), *list[] = {&s, &t, &x};
    const int n = s.n + t.n + x.n;
    for (int k = 0; k < N_KINDS; k++) {
        fixture f = fixture_make(list, 3), g = fixture_make(list, 3);
        fixture_pairs(&f, 6.0);
        fixture_pairs(&g, 6.0);
        evaluate(&f, with_dsf, kinds + k);
        evaluate(&g, after_dsf, kinds + k);
        for (int m = 0; m < 3; m++)
            assert_close(f.energy[m], g.energy[m], largest(g.energy, 3), 1e-14, "energy", m);
        for (int m = 0; m < 27; m++)
            assert_close(f.strain[m], g.strain[m], largest(g.strain, 27), 1e-14, "strain", m);
        for (int m = 0; m < 3 * n; m++)
            assert_close(f.grad[m], g.grad[m], largest(g.grad, 3 * n), 1e-14, "grad", m);
        for (int m = 0; m < n; m++)
            assert_close(f.gq[m], g.gq[m], largest(g.gq, n), 1e-14, "gq", m);
        fixture_free(&f);
        fixture_free(&g);
    }
}

static void the_order_of_atoms_matters_only_to_rounding(void **state)
{
    (void)state;
    const structure s = alloy(14, 30), *list = &s;
    structure t = s, *turned = &t;
    for (int i = 0; i < s.n; i++) {
        t.numbers[i] = s.numbers[s.n - 1 - i];
        memcpy(t.x + 3 * i, s.x + 3 * (s.n - 1 - i), 3 * sizeof(double));
    }
    fixture f = fixture_make(&list, 1), g = fixture_make((const structure *const *)&turned, 1);
    evaluate(&f, d3, kinds);
    evaluate(&g, d3, kinds);
    assert_close(g.energy[0], f.energy[0], fabs(f.energy[0]), 1e-13, "energy", 0);
    for (int i = 0; i < s.n; i++)
        for (int d = 0; d < 3; d++)
            assert_close(g.grad[3 * i + d], f.grad[3 * (s.n - 1 - i) + d], largest(f.grad, 3 * s.n),
                         1e-12, "grad", i);
    fixture_free(&f);
    fixture_free(&g);
}

static void inactive_systems_are_left_alone(void **state)
{
    (void)state;
    const structure a = cluster(1, 20), b = alloy(2, 5), c = cluster(3, 17), d = alloy(4, 8);
    const structure *list[] = {&a, &b, &c, &d};
    check_active(d3, kinds, list, 4);
    check_active(with_dsf, kinds, list, 4);
}

/* ---------------------------------------------------------------- errors */
static void every_failing_allocation_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    const structure s = cluster(1, 20);
    check_allocation(d3, kinds, &s);
    check_allocation(with_dsf, kinds, &s);
    failing_allocator a = {.fail_at = 1};
    const aim_alloc alloc = {.alloc = failing_alloc, .free = failing_free, .user = &a};
    aim_d3_table *table;
    assert_int_equal(aim_d3_table_create(&alloc, &table), AIMNET_ERR_MEMORY);
    assert_null(table);
    assert_int_equal(aim_d3_table_create(&alloc, &table), AIMNET_OK);
    aim_d3_table_free(table, &alloc);
    aim_d3_table_free(NULL, &alloc);
    assert_int_equal(a.alive, 0);
}

static void unknown_elements_and_bad_ranges_are_refused(void **state)
{
    (void)state;
    const structure s = cluster(1, 3), *list = &s;
    fixture f = fixture_make(&list, 1);
    aim_term_io io = fixture_io(&f);
    const params wrong[] = {{{1.0, 1.0, 0.4, 4.0, -1.0, 0.2}, NULL},
                            {{1.0, 1.0, 0.4, 4.0, 15.0, -0.1}, NULL}};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
        assert_int_equal(d3(&io, &f, wrong + k), AIMNET_ERR_ARG);
    f.numbers[2] = 95;
    assert_int_equal(d3(&io, &f, kinds), AIMNET_ERR_ARG);
    assert_non_null(strstr(aimnet_last_error(), "95"));
    const int32_t active[1] = {0};
    io.active = active;
    assert_int_equal(d3(&io, &f, kinds), AIMNET_OK);
    fixture_free(&f);
}

static void a_structure_with_nan_does_not_poison_its_neighbours(void **state)
{
    (void)state;
    structure bad = cluster(2, 6);
    const structure good = cluster(3, 20), *list[] = {&bad, &good}, *alone = &good;
    bad.x[4] = NAN;
    fixture f = fixture_make(list, 2), g = fixture_make(&alone, 1);
    evaluate(&f, d3, kinds);
    evaluate(&g, d3, kinds);
    assert_true(isnan(f.energy[0]));
    assert_memory_equal(f.energy + 1, g.energy, sizeof(double));
    assert_memory_equal(f.grad + 18, g.grad, 60 * sizeof(double));
    fixture_free(&f);
    fixture_free(&g);
}

/* ---------------------------------------------------------------- tables and references */
static void the_shipped_table_is_complete_and_symmetric(void **state)
{
    (void)state;
    const aim_d3_table *t = shipped;
    assert_int_equal(t->n_elements, 95);
    assert_int_equal(t->first[95], t->n_refs);
    for (int z = 1; z < 95; z++)
        assert_true(t->first[z + 1] > t->first[z] && t->rcov[z] > 0.0 && t->r4r2[z] > 0.0);
    for (int r = 0; r < t->n_refs; r++)
        for (int q = 0; q < t->n_refs; q++)
            assert_true(t->c6[r * t->n_refs + q] > 0.0 &&
                        t->c6[r * t->n_refs + q] == t->c6[q * t->n_refs + r]);
    assert_true(t->c6[0] == (double)3.0267f && t->c6[1] == (double)4.7379f &&
                t->cn[0] == (double)0.9118f);
}

static void compare_reference(const golden_case *c)
{
    params p = {.table = NULL};
    double v[6];
    assert_int_equal(line_numbers(c->line, v, 6), 6);
    p.d3 = (aim_d3_params){v[0], v[1], v[2], v[3], v[4], v[5]};
    check_golden(c, d3, &p);
}

static void agrees_with_the_python_reference(void **state)
{
    (void)state;
    assert_in_range(golden_for_each("organic.txt", "d3 ", compare_reference), 30, 1000);
    assert_in_range(golden_for_each("elements.txt", "d3 ", compare_reference), 80, 1000);
}

enum { DFTD3_ELEMENTS = 89, MAX_REFS = 300 };
typedef struct dftd3_table {
    aim_d3_table table;
    double rcov[DFTD3_ELEMENTS], r4r2[DFTD3_ELEMENTS], cn[MAX_REFS], c6[MAX_REFS * MAX_REFS];
    int32_t first[DFTD3_ELEMENTS + 1];
} dftd3_table;

static const char *decode(const char *text, double *value)
{
    const int n = *text == '~' ? 5 : 4;
    double sum = 0.0;
    text += *text == '~';
    for (int k = 0; k < n; k++, text++)
        sum = sum * 89.0 + (*text - '#' - (*text > '?') - (*text > '\\'));
    *value = sum / 1e4;
    return text;
}

static dftd3_table *read_dftd3_table(void)
{
    dftd3_table *t = must(calloc(1, sizeof *t));
    FILE *file = must(fopen(AIM_SOURCE_DIR "/tests/golden/terms/dftd3_tables.txt", "r"));
    char text[2048];
    int z, n, refs = 0;
    while (fscanf(file, " element %d %d", &z, &n) == 2) {
        assert_in_range(z, 1, DFTD3_ELEMENTS - 1);
        assert_in_range(refs + n, 1, MAX_REFS);
        t->rcov[z] = next_number(file);
        t->r4r2[z] = next_number(file);
        t->first[z] = refs;
        for (int a = 0; a < n; a++)
            t->cn[refs + a] = next_number(file);
        for (int a = 0; a < n; a++, refs++) {
            assert_int_equal(fscanf(file, "%2047s", text), 1);
            const char *p = text;
            for (int q = 0; q <= refs; q++) {
                p = decode(p, &t->c6[refs * MAX_REFS + q]);
                t->c6[q * MAX_REFS + refs] = t->c6[refs * MAX_REFS + q];
            }
        }
        t->first[z + 1] = refs;
    }
    fclose(file);
    t->table = (aim_d3_table){.n_elements = DFTD3_ELEMENTS,
                              .n_refs = MAX_REFS,
                              .rcov = t->rcov,
                              .r4r2 = t->r4r2,
                              .first = t->first,
                              .cn = t->cn,
                              .c6 = t->c6,
                              .weight_floor = -INFINITY};
    return t;
}

static dftd3_table *dftd3;
static double worst_core, worst_shipped, worst_dropping;

/* Relative error of the energy and, unless NULL, of the gradient (of its largest component). */
static double relative_error(const golden_case *c, const aim_d3_table *table, double *gradient)
{
    double v[4];
    assert_int_equal(line_numbers(c->line, v, 4), 4);
    const params p = {{v[0], v[1], v[2], v[3], INFINITY, 0.0}, table};
    const structure *list = &c->s;
    fixture f = fixture_make(&list, 1);
    evaluate(&f, d3, &p);
    const double error = fabs(f.energy[0] / c->energy - 1.0);
    for (int k = 0; gradient && k < 3 * c->s.n; k++)
        *gradient = fmax(*gradient, fabs(f.grad[k] - c->grad[k]) / largest(c->grad, 3 * c->s.n));
    fixture_free(&f);
    return error;
}

static void compare_dftd3(const golden_case *c)
{
    worst_core = fmax(worst_core, relative_error(c, &dftd3->table, &worst_core));
    for (int i = 0; i < c->s.n; i++)
        if (c->s.numbers[i] > 86) /* simple-dftd3 has newer references for Fr and Ra */
            return;
    aim_d3_table all = *shipped;
    all.weight_floor = -INFINITY;
    worst_shipped = fmax(worst_shipped, relative_error(c, &all, NULL));
    worst_dropping = fmax(worst_dropping, relative_error(c, shipped, NULL));
}

#define DFTD3_CORE 1e-9 /* same tables: rounding only */
#define DFTD3_SHIPPED                                                                              \
    1e-6 /* float32 tables, rcov 1e-7 off; dropped weights below e^-12 = 6e-6 of the largest */

#define DFTD3_SHIPPED_HESSIAN 1e-5 /* the slope of the counting function feels rcov */

static void agrees_with_simple_dftd3(void **state)
{
    (void)state;
    dftd3 = read_dftd3_table();
    const int n = golden_for_each("organic.txt", "dftd3", compare_dftd3) +
                  golden_for_each("elements.txt", "dftd3", compare_dftd3);
    free(dftd3);
    assert_in_range(n, 50, 1000);
    print_message("simple-dftd3, %d cases: with its tables %.1e, with the shipped tables %.1e, "
                  "these with dropped weights %.1e\n",
                  n, worst_core, worst_shipped, worst_dropping);
    assert_true(worst_core < DFTD3_CORE);
    assert_true(worst_shipped < DFTD3_SHIPPED);
    assert_true(worst_dropping < DFTD3_SHIPPED);
}

static double worst_hessian, worst_hessian_shipped;

/* Largest error of H v, v_k = cos(k + 1), over its largest component. */
static double hessian_error(const golden_case *c, const aim_d3_table *table)
{
    double v[4], error = 0.0;
    assert_int_equal(line_numbers(c->line, v, 4), 4);
    const aim_d3_params p = {v[0], v[1], v[2], v[3], INFINITY, 0.0};
    const structure *list = &c->s;
    fixture f = fixture_make(&list, 1);
    const int n = 3 * c->s.n;
    static double direction[3 * MAX_ATOMS], hv[3 * MAX_ATOMS];
    memset(hv, 0, sizeof hv);
    for (int k = 0; k < n; k++)
        direction[k] = cos(k + 1.0);
    const aim_term_tan tan = {.n_dir = 1, .tx = direction, .tgrad = hv};
    aim_term_io io = fixture_io(&f);
    assert_int_equal(aim_term_d3_tan(&io, &tan, table, &p), AIMNET_OK);
    for (int k = 0; k < n; k++)
        error = fmax(error, fabs(hv[k] - c->grad[k]) / largest(c->grad, n));
    fixture_free(&f);
    return error;
}

static void compare_dftd3_hessian(const golden_case *c)
{
    aim_d3_table all = *shipped;
    all.weight_floor = -INFINITY;
    worst_hessian = fmax(worst_hessian, hessian_error(c, &dftd3->table));
    worst_hessian_shipped = fmax(worst_hessian_shipped, hessian_error(c, &all));
}

static void hessians_agree_with_simple_dftd3(void **state)
{
    (void)state;
    dftd3 = read_dftd3_table();
    assert_in_range(golden_for_each("dftd3_hessians.txt", "dftd3_hv", compare_dftd3_hessian), 30,
                    1000);
    free(dftd3);
    print_message("simple-dftd3, H v: with its tables %.1e, with the shipped tables %.1e\n",
                  worst_hessian, worst_hessian_shipped);
    assert_true(worst_hessian < DFTD3_CORE);
    assert_true(worst_hessian_shipped < DFTD3_SHIPPED_HESSIAN);
}

static int create_table(void **state)
{
    (void)state;
    const aim_alloc alloc = aim_alloc_default();
    return aim_d3_table_create(&alloc, &shipped) != AIMNET_OK;
}

static int free_table(void **state)
{
    (void)state;
    const aim_alloc alloc = aim_alloc_default();
    aim_d3_table_free(shipped, &alloc);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(energies_follow_the_plain_double_loop),
        cmocka_unit_test(weights_are_dropped_only_below_the_floor),
        cmocka_unit_test(gradient_and_strain_are_slopes_of_the_energy),
        cmocka_unit_test(strain_of_a_crystal_is_the_slope_of_its_energy),
        cmocka_unit_test(a_crystal_has_the_energy_of_its_supercell),
        cmocka_unit_test(results_do_not_depend_on_batch_order_or_threads),
        cmocka_unit_test(instruction_sets_and_lists_agree),
        cmocka_unit_test(coulomb_and_dispersion_are_the_same_together_and_apart),
        cmocka_unit_test(the_order_of_atoms_matters_only_to_rounding),
        cmocka_unit_test(inactive_systems_are_left_alone),
        cmocka_unit_test(every_failing_allocation_is_reported_and_nothing_leaks),
        cmocka_unit_test(unknown_elements_and_bad_ranges_are_refused),
        cmocka_unit_test(a_structure_with_nan_does_not_poison_its_neighbours),
        cmocka_unit_test(the_shipped_table_is_complete_and_symmetric),
        cmocka_unit_test(agrees_with_the_python_reference),
        cmocka_unit_test(agrees_with_simple_dftd3),
        cmocka_unit_test(hessians_agree_with_simple_dftd3),
    };
    return cmocka_run_group_tests(tests, create_table, free_table);
}
