# SPDX-License-Identifier: MIT
"""The reference's own ASE examples (examples/ of github.com/isayevlab/aimnetcentral) with one changed import, with .pt and TorchScript models.

They are not part of this project: REFERENCE names a checkout, and without it the tests are skipped (exit status 77). ASE is needed; the Sella example
needs sella. The scripts only print what PyTorch they see: a stand-in serves where PyTorch is missing.

Environment: REFERENCE (a checkout of the reference), AIMNETC_LIBRARY (libaimnet), SOURCE (root of the sources).
"""
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

REFERENCE = os.environ.get("REFERENCE")
if not REFERENCE or importlib.util.find_spec("ase") is None:
    print("REFERENCE is not set or ASE is not installed: skipped")
    sys.exit(77)
EXAMPLES, SOURCE = pathlib.Path(REFERENCE) / "examples", pathlib.Path(os.environ["SOURCE"])
MODELS = SOURCE / "tests/golden/models"
TORCH = """__version__ = "none"
class cuda:
    is_available = staticmethod(lambda: False)
"""
# A guess of the transition state of HCN -> HNC.
GUESS = "3\ncharge=0\nC 0.0 0.0 0.0\nN 1.19 0.0 0.0\nH 0.48 1.15 0.0\n"


class Examples(unittest.TestCase):
    def run_example(self, name, *arguments, replace=()):
        text = (EXAMPLES / name).read_text()
        self.assertIn("from aimnet.calculators import", text)
        text = text.replace("from aimnet.calculators import", "from aimnetc import")  # the one change
        for old, new in replace:
            self.assertIn(old, text)
            text = text.replace(old, new)
        with tempfile.TemporaryDirectory() as folder:
            for file in ("taxol.xyz", "2019828.cif"):
                os.symlink(EXAMPLES / file, pathlib.Path(folder) / file)
            (pathlib.Path(folder) / name).write_text(text)
            (pathlib.Path(folder) / "guess.xyz").write_text(GUESS)
            if importlib.util.find_spec("torch") is None:
                (pathlib.Path(folder) / "torch.py").write_text(TORCH)
            done = subprocess.run([sys.executable, name, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  env={**os.environ, "PYTHONPATH": str(SOURCE / "python")}, timeout=600)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def last_force(self, text):
        return float(re.findall(r"LBFGS:\s+\d+ \S+\s+\S+\s+(\S+)", text)[-1])

    def test_molecule(self):
        self.assertLess(self.last_force(self.run_example("ase_opt.py")), 0.01)

    def test_crystal(self):
        self.assertLess(self.last_force(self.run_example("ase_opt_pbc.py")), 0.01)

    def test_molecule_with_a_file(self):
        model = SOURCE / "data/default.pt"
        self.assertLess(self.last_force(self.run_example("ase_opt.py", replace=[("AIMNet2ASE()", f"AIMNet2ASE({str(model)!r})")])), 0.01)

    def test_molecule_with_torchscript(self):
        """The small TorchScript model of the tests has random weights, so that nothing has to converge: 20 steps."""
        model = MODELS / "script_coulomb_d3.jpt"
        text = self.run_example("ase_opt.py", replace=[("AIMNet2ASE()", f"AIMNet2ASE({str(model)!r})"), ("fmax=0.01", "fmax=0.01, steps=20")])
        self.assertIn("Completed optimization", text)

    @unittest.skipIf(importlib.util.find_spec("sella") is None, "Sella is not installed")
    def test_transition_state(self):
        text = self.run_example("sella_ts.py", "guess.xyz", replace=[('"aimnet2"', '"default"')])
        self.assertIn("Optimized geometry written", text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
