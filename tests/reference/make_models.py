# SPDX-License-Identifier: MIT
"""Writes the small random-weight models of tests/golden/models/ with the Python reference.

    python tests/reference/make_models.py [OUTPUT_DIRECTORY]

Needs torch 2.15 and aimnet 0.2.5 (see the versions checked below). Every file is a complete v2 artifact that the
reference validates, saves with torch.save and loads again; the weights come from one seed per model, so a second run
writes the same numbers. The models are a few kB each (nfeature 4, 4 Gaussians, hidden layers of 8 and 6), except the
one with an embedded DFTD3, whose tables alone take 1.8 MB.
"""

import copy
import sys
import zlib
from pathlib import Path

import aimnet
import torch
import yaml
from aimnet.config import build_module
from aimnet.models.artifact_validation import validate_v2_artifact
from aimnet.models.base import load_model
from aimnet.models.utils import convert_atomic_shifts_to_float64

SPECIES = [1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 53]
D3_PARAMS = {"s8": 0.3908, "a1": 0.566, "a2": 3.128, "s6": 1.0}
IMPORTS = ["aimnet.modules.core.SRRep", "aimnet.modules.LRCoulomb", "aimnet.modules.DFTD3"]


def module(name, **kwargs):
    return {"class": f"aimnet.modules.{name}", "kwargs": kwargs}


def energy_mlp(aim_size=5, **mlp):
    mlp = {"activation_fn": "torch.nn.GELU", "last_linear": True, "hidden": [6], **mlp}
    return module("Output", n_in=aim_size, n_out=1, key_in="aim", key_out="energy", mlp=mlp)


def shift(**kwargs):
    return module("AtomicShift", key_in="energy", key_out="energy", **kwargs)


def atomic_sum():
    return module("AtomicSum", key_in="energy", key_out="energy")


def sr_coulomb(rc=4.6, envelope="exp"):
    return module("SRCoulomb", rc=rc, key_in="charges", key_out="energy", envelope=envelope)


def head(**further):
    """The usual energy head, followed by further outputs in the order given."""
    return {"energy_mlp": energy_mlp(), "atomic_shift": shift(), "atomic_sum": atomic_sum(), **further}


def network(outputs, n_pass=3, **changes):
    kwargs = {
        "nfeature": 4,
        "d2features": True,
        "ncomb_v": 3,
        "hidden": [[8, 6]] * n_pass,
        "aim_size": 5,
        "aev": {"rc_s": 5.0, "nshifts_s": 4},
        "outputs": outputs,
    }
    kwargs.update(changes)
    return {"class": "aimnet.models.AIMNet2", "kwargs": kwargs}


def disp_outputs(**d3ts):
    mlp = {"activation_fn": "torch.nn.GELU", "last_linear": True, "hidden": [4]}
    return {
        "disp_mlp": module("Output", n_in=5, n_out=2, key_in="aim", key_out="disp_param", mlp=mlp),
        "disp_param": module("lr.DispParam"),
        "d3ts": module("D3TS", a1=0.45, a2=4.2, s8=0.9, **d3ts),
    }


SR = {"needs_coulomb": True, "coulomb_mode": "sr_embedded", "coulomb_sr_rc": 4.6, "coulomb_sr_envelope": "exp",
      "has_embedded_lr": True}
D3 = {"needs_dispersion": True, "d3_params": D3_PARAMS}
LR = {"coulomb_mode": "full_embedded", "has_embedded_lr": True}
D3TS = {"has_embedded_lr": True, "has_embedded_d3ts": True}


