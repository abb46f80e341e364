# SPDX-License-Identifier: MIT
"""The Python package against the command's own numbers, the reference's shapes and ASE. Needs numpy; what needs ASE is skipped without it.

Environment: AIMNETC_LIBRARY (libaimnet), AIMNET (the command), LAYOUT (the program of layout.c), SOURCE (root of the sources).
Exit status 77: skipped, because numpy is missing.
"""
import json
import os
import pathlib
import pickle
import subprocess
import sys
import threading
import time
import unittest
import warnings

try:
    import numpy as np
except ImportError:
    print("numpy is not installed: skipped")
    sys.exit(77)

SOURCE = pathlib.Path(os.environ["SOURCE"])
sys.path.insert(0, str(SOURCE / "python"))
import aimnetc  # noqa: E402
from aimnetc import _lib  # noqa: E402

try:
    import ase
except ImportError:
    ase = None

WATER = {"coord": [[0.0, 0.0, 0.0], [0.76, 0.58, 0.0], [-0.72, 0.58, 0.0]], "numbers": [8, 1, 1], "charge": 0}
METHANE = {"coord": [[0, 0, 0], [0.63, 0.63, 0.63], [-0.63, -0.63, 0.63], [-0.63, 0.63, -0.63], [0.63, -0.63, -0.63]],
           "numbers": [6, 1, 1, 1, 1], "charge": 0}


def arrays(data):
    return {k: np.array(v, float if k in ("coord", "cell") else None) for k, v in data.items()}


class Library(unittest.TestCase):
    def test_version_is_that_of_the_command(self):
        out = subprocess.run([os.environ["AIMNET"], "--version"], stdout=subprocess.PIPE, check=True, text=True).stdout
        self.assertEqual(out.split()[1], aimnetc.__version__)


