#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the polynomial coefficients of src/backend/cpu/vmath.h (needs mpmath; the results are committed there).

GELU(z) = z Phi(z); for z >= 0, 1 - Phi(z) = exp(-z^2/2) w(t) / 2 with t = 1/(1 + p z) and w(t) = erfcx(z/sqrt 2), which is smooth on
(0, 1] and is interpolated at Chebyshev nodes, then written in powers of t.
"""
import mpmath as mp

mp.mp.dps = 50


def erfcx(x):
    if x < 20:
        return mp.erfc(x) * mp.exp(x * x)
    return sum((-1) ** k * mp.fac2(2 * k - 1) / (2 * x * x) ** k for k in range(14)) / (x * mp.sqrt(mp.pi))


def fit(degree, p):
    n = degree + 1
    t = [(mp.cos(mp.pi * (i + mp.mpf(1) / 2) / n) + 1) / 2 for i in range(n)]
    y = [erfcx((1 / s - 1) / p / mp.sqrt(2)) for s in t]
    matrix = mp.matrix(n, n)
    for i in range(n):
        for k in range(n):
            matrix[i, k] = t[i] ** k
    return list(mp.lu_solve(matrix, mp.matrix(y)))


def worst(c, p):
    z = [mp.mpf(i) / 100 for i in range(1400)]
    return max(abs(mp.polyval(c[::-1], 1 / (1 + p * s)) / erfcx(s / mp.sqrt(2)) - 1) for s in z)


for degree, p in ((10, mp.mpf("0.25")), (22, mp.mpf("0.2"))):
    c = fit(degree, p)
    print(f"degree {degree}, p = {mp.nstr(p, 3)}, largest relative error {mp.nstr(worst(c, p), 2)}")
    for v in c:
        print(f"    {mp.nstr(v, 20)},")
