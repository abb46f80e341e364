/* SPDX-License-Identifier: MIT */
/* term_fixture.h - what the tests of the terms share: structures, batches of them, brute-force pair
 * lists, evaluation into fresh buffers, and finite differences. A structure may be given as a pair
 * list or as all pairs; the list of a perturbed structure keeps its pairs. */
#ifndef TERM_FIXTURE_H
#define TERM_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/isa.h"
#include "point/units.h"
#include "term/term.h"

enum { MAX_ATOMS = 256, MAX_SYSTEMS = 8 };

typedef struct structure {
    int n;
    int32_t numbers[MAX_ATOMS];
    double x[3 * MAX_ATOMS], q[MAX_ATOMS], disp[2 * MAX_ATOMS];
    double rep[2 * MAX_ATOMS], r4r2[MAX_ATOMS];
    double cell[9];
    int32_t pbc[3];
} structure;

typedef struct fixture {
    aim_batch batch;
    aim_pairs pairs;
    int use_pairs;
    double *coord, *cell, *q, *disp, *charge, *mult;
    int32_t *offset, *system, *numbers, *pbc, *origin;
    double *energy, *grad, *strain, *gq, *gdisp, *e_atom; /* outputs */
    aim_alloc alloc;
    aim_arena scratch;
    aim_team *team;
    const aim_term_kernels *kernels;
    const int32_t *active;
} fixture;

/* Evaluates the term under test into the fixture's outputs through io. */
typedef aim_status (*term_fn)(aim_term_io *io, fixture *f, const void *params);

static inline void *must(void *p)
{
    assert_non_null(p);
    return p;
}

static inline double random_unit(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) * 0x1p-53;
}

/* Random positions at least `closest` apart in a box that fits; elements from the given list. */
static inline structure random_structure(uint64_t seed, int n, double closest, const int *elements,
                                         int n_elements)
{
    structure s = {.n = n};
    uint64_t state = seed * 977 + 5;
    double edge = closest * cbrt(n) * 1.3;
    for (int i = 0, tries = 0; i < n; tries++) {
        if (tries > 2000) {
            edge *= 1.1;
            tries = i = 0;
        }
        int clash = 0;
        for (int d = 0; d < 3; d++)
            s.x[3 * i + d] = edge * random_unit(&state);
        for (int j = 0; j < i; j++)
            clash |= hypot(hypot(s.x[3 * i] - s.x[3 * j], s.x[3 * i + 1] - s.x[3 * j + 1]),
                           s.x[3 * i + 2] - s.x[3 * j + 2]) < closest;
        if (clash)
            continue;
        s.numbers[i] = elements[(int)(random_unit(&state) * n_elements)];
        s.q[i] = random_unit(&state) - 0.5;
        s.disp[2 * i] = 2.0 + 40.0 * random_unit(&state);
        s.disp[2 * i + 1] = 1.0 + 20.0 * random_unit(&state);
        s.rep[2 * i] = 0.8 + random_unit(&state);
        s.rep[2 * i + 1] = 5.0 + 10.0 * random_unit(&state);
        s.r4r2[i] = 1.5 + 3.0 * random_unit(&state);
        i++;
    }
    return s;
}

