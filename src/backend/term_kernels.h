/* SPDX-License-Identifier: MIT */
/* term_kernels.h - the hot loops of the terms: one atom against the row of its neighbours, double
 * precision, one set per instruction set.
 *
 * A row is a structure of arrays, padded to whole vectors. Lane k of a vector takes the row's
 * elements k, k + width, ...; the lanes are added at the end as a balanced tree. So a sum depends
 * on the row alone: not on threads, batch, or where the arrays lie. With f = -E'(d)/d and r = r_j -
 * r_i, every kernel returns sum f r (the gradient on i) and sum f r r (for the strain). */
#ifndef AIM_BACKEND_TERM_KERNELS_H
#define AIM_BACKEND_TERM_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "backend/mesh_kernels.h"
#include "backend/row_gather.h"
#include "point/coulomb.h"
#include "point/envelope.h"

enum {
    AIM_D3_MAX_REF = 7, /* references per element (5 in the shipped table) */
    AIM_ROW_PROPS = 2 * AIM_D3_MAX_REF
};

typedef struct aim_row {
    const double *x, *y, *z; /* [n] positions */
    const int64_t *id;       /* [n] identity of the neighbour */
    const int64_t *real;     /* [n] -1: a neighbour, 0: padding (finite positions, properties 0) */
    const double *prop[AIM_ROW_PROPS]; /* [n] what the kernel needs of each neighbour */
    double origin[3]; /* position of the atom (zero if x, y, z are relative to it) */
    int64_t self;     /* id to leave out */
    int n;            /* multiple of the kernels' width */
    int strain;       /* 1: w is wanted */
} aim_row;

typedef struct aim_row_sum {
    double e;    /* sum of the kernel's energy expression */
    double g[3]; /* sum f r */
    double w[6]; /* sum f r r: xx yy zz xy xz yz; untouched unless row->strain */
    double s[2]; /* further sums, see the kernel */
} aim_row_sum;

/* part of a row whose neighbours are of one element, begin and end in whole vectors */
typedef struct aim_d3_span {
    int begin, end;
    double rcov; /* bohr, of both atoms */
} aim_d3_span;

/* Reference pair (a of atom i, b of the neighbour) whose weight is dropped for those neighbours
 * where exponent + s_b < floor */
typedef struct aim_d3_drop {
    int w_prop, s_prop; /* the neighbour's weight and exponent of b */
    double limit;       /* floor - exponent of a */
    double w, dw;       /* weight of a, d/dCN_i */
    double c6;
} aim_d3_drop;

/* interaction of atom i with the neighbours begin .. end - 1 */
typedef struct aim_d3_block {
    int begin, end;
    int n_ref;                 /* references of the neighbours' element that matter */
    int ref[AIM_D3_MAX_REF];   /* their property index */
    double g[AIM_D3_MAX_REF];  /* sum_a w_a c6[a][ref] of atom i, hartree bohr^6; without dropped
                                  pairs all but the first less the first */
    double dg[AIM_D3_MAX_REF]; /* d/dCN_i of it */
    double c8, r06, r08;       /* s8 3 r4r2 r4r2, powers of the damping radius */
    int n_drop;
    aim_d3_drop drop[AIM_D3_MAX_REF * AIM_D3_MAX_REF];
} aim_d3_block;

typedef struct aim_d3_range {
    double s6;
    double on, inv_width; /* start of the switch and 1/width, bohr; inv_width 0: none */
    double cut2;          /* pairs count when d^2 < cut2, bohr^2 */
} aim_d3_range;

/* Phases exp(2 pi i m f) of every atom for m = -M .. M on each axis; the m = 0 entries stand at
 * zero[axis]. Rows end in padding of 8. */
typedef struct aim_ewald_phases {
    int32_t n_atoms;
    const double *q;       /* [n] */
    const double *re, *im; /* [n][stride] */
    size_t stride;
    int zero[3];
} aim_ewald_phases;

/* Wave vectors (m1, m2, lo .. lo + n - 1); their values stand at start (a multiple of 8) in
 * per-vector arrays. */
typedef struct aim_ewald_rod {
    int m1, m2, lo, n;
    int64_t start;
} aim_ewald_rod;

enum {
    AIM_TAN_PAIRS = 384, /* most elements of a chunk */
    AIM_TAN_PARAMS = 2,
    /* sums of one atom: f a, g, dE/dparameter, then w if wanted */
    AIM_TAN_SLOPE = 0,
    AIM_TAN_GRAD = 1,
    AIM_TAN_PARAM = 4,
    AIM_TAN_STRAIN = 6,
    AIM_TAN_SUMS = 12
};

/* What the pair energies e(|r|, p_i, p_j) of an atom i with the elements of a row need for any
 * direction: f = -e'/d, h = f'/d, and the derivatives of f and e to the parameters p (charges,
 * coordination numbers) of i and of the neighbour; zeros in the row's padding. */
