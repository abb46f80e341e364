/* SPDX-License-Identifier: MIT */
/* program.c - a model's outputs in their order, forward and backward.
 *
 * Values live in slots that are written once (model.h), so that the backward pass is the program in
 * reverse. Pair terms add their gradients to grad, strain and gq while they run forward: every slot
 * that reaches the energy does so with weight one. What is left for the way back are per-atom
 * adjoints: sums and shifts pass them on, dispersion parameters scale them, heads hand them to the
 * network. */
#include <math.h>
#include <string.h>

#include "calc/blocks.h"
#include "calc/tangent.h"

static size_t slot_size(const aim_model *m, const aim_batch *b, int s)
{
    return (size_t)(m->slot[s].kind == AIM_VALUE_ATOM ? b->n_atoms : b->n_systems) *
           (size_t)m->slot[s].width;
}

static int repels_by_atom(const aim_model *m)
{
    for (int o = 0; o < m->n_outputs; o++)
        if (m->output[o].kind == AIM_OUT_SRREP && m->slot[m->output[o].out].kind == AIM_VALUE_ATOM)
            return 1;
    return 0;
}

void aim_values_layout(const aim_model *m, const aim_batch *b, int clear, int strain,
                       aim_arena *arena, aim_values *v)
{
    const size_t n = (size_t)b->n_atoms, systems = (size_t)b->n_systems;
    void *(*const take)(aim_arena *, const char *, size_t, size_t) = clear ? aim_take0 : aim_take;
    for (int s = AIM_SLOT_FIRST_FREE; s < m->n_slots; s++) {
        v->slot[s] = take(arena, m->slot[s].key, slot_size(m, b, s), sizeof(double));
        v->adjoint[s] = m->slot[s].kind == AIM_VALUE_ATOM
                            ? take(arena, "adjoint", slot_size(m, b, s), sizeof(double))
                            : NULL;
    }
    v->q = take(arena, "q", n, sizeof(double));
    v->spin = take(arena, "spin", n, sizeof(double));
    v->gq = take(arena, "gq", n, sizeof(double));
    v->gspin = take(arena, "gspin", n, sizeof(double));
    v->grad = take(arena, "grad", 3 * n, sizeof(double));
    v->strain = (strain ? aim_take0 : take)(arena, "strain", 9 * systems, sizeof(double));
    v->coulomb = aim_take0(arena, "coulomb", systems, sizeof(double));
    v->dispersion = aim_take0(arena, "dispersion", systems, sizeof(double));
    v->scrap = aim_take0(arena, "scrap", systems, sizeof(double));
    v->embedded_coulomb = aim_take0(arena, "coulomb", systems, sizeof(double));
    v->embedded_dispersion = aim_take0(arena, "dispersion", systems, sizeof(double));
    v->repulsion = aim_take0(arena, "repulsion", systems, sizeof(double));
    v->repulsion_atom = aim_take(arena, "repulsion", repels_by_atom(m) ? n : 0, sizeof(double));
    v->slot[AIM_SLOT_CHARGES] = v->q;
    v->slot[AIM_SLOT_SPIN_CHARGES] = v->spin;
}

/* out = in + shift of the element */
typedef struct shifting {
    const double *in, *shift;
    const int32_t *numbers;
    double *out;
} shifting;

static void shift_block(void *ctx, int block, size_t first, size_t last)
{
    const shifting *x = ctx;
    (void)block;
    for (size_t i = first; i < last; i++)
        x->out[i] = x->in[i] + x->shift[x->numbers[i]];
}

static void atomic_shift(aim_team *team, const aim_model *m, const aim_output *o,
                         const aim_batch *b, aim_values *v)
{
    const double *in = v->slot[o->in];
    double *out = v->slot[o->out];
    if (m->slot[o->out].kind == AIM_VALUE_ATOM) {
        shifting x = {in, o->shift, b->numbers, out};
        aim_blocks_run(team, (size_t)b->n_atoms, shift_block, &x);
        return;
    }
    for (int32_t s = 0; s < b->n_systems; s++) {
        double sum = 0;
        for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++)
            sum += o->shift[b->numbers[i]];
        out[s] = in[s] + sum;
    }
}

