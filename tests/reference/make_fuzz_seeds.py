# SPDX-License-Identifier: MIT
"""Writes the seeds of tests/fuzz/fuzz_model.c with the Python reference (torch 2.15, aimnet 0.2.5).

    python tests/reference/make_fuzz_seeds.py [OUTPUT_DIRECTORY]

One minimal network (one feature, one Gaussian, no hidden layers) with every output module that needs no large table, all
weights 1: as a file, as its pickle (door 'k'; the storages' sizes are printed, fuzz_model.c has them) and as its YAML
(door 'y'). The pickles of smaller models are prefixes of the same list of storages.
"""

import copy
import io
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


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "fuzz" / "seeds" / "fuzz_model")
    folder.mkdir(parents=True, exist_ok=True)
    cases = {"energy": artifact(3), "coulomb": artifact(4, **SR, family="x", supports_charged_systems=False),
             "multipoles": artifact(7, **SR), "all": artifact(11, has_embedded_lr=True, has_embedded_d3ts=True)}
    for name, data in cases.items():
        stream = io.BytesIO()
        torch.save(data, stream)
        archive = zipfile.ZipFile(stream)
        (folder / f"pickle_{name}").write_bytes(b"k" + archive.read("archive/data.pkl"))
        if name == "energy":
            (folder / "file_energy").write_bytes(stream.getvalue())
        if name == "all":
            (folder / "yaml_all").write_bytes(b"y" + data["model_yaml"].encode())
            sizes = [archive.getinfo(f"archive/data/{i}").file_size for i in range(len(data["state_dict"]))]
            print(", ".join(map(str, sizes)))
    (folder / "yaml_forms").write_bytes(b"y{a: &x [1, 2.5e-3, ~, yes], 'b': *x, \"c\\u00e9\": |\n  text\n}\n")


if __name__ == "__main__":
    main()
