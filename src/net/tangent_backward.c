/* SPDX-License-Identifier: MIT */
/* tangent_backward.c - backward.c, differentiated along n_dir directions at once: from tangents of
 * the adjoints of heads and charges to those of dE/dr and of dE/dstrain.
 *
 * With the seeds tgq and tghead of the terms' tangents, this is the Hessian times a vector. With
 * the seeds of a loss added (docs/math/tangents.md), the tangent adjoints on the way are what its
 * gradient by the weights is made of (weights.c). */
#include <string.h>

#include "net/net_impl.h"

typedef struct mlp_tan {
    const net_mlp *mlp;
    const real *slope, *bend; /* [n][slope_width] gelu', gy gelu'' */
    real *tz;                 /* [rows][slope_width] */
    real *store;              /* [rows][z_width] of this task, or NULL */
    real *work[2];            /* work[0] holds the tangent of the output's adjoint */
} mlp_tan;

static real *back_mlp(const net_tan_run *r, const mlp_tan *m, int64_t first, int64_t last)
{
    const size_t width = (size_t)m->mlp->slope_width, to = (size_t)first;
    size_t slope = width, kept = (size_t)m->mlp->z_width;
    real *tgy = m->work[0];
    for (int l = m->mlp->n_layers - 1, k = 1; l >= 0; l--, k = 1 - k) {
        const net_layer *layer = &m->mlp->layer[l];
        const size_t ldy = (size_t)layer->ld_out, ldx = (size_t)layer->ld_in;
        slope -= layer->gelu ? ldy : 0;
        const aim_linear_tan_args args = {.n_in = layer->ld_in,
                                          .n_out = layer->n_out,
                                          .w = layer->w_bwd,
                                          .n = r->run.call->batch->n_atoms,
                                          .slope = layer->gelu ? m->slope + slope : NULL,
                                          .bend = m->bend + slope,
                                          .ldslope = width,
                                          .tz = m->tz + slope,
                                          .ldtz = width,
                                          .y = tgy - to * ldy,
                                          .ldy = ldy,
                                          .gx = m->work[k] - to * ldx,
                                          .ldgx = ldx};
        r->run.net->k->linear_bwd_tan(&args, first, last);
        kept -= ldy;
        for (size_t i = 0; m->store && i < (size_t)(last - first); i++)
            memcpy(m->store + i * (size_t)m->mlp->z_width + kept, tgy + i * ldy, ldy * sizeof *tgy);
        tgy = m->work[k];
    }
    return tgy;
}

static real *at_rows(real *x, int64_t first, int width)
{
    return x ? x + (size_t)first * (size_t)width : NULL;
}

/* A head without a seed still has the first-order adjoint of its output, hence a tangent; one
 * without an adjoint has neither. */
static void back_heads(const net_tan_run *r, int64_t first, int64_t last, real *tgaim, size_t ld,
                       real *const work[2])
{
    const aim_net *net = r->run.net;
    memset(tgaim, 0, (size_t)(last - first) * ld * sizeof(real));
    for (int h = 0; h < net->n_heads; h++) {
        const double *g = r->tan->tghead[net->head_output[h]];
        const net_mlp *mlp = &net->head[h];
        const size_t width = (size_t)net->head_width[h],
                     ldy = (size_t)mlp->layer[mlp->n_layers - 1].ld_out;
        if (!r->run.call->ghead[net->head_output[h]])
            continue;
        for (int64_t i = first; i < last; i++)
            for (size_t c = 0; c < ldy; c++)
                work[0][(size_t)(i - first) * ldy + c] =
                    g && c < width ? (real)g[(size_t)i * width + c] : 0;
        const mlp_tan m = {mlp,
                           r->run.acts.head_slope[h],
                           r->run.acts.head_curve[h],
                           r->t.head_tz[h],
                           at_rows(r->t.head[h].gz, first, mlp->z_width),
                           {work[0], work[1]}};
        const real *tgx = back_mlp(r, &m, first, last);
        const size_t ldx = (size_t)mlp->layer[0].ld_in, n = (size_t)mlp->layer[0].n_in;
        for (int64_t i = 0; i < last - first; i++)
            for (size_t c = 0; c < n; c++)
                tgaim[(size_t)i * ld + c] += tgx[(size_t)i * ldx + c];
    }
}

static void output_adjoint(const net_tan_run *r, int64_t first, int64_t last, real *tgy, size_t ld)
{
    const int p = r->run.pass;
    const size_t fa = (size_t)r->run.net->fa, nc2 = 2 * (size_t)r->run.net->n_charge;
    const real *tga = r->t.tga[(p + 1) % 2];
    for (int64_t i = first; i < last; i++, tgy += ld) {
        memcpy(tgy, tga + (size_t)i * fa, fa * sizeof(real));
        memcpy(tgy + fa, r->t.tgy[p] + (size_t)i * nc2, nc2 * sizeof(real));
        memset(tgy + fa + nc2, 0, (ld - fa - nc2) * sizeof(real));
    }
}

