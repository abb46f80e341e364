# SPDX-License-Identifier: MIT
"""Arrays of any origin as numpy arrays in the type that the library reads."""
from __future__ import annotations

from typing import Any

import numpy as np

FLOAT, INT, LONG, BOOL = (np.dtype(t) for t in (np.float64, np.int32, np.int64, np.bool_))
_HOST = (1, 3, 11)  # kDLCPU, kDLCUDAHost, kDLROCMHost of DLPack


def to_numpy(value: Any, dtype: np.dtype, name: str) -> np.ndarray:
    """A C-contiguous array of `dtype`: numpy arrays, lists, numbers, tensors in host memory (DLPack, buffers).

    The caller's memory itself is used, without a copy, where it has this type and order. Arrays in device memory are refused: a hidden copy
    would cost more than the call.
    """
    if type(value) is np.ndarray and value.dtype == dtype and value.flags.c_contiguous:
        return value
    array = value if isinstance(value, np.ndarray) else _shared(value, name)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"'{name}' holds no numbers: {value!r:.60}")
    if dtype.kind == "i" and array.dtype.kind == "f" and not np.array_equal(array, np.trunc(array)):
        raise ValueError(f"'{name}' has values that are no whole numbers")
    return np.ascontiguousarray(array, dtype=dtype) if array.ndim else array.astype(dtype)


def _shared(value: Any, name: str) -> np.ndarray:
    """numpy's view of a foreign array; lists and numbers are converted."""
    if is_on_a_device(value):
        raise TypeError(f"'{name}' lies in device memory, and here host memory is read: pass {name}.cpu() or a numpy array")
    if hasattr(value, "detach"):  # torch: what is differentiated has no DLPack
        value = value.detach()
    if hasattr(value, "__dlpack__") and hasattr(np, "from_dlpack"):
        try:
            return np.from_dlpack(value)
        except (BufferError, TypeError, RuntimeError):  # types that this numpy does not take (bool before 1.25), read-only memory
            pass
    return np.asarray(value)


def is_on_a_device(value: Any) -> bool:
    """Whether an array lies in the memory of a GPU."""
    if isinstance(value, (np.ndarray, list, tuple)):
        return False
    if hasattr(value, "__dlpack_device__"):
        return int(value.__dlpack_device__()[0]) not in _HOST
    try:
        return hasattr(value, "__cuda_array_interface__")
    except Exception:  # torch raises for tensors that live elsewhere
        return False


def of_each(value: Any, n: int, key: str) -> np.ndarray:
    """A number for every structure, from one for all or one for each."""
    values = to_numpy(value, FLOAT, key).ravel()
    if values.size not in (1, n):
        raise ValueError(f"'{key}' has {values.size} values for {n} structures")
    return np.ascontiguousarray(np.broadcast_to(values, (n,)))


def check_pbc(pbc: np.ndarray, n: int) -> None:
    """One answer for all axes, one for each, or one for each axis of each structure."""
    if pbc.shape not in ((), (3,), (1, 3), (n, 3)):
        raise ValueError(f"pbc has shape {pbc.shape}: expected (3,) or ({n}, 3)")


def check_pbc_has_cell(pbc: Any) -> None:
    """Without a cell nothing is periodic."""
    if pbc is not None and np.any(to_numpy(pbc, BOOL, "pbc")):
        raise ValueError("pbc without a cell: give cell, (3, 3), rows a, b, c, or leave pbc out for a molecule")


def check_cell(cell: np.ndarray, n: int) -> None:
    """One cell for n structures, or one for each."""
    if cell.shape not in ((3, 3), (1, 3, 3), (n, 3, 3)):
        raise ValueError(f"cell has shape {cell.shape}: expected (3, 3) or ({n}, 3, 3), rows a, b, c")
