/* SPDX-License-Identifier: MIT */
/* terms.h - one term of the model Hessian (model.h): k b b^T in the variables of a structure. */
#ifndef AIM_BACKEND_OPT_TERMS_H
#define AIM_BACKEND_OPT_TERMS_H

#include "backend/opt/variables.h"
#include "point/units.h"

/* k b b^T of one coordinate: b by the positions of up to four atoms (0 for frozen ones) and by the
 * strains, k in eV. */
typedef struct aim_term {
    int32_t n_atoms, atom[4];
    double b[4][3], strain[AIM_OPT_MAX_STRAINS], k;
} aim_term;

/* On a card: who is concerned (different atoms; -1: nobody), and the numbers. */
typedef struct aim_term_atoms {
    int32_t atom[4];
} aim_term_atoms;
typedef struct aim_term_numbers {
    double b[4][3], strain[AIM_OPT_MAX_STRAINS], k;
} aim_term_numbers;

/* Where terms go. */
typedef struct aim_terms {
    const aim_variables *v;
    double *h; /* host: [n_var][n_var], added to at once */
    /* card: terms number first to last - 1 are kept from here on */
    aim_term_atoms *atoms;
    aim_term_numbers *numbers;
    int n, first, last; /* n: terms so far */
} aim_terms;

/* An internal coordinate of up to four atoms: where they are relative to the first (bohr) and the
 * derivative with respect to each position (1/bohr or 1). */
typedef struct aim_coordinate {
    int n_atoms;
    int32_t atom[4];
    double place[4][3], b[4][3];
} aim_coordinate;

#if !defined(__CUDACC__)
/* Adds k b_r b^T to row r of the matrix; b_r is the term's derivative by that variable. */
AIM_CREW void aim_term_add(const aim_term *t, const aim_variables *v, double b_r, double *row)
{
    const double k = t->k * b_r;
    for (int a = 0; a < t->n_atoms; a++)
        for (int d = 0; d < 3; d++)
            row[3 * (size_t)t->atom[a] + (size_t)d] += k * t->b[a][d];
    for (int s = 0; s < v->n_strains; s++)
        row[3 * (size_t)v->n_atoms + (size_t)s] += k * t->strain[s];
}

#endif

#if defined(__CUDACC__)
static __device__ void crew_keep_term(const aim_term *t, aim_term_atoms *atoms,
                                      aim_term_numbers *numbers);
#endif

AIM_CREW void aim_term_take(aim_terms *to, const aim_term *t)
{
#if defined(__CUDACC__)
    const int place = to->n++ - to->first;
    if (place >= 0 && place < to->last - to->first)
        crew_keep_term(t, to->atoms + place, to->numbers + place);
#else
    const size_t n = (size_t)to->v->n_var, first = 3 * (size_t)to->v->n_atoms;
    for (int a = 0; a < t->n_atoms; a++)
        for (int d = 0; d < 3; d++)
            aim_term_add(t, to->v, t->b[a][d], to->h + (3 * (size_t)t->atom[a] + (size_t)d) * n);
    for (int s = 0; s < to->v->n_strains; s++)
        aim_term_add(t, to->v, t->strain[s], to->h + (first + (size_t)s) * n);
#endif
}

/* The term of a coordinate in the variables x0 and u, eV and Angstrom. k in hartree per (unit of the
 * coordinate)^2. */
AIM_CREW void aim_add_term(aim_terms *to, const aim_coordinate *q, double k)
{
    const aim_variables *v = to->v;
    aim_term t;
    double by_f[9], inverse[9];
    t.n_atoms = q->n_atoms;
    t.k = k * AIM_HARTREE;
    for (int m = 0; m < 9; m++)
        by_f[m] = 0.0;
    if (v->n_strains > 0)
        aim_inverse3(v->f, inverse);
    for (int a = 0; a < q->n_atoms; a++) {
        t.atom[a] = q->atom[a];
        for (int c = 0; c < 3; c++)
            t.b[a][c] = v->frozen[q->atom[a]] ? 0.0 : aim_dot3(q->b[a], v->f + 3 * c) / AIM_BOHR;
        if (v->n_strains > 0) {
            double x0[3];
            aim_vecmat3(q->place[a], inverse, x0);
            for (int m = 0; m < 9; m++)
                by_f[m] += x0[m / 3] * q->b[a][m % 3];
        }
    }
    for (int s = 0; s < v->n_strains; s++) {
        double sum = 0.0;
        for (int m = 0; m < 9; m++)
            sum += v->basis[s][m] * by_f[m];
        t.strain[s] = sum / v->scale;
    }
    aim_term_take(to, &t);
}

#endif
