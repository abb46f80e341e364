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

from ._arrays import is_on_a_device, to_numpy
from ._lib import SOME_FAILED, Hvp, Options, Result, System, check, error, lib
from ._lists import NAMES, CallerLists
from .model import Model, members

_METHODS = ("simple", "dsf", "ewald", "pme")


def _depth_of_the_caller() -> int:
    """The stacklevel of warnings that points outside this package."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        frame, depth = frame.f_back, depth + 1
    return depth


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]  # a quarter of the time of array.ctypes.data


class Batch:
    """Structures of a data dictionary as the library's array of systems; keeps the arrays alive."""

    def __init__(self, data: Mapping[str, Any]):
        try:
            coord, numbers = data["coord"], data["numbers"]
        except KeyError as missing:
            raise KeyError(f"{missing} is missing: coord, numbers and charge describe a structure") from None
        self.coord = to_numpy(coord, np.float64, "coord")
        self.numbers = to_numpy(numbers, np.int32, "numbers")
        if self.coord.ndim not in (2, 3) or self.coord.shape[-1] != 3:
            raise ValueError(f"coord has shape {self.coord.shape}: expected (N, 3) or (B, N, 3)")
        self.dense = self.coord.ndim == 3
        if self.dense and self.numbers.ndim == 1:
            self.numbers = np.ascontiguousarray(np.broadcast_to(self.numbers, self.coord.shape[:2]))
        if self.numbers.shape != self.coord.shape[:-1]:
            raise ValueError(f"numbers has shape {self.numbers.shape}, but coord {self.coord.shape}: expected {self.coord.shape[:-1]}")
        self._split(data.get("mol_idx"))
        self._fill(data)

    def _split(self, mol_idx: Any) -> None:
        if self.dense:
            b, n = self.numbers.shape
            self.starts = [n * k for k in range(b + 1)]
        elif mol_idx is not None:
            index = to_numpy(mol_idx, np.int64, "mol_idx")
            if index.shape != self.numbers.shape:
                raise ValueError(f"mol_idx has shape {index.shape}: expected {self.numbers.shape}")
            steps = np.diff(index)
            if len(index) and (index[0] != 0 or (steps < 0).any() or (steps > 1).any()):
                raise ValueError("mol_idx must ascend from 0 without gaps")
            count = int(index[-1]) + 1 if len(index) else 0
            self.starts = np.searchsorted(index, np.arange(count + 1)).tolist()
        else:
            self.starts = [0, len(self.numbers)]
        self.flat = mol_idx is not None and not self.dense
        self.n = len(self.starts) - 1

    def _per_system(self, data: Mapping[str, Any], key: str, default: float) -> list[float]:
        value = data.get(key)
        if value is None:
            return [default] * self.n
        if isinstance(value, (int, float)):
            return [float(value)] * self.n
        values = to_numpy(value, np.float64, key).ravel()
        if values.size not in (1, self.n):
            raise ValueError(f"'{key}' has {values.size} values for {self.n} structures")
        return values.tolist() * (self.n if values.size == 1 else 1)

    def _cells(self, data: Mapping[str, Any]) -> tuple[np.ndarray | None, np.ndarray | None]:
        cell = data.get("cell")
        self.cell_of_each = self.n > 1
        if cell is None:
            return None, None
        cell = to_numpy(cell, np.float64, "cell")
        self.cell_of_each = self.n > 1 or cell.ndim == 3
        if cell.shape not in ((3, 3), (1, 3, 3), (self.n, 3, 3)):
            raise ValueError(f"cell has shape {cell.shape}: expected (3, 3) or ({self.n}, 3, 3), rows a, b, c")
        pbc = data.get("pbc")
        pbc = np.ones(3, bool) if pbc is None else to_numpy(pbc, bool, "pbc")
        return (np.ascontiguousarray(np.broadcast_to(cell.reshape(-1, 3, 3), (self.n, 3, 3))),
                np.broadcast_to(pbc.reshape(-1, pbc.shape[-1] if pbc.ndim else 1), (self.n, 3)))

    def _fill(self, data: Mapping[str, Any]) -> None:
        charge, mult = self._per_system(data, "charge", 0.0), self._per_system(data, "mult", 0.0)
        self.cell, self.pbc = self._cells(data)
        self.systems = (System * self.n)()
        numbers, coord = _address(self.numbers), _address(self.coord)
        for k, (system, start, end) in enumerate(zip(self.systems, self.starts, self.starts[1:])):
            system.n_atoms, system.numbers, system.coord = end - start, numbers + 4 * start, coord + 24 * start
            system.charge, system.mult = charge[k], mult[k]
            if self.cell is not None:
                system.cell = _address(self.cell) + 72 * k
                system.pbc[:] = [int(x) for x in self.pbc[k]]
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
                 fast: bool = False):
        self._refuse(compile_model=compile_model, compile_kwargs=compile_kwargs, train=train, token=token,
                     model_import_paths=model_import_paths,
                     model_import_mode=None if model_import_mode == "extend" else model_import_mode)
        if precision not in ("single", "double"):
            raise ValueError(f"precision {precision!r}: expected 'single' or 'double'")
        several = isinstance(model, Sequence) and not isinstance(model, str)
        self._settings = {"model": list(model) if several else model, "ensemble_member": ensemble_member, "revision": revision,
                          "nb_threshold": nb_threshold, "needs_coulomb": needs_coulomb, "needs_dispersion": needs_dispersion, "device": device, "precision": precision, "threads": threads,
                          "mixed_families": mixed_families, "fast": fast}
        self._long_range: dict[str, Any] = {}
        self.models = [one for m in (model if several else [model]) for one in members(m, ensemble_member, revision)]
        self.model = self.models[0]
        self.device: str = device or "cpu"
        self.precision = precision
        self.cutoff: float = self.model.cutoff
        self._lock = threading.Lock()
        self._warned: set[str] = set()
        self._handle = C.c_void_p()
        self._create()

    @staticmethod
    def _refuse(**arguments: Any) -> None:
        reasons = {"compile_model": "there is nothing to compile: the library is", "compile_kwargs": "there is nothing to compile",
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
        o.mixed_families, o.fast = int(s["mixed_families"]), int(s["fast"])
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
        out = self._allocate(batch, forces, stress, hessian)
        results = (Result * batch.n)()
        self._point(batch, results, out)
        with self._lock:
            status = lib.aimnet_calc_eval(self._handle, batch.systems, batch.n, results)
        if status == SOME_FAILED:
            self._raise(results)
        check(status)
        return self._collect(batch, results, out)

    def _allocate(self, batch: Batch, forces: bool, stress: bool, hessian: bool) -> dict[str, Any]:
        shape, ensemble = batch.numbers.shape, len(self.models) > 1
        out: dict[str, Any] = {"charges": np.zeros(shape)}
        if self.is_nse:
            out["spin_charges"] = np.zeros(shape)
        if forces:
            out["forces"] = np.zeros(batch.coord.shape)
        if ensemble:
            out["charges_std"] = np.zeros(shape)
        if ensemble and forces:
            out["forces_std"] = np.zeros(batch.coord.shape)
        if stress:
            out["stress"] = np.zeros((batch.n, 3, 3))
        if hessian:
            out["hessian"] = [np.zeros((b - a, 3, b - a, 3)) for a, b in zip(batch.starts, batch.starts[1:])]
        return out

    @staticmethod
    def _point(batch: Batch, results: Any, out: dict[str, Any]) -> None:
        """The buffers of every structure: parts of the arrays of all."""
        per_atom = [(key, _address(array), 24 if array.ndim > batch.numbers.ndim else 8)
                    for key, array in out.items() if key not in ("stress", "hessian")]
        for k, result in enumerate(results):
            start = batch.starts[k]
            for key, address, stride in per_atom:
                setattr(result, key, address + stride * start)
            if "stress" in out:
                result.stress = _address(out["stress"]) + 72 * k
            if "hessian" in out:
                result.hessian = _address(out["hessian"][k])

    @staticmethod
    def _raise(results: Any) -> None:
        for k, result in enumerate(results):
            if result.status:
                where = f"structure {k}: " if len(results) > 1 else ""
                raise error(result.status, where + result.message.decode(errors="replace"))

    def _collect(self, batch: Batch, results: Any, out: dict[str, Any]) -> dict[str, Any]:
        values = [(r.energy, r.energy_std, r.warnings) for r in results]
        out["energy"] = np.array([v[0] for v in values])
        if len(self.models) > 1:
            out["energy_std"] = np.array([v[1] for v in values])
        for _, _, text in values:
            if text:
                self._warn(text.decode(errors="replace"))
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
        v, n = to_numpy(vectors, np.float64, "vectors"), batch.numbers.size
        if v.ndim not in (2, 3) or v.shape[-2:] != (n, 3):
            raise ValueError(f"vectors has shape {v.shape}: expected ({n}, 3) or (K, {n}, 3)")
        out = np.zeros(v.shape)
        job = Hvp(n_directions=v.size // (3 * n), v=_address(v), hv=_address(out))
        with self._lock:
            check(lib.aimnet_calc_hvp(self._handle, batch.systems, C.byref(job)))
        return out
