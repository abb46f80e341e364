/* SPDX-License-Identifier: MIT */
/* tangent_forward.c - forward.c, differentiated along n_dir directions at once: tangents of charges
 * and heads.
 *
 * A row is an atom in a direction; rows go through the same steps as atoms do in forward.c, in
 * tasks of the same size, so that products of weights run at full speed for small systems as well.
 * Activations, slopes, projected vectors and pair features are those that forward kept: the primal
 * is computed once for all directions. */
#include <string.h>

#include "net/net_impl.h"

typedef struct mlp_tan {
    const net_mlp *mlp;
    const real *slope; /* [n][slope_width] */
    real *tz;          /* [rows][slope_width] */
    real *store;       /* [rows][x_width] of this task, or NULL */
    const real *x;     /* [rows][ldx] of this task */
    size_t ldx;
    real *work[2];
} mlp_tan;

/* The first n_layers layers of the rows [first, last); returns the output of the first of them. */
static const real *run_mlp(const net_tan_run *r, const mlp_tan *m, int n_layers, int64_t first,
                           int64_t last, size_t *ld)
{
    const aim_net *net = r->run.net;
    const size_t width = (size_t)m->mlp->slope_width;
    const real *x = m->x;
    size_t ldx = m->ldx, slope = 0, kept = 0;
    for (int l = 0; l < n_layers; l++) {
        const net_layer *layer = &m->mlp->layer[l];
        kept += (size_t)layer->ld_in;
        const int keep = m->store && l + 1 < m->mlp->n_layers;
        real *y = keep ? m->store + kept : m->work[l % 2];
        const size_t ldy = (size_t)(keep ? m->mlp->x_width : layer->ld_out), to = (size_t)first;
        const aim_linear_tan_args args = {.n_in = layer->n_in,
                                          .n_out = layer->ld_out,
                                          .w = layer->w_fwd,
                                          .n = r->run.call->batch->n_atoms,
                                          .slope = layer->gelu ? m->slope + slope : NULL,
                                          .ldslope = width,
                                          .x = x - to * ldx,
                                          .ldx = ldx,
                                          .tz = layer->gelu ? m->tz + slope : NULL,
                                          .ldtz = width,
                                          .y = y - to * ldy,
                                          .ldy = ldy};
        net->k->linear_fwd_tan(&args, first, last);
        slope += layer->gelu ? (size_t)layer->ld_out : 0;
        x = y;
        ldx = ldy;
    }
    *ld = ldx;
    return x;
}

/* Tangents of a pass's input; x is indexed by the task's local row. */
static void gather_input(const net_tan_run *r, int64_t first, int64_t last, int worker, real *x,
                         size_t ldx)
{
    const aim_net *net = r->run.net;
    const int p = r->run.pass;
    const net_columns c = aim_net_columns(net, p);
    real *base = x - (size_t)first * ldx;
    aim_conv_tan_args conv = AIM_NAMED(aim_net_conv_tan_args)(r, 0, worker);
    conv.ldtx = ldx;
    conv.txs = base + c.xs;
    conv.txv = base + c.xv;
    if (p == 0 && net->d2) {
        net->k->conv_embed_fwd_tan(&conv, first, last);
        return;
    }
    if (net->d2)
        net->k->conv_fwd_tan(&conv, first, last);
    else
        net->k->conv_plain_fwd_tan(&conv, first, last);
    if (p == 0)
        return;
    aim_conv_tan_args charge = AIM_NAMED(aim_net_conv_tan_args)(r, 1, worker);
    charge.ldtx = ldx;
    charge.txs = base + c.qs;
    charge.txv = base + c.qv;
    net->k->conv_plain_fwd_tan(&charge, first, last);
    for (int64_t i = first; i < last; i++) {
        real *row = base + (size_t)i * ldx;
        memcpy(row + c.a, conv.ta + (size_t)i * conv.ldta, conv.ldta * sizeof(real));
        memcpy(row + c.q, charge.ta + (size_t)i * charge.ldta, charge.ldta * sizeof(real));
    }
}

static void update_features(const net_tan_run *r, int64_t first, int64_t last, const real *ty,
                            size_t ldy)
{
    const int p = r->run.pass;
    const size_t fa = (size_t)r->run.net->fa, nc2 = 2 * (size_t)r->run.net->n_charge;
    for (int64_t i = first; i < last; i++, ty += ldy) {
        const real *old = p > 0 ? r->t.ta[p] + (size_t)i * fa : NULL;
        real *ta = r->t.ta[p + 1] + (size_t)i * fa;
        for (size_t f = 0; f < fa; f++)
            ta[f] = (old ? old[f] : 0) + ty[f];
        memcpy(r->t.ty[p] + (size_t)i * nc2, ty + fa, nc2 * sizeof(real));
    }
}

