/* SPDX-License-Identifier: MIT */
/* d3_tan.c - directional derivatives of DFT-D3   (docs/math/tangents.md, docs/math/d3.md).
 *
 * The energy of a pair depends on the coordination numbers of its atoms, which are sums over pairs
 * themselves, so there are three sweeps:
 *
 *     1. CN_i = sum c(d), tangent tCN_i; from CN_i the reference weights and two derivatives
 *     2. e = -C6(CN_i, CN_j) D(d) S(d) with the parameter CN: gradient, G_i = dE/dCN_i and its
 *        tangent
 *     3. gradient through the coordination numbers: f = (G_i + G_j) (-c'/d) with the parameter G
 *
 * C6 = N/D with N = sum W_ab c6_ab, D = sum W_ab, W_ab = exp(s_a + s_b) or 0 below the floor. The
 * logarithmic derivative of a weight, u_a = -8 (CN_i - CN_a), gives N_i = sum W u_a c6 and so on;
 * its own derivative -8 is the same for all references and drops out of C6. Written out over the
 * pairs of references that have weight: rarely more than four. */
#include <math.h>

#include "term/d3_range.h"
#include "term/sweep.h"

typedef struct d3_tan {
    aim_sweep sweep;
    const aim_d3_table *table;
    const aim_d3_params *params;
    aim_d3_range range;
    int n_kept;             /* most references of an element */
    double *cn;             /* [n_atoms] */
    double *s, *weight, *u; /* [n_atoms][n_kept] exponent, weight, d ln weight/dCN */
    double *g;              /* [n_atoms] dE/dCN, eV */
} d3_tan;

static int n_refs(const aim_d3_table *t, int z)
{
    return t->first[z + 1] - t->first[z];
}

static aim_deriv count(const d3_tan *c, int32_t i, int32_t j, double d)
{
    const int32_t *z = c->sweep.io->batch->numbers;
    const aim_deriv e = aim_d3_count(d * AIM_BOHR_INV, c->table->rcov[z[i]] + c->table->rcov[z[j]]);
    const aim_deriv in_angstrom = {e.v, e.d1 * AIM_BOHR_INV, e.d2 * AIM_BOHR_INV * AIM_BOHR_INV};
    return in_angstrom;
}

static void set_weights(const d3_tan *c, int32_t i)
{
    const aim_d3_table *t = c->table;
    const int z = c->sweep.io->batch->numbers[i];
    const size_t at = (size_t)i * (size_t)c->n_kept;
    double top = -INFINITY;
    const int clamped = t->cn_max && c->cn[i] > t->cn_max[z];
    const double cn = clamped ? t->cn_max[z] : c->cn[i];
    for (int a = 0; a < n_refs(t, z); a++) {
        c->s[at + (size_t)a] = aim_d3_exponent(cn, t->cn[t->first[z] + a]);
        c->u[at + (size_t)a] = clamped ? 0.0 : -2.0 * AIM_D3_K3 * (cn - t->cn[t->first[z] + a]);
        top = fmax(top, c->s[at + (size_t)a]);
    }
    for (int a = 0; a < n_refs(t, z); a++) {
        double *s = c->s + at + a;
        *s -= top;
        c->weight[at + (size_t)a] = *s >= t->weight_floor ? exp(*s) : 0.0;
    }
}

/* Coordination numbers; the kernel's sum f a with f = c'/d is their tangent. */
static void fill_count(const void *ctx, int32_t i, aim_tan_chunk *chunk,
                       double slope[AIM_TAN_PARAMS])
{
    const d3_tan *c = ctx;
    for (int p = 0; p < chunk->n; p++) {
        const double d = aim_sweep_distance(chunk, p);
        const aim_deriv e = count(c, i, chunk->j[p], d);
        aim_sweep_radial(chunk, p, d, e, -1.0);
        slope[0] += e.v;
    }
}

typedef struct pair_c6 {
    double v, i, j, ii, ij; /* value and derivatives to CN_i, CN_j */
} pair_c6;

static pair_c6 c6_of(const d3_tan *c, int32_t i, int32_t j)
{
    const aim_d3_table *t = c->table;
    const int32_t *z = c->sweep.io->batch->numbers;
    const size_t ati = (size_t)i * (size_t)c->n_kept, atj = (size_t)j * (size_t)c->n_kept;
    const double *wi = c->weight + ati, *wj = c->weight + atj, *ui = c->u + ati, *uj = c->u + atj,
                 *si = c->s + ati, *sj = c->s + atj;
    pair_c6 n = {0}, d = {0};
    for (int a = 0; a < n_refs(t, z[i]); a++) {
        const double *c6 =
            t->c6 + (size_t)(t->first[z[i]] + a) * (size_t)t->n_refs + t->first[z[j]];
        for (int b = 0; wi[a] > 0.0 && b < n_refs(t, z[j]); b++) {
            if (!(si[a] + sj[b] >= t->weight_floor))
                continue;
            const double w = wi[a] * wj[b], x = w * ui[a], y = w * uj[b], xx = x * ui[a],
                         xy = x * uj[b];
            d.v += w, d.i += x, d.j += y, d.ii += xx, d.ij += xy;
            n.v += w * c6[b], n.i += x * c6[b], n.j += y * c6[b], n.ii += xx * c6[b],
                n.ij += xy * c6[b];
        }
    }
    const double inv = 1.0 / d.v;
    pair_c6 r = {.v = n.v * inv};
    r.i = (n.i - r.v * d.i) * inv;
    r.j = (n.j - r.v * d.j) * inv;
    r.ii = (n.ii - 2.0 * r.i * d.i - r.v * d.ii) * inv;
    r.ij = (n.ij - r.i * d.j - r.j * d.i - r.v * d.ij) * inv;
    return r;
}