static inline fixture fixture_make(const structure *const *list, int n_systems)
{
    fixture f = {.alloc = aim_alloc_default()};
    int n = 0;
    for (int s = 0; s < n_systems; s++)
        n += list[s]->n;
    const size_t atoms = (size_t)n + 1, systems = (size_t)n_systems + 1;
    f.coord = must(calloc(3 * atoms, sizeof(double)));
    f.q = must(calloc(atoms, sizeof(double)));
    f.disp = must(calloc(2 * atoms, sizeof(double)));
    f.cell = must(calloc(9 * systems, sizeof(double)));
    f.charge = must(calloc(systems, sizeof(double)));
    f.mult = must(calloc(systems, sizeof(double)));
    f.offset = must(calloc(systems, sizeof(int32_t)));
    f.system = must(calloc(atoms, sizeof(int32_t)));
    f.numbers = must(calloc(atoms, sizeof(int32_t)));
    f.origin = must(calloc(atoms, sizeof(int32_t)));
    f.pbc = must(calloc(3 * systems, sizeof(int32_t)));
    f.energy = must(calloc(systems, sizeof(double)));
    f.grad = must(calloc(3 * atoms, sizeof(double)));
    f.strain = must(calloc(9 * systems, sizeof(double)));
    f.gq = must(calloc(atoms, sizeof(double)));
    f.gdisp = must(calloc(2 * atoms, sizeof(double)));
    f.e_atom = must(calloc(atoms, sizeof(double)));
    int k = 0;
    for (int s = 0; s < n_systems; s++) {
        const structure *t = list[s];
        memcpy(f.coord + 3 * k, t->x, 3 * (size_t)t->n * sizeof(double));
        memcpy(f.q + k, t->q, (size_t)t->n * sizeof(double));
        memcpy(f.disp + 2 * k, t->disp, 2 * (size_t)t->n * sizeof(double));
        memcpy(f.cell + 9 * s, t->cell, sizeof t->cell);
        memcpy(f.pbc + 3 * s, t->pbc, sizeof t->pbc);
        for (int i = 0; i < t->n; i++, k++) {
            f.numbers[k] = t->numbers[i];
            f.system[k] = s;
            f.origin[k] = i;
        }
        f.offset[s + 1] = k;
        f.mult[s] = 1.0;
    }
    f.batch = (aim_batch){.n_atoms = n,
                          .n_systems = n_systems,
                          .offset = f.offset,
                          .system = f.system,
                          .numbers = f.numbers,
                          .coord = f.coord,
                          .cell = f.cell,
                          .pbc = f.pbc,
                          .charge = f.charge,
                          .mult = f.mult,
                          .origin = f.origin};
    return f;
}

static inline void fixture_free(fixture *f)
{
    void *const owned[] = {f->coord, f->q,      f->disp,      f->cell,    f->charge,
                           f->mult,  f->offset, f->system,    f->numbers, f->origin,
                           f->pbc,   f->energy, f->grad,      f->strain,  f->gq,
                           f->gdisp, f->e_atom, f->pairs.row, f->pairs.j, f->pairs.shift};
    for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
        free(owned[k]);
    aim_arena_free(&f->scratch, &f->alloc);
    aim_team_free(f->team);
}

/* Every ordered pair within the cutoff, images up to two cells away. */
static inline void fixture_pairs(fixture *f, double cutoff)
{
    const aim_batch *b = &f->batch;
    aim_pairs *l = &f->pairs;
    size_t capacity = 64;
    l->n_atoms = b->n_atoms;
    l->row = must(calloc((size_t)b->n_atoms + 1, sizeof *l->row));
    l->j = must(malloc(capacity * sizeof *l->j));
    l->shift = must(malloc(capacity * sizeof *l->shift));
    for (int32_t i = 0; i < b->n_atoms; i++) {
        const int32_t s = b->system[i], *pbc = b->pbc + 3 * s;
        for (int32_t j = b->offset[s]; j < b->offset[s + 1]; j++)
            for (int u = -2 * pbc[0]; u <= 2 * pbc[0]; u++)
                for (int v = -2 * pbc[1]; v <= 2 * pbc[1]; v++)
                    for (int w = -2 * pbc[2]; w <= 2 * pbc[2]; w++) {
                        const int64_t p = l->n_pairs;
                        if ((size_t)p == capacity) {
                            capacity *= 2;
                            l->j = must(realloc(l->j, capacity * sizeof *l->j));
                            l->shift = must(realloc(l->shift, capacity * sizeof *l->shift));
                        }
                        l->j[p] = j;
                        l->shift[p][0] = u;
                        l->shift[p][1] = v;
                        l->shift[p][2] = w;
                        double r[3];
                        aim_pair_vector(b, l, i, p, r);
                        const int self = i == j && u == 0 && v == 0 && w == 0;
                        if (!self && r[0] * r[0] + r[1] * r[1] + r[2] * r[2] < cutoff * cutoff)
                            l->n_pairs++;
                    }
        l->row[i + 1] = l->n_pairs;
    }
    f->use_pairs = 1;
}

