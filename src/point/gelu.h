/* SPDX-License-Identifier: MIT */
/* gelu.h - exact GELU z Phi(z) and its derivative Phi(z) + z phi(z) (Hendrycks and Gimpel,
 * arXiv:1606.08415) in float, sharing one exponential: 1 - Phi(z) = exp(-z^2/2) w(t)/2 for z >= 0,
 * t = 1/(1 + z/4). w is the polynomial of tools/fit_gelu.py, relative error 4.4e-8; the vector form
 * of the CPU (backend/cpu/vmath.h) has the same coefficients. */
#ifndef AIM_POINT_GELU_H
#define AIM_POINT_GELU_H

#include "point/deriv.h"

/* w(t) */
AIM_HD float aim_normal_tail_f32(float t)
{
    float w = 0.039794749292508273722f;
    w = w * t - 0.16236188344877285962f;
    w = w * t + 0.19142862811571505761f;
    w = w * t - 0.062612923782955528357f;
    w = w * t + 0.12615150564420777729f;
    w = w * t + 0.11873098630536737866f;
    w = w * t + 0.16295271974696912562f;
    w = w * t + 0.18697552599733853789f;
    w = w * t + 0.19946947307574800268f;
    w = w * t + 0.1994712295883420319f;
    w = w * t - 4.0852426046797870763e-10f;
    return w;
}

AIM_HD float aim_gelu_f32(float z, float *slope)
{
    const float a = fabsf(z), e = expf(-0.5f * z * z), t = 1.0f / (1.0f + 0.25f * a),
                w = aim_normal_tail_f32(t);
    const float tail = 0.5f * e * w, cdf = z < 0.0f ? tail : 1.0f - tail;
    *slope = cdf + z * e * 0.39894228040143267794f;
    return z * cdf;
}

#endif
