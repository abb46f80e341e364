# SPDX-License-Identifier: MIT
"""Writes tests/golden/cases/*.txt: energies, forces, charges and further outputs of the Python reference in float64.

Every molecule is evaluated alone; where the reference can, it is evaluated in one ragged batch too, and the two have to agree. A second
process repeats everything in float32: its largest deviations are the `noise` of a structure.

Usage: python make_golden.py [CASE ...]        (all cases without arguments; see requirements.txt)

File format: lines of words, '#' starts a comment.
  model PATH                      relative to the repository; `default` is the model built into the library, `full_size` that of
                                  make_full_size.py
  option KEY VALUE...             a field of aimnet_options; d3_params has four values
  structure NAME N CHARGE MULT    tests/golden/molecules/NAME.xyz, then
  noise E F Q                     |float32 - float64| of the reference: energy (eV), largest force (eV/A) and charge (e)
  energy E NETWORK COULOMB DISPERSION
  dipole X Y Z
  quadrupole XX YY ZZ XY YZ ZX
  atoms                           N lines: charge fx fy fz [spin_charge]; the number of columns follows the word
  output NAME PER_ATOM WIDTH      then N * WIDTH or WIDTH numbers
  end                             of the structure
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import make_full_size
import model_cases
import truth

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOLECULES = ROOT / "tests/golden/molecules"
CASES = ROOT / "tests/golden/cases"
PATHS = {"default": ROOT / "data/default.pt"}

SMALL = ["hydrogen", "hydrogen_stretched", "water", "hydroxide", "ammonium", "acetate", "carbonate", "bromoform", "trimethyl_phosphate",
         "dimethyl_selenide", "phenylboronic_acid", "water_4", "caffeine"]
LONG = ["water", "lone_pair_far", "ammonium_chloride", "caffeine", "octapeptide", "water_42", "tetracontane", "taxol"]


def everything():
    return sorted(p.stem for p in MOLECULES.glob("*.xyz"))


def default_cases():
    """Options of the external modules, on the default model."""
    yield "default", {"structures": everything()}
    for name, opt in {
        "dsf": {"coulomb": "dsf"},
        "dsf_8": {"coulomb": "dsf", "coulomb_cutoff": 8.0, "dsf_alpha": 0.25},
        "dsf_5": {"coulomb": "dsf", "coulomb_cutoff": 5.0, "dsf_alpha": 0.35},
        "dsf_13_d3_15": {"coulomb": "dsf", "coulomb_cutoff": 13.0, "dsf_alpha": 0.1},
        "dsf_10_d3_8": {"coulomb": "dsf", "coulomb_cutoff": 10.0, "dsf_alpha": 0.0001, "d3_cutoff": 8.0, "d3_smoothing": 0.5},
        "d3_6": {"d3_cutoff": 6.0, "d3_smoothing": 0.3},
        "d3_20": {"d3_cutoff": 20.0, "d3_smoothing": 0.1},
        "no_coulomb": {"needs_coulomb": 0},
        "no_coulomb_d3_9": {"needs_coulomb": 0, "d3_cutoff": 9.0},
        "no_dispersion": {"needs_dispersion": 0},
        "network_only": {"needs_coulomb": 0, "needs_dispersion": 0},
        "d3_pbe": {"d3_params": (1.0, 0.7875, 0.4289, 4.4407)},
        "d3_s6": {"d3_params": (0.64, 0.9147, 0.0, 4.7009)},
    }.items():
        yield "default_" + name, {"options": opt, "structures": LONG}
    yield "full_size", {"model": "full_size", "structures": ["oxygen_atom", *SMALL, "iodobenzene", "lone_pair_far", "water_42", "taxol"]}


def all_cases():
    cases = {}
    for name, case in default_cases():
        cases[name] = {"model": "default", "options": {}, "batch": True, **case}
    for name, case in model_cases.cases(ROOT, SMALL, LONG).items():
        cases[name] = {"options": {}, "batch": True, **case}
    return cases


def read_molecule(entry):
    """NAME or (NAME, CHARGE, MULT) -> (name, numbers, coord, charge, mult)"""
    import numpy as np
    from ase.data import atomic_numbers
    name, charge, mult = (entry, None, None) if isinstance(entry, str) else entry
    lines = (MOLECULES / f"{name}.xyz").read_text().splitlines()
    info = dict(w.split("=", 1) for w in lines[1].split() if "=" in w)
    rows = [line.split() for line in lines[2:2 + int(lines[0])]]
    charge = int(info["charge"]) if charge is None else charge
    mult = int(info["mult"]) if mult is None else mult
    return (name, np.array([atomic_numbers[r[0]] for r in rows]), np.array([[float(w) for w in r[1:4]] for r in rows]), charge, mult)


def model_path(model):
    if model == "full_size" and model not in PATHS:
        PATHS[model] = pathlib.Path(tempfile.mkdtemp()) / "full_size.pt"
        PATHS[model].write_bytes(make_full_size.build())
    return PATHS.get(model, ROOT / model)


def run_cases(names, cases):
    """{case: [results of each molecule]} in the dtype of this process."""
    import numpy as np
    out = {}
    for name in names:
        case = cases[name]
        ref = truth.Reference(model_path(case["model"]), case["options"], case.get("import_paths"))
        mols = [read_molecule(e) for e in case["structures"]]
        keys = case.get("extra", ())
        single = [ref.eval([m[1:]], keys)[0] for m in mols]
        if case["batch"] and len(mols) > 1:
            batch = ref.eval([m[1:] for m in mols], keys)
            if ref.double:
                for m, a, b in zip(mols, single, batch):
                    for k in a:
                        d = np.abs(a[k] - b[k]).max()
                        if not d < 1e-9 * max(1.0, np.abs(a[k]).max() * 1e-3):
                            raise SystemExit(f"{name}: {m[0]}: {k} differs by {d:g} between batch and single")
        out[name] = single
    return out


def float32_noise(names):
    """The same in a float32 process."""
    import numpy as np
    with tempfile.TemporaryDirectory() as tmp:
        path = pathlib.Path(tmp) / "float32.npz"
        subprocess.run([sys.executable, __file__, "--float32", str(path), *names], check=True)
        with np.load(path) as z:
            flat = {k: z[k] for k in z.files}
    out = {}
    for key, value in flat.items():
        case, i, quantity = key.split("|")
        out.setdefault((case, int(i)), {})[quantity] = value
    return out


def words(values):
    import numpy as np
    return " ".join("%.17g" % v for v in np.ravel(values))


def write_case(name, case, results, noise):
    import numpy as np
    lines = ["# Reference data in float64, written by tests/reference/make_golden.py; the format is described there.",
             "model " + case["model"]]
    for k, v in case["options"].items():
        lines.append(f"option {k} " + (v if isinstance(v, str) else words(v)))
    for i, (entry, r) in enumerate(zip(case["structures"], results)):
        mol = read_molecule(entry)
        n = noise[(name, i)]
        dev = [np.abs(n[k] - r[k]).max() for k in ("energy", "forces", "charges")]
        lines.append(f"structure {mol[0]} {len(mol[1])} {mol[3]} {mol[4]}")
        lines.append("noise " + " ".join(f"{d:.2e}" for d in dev))
        lines.append("energy " + words([r["energy"], r["network"], r["coulomb"], r["dispersion"]]))
        lines.append("dipole " + words(r["dipole"]))
        lines.append("quadrupole " + words(r["quadrupole"]))
        cols = [r["charges"][:, None], r["forces"]] + ([r["spin_charges"][:, None]] if "spin_charges" in r else [])
        table = np.concatenate(cols, 1)
        lines.append(f"atoms {table.shape[1]}")
        lines.extend(words(row) for row in table)
        for k in case.get("extra", ()):
            v, per_atom = r["output:" + k], int(r["per_atom:" + k])
            width = v.size // (len(mol[1]) if per_atom else 1)
            lines.append(f"output {k} {per_atom} {width}")
            lines.extend(words(row) for row in v.reshape(-1, width))
        lines.append("end")
    CASES.mkdir(parents=True, exist_ok=True)
    (CASES / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--float32", metavar="NPZ", help="internal: evaluate in float32 and store the arrays")
    p.add_argument("cases", nargs="*")
    a = p.parse_args()
    truth.setup("float32" if a.float32 else "float64")
    import numpy as np
    cases = all_cases()
    names = a.cases or list(cases)
    results = run_cases(names, cases)
    if a.float32:
        np.savez(a.float32, **{f"{c}|{i}|{k}": v for c, rs in results.items() for i, r in enumerate(rs) for k, v in r.items()})
        return
    noise = float32_noise(names)
    for name in names:
        write_case(name, cases[name], results[name], noise)
    size = sum(f.stat().st_size for f in CASES.glob("*.txt"))
    print(f"{len(names)} cases written; {size} bytes in {CASES}")


if __name__ == "__main__":
    main()
