# SPDX-License-Identifier: MIT
"""CIF and POSCAR files, good and bad, and what gemmi, ASE and spglib make of them; called by make_structures.py.

Every good CIF is expanded by gemmi and by ASE; both have to agree (as sets of atoms modulo the lattice), and spglib has to find the space
group that the file declares in the expanded crystal (or one above it). The three files with COD numbers are test data of the reference's
repository (isayevlab/aimnetcentral, MIT licence), which took them from the Crystallography Open Database (public domain).
"""
import gzip
import io
import pathlib
import warnings

import ase.io
import gemmi
import numpy as np
import spglib

assert gemmi.__version__.startswith("0.7.") and spglib.__version__.startswith("2.")
HERE = pathlib.Path(__file__).resolve().parents[1] / "golden" / "structures"
COD = ["1100172.cif", "2000054.cif", "2019828.cif.gz"]

# ---------------------------------------------------------------- oracles


def same_atoms(za, fa, zb, fb, cell, tolerance):
    """Largest distance when every atom of a is paired with its nearest unused atom of b modulo the lattice."""
    assert sorted(za) == sorted(zb), (sorted(za), sorted(zb))
    free, worst = list(range(len(zb))), 0.0
    for z, f in zip(za, fa):
        d = fb[free] - f
        d -= np.round(d)
        r = np.linalg.norm(d @ cell, axis=1) + 1e6 * (np.asarray(zb)[free] != z)
        k = int(np.argmin(r))
        worst = max(worst, r[k])
        del free[k]
    assert worst <= tolerance, worst
    return worst


def with_gemmi(block):
    small = gemmi.make_small_structure_from_block(block)
    sites = small.get_all_unit_cell_sites()
    cell = np.array(small.cell.orth.mat.tolist()).T
    numbers = [1 if s.element.name == "D" else s.element.atomic_number for s in sites]
    return numbers, np.array([s.fract.tolist() for s in sites]), cell


def expand(text, tolerance=1e-9, change=None, group=None):
    """The frames of a CIF file: [(numbers, Cartesian positions, cell)], and the groups that spglib finds."""
    frames, groups = [], []
    for block in gemmi.cif.read_string(change(text) if change else text):
        if not block.find(["_atom_site_fract_x"]):
            continue
        numbers, frac, cell = with_gemmi(block)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms = ase.io.read(io.StringIO(block.as_string()), format="cif", fractional_occupancies=False)
        assert np.allclose(atoms.cell, cell, atol=1e-9)
        same_atoms(numbers, frac, list(atoms.numbers), atoms.get_scaled_positions(), cell, max(tolerance, 1e-6))
        found = spglib.get_symmetry_dataset((cell, frac, numbers), symprec=1e-2).number
        declared = gemmi.make_small_structure_from_block(block).spacegroup
        if group is not None or declared is not None:
            assert found == (group or declared.number), (found, declared)
        groups.append(str(found))
        frames.append((numbers, frac @ cell, cell))
    return frames, groups


# ---------------------------------------------------------------- CIF texts

CELL = ("_cell_length_a {}\n_cell_length_b {}\n_cell_length_c {}\n"
        "_cell_angle_alpha {}\n_cell_angle_beta {}\n_cell_angle_gamma {}\n")


def symmetry(name, old=True):
    sg = gemmi.find_spacegroup_by_name(name)
    tag = "_symmetry_equiv_pos_as_xyz" if old else "_space_group_symop_operation_xyz"
    head = f"_symmetry_space_group_name_H-M '{sg.hm}'\n" if old else f"_space_group_name_H-M_alt '{sg.xhm()}'\n_space_group_IT_number {sg.number}\n"
    return head + f"loop_\n{tag}\n" + "".join(f"'{op.triplet()}'\n" for op in sg.operations())


SITES = "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"


def crystal(name, cell, group, atoms, old=True, head=SITES):
    return f"data_{name}\n" + CELL.format(*cell) + symmetry(group, old) + head + "".join(a + "\n" for a in atoms)


UREA = crystal("urea", ("5.5890(10)", "5.5890(10)", "4.6947(8)", 90, 90, 90), "P -4 21 m", [
    "C1 C 0.0000 0.5000 0.3280(4)", "O1 O 0.0000 0.5000 0.5962(3)", "N1 N 0.1459(3) 0.6459(3) 0.1766(4)",
    "H1 H 0.2575(6) 0.7575(6) 0.2827(11)", "H2 H 0.1441(6) 0.6441(6) -0.0380(9)"])