def models():
    """name -> (what it covers, model configuration, metadata that differs from `nothing attached`)."""
    sr = head(srcoulomb=sr_coulomb())
    srrep = "core.SRRep"
    return {
        "base": ("2-D features, 1 charge channel, 3 passes, SRCoulomb exp, external Coulomb and D3", network(sr),
                 SR | D3),
        "plain": ("no long-range part at all", network(head()), {}),
        "flat": ("d2features false", network(sr, d2features=False, aev={"rc_s": 5.0, "nshifts_s": 5}), SR),
        "nse": ("2 charge channels", network(sr, num_charge_channels=2), SR | D3 | {"family": "nse"}),
        "nse_flat": ("2 charge channels, d2features false, 2 passes",
                     network(sr, n_pass=2, num_charge_channels=2, d2features=False), SR),
        "pass2": ("2 passes, hidden layers of different number and width",
                  network(head(), hidden=[[9], [7, 6, 5]]), {"supports_charged_systems": False}),
        "pass4": ("4 passes", network(sr, n_pass=4), SR | {"family": "four", "supports_charged_systems": True}),
        "aev": ("cutoff 4.2 A, own eta, irregular shifts, ncomb_v 6",
                network(sr, ncomb_v=6, aev={"rc_s": 4.2, "nshifts_s": 5, "eta_s": 7.3, "rmin": 0.7,
                                            "shifts_s": [0.71, 1.1, 1.33, 2.2, 3.1]}),
                SR | {"cutoff": 4.2, "coulomb_sr_rc": 4.0}),
        "sr_cosine": ("SRCoulomb with the cosine envelope, rc 4.2 A", network(head(srcoulomb=sr_coulomb(4.2, "cosine"))),
                      SR | {"coulomb_sr_rc": 4.2, "coulomb_sr_envelope": "cosine"}),
        "srrep_none": ("SRRep without envelope into its own key e_rep", network(head(srrep=module(srrep))), {}),
        "srrep_exp": ("SRRep exp_cutoff, per atom, added to the atomic energies before their sum",
                      network({"energy_mlp": energy_mlp(), "atomic_shift": shift(),
                               "srrep": module(srrep, key_out="energy", cutoff_fn="exp_cutoff", rc=4.8,
                                               reduce_sum=False), "atomic_sum": atomic_sum()}), {}),
        "srrep_cosine": ("SRRep cosine_cutoff, per system, added to the energy",
                         network(head(srrep=module(srrep, key_out="energy", cutoff_fn="cosine_cutoff", rc=4.1))), {}),
        "multipoles": ("Dipole and Quadrupole about the origin",
                       network(head(dipole=module("Dipole"), quadrupole=module("Quadrupole"),
                                    srcoulomb=sr_coulomb())), SR),
        "multipoles_centred": ("Dipole and Quadrupole about the mass centre",
                               network(head(dipole=module("Dipole", center_coord=True),
                                            quadrupole=module("Quadrupole", center_coord=True, key_in="charges",
                                                              key_out="quadrupole"))), {}),
        "d3ts": ("DispParam and D3TS", network(head(**disp_outputs())), D3TS),
        "d3ts_nse": ("D3TS with s6 0.8, SRCoulomb, 2 charge channels",
                     network(head(srcoulomb=sr_coulomb(), **disp_outputs(s6=0.8)), num_charge_channels=2), SR | D3TS),
        "lr_simple": ("embedded LRCoulomb simple less the short range (exp)",
                      network(head(lrcoulomb=module("LRCoulomb", rc=4.6, key_in="charges", key_out="energy"))), LR),
        "lr_simple_full": ("embedded LRCoulomb simple, complete, in its own key e_h",
                           network(head(lrcoulomb=module("LRCoulomb", subtract_sr=False))), LR),
        "lr_dsf": ("embedded LRCoulomb DSF (alpha 0.25, 9 A) less the short range (cosine)",
                   network(head(lrcoulomb=module("LRCoulomb", rc=4.4, key_out="energy", method="dsf", dsf_alpha=0.25,
                                                 dsf_rc=9.0, envelope="cosine"))), LR),
        "lr_dsf_full": ("embedded LRCoulomb DSF, complete",
                        network(head(lrcoulomb=module("LRCoulomb", key_out="energy", method="dsf",
                                                      subtract_sr=False))), LR),
        "lr_ewald": ("embedded LRCoulomb Ewald (1e-8) less the short range (exp)",
                     network(head(lrcoulomb=module("LRCoulomb", rc=4.6, key_out="energy", method="ewald",
                                                   ewald_accuracy=1e-8))), LR),
        "lr_pme_full": ("embedded LRCoulomb PME (1e-8), complete",
                   network(head(lrcoulomb=module("LRCoulomb", key_out="energy", method="pme", ewald_accuracy=1e-8,
                                                 subtract_sr=False))), LR),
        "lr_dftd3": ("embedded LRCoulomb simple and DFTD3 (window 10 A, 0.3)",
                     network(head(lrcoulomb=module("LRCoulomb", rc=4.6, key_out="energy"),
                                  dftd3=module("DFTD3", s8=0.3908, a1=0.566, a2=3.128, cutoff=10.0,
                                               smoothing_fraction=0.3))), LR),
        "shift_reduce": ("AtomicShift with reduce_sum after the sum",
                         network({"energy_mlp": energy_mlp(), "atomic_sum": atomic_sum(),
                                  "atomic_shift": shift(reduce_sum=True)}), {}),
        "list": ("outputs as a list", network([energy_mlp(), shift(), atomic_sum(), sr_coulomb(),
                                               module("Dipole", key_out="mu")]), SR | D3),
        "mlp_options": ("further Output heads: no bias, GELU at the end, no hidden layer, width 3, summed",
                        network({"energy_mlp": energy_mlp(bias=False, hidden=[6, 0, 4], activation_kwargs={}),
                                 "extra": module("Output", n_in=5, n_out=3, key_in="aim", key_out="extra",
                                                 mlp={"last_linear": False, "hidden": []}),
                                 "extra_sum": module("AtomicSum", key_in="extra", key_out="extra_total"),
                                 "atomic_shift": shift(), "atomic_sum": atomic_sum(),
                                 "charge_sum": module("AtomicSum", key_in="charges", key_out="total_charge")}), {}),
    }


