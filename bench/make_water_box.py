# SPDX-License-Identifier: MIT
"""Writes bench/data/water_box_648.xyz.gz once: 216 water molecules at 1 g/cm3 in a cubic box, periodic.

Molecules of the experimental geometry stand near the points of a cubic lattice, turned at random (seed 11), no two atoms of different molecules
closer than 1.6 A. Larger boxes are repetitions of it (bench_crystal --repeat). The committed file is the definition.
Usage: python make_water_box.py [OUTPUT_DIRECTORY]
"""
import gzip
import pathlib
import sys

import numpy as np

N, MOLAR_MASS, AVOGADRO_PER_A3 = 6, 18.01528, 0.602214076
BOX = (N**3 * MOLAR_MASS / AVOGADRO_PER_A3) ** (1 / 3)
ANGLE, BOND = np.radians(104.52), 0.9572
MOLECULE = BOND * np.array([[0, 0, 0], [np.sin(ANGLE / 2), np.cos(ANGLE / 2), 0], [-np.sin(ANGLE / 2), np.cos(ANGLE / 2), 0]])


def turned(rng):
    q = rng.normal(size=4)
    w, x, y, z = q / np.linalg.norm(q)
    r = np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                  [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                  [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]])
    return MOLECULE @ r.T


def main(out):
    rng, placed = np.random.default_rng(11), []
    for k in range(N**3):
        point = (np.array([k // N**2, k // N % N, k % N]) + 0.5) * BOX / N
        while True:
            x = turned(rng) + point + rng.uniform(-0.3, 0.3, 3)
            others = np.array(placed).reshape(-1, 3)
            d = x[:, None] - others[None]
            d -= BOX * np.round(d / BOX)
            if not len(others) or np.sqrt((d**2).sum(-1)).min() > 1.6:
                break
        placed.append(x)
    x = np.concatenate(placed)
    head = f'{len(x)}\nLattice="{BOX:.6f} 0 0 0 {BOX:.6f} 0 0 0 {BOX:.6f}" Properties=species:S:1:pos:R:3 pbc="T T T"\n'
    text = head + "".join(f"{'OHH'[i % 3]} {a:.4f} {b:.4f} {c:.4f}\n" for i, (a, b, c) in enumerate(x))
    with gzip.GzipFile(out / "water_box_648.xyz.gz", "wb", compresslevel=9, mtime=0) as f:
        f.write(text.encode())


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent / "data")
