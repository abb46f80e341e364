# SPDX-License-Identifier: MIT
"""The structures of python/aimnetc/_lib.py have the layout that the compiler gives those of the headers. Needs the standard library only.

Environment: AIMNETC_LIBRARY (libaimnet), LAYOUT (the program of layout.c), SOURCE (root of the sources).
"""
import ctypes
import importlib.util
import os
import pathlib
import subprocess
import sys

path = pathlib.Path(os.environ["SOURCE"]) / "python/aimnetc/_lib.py"
spec = importlib.util.spec_from_file_location("aimnetc_lib", path)
lib = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lib)

lines = subprocess.run([os.environ["LAYOUT"]], stdout=subprocess.PIPE, check=True, universal_newlines=True).stdout.splitlines()
seen, wrong = set(), 0
for name, value in (line.split() for line in lines):
    structure, _, member = name.partition(".")
    ours = lib.STRUCTURES[structure]
    seen.add(structure)
    here = getattr(ours, member).offset if member else ctypes.sizeof(ours)
    if here != int(value):
        wrong += 1
        print(f"{name}: {value} in C, {here} in {path.name}")
for structure in set(lib.STRUCTURES) - seen:
    wrong += 1
    print(f"{structure} is not checked by layout.c")
sys.exit(wrong > 0)
