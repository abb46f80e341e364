# SPDX-License-Identifier: MIT
"""Time from `import aimnetc` to the first energy, and what a call of AIMNet2Calculator.eval costs above the library's own call.

The second is measured inside the call, so that it includes what cold caches do to the interpreter after the network has run.
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

import numpy as np  # noqa: E402

from aimnetc import _lib, calculator  # noqa: E402


class Timed:
    """The library, with a clock around aimnet_calc_eval."""

    def __init__(self):
        self.seconds = 0.0

    def __getattr__(self, name):
        return getattr(_lib.lib, name)

    def aimnet_calc_eval(self, *arguments):
        started = time.perf_counter()
        status = _lib.lib.aimnet_calc_eval(*arguments)
        self.seconds = time.perf_counter() - started
        return status


calculator.lib = timed = Timed()
data = {"coord": np.array(WATER["coord"]), "numbers": np.array(WATER["numbers"], np.int32), "charge": 0}
above = []
for _ in range(5000):
    started = time.perf_counter()
    calc.eval(data, forces=True)
    above.append(time.perf_counter() - started - timed.seconds)
print(f"a call costs {1e6 * np.median(above):.0f} us above the library (median of {len(above)})")