typedef struct aim_tan_chunk {
    double f[AIM_TAN_PAIRS], h[AIM_TAN_PAIRS];
    double f_i[AIM_TAN_PARAMS][AIM_TAN_PAIRS]; /* df/dp_i; de/dp_i changes by -f_i (r tr) */
    double f_j[AIM_TAN_PARAMS][AIM_TAN_PAIRS]; /* df/dp_j */
    /* d2e/dp_i dp_i and d2e/dp_i dp_j */
    double e_ii[AIM_TAN_PARAMS][AIM_TAN_PARAMS][AIM_TAN_PAIRS];
    double e_ij[AIM_TAN_PARAMS][AIM_TAN_PARAMS][AIM_TAN_PAIRS];
} aim_tan_chunk;

/* One direction; prop[0, 1, 2] of the row are the neighbours' tx, ty, tz, prop[3 + k] those of the
 * parameters. */
typedef struct aim_tan_direction {
    int n_params;                   /* < 0: only the sum of f a is wanted */
    double own[3 + AIM_TAN_PARAMS]; /* of the atom itself */
    const double *warp;             /* [9] strain of the atom's system, or NULL */
    int strain;                     /* 1: sums from AIM_TAN_STRAIN on are wanted */
} aim_tan_direction;

/* What the C6 of atom i with the neighbours of one element needs: C6 = g_0 + sum_b w_b (g_b - g_0)
 * over the element's references b (those that some neighbour has), and the damping. */
typedef struct aim_d3_tan_block {
    int n_ref;
    double g[AIM_D3_MAX_REF][3]; /* sum_a w_a c6[a][b] of atom i and two derivatives to CN_i */
    double c8, r06, r08;         /* as in aim_d3_block */
} aim_d3_tan_block;

