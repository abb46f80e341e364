# SPDX-License-Identifier: MIT
"""How well ASE's optimisers agree with each other, and with `aimnet opt`: the minima that each reaches from the same structures.

Usage: PYTHONPATH=python python compare_minima.py AIMNET_COMMAND [FILE] [--quick]   (needs ase; an hour, --quick some minutes)

FILE (extended XYZ, default bench/data/opt_200.xyz.gz) holds the structures; all programs run on the built-in model in double precision. ASE's BFGS with its
own defaults is what the others are compared with. Of each: gradients up to 0.05 and 0.02 eV/A and in how many structures that is more than ASE's BFGS
needs, and at 0.0002 eV/A gradients and structures in another minimum (by more than 1e-5 eV): lower, higher. "from moved starts": all atoms by 1e-3 A at random.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from ase.io import read, write
from ase.optimize import BFGS, FIRE, LBFGS, BFGSLineSearch

from aimnetc import AIMNet2ASE, AIMNet2Calculator

DATA = pathlib.Path(__file__).resolve().parent / "data/opt_200.xyz.gz"
FMAX = (0.05, 0.02, 2e-4)  # eV/A
SAME = 1e-5  # eV
MOVED = 1e-3  # A
SEEDS = (1, 2, 3)


def moved(structures, seed):
    random = np.random.default_rng(seed)
    out = []
    for atoms in structures:
        other = atoms.copy()
        other.positions += random.uniform(-MOVED, MOVED, other.positions.shape)
        out.append(other)
    return out


class Counted(AIMNet2ASE):
    n = 0

    def calculate(self, *args, **kwargs):
        self.n += 1
        super().calculate(*args, **kwargs)


def by_ase(base, structures, make):
    calls, energies = [], []
    for start in structures:
        atoms = start.copy()
        atoms.calc = Counted(base, charge=atoms.info.get("charge", 0))
        optimiser = make(atoms)
        calls.append([])
        for fmax in FMAX:
            optimiser.run(fmax=fmax, steps=20000)
            calls[-1].append(atoms.calc.n)
        energies.append(atoms.get_potential_energy())
    return np.array(calls), np.array(energies)


def by_us(command, structures, *more):
    calls = []
    with tempfile.NamedTemporaryFile(suffix=".xyz") as file:
        write(file.name, structures)
        for fmax in FMAX:
            run = subprocess.run([command, "opt", "--json", "--quiet", "--precision", "double", "--fmax", str(fmax), *more, file.name],
                                 stdout=subprocess.PIPE, check=True, text=True)
            results = [json.loads(line) for line in run.stdout.splitlines()]
            calls.append([r["evaluations"] for r in results])
    return np.array(calls).T, np.array([r["energy"] for r in results])


def main():
    words = [a for a in sys.argv[1:] if not a.startswith("--")]
    quick, command, path = "--quick" in sys.argv, words[0], words[1] if len(words) > 1 else DATA
    structures = read(path, index=":")
    base = AIMNet2Calculator(precision="double", threads=1)
    runs = {"BFGS": lambda: by_ase(base, structures, lambda a: BFGS(a, logfile=None)), "aimnet opt": lambda: by_us(command, structures)}
    for seed in SEEDS[:1 if quick else None]:
        starts = moved(structures, seed)
        runs[f"aimnet opt from moved starts, {seed}"] = lambda starts=starts: by_us(command, starts)
        runs[f"BFGS from moved starts, {seed}"] = lambda starts=starts: by_ase(base, starts, lambda a: BFGS(a, logfile=None))
    if not quick:
        for name, make in {"BFGS, steps up to 0.1 A": lambda a: BFGS(a, logfile=None, maxstep=0.1),
                           "BFGS, 35 eV/A^2 at first": lambda a: BFGS(a, logfile=None, alpha=35.0),
                           "BFGS, 140 eV/A^2 at first": lambda a: BFGS(a, logfile=None, alpha=140.0),
                           "LBFGS": lambda a: LBFGS(a, logfile=None),
                           "BFGS with line search (QuasiNewton)": lambda a: BFGSLineSearch(a, logfile=None),
                           "FIRE": lambda a: FIRE(a, logfile=None)}.items():
            runs[name] = lambda make=make: by_ase(base, structures, make)
    reference = None
    print("optimiser | 0.05 eV/A (more than BFGS) | 0.02 eV/A | 0.0002 eV/A | another minimum: lower, higher")
    for name, run in runs.items():
        calls, energies = run()
        if reference is None:
            reference = calls, energies
        d, more = energies - reference[1], calls > reference[0]
        print(f"{name} | " + " | ".join(f"{calls[:, k].sum()} ({more[:, k].sum()})" for k in range(2)) +
              f" | {calls[:, 2].sum()} | {(abs(d) >= SAME).sum()}: {(d <= -SAME).sum()}, {(d >= SAME).sum()}")
        for i in np.flatnonzero(abs(d) >= SAME):
            print(f"    {i} {structures[i].info.get('smiles', structures[i].get_chemical_formula())}: {d[i]:+.5f} eV")
        sys.stdout.flush()


main()
