# SPDX-License-Identifier: MIT
"""Writes tests/golden/molecules/*.xyz, the structures of the golden cases.

Geometries come from hand-written coordinates, from RDKit embeddings (ETKDG, then a force field) or from
seeded water lattices; most are then distorted by seeded noise so that no force is close to zero by symmetry. Coordinates
are rounded to 6 decimals: the files are the definition, this script only documents their origin.

Usage: python make_molecules.py [--taxol TAXOL.xyz] [OUTPUT_DIRECTORY]
(--taxol: examples/taxol.xyz of the reference's repository; without it the committed taxol.xyz stays.)
"""
import argparse
import pathlib
import zlib

import numpy as np
from rdkit import Chem, RDLogger
from rdkit.Chem import AllChem

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYMBOL = {n: Chem.GetPeriodicTable().GetElementSymbol(n) for n in range(1, 90)}

# name: (SMILES, displacement of the noise in Angstrom)
SMILES = {
    "ammonium": ("[NH4+]", 0.05),
    "methylammonium": ("C[NH3+]", 0.05),
    "guanidinium": ("NC(N)=[NH2+]", 0.05),
    "ethylenediammonium": ("[NH3+]CC[NH3+]", 0.05),
    "acetate": ("CC(=O)[O-]", 0.05),
    "carbonate": ("[O-]C(=O)[O-]", 0.05),
    "oxalate": ("[O-]C(=O)C(=O)[O-]", 0.05),
    "benzenedisulfonate": ("[O-]S(=O)(=O)c1ccc(S(=O)(=O)[O-])cc1", 0.05),
    "tetrafluoroborate": ("F[B-](F)(F)F", 0.05),
    "glycine_zwitterion": ("[NH3+]CC(=O)[O-]", 0.05),
    "methane": ("C", 0.08),
    "ethanol": ("CCO", 0.06),
    "benzene": ("c1ccccc1", 0.04),
    "pyridine": ("c1ccncc1", 0.04),
    "nitromethane": ("C[N+](=O)[O-]", 0.04),
    "dimethyl_sulfoxide": ("CS(C)=O", 0.05),
    "thiophene": ("c1ccsc1", 0.04),
    "hydrogen_sulfide": ("S", 0.05),
    "sulfuric_acid": ("OS(=O)(=O)O", 0.05),
    "carbon_tetrachloride": ("ClC(Cl)(Cl)Cl", 0.05),
    "bromoform": ("BrC(Br)Br", 0.05),
    "iodobenzene": ("Ic1ccccc1", 0.04),
    "trifluoroiodomethane": ("FC(F)(F)I", 0.05),
    "boric_acid": ("OB(O)O", 0.05),
    "phenylboronic_acid": ("OB(O)c1ccccc1", 0.04),
    "tetramethylsilane": ("C[Si](C)(C)C", 0.05),
    "trimethoxysilane": ("CO[SiH](OC)OC", 0.05),
    "phosphine": ("P", 0.05),
    "trimethyl_phosphate": ("COP(=O)(OC)OC", 0.05),
    "triphenylphosphine": ("c1ccc(cc1)P(c1ccccc1)c1ccccc1", 0.04),
    "dimethyl_selenide": ("C[Se]C", 0.05),
    "selenophenol": ("[SeH]c1ccccc1", 0.04),
    "trimethylarsine": ("C[As](C)C", 0.05),
    "phenylarsonic_acid": ("O=[As](O)(O)c1ccccc1", 0.04),
    "alanine_dipeptide": ("CC(=O)NC(C)C(=O)NC", 0.05),
    "aspirin": ("CC(=O)Oc1ccccc1C(=O)O", 0.05),
    "ibuprofen": ("CC(C)Cc1ccc(cc1)C(C)C(=O)O", 0.05),
    "glucose": ("OCC1OC(O)C(O)C(O)C1O", 0.05),
    "adenosine_monophosphate_dianion": ("Nc1ncnc2c1ncn2C1OC(COP(=O)([O-])[O-])C(O)C1O", 0.04),
    "bortezomib": ("CC(C)CC(NC(=O)C(Cc1ccccc1)NC(=O)c1cnccn1)B(O)O", 0.04),
    "penicillin_g": ("CC1(C)SC2C(NC(=O)Cc3ccccc3)C(=O)N2C1C(=O)O", 0.04),
    "sertraline_ion": ("C[NH2+]C1CCC(c2ccc(Cl)c(Cl)c2)c2ccccc12", 0.04),
    "thyroxine": ("NC(Cc1cc(I)c(Oc2cc(I)c(O)c(I)c2)c(I)c1)C(=O)O", 0.04),
    "fluoxetine": ("CNCCC(Oc1ccc(cc1)C(F)(F)F)c1ccccc1", 0.04),
    "ebselen": ("O=c1n([se]c2ccccc12)-c1ccccc1", 0.04),
    "cholesterol": ("CC(C)CCCC(C)C1CCC2C1(C)CCC1C2CC=C2CC(O)CCC12C", 0.04),
    "octapeptide": ("CC(=O)NC(C)C(=O)NC(CO)C(=O)NCC(=O)NC(C(C)C)C(=O)NC(CS)C(=O)NC(C)C(=O)NCC(=O)NC(C)C(=O)NC", 0.04),
}
HAND = {
    # name: (charge, mult, [(symbol, x, y, z)])
    "hydrogen_atom": (0, 2, [("H", 0, 0, 0)]),
    "proton": (1, 1, [("H", 0.3, -0.2, 0.1)]),
    "hydride": (-1, 1, [("H", 0, 0, 0)]),
    "carbon_atom": (0, 1, [("C", 1, 2, 3)]),
    "oxygen_atom": (0, 1, [("O", 0, 0, 0)]),
    "sulfide": (-2, 1, [("S", 0, 0, 0)]),
    "fluoride": (-1, 1, [("F", 5.5, 0, 0)]),
    "chloride": (-1, 1, [("Cl", 0, 0, 0)]),
    "bromide": (-1, 1, [("Br", 0, 0, 0)]),
    "iodide": (-1, 1, [("I", 0, 0, 0)]),
    "hydrogen": (0, 1, [("H", 0, 0, -0.371), ("H", 0, 0, 0.371)]),
    "hydrogen_compressed": (0, 1, [("H", 0, 0, 0), ("H", 0.2, 0.3, 0.25)]),
    "hydrogen_stretched": (0, 1, [("H", 0, 0, 0), ("H", 1.0, 1.5, 1.25)]),
    "hydrogen_beyond_cutoff": (0, 1, [("H", 0, 0, 0), ("H", 3.0, 4.0, 0.5)]),
    "nitrogen": (0, 1, [("N", 0, 0, 0), ("N", 0, 0, 1.1)]),
    "carbon_monoxide": (0, 1, [("C", 0, 0, 0), ("O", 0.8, 0.7, 0.4)]),
    "hydrogen_fluoride": (0, 1, [("H", 0, 0, 0), ("F", 0, 0.92, 0)]),
    "diatomic_near_cutoff": (0, 1, [("Cl", 0, 0, 0), ("Cl", 0, 0, 4.999)]),
    "hydroxide": (-1, 1, [("O", 0, 0, 0), ("H", 0.7, 0.6, 0.2)]),
    "hydronium": (1, 1, [("O", 0, 0, 0.1), ("H", 0.93, 0, -0.2), ("H", -0.47, 0.82, -0.19), ("H", -0.45, -0.8, -0.22)]),
    "water": (0, 1, [("O", 0, 0, 0.117), ("H", 0, 0.757, -0.47), ("H", 0, -0.757, -0.47)]),
    "water_stretched": (0, 1, [("O", 0, 0, 0.117), ("H", 0, 0.757, -0.47), ("H", 0.1, -1.9, -1.2)]),
    "water_compressed": (0, 1, [("O", 0, 0, 0.05), ("H", 0, 0.55, -0.3), ("H", 0.05, -0.5, -0.35)]),
    "water_dimer": (0, 1, [("O", 0, 0, 0), ("H", 0.95, 0.05, 0), ("H", -0.25, 0.92, 0.1), ("O", 2.9, 0.1, 0.05),
                           ("H", 3.2, -0.5, 0.7), ("H", 3.25, -0.45, -0.72)]),
    "lone_pair_far": (0, 1, [("O", 0, 0, 0), ("H", 0.95, 0.05, 0), ("H", -0.25, 0.92, 0.1), ("O", 40.0, 0.1, 0.05),
                             ("H", 40.3, -0.5, 0.7), ("H", 40.35, -0.45, -0.72)]),
    "ammonium_chloride": (0, 1, [("N", 0, 0, 0), ("H", 0.6, 0.6, 0.58), ("H", -0.61, -0.6, 0.6), ("H", -0.6, 0.59, -0.6),
                                 ("H", 0.6, -0.62, -0.6), ("Cl", 1.9, 1.85, 1.8)]),
    "sulfur_hexafluoride": (0, 1, [("S", 0, 0, 0), ("F", 1.57, 0, 0.02), ("F", -1.58, 0, 0), ("F", 0, 1.55, 0), ("F", 0, -1.6, 0),
                                   ("F", 0.05, 0, 1.56), ("F", 0, 0.03, -1.57)]),
    "ammonia_borane": (0, 1, [("B", 0, 0, 0), ("N", 0, 0, 1.66), ("H", 1.17, 0, -0.31), ("H", -0.585, 1.01, -0.31),
                              ("H", -0.585, -1.01, -0.31), ("H", -0.95, 0, 2.02), ("H", 0.475, 0.823, 2.02), ("H", 0.475, -0.823, 2.02)]),
}
CAFFEINE = "CN1C=NC2=C1C(=O)N(C(=O)N2C)C"


