/* SPDX-License-Identifier: MIT */
/* tangent_fixture.h - what the tests of the terms' tangents share: random directions of everything
 * a term depends on, the tangent's outputs as one vector per direction, and the checks. */
#ifndef TANGENT_FIXTURE_H
#define TANGENT_FIXTURE_H

#include "term/tangent.h"
#include "term_fixture.h"

/* A term with its tangent; energy: evaluates the term itself (term_fixture.h). */
typedef struct tangent_case {
    const char *name;
    term_fn energy;
    aim_status (*tangent)(aim_term_io *io, const aim_term_tan *tan, fixture *f, const void *params,
                          const double *tdisp, double *tgdisp);
    const void *params;
    int charges, dispersion; /* the term depends on them */
} tangent_case;

/* Directions of one fixture and what comes out of them. */
typedef struct directions {
    int n_dir;
    double *tx, *w, *tq, *tdisp;
    double *tenergy, *tgrad, *tgq, *tgdisp, *tstrain;
} directions;

static inline double *doubles(size_t n)
{
    return must(calloc(n + 1, sizeof(double)));
}

static inline directions directions_make(const fixture *f, int n_dir)
{
    const size_t k = (size_t)n_dir, n = (size_t)f->batch.n_atoms, m = (size_t)f->batch.n_systems;
    return (directions){.n_dir = n_dir,
                        .tx = doubles(3 * k * n),
                        .w = doubles(9 * k * m),
                        .tq = doubles(k * n),
                        .tdisp = doubles(2 * k * n),
                        .tenergy = doubles(k * m),
                        .tgrad = doubles(3 * k * n),
                        .tgq = doubles(k * n),
                        .tgdisp = doubles(2 * k * n),
                        .tstrain = doubles(9 * k * m)};
}

static inline void directions_free(directions *d)
{
    double *const owned[] = {d->tx,    d->w,   d->tq,     d->tdisp,  d->tenergy,
                             d->tgrad, d->tgq, d->tgdisp, d->tstrain};
    for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
        free(owned[k]);
}

/* Random directions; those of atom i of a system do not depend on the rest of the batch. */
static inline directions directions_random(const fixture *f, int n_dir)
{
    directions d = directions_make(f, n_dir);
    const size_t n = (size_t)f->batch.n_atoms, m = (size_t)f->batch.n_systems;
    for (size_t k = 0; k < (size_t)n_dir; k++) {
        for (size_t i = 0; i < n; i++) {
            uint64_t state = (k + 1) * 7919 + (uint64_t)f->origin[i] * 104729 +
                             (uint64_t)(fabs(f->coord[3 * i]) * 1e6);
            for (size_t x = 0; x < 6; x++) {
                const double r = random_unit(&state) - 0.5;
                if (x < 3)
                    d.tx[3 * (k * n + i) + x] = r;
                else if (x == 3)
                    d.tq[k * n + i] = r;
                else
                    d.tdisp[2 * (k * n + i) + x - 4] = 5.0 * r;
            }
        }
        for (size_t s = 0; s < m; s++) {
            uint64_t state =
                31 * (k + 1) + (uint64_t)f->batch.offset[s + 1] - (uint64_t)f->batch.offset[s];
            for (size_t x = 0; x < 9; x++)
                d.w[9 * (k * m + s) + x] = 0.4 * (random_unit(&state) - 0.5);
        }
    }
    return d;
}

static inline aim_status directions_try(const tangent_case *c, fixture *f, directions *d)
{
    const size_t k = (size_t)d->n_dir, n = (size_t)f->batch.n_atoms, m = (size_t)f->batch.n_systems;
    memset(d->tenergy, 0, k * m * sizeof(double));
    memset(d->tgrad, 0, 3 * k * n * sizeof(double));
    memset(d->tgq, 0, k * n * sizeof(double));
    memset(d->tgdisp, 0, 2 * k * n * sizeof(double));
    memset(d->tstrain, 0, 9 * k * m * sizeof(double));
    const aim_term_tan tan = {.n_dir = d->n_dir,
                              .tx = d->tx,
                              .w = d->w,
                              .tq = c->charges ? d->tq : NULL,
                              .tenergy = d->tenergy,
                              .tgrad = d->tgrad,
                              .tgq = d->tgq,
                              .tstrain = d->tstrain};
    aim_term_io io = fixture_io(f);
    io.energy = io.grad = io.strain = io.gq = NULL;
    return c->tangent(&io, &tan, f, c->params, d->tdisp, d->tgdisp);
}

