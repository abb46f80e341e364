/* SPDX-License-Identifier: MIT */
/* cuda.h - the CUDA module inside: a card, a network on it, the arrays of one evaluation, and the
 * launchers of the kernels in the .cu files. C in style; compiled as C++ for templates over the
 * working precision `real` only.
 *
 * Conventions of every kernel: an atom, row or system is owned by one block or warp, which gathers
 * (no additions through atomics; maxima of bit patterns are the one atomic, and have no order);
 * sums run in an order that depends on the own system alone. So results do not depend on the batch
 * and repeat bit for bit. */
#ifndef AIM_BACKEND_CUDA_CUDA_H
#define AIM_BACKEND_CUDA_CUDA_H

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "backend/cuda/cells.h"
#include "backend/cuda/launch.h"
#include "backend/device.h"
#include "point/coulomb.h"

enum {
    CU_CHUNK = 32,     /* terms of a matrix product that are summed before rounding to float */
    CU_ROW_PAD = 128,  /* output columns of packed weights are padded to this, or more */
    CU_D3_REFS = 7,    /* references per element, */
    CU_D3_ROW = 8,     /* in rows of eight */
    CU_ELEMENT = 5,    /* parameters of an element for embedded terms (embedded.cu) */
    CU_TS_ROW = 4,     /* numbers of an atom for D3TS */
    CU_SEGMENT = 2048, /* atoms of a system that are summed by one block */
    CU_PARTS = 24,     /* of a gradient by the parameters on its way to the host */
    CU_GRAPHS = 16,    /* shapes of batches that are kept as graphs */
    CU_LATTICES = 256, /* systems with lattice sums that such a batch may have */
    CU_CAPACITY = 64,  /* neighbours per atom that a network's lists have room for at first */
    CU_EARLY = 64,
    CU_EARLY_ATOMS = 1024, /* cu_work.early, of fewer atoms */
    CU_TILE_ROWS = 128     /* of the large matrix products */
};

template <typename real> struct alignas(4 * sizeof(real)) vec4 {
    real x, y, z, w;
};

typedef struct cu_device {
    int index, processors, major, minor;
    int processor_bytes;       /* of shared memory */
    int warpgroups;            /* matrix instructions of four warps */
    cudaStream_t stream, side; /* `side`: what does not depend on the network */
    cudaEvent_t fork, join, arrived[CU_PARTS];
    void *workspace;
    size_t workspace_size, limit; /* limit: most of it, 0: none */
    void *in, *out, *desk;        /* pinned */
    size_t in_size, out_size, desk_size;
    int ticket; /* number of an evaluation whose results, or the first, the host looks for */
    unsigned workspace_age; /* changes when addresses do */
    const void *kept;       /* network whose primal stands in the workspace for sweeps, or NULL */
    int went_ahead;         /* and a sweep's forward half is on its way or there */
} cu_device;

/* Weights of one direction of a layer: n_out x n_in. float: two half planes, side by side in
 * chunks of CU_CHUNK, each row scaled by a power of two; double: plain. */
typedef struct cu_matrix {
    int n_in, n_out; /* exact */
    int k_pad, n_pad;
    void *w;
    float *scale; /* [n_pad] undoes the rows' scaling */
} cu_matrix;

typedef struct cu_layer {
    int n_in, n_out, ld_in, ld_out, gelu;
    cu_matrix fwd, bwd;
    void *bias;  /* [rows][ld_out] */
    void *plain; /* [n_out][n_in] as given (heads' last layers) */
} cu_layer;

typedef struct cu_mlp {
    int n_layers, slope_width;
    cu_layer layer[AIM_DEV_LAYERS];
} cu_mlp;

/* Of a system with lattice sums: its waves or mesh, and where it begins. Kernels have both as they are recorded. */
typedef struct cu_lattice {
    aim_dev_waves waves;
    int64_t first;
} cu_lattice;

