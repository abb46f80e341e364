# SPDX-License-Identifier: MIT
"""Arrays in GPU memory: positions are read and results are left where they are (aimnet_cuda_eval).

What comes in has `__cuda_array_interface__` (PyTorch, CuPy, Numba) or `__dlpack__` (JAX and all of them); what goes out, `CudaArray`, has both.
Nothing of CUDA is imported: the library speaks to the driver.
"""
from __future__ import annotations

import ctypes as C
import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import check_cell, check_pbc, check_pbc_has_cell, is_on_a_device, of_each, to_numpy
from ._lists import NAMES
from ._lib import SOME_FAILED, Atoms, CudaResults, CudaSystems, Result, check, error, lib

if TYPE_CHECKING:
    from .calculator import AIMNet2Calculator

_CUDA, _MANAGED = 2, 13  # device types of DLPack
_LEGACY = 1  # the default stream, by that number in both protocols


# ---------------------------------------------------------------- DLPack through ctypes

class _Tensor(C.Structure):
    _fields_ = [("data", C.c_void_p), ("device_type", C.c_int32), ("device_id", C.c_int32), ("ndim", C.c_int32), ("code", C.c_uint8),
                ("bits", C.c_uint8), ("lanes", C.c_uint16), ("shape", C.POINTER(C.c_int64)), ("strides", C.POINTER(C.c_int64)),
                ("byte_offset", C.c_uint64)]


class _Managed(C.Structure):
    _fields_ = [("tensor", _Tensor), ("context", C.c_void_p), ("deleter", C.c_void_p)]


_CODES = {0: "i", 1: "u", 2: "f"}
_DELETER = C.CFUNCTYPE(None, C.c_void_p)
_DESTRUCTOR = C.PYFUNCTYPE(None, C.c_void_p)
_new_capsule = C.PYFUNCTYPE(C.py_object, C.c_void_p, C.c_char_p, C.c_void_p)(("PyCapsule_New", C.pythonapi))
_capsule_is = C.PYFUNCTYPE(C.c_int, C.c_void_p, C.c_char_p)(("PyCapsule_IsValid", C.pythonapi))
_capsule_pointer = C.PYFUNCTYPE(C.c_void_p, C.c_void_p, C.c_char_p)(("PyCapsule_GetPointer", C.pythonapi))
_rename_capsule = C.PYFUNCTYPE(C.c_int, C.py_object, C.c_char_p)(("PyCapsule_SetName", C.pythonapi))
_NAME, _USED = C.c_char_p(b"dltensor"), C.c_char_p(b"used_dltensor")  # capsules keep the addresses
_exported: dict[int, tuple] = {}  # of tensors that a consumer still holds: what they point to


@_DELETER
def _release(address: int) -> None:
    _exported.pop(address, None)


@_DESTRUCTOR
def _drop_capsule(capsule: int) -> None:
    if _capsule_is(capsule, _NAME):  # nobody took it
        _release(_capsule_pointer(capsule, _NAME))


class _Block:
    """Memory of a card, for as long as somebody refers to it."""

    def __init__(self, card: int, size: int):
        self.card, self.address = card, C.c_void_p()
        check(lib.aimnet_cuda_alloc(card, size, C.byref(self.address)))

    def __del__(self):
        if getattr(self, "address", None) and lib is not None:
            lib.aimnet_cuda_free(self.card, self.address)
            self.address = None


class CudaArray:
    """Results in GPU memory: float64, C-contiguous, complete (no stream has to be waited for).

    `torch.as_tensor(a)`, `torch.from_dlpack(a)` and `cupy.asarray(a)` share the memory; `numpy.asarray(a)` copies it to the host.
    """

    dtype = np.dtype(np.float64)

    def __init__(self, block: _Block, offset: int, shape: Sequence[int]):
        self._block, self._address, self.shape = block, block.address.value + offset, tuple(int(n) for n in shape)

    @property
    def card(self) -> int:
        """Number of the GPU."""
        return self._block.card

    @property
    def nbytes(self) -> int:
        return 8 * math.prod(self.shape)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"shape": self.shape, "typestr": "<f8", "data": (self._address if self.nbytes else 0, False), "strides": None, "version": 3,
                "stream": None}

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CUDA, self.card

    def __dlpack__(self, *, stream: Any = None, copy: bool | None = None, **_: Any) -> Any:
        if copy:
            raise BufferError("the memory is shared, not copied")
        shape = (C.c_int64 * len(self.shape))(*self.shape)
        managed = _Managed(_Tensor(self._address, _CUDA, self.card, len(self.shape), 2, 64, 1, shape, None, 0), None,
                           C.cast(_release, C.c_void_p))
        address = C.addressof(managed)
        _exported[address] = (managed, shape, self._block)
        return _new_capsule(address, _NAME, C.cast(_drop_capsule, C.c_void_p))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("the array lies in GPU memory: numpy needs a copy")
        host = np.empty(self.shape)
        check(lib.aimnet_cuda_copy(self.card, host.ctypes.data, self._address, self.nbytes, None))
        return host if dtype is None else host.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"CudaArray(shape={self.shape}, card={self.card})"


