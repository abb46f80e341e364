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
#include "model/model.h"
#include "nlist/nlist.h"

typedef struct aim_net_call {
    const aim_batch *batch;
    const aim_pairs
        *pairs; /* within the network's cutoff; with reverse indices if a gradient is wanted */
    aim_team *team;
    /* workspace of at least workspace() bytes; not touched between forward and backward */
    aim_arena *arena;
    int want_grad;
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
} aim_net_ops;

extern const aim_net_ops aim_net_ops_f32, aim_net_ops_f64;

/* Longest row of a list. */
int64_t aim_pairs_max_row(const aim_pairs *pairs);

#endif
