# SPDX-License-Identifier: MIT
"""Draws docs/speed.svg from the figures that `bench/run --json` has kept: microseconds per atom, ours and the reference's.

Usage: python plot_speed.py bench/data/speed.json docs/speed.svg   (standard library only; the same bytes for the same figures)
"""
import json
import sys

TITLES = {"caffeine": "caffeine", "taxol": "taxol", "water_1002": "334 waters", "drugs_256": "256 molecules"}
WIDTH, LEFT, BAR, GAP, TOP = 720, 200, 15, 16, 62
SPAN = WIDTH - LEFT - 130  # of the longest bar
OURS, PEER, INK, FAINT = "#0b6e99", "#c9ced3", "#24292f", "#57606a"


def text(x, y, words, size=13, colour=INK, anchor="start", weight="normal"):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{words}</text>'


def bar(y, value, scale, colour, label, weight):
    length = max(2.0, value * scale)
    return [f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2" fill="{colour}"/>',
            text(LEFT + length + 7, y + 12, label, 12, INK, weight=weight)]


def main():
    data = json.load(open(sys.argv[1]))
    rows = [r for r in data["seconds"] if "peer" in r]
    micro = [(1e6 * r["ours"] / r["atoms"], 1e6 * r["peer"] / r["atoms"]) for r in rows]
    scale = SPAN / max(max(pair) for pair in micro)
    height = TOP + len(rows) * (2 * BAR + GAP + 2) + 34
    out = [text(16, 26, "Energy and forces: microseconds per atom, shorter is better", 16, weight="bold"),
           f'<rect x="16" y="38" width="11" height="11" rx="2" fill="{OURS}"/>', text(33, 48, "aimnet.c", 12),
           f'<rect x="106" y="38" width="11" height="11" rx="2" fill="{PEER}"/>', text(123, 48, "aimnet 0.2.5 (PyTorch)", 12)]
    for k, (r, (ours, peer)) in enumerate(zip(rows, micro)):
        y = TOP + k * (2 * BAR + GAP + 2)
        out.append(text(LEFT - 12, y + 13, TITLES.get(r["name"], r["name"]), 13, anchor="end"))
        out.append(text(LEFT - 12, y + 29, f'{r["atoms"]:,} atoms', 11, FAINT, "end"))
        out += bar(y, ours, scale, OURS, f"{ours:.0f} \u00b5s, {peer / ours:.1f} times faster", "bold")
        out += bar(y + BAR + 2, peer, scale, PEER, f"{peer:.0f} \u00b5s", "normal")
    out.append(text(16, height - 14, f'{data["machine"]}, {data["threads"]} threads, single precision, same model file; bench/run', 11, FAINT))
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
           'font-family="Helvetica, Arial, sans-serif" role="img">',
           "<title>Energy and forces: aimnet.c and the reference, microseconds per atom</title>",
           f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>', *out, "</svg>"]
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write("\n".join(svg) + "\n")


main()
