# SPDX-License-Identifier: MIT
"""Writes tests/golden/terms/dftd3_hessians.txt: analytic Hessians of simple-dftd3 (two-body, no cutoffs) times the vector
v_k = cos(k + 1), for the systems of organic.txt and elements.txt that it has reference data for.

Format as in make_terms.py; `grad` holds H v, eV/A^2. Usage: python make_d3_hessians.py
"""
import pathlib

import numpy as np
from aimnet import constants
from dftd3.interface import DispersionModel, RationalDampingParam

TERMS = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/terms"
PARAMETERS = ({"s6": 1.0, "s8": 0.3908, "a1": 0.566, "a2": 3.128}, {"s6": 1.0, "s8": 0.7875, "a1": 0.4289, "a2": 4.4407})
LAST, LARGEST = 86, 64


def systems(path):
    lines = iter(path.read_text().splitlines())
    for line in lines:
        if line.startswith("system"):
            yield line, [next(lines) for _ in range(int(line.split()[2]))]


def main():
    with open(TERMS / "dftd3_hessians.txt", "w") as f:
        f.write("# written by tests/reference/make_d3_hessians.py; H v with v_k = cos(k + 1), eV/A^2\n")
        for name in ("organic.txt", "elements.txt"):
            for head, atoms in systems(TERMS / name):
                numbers = np.array([int(a.split()[0]) for a in atoms])
                xyz = np.array([[float(x) for x in a.split()[1:4]] for a in atoms])
                if len(atoms) > LARGEST or len(atoms) < 2 or max(numbers) > LAST:
                    continue
                f.write("\n".join([head, *atoms]) + "\n")
                for p in PARAMETERS:
                    model = DispersionModel(numbers, xyz * constants.Bohr_inv)
                    model.set_realspace_cutoff(1e6, 1e6, 1e6)
                    r = model.get_hessian(RationalDampingParam(**p, s9=0.0))
                    hv = r["hessian"] @ np.cos(np.arange(3 * len(atoms)) + 1.0) * (constants.Hartree * constants.Bohr_inv**2)
                    f.write(f"term dftd3_hv {p['s6']} {p['s8']} {p['a1']} {p['a2']}\nenergy {float(r['energy']) * constants.Hartree:.17g}\n"
                            "grad\n" + "\n".join(" ".join(f"{v:.17g}" for v in row) for row in hv.reshape(-1, 3)) + "\n")


if __name__ == "__main__":
    main()
