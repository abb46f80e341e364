/* SPDX-License-Identifier: MIT */
/* coulomb.c - the one place that maps a Coulomb method to its term. */
#include "calc/calc.h"

aim_term_io aim_calc_term_io(aim_calc *c, const aim_pairs *pairs, double *energy, int live)
{
    return (aim_term_io){.batch = &c->flat.batch,
                         .pairs = pairs,
                         .team = c->team,
                         .alloc = &c->alloc,
                         .scratch = &c->scratch,
                         .energy = energy,
                         .grad = live ? c->values.grad : NULL,
                         .strain = live ? c->values.strain : NULL};
}

aim_status aim_calc_coulomb(aim_calc *c, const aim_range_plan *range, const double *q, double *gq,
                            int live, double *energy)
{
    aim_term_io io = aim_calc_term_io(c, range->coulomb, energy, live);
    io.q = q;
    io.gq = live ? gq : NULL;
    switch (range->method) {
    case AIMNET_COULOMB_SIMPLE:
        return aim_term_coulomb_simple(&io, 1.0);
    case AIMNET_COULOMB_DSF:
        return aim_term_coulomb_dsf(&io, range->coulomb_cutoff, range->dsf_alpha);
    case AIMNET_COULOMB_EWALD:
        return aim_term_coulomb_ewald(&io, range->ewald_accuracy);
    case AIMNET_COULOMB_PME:
        break;
    }
    return AIM_FAIL(AIMNET_ERR_UNSUPPORTED, "PME is not part of this version: use Ewald or DSF");
}
