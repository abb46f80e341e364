# SPDX-License-Identifier: MIT
"""Writes tests/golden/crystal_hessians.txt: Hessian-vector products of the Python reference in float64 for the structures of
make_crystals.py with the default model, at the Gamma point, through the charges.

The directions are v_k = cos((d + 1)(k + 1)), d = 0, 1, 2, over the 3N coordinates. Lattice sums are asked for 1e-10, so that what the method
itself leaves out is far below the 1e-7 eV/A^2 of the comparison.

The reference's PME does not converge that far: its mesh drops spline weights up to 1e-8 (nvalchemiops/math/spline.py), whose second derivatives are
not small, and stays 2e-8 to 6e-7 from its own Ewald sum at any accuracy. Its products are therefore written twice: as they are, with their
distance from the Ewald sum ("pme"), and as a copy of nvalchemiops computes them that keeps all weights ("whole"), which is within 2e-8 at 1e-11.

Usage: python make_crystal_hessians.py      (see requirements.txt; a quarter of an hour)

File format: lines of words; for every case
  product COULOMB PARAMETER DISPERSION NAME N DISTANCE   parameter: cutoff (DSF) or accuracy; dispersion 0 or 1; then 3N lines of three
                                                         numbers, eV/A^2, one for each direction. DISTANCE: from the Ewald sum, "pme" only
"""
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import make_crystals
import truth

ACCURACY = 1e-10
CASES = [("dsf", 15.0, 1, name) for name in ("ammonium_chloride", "ammonium_ion", "ice", "formamide", "slab", "wire")] + \
    [("dsf", 8.0, 0, name) for name in ("ammonium_ion", "formamide")] + \
    [("ewald", ACCURACY, d, name) for d, name in ((1, "ammonium_chloride"), (1, "ammonium_ion"), (1, "ice"), (0, "formamide"))] + \
    [("pme", ACCURACY, 0, name) for name in ("ammonium_chloride", "ammonium_ion", "formamide")]
WHOLE = [("whole", ACCURACY / 10, d, name) for d, name in ((1, "ammonium_chloride"), (0, "ammonium_ion"), (0, "formamide"))]


def keep_all_weights(folder):
    """The package nvalchemiops of this process is a copy, in folder, that drops no spline weights."""
    source = pathlib.Path(importlib.util.find_spec("nvalchemiops").origin).parent
    shutil.copytree(source, pathlib.Path(folder) / "nvalchemiops")
    spline = pathlib.Path(folder) / "nvalchemiops/math/spline.py"
    text = spline.read_text(encoding="utf-8")
    assert text.count(")(1e-8):") == 12
    spline.write_text(text.replace(")(1e-8):", ")(0.0):"), encoding="utf-8")
    os.environ["WARP_CACHE_PATH"] = str(pathlib.Path(folder) / "kernels")
    for name in [m for m in sys.modules if m.split(".")[0] == "nvalchemiops"]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))


def products(coulomb, parameter, dispersion, item):
    torch, np = truth.torch, truth.np
    numbers, x, cell, pbc, charge = item
    options = {"coulomb": "pme" if coulomb == "whole" else coulomb, "coulomb_cutoff" if coulomb == "dsf" else "ewald_accuracy": parameter, "needs_dispersion": dispersion}
    reference = truth.Reference(make_crystals.ROOT / "data/default.pt", options)
    data = {"coord": torch.tensor(x), "numbers": torch.tensor(np.asarray(numbers, dtype="int32")), "charge": torch.tensor([float(charge)]),
            "cell": torch.tensor(np.ascontiguousarray(cell)), "pbc": torch.tensor([bool(p) for p in pbc])}
    k = np.arange(1, 3 * len(numbers) + 1)
    v = np.array([np.cos((d + 1) * k) for d in range(3)]).reshape(3, -1, 3)
    hv = reference.calc.hessian_vector_product(data, torch.tensor(v))
    assert hv.dtype == torch.float64
    return hv.detach().numpy().reshape(3, -1).T


def lines_of(cases):
    truth.setup("float64")
    np, items, lines = truth.np, make_crystals.build(), []
    for case in cases:
        hv, distance = products(*case[:3], items[case[3]]), 0.0
        if case[0] == "pme":
            distance = np.abs(hv - products("ewald", *case[1:3], items[case[3]])).max()
        print(*case, hv[0], distance, file=sys.stderr, flush=True)
        lines.append("product %s %g %d %s %d %.1e" % (*case, len(hv) // 3, distance))
        lines += [" ".join("%.12g" % v for v in row) for row in hv]
    return "".join(line + "\n" for line in lines)


def main():
    output = make_crystals.ROOT / "tests/golden/crystal_hessians.txt"
    if sys.argv[1:] == ["whole"]:
        with tempfile.TemporaryDirectory() as folder:
            keep_all_weights(folder)
            text = lines_of(WHOLE)
        output.write_text(output.read_text(encoding="ascii") + text, encoding="ascii")
        return
    output.write_text(lines_of(CASES), encoding="ascii")
    subprocess.run([sys.executable, __file__, "whole"], check=True)


main()
