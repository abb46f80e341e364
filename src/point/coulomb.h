/* SPDX-License-Identifier: MIT */
/* coulomb.h - pair functions of electrostatics per unit charges, 1/Angstrom (multiply by k_e q_i
 * q_j for eV). d, rc in Angstrom.
 *
 * simple  1/d
 * dsf     erfc(a d)/d - erfc(a rc)/rc + (d - rc) slope, slope = erfc(a rc)/rc^2 + 2 a/sqrt(pi)
 * exp(-a^2 rc^2)/rc: damped and shifted so that value and force vanish at rc; 0 from rc on (C. J.
 * Fennell, J. D. Gezelter, J. Chem. Phys. 124, 234104 (2006), doi:10.1063/1.2206581). Each charge
 * also has the self term q^2 aim_dsf_self. */
#ifndef AIM_POINT_COULOMB_H
#define AIM_POINT_COULOMB_H

#include "point/deriv.h"
#include "point/units.h"

AIM_HD aim_deriv aim_coulomb_simple(double d)
{
    const double v = 1.0 / d;
    const aim_deriv r = {v, -v * v, 2.0 * v * v * v};
    return r;
}

typedef struct aim_dsf {
    double alpha, rc;    /* 1/Angstrom, Angstrom */
    double shift, slope; /* erfc(a rc)/rc and the force there */
    double gauss;        /* 2 a / sqrt(pi) */
    double self;         /* -(erfc(a rc)/(2 rc) + a/sqrt(pi)): times k_e q^2 */
} aim_dsf;

AIM_HD aim_dsf aim_dsf_make(double rc, double alpha)
{
    aim_dsf p;
    p.alpha = alpha;
    p.rc = rc;
    p.gauss = 2.0 * alpha / AIM_SQRT_PI;
    p.shift = erfc(alpha * rc) / rc;
    p.slope = p.shift / rc + p.gauss * exp(-(alpha * rc) * (alpha * rc)) / rc;
    p.self = -(0.5 * p.shift + 0.5 * p.gauss);
    return p;
}

AIM_HD aim_deriv aim_coulomb_dsf(double d, const aim_dsf *p)
{
    aim_deriv r = {0.0, 0.0, 0.0};
    if (d < p->rc) {
        const double a = p->alpha, inv = 1.0 / d;
        const double c = erfc(a * d) * inv, g = p->gauss * exp(-(a * d) * (a * d));
        r.v = c - p->shift + (d - p->rc) * p->slope;
        r.d1 = -(c + g) * inv + p->slope;
        r.d2 = 2.0 * ((c + g) * inv * inv + a * a * g);
    }
    return r;
}

#endif
