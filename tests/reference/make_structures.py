# SPDX-License-Identifier: MIT
"""Writes tests/golden/structures/: structure files in the styles of many programs, good and bad, and what ASE and RDKit read in them.

Each NAME has NAME.expected beside it, lines of words:
  format xyz|sdf|pdb|cif|poscar
  tolerance X                               of coordinates, Angstrom (0 without it); atoms of CIF are compared as a set modulo the lattice
  frame N CHARGE MULT HAS_CELL PX PY PZ     then, with a cell, a line of nine numbers; then N lines: Z x y z
  error LINE                                a structure that must be refused, and the line the message must name
  refused                                   the file cannot be opened as a structure file
Numbers are Python's shortest exact form. The oracle of every case is named in the first line: ase (ase.io.read), rdkit (Mol block
readers without sanitising), gemmi, ase and spglib for CIF (crystal_files.py); `ase after TEXT` when ASE itself stumbles over something this project reads (Fortran exponents,
D and T, ...) and was given the same file without it; `hand` for bad files, where only the rule is the oracle.

Usage: python make_structures.py        (see requirements.txt)
"""
import gzip
import io
import pathlib
import re

import ase
import ase.io
import numpy as np
import rdkit
from rdkit import Chem
from rdkit.Chem import AllChem

import crystal_files

assert ase.__version__ == "3.29.0" and rdkit.__version__ == "2026.09.1"
HERE = pathlib.Path(__file__).resolve().parents[1] / "golden" / "structures"

# ---------------------------------------------------------------- oracles


def frame(numbers, positions, charge=0, mult=1, cell=None, pbc=(False, False, False)):
    return ("frame", list(numbers), np.asarray(positions, float).reshape(-1, 3), charge, mult, cell, tuple(bool(p) for p in pbc))


def error(line):
    return ("error", line)


def totals(info):
    """Charge and multiplicity by PRODUCT's rule from what ASE read in the comment line."""
    low = {k.lower(): v for k, v in info.items()}
    charge = next((low[k] for k in ("charge", "total_charge") if k in low and not isinstance(low[k], bool)), 0)
    mult = next((low[k] for k in ("mult", "multiplicity", "spin") if k in low and not isinstance(low[k], bool)), 1)
    return charge, mult


def with_ase(text, form="extxyz"):
    frames = []
    for atoms in ase.io.read(io.StringIO(text), index=":", format=form):
        charge, mult = totals(atoms.info) if form == "extxyz" else (0, 1)
        cell = np.array(atoms.cell) if atoms.cell.any() else None
        frames.append(frame(atoms.numbers, atoms.positions, charge, mult, cell, atoms.pbc if cell is not None else (0, 0, 0)))
    return frames


def with_rdkit(text, mult=None):
    """One frame per record; parallel spins, as the project documents it."""
    frames = []
    supplier = Chem.SDMolSupplier()
    supplier.SetData(text, sanitize=False, removeHs=False)
    for mol in supplier:
        unpaired = {0: 0, 1: 1, 2: 2}
        spins = sum(unpaired[a.GetNumRadicalElectrons()] for a in mol.GetAtoms())
        charge = sum(a.GetFormalCharge() for a in mol.GetAtoms())
        frames.append(frame([a.GetAtomicNum() for a in mol.GetAtoms()], mol.GetConformer().GetPositions(), charge,
                            spins + 1 if mult is None else mult))
    return frames


def expected_text(form, oracle, items, tolerance=None):
    out = [f"# oracle: {oracle}", f"format {form}"]
    if tolerance is not None:
        out.append(f"tolerance {tolerance!r}")
    for item in items:
        if item[0] == "error":
            out.append(f"error {item[1]}")
            continue
        _, numbers, positions, charge, mult, cell, pbc = item
        flags = " ".join(str(int(p)) for p in pbc)
        out.append(f"frame {len(numbers)} {float(charge)!r} {float(mult)!r} {int(cell is not None)} {flags}")
        if cell is not None:
            out.append(" ".join(repr(float(x)) for x in np.ravel(cell)))
        for z, x in zip(numbers, positions):
            out.append(f"{int(z)} " + " ".join(repr(float(c)) for c in x))
    return "\n".join(out) + "\n"


names = []


def add(name, content, form, oracle, items, tolerance=None):
    names.append(name)
    data = content.encode() if isinstance(content, str) else content
    (HERE / name).write_bytes(data)
    text = "refused\n" if items is None else expected_text(form, oracle, items, tolerance)
    (HERE / (name + ".expected")).write_text(text)


def xyz(name, text, change=None, what=""):
    """A file that ASE reads, perhaps after a change of what ASE does not know."""
    add(name, text, "xyz", f"ase after {what}" if change else "ase", with_ase(change(text) if change else text))