SALT = crystal("salt", ("5.6402(2)", "5.6402(2)", "5.6402(2)", 90, 90, 90), "F m -3 m",
               ["Na1 Na1+ 0 0 0", "Cl1 Cl1- 0.5 0.5 0.5"], old=False)
QUARTZ = crystal("quartz", ("4.9137", "4.9137", "5.4047", 90, 90, 120), "P 32 2 1",
                 ["Si1 Si4+ .4697(1) 0 .66667", "O1 O2- .4135(3) .2669(2) .7858(2)"])
BORON_NITRIDE = crystal("hBN", ("2.5040", "2.5040", "6.6612", 90, 90, 120), "P 63/m m c",
                        ["B1 B 0.3333 0.6667 0.25", "N1 N 0.6667 0.3333 0.25"])
CALCITE = crystal("calcite", ("4.9900", "4.9900", "17.0615", 90, 90, 120), "R -3 c:H",
                  ["Ca1 Ca 0 0 0", "C1 C 0 0 0.25", "O1 O 0.2578 0 0.25"], old=False)
ICE = crystal("ice_VIII", ("4.656", "4.656", "6.775", 90, 90, 90), "I 41/a m d:2",
              ["O1 O 0 0.25 0.1071", "D1 D 0 0.4157 0.1935"])
BENZENE = crystal("benzene", ("7.390", "9.420", "6.810", 90, 90, 90), "P b c a", [
    "C1 C -0.0569 0.1387 -0.0054", "C2 C -0.1335 0.0460 0.1264", "C3 C -0.0774 -0.0925 0.1295",
    "H1 H -0.0976 0.2447 -0.0177", "H2 H -0.2409 0.0794 0.2218", "H3 H -0.1371 -0.1631 0.2312"])
TRICLINIC = crystal("formamide", ("3.604", "9.041", "6.994", "84.3", "100.5", "77.2"), "P -1", [
    "N1 N 0.2880 0.4336 0.3030", "C1 C 0.2010 0.3120 0.2210", "O1 O 0.2380 0.1870 0.2970", "H1 H 0.2460 0.5230 0.2430",
    "H2 H 0.3800 0.4290 0.4170", "H3 H 0.1030 0.3230 0.0890"])


def labels_only(text):
    """The atoms without their type symbols, with the fields that ? and . leave open."""
    lines = text.replace("_atom_site_type_symbol\n", "").replace("_atom_site_fract_z\n", "_atom_site_fract_z\n_atom_site_occupancy\n"
                                                                "_atom_site_disorder_group\n").splitlines()
    at = lines.index("_atom_site_disorder_group") + 1
    return "\n".join(lines[:at] + [" ".join(line.split()[:1] + line.split()[2:]) + (" ? ." if i % 2 else " 1.000(5) .")
                                   for i, line in enumerate(lines[at:])]) + "\n"


def dressed(text):
    """The same content with everything that CIF allows: comments, cases, text fields, quotes, several words on a line."""
    text = text.replace("data_", "#\\#CIF_1.1\n# a comment with data_ and loop_\nDATA_").replace("_cell_length_b", "_CELL_Length_B")
    text = text.replace("loop_\n_symmetry", "_publ_section_title\n;a title; with 'quotes' and\n loop_\n data_nothing\n_cell_length_a 3\n;\n"
                        "_publ_author_name 'N,N'-Dimethyl, a.k.a. \"N\"'\nloop_ # behind a word\n_symmetry")
    return text.replace("loop_\n_atom", "_chemical_name_common \"it's\"\nLoop_\n_atom").replace("\n", "\r\n")


def cartesian(text):
    block = gemmi.cif.read_string(text).sole_block()
    small = gemmi.make_small_structure_from_block(block)
    out = text[: text.index("loop_\n_atom_site_label")] + SITES.replace("fract", "Cartn")
    return out + "".join(f"{s.label} {s.element.name} " + " ".join(f"{v:.12f}" for v in small.cell.orthogonalize(s.fract).tolist()) + "\n"
                         for s in small.sites)


