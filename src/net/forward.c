/* SPDX-License-Identifier: MIT */
/* forward.c - positions to charges and heads, reading like the paper's figure:
 *
 *     features of pairs;  for each pass: convolve features (and charges) over neighbours, project,
 *     MLP;
 *     all passes but the last: a += delta a, charges equilibrated to the total charge;  the last
 *     one gives `aim`, read by the heads.
 *
 * A task is a block of atoms from convolution to the end of its MLP; only charge equilibration and
 * the next convolution need all atoms. For a distributed run these are the two exchange points:
 * features and charges of ghosts before each convolution, the sums of charge equilibration. */
#include <string.h>

#include "net/net_impl.h"

typedef struct mlp_run {
    const net_mlp *mlp;
    const real *x; /* [rows][ldx] of this task */
    size_t ldx;
    real *slope;             /* [rows][slope_width] of this task, or NULL */
    real *curve;             /* likewise */
    real *store;             /* [rows][x_width] where inputs of all layers are kept, or NULL */
    const int32_t *bias_row; /* of this task: species, first layer of pass 0 */
    real *work[2];           /* [rows][ld_hidden] */
} mlp_run;

/* The first n_layers layers over `rows` rows; returns where the output stands (x if there are
 * none), with leading dimension *ld. */
static const real *run_mlp(const aim_net *net, const mlp_run *m, int n_layers, int64_t rows,
                           size_t *ld)
{
    const real *x = m->x;
    size_t ldx = m->ldx, slope = 0, kept = 0;
    for (int l = 0; l < n_layers; l++) {
        const net_layer *layer = &m->mlp->layer[l];
        kept += (size_t)layer->ld_in;
        const int keep = m->store && l + 1 < m->mlp->n_layers;
        real *y = keep ? m->store + kept : m->work[l % 2];
        const size_t ldy = (size_t)(keep ? m->mlp->x_width : layer->ld_out);
        const aim_linear_args args = {.n_in = layer->n_in,
                                      .n_out = layer->ld_out,
                                      .w = layer->w_fwd,
                                      .bias = layer->bias,
                                      .bias_row = l == 0 ? m->bias_row : NULL,
                                      .ldbias = (size_t)layer->ld_out,
                                      .x = x,
                                      .ldx = ldx,
                                      .y = y,
                                      .ldy = ldy,
                                      .slope = m->slope && layer->gelu ? m->slope + slope : NULL,
                                      .curve = m->curve && layer->gelu ? m->curve + slope : NULL,
                                      .ldslope = (size_t)m->mlp->slope_width,
                                      .gelu = layer->gelu};
        net->k->linear_fwd(&args, 0, rows);
        slope += layer->gelu ? (size_t)layer->ld_out : 0;
        x = y;
        ldx = ldy;
    }
    *ld = ldx;
    return x;
}

/* Row `first` of an array that may not exist. */
static real *at_rows(real *x, int64_t first, int width)
{
    return x ? x + (size_t)first * (size_t)width : NULL;
}

/* Fills the input rows of this pass: own features, convolved environment, charges. x is indexed by
 * the task's local row. */
static void gather_input(const net_run *run, int64_t first, int64_t last, int worker, real *x,
                         size_t ldx)
{
    const aim_net *net = run->net;
    const net_acts *t = &run->acts;
    const int p = run->pass, nc = net->n_charge;
    const net_columns c = aim_net_columns(net, p);
    real *base = x - (size_t)first * ldx;
    aim_conv_args conv = AIM_NAMED(aim_net_conv_args)(run, 0, worker);
    conv.ldx = ldx;
    conv.xs = base + c.xs;
    conv.xv = base + c.xv;
    conv.v = t->v[p];
    conv.a = t->a[p];
    conv.lda = (size_t)net->fa;
    if (p == 0 && net->d2) {
        net->k->conv_embed_fwd(&conv, first, last);
        return;
    }
    if (!net->d2)
        net->k->conv_plain_fwd(&conv, first, last);
    else
        net->k->conv_fwd(&conv, first, last);
    if (p == 0)
        return;
    aim_conv_args charge = AIM_NAMED(aim_net_conv_args)(run, 1, worker);
    charge.ldx = ldx;
    charge.xs = base + c.qs;
    charge.xv = base + c.qv;
    charge.v = t->vq[p];
    charge.a = t->q[p - 1];
    charge.lda = (size_t)nc;
    net->k->conv_plain_fwd(&charge, first, last);
    for (int64_t i = first; i < last; i++) {
        real *row = base + (size_t)i * ldx;
        memcpy(row + c.a, t->a[p] + (size_t)i * (size_t)net->fa, (size_t)net->fa * sizeof(real));
        memcpy(row + c.q, t->q[p - 1] + (size_t)i * (size_t)nc, (size_t)nc * sizeof(real));
    }
}

