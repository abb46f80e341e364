# SPDX-License-Identifier: MIT
"""Writes the directory tests/golden/models/hf_base from base.pt and plain changes of it, with the safetensors package.

    python tests/reference/make_formats.py [OUTPUT_DIRECTORY]

Needs torch, safetensors and aimnet 0.2.5. Member 0 has the weights of base.pt, member 1 the same times 1.25. The
reference loads both before they count.
"""

import json
import sys
from pathlib import Path

import torch
from aimnet.calculators.hf_hub import load_from_hf_repo
from safetensors.torch import save_file

MODELS = Path(__file__).resolve().parents[1] / "golden" / "models"


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1 else MODELS) / "hf_base"
    out.mkdir(parents=True, exist_ok=True)
    data = torch.load(MODELS / "base.pt", map_location="cpu", weights_only=True)
    weights = {name: t.contiguous() for name, t in data.pop("state_dict").items()}
    (out / "config.json").write_text(json.dumps(data))
    save_file(weights, out / "ensemble_0.safetensors", metadata={"format": "pt"})
    second = {name: t * 1.25 if name.startswith("mlps.") else t for name, t in weights.items()}
    save_file(second, out / "ensemble_1.safetensors", metadata={"format": "pt"})
    for member in range(2):
        load_from_hf_repo(str(out), ensemble_member=member)


if __name__ == "__main__":
    main()
