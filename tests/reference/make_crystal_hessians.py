# SPDX-License-Identifier: MIT
"""Writes tests/golden/crystal_hessians.txt: Hessian-vector products of the Python reference in float64 for the structures of
make_crystals.py with the default model, at the Gamma point, through the charges.

The directions are v_k = cos((d + 1)(k + 1)), d = 0, 1, 2, over the 3N coordinates. Lattice sums are asked for 1e-10, so that what the method
itself leaves out is far below the 1e-7 eV/A^2 of the comparison. The mesh of the reference's PME is not that good: its products are compared
within PME's accuracy, and its line carries how far they are from its own Ewald sum.

Usage: python make_crystal_hessians.py      (see requirements.txt)

File format: lines of words; for every case
  product COULOMB PARAMETER DISPERSION NAME N DISTANCE   parameter: cutoff (DSF) or accuracy; dispersion 0 or 1; then 3N lines of three
                                                         numbers, eV/A^2, one for each direction. DISTANCE: from the Ewald sum, PME only
"""
import make_crystals
import truth

ACCURACY = 1e-10
CASES = [("dsf", 15.0, 1, name) for name in ("ammonium_chloride", "ammonium_ion", "ice", "formamide", "slab", "wire")] + \
    [("dsf", 8.0, 0, name) for name in ("ammonium_ion", "formamide")] + \
    [("ewald", ACCURACY, d, name) for d, name in ((1, "ammonium_chloride"), (1, "ammonium_ion"), (1, "ice"), (0, "formamide"))] + \
    [("pme", ACCURACY, 0, name) for name in ("ammonium_chloride", "ammonium_ion", "formamide")]


def products(coulomb, parameter, dispersion, item):
    torch, np = truth.torch, truth.np
    numbers, x, cell, pbc, charge = item
    options = {"coulomb": coulomb, "coulomb_cutoff" if coulomb == "dsf" else "ewald_accuracy": parameter, "needs_dispersion": dispersion}
    reference = truth.Reference(make_crystals.ROOT / "data/default.pt", options)
    data = {"coord": torch.tensor(x), "numbers": torch.tensor(np.asarray(numbers, dtype="int32")), "charge": torch.tensor([float(charge)]),
            "cell": torch.tensor(np.ascontiguousarray(cell)), "pbc": torch.tensor([bool(p) for p in pbc])}
    k = np.arange(1, 3 * len(numbers) + 1)
    v = np.array([np.cos((d + 1) * k) for d in range(3)]).reshape(3, -1, 3)
    hv = reference.calc.hessian_vector_product(data, torch.tensor(v))
    assert hv.dtype == torch.float64
    return hv.detach().numpy().reshape(3, -1).T


def main():
    truth.setup("float64")
    np, items, lines = truth.np, make_crystals.build(), []
    for case in CASES:
        hv, distance = products(*case[:3], items[case[3]]), 0.0
        if case[0] == "pme":
            distance = np.abs(hv - products("ewald", *case[1:3], items[case[3]])).max()
        print(*case, hv[0], distance, flush=True)
        lines.append("product %s %g %d %s %d %.1e" % (*case, len(hv) // 3, distance))
        lines += [" ".join("%.12g" % v for v in row) for row in hv]
    (make_crystals.ROOT / "tests/golden/crystal_hessians.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


main()