class Calculator(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.calc = aimnetc.AIMNet2Calculator(precision="double")

    def test_numbers_are_those_of_the_command(self):
        file = SOURCE / "tests/golden/molecules/ethanol.xyz"
        out = subprocess.run([os.environ["AIMNET"], "energy", "--json", "--forces", "--charges", "--precision", "double", str(file)],
                             stdout=subprocess.PIPE, check=True, text=True)
        command = json.loads(out.stdout)
        rows = [line.split() for line in file.read_text().split("\n")[2:] if line]
        symbols = {"C": 6, "H": 1, "O": 8}
        here = self.calc({"coord": [[float(x) for x in r[1:4]] for r in rows], "numbers": [symbols[r[0]] for r in rows], "charge": 0}, forces=True)
        self.assertEqual(here["energy"][0], command["energy"])
        np.testing.assert_array_equal(here["forces"], command["forces"])
        np.testing.assert_array_equal(here["charges"], command["charges"])

    def test_shapes_are_those_of_the_reference(self):
        w = arrays(WATER)
        one = self.calc(w, forces=True)
        self.assertEqual({k: v.shape for k, v in one.items()}, {"energy": (1,), "charges": (3,), "forces": (3, 3)})
        two = self.calc({"coord": np.stack([w["coord"]] * 2), "numbers": np.stack([w["numbers"]] * 2), "charge": [0, 0]}, forces=True)
        self.assertEqual({k: v.shape for k, v in two.items()}, {"energy": (2,), "charges": (2, 3), "forces": (2, 3, 3)})
        np.testing.assert_array_equal(two["forces"][1], one["forces"])
        m = arrays(METHANE)
        flat = self.calc({"coord": np.concatenate([w["coord"], m["coord"]]), "numbers": np.concatenate([w["numbers"], m["numbers"]]),
                          "charge": 0, "mol_idx": [0] * 3 + [1] * 5}, forces=True)
        self.assertEqual({k: v.shape for k, v in flat.items()}, {"energy": (2,), "charges": (8,), "forces": (8, 3)})
        np.testing.assert_array_equal(flat["forces"][3:], self.calc(m, forces=True)["forces"])
        cell = self.calc({**w, "cell": np.eye(3) * 9}, forces=True, stress=True)
        self.assertEqual(cell["stress"].shape, (3, 3))

    def test_padding_rows_are_nothing(self):
        w = arrays(WATER)
        coord = np.concatenate([w["coord"], np.zeros((2, 3))])[None]
        out = self.calc({"coord": coord, "numbers": [[8, 1, 1, 0, 0]], "charge": 0}, forces=True)
        self.assertEqual(out["energy"][0], self.calc(w)["energy"][0])
        self.assertFalse(out["forces"][0, 3:].any() or out["charges"][0, 3:].any())

    def test_forces_are_slopes_and_stress_too(self):
        h, data = 1e-4, {**arrays(METHANE), "cell": np.diag([6.0, 6.5, 7.0]), "pbc": [True] * 3}
        self.calc.set_lrcoulomb_method("dsf", cutoff=8.0)
        out = self.calc(data, forces=True, stress=True)

        def energy(**change):
            return self.calc({**data, **change})["energy"][0]
        for i, d in ((0, 0), (3, 2)):
            step = np.zeros_like(data["coord"])
            step[i, d] = h
            slope = (energy(coord=data["coord"] + step) - energy(coord=data["coord"] - step)) / (2 * h)
            self.assertAlmostEqual(-slope, out["forces"][i, d], delta=1e-5)
        strain = np.zeros((3, 3))
        strain[0, 1] = strain[1, 0] = h / 2
        up, down = (energy(coord=data["coord"] @ (np.eye(3) + s * strain), cell=data["cell"] @ (np.eye(3) + s * strain)) for s in (1, -1))
        self.assertAlmostEqual((up - down) / (2 * h) / np.linalg.det(data["cell"]), out["stress"][0, 1], delta=1e-6)
        self.calc.set_lrcoulomb_method("simple")

    def test_mistakes_are_exceptions_with_the_message_of_the_library(self):
        bad = arrays(WATER)
        bad["coord"][1] = bad["coord"][0]
        with self.assertRaisesRegex(aimnetc.StructureError, "overlap"):
            self.calc(bad)
        with self.assertRaisesRegex(aimnetc.StructureError, "structure 1: .*Uuo|structure 1: .*118|structure 1: .*Og"):
            self.calc({"coord": [[[0.0, 0, 0]], [[0.0, 0, 0]]], "numbers": [[2 - 1], [118]], "charge": [1, 0]})
        with self.assertRaises(aimnetc.ModelFileError):
            aimnetc.AIMNet2Calculator("/no/such/model.pt")
        with self.assertRaisesRegex(ValueError, "compile_model"):
            aimnetc.AIMNet2Calculator(compile_model=True)
        for data in ({**WATER, "numbers": [8, 1]}, {**WATER, "mol_idx": [0, 2, 2]}, {**WATER, "charge": [0, 0]}, {**WATER, "cell": np.eye(2)},
                     {**WATER, "coord": np.zeros(9)}):
            with self.assertRaises(ValueError):
                self.calc(data)
        with self.assertRaises(KeyError):
            self.calc({"coord": WATER["coord"]})
        with self.assertRaisesRegex(NotImplementedError, "nbmat"):
            self.calc({**WATER, "nbmat": np.zeros((4, 16))})
        with self.assertRaises(aimnetc.ArgumentError):
            self.calc.set_lrcoulomb_method("dsf", cutoff=-1)
        self.assertEqual(self.calc.coulomb_method, "simple")

    def test_arrays_in_device_memory_are_refused(self):
        class Device:
            def __dlpack_device__(self):
                return (2, 0)
        with self.assertRaisesRegex(TypeError, r"coord.*device memory.*\.cpu\(\)"):
            self.calc({**WATER, "coord": Device()})

    def test_imports_of_model_code_are_refused_by_name(self):
        with self.assertRaisesRegex(ValueError, "model_import_paths.*nothing is imported"):
            aimnetc.AIMNet2Calculator(model_import_paths=["package.Model"])
        with self.assertRaisesRegex(ValueError, "model_import_mode.*nothing is imported"):
            aimnetc.AIMNet2Calculator(model_import_mode="unsafe")

    def test_settings_are_the_reference_s(self):
        calc = aimnetc.AIMNet2Calculator(nb_threshold=50)
        self.assertEqual((calc.coulomb_method, calc.coulomb_cutoff, calc.dftd3_cutoff), ("simple", float("inf"), 15.0))
        self.assertTrue(calc.has_external_coulomb and calc.has_external_dftd3)
        calc.set_lrcoulomb_method("dsf", cutoff=12.0)
        calc.set_dftd3_cutoff(10.0, smoothing_fraction=0.3)
        self.assertEqual((calc.coulomb_method, calc.coulomb_cutoff, calc.dftd3_cutoff, calc.cutoff_lr), ("dsf", 12.0, 10.0, 12.0))
        bare = aimnetc.AIMNet2Calculator(needs_coulomb=False, needs_dispersion=False)
        self.assertFalse(bare.has_external_coulomb or bare.has_external_dftd3)
        self.assertNotEqual(bare(WATER)["energy"][0], calc(WATER)["energy"][0])

    def test_pickles_compute_the_same(self):
        calc = aimnetc.AIMNet2Calculator()
        calc.set_lrcoulomb_method("dsf", cutoff=9.0)
        copy = pickle.loads(pickle.dumps(calc))
        self.assertEqual(copy(METHANE)["energy"][0], calc(METHANE)["energy"][0])
        self.assertEqual(copy.coulomb_cutoff, 9.0)

    def test_threads_may_share_a_calculator(self):
        expected, wrong = [self.calc(d)["energy"][0] for d in (WATER, METHANE)], []

        def work(k):
            for _ in range(20):
                if self.calc((WATER, METHANE)[k])["energy"][0] != expected[k]:
                    wrong.append(k)
        workers = [threading.Thread(target=work, args=(k % 2,)) for k in range(4)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
        self.assertEqual(wrong, [])

    def test_ensembles_have_deviations(self):
        model = SOURCE / "data/default.pt"
        out = aimnetc.AIMNet2Calculator([model, "default"])(WATER, forces=True)
        self.assertEqual(out["forces_std"].shape, (3, 3))
        self.assertEqual(out["energy_std"][0], 0.0)

    def test_models_can_be_looked_into(self):
        model = aimnetc.Model(SOURCE / "data/default.pt")
        self.assertEqual(model.describe()["sha256"], model.sha256)
        self.assertIn(6, model.species)
        self.assertEqual(model.metadata["cutoff"], model.cutoff)
        self.assertIn("AIMNet2", str(model))
        self.assertEqual(pickle.loads(pickle.dumps(model)).name, model.name)


class Lists(unittest.TestCase):
    def test_pairs_are_those_of_brute_force(self):
        rng = np.random.default_rng(3)
        coord, cell, cutoff = rng.normal(scale=3, size=(12, 3)), np.array([[4.0, 0, 0], [1, 5, 0], [0, 1, 6]]), 4.5
        pairs = aimnetc.neighbor_list(coord, cutoff, cell)
        grid = np.stack(np.meshgrid(*[np.arange(-8, 9)] * 3, indexing="ij"), -1).reshape(-1, 3)
        d = np.linalg.norm(coord[None, :, None] + (grid @ cell)[None, None] - coord[:, None, None], axis=-1)
        expected = (d < cutoff) & (d > 0)
        self.assertEqual(len(pairs.i), expected.sum())
        np.testing.assert_allclose(pairs.vector, coord[pairs.j] + pairs.shift @ cell - coord[pairs.i])
        np.testing.assert_allclose(pairs.distance, np.linalg.norm(pairs.vector, axis=1))
        wrapped, shifts = aimnetc.wrap(coord, cell)
        np.testing.assert_allclose(wrapped + shifts @ cell, coord)
        self.assertTrue((wrapped @ np.linalg.inv(cell) > -1e-12).all())
        with self.assertRaises(aimnetc.ArgumentError):
            aimnetc.neighbor_list(coord, -1.0)


class Optimiser(unittest.TestCase):
    def test_structures_converge_together(self):
        calc = aimnetc.AIMNet2Calculator(precision="double")
        steps = []
        results = aimnetc.optimize(calc, [WATER, METHANE], level="tight", callback=steps.append)
        self.assertTrue(all(r.converged and r.fmax < 1e-3 for r in results))
        self.assertEqual(len(steps), max(r.n_evaluations for r in results))
        self.assertEqual(calc({**WATER, "coord": results[0].coord})["energy"][0], results[0].energy)
        fixed = aimnetc.optimize(calc, {**WATER, "frozen": [True, False, True]})[0]
        np.testing.assert_array_equal(fixed.coord[[0, 2]], np.array(WATER["coord"])[[0, 2]])
        self.assertEqual(aimnetc.optimize(calc, WATER, max_steps=0)[0].verdict, "not converged")
        with self.assertRaises(ValueError):
            aimnetc.optimize(calc, WATER, level="finest")
        with self.assertRaisesRegex(aimnetc.StructureError, "periodic"):
            aimnetc.optimize(calc, WATER, cell="full")


@unittest.skipIf(ase is None, "ASE is not installed")
class AseCalculator(unittest.TestCase):
    def setUp(self):
        self.atoms = ase.Atoms([8, 1, 1], WATER["coord"])
        self.atoms.calc = aimnetc.AIMNet2ASE(aimnetc.AIMNet2Calculator(precision="double"))

    def test_nothing_is_stale(self):
        neutral = self.atoms.get_potential_energy()
        self.atoms.info["charge"] = 1
        cation = self.atoms.get_potential_energy()
        self.assertNotEqual(neutral, cation)
        self.assertEqual(self.atoms.calc.base_calc({**WATER, "charge": 1})["energy"][0], cation)
        del self.atoms.info["charge"]
        self.assertEqual(self.atoms.get_potential_energy(), neutral)
        self.atoms.calc.set_charge(1)
        self.assertEqual(self.atoms.get_potential_energy(), cation)
        self.atoms.calc.set_charge(0)
        self.atoms.calc.base_calc.set_lrcoulomb_method("dsf", cutoff=5.0)
        self.assertNotEqual(self.atoms.get_potential_energy(), neutral)

    def test_properties(self):
        atoms = self.atoms
        self.assertEqual(atoms.get_potential_energy(force_consistent=True), atoms.get_potential_energy())
        self.assertAlmostEqual(atoms.get_charges().sum(), 0, places=4)
        np.testing.assert_allclose(atoms.get_dipole_moment(), atoms.get_charges() @ atoms.positions)
        with self.assertRaises(ase.calculators.calculator.PropertyNotImplementedError):
            atoms.get_stress()
        with self.assertRaises(ValueError):
            atoms.calc.set_atoms(ase.Atoms("U"))

    def test_forces_and_stress_pass_the_numerical_tests_of_ase(self):
        from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
        atoms = ase.Atoms([6, 1, 1, 1, 1], METHANE["coord"], cell=[6, 6.4, 7], pbc=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms.calc = aimnetc.AIMNet2ASE(aimnetc.AIMNet2Calculator(precision="double"))
            np.testing.assert_allclose(calculate_numerical_forces(atoms, eps=1e-4), atoms.get_forces(), atol=1e-5)
            np.testing.assert_allclose(calculate_numerical_stress(atoms, eps=1e-5), atoms.get_stress(), atol=2e-6)

    def test_bfgs_and_dynamics_run(self):
        from ase import units
        from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
        from ase.md.verlet import VelocityVerlet
        from ase.optimize import BFGS
        self.assertTrue(BFGS(self.atoms, logfile=None).run(fmax=0.005, steps=50))
        MaxwellBoltzmannDistribution(self.atoms, temperature_K=300, rng=np.random.default_rng(1))
        start = self.atoms.get_total_energy()
        VelocityVerlet(self.atoms, 0.25 * units.fs, logfile=None).run(400)
        self.assertLess(abs(self.atoms.get_total_energy() - start), 2e-3)

    def test_pickles(self):
        copy = pickle.loads(pickle.dumps(self.atoms.calc))
        atoms = self.atoms.copy()
        atoms.calc = copy
        self.assertEqual(atoms.get_potential_energy(), self.atoms.get_potential_energy())


if __name__ == "__main__":
    unittest.main(verbosity=1)
