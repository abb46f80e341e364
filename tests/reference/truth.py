# SPDX-License-Identifier: MIT
"""The Python reference (PyPI `aimnet`, see requirements.txt) as an oracle, in float64 or float32.

float64 is the truth: the default dtype is set before `aimnet` is imported, model and external modules are widened (weights and float32
buffers keep their values), and D3 and DSF take the differentiable torch path everywhere, also when embedded in a model (the kernels
behind the default path return float32 energies; an embedded DSF module would lose its explicit forces). float32 is what a user of the
reference gets; its distance from the truth is recorded as `noise`.

A process has one dtype: call setup() once, first.
"""
import warnings

torch = None
np = None


def setup(dtype_name):
    global torch, np
    import numpy
    import torch as t
    torch, np = t, numpy
    torch.set_num_threads(2)
    torch.set_default_dtype(getattr(torch, dtype_name))
    warnings.simplefilter("ignore")


class Reference:
    """One model with one set of options (the keys of a golden file's `option` lines)."""

    def __init__(self, path, options=None, import_paths=None):
        from aimnet.calculators import AIMNet2Calculator
        from aimnet.modules import DFTD3, LRCoulomb
        opt = dict(options or {})
        self.double = torch.get_default_dtype() == torch.float64
        self.dtype = torch.get_default_dtype()
        kwargs = {"model_import_paths": import_paths} if import_paths else {}
        if opt.get("needs_coulomb") == 1:
            kwargs["needs_coulomb"] = True
        calc = AIMNet2Calculator(str(path), device="cpu", deterministic=self.double, **kwargs)
        if self.double:
            calc.keys_in = {k: torch.float64 if v == torch.float else v for k, v in calc.keys_in.items()}
            calc.keys_in_optional = {k: torch.float64 if v == torch.float else v for k, v in calc.keys_in_optional.items()}
            calc.model.double()
        self.calc = calc
        self._override(opt, DFTD3, LRCoulomb)
        if opt.get("coulomb") == "dsf" and calc.external_coulomb is not None:
            calc.set_lrcoulomb_method("dsf", cutoff=opt.get("coulomb_cutoff", 15.0), dsf_alpha=opt.get("dsf_alpha", 0.2))
        elif "coulomb" in opt and calc.external_coulomb is not None:
            calc.set_lrcoulomb_method(opt["coulomb"], ewald_accuracy=opt["ewald_accuracy"])
        if "d3_cutoff" in opt or "d3_smoothing" in opt:
            calc.set_dftd3_cutoff(opt.get("d3_cutoff", 15.0), opt.get("d3_smoothing", 0.2))
        for m in (calc.external_coulomb, calc.external_dftd3):
            if m is not None:
                m.to(self.dtype)
        for m in calc.model.modules():
            if isinstance(m, (DFTD3, LRCoulomb)):
                m.forward = self._differentiable(m.forward)
        self._terms()
        calc.keep_only = lambda d: d

    def _override(self, opt, DFTD3, LRCoulomb):
        """Switching off and d3_params after construction: the constructor fails when both parts are off, and knows no parameters."""
        c = self.calc
        if opt.get("needs_coulomb") == 0:
            c.external_coulomb, c._coulomb_cutoff, c._coulomb_method, c.cutoff_lr = None, None, None, 15.0
        if opt.get("needs_dispersion") == 0:
            c.external_dftd3 = None
        if "d3_params" in opt:
            s6, s8, a1, a2 = opt["d3_params"]
            c.external_dftd3 = DFTD3(s6=s6, s8=s8, a1=a1, a2=a2)
            c.lr = True
        if c.external_coulomb is None or c.external_dftd3 is None or "d3_params" in opt:
            c._update_lr_nblists()

    def _differentiable(self, forward):
        return lambda data: forward(data, hessian=True)

    def _terms(self):
        self.parts = {}
        for name, m in (("coulomb", self.calc.external_coulomb), ("dispersion", self.calc.external_dftd3)):
            if m is not None:
                m.forward = self._recorded(name, m.forward)

    def _recorded(self, name, forward):
        def call(data, **kwargs):
            before = data["energy"].detach().double().clone()
            out = forward(data, **kwargs)
            after = (out[0] if isinstance(out, tuple) else out)["energy"].detach().double()
            self.parts[name] = (after - before).numpy()
            return out
        return call

    def eval(self, molecules, extra_keys=()):
        """molecules: list of (numbers, coord, charge, mult). Returns a list of dicts of float64 arrays, one per molecule."""
        self.parts = {}
        sizes = [len(m[0]) for m in molecules]
        n_mol, n = len(sizes), sum(sizes)
        data = {
            "coord": torch.tensor(np.concatenate([m[1] for m in molecules]), dtype=self.dtype),
            "numbers": torch.tensor(np.concatenate([m[0] for m in molecules]).astype("int32")),
            "charge": torch.tensor([float(m[2]) for m in molecules], dtype=self.dtype),
            "mult": torch.tensor([float(m[3]) for m in molecules], dtype=self.dtype),
            "mol_idx": torch.repeat_interleave(torch.arange(n_mol), torch.tensor(sizes)),
        }
        out = self.calc.eval(data, forces=True)
        out = {k: v.detach().double().numpy() for k, v in out.items() if torch.is_tensor(v) and v.is_floating_point()}
        zero = np.zeros(n_mol)
        coulomb, dispersion = self.parts.get("coulomb", zero), self.parts.get("dispersion", zero)
        results, start = [], 0
        for i, size in enumerate(sizes):
            sl = slice(start, start + size)
            r = {"energy": out["energy"][i], "coulomb": coulomb[i], "dispersion": dispersion[i],
                 "forces": out["forces"][sl], "charges": out["charges"][sl]}
            r["network"] = r["energy"] - r["coulomb"] - r["dispersion"]
            if "spin_charges" in out:
                r["spin_charges"] = out["spin_charges"][sl]
            for k in ("dipole", "quadrupole"):
                if k in out:
                    r[k] = out[k][i]
            if "dipole" not in r:
                r["dipole"] = (r["charges"][:, None] * molecules[i][1]).sum(0)
            if "quadrupole" not in r:
                r["quadrupole"] = quadrupole(r["charges"], molecules[i][1])
            for k in extra_keys:
                per_atom = len(out[k]) in (n, n + 1) and len(out[k]) != n_mol
                r["output:" + k] = np.atleast_1d(out[k][sl] if per_atom else out[k][i])
                r["per_atom:" + k] = np.array(int(per_atom))
            results.append(r)
            start += size
        return results


    def eval_crystal(self, numbers, coord, cell, pbc, charge=0.0):
        """One periodic structure: energy and its parts, forces, charges and stress in float64."""
        self.parts = {}
        data = {"coord": torch.tensor(coord, dtype=self.dtype), "numbers": torch.tensor(np.asarray(numbers, dtype="int32")),
                "charge": torch.tensor([float(charge)], dtype=self.dtype), "cell": torch.tensor(np.ascontiguousarray(cell), dtype=self.dtype),
                "pbc": torch.tensor([bool(p) for p in pbc])}
        out = self.calc.eval(data, forces=True, stress=True)
        out = {k: out[k].detach().double().numpy() for k in ("energy", "forces", "charges", "stress")}
        r = {"energy": out["energy"].reshape(()), "coulomb": np.zeros(()), "dispersion": np.zeros(()), "forces": out["forces"],
             "charges": out["charges"][: len(numbers)], "stress": out["stress"].reshape(3, 3)}
        r.update({k: np.asarray(v).reshape(()) for k, v in self.parts.items()})
        r["network"] = r["energy"] - r["coulomb"] - r["dispersion"]
        return r


def quadrupole(q, x):
    """xx, yy, zz without their mean, xy, yz, zx."""
    xx = (q[:, None] * x**2).sum(0)
    return np.concatenate([xx - xx.mean(), (q[:, None] * x * np.roll(x, -1, 1)).sum(0)])