typedef struct cu_net {
    cu_device *device;
    aim_dev_net d; /* pointers: device memory */
    cu_mlp mlp[AIM_DEV_PASSES], head[AIM_DEV_HEADS];
    aim_dev_d3_table d3;        /* device memory; n_refs 0: none */
    float *agh_g[2], *agh_h[2]; /* of features and charges, turned: see cu_conv; or NULL */
    void *block;                /* of all the above */
    size_t block_size;
    int capacity; /* neighbours per atom that lists have room for */
    /* for gradients by the parameters (aim_dev_places), copied when first asked for */
    const aim_dev_places *placed;
    int *places;
    int part_stage[CU_PARTS]; /* when a part can be put together: tan_train.cu */
    float *folded;
    struct {
        cudaGraphExec_t exec;
        unsigned age, used;
        struct {
            int n, systems, kinds, bins, groups, capacity, flags, coulomb, envelope, wide, together,
                largest, some, caller_head;
            double numbers[11];
            uint64_t heads;
        } key;
        cu_lattice lattices[CU_LATTICES]; /* key.systems of them, with lattice sums */
    } graph[CU_GRAPHS];
    unsigned clock;
} cu_net;

/* aim_dev_caller as kernels read it: addresses change from call to call, graphs do not. */
struct cu_caller {
    const double *coord;
    const float *coord_single;
    double *energy, *forces, *charges, *spin, *stress;
    double farthest;
    int member, n_atom_steps, n_system_steps, add_coulomb, add_sr, add_d3;
    int atom_step[AIM_DEV_STEPS], system_step[AIM_DEV_STEPS]; /* kinds */
};

/* Arrays of one evaluation, carved from the workspace: layout.cu lays them out with base NULL to
 * measure, then with the workspace. */
template <typename real> struct cu_work {
    int n, systems, capacity, kinds;
    /* Atoms whose activations are kept at once: all, or a slab of a crystal. Arrays of rows have room
     * for so many: list, x to slope, what heads have, and v of one pass at a time. */
    int rows, part_count, kept; /* kept: of so many slabs what backward halves take of forward ones stays, */
    real *kept_v[AIM_DEV_PASSES], *kept_vq[AIM_DEV_PASSES], *kept_slope[AIM_DEV_PASSES]; /* one slab behind the other */
    int *part, part_rows; /* where each slab of part_rows atoms begins in the groups; NULL: none, all at once */
    int wide;  /* blocks that share the sums over one system */
    int together; /* cu_conv_by_molecules() */
    int largest;  /* cu_by_molecules() */
    /* systems whose gradients come before those of the others, and their atoms; 0: none */
    int some_systems, some;
    /* in: one block, filled in pinned memory and copied as it is */
    double *coord, *cell, *charge, *mult; /* cell: NULL of molecules */
    int *offset, *system, *kind, *kind_species, *kind_number;
    int *in_count, *in_j, *in_shift; /* a list from the host, or NULL */
    double *ghead[AIM_DEV_HEADS];    /* second part, with a host's terms copied later */
    int *ticket; /* number of the evaluation, where the host looks for it, or NULL */
    int direct;  /* few bytes, by kernels to and from the host (direct.cu) */
    double *in_gq, *in_gspin;
    aim_dsf *screening; /* [systems] with lattice sums */
    double *element;    /* [kinds][CU_ELEMENT] of embedded terms, or NULL */
    cu_grid *grid;      /* [systems], crystals without a list from the host */
    cu_cells cells;
    cu_caller *caller; /* NULL: positions and results pass through pinned memory */
    int *caller_atom, *caller_index;
    double *caller_volume, *caller_table; /* [2 AIM_DEV_STEPS][kinds] */
    const double *caller_head;
    double *caller_sum; /* [systems][1 + AIM_DEV_STEPS] parts of the network's energy */
    char *in_base;
    size_t in_first, in_bytes;
    /* out: likewise */
    double *q, *spin, *head[AIM_DEV_HEADS], *e_coulomb, *e_sr, *e_d3, *e_rep, *e_rep_atom, *grad,
        *strain;
    /* q and grad while they are worked on: those of the results, or of crystals by places */
    double *own_q, *own_grad;
    int *longest; /* neighbours of the atom that has most */
    int *overlap; /* whether two atoms are nearly at one place */
    /* of the pinned copy alone: the ticket, once what stands before it is there, or (direct) all; */
    int *arrived;
    int *ending; /* and once the evaluation is about to end */
    int *some_there, *all_there; /* and once gradients of the first systems, of all, are there; on the card, blocks that have
                                    left them */
    char *out_base;
    size_t out_early, out_bytes, out_copied; /* out_early: 0: results come all together */
    /* lists */
    int *count, *j, *species;
    int early;     /* places of each row that hold numbers whether or not there is a neighbour */
    int *shift;    /* images of crystals, three signed bytes; else NULL */
    vec4<real> *u; /* unit vector to the neighbour and distance */
    int *back;     /* where each pair's reverse stands, or NULL */
    /* Lists of longer slabs (cu_longer_slabs), in place of a slab's list and activations. */
    struct {
        int rows, *count, *j, *shift, *back;
        vec4<real> *u;
        real *tug;
    } longer;
    /* cleared at the start */
    char *clear_base;
    size_t clear_bytes;
    unsigned *rowmax; /* [slots][n] bits of the largest magnitude of each row of an operand */
    int n_slots;
    double *gq, *term_e, *virial; /* [n], [3 or, with repulsion, 4][n], [n][9] */
    real *gqs[AIM_DEV_PASSES];
    double *partial, *charge_state[AIM_DEV_PASSES];
    /* network */
    real *x, *hidden[2], *aim;
    real *tug;     /* in place of x */
    real *tugs;    /* [passes but the first][n][capacity][4] where they are kept, or NULL */
    char *between; /* layers: cu_layers_room; NULL: they do not go together */
    int relay; /* from a row of `hidden` to the next where layers go together by counters; 0: they do not */
    real *a[AIM_DEV_PASSES], *qs[AIM_DEV_PASSES], *y[AIM_DEV_PASSES];
    real *v[AIM_DEV_PASSES], *vq[AIM_DEV_PASSES], *slope[AIM_DEV_PASSES];
    real *head_slope[AIM_DEV_HEADS];
    real *gy[AIM_DEV_PASSES], *ga[2], *s_adj, *sq_adj, *e_adj, *gaim[AIM_DEV_HEADS];
    char *waves; /* cu_waves_bytes */
    /* D3 */
    real *d3_w, *d3_dw, *d3_s, *d3_low, *cn_grad;
    double *grad_side, *virial_side;
    double *ts; /* [n][CU_TS_ROW] of D3TS, by places */
    size_t bytes;
};

