# SPDX-License-Identifier: MIT
"""AIMNet2 neural-network potentials on libaimnet: no PyTorch, no compiler, milliseconds to the first energy.

    from aimnetc import AIMNet2Calculator, AIMNet2ASE
    AIMNet2Calculator()({"coord": xyz, "numbers": z, "charge": 0}, forces=True)["energy"]

Units: eV, Angstrom, e, eV/A^3.
"""
from __future__ import annotations

from ._lib import (AimnetError, ArgumentError, DeviceError, ModelFileError, OutOfMemoryError, StructureError, UnsupportedError, lib)
from .calculator import AIMNet2Calculator
from .model import Model, download
from .nlist import Pairs, neighbor_list, wrap
from .opt import Optimised, optimize

__version__: str = lib.aimnet_version().decode()
__all__ = ["AIMNet2ASE", "AIMNet2Calculator", "AIMNet2Pysis", "AimnetError", "ArgumentError", "DeviceError", "Model", "ModelFileError", "Optimised",
           "OutOfMemoryError", "Pairs", "StructureError", "UnsupportedError", "download", "neighbor_list", "optimize", "wrap"]


def __getattr__(name: str):
    """ASE and pysisyphus take longer to import than everything else: only when they are asked for."""
    if name == "AIMNet2ASE":
        from .ase import AIMNet2ASE
        return AIMNet2ASE
    if name == "AIMNet2Pysis":
        from .pysis import AIMNet2Pysis
        return AIMNet2Pysis
    raise AttributeError(f"module 'aimnetc' has no attribute {name!r}")