def seed(name):
    return zlib.crc32(name.encode())


def embed(name, smiles, noise):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if AllChem.EmbedMolecule(mol, randomSeed=seed(name) & 0x7FFFFFFF, useRandomCoords=True) != 0:
        raise SystemExit(f"{name}: embedding failed")
    if AllChem.MMFFHasAllMoleculeParams(mol):
        AllChem.MMFFOptimizeMolecule(mol, maxIters=2000)
    elif AllChem.UFFHasAllMoleculeParams(mol):
        AllChem.UFFOptimizeMolecule(mol, maxIters=2000)
    xyz = np.array(mol.GetConformer().GetPositions())
    if noise > 0:
        xyz = xyz + np.random.default_rng(seed(name)).normal(scale=noise, size=xyz.shape)
    return Chem.GetFormalCharge(mol), 1, [(a.GetSymbol(), *p) for a, p in zip(mol.GetAtoms(), xyz)]


def rotation(rng):
    q = rng.normal(size=4)
    q /= np.linalg.norm(q)
    w, x, y, z = q
    return np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                     [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                     [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]])


def water_cluster(name, n, spacing=3.104):
    """n waters on the sites of a jittered cubic lattice nearest to the origin, each turned to avoid close contacts."""
    rng = np.random.default_rng(seed(name))
    m = int(np.ceil(n ** (1 / 3))) + 2
    grid = np.array([(i, j, k) for i in range(-m, m + 1) for j in range(-m, m + 1) for k in range(-m, m + 1)], float)
    grid = (grid + 0.5) * spacing
    order = np.lexsort((grid[:, 2], grid[:, 1], grid[:, 0], np.round((grid**2).sum(1), 6)))
    sites = grid[order[:n]] + rng.normal(scale=0.12, size=(n, 3))
    mono = np.array([(0, 0, 0), (0.757, 0.587, 0), (-0.757, 0.587, 0)])
    placed = np.zeros((0, 3))
    for s in sites:
        best, best_d = None, -1.0
        for _ in range(40):
            x = mono @ rotation(rng) + s
            d = np.inf if len(placed) == 0 else np.sqrt(((x[:, None] - placed[None]) ** 2).sum(-1)).min()
            if d > best_d:
                best, best_d = x, d
        placed = np.vstack([placed, best])
    placed += rng.normal(scale=0.03, size=placed.shape)
    return 0, 1, [("OHH"[i % 3], *p) for i, p in enumerate(placed)]


