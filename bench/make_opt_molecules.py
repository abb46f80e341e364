# SPDX-License-Identifier: MIT
"""Writes bench/data/opt_200.xyz.gz: 200 conformers of 100 molecules, 24 of the molecules ions, as they come out of a force field.

ETKDG embeddings with fixed seeds, two for each SMILES, relaxed with MMFF94 (UFF where that has no parameters): what a user optimises.
The committed file is the definition. Usage: python make_opt_molecules.py [OUTPUT_FILE]
"""
import gzip
import io
import pathlib
import sys

from rdkit import Chem, RDLogger
from rdkit.Chem import AllChem

NEUTRAL = """
O N CO C=O CC#N C1CC1 CCO CS CC(C)=O CC(=O)O CC(N)=O c1ccccc1 c1ccncc1 c1ccsc1 c1cc[nH]c1 Cc1ccccc1 Oc1ccccc1 Nc1ccccc1
CCCCCC CCOCC OCC(O)CO NCC(=O)O CC(N)C(=O)O NC(CO)C(=O)O CS(C)=O CS(C)(=O)=O C[N+](=O)[O-] CP(C)C CC(F)(F)F ClCCCl BrCCO
C[Si](C)(C)C COB(OC)OC OC1CCCCC1 C1CCCCCCC1 C1CC2CCC1C2 CC=CC=CC C#CC#CC N#CC=CC#N CCC(=O)OCC O=C1CCCCC1 O=C1NC(=O)C=CN1
Cn1cnc2c1c(=O)n(C)c(=O)n2C CC(=O)Oc1ccccc1C(=O)O CC(=O)Nc1ccc(O)cc1 CC(C)Cc1ccc(cc1)C(C)C(=O)O CN1CCCC1c1cccnc1 NCCc1c[nH]c2ccc(O)cc12
CNCC(O)c1ccc(O)c(O)c1 CCN(CC)CC(=O)Nc1c(C)cccc1C CC(C)NCC(O)COc1cccc2ccccc12 NS(=O)(=O)c1cc2c(cc1Cl)NCNS2(=O)=O
Nc1nc2c(ncn2COCCO)c(=O)[nH]1 O=C(O)CCCCC1SCC2NC(=O)NC12 CC(=O)NC(C)C(=O)NC OCC1OC(O)C(O)C(O)C1O CN1c2ccc(Cl)cc2C(=NCC1=O)c1ccccc1
COc1cc(Cc2cnc(N)nc2N)cc(OC)c1OC OC(Cn1cncn1)(Cn1cncn1)c1ccc(F)cc1F CC(C)(C)NCC(O)c1ccc(O)c(CO)c1 Cc1cc(NS(=O)(=O)c2ccc(N)cc2)no1
O=C(O)Cc1ccccc1Nc1c(Cl)cccc1Cl CC12CCC3C(CCc4cc(O)ccc34)C1CCC2O CCOC(=O)C1=C(COCCN)NC(C)=C(C1)C(=O)OC CC(=O)NC(CC(C)C)C(=O)NC
c1ccc2c(c1)ccc1ccccc12 c1ccc(-c2ccccc2)cc1 O=C(Nc1ccccc1)c1ccccc1 C1COCCOCCOCCO1 CCCCCCCCCC FC(F)(F)c1cccc(Br)c1 OCCO ClCCl C1CCCCC1
C1CCC(CC1)C1CCCCC1 Ic1ccccc1
""".split()
IONS = """
[NH4+] C[NH3+] CC(=O)[O-] [O-]c1ccccc1 [NH3+]CC(=O)[O-] c1cc[nH+]cc1 C[N+](C)(C)C NC(N)=[NH2+] F[B-](F)(F)F CCCC[NH3+] [O-]C(=O)c1ccccc1 C[S-]
[NH3+]CCC[NH3+] CC(O)C(=O)[O-] C[NH+]1CCCC1 [O-]S(=O)(=O)c1ccccc1 C[n+]1ccccc1 [NH3+]C(Cc1ccccc1)C(=O)[O-] O=C([O-])CCC(=O)[O-] CC[P+](CC)(CC)CC
COS(=O)(=O)[O-] [O-][n+]1ccccc1 [NH3+]CCc1ccc(O)c(O)c1 O=C([O-])C(O)C(O)C(=O)O
""".split()


def conformer(smiles, seed):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if AllChem.EmbedMolecule(mol, randomSeed=seed) != 0:
        raise RuntimeError(f"{smiles}: no conformer")
    if AllChem.MMFFHasAllMoleculeParams(mol):
        AllChem.MMFFOptimizeMolecule(mol, maxIters=2000)
    elif AllChem.UFFHasAllMoleculeParams(mol):
        AllChem.UFFOptimizeMolecule(mol, maxIters=2000)
    return mol


def main():
    root = pathlib.Path(__file__).resolve().parent
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "data/opt_200.xyz.gz"
    RDLogger.DisableLog("rdApp.*")
    out = io.StringIO()
    for smiles in NEUTRAL + IONS:
        for seed in (1, 2):
            mol = conformer(smiles, seed)
            out.write(f'{mol.GetNumAtoms()}\nProperties=species:S:1:pos:R:3 smiles="{smiles}" charge={Chem.GetFormalCharge(mol)}\n')
            for atom, (x, y, z) in zip(mol.GetAtoms(), mol.GetConformer().GetPositions()):
                out.write(f"{atom.GetSymbol()} {x:.4f} {y:.4f} {z:.4f}\n")
    with open(target, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, 0) as packed:
        packed.write(out.getvalue().encode())
    print(len(NEUTRAL), len(IONS))


main()
