#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs the programs that tests drive on our potential (ASE, i-PI, geomeTRIC, Sella; tests/python/requirements.txt) from PyPI into an
# environment of their own. Usage: tools/install_programs.sh FOLDER
# Does nothing where that is done. Where it cannot be done (no network, no venv), it says so and succeeds: those tests are skipped then.
set -eu

folder=$1
here=$(cd "$(dirname "$0")/.." && pwd)
wanted=$here/tests/python/requirements.txt
cmp -s "$wanted" "$folder/installed" && exit 0

python=python3
[ -x /usr/bin/python3 ] && python=/usr/bin/python3
rm -rf "$folder"
if "$python" -m venv "$folder" > /dev/null 2>&1 &&
    timeout 600 "$folder/bin/pip" install --quiet --disable-pip-version-check --retries 1 --timeout 20 -r "$wanted"; then
    cp "$wanted" "$folder/installed"
else
    rm -rf "$folder"
    echo "ASE, i-PI, geomeTRIC and Sella were not installed: their tests will be skipped" >&2
fi