static void atomic_sum(const aim_model *m, const aim_output *o, const aim_batch *b, aim_values *v)
{
    const int width = m->slot[o->out].width;
    for (int32_t s = 0; s < b->n_systems; s++)
        for (int w = 0; w < width; w++) {
            double sum = 0;
            for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++)
                sum += v->slot[o->in][(size_t)i * (size_t)width + (size_t)w];
            v->slot[o->out][s * width + w] = sum;
        }
}

/* Positions relative to the centre of mass if the output asks for it. */
void aim_program_origin(const aim_output *o, const aim_batch *b, int32_t s, double origin[3])
{
    double mass = 0;
    origin[0] = origin[1] = origin[2] = 0;
    if (!o->center_coord)
        return;
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++) {
        const double m = o->table[b->numbers[i]];
        mass += m;
        for (int d = 0; d < 3; d++)
            origin[d] += m * b->coord[3 * i + d];
    }
    for (int d = 0; d < 3; d++)
        origin[d] /= mass;
}

static void multipole(const aim_output *o, const aim_batch *b, aim_values *v)
{
    const int quadrupole = o->kind == AIM_OUT_QUADRUPOLE;
    for (int32_t s = 0; s < b->n_systems; s++) {
        double origin[3], sum[6] = {0};
        aim_program_origin(o, b, s, origin);
        for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++) {
            const double q = v->slot[o->in][i], *x = b->coord + 3 * (size_t)i;
            const double r[3] = {x[0] - origin[0], x[1] - origin[1], x[2] - origin[2]};
            for (int d = 0; d < 3; d++) {
                sum[d] += q * (quadrupole ? r[d] * r[d] : r[d]);
                if (quadrupole) /* xy, yz, zx */
                    sum[3 + d] += q * r[d] * r[(d + 1) % 3];
            }
        }
        if (!quadrupole) {
            memcpy(v->slot[o->out] + 3 * s, sum, 3 * sizeof *sum);
            continue;
        }
        const double mean = (sum[0] + sum[1] + sum[2]) / 3.0;
        for (int d = 0; d < 3; d++)
            sum[d] -= mean;
        memcpy(v->slot[o->out] + 6 * s, sum, 6 * sizeof *sum);
    }
}

static void disp_param(const aim_output *o, const aim_batch *b, aim_values *v)
{
    const double *in = v->slot[o->in];
    for (int32_t i = 0; i < b->n_atoms; i++)
        for (int k = 0; k < 2; k++)
            v->slot[o->out][2 * i + k] =
                o->table[2 * b->numbers[i] + k] * exp(fmax(-4.0, fmin(4.0, in[2 * i + k])));
}

static double *gradient_of_charge(aim_values *v, int slot)
{
    return slot == AIM_SLOT_SPIN_CHARGES ? v->gspin : v->gq;
}

aim_range_plan aim_program_own_range(const aim_calc *c, const aim_output *o,
                                     const aim_range_plan *range)
{
    aim_range_plan own = *range;
    own.method = (aimnet_coulomb)o->method;
    own.coulomb = (aim_range_list){0};
    own.coulomb_cutoff = o->dsf_rc;
    own.dsf_alpha = o->dsf_alpha;
    own.ewald_accuracy = o->ewald_accuracy;
    if (aim_batch_periodic(&c->flat.batch, 0))
        own.coulomb = range->coulomb;
    return own;
}

aim_d3_params aim_program_d3_params(const aim_output *o)
{
    const int ts = o->kind == AIM_OUT_D3TS;
    return (aim_d3_params){.s6 = o->s6,
                           .s8 = o->s8,
                           .a1 = o->a1,
                           .a2 = o->a2,
                           .cutoff = ts ? INFINITY : o->cutoff,
                           .smoothing = ts ? 0 : o->smoothing};
}

