# SPDX-License-Identifier: MIT
"""Models: loading and looking inside."""
from __future__ import annotations

import ctypes as C
import json
import os
from typing import Any

from ._lib import ModelInfo, check, lib


class Model:
    """An AIMNet2 model: a file (`path`), or the built-in one ("default" or None). Immutable, shared by any number of calculators and threads.

    Attributes
    ----------
    name, family : str
        As given, and what the file declares ("" if nothing).
    cutoff : float
        Range of the network, Angstrom.
    species : list[int]
        Atomic numbers that the model knows, ascending.
    n_parameters : int
        Trained numbers.
    is_nse : bool
        Two charge channels: the model takes a multiplicity.
    """

    def __init__(self, path: str | os.PathLike | None = None):
        self._handle = C.c_void_p()
        self.path = None if path in (None, "default") else os.fspath(path)
        check(lib.aimnet_model_load(None if self.path is None else os.fsencode(self.path), None, C.byref(self._handle)))
        info = ModelInfo()
        check(lib.aimnet_model_get_info(self._handle, C.byref(info)))
        self.name: str = info.name.decode(errors="replace")
        self.format: str = info.format.decode()
        self.family: str = info.family.decode(errors="replace")
        self.cutoff: float = info.cutoff
        self.species: list[int] = list(info.species[:info.n_species])
        self.n_parameters: int = info.n_parameters
        self.is_nse: bool = info.num_charge_channels == 2
        self.needs_coulomb: bool = bool(info.needs_coulomb)
        self.needs_dispersion: bool = bool(info.needs_dispersion)
        self.supports_charged: bool | None = None if info.supports_charged < 0 else bool(info.supports_charged)
        self.has_embedded_coulomb: bool = bool(info.has_embedded_coulomb)
        self.has_embedded_dispersion: bool = bool(info.has_embedded_dispersion)

    def _text(self, what: int) -> str:
        text = C.c_void_p()
        check(lib.aimnet_model_describe(self._handle, what, C.byref(text)))
        try:
            return C.string_at(text).decode(errors="replace")
        finally:
            lib.aimnet_model_text_free(self._handle, text)

    def describe(self) -> dict[str, Any]:
        """Metadata, architecture, tensors and what is attached: the object of `aimnet inspect --json`."""
        return json.loads(self._text(2))

    @property
    def metadata(self) -> dict[str, Any]:
        """The fields of the file's metadata."""
        return json.loads(self._text(3))

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        text = (C.c_char * 65)()
        check(lib.aimnet_model_sha256(self._handle, text))
        return text.value.decode()

    def __str__(self) -> str:
        return self._text(0)

    def __repr__(self) -> str:
        return f"Model({self.name!r}, {self.n_parameters} parameters)"

    def __reduce__(self):
        return Model, (self.path,)

    def __del__(self):
        if getattr(self, "_handle", None) and lib is not None:
            lib.aimnet_model_free(self._handle)
            self._handle = None
