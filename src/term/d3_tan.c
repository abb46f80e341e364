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
 * pairs of references that have weight: rarely more than four.
 *
 * Where the floor drops no pair of references, D is the product of the atoms' sums and
 *
 *     C6 = sum_b w_b(j) G_b(i),   G_b = sum_a w_a(i) c6_ab,   w = W_a / sum W
 *     w' = w (u - m),   w'' = w ((u - m)^2 - sum w (u - m)^2),   m = sum w u
 *
 * with G, G' and G'' of atom i and every element that is present, found once for many pairs. */
#include <math.h>
#include <string.h>

#include "term/d3_range.h"
#include "term/sweep.h"

typedef struct kept_ref { /* a reference of an atom with weight */
    int ref;              /* in the table */
    double s, w, u;       /* exponent, weight, d ln weight/dCN */
    double n[3];          /* weight over their sum, with two derivatives to CN */
} kept_ref;

enum { ELEMENTS = 128 };

/* G, G', G'' of one atom by the references of an element, of those elements that were met. */
typedef struct own_c6 {
    double g[ELEMENTS][AIM_D3_MAX_REF][3];
    unsigned char met[ELEMENTS];
} own_c6;

typedef struct d3_tan {
    aim_sweep sweep;
    const aim_d3_table *table;
    const aim_d3_params *params;
    aim_d3_range range;
    int max_kept;   /* most references of an element */
    double *cn, *g; /* [n_atoms] coordination number; dE/dCN, eV */
    int *n_kept;    /* [n_atoms] */
    kept_ref *kept; /* [n_atoms][max_kept] */
    double *least;  /* [n_atoms] smallest exponent of those kept */
} d3_tan;

static int n_refs(const aim_d3_table *t, int z)
{
    return t->first[z + 1] - t->first[z];
}

/* f, h and scale times the counting function. */
static void count_pairs(const d3_tan *c, int32_t i, aim_tan_chunk *chunk, double scale)
{
    const int32_t *z = c->sweep.io->batch->numbers;
    for (int p = 0; p < chunk->n; p++)
        chunk->x[p] = c->table->rcov[z[i]] + c->table->rcov[z[chunk->j[p]]];
    c->sweep.kernels->tan_count(chunk, AIM_BOHR_INV, scale);
}

/* w/sum w and its derivatives, of the references kept. */
static void normalise(kept_ref *kept, int n)
{
    double sum = 0.0, mean = 0.0, square = 0.0;
    for (int a = 0; a < n; a++) {
        sum += kept[a].w;
        mean += kept[a].w * kept[a].u;
    }
    mean /= sum;
    for (int a = 0; a < n; a++)
        square += kept[a].w / sum * (kept[a].u - mean) * (kept[a].u - mean);
    for (int a = 0; a < n; a++) {
        const double w = kept[a].w / sum, u = kept[a].u - mean;
        kept[a].n[0] = w;
        kept[a].n[1] = w * u;
        kept[a].n[2] = w * (u * u - square);
    }
}

/* The references of atom i that have weight, packed. */
static void set_weights(const d3_tan *c, int32_t i)
{
    const aim_d3_table *t = c->table;
    const int z = c->sweep.io->batch->numbers[i], n = n_refs(t, z);
    const double *ref = t->cn + t->first[z];
    kept_ref *kept = c->kept + (size_t)i * (size_t)c->max_kept;
    const int clamped = t->cn_max && c->cn[i] > t->cn_max[z]; /* a constant from there on */
    const double cn = clamped ? t->cn_max[z] : c->cn[i];
    double s[AIM_D3_MAX_REF], top = -INFINITY;
    c->n_kept[i] = 0;
    for (int a = 0; a < n; a++) {
        s[a] = aim_d3_exponent(cn, ref[a]);
        top = fmax(top, s[a]);
    }
    for (int a = 0; a < n; a++)
        if (s[a] - top >= t->weight_floor)
            kept[c->n_kept[i]++] =
                (kept_ref){.ref = t->first[z] + a,
                           .s = s[a] - top,
                           .w = exp(s[a] - top),
                           .u = clamped ? 0.0 : -2.0 * AIM_D3_K3 * (cn - ref[a])};
    c->least[i] = 0.0;
    for (int a = 0; a < c->n_kept[i]; a++)
        c->least[i] = fmin(c->least[i], kept[a].s);
    normalise(kept, c->n_kept[i]);
}

/* Coordination numbers; the kernel's sum f a with f = c'/d is their tangent. */
static void fill_count(const void *ctx, int32_t i, aim_tan_chunk *chunk,
                       double slope[AIM_TAN_PARAMS])
{
    count_pairs(ctx, i, chunk, -1.0);
    for (int p = 0; p < chunk->n; p++)
        slope[0] -= chunk->e_ij[0][0][p];
}

typedef struct pair_c6 {
    double v, i, j, ii, ij; /* value and derivatives to CN_i, CN_j */
} pair_c6;

