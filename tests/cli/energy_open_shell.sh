# SPDX-License-Identifier: MIT
# Two charge channels: spin charges with --charges, multiplicity from file or option, wrong parity is the structure's error.
cp "$DATA/methyl.xyz" .
run() { "$AIMNET" energy --json --charges -m "$MODELS/nse.pt" "$@" | sed -E "s,\"model\":\"[^\"]*\",\"model\":M,; s,-?[0-9]+[.][0-9]{5\,}(e-?[0-9]+)?,X,g"; }
run methyl.xyz
run --mult 4 methyl.xyz
run --mult 1 methyl.xyz
run --mult 2 --charge=-1 methyl.xyz
