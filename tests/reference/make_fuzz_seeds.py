# SPDX-License-Identifier: MIT
"""Writes the seeds of the fuzz targets that read model files with the Python reference (torch 2.15, aimnet 0.2.5).

    python tests/reference/make_fuzz_seeds.py [SEEDS_DIRECTORY]

One minimal network (one feature, one Gaussian, no hidden layers) with every output module that needs no large table, all
weights 1: as a file, as its pickle (door 'k'; the storages' sizes are printed, fuzz_model.c has them) and as its YAML
(door 'y') for fuzz_model. The pickles of smaller models are prefixes of the same list of storages. The other targets
(zip, pickle, yaml, json, safetensors) get the same bytes without a door, and small cases of their formats.
"""

import copy
import io
import json
import struct
import sys
import zipfile
from pathlib import Path

import torch
import yaml
from aimnet.config import build_module
from aimnet.models.artifact_validation import validate_v2_artifact
from aimnet.models.utils import convert_atomic_shifts_to_float64

IMPORTS = ["aimnet.modules.core.SRRep", "aimnet.modules.LRCoulomb"]
SR = {"needs_coulomb": True, "coulomb_mode": "sr_embedded", "coulomb_sr_rc": 1.0, "coulomb_sr_envelope": "exp",
      "has_embedded_lr": True}


def module(name, **kwargs):
    return {"class": f"aimnet.modules.{name}", "kwargs": kwargs}


def outputs():
    energy = {"key_in": "energy", "key_out": "energy"}
    return {
        "energy_mlp": module("Output", n_in=1, n_out=1, key_in="aim", key_out="energy", mlp={"hidden": []}),
        "atomic_shift": module("AtomicShift", **energy),
        "atomic_sum": module("AtomicSum", **energy),
        "srcoulomb": module("SRCoulomb", rc=1.0),
        "dipole": module("Dipole"),
        "quadrupole": module("Quadrupole", center_coord=True),
        "srrep": module("core.SRRep", cutoff_fn="exp_cutoff"),
        "disp_mlp": module("Output", n_in=1, n_out=2, key_in="aim", key_out="disp_param", mlp={"hidden": []}),
        "disp_param": module("lr.DispParam"),
        "d3ts": module("D3TS", a1=0.45, a2=4.2, s8=0.9),
        "lrcoulomb": module("LRCoulomb", method="dsf"),
    }


def artifact(n_outputs, **metadata):
    kwargs = {"nfeature": 1, "d2features": True, "ncomb_v": 1, "hidden": [[], []], "aim_size": 1,
              "aev": {"nshifts_s": 1, "shifts_s": [1.0]}, "outputs": dict(list(outputs().items())[:n_outputs])}
    config = {"class": "aimnet.models.AIMNet2", "kwargs": kwargs}
    torch.manual_seed(1)
    model = build_module(copy.deepcopy(config))
    convert_atomic_shifts_to_float64(model)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(1.0)
    result = {"format_version": 2, "model_yaml": yaml.safe_dump(config, sort_keys=False), "cutoff": 5.0,
              "needs_coulomb": False, "needs_dispersion": False, "coulomb_mode": "none", "d3_params": None,
              "has_embedded_lr": False, "has_embedded_d3ts": False, "implemented_species": [1, 6], **metadata,
              "state_dict": model.state_dict()}
    validate_v2_artifact(result, model_import_paths=IMPORTS)
    return result


JSON = {"forms": b'{"a":[1,-2.5e-3,true,false,null,"\\u00e9\\ud83d\\ude00\\n"],"b":{"c":{}},"d":[[],[{}]],"e":9223372036854775807}',
        "numbers": b'{"x":[0,-0,1e308,1E-320,0.1,123456789012345678],"y":""}'}
YAML = {"forms": b"{a: &x [1, 2.5e-3, ~, yes], 'b': *x, \"c\\u00e9\": |\n  text\n}\n",
        "block": b"a:\n- 1\n- b: .inf\n  c: >-\n    folded\n    text\nd: 'it''s'\n? k\n: v\n"}


def zip_seeds():
    yield "torch", saved(torch.ones(2))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:  # stored, sizes in the local headers
        for name, data in (("m/data.pkl", b"\x80\x02}."), ("m/data/0", b"12345678"), ("m/version", b"3\n")):
            archive.writestr(zipfile.ZipInfo(name), data)
    yield "plain", stream.getvalue()


