# SPDX-License-Identifier: MIT
"""Writes tests/golden/conv/conv_sv_2d_sp.txt: the sparse convolution and its first and second derivatives by torch's autograd in float64.

    out[i, a, g, d] = sum_m x[idx[i, m], a, g] f[i, m, g, d]       as torch.einsum("mag,mgd->agd") per atom, padding slots left out

All inputs are multiples of 1/16 below 2 in size. Sums of their products are multiples of 1/256 and exact in double and, at these sizes, in
single precision, whatever the order: a correct implementation reproduces every number bit for bit. The file holds integers, 16 times the
inputs and 256 times the results. Where the rows are packed (padding only at the end), forward and first derivatives are also compared with
the Warp kernels of aimnet 0.2.5, which run on the CPU when launched directly.

Usage: python make_conv.py          (pinned packages: requirements.txt)
"""
import pathlib
import zlib

import torch
import warp as wp
from aimnet.kernels import conv_sv_2d_sp_wp as kernels

ROOT = pathlib.Path(__file__).resolve().parents[2]

INPUTS = ("x", "f", "g_out", "v_x", "v_f")

# name: (N, M, A, G, how the slots are filled)
CASES = {
    "usual": (5, 4, 3, 6, "packed"),
    "scattered_padding": (4, 5, 2, 5, "scattered"),
    "full_rows": (4, 3, 2, 8, "full"),
    "all_padding": (3, 3, 2, 4, "empty"),
    "single_atom_without_neighbours": (1, 3, 2, 4, "empty"),
    "single_atom_and_its_images": (1, 3, 2, 4, "full"),
    "one_neighbour_many_times": (3, 6, 2, 3, "star"),
    "one_channel_one_shift": (6, 4, 1, 1, "packed"),
    "published_width": (3, 3, 16, 16, "packed"),
    "nine_channels_seventeen_shifts": (2, 4, 9, 17, "packed"),
    "no_slots": (3, 0, 2, 4, "full"),
}


def neighbours(n, m, fill, rng):
    idx = torch.randint(0, n, (n, m), generator=rng)
    if fill == "empty":
        idx[:] = n
    elif fill == "star":
        idx[:] = 1
    elif fill == "packed":
        for i in range(n):
            idx[i, int(torch.randint(0, m + 1, (1,), generator=rng)):] = n
    elif fill == "scattered":
        idx[torch.rand((n, m), generator=rng) < 0.4] = n
        idx[0, 0] = n + 7  # anything from n on is padding
    return idx


def exact(shape, rng):
    return torch.randint(-31, 32, shape, generator=rng).to(torch.float64) / 16


def convolve(x, idx, f):
    n = idx.shape[0]
    rows = []
    for i in range(n):
        used = idx[i] < n
        rows.append(torch.einsum("mag,mgd->agd", x[idx[i][used]], f[i][used]))
    return torch.stack(rows)


def compute(name, n, m, a, g, fill):
    rng = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    idx = neighbours(n, m, fill, rng)
    x, f = exact((n + 1, a, g), rng).requires_grad_(), exact((n, m, g, 4), rng).requires_grad_()
    g_out = exact((n, a, g, 4), rng).requires_grad_()
    v_x, v_f = exact((n + 1, a, g), rng), exact((n, m, g, 4), rng)
    out = convolve(x, idx, f)
    g_x, g_f = torch.autograd.grad(out, (x, f), g_out, create_graph=True, materialize_grads=True)
    s = (v_x * g_x).sum() + (v_f * g_f).sum()
    d_out, d_x, d_f = torch.autograd.grad(s, (g_out, x, f), materialize_grads=True)
    if fill != "scattered" and m > 0:
        compare_with_the_reference(idx, x, f, g_out, out, g_x, g_f)
    return {"idx": idx, "x": x, "f": f, "g_out": g_out, "v_x": v_x, "v_f": v_f,
            "out": out, "g_x": g_x, "g_f": g_f, "d_out": d_out, "d_x": d_x, "d_f": d_f}


def compare_with_the_reference(idx, x, f, g_out, out, g_x, g_f):
    """Its arrays have one row more, all padding, and are float32: exact for these numbers."""
    n, m, g = f.shape[:3]
    a = x.shape[1]

    def widen(array):
        return torch.cat([array.detach(), torch.zeros((1, *array.shape[1:]))]).to(torch.float32).contiguous()

    def launch(kernel, dim, *arrays):
        kinds = {1: wp.int32, 2: wp.float32, 3: wp.vec4f}
        wp.launch(kernel, dim=dim, inputs=[*(wp.from_torch(t, dtype=kinds[k]) for t, k in arrays), n], device="cpu")

    wide_idx = (torch.cat([idx, torch.full((1, m), n)]).to(torch.int32).contiguous(), 1)
    x32, f32, go32 = (x.detach().to(torch.float32).contiguous(), 2), (widen(f), 3), (widen(g_out), 3)
    t_out, t_x, t_f = torch.zeros_like(go32[0]), torch.zeros_like(x32[0]), torch.zeros_like(f32[0])
    launch(kernels._conv_sv_2d_sp_kernel, (n + 1, a, g), x32, wide_idx, f32, (t_out, 3))
    launch(kernels._conv_sv_2d_sp_backward_a_kernel, (n + 1, a, g), go32, wide_idx, f32, (t_x, 2))
    launch(kernels._conv_sv_2d_sp_backward_g_kernel, (n + 1, m, g), go32, x32, wide_idx, (t_f, 3))
    assert torch.equal(t_out[:n].double(), out.detach())
    assert torch.equal(t_x.double(), g_x.detach())
    assert torch.equal(t_f[:n].double(), g_f.detach())


def text(key, array):
    if key == "idx":
        return map(str, array.reshape(-1).tolist())
    scaled = array.detach().reshape(-1) * (16 if key in INPUTS else 256)
    assert torch.equal(scaled, scaled.round()) and bool((scaled.abs() < 2**20).all())
    return map(str, scaled.to(torch.int64).tolist())


def main():
    lines = [f"# conv_sv_2d_sp by tests/reference/make_conv.py, torch {torch.__version__.split('+')[0]}, float64: 16 x inputs, 256 x results"]
    for name, sizes in CASES.items():
        arrays = compute(name, *sizes)
        lines.append(f"case {name} {' '.join(map(str, sizes[:4]))}")
        for key, array in arrays.items():
            lines.append(" ".join([key, *text(key, array)]))
    path = ROOT / "tests/golden/conv/conv_sv_2d_sp.txt"
    path.write_text("\n".join(lines) + "\n")
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