static void fill_energy(const void *ctx, int32_t i, aim_tan_chunk *chunk,
                        double slope[AIM_TAN_PARAMS])
{
    const d3_tan *c = ctx;
    const double *r4r2 = c->table->r4r2;
    const int32_t *z = c->sweep.io->batch->numbers;
    for (int p = 0; p < chunk->n; p++) {
        const int32_t j = chunk->j[p];
        const double d = aim_sweep_distance(chunk, p);
        const aim_deriv e = aim_d3_damped(d * AIM_BOHR_INV, &c->range, c->params,
                                          aim_d3_c8_ratio(r4r2[z[i]], r4r2[z[j]]));
        const aim_deriv in_angstrom = {e.v, e.d1 * AIM_BOHR_INV,
                                       e.d2 * AIM_BOHR_INV * AIM_BOHR_INV};
        const pair_c6 c6 = c6_of(c, i, j);
        aim_sweep_radial(chunk, p, d, in_angstrom, -AIM_HARTREE);
        const double v = -AIM_HARTREE * e.v;
        chunk->f_i[0][p] = chunk->f[p] * c6.i;
        chunk->f_j[0][p] = chunk->f[p] * c6.j;
        chunk->f[p] *= c6.v;
        chunk->h[p] *= c6.v;
        chunk->e_ii[0][0][p] = v * c6.ii;
        chunk->e_ij[0][0][p] = v * c6.ij;
        slope[0] += v * c6.i;
    }
}

static void fill_count_grad(const void *ctx, int32_t i, aim_tan_chunk *chunk,
                            double slope[AIM_TAN_PARAMS])
{
    const d3_tan *c = ctx;
    (void)slope;
    for (int p = 0; p < chunk->n; p++) {
        const double d = aim_sweep_distance(chunk, p), g = c->g[i] + c->g[chunk->j[p]];
        aim_sweep_radial(chunk, p, d, count(c, i, chunk->j[p], d), 1.0);
        chunk->f_i[0][p] = chunk->f_j[0][p] = chunk->f[p];
        chunk->f[p] *= g;
        chunk->h[p] *= g;
        chunk->e_ii[0][0][p] = chunk->e_ij[0][0][p] = 0.0;
    }
}

static void layout(d3_tan *c, aim_arena *a)
{
    const size_t n = (size_t)c->sweep.io->batch->n_atoms, kept = (size_t)c->n_kept;
    aim_sweep_layout(&c->sweep, a);
    c->cn = aim_take(a, "d3.cn", n, sizeof *c->cn);
    c->s = aim_take(a, "d3.s", n * kept, sizeof *c->s);
    c->weight = aim_take(a, "d3.w", n * kept, sizeof *c->weight);
    c->u = aim_take(a, "d3.u", n * kept, sizeof *c->u);
    c->g = aim_take(a, "d3.g", n, sizeof *c->g);
}

/* The last sweep's sum of every direction becomes the parameter of the next. */
static void pass_on(const aim_sweep *s, int row)
{
    for (int d = 0; d < s->tan->n_dir; d++)
        for (int32_t i = 0; i < s->io->batch->n_atoms; i++)
            *aim_sweep_input(s, d, i, 3) = aim_sweep_sum(s, d, i, row);
}

aim_status aim_term_d3_tan(aim_term_io *io, const aim_term_tan *tan, const aim_d3_table *table,
                           const aim_d3_params *params)
{
    d3_tan c = {.table = table, .params = params};
    aim_sweep *s = &c.sweep;
    AIM_TRY(aim_d3_range_make(params, &c.range));
    AIM_TRY(aim_d3_check_elements(io, table, &c.n_kept));
    if (c.n_kept == 0)
        return AIMNET_OK; /* no active atoms */
    AIM_TRY(aim_sweep_plan(s, io, tan, 1));
    aim_arena measure = {0};
    layout(&c, &measure);
    AIM_TRY(aim_arena_reserve(io->scratch, io->alloc, measure.used, "D3 workspace"));
    layout(&c, io->scratch);
    aim_sweep_load(s);
    const int32_t n = io->batch->n_atoms;
    aim_sweep_run(s, 0, fill_count, &c);
    for (int32_t i = 0; i < n; i++) {
        c.cn[i] = s->slope[AIM_TAN_PARAMS * (size_t)i];
        if (!io->active || io->active[io->batch->system[i]])
            set_weights(&c, i);
    }
    pass_on(s, AIM_TAN_SLOPE);
    aim_sweep_run(s, 1, fill_energy, &c);
    for (int32_t i = 0; i < n; i++)
        c.g[i] = s->slope[AIM_TAN_PARAMS * (size_t)i];
    aim_sweep_add_energy(s, 1);
    aim_sweep_add_grad(s);
    pass_on(s, AIM_TAN_PARAM);
    aim_sweep_run(s, 1, fill_count_grad, &c);
    aim_sweep_add_grad(s);
    return AIMNET_OK;
}
