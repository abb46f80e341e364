# SPDX-License-Identifier: MIT
"""Writes bench/data/*.xyz.gz once: a 1,002-atom water cluster and 256 drug-like molecules with 10,346 atoms in total.

Uses the generators of tests/reference/make_molecules.py. The committed files are the definition.
Usage: python make_structures.py [OUTPUT_DIRECTORY]
"""
import gzip
import io
import pathlib
import sys

import numpy as np
from rdkit import Chem, RDLogger

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/reference"))
import make_molecules as mm  # noqa: E402

MOLECULES, ATOMS = 256, 10346

DRUGS = """
ibuprofen CC(C)Cc1ccc(cc1)C(C)C(=O)O
naproxen COc1ccc2cc(ccc2c1)C(C)C(=O)O
diazepam CN1c2ccc(Cl)cc2C(=NCC1=O)c1ccccc1
warfarin CC(=O)CC(c1ccccc1)c1c(O)c2ccccc2oc1=O
propranolol CC(C)NCC(O)COc1cccc2ccccc12
atenolol CC(C)NCC(O)COc1ccc(CC(N)=O)cc1
metoprolol COCCc1ccc(OCC(O)CNC(C)C)cc1
lidocaine CCN(CC)CC(=O)Nc1c(C)cccc1C
procaine CCN(CC)CCOC(=O)c1ccc(N)cc1
fluoxetine CNCCC(Oc1ccc(cc1)C(F)(F)F)c1ccccc1
sertraline CNC1CCC(c2ccc(Cl)c(Cl)c2)c2ccccc12
citalopram CN(C)CCCC1(OCc2cc(C#N)ccc12)c1ccc(F)cc1
amitriptyline CN(C)CCC=C1c2ccccc2CCc2ccccc12
chlorpromazine CN(C)CCCN1c2ccccc2Sc2ccc(Cl)cc12
haloperidol O=C(CCCN1CCC(O)(CC1)c1ccc(Cl)cc1)c1ccc(F)cc1
morphine CN1CCC23C4Oc5c(O)ccc(CC1C2C=CC4O)c53
codeine COc1ccc2CC3C4C=CC(O)C5Oc1c2C45CCN3C
fentanyl CCC(=O)N(C1CCN(CCc2ccccc2)CC1)c1ccccc1
tramadol COc1cccc(c1)C1(O)CCCCC1CN(C)C
methadone CCC(=O)C(CC(C)N(C)C)(c1ccccc1)c1ccccc1
penicillin_g CC1(C)SC2C(NC(=O)Cc3ccccc3)C(=O)N2C1C(=O)O
amoxicillin CC1(C)SC2C(NC(=O)C(N)c3ccc(O)cc3)C(=O)N2C1C(=O)O
ciprofloxacin O=C(O)c1cn(C2CC2)c2cc(N3CCNCC3)c(F)cc2c1=O
trimethoprim COc1cc(Cc2cnc(N)nc2N)cc(OC)c1OC
sulfamethoxazole Cc1cc(NS(=O)(=O)c2ccc(N)cc2)no1
chloramphenicol O=C(NC(CO)C(O)c1ccc(cc1)[N+](=O)[O-])C(Cl)Cl
omeprazole COc1ccc2nc([nH]c2c1)S(=O)Cc1ncc(C)c(OC)c1C
ranitidine CNC(NCCSCc1ccc(CN(C)C)o1)=C[N+](=O)[O-]
loratadine CCOC(=O)N1CCC(CC1)=C1c2ccc(Cl)cc2CCc2cccnc12
cetirizine O=C(O)COCCN1CCN(CC1)C(c1ccccc1)c1ccc(Cl)cc1
diphenhydramine CN(C)CCOC(c1ccccc1)c1ccccc1
captopril CC(CS)C(=O)N1CCCC1C(=O)O
enalapril CCOC(=O)C(CCc1ccccc1)NC(C)C(=O)N1CCCC1C(=O)O
losartan CCCCc1nc(Cl)c(CO)n1Cc1ccc(cc1)-c1ccccc1-c1nnn[nH]1
amlodipine CCOC(=O)C1=C(COCCN)NC(C)=C(C1c1ccccc1Cl)C(=O)OC
nifedipine COC(=O)C1=C(C)NC(C)=C(C1c1ccccc1[N+](=O)[O-])C(=O)OC
verapamil COc1ccc(CCN(C)CCCC(C#N)(C(C)C)c2ccc(OC)c(OC)c2)cc1OC
diltiazem COc1ccc(cc1)C1Sc2ccccc2N(CCN(C)C)C(=O)C1OC(C)=O
furosemide O=C(O)c1cc(S(N)(=O)=O)c(Cl)cc1NCc1ccco1
hydrochlorothiazide NS(=O)(=O)c1cc2c(cc1Cl)NCNS2(=O)=O
simvastatin CCC(C)(C)C(=O)OC1CC(C)C=C2C=CC(C)C(CCC3CC(O)CC(=O)O3)C12
glibenclamide COc1ccc(Cl)cc1C(=O)NCCc1ccc(cc1)S(=O)(=O)NC(=O)NC1CCCCC1
tolbutamide CCCCNC(=O)NS(=O)(=O)c1ccc(C)cc1
sildenafil CCCc1nn(C)c2c1nc([nH]c2=O)-c1cc(ccc1OCC)S(=O)(=O)N1CCN(C)CC1
celecoxib Cc1ccc(cc1)-c1cc(nn1-c1ccc(cc1)S(N)(=O)=O)C(F)(F)F
imatinib Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(n1)-c1cccnc1
gefitinib COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1OCCCN1CCOCC1
erlotinib COCCOc1cc2ncnc(Nc3cccc(C#C)c3)c2cc1OCCOC
tamoxifen CCC(=C(c1ccccc1)c1ccc(OCCN(C)C)cc1)c1ccccc1
dexamethasone CC1CC2C3CCC4=CC(=O)C=CC4(C)C3(F)C(O)CC2(C)C1(O)C(=O)CO
prednisone CC12CC(=O)C3C(CCC4=CC(=O)C=CC34C)C1CCC2(O)C(=O)CO
testosterone CC12CCC3C(CCC4=CC(=O)CCC34C)C1CCC2O
estradiol CC12CCC3C(CCc4cc(O)ccc34)C1CCC2O
progesterone CC(=O)C1CCC2C1(C)CCC1C2CCC2=CC(=O)CCC12C
cholesterol CC(C)CCCC(C)C1CCC2C1(C)CCC1C2CC=C2CC(O)CCC12C
quinine COc1ccc2nccc(C(O)C3CC4CCN3CC4C=C)c2c1
chloroquine CCN(CC)CCCC(C)Nc1ccnc2cc(Cl)ccc12
artemisinin CC1CCC2C(C)C(=O)OC3OC4(C)CCC1C23OO4
oseltamivir CCOC(=O)C1=CC(OC(CC)CC)C(NC(C)=O)C(N)C1
acyclovir Nc1nc2c(ncn2COCCO)c(=O)[nH]1
zidovudine Cc1cn(C2CC(N=[N+]=[N-])C(CO)O2)c(=O)[nH]c1=O
lamivudine Nc1ccn(C2CSC(CO)O2)c(=O)n1
nevirapine Cc1ccnc2N(C3CC3)c3ncccc3C(=O)Nc12
methotrexate CN(Cc1cnc2nc(N)nc(N)c2n1)c1ccc(cc1)C(=O)NC(CCC(=O)O)C(=O)O
folic_acid Nc1nc2ncc(CNc3ccc(cc3)C(=O)NC(CCC(=O)O)C(=O)O)nc2c(=O)[nH]1
riboflavin Cc1cc2nc3c(=O)[nH]c(=O)nc-3n(CC(O)C(O)C(O)CO)c2cc1C
biotin O=C(O)CCCCC1SCC2NC(=O)NC12
adrenaline CNCC(O)c1ccc(O)c(O)c1
serotonin NCCc1c[nH]c2ccc(O)cc12
melatonin COc1ccc2[nH]cc(CCNC(C)=O)c2c1
indomethacin COc1ccc2c(c1)c(CC(=O)O)c(C)n2C(=O)c1ccc(Cl)cc1
diclofenac O=C(O)Cc1ccccc1Nc1c(Cl)cccc1Cl
piroxicam CN1C(C(=O)Nc2ccccn2)=C(O)c2ccccc2S1(=O)=O
carbamazepine NC(=O)N1c2ccccc2C=Cc2ccccc12
phenytoin O=C1NC(=O)C(N1)(c1ccccc1)c1ccccc1
lamotrigine Nc1nnc(c(N)n1)-c1cccc(Cl)c1Cl
risperidone Cc1nc2CCCCn2c(=O)c1CCN1CCC(CC1)c1noc2cc(F)ccc12
clozapine CN1CCN(CC1)C1=Nc2cc(Cl)ccc2Nc2ccccc12
donepezil COc1cc2CC(CC3CCN(Cc4ccccc4)CC3)C(=O)c2cc1OC
galantamine COc1ccc2CN(C)CCC34C=CC(O)CC3Oc1c24
thalidomide O=C1CCC(N2C(=O)c3ccccc3C2=O)C(=O)N1
lenalidomide Nc1cccc2C(=O)N(Cc12)C1CCC(=O)NC1=O
linezolid CC(=O)NCC1CN(C(=O)O1)c1ccc(N2CCOCC2)c(F)c1
fluconazole OC(Cn1cncn1)(Cn1cncn1)c1ccc(F)cc1F
mebendazole COC(=O)Nc1nc2cc(ccc2[nH]1)C(=O)c1ccccc1
salbutamol CC(C)(C)NCC(O)c1ccc(O)c(CO)c1
budesonide CCCC1OC2CC3C4CCC5=CC(=O)C=CC5(C)C4C(O)CC3(C)C2(O1)C(=O)CO
montelukast CC(C)(O)c1ccccc1CCC(SCC1(CC1)CC(=O)O)c1cccc(C=Cc2ccc3ccc(Cl)cc3n2)c1
colchicine COc1cc2CCC(NC(C)=O)c3cc(=O)c(OC)ccc3-c2c(OC)c1OC
capsaicin COc1cc(CNC(=O)CCCCC=CC(C)C)ccc1O
nicotine CN1CCCC1c1cccnc1
cocaine COC(=O)C1C2CCC(CC1OC(=O)c1ccccc1)N2C
"""


