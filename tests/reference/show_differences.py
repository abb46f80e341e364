# SPDX-License-Identifier: MIT
"""Prints what the Python reference does where docs/differences.md says that this library does something else.

Usage: python show_differences.py        (requirements.txt; float32, the reference's default mode on the CPU)
"""
import pathlib
import tempfile
import traceback
import warnings
import zipfile

import numpy as np
import torch
from ase.data import atomic_numbers

warnings.simplefilter("ignore")
from aimnet.calculators import AIMNet2Calculator  # noqa: E402
from aimnet.models.base import load_model  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = str(ROOT / "data/default.pt")
MODELS = ROOT / "tests/golden/models"
IMPORTS = ["aimnet.modules.LRCoulomb", "aimnet.modules.DFTD3"]


def molecule(name):
    lines = (ROOT / f"tests/golden/molecules/{name}.xyz").read_text().splitlines()
    rows = [line.split() for line in lines[2:2 + int(lines[0])]]
    return np.array([atomic_numbers[r[0]] for r in rows]), np.array([[float(w) for w in r[1:4]] for r in rows])


def data(numbers, coord, charge=0.0, **more):
    return {"coord": torch.tensor(coord, dtype=torch.float32), "numbers": torch.tensor(numbers), "charge": torch.tensor(charge), **more}


def show(what, function):
    try:
        print(f"{what}: {function()}")
    except Exception as e:  # noqa: BLE001
        print(f"{what}: {type(e).__name__}: {str(e).splitlines()[0][:110] if str(e) else ''}")


def energy_force(calc, *a, **k):
    out = calc.eval(data(*a, **k), forces=True)
    return f"energy {out['energy'].detach().numpy()}, largest force {float(out['forces'].abs().max()):.6g}"


def padded(calc):
    """Water in a batch padded to the size of caffeine, the dummy rows in one point, then spread out near and far."""
    a, b = molecule("water"), molecule("caffeine")
    n = len(b[0])
    alone = calc.eval(data(*a))["energy"].double().numpy()[0]
    spread = np.arange(n - 3)[:, None] * np.array([[0.7, 0.4, 0.2]])
    off = []
    for dummy in (np.zeros((n - 3, 3)), spread + 2.0, spread + 50.0):
        numbers, coord = np.zeros((2, n), int), np.zeros((2, n, 3))
        numbers[0, :3], coord[0, :3], coord[0, 3:] = a[0], a[1], dummy
        numbers[1], coord[1] = b
        off.append(calc.eval(data(numbers, coord, [0.0, 0.0]))["energy"].double().numpy()[0] - alone)
    return "water off by " + ", ".join(f"{x:.3e}" for x in off) + " eV (padding in one point, near, far)"


def centred():
    calc = AIMNet2Calculator(str(MODELS / "multipoles_centred.pt"), device="cpu")
    a, b = molecule("water"), molecule("caffeine")
    return calc.eval(data(np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]]), [0.0, 0.0],
                          mol_idx=torch.tensor([0] * 3 + [1] * 24)))["energy"]


def damaged():
    with tempfile.TemporaryDirectory() as tmp:
        path = pathlib.Path(tmp) / "damaged.pt"
        raw = bytearray(pathlib.Path(MODEL).read_bytes())
        with zipfile.ZipFile(MODEL) as z:
            big = max(z.infolist(), key=lambda i: i.file_size)
        raw[big.header_offset + 4096] ^= 0x40  # a bit of a weight; its CRC-32 is now wrong
        path.write_bytes(raw)
        load_model(str(path))
        artifact = torch.load(MODEL, weights_only=True)
        artifact["state_dict"]["mlps.0.0.weight"][3, 5] = float("nan")
        torch.save(artifact, path)
        load_model(str(path))
    return "a flipped bit (wrong CRC-32) and a NaN weight are both loaded"


def embedded_dsf():
    """Force on one coordinate of caffeine and the slope of the energy, model lr_dsf."""
    calc = AIMNet2Calculator(str(MODELS / "lr_dsf.pt"), device="cpu", model_import_paths=IMPORTS)
    numbers, coord = molecule("caffeine")
    force = float(calc.eval(data(numbers, coord), forces=True)["forces"][0, 0])
    h, e = 5e-3, []
    for s in (-1, 1):
        c = coord.copy()
        c[0, 0] += s * h
        e.append(float(calc.eval(data(numbers, c))["energy"].double()))
    return f"force {force:.4f}, minus the energy's slope {-(e[1] - e[0]) / (2 * h):.4f} eV/A"


def main():
    torch.set_num_threads(2)
    calc = AIMNet2Calculator(MODEL, device="cpu")
    numbers, coord = molecule("caffeine")
    show("both external modules off", lambda: AIMNet2Calculator(MODEL, device="cpu", needs_coulomb=False, needs_dispersion=False)
         .eval(data(numbers, coord))["energy"])
    show("centred dipole, two molecules", centred)
    show("padded batch", lambda: padded(calc))
    show("caffeine", lambda: energy_force(calc, numbers, coord))
    bad = coord.copy()
    bad[4, 1] = np.nan
    show("caffeine with a NaN coordinate", lambda: energy_force(calc, numbers, bad))
    bad[4, 1] = np.inf
    show("caffeine with an infinite coordinate", lambda: energy_force(calc, numbers, bad))
    bad = coord.copy()
    bad[7] = bad[3]
    show("caffeine with coincident atoms", lambda: energy_force(calc, numbers, bad))
    bad[7, 1] += 0.05
    show("caffeine with atoms 0.05 A apart", lambda: energy_force(calc, numbers, bad))
    show("caffeine moved by 1e6 A", lambda: energy_force(calc, numbers, coord + 1e6))
    show("caffeine, charge 100", lambda: energy_force(calc, numbers, coord, 100.0))
    show("caffeine, charge 1000", lambda: energy_force(calc, numbers, coord, 1000.0))
    nse = AIMNet2Calculator(str(MODELS / "nse.pt"), device="cpu")
    w = molecule("water")
    for mult in (1, 2, 0, -3, 1.5):
        show(f"open-shell model, water, multiplicity {mult}", lambda m=mult: energy_force(nse, *w, mult=torch.tensor(float(m))))
    show("element 70", lambda: energy_force(calc, np.where(numbers == 7, 70, numbers), coord))
    show("no atoms", lambda: energy_force(calc, numbers[:0], coord[:0]))
    show("DSF cutoff 0", lambda: (calc.set_lrcoulomb_method("dsf", cutoff=0.0), energy_force(calc, numbers, coord))[1])
    show("DSF cutoff -5", lambda: (calc.set_lrcoulomb_method("dsf", cutoff=-5.0), energy_force(calc, numbers, coord))[1])
    calc.set_lrcoulomb_method("simple")
    show("embedded DSF Coulomb", embedded_dsf)
    show("damaged files", damaged)
    skipped = data(np.concatenate([w[0], w[0]]), np.concatenate([w[1], w[1] + 9]), [0.0, 0.0, 0.0], mol_idx=torch.tensor([0] * 3 + [2] * 3))
    show("mol_idx 0 0 0 2 2 2", lambda: calc.eval(skipped)["energy"])


if __name__ == "__main__":
    try:
        main()
    except Exception:  # noqa: BLE001
        traceback.print_exc()
