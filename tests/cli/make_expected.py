# SPDX-License-Identifier: MIT
"""Writes energy_json.stdout.near and energy_double.stdout.near from tests/golden/cases/default.txt (float64 reference data).

Standard library only; run it after the golden data have changed: python3 tests/cli/make_expected.py
"""
import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
NAMES = ["water", "ammonium", "acetate", "caffeine"]


def read_cases():
    cases, lines = {}, iter((HERE.parent / "golden/cases/default.txt").read_text().splitlines())
    for line in lines:
        words = line.split()
        if words and words[0] == "structure":
            case = cases[words[1]] = {"n": int(words[2]), "charge": float(words[3]), "mult": float(words[4]), "atoms": []}
        elif words and words[0] in ("energy", "dipole", "quadrupole"):
            case[words[0]] = [float(w) for w in words[1:]]
        elif words and words[0] == "atoms":
            case["atoms"] = [[float(w) for w in next(lines).split()] for _ in range(case["n"])]
    return cases


def symbols(name):
    text = (HERE.parent / "golden/molecules" / (name + ".xyz")).read_text().splitlines()
    return [line.split()[0] for line in text[2 : 2 + int(text[0])]]


def hill(elements):
    keys = sorted(set(elements))
    if "C" in keys:
        keys = ["C"] + [k for k in ("H",) if k in keys] + [k for k in keys if k not in "CH"]
    return "".join(k + (str(elements.count(k)) if elements.count(k) > 1 else "") for k in keys)


def record(name, case):
    energy, network, coulomb, dispersion = case["energy"]
    return {
        "file": name + ".xyz", "frame": 0, "natoms": case["n"], "formula": hill(symbols(name)), "charge": case["charge"],
        "mult": case["mult"], "model": "default", "coulomb": {"method": "simple"}, "energy": energy,
        "forces": [a[1:4] for a in case["atoms"]], "charges": [a[0] for a in case["atoms"]], "dipole": case["dipole"],
        "quadrupole": case["quadrupole"], "terms": {"network": network, "coulomb": coulomb, "dispersion": dispersion}, "warnings": [],
    }


def main():
    cases = read_cases()
    text = "".join(json.dumps(record(name, cases[name])) + "\n" for name in NAMES)
    for name, tolerance in (("energy_json", "# absolute 1e-4 relative 1e-7\n"), ("energy_double", "# absolute 1e-8 relative 1e-10\n")):
        (HERE / (name + ".stdout.near")).write_text(tolerance + text)


main()