def alkane(name, n):
    """All-trans chain of n carbons with a slight twist: about 1.25 (n - 1) Angstrom long."""
    rng = np.random.default_rng(seed(name))
    atoms = []
    for i in range(n):
        side = 1 if i % 2 else -1
        x, y = 1.27 * i, 0.42 * side
        atoms.append(("C", x, y, 0.0))
        atoms.append(("H", x, y + 0.63 * side, 0.89))
        atoms.append(("H", x, y + 0.63 * side, -0.89))
        if i in (0, n - 1):
            atoms.append(("H", x + (-0.89 if i == 0 else 0.89), y - 0.63 * side, 0.0))
    xyz = np.array([a[1:] for a in atoms])
    twist = 0.02 * xyz[:, 0]
    c, s = np.cos(twist), np.sin(twist)
    xyz = np.stack([xyz[:, 0], c * xyz[:, 1] - s * xyz[:, 2], s * xyz[:, 1] + c * xyz[:, 2]], 1)
    xyz += rng.normal(scale=0.03, size=xyz.shape)
    return 0, 1, [(a[0], *p) for a, p in zip(atoms, xyz)]


def scaled(entry, factor):
    charge, mult, atoms = entry
    return charge, mult, [(a[0], *(factor * np.array(a[1:]))) for a in atoms]


