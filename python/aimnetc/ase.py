# SPDX-License-Identifier: MIT
"""`AIMNet2ASE`: the ASE calculator, a drop-in for the class of that name in PyPI's `aimnet`."""
from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from .calculator import AIMNet2Calculator


class AIMNet2ASE(Calculator):
    """Energy, forces, charges, dipole and stress of ASE's Atoms.

    Parameters
    ----------
    base_calc : AIMNet2Calculator, str or path
        The calculator, or the model to make one of.
    charge, mult : float
        Total charge (e) and multiplicity 2S+1; `atoms.info["charge"]`, and `info["mult"]` or `info["spin"]` (also 2S+1) where the model
        takes a multiplicity, win over them.
    validate_species : bool
        Refuse elements that the model does not know when atoms are attached (they are refused when computing in any case).
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "charges", "stress", "dipole", "dipole_moment"]

    def __init__(self, base_calc: Any = "default", charge: float = 0, mult: float = 1, validate_species: bool = True):
        super().__init__()
        self.base_calc = base_calc if isinstance(base_calc, AIMNet2Calculator) else AIMNet2Calculator(base_calc)
        self.validate_species = validate_species
        self.charge, self.mult = charge, mult
        self._computed: tuple | None = None
        self.implemented_species = np.array(self.base_calc.model.species)
        if self.base_calc.is_nse:
            self.implemented_properties = [*type(self).implemented_properties, "spin_charges"]

    def set_charge(self, charge: float) -> None:
        """Total charge where atoms.info says nothing."""
        self.charge = charge

    def set_mult(self, mult: float) -> None:
        """Multiplicity where atoms.info says nothing."""
        self.mult = mult

    def set_atoms(self, atoms) -> None:
        """Attaches atoms; ValueError for elements that the model does not know."""
        if self.validate_species and not np.isin(atoms.numbers, self.implemented_species).all():
            raise ValueError("Some species are not implemented in the AIMNet2Calculator")
        self.reset()
        self.atoms = atoms

    def _charge_and_mult(self, atoms) -> tuple[float, float]:
        info = getattr(atoms, "info", {})
        charge = info.get("charge", self.charge)
        mult = info.get("mult", info.get("spin", self.mult)) if self.base_calc.is_nse else 1
        return float(self.charge if charge is None else charge), float(self.mult if mult is None else mult)

    def check_state(self, atoms, tol: float = 1e-15) -> list[str]:
        """ASE compares positions, numbers, cell and pbc; charge, multiplicity and method matter as well."""
        changes = super().check_state(atoms, tol=tol)
        if self._computed is not None and self._computed != self._method(atoms):
            changes.append("info")
        return changes

    def _method(self, atoms) -> tuple:
        return (*self._charge_and_mult(atoms), tuple(sorted(self.base_calc._long_range.items())))

    def _data(self, atoms) -> dict[str, Any]:
        charge, mult = self._charge_and_mult(atoms)
        data = {"coord": atoms.positions, "numbers": atoms.numbers, "charge": charge}
        if self.base_calc.is_nse:
            data["mult"] = mult
        if atoms.pbc.any():
            data["cell"], data["pbc"] = atoms.cell.array, atoms.pbc
        return data

    def calculate(self, atoms=None, properties=None, system_changes=all_changes) -> None:
        """Computes energy, charges and dipole; forces and stress if they are among `properties`."""
        super().calculate(atoms, properties, system_changes)
        properties = properties or ["energy"]
        stress = "stress" in properties
        if stress and not (self.atoms.pbc.any() and self.atoms.cell.rank == 3):
            raise PropertyNotImplementedError("stress needs a periodic structure with three cell vectors")
        method = self._method(self.atoms)
        out = self.base_calc.eval(self._data(self.atoms), forces="forces" in properties or stress, stress=stress)
        energy = float(out["energy"][0])
        dipole = out["charges"] @ self.atoms.positions
        self.results = {"energy": energy, "free_energy": energy, "charges": out["charges"], "dipole": dipole, "dipole_moment": dipole}
        if "forces" in out:
            self.results["forces"] = out["forces"]
        if stress:
            s = out["stress"]
            self.results["stress"] = np.array([s[0, 0], s[1, 1], s[2, 2], s[1, 2], s[0, 2], s[0, 1]])
        if "spin_charges" in out:
            self.results["spin_charges"] = out["spin_charges"]
        self._computed = method

    def get_dipole_moment(self, atoms=None) -> np.ndarray:
        """sum q r, e A; depends on the origin for ions."""
        return self.get_property("dipole", atoms)

    def get_spin_charges(self, atoms=None) -> np.ndarray:
        """Atomic spin charges (N,), e; models with two charge channels."""
        if not self.base_calc.is_nse:
            raise PropertyNotImplementedError("spin_charges is not available: the model has one charge channel")
        return self.get_property("spin_charges", atoms)

    def get_hessian(self, atoms=None) -> np.ndarray:
        """(3N, 3N), eV/A^2: `Sella(atoms, hessian_function=atoms.calc.get_hessian)`."""
        atoms = self.atoms if atoms is None else atoms
        if atoms is None:
            raise PropertyNotImplementedError("get_hessian() needs atoms")
        hessian = self.base_calc.eval(self._data(atoms), hessian=True)["hessian"]
        return hessian.reshape(3 * len(atoms), 3 * len(atoms))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()
