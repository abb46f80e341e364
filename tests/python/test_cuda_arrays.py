# SPDX-License-Identifier: MIT
"""Arrays "on a card" in Python without one: the module of tests/unit/fake_card.c hands out host memory and computes formulas, so that what the package
does with addresses, shapes, types and lifetimes is seen on every machine. tests/cuda/test_python.py does the same with PyTorch on a GPU.

Environment: AIMNETC_LIBRARY, AIMNET_CUDA_MODULE (the fake), SOURCE.
"""
import ctypes
import gc
import os
import pathlib
import pickle
import sys
import unittest
import warnings

sys.path.insert(0, str(pathlib.Path(os.environ["SOURCE"]) / "python"))
try:
    import numpy as np
except ImportError:
    print("numpy is not installed: skipped")
    sys.exit(77)
import aimnetc
from aimnetc import _cuda

X = np.array([[0, 0, 0], [0.76, 0.58, 0.1], [-0.7, 0.6, 0.2]])
Z = np.array([8, 1, 1])


class Tensor:
    """An array in the fake's memory with the interface of CuPy and PyTorch."""

    def __init__(self, host, strides=None, stream=None):
        host = np.ascontiguousarray(host)
        self._block, self._extra = _cuda._Block(0, max(host.nbytes, 1)), {"strides": strides, "stream": stream}
        self.shape, self.dtype = host.shape, host.dtype
        ctypes.memmove(self._block.address.value, host.ctypes.data, host.nbytes)

    @property
    def __cuda_array_interface__(self):
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (self._block.address.value, False), "version": 3, **self._extra}


class OnlyDlpack:
    """What JAX offers: built from a CudaArray of the package."""

    def __init__(self, host):
        host = np.ascontiguousarray(host, dtype=float)
        self._array = _cuda.CudaArray(_cuda._Block(0, host.nbytes), 0, host.shape)
        ctypes.memmove(self._array._address, host.ctypes.data, host.nbytes)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()

    def __dlpack__(self, stream=None):
        return self._array.__dlpack__(stream=stream)


