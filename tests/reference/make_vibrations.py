# SPDX-License-Identifier: MIT
"""Writes tests/golden/vibrations/: Hessians of small molecules and what ASE and the reference make of them.

Geometries are optimised by ASE's BFGS to 1e-6 eV/A on the reference's energy in float64 (truth.py); planar ammonia stays planar and is a saddle
point. NAME.npy is the reference's Hessian there. Wavenumbers: ase.vibrations.VibrationsData (without projection; its highest
3N-6 or 3N-5) and aimnet.calculators.vibrations.analyze_hessian (with projection). Intensities: derivatives of the charge dipole by central
differences, ASE's factor. Thermochemistry: ase.thermochemistry with CODATA 2018 instead of ASE's 2014; quasi-harmonic entropies from its
RRHOMode with Grimme's moment of 1e-44 kg m^2 and 100 cm^-1.

Usage: python make_vibrations.py [OUTPUT_DIRECTORY]

vibrations.txt: lines of words.
  molecule NAME N SYMMETRY MULT   then N lines: atomic number and position
  ase W...        wavenumbers, 1/cm, ascending; imaginary ones negative
  reference W...
  dipole_gradient D...            [3N][3], e
  intensity I...                  km/mol, in the order of `reference`
  mass M...                       reduced masses, amu
  thermo T P SCALE ZPE H S G SQ   K, Pa, eV, eV/K; SQ: entropy with the quasi-harmonic part
"""
import pathlib
import sys

import numpy as np

import truth

truth.setup("float64")
import ase.thermochemistry as tc  # noqa: E402
import ase.units  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.build import molecule  # noqa: E402
from ase.optimize import BFGS  # noqa: E402
from ase.vibrations import VibrationsData  # noqa: E402
from aimnet.calculators.vibrations import analyze_hessian  # noqa: E402
from ase.calculators.calculator import Calculator, all_changes  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODATA = ase.units.create_units("2018")
# name, structure, symmetry number, shape
MOLECULES = [("hydrogen", "H2", 2), ("water", "H2O", 2), ("ammonia", "NH3", 3), ("methane", "CH4", 12), ("carbon_dioxide", "CO2", 2),
             ("acetylene", "C2H2", 2), ("hydrogen_cyanide", "HCN", 1), ("formaldehyde", "H2CO", 2), ("methanol", "CH3OH", 1),
             ("hydrogen_sulfide", "SH2", 2), ("ethane", "C2H6", 6), ("planar_ammonia", None, 6)]
CONDITIONS = [(298.15, 101325.0, 1.0), (500.0, 1e5, 0.97)]


class Potential(Calculator):
    implemented_properties = ["energy", "forces"]

    def __init__(self, calc):
        super().__init__()
        self.reference = calc

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        out = evaluate(self.reference, self.atoms, forces=True)
        self.results = {"energy": float(out["energy"].ravel()[0]), "forces": out["forces"].reshape(-1, 3)}


def start(formula):
    if formula:
        return molecule(formula)
    angle = 2 * np.pi * np.arange(3) / 3
    return Atoms("NH3", np.concatenate([[[0, 0, 0]], np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)]))


def evaluate(calc, atoms, **kwargs):
    t = truth.torch
    data = {"coord": t.tensor(atoms.positions), "numbers": t.tensor(atoms.numbers.astype("int32")), "charge": t.tensor([0.0])}
    return {k: v.detach().numpy() for k, v in calc.eval(data, **kwargs).items() if t.is_tensor(v)}


def dipole_gradient(calc, atoms, h=1e-3):
    out = np.zeros((3 * len(atoms), 3))
    for k in range(3 * len(atoms)):
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions.ravel()[k] += sign * h
            q = evaluate(calc, moved, forces=False)["charges"]
            out[k] += sign * (q[:, None] * moved.positions).sum(0) / (2 * h)
    return out


def thermo(atoms, energies, n, symmetry, temperature, pressure):
    shape = "nonlinear" if n == 3 * len(atoms) - 6 else "linear"
    real = [e for e in energies if e > 0]
    gas = tc.IdealGasThermo(vib_energies=real, geometry=shape, potentialenergy=0.0, atoms=atoms, symmetrynumber=symmetry, spin=0,
                            ignore_imag_modes=True, vib_selection="all")
    s = gas.get_entropy(temperature, pressure, verbose=False)
    moment = 1e-44 * tc.units.kg * tc.units.m**2
    oscillator = sum(tc.HarmonicMode(e).get_entropy(temperature, False) for e in real)
    quasi = sum(tc.RRHOMode(e, moment, tau=100.0).get_entropy(temperature, False) for e in real)
    return (gas.get_ZPE_correction(), gas.get_enthalpy(temperature, verbose=False), s,
            gas.get_gibbs_energy(temperature, pressure, verbose=False), s - oscillator + quasi)


def line(word, values):
    return " ".join([word, *(f"{v:.12g}" for v in values)])


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "tests/golden/vibrations")
    out.mkdir(parents=True, exist_ok=True)
    reference = truth.Reference(ROOT / "data/default.pt")
    calc, lines = reference.calc, ["# made by tests/reference/make_vibrations.py"]
    tc.units = CODATA
    for name, formula, symmetry in MOLECULES:
        atoms = start(formula)
        atoms.calc = Potential(calc)
        BFGS(atoms, logfile=None).run(fmax=1e-6, steps=300)
        atoms = Atoms(atoms.numbers, np.round(atoms.positions - atoms.positions[0], 10))
        n = 3 * len(atoms)
        hessian = evaluate(calc, atoms, forces=True, hessian=True)["hessian"].reshape(n, n)
        np.save(out / f"{name}.npy", hessian)
        helper = analyze_hessian(hessian, atoms.positions, atoms.get_masses())
        energies = VibrationsData(atoms, hessian.reshape(n // 3, 3, n // 3, 3)).get_energies()
        ase_w = np.where(abs(energies.imag) > energies.real, -abs(energies.imag), energies.real) / ase.units.invcm
        order = np.argsort(abs(ase_w))[helper.n_tr_removed:]
        gradient = dipole_gradient(calc, atoms)
        modes = helper.modes.reshape(-1, n)
        masses = 1 / (modes**2 * np.repeat(atoms.get_masses(), 3)).sum(1)  # of unit Cartesian vectors: sum m x^2
        reduced = 1 / masses
        slope = modes @ gradient / np.sqrt(reduced)[:, None]  # per unit of the mass-weighted coordinate
        lines.append(f"molecule {name} {len(atoms)} {symmetry} 1")
        lines += [f"{z} {x[0]:.10f} {x[1]:.10f} {x[2]:.10f}" for z, x in zip(atoms.numbers, atoms.positions)]
        lines += [line("ase", np.sort(ase_w[order])), line("reference", helper.frequencies_cm1), line("dipole_gradient", gradient.ravel()),
                  line("intensity", (slope**2).sum(1) / CODATA.Debye**2 * 42.2561), line("mass", reduced)]
        for temperature, pressure, scale in CONDITIONS:
            e = np.array(helper.energies_ev) * scale
            lines.append(line("thermo", (temperature, pressure, scale,
                                         *thermo(atoms, e, len(e), symmetry, temperature, pressure))))
        print(name, np.round(helper.frequencies_cm1, 2), abs(np.sort(ase_w[order]) - helper.frequencies_cm1).max(), flush=True)
    (out / "vibrations.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
