# SPDX-License-Identifier: MIT
"""Writes tests/golden/written/results.ase: what ASE reads in tests/golden/written/results.extxyz, a file that aimnet.c wrote.

The unit test test_xyz_write writes the same file again, compares it byte by byte, and compares ASE's numbers with what it
wrote. For each frame, lines of a word and numbers: numbers, positions, cell, pbc, charge, mult, energy, forces, charges, dipole,
stress (xx yy zz yz xz xy); no numbers where the file has none; then a line `other` with the remaining keys, for people.

Usage: python read_written.py        (see requirements.txt)
"""
import pathlib

import ase
import ase.io
import numpy as np

assert ase.__version__ == "3.29.0"
HERE = pathlib.Path(__file__).resolve().parents[1] / "golden" / "written"


def line(word, values):
    return word + "".join(f" {float(x)!r}" for x in np.ravel(values)) + "\n"


out = ""
for atoms in ase.io.read(HERE / "results.extxyz", index=":", format="extxyz"):
    results = atoms.calc.results
    assert set(results) <= {"energy", "forces", "charges", "dipole", "stress"}
    out += line("numbers", atoms.numbers) + line("positions", atoms.positions) + line("cell", atoms.cell) + line("pbc", atoms.pbc)
    out += line("charge", atoms.info.pop("charge")) + line("mult", atoms.info.pop("mult"))
    for key in ("energy", "forces", "charges", "dipole", "stress"):
        out += line(key, results.get(key, []))
    out += "other " + repr({k: v.tolist() if hasattr(v, "tolist") else v for k, v in atoms.info.items()}) + "\n"
(HERE / "results.ase").write_text(out)
