# SPDX-License-Identifier: MIT
"""Golden cases of the small random models in tests/golden/models (written by make_models.py).

Structures on which a random network is so ill-conditioned that the reference itself misses half of the single-precision tolerances in
float32 are left out (saturated hydrocarbons with most, caffeine with two of them)."""

IMPORTS = ["aimnet.modules.core.SRRep", "aimnet.modules.LRCoulomb", "aimnet.modules.DFTD3"]
ELEMENTS = ["hydrogen_fluoride", "sulfur_hexafluoride", "thiophene", "carbon_tetrachloride", "tetramethylsilane", "trimethylarsine", "iodobenzene"]
OPEN_SHELL = ["hydrogen_atom", ("oxygen_atom", 0, 3), ("carbon_atom", 0, 5), ("water", 1, 2), ("water", 0, 3), ("hydroxide", 0, 2),
              ("nitromethane", -1, 2), ("caffeine", 1, 2), "water_4", "bromoform", "phenylboronic_acid"]
NEUTRAL = ["hydrogen", "water", "bromoform", "trimethyl_phosphate", "dimethyl_selenide", "phenylboronic_acid", "caffeine"]
# further outputs by model, under the reference's data keys
EXTRA = {"srrep_none": ["e_rep"], "d3ts": ["disp_param"], "d3ts_nse": ["disp_param"], "lr_simple_full": ["e_h"], "list": ["mu"],
         "mlp_options": ["extra", "extra_total", "total_charge"]}


def cases(root, small, long):
    out = {}
    for path in sorted((root / "tests/golden/models").glob("*.pt")):
        name = path.stem
        structures = small + ELEMENTS
        if name.startswith("nse") or name == "d3ts_nse":
            structures = small[:6] + OPEN_SHELL
        elif name == "pass2":
            structures = NEUTRAL
        if name == "nse_flat":
            structures = [m for m in structures if m not in ("caffeine", ("caffeine", 1, 2))]
        if name in ("half", "bfloat16", "double"):
            structures = small[:4]
        out["model_" + name] = {
            "model": f"tests/golden/models/{path.name}",
            "structures": structures,
            "extra": EXTRA.get(name, []),
            "import_paths": IMPORTS,
            "batch": name != "multipoles_centred",
        }
    # long-range lists that embedded and external modules share
    for name, model, options in (
        ("base_dsf_6", "base", {"coulomb": "dsf", "coulomb_cutoff": 6.0, "dsf_alpha": 0.3}),
        ("base_network_only", "base", {"needs_coulomb": 0, "needs_dispersion": 0}),
        ("nse_dsf_12", "nse", {"coulomb": "dsf", "coulomb_cutoff": 12.0}),
        ("plain_coulomb", "plain", {"needs_coulomb": 1}),
        ("plain_coulomb_dsf", "plain", {"needs_coulomb": 1, "coulomb": "dsf", "coulomb_cutoff": 7.0}),
        ("plain_dispersion", "plain", {"needs_dispersion": 1, "d3_params": (1.0, 0.3908, 0.566, 3.128)}),
        ("d3ts_long", "d3ts", {}),
        ("d3ts_coulomb_dsf", "d3ts", {"needs_coulomb": 1, "coulomb": "dsf", "coulomb_cutoff": 9.0}),
        ("lr_dftd3_long", "lr_dftd3", {}),
        ("lr_dsf_long", "lr_dsf", {}),
    ):
        out["model_" + name] = {
            "model": f"tests/golden/models/{model}.pt",
            "options": options,
            "structures": ["water", "lone_pair_far", *(["iodobenzene"] if model == "base" else ["caffeine", "cholesterol"]), "water_42"],
            "extra": EXTRA.get(model, []),
            "import_paths": IMPORTS,
        }
    return out