static inline void directions_run(const tangent_case *c, fixture *f, directions *d)
{
    if (directions_try(c, f, d) != AIMNET_OK)
        fail_msg("%s: %s", c->name, aimnet_last_error());
}

/* All first-order outputs of one system as one vector: energy, strain, grad, gq, gdisp. */
enum { HEAD = 10 };
static inline size_t output_size(const fixture *f)
{
    return HEAD + 6 * (size_t)f->batch.n_atoms;
}
static inline void collect(const double *energy, const double *strain, const double *grad,
                           const double *gq, const double *gdisp, size_t n, double *out)
{
    out[0] = energy[0];
    memcpy(out + 1, strain, 9 * sizeof *out);
    memcpy(out + HEAD, grad, 3 * n * sizeof *out);
    memcpy(out + HEAD + 3 * n, gq, n * sizeof *out);
    memcpy(out + HEAD + 4 * n, gdisp, 2 * n * sizeof *out);
}
static inline void collect_direction(const fixture *f, const directions *d, size_t k, double *out)
{
    const size_t n = (size_t)f->batch.n_atoms;
    collect(d->tenergy + k, d->tstrain + 9 * k, d->tgrad + 3 * k * n, d->tgq + k * n,
            d->tgdisp + 2 * k * n, n, out);
}

/* Moves a fixture of one system by h along direction k. */
static inline void displace(fixture *f, const directions *d, size_t k, double h)
{
    const size_t n = (size_t)f->batch.n_atoms;
    const double *w = d->w + 9 * k;
    for (size_t i = 0; i < n; i++) {
        const double x[3] = {f->coord[3 * i], f->coord[3 * i + 1], f->coord[3 * i + 2]};
        for (size_t b = 0; b < 3; b++)
            f->coord[3 * i + b] +=
                h * (d->tx[3 * (k * n + i) + b] + x[0] * w[b] + x[1] * w[3 + b] + x[2] * w[6 + b]);
        f->q[i] += h * d->tq[k * n + i];
        f->disp[2 * i] += h * d->tdisp[2 * (k * n + i)];
        f->disp[2 * i + 1] += h * d->tdisp[2 * (k * n + i) + 1];
    }
    for (size_t a = 0; a < 3; a++) {
        double *v = f->cell + 3 * a;
        const double x[3] = {v[0], v[1], v[2]};
        for (size_t b = 0; b < 3; b++)
            v[b] += h * (x[0] * w[b] + x[1] * w[3 + b] + x[2] * w[6 + b]);
    }
}

/* The tangent of every output against a seven-point stencil of the term's first derivatives. */
static inline void check_differences(const tangent_case *c, fixture *f, double tolerance)
{
    static const double weight[7] = {-1.0 / 60, 3.0 / 20,  -3.0 / 4, 0.0,
                                     3.0 / 4,   -3.0 / 20, 1.0 / 60};
    const size_t n = (size_t)f->batch.n_atoms, size = output_size(f);
    const double h = 1e-3;
    directions d = directions_random(f, 3);
    directions_run(c, f, &d);
    double *slope = doubles(size), *value = doubles(size), *tangent = doubles(size);
    double *coord = doubles(3 * n), *q = doubles(n), *disp = doubles(2 * n), cell[9];
    memcpy(coord, f->coord, 3 * n * sizeof *coord);
    memcpy(q, f->q, n * sizeof *q);
    memcpy(disp, f->disp, 2 * n * sizeof *disp);
    memcpy(cell, f->cell, sizeof cell);
    for (size_t k = 0; k < 3; k++) {
        memset(slope, 0, size * sizeof *slope);
        for (int p = 0; p < 7; p++) {
            displace(f, &d, k, (p - 3) * h);
            evaluate(f, c->energy, c->params);
            collect(f->energy, f->strain, f->grad, f->gq, f->gdisp, n, value);
            for (size_t x = 0; x < size; x++)
                slope[x] += weight[p] * value[x] / h;
            memcpy(f->coord, coord, 3 * n * sizeof *coord);
            memcpy(f->q, q, n * sizeof *q);
            memcpy(f->disp, disp, 2 * n * sizeof *disp);
            memcpy(f->cell, cell, sizeof cell);
        }
        collect_direction(f, &d, k, tangent);
        const size_t part[6] = {0, 1, HEAD, HEAD + 3 * n, HEAD + 4 * n, size};
        for (int t = 0; t < 5; t++)
            for (size_t x = part[t]; x < part[t + 1]; x++)
                assert_close(tangent[x], slope[x],
                             largest(slope + part[t], (int)(part[t + 1] - part[t])), tolerance,
                             c->name, (int)x);
    }
    free(slope), free(value), free(tangent), free(coord), free(q), free(disp);
    directions_free(&d);
}

