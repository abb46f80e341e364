# SPDX-License-Identifier: MIT
"""The peer of the benchmark: PyPI `aimnet`, on the CPU but for `card`.

    peer.py time MODEL.pt SECONDS NAME=FILE...   energy and forces of each file's frames in one call
    peer.py crystal MODEL.pt SECONDS METHOD REPEAT STRESS FILE
                                                 energy, forces and (STRESS 1) stress of the file's first frame, a periodic box, repeated along
                                                 every axis; METHOD dsf, ewald or pme (15 A, 1e-6); D3 15 A
    peer.py derivatives NAME MODEL.pt SECONDS WORK=FILE...    what bench_derivatives measures, in its format
    peer.py card MODEL.pt SECONDS NAME=FILE... NAME=FILE:METHOD:AxBxC...
                                                 on the GPU, by default and in the fastest mode that it has for the work (CUDA graphs and Triton
                                                 kernels; batches padded to one size): molecules of the file, or its periodic box repeated; a Hessian where
                                                 NAME begins with hessian_, the gradient of a loss by the parameters with gradient_
    peer.py parts ATOMS...                       on the GPU, what bench_card measures, by nvalchemiops (which the peer uses): the list of 5 A, and energy and
                                                 forces of DFT-D3 within 15 A, its list given
    peer.py gemm                                 float32 rate of a large matrix product (torch, its own BLAS)

Lines of `time`: peer NAME structures atoms runs minimum median (seconds) energy; of `crystal`: peer METHOD atoms runs minimum median (seconds)
energy peak (MB of the process); of `card` and `parts`: peer NAME MODE atoms runs minimum median energy (of a list: pairs). Threads: OMP_NUM_THREADS.
"""
import gzip
import os
import re
import resource
import statistics
import sys
import time

THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))


def read_frames(path):
    import numpy as np
    from ase.data import atomic_numbers
    lines = (gzip.open(path, "rt") if path.endswith(".gz") else open(path)).read().splitlines()
    frames, at = [], 0
    while at < len(lines):
        n = int(lines[at])
        rows = [line.split() for line in lines[at + 2:at + 2 + n]]
        frames.append((np.array([atomic_numbers[r[0]] for r in rows], "int32"),
                       np.array([[float(w) for w in r[1:4]] for r in rows], "float32")))
        at += n + 2
    return frames