/* layout.cu, flow.cu */
/* What is taken from all adjoints, forces and features, needs no activations: the same for longer slabs,
 * of whose pairs fewer have their reverse in another. */
template <typename real> cu_work<real> cu_longer_slabs(const cu_work<real> *w);
/* Of slab k, one of those of which it is kept: vectors and slopes of all passes but the last. */
template <typename real>
cu_work<real> cu_kept_slab(const cu_net *net, const cu_work<real> *w, int k);
/* How a crystal goes in slabs: atoms of each, 0: all at once; and of how many what backward halves take is kept. */
struct cu_slabs {
    int rows, kept;
};
/* Kinds by places. */
template <typename real> static inline const int *cu_kind_of(const cu_work<real> *w)
{
    return w->grid ? w->cells.kind : w->kind;
}
/* Blocks that share the sums over one system: depends on the largest. */
int cu_wide(const aim_dev_job *job);
/* Whether the desk's arrays are copied from there, before all else, and not with the rest of the batch. */
int cu_desk_goes_first(const aim_dev_job *job);
/* Whether what the network puts out is copied while the card goes on. */
int cu_comes_early(const aim_dev_job *job);
/* Whether batch and results go directly. */
int cu_goes_direct(const aim_dev_job *job);
/* Whether all atoms have the same adjoint of head h. */
static inline int cu_alike(const aim_dev_job *job, int h)
{
    return job->alike && !(job->ts_params && job->ts_head == h);
}
/* There are not more groups of atoms of crystals (cells.h). */
int cu_most_groups(const aim_dev_job *job, int bins);
template <typename real>
void cu_layout(const cu_net *net, const aim_dev_job *job, int kinds, int bins, cu_slabs slabs,
               char *base, cu_work<real> *w);