/* u H v = v H u over positions, charges and dispersion parameters together; and with strain once
 * the first-order term of moving along the deformed axes is taken off. */
static inline void check_symmetry(const tangent_case *c, fixture *f)
{
    const size_t n = (size_t)f->batch.n_atoms, size = output_size(f);
    directions d = directions_random(f, 2), strained = directions_random(f, 2);
    memset(d.w, 0, 18 * sizeof(double));
    memset(strained.tx, 0, 6 * n * sizeof(double));
    memset(strained.tq, 0, 2 * n * sizeof(double));
    memset(strained.tdisp, 0, 4 * n * sizeof(double));
    directions_run(c, f, &d);
    directions_run(c, f, &strained);
    evaluate(f, c->energy, c->params);
    double *value = doubles(size), product[2] = {0}, scale = 0.0, mixed = 0.0, turned = 0.0;
    for (size_t k = 0; k < 2; k++) {
        const size_t other = 1 - k;
        collect_direction(f, &d, k, value);
        for (size_t i = 0; i < 6 * n; i++) {
            const double v = i < 3 * n ? d.tx[3 * other * n + i]
                             : i < 4 * n
                                 ? (c->charges ? d.tq[other * n + i - 3 * n] : 0.0)
                                 : (c->dispersion ? d.tdisp[2 * other * n + i - 4 * n] : 0.0);
            product[k] += v * value[HEAD + i];
            scale += fabs(v * value[HEAD + i]);
        }
    }
    assert_close(product[0], product[1], scale, 1e-13, c->name, 0);
    collect_direction(f, &strained, 0, value);
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < 3; b++) {
            const double *t = d.tx + 3 * i, *w = strained.w;
            mixed += t[b] * value[HEAD + 3 * i + b] +
                     (t[0] * w[b] + t[1] * w[3 + b] + t[2] * w[6 + b]) * f->grad[3 * i + b];
        }
    for (size_t i = 0; i < n; i++) {
        mixed += c->charges ? d.tq[i] * value[HEAD + 3 * n + i] : 0.0;
        for (size_t k = 0; k < 2 && c->dispersion; k++)
            mixed += d.tdisp[2 * i + k] * value[HEAD + 4 * n + 2 * i + k];
    }
    for (size_t x = 0; x < 9; x++)
        turned += strained.w[x] * d.tstrain[x];
    assert_close(mixed, turned, scale, 1e-13, c->name, 1);
    free(value);
    directions_free(&d);
    directions_free(&strained);
}

static inline void assert_same_directions(const fixture *f, const directions *a, size_t ka, int s,
                                          const fixture *g, const directions *b, size_t kb, int t)
{
    const size_t n = (size_t)(f->offset[s + 1] - f->offset[s]), i = (size_t)f->offset[s],
                 j = (size_t)g->offset[t];
    const size_t na = ka * (size_t)f->batch.n_atoms + i, nb = kb * (size_t)g->batch.n_atoms + j;
    const size_t ma = ka * (size_t)f->batch.n_systems + (size_t)s,
                 mb = kb * (size_t)g->batch.n_systems + (size_t)t;
    assert_memory_equal(a->tenergy + ma, b->tenergy + mb, sizeof(double));
    assert_memory_equal(a->tstrain + 9 * ma, b->tstrain + 9 * mb, 9 * sizeof(double));
    assert_memory_equal(a->tgrad + 3 * na, b->tgrad + 3 * nb, 3 * n * sizeof(double));
    assert_memory_equal(a->tgq + na, b->tgq + nb, n * sizeof(double));
    assert_memory_equal(a->tgdisp + 2 * na, b->tgdisp + 2 * nb, 2 * n * sizeof(double));
}