def drugs():
    """256 conformers, two or three of each drug, and eight small alkanes and alcohols that make 10,346 atoms in total."""
    chosen = []
    lines = [line.split() for line in DRUGS.split("\n") if line]
    for copy in range(3):
        for name, smiles in lines:
            if len(chosen) < MOLECULES - 8 and Chem.AddHs(Chem.MolFromSmiles(smiles)).GetNumAtoms() <= 60:
                chosen.append((f"{name}_{copy}", mm.embed(f"{name}_{copy}", smiles, 0.03)))
    missing = ATOMS - sum(len(e[2]) for _, e in chosen) - 2 * 8
    for i in range(8):  # C_n H_(2n+2) has 3 n + 2 atoms, an alcohol one more
        n, oxygen = missing // 3 // 8 + (i < missing // 3 % 8), i < missing % 3
        chosen.append((f"chain_{i}", mm.embed(f"chain_{i}", "C" * n + "O" * oxygen, 0.03)))
    return chosen


def frames(entries):
    out = io.StringIO()
    for name, (charge, mult, atoms) in entries:
        out.write(f"{len(atoms)}\nProperties=species:S:1:pos:R:3 name={name} charge={charge} mult={mult}\n")
        for s, x, y, z in atoms:
            out.write(f"{s} {x:.4f} {y:.4f} {z:.4f}\n")
    return out.getvalue().encode()


def main():
    RDLogger.DisableLog("rdApp.*")
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE / "data")
    folder.mkdir(parents=True, exist_ok=True)
    batch = drugs()
    sizes = [len(e[2]) for _, e in batch]
    print(len(sizes), "molecules,", sum(sizes), "atoms,", min(sizes), "to", max(sizes))
    assert len(sizes) == MOLECULES and sum(sizes) == ATOMS
    for name, entries in {"drugs_256": batch, "water_1002": [("water_1002", mm.water_cluster("water_1002", 334))]}.items():
        with open(folder / f"{name}.xyz.gz", "wb") as f, gzip.GzipFile(fileobj=f, mode="wb", mtime=0, compresslevel=9, filename="") as z:
            z.write(frames(entries))


if __name__ == "__main__":
    main()
