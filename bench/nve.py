# SPDX-License-Identifier: MIT
"""Energy conservation: microcanonical dynamics by ASE's velocity Verlet on our potential, in single and double precision.

Usage: AIMNETC_LIBRARY=... PYTHONPATH=python python nve.py [PICOSECONDS [THREADS]]   (needs ase; 10 ps of the four molecules take some minutes)

Start: the optimised molecule with velocities of 600 K (half of which goes into potential energy), seeded. Printed: drift, the slope of a line
through the total energy, and the spread around that line, which is velocity Verlet's own fluctuation.
"""
import sys
import time

import ase.build
import numpy as np
from ase import units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary, ZeroRotation
from ase.md.verlet import VelocityVerlet

from aimnetc import AIMNet2ASE, AIMNet2Calculator, optimize

STEP = 0.5  # fs
MOLECULES = ("H2O", "CH3CH2OH", "C6H6", "CH3CONH2")


def run(name, precision, picoseconds, threads):
    atoms = ase.build.molecule(name)
    calc = AIMNet2Calculator(precision=precision, threads=threads)
    data = {"coord": atoms.positions, "numbers": atoms.numbers, "charge": 0}
    atoms.positions = optimize(calc, data)[0].coord
    atoms.calc = AIMNet2ASE(calc)
    MaxwellBoltzmannDistribution(atoms, temperature_K=600, rng=np.random.default_rng(7))
    Stationary(atoms)
    ZeroRotation(atoms)
    energies, temperatures = [], []
    dynamics = VelocityVerlet(atoms, STEP * units.fs)
    dynamics.attach(lambda: (energies.append(atoms.get_total_energy()), temperatures.append(atoms.get_temperature())), interval=10)
    steps, started = round(1000 * picoseconds / STEP), time.perf_counter()
    dynamics.run(steps)
    seconds = time.perf_counter() - started
    t = np.arange(len(energies)) * 10 * STEP / 1000  # ps
    slope, _ = np.polyfit(t, energies, 1)
    spread = np.std(energies - np.polyval(np.polyfit(t, energies, 1), t))
    n = len(atoms)
    print(f"{name:9} {n:3} atoms {precision:6}  {picoseconds:g} ps at {np.mean(temperatures):.0f} K: "
          f"drift {1e3 * slope / n:+.5f} meV/atom/ps, spread {1e3 * spread / n:.5f} meV/atom, {1e3 * seconds / steps:.2f} ms a step",
          flush=True)


def main():
    picoseconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for name in MOLECULES:
        for precision in ("single", "double"):
            run(name, precision, picoseconds, threads)


if __name__ == "__main__":
    main()
