# SPDX-License-Identifier: MIT
"""Writes tests/golden/nlist/lists.txt: neighbour lists of random systems by two independent programs, ASE and vesin.

Every system is made from its number alone by integer arithmetic (splitmix64; lengths are multiples of 2^-16 A), so that
tests/unit/test_nlist_golden.c makes exactly the same doubles; `make_system` there mirrors `make_system` here. Both
programs must give the same set of (i, j, S); the file keeps its size and the 64-bit FNV-1a hash of the sorted
int32 quintuples (i, j, Sx, Sy, Sz). Systems with a pair closer than 1e-9 A to the cutoff are marked and not compared.

Usage: python make_nlist.py [NUMBER_OF_SYSTEMS]      (ase==3.29.0, vesin==0.6.2, numpy==2.4.6; about a minute)
"""
import pathlib
import sys

import ase
import numpy as np
import vesin
from ase.neighborlist import primitive_neighbor_list

ROOT = pathlib.Path(__file__).resolve().parents[2]
MASK = (1 << 64) - 1
ONE = 1 << 16  # units per Angstrom
KINDS = ["molecule", "cubic", "triclinic", "skewed", "left-handed", "tiny", "mixed pbc", "open axis without vector", "far outside",
         "265 A box", "overlapping", "wire", "chain"]


class Random:
    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % n

    def between(self, low, high):  # Angstrom, whole numbers
        return low * ONE + self.below((high - low) * ONE)


def determinant(h):
    return (h[0] * (h[4] * h[8] - h[5] * h[7]) - h[1] * (h[3] * h[8] - h[5] * h[6]) + h[2] * (h[3] * h[7] - h[4] * h[6]))


def random_cell(r, low, high, skew, least):
    while True:
        h = [r.between(low, high) if k % 4 == 0 else (r.between(-skew, skew) if skew else 0) for k in range(9)]
        if abs(determinant([v >> 6 for v in h])) >= least << 30:
            return h


def make_system(number):
    """Cell, pbc, coordinates and cutoff as integers in units of 2^-16 A."""
    r = Random(number)
    kind = number % len(KINDS)
    n = 1 + r.below(60)
    cutoff = r.between(2, 6)
    pbc = [1, 1, 1]
    low, high = -4, 14
    cell = random_cell(r, 4, 12, 3, 60)
    if kind in (0, 12):
        cell, pbc, n, low, high = [0] * 9, [0, 0, 0], 1 + r.below(300), -6, 7
    elif kind == 1:
        cell, n = random_cell(r, 5, 16, 0, 60), 1 + r.below(250)
    elif kind == 3:
        a, b, c = r.below(25) - 12, r.below(19) - 9, r.below(19) - 9
        for d in range(3):
            cell[3 + d] += a * cell[d]
        for d in range(3):
            cell[6 + d] += b * cell[d] + c * cell[3 + d]
    elif kind == 4:
        cell = cell[3:6] + cell[0:3] + cell[6:9]
    elif kind == 5:
        cell, n, cutoff = random_cell(r, 1, 4, 1, 4), 1 + r.below(4), r.between(4, 8)
    elif kind == 6:
        pbc = [r.below(2) for _ in range(3)]
    elif kind == 7:
        axis = r.below(3)
        pbc[axis] = 0
        cell[3 * axis:3 * axis + 3] = [0, 0, 0]
    elif kind == 8:
        low, high = -3000, 3000
    elif kind == 9:
        cell, low, high = [265 * ONE if k % 4 == 0 else 0 for k in range(9)], -5, 5
    elif kind == 11:
        axis = r.below(3)
        pbc = [int(d == axis) for d in range(3)]
    coord = [r.between(low, high) for _ in range(3 * n)]
    for a in range(n):
        if kind == 12:
            coord[3 * a] += a * ONE * (900 if a % 7 == 0 else 1)
        if kind == 10 and a > 0 and r.below(2):
            coord[3 * a:3 * a + 3] = coord[0:3]
    return kind, cell, pbc, coord, cutoff


def completed(cell, pbc):
    """Open axes get unit normals where their vectors are zero: vesin wants a matrix that can be inverted, and ASE
    3.29 loses pairs otherwise (system 150: 156 of 162)."""
    cell = cell.copy()
    for d in range(3):
        if not cell[d].any():
            others = [cell[e] for e in range(3) if e != d]
            normal = np.cross(*others) if all(v.any() for v in others) else np.eye(3)[d]
            cell[d] = normal / np.linalg.norm(normal)
    assert all(pbc[d] == 0 or cell[d].any() for d in range(3))
    return cell


def sorted_pairs(i, j, s):
    pairs = np.column_stack([i, j, s]).astype(np.int64).reshape(-1, 5)
    return pairs[np.lexsort(pairs.T[::-1])]


def fnv1a(pairs):
    h = 0xCBF29CE484222325
    for byte in pairs.astype("<i4").tobytes():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 650
    lines = [f"# made by tests/reference/make_nlist.py with ase {ase.__version__} and vesin {vesin.__version__}",
             "# system pairs hash   (a dash: a pair within 1e-9 A of the cutoff)"]
    for number in range(count):
        kind, cell, pbc, coord, cutoff = make_system(number)
        cell = np.array(cell, float).reshape(3, 3) / ONE
        coord = np.array(coord, float).reshape(-1, 3) / ONE
        rc = cutoff / ONE
        flags = np.array(pbc, bool)
        box = completed(cell, flags) if flags.any() else np.zeros((3, 3))
        i, j, s, d = primitive_neighbor_list("ijSd", flags, box, coord, rc + 1e-6, self_interaction=False, max_nbins=1e4)
        if (np.abs(d - rc) < 1e-9).any():
            lines.append(f"{number} - -")
            continue
        ase_pairs = sorted_pairs(i[d < rc], j[d < rc], s[d < rc])
        nl = vesin.NeighborList(cutoff=rc, full_list=True)
        i, j, s = nl.compute(points=coord, box=box, periodic=flags if flags.any() else False, quantities="ijS")
        vesin_pairs = sorted_pairs(i, j, s)
        if not np.array_equal(ase_pairs, vesin_pairs):
            sys.exit(f"system {number} ({KINDS[kind]}): ase has {len(ase_pairs)} pairs, vesin {len(vesin_pairs)}")
        lines.append(f"{number} {len(ase_pairs)} {fnv1a(ase_pairs):016x}")
    path = ROOT / "tests/golden/nlist/lists.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


main()
