# SPDX-License-Identifier: MIT
"""`AIMNet2Calculator`: arguments, keys and shapes of the class of that name in PyPI's `aimnet`, on libaimnet; numpy in and out."""
from __future__ import annotations

import ctypes as C
import math
import os
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._arrays import BOOL, FLOAT, INT, LONG, check_cell, check_pbc, check_pbc_has_cell, is_on_a_device, of_each, to_numpy
from ._lib import SOME_FAILED, Hvp, Options, Result, System, check, error, lib
from ._lists import NAMES, CallerLists
from .model import Model, members

_METHODS = ("simple", "dsf", "ewald", "pme")
_address_of, _byte_of = C.addressof, C.c_char.from_buffer


def _depth_of_the_caller() -> int:
    """The stacklevel of warnings that points outside this package."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        frame, depth = frame.f_back, depth + 1
    return depth


def _address(array: np.ndarray) -> int:
    if array.size and array.flags.writeable:
        return _address_of(_byte_of(array))  # a quarter of the time of array.ctypes.data
    return array.ctypes.data


class Batch:
    """Structures of a data dictionary as the library's array of systems; keeps the arrays alive."""

    def __init__(self, data: Mapping[str, Any]):
        try:
            coord, numbers = data["coord"], data["numbers"]
        except KeyError as missing:
            raise KeyError(f"{missing} is missing: coord, numbers and charge describe a structure") from None
        self.coord = coord = to_numpy(coord, FLOAT, "coord")
        self.numbers = numbers = to_numpy(numbers, INT, "numbers")
        if coord.shape != (*numbers.shape, 3) or numbers.ndim not in (1, 2):
            self.numbers = numbers = self._broadcast()
        self.dense, mol_idx = numbers.ndim == 2, data.get("mol_idx")
        self.starts = [0, len(numbers)] if mol_idx is None and not self.dense else self._split(mol_idx)
        self.n = len(self.starts) - 1
        self._fill(data)

    def _broadcast(self) -> np.ndarray:
        """One row of numbers for all structures of a batch; everything else does not fit."""
        coord, numbers = self.coord.shape, self.numbers.shape
        if len(coord) not in (2, 3) or coord[-1] != 3:
            raise ValueError(f"coord has shape {coord}: expected (N, 3) or (B, N, 3)")
        if len(coord) != 3 or numbers != coord[1:2]:
            raise ValueError(f"numbers has shape {numbers}, but coord {coord}: expected {coord[:-1]}")
        return np.ascontiguousarray(np.broadcast_to(self.numbers, coord[:2]))

    def _split(self, mol_idx: Any) -> list[int]:
        """First atoms of the structures, and the number of atoms."""
        if self.dense:
            b, n = self.numbers.shape
            return [n * k for k in range(b + 1)]
        index = to_numpy(mol_idx, LONG, "mol_idx")
        if index.shape != self.numbers.shape:
            raise ValueError(f"mol_idx has shape {index.shape}: expected {self.numbers.shape}")
        steps = np.diff(index)
        if len(index) and (index[0] != 0 or (steps < 0).any() or (steps > 1).any()):
            raise ValueError("mol_idx must ascend from 0 without gaps")
        count = int(index[-1]) + 1 if len(index) else 0
        return np.searchsorted(index, np.arange(count + 1)).tolist()

    def _per_system(self, value: Any, key: str) -> list[float]:
        if value is None:
            return [0.0] * self.n
        if isinstance(value, (int, float)):
            return [float(value)] * self.n
        return of_each(value, self.n, key).tolist()

    def _add_cells(self, cell: Any, pbc: Any) -> None:
        cell = to_numpy(cell, FLOAT, "cell")
        self.cell_of_each = self.n > 1 or cell.ndim == 3
        check_cell(cell, self.n)
        pbc = np.ones(3, bool) if pbc is None else to_numpy(pbc, BOOL, "pbc")
        check_pbc(pbc, self.n)
        self.cell = np.ascontiguousarray(np.broadcast_to(cell.reshape(-1, 3, 3), (self.n, 3, 3)))
        periodic = np.broadcast_to(pbc, (self.n, 3)).tolist()
        address = _address(self.cell)
        for k in range(self.n):
            self.systems[k].cell, self.systems[k].pbc = address + 72 * k, tuple(periodic[k])

    def _fill(self, data: Mapping[str, Any]) -> None:
        get, n, starts = data.get, self.n, self.starts
        charge, mult, cell = self._per_system(get("charge"), "charge"), self._per_system(get("mult"), "mult"), get("cell")
        numbers, coord = _address(self.numbers), _address(self.coord)
        self.cell_of_each, self.systems = n > 1, (System * n)()
        for k in range(n):
            system, start = self.systems[k], starts[k]
            system.n_atoms, system.numbers, system.coord = starts[k + 1] - start, numbers + 4 * start, coord + 24 * start
            system.charge, system.mult = charge[k], mult[k]
        if cell is None:
            check_pbc_has_cell(get("pbc"))
        else:
            self._add_cells(cell, get("pbc"))
        if not NAMES.isdisjoint(data):
            self.lists = CallerLists(data, self.numbers.shape, self.starts)
            for k, system in enumerate(self.systems):
                system.lists = self.lists.address(k)


