/* SPDX-License-Identifier: MIT */
/* tangent_layout.c - where the tangents of every intermediate live, and the arguments that the
 * steps of tangent_forward.c and tangent_backward.c hand to kernels. */
#include "net/net_impl.h"

int64_t AIM_NAMED(aim_net_rows)(int64_t n_atoms, int workers);

static real *take(aim_arena *arena, const char *name, int64_t rows, size_t width)
{
    return aim_take(arena, name, (size_t)rows * width, sizeof(real));
}

static void layout_pass(const aim_net *net, int64_t rows, int p, aim_arena *arena, net_tans *t)
{
    const size_t c = (size_t)net->n_charge;
    if (p > 0)
        t->ta[p] = take(arena, "ta", rows, (size_t)net->fa);
    if (p < net->n_pass - 1) {
        t->tq[p] = take(arena, "tq", rows, c);
        t->ty[p] = take(arena, "ty", rows, 2 * c);
        t->tgq[p] = take(arena, "tgq", rows, c);
        t->tgy[p] = take(arena, "tgy", rows, 2 * c);
    }
    t->tv[p] = take(arena, "tv", rows, (size_t)(3 * net->conv_a.nf * net->conv_a.hp));
    if (p > 0)
        t->tvq[p] = take(arena, "tvq", rows, 3 * c * (size_t)net->conv_q.hp);
    t->tz[p] = take(arena, "tz", rows, (size_t)net->mlp[p].slope_width);
}

static void layout_store(const net_mlp *mlp, int64_t rows, aim_arena *arena, net_store *store)
{
    store->x = take(arena, "tx", rows, (size_t)mlp->x_width);
    store->gz = take(arena, "tgz", rows, (size_t)mlp->z_width);
}

/* What gradients by parameters read. */
static void layout_parameters(const aim_net *net, int64_t rows, int workers, aim_arena *arena,
                              net_tans *t)
{
    const size_t width = 4 * (size_t)net->gp, c = (size_t)net->n_charge;
    for (int p = 0; p < net->n_pass; p++) {
        layout_store(&net->mlp[p], rows, arena, &t->pass[p]);
        t->ts[p] = take(arena, "ts", rows, (size_t)net->conv_a.nf * width);
        t->tgxv[p] = take(arena, "tgxv", rows, (size_t)(net->conv_a.nf * net->conv_a.ncomb));
        if (p == 0)
            continue;
        t->tsq[p] = take(arena, "ts", rows, c * width);
        t->tgxvq[p] = take(arena, "tgxv", rows, c * (size_t)net->conv_q.ncomb);
    }
    for (int h = 0; h < net->n_heads; h++)
        layout_store(&net->head[h], rows, arena, &t->head[h]);
    t->tga0 = take(arena, "tga0", rows, (size_t)net->fa);
    const size_t conv = (size_t)net->gp *
                        (size_t)(net->conv_a.hp > net->conv_q.hp ? net->conv_a.hp : net->conv_q.hp),
                 layer = NET_WEIGHT_ROWS * (net->ld_hidden + 1);
    t->partial_size = conv > layer ? conv : layer;
    t->partial = aim_take(arena, "partial", (size_t)workers * t->partial_size, sizeof *t->partial);
}

void AIM_NAMED(aim_net_tan_layout)(const aim_net *net, net_sizes s, int n_dir, aim_arena *arena,
                                   net_tans *t)
{
    const int64_t rows = (int64_t)n_dir * s.n_atoms, pairs = (int64_t)n_dir * s.n_pairs;
    *t = (net_tans){0};
    t->tu = take(arena, "tu", pairs, 4);
    t->tgr = take(arena, "tgr", pairs, 3);
    if (!net->d2) /* the plain convolution of pass 0 reads the tangents of its features: zero */
        t->ta[0] = take(arena, "ta", rows, (size_t)net->fa);
    for (int p = 0; p < net->n_pass; p++)
        layout_pass(net, rows, p, arena, t);
    for (int h = 0; h < net->n_heads; h++)
        t->head_tz[h] = take(arena, "head_tz", rows, (size_t)net->head[h].slope_width);
    for (int k = 0; k < 2; k++)
        t->tga[k] = take(arena, "tga", rows, (size_t)net->fa);
    t->ts_adj = take(arena, "ts_adj", rows, (size_t)(4 * net->conv_a.nf * net->gp));
    t->tsq_adj = take(arena, "tsq_adj", rows, (size_t)(4 * net->n_charge * net->gp));
    if (s.want_grad == AIM_NET_TRAIN)
        layout_parameters(net, rows, s.workers, arena, t);
    t->zero = take(arena, "zero", 1, net->ld_hidden);
    const size_t step = AIM_LANES;
    t->conv_scratch =
        (aim_conv_tan_scratch(net->gp, net->conv_a.nf, net->n_species, s.max_row) + step - 1) /
        step * step;
    t->scratch_size = t->conv_scratch + 3 * NET_ROWS_MAX * net->ld_hidden;
    t->scratch = take(arena, "scratch", s.workers, t->scratch_size);
}

