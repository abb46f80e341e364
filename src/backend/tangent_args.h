/* SPDX-License-Identifier: MIT */
/* tangent_args.h - argument structs of the tangent kernels; the second part of kernels.h, which
 * includes it.
 *
 * Every tangent kernel works on rows r = dir * n + i: atom i (or system) in direction dir. Rows
 * know nothing of each other's directions, so any block of rows may be a task; what belongs to
 * atom i or pair p alone is read from what the primal pass stored. */
#ifndef AIM_BACKEND_TANGENT_ARGS_H
#define AIM_BACKEND_TANGENT_ARGS_H

typedef struct aim_pair_tan_args {
    const double *coord, *cell;
    const int32_t *system;
    const int64_t *row;
    const int32_t *j;
    const int32_t (*shift)[3];
    int32_t n_atoms, n_systems;
    const double *tx; /* [dir][n][3] or NULL: 0 */
    const double *w;  /* [dir][systems][9] strain, row vectors, or NULL: 0 */
    real *tu;         /* [dir][P][4]  tangents of ux uy uz and of d */
} aim_pair_tan_args;

/* Rows (tx, tv, ta, ...) are r = dir * n_atoms + i. */
typedef struct aim_conv_tan_args {
    aim_conv_args of; /* what was stored: u gs dgs ddgs agh a emb v gxv gs_adj sums; scratch */
    int32_t n_atoms;
    const real *tu; /* [dir][P][4] */
    const real *ta; /* [rows][ldta] */
    size_t ldta;
    real *txs, *txv; /* [rows][ldtx] */
    size_t ldtx;
    real *tv;                /* [rows][F][3][hp] */
    real *ts;                /* [rows][F][4][gp] out of the forward, or NULL */
    const real *tgxs, *tgxv; /* [rows][ldtgx] */
    size_t ldtgx;
    real *tgs_adj; /* [rows][F][4][gp] */
    real *tgr;     /* [dir][P][3] */
    real *tga;     /* [rows][ldtga] */
    size_t ldtga;
} aim_conv_tan_args;

typedef struct aim_linear_tan_args {
    int n_in, n_out; /* as in aim_linear_args */
    const real *w;
    int64_t n;         /* row r reads slope and bend of row r % n */
    const real *slope; /* [n][ldslope] gelu', or NULL: 1 */
    const real *bend;  /* [n][ldslope] bwd: gy gelu'', with slope */
    size_t ldslope;
    const real *x; /* fwd: [rows][ldx] */
    size_t ldx;
    real *tz; /* [rows][ldtz] fwd: out, or NULL; bwd: in, with slope */
    size_t ldtz;
    real *y; /* [rows][ldy] fwd: out; bwd: in/out */
    size_t ldy;
    real *gx; /* bwd: [rows][ldgx] out */
    size_t ldgx;
} aim_linear_tan_args;

/* Rows r = dir * n_systems + s; per-atom rows dir * n_atoms + i with n_atoms = offset[n_systems].
 * `of` has what belongs to the backward kernel, gq included. */
typedef struct aim_charge_tan_args {
    aim_charge_args of;
    int32_t n_systems;
    const real *ty; /* [rows][ldty] */
    size_t ldty;
    const real *tq_old; /* [rows][C] or NULL */
    real *tq;           /* [rows][C] */
    const real *tgq;    /* [rows][C] */
    real *tgy;          /* [rows][ldtgy] */
    size_t ldtgy;
    real *tgq_old; /* [rows][C] or NULL */
} aim_charge_tan_args;

typedef struct aim_gather_tan_args {
    aim_gather_args of; /* gr: of the gradient itself, for the strain */
    int32_t n_atoms, n_systems;
    const double *tx, *w; /* as in aim_pair_tan_args */
    const real *tgr;      /* [dir][P][3] */
    double *tgrad;        /* [dir][n][3] */
    double *tstrain;      /* [dir][systems][9] */
} aim_gather_tan_args;

typedef struct aim_weight_tan_args {
    int64_t rows;
    int n_in; /* multiple of the panel */
    const real *x, *tx;
    size_t ldx;
    const real *gz, *tgz;
    size_t ldz;
    double *gw; /* [n_out][n_in] */
    double *gb; /* [n_out] or NULL */
} aim_weight_tan_args;

typedef struct aim_agh_tan_args {
    int64_t n;
    int nf, gp, ncomb, hp;
    const real *s, *ts;     /* [n][F][4][gp] */
    const real *v, *tv;     /* [n][F][3][hp] */
    const real *gxv, *tgxv; /* [n][F * H] */
    double *gagh;           /* [F][gp][hp] */
} aim_agh_tan_args;

/* reals of scratch per worker for the tangent convolutions */
static inline size_t aim_conv_tan_scratch(int gp, int nf, int n_species, int64_t max_row)
{
    const size_t factors = 4 * (size_t)gp;
    return (2 * (size_t)max_row + (size_t)n_species + 1 + (size_t)nf) * factors + 4 * AIM_LANES;
}

#endif
