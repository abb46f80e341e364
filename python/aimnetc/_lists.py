# SPDX-License-Identifier: MIT
"""Neighbour matrices of the caller (nbmat, nbmat_lr, nbmat_coulomb, nbmat_dftd3 and their shifts) as the library's lists, one set a structure."""
from __future__ import annotations

import ctypes as C
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._arrays import FLOAT, INT, to_numpy
from ._lib import Lists

# Key of the matrix, key of its shifts, member of aimnet_lists.
KEYS = (("nbmat", "shifts", "network"), ("nbmat_lr", "shifts_lr", "lr"), ("nbmat_coulomb", "shifts_coulomb", "coulomb"),
        ("nbmat_dftd3", "shifts_dftd3", "dftd3"))
NAMES = frozenset(key for key, _, _ in KEYS)


def _rows(matrix: np.ndarray, key: str, shape: tuple[int, ...]) -> np.ndarray:
    """(total or total + 1, width) with indices over all atoms; a dense batch may bring (B, N or N + 1, width) with indices of each structure."""
    total = math.prod(shape)
    if matrix.ndim == 3 and len(shape) == 2 and matrix.shape[0] == shape[0] and matrix.shape[1] - shape[1] in (0, 1):
        n = shape[1]
        matrix = matrix[:, :n]
        start = (n * np.arange(shape[0], dtype=np.int32))[:, None, None]
        return np.where(matrix == n, np.int32(total), matrix + start).reshape(total, -1)
    if matrix.ndim != 2 or matrix.shape[0] - total not in (0, 1):
        raise ValueError(f"{key} has shape {matrix.shape}: expected ({total}, M) or ({total + 1}, M) for {total} atoms")
    return matrix


def _shifts(value: Any, key: str, given: tuple[int, ...], rows: int) -> np.ndarray:
    shifts = to_numpy(value, FLOAT, key)
    if shifts.shape != (*given, 3):
        raise ValueError(f"{key} has shape {shifts.shape}: expected {(*given, 3)}, three for each entry of its matrix")
    if len(given) == 3:
        shifts = shifts[:, :rows // given[0]].reshape(rows, given[2], 3)
    whole = np.ascontiguousarray(shifts, dtype=np.int32)
    if not np.array_equal(whole, shifts):
        raise ValueError(f"{key} has entries that are no whole numbers: expected multiples of the cell vectors")
    return whole


def _of_one(rows: np.ndarray, key: str, start: int, end: int, total: int) -> np.ndarray:
    """The rows of one structure with its own indices; its number of atoms is the padding."""
    part = rows[start:end]
    wrong = (part != total) & ((part < start) | (part >= end))
    if wrong.any():
        i, m = np.argwhere(wrong)[0]
        raise ValueError(f"{key}: atom {start + i} has neighbour {part[i, m]}, which is no atom of its structure ({start} to {end - 1}) "
                         f"and not the padding {total}")
    return np.where(part == total, np.int32(end - start), part - np.int32(start))


class CallerLists:
    """aimnet_lists of every structure; keeps the arrays alive."""

    def __init__(self, data: Mapping[str, Any], shape: tuple[int, ...], starts: Sequence[int]):
        self.structures = (Lists * (len(starts) - 1))()
        self._arrays: list[np.ndarray] = []
        for key, shifts_key, member in KEYS:
            if data.get(key) is not None:
                self._add(data[key], data.get(shifts_key), key, shifts_key, member, shape, starts)

    def _add(self, value: Any, shifts_value: Any, key: str, shifts_key: str, member: str, shape: tuple[int, ...],
             starts: Sequence[int]) -> None:
        given = to_numpy(value, INT, key)
        rows = _rows(given, key, shape)
        shifts = None
        if shifts_value is not None:
            shifts = _shifts(shifts_value, shifts_key, given.shape, len(rows))
        total = starts[-1]
        for lists, start, end in zip(self.structures, starts, starts[1:]):
            alone = end - start == total
            part = rows if alone else _of_one(rows, key, start, end, total)
            part = np.ascontiguousarray(part)
            target = getattr(lists, member)
            target.nbmat, target.n_rows, target.width = part.ctypes.data, part.shape[0], part.shape[1]
            target.cutoff = math.inf  # complete as far as it is needed: the caller's word, as with the reference
            self._arrays.append(part)
            if shifts is not None:
                mine = shifts if alone else np.ascontiguousarray(shifts[start:end])
                target.shifts = mine.ctypes.data
                self._arrays.append(mine)

    def address(self, k: int) -> int:
        """Of the lists of structure k."""
        return C.addressof(self.structures) + k * C.sizeof(Lists)