/* All at once where there is room for the activations. Only crystals whose list the device makes go in slabs; of
 * those that fit, the largest up to four tiles per processor, in whole turns of all processors where that goes; then
 * what backward halves take is kept of as many slabs as there is room for, but for a sixteenth of it. */
template <typename real>
cu_slabs cu_choose_slabs(const cu_net *net, const aim_dev_job *job, int kinds, int bins);
/* Puts one evaluation into the queue: copies in, forward, terms; then (second half) backward and
 * copies out. */
template <typename real>
void cu_enqueue(cu_state *s, cu_net *net, const aim_dev_job *job, const cu_work<real> *w,
                int first_half, int second_half);

/* ---------------------------------------------------------------- matrix products (mlp.cu) */

enum cu_epilogue {
    CU_FORWARD, /* y = act(x W^T + b), slope */
    CU_UPDATE,  /* the last layer of a pass: features += y, charges beside */
    CU_BACKWARD /* y = (x W) * slope of the layer below */
};

template <typename real> struct cu_gemm {
    int rows, mode, gelu;
    int fast;       /* operands of 11 bits */
    int warpgroups; /* the card has, and the module is compiled for, instructions of four warps */
    int processors; /* of the card */
    const real *x;
    int ldx;
    const unsigned *xmax;
    cu_matrix m;
    const real *bias;
    const int *bias_row;
    int ldbias;
    real *y;
    int ldy;   /* columns written */
    int pitch; /* from a row of y to the next (warpgroup.cu, wide.cu, relay.cu); 0: ldy */
    unsigned *ymax;
    real *slope; /* forward: out; backward: in; may be NULL */
    int ldslope;
    /* CU_UPDATE */
    const real *old;
    const int *old_row;
    int ldold, fa;
    real *charges;
    int ldcharges;
    int inner; /* only the next layer reads y and ymax: they may stay away */
};

void cu_pack(cu_state *s, cudaStream_t stream, int is_double, const void *w, int n_out, int n_in,
             int transpose, const cu_matrix *m);
void cu_multiply_prepare(cu_state *s);
/* The module has code for the matrix instructions of four warps (compute capability 9.0). */
int cu_have_warpgroups(void);
template <typename real> void cu_multiply(cu_state *s, cudaStream_t stream, const cu_gemm<real> *g);

/* last layer of a head: out[r][c] in double */
template <typename real> struct cu_head_out {
    int rows, n_in, n_out, gelu;
    const int *order; /* [rows] where a row stands in `out` and `g`; NULL: as here */
    const real *w, *bias, *x;
    int ldx;
    double *out;
    real *slope; /* [rows][ldslope] if gelu */
    int ldslope;
    /* backward */
    const double *g;
    int ldg; /* 0: all rows have the same */
    real *gx;
    int ldgx;
    const real *slope_below;
    int ldslope_below;
    unsigned *gxmax;
};
template <typename real>
void cu_head_forward(cu_state *s, cudaStream_t stream, const cu_head_out<real> *h);
template <typename real>
void cu_head_backward(cu_state *s, cudaStream_t stream, const cu_head_out<real> *h);
/* y = (sum of n arrays [rows][ld]) * slope, with rowmax */
template <typename real>
void cu_combine(cu_state *s, cudaStream_t stream, int rows, int ld, int n, real *const *part,
                const real *slope, int ldslope, real *y, int ldy, unsigned *ymax);

/* ---------------------------------------------------------------- convolution (conv.cu) */

enum cu_features { CU_EMBED, CU_FULL, CU_PLAIN };

