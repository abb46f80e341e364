# SPDX-License-Identifier: MIT
"""The Python package against the command's own numbers, the reference's shapes and ASE. Needs numpy; what needs ASE is skipped without it.

Environment: AIMNETC_LIBRARY (libaimnet), AIMNET (the command), SOURCE (root of the sources).
Exit status 77: skipped, because numpy is missing.
"""
import hashlib
import importlib.util
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import tempfile
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
from aimnetc import _arrays, _lib  # noqa: E402

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
        cell = self.calc({**w, "cell": np.eye(3)[None] * 9}, forces=True, stress=True)
        self.assertEqual(cell["stress"].shape, (1, 3, 3))

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
        with self.assertRaisesRegex(ValueError, "model is empty"):
            aimnetc.AIMNet2Calculator([])
        with self.assertRaisesRegex(ValueError, "compile_model"):
            aimnetc.AIMNet2Calculator(compile_model=True)
        for data in ({**WATER, "numbers": [8, 1]}, {**WATER, "numbers": [8.5, 1, 1]}, {**WATER, "mol_idx": [0, 0.5, 1]},
                     {**WATER, "mol_idx": [0, 2, 2]}, {**WATER, "charge": [0, 0]}, {**WATER, "cell": np.eye(2)},
                     {**WATER, "coord": np.zeros(9)}, {**WATER, "numbers": ["O", "H", "H"]}, {**WATER, "charge": "one"},
                     {**WATER, "cell": 9 * np.eye(3), "pbc": [True, True]}):
            with self.assertRaises(ValueError):
                self.calc(data)
        for pbc in (True, [True] * 3, [[0, 0, 1]]):
            with self.assertRaisesRegex(ValueError, "pbc without a cell: give cell"):
                self.calc({**WATER, "pbc": pbc})
        self.assertEqual(self.calc({**WATER, "pbc": [False] * 3})["energy"], self.calc(WATER)["energy"])
        with self.assertRaises(KeyError):
            self.calc({"coord": WATER["coord"]})
        with self.assertRaises(aimnetc.ArgumentError):
            self.calc.set_lrcoulomb_method("dsf", cutoff=-1)
        self.assertEqual(self.calc.coulomb_method, "simple")

    def test_hessians_have_the_shapes_of_the_reference(self):
        w, m = arrays(WATER), arrays(METHANE)
        one = self.calc(w, forces=True, hessian=True)
        self.assertEqual(one["hessian"].shape, (3, 3, 3, 3))
        np.testing.assert_array_equal(one["hessian"], one["hessian"].transpose(2, 3, 0, 1))
        step = np.zeros((3, 3))
        step[1, 0] = 1e-4
        up, down = (self.calc({**w, "coord": w["coord"] + s * step}, forces=True)["forces"] for s in (1, -1))
        np.testing.assert_allclose(one["hessian"][1, 0], (down - up) / 2e-4, atol=1e-5)
        alone = self.calc({"coord": w["coord"][None], "numbers": w["numbers"][None], "charge": [0]}, hessian=True)
        self.assertEqual((alone["hessian"].shape, alone["charges"].shape), ((3, 3, 3, 3), (1, 3)))
        two = self.calc({"coord": np.stack([w["coord"]] * 2), "numbers": np.stack([w["numbers"]] * 2), "charge": [0, 0]}, hessian=True)
        self.assertEqual(two["hessian"].shape, (2, 3, 3, 3, 3))
        np.testing.assert_array_equal(two["hessian"][1], one["hessian"])
        flat = self.calc({"coord": np.concatenate([w["coord"], m["coord"]]), "numbers": np.concatenate([w["numbers"], m["numbers"]]),
                          "charge": 0, "mol_idx": [0] * 3 + [1] * 5}, forces=True, hessian=True)
        self.assertEqual({k: [a.shape for a in v] for k, v in flat.items()},
                         {"energy": [(1,), (1,)], "charges": [(3,), (5,)], "forces": [(3, 3), (5, 3)], "hessian": [(3,) * 4, (5, 3, 5, 3)]})
        np.testing.assert_array_equal(flat["hessian"][0], one["hessian"])
        periodic = aimnetc.AIMNet2Calculator(precision="double")
        periodic.set_lrcoulomb_method("dsf", cutoff=8.0)
        cell = periodic({**m, "cell": np.eye(3) * 7}, forces=True, stress=True, hessian=True)
        self.assertEqual((cell["hessian"].shape, cell["stress"].shape), ((5, 3, 5, 3), (3, 3)))
        np.testing.assert_allclose(cell["hessian"].sum(2), 0, atol=1e-8)

    def test_products_are_those_of_the_hessian(self):
        rng = np.random.default_rng(1)
        h, v = self.calc(METHANE, hessian=True)["hessian"], rng.normal(size=(2, 5, 3))
        np.testing.assert_allclose(self.calc.hessian_vector_product(METHANE, v), np.einsum("iajb,kjb->kia", h, v), atol=1e-9)
        np.testing.assert_allclose(self.calc.hessian_vector_product(METHANE, v[0]), np.einsum("iajb,jb->ia", h, v[0]), atol=1e-9)
        for bad in (v[:, :4], v[0, 0]):
            with self.assertRaisesRegex(ValueError, r"expected \(5, 3\)"):
                self.calc.hessian_vector_product(METHANE, bad)
        with self.assertRaisesRegex(ValueError, "create_graph"):
            self.calc.hessian_vector_product(METHANE, v, create_graph=True)
        with self.assertRaisesRegex(ValueError, "one structure, not 2"):
            self.calc.hessian_vector_product({"coord": v, "numbers": [6, 1, 1, 1, 1]}, v)

    def test_tensors_in_host_memory_are_read_in_place(self):
        class Tensor:  # what DLPack asks for, and nothing else
            def __init__(self, array):
                self.array = array

            def __dlpack__(self, **how):
                return self.array.__dlpack__(**how)

            def __dlpack_device__(self):
                return self.array.__dlpack_device__()
        w = arrays(WATER)
        view = _arrays.to_numpy(Tensor(w["coord"]), _arrays.FLOAT, "coord")
        self.assertEqual(view.ctypes.data, w["coord"].ctypes.data)
        single = _arrays.to_numpy(Tensor(w["coord"].astype(np.float32)), _arrays.FLOAT, "coord")
        self.assertEqual(single.dtype, np.float64)
        out = self.calc({"coord": Tensor(w["coord"]), "numbers": Tensor(np.array([8, 1, 1])), "charge": Tensor(np.zeros(1))})
        self.assertEqual(out["energy"][0], self.calc(WATER)["energy"][0])

    @unittest.skipIf(importlib.util.find_spec("torch") is None, "PyTorch is not installed")
    def test_tensors_of_pytorch(self):
        import torch
        coord = torch.tensor(WATER["coord"], dtype=torch.float64, requires_grad=True)
        self.assertEqual(_arrays.to_numpy(coord, _arrays.FLOAT, "coord").ctypes.data, coord.data_ptr())
        data = {"coord": coord, "numbers": torch.tensor(WATER["numbers"]), "charge": torch.tensor([0.0])}
        out = self.calc({**data, "cell": torch.eye(3) * 9, "pbc": torch.tensor([True, True, True])})
        self.assertEqual(out["energy"][0], self.calc({**WATER, "cell": np.eye(3) * 9})["energy"][0])

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