/* a of the next pass and the raw charges of this one */
static void update_features(const net_run *run, int64_t first, int64_t last, const real *y,
                            size_t ldy)
{
    const aim_net *net = run->net;
    const net_acts *t = &run->acts;
    const int p = run->pass;
    const size_t fa = (size_t)net->fa, nc = (size_t)net->n_charge;
    for (int64_t i = first; i < last; i++, y += ldy) {
        const real *old =
            p > 0 ? t->a[p] + (size_t)i * fa : net->embedding + (size_t)t->species[i] * fa;
        real *a = t->a[p + 1] + (size_t)i * fa;
        for (size_t f = 0; f < fa; f++)
            a[f] = old[f] + y[f];
        memcpy(t->y[p] + (size_t)i * 2 * nc, y + fa, 2 * nc * sizeof(real));
    }
}

/* A linear last layer, the rule, is summed in double: it carries the atom's whole energy, of which
 * float would keep only 1e-6 eV or so. */
static void run_head(const net_run *run, int h, int64_t first, int64_t last, const real *aim,
                     size_t ld, real *const work[2])
{
    const aim_net *net = run->net;
    const net_mlp *mlp = &net->head[h];
    const net_layer *end = &mlp->layer[mlp->n_layers - 1];
    const size_t width = (size_t)net->head_width[h];
    real *slope = at_rows(run->acts.head_slope[h], first, mlp->slope_width),
         *store = at_rows(run->acts.head[h].x, first, mlp->x_width);
    double *out = run->call->head[net->head_output[h]] + (size_t)first * width;
    const mlp_run m = {.mlp = mlp,
                       .x = aim,
                       .ldx = ld,
                       .slope = slope,
                       .curve = at_rows(run->acts.head_curve[h], first, mlp->slope_width),
                       .store = store,
                       .work = {work[0], work[1]}};
    for (int64_t i = 0; store && i < last - first; i++)
        memcpy(store + (size_t)i * (size_t)mlp->x_width, aim + (size_t)i * ld, ld * sizeof(real));
    size_t ldy;
    const real *y = run_mlp(net, &m, mlp->n_layers - (end->plain ? 1 : 0), last - first, &ldy);
    if (end->plain) {
        const aim_linear_out_args args = {.n_in = end->n_in,
                                          .n_out = end->n_out,
                                          .w = end->plain,
                                          .bias = end->bias,
                                          .x = y,
                                          .ldx = ldy,
                                          .out = out};
        net->k->linear_out(&args, 0, last - first);
        return;
    }
    for (int64_t i = first; i < last; i++, y += ldy, out += width)
        for (size_t c = 0; c < width; c++)
            out[c] = (double)y[c];
}

