# SPDX-License-Identifier: MIT
"""Compares data/registry.yaml with the registry of the installed Python package (aimnet 0.2.5): families and their policies,
models with file, address and digest, aliases. What only ours has is the CPCM set.

    python tests/reference/check_registry.py
"""

import sys
from pathlib import Path

import yaml
from aimnet.calculators.model_registry import load_model_registry


def main():
    ours = yaml.safe_load((Path(__file__).parent.parent.parent / "data" / "registry.yaml").read_text())
    theirs = load_model_registry()
    wrong = 0

    def compare(what, a, b):
        nonlocal wrong
        if a != b:
            wrong += 1
            print(f"{what}: ours {a!r}, theirs {b!r}")

    for name, policy in theirs["families"].items():
        family = {k: v for k, v in ours["families"].get(name, {}).items() if k != "about"}
        compare(f"family {name}", family, policy)
    for kind in ("models", "aliases"):
        for name, value in theirs[kind].items():
            compare(f"{kind} {name}", ours[kind].get(name), value)
    compare("order of members", [m for m in ours["models"] if "cpcm" not in m], list(theirs["models"]))
    for kind in ("families", "models", "aliases"):
        extra = [name for name in ours[kind] if name not in theirs[kind]]
        compare(f"{kind} beyond theirs", [name for name in extra if "cpcm" not in name], [])
    print(f"{len(theirs['models'])} models, {len(theirs['aliases'])} aliases, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