def good(add, frame):
    def cif(name, text, oracle_text=None, what="", tolerance=1e-9, group=None):
        frames, groups = expand(oracle_text or text, tolerance, group=group)
        oracle = "gemmi, ase" + (f" after {what}" if what else "") + "; spglib finds group " + " ".join(groups)
        add(name, text, "cif", oracle, [frame(z, x, 0, 1, c, (1, 1, 1)) for z, x, c in frames], tolerance)

    for name in COD:
        data = (HERE / name).read_bytes()
        text = (gzip.decompress(data) if name.endswith(".gz") else data).decode("latin-1")
        frames, groups = expand(text)
        add(name, data, "cif", "gemmi, ase; spglib finds group " + " ".join(groups),
            [frame(z, x, 0, 1, c, (1, 1, 1)) for z, x, c in frames], 1e-9)
    cif("urea.cif", UREA)
    cif("salt.cif", SALT)
    cif("quartz.cif", QUARTZ, tolerance=1e-4)
    cif("boron_nitride.cif", BORON_NITRIDE, tolerance=3e-4)
    cif("calcite.cif", CALCITE)
    cif("ice_VIII.cif", ICE)
    cif("benzene.cif", BENZENE)
    cif("formamide.cif", TRICLINIC)
    cif("labels.cif", labels_only(TRICLINIC), TRICLINIC, "adding type symbols")
    cif("dressed.cif", dressed(UREA), UREA, "undressing it")
    cif("cartesian.cif", cartesian(TRICLINIC), TRICLINIC, "making it fractional")
    cif("blocks.cif", "data_global\n_journal_year 2026\n" + UREA + "data_powder\nloop_\n_pd_meas_counts_total\n1 2 3\n" + TRICLINIC + BENZENE)
    ddlm = TRICLINIC.replace("_atom_site_", "_atom_site.").replace("_cell_", "_cell.").replace("_symmetry_equiv_pos_as", "_space_group_symop.operation")
    cif("ddlm.cif", ddlm, TRICLINIC, "replacing the dots")
    one = "data_argon\n" + CELL.format(3.75, 3.75, 3.75, 60, 60, 60) + "_space_group_IT_number 1\n_atom_site_label Ar1\n" + "".join(
        f"_atom_site_fract_{c} 0.25\n" for c in "xyz")
    cif("one_atom.cif", one, one[: one.index("_atom_site")] + SITES + "Ar1 Ar 0.25 0.25 0.25\n", "writing a loop", group=225)
    both = TRICLINIC.replace("loop_\n_symmetry", "loop_\n_space_group_symop_operation_xyz\nx,y,z\n-x,-y,-z\nloop_\n_symmetry")
    cif("both_lists.cif", both, TRICLINIC, "removing the second list")
    out = io.BytesIO()
    atoms = ase.io.read(io.StringIO(TRICLINIC), format="cif")
    ase.io.write(out, atoms, format="cif")
    cif("ase_written.cif", out.getvalue().decode(), tolerance=1e-9, group=2)
    ambiguous = labels_only(TRICLINIC).replace("\nC1 ", "\nCO ").replace("\nN1 ", "\nNA2 ").replace("_cell_length_a", "_chemical_formula_sum 'C H3 N O'\n_cell_length_a")
    cif("ambiguous_labels.cif", ambiguous, TRICLINIC, "adding type symbols")
    empty = TRICLINIC.replace("z\nN1", "z\n_atom_site_occupancy\nN1") + "X9 X 0.5 0.5 0.5 0\n"
    for line in ("N1", "C1", "O1", "H1", "H2", "H3"):
        start = empty.index(f"\n{line} ") + 1
        end = empty.index("\n", start)
        empty = empty[:end] + " 1" + empty[end:]
    cif("empty_site.cif", empty, TRICLINIC, "removing the empty site")
    add("cartesian_molecule.cif", "data_water\n" + SITES.replace("fract", "Cartn") + "O1 O 0 0 0.1\nH1 H 0.76 0 -0.47\nH2 H -0.76 0 -0.47\n",
        "cif", "hand", [frame([8, 1, 1], [[0, 0, 0.1], [0.76, 0, -0.47], [-0.76, 0, -0.47]])], 0.0)


def line_of(text, words):
    return text[: text.index(words)].count("\n") + 1


