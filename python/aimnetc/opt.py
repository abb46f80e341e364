# SPDX-License-Identifier: MIT
"""Geometry optimisation of many structures at once (docs/opt.md)."""
from __future__ import annotations

import ctypes as C
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._lib import OptState, check, lib
from ._lists import NAMES
from .calculator import AIMNet2Calculator, Batch

_METHODS, _LEVELS, _CELLS = ("lbfgs", "fire"), ("loose", "normal", "tight"), ("fixed", "full", "isotropic")


@dataclass
class Optimised:
    """The end of one optimisation."""

    converged: bool
    verdict: str  # "converged", "not converged", "stalled", "failed" or "collapsed"
    message: str  # why not
    coord: np.ndarray  # (N, 3) A
    numbers: np.ndarray  # (N,)
    cell: np.ndarray | None  # (3, 3) A
    energy: float  # eV
    forces: np.ndarray  # (N, 3) eV/A
    charges: np.ndarray  # (N,) e
    stress: np.ndarray | None  # (3, 3) eV/A^3 with a relaxing cell
    fmax: float  # eV/A
    n_steps: int
    n_evaluations: int


def _array(address: int | None, shape: tuple[int, ...], kind: Any = C.c_double) -> np.ndarray | None:
    if not address:
        return None
    size = int(np.prod(shape))
    return np.ctypeslib.as_array(C.cast(address, C.POINTER(kind)), (size,)).reshape(shape).copy()


def _index(name: str, value: str, words: tuple[str, ...]) -> int:
    if value not in words:
        raise ValueError(f"{name} {value!r}: expected one of {', '.join(words)}")
    return words.index(value)


def _result(pool: C.c_void_p, slot: int) -> Optimised:
    s = OptState()
    check(lib.aimnet_opt_get(pool, slot, C.byref(s)))
    n = s.n_atoms
    return Optimised(s.verdict == 1, lib.aimnet_opt_verdict_name(s.verdict).decode(), s.message.decode(errors="replace"),
                     _array(s.coord, (n, 3)), _array(s.numbers, (n,), C.c_int32), _array(s.cell, (3, 3)), s.energy,
                     _array(s.forces, (n, 3)), _array(s.charges, (n,)), _array(s.stress, (3, 3)), s.fmax, s.n_steps, s.n_evaluations)


def optimize(calc: AIMNet2Calculator, structures: Mapping[str, Any] | Iterable[Mapping[str, Any]], *, level: str = "normal",
             method: str = "lbfgs", fmax: float | None = None, ediff: float | None = None, smax: float | None = None,
             max_steps: int = 1000, max_move: float | None = None, cell: str = "fixed", fixed_axes: str = "", pressure: float = 0.0,
             on_host: bool = False, callback: Callable[[int], bool | None] | None = None) -> list[Optimised]:
    """Optimises all structures together; each one's path does not depend on the others.

    Parameters
    ----------
    structures : mapping or iterable of mappings
        Data as for `AIMNet2Calculator.eval` (a batch counts as several structures); "frozen" (N,) marks atoms that keep their place.
    level, fmax, ediff, smax :
        "loose", "normal" or "tight" ("tight" wants precision="double"), or single values in eV/A, eV, eV/A^3; fmax alone switches the
        check of the energy off.
    cell : {"fixed", "full", "isotropic"}
        Relaxation of the cell at `pressure` (eV/A^3), without strain along the Cartesian axes named in `fixed_axes` ("z", "xy").
    on_host : bool
        With a calculator on a GPU: structures are moved by the host, step by step, instead of keeping the whole loop on the GPU.
    callback : callable
        Called after every step with the number of structures that still run; a true value ends the run.

    Returns
    -------
    list of Optimised, in the order of the structures.
    """
    o = lib.aimnet_opt_options_default()
    check(lib.aimnet_opt_set_level(C.byref(o), _index("level", level, _LEVELS)))
    o.method, o.cell = _index("method", method, _METHODS), _index("cell", cell, _CELLS)
    if fmax is not None:
        o.fmax, o.ediff = fmax, 0.0
    for key, value in (("ediff", ediff), ("smax", smax), ("max_move", max_move)):
        if value is not None:
            setattr(o, key, value)
    o.max_steps, o.pressure, o.on_host = max_steps, pressure, int(on_host)
    if set(fixed_axes) - set("xyz"):
        raise ValueError(f"fixed_axes {fixed_axes!r}: expected letters of 'xyz'")
    o.fixed_axes[:] = [int(axis in fixed_axes) for axis in "xyz"]
    pool = C.c_void_p()
    with calc._lock:
        check(lib.aimnet_opt_create(calc._handle, C.byref(o), C.byref(pool)))
        try:
            slots = [slot for data in ([structures] if isinstance(structures, Mapping) else structures) for slot in _add(pool, data)]
            running = C.c_int(len(slots))
            while running.value > 0:
                check(lib.aimnet_opt_advance(pool, C.byref(running)))
                if callback and callback(running.value):
                    break
            return [_result(pool, slot) for slot in slots]
        finally:
            lib.aimnet_opt_free(pool)


def _add(pool: C.c_void_p, data: Mapping[str, Any]) -> list[int]:
    if not NAMES.isdisjoint(data):
        raise ValueError("nbmat: the atoms move, and lists would not; leave them out")
    batch = Batch(data)
    frozen = data.get("frozen")
    if frozen is not None:
        frozen = np.ascontiguousarray(frozen, dtype=bool).ravel()
        if frozen.size != batch.numbers.size:
            raise ValueError(f"frozen has {frozen.size} values for {batch.numbers.size} atoms")
    slots = []
    for system, start in zip(batch.systems, batch.starts):
        slot = C.c_int()
        check(lib.aimnet_opt_add(pool, C.byref(system), None if frozen is None else frozen.ctypes.data + start, C.byref(slot)))
        slots.append(slot.value)
    return slots
