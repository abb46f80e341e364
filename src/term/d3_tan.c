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

typedef struct d3_tan {
    aim_sweep sweep;
    const aim_d3_table *table;
    const aim_d3_params *params;
    aim_d3_range range;
    int max_kept;   /* most references of an element */
    double *cn;     /* [n_atoms] coordination number */
    double *g;      /* [n_slots] dE/dCN, eV */
    int *n_kept;    /* [n_slots] */
    kept_ref *kept; /* [n_slots][max_kept] */
    double *w[AIM_D3_MAX_REF],
        *dw[AIM_D3_MAX_REF]; /* [n_slots] of reference b of the element: weight
                                                       over their sum, its derivative */
    double *least;           /* [n_slots] smallest exponent of those kept; 0 in padding */
    double *lowest;          /* [n_groups] the smallest of the group's */
    unsigned char *used;     /* [n_groups][max_kept] 1: an atom of the group has weight there */
} d3_tan;

static int n_refs(const aim_d3_table *t, int z)
{
    return t->first[z + 1] - t->first[z];
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

/* The references of atom i that have weight, packed; and those of its element one by one. */
static void set_weights(const d3_tan *c, int32_t i)
{
    const aim_d3_table *t = c->table;
    const int z = c->sweep.io->batch->numbers[i], n = n_refs(t, z);
    const double *ref = t->cn + t->first[z];
    const int64_t me = c->sweep.rows.slot[i];
    kept_ref *kept = c->kept + (size_t)me * (size_t)c->max_kept;
    const int clamped = t->cn_max && c->cn[i] > t->cn_max[z]; /* a constant from there on */
    const double cn = clamped ? t->cn_max[z] : c->cn[i];
    double s[AIM_D3_MAX_REF], top = -INFINITY;
    int k = 0;
    for (int a = 0; a < n; a++) {
        s[a] = aim_d3_exponent(cn, ref[a]);
        top = fmax(top, s[a]);
    }
    for (int a = 0; a < n; a++)
        if (s[a] - top >= t->weight_floor)
            kept[k++] = (kept_ref){.ref = t->first[z] + a,
                                   .s = s[a] - top,
                                   .w = exp(s[a] - top),
                                   .u = clamped ? 0.0 : -2.0 * AIM_D3_K3 * (cn - ref[a])};
    c->n_kept[me] = k;
    normalise(kept, k);
    for (int a = 0; a < k; a++) {
        c->least[me] = fmin(c->least[me], kept[a].s);
        c->w[kept[a].ref - t->first[z]][me] = kept[a].n[0];
        c->dw[kept[a].ref - t->first[z]][me] = kept[a].n[1];
    }
}

static void find_lowest(const d3_tan *c)
{
    const aim_rows *r = &c->sweep.rows;
    for (int g = 0; g < r->n_groups; g++) {
        const aim_rows_group *group = r->group + g;
        unsigned char *used = c->used + (size_t)g * (size_t)c->max_kept;
        memset(used, 0, (size_t)c->max_kept);
        c->lowest[g] = 0.0;
        for (int64_t k = group->begin; k < group->begin + group->count; k++) {
            c->lowest[g] = fmin(c->lowest[g], c->least[k]);
            for (int a = 0; a < c->n_kept[k]; a++)
                used[c->kept[k * c->max_kept + a].ref - c->table->first[group->key]] = 1;
        }
    }
}

static int element_of(const d3_tan *c, const aim_sweep_chunk *chunk)
{
    return c->sweep.rows.group[chunk->group].key;
}

/* covalent radii of atom and neighbours, bohr */
static double radii(const d3_tan *c, const aim_sweep_chunk *chunk)
{
    return c->table->rcov[c->sweep.io->batch->numbers[chunk->atom]] +
           c->table->rcov[element_of(c, chunk)];
}

/* Coordination numbers; the kernel's sum f a with f = c'/d is their tangent. */
static void fill_count(const void *ctx, aim_sweep_chunk *chunk, double slope[AIM_TAN_PARAMS])
{
    const d3_tan *c = ctx;
    slope[0] += c->sweep.rows.kernels->tan_count(&chunk->row, radii(c, chunk), chunk->pair);
}

typedef struct pair_c6 {
    double v, i, j, ii, ij; /* value and derivatives to CN_i, CN_j */
} pair_c6;

/* Of the atoms in slots i and j. */
static pair_c6 c6_of(const d3_tan *c, int64_t i, int64_t j)
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

/* G and two derivatives of atom i by the references of the chunk's element that are in use, and
 * which of the element's references they are. */
static void make_block(const d3_tan *c, const aim_sweep_chunk *chunk, aim_d3_tan_block *block,
                       int ref[AIM_D3_MAX_REF])
{
    const aim_d3_table *t = c->table;
    const int64_t me = c->sweep.rows.slot[chunk->atom];
    const kept_ref *kept = c->kept + me * c->max_kept;
    const int z = element_of(c, chunk);
    const unsigned char *used = c->used + (size_t)chunk->group * (size_t)c->max_kept;
    block->n_ref = 0;
    for (int b = 0; b < n_refs(t, z); b++) {
        if (!used[b])
            continue;
        double *g = block->g[block->n_ref];
        g[0] = g[1] = g[2] = 0.0;
        for (int a = 0; a < c->n_kept[me]; a++)
            for (int k = 0; k < 3; k++)
                g[k] += kept[a].n[k] *
                        t->c6[(size_t)kept[a].ref * (size_t)t->n_refs + (size_t)(t->first[z] + b)];
        ref[block->n_ref++] = b;
    }
}

/* C6 pair by pair, where references are dropped; the chunk holds f, h and e_ii of C6 = 1. */
static double weigh_pairs(const d3_tan *c, const aim_sweep_chunk *chunk)
{
    const int64_t me = c->sweep.rows.slot[chunk->atom];
    aim_tan_chunk *pair = chunk->pair;
    double slope = 0.0;
    for (int p = 0; p < chunk->row.n; p++) {
        if (aim_sweep_distance(&chunk->row, p) == 0.0)
            continue;
        const double f = pair->f[p], v = pair->e_ii[0][0][p];
        const pair_c6 c6 = c6_of(c, me, chunk->first_slot + chunk->row.id[p]);
        pair->f_i[0][p] = f * c6.i;
        pair->f_j[0][p] = f * c6.j;
        pair->f[p] = f * c6.v;
        pair->h[p] *= c6.v;
        pair->e_ii[0][0][p] = v * c6.ii;
        pair->e_ij[0][0][p] = v * c6.ij;
        slope += v * c6.i;
    }
    return slope;
}

static void fill_energy(const void *ctx, aim_sweep_chunk *chunk, double slope[AIM_TAN_PARAMS])
{
    const d3_tan *c = ctx;
    const double *r4r2 = c->table->r4r2,
                 ratio = aim_d3_c8_ratio(r4r2[c->sweep.io->batch->numbers[chunk->atom]],
                                         r4r2[element_of(c, chunk)]),
                 r0 = aim_d3_radius(ratio, c->params->a1, c->params->a2), r2 = r0 * r0,
                 r4 = r2 * r2;
    const int dropped = c->least[c->sweep.rows.slot[chunk->atom]] + c->lowest[chunk->group] <
                        c->table->weight_floor;
    aim_d3_tan_block block = {.n_ref = 1,
                              .g = {{1.0, 0.0, 1.0}},
                              .c8 = c->params->s8 * ratio,
                              .r06 = r4 * r2,
                              .r08 = r4 * r4};
    int ref[AIM_D3_MAX_REF];
    if (!dropped)
        make_block(c, chunk, &block, ref);
    for (int b = 1; b < block.n_ref; b++) {
        aim_sweep_property(chunk, c->w[ref[b]], 2 * b - 2);
        aim_sweep_property(chunk, c->dw[ref[b]], 2 * b - 1);
    }
    const double sum =
        c->sweep.rows.kernels->tan_damped(&chunk->row, &block, &c->range, chunk->pair);
    slope[0] += dropped ? weigh_pairs(c, chunk) : sum;
}

static void fill_count_grad(const void *ctx, aim_sweep_chunk *chunk, double slope[AIM_TAN_PARAMS])
{
    const d3_tan *c = ctx;
    (void)slope;
    aim_sweep_property(chunk, c->g, 0);
    c->sweep.rows.kernels->tan_count_grad(&chunk->row, radii(c, chunk),
                                          c->g[c->sweep.rows.slot[chunk->atom]], chunk->pair);
}

static void layout(d3_tan *c, aim_arena *a)
{
    const aim_rows *r = &c->sweep.rows;
    const size_t slots = (size_t)r->n_slots, groups = (size_t)r->n_groups,
                 refs = (size_t)c->max_kept;
    aim_sweep_layout(&c->sweep, a);
    c->cn = aim_take(a, "d3.cn", (size_t)r->io->batch->n_atoms, sizeof *c->cn);
    c->g = aim_rows_property(r, a, "d3.g");
    c->least = aim_rows_property(r, a, "d3.least");
    for (int b = 0; b < c->max_kept; b++) {
        c->w[b] = aim_rows_property(r, a, "d3.w");
        c->dw[b] = aim_rows_property(r, a, "d3.dw");
    }
    c->n_kept = aim_take(a, "d3.n_kept", slots, sizeof *c->n_kept);
    c->kept = aim_take(a, "d3.kept", slots * refs, sizeof *c->kept);
    c->lowest = aim_take(a, "d3.lowest", groups, sizeof *c->lowest);
    c->used = aim_take(a, "d3.used", groups, refs);
}

/* The last sweep's sum of every direction becomes the parameter of the next. */
static void pass_on(aim_sweep *s, int row)
{
    const size_t n = (size_t)s->io->batch->n_atoms, sums = (size_t)s->n_sums;
    for (int d = 0; d < s->tan->n_dir; d++)
        aim_sweep_set(s, d, 0, s->sum + (size_t)d * n * sums + (size_t)row, sums);
}

static void evaluate(d3_tan *c)
{
    aim_sweep *s = &c->sweep;
    const int32_t n = s->io->batch->n_atoms;
    aim_sweep_load(s);
    aim_sweep_run(s, -1, fill_count, c);
    for (int32_t i = 0; i < n; i++) {
        c->cn[i] = s->slope[AIM_TAN_PARAMS * (size_t)i];
        if (s->rows.slot[i] >= 0)
            set_weights(c, i);
    }
    find_lowest(c);
    pass_on(s, AIM_TAN_SLOPE);
    aim_sweep_run(s, 1, fill_energy, c);
    for (int32_t i = 0; i < n; i++)
        if (s->rows.slot[i] >= 0)
            c->g[s->rows.slot[i]] = s->slope[AIM_TAN_PARAMS * (size_t)i];
    aim_sweep_add_energy(s, 1);
    aim_sweep_add_grad(s);
    pass_on(s, AIM_TAN_PARAM);
    aim_sweep_run(s, 1, fill_count_grad, c);
    aim_sweep_add_grad(s);
}

aim_status aim_term_d3_tan(aim_term_io *io, const aim_term_tan *tan, const aim_d3_table *table,
                           const aim_d3_params *params)
{
    d3_tan c = {.table = table, .params = params};
    AIM_TRY(aim_d3_range_make(params, &c.range));
    AIM_TRY(aim_d3_check_elements(io, table, &c.max_kept));
    if (c.max_kept == 0)
        return AIMNET_OK; /* no active atoms */
    AIM_TRY(aim_sweep_plan(&c.sweep, io, tan, 1, 2 * c.max_kept - 2, 1));
    aim_arena measure = {0};
    layout(&c, &measure);
    AIM_TRY(aim_arena_reserve(io->scratch, io->alloc, measure.used, "D3 workspace"));
    layout(&c, io->scratch);
    evaluate(&c);
    return AIMNET_OK;
}