static void input_adjoint(const net_tan_run *r, int64_t first, int64_t last, const real *tgx,
                          size_t ldx)
{
    const aim_net *net = r->run.net;
    const int p = r->run.pass;
    const net_columns c = aim_net_columns(net, p);
    const size_t fa = (size_t)net->fa, nc = (size_t)net->n_charge;
    const real *later = p < net->n_pass - 1 ? r->t.tga[(p + 1) % 2] : NULL;
    for (int64_t i = first; i < last; i++, tgx += ldx) {
        real *tga = r->t.tga[p % 2] + (size_t)i * fa, *tgq = r->t.tgq[p - 1] + (size_t)i * nc;
        for (size_t f = 0; f < fa; f++)
            tga[f] = tgx[c.a + (int)f] + (later ? later[(size_t)i * fa + f] : 0);
        for (size_t k = 0; k < nc; k++)
            tgq[k] += tgx[c.q + (int)k];
    }
}

static void keep_vectors(real *kept, const real *tgxv, size_t ldtgx, int64_t first, int64_t last,
                         size_t width)
{
    for (size_t i = (size_t)first; kept && i < (size_t)last; i++)
        memcpy(kept + i * width, tgxv + i * ldtgx, width * sizeof *kept);
}

static void project_back(const net_tan_run *r, int64_t first, int64_t last, int worker,
                         const real *tgx, size_t ldx)
{
    const aim_net *net = r->run.net;
    const int p = r->run.pass;
    const net_columns c = aim_net_columns(net, p);
    const real *base = tgx - (size_t)first * ldx;
    aim_conv_tan_args conv = AIM_NAMED(aim_net_conv_tan_args)(r, 0, worker);
    conv.tgxs = base + c.xs;
    conv.tgxv = base + c.xv;
    conv.ldtgx = ldx;
    net->k->conv_project_bwd_tan(&conv, first, last);
    keep_vectors(r->t.tgxv[p], conv.tgxv, ldx, first, last, conv.of.ldgx);
    if (p == 0) {
        if (net->d2)
            net->k->conv_embed_bwd_pair_tan(&conv, first, last);
        else
            net->k->conv_plain_bwd_pair_tan(&conv, first, last);
        return;
    }
    aim_conv_tan_args charge = AIM_NAMED(aim_net_conv_tan_args)(r, 1, worker);
    charge.tgxs = base + c.qs;
    charge.tgxv = base + c.qv;
    charge.ldtgx = ldx;
    net->k->conv_project_bwd_tan(&charge, first, last);
    keep_vectors(r->t.tgxvq[p], charge.tgxv, ldx, first, last, charge.of.ldgx);
}

static void mlp_task(void *ctx, int64_t task, int worker)
{
    const net_tan_run *r = ctx;
    const aim_net *net = r->run.net;
    const int p = r->run.pass;
    const net_mlp *mlp = &net->mlp[p];
    int64_t first, last;
    aim_net_task_tan_rows(r, task, &first, &last);
    real *work = r->t.scratch + (size_t)worker * r->t.scratch_size + r->t.conv_scratch;
    real *const tgaim = work + 2 * NET_ROWS_MAX * net->ld_hidden;
    const mlp_tan m = {mlp,
                       r->run.acts.slope[p],
                       r->run.acts.curve[p],
                       r->t.tz[p],
                       at_rows(r->t.pass[p].gz, first, mlp->z_width),
                       {work, work + NET_ROWS_MAX * net->ld_hidden}};
    const size_t ldy = (size_t)mlp->layer[mlp->n_layers - 1].ld_out;
    if (p == net->n_pass - 1) {
        back_heads(r, first, last, tgaim, ldy, m.work);
        memcpy(m.work[0], tgaim, (size_t)(last - first) * ldy * sizeof(real));
    } else {
        output_adjoint(r, first, last, m.work[0], ldy);
    }
    const real *tgx = back_mlp(r, &m, first, last);
    const size_t ldx = (size_t)mlp->layer[0].ld_in;
    if (p > 0)
        input_adjoint(r, first, last, tgx, ldx);
    project_back(r, first, last, worker, tgx, ldx);
}

static void conv_task(void *ctx, int64_t task, int worker)
{
    const net_tan_run *r = ctx;
    const aim_net *net = r->run.net;
    const int p = r->run.pass;
    int64_t first, last;
    aim_net_task_tan_rows(r, task, &first, &last);
    aim_conv_tan_args conv = AIM_NAMED(aim_net_conv_tan_args)(r, 0, worker);
    conv.tga = r->t.tga[p % 2];
    conv.ldtga = (size_t)net->fa;
    if (net->d2) {
        net->k->conv_bwd_pair_tan(&conv, first, last);
        net->k->conv_bwd_feature_tan(&conv, first, last);
    } else {
        net->k->conv_plain_bwd_pair_tan(&conv, first, last);
        net->k->conv_plain_bwd_feature_tan(&conv, first, last);
    }
    aim_conv_tan_args charge = AIM_NAMED(aim_net_conv_tan_args)(r, 1, worker);
    charge.tga = r->t.tgq[p - 1];
    charge.ldtga = (size_t)net->n_charge;
    net->k->conv_plain_bwd_pair_tan(&charge, first, last);
    net->k->conv_plain_bwd_feature_tan(&charge, first, last);
}