# ---------------------------------------------------------------- arrays of the caller

class _Given:
    """Where an array of the caller lies: address, shape, dtype, stream of its last work; keeps it alive."""

    def __init__(self, value: Any, name: str):
        value = value.detach() if hasattr(value, "detach") else value
        self.stream: int | None = None
        interface = getattr(value, "__cuda_array_interface__", None)
        if interface is not None:
            self.address, self.shape = interface["data"][0] or 0, tuple(interface["shape"])
            self.dtype, strides, self.keep = np.dtype(interface["typestr"]), interface.get("strides"), value
            self.stream = interface.get("stream")
            torch = sys.modules.get("torch")
            if torch is not None and isinstance(value, torch.Tensor):
                self.stream = torch.cuda.current_stream(value.device).cuda_stream
        else:
            strides = self._from_dlpack(value, name)
        if strides is not None and self.dtype.itemsize and not self._contiguous(strides):
            raise TypeError(f"'{name}' is not contiguous: make it so (torch: {name}.contiguous(), cupy: cupy.ascontiguousarray({name}))")

    def _contiguous(self, strides: Sequence[int]) -> bool:
        expected = self.dtype.itemsize
        for n, step in zip(reversed(self.shape), reversed(strides)):
            if n > 1 and step != expected:
                return False
            expected *= n
        return True

    def _from_dlpack(self, value: Any, name: str) -> list[int] | None:
        kind = int(value.__dlpack_device__()[0])
        if kind not in (_CUDA, _MANAGED):
            raise TypeError(f"'{name}' lies in the memory of a device that is no NVIDIA GPU: pass a numpy array")
        capsule = value.__dlpack__(stream=_LEGACY)
        managed = C.cast(_capsule_pointer(id(capsule), _NAME), C.POINTER(_Managed)).contents
        _rename_capsule(capsule, _USED)
        t = managed.tensor
        self.keep = _Taken(managed)
        if t.code not in _CODES or t.lanes != 1:
            raise TypeError(f"'{name}' has an element type that is neither whole nor real numbers")
        self.address, self.shape = (t.data or 0) + t.byte_offset, tuple(t.shape[:t.ndim])
        self.dtype = np.dtype(f"<{_CODES[t.code]}{t.bits // 8}")
        return [s * self.dtype.itemsize for s in t.strides[:t.ndim]] if t.strides else None

    def to_host(self, card: int, stream: int | None) -> np.ndarray:
        host = np.empty(self.shape, self.dtype)
        check(lib.aimnet_cuda_copy(card, host.ctypes.data, self.address, host.nbytes, stream))
        return host


class _Taken:
    """A tensor that came through DLPack, given back in the end."""

    def __init__(self, managed: _Managed):
        self._managed = managed

    def __del__(self):
        if self._managed.deleter:
            _DELETER(self._managed.deleter)(C.addressof(self._managed))


def stream_address(stream: Any) -> int | None:
    """A cudaStream_t from a number or from what PyTorch, CuPy and others call a stream."""
    for name in ("cuda_stream", "ptr"):
        if hasattr(stream, name):
            return int(getattr(stream, name))
    if hasattr(stream, "__cuda_stream__"):
        return int(stream.__cuda_stream__()[1])
    return None if stream is None else int(stream)


# ---------------------------------------------------------------- evaluation