typedef struct aim_term_kernels {
    const char *isa;
    int width; /* lanes of a vector */
    /* prop[0] = q. e = sum q_j f(d): the potential; the factor q_i k_e is the caller's. */
    void (*coulomb_simple)(const aim_row *row, aim_row_sum *sum);
    void (*coulomb_dsf)(const aim_row *row, const aim_dsf *dsf, aim_row_sum *sum);
    void (*coulomb_sr)(const aim_row *row, double rc, aim_envelope envelope, aim_row_sum *sum);
    /* prop[0], prop[1] = repa, repb. e = sum repb_j exp(-repa_i repa_j d^1.5) fc / d. */
    void (*srrep)(const aim_row *row, double repa, double rc, aim_envelope envelope,
                  aim_row_sum *sum);
    /* sum of the counting function */
    double (*d3_count)(const aim_row *row, const aim_d3_span *span, int n_spans);
    /* coulomb_dsf of the spans, s[0] = d3_count */
    void (*d3_count_dsf)(const aim_row *row, const aim_d3_span *span, int n_spans,
                         const aim_dsf *dsf, aim_row_sum *sum);
    /* prop: weights and, for aim_d3_drop, their exponents. e = sum C6 damping switch, hartree, f in
     * hartree/bohr^2; s[0] = d/dCN_i of it. */
    void (*d3_energy)(const aim_row *row, const aim_d3_block *block, int n_blocks,
                      const aim_d3_range *range, aim_row_sum *sum);
    /* prop[0] = dE/dCN_j, c = dE/dCN_i: g and w of sum (c + c_j) count(d) */
    void (*d3_count_grad)(const aim_row *row, const aim_d3_span *span, int n_spans, double c,
                          aim_row_sum *sum);
    /* prop = c6, alpha, 1/alpha, sqrt(r4r2); of atom i in `own` in the same order. e = sum C6
     * damping switch; s = d/d(c6_i, alpha_i) of it. */
    void (*d3ts)(const aim_row *row, const double own[4], double s8, double a1, double a2,
                 const aim_d3_range *range, aim_row_sum *sum);
    /* S = sum_i q_i exp(i k r_i) of a rod's wave vectors; re and im have room for n rounded up
     * to 8. */
    void (*ewald_structure)(const aim_ewald_phases *phases, const aim_ewald_rod *rod, double *re,
                            double *im);
    /* With z = conj(F_k) exp(i k r): sums over all rods of Re z, m1 Im z, m2 Im z, m3 Im z. F is
     * zero in the padding. */
    void (*ewald_potential)(const aim_ewald_phases *phases, const aim_ewald_rod *rods,
                            int64_t n_rods, const double *fre, const double *fim, int32_t atom,
                            double sum[4]);
    /* Tangent of a rod's structure factors: sum (tq + i q (m1 t1 + m2 t2 + m3 t3)) exp(i k r);
     * theta: [n][3], 2 pi times the tangents of the fractional coordinates. */
    void (*ewald_structure_tan)(const aim_ewald_phases *phases, const double *tq,
                                const double *theta, const aim_ewald_rod *rod, double *re,
                                double *im);
    /* sums over all rods of m m Re z: 11 22 33 12 13 23; F as above */
    void (*ewald_curvature)(const aim_ewald_phases *phases, const aim_ewald_rod *rods,
                            int64_t n_rods, const double *fre, const double *fim, int32_t atom,
                            double sum[6]);
    /* Adds the row's pairs to sum[AIM_TAN_SUMS]: with tr the tangent of r, a = r tr and tf = h a +
     * f_i tp_i + f_j tp_j, sum f a, the tangents of sum f r, of sum de/dp_i and, where wanted, of
     * sum f r r (otherwise AIM_TAN_STRAIN sums). */
    void (*pair_tan)(const aim_row *row, const aim_tan_chunk *chunk,
                     const aim_tan_direction *direction, double *sum);
    /* The chunk of a row in Angstrom whose parameter is the charge, q = q_i, prop[0] = q_j: k q_i
     * q_j times 1/d or (dsf->rc > 0) the damped shifted force. Returns the sum of de/dq_i. */
    double (*tan_coulomb)(const aim_row *row, const aim_dsf *dsf, double k, double q,
                          aim_tan_chunk *chunk);
    /* The counting function c(d) of neighbours in Angstrom, rcov in bohr. First, f = c'/d alone;
     * returns the sum of c. Second, (g + g_j) c(d) with the parameter g, prop[0] = g_j. */
    double (*tan_count)(const aim_row *row, double rcov, aim_tan_chunk *chunk);
    void (*tan_count_grad)(const aim_row *row, double rcov, double g, aim_tan_chunk *chunk);
    /* -C6 damping switch in eV and Angstrom with the parameter CN; prop[2 b - 2], prop[2 b - 1] = w_b
     * and its derivative to CN_j, b > 0. Returns the sum of de/dCN_i. */
    double (*tan_damped)(const aim_row *row, const aim_d3_tan_block *block,
                         const aim_d3_range *range, aim_tan_chunk *chunk);
    /* Appends the pairs to the groups' columns, in their order; count[n_groups] += how many. */
    void (*row_gather)(const aim_row_pairs *pairs, const aim_row_columns *to, int64_t *count);
    /* Appends the candidates with 0 < d^2 < reach2 around the origin to columns that hold n, until
     * they hold `limit` or a few more (fewer than a vector), or no candidate is left; returns the
     * new n. */
    int64_t (*row_filter)(aim_row_sieve *sieve, const aim_row_columns *to, int64_t n,
                          int64_t limit);
    /* out[k] = property[slot[k]], k < n, and zeros up to a multiple of 8 */
    void (*row_property)(const double *property, const int64_t *slot, int64_t n, double *out);
    /* n (multiple of the width) splines of arguments t: w[k][padded], dw likewise or NULL; zeros
     * behind `order`. */
    void (*mesh_splines)(int order, int padded, const double *t, int n, double *w, double *dw);
    /* plane[row][column] += c wy[row] wz[column] for order rows of `padded` columns */
    void (*mesh_spread)(int order, int padded, double c, const double *wy, const double *wz,
                        double *plane, size_t stride);
    /* sum[0] = sum w0 w1 w2 mesh; sum[1 .. 3]: with the derivative along each axis */
    void (*mesh_interpolate)(const aim_mesh_tile *tile, const double *mesh, double sum[4]);
    /* Real rows of plan->n numbers -> half spectra [n/2 + 1] of each, rows of out_stride. work: [8]
     * [n + 1][width], also below. */
    void (*fft_rows)(const aim_fft_plan *plan, const double *x, size_t stride, int n_rows,
                     double *re, double *im, size_t out_stride, double *work);
    /* The opposite with exp(+): rows of n numbers, n times those that fft_rows took. */
    void (*fft_rows_inverse)(const aim_fft_plan *plan, const double *re, const double *im,
                             size_t stride, int n_rows, double *x, size_t out_stride, double *work);
    /* Transforms along the slow index of [n][columns] (columns: multiple of AIM_MESH_LANES);
     * inverse: with exp(+). The output may be the input. */
    void (*fft_columns)(const aim_fft_plan *plan, int inverse, const double *re, const double *im,
                        size_t stride, int columns, double *out_re, double *out_im,
                        size_t out_stride, double *work);
    /* `width` columns m1, m2 .. of all planes: transformed along the first axis, multiplied by G =
     * prefactor exp(-k^2 quarter)/k^2 moduli, transformed back. With e = weight G |S|^2/2: sum[0] =
     * sum e, sum[1 .. 6] = sum 2 e (1/k^2 + quarter) k k, xx yy zz xy xz yz. */
    void (*mesh_convolve)(const aim_mesh_waves *waves, int m1, int m2, double *re, double *im,
                          double *work, double sum[7]);
} aim_term_kernels;

/* isa: 0 base, 1 avx2, 2 avx512; larger numbers than this build has give the best there is. */
const aim_term_kernels *aim_term_kernels_select(int isa);

#endif
