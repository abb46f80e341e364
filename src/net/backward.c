/* SPDX-License-Identifier: MIT */
/* backward.c - adjoints of heads and charges to dE/dr and strain: forward.c in reverse.
 *
 * Per pass, last to first: MLP and projection of a block of atoms; then, with all adjoints of S in
 * place, every atom gathers dE/da and dE/dq from its neighbours and adds to the gradients of its
 * pairs; then charge equilibration of the pass before. At the end pair gradients of all passes
 * become forces and strain once. */
#include <string.h>

#include "net/net_impl.h"

typedef struct mlp_back {
    const net_mlp *mlp;
    real *slope;   /* [rows][slope_width] of this task */
    real *curve;   /* likewise, or NULL */
    real *store;   /* [rows][z_width] where the layers' gz are kept, or NULL */
    real *work[2]; /* work[0] holds the output's adjoint on entry */
} mlp_back;

/* Row `first` of an array that may not exist. */
static real *at_rows(real *x, int64_t first, int width)
{
    return x ? x + (size_t)first * (size_t)width : NULL;
}

/* Adjoint of the input; stands in work[n_layers % 2] with leading dimension ld_in of the first
 * layer. */
static real *back_mlp(const aim_net *net, const mlp_back *m, int64_t rows)
{
    size_t slope = (size_t)m->mlp->slope_width, kept = (size_t)m->mlp->z_width;
    real *gy = m->work[0];
    for (int l = m->mlp->n_layers - 1, k = 1; l >= 0; l--, k = 1 - k) {
        const net_layer *layer = &m->mlp->layer[l];
        slope -= layer->gelu ? (size_t)layer->ld_out : 0;
        const aim_linear_args args = {.n_in = layer->ld_in,
                                      .n_out = layer->n_out,
                                      .w = layer->w_bwd,
                                      .y = gy,
                                      .ldy = (size_t)layer->ld_out,
                                      .slope = layer->gelu ? m->slope + slope : NULL,
                                      .ldslope = (size_t)m->mlp->slope_width,
                                      .curve = layer->gelu && m->curve ? m->curve + slope : NULL,
                                      .gx = m->work[k],
                                      .ldgx = (size_t)layer->ld_in};
        net->k->linear_bwd(&args, 0, rows);
        kept -= (size_t)layer->ld_out;
        for (int64_t r = 0; m->store && r < rows; r++)
            memcpy(m->store + (size_t)r * (size_t)m->mlp->z_width + kept,
                   gy + (size_t)r * (size_t)layer->ld_out, (size_t)layer->ld_out * sizeof *gy);
        gy = m->work[k];
    }
    return gy;
}

/* Adjoint of aim: the sum over the heads that carry one. */
static void back_heads(const net_run *run, int64_t first, int64_t last, real *gaim, size_t ld,
                       real *const work[2])
{
    const aim_net *net = run->net;
    memset(gaim, 0, (size_t)(last - first) * ld * sizeof(real));
    for (int h = 0; h < net->n_heads; h++) {
        const double *g = run->call->ghead[net->head_output[h]];
        if (!g)
            continue;
        const net_mlp *mlp = &net->head[h];
        const size_t width = (size_t)net->head_width[h],
                     ldy = (size_t)mlp->layer[mlp->n_layers - 1].ld_out;
        for (int64_t i = first; i < last; i++)
            for (size_t c = 0; c < ldy; c++)
                work[0][(size_t)(i - first) * ldy + c] =
                    c < width ? (real)g[(size_t)i * width + c] : 0;
        const mlp_back m = {mlp,
                            at_rows(run->acts.head_slope[h], first, mlp->slope_width),
                            at_rows(run->acts.head_curve[h], first, mlp->slope_width),
                            at_rows(run->acts.head[h].gz, first, mlp->z_width),
                            {work[0], work[1]}};
        const real *gx = back_mlp(net, &m, last - first);
        const size_t ldx = (size_t)mlp->layer[0].ld_in, n = (size_t)mlp->layer[0].n_in;
        for (int64_t i = 0; i < last - first; i++)
            for (size_t c = 0; c < n; c++)
                gaim[(size_t)i * ld + c] += gx[(size_t)i * ldx + c];
    }
}

/* Adjoint of a pass's output: of the features of the next pass and of the raw charges. */
static void output_adjoint(const net_run *run, int64_t first, int64_t last, real *gy, size_t ld)
{
    const net_acts *t = &run->acts;
    const size_t fa = (size_t)run->net->fa, nc2 = 2 * (size_t)run->net->n_charge;
    const real *ga = t->ga[(run->pass + 1) % 2];
    for (int64_t i = first; i < last; i++, gy += ld) {
        memcpy(gy, ga + (size_t)i * fa, fa * sizeof(real));
        memcpy(gy + fa, t->gy[run->pass] + (size_t)i * nc2, nc2 * sizeof(real));
        memset(gy + fa + nc2, 0, (ld - fa - nc2) * sizeof(real));
    }
}

