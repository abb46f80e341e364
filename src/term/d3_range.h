/* SPDX-License-Identifier: MIT */
/* d3_range.h - the switch of the dispersion terms from their parameters: in bohr, from (1 -
 * smoothing) to 1 times the cutoff. */
#ifndef AIM_TERM_D3_RANGE_H
#define AIM_TERM_D3_RANGE_H

#include <math.h>

#include "backend/term_kernels.h"
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

#endif
