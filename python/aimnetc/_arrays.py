# SPDX-License-Identifier: MIT
"""Arrays of any origin as numpy arrays in the type that the library reads."""
from __future__ import annotations

from typing import Any

import numpy as np


def to_numpy(value: Any, dtype: Any, name: str) -> np.ndarray:
    """A C-contiguous array of `dtype`, without a copy where possible: numpy arrays, lists, numbers, torch and other tensors in host memory.

    Arrays in device memory are refused: this build computes on the CPU, and a hidden copy would cost more than the call.
    """
    if type(value) is np.ndarray and value.dtype == dtype and value.flags.c_contiguous:
        return value
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value, dtype=dtype) if value.ndim else value.astype(dtype)
    if _is_on_a_device(value):
        raise TypeError(f"'{name}' lies in device memory, and this build of libaimnet computes on the CPU: pass {name}.cpu() or a numpy array")
    if hasattr(value, "detach"):
        value = value.detach()
    return np.array(value, dtype=dtype, order="C", ndmin=0)


def _is_on_a_device(value: Any) -> bool:
    if hasattr(value, "__dlpack_device__"):
        return int(value.__dlpack_device__()[0]) not in (1, 3)  # kDLCPU, kDLCUDAHost
    try:
        return hasattr(value, "__cuda_array_interface__")
    except Exception:  # torch raises for tensors that live elsewhere
        return False
