# SPDX-License-Identifier: MIT
"""Writes tests/golden/derivatives.txt: Hessians and gradients of training losses of the Python reference in float64.

Hessians are the reference's own (double backward). Losses are its MTLoss with energy_loss_fn and peratom_loss_fn, weights 1, 0.2, 0.05, of
energy (with everything the calculator adds outside the model), forces and charges; gradients are those of autograd for every parameter
that requires one. Targets are the float64 predictions plus seeded noise, written out.

Usage: python make_derivatives.py      (see requirements.txt)

File format: lines of words.
  hessian MODEL COULOMB NAME N         then 3N lines of 3N numbers, eV/A^2
  loss MODEL B LOSS ENERGY FORCES CHARGES    the loss and its weighted parts; then B times
  structure NAME N E                   the target of the energy; N lines: charge fx fy fz, the other targets; then
  gradient NAME COUNT                  for every parameter: COUNT numbers, 8 a line
  end
"""
import pathlib

import truth

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOLECULES = ROOT / "tests/golden/molecules"
HESSIANS = [("data/default.pt", "simple", "water"), ("data/default.pt", "simple", "acetate"), ("data/default.pt", "dsf", "ammonium"),
            ("tests/golden/models/base.pt", "simple", "ammonium"), ("tests/golden/models/nse.pt", "simple", "hydronium"),
            ("tests/golden/models/d3ts_nse.pt", "simple", "ammonium"), ("tests/golden/models/lr_dsf.pt", "simple", "ammonium"),
            ("tests/golden/models/flat.pt", "simple", "ammonium"),
            ("tests/golden/models/d3ts.pt", "simple", "acetate"), ("tests/golden/models/sr_cosine.pt", "simple", "acetate"),
            ("tests/golden/models/srrep_exp.pt", "simple", "ammonium"), ("tests/golden/models/srrep_cosine.pt", "simple", "ammonium"),
            ("tests/golden/models/lr_simple.pt", "simple", "ammonium"), ("tests/golden/models/lr_dsf_full.pt", "simple", "water"),
            ("tests/golden/models/aev.pt", "dsf", "ammonium"), ("tests/golden/models/pass4.pt", "simple", "water")]
LOSSES = [("tests/golden/models/base.pt", ["water", "ammonium", "acetate"]), ("tests/golden/models/nse.pt", ["water", "hydronium", "acetate"]),
          ("tests/golden/models/flat.pt", ["water", "ammonium"]), ("tests/golden/models/d3ts.pt", ["water", "acetate"])]
IMPORT = ["aimnet.modules.core.SRRep", "aimnet.modules.LRCoulomb"]  # outside of the classes that the reference loads unasked
WEIGHTS = {"energy": 1.0, "forces": 0.2, "charges": 0.05}


def read(name):
    from ase.data import atomic_numbers
    np = truth.np
    lines = (MOLECULES / f"{name}.xyz").read_text().splitlines()
    n = int(lines[0])
    words = dict(w.split("=", 1) for w in lines[1].split() if "=" in w)
    rows = [line.split() for line in lines[2:2 + n]]
    return (np.array([atomic_numbers[r[0]] for r in rows]), np.array([[float(x) for x in r[1:4]] for r in rows]),
            float(words.get("charge", 0)), float(words.get("mult", words.get("multiplicity", 1))))


def text(values):
    return " ".join(f"{v:.17g}" for v in values)


def hessian(out, model, coulomb, name):
    ref = truth.Reference(ROOT / model, {"coulomb": coulomb} if coulomb == "dsf" else {}, IMPORT)
    numbers, coord, charge, mult = read(name)
    data = {"coord": truth.torch.tensor(coord), "numbers": truth.torch.tensor(numbers.astype("int32")),
            "charge": truth.torch.tensor([charge]), "mult": truth.torch.tensor([mult])}
    h = ref.calc.eval(data, hessian=True)["hessian"].detach().numpy().reshape(3 * len(numbers), 3 * len(numbers))
    print("hessian", model, coulomb, name, len(numbers), file=out)
    for row in h:
        print(text(row), file=out)


def predict(calc, molecules):
    """Energies, forces and charges with a graph to the parameters."""
    torch, np = truth.torch, truth.np
    sizes = [len(m[0]) for m in molecules]
    data = {"coord": torch.tensor(np.concatenate([m[1] for m in molecules])),
            "numbers": torch.tensor(np.concatenate([m[0] for m in molecules]).astype("int32")),
            "charge": torch.tensor([m[2] for m in molecules]), "mult": torch.tensor([m[3] for m in molecules]),
            "mol_idx": torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))}
    calc._pbc_coulomb_restore = None
    data = calc.set_grad_tensors(calc.prepare_input(data), forces=True)
    coord = data["coord"]
    data = calc.model(data)
    data, _ = calc._run_external_modules(data, hessian=True)
    n = sum(sizes)
    forces = -torch.autograd.grad(data["energy"].sum(), coord, create_graph=True)[0]
    return {"energy": data["energy"], "forces": forces[:n], "charges": data["charges"][:n], "numbers": data["numbers"][:n],
            "_natom": torch.tensor(sizes)}


def loss(out, model, names):
    from aimnet.train.loss import MTLoss
    torch = truth.torch
    ref = truth.Reference(ROOT / model, None, IMPORT)
    ref.calc._train = True
    for key, p in ref.calc.model.named_parameters():
        p.requires_grad_(not key.startswith("aev.") and not key.endswith("params.weight"))
    molecules = [read(n) for n in names]
    y = predict(ref.calc, molecules)
    gen = torch.Generator().manual_seed(7)
    target = {k: (y[k] + s * torch.randn(y[k].shape, generator=gen)).detach() for k, s in
              (("energy", 0.5), ("forces", 0.3), ("charges", 0.1))}
    fn = {"energy": ("energy_loss_fn", {}), "forces": ("peratom_loss_fn", {"key_pred": "forces", "key_true": "forces"}),
          "charges": ("peratom_loss_fn", {"key_pred": "charges", "key_true": "charges"})}
    mt = MTLoss({k: {"fn": "aimnet.train.loss." + fn[k][0], "weight": w, "kwargs": fn[k][1]} for k, w in WEIGHTS.items()})
    parts = mt(y, target)
    parts["loss"].backward()
    print("loss", model, len(names), text(float(parts[k].detach()) for k in ("loss", "energy", "forces", "charges")), file=out)
    start = 0
    for name, m, e in zip(names, molecules, target["energy"]):
        print("structure", name, len(m[0]), text([float(e)]), file=out)
        for i in range(start, start + len(m[0])):
            print(text([float(target["charges"][i]), *target["forces"][i].tolist()]), file=out)
        start += len(m[0])
    for key, p in ref.calc.model.named_parameters():
        if p.requires_grad:
            g = torch.zeros(p.numel()) if p.grad is None else p.grad.flatten()
            print("gradient", key, p.numel(), file=out)
            for i in range(0, p.numel(), 8):
                print(text(g[i:i + 8].tolist()), file=out)
    print("end", file=out)


def main():
    truth.setup("float64")
    with open(ROOT / "tests/golden/derivatives.txt", "w", encoding="utf-8") as out:
        for case in HESSIANS:
            hessian(out, *case)
        for case in LOSSES:
            loss(out, *case)


if __name__ == "__main__":
    main()
