# SPDX-License-Identifier: MIT
"""A random-weight model of the full published architecture (aimnet2_dftd3_wb97m.yaml, 8.8 MB) that does not have to be committed.

    python make_full_size.py            writes tests/golden/full_size.pt.gz and full_size.txt
    python make_full_size.py MODEL.pt   builds the model from these two files (as tests/golden/full_size.c does)

full_size.pt.gz is the model file as torch.save wrote it, with zeros in place of the weights; full_size.txt says how to fill them in:
    size BYTES                           of the uncompressed file
    fill OFFSET COUNT AMPLITUDE          COUNT float32 at OFFSET: amplitude (2 u - 1), rounded from double; u = the upper 24 bits of
                                         splitmix64(n) / 2^24, n counting all filled numbers of the file from 0 in the order of the lines
    crc OFFSET BYTES AT...               CRC-32 of the bytes, little-endian, stored at each AT
"""
import gzip
import io
import pathlib
import struct
import sys
import zipfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "tests/golden/full_size.pt.gz"
RECIPE = ROOT / "tests/golden/full_size.txt"
SPECIES = [1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 33, 34, 35, 53]


def uniform(first, count):
    import numpy as np
    with np.errstate(over="ignore"):
        z = (np.arange(first, first + count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) * 2.0**-24


def build():
    """The bytes of the model file."""
    data = bytearray(gzip.decompress(TEMPLATE.read_bytes()))
    n = 0
    for line in RECIPE.read_text().splitlines():
        word, *rest = line.split()
        if word == "fill":
            offset, count, amplitude = int(rest[0]), int(rest[1]), float(rest[2])
            values = (amplitude * (2.0 * uniform(n, count) - 1.0)).astype("<f4")
            data[offset:offset + 4 * count] = values.tobytes()
            n += count
        elif word == "crc":
            offset, size = int(rest[0]), int(rest[1])
            crc = struct.pack("<I", zlib.crc32(bytes(data[offset:offset + size])))
            for at in map(int, rest[2:]):
                data[at:at + 4] = crc
    return bytes(data)


def template_artifact():
    """The model with zero weights, as the exporter would write it: short-range Coulomb inside, full Coulomb and D3 outside."""
    import aimnet
    import torch
    import yaml
    from aimnet.config import build_module
    config = yaml.safe_load((pathlib.Path(aimnet.__file__).parent / "models/aimnet2_dftd3_wb97m.yaml").read_text())
    outputs = config["kwargs"]["outputs"]
    d3 = outputs.pop("dftd3")["kwargs"]
    outputs.pop("lrcoulomb")
    outputs["srcoulomb"] = {"class": "aimnet.modules.SRCoulomb",
                            "kwargs": {"rc": 4.6, "key_in": "charges", "key_out": "energy", "envelope": "exp"}}
    text = yaml.dump(config, sort_keys=False)
    model = build_module(config)
    amplitudes = {}
    with torch.no_grad():
        model.outputs.atomic_shift.double()
        for name, tensor in model.state_dict().items():
            if name == "afv.weight":
                tensor.zero_()
                for z in range(1, 64):
                    if z not in SPECIES:
                        tensor[z] = float("nan")
                amplitudes[name] = 0.6
            elif name.endswith("shifts.weight"):
                tensor[:, 0] = torch.tensor([-30.0 * z for z in range(64)], dtype=torch.float64)
            elif name.endswith(".agh"):
                tensor.zero_()
                amplitudes[name] = 0.4
            elif ".weight" in name:
                tensor.zero_()
                amplitudes[name] = round((3.0 / tensor.shape[1]) ** 0.5, 6)
            elif ".bias" in name:
                tensor.zero_()
                amplitudes[name] = 0.1
    artifact = {
        "format_version": 2, "model_yaml": text, "cutoff": 5.0, "needs_coulomb": True, "needs_dispersion": True,
        "coulomb_mode": "sr_embedded", "coulomb_sr_rc": 4.6, "coulomb_sr_envelope": "exp",
        "d3_params": {"s6": 1.0, "s8": d3["s8"], "a1": d3["a1"], "a2": d3["a2"]},
        "has_embedded_lr": True, "has_embedded_d3ts": False, "implemented_species": SPECIES, "state_dict": model.state_dict(),
    }
    return artifact, amplitudes


def storages(data):
    """{entry name: (offset of the bytes, size, offsets of its CRC-32)} of a ZIP written by torch.save."""
    found = {}
    central = struct.unpack("<I", data[data.rindex(b"PK\5\6") + 16:][:4])[0]
    for info in zipfile.ZipFile(io.BytesIO(data)).infolist():
        name_len, extra_len = struct.unpack("<HH", data[info.header_offset + 26:][:4])
        start = info.header_offset + 30 + name_len + extra_len
        lengths = struct.unpack("<HHH", data[central + 28:][:6])
        assert info.compress_type == 0 and data[start + info.file_size:][:4] == b"PK\7\x08"
        found[info.filename.split("/", 1)[1]] = (start, info.file_size, [start + info.file_size + 4, central + 16])
        central += 46 + sum(lengths)
    return found


def write_template():
    import torch
    artifact, amplitudes = template_artifact()
    buffer = io.BytesIO()
    torch.save(artifact, buffer)
    data = buffer.getvalue()
    entry = storages(data)
    lines, crcs, seen = [f"size {len(data)}"], [], []
    keys = []
    for name, tensor in artifact["state_dict"].items():  # torch numbers storages in the order in which it meets them
        pointer = tensor.untyped_storage().data_ptr()
        if pointer not in seen:
            seen.append(pointer)
        keys.append((name, tensor, seen.index(pointer)))
    for name, tensor, key in keys:
        if name not in amplitudes:
            continue
        start, size, at = entry[f"data/{key}"]
        assert size == 4 * tensor.numel() and tensor.is_contiguous()
        width = tensor.shape[1] if name == "afv.weight" else 0
        rows = [(start + 4 * width * z, width) for z in SPECIES] if width else [(start, tensor.numel())]
        lines += [f"fill {offset} {count} {amplitudes[name]:g}" for offset, count in rows]
        crcs.append(f"crc {start} {size} " + " ".join(map(str, at)))
    TEMPLATE.write_bytes(gzip.compress(data, 9, mtime=0))
    RECIPE.write_text("\n".join(["# written by tests/reference/make_full_size.py, which explains the lines", *lines, *crcs]) + "\n")


def main():
    if len(sys.argv) > 1:
        pathlib.Path(sys.argv[1]).write_bytes(build())
        return
    write_template()
    import torch
    loaded = torch.load(io.BytesIO(build()), weights_only=True)
    assert all(bool((t[SPECIES] if k == "afv.weight" else t).isfinite().all()) for k, t in loaded["state_dict"].items())
    print(TEMPLATE.stat().st_size, RECIPE.stat().st_size, zlib.crc32(build()))


if __name__ == "__main__":
    main()
