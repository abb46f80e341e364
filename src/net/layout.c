/* SPDX-License-Identifier: MIT */
/* layout.c - where every intermediate of one evaluation lives, and the arguments that the steps
 * hand to kernels. */
#include "net/net_impl.h"

int64_t AIM_NAMED(aim_net_rows)(int64_t n_atoms, int workers);

/* Rows of a task: the same number of tasks for every worker, none larger than what the second-level
 * cache holds. Any choice gives the same bits. */
int64_t AIM_NAMED(aim_net_rows)(int64_t n_atoms, int workers)
{
    const int64_t most = (int64_t)workers * NET_ROWS_MAX;
    const int64_t tasks = (n_atoms + most - 1) / most * workers;
    const int64_t rows = tasks > 0 ? (n_atoms + tasks - 1) / tasks : 1;
    return (rows + AIM_ROW_STEP - 1) / AIM_ROW_STEP * AIM_ROW_STEP;
}

static real *take(aim_arena *arena, const char *name, int64_t rows, size_t width)
{
    return aim_take(arena, name, (size_t)rows * width, sizeof(real));
}

static void layout_pairs(const aim_net *net, net_sizes s, aim_arena *arena, net_acts *t)
{
    t->u = take(arena, "u", s.n_pairs, 4);
    t->gs = take(arena, "gs", s.n_pairs, (size_t)net->gp);
    if (s.want_grad) {
        t->dgs = take(arena, "dgs", s.n_pairs, (size_t)net->gp);
        t->gr = take(arena, "gr", s.n_pairs, 3);
    }
    if (s.want_grad >= AIM_NET_KEEP)
        t->ddgs = take(arena, "ddgs", s.n_pairs, (size_t)net->gp);
}

static void layout_pass(const aim_net *net, net_sizes s, int p, aim_arena *arena, net_acts *t)
{
    const size_t c = (size_t)net->n_charge;
    if (p > 0 || !net->d2)
        t->a[p] = take(arena, "a", s.n_atoms, (size_t)net->fa);
    if (p < net->n_pass - 1) {
        t->q[p] = take(arena, "q", s.n_atoms, c);
        t->y[p] = take(arena, "y", s.n_atoms, 2 * c);
    }
    t->v[p] = take(arena, "v", s.n_atoms, (size_t)(3 * net->conv_a.nf * net->conv_a.hp));
    if (p > 0)
        t->vq[p] = take(arena, "vq", s.n_atoms, 3 * c * (size_t)net->conv_q.hp);
    if (s.want_grad) {
        t->slope[p] = take(arena, "slope", s.n_atoms, (size_t)net->mlp[p].slope_width);
        if (p < net->n_pass - 1) {
            t->gq[p] = take(arena, "gq", s.n_atoms, c);
            t->gy[p] = take(arena, "gy", s.n_atoms, 2 * c);
        }
    }
}

/* Adjoints of the environments: of one pass after the other, or kept. */
static void layout_adjoints(const aim_net *net, net_sizes s, aim_arena *arena, net_acts *t)
{
    for (int p = 0; p < net->n_pass; p++) {
        if (p > 0 && s.want_grad < AIM_NET_KEEP) {
            t->s_adj[p] = t->s_adj[0];
            t->sq_adj[p] = t->sq_adj[0];
            continue;
        }
        t->s_adj[p] = take(arena, "s_adj", s.n_atoms, (size_t)(4 * net->conv_a.nf * net->gp));
        t->sq_adj[p] = take(arena, "sq_adj", s.n_atoms, (size_t)(4 * net->n_charge * net->gp));
    }
}

static void layout_store(const net_mlp *mlp, int64_t rows, aim_arena *arena, net_store *store)
{
    store->x = take(arena, "x", rows, (size_t)mlp->x_width);
    store->gz = take(arena, "gz", rows, (size_t)mlp->z_width);
}

static void layout_kept(const aim_net *net, net_sizes s, aim_arena *arena, net_acts *t)
{
    const size_t a = (size_t)(net->conv_a.nf * net->conv_a.ncomb),
                 q = (size_t)(net->n_charge * net->conv_q.ncomb), width = 4 * (size_t)net->gp;
    for (int p = 0; p < net->n_pass; p++) {
        t->sums[p] = take(arena, "sums", s.n_pairs, AIM_PAIR_SUMS);
        t->sumsq[p] = p > 0 ? take(arena, "sums", s.n_pairs, AIM_PAIR_SUMS) : NULL;
        t->curve[p] = take(arena, "curve", s.n_atoms, (size_t)net->mlp[p].slope_width);
        t->gxv[p] = take(arena, "gxv", s.n_atoms, a);
        t->gxvq[p] = p > 0 ? take(arena, "gxv", s.n_atoms, q) : NULL;
        if (s.want_grad < AIM_NET_TRAIN)
            continue;
        t->s[p] = take(arena, "s", s.n_atoms, (size_t)net->conv_a.nf * width);
        t->sq[p] = p > 0 ? take(arena, "s", s.n_atoms, (size_t)net->n_charge * width) : NULL;
        layout_store(&net->mlp[p], s.n_atoms, arena, &t->pass[p]);
    }
    for (int h = 0; h < net->n_heads; h++) {
        t->head_curve[h] = take(arena, "curve", s.n_atoms, (size_t)net->head[h].slope_width);
        if (s.want_grad == AIM_NET_TRAIN)
            layout_store(&net->head[h], s.n_atoms, arena, &t->head[h]);
    }
}

