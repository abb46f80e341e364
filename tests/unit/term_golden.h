/* SPDX-License-Identifier: MIT */
/* term_golden.h - reads the files of tests/golden/terms (format: tests/reference/make_terms.py) and
 * hands every case to a function. */
#ifndef TERM_GOLDEN_H
#define TERM_GOLDEN_H

#include "term_fixture.h"

typedef struct golden_case {
    structure s;
    char system[64], line[128]; /* what follows `system` and `term` */
    double energy, grad[3 * MAX_ATOMS];
    double extra[2 * MAX_ATOMS]; /* gq or gdisp */
    char extra_name[16];         /* "" : none */
} golden_case;

typedef void (*golden_fn)(const golden_case *c);

static inline double next_number(FILE *file)
{
    double v;
    assert_int_equal(fscanf(file, "%lf", &v), 1);
    return v;
}

static inline void read_structure(FILE *file, golden_case *c)
{
    assert_int_equal(fscanf(file, "%63s %d", c->system, &c->s.n), 2);
    assert_in_range(c->s.n, 1, MAX_ATOMS);
    for (int i = 0; i < c->s.n; i++) {
        c->s.numbers[i] = (int32_t)next_number(file);
        for (int d = 0; d < 3; d++)
            c->s.x[3 * i + d] = next_number(file);
        c->s.q[i] = next_number(file);
        c->s.disp[2 * i] = next_number(file);
        c->s.disp[2 * i + 1] = next_number(file);
        c->s.rep[2 * i] = next_number(file);
        c->s.rep[2 * i + 1] = next_number(file);
        c->s.r4r2[i] = next_number(file);
    }
}

/* Calls fn for every case whose line starts with `prefix`; returns how many there were. */
static inline int golden_for_each(const char *name, const char *prefix, golden_fn fn)
{
    char path[512], word[64];
    snprintf(path, sizeof path, "%s/tests/golden/terms/%s", AIM_SOURCE_DIR, name);
    FILE *file = must(fopen(path, "r"));
    golden_case *c = must(calloc(1, sizeof *c));
    int n_cases = 0, pending = 0;
    while (fscanf(file, "%63s", word) == 1) {
        if ((strcmp(word, "system") == 0 || strcmp(word, "term") == 0) && pending) {
            fn(c);
            pending = 0;
        }
        if (word[0] == '#') {
            assert_int_not_equal(fscanf(file, "%*[^\n]"), EOF);
        } else if (strcmp(word, "system") == 0) {
            read_structure(file, c);
        } else if (strcmp(word, "term") == 0) {
            assert_int_equal(fscanf(file, " %127[^\n]", c->line), 1);
            pending = strncmp(c->line, prefix, strlen(prefix)) == 0;
            n_cases += pending;
            c->extra_name[0] = 0;
        } else if (strcmp(word, "energy") == 0) {
            c->energy = next_number(file);
        } else if (strcmp(word, "grad") == 0) {
            for (int k = 0; k < 3 * c->s.n; k++)
                c->grad[k] = next_number(file);
        } else {
            snprintf(c->extra_name, sizeof c->extra_name, "%.15s", word);
            for (int k = 0; k < c->s.n * (strcmp(word, "gdisp") == 0 ? 2 : 1); k++)
                c->extra[k] = next_number(file);
        }
    }
    if (pending)
        fn(c);
    free(c);
    fclose(file);
    return n_cases;
}

/* Parameters after the kind of a line. */
static inline int line_numbers(const char *line, double *v, int n)
{
    int k = 0;
    const char *p = strchr(line, ' ');
    while (p && k < n) {
        char *end;
        v[k] = strtod(p, &end);
        if (end == p)
            break;
        k++;
        p = end;
    }
    return k;
}

/* Tolerances against the reference in double precision (PRODUCT: Exactness) */
#define GOLDEN_ENERGY_PER_ATOM 1e-9 /* eV */
#define GOLDEN_FORCE           1e-8 /* eV/A */
#define GOLDEN_RELATIVE                                                                            \
    1e-12 /* of the largest derivative: contacts of the random clusters have forces of 1e4 eV/A */

static inline void check_golden(const golden_case *c, term_fn term, const void *params)
{
    const structure *list = &c->s;
    for (int pairs = 0; pairs < 2; pairs++) {
        fixture f = fixture_make(&list, 1);
        if (pairs)
            fixture_pairs(&f, 1e3);
        evaluate(&f, term, params);
        if (!(fabs(f.energy[0] - c->energy) <= GOLDEN_ENERGY_PER_ATOM * c->s.n))
            fail_msg("%s, %s: energy %.15g instead of %.15g", c->system, c->line, f.energy[0],
                     c->energy);
        const double limit = fmax(GOLDEN_FORCE, GOLDEN_RELATIVE * largest(c->grad, 3 * c->s.n));
        for (int k = 0; k < 3 * c->s.n; k++)
            if (!(fabs(f.grad[k] - c->grad[k]) <= limit))
                fail_msg("%s, %s: grad[%d] %.15g instead of %.15g", c->system, c->line, k,
                         f.grad[k], c->grad[k]);
        const int n_extra =
            c->extra_name[0] ? (strcmp(c->extra_name, "gdisp") == 0 ? 2 : 1) * c->s.n : 0;
        const double *extra = strcmp(c->extra_name, "gdisp") == 0 ? f.gdisp : f.gq,
                     scale = largest(c->extra, n_extra);
        for (int k = 0; k < n_extra; k++)
            if (!(fabs(extra[k] - c->extra[k]) <= fmax(GOLDEN_FORCE, GOLDEN_RELATIVE * scale)))
                fail_msg("%s, %s: %s[%d] %.15g instead of %.15g", c->system, c->line, c->extra_name,
                         k, extra[k], c->extra[k]);
        fixture_free(&f);
    }
}

#endif
