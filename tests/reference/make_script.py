# SPDX-License-Identifier: MIT
"""Writes TorchScript models as aimnet 0.0.1 saved them, and what that release computes with them in float64.

    python tests/reference/make_script.py FOLDER

FOLDER holds aimnet 0.0.1 unpacked (pip download --no-deps aimnet==0.0.1); torch 2.15. Output: tests/golden/models/script_*.jpt, random
weights from one seed per model, and tests/golden/cases/script_*.txt in the format of make_golden.py. The truth is the same Python
modules, not scripted, in float64 with the float32 weights widened; `noise` is the distance of the same in float32. The D3 tables
are cut to elements up to 53, so that the file stays small.
"""
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests/golden/models"
CASES = ROOT / "tests/golden/cases"
MOLECULES = ROOT / "tests/golden/molecules"
SPECIES = [1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 53]
STRUCTURES = ["hydrogen", "water", "hydroxide", "ammonium", "acetate", "carbonate", "bromoform", "trimethyl_phosphate",
              "dimethyl_selenide", "phenylboronic_acid", "caffeine", "lone_pair_far", "taxol"]
ELEMENTS = 54


def module(name, **kwargs):
    return {"class": f"aimnet.modules.{name}", "kwargs": kwargs}


def config(outputs, **changes):
    mlp = {"activation_fn": "torch.nn.GELU", "last_linear": True, "hidden": [6]}
    head = {
        "energy_mlp": module("Output", n_in=5, n_out=1, key_in="aim", key_out="energy", mlp=mlp),
        "atomic_shift": module("AtomicShift", key_in="energy", key_out="energy"),
        "atomic_sum": module("AtomicSum", key_in="energy", key_out="energy"),
    }
    kwargs = {"nfeature": 4, "d2features": True, "ncomb_v": 3, "hidden": [[8, 6], [8, 6], [8, 6]], "aim_size": 5,
              "aev": {"rc_s": 5.0, "nshifts_s": 4}, "outputs": {**head, **outputs}, **changes}
    return {"class": "aimnet.models.AIMNet2", "kwargs": kwargs}


COULOMB = module("LRCoulomb", rc=4.6, key_in="charges", key_out="energy")
D3 = module("DFTD3", s8=0.3908, a1=0.566, a2=3.128)
DISP = module("Output", n_in=5, n_out=2, key_in="aim", key_out="disp_param",
              mlp={"activation_fn": "torch.nn.GELU", "last_linear": True, "hidden": []})


def ts(torch):
    """DispParam and D3TS, with reference values like those of the reference's own test models."""
    c6 = torch.linspace(5.0, 60.0, 87)
    alpha = torch.linspace(4.0, 30.0, 87)
    return {"disp_mlp": DISP, "disp_param": module("lr.DispParam", ref_c6=c6, ref_alpha=alpha),
            "d3ts": module("D3TS", a1=0.49, a2=3.5, s8=0.78)}


def configs(torch):
    return {
        "script_coulomb_d3": (config({"lrcoulomb": COULOMB, "dftd3": D3}), True),
        "script_nse": (config({"lrcoulomb": COULOMB, "dipole": module("Dipole"), "quadrupole": module("Quadrupole", center_coord=False)},
                              num_charge_channels=2, d2features=False, hidden=[[8, 6], [8]]), False),
        "script_d3ts": (config({"srrep": module("core.SRRep", key_out="energy", cutoff_fn="exp_cutoff", rc=5.2), **ts(torch)}), False),
    }


def build(torch, name):
    from aimnet.config import build_module
    from aimnet.train import pt2jpt
    cfg, buffer = configs(torch)[name]
    torch.manual_seed(sum(map(ord, name)))
    model = pt2jpt.add_cutoff(pt2jpt.set_eval(build_module(cfg)))
    for key, p in model.named_parameters():
        if key.endswith("bias"):
            p.normal_(std=0.1)
        elif key.startswith("mlps"):
            p.mul_(0.7)
    model.outputs.atomic_shift.shifts.weight[1:].normal_(std=30.0)
    if hasattr(model.outputs, "dftd3"):
        d3 = model.outputs.dftd3
        d3.c6ab = d3.c6ab[:ELEMENTS, :ELEMENTS].clone()
        for key in ("r4r2", "rcov", "cnmax"):
            setattr(d3, key, getattr(d3, key)[:ELEMENTS].clone())
    pt2jpt.mask_not_implemented_species(model, SPECIES)
    if buffer:
        model.register_buffer("impemented_species", torch.tensor(SPECIES))
    return model