static void run_head(const net_tan_run *r, int h, int64_t first, int64_t last, const real *taim,
                     size_t ld, real *const work[2])
{
    const aim_net *net = r->run.net;
    const net_mlp *mlp = &net->head[h];
    const net_layer *end = &mlp->layer[mlp->n_layers - 1];
    const size_t width = (size_t)net->head_width[h];
    double *out = r->tan->thead[net->head_output[h]];
    real *store = r->t.head[h].x ? r->t.head[h].x + (size_t)first * (size_t)mlp->x_width : NULL;
    for (int64_t i = 0; store && i < last - first; i++)
        memcpy(store + (size_t)i * (size_t)mlp->x_width, taim + (size_t)i * ld, ld * sizeof(real));
    const mlp_tan m = {.mlp = mlp,
                       .slope = r->run.acts.head_slope[h],
                       .tz = r->t.head_tz[h],
                       .store = store,
                       .x = taim,
                       .ldx = ld,
                       .work = {work[0], work[1]}};
    size_t ldy;
    const real *ty = run_mlp(r, &m, mlp->n_layers - (end->plain ? 1 : 0), first, last, &ldy);
    if (!out)
        return;
    out += (size_t)first * width;
    if (end->plain) {
        const aim_linear_out_args args = {.n_in = end->n_in,
                                          .n_out = end->n_out,
                                          .w = end->plain,
                                          .bias = r->t.zero,
                                          .x = ty,
                                          .ldx = ldy,
                                          .out = out};
        net->k->linear_out(&args, 0, last - first);
        return;
    }
    for (int64_t i = first; i < last; i++, ty += ldy, out += width)
        for (size_t c = 0; c < width; c++)
            out[c] = (double)ty[c];
}

static void pass_task(void *ctx, int64_t task, int worker)
{
    const net_tan_run *r = ctx;
    const aim_net *net = r->run.net;
    const int p = r->run.pass;
    const net_mlp *mlp = &net->mlp[p];
    int64_t first, last;
    aim_net_task_tan_rows(r, task, &first, &last);
    real *work = r->t.scratch + (size_t)worker * r->t.scratch_size + r->t.conv_scratch;
    real *const spare = work + 2 * NET_ROWS_MAX * net->ld_hidden;
    real *store = r->t.pass[p].x ? r->t.pass[p].x + (size_t)first * (size_t)mlp->x_width : NULL,
         *x = store ? store : work + NET_ROWS_MAX * net->ld_hidden;
    const mlp_tan m = {.mlp = mlp,
                       .slope = r->run.acts.slope[p],
                       .tz = r->t.tz[p],
                       .store = store,
                       .x = x,
                       .ldx = (size_t)(store ? mlp->x_width : mlp->layer[0].ld_in),
                       .work = {work, work + NET_ROWS_MAX * net->ld_hidden}};
    gather_input(r, first, last, worker, x, m.ldx);
    size_t ldy;
    const real *ty = run_mlp(r, &m, mlp->n_layers, first, last, &ldy);
    if (p < net->n_pass - 1) {
        update_features(r, first, last, ty, ldy);
        return;
    }
    memcpy(spare, ty, (size_t)(last - first) * ldy * sizeof(real)); /* read by every head */
    for (int h = 0; h < net->n_heads; h++)
        run_head(r, h, first, last, spare, ldy, m.work);
}

static void features_task(void *ctx, int64_t task, int worker)
{
    const net_tan_run *r = ctx;
    const aim_batch *b = r->run.call->batch;
    const aim_pairs *l = r->run.call->pairs;
    (void)worker;
    int64_t first, last;
    aim_net_task_tan_rows(r, task, &first, &last);
    const aim_pair_tan_args args = {.coord = b->coord,
                                    .cell = b->cell,
                                    .system = b->system,
                                    .row = l->row,
                                    .j = l->j,
                                    .shift = (const int32_t(*)[3])l->shift,
                                    .n_atoms = b->n_atoms,
                                    .n_systems = b->n_systems,
                                    .tx = r->tan->tx,
                                    .w = r->tan->w,
                                    .tu = r->t.tu};
    r->run.net->k->pair_features_tan(&args, first, last);
    if (r->t.ta[0])
        memset(r->t.ta[0] + (size_t)first * (size_t)r->run.net->fa, 0,
               (size_t)(last - first) * (size_t)r->run.net->fa * sizeof(real));
}

static void charge_task(void *ctx, int64_t task, int worker)
{
    const net_tan_run *r = ctx;
    (void)worker;
    const aim_charge_tan_args args = AIM_NAMED(aim_net_charge_tan_args)(r);
    r->run.net->k->charge_eq_fwd_tan(&args, task, task + 1);
}

static void report_charges(const net_tan_run *r)
{
    const int nc = r->run.net->n_charge;
    const real *tq = r->t.tq[r->run.net->n_pass - 2];
    for (int64_t i = 0; i < r->n_rows; i++, tq += nc) {
        r->tan->tq[i] = nc == 2 ? (double)tq[0] + (double)tq[1] : (double)tq[0];
        if (nc == 2 && r->tan->tspin)
            r->tan->tspin[i] = (double)tq[0] - (double)tq[1];
    }
}

aim_status AIM_NAMED(aim_net_tangent_forward)(const void *object, aim_net_call *call,
                                              aim_net_tan *tan)
{
    net_tan_run r = AIM_NAMED(aim_net_tan_run)(object, call, tan);
    if (tan->arena->overflow)
        return AIM_FAIL(AIMNET_ERR_INTERNAL, "the tangents' workspace is smaller than its layout");
    memset(r.t.zero, 0, r.run.net->ld_hidden * sizeof(real));
    AIM_NAMED(aim_net_for_tan_rows)(&r, features_task);
    for (r.run.pass = 0; r.run.pass < r.run.net->n_pass; r.run.pass++) {
        AIM_NAMED(aim_net_for_tan_rows)(&r, pass_task);
        if (r.run.pass < r.run.net->n_pass - 1)
            AIM_NAMED(aim_net_for_tan_systems)(&r, charge_task);
    }
    report_charges(&r);
    return AIMNET_OK;
}
