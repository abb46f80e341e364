# SPDX-License-Identifier: MIT
"""Models: loading and looking inside."""
from __future__ import annotations

import ctypes as C
import json
import os
from typing import Any

from ._lib import FetchOptions, ModelInfo, check, lib


class Model:
    """An AIMNet2 model, immutable, shared by any number of calculators and threads.

    Parameters
    ----------
    path : str, path or None
        A file or directory; a published name ("aimnet2", "aimnet2-nse:2") or repository ("owner/name", "owner/name@revision") that is in the
        cache; "default" or None for the built-in model.
    config : str or path, optional
        The description that belongs to weights without one.
    member : int
        Of a directory or repository with several.

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

    def __init__(self, path: str | os.PathLike | None = None, config: str | os.PathLike | None = None, member: int = 0):
        self._handle = C.c_void_p()
        self.path = None if path in (None, "default") else os.fspath(path)
        self._how = (None if config is None else os.fspath(config), member)
        options = lib.aimnet_load_options_default()
        options.config, options.member = None if config is None else os.fsencode(config), member
        check(lib.aimnet_model_load_with(None if self.path is None else os.fsencode(self.path), C.byref(options), None,
                                         C.byref(self._handle)))
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
        return Model, (self.path, *self._how)

    def __del__(self):
        if getattr(self, "_handle", None) and lib is not None:
            lib.aimnet_model_free(self._handle)
            self._handle = None


def members(model: Any, member: int = 0, revision: str | None = None) -> list[Model]:
    """The models that a calculator's argument stands for: one, or all of "NAME:all"."""
    if isinstance(model, Model):
        return [model]
    name = None if model is None else os.fspath(model)
    if revision:
        if name is None or "/" not in name:
            raise ValueError(f"revision={revision!r} belongs to a repository (owner/name), not to {model!r}")
        name = f"{name}@{revision}"
    if name is None or not name.endswith(":all"):
        return [Model(name, member=member)]
    count = C.c_int()
    check(lib.aimnet_model_members(os.fsencode(name), None, C.byref(count)))
    return [Model(f"{name[:-4]}:{k}") for k in range(count.value)]


def download(name: str, *, revision: str | None = None, token: str | None = None, allow_unverified: bool = False) -> str:
    """Brings a published model, "NAME:all" or a repository ("owner/name") into the cache, its digest verified; returns the (last) path.

    What is there already is checked, not downloaded again. `allow_unverified`: also models without a published digest; the one seen is pinned.
    Afterwards `Model(name)` and `AIMNet2Calculator(name)` find it, also offline.
    """
    names, count = [name], C.c_int()
    options = lib.aimnet_fetch_options_default()
    options.allow_unverified = int(allow_unverified)
    options.revision = None if revision is None else revision.encode()
    options.token = None if token is None else token.encode()
    if name.endswith(":all"):
        check(lib.aimnet_model_members(name.encode(), C.byref(options), C.byref(count)))
        names = [f"{name[:-4]}:{k}" for k in range(count.value)]
    path = C.create_string_buffer(4096)
    for one in names:
        check(lib.aimnet_model_fetch(one.encode(), C.byref(options), path, len(path)))
    return os.fsdecode(path.value)
