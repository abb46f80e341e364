/* SPDX-License-Identifier: MIT */
/* coulomb.c - the one place that maps a Coulomb method to its term. */
#include <math.h>
#include <string.h>

#include "calc/tangent.h"

/* Second derivatives (AIM_NET_KEEP) need of the terms' own only those to the charges. */
aim_term_io aim_calc_term_io(aim_calc *c, const aim_range_list *list, double *energy, int live)
{
    const int moves = live && live != AIM_NET_KEEP;
    return (aim_term_io){.batch = &c->flat.batch,
                         .pairs = list->pairs,
                         .clusters = list->clusters,
                         .reach = list->reach,
                         .team = c->team,
                         .alloc = &c->alloc,
                         .scratch = &c->scratch,
                         .energy = energy,
                         .grad = moves ? c->values.grad : NULL,
                         .strain = moves ? c->values.strain : NULL};
}

aim_term_io aim_calc_charge_io(aim_calc *c, const aim_range_list *list, const double *q, double *gq,
                               double *energy, int live)
{
    aim_term_io io = aim_calc_term_io(c, list, energy, live);
    io.q = q;
    io.gq = live ? gq : NULL;
    return io;
}

aim_status aim_calc_coulomb(aim_calc *c, const aim_range_plan *range, const double *q, double *gq,
                            int live, double *energy)
{
    aim_term_io io = aim_calc_charge_io(c, &range->coulomb, q, gq, energy, live);
    switch (range->method) {
    case AIMNET_COULOMB_SIMPLE:
        return aim_term_coulomb_simple(&io, 1.0);
    case AIMNET_COULOMB_DSF:
        return aim_term_coulomb_dsf(&io, range->coulomb_cutoff, range->dsf_alpha);
    case AIMNET_COULOMB_EWALD:
        return aim_term_coulomb_ewald(&io, range->ewald_accuracy);
    case AIMNET_COULOMB_PME:
        return aim_term_coulomb_pme(&io, range->ewald_accuracy);
    }
    return AIM_FAIL(AIMNET_ERR_INTERNAL, "Coulomb method %d", (int)range->method);
}

aim_status aim_calc_coulomb_tan(aim_calc *c, const aim_range_plan *range, const double *q,
                                const aim_term_tan *tan)
{
    aim_term_io io = aim_calc_term_io(c, &range->coulomb, NULL, 0);
    io.q = q;
    switch (range->method) {
    case AIMNET_COULOMB_SIMPLE:
        return aim_term_coulomb_simple_tan(&io, tan, 1.0);
    case AIMNET_COULOMB_DSF:
        return aim_term_coulomb_dsf_tan(&io, tan, range->coulomb_cutoff, range->dsf_alpha);
    case AIMNET_COULOMB_EWALD:
        return aim_term_coulomb_ewald_tan(&io, tan, range->ewald_accuracy);
    case AIMNET_COULOMB_PME:
        return aim_term_coulomb_pme_tan(&io, tan, range->ewald_accuracy);
    }
    return AIM_FAIL(AIMNET_ERR_INTERNAL, "Coulomb method %d", (int)range->method);
}

int aim_calc_has_waves(int method)
{
    return method == AIMNET_COULOMB_EWALD || method == AIMNET_COULOMB_PME;
}

double aim_calc_accuracy(const aimnet_options *o)
{
    return o->ewald_accuracy > 0              ? o->ewald_accuracy
           : o->coulomb == AIMNET_COULOMB_PME ? 1e-6
                                              : 1e-8;
}

aimnet_coulomb_params aim_calc_coulomb_params(const aim_range_plan *range, const aim_batch *b,
                                              int32_t s)
{
    const double *cell = b->cell + 9 * (size_t)s;
    const int32_t n = b->offset[s + 1] - b->offset[s];
    aimnet_coulomb_params out = {0};
    if (range->method == AIMNET_COULOMB_DSF) {
        out.cutoff = range->coulomb_cutoff;
        out.alpha = range->dsf_alpha;
    } else if (range->method == AIMNET_COULOMB_EWALD) {
        const aim_ewald_params p = aim_ewald_choose(cell, n, range->ewald_accuracy);
        out.accuracy = range->ewald_accuracy;
        out.alpha = p.alpha;
        out.cutoff = p.real_cutoff;
        out.k_cutoff = p.k_cutoff;
    } else if (range->method == AIMNET_COULOMB_PME) {
        const aim_pme_params p = aim_pme_choose(cell, n, range->ewald_accuracy);
        out.accuracy = range->ewald_accuracy;
        out.alpha = p.alpha;
        out.cutoff = p.real_cutoff;
        out.order = p.order;
        memcpy(out.mesh, p.mesh, sizeof out.mesh);
    }
    return out;
}

double aim_calc_reach(const aim_calc *c, const aimnet_system *s)
{
    aim_range_plan plan = {.method = c->options.coulomb,
                           .ewald_accuracy = aim_calc_accuracy(&c->options)};
    for (int m = 0; m < c->n_members; m++)
        for (int k = 0; k < c->member[m].model->n_outputs && !c->member[m].coulomb; k++) {
            const aim_output *out = &c->member[m].model->output[k];
            if (out->kind == AIM_OUT_LRCOULOMB) {
                plan.method = (aimnet_coulomb)out->method;
                plan.ewald_accuracy = out->ewald_accuracy;
            }
        }
    if (plan.method == AIMNET_COULOMB_SIMPLE || plan.method == AIMNET_COULOMB_DSF || !s->cell)
        return 0.0;
    const int32_t offset[2] = {0, s->n_atoms};
    const aim_batch b = {.n_atoms = s->n_atoms, .n_systems = 1, .offset = offset, .cell = s->cell};
    return aim_calc_real_cutoff(&b, plan.method, plan.ewald_accuracy);
}

/* The longest real-space cutoff that a system of the batch wants. */
double aim_calc_real_cutoff(const aim_batch *b, aimnet_coulomb method, double accuracy)
{
    const aim_range_plan plan = {.method = method, .ewald_accuracy = accuracy};
    double longest = 0;
    for (int32_t s = 0; s < b->n_systems; s++)
        longest = fmax(longest, aim_calc_coulomb_params(&plan, b, s).cutoff);
    return longest;
}
