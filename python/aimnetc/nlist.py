# SPDX-License-Identifier: MIT
"""Neighbour lists and wrapping, without any model."""
from __future__ import annotations

import ctypes as C
from typing import Any, NamedTuple

import numpy as np

from ._arrays import FLOAT, INT, check_cell, check_pbc, check_pbc_has_cell, to_numpy
from ._lib import Atoms, check, lib


class Pairs(NamedTuple):
    """A full list: every ordered pair once, sorted by (i, j, S); x_j + S cell - x_i = vector."""

    i: np.ndarray  # (P,) int32
    j: np.ndarray  # (P,) int32
    shift: np.ndarray  # (P, 3) int32
    vector: np.ndarray  # (P, 3) A
    distance: np.ndarray  # (P,) A


class _Input:
    """Arrays of the library's aimnet_atoms, kept alive."""

    def __init__(self, coord: Any, cell: Any, pbc: Any, mol_idx: Any):
        self.coord = to_numpy(coord, FLOAT, "coord")
        if self.coord.ndim not in (2, 3) or self.coord.shape[-1] != 3:
            raise ValueError(f"coord has shape {self.coord.shape}: expected (N, 3) or (B, N, 3)")
        a = self.c = Atoms()
        a.coord, a.n_atoms = self.coord.ctypes.data, self.coord.size // 3
        a.n_systems = self.coord.shape[0] if self.coord.ndim == 3 else 1
        if mol_idx is not None:
            self.mol_idx = to_numpy(mol_idx, INT, "mol_idx").ravel()
            if self.mol_idx.size != a.n_atoms:
                raise ValueError(f"mol_idx has {self.mol_idx.size} values for {a.n_atoms} atoms")
            a.mol_idx, a.n_systems = self.mol_idx.ctypes.data, int(self.mol_idx[-1]) + 1 if self.mol_idx.size else 1
        if cell is None:
            check_pbc_has_cell(pbc)
        else:
            self.cell = to_numpy(cell, FLOAT, "cell")
            check_cell(self.cell, a.n_systems)
            self.cell = self.cell.reshape(-1, 3, 3)
            a.cell, a.n_cells = self.cell.ctypes.data, len(self.cell)
            if pbc is not None:
                pbc = to_numpy(pbc, INT, "pbc")
                check_pbc(pbc, a.n_systems)
                self.pbc = np.ascontiguousarray(np.broadcast_to(pbc, pbc.shape or (3,))).reshape(-1, 3)
                a.pbc, a.n_pbc = self.pbc.ctypes.data, len(self.pbc)


def neighbor_list(coord: Any, cutoff: float, cell: Any = None, pbc: Any = None, mol_idx: Any = None, threads: int = 0) -> Pairs:
    """All pairs closer than `cutoff` (A).

    coord (N, 3), (B, N, 3) or flat with mol_idx (N,); cell (3, 3) or (B, 3, 3), rows a, b, c; pbc (3,) or (B, 3), default all True with a
    cell. Any cell, also smaller than the cutoff. The list does not depend on the number of threads.
    """
    given, nlist, options = _Input(coord, cell, pbc, mol_idx), C.c_void_p(), lib.aimnet_nlist_options_default()
    options.threads = threads
    check(lib.aimnet_nlist_create(C.byref(options), C.byref(nlist)))
    try:
        check(lib.aimnet_nlist_build(nlist, C.byref(given.c), C.byref(C.c_double(cutoff)), 1))
        n = C.c_int64()
        lib.aimnet_nlist_coo(nlist, 0, None, 0, C.byref(n), None, None, None, None, None)
        size = n.value
        pairs = Pairs(np.empty(size, np.int32), np.empty(size, np.int32), np.zeros((size, 3), np.int32), np.empty((size, 3)), np.empty(size))
        check(lib.aimnet_nlist_coo(nlist, 0, C.byref(given.c), size, C.byref(n), *[x.ctypes.data for x in pairs]))
        return pairs
    finally:
        lib.aimnet_nlist_free(nlist)


def wrap(coord: Any, cell: Any, pbc: Any = None, mol_idx: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Atoms moved into their cells along the periodic directions: wrapped positions, and shifts with coord = wrapped + shifts cell."""
    given = _Input(coord, cell, pbc, mol_idx)
    wrapped, shifts = np.empty_like(given.coord), np.zeros(given.coord.shape, np.int32)
    check(lib.aimnet_wrap(C.byref(given.c), wrapped.ctypes.data, shifts.ctypes.data))
    return wrapped, shifts