template <typename real> struct cu_conv {
    int n, capacity, early, gp, nshifts, fa, nc, features, charges, want_strain;
    int first; /* atoms first .. first + n - 1; pointers to rows are such that theirs have these numbers */
    const int *count, *j, *species;
    const vec4<real> *u;
    real rc, eta;
    const real *shifts;
    int nf, ncomb, hp, q_ncomb, q_hp;
    const real *agh, *q_agh;
    /* the same, rows of shifts [gp][nf][cu_vector_row()] (those of charges as far apart as those of features)
     * and of combinations [hp][nf][gp]; float only */
    const float *agh_g, *q_agh_g, *agh_h, *q_agh_h;
    const real *a; /* features (or embedding) */
    const real *q; /* charges of the pass before */
    aim_dev_columns col;
    real *x;
    int ldx;
    unsigned *xmax;
    real *v, *vq; /* [n][3][nf][cu_vector_row()] */
    /* backward */
    const real *gx;
    real *s_adj, *sq_adj, *e_adj;
    real *ga, *gq;
    const real *ga_later;
    double *grad, *virial;
    int kinds;
    const int *kind, *kind_species;
    real *tug;       /* [n][capacity][4] of each pair, for the adjoint (conv16_back.cu) */
    /* of each pair, where its reverse stands, as counted from the place `zero`, or -1; NULL: not known */
    const int *back;
    size_t zero;
    int partly; /* some pairs have their reverse elsewhere: atoms form its tug as well */
    /* atoms of the largest molecule, where the adjoint goes by these (conv16_molecule.cu), else 0 */
    int largest, systems;
    const int *offset;
    const real *tugs; /* of n_tugs other passes, pulled with the first one's; keeps: of such a pass */
    size_t tugs_pass; /* numbers from one of these passes to the next */
    int n_tugs, keeps, processors;
};
/* Combinations of a channel in the vectors: filled up to fours. */
static inline __host__ __device__ int cu_vector_row(int ncomb)
{
    return (ncomb + 3) / 4 * 4;
}
/* Numbers in the vectors of so many atoms. */
static inline __host__ __device__ size_t cu_vectors(size_t atoms, int nf, int ncomb)
{
    return atoms * 3 * nf * cu_vector_row(ncomb);
}
template <typename real> static inline void cu_set_turned(const cu_net *net, cu_conv<real> *c)
{
    c->agh_g = net->agh_g[0];
    c->agh_h = net->agh_h[0];
    c->q_agh_g = net->agh_g[1];
    c->q_agh_h = net->agh_h[1];
}
/* to: rows of its second (`row` numbers from one to the next) or last index of [nf][gp][hp] */
void cu_turn_agh(cudaStream_t stream, const aim_dev_conv *a, int gp, int row, float *by_shift,
                 float *by_combination);
template <typename real>
void cu_conv_forward(cu_state *s, cudaStream_t stream, const cu_conv<real> *c);
template <typename real>
void cu_project_backward(cu_state *s, cudaStream_t stream, const cu_conv<real> *c);
template <typename real>
void cu_conv_backward(cu_state *s, cudaStream_t stream, const cu_conv<real> *c);
template <typename real>
void cu_embed_backward(cu_state *s, cudaStream_t stream, const cu_conv<real> *c);
/* Whether the adjoint goes faster with `back`; whether tugs of so many atoms are kept until the last pull. */
int cu_conv_looks_back(const aim_dev_net *d);
int cu_conv_keeps_tugs(int n);
/* Atoms of the largest molecule, where projections and convolutions backward go by molecules; else 0. */
int cu_conv_by_molecules(const cu_net *net, const aim_dev_job *job);
void cu_conv_prepare(void);

/* ---------------------------------------------------------------- charges (charge.cu) */

template <typename real> struct cu_charges {
    int systems, nc;
    const int *offset;
    const double *charge, *mult;
    double epsilon;
    const real *y, *q_old;
    real *q;
    const real *gq;
    real *gy, *gq_old;
    int wide;        /* blocks per system and channel: one, or one per segment */
    double *partial; /* [systems nc][wide][2] if wide > 1 */
    double *state;   /* [systems nc][2] D and F, from forward to backward */
    int largest;     /* cu_by_molecules(): then a warp sums up a system; */
    const int *system; /* of each atom */
};
template <typename real>
void cu_charge_forward(cu_state *s, cudaStream_t stream, const cu_charges<real> *c);
template <typename real>
void cu_charge_backward(cu_state *s, cudaStream_t stream, const cu_charges<real> *c);
/* Charges of atoms to `out`, spin charges to `spin`; order: where those of a row go, NULL: as here, else
 * charges by row to `own` as well. */
