# SPDX-License-Identifier: MIT
"""libaimnet through ctypes: where it is, its structures and functions, its errors as exceptions.

The structures repeat the public headers; tests/python/test_layout.py compares sizes and offsets with what the compiler sees. Calls release the
GIL (ctypes does).
"""
from __future__ import annotations

import ctypes as C
import os
import pathlib
import sys

NAME = {"darwin": "libaimnet.dylib", "win32": "libaimnet.dll"}.get(sys.platform, "libaimnet.so")
MESSAGE_SIZE = 512


class AimnetError(RuntimeError):
    """A failure that the library reports; the text is the library's message, `status` its code."""

    status = 0


class ArgumentError(AimnetError, ValueError):
    """An argument out of its documented range."""


class StructureError(AimnetError, ValueError):
    """A structure that cannot be evaluated."""


class UnsupportedError(AimnetError, NotImplementedError):
    """A valid request that this build or model cannot serve."""


class ModelFileError(AimnetError, OSError):
    """A file that cannot be read, is malformed, or is no usable AIMNet2 model."""

    def __str__(self) -> str:
        return str(self.args[0])


class OutOfMemoryError(AimnetError, MemoryError):
    """An allocation failed."""


class DeviceError(AimnetError):
    """The compute device is missing or failed."""


SOME_FAILED, UNSUPPORTED = 12, 13
_CLASSES = {10: ArgumentError, 11: StructureError, 13: UnsupportedError, 14: ArgumentError, 20: ModelFileError, 21: ModelFileError,
            30: ModelFileError, 40: OutOfMemoryError, 50: DeviceError}


def error(status: int, message: str) -> AimnetError:
    """The exception for a status code."""
    exception = _CLASSES.get(status, AimnetError)(message)
    exception.status = status
    return exception


def check(status: int) -> None:
    """Raises the library's message unless status is 0."""
    if status:
        raise error(status, lib.aimnet_last_error().decode(errors="replace"))


class Options(C.Structure):
    _fields_ = [("struct_size", C.c_size_t), ("device", C.c_char_p), ("precision", C.c_int), ("threads", C.c_int),
                ("nb_threshold", C.c_int), ("needs_coulomb", C.c_int), ("needs_dispersion", C.c_int), ("coulomb", C.c_int),
                ("coulomb_cutoff", C.c_double), ("dsf_alpha", C.c_double), ("ewald_accuracy", C.c_double), ("d3_cutoff", C.c_double),
                ("d3_smoothing", C.c_double), ("d3_params", C.POINTER(C.c_double)), ("mixed_families", C.c_int),
                ("batch_atoms", C.c_int64), ("no_graph", C.c_int), ("fast", C.c_int), ("device_memory", C.c_size_t)]


class System(C.Structure):
    _fields_ = [("n_atoms", C.c_int32), ("numbers", C.c_void_p), ("coord", C.c_void_p), ("cell", C.c_void_p), ("pbc", C.c_int * 3),
                ("charge", C.c_double), ("mult", C.c_double), ("lists", C.c_void_p)]


class List(C.Structure):
    _fields_ = [("nbmat", C.c_void_p), ("shifts", C.c_void_p), ("n_rows", C.c_int32), ("width", C.c_int32), ("cutoff", C.c_double)]


class Lists(C.Structure):
    _fields_ = [("network", List), ("lr", List), ("coulomb", List), ("dftd3", List)]


class Hvp(C.Structure):
    _fields_ = [("n_directions", C.c_int), ("v", C.c_void_p), ("strain", C.c_void_p), ("hv", C.c_void_p), ("dstrain", C.c_void_p),
                ("charges", C.c_void_p), ("dipole", C.c_void_p)]


class LoadOptions(C.Structure):
    _fields_ = [("struct_size", C.c_size_t), ("config", C.c_char_p), ("member", C.c_int)]


class FetchOptions(C.Structure):
    _fields_ = [("struct_size", C.c_size_t), ("allow_unverified", C.c_int), ("revision", C.c_char_p), ("token", C.c_char_p),
                ("max_bytes", C.c_int64), ("retries", C.c_int), ("retry_seconds", C.c_double), ("stall_seconds", C.c_double),
                ("progress", C.c_void_p), ("user", C.c_void_p)]


class CoulombParams(C.Structure):
    _fields_ = [("accuracy", C.c_double), ("alpha", C.c_double), ("cutoff", C.c_double), ("k_cutoff", C.c_double), ("order", C.c_int),
                ("mesh", C.c_int * 3)]


