# SPDX-License-Identifier: MIT
"""The Python package between arrays of PyTorch and CuPy on the card: the same numbers as with numpy, to the bit; no copies; the stream counts.

Needs numpy and PyTorch with a GPU (exit status 77 without); CuPy is used if it is there. Environment: AIMNETC_LIBRARY, SOURCE.
"""
import os
import pathlib
import sys
import warnings

sys.path.insert(0, str(pathlib.Path(os.environ["SOURCE"]) / "python"))
try:
    import numpy as np
    import torch
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
if not torch.cuda.is_available():
    print("skipped: PyTorch sees no GPU")
    sys.exit(77)
try:
    import cupy
except ImportError:
    cupy = None
import aimnetc

warnings.simplefilter("ignore")
failed = 0
WATER = np.array([[0, 0, 0], [0.757, 0.587, 0], [-0.757, 0.587, 0]])


def check(good, what):
    global failed
    print("ok   " if good else "FAIL ", what)
    failed |= not good


def raises(kind, part, call):
    try:
        call()
    except kind as error:
        if part in str(error):
            return True
        print(f"      {error}")
    return False


def cluster(n):
    places = np.array([[i, j, k] for i in range(n) for j in range(n) for k in range(n)], float)
    return (3.1 * places[:, None] + WATER).reshape(-1, 3), np.tile([8, 1, 1], n ** 3)


def same(out, reference):
    return set(out) <= set(reference) and all(
        np.asarray(torch.as_tensor(v).cpu()).tobytes() == np.asarray(reference[k]).tobytes() and tuple(v.shape) == np.asarray(reference[k]).shape
        for k, v in out.items())


def molecules(calc):
    x, z = cluster(2)
    reference = calc({"coord": x, "numbers": z}, forces=True)
    data = {"coord": torch.tensor(x, device="cuda"), "numbers": torch.tensor(z, device="cuda")}
    for _ in range(3):
        out = calc(data, forces=True)
    check(same(out, reference), "torch: float64 positions, int64 numbers of the card")
    single = torch.tensor(x, device="cuda", dtype=torch.float32, requires_grad=True)
    check(same(calc({"coord": single, "numbers": z}, forces=True),
               calc({"coord": single.detach().cpu().numpy().astype(float), "numbers": z}, forces=True)), "torch: float32 positions that are differentiated")
    check(raises(TypeError, "not contiguous", lambda: calc({"coord": data["coord"].T.contiguous().T, "numbers": z})), "arrays that are not contiguous are refused")
    check(raises(TypeError, "float64 or float32", lambda: calc({"coord": data["coord"].half(), "numbers": z})), "half precision is refused")
    check(raises(ValueError, "numbers has shape", lambda: calc({"coord": data["coord"], "numbers": z[1:]})), "shapes that do not fit are refused")
    check(raises(aimnetc.ArgumentError, "are needed", lambda: calc({"coord": Lying(data["coord"]), "numbers": np.tile(z, 100000)})), "an array that is shorter than it says")
    check(raises(TypeError, "Hessian", lambda: calc(data, hessian=True)), "a Hessian between arrays of the card is refused")
    bad = data["coord"].clone()
    bad[4, 1] = float("nan")
    check(raises(aimnetc.StructureError, "coordinate y of atom 4", lambda: calc({"coord": bad, "numbers": z})), "a position that is no number is named")
    check(raises(TypeError, 'device="cuda"', lambda: aimnetc.AIMNet2Calculator()(data)), "a calculator of the CPU says what to do")


class Lying:
    def __init__(self, array):
        self._array = array
        self.__cuda_array_interface__ = {**array.__cuda_array_interface__, "shape": (2400000, 3)}


def batches(calc):
    x, z = cluster(1)
    y, w = cluster(2)
    flat = {"coord": np.concatenate([x, y, 1.05 * x]), "numbers": np.concatenate([z, w, z]), "mol_idx": np.repeat([0, 1, 2], [3, 24, 3]),
            "charge": np.array([0.0, 0.0, 1.0])}
    on_card = {key: torch.tensor(value, device="cuda") for key, value in flat.items()}
    check(same(calc(on_card, forces=True), calc(flat, forces=True)), "molecules of different size")
    dense = {"coord": np.stack([x, 1.02 * x]), "numbers": z, "charge": 0}
    check(same(calc({**dense, "coord": torch.tensor(dense["coord"], device="cuda")}, forces=True), calc(dense, forces=True)), "(B, N, 3)")
    box = {"coord": y, "numbers": w, "cell": 6.2 * np.eye(3)}
    for method in ("dsf", "pme"):
        calc.set_lrcoulomb_method(method)
        check(same(calc({key: torch.tensor(value, device="cuda") for key, value in box.items()}, forces=True, stress=True),
                   calc(box, forces=True, stress=True)), f"a crystal, {method}")
    calc.set_lrcoulomb_method("simple")


