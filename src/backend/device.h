/* SPDX-License-Identifier: MIT */
/* device.h - the seam to a compute device: plain structs and one table of functions, filled by a
 * module that is loaded when it is asked for (device.c), so that one build runs with and without.
 *
 * The seam is a whole evaluation of one network on one flat batch, not a kernel: a device wants
 * lists, network, interactions and reductions in one queue without the host in between. Models,
 * checks, batches, output programs, ensembles and results stay with calc/ and are the same for every
 * device. Where the host has to contribute terms of its own, the evaluation stops once between the
 * network's halves (aim_dev_job.middle). C and C++; nothing here owns memory. */
#ifndef AIM_BACKEND_DEVICE_H
#define AIM_BACKEND_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "backend/device_caller.h"
#include "backend/device_path.h"

enum {
    AIM_DEV_ABI = 14, /* of everything in this file */
    AIM_DEV_LAYERS = 16,
    AIM_DEV_PASSES = 16,
    AIM_DEV_HEADS = 64,
    AIM_DEV_SPECIES = 128,
    AIM_DEV_TEXT = 400
};

/* What went wrong, in a sentence; status is an aimnet_status. */
typedef struct aim_dev_error {
    int status;
    char text[AIM_DEV_TEXT];
} aim_dev_error;

/* y = act(x W^T + b); arrays are float or double as aim_dev_net says */
typedef struct aim_dev_layer {
    int n_in, n_out, gelu;
    const void *w;    /* [n_out][n_in] */
    const void *bias; /* [n_out]; of the first layer of pass 0 [n_species][n_out] */
} aim_dev_layer;

typedef struct aim_dev_mlp {
    int n_layers;
    aim_dev_layer layer[AIM_DEV_LAYERS];
} aim_dev_mlp;

typedef struct aim_dev_conv {
    int nf, ncomb, hp;
    const void *agh; /* [nf][gp][hp] */
} aim_dev_conv;

/* Columns of a pass's input: own features, convolved scalars and vectors, charges and theirs. */
typedef struct aim_dev_columns {
    int a, xs, xv, q, qs, qv, total;
} aim_dev_columns;

/* A network in the order of net/net_impl.h. */
typedef struct aim_dev_net {
    int is_double;
    int fast; /* single precision: matrix products of operands of 11 bits */
    int nshifts, gp, n_charge, fa, n_pass, d2, n_species, n_heads;
    int32_t species_of[AIM_DEV_SPECIES]; /* [Z] dense index or -1 */
    double rc, eta;
    double charge_epsilon; /* of charge equilibration */
    const void *embedding; /* [n_species][fa] */
    const void *shifts;    /* [gp] */
    aim_dev_conv conv_a, conv_q;
    aim_dev_columns columns[AIM_DEV_PASSES];
    aim_dev_mlp mlp[AIM_DEV_PASSES];
    aim_dev_mlp head[AIM_DEV_HEADS];
    int head_width[AIM_DEV_HEADS];
    int head_output[AIM_DEV_HEADS]; /* the caller's number of each head */
} aim_dev_net;

/* D3 reference data in the layout of term/term.h. */
typedef struct aim_dev_d3_table {
    int n_elements, n_refs;
    const double *rcov, *r4r2, *cn, *c6;
    const int32_t *first;
    double weight_floor;
    const double *cn_max; /* [n_elements] coordination numbers do not exceed; NULL: no limit */
} aim_dev_d3_table;

typedef enum aim_dev_coulomb {
    AIM_DEV_COULOMB_NONE,
    AIM_DEV_COULOMB_SIMPLE,
    AIM_DEV_COULOMB_DSF,
    AIM_DEV_COULOMB_WAVES /* Ewald or PME, by the splitting of each system */
} aim_dev_coulomb;

/* Lattice sum of one system: erfc(alpha d)/d within real_cutoff, and wave vectors. */
typedef struct aim_dev_waves {
    double alpha, real_cutoff;
    double k_cutoff;    /* Ewald */
    int order, mesh[3]; /* PME: of the splines (0: Ewald); points along the vectors of the frame */
    double frame[9];    /* the cell, or PME's short basis */
} aim_dev_waves;

/* Elements of a batch: atomic numbers, and where among them [Z] stands. */
typedef struct aim_dev_kinds {
    int n;
    int32_t number[AIM_DEV_SPECIES], index[AIM_DEV_SPECIES];
} aim_dev_kinds;

/* What a batch has of every atom, on a desk: page-locked memory of the device (aim_device_ops), from
 * which a copy to the device needs no other one before it. */
typedef struct aim_dev_desk {
    double *coord;
    int32_t *system, *kind;
} aim_dev_desk;

enum { AIM_DEV_DESK_STEP = 256 }; /* bytes; arrays stand at multiples of it */

