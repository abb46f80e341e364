/* SPDX-License-Identifier: MIT */
/* d3_damping.h - the distance functions of DFT-D3 with rational (Becke-Johnson) damping. Distances
 * in bohr, energies in hartree.
 *
 * count    fractional coordination 1/(1 + exp(-16 (rcov/d - 1))), rcov = sum of the scaled covalent
 * radii damping  s6/(d^6 + r0^6) + s8 q/(d^8 + r0^8), q = 3 r4r2_i r4r2_j, r0 = a1 sqrt(q) + a2; a
 * pair's energy is -C6 times it weight   exponent -4 (CN - CN_ref)^2 of a reference's Gaussian
 * weight S. Grimme, J. Antony, S. Ehrlich, H. Krieg, J. Chem. Phys. 132, 154104 (2010),
 * doi:10.1063/1.3382344; S. Grimme, S. Ehrlich, L. Goerigk, J. Comput. Chem. 32, 1456 (2011),
 * doi:10.1002/jcc.21759. */
#ifndef AIM_POINT_D3_DAMPING_H
#define AIM_POINT_D3_DAMPING_H

#include "point/deriv.h"

#define AIM_D3_K1 16.0 /* steepness of the counting function */
#define AIM_D3_K3 4.0  /* sharpness of the reference weights */

AIM_HD aim_deriv aim_d3_count(double d, double rcov)
{
    const double inv = 1.0 / d, k = AIM_D3_K1 * rcov;
    const aim_deriv arg = {-(k * inv - AIM_D3_K1), k * inv * inv, -2.0 * k * inv * inv * inv};
    aim_deriv e = aim_deriv_exp(arg);
    e.v += 1.0;
    return aim_deriv_inverse(e);
}

AIM_HD double aim_d3_exponent(double cn, double cn_ref)
{
    return -AIM_D3_K3 * (cn - cn_ref) * (cn - cn_ref);
}

/* 3 r4r2_i r4r2_j and the damping radius */
AIM_HD double aim_d3_c8_ratio(double r4r2_i, double r4r2_j)
{
    return 3.0 * r4r2_i * r4r2_j;
}
AIM_HD double aim_d3_radius(double c8_ratio, double a1, double a2)
{
    return a1 * sqrt(c8_ratio) + a2;
}

AIM_HD aim_deriv aim_d3_damping(double d, double s6, double s8, double c8_ratio, double r0)
{
    const double d2 = d * d, d4 = d2 * d2, r2 = r0 * r0, r4 = r2 * r2;
    const aim_deriv a = {d4 * d2 + r4 * r2, 6.0 * d4 * d, 30.0 * d4};
    const aim_deriv b = {d4 * d4 + r4 * r4, 8.0 * d4 * d2 * d, 56.0 * d4 * d2};
    const aim_deriv p = aim_deriv_inverse(a), q = aim_deriv_inverse(b);
    const double c8 = s8 * c8_ratio;
    const aim_deriv r = {s6 * p.v + c8 * q.v, s6 * p.d1 + c8 * q.d1, s6 * p.d2 + c8 * q.d2};
    return r;
}

#endif
