# SPDX-License-Identifier: MIT
"""Writes tests/golden/ewald/crystals.txt: lattice sums of point charges with 30 digits, independent of the library and of the reference.

The sum over the lattice is written with the incomplete gamma functions of the theta splitting at eta = pi / V^(2/3), taken until terms are below
1e-22, in mpmath; derivatives are central differences of it with a step of 1e-8 (error 1e-15). Units: e, Angstrom; energies are divided by k_e.
A file is a sequence of
    crystal NAME N / 3 lines: cell / N lines: q x y z / energy E / grad, N lines / potential, N lines / strain, 3 lines
Usage: python make_ewald.py      (mpmath)
"""
import itertools
import pathlib
import random

from mpmath import mp, mpf, cos, erfc, exp, pi, sqrt

mp.dps = 30
STEP = mpf("1e-8")
HERE = pathlib.Path(__file__).resolve().parents[1]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def cross(a, b):
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def rows(m, h):
    return [sum(m[i] * h[i][d] for i in range(3)) for d in range(3)]


def reach(h, radius):
    """Largest index along each vector of h inside a sphere."""
    v = abs(dot(h[0], cross(h[1], h[2])))
    return [int(radius * sqrt(dot(c, c)) / v) + 1 for c in (cross(h[1], h[2]), cross(h[2], h[0]), cross(h[0], h[1]))]


def energy(cell, x, q):
    v = abs(dot(cell[0], cross(cell[1], cell[2])))
    eta = sqrt(pi) / v ** (mpf(1) / 3)  # erfc(eta r): both sums decay alike
    far = mpf("7.2") / eta
    total = -eta / sqrt(pi) * sum(c * c for c in q) - pi * sum(q) ** 2 / (2 * v * eta * eta)
    top = [m + 1 for m in reach(cell, far)]
    images = [rows(m, cell) for m in itertools.product(*(range(-t, t + 1) for t in top))]
    for i, j in itertools.product(range(len(q)), repeat=2):
        for s in images:
            r = [x[j][d] + s[d] - x[i][d] for d in range(3)]
            d2 = dot(r, r)
            if 0 < d2 < far * far:
                d = sqrt(d2)
                total += q[i] * q[j] * erfc(eta * d) / (2 * d)
    flip = [[c / dot(cell[0], cross(cell[1], cell[2])) for c in k]
            for k in (cross(cell[1], cell[2]), cross(cell[2], cell[0]), cross(cell[0], cell[1]))]
    limit = 2 * eta * mpf("7.2")
    for m in itertools.product(*(range(-t, t + 1) for t in reach(flip, limit / (2 * pi)))):
        if m <= (0, 0, 0):  # half of the sphere: lexicographically positive
            continue
        k = [2 * pi * c for c in rows(m, flip)]
        k2 = dot(k, k)
        if k2 < limit * limit:
            re = sum(c * cos(dot(k, p)) for c, p in zip(q, x))
            im = sum(c * mp.sin(dot(k, p)) for c, p in zip(q, x))
            total += 4 * pi / v * exp(-k2 / (4 * eta * eta)) / k2 * (re * re + im * im)
    return total


def slope(change):
    return (change(STEP) - change(-STEP)) / (2 * STEP)


def moved(x, i, d, h):
    y = [list(r) for r in x]
    y[i][d] += h
    return y


def strained(h, a, b, e):
    return [[r[d] + (e * r[a] if d == b else 0) for d in range(3)] for r in h]


def block(values):
    return "\n".join(" ".join(mp.nstr(v, 20) for v in row) for row in values)


def write(out, name, cell, x, q):
    print(f"crystal {name} {len(q)}\n{block(cell)}\n{block([c, *p] for c, p in zip(q, x))}", file=out)
    print("energy", mp.nstr(energy(cell, x, q), 20), file=out)
    grad = [[slope(lambda h: energy(cell, moved(x, i, d, h), q)) for d in range(3)] for i in range(len(q))]
    potential = [[slope(lambda h: energy(cell, x, [c + (h if k == i else 0) for k, c in enumerate(q)]))] for i in range(len(q))]
    strain = [[slope(lambda h: energy(strained(cell, a, b, h), strained(x, a, b, h), q)) for b in range(3)] for a in range(3)]
    print(f"grad\n{block(grad)}\npotential\n{block(potential)}\nstrain\n{block(strain)}", file=out, flush=True)


def main():
    rng = random.Random(5)
    (HERE / "golden/ewald").mkdir(exist_ok=True)
    shapes = {"triclinic_charged": (4, False, [[6, .3, -.2], [1.1, 7, .4], [-2, .5, 8]]),
              "left_handed": (3, True, [[0, 5.5, 0], [5, 0, 0.5], [0, 0, 6]])}
    with open(HERE / "golden/ewald/crystals.txt", "w") as out:
        for name, (n, neutral, cell) in shapes.items():
            cell = [[mpf(str(c)) for c in r] for r in cell]
            f = [[mpf(round(rng.random() / 2 + k / n, 3)) for _ in range(3)] for k in range(n)]
            x = [[mpf(mp.nstr(c, 6)) for c in rows(r, cell)] for r in f]
            q = [mpf(str(round(rng.uniform(-1, 1), 3))) for _ in range(n)]
            if neutral:
                q[-1] = -sum(q[:-1])
            write(out, name, cell, x, q)


if __name__ == "__main__":
    main()