def bad(name, text, items, form="xyz"):
    add(name, text, form, "hand", items)


# ---------------------------------------------------------------- geometries

WATER = [("O", 0.0, 0.0, 0.11779), ("H", 0.0, 0.755453, -0.471161), ("H", 0.0, -0.755453, -0.471161)]
METHANOL = [("C", -0.046520, 0.662945, 0.0), ("O", -0.046520, -0.758013, 0.0), ("H", -1.086393, 0.976030, 0.0),
            ("H", 0.437806, 1.070712, 0.889165), ("H", 0.437806, 1.070712, -0.889165), ("H", 0.861793, -1.056048, 0.0)]


def rows(atoms, form="{:<2s} {:16.8f} {:16.8f} {:16.8f}", scale=1.0):
    return "".join(form.format(s, *(scale * c for c in x)).rstrip() + "\n" for s, *x in atoms)


def plain(atoms, comment, form="{:<2s} {:16.8f} {:16.8f} {:16.8f}", scale=1.0):
    return f"{len(atoms)}\n{comment}\n" + rows(atoms, form, scale)


W = WATER
W_FRAME = frame([8, 1, 1], [r[1:] for r in WATER])


# ---------------------------------------------------------------- plain XYZ


def plain_xyz():
    xyz("xtb_opt.xyz", plain(W, " energy: -5.070544440612 gnorm: 0.000057390195 xtb: 6.5.1 (579679a)",
                             "{:<2s} {:23.14f} {:19.14f} {:19.14f}"))
    xyz("orca.xyz", plain(W, "Coordinates from ORCA-job water E -76.323495518234", "  {:<2s} {:20.14f} {:20.14f} {:20.14f}"))
    xyz("crest_conformers.xyz", "".join(
        "  6\n" + f"{e:18.8f}\n" + rows(METHANOL, " {:<2s} {:19.10f} {:19.10f} {:19.10f}", s)
        for e, s in [(-8.22538, 1.0), (-8.22511, 1.003), (-8.22491, 0.9971)]))
    xyz("orca_trj.allxyz", ">\n".join(plain(W, f"Scan Step {i} E -76.3{i}", scale=1 + 0.01 * i) for i in range(3)),
        lambda t: t.replace(">\n", ""), "removing the separators")
    xyz("cp2k-pos-1.xyz", "".join(
        "       3\n" + f" i = {i:8d}, time = {0.5 * i:12.3f}, E = {-17.1646447508 + 1e-3 * i:20.10f}\n"
        + rows(W, " {:>2s} {:19.10f} {:19.10f} {:19.10f}", 1 + 1e-3 * i) for i in range(2)))
    xyz("openbabel.xyz", plain(METHANOL, "", "{:<2s}{:15.5f}{:15.5f}{:15.5f}"))
    xyz("avogadro.xyz", plain(METHANOL, "XYZ file generated by Avogadro.", "{:<3s} {:14.8f} {:14.8f} {:14.8f}"))
    xyz("lower_case.xyz", plain([("cl", 0, 0, 0), ("c", 1.78, 0, 0), ("h", 2.1, 1.02, 0), ("H", 2.1, -0.5, 0.9),
                                 ("h", 2.1, -0.5, -0.9)], "methyl chloride"))
    xyz("upper_case.xyz", plain([("CL", 0, 0, 0), ("BR", 2.14, 0, 0)], "BrCl"))
    xyz("tabs.xyz", "3\n\twater\twith tabs\n" + rows(W, "{}\t{:.8f}\t{:.8f}\t{:.8f}"))
    xyz("crlf.xyz", plain(W, "Windows line ends").replace("\n", "\r\n"))
    xyz("no_final_newline.xyz", plain(W, "the editor did not end the last line").rstrip("\n"))
    xyz("trailing_blank_lines.xyz", plain(W, "blank lines at the end") + "\n  \n\n")
    xyz("blank_lines_between.xyz", plain(W, "one") + "\n\n" + plain(METHANOL, "two") + "\n", lambda t: re.sub("\n+", "\n", t),
        "removing blank lines between frames")
    xyz("atomic_numbers.xyz", "3\natomic numbers in column 1\n8 0.0 0.0 0.11779\n1 0.0 0.755453 -0.471161\n01 0.0 -0.755453 -0.471161\n",
        lambda t: re.sub(r"^0?1 0", "H 0", re.sub("^8 ", "O ", t, flags=re.M), flags=re.M), "writing symbols")
    xyz("deuterium.xyz", plain([("O", 0, 0, 0), ("D", 0.96, 0, 0), ("T", -0.24, 0.93, 0)], "DTO"),
        lambda t: t.replace("\nD", "\nH").replace("\nT", "\nH"), "writing H")
    xyz("fortran.xyz", "2\n exponents of Fortran\n N  0.0D0  -1.5d-05 .5\n N  1.098D+0  0d0 -5.E-1\n",
        lambda t: re.sub("[dD]([-+0-9])", r"e\1", t), "writing e")
    xyz("extra_columns.xyz", plain([("O", 0, 0, 0.1), ("H", 0, 0.75, -0.47), ("H", 0, -0.75, -0.47)], "x y z and a mode",
                                   "{:<2s} {:10.5f} {:10.5f} {:10.5f}   0.00000  0.0700 -0.0100"))
    xyz("byte_order_mark.xyz", "\ufeff" + plain(W, "saved by Notepad"), lambda t: t[1:], "removing the mark")
    xyz("unicode.xyz", plain(W, "\u00c5ngstr\u00f6m, \u03b1-Form; \u6c34"))
    xyz("prose_charge.xyz", plain(W, "total charge 1 multiplicity: 2, charge: +3 charge transfer state; spin up"))
    xyz("prose_charge_given.xyz", plain(W, "Hydronium test, charge = 1 and mult=2"))
    xyz("no_atoms.xyz", "0\nnothing here\n")
    xyz("one_atom.xyz", "1\n\nHe 0 0 0")
    xyz("many_digits.xyz", "2\n19 digits and more\nH 0.1234567890123456789 123456.78901234567 -0.30000000000000004\n"
        "H 1.7976931348623157 9.007199254740993e15 2.2250738585072014e-308\n")
    add("compressed.xyz.gz", gzip.compress(plain(W, "first").encode(), mtime=0) + gzip.compress(plain(METHANOL, "second member").encode(), mtime=0),
        "xyz", "ase", with_ase(plain(W, "first") + plain(METHANOL, "second member")))
    xyz("wrong_name.pdb", plain(W, "an XYZ file with the wrong name"))