static inline size_t aim_dev_desk_step(size_t bytes)
{
    return (bytes + AIM_DEV_DESK_STEP - 1) / AIM_DEV_DESK_STEP * AIM_DEV_DESK_STEP;
}

static inline size_t aim_dev_desk_bytes(size_t n_atoms)
{
    return aim_dev_desk_step(3 * n_atoms * sizeof(double)) +
           2 * aim_dev_desk_step(n_atoms * sizeof(int32_t));
}

static inline aim_dev_desk aim_dev_desk_of(void *block, size_t n_atoms)
{
    aim_dev_desk d;
    d.coord = (double *)block;
    d.system = (int32_t *)(void *)((char *)block + aim_dev_desk_step(3 * n_atoms * sizeof(double)));
    d.kind = (int32_t *)(void *)((char *)d.system + aim_dev_desk_step(n_atoms * sizeof(int32_t)));
    return d;
}

/* One evaluation. Host arrays; NULL where something is not wanted. */
typedef struct aim_dev_job {
    /* the batch (data/batch.h) */
    int32_t n_atoms, n_systems, largest; /* atoms of the largest system */
    const int32_t *offset, *system, *numbers, *pbc;
    const aim_dev_kinds *kinds;
    const int32_t *kind; /* [n_atoms]; with coord and system on the desk */
    const double *coord, *cell, *charge, *mult;
    int want_grad, want_strain;
    /* the network's list from the host; row NULL: the device finds the pairs */
    const int64_t *row;
    const int32_t *j;
    const int32_t (*shift)[3];
    double cutoff;
    int crystal; /* every system is periodic along its three axes, and the device finds the pairs */
    /* terms on the device */
    aim_dev_coulomb coulomb;
    double coulomb_cutoff, dsf_alpha;
    const aim_dev_waves *waves; /* [n_systems] */
    int sr, sr_envelope;        /* short-range Coulomb energy with the factor -1 */
    double sr_rc;
    int d3;
    double d3_s6, d3_s8, d3_a1, d3_a2, d3_cutoff, d3_smoothing; /* Angstrom; a2 bohr */
    double d3_reach; /* pairs farther apart do not count at all; INFINITY: all do */
    /* D3TS in place of D3, with the parameters above: C6 and polarisability of an atom are
     * ts_params exp(clamp(head number ts_head, -4, 4)); all by Z */
    const double *ts_params, *ts_r4r2; /* [.][2]; [.]; NULL: no D3TS */
    int ts_head;
    /* short-range repulsion over the network's pairs (term/srrep.c): [.][2] by Z, NULL: none */
    const double *rep_params;
    double rep_rc;
    int rep_envelope;
    int rep_moves; /* it is part of the energy; 0: of no gradient */
    int rep_atoms; /* its energies by atom are wanted */
    /* adjoints of the heads, [n][width] by head; in: given before the call, or by `middle`. alike: one
     * number by head, for all atoms (not of ts_head, whose adjoint is made there) */
    const double *ghead[AIM_DEV_HEADS];
    int alike;
    /* called once q, spin and heads are there; leaves adjoints in gq, gspin, ghead; NULL: none.
     * Returns a status, other than 0 ends the evaluation with it. */
    int (*middle)(void *ctx);
    /* without `middle`: may be called once q, spin and heads are there, while the device goes on.
     * Returns a status like `middle`. */
    int (*early)(void *ctx);
    /* after that: may be called once gradients of the first systems are there, in `grad`, and energies of the terms of all.
     * rest(of), by any thread, waits for the gradients of the others; 0: they come when the evaluation ends, if they do.
     * It has one answer for all who ask. */
    void (*some)(void *ctx, double *grad, int32_t systems, int (*rest)(void *of), void *of);
    /* called once while the device computes */
    void (*meanwhile)(void *ctx);
    void *ctx;
    const double *gq, *gspin; /* with `middle` only */
    int no_graph;             /* 1: launches one by one */
    /* memcpy by the host's workers, for numbers of atoms; and what may be called, again and again, while
     * an evaluation ends, for which they should be awake */
    void (*copy)(void *team, void *to, const void *from, size_t bytes);
    void (*stir)(void *team);
    void *team;
    /* results, assigned */
    double *q, *spin;
    double *head[AIM_DEV_HEADS];
    double *e_coulomb, *e_sr, *e_d3, *e_rep; /* [n_systems] eV */
    double *e_rep_atom;                      /* [n_atoms] */
    /* added to. grad without `middle` is assigned; out: where it stands until the next call, which may
     * be memory of the device's module */
    double *grad, *strain;
    int overlap;            /* out: some atoms of some system are nearly at one place */
    aim_dev_caller *caller; /* NULL; else positions and results are there, not above */
} aim_dev_job;