class _Batch:
    """A data dictionary with positions on a card as aimnet_cuda_systems; what describes the structures is on the host."""

    def __init__(self, data: Mapping[str, Any], card: int, stream: int | None):
        self.coord, self.card = _Given(data["coord"], "coord"), card
        self.stream = self.coord.stream if stream is None else stream
        shape = self.coord.shape
        if len(shape) not in (2, 3) or shape[-1] != 3:
            raise ValueError(f"coord has shape {shape}: expected (N, 3) or (B, N, 3)")
        if self.coord.dtype not in (np.float64, np.float32):
            raise TypeError(f"coord has the type {self.coord.dtype}: expected float64 or float32")
        self.dense, self.shape = len(shape) == 3, shape[:-1]
        self.numbers = self._host(data, "numbers", np.int32)
        if self.numbers is None:
            raise KeyError("'numbers' is missing: coord, numbers and charge describe a structure")
        if self.dense and self.numbers.ndim == 1:
            self.numbers = np.broadcast_to(self.numbers, self.shape)
        if self.numbers.shape != self.shape:
            raise ValueError(f"numbers has shape {self.numbers.shape}, but coord {shape}: expected {self.shape}")
        self.numbers = np.ascontiguousarray(self.numbers)
        self.mol_idx = None if self.dense else self._host(data, "mol_idx", np.int32)
        if self.mol_idx is not None and self.mol_idx.shape != self.shape:
            raise ValueError(f"mol_idx has shape {self.mol_idx.shape}: expected {self.shape}")
        self.n = self.shape[0] if self.dense else 1 if self.mol_idx is None or not self.mol_idx.size else int(self.mol_idx[-1]) + 1
        self.charge, self.mult = self._of_each(data, "charge"), self._of_each(data, "mult")
        self.cell, self.pbc = self._host(data, "cell", np.float64), self._host(data, "pbc", np.int32)
        self.cell_of_each = self.n > 1 or (self.cell is not None and self.cell.ndim == 3)
        self._check_cells()
        self._fill()

    def _host(self, data: Mapping[str, Any], key: str, dtype: Any) -> np.ndarray | None:
        value = data.get(key)
        if value is None:
            return None
        if is_on_a_device(value):
            given = _Given(value, key)
            value = given.to_host(self.card, given.stream)
        return to_numpy(value, np.dtype(dtype), key)

    def _of_each(self, data: Mapping[str, Any], key: str) -> np.ndarray | None:
        values = self._host(data, key, np.float64)
        return None if values is None else of_each(values, self.n, key)

    def _check_cells(self) -> None:
        if self.cell is None:
            check_pbc_has_cell(self.pbc)
            self.pbc = None
            return
        check_cell(self.cell, self.n)
        if self.pbc is not None:
            check_pbc(self.pbc, self.n)
            self.pbc = np.ascontiguousarray(np.broadcast_to(self.pbc, (self.n if self.pbc.ndim == 2 and self.n == len(self.pbc) else 1, 3)))

    def _fill(self) -> None:
        def address(array: np.ndarray | None) -> int | None:
            return None if array is None else array.ctypes.data

        a = Atoms(n_atoms=math.prod(self.shape), n_systems=self.n, mol_idx=address(self.mol_idx), cell=address(self.cell),
                  n_cells=0 if self.cell is None else self.cell.size // 9, pbc=address(self.pbc), n_pbc=0 if self.pbc is None else len(self.pbc))
        single = self.coord.dtype == np.float32
        a.coord = None if single else self.coord.address
        self.c = CudaSystems(a, self.coord.address if single else None, address(self.numbers), address(self.charge), address(self.mult))


def _shapes(batch: _Batch, forces: bool, stress: bool, spin: bool) -> dict[str, tuple[int, ...]]:
    shapes = {"energy": (batch.n,), "charges": batch.shape}
    if spin:
        shapes["spin_charges"] = batch.shape
    if forces:
        shapes["forces"] = (*batch.shape, 3)
    if stress:
        shapes["stress"] = (batch.n, 3, 3) if batch.cell_of_each else (3, 3)
    return shapes


def _buffers(card: int, shapes: Mapping[str, tuple[int, ...]], out: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
    """Results by name and their addresses: the caller's arrays where there are any, the others in one new block."""
    for key in out:
        if key not in shapes:
            raise ValueError(f"out has '{key}', which is not computed: expected some of {', '.join(shapes)}")
    results: dict[str, Any] = {}
    addresses: dict[str, int] = {}
    for key, value in out.items():
        given = _Given(value, key)
        if given.shape != shapes[key] or given.dtype != np.float64:
            raise ValueError(f"out['{key}'] is {given.dtype} {given.shape}: expected float64 {shapes[key]}")
        results[key], addresses[key] = value, given.address
    new = [key for key in shapes if key not in out]
    places = list(itertools.accumulate(((8 * math.prod(shapes[key]) + 255) // 256 * 256 for key in new), initial=0))
    if new:
        block = _Block(card, places[-1])
        for key, place in zip(new, places):
            results[key] = CudaArray(block, place, shapes[key])
            addresses[key] = results[key]._address
    return {key: results[key] for key in shapes}, addresses


def evaluate(calc: AIMNet2Calculator, data: Mapping[str, Any], forces: bool, stress: bool, hessian: bool, stream: Any,
             out: Mapping[str, Any] | None) -> dict[str, Any]:
    """`AIMNet2Calculator.eval` for positions on a card."""
    if hessian:
        raise TypeError("a Hessian is computed from positions in host memory: pass coord.cpu()")
    if not NAMES.isdisjoint(data):
        raise TypeError("neighbour lists are taken with positions in host memory: leave them out, or pass coord.cpu()")
    name = calc.device
    if name == "cpu":
        raise TypeError(f"'coord' lies in device memory, but the calculator computes on '{name}': create it with device=\"cuda\", or pass coord.cpu()")
    card = int(name.partition(":")[2] or 0)
    batch = _Batch(data, card, stream_address(stream))
    results, addresses = _buffers(card, _shapes(batch, forces, stress, calc.is_nse), out or {})
    info = (Result * batch.n)()
    where = CudaResults(*[addresses.get(key) for key in ("energy", "forces", "charges", "spin_charges", "stress")], C.addressof(info))
    with calc._lock:
        status = lib.aimnet_cuda_eval(calc._handle, C.byref(batch.c), C.byref(where), batch.stream)
    if status == SOME_FAILED:
        k = next(k for k, one in enumerate(info) if one.status)
        raise error(info[k].status, (f"structure {k}: " if batch.n > 1 else "") + info[k].message.decode(errors="replace"))
    check(status)
    for one in info:
        if one.warnings:
            calc._warn(one.warnings.decode(errors="replace"))
    return results
