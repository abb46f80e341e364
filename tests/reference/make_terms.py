# SPDX-License-Identifier: MIT
"""Writes tests/golden/terms/*.txt: the long-range terms by themselves, computed by the Python reference (float64, differentiable torch
path) and, for D3 without window, by simple-dftd3.

    python make_terms.py            (packages: requirements.txt; molecules: tests/golden/molecules)

organic.txt   molecules with random charges and dispersion parameters
elements.txt  random clusters that together hold every element 1 .. 94 (and twice 1 .. 86), dense and loose, so that all coordination numbers occur
A file is a sequence of
    system NAME N / N lines: Z x y z q c6 alpha repa repb r4r2
    term KIND PARAMETERS... / energy E / grad, N lines / gq, N lines (coulomb) or gdisp, N lines of two (d3ts)
dftd3_tables.txt  the tables of simple-dftd3 for Z = 1 .. 88, read from the library: `element Z N rcov r4r2`, N reference CNs, then for each of its
references the C6 with all references so far, as in tools/gen_d3_table.py (integers in units of 1e-4; checked to be exact).
"""
import ctypes
import pathlib
import sys

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
import dftd3.library  # noqa: E402
from aimnet import constants, nbops, ops  # noqa: E402
from aimnet.modules.core import SRRep  # noqa: E402
from aimnet.modules.lr import D3TS, DFTD3, LRCoulomb, SRCoulomb  # noqa: E402
from dftd3.interface import DispersionModel, RationalDampingParam  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))
from gen_d3_table import encode  # noqa: E402

MOLECULES = ["water", "ammonium", "benzene", "caffeine", "aspirin", "glycine_zwitterion", "trimethylarsine", "selenophenol",
             "iodobenzene", "triphenylphosphine", "tetramethylsilane", "phenylboronic_acid"]
WB97M = {"s6": 1.0, "s8": 0.3908, "a1": 0.566, "a2": 3.128}
PBE = {"s6": 1.0, "s8": 0.7875, "a1": 0.4289, "a2": 4.4407}
N_DFTD3 = 88  # later elements have other references in simple-dftd3; 87 and 88 other values


def molecule(name):
    lines = (ROOT / "tests/golden/molecules" / f"{name}.xyz").read_text().splitlines()
    from ase.data import atomic_numbers
    rows = [line.split() for line in lines[2 : 2 + int(lines[0])]]
    return np.array([atomic_numbers[r[0]] for r in rows]), np.array([[float(v) for v in r[1:4]] for r in rows])


def cluster(rng, numbers, closeness):
    """Random positions, no two atoms closer than `closeness` times the sum of their covalent radii."""
    from ase.data import covalent_radii
    radius = covalent_radii[numbers]
    edge = 1.9 * (np.sum((radius * closeness) ** 3)) ** (1 / 3) * 1.6
    while True:
        xyz = np.empty((0, 3))
        tries = 0
        while len(xyz) < len(numbers) and tries < 20000:
            tries += 1
            new = rng.uniform(0, edge, 3)
            k = len(xyz)
            if k == 0 or (np.linalg.norm(xyz - new, axis=1) > closeness * (radius[:k] + radius[k])).all():
                xyz = np.vstack([xyz, new])
        if len(xyz) == len(numbers):
            return np.round(xyz, 6)
        edge *= 1.1


def systems_organic(rng):
    out = []
    for name in MOLECULES:
        numbers, xyz = molecule(name)
        out.append((name, numbers, xyz))
    numbers, xyz = molecule("water")
    shifts = np.array([[i, j, k] for i in range(3) for j in range(3) for k in range(2)]) * 3.1
    cloud = np.concatenate([xyz @ np.linalg.qr(rng.normal(size=(3, 3)))[0].T + s + rng.normal(scale=0.15, size=3) for s in shifts])
    out.append(("water18", np.tile(numbers, len(shifts)), np.round(cloud, 6)))
    return out


