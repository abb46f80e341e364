# SPDX-License-Identifier: MIT
"""Writes tests/golden/crystals/: crystals, slabs and wires, and what the Python reference computes for them in float64.

Usage: python make_crystals.py [CASE ...]        (all cases without arguments; see requirements.txt)

NAME.xyz are the structures (extended XYZ, 17 digits); CASE.txt has one set of options of the default model:
  option KEY VALUE                a field of aimnet_options, or "model": one of tests/golden/models, whose Coulomb is embedded with that accuracy
  structure NAME N                then
  noise E F Q S                   |float32 - float64| of the reference: energy (eV), forces (eV/A), charges (e), stress (eV/A^3)
  energy E NETWORK COULOMB DISPERSION
  stress (nine numbers)           eV/A^3
  atoms                           N lines: charge fx fy fz
  end
The structures are the three COD files of the reference's repository and others that are built here: ice VIII (a cell smaller than every
cutoff), ammonium chloride, an ammonium ion in a charged cell, formamide in a skewed left-handed cell with atoms outside of it, a molecule in a
cell of 265 A, a slab, a wire. A second process repeats everything in float32: its deviations are the `noise` of a structure.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import truth

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests/golden/crystals"
CIFS = {"phenylglycinium_nitrate": "1100172.cif", "diazaspirodecane_trione": "2000054.cif", "allose": "2019828.cif.gz", "ice": "ice_VIII.cif",
        "formamide": "formamide.cif"}
DSF = {"dsf_8": {"coulomb": "dsf", "coulomb_cutoff": 8.0}, "dsf_12": {"coulomb": "dsf", "coulomb_cutoff": 12.0},
       "dsf_15": {"coulomb": "dsf", "coulomb_cutoff": 15.0}}
LATTICE = {"ewald_1e-6": {"coulomb": "ewald", "ewald_accuracy": 1e-6}, "ewald_1e-8": {"coulomb": "ewald", "ewald_accuracy": 1e-8},
           "pme_1e-6": {"coulomb": "pme", "ewald_accuracy": 1e-6}}
# Coulomb embedded in the model (make_models.py). The reference gives it a list of 10^6 A in a cell, which never ends, unless a cutoff is set.
EMBEDDED = {"embedded_ewald": {"model": "lr_ewald", "ewald_accuracy": 1e-8}, "embedded_pme": {"model": "lr_pme_full", "ewald_accuracy": 1e-8}}
EMBEDDED_CUTOFF = 25.0
CRYSTALS = ["phenylglycinium_nitrate", "diazaspirodecane_trione", "allose", "ice", "ammonium_chloride", "ammonium_ion", "formamide", "box"]
LOWER = ["slab", "wire"]


def from_cif(name):
    import gzip
    import gemmi
    import numpy as np
    data = (ROOT / "tests/golden/structures" / CIFS[name]).read_bytes()
    text = gzip.decompress(data).decode("latin-1") if CIFS[name].endswith(".gz") else data.decode("latin-1")
    small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(text).sole_block())
    sites = small.get_all_unit_cell_sites()
    cell = np.array(small.cell.orth.mat.tolist()).T
    numbers = np.array([1 if s.element.name == "D" else s.element.atomic_number for s in sites])
    return numbers, np.array([s.fract.tolist() for s in sites]) @ cell, cell


def molecule(name):
    import ase.io
    atoms = ase.io.read(ROOT / f"tests/golden/molecules/{name}.xyz")
    return atoms.numbers, atoms.positions


def build():
    """{name: (numbers, positions, cell, pbc, charge)}; the float64 numbers that the files hold."""
    import numpy as np
    yes, out = (1, 1, 1), {}
    for name in CIFS:
        out[name] = (*from_cif(name), yes, 0)
    numbers, x, cell = out["formamide"][:3]
    skew = np.array([[0, 1, 0], [1, 0, 0], [2, -1, 1]]) @ cell  # the same lattice, left-handed and far from reduced
    moved = x + np.random.default_rng(5).integers(-2, 3, (len(x), 3)) @ cell
    out["formamide"] = (numbers, moved, skew, yes, 0)
    d = 1.03 / np.sqrt(3)
    tetrahedron = np.array([[0, 0, 0], [d, d, d], [-d, -d, d], [-d, d, -d], [d, -d, -d]])
    out["ammonium_chloride"] = (np.array([7, 1, 1, 1, 1, 17]), np.vstack([tetrahedron, [1.93, 1.95, 1.92]]),
                                np.diag([3.87, 3.87, 3.87]) + 0.01 * np.arange(9).reshape(3, 3) / 9, yes, 0)
    out["ammonium_ion"] = (np.array([7, 1, 1, 1, 1]), tetrahedron + 0.3, np.array([[9.0, 0, 0], [0.5, 9.5, 0], [-1, 0.25, 10.0]]), yes, 1)
    out["box"] = (*molecule("caffeine"), np.diag([265.0, 265.0, 265.0]), yes, 0)
    n, x = molecule("water_4")
    layer = np.vstack([x, x @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]]) + [4.6, 0.3, 0.4]])
    out["slab"] = (np.tile(n, 2), layer, np.array([[9.7, 0, 0], [-2.0, 7.9, 0], [1.0, 0.5, 24.0]]), (1, 1, 0), 0)
    bond, angle = 1.53, np.radians(113.0)
    a, h = 2 * bond * np.sin(angle / 2), bond * np.cos(angle / 2)
    carbon = np.array([[0, h / 2, 0], [a / 2, -h / 2, 0]])
    hydrogen = [c + [0, s * 0.63, z * 0.89] for c, s in zip(carbon, (1, -1)) for z in (1, -1)]
    out["wire"] = (np.array([6, 6, 1, 1, 1, 1]), np.vstack([carbon, hydrogen]) + [0.2, 0.1, -0.3],
                   np.array([[a, 0, 0], [0, 18.0, 0], [0, 2.0, 21.0]]), (1, 0, 0), 0)
    return out


def structure_text(item):
    import numpy as np
    from ase.data import chemical_symbols
    numbers, x, cell, pbc, charge = item
    head = "Lattice=\"%s\" Properties=species:S:1:pos:R:3 charge=%d pbc=\"%s\"" % (
        " ".join(repr(float(v)) for v in np.ravel(cell)), charge, " ".join("T" if p else "F" for p in pbc))
    return f"{len(numbers)}\n{head}\n" + "".join(
        chemical_symbols[z] + " " + " ".join(repr(float(v)) for v in r) + "\n" for z, r in zip(numbers, x))


def all_cases():
    out = {}
    for name, options in {**DSF, **LATTICE}.items():
        structures = CRYSTALS + (LOWER if name in DSF else [])
        out[name] = (options, structures)
        out[name + "_no_d3"] = ({**options, "needs_dispersion": 0}, [s for s in structures if s != "box"])
    for name, options in EMBEDDED.items():
        out[name] = (options, ["ice", "ammonium_chloride", "ammonium_ion", "formamide"])
    return out


def reference_of(options):
    if "model" not in options:
        return truth.Reference(ROOT / "data/default.pt", options)
    import make_models
    reference = truth.Reference(ROOT / f"tests/golden/models/{options['model']}.pt", {}, make_models.IMPORTS)
    reference.calc.set_lr_cutoff(EMBEDDED_CUTOFF)
    return reference


def run(names):
    items, cases, out = build(), all_cases(), {}
    for name in names:
        options, structures = cases[name]
        reference = reference_of(options)
        for s in structures:
            out[(name, s)] = reference.eval_crystal(*items[s])
            print(name, s, float(out[(name, s)]["energy"]), flush=True)
    return out


def noise_of(names, exact):
    import numpy as np
    with tempfile.TemporaryDirectory() as tmp:
        path = pathlib.Path(tmp) / "float32.npz"
        subprocess.run([sys.executable, __file__, "--float32", str(path), *names], check=True)
        with np.load(path) as z:
            return {key: [np.abs(z["|".join((*key, q))] - exact[key][q]).max() for q in ("energy", "forces", "charges", "stress")]
                    for key in exact}


def write_case(name, results, noise):
    import numpy as np
    options, structures = all_cases()[name]
    lines = ["# Reference data in float64, written by tests/reference/make_crystals.py; the format is described there."]
    lines += [f"option {k} {v}" for k, v in options.items()]
    for s in structures:
        r = results[(name, s)]
        lines += [f"structure {s} {len(r['charges'])}", "noise " + " ".join(f"{v:.2e}" for v in noise[(name, s)]),
                  "energy " + " ".join("%.17g" % r[k] for k in ("energy", "network", "coulomb", "dispersion")),
                  "stress " + " ".join("%.12f" % v for v in np.ravel(r["stress"])), "atoms"]
        lines += ["%.11f %.10f %.10f %.10f" % (q, *f) for q, f in zip(r["charges"], r["forces"])] + ["end"]
    (OUT / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--float32", metavar="NPZ", help="internal: evaluate in float32 and store the arrays")
    p.add_argument("cases", nargs="*")
    a = p.parse_args()
    truth.setup("float32" if a.float32 else "float64")
    import numpy as np
    names = a.cases or list(all_cases())
    results = run(names)
    if a.float32:
        np.savez(a.float32, **{"|".join((*key, q)): v for key, r in results.items() for q, v in r.items()})
        return
    OUT.mkdir(parents=True, exist_ok=True)
    for name, item in build().items():
        (OUT / f"{name}.xyz").write_text(structure_text(item), encoding="ascii")
    noise = noise_of(names, results)
    for name in names:
        write_case(name, results, noise)


if __name__ == "__main__":
    main()