def bad(add, frame, error):
    frames, _ = expand(TRICLINIC)
    fine = frame(frames[0][0], frames[0][1], 0, 1, frames[0][2], (1, 1, 1))

    def broken(name, old, new, at=None, text=TRICLINIC):
        changed = text.replace(old, new, 1)
        assert changed != text, name
        add(name, changed + TRICLINIC, "cif", "hand", [error(line_of(changed, at or new)), fine], 1e-9)

    block = "data_formamide"
    broken("bad_occupancy.cif", "z\nN1 N 0.2880 0.4336 0.3030\n", "z\n_atom_site_occupancy\nN1 N 0.2880 0.4336 0.3030 0.5\n", "N1 N")
    broken("bad_no_coordinate.cif", "0.1030 0.3230 0.0890", "? ? .")
    broken("bad_coordinate.cif", "0.3120", "0.31x0")
    broken("bad_coordinate_nan.cif", "0.3120", "nan")
    broken("bad_coordinate_far.cif", "0.3120", "1e200")
    broken("bad_symbol.cif", "C1 C ", "C1 Cx ")
    broken("bad_label.cif", "C1 C ", "?1 ? ")
    broken("bad_operation.cif", "'-x,-y,-z'", "'-x,-y,-w'")
    broken("bad_operation_singular.cif", "'-x,-y,-z'", "'x,x,z'")
    broken("bad_operation_fit.cif", "'-x,-y,-z'", "'y,x,z'", block)
    broken("bad_no_identity.cif", "'x,y,z'\n", "", block)
    broken("bad_cell_angles.cif", "84.3", "184.3", block)
    broken("bad_cell_flat.cif", "_cell_angle_alpha 84.3\n_cell_angle_beta 100.5", "_cell_angle_alpha 20\n_cell_angle_beta 20", block)
    broken("bad_cell_length.cif", "9.041", "-9.041", block)
    broken("bad_cell_missing.cif", "_cell_length_b 9.041\n", "", block)
    broken("bad_cell_huge.cif", "9.041", "1e308", block)
    broken("bad_row.cif", "H3 H 0.1030 0.3230 0.0890", "H3 H 0.1030 0.3230")
    broken("bad_text_value.cif", "_cell_length_b 9.041\n", "_cell_length_b\n", "_cell_length_c")
    broken("bad_save.cif", "loop_\n_symmetry", "save_frame\nloop_\n_symmetry")
    broken("bad_loop.cif", "loop_\n_symmetry", "loop_\nloop_\n_symmetry", "loop_")
    broken("bad_quote.cif", "'-x,-y,-z'", "'-x,-y,-z")
    broken("bad_mmcif.cif", "loop_\n_atom_site_label", "loop_\n_atom_site.group_PDB\nATOM\nloop_\n_atom_site_label", "ATOM")
    broken("bad_magnetic.cif", "loop_\n_atom_site_label", "loop_\n_space_group_symop_magn_operation.xyz\nx,y,z,+1\nloop_\n_atom_site_label", "x,y,z,+1")
    broken("bad_modulated.cif", "_cell_length_b", "_cell_modulation_dimension 1\n_cell_length_b", block)
    start = TRICLINIC.index("loop_\n_symmetry")
    listed = TRICLINIC[start:TRICLINIC.index("loop_\n_atom")]
    broken("bad_not_listed.cif", listed, "", block)
    broken("bad_near_centre.cif", "H3 H 0.1030 0.3230 0.0890", "H3 H 0.0100 0.0100 0.0200")
    broken("bad_ambiguous.cif", "C1 C ", "CO ? ")
    broken("bad_no_atoms.cif", TRICLINIC[TRICLINIC.index("N1 N"):], "X9 . 0.5 0.5 0.5\n")
    text = "_cell_length_a 3\n" + TRICLINIC
    add("bad_before_data.cif", "#\\#CIF_1.1\n" + text, "cif", "hand", [error(2), fine], 1e-9)
    cut = TRICLINIC + "data_second\n_publ_section_title\n;\nnever closed\n"
    add("bad_open_text.cif", cut, "cif", "hand", [fine, error(line_of(cut, ";\nnever"))], 1e-9)
    many = "".join(f"'x+{i}/1000,y,z'\n" for i in range(2, 400, 2))
    broken("bad_many_operations.cif", "'-x,-y,-z'\n", many, "x+384/1000")


# ---------------------------------------------------------------- POSCAR