class Result(C.Structure):
    _fields_ = [("status", C.c_int), ("energy", C.c_double), ("energy_network", C.c_double), ("energy_coulomb", C.c_double),
                ("energy_dispersion", C.c_double), ("energy_std", C.c_double), ("forces", C.c_void_p), ("charges", C.c_void_p),
                ("spin_charges", C.c_void_p), ("dipole", C.c_void_p), ("quadrupole", C.c_void_p), ("stress", C.c_void_p),
                ("forces_std", C.c_void_p), ("charges_std", C.c_void_p), ("hessian", C.c_void_p), ("coulomb_method", C.c_int),
                ("has_coulomb", C.c_int), ("has_dispersion", C.c_int), ("message", C.c_char * MESSAGE_SIZE),
                ("warnings", C.c_char * MESSAGE_SIZE), ("coulomb", CoulombParams)]


class ModelInfo(C.Structure):
    _fields_ = [("name", C.c_char_p), ("format", C.c_char_p), ("family", C.c_char_p), ("cutoff", C.c_double),
                ("num_charge_channels", C.c_int), ("n_species", C.c_int), ("species", C.POINTER(C.c_int32)), ("n_parameters", C.c_int64),
                ("needs_coulomb", C.c_int), ("needs_dispersion", C.c_int), ("has_embedded_coulomb", C.c_int),
                ("has_embedded_dispersion", C.c_int), ("supports_charged", C.c_int), ("coulomb_mode", C.c_int),
                ("coulomb_sr_rc", C.c_double), ("coulomb_sr_envelope", C.c_char_p), ("d3_s6", C.c_double), ("d3_s8", C.c_double),
                ("d3_a1", C.c_double), ("d3_a2", C.c_double)]


class BuildInfo(C.Structure):
    _fields_ = [("version", C.c_char_p), ("compiler", C.c_char_p), ("isa", C.c_char_p), ("processors", C.c_int)]


class Atoms(C.Structure):
    _fields_ = [("n_atoms", C.c_int32), ("n_systems", C.c_int32), ("coord", C.c_void_p), ("mol_idx", C.c_void_p), ("n_cells", C.c_int32),
                ("cell", C.c_void_p), ("n_pbc", C.c_int32), ("pbc", C.c_void_p)]


class CudaSystems(C.Structure):
    _fields_ = [("atoms", Atoms), ("coord_single", C.c_void_p), ("numbers", C.c_void_p), ("charge", C.c_void_p), ("mult", C.c_void_p)]


class CudaResults(C.Structure):
    _fields_ = [("energy", C.c_void_p), ("forces", C.c_void_p), ("charges", C.c_void_p), ("spin_charges", C.c_void_p),
                ("stress", C.c_void_p), ("info", C.c_void_p)]


class NlistOptions(C.Structure):
    _fields_ = [("struct_size", C.c_size_t), ("threads", C.c_int), ("algorithm", C.c_int), ("nb_threshold", C.c_int),
                ("reverse", C.c_int), ("allocator", C.c_void_p)]


class OptOptions(C.Structure):
    _fields_ = [("struct_size", C.c_size_t), ("method", C.c_int), ("fmax", C.c_double), ("ediff", C.c_double), ("smax", C.c_double),
                ("max_steps", C.c_int), ("max_move", C.c_double), ("cell", C.c_int), ("fixed_axes", C.c_int * 3),
                ("pressure", C.c_double), ("memory", C.c_int), ("on_host", C.c_int)]


class OptState(C.Structure):
    _fields_ = [("verdict", C.c_int), ("n_atoms", C.c_int32), ("numbers", C.c_void_p), ("coord", C.c_void_p), ("cell", C.c_void_p),
                ("pbc", C.c_int * 3), ("charge", C.c_double), ("mult", C.c_double), ("energy", C.c_double), ("forces", C.c_void_p),
                ("charges", C.c_void_p), ("stress", C.c_void_p), ("energy_change", C.c_double), ("enthalpy", C.c_double),
                ("fmax", C.c_double), ("smax", C.c_double), ("move", C.c_double), ("n_steps", C.c_int), ("n_evaluations", C.c_int),
                ("message", C.c_char_p), ("warnings", C.c_char_p)]


# Structures by the name that they have in C, for the comparison of layouts.
STRUCTURES = {"aimnet_options": Options, "aimnet_system": System, "aimnet_list": List, "aimnet_lists": Lists, "aimnet_hvp": Hvp,
              "aimnet_load_options": LoadOptions, "aimnet_fetch_options": FetchOptions, "aimnet_result": Result,
              "aimnet_coulomb_params": CoulombParams, "aimnet_model_info": ModelInfo, "aimnet_build_info": BuildInfo,
              "aimnet_atoms": Atoms, "aimnet_cuda_systems": CudaSystems, "aimnet_cuda_results": CudaResults,
              "aimnet_nlist_options": NlistOptions, "aimnet_opt_options": OptOptions, "aimnet_opt_state": OptState}

