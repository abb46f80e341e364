# SPDX-License-Identifier: MIT
"""Writes tests/golden/opt/{molecules,crystals}.xyz: start structures and the minima that ASE finds from them.

ASE's BFGS moves the atoms, ASE's FrechetCellFilter the cell, and the energies and forces are the reference's in float64 (truth.py): nothing
of this project takes part. Molecules are every seventh or so of bench/data/opt_200.xyz.gz; crystals are packed by hand, relaxed,
and distorted by seeded noise and strain. ase_gradients counts the force calls of BFGS.

Usage: python make_opt.py [OUTPUT_DIRECTORY]
"""
import gzip
import pathlib
import sys

import numpy as np

import truth

truth.setup("float64")
from ase import Atoms  # noqa: E402
from ase.calculators.calculator import Calculator, all_changes  # noqa: E402
from ase.filters import FrechetCellFilter  # noqa: E402
from ase.optimize import BFGS  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOLECULES = ["CCO", "CC#N", "c1ccsc1", "CC(=O)O", "CS(C)=O", "NCC(=O)O", "BrCCO", "C#CC#CC", "CC(F)(F)F", "CC(=O)[O-]", "C[NH3+]",
             "NC(N)=[NH2+]"]


class Potential(Calculator):
    implemented_properties = ["energy", "forces", "stress"]

    def __init__(self, reference, charge):
        super().__init__()
        self.reference, self.charge, self.calls = reference, charge, 0

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        t = truth.torch
        data = {"coord": t.tensor(atoms.positions), "numbers": t.tensor(atoms.numbers.astype("int32")),
                "charge": t.tensor([float(self.charge)])}
        periodic = atoms.pbc.any()
        if periodic:
            data["cell"] = t.tensor(atoms.cell.array)
        out = self.reference.calc.eval(data, forces=True, stress=bool(periodic))
        self.calls += 1
        self.results = {"energy": float(out["energy"]), "forces": out["forces"].detach().numpy()[:len(atoms)]}
        if periodic:
            s = out["stress"].detach().numpy().reshape(3, 3)
            self.results["stress"] = np.array([s[0, 0], s[1, 1], s[2, 2], s[1, 2], s[0, 2], s[0, 1]])


def molecules(out, reference):
    lines = gzip.open(ROOT / "bench/data/opt_200.xyz.gz", "rt").read().split("\n")
    seen, i = set(), 0
    while lines[i].strip():
        n, comment = int(lines[i]), lines[i + 1]
        smiles = comment.split('"')[1]
        if smiles in MOLECULES and smiles not in seen:
            seen.add(smiles)
            charge = int(comment.split("charge=")[1])
            rows = [line.split() for line in lines[i + 2:i + 2 + n]]
            atoms = Atoms([r[0] for r in rows], [[float(x) for x in r[1:]] for r in rows])
            atoms.calc = Potential(reference, charge)
            assert BFGS(atoms, logfile=None).run(fmax=2e-4, steps=2000)
            out.write(f"{n}\n{comment} ase_energy={atoms.get_potential_energy():.9f} ase_gradients={atoms.calc.calls}\n")
            out.writelines(f"{line}\n" for line in lines[i + 2:i + 2 + n])
        i += n + 2
    assert len(seen) == len(MOLECULES)


def hydrogen_cyanide():
    cell = np.array([4.13, 4.85, 4.34])
    one = np.array([[0, 0, 0.0], [0, 0, 1.08], [0, 0, 2.23]])
    return Atoms([1, 6, 7] * 2, np.concatenate([one, one + cell / 2]), cell=cell, pbc=True)


def relax(atoms, pressure, fmax, options):
    assert BFGS(FrechetCellFilter(atoms, scalar_pressure=pressure, **options), logfile=None).run(fmax=fmax, steps=2000)


def crystals(out, reference):
    rng = np.random.default_rng(7)
    for mode, pressure in (("full", 0.0), ("isotropic", 0.02), ("xy", 0.0)):
        atoms = hydrogen_cyanide()
        atoms.calc = Potential(reference, 0)
        options = {"isotropic": {"hydrostatic_strain": True}, "xy": {"mask": [1, 1, 0, 0, 0, 1]}}.get(mode, {})
        relax(atoms, pressure, 0.01, options)
        shear = np.array([[0, 0, 0], [0, 0, 0.1], [0, 0.1, 0]])  # without it BFGS stays at a saddle point of the full cell
        strain = {"full": rng.normal(scale=0.01, size=(3, 3)) + shear, "isotropic": 0.02 * np.eye(3), "xy": np.diag([0.02, -0.01, 0])}[mode]
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
        atoms.positions = atoms.positions.round(6)
        start = atoms.copy()
        atoms.calc.calls = 0
        relax(atoms, pressure, 1e-3, options)
        enthalpy = atoms.get_potential_energy() + pressure * atoms.get_volume()
        cell = " ".join(f"{x:.10g}" for x in start.cell.array.ravel())
        out.write(f'{len(atoms)}\nLattice="{cell}" Properties=species:S:1:pos:R:3 pbc="T T T" mode={mode} pressure={pressure} '
                  f"ase_enthalpy={enthalpy:.9f} ase_gradients={atoms.calc.calls}\n")
        for symbol, (x, y, z) in zip(start.get_chemical_symbols(), start.positions):
            out.write(f"{symbol} {x:.6f} {y:.6f} {z:.6f}\n")
        print(mode, enthalpy, atoms.cell.cellpar(), atoms.calc.calls, flush=True)


target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/golden/opt"
target.mkdir(parents=True, exist_ok=True)
reference = truth.Reference(ROOT / "data/default.pt")
with open(target / "molecules.xyz", "w") as f:
    molecules(f, reference)
with open(target / "crystals.xyz", "w") as f:
    crystals(f, reference)
