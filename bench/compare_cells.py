# SPDX-License-Identifier: MIT
"""Relaxes crystals of tests/golden, atoms and cells, with `aimnet opt --cell full` and with ASE's FrechetCellFilter and BFGS on the same potential.

Usage: PYTHONPATH=python python compare_cells.py AIMNET_COMMAND [NAME...]   (needs ase; some minutes)

Both stop when no force is above 0.005 eV/A and no stress above 2e-5 eV/A^3; double precision, Coulomb DSF 15 A.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.optimize import BFGS

from aimnetc import AIMNet2ASE, AIMNet2Calculator

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests/golden"
CRYSTALS = {"urea": "structures/urea.cif", "formamide": "structures/formamide.cif", "ice": "crystals/ice.xyz",
            "ammonium chloride": "crystals/ammonium_chloride.xyz", "COD 2000054": "structures/2000054.cif",
            "COD 1100172": "structures/1100172.cif", "COD 2019828": "structures/2019828.cif.gz"}
FMAX, SMAX = 0.005, 2e-5  # eV/A, eV/A^3
LIMIT = 1000


def load(command, path):
    """The structure as our reader has it: ASE and we then start from the same atoms."""
    with tempfile.NamedTemporaryFile(suffix=".xyz") as file:
        subprocess.run([command, "energy", "--quiet", "--coulomb", "dsf", "-o", file.name, path], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        atoms = read(file.name)
    atoms.calc = None
    atoms.info = {}
    return atoms


def with_ase(atoms):
    base = AIMNet2Calculator(precision="double")
    base.set_lrcoulomb_method("dsf")
    atoms.calc = AIMNet2ASE(base)
    n, calculate = [0], atoms.calc.calculate

    def counted(atoms=None, properties=None, changes=("positions",)):
        n[0] += 1
        calculate(atoms, ["energy", "forces", "stress"], changes)
    atoms.calc.calculate = counted

    def done():
        return np.linalg.norm(atoms.get_forces(), axis=1).max() < FMAX and np.abs(atoms.get_stress()).max() < SMAX
    optimiser = BFGS(FrechetCellFilter(atoms), logfile=None)
    for _ in optimiser.irun(fmax=1e-9, steps=LIMIT):
        if done():
            break
    return n[0], atoms.get_potential_energy(), atoms.get_volume(), done()


def ours(command, atoms):
    with tempfile.NamedTemporaryFile(suffix=".xyz") as file:
        write(file.name, atoms, format="extxyz", columns=["symbols", "positions"])
        # the last line: a structure that has not converged is a result, too
        out = subprocess.run([command, "opt", "--cell", "full", "--coulomb", "dsf", "--precision", "double", "--fmax", str(FMAX), "--smax",
                              str(SMAX), "--json", "--quiet", file.name], stdout=subprocess.PIPE, text=True)
    return json.loads(out.stdout)


def main():
    command, names = sys.argv[1], sys.argv[2:] or CRYSTALS
    for name in names:
        atoms = load(command, str(GOLDEN / CRYSTALS[name]))
        started = time.perf_counter()
        mine = ours(command, atoms)
        middle = time.perf_counter()
        calls, energy, volume, done = with_ase(atoms.copy())
        seconds = time.perf_counter() - middle
        cell = np.array(mine["cell"] if "cell" in mine else np.eye(3))
        print(f"{name}: {len(atoms)} atoms, ours {mine['evaluations']} gradients ({middle - started:.0f} s, {mine['verdict']}), ASE {calls} "
              f"({seconds:.0f} s, {'converged' if done else 'not converged'}); energy {mine['energy'] - energy:+.6f} eV, "
              f"volume {abs(np.linalg.det(cell)):.2f} and {volume:.2f} A^3", flush=True)


main()