net_tan_run AIM_NAMED(aim_net_tan_run)(const aim_net *net, aim_net_call *call, aim_net_tan *tan)
{
    net_tan_run r = {.run = AIM_NAMED(aim_net_run)(net, call), .tan = tan};
    const net_sizes sizes = {call->batch->n_atoms, call->pairs->n_pairs,
                             aim_pairs_max_row(call->pairs), aim_team_size(call->team),
                             call->want_grad};
    r.n_rows = (int64_t)tan->n_dir * sizes.n_atoms;
    r.rows = (int)AIM_NAMED(aim_net_rows)(r.n_rows, sizes.workers);
    aim_arena_reset(tan->arena);
    AIM_NAMED(aim_net_tan_layout)(net, sizes, tan->n_dir, tan->arena, &r.t);
    return r;
}

aim_conv_tan_args AIM_NAMED(aim_net_conv_tan_args)(const net_tan_run *r, int plain, int worker)
{
    const int p = r->run.pass;
    const net_acts *acts = &r->run.acts;
    aim_conv_tan_args args = {.of = AIM_NAMED(aim_net_conv_args)(&r->run, plain, worker),
                              .n_atoms = r->run.call->batch->n_atoms,
                              .tu = r->t.tu,
                              .tv = plain ? r->t.tvq[p] : r->t.tv[p],
                              .ts = plain ? r->t.tsq[p] : r->t.ts[p],
                              .tgs_adj = plain ? r->t.tsq_adj : r->t.ts_adj,
                              .tgr = r->t.tgr};
    args.of.a = plain ? acts->q[p - 1] : acts->a[p];
    args.of.lda = (size_t)(plain ? r->run.net->n_charge : r->run.net->fa);
    args.of.v = plain ? acts->vq[p] : acts->v[p];
    args.of.gxv = plain ? acts->gxvq[p] : acts->gxv[p];
    args.of.ldgx = (size_t)(args.of.nf * args.of.ncomb);
    args.of.scratch = r->t.scratch + (size_t)worker * r->t.scratch_size;
    args.ta = plain ? r->t.tq[p - 1] : r->t.ta[p];
    args.ldta = args.of.lda;
    return args;
}

aim_charge_tan_args AIM_NAMED(aim_net_charge_tan_args)(const net_tan_run *r)
{
    const int p = r->run.pass;
    const size_t c = (size_t)r->run.net->n_charge;
    return (aim_charge_tan_args){.of = AIM_NAMED(aim_net_charge_args)(&r->run),
                                 .n_systems = r->run.call->batch->n_systems,
                                 .ty = r->t.ty[p],
                                 .ldty = 2 * c,
                                 .tq_old = p > 0 ? r->t.tq[p - 1] : NULL,
                                 .tq = r->t.tq[p],
                                 .tgq = r->t.tgq[p],
                                 .tgy = r->t.tgy[p],
                                 .ldtgy = 2 * c,
                                 .tgq_old = p > 0 ? r->t.tgq[p - 1] : NULL};
}

void AIM_NAMED(aim_net_for_tan_rows)(net_tan_run *r, aim_task_fn fn)
{
    aim_parallel_for(r->run.call->team, (r->n_rows + r->rows - 1) / r->rows, fn, r);
}

void AIM_NAMED(aim_net_for_tan_systems)(net_tan_run *r, aim_task_fn fn)
{
    aim_parallel_for(r->run.call->team, (int64_t)r->tan->n_dir * r->run.call->batch->n_systems, fn,
                     r);
}