class AIMNet2Calculator:
    """Energies, forces, charges, stress of molecules, batches and crystals.

    Parameters
    ----------
    model : str, path, Model or a sequence of them
        A file or directory, a published name ("aimnet2", "aimnet2-nse:2") or a Hugging Face repository ("owner/name") from the cache, or
        "default" for the built-in model. Several, or "NAME:all", are an ensemble (mean, with `*_std`). Nothing is downloaded (see `download`).
    nb_threshold : int
        Molecules up to this size use the list of all pairs; results do not depend on it.
    needs_coulomb, needs_dispersion : bool or None
        Attach Coulomb or D3 outside the model; None: as the model's metadata says.
    device : str or None
        "cpu", "cuda", "cuda:N" or "auto"; None: "cpu".
    ensemble_member, revision :
        Member of a directory or repository of several; branch, tag or commit of a repository.
    compile_model, compile_kwargs, cache_static, train, deterministic, cuda_graph, inference_kernels :
        Accepted for compatibility where they have nothing to change; `compile_model`, `compile_kwargs` and `train` are refused.
    precision : {"single", "double"}
        Arithmetic of the network.
    threads : int
        Workers, 0 for one per processor; results do not depend on it.
    fast : bool
        GPU, single precision: matrix products from operands of 11 bits instead of float32 accuracy (docs/numerics.md has the errors).
    device_memory : int
        GPU: most bytes of its memory for an evaluation, 0 for what is free; large crystals are then computed in slabs, with the same results.

    Notes
    -----
    Units: eV, Angstrom, e, eV/A^3. Calls from several threads wait for each other; different calculators run at the same time. A calculator
    can be pickled: it is made anew from its arguments.
    """

    def __init__(self, model: Any = "default", nb_threshold: int = 120, needs_coulomb: bool | None = None,
                 needs_dispersion: bool | None = None, device: str | None = None, compile_model: bool = False,
                 compile_kwargs: dict | None = None, cache_static: bool = False, train: bool = False, deterministic: bool = False,
                 ensemble_member: int = 0, revision: str | None = None, token: str | None = None, *,
                 model_import_paths: Sequence[str] | None = None, model_import_mode: str = "extend", precision: str = "single",
                 threads: int = 0, mixed_families: bool = False, cuda_graph: bool | None = False, inference_kernels: bool = False,
                 fast: bool = False, device_memory: int = 0):
        self._refuse(compile_model=compile_model, compile_kwargs=compile_kwargs, train=train, token=token,
                     model_import_paths=model_import_paths,
                     model_import_mode=None if model_import_mode == "extend" else model_import_mode)
        if precision not in ("single", "double"):
            raise ValueError(f"precision {precision!r}: expected 'single' or 'double'")
        several = isinstance(model, Sequence) and not isinstance(model, str)
        if several and not model:
            raise ValueError("model is empty: expected a model, or several as an ensemble")
        self._settings = {"model": list(model) if several else model, "ensemble_member": ensemble_member, "revision": revision,
                          "nb_threshold": nb_threshold, "needs_coulomb": needs_coulomb, "needs_dispersion": needs_dispersion,
                          "device": device, "precision": precision, "threads": threads, "mixed_families": mixed_families, "fast": fast,
                          "device_memory": device_memory}
        self._long_range: dict[str, Any] = {}
        self.models = [one for m in (model if several else [model]) for one in members(m, ensemble_member, revision)]
        self.model = self.models[0]
        self.device: str = device or "cpu"
        self.precision = precision
        self.cutoff: float = self.model.cutoff
        ensemble = len(self.models) > 1
        self._charges = ["charges"] + ["spin_charges"] * self.is_nse + ["charges_std"] * ensemble
        self._forces = ["forces"] + ["forces_std"] * ensemble
        self._lock = threading.Lock()
        self._warned: set[str] = set()
        self._handle = C.c_void_p()
        self._create()

    @staticmethod
    def _refuse(**arguments: Any) -> None:
        reasons = {"compile_model": "there is nothing to compile: the library is compiled code", "compile_kwargs": "there is nothing to compile",
                   "train": "this class evaluates; training is not part of this version",
                   "token": "nothing is downloaded here: aimnetc.download(name, token=...) first",
                   "model_import_paths": "model files are data, nothing is imported",
                   "model_import_mode": "model files are data, nothing is imported"}
        for name, value in arguments.items():
            if value:
                raise ValueError(f"{name}={value!r} is not supported: {reasons[name]}")

    def _create(self) -> None:
        s, lr = self._settings, self._long_range
        o: Options = lib.aimnet_options_default()
        o.device = s["device"].encode() if s["device"] else b"cpu"
        o.precision, o.threads, o.nb_threshold = int(s["precision"] == "double"), s["threads"], s["nb_threshold"]
        o.mixed_families, o.fast, o.device_memory = int(s["mixed_families"]), int(s["fast"]), s["device_memory"]
        for key in ("needs_coulomb", "needs_dispersion"):
            setattr(o, key, -1 if s[key] is None else int(bool(s[key])))
        for key, value in lr.items():
            setattr(o, key, value)
        handles = (C.c_void_p * len(self.models))(*[m._handle for m in self.models])
        handle = C.c_void_p()
        check(lib.aimnet_calc_create(handles, len(self.models), C.byref(o), C.byref(handle)))
        self._options = o
        old, self._handle = self._handle, handle
        if old:
            lib.aimnet_calc_free(old)
        self._warn(lib.aimnet_calc_warnings(handle).decode(errors="replace"))

    def _warn(self, text: str) -> None:
        for line in text.split("\n"):
            if line and line not in self._warned:
                self._warned.add(line)
                warnings.warn(line, UserWarning, stacklevel=_depth_of_the_caller())

    def __del__(self):
        if getattr(self, "_handle", None) and lib is not None:
            lib.aimnet_calc_free(self._handle)
            self._handle = None

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self._settings, "long_range": self._long_range}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["settings"])
        self._change(**state["long_range"])

    # ---------------------------------------------------------------- what is attached

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The fields of the (first) model's metadata."""
        return self.model.metadata

    @property
    def is_nse(self) -> bool:
        """Whether the model takes a multiplicity."""
        return self.model.is_nse

    @property
    def has_external_coulomb(self) -> bool:
        return bool(lib.aimnet_calc_has_external_coulomb(self._handle))

    @property
    def has_external_dftd3(self) -> bool:
        return bool(lib.aimnet_calc_has_external_dftd3(self._handle))

    @property
    def coulomb_method(self) -> str | None:
        """"simple", "dsf", "ewald" or "pme"; None without Coulomb."""
        return _METHODS[self._options.coulomb] if self.has_external_coulomb or self.model.has_embedded_coulomb else None

    @property
    def coulomb_cutoff(self) -> float | None:
        """Angstrom; inf for "simple", None for Ewald and PME and without Coulomb."""
        method = self.coulomb_method
        return {"simple": math.inf, "dsf": self._options.coulomb_cutoff}.get(method) if method else None

    @property
    def dftd3_cutoff(self) -> float:
        """Angstrom."""
        return self._options.d3_cutoff

    @property
    def cutoff_lr(self) -> float | None:
        """The longer of the two cutoffs outside the network, Angstrom; None when nothing is attached."""
        ranges = ([self.coulomb_cutoff or 0.0] if self.has_external_coulomb else []) + ([self.dftd3_cutoff] if self.has_external_dftd3 else [])
        return max(ranges) if ranges else None

    def _change(self, **options: Any) -> None:
        before = dict(self._long_range)
        self._long_range.update(options)
        try:
            with self._lock:
                self._create()
        except Exception:
            self._long_range = before
            raise

    def set_lrcoulomb_method(self, method: str, cutoff: float = 15.0, dsf_alpha: float = 0.2, ewald_accuracy: float | None = None) -> None:
        """Switches the Coulomb method outside the model: "simple", "dsf" (cutoff in A, alpha in 1/A), "ewald" or "pme" (relative accuracy)."""
        if method not in _METHODS:
            raise ValueError(f"method {method!r}: expected one of {', '.join(_METHODS)}")
        self._change(coulomb=_METHODS.index(method), coulomb_cutoff=float(cutoff), dsf_alpha=float(dsf_alpha),
                     ewald_accuracy=float(ewald_accuracy or 0.0))

    def set_lr_cutoff(self, cutoff: float) -> None:
        """Both cutoffs outside the network, A."""
        self._change(coulomb_cutoff=float(cutoff), d3_cutoff=float(cutoff))

    def set_dftd3_cutoff(self, cutoff: float | None = None, smoothing_fraction: float | None = None) -> None:
        """Cutoff of D3 (A) and the part of it over which the energy is switched off; None keeps a value."""
        change = {"d3_cutoff": cutoff, "d3_smoothing": smoothing_fraction}
        self._change(**{k: float(v) for k, v in change.items() if v is not None})

    # ---------------------------------------------------------------- evaluation

    def __call__(self, data: Mapping[str, Any], forces: bool = False, stress: bool = False, hessian: bool = False,
                 **kwargs: Any) -> dict[str, Any]:
        return self.eval(data, forces=forces, stress=stress, hessian=hessian, **kwargs)

    def eval(self, data: Mapping[str, Any], forces: bool = False, stress: bool = False, hessian: bool = False, *,
             validate_species: bool = True, stream: Any = None, out: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Evaluates one structure or many.

        Parameters
        ----------
        data : mapping
            "coord" (N, 3), (B, N, 3), or flat (N, 3) with "mol_idx" (N,), A; "numbers" (N,) or (B, N), 0 is padding; "charge", "mult":
            one or one each; "cell" (3, 3) or (B, 3, 3), rows a, b, c, A; "pbc" (3,) or (B, 3). Numpy arrays, lists, tensors in host memory.
            Optional lists: "nbmat" of the network, "nbmat_coulomb", "nbmat_dftd3", or "nbmat_lr" for both, (N or N+1, M) with N as padding,
            and "shifts", "shifts_coulomb", ... (N or N+1, M, 3) in cells. Pairs beyond the cutoff are allowed, none within it may be missing.
        forces, stress, hessian : bool
            What to compute besides energy and charges.

        Returns
        -------
        dict of numpy arrays
            "energy" (B,) eV; "charges" and, with two channels, "spin_charges" (N,) or (B, N) e; "forces" shaped as coord, eV/A; "stress"
            (3, 3) or (B, 3, 3) eV/A^3; "hessian" (N, 3, N, 3) or (B, N, 3, N, 3) eV/A^2. Ensembles: "energy_std", "charges_std",
            "forces_std". A Hessian of several structures with "mol_idx" makes every value a list with one array for each structure.

        Raises
        ------
        StructureError and the other exceptions of this package, with the library's message and the number of the structure.
        """
        if is_on_a_device(data.get("coord")):
            from ._cuda import evaluate
            return evaluate(self, data, forces, stress, hessian, stream, out)
        if out or stream is not None:
            raise TypeError("out and stream are for positions in GPU memory")
        batch = Batch(data)
        n, starts, results = batch.n, batch.starts, (Result * batch.n)()
        out, address = self._per_atom(batch, forces)
        if stress:
            out["stress"] = np.zeros((n, 3, 3))
        if hessian:
            out["hessian"] = [np.zeros((b - a, 3, b - a, 3)) for a, b in zip(starts, starts[1:])]
        for k in range(n):  # iterating over the array would end in an exception, which is slow
            result = results[k]
            for key, first, stride in address:
                setattr(result, key, first + stride * starts[k])
            if stress:
                result.stress = _address(out["stress"]) + 72 * k
            if hessian:
                result.hessian = _address(out["hessian"][k])
        with self._lock:
            status = lib.aimnet_calc_eval(self._handle, batch.systems, n, results)
        if status:
            self._raise(status, results)
        return self._collect(batch, results, out)

    def _per_atom(self, batch: Batch, forces: bool) -> tuple[dict[str, Any], list[tuple[str, int, int]]]:
        """Arrays with a value for every atom; for each the member of a result, where it starts, and the bytes for an atom."""
        charges, out, address = batch.numbers.shape, {}, []
        for key in self._charges:
            out[key] = array = np.zeros(charges)
            address.append((key, _address(array), 8))
        for key in self._forces if forces else ():
            out[key] = array = np.zeros(batch.coord.shape)
            address.append((key, _address(array), 24))
        return out, address

    @staticmethod
    def _raise(status: int, results: Any) -> None:
        if status != SOME_FAILED:
            check(status)
        for k, result in enumerate(results):
            if result.status:
                where = f"structure {k}: " if len(results) > 1 else ""
                raise error(result.status, where + result.message.decode(errors="replace"))

    def _collect(self, batch: Batch, results: Any, out: dict[str, Any]) -> dict[str, Any]:
        energy = out["energy"] = np.zeros(batch.n)
        for k in range(batch.n):
            result = results[k]
            energy[k] = result.energy
            if result.warnings:
                self._warn(result.warnings.decode(errors="replace"))
        if len(self.models) > 1:
            out["energy_std"] = np.array([result.energy_std for result in results])
        if "stress" in out and not batch.cell_of_each:
            out["stress"] = out["stress"][0]
        if "hessian" in out and batch.n > 1 and not batch.dense:
            return self._as_lists(batch, out)
        if "hessian" in out:
            out["hessian"] = np.stack(out["hessian"]) if batch.n > 1 else out["hessian"][0]
        return out

    @staticmethod
    def _as_lists(batch: Batch, out: dict[str, Any]) -> dict[str, Any]:
        """Structures of different size with Hessians: every value as a list, like the reference."""
        ranges = list(zip(batch.starts, batch.starts[1:]))
        per_system = ("energy", "energy_std", "stress")
        return {key: value if key == "hessian" else [value[k:k + 1] for k in range(batch.n)] if key.startswith("energy")
                else list(value) if key in per_system else [value[a:b] for a, b in ranges] for key, value in out.items()}

    def hessian_vector_product(self, data: Mapping[str, Any], vectors: Any, *, eps: float = 5e-4, validate_species: bool = True,
                               create_graph: bool = False) -> np.ndarray:
        """The Hessian of one structure times vectors, without the matrix; exact, also for PME.

        Parameters
        ----------
        data : mapping
            One structure, as for `eval`.
        vectors : array
            (N, 3) or (K, N, 3).
        eps, create_graph :
            For compatibility: no differences are taken; `create_graph` is refused.

        Returns
        -------
        (N, 3) or (K, N, 3), eV/A^2 times the vectors.
        """
        if create_graph:
            raise ValueError("create_graph=True is not supported: results are numbers, not parts of a graph")
        batch = Batch(data)
        if batch.n != 1:
            raise ValueError(f"hessian_vector_product takes one structure, not {batch.n}")
        v, n = to_numpy(vectors, FLOAT, "vectors"), batch.numbers.size
        if v.ndim not in (2, 3) or v.shape[-2:] != (n, 3):
            raise ValueError(f"vectors has shape {v.shape}: expected ({n}, 3) or (K, {n}, 3)")
        out = np.zeros(v.shape)
        job = Hvp(n_directions=v.size // (3 * n), v=_address(v), hv=_address(out))
        with self._lock:
            check(lib.aimnet_calc_hvp(self._handle, batch.systems, C.byref(job)))
        return out