template <typename real>
void cu_report(cu_state *s, cudaStream_t stream, int n, int nc, const real *q, const int *order,
               double *own, double *out, double *spin);
/* out[order[i]] = in[i], rows of three */
void cu_deliver(cu_state *s, cudaStream_t stream, int n, const double *in, const int *order,
                double *out);
/* Adjoints of charges from those of atoms; add: += */
template <typename real>
void cu_seed(cu_state *s, cudaStream_t stream, int n, int nc, const double *gq, const double *gspin,
             int add, real *out);
template <typename real>
void cu_gather_rows(cu_state *s, cudaStream_t stream, int n, int width, const real *table,
                    const int *row, real *out);
/* Columns of an array by atom, summed by system. */
struct cu_columns_sum {
    int systems, columns, wide, largest; /* wide, largest: as in cu_charges */
    const int *offset;
    const double *in;
    size_t atom_stride, column_stride;
    double *out, *partial; /* partial: [systems columns][wide] if wide > 1 */
    size_t system_stride, out_stride;
};
void cu_reduce_systems(cu_state *s, cudaStream_t stream, const cu_columns_sum *c);

/* ---------------------------------------------------------------- lists (nlist.cu) */

struct cu_list {
    int n, capacity, early, n_kinds;
    int alone; /* one system */
    double cutoff;
    const double *coord, *cell;
    const int *offset, *system, *numbers, *kind, *kind_species;
    const int *in_count, *in_j, *in_shift; /* NULL: all pairs of each (non-periodic) system */
    int *count, *j, *shift, *species, *longest, *overlap;
    cu_cells cells;
    const int *order; /* crystals: rows and neighbours are atoms in this order; NULL: are places */
    int largest, systems; /* cu_by_molecules() */
    int *back; /* then also where the reverse of each pair stands (cu_list_reverse), or NULL */
};
void cu_sort_atoms(cu_state *s, cudaStream_t stream, const cu_cells *c, const double *coord,
                   const int *system);
/* For parts of `rows` places each: where in the groups they begin; and the species of all atoms. */
void cu_find_parts(cu_state *s, cudaStream_t stream, const cu_cells *c, const int *kind_species,
                   int rows, int *part, int *species);
template <typename real>
void cu_list_build(cu_state *s, cudaStream_t stream, const cu_list *l, vec4<real> *u);
/* Of n rows from `first` on. back: where the reverse of each pair stands, row * capacity + number as counted from the
 * first of these rows, or -1 if it is in none of them. Pointers: row `first` has this number. */
template <typename real>
void cu_list_reverse(cu_state *s, cudaStream_t stream, const cu_list *l, int first, int n,
                     const vec4<real> *u, int *back);

/* ---------------------------------------------------------------- terms (term.cu, dispersion.cu) */

/* Of crystals, arrays of atoms go by places, or with `order` by atoms; those of D3 always by places. */
struct cu_terms {
    int n, kinds;
    int largest, systems, processors; /* cu_by_molecules() */
    const int *order; /* atom of each place */
    const int *offset, *system, *kind, *kind_number;
    const double *coord, *q;
    /* list of the network, for the short-range part and close pairs of crystals */
    const int *count, *j;
    int capacity;
    double list_cutoff;
    int is_double; /* of the functions of pairs, and of the arrays of D3 */
    int coulomb, sr, envelope, want_grad, want_strain;
    int d3_ran, through_cn; /* shares of D3 are there; forces through the coordination numbers */
    double rc, alpha, sr_rc;
    const aim_dsf *screening; /* of each system, with lattice sums */
    double *virial, *virial_side;
    cu_cells cells;
    const int *shift;
    double *e, *grad, *gq; /* e: [4][n] Coulomb, short range, D3, repulsion if there is one */
    /* D3 */
    aim_dev_d3_table d3;
    double s6, s8, a1, a2, cutoff, smoothing, reach;
    void *w, *dw, *s, *low, *cn_grad;
    double *grad_side;
};
template <typename real>
cu_terms cu_term_args(const cu_net *net, const aim_dev_job *job, const cu_work<real> *w);
void cu_terms_prepare(cu_state *s);
/* D3: energies, and the share of forces and virial at fixed coordination numbers */
void cu_d3(cu_state *s, cudaStream_t stream, const struct cu_terms *t);
/* Coulomb and, after cu_d3, its forces through the coordination numbers; adds all shares up. */
void cu_pair_terms(cu_state *s, cudaStream_t stream, const struct cu_terms *t);

