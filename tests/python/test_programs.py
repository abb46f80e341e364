# SPDX-License-Identifier: MIT
"""Other people's programs on our potential: Sella, geomeTRIC, pysisyphus find the transition state of HCN -> HNC; its Hessian has one negative
eigenvalue, and they agree. Each is driven where it is installed; without any of them the tests are skipped (exit status 77).

Environment: AIMNETC_LIBRARY (libaimnet), SOURCE (root of the sources).
"""
import importlib.util
import os
import pathlib
import sys
import tempfile
import unittest

PROGRAMS = [name for name in ("sella", "geometric", "pysisyphus") if importlib.util.find_spec(name)]
if not PROGRAMS:
    print("none of Sella, geomeTRIC and pysisyphus is installed: skipped")
    sys.exit(77)
FOLDER = tempfile.TemporaryDirectory()
os.chdir(FOLDER.name)  # geomeTRIC and pysisyphus leave logs where they run
import numpy as np  # noqa: E402

sys.path.insert(0, str(pathlib.Path(os.environ["SOURCE"]) / "python"))
import aimnetc  # noqa: E402

BOHR, HARTREE = 0.5291772105638411, 27.211386024367243
NUMBERS, SYMBOLS = [6, 7, 1], ["C", "N", "H"]
GUESS = np.array([[0.0, 0, 0], [1.19, 0, 0], [0.48, 1.15, 0]])
BARRIER, SAME = 1.0, 1e-4  # eV: at least this far above HCN; between programs


def missing(name):
    return unittest.skipIf(name not in PROGRAMS, f"{name} is not installed")


class TransitionState(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.calc = aimnetc.AIMNet2Calculator(precision="double")
        linear = {"coord": [[0.0, 0, 0], [1.15, 0, 0], [-1.07, 0, 0]], "numbers": NUMBERS, "charge": 0}
        cls.minimum = aimnetc.optimize(cls.calc, linear, level="tight")[0].energy
        cls.energies = []

    def check(self, coord):
        out = self.calc({"coord": coord, "numbers": NUMBERS, "charge": 0}, forces=True, hessian=True)
        self.assertLess(np.abs(out["forces"]).max(), 0.02)
        eigenvalues = np.linalg.eigvalsh(out["hessian"].reshape(9, 9))
        self.assertEqual((eigenvalues < -0.5).sum(), 1)  # eV/A^2; translations and rotations are far smaller
        self.assertGreater(out["energy"][0] - self.minimum, BARRIER)
        self.energies.append(out["energy"][0])
        self.assertLess(abs(self.energies[-1] - self.energies[0]), SAME)

    @missing("sella")
    def test_sella(self):
        import ase
        from sella import Sella
        atoms = ase.Atoms(NUMBERS, GUESS)
        atoms.calc = aimnetc.AIMNet2ASE(self.calc)
        Sella(atoms, order=1, internal=True, logfile=None, hessian_function=atoms.calc.get_hessian).run(fmax=0.002, steps=100)
        self.check(atoms.positions)

    @missing("geometric")
    def test_geometric(self):
        import geometric.engine
        import geometric.molecule
        import geometric.optimize
        molecule = geometric.molecule.Molecule()
        molecule.elem, molecule.xyzs = SYMBOLS, [GUESS]
        calc = self.calc

        class Engine(geometric.engine.Engine):
            def calc_new(self, coords, dirname):
                out = calc({"coord": coords.reshape(-1, 3) * BOHR, "numbers": NUMBERS, "charge": 0}, forces=True)
                return {"energy": out["energy"][0] / HARTREE, "gradient": -out["forces"].ravel() * BOHR / HARTREE}
        # Hessians at each step: the update of transition states in geomeTRIC 1.1.1 does not run with numpy 2.
        result = geometric.optimize.run_optimizer(customengine=Engine(molecule), transition=True, hessian="each", input="hcn.txt", verbose=-1,
                                                  convergence_set="GAU_TIGHT")
        self.check(result.xyzs[-1])

    @missing("pysisyphus")
    def test_pysisyphus(self):
        from pysisyphus.Geometry import Geometry
        from pysisyphus.tsoptimizers.RSPRFOptimizer import RSPRFOptimizer
        geometry = Geometry(SYMBOLS, GUESS.ravel() / BOHR, coord_type="redund")
        geometry.set_calculator(aimnetc.AIMNet2Pysis(self.calc))
        optimiser = RSPRFOptimizer(geometry, thresh="gau_tight", hessian_recalc=5, max_cycles=60)
        optimiser.run()
        self.assertTrue(optimiser.is_converged)
        self.check(geometry.coords3d * BOHR)


if __name__ == "__main__":
    unittest.main(verbosity=1)
