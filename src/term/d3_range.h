/* SPDX-License-Identifier: MIT */
/* d3_range.h - what the dispersion terms and their tangents share: the switch from the parameters
 * (in bohr, from (1 - smoothing) to 1 times the cutoff), the damped and switched distance function,
 * and the check of elements. */
#ifndef AIM_TERM_D3_RANGE_H
#define AIM_TERM_D3_RANGE_H

#include <math.h>

#include "backend/term_kernels.h"
#include "point/cutoff.h"
#include "point/d3_damping.h"
#include "point/units.h"
#include "term/term.h"

/* Pairs farther apart than this (bohr) are left out even without a cutoff: their terms underflow,
 * and d^14 must not overflow. */
#define AIM_D3_FARTHEST 1e20

AIM_NODISCARD static inline aim_status aim_d3_range_make(const aim_d3_params *p,
                                                         aim_d3_range *range)
{
    if (!(p->cutoff > 0.0))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "the cutoff of the dispersion energy is %g: it must be a positive length",
                        p->cutoff);
    if (!(p->smoothing >= 0.0 && p->smoothing <= 1.0))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "the smoothing of the dispersion energy is %g: it must lie between 0 and 1",
                        p->smoothing);
    const double off = fmin(p->cutoff * AIM_BOHR_INV, AIM_D3_FARTHEST);
    *range = (aim_d3_range){.s6 = p->s6, .cut2 = off * off};
    const double on = p->cutoff * (1.0 - p->smoothing) * AIM_BOHR_INV;
    if (isfinite(p->cutoff) && on < off) {
        range->on = on;
        range->inv_width = 1.0 / (off - on);
    }
    return AIMNET_OK;
}

/* Damping times switch at d (bohr), with derivatives; 0 outside the range. */
static inline aim_deriv aim_d3_damped(double d, const aim_d3_range *range, const aim_d3_params *p,
                                      double c8_ratio)
{
    const aim_deriv zero = {0.0, 0.0, 0.0};
    if (d * d >= range->cut2)
        return zero;
    const double r0 = aim_d3_radius(c8_ratio, p->a1, p->a2);
    const aim_deriv e = aim_d3_damping(d, p->s6, p->s8, c8_ratio, r0);
    return range->inv_width > 0.0
               ? aim_deriv_mul(e, aim_cutoff_s5(d, range->on, range->on + 1.0 / range->inv_width))
               : e;
}

/* Every active atom has reference data; max_ref: most references of their elements, 0 without
 * active atoms. */
AIM_NODISCARD aim_status aim_d3_check_elements(const aim_term_io *io, const aim_d3_table *table,
                                               int *max_ref);

#endif
