/* SPDX-License-Identifier: MIT */
/* repulsion.h - short-range repulsion of GFN1-xTB: f(d) = exp(-alpha d^1.5) / d, d in Angstrom,
 * alpha in Angstrom^-1.5. S. Grimme, C. Bannwarth, P. Shushkov, J. Chem. Theory Comput. 13, 1989
 * (2017), doi:10.1021/acs.jctc.7b00118. alpha and the effective charges are products of per-element
 * parameters of the model file. */
#ifndef AIM_POINT_REPULSION_H
#define AIM_POINT_REPULSION_H

#include "point/coulomb.h"

AIM_HD aim_deriv aim_repulsion_gfn1(double d, double alpha)
{
    const double s = sqrt(d);
    const aim_deriv arg = {-alpha * d * s, -1.5 * alpha * s, -0.75 * alpha / s};
    return aim_deriv_mul(aim_deriv_exp(arg), aim_coulomb_simple(d));
}

#endif
