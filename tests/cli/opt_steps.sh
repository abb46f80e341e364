# SPDX-License-Identifier: MIT
# One structure: its steps; -o keeps the comment and holds the energy and forces of the result.
cp "$SOURCE/examples/water.xyz" .
"$AIMNET" opt water.xyz -o out.xyz >out
sed -n '1,6p;$p' out | sed 's/after .*gradients/after N gradients/'
sed -n 2p out.xyz | grep -o 'title=.*' &&
"$AIMNET" energy --json out.xyz | grep -o '"energy":-137.978[0-9]' &&
sed -n 2p out.xyz | grep -o ' energy=-137.978[0-9]'