static pair_c6 c6_of(const d3_tan *c, int32_t i, int32_t j)
{
    const aim_d3_table *t = c->table;
    const kept_ref *own = c->kept + (size_t)i * (size_t)c->max_kept,
                   *other = c->kept + (size_t)j * (size_t)c->max_kept;
    pair_c6 n = {0}, d = {0};
    for (const kept_ref *a = own; a < own + c->n_kept[i]; a++)
        for (const kept_ref *b = other; b < other + c->n_kept[j]; b++) {
            if (!(a->s + b->s >= t->weight_floor))
                continue;
            const double c6 = t->c6[(size_t)a->ref * (size_t)t->n_refs + (size_t)b->ref],
                         w = a->w * b->w, x = w * a->u, y = w * b->u, xx = x * a->u, xy = x * b->u;
            d.v += w, d.i += x, d.j += y, d.ii += xx, d.ij += xy;
            n.v += w * c6, n.i += x * c6, n.j += y * c6, n.ii += xx * c6, n.ij += xy * c6;
        }
    const double inv = 1.0 / d.v;
    pair_c6 r = {.v = n.v * inv};
    r.i = (n.i - r.v * d.i) * inv;
    r.j = (n.j - r.v * d.j) * inv;
    r.ii = (n.ii - 2.0 * r.i * d.i - r.v * d.ii) * inv;
    r.ij = (n.ij - r.i * d.j - r.j * d.i - r.v * d.ij) * inv;
    return r;
}

static void set_own(const d3_tan *c, int32_t i, int z, own_c6 *own)
{
    const aim_d3_table *t = c->table;
    const kept_ref *kept = c->kept + (size_t)i * (size_t)c->max_kept;
    own->met[z] = 1;
    for (int b = 0; b < n_refs(t, z); b++) {
        double *g = own->g[z][b];
        g[0] = g[1] = g[2] = 0.0;
        for (int a = 0; a < c->n_kept[i]; a++) {
            const double c6 =
                t->c6[(size_t)kept[a].ref * (size_t)t->n_refs + (size_t)(t->first[z] + b)];
            for (int k = 0; k < 3; k++)
                g[k] += kept[a].n[k] * c6;
        }
    }
}

static pair_c6 c6_from_own(const d3_tan *c, own_c6 *own, int32_t i, int32_t j)
{
    const int z = c->sweep.io->batch->numbers[j], first = c->table->first[z];
    const kept_ref *kept = c->kept + (size_t)j * (size_t)c->max_kept;
    pair_c6 r = {0};
    if (!own->met[z])
        set_own(c, i, z, own);
    for (int b = 0; b < c->n_kept[j]; b++) {
        const double *g = own->g[z][kept[b].ref - first], *n = kept[b].n;
        r.v += n[0] * g[0];
        r.i += n[0] * g[1];
        r.ii += n[0] * g[2];
        r.j += n[1] * g[0];
        r.ij += n[1] * g[1];
    }
    return r;
}

static void fill_energy(const void *ctx, int32_t i, aim_tan_chunk *chunk,
                        double slope[AIM_TAN_PARAMS])
{
    const d3_tan *c = ctx;
    const double *r4r2 = c->table->r4r2, bj[3] = {c->params->s8, c->params->a1, c->params->a2};
    const int32_t *z = c->sweep.io->batch->numbers;
    for (int p = 0; p < chunk->n; p++)
        chunk->x[p] = aim_d3_c8_ratio(r4r2[z[i]], r4r2[z[chunk->j[p]]]);
    own_c6 own;
    memset(own.met, 0, sizeof own.met);
    c->sweep.kernels->tan_damped(chunk, &c->range, bj, AIM_BOHR_INV, -AIM_HARTREE);
    for (int p = 0; p < chunk->n; p++) {
        const double v = chunk->e_ij[0][0][p];
        const int32_t j = chunk->j[p];
        const pair_c6 c6 = c->least[i] + c->least[j] >= c->table->weight_floor
                               ? c6_from_own(c, &own, i, j)
                               : c6_of(c, i, j);
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
    count_pairs(c, i, chunk, 1.0);
    for (int p = 0; p < chunk->n; p++) {
        const double g = c->g[i] + c->g[chunk->j[p]];
        chunk->f_i[0][p] = chunk->f_j[0][p] = chunk->f[p];
        chunk->f[p] *= g;
        chunk->h[p] *= g;
        chunk->e_ii[0][0][p] = chunk->e_ij[0][0][p] = 0.0;
    }
}

static void layout(d3_tan *c, aim_arena *a)
{
    const size_t n = (size_t)c->sweep.io->batch->n_atoms;
    aim_sweep_layout(&c->sweep, a);
    c->cn = aim_take(a, "d3.cn", n, sizeof *c->cn);
    c->g = aim_take(a, "d3.g", n, sizeof *c->g);
    c->n_kept = aim_take(a, "d3.n_kept", n, sizeof *c->n_kept);
    c->kept = aim_take(a, "d3.kept", n * (size_t)c->max_kept, sizeof *c->kept);
    c->least = aim_take(a, "d3.least", n, sizeof *c->least);
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
    AIM_TRY(aim_d3_check_elements(io, table, &c.max_kept));
    if (c.max_kept == 0)
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