def read_molecule(name):
    from ase.data import atomic_numbers
    lines = (MOLECULES / f"{name}.xyz").read_text().splitlines()
    info = dict(w.split("=", 1) for w in lines[1].split() if "=" in w)
    rows = [line.split() for line in lines[2:2 + int(lines[0])]]
    return [atomic_numbers[r[0]] for r in rows], [[float(w) for w in r[1:4]] for r in rows], int(info["charge"]), int(info["mult"])


def evaluate(torch, model, name, dtype):
    """By neighbour matrices of all pairs and a padding atom: of the release's two forms the one without self terms in D3TS."""
    numbers, coord, charge, mult = read_molecule(name)
    n = len(numbers)
    x = torch.tensor([*coord, [0.0, 0.0, 0.0]], dtype=dtype, requires_grad=True)
    pairs = torch.tensor([[j for j in range(n) if j != i] for i in range(n)] + [[n] * (n - 1)])
    data = {"coord": x.clone(), "numbers": torch.tensor([*numbers, 0]), "charge": torch.tensor([charge], dtype=dtype),
            "mult": torch.tensor([mult], dtype=dtype), "mol_idx": torch.zeros(n + 1, dtype=torch.int64), "nbmat": pairs, "nbmat_lr": pairs}
    out = model(data)
    forces = -torch.autograd.grad(out["energy"].sum(), x)[0][:n]
    spin = [out["spin_charges"][:n].detach().double()] if "spin_charges" in out else []
    return (out["energy"].detach().double()[0], forces.double(), out["charges"][:n].detach().double(), spin, n, charge, mult,
            x[:n].detach())


def words(values):
    return " ".join("%.17g" % v for v in values)


def write_case(torch, name, truth, noisy):
    lines = ["# Reference data in float64, written by tests/reference/make_script.py in the format of make_golden.py.",
             f"model tests/golden/models/{name}.jpt"]
    for structure in STRUCTURES:
        e, f, q, spin, n, charge, mult, x = evaluate(torch, truth, structure, torch.float64)
        other = noisy[structure]
        lines.append(f"structure {structure} {n} {charge} {mult}")
        lines.append("noise " + " ".join("%.2e" % (a - b).abs().max() for a, b in zip((e, f, q), other)))
        lines.append("energy " + words([e, e, 0, 0]))
        lines.append("dipole " + words((q[:, None] * x).sum(0)))
        second = torch.cat([x**2, x * x.roll(-1, -1)], -1)
        m = (q[:, None] * second).sum(0)
        m[:3] -= m[:3].mean()
        lines.append("quadrupole " + words(m))
        table = torch.cat([q[:, None], f] + [s[:, None] for s in spin], 1)
        lines.append(f"atoms {table.shape[1]}")
        lines.extend(words(row) for row in table.tolist())
        lines.append("end")
    (CASES / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


def save(folder, tmp):
    """In float32: the archives, and what the modules give."""
    import torch
    for name in configs(torch):
        model = build(torch, name)
        torch.jit.script(model).save(MODELS / f"{name}.jpt")
        results = {s: evaluate(torch, model, s, torch.float32)[:3] for s in STRUCTURES}
        torch.save(results, pathlib.Path(tmp) / f"{name}.pt")


def check(folder, tmp):
    """In float64: the weights of the archives in modules that are not scripted."""
    import torch
    torch.set_default_dtype(torch.float64)
    for name in configs(torch):
        model = build(torch, name)
        weights = torch.jit.load(MODELS / f"{name}.jpt").state_dict()
        model.load_state_dict(weights)
        write_case(torch, name, model.double(), torch.load(pathlib.Path(tmp) / f"{name}.pt"))


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    if len(sys.argv) == 4:
        {"save": save, "check": check}[sys.argv[2]](sys.argv[1], sys.argv[3])
    else:
        with tempfile.TemporaryDirectory() as folder:
            for step in ("save", "check"):
                subprocess.run([sys.executable, __file__, sys.argv[1], step, folder], check=True)