class Arrays(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        warnings.simplefilter("ignore")
        cls.calc = aimnetc.AIMNet2Calculator(device="cuda", threads=1)

    def compare(self, data, coord=None, **wishes):
        host = {key: value for key, value in data.items()}
        out = self.calc({**data, "coord": Tensor(data["coord"]) if coord is None else coord}, **wishes)
        reference = self.calc(host, **wishes)
        self.assertEqual(set(out), set(reference))
        for key, value in out.items():
            self.assertIsInstance(value, _cuda.CudaArray)
            self.assertEqual(value.shape, reference[key].shape, key)
            np.testing.assert_array_equal(np.asarray(value), reference[key], key)
        return out

    def test_results_are_those_of_numpy(self):
        self.compare({"coord": X, "numbers": Z}, forces=True)
        self.compare({"coord": np.stack([X, 1.1 * X]), "numbers": Z, "charge": [0, 0]}, forces=True)
        self.compare({"coord": np.stack([X, 1.1 * X]), "numbers": [[8, 1, 1], [1, 1, 0]]}, forces=True)
        flat = {"coord": np.concatenate([X, X[:2]]), "numbers": np.array([8, 1, 1, 1, 1]), "mol_idx": np.array([0, 0, 0, 1, 1])}
        self.compare(flat, forces=True)
        self.compare({"coord": X, "numbers": Z, "cell": 9.0 * np.eye(3)}, forces=True, stress=True)
        self.compare({"coord": np.stack([X, X]), "numbers": Z, "cell": np.stack([9.0 * np.eye(3), 8.0 * np.eye(3)]), "pbc": [True, True, True]}, stress=True)

    def test_descriptions_may_be_on_the_card(self):
        flat = {"coord": np.concatenate([X, X[:2]]), "numbers": np.array([8, 1, 1, 1, 1]), "mol_idx": np.array([0, 0, 0, 1, 1]), "charge": np.array([0.0, 0.0])}
        reference = self.calc(flat, forces=True)
        out = self.calc({key: Tensor(value) for key, value in flat.items()}, forces=True)
        np.testing.assert_array_equal(np.asarray(out["forces"]), reference["forces"])

    def test_single_precision_and_dlpack(self):
        single = X.astype(np.float32)
        out, reference = self.calc({"coord": Tensor(single), "numbers": Z}), self.calc({"coord": single.astype(float), "numbers": Z})
        np.testing.assert_array_equal(np.asarray(out["energy"]), reference["energy"])
        self.compare({"coord": X, "numbers": Z}, coord=OnlyDlpack(X), forces=True)
        gc.collect()
        self.assertFalse(_cuda._exported, "what a consumer gave back is forgotten")

    def test_memory_lives_as_long_as_its_users(self):
        forces = self.calc({"coord": Tensor(X), "numbers": Z}, forces=True)["forces"]  # the other results are gone
        kept = np.asarray(forces)
        capsule = forces.__dlpack__()
        del forces
        gc.collect()
        self.assertEqual(len(_cuda._exported), 1)
        del capsule  # nobody took it
        self.assertFalse(_cuda._exported)
        self.assertEqual(kept.shape, (3, 3))

    def test_results_go_into_arrays_of_the_caller(self):
        data, target = {"coord": Tensor(X), "numbers": Z}, Tensor(np.zeros((3, 3)))
        out = self.calc(data, forces=True, out={"forces": target})
        self.assertIs(out["forces"], target)
        written = np.ctypeslib.as_array((ctypes.c_double * 9).from_address(target._block.address.value)).reshape(3, 3)
        np.testing.assert_array_equal(written, self.calc({"coord": X, "numbers": Z}, forces=True)["forces"])
        with self.assertRaisesRegex(ValueError, "expected float64"):
            self.calc(data, forces=True, out={"forces": Tensor(np.zeros((3, 3), np.float32))})
        with self.assertRaisesRegex(ValueError, "not computed"):
            self.calc(data, out={"forces": target})

    def test_mistakes_are_named(self):
        data = {"coord": Tensor(X), "numbers": Z}
        for change, kind, text in (({"coord": Tensor(X, strides=(8, 24))}, TypeError, "not contiguous"), ({"coord": Tensor(X.astype(np.float16))}, TypeError, "float64 or float32"),
                                   ({"numbers": Z[1:]}, ValueError, "numbers has shape"), ({"mol_idx": [0, 0]}, ValueError, "mol_idx has shape"),
                                   ({"mol_idx": [0, 2, 2]}, aimnetc.ArgumentError, "mol_idx"), ({"charge": [0, 0]}, ValueError, "2 values for 1"),
                                   ({"cell": np.eye(2)}, ValueError, "cell has shape"), ({"numbers": [92, 1, 1]}, aimnetc.StructureError, "does not support"),
                                   ({"nbmat": np.zeros((3, 16), int)}, TypeError, "lists are taken with positions in host memory")):
            with self.subTest(text), self.assertRaisesRegex(kind, text):
                self.calc({**data, **change})
        with self.assertRaisesRegex(TypeError, "Hessian"):
            self.calc(data, hessian=True)
        with self.assertRaisesRegex(KeyError, "numbers"):
            self.calc({"coord": Tensor(X)})
        with self.assertRaisesRegex(aimnetc.ArgumentError, "captured"):
            self.calc(data, stream=1)
        with self.assertRaisesRegex(TypeError, 'device="cuda"'):
            aimnetc.AIMNet2Calculator()(data)
        with self.assertRaisesRegex(TypeError, "GPU memory"):
            self.calc({"coord": X, "numbers": Z}, stream=7)

    def test_a_stream_is_a_number_or_has_one(self):
        class Torch:
            cuda_stream = 7

        class Cupy:
            ptr = 8

        class Protocol:
            def __cuda_stream__(self):
                return 0, 9

        self.assertEqual([_cuda.stream_address(s) for s in (None, 6, Torch(), Cupy(), Protocol())], [None, 6, 7, 8, 9])

    def test_fast_is_an_option_and_is_pickled(self):
        calc = pickle.loads(pickle.dumps(aimnetc.AIMNet2Calculator(device="cuda", fast=True)))
        self.assertEqual(calc._options.fast, 1)


if __name__ == "__main__":
    unittest.main()