# ---------------------------------------------------------------- extended XYZ


def extended_xyz():
    atoms = ase.Atoms([a[0] for a in METHANOL], [a[1:] for a in METHANOL], cell=[[8, 0, 0], [1, 9, 0], [-2, 0.5, 7.25]], pbc=[1, 1, 0])
    atoms.info.update(charge=-1, mult=2, name="methanol \"slab\"", array=np.arange(4), flag=True)
    atoms.arrays["forces"] = np.linspace(-1, 1, 18).reshape(6, 3)
    atoms.arrays["tags"] = np.arange(6)
    out = io.StringIO()
    ase.io.write(out, [atoms, atoms[:2]], format="extxyz")
    xyz("ase_slab.extxyz", out.getvalue())
    xyz("ase_no_cell.extxyz", plain(W, 'Properties=species:S:1:pos:R:3 energy=-76.3 pbc="F F F"'))
    head = "Properties=species:S:1:pos:R:3"
    lattice = 'Lattice="5.44 0.0 0.0 0.0 5.44 0.0 0.0 0.0 5.44"'
    xyz("pbc_default.extxyz", plain(W, f"{lattice} {head} Time=0.0"))
    xyz("pbc_false.extxyz", plain(W, f'{lattice} {head} pbc="F F F"'))
    xyz("pbc_words.extxyz", plain(W, f'{lattice} {head} pbc="true, False, T"'))
    xyz("pbc_numbers.extxyz", plain(W, f"{lattice} {head} pbc=[1 0 1]"))
    xyz("pbc_one_word.extxyz", plain(W, f"{lattice} {head} pbc=T"))
    xyz("triclinic_left_handed.extxyz", plain(W, f'Lattice="1 8 0 9 0 0.5 1d0 0 7" {head}'), lambda t: t.replace("1d0", "1e0"), "writing e")
    xyz("brackets.extxyz", plain(W, "Lattice={5 0 0 0 5 0 0 0 5} charge=[1] Properties='species:S:1:pos:R:3' mult='3' note={a \"b\" c}"))
    xyz("escapes.extxyz", plain(W, 'note="say \\"charge=5\\" and \\\\" other=a\\ b charge=-2 ' + head))
    xyz("spaces_around_equals.extxyz", plain(W, f"charge = 1 mult = 2 {head}"))
    xyz("bare_keys.extxyz", plain(W, f"relaxed converged {head} charge=1 checked"))
    xyz("key_case.extxyz", plain(W, f"Charge=1 MULT=2 {head}"))
    xyz("total_charge.extxyz", plain(W, f"total_charge=-1 multiplicity=2 {head}"))
    xyz("spin.extxyz", plain(W, f"charge=1 spin=2 {head}"))
    xyz("mult_before_spin.extxyz", plain(W, f"charge=0 mult=3 spin=1 {head}"))
    xyz("fractional_charge.extxyz", plain(W, f"charge=-0.25 {head}"))
    xyz("quoted_trap.extxyz", plain(W, f'{head} comment="charge=7 mult=9" charge=1'))
    xyz("number_column.extxyz", "3\nProperties=Z:I:1:pos:R:3:tag:I:1\n8 0 0 0.1 7\n1 0 0.7 -0.4 7\n1 0 -0.7 -0.4 7\n")
    xyz("number_wins.extxyz", "2\nProperties=species:S:1:pos:R:3:Z:I:1\nCA 0 0 0 6\nOW 0 0 1.2 8\n",
        lambda t: t.replace("CA", "C ").replace("OW", "O "), "writing symbols that ASE does not look at")
    xyz("columns_in_other_order.extxyz", "2\nProperties=id:I:1:vel:R:3:pos:R:3:species:S:1:mask:L:1\n1 9 9 9 0 0 0 N T\n2 9 9 9 0 0 1.1 N F\n")
    xyz("more_columns_than_announced.extxyz", plain(W, head, "{:<2s} {:.5f} {:.5f} {:.5f} 1 2 3"))
    xyz("charge_column.extxyz", "1\nProperties=species:S:1:pos:R:3:charge:R:1 charge=0\nNe 0 0 0 0.5\n")
    xyz("cell_vectors.xyz", plain(W, "cell as in ADF") + "VEC1 8.0 0.0 0.0\nVEC2 0.5 9.0 0.0\nVEC3 0 0 10\n" + plain(W, "next"))
    xyz("polymer_vector.xyz", plain(W, "one vector") + "VEC1 8.0 0.0 0.0\n")
    xyz("charge_of_other_things.extxyz", plain(W, f"{head} charges=5 net_charge=3 charge_model=cm5"))