aim_d3_table aim_program_d3_table(const aim_calc *c, const aim_output *o)
{
    const aim_d3_data *d = o->d3;
    return (aim_d3_table){.n_elements = d->n_elements,
                          .n_refs = d->n_refs,
                          .rcov = d->rcov,
                          .r4r2 = d->r4r2,
                          .first = d->first,
                          .cn = d->cn,
                          .c6 = d->c6,
                          .weight_floor = d->cn_max ? -INFINITY : c->d3_table->weight_floor,
                          .cn_max = d->cn_max};
}

/* Terms: energy of the systems goes to `energy` (+=). */
static aim_status run_term(aim_calc *c, const aim_output *o, const aim_range_plan *range, int live,
                           double *energy)
{
    aim_values *v = &c->values;
    const aim_range_list near_list = aim_calc_near(c);
    aim_term_io near = aim_calc_term_io(c, &near_list, energy, live);
    aim_term_io far = aim_calc_term_io(c, &range->d3, energy, live);
    const aim_d3_params p = aim_program_d3_params(o);
    if (o->in >= 0 && o->in < AIM_SLOT_FIRST_FREE) {
        near.q = v->slot[o->in];
        near.gq = live ? gradient_of_charge(v, o->in) : NULL;
    }
    switch (o->kind) {
    case AIM_OUT_SRCOULOMB:
        return aim_term_coulomb_sr(&near, o->rc, o->envelope, -1.0);
    case AIM_OUT_LRCOULOMB: {
        const aim_range_plan own = aim_program_own_range(c, o, range);
        AIM_TRY(aim_calc_coulomb(c, &own, near.q, gradient_of_charge(v, o->in), live, energy));
        return o->subtract_sr ? aim_term_coulomb_sr(&near, o->rc, o->envelope, -1.0) : AIMNET_OK;
    }
    case AIM_OUT_D3TS:
        return aim_term_d3ts(&far, &p, o->table, o->n_table, v->slot[o->in],
                             live ? v->adjoint[o->in] : NULL);
    default: {
        if (live == AIM_NET_KEEP) /* no charges, and nobody asks for its energy */
            return AIMNET_OK;
        const aim_d3_table table = aim_program_d3_table(c, o);
        return aim_term_d3(&far, &table, &p);
    }
    }
}

static void add(double *to, const double *from, size_t n)
{
    for (size_t k = 0; k < n; k++)
        to[k] += from[k];
}

/* The same from what a device has computed. */
static void add_given(const aim_calc *c, const aim_model *m, const aim_output *o)
{
    const aim_values *v = &c->values;
    const size_t systems = (size_t)c->flat.batch.n_systems;
    double *to = v->slot[o->out];
    switch (o->kind) {
    case AIM_OUT_SRCOULOMB:
        add(to, v->scrap, systems);
        break;
    case AIM_OUT_LRCOULOMB:
        add(to, v->embedded_coulomb, systems);
        if (o->subtract_sr)
            add(to, v->scrap, systems);
        break;
    case AIM_OUT_SRREP:
        if (m->slot[o->out].kind == AIM_VALUE_ATOM)
            add(to, v->repulsion_atom, (size_t)c->flat.batch.n_atoms);
        else
            add(to, v->repulsion, systems);
        break;
    default:
        add(to, v->embedded_dispersion, systems);
    }
}

static aim_status repulsion(aim_calc *c, const aim_model *m, const aim_output *o, int live)
{
    aim_values *v = &c->values;
    const int per_atom = m->slot[o->out].kind == AIM_VALUE_ATOM;
    const aim_range_list near = aim_calc_near(c);
    aim_term_io io = aim_calc_term_io(c, &near, per_atom ? v->scrap : v->slot[o->out], live);
    return aim_term_srrep(&io, o->table, o->n_table, o->rc, o->envelope,
                          per_atom ? v->slot[o->out] : NULL);
}

static void start_from_base(const aim_model *m, const aim_output *o, const aim_batch *b,
                            aim_values *v)
{
    const size_t n = slot_size(m, b, o->out);
    if (o->base >= 0)
        memcpy(v->slot[o->out], v->slot[o->base], n * sizeof(double));
    else
        memset(v->slot[o->out], 0, n * sizeof(double));
}

