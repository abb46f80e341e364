# SPDX-License-Identifier: MIT
"""What the documents show works. Standard library only; the Python examples need numpy, and those with ASE or Sella need these.

documents.py SOURCE AIMNET session    README.md: every `$ aimnet` line with output prints that, numbers to their last digit or two
documents.py SOURCE AIMNET commands   README.md, docs/opt.md: every `$ aimnet` line succeeds, with files of the names it mentions
documents.py SOURCE AIMNET python     README.md, docs/python.md: every ```python block runs, one after the other (AIMNETC_LIBRARY names the library)
"""
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]\d+)?")
CLOSE = 3e-5  # of numbers of order one: processors differ in the last digits of single precision
FILES = {"urea.cif": "tests/golden/structures/urea.cif", "conformers.sdf": "tests/golden/structures/crlf.sdf",
         "molecule.xyz": "examples/water.xyz", "water.xyz": "examples/water.xyz"}
TEXTS = {"broken.xyz": "3\n\nO 0 0 0\nXx 0 0 1\nH 0 1 0\n", "ammonia.xyz": "4\n\nN 0 0 0.1\nH 0 0.94 -0.26\nH 0.81 -0.47 -0.26\nH -0.81 -0.47 -0.26\n"}


def blocks(path, language):
    """The fenced blocks of a language, as lists of lines."""
    found, inside = [], None
    for line in path.read_text(encoding="utf-8").splitlines():
        if inside is None and line == "```" + language:
            inside = []
        elif inside is not None and line == "```":
            found.append(inside)
            inside = None
        elif inside is not None:
            inside.append(line)
    return found


def sessions(path):
    """(command, lines that it prints) of the console blocks; comments taken off."""
    found = []
    for block in blocks(path, "console"):
        for line in block:
            if line.startswith("$ "):
                found.append((re.sub(r"\s+#.*", "", line[2:]), []))
            else:
                found[-1][1].append(line)
    return found


def same_line(expected, actual):
    expected, actual = (re.sub(r"on atom \d+", "on atom", line) for line in (expected, actual))  # of equal forces either may be the largest
    a, b = NUMBER.findall(expected), NUMBER.findall(actual)
    if NUMBER.sub("#", expected).split() != NUMBER.sub("#", actual).split() or len(a) != len(b):
        return False
    return all(abs(float(x) - float(y)) <= CLOSE * max(1.0, abs(float(x)) * 0.1) for x, y in zip(a, b))


def matches(expected, actual):
    """Line by line; "..." stands for any number of lines."""
    if not expected:
        return not actual
    if expected[0] == "...":
        return any(matches(expected[1:], actual[k:]) for k in range(len(actual) + 1))
    return bool(actual) and same_line(expected[0], actual[0]) and matches(expected[1:], actual[1:])


def run(command, folder):
    return subprocess.run(["sh", "-c", command], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def prepare(source, aimnet, folder):
    os.symlink(aimnet, folder / "aimnet")
    os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"
    shutil.copytree(source / "examples", folder / "examples")
    for name, origin in FILES.items():
        shutil.copy(source / origin, folder / name)
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    run("aimnet energy --quiet --coulomb dsf -o crystal.xyz urea.cif", folder)


def check_session(source, folder):
    n = 0
    for command, shown in sessions(source / "README.md"):
        if not command.startswith("aimnet ") or not any(shown):
            continue
        lines = run(command, folder).stdout.splitlines()
        while shown and not shown[-1]:
            shown.pop()
        while lines and not lines[-1]:
            lines.pop()
        if shown[-1] != "..." and "1 structure," in "".join(lines[-1:]):
            lines = lines[:-2]  # the count that every table ends with
        if not matches(shown, lines):
            sys.exit(f"README.md: $ {command}\nshows:\n" + "\n".join(shown) + "\nprinted:\n" + "\n".join(lines))
        n += 1
    assert n >= 5, f"only {n} commands found"


def check_commands(source, folder):
    n = 0
    for name in ("README.md", "docs/opt.md"):
        for command, shown in sessions(source / name):
            if not command.startswith("aimnet ") or any(shown) or " download " in command:
                continue
            done = run(command, folder)
            if done.returncode:
                sys.exit(f"{name}: $ {command}\nexit status {done.returncode}\n{done.stdout}")
            n += 1
    assert n >= 6, f"only {n} commands found"


def has_gpu():
    if importlib.util.find_spec("torch") is None:
        return False
    import torch
    return torch.cuda.is_available()


def check_python(source, folder):
    missing = {m for m in ("numpy", "ase", "sella") if importlib.util.find_spec(m) is None} | (set() if has_gpu() else {"torch"})
    if "numpy" in missing:
        print("numpy is not installed: skipped")
        sys.exit(77)
    sys.path.insert(0, str(source / "python"))
    os.chdir(folder)
    names, n = {}, 0
    for document in ("README.md", "docs/python.md"):
        for block in blocks(source / document, "python"):
            text = "\n".join(block)
            lacks = [m for m in missing if re.search(rf"(from|import) {m}\b", text)]
            if lacks or ("atoms" in text and "atoms" not in names and "ase" in missing):
                print(f"{document}: skipped without {', '.join(lacks) or 'ase'}: {block[0]}")
                continue
            exec(compile(text, document, "exec"), names)  # our own documents
            n += 1
    assert n >= 2, f"only {n} examples found"


def main():
    source, aimnet, what = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare(source, aimnet, folder)
        {"session": check_session, "commands": check_commands, "python": check_python}[what](source, folder)
        os.chdir("/")


main()