# ---------------------------------------------------------------- bad XYZ


def bad_xyz():
    good = plain(W, "good")
    head = "Properties=species:S:1:pos:R:3"
    bad("bad_unknown_element.xyz", "2\nunknown\nC 0 0 0\nXx 0 0 1\n" + good, [error(4), W_FRAME])
    bad("bad_dummy_x.xyz", "2\ndummy\nX 0 0 0\nH 0 0 1\n" + good, [error(3), W_FRAME])
    bad("bad_number_zero.xyz", "2\nzero\nC 0 0 0\n0 0 0 1\n" + good, [error(4), W_FRAME])
    bad("bad_number_119.xyz", "1\nbeyond the table\n119 0 0 0\n" + good, [error(3), W_FRAME])
    bad("bad_z_column.extxyz", "1\nProperties=Z:I:1:pos:R:3\n0 0 0 0\n" + good, [error(3), W_FRAME])
    bad("bad_too_few_atoms.xyz", "5\nannounces five\n" + rows(W) + good, [error(6), W_FRAME])
    bad("bad_too_many_atoms.xyz", "2\nannounces two\n" + rows(W) + good, [error(5), W_FRAME])
    bad("bad_cut_in_atoms.xyz", good + "6\nmethanol\n" + rows(METHANOL[:3]), [W_FRAME, error(11)])
    bad("bad_cut_in_line.xyz", good + "2\nhydrogen\nH 0 0 0.000\nH 0 0", [W_FRAME, error(9)])
    bad("bad_cut_after_count.xyz", good + "2\n", [W_FRAME, error(7)])
    bad("bad_cut_after_comment.xyz", good + "2\nno atoms\n", [W_FRAME, error(6)])
    bad("bad_no_comment.xyz", "3\n" + rows(W) + good, [error(5), W_FRAME])
    bad("bad_bare_atoms.xyz", rows(W), [error(1)])
    bad("bad_count.xyz", "three\nwater\n" + rows(W) + good, [error(1), W_FRAME])
    bad("bad_count_negative.xyz", "-3\nwater\n" + rows(W) + good, [error(1), W_FRAME])
    bad("bad_count_huge.xyz", "2147483647\nhuge\nH 0 0 0\n" + good, [error(1), W_FRAME])
    bad("bad_count_overflow.xyz", "99999999999999999999\nhuge\nH 0 0 0\n" + good, [error(1), W_FRAME])
    bad("bad_garbage_number.xyz", "2\ngarbage\nH 0 0 0\nH 0 0 0.74x\n" + good, [error(4), W_FRAME])
    bad("bad_stars.xyz", "2\noverflow of Fortran\nH 0 0 0\nH 0 0 **********\n" + good, [error(4), W_FRAME])
    bad("bad_nan.xyz", "2\nnan\nH 0 0 0\nH 0 0 NaN\n" + good, [error(4), W_FRAME])
    bad("bad_infinite.xyz", "2\ninf\nH 0 0 0\nH 0 0 1e999\n" + good, [error(4), W_FRAME])
    bad("bad_two_numbers.xyz", "2\ncolumns missing\nH 0 0 0\nH 0 1\n" + good, [error(4), W_FRAME])
    bad("bad_charge.extxyz", plain(W, f"{head} charge=abc") + good, [error(2), W_FRAME])
    bad("bad_charge_twice.extxyz", plain(W, f"{head} charge=1 total_charge=0") + good, [error(2), W_FRAME])
    bad("bad_mult.extxyz", plain(W, f"{head} mult=1.5") + good, [error(2), W_FRAME])
    bad("bad_mult_zero.extxyz", plain(W, f"{head} mult=0") + good, [error(2), W_FRAME])
    bad("bad_lattice.extxyz", plain(W, f'{head} Lattice="5 0 0 0 5 0 0 0"') + good, [error(2), W_FRAME])
    bad("bad_lattice_nan.extxyz", plain(W, f'{head} Lattice="5 0 0 0 5 0 0 0 nan"') + good, [error(2), W_FRAME])
    bad("bad_pbc.extxyz", plain(W, f'{head} Lattice="5 0 0 0 5 0 0 0 5" pbc="T T"') + good, [error(2), W_FRAME])
    bad("bad_pbc_without_lattice.extxyz", plain(W, f'{head} pbc="T T T"') + good, [error(2), W_FRAME])
    bad("bad_properties.extxyz", plain(W, "Properties=species:S:1:pos:R:2") + good, [error(2), W_FRAME])
    bad("bad_properties_type.extxyz", plain(W, "Properties=species:Q:1:pos:R:3") + good, [error(2), W_FRAME])
    bad("bad_properties_no_pos.extxyz", plain(W, "Properties=species:S:1:vel:R:3") + good, [error(2), W_FRAME])
    bad("bad_type_numbers.extxyz", "1\nProperties=species:I:1:pos:R:3\n1 0 0 0\n" + good, [error(2), W_FRAME])
    bad("bad_missing_column.extxyz", plain(W, "Properties=species:S:1:pos:R:3:forces:R:3") + good, [error(3), W_FRAME])
    bad("bad_two_in_a_row.xyz", "1\nfirst\nXx 0 0 0\n2\nsecond\nQq 0 0 0\nH 0 0 1\n" + good, [error(3), error(6), W_FRAME])
    bad("bad_tail.xyz", good + "$chrg 1\n$end\n", [W_FRAME, error(6)])
    bad("gamess_columns.xyz", "2\nGAMESS prints charges in column 2\nC 6.0 0.0 0.0 0.0\nO 8.0 0.0 0.0 1.128\n" + good, [error(3), W_FRAME])
    bad("bad_cell_vectors.xyz", plain(W, "vectors") + "VEC2 0 1 0\n" + good, [error(6), W_FRAME])
    add("not_a_structure.dat", "Dear reader,\nthis is a letter.\n", "", "hand", None)
    add("empty.xyz", "", "", "hand", [("error", 0)])
    add("utf16.xyz", plain(W, "UTF-16").encode("utf-16"), "", "hand", None)
    add("zstd.xyz.zst", b"\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00", "", "hand", None)
    whole = gzip.compress(plain(METHANOL * 40, "cut").encode(), mtime=0)
    add("cut.xyz.gz", whole[: len(whole) // 2], "xyz", "hand", [("error", -1)])


# ---------------------------------------------------------------- SDF


def molecule(smiles, seed=7):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(mol, randomSeed=seed)
    mol.SetProp("_Name", smiles)
    return mol


def sdf(name, text, **kwargs):
    add(name, text, "sdf", "rdkit", with_rdkit(text, **kwargs))


ETHYL = """ethyl radical
 Avogadro

  2  1  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 C   0  0  0  0  0  0  0  0  0  0  0  0
    1.5400    0.0000    0.0000 C   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0  0  0  0
"""


def sd_files():
    salts = ["CCO", "[O-]C(=O)c1ccccc1", "[NH3+]CC([O-])=O", "[Ca+2]", "C[N+](C)(C)C"]
    out = io.StringIO()
    writer = Chem.SDWriter(out)
    for s in salts:
        mol = molecule(s)
        mol.SetProp("note", "a line\nM  END\n> <trap>")
        writer.write(mol)
    writer.close()
    sdf("rdkit_many.sdf", out.getvalue())
    sdf("rdkit_v3000.mol", Chem.MolToMolBlock(molecule("[NH3+]CC([O-])=O"), forceV3000=True))
    sdf("rdkit_mixed.sdf", Chem.MolToMolBlock(molecule("CC"), forceV3000=True) + "$$$$\n" + Chem.MolToMolBlock(molecule("[OH-]")) + "$$$$\n")
    sdf("crlf.sdf", (Chem.MolToMolBlock(molecule("C[O-]")) + "$$$$\n").replace("\n", "\r\n"))
    sdf("openbabel.mol", "\n OpenBabel06012312343D\n\n  3  2  0  0  0  0  0  0  0  0999 V2000\n"
        "    0.9572    0.0000    0.0000 O   0  0  0  0  0  0  0  0  0  0  0  0\n"
        "    1.9144    0.0000    0.0000 H   0  0  0  0  0  0  0  0  0  0  0  0\n"
        "    0.7172    0.9266    0.0000 H   0  0  0  0  0  0  0  0  0  0  0  0\n"
        "  1  2  1  0  0  0  0\n  1  3  1  0  0  0  0\nM  END\n")
    sdf("old_charges.mol", ETHYL.replace("C   0  0", "C   0  5", 1) + "M  END\n")
    sdf("old_charges_superseded.mol", ETHYL.replace("C   0  0", "C   0  5", 1) + "M  CHG  1   2   1\nM  END\n")
    sdf("doublet.mol", ETHYL + "M  RAD  1   1   2\nM  END\n")
    sdf("triplet.mol", ETHYL + "M  RAD  1   1   3\nM  END\n")
    sdf("diradical.mol", ETHYL + "M  RAD  2   1   2   2   2\nM  END\n")
    sdf("many_charges.sdf", ETHYL + "M  CHG  2   1  -1   2  -2\nM  CHG  1   1   1\nM  END\n$$$$\n")
    sdf("drawing.mol", Chem.MolToMolBlock(Chem.MolFromSmiles("CCO")))
    sdf("isotope.mol", ETHYL.replace("C   0  0", "H   1  0", 1) + "M  ISO  1   1   2\nM  END\n")
    sdf("deuterium.mol", ETHYL.replace(" C   0  0", " D   0  0", 1) + "M  END\n")
    sdf("packed_columns.mol", "\n\n\n  2  0  0  0  0  0  0  0  0  0999 V2000\n-1000.1234-1000.1234 1000.1234 N   0  0\n"
        " -999.0234-1000.1234 1000.1234 N   0  0\nM  END\n")
    free = "free format\n\n\n  2  1  0 V2000\n 0.0 0.0 0.123456789 C 0 5\n1.2 0 0.123456789 O 0 0\n  1  2  3\nM  END\n"
    add("free_format.mol", free, "sdf", "hand", [frame([6, 8], [[0, 0, 0.123456789], [1.2, 0, 0.123456789]], -1)])
    add("no_version.mol", ETHYL.replace(" V2000", "") + "M  END\n", "sdf", "hand", [frame([6, 6], [[0, 0, 0], [1.54, 0, 0]])])
    add("singlet_carbene.mol", ETHYL + "M  RAD  1   1   1\nM  END\n", "sdf", "hand", [frame([6, 6], [[0, 0, 0], [1.54, 0, 0]])])
    good = ETHYL + "M  END\n$$$$\n"
    fine = frame([6, 6], [[0, 0, 0], [1.54, 0, 0]])
    bad("bad_symbol.sdf", good.replace(" C   0", " R#  0", 1) + good, [error(5), fine], "sdf")
    bad("bad_number.sdf", good.replace("1.5400", "1.54*0", 1) + good, [error(6), fine], "sdf")
    bad("bad_nan.sdf", good.replace("1.5400", "   nan", 1) + good, [error(6), fine], "sdf")
    bad("bad_counts.sdf", good.replace("  2  1  0", "  x  1  0", 1) + good, [error(4), fine], "sdf")
    bad("bad_more_atoms.sdf", good.replace("  2  1  0", "  9  1  0", 1) + good, [error(7), fine], "sdf")
    bad("bad_more_bonds.sdf", good.replace("  2  1  0", "  2  9  0", 1) + good, [error(8), fine], "sdf")
    bad("bad_charge_atom.sdf", ETHYL + "M  CHG  1   3   1\nM  END\n$$$$\n" + good, [error(8), fine], "sdf")
    bad("bad_charge_count.sdf", ETHYL + "M  CHG  2   1   1\nM  END\n$$$$\n" + good, [error(8), fine], "sdf")
    bad("bad_radical.sdf", ETHYL + "M  RAD  1   1   9\nM  END\n$$$$\n" + good, [error(8), fine], "sdf")
    bad("bad_cut.sdf", good + ETHYL, [fine, error(17)], "sdf")
    bad("bad_no_end.mol", ETHYL.replace(" V2000", ""), [error(8)], "sdf")
    bad("bad_cut_atoms.sdf", good + ETHYL[:130], [fine, error(15)], "sdf")
    bad("bad_empty_record.sdf", good + "$$$$\n" + good, [fine, error(10), fine], "sdf")
    v3 = Chem.MolToMolBlock(molecule("O"), forceV3000=True)
    water = with_rdkit(v3)[0]
    cut = v3[: v3.index("M  V30 3 ")]
    bad("bad_v3000_cut.sdf", cut + "$$$$\n" + v3 + "$$$$\n", [error(cut.count("\n") + 1), water], "sdf")
    bad("bad_v3000_count.sdf", v3.replace("COUNTS 3", "COUNTS 2") + "$$$$\n" + v3, [error(10), water], "sdf")
    bad("bad_v3000_symbol.sdf", v3.replace("M  V30 2 H", "M  V30 2 [C,N]") + "$$$$\n" + v3, [error(9), water], "sdf")
    joined = v3.replace("M  V30 2 H ", "M  V30 2 H -\nM  V30 ")
    add("v3000_continued.mol", joined, "sdf", "rdkit", with_rdkit(joined))


# ---------------------------------------------------------------- PDB

ATOM = "{:<6s}{:5d} {:4s}{:1s}{:<4s}{:1s}{:4d}    {:8.3f}{:8.3f}{:8.3f}{:6.2f}{:6.2f}          {:>2s}{:2s}"


def record(name, x, y, z, element="", residue="LIG", alt=" ", serial=1, kind="HETATM", charge="", number=1):
    return ATOM.format(kind, serial, name, alt, residue, "A", number, x, y, z, 1.0, 0.0, element, charge).rstrip() + "\n"


def pdb(name, text, change=None, what="", **kwargs):
    frames = with_ase(change(text) if change else text, "proteindatabank")
    for key, value in kwargs.items():
        index = {"charge": 3}[key]
        frames = [f[:index] + (value,) + f[index + 1:] for f in frames]
    add(name, text, "pdb", f"ase after {what}" if change else "ase", frames)


def pdb_files():
    mol = molecule("[NH3+]CC([O-])=O")
    pdb("rdkit.pdb", Chem.MolToPDBBlock(mol))
    pdb("rdkit_cation.pdb", Chem.MolToPDBBlock(molecule("C[NH3+]")), charge=1)
    out = io.StringIO()
    ase.io.write(out, [ase.Atoms("OH2", [r[1:] for r in WATER], cell=[8, 9, 10, 80, 95, 110], pbc=True)] * 2, format="proteindatabank")
    pdb("ase_two_models.pdb", out.getvalue())
    body = record(" C1 ", 0, 0, 0, "C") + record("CL1 ", 1.78, 0, 0, "CL", serial=2)
    pdb("openbabel.pdb", "COMPND    methyl\nAUTHOR    GENERATED BY OPEN BABEL 3.1.0\n" + body + "CONECT    1    2\nMASTER        0    0\nEND\n")
    cryst = "CRYST1{:9.3f}{:9.3f}{:9.3f}{:7.2f}{:7.2f}{:7.2f} P 1           1\n"
    pdb("crystal.pdb", cryst.format(5.5, 6.25, 7.125, 90, 101.5, 120) + body + "END\n")
    pdb("dummy_cell.pdb", cryst.format(1, 1, 1, 90, 90, 90) + body + "END\n", lambda t: t[t.index("HETATM"):], "removing the placeholder")
    pdb("zero_cell.pdb", cryst.format(0, 0, 0, 90, 90, 90) + body + "END\n", lambda t: t[t.index("HETATM"):], "removing the placeholder")
    pdb("cp2k_trajectory.pdb", ("REMARK   Step 1, E = -17.1\n" + cryst.format(9, 9, 9, 90, 90, 90) + body + "END\n") * 3)
    names = [(" N  ", "N"), (" CA ", "C"), (" CB ", "C"), (" HA ", "H"), ("1HB ", "H"), ("HG11", "H"), (" OXT", "O"), (" SD ", "S")]
    lines = "".join(record(n, i, 0.5 * i, 0, "", "MET", " ", i + 1, "ATOM") for i, (n, _) in enumerate(names))
    filled = "".join(record(n, i, 0.5 * i, 0, e, "MET", " ", i + 1, "ATOM") for i, (n, e) in enumerate(names))
    pdb("protein_names.pdb", lines + "TER\nEND\n", lambda t: filled + "TER\nEND\n", "adding the elements")
    ions = [("ZN  ", "ZN"), ("CA  ", "CA"), (" NA ", "NA"), ("CL  ", "CL"), ("MG  ", "MG")]
    lines = "".join(record(n, 3 * i, 0, 0, "", f"{e:>3s}", " ", i + 1) for i, (n, e) in enumerate(ions))
    filled = "".join(record(n, 3 * i, 0, 0, e, f"{e:>3s}", " ", i + 1) for i, (n, e) in enumerate(ions))
    pdb("ions.pdb", lines + "END\n", lambda t: filled + "END\n", "adding the elements")
    small = [(" C1 ", "C"), ("C2  ", "C"), ("CL1 ", "CL"), ("Br2 ", "BR"), ("H1  ", "H"), (" O1 ", "O"), ("HO12", "H"), (" H10", "H")]
    lines = "".join(record(n, 2 * i, 0, 0, "", "LIG", " ", i + 1) for i, (n, _) in enumerate(small))
    filled = "".join(record(n, 2 * i, 0, 0, e, "LIG", " ", i + 1) for i, (n, e) in enumerate(small))
    pdb("ligand_names.pdb", lines + "END\n", lambda t: filled + "END\n", "adding the elements")
    a = record(" N  ", 0, 0, 0, "N") + record(" CA ", 1.4, 0, 0, "C", alt="A", serial=2)
    b = record(" CA ", 1.5, 0.1, 0, "C", alt="B", serial=3)
    c = record(" CB ", 2, 1, 0, "C", alt="A", serial=4)
    d = record(" CB ", 2.1, 1.1, 0, "C", alt="B", serial=5) + record(" O  ", 3, 0, 0, "O", alt="B", serial=6, number=2)
    pdb("alternative_locations.pdb", a + b + c + d + "END\n", lambda t: a + c + d[d.index("\n") + 1:] + "END\n", "removing the second locations")
    pdb("charges.pdb", record("ZN  ", 0, 0, 0, "ZN", charge="2+") + record(" O1 ", 2, 0, 0, "O", charge="1-") + "END\n", charge=1)
    pdb("odd_charges.pdb", record(" O1 ", 0, 0, 0, "O", charge="xx") + record(" N1 ", 2, 0, 0, "N", charge="0") + "END\n")
    pdb("no_end.pdb", body)
    pdb("serial_overflow.pdb", body.replace("    1", "*****", 1).replace("    2", "A0000", 1) + "END\n")
    add("deuterium.pdb", record(" D1 ", 0, 0, 0, "D") + record(" O1 ", 1, 0, 0, "O"), "pdb", "hand", [frame([1, 8], [[0, 0, 0], [1, 0, 0]])])
    model = "MODEL        1\n" + body + "ENDMDL\n"
    fine = with_ase(model, "proteindatabank")[0]
    two = model.replace("  1.780", "  1.7x0")
    bad("bad_number.pdb", two + model, [error(3), fine], "pdb")
    bad("bad_element.pdb", model.replace("          CL", "          XQ") + model, [error(3), fine], "pdb")
    bad("bad_dummy.pdb", model.replace("           C", "           X") + model, [error(2), fine], "pdb")
    bad("bad_ambiguous_name.pdb", "MODEL        1\n" + record("CD1 ", 0, 0, 0) + "ENDMDL\n" + model, [error(2), fine], "pdb")
    bad("bad_short_line.pdb", model.replace(body, body[:50] + "\n") + model, [error(2), fine], "pdb")
    bad("bad_cut_model.pdb", model + model[:-8], [fine, error(8)], "pdb")
    bad("bad_empty_model.pdb", "MODEL        1\nENDMDL\n" + model, [error(2), fine], "pdb")
    bad("bad_cell.pdb", cryst.format(5, 5, 5, 30, 30, 170) + body + "END\n" + body + "END\n", [error(1), fine], "pdb")
    bad("bad_cell_text.pdb", "CRYST1  abcdefg\n" + body + "END\n" + body + "END\n", [error(1), fine], "pdb")


if __name__ == "__main__":
    HERE.mkdir(parents=True, exist_ok=True)
    for old in HERE.iterdir():
        if old.name not in crystal_files.COD:
            old.unlink()
    for part in (plain_xyz, extended_xyz, bad_xyz, sd_files, pdb_files):
        part()
    crystal_files.crystals(add, frame, error)
    (HERE / "cases.txt").write_text("\n".join(names) + "\n")
    print(len(names), "cases")