static inline aim_term_io fixture_io(fixture *f)
{
    return (aim_term_io){.batch = &f->batch,
                         .pairs = f->use_pairs ? &f->pairs : NULL,
                         .team = f->team,
                         .alloc = &f->alloc,
                         .scratch = &f->scratch,
                         .active = f->active,
                         .q = f->q,
                         .energy = f->energy,
                         .grad = f->grad,
                         .strain = f->strain,
                         .gq = f->gq,
                         .kernels = f->kernels};
}

static inline void fixture_clear(fixture *f)
{
    const size_t n = (size_t)f->batch.n_atoms, m = (size_t)f->batch.n_systems;
    memset(f->energy, 0, m * sizeof(double));
    memset(f->grad, 0, 3 * n * sizeof(double));
    memset(f->strain, 0, 9 * m * sizeof(double));
    memset(f->gq, 0, n * sizeof(double));
    memset(f->gdisp, 0, 2 * n * sizeof(double));
    memset(f->e_atom, 0, n * sizeof(double));
}

static inline void evaluate(fixture *f, term_fn term, const void *params)
{
    fixture_clear(f);
    aim_term_io io = fixture_io(f);
    const aim_status status = term(&io, f, params);
    if (status != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
}

static inline double energy_of(fixture *f, term_fn term, const void *params)
{
    fixture_clear(f);
    aim_term_io io = fixture_io(f);
    io.grad = io.strain = io.gq = NULL;
    const aim_status status = term(&io, f, params);
    if (status != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    return f->energy[0];
}

/* d energy / d *x by a five-point stencil */
static inline double slope(fixture *f, term_fn term, const void *params, double *x, double h)
{
    const double x0 = *x;
    double e[4];
    const double step[4] = {-2.0, -1.0, 1.0, 2.0};
    for (int k = 0; k < 4; k++) {
        *x = x0 + step[k] * h;
        e[k] = energy_of(f, term, params);
    }
    *x = x0;
    return (e[0] - 8.0 * e[1] + 8.0 * e[2] - e[3]) / (12.0 * h);
}

static inline double strain_slope(fixture *f, term_fn term, const void *params, int a, int b,
                                  double h)
{
    const size_t n = 3 * (size_t)f->batch.n_atoms;
    double *coord = must(malloc((n + 1) * sizeof *coord)), cell[9], e[4];
    const double step[4] = {-2.0, -1.0, 1.0, 2.0};
    memcpy(coord, f->coord, n * sizeof *coord);
    memcpy(cell, f->cell, sizeof cell);
    for (int k = 0; k < 4; k++) {
        for (size_t i = 0; i < n / 3; i++)
            f->coord[3 * i + (size_t)b] =
                coord[3 * i + (size_t)b] + step[k] * h * coord[3 * i + (size_t)a];
        for (int i = 0; i < 3; i++)
            f->cell[3 * i + b] = cell[3 * i + b] + step[k] * h * cell[3 * i + a];
        e[k] = energy_of(f, term, params);
        memcpy(f->coord, coord, n * sizeof *coord);
        memcpy(f->cell, cell, sizeof cell);
    }
    free(coord);
    return (e[0] - 8.0 * e[1] + 8.0 * e[2] - e[3]) / (12.0 * h);
}

static inline double largest(const double *x, int n)
{
    double m = 0.0;
    for (int k = 0; k < n; k++)
        m = fmax(m, fabs(x[k]));
    return m;
}

/* |x - y| <= tolerance * max(1, scale) */
static inline void assert_close(double x, double y, double scale, double tolerance,
                                const char *what, int k)
{
    if (!(fabs(x - y) <= tolerance * fmax(1.0, scale)))
        fail_msg("%s[%d]: %.17g instead of %.17g, off by %g", what, k, x, y, x - y);
}

#define FD_TOLERANCE                                                                               \
    1e-8 /* five points, h = 1e-3: truncation and rounding stay below 1e-9 of the largest          \
            derivative */

/* Gradient and strain of a fixture of one system against finite differences of its energy. */
static inline void check_slopes(fixture *f, term_fn term, const void *params)
{
    evaluate(f, term, params);
    const int n = 3 * f->batch.n_atoms;
    double *grad = must(malloc(((size_t)n + 1) * sizeof *grad)), strain[9];
    memcpy(grad, f->grad, (size_t)n * sizeof *grad);
    memcpy(strain, f->strain, sizeof strain);
    const double scale = largest(grad, n), strain_scale = largest(strain, 9);
    for (int k = 0; k < n; k++)
        assert_close(grad[k], slope(f, term, params, f->coord + k, 1e-3), scale, FD_TOLERANCE,
                     "grad", k);
    for (int k = 0; k < 9; k++)
        assert_close(strain[k], strain_slope(f, term, params, k / 3, k % 3, 2e-4), strain_scale,
                     FD_TOLERANCE, "strain", k);
    free(grad);
}

/* The same bits for one and three threads, alone and anywhere in a batch, for every kernel set that
 * this processor runs. */
static inline void check_invariance(term_fn term, const void *params, const structure *const *list,
                                    int n_systems, double pair_cutoff)
{
    for (int isa = 0; isa <= aim_cpu_isa(); isa++) {
        fixture all = fixture_make(list, n_systems), threaded = fixture_make(list, n_systems);
        const structure *turned[MAX_SYSTEMS];
        for (int s = 0; s < n_systems; s++)
            turned[s] = list[n_systems - 1 - s];
        fixture reversed = fixture_make(turned, n_systems), *const batches[3] = {&all, &threaded,
                                                                                 &reversed};
        assert_int_equal(aim_team_create(&threaded.alloc, 3, &threaded.team), AIMNET_OK);
        for (int k = 0; k < 3; k++) {
            batches[k]->kernels = aim_term_kernels_select(isa);
            if (pair_cutoff > 0.0)
                fixture_pairs(batches[k], pair_cutoff);
            evaluate(batches[k], term, params);
        }
        for (int s = 0; s < n_systems; s++) {
            fixture single = fixture_make(list + s, 1);
            single.kernels = aim_term_kernels_select(isa);
            if (pair_cutoff > 0.0)
                fixture_pairs(&single, pair_cutoff);
            evaluate(&single, term, params);
            const size_t n = (size_t)list[s]->n;
            for (int k = 0; k < 3; k++) {
                const fixture *f = batches[k];
                const int t = k == 2 ? n_systems - 1 - s : s;
                const size_t first = (size_t)f->offset[t];
                assert_memory_equal(f->energy + t, single.energy, sizeof(double));
                assert_memory_equal(f->strain + 9 * t, single.strain, 9 * sizeof(double));
                assert_memory_equal(f->grad + 3 * first, single.grad, 3 * n * sizeof(double));
                assert_memory_equal(f->gq + first, single.gq, n * sizeof(double));
                assert_memory_equal(f->gdisp + 2 * first, single.gdisp, 2 * n * sizeof(double));
                assert_memory_equal(f->e_atom + first, single.e_atom, n * sizeof(double));
            }
            fixture_free(&single);
        }
        for (int k = 0; k < 3; k++)
            fixture_free(batches[k]);
    }
}

/* Every kernel set agrees with the base set to rounding. */
static inline void check_kernels_agree(term_fn term, const void *params, const structure *s,
                                       double pair_cutoff)
{
    fixture base = fixture_make(&s, 1);
    base.kernels = aim_term_kernels_select(AIM_ISA_BASE);
    if (pair_cutoff > 0.0)
        fixture_pairs(&base, pair_cutoff);
    evaluate(&base, term, params);
    for (int isa = 1; isa <= aim_cpu_isa(); isa++) {
        fixture f = fixture_make(&s, 1);
        f.kernels = aim_term_kernels_select(isa);
        if (pair_cutoff > 0.0)
            fixture_pairs(&f, pair_cutoff);
        evaluate(&f, term, params);
        assert_close(f.energy[0], base.energy[0], fabs(base.energy[0]), 1e-13, "energy", isa);
        for (int k = 0; k < 3 * s->n; k++)
            assert_close(f.grad[k], base.grad[k], largest(base.grad, 3 * s->n), 1e-12, "grad", k);
        fixture_free(&f);
    }
    fixture_free(&base);
}

/* A list of all pairs gives what all pairs give. */
static inline void check_list_agrees(term_fn term, const void *params, const structure *s)
{
    fixture all = fixture_make(&s, 1), list = fixture_make(&s, 1);
    fixture_pairs(&list, 1e3);
    evaluate(&all, term, params);
    evaluate(&list, term, params);
    assert_close(list.energy[0], all.energy[0], fabs(all.energy[0]), 1e-13, "energy", 0);
    for (int k = 0; k < 3 * s->n; k++)
        assert_close(list.grad[k], all.grad[k], largest(all.grad, 3 * s->n), 1e-12, "grad", k);
    for (int k = 0; k < 9; k++)
        assert_close(list.strain[k], all.strain[k], largest(all.strain, 9), 1e-12, "strain", k);
    fixture_free(&all);
    fixture_free(&list);
}

typedef struct failing_allocator {
    int calls, fail_at, alive;
} failing_allocator;

static inline void *failing_alloc(void *user, size_t size)
{
    failing_allocator *a = user;
    if (++a->calls == a->fail_at)
        return NULL;
    void *p = malloc(size ? size : 1);
    a->alive += p != NULL;
    return p;
}

static inline void failing_free(void *user, void *block)
{
    failing_allocator *a = user;
    a->alive -= block != NULL;
    free(block);
}

/* Allocation n = 1, 2, ... fails: MEMORY and no leak; and a second call of the same size allocates
 * nothing. */
static inline void check_allocation(term_fn term, const void *params, const structure *s)
{
    for (int n = 1;; n++) {
        failing_allocator a = {.fail_at = n};
        fixture f = fixture_make(&s, 1);
        f.alloc = (aim_alloc){.alloc = failing_alloc, .free = failing_free, .user = &a};
        aim_term_io io = fixture_io(&f);
        const aim_status status = term(&io, &f, params);
        if (status == AIMNET_OK) {
            const int calls = a.calls;
            evaluate(&f, term, params);
            assert_int_equal(a.calls, calls);
        } else {
            assert_int_equal(status, AIMNET_ERR_MEMORY);
        }
        fixture_free(&f);
        assert_int_equal(a.alive, 0);
        if (status == AIMNET_OK) {
            assert_true(n > 1);
            return;
        }
    }
}

/* Only the active systems of a batch are touched. */
static inline void check_active(term_fn term, const void *params, const structure *const *list,
                                int n_systems)
{
    int32_t active[MAX_SYSTEMS];
    for (int s = 0; s < n_systems; s++)
        active[s] = s % 2;
    fixture all = fixture_make(list, n_systems), some = fixture_make(list, n_systems);
    some.active = active;
    evaluate(&all, term, params);
    evaluate(&some, term, params);
    for (int s = 0; s < n_systems; s++) {
        assert_true(some.energy[s] == (active[s] ? all.energy[s] : 0.0));
        for (int32_t i = some.offset[s]; i < some.offset[s + 1]; i++)
            for (int d = 0; d < 3; d++)
                assert_true(some.grad[3 * i + d] == (active[s] ? all.grad[3 * i + d] : 0.0));
    }
    fixture_free(&all);
    fixture_free(&some);
}

#endif
