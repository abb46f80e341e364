/* SPDX-License-Identifier: MIT */
/* tangent.h - second derivatives inside the CUDA module: what a primal evaluation keeps for them,
 * the tangents of a block of directions, and the launchers of their kernels. Equations:
 * docs/math/tangents.md; the order of steps is that of net/tangent_forward.c and
 * net/tangent_backward.c.
 *
 * Row r = dir n + i is atom i moved along direction dir. What belongs to an atom or a pair alone is
 * read from what the primal kept. */
#ifndef AIM_BACKEND_CUDA_TANGENT_H
#define AIM_BACKEND_CUDA_TANGENT_H

#include "backend/cuda/cuda.h"

enum { CU_WEIGHT_SLICES = 16, CU_COMBINE_SLICES = 256 }; /* of sums over atoms by weights */
enum { CU_PAIR_SUMS = 8 }; /* gd, gu[3], B[3], c of a pair, see tan_pair.cu */
enum { CU_TAN_REFS = 5 };  /* rows that an atom keeps of its D3 references, see tan_term.cu */

/* Inputs x, adjoints gz of the sums of all layers of an MLP, with the bits of the largest magnitude of
 * every row, and gelu', gelu'' (later gy gelu''). */
template <typename real> struct cu_acts {
    real *x[AIM_DEV_LAYERS + 1], *gz[AIM_DEV_LAYERS];
    unsigned *xmax[AIM_DEV_LAYERS + 1], *gzmax[AIM_DEV_LAYERS];
    real *gx;            /* adjoint of the input */
    real *slope, *curve; /* [n][slope_width] */
};

template <typename real> struct cu_tan_acts {
    real *x[AIM_DEV_LAYERS + 1], *gz[AIM_DEV_LAYERS];
    unsigned *xmax[AIM_DEV_LAYERS + 1], *gzmax[AIM_DEV_LAYERS];
    real *gx;
    real *z; /* [rows][slope_width] tangents of the sums */
};

/* The primal. */
template <typename real> struct cu_kept {
    int n, systems, capacity, kinds;
    /* in: from the desk, then one block */
    double *coord;
    int *system, *kind;
    double *cell, *charge, *mult;
    int *offset, *kind_species, *kind_number;
    int *in_count, *in_j, *in_shift;
    double *gq, *gspin, *ghead[AIM_DEV_HEADS]; /* adjoints; gq from the host or of the terms */
    char *in_base;
    size_t in_bytes;
    /* lists */
    int *count, *j, *species;
    vec4<real> *u;
    real *tug; /* cu_conv */
    /* out, one block */
    int *longest, *overlap;
    double *q, *spin;
    char *out_base;
    size_t out_bytes;
    /* of an evaluation, besides; else grad is of no use, kernels write it */
    double *value[AIM_DEV_HEADS], *e_coulomb, *e_sr, *e_d3, *e_rep, *e_rep_atom, *grad, *strain;
    /* network */
    real *a[AIM_DEV_PASSES], *qs[AIM_DEV_PASSES], *y[AIM_DEV_PASSES];
    real *v[AIM_DEV_PASSES], *vq[AIM_DEV_PASSES];
    cu_acts<real> pass[AIM_DEV_PASSES], head[AIM_DEV_HEADS];
    real *s_adj[AIM_DEV_PASSES], *sq_adj[AIM_DEV_PASSES];
    real *s[AIM_DEV_PASSES],
        *sq[AIM_DEV_PASSES]; /* environments, for gradients by the parameters */
    real *gy[AIM_DEV_PASSES], *gqs[AIM_DEV_PASSES], *ga[2], *e_adj;
    double *charge_state[AIM_DEV_PASSES];
    real *zero;   /* as much as the widest output has columns: no bias, no features before */
    double *sums; /* [n][capacity][CU_PAIR_SUMS] */
    /* terms on the device: crystals without a list from the host, D3 (tan_term.cu) */
    cu_grid *grid;
    cu_cells cells;
    int *shift;
    double *term_e; /* [3 or 4][n] */
    double *refs, *low, *d3_slope;
    aim_dsf *screening;              /* [systems] with lattice sums; in */
    char *waves;                     /* of these, cu_waves_bytes */
    double *element, *ts, *ts_slope; /* as in cu_work, in; [n][CU_TS_ROW]; [n][2] */
    /* of an evaluation: D3, virials, sums over large systems */
    real *d3_w, *d3_dw, *d3_s, *d3_low, *cn_grad;
    double *grad_side, *virial, *virial_side, *partial;
    int wide;
    char *clear_base; /* gq and gspin of the terms, gqs, sums, zero, bins, virial, maxima; grad where it is of no use */
    size_t clear_bytes;
    size_t bytes;
};