def sharing(calc):
    x, z = cluster(2)
    data = {"coord": torch.tensor(x, device="cuda"), "numbers": z}
    out = calc(data, forces=True)
    by_dlpack, by_interface = torch.from_dlpack(out["forces"]), torch.as_tensor(out["forces"], device="cuda")
    check(by_dlpack.data_ptr() == by_interface.data_ptr() == out["forces"].__cuda_array_interface__["data"][0], "results are shared, not copied")
    kept = by_dlpack.clone()
    del out, by_interface
    torch.cuda.synchronize()
    check(torch.equal(kept, by_dlpack), "a tensor keeps the memory of a result")
    given = {"energy": torch.zeros(1, device="cuda", dtype=torch.float64), "forces": torch.zeros(24, 3, device="cuda", dtype=torch.float64)}
    into = calc(data, forces=True, out=given)
    check(into["forces"] is given["forces"] and torch.equal(given["forces"], by_dlpack), "results go into arrays of the caller")
    check(raises(ValueError, "expected float64", lambda: calc(data, forces=True, out={"forces": torch.zeros(24, 3, device="cuda")})), "of another type they are refused")
    check(raises(ValueError, "not computed", lambda: calc(data, out={"stress": given["forces"]})), "of something else they are refused")
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        late = torch.zeros_like(data["coord"])
        torch.cuda._sleep(50_000_000)
        late.copy_(data["coord"])
        check(torch.equal(torch.as_tensor(calc({**data, "coord": late}, forces=True)["forces"], device="cuda"), by_dlpack), "the current stream of torch counts")
    torch.cuda._sleep(50_000_000)
    check(same(calc({**data, "coord": late}, forces=True, stream=stream), calc({"coord": x, "numbers": z}, forces=True)), "a stream may be given")
    check(np.asarray(calc(data)["energy"]).shape == (1,), "numpy.asarray copies to the host")


def foreign(calc):
    if cupy is None:
        print("skip  cupy is not installed")
        return
    x, z = cluster(2)
    reference = calc({"coord": x, "numbers": z}, forces=True)
    out = calc({"coord": cupy.asarray(x), "numbers": cupy.asarray(z)}, forces=True)
    check(all(cupy.asnumpy(cupy.asarray(v)).tobytes() == reference[k].tobytes() for k, v in out.items()), "cupy, through its interface")
    check(cupy.asnumpy(cupy.from_dlpack(out["forces"])).tobytes() == reference["forces"].tobytes(), "cupy takes results through DLPack")


class OnlyDlpack:
    """What JAX offers."""

    def __init__(self, tensor):
        self._tensor, self.shape = tensor, tensor.shape

    def __dlpack_device__(self):
        return self._tensor.__dlpack_device__()

    def __dlpack__(self, stream=None):
        return self._tensor.__dlpack__(stream=stream)


def dlpack_alone(calc):
    x, z = cluster(2)
    reference = calc({"coord": x, "numbers": z}, forces=True)
    tensor = torch.tensor(x, device="cuda")
    check(same(calc({"coord": OnlyDlpack(tensor), "numbers": OnlyDlpack(torch.tensor(z, device="cuda"))}, forces=True), reference), "DLPack alone")
    torch.from_dlpack(aimnetc.AIMNet2Calculator(device="cuda")({"coord": tensor, "numbers": z})["energy"])
    calc({"coord": tensor, "numbers": z})["energy"].__dlpack__()  # a capsule that nobody takes


def fast(calc):
    x, z = cluster(3)
    quick = aimnetc.AIMNet2Calculator(device="cuda", fast=True)
    a, b = (c({"coord": torch.tensor(x, device="cuda"), "numbers": z}, forces=True) for c in (calc, quick))
    difference = np.abs(np.asarray(a["forces"]) - np.asarray(b["forces"])).max()
    check(0 < difference < 0.05, f"fast changes forces by {difference:.1e} eV/A")
    check(raises(aimnetc.ArgumentError, "fast", lambda: aimnetc.AIMNet2Calculator(fast=True)), "fast without a GPU is refused")


calculator = aimnetc.AIMNet2Calculator(device="cuda")
for part in (molecules, batches, sharing, foreign, dlpack_alone, fast):
    part(calculator)
sys.exit(failed)