def systems_elements(rng):
    out = []
    for k, (last, closeness) in enumerate([(94, 0.85), (86, 1.0), (86, 1.3)]):
        order = rng.permutation(np.arange(1, last + 1))
        for c in range(0, last, 10):
            part = order[c : c + 10]
            numbers = np.concatenate([part, rng.choice([1, 6, 7, 8], 12 - len(part))])
            out.append((f"cluster{k}_{c // 10}", numbers, cluster(rng, numbers, closeness)))
    return out


def data_dict(numbers, xyz, q, disp):
    data = {"coord": torch.tensor(xyz)[None].requires_grad_(), "numbers": torch.tensor(numbers)[None],
            "charges": torch.tensor(q)[None].requires_grad_(), "disp_param": torch.tensor(disp)[None].requires_grad_(),
            "charge": torch.zeros(1)}
    data = nbops.set_nb_mode(data)
    data = nbops.calc_masks(data)
    data["d_ij"] = ops.calc_distances(data)[0]
    return data


def run(fn, numbers, xyz, q, disp):
    data = data_dict(numbers, xyz, q, disp)
    energy = fn(data)
    inputs = [data["coord"], data["charges"], data["disp_param"]]
    grads = torch.autograd.grad(energy.sum(), inputs, allow_unused=True)
    return float(energy.detach().sum()), [g[0].numpy() if g is not None else None for g in grads]


def through(module, key):
    return lambda data: module({**data, **({} if key == "e_rep" else {"energy": torch.zeros(1)})})[key]


def terms():
    """(line, function) of every case of the reference."""
    out = [("coulomb_simple 1", LRCoulomb(method="simple", subtract_sr=False).coul_simple)]
    for rc, alpha in ((15.0, 0.2), (4.0, 0.35)):
        m = LRCoulomb(method="dsf", dsf_rc=rc, dsf_alpha=alpha, subtract_sr=False)
        out.append((f"coulomb_dsf {rc} {alpha}", m._coul_dsf_torch))
    for envelope in ("exp", "cosine"):
        out.append((f"coulomb_sr_{envelope} 4.6 -1", through(SRCoulomb(rc=4.6, envelope=envelope), "energy")))
    for fn in ("none", "exp_cutoff", "cosine_cutoff"):
        out.append((f"srrep_{fn.split('_')[0]} 5.2", through(SRRep(cutoff_fn=fn).double(), "e_rep")))
    for p, cutoff, smoothing in ((WB97M, 15.0, 0.2), (PBE, 15.0, 0.2), (PBE, 4.0, 0.5)):
        m = DFTD3(**p, cutoff=cutoff, smoothing_fraction=smoothing).double()
        out.append((f"d3 {p['s6']} {p['s8']} {p['a1']} {p['a2']} {cutoff} {smoothing}", m._compute_energy_torch))
    m = D3TS(**WB97M).double()
    out.append((f"d3ts {WB97M['s6']} {WB97M['s8']} {WB97M['a1']} {WB97M['a2']}", through(m, "energy")))
    return out


def write_result(f, line, energy, grad, extra_name=None, extra=None):
    f.write(f"term {line}\nenergy {energy:.17g}\ngrad\n")
    for row in grad:
        f.write(" ".join(f"{v:.17g}" for v in row) + "\n")
    if extra is not None:
        f.write(extra_name + "\n")
        for row in np.atleast_2d(extra.T).T:
            f.write(" ".join(f"{v:.17g}" for v in row) + "\n")


def write_dftd3(f, numbers, xyz):
    for p in (WB97M, PBE):
        model = DispersionModel(numbers, xyz * constants.Bohr_inv)
        model.set_realspace_cutoff(1e6, 1e6, 1e6)
        r = model.get_dispersion(RationalDampingParam(**p, s9=0.0), grad=True)
        write_result(f, f"dftd3 {p['s6']} {p['s8']} {p['a1']} {p['a2']}", r["energy"] * constants.Hartree,
                     r["gradient"] * (constants.Hartree * constants.Bohr_inv))