/* One block of directions. */
template <typename real> struct cu_tans {
    int n_dir, rows, kinds;
    double *tx, *w; /* [dir][n][3]; [dir][systems][9] or NULL */
    char *in_base;
    size_t in_first, in_bytes; /* tx and w; with the adjoints below */
    double *tgq, *tgspin, *tghead[AIM_DEV_HEADS], *weight;
    double *tq, *tspin, *thead[AIM_DEV_HEADS], *tgrad, *tstrain; /* out, one block */
    char *out_base;
    size_t out_first, out_bytes; /* what the forward half gives; all */
    real *ta[AIM_DEV_PASSES], *tqs[AIM_DEV_PASSES], *ty[AIM_DEV_PASSES];
    real *tv[AIM_DEV_PASSES], *tvq[AIM_DEV_PASSES];
    cu_tan_acts<real> pass[AIM_DEV_PASSES], head[AIM_DEV_HEADS];
    real *tgy[AIM_DEV_PASSES], *tgqs[AIM_DEV_PASSES], *tga[2], *ts_adj, *tsq_adj;
    double *tvirial;      /* [rows][9] */
    double *tcn, *tslope; /* [rows] of D3's coordination numbers, of dE/d them */
    double *tparam;       /* [rows][2] of D3TS' parameters */
    char *waves;          /* of lattice sums, cu_wave_tan_bytes */
    /* with the gradient by the parameters: tangents tS of the environments, the adjoint of the embedding as a
     * feature, slices of sums, the result */
    real *ts[AIM_DEV_PASSES], *tsq[AIM_DEV_PASSES];
    real *tga0;
    double *part, *by_species, *parts;
    real *weights; /* [slices][parts_size], of weights only */
    real *gradient;
    size_t parts_size, gradient_size;
    char *clear_base; /* tgqs, tvirial, by_species, maxima */
    size_t clear_bytes;
    size_t bytes;
};

/* ---------------------------------------------------------------- flow (tan_flow.cu) */

/* Whether the primal is an evaluation whose results are wanted: for the gradient of a loss. */
static inline int cu_evaluates(const aim_dev_sweep *s)
{
    return s->places && s->on_device;
}

/* The pinned copy of t->in_base: behind that of k, which may still be on its way. */
template <typename real> static inline char *cu_tans_in(const cu_net *net, const cu_kept<real> *k)
{
    return (char *)net->device->in + k->in_bytes;
}

/* Whether head h predicts parameters of a term on the device. */
static inline int cu_predicts(const aim_dev_sweep *s, int h)
{
    return s->on_device && s->job->ts_params && s->job->ts_head == h;
}

template <typename real>
void cu_kept_layout(const cu_net *net, const aim_dev_sweep *sweep, int kinds, int bins, char *base,
                    cu_kept<real> *k);
template <typename real>
void cu_tans_layout(const cu_net *net, const aim_dev_sweep *sweep, const cu_kept<real> *k,
                    int n_dir, char *base, cu_tans<real> *t);
template <typename real>
void cu_keep(cu_state *s, cu_net *net, const aim_dev_sweep *sweep, const cu_kept<real> *k);
template <typename real>
void cu_sweep_forward(cu_state *s, cu_net *net, const aim_dev_sweep *sweep, const cu_kept<real> *k,
                      const cu_tans<real> *t);
template <typename real>
void cu_sweep_backward(cu_state *s, cu_net *net, const aim_dev_sweep *sweep, const cu_kept<real> *k,
                       const cu_tans<real> *t);
/* tan_train.cu: into t->gradient, in the order of the places. Of stage p what belongs to the layers of
 * pass n_pass - 1 - p, of 0 those of the heads as well, of n_pass all the rest; a part of the
 * gradient goes to the host, in the second stream, after the stage that completes it. */
template <typename real>
void cu_gradient(cu_state *s, cu_net *net, const cu_kept<real> *k, const cu_tans<real> *t,
                 int stage);
void cu_find_stages(cu_net *net, const aim_dev_places *p);
/* Numbers of a part begin here. */
static inline size_t cu_part_start(size_t count, int part)
{
    return count * (size_t)part / CU_PARTS;
}
void cu_gradient_prepare(cu_state *s);
/* Slices of the sums over n atoms. */
int cu_weight_slices(int n);
/* Tells weights, which have slices, from the rest of the places (aim_dev_places). */
void cu_mark_weights(cudaStream_t stream, const cu_net *net, size_t count, int *place);

/* ---------------------------------------------------------------- convolution (tan_conv.cu) */

template <typename real> struct cu_conv_tan {
    cu_conv<real> of; /* what the primal stored; gx: adjoint of the pass's input */
    int n_dir, systems;
    const int *system;
    const double *tx_atom, *w;
    const real *ta, *tq;
    real *tx; /* [rows][ldx] the pass's input: forward out, backward in (tgx) */
    unsigned *txmax;
    real *tv, *tvq;
    real *ts, *tsq; /* [rows][4][columns] tS, or NULL */
    real *s, *sq;   /* likewise the primal's S_d = sum a_j gs w_d, of one direction */
    real *ts_adj, *tsq_adj;
    real *tga, *tgq;
    const real *tga_later;
    double *sums;
    double *tgrad, *tvirial; /* tgrad NULL: not of interest, nor is tvirial */
};
template <typename real>
void cu_conv_tan_forward(cu_state *s, cudaStream_t stream, const cu_conv_tan<real> *c);
template <typename real>
void cu_conv_tan_project(cu_state *s, cudaStream_t stream, const cu_conv_tan<real> *c);
template <typename real>
void cu_conv_tan_backward(cu_state *s, cudaStream_t stream, const cu_conv_tan<real> *c);
/* tan_pair.cu. Primal: sums of all pairs, +=. */
template <typename real>
void cu_pair_sums(cu_state *s, cudaStream_t stream, const cu_conv_tan<real> *c);
/* The part of the force's tangent that comes from the motion of the pairs. */
template <typename real>
void cu_pair_motion(cu_state *s, cudaStream_t stream, const cu_conv_tan<real> *c);

