# SPDX-License-Identifier: MIT
"""Errors of a single-precision network for several ways of summing K in its layers: the table in docs/numerics.md.

The reference runs in float64, except that the layers of the passes and heads round their inputs to float32 and sum as stated; molecules of fewer than 30
atoms, built-in model without Coulomb and D3. Usage: python summation_noise.py
"""
import make_golden
import truth

truth.setup("float64")
import numpy as np  # noqa: E402
import torch  # noqa: E402


def chunked(x, m, chunk, totals):
    """Fused multiply-adds one after the other inside a chunk; totals of the chunks in float32 or float64."""
    x, w = x.float(), m.weight
    total = None
    for first in range(0, w.shape[1], chunk):
        acc = torch.zeros(x.shape[0], w.shape[0], dtype=torch.float32)
        for k in range(first, min(first + chunk, w.shape[1])):
            acc = (acc.double() + x[:, k:k + 1].double() * w[:, k].double()[None]).float()
        total = acc.to(totals) if total is None else total + acc.to(totals)
    return (total if m.bias is None else total + m.bias.to(totals)).float().double()


def exact(x, m):
    return torch.nn.functional.linear(x.float().double(), m.weight, m.bias).float().double()


def library(x, m):
    return torch.nn.functional.linear(x.float(), m.weight.float(), None if m.bias is None else m.bias.float()).double()


def main():
    names = [n for n in make_golden.everything() if len(make_golden.read_molecule(n)[1]) < 30]
    molecules = [make_golden.read_molecule(n)[1:] for n in names]
    ref = truth.Reference(make_golden.PATHS["default"], {"needs_coulomb": 0, "needs_dispersion": 0})
    want = ref.eval(molecules)
    tolerance = np.array([max(2e-6, 1e-6 * len(m[0])) for m in molecules])
    print(len(names), "molecules")
    layers = [m for part in (ref.calc.model.mlps, ref.calc.model.outputs.energy_mlp) for m in part.modules()]

    def report(what, linear):
        for m in layers:
            if isinstance(m, torch.nn.Linear):
                m.forward = lambda x, m=m: linear(x, m)
            elif isinstance(m, torch.nn.GELU):
                m.forward = lambda x: torch.nn.functional.gelu(x).float().double()
        got = ref.eval(molecules)
        de = np.array([g["energy"] - w["energy"] for g, w in zip(got, want)]) / tolerance
        dq = max(np.abs(g["charges"] - w["charges"]).max() for g, w in zip(got, want))
        print(f"{what:32s} energy / tolerance: rms {np.sqrt((de**2).mean()):.2f}, largest {np.abs(de).max():.2f}; charges {dq:.1e} e", flush=True)

    report("one sequential sum", lambda x, m: chunked(x, m, 10000, torch.float32))
    for chunk in (128, 64, 32, 16):
        report(f"chunks of {chunk}", lambda x, m, c=chunk: chunked(x, m, c, torch.float32))
    report("chunks of 32, totals in double", lambda x, m: chunked(x, m, 32, torch.float64))
    report("exact sums, rounded", exact)
    report("torch float32", library)


if __name__ == "__main__":
    main()
