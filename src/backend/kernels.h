/* SPDX-License-Identifier: MIT */
/* kernels.h - argument structs and the table of kernels.def, in the precision of the including
 * file. Raw pointers and plain sizes only. Rows of features have leading dimensions `ld*`; all
 * feature blocks start 64-byte aligned. Scratch is per worker and owned by the caller. */
#ifndef AIM_BACKEND_KERNELS_H
#define AIM_BACKEND_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "backend/real.h"

enum {
    AIM_LANES = 16, /* shifts are padded to a multiple of this: one AVX-512 vector of float */
    /* summation chunk of a matrix product (kernels.def; docs/numerics.md has the errors) */
    AIM_K_CHUNK = 32,
    AIM_PAIR_SUMS = 8,
    AIM_ROW_STEP = 4 /* rows are best handed out in multiples of this */
};

typedef struct aim_pair_features_args {
    const double *coord;       /* [n][3] */
    const double *cell;        /* [systems][9] */
    const int32_t *system;     /* [n] */
    const int64_t *row;        /* [n+1] */
    const int32_t *j;          /* [P] */
    const int32_t (*shift)[3]; /* [P] or NULL */
    int nshifts, gp;
    double rc, eta;
    const real *shifts; /* [gp] padded with any value */
    real *u;            /* [P][4]  ux uy uz 1/d */
    real *gs;           /* [P][gp] */
    real *dgs;          /* [P][gp] or NULL */
    real *ddgs;         /* [P][gp] or NULL; needs dgs */
} aim_pair_features_args;

typedef struct aim_conv_args {
    const int64_t *row;
    const int32_t *j;
    const real *u, *gs, *dgs; /* as above */
    int nf, gp, ncomb;        /* F or C, padded G, H */
    const real *agh;          /* [F][gp][hp] */
    const real *agh_t;        /* [F][hp][gp] the same, transposed */
    int hp;                   /* H padded to AIM_LANES */
    const real *a;            /* [n][lda] features: F*gp (d2) or F (plain) */
    size_t lda;
    const real *emb;        /* [species][F*gp] embedding (conv_embed_*) */
    const int32_t *species; /* [n] dense species index of each atom */
    int n_species;
    real *xs; /* [n][ldx] out: F*gp scalars */
    real *xv; /* [n][ldx] out: F*H projected vectors */
    size_t ldx;
    real *v;               /* [n][F][3][hp] saved by the forward */
    const real *gxs, *gxv; /* [n][ldgx] adjoints of xs, xv */
    size_t ldgx;
    real *gs_adj; /* [n][F][4][gp] gS */
    real *gr;     /* [P][3] */
    real *ga;     /* [n][ldga] */
    size_t ldga;
    real *s;          /* [n][F][4][gp] out of the forward, or NULL */
    const real *ddgs; /* [P][gp] with sums */
    real *sums;       /* [P][AIM_PAIR_SUMS] out of conv_*_bwd_pair, or NULL */
    real *scratch;    /* aim_conv_scratch() reals of this worker */
} aim_conv_args;

typedef struct aim_linear_args {
    int n_in,
        n_out; /* padded sizes: n_in as packed, n_out multiple of the panel width of the table */
    const real *w;           /* packed by the table's pack function */
    const real *bias;        /* [n_out] or rows of a table */
    const int32_t *bias_row; /* [rows] row of bias to use, or NULL */
    size_t ldbias;
    const real *x; /* fwd: [rows][ldx] */
    size_t ldx;
    real *y; /* fwd: [rows][ldy] out; bwd: [rows][ldy] in/out adjoint of y */
    size_t ldy;
    real *slope; /* fwd: [rows][ldslope] out gelu' or NULL; bwd: in or NULL */
    size_t ldslope;
    real *curve; /* [rows][ldslope] fwd: out gelu'' or NULL; bwd: in/out, or NULL */
    int gelu;
    real *gx; /* bwd: [rows][ldgx] out */
    size_t ldgx;
} aim_linear_args;

typedef struct aim_linear_out_args {
    int n_in, n_out;
    const real *w;    /* [n_out][n_in] as in the file, not packed */
    const real *bias; /* [n_out] */
    const real *x;    /* [rows][ldx] */
    size_t ldx;
    double *out; /* [rows][n_out] */
} aim_linear_out_args;

typedef struct aim_charge_args {
    const int32_t *offset; /* [systems+1] */
    int n_channels;
    const double *charge; /* [systems] */
    const double *mult;   /* [systems] */
    double epsilon;
    const real *y; /* [n][ldy]: y[0..C) = q, y[C..2C) = f */
    size_t ldy;
    const real *q_old; /* [n][ldq_old] or NULL (first pass) */
    size_t ldq_old;
    real *q; /* [n][ldq] out */
    size_t ldq;
    const real *gq; /* bwd: [n][C] adjoint of q */
    real *gy;       /* bwd: [n][ldgy] same columns as y */
    size_t ldgy;
    real *gq_old; /* bwd: [n][C], NULL in the first pass */
} aim_charge_args;

typedef struct aim_gather_args {
    const double *coord, *cell;
    const int32_t *system;
    const int32_t *offset; /* [systems+1] */
    const int64_t *row, *reverse;
    const int32_t *j;
    const int32_t (*shift)[3];
    const real *gr; /* [P][3] */
    double *grad;   /* [n][3] */
    double *strain; /* [systems][9] */
} aim_gather_args;

/* Arrays are dense and may start at any multiple of sizeof(real). */
typedef struct aim_conv_op_args {
    const int64_t *row;         /* [n+1] first entry of each atom */
    const int32_t *j;           /* [entries] neighbour */
    const int64_t *slot;        /* [entries] i * n_slots + m: row of g */
    const int64_t *reverse_row; /* [n+1] first element of `reverse` of each atom */
    const int64_t *reverse;     /* [entries] the slots that name an atom, ascending */
    int64_t n_slots;            /* rows of g per atom */
    int n_channels, n_shifts;   /* A, G */
    int add;                    /* conv_op_fwd: += instead of = */
    const real *x;              /* [n][A][G] features */
    const real *g;              /* [n * n_slots][G][4] factors */
    const real *gout;           /* [n][A][G][4] adjoint of out */
    real *out, *gx, *gg;        /* shaped as gout, x, g */
} aim_conv_op_args;

#include "backend/tangent_args.h"

typedef struct aim_kernels {
    const char *isa; /* "ref", "base", "avx2", "avx512" */
    int panel;       /* output columns are padded to a multiple of this */
    /* Packs w[n_out][ldw] (or its transpose) for linear_*: out[k][c] of panels; sizes padded by the
     * caller with zeros. */
    void (*pack)(const real *w, size_t k_stride, size_t c_stride, int n_k, int n_c, real *out);
#define KERNEL(name, args) void (*name)(const args *, int64_t first, int64_t last);
#include "backend/kernels.def"
#undef KERNEL
} aim_kernels;

/* reals of scratch per worker for the conv kernels when no atom has more than max_row neighbours */
static inline size_t aim_conv_scratch(int gp, int nf, int n_species, int64_t max_row)
{
    const size_t per_species = 4 * (size_t)gp, rows = (size_t)max_row * 4 * (size_t)gp;
    return rows + (size_t)n_species * per_species + 4 * (size_t)nf * (size_t)gp +
           4 * (size_t)AIM_LANES;
}

/* The table of an instruction set (AIM_ISA_* of isa.h). */
const aim_kernels *AIM_NAMED(aim_kernels_open)(int isa);

#endif
