/* SPDX-License-Identifier: MIT */
/* net.h - the AIMNet2 network (Anstine, Zubatyuk, Isayev, Chem. Sci. 2025, 16, 10228): flow only,
 * all arithmetic through the kernel table.
 *
 * From positions and pairs to the charges and the heads (Output MLPs), and back from their adjoints
 * to dE/dr and strain. Two instances of the same code (float and double) stand behind one table of
 * functions, so that callers never see `real`. A net is immutable after create and may be used by
 * several threads, each with its own workspace. */
#ifndef AIM_NET_NET_H
#define AIM_NET_NET_H

#include "backend/device.h"
#include "base/arena.h"
#include "base/threads.h"
#include "data/batch.h"
#include "model/parameters.h"
#include "nlist/nlist.h"

enum { AIM_NET_KEEP = 2, AIM_NET_TRAIN = 3 };

typedef struct aim_net_call {
    const aim_batch *batch;
    const aim_pairs
        *pairs; /* within the network's cutoff; with reverse indices if a gradient is wanted */
    aim_team *team;
    /* workspace of at least workspace() bytes; not touched between forward and backward */
    aim_arena *arena;
    int want_grad; /* 0, 1, or what tangents need kept: AIM_NET_KEEP, AIM_NET_TRAIN */
    /* forward: out */
    double *q;                     /* [n] charges */
    double *spin;                  /* [n] spin charges (two channels) or NULL */
    double *head[AIM_MAX_OUTPUTS]; /* per output of kind MLP: [n][width] */
    /* backward: in (NULL: zero) and out (+=) */
    const double *gq, *gspin;             /* [n] */
    const double *ghead[AIM_MAX_OUTPUTS]; /* [n][width] or NULL */
    double *grad;                         /* [n][3] dE/dr */
    double *strain;                       /* [systems][9] or NULL */
} aim_net_call;

/* Tangents of forward and backward along n_dir directions, after both have run with AIM_NET_KEEP:
 * tangent_forward gives the tangents of what forward gives; the caller turns them into tangents of
 * the adjoints (heads, terms), from which tangent_backward gives those of what backward gives. */
typedef struct aim_net_tan {
    int n_dir;
    const double *tx; /* [dir][n][3], or NULL: 0 */
    const double *w;  /* [dir][systems][9] strain, or NULL: 0 */
    aim_arena *arena; /* of at least tangent_workspace() bytes; kept between the two */
    /* forward: out */
    double *tq, *tspin;             /* [dir][n]; tspin may be NULL */
    double *thead[AIM_MAX_OUTPUTS]; /* [dir][n][width], or NULL */
    /* backward: in (NULL: zero) and out (+=) */
    const double *tgq, *tgspin;
    const double *tghead[AIM_MAX_OUTPUTS];
    double *tgrad, *tstrain; /* [dir][n][3], [dir][systems][9] or NULL */
} aim_net_tan;

typedef struct aim_net_ops {
    aim_status (*create)(const aim_model *model, const aim_alloc *alloc, int isa, void **net);
    void (*free)(void *net);
    /* bytes of workspace for this many atoms, pairs and neighbours of one atom */
    size_t (*workspace)(const void *net, int32_t n_atoms, int64_t n_pairs, int64_t max_row,
                        int workers, int want_grad);
    aim_status (*forward)(const void *net, aim_net_call *call);
    void (*backward)(const void *net, aim_net_call *call);
    /* for a compute device; of a net that was created for the reference kernels */
    void (*describe)(const void *net, aim_dev_net *out);
    /* the same sizes as workspace(); want_grad as in the call */
    size_t (*tangent_workspace)(const void *net, int32_t n_atoms, int64_t n_pairs, int64_t max_row,
                                int workers, int want_grad, int n_dir);
    aim_status (*tangent_forward)(const void *net, aim_net_call *call, aim_net_tan *tan);
    void (*tangent_backward)(const void *net, aim_net_call *call, aim_net_tan *tan);
    /* After a tangent sweep with AIM_NET_TRAIN and one direction: gradient += derivative of the sum
     * of all seeds by every parameter of the network, in the places of the list. */
    void (*parameters)(const void *net, aim_net_call *call, aim_net_tan *tan,
                       const aim_parameters *list, double *gradient);
    /* Where a device finds each number of that gradient among its sums, and the embedding's columns
     * of the first layer (aim_dev_places). */
    void (*places)(const void *net, const aim_parameters *list, int32_t *from, float *folded);
} aim_net_ops;

extern const aim_net_ops aim_net_ops_f32, aim_net_ops_f64;

/* Longest row of a list. */
int64_t aim_pairs_max_row(const aim_pairs *pairs);

#endif