/* The same bits for every direction alone, for one and three threads, and alone and in a batch. */
static inline void check_bits(const tangent_case *c, const structure *const *list, int n_systems,
                              double pair_cutoff)
{
    enum { N = 11 };
    for (int isa = 0; isa <= aim_cpu_isa(); isa++) {
        fixture all = fixture_make(list, n_systems), threaded = fixture_make(list, n_systems);
        assert_int_equal(aim_team_create(&threaded.alloc, 3, &threaded.team), AIMNET_OK);
        all.kernels = threaded.kernels = aim_term_kernels_select(isa);
        if (pair_cutoff > 0.0) {
            fixture_pairs(&all, pair_cutoff);
            fixture_pairs(&threaded, pair_cutoff);
        }
        directions a = directions_random(&all, N), b = directions_random(&threaded, N);
        directions_run(c, &all, &a);
        directions_run(c, &threaded, &b);
        for (int s = 0; s < n_systems; s++) {
            fixture single = fixture_make(list + s, 1);
            single.kernels = all.kernels;
            if (pair_cutoff > 0.0)
                fixture_pairs(&single, pair_cutoff);
            directions d = directions_random(&single, N);
            directions_run(c, &single, &d);
            for (size_t k = 0; k < N; k++) {
                assert_same_directions(&all, &a, k, s, &single, &d, k, 0);
                assert_same_directions(&threaded, &b, k, s, &single, &d, k, 0);
                const size_t n = (size_t)list[s]->n;
                directions one = directions_make(&single, 1);
                memcpy(one.tx, d.tx + 3 * k * n, 3 * n * sizeof(double));
                memcpy(one.w, d.w + 9 * k, 9 * sizeof(double));
                memcpy(one.tq, d.tq + k * n, n * sizeof(double));
                memcpy(one.tdisp, d.tdisp + 2 * k * n, 2 * n * sizeof(double));
                directions_run(c, &single, &one);
                assert_same_directions(&single, &d, k, 0, &single, &one, 0, 0);
                directions_free(&one);
            }
            directions_free(&d);
            fixture_free(&single);
        }
        directions_free(&a);
        directions_free(&b);
        fixture_free(&all);
        fixture_free(&threaded);
    }
}

/* Every kernel set agrees to rounding. */
static inline void check_sets_agree(const tangent_case *c, const structure *s, double pair_cutoff)
{
    fixture f = fixture_make(&s, 1);
    if (pair_cutoff > 0.0)
        fixture_pairs(&f, pair_cutoff);
    f.kernels = aim_term_kernels_select(AIM_ISA_BASE);
    directions base = directions_random(&f, 3), d = directions_random(&f, 3);
    directions_run(c, &f, &base);
    for (int isa = 1; isa <= aim_cpu_isa(); isa++) {
        f.kernels = aim_term_kernels_select(isa);
        directions_run(c, &f, &d);
        for (int k = 0; k < 9 * s->n; k++)
            assert_close(d.tgrad[k], base.tgrad[k], largest(base.tgrad, 9 * s->n), 1e-12, c->name,
                         k);
    }
    directions_free(&base);
    directions_free(&d);
    fixture_free(&f);
}

/* Allocation 1, 2, ... fails: MEMORY and no leak; a second call of the same size allocates nothing.
 */
static inline void check_memory(const tangent_case *c, const structure *s, double pair_cutoff)
{
    for (int n = 1;; n++) {
        failing_allocator a = {.fail_at = n};
        fixture f = fixture_make(&s, 1);
        f.alloc = (aim_alloc){.alloc = failing_alloc, .free = failing_free, .user = &a};
        if (pair_cutoff > 0.0)
            fixture_pairs(&f, pair_cutoff);
        directions d = directions_random(&f, 5);
        const aim_status status = directions_try(c, &f, &d);
        if (status == AIMNET_OK) {
            const int calls = a.calls;
            directions_run(c, &f, &d);
            assert_int_equal(a.calls, calls);
        } else {
            assert_int_equal(status, AIMNET_ERR_MEMORY);
        }
        directions_free(&d);
        fixture_free(&f);
        assert_int_equal(a.alive, 0);
        if (status == AIMNET_OK) {
            assert_true(n > 1);
            return;
        }
    }
}

/* Systems that are not active get nothing. */
static inline void check_inactive(const tangent_case *c, const structure *const *list,
                                  int n_systems, double pair_cutoff)
{
    int32_t active[MAX_SYSTEMS];
    for (int s = 0; s < n_systems; s++)
        active[s] = s % 2;
    fixture all = fixture_make(list, n_systems), some = fixture_make(list, n_systems);
    if (pair_cutoff > 0.0) {
        fixture_pairs(&all, pair_cutoff);
        fixture_pairs(&some, pair_cutoff);
    }
    some.active = active;
    directions a = directions_random(&all, 2), b = directions_random(&some, 2);
    directions zero = directions_make(&some, 2);
    directions_run(c, &all, &a);
    directions_run(c, &some, &b);
    for (int s = 0; s < n_systems; s++)
        for (size_t k = 0; k < 2; k++)
            assert_same_directions(&some, &b, k, s, &all, active[s] ? &a : &zero, k, s);
    directions_free(&a);
    directions_free(&b);
    directions_free(&zero);
    fixture_free(&all);
    fixture_free(&some);
}

#endif
