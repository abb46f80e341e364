# SPDX-License-Identifier: MIT
"""Time from `import aimnetc` to the first energy, and what a call of AIMNet2Calculator.eval costs above the library's own call.

The second is the difference to bare calls of aimnet_calc_eval, block by block in turn. It includes what cold caches do to the interpreter after
the network has run: two thirds of it.
Usage: AIMNETC_LIBRARY=... PYTHONPATH=python python bench_python.py
"""
import time

START = time.perf_counter()
import aimnetc  # noqa: E402

IMPORTED = time.perf_counter()
WATER = {"coord": [[0.0, 0.0, 0.0], [0.76, 0.58, 0.0], [-0.76, 0.58, 0.0]], "numbers": [8, 1, 1], "charge": 0}
calc = aimnetc.AIMNet2Calculator(threads=1)
calc.eval(WATER)
FIRST = time.perf_counter()
print(f"import {1e3 * (IMPORTED - START):.0f} ms, first energy after {1e3 * (FIRST - START):.0f} ms")

import ctypes  # noqa: E402

import numpy as np  # noqa: E402

from aimnetc import _lib, calculator  # noqa: E402

BLOCKS, CALLS = 60, 50
data = {"coord": np.array(WATER["coord"]), "numbers": np.array(WATER["numbers"], np.int32), "charge": 0}
batch, result = calculator.Batch(data), (_lib.Result * 1)()
forces, charges = np.zeros((3, 3)), np.zeros(3)
result[0].forces, result[0].charges = forces.ctypes.data, charges.ctypes.data
call, handle, systems, one = _lib.lib.aimnet_calc_eval, calc._handle, batch.systems, ctypes.c_int(1)


def median(function):
    seconds = []
    for _ in range(CALLS):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return np.median(seconds)


above = [median(lambda: calc.eval(data, forces=True)) - median(lambda: call(handle, systems, one, result)) for _ in range(BLOCKS)]
print(f"a call costs {1e6 * np.median(above):.0f} us above the library (median of {BLOCKS} blocks; quarter below {1e6 * np.percentile(above, 25):.0f} us)")