def saved(value):
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def safetensors(header, data):
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def safetensors_seeds():
    one = {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}
    yield "two", safetensors({"a": one, "b": {"dtype": "F64", "shape": [], "data_offsets": [8, 16]}}, bytes(range(16)))
    yield "types", safetensors({"__metadata__": {"format": "pt"}, **{
        t: {"dtype": t, "shape": [1], "data_offsets": [i, i + 1]} for i, t in enumerate(["I8", "U8", "BOOL"])},
        "h": {"dtype": "BF16", "shape": [1], "data_offsets": [3, 5]}}, bytes(5))


def ipi_seeds():
    """What i-PI and ASE send, behind the two bytes that fuzz_ipi.c explains."""
    cell = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0) * 2

    def word(text):
        return text.ljust(12).encode()

    def init(text):
        return word("INIT") + struct.pack("<ii", 0, len(text)) + text

    def coordinates(n):
        return struct.pack(f"<{n}d", *(0.1 * i for i in range(n)))

    one = word("POSDATA") + struct.pack("<18di", *cell, 2) + coordinates(6)
    three = word("POSDATA") + struct.pack("<i54d", 2, *cell * 3) + coordinates(18)
    shared = word("POSDATA") + struct.pack("<i", 2)
    names = b"".join(struct.pack("<i", 5) + b"/seg%d" % k for k in range(6))
    ask, get, leave = word("STATUS"), word("GETFORCE"), word("EXIT")
    yield "one", bytes([9, 255]) + ask + init(b"x") + ask + one + ask + get + ask + one + get + leave
    yield "ase", bytes([12, 0]) + init(b" ") + one + ask + get
    yield "batch", bytes([9, 255]) + init(b"batch_size:3") + ask + three + ask + get + init(b"batch_size:1") + one + get
    yield "shared", bytes([11, 255]) + init(b"") + shared + names + ask + get + shared + get + leave


def main():
    seeds = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "fuzz" / "seeds")

    def write(target, name, data):
        (seeds / target).mkdir(parents=True, exist_ok=True)
        (seeds / target / name).write_bytes(data)

    cases = {"energy": artifact(3), "coulomb": artifact(4, **SR, family="x", supports_charged_systems=False),
             "multipoles": artifact(7, **SR), "all": artifact(11, has_embedded_lr=True, has_embedded_d3ts=True)}
    for name, data in cases.items():
        archive = zipfile.ZipFile(io.BytesIO(saved(data)))
        write("fuzz_model", f"pickle_{name}", b"k" + archive.read("archive/data.pkl"))
        if name == "energy":
            write("fuzz_model", "file_energy", saved(data))
            write("fuzz_pickle", "energy", archive.read("archive/data.pkl"))
        if name == "all":
            write("fuzz_model", "yaml_all", b"y" + data["model_yaml"].encode())
            write("fuzz_yaml", "all", data["model_yaml"].encode())
            sizes = [archive.getinfo(f"archive/data/{i}").file_size for i in range(len(data["state_dict"]))]
            print(", ".join(map(str, sizes)))
    write("fuzz_model", "yaml_forms", b"y" + YAML["forms"])
    write("fuzz_pickle", "tensor", zipfile.ZipFile(io.BytesIO(saved(torch.ones(2)))).read("archive/data.pkl"))
    plain = {"a": [1, -2, 300, 70000, 2**40], "b": (None, True, False, 2.5), "c": {"\u00e9": "x"}}
    write("fuzz_pickle", "plain", zipfile.ZipFile(io.BytesIO(saved(plain))).read("archive/data.pkl"))
    config = {"cutoff": 5.0, "implemented_species": [1, 6], "d3_params": None, "model_yaml": "class: x\n"}
    for target, items in {"json": {**JSON, "config": json.dumps(config).encode()}.items(), "yaml": YAML.items(),
                          "zip": zip_seeds(), "safetensors": safetensors_seeds(), "ipi": ipi_seeds()}.items():
        for name, data in items:
            write(f"fuzz_{target}", name, data)


if __name__ == "__main__":
    main()