def repeated_box(path, times):
    """The file's first frame, TIMES = (a, b, c) copies along the axes, image by image."""
    import numpy as np
    comment = (gzip.open(path, "rt") if path.endswith(".gz") else open(path)).read().splitlines()[1]
    cell = np.array(re.search(r'Lattice="([^"]*)"', comment)[1].split(), "float64").reshape(3, 3)
    numbers, x = read_frames(path)[0]
    a, b, c = times
    shift = np.array([[k % a, k // a % b, k // a // b] for k in range(a * b * c)]) @ cell
    coord = (x[None].astype("float64") + shift[:, None]).reshape(-1, 3)
    return np.tile(numbers, a * b * c), coord.astype("float32"), (cell * np.array(times)[:, None]).astype("float32")


def measure_crystal(model, seconds, method, times, stress, path):
    import torch
    import warnings
    warnings.simplefilter("ignore")
    torch.set_num_threads(THREADS)
    from aimnet.calculators import AIMNet2Calculator
    calc = AIMNet2Calculator(model, device="cpu")
    calc.set_lrcoulomb_method(method, cutoff=15.0)
    numbers, coord, cell = repeated_box(path, (times,) * 3)
    data = {"coord": torch.tensor(coord), "numbers": torch.tensor(numbers), "charge": 0.0, "cell": torch.tensor(cell)}
    spent, start = [], time.perf_counter()
    calc.eval(dict(data), forces=True, stress=stress)
    while len(spent) < 3 or time.perf_counter() - start < seconds:
        t = time.perf_counter()
        out = calc.eval(dict(data), forces=True, stress=stress)
        spent.append(time.perf_counter() - t)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("peer", method, len(numbers), len(spent), f"{min(spent):.6g} {statistics.median(spent):.6g}",
          f"{float(out['energy'].double().sum()):.15g} {peak:.1f}", flush=True)


def measure(model, seconds, workloads):
    import numpy as np
    import torch
    import warnings
    warnings.simplefilter("ignore")
    torch.set_num_threads(THREADS)
    from aimnet.calculators import AIMNet2Calculator
    calc = AIMNet2Calculator(model, device="cpu")
    for item in workloads:
        name, path = item.split("=", 1)
        frames = read_frames(path)
        sizes = torch.tensor([len(f[0]) for f in frames])
        data = {"coord": torch.tensor(np.concatenate([f[1] for f in frames])),
                "numbers": torch.tensor(np.concatenate([f[0] for f in frames])),
                "charge": torch.zeros(len(frames)),
                "mol_idx": torch.repeat_interleave(torch.arange(len(frames)), sizes)}
        times, start = [], time.perf_counter()
        calc.eval(dict(data), forces=True)
        calc.eval(dict(data), forces=True)
        while len(times) < 3 or time.perf_counter() - start < seconds:
            t = time.perf_counter()
            out = calc.eval(dict(data), forces=True)
            times.append(time.perf_counter() - t)
        energy = float(out["energy"].double().sum())
        print("peer", name, len(frames), int(sizes.sum()), len(times), f"{min(times):.6g} {statistics.median(times):.6g} {energy:.15g}", flush=True)


def batch(frames):
    import numpy as np
    import torch
    sizes = torch.tensor([len(f[0]) for f in frames])
    data = {"coord": torch.tensor(np.concatenate([f[1] for f in frames])), "numbers": torch.tensor(np.concatenate([f[0] for f in frames])),
            "charge": torch.zeros(len(frames))}
    if len(frames) > 1:
        data["mol_idx"] = torch.repeat_interleave(torch.arange(len(frames)), sizes)
    return data, sizes


def report(model, what, name, sizes, seconds, run):
    """Slow things (above 5 s) are run once, without a call to warm up."""
    import json
    t = time.perf_counter()
    check = run()
    times = [time.perf_counter() - t]
    if times[0] < 5.0:
        times, start = [], time.perf_counter()
        while len(times) < 3 or time.perf_counter() - start < seconds:
            t = time.perf_counter()
            check = run()
            times.append(time.perf_counter() - t)
    print(json.dumps({"side": "peer", "model": model, "precision": "single", "what": what, "name": name, "structures": len(sizes),
                      "atoms": int(sizes.sum()), "runs": len(times), "minimum": min(times), "median": statistics.median(times),
                      "check": float(check)}), flush=True)


def gradient_step(path, frames, device="cpu"):
    """Energy, forces and charges of all structures, the package's loss of zero targets, backward: the norm of the gradient."""
    import torch
    from aimnet.calculators import AIMNet2Calculator
    from aimnet.train.loss import MTLoss
    calc = AIMNet2Calculator(path, device=device, train=True)
    calc.keep_only = lambda d: d
    parameters = []
    for key, p in calc.model.named_parameters():
        p.requires_grad_(not key.startswith("aev."))
        parameters += [p] if p.requires_grad else []
    data, sizes = batch(frames)
    n = int(sizes.sum())
    data, sizes = {k: v.to(device) for k, v in data.items()}, sizes.to(device)
    loss = MTLoss({"energy": {"fn": "aimnet.train.loss.energy_loss_fn", "weight": 1.0, "kwargs": {}},
                   **{k: {"fn": "aimnet.train.loss.peratom_loss_fn", "weight": w, "kwargs": {"key_pred": k, "key_true": k}}
                      for k, w in (("forces", 0.2), ("charges", 0.05))}})
    target = {"energy": torch.zeros(len(frames), dtype=torch.float64), "forces": torch.zeros(n, 3), "charges": torch.zeros(n)}
    target = {k: v.to(device) for k, v in target.items()}

    def run():
        for p in parameters:
            p.grad = None
        out = calc.eval(dict(data), forces=True)
        y = {"energy": out["energy"], "forces": out["forces"][:n], "charges": out["charges"][:n], "numbers": data["numbers"], "_natom": sizes}
        loss(y, target)["loss"].backward()
        return torch.sqrt(sum((p.grad.double() ** 2).sum() for p in parameters if p.grad is not None))
    return run, sizes


def derivatives(name, path, seconds, workloads):
    import torch
    import warnings
    warnings.simplefilter("ignore")
    torch.set_num_threads(THREADS)
    from aimnet.calculators import AIMNet2Calculator
    calc = AIMNet2Calculator(path, device="cpu")
    for item in workloads:
        work, file = item.split("=", 1)
        frames = read_frames(file)
        data, sizes = batch(frames)
        report(name, "forces", work, sizes, seconds, lambda: calc.eval(dict(data), forces=True)["forces"].norm())
        if len(frames) > 1:
            run, sizes = gradient_step(path, frames)
            report(name, "gradient", work, sizes, seconds, run)
            continue
        v = torch.cos(torch.arange(1, 3 * int(sizes[0]) + 1)).reshape(-1, 3)
        report(name, "product", work, sizes, seconds, lambda: calc.hessian_vector_product(dict(data), v).norm())
        report(name, "hessian", work, sizes, seconds, lambda: calc.eval(dict(data), hessian=True)["hessian"].norm())


def padded(frames):
    """A batch as (structures, atoms of the largest) with zeros after each, which the peer's graphs take; one structure as it is."""
    import numpy as np
    import torch
    width = max(len(f[0]) for f in frames)
    numbers, coord = np.zeros((len(frames), width), "int32"), np.zeros((len(frames), width, 3), "float32")
    for k, (z, x) in enumerate(frames):
        numbers[k, :len(z)], coord[k, :len(z)] = z, x
        coord[k, len(z):] = 1000.0 + 10.0 * np.arange(width - len(z))[:, None]
    charge = torch.zeros(len(frames)) if len(frames) > 1 else 0.0
    return {"coord": torch.tensor(coord).squeeze(0), "numbers": torch.tensor(numbers).squeeze(0), "charge": charge}


def time_on_card(name, mode, atoms, call, before, seconds):
    """Times of synchronised calls; a call gives an energy, or nothing."""
    import torch
    times = []
    for _ in range(before):
        call()
    torch.cuda.synchronize()
    start = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - start < seconds:
        t = time.perf_counter()
        energy = call()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - t)
    print("peer", name, mode, atoms, len(times), f"{min(times):.6g} {statistics.median(times):.6g}",
          "-" if energy is None else f"{float(energy.double().sum()):.15g}", flush=True)


def water_like_box(atoms):
    """A box as bench_box.h has it, other random numbers."""
    import numpy as np
    side = round(atoms ** (1 / 3))
    step = 0.1 ** (-1 / 3)
    k = np.arange(side ** 3)
    coord = step * np.stack([k % side, k // side % side, k // side ** 2], 1) + np.random.default_rng(1).uniform(-0.3, 0.3, (len(k), 3))
    return np.where(k % 3, 1, 8).astype("int32"), coord.astype("float32"), (np.eye(3) * side * step).astype("float32")


def parts(atoms, device="cuda"):
    import torch
    from aimnet.modules.lr import DFTD3
    from nvalchemiops.torch.interactions.dispersion import dftd3
    from nvalchemiops.torch.neighbors import neighbor_list
    bohr = 0.529177210903
    table = DFTD3(s8=0.3908, a1=0.566, a2=3.128)
    table = {k: getattr(table, k).to(device) for k in ("rcov", "r4r2", "c6ab", "cn_ref")}
    for n in atoms:
        numbers, coord, cell = (torch.tensor(a).to(device) for a in water_like_box(n))
        box = {"cell": cell[None], "pbc": torch.ones(1, 3, dtype=torch.bool, device=device), "method": "cell_list"}

        def find():
            return neighbor_list(coord, 5.0, max_neighbors=96, **box)[1]

        time_on_card("list_alone", "default", len(numbers), find, 3, 1.0)
        j, _, shifts = neighbor_list(coord, 15.0, max_neighbors=1536, **box)

        def disperse():
            return dftd3(coord / bohr, numbers, a1=0.566, a2=3.128, s8=0.3908, covalent_radii=table["rcov"], r4r2=table["r4r2"],
                         c6_reference=table["c6ab"], coord_num_ref=table["cn_ref"], cell=cell[None] / bohr, neighbor_matrix=j,
                         neighbor_matrix_shifts=shifts, fill_value=len(numbers), num_systems=1, s5_smoothing_on=12.0 / bohr,
                         s5_smoothing_off=15.0 / bohr, device=device)[0] * 27.211386245988

        time_on_card("d3_alone", "default", len(numbers), disperse, 2, 1.0)


def on_card(model, seconds, workloads):
    """Inputs on the card already."""
    import torch
    import warnings
    warnings.simplefilter("ignore")
    from aimnet.calculators import AIMNet2Calculator

    def measure_one(calc, name, mode, atoms, data, **what):
        data = {k: v.cuda() if hasattr(v, "cuda") else v for k, v in data.items()}
        time_on_card(name, mode, atoms, lambda: calc.eval(dict(data), **(what or {"forces": True}))["energy"], 2 if what else 4, seconds)

    default = AIMNet2Calculator(model, device="cuda")
    fast = AIMNet2Calculator(model, device="cuda", cuda_graph=True, inference_kernels=True)
    for item in workloads:
        name, work = item.split("=", 1)
        if ":" in work:
            path, method, times = work.split(":")
            default.set_lrcoulomb_method(method, cutoff=15.0)
            numbers, coord, cell = repeated_box(path, tuple(int(k) for k in times.split("x")))
            measure_one(default, name, "default", len(numbers), {"coord": torch.tensor(coord), "numbers": torch.tensor(numbers),
                                                                 "charge": 0.0, "cell": torch.tensor(cell)})
            continue
        frames = read_frames(work)
        data, sizes = batch(frames)
        if name.startswith("gradient_"):
            run, _ = gradient_step(model, frames, "cuda")

            def step():
                run().item()

            time_on_card(name, "default", int(sizes.sum()), step, 2, seconds)
            continue
        if name.startswith("hessian_"):
            measure_one(default, name, "default", int(sizes.sum()), data, hessian=True)
            continue
        measure_one(default, name, "default", int(sizes.sum()), data)
        measure_one(fast, name, "fast", int(sizes.sum()), padded(frames))


def gemm():
    import torch
    torch.set_num_threads(THREADS)
    a, b = torch.rand(4096, 704), torch.rand(704, 512)
    c = torch.empty(4096, 512)
    best = 1e9
    for _ in range(60):
        t = time.perf_counter()
        torch.mm(a, b, out=c)
        best = min(best, time.perf_counter() - t)
    print("gemm torch", f"{2 * 4096 * 704 * 512 / best * 1e-9:.1f}")


if __name__ == "__main__":
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "time" and len(sys.argv) > 4:
        measure(sys.argv[2], float(sys.argv[3]), sys.argv[4:])
    elif command == "crystal" and len(sys.argv) == 8:
        measure_crystal(sys.argv[2], float(sys.argv[3]), sys.argv[4], int(sys.argv[5]), sys.argv[6] == "1", sys.argv[7])
    elif command == "derivatives" and len(sys.argv) > 5:
        derivatives(sys.argv[2], sys.argv[3], float(sys.argv[4]), sys.argv[5:])
    elif command == "card" and len(sys.argv) > 4:
        on_card(sys.argv[2], float(sys.argv[3]), sys.argv[4:])
    elif command == "parts" and len(sys.argv) > 2:
        parts([int(n) for n in sys.argv[2:]])
    elif command == "gemm":
        gemm()
    else:
        sys.exit(__doc__)