def poscars(add, frame, error):
    frames, _ = expand(TRICLINIC)
    atoms = ase.Atoms(sorted(frames[0][0]), [x for _, x in sorted(zip(frames[0][0], frames[0][1].tolist()))], cell=frames[0][2], pbc=True)

    def written(**kwargs):
        out = io.StringIO()
        ase.io.write(out, atoms, format="vasp", **kwargs)
        return out.getvalue()

    def poscar(name, text, oracle_text=None, what=""):
        a = ase.io.read(io.StringIO(oracle_text or text), format="vasp")
        add(name, text, "poscar", "ase" + (f" after {what}" if what else ""), [frame(a.numbers, a.positions, 0, 1, a.cell.array, (1, 1, 1))], 1e-12)

    direct, cart = written(direct=True), written(direct=False)
    poscar("POSCAR", direct)
    poscar("cartesian.vasp", cart)
    lines = direct.splitlines()
    poscar("scaled.vasp", "\n".join([lines[0], " 1.25", *lines[2:]]))
    poscar("volume.vasp", "\n".join([lines[0], " -200.0", *lines[2:]]))
    clines = cart.splitlines()
    poscar("scaled_cartesian.vasp", "\n".join([clines[0], " 1.25", *clines[2:]]))
    from ase.constraints import FixAtoms
    atoms.set_constraint(FixAtoms([0, 2]))
    poscar("selective.vasp", written(direct=True))
    atoms.set_constraint()
    poscar("CONTCAR", direct + "\n" + "  0.1E-02  0.2E-02  0.3E-02\n" * len(atoms))
    poscar("velocities_cartesian.vasp", cart + "Cartesian\n" + "  0.1E-02  0.2E-02  0.3E-02\n" * len(atoms))
    symbols = lines[5]
    poscar("potcar_names.vasp", direct.replace(symbols, " ".join(s + "_pv" if i else s + "/4b0d7c2c7f" for i, s in enumerate(symbols.split()))),
           direct, "shortening the names")
    poscar("comments.vasp", direct.replace("Direct", "direct lattice").replace("\n", "\r\n"), direct, "removing the comments")
    thrice = [[float(w) * s for w, s in zip(line.split(), (1.1, 0.9, 1.05))] for line in lines[2:5]]
    poscar("three_scales.vasp", "\n".join([lines[0], "1.1 0.9 1.05", *lines[2:]]),
           "\n".join([lines[0], "1.0", *(" ".join(repr(v) for v in t) for t in thrice), *lines[5:]]), "scaling the vectors")

    def refused(name, text, at):
        add(name, text, "poscar", "hand", [error(at)], 1e-12)

    refused("bad_vasp4.vasp", "\n".join(lines[:5] + lines[6:]), 6)
    refused("bad_element.vasp", direct.replace(symbols, symbols.replace("N", "Q")), 6)
    refused("bad_scale.vasp", "\n".join([lines[0], "0.0", *lines[2:]]), 2)
    refused("bad_vectors.vasp", "\n".join([*lines[:4], lines[3], *lines[5:]]), 5)
    refused("bad_count_missing.vasp", "\n".join([*lines[:6], lines[6].split()[0], *lines[7:]]), 7)
    refused("bad_count_more.vasp", "\n".join([*lines[:6], lines[6] + " 3", *lines[7:]]), 7)
    refused("bad_count_huge.vasp", "\n".join([*lines[:6], " ".join(["2000000000"] * len(symbols.split())), *lines[7:]]), 7)
    refused("bad_count_zero.vasp", "\n".join([*lines[:6], " ".join(["0"] * len(symbols.split())), *lines[7:]]), 7)
    refused("bad_mode.vasp", direct.replace("Direct", "Fractional"), 8)
    refused("bad_xdatcar.vasp", direct.replace("Direct", "Direct configuration=     1"), 8)
    refused("bad_coordinate.vasp", "\n".join([*lines[:9], "0.1 0.2 ****", *lines[10:]]), 10)
    refused("bad_cut.vasp", "\n".join(lines[:-1]) + "\n", len(lines))
    refused("bad_more_atoms.vasp", direct + lines[-1] + "\n", len(lines) + 1)
    refused("bad_cut_header.vasp", "\n".join(lines[:6]) + "\n", 7)


def crystals(add, frame, error):
    good(add, frame)
    bad(add, frame, error)
    poscars(add, frame, error)