_P, _PP, _I = C.c_void_p, C.POINTER(C.c_void_p), C.c_int
_FUNCTIONS = {
    "aimnet_last_error": (C.c_char_p, []),
    "aimnet_version": (C.c_char_p, []),
    "aimnet_build": (BuildInfo, []),
    "aimnet_model_load": (_I, [C.c_char_p, _P, _PP]),
    "aimnet_load_options_default": (LoadOptions, []),
    "aimnet_model_load_with": (_I, [C.c_char_p, C.POINTER(LoadOptions), _P, _PP]),
    "aimnet_fetch_options_default": (FetchOptions, []),
    "aimnet_model_members": (_I, [C.c_char_p, C.POINTER(FetchOptions), C.POINTER(_I)]),
    "aimnet_model_fetch": (_I, [C.c_char_p, C.POINTER(FetchOptions), _P, C.c_size_t]),
    "aimnet_model_free": (None, [_P]),
    "aimnet_model_get_info": (_I, [_P, C.POINTER(ModelInfo)]),
    "aimnet_model_sha256": (_I, [_P, C.c_char * 65]),
    "aimnet_model_describe": (_I, [_P, _I, _PP]),
    "aimnet_model_text_free": (None, [_P, _P]),
    "aimnet_options_default": (Options, []),
    "aimnet_calc_create": (_I, [_PP, _I, C.POINTER(Options), _PP]),
    "aimnet_calc_free": (None, [_P]),
    "aimnet_calc_eval": (_I, [_P, C.POINTER(System), _I, C.POINTER(Result)]),
    "aimnet_calc_hvp": (_I, [_P, C.POINTER(System), C.POINTER(Hvp)]),
    "aimnet_calc_has_external_coulomb": (_I, [_P]),
    "aimnet_calc_has_external_dftd3": (_I, [_P]),
    "aimnet_calc_warnings": (C.c_char_p, [_P]),
    "aimnet_nlist_options_default": (NlistOptions, []),
    "aimnet_nlist_create": (_I, [C.POINTER(NlistOptions), _PP]),
    "aimnet_nlist_free": (None, [_P]),
    "aimnet_nlist_build": (_I, [_P, C.POINTER(Atoms), C.POINTER(C.c_double), _I]),
    "aimnet_nlist_coo": (_I, [_P, _I, C.POINTER(Atoms), C.c_int64, C.POINTER(C.c_int64), _P, _P, _P, _P, _P]),
    "aimnet_cuda_alloc": (_I, [_I, C.c_size_t, _PP]),
    "aimnet_cuda_free": (None, [_I, _P]),
    "aimnet_cuda_copy": (_I, [_I, _P, _P, C.c_size_t, _P]),
    "aimnet_cuda_eval": (_I, [_P, C.POINTER(CudaSystems), C.POINTER(CudaResults), _P]),
    "aimnet_wrap": (_I, [C.POINTER(Atoms), _P, _P]),
    "aimnet_opt_options_default": (OptOptions, []),
    "aimnet_opt_set_level": (_I, [C.POINTER(OptOptions), _I]),
    "aimnet_opt_create": (_I, [_P, C.POINTER(OptOptions), _PP]),
    "aimnet_opt_free": (None, [_P]),
    "aimnet_opt_add": (_I, [_P, C.POINTER(System), _P, C.POINTER(_I)]),
    "aimnet_opt_advance": (_I, [_P, C.POINTER(_I)]),
    "aimnet_opt_get": (_I, [_P, _I, C.POINTER(OptState)]),
    "aimnet_opt_peek": (_I, [_P, _I, C.POINTER(OptState)]),
    "aimnet_opt_remove": (_I, [_P, _I]),
    "aimnet_opt_verdict_name": (C.c_char_p, [_I]),
}


def _load() -> C.CDLL:
    """The library named by AIMNETC_LIBRARY, else the one of this package, else the system's."""
    here = pathlib.Path(__file__).resolve().parent
    named = os.environ.get("AIMNETC_LIBRARY")
    path = named or (str(here / NAME) if (here / NAME).exists() else NAME)
    try:
        library = C.CDLL(path)
    except OSError as failure:
        raise ImportError(f"libaimnet cannot be loaded: {failure}. Install the wheel, or set AIMNETC_LIBRARY to the library's path") from None
    for name, (result, arguments) in _FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise ImportError(f"{path} has no {name}: the library is of another version than this package") from None
        function.restype, function.argtypes = result, arguments
    return library


lib = _load()