static void pass_task(void *ctx, int64_t task, int worker)
{
    const net_run *run = ctx;
    const aim_net *net = run->net;
    const net_acts *t = &run->acts;
    const int p = run->pass, last_pass = p == net->n_pass - 1;
    const net_mlp *mlp = &net->mlp[p];
    int64_t first, last;
    aim_net_task_rows(run, task, &first, &last);
    real *work = t->scratch + (size_t)worker * t->scratch_size + t->conv_scratch;
    real *store = at_rows(t->pass[p].x, first, mlp->x_width),
         *x = store ? store : work + NET_ROWS_MAX * net->ld_hidden;
    const mlp_run m = {.mlp = mlp,
                       .x = x,
                       .ldx = (size_t)(store ? mlp->x_width : mlp->layer[0].ld_in),
                       .slope = at_rows(t->slope[p], first, mlp->slope_width),
                       .curve = at_rows(t->curve[p], first, mlp->slope_width),
                       .store = store,
                       .bias_row = p == 0 ? t->species + first : NULL,
                       .work = {work, work + NET_ROWS_MAX * net->ld_hidden}};
    gather_input(run, first, last, worker, x, m.ldx);
    size_t ldy;
    const real *y = run_mlp(net, &m, mlp->n_layers, last - first, &ldy);
    if (!last_pass) {
        update_features(run, first, last, y, ldy);
        return;
    }
    real *aim = t->aim + (size_t)first * ldy;
    memcpy(aim, y, (size_t)(last - first) * ldy * sizeof(real));
    for (int h = 0; h < net->n_heads; h++)
        run_head(run, h, first, last, aim, ldy, m.work);
}

static void features_task(void *ctx, int64_t task, int worker)
{
    const net_run *run = ctx;
    const aim_net *net = run->net;
    const aim_batch *b = run->call->batch;
    const aim_pairs *l = run->call->pairs;
    const net_acts *t = &run->acts;
    (void)worker;
    int64_t first, last;
    aim_net_task_rows(run, task, &first, &last);
    for (int64_t i = first; i < last; i++)
        t->species[i] = net->species_of[b->numbers[i]];
    const aim_pair_features_args args = {.coord = b->coord,
                                         .cell = b->cell,
                                         .system = b->system,
                                         .row = l->row,
                                         .j = l->j,
                                         .shift = (const int32_t(*)[3])l->shift,
                                         .nshifts = net->nshifts,
                                         .gp = net->gp,
                                         .rc = net->model->rc,
                                         .eta = net->model->eta,
                                         .shifts = net->shifts,
                                         .u = t->u,
                                         .gs = t->gs,
                                         .dgs = t->dgs,
                                         .ddgs = t->ddgs};
    net->k->pair_features(&args, first, last);
    if (!net->d2) /* without d2features the first convolution gathers the plain embedding */
        for (int64_t i = first; i < last; i++)
            memcpy(t->a[0] + (size_t)i * (size_t)net->fa,
                   net->embedding + (size_t)t->species[i] * (size_t)net->fa,
                   (size_t)net->fa * sizeof(real));
}

static void charge_task(void *ctx, int64_t task, int worker)
{
    const net_run *run = ctx;
    (void)worker;
    const aim_charge_args args = AIM_NAMED(aim_net_charge_args)(run);
    run->net->k->charge_eq_fwd(&args, task, task + 1);
}

static void report_charges(const net_run *run)
{
    const int nc = run->net->n_charge;
    const real *q = run->acts.q[run->net->n_pass - 2];
    for (int32_t i = 0; i < run->call->batch->n_atoms; i++, q += nc) {
        run->call->q[i] = nc == 2 ? (double)q[0] + (double)q[1] : (double)q[0];
        if (nc == 2 && run->call->spin)
            run->call->spin[i] = (double)q[0] - (double)q[1];
    }
}

aim_status AIM_NAMED(aim_net_forward)(const void *object, aim_net_call *call)
{
    net_run run = AIM_NAMED(aim_net_run)(object, call);
    if (call->arena->overflow)
        return AIM_FAIL(AIMNET_ERR_INTERNAL, "the network's workspace is smaller than its layout");
    AIM_NAMED(aim_net_for_rows)(&run, features_task);
    for (run.pass = 0; run.pass < run.net->n_pass; run.pass++) {
        AIM_NAMED(aim_net_for_rows)(&run, pass_task);
        if (run.pass < run.net->n_pass - 1)
            AIM_NAMED(aim_net_for_systems)(&run, charge_task);
    }
    report_charges(&run);
    return AIMNET_OK;
}