/* What the input's adjoint says about own features and charges (the rest goes through the
 * convolution). */
static void input_adjoint(const net_run *run, int64_t first, int64_t last, const real *gx,
                          size_t ldx)
{
    const aim_net *net = run->net;
    const net_acts *t = &run->acts;
    const int p = run->pass;
    const net_columns c = aim_net_columns(net, p);
    const size_t fa = (size_t)net->fa, nc = (size_t)net->n_charge;
    const real *later = p < net->n_pass - 1 ? t->ga[(p + 1) % 2]
                                            : NULL; /* a passes on to the next pass unchanged */
    for (int64_t i = first; i < last; i++, gx += ldx) {
        real *ga = t->ga[p % 2] + (size_t)i * fa, *gq = t->gq[p - 1] + (size_t)i * nc;
        for (size_t f = 0; f < fa; f++)
            ga[f] = gx[c.a + (int)f] + (later ? later[(size_t)i * fa + f] : 0);
        for (size_t k = 0; k < nc; k++)
            gq[k] += gx[c.q + (int)k];
    }
}

/* The adjoint of a pass's projected vectors, kept for tangents. */
static void keep_vectors(real *kept, const real *gxv, size_t ldgx, int64_t first, int64_t last,
                         int width)
{
    const size_t n = (size_t)width;
    for (size_t i = (size_t)first; kept && i < (size_t)last; i++)
        memcpy(kept + i * n, gxv + i * ldgx, n * sizeof *kept);
}

static void project_back(const net_run *run, int64_t first, int64_t last, int worker,
                         const real *gx, size_t ldx)
{
    const aim_net *net = run->net;
    const int p = run->pass;
    const net_columns c = aim_net_columns(net, p);
    const real *base = gx - (size_t)first * ldx;
    aim_conv_args conv = AIM_NAMED(aim_net_conv_args)(run, 0, worker);
    conv.v = run->acts.v[p];
    conv.gxs = base + c.xs;
    conv.gxv = base + c.xv;
    conv.ldgx = ldx;
    net->k->conv_project_bwd(&conv, first, last);
    keep_vectors(run->acts.gxv[p], conv.gxv, ldx, first, last, conv.nf * conv.ncomb);
    if (p == 0) {
        conv.a = run->acts.a[0];
        conv.lda = (size_t)net->fa;
        if (net->d2)
            net->k->conv_embed_bwd_pair(&conv, first, last);
        else
            net->k->conv_plain_bwd_pair(&conv, first, last);
        return;
    }
    aim_conv_args charge = AIM_NAMED(aim_net_conv_args)(run, 1, worker);
    charge.v = run->acts.vq[p];
    charge.gxs = base + c.qs;
    charge.gxv = base + c.qv;
    charge.ldgx = ldx;
    net->k->conv_project_bwd(&charge, first, last);
    keep_vectors(run->acts.gxvq[p], charge.gxv, ldx, first, last, charge.nf * charge.ncomb);
}

static void mlp_task(void *ctx, int64_t task, int worker)
{
    const net_run *run = ctx;
    const aim_net *net = run->net;
    const net_acts *t = &run->acts;
    const int p = run->pass;
    const net_mlp *mlp = &net->mlp[p];
    int64_t first, last;
    aim_net_task_rows(run, task, &first, &last);
    real *work = t->scratch + (size_t)worker * t->scratch_size + t->conv_scratch;
    const mlp_back m = {mlp,
                        at_rows(t->slope[p], first, mlp->slope_width),
                        at_rows(t->curve[p], first, mlp->slope_width),
                        at_rows(t->pass[p].gz, first, mlp->z_width),
                        {work, work + NET_ROWS_MAX * net->ld_hidden}};
    const size_t ldy = (size_t)mlp->layer[mlp->n_layers - 1].ld_out;
    if (p == net->n_pass - 1) {
        real *gaim = t->aim + (size_t)first * ldy; /* aim itself is no longer needed */
        back_heads(run, first, last, gaim, ldy, m.work);
        memcpy(m.work[0], gaim, (size_t)(last - first) * ldy * sizeof(real));
    } else {
        output_adjoint(run, first, last, m.work[0], ldy);
    }
    const real *gx = back_mlp(net, &m, last - first);
    const size_t ldx = (size_t)mlp->layer[0].ld_in;
    if (p > 0)
        input_adjoint(run, first, last, gx, ldx);
    project_back(run, first, last, worker, gx, ldx);
}

