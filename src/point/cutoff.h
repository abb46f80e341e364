/* SPDX-License-Identifier: MIT */
/* cutoff.h - envelopes fc(d) that are 1 at contact and 0 from rc on. d and rc in Angstrom.
 *
 * exp     exp(1 - 1/(1 - (d/rc)^2)), the C-infinity bump function (reference: ops.exp_cutoff). Its
 * clamp of d/rc at 1 - 1e-6 never shows in double precision: the exponential underflows from d/rc =
 * 0.9993 on, so it is plainly 0 where 1/(1 - (d/rc)^2) > 700. cosine  (1 + cos(pi d / rc)) / 2
 * (reference: ops.cosine_cutoff); its clamp at d = 1e-6 A changes the value by less than 1e-13. s5
 * quintic switch 1 - t^3 (10 - 15 t + 6 t^2), t = (d - on)/(off - on): 1 below `on`, 0 above `off`,
 * C^2 at both. With off <= on it is the step d < off. */
#ifndef AIM_POINT_CUTOFF_H
#define AIM_POINT_CUTOFF_H

#include "point/deriv.h"
#include "point/envelope.h"
#include "point/units.h"

AIM_HD aim_deriv aim_cutoff_exp(double d, double rc)
{
    const aim_deriv zero = {0.0, 0.0, 0.0};
    const double x = d / rc, u = 1.0 - x * x;
    if (u * 700.0 < 1.0 || x >= 1.0)
        return zero;
    const aim_deriv inner = {u, -2.0 * x / rc, -2.0 / (rc * rc)};
    aim_deriv g = aim_deriv_inverse(inner);
    g.v = 1.0 - g.v;
    g.d1 = -g.d1;
    g.d2 = -g.d2;
    return aim_deriv_exp(g);
}

AIM_HD aim_deriv aim_cutoff_cosine(double d, double rc)
{
    aim_deriv r = {0.0, 0.0, 0.0};
    if (d < rc) {
        const double k = AIM_PI / rc, c = cos(k * d), s = sin(k * d);
        r.v = 0.5 * (1.0 + c);
        r.d1 = -0.5 * k * s;
        r.d2 = -0.5 * k * k * c;
    }
    return r;
}

AIM_HD aim_deriv aim_cutoff_envelope(double d, double rc, aim_envelope envelope)
{
    const aim_deriv one = {1.0, 0.0, 0.0};
    return envelope == AIM_ENVELOPE_EXP      ? aim_cutoff_exp(d, rc)
           : envelope == AIM_ENVELOPE_COSINE ? aim_cutoff_cosine(d, rc)
                                             : one;
}

AIM_HD aim_deriv aim_cutoff_s5(double d, double on, double off)
{
    aim_deriv r = {d < off ? 1.0 : 0.0, 0.0, 0.0};
    if (off > on && d > on && d < off) {
        const double w = 1.0 / (off - on), t = (d - on) * w, s = 1.0 - t;
        r.v = 1.0 - t * t * t * (10.0 + t * (6.0 * t - 15.0));
        r.d1 = -30.0 * t * t * s * s * w;
        r.d2 = -60.0 * t * s * (1.0 - 2.0 * t) * w * w;
    }
    return r;
}

#endif