def read_xyz(path):
    lines = pathlib.Path(path).read_text().splitlines()
    n = int(lines[0])
    return 0, 1, [(w[0], *map(float, w[1:4])) for w in (line.split() for line in lines[2:2 + n])]


def write_xyz(path, name, entry):
    charge, mult, atoms = entry
    with open(path, "w", encoding="ascii") as f:
        f.write(f"{len(atoms)}\nProperties=species:S:1:pos:R:3 name={name} charge={charge} mult={mult}\n")
        for s, x, y, z in atoms:
            f.write(f"{s:<2s} {x:.6f} {y:.6f} {z:.6f}\n")


def molecules():
    out = dict(HAND)
    for name, (smiles, noise) in SMILES.items():
        out[name] = embed(name, smiles, noise)
    out["caffeine"] = embed("caffeine", CAFFEINE, 0.0)
    out["caffeine_stretched"] = scaled(embed("caffeine_stretched", CAFFEINE, 0.03), 1.12)
    out["caffeine_compressed"] = scaled(embed("caffeine_compressed", CAFFEINE, 0.03), 0.9)
    for n in (4, 8, 16, 42):
        out[f"water_{n}"] = water_cluster(f"water_{n}", n)
    charge, mult, atoms = water_cluster("hydroxide_water_5", 6)
    out["hydroxide_water_5"] = (-1, mult, atoms[:-1])
    out["tetracontane"] = alkane("tetracontane", 40)
    return out


def main():
    RDLogger.DisableLog("rdApp.*")
    p = argparse.ArgumentParser()
    p.add_argument("--taxol")
    p.add_argument("directory", nargs="?", default=ROOT / "tests/golden/molecules", type=pathlib.Path)
    a = p.parse_args()
    a.directory.mkdir(parents=True, exist_ok=True)
    mols = molecules()
    if a.taxol:
        mols["taxol"] = read_xyz(a.taxol)
    for name, entry in mols.items():
        write_xyz(a.directory / f"{name}.xyz", name, entry)
    print(f"{len(mols)} structures, {sum(len(m[2]) for m in mols.values())} atoms")


if __name__ == "__main__":
    main()