/* Only gradients by the embedding ask for it. */
static void embedding_task(void *ctx, int64_t task, int worker)
{
    const net_tan_run *r = ctx;
    const aim_net *net = r->run.net;
    int64_t first, last;
    aim_net_task_tan_rows(r, task, &first, &last);
    aim_conv_tan_args conv = AIM_NAMED(aim_net_conv_tan_args)(r, 0, worker);
    conv.tga = r->t.tga0;
    conv.ldtga = (size_t)net->fa;
    memset(conv.tga + (size_t)first * conv.ldtga, 0,
           (size_t)(last - first) * conv.ldtga * sizeof(real));
    if (net->d2)
        net->k->conv_bwd_feature_tan(&conv, first, last);
    else
        net->k->conv_plain_bwd_feature_tan(&conv, first, last);
}

static void charge_task(void *ctx, int64_t task, int worker)
{
    const net_tan_run *r = ctx;
    (void)worker;
    const aim_charge_tan_args args = AIM_NAMED(aim_net_charge_tan_args)(r);
    r->run.net->k->charge_eq_bwd_tan(&args, task, task + 1);
}

static aim_gather_tan_args gather_args(const net_tan_run *r)
{
    const aim_batch *b = r->run.call->batch;
    const aim_pairs *l = r->run.call->pairs;
    return (aim_gather_tan_args){.of = {.coord = b->coord,
                                        .cell = b->cell,
                                        .system = b->system,
                                        .offset = b->offset,
                                        .row = l->row,
                                        .reverse = l->reverse,
                                        .j = l->j,
                                        .shift = (const int32_t(*)[3])l->shift,
                                        .gr = r->run.acts.gr},
                                 .n_atoms = b->n_atoms,
                                 .n_systems = b->n_systems,
                                 .tx = r->tan->tx,
                                 .w = r->tan->w,
                                 .tgr = r->t.tgr,
                                 .tgrad = r->tan->tgrad,
                                 .tstrain = r->tan->tstrain};
}

static void gather_task(void *ctx, int64_t task, int worker)
{
    const net_tan_run *r = ctx;
    (void)worker;
    int64_t first, last;
    aim_net_task_tan_rows(r, task, &first, &last);
    const aim_gather_tan_args args = gather_args(r);
    r->run.net->k->pair_gather_tan(&args, first, last);
}

static void strain_task(void *ctx, int64_t task, int worker)
{
    const net_tan_run *r = ctx;
    (void)worker;
    const aim_gather_tan_args args = gather_args(r);
    r->run.net->k->pair_strain_tan(&args, task, task + 1);
}

static void seed_charges(const net_tan_run *r)
{
    const int nc = r->run.net->n_charge, final = r->run.net->n_pass - 2;
    for (int p = 0; p < final; p++)
        memset(r->t.tgq[p], 0, (size_t)r->n_rows * (size_t)nc * sizeof(real));
    for (int64_t i = 0; i < r->n_rows; i++) {
        const double g = r->tan->tgq ? r->tan->tgq[i] : 0.0,
                     s = r->tan->tgspin && nc == 2 ? r->tan->tgspin[i] : 0.0;
        real *tgq = r->t.tgq[final] + (size_t)i * (size_t)nc;
        tgq[0] = (real)(g + s);
        if (nc == 2)
            tgq[1] = (real)(g - s);
    }
}

void AIM_NAMED(aim_net_tangent_backward)(const void *object, aim_net_call *call, aim_net_tan *tan)
{
    net_tan_run r = AIM_NAMED(aim_net_tan_run)(object, call, tan);
    memset(r.t.tgr, 0, (size_t)tan->n_dir * (size_t)call->pairs->n_pairs * 3 * sizeof(real));
    seed_charges(&r);
    for (int p = r.run.net->n_pass - 1; p > 0; p--) {
        r.run.pass = p;
        AIM_NAMED(aim_net_for_tan_rows)(&r, mlp_task);
        AIM_NAMED(aim_net_for_tan_rows)(&r, conv_task);
        r.run.pass = p - 1;
        AIM_NAMED(aim_net_for_tan_systems)(&r, charge_task);
    }
    AIM_NAMED(aim_net_for_tan_rows)(&r, mlp_task);
    if (call->want_grad == AIM_NET_TRAIN)
        AIM_NAMED(aim_net_for_tan_rows)(&r, embedding_task);
    if (tan->tgrad)
        AIM_NAMED(aim_net_for_tan_rows)(&r, gather_task);
    if (tan->tstrain)
        AIM_NAMED(aim_net_for_tan_systems)(&r, strain_task);
}