/* ---------------------------------------------------------------- terms (tan_term.cu) */

struct cu_term_tan {
    struct cu_terms of; /* its list is not read */
    double near;        /* reach of the network's list, to which the short-range part belongs */
    int n_dir, systems;
    double *refs, *low, *slope;         /* of the primal: [n][CU_TAN_REFS][8]; [n]; [n] dE/dCN */
    const double *tx, *w, *tq, *weight; /* as in cu_tans */
    double *tcn, *tslope;               /* [rows] */
    double *tgrad, *tvirial, *tgq;      /* += */
};
/* D3's coordination numbers and slopes of the primal; one direction. */
void cu_term_keep(cu_state *s, cudaStream_t stream, const cu_term_tan *c);
void cu_term_tangents(cu_state *s, cudaStream_t stream, const cu_term_tan *c);
void cu_term_tan_prepare(cu_state *s);
/* tan_embedded.cu */
struct cu_embedded_tan {
    struct cu_term_tan c;
    struct cu_embedded x; /* of the primal */
    const double *slope;  /* [n][2] dE/d the parameters of D3TS, by atom */
    const double *thead;  /* [rows][2] tangents of the head that predicts them */
    double *tparam;       /* [rows][2] of the parameters */
    double *tghead;       /* [rows][2] of dE/d the head, assigned */
};
void cu_repulsion_tan(cu_state *s, cudaStream_t stream, const struct cu_embedded_tan *e);
void cu_d3ts_tan(cu_state *s, cudaStream_t stream, const struct cu_embedded_tan *e);

/* ---------------------------------------------------------------- steps of rows (tan_dense.cu) */

/* Through an activation, in place or to y; row r reads what belongs to atom r % n. */
template <typename real> struct cu_act {
    int rows, n, ld;
    const real *x; /* NULL: 0 */
    real *y;
    unsigned *max;
    const real *bias;
    const int *bias_row;
    int gelu;
    real *slope, *curve;
    int ldslope;
    real *tz; /* tangents: forward out, backward in */
};
/* y = gelu(x + b), slope, curve */
template <typename real>
void cu_act_forward(cu_state *s, cudaStream_t stream, const cu_act<real> *a);
/* tz = x, y = x slope */
template <typename real>
void cu_act_tangent(cu_state *s, cudaStream_t stream, const cu_act<real> *a);
/* y = x slope, curve *= x */
template <typename real>
void cu_act_backward(cu_state *s, cudaStream_t stream, const cu_act<real> *a);
/* y = x slope + curve tz */
template <typename real>
void cu_act_back_tangent(cu_state *s, cudaStream_t stream, const cu_act<real> *a);
/* features += x[0 .. fa), charges = x[fa .. fa + width) */
template <typename real>
void cu_split_output(cu_state *s, cudaStream_t stream, int rows, const real *x, int ldx, int fa,
                     int width, const real *old, const int *old_row, real *a, real *charges);
/* y = [a | charges | 0], and the maxima of its rows */
template <typename real>
void cu_join_output(cu_state *s, cudaStream_t stream, int rows, const real *a, const real *charges,
                    int fa, int width, real *y, int ldy, unsigned *max);
/* Directions of a loss's forces: x, which forces aim at, becomes -2 weight (-grad - x). */
void cu_aim(cu_state *s, cudaStream_t stream, int count, double weight, const double *grad, double *x);
/* y = x in the working precision, rows padded with zeros */
template <typename real>
void cu_pad_rows(cu_state *s, cudaStream_t stream, int rows, const double *x, int width, real *y,
                 int ldy, unsigned *max);
template <typename real>
void cu_add_rows(cu_state *s, cudaStream_t stream, size_t count, const real *x, real *y);

/* out[dir][system] = sum over its atoms of in[dir][atom][width] */
void cu_reduce_directions(cu_state *s, cudaStream_t stream, int n_dir, int n, int systems,
                          const int *offset, const double *in, int width, double *out);

template <typename real> struct cu_charges_tan {
    cu_charges<real> of;
    int n, n_dir;
    const real *ty, *tq_old;
    real *tq;
    const real *tgq;
    real *tgy, *tgq_old;
};
template <typename real>
void cu_charge_tan_forward(cu_state *s, cudaStream_t stream, const cu_charges_tan<real> *c);
template <typename real>
void cu_charge_tan_backward(cu_state *s, cudaStream_t stream, const cu_charges_tan<real> *c);

#endif