def randomise(model, seed):
    """Numbers that make every weight matter: biases that are not zero, feature rows that differ between Gaussians."""
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor, scale, mean=0.0):
        tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) * scale + mean)

    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name == "afv.weight":
                normal(tensor, 0.5)
                tensor[0] = 0.0
                for z in range(1, tensor.shape[0]):
                    if z not in SPECIES:
                        tensor[z] = float("nan")
            elif name.startswith("mlps.") or ".mlp." in name:
                normal(tensor, (1.0 / tensor.shape[-1]) ** 0.5 if tensor.ndim == 2 else 0.3)
            elif name.endswith(".agh"):
                normal(tensor, 0.5)
            elif name.endswith("shifts.weight"):
                normal(tensor, 40.0, -200.0)
                tensor[0] = 0.0
            elif name.endswith("disp_param0"):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 20.0 + 3.0)
                tensor[0] = torch.tensor([0.0, 1.0])


def build(config, metadata, seed):
    torch.manual_seed(seed)
    model = build_module(copy.deepcopy(config))
    convert_atomic_shifts_to_float64(model)
    randomise(model, seed)
    artifact = {
        "format_version": 2,
        "model_yaml": yaml.dump(config, Dumper=PlainDumper, default_flow_style=False, sort_keys=False),
        "cutoff": 5.0,
        "needs_coulomb": False,
        "needs_dispersion": False,
        "coulomb_mode": "none",
        "coulomb_sr_rc": None,
        "coulomb_sr_envelope": None,
        "d3_params": None,
        "has_embedded_lr": False,
        "has_embedded_d3ts": False,
        "implemented_species": list(SPECIES),
        **copy.deepcopy(metadata),
        "state_dict": model.state_dict(),
    }
    return artifact


class PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


def save(artifact, path):
    validate_v2_artifact(artifact, model_import_paths=IMPORTS)
    torch.save(artifact, path)
    load_model(str(path), model_import_paths=IMPORTS)


def converted(artifact, dtype):
    """The same model with its float32 weights stored as another type, exactly where the type is wider."""
    result = copy.deepcopy(artifact)
    for name, tensor in result["state_dict"].items():
        if tensor.dtype == torch.float32:
            result["state_dict"][name] = tensor.to(dtype)
    return result


def main():
    if not torch.__version__.startswith("2.15") or aimnet.__version__ != "0.2.5":
        sys.exit(f"torch 2.15 and aimnet 0.2.5 are wanted, found {torch.__version__} and {aimnet.__version__}")
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "golden" / "models")
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, (what, config, metadata) in models().items():
        artifact = build(config, metadata, zlib.crc32(name.encode()))
        save(artifact, folder / f"{name}.pt")
        rows.append((name, what))
        if name == "base":
            base = artifact
    for name, dtype, what in (("half", torch.float16, "`base` rounded to float16"),
                              ("bfloat16", torch.bfloat16, "`base` rounded to bfloat16"),
                              ("double", torch.float64, "`base` widened to float64 (every value a float32)")):
        save(converted(base, dtype), folder / f"{name}.pt")
        rows.append((name, what))
    for name, what in rows:
        print(f"| `{name}.pt` | {(folder / f'{name}.pt').stat().st_size} | {what} |")


if __name__ == "__main__":
    main()
