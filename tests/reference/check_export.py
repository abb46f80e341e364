# SPDX-License-Identifier: MIT
"""Compares `aimnet export` and `aimnet convert` with the Python package's own, tensor by tensor and field by field.

    python tests/reference/check_export.py AIMNET [FOLDER]

AIMNET is the built command. Models of several kinds are built with random weights, their state_dict, YAML and atomic energies
saved as training leaves them, and exported by both. TorchScript files of tests/golden/models are converted by both. FOLDER
receives the inputs and the package's results of the export cases (they are the data of tests/unit/test_export.c). Needs torch
and aimnet 0.2.5.
"""
import contextlib
import io
import os
import pathlib
import subprocess
import sys
import tempfile

import torch
import yaml
from aimnet.config import build_module
from aimnet.models.base import load_model
from aimnet.models.utils import load_v1_model
from aimnet.train.export_model import export_model

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAE = {1: -13.587, 6: -1029.5, 7: -1485.3, 8: -2042.6}


def module(name, **kwargs):
    return {"class": f"aimnet.modules.{name}", "kwargs": kwargs}


def config(further, **changes):
    mlp = {"activation_fn": "torch.nn.GELU", "last_linear": True, "hidden": [6]}
    outputs = {"energy_mlp": module("Output", n_in=5, n_out=1, key_in="aim", key_out="energy", mlp=mlp),
               "atomic_shift": module("AtomicShift", key_in="energy", key_out="energy"),
               "atomic_sum": module("AtomicSum", key_in="energy", key_out="energy"), **further}
    return {"class": "aimnet.models.AIMNet2", "kwargs": {
        "nfeature": 4, "d2features": True, "ncomb_v": 3, "hidden": [[8, 6], [8, 6], [8, 6]], "aim_size": 5,
        "aev": {"rc_s": 5.0, "nshifts_s": 4}, "outputs": outputs, **changes}}


COULOMB = module("LRCoulomb", rc=4.6, key_in="charges", key_out="energy")
D3 = module("DFTD3", s8=0.3908, a1=0.5660, a2=3.1280)
DISP = module("Output", n_in=5, n_out=2, key_in="aim", key_out="disp_param",
              mlp={"activation_fn": "torch.nn.GELU", "last_linear": True, "hidden": []})


def cases():
    return {
        "plain": (config({}), []),
        "coulomb": (config({"lrcoulomb": COULOMB}), []),
        "cosine": (config({"lrcoulomb": module("LRCoulomb", rc=4.25, key_in="charges", key_out="energy", envelope="cosine")}), []),
        "both": (config({"lrcoulomb": COULOMB, "dftd3": D3}), []),
        "no_dispersion": (config({"lrcoulomb": COULOMB, "dftd3": D3}), ["--no-dispersion"]),
        "nse": (config({"lrcoulomb": COULOMB, "d3bj": D3}, num_charge_channels=2, d2features=False), ["--needs-dispersion"]),
        "d3ts": (config({"lrcoulomb": COULOMB, "disp_mlp": DISP, "disp_param": module("lr.DispParam", ptfile="disp.pt"),
                         "d3ts": module("D3TS", a1=0.49, a2=3.5, s8=0.78)}), []),
    }


def bits(t):
    return t.contiguous().reshape(-1).view(torch.uint8)


def same(name, ours, theirs):
    ours, theirs = (torch.load(p, map_location="cpu", weights_only=True) for p in (ours, theirs))
    a, b = ours.pop("state_dict"), theirs.pop("state_dict")
    for key in sorted(a.keys() | b.keys()):
        assert key in a and key in b, (name, key)
        assert a[key].dtype == b[key].dtype and a[key].shape == b[key].shape, (name, key, a[key].dtype, b[key].dtype)
        x, y = a[key], b[key]
        if x.isnan().any():
            assert torch.equal(x.isnan(), y.isnan()), (name, key)
            x, y = x.nan_to_num(), y.nan_to_num()
        assert torch.equal(bits(x), bits(y)), (name, key, (x - y).abs().max())
    assert yaml.safe_load(ours["model_yaml"]) == yaml.safe_load(theirs["model_yaml"]), name
    text = ours["model_yaml"] == theirs["model_yaml"]
    for key in ("model_yaml",):
        ours.pop(key), theirs.pop(key)
    assert repr(ours) == repr(theirs), (name, ours, theirs)
    return text


def check_export(command, folder):
    torch.save(torch.linspace(1.0, 40.0, 87 * 2).reshape(87, 2), folder / "disp.pt")
    (folder / "atoms.sae").write_text("".join(f"{z}: {e}\n" for z, e in SAE.items()))
    for name, (cfg, options) in cases().items():
        torch.manual_seed(len(name))
        model = build_module(yaml.safe_load(yaml.dump(cfg, sort_keys=False)))
        skipped = ("disp_param0", ".dftd3.", ".d3bj.")  # the last two are 1.8 MB of tables that no export keeps
        weights = {k: v for k, v in model.state_dict().items() if not any(s in k for s in skipped)}
        torch.save(weights, folder / f"{name}.weights.pt")
        (folder / f"{name}.yaml").write_text(yaml.dump(cfg, sort_keys=False))
        args = [str(folder / f"{name}.weights.pt"), "--model", str(folder / f"{name}.yaml"), "--sae", str(folder / "atoms.sae")]
        with contextlib.redirect_stdout(io.StringIO()):
            export_model.main([*args, *options, str(folder / f"{name}.theirs.pt")], standalone_mode=False)
        subprocess.run([command, "export", *args, *options, str(folder / f"{name}.ours.pt")], check=True)
        text = same(name, folder / f"{name}.ours.pt", folder / f"{name}.theirs.pt")
        load_model(str(folder / f"{name}.ours.pt"))
        print(f"export {name}: equal; model_yaml {'in every character' if text else 'in content'}")


def check_convert(command, folder):
    for path in sorted((ROOT / "tests/golden/models").glob("script_*.jpt")):
        if "d3ts" in path.stem:
            continue  # its SRRep is not among the classes that the package imports
        ours, recipe = folder / "ours.pt", folder / "recipe.yaml"
        text = subprocess.run([command, "inspect", "--yaml", path], check=True, capture_output=True, text=True).stdout
        recipe.write_text(text)
        with contextlib.redirect_stdout(io.StringIO()):
            load_v1_model(str(path), str(recipe), str(folder / "theirs.pt"))
        for yaml_config in ([], [str(recipe)]):
            subprocess.run([command, "convert", "-q", str(path), *yaml_config, str(ours)], check=True)
            same(path.stem, ours, folder / "theirs.pt")
        print(f"convert {path.stem}: equal, with and without its YAML")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as tmp:
        folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else tmp)
        folder.mkdir(parents=True, exist_ok=True)
        command = str(pathlib.Path(sys.argv[1]).resolve())
        os.chdir(folder)
        folder = pathlib.Path()
        check_export(command, folder)
        check_convert(command, folder)
