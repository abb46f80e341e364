# SPDX-License-Identifier: MIT
"""`AIMNet2Pysis`: the calculator of pysisyphus, a drop-in for the class of that name in PyPI's `aimnet`."""
from __future__ import annotations

from typing import Any

import numpy as np
from pysisyphus.calculators.Calculator import Calculator
from pysisyphus.constants import AU2EV, BOHR2ANG
from pysisyphus.elem_data import ATOMIC_NUMBERS

from .calculator import AIMNet2Calculator


class AIMNet2Pysis(Calculator):
    """Energy (hartree), forces (3N,) (hartree/bohr) and Hessian (3N, 3N) (hartree/bohr^2) for coordinates in bohr.

    Parameters
    ----------
    model : AIMNet2Calculator, str or path
        The calculator, or the model to make one of.
    charge, mult : int
        Total charge (e) and multiplicity 2S+1.
    """

    def __init__(self, model: Any = "default", charge: int = 0, mult: int = 1, validate_species: bool = True, **kwargs: Any):
        super().__init__(charge=charge, mult=mult, **kwargs)
        self.model = model if isinstance(model, AIMNet2Calculator) else AIMNet2Calculator(model)
        self.validate_species = validate_species

    def _eval(self, atoms: Any, coords: Any, **wanted: bool) -> dict[str, Any]:
        data = {"coord": np.asarray(coords, float).reshape(-1, 3) * BOHR2ANG, "numbers": [ATOMIC_NUMBERS[a.lower()] for a in atoms],
                "charge": self.charge}
        if self.model.is_nse:
            data["mult"] = self.mult
        out = self.model.eval(data, **wanted)
        results = {"energy": float(out["energy"][0]) / AU2EV}
        if "forces" in out:
            results["forces"] = out["forces"].ravel() * (BOHR2ANG / AU2EV)
        if "hessian" in out:
            size = out["hessian"].shape[0] * 3
            results["hessian"] = out["hessian"].reshape(size, size) * (BOHR2ANG**2 / AU2EV)
        return results

    def get_energy(self, atoms, coords, **_):
        return self._eval(atoms, coords)

    def get_forces(self, atoms, coords, **_):
        return self._eval(atoms, coords, forces=True)

    def get_hessian(self, atoms, coords, **_):
        return self._eval(atoms, coords, forces=True, hessian=True)


def run_pysis() -> None:
    """The command `pysis` with this calculator under the name "aimnet": calc: {type: aimnet, model: aimnet2.pt}."""
    import pysisyphus.run
    pysisyphus.run.CALC_DICT["aimnet"] = AIMNet2Pysis
    pysisyphus.run.run()
