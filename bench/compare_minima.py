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
    quick = "--quick" in sys.argv
    command, path = sys.argv[1], next((a for a in sys.argv[2:] if a != "--quick"), DATA)
    structures = read(path, index=":")
    base = AIMNet2Calculator(precision="double")
    ase = {"BFGS": BFGS, "LBFGS": LBFGS, "BFGS with line search (QuasiNewton)": BFGSLineSearch, "FIRE": FIRE}
    settings = {"BFGS, alpha 35": {"alpha": 35.0}, "BFGS, alpha 140": {"alpha": 140.0}, "BFGS, steps up to 0.1 A": {"maxstep": 0.1},
                "BFGS, steps up to 0.05 A": {"maxstep": 0.05}}
    runs = {name: (structures, lambda a, f=f: f(a, logfile=None)) for name, f in ase.items() if not quick or name == "BFGS"}
    for seed in SEEDS[:1 if quick else None]:
        runs[f"BFGS from moved starts, {seed}"] = (moved(structures, seed), lambda a: BFGS(a, logfile=None))
    for name, more in settings.items() if not quick else ():
        runs[name] = (structures, lambda a, more=more: BFGS(a, logfile=None, **more))
    found, reference = {}, None

    def tell(name, calls, energies):
        nonlocal reference
        if reference is None:
            reference = calls, energies
        d, more = energies - reference[1], calls > reference[0]
        print(f"{name} | " + " | ".join(f"{calls[:, k].sum()} ({more[:, k].sum()})" for k in range(2)) +
              f" | {calls[:, 2].sum()} | {(abs(d) >= SAME).sum()}: {(d <= -SAME).sum()}, {(d >= SAME).sum()}", flush=True)
        found[name] = d

    print("optimiser | 0.05 eV/A (more than BFGS) | 0.02 eV/A | 0.0002 eV/A | another minimum: lower, higher")
    tell("BFGS", *by_ase(base, *runs.pop("BFGS")))
    tell("aimnet opt", *by_us(command, structures))
    for seed in SEEDS:
        tell(f"aimnet opt from moved starts, {seed}", *by_us(command, moved(structures, seed)))
    for name, (starts, make) in runs.items():
        tell(name, *by_ase(base, starts, make))
    print(f"\nstructures that do not end in the minimum of ASE's BFGS, by optimiser (eV)")
    names = list(found)[1:]
    for i, atoms in enumerate(structures):
        other = [(n, found[n][i]) for n in names if abs(found[n][i]) >= SAME]
        if other:
            print(f"{i} {atoms.info.get('smiles', atoms.get_chemical_formula())}: " + "; ".join(f"{n} {d:+.5f}" for n, d in other))


main()