/* Where numbers of a gradient belong (net/weights.c). */
typedef struct aim_dev_places {
    size_t count; /* numbers of the caller's gradient */
    const int32_t
        *from; /* [count] its place in what aim_dev_gradient_size describes, -1: it is 0 */
    const float
        *folded; /* [n_out][fa] columns of the first layer that became its bias by species */
} aim_dev_places;

/* Tangents of an evaluation along directions, x -> x + eps (tx + x W): the network's half of Hessian
 * times vector. `job` gives batch, list (from the host), strain wanted or not, and the adjoints gq,
 * gspin, ghead; its terms and other results are not used.
 *
 * on_device: the job's terms are differentiated there as well. Then the
 * job may come without a list, and gives its terms in place of gq and gspin; its q, spin and overlap
 * are assigned; there is no `middle`, and tgq, tgspin, tghead are what is added to the terms'; that of ts_head is made
 * there. */
typedef struct aim_dev_sweep {
    aim_dev_job *job;
    int on_device;
    /* No direction: with `on_device` and `places`, the job's evaluation (heads, energies of the terms,
     * grad, strain), kept for a sweep with `again`. */
    int evaluate;
    /* Then, of a loss: the forces [n][3] that it aims at, and their weight. The direction -dL/dF is made on
     * the device and the forward half begins along it while the host does the rest: the sweep with `again`
     * goes on from there. Read after job->meanwhile; w, thead, tghead and weight have the sizes of that
     * sweep. NULL: it brings its direction. */
    const double *aim;
    double aim_weight;
    int again;           /* the job of the sweep before: what was kept of it stands */
    int n_dir, most_dir; /* of this sweep and of the sweeps to come */
    const double *tx;    /* [n_dir][n][3] */
    const double *w;     /* [n_dir][n_systems][9] or NULL */
    /* results of the forward half, assigned: [n_dir][n], [n_dir][n][width]; NULL: not wanted */
    double *tq, *tspin, *thead[AIM_DEV_HEADS];
    /* called then; leaves tangents of the adjoints in those below (NULL: zero). As in aim_dev_job. */
    int (*middle)(void *ctx);
    void *ctx;
    const double *tgq, *tgspin, *tghead[AIM_DEV_HEADS];
    const double
        *weight; /* on_device: [n_systems] that adds weight gq to the tangent of gq, or NULL */
    double *tgrad, *tstrain; /* += */
    /* n_dir 1: the gradient of the sum of all seeds by the numbers of the network, in the order of
     * `places` and its precision, goes to `take`, part after part, each as soon as it is there. Then
     * nothing else is a result. places NULL: not wanted */
    const aim_dev_places *places;
    void (*take)(void *ctx, const void *gradient, size_t first, size_t last);
    void *take_ctx;
} aim_dev_sweep;

/* The sums a gradient is put together from. Of every pass, then every head, every layer: weights
 * [n_out][n_in], bias [n_out]; then the folded columns [n_out][fa] of the first layer; combinations
 * of conv_a, conv_q [nf][gp][hp]; embedding [n_species][fa], as a feature and through the first
 * layer. */
static inline size_t aim_dev_gradient_size(const aim_dev_net *d)
{
    size_t n = (size_t)d->fa * (size_t)(d->mlp[0].layer[0].n_out + d->n_species) +
               (size_t)d->gp * (size_t)(d->conv_a.nf * d->conv_a.hp + d->conv_q.nf * d->conv_q.hp);
    for (int k = 0; k < d->n_pass + d->n_heads; k++) {
        const aim_dev_mlp *m = k < d->n_pass ? &d->mlp[k] : &d->head[k - d->n_pass];
        for (int l = 0; l < m->n_layers; l++)
            n += (size_t)m->layer[l].n_out * (size_t)(m->layer[l].n_in + 1);
    }
    return n;
}

/* What a card is, without taking it. Versions as 1000 major + 10 minor. */
typedef struct aim_dev_card {
    char name[128];
    int major, minor; /* compute capability */
    int driver, runtime;
    size_t total, available;
} aim_dev_card;

/* One of the three sums of conv_sv_2d_sp (aimnet_ops.h) on arrays of the caller's on the device. */
enum { AIM_DEV_OP_SIZE = 64 };
typedef enum aim_dev_op_kind {
    AIM_DEV_OP_FORWARD,
    AIM_DEV_OP_BACK_X,
    AIM_DEV_OP_BACK_F
} aim_dev_op_kind;
typedef struct aim_dev_op {
    aim_dev_op_kind kind;
    int is_double, channels, shifts, add; /* add: forward only, += */
    const int32_t *idx;
    const void *x, *f, *g; /* features, factors, adjoint of the result */
    void *out, *stream;
} aim_dev_op;

