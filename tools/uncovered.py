#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares what a run of the tests did not reach with what docs/security.md says cannot be reached.

    tools/uncovered.py COVERAGE_JSON LIST

COVERAGE_JSON is gcovr's report. LIST is a Markdown file; its rows

    | `zip.c` | `if (n > limit)` | 1 | why |

allow that many outcomes of the conditions on that line of that file never to occur. Exit status 1 if any other line or
outcome was not reached, or if a row describes what is reached or is no longer there.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

ROW = re.compile(r"^\| `(\w+\.[ch])` \| `(.+?)` \| (\d+) \|")


def missing(report):
    """{(file, text of the line): number of outcomes}; a line that never ran counts its outcomes, at least one."""
    root = Path(__file__).resolve().parent.parent
    found = Counter()
    for file in json.loads(Path(report).read_text())["files"]:
        source = (root / file["file"]).read_text().split("\n")
        for line in file["lines"]:
            outcomes = sum(branch["count"] == 0 for branch in line["branches"])
            if line["count"] == 0 and not line.get("gcovr/noncode", False):
                outcomes = max(outcomes, 1)
            if outcomes and source[line["line_number"] - 1].strip() not in ("", "{", "}", "else", "} else {"):
                found[Path(file["file"]).name, source[line["line_number"] - 1].strip()] += outcomes
    return found


def allowed(path):
    rows = Counter()
    for line in Path(path).read_text().split("\n"):
        match = ROW.match(line)
        if match:
            rows[match[1], match[2].replace("\\|", "|")] += int(match[3])
    return rows


def main():
    found, rows = missing(sys.argv[1]), allowed(sys.argv[2])
    wrong = 0
    for key in sorted(found.keys() | rows.keys()):
        if found[key] != rows[key]:
            wrong += 1
            print(f"| `{key[0]}` | `{key[1].replace('|', chr(92) + '|')}` | {found[key]} | listed: {rows[key]} |")
    print(f"{sum(found.values())} outcomes not reached on {len(found)} lines, {wrong} lines not as listed in {sys.argv[2]}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
