/* SPDX-License-Identifier: MIT */
/* net_impl.h - the network in working precision: packed weights, the names and shapes of every
 * intermediate (acts), internal steps.
 *
 * Letters (also in kernels.def): n atoms, F features, G shifts padded to gp, H combinations, C
 * charge channels, FA = width of the atom features a (F*gp with d2features, F without). Columns of
 * a pass's input x: [a | xs | xv | q | qs | qv], in pass 0 only [xs | xv] (the embedding's share is
 * folded into a bias per element). Columns of a pass's output y: [delta a | q | f] (the file has q,
 * f first; the rows are permuted when packed). */
#ifndef AIM_NET_NET_IMPL_H
#define AIM_NET_NET_IMPL_H

#include "backend/kernels.h"
#include "net/net.h"

typedef struct net_layer {
    int n_in, n_out;   /* exact */
    int ld_in, ld_out; /* padded to the panel of the kernels */
    int gelu;
    real *w_fwd, *w_bwd; /* packed */
    real *bias;          /* [ld_out], or in pass 0's first layer [species][ld_out] */
    /* [n_out][n_in] of a head's last layer if it is linear (kernel linear_out), else NULL */
    real *plain;
} net_layer;

typedef struct net_mlp {
    int n_layers, slope_width; /* sum of ld_out of the layers with GELU */
    int x_width, z_width;      /* sums of ld_in and of ld_out of all layers */
    net_layer layer[AIM_MAX_LAYERS];
} net_mlp;

typedef struct net_conv {
    int nf, ncomb, hp;
    real *agh, *agh_t;
} net_conv;

typedef struct aim_net {
    aim_alloc alloc;
    const aim_model *model;
    const aim_kernels *k;
    double charge_epsilon;
    int nshifts, gp, n_charge, fa, n_pass, d2;
    int n_species;                       /* implemented elements, dense */
    int32_t species_of[AIM_MAX_SPECIES]; /* [Z] -> dense index, or -1 */
    real *embedding;                     /* [species][fa] */
    real *shifts;                        /* [gp] */
    net_conv conv_a, conv_q;
    net_mlp mlp[AIM_MAX_PASSES];
    int n_heads, head_output[AIM_MAX_OUTPUTS], head_width[AIM_MAX_OUTPUTS];
    net_mlp head[AIM_MAX_OUTPUTS];
    size_t ld_hidden; /* widest row of any layer, for scratch */
    aim_arena store;  /* all arrays above */
} aim_net;

/* column offsets of a pass's input */
typedef struct net_columns {
    int a, xs, xv, q, qs, qv, total;
} net_columns;
static inline net_columns aim_net_columns(const aim_net *net, int pass)
{
    const int scalars = net->conv_a.nf * net->gp, vectors = net->conv_a.nf * net->conv_a.ncomb;
    net_columns c = {.a = 0, .xs = pass ? net->fa : 0};
    c.xv = c.xs + scalars;
    c.q = c.xv + vectors;
    c.qs = c.q + (pass ? net->n_charge : 0);
    c.qv = c.qs + (pass ? net->n_charge * net->gp : 0);
    c.total = c.qv + (pass ? net->n_charge * net->conv_q.ncomb : 0);
    return c;
}

/* Where column c of the file's layer stands in ours, -1: nowhere (folded into the bias). pass -1:
 * heads and hidden layers. */
int AIM_NAMED(aim_net_map_input)(const aim_net *net, int pass, int c);
/* Where output c stands; is_update: the layer ends a pass that updates features. */
int AIM_NAMED(aim_net_map_output)(const aim_net *net, int is_update, int c);

enum { NET_WEIGHT_ROWS = 64 }; /* most outputs of a task of weights.c */
enum { NET_ROWS_MAX = 64 };    /* rows of a task: their inputs stay in the second-level cache */

/* Inputs x and adjoints gz of all layers of an MLP, side by side in rows of x_width and z_width. */
typedef struct net_store {
    real *x, *gz;
} net_store;

/* Every intermediate. Placed by aim_net_layout, the same way in forward and backward. */
typedef struct net_acts {
    int32_t *species;        /* [n] dense */
    real *u, *gs, *dgs;      /* [P][4], [P][gp], [P][gp] */
    real *a[AIM_MAX_PASSES]; /* [n][fa]   features entering pass p >= 1 */
    real *q[AIM_MAX_PASSES]; /* [n][C]    charges after pass p */
    real *y[AIM_MAX_PASSES]; /* [n][2C]   raw charges and flexibilities of pass p */
    real *v[AIM_MAX_PASSES], *vq[AIM_MAX_PASSES]; /* [n][F][3][hp] projected vectors */
    real *slope[AIM_MAX_PASSES]; /* [n][slope_width] gelu' of all layers of the pass */
    real *head_slope[AIM_MAX_OUTPUTS];
    real *aim;                /* [n][ld] */
    real *gy[AIM_MAX_PASSES]; /* [n][2C] adjoints of y */
    real *gq[AIM_MAX_PASSES]; /* [n][C] */
    real *ga[2]; /* [n][fa] adjoints of the features of the current and the later pass */
    /* [n][F][4][gp], [n][C][4][gp]: the same memory for all passes unless kept for tangents */
    real *s_adj[AIM_MAX_PASSES], *sq_adj[AIM_MAX_PASSES];
    real *gr; /* [P][3] */
    /* AIM_NET_KEEP: what tangents read */
    real *ddgs;                                         /* [P][gp] */
    real *sums[AIM_MAX_PASSES], *sumsq[AIM_MAX_PASSES]; /* [P][AIM_PAIR_SUMS] of conv_a, conv_q */
    real *curve[AIM_MAX_PASSES], *head_curve[AIM_MAX_OUTPUTS]; /* gelu'', then gy gelu'' */
    real *gxv[AIM_MAX_PASSES], *gxvq[AIM_MAX_PASSES];          /* [n][F * H], [n][C * H] */
    /* AIM_NET_TRAIN: what gradients by weights read */
    net_store pass[AIM_MAX_PASSES], head[AIM_MAX_OUTPUTS];
    real *s[AIM_MAX_PASSES], *sq[AIM_MAX_PASSES]; /* [n][F][4][gp], [n][C][4][gp] environments */
    real *scratch;                                /* [workers][scratch_size] */
    size_t scratch_size, conv_scratch;
} net_acts;