def write_systems(path, systems, rng, cases):
    repa, repb = constants.get_gfn1_rep()
    r4r2 = constants.get_r4r2()
    with open(path, "w") as f:
        f.write("# written by tests/reference/make_terms.py; eV, Angstrom, e; c6 and alpha in atomic units\n")
        for name, numbers, xyz in systems:
            q = np.round(rng.normal(scale=0.4, size=len(numbers)), 6)
            disp = np.round(np.stack([rng.uniform(2, 200, len(numbers)), rng.uniform(1, 40, len(numbers))], 1), 6)
            disp[0] = 1e-6, 900.0  # the clamp of the combination rule
            f.write(f"system {name} {len(numbers)}\n")
            for i, z in enumerate(numbers):
                rep = (float(repa[z]), float(repb[z])) if z < 87 else (0.0, 0.0)
                values = [*xyz[i], q[i], *disp[i], *rep, float(r4r2[z])]
                f.write(f"{z} " + " ".join(f"{v:.17g}" for v in values) + "\n")
            for line, fn in cases:
                if line.startswith("srrep") and max(numbers) > 86:
                    continue
                energy, (gx, gq, gd) = run(fn, numbers, xyz, q, disp)
                if line.startswith("d3ts"):
                    write_result(f, line, energy, gx, "gdisp", gd)
                elif line.startswith("coulomb"):
                    write_result(f, line, energy, gx, "gq", gq)
                else:
                    write_result(f, line, energy, gx)
            if max(numbers) <= N_DFTD3:
                write_dftd3(f, numbers, xyz)


def write_dftd3_tables(f):
    path = next(pathlib.Path(dftd3.library.__file__).parent.glob("_libdftd3*.so"))
    lib = ctypes.CDLL(str(path))
    lib["__dftd3_reference_MOD_init_reference_c6"]()
    get_c6 = lib["__dftd3_reference_MOD_get_c6"]
    rcov, r4r2 = lib["__mctc_data_covrad_MOD_get_covalent_rad_num"], lib["__dftd3_data_r4r2_MOD_get_r4r2_val_num"]
    get_c6.restype = rcov.restype = r4r2.restype = ctypes.c_double
    cn = np.array((ctypes.c_double * (7 * 103)).in_dll(lib, "__dftd3_reference_MOD_reference_cn")).reshape(103, 7)
    count = np.array((ctypes.c_int * 103).in_dll(lib, "__dftd3_reference_MOD_number_of_references"))
    ref = lambda k: ctypes.byref(ctypes.c_int(k))  # noqa: E731
    refs = []
    for z in range(1, N_DFTD3 + 1):
        n = count[z - 1]
        f.write(f"element {z} {n} {rcov(ref(z)):.17g} {r4r2(ref(z)):.17g}\n")
        f.write(" ".join(f"{v:.17g}" for v in cn[z - 1, :n]) + "\n")
        for a in range(1, n + 1):
            refs.append((z, a))
            values = np.array([get_c6(ref(a), ref(b), ref(z), ref(y)) for y, b in refs])
            scaled = np.rint(values * 1e4)
            assert (scaled / 1e4 == values).all()
            f.write("".join(encode(int(k)) for k in scaled) + "\n")


def main():
    out = ROOT / "tests/golden/terms"
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(35)
    cases = terms()
    write_systems(out / "organic.txt", systems_organic(rng), rng, cases)
    d3_cases = [c for c in cases if c[0].startswith("d3 ")]
    write_systems(out / "elements.txt", systems_elements(rng), rng, d3_cases)
    with open(out / "dftd3_tables.txt", "w") as f:
        write_dftd3_tables(f)


if __name__ == "__main__":
    sys.exit(main())