static void conv_task(void *ctx, int64_t task, int worker)
{
    const net_run *run = ctx;
    const aim_net *net = run->net;
    const net_acts *t = &run->acts;
    const int p = run->pass;
    int64_t first, last;
    aim_net_task_rows(run, task, &first, &last);
    aim_conv_args conv = AIM_NAMED(aim_net_conv_args)(run, 0, worker);
    conv.a = t->a[p];
    conv.lda = (size_t)net->fa;
    conv.ga = t->ga[p % 2];
    conv.ldga = (size_t)net->fa;
    if (net->d2) {
        net->k->conv_bwd_pair(&conv, first, last);
        net->k->conv_bwd_feature(&conv, first, last);
    } else {
        net->k->conv_plain_bwd_pair(&conv, first, last);
        net->k->conv_plain_bwd_feature(&conv, first, last);
    }
    aim_conv_args charge = AIM_NAMED(aim_net_conv_args)(run, 1, worker);
    charge.a = t->q[p - 1];
    charge.lda = (size_t)net->n_charge;
    charge.ga = t->gq[p - 1];
    charge.ldga = (size_t)net->n_charge;
    net->k->conv_plain_bwd_pair(&charge, first, last);
    net->k->conv_plain_bwd_feature(&charge, first, last);
}

static void charge_task(void *ctx, int64_t task, int worker)
{
    const net_run *run = ctx;
    (void)worker;
    const aim_charge_args args = AIM_NAMED(aim_net_charge_args)(run);
    run->net->k->charge_eq_bwd(&args, task, task + 1);
}

static aim_gather_args gather_args(const net_run *run)
{
    const aim_batch *b = run->call->batch;
    const aim_pairs *l = run->call->pairs;
    return (aim_gather_args){.coord = b->coord,
                             .cell = b->cell,
                             .system = b->system,
                             .offset = b->offset,
                             .row = l->row,
                             .reverse = l->reverse,
                             .j = l->j,
                             .shift = (const int32_t(*)[3])l->shift,
                             .gr = run->acts.gr,
                             .grad = run->call->grad,
                             .strain = run->call->strain};
}

static void gather_task(void *ctx, int64_t task, int worker)
{
    const net_run *run = ctx;
    (void)worker;
    int64_t first, last;
    aim_net_task_rows(run, task, &first, &last);
    const aim_gather_args args = gather_args(run);
    run->net->k->pair_gather(&args, first, last);
}

static void strain_task(void *ctx, int64_t task, int worker)
{
    const net_run *run = ctx;
    (void)worker;
    const aim_gather_args args = gather_args(run);
    run->net->k->pair_strain(&args, task, task + 1);
}

/* Adjoint of the final charges; zero for the earlier passes. */
static void seed_charges(const net_run *run)
{
    const aim_net_call *call = run->call;
    const int nc = run->net->n_charge, final = run->net->n_pass - 2;
    const size_t n = (size_t)call->batch->n_atoms;
    for (int p = 0; p < final; p++)
        memset(run->acts.gq[p], 0, n * (size_t)nc * sizeof(real));
    for (size_t i = 0; i < n; i++) {
        const double g = call->gq ? call->gq[i] : 0.0,
                     s = call->gspin && nc == 2 ? call->gspin[i] : 0.0;
        real *gq = run->acts.gq[final] + i * (size_t)nc;
        gq[0] = (real)(g + s);
        if (nc == 2)
            gq[1] = (real)(g - s);
    }
}

void AIM_NAMED(aim_net_backward)(const void *object, aim_net_call *call)
{
    net_run run = AIM_NAMED(aim_net_run)(object, call);
    memset(run.acts.gr, 0, (size_t)call->pairs->n_pairs * 3 * sizeof(real));
    seed_charges(&run);
    for (int p = run.net->n_pass - 1; p > 0; p--) {
        run.pass = p;
        AIM_NAMED(aim_net_for_rows)(&run, mlp_task);
        AIM_NAMED(aim_net_for_rows)(&run, conv_task);
        run.pass = p - 1;
        AIM_NAMED(aim_net_for_systems)(&run, charge_task);
    }
    AIM_NAMED(aim_net_for_rows)(&run, mlp_task);
    if (call->grad)
        AIM_NAMED(aim_net_for_rows)(&run, gather_task);
    if (call->strain)
        AIM_NAMED(aim_net_for_systems)(&run, strain_task);
}