/* The same for tangents: rows r = dir * n + i. */
typedef struct net_tans {
    real *tu;                                            /* [dir][P][4] */
    real *ta[AIM_MAX_PASSES];                            /* [rows][fa] entering pass p >= 1 */
    real *tq[AIM_MAX_PASSES], *ty[AIM_MAX_PASSES];       /* [rows][C], [rows][2C] */
    real *tv[AIM_MAX_PASSES], *tvq[AIM_MAX_PASSES];      /* [rows][F][3][hp] */
    real *tz[AIM_MAX_PASSES], *head_tz[AIM_MAX_OUTPUTS]; /* [rows][slope_width] */
    real *tgy[AIM_MAX_PASSES], *tgq[AIM_MAX_PASSES];
    real *tga[2];
    real *ts_adj, *tsq_adj; /* of the current pass */
    real *tgr;              /* [dir][P][3] */
    /* with parameters */
    net_store pass[AIM_MAX_PASSES], head[AIM_MAX_OUTPUTS];
    real *ts[AIM_MAX_PASSES], *tsq[AIM_MAX_PASSES];
    real *tgxv[AIM_MAX_PASSES], *tgxvq[AIM_MAX_PASSES];
    real *tga0; /* [rows][fa] adjoint of the embedding as the feature of pass 0's convolution */
    double *partial; /* [workers][partial_size] */
    size_t partial_size;
    real *zero; /* [widest layer] */
    real *scratch;
    size_t scratch_size, conv_scratch;
} net_tans;

typedef struct net_sizes {
    int32_t n_atoms;
    int64_t n_pairs, max_row;
    int workers, want_grad;
} net_sizes;
void AIM_NAMED(aim_net_layout)(const aim_net *net, net_sizes sizes, aim_arena *arena,
                               net_acts *acts);

/* What the steps of one call share. */
typedef struct net_run {
    const aim_net *net;
    aim_net_call *call;
    net_acts acts;
    int pass;
    int rows; /* rows of a task */
} net_run;
net_run AIM_NAMED(aim_net_run)(const aim_net *net, aim_net_call *call);
aim_conv_args AIM_NAMED(aim_net_conv_args)(const net_run *run, int plain, int worker);
void AIM_NAMED(aim_net_for_rows)(net_run *run, aim_task_fn fn);
void AIM_NAMED(aim_net_for_systems)(net_run *run, aim_task_fn fn);
static inline void aim_net_task_rows(const net_run *run, int64_t task, int64_t *first,
                                     int64_t *last)
{
    const int64_t n = run->call->batch->n_atoms;
    *first = task * run->rows;
    *last = *first + run->rows < n ? *first + run->rows : n;
}
aim_charge_args AIM_NAMED(aim_net_charge_args)(const net_run *run);

/* What the steps of one tangent sweep share. */
typedef struct net_tan_run {
    net_run run;
    aim_net_tan *tan;
    net_tans t;
    int64_t n_rows;
    int rows;
} net_tan_run;
void AIM_NAMED(aim_net_tan_layout)(const aim_net *net, net_sizes sizes, int n_dir, aim_arena *arena,
                                   net_tans *tans);
net_tan_run AIM_NAMED(aim_net_tan_run)(const aim_net *net, aim_net_call *call, aim_net_tan *tan);
aim_conv_tan_args AIM_NAMED(aim_net_conv_tan_args)(const net_tan_run *r, int plain, int worker);
aim_charge_tan_args AIM_NAMED(aim_net_charge_tan_args)(const net_tan_run *r);
void AIM_NAMED(aim_net_for_tan_rows)(net_tan_run *r, aim_task_fn fn);
void AIM_NAMED(aim_net_for_tan_systems)(net_tan_run *r, aim_task_fn fn);
static inline void aim_net_task_tan_rows(const net_tan_run *r, int64_t task, int64_t *first,
                                         int64_t *last)
{
    *first = task * r->rows;
    *last = *first + r->rows < r->n_rows ? *first + r->rows : r->n_rows;
}

aim_status AIM_NAMED(aim_net_create)(const aim_model *model, const aim_alloc *alloc, int isa,
                                     void **net);
void AIM_NAMED(aim_net_free)(void *net);
aim_status AIM_NAMED(aim_net_forward)(const void *net, aim_net_call *call);
void AIM_NAMED(aim_net_backward)(const void *net, aim_net_call *call);
void AIM_NAMED(aim_net_describe)(const void *net, aim_dev_net *out);
aim_status AIM_NAMED(aim_net_tangent_forward)(const void *net, aim_net_call *call,
                                              aim_net_tan *tan);
void AIM_NAMED(aim_net_tangent_backward)(const void *net, aim_net_call *call, aim_net_tan *tan);
void AIM_NAMED(aim_net_parameters)(const void *net, aim_net_call *call, aim_net_tan *tan,
                                   const aim_parameters *list, double *gradient);
void AIM_NAMED(aim_net_places)(const void *object, const aim_parameters *list, int32_t *from,
                               float *folded);

#endif