aim_status aim_program_some(aim_calc *c, const aim_member *member, const aim_range_plan *range,
                            int want_grad, int first, int last)
{
    const aim_model *m = member->model;
    const aim_batch *b = &c->flat.batch;
    aim_values *v = &c->values;
    for (int k = first; k < last; k++) {
        const aim_output *o = &m->output[k];
        const int live = member->live[o->out] ? want_grad : 0;
        switch (o->kind) {
        case AIM_OUT_MLP:
            break; /* the network has written it */
        case AIM_OUT_ATOMIC_SHIFT:
            atomic_shift(c->team, m, o, b, v);
            break;
        case AIM_OUT_ATOMIC_SUM:
            atomic_sum(m, o, b, v);
            break;
        case AIM_OUT_DIPOLE:
        case AIM_OUT_QUADRUPOLE:
            multipole(o, b, v);
            break;
        case AIM_OUT_DISP_PARAM:
            disp_param(o, b, v);
            break;
        case AIM_OUT_SRREP:
            start_from_base(m, o, b, v);
            if (c->given)
                add_given(c, m, o);
            else
                AIM_TRY(repulsion(c, m, o, live));
            break;
        case AIM_OUT_SRCOULOMB:
        case AIM_OUT_D3TS:
        case AIM_OUT_LRCOULOMB:
        case AIM_OUT_DFTD3:
            start_from_base(m, o, b, v);
            if (c->given)
                add_given(c, m, o);
            else
                AIM_TRY(run_term(c, o, range, live, v->slot[o->out]));
            break;
        }
    }
    return AIMNET_OK;
}

aim_status aim_program_forward(aim_calc *c, const aim_member *member, const aim_range_plan *range,
                               int want_grad)
{
    return aim_program_some(c, member, range, want_grad, 0, member->model->n_outputs);
}

int aim_program_of_network(const aim_model *m)
{
    int k = 0;
    while (k < m->n_outputs &&
           (m->output[k].kind == AIM_OUT_MLP || m->output[k].kind == AIM_OUT_ATOMIC_SHIFT ||
            m->output[k].kind == AIM_OUT_ATOMIC_SUM))
        k++;
    return k;
}

/* Sum: one for every atom. Shift, repulsion: unchanged. Dispersion parameters: d out/d in = out
 * inside the clamp. */
void aim_program_backward(const aim_member *member, const aim_batch *b, aim_values *v)
{
    const aim_model *m = member->model;
    for (int k = m->n_outputs - 1; k >= 0; k--) {
        const aim_output *o = &m->output[k];
        const int from = o->in >= AIM_SLOT_FIRST_FREE ? o->in : o->base;
        if (!member->live[o->out] || from < AIM_SLOT_FIRST_FREE || !v->adjoint[from])
            continue;
        const size_t n = slot_size(m, b, from);
        double *g = v->adjoint[from];
        const double *later = v->adjoint[o->out];
        if (o->kind == AIM_OUT_ATOMIC_SUM)
            for (size_t i = 0; i < n; i++)
                g[i] += 1.0;
        else if (o->kind == AIM_OUT_DISP_PARAM)
            for (size_t i = 0; i < n; i++)
                g[i] += fabs(v->slot[o->in][i]) <= 4.0 ? later[i] * v->slot[o->out][i] : 0.0;
        else if (later)
            for (size_t i = 0; i < n; i++)
                g[i] += later[i];
    }
}

void aim_program_backward_alike(const aim_member *member, double adjoint[AIM_MAX_SLOTS])
{
    const aim_model *m = member->model;
    for (int s = 0; s < m->n_slots; s++)
        adjoint[s] = 0.0;
    for (int k = m->n_outputs - 1; k >= 0; k--) {
        const aim_output *o = &m->output[k];
        const int from = o->in >= AIM_SLOT_FIRST_FREE ? o->in : o->base;
        if (!member->live[o->out] || from < AIM_SLOT_FIRST_FREE ||
            m->slot[from].kind != AIM_VALUE_ATOM)
            continue;
        if (o->kind == AIM_OUT_ATOMIC_SUM)
            adjoint[from] += 1.0;
        else if (m->slot[o->out].kind == AIM_VALUE_ATOM)
            adjoint[from] += adjoint[o->out];
    }
}