void AIM_NAMED(aim_net_layout)(const aim_net *net, net_sizes s, aim_arena *arena, net_acts *t)
{
    *t = (net_acts){0};
    t->species = aim_take(arena, "species", (size_t)s.n_atoms, sizeof *t->species);
    layout_pairs(net, s, arena, t);
    for (int p = 0; p < net->n_pass; p++)
        layout_pass(net, s, p, arena, t);
    t->aim = take(
        arena, "aim", s.n_atoms,
        (size_t)net->mlp[net->n_pass - 1].layer[net->mlp[net->n_pass - 1].n_layers - 1].ld_out);
    if (s.want_grad) {
        for (int h = 0; h < net->n_heads; h++)
            t->head_slope[h] =
                take(arena, "head_slope", s.n_atoms, (size_t)net->head[h].slope_width);
        for (int k = 0; k < 2; k++)
            t->ga[k] = take(arena, "ga", s.n_atoms, (size_t)net->fa);
        layout_adjoints(net, s, arena, t);
    }
    if (s.want_grad >= AIM_NET_KEEP)
        layout_kept(net, s, arena, t);
    t->conv_scratch =
        (aim_conv_scratch(net->gp, net->conv_a.nf, net->n_species, s.max_row) + AIM_LANES - 1) /
        AIM_LANES * AIM_LANES;
    t->scratch_size = t->conv_scratch + 2 * NET_ROWS_MAX * net->ld_hidden;
    t->scratch = take(arena, "scratch", s.workers, t->scratch_size);
}

net_run AIM_NAMED(aim_net_run)(const aim_net *net, aim_net_call *call)
{
    net_run run = {.net = net, .call = call};
    const net_sizes sizes = {call->batch->n_atoms, call->pairs->n_pairs,
                             aim_pairs_max_row(call->pairs), aim_team_size(call->team),
                             call->want_grad};
    run.rows = (int)AIM_NAMED(aim_net_rows)(sizes.n_atoms, sizes.workers);
    aim_arena_reset(call->arena);
    AIM_NAMED(aim_net_layout)(net, sizes, call->arena, &run.acts);
    return run;
}

aim_conv_args AIM_NAMED(aim_net_conv_args)(const net_run *run, int plain, int worker)
{
    const aim_net *net = run->net;
    const net_acts *t = &run->acts;
    const net_conv *conv = plain ? &net->conv_q : &net->conv_a;
    return (aim_conv_args){.row = run->call->pairs->row,
                           .j = run->call->pairs->j,
                           .u = t->u,
                           .gs = t->gs,
                           .dgs = t->dgs,
                           .nf = conv->nf,
                           .gp = net->gp,
                           .ncomb = conv->ncomb,
                           .agh = conv->agh,
                           .agh_t = conv->agh_t,
                           .hp = conv->hp,
                           .emb = net->embedding,
                           .species = t->species,
                           .n_species = net->n_species,
                           .gr = t->gr,
                           .gs_adj = plain ? t->sq_adj[run->pass] : t->s_adj[run->pass],
                           .s = plain ? t->sq[run->pass] : t->s[run->pass],
                           .ddgs = t->ddgs,
                           .sums = plain ? t->sumsq[run->pass] : t->sums[run->pass],
                           .scratch = t->scratch + (size_t)worker * t->scratch_size};
}

aim_charge_args AIM_NAMED(aim_net_charge_args)(const net_run *run)
{
    const net_acts *t = &run->acts;
    const aim_batch *b = run->call->batch;
    const int p = run->pass;
    const size_t c = (size_t)run->net->n_charge;
    return (aim_charge_args){.offset = b->offset,
                             .n_channels = run->net->n_charge,
                             .charge = b->charge,
                             .mult = b->mult,
                             .epsilon = run->net->charge_epsilon,
                             .y = t->y[p],
                             .ldy = 2 * c,
                             .q_old = p > 0 ? t->q[p - 1] : NULL,
                             .ldq_old = c,
                             .q = t->q[p],
                             .ldq = c,
                             .gq = t->gq[p],
                             .gy = t->gy[p],
                             .ldgy = 2 * c,
                             .gq_old = p > 0 ? t->gq[p - 1] : NULL};
}

void AIM_NAMED(aim_net_for_rows)(net_run *run, aim_task_fn fn)
{
    const int64_t n = run->call->batch->n_atoms;
    aim_parallel_for(run->call->team, (n + run->rows - 1) / run->rows, fn, run);
}

void AIM_NAMED(aim_net_for_systems)(net_run *run, aim_task_fn fn)
{
    aim_parallel_for(run->call->team, run->call->batch->n_systems, fn, run);
}
