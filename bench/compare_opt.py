# SPDX-License-Identifier: MIT
"""Optimises bench/data/opt_200.xyz.gz with `aimnet opt` and with ASE's BFGS on the same potential: gradients, minima, time.

Usage: PYTHONPATH=python python compare_opt.py AIMNET_COMMAND [N_STRUCTURES]   (needs ase; about two minutes)
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from ase.io import read, write
from ase.optimize import BFGS

from aimnetc import AIMNet2ASE, AIMNet2Calculator

DATA = pathlib.Path(__file__).resolve().parent / "data/opt_200.xyz.gz"
FMAX, TIGHT = (0.05, 0.02, 0.001), 2e-4  # eV/A
SAME = 1e-5  # eV


def ours(command, path, fmax, *more):
    started = time.perf_counter()
    run = subprocess.run([command, "opt", "--json", "--quiet", "--precision", "double", "--fmax", str(fmax), *more, path],
                         stdout=subprocess.PIPE, check=True, text=True)
    return [json.loads(line) for line in run.stdout.splitlines()], time.perf_counter() - started


def ase(structures):
    base = AIMNet2Calculator(precision="double")
    calls, energies = {f: [] for f in (*FMAX, TIGHT)}, {f: [] for f in (*FMAX, TIGHT)}
    for atoms in structures:
        atoms.calc = AIMNet2ASE(base, charge=atoms.info.get("charge", 0))
        n, calculate = [0], atoms.calc.calculate

        def counted(*args, n=n, calculate=calculate, **kwargs):
            n[0] += 1
            calculate(*args, **kwargs)
        atoms.calc.calculate = counted
        optimiser = BFGS(atoms, logfile=None)
        for fmax in calls:
            optimiser.run(fmax=fmax, steps=5000)
            calls[fmax].append(n[0])
            energies[fmax].append(atoms.get_potential_energy())
    return {f: np.array(c) for f, c in calls.items()}, {f: np.array(e) for f, e in energies.items()}


def main():
    command, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200
    structures = read(DATA, index=f":{n}")
    with tempfile.NamedTemporaryFile(suffix=".xyz") as file:
        write(file.name, structures)
        calls, energies = ase(structures)
        for fmax in (*FMAX, TIGHT):
            results, seconds = ours(command, file.name, fmax)
            mine = np.array([r["evaluations"] for r in results])
            print(f"largest force below {fmax} eV/A: {mine.sum()} gradients, ASE {calls[fmax].sum()}; "
                  f"more than ASE in {(mine > calls[fmax]).sum()}; {seconds:.1f} s")
            reached = np.array([r["energy"] for r in results])
            above = [1e3 * np.mean(e - energies[TIGHT]) for e in (reached, energies[fmax])]
            print(f"  mean energy above ASE's minimum: {above[0]:.1f} meV, ASE {above[1]:.1f} meV")
            for i in np.flatnonzero(mine > calls[fmax]):
                print(f"  {structures[i].info['smiles']}: {mine[i]} instead of {calls[fmax][i]}, {reached[i] - energies[fmax][i]:+.4f} eV; "
                      f"ASE stops {energies[fmax][i] - energies[TIGHT][i]:.4f} eV above its minimum")
        d = reached - energies[TIGHT]
        print(f"same minimum (to {SAME} eV): {(abs(d) < SAME).sum()} of {n}; lower {(d <= -SAME).sum()}, higher {(d >= SAME).sum()}")
        for i in np.flatnonzero(abs(d) >= SAME):
            print(f"  {structures[i].info['smiles']}: {d[i]:+.6f} eV")
        _, together = ours(command, file.name, 0.02)
        _, alone = ours(command, file.name, 0.02, "--batch-atoms", "1")
        print(f"all at once {together:.2f} s, one after the other {alone:.2f} s")


main()
