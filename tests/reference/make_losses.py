# SPDX-License-Identifier: MIT
"""Writes tests/golden/losses.txt: training losses of dipoles, spin charges and stress of the Python reference in float64, with their
gradients by every parameter that it trains.

The loss is its MTLoss with energy_loss_fn for energies, peratom_loss_fn for spin charges and mse_loss_fn for dipoles (the model's Dipole
output, otherwise sum q r) and stress ((1/V) dE/dstrain, differentiated twice). Structures are evaluated one by one. Targets are the float64
predictions plus seeded noise, written out.

Usage: python make_losses.py      (see requirements.txt)

File format: lines of words; for every case
  loss MODEL COULOMB PARAMETER B WEIGHTS LOSS PARTS    parameter: DSF cutoff or Ewald accuracy, 0 for simple; weights and weighted parts
                                                       of energy, spin charges, dipole, stress; then B times
  structure NAME N E DIPOLE STRESS                     the targets: 1 + 3 + 9 numbers (zeros where absent), N spin charges on a line; then
  gradient NAME COUNT                                  for every parameter: COUNT numbers, 8 a line
  end
"""
import make_crystals
import make_derivatives
import truth

KEYS = ("energy", "spin_charges", "dipole", "stress")
CASES = [("multipoles", "simple", 0, ["water", "acetate"], (1.0, 0, 0.7, 0)), ("nse", "simple", 0, ["water", "hydronium"], (0.1, 0.3, 0.7, 0)),
         ("base", "dsf", 8.0, ["ammonium_chloride", "formamide"], (0.01, 0, 0, 100.0)),
         ("base", "ewald", 1e-10, ["ammonium_ion", "ammonium_chloride"], (0.01, 0, 0, 100.0))]
NOISE = {"energy": 0.5, "spin_charges": 0.1, "dipole": 0.3, "stress": 0.01}


def structure(name, crystals):
    numbers, x, cell, pbc, charge = crystals[name] if name in crystals else (*make_derivatives.read(name)[:2], None, None, None)
    charge, mult = (charge, 1.0) if name in crystals else make_derivatives.read(name)[2:]
    return numbers, x, cell, float(charge), float(mult)


def predict(calc, item):
    torch, np = truth.torch, truth.np
    numbers, x, cell, charge, mult = item
    n = len(numbers)
    data = {"coord": torch.tensor(x), "numbers": torch.tensor(np.asarray(numbers, dtype="int32")), "charge": torch.tensor([charge]),
            "mult": torch.tensor([mult])}
    if cell is not None:
        data["cell"] = torch.tensor(np.ascontiguousarray(cell))
        data["pbc"] = torch.tensor([True, True, True])
    calc._pbc_coulomb_restore = None
    data = calc.set_grad_tensors(calc.prepare_input(data), forces=True, stress=cell is not None)
    strained = calc._saved_for_grad.get("scaling")
    data = calc.model(data)
    data, _ = calc._run_external_modules(data, hessian=True)
    out = {"energy": data["energy"].reshape(1), "numbers": data["numbers"].reshape(-1)[:n], "_natom": torch.tensor([n])}
    q = data["charges"].reshape(-1)[:n]
    out["dipole"] = (data["dipole"] if "dipole" in data else (q[:, None] * torch.tensor(x)).sum(0)).reshape(1, 3)
    out["spin_charges"] = data["spin_charges"].reshape(-1)[:n] if "spin_charges" in data else torch.zeros(n)
    out["stress"] = torch.zeros(1, 3, 3)
    if strained is not None:
        g = torch.autograd.grad(data["energy"].sum(), strained, create_graph=True)[0].reshape(1, 3, 3)
        out["stress"] = g / torch.tensor(float(abs(np.linalg.det(cell))))
    return out


def loss(out, crystals, model, coulomb, parameter, names, weights):
    from aimnet.train.loss import MTLoss
    torch, text = truth.torch, make_derivatives.text
    options = {"coulomb": coulomb, "coulomb_cutoff" if coulomb == "dsf" else "ewald_accuracy": parameter} if parameter else {}
    ref = truth.Reference(make_crystals.ROOT / f"tests/golden/models/{model}.pt", options)
    ref.calc._train = True
    for key, p in ref.calc.model.named_parameters():
        p.requires_grad_(not key.startswith("aev."))
    each = [predict(ref.calc, structure(name, crystals)) for name in names]
    y = {k: torch.cat([e[k] for e in each]) for k in each[0]}
    gen = torch.Generator().manual_seed(11)
    target = {k: (y[k] + s * torch.randn(y[k].shape, generator=gen)).detach() for k, s in NOISE.items()}
    fn = {"energy": ("energy_loss_fn", {})}
    fn.update({k: ("mse_loss_fn", {"key_pred": k, "key_true": k}) for k in ("dipole", "stress")})
    fn["spin_charges"] = ("peratom_loss_fn", {"key_pred": "spin_charges", "key_true": "spin_charges"})
    used = [k for k, w in zip(KEYS, weights) if w]
    mt = MTLoss({k: {"fn": "aimnet.train.loss." + fn[k][0], "weight": w, "kwargs": fn[k][1]} for k, w in zip(KEYS, weights) if w})
    parts = mt(y, target)
    parts["loss"].backward()
    values = [float(parts[k].detach()) if k in used else 0.0 for k in KEYS]
    print("loss", f"tests/golden/models/{model}.pt", coulomb, parameter, len(names), text(weights), text([float(parts["loss"].detach()), *values]), file=out)
    start = 0
    for k, (name, e) in enumerate(zip(names, each)):
        n = len(e["numbers"])
        print("structure", name, n, text([float(target["energy"][k]), *target["dipole"][k].tolist(), *target["stress"][k].flatten().tolist()]), file=out)
        print(text(target["spin_charges"][start:start + n].tolist()), file=out)
        start += n
    for key, p in ref.calc.model.named_parameters():
        if p.requires_grad:
            g = torch.zeros(p.numel()) if p.grad is None else p.grad.flatten()
            print("gradient", key, p.numel(), file=out)
            for i in range(0, p.numel(), 8):
                print(" ".join("%.11g" % v for v in g[i:i + 8].tolist()), file=out)
    print("end", file=out)


def main():
    truth.setup("float64")
    crystals = make_crystals.build()
    with open(make_crystals.ROOT / "tests/golden/losses.txt", "w", encoding="ascii") as out:
        for case in CASES:
            loss(out, crystals, *case)
            print(*case, flush=True)


main()