/* ---------------------------------------------------------------- embedded terms (embedded.cu) */

/* What models of older kinds have among their outputs. Adds to what the pair terms have left. */
struct cu_embedded {
    struct cu_terms of;
    int first, rows;       /* of the list: those of a slab, or all */
    const double *element; /* [kinds][CU_ELEMENT] repulsion's a, b; D3TS' C6, alpha, r4r2 */
    const int *atom;       /* [n] of each place; NULL: places are atoms */
    double rc;             /* of the repulsion */
    int envelope, moves;
    double *e_atom;      /* [n] energies of the repulsion by atom, or NULL */
    const double *value; /* [n][2] of the head that predicts D3TS' parameters, by atom, */
    double *adjoint;     /* and dE/d it; NULL: not wanted */
    double *slope;       /* dE/d the parameters, likewise by atom, or NULL */
    double *ts;          /* [n][CU_TS_ROW] parameters; by place, or with of.order by atom */
};
void cu_repulsion(cu_state *s, cudaStream_t stream, const struct cu_embedded *x);
void cu_d3ts(cu_state *s, cudaStream_t stream, const struct cu_embedded *x);

/* ---------------------------------------------------------------- arrays of the caller (caller.cu) */

template <typename real> void cu_bring_in(cu_state *s, cudaStream_t stream, const cu_work<real> *w);
/* The network's energy of each system, once the heads are there. */
template <typename real>
void cu_sum_network(cu_state *s, cudaStream_t stream, const cu_work<real> *w);
template <typename real> void cu_hand_out(cu_state *s, cudaStream_t stream, const cu_work<real> *w);

/* ---------------------------------------------------------------- helpers */

/* Notes the first failure. */
static inline void cu_check_call(cu_state *s, cudaError_t code, const char *what)
{
    if (code != cudaSuccess && s->code == cudaSuccess) {
        s->code = code;
        s->what = what;
    }
    (void)cudaGetLastError();
}

/* The same after a launch. */
static inline void cu_check(cu_state *s, const char *what)
{
    cu_check_call(s, cudaGetLastError(), what);
}

/* What is put into the second stream from here on comes after what is in `stream` by now. */
static inline void cu_fork_side(cu_state *s, cu_device *d, cudaStream_t stream)
{
    cu_check_call(s, cudaEventRecord(d->fork, stream), "an event");
    cu_check_call(s, cudaStreamWaitEvent(d->side, d->fork, 0), "an event");
    s->joined = 1;
}

static inline __host__ __device__ int cu_round_up(int n, int multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* columns of packed weights: whole tiles of 64, 96 or 128 */
static inline int cu_pad_columns(int n)
{
    const int a = cu_round_up(n, CU_ROW_PAD), b = cu_round_up(n, 96);
    return a > b ? a : b;
}

#if defined(__CUDACC__)
/* sum over the lanes of a warp, the same in all of them, as a balanced tree */
template <typename T> static __device__ __forceinline__ T cu_warp_sum(T x)
{
    for (int d = 16; d > 0; d >>= 1)
        x += __shfl_xor_sync(0xffffffffu, x, d);
    return x;
}

/* Of p = p0 exp(clamp(y, -4, 4)) to y, where it is not clamped. */
static __device__ __forceinline__ double cu_predicted_slope(double p, double y)
{
    return fabs(y) <= 4.0 ? p : 0.0;
}

static __device__ __forceinline__ unsigned cu_bits(float x)
{
    return __float_as_uint(fabsf(x));
}
static __device__ __forceinline__ unsigned cu_bits(double)
{
    return 0; /* double precision needs no scaling */
}
#endif

#endif