typedef struct aim_device_ops {
    int abi;
    size_t device_size, net_size; /* bytes of the objects below, which the caller allocates */
    /* Takes card `index`; `device` is cleared memory. memory: most bytes of workspace, 0: what is free.
     * On failure nothing has to be closed. */
    int (*open)(void *device, int index, size_t memory, aim_dev_error *error);
    void (*close)(void *device);
    /* The desk, with room for so many bytes; its contents are lost when it grows. */
    int (*desk)(void *device, size_t bytes, void **block, aim_dev_error *error);
    /* Name of the card and its memory in bytes. */
    void (*describe)(void *device, char *name, size_t capacity, size_t *total, size_t *available);
    /* Copies a network (and D3 data, or NULL) to the device; `net` is cleared memory. */
    int (*net_create)(void *net, void *device, const aim_dev_net *in, const aim_dev_d3_table *d3,
                      aim_dev_error *error);
    void (*net_free)(void *net);
    int (*run)(void *net, aim_dev_job *job, aim_dev_error *error);
    /* Bytes on the device that run() would take for this job. */
    size_t (*workspace)(const void *net, const aim_dev_job *job);
    /* UNSUPPORTED: not for this network */
    int (*sweep)(void *net, aim_dev_sweep *sweep, aim_dev_error *error);
    /* Bytes on the device for that. */
    size_t (*sweep_bytes)(const void *net, const aim_dev_sweep *sweep);
    /* The number of cards, and of card `index` what it is (card NULL: not wanted). */
    int (*look)(int index, int *n, aim_dev_card *card, aim_dev_error *error);
    /* `op`: AIM_DEV_OP_SIZE bytes, cleared; idx [n][m] on the card. create waits for the stream. */
    int (*op_create)(void *op, int card, const int32_t *idx, int n, int m, void *stream,
                     aim_dev_error *error);
    void (*op_free)(void *op);
    int (*op_run)(void *op, const aim_dev_op *what, aim_dev_error *error);
    /* Memory of `card`: taken, given back, copied (host or card to either, in the stream, which is
     * waited for), cleared (in the stream), looked up. */
    int (*take)(int card, size_t bytes, void **block, aim_dev_error *error);
    void (*give)(int card, void *block);
    int (*copy)(int card, void *to, const void *from, size_t bytes, void *stream,
                aim_dev_error *error);
    int (*clear)(int card, void *block, size_t bytes, void *stream, aim_dev_error *error);
    int (*can_wait)(int card, void *stream, aim_dev_error *error); /* ARG: it is being captured */
    int (*locate)(const void *pointer, aim_dev_memory *memory, aim_dev_error *error);
    /* `list`: AIM_DEV_LIST_SIZE bytes, cleared; build waits for the stream. */
    int (*list_create)(void *list, int card, aim_dev_error *error);
    void (*list_free)(void *list);
    int (*list_build)(void *list, aim_dev_list *what, aim_dev_error *error);
    /* `paths`: AIM_DEV_PATHS_SIZE bytes, cleared; *stream: in which they move. */
    int (*paths_create)(void *paths, int card, void **stream, aim_dev_error *error);
    void (*paths_free)(void *paths);
    /* Copies to the card, in that stream; does not wait. `from` may change afterwards. */
    int (*paths_send)(void *paths, void *to, const void *from, size_t bytes, aim_dev_error *error);
    /* Room for n moves of n_atoms atoms; sets move, moved and ended. Contents are lost. */
    int (*paths_room)(void *paths, aim_dev_moves *moves, aim_dev_error *error);
    /* Puts the positions that paths want to be evaluated at into moves->coord; does not wait. */
    int (*paths_place)(void *paths, const aim_dev_moves *moves, aim_dev_error *error);
    /* Moves all and waits for it. */
    int (*paths_move)(void *paths, const aim_dev_moves *moves, aim_dev_error *error);
} aim_device_ops;

/* A card in use; device.c. */
typedef struct aim_device {
    const aim_device_ops *ops;
    void *card; /* ops->device_size bytes, cleared, of the caller; taken by aim_device_take */
    int index;
    char name[128];
    size_t total, available; /* bytes of its memory, and that were free, or allowed, at first */
} aim_device;

/* "cpu", "auto", "cuda" or "cuda:N"; -1: the word is none of them. *index: the card. */
typedef enum aim_device_kind { AIM_DEVICE_CPU, AIM_DEVICE_AUTO, AIM_DEVICE_CUDA } aim_device_kind;
int aim_device_parse(const char *word, aim_device_kind *kind, int *index);
/* The module's table; NULL: DEVICE and a sentence in `error`. */
const aim_device_ops *aim_device_load(aim_dev_error *error);
/* Takes card `index` with device->ops into device->card; memory: as in `open`. */
int aim_device_take(aim_device *device, int index, size_t memory, aim_dev_error *error);

/* The one symbol of a module. */
typedef const aim_device_ops *aim_device_module_fn(int abi);
#define AIM_DEVICE_SYMBOL "aimnet_device_module"

#endif