def matrix(coord, cutoff, cell=None, spare=2):
    """A neighbour matrix in the reference's form: rows in any order, N as padding, a padding row; shifts as floats, or None."""
    n, pairs = len(coord), aimnetc.neighbor_list(coord, cutoff, cell)
    width = int(np.bincount(pairs.i, minlength=n).max()) + spare
    nbmat, shifts, used = np.full((n + 1, width), n), np.zeros((n + 1, width, 3)), np.zeros(n, int)
    for i, j, s in zip(pairs.i[::-1], pairs.j[::-1], pairs.shift[::-1]):
        nbmat[i, used[i]], shifts[i, used[i]] = j, s
        used[i] += 1
    return nbmat, None if cell is None else shifts


class ListsOfTheCaller(unittest.TestCase):
    """nbmat, nbmat_lr, nbmat_coulomb, nbmat_dftd3 and their shifts, as the reference takes them: the same bits as without."""

    @classmethod
    def setUpClass(cls):
        cls.calc = aimnetc.AIMNet2Calculator()

    def same(self, data, **lists):
        without, given = self.calc(data, forces=True), self.calc({**data, **lists}, forces=True)
        for key in without:
            np.testing.assert_array_equal(without[key], given[key])

    def test_molecules(self):
        w = arrays(WATER)
        near, every = matrix(w["coord"], 5.5)[0], matrix(w["coord"], np.inf)[0]
        self.same(w, nbmat=near)
        self.same(w, nbmat=near[:3], nbmat_lr=every)
        self.same(w, nbmat=near, nbmat_coulomb=every, nbmat_dftd3=every[:, ::-1].copy())
        self.same(w, nbmat=near.tolist(), nbmat_lr=None)

    def test_flat_and_dense_batches(self):
        w, m = arrays(WATER), arrays(METHANE)
        flat = {"coord": np.concatenate([w["coord"], m["coord"]]), "numbers": np.concatenate([w["numbers"], m["numbers"]]),
                "charge": 0, "mol_idx": [0] * 3 + [1] * 5}
        nbmat = np.full((9, 6), 8)
        nbmat[:3, :2] = [[1, 2], [2, 0], [0, 1]]
        nbmat[3:8, 1:5] = [[j for j in range(3, 8) if j != i] for i in range(3, 8)]
        self.same(flat, nbmat=nbmat, nbmat_lr=nbmat[:8])
        dense = {"coord": np.stack([w["coord"], w["coord"] * 1.05]), "numbers": np.stack([w["numbers"]] * 2), "charge": [0, 0]}
        each = np.stack([matrix(c, np.inf)[0] for c in dense["coord"]])
        self.same(dense, nbmat=each, nbmat_lr=each[:, :3])
        joined = np.array([[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [3, 4], [6, 6]])
        self.same(dense, nbmat=joined)
        nbmat[0, 3] = 5
        with self.assertRaisesRegex(ValueError, "atom 0 has neighbour 5, which is no atom of its structure"):
            self.calc({**flat, "nbmat": nbmat})

    def test_crystals_with_shifts(self):
        cell = np.array([[4.2, 0, 0], [0.3, 4.4, 0], [0, 0.2, 4.6]])
        crystal = {**arrays(METHANE), "cell": cell}
        self.calc.set_lrcoulomb_method("dsf", cutoff=8.0)
        self.calc.set_dftd3_cutoff(7.5)
        try:
            (nbmat, shifts), (far, far_shifts) = matrix(crystal["coord"], 5.5, cell), matrix(crystal["coord"], 8.0, cell)
            self.same(crystal, nbmat=nbmat, shifts=shifts, nbmat_lr=far, shifts_lr=far_shifts)
            self.same(crystal, nbmat=nbmat, shifts=shifts.astype(int), nbmat_coulomb=far, shifts_coulomb=far_shifts, nbmat_dftd3=far,
                      shifts_dftd3=far_shifts)
            two = {"coord": np.stack([crystal["coord"]] * 2), "numbers": np.stack([crystal["numbers"]] * 2), "charge": 0, "cell": cell}
            self.same(two, nbmat=np.stack([nbmat] * 2), shifts=np.stack([shifts] * 2))
            with self.assertRaisesRegex(ValueError, "shifts has entries that are no whole numbers"):
                self.calc({**crystal, "nbmat": nbmat, "shifts": shifts + 0.5})
            with self.assertRaisesRegex(ValueError, "shifts has shape"):
                self.calc({**crystal, "nbmat": nbmat, "shifts": shifts[:, :1]})
        finally:
            self.calc.set_lrcoulomb_method("simple")
            self.calc.set_lr_cutoff(15.0)

    def test_wrong_lists_are_errors(self):
        w = arrays(WATER)
        for text, lists in (("shape", {"nbmat": np.zeros((5, 2))}), (r"nbmat\[2\]\[1\] is 9", {"nbmat": [[1, 2], [0, 2], [0, 9]]}),
                            ("nbmat_lr has 4 pairs", {"nbmat": [[1, 2], [0, 2], [0, 1]], "nbmat_lr": [[1, 3], [0, 2], [1, 3]]})):
            with self.assertRaisesRegex(ValueError, text):
                self.calc({**w, **lists})
        with self.assertRaisesRegex(ValueError, "lists would not"):
            aimnetc.optimize(self.calc, {**w, "nbmat": [[1, 2], [0, 2], [0, 1]]})


class Names(unittest.TestCase):
    """Published names, ensembles, repositories and TorchScript, offline: a cache that the test has filled."""

    MODELS = SOURCE / "tests/golden/models"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = pathlib.Path(folder.name)
        before = os.environ.get("AIMNET_CACHE_DIR")
        os.environ["AIMNET_CACHE_DIR"] = folder.name
        self.addCleanup(lambda: os.environ.pop("AIMNET_CACHE_DIR") if before is None else os.environ.update(AIMNET_CACHE_DIR=before))

    def energy(self, model, **more):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return aimnetc.AIMNet2Calculator(model, **more)(WATER)["energy"][0]

    def test_published_names_come_from_the_cache(self):
        with self.assertRaisesRegex(aimnetc.ModelFileError, "aimnet download .*aimnet2_cpcm"):
            aimnetc.AIMNet2Calculator("aimnet2_cpcm")
        for k, name in enumerate(("base.pt", "plain.pt") * 4):  # models without a published digest, which is pinned
            here = shutil.copy(self.MODELS / name, self.cache / f"wb97m_cpcms_v2_{k}.pt")
            here.with_name(here.name + ".sha256").write_text(f"{hashlib.sha256(here.read_bytes()).hexdigest()}  {here.name}\n")
        self.assertEqual(self.energy("aimnet2_cpcm"), self.energy(self.MODELS / "base.pt"))
        self.assertEqual(self.energy("aimnet2_cpcm:1"), self.energy(self.MODELS / "plain.pt"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            calc = aimnetc.AIMNet2Calculator("aimnet2_cpcm:all", mixed_families=True)
        self.assertEqual([m.sha256 for m in calc.models[:2]], [aimnetc.Model(self.MODELS / n).sha256 for n in ("base.pt", "plain.pt")])
        self.assertEqual(len(calc.models), 8)
        self.assertGreater(calc(WATER)["energy_std"][0], 0)
        shutil.copy(self.MODELS / "plain.pt", self.cache / "aimnet2_wb97m_d3_0.pt")
        with self.assertRaisesRegex(aimnetc.ModelFileError, "SHA-256 is"):
            aimnetc.AIMNet2Calculator("aimnet2")

    def test_repositories_and_ensembles(self):
        folder = self.cache / "huggingface/me--models@main"
        shutil.copytree(self.MODELS / "hf_base", folder)
        shutil.copytree(self.MODELS / "hf_base", self.cache / "huggingface/me--models@v1")
        first, second = (self.energy("me/models", ensemble_member=k) for k in (0, 1))
        self.assertNotEqual(first, second)
        self.assertEqual(second, self.energy("me/models:1"))
        self.assertEqual(second, self.energy(self.MODELS / "hf_base", ensemble_member=1))
        self.assertEqual(first, self.energy("me/models", revision="v1"))
        calc = aimnetc.AIMNet2Calculator("me/models:all")
        self.assertEqual(len(calc.models), 2)
        out = pickle.loads(pickle.dumps(calc))(WATER)
        self.assertAlmostEqual(out["energy"][0], (first + second) / 2, places=9)
        self.assertAlmostEqual(out["energy_std"][0], abs(first - second) / 2, places=9)
        with self.assertRaisesRegex(ValueError, "revision='v2' belongs to a repository"):
            aimnetc.AIMNet2Calculator("default", revision="v2")
        with self.assertRaisesRegex(ValueError, "token.*aimnetc.download"):
            aimnetc.AIMNet2Calculator("me/models", token="secret")

    def test_torchscript_is_read_as_data(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            calc = aimnetc.AIMNet2Calculator(self.MODELS / "script_coulomb_d3.jpt")
        out = calc(WATER, forces=True, hessian=True)
        self.assertEqual(out["hessian"].shape, (3, 3, 3, 3))
        self.assertLess(abs(out["forces"].sum(0)).max(), 1e-4)

    def test_downloads_say_what_is_wrong(self):
        with self.assertRaisesRegex(aimnetc.AimnetError, "no-such-model"):
            aimnetc.download("no-such-model")


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
        with self.assertRaisesRegex(ValueError, "without a cell"):
            aimnetc.neighbor_list(coord, 2.0, pbc=[1, 0, 0])
        for wrong in ({"cell": [4.0, 5.0, 6.0]}, {"cell": cell, "pbc": [True, True]}, {"cell": np.stack([cell, cell])}):
            with self.assertRaisesRegex(ValueError, "(cell|pbc) has shape"):
                aimnetc.neighbor_list(coord, cutoff, **wrong)
        np.testing.assert_array_equal(aimnetc.neighbor_list(coord, cutoff, cell, pbc=True).j, pairs.j)


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


def numerical(atoms):
    """ASE's own differences of the energy, by the functions of 3.23 and later or the methods of earlier releases."""
    try:
        from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
        return calculate_numerical_forces(atoms, eps=1e-4), calculate_numerical_stress(atoms, eps=1e-5)
    except ImportError:
        return atoms.calc.calculate_numerical_forces(atoms, d=1e-4), atoms.calc.calculate_numerical_stress(atoms, d=1e-5)


@unittest.skipIf(ase is None, "ASE is not installed")
class AseCalculator(unittest.TestCase):
    def setUp(self):
        self.atoms = ase.Atoms([8, 1, 1], WATER["coord"])
        self.atoms.calc = aimnetc.AIMNet2ASE(aimnetc.AIMNet2Calculator(precision="double"))

    def test_nothing_is_stale(self):
        neutral = self.atoms.get_potential_energy()
        self.atoms.info["charge"] = 1
        with self.assertWarnsRegex(UserWarning, "odd number of electrons"):
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

    def test_get_hessian_is_the_slope_of_the_forces(self):
        hessian, step = self.atoms.calc.get_hessian(self.atoms), 1e-4
        self.assertEqual(hessian.shape, (9, 9))
        np.testing.assert_array_equal(hessian, hessian.T)
        ends = []
        for sign in (1, -1):
            atoms = self.atoms.copy()
            atoms.calc = self.atoms.calc
            atoms.positions[2, 1] += sign * step
            ends.append(atoms.get_forces().ravel())
        np.testing.assert_allclose(hessian[7], (ends[1] - ends[0]) / (2 * step), atol=1e-5)

    def test_forces_and_stress_pass_the_numerical_tests_of_ase(self):
        atoms = ase.Atoms([6, 1, 1, 1, 1], METHANE["coord"], cell=[6, 6.4, 7], pbc=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms.calc = aimnetc.AIMNet2ASE(aimnetc.AIMNet2Calculator(precision="double"))
            forces, stress = numerical(atoms)
            np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-5)
            np.testing.assert_allclose(stress, atoms.get_stress(), atol=2e-6)

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
